/* Where log messages and progress go: stderr, as plain lines or as JSON lines. */
#ifndef CSIM_APP_LOGGER_H
#define CSIM_APP_LOGGER_H

#include "contrasim/context.h"

/** The log of this rank. */
typedef struct csim__logger {
    int rank, size;
    int json;              /* one JSON object a line */
    int live;              /* stderr is a terminal: progress rewrites one line */
    int shown;             /* characters of the live line now on the screen */
    double (*clock)(void); /* seconds; csim__now() but in tests */
    double start_s;        /* of the program */
    /* progress of the present work, which may go through phases in turn */
    double begin_s, last_s;    /* when it was first heard of; last line printed */
    double begin, done, total; /* amounts: when first heard of, by now, in all */
    double next;               /* fraction at which the next plain line is due */
} csim__logger;

/** Start the log of a rank. Local. */
void csim__logger_start(csim__logger *log, int rank, int size, int json);

/** Sink for csim_context_set_log(); user is a csim__logger. Local. */
void csim__logger_sink(void *user, csim_log_level level, const char *event, const char *text,
                       const csim_log_value *values, int count);

/** Sink for progress (csim_progress_fn): on a terminal a live line at most 5 times a second, else
 *  plain lines at 1, 2, 5, 10, 20, 50 and 100 % and at least every 10 minutes. Local.
 *  @param[in] user   a csim__logger
 *  @param[in] phase  what is being done
 *  @param[in] done   of @p total, in flops or bytes, over all phases of the work; less than before,
 *                    or another total, begins new work */
void csim__logger_progress(void *user, const char *phase, double done, double total);

/** Take the live line off the screen. Local. */
void csim__logger_clear(csim__logger *log);

#endif
