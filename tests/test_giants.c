/* One example that outweighs all others, as language models have them: ‖K‖² is little more than the
 * squares of its diagonal then, and what is compared without the diagonal must keep its digits. */
#include "sweep_case.h"

#include <math.h>
#include <stdlib.h>

#define CONTRACT 1e-8

enum { N = 200, D = 12, E = 9 };

static double *matrix(int n, int d)
{
    return ref_alloc((int64_t)n * d, sizeof(double));
}

/* One example so large that almost nothing of a self-term is left without its diagonal. */
static void copies_with_a_giant(void **state)
{
    (void)state;
    enum { ROWS = 2000, WIDTH = 8 };
    csim_context *ctx = harness_context();
    double *x = matrix(ROWS, WIDTH);
    for (int k = 0; k < 8; k++) {
        ref_random_matrix(220 + k, ROWS, WIDTH, x);
        for (int j = 0; j < WIDTH; j++) { x[50 * WIDTH + j] *= 1e4; }
        sweep_case c = case_pair(x, x, ROWS, WIDTH, WIDTH);
        c.measures = "cka,cka_debiased,cka_lange";
        csim_results *r = case_results(ctx, &c);
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            assert_int_equal(case_cell(r, name, 0, 0), CSIM_CELL_DONE);
            assert_true(fabs(case_value(r, name, 0, 0) - 1) <= 1e-12);
        }
        csim_results_free(&r);
    }
    free(x);
    harness_context_free(&ctx);
}

/* One example of 1000, 1e4, … times the norm is almost all of ‖K‖², and little of what is compared
 * without the diagonal. On every route, with both precisions, and never a wrong value. */
