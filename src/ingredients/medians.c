/* Medians of distances. A double that is not negative has the order of its bit pattern, its key. An
 * interval of keys that must hold a median is cut into bins, and all distances are counted into them;
 * then the bin that holds it is cut, until few keys are left, which are collected. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clones.h"
#include "ingredients/kernels.h"
#include "ingredients/keys.h"
#include "ingredients/ring.h"
#include "linalg/dense.h"

enum {
    BITS = 16,
    BINS = 1 << BITS, /* counters, or keys that are collected */
    SAMPLE = 256,     /* examples of it */
    RANKS = 4         /* order statistics of a site: two in the middle of each kind of median */
};

/* Above all keys of numbers. */
static const uint64_t END = (uint64_t)1 << 63;

/* The order statistic with k others before it. */
typedef struct target {
    int64_t k;
    uint64_t low; /* its key is in [low, low + bins·2^shift) */
    int shift;
    uint64_t bins;
    bool collect, done;
    int same;       /* the target before it, if any, that has the same interval; else itself */
    int64_t under;  /* keys below the interval */
    int64_t *count; /* [BINS] keys in bins, or the keys themselves */
    int64_t kept;   /* keys collected here */
    double square;  /* of the distance, once done */
} target;

typedef struct search {
    csim_context *ctx;
    const csim_shard *shard;
    csim__site *const *site;
    int count;
    target *target; /* [count, RANKS] */
    int64_t *width;
    const void **rows;
    double *extra; /* [own chunks, count, chunk] */
    double *tile;
    double *sample;          /* [SAMPLE, widest] */
    double *sample_distance; /* [SAMPLE, SAMPLE] */
    csim__meter *meter;
    double flops;
} search;

/* Cut [low, high) into bins. */
static void set_interval(target *t, uint64_t low, uint64_t high)
{
    t->low = low;
    t->shift = 0;
    while ((high - low - 1) >> t->shift >= BINS) { t->shift++; }
    t->bins = ((high - low - 1) >> t->shift) + 1;
    t->collect = false;
}

/* ---- a sample ---- */

