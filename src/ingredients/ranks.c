/* Ranks of all entries of a triangle among all ranks: each sorts its own and sends runs of equal ones
 * to the rank that has their range of values; this one knows how many are before them. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "ingredients/keys.h"
#include "ingredients/triangles.h"

csim__keyed *csim__sort_keyed(csim__keyed *list, csim__keyed *other, int64_t count)
{
    enum { BITS = 8, DIGITS = 1 << BITS };
    int64_t start[DIGITS + 1], rising = 1;
    while (rising < count && list[rising - 1].key <= list[rising].key) { rising++; }
    if (rising >= count) { return list; }
    for (int shift = 0; shift < 64; shift += BITS) {
        memset(start, 0, sizeof start);
        for (int64_t i = 0; i < count; i++) { start[(list[i].key >> shift) % DIGITS + 1]++; }
        bool one = false; /* all have the same digit: nothing moves */
        for (int d = 0; d < DIGITS; d++) {
            one = one || start[d + 1] == count;
            start[d + 1] += start[d];
        }
        if (one) { continue; }
        for (int64_t i = 0; i < count; i++) {
            other[start[(list[i].key >> shift) % DIGITS]++] = list[i];
        }
        csim__keyed *turn = list;
        list = other;
        other = turn;
    }
    return list;
}

/* A value, and how many entries of a rank have it. */
typedef struct run {
    uint64_t key;
    int64_t count;
} run;

/* The range of a rank at its ends: entries that are tied with the first, and with the last one. */
typedef struct range {
    uint64_t first, last;
    int64_t head, tail, all;
} range;

typedef struct ranking {
    csim__triangles *t;
    csim_matrix matrix;
    csim__keyed *work[2], *sorted; /* [length] own entries, from: their places */
    run *own, *got;                /* [runs] by key; those of this rank's range, by source */
    int64_t runs, taken;
    double *place, *back;           /* [taken], [runs] what becomes of them */
    int *out, *out_at, *in, *in_at; /* [size] */
    uint64_t *split;                /* [size] first key of the range of each rank but the first */
    range *range;                   /* [size] */
    MPI_Datatype type;
} ranking;

enum { SAMPLES = 64 };

/* Behind the keys of all numbers. */
static const uint64_t NOBODY = UINT64_MAX;

/* Are two that follow each other in order equal but for rounding? That of a distance is relative to what
 * it is taken from, 64 times itself at most; that of 1 − ⟨x,y⟩ of unit rows is absolute but for near
 * ones, which are taken from the difference of the rows. */
static bool tied(csim_matrix matrix, uint64_t low, uint64_t high)
{
    double v = csim__value_of(high), gap = v - csim__value_of(low);
    if (matrix == CSIM_FAR) { return gap <= 0x1p-40 * v; }
    return gap <= 0x1p-44 * fmin(1, 64 * sqrt(v));
}

static void sort_own(ranking *w, const double *value)
{
    for (int64_t i = 0; i < w->t->length; i++) {
        w->work[0][i] = (csim__keyed){csim__key_of(value[i]), i};
    }
    w->sorted = csim__sort_keyed(w->work[0], w->work[1], w->t->length);
}

static void find_runs(ranking *w)
{
    for (int64_t i = 0; i < w->t->length; i++) {
        if (i == 0 || w->sorted[i].key != w->sorted[i - 1].key) {
            w->own[w->runs++] = (run){w->sorted[i].key, 0};
        }
        w->own[w->runs - 1].count++;
    }
}

/* Borders of the ranges: the same number of samples lie in each. */
static csim_status split_keys(ranking *w)
{
    int size = w->t->shard.size, many = SAMPLES * size;
    uint64_t sample[SAMPLES], *all = NULL;
    csim__keyed *list = NULL, *other = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->t->ctx, many, sizeof *all, "samples", &all));
    CSIM_TRY(csim__alloc(w->t->ctx, many, sizeof *list, "samples", &list));
    CSIM_TRY(csim__alloc(w->t->ctx, many, sizeof *other, "samples", &other));
