/* The sweep through its public functions: golden values, which cells are computed, what is refused,
 * examples with NaN. */
#include "sweep_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- golden values ---- */

static void golden(const char *measures)
{
    csim_context *ctx = harness_context();
    int wrong = 0, seen = 0;
    for (int g = 0; g < ref_golden_count(); g++) {
        const ref_golden *gold = &ref_golden_values[g];
        double a[REF_GOLDEN_N * REF_GOLDEN_D], b[REF_GOLDEN_N * REF_GOLDEN_D];
        int d, e;
        ref_golden_arguments(gold, a, &d, b, &e);
        const char *const options[] = {
            "--k", strncmp(gold->variant, "k = ", 4) == 0 ? gold->variant + 4 : "10", NULL};
        const char *const plain[] = {"--rsa.inner=euclidean", "--rsa.outer=pearson", NULL};
        sweep_case c = case_pair(a, b, REF_GOLDEN_N, d, e);
        c.measures = measures != NULL ? measures : gold->measure;
        if (strstr(c.measures, gold->measure) == NULL) { continue; }
        if (csim_measure_find(gold->measure)->needs & CSIM_NEEDS_NEIGHBOURS) {
            c.options = options;
        }
        if (gold->options.rsa_euclidean_pearson) { c.options = plain; }
        csim_results *r = case_results(ctx, &c);
        case_near(&wrong, gold->variant, gold->measure, case_value(r, gold->measure, 0, 0),
                  gold->value, 2e-14 * fmax(1, gold->value));
        csim_results_free(&r);
        seen++;
    }
    assert_true(seen > 0);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* Each measure alone, by the route it takes then. */
static void golden_alone(void **state)
{
    (void)state;
    golden(NULL);
}

/* All measures of the registry at once: the bases serve everything. */
static void golden_together(void **state)
{
    (void)state;
    char all[1024] = "";
    for (int i = 0; i < csim_measure_count(); i++) {
        strcat(strcat(all, i ? "," : ""), csim_measure_get(i)->name);
    }
    golden(all);
}

/* The table covers the registry, and so does the list of references. */
static void registry_is_covered(void **state)
{
    (void)state;
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *m = csim_measure_get(i);
        bool found = false;
        if (m->needs & CSIM_NEEDS_PROJECTION) { /* defined by its encoder: test_learned */
            assert_int_equal(m->needs, CSIM_NEEDS_PROJECTION);
            continue;
        }
        for (int g = 0; g < ref_golden_count(); g++) {
            found = found || strcmp(ref_golden_values[g].measure, m->name) == 0;
        }
        if (!found || ref_find(m->name) == NULL) { print_error("not covered: %s\n", m->name); }
        assert_true(found && ref_find(m->name) != NULL);
        assert_true(ref_find(m->name)->distance == ((m->props & CSIM_DISTANCE) != 0));
        assert_true(ref_find(m->name)->asymmetric == ((m->props & CSIM_SYMMETRIC) == 0));
        assert_true(ref_find(m->name)->equal_widths == ((m->props & CSIM_EQUAL_WIDTHS) != 0));
    }
    const char *target, *name;
    for (int i = 0; (name = csim_measure_alias(i, &target)) != NULL; i++) {
        assert_non_null(csim_measure_find(target));
        assert_ptr_equal(csim_measure_find(name), csim_measure_find(target));
    }
    assert_null(csim_measure_find("no such measure"));
    assert_null(csim_measure_get(csim_measure_count()));
}

/* Several numbers of neighbours give, in one sweep, the bits that each gives alone. */
static void curves(void **state)
{
    (void)state;
    enum { N = 150, D = 7, E = 5, POINTS = 4 };
    static const char *const one[POINTS] = {"--k=1", "--k=4", "--k=0.2", "--k=149"};
    static const char *const all[] = {"--k=1,4,0.2,149", NULL};
    static const char names[] = "nngs,jaccard,mutual_knn,cycle_knn,lcs_knn,edit_knn,cknna,rank_sim,"
                                "second_cos,hsic";
    csim_context *ctx = harness_context();
    double x[N * D], y[N * E];
    int wrong = 0;
    ref_random_matrix(1, N, D, x);
    ref_random_matrix(2, N, E, y);
    for (int i = 0; i < N * E; i++) { y[i] += x[i / E * D + i % E]; }
    sweep_case c = case_pair(x, y, N, D, E);
    c.pairs = "all";
    c.measures = names;
    c.options = all;
    csim_results *curve = case_results(ctx, &c);
    const csim_result_variable *v = csim_results_variable(curve, csim_results_find(curve, "nngs"));
    assert_string_equal(v->list_name, "nngs_k");
    assert_int_equal(v->n_list, POINTS);
    assert_true(v->list[2] == 30);
    assert_null(csim_results_variable(curve, csim_results_find(curve, "hsic"))->list_name);
    for (int k = 0; k < POINTS; k++) {
        const char *const options[] = {one[k], NULL};
        c.options = options;
        csim_results *r = case_results(ctx, &c);
        for (int i = 0; i < csim_results_count(r); i++) {
            const double *whole = csim_results_values(curve, i);
            int at = csim_results_variable(curve, i)->list_name != NULL ? 4 * k : 0;
            wrong += memcmp(whole + at, csim_results_values(r, i), 4 * sizeof *whole) != 0;
        }
        csim_results_free(&r);
    }
    assert_int_equal(wrong, 0);
    csim_results_free(&curve);
    harness_context_free(&ctx);
}

