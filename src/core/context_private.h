/* The context's fields, for src/core only. */
#ifndef CSIM_CONTEXT_PRIVATE_H
#define CSIM_CONTEXT_PRIVATE_H

#include "core/core.h"

enum { CSIM__MESSAGE = 1024, CSIM__PHASES = 64, CSIM__PHASE_NAME = 64, CSIM__PHASE_DEPTH = 16 };

typedef struct csim__phase {
    char name[CSIM__PHASE_NAME]; /* a copy: it may have come from another rank */
    int64_t calls;
    double seconds, flops, bytes;
} csim__phase;

struct csim_context {
    csim_context *parent; /* of a part: memory and phases are counted there, too; or NULL */
    MPI_Comm comm;
    int rank, size;

    char error[CSIM__MESSAGE];
    int error_kept;     /* a message waits for its vote */
    csim_status agreed; /* by the last vote */

    csim_log_level log_level;
    csim_log_fn log_fn;
    void *log_user;

    uint32_t fault_every;
    uint64_t fault_seed, votes;

    int64_t live, peak; /* counted bytes */

    double born;
    csim__phase phase[CSIM__PHASES];
    int phases;
    int open[CSIM__PHASE_DEPTH];
    double opened[CSIM__PHASE_DEPTH];
    int depth;
    csim_phase_report *report;
};

#endif
