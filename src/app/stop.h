/* The wish of the user or the batch system that the program stops and saves. */
#ifndef CSIM_APP_STOP_H
#define CSIM_APP_STOP_H

#include "contrasim/context.h"

/** From now on SIGTERM, SIGUSR1, SIGUSR2 and SIGINT are wishes to stop; the second SIGINT ends the
 *  program as usual. Local. */
void csim__stop_listen(void);

/** Also stop once @p walltime has passed, counted from now: minutes, M:SS, H:MM:SS, D-H, D-H:MM or
 *  D-H:MM:SS, as sbatch --time takes it. Local. CSIM_OK, CSIM_E_USAGE. */
csim_status csim__stop_after(csim_context *ctx, const char *walltime);

/** Did such a signal come to this process, or has its time passed? For csim_train_run.stop and
 *  csim_sweep_options.stop. Local. */
int csim__stop_asked(void *unused);

#endif
