/* The machine and the libraries of this process: BLAS threads, cores, versions. */
#ifndef CSIM_APP_MACHINE_H
#define CSIM_APP_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "contrasim/context.h"

/** Tell whichever BLAS is linked to use @p threads threads in this process. Local.
 *  @return 1 if a BLAS that can be told was found */
int csim__set_blas_threads(int threads);

/** The most crowded node: threads that its ranks want, cores that they may run on together, 0 where
 *  that is not known. Collective. @return CSIM_OK, CSIM_E_MPI */
csim_status csim__survey_nodes(csim_context *ctx, int threads, int64_t *wanted, int64_t *cores);

/** Warn where the ranks of a node times @p threads exceed the cores that they may run on, and
 *  where SLURM started several tasks that do not know of each other. Collective.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI */
csim_status csim__check_machine(csim_context *ctx, int threads);

/** Memory that each rank may take where the user sets no limit: 80 % of what the machine has left,
 *  the control group allows or SLURM gives, whichever is least, shared by the ranks of the node.
 *  Collective. The same on every rank; 0 where nothing is known.
 *  @return CSIM_OK, CSIM_E_MPI */
csim_status csim__default_memory(csim_context *ctx, int64_t *bytes);

/** What each of so many ranks of a node with that much memory may take. Local. */
int64_t csim__rank_share(int64_t bytes, int64_t ranks);

/** Memory of this process as the system counts it, now or at its highest; 0 where that is not known.
 *  Local. */
int64_t csim__resident_bytes(bool highest);

/** Print the versions of the libraries that are linked, one a line. Local. */
void csim__print_libraries(FILE *out);

#endif
