/* The wish of the user or the batch system that the program stops and saves. */
#ifndef CSIM_APP_STOP_H
#define CSIM_APP_STOP_H

/** From now on SIGTERM, SIGUSR1, SIGUSR2 and SIGINT are wishes to stop; the second SIGINT ends the
 *  program as usual. Local. */
void csim__stop_listen(void);

/** Did such a signal come to this process? For csim_train_run.stop. Local. */
int csim__stop_asked(void *unused);

#endif
