/* Retrieval: draws, ties, undefined values, misuse, faults, bits on every rank count. */
#include "bench_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static csim_context *ctx;

/* ---- draws and outcomes ---- */

static void test_candidates(void **state)
{
    (void)state;
    enum { ROWS = 13, GROUP = 3, MANY = 20000 };
    csim__draw draw;
    int64_t row[GROUP], again[GROUP], count[GROUP][ROWS] = {{0}};
    assert_int_equal(csim__draw_make(ctx, ROWS, GROUP, 7, &draw), CSIM_OK);
    for (int64_t j = 0; j < MANY; j++) {
        csim__bench_candidate(&draw, 2, j % 10000, row);
        if (j >= 10000) { csim__bench_candidate(&draw, 3, j % 10000, row); }
        int64_t first = j >= 10000 ? 9 : 6;
        for (int i = 0; i < GROUP; i++) {
            assert_in_range(row[i], 0, ROWS - 1);
            assert_true(row[i] < first || row[i] >= first + GROUP);
            for (int k = 0; k < i; k++) { assert_int_not_equal(row[i], row[k]); }
            if (first == 6) { count[i][row[i]]++; }
        }
    }
    /* each of the other 10 rows in each place 1000 times of 10000: deviation 30 */
    for (int i = 0; i < GROUP; i++) {
        for (int r = 0; r < ROWS; r++) {
            bool own = r >= 6 && r < 9;
            assert_true(own ? count[i][r] == 0 : labs(count[i][r] - 1000) < 150);
        }
    }
    /* a draw depends on nothing that was drawn before */
    csim__draw fresh;
    csim__bench_candidate(&draw, 1, 5, row);
    assert_int_equal(csim__draw_make(ctx, ROWS, GROUP, 7, &fresh), CSIM_OK);
    csim__bench_candidate(&fresh, 1, 5, again);
    assert_memory_equal(row, again, sizeof row);
    csim__draw_clear(ctx, &fresh);
    csim__draw_clear(ctx, &draw);
}

static void test_outcomes(void **state)
{
    (void)state;
    int64_t lost;
    assert_int_equal(csim__bench_outcome((double[]){3, 1, 2}, 3, false, &lost), 1);
    assert_int_equal(csim__bench_outcome((double[]){3, 1, 2}, 3, true, &lost), 0);
    assert_int_equal(csim__bench_outcome((double[]){1, 1, 2}, 3, true, &lost), 2);
    assert_int_equal(csim__bench_outcome((double[]){2, 2, 2}, 3, false, &lost), 3);
    assert_int_equal(csim__bench_outcome((double[]){2, 2, 3}, 3, false, &lost), 0);
    assert_int_equal(lost, 0);
    assert_int_equal(csim__bench_outcome((double[]){2, NAN, 1}, 3, false, &lost), 1);
    assert_int_equal(lost, 1);
    assert_int_equal(csim__bench_outcome((double[]){2, NAN, 3}, 3, true, &lost), 1);
    assert_int_equal(csim__bench_outcome((double[]){NAN, 1, NAN}, 3, false, &lost), -1);
    assert_int_equal(lost, 1);
}

/* ---- ties, chance, undefined values ---- */

static void test_constant_layers(void **state)
{
    (void)state;
    const int d[] = {3, 3};
    bench_case c = bench_case_make(24, 2, 1, d, 0, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("cka")}};
    for (int i = 0; i < 24 * 3; i++) { c.x[1][0][i] = 0.5; }
    csim_bench *b =
        bench_case_must(ctx, &c, m, 2, (csim_retrieval_options){.group = 4, .candidates = 2});
    /* candidates from the constant set: all tie */
    assert_string_equal(csim_bench_set_name(b, 0, 1), "b");
    assert_true(fabs(csim_bench_accuracy(b, 0, 0, 0) - csim_bench_chance(b)) < 1e-15);
    assert_int_equal(csim_bench_undefined(b, 0, 0, 0, 0), 0);
    for (int p = 0; p < 2; p++) { /* of a constant layer linear CKA is undefined */
        assert_true(csim_bench_accuracy(b, 1, p, 0) == 0);
        assert_int_equal(csim_bench_undefined(b, 1, p, 0, 0), 6);
        assert_int_equal(csim_bench_undefined(b, 1, p, 0, 1), 12);
    }
    csim_bench_free(&b);
    bench_case_free(&c);
}

