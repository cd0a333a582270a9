/** @file native.h  The native file: one set as netCDF-4, written in parallel; what a set holds. */
#ifndef CONTRASIM_NATIVE_H
#define CONTRASIM_NATIVE_H

#include "contrasim/reps.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How a native file is written. All texts may be NULL. */
typedef struct csim_native_options {
    const char *dataset; /**< name of the data; NULL: what the set's file says, if anything */
    const char *title;   /**< NULL: made from the set's name */
    const char *command; /**< for the attribute history */
    int overwrite;       /**< replace an existing file */
} csim_native_options;

/** Write a set as a native file: each rank writes its rows by chunks. The element type stays (what
 *  was averaged by pooling becomes float64); example_id, group and labels are taken along. An existing file stays whole whatever fails. Collective on the context.
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_ARG (names), CSIM_E_DATA (NaN or Inf), CSIM_E_IO,
 *          CSIM_E_FORMAT, CSIM_E_MEM; the same on every rank
 *  @note   memory: one chunk of the widest site, twice */
csim_status csim_native_write(csim_context *ctx, csim_set *set, const char *path,
                              const csim_native_options *options);

/** What the values of a site are like. */
typedef struct csim_site_summary {
    int64_t nans, infinities;
    int64_t first_row, first_column; /**< of the first value that is not finite; −1: all are */
    double min, max, mean;           /**< of the finite values; NaN when there are none */
    int64_t constant_columns;        /**< neurons with one and the same value for all examples */
} csim_site_summary;

/** Look at all values of a site. Collective; each rank reads its rows by chunks. The result does
 *  not depend on the number of ranks.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_MEM, CSIM_E_LIMIT; the same on every rank */
csim_status csim_set_summary(csim_context *ctx, csim_set *set, int site,
                             csim_site_summary *summary);

/** Leave out the examples with NaN or Inf on any site of any of the sets, which have the same
 *  examples. Collective.
 *  @param[out] dropped  how many
 *  @return as csim_set_summary() */
csim_status csim_sets_drop_bad_rows(csim_context *ctx, csim_set *const *sets, int count,
                                    int64_t *dropped);

#ifdef __cplusplus
}
#endif
#endif
