/* Cross products over the examples: AᵀB of two matrices whose rows are spread over the ranks. */
#ifndef CSIM_CROSS_H
#define CSIM_CROSS_H

#include "core/core.h"
#include "core/shard.h"
#include "ingredients/meter.h"
#include "linalg/dealt.h"

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

/** One product: out = leftᵀ right, whole on its owner or dealt over a group. left == right: only one
 *  triangle is computed, and it is whole. */
typedef struct csim__product {
    const csim__operand *left, *right;
    int owner;              /* or the leader of the group */
    double *out;            /* [left.width, right.width] on the owner, NULL elsewhere or if dealt */
    const csim__grid *grid; /* its shape, on all ranks; NULL: whole */
    csim__dealt *share;     /* of the ranks of the group, NULL on others; borrowed */
} csim__product;

/** Compute products over all examples by exact sums, a panel of rows of a product after the other:
 *  one GEMM a chunk and panel; the sum of one panel over the ranks is under way while the next is
 *  computed, and comes to the rank that has its numbers in the end. Collective.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank
 *  @note   2·n·wl·wr/P flops each; one partial and two blocks of integers of the largest panel; 8·wl·wr
 *          bytes of reductions each */
csim_status csim__cross_pass(csim_context *ctx, const csim_shard *shard,
                             const csim__product *products, int64_t count, csim__meter *meter);

/** Rows of a panel of a product [left, right]; from the widths alone, as the last bits depend on it.
 *  Local, pure. */
int64_t csim__cross_rows(int64_t left, int64_t right);

/** Panels of a product; the first of part @p part of @p parts of them, whose last part ends behind the
 *  last; numbers in the largest part. Local, pure. */
static inline int64_t csim__cross_panels(int64_t left, int64_t right)
{
    int64_t rows = csim__cross_rows(left, right);
    return left == 0 ? 0 : (left + rows - 1) / rows;
}

static inline int64_t csim__cross_part(int64_t panels, int part, int parts)
{
    return panels * part / parts;
}

static inline int64_t csim__cross_most(int64_t left, int64_t right, int parts)
{
    int64_t panels = (csim__cross_panels(left, right) + parts - 1) / parts;
    return csim__min64(left, panels * csim__cross_rows(left, right)) * right;
}

/** Numbers in a panel of a product. Local, pure. */
static inline int64_t csim__cross_panel(int64_t left, int64_t right)
{
    return csim__cross_rows(left, right) * right;
}

#endif
