/* Optimal assignment. */
#ifndef CSIM_ASSIGNMENT_H
#define CSIM_ASSIGNMENT_H

#include "core/core.h"

/** Largest total of profit[i, col[i]] over all ways to give each of m rows its own of n columns,
 *  m ≤ n, by shortest augmenting paths with potentials (Jonker and Volgenant 1987).
 *  @param[in]  profit  [m, n] finite
 *  @param[out] total   the sum over the best assignment, added up row by row
 *  @return CSIM_OK, CSIM_E_MEM. Local; m²n operations, (m + 4n)·8 bytes */
csim_status csim__assign(csim_context *ctx, int m, int n, const double *profit, double *total);

#endif
