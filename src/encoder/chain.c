/* Rows go through all layers in tiles: what one layer leaves is in cache when the next one, or the
 * pass over its bias and activation, reads it. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/vector_exp.h"
#include "encoder/chain.h"
#include "linalg/dense.h"

/* Rows of a tile: 256 to 1024 differ by 1 %, 128 costs 3 % and 64 5 % at 768 → 512 → 256 → 128. */
enum { TILE = 512 };

static const double floor_length = 1e-12;

/* ---- activations ---- */

/* min(|x|, 13). The bits of positive floats have the order of the floats, and the minimum of
 * integers is an instruction, not a branch that would keep a loop from being vectorised. */
static inline float clamped_size(float x)
{
    const float most = 13;
    int32_t bits, limit;
    memcpy(&bits, &x, sizeof bits);
    memcpy(&limit, &most, sizeof limit);
    bits &= INT32_MAX;
    bits = bits < limit ? bits : limit;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Φ(x), and φ(x) = Φ'(x), to 4e-7 of it, to which rounding of x²/2 adds x²/2·1.2e-7 in the lower
 * tail: for t = |x|, Φ(−t) = exp(−t²/2)·s·P(t·s − 1) with s = 1/(1 + 0.35 t) and P of least largest
 * relative error, 3.2e-8, on 0 ≤ t ≤ 13. NaN counts as a large number; callers multiply by x. With
 * erff() and expf(), which compilers do not vectorise (12 and 14 ns a number forward and backward),
 * GELU would take about as long as the products of the layers. */
static inline float normal(float x, float *density)
{
    float t = clamped_size(x);
    float e = csim__exp_f(-0.5f * t * t), s = 1 / (1 + 0.35f * t), q = t * s - 1;
    float p = -6.55186022e-06f;
    p = p * q + 4.87367652e-06f;
    p = p * q + 0.000100271333f;
    p = p * q + 4.70609448e-05f;
    p = p * q - 0.00160169008f;
    p = p * q - 0.00100919791f;
    p = p * q + 0.0378130302f;
    p = p * q - 0.151414529f;
    p = p * q + 0.311323136f;
    float tail = e * s * p;
    *density = 0.3989422804f * e;
    float base = x < 0 ? 0 : 1, sign = x < 0 ? 1 : -1;
    return base + sign * tail;
}

CSIM_CLONES
static void add_bias(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) { y[i * n + j] += b[j]; }
    }
}

/* y ← max(y + b, 0), NaN staying NaN. */
CSIM_CLONES
static void add_bias_relu(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            float v = y[i * n + j] + b[j];
            y[i * n + j] = v < 0 ? 0 : v;
        }
    }
}

/* y ← y + b, value ← its GELU. */
CSIM_CLONES
static void add_bias_gelu(int64_t rows, int64_t n, const float *restrict b, float *restrict y,
                          float *restrict value)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            float v = y[i * n + j] + b[j], density;
            y[i * n + j] = v;
            value[i * n + j] = v * normal(v, &density);
        }
    }
}

/* sum[j] = Σ g[·, j]. */
CSIM_CLONES
static void column_sums(int64_t rows, int64_t n, const float *restrict g, float *restrict sum)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) { sum[j] += g[i * n + j]; }
    }
}

/* Gradient before the ReLU from the one after it, and its column sums. */
CSIM_CLONES
static void relu_back(int64_t rows, int64_t n, const float *restrict y, float *restrict g,
                      float *restrict sum)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            float v = y[i * n + j] <= 0 ? 0 : g[i * n + j];
            g[i * n + j] = v;
            sum[j] += v;
        }
    }
}

/* The same for GELU from its argument y; its value as well, for the weights' gradient. */
CSIM_CLONES
static void gelu_back(int64_t rows, int64_t n, const float *restrict y, float *restrict g,
                      float *restrict sum, float *restrict value)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            float v = y[i * n + j], density, below = normal(v, &density);
            value[i * n + j] = v * below;
            float slope = g[i * n + j] * (below + v * density);
            g[i * n + j] = slope;
            sum[j] += slope;
        }
    }
}

/* ---- chains ---- */

/* Scratch of one tile. */
typedef struct tile_space {
    float *value;   /* [TILE, widest hidden] what GELU made of a hidden layer */
    float *side[2]; /* [TILE, widest hidden] gradients of two neighbouring layers */
    float *sum;     /* [widest] column sums */
} tile_space;

static int64_t widest_hidden(const csim__chain *chain)
{
    int64_t widest = 0;
    for (int l = 0; l + 1 < chain->depth; l++) {
        widest = csim__max64(widest, chain->layer[l].out);
    }
    return widest;
}

static tile_space split(const csim__chain *chain, float *scratch)
{
    int64_t block = TILE * widest_hidden(chain);
    bool value = chain->activation == CSIM_GELU;
    tile_space space = {.value = value ? scratch : NULL};
    space.side[0] = scratch + (value ? block : 0);
    space.side[1] = space.side[0] + block;
    space.sum = space.side[1] + block;
    return space;
}

