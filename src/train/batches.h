/* Which rows make which batch, on which rank they lie, and how they get there.
 *
 * An epoch is a permutation of the training examples; batch b holds the next `batch` of them. A
 * batch is cut into chunks as any set of examples is (core/shard.h), so who has a row depends on
 * its place in the permutation. While one epoch is trained, the rows of the next one travel, one
 * batch at a time, to where they will be needed. */
#ifndef CSIM_BATCHES_H
#define CSIM_BATCHES_H

#include "core/core.h"
#include "core/shard.h"

/** What stands in a row: the values of all sites, one after the other. */
typedef struct csim__batches {
    csim_context *ctx;
    int64_t n, batch, count; /* examples, examples a batch, batches */
    int64_t width;           /* Σd of all sites */
    int sites;
    const int64_t *site_width; /* [sites] borrowed */
    int64_t rows;              /* of this rank, over all batches */
    int64_t *first_row;        /* [count+1] own rows of the batches before */
    uint64_t seed;

    int64_t epoch;               /* the one in `now`; −1: the order of the examples */
    int64_t *order, *next_order; /* [n] example at each place */
    float *now, *next;           /* [rows, width] by chunks: [site][row][d] */

    /* one batch of the next epoch on its way */
    float *out, *in; /* [rows of a batch, width] packed rows */
    int *counts;     /* [4·size] sent, places of sent, received, places of received */
    int64_t *place;  /* [n] where each example is in `order` */
    MPI_Datatype row;
    MPI_Request request;
    int64_t sending; /* the batch under way, −1 = none */
} csim__batches;

/** Lay batches out and make room for two epochs; the rows of epoch −1, the examples in their order,
 *  are filled in by the caller through csim__batch_chunk(). Local.
 *  @param[in] site_width  [sites] borrowed until csim__batches_clear()
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT
 *  @note   two epochs of this rank's rows and two batches */
csim_status csim__batches_make(csim_context *ctx, int64_t n, int64_t batch, int sites,
                               const int64_t *site_width, csim__batches *b);

/** Free all. Local; nothing may be under way. */
void csim__batches_clear(csim__batches *b);

/** The chunks of batch @p i that are this rank's. */
csim_shard csim__batch_shard(const csim__batches *b, int64_t i);

/** The values of chunk @p c (one of this rank's) of batch @p i: site s begins at element
 *  rows·Σ_{t<s} d_t and is [rows, d_s]. */
float *csim__batch_chunk(const csim__batches *b, int64_t i, int64_t c);

/** Move to an epoch of a seed at once, from whatever is there. Collective; agreed.
 *  @return CSIM_OK, CSIM_E_MPI, CSIM_E_MEM */
csim_status csim__batches_go(csim__batches *b, uint64_t seed, int64_t epoch);

/** Start moving batch @p i of the epoch after this one, and finish it. Every rank calls them for the
 *  batches in turn, with work of its own between. Collective, not agreed. */
csim_status csim__batches_send(csim__batches *b, int64_t i);
csim_status csim__batches_receive(csim__batches *b);

/** The next epoch becomes this one; all its batches must have come. Local. */
void csim__batches_turn(csim__batches *b);

/** The permutation of epoch @p epoch (−1: the identity) of n examples. Local, pure.
 *  @param[out] order  [n] */
void csim__epoch_order(uint64_t seed, int64_t epoch, int64_t n, int64_t *order);

#endif
