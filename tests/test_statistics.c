/* Statistics of sweeps: values under relabellings against sweeps of relabelled layers, intervals that
 * cover the truth. The numbers themselves are compared with numpy in test_statistics_cli.py. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ingredients/order.h"

enum { SITES = 2, WIDTH = 9, DRAWS = 9, SEED = 5 };

/* Measures of single layers, which no relabelling changes. */
static const char *const without = ",mag_diff,conc_diff,unif_diff,";

static bool has_null(const char *name)
{
    char word[64];
    snprintf(word, sizeof word, ",%s,", name);
    return strstr(without, word) == NULL;
}

/* The sites of set "b" with their examples in another order; their rows are new. */
static sweep_case relabelled(csim_context *ctx, const sweep_case *c, int64_t draw)
{
    sweep_case turned = *c;
    int n = c->site[0].n;
    csim_shard all = csim__shard(n, 0, 1);
    csim__order order;
    assert_int_equal(csim__order_make(ctx, &all, SEED, draw, &order), CSIM_OK);
    turned.null = CSIM_NULL_NONE;
    for (int s = 0; s < c->count; s++) {
        int d = c->site[s].d;
        if (strcmp(c->site[s].set, "b") != 0) { continue; }
        double *x = malloc((size_t)n * (size_t)d * sizeof *x);
        assert_non_null(x);
        for (int i = 0; i < n; i++) {
            memcpy(x + (size_t)i * d, c->site[s].x + order.from[i] * d, (size_t)d * sizeof *x);
        }
        turned.site[s].x = x;
    }
    csim__order_clear(ctx, &order);
    return turned;
}

static void forget(sweep_case *turned)
{
    for (int s = 0; s < turned->count; s++) {
        if (strcmp(turned->site[s].set, "b") == 0) { free((double *)(uintptr_t)turned->site[s].x); }
    }
}

