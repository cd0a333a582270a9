/* The references themselves: golden values, cases with a known answer, degenerate input.
 *
 * What the golden values settle about centring: dot, norm, align_cos, perm_procrustes and eos take
 * the matrices as they are, and so do the measures of neighbours; all other measures centre the columns. cka_debiased does not see the
 * difference. dot and norm take X cut to its first 5 columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check_close(const char *what, double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: found %.17g, expected %.17g within %g", what, found, expected, tolerance);
}

static void check_nan(const char *what, double found)
{
    if (!isnan(found)) fail_msg("%s: found %.17g, expected NaN", what, found);
}

static double *random_matrix(uint64_t seed, int n, int d)
{
    double *x = ref_alloc((int64_t)n * d, sizeof *x);
    ref_random_matrix(seed, n, d, x);
    return x;
}

/* New a·b, [n, q], of a [n, p] and b [p, q]. */
static double *product(const double *a, const double *b, int n, int p, int q)
{
    double *c = ref_alloc((int64_t)n * q, sizeof *c);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < q; j++)
            for (int m = 0; m < p; m++) c[i * q + j] += a[i * p + m] * b[m * q + j];
    return c;
}

/* ---- golden values ---- */

static void golden_stream(void **state)
{
    (void)state;
    double x[REF_GOLDEN_N * REF_GOLDEN_D], y[REF_GOLDEN_N * REF_GOLDEN_E];
    ref_golden_data(x, y);
    check_close("X[0][0]", x[0], 0.15515404846519232, 0.0);
    check_close("Y[29][4]", y[REF_GOLDEN_N * REF_GOLDEN_E - 1], -0.00705999624915421, 1e-16);
}

static void golden_values(void **state)
{
    (void)state;
    double a[REF_GOLDEN_N * REF_GOLDEN_D], b[REF_GOLDEN_N * REF_GOLDEN_D];
    for (int i = 0; i < ref_golden_count(); i++) {
        const ref_golden *g = &ref_golden_values[i];
        int d, e;
        ref_golden_arguments(g, a, &d, b, &e);
        const ref_measure *m = ref_find(g->measure);
        assert_non_null(m);
        check_close(g->measure, m->fn(a, b, REF_GOLDEN_N, d, e, &g->options), g->value,
                    1e-12 * fabs(g->value));
    }
}

static void every_measure_has_a_golden_value(void **state)
{
    (void)state;
    assert_int_equal(ref_measure_count(), 30);
    for (int i = 0; i < ref_measure_count(); i++) {
        int found = 0;
        for (int j = 0; j < ref_golden_count(); j++)
            found += strcmp(ref_golden_values[j].measure, ref_measures[i].name) == 0;
        if (!found) fail_msg("%s has no golden value", ref_measures[i].name);
    }
    assert_null(ref_find("cka_of_nothing"));
}

/* Exchanging the arguments changes the asymmetric measures and no other. */
static void symmetry_is_as_declared(void **state)
{
    (void)state;
    enum { N = 25, D = 4 };
    double *x = random_matrix(1, N, D), *y = random_matrix(2, N, D);
    ref_options few = ref_default_options;
    few.neighbours = 3; /* of more, cycle_knn finds all */
    for (int i = 0; i < ref_measure_count(); i++) {
        const ref_measure *m = &ref_measures[i];
        double change = fabs(m->fn(x, y, N, D, D, &few) - m->fn(y, x, N, D, D, &few));
        if (m->asymmetric ? !(change > 1e-6) : !(change < 1e-12))
            fail_msg("%s: changes by %g when the arguments are exchanged", m->name, change);
    }
    free(x);
    free(y);
}

/* Options, on the golden data. Expected values: an independent program in numpy, gulp from the
 * covariance matrices and their inverses. At 0.7 of the variance svcca keeps 4 and 3 directions. */
