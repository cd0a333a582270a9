/* Sums over matching rows of pairs of sites, and rows scaled to length 1. */
#ifndef CSIM_ROWS_H
#define CSIM_ROWS_H

#include "ingredients/pair.h"

/** A pair of sites by their places in a list. */
typedef struct csim__couple {
    int left, right;
} csim__couple;

/** Row sums of pairs by exact sums. Needs the centred rows in double, or only the row norms when
 *  @p raw is false. Collective.
 *  @param[in]  raw  also dot and gap, of pairs with equal widths
 *  @param[out] out  [count] the same on every rank
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   2·n/P flops a pair; raw: 8·n·d/P */
csim_status csim__sum_rows(csim_context *ctx, const csim_shard *shard, const csim__site *sites,
                           const csim__couple *couples, int64_t count, bool raw,
                           csim__row_sums *out);

/** This rank's rows of a site as read, each divided by its length (a zero row stays zero): a new
 *  [rows, d]. Local. */
csim_status csim__unit_rows(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                            double **out);

/** Read this rank's rows of a site as they are in its file: no digit of them is lost by centring.
 *  Collective.
 *  @param[out] rows  [rows, d]
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_MEM; the same on every rank */
csim_status csim__raw_rows(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                           double *rows);

#endif
