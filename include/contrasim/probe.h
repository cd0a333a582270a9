/** @file probe.h  Probes: what labels can be read from features that no longer change. */
#ifndef CONTRASIM_PROBE_H
#define CONTRASIM_PROBE_H

#include "contrasim/options.h"
#include "contrasim/reps.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Options of a probe; `csim_probe_option_table` describes them. */
typedef struct csim_probe_options {
    const char *notions;  /**< label variables joined by ',', without "label_"; NULL: those that the
                               encoders were trained on */
    const char *held_out; /**< further ones, which no encoder was trained on */
    double train;         /**< part of the examples that the probes learn from */
    int64_t seeds, seed;  /**< divisions of the examples, and the seed of the first */
    int64_t k;            /**< neighbours that vote */
    double l2;            /**< λ of the softmax regression */
} csim_probe_options;

extern const csim_option csim_probe_option_table[];

/** The probes. */
enum {
    CSIM_PROBE_SOFTMAX, /**< multinomial softmax regression */
    CSIM_PROBE_KNN,     /**< majority of the nearest neighbours by cosine */
    CSIM_PROBES
};

/** Features that were probed: a layer as it is, or as an encoder maps it. */
typedef struct csim_probe_features {
    char *layer, *name; /**< name: "raw", or the encoder's path */
    int64_t width;
    int inits; /**< sets of parameters of the encoder, 1 of raw features */
} csim_probe_features;

/** A notion of similarity as the examples have it. */
typedef struct csim_probe_notion {
    char *name;
    int64_t classes, labelled; /**< values that occur; examples that have one */
    double chance;             /**< share of the commonest value */
} csim_probe_notion;

/** Accuracies. `run` counts init by init, in each the seeds: runs = inits·seeds. */
typedef struct csim_probe_result {
    csim_context *ctx;
    int64_t examples, seeds, seed, k;
    int features, notions;
    csim_probe_features *feature; /**< [features] */
    csim_probe_notion *notion;    /**< [notions] */
    int8_t *trained;   /**< [features, notions] 1: the encoder was trained on the notion, 0: held
                            out, −1: no encoder */
    double **accuracy; /**< [features][notions, CSIM_PROBES, runs] */
} csim_probe_result;

/** Probe every layer of a set: its values, and the output of every encoder. Collective.
 *  Examples are divided by seed, the same way for all features and notions; without a label an
 *  example is left out for that notion. No result depends on the number of ranks.
 *  @param[in]  encoders  [count] paths of checkpoints; count may be 0
 *  @param[out] result    new, the same on every rank; free with csim_probe_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_DATA (no such labels, fewer than two classes, NaN), CSIM_E_SHAPE (an
 *          encoder has no input layer for a layer), CSIM_E_USAGE, CSIM_E_IO, CSIM_E_FORMAT,
 *          CSIM_E_LIMIT, CSIM_E_MEM
 *  @note   n examples, f features, K classes: softmax regression 4·n·f·K/P flops for each of some
 *          50 to 300 evaluations and a sum of f·K integers over the ranks; neighbours 2·n²·f/P
 *          flops. Memory per rank: n·f floats, n·f/P doubles, n integers a notion and seed */
csim_status csim_probe(csim_context *ctx, csim_set *set, const char *const *encoders, int count,
                       const csim_probe_options *options, csim_probe_result **result);

/** Mean and standard deviation (n−1) over the runs of one accuracy; one run: deviation 0. Local. */
void csim_probe_summary(const csim_probe_result *result, int feature, int notion, int probe,
                        double *mean, double *deviation);

/** Where a result comes from, for its file. All texts are borrowed. */
typedef struct csim_probe_origin {
    const char *command, *set; /**< the command line; the path of the set */
    const char *configuration; /**< options, a line each */
    int64_t start;             /**< seconds since 1970, when the run began */
} csim_probe_origin;

/** Write a result as netCDF: variables softmax and knn over (features, notion, run). Collective;
 *  rank 0 writes, an existing file stays whole whatever fails.
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM; the same on every rank */
csim_status csim_probe_write(const csim_probe_result *result, const csim_probe_origin *origin,
                             const char *path, int overwrite);

/** Free a result and set the pointer to NULL. Local. Accepts NULL. */
void csim_probe_free(csim_probe_result **result);

#ifdef __cplusplus
}
#endif
#endif
