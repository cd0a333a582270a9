/* Numbers that go from one rank to all, and rows of a site between all ranks and one. */
#ifndef CSIM_EXCHANGE_H
#define CSIM_EXCHANGE_H

#include "core/core.h"
#include "core/shard.h"

/** Give all ranks what @p root has. By all ranks. CSIM_OK, CSIM_E_MPI. */
csim_status csim__give_all(csim_context *ctx, double *data, int64_t count, int root);

/** Gather the rows of a site on its owner, or scatter them from there. Collective.
 *  @param[in,out] whole  [n, width] on the owner
 *  @param[in,out] mine   [rows, width] of this rank
 *  @return CSIM_OK, CSIM_E_LIMIT, CSIM_E_MEM, CSIM_E_MPI; a vote must follow */
csim_status csim__exchange_rows(csim_context *ctx, const csim_shard *shard, int width,
                                double *whole, double *mine, int owner, bool gather);

#endif