/* Rows at even steps through all examples, on every rank. */
static csim_status gather_sample(search *w, int s, int rows)
{
    const csim__site *site = w->site[s];
    const csim_shard *me = w->shard;
    int64_t d = site->d;
    memset(w->sample, 0, (size_t)(rows * d) * sizeof *w->sample);
    for (int i = 0; i < rows; i++) {
        int64_t row = i * me->n / rows - me->row0;
        if (row < 0 || row >= me->rows) { continue; }
        memcpy(w->sample + i * d, site->x + row * d, (size_t)d * sizeof *w->sample);
    }
    return csim__mpi(w->ctx,
                     MPI_Allreduce(MPI_IN_PLACE, w->sample, (int)(rows * d), MPI_DOUBLE, MPI_SUM,
                                   csim_context_comm(w->ctx)),
                     "a sample of rows");
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Where the middle of all distances must be, if the sample does not mislead. */
static csim_status guess(search *w, int s)
{
    int rows = (int)csim__min64(SAMPLE, w->shard->n);
    int64_t d = w->site[s]->d, many = 0;
    double square[SAMPLE], *g = w->sample_distance;
    uint64_t *key = (uint64_t *)(void *)g, limit[2];
    csim_status st = gather_sample(w, s, rows);
    for (int i = 0; i < rows; i++) {
        square[i] = csim__dot(d, w->sample + i * d, w->sample + i * d);
    }
    csim__syrk_nt(rows, (int)d, w->sample, g);
    csim__squares_of(g, rows, rows, d, w->sample, w->sample, square, square, true);
    for (int i = 0; i < rows; i++) {
        for (int j = i + 1; j < rows; j++) {
            uint64_t one = csim__key_of(g[(int64_t)i * rows + j]);
            memcpy(key + many++, &one, sizeof one); /* behind what is still to be read */
        }
    }
    qsort(key, (size_t)many, sizeof *key, by_size);
    limit[0] = key[(int64_t)(0.4 * (double)many)];
    limit[1] = END - 1 - key[(int64_t)(0.6 * (double)many)];
    csim_status all = csim__mpi(
        w->ctx,
        MPI_Allreduce(MPI_IN_PLACE, limit, 2, MPI_UINT64_T, MPI_MIN, csim_context_comm(w->ctx)),
        "limits of a median");
    for (int r = 0; r < RANKS; r++) {
        set_interval(&w->target[s * RANKS + r], limit[0], END - limit[1]);
    }
    return st == CSIM_OK ? all : st;
}

/* ---- passes ---- */

/* How many of a row's keys are below an interval of @p span keys, and how many are in it. */
CSIM_CLONES
static void survey(const double *square, int n, uint64_t low, uint64_t span, int64_t *under,
                   int64_t *inside)
{
    int64_t below = 0, in = 0;
    for (int j = 0; j < n; j++) {
        uint64_t key = csim__key_of(square[j]);
        below += key < low;
        in += key - low < span;
    }
    *under += below;
    *inside += in;
}

/* Those in it, less its begin; no branch, as nothing foretells it. @p out has room for all. */
static int keys_inside(const double *square, int n, uint64_t low, uint64_t span, uint64_t *out)
{
    int many = 0;
    for (int j = 0; j < n; j++) {
        out[many] = csim__key_of(square[j]) - low;
        many += out[many] < span;
    }
    return many;
}

static void count_row(target *t, const double *square, int n)
{
    uint64_t key[CSIM__TILE], span = t->bins << t->shift;
    int64_t inside = 0;
    survey(square, n, t->low, span, &t->under, &inside);
    if (inside == 0) { return; }
    int many = keys_inside(square, n, t->low, span, key);
    for (int i = 0; i < many && !t->collect; i++) { t->count[key[i] >> t->shift]++; }
    for (int i = 0; i < many && t->collect && t->kept < BINS; i++) {
        t->count[t->kept++] = (int64_t)(t->low + key[i]);
    }
}

static bool is_open(const search *w, int s)
{
    for (int r = 0; r < RANKS; r++) {
        if (!w->target[s * RANKS + r].done) { return true; }
    }
    return false;
}

static void take_tile(void *user, const csim__tile *t)
{
    search *w = user;
    double work = 0;
    for (int s = 0; s < w->count; s++) {
        int64_t d = w->site[s]->d, chunk = w->shard->chunk;
        const double *x = (const double *)t->left->row[s] + t->i * d;
        const double *y = (const double *)t->right->row[s] + t->j * d;
        double flops = (t->diagonal ? 1.0 : 2.0) * (double)d * t->m * t->n;
        if (!is_open(w, s)) { continue; }
        csim__phase_begin(w->ctx, "products");
        t->diagonal ? csim__syrk_nt(t->m, (int)d, x, w->tile)
                    : csim__gemm_nt(t->m, t->n, (int)d, x, y, w->tile);
        csim__phase_end(w->ctx, flops, 0);
        csim__ring_nudge(t);
        csim__squares_of(w->tile, t->m, t->n, d, x, y, t->left->extra + s * chunk + t->i,
                         t->right->extra + s * chunk + t->j, t->diagonal);
        for (int r = 0; r < RANKS; r++) {
            target *one = &w->target[s * RANKS + r];
            if (one->done || one->same != r) { continue; }
            for (int i = 0; i < t->m; i++) {
                int from = t->diagonal ? i + 1 : 0;
                count_row(one, w->tile + (int64_t)i * t->n + from, t->n - from);
            }
        }
        work += flops;
    }
    w->flops += work;
    csim__meter_add(w->meter, "medians", work);
}

/* ---- what follows from a pass ---- */

/* All keys that were collected, in order; the one wanted. */
static csim_status pick(search *w, target *t, const target *from)
{
    int size = w->shard->size, mine = (int)from->kept, *count = NULL, *start = NULL, all = 0;
    uint64_t *key = NULL;
    csim_status st = CSIM_OK;
    MPI_Comm comm = csim_context_comm(w->ctx);
    CSIM_TRY(csim__alloc(w->ctx, size, sizeof *count, "counts", &count));
    CSIM_TRY(csim__alloc(w->ctx, size, sizeof *start, "counts", &start));
    CSIM_TRY(csim__alloc(w->ctx, BINS, sizeof *key, "distances", &key));
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) {
        st = csim__mpi(w->ctx, MPI_Allgather(&mine, 1, MPI_INT, count, 1, MPI_INT, comm), "counts");
    }
    for (int r = 0; st == CSIM_OK && r < size; r++) {
        start[r] = all;
        all += count[r];
    }
    if (st == CSIM_OK) {
        st = csim__mpi(
            w->ctx,
            MPI_Allgatherv(from->count, mine, MPI_INT64_T, key, count, start, MPI_INT64_T, comm),
            "distances in the middle");
    }
    if (st == CSIM_OK) {
        qsort(key, (size_t)all, sizeof *key, by_size);
        t->square = csim__value_of(key[t->k - from->under]);
        t->done = true;
    }
    csim__free(w->ctx, &key);
    csim__free(w->ctx, &start);
    csim__free(w->ctx, &count);
    return st;
}

