/* Inner products of many tiles at once, in cache: a few tiles of each list are held in registers
 * while a strip goes by. Each pair has accumulators of its own, so its order of summation does not
 * depend on the other pairs. */
#include <string.h>

#include "ingredients/gram.h"

enum { LANES = 4, ROWS = 2, COLS = 4, GROUP = ROWS * COLS, STRIP = 1024 };

/* Unaligned vectors that may be read from arrays of their elements. */
typedef double vec __attribute__((vector_size(4 * sizeof(double)), aligned(8), may_alias));
typedef float vecf __attribute__((vector_size(8 * sizeof(float)), aligned(4), may_alias));

#if defined(__x86_64__)
#define KERNEL(name) name##_avx2
#define KERNEL_TARGET __attribute__((target("avx2")))
#include "ingredients/inner_kernel.h"
#endif

#define KERNEL(name) name##_plain
#define KERNEL_TARGET
#include "ingredients/inner_kernel.h"

static bool has_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") != 0;
#else
    return false;
#endif
}

/* One list of tiles, double or float. */
typedef struct tiles {
    const double *const *d;
    const float *const *f;
    int count;
    const unsigned char *wanted;
} tiles;

static bool any_wanted(const tiles *t, int a, int b)
{
    for (int r = a; r < a + ROWS && r < t->count; r++) {
        for (int c = b > r ? b : r; c < b + COLS && c < t->count; c++) {
            if (t->wanted[r * t->count + c]) { return true; }
        }
    }
    return false;
}

/* One strip for one group of pairs; beyond the list the last tile stands in and is ignored. */
static void group_strip(const tiles *t, int a, int b, int64_t at, int64_t length, double *acc)
{
    int last = t->count - 1;
    if (t->d != NULL) {
        const double *x[ROWS], *y[COLS];
        for (int r = 0; r < ROWS; r++) { x[r] = t->d[a + r < last ? a + r : last] + at; }
        for (int c = 0; c < COLS; c++) { y[c] = t->d[b + c < last ? b + c : last] + at; }
#if defined(__x86_64__)
        if (has_avx2()) {
            strip_avx2(x, y, length, acc);
            return;
        }
#endif
        strip_plain(x, y, length, acc);
    } else {
        const float *x[ROWS], *y[COLS];
        for (int r = 0; r < ROWS; r++) { x[r] = t->f[a + r < last ? a + r : last] + at; }
        for (int c = 0; c < COLS; c++) { y[c] = t->f[b + c < last ? b + c : last] + at; }
#if defined(__x86_64__)
        if (has_avx2()) {
            strip_f_avx2(x, y, length, acc);
            return;
        }
#endif
        strip_f_plain(x, y, length, acc);
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

static void collect(const tiles *t, int a, int b, int64_t whole, int64_t length, const double *acc,
                    double *out)
{
    for (int r = a; r < a + ROWS && r < t->count; r++) {
        for (int c = b > r ? b : r; c < b + COLS && c < t->count; c++) {
            const double *s = acc + ((r - a) * COLS + (c - b)) * LANES;
            out[r * t->count + c] = ((s[0] + s[2]) + (s[1] + s[3])) + tail(t, r, c, whole, length);
        }
    }
}

/* Strips outside, groups inside: a strip of every tile stays in cache. The accumulators of as many
 * groups as fit on the stack go along. */
static void inner_products(const tiles *t, int64_t length, double *out)
{
    enum { BATCH = 64 };
    double acc[BATCH][GROUP * LANES];
    int first[BATCH][2], groups = 0;
    int64_t whole = length - length % (2 * LANES);
    for (int a = 0; a < t->count; a += ROWS) {
        for (int b = a / COLS * COLS; b < t->count; b += COLS) {
            bool last = a + ROWS >= t->count && b + COLS >= t->count;
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
    tiles t = {.d = tile, .count = count, .wanted = wanted};
    inner_products(&t, length, out);
}

void csim__inner_products_f(const float *const *tile, int count, int64_t length,
                            const unsigned char *wanted, double *out)
{
    tiles t = {.f = tile, .count = count, .wanted = wanted};
    inner_products(&t, length, out);
}
