#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "encoder/encoder.h"

void csim_encoder_free(csim_encoder **encoder)
{
    csim_encoder *e = *encoder;
    *encoder = NULL;
    if (e == NULL) { return; }
    csim_context *ctx = e->ctx;
    for (int i = 0; e->model != NULL && i < e->inputs; i++) { csim__free(ctx, &e->model[i]); }
    csim__net_clear(ctx, &e->net);
    csim__free(ctx, &e->params);
    csim__free(ctx, &e->hidden);
    csim__free(ctx, &e->model);
    csim__free(ctx, &e->width);
    csim__free(ctx, &e->measure);
    csim__free(ctx, &e->path);
    csim__free(ctx, &e);
}

const char *csim_encoder_measure(const csim_encoder *encoder)
{
    return encoder->measure;
}

const char *csim_encoder_path(const csim_encoder *encoder)
{
    return encoder->path;
}

const char *csim_encoder_checksum(const csim_encoder *encoder)
{
    return encoder->checksum;
}

int csim_encoder_width(const csim_encoder *encoder)
{
    return encoder->net.out;
}

int csim_encoder_inits(const csim_encoder *encoder)
{
    return encoder->inits;
}

int64_t csim_encoder_parameters(const csim_encoder *encoder)
{
    return encoder->net.parameters;
}

int64_t csim_encoder_bytes(const csim_encoder *encoder, int64_t rows)
{
    int64_t most = 0;
    for (int i = 0; i < encoder->inputs; i++) {
        const csim__chain *chain = &encoder->net.encoder[i];
        int64_t floats = csim__chain_scratch(chain) + rows;
        for (int l = 0; l < chain->depth - 1; l++) { floats += rows * chain->layer[l].out; }
        most = csim__max64(most, floats);
    }
    return most * (int64_t)sizeof(float);
}

csim_status csim__encoder_layout(csim_encoder *e, int out)
{
    csim__net_shape shape = {.inputs = e->inputs,
                             .width = e->width,
                             .hidden_count = e->hidden_count,
                             .hidden = e->hidden,
                             .out = out,
                             .activation = e->activation,
                             .heads = e->heads,
                             .head_out = e->head_out,
                             .weights = e->weights};
    csim_status st = csim__net_make(e->ctx, &shape, &e->net);
    if (st != CSIM_OK) { return st; }
    return csim__calloc(e->ctx, e->inits * e->net.parameters, sizeof *e->params, "parameters",
                        &e->params);
}

int csim__encoder_find(const csim_encoder *e, int64_t d, const char *model)
{
    for (int i = 0; i < e->inputs; i++) {
        bool mine = e->input_layer == CSIM_INPUT_WIDTH || strcmp(e->model[i], model) == 0;
        if (e->width[i] == d && mine) { return i; }
    }
    return -1;
}

csim_status csim_encoder_input(csim_context *ctx, const csim_encoder *e, int64_t d,
                               const char *model, int *input)
{
    char known[256] = "";
    *input = csim__encoder_find(e, d, model);
    if (*input >= 0) { return CSIM_OK; }
    for (int i = 0; i < e->inputs; i++) {
        size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, "%s%s%s%d", i > 0 ? ", " : "",
                 e->input_layer == CSIM_INPUT_MODEL ? e->model[i] : "",
                 e->input_layer == CSIM_INPUT_MODEL ? ": " : "", e->width[i]);
    }
    return csim__fail(ctx, CSIM_E_SHAPE,
                      "encoder %s has no input layer for model %s with %" PRId64
                      " neurons; it was trained on %s",
                      e->path, model, d, known);
}

csim_status csim_encoder_encode(csim_context *ctx, const csim_encoder *e, int init, int input,
                                int64_t rows, const float *x, float *z)
{
    const csim__chain *chain = &e->net.encoder[input];
    float *out[CSIM__MAX_DEPTH] = {NULL}, *scratch = NULL, *norm = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, csim__chain_scratch(chain), sizeof *scratch, "scratch", &scratch));
    CSIM_TRY(csim__alloc(ctx, rows, sizeof *norm, "lengths of rows", &norm));
    for (int l = 0; l < chain->depth - 1; l++) {
        CSIM_TRY(csim__alloc(ctx, rows * chain->layer[l].out, sizeof(float), "a layer", &out[l]));
    }
    out[chain->depth - 1] = z;
    csim__chain_forward(chain, e->params + init * e->net.parameters, rows, x, out, scratch);
    csim__unit_forward(rows, e->net.out, z, z, norm);
done:
    for (int l = 0; l < chain->depth - 1; l++) { csim__free(ctx, &out[l]); }
    csim__free(ctx, &norm);
    csim__free(ctx, &scratch);
    return st;
}

int64_t csim__encoder_reading(const csim_encoder *e, int rank)
{
    int64_t own = (int64_t)sizeof(float) * e->inits * e->net.parameters;
    return e->content + (rank == 0 ? csim__max64(e->content, own) : own);
}

csim_status csim__encoder_read(csim_context *ctx, const char *path, int64_t memory,
                               csim_encoder **encoder)
{
    csim__checkpoint *checkpoint = NULL;
    *encoder = NULL;
    csim_status st = csim__checkpoint_read_within(ctx, path, memory, &checkpoint);
    if (st == CSIM_OK) {
        st = csim__vote(ctx, csim__encoder_load(ctx, checkpoint, path, encoder));
        if (st != CSIM_OK) { csim_encoder_free(encoder); }
    }
    csim__checkpoint_free(ctx, &checkpoint);
    return st;
}

csim_status csim_encoder_read(csim_context *ctx, const char *path, csim_encoder **encoder)
{
    return csim__encoder_read(ctx, path, 0, encoder);
}
