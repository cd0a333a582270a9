#include <string.h>

#include "core/rng.h"
#include "train/batches.h"

/* Streams of random numbers below this one belong to other uses of the seed. */
#define EPOCH_STREAM ((uint64_t)1 << 32)

void csim__epoch_order(uint64_t seed, int64_t epoch, int64_t n, int64_t *order)
{
    csim__rng rng = csim__rng_start(seed, EPOCH_STREAM + (uint64_t)(epoch < 0 ? 0 : epoch));
    for (int64_t i = 0; i < n; i++) { order[i] = i; }
    if (epoch >= 0) { csim__rng_shuffle(&rng, order, n); }
}

static int64_t batch_rows(const csim__batches *b, int64_t i)
{
    return csim__min64(b->batch, b->n - i * b->batch);
}

csim_shard csim__batch_shard(const csim__batches *b, int64_t i)
{
    return csim__shard(batch_rows(b, i), csim_context_rank(b->ctx), csim_context_size(b->ctx));
}

/* First element of chunk c of batch i in `now` and `next`. */
static int64_t chunk_at(const csim__batches *b, int64_t i, int64_t c)
{
    csim_shard s = csim__batch_shard(b, i);
    return (b->first_row[i] + csim__chunk_row(&s, c) - s.row0) * b->width;
}

float *csim__batch_chunk(const csim__batches *b, int64_t i, int64_t c)
{
    return b->now + chunk_at(b, i, c);
}

csim_status csim__batches_make(csim_context *ctx, int64_t n, int64_t batch, int sites,
                               const int64_t *site_width, csim__batches *b)
{
    int64_t most = 0;
    int size = csim_context_size(ctx), ignore;
    csim_status st = CSIM_OK;
    *b = (csim__batches){.ctx = ctx,
                         .n = n,
                         .batch = csim__min64(batch, n),
                         .sites = sites,
                         .site_width = site_width,
                         .epoch = -1,
                         .row = MPI_DATATYPE_NULL,
                         .request = MPI_REQUEST_NULL,
                         .sending = -1};
    b->count = (n + b->batch - 1) / b->batch;
    for (int s = 0; s < sites; s++) { b->width += site_width[s]; }
    CSIM_TRY(csim__int(ctx, b->width, "neurons of all layers", &ignore));
    CSIM_TRY(csim__int(ctx, b->batch, "examples of a batch", &ignore));
    CSIM_TRY(csim__alloc(ctx, b->count + 1, sizeof *b->first_row, "batches", &b->first_row));
    for (int64_t i = 0; i < b->count; i++) {
        int64_t rows = csim__batch_shard(b, i).rows;
        b->first_row[i] = b->rows;
        b->rows += rows;
        most = csim__max64(most, rows);
    }
    b->first_row[b->count] = b->rows;
    CSIM_TRY(csim__alloc(ctx, n, sizeof *b->order, "the order of an epoch", &b->order));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *b->next_order, "the order of an epoch", &b->next_order));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *b->place, "places of examples", &b->place));
    CSIM_TRY(csim__alloc(ctx, b->rows * b->width, sizeof(float), "rows of an epoch", &b->now));
    CSIM_TRY(csim__alloc(ctx, b->rows * b->width, sizeof(float), "rows of an epoch", &b->next));
    /* What one rank sends of a batch may be more than what it gets. */
    CSIM_TRY(csim__alloc(ctx, b->batch * b->width, sizeof(float), "rows to send", &b->out));
    CSIM_TRY(csim__alloc(ctx, most * b->width, sizeof(float), "rows to receive", &b->in));
    CSIM_TRY(csim__alloc(ctx, 4 * (int64_t)size, sizeof(int), "counts of rows", &b->counts));
    CSIM_TRY(
        csim__mpi(ctx, MPI_Type_contiguous((int)b->width, MPI_FLOAT, &b->row), "a row's type"));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_commit(&b->row), "a row's type"));
    csim__epoch_order(0, -1, n, b->order);
    for (int64_t p = 0; p < n; p++) { b->place[b->order[p]] = p; }
done:
    return st;
}

void csim__batches_clear(csim__batches *b)
{
    csim_context *ctx = b->ctx;
    if (ctx == NULL) { return; }
    if (b->row != MPI_DATATYPE_NULL) { MPI_Type_free(&b->row); }
    csim__free(ctx, &b->counts);
    csim__free(ctx, &b->in);
    csim__free(ctx, &b->out);
    csim__free(ctx, &b->next);
    csim__free(ctx, &b->now);
    csim__free(ctx, &b->place);
    csim__free(ctx, &b->next_order);
    csim__free(ctx, &b->order);
    csim__free(ctx, &b->first_row);
}

/* Where the row at place p of an epoch lies: its rank, batch, chunk, and its row of that chunk. */
typedef struct seat {
    int rank;
    int64_t batch, chunk, row, rows; /* rows: of the chunk */
} seat;

