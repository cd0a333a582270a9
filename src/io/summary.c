/* What the values of a set are like: ranges, NaN, constant neurons. Read by chunks on all ranks. */
#include <math.h>
#include <string.h>

#include "contrasim/native.h"
#include "core/core.h"
#include "core/shard.h"

/* Sums over this rank's chunks; the columns' extremes are [d]. */
typedef struct tally {
    int64_t count[2]; /* NaN, infinities */
    int64_t first;    /* row·d + column of the first bad value, INT64_MAX = none */
    double *top; /* [3, d]: largest value, largest negated value, 1 for a bad value, by column */
    double *sum; /* [chunks] of the finite values, 0 for chunks of other ranks */
} tally;

static void take_chunk(tally *t, const double *x, int64_t chunk, int64_t row, int64_t rows,
                       int64_t d)
{
    double sum = 0.0;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            double v = x[i * d + j];
            if (isfinite(v)) {
                sum += v;
                t->top[j] = fmax(t->top[j], v);
                t->top[d + j] = fmax(t->top[d + j], -v);
            } else {
                t->count[isnan(v) ? 0 : 1]++;
                t->first = csim__min64(t->first, (row + i) * d + j);
                t->top[2 * d + j] = 1.0;
            }
        }
    }
    t->sum[chunk] = sum;
}

/* Reduce over ranks in pieces that fit an int. */
static csim_status reduce(csim_context *ctx, void *data, int64_t n, MPI_Datatype type, size_t size,
                          MPI_Op op)
{
    enum { PIECE = 1 << 24 };
    csim_status st = CSIM_OK;
    for (int64_t at = 0; st == CSIM_OK && at < n; at += PIECE) {
        int code = MPI_Allreduce(MPI_IN_PLACE, (char *)data + (size_t)at * size,
                                 (int)csim__min64(PIECE, n - at), type, op, csim_context_comm(ctx));
        st = csim__mpi(ctx, code, "summary of a site");
    }
    return st;
}

/* From the reduced tally to the summary. */
static void conclude(const tally *t, int64_t n, int64_t d, int64_t chunks, csim_site_summary *s)
{
    double sum = 0.0, most = -INFINITY, least = INFINITY;
    int64_t finite = n * d - t->count[0] - t->count[1];
    s->nans = t->count[0];
    s->infinities = t->count[1];
    s->first_row = t->first == INT64_MAX ? -1 : t->first / d;
    s->first_column = t->first == INT64_MAX ? -1 : t->first % d;
    for (int64_t c = 0; c < chunks; c++) { sum += t->sum[c]; }
    for (int64_t j = 0; j < d; j++) {
        s->constant_columns += t->top[j] == -t->top[d + j] && t->top[2 * d + j] != 1.0;
        if (t->top[j] > most) { most = t->top[j]; }
        if (-t->top[d + j] < least) { least = -t->top[d + j]; }
    }
    s->min = finite > 0 ? least : (double)NAN;
    s->max = finite > 0 ? most : (double)NAN;
    s->mean = finite > 0 ? sum / (double)finite : (double)NAN;
}

csim_status csim_set_summary(csim_context *ctx, csim_set *set, int site, csim_site_summary *summary)
{
    int64_t d = csim_set_site(set, site)->d;
    csim_shard shard =
        csim__shard(csim_set_examples(set), csim_context_rank(ctx), csim_context_size(ctx));
    tally t = {.first = INT64_MAX};
    double *x = NULL;
    csim_status st = CSIM_OK;
    memset(summary, 0, sizeof *summary);
    CSIM_TRY(csim__alloc(ctx, shard.chunk * d, sizeof *x, "a chunk", &x));
    CSIM_TRY(csim__alloc(ctx, 3 * d, sizeof *t.top, "extremes of columns", &t.top));
    CSIM_TRY(csim__calloc(ctx, shard.chunks, sizeof *t.sum, "sums of chunks", &t.sum));
    for (int64_t j = 0; j < 3 * d; j++) { t.top[j] = -INFINITY; }
    for (int64_t c = shard.first; c < shard.first + shard.count; c++) {
        int64_t row = csim__chunk_row(&shard, c), rows = csim__chunk_rows(&shard, c);
        CSIM_TRY(csim_set_read(set, site, row, rows, x));
        take_chunk(&t, x, c, row, rows, d);
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = reduce(ctx, t.count, 2, MPI_INT64_T, sizeof *t.count, MPI_SUM); }
    if (st == CSIM_OK) { st = reduce(ctx, &t.first, 1, MPI_INT64_T, sizeof t.first, MPI_MIN); }
    if (st == CSIM_OK) { st = reduce(ctx, t.top, 3 * d, MPI_DOUBLE, sizeof *t.top, MPI_MAX); }
    /* One term of each sum is not zero: exact, so the same for every number of ranks. */
    if (st == CSIM_OK) { st = reduce(ctx, t.sum, shard.chunks, MPI_DOUBLE, 8, MPI_SUM); }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { conclude(&t, shard.n, d, shard.chunks, summary); }
    csim__free(ctx, &t.sum);
    csim__free(ctx, &t.top);
    csim__free(ctx, &x);
    return st;
}

/* Mark this rank's rows that have something not finite on a site. */
static csim_status mark_rows(csim_context *ctx, csim_set *set, int site, const csim_shard *shard,
                             unsigned char *mark)
{
    int64_t d = csim_set_site(set, site)->d;
    double *x = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, shard->chunk * d, sizeof *x, "a chunk", &x));
    for (int64_t c = shard->first; c < shard->first + shard->count; c++) {
        int64_t row = csim__chunk_row(shard, c), rows = csim__chunk_rows(shard, c);
        CSIM_TRY(csim_set_read(set, site, row, rows, x));
        for (int64_t k = 0; k < rows * d; k++) {
            if (!isfinite(x[k])) { mark[row + k / d] = 1; }
        }
    }
done:
    csim__free(ctx, &x);
    return st;
}

csim_status csim_sets_drop_bad_rows(csim_context *ctx, csim_set *const *sets, int count,
                                    int64_t *dropped)
{
    csim_shard shard =
        csim__shard(csim_set_examples(sets[0]), csim_context_rank(ctx), csim_context_size(ctx));
    unsigned char *mark = NULL;
    int64_t *rows = NULL;
    csim_status st = CSIM_OK;
    *dropped = 0;
    CSIM_TRY(csim__calloc(ctx, shard.n, 1, "marks of rows", &mark));
    CSIM_TRY(csim__alloc(ctx, shard.n, sizeof *rows, "dropped rows", &rows));
    for (int k = 0; k < count; k++) {
        for (int s = 0; s < csim_set_site_count(sets[k]); s++) {
            CSIM_TRY(mark_rows(ctx, sets[k], s, &shard, mark));
        }
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = reduce(ctx, mark, shard.n, MPI_UNSIGNED_CHAR, 1, MPI_MAX); }
    for (int64_t i = 0; st == CSIM_OK && i < shard.n; i++) {
        if (mark[i]) { rows[(*dropped)++] = i; }
    }
    for (int k = 0; st == CSIM_OK && *dropped > 0 && k < count; k++) {
        st = csim_set_drop_rows(sets[k], rows, *dropped);
    }
    if (st == CSIM_OK && *dropped > 0) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "%lld of %lld examples have NaN or infinite values and are left out",
                  (long long)*dropped, (long long)shard.n);
    }
    csim__free(ctx, &rows);
    csim__free(ctx, &mark);
    return csim__vote(ctx, st);
}
