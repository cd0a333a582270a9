/* Rows that are not held but read again by chunks: the bits of a sweep in memory with one layer that
 * is larger than the limit by itself, whatever the rounds; stops; values that change meanwhile; faults
 * and memory that runs out. */
#include "sweep_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTHS = 5 };

#define LINEAR                                                                                     \
    "cka,cka_debiased,cka_lange,hsic,cca_mean,cca_r2,svcca,pwcca,linreg,procrustes,"               \
    "ortho_procrustes,angular,nbs,eos,gulp,dot,norm"

typedef struct layout {
    const char *name;
    int n, width[WIDTHS]; /* 0 ends the list */
    const char *measures;
    const char *pairs;
    csim_precision precision;
    int giant;  /* see case_mix() */
    int runs;   /* on one rank so many limits, at least, with rows that are read by chunks */
    bool alone; /* and one layer is more than the least of them */
} layout;

static const layout layouts[] = {
    {"linear", 20000, {40, 33, 40, 7}, LINEAR, "all", CSIM_DOUBLE, 0, 2, true},
    {"matching",
     3000,
     {24, 33, 24},
     "align_cos,hard_corr,perm_procrustes,dot",
     "cross",
     CSIM_DOUBLE,
     0,
     2,
     false},
    {"cross products",
     9000,
     {40, 40, 40, 40, 40},
     "cka,hsic,procrustes",
     "all",
     CSIM_DOUBLE,
     0,
     2,
     true},
    {"single",
     9000,
     {48, 40, 48, 33},
     "cka,cka_debiased",
     "all",
     CSIM_SINGLE_PRECISION,
     0,
     2,
     true},
    {"a giant",
     2000,
     {100, 90, 100, 95, 60},
     "cka,cka_lange,cca_mean",
     "all",
     CSIM_DOUBLE,
     5,
     1,
     false},
    {"rounds of passes",
     2000,
     {160, 150, 160, 150, 160},
     "procrustes,cka",
     "all",
     CSIM_DOUBLE,
     0,
     2,
     false},
    {"learned", 3000, {20, 33, 20}, "contrasim,deepcka,mscon,cka", "all", CSIM_DOUBLE, 0, 0, false},
};

enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static sweep_case make(const layout *l)
{
    sweep_case c = {.pairs = l->pairs, .precision = l->precision, .measures = l->measures};
    case_mix(&c, l->n, l->width, WIDTHS, 2, l->giant);
    return c;
}

/* Whether rows are read by chunks (1), and in rounds of several passes (2). */
static void watch(void *user, csim_log_level level, const char *event, const char *text,
                  const csim_log_value *values, int count)
{
    static const char *const words = "read again by chunks to keep the memory limit: ";
    int *streamed = user, rounds, passes;
    (void)level;
    (void)event;
    (void)values;
    (void)count;
    const char *at = strstr(text, words);
    if (at == NULL) { return; }
    assert_int_equal(sscanf(at + strlen(words), "%d rounds, %d passes", &rounds, &passes), 2);
    *streamed = passes > rounds ? 2 : 1;
}

static void same(const double *a, const double *b, int64_t count)
{
    assert_memory_equal(a, b, (size_t)count * sizeof *a);
}

/* Has a limit no room for the tiles that some measures want? Their cells say so, others are as without
 * the limit. */
static bool lacks_tiles(csim_results *whole, csim_results *r)
{
    int64_t cells = csim_results_rows(r) * csim_results_cols(r);
    bool lacks = false;
    for (int v = 0; v < csim_results_count(r); v++) {
        const csim_measure *m = csim_measure_find(csim_results_variable(r, v)->name);
        for (int64_t i = 0; i < cells; i++) {
            if ((m->needs & CSIM_NEEDS_DIAGONAL) &&
                csim_results_notes(r, v)[i] == CSIM_NOTE_NO_ROOM) {
                lacks = true;
            } else {
                same(csim_results_values(r, v) + i, csim_results_values(whole, v) + i, 1);
            }
        }
    }
    return lacks;
}

