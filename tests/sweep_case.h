/* Sweeps of matrices in memory, for tests: they are written as .npy files to a fresh folder under
 * TMPDIR and go through the public functions of the library, from opening the sets to the results.
 * Everything is collective on the context and takes the same arguments on every rank. */
#ifndef CSIM_TESTS_SWEEP_CASE_H
#define CSIM_TESTS_SWEEP_CASE_H

#include "harness.h"

#include "contrasim/sweep.h"
#include "reference.h"
#include "sweep/plan/forecast.h"

enum { CASE_SITES = 20, CASE_MEASURES = 64, CASE_PATH = 512 };

/** One matrix, x [n, d] row-major. Neighbours of one set name make a set, layers 00, 01, … */
typedef struct case_site {
    const char *set;
    const double *x;
    int n, d;
    int bytes; /* of a number in the file: 2, 4; 0: 8 */
} case_site;

typedef struct sweep_case {
    case_site site[CASE_SITES];
    int count;
    const char *measures;       /* joined by ','; NULL = the whole registry */
    const char *const *options; /* "--svcca.dims=3", …, NULL; NULL = defaults */
    const char *pairs;
    csim_precision precision;
    int drop_rows;
    double rank_floor;
    csim_progress_fn progress;
    void *progress_user;
    int64_t memory;
    int grid_rows, grid_cols; /* groups for pairs from grid_from on; 0: none */
    int64_t grid_from;
    int part, parts;
    csim_null null;
    int64_t permutations, null_seed, jackknife;
    const char *journal;
    int resume;
    int (*stop)(void *user);
    void *stop_user;
    int inits; /* of the encoders that a case makes for its learned measures; 0 = one */
    csim_encoder *const *encoders; /* these instead */
    int encoder_count;             /* 0: one for each learned measure; −1: none */
    csim__forecast *forecast;      /* filled instead of a sweep, on as many ranks as there are */
} sweep_case;

/** A case of two sets "a" and "b" with one site each. */
sweep_case case_pair(const double *x, const double *y, int n, int d, int e);

/** Add a site to a case. Local. */
void case_add(sweep_case *c, const char *set, const double *x, int n, int d);

/** Add sites of random numbers with a common part: the first @p first ones to set "a", the others to
 *  "b". They are the same on every rank and in every run; free them with case_unmix(). Local.
 *  @param[in] width  [most] neurons; 0 ends the list
 *  @param[in] giant  not 0: example 101 of the first two sites has 10 to this power times the norm */
void case_mix(sweep_case *c, int n, const int *width, int most, int first, int giant);
void case_unmix(sweep_case *c);

/** The matrix of a site that is the caller's to change. Local. */
double *case_values(const sweep_case *c, int i);

/** Variables in which two results are not the same bit by bit (values, states, notes), and one more if
 *  their checksums differ, which are of the sites, too. Prints them. Local. */
int case_differences(csim_results *a, csim_results *b, const char *what);

/** Write the files of a case. */
void case_write(csim_context *ctx, const sweep_case *c, char folder[CASE_PATH]);
/** Open the sets and sweep: what the library returns. */
csim_status case_sweep(csim_context *ctx, const sweep_case *c, const char *folder,
                       csim_results **results);
/** Remove the files. */
void case_remove(csim_context *ctx, const sweep_case *c, const char *folder);
/** All three. */
csim_status case_run(csim_context *ctx, const sweep_case *c, csim_results **results);
/** The results of a case that must succeed. */
csim_results *case_results(csim_context *ctx, const sweep_case *c);

/** Value, state and note of one cell. The measure must be there. */
double case_value(csim_results *r, const char *measure, int64_t i, int64_t j);
csim_cell case_cell(csim_results *r, const char *measure, int64_t i, int64_t j);
csim_note case_note(csim_results *r, const char *measure, int64_t i, int64_t j);

/** The reference value of a measure, computed on rank 0. */
double case_reference(csim_context *ctx, const char *measure, const case_site *x,
                      const case_site *y);

/** What is added to the tolerance of a measure of a pair: 0, or what float32 costs a learned one.
 *  Local. */
double case_float_error(const char *measure, const case_site *x, const case_site *y);

/** What errors are measured on: the square of a distance that ends in a root, the cosine of an
 *  angle, else the value itself. Local. */
double case_before_root(const char *measure, double value);
/** The scale of that number for a pair: 1 for what is normalised, else made of the norms. Local. */
double case_scale(const char *measure, const case_site *x, const case_site *y);

/** Print what is wrong (on rank 0) and count it, unless |got − expected| ≤ tolerance. */
void case_near(int *wrong, const char *what, const char *measure, double got, double expected,
               double tolerance);

/* The sweep ends with this status, no results, and a message with this part. */
void case_refuse(csim_context *ctx, const sweep_case *c, csim_status status, const char *part);

/* Run a case on the first 1, 2, … ranks of all; rank 0 compares. Returns differences, named by @p what. */
int case_over_ranks(const sweep_case *c, const char *what);

#endif
