#include "ingredients/diagonals.h"

#include <string.h>

int64_t csim__diagonal_block(int64_t n)
{
    enum { SHARES = 32, LEAST = 8, MOST = 64 };
    return csim__min64(csim__max64(n / SHARES, LEAST), MOST);
}

csim__band csim__diagonal_band(int64_t n, int rank, int size)
{
    int64_t block = csim__diagonal_block(n), last = n / 2;
    int64_t blocks = (last + block - 1) / block;
    int64_t first = 1 + blocks * rank / size * block;
    int64_t end = csim__min64(1 + blocks * (rank + 1) / size * block, last + 1);
    return (csim__band){first, csim__max64(end - first, 0)};
}

/* Neighbouring entries of a row of a tile whose diagonals are of one band. */
typedef struct piece {
    int64_t first, end; /* columns */
} piece;

/* The entries of row @p i of a patch that are of a band: on the diagonals j − i, or n − (j − i) where
 * that is less. Sender and receiver go through them in the same order. */
static void cut(const csim__patch *p, int64_t i, int64_t n, const csim__band *band, piece out[2])
{
    int64_t low = p->diagonal ? i + 1 : p->col, high = p->col + p->n;
    int64_t end = band->first + band->count, before = csim__min64(end, (n + 1) / 2);
    out[0] = (piece){i + band->first, i + end};
    out[1] = (piece){i + n - before + 1, i + n - band->first + 1};
    for (int k = 0; k < 2; k++) {
        out[k].first = csim__max64(out[k].first, low);
        out[k].end = csim__max64(csim__min64(out[k].end, high), out[k].first);
    }
}

static int64_t count_entries(const csim__patch *patch, int64_t patches, int64_t n,
                             const csim__band *band)
{
    int64_t sum = 0;
    for (const csim__patch *p = patch; p < patch + patches; p++) {
        for (int64_t i = p->row; i < p->row + p->m; i++) {
            piece run[2];
            cut(p, i, n, band, run);
            sum += run[0].end - run[0].first + run[1].end - run[1].first;
        }
    }
    return sum;
}

/* Entries of this rank's tiles for a band, in the order of cut(). */
static void pack(const csim__diagonals *d, int rank, const csim__band *band, const double *value,
                 double *to)
{
    for (int64_t k = d->start[rank]; k < d->start[rank + 1]; k++) {
        const csim__patch *p = &d->patch[k];
        const double *row = value + p->at;
        for (int64_t i = p->row; i < p->row + p->m; i++) {
            int64_t low = p->diagonal ? i + 1 : p->col;
            piece run[2];
            cut(p, i, d->n, band, run);
            for (int s = 0; s < 2; s++) {
                int64_t many = run[s].end - run[s].first;
                memcpy(to, row + (run[s].first - low), (size_t)many * sizeof *to);
                to += many;
            }
            row += p->col + p->n - low;
        }
    }
}

static void unpack(const csim__diagonals *d, int rank, const double *from, double *out)
{
    int64_t n = d->n;
    for (int64_t k = d->start[rank]; k < d->start[rank + 1]; k++) {
        const csim__patch *p = &d->patch[k];
        for (int64_t i = p->row; i < p->row + p->m; i++) {
            piece run[2];
            cut(p, i, n, &d->band, run);
            for (int64_t j = run[0].first; j < run[0].end; j++, from++) {
                double *diagonal = out + (j - i - d->band.first) * n;
                diagonal[i] = *from;
                if (2 * (j - i) == n) { diagonal[j] = *from; }
            }
            for (int64_t j = run[1].first; j < run[1].end; j++, from++) {
                out[(n - (j - i) - d->band.first) * n + j] = *from;
            }
        }
    }
}

/* Who sends how many entries to this rank, and gets how many from it. */
static csim_status count_messages(const csim__triangles *t, csim__diagonals *d)
{
    csim_status st = CSIM_OK;
    int64_t out = 0, in = 0;
    for (int r = 0; r < t->shard.size; r++) {
        csim__band theirs = csim__diagonal_band(d->n, r, t->shard.size);
        int64_t from = d->start[r], many = d->start[r + 1] - from;
        int64_t sent = count_entries(t->patch, t->patches, d->n, &theirs);
        int64_t got = count_entries(d->patch + from, many, d->n, &d->band);
        CSIM_TRY(csim__int(d->ctx, out, "entries of a rank", &d->out_at[r]));
        CSIM_TRY(csim__int(d->ctx, in, "entries of a rank", &d->in_at[r]));
        CSIM_TRY(csim__int(d->ctx, sent, "entries of a rank", &d->out[r]));
        CSIM_TRY(csim__int(d->ctx, got, "entries of a rank", &d->in[r]));
        out += sent;
        in += got;
    }
done:
    return st;
}

csim_status csim__diagonals_start(const csim__triangles *t, csim__diagonals *d)
{
    csim_context *ctx = t->ctx;
    int size = t->shard.size;
    csim_status st = CSIM_OK;
    *d = (csim__diagonals){
        .ctx = ctx, .n = t->shard.n, .band = csim__diagonal_band(t->shard.n, t->shard.rank, size)};
    CSIM_TRY(csim__calloc(ctx, size + 1, sizeof *d->start, "counts", &d->start));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *d->out, "counts", &d->out));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *d->out_at, "counts", &d->out_at));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *d->in, "counts", &d->in));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *d->in_at, "counts", &d->in_at));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__triangles_share(t, &d->patch, d->start); }
    if (st == CSIM_OK) { st = csim__vote(ctx, count_messages(t, d)); }
    return st;
}

void csim__diagonals_clear(csim__diagonals *d)
{
    if (d->ctx == NULL) { return; }
    csim__free(d->ctx, &d->patch);
    csim__free(d->ctx, &d->start);
    csim__free(d->ctx, &d->out);
    csim__free(d->ctx, &d->out_at);
    csim__free(d->ctx, &d->in);
    csim__free(d->ctx, &d->in_at);
}

csim_status csim__diagonals_take(const csim__diagonals *d, const double *value, double *out)
{
    csim_context *ctx = d->ctx;
    int size = csim_context_size(ctx), rank = csim_context_rank(ctx), last = size - 1;
    double *sent = NULL, *got = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, (int64_t)d->out_at[last] + d->out[last], sizeof *sent,
                         "entries for other ranks", &sent));
    CSIM_TRY(csim__alloc(ctx, (int64_t)d->in_at[last] + d->in[last], sizeof *got,
                         "entries of other ranks", &got));
    for (int r = 0; r < size; r++) {
        csim__band theirs = csim__diagonal_band(d->n, r, size);
        pack(d, rank, &theirs, value, sent + d->out_at[r]);
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        st = csim__mpi(ctx,
                       MPI_Alltoallv(sent, d->out, d->out_at, MPI_DOUBLE, got, d->in, d->in_at,
                                     MPI_DOUBLE, csim_context_comm(ctx)),
                       "entries to the ranks of their diagonals");
    }
    for (int r = 0; st == CSIM_OK && r < size; r++) { unpack(d, r, got + d->in_at[r], out); }
    csim__free(ctx, &got);
    csim__free(ctx, &sent);
    return csim__vote(ctx, st);
}
