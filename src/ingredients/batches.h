/* Linear kernels of batches of consecutive examples. */
#ifndef CSIM_BATCHES_H
#define CSIM_BATCHES_H

#include "ingredients/meter.h"
#include "ingredients/site.h"

/** Σ over batches of n(n−3) times their unbiased HSIC (Song et al. 2012), n examples in each; what is
 *  left of the examples is not used. Every batch is read, and centred by itself, on one rank.
 *  Collective.
 *  @param[in]  batch   examples of a batch, from 4 to all
 *  @param[in]  held    of the rows that sites hold in double, in the order that they have there; else of
 *                      the rows as they are in the files
 *  @param[in]  wanted  [count, count] pairs a ≤ b
 *  @param[out] out     [count, count] those that are wanted
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank
 *  @note   n·batch·(ΣD + pairs)/P flops, memory csim__batch_bytes() */
csim_status csim__batches(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                          int count, int64_t batch, bool held, const unsigned char *wanted,
                          double *out, csim__meter *meter);

/** Pure. */
int64_t csim__batch_bytes(int sites, int64_t widest, int64_t batch, int size);

#endif
