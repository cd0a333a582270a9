/* Grids side by side, matrices dealt over them, and decompositions on them against LAPACK's. */
#include "grid_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/pdense.h"

extern int numroc_(const int *, const int *, const int *, const int *, const int *);
extern int indxl2g_(const int *, const int *, const int *, const int *, const int *);

static void shares_are_those_of_scalapack(void **state)
{
    (void)state;
    const int zero = 0;
    for (int n = 0; n < 40; n++) {
        for (int b = 1; b < 9; b++) {
            for (int places = 1; places < 6; places++) {
                for (int at = 0; at < places; at++) {
                    int mine = numroc_(&n, &b, &at, &zero, &places);
                    assert_int_equal(csim__grid_share(n, b, at, places), mine);
                    for (int i = 1; i <= mine; i++) {
                        assert_int_equal(csim__grid_index(i - 1, b, at, places) + 1,
                                         indxl2g_(&i, &b, &at, &zero, &places));
                    }
                }
            }
        }
    }
    assert_true(csim__grid_share((int64_t)3 << 40, 64, 1, 3) == (int64_t)1 << 40);
}

static void grids_lie_side_by_side(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx), rank = csim_context_rank(ctx);
    for (int p = 1; p <= size + 1; p++) {
        for (int q = 1; q <= size + 1; q++) {
            csim__grid *g = NULL;
            csim_status st = csim__grid_create(ctx, p, q, &g);
            assert_true(harness_same(ctx, st));
            if (p * q > size) {
                assert_int_equal(st, CSIM_E_ARG);
                assert_null(g);
                assert_non_null(strstr(csim_context_error(ctx), "a grid of"));
                continue;
            }
            assert_int_equal(st, CSIM_OK);
            assert_int_equal(g->groups, size / (p * q));
            bool idle = rank >= g->groups * p * q;
            assert_true((g->ctx == NULL) == idle);
            assert_int_equal(g->group, idle ? -1 : rank / (p * q));
            if (!idle) {
                assert_int_equal(csim_context_size(g->ctx), p * q);
                assert_int_equal(g->row * q + g->col, rank % (p * q));
                assert_int_equal(csim_context_rank(g->ctx), rank % (p * q));
            }
            csim__grid_free(&g);
        }
    }
    csim__grid *g = NULL;
    assert_int_equal(csim__grid_create(ctx, 0, 1, &g), CSIM_E_ARG);
    assert_int_equal(csim__grid_create(ctx, 1 << 20, 1 << 20, &g), CSIM_E_ARG);
    harness_context_free(&ctx);
}

/* Grids are made once a sweep, but a program may run many sweeps. */
static void grids_come_and_go(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx);
    for (int i = 0; i < 100; i++) {
        csim__grid *g = NULL, *h = NULL;
        assert_int_equal(csim__grid_create(ctx, 1, 1 + i % size, &g), CSIM_OK);
        assert_int_equal(csim__grid_create(ctx, size, 1, &h), CSIM_OK);
        csim__grid_free(i % 2 ? &g : &h);
        csim__grid_free(i % 2 ? &h : &g);
    }
    harness_context_free(&ctx);
}

static double element(int64_t i, int64_t j)
{
    return (double)(i * 10000 + j);
}

static void round_trip(csim__grid *g)
{
    static const int sizes[][2] = {{1, 1},   {1, 9},    {9, 1},   {2, 3},  {12, 12},
                                   {64, 65}, {130, 70}, {7, 200}, {200, 7}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int m = sizes[k][0], n = sizes[k][1];
        csim__dealt a;
        double *in = ref_alloc((int64_t)m * n, sizeof *in), *out = ref_alloc((int64_t)m * n, 8);
        for (int i = 0; i < m * n; i++) { in[i] = element(i / n, i % n); }
        assert_int_equal(csim__dealt_make(g, m, n, "a matrix", &a), CSIM_OK);
        assert_int_equal(csim__dealt_scatter(&a, leads(g) ? in : NULL), CSIM_OK);
        for (int i = 0; i < a.m_loc; i++) {
            for (int j = 0; j < a.n_loc; j++) {
                int64_t col = csim__grid_index(j, g->block, g->row, g->p);
                assert_true(a.x[i * a.n_loc + j] == element(csim__dealt_row(&a, i), col));
            }
        }
        assert_int_equal(csim__dealt_gather(&a, leads(g) ? out : NULL), CSIM_OK);
        if (leads(g)) { assert_memory_equal(in, out, (size_t)m * (size_t)n * sizeof *in); }
        csim__dealt_clear(&a);
        free(in);
        free(out);
    }
}

