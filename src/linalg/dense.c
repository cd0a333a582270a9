/* BLAS and LAPACK through their standard Fortran interface. A row-major matrix is the transpose of
 * a column-major one in the same memory; each wrapper says what it hands over. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "linalg/dense.h"

extern void dgemm_(const char *, const char *, const int *, const int *, const int *,
                   const double *, const double *, const int *, const double *, const int *,
                   const double *, double *, const int *);
extern void sgemm_(const char *, const char *, const int *, const int *, const int *, const float *,
                   const float *, const int *, const float *, const int *, const float *, float *,
                   const int *);
extern void dsyrk_(const char *, const char *, const int *, const int *, const double *,
                   const double *, const int *, const double *, double *, const int *);
extern void ssyrk_(const char *, const char *, const int *, const int *, const float *,
                   const float *, const int *, const float *, float *, const int *);
extern void dtrsm_(const char *, const char *, const char *, const char *, const int *, const int *,
                   const double *, const double *, const int *, double *, const int *);
extern void dpotrf_(const char *, const int *, double *, const int *, int *);
extern void dsyevd_(const char *, const char *, const int *, double *, const int *, double *,
                    double *, const int *, int *, const int *, int *);
extern void dgesdd_(const char *, const int *, const int *, double *, const int *, double *,
                    double *, const int *, double *, const int *, double *, const int *, int *,
                    int *);
extern void dbdsdc_(const char *, const char *, const int *, double *, double *, double *,
                    const int *, double *, const int *, double *, int *, double *, int *, int *);
extern void dgeqrf_(const int *, const int *, double *, const int *, double *, double *,
                    const int *, int *);
extern void dorgqr_(const int *, const int *, const int *, double *, const int *, const double *,
                    double *, const int *, int *);

/* Cᵀ = Bᵀ A in column-major terms: B is n×k, A is m×k. */
void csim__gemm_tn(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                   double *c, int ldc)
{
    const double one = 1, zero = 0;
    dgemm_("N", "T", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &ldc);
}

void csim__gemm_tn_f(int m, int n, int k, const float *a, int lda, const float *b, int ldb,
                     float *c, int ldc)
{
    const float one = 1, zero = 0;
    sgemm_("N", "T", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &ldc);
}

/* The row-major upper triangle is the column-major lower one. */
void csim__syrk_tn(int m, int k, const double *a, int lda, double *c, int ldc)
{
    const double one = 1, zero = 0;
    dsyrk_("L", "N", &m, &k, &one, a, &lda, &zero, c, &ldc);
}

void csim__syrk_tn_f(int m, int k, const float *a, int lda, float *c, int ldc)
{
    const float one = 1, zero = 0;
    ssyrk_("L", "N", &m, &k, &one, a, &lda, &zero, c, &ldc);
}

static void gemm_nt(int m, int n, int k, const double *a, const double *b, double beta, double *c)
{
    const double one = 1;
    dgemm_("T", "N", &n, &m, &k, &one, b, &k, a, &k, &beta, c, &n);
}

static void gemm_nt_f(int m, int n, int k, const float *a, const float *b, float beta, float *c)
{
    const float one = 1;
    sgemm_("T", "N", &n, &m, &k, &one, b, &k, a, &k, &beta, c, &n);
}

void csim__gemm_nt(int m, int n, int k, const double *a, const double *b, double *c)
{
    gemm_nt(m, n, k, a, b, 0, c);
}

void csim__gemm_nt_f(int m, int n, int k, const float *a, const float *b, float *c)
{
    gemm_nt_f(m, n, k, a, b, 0, c);
}

void csim__gemm_nt_add(int m, int n, int k, const double *a, const double *b, double *c)
{
    gemm_nt(m, n, k, a, b, 1, c);
}

void csim__gemm_nt_add_f(int m, int n, int k, const float *a, const float *b, float *c)
{
    gemm_nt_f(m, n, k, a, b, 1, c);
}

