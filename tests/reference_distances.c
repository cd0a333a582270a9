/* Kernel and distance family: explicit n×n matrices in long double, distances from differences. See
 * reference.h; the same in numpy, with more options, is reference_kernels.py. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef long double real;

static real *matrix(int n)
{
    return ref_alloc((int64_t)n * n, sizeof(real));
}

static bool constant(const double *x, int n, int d)
{
    for (int i = 1; i < n; i++)
        if (memcmp(x + (int64_t)i * d, x, (size_t)d * sizeof *x) != 0) return false;
    return true;
}

/* ---- dissimilarities ---- */

static real *euclidean(const double *x, int n, int d)
{
    real *out = matrix(n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            real sum = 0;
            for (int m = 0; m < d; m++) {
                real v = (real)x[(int64_t)i * d + m] - x[(int64_t)j * d + m];
                sum += v * v;
            }
            out[(int64_t)i * n + j] = sqrtl(sum);
        }
    return out;
}

/* 1 − cosine of rows, less their own mean first for a correlation; rows without length have 0. */
static real *angles(const double *x, int n, int d, bool centred)
{
    real *unit = ref_alloc((int64_t)n * d, sizeof *unit), *out = matrix(n);
    bool *none = ref_alloc(n, sizeof *none);
    for (int i = 0; i < n; i++) {
        real mean = 0, square = 0, *u = unit + (int64_t)i * d;
        none[i] = true;
        for (int m = 0; m < d; m++) {
            mean += (real)x[(int64_t)i * d + m] / d;
            none[i] = none[i] && x[(int64_t)i * d + m] == (centred ? x[(int64_t)i * d] : 0);
        }
        for (int m = 0; m < d; m++) {
            u[m] = x[(int64_t)i * d + m] - (centred ? mean : 0);
            square += u[m] * u[m];
        }
        for (int m = 0; m < d; m++) u[m] = none[i] ? 0 : u[m] / sqrtl(square);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            real sum = 0; /* 1 − cos = ½‖u − v‖² keeps the digits of small angles */
            for (int m = 0; m < d; m++) {
                real v = unit[(int64_t)i * d + m] - unit[(int64_t)j * d + m];
                sum += v * v / 2;
            }
            out[(int64_t)i * n + j] = none[i] || none[j] ? 1 : sum;
        }
    free(none);
    free(unit);
    return out;
}

/* ---- kernels ---- */

static int by_size(const void *a, const void *b)
{
    real u = *(const real *)a, v = *(const real *)b;
    return (u > v) - (u < v);
}

/* The n(n−1)/2 entries above the diagonal. */
static real *upper(const real *k, int n)
{
    real *out = ref_alloc((int64_t)n * n, sizeof *out), *to = out;
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) *to++ = k[(int64_t)i * n + j];
    return out;
}

/* exp(−d²/2σ²), σ = 0.8 × the median distance; NULL when that is 0. */
static real *rbf(const double *x, int n, int d)
{
    real *k = euclidean(x, n, d), *all = upper(k, n), sigma;
    int64_t many = (int64_t)n * (n - 1) / 2;
    qsort(all, (size_t)many, sizeof *all, by_size);
    sigma = 0.8L * (all[(many - 1) / 2] + all[many / 2]) / 2;
    free(all);
    for (int64_t i = 0; i < (int64_t)n * n; i++) k[i] = expl(-k[i] * k[i] / (2 * sigma * sigma));
    if (sigma > 0) return k;
    free(k);
    return NULL;
}

/* HKH */
static void double_centre(real *k, int n)
{
    real *mean = ref_alloc(n, sizeof *mean), all = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) mean[i] += k[(int64_t)i * n + j] / n;
        all += mean[i] / n;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) k[(int64_t)i * n + j] += all - mean[i] - mean[j];
    free(mean);
}

