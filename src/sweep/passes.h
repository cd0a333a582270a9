/* The rounds of a sweep whose rows are read again for each: which pairs come together. Pure. */
#ifndef CSIM_SWEEP_PASSES_H
#define CSIM_SWEEP_PASSES_H

#include "core/core.h"

struct csim__problem;
struct csim__plan;
struct csim__planned;

/** A round: the pairs from `first` on, up to those of the next. */
typedef struct csim__planned_pass {
    int64_t first;
    int64_t blocks;     /* bytes of the sums of its products, which every rank holds */
    int64_t identities; /* of overlaps of bases with themselves, which are their owner's alone */
    int64_t slots; /* bytes of the chunks of its sites, and of all else while products are made */
} csim__planned_pass;

/** In what forms (feed.h) the two sites of a pair pass by. */
void csim__passes_forms(const struct csim__problem *problem, const struct csim__plan *plan,
                        const struct csim__planned *pair, unsigned forms[2]);

/** Put the pairs of a plan into an order, and that into rounds, so that few rows are read again and
 *  each round fits; the self-pair of a site comes no later than its other pairs. Every round reads
 *  each of its sites once; blocks of pairs that are as high as they are wide read least, so such
 *  blocks of several heights are tried. Fills pairs, pass, passes, reads and turns of the plan.
 *  @param[in] room, finish  bytes for a round while products are made and while its pairs are
 *                           finished; a pair that takes more has a round of its own
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   O(pairs · log(sites)) */
csim_status csim__passes_make(csim_context *ctx, const struct csim__problem *problem,
                              struct csim__plan *plan, int64_t room, int64_t finish);

#endif
