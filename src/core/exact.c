#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/exact.h"

enum { LIMB = 40, TOP = 61, HALF = 31, SMALLEST = -900 };

int csim__exact_exponent(double bound)
{
    int e = SMALLEST;
    if (bound > 0) { (void)frexp(bound, &e); } /* bound = m·2^e, 1/2 ≤ m < 1 */
    return e < SMALLEST ? SMALLEST : e;
}

/* Carry so that 0 ≤ lo < 2^40: one representation for each sum. */
static csim__exact carry(csim__exact s)
{
    int64_t low = s.lo & (((int64_t)1 << LIMB) - 1);
    s.hi += (s.lo - low) / ((int64_t)1 << LIMB);
    s.lo = low;
    return s;
}

void csim__exact_add(csim__exact *sum, double v, int e)
{
    double scaled = ldexp(v, TOP - e);
    double hi = nearbyint(scaled);
    sum->hi += (int64_t)hi;
    sum->lo += (int64_t)nearbyint(ldexp(scaled - hi, LIMB));
    *sum = carry(*sum);
}

double csim__exact_value(csim__exact sum, int e)
{
    sum = carry(sum);
    if (sum.hi < 0) { /* a small negative sum is -1 and a large lower limb: its digits cancel */
        return -csim__exact_value((csim__exact){-sum.hi, -sum.lo}, e);
    }
    /* The upper limb may exceed 53 bits: its lower half joins the lower limb first. */
    int64_t low = sum.hi & 0xFFFFFFFF, high = (sum.hi - low) / ((int64_t)1 << 32);
    double tail = (double)low + ldexp((double)sum.lo, -LIMB);
    return ldexp(ldexp((double)high, 32) + tail, e - TOP);
}

csim_status csim__exact_reduce(csim_context *ctx, csim__exact *list, int64_t count)
{
    enum { PIECE = 1 << 24 };
    csim_status st = CSIM_OK;
    int64_t *words = (int64_t *)(void *)list;
    for (int64_t at = 0; st == CSIM_OK && at < 2 * count; at += PIECE) {
        int piece = (int)csim__min64(PIECE, 2 * count - at);
        st = csim__mpi(ctx,
                       MPI_Allreduce(MPI_IN_PLACE, words + at, piece, MPI_INT64_T, MPI_SUM,
                                     csim_context_comm(ctx)),
                       "sum over ranks");
    }
    return csim__vote(ctx, st);
}

void csim__exact_factors(const double *norm, int64_t count, double *factor)
{
    for (int64_t i = 0; i < count; i++) {
        factor[i] = norm[i] > 0 ? ldexp(1.0, HALF - csim__exact_exponent(norm[i])) : 0;
    }
}

/* Round a double below 2^62 to a 64-bit integer with additions alone, so that compilers vectorise
 * it where the processor has no such conversion. Adding 1.5·2^52 leaves the rounded integer in
 * the low bits of the representation. */
static inline int64_t to_integer(double v)
{
    const double magic = 6755399441055744.0, down = 0x1p-31, up = 0x1p31;
    double high = (v * down + magic) - magic;
    double low = v - high * up;
    double a = high + magic, b = low + magic, m = magic;
    int64_t ia, ib, im;
    memcpy(&ia, &a, sizeof ia);
    memcpy(&ib, &b, sizeof ib);
    memcpy(&im, &m, sizeof im);
    return (int64_t)((uint64_t)(ia - im) << HALF) + (ib - im);
}

CSIM_CLONES
void csim__exact_add_block(int64_t *restrict acc, int64_t step, const double *restrict part,
                           int64_t part_step, int64_t m, int64_t n, const double *restrict fx,
                           const double *restrict fy, bool upper)
{
    for (int64_t i = 0; i < m; i++) {
        const double f = fx[i];
        for (int64_t j = upper ? i : 0; j < n; j++) {
            acc[i * step + j] += to_integer(part[i * part_step + j] * f * fy[j]);
        }
    }
}

CSIM_CLONES
void csim__exact_add_block_f(int64_t *restrict acc, int64_t step, const float *restrict part,
                             int64_t part_step, int64_t m, int64_t n, const double *restrict fx,
                             const double *restrict fy, bool upper)
{
    for (int64_t i = 0; i < m; i++) {
        const double f = fx[i];
        for (int64_t j = upper ? i : 0; j < n; j++) {
            acc[i * step + j] += to_integer((double)part[i * part_step + j] * f * fy[j]);
        }
    }
}

static void row_value(const int64_t *acc, int64_t n, double fx, const double *fy, double *out)
{
    for (int64_t j = 0; j < n; j++) {
        int64_t whole;
        memcpy(&whole, acc + j, sizeof whole); /* out may be the same memory */
        out[j] = whole != 0 ? (double)whole / fx / fy[j] : 0;
    }
}

void csim__exact_block_value(const int64_t *acc, int64_t m, int64_t n, const double *fx,
                             const double *fy, double *out)
{
    for (int64_t i = 0; i < m; i++) { row_value(acc + i * n, n, fx[i], fy, out + i * n); }
}

void csim__exact_triangle_value(const int64_t *acc, int64_t first, int64_t m, int64_t n,
                                const double *f, double *out)
{
    for (int64_t i = first; i < first + m; i++) {
        row_value(acc + i * n + i, n - i, f[i], f + i, out + i * n + i);
    }
    for (int64_t i = first; i < first + m; i++) {
        for (int64_t j = 0; j < i; j++) { out[i * n + j] = out[j * n + i]; }
    }
}
