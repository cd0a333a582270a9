/* Chains of linear layers: forward and backward in float32. All local; what is computed depends on
 * the rows handed over and on nothing else. */
#ifndef CSIM_CHAIN_H
#define CSIM_CHAIN_H

#include "contrasim/encoder.h"
#include "core/core.h"

/** One linear layer y = x W + b; W [in, out] row-major and b [out] at these places of the vector of
 *  parameters. */
typedef struct csim__linear {
    int in, out;
    int64_t w, b;
} csim__linear;

enum { CSIM__MAX_DEPTH = 16 };

/** Linear layers with the activation between them, none after the last; depth ≥ 1. */
typedef struct csim__chain {
    int depth;
    csim__linear layer[CSIM__MAX_DEPTH];
    csim_activation activation;
} csim__chain;

/** Floats of scratch that forward and backward need, whatever the number of rows. */
int64_t csim__chain_scratch(const csim__chain *chain);

/** The chain's output, and on the way what backward needs. NaN and Inf go through to the rows'
 *  outputs.
 *  @param[in]  params  the whole vector of parameters
 *  @param[in]  x       [rows, in of the first layer]
 *  @param[out] out     out[l] is [rows, out of layer l]: of hidden layers the values after a ReLU,
 *                      or before a GELU, whose derivative is not a function of its value
 *  @note   2·rows·(parameters of W) flops */
void csim__chain_forward(const csim__chain *chain, const float *params, int64_t rows,
                         const float *x, float *const *out, float *scratch);

/** Add the gradients of the chain's weights and biases to @p grad, which is as long as @p params.
 *  @param[in]     x, out  as of csim__chain_forward()
 *  @param[in,out] g       ∂L/∂(last output) [rows, out of the last layer]; may be destroyed
 *  @param[out]    dx      ∂L/∂x [rows, in of the first layer], overwritten; NULL = not needed, which
 *                         saves what is often the largest product of all */
void csim__chain_backward(const csim__chain *chain, const float *params, int64_t rows,
                          const float *x, float *const *out, float *g, float *grad, float *dx,
                          float *scratch);

/** Flops of the matrix products of one forward and one backward. */
double csim__chain_flops(const csim__chain *chain, int64_t rows, bool input_gradient);

/** Rows of length 1: z = u/max(‖u‖, 1e-12), and the floored lengths [rows]. u, z [rows, e]; z may
 *  be u. */
void csim__unit_forward(int64_t rows, int e, const float *u, float *z, float *norm);

/** ∂L/∂u from ∂L/∂z, in place: (dz − (dz·z) z)/‖u‖, or dz/1e-12 where the floor was the length.
 *  z, dz [rows, e]. */
void csim__unit_backward(int64_t rows, int e, const float *z, const float *norm, float *dz);

#endif
