/* Losses that know positives only: DeepDot and DeepCKA. */
#include <math.h>
#include <string.h>

#include "linalg/dense.h"
#include "train/loss.h"

static int pairs_of(int views)
{
    return views * (views - 1) / 2;
}

/* ---- DeepDot ---- */

static double row_product(int e, const float *x, const float *y)
{
    double sum = 0;
    for (int c = 0; c < e; c++) { sum += (double)x[c] * (double)y[c]; }
    return sum;
}

/* Σ over pairs of views of the product of their rows of one example, item[v·examples]. */
static double products(int views, int examples, const int *item, int e, const float *z_all)
{
    double sum = 0;
    for (int v = 0; v < views; v++) {
        const float *x = z_all + (int64_t)item[(int64_t)v * examples] * e;
        for (int w = v + 1; w < views; w++) {
            sum += row_product(e, x, z_all + (int64_t)item[(int64_t)w * examples] * e);
        }
    }
    return sum;
}

void csim__deepdot(int views, int examples, const int *item, int e, const float *z_all, int first,
                   int count, double *loss, float *dz)
{
    double scale = -1 / ((double)pairs_of(views) * examples), sum = 0;
    for (int b = 0; loss != NULL && b < examples; b++) {
        sum += products(views, examples, item + b, e, z_all);
    }
    if (loss != NULL) { *loss = scale * sum; }
    memset(dz, 0, (size_t)count * (size_t)e * sizeof *dz);
    for (int64_t at = 0; at < (int64_t)views * examples; at++) {
        int64_t own = (int64_t)item[at] - first;
        if (own < 0 || own >= count) { continue; }
        for (int w = 0; w < views; w++) {
            int64_t other = (int64_t)w * examples + at % examples;
            const float *z = z_all + (int64_t)item[other] * e;
            if (other == at) { continue; }
            for (int c = 0; c < e; c++) { dz[own * e + c] += (float)scale * z[c]; }
        }
    }
}

/* ---- DeepCKA ---- */

/* Examples whose gradients are made together: products of this shape whichever rank asks. */
enum { TILE = 64 };

/* Centred views, the products of their columns, and what CKA makes of them. */
typedef struct centred {
    int count, examples, e;
    double *x;      /* [count, examples, e] */
    double *cross;  /* [count·(count+1)/2] blocks X_vᵀX_w, v ≤ w, [e, e] */
    double *square; /* [count, count] ‖X_vᵀX_w‖² */
    double *norm;   /* [count] ‖X_vᵀX_v‖ */
    double *sum;    /* [TILE, e] Σ_w X_w X_wᵀX_v/norm_w for one tile */
    double *part;   /* [TILE, e] */
} centred;

static double *block(const centred *x, int v, int w)
{
    int64_t size = (int64_t)x->e * x->e;
    return x->cross + ((int64_t)w * (w + 1) / 2 + v) * size;
}

static csim_status reserve(csim_context *ctx, centred *x)
{
    int64_t n = x->count, size = (int64_t)x->e * x->e;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, n * x->examples * x->e, sizeof *x->x, "centred views", &x->x));
    CSIM_TRY(
        csim__alloc(ctx, n * (n + 1) / 2 * size, sizeof *x->cross, "products of views", &x->cross));
    CSIM_TRY(csim__alloc(ctx, n * n, sizeof *x->square, "squares of views", &x->square));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *x->norm, "norms of views", &x->norm));
    CSIM_TRY(csim__alloc(ctx, (int64_t)TILE * x->e, sizeof *x->sum, "a gradient", &x->sum));
    CSIM_TRY(csim__alloc(ctx, (int64_t)TILE * x->e, sizeof *x->part, "a gradient", &x->part));
done:
    return st;
}

static void release(csim_context *ctx, centred *x)
{
    csim__free(ctx, &x->part);
    csim__free(ctx, &x->sum);
    csim__free(ctx, &x->norm);
    csim__free(ctx, &x->square);
    csim__free(ctx, &x->cross);
    csim__free(ctx, &x->x);
}

/* Rows of one view minus their mean, which of equal rows is exact. @p mean [e] is scratch. */
static void centre(int examples, const int *item, int e, const float *z_all, double *mean,
                   double *x)
{
    memset(mean, 0, (size_t)e * sizeof *mean);
    for (int b = 0; b < examples; b++) {
        const float *z = z_all + (int64_t)item[b] * e;
        for (int c = 0; c < e; c++) { mean[c] += (double)z[c]; }
    }
    for (int c = 0; c < e; c++) { mean[c] /= examples; }
    for (int b = 0; b < examples; b++) {
        const float *z = z_all + (int64_t)item[b] * e;
        for (int c = 0; c < e; c++) { x[(int64_t)b * e + c] = (double)z[c] - mean[c]; }
    }
}