static seat seat_of(const csim__batches *b, int64_t p)
{
    int64_t i = p / b->batch, q = p % b->batch;
    csim_shard s = csim__shard(batch_rows(b, i), 0, 1);
    int64_t c = q / s.chunk, size = csim_context_size(b->ctx);
    return (seat){.rank = (int)(((c + 1) * size - 1) / s.chunks),
                  .batch = i,
                  .chunk = c,
                  .row = q - c * s.chunk,
                  .rows = csim__chunk_rows(&s, c)};
}

/* Copy a row between its seat in an epoch's memory and a packed row. */
static void copy_row(const csim__batches *b, float *epoch, const seat *t, float *packed, bool pack)
{
    float *at = epoch + chunk_at(b, t->batch, t->chunk);
    for (int s = 0; s < b->sites; s++) {
        size_t d = (size_t)b->site_width[s];
        float *cell = at + (size_t)t->row * d;
        memcpy(pack ? packed : cell, pack ? cell : packed, d * sizeof(float));
        at += (size_t)t->rows * d;
        packed += d;
    }
}

csim_status csim__batches_send(csim__batches *b, int64_t i)
{
    int size = csim_context_size(b->ctx), me = csim_context_rank(b->ctx);
    int *out = b->counts, *out_at = out + size, *in = out_at + size, *in_at = in + size;
    int64_t first = i * b->batch, rows = batch_rows(b, i);
    memset(out, 0, 4 * (size_t)size * sizeof *out);
    for (int64_t q = 0; q < rows; q++) {
        int from = seat_of(b, b->place[b->next_order[first + q]]).rank;
        int to = seat_of(b, first + q).rank;
        out[to] += from == me;
        in[from] += to == me;
    }
    for (int r = 1; r < size; r++) {
        out_at[r] = out_at[r - 1] + out[r - 1];
        in_at[r] = in_at[r - 1] + in[r - 1];
    }
    memset(out, 0, (size_t)size * sizeof *out);
    for (int64_t q = 0; q < rows; q++) {
        seat from = seat_of(b, b->place[b->next_order[first + q]]);
        if (from.rank != me) { continue; }
        int to = seat_of(b, first + q).rank;
        copy_row(b, b->now, &from, b->out + (int64_t)(out_at[to] + out[to]++) * b->width, true);
    }
    b->sending = i;
    return csim__mpi(b->ctx,
                     MPI_Ialltoallv(b->out, out, out_at, b->row, b->in, in, in_at, b->row,
                                    csim_context_comm(b->ctx), &b->request),
                     "rows of the next epoch");
}

csim_status csim__batches_receive(csim__batches *b)
{
    int size = csim_context_size(b->ctx), me = csim_context_rank(b->ctx);
    int *in_at = b->counts + 3 * (int64_t)size;
    int64_t i = b->sending, first = i * b->batch;
    if (i < 0) { return CSIM_OK; }
    b->sending = -1;
    csim_status st =
        csim__mpi(b->ctx, MPI_Wait(&b->request, MPI_STATUS_IGNORE), "rows of the next epoch");
    if (st != CSIM_OK) { return st; }
    for (int64_t q = 0; q < batch_rows(b, i); q++) {
        seat to = seat_of(b, first + q);
        if (to.rank != me) { continue; }
        int from = seat_of(b, b->place[b->next_order[first + q]]).rank;
        copy_row(b, b->next, &to, b->in + (int64_t)in_at[from]++ * b->width, false);
    }
    return CSIM_OK;
}

/* Take up an order for the epoch in `now`, and the one after it. */
static void set_epoch(csim__batches *b, int64_t epoch)
{
    int64_t *spare = b->order;
    b->order = b->next_order;
    b->next_order = spare;
    b->epoch = epoch;
    for (int64_t p = 0; p < b->n; p++) { b->place[b->order[p]] = p; }
    csim__epoch_order(b->seed, epoch + 1, b->n, b->next_order);
}

void csim__batches_turn(csim__batches *b)
{
    float *spare = b->now;
    b->now = b->next;
    b->next = spare;
    set_epoch(b, b->epoch + 1);
}

csim_status csim__batches_go(csim__batches *b, uint64_t seed, int64_t epoch)
{
    csim_status st = CSIM_OK;
    if (epoch == b->epoch && seed == b->seed) { return CSIM_OK; }
    b->seed = seed;
    csim__epoch_order(seed, epoch, b->n, b->next_order);
    for (int64_t i = 0; st == CSIM_OK && i < b->count; i++) {
        st = csim__batches_send(b, i);
        if (st == CSIM_OK) { st = csim__batches_receive(b); }
    }
    st = csim__vote(b->ctx, st);
    if (st == CSIM_OK) {
        b->epoch = epoch - 1;
        csim__batches_turn(b);
    }
    return st;
}
