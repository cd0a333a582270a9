/* A leader who asks its grid for decompositions, of its own matrices and of dealt ones. */
#include "grid_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/team.h"

static void ask_team(csim__grid *g)
{
    csim__team team = {.grid = g, .least = 20};
    if (!leads(g)) {
        assert_int_equal(csim__team_serve(&team), CSIM_OK);
        return;
    }
    for (size_t i = 0; i < CASE_SHAPES; i++) {
        const shape *l = &shapes[i];
        int m = l->m, n = l->n, k = m < n ? m : n;
        double *whole = make_matrix(g, l, i), *expected = expected_values(g, l, whole);
        double *copy = ref_alloc((int64_t)m * n, 8), *s = ref_alloc(k, 8);
        double *u = ref_alloc((int64_t)m * k, 8), *v = ref_alloc((int64_t)k * n, 8);
        csim__doubt doubt;
        int64_t asked = team.asked;
        size_t bytes = (size_t)m * (size_t)n * sizeof *copy;
        memcpy(copy, whole, bytes);
        csim__matter x = {.m = m, .n = n, .a = copy};
        assert_int_equal(
            csim__team_svd_by_squares(g->whole, &team, CSIM__VALUES, &x, s, NULL, NULL, &doubt),
            CSIM_OK);
        assert_memory_equal(copy, whole, bytes);
        near(k, s, expected, 1e-7 * expected[0]);
        assert_int_equal(csim__team_svd(g->whole, &team, CSIM__VECTORS, &x, s, u, v), CSIM_OK);
        near(k, s, expected, SCALE_ERROR * expected[0]);
        check_vectors(l, whole, s, u, false, v);
        memcpy(copy, whole, bytes);
        assert_int_equal(
            csim__team_svd_by_squares(g->whole, &team, CSIM__VECTORS, &x, s, u, v, &doubt),
            CSIM_OK);
        check_vectors(l, whole, s, u, true, v);
        assert_int_equal(team.asked - asked, k >= 20 ? 3 : 0);
        copy[0] = NAN; /* is reported, and does not end the team */
        csim_status st = csim__team_svd(g->whole, &team, CSIM__VALUES, &x, s, NULL, NULL);
        if (k >= 20) {
            assert_int_equal(st, CSIM_E_NUMERIC);
            assert_non_null(strstr(csim_context_error(g->whole), "is not finite"));
        }
        csim__forgive(g->whole);
        free(v);
        free(u);
        free(s);
        free(copy);
        free(expected);
        free(whole);
    }
    csim__team_dismiss(&team);
}

static void a_team_does_what_its_leader_asks(void **state)
{
    (void)state;
    on_grids(ask_team);
}

enum { DEALT_ROWS = 70, DEALT_COLS = 61, SPOILT = 1, DEALT_MATRICES };

/* diag(p) A diag(q) of the leading m×n of the first matrix, and its values by LAPACK. */
static void check_part(csim__team *team, const double *whole, int m, int n, const double *p,
                       const double *q)
{
    csim_context *ctx = team->grid->whole;
    int k = m < n ? m : n;
    csim__matter x = {.m = m, .n = n, .p = p, .q = q};
    shape l = {m, n, 0};
    double *part = ref_alloc((int64_t)m * n, 8), *s = ref_alloc(k, 8), sum, direct = 0;
    double *u = ref_alloc((int64_t)m * k, 8), *v = ref_alloc((int64_t)k * n, 8);
    csim__doubt doubt;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double f = p != NULL ? p[i] : 1, g = q != NULL ? q[j] : 1,
                   a = whole[i * DEALT_COLS + j];
            part[i * n + j] = f * a * g;
            direct += f * a * a * g;
        }
    }
    double *expected = expected_values(team->grid, &l, part);
    assert_int_equal(csim__team_svd(ctx, team, CSIM__VALUES, &x, s, NULL, NULL), CSIM_OK);
    near(k, s, expected, SCALE_ERROR * expected[0]);
    assert_int_equal(csim__team_svd(ctx, team, CSIM__VECTORS, &x, s, u, v), CSIM_OK);
    near(k, s, expected, SCALE_ERROR * expected[0]);
    check_vectors(&l, part, s, u, false, v);
    assert_int_equal(csim__team_svd_by_squares(ctx, team, CSIM__VECTORS, &x, s, u, v, &doubt),
                     CSIM_OK);
    check_vectors(&l, part, s, u, true, v);
    assert_int_equal(csim__team_square(ctx, team, &x, &sum), CSIM_OK);
    near(1, &sum, &direct, 1e-13 * expected[0] * expected[0]);
    free(expected);
    free(v);
    free(u);
    free(s);
    free(part);
}

