/* The only callers of BLAS and LAPACK: thin, typed, row-major. All local. Sizes above 2^31−1 are
 * refused before a call (CSIM_E_LIMIT), not cut. */
#ifndef CSIM_DENSE_H
#define CSIM_DENSE_H

#include "core/core.h"

/** C[m,n] = A[k,m]ᵀ B[k,n], all row-major and packed. */
void csim__gemm_tn(int m, int n, int k, const double *a, const double *b, double *c);
void csim__gemm_tn_f(int m, int n, int k, const float *a, const float *b, float *c);

/** C[m,m] = A[k,m]ᵀ A, only the upper triangle is written. */
void csim__syrk_tn(int m, int k, const double *a, double *c);
void csim__syrk_tn_f(int m, int k, const float *a, float *c);

/** C[m,n] = A[m,k] B[n,k]ᵀ. */
void csim__gemm_nt(int m, int n, int k, const double *a, const double *b, double *c);
void csim__gemm_nt_f(int m, int n, int k, const float *a, const float *b, float *c);

/** C[m,m] = A[m,k] Aᵀ, only the upper triangle is written. */
void csim__syrk_nt(int m, int k, const double *a, double *c);
void csim__syrk_nt_f(int m, int k, const float *a, float *c);

/** C[m,n] = A[m,k] B[k,n] with leading dimensions lda, ldb, ldc. */
void csim__gemm_nn(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                   double *c, int ldc);

/** X[m,n] ← X R⁻¹ for upper-triangular R[n,n]. */
void csim__trsm_right(int m, int n, const double *r, double *x);

/** Cholesky A = RᵀR, in place on the upper triangle of A[n,n]; the lower triangle is zeroed.
 *  CSIM_E_NUMERIC when A is not positive definite. */
csim_status csim__cholesky(csim_context *ctx, int n, double *a);

/** Eigenvalues (descending) and vectors of a symmetric A[n,n] (upper triangle used):
 *  A = Z diag(w) Zᵀ; on return row i of @p a is the i-th eigenvector. CSIM_E_NUMERIC, CSIM_E_MEM. */
csim_status csim__eigen(csim_context *ctx, int n, double *a, double *w);

/** What a singular value decomposition is to return beside the values. */
typedef enum csim__svd_want { CSIM__SVD_VALUES, CSIM__SVD_VECTORS } csim__svd_want;

/** A[m,n] = U diag(s) V, k = min(m,n), s descending; U[m,k] and V[k,n] row-major (NULL with
 *  CSIM__SVD_VALUES). A is destroyed. CSIM_E_NUMERIC (no convergence, or not finite), CSIM_E_MEM.
 *  About 8/3 k²·max(m,n) flops for values, 20 k²·max(m,n) with vectors. */
csim_status csim__svd(csim_context *ctx, csim__svd_want want, int m, int n, double *a, double *s,
                      double *u, double *v);

/** Rows of A[m,n], m ≤ n, in an orthonormal basis of their span: A = L Q with L[m,m] lower
 *  triangular and Q[m,n] with orthonormal rows; A is overwritten by Q. */
csim_status csim__lq(csim_context *ctx, int m, int n, double *a, double *l);

/** Dot product and sum of squares by BLAS-independent loops of fixed order. */
double csim__dot(int64_t n, const double *x, const double *y);

#endif
