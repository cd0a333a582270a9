/* Linear family: textbook formulas, see reference.h. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>

/* A cosine may pass its edge by rounding; by more than this it is wrong and becomes NaN. */
#define EDGE 1e-12

static const ref_options *with_defaults(const ref_options *o)
{
    return o ? o : &ref_default_options;
}

/* ‖a‖_F² of count numbers. */
static long double sum_squares(const double *a, int64_t count)
{
    long double sum = 0.0L;
    for (int64_t i = 0; i < count; i++) sum += (long double)a[i] * a[i];
    return sum;
}

static double clip_cosine(double c)
{
    if (c > 1.0 + EDGE || c < -1.0 - EDGE) return NAN;
    return c > 1.0 ? 1.0 : c < -1.0 ? -1.0 : c;
}

/* ---- CKA and HSIC: n×n Gram matrices ---- */

/* New Gram matrix of the centred rows, [n, n]: K_ij = ⟨x̃_i, x̃_j⟩ = (H X Xᵀ H)_ij. */
static long double *centred_gram(const double *x, int n, int d)
{
    double *c = ref_centre(x, n, d);
    long double *k = ref_alloc((int64_t)n * n, sizeof *k);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int m = 0; m < d; m++)
                k[(int64_t)i * n + j] += (long double)c[(int64_t)i * d + m] * c[(int64_t)j * d + m];
    free(c);
    return k;
}

static void zero_diagonal(long double *k, int n)
{
    for (int i = 0; i < n; i++) k[(int64_t)i * n + i] = 0.0L;
}

static long double inner(const long double *k, const long double *l, int n)
{
    long double sum = 0.0L;
    for (int64_t i = 0; i < (int64_t)n * n; i++) sum += k[i] * l[i];
    return sum;
}

/* ⟨K, L⟩/(‖K‖‖L‖), undefined for a zero matrix. */
static double gram_cosine(const long double *k, const long double *l, int n)
{
    long double kk = inner(k, k, n), ll = inner(l, l, n);
    if (!(kk > 0.0L && ll > 0.0L)) return NAN;
    return clip_cosine((double)(inner(k, l, n) / (sqrtl(kk) * sqrtl(ll))));
}

/* ⟨HKH, HLH⟩/(‖HKH‖‖HLH‖), equal to ‖X̃ᵀỸ‖²/(‖X̃ᵀX̃‖‖ỸᵀỸ‖) (Kornblith 2019). */
double ref_cka(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    long double *k = centred_gram(x, n, d), *l = centred_gram(y, n, e);
    double value = gram_cosine(k, l, n);
    free(k);
    free(l);
    return value;
}

/* K and L centred on both sides first, then without their diagonals (Lange 2023). */
double ref_cka_lange(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    long double *k = centred_gram(x, n, d), *l = centred_gram(y, n, e);
    zero_diagonal(k, n);
    zero_diagonal(l, n);
    double value = gram_cosine(k, l, n);
    free(k);
    free(l);
    return value;
}

/* tr(HKHL)/(n−1)². A constant layer has HSIC 0, which is a value. */
double ref_hsic(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    long double *k = centred_gram(x, n, d), *l = centred_gram(y, n, e);
    long double value = inner(k, l, n) / ((long double)(n - 1) * (n - 1));
    free(k);
    free(l);
    return (double)value;
}

/* Unbiased HSIC (Song 2012) of matrices with zeroed diagonals:
 * [tr(KL) + 1ᵀK1·1ᵀL1/((n−1)(n−2)) − 2/(n−2)·1ᵀKL1] / (n(n−3)). */
static long double unbiased_hsic(const long double *k, const long double *l, int n)
{
    long double all_k = 0.0L, all_l = 0.0L, rows = 0.0L;
    for (int i = 0; i < n; i++) {
        long double row_k = 0.0L, row_l = 0.0L;
        for (int j = 0; j < n; j++) {
            row_k += k[(int64_t)i * n + j];
            row_l += l[(int64_t)i * n + j];
        }
        all_k += row_k;
        all_l += row_l;
        rows += row_k * row_l;
    }
    return (inner(k, l, n) + all_k * all_l / ((long double)(n - 1) * (n - 2)) -
            2.0L * rows / (n - 2)) /
           ((long double)n * (n - 3));
}

/* A self-term cannot be negative but for rounding; below this share of ‖K‖² it is 0 (examples that
 * are all equally far from each other, say). */
static bool self_term_is_zero(long double h, const long double *k, int n)
{
    return !(h * n * (n - 3) > 1e-13L * inner(k, k, n));
}

