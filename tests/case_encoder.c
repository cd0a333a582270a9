#include "case_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unit rows nearer than this to their mean are equal to the digits of floats (docs/measures.md). */
#define FLAT 1e-5

/* A number in ±1/√fan_in; index: weight [in, out], then bias. */
static float parameter(const char *measure, int init, int layer, int fan_in, int index)
{
    uint64_t s = (uint64_t)init * 1000003 + (uint64_t)layer * 7919 + (uint64_t)fan_in;
    for (const char *c = measure; *c != '\0'; c++) { s = s * 31 + (uint64_t)*c; }
    s = s * 0x9e3779b97f4a7c15U + (uint64_t)index * 0xd1342543de82ef95U;
    for (int k = 0; k < 3; k++) {
        s ^= s >> 31;
        s *= 0xbf58476d1ce4e5b9U;
    }
    s ^= s >> 29;
    return (float)((2 * (double)(s >> 11) / 0x1p53 - 1) / sqrt(fan_in));
}

/* ---- encoders ---- */

static void set_layer(csim_encoder *e, int init, int number, const csim__linear *layer)
{
    float *p = e->params + init * e->net.parameters;
    for (int i = 0; i < layer->in * layer->out; i++) {
        p[layer->w + i] = parameter(e->measure, init, number, layer->in, i);
    }
    for (int j = 0; j < layer->out; j++) {
        p[layer->b + j] =
            parameter(e->measure, init, number, layer->in, layer->in * layer->out + j);
    }
}

csim_status case_encoder(csim_context *ctx, const char *measure, int inits, const int *width,
                         int many, csim_encoder **encoder)
{
    csim_encoder *e = NULL;
    csim_status st = csim__calloc(ctx, 1, sizeof *e, "an encoder", &e);
    *encoder = e;
    if (st != CSIM_OK) { return st; }
    e->ctx = ctx;
    e->inits = inits;
    e->hidden_count = 1;
    snprintf(e->checksum, sizeof e->checksum, "case %.4s", measure);
    CSIM_TRY(csim__strdup(ctx, measure, &e->measure));
    CSIM_TRY(csim__format(ctx, &e->path, "case_%s.nc", measure));
    CSIM_TRY(csim__alloc(ctx, many, sizeof *e->width, "widths", &e->width));
    CSIM_TRY(csim__calloc(ctx, many, sizeof *e->model, "models", &e->model));
    CSIM_TRY(csim__alloc(ctx, 1, sizeof *e->hidden, "widths", &e->hidden));
    e->hidden[0] = CASE_HIDDEN;
    for (int i = 0; i < many; i++) {
        bool known = false;
        for (int k = 0; k < e->inputs; k++) { known = known || e->width[k] == width[i]; }
        if (known) { continue; }
        CSIM_TRY(csim__strdup(ctx, "", &e->model[e->inputs]));
        e->width[e->inputs++] = width[i];
    }
    CSIM_TRY(csim__encoder_layout(e, CASE_OUT));
    for (int init = 0; init < inits; init++) {
        for (int i = 0; i < e->inputs; i++) {
            for (int l = 0; l < 2; l++) { set_layer(e, init, l, &e->net.encoder[i].layer[l]); }
        }
    }
done:
    return st;
}

void case_encoder_fill(csim_encoder *e, float v)
{
    for (int64_t i = 0; i < e->inits * e->net.parameters; i++) { e->params[i] = v; }
}

/* ---- reference ---- */

bool case_is_learned(const char *measure)
{
    return (csim_measure_find(measure)->needs & CSIM_NEEDS_PROJECTION) != 0;
}

/* New [in + 1, out]: the weights of a layer, then its biases. */
static double *layer_of(const char *measure, int init, int number, int in, int out)
{
    double *w = ref_alloc((int64_t)(in + 1) * out, sizeof *w);
    for (int i = 0; i < (in + 1) * out; i++) {
        w[i] = (double)parameter(measure, init, number, in, i);
    }
    return w;
}

/* y = x W + b */
static void linear(const double *w, const double *x, int in, int out, double *y)
{
    for (int j = 0; j < out; j++) {
        y[j] = w[in * out + j];
        for (int k = 0; k < in; k++) { y[j] += x[k] * w[k * out + j]; }
    }
}

/* New [n, CASE_OUT] rows of length 1. */
static double *encoded(const char *measure, int init, const case_site *s)
{
    double *z = ref_alloc((int64_t)s->n * CASE_OUT, sizeof *z), hidden[CASE_HIDDEN];
    double *first = layer_of(measure, init, 0, s->d, CASE_HIDDEN);
    double *second = layer_of(measure, init, 1, CASE_HIDDEN, CASE_OUT);
    for (int i = 0; i < s->n; i++) {
        double *row = z + i * CASE_OUT, square = 0;
        linear(first, s->x + (int64_t)i * s->d, s->d, CASE_HIDDEN, hidden);
        for (int j = 0; j < CASE_HIDDEN; j++) { hidden[j] = fmax(hidden[j], 0); }
        linear(second, hidden, CASE_HIDDEN, CASE_OUT, row);
        for (int j = 0; j < CASE_OUT; j++) { square += row[j] * row[j]; }
        for (int j = 0; j < CASE_OUT; j++) { row[j] /= fmax(sqrt(square), 1e-12); }
    }
    free(second);
    free(first);
    return z;
}

/* Root mean square of what rows differ from their mean. */
static double spread(const double *z, int n)
{
    double *c = ref_centre(z, n, CASE_OUT), square = 0;
    for (int i = 0; i < n * CASE_OUT; i++) { square += c[i] * c[i]; }
    free(c);
    return sqrt(square / n);
}

double case_learned(const char *measure, int init, const case_site *x, const case_site *y)
{
    double *a = encoded(measure, init, x), *b = encoded(measure, init, y), value = NAN;
    if (strcmp(measure, "deepcka") != 0) {
        value = 0;
        for (int i = 0; i < x->n * CASE_OUT; i++) { value += a[i] * b[i]; }
        value /= x->n;
    } else if (spread(a, x->n) > FLAT && spread(b, y->n) > FLAT) {
        value = ref_cka(a, b, x->n, CASE_OUT, CASE_OUT, NULL);
    }
    free(a);
    free(b);
    return value;
}

double case_learned_error(const char *measure, int init, const case_site *x, const case_site *y)
{
    if (strcmp(measure, "deepcka") != 0) { return 1e-6; }
    double *a = encoded(measure, init, x), *b = encoded(measure, init, y);
    double least = fmin(spread(a, x->n), spread(b, y->n));
    free(a);
    free(b);
    return 1e-6 / fmax(least, FLAT);
}
