/** @file knn.h  Exact lists of nearest neighbours, as a file. */
#ifndef CONTRASIM_KNN_H
#define CONTRASIM_KNN_H

#include "contrasim/measure.h"
#include "contrasim/options.h"
#include "contrasim/reps.h"
#include "contrasim/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Options of a search; `csim_knn_option_table` describes them. */
typedef struct csim_knn_options {
    double k;   /**< neighbours of each example, or below 1 a share of the examples */
    int metric; /**< csim_metric */
} csim_knn_options;

extern const csim_option csim_knn_option_table[];

/** Where the lists go. All borrowed. */
typedef struct csim_knn_output {
    const char *path;
    int overwrite;             /**< replace an existing file */
    const char *configuration; /**< text of a run file; NULL = none */
    const char *command;       /**< for the history */
    int64_t start;             /**< seconds since 1970, when the run began */
} csim_knn_output;

/** Find the nearest neighbours of every example in every layer of some sets, and write them to a
 *  netCDF-4 file. Ranks search together, layer after layer, and each writes the lists of its
 *  examples. Neighbours come in the order (distance, index), an example is not among its own; equal
 *  rows tie exactly. The file is the same for every number of ranks but for what it says of the run.
 *  An existing file stays whole whatever fails. Collective.
 *  @param[in] sets  opened sets of the same examples
 *  @param[in] nan_drop_rows  leave out examples with NaN or Inf, else they are an error
 *  @param[in] progress  NULL = none
 *  @return CSIM_OK, CSIM_E_USAGE (k), CSIM_E_SHAPE (sets of different examples), CSIM_E_DATA (NaN,
 *          fewer than 4 examples, values too large or too small for sums of squares), CSIM_E_EXISTS,
 *          CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank
 *  @note   n²·D/P flops a layer; memory: the rows of one layer twice, and 28·n·k/P bytes */
csim_status csim_knn(csim_context *ctx, csim_set *const *sets, int set_count,
                     const csim_knn_options *options, int nan_drop_rows,
                     const csim_knn_output *output, csim_progress_fn progress, void *progress_user);

#ifdef __cplusplus
}
#endif
#endif
