/* Checkpoints: named attributes and arrays in one netCDF-4 file that is whole or not there, with
 * the generation before beside it. What they mean is the caller's.
 *
 * The file holds no time, host, path or rank count: the same content is the same bytes. Two sums
 * guard it. Attribute `checksum` is of the content, for whoever has the values. Behind the end of
 * the HDF5 data, where its readers do not look, 64 bytes seal every byte before them: HDF5 can
 * crash over a damaged file, so nothing is given to it whose seal does not fit. */
#ifndef CSIM_CHECKPOINT_H
#define CSIM_CHECKPOINT_H

#include "core/core.h"

/** What the seal and attribute Conventions begin with; the version follows. */
#define CSIM__ENCODER_FORMAT "contrasim-encoder-"

enum {
    CSIM__ENCODER_VERSION = 1, /* of the files that are written and read */
    CSIM__SEAL = 64,           /* bytes of the seal */
    CSIM__CHECKSUM = 48        /* a checksum as text, with its zero */
};

/** Types of an array's elements. */
typedef enum csim__field_type { CSIM__FLOAT32, CSIM__FLOAT64, CSIM__INT64 } csim__field_type;

/** An array of a checkpoint, row-major. Dimensions of one name have one size in all fields. */
typedef struct csim__field {
    const char *name;
    csim__field_type type;
    int ndim; /* 1 to 3 */
    const char *dim[3];
    int64_t size[3];       /* 0 allowed: an array without elements */
    void *data;            /* [size[0], …] */
    const char *long_name; /* NULL in a description: the name */
} csim__field;

/** A checkpoint in memory. Opaque. */
typedef struct csim__checkpoint csim__checkpoint;

/** Make an empty checkpoint. Local.
 *  @param[out] checkpoint  new; free with csim__checkpoint_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__checkpoint_create(csim_context *ctx, csim__checkpoint **checkpoint);

/** Free a checkpoint and set the pointer to NULL. Local. Accepts NULL. */
void csim__checkpoint_free(csim_context *ctx, csim__checkpoint **checkpoint);

/** Set an attribute, or replace it. Local. Names here and below: a small letter, then letters,
 *  digits, '_', '-', '.', at most 128 bytes; `checksum` is taken.
 *  @param[in] text  copied; NULL counts as ""
 *  @return CSIM_OK, CSIM_E_ARG (name), CSIM_E_MEM; a failure changes nothing */
csim_status csim__checkpoint_set_text(csim__checkpoint *checkpoint, const char *name,
                                      const char *text);
csim_status csim__checkpoint_set_int(csim__checkpoint *checkpoint, const char *name, int64_t value);
csim_status csim__checkpoint_set_real(csim__checkpoint *checkpoint, const char *name, double value);

/** Get an attribute. Local; the message names the file that the checkpoint was read from.
 *  @param[out] value  a text is borrowed until the attribute is set again; untouched on error
 *  @return CSIM_OK, CSIM_E_FORMAT (missing, or of another type) */
csim_status csim__checkpoint_text(const csim__checkpoint *checkpoint, const char *name,
                                  const char **value);
csim_status csim__checkpoint_int(const csim__checkpoint *checkpoint, const char *name,
                                 int64_t *value);
csim_status csim__checkpoint_real(const csim__checkpoint *checkpoint, const char *name,
                                  double *value);

/** Is there an attribute of that name, of any type? Local. */
bool csim__checkpoint_has(const csim__checkpoint *checkpoint, const char *name);

/** Add an array. Local.
 *  @param[in] about  all of it copied, the data too; data NULL gives zeros, to be replaced through
 *                    csim__checkpoint_field()
 *  @return CSIM_OK, CSIM_E_ARG (names, sizes, more than 2^40 elements), CSIM_E_MEM; a failure
 *          changes nothing */
csim_status csim__checkpoint_add(csim__checkpoint *checkpoint, const csim__field *about);

/** The array of that name, NULL if there is none. Local. Valid until the next one is added; its
 *  data may be written to and stay where they are until the checkpoint is freed. */
const csim__field *csim__checkpoint_field(const csim__checkpoint *checkpoint, const char *name);

/** Bytes of all arrays. Local. */
int64_t csim__checkpoint_bytes(const csim__checkpoint *checkpoint);

/** The data of an array that must be there with this type and shape. Local.
 *  @param[in]  size  [ndim]; −1 = any, see csim__checkpoint_field() for what it is
 *  @param[out] data  borrowed from the checkpoint; NULL on error
 *  @return CSIM_OK, CSIM_E_FORMAT with a message that says what was found and expected */
csim_status csim__checkpoint_take(const csim__checkpoint *checkpoint, const char *name,
                                  csim__field_type type, int ndim, const int64_t *size,
                                  const void **data);

/** Checksum of the content, "xxh3_128:" and 32 digits: names, types, sizes, values by their bits
 *  and order, on every machine the same. Local. The bytes of the fields are read once. */
csim_status csim__checkpoint_checksum(const csim__checkpoint *checkpoint,
                                      char text[CSIM__CHECKSUM]);

/** Write a checkpoint. Collective; rank 0 writes, the others may pass NULL.
 *  The file is made under a temporary name, flushed and read back; then it takes the place of
 *  @p path in one step and what was there becomes PATH.prev. From the first success on, PATH or
 *  PATH.prev is whole at every moment, and a failure leaves both as they were, unless it comes
 *  when both have their names (flushing the folder). Where the file system has no hard links, PATH
 *  is missing for a moment and PATH.prev is whole. A symbolic link stays: PATH is its target.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_ARG, CSIM_E_MEM; the same on every rank
 *  @note   rank 0 holds the file's bytes twice and one more copy of the content meanwhile */
csim_status csim__checkpoint_write(csim_context *ctx, const csim__checkpoint *checkpoint,
                                   const char *path);

/** Read a checkpoint. Collective; rank 0 reads and verifies, then every rank gets a copy.
 *  @param[out] checkpoint  new on every rank; free with csim__checkpoint_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_IO (cannot be read), CSIM_E_FORMAT (no encoder checkpoint, of another
 *          version, damaged), CSIM_E_MEM; the same on every rank
 *  @note   one broadcast of the content; rank 0 holds the file's bytes too while it reads */
csim_status csim__checkpoint_read(csim_context *ctx, const char *path,
                                  csim__checkpoint **checkpoint);

/** The same, unless with that rank 0 would have more than @p limit bytes of memory, 0 = none: CSIM_E_MEM,
 *  with a message that says what it takes. */
csim_status csim__checkpoint_read_within(csim_context *ctx, const char *path, int64_t limit,
                                         csim__checkpoint **checkpoint);

#endif