/* How many of the values are as good as one. */
static int as_good(const double *values, double value, bool distance)
{
    int count = 0;
    for (int k = 0; k < DRAWS; k++) {
        double gain = distance ? value - values[k] : values[k] - value;
        count += gain >= -1e-10 * fmax(1, fabs(value));
    }
    return count;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* (s − τ)/(1 − τ), above 0, with α = 0.05: of ten numbers τ is the largest. */
static double calibrated(const double *values, double among, double value)
{
    double all[DRAWS + 1];
    memcpy(all, values, DRAWS * sizeof *all);
    all[DRAWS] = among;
    qsort(all, DRAWS + 1, sizeof *all, ascending);
    return all[DRAWS] < 1 ? fmax(0, (value - all[DRAWS]) / (1 - all[DRAWS])) : 0;
}

static void check(int *wrong, csim_results *r, const char *measure, const char *end, int i, int j,
                  double expected, double scale)
{
    char name[96];
    snprintf(name, sizeof name, "%s_%s", measure, end);
    double found = case_value(r, name, i, j);
    if (isnan(found) && isnan(expected)) { return; }
    case_near(wrong, end, measure, found, expected, scale);
}

/* One measure of all pairs; @p value [DRAWS][SITES][SITES] of relabelled sweeps. */
static void check_measure(int *wrong, csim_results *r, const csim_measure *m,
                          double value[DRAWS][SITES][SITES], double digits)
{
    bool distance = (m->props & CSIM_DISTANCE) != 0, defined = true;
    bool unit = csim_results_find(r, m->name) >= 0 && !distance &&
                csim_results_variable(r, csim_results_find(r, m->name))->range[1] == 1;
    double best[DRAWS], top = distance ? INFINITY : -INFINITY;
    for (int k = 0; k < DRAWS; k++) { best[k] = top; }
    for (int p = 0; p < SITES * SITES; p++) {
        int i = p / SITES, j = p % SITES;
        double s = case_value(r, m->name, i, j), list[DRAWS], mean = 0, square = 0;
        defined = case_cell(r, m->name, i, j) == CSIM_CELL_DONE;
        for (int k = 0; k < DRAWS; k++) { mean += (list[k] = value[k][i][j]) / DRAWS; }
        for (int k = 0; k < DRAWS; k++) { square += (list[k] - mean) * (list[k] - mean); }
        double sd = sqrt(square / (DRAWS - 1)), scale = digits * fmax(1, fabs(mean));
        if (!defined) { mean = sd = NAN; }
        check(wrong, r, m->name, "null_mean", i, j, mean, scale);
        check(wrong, r, m->name, "null_sd", i, j, sd, scale);
        double share = (1.0 + as_good(list, s, distance)) / (DRAWS + 1);
        check(wrong, r, m->name, "pvalue", i, j, defined ? share : NAN, 1e-9);
        if (unit) {
            check(wrong, r, m->name, "calibrated", i, j, defined ? calibrated(list, s, s) : NAN, 1);
        }
        if (!defined) { continue; }
        top = distance ? fmin(top, s) : fmax(top, s);
        for (int k = 0; k < DRAWS; k++) {
            best[k] = distance ? fmin(best[k], list[k]) : fmax(best[k], list[k]);
        }
    }
    for (int p = 0; p < SITES * SITES; p++) {
        int i = p / SITES, j = p % SITES;
        double s = case_value(r, m->name, i, j);
        if (case_cell(r, m->name, i, j) != CSIM_CELL_DONE) { continue; }
        check(wrong, r, m->name, "pvalue_max", i, j,
              (1.0 + as_good(best, s, distance)) / (DRAWS + 1), 1e-9);
        if (unit) {
            check(wrong, r, m->name, "calibrated_max", i, j, calibrated(best, top, s), digits);
        }
    }
}

/* Every measure, in double and those of single precision, on all ranks of this job. */
static void relabellings_are_of_layers(void **state)
{
    (void)state;
    static const int width[WIDTH] = {6, 5, 5, 6};
    static const int wide[WIDTH] = {6, 75, 75, 6}; /* more neurons than examples */
    static const char *const kendall[] = {"--rsa.outer=kendall", "--rsa.inner=euclidean", NULL};
    static double value[CASE_MEASURES][DRAWS][SITES][SITES];
    csim_context *ctx = harness_context();
    int wrong = 0, checked = 0;
    for (int kind = 0; kind < 5; kind++) {
        sweep_case c = {.null = CSIM_NULL_PERMUTATION, .permutations = DRAWS, .null_seed = SEED};
        case_mix(&c, 70, kind == 2 ? wide : width, WIDTH, SITES, 0);
        if (kind == 2) { c.measures = "cka,cka_debiased,procrustes,hsic"; }
        if (kind % 2 == 1) { c.measures = "cka,cka_debiased,cka_lange,hsic"; }
        if (kind == 1) { c.precision = CSIM_SINGLE_PRECISION; }
        if (kind == 4) { /* of distances that both store */
            c.measures = "rsm_diff,rsa";
            c.options = kendall;
        }
        double digits = kind == 1 ? 1e-5 : 1e-9;
        for (int k = 0; k < DRAWS; k++) {
            sweep_case turned = relabelled(ctx, &c, k);
            csim_results *r = case_results(ctx, &turned);
            for (int m = 0; m < csim_measure_count(); m++) {
                const char *name = csim_measure_get(m)->name;
                for (int p = 0; csim_results_find(r, name) >= 0 && p < SITES * SITES; p++) {
                    value[m][k][p / SITES][p % SITES] = case_value(r, name, p / SITES, p % SITES);
                }
            }
            csim_results_free(&r);
            forget(&turned);
        }
        csim_results *r = case_results(ctx, &c);
        for (int m = 0; m < csim_measure_count(); m++) {
            char p[96];
            const csim_measure *measure = csim_measure_get(m);
            if (csim_results_find(r, measure->name) < 0) { continue; }
            snprintf(p, sizeof p, "%s_pvalue", measure->name);
            assert_true((csim_results_find(r, p) >= 0) == has_null(measure->name));
            if (!has_null(measure->name)) { continue; }
            check_measure(&wrong, r, measure, value[m], digits);
            checked++;
        }
        csim_results_free(&r);
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
    assert_true(checked > 40);
    harness_context_free(&ctx);
}

/* Pairs of layers of one set, a layer and itself among them: X against the relabelled Y. */
static void layers_with_themselves(void **state)
{
    (void)state;
    static const int width[WIDTH] = {6, 5};
    static const char *const names[] = {"rsa", "rsm_diff", "second_cos", "cka_minibatch", "cka"};
    enum { NAMES = sizeof names / sizeof *names };
    csim_context *ctx = harness_context();
    double mean[NAMES][SITES][SITES] = {{{0}}};
    int wrong = 0;
    sweep_case one = {.pairs = "all", .measures = "rsa,rsm_diff,second_cos,cka_minibatch,cka"};
    case_mix(&one, 70, width, WIDTH, SITES, 0);
    sweep_case two = one;
    two.pairs = NULL;
    for (int s = 0; s < SITES; s++) {
        case_add(&two, "b", one.site[s].x, one.site[s].n, one.site[s].d);
    }
    for (int k = 0; k < DRAWS; k++) {
        sweep_case turned = relabelled(ctx, &two, k);
        csim_results *r = case_results(ctx, &turned);
        for (int i = 0; i < NAMES * SITES * SITES; i++) {
            int m = i / (SITES * SITES), x = i / SITES % SITES, y = i % SITES;
            mean[m][x][y] += case_value(r, names[m], x, y) / DRAWS;
        }
        csim_results_free(&r);
        forget(&turned);
    }
    one.null = CSIM_NULL_PERMUTATION;
    one.permutations = DRAWS;
    one.null_seed = SEED;
    csim_results *r = case_results(ctx, &one);
    for (int i = 0; i < NAMES * SITES * SITES; i++) { /* all are symmetric */
        int m = i / (SITES * SITES), x = i / SITES % SITES, y = i % SITES;
        check(&wrong, r, names[m], "null_mean", x, y, x <= y ? mean[m][x][y] : mean[m][y][x],
              1e-9 * fmax(1, fabs(mean[m][x][y])));
    }
    assert_int_equal(wrong, 0);
    csim_results_free(&r);
    case_unmix(&one);
    harness_context_free(&ctx);
}

/* Equal distances: renamed lists are not those of relabelled examples. */
static void ties_have_no_null(void **state)
{
    (void)state;
    enum { N = 40, D = 3 };
    csim_context *ctx = harness_context();
    double x[N * D], y[N * D];
    for (int i = 0; i < N * D; i++) {
        x[i] = sin(i * i);
        y[i] = (double)(i * 7 % 5 % 3);
    }
    sweep_case c = case_pair(x, y, N, D, D);
    c.measures = "nngs,cka";
    c.null = CSIM_NULL_PERMUTATION;
    c.permutations = 5;
    csim_results *r = case_results(ctx, &c);
    assert_true(isnan(case_value(r, "nngs_pvalue", 0, 0)));
    assert_true(isnan(case_value(r, "nngs_pvalue_max", 0, 0)));
    assert_false(isnan(case_value(r, "nngs", 0, 0)));
    assert_false(isnan(case_value(r, "cka_pvalue", 0, 0)));
    csim_results_free(&r);
    harness_context_free(&ctx);
}

static int always(void *user)
{
    ++*(int *)user;
    return 1;
}

/* Stopped after every save, a sweep goes on from the relabellings that it has. */
static void relabellings_are_saved(void **state)
{
    (void)state;
    static const int width[WIDTH] = {6, 5, 5, 6};
    csim_context *ctx = harness_context();
    char folder[CASE_PATH];
    int asked = 0, stops = 0, empty = 0;
    sweep_case c = {.measures =
                        "cka,nngs,nbs,second_cos,rsa,rsm_diff,cka_minibatch,cka_rbf_debiased",
                    .null = CSIM_NULL_PERMUTATION,
                    .permutations = DRAWS,
                    .jackknife = 16};
    case_mix(&c, 150, width, WIDTH, SITES, 0);
    csim_results *whole = case_results(ctx, &c), *r = NULL;
    c.journal = "statistics.journal";
    c.resume = 1;
    c.stop = always;
    c.stop_user = &asked;
    case_write(ctx, &c, folder);
    csim_status st = CSIM_E_STOPPED;
    for (; st == CSIM_E_STOPPED && stops < 20; stops += st == CSIM_E_STOPPED) {
        st = case_sweep(ctx, &c, folder, &r);
        empty += strstr(csim_context_error(ctx), "stopped; 0 pairs") != NULL;
        assert_true(harness_same(ctx, st));
    }
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(ctx)); }
    assert_int_equal(st, CSIM_OK);
    assert_int_equal(empty, 4); /* after those of lists, distances, ranks and rows */
    assert_true(stops > 2);
    assert_int_equal(case_differences(whole, r, "resumed"), 0);
    c.null_seed = 77;
    csim_results *other = NULL;
    st = case_sweep(ctx, &c, folder, &other);
    assert_int_equal(st, CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "null: "));
    if (csim_context_rank(ctx) == 0) { remove(c.journal); }
    case_remove(ctx, &c, folder);
    csim_results_free(&r);
    csim_results_free(&whole);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* x = z·a + noise, y = z·b + noise: in the population Σ_xy = aᵀb, Σ_xx = aᵀa + 1, Σ_yy = bᵀb + 1. Of the
 * RBF kernels it is the mean of 12 times 2,500 examples in numpy. */