/* Debiased CKA. The estimate does not change under translation of the rows, so Gram matrices of
 * centred and of plain rows give the same value; centred ones lose no digits. */
double ref_cka_debiased(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    if (n < 4) return NAN;
    long double *k = centred_gram(x, n, d), *l = centred_gram(y, n, e);
    zero_diagonal(k, n);
    zero_diagonal(l, n);
    long double kk = unbiased_hsic(k, k, n), ll = unbiased_hsic(l, l, n);
    double value = NAN;
    if (!self_term_is_zero(kk, k, n) && !self_term_is_zero(ll, l, n))
        value = (double)(unbiased_hsic(k, l, n) / (sqrtl(kk) * sqrtl(ll)));
    free(k);
    free(l);
    return value;
}

/* ---- canonical correlations ---- */

/* SVD of the centred x with the directions under the rank floor cut off; rank 0 on failure. */
typedef struct {
    ref_svd f;
    int rank;
} basis;

static basis centred_basis(const double *x, int n, int d, double floor)
{
    basis b = {.rank = 0};
    double *c = ref_centre(x, n, d);
    if (ref_svd_make(c, n, d, &b.f)) b.rank = ref_svd_rank(&b.f, floor);
    free(c);
    return b;
}

/* New [p, q] = U_aᵀU_b of the first p and q left singular vectors. */
static double *basis_cross(const ref_svd *a, const ref_svd *b, int p, int q)
{
    double *m = ref_cross(a->u, b->u, a->rows, a->k, b->k);
    double *lead = ref_alloc((int64_t)p * q, sizeof *lead);
    for (int i = 0; i < p; i++)
        for (int j = 0; j < q; j++) lead[(int64_t)i * q + j] = m[(int64_t)i * b->k + j];
    free(m);
    return lead;
}

/* Canonical correlations of the spans of the first p and q left singular vectors (Björck and Golub
 * 1973): the singular values ρ of U_aᵀU_b = A·diag(ρ)·Bᵀ; the canonical variables are U_a·A and
 * U_b·B. Clipped to at most 1. False when there are none. */
static bool canonical(const basis *a, const basis *b, int p, int q, ref_svd *out)
{
    if (p == 0 || q == 0) return false;
    double *m = basis_cross(&a->f, &b->f, p, q);
    bool ok = ref_svd_make(m, p, q, out);
    free(m);
    for (int i = 0; ok && i < out->k; i++) out->s[i] = fmin(out->s[i], 1.0);
    return ok;
}

/* Mean of ρ^power over the canonical correlations of the leading p and q directions. */
static double mean_rho(const basis *a, const basis *b, int p, int q, int power)
{
    ref_svd c;
    if (!canonical(a, b, p, q, &c)) return NAN;
    double sum = 0.0;
    for (int i = 0; i < c.k; i++) sum += power == 2 ? c.s[i] * c.s[i] : c.s[i];
    sum /= c.k;
    ref_svd_free(&c);
    return sum;
}

static double cca_of_power(const double *x, const double *y, int n, int d, int e,
                           const ref_options *o, int power)
{
    basis a = centred_basis(x, n, d, with_defaults(o)->rank_floor);
    basis b = centred_basis(y, n, e, with_defaults(o)->rank_floor);
    double value = mean_rho(&a, &b, a.rank, b.rank, power);
    ref_svd_free(&a.f);
    ref_svd_free(&b.f);
    return value;
}

double ref_cca_mean(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    return cca_of_power(x, y, n, d, e, o, 1);
}

double ref_cca_r2(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    return cca_of_power(x, y, n, d, e, o, 2);
}

/* Directions svcca keeps: the fewest with Σσ² ≥ variance · (Σσ² of all of them). */
static int svcca_keep(const basis *b, const ref_options *o)
{
    if (o->svcca_dims > 0) return o->svcca_dims < b->rank ? o->svcca_dims : b->rank;
    long double total = sum_squares(b->f.s, b->f.k), sum = 0.0L;
    for (int i = 0; i < b->rank; i++) {
        sum += (long double)b->f.s[i] * b->f.s[i];
        if (sum >= o->svcca_variance * total) return i + 1;
    }
    return b->rank;
}

/* Mean canonical correlation of the leading principal directions (Raghu 2017). */
double ref_svcca(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    o = with_defaults(o);
    basis a = centred_basis(x, n, d, o->rank_floor), b = centred_basis(y, n, e, o->rank_floor);
    double value = mean_rho(&a, &b, svcca_keep(&a, o), svcca_keep(&b, o), 1);
    ref_svd_free(&a.f);
    ref_svd_free(&b.f);
    return value;
}

