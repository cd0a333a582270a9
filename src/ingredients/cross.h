/* Cross products over the examples: AᵀB of two matrices whose rows are spread over the ranks. */
#ifndef CSIM_CROSS_H
#define CSIM_CROSS_H

#include "core/core.h"
#include "core/shard.h"
#include "ingredients/meter.h"

/** A matrix by rows: this rank's [rows, width], double or float, and a bound of each column. */
typedef struct csim__operand {
    int64_t width;
    const double *x; /* NULL when xf is given */
    const float *xf; /* the matrix times 2^−shift */
    int shift;       /* 0 with x */
    const double
        *norm; /* [width] at least the Euclidean norms of the columns, the same on all ranks */
    unsigned passing; /* x or xf are rows of one chunk after the other, in this form (feed.h) and of
                       * this site of a list; 0: they are all there */
    int site;
} csim__operand;

/** One product: out = leftᵀ right on its owner. left == right: only one triangle is computed. */
typedef struct csim__product {
    const csim__operand *left, *right;
    int owner;
    double *out; /* [left.width, right.width] on the owner, NULL elsewhere */
} csim__product;

/** Scale factors of the columns of both sides, for rows as they are stored. Local.
 *  @param[out] factor  [2][wl and wr] */
void csim__product_factors(const csim__product *product, double *const factor[2]);

/** Add a chunk of this rank to a product, as integers. Local.
 *  @param[in]     chunk   counted from the first of this rank
 *  @param[in,out] part    [wl, wr] scratch
 *  @param[in]     factor  of the columns
 *  @param[in,out] acc     [wl, wr] */
void csim__product_add(csim_context *ctx, const csim_shard *shard, const csim__product *product,
                       int64_t chunk, void *part, double *const factor[2], int64_t *acc);

/** Turn the sum of a product into numbers, on its owner. Local.
 *  @param[in]  acc     [wl, wr], may be product->out
 *  @param[out] factor  [2][wl and wr] scratch */
void csim__product_value(const csim__product *product, const int64_t *acc,
                         double *const factor[2]);

/** Compute products over all examples by exact sums: one GEMM a chunk and product, the sum of one
 *  product over the ranks under way while the next is computed. Collective.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank
 *  @note   2·n·wl·wr/P flops each; two blocks of integers and one partial of the largest product;
 *          each product is one reduction of 8·wl·wr bytes */
csim_status csim__cross_pass(csim_context *ctx, const csim_shard *shard,
                             const csim__product *products, int64_t count, csim__meter *meter);

#endif
