/* What the files of `contrasim perf` share: synthetic sites, the machine's peak, one measured run,
 * and their report. */
#ifndef CSIM_APP_PERF_H
#define CSIM_APP_PERF_H

#include <jansson.h>

#include "app/app.h"
#include "contrasim/sweep.h"

enum { CSIM__PERF_PHASES = 64 };

/** What is run and how often. */
typedef struct csim__perf_options {
    int64_t examples, width, layers, repeat, gemm_size;
    int scaling, overwrite;
    const char *extrap; /* file, NULL = none */
    const char *measures, *pairs;
    int what, precision, compare, format;
    int item; /* csim_item, of training */
    int64_t batch, epochs;
    int calibrate;
    const char *calibration;
    void **measure_options; /* [csim_measure_count()] */
} csim__perf_options;

/** One phase of one run: the slowest rank's time, and the work of all. */
typedef struct csim__perf_phase {
    char name[32];
    int64_t calls;
    double seconds, flops;
} csim__perf_phase;

/** One sweep: times in seconds, each of the slowest rank; memory in bytes of the rank with most. */
typedef struct csim__perf_run {
    csim__perf_phase phase[CSIM__PERF_PHASES];
    int phases;
    double total;
    double pass, pass_flops; /* of the phases that multiply the examples (perf_sweep.c) */
    int64_t counted, resident;
} csim__perf_run;

/** All runs of one precision. */
typedef struct csim__perf_series {
    csim_precision precision;
    csim_sweep_cost cost;
    csim__perf_run *run; /* [repeat] */
} csim__perf_series;

/** Everything that was measured. peak[p] is the GEMM rate in flop/s of all ranks at the same time
 *  in precision p, 0 where that was not used. */
typedef struct csim__perf {
    const csim__perf_options *options;
    int ranks, threads;
    double peak[2];
    csim__perf_series series[2];
    int count;
} csim__perf;

/** Write the synthetic sites as .npy files of float32 into a new folder under $TMPDIR or /tmp. The
 *  values depend on layer, row and column alone. Collective.
 *  @param[out] folder  new text on every rank, NULL before the folder exists; it is to be given to
 *                      csim__perf_data_remove() also when this fails
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__perf_data_write(csim_context *ctx, const csim__perf_options *options,
                                  char **folder);

/** Remove the files and the folder, free its name and set it to NULL; accepts NULL. Rank 0 acts,
 *  all others only free: call it when no rank uses the files any more. Local. */
void csim__perf_data_remove(csim_context *ctx, const csim__perf_options *options, char **folder);

/** Sweep once with a context of its own, whose profile and memory are those of this sweep alone.
 *  Collective on @p comm, which may hold fewer ranks than the job; messages of failures go to
 *  app->ctx, whose ranks have not voted.
 *  @param[in]  examples  rows of the files, as csim_input_options has them; NULL = all
 *  @param[out] cost, run  what was planned and what was measured
 *  @return as csim_set_open() and csim_sweep(); the same on every rank of @p comm */
csim_status csim__perf_sweep(csim__app *app, MPI_Comm comm, const char *folder,
                             const char *examples, const csim_sweep_options *sweep,
                             csim_sweep_cost *cost, csim__perf_run *run);

/** Raise *rate to the rate in flop/s of one n×n GEMM on every rank at the same time, if that is
 *  higher. Collective. @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI */
csim_status csim__perf_peak(csim_context *ctx, int n, csim_precision precision, double *rate);

/** Median of values [count], which it sorts. Local. */
double csim__perf_median(double *values, int64_t count);

/** A number, null where it is not finite. Local. @return new reference, NULL without memory */
json_t *csim__perf_real(double value);

/** Print the report to stdout. Local, for rank 0. @return CSIM_OK, CSIM_E_MEM */
csim_status csim__perf_print(csim_context *ctx, const csim__perf *perf);

#endif
