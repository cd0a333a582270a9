/* The examples in another order: rows that all ranks hold parts of change places. */
#ifndef CSIM_ORDER_H
#define CSIM_ORDER_H

#include "core/core.h"
#include "core/shard.h"

/** A relabelling of the examples. */
typedef struct csim__order {
    int64_t n;
    int64_t *from, *to;     /* [n] row i is row from[i] of before, to[from[i]] = i */
    int64_t *pack, *unpack; /* [rows] this rank's rows as they are sent; where those that come go */
    int *sent, *sent_at, *got, *got_at; /* [ranks] rows */
} csim__order;

/** Relabelling @p draw of a seed, the same on every rank. Local; csim__order_clear(), also on error.
 *  CSIM_OK, CSIM_E_MEM. */
csim_status csim__order_make(csim_context *ctx, const csim_shard *shard, int64_t seed, int64_t draw,
                             csim__order *order);
void csim__order_clear(csim_context *ctx, csim__order *order);

/** Put the rows of all ranks in their new places. Collective.
 *  @param[in]  in   [rows, bytes] of this rank
 *  @param[out] out  [rows, bytes]; other memory
 *  @return CSIM_OK, CSIM_E_LIMIT, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   memory: all rows twice */
csim_status csim__order_rows(csim_context *ctx, const csim_shard *shard, const csim__order *order,
                             const void *in, int64_t bytes, void *out);

/** Bytes of an order on a rank; while rows of so many bytes change places. Pure. */
int64_t csim__order_bytes(const csim_shard *shard, int64_t row);

#endif