static void intervals_cover(void **state)
{
    (void)state;
    enum { N = 200, D = 3, TRIES = 150, KINDS = 2 };
    static const double a[D] = {1, 0.5, -0.3}, b[D] = {0.8, -0.6, 0.2};
    static const char *const name[KINDS] = {"cka_debiased", "cka_rbf_debiased"};
    csim_context *ctx = harness_context();
    csim__rng rng = csim__rng_start(11, 0);
    double both = 0, own[2] = {0, 0};
    int inside[KINDS] = {0};
    for (int i = 0; i < D; i++) {
        for (int j = 0; j < D; j++) {
            both += pow(a[i] * b[j], 2);
            own[0] += pow(a[i] * a[j] + (i == j), 2);
            own[1] += pow(b[i] * b[j] + (i == j), 2);
        }
    }
    const double truth[KINDS] = {both / sqrt(own[0] * own[1]), 0.1186};
    for (int t = 0; t < TRIES; t++) {
        static double x[N * D], y[N * D];
        for (int i = 0; i < N; i++) {
            double z = csim__rng_normal(&rng);
            for (int j = 0; j < D; j++) {
                x[i * D + j] = z * a[j] + csim__rng_normal(&rng);
                y[i * D + j] = z * b[j] + csim__rng_normal(&rng);
            }
        }
        sweep_case c = case_pair(x, y, N, D, D);
        c.measures = "cka_debiased,cka_rbf_debiased";
        c.jackknife = 32;
        csim_results *r = case_results(ctx, &c);
        for (int k = 0; k < KINDS; k++) {
            char low[96], high[96];
            snprintf(low, sizeof low, "%s_ci_low", name[k]);
            snprintf(high, sizeof high, "%s_ci_high", name[k]);
            inside[k] +=
                case_value(r, low, 0, 0) <= truth[k] && truth[k] <= case_value(r, high, 0, 0);
        }
        csim_results_free(&r);
    }
    for (int k = 0; k < KINDS; k++) {
        print_message("%s: %d of %d intervals cover %g\n", name[k], inside[k], TRIES, truth[k]);
        assert_true(inside[k] >= 0.90 * TRIES && inside[k] <= 0.99 * TRIES);
    }
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    int size;
    MPI_Init(&argc, &argv);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relabellings_are_of_layers), cmocka_unit_test(layers_with_themselves),
        cmocka_unit_test(ties_have_no_null), cmocka_unit_test(relabellings_are_saved),
        cmocka_unit_test(intervals_cover)};
    return harness_finish(
        _cmocka_run_group_tests("statistics", tests, size == 1 ? 5 : 4, NULL, NULL));
}
