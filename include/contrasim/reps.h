/** @file reps.h  Representations: sets of sites, read from files by rows.
 *
 *  A *site* is one layer of one model, an N×D matrix whose row i belongs to example i. A *set* is
 *  one model's sites over the same N examples: a file, a folder or a glob. */
#ifndef CONTRASIM_REPS_H
#define CONTRASIM_REPS_H

#include <stdint.h>

#include "contrasim/context.h"
#include "contrasim/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Element types of input files. */
typedef enum csim_dtype { CSIM_F64, CSIM_F32, CSIM_F16, CSIM_BF16 } csim_dtype;

/** Name of an element type: "float64", "float32", "float16", "bfloat16". Local. */
const char *csim_dtype_name(csim_dtype dtype);

/** How arrays of more than two dimensions become N×D. */
typedef enum csim_pool {
    CSIM_POOL_NONE, /**< more than two dimensions are an error */
    CSIM_POOL_MEAN,
    CSIM_POOL_MAX,
    CSIM_POOL_FLATTEN,
    CSIM_POOL_FIRST,
    CSIM_POOL_LAST
} csim_pool;

/** What the axes of a three-dimensional .npy mean. */
typedef enum csim_axis { CSIM_AXIS_NONE, CSIM_AXIS_NLD, CSIM_AXIS_LND } csim_axis;

/** Options of reading; `csim_input_option_table` describes them. */
typedef struct csim_input_options {
    csim_texts layers;    /**< "LIST" for all sets or "SET:LIST"; names, indices (negative from the
                               end), half-open ranges a:b, globs; joined by ',' */
    const char *examples; /**< "a:b", half-open, either end may be missing; NULL = all */
    int pool;             /**< csim_pool */
    int axis;             /**< csim_axis */
    int64_t neuron_axis;  /**< axis of the neurons; −1 = last, or 1 of four-dimensional arrays */
    int concat_rows;      /**< join same-named sites of several files by rows */
    int nan_drop_rows; /**< 1: drop examples with NaN or Inf on all sides; 0: they are an error */
} csim_input_options;

extern const csim_option csim_input_option_table[];

/** A site as the set describes it. Strings are borrowed from the set. */
typedef struct csim_site_info {
    const char *name;  /**< layer name */
    const char *file;  /**< file of its (first) rows */
    const char *shape; /**< shape as stored, for people: "512x64", "512x64x7x7" */
    csim_dtype dtype;
    int64_t n, d; /**< examples (after --examples) and neurons (after pooling) */
} csim_site_info;

typedef struct csim_set csim_set;

/** Describe a set: rank 0 reads headers, all ranks get the result. Collective. Arrays of formats with
 *  checksums (.npz) are read once and compared, each by one rank.
 *  @param[in]  spec  "path" or "name=path"; path = file, folder, or glob
 *  @param[out] set   new; free with csim_set_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_SHAPE, CSIM_E_DATA, CSIM_E_MEM */
csim_status csim_set_open(csim_context *ctx, const char *spec, const csim_input_options *options,
                          csim_set **set);

/** A site in memory. Everything is borrowed until the set is freed. */
typedef struct csim_memory_site {
    const char *name; /**< layer name, copied */
    csim_dtype dtype; /**< CSIM_F64 (double) or CSIM_F32 (float) */
    int64_t d;        /**< neurons */
    const void *rows; /**< [n, d] row-major, all n rows on every rank, the same everywhere */
} csim_memory_site;

/** Make a set of matrices that the caller holds; it serves wherever an opened set does. Local.
 *  @param[in]  n      examples of every site, ≥ 1
 *  @param[in]  sites  [count] with distinct names
 *  @param[out] set    new; free with csim_set_free() before the rows; NULL on error
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_MEM
 *  @note   no copy of the rows is made */
csim_status csim_set_from_memory(csim_context *ctx, const char *name, int64_t n,
                                 const csim_memory_site *sites, int count, csim_set **set);

/** Close its files and free a set; sets the pointer to NULL, accepts NULL. Local. */
void csim_set_free(csim_set **set);

/** Name of the set (its `name=`, else the stem of its path), its path, and its format. Local. */
const char *csim_set_name(const csim_set *set);
const char *csim_set_path(const csim_set *set);
const char *csim_set_format(const csim_set *set);

/** Number of sites, site @p i, and number of examples of every site. Local. */
int csim_set_site_count(const csim_set *set);
const csim_site_info *csim_set_site(const csim_set *set, int i);
int64_t csim_set_examples(const csim_set *set);

/** Number of examples in the files, before `examples` and dropped rows. Local. */
int64_t csim_set_stored_examples(const csim_set *set);

/** Number of the set's files; path of file @p i, NULL if there is none. Local. */
int csim_set_file_count(const csim_set *set);
const char *csim_set_file(const csim_set *set, int i);

/** The file that holds a row of a site, and the row's place in it, for messages. Local.
 *  @param[in]  row     in the present numbering
 *  @param[out] stored  row of the file's array, from 0
 *  @return path, borrowed; NULL if there is no such row */
const char *csim_set_locate(const csim_set *set, int site, int64_t row, int64_t *stored);

/** Read rows of one site, converted to double. Local: each rank reads what it needs.
 *  @param[in]  site   0 … csim_set_site_count()−1
 *  @param[in]  row0   first row, counted after `examples` and after dropped rows
 *  @param[out] out    [rows, d], row-major, the caller's
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_MEM. Does not look for NaN. */
csim_status csim_set_read(csim_set *set, int site, int64_t row0, int64_t rows, double *out);

/** Total bytes of the set's files, for progress and provenance. Local. */
int64_t csim_set_bytes(const csim_set *set);

/** Ids of examples [row0, row0+rows), when the set has them, in its files or in files of their own.
 *  Local.
 *  @param[out] ids  [rows], the caller's
 *  @param[out] has  1 if the set carries example_id, else 0 and ids untouched */
csim_status csim_set_example_ids(csim_set *set, int64_t row0, int64_t rows, int64_t *ids, int *has);

/** Labels of examples [row0, row0+rows): variable label_<label> of the set, below 0 = missing. Local.
 *  @param[out] values  [rows], the caller's
 *  @return CSIM_OK, CSIM_E_DATA (the set has no such variable), CSIM_E_IO, CSIM_E_FORMAT,
 *          CSIM_E_MEM */
csim_status csim_set_labels(csim_set *set, const char *label, int64_t row0, int64_t rows,
                            int64_t *values);

/** Check that sets can be compared: distinct names, the same number of examples, example ids equal
 *  row by row where both carry them. Collective.
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_SHAPE, CSIM_E_DATA with a message that names files and rows */
csim_status csim_sets_match(csim_context *ctx, csim_set *const *sets, int count);

/** Leave out examples from now on (`--nan drop-rows`): rows in the present numbering, ascending,
 *  the same on every rank. Local.
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_MEM */
csim_status csim_set_drop_rows(csim_set *set, const int64_t *rows, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
