/* Wrapped diagonals of symmetric n×n matrices, dealt to the ranks: diagonal d, 1 ≤ d ≤ n/2, has the
 * entries A_ij with j = i + d modulo n. For even n the diagonal n/2 has each of its entries twice. */
#ifndef CSIM_DIAGONALS_H
#define CSIM_DIAGONALS_H

#include "ingredients/triangles.h"

/** Diagonals of one rank, whole blocks. */
typedef struct csim__band {
    int64_t first, count; /* first … first + count − 1 */
} csim__band;

/** Diagonals of a block, from n alone; the diagonals of @p rank. Pure. */
int64_t csim__diagonal_block(int64_t n);
csim__band csim__diagonal_band(int64_t n, int rank, int size);

/** The way from triangles to diagonals. */
typedef struct csim__diagonals {
    csim_context *ctx;
    int64_t n;
    csim__band band;
    csim__patch *patch;             /* [patches of all ranks] */
    int64_t *start;                 /* [size + 1] where those of a rank begin */
    int *out, *out_at, *in, *in_at; /* [size] numbers that are sent and received */
} csim__diagonals;

/** Agree on who sends what. Collective; free with csim__diagonals_clear(), also on error.
 *  @return CSIM_OK, CSIM_E_LIMIT (2³¹ entries of a rank), CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__diagonals_start(const csim__triangles *t, csim__diagonals *d);
void csim__diagonals_clear(csim__diagonals *d);

/** Send entries to the ranks of their diagonals. Collective.
 *  @param[in]  value  [length] of the triangles
 *  @param[out] out    [count of the band, n]
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   n²/2P numbers sent and received a rank, as many held twice meanwhile */
csim_status csim__diagonals_take(const csim__diagonals *d, const double *value, double *out);

#endif
