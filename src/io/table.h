/* Tables: named arrays over labelled dimensions in one netCDF-4 file that is whole or not there. A
 * table is a description; everything in it is borrowed. */
#ifndef CSIM_TABLE_H
#define CSIM_TABLE_H

#include "core/core.h"

enum { CSIM__TABLE_NDIM = 3 };

/** A dimension; its coordinate variable holds 0 … size−1. */
typedef struct csim__table_dim {
    const char *name, *long_name;
    int64_t size; /* ≥ 1 */
} csim__table_dim;

/** An attribute: a text, or else one number, integer where `real` is 0. */
typedef struct csim__table_attribute {
    const char *name, *text;
    int64_t whole;
    double real;
    bool is_real;
} csim__table_attribute;

/** An array, row-major; exactly one of reals, integers and texts. */
typedef struct csim__table_variable {
    const char *name, *long_name, *units; /* units NULL: none, as of texts */
    int ndim;
    int dim[CSIM__TABLE_NDIM]; /* places in the table's list */
    const double *reals;
    const int64_t *integers;
    const char *const *texts;
    const char *coordinates;                /* names of labels joined by ' '; NULL = none */
    const csim__table_attribute *attribute; /* [attributes] */
    int attributes;
} csim__table_variable;

typedef struct csim__table {
    const csim__table_dim *dim;
    int dims;
    const csim__table_variable *variable;
    int variables;
    const csim__table_attribute *attribute; /* of the file */
    int attributes;
} csim__table;

/** Write a table: a temporary name in the same folder, fsync, rename. The attribute `checksum` is
 *  of dimensions and variables. Collective; rank 0 writes, the others may pass NULL.
 *  @param[in] overwrite  replace an existing file
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM; the same on every rank */
csim_status csim__table_write(csim_context *ctx, const csim__table *table, const char *path,
                              int overwrite);

/** Checksum of dimensions and variables: names and values by their bits. Local.
 *  @param[out] text  "xxh3_128:" and 32 hexadecimal digits, ends with 0 */
void csim__table_checksum(const csim__table *table, char text[48]);

/** The file of a table, made in memory (netcdf_table.c). Local.
 *  @param[in]  path   a temporary name; a file is put there and removed
 *  @param[out] image  free with csim__table_image_free() */
csim_status csim__table_store(csim_context *ctx, const csim__table *table, const char *path,
                              void **image, int64_t *bytes);
void csim__table_image_free(void **image);

#endif
