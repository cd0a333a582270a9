/* Statistics of the values of a sweep: which measure has which, and those of one value. */
#ifndef CSIM_SWEEP_STATISTICS_H
#define CSIM_SWEEP_STATISTICS_H

#include "ingredients/blocks.h"
#include "sweep/cells.h"

struct csim__problem;
struct csim__plan;

/** Does a measure of the sweep have such a number beside its values of @p n examples? An interval? Local,
 *  pure. */
bool csim__statistics_beside(const csim_sweep_options *options, int m, int64_t n,
                             csim__beside beside);
bool csim__statistics_interval(const csim_sweep_options *options, int m);

/** Values of each cell under relabellings, of @p n examples; 0: none. Does a measure have them? Local,
 *  pure. */
int64_t csim__statistics_draws(const csim_sweep_options *options, int64_t n);
bool csim__statistics_drawn(const csim_sweep_options *options, int m, int64_t n);

/** What values of a measure under random relabellings come from; CSIM__DRAWN_KINDS: it has none. Local,
 *  pure. */
csim__drawn csim__statistics_kind(const csim_sweep_measure *measure);

/** Are there measures whose relabelled pairs are made anew from rows? Local, pure. */
bool csim__statistics_paired(const csim_sweep_options *options);

/** The level of calibrated scores. Local, pure. */
static inline double csim__statistics_alpha(const csim_sweep_options *options)
{
    return options->alpha > 0 ? options->alpha : CSIM_NULL_ALPHA;
}

/** Blocks of examples that are left out, at most. */
enum { CSIM__JACKKNIFE_MOST = 64 };

/** Blocks that are left out at most for intervals from products of neurons, or from sums of n×n @p matrices;
 *  0: no measure has any. Local, pure. */
int64_t csim__statistics_leaves(const csim_sweep_options *options, bool matrices);

/** Put the interval of a measure beside the values of a pair of sites, in both orders. Local.
 *  @param[in] value  [blocks + 1] without each block, and of all examples */
void csim__statistics_put_interval(csim__cells *cells, int m, int x, int y,
                                   const csim__blocks *blocks, const double *value);

/** Check that some measure has the statistics that are asked for, of @p n examples; warns of those that
 *  have none. Local. CSIM_OK, CSIM_E_USAGE, CSIM_E_ARG. */
csim_status csim__statistics_check(csim_context *ctx, const csim_sweep_options *options, int64_t n);

/** The numbers that are made where a value is, from the ingredients of its pair. Local.
 *  @param[in,out] beside  [CSIM__BESIDE_COUNT] NaN where there is none */
void csim__statistics_of_pair(const csim_pair *pair, const csim_sweep_options *options, int m,
                              double value, double *beside);

/** Bytes of csim__sweep_jackknife() on a rank. Pure.
 *  @param[in] widths  neurons of all sites */
int64_t csim__jackknife_bytes(const struct csim__problem *problem, const csim_shard *shard,
                              int64_t widths, int64_t widest);

/** Bytes of csim__sweep_permute() on a rank: of the twins, as long as there are any; beside them while
 *  rows go to their new places and pass by, before products are made and pairs are decomposed. Pure.
 *  @param[in] reading  bytes while rows are read as they are */
int64_t csim__permute_bytes(const struct csim__problem *problem, const struct csim__plan *plan,
                            const csim_shard *shard);
int64_t csim__permute_passes(const struct csim__problem *problem, const struct csim__plan *plan,
                             const csim_shard *shard, int64_t reading);

#endif