/* The part of the interval, or of what is beside it, that holds the target. */
static void narrow(target *t, const target *from)
{
    uint64_t low = from->low, width = (uint64_t)1 << from->shift, bin = 0;
    int64_t before = from->under;
    if (t->k < before) {
        set_interval(t, 0, low);
        return;
    }
    while (bin < from->bins && before + from->count[bin] <= t->k) { before += from->count[bin++]; }
    if (bin == from->bins) {
        set_interval(t, low + from->bins * width, END);
    } else if (from->shift == 0) {
        t->square = csim__value_of(low + bin);
        t->done = true;
    } else {
        bool few = from->count[bin] <= BINS;
        set_interval(t, low + bin * width, low + (bin + 1) * width);
        t->collect = few;
    }
}

/* Targets of a site that look at the same keys look together. */
static void join(target *list)
{
    for (int r = 0; r < RANKS; r++) {
        list[r].same = r;
        for (int q = r - 1; q >= 0; q--) {
            bool same = list[q].low == list[r].low && list[q].shift == list[r].shift &&
                        list[q].bins == list[r].bins && list[q].collect == list[r].collect;
            if (same && !list[q].done) { list[r].same = list[q].same; }
        }
    }
}

static csim_status reduce(search *w, int64_t *numbers, int count)
{
    return csim__mpi(w->ctx,
                     MPI_Allreduce(MPI_IN_PLACE, numbers, count, MPI_INT64_T, MPI_SUM,
                                   csim_context_comm(w->ctx)),
                     "counts of distances");
}

static csim_status learn(search *w, int s)
{
    target next[RANKS], *list = w->target + (int64_t)s * RANKS;
    csim_status st = CSIM_OK;
    for (int r = 0; r < RANKS; r++) {
        if (list[r].done || list[r].same != r) { continue; }
        CSIM_TRY(reduce(w, &list[r].under, 1));
        if (!list[r].collect) { CSIM_TRY(reduce(w, list[r].count, (int)list[r].bins)); }
    }
    for (int r = 0; r < RANKS; r++) {
        const target *from = &list[list[r].same];
        next[r] = list[r];
        if (list[r].done) { continue; }
        if (!from->collect) {
            narrow(&next[r], from);
        } else {
            CSIM_TRY(pick(w, &next[r], from));
        }
    }
    memcpy(list, next, sizeof next);
    join(list);
done:
    return st;
}

static csim_status one_pass(search *w)
{
    csim__ring_task task = {.count = w->count,
                            .width = w->width,
                            .rows = w->rows,
                            .numbers = w->count,
                            .extra = w->extra,
                            .user = w,
                            .tile = take_tile};
    for (int i = 0; i < w->count * RANKS; i++) {
        target *t = &w->target[i];
        t->under = t->kept = 0;
        if (t->count != NULL) { memset(t->count, 0, BINS * sizeof *t->count); }
    }
    csim_status st = csim__vote(w->ctx, csim__ring(w->ctx, w->shard, &task));
    for (int s = 0; st == CSIM_OK && s < w->count; s++) { st = learn(w, s); }
    return csim__vote(w->ctx, st);
}

/* ---- the whole ---- */

/* The two in the middle of n(n−1)/2 distances, or of n² entries: n zeros and every distance twice. */
static int64_t rank_of(int64_t n, int which)
{
    int64_t pairs = n * (n - 1) / 2, all = n * n;
    int64_t middle = which % 2 == 0 ? (pairs - 1) / 2 : pairs / 2;
    int64_t entry = which % 2 == 0 ? (all - 1) / 2 : all / 2;
    return which < 2 ? middle : (entry - n) / 2;
}