static void scatter_and_gather_return_the_matrix(void **state)
{
    (void)state;
    on_grids(round_trip);
}

static void shares_too_large_are_refused(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__grid *g = NULL;
    csim__dealt a;
    assert_int_equal(csim__grid_create(ctx, 1, 1, &g), CSIM_OK);
    assert_int_equal(csim__dealt_make(g, 50000, 50000, "a block", &a), CSIM_E_LIMIT);
    assert_non_null(strstr(csim_context_error(g->ctx), "50000 x 50000 on a grid of 1 x 1"));
    csim__forgive(g->ctx);
    assert_int_equal(csim__dealt_make(g, (int64_t)1 << 33, 1, "a block", &a), CSIM_E_LIMIT);
    csim__forgive(g->ctx);
    /* it has room for itself, its vectors have none on the leader */
    a = (csim__dealt){.grid = g, .m = 40000, .n = 40000};
    double s = 0;
    assert_int_equal(csim__pd_svd(&a, &s, &a, &a, &s, &s), CSIM_E_LIMIT);
    assert_non_null(strstr(csim_context_error(g->ctx), "workspace of a decomposition"));
    csim__grid_free(&g);
    harness_context_free(&ctx);
}

/* ---- decompositions ---- */

static void values_of(csim__grid *g)
{
    for (size_t i = 0; i < CASE_SHAPES; i++) {
        const shape *l = &shapes[i];
        int k = l->m < l->n ? l->m : l->n;
        double *whole = make_matrix(g, l, i), *expected = expected_values(g, l, whole);
        double *s = ref_alloc(k, sizeof *s);
        csim__dealt a;
        assert_int_equal(csim__dealt_make(g, l->m, l->n, "a matrix", &a), CSIM_OK);
        assert_int_equal(csim__dealt_scatter(&a, leads(g) ? whole : NULL), CSIM_OK);
        assert_int_equal(csim__pd_singular_values(&a, s), CSIM_OK);
        near(k, s, expected, SCALE_ERROR * expected[0]); /* on every rank */
        csim__dealt_clear(&a);
        free(s);
        free(expected);
        free(whole);
    }
}

static void singular_values_are_those_of_lapack(void **state)
{
    (void)state;
    on_grids(values_of);
}