static void ask_dealt(csim__grid *g)
{
    csim__dealt dealt[DEALT_MATRICES];
    csim__team team = {.grid = g, .least = 1000, .dealt = dealt};
    shape l = {DEALT_ROWS, DEALT_COLS, 0};
    double *whole = make_matrix(g, &l, 91), *p = ref_alloc(DEALT_ROWS, 8), *q = ref_alloc(70, 8);
    for (int k = 0; k < DEALT_MATRICES; k++) {
        assert_int_equal(csim__dealt_make(g, l.m, l.n, "a matrix", &dealt[k]), CSIM_OK);
        if (k == SPOILT) { whole[l.m * l.n - 1] = NAN; }
        assert_int_equal(csim__dealt_scatter(&dealt[k], whole), CSIM_OK);
    }
    for (int i = 0; i < DEALT_ROWS; i++) {
        p[i] = 1.0 / (i + 1);
        q[i] = i % 7 + 0.5;
    }
    if (leads(g)) {
        double s[DEALT_ROWS];
        csim__matter bad = {.m = l.m, .n = l.n, .dealt = SPOILT};
        csim__matter good = {.m = l.m - 1, .n = l.n - 1, .dealt = SPOILT};
        check_part(&team, whole, l.m, l.n - 1, NULL, NULL);
        check_part(&team, whole, 50, l.n, p, q);
        assert_int_equal(csim__team_svd(g->whole, &team, CSIM__VALUES, &bad, s, NULL, NULL),
                         CSIM_E_NUMERIC);
        csim__forgive(g->whole);
        assert_int_equal(csim__team_svd(g->whole, &team, CSIM__VALUES, &good, s, NULL, NULL),
                         CSIM_OK);
        check_part(&team, whole, 67, 5, p, NULL);
        csim__team_dismiss(&team);
    } else {
        assert_int_equal(csim__team_serve(&team), CSIM_OK);
    }
    for (int k = 0; k < DEALT_MATRICES; k++) { csim__dealt_clear(&dealt[k]); }
    free(q);
    free(p);
    free(whole);
}

static void a_team_decomposes_what_is_dealt(void **state)
{
    (void)state;
    on_grids(ask_dealt);
}

/* Values of a dealt matrix on 2×2 ranks: none of them ever has room for all of it. */
static void no_rank_takes_a_whole_matrix(void **state)
{
    (void)state;
    enum { D = 640 };
    csim_context *ctx = harness_context();
    csim__grid *g = NULL;
    csim__dealt a;
    double s[D];
    csim__doubt doubt;
    if (csim_context_size(ctx) != 4) { skip(); }
    assert_int_equal(csim__grid_create(ctx, 2, 2, &g), CSIM_OK);
    assert_int_equal(csim__dealt_make(g, D, D, "a matrix", &a), CSIM_OK);
    for (int64_t i = 0; i < (int64_t)a.m_loc * a.n_loc; i++) { a.x[i] = (double)(i * i % 101); }
    csim__team team = {.grid = g, .dealt = &a};
    if (leads(g)) {
        csim__matter x = {.m = D, .n = D};
        assert_int_equal(
            csim__team_svd_by_squares(ctx, &team, CSIM__VALUES, &x, s, NULL, NULL, &doubt),
            CSIM_OK);
        assert_int_equal(csim__team_svd(ctx, &team, CSIM__VALUES, &x, s, NULL, NULL), CSIM_OK);
        csim__team_dismiss(&team);
    } else {
        assert_int_equal(csim__team_serve(&team), CSIM_OK);
    }
    assert_true(csim_context_memory_peak(ctx) < (int64_t)D * D * (int64_t)sizeof *s);
    csim__dealt_clear(&a);
    csim__grid_free(&g);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_does_what_its_leader_asks),
        cmocka_unit_test(a_team_decomposes_what_is_dealt),
        cmocka_unit_test(no_rank_takes_a_whole_matrix),
    };
    return harness_finish(cmocka_run_group_tests_name("team", tests, NULL, NULL));
}
