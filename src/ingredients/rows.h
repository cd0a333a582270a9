/* Sums over matching rows of pairs of sites, and rows scaled to length 1. */
#ifndef CSIM_ROWS_H
#define CSIM_ROWS_H

#include "core/exact.h"
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

/** The part of it that is made of rows: dot and gap of pairs, added up chunk by chunk. */
typedef struct csim__row_bundle {
    csim_context *ctx;
    const csim__site *site;
    const csim__couple *couple; /* [count] */
    int64_t count;
    csim__exact *sum; /* [2·count] */
    struct csim__raw_chunk {
        double *x, *inverse; /* [chunk, widest] rows as read, 1/length of each */
        int64_t chunk;       /* whose rows these are, and of which site; −1: none */
        int site;
    } side[2];
} csim__row_bundle;

/** Begin. Local; sites and couples are borrowed. Close it also on error. CSIM_OK, CSIM_E_MEM.
 *  @note two chunks of the widest site whose width another one of its pairs has */
csim_status csim__row_bundle_open(csim_context *ctx, const csim_shard *shard,
                                  const csim__site *sites, const csim__couple *couples,
                                  int64_t count, csim__row_bundle *bundle);

/** Do the sums of a pair need its rows? */
static inline bool csim__couple_alike(const csim__site *sites, const csim__couple *couple)
{
    return sites[couple->left].d == sites[couple->right].d;
}

/** Add the @p rows rows of a chunk of pair @p i.
 *  @param[in] x, y  centred rows of its sites */
void csim__row_bundle_add(csim__row_bundle *bundle, int64_t i, int64_t chunk, int64_t rows,
                          const double *x, const double *y);

/** Sum over ranks into dot and gap of out[count]. Collective. CSIM_OK, CSIM_E_MPI. */
csim_status csim__row_bundle_sum(csim__row_bundle *bundle, csim__row_sums *out);

/** Local. Accepts a bundle of zeros. */
void csim__row_bundle_close(csim__row_bundle *bundle);

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
