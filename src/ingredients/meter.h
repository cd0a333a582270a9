/* How far the work is, for the progress line. */
#ifndef CSIM_METER_H
#define CSIM_METER_H

#include "contrasim/sweep.h"

typedef struct csim__meter {
    csim_progress_fn fn; /* NULL on all ranks but 0 */
    void *user;
    double done, total; /* flops of all ranks; done is estimated from this rank's share */
    int size;
    const char *stage; /* what all work is called now, NULL: by its own name */
} csim__meter;

static inline void csim__meter_add(csim__meter *meter, const char *phase, double flops)
{
    meter->done += flops * meter->size;
    if (meter->fn == NULL) { return; }
    meter->fn(meter->user, meter->stage != NULL ? meter->stage : phase, meter->done, meter->total);
}

#endif
