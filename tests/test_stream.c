/* Rows that are not held but read again by chunks: the bits of a sweep in memory with one layer that
 * is larger than the limit by itself, whatever the rounds; stops; values that change meanwhile; faults
 * and memory that runs out. */
#include "sweep_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingredients/basis.h"
#include "ingredients/feed.h"

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

/* ---- one site at a time ---- */

/* Rows of a basis, chunk by chunk, against those that are held. */
static void same_rows(csim_context *ctx, const csim_shard *shard, csim__site *held,
                      csim__site *streamed, bool raw)
{
    csim__meter meter = {.size = csim_context_size(ctx)};
    const csim__basis *b = raw ? &held->raw_basis : &held->basis;
    csim__guest guest = {.site = streamed, .forms = raw ? CSIM__FORM_RAW_BASIS : CSIM__FORM_BASIS};
    csim__feed feed;
    if (held->n <= held->d) { /* rows of U are held in both */
        same(b->u, raw ? streamed->raw_basis.u : streamed->basis.u, shard->rows * b->q);
        return;
    }
    assert_int_equal(csim__feed_open(ctx, shard, &guest, 1, true, &meter, &feed), CSIM_OK);
    for (int64_t c = 0; c < shard->count; c++) {
        assert_int_equal(csim__feed_next(&feed), CSIM_OK);
        same(b->u + c * shard->chunk * b->q, raw ? guest.raw_basis : guest.basis,
             csim__chunk_rows(shard, shard->first + c) * b->q);
    }
    csim__feed_close(&feed);
}

