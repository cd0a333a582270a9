/* Losses of rows and of sets with their gradients. All local: items of all ranks are handed over
 * gathered, and what a call gives for its own items depends on nothing but its arguments. */
#ifndef CSIM_LOSS_H
#define CSIM_LOSS_H

#include "core/core.h"

/* ---- groups ---- */

/** Which items are positives of which: those of the same group (label, or example). */
typedef struct csim__groups {
    int items, groups;
    int *of;     /* [items] group, −1 = none (missing label) */
    int *start;  /* [groups+1] */
    int *member; /* members of group g: member[start[g] … start[g+1]−1], ascending */
    int anchors; /* items with at least one positive */
} csim__groups;

/** Group items by label.
 *  @param[in]  label   [items] any numbers; below 0 = missing
 *  @param[out] groups  new, groups in the order of their labels; give back with
 *                      csim__groups_clear(); untouched on error
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__groups_make(csim_context *ctx, int items, const int64_t *label,
                              csim__groups *groups);

/** Free what the groups own and zero them; zeroed groups are accepted. */
void csim__groups_clear(csim_context *ctx, csim__groups *groups);

/** Positives of item i: the other members of its group. */
static inline int csim__positives(const csim__groups *groups, int i)
{
    int g = groups->of[i];
    return g < 0 ? 0 : groups->start[g + 1] - groups->start[g] - 1;
}

/** Mean cosine of positives (per anchor, then over anchors) and of all other pairs of two items;
 *  NaN where there are none. Sums over groups give both: some 8·M·e flops.
 *  @param[in] z_all  unit rows [groups->items, e] */
void csim__similarities(const csim__groups *groups, int e, const float *z_all, double *positive,
                        double *negative);

/** The same from the inner products s[m, m] of all items, m = groups->items. */
void csim__similarities_of_sets(const csim__groups *groups, const double *s, double *positive,
                                double *negative);

/* ---- contrastive loss ---- */

/** The smallest temperature that the sums of csim__contrast_rows_forward() have room for. */
#define CSIM__LEAST_TEMPERATURE 0.003

/** First half of the contrastive loss of own items (Khosla et al. 2020, L_out): sums and losses.
 *
 *  L = mean over anchors i of −(1/|P(i)|) Σ_{p∈P(i)} log(exp(z_i·z_p/τ) / Σ_{j≠i} exp(z_i·z_j/τ)).
 *  Items without a positive are no anchors, but stand in the sums of the others. A NaN among the
 *  rows makes the losses NaN. One matrix product, so call it once for every chunk.
 *  @param[in]  temperature  τ, at least CSIM__LEAST_TEMPERATURE
 *  @param[in]  e            columns of z
 *  @param[in]  z_all        unit rows [M, e], M = groups->items
 *  @param[in]  first,count  own items
 *  @param[out] s            [count, M] for csim__contrast_rows_backward()
 *  @param[out] sum          [count] Σ_{j≠i} exp((z_i·z_j − 1)/τ)
 *  @param[out] loss         [count] 0 where the item is no anchor
 *  @note   2·count·M·e flops and count·M exponentials */
void csim__contrast_rows_forward(const csim__groups *groups, double temperature, int e,
                                 const float *z_all, int first, int count, float *s, double *sum,
                                 double *loss);

/** Second half: ∂L/∂z of own items, L the mean over all anchors; 0 where there are no anchors.
 *  @param[in]     z_all, first, count  as in the first half
 *  @param[in]     sum_all  [M] the sums of all items
 *  @param[in,out] s        as the first half left it; destroyed
 *  @param[out]    dz       [count, e]
 *  @note   2·count·M·e flops */
void csim__contrast_rows_backward(const csim__groups *groups, double temperature, int e,
                                  const float *z_all, const double *sum_all, int first, int count,
                                  float *s, float *dz);

/** Flops of the matrix products of both halves. */
double csim__contrast_flops(int m, int e, int count);

/** The contrastive loss of sets from their inner products, all in double.
 *  @param[in]  m     sets, = groups->items
 *  @param[in]  s     [m, m] symmetric, s_ij = z_i·z_j of unit sets
 *  @param[out] loss  mean over anchors; 0 where there are none
 *  @param[out] h     [m, m] symmetric, diagonal 0: ∂L/∂z_i = Σ_j h_ij z_j
 *  @return CSIM_OK, CSIM_E_SHAPE (m is not the number of items), CSIM_E_MEM */
csim_status csim__contrast_sets(csim_context *ctx, const csim__groups *groups, double temperature,
                                int m, const double *s, double *loss, float *h);

/** Sum of the losses of several notions, L = Σ_c (e^{−w_c} L_c + w_c), or Σ_c L_c with equal
 *  weights (Kendall et al. 2018).
 *  @param[in]  loss     [c]
 *  @param[in]  w        [c]; not read with equal weights
 *  @param[in]  learned  false: equal weights
 *  @param[out] weight   [c] e^{−w_c} or 1: the factor of the gradients of notion c
 *  @param[out] dw       [c] ∂L/∂w_c, or 0
 *  @return L */
double csim__mscon_total(int c, const double *loss, const float *w, bool learned, double *weight,
                         double *dw);

/* ---- losses without negatives ---- */

/** −mean cosine of matching rows, over all pairs of views and all examples.
 *  @param[in]  views     two or more
 *  @param[in]  item      [views, examples] the item that is this example in this view
 *  @param[in]  z_all     unit rows [views·examples, e]
 *  @param[out] loss      of all items; NULL = not wanted
 *  @param[out] dz        [count, e] of items first … first+count−1; their bits do not depend on
 *                        which items are asked for
 *  @note   views·examples·e flops for the loss, views·count·e for the gradient */
void csim__deepdot(int views, int examples, const int *item, int e, const float *z_all, int first,
                   int count, double *loss, float *dz);

/** −mean linear CKA (Kornblith et al. 2019) over all pairs of views, all in double. Arguments as
 *  csim__deepdot(). Every call prepares all views: ask for all own items at once.
 *  @return CSIM_OK, CSIM_E_NUMERIC (a view whose rows are all equal has no CKA), CSIM_E_MEM;
 *          outputs are untouched on error
 *  @note   views·(views+1)·examples·e² + 2·views·count·e² flops;
 *          8·views·e·(examples + (views+1)·e/2) bytes */
csim_status csim__deepcka(csim_context *ctx, int views, int examples, const int *item, int e,
                          const float *z_all, int first, int count, double *loss, float *dz);

#endif