/* Σα_iρ_i/Σα_i with α_i = Σ_j |⟨h_i, x̃_j⟩| over the columns of the centred x, h_i the unit
 * canonical variables in the span of x (Morcos 2018). */
static double pwcca_of_first(const double *x, const double *y, int n, int d, int e, double floor)
{
    basis a = centred_basis(x, n, d, floor), b = centred_basis(y, n, e, floor);
    ref_svd c;
    double value = NAN;
    if (canonical(&a, &b, a.rank, b.rank, &c)) {
        double *centred = ref_centre(x, n, d);
        double *onto = ref_cross(a.f.u, centred, n, a.f.k, d); /* Uᵀx̃, [k, d] */
        double *h = ref_cross(c.u, onto, c.rows, c.k, d);      /* hᵀx̃ = AᵀUᵀx̃, [ρ, d] */
        long double weighted = 0.0L, weights = 0.0L;
        for (int i = 0; i < c.k; i++) {
            long double alpha = 0.0L;
            for (int j = 0; j < d; j++) alpha += fabs(h[(int64_t)i * d + j]);
            weighted += alpha * c.s[i];
            weights += alpha;
        }
        value = (double)(weighted / weights);
        free(centred);
        free(onto);
        free(h);
        ref_svd_free(&c);
    }
    ref_svd_free(&a.f);
    ref_svd_free(&b.f);
    return value;
}

double ref_pwcca(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    o = with_defaults(o);
    double of_x = NAN, of_y = NAN;
    if (o->pwcca_side != REF_SIDE_Y) of_x = pwcca_of_first(x, y, n, d, e, o->rank_floor);
    if (o->pwcca_side != REF_SIDE_X) of_y = pwcca_of_first(y, x, n, e, d, o->rank_floor);
    return o->pwcca_side == REF_SIDE_X   ? of_x
           : o->pwcca_side == REF_SIDE_Y ? of_y
                                         : (of_x + of_y) / 2.0;
}

/* R² of all columns of x regressed on y with an intercept: ‖Q_yᵀX̃‖²/‖X̃‖². */
double ref_linreg(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    basis b = centred_basis(y, n, e, with_defaults(o)->rank_floor);
    double *c = ref_centre(x, n, d), value = NAN;
    long double total = sum_squares(c, (int64_t)n * d);
    if (b.rank > 0 && total > 0.0L) {
        double *fit = ref_cross(b.f.u, c, n, b.f.k, d); /* the kept directions lead, row by row */
        value = (double)(sum_squares(fit, (int64_t)b.rank * d) / total);
        free(fit);
    }
    free(c);
    ref_svd_free(&b.f);
    return value;
}

/* ---- shape distances: the nuclear norm of X̃ᵀỸ ---- */

typedef struct {
    long double xx, yy; /* ‖X̃‖², ‖Ỹ‖² */
    double nuclear;     /* ‖X̃ᵀỸ‖_* */
} shape;

static shape shape_of(const double *x, const double *y, int n, int d, int e)
{
    double *a = ref_centre(x, n, d), *b = ref_centre(y, n, e);
    double *cross = ref_cross(a, b, n, d, e);
    shape s = {sum_squares(a, (int64_t)n * d), sum_squares(b, (int64_t)n * e), NAN};
    ref_svd f;
    if (ref_svd_make(cross, d, e, &f)) {
        long double sum = 0.0L;
        for (int i = 0; i < f.k; i++) sum += f.s[i];
        s.nuclear = (double)sum;
        ref_svd_free(&f);
    }
    free(a);
    free(b);
    free(cross);
    return s;
}

/* ‖X̃ᵀỸ‖_* over ‖X̃‖‖Ỹ‖, undefined for a constant layer. */
static double shape_cosine(const double *x, const double *y, int n, int d, int e)
{
    shape s = shape_of(x, y, n, d, e);
    if (!(s.xx > 0.0L && s.yy > 0.0L)) return NAN;
    return clip_cosine((double)(s.nuclear / (sqrtl(s.xx) * sqrtl(s.yy))));
}

/* min over rotations ‖X̃R − Ỹ‖_F = √(‖X̃‖² + ‖Ỹ‖² − 2‖X̃ᵀỸ‖_*) (Schönemann 1966). */
double ref_procrustes(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    shape s = shape_of(x, y, n, d, e);
    long double squared = s.xx + s.yy - 2.0L * s.nuclear;
    if (squared < 0.0L) return squared < -(long double)EDGE * (s.xx + s.yy) ? NAN : 0.0;
    return (double)sqrtl(squared);
}

