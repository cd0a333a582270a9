#include "ingredients/order.h"

#include <string.h>

#include "core/rng.h"

/* Streams of random numbers of orders, apart from all others. */
static const uint64_t STREAM = (uint64_t)1 << 48;

int64_t csim__order_bytes(const csim_shard *shard, int64_t row)
{
    return 16 * (shard->n + shard->rows + shard->size) + 2 * shard->rows * row;
}

/* The rank that has each row, from one row to the next. */
static int rank_after(const csim_shard *shard, int rank, int64_t row)
{
    csim_shard s = csim__shard(shard->n, rank, shard->size);
    while (row >= s.row0 + s.rows) { s = csim__shard(shard->n, s.rank + 1, shard->size); }
    return s.rank;
}

/* Rows go in the order of their new places, and come in that order from each rank. */
static void list_rows(const csim_shard *me, csim__order *o, const int *rank_of)
{
    int64_t packed = 0;
    for (int64_t i = 0; i < o->n; i++) {
        if (rank_of[o->from[i]] != me->rank) { continue; }
        o->pack[packed++] = o->from[i] - me->row0;
        o->sent[rank_of[i]]++;
    }
    for (int64_t i = 0; i < me->rows; i++) { o->got[rank_of[o->from[me->row0 + i]]]++; }
    for (int r = 1; r < me->size; r++) {
        o->sent_at[r] = o->sent_at[r - 1] + o->sent[r - 1];
        o->got_at[r] = o->got_at[r - 1] + o->got[r - 1];
    }
    for (int64_t i = 0; i < me->rows; i++) {
        o->unpack[o->got_at[rank_of[o->from[me->row0 + i]]]++] = i;
    }
    for (int r = 0; r < me->size; r++) { o->got_at[r] -= o->got[r]; }
}

csim_status csim__order_make(csim_context *ctx, const csim_shard *shard, int64_t seed, int64_t draw,
                             csim__order *o)
{
    csim__rng rng = csim__rng_start((uint64_t)seed, STREAM + (uint64_t)draw);
    int *rank_of = NULL, ignore;
    csim_status st = CSIM_OK;
    *o = (csim__order){.n = shard->n};
    CSIM_TRY(csim__int(ctx, shard->rows, "examples of a rank", &ignore));
    CSIM_TRY(csim__alloc(ctx, o->n, sizeof *o->from, "an order", &o->from));
    CSIM_TRY(csim__alloc(ctx, o->n, sizeof *o->to, "an order", &o->to));
    CSIM_TRY(csim__alloc(ctx, shard->rows, sizeof *o->pack, "an order", &o->pack));
    CSIM_TRY(csim__alloc(ctx, shard->rows, sizeof *o->unpack, "an order", &o->unpack));
    CSIM_TRY(csim__calloc(ctx, shard->size, sizeof *o->sent, "counts", &o->sent));
    CSIM_TRY(csim__calloc(ctx, shard->size, sizeof *o->sent_at, "places", &o->sent_at));
    CSIM_TRY(csim__calloc(ctx, shard->size, sizeof *o->got, "counts", &o->got));
    CSIM_TRY(csim__calloc(ctx, shard->size, sizeof *o->got_at, "places", &o->got_at));
    CSIM_TRY(csim__alloc(ctx, o->n, sizeof *rank_of, "ranks of rows", &rank_of));
    for (int64_t i = 0; i < o->n; i++) {
        o->from[i] = i;
        rank_of[i] = rank_after(shard, i > 0 ? rank_of[i - 1] : 0, i);
    }
    csim__rng_shuffle(&rng, o->from, o->n);
    for (int64_t i = 0; i < o->n; i++) { o->to[o->from[i]] = i; }
    list_rows(shard, o, rank_of);
done:
    csim__free(ctx, &rank_of);
    return st;
}

void csim__order_clear(csim_context *ctx, csim__order *o)
{
    csim__free(ctx, &o->from);
    csim__free(ctx, &o->to);
    csim__free(ctx, &o->pack);
    csim__free(ctx, &o->unpack);
    csim__free(ctx, &o->sent);
    csim__free(ctx, &o->sent_at);
    csim__free(ctx, &o->got);
    csim__free(ctx, &o->got_at);
}

csim_status csim__order_rows(csim_context *ctx, const csim_shard *shard, const csim__order *o,
                             const void *in, int64_t bytes, void *out)
{
    const char *from = in;
    char *leave = NULL, *come = NULL, *to = out;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    size_t size = (size_t)bytes;
    int row = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__int(ctx, bytes, "bytes of a row", &row));
    CSIM_TRY(csim__alloc(ctx, shard->rows, size, "rows on their way", &leave));
    CSIM_TRY(csim__alloc(ctx, shard->rows, size, "rows on their way", &come));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_contiguous(row, MPI_BYTE, &type), "a type"));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_commit(&type), "a type"));
    for (int64_t i = 0; i < shard->rows; i++) {
        memcpy(leave + (size_t)i * size, from + (size_t)o->pack[i] * size, size);
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        st = csim__vote(ctx, csim__mpi(ctx,
                                       MPI_Alltoallv(leave, o->sent, o->sent_at, type, come, o->got,
                                                     o->got_at, type, csim_context_comm(ctx)),
                                       "rows to their new places"));
    }
    for (int64_t i = 0; st == CSIM_OK && i < shard->rows; i++) {
        memcpy(to + (size_t)o->unpack[i] * size, come + (size_t)i * size, size);
    }
    if (type != MPI_DATATYPE_NULL) { MPI_Type_free(&type); }
    csim__free(ctx, &come);
    csim__free(ctx, &leave);
    return st;
}
