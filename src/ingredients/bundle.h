/* Products of which every one is added up while the rows of their operands pass by, chunk by chunk:
 * rows that are not held are read once for all products of a bundle, or for a part of each of them. */
#ifndef CSIM_BUNDLE_H
#define CSIM_BUNDLE_H

#include "ingredients/panel.h"

/** Of the panels of every product those that a bundle makes: part 0 of 1 is all of them. */
typedef struct csim__slice {
    int part, parts;
} csim__slice;

typedef struct csim__bundle {
    csim_context *ctx;
    const csim_shard *shard;
    csim__meter *meter;
    const csim__product *product; /* [count] borrowed */
    csim__slice slice;
    int64_t count, panels, largest;
    int64_t *first; /* [count + 1] first panel of each product */
    csim__panel *panel;
    csim__piece *piece; /* of all panels */
    int64_t *spare;     /* sums of which other ranks get the totals */
    void *part;
    double *factor[2];
    double each; /* flops of a chunk */
    double flops;
} csim__bundle;

/** Room for the sums of a slice of some products. Local; takes on every rank the rows of all products that
 *  are in the slice, apart from what it has of their outputs, and a partial of the largest panel.
 *  @param[out] bundle  close it also on error
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT */
csim_status csim__bundle_open(csim_context *ctx, const csim_shard *shard,
                              const csim__product *products, int64_t count, csim__slice slice,
                              csim__meter *meter, csim__bundle *bundle);

/** Add a chunk, counted from the first of this rank, to product @p i. Local. */
void csim__bundle_add(csim__bundle *bundle, int64_t i, int64_t chunk);

/** Sum over ranks; these rows are in their outputs then. Collective. CSIM_OK, CSIM_E_MEM,
 *  CSIM_E_MPI; the same on every rank. */
csim_status csim__bundle_sum(csim__bundle *bundle);

/** Local. Accepts a bundle of zeros. */
void csim__bundle_close(csim__bundle *bundle);

#endif
