/* What the terms of a cost are worked out from, and the seconds and bytes that the parts of it share:
 * private to cost*.c. All local and pure but for the effort they add to. */
#ifndef CSIM_COST_MODEL_H
#define CSIM_COST_MODEL_H

#include "sweep/plan/cost.h"

typedef struct csim__cost_model {
    const csim__problem *p;
    const csim__plan *plan;
    const csim__machine *machine;
    csim_shard shard; /* of the rank with most examples */
    bool single;
    double rows, steps;        /* of that rank; ⌈log₂ P⌉ */
    double latency, bandwidth; /* of a rank that talks to any other */
    csim__effort *effort;
} csim__cost_model;

/** Seconds of a product of m·n·k, by its size between those that were timed. */
double csim__cost_gemm(const csim__cost_model *model, bool single, double flops, double m, double n,
                       double k);

/** Bytes of one rank to all, so many times. */
void csim__cost_spread(const csim__cost_model *model, csim__term term, double bytes, double times);

/** A sum over the ranks that one of them gets: halves are exchanged and added, then halves of these,
 *  and so on; the parts of the sum are gathered along a tree (Rabenseifner). Ranks beyond a power of
 *  two hand theirs to a neighbour first. */
void csim__cost_sum_up(const csim__cost_model *model, csim__term term, double bytes);

/** A sum that all ranks get, so many times. */
void csim__cost_share_sum(const csim__cost_model *model, csim__term term, double bytes,
                          double times);

/** What is done with the rows of sites before there are pairs: reading, encoding, tiles, neighbours,
 *  kernels, bases. @param bytes_per_number  in files */
void csim__cost_rows(const csim__cost_model *model, double bytes_per_number);

/** Of these the kernels and distances, stored ones, and those of batches and shifts. */
void csim__cost_kernels(const csim__cost_model *model);

/** Products and decompositions of all pairs, round by round. @return CSIM_OK, CSIM_E_MEM */
csim_status csim__cost_pairs(csim_context *ctx, const csim__cost_model *model);

/** Products of all pairs and sites twice, block by block, and what pairs are without each block. */
void csim__cost_leaving(const csim__cost_model *model);

#endif
