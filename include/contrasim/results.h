/** @file results.h  Results: values of measures over pairs of sites, their file, their print.
 *
 *  A results object holds two lists of sites (rows: A, columns: B) and variables over all pairs of
 *  them. A measure has a status and a note beside every value; a companion of a measure (its
 *  p-value, its interval, …) has values only. Values start as NaN, statuses as *not requested*,
 *  notes as 0. */
#ifndef CONTRASIM_RESULTS_H
#define CONTRASIM_RESULTS_H

#include <stdint.h>

#include "contrasim/context.h"
#include "contrasim/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/** State of one cell: X(name, value, word in the file). */
#define CSIM_CELL_LIST(X)                                                                          \
    X(NOT_REQUESTED, 0, "not_requested")                                                           \
    X(PENDING, 1, "pending")                                                                       \
    X(DONE, 2, "done")                                                                             \
    X(UNDEFINED, 3, "undefined")                                                                   \
    X(FAILED, 4, "failed")

#define CSIM_CELL_ENUM(name, value, word) CSIM_CELL_##name = value,
typedef enum csim_cell { CSIM_CELL_LIST(CSIM_CELL_ENUM) CSIM_CELL_COUNT } csim_cell;
#undef CSIM_CELL_ENUM

/** Word of a cell state, for example "undefined". Local. Never NULL. */
const char *csim_cell_word(csim_cell cell);

/** One site of a results object. */
typedef struct csim_result_site {
    const char *model, *layer;
    int64_t neurons;
    int64_t rank; /**< directions above the variance floor; −1 = not computed */
    /** Of the distances of different examples, and of all entries of their matrix, its zero diagonal
     *  included, which kernels take their widths from; NaN = not computed. */
    double median[2];
} csim_result_site;

/** What a variable is; strings and list are copied. */
typedef struct csim_result_variable {
    const char *name;        /**< letters, digits, '_'; also its name in the file */
    const char *long_name;   /**< one sentence for people */
    const char *orientation; /**< "similarity" or "distance"; NULL = no such attribute */
    const char *citation;    /**< reference; NULL = none */
    double range[2];         /**< valid range, ends may be ±infinity; both 0 = not given */
    const char *parent;      /**< NULL: a measure; else the measure it is a companion of */
    const char *list_name;   /**< leading dimension, for example "nngs_k"; NULL = none */
    const double *list;      /**< [n_list] its coordinate values */
    int64_t n_list;
} csim_result_variable;

/** An attribute of the file or of a variable. Arrays are borrowed from the results object. */
typedef struct csim_attribute {
    const char *name;
    enum { CSIM_ATTRIBUTE_TEXT, CSIM_ATTRIBUTE_INT, CSIM_ATTRIBUTE_REAL } kind;
    int64_t count;           /**< of integers or reals; 1 for a text */
    const char *text;        /**< CSIM_ATTRIBUTE_TEXT */
    const int64_t *integers; /**< CSIM_ATTRIBUTE_INT */
    const double *reals;     /**< CSIM_ATTRIBUTE_REAL */
} csim_attribute;

typedef struct csim_results csim_results;

/** Make a results object; everything is copied. Local.
 *  @param[in]  rows,cols  sites of A [n_rows] and of B [n_cols], each ≥ 1
 *  @param[in]  notes      meanings of the note codes 0 … n_notes−1, at most 127; blanks become '_'
 *  @param[out] results    new; free with csim_results_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_MEM */
csim_status csim_results_create(csim_context *ctx, const csim_result_site *rows, int64_t n_rows,
                                const csim_result_site *cols, int64_t n_cols,
                                const char *const *notes, int n_notes, csim_results **results);

/** Free a results object and set the pointer to NULL. Local. Accepts NULL. */
void csim_results_free(csim_results **results);

/** Add a variable. Local.
 *  @return CSIM_OK, CSIM_E_ARG (a name taken or not allowed, a parent unknown), CSIM_E_MEM */
csim_status csim_results_add(csim_results *results, const csim_result_variable *variable);

/** Arrays of variable @p v to read or fill, [n_list, n_rows, n_cols] row-major (n_list = 1 without
 *  a list); statuses (csim_cell) and notes are NULL for a companion. All live as long as it. */
double *csim_results_values(csim_results *results, int v);
int8_t *csim_results_cells(csim_results *results, int v);
int8_t *csim_results_notes(csim_results *results, int v);

/** Number of variables, the index of the one called @p name (−1: none), and what it is. Local. */
int csim_results_count(const csim_results *results);
int csim_results_find(const csim_results *results, const char *name);
const csim_result_variable *csim_results_variable(const csim_results *results, int v);