static void options(void **state)
{
    (void)state;
    double x[REF_GOLDEN_N * REF_GOLDEN_D], y[REF_GOLDEN_N * REF_GOLDEN_E];
    ref_golden_data(x, y);
    int n = REF_GOLDEN_N, d = REF_GOLDEN_D, e = REF_GOLDEN_E;
    ref_options o = ref_default_options;
    o.svcca_variance = 0.7;
    check_close("svcca 0.7", ref_svcca(x, y, n, d, e, &o), 0.798490981964689, 1e-13);
    o.svcca_dims = 2;
    check_close("svcca dims 2", ref_svcca(x, y, n, d, e, &o), 0.705220212940975, 1e-13);
    o.svcca_dims = 100;
    check_close("svcca dims 100", ref_svcca(x, y, n, d, e, &o), 0.802017634829599, 1e-13);
    o.pwcca_side = REF_SIDE_Y;
    check_close("pwcca y", ref_pwcca(x, y, n, d, e, &o), 0.81144521878127, 1e-13);
    o.pwcca_side = REF_SIDE_MEAN;
    check_close("pwcca mean", ref_pwcca(x, y, n, d, e, &o), 0.807312033655909, 1e-13);
    o.gulp_lambda = 0.1;
    check_close("gulp 0.1", ref_gulp(x, y, n, d, e, &o), 1.70246105527584, 1e-13);
    o.gulp_lambda = 0.001;
    check_close("gulp 0.001", ref_gulp(x, y, n, d, e, &o), 4.4222944304822, 1e-12);
}

/* ---- known answers ---- */

/* Two sets of variables with prescribed canonical correlations, each behind a mixing matrix of
 * condition 1e4: x = Q₁A, y = (Q₁·diag(ρ) + Q₂·diag(√(1−ρ²)))·B with [Q₁ Q₂] orthonormal. */
static void prescribed_canonical_correlations(void **state)
{
    (void)state;
    enum { N = 80, K = 5 };
    static const double rho[K] = {0.95, 0.7, 0.5, 0.2, 0.01};
    double q[N * 2 * K], a[K * K], b[K * K], p[N * K], r[N * K], mean = 0.0, square = 0.0;
    ref_conditioned_matrix(3, N, 2 * K, 1.0, false, q);
    /* K+1 rows have K singular values; the last row is left out, which keeps the condition high. */
    double tall[(K + 1) * K];
    ref_conditioned_matrix(4, K + 1, K, 1e4, false, tall);
    memcpy(a, tall, sizeof a);
    ref_conditioned_matrix(5, K + 1, K, 1e4, false, tall);
    memcpy(b, tall, sizeof b);
    for (int j = 0; j < K; j++) {
        for (int i = 0; i < N; i++) {
            p[i * K + j] = q[i * 2 * K + j];
            r[i * K + j] =
                rho[j] * q[i * 2 * K + j] + sqrt(1.0 - rho[j] * rho[j]) * q[i * 2 * K + K + j];
        }
        mean += rho[j] / K;
        square += rho[j] * rho[j] / K;
    }
    double *x = product(p, a, N, K, K), *y = product(r, b, N, K, K);
    check_close("cca_mean", ref_cca_mean(x, y, N, K, K, NULL), mean, 1e-10);
    check_close("cca_r2", ref_cca_r2(x, y, N, K, K, NULL), square, 1e-10);
    check_close("gulp", ref_gulp(x, y, N, K, K, NULL), 2 * K - 2 * K * square, 1e-9);
    free(x);
    free(y);
}

/* A matrix compared with itself, tall and wide; the measures without a fixed maximum are left
 * out. In the wide one every canonical correlation of the 11 directions is 1. */
static void identical_matrices(void **state)
{
    (void)state;
    static const int shapes[][2] = {{40, 6}, {12, 30}};
    for (int s = 0; s < 2; s++) {
        int n = shapes[s][0], d = shapes[s][1];
        double *x = random_matrix(6, n, d);
        for (int i = 0; i < ref_measure_count(); i++) {
            const ref_measure *m = &ref_measures[i];
            if (m->fn == ref_hsic || m->fn == ref_dot || m->fn == ref_cycle_knn) continue;
            double expected = m->distance ? 0.0 : 1.0;
            if (m->fn == ref_eos && n < d) /* rank over width */
                expected = (double)n / d;
            if (m->fn == ref_lcs_knn) expected = ref_neighbours(n, NULL);
            if (m->fn == ref_cknna) { /* h/(h + 1e-6) */
                double value = ref_cknna(x, x, n, d, d, NULL);
                assert_true(value < 1.0 && value > 1.0 - 1e-3);
                continue;
            }
            /* √ and arccos turn 1e-16 into 1e-8. */
            check_close(m->name, m->fn(x, x, n, d, d, NULL), expected, m->distance ? 1e-6 : 1e-12);
        }
        free(x);
    }
}

