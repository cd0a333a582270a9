/* The outcome of a benchmark, and the pieces of retrieval. */
#ifndef CSIM_BENCH_H
#define CSIM_BENCH_H

#include "contrasim/bench.h"
#include "core/core.h"

/* A measure as the outcome keeps it; texts owned. */
typedef struct csim__bench_measure {
    char *name, *doc, *cite;
    char *encoder, *encoder_sum; /* path and checksum, "" of a closed form */
    bool distance;
} csim__bench_measure;

/* All owned, counted memory. */
struct csim_bench {
    csim_context *ctx;
    csim_retrieval_options options;
    int64_t rows;      /* examples of every set */
    int64_t decisions; /* of each pair and layer */
    int measures, sets, pairs, layers;
    csim__bench_measure *measure;
    char **set, **path, **layer; /* [sets], [sets], [layers] */
    int64_t *bytes;              /* [sets] of the files */
    uint64_t *sum;               /* [sets, layers] of the values as read */
    int (*pair)[2];              /* [pairs] sets of query and candidates */
    double *accuracy;            /* [measures, pairs, layers] */
    int64_t *undefined[2];       /* [measures, pairs, layers] true values; candidates' values */
};

/** Make an outcome without values. Local. CSIM_OK, CSIM_E_MEM. */
csim_status csim__bench_make(csim_context *ctx, csim_set *const *sets, int set_count,
                             const csim_bench_measure *measures, int count,
                             const csim_retrieval_options *options, csim_bench **bench);

/** Name of a measure. Local. */
const char *csim__bench_name(const csim_bench_measure *measure);

/** Where candidates come from: "random" or "nearest". Local. */
const char *csim__bench_negatives(const csim_bench *bench);

/** Candidates that are hard to tell from the true rows: for each row of a layer the nearest others
 *  (Euclidean) that are not of its group and do not equal it. Collective.
 *  @param[in]  rows   [n, d] the same on every rank
 *  @param[in]  count  candidates of each row
 *  @param[out] out    [n, count] nearest first, the same on every rank; rows behind the last whole
 *                     group have none
 *  @return CSIM_OK, CSIM_E_DATA (a row has fewer; values too large), CSIM_E_MEM, CSIM_E_MPI; the same
 *          on every rank
 *  @note   n²d/P flops, again for longer lists where many rows are equal */
csim_status csim__bench_nearest(csim_context *ctx, const double *rows, int64_t n, int64_t d,
                                int64_t group, int64_t count, int32_t *out);

/** Does a closed-form measure take rows one by one, so that any number of them will do? Local. */
bool csim__bench_by_rows(const csim_measure *measure);

/** Draws candidates; nothing in it depends on measure, pair, layer or rank. */
typedef struct csim__draw {
    int64_t rows, group;
    uint64_t seed;
    int64_t *pool; /* [rows − group] 0, 1, …, as long as nothing is drawn */
    int64_t *swap; /* [group] */
} csim__draw;

csim_status csim__draw_make(csim_context *ctx, int64_t rows, int64_t group, int64_t seed,
                            csim__draw *draw);
void csim__draw_clear(csim_context *ctx, csim__draw *draw);

/** Candidate @p j of decision @p k, whose true rows are k·group … k·group+group−1: distinct other
 *  rows, every ordered choice as likely as any. Local, pure.
 *  @param[out] row  [group]
 *  @note   O(group), whatever the number of rows */
void csim__bench_candidate(const csim__draw *draw, int64_t k, int64_t j, int64_t *row);

/** What decisions of one pair of sets on one layer are made of. */
typedef struct csim__choice {
    int64_t width[2];
    double *rows[2]; /* [rows, width] of query and candidates; NULL if not needed */
    const float *const
        *code[2];        /* [measures] encoded rows, [inits, rows, out]; NULL unless learned */
    int64_t total;       /* rows of a set */
    const int32_t *near; /* [rows, candidates] the nearest of each row of the candidates' set; NULL:
                            candidates are drawn */
} csim__choice;

/** Working memory for decisions, on a context over this rank alone. */
typedef struct csim__judge csim__judge;

/** Make a judge. Local.
 *  @param[in] candidates  besides the true group
 *  @param[in] widest      neurons of any site
 *  @param[out] judge      new; free with csim__judge_free(); NULL on error */
csim_status csim__judge_make(csim_context *ctx, const csim_bench_measure *measures, int count,
                             const csim_retrieval_options *options, int64_t widest,
                             csim__judge **judge);
void csim__judge_free(csim_context *ctx, csim__judge **judge);

/** Values of all measures for decision @p k. Local.
 *  @param[out] value  [measures, candidates + 1] the true group first; NaN = undefined
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_DATA */
csim_status csim__judge_values(csim_context *ctx, csim__judge *judge, const csim__choice *choice,
                               const csim__draw *draw, int64_t k, double *value);

/** How a decision went: ties for the best, 1 without any; 0: wrong; −1: the true value is
 *  undefined. Local, pure.
 *  @param[in]  value      [count] the true one first
 *  @param[out] undefined  how many of the others */
int csim__bench_outcome(const double *value, int64_t count, bool distance, int64_t *undefined);

#endif