static real dot(const real *a, const real *b, int64_t count)
{
    real sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static double ratio(real both, real a, real b)
{
    return a > 0 && b > 0 ? (double)(both / (sqrtl(a) * sqrtl(b))) : NAN;
}

static double cosine(const real *a, const real *b, int64_t count)
{
    return ratio(dot(a, b, count), dot(a, a, count), dot(b, b, count));
}

/* n(n−3) times the unbiased HSIC. */
static real unbiased(const real *k, const real *l, int n)
{
    real trace = 0, all_k = 0, all_l = 0, through = 0;
    for (int i = 0; i < n; i++) {
        real row_k = 0, row_l = 0;
        for (int j = 0; j < n; j++) {
            if (i == j) continue;
            trace += k[(int64_t)i * n + j] * l[(int64_t)i * n + j];
            row_k += k[(int64_t)i * n + j];
            row_l += l[(int64_t)i * n + j];
        }
        all_k += row_k;
        all_l += row_l;
        through += row_k * row_l;
    }
    real m = n;
    return trace + all_k * all_l / ((m - 1) * (m - 2)) - 2 * through / (m - 2);
}

/* ---- measures ---- */

double ref_cka_rbf(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    real *k = rbf(x, n, d), *l = rbf(y, n, e);
    double value = NAN;
    (void)o;
    if (k && l && !constant(x, n, d) && !constant(y, n, e)) {
        double_centre(k, n);
        double_centre(l, n);
        value = cosine(k, l, (int64_t)n * n);
    }
    free(k);
    free(l);
    return value;
}

double ref_cka_rbf_debiased(const double *x, const double *y, int n, int d, int e,
                            const ref_options *o)
{
    real *k = rbf(x, n, d), *l = rbf(y, n, e);
    double value = NAN;
    (void)o;
    if (k && l) {
        real a = unbiased(k, k, n), b = unbiased(l, l, n);
        real none = 1e-15L * n * n; /* what rounding leaves of nothing */
        value = ratio(unbiased(k, l, n), a > none ? a : 0, b > none ? b : 0);
    }
    free(k);
    free(l);
    return value;
}

int ref_batch(int n, const ref_options *o)
{
    if (o && o->batch > 0) return o->batch;
    return n >= 256 ? 256 : n / 3 > 4 ? n / 3 : 4;
}

/* Linear kernel of rows first … first + n − 1. */
static real *linear(const double *x, int first, int n, int d)
{
    double *c = ref_centre(x + (int64_t)first * d, n, d);
    real *k = matrix(n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int m = 0; m < d; m++)
                k[(int64_t)i * n + j] += (real)c[(int64_t)i * d + m] * c[(int64_t)j * d + m];
    free(c);
    return k;
}

double ref_cka_minibatch(const double *x, const double *y, int n, int d, int e,
                         const ref_options *o)
{
    int batch = ref_batch(n, o);
    real both = 0, a = 0, b = 0;
    if (batch > n || batch < 4 || constant(x, n, d) || constant(y, n, e)) return NAN;
    for (int first = 0; first + batch <= n; first += batch) {
        real *k = linear(x, first, batch, d), *l = linear(y, first, batch, e);
        both += unbiased(k, l, batch);
        a += unbiased(k, k, batch);
        b += unbiased(l, l, batch);
        free(k);
        free(l);
    }
    return ratio(both, a, b);
}

double ref_distcorr(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    real *a = euclidean(x, n, d), *b = euclidean(y, n, e);
    (void)o;
    double_centre(a, n);
    double_centre(b, n);
    double square = constant(x, n, d) || constant(y, n, e) ? NAN : cosine(a, b, (int64_t)n * n);
    free(a);
    free(b);
    return isnan(square) ? NAN : sqrt(fmax(square, 0));
}

/* Average ranks, doubled. */
static void rank(real *v, int64_t count)
{
    real *sorted = ref_alloc(count, sizeof *sorted);
    memcpy(sorted, v, (size_t)count * sizeof *v);
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    for (int64_t i = 0; i < count; i++) {
        int64_t first = 0, last = count; /* equal ones are at first … last − 1 */
        for (int64_t high = count; first < high;) {
            int64_t middle = (first + high) / 2;
            if (sorted[middle] < v[i]) {
                first = middle + 1;
            } else {
                high = middle;
            }
        }
        for (int64_t low = first; low < last;) {
            int64_t middle = (low + last) / 2;
            if (sorted[middle] > v[i]) {
                last = middle;
            } else {
                low = middle + 1;
            }
        }
        v[i] = (real)(first + last + 1);
    }
    free(sorted);
}

double ref_rsa(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    bool plain = o && o->rsa_euclidean_pearson;
    real *a = plain ? euclidean(x, n, d) : angles(x, n, d, true), *u;
    real *b = plain ? euclidean(y, n, e) : angles(y, n, e, true), *v, mean[2] = {0, 0};
    int64_t many = (int64_t)n * (n - 1) / 2;
    u = upper(a, n);
    v = upper(b, n);
    if (!plain) { /* what is equal but for rounding is equal */
        for (int64_t i = 0; i < many; i++) {
            u[i] = u[i] > 1e-29L ? (double)u[i] : 0;
            v[i] = v[i] > 1e-29L ? (double)v[i] : 0;
        }
        rank(u, many);
        rank(v, many);
    }
    bool alike[2] = {true, true};
    for (int64_t i = 0; i < many; i++) {
        alike[0] = alike[0] && u[i] == u[0];
        alike[1] = alike[1] && v[i] == v[0];
        mean[0] += u[i] / many;
        mean[1] += v[i] / many;
    }
    for (int64_t i = 0; i < many; i++) {
        u[i] -= mean[0];
        v[i] -= mean[1];
    }
    bool none = alike[0] || alike[1] || constant(x, n, d) || constant(y, n, e);
    double value = none ? NAN : cosine(u, v, many);
    free(a);
    free(b);
    free(u);
    free(v);
    return value;
}

double ref_rsm_diff(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    real *a = euclidean(x, n, d), *b = euclidean(y, n, e);
    double *gap = ref_alloc((int64_t)n * n, sizeof *gap), value = NAN;
    ref_svd f;
    (void)o;
    for (int64_t i = 0; i < (int64_t)n * n; i++) gap[i] = (double)(a[i] - b[i]);
    if (ref_svd_make(gap, n, n, &f)) {
        value = f.s[0];
        ref_svd_free(&f);
    }
    free(gap);
    free(a);
    free(b);
    return value;
}

/* ---- statistics of one matrix ---- */

/* New column means; *size their length. */
static real *mean_row(const double *x, int n, int d, real *size)
{
    real *mean = ref_alloc(d, sizeof *mean);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < d; j++) mean[j] += (real)x[(int64_t)i * d + j] / n;
    *size = sqrtl(dot(mean, mean, d));
    return mean;
}

static real magnitude(const double *x, int n, int d)
{
    real size;
    free(mean_row(x, n, d, &size));
    return size;
}

static real concentricity(const double *x, int n, int d)
{
    real size, sum = 0, *mean = mean_row(x, n, d, &size);
    for (int i = 0; i < n; i++) {
        real along = 0, square = 0;
        for (int j = 0; j < d; j++) {
            real v = x[(int64_t)i * d + j];
            along += v * mean[j];
            square += v * v;
        }
        if (square > 0) sum += along / (sqrtl(square) * size * n);
    }
    free(mean);
    return size > 0 ? sum : NAN;
}

static real uniformity(const double *x, int n, int d)
{
    real *far = euclidean(x, n, d), sum = 0;
    for (int64_t i = 0; i < (int64_t)n * n; i++) sum += expl(-2 * far[i] * far[i]);
    free(far);
    return logl(sum / ((real)n * n));
}

double ref_mag_diff(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    return (double)fabsl(magnitude(x, n, d) - magnitude(y, n, e));
}

double ref_conc_diff(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    return (double)fabsl(concentricity(x, n, d) - concentricity(y, n, e));
}

double ref_unif_diff(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    return (double)fabsl(uniformity(x, n, d) - uniformity(y, n, e));
}