/* Options reach the measures. */
static void options_are_used(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    static const struct {
        const char *measure, *argument;
        ref_options o;
    } list[] = {
        {"svcca", "--svcca.variance=0.6", {.svcca_variance = 0.6, .rank_floor = 1e-10}},
        {"svcca", "--svcca.dims=2", {.svcca_dims = 2, .rank_floor = 1e-10}},
        {"svcca", "--svcca.dims=99", {.svcca_dims = 99, .rank_floor = 1e-10}},
        {"pwcca", "--pwcca.side=y", {.pwcca_side = REF_SIDE_Y, .rank_floor = 1e-10}},
        {"pwcca", "--pwcca.side=mean", {.pwcca_side = REF_SIDE_MEAN, .rank_floor = 1e-10}},
        {"gulp", "--gulp.lambda=0.1", {.gulp_lambda = 0.1, .rank_floor = 1e-10}},
        {"nngs", "--nngs.k=3", {.neighbours = 3}},
        {"nngs", "--nngs.k=0.29", {.neighbours = 26}},
        {"nngs", "--nngs.metric=cosine", {.metric = REF_COSINE}},
        {"nngs", "--nngs.normalise", {.normalise = true}},
        {"jaccard", "--jaccard.metric=inner", {.metric = REF_INNER}},
        {"jaccard", "--k=89", {.neighbours = 89}},
        {"mutual_knn", "--metric=euclidean", {.metric = REF_EUCLIDEAN}},
        {"cknna", "--k=2", {.neighbours = 2}},
    };
    enum { N = 90, D = 8, E = 5 };
    double x[N * D], y[N * E];
    int wrong = 0;
    ref_random_matrix(1, N, D, x);
    ref_random_matrix(2, N, E, y);
    for (int i = 0; i < N * E; i++) { y[i] += x[i / E * D + i % E]; }
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const char *const options[] = {list[i].argument, NULL};
        sweep_case c = case_pair(x, y, N, D, E);
        c.measures = list[i].measure;
        c.options = options;
        csim_results *r = case_results(ctx, &c);
        double expected = ref_find(list[i].measure)->fn(x, y, N, D, E, &list[i].o);
        case_near(&wrong, list[i].argument, list[i].measure, case_value(r, list[i].measure, 0, 0),
                  expected, 1e-12);
        csim_results_free(&r);
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- which cells ---- */

enum { N = 70, LAYERS = 5 };

/* Sets a (widths 3, 4), b (5, 3), c (4). */
static sweep_case three_sets(double data[LAYERS][N * 5])
{
    static const char *const set[] = {"a", "a", "b", "b", "c"};
    static const int width[] = {3, 4, 5, 3, 4};
    sweep_case c = {.count = 0};
    for (int i = 0; i < LAYERS; i++) {
        ref_random_matrix(100 + (uint64_t)i, N, width[i], data[i]);
        case_add(&c, set[i], data[i], N, width[i]);
    }
    return c;
}

/* A result has these sites as rows and columns, and just the wanted cells hold the value. */
static void check_cells(csim_context *ctx, const sweep_case *c, const char *pairs, const int *rows,
                        int n_rows, const int *cols, int n_cols, bool (*wanted)(int, int))
{
    sweep_case now = *c;
    now.pairs = pairs;
    now.measures = "cka,linreg,hard_corr";
    csim_results *r = case_results(ctx, &now);
    assert_int_equal(csim_results_rows(r), n_rows);
    assert_int_equal(csim_results_cols(r), n_cols);
    for (int i = 0; i < n_rows; i++) {
        const case_site *x = &c->site[rows[i]];
        assert_string_equal(csim_results_row(r, i)->model, x->set);
        assert_int_equal(csim_results_row(r, i)->neurons, x->d);
        for (int j = 0; j < n_cols; j++) {
            const case_site *y = &c->site[cols[j]];
            assert_string_equal(csim_results_col(r, j)->model, y->set);
            assert_int_equal(csim_results_col(r, j)->neurons, y->d);
            bool asked = wanted == NULL || wanted(rows[i], cols[j]);
            for (int v = 0; v < csim_results_count(r); v++) {
                const char *name = csim_results_variable(r, v)->name;
                int wrong = 0;
                assert_int_equal(case_cell(r, name, i, j),
                                 asked ? CSIM_CELL_DONE : CSIM_CELL_NOT_REQUESTED);
                double expected = asked ? case_reference(ctx, name, x, y) : NAN;
                case_near(&wrong, pairs ? pairs : "default", name, case_value(r, name, i, j),
                          expected, 1e-12);
                assert_int_equal(wrong, 0);
            }
        }
    }
    csim_results_free(&r);
}

static int set_of(int site)
{
    static const int set[] = {0, 0, 1, 1, 2};
    return set[site];
}

static bool across(int i, int j)
{
    return set_of(i) != set_of(j);
}

static bool inside(int i, int j)
{
    return set_of(i) == set_of(j);
}

static void pairs_choose_cells(void **state)
{
    (void)state;
    static double data[LAYERS][N * 5];
    static const int all[] = {0, 1, 2, 3, 4}, a[] = {0, 1}, b[] = {2, 3}, third[] = {4};
    csim_context *ctx = harness_context();
    sweep_case c = three_sets(data);
    check_cells(ctx, &c, NULL, all, 5, all, 5, across);
    check_cells(ctx, &c, "cross", all, 5, all, 5, across);
    check_cells(ctx, &c, "all", all, 5, all, 5, NULL);
    check_cells(ctx, &c, "within", all, 5, all, 5, inside);
    check_cells(ctx, &c, "a:b", a, 2, b, 2, NULL);
    check_cells(ctx, &c, "b:a", b, 2, a, 2, NULL);
    check_cells(ctx, &c, "c:a", third, 1, a, 2, NULL);
    check_cells(ctx, &c, "b:b", b, 2, b, 2, NULL);
    c.count = 4;
    check_cells(ctx, &c, NULL, a, 2, b, 2, NULL);
    check_cells(ctx, &c, "cross", a, 2, b, 2, NULL);
    check_cells(ctx, &c, "all", all, 4, all, 4, NULL);
    check_cells(ctx, &c, "within", all, 4, all, 4, inside);
    c.count = 2;
    check_cells(ctx, &c, NULL, a, 2, a, 2, NULL);
    check_cells(ctx, &c, "all", a, 2, a, 2, NULL);
    check_cells(ctx, &c, "within", a, 2, a, 2, NULL);
    harness_context_free(&ctx);
}

/* ---- what is refused ---- */

static void errors_are_named(void **state)
{
    (void)state;
    static double data[LAYERS][N * 5];
    csim_context *ctx = harness_context();
    sweep_case good = three_sets(data), c = good;
    c.measures = "cka,hsic,cka";
    case_refuse(ctx, &c, CSIM_E_ARG, "cka is asked for twice");
    c = good;
    c.measures = "cka,svcca";
    c.precision = CSIM_SINGLE_PRECISION;
    case_refuse(ctx, &c, CSIM_E_ARG, "svcca needs double precision");
    c = good;
    c.measures = "cka";
    c.pairs = "a:d";
    case_refuse(ctx, &c, CSIM_E_ARG, "'a:d'");
    c.pairs = "everything";
    case_refuse(ctx, &c, CSIM_E_ARG, "'everything'");
    c.pairs = "cross";
    c.count = 2;
    case_refuse(ctx, &c, CSIM_E_ARG, "two sets or more");
    c = good;
    c.site[2].n = c.site[3].n = N - 1;
    case_refuse(ctx, &c, CSIM_E_SHAPE, "69");
    c = good;
    for (int i = 0; i < LAYERS; i++) { c.site[i].n = 3; }
    case_refuse(ctx, &c, CSIM_E_DATA, "has 3 examples, expected 4");
    static const char *const k[] = {"--k=70",  "--k=0",    "--k=2.5", "--k=5,3",
                                    "--k=5,5", "--k=5,",   "--k=,5",  "--k=five",
                                    "--k=-1",  "--k=0.01", "--k="};
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
        const char *const options[] = {k[i], NULL};
        c = good;
        c.measures = "nngs";
        c.options = options;
        case_refuse(ctx, &c, CSIM_E_USAGE, "expected a whole number of neighbours from 1 to 69");
    }
    c = good;
    c.memory = 1000;
    c.measures = "cka";
    case_refuse(ctx, &c, CSIM_E_MEM, "--memory");
    harness_context_free(&ctx);
}

