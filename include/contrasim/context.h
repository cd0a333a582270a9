/** @file context.h  The context: communicator, last error, log, phase profile, counted memory. */
#ifndef CONTRASIM_CONTEXT_H
#define CONTRASIM_CONTEXT_H

#include <mpi.h>
#include <stdint.h>

#include "contrasim/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Everything a call needs to know about the parallel job; carried by every object. Opaque. */
typedef struct csim_context csim_context;

/** Levels of the log, most urgent first. A clean run prints nothing at CSIM_LOG_ERROR. */
typedef enum csim_log_level {
    CSIM_LOG_ERROR,
    CSIM_LOG_WARNING,
    CSIM_LOG_INFO,
    CSIM_LOG_DEBUG
} csim_log_level;

/** A number of a message, for programs that read the log. */
typedef struct csim_log_value {
    const char *name;
    double value;
} csim_log_value;

/** Where log messages go. Called on the ranks that log; the library itself never prints.
 *  @param[in] user    what csim_context_set_log() was given
 *  @param[in] event   what kind of message, "message", "progress", "phase", …; never NULL
 *  @param[in] text    one line without newline
 *  @param[in] values  [count] the numbers in it; NULL without any */
typedef void (*csim_log_fn)(void *user, csim_log_level level, const char *event, const char *text,
                            const csim_log_value *values, int count);

/** Make a context. Collective on @p comm, which is duplicated once and stays the caller's.
 *  @param[out] ctx  new context; free with csim_context_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim_context_create(MPI_Comm comm, csim_context **ctx);

/** Free a context and set the pointer to NULL. Collective. Accepts NULL. */
void csim_context_free(csim_context **ctx);

/** The context's own communicator (borrowed), this process's rank, and the number of ranks. Local. */
MPI_Comm csim_context_comm(const csim_context *ctx);
int csim_context_rank(const csim_context *ctx);
int csim_context_size(const csim_context *ctx);

/** Message of the last failure, "" if there was none; valid until the next failing call. Local. */
const char *csim_context_error(const csim_context *ctx);

/** Send log messages up to @p level to @p fn (NULL: nowhere, the default). Local. */
void csim_context_set_log(csim_context *ctx, csim_log_level level, csim_log_fn fn, void *user);

/** Inject faults: one vote point in @p every fails on one rank, chosen by @p seed; 0 = off (the
 *  default). Must be the same on every rank. For tests of error paths. Local. */
void csim_context_set_faults(csim_context *ctx, uint32_t every, uint64_t seed);

/** Counted memory of this rank: bytes now in use and their highest value so far. Local. */
int64_t csim_context_memory_live(const csim_context *ctx);
int64_t csim_context_memory_peak(const csim_context *ctx);

/** Profile of one phase, reduced over ranks. Times in seconds. */
typedef struct csim_phase_report {
    const char *name;            /**< borrowed from the context */
    int64_t calls;               /**< largest over ranks */
    double max_s, mean_s, ratio; /**< largest and mean time over ranks, largest / smallest */
    int max_rank;                /**< the rank with the largest time */
    double flops, bytes;         /**< sums over ranks */
    double percent;              /**< of the largest total time since the context was made */
} csim_phase_report;

/** Reduce the phase profile. Collective.
 *  @param[out] list   new array of @p count reports in the order of first use on rank 0, then those
 *                     that only other ranks have; valid until the context is freed or the next call
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim_context_profile(csim_context *ctx, const csim_phase_report **list, int *count);

#ifdef __cplusplus
}
#endif
#endif