/** Sites. Local. */
int64_t csim_results_rows(const csim_results *results);
int64_t csim_results_cols(const csim_results *results);
const csim_result_site *csim_results_row(const csim_results *results, int64_t i);
const csim_result_site *csim_results_col(const csim_results *results, int64_t j);

/** Meaning of a note code, "" if it has none. Local. */
const char *csim_results_note_word(const csim_results *results, int note);

/** Set an attribute of variable @p v, or of the file where v = −1; an equal name is replaced. What
 *  the object sets itself (Conventions, title, source, units, …) can be replaced too. Local.
 *  The names run_* and history are for what may differ between equal runs.
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_MEM */
csim_status csim_results_set_text(csim_results *results, int v, const char *name, const char *text);
csim_status csim_results_set_ints(csim_results *results, int v, const char *name,
                                  const int64_t *values, int64_t count);
csim_status csim_results_set_reals(csim_results *results, int v, const char *name,
                                   const double *values, int64_t count);

/** Attributes of variable @p v or of the file (v = −1): how many, the i-th, the one called @p name
 *  (NULL: none). Local. */
int csim_results_attribute_count(const csim_results *results, int v);
const csim_attribute *csim_results_attribute(const csim_results *results, int v, int i);
const csim_attribute *csim_results_attribute_find(const csim_results *results, int v,
                                                  const char *name);

/** Set where a result comes from: `history` (now and @p command, before older lines), `run_ranks`,
 *  `run_host`, `run_start`, `run_end` (now). Local.
 *  @param[in] start  seconds since 1970, when the run began */
csim_status csim_results_stamp(csim_context *ctx, csim_results *results, const char *command,
                               int64_t start);

/** Write the file: a temporary name in the same folder, read back and compared, fsync, rename. An
 *  existing file stays whole whatever fails. Collective on the context; rank 0 writes.
 *  @param[in] results    rank 0's counts, other ranks may give NULL
 *  @param[in] overwrite  replace an existing file
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM; the same on every rank */
csim_status csim_results_write(csim_context *ctx, const csim_results *results, const char *path,
                               int overwrite);

/** Read a results file and check that it is complete and its checksum right. Collective; rank 0
 *  reads and gets the object, other ranks get NULL.
 *  @param[out] results  new; free with csim_results_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_MEM; the same on every rank */
csim_status csim_results_read(csim_context *ctx, const char *path, csim_results **results);

/** Attribute of a part of a sweep: its number, from 1, and how many parts there are. */
#define CSIM_RESULTS_PART "part"

/** Join the parts of a sweep (csim_sweep_options.part) in the first of them. Local.
 *  @param[in,out] parts  [count] on success the first is what one sweep would have given, on error
 *                        perhaps half of that; the others stay as they are
 *  @param[in]     names  [count] of their files, for messages
 *  @return CSIM_OK, CSIM_E_ARG (no part), CSIM_E_DATA (a part is missing, there twice, or of another
 *          sweep) */
csim_status csim_results_merge(csim_results *const *parts, const char *const *names, int count);

/** Checksum of sites and variables, what the file's attribute `checksum` holds. Local.
 *  @param[out] text  "xxh3_128:" and 32 hexadecimal digits, ends with 0 */
void csim_results_checksum(const csim_results *results, char text[48]);

/** How to print results; `csim_print_option_table` describes it. */
typedef struct csim_print_options {
    int format;          /**< csim_print_format */
    csim_texts measures; /**< variables to print; none = all measures */
    const char *rows;    /**< models of the rows: names or globs joined by ','; NULL = all */
    const char *cols;    /**< models of the columns */
    int64_t digits;      /**< digits after the point in a table */
} csim_print_options;

typedef enum csim_print_format {
    CSIM_PRINT_TEXT, /**< one table a measure */
    CSIM_PRINT_CSV,  /**< one line a value */
    CSIM_PRINT_JSON  /**< everything, with attributes; NaN as null */
} csim_print_format;

extern const csim_option csim_print_option_table[];

/** Where printed text goes. Returns 0, or anything else when the text cannot be taken. */
typedef int (*csim_sink_fn)(void *user, const char *text, int64_t length);

/** Print results as text. Local.
 *  @return CSIM_OK, CSIM_E_ARG (a measure or model that is not there), CSIM_E_IO (the sink
 *          refused), CSIM_E_MEM */
csim_status csim_results_print(csim_context *ctx, const csim_results *results,
                               const csim_print_options *options, csim_sink_fn sink, void *user);

#ifdef __cplusplus
}
#endif
#endif