/* The limit decides by the numbers it is told; what fits runs and gives the same bits. */
static void memory_limit_is_kept(void **state)
{
    (void)state;
    enum { ROWS = 600, D = 40, SITES = 6 };
    double *x = ref_alloc(ROWS * D * SITES, sizeof *x);
    csim_context *ctx = harness_context();
    sweep_case c = {.pairs = "all", .measures = "cka,procrustes"};
    ref_random_matrix(7, ROWS, D * SITES, x);
    for (int i = 0; i < SITES; i++) { case_add(&c, "a", x + i * ROWS * D, ROWS, D); }
    csim_results *free_run = case_results(ctx, &c), *tight = NULL;
    csim_status st = CSIM_E_MEM;
    for (c.memory = 20000; st == CSIM_E_MEM && c.memory < 100000000; c.memory += 20000) {
        st = case_run(ctx, &c, &tight);
    }
    assert_int_equal(st, CSIM_OK);
    assert_true(c.memory > 40000);
    for (int v = 0; v < csim_results_count(tight); v++) {
        assert_memory_equal(csim_results_values(tight, v), csim_results_values(free_run, v),
                            SITES * SITES * sizeof(double));
    }
    csim_results_free(&tight);
    csim_results_free(&free_run);
    harness_context_free(&ctx);
    free(x);
}

