/* Results that are there already: whose they are, and how they went. */
#ifndef CSIM_APP_SWEEP_FINISHED_H
#define CSIM_APP_SWEEP_FINISHED_H

#include "app/app.h"
#include "contrasim/sweep.h"

/** Count the cells of all measures by status. Local. Returns the number of measures. */
int csim__count_cells(csim_results *results, int64_t count[CSIM_CELL_COUNT]);

/** Was a finished file made with these options, by these encoders, from these values? Reads the sets.
 *  Collective.
 *  @param[in] results  of the file, on rank 0
 *  @return CSIM_OK, CSIM_E_DATA (names the difference), what csim_set_read() gives; the same on every
 *          rank */
csim_status csim__sweep_finished(csim__app *app, const char *path, const csim_sweep_options *sweep,
                                 csim_set *const *sets, int count, const csim_results *results);

#endif