static csim_status prepare(csim_context *ctx, const int *item, const float *z_all, centred *x)
{
    int64_t rows = (int64_t)x->examples * x->e, size = (int64_t)x->e * x->e;
    for (int v = 0; v < x->count; v++) {
        centre(x->examples, item + (int64_t)v * x->examples, x->e, z_all, x->sum, x->x + v * rows);
    }
    for (int w = 0; w < x->count; w++) {
        for (int v = 0; v <= w; v++) {
            double *c = block(x, v, w);
            csim__gemm_tn(x->e, x->e, x->examples, x->x + v * rows, x->e, x->x + w * rows, x->e, c,
                          x->e);
            double square = csim__dot(size, c, c);
            x->square[v * x->count + w] = x->square[w * x->count + v] = square;
        }
        x->norm[w] = sqrt(x->square[w * x->count + w]);
        if (x->norm[w] == 0) {
            return csim__fail(ctx, CSIM_E_NUMERIC,
                              "DeepCKA: all %d rows of view %d are equal, so its CKA is undefined",
                              x->examples, w);
        }
    }
    return CSIM_OK;
}

static double mean_cka(const centred *x)
{
    double sum = 0;
    for (int v = 0; v < x->count; v++) {
        for (int w = v + 1; w < x->count; w++) {
            sum += x->square[v * x->count + w] / (x->norm[v] * x->norm[w]);
        }
    }
    return sum / pairs_of(x->count);
}

/* sum = Σ_w (X_w X_wᵀX_v − ‖X_wᵀX_v‖²/norm_v² X_v X_vᵀX_v)/norm_w over the other views, which is
 * norm_v/2 times the gradient of Σ_w CKA(v, w), for rows at … at+rows−1. */
static void tile_gradient(const centred *x, int v, int at, int rows)
{
    int e = x->e;
    int64_t length = (int64_t)rows * e, view = (int64_t)x->examples * e;
    double self = 0;
    memset(x->sum, 0, (size_t)length * sizeof *x->sum);
    for (int w = 0; w < x->count; w++) {
        const double *row = x->x + w * view + (int64_t)at * e;
        if (w == v) { continue; }
        if (w < v) {
            csim__gemm_nn(rows, e, e, row, e, block(x, w, v), e, x->part, e);
        } else {
            csim__gemm_nt(rows, e, e, row, block(x, v, w), x->part);
        }
        for (int64_t k = 0; k < length; k++) { x->sum[k] += x->part[k] / x->norm[w]; }
        self += x->square[v * x->count + w] / x->norm[w];
    }
    self /= x->square[v * x->count + v];
    csim__gemm_nn(rows, e, e, x->x + v * view + (int64_t)at * e, e, block(x, v, v), e, x->part, e);
    for (int64_t k = 0; k < length; k++) { x->sum[k] -= self * x->part[k]; }
}

/* Gradients of the own items among one tile of one view; @p item is of the tile's first row. */
static void tile_rows(const centred *x, int v, int at, const int *item, int first, int count,
                      float *dz)
{
    int rows = x->examples - at < TILE ? x->examples - at : TILE;
    double scale = -2 / (pairs_of(x->count) * x->norm[v]);
    bool made = false;
    for (int r = 0; r < rows; r++) {
        int64_t own = (int64_t)item[r] - first;
        if (own < 0 || own >= count) { continue; }
        if (!made) { tile_gradient(x, v, at, rows); }
        made = true;
        for (int c = 0; c < x->e; c++) {
            dz[own * x->e + c] = (float)(scale * x->sum[(int64_t)r * x->e + c]);
        }
    }
}

csim_status csim__deepcka(csim_context *ctx, int views, int examples, const int *item, int e,
                          const float *z_all, int first, int count, double *loss, float *dz)
{
    centred x = {.count = views, .examples = examples, .e = e};
    csim_status st = CSIM_OK;
    CSIM_TRY(reserve(ctx, &x));
    CSIM_TRY(prepare(ctx, item, z_all, &x));
    if (loss != NULL) { *loss = -mean_cka(&x); }
    for (int v = 0; v < x.count; v++) {
        for (int at = 0; at < examples; at += TILE) {
            tile_rows(&x, v, at, item + (int64_t)v * examples + at, first, count, dz);
        }
    }
done:
    release(ctx, &x);
    return st;
}