done:
    st = csim__vote(w->t->ctx, st);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t place = (int64_t)i * size + w->t->shard.rank; /* between those of other ranks */
        sample[i] = w->runs > 0 ? w->own[w->runs * place / many].key : NOBODY;
    }
    if (st == CSIM_OK) {
        st = csim__mpi(w->t->ctx,
                       MPI_Allgather(sample, SAMPLES, MPI_UINT64_T, all, SAMPLES, MPI_UINT64_T,
                                     csim_context_comm(w->t->ctx)),
                       "samples of distances");
    }
    for (int i = 0; st == CSIM_OK && i < many; i++) { list[i] = (csim__keyed){all[i], i}; }
    if (st == CSIM_OK) {
        const csim__keyed *sorted = csim__sort_keyed(list, other, many);
        int64_t some = many; /* of ranks that have entries */
        while (some > 0 && sorted[some - 1].key == NOBODY) { some--; }
        for (int r = 1; r < size; r++) {
            w->split[r] = some > 0 ? sorted[r * some / size].key : NOBODY;
        }
    }
    csim__free(w->t->ctx, &other);
    csim__free(w->t->ctx, &list);
    csim__free(w->t->ctx, &all);
    return st;
}

/* Who gets how many of whose runs. */
static csim_status count_runs(ranking *w)
{
    int size = w->t->shard.size;
    csim_status st = csim__int(w->t->ctx, w->runs, "distances of a rank", &w->out[0]);
    memset(w->out, 0, (size_t)size * sizeof *w->out);
    for (int64_t i = 0, r = 0; st == CSIM_OK && i < w->runs; i++) {
        while (r + 1 < size && w->own[i].key >= w->split[r + 1]) { r++; }
        w->out[r]++;
    }
    st = csim__vote(w->t->ctx, st);
    if (st != CSIM_OK) { return st; }
    st =
        csim__mpi(w->t->ctx,
                  MPI_Alltoall(w->out, 1, MPI_INT, w->in, 1, MPI_INT, csim_context_comm(w->t->ctx)),
                  "counts of distances");
    for (int r = 0; r < size; r++) {
        w->out_at[r] = r > 0 ? w->out_at[r - 1] + w->out[r - 1] : 0;
        w->in_at[r] = (int)csim__min64(w->taken, INT_MAX);
        w->taken += w->in[r];
    }
    int ignore;
    if (st == CSIM_OK) { st = csim__int(w->t->ctx, w->taken, "distances of a rank", &ignore); }
    return st;
}

/* The runs from @p from on that are tied, each with the next; @p many entries. */
static int64_t end_of_tie(const ranking *w, const csim__keyed *sorted, int64_t from, int64_t *many)
{
    int64_t end = from;
    *many = 0;
    do {
        *many += w->got[sorted[end++].from].count;
    } while (end < w->taken && tied(w->matrix, sorted[end - 1].key, sorted[end].key));
    return end;
}

/* The ends of the ranges of all ranks. */
static csim_status share_ends(ranking *w, const csim__keyed *sorted)
{
    range mine = {.all = 0};
    for (int64_t i = 0; i < w->taken; mine.all += mine.tail) {
        bool first = i == 0;
        i = end_of_tie(w, sorted, i, &mine.tail);
        if (first) { mine.head = mine.tail; }
    }
    if (w->taken > 0) {
        mine.first = sorted[0].key;
        mine.last = sorted[w->taken - 1].key;
    }
    return csim__mpi(w->t->ctx,
                     MPI_Allgather(&mine, sizeof mine, MPI_BYTE, w->range, sizeof mine, MPI_BYTE,
                                   csim_context_comm(w->t->ctx)),
                     "counts of distances");
}

/* Entries of the ranges before (@p step −1) or behind (1) this rank's that are tied with its end. */
static int64_t tied_beyond(const ranking *w, int step)
{
    int64_t many = 0;
    const range *here = &w->range[w->t->shard.rank];
    for (int r = w->t->shard.rank + step; r >= 0 && r < w->t->shard.size; r += step) {
        const range *next = &w->range[r], *low = step > 0 ? here : next,
                    *high = step > 0 ? next : here;
        if (next->all == 0) { continue; }
        if (!tied(w->matrix, low->last, high->first)) { break; }
        many += step > 0 ? next->head : next->tail;
        if (next->head < next->all) { break; }
        here = next;
    }
    return many;
}

/* Ranks first … last from 0 of equal entries become (first + 1) + (last + 1) − (all + 1). */
static void place_runs(ranking *w, const csim__keyed *sorted)
{
    int64_t before = 0, left = tied_beyond(w, -1), right = tied_beyond(w, 1);
    for (int r = 0; r < w->t->shard.rank; r++) { before += w->range[r].all; }
    for (int64_t i = 0, end; i < w->taken; i = end) {
        int64_t many, first = i == 0 ? before - left : before;
        end = end_of_tie(w, sorted, i, &many);
        int64_t last = before + many + (end == w->taken ? right : 0);
        for (int64_t k = i; k < end; k++) {
            w->place[sorted[k].from] = (double)(first + last - w->t->all);
        }
        before += many;
    }
}