/* The same for X̃/‖X̃‖ and Ỹ/‖Ỹ‖: √(2 − 2 cos). */
double ref_ortho_procrustes(const double *x, const double *y, int n, int d, int e,
                            const ref_options *o)
{
    (void)o;
    return sqrt(2.0 - 2.0 * shape_cosine(x, y, n, d, e));
}

double ref_angular(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    return acos(shape_cosine(x, y, n, d, e));
}

double ref_nbs(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    return shape_cosine(x, y, n, d, e);
}

/* ---- the others ---- */

/* ‖U_xᵀU_y‖_F²/max(d, e) of the left singular vectors of the plain, uncentred matrices, cut at the
 * rank floor; the divisor is the width whatever the rank. */
double ref_eos(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    double floor = with_defaults(o)->rank_floor, value = NAN;
    ref_svd a = {0}, b = {0};
    if (ref_svd_make(x, n, d, &a) && ref_svd_make(y, n, e, &b)) {
        int p = ref_svd_rank(&a, floor), q = ref_svd_rank(&b, floor);
        if (p > 0 && q > 0) {
            double *m = basis_cross(&a, &b, p, q);
            value = (double)sum_squares(m, (int64_t)p * q) / (d > e ? d : e);
            free(m);
        }
    }
    ref_svd_free(&a);
    ref_svd_free(&b);
    return value;
}

/* Eigenvalues σ²/n of the covariance of x̃·√n/‖x̃‖ through v/(v + λ); those under the rank floor
 * give 0 when λ = 0 (pseudo-inverse), and count in full when λ > 0. */
static double *gulp_gains(const basis *b, double lambda)
{
    double *g = ref_alloc(b->f.k, sizeof *g);
    long double total = sum_squares(b->f.s, b->f.k);
    for (int i = 0; i < b->f.k; i++) {
        long double v = (long double)b->f.s[i] * b->f.s[i] / total;
        g[i] = lambda > 0.0 ? (double)(v / (v + lambda)) : i < b->rank ? 1.0 : 0.0;
    }
    return g;
}

/* With X̃ = UΣVᵀ the three traces are Σg_i², Σh_j² and Σ g_i h_j ⟨u_i, u_j'⟩² (Boix-Adsera 2022).
 * The expected values of its tests come from the covariance matrices and their inverses. */
double ref_gulp(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    o = with_defaults(o);
    basis a = centred_basis(x, n, d, o->rank_floor), b = centred_basis(y, n, e, o->rank_floor);
    double value = NAN;
    if (a.rank > 0 && b.rank > 0) {
        double *g = gulp_gains(&a, o->gulp_lambda), *h = gulp_gains(&b, o->gulp_lambda);
        double *m = basis_cross(&a.f, &b.f, a.f.k, b.f.k);
        long double both = 0.0L;
        for (int i = 0; i < a.f.k; i++)
            for (int j = 0; j < b.f.k; j++) {
                long double c = m[(int64_t)i * b.f.k + j];
                both += g[i] * h[j] * c * c;
            }
        value = (double)(sum_squares(g, a.f.k) + sum_squares(h, b.f.k) - 2.0L * both);
        free(g);
        free(h);
        free(m);
    }
    ref_svd_free(&a.f);
    ref_svd_free(&b.f);
    return value;
}

/* Mean inner product of matched rows, uncentred (centring gives 0.2581 on the golden data, where
 * 0.2703 is right). */
double ref_dot(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    if (d != e) return NAN;
    long double sum = 0.0L;
    for (int64_t i = 0; i < (int64_t)n * d; i++) sum += (long double)x[i] * y[i];
    return (double)(sum / n);
}

/* Mean over rows of 1 − ‖x_i/‖x_i‖ − y_i/‖y_i‖‖, uncentred. A zero row stays zero. */
double ref_norm(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    if (d != e) return NAN;
    long double mean = 0.0L;
    for (int i = 0; i < n; i++) {
        const double *a = x + (int64_t)i * d, *b = y + (int64_t)i * d;
        long double na = sqrtl(sum_squares(a, d)), nb = sqrtl(sum_squares(b, d)), sum = 0.0L;
        for (int j = 0; j < d; j++) {
            long double diff = (na > 0.0L ? a[j] / na : 0.0L) - (nb > 0.0L ? b[j] / nb : 0.0L);
            sum += diff * diff;
        }
        mean += (1.0L - sqrtl(sum)) / n;
    }
    return (double)mean;
}
