/* Sets in memory that see the same hidden numbers with noise, and retrieval from them. */
#ifndef CSIM_TESTS_BENCH_CASE_H
#define CSIM_TESTS_BENCH_CASE_H

#include "harness.h"

#include "bench/bench.h"
#include "encoder/encoder.h"

enum { BENCH_SETS = 3, BENCH_LAYERS = 2 };

typedef struct bench_case {
    int sets, layers, n;
    int d[BENCH_SETS][BENCH_LAYERS];
    double *x[BENCH_SETS][BENCH_LAYERS];
    csim_set *set[BENCH_SETS];
} bench_case;

/** Rows of set s are hidden·A + noise; without @p related only the noise. Free it with
 *  bench_case_free(). Local.
 *  @param[in] d  [sets, layers] neurons */
bench_case bench_case_make(int n, int sets, int layers, const int *d, int related, double noise);
void bench_case_free(bench_case *c);

/** An encoder with random parameters, the same on every rank. Local. */
csim_encoder *bench_case_encoder(csim_context *on, const char *measure, int width, int inits);

/** What the library returns; the same on all ranks. Collective. */
csim_status bench_case_run(csim_context *on, bench_case *c, const csim_bench_measure *m, int count,
                           csim_retrieval_options o, int drop, csim_bench **bench);

/** The result of a case that must succeed. Collective. */
csim_bench *bench_case_must(csim_context *ctx, bench_case *c, const csim_bench_measure *m,
                            int count, csim_retrieval_options o);

#endif
