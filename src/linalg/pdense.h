/* Decompositions of dealt matrices. The only caller of ScaLAPACK. All collective on the grid of the
 * matrices, and the status is the same on every rank of it; each vote is a fault point. What
 * ScaLAPACK would count past 2^31−1 is refused before the call (CSIM_E_LIMIT), a matrix that is not
 * finite, too (CSIM_E_NUMERIC). */
#ifndef CSIM_PDENSE_H
#define CSIM_PDENSE_H

#include "linalg/dealt.h"
#include "linalg/dense.h"

/** Singular values of A[m,n], descending, on every rank.
 *  @param[in]  a  destroyed
 *  @param[out] s  [min(m,n)]
 *  @return CSIM_OK, CSIM_E_NUMERIC (no convergence), CSIM_E_MEM, CSIM_E_LIMIT
 *  @note   8/3·k²·max(m,n)/(p·q) flops, half of them at the speed of memory */
csim_status csim__pd_singular_values(csim__dealt *a, double *s);

/** A[m,n] = U diag(s) V, as csim__svd().
 *  @param[out] u  [m, k] made by the caller on the same grid, k = min(m,n)
 *  @param[out] v  [k, n] likewise
 *  @param      x  [m, k], @param y  [k, n] on the leader for the vectors of a bidiagonal matrix; lost
 *  @note   the leader holds x, y and 3·k² words beside its shares, as LAPACK does, and decomposes a
 *          bidiagonal matrix alone, about a fifth of the work; the rest is the grid's */
csim_status csim__pd_svd(csim__dealt *a, double *s, csim__dealt *u, csim__dealt *v, double *x,
                         double *y);

/** Eigenvalues, descending, of a symmetric C[n,n] of which the upper triangle is used.
 *  @param[in]  c  destroyed
 *  @param[out] w  [n] on every rank
 *  @param[out] z  [n, n] made by the caller, row i the i-th eigenvector; NULL with CSIM__VALUES */
csim_status csim__pd_eigen(csim__want want, csim__dealt *c, double *w, csim__dealt *z);

/** Singular values, and vectors if wanted, from the eigenvalues of AAᵀ or AᵀA, as
 *  csim__svd_by_squares(); A is kept.
 *  @param[out] u      [k, m] made by the caller, rows are left vectors; NULL with CSIM__VALUES
 *  @param[out] v      [k, n] likewise
 *  @param[out] doubt  on every rank */
csim_status csim__pd_svd_by_squares(csim__want want, const csim__dealt *a, double *s,
                                    csim__dealt *u, csim__dealt *v, csim__doubt *doubt);

#endif
