/* The header of the .npy format, versions 1 to 3, from a file or a member of an archive. Local. */
#ifndef CSIM_NPY_H
#define CSIM_NPY_H

#include "io/raw.h"

/** A checked header: the data it promises are there. */
typedef struct csim__npy {
    char descr[32];       /* element type as written, "<f4" */
    char kind;            /* 'f', 'i', 'u', 'b', 'c', 'V', …; 'B' for bfloat16 */
    int item;             /* bytes of an element */
    int swapped, fortran; /* most significant byte first; first index fastest */
    int ndim;
    int64_t shape[CSIM__MAX_DIMS];
    int64_t data; /* byte of the first element in the source */
} csim__npy;

/** Read and check the header at the start of a source of @p size bytes. Untrusted input.
 *  @param[in] label  what messages call the source: "file a.npy"
 *  @return CSIM_OK, CSIM_E_FORMAT, CSIM_E_DATA (not an array of numbers), CSIM_E_IO, CSIM_E_MEM */
csim_status csim__npy_header(csim_context *ctx, const char *label, const csim__source *source,
                             int64_t size, csim__npy *npy);

/** Is it one of the integer types of which ids are made? */
int csim__npy_is_integer(const csim__npy *npy);

/** Describe as an array (path and name are left alone). CSIM_OK; CSIM_E_DATA when the elements are
 *  integers, texts and the like; CSIM_E_FORMAT when they are floats that cannot be read. */
csim_status csim__npy_array(csim_context *ctx, const char *label, const csim__npy *npy,
                            csim__array *a);

#endif