/* Moving a layer away by 1000 standard deviations changes no centred measure in the 9th digit. */
static void far_offset(void **state)
{
    (void)state;
    enum { N = 50, D = 7, E = 4 };
    static const char *const as_read[] = {"eos",        "align_cos", "perm_procrustes", "jaccard",
                                          "mutual_knn", "cycle_knn", "lcs_knn",         "edit_knn",
                                          "cknna",      "rank_sim",  "second_cos"};
    double *x = random_matrix(7, N, D), *y = random_matrix(8, N, E), far[N * D];
    for (int i = 0; i < N * D; i++) far[i] = x[i] + 1000.0;
    for (int i = 0; i < ref_measure_count(); i++) {
        const ref_measure *m = &ref_measures[i];
        bool raw = m->equal_widths;
        for (size_t k = 0; k < sizeof as_read / sizeof *as_read; k++)
            raw = raw || strcmp(m->name, as_read[k]) == 0;
        if (raw) continue;
        double near = m->fn(x, y, N, D, E, NULL);
        check_close(m->name, m->fn(far, y, N, D, E, NULL), near, 1e-9 * fabs(near));
    }
    free(x);
    free(y);
}

/* ---- degenerate input ---- */

/* A constant layer, whose value no binary fraction equals, against a random one. NaN where the
 * definition divides by its variance or needs a direction of it. */
static void constant_layer(void **state)
{
    (void)state;
    enum { N = 20, D = 3 };
    double *y = random_matrix(9, N, D), x[N * D];
    for (int i = 0; i < N * D; i++) x[i] = 0.1;
    static const char *const undefined[] = {
        "cka",   "cka_debiased", "cka_lange", "cca_mean", "cca_r2", "svcca",
        "pwcca", "linreg",       "nbs",       "angular",  "gulp",   "ortho_procrustes",
        "nngs",  "mutual_knn",   "cknna",     "rank_sim"};
    for (size_t i = 0; i < sizeof undefined / sizeof undefined[0]; i++) {
        check_nan(undefined[i], ref_find(undefined[i])->fn(x, y, N, D, D, NULL));
        check_nan(undefined[i], ref_find(undefined[i])->fn(y, x, N, D, D, NULL));
    }
    double *centred = ref_centre(y, N, D), size = 0.0;
    for (int i = 0; i < N * D; i++) size += centred[i] * centred[i];
    check_close("hsic", ref_hsic(x, y, N, D, D, NULL), 0.0, 0.0);
    check_close("procrustes", ref_procrustes(x, y, N, D, D, NULL), sqrt(size), 1e-12);
    check_close("hard_corr", ref_hard_corr(x, y, N, D, D, NULL), 0.0, 0.0);
    check_close("soft_corr", ref_soft_corr(x, y, N, D, D, NULL), 0.0, 0.0);
    free(centred);
    free(y);
}

static void zero_rows_and_widths(void **state)
{
    (void)state;
    /* Rows: a zero row of X; equal directions; orthogonal directions. */
    static const double x[] = {0, 0, 2, 0, 0, 3}, y[] = {1, 0, 5, 0, 1, 0};
    check_close("norm", ref_norm(x, y, 3, 2, 2, NULL), (0.0 + 1.0 + 1.0 - sqrt(2.0)) / 3.0, 1e-15);
    check_close("dot", ref_dot(x, y, 3, 2, 2, NULL), 10.0 / 3.0, 1e-15);
    /* XᵀY = [10 0; 3 0]: X is turned by the angle whose tangent is 3/10; the zero row counts 0. */
    double c = 10.0 / sqrt(109.0), s = 3.0 / sqrt(109.0);
    check_close("align_cos", ref_align_cos(x, y, 3, 2, 2, NULL), (c + s) / 3.0, 1e-14);
    check_nan("dot", ref_dot(x, y, 2, 3, 2, NULL));
    check_nan("norm", ref_norm(x, y, 2, 3, 2, NULL));
    check_nan("cka_debiased", ref_cka_debiased(x, y, 3, 2, 2, NULL));
}

