/* An encoder with its heads as chains over one vector of parameters. All local. */
#ifndef CSIM_NET_H
#define CSIM_NET_H

#include "encoder/chain.h"

/** Shape of an encoder. Everything is borrowed for the call. */
typedef struct csim__net_shape {
    int inputs;        /* input layers, one or more */
    const int *width;  /* [inputs] */
    int hidden_count;  /* 0: the input layers give the output */
    const int *hidden; /* [hidden_count] */
    int out;
    csim_activation activation;
    int heads, head_out; /* heads = 0: none */
    bool weights;        /* one learned weight a head */
} csim__net_shape;

/** An encoder: its own first layer for each input, then a trunk that all inputs share. */
typedef struct csim__net {
    int inputs;
    csim__chain *encoder; /* [inputs] */
    int heads;
    csim__chain *head; /* [heads] linear out→out, ReLU, linear out→head_out; NULL without heads */
    int out, head_out;
    int64_t weights; /* offset of the weights w_c [heads]; −1 = none */
    int64_t parameters;
    int tensors;
    /* [tensors+1] where each one starts: W and b of the input layers, of the trunk, of the heads,
     * then w_c; the last number is parameters */
    int64_t *tensor;
} csim__net;

/** Lay an encoder out. Local.
 *  @param[out] net  new; give back with csim__net_clear(); untouched on error
 *  @return CSIM_OK, CSIM_E_ARG (a size below 1, weights without heads), CSIM_E_LIMIT (more hidden
 *          layers than a chain holds, 2³¹ parameters or more), CSIM_E_MEM */
csim_status csim__net_make(csim_context *ctx, const csim__net_shape *shape, csim__net *net);

/** Free what the net owns and zero it; a zeroed net is accepted. Local. */
void csim__net_clear(csim_context *ctx, csim__net *net);

/** Weights and biases uniform in ±1/√(inputs of their layer), w_c = 1. Number i comes from word i
 *  of one sequence of random numbers, whatever the shape. Local.
 *  @param[out] params  [net->parameters] */
void csim__net_initialise(const csim__net *net, uint64_t seed, float *params);

#endif
