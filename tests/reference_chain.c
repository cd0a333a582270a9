#include "reference_chain.h"

#include <math.h>
#include <string.h>

double reference_activation(csim_activation kind, double v)
{
    if (kind == CSIM_RELU) { return fmax(v, 0); }
    return v * 0.5 * erfc(-v / sqrt(2));
}

double reference_slope(csim_activation kind, double v)
{
    if (kind == CSIM_RELU) { return v > 0; }
    double density = exp(-v * v / 2) / sqrt(2 * 3.14159265358979323846);
    return 0.5 * erfc(-v / sqrt(2)) + v * density;
}

void reference_forward(const csim__chain *chain, const double *params, const double *x,
                       reference_row before, reference_row after)
{
    for (int l = 0; l < chain->depth; l++) {
        const csim__linear *layer = &chain->layer[l];
        for (int k = 0; k < layer->in; k++) {
            after[l][k] = l == 0 ? x[k] : reference_activation(chain->activation, before[l - 1][k]);
        }
        for (int j = 0; j < layer->out; j++) {
            before[l][j] = params[layer->b + j];
            for (int k = 0; k < layer->in; k++) {
                before[l][j] += after[l][k] * params[layer->w + (int64_t)k * layer->out + j];
            }
        }
    }
}

void reference_backward(const csim__chain *chain, const double *params, reference_row before,
                        reference_row after, const double *g, double *grad, double *dx)
{
    double now[REFERENCE_WIDEST], below[REFERENCE_WIDEST];
    memcpy(now, g, (size_t)chain->layer[chain->depth - 1].out * sizeof *g);
    for (int l = chain->depth - 1; l >= 0; l--) {
        const csim__linear *layer = &chain->layer[l];
        for (int j = 0; j < layer->out; j++) { grad[layer->b + j] += now[j]; }
        for (int k = 0; k < layer->in; k++) {
            below[k] = 0;
            for (int j = 0; j < layer->out; j++) {
                int64_t at = layer->w + (int64_t)k * layer->out + j;
                grad[at] += after[l][k] * now[j];
                below[k] += params[at] * now[j];
            }
            if (l > 0) { below[k] *= reference_slope(chain->activation, before[l - 1][k]); }
        }
        memcpy(now, below, (size_t)layer->in * sizeof *now);
    }
    memcpy(dx, now, (size_t)chain->layer[0].in * sizeof *dx);
}

double reference_length(int e, const double *u)
{
    double sum = 0;
    for (int j = 0; j < e; j++) { sum += u[j] * u[j]; }
    return fmax(sqrt(sum), 1e-12);
}