void csim__syrk_nt(int m, int k, const double *a, double *c)
{
    const double one = 1, zero = 0;
    dsyrk_("L", "T", &m, &k, &one, a, &k, &zero, c, &m);
}

void csim__syrk_nt_add(int m, int k, const double *a, double *c)
{
    const double one = 1;
    dsyrk_("L", "T", &m, &k, &one, a, &k, &one, c, &m);
}

void csim__syrk_nt_add_f(int m, int k, const float *a, float *c)
{
    const float one = 1;
    ssyrk_("L", "T", &m, &k, &one, a, &k, &one, c, &m);
}

void csim__gemm_nn(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                   double *c, int ldc)
{
    const double one = 1, zero = 0;
    dgemm_("N", "N", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &ldc);
}

void csim__gemm_nn_f(int m, int n, int k, const float *a, const float *b, float *c)
{
    const float one = 1, zero = 0;
    sgemm_("N", "N", &n, &m, &k, &one, b, &n, a, &k, &zero, c, &n);
}

void csim__gemm_tn_add_f(int m, int n, int k, const float *a, const float *b, float *c)
{
    const float one = 1;
    sgemm_("N", "T", &n, &m, &k, &one, b, &n, a, &m, &one, c, &n);
}

/* X R⁻¹ row-major is R⁻ᵀ Xᵀ column-major, where R arrives as a lower triangle Rᵀ. */
void csim__trsm_right(int m, int n, const double *r, double *x)
{
    const double one = 1;
    dtrsm_("L", "L", "N", "N", &n, &m, &one, r, &n, x, &n);
}

csim_status csim__cholesky(csim_context *ctx, int n, double *a)
{
    int info = 0;
    if (n == 0) { return CSIM_OK; }
    dpotrf_("L", &n, a, &n, &info); /* A = L Lᵀ column-major: row-major R = Lᵀ above the diagonal */
    if (info != 0) {
        return csim__fail(ctx, CSIM_E_NUMERIC, "Cholesky: leading minor %d of %d not positive",
                          info, n);
    }
    for (int i = 1; i < n; i++) { memset(a + (int64_t)i * n, 0, (size_t)i * sizeof *a); }
    return CSIM_OK;
}

csim_status csim__eigen(csim_context *ctx, csim__want want, int n, double *a, double *w)
{
    double *work = NULL, *turn = NULL;
    int *iwork = NULL;
    bool vectors = want == CSIM__VECTORS;
    int lwork = 0, liwork = 3 + 5 * n, info = 0;
    int64_t least = vectors ? 1 + 6 * (int64_t)n + 2 * (int64_t)n * n : 2 * (int64_t)n + 1;
    csim_status st = CSIM_OK;
    if (n == 0) { return CSIM_OK; }
    /* room for the blocked reduction, which the documented minimum of values alone has not */
    CSIM_TRY(csim__int(ctx, least + 64 * (int64_t)n, "eigenvalue workspace", &lwork));
    CSIM_TRY(csim__alloc(ctx, lwork, sizeof *work, "eigenvalue workspace", &work));
    CSIM_TRY(csim__alloc(ctx, liwork, sizeof *iwork, "eigenvalue workspace", &iwork));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *turn, "eigenvector swap", &turn));
    dsyevd_(vectors ? "V" : "N", "L", &n, a, &n, w, work, &lwork, iwork, &liwork, &info);
    if (info != 0) {
        st =
            csim__fail(ctx, CSIM_E_NUMERIC, "eigenvalues of a %d x %d matrix: info %d", n, n, info);
        goto done;
    }
    for (int i = 0; i < n / 2; i++) { /* ascending to descending; column-major vectors are rows */
        double *p = a + (int64_t)i * n, *q = a + (int64_t)(n - 1 - i) * n, t = w[i];
        w[i] = w[n - 1 - i];
        w[n - 1 - i] = t;
        if (!vectors) { continue; }
        memcpy(turn, p, (size_t)n * sizeof *p);
        memcpy(p, q, (size_t)n * sizeof *p);
        memcpy(q, turn, (size_t)n * sizeof *p);
    }