/* ---- examples with NaN ---- */

static void nan_is_found(void **state)
{
    (void)state;
    static double data[LAYERS][N * 5];
    static const struct {
        int site, row, column;
        double value;
        const char *text;
    } list[] = {
        {0, 0, 0, NAN, "site 00 of set a: NaN at row 0, column 0"},
        {3, 69, 2, NAN, "site 01 of set b: NaN at row 69, column 2"},
        {4, 33, 1, INFINITY, "site 00 of set c: an infinity at row 33, column 1"},
        {1, 64, 3, -INFINITY, "site 01 of set a: an infinity at row 64, column 3"},
    };
    csim_context *ctx = harness_context();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        sweep_case c = three_sets(data);
        c.measures = "cka";
        data[list[i].site][list[i].row * c.site[list[i].site].d + list[i].column] = list[i].value;
        case_refuse(ctx, &c, CSIM_E_DATA, list[i].text);
    }
    harness_context_free(&ctx);
}

/* Dropped examples are as if they had never been there, also when they change the chunks. */
static void dropped_rows_leave_no_trace(void **state)
{
    (void)state;
    enum { ROWS = 200, D = 6, E = 4 };
    static double x[ROWS * D], y[ROWS * E], p[ROWS * D], q[ROWS * E];
    csim_context *ctx = harness_context();
    ref_random_matrix(3, ROWS, D, x);
    ref_random_matrix(4, ROWS, E, y);
    int kept = 0;
    for (int i = 0; i < ROWS; i++) {
        bool drop_x = i == 0 || i == 70 || i == 71 || i == 199, drop_y = i == 71 || i == 128;
        if (!drop_x && !drop_y) {
            memcpy(p + kept * D, x + i * D, D * sizeof *x);
            memcpy(q + kept * E, y + i * E, E * sizeof *y);
            kept++;
        }
        if (drop_x) { x[i * D + i % D] = i % 2 ? NAN : INFINITY; }
        if (drop_y) { y[i * E + i % E] = NAN; }
    }
    assert_int_equal(kept, ROWS - 5);
    sweep_case holes = case_pair(x, y, ROWS, D, E), whole = case_pair(p, q, kept, D, E);
    const char *const options[] = {"--batch=20", NULL}; /* by default it hangs on their number */
    holes.options = whole.options = options;
    holes.pairs = whole.pairs = "all";
    holes.drop_rows = 1;
    csim_results *a = case_results(ctx, &holes), *b = case_results(ctx, &whole);
    for (int v = 0; v < csim_results_count(a); v++) {
        assert_memory_equal(csim_results_values(a, v), csim_results_values(b, v),
                            4 * sizeof(double));
        assert_memory_equal(csim_results_cells(a, v), csim_results_cells(b, v), 4);
    }
    csim_results_free(&a);
    csim_results_free(&b);
    for (int i = 0; i < ROWS - 3; i++) { x[i * D] = NAN; }
    case_refuse(ctx, &holes, CSIM_E_DATA, "expected 4");
    for (int i = 0; i < ROWS; i++) { x[i * D] = NAN; }
    case_refuse(ctx, &holes, CSIM_E_DATA, "");
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_is_covered), cmocka_unit_test(golden_alone),
        cmocka_unit_test(golden_together),     cmocka_unit_test(curves),
        cmocka_unit_test(options_are_used),    cmocka_unit_test(pairs_choose_cells),
        cmocka_unit_test(errors_are_named),    cmocka_unit_test(memory_limit_is_kept),
        cmocka_unit_test(nan_is_found),        cmocka_unit_test(dropped_rows_leave_no_trace),
    };
    return harness_finish(cmocka_run_group_tests_name("sweep", tests, NULL, NULL));
}
