/* Who owns which pair: rounds of pairs, in each of them the longest first to the rank, or the group of
 * ranks, that has least to do. Everything is pure: every rank deals alike. */
#ifndef CSIM_SWEEP_DEAL_H
#define CSIM_SWEEP_DEAL_H

#include "sweep/plan/plan.h"

/** A group takes as long as one rank of half as many would, if that had all of it. */
enum { CSIM__TEAM_PACE = 2 };

/** The two parts of a plan by the length of its rounds. */
void csim__plan_parts(const csim__problem *problem, csim__plan *plan);

/** Is what a pair decomposes, if anything, large enough for a group? */
bool csim__pair_large(const csim__problem *problem, const csim__planned *pair);

/** Two pointers to pairs, for qsort(): the large ones first, then the longest; equal ones in the order
 *  of the plan. */
int csim__longest_first(const void *a, const void *b);

/** Give every pair its owner, the large ones to the leaders of groups, so that none has more than
 *  plan->round of a round, or than its share where rows are streamed; note what each rank holds and takes then.
 *  @param[in,out] plan  with its pairs and parts
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   O(pairs·log(pairs) + rounds·ranks) */
csim_status csim__deal(csim_context *ctx, const csim__problem *problem, csim__plan *plan);

#endif
