/* `contrasim perf --scaling`: one sweep on more and more ranks of the same job. */
#ifndef CSIM_APP_PERF_SCALING_H
#define CSIM_APP_PERF_SCALING_H

#include "app/perf/perf.h"

enum { CSIM__PERF_TEAMS = 33 }; /* powers of two below 2³¹, and the whole job */

/** The first ranks of the job, as many as work together in a row of the report. */
typedef struct csim__perf_team {
    int ranks;
    csim_context *ctx;     /* NULL on ranks that are not of it */
    int64_t memory;        /* what each rank may take while the others wait, 0 = not known */
    int64_t wanted, cores; /* threads and cores of the most crowded node, as csim__survey_nodes() */
    double *peak;          /* [repeat] on rank 0: GEMM rate of the team in each round, flop/s */
} csim__perf_team;

/** One problem on one team. */
typedef struct csim__perf_point {
    int team;
    int64_t examples;
    csim_sweep_cost plan; /* where memory has no limit */
    csim__perf_run *run;  /* [repeat] on rank 0 */
} csim__perf_point;

/** Everything that was measured, whole on rank 0. A point may be of both series. */
typedef struct csim__perf_scaling {
    const csim__perf_options *options;
    int threads;
    csim__perf_team team[CSIM__PERF_TEAMS];
    int teams;
    csim__perf_point point[2 * CSIM__PERF_TEAMS];
    int points;
    int strong[CSIM__PERF_TEAMS], weak[CSIM__PERF_TEAMS]; /* [teams] points */
} csim__perf_scaling;

/** Options that belong to --scaling without it, or do not go with it. Local; a vote must follow.
 *  @return CSIM_OK, CSIM_E_USAGE */
csim_status csim__perf_scaling_check(const csim__app *app, const csim__perf_options *options);

/** Measure, print the report on rank 0, write the file for Extra-P. Collective.
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI, and as
 *          csim_sweep(); the same on every rank */
csim_status csim__perf_scale(csim__app *app, const csim__perf_options *options,
                             const csim_sweep_measure *measures, int measure_count);

/** Plan the sweep of so many examples, from shapes alone and without a limit of memory. Local, the
 *  same on every rank. @return as csim_sweep_plan() */
csim_status csim__perf_outline(csim_context *ctx, const csim__perf_options *options,
                               const csim_sweep_options *sweep, int64_t examples,
                               csim_sweep_cost *cost);

/** Examples with which every rank of every team has the work of one rank alone, its pairs going the
 *  same way to their values. One rank has options->examples, or as many fewer as keep the largest
 *  team on that way. Local, the same on every rank.
 *  @param[in]  ranks     [count] ascending, the first 1
 *  @param[out] examples  [count]; work is equal up to the share of one example
 *  @return CSIM_OK, CSIM_E_USAGE (there are no such numbers), as csim_sweep_plan() */
csim_status csim__perf_weak(csim_context *ctx, const csim__perf_options *options,
                            const csim_sweep_options *sweep, const int *ranks, int count,
                            int64_t *examples);

/** Names of the phases of all runs, in the order of their first use. Local, for rank 0.
 *  @param[out] name  [CSIM__PERF_PHASES] borrowed from the runs
 *  @return how many */
int csim__perf_phase_names(const csim__perf_scaling *scaling, const char **name);

/** A phase of a run, NULL if the run had none of that name. Local. */
const csim__perf_phase *csim__perf_phase_find(const csim__perf_run *run, const char *name);

/** Print the report to stdout. Local, for rank 0. @return CSIM_OK, CSIM_E_MEM */
csim_status csim__perf_scaling_print(csim_context *ctx, const csim__perf_scaling *scaling);

/** Write every time of every run for Extra-P: one JSON object a line, with parameters p (ranks) and
 *  n (examples). Each phase has a line for each point and round, 0 s where a run had no such phase,
 *  since Extra-P wants all call paths at all points. Local, for rank 0.
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__perf_extrap_write(csim_context *ctx, const csim__perf_scaling *scaling,
                                    const char *path, int overwrite);

#endif
