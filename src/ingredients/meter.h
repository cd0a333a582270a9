/* How far the work is, for the progress line, and whether it is to go on. */
#ifndef CSIM_METER_H
#define CSIM_METER_H

#include "contrasim/sweep.h"
#include "core/core.h"

typedef struct csim__meter {
    csim_progress_fn fn; /* NULL on all ranks but 0 */
    void *user;
    double done, total; /* flops of all ranks; done is estimated from this rank's share */
    int size;
    const char *stage; /* what all work is called now, NULL: by its own name */
    int (*stop)(
        void *user); /* asked in the midst of long work; NULL: it is not to be stopped there */
    void *stop_user;
} csim__meter;

static inline void csim__meter_add(csim__meter *meter, const char *phase, double flops)
{
    meter->done += flops * meter->size;
    if (meter->fn == NULL) { return; }
    meter->fn(meter->user, meter->stage != NULL ? meter->stage : phase, meter->done, meter->total);
}

/** End where some rank fails or is asked to stop. Collective.
 *  @return the worst of what the ranks have, or CSIM_E_STOPPED; the same on every rank */
static inline csim_status csim__meter_look(csim_context *ctx, const csim__meter *meter,
                                           csim_status mine)
{
    if (mine == CSIM_OK && meter->stop != NULL && meter->stop(meter->stop_user)) {
        mine = csim__fail(ctx, CSIM_E_STOPPED, "asked to stop");
    }
    return csim__vote(ctx, mine);
}

#endif
