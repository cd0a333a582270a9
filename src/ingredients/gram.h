/* Inner products of the linear Gram matrices K = X̃X̃ᵀ of many sites, from tiles; no n×n matrix is
 * ever stored. */
#ifndef CSIM_GRAM_H
#define CSIM_GRAM_H

#include "ingredients/meter.h"
#include "ingredients/site.h"

/** Compute Σ_{i≠j} K̂_a K̂_b for wanted pairs of sites: K̂ is K with a diagonal of zeros and every row
 *  sum taken off, K̂_ij = K_ij + (a_i + a_j − Σa/(n−1))/(n−2) with a the diagonal of K. That is
 *  n(n−3) times the unbiased HSIC of Song et al. 2012, and every other product follows from it by
 *  sums over the rows (csim__pair_gram()). A self-term is a sum of squares: one example of huge
 *  norm, which is all of ‖K‖ and little of ‖K̂‖, costs no digits. Collective.
 *  Chunks travel between ranks, symmetric half only, the next one in flight while one is used.
 *  @param[in]  sites   [count] the sites that take part, with row norms
 *  @param[in]  wanted  [count, count], entries a ≤ b are looked at
 *  @param[out] hollow  [count, count], entries a ≤ b that are wanted; the same on every rank
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   n²·ΣD/P flops for the tiles and n²·(wanted pairs)/P for the products; per rank two
 *          chunks of all sites and a tile of each */
csim_status csim__gram_pass(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                            int count, const unsigned char *wanted, double *hollow,
                            csim__meter *meter);

/** ⟨A_s, B_t⟩ over @p length numbers for lists of arrays, by loops whose order of summation does
 *  not depend on how many arrays there are. Local. out[s, t] for wanted pairs s ≤ t of the list. */
void csim__inner_products(const double *const *tile, int count, int64_t length,
                          const unsigned char *wanted, double *out);
void csim__inner_products_f(const float *const *tile, int count, int64_t length,
                            const unsigned char *wanted, double *out);

#endif
