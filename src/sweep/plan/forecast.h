/* What a sweep takes, foretold for any number of ranks: the plan of the sweep itself, its memory by
 * array, and its time. */
#ifndef CSIM_SWEEP_FORECAST_H
#define CSIM_SWEEP_FORECAST_H

#include "sweep/plan/cost.h"

/** Why groups of ranks are as they are: X(name, key in JSON and files, text for people). */
#define CSIM__WHY_LIST(X)                                                                          \
    X(ASKED, "asked", "as asked for")                                                              \
    X(SAVED, "saved", "as in the work that was saved")                                             \
    X(NONE, "none", "none would help much")                                                        \
    X(MEMORY, "memory", "chosen, since a pair is too large for one rank")                          \
    X(TIME, "time", "chosen, since the sweep gets much faster")

#define CSIM__WHY_ENUM(name, key, text) CSIM__WHY_##name,
typedef enum csim__why { CSIM__WHY_LIST(CSIM__WHY_ENUM) CSIM__WHY_COUNT } csim__why;
#undef CSIM__WHY_ENUM

const char *csim__why_key(csim__why why);
const char *csim__why_text(csim__why why);

/** Distances of all pairs of examples that are not stored, as those of two layers do not fit the memory
 *  limit: measures that need them are undefined. */
typedef struct csim__left_out {
    int no_room;   /* 0: none, 1: of all examples, 2: of samples too */
    int size;      /* ranks */
    int64_t roomy; /* bytes of a rank with which they fit; 0: not known */
} csim__left_out;

/** Is measure @p m of a sweep of @p n examples undefined for that? Local, pure. */
bool csim__is_left_out(const csim_sweep_options *options, int64_t n, int no_room, int m);

/** Which measures are, why, and what would do: for logs and plans; "" where none is. Local, pure. */
void csim__left_out_text(const csim_sweep_options *options, int64_t n, const csim__left_out *what,
                         char *text, size_t size);

/** Of all plans of a sweep: sums, or the plan that has most. */
typedef struct csim__forecast {
    int64_t n, chunk, chunks;
    int size, sites;
    int64_t plans; /* groups of sites that are held one after the other */
    bool streamed; /* rows are not held, but read again by chunks */
    csim__left_out left_out;
    int64_t rounds, passes; /* of pairs in which they are; over the rows in all of these */
    double loads;           /* how often a site is read, summed over the sites */
    int64_t pairs, selves, routes[4]; /* [csim__route] */
    int64_t decomposed, large;        /* pairs that are decomposed; of them by groups */
    csim__teams teams;                /* of these groups */
    csim__why why;
    int64_t round;                 /* pairs whose blocks an owner holds at once, at most */
    int64_t peak;                  /* bytes of the rank with most */
    csim__stage when;              /* of the peak */
    int rank;                      /* that has it */
    csim__room room;               /* its arrays */
    double beside;                 /* bytes of a rank beside: libraries, MPI, its copies of sums */
    double mean_peak;              /* bytes over all ranks, of each its peak */
    double mean[CSIM__ROOM_COUNT]; /* bytes of each array over all ranks */
    int idle_rows, idle_pairs;     /* ranks without examples; that own no pair */
    csim__idle_ranks without;      /* that have none of a round */
    double flops;
    csim__effort effort;
} csim__forecast;

/** Add one plan. Local, pure.
 *  @param[in,out] forecast  zeroed before the first
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   O(pairs + ranks·sites) */
csim_status csim__forecast_add(csim_context *ctx, const csim__problem *problem,
                               const csim__plan *plan, const csim__target *target,
                               csim__forecast *forecast);

/** Foretell a sweep on @p size ranks, whatever the number of ranks of the context. Local; the same
 *  on every rank. No values are read, so sets without any will do (io/shapes.h).
 *  @param[out] forecast  of size 0 on error, but where the memory limit is too small: then what
 *                        the sweep takes with rounds as short as they can be
 *  @return as csim_sweep_plan() */
csim_status csim__sweep_forecast(csim_context *ctx, csim_set *const *sets, int set_count,
                                 const csim_sweep_options *options, int size,
                                 const csim__target *target, csim__forecast *forecast);

#endif