static void vectors_of(csim__grid *g, bool squares)
{
    for (size_t i = 0; i < CASE_SHAPES; i++) {
        const shape *l = &shapes[i];
        int m = l->m, n = l->n, k = m < n ? m : n;
        double *whole = make_matrix(g, l, i), *expected = expected_values(g, l, whole);
        double *s = ref_alloc(k, 8), *us = ref_alloc((int64_t)m * k, 8);
        double *vs = ref_alloc((int64_t)k * n, 8);
        csim__dealt a, u, v;
        csim__doubt doubt, same;
        assert_int_equal(csim__dealt_make(g, m, n, "a matrix", &a), CSIM_OK);
        assert_int_equal(csim__dealt_make(g, squares ? k : m, squares ? m : k, "u", &u), CSIM_OK);
        assert_int_equal(csim__dealt_make(g, k, n, "v", &v), CSIM_OK);
        assert_int_equal(csim__dealt_scatter(&a, leads(g) ? whole : NULL), CSIM_OK);
        if (squares) {
            assert_int_equal(csim__pd_svd_by_squares(CSIM__VECTORS, &a, s, &u, &v, &doubt),
                             CSIM_OK);
            near(k, s, expected, 1e-7 * expected[0]); /* what squares leave of small values */
            assert_int_equal(csim__pd_svd_by_squares(CSIM__VALUES, &a, s, NULL, NULL, &same),
                             CSIM_OK);
            near(k, s, expected, 1e-7 * expected[0]);
            if (l->rank == 0) { assert_true(fabs(same.values / doubt.values - 1) < 0.01); }
            double error = 0;
            for (int c = 0; c < k; c++) { error += fabs(s[c] - expected[c]); }
            assert_true(error <= doubt.values * expected[0]);
        } else {
            assert_int_equal(csim__pd_svd(&a, s, &u, &v, us, vs), CSIM_OK);
            near(k, s, expected, SCALE_ERROR * expected[0]);
        }
        assert_int_equal(csim__dealt_gather(&u, us), CSIM_OK);
        assert_int_equal(csim__dealt_gather(&v, vs), CSIM_OK);
        if (leads(g)) { check_vectors(l, whole, s, us, squares, vs); }
        csim__dealt_clear(&v);
        csim__dealt_clear(&u);
        csim__dealt_clear(&a);
        free(vs);
        free(us);
        free(s);
        free(expected);
        free(whole);
    }
}

static void svd_of(csim__grid *g)
{
    vectors_of(g, false);
}

static void squares_of(csim__grid *g)
{
    vectors_of(g, true);
}

static void svd_gives_back_the_matrix(void **state)
{
    (void)state;
    on_grids(svd_of);
}

static void squares_give_back_the_matrix(void **state)
{
    (void)state;
    on_grids(squares_of);
}

/* A symmetric matrix with eigenvalues of both signs. */
static void eigen_of(csim__grid *g)
{
    static const int sizes[] = {1, 2, 7, 64, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int n = sizes[i];
        shape l = {n, n, 0};
        double *whole = make_matrix(g, &l, 50 + i), *lapack = ref_alloc((int64_t)n * n, 8);
        double *w = ref_alloc(n, 8), *expected = ref_alloc(n, 8);
        double *zs = ref_alloc((int64_t)n * n, 8);
        for (int r = 0; r < n; r++) {
            for (int c = 0; c < r; c++) { whole[r * n + c] = 1e30; } /* not to be read */
        }
        memcpy(lapack, whole, (size_t)n * (size_t)n * sizeof *lapack);
        assert_int_equal(csim__eigen(g->whole, CSIM__VALUES, n, lapack, expected), CSIM_OK);
        double scale = fmax(fabs(expected[0]), fabs(expected[n - 1]));
        csim__dealt a, z;
        assert_int_equal(csim__dealt_make(g, n, n, "a matrix", &a), CSIM_OK);
        assert_int_equal(csim__dealt_make(g, n, n, "vectors", &z), CSIM_OK);
        for (int want = 0; want < 2; want++) {
            assert_int_equal(csim__dealt_scatter(&a, leads(g) ? whole : NULL), CSIM_OK);
            assert_int_equal(csim__pd_eigen(want ? CSIM__VECTORS : CSIM__VALUES, &a, w, &z),
                             CSIM_OK);
            near(n, w, expected, SCALE_ERROR * scale);
        }
        assert_int_equal(csim__dealt_gather(&z, zs), CSIM_OK);
        for (int k = 0; leads(g) && k < n; k++) { /* A z = w z */
            for (int r = 0; r < n; r++) {
                double sum = 0;
                for (int c = 0; c < n; c++) {
                    sum += (r < c ? whole[r * n + c] : whole[c * n + r]) * zs[k * n + c];
                }
                assert_true(fabs(sum - w[k] * zs[k * n + r]) <= SCALE_ERROR * scale);
            }
        }
        csim__dealt_clear(&z);
        csim__dealt_clear(&a);
        free(zs);
        free(expected);
        free(w);
        free(lapack);
        free(whole);
    }
}