done:
    csim__free(ctx, &turn);
    csim__free(ctx, &iwork);
    csim__free(ctx, &work);
    return st;
}

/* Workspace of DGESDD in 64 bits, from its documentation: a query may overflow. */
static int64_t gesdd_work(csim__want want, int64_t most, int64_t least)
{
    int64_t blocked = 64 * (most + least + 65); /* room for the blocked reduction */
    if (want == CSIM__VALUES) { return 3 * least + csim__max64(most, 7 * least) + blocked; }
    return 4 * least * least + 7 * least + most + blocked;
}

csim_status csim__svd(csim_context *ctx, csim__want want, int m, int n, double *a, double *s,
                      double *u, double *v)
{
    int k = m < n ? m : n, most = m < n ? n : m, info = 0, lwork = 0;
    double *work = NULL;
    int *iwork = NULL;
    csim_status st = CSIM_OK;
    if (k == 0) { return CSIM_OK; }
    CSIM_TRY(csim__int(ctx, gesdd_work(want, most, k), "workspace of a decomposition", &lwork));
    CSIM_TRY(csim__alloc(ctx, lwork, sizeof *work, "workspace of a decomposition", &work));
    CSIM_TRY(
        csim__alloc(ctx, 8 * (int64_t)k, sizeof *iwork, "workspace of a decomposition", &iwork));
    /* Aᵀ = Vᵀ S Uᵀ: the left vectors of the column-major matrix are our rows of V. */
    const char *job = want == CSIM__VALUES ? "N" : "S";
    double none = 0;
    dgesdd_(job, &n, &m, a, &n, s, want == CSIM__VALUES ? &none : v, &n,
            want == CSIM__VALUES ? &none : u, &k, work, &lwork, iwork, &info);
    if (info != 0 || !isfinite(s[0])) {
        st = csim__fail(ctx, CSIM_E_NUMERIC, "singular values of a %d x %d matrix: info %d", m, n,
                        info);
    }
done:
    csim__free(ctx, &iwork);
    csim__free(ctx, &work);
    return st;
}

csim_status csim__svd_bidiagonal(csim_context *ctx, bool upper, int k, double *d, double *e,
                                 double *x, int ldx, double *y, int ldy)
{
    double *work = NULL, none = 0;
    int *iwork = NULL, nothing = 0, info = 0, lwork;
    int64_t words = 3 * (int64_t)k * k + 4 * (int64_t)k;
    csim_status st = CSIM_OK;
    if (k == 0) { return CSIM_OK; }
    CSIM_TRY(csim__int(ctx, words, "workspace of a decomposition", &lwork));
    CSIM_TRY(csim__alloc(ctx, lwork, sizeof *work, "workspace of a decomposition", &work));
    CSIM_TRY(
        csim__alloc(ctx, 8 * (int64_t)k, sizeof *iwork, "workspace of a decomposition", &iwork));
    dbdsdc_(upper ? "U" : "L", "I", &k, d, e, x, &ldx, y, &ldy, &none, &nothing, work, iwork,
            &info);
    if (info != 0) {
        st = csim__fail(ctx, CSIM_E_NUMERIC,
                        "singular values of a bidiagonal %d x %d matrix: info "
                        "%d",
                        k, k, info);
    }
done:
    csim__free(ctx, &iwork);
    csim__free(ctx, &work);
    return st;
}

/* An eigenvalue is off by about ε·λ₁ times a modest constant. */
static const double unit = 8 * DBL_EPSILON;

double csim__doubt_of(double s)
{
    return fmin(sqrt(unit), unit / (2 * s));
}

