/* Sums over examples whose bits do not depend on the number of ranks: floating-point partials,
 * each made by a call whose shape is independent of the rank count, are scaled by powers of two
 * known in advance and added as 64-bit integers. Everything but the reductions is local. */
#ifndef CSIM_EXACT_H
#define CSIM_EXACT_H

#include "core/core.h"

/** A scalar sum of two limbs: (hi + lo·2^−40)·2^(e−61), e the exponent of its bound. About 100 bits
 *  below the bound survive, so one huge term costs the others no digits. */
typedef struct csim__exact {
    int64_t hi, lo;
} csim__exact;

/** Smallest e with bound < 2^e; a bound of 0 gives a valid e. Bounds must be finite. */
int csim__exact_exponent(double bound);

/** Add a finite v. Every partial sum must obey the bound. */
void csim__exact_add(csim__exact *sum, double v, int e);

/** The sum as a double. */
double csim__exact_value(csim__exact sum, int e);

/** Sum lists element by element over all ranks, in place. Collective; votes. */
csim_status csim__exact_reduce(csim_context *ctx, csim__exact *list, int64_t count);

/** Scale factors of the rows or columns of a block: factor[i] = 2^(31−k), norm[i] < 2^k, so that
 *  an entry bounded by norm_x[i]·norm_y[j] (Cauchy–Schwarz) stays below 2^62 when scaled by both.
 *  The factor of a norm of 0 is 0: its entries are skipped, and come back as 0. */
void csim__exact_factors(const double *norm, int64_t count, double *factor);

/** acc[i,j] += round(part[i,j]·fx[i]·fy[j]) for an m×n block whose rows are @p step numbers apart in
 *  the sums and @p part_step in the partial; with @p upper only entries j ≥ i. */
void csim__exact_add_block(int64_t *acc, int64_t step, const double *part, int64_t part_step,
                           int64_t m, int64_t n, const double *fx, const double *fy, bool upper);
void csim__exact_add_block_f(int64_t *acc, int64_t step, const float *part, int64_t part_step,
                             int64_t m, int64_t n, const double *fx, const double *fy, bool upper);

/** Back to doubles: out[i,j] = acc[i,j]/(fx[i]·fy[j]) for m rows of n, packed. @p out may be the same
 *  memory as @p acc. */
void csim__exact_block_value(const int64_t *acc, int64_t m, int64_t n, const double *fx,
                             const double *fy, double *out);

/** The same for rows @p first … first + m − 1 of a symmetric [n, n] of which the upper triangle has
 *  sums, as if it were whole: @p acc and @p out begin at row 0. What is left of the diagonal is
 *  mirrored from the rows above, which must be there. */
void csim__exact_triangle_value(const int64_t *acc, int64_t first, int64_t m, int64_t n,
                                const double *f, double *out);

#endif
