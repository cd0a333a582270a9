/* Learned measures in a sweep: values, bits, and that they leave the other measures alone. */
#include "case_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/shard.h"

#define LEARNED "contrasim,deepdot,deepcka,mscon"

static const char *const names[] = {"contrasim", "deepdot", "deepcka", "mscon", NULL};

/* Four sites in two sets, with a common part. */
enum { SITES = 4 };

static const int width[SITES] = {5, 20, 5, 33};

static sweep_case make(int n)
{
    sweep_case c = {.pairs = "all", .measures = LEARNED};
    case_mix(&c, n, width, SITES, 2, 0);
    return c;
}

/* ---- values ---- */

/* Mean and standard deviation over the inits, of all cells in both orders. */
static int compare(csim_results *r, const sweep_case *c, const char *name, int inits)
{
    int wrong = 0;
    char std[32];
    snprintf(std, sizeof std, "%s_std", name);
    for (int i = 0; i < c->count; i++) {
        for (int j = 0; j < c->count; j++) {
            const case_site *x = &c->site[i], *y = &c->site[j];
            double mean = 0, square = 0, v[8], error = 0;
            for (int k = 0; k < inits; k++) {
                v[k] = case_learned(name, k, x, y);
                error = fmax(error, case_learned_error(name, k, x, y));
                mean += v[k] / inits;
            }
            for (int k = 0; k < inits; k++) { square += (v[k] - mean) * (v[k] - mean); }
            assert_int_equal(case_cell(r, name, i, j), CSIM_CELL_DONE);
            assert_int_equal(case_note(r, name, i, j), CSIM_NOTE_NONE);
            case_near(&wrong, "mean", name, case_value(r, name, i, j), mean, error);
            if (i == j) { case_near(&wrong, "itself", name, case_value(r, name, i, j), 1, 1e-12); }
            assert_true(case_value(r, name, i, j) <= 1);
            if (inits > 1) {
                double expected = sqrt(square / (inits - 1));
                case_near(&wrong, "spread", std, case_value(r, std, i, j), expected, 2 * error);
                assert_true(i == j || expected > 10 * error); /* the inits do differ */
            }
        }
    }
    return wrong;
}

static void values_are_right(void **state)
{
    (void)state;
    static const int rows[] = {4, 30, 130, 1000}, inits[] = {1, 2, 5};
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        sweep_case c = make(rows[k]);
        for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
            c.inits = inits[i];
            csim_results *r = case_results(ctx, &c);
            assert_int_equal(csim_results_count(r), inits[i] > 1 ? 8 : 4);
            for (int m = 0; names[m] != NULL; m++) { wrong += compare(r, &c, names[m], inits[i]); }
            csim_results_free(&r);
        }
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* A site and its copy in another set, alone and beside others. */
static void copies_are_one(void **state)
{
    (void)state;
    static const int rows[] = {4, 63, 64, 65, 513};
    csim_context *ctx = harness_context();
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        sweep_case c = make(rows[k]);
        for (int s = 0; s < SITES; s++) {
            sweep_case two = case_pair(c.site[s].x, c.site[s].x, rows[k], c.site[s].d, c.site[s].d);
            two.measures = LEARNED;
            two.inits = 3;
            csim_results *r = case_results(ctx, &two);
            for (int m = 0; names[m] != NULL; m++) {
                char std[32];
                snprintf(std, sizeof std, "%s_std", names[m]);
                assert_true(fabs(case_value(r, names[m], 0, 0) - 1) <= 1e-12);
                assert_true(fabs(case_value(r, std, 0, 0)) <= 1e-12);
            }
            csim_results_free(&r);
        }
        case_unmix(&c);
    }
    harness_context_free(&ctx);
}

/* Cells that no one asked for are empty, those asked for are as in the sweep of all. */
static void cells_are_chosen(void **state)
{
    (void)state;
    static const char *const pairs[] = {"cross", "within", "a:b", "b:a"};
    csim_context *ctx = harness_context();
    sweep_case c = make(90);
    c.inits = 2;
    csim_results *all = case_results(ctx, &c);
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        c.pairs = pairs[k];
        csim_results *r = case_results(ctx, &c);
        int64_t cols = csim_results_cols(r), cells = csim_results_rows(r) * cols;
        int rows_at = k == 3 ? 2 : 0, cols_at = k == 1 || k == 3 ? 0 : 2;
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            for (int64_t i = 0; i < cells; i++) {
                int64_t p = i / cols + rows_at, q = i % cols + cols_at;
                bool asked = k != 1 || p / 2 == q / 2;
                double got = csim_results_values(r, v)[i], same = case_value(all, name, p, q);
                if (asked && memcmp(&got, &same, sizeof got) != 0) {
                    print_error("--pairs %s, %s: %.17g, among all %.17g\n", pairs[k], name, got,
                                same);
                }
                assert_true(asked ? memcmp(&got, &same, sizeof got) == 0 : isnan(got));
            }
        }
        csim_results_free(&r);
    }
    csim_results_free(&all);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* ---- bits ---- */