/* Runs go to the ranks of their ranges, what became of them comes back. */
static csim_status exchange(ranking *w)
{
    csim_context *ctx = w->t->ctx;
    csim__keyed *list = NULL, *other = NULL, *sorted = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, w->taken, sizeof *w->got, "distances", &w->got));
    CSIM_TRY(csim__alloc(ctx, w->taken, sizeof *w->place, "ranks of distances", &w->place));
    CSIM_TRY(csim__alloc(ctx, w->taken, sizeof *list, "distances", &list));
    CSIM_TRY(csim__alloc(ctx, w->taken, sizeof *other, "distances", &other));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        st = csim__mpi(ctx,
                       MPI_Alltoallv(w->own, w->out, w->out_at, w->type, w->got, w->in, w->in_at,
                                     w->type, csim_context_comm(ctx)),
                       "distances to the ranks of their range");
    }
    if (st == CSIM_OK) {
        for (int64_t i = 0; i < w->taken; i++) { list[i] = (csim__keyed){w->got[i].key, i}; }
        sorted = csim__sort_keyed(list, other, w->taken);
        st = share_ends(w, sorted);
    }
    if (st == CSIM_OK) {
        place_runs(w, sorted);
        st = csim__mpi(ctx,
                       MPI_Alltoallv(w->place, w->in, w->in_at, MPI_DOUBLE, w->back, w->out,
                                     w->out_at, MPI_DOUBLE, csim_context_comm(ctx)),
                       "ranks of distances");
    }
    csim__free(ctx, &other);
    csim__free(ctx, &list);
    csim__free(ctx, &w->place);
    csim__free(ctx, &w->got);
    return csim__vote(ctx, st);
}

static csim_status start(ranking *w)
{
    csim_context *ctx = w->t->ctx;
    int64_t length = w->t->length;
    int size = w->t->shard.size;
    csim_status st = CSIM_OK;
    for (int i = 0; i < 2; i++) {
        CSIM_TRY(csim__alloc(ctx, length, sizeof *w->work[i], "distances", &w->work[i]));
    }
    CSIM_TRY(csim__alloc(ctx, size, sizeof *w->out, "counts", &w->out));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *w->out_at, "counts", &w->out_at));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *w->in, "counts", &w->in));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *w->in_at, "counts", &w->in_at));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *w->split, "ranges", &w->split));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *w->range, "ranges", &w->range));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_contiguous(sizeof(run), MPI_BYTE, &w->type), "a type"));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_commit(&w->type), "a type"));
done:
    return st;
}

static void release(ranking *w)
{
    csim_context *ctx = w->t->ctx;
    for (int i = 0; i < 2; i++) { csim__free(ctx, &w->work[i]); }
    csim__free(ctx, &w->own);
    csim__free(ctx, &w->back);
    csim__free(ctx, &w->out);
    csim__free(ctx, &w->out_at);
    csim__free(ctx, &w->in);
    csim__free(ctx, &w->in_at);
    csim__free(ctx, &w->split);
    csim__free(ctx, &w->range);
    if (w->type != MPI_DATATYPE_NULL) { MPI_Type_free(&w->type); }
}

csim_status csim__triangles_rank(csim__triangles *t, csim_matrix matrix, double *value)
{
    ranking w = {.t = t, .matrix = matrix, .type = MPI_DATATYPE_NULL};
    csim__phase_begin(t->ctx, "ranks");
    csim_status st = csim__vote(t->ctx, start(&w));
    if (st == CSIM_OK) {
        sort_own(&w, value);
        csim__free(t->ctx, &w.work[w.sorted == w.work[0]]);
        st = csim__alloc(t->ctx, t->length, sizeof *w.own, "distances", &w.own);
        if (st == CSIM_OK) {
            st = csim__alloc(t->ctx, t->length, sizeof *w.back, "ranks of distances", &w.back);
        }
        st = csim__vote(t->ctx, st);
    }
    if (st == CSIM_OK) {
        find_runs(&w);
        st = csim__vote(t->ctx, split_keys(&w));
    }
    if (st == CSIM_OK) { st = csim__vote(t->ctx, count_runs(&w)); }
    if (st == CSIM_OK) { st = exchange(&w); }
    for (int64_t i = 0, r = -1; st == CSIM_OK && i < t->length; i++) {
        r += i == 0 || w.sorted[i].key != w.sorted[i - 1].key;
        value[w.sorted[i].from] = w.back[r];
    }
    release(&w);
    csim__phase_end(t->ctx, 0, 0);
    return st;
}