static void test_unrelated_is_chance(void **state)
{
    (void)state;
    const int d[] = {4, 4};
    bench_case c = bench_case_make(2000, 2, 1, d, 0, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")},
                              {.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("procrustes")}};
    csim_bench *b =
        bench_case_must(ctx, &c, m, 3, (csim_retrieval_options){.group = 4, .candidates = 3});
    double deviation = sqrt(0.25 * 0.75 / 500);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(csim_bench_accuracy(b, i, 0, 0) - 0.25) < 4.5 * deviation);
    }
    csim_bench_free(&b);
    bench_case_free(&c);
}

static void test_unequal_widths(void **state)
{
    (void)state;
    const int d[] = {4, 6};
    bench_case c = bench_case_make(40, 2, 1, d, 1, 0.2);
    csim_bench_measure m[] = {{.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("cka")}};
    csim_bench *b =
        bench_case_must(ctx, &c, m, 2, (csim_retrieval_options){.group = 8, .candidates = 3});
    assert_int_equal(csim_bench_undefined(b, 0, 0, 0, 0), 5);
    assert_true(csim_bench_accuracy(b, 1, 0, 0) > 0.7);
    csim_bench_free(&b);
    bench_case_free(&c);
}

/* ---- misuse ---- */

static void test_errors(void **state)
{
    (void)state;
    const int d[] = {4, 5, 4, 5};
    bench_case c = bench_case_make(20, 2, 2, d, 1, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")},
                              {.measure = csim_measure_find("cka")}};
    csim_bench *b = NULL;
    csim_retrieval_options o = {.group = 4, .candidates = 2},
                           large = {.group = 11, .candidates = 2};
    assert_int_equal(bench_case_run(ctx, &c, m, 1, large, 0, &b), CSIM_E_SHAPE);
    assert_non_null(strstr(csim_context_error(ctx), "expected 22 examples or more"));
    assert_int_equal(bench_case_run(ctx, &c, m, 2, o, 0, &b), CSIM_E_ARG);
    assert_non_null(strstr(csim_context_error(ctx), "cka is there twice"));
    assert_int_equal(bench_case_run(ctx, &c, m, 0, o, 0, &b), CSIM_E_ARG);
    assert_int_equal(bench_case_run(ctx, &c, m, 1, (csim_retrieval_options){.group = 4}, 0, &b),
                     CSIM_E_ARG);
    assert_int_equal(
        bench_case_run(ctx, &c, m, 1, (csim_retrieval_options){.candidates = 4}, 0, &b),
        CSIM_E_ARG);
    c.sets = 1;
    double *kept = c.x[1][1];
    assert_int_equal(bench_case_run(ctx, &c, m, 1, o, 0, &b), CSIM_E_ARG);
    c.sets = 2;
    csim_encoder *e = bench_case_encoder(ctx, "contrasim", 4, 1);
    csim_bench_measure learned_one = {.encoder = e};
    assert_int_equal(bench_case_run(ctx, &c, &learned_one, 1, o, 0, &b),
                     CSIM_E_SHAPE); /* width 5 */
    assert_null(b);
    kept[17 * 5 + 3] = NAN;
    assert_int_equal(bench_case_run(ctx, &c, m, 1, o, 0, &b), CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "row 17, column 3"));
    assert_int_equal(bench_case_run(ctx, &c, m, 1, o, 1, &b), CSIM_OK);
    assert_int_equal(csim_bench_decisions(b), 4); /* of 19 rows */
    csim_bench_free(&b);
    csim_encoder_free(&e);
    bench_case_free(&c);
}

