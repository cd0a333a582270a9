/* Arrays of more than two dimensions as rows of neurons: a row is A × neurons × B positions. */
#include "io/set.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1 << 19 }; /* elements read at once before they are pooled: 4 MB */

/* A view of an array, with what follows from both. */
typedef struct pooling {
    csim_context *ctx;
    const csim__reader *format;
    void *handle;
    const csim__array *a;
    const csim__view *view;
    int64_t start[CSIM__MAX_DIMS], count[CSIM__MAX_DIMS];
    int cut;                        /* the first axis inside a row, −1 = none */
    int64_t before, neurons, after; /* positions before, neurons, positions behind */
} pooling;

int64_t csim__view_neurons(const csim__view *view, const csim__array *a)
{
    int64_t d = a->shape[view->neuron_axis];
    for (int j = 0; view->pool == CSIM_POOL_FLATTEN && j < a->ndim; ++j) {
        if (j == view->example_axis || j == view->layer_axis || j == view->neuron_axis) {
            continue;
        }
        if (a->shape[j] != 0 && d > INT64_MAX / a->shape[j]) { return -1; }
        d *= a->shape[j];
    }
    return d;
}

static void prepare(pooling *p, int64_t row0)
{
    p->before = 1;
    p->after = 1;
    p->cut = -1;
    for (int j = 0; j < p->a->ndim; ++j) {
        int64_t extent = p->a->shape[j];
        p->start[j] = 0;
        p->count[j] = extent;
        if (j == p->view->example_axis) {
            p->start[j] = row0;
        } else if (j == p->view->layer_axis) {
            p->start[j] = p->view->layer;
            p->count[j] = 1;
        } else {
            if (p->cut < 0) { p->cut = j; }
            if (j == p->view->neuron_axis) {
                p->neurons = extent;
                continue;
            }
            if (p->view->pool == CSIM_POOL_LAST) { p->start[j] = extent - 1; }
            if (p->view->pool >= CSIM_POOL_FIRST) { p->count[j] = 1; }
            *(j < p->view->neuron_axis ? &p->before : &p->after) *= p->count[j];
        }
    }
}

/* Larger of two, NaN if one is. */
static double larger(double x, double y)
{
    return y > x || isnan(y) ? y : x;
}

/* Take the positions of one row, x[before, neurons, after], into out[neurons]. Sums run through the
 * positions in their order, so that their bits do not depend on how the row was cut. */
static void take_positions(csim_pool pool, const double *x, int64_t before, int64_t neurons,
                           int64_t after, double *out)
{
    for (int64_t a = 0; a < before; ++a) {
        for (int64_t d = 0; d < neurons; ++d) {
            double y = out[d];
            for (int64_t b = 0; b < after; ++b) {
                y = pool == CSIM_POOL_MAX ? larger(y, x[b]) : y + x[b];
            }
            out[d] = y;
            x += after;
        }
    }
}

/* One row, or the part of it that `count` now says, whose neurons begin at out. */
static void pool_row(const pooling *p, const double *x, int64_t before, int64_t neurons,
                     double *out)
{
    take_positions((csim_pool)p->view->pool, x, before, neurons, p->after, out);
}

static void start_row(const pooling *p, double *out)
{
    for (int64_t d = 0; d < p->neurons; ++d) {
        out[d] = p->view->pool == CSIM_POOL_MAX ? -INFINITY : 0.0;
    }
}

static void finish_row(const pooling *p, double *out)
{
    double positions = (double)p->before * (double)p->after;
    for (int64_t d = 0; p->view->pool == CSIM_POOL_MEAN && d < p->neurons; ++d) {
        out[d] /= positions;
    }
}

/* A row longer than the block: piece by piece along its first axis. */
static csim_status read_long_row(pooling *p, int64_t block, double *x, double *out)
{
    csim_status st = CSIM_OK;
    int64_t whole = p->count[p->cut];
    start_row(p, out);
    for (int64_t i = 0; i < whole; i += block) {
        int64_t piece = csim__min64(block, whole - i);
        p->start[p->cut] = i;
        p->count[p->cut] = piece;
        CSIM_TRY(p->format->read(p->ctx, p->handle, p->a, p->start, p->count, x));
        if (p->cut == p->view->neuron_axis) {
            pool_row(p, x, 1, piece, out + i);
        } else {
            pool_row(p, x, p->before / whole * piece, p->neurons, out);
        }
    }
    finish_row(p, out);
done:
    p->start[p->cut] = 0;
    p->count[p->cut] = whole;
    return st;
}

csim_status csim__view_read(csim_context *ctx, const csim__reader *format, void *handle,
                            const csim__array *a, const csim__view *view, int64_t row0,
                            int64_t rows, double *out)
{
    csim_status st = CSIM_OK;
    double *x = NULL;
    pooling p = {.ctx = ctx, .format = format, .handle = handle, .a = a, .view = view};
    prepare(&p, row0);
    int64_t *count = &p.count[view->example_axis], *start = &p.start[view->example_axis];
    if (view->pool != CSIM_POOL_MEAN && view->pool != CSIM_POOL_MAX) {
        *count = rows; /* what is read is what is wanted */
        return format->read(ctx, handle, a, p.start, p.count, out);
    }
    int64_t row = p.before * p.neurons * p.after;
    int64_t step = row / p.count[p.cut]; /* elements of one index of the axis that may be cut */
    int64_t block = csim__min64(rows, csim__max64(1, BLOCK / row));
    int64_t piece = csim__min64(p.count[p.cut], csim__max64(1, BLOCK / step));
    CSIM_TRY(csim__alloc(ctx, row > BLOCK ? piece * step : block * row, sizeof *x,
                         "rows before pooling", &x));
    for (int64_t i = 0; i < rows; i += block) {
        *start = row0 + i;
        *count = csim__min64(block, rows - i);
        if (row > BLOCK) {
            CSIM_TRY(read_long_row(&p, piece, x, out + i * p.neurons));
            continue;
        }
        CSIM_TRY(format->read(ctx, handle, a, p.start, p.count, x));
        for (int64_t r = 0; r < *count; ++r) {
            double *to = out + (i + r) * p.neurons;
            start_row(&p, to);
            pool_row(&p, x + r * row, p.before, p.neurons, to);
            finish_row(&p, to);
        }
    }
done:
    csim__free(ctx, &x);
    return st;
}
