/* The same bits in pieces: sites in blocks because memory is short, pairs in parts that are merged,
 * a sweep that stops and goes on. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTHS = 7 };

typedef struct layout {
    const char *name;
    int n, width[WIDTHS]; /* 0 ends the list */
    const char *measures; /* NULL: all */
    const char *pairs;
    csim_precision precision;
    int giant; /* an example of 10 to this power times the norm: its sites have tiles on all routes */
} layout;

static const layout layouts[] = {
    {"everything, wide and tall", 150, {160, 20, 150, 149, 7, 33, 21}, NULL, "all", CSIM_DOUBLE, 0},
    {"everything of two sets", 330, {20, 33, 20, 40, 25, 11}, NULL, "cross", CSIM_DOUBLE, 0},
    {"cross and Gram",
     1000,
     {20, 33, 310, 5, 320, 40},
     "cka,cka_debiased,hsic",
     "all",
     CSIM_DOUBLE,
     0},
    {"the same in single",
     1000,
     {20, 33, 310, 5, 320, 40},
     "cka,cka_debiased,hsic",
     "all",
     CSIM_SINGLE_PRECISION,
     0},
    {"a giant",
     300,
     {7, 12, 60, 1, 7, 30},
     "cka,cka_lange,cca_mean,procrustes",
     "all",
     CSIM_DOUBLE,
     5},
    {"a giant of many examples",
     2000,
     {12, 16, 10, 16, 13, 12, 11},
     "cka,cka_debiased",
     "all",
     CSIM_DOUBLE,
     5},
};

enum { LAYOUTS = sizeof layouts / sizeof *layouts };

/* The case of a layout: the first three sites are set "a", the others "b"; all have a common part. */
static sweep_case make(const layout *l)
{
    sweep_case c = {.pairs = l->pairs, .precision = l->precision, .measures = l->measures};
    case_mix(&c, l->n, l->width, WIDTHS, 3, l->giant);
    return c;
}

/* ---- blocks of sites ---- */

static void watch(void *user, csim_log_level level, const char *event, const char *text,
                  const csim_log_value *values, int count)
{
    int *tiled = user;
    (void)level;
    (void)event;
    (void)values;
    (void)count;
    if (strstr(text, "tiles of pairs") != NULL) { *tiled = 1; }
}

/* Are distances that would have to be stored more than the limit? Then all of them are. Or Gram tiles of
 * the first layer, a giant? */
static bool lacks_room(csim_results *r)
{
    static const char *const stored[] = {"rsa", "rsm_diff"};
    int lacking = 0;
    if (csim_results_find(r, "cka_debiased") >= 0 &&
        case_note(r, "cka_debiased", 0, csim_results_cols(r) - 1) == CSIM_NOTE_NO_ROOM) {
        return true;
    }
    for (int m = 0; m < 2 && csim_results_find(r, "rsa") >= 0; m++) {
        int64_t last = csim_results_cols(r) - 1;
        lacking += case_note(r, stored[m], 0, last) == CSIM_NOTE_NO_ROOM &&
                   case_cell(r, stored[m], 0, last) == CSIM_CELL_UNDEFINED;
    }
    assert_int_not_equal(lacking, 1);
    return lacking == 2;
}

