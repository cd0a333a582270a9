/* One reader per file format behind one table of functions. Everything here is local. */
#ifndef CSIM_FORMAT_H
#define CSIM_FORMAT_H

#include "contrasim/reps.h"
#include "core/core.h"

enum { CSIM__MAX_DIMS = 8 };

/** One array of a file, as a header describes it (all fields checked against the file's size). */
typedef struct csim__array {
    char *path; /* file */
    char *name; /* name inside the file; of a lone .npy the stem of the file */
    csim_dtype dtype;
    int ndim;
    int64_t shape[CSIM__MAX_DIMS]; /* logical, row-major order */
    int64_t offset;                /* raw formats: byte of the first element; −1 = not raw */
    int swapped, fortran;          /* raw formats: big-endian; first index fastest */
    int64_t layer_index;           /* order in the set where the file gives one, else −1 */
    int companion;                 /* whole numbers of one dimension, read by read_ids() only */
} csim__array;

/** What is found in files: a growing list of arrays. */
typedef struct csim__catalog {
    csim__array *array;
    int64_t count, capacity;
} csim__catalog;

/** Append a copy of @p a (strings copied). CSIM_OK or CSIM_E_MEM. */
csim_status csim__catalog_add(csim_context *ctx, csim__catalog *catalog, const csim__array *a);
void csim__catalog_free(csim_context *ctx, csim__catalog *catalog);

/** The reader of a file format. */
typedef struct csim__reader {
    const char *name;
    /* Does the file look like this format? head = its first len ≤ 64 bytes. */
    int (*probe)(const unsigned char *head, size_t len);
    /* Add the arrays of the file to the catalogue. Untrusted input. CSIM_E_DATA: a sound file, but
     * without anything to compare; in a folder it is left out with a warning. */
    csim_status (*scan)(csim_context *ctx, const char *path, csim__catalog *catalog);
    /* Open for reading; *handle is the format's own. */
    csim_status (*open)(csim_context *ctx, const char *path, void **handle);
    void (*close)(csim_context *ctx, void **handle);
    /* Read the hyperslab start[ndim], count[ndim] of an array as doubles, row-major. */
    csim_status (*read)(csim_context *ctx, void *handle, const csim__array *a, const int64_t *start,
                        const int64_t *count, double *out);
    /* Read integers [start, start+count) of the one-dimensional array `name` (example_id, labels);
     * *has = 0 if the file has none. A file that is one array has no names: there it is read. */
    csim_status (*read_ids)(csim_context *ctx, void *handle, const char *name, int64_t start,
                            int64_t count, int64_t *out, int *has);
    /* Name of the i-th array that by its name accompanies the examples, new; NULL behind the last.
     * NULL: the format has no such arrays. */
    csim_status (*list)(csim_context *ctx, void *handle, int64_t i, char **name);
    /* Read all of an array and compare it with its checksum. NULL: the format has none. */
    csim_status (*check)(csim_context *ctx, void *handle, const csim__array *a);
    /* The descriptor of the file in which arrays with an offset lie as they are. NULL: they do in
     * none. */
    int (*descriptor)(const void *handle);
} csim__reader;

extern const csim__reader csim__format_npy, csim__format_npz, csim__format_safetensors,
    csim__format_netcdf;

/** The format of a file by its first bytes, NULL if none fits. */
const csim__reader *csim__format_of(const unsigned char *head, size_t len);

/** Is an array of that name expected beside the sites: example_id, group, label_…? */
int csim__is_annotation(const char *name);

/** Refuse a file whose example_id is not what ids are made of: CSIM_E_FORMAT.
 *  @param[in] found  what it is instead */
csim_status csim__refuse_ids(csim_context *ctx, const char *path, const char *found);

/** Convert n packed little-endian (or swapped) elements to double. */
void csim__convert(csim_dtype dtype, int swapped, const void *in, int64_t n, double *out);

#endif
