/* Fields of a checkpoint, and the steps between it and the bytes of its file. */
#ifndef CSIM_CHECKPOINT_PRIVATE_H
#define CSIM_CHECKPOINT_PRIVATE_H

#include "io/checkpoint.h"

enum {
    CSIM__CHECKPOINT_NAME = 128,     /* bytes of a name, without its zero */
    CSIM__CHECKPOINT_TEXT = 1 << 28, /* bytes of a text, without its zero */
    CSIM__CHECKPOINT_COUNT = 1 << 12 /* attributes; fields */
};

typedef enum csim__value_kind { CSIM__TEXT, CSIM__WHOLE, CSIM__REAL } csim__value_kind;

/* An attribute; the member that `kind` names counts. */
typedef struct csim__value {
    const char *name;
    csim__value_kind kind;
    const char *text;
    int64_t whole;
    double real;
} csim__value;

/* All strings and data owned, counted memory; in the order in which they were added. */
struct csim__checkpoint {
    csim_context *ctx;
    char *path; /* the file it came from, NULL if none */
    csim__value *value;
    int values, value_room;
    csim__field *field;
    int fields, field_room;
};

/** Set an attribute of any kind; see csim__checkpoint_set_text(). Local. */
csim_status csim__checkpoint_set(csim__checkpoint *checkpoint, const csim__value *value);

/** Bytes of a field's data. Local. */
int64_t csim__field_bytes(const csim__field *field);

/** Everything but the data of the fields, packed: the same bytes on every machine. Local.
 *  @param[out] packed  new; free with csim__free() */
csim_status csim__checkpoint_pack(const csim__checkpoint *checkpoint, unsigned char **packed,
                                  int64_t *bytes);

/** Fill an empty checkpoint from what csim__checkpoint_pack() made; the data are zeros. Local.
 *  @return CSIM_OK, CSIM_E_INTERNAL (cut off), CSIM_E_ARG, CSIM_E_MEM */
csim_status csim__checkpoint_unpack(csim__checkpoint *checkpoint, const unsigned char *packed,
                                    int64_t bytes);

/** The seal of @p bytes bytes, as it follows them in the file. Local.
 *  @param[in] version  of the format */
void csim__checkpoint_seal(const void *image, int64_t bytes, int version, char seal[CSIM__SEAL]);

/** The file of a checkpoint, with its seal, made in memory (netcdf_checkpoint.c). Local.
 *  @param[in]  path   a temporary name; a file is put there and removed
 *  @param[out] image  free with csim__checkpoint_image_free()
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__checkpoint_store(const csim__checkpoint *checkpoint, const char *path,
                                   void **image, int64_t *bytes);
void csim__checkpoint_image_free(void **image);

/** Fill an empty checkpoint from the bytes of a netCDF file without the seal, which are untrusted;
 *  the seal was checked. Local.
 *  @return CSIM_OK, CSIM_E_FORMAT, CSIM_E_MEM; messages name checkpoint->path */
csim_status csim__checkpoint_load(csim__checkpoint *checkpoint, void *image, int64_t bytes);

#endif