static void memory_does_not_matter(void **state)
{
    (void)state;
    int wrong = 0, in_tiles = 0; /* where one pair needs most of the memory, there are none */
    for (int i = 0; i < LAYOUTS; i++) {
        sweep_case c = make(&layouts[i]);
        csim_context *ctx = harness_context();
        csim_results *whole = case_results(ctx, &c);
        int64_t limit = csim_context_memory_peak(ctx);
        int tiled = 0, runs = 0;
        bool room = true;
        csim_status st = CSIM_OK;
        MPI_Allreduce(MPI_IN_PLACE, &limit, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
        for (c.memory = limit; st == CSIM_OK && room; c.memory -= c.memory / 8) {
            csim_context *other = harness_context();
            csim_results *r = NULL;
            csim_context_set_log(other, CSIM_LOG_INFO, watch, &tiled);
            st = case_run(other, &c, &r);
            if (st == CSIM_OK) {
                char what[96];
                snprintf(what, sizeof what, "%s within %lld bytes", layouts[i].name,
                         (long long)c.memory);
                room = !lacks_room(r);
                wrong += room ? case_differences(whole, r, what) : 0;
                runs += tiled;
            } else {
                assert_int_equal(st, CSIM_E_MEM);
                assert_non_null(strstr(csim_context_error(other), "layers at a time"));
            }
            csim_results_free(&r);
            harness_context_free(&other);
        }
        in_tiles += csim_context_rank(ctx) > 0 || runs > 0;
        csim_results_free(&whole);
        harness_context_free(&ctx);
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
    assert_true(in_tiles >= 3);
}

/* ---- parts ---- */

static void parts_do_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"p1", "p2", "p3", "p4", "p5"};
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (int i = 0; i < LAYOUTS; i++) {
        sweep_case c = make(&layouts[i]);
        csim_results *whole = case_results(ctx, &c);
        for (c.parts = 1; c.parts <= 5; c.parts += 2) {
            csim_results *part[5];
            for (c.part = 1; c.part <= c.parts; c.part++) {
                part[c.part - 1] = case_results(ctx, &c);
            }
            if (c.parts > 1) { /* some of it is missing, there twice */
                csim_results *twice[2] = {part[0], part[0]};
                assert_int_equal(csim_results_merge(part, names, c.parts - 1), CSIM_E_DATA);
                assert_non_null(strstr(csim_context_error(ctx), "is missing"));
                csim__forgive(ctx);
                assert_int_equal(csim_results_merge(twice, names, 2), CSIM_E_DATA);
                assert_non_null(strstr(csim_context_error(ctx), "both part 1"));
                csim__forgive(ctx);
            }
            if (csim_results_merge(part, names, c.parts) != CSIM_OK) {
                print_error("%s\n", csim_context_error(ctx));
                assert_true(0);
            }
            wrong += case_differences(whole, part[0], layouts[i].name);
            for (int k = 0; k < c.parts; k++) { csim_results_free(&part[k]); }
        }
        csim_results_free(&whole);
        case_unmix(&c);
    }
    harness_context_free(&ctx);
    assert_int_equal(wrong, 0);
}

/* ---- stops ---- */

/* Asked to stop for the n-th time. */
static int count_down(void *user)
{
    int *left = user;
    return --*left <= 0;
}

/* A journal beside the folder of a case, whose name all ranks have. */
static void journal_path(csim_context *ctx, const char *folder, char path[CASE_PATH + 16])
{
    snprintf(path, CASE_PATH + 16, "%s.journal", folder);
    if (csim_context_rank(ctx) == 0) { unlink(path); }
}

/* Stop after one more save each time, on another number of ranks each time, until it is done. */
static int stop_and_go(const sweep_case *whole_case, const char *folder, csim_results *whole,
                       const char *name)
{
    int rank, size, stops = 0, wrong = 0, done = 0;
    sweep_case c = *whole_case;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    c.resume = 1;
    c.stop = count_down;
    for (int turn = 0; !done; turn++) {
        int ranks = turn % size + 1, left = 1 + turn % 3;
        MPI_Comm some;
        MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &some);
        if (some != MPI_COMM_NULL) {
            csim_context *ctx = NULL;
            csim_results *r = NULL;
            assert_int_equal(csim_context_create(some, &ctx), CSIM_OK);
            c.stop_user = &left;
            csim_status st = case_sweep(ctx, &c, folder, &r);
            if (st != CSIM_OK) { assert_int_equal(st, CSIM_E_STOPPED); }
            done = st == CSIM_OK;
            stops += !done;
            if (done) { wrong += case_differences(whole, r, name); }
            csim_results_free(&r);
            harness_context_free(&ctx);
            MPI_Comm_free(&some);
        }
        MPI_Bcast(&done, 1, MPI_INT, 0, MPI_COMM_WORLD);
        assert_true(turn < 100);
    }
    if (rank == 0 && stops < 2) {
        print_error("%s: %d stops\n", name, stops);
        wrong++;
    }
    MPI_Allreduce(MPI_IN_PLACE, &wrong, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return wrong;
}

