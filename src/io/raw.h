/* Arrays whose elements lie in a file as they are: hyperslabs by positioned reads. Local. */
#ifndef CSIM_RAW_H
#define CSIM_RAW_H

#include "io/format.h"

/** Where the bytes of an array come from: a file, or a member of an archive. Reads that ascend are
 *  cheap for every source. */
typedef struct csim__source {
    /* Read exactly `bytes` bytes at `offset` or fail with a message. */
    csim_status (*read)(csim_context *ctx, void *self, int64_t offset, int64_t bytes, void *out);
    void *self;
} csim__source;

/** An open regular file. */
typedef struct csim__raw {
    int fd;
    int64_t size; /* bytes when opened */
    char *path;
    csim__source source; /* reads this file */
} csim__raw;

/** Open a regular file for reading. CSIM_OK, CSIM_E_IO, CSIM_E_MEM; *raw is NULL on error. */
csim_status csim__raw_open(csim_context *ctx, const char *path, csim__raw **raw);
void csim__raw_close(csim_context *ctx, csim__raw **raw);

/** Read the hyperslab start[ndim], count[ndim] of @p a, row-major, as doubles. Element 0 of the
 *  array is at byte a->offset of the source.
 *  @note memory: csim__raw_buffer() of its bytes for numbers that lie one behind the other; 1 MiB, and
 *        512 KiB in Fortran order, for others */
csim_status csim__raw_read(csim_context *ctx, const csim__source *source, const csim__array *a,
                           const int64_t *start, const int64_t *count, double *out);

enum { CSIM__RAW_SCRATCH = 1 << 20 }; /* bytes read at once before they are converted */

/** Of what so many bytes of numbers of @p item bytes are converted from; doubles are read to where they
 *  belong. Pure. */
static inline int64_t csim__raw_buffer(int64_t bytes, int64_t item)
{
    return item == sizeof(double) ? 0 : csim__min64(CSIM__RAW_SCRATCH, bytes);
}

/** Read @p count packed integers of @p item bytes (1, 2, 4, 8; kind 'i', 'u' or 'b') at @p offset. */
csim_status csim__raw_integers(csim_context *ctx, const csim__source *source, int64_t offset,
                               char kind, int item, int swapped, int64_t count, int64_t *out);

/** Bytes of ndim extents of `bits` bits each, −1 on overflow or a fraction of a byte. A zero extent
 *  gives 0 whatever the others are. Extents are not negative. */
int64_t csim__extent_bytes(const int64_t *shape, int ndim, int bits);

/** Extents for people, "4000x768"; truncated to the buffer. */
void csim__shape_text(const int64_t *shape, int ndim, char *text, size_t size);

/** Size of an element in bytes. */
int csim__dtype_bytes(csim_dtype dtype);

#endif
