#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/exact.h"
#include "ingredients/gram.h"
#include "ingredients/ring.h"
#include "linalg/dense.h"

/* The pass under way. */
typedef struct gram {
    csim_context *ctx;
    const csim_shard *shard;
    csim__site *const *site;
    int count;
    bool single;
    int64_t *width;    /* [count] */
    const void **rows; /* [count] */
    double *lift;      /* [own chunks, count, chunk] see make_lifts() */
    void **tile;       /* [count] csim__ring_tile() numbers each */
    double *partial;   /* [count, count] */
    int *exponent;     /* [count, count] */
    csim__exact *sum;  /* [count, count] */
    const unsigned char *wanted;
    csim__meter *meter;
    double widths, flops;
} gram;

static csim_status allocate(gram *w)
{
    csim_context *ctx = w->ctx;
    int64_t cells = (int64_t)w->count * w->count;
    int64_t chunk = w->shard->chunk, tile = csim__ring_tile(chunk);
    size_t element = w->single ? sizeof(float) : sizeof(double);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->width, "widths", &w->width));
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->rows, "row pointers", &w->rows));
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->tile, "tiles", &w->tile));
    for (int s = 0; s < w->count; s++) {
        const csim__site *site = w->site[s];
        w->width[s] = site->d;
        w->rows[s] = w->single ? (const void *)site->xf : (const void *)site->x;
        w->widths += (double)site->d;
        CSIM_TRY(csim__alloc(ctx, tile, element, "a tile", &w->tile[s]));
    }
    CSIM_TRY(
        csim__calloc(ctx, w->shard->count * w->count * chunk, sizeof *w->lift, "lifts", &w->lift));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->partial, "partial sums", &w->partial));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->exponent, "exponents", &w->exponent));
    CSIM_TRY(csim__calloc(ctx, cells, sizeof *w->sum, "exact sums", &w->sum));
    /* Over any set of tiles at most ‖K̂_a‖‖K̂_b‖, K̂ is a projection of K, and ‖K‖ ≤ tr(K); the
     * loose bound costs nothing, a sum has two limbs. */
    for (int a = 0; a < w->count; a++) {
        for (int b = 0; b < w->count; b++) {
            w->exponent[a * w->count + b] =
                csim__exact_exponent(2 * w->site[a]->variance * w->site[b]->variance);
        }
    }
done:
    return st;
}

static void release(gram *w)
{
    csim_context *ctx = w->ctx;
    csim__free(ctx, &w->sum);
    csim__free(ctx, &w->exponent);
    csim__free(ctx, &w->partial);
    csim__free(ctx, &w->lift);
    for (int s = 0; w->tile != NULL && s < w->count; s++) { csim__free(ctx, &w->tile[s]); }
    csim__free(ctx, &w->tile);
    csim__free(ctx, &w->rows);
    csim__free(ctx, &w->width);
}

/* K̂_ij = K_ij + lift_i + lift_j: what takes the row sums of K without its diagonal away, as K itself
 * has none and a_i on its diagonal: lift_i = a_i/(n−2) − Σa/(2(n−1)(n−2)). Scaled as the rows are. */
static void make_lifts(gram *w)
{
    const csim_shard *me = w->shard;
    double n = (double)me->n;
    for (int64_t c = 0; c < me->count; c++) {
        for (int s = 0; s < w->count; s++) {
            const csim__site *site = w->site[s];
            const double *square = site->row_square + c * me->chunk;
            double *lift = w->lift + (c * w->count + s) * me->chunk;
            double half = site->variance / (2 * (n - 1)), scale = ldexp(1, -2 * site->shift);
            for (int64_t i = 0; i < csim__chunk_rows(me, me->first + c); i++) {
                lift[i] = (square[i] - half) / (n - 2) * scale;
            }
        }
    }
}

/* Add the products of the tiles just made. A tile above the diagonal counts twice; of a diagonal
 * tile only what is above the diagonal is there. */
static void add_tile(gram *w, int64_t m, int64_t n)
{
    int count = w->count;
    if (w->single) {
        csim__inner_products_f((const float *const *)w->tile, count, m * n, w->wanted, w->partial);
    } else {
        csim__inner_products((const double *const *)w->tile, count, m * n, w->wanted, w->partial);
    }
    for (int a = 0; a < count; a++) {
        for (int b = a; b < count; b++) {
            int at = a * count + b;
            if (!w->wanted[at]) { continue; }
            double value = ldexp(2 * w->partial[at], 2 * (w->site[a]->shift + w->site[b]->shift));
            csim__exact_add(&w->sum[at], value, w->exponent[at]);
        }
    }
}