static void stops_do_not_matter(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (int i = 0; i < LAYOUTS; i++) {
        char folder[CASE_PATH], path[CASE_PATH + 16];
        sweep_case c = make(&layouts[i]);
        csim_results *whole = case_results(ctx, &c), *r = NULL;
        case_write(ctx, &c, folder);
        journal_path(ctx, folder, path);
        MPI_Barrier(MPI_COMM_WORLD);
        c.journal = path;
        wrong += stop_and_go(&c, folder, whole, layouts[i].name);
        /* It is all in the journal now. */
        assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_E_EXISTS);
        csim__forgive(ctx);
        c.resume = 1;
        assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_OK);
        wrong += case_differences(whole, r, layouts[i].name);
        csim_results_free(&r);
        csim_results_free(&whole);
        case_remove(ctx, &c, folder);
        if (csim_context_rank(ctx) == 0) { unlink(path); }
        case_unmix(&c);
    }
    harness_context_free(&ctx);
    assert_int_equal(wrong, 0);
}

/* Saved work is only for what it was made from; the message names the difference. */
static void other_work_is_refused(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    char folder[CASE_PATH], path[CASE_PATH + 16];
    int left = 2;
    static const char *const dims[] = {"--svcca.variance=0.9", NULL};
    layout l = {"refusals", 300, {9, 14, 9, 12, 30}, "cka,svcca", "all", CSIM_DOUBLE, 0};
    sweep_case c = make(&l);
    csim_results *r = NULL;
    case_write(ctx, &c, folder);
    journal_path(ctx, folder, path);
    MPI_Barrier(MPI_COMM_WORLD);
    c.journal = path;
    c.stop = count_down;
    c.stop_user = &left;
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_E_STOPPED);
    csim__forgive(ctx);
    c.stop = NULL;
    c.resume = 1;
    struct {
        sweep_case c;
        const char *word;
    } other[] = {{c, "measures: cka'"},
                 {c, "svcca.variance"},
                 {c, "pairs: cross"},
                 {c, "rank floor"},
                 {c, "part 1 of 2"}};
    other[0].c.measures = "cka";
    other[1].c.options = dims;
    other[2].c.pairs = "cross";
    other[3].c.rank_floor = 1e-6;
    other[4].c.part = 1;
    other[4].c.parts = 2;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_int_equal(case_sweep(ctx, &other[i].c, folder, &r), CSIM_E_DATA);
        if (strstr(csim_context_error(ctx), other[i].word) == NULL) {
            print_error("%s: %s\n", other[i].word, csim_context_error(ctx));
            assert_true(0);
        }
        csim__forgive(ctx);
    }
    case_remove(ctx, &c, folder);
    double *x = case_values(&c, 3);
    double before = x[100];
    x[100] += 1;
    case_write(ctx, &c, folder); /* a layer with one other value */
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "has changed"));
    csim__forgive(ctx);
    case_remove(ctx, &c, folder);
    x[100] = before;
    case_write(ctx, &c, folder); /* as it was */
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_OK);
    csim_results_free(&r);
    case_remove(ctx, &c, folder);
    if (csim_context_rank(ctx) == 0) { unlink(path); }
    case_unmix(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_matter), cmocka_unit_test(parts_do_not_matter),
        cmocka_unit_test(stops_do_not_matter), cmocka_unit_test(other_work_is_refused)};
    return harness_finish(cmocka_run_group_tests_name("pieces", tests, NULL, NULL));
}