/* Examples that are all equally far from each other: nothing is left once the diagonal goes,
 * whichever way the rounding falls. */
static void one_hot_examples(void **state)
{
    (void)state;
    for (int n = 4; n < 20; n++) {
        double *x = ref_alloc(n * n, sizeof *x), *y = random_matrix(10, n, 3);
        for (int i = 0; i < n; i++) x[i * n + i] = 0.7;
        check_nan("cka_debiased", ref_cka_debiased(x, y, n, n, 3, NULL));
        free(x);
        free(y);
    }
}

/* A repeated and a constant column do not change the span, nor what depends on it alone. */
static void rank_deficient(void **state)
{
    (void)state;
    enum { N = 30, D = 4, E = 3 };
    double *x = random_matrix(11, N, D), *y = random_matrix(12, N, E), wide[N * (D + 2)];
    for (int i = 0; i < N; i++) {
        memcpy(wide + i * (D + 2), x + i * D, D * sizeof *x);
        wide[i * (D + 2) + D] = 3.0 * x[i * D + 1];
        wide[i * (D + 2) + D + 1] = 0.3;
    }
    check_close("cca_mean", ref_cca_mean(wide, y, N, D + 2, E, NULL),
                ref_cca_mean(x, y, N, D, E, NULL), 1e-12);
    check_close("gulp", ref_gulp(wide, y, N, D + 2, E, NULL), ref_gulp(x, y, N, D, E, NULL), 1e-12);
    check_close("linreg", ref_linreg(y, wide, N, E, D + 2, NULL), ref_linreg(y, x, N, E, D, NULL),
                1e-12);
    free(x);
    free(y);
}

/* ---- assignment ---- */

static double best_by_search(const double *w, int rows, int cols, int row, unsigned used, int left)
{
    if (left == 0) return 0.0;
    double best =
        rows - row > left ? best_by_search(w, rows, cols, row + 1, used, left) : -INFINITY;
    for (int j = 0; j < cols; j++)
        if (!(used >> j & 1u))
            best = fmax(best, w[row * cols + j] +
                                  best_by_search(w, rows, cols, row + 1, used | 1u << j, left - 1));
    return best;
}

static void assignment_is_optimal(void **state)
{
    (void)state;
    static const int shapes[][2] = {{1, 1}, {5, 5}, {3, 6}, {6, 3}, {1, 4}, {4, 1}};
    for (int s = 0; s < 6; s++)
        for (uint64_t seed = 0; seed < 40; seed++) {
            int rows = shapes[s][0], cols = shapes[s][1], few = rows < cols ? rows : cols;
            int match[6], pairs = 0;
            unsigned used = 0;
            double *w = random_matrix(100 + seed, rows, cols), sum = 0.0;
            if (seed % 3 == 1) /* many ties */
                for (int i = 0; i < rows * cols; i++) w[i] = round(w[i]);
            if (seed % 3 == 2) /* all negative */
                for (int i = 0; i < rows * cols; i++) w[i] = -fabs(w[i]);
            ref_assign_max(w, rows, cols, match);
            for (int i = 0; i < rows; i++)
                if (match[i] >= 0) {
                    assert_false(used >> match[i] & 1u);
                    used |= 1u << match[i];
                    sum += w[i * cols + match[i]];
                    pairs++;
                }
            assert_int_equal(pairs, few);
            check_close("assignment", sum, best_by_search(w, rows, cols, 0, 0, few), 1e-12);
            free(w);
        }
}

/* Columns shuffled and one dropped are found again: distance = norm of the dropped column. */
static void shuffled_columns(void **state)
{
    (void)state;
    enum { N = 60, D = 8 };
    static const int from[D - 1] = {3, 7, 0, 5, 1, 6, 4}; /* column 2 is missing */
    double *x = random_matrix(13, N, D), y[N * (D - 1)], missing = 0.0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < D - 1; j++) y[i * (D - 1) + j] = x[i * D + from[j]];
        missing += x[i * D + 2] * x[i * D + 2];
    }
    check_close("perm_procrustes", ref_perm_procrustes(x, y, N, D, D - 1, NULL), sqrt(missing),
                1e-13);
    check_close("hard_corr", ref_hard_corr(x, y, N, D, D - 1, NULL), 1.0, 1e-14);
    free(x);
}