/* tile[i,j] = left_i + right_j; of a diagonal tile only above the diagonal, the rest is 0. */
CSIM_CLONES
static void spread(double *restrict tile, int64_t m, int64_t n, const double *restrict left,
                   const double *restrict right, bool upper)
{
    if (upper) { memset(tile, 0, (size_t)(m * n) * sizeof *tile); }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = upper ? i + 1 : 0; j < n; j++) { tile[i * n + j] = left[i] + right[j]; }
    }
}

CSIM_CLONES
static void spread_f(float *restrict tile, int64_t m, int64_t n, const double *restrict left,
                     const double *restrict right, bool upper)
{
    float r[CSIM__TILE];
    for (int64_t j = 0; j < n; j++) { r[j] = (float)right[j]; }
    if (upper) { memset(tile, 0, (size_t)(m * n) * sizeof *tile); }
    for (int64_t i = 0; i < m; i++) {
        float l = (float)left[i];
        for (int64_t j = upper ? i + 1 : 0; j < n; j++) { tile[i * n + j] = l + r[j]; }
    }
}

/* Tiles of K̂ of all sites between rows of two chunks. */
static void make_tiles(void *user, const csim__tile *t)
{
    gram *w = user;
    int m = t->m, n = t->n;
    bool diagonal = t->diagonal;
    for (int s = 0; s < w->count; s++) {
        int d = (int)w->width[s];
        const double *l = t->left->extra + s * w->shard->chunk + t->i;
        const double *r = t->right->extra + s * w->shard->chunk + t->j;
        if (w->single) {
            const float *a = (const float *)t->left->row[s] + t->i * d;
            const float *b = (const float *)t->right->row[s] + t->j * d;
            float *tile = w->tile[s];
            spread_f(tile, m, n, l, r, diagonal);
            csim__phase_begin(w->ctx, "products");
            diagonal ? csim__syrk_nt_add_f(m, d, a, tile)
                     : csim__gemm_nt_add_f(m, n, d, a, b, tile);
            csim__phase_end(w->ctx, (diagonal ? 1.0 : 2.0) * d * m * n, 0);
            for (int64_t k = 0; diagonal && k < m; k++) { tile[k * (m + 1)] = 0; }
        } else {
            const double *a = (const double *)t->left->row[s] + t->i * d;
            const double *b = (const double *)t->right->row[s] + t->j * d;
            double *tile = w->tile[s];
            spread(tile, m, n, l, r, diagonal);
            csim__phase_begin(w->ctx, "products");
            diagonal ? csim__syrk_nt_add(m, d, a, tile) : csim__gemm_nt_add(m, n, d, a, b, tile);
            csim__phase_end(w->ctx, (diagonal ? 1.0 : 2.0) * d * m * n, 0);
            for (int64_t k = 0; diagonal && k < m; k++) { tile[k * (m + 1)] = 0; }
        }
        csim__ring_nudge(t);
    }
    add_tile(w, m, n);
    double work = (diagonal ? 1.0 : 2.0) * w->widths * m * n;
    w->flops += work;
    csim__meter_add(w->meter, "Gram tiles", work);
}

csim_status csim__gram_pass(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                            int count, const unsigned char *wanted, double *hollow,
                            csim__meter *meter)
{
    gram w = {.ctx = ctx,
              .shard = shard,
              .site = sites,
              .count = count,
              .single = sites[0]->xf != NULL,
              .wanted = wanted,
              .meter = meter};
    csim__phase_begin(ctx, "gram");
    csim_status st = csim__vote(ctx, allocate(&w));
    if (st == CSIM_OK) {
        make_lifts(&w);
        csim__ring_task task = {.count = count,
                                .width = w.width,
                                .rows = w.rows,
                                .single = w.single,
                                .numbers = count,
                                .extra = w.lift,
                                .user = &w,
                                .tile = make_tiles};
        st = csim__vote(ctx, csim__ring(ctx, shard, &task));
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, w.sum, (int64_t)count * count); }
    for (int a = 0; st == CSIM_OK && a < count; a++) {
        for (int b = a; b < count; b++) {
            int at = a * count + b;
            hollow[at] = csim__exact_value(w.sum[at], w.exponent[at]);
        }
    }
    double flops = w.flops;
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}
