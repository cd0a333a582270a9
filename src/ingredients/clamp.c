/* Values beyond a quantile of a site's own sizes, clipped to it. */
#include <math.h>
#include <string.h>

#include "ingredients/neighbours.h"

enum { DIGIT = 16, DIGITS = 1 << DIGIT };

static uint64_t bits_of(double v)
{
    uint64_t bits;
    double size = fabs(v);
    memcpy(&bits, &size,
           sizeof bits); /* of numbers that are not negative the order is that of the bits */
    return bits;
}

/* The number of index @p place, from 0, among the sizes of all values of all ranks in ascending order:
 * digit after digit, from counts of those that have the same digits before. */
static csim_status select_size(csim_context *ctx, int64_t count, const double *x, int64_t place,
                               int64_t *counts, double *size)
{
    uint64_t known = 0;
    csim_status st = CSIM_OK;
    for (int shift = 64 - DIGIT; st == CSIM_OK && shift >= 0; shift -= DIGIT) {
        memset(counts, 0, DIGITS * sizeof *counts);
        for (int64_t i = 0; i < count; i++) {
            uint64_t bits = bits_of(x[i]),
                     before = shift + DIGIT < 64 ? bits >> (shift + DIGIT) : 0;
            if (before == known) { counts[bits >> shift & (DIGITS - 1)]++; }
        }
        st = csim__mpi(ctx,
                       MPI_Allreduce(MPI_IN_PLACE, counts, DIGITS, MPI_INT64_T, MPI_SUM,
                                     csim_context_comm(ctx)),
                       "counts of sizes");
        int digit = 0;
        while (digit < DIGITS - 1 && place >= counts[digit]) { place -= counts[digit++]; }
        known = known << DIGIT | (uint64_t)digit;
    }
    memcpy(size, &known, sizeof known);
    return csim__vote(ctx, st);
}

csim_status csim__clamp(csim_context *ctx, const csim_shard *shard, int64_t d, double share,
                        double *rows)
{
    int64_t *counts = NULL, count = shard->rows * d;
    double size = 0;
    csim_status st = csim__alloc(ctx, DIGITS, sizeof *counts, "counts of sizes", &counts);
    CSIM_TRY(csim__vote(ctx, st));
    int64_t all = shard->n * d, place = (int64_t)floor(share * (double)all + 1e-9);
    CSIM_TRY(select_size(ctx, count, rows, csim__min64(place, all - 1), counts, &size));
    for (int64_t i = 0; i < count; i++) { rows[i] = fmax(-size, fmin(size, rows[i])); }
done:
    csim__free(ctx, &counts);
    return st;
}
