/* How rows point: their cosines with their mean. */
#ifndef CSIM_SPREAD_H
#define CSIM_SPREAD_H

#include "ingredients/site.h"

/** The mean cosine of the rows, as read, with their mean (a row of zeros has cosine 0), by exact sums,
 *  into site->spread: NaN where the mean is 0 to rounding. Collective. Needs centred rows in double.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   6·n·d/P flops */
csim_status csim__spread(csim_context *ctx, const csim_shard *shard, csim__site *site);

#endif