/* Sweep within a limit; were rows read by chunks? Rank 0 is told, and tells all. */
static csim_status sweep_within(const sweep_case *c, const char *folder, int64_t limit,
                                csim_results *whole, const char *name, int *wrong, int *streamed)
{
    csim_context *ctx = harness_context();
    sweep_case within = *c;
    csim_results *r = NULL;
    int seen = 0;
    within.memory = limit;
    csim_context_set_log(ctx, CSIM_LOG_INFO, watch, &seen);
    csim_status st = case_sweep(ctx, &within, folder, &r);
    MPI_Bcast(&seen, 1, MPI_INT, 0, MPI_COMM_WORLD);
    *streamed = seen;
    if (st == CSIM_OK && strstr(c->measures, "cka_lange") != NULL && lacks_tiles(whole, r)) {
        st = CSIM_E_MEM; /* tighter limits have no room either */
    } else if (st == CSIM_OK) {
        char what[96];
        snprintf(what, sizeof what, "%s within %lld bytes", name, (long long)limit);
        *wrong += case_differences(whole, r, what);
        /* encoders are made before the sweep, which counts, too */
        bool learned = strstr(c->measures, "contrasim") != NULL;
        if (seen && !learned && csim_context_memory_peak(ctx) > limit + limit / 50) {
            print_error("%s: %lld bytes\n", what, (long long)csim_context_memory_peak(ctx));
            ++*wrong;
        }
    } else {
        assert_int_equal(st, CSIM_E_MEM);
        assert_non_null(strstr(csim_context_error(ctx), "layers at a time"));
    }
    csim_results_free(&r);
    harness_context_free(&ctx);
    return st;
}

static void same_bits(void **state)
{
    (void)state;
    int wrong = 0, size, deep = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int i = 0; i < LAYOUTS; i++) {
        const layout *l = &layouts[i];
        csim_context *ctx = harness_context();
        char folder[CASE_PATH];
        sweep_case c = make(l);
        csim_results *whole = NULL;
        int64_t peak, least = 0, widest = 0;
        int runs = 0;
        case_write(ctx, &c, folder);
        assert_int_equal(case_sweep(ctx, &c, folder, &whole), CSIM_OK);
        peak = csim_context_memory_peak(ctx);
        MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
        csim_status st = CSIM_OK;
        for (int64_t limit = peak * 4 / 5; st == CSIM_OK; limit -= limit / 4) {
            int streamed = 0;
            st = sweep_within(&c, folder, limit, whole, l->name, &wrong, &streamed);
            if (st == CSIM_OK) { least = limit; }
            runs += st == CSIM_OK && streamed > 0;
            deep += st == CSIM_OK && streamed == 2;
        }
        for (int s = 0; s < c.count; s++) { widest = csim__max64(widest, c.site[s].d); }
        if (size == 1 && (runs < l->runs || (l->alone && least >= 8 * widest * l->n))) {
            print_error("%s: %d runs by chunks, down to %lld bytes\n", l->name, runs,
                        (long long)least);
            wrong++;
        }
        csim_results_free(&whole);
        case_remove(ctx, &c, folder);
        case_unmix(&c);
        harness_context_free(&ctx);
    }
    assert_int_equal(wrong, 0);
    assert_true(size == 1 ? deep == 0 : deep > 0);
}

/* A limit on these ranks with which rows are read by chunks; 0: there is none. */
static int64_t tight(const sweep_case *c, const char *folder, csim_results *whole, int64_t peak)
{
    int wrong = 0, streamed;
    int64_t limit = peak * 2 / 3;
    while (sweep_within(c, folder, limit, whole, "tight", &wrong, &streamed) == CSIM_OK &&
           streamed == 0) {
        limit -= limit / 8;
    }
    assert_int_equal(wrong, 0);
    return streamed > 0 ? limit : 0;
}

/* The least of some limits that does; 0: none does. */
static int64_t tightest(const sweep_case *c, const char *folder, csim_results *whole, int64_t peak)
{
    int wrong = 0, streamed;
    int64_t least = 0;
    for (int64_t limit = peak * 2 / 3;
         sweep_within(c, folder, limit, whole, "tightest", &wrong, &streamed) == CSIM_OK;
         limit -= limit / 5) {
        if (streamed > 0) { least = limit; }
    }
    assert_int_equal(wrong, 0);
    return least;
}

