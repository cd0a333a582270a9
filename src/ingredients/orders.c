/* Kendall's count of ranked triangles: Knight 1966, A Computer Method for Calculating Kendall's Tau. */
#include <string.h>

#include "ingredients/triangles.h"

/* Pairs among @p many. */
static int64_t two_of(int64_t many)
{
    return many * (many - 1) / 2;
}

/* A whole number ranks are from −all to all; as a key. */
static uint64_t key_of(double rank, int64_t all)
{
    return (uint64_t)((int64_t)rank + all);
}

/* Sort keys, and count the pairs that were in the wrong order. */
static int64_t count_swaps(uint64_t *list, uint64_t *other, int64_t count)
{
    int64_t swaps = 0;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t low = 0; low < count; low += 2 * width) {
            int64_t middle = csim__min64(low + width, count);
            int64_t high = csim__min64(low + 2 * width, count), i = low, j = middle, to = low;
            while (i < middle && j < high) {
                if (list[j] < list[i]) {
                    swaps += middle - i;
                    other[to++] = list[j++];
                } else {
                    other[to++] = list[i++];
                }
            }
            memcpy(other + to, list + i, (size_t)(middle - i) * sizeof *list);
            memcpy(other + to + middle - i, list + j, (size_t)(high - j) * sizeof *list);
        }
        uint64_t *turn = list;
        list = other;
        other = turn;
    }
    return swaps;
}

/* @param[in,out] list  [count] key and from are the ranks by A and by B; @p other as long */
static void score(csim__keyed *list, csim__keyed *other, int64_t count, int64_t *out)
{
    int64_t tied_a = 0, tied_b = 0, tied_both = 0, run_a = 0, run_both = 0, run_b = 0, swaps;
    /* by B, then by A, which leaves equal ones in the order of B */
    for (int64_t i = 0; i < count; i++) {
        list[i] = (csim__keyed){(uint64_t)list[i].from, (int64_t)list[i].key};
    }
    csim__keyed *sorted = csim__sort_keyed(list, other, count);
    for (int64_t i = 0; i < count; i++) {
        run_b = i > 0 && sorted[i].key == sorted[i - 1].key ? run_b + 1 : 0;
        tied_b += run_b;
    }
    for (int64_t i = 0; i < count; i++) {
        sorted[i] = (csim__keyed){(uint64_t)sorted[i].from, (int64_t)sorted[i].key};
    }
    sorted = csim__sort_keyed(sorted, sorted == list ? other : list, count);
    for (int64_t i = 0; i < count; i++) {
        bool a = i > 0 && sorted[i].key == sorted[i - 1].key;
        run_a = a ? run_a + 1 : 0;
        run_both = a && sorted[i].from == sorted[i - 1].from ? run_both + 1 : 0;
        tied_a += run_a;
        tied_both += run_both;
    }
    uint64_t *key = (uint64_t *)(void *)(sorted == list ? other : list);
    for (int64_t i = 0; i < count; i++) { key[i] = (uint64_t)sorted[i].from; }
    swaps = count_swaps(key, key + count, count);
    out[0] = two_of(count) - tied_a - tied_b + tied_both - 2 * swaps;
    out[1] = two_of(count) - tied_a;
    out[2] = two_of(count) - tied_b;
}

typedef struct counting {
    csim__triangles *t;
    csim__keyed *list, *other; /* [all] */
    int *count, *start;        /* [size] */
} counting;

/* Ranks of all entries by one side to the owner. */
static csim_status gather(counting *w, const double *value, int side, int owner)
{
    csim__triangles *t = w->t;
    bool here = t->shard.rank == owner;
    double *all = (double *)(void *)w->other;
    int code = MPI_Gatherv(value, (int)t->length, MPI_DOUBLE, here ? all : NULL, w->count, w->start,
                           MPI_DOUBLE, owner, csim_context_comm(t->ctx));
    for (int64_t i = 0; here && code == MPI_SUCCESS && i < t->all; i++) {
        uint64_t key = key_of(all[i], t->all);
        if (side == 0) {
            w->list[i].key = key;
        } else {
            w->list[i].from = (int64_t)key;
        }
    }
    return csim__mpi(t->ctx, code, "ranks of distances to their owner");
}

static csim_status start(counting *w, int64_t count)
{
    csim__triangles *t = w->t;
    int size = t->shard.size, length, ignore;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__int(t->ctx, t->all, "distances of all examples", &ignore));
    CSIM_TRY(csim__alloc(t->ctx, size, sizeof *w->count, "counts", &w->count));
    CSIM_TRY(csim__alloc(t->ctx, size, sizeof *w->start, "counts", &w->start));
    if (t->shard.rank < count) {
        CSIM_TRY(csim__alloc(t->ctx, t->all, sizeof *w->list, "ranks", &w->list));
        CSIM_TRY(csim__alloc(t->ctx, t->all, sizeof *w->other, "ranks", &w->other));
    }
done:
    st = csim__vote(t->ctx, st);
    if (st != CSIM_OK) { return st; }
    length = (int)t->length;
    st = csim__mpi(
        t->ctx, MPI_Allgather(&length, 1, MPI_INT, w->count, 1, MPI_INT, csim_context_comm(t->ctx)),
        "counts of distances");
    for (int r = 0; r < size; r++) { w->start[r] = r > 0 ? w->start[r - 1] + w->count[r - 1] : 0; }
    return st;
}

csim_status csim__triangles_orders(csim__triangles *t, const double *const *value,
                                   const csim__twosome *pairs, int64_t count, int64_t *out)
{
    counting w = {.t = t};
    int size = t->shard.size, rank = t->shard.rank;
    csim_status st = csim__vote(t->ctx, start(&w, count));
    memset(out, 0, (size_t)(3 * count) * sizeof *out);
    csim__phase_begin(t->ctx, "orders");
    for (int64_t first = 0; st == CSIM_OK && first < count; first += size) {
        for (int64_t i = first; st == CSIM_OK && i < first + size && i < count; i++) {
            st = gather(&w, value[pairs[i].a], 0, (int)(i - first));
            if (st == CSIM_OK) { st = gather(&w, value[pairs[i].b], 1, (int)(i - first)); }
        }
        if (st == CSIM_OK && first + rank < count) {
            score(w.list, w.other, t->all, out + 3 * (first + rank));
        }
        st = csim__vote(t->ctx, st);
    }
    if (st == CSIM_OK) {
        st = csim__vote(t->ctx,
                        csim__mpi(t->ctx,
                                  MPI_Allreduce(MPI_IN_PLACE, out, (int)(3 * count), MPI_INT64_T,
                                                MPI_SUM, csim_context_comm(t->ctx)),
                                  "orders of distances"));
    }
    csim__phase_end(t->ctx, 0, 0);
    csim__free(t->ctx, &w.list);
    csim__free(t->ctx, &w.other);
    csim__free(t->ctx, &w.count);
    csim__free(t->ctx, &w.start);
    return st;
}