csim__doubt csim__doubt_judge(int k, const double *lambda)
{
    csim__doubt doubt = {0, 0};
    if (lambda[0] <= 0) { return (csim__doubt){k, k}; }
    for (int i = 0; i < k; i++) {
        double own = lambda[i] > 0 ? lambda[i] / lambda[0] : 0, s = sqrt(own), gap = 1;
        if (i > 0) { gap = fmin(gap, (lambda[i - 1] - lambda[i]) / lambda[0]); }
        if (i + 1 < k) { gap = fmin(gap, (lambda[i] - lambda[i + 1]) / lambda[0]); }
        doubt.values += csim__doubt_of(s);
        /* the other side's vectors, A'u/s, take in those of larger values s_j by ε·s_j/(s·λ_j) */
        doubt.vectors += fmin(1, unit / gap) + fmin(1, unit / own);
    }
    return doubt;
}

csim_status csim__svd_by_squares(csim_context *ctx, csim__want want, int m, int n, const double *a,
                                 double *s, double *u, double *v, csim__doubt *doubt)
{
    bool left = m <= n;
    int k = left ? m : n;
    double *square = NULL;
    csim_status st = CSIM_OK;
    *doubt = (csim__doubt){0, 0};
    if (k == 0) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(ctx, (int64_t)k * k, sizeof *square, "a square", &square));
    left ? csim__syrk_nt(m, n, a, square) : csim__syrk_tn(n, m, a, n, square, n);
    CSIM_TRY(csim__eigen(ctx, want, k, square, s));
    *doubt = csim__doubt_judge(k, s);
    for (int i = 0; i < k; i++) { s[i] = s[i] > 0 ? sqrt(s[i]) : 0; }
    if (want == CSIM__VALUES) { goto done; }
    memcpy(left ? u : v, square, (size_t)k * (size_t)k * sizeof *square);
    double *other = left ? v : u;
    int width = left ? n : m;
    left ? csim__gemm_nn(k, n, m, u, m, a, n, v, n) : csim__gemm_nt(k, m, n, v, a, u);
    for (int i = 0; i < k; i++) {
        double scale = s[i] > 0 ? 1 / s[i] : 0;
        for (int64_t j = 0; j < width; j++) { other[(int64_t)i * width + j] *= scale; }
    }
done:
    csim__free(ctx, &square);
    return st;
}

csim_status csim__lq(csim_context *ctx, int m, int n, double *a, double *l)
{
    enum { BLOCK = 64 };
    int info = 0, lwork = 0;
    double *work = NULL, *tau = NULL;
    csim_status st = CSIM_OK;
    if (m == 0) { return CSIM_OK; }
    CSIM_TRY(csim__int(ctx, (int64_t)BLOCK * m, "workspace of QR", &lwork));
    CSIM_TRY(csim__alloc(ctx, lwork, sizeof *work, "workspace of QR", &work));
    CSIM_TRY(csim__alloc(ctx, m, sizeof *tau, "workspace of QR", &tau));
    dgeqrf_(&n, &m, a, &n, tau, work, &lwork, &info); /* Aᵀ = Q R, column-major */
    if (info == 0) {
        for (int i = 0; i < m; i++) { /* L = Rᵀ: row i of L is column i of R */
            for (int j = 0; j < m; j++) {
                l[(int64_t)i * m + j] = j <= i ? a[(int64_t)i * n + j] : 0;
            }
        }
        dorgqr_(&n, &m, &m, a, &n, tau, work, &lwork, &info);
    }
    if (info != 0) {
        st = csim__fail(ctx, CSIM_E_NUMERIC, "QR of a %d x %d matrix: info %d", n, m, info);
    }
done:
    csim__free(ctx, &tau);
    csim__free(ctx, &work);
    return st;
}

CSIM_CLONES
double csim__dot(int64_t n, const double *x, const double *y)
{
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int l = 0; l < 8; l++) { sum[l] += x[i + l] * y[i + l]; }
    }
    for (int l = 0; i < n; i++, l++) { sum[l] += x[i] * y[i]; }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

CSIM_CLONES
double csim__square_distance(int64_t n, double a, const double *x, double b, const double *y)
{
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int l = 0; l < 8; l++) {
            double v = a * x[i + l] - b * y[i + l];
            sum[l] += v * v;
        }
    }
    for (int l = 0; i < n; i++, l++) {
        double v = a * x[i] - b * y[i];
        sum[l] += v * v;
    }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}
