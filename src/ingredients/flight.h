/* Sums of integers over all ranks that are under way while something else is computed. */
#ifndef CSIM_FLIGHT_H
#define CSIM_FLIGHT_H

#include "core/core.h"

/** A sum under way, in one or more reductions. */
typedef struct csim__flight {
    csim_context *ctx;
    int64_t *scratch; /* for what another rank gets the sum of */
    MPI_Request *request;
    int started; /* reductions that are not known to be over */
} csim__flight;

/** Room for a flight. Local.
 *  @param[in]  scratch  integers of scratch
 *  @param[in]  most     integers in the sums of one flight, at most
 *  @param[in]  parts    sums of one flight, at most
 *  @param[out] f        give back with csim__flight_clear(), also on error
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__flight_make(csim_context *ctx, int64_t scratch, int64_t most, int64_t parts,
                              csim__flight *f);

/** Local. Accepts what was zeroed; nothing may be under way. */
void csim__flight_clear(csim__flight *f);

/** Begin the sum of @p count integers; @p acc is left alone until the flight has landed, and has the
 *  sum on @p root then. A flight may take off with several sums, one after the other. By all ranks in
 *  the same order; does not wait.
 *  @return CSIM_OK, CSIM_E_MPI */
csim_status csim__flight_take_off(csim__flight *f, int64_t *acc, int64_t count, int root);

/** Let the message layer make progress. Local. */
void csim__flight_poll(csim__flight *f);

/** Wait for all sums of a flight. CSIM_OK, CSIM_E_MPI. */
csim_status csim__flight_land(csim__flight *f);

#endif