/* ---- sweeps that are stopped, spoilt and made to fail ---- */

typedef struct stage {
    csim_context *ctx;
    sweep_case c;
    char folder[CASE_PATH], journal[CASE_PATH + 16];
    csim_results *whole;     /* without a limit */
    int64_t tight, tightest; /* limits with which rows are read by chunks; 0: there is none */
} stage;

static void set_up(stage *s)
{
    s->ctx = harness_context();
    case_write(s->ctx, &s->c, s->folder);
    snprintf(s->journal, sizeof s->journal, "%s.journal", s->folder);
}

static void no_journal(const stage *s)
{
    MPI_Barrier(MPI_COMM_WORLD);
    if (csim_context_rank(s->ctx) == 0) { unlink(s->journal); }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void take_down(stage *s)
{
    csim_results_free(&s->whole);
    no_journal(s);
    case_remove(s->ctx, &s->c, s->folder);
    harness_context_free(&s->ctx);
}

static stage common; /* of the tests below, which leave its files as they were */

static int open_stage(void **state)
{
    static const layout l = {
        "stops", 4000, {40, 33, 40, 36, 40}, "cka,svcca,procrustes,eos,dot", "all", CSIM_DOUBLE, 0,
        0,       false};
    common.c = make(&l);
    set_up(&common);
    assert_int_equal(case_sweep(common.ctx, &common.c, common.folder, &common.whole), CSIM_OK);
    int64_t peak = csim_context_memory_peak(common.ctx);
    MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    common.tight = tight(&common.c, common.folder, common.whole, peak);
    common.tightest = tightest(&common.c, common.folder, common.whole, peak);
    *state = &common;
    return 0;
}

static int close_stage(void **state)
{
    stage *s = *state;
    take_down(s);
    case_unmix(&s->c);
    return 0;
}

static int count_down(void *user)
{
    int *left = user;
    return --*left <= 0;
}

/* A sweep that will be stopped, from its beginning. */
static sweep_case stoppable(const stage *s)
{
    sweep_case c = s->c;
    no_journal(s);
    c.memory = s->tightest;
    c.journal = s->journal;
    c.resume = 1;
    c.stop = count_down;
    return c;
}

/* Stop after every round and go on. */
static void stops(void **state)
{
    const stage *s = *state;
    sweep_case c = stoppable(s);
    csim_results *r = NULL;
    int turns = 0;
    csim_status st = CSIM_E_STOPPED;
    for (; c.memory > 0 && st == CSIM_E_STOPPED && turns < 100; turns++) {
        int left = 1;
        c.stop_user = &left;
        st = case_sweep(s->ctx, &c, s->folder, &r);
        csim__forgive(s->ctx);
    }
    if (c.memory > 0) {
        assert_int_equal(st, CSIM_OK);
        assert_true(turns > 1);
        assert_int_equal(case_differences(s->whole, r, "after stops"), 0);
    }
    csim_results_free(&r);
}

/* Asked to stop at the @p turn-th look, here or on the last rank alone. */
static csim_status stop_at(const stage *s, sweep_case *c, int turn, csim_results **r)
{
    int64_t live = csim_context_memory_live(s->ctx);
    bool mine = turn % 2 == 0 || csim_context_rank(s->ctx) == csim_context_size(s->ctx) - 1;
    int left = mine ? turn : 1 << 30;
    c->stop_user = &left;
    csim_status st = case_sweep(s->ctx, c, s->folder, r);
    assert_true(harness_same(s->ctx, st));
    if (st != CSIM_OK) {
        assert_int_equal(st, CSIM_E_STOPPED);
        assert_non_null(strstr(csim_context_error(s->ctx), "stopped; "));
        assert_int_equal(csim_context_memory_live(s->ctx), live);
        csim__forgive(s->ctx);
    }
    return st;
}

/* While rows are read for a round: what was saved stays, and nothing else. Something is saved each time. */
static void stops_in_the_midst(void **state)
{
    const stage *s = *state;
    sweep_case c = stoppable(s);
    csim_results *r = NULL;
    int turns = 0;
    if (c.memory > 0) {
        while (stop_at(s, &c, 2 + turns % 3, &r) == CSIM_E_STOPPED) {
            assert_int_equal(access(s->journal, F_OK), 0);
            assert_true(++turns < 30);
        }
        assert_true(turns > 1);
        assert_int_equal(case_differences(s->whole, r, "after stops in the midst"), 0);
    }
    csim_results_free(&r);
}

/* Who is asked after the last round has a result to give. */
static void ends_all_the_same(void **state)
{
    (void)state;
    double x[200 * 9];
    for (int i = 0; i < 200 * 9; i++) { x[i] = i % 7 - 3; }
    stage s = {.c = case_pair(x, x, 200, 9, 9)};
    csim_results *r = NULL;
    int left = 2; /* once before, once after its one round */
    s.c.measures = "dot";
    s.c.pairs = "cross";
    set_up(&s);
    sweep_case c = stoppable(&s);
    c.resume = 0;
    c.stop_user = &left;
    assert_int_equal(case_sweep(s.ctx, &c, s.folder, &r), CSIM_OK);
    csim_results_free(&r);
    take_down(&s);
}

/* What changes files in the midst of a sweep: the last number of one. */
typedef struct vandal {
    char path[CASE_PATH + 16];
    double was;
    bool done;
} vandal;

static double replace_last(const char *path, double value)
{
    double was;
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -8, SEEK_END), 0);
    assert_int_equal(fread(&was, sizeof was, 1, f), 1);
    assert_int_equal(fseek(f, -8, SEEK_END), 0);
    assert_int_equal(fwrite(&value, sizeof value, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    return was;
}

static void spoil(void *user, const char *phase, double done, double total)
{
    vandal *v = user;
    (void)done;
    (void)total;
    if (v->done || strcmp(phase, "bases") != 0) { return; }
    v->done = true;
    v->was = replace_last(v->path, 3.5);
}

/* Values that are read again must be the same. On one rank, where no other is ahead. */
static void changes_are_seen(void **state)
{
    const stage *s = *state;
    if (csim_context_size(s->ctx) > 1) { return; }
    sweep_case c = s->c;
    csim_results *r = NULL;
    vandal v = {.done = false};
    assert_true(s->tight > 0);
    snprintf(v.path, sizeof v.path, "%s/a/00.npy", s->folder);
    c.memory = s->tight;
    c.progress = spoil;
    c.progress_user = &v;
    assert_int_equal(case_sweep(s->ctx, &c, s->folder, &r), CSIM_E_DATA);
    assert_true(v.done);
    assert_non_null(strstr(csim_context_error(s->ctx), "has changed while the sweep was running"));
    csim__forgive(s->ctx);
    replace_last(v.path, v.was);
}

/* Every vote may fail: one status, nothing left. */
static void faults(void **state)
{
    const stage *s = *state;
    sweep_case c = s->c;
    csim_results *r = NULL;
    int failed = 0;
    int64_t live = csim_context_memory_live(s->ctx);
    c.memory = s->tight;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        csim_context_set_faults(s->ctx, seed % 2 ? 60 : 200, seed);
        csim_status st = case_sweep(s->ctx, &c, s->folder, &r);
        csim_context_set_faults(s->ctx, 0, 0);
        assert_true(harness_same(s->ctx, st));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        failed += st != CSIM_OK;
        csim_results_free(&r);
        assert_int_equal(csim_context_memory_live(s->ctx), live);
        csim__forgive(s->ctx);
    }
    assert_true(failed > 2);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),          cmocka_unit_test(stops),
        cmocka_unit_test(stops_in_the_midst), cmocka_unit_test(ends_all_the_same),

        cmocka_unit_test(changes_are_seen),   cmocka_unit_test(faults)};
    return harness_finish(cmocka_run_group_tests_name("stream", tests, open_stage, close_stage));
}
