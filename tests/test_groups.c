/* Sweeps with groups of ranks for large pairs against the same sweeps without. */
#define _POSIX_C_SOURCE 200809L

#include "sweep_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FROM = 20, SITES = 7 };

static const char *const measures =
    "cca_mean,cca_r2,svcca,pwcca,procrustes,ortho_procrustes,nbs,linreg,gulp,eos,hsic,cka";

/* Two sets of layers, narrow ones and such as more than one rank of a group has shares of; the last is nearly the first, whose Procrustes distance no
 * decomposition by squares gives, and the one before has a rank below its width. */
static sweep_case make(int n, double **data)
{
    static const int width[SITES] = {70, 33, 8, 150, 65, 44, 70};
    sweep_case c = {.pairs = "all", .grid_from = FROM};
    c.measures = measures;
    for (int s = 0; s < SITES; s++) {
        int d = width[s];
        data[s] = ref_alloc((int64_t)n * d, sizeof(double));
        ref_random_matrix(900 + (uint64_t)s, n, d, data[s]);
        for (int64_t i = 0; i < (int64_t)n * d; i++) {
            if (s == 6) { data[s][i] = data[0][i] + 1e-6 * data[s][i]; }
            if (s == 5 && i % d >= 30) { data[s][i] = data[s][i - 30]; }
        }
        case_add(&c, s < 3 ? "a" : "b", data[s], n, d);
    }
    return c;
}

static bool is_large(const sweep_case *c, int64_t i, int64_t j)
{
    return i != j && c->site[i].d >= FROM && c->site[j].d >= FROM && c->site[0].n >= FROM;
}

/* Differences of two results in cells that are done in both: values of large pairs beyond 1e-10 of
 * the scale, and any of others. */
static int differences(const sweep_case *c, csim_results *a, csim_results *b, const char *what)
{
    int wrong = 0;
    int64_t rows = csim_results_rows(a);
    for (int v = 0; v < csim_results_count(a); v++) {
        const char *name = csim_results_variable(a, v)->name;
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < rows; j++) {
                double x = case_value(a, name, i, j), y = case_value(b, name, i, j);
                if (case_cell(b, name, i, j) == CSIM_CELL_FAILED) { continue; }
                if (case_cell(a, name, i, j) != case_cell(b, name, i, j) ||
                    case_note(a, name, i, j) != case_note(b, name, i, j)) {
                    print_error("%s: state of %s %d %d\n", what, name, (int)i, (int)j);
                    wrong++;
                } else if (!is_large(c, i, j)) {
                    if (memcmp(&x, &y, sizeof x) != 0) {
                        print_error("%s: %s of small %d %d\n", what, name, (int)i, (int)j);
                        wrong++;
                    }
                } else {
                    double scale = case_scale(name, &c->site[i], &c->site[j]);
                    case_near(&wrong, what, name, case_before_root(name, y),
                              case_before_root(name, x), 1e-10 * scale);
                }
            }
        }
    }
    return wrong;
}

/* How often grids decomposed something, on the rank that saw most. */
static int64_t grid_calls(csim_context *ctx)
{
    const csim_phase_report *list;
    int count;
    int64_t calls = 0;
    assert_int_equal(csim_context_profile(ctx, &list, &count), CSIM_OK);
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].name, "grid") == 0) { calls = list[i].calls; }
    }
    return calls;
}

/* A case on groups of every shape, or of those that take all ranks, against the same without any. */
static int compare_shapes(sweep_case *c, const char *what, bool every)
{
    int size, wrong = 0;
    char text[128];
    csim_context *ctx = harness_context();
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    c->grid_rows = c->grid_cols = 0;
    csim_results *alone = case_results(ctx, c);
    for (int p = 1; p <= size; p++) {
        for (int q = every ? 1 : size / p; p * q <= size; q++) {
            csim_context *own = harness_context();
            snprintf(text, sizeof text, "%s, groups of %d x %d of %d ranks", what, p, q, size);
            c->grid_rows = p;
            c->grid_cols = q;
            csim_results *r = case_results(own, c);
            wrong += differences(c, alone, r, text);
            csim_results_free(&r);
            assert_int_equal(csim_context_memory_live(own), 0);
            assert_true((grid_calls(own) > 0) == (p * q > 1));
            csim_context_free(&own); /* with its profile */
        }
    }
    csim_results_free(&alone);
    assert_int_equal(grid_calls(ctx), 0);
    csim_context_free(&ctx);
    return wrong;
}

static void groups_agree_with_ranks(void **state)
{
    (void)state;
    static const int examples[] = {30, 300}; /* fewer than neurons, and more */
    int wrong = 0;
    for (size_t e = 0; e < sizeof examples / sizeof *examples; e++) {
        double *data[SITES];
        sweep_case c = make(examples[e], data);
        wrong += compare_shapes(&c, e ? "tall, bases" : "wide, bases", e == 1);
        c.measures = "procrustes,hsic";
        wrong += compare_shapes(&c, e ? "tall, cross products" : "wide, shapes", false);
        c.measures = "procrustes,soft_corr"; /* which takes whole blocks */
        if (e) { wrong += compare_shapes(&c, "tall, matching", false); }
        for (int s = 0; s < SITES; s++) { free(data[s]); }
    }
    assert_int_equal(wrong, 0);
}

