/* Fields of a results object, for the files of src/io that store and print it. */
#ifndef CSIM_RESULTS_PRIVATE_H
#define CSIM_RESULTS_PRIVATE_H

#include "contrasim/results.h"
#include "core/core.h"

/* Value of the file's attribute `format`: what tells a results file from other netCDF files. */
#define CSIM__RESULTS_FORMAT "contrasim-results-1"

/* Attributes in the order they were first set; everything owned, counted memory. */
typedef struct csim__attributes {
    csim_attribute *item;
    int count, capacity;
} csim__attributes;

typedef struct csim__variable {
    csim_result_variable about; /* strings and list owned */
    csim__attributes attributes;
    int64_t cells;        /* n_list * rows * cols */
    double *values;       /* [cells] */
    int8_t *state, *note; /* [cells], NULL for a companion */
} csim__variable;

struct csim_results {
    csim_context *ctx;
    csim_result_site *rows, *cols; /* strings owned */
    int64_t n_rows, n_cols;
    char **note; /* words without blanks */
    int n_notes;
    csim__variable *variable;
    int count, capacity;
    csim__attributes attributes;
};

/* Variables of the file for the medians of a site, without the side. */
typedef struct csim__median_variable {
    const char *name, *long_name;
} csim__median_variable;
extern const csim__median_variable csim__median_variables[2];

/* Is the rank of any site known, and its median of this kind? Local. */
bool csim__results_have_ranks(const csim_results *results);
bool csim__results_have_medians(const csim_results *results, int kind);

/* Remove variable v; the ones behind it move up. Local. */
void csim__results_drop(csim_results *results, int v);

void csim__attributes_drop(csim_context *ctx, csim__attributes *list, const char *name);
void csim__attributes_free(csim_context *ctx, csim__attributes *list);

/* The bytes of the file, made in memory, and a file's contents; they call netCDF
 * (netcdf_results.c). Local.
 * @param[in] path  of csim__results_store(): a temporary name; a file is put there and removed */
csim_status csim__results_store(csim_context *ctx, const csim_results *results, const char *path,
                                void **image, int64_t *bytes);
void csim__results_image_free(void **image);
csim_status csim__results_load(csim_context *ctx, const char *path, csim_results **results);

#endif
