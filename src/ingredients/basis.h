/* Orthonormal bases of sites, X = U Σ V, with the rows of U left where the rows of X are. */
#ifndef CSIM_BASIS_H
#define CSIM_BASIS_H

#include "ingredients/meter.h"
#include "ingredients/site.h"

/** The variance floor of a sweep's bases. Local. */
static inline double csim__rank_floor(const csim_sweep_options *options)
{
    return options->rank_floor > 0 ? options->rank_floor : CSIM_RANK_FLOOR;
}

typedef struct csim__basis_options {
    bool raw;     /* the rows as read instead of the centred ones; fills site->raw_basis */
    bool consume; /* the centred rows are not needed afterwards: their memory becomes U's */
    bool loading; /* keep diag(sigma) V, on every rank */
    double floor; /* r counts σ² > floor·σ₁²; 0 = numerical rank, σ > max(n,d)·eps·σ₁ */
} csim__basis_options;

/** Build bases. Collective.
 *  For n > d by passes over the rows: XᵀX → shifted Cholesky R; Q = X R⁻¹; QᵀQ → eigenvectors
 *  without null directions; singular values of the small factor (again while ill-conditioned and
 *  raw). For n ≤ d one rank takes the LQ factorisation of the whole site. Of a streamed site with
 *  n > d the factors are kept instead of rows of U, and its rows are read again for each pass; one
 *  with n ≤ d is held meanwhile.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_NUMERIC, CSIM_E_MPI; the same on every rank
 *  @note   5·n·d²/P + 25·d³ flops a site, P sites' small factors at the same time; on an owner
 *          eleven d×d matrices; where n ≤ d two of the whole site and eight n×n */
csim_status csim__basis_build(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                              int count, const csim__basis_options *options, csim__meter *meter);

/** Sum the squares of the diagonal of UUᵀ, of the kept directions: into site->basis.leverage.
 *  Collective; rows of streamed sites are read once more.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_DATA, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   2·n·r/P flops a site */
csim_status csim__leverages(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                            int count, csim__meter *meter);

#endif