static void ranks_do_not_matter(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n, chunks;
    } list[] = {
        {"one chunk", 50, 1}, {"two chunks", 100, 2}, {"nine chunks, one of a row", 513, 9}};
    int wrong = 0;
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        sweep_case c = make(list[k].n);
        assert_int_equal(csim__shard(list[k].n, 0, 1).chunks, list[k].chunks);
        c.inits = 3;
        wrong += case_over_ranks(&c, list[k].name);
        c.measures = "deepcka,svcca,contrasim,cka"; /* the rows are used up by the bases */
        wrong += case_over_ranks(&c, list[k].name);
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
}

/* More pairs than one round of CKA holds; alone, beside others, or with all measures. */
static void company_does_not_matter(void **state)
{
    (void)state;
    enum { MANY = 12 };
    csim_context *ctx = harness_context();
    sweep_case c = {.pairs = "all", .measures = "deepcka,contrasim", .inits = 2};
    int wrong = 0;
    for (int s = 0; s < MANY; s++) {
        int d = 3 + s % 5;
        double *x = ref_alloc(200 * d, sizeof *x);
        ref_random_matrix(720 + (uint64_t)s, 200, d, x);
        case_add(&c, "a", x, 200, d);
    }
    csim_results *all = case_results(ctx, &c);
    for (int i = 0; i < MANY; i++) {
        int j = (i + 5) % MANY, low = i < j ? i : j, high = i < j ? j : i;
        sweep_case two =
            case_pair(c.site[low].x, c.site[high].x, 200, c.site[low].d, c.site[high].d);
        two.inits = 2;
        two.measures = i % 2 ? LEARNED ",cka,procrustes" : "contrasim,deepcka";
        csim_results *r = case_results(ctx, &two);
        for (int v = 0; v < csim_results_count(all); v++) {
            const char *name = csim_results_variable(all, v)->name;
            double a = case_value(all, name, low, high), b = case_value(r, name, 0, 0);
            wrong += memcmp(&a, &b, sizeof a) != 0;
        }
        csim_results_free(&r);
    }
    csim_results_free(&all);
    case_unmix(&c);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* The other measures have the same bits with learned ones beside them. */
static void others_are_left_alone(void **state)
{
    (void)state;
    static const char *const closed[] = {"cka,cka_debiased,norm", "procrustes,cka,dot",
                                         "svcca,gulp,cka", "eos,hard_corr"};
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (size_t k = 0; k < sizeof closed / sizeof *closed; k++) {
        char both[128];
        sweep_case c = make(140);
        c.measures = closed[k];
        csim_results *plain = case_results(ctx, &c);
        snprintf(both, sizeof both, "mscon,%s,deepcka", closed[k]);
        c.measures = both;
        c.inits = 2;
        csim_results *r = case_results(ctx, &c);
        for (int v = 0; v < csim_results_count(plain); v++) {
            int w = csim_results_find(r, csim_results_variable(plain, v)->name);
            wrong += memcmp(csim_results_values(plain, v), csim_results_values(r, w),
                            SITES * SITES * sizeof(double)) != 0;
        }
        csim_results_free(&r);
        csim_results_free(&plain);
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- what the results say ---- */

static void provenance(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = make(70);
    c.measures = "contrasim,cka,deepcka";
    for (c.inits = 1; c.inits <= 3; c.inits += 2) {
        csim_results *r = case_results(ctx, &c);
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            const csim_attribute *sum = csim_results_attribute_find(r, v, "encoder_checksum");
            const csim_attribute *inits = csim_results_attribute_find(r, v, "encoder_inits");
            bool own = strcmp(name, "contrasim") == 0 || strcmp(name, "deepcka") == 0;
            assert_true((sum != NULL) == own && (inits != NULL) == own);
            if (own) {
                assert_string_equal(sum->text, name[0] == 'c' ? "case cont" : "case deep");
                assert_int_equal(inits->count, 1);
                assert_int_equal(inits->integers[0], c.inits);
                assert_string_equal(csim_results_variable(r, v)->orientation, "similarity");
            }
        }
        assert_true((csim_results_find(r, "contrasim_std") >= 0) == (c.inits > 1));
        assert_true((csim_results_find(r, "deepcka_std") >= 0) == (c.inits > 1));
        assert_int_equal(csim_results_find(r, "cka_std"), -1);
        csim_results_free(&r);
    }
    case_unmix(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_right),
        cmocka_unit_test(copies_are_one),
        cmocka_unit_test(cells_are_chosen),
        cmocka_unit_test(ranks_do_not_matter),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(others_are_left_alone),
        cmocka_unit_test(provenance),
    };
    return harness_finish(cmocka_run_group_tests_name("learned", tests, NULL, NULL));
}
