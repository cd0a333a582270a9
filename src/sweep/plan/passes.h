/* The passes over the rows of a sweep that does not hold them, and rounds of pairs, which take one pass
 * or more: which pairs come together. Pure. */
#ifndef CSIM_SWEEP_PASSES_H
#define CSIM_SWEEP_PASSES_H

#include "ingredients/bundle.h"

struct csim__problem;
struct csim__plan;
struct csim__planned;

/** One pass over the rows of some sites, in which products of pairs are made. */
typedef struct csim__planned_pass {
    int64_t first, last; /* its pairs: [first, last) */
    csim__slice slice;   /* of their products; all of them, where there is more than one pair */
    int64_t blocks;      /* bytes of the sums of its products, which every rank holds */
    int64_t identities;  /* of overlaps of bases with themselves, which are their owner's alone */
    int64_t slots; /* bytes of the chunks of its sites, and of all else while products are made */
} csim__planned_pass;

/** A round: passes and their pairs, from `pass` and from `first` on, up to those of the next. Its pairs
 *  are decomposed after its last pass. */
typedef struct csim__planned_round {
    int64_t pass, first;
} csim__planned_round;

/** In what forms (feed.h) the two sites of a pair pass by. */
void csim__passes_forms(const struct csim__problem *problem, const struct csim__plan *plan,
                        const struct csim__planned *pair, unsigned forms[2]);

/** Put the pairs of a plan into an order, that into passes, and these into rounds, so that few rows are
 *  read again, many owners decompose side by side, and all fits; the self-pair of a site comes no later
 *  than its other pairs. Every pass reads each of its sites once; blocks of pairs that are as high as
 *  they are wide read least, so such blocks of several heights are tried, with rounds of one pass, and
 *  of as many as give each owner a pair. Fills pairs, pass, passes, rounds, many_rounds, reads and turns
 *  of the plan.
 *  @param[in] room, finish  bytes for a pass while products are made and for a round while its pairs
 *                           are finished; a pair that takes more has a round of its own
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   O(pairs · log(sites)) */
csim_status csim__passes_make(csim_context *ctx, const struct csim__problem *problem,
                              struct csim__plan *plan, int64_t room, int64_t finish);

#endif
