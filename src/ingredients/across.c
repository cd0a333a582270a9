/* Cosine distances, and those in one site of pairs that are near in another. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ingredients/neighbours.h"
#include "linalg/dense.h"

/* Rows so short that squares of products of their lengths have no digits left. */
static double short_rows(int64_t d, const double *x, const double *y, double norm_x, double norm_y)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) {
        double v = x[j] / norm_x - y[j] / norm_y;
        sum += v * v;
    }
    return sum / 2;
}

double csim__cosine_distance(int64_t d, const double *x, const double *y, double norm_x,
                             double norm_y)
{
    double norms = norm_x * norm_y, square = 2 * norms * norms;
    if (norm_x == 0 || norm_y == 0) { return 1; }
    if (square < DBL_MIN / DBL_EPSILON) { return short_rows(d, x, y, norm_x, norm_y); }
    return csim__square_distance(d, norm_y, x, norm_x, y) / square;
}

/* One chunk of the site, on all ranks. */
typedef struct visit {
    int64_t first, rows;
    double *x;    /* [rows, d] */
    double *norm; /* [rows] */
} visit;

/* What the chunk adds to the sums of one own row. */
static void add_row(const visit *v, int64_t d, const int64_t *k, int ks, const double *x,
                    double norm, const int32_t *index, const double *distance, double *sums)
{
    int low = 0; /* the first whose list goes on */
    for (int64_t m = 0; m < k[ks - 1]; m++) {
        int64_t j = index[m] - v->first;
        while (m >= k[low]) { low++; }
        if (j < 0 || j >= v->rows) { continue; }
        double here = csim__cosine_distance(d, x, v->x + j * d, norm, v->norm[j]);
        for (int i = low; i < ks; i++) {
            sums[2 * i] += here * distance[m];
            sums[2 * i + 1] += here * here;
        }
    }
}

/* Chunk @p c from the rank that has it to all. */
static csim_status show(csim_context *ctx, const csim_shard *shard, int64_t d, const double *rows,
                        int64_t c, int owner, visit *v)
{
    v->first = csim__chunk_row(shard, c);
    v->rows = csim__chunk_rows(shard, c);
    if (owner == shard->rank) {
        const double *from = rows + (v->first - shard->row0) * d;
        for (int64_t i = 0; i < v->rows * d; i++) { v->x[i] = from[i]; }
    }
    int code = MPI_Bcast(v->x, (int)(v->rows * d), MPI_DOUBLE, owner, csim_context_comm(ctx));
    for (int64_t i = 0; i < v->rows; i++) {
        const double *x = v->x + i * d;
        v->norm[i] = sqrt(csim__dot(d, x, x));
    }
    return csim__mpi(ctx, code, "exchange of chunks");
}

csim_status csim__across(csim_context *ctx, const csim_shard *shard, int64_t d, const double *rows,
                         const int64_t *k, int ks, const csim__near *const *others, int count,
                         double *const *sums)
{
    visit v = {.x = NULL};
    double *norm = NULL;
    csim_status st = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__int(ctx, shard->chunk * d, "a chunk of a site", &ignore));
    CSIM_TRY(csim__alloc(ctx, shard->chunk * d, sizeof *v.x, "a visiting chunk", &v.x));
    CSIM_TRY(csim__alloc(ctx, shard->chunk, sizeof *v.norm, "lengths of rows", &v.norm));
    CSIM_TRY(csim__alloc(ctx, shard->rows, sizeof *norm, "lengths of rows", &norm));
    for (int64_t i = 0; i < shard->rows; i++) {
        norm[i] = sqrt(csim__dot(d, rows + i * d, rows + i * d));
    }
    for (int o = 0; o < count; o++) {
        memset(sums[o], 0, (size_t)(2 * ks * shard->rows) * sizeof **sums);
    }
done:
    st = csim__vote(ctx, st);
    for (int r = 0; st == CSIM_OK && r < shard->size; r++) {
        csim_shard owner = csim__shard(shard->n, r, shard->size);
        for (int64_t c = owner.first; st == CSIM_OK && c < owner.first + owner.count; c++) {
            st = show(ctx, shard, d, rows, c, r, &v);
            for (int64_t i = 0; st == CSIM_OK && i < shard->rows; i++) {
                for (int o = 0; o < count; o++) {
                    add_row(&v, d, k, ks, rows + i * d, norm[i],
                            others[o]->index + i * others[o]->k,
                            others[o]->distance + i * others[o]->k, sums[o] + 2 * ks * i);
                }
            }
        }
    }
    st = csim__vote(ctx, st);
    csim__free(ctx, &norm);
    csim__free(ctx, &v.norm);
    csim__free(ctx, &v.x);
    return st;
}