/* The bits of a group's values come from its shape: the same on 2 ranks and on all of this job. */
static void shape_decides_the_bits(void **state)
{
    (void)state;
    int rank, size, wrong = 0;
    csim_context *few = NULL, *all = NULL;
    MPI_Comm part;
    double *data[SITES];
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size < 3) { skip(); }
    sweep_case c = make(200, data);
    c.grid_rows = 2;
    c.grid_cols = 1;
    all = harness_context();
    csim_results *r = case_results(all, &c);
    MPI_Comm_split(MPI_COMM_WORLD, rank < 2 ? 0 : MPI_UNDEFINED, rank, &part);
    if (part != MPI_COMM_NULL) {
        assert_int_equal(csim_context_create(part, &few), CSIM_OK);
        csim_results *s = case_results(few, &c);
        int64_t cells = csim_results_rows(r) * csim_results_cols(r);
        for (int v = 0; v < csim_results_count(r); v++) {
            wrong += memcmp(csim_results_values(r, v), csim_results_values(s, v),
                            (size_t)cells * sizeof(double)) != 0;
        }
        csim_results_free(&s);
        harness_context_free(&few);
        MPI_Comm_free(&part);
    }
    csim_results_free(&r);
    harness_context_free(&all);
    for (int s = 0; s < SITES; s++) { free(data[s]); }
    assert_int_equal(wrong, 0);
}

/* Whichever rank of a group is first. */
static void bits_repeat(void **state)
{
    (void)state;
    int size, wrong = 0;
    double *data[SITES];
    sweep_case c = make(200, data);
    c.measures = "procrustes,pwcca";
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int k = 0; k < 2; k++) {
        csim_context *ctx = harness_context();
        c.grid_rows = k ? size : 1;
        c.grid_cols = k ? 1 : size;
        csim_results *first = case_results(ctx, &c);
        for (int turn = 0; turn < 3; turn++) {
            csim_results *r = case_results(ctx, &c);
            wrong += case_differences(first, r, k ? "a column of ranks" : "a row of ranks");
            csim_results_free(&r);
        }
        csim_results_free(&first);
        harness_context_free(&ctx);
    }
    for (int s = 0; s < SITES; s++) { free(data[s]); }
    assert_int_equal(wrong, 0);
}

static int count_down(void *user)
{
    int *left = user;
    return --*left <= 0;
}

/* Work of groups that one rank cannot go on with stays as it is. */
static void one_rank_is_too_few(const sweep_case *c, const char *folder)
{
    csim_context *alone = NULL;
    csim_results *r = NULL;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) {
        assert_int_equal(csim_context_create(MPI_COMM_SELF, &alone), CSIM_OK);
        assert_int_equal(case_sweep(alone, c, folder, &r), CSIM_E_ARG);
        assert_non_null(strstr(csim_context_error(alone), "groups of 1 x 2 ranks: found 1 rank"));
        csim_context_free(&alone);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* A sweep on groups that is stopped goes on with the same bits on groups of that shape, also where none
 * are asked for, and on no others. */
static void stops_keep_the_groups(void **state)
{
    (void)state;
    int size, left = 2;
    double *data[SITES];
    char folder[CASE_PATH], path[CASE_PATH + 16];
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) { skip(); }
    csim_context *ctx = harness_context();
    sweep_case c = make(120, data);
    c.grid_rows = 1;
    c.grid_cols = 2;
    csim_results *whole = case_results(ctx, &c), *r = NULL;
    case_write(ctx, &c, folder);
    snprintf(path, sizeof path, "%s.journal", folder);
    c.journal = path;
    c.resume = 1;
    c.stop = count_down;
    c.stop_user = &left;
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_E_STOPPED);
    csim__forgive(ctx);
    c.stop = NULL;
    c.grid_rows = c.grid_cols = 1;
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_E_DATA);
    assert_non_null(
        strstr(csim_context_error(ctx), "large pairs: from 20 on grids of 1 x 2 ranks"));
    csim__forgive(ctx);
    c.grid_rows = c.grid_cols = 0;
    c.grid_from = 0;
    one_rank_is_too_few(&c, folder);
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_OK);
    const csim_attribute *grid = csim_results_attribute_find(r, -1, "grid");
    const csim_attribute *from = csim_results_attribute_find(r, -1, "grid_from");
    assert_true(grid != NULL && grid->count == 2 && from != NULL && from->count == 1);
    assert_true(grid->integers[0] == 1 && grid->integers[1] == 2 && from->integers[0] == FROM);
    int64_t cells = csim_results_rows(r) * csim_results_cols(r);
    for (int v = 0; v < csim_results_count(r); v++) {
        assert_memory_equal(csim_results_values(r, v), csim_results_values(whole, v),
                            (size_t)cells * sizeof(double));
    }
    csim_results_free(&r);
    csim_results_free(&whole);
    case_remove(ctx, &c, folder);
    if (csim_context_rank(ctx) == 0) { unlink(path); }
    for (int s = 0; s < SITES; s++) { free(data[s]); }
    harness_context_free(&ctx);
}