/* ---- matrices ---- */

static void random_numbers_are_normal(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    double *x = random_matrix(14, COUNT, 1), *other = random_matrix(15, COUNT, 1);
    double mean = 0.0, square = 0.0, fourth = 0.0, cross = 0.0, lag = 0.0;
    for (int i = 0; i < COUNT; i++) {
        mean += x[i] / COUNT;
        square += x[i] * x[i] / COUNT;
        fourth += x[i] * x[i] * x[i] * x[i] / COUNT;
        cross += x[i] * other[i] / COUNT;
        lag += i > 0 ? x[i] * x[i - 1] / COUNT : 0.0;
    }
    /* Four standard errors and more. */
    check_close("mean", mean, 0.0, 0.03);
    check_close("variance", square, 1.0, 0.045);
    check_close("fourth moment", fourth, 3.0, 0.3);
    check_close("correlation of seeds", cross, 0.0, 0.03);
    check_close("correlation of neighbours", lag, 0.0, 0.03);
    free(x);
    free(other);
}

static void prescribed_singular_values(void **state)
{
    (void)state;
    static const int shapes[][2] = {{50, 12}, {9, 20}, {12, 12}};
    for (int s = 0; s < 3; s++) {
        int n = shapes[s][0], d = shapes[s][1], k = n - 1 < d ? n - 1 : d;
        double *x = ref_alloc((int64_t)n * d, sizeof *x);
        ref_conditioned_matrix(16, n, d, 1e6, false, x);
        double *c = ref_centre(x, n, d);
        for (int i = 0; i < n * d; i++) check_close("centred already", c[i], x[i], 1e-16);
        ref_svd f;
        assert_true(ref_svd_make(c, n, d, &f));
        for (int i = 0; i < k; i++) {
            double expected = pow(1e-6, (double)i / (k - 1));
            check_close("singular value", f.s[i], expected, 1e-15);
        }
        if (f.k > k) /* the direction that centring takes */
            check_close("singular value", f.s[k], 0.0, 1e-15);
        ref_svd_free(&f);
        free(c);
        free(x);
    }
}

static void gap_at_the_rank_floor(void **state)
{
    (void)state;
    static const double conds[] = {1e3, 1e5, 1e8, 1e12};
    enum { N = 90, D = 40 };
    double *x = ref_alloc(N * D, sizeof *x);
    for (int t = 0; t < 4; t++) {
        ref_svd f;
        ref_conditioned_matrix(17, N, D, conds[t], true, x);
        assert_true(ref_svd_make(x, N, D, &f));
        int above = 0;
        for (int i = 0; i < D; i++) {
            assert_true(f.s[i] < 3e-6 || f.s[i] > 3e-5);
            above += f.s[i] > 3e-5;
        }
        check_close("largest", f.s[0], 1.0, 1e-14);
        check_close("smallest", f.s[D - 1], conds[t] == 1e5 ? 4e-5 : 1.0 / conds[t], 1e-15);
        assert_int_equal(ref_svd_rank(&f, 1e-10), above);
        assert_true(t < 2 ? above == D : above > D / 4 && above < D);
        ref_svd_free(&f);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_stream),
        cmocka_unit_test(golden_values),
        cmocka_unit_test(every_measure_has_a_golden_value),
        cmocka_unit_test(symmetry_is_as_declared),
        cmocka_unit_test(options),
        cmocka_unit_test(prescribed_canonical_correlations),
        cmocka_unit_test(identical_matrices),
        cmocka_unit_test(far_offset),
        cmocka_unit_test(constant_layer),
        cmocka_unit_test(zero_rows_and_widths),
        cmocka_unit_test(one_hot_examples),
        cmocka_unit_test(rank_deficient),
        cmocka_unit_test(assignment_is_optimal),
        cmocka_unit_test(shuffled_columns),
        cmocka_unit_test(random_numbers_are_normal),
        cmocka_unit_test(prescribed_singular_values),
        cmocka_unit_test(gap_at_the_rank_floor),
    };
    return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
