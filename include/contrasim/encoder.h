/** @file encoder.h  Encoders: small networks trained to compare sites; the space they map rows to is
 *  itself a measure. */
#ifndef CONTRASIM_ENCODER_H
#define CONTRASIM_ENCODER_H

#include <stdint.h>

#include "contrasim/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What stands between two linear layers of an encoder. */
typedef enum csim_activation {
    CSIM_RELU, /**< max(x, 0) */
    CSIM_GELU  /**< x·Φ(x), Φ the normal distribution function */
} csim_activation;

/** An encoder with one or more sets of parameters, from trainings with different seeds. Opaque. */
typedef struct csim_encoder csim_encoder;

/** Read an encoder from the checkpoint that training wrote. Collective.
 *  @param[out] encoder  new; free with csim_encoder_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT (no checkpoint, damaged, of another version),
 *          CSIM_E_MEM; the same on every rank */
csim_status csim_encoder_read(csim_context *ctx, const char *path, csim_encoder **encoder);

/** Free an encoder and set the pointer to NULL. Local. Accepts NULL. */
void csim_encoder_free(csim_encoder **encoder);

/** The measure that the encoder defines: "contrasim", "deepdot", "deepcka" or "mscon". Local. */
const char *csim_encoder_measure(const csim_encoder *encoder);

/** The path it was read from. Local. */
const char *csim_encoder_path(const csim_encoder *encoder);

/** Checksum of its parameters and shape. Local. */
const char *csim_encoder_checksum(const csim_encoder *encoder);

/** Width of its output rows, and how many sets of parameters (inits) it has. Local. */
int csim_encoder_width(const csim_encoder *encoder);
int csim_encoder_inits(const csim_encoder *encoder);

/** Numbers in one set of parameters, heads included. Local. */
int64_t csim_encoder_parameters(const csim_encoder *encoder);

/** Bytes that csim_encoder_encode() takes for @p rows rows, beside its arguments. Local. */
int64_t csim_encoder_bytes(const csim_encoder *encoder, int64_t rows);

/** The input layer for sites of @p d neurons of the model @p model. Local.
 *  @param[out] input  its number
 *  @return CSIM_OK, CSIM_E_SHAPE with a message that names the widths (or models) there are */
csim_status csim_encoder_input(csim_context *ctx, const csim_encoder *encoder, int64_t d,
                               const char *model, int *input);

/** Encode rows. Local.
 *  @param[in]  init   which parameters, 0 … inits−1
 *  @param[in]  input  from csim_encoder_input()
 *  @param[in]  x      [rows, d], row-major
 *  @param[out] z      [rows, width] rows of length 1
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   2·rows·parameters flops in float32; the bits of a row may depend on @p rows */
csim_status csim_encoder_encode(csim_context *ctx, const csim_encoder *encoder, int init, int input,
                                int64_t rows, const float *x, float *z);

#ifdef __cplusplus
}
#endif
#endif
