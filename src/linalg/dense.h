/* The only callers of BLAS and LAPACK: thin, typed, row-major. All local. Sizes above 2^31−1 are
 * refused before a call (CSIM_E_LIMIT), not cut. */
#ifndef CSIM_DENSE_H
#define CSIM_DENSE_H

#include "core/core.h"

/** C[m,n] = A[k,m]ᵀ B[k,n], all row-major with leading dimensions lda, ldb, ldc. */
void csim__gemm_tn(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                   double *c, int ldc);
void csim__gemm_tn_f(int m, int n, int k, const float *a, int lda, const float *b, int ldb,
                     float *c, int ldc);

/** C[m,m] = A[k,m]ᵀ A, only the upper triangle is written. */
void csim__syrk_tn(int m, int k, const double *a, int lda, double *c, int ldc);
void csim__syrk_tn_f(int m, int k, const float *a, int lda, float *c, int ldc);

/** C[m,n] = A[m,k] B[n,k]ᵀ. */
void csim__gemm_nt(int m, int n, int k, const double *a, const double *b, double *c);
void csim__gemm_nt_f(int m, int n, int k, const float *a, const float *b, float *c);

/** C[m,n] += A[m,k] B[n,k]ᵀ. */
void csim__gemm_nt_add(int m, int n, int k, const double *a, const double *b, double *c);
void csim__gemm_nt_add_f(int m, int n, int k, const float *a, const float *b, float *c);

/** C[m,m] = A[m,k] Aᵀ, only the upper triangle is written. */
void csim__syrk_nt(int m, int k, const double *a, double *c);

/** C[m,m] += A[m,k] Aᵀ on the upper triangle; the rest is left alone. */
void csim__syrk_nt_add(int m, int k, const double *a, double *c);
void csim__syrk_nt_add_f(int m, int k, const float *a, float *c);

/** C[m,n] = A[m,k] B[k,n], packed. */
void csim__gemm_nn_f(int m, int n, int k, const float *a, const float *b, float *c);

/** C[m,n] += A[k,m]ᵀ B[k,n], packed. */
void csim__gemm_tn_add_f(int m, int n, int k, const float *a, const float *b, float *c);

/** C[m,n] = A[m,k] B[k,n] with leading dimensions lda, ldb, ldc. */
void csim__gemm_nn(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                   double *c, int ldc);

/** X[m,n] ← X R⁻¹ for upper-triangular R[n,n]. */
void csim__trsm_right(int m, int n, const double *r, double *x);

/** Cholesky A = RᵀR, in place on the upper triangle of A[n,n]; the lower triangle is zeroed.
 *  CSIM_E_NUMERIC when A is not positive definite. */
csim_status csim__cholesky(csim_context *ctx, int n, double *a);

/** What a decomposition is to return. */
typedef enum csim__want { CSIM__VALUES, CSIM__VECTORS } csim__want;

/** Eigenvalues (descending) and vectors of a symmetric A[n,n] (upper triangle used):
 *  A = Z diag(w) Zᵀ; on return row i of @p a is the i-th eigenvector, or A is destroyed.
 *  CSIM_E_NUMERIC, CSIM_E_MEM. */
csim_status csim__eigen(csim_context *ctx, csim__want want, int n, double *a, double *w);

/** A[m,n] = U diag(s) V, k = min(m,n), s descending; U[m,k] and V[k,n] row-major (NULL with
 *  CSIM__VALUES). A is destroyed. CSIM_E_NUMERIC (no convergence, or not finite), CSIM_E_MEM.
 *  About 8/3 k²·max(m,n) flops for values, 20 k²·max(m,n) with vectors. */
csim_status csim__svd(csim_context *ctx, csim__want want, int m, int n, double *a, double *s,
                      double *u, double *v);

/** The same of a bidiagonal matrix B[k,k] by divide and conquer: column-major B = X diag(d) Y.
 *  @param[in,out] d  [k] its diagonal, then the singular values, descending
 *  @param[in]     e  [k − 1] what stands above the diagonal (@p upper) or below; destroyed
 *  @param[out]    x  column-major, leading dimension ldx ≥ k: the left vectors in its columns
 *  @param[out]    y  column-major, leading dimension ldy ≥ k: the right vectors in its rows
 *  @return CSIM_OK, CSIM_E_NUMERIC, CSIM_E_MEM, CSIM_E_LIMIT */
csim_status csim__svd_bidiagonal(csim_context *ctx, bool upper, int k, double *d, double *e,
                                 double *x, int ldx, double *y, int ldy);

/** How far a decomposition by squares may be off: sums over the k values of a bound on the error
 *  of each value, in units of the largest, and of each vector, as an angle (at most 1). */
typedef struct csim__doubt {
    double values, vectors;
} csim__doubt;

/** The bound on the error of one value that is @p s times the largest, in units of the largest. */
double csim__doubt_of(double s);

/** The bounds for values and vectors made of @p k eigenvalues of a square, k ≥ 1, descending. */
csim__doubt csim__doubt_judge(int k, const double *lambda);

/** The same from the eigenvalues of AAᵀ or AᵀA, whichever is smaller: half the time or less, but a
 *  value s has an error of about ε·s₁²/2s, and vectors of close values are mixed. The caller judges
 *  by @p doubt. A is kept; k = min(m,n); u[k,m] (rows: left vectors), v[k,n]; NULL with
 *  CSIM__VALUES. CSIM_E_NUMERIC, CSIM_E_MEM. */
csim_status csim__svd_by_squares(csim_context *ctx, csim__want want, int m, int n, const double *a,
                                 double *s, double *u, double *v, csim__doubt *doubt);

/** Rows of A[m,n], m ≤ n, in an orthonormal basis of their span: A = L Q with L[m,m] lower
 *  triangular and Q[m,n] with orthonormal rows; A is overwritten by Q. */
csim_status csim__lq(csim_context *ctx, int m, int n, double *a, double *l);

/** Name and version of the BLAS that is linked, and the processor core that its kernels are for: on
 *  another core the last bits differ. "unknown" where the library does not tell. */
void csim__blas_name(char *text, size_t size);

/** The kernels that OpenBLAS could use here (a value of OPENBLAS_CORETYPE) but does not, as it is older
 *  than the model of the processor and fell back to those of 2004; NULL if nothing is amiss, and for
 *  another BLAS. Local. */
const char *csim__blas_better_core(void);

/** ⟨x,y⟩ and ‖a·x − b·y‖² by BLAS-independent loops of fixed order; the same bits with x and y
 *  exchanged. */
double csim__dot(int64_t n, const double *x, const double *y);
double csim__square_distance(int64_t n, double a, const double *x, double b, const double *y);

#endif