/* The rank with most takes no more with groups than without, but for a few lists. */
static void groups_take_no_more_memory(void **state)
{
    (void)state;
    enum { N = 400, D = 400, LAYERS = 3, LISTS = 1 << 12 };
    static const char *const lists[] = {"procrustes", "cca_mean,pwcca,procrustes"};
    double *x = ref_alloc((int64_t)LAYERS * N * D, sizeof *x);
    sweep_case c = {.pairs = "all", .grid_from = FROM};
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    ref_random_matrix(77, N, D * LAYERS, x);
    for (int s = 0; s < LAYERS; s++) { case_add(&c, "a", x + (int64_t)s * N * D, N, D); }
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        int64_t most[2];
        c.measures = lists[k];
        for (int g = 0; g < 2; g++) {
            csim_context *ctx = harness_context();
            c.grid_rows = g;
            c.grid_cols = g * size;
            csim_results *r = case_results(ctx, &c);
            csim_results_free(&r);
            int64_t mine = csim_context_memory_peak(ctx);
            MPI_Allreduce(&mine, &most[g], 1, MPI_INT64_T, MPI_MAX, csim_context_comm(ctx));
            harness_context_free(&ctx);
        }
        if (most[1] > most[0] + LISTS) {
            print_error("%s: %lld bytes, without groups %lld\n", lists[k], (long long)most[1],
                        (long long)most[0]);
            assert_true(false);
        }
    }
    free(x);
}

/* Failed cells of large pairs, all of which must be marked as struck by a fault. */
static int count_failed(const sweep_case *c, csim_results *r, int *done)
{
    int failed = 0;
    int64_t rows = csim_results_rows(r);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < rows; j++) {
            if (case_cell(r, "procrustes", i, j) != CSIM_CELL_FAILED) {
                *done += is_large(c, i, j);
                continue;
            }
            assert_true(is_large(c, i, j));
            assert_int_equal(case_note(r, "procrustes", i, j), CSIM_NOTE_FAULT);
            failed++;
        }
    }
    return failed;
}

/* Faults inside a group spoil its pair and nothing else; all others end the sweep everywhere. */
static void a_failing_pair_leaves_others_intact(void **state)
{
    (void)state;
    int size, wrong = 0, spoilt = 0, ended = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) { skip(); }
    csim_context *ctx = harness_context();
    char folder[CASE_PATH];
    double *data[SITES];
    sweep_case c = make(120, data);
    c.measures = "procrustes,cca_mean,hsic";
    csim_results *alone = case_results(ctx, &c), *r = NULL;
    case_write(ctx, &c, folder);
    c.grid_rows = 1;
    c.grid_cols = 2;
    int64_t live = csim_context_memory_live(ctx);
    for (uint64_t seed = 1; seed <= 24; seed++) {
        csim_context_set_faults(ctx, 240, seed);
        csim_status st = case_sweep(ctx, &c, folder, &r);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        if (st == CSIM_OK) {
            int done = 0, failed = count_failed(&c, r, &done);
            spoilt += failed > 0 && done > failed;
            wrong += differences(&c, alone, r, "beside a failed pair");
        } else {
            assert_int_equal(st, CSIM_E_FAULT);
            ended++;
        }
        csim_results_free(&r);
        assert_int_equal(csim_context_memory_live(ctx), live);
    }
    case_remove(ctx, &c, folder);
    csim_results_free(&alone);
    for (int s = 0; s < SITES; s++) { free(data[s]); }
    assert_int_equal(wrong, 0);
    assert_true(spoilt >= 2 && ended >= 2);
    harness_context_free(&ctx);
}

static void impossible_groups_are_refused(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx);
    const int shapes[][2] = {{1, size + 1}, {size + 1, 1}, {1 << 20, 1 << 20}, {0, 2}, {-1, -1}};
    double *data[SITES];
    char folder[CASE_PATH];
    sweep_case c = make(40, data);
    case_write(ctx, &c, folder);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        csim_results *r = NULL;
        c.grid_rows = shapes[k][0];
        c.grid_cols = shapes[k][1];
        csim_status st = case_sweep(ctx, &c, folder, &r);
        assert_true(harness_same(ctx, st));
        assert_int_equal(st, CSIM_E_ARG);
        assert_null(r);
        assert_non_null(strstr(csim_context_error(ctx), k < 3 ? "a grid of" : "groups of"));
    }
    case_remove(ctx, &c, folder);
    for (int s = 0; s < SITES; s++) { free(data[s]); }
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_agree_with_ranks),
        cmocka_unit_test(shape_decides_the_bits),
        cmocka_unit_test(bits_repeat),
        cmocka_unit_test(stops_keep_the_groups),
        cmocka_unit_test(groups_take_no_more_memory),
        cmocka_unit_test(a_failing_pair_leaves_others_intact),
        cmocka_unit_test(impossible_groups_are_refused),
    };
    return harness_finish(cmocka_run_group_tests_name("groups", tests, NULL, NULL));
}
