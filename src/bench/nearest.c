/* Hard candidates: the nearest other rows of each row. */
#include <float.h>
#include <inttypes.h>

#include "bench/bench.h"
#include "core/shard.h"
#include "ingredients/neighbours.h"
#include "linalg/dense.h"

/* A layer, and how many candidates each of its rows needs. */
typedef struct layer {
    csim_context *ctx;
    csim_shard shard;
    const double *rows; /* [n, d] on every rank */
    int64_t d, group, count;
} layer;

/* Squares of distances must be finite. */
static csim_status check_range(const layer *w)
{
    for (int64_t i = w->shard.row0; i < w->shard.row0 + w->shard.rows; i++) {
        const double *x = w->rows + i * w->d;
        if (csim__dot(w->d, x, x) < DBL_MAX / 16) { continue; }
        return csim__fail(w->ctx, CSIM_E_DATA,
                          "row %" PRId64 ": values too large for sums of squares in double "
                          "precision",
                          i);
    }
    return CSIM_OK;
}

/* Of each own row's list those of no other use: not of its group, not its equals. Returns the row
 * that has too few, −1 if all have enough. Rows behind the last group need none. */
static int64_t choose(const layer *w, const csim__near *near, int32_t *out)
{
    int64_t grouped = w->shard.n / w->group * w->group, poor = -1;
    for (int64_t r = 0; r < w->shard.rows; r++) {
        int64_t i = w->shard.row0 + r, found = 0;
        for (int64_t m = 0; i < grouped && m < near->k && found < w->count; m++) {
            int32_t j = near->index[r * near->k + m];
            if (j / w->group == i / w->group || near->distance[r * near->k + m] == 0) { continue; }
            out[i * w->count + found++] = j;
        }
        if (i < grouped && found < w->count) { poor = i; }
    }
    return poor;
}

/* One search for lists of @p k. */
static csim_status search(const layer *w, int64_t k, int32_t *out, int64_t *poor)
{
    csim__near near[CSIM_METRICS];
    const int64_t wanted[CSIM_METRICS] = {[CSIM_EUCLIDEAN] = k};
    csim__meter meter = {.size = w->shard.size};
    int64_t mine;
    csim_status st = csim__neighbours(w->ctx, &w->shard, w->d, w->rows + w->shard.row0 * w->d,
                                      wanted, &meter, near);
    if (st == CSIM_OK) {
        mine = choose(w, &near[CSIM_EUCLIDEAN], out);
        st = csim__mpi(
            w->ctx, MPI_Allreduce(&mine, poor, 1, MPI_INT64_T, MPI_MAX, csim_context_comm(w->ctx)),
            "candidates");
        st = csim__vote(w->ctx, st);
    }
    csim__near_clear(w->ctx, &near[CSIM_EUCLIDEAN]);
    return st;
}

/* Every rank has its rows' candidates, the others zeros. */
static csim_status share(const layer *w, int32_t *out)
{
    enum { PIECE = 1 << 24 };
    int64_t all = w->shard.n * w->count;
    csim_status st = CSIM_OK;
    for (int64_t at = 0; st == CSIM_OK && at < all; at += PIECE) {
        int piece = (int)csim__min64(PIECE, all - at);
        st = csim__mpi(w->ctx,
                       MPI_Allreduce(MPI_IN_PLACE, out + at, piece, MPI_INT32_T, MPI_BOR,
                                     csim_context_comm(w->ctx)),
                       "candidates");
    }
    return csim__vote(w->ctx, st);
}

csim_status csim__bench_nearest(csim_context *ctx, const double *rows, int64_t n, int64_t d,
                                int64_t group, int64_t count, int32_t *out)
{
    layer w = {.ctx = ctx,
               .shard = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx)),
               .rows = rows,
               .d = d,
               .group = group,
               .count = count};
    int64_t k = csim__min64(n - 1, count + group - 1), poor = -1;
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < n * count; i++) { out[i] = 0; }
    CSIM_TRY(csim__vote(ctx, check_range(&w)));
    CSIM_TRY(search(&w, k, out, &poor));
    while (poor >= 0 && k < n - 1) { /* there are equal rows */
        k = csim__min64(n - 1, 2 * k);
        CSIM_TRY(search(&w, k, out, &poor));
    }
    if (poor >= 0) {
        st = csim__fail(ctx, CSIM_E_DATA,
                        "row %" PRId64 " has fewer than %" PRId64
                        " nearest candidates: rows of other groups that do not equal it",
                        poor, count);
        CSIM_TRY(csim__vote(ctx, st));
    }
    st = share(&w, out);
done:
    return st;
}