static csim_status start(search *w, const bool want[2])
{
    csim_context *ctx = w->ctx;
    const csim_shard *me = w->shard;
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__calloc(ctx, w->count * RANKS, sizeof *w->target, "medians", &w->target));
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->width, "widths", &w->width));
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->rows, "row pointers", &w->rows));
    CSIM_TRY(csim__calloc(ctx, me->count * w->count * me->chunk, sizeof *w->extra, "row norms",
                          &w->extra));
    CSIM_TRY(csim__alloc(ctx, csim__ring_tile(me->chunk), sizeof *w->tile, "a tile", &w->tile));
    for (int s = 0; s < w->count; s++) {
        w->width[s] = w->site[s]->d;
        w->rows[s] = w->site[s]->x;
        widest = csim__max64(widest, w->site[s]->d);
        for (int64_t c = 0; c < me->count; c++) {
            memcpy(w->extra + (c * w->count + s) * me->chunk,
                   w->site[s]->row_square + c * me->chunk,
                   (size_t)csim__chunk_rows(me, me->first + c) * sizeof(double));
        }
        for (int r = 0; r < RANKS; r++) {
            target *t = &w->target[s * RANKS + r];
            t->k = rank_of(me->n, r);
            t->done = !want[r / 2];
            if (t->done) { continue; }
            CSIM_TRY(csim__alloc(ctx, BINS, sizeof *t->count, "counts of distances", &t->count));
        }
    }
    CSIM_TRY(csim__int(ctx, SAMPLE * widest, "a sample of rows", &ignore));
    CSIM_TRY(csim__alloc(ctx, SAMPLE * widest, sizeof *w->sample, "a sample", &w->sample));
    CSIM_TRY(csim__alloc(ctx, (int64_t)SAMPLE * SAMPLE, sizeof *w->sample_distance, "a sample",
                         &w->sample_distance));
done:
    return st;
}

static void release(search *w)
{
    for (int i = 0; w->target != NULL && i < w->count * RANKS; i++) {
        csim__free(w->ctx, &w->target[i].count);
    }
    csim__free(w->ctx, &w->target);
    csim__free(w->ctx, &w->width);
    csim__free(w->ctx, &w->rows);
    csim__free(w->ctx, &w->extra);
    csim__free(w->ctx, &w->tile);
    csim__free(w->ctx, &w->sample);
    csim__free(w->ctx, &w->sample_distance);
}

csim_status csim__medians(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                          int count, const bool want[2], double *const median[2],
                          csim__meter *meter)
{
    search w = {.ctx = ctx, .shard = shard, .site = sites, .count = count, .meter = meter};
    csim__phase_begin(ctx, "medians");
    csim_status st = csim__vote(ctx, start(&w, want));
    for (int s = 0; st == CSIM_OK && s < count; s++) {
        st = guess(&w, s);
        join(w.target + (int64_t)s * RANKS);
    }
    st = csim__vote(ctx, st);
    csim__free(ctx, &w.sample);
    csim__free(ctx, &w.sample_distance);
    for (bool open = true; st == CSIM_OK && open;) {
        st = one_pass(&w);
        open = false;
        for (int s = 0; s < count; s++) { open = open || is_open(&w, s); }
    }
    for (int s = 0; st == CSIM_OK && s < count; s++) {
        for (int kind = 0; kind < 2; kind++) {
            const target *t = &w.target[s * RANKS + 2 * kind];
            if (want[kind]) { median[kind][s] = (sqrt(t[0].square) + sqrt(t[1].square)) / 2; }
        }
    }
    double flops = w.flops;
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}

int64_t csim__median_bytes(const csim_shard *shard, int sites, int64_t widths, int64_t widest,
                           const bool want[2])
{
    const int64_t word = sizeof(double), chunk = shard->chunk;
    int64_t ranks = (want[0] ? 2 : 0) + (want[1] ? 2 : 0);
    if (ranks == 0) { return 0; }
    /* one after the other: a sample, visitors, keys that were collected */
    int64_t most = csim__max64(SAMPLE * (widest + SAMPLE), BINS) * word;
    most = csim__max64(most, csim__ring_bytes(chunk, shard->size, widths, sizeof(double), sites));
    return most + sites * (ranks * BINS * word + RANKS * (int64_t)sizeof(target) + 2 * word) +
           word * (shard->count * sites * chunk + csim__ring_tile(chunk));
}
