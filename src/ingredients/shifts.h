/* Inner products of the n×n matrices of two sites at all n cyclic shifts of the examples of one of
 * them, by Fourier transforms of the matrices' wrapped diagonals. */
#ifndef CSIM_SHIFTS_H
#define CSIM_SHIFTS_H

#include "ingredients/diagonals.h"
#include "ingredients/order.h"
#include "linalg/fourier.h"

/** Frequencies that go through together. */
enum { CSIM__LANES = 8, CSIM__BAND = 2 * CSIM__LANES };

/** The kind of the matrices. */
typedef struct csim__shift_matrix {
    csim_matrix matrix;
    bool ranked; /* ranks of the entries in their place, as csim__triangles_rank() */
} csim__shift_matrix;

/** What stays of the matrix of a site. Every aspect of it is a sum of three parts that no relabelling
 *  mixes: a constant beside the diagonal and one on it, the deviations of the row sums, and what has
 *  neither a diagonal nor row sums. */
typedef struct csim__shift_site {
    double mean[2];    /* of the diagonal of HAH, of the entries beside that of A */
    double square[2];  /* of the vectors: its deviations, those of the row sums over n − 2 */
    double *vector[2]; /* [n/2 + 1, 2] spectra of these */
    double rest;       /* ‖Â‖² of the third part */
    double *band;      /* spectra of its diagonals: [bands, own diagonals, 2, CSIM__LANES] */
} csim__shift_site;

typedef struct csim__shifts {
    csim__triangles t; /* of the relabelled examples */
    csim__diagonals d;
    csim__fourier f;
    csim__shift_matrix kind;
    int64_t n, bands; /* of CSIM__LANES frequencies */
    csim__order order;
    int count;
    csim__shift_site *site; /* [count] */
} csim__shifts;

/** Begin; the examples of all sites get one order, from a counter. Collective; free with
 *  csim__shifts_clear(), also on error.
 *  @param[in] examples  of every site
 *  @return CSIM_OK, CSIM_E_LIMIT, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__shifts_start(csim_context *ctx, int64_t examples, int sites,
                               csim__shift_matrix kind, int64_t seed, csim__shifts *shifts);
void csim__shifts_clear(csim__shifts *shifts);

/** Make the matrix of a site, of rows as they are read, and the spectra of its diagonals. Collective.
 *  @param[in] sigma  of CSIM_RBF
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   n²d/P flops, n²log n/P for the transforms; csim__shifts_bytes() */
csim_status csim__shifts_fill(csim__shifts *shifts, int place, const csim__site *site, double sigma,
                              csim__meter *meter);

/** Use the cosines of a pair at all shifts, on one rank.
 *  @param[in] cosine  [n] of the left matrix with the right one whose examples are shifted; the first
 *                     is that of the pair itself. NAN where one of the matrices is 0
 *  @param[in] size    ‖A‖‖B‖, what the cosine is to be multiplied by for the inner product */
typedef void csim__shift_taker(void *user, int64_t pair, csim_aspect aspect, const double *cosine,
                               double size);

/** Compute the cosines of pairs of sites for some aspects; the pairs are dealt to the ranks. Collective.
 *  @param[in] aspects  bits 1 << csim_aspect
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   2n²/P flops a pair, and n·log n for an aspect; a number has the same bits on any number of
 *          ranks. Memory: csim__shifts_bytes() */
csim_status csim__shifts_pairs(csim__shifts *shifts, const csim__twosome *pairs, int64_t count,
                               unsigned aspects, csim__shift_taker *take, void *user,
                               csim__meter *meter);

/** Bytes of a rank for matrices of one kind, with what stays for the sites. Pure. */
int64_t csim__shifts_bytes(const csim_shard *shard, int sites, int64_t pairs, int64_t widest,
                           bool ranked);

#endif
