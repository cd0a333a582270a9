/* Inner products of many tiles at once, in cache: a few tiles of each list are held in registers
 * while a strip goes by. Each pair has accumulators of its own, so its order of summation does not
 * depend on the other pairs. */
#include <string.h>

#include "ingredients/gram.h"

enum { LANES = 8, SIDE = 4, GROUP = SIDE * SIDE, STRIP = 512 };

/* Unaligned vectors that may be read from arrays of their elements. */
typedef double vec __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));
typedef float vecf __attribute__((vector_size(2 * LANES * sizeof(float)), aligned(4), may_alias));

#if defined(__x86_64__)
#define KERNEL(name) name##_avx512
#define KERNEL_TARGET __attribute__((target("avx512f")))
#define BLOCK 4
#include "ingredients/inner_kernel.h"

#define KERNEL(name) name##_avx2
#define KERNEL_TARGET __attribute__((target("avx2")))
#define BLOCK 2
#include "ingredients/inner_kernel.h"
#endif

#define KERNEL(name) name##_plain
#define KERNEL_TARGET
#define BLOCK 1
#include "ingredients/inner_kernel.h"

/* The kernels that this processor runs fastest. */
typedef struct kernels {
    void (*strip)(const double *const *a, const double *const *b, int64_t length, vec *acc);
    void (*strip_f)(const float *const *a, const float *const *b, int64_t length, vec *acc);
} kernels;

static kernels choose_kernels(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) { return (kernels){strip_avx512, strip_f_avx512}; }
    if (__builtin_cpu_supports("avx2")) { return (kernels){strip_avx2, strip_f_avx2}; }
#endif
    return (kernels){strip_plain, strip_f_plain};
}

/* One list of tiles, double or float. */
typedef struct tiles {
    const double *const *d;
    const float *const *f;
    int count;
    const unsigned char *wanted;
    kernels kernel;
} tiles;

static bool any_wanted(const tiles *t, int a, int b)
{
    for (int r = a; r < a + SIDE && r < t->count; r++) {
        for (int c = b > r ? b : r; c < b + SIDE && c < t->count; c++) {
            if (t->wanted[r * t->count + c]) { return true; }
        }
    }
    return false;
}

/* One strip for one group of pairs; beyond the list the last tile stands in and is ignored. */
static void group_strip(const tiles *t, int a, int b, int64_t at, int64_t length, vec *acc)
{
    int last = t->count - 1;
    const double *x[SIDE], *y[SIDE];
    const float *xf[SIDE], *yf[SIDE];
    for (int i = 0; i < SIDE; i++) {
        int row = a + i < last ? a + i : last, col = b + i < last ? b + i : last;
        if (t->d != NULL) {
            x[i] = t->d[row] + at;
            y[i] = t->d[col] + at;
        } else {
            xf[i] = t->f[row] + at;
            yf[i] = t->f[col] + at;
        }
    }
    if (t->d != NULL) {
        t->kernel.strip(x, y, length, acc);
    } else {
        t->kernel.strip_f(xf, yf, length, acc);
    }
}

/* What is left of a group when its length is no multiple of the vector length. */
static double tail(const tiles *t, int a, int b, int64_t at, int64_t length)
{
    double sum = 0;
    for (int64_t k = at; k < length; k++) {
        sum += t->d != NULL ? t->d[a][k] * t->d[b][k] : (double)t->f[a][k] * (double)t->f[b][k];
    }
    return sum;
}

static double across(const double *s)
{
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void collect(const tiles *t, int a, int b, int64_t whole, int64_t length, const vec *acc,
                    double *out)
{
    for (int r = a; r < a + SIDE && r < t->count; r++) {
        for (int c = b > r ? b : r; c < b + SIDE && c < t->count; c++) {
            out[r * t->count + c] = across((const double *)&acc[(r - a) * SIDE + (c - b)]) +
                                    tail(t, r, c, whole, length);
        }
    }
}

/* Strips outside, groups inside: a strip of every tile stays in cache. The accumulators of as many
 * groups as fit on the stack go along. */
static void inner_products(const tiles *t, int64_t length, double *out)
{
    enum { BATCH = 32 };
    vec acc[BATCH][GROUP];
    int first[BATCH][2], groups = 0;
    int64_t whole = length - length % (2 * LANES);
    for (int a = 0; a < t->count; a += SIDE) {
        for (int b = a; b < t->count; b += SIDE) {
            bool last = a + SIDE >= t->count && b + SIDE >= t->count;
            if (any_wanted(t, a, b)) {
                first[groups][0] = a;
                first[groups++][1] = b;
            }
            if (groups < BATCH && !last) { continue; }
            memset(acc, 0, (size_t)groups * sizeof acc[0]);
            for (int64_t at = 0; at < whole; at += STRIP) {
                for (int g = 0; g < groups; g++) {
                    group_strip(t, first[g][0], first[g][1], at, csim__min64(STRIP, whole - at),
                                acc[g]);
                }
            }
            for (int g = 0; g < groups; g++) {
                collect(t, first[g][0], first[g][1], whole, length, acc[g], out);
            }
            groups = 0;
        }
    }
}

void csim__inner_products(const double *const *tile, int count, int64_t length,
                          const unsigned char *wanted, double *out)
{
    tiles t = {.d = tile, .count = count, .wanted = wanted, .kernel = choose_kernels()};
    inner_products(&t, length, out);
}

void csim__inner_products_f(const float *const *tile, int count, int64_t length,
                            const unsigned char *wanted, double *out)
{
    tiles t = {.f = tile, .count = count, .wanted = wanted, .kernel = choose_kernels()};
    inner_products(&t, length, out);
}

void csim__inner_block(const double *a, int m, const double *b, int n, int64_t d, double *out)
{
    kernels kernel = choose_kernels();
    int64_t whole = d - d % (2 * LANES);
    for (int i = 0; i < m; i += SIDE) {
        for (int j = 0; j < n; j += SIDE) {
            const double *x[SIDE], *y[SIDE];
            vec acc[GROUP];
            for (int s = 0; s < SIDE; s++) { /* beyond the end the last row stands in */
                x[s] = a + csim__min64(i + s, m - 1) * d;
                y[s] = b + csim__min64(j + s, n - 1) * d;
            }
            memset(acc, 0, sizeof acc);
            kernel.strip(x, y, whole, acc);
            for (int r = 0; r < SIDE && i + r < m; r++) {
                for (int c = 0; c < SIDE && j + c < n; c++) {
                    double sum = across((const double *)&acc[r * SIDE + c]);
                    for (int64_t k = whole; k < d; k++) { sum += x[r][k] * y[c][k]; }
                    out[(int64_t)(i + r) * n + j + c] = sum;
                }
            }
        }
    }
}
