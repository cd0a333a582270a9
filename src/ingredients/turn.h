/* Triangles of relabelled examples: A_ij becomes A_{from(i),from(j)}. */
#ifndef CSIM_TURN_H
#define CSIM_TURN_H

#include "ingredients/order.h"
#include "ingredients/triangles.h"

/** Where the entries of triangles go, the same for all sites. */
typedef struct csim__turn {
    int32_t *pack, *unpack; /* [length] entries as they are sent; where those that come go */
    double *leave, *come;   /* [length] on their way */
    int *sent, *sent_at, *got, *got_at; /* [ranks] entries */
} csim__turn;

/** Work it out for an order of the examples that are compared. Collective; csim__turn_clear(), also on
 *  error.
 *  @return CSIM_OK, CSIM_E_LIMIT (2³¹ entries of a rank), CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   memory: csim__turn_bytes() */
csim_status csim__turn_make(const csim__triangles *t, const csim__order *order, csim__turn *turn);
void csim__turn_clear(csim_context *ctx, csim__turn *turn);

/** Put entries, or ranks of entries, in their new places: out[length], other memory. Collective.
 *  CSIM_OK, CSIM_E_MPI; the same on every rank. @note each goes to another rank */
csim_status csim__turn_entries(const csim__triangles *t, const csim__turn *turn,
                               const double *value, double *out);

/** Bytes of it on a rank. Pure. */
int64_t csim__turn_bytes(const csim_shard *shard);

#endif
