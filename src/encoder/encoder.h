/* An encoder as training makes it and measures use it, and its place in a checkpoint. */
#ifndef CSIM_ENCODER_H
#define CSIM_ENCODER_H

#include "contrasim/encoder.h"
#include "encoder/net.h"
#include "io/checkpoint.h"

/** What an input layer is for: sites of one width, or of one model. */
typedef enum csim_input_layer { CSIM_INPUT_WIDTH, CSIM_INPUT_MODEL } csim_input_layer;

struct csim_encoder {
    csim_context *ctx;
    char *path, *measure;
    char checksum[CSIM__CHECKSUM];
    csim_input_layer input_layer;
    csim_activation activation;
    int inputs;
    int *width;   /* [inputs] */
    char **model; /* [inputs] whose input it is; "" by width */
    int hidden_count, *hidden;
    int heads, head_out;
    bool weights;
    csim__net net;
    int inits;
    float *params;   /* [inits, net.parameters] */
    int64_t content; /* bytes of all arrays of the checkpoint that it was read from, else 0 */
};

/** The same as csim_encoder_read(), unless that would take a rank above its limit of memory, 0 = none.
 *  Collective. */
csim_status csim__encoder_read(csim_context *ctx, const char *path, int64_t memory,
                               csim_encoder **encoder);

/** Bytes that a rank has while an encoder is read: rank 0 the file and its content, others the content
 *  and the parameters. Local, pure. */
int64_t csim__encoder_reading(const csim_encoder *encoder, int rank);

/** Lay out an encoder whose members from `measure` to `inits` are set, with room for the
 *  parameters, zeroed. Local. @return CSIM_OK, CSIM_E_ARG, CSIM_E_LIMIT, CSIM_E_MEM */
csim_status csim__encoder_layout(csim_encoder *encoder, int out);

/** The input layer, or −1. Local. */
int csim__encoder_find(const csim_encoder *encoder, int64_t d, const char *model);

/** Put shape and parameters into a checkpoint, and make an encoder from one. Local.
 *  @return CSIM_OK, CSIM_E_FORMAT, CSIM_E_ARG, CSIM_E_MEM */
csim_status csim__encoder_store(const csim_encoder *encoder, csim__checkpoint *checkpoint);
csim_status csim__encoder_load(csim_context *ctx, const csim__checkpoint *checkpoint,
                               const char *path, csim_encoder **encoder);

#endif