static void giants(void **state)
{
    (void)state;
    static const char *const together[] = {"cka,cka_debiased,cka_lange",
                                           "cka,cka_debiased,cka_lange,procrustes",
                                           "cka,cka_debiased,cka_lange,svcca"};
    static const int rows[] = {30, N};
    csim_context *ctx = harness_context();
    double *x = matrix(N, D), *y = matrix(N, E);
    int wrong = 0;
    for (int k = 3; k <= 6; k++) { /* further on the reference itself has too few digits */
        ref_random_matrix(190 + (uint64_t)k, N, D, x);
        ref_random_matrix(290 + (uint64_t)k, N, E, y);
        for (int i = 0; i < N * E; i++) { y[i] += x[i / E * D + i % E]; }
        for (int j = 0; j < D; j++) { x[7 * D + j] *= pow(10, k); }
        for (int j = 0; j < E; j++) { y[9 * E + j] *= pow(10, k); }
        for (size_t i = 0; i < 8; i++) {
            bool single = i >= 6;
            sweep_case c = case_pair(x, y, rows[i % 2], D, E);
            c.measures = together[single ? 0 : i / 2];
            c.precision = single ? CSIM_SINGLE_PRECISION : CSIM_DOUBLE;
            csim_results *r = case_results(ctx, &c);
            for (int v = 0; v < 3; v++) {
                const char *name = csim_results_variable(r, v)->name;
                if (single && k > 3 && case_note(r, name, 0, 0) == CSIM_NOTE_PRECISION) {
                    assert_int_equal(case_cell(r, name, 0, 0), CSIM_CELL_FAILED);
                    continue;
                }
                double expected = case_reference(ctx, name, &c.site[0], &c.site[1]);
                case_near(&wrong, "a giant on either side", name, case_value(r, name, 0, 0),
                          expected, single ? 1e-5 : 1e-9);
            }
            csim_results_free(&r);
        }
    }
    free(y);
    free(x);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* A site and its copy are one to every precision and route, whatever its examples are like, also
 * where there are too many of them for tiles. */
static void copies_are_one(void **state)
{
    (void)state;
    enum { MANY = 4200, FEW = 400, WIDTH = 6 };
    static const char *const names[] = {"cka", "cka_debiased", "cka_lange"};
    csim_context *ctx = harness_context();
    double *x = matrix(MANY, WIDTH);
    for (int k = 0; k < 4; k++) {
        ref_random_matrix(230 + (uint64_t)k, MANY, WIDTH, x);
        for (int j = 0; j < WIDTH; j++) { x[50 * WIDTH + j] *= pow(10, 2 * k); }
        for (int i = 0; i < 6; i++) {
            sweep_case c = {.pairs = "all"};
            int n = i % 2 ? MANY : FEW;
            case_add(&c, "a", x, n, WIDTH);
            case_add(&c, "b", x, n, WIDTH);
            c.precision = i < 2 ? CSIM_SINGLE_PRECISION : CSIM_DOUBLE;
            c.measures = i < 4 ? "cka,cka_debiased,cka_lange" : "cka,cka_debiased,cka_lange,svcca";
            csim_results *r = case_results(ctx, &c);
            for (int v = 0; v < 12; v++) {
                const char *name = names[v / 4];
                int p = v / 2 % 2, q = v % 2;
                assert_int_equal(case_cell(r, name, p, q), CSIM_CELL_DONE);
                assert_true(fabs(case_value(r, name, p, q) - 1) <= 1e-12);
            }
            csim_results_free(&r);
        }
    }
    free(x);
    harness_context_free(&ctx);
}

/* More examples than tiles are affordable for: what rounding takes is said, and not invented. */
static void giants_beyond_tiles(void **state)
{
    (void)state;
    enum { MANY = 4200, WIDTH = 6 };
    csim_context *ctx = harness_context();
    double *x = matrix(MANY, WIDTH), *y = matrix(MANY, WIDTH);
    for (int k = 0; k < 5; k++) {
        ref_random_matrix(240, MANY, WIDTH, x);
        ref_random_matrix(241, MANY, WIDTH, y);
        for (int i = 0; i < MANY * WIDTH; i++) { y[i] += x[i]; }
        for (int j = 0; j < WIDTH; j++) { x[50 * WIDTH + j] *= pow(10, 2 * k); }
        for (int single = 0; single < 2; single++) {
            sweep_case c = case_pair(x, y, MANY, WIDTH, WIDTH);
            c.measures = "cka_debiased";
            c.precision = single ? CSIM_SINGLE_PRECISION : CSIM_DOUBLE;
            csim_results *r = case_results(ctx, &c);
            if (case_cell(r, "cka_debiased", 0, 0) == CSIM_CELL_DONE) {
                double expected = case_reference(ctx, "cka_debiased", &c.site[0], &c.site[1]);
                double error = fabs(case_value(r, "cka_debiased", 0, 0) - expected);
                assert_true(error <= (single ? 1e-4 : CONTRACT));
                assert_true(k <= (single ? 1 : 3));
            } else {
                assert_int_equal(case_note(r, "cka_debiased", 0, 0), CSIM_NOTE_PRECISION);
                assert_true(k >= (single ? 1 : 2));
            }
            csim_results_free(&r);
        }
    }
    free(y);
    free(x);
    harness_context_free(&ctx);
}

/* Tiles that the memory limit has no room for: the cells that want them say so, all others have the
 * values that they have without a limit. */
static void giants_without_room(void **state)
{
    (void)state;
    static const int width[] = {32, 32, 24, 24};
    csim_context *ctx = harness_context();
    sweep_case c = {.measures = "cka,cka_debiased,cka_lange,hsic"};
    case_mix(&c, 4000, width, 4, 3, 8);
    csim_results *loose = case_results(ctx, &c);
    c.memory = INT64_C(1) << 20;
    csim_results *tight = case_results(ctx, &c);
    for (int v = 0; v < csim_results_count(tight); v++) {
        const char *name = csim_results_variable(tight, v)->name;
        bool diagonal = csim_measure_find(name)->needs & CSIM_NEEDS_DIAGONAL;
        for (int i = 0; i < 3; i++) {
            assert_int_equal(case_cell(loose, name, i, 0), CSIM_CELL_DONE);
            if (diagonal && i < 2) {
                assert_int_equal(case_cell(tight, name, i, 0), CSIM_CELL_UNDEFINED);
                assert_int_equal(case_note(tight, name, i, 0), CSIM_NOTE_NO_ROOM);
            } else {
                assert_true(case_value(tight, name, i, 0) == case_value(loose, name, i, 0));
            }
        }
    }
    csim_results_free(&tight);
    csim_results_free(&loose);
    case_unmix(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_with_a_giant), cmocka_unit_test(giants),
        cmocka_unit_test(copies_are_one),      cmocka_unit_test(giants_beyond_tiles),
        cmocka_unit_test(giants_without_room),
    };
    return harness_finish(cmocka_run_group_tests_name("giants", tests, NULL, NULL));
}
