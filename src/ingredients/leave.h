/* Sums over all examples but those of one block, of blocks of consecutive examples: the products of
 * neurons are sums over the blocks, and so are those that centre what is left anew. */
#ifndef CSIM_LEAVE_H
#define CSIM_LEAVE_H

#include "ingredients/blocks.h"
#include "ingredients/cross.h"
#include "ingredients/pair.h"
#include "ingredients/rows.h"

/** What is beside the neurons of a row x̃: its squared length, and 1. A product of such rows has all that
 *  is needed to leave some of them out. */
enum { CSIM__LEAVE_MORE = 2 };

/** Rows of the block at hand of all sites, as operands. */
typedef struct csim__leave {
    csim_context *ctx;
    const csim_shard *shard;
    csim__blocks blocks;
    csim__site *const *site; /* [count] with centred rows in double and row norms; borrowed */
    int count;
    double **rows, **norm;  /* [count] of [rows of a block, d + CSIM__LEAVE_MORE]; bounds */
    csim__operand *operand; /* [count] */
} csim__leave;

/** Begin; end. Local. CSIM_OK, CSIM_E_MEM. */
csim_status csim__leave_open(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                             int count, const csim__blocks *blocks, csim__leave *leave);
void csim__leave_close(csim__leave *leave);

/** Bytes of it on a rank. Pure. */
int64_t csim__leave_bytes(const csim_shard *shard, const csim__blocks *blocks, int sites,
                          int64_t widths);

/** Products of pairs of sites over the examples of block @p b. Collective.
 *  @param[in]  couples  [count] places in the list; @p owner of each has the result
 *  @param[out] out      [count] of [d + 2, e + 2] on the owner, NULL elsewhere
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank
 *  @note   2·n·d·e/P flops a pair over all blocks */
csim_status csim__leave_products(csim__leave *leave, int b, const csim__couple *couples,
                                 const int *owner, double *const *out, int count,
                                 csim__meter *meter);

/** X̃ᵀỸ of the rows that are left, which are centred anew. Local, pure.
 *  @param[in]  all    [d + 2, e + 2] of all examples
 *  @param[in]  block  of the block that is left out; NULL: none
 *  @param[out] rest   [d, e]
 *  @return Σ‖x̃_i‖²‖ỹ_i‖² */
double csim__leave_rest(const double *all, const double *block, int64_t d, int64_t e, double *rest);

#endif
