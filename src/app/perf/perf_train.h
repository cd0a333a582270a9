/* `contrasim perf train`: steps of training against what the machine can multiply. */
#ifndef CSIM_APP_PERF_TRAIN_H
#define CSIM_APP_PERF_TRAIN_H

#include "app/perf/perf.h"

/** Train on synthetic sites and print the report on rank 0. Collective.
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__perf_train(csim__app *app, const csim__perf_options *options);

#endif
