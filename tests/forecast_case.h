/* Problems whose sweeps are foretold, and what is asked of them. */
#ifndef FORECAST_CASE_H
#define FORECAST_CASE_H

#include "harness.h"

#include "sweep/plan/forecast.h"

enum { SITES = 8, MEASURES = 8 };

typedef struct problem {
    const char *name;
    int n, sites, width[SITES];
    const char *measures[MEASURES]; /* without options */
    csim_precision precision;
    const char *pairs;
    csim__route route; /* of all its pairs */
} problem;

/* One set whose layers are drawn at random; NULL values: a set of shapes. */
typedef struct input {
    csim_memory_site site[SITES];
    char name[SITES][8];
    double *x[SITES];
    csim_set *set;
    csim_sweep_measure measure[MEASURES];
    csim_sweep_options options;
} input;

void make_input(csim_context *ctx, const problem *p, bool values, input *in);
void free_input(input *in);

/** On so many ranks of one node, from files of floats. */
csim_status foretell(csim_context *ctx, input *in, int size, const csim__machine *machine,
                     csim__forecast *f);

/** But for rounding. */
void near(double got, double expected);
void same_forecast(const csim__forecast *a, const csim__forecast *b);

#endif