static void eigenvalues_are_those_of_lapack(void **state)
{
    (void)state;
    on_grids(eigen_of);
}

/* ---- failures ---- */

/* Values of one matrix on this grid, with one number of it replaced if @p spoilt. */
static csim_status attempt(csim__grid *g, bool spoilt, double value, double *error)
{
    shape l = {40, 30, 0};
    double *whole = make_matrix(g, &l, 7), *expected = expected_values(g, &l, whole);
    double *s = ref_alloc(30, sizeof *s);
    csim__dealt a;
    if (spoilt) { whole[29 * 30 + 17] = value; }
    assert_int_equal(csim__dealt_make(g, 40, 30, "a matrix", &a), CSIM_OK);
    csim_status st = csim__dealt_scatter(&a, whole);
    if (st == CSIM_OK) { st = csim__pd_singular_values(&a, s); }
    assert_true(harness_same(g->ctx, st));
    *error = 0;
    for (int i = 0; st == CSIM_OK && i < 30; i++) {
        *error = fmax(*error, fabs(s[i] - expected[i]) / expected[0]);
    }
    csim__dealt_clear(&a);
    free(s);
    free(expected);
    free(whole);
    return st;
}

/* Every other grid gets what has no decomposition; then all get what has. */
static void failures_stay_where_they_are(csim__grid *g)
{
    static const double bad[] = {NAN, INFINITY};
    double error;
    for (int k = 0; k < 2; k++) {
        bool mine = g->group % 2 == 0;
        assert_int_equal(attempt(g, mine, bad[k], &error), mine ? CSIM_E_NUMERIC : CSIM_OK);
        assert_true(error <= SCALE_ERROR);
        if (mine) {
            assert_non_null(strstr(csim_context_error(g->ctx), "a 40 x 30 matrix is not finite"));
        }
        assert_int_equal(attempt(g, false, 0, &error), CSIM_OK);
        assert_true(error <= SCALE_ERROR);
    }
    int struck = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        csim_context_set_faults(g->ctx, 4, seed + 1000 * (uint64_t)g->group);
        csim_status st = attempt(g, false, 0, &error);
        csim_context_set_faults(g->ctx, 0, 0);
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        assert_true(error <= SCALE_ERROR);
        struck += st == CSIM_E_FAULT;
        assert_int_equal(attempt(g, false, 0, &error), CSIM_OK);
        assert_true(error <= SCALE_ERROR);
    }
    assert_in_range(struck, 1, 11);
}

static void a_failing_grid_leaves_others_intact(void **state)
{
    (void)state;
    on_grids(failures_stay_where_they_are);
}

/* The making of grids under faults: one status, nothing left behind. */
static void grids_fail_everywhere(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int failed = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        csim__grid *g = NULL;
        csim_context_set_faults(ctx, 6, seed);
        csim_status st = csim__grid_create(ctx, 1, csim_context_size(ctx), &g);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        assert_true((g != NULL) == (st == CSIM_OK));
        failed += st != CSIM_OK;
        csim__grid_free(&g);
        assert_int_equal(csim_context_memory_live(ctx), 0);
    }
    assert_in_range(failed, 5, 29);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_those_of_scalapack),
        cmocka_unit_test(grids_lie_side_by_side),
        cmocka_unit_test(grids_come_and_go),
        cmocka_unit_test(scatter_and_gather_return_the_matrix),
        cmocka_unit_test(shares_too_large_are_refused),
        cmocka_unit_test(singular_values_are_those_of_lapack),
        cmocka_unit_test(svd_gives_back_the_matrix),
        cmocka_unit_test(squares_give_back_the_matrix),
        cmocka_unit_test(eigenvalues_are_those_of_lapack),
        cmocka_unit_test(a_failing_grid_leaves_others_intact),
        cmocka_unit_test(grids_fail_everywhere),
    };
    return harness_finish(cmocka_run_group_tests_name("grid", tests, NULL, NULL));
}
