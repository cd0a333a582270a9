/* Shared inside the library: votes, messages, log, counted memory, phases. Included everywhere. */
#ifndef CSIM_CORE_H
#define CSIM_CORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contrasim/context.h"

#if defined(__GNUC__)
#define CSIM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CSIM_PRINTF(f, a)
#endif

/** Leave through `done:` when a call fails. Only on an agreed status or a local one that a vote
 *  will follow; needs a local `csim_status st`. */
#define CSIM_TRY(call)                                                                             \
    do {                                                                                           \
        st = (call);                                                                               \
        if (st != CSIM_OK) { goto done; }                                                          \
    } while (0)

/** Record a message for this rank and return @p status. Local. The first failure since the last
 *  vote keeps its message. */
csim_status csim__fail(csim_context *ctx, csim_status status, const char *format, ...)
    CSIM_PRINTF(3, 4);

/** Agree on a status: every rank returns the worst of all, and gets the message of the lowest rank
 *  that has it. A fault point: see csim_context_set_faults(). Collective. */
csim_status csim__vote(csim_context *ctx, csim_status mine);

/** In debug builds check that @p value, such as a hash of arguments, is the same on every rank:
 *  CSIM_E_MISMATCH naming @p what if it is not. Collective there, nothing in release builds. */
csim_status csim__agree(csim_context *ctx, uint64_t value, const char *what);

/** A context for some of the ranks: those that give the same @p colour, in their order. Memory and
 *  phases of a part count for the whole as well; faults strike its votes, too, by a seed of its own.
 *  Collective.
 *  @param[in]  colour  which part, 0 or more; below 0: this rank is in none
 *  @param[out] part    new, to be freed before @p ctx; NULL for a rank that is in none, and on error
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank of @p ctx */
csim_status csim__context_split(csim_context *ctx, int colour, csim_context **part);

/** Forget the message of a failure that was handled. Local. */
void csim__forgive(csim_context *ctx);

/** Map a code of MPI to a status with a message. Local. @p what names the call. */
csim_status csim__mpi(csim_context *ctx, int code, const char *what);

/** Log from rank 0 (csim__log) or from every rank (csim__log_all). Local. */
void csim__log(csim_context *ctx, csim_log_level level, const char *format, ...) CSIM_PRINTF(3, 4);
void csim__log_all(csim_context *ctx, csim_log_level level, const char *format, ...)
    CSIM_PRINTF(3, 4);
/** The same from rank 0 with an event name and the numbers of the message, for programs that read
 *  the log. */
void csim__log_values(csim_context *ctx, csim_log_level level, const char *event,
                      const csim_log_value *values, int count, const char *format, ...)
    CSIM_PRINTF(6, 7);

/** Counted memory, 64-byte aligned. Local.
 *  @return CSIM_OK or CSIM_E_MEM (also when count · size overflows), with a message that names
 *          @p what; *out is NULL on error. count = 0 gives a valid pointer. */
csim_status csim__alloc(csim_context *ctx, int64_t count, size_t size, const char *what, void *out);
/** The same, zeroed. */
csim_status csim__calloc(csim_context *ctx, int64_t count, size_t size, const char *what,
                         void *out);
/** Change the size of a block from csim__alloc; *inout NULL is a first allocation. On error the
 *  block stays as it was. */
csim_status csim__realloc(csim_context *ctx, int64_t count, size_t size, const char *what,
                          void *inout);
/** A counted copy of a string. */
csim_status csim__strdup(csim_context *ctx, const char *text, char **out);
/** A counted, formatted string. */
csim_status csim__format(csim_context *ctx, char **out, const char *format, ...) CSIM_PRINTF(3, 4);
/** Free a block: takes the address of the pointer, sets it to NULL, accepts NULL in it. */
void csim__free(csim_context *ctx, void *inout);

/** Phases of the profile: nested or repeated begin/end pairs of one name add up. Local. */
void csim__phase_begin(csim_context *ctx, const char *name);
void csim__phase_end(csim_context *ctx, double flops, double bytes);

/** Seconds since an arbitrary start. Local. */
double csim__now(void);

/** Narrow a 64-bit size to the int that MPI and BLAS take. Local.
 *  @return CSIM_OK or CSIM_E_LIMIT with a message that names @p what */
csim_status csim__int(csim_context *ctx, int64_t value, const char *what, int *out);

static inline int64_t csim__min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t csim__max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