int64_t csim__chain_scratch(const csim__chain *chain)
{
    int64_t hidden = widest_hidden(chain);
    int64_t widest = csim__max64(hidden, chain->layer[chain->depth - 1].out);
    return (chain->activation == CSIM_GELU ? 3 : 2) * TILE * hidden + widest;
}

void csim__chain_forward(const csim__chain *chain, const float *params, int64_t rows,
                         const float *x, float *const *out, float *scratch)
{
    tile_space space = split(chain, scratch);
    for (int64_t at = 0; at < rows; at += TILE) {
        int count = (int)csim__min64(TILE, rows - at);
        const float *input = x + at * chain->layer[0].in;
        for (int l = 0; l < chain->depth; l++) {
            const csim__linear *layer = &chain->layer[l];
            const float *b = params + layer->b;
            float *y = out[l] + at * layer->out;
            csim__gemm_nn_f(count, layer->out, layer->in, input, params + layer->w, y);
            input = y;
            if (l == chain->depth - 1) {
                add_bias(count, layer->out, b, y);
            } else if (chain->activation == CSIM_GELU) {
                add_bias_gelu(count, layer->out, b, y, space.value);
                input = space.value;
            } else {
                add_bias_relu(count, layer->out, b, y);
            }
        }
    }
}

/* Tiles sum their columns apart from each other: a long sum in float would lose digits. */
static void add_sums(const csim__linear *layer, const float *sum, float *grad)
{
    for (int j = 0; j < layer->out; j++) { grad[layer->b + j] += sum[j]; }
}

/* One tile, whose first row is row @p at of the outputs; x, g, dx point to its rows. */
static void backward_tile(const csim__chain *chain, const float *params, int count, int64_t at,
                          const float *x, float *const *out, const float *g, float *grad, float *dx,
                          const tile_space *space)
{
    int last = chain->depth - 1;
    column_sums(count, chain->layer[last].out, g, space->sum);
    add_sums(&chain->layer[last], space->sum, grad);
    for (int l = last; l >= 0; l--) {
        const csim__linear *layer = &chain->layer[l];
        const float *input = x;
        float *below = l > 0 ? space->side[l % 2] : dx;
        if (below != NULL) {
            csim__gemm_nt_f(count, layer->in, layer->out, g, params + layer->w, below);
        }
        if (l > 0) {
            const float *y = out[l - 1] + at * layer->in;
            if (chain->activation == CSIM_GELU) {
                gelu_back(count, layer->in, y, below, space->sum, space->value);
                input = space->value;
            } else {
                relu_back(count, layer->in, y, below, space->sum);
                input = y;
            }
            add_sums(&chain->layer[l - 1], space->sum, grad);
        }
        csim__gemm_tn_add_f(layer->in, layer->out, count, input, g, grad + layer->w);
        g = below;
    }
}

void csim__chain_backward(const csim__chain *chain, const float *params, int64_t rows,
                          const float *x, float *const *out, float *g, float *grad, float *dx,
                          float *scratch)
{
    tile_space space = split(chain, scratch);
    int64_t in = chain->layer[0].in, last = chain->layer[chain->depth - 1].out;
    for (int64_t at = 0; at < rows; at += TILE) {
        int count = (int)csim__min64(TILE, rows - at);
        backward_tile(chain, params, count, at, x + at * in, out, g + at * last, grad,
                      dx != NULL ? dx + at * in : NULL, &space);
    }
}

double csim__chain_flops(const csim__chain *chain, int64_t rows, bool input_gradient)
{
    double flops = 0;
    for (int l = 0; l < chain->depth; l++) {
        const csim__linear *layer = &chain->layer[l];
        int products = l > 0 || input_gradient ? 3 : 2;
        flops += products * 2.0 * (double)rows * layer->in * layer->out;
    }
    return flops;
}

/* ---- unit rows ---- */

/* Σ x·y in double lanes of fixed order. */
static inline double row_dot(int64_t n, const float *x, const float *y)
{
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int l = 0; l < 8; l++) { sum[l] += (double)x[i + l] * (double)y[i + l]; }
    }
    for (int l = 0; i < n; i++, l++) { sum[l] += (double)x[i] * (double)y[i]; }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

CSIM_CLONES
void csim__unit_forward(int64_t rows, int e, const float *u, float *z, float *norm)
{
    for (int64_t i = 0; i < rows; i++) {
        double length = sqrt(row_dot(e, u + i * e, u + i * e));
        length = length < floor_length ? floor_length : length; /* NaN stays NaN */
        norm[i] = (float)length;
        for (int64_t j = i * e; j < (i + 1) * e; j++) { z[j] = (float)((double)u[j] / length); }
    }
}

CSIM_CLONES
void csim__unit_backward(int64_t rows, int e, const float *restrict z, const float *restrict norm,
                         float *restrict dz)
{
    for (int64_t i = 0; i < rows; i++) {
        bool floored = norm[i] <= (float)floor_length;
        double along = floored ? 0 : row_dot(e, dz + i * e, z + i * e);
        double inverse = 1 / (floored ? floor_length : (double)norm[i]);
        for (int64_t j = i * e; j < (i + 1) * e; j++) {
            dz[j] = (float)(((double)dz[j] - along * (double)z[j]) * inverse);
        }
    }
}
