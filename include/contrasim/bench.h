/** @file bench.h  Benchmarks of measures: how often a measure finds what belongs together. */
#ifndef CONTRASIM_BENCH_H
#define CONTRASIM_BENCH_H

#include "contrasim/encoder.h"
#include "contrasim/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A measure of a benchmark: closed form, or what an encoder defines. All borrowed. */
typedef struct csim_bench_measure {
    const csim_measure *measure; /**< NULL where an encoder defines it */
    const void *options;         /**< of a closed-form measure; NULL if it has none */
    const csim_encoder *encoder;
} csim_bench_measure;

/** Candidates of retrieval: rows drawn at random; or candidate j has, of each true row, the j-th
 *  nearest row (Euclidean) of the same layer, but for rows of the true group and rows that equal it. */
typedef enum csim_negatives { CSIM_RANDOM, CSIM_NEAREST } csim_negatives;

/** Options of retrieval; `csim_retrieval_option_table` describes them. */
typedef struct csim_retrieval_options {
    int64_t group;      /**< consecutive rows of a decision; a remainder of the rows is left out */
    int64_t candidates; /**< others that the true group is held against */
    int negatives;      /**< csim_negatives: which others */
    int64_t seed;       /**< of the candidates, where they are drawn */
} csim_retrieval_options;

extern const csim_option csim_retrieval_option_table[];

/** The outcome of a benchmark. Opaque; the same on every rank. */
typedef struct csim_bench csim_bench;

/** Retrieval: for each group of rows of a set, find the same rows in another set. A decision is
 *  right when the measure of the query group and the true group is the best among that and the
 *  candidates, each of them rows drawn at random from all others of the second set, each row once, or
 *  the nearest ones (csim_negatives);
 *  a tie for the best counts 1/ties. Undefined values are the worst, and where the true one is
 *  undefined the decision is wrong. Every ordered pair of sets, layers paired by place. Collective.
 *  @param[in]  sets      opened sets over the same examples with as many layers each, two or more
 *  @param[in]  measures  [count] of different names
 *  @param[in]  nan_drop_rows  leave out examples with NaN or Inf, else they are an error
 *  @param[in]  progress  NULL = none
 *  @param[out] bench     new; free with csim_bench_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_ARG (a measure twice, or one that needs 4 rows for smaller groups),
 *          CSIM_E_SHAPE (too few rows, unequal layers, a width no encoder knows), CSIM_E_DATA,
 *          CSIM_E_IO, CSIM_E_MEM; the same on every rank
 *  @note   each decision is one rank's: about 2·(candidates+1)·group²·d flops for kernel measures;
 *          memory of every rank: all rows of one layer of two sets in double, and of each encoder
 *          the encoded rows of that layer of all sets */
csim_status csim_bench_retrieval(csim_context *ctx, csim_set *const *sets, int set_count,
                                 const csim_bench_measure *measures, int count,
                                 const csim_retrieval_options *options, int nan_drop_rows,
                                 csim_progress_fn progress, void *progress_user,
                                 csim_bench **bench);

/** Free it and set the pointer to NULL. Local. Accepts NULL. */
void csim_bench_free(csim_bench **bench);

/** Numbers of measures, of ordered pairs of sets, and of layers. Local. */
int csim_bench_measures(const csim_bench *bench);
int csim_bench_pairs(const csim_bench *bench);
int csim_bench_layers(const csim_bench *bench);

/** Name of measure @p m; the sets of pair @p p, which = 0: of the query, 1: of the candidates; and
 *  layer @p l by its name in the first set. Local. */
const char *csim_bench_measure_name(const csim_bench *bench, int m);
const char *csim_bench_set_name(const csim_bench *bench, int p, int which);
const char *csim_bench_layer_name(const csim_bench *bench, int l);

/** Decisions of each pair and layer, and the accuracy of guessing, 1/(candidates + 1). Local. */
int64_t csim_bench_decisions(const csim_bench *bench);
double csim_bench_chance(const csim_bench *bench);

/** Accuracy of one layer. Local. */
double csim_bench_accuracy(const csim_bench *bench, int m, int p, int l);

/** Decisions whose true value was undefined (which = 0), and undefined values of candidates
 *  (which = 1). Local. */
int64_t csim_bench_undefined(const csim_bench *bench, int m, int p, int l, int which);

/** Mean over layers of the accuracy, and its standard deviation: the root of the sum of squares
 *  over (layers − 1), NaN of one layer. Local. */
double csim_bench_mean(const csim_bench *bench, int m, int p);
double csim_bench_std(const csim_bench *bench, int m, int p);

/** Checksum of what the file will hold, but for where it comes from: 48 bytes. Local.
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim_bench_checksum(const csim_bench *bench, char text[48]);

/** Write the file. Collective on the context; rank 0 writes.
 *  @param[in] configuration  text of a run file; NULL = none
 *  @param[in] command        for the history
 *  @param[in] start          seconds since 1970, when the run began
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM; the same on every rank */
csim_status csim_bench_write(csim_context *ctx, const csim_bench *bench, const char *path,
                             int overwrite, const char *configuration, const char *command,
                             int64_t start);

/** Print as tables, CSV or JSON (csim_print_format). Local.
 *  @return CSIM_OK, CSIM_E_IO (the sink refused), CSIM_E_MEM */
csim_status csim_bench_print(csim_context *ctx, const csim_bench *bench, csim_print_format format,
                             csim_sink_fn sink, void *user);

#ifdef __cplusplus
}
#endif
#endif