/* Moments and bases, also of a layer with as few examples as neurons and of one without full rank. */
static void same_ingredients(void **state)
{
    (void)state;
    enum { SITES = 3 };
    const layout l = {"", 300, {310, 33, 20}, NULL, "all", CSIM_DOUBLE, 0, 0, false};
    csim_context *ctx = harness_context();
    csim__site site[2][SITES];
    csim_shard shard;
    char folder[CASE_PATH], spec[CASE_PATH + 8];
    sweep_case c = make(&l);
    csim_set *set[2];
    csim_input_options input = {.neuron_axis = -1};
    csim__meter meter = {.size = csim_context_size(ctx)};
    union { /* the case only borrows its matrices */
        const double *in;
        double *out;
    } x = {.in = c.site[1].x};
    for (int64_t i = 0; i < l.n; i++) { /* two pairs of equal neurons */
        memcpy(x.out + i * l.width[1], x.out + i * l.width[1] + 5, 2 * sizeof *x.out);
    }
    case_write(ctx, &c, folder);
    for (int k = 0; k < 2; k++) {
        snprintf(spec, sizeof spec, "%s/%c", folder, "ab"[k]);
        assert_int_equal(csim_set_open(ctx, spec, &input, &set[k]), CSIM_OK);
    }
    for (int k = 0; k < 2; k++) {
        csim__site *list[SITES];
        for (int s = 0; s < SITES; s++) {
            site[k][s] = (csim__site){.set = set[s / 2],
                                      .index = s % 2,
                                      .model = "m",
                                      .layer = "l",
                                      .d = l.width[s],
                                      .streamed = k == 1};
            list[s] = &site[k][s];
        }
        assert_int_equal(csim__ingest(ctx, site[k], SITES, CSIM_DOUBLE, &shard), CSIM_OK);
        csim__basis_options raw = {.raw = true}, centred = {.loading = true, .floor = 1e-10};
        assert_int_equal(csim__basis_build(ctx, &shard, list, SITES, &raw, &meter), CSIM_OK);
        assert_int_equal(csim__basis_build(ctx, &shard, list, SITES, &centred, &meter), CSIM_OK);
    }
    for (int s = 0; s < SITES; s++) {
        csim__site *a = &site[0][s], *b = &site[1][s];
        assert_null(b->x);
        same(a->mean, b->mean, a->d);
        same(a->norm, b->norm, a->d);
        same(a->row_square, b->row_square, shard.rows);
        same(&a->variance, &b->variance, 1);
        same(&a->square_of_norms, &b->square_of_norms, 1);
        assert_true(a->checksum == b->checksum);
        assert_int_equal(a->basis.q, b->basis.q);
        assert_int_equal(a->raw_basis.r, b->raw_basis.r);
        same(a->basis.sigma, b->basis.sigma, a->basis.q);
        same(a->raw_basis.sigma, b->raw_basis.sigma, a->raw_basis.q);
        same(a->basis.loading, b->basis.loading, a->basis.q * a->d);
        same_rows(ctx, &shard, a, b, false);
        same_rows(ctx, &shard, a, b, true);
        assert_int_equal(csim__site_hold(ctx, &shard, b, false), CSIM_OK);
        same(a->x, b->x, shard.rows * a->d);
    }
    for (int k = 0; k < 2; k++) {
        for (int s = 0; s < SITES; s++) { csim__site_release(ctx, &site[k][s]); }
        csim_set_free(&set[k]);
    }
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
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

static const layout one = {
    "stops", 4000, {40, 33, 40, 36, 40}, "cka,svcca,procrustes,eos,dot", "all", CSIM_DOUBLE, 0,
    0,       false};

static int count_down(void *user)
{
    int *left = user;
    return --*left <= 0;
}

/* Stop after every round and go on. */
static void stops(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    char folder[CASE_PATH], path[CASE_PATH + 16];
    sweep_case c = make(&one);
    csim_results *whole = NULL, *r = NULL;
    int turns = 0;
    csim_status st = CSIM_E_STOPPED;
    case_write(ctx, &c, folder);
    assert_int_equal(case_sweep(ctx, &c, folder, &whole), CSIM_OK);
    int64_t peak = csim_context_memory_peak(ctx);
    MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    c.memory = tightest(&c, folder, whole, peak);
    snprintf(path, sizeof path, "%s.journal", folder);
    c.journal = path;
    c.resume = 1;
    c.stop = count_down;
    for (; c.memory > 0 && st == CSIM_E_STOPPED && turns < 100; turns++) {
        int left = 1;
        c.stop_user = &left;
        st = case_sweep(ctx, &c, folder, &r);
        csim__forgive(ctx);
    }
    if (c.memory > 0) {
        assert_int_equal(st, CSIM_OK);
        assert_true(turns > 1);
        assert_int_equal(case_differences(whole, r, "after stops"), 0);
    }
    csim_results_free(&r);
    csim_results_free(&whole);
    if (csim_context_rank(ctx) == 0) { unlink(path); }
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* Asked to stop at the @p turn-th look, here or on the last rank alone. */
static csim_status stop_at(csim_context *ctx, sweep_case *c, const char *folder, int turn,
                           csim_results **r)
{
    int64_t live = csim_context_memory_live(ctx);
    bool mine = turn % 2 == 0 || csim_context_rank(ctx) == csim_context_size(ctx) - 1;
    int left = mine ? turn : 1 << 30;
    c->stop_user = &left;
    csim_status st = case_sweep(ctx, c, folder, r);
    assert_true(harness_same(ctx, st));
    if (st != CSIM_OK) {
        assert_int_equal(st, CSIM_E_STOPPED);
        assert_non_null(strstr(csim_context_error(ctx), "stopped; "));
        assert_int_equal(csim_context_memory_live(ctx), live);
        csim__forgive(ctx);
    }
    return st;
}

/* While rows are read for a round: what was saved stays, and nothing else. Something is saved each time. */
static void stops_in_the_midst(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    char folder[CASE_PATH], path[CASE_PATH + 16];
    sweep_case c = make(&one);
    csim_results *whole = NULL, *r = NULL;
    int turns = 0;
    case_write(ctx, &c, folder);
    assert_int_equal(case_sweep(ctx, &c, folder, &whole), CSIM_OK);
    int64_t peak = csim_context_memory_peak(ctx);
    MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    c.memory = tightest(&c, folder, whole, peak);
    snprintf(path, sizeof path, "%s.journal", folder);
    c.journal = path;
    c.resume = 1;
    c.stop = count_down;
    if (c.memory > 0) {
        while (stop_at(ctx, &c, folder, 2 + turns % 3, &r) == CSIM_E_STOPPED) {
            assert_int_equal(access(path, F_OK), 0);
            assert_true(++turns < 30);
        }
        assert_true(turns > 1);
        assert_int_equal(case_differences(whole, r, "after stops in the midst"), 0);
    }
    csim_results_free(&r);
    csim_results_free(&whole);
    MPI_Barrier(MPI_COMM_WORLD);
    if (csim_context_rank(ctx) == 0) { unlink(path); }
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* Who is asked after the last round has a result to give. */
static void ends_all_the_same(void **state)
{
    (void)state;
    const layout l = {"", 200, {9, 12}, "dot", "cross", CSIM_DOUBLE, 0, 0, false};
    csim_context *ctx = harness_context();
    char folder[CASE_PATH], path[CASE_PATH + 16];
    double x[200 * 9];
    for (int i = 0; i < 200 * 9; i++) { x[i] = i % 7 - 3; }
    sweep_case c = case_pair(x, x, l.n, l.width[0], l.width[0]);
    csim_results *r = NULL;
    int left = 2; /* once before, once after its one round */
    c.measures = l.measures;
    c.pairs = l.pairs;
    case_write(ctx, &c, folder);
    snprintf(path, sizeof path, "%s.journal", folder);
    c.journal = path;
    c.stop = count_down;
    c.stop_user = &left;
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_OK);
    csim_results_free(&r);
    if (csim_context_rank(ctx) == 0) { unlink(path); }
    case_remove(ctx, &c, folder);
    harness_context_free(&ctx);
}

/* Chunks of long work, and what one of them made of it. */
typedef struct long_work {
    int64_t done, failing;
    int looks, asked;
} long_work;

static csim_status work_on(void *user, int64_t chunk)
{
    long_work *w = user;
    assert_true(chunk == w->done++);
    return chunk == w->failing ? CSIM_E_DATA : CSIM_OK;
}

static int asked_then(void *user)
{
    long_work *w = user;
    return w->looks++ == w->asked;
}

/* A look before every chunk that takes long: no rank goes on where one is asked, or fails. */
static void looks_between_chunks(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int rank = csim_context_rank(ctx), size = csim_context_size(ctx), last = size - 1;
    csim_shard shard = csim__shard(64 * 11, rank, size); /* chunks, three at least on one of four */
    const struct {
        int asked, failing;
        csim_status st;
        int64_t done;
    } cases[] = {{-1, -1, CSIM_OK, 11},
                 {0, -1, CSIM_E_STOPPED, 0},
                 {2, -1, CSIM_E_STOPPED, 2},
                 {-1, 1, CSIM_E_DATA, 2},
                 {2, 1, CSIM_E_DATA, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        long_work w = {.failing = rank == last ? cases[i].failing : -1,
                       .asked = rank == 0 ? cases[i].asked : -1};
        csim__meter meter = {.size = size, .stop = asked_then, .stop_user = &w};
        csim_status st = csim__feed_chunks(ctx, &shard, &meter, CSIM_OK, 1e12, work_on, &w);
        assert_int_equal(st, cases[i].st);
        assert_int_equal(w.done, csim__min64(cases[i].done, shard.count));
        csim__forgive(ctx);
    }
    harness_context_free(&ctx);
}

/* What changes files in the midst of a sweep. */
typedef struct vandal {
    char path[CASE_PATH + 16];
    bool done;
} vandal;

static void spoil(void *user, const char *phase, double done, double total)
{
    vandal *v = user;
    (void)done;
    (void)total;
    if (v->done || strcmp(phase, "bases") != 0) { return; }
    v->done = true;
    FILE *f = fopen(v->path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -8, SEEK_END), 0); /* the last number */
    double other = 3.5;
    assert_int_equal(fwrite(&other, sizeof other, 1, f), 1);
    fclose(f);
}

/* Values that are read again must be the same. On one rank, where no other is ahead. */
static void changes_are_seen(void **state)
{
    (void)state;
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size > 1) { return; }
    csim_context *ctx = harness_context();
    char folder[CASE_PATH];
    sweep_case c = make(&one);
    csim_results *whole = NULL, *r = NULL;
    vandal v = {.done = false};
    case_write(ctx, &c, folder);
    assert_int_equal(case_sweep(ctx, &c, folder, &whole), CSIM_OK);
    c.memory = tight(&c, folder, whole, csim_context_memory_peak(ctx));
    assert_true(c.memory > 0);
    snprintf(v.path, sizeof v.path, "%s/a/00.npy", folder);
    c.progress = spoil;
    c.progress_user = &v;
    assert_int_equal(case_sweep(ctx, &c, folder, &r), CSIM_E_DATA);
    assert_true(v.done);
    assert_non_null(strstr(csim_context_error(ctx), "has changed while the sweep was running"));
    csim_results_free(&whole);
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* Every vote may fail: one status, nothing left. */
static void faults(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    char folder[CASE_PATH];
    sweep_case c = make(&one);
    csim_results *whole = NULL, *r = NULL;
    int failed = 0;
    case_write(ctx, &c, folder);
    assert_int_equal(case_sweep(ctx, &c, folder, &whole), CSIM_OK);
    int64_t peak = csim_context_memory_peak(ctx);
    MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    c.memory = tight(&c, folder, whole, peak);
    csim_results_free(&whole);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        csim_context_set_faults(ctx, seed % 2 ? 60 : 200, seed);
        csim_status st = case_sweep(ctx, &c, folder, &r);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        failed += st != CSIM_OK;
        csim_results_free(&r);
        assert_int_equal(csim_context_memory_live(ctx), 0);
        csim__forgive(ctx);
    }
    assert_true(failed > 2);
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_ingredients),
                                       cmocka_unit_test(same_bits),
                                       cmocka_unit_test(stops),
                                       cmocka_unit_test(stops_in_the_midst),
                                       cmocka_unit_test(ends_all_the_same),
                                       cmocka_unit_test(looks_between_chunks),
                                       cmocka_unit_test(changes_are_seen),
                                       cmocka_unit_test(faults)};
    return harness_finish(cmocka_run_group_tests_name("stream", tests, NULL, NULL));
}
