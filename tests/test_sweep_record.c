/* What a sweep tells beside its values: ranks, ranges, progress. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The floor decides which directions count; the rank that came of it is kept with the site. */
static void rank_floor_counts(void **state)
{
    (void)state;
    static const double floors[] = {0, 1e-12, 1e-5, 1e-3};
    static const int ranks[] = {4, 4, 3, 2}; /* of Y, the widths of X are alike */
    enum { N = 90, D = 6, E = 4 };
    csim_context *ctx = harness_context();
    double x[N * D], y[N * E];
    int wrong = 0;
    ref_random_matrix(3, N, D, x);
    ref_random_matrix(4, N, E, y);
    for (int i = 0; i < N * E; i++) { /* variances of about 1, 1/100, 1/10⁴, 1/10⁶ */
        y[i] = (y[i] + x[i / E * D + i % E]) * pow(10, -(i % E));
    }
    for (size_t k = 0; k < sizeof floors / sizeof *floors; k++) {
        sweep_case c = case_pair(x, y, N, D, E);
        ref_options o = ref_default_options;
        c.measures = "cca_mean,linreg,svcca";
        c.rank_floor = floors[k];
        if (floors[k] > 0) { o.rank_floor = floors[k]; }
        csim_results *r = case_results(ctx, &c);
        assert_int_equal(csim_results_row(r, 0)->rank, D);
        assert_int_equal(csim_results_col(r, 0)->rank, ranks[k]);
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            case_near(&wrong, "rank floor", name, case_value(r, name, 0, 0),
                      ref_find(name)->fn(x, y, N, D, E, &o), 1e-12);
        }
        csim_results_free(&r);
    }
    sweep_case c = case_pair(x, y, N, D, E);
    c.measures = "cka"; /* without bases */
    csim_results *r = case_results(ctx, &c);
    assert_int_equal(csim_results_row(r, 0)->rank, -1);
    csim_results_free(&r);
    c.rank_floor = 1;
    assert_int_equal(case_run(ctx, &c, &r), CSIM_E_ARG);
    assert_non_null(strstr(csim_context_error(ctx), "rank floor"));
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

typedef struct stages {
    char names[256]; /* in the order in which they were told, each time that it changed */
    char last[64];
    double done, total;
    bool back; /* progress went back, or beyond its total */
} stages;

static void watch(void *user, const char *phase, double done, double total)
{
    stages *w = user;
    if (strcmp(w->last, phase) != 0) {
        strcat(strcat(w->names, phase), ";");
        snprintf(w->last, sizeof w->last, "%s", phase);
    }
    w->back = w->back || done < w->done || (w->total > 0 && total != w->total);
    w->done = done;
    w->total = total;
}

/* The progress line of a terminal names what goes on, and does not flicker between two things. */
static void stages_come_in_turn(void **state)
{
    (void)state;
    enum { N = 150, D = 40 };
    csim_context *ctx = harness_context();
    static double x[5][N * D];
    stages seen = {.done = 0};
    sweep_case c = {.pairs = "all", .progress = watch, .progress_user = &seen};
    for (int i = 0; i < 5; i++) {
        ref_random_matrix(600 + (uint64_t)i, N, D, x[i]);
        case_add(&c, "s", x[i], N, D);
    }
    csim_results *r = case_results(ctx, &c);
    csim_results_free(&r);
    if (csim_context_rank(ctx) == 0) {
        assert_string_equal(seen.names, "encoding;neighbours;medians;kernels;distances;"
                                        "spectra;batches;bases;pairs;");
        assert_false(seen.back);
    }
    harness_context_free(&ctx);
}

/* Every measure but dot and cknna has a range, and no value leaves it: of equal, opposite and random layers. */
static void ranges_hold(void **state)
{
    (void)state;
    enum { N = 40, D = 5 };
    csim_context *ctx = harness_context();
    static double x[4][N * D];
    sweep_case c = {.pairs = "all"};
    ref_random_matrix(610, N, D, x[0]);
    ref_random_matrix(611, N, D, x[1]);
    for (int i = 0; i < N * D; i++) {
        x[2][i] = -x[0][i];
        x[3][i] = x[0][i];
    }
    for (int i = 0; i < 4; i++) { case_add(&c, "s", x[i], N, D); }
    csim_results *r = case_results(ctx, &c);
    for (int v = 0; v < csim_results_count(r); v++) {
        const csim_result_variable *a = csim_results_variable(r, v);
        double least = INFINITY, most = -INFINITY;
        for (int i = 0; i < 16; i++) {
            least = fmin(least, csim_results_values(r, v)[i]);
            most = fmax(most, csim_results_values(r, v)[i]);
        }
        if (strcmp(a->name, "dot") == 0 || strcmp(a->name, "cknna") == 0) {
            assert_true(a->range[0] == 0 && a->range[1] == 0);
            continue;
        }
        if (!(a->range[0] < a->range[1] && least >= a->range[0] && most <= a->range[1])) {
            fail_msg("%s: values from %.17g to %.17g, range %g to %g", a->name, least, most,
                     a->range[0], a->range[1]);
        }
    }
    static const struct {
        const char *name;
        double low, high;
    } list[] = {{"cka", 0, 1},
                {"cka_debiased", -1, 1},
                {"cka_lange", -1, 1},
                {"hsic", 0, INFINITY},
                {"norm", -1, 1},
                {"align_cos", -1, 1},
                {"hard_corr", -1, 1},
                {"soft_corr", -1, 1},
                {"procrustes", 0, INFINITY},
                {"nngs", 0, 1},
                {"cycle_knn", 0, 1},
                {"lcs_knn", 0, INFINITY},
                {"gulp", 0, INFINITY},
                {"perm_procrustes", 0, INFINITY}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const csim_result_variable *a =
            csim_results_variable(r, csim_results_find(r, list[i].name));
        assert_true(a->range[0] == list[i].low && a->range[1] == list[i].high);
    }
    assert_true(csim_results_variable(r, csim_results_find(r, "angular"))->range[1] == acos(0));
    assert_true(csim_results_variable(r, csim_results_find(r, "ortho_procrustes"))->range[1] ==
                sqrt(2));
    csim_results_free(&r);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rank_floor_counts),
        cmocka_unit_test(stages_come_in_turn),
        cmocka_unit_test(ranges_hold),
    };
    return harness_finish(cmocka_run_group_tests_name("sweep_record", tests, NULL, NULL));
}