static void test_unequal_layers(void **state)
{
    (void)state;
    double x[40] = {0};
    csim_memory_site site[2] = {{"x", CSIM_F64, 2, x}, {"y", CSIM_F64, 2, x}};
    csim_set *sets[2] = {NULL, NULL};
    csim_bench_measure m = {.measure = csim_measure_find("cka")};
    csim_retrieval_options o = {.group = 4, .candidates = 2};
    csim_bench *b = NULL;
    assert_int_equal(csim_set_from_memory(ctx, "a", 20, site, 2, &sets[0]), CSIM_OK);
    assert_int_equal(csim_set_from_memory(ctx, "b", 20, site, 1, &sets[1]), CSIM_OK);
    assert_int_equal(csim_bench_retrieval(ctx, sets, 2, &m, 1, &o, 0, NULL, NULL, &b),
                     CSIM_E_SHAPE);
    assert_non_null(strstr(csim_context_error(ctx), "set a has 2 layers, set b has 1"));
    for (int i = 0; i < 2; i++) { csim_set_free(&sets[i]); }
}

/* One vote in ten fails somewhere: the same status everywhere, nothing left. */
static void test_faults(void **state)
{
    (void)state;
    const int d[] = {4, 4};
    bench_case c = bench_case_make(80, 2, 1, d, 1, 1);
    csim_encoder *e = bench_case_encoder(ctx, "contrasim", 4, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")}, {.encoder = e}};
    int64_t live = csim_context_memory_live(ctx);
    int failed = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        csim_bench *b = NULL;
        csim_context_set_faults(ctx, 10, seed);
        csim_status st = bench_case_run(
            ctx, &c, m, 2, (csim_retrieval_options){.group = 8, .candidates = 2, .seed = 0}, 0, &b);
        csim_context_set_faults(ctx, 0, 0);
        failed += st != CSIM_OK;
        assert_true((st == CSIM_OK) == (b != NULL));
        csim_bench_free(&b);
        assert_int_equal(csim_context_memory_live(ctx), live);
    }
    assert_true(failed > 0);
    csim__forgive(ctx);
    csim_encoder_free(&e);
    bench_case_free(&c);
}

/* ---- bits ---- */

static void test_bits(void **state)
{
    (void)state;
    const int d[BENCH_SETS * BENCH_LAYERS] = {6, 6, 6, 6, 6, 6};
    bench_case c = bench_case_make(301, BENCH_SETS, BENCH_LAYERS, d, 1, 1.5);
    char first[48] = "", sum[48];
    int rank = csim_context_rank(ctx), size = csim_context_size(ctx), wrong = 0, all = 0;
    for (int ranks = 1; ranks <= size; ranks++) {
        MPI_Comm some;
        MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &some);
        if (some == MPI_COMM_NULL) { continue; }
        csim_context *on = NULL;
        csim_bench *b = NULL;
        assert_int_equal(csim_context_create(some, &on), CSIM_OK);
        csim_encoder *e = bench_case_encoder(on, "contrasim", 6, 2);
        csim_bench_measure m[] = {{.encoder = e},
                                  {.measure = csim_measure_find("cka")},
                                  {.measure = csim_measure_find("dot")}};
        assert_int_equal(
            bench_case_run(on, &c, m, 3,
                           (csim_retrieval_options){.group = 4, .candidates = 7, .seed = 5}, 0, &b),
            CSIM_OK);
        assert_int_equal(csim_bench_checksum(b, sum), CSIM_OK);
        if (ranks == 1) { memcpy(first, sum, sizeof sum); }
        wrong += rank == 0 && strcmp(first, sum) != 0;
        csim_bench_free(&b);
        csim_encoder_free(&e);
        harness_context_free(&on);
        MPI_Comm_free(&some);
    }
    MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    assert_int_equal(all, 0);
    bench_case_free(&c);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_constant_layers),
        cmocka_unit_test(test_unrelated_is_chance),
        cmocka_unit_test(test_unequal_widths),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_unequal_layers),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bits),
    };
    ctx = harness_context();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    harness_context_free(&ctx);
    return harness_finish(failed);
}
