#include <math.h>

#include "core/rng.h"
#include "encoder/net.h"

/* ---- sizes ---- */

/* Add the parameters of a layer. Stops growing beyond the limit, far from an overflow. */
static void grow(int64_t *parameters, int in, int out)
{
    if (*parameters <= INT32_MAX) { *parameters += ((int64_t)in + 1) * out; }
}

/* Width after hidden layer l − 1, or of the output after the last. */
static int width_after(const csim__net_shape *shape, int l)
{
    return l < shape->hidden_count ? shape->hidden[l] : shape->out;
}

/* Parameters of the shape, or more than INT32_MAX when there are more. */
static int64_t count_parameters(const csim__net_shape *shape)
{
    int64_t all = 0, head = shape->weights ? 1 : 0;
    for (int i = 0; i < shape->inputs; i++) { grow(&all, shape->width[i], width_after(shape, 0)); }
    for (int l = 0; l < shape->hidden_count; l++) {
        grow(&all, shape->hidden[l], width_after(shape, l + 1));
    }
    if (shape->heads == 0 || all > INT32_MAX) { return all; }
    grow(&head, shape->out, shape->out);
    grow(&head, shape->out, shape->head_out);
    return head > INT32_MAX ? head : all + head * shape->heads;
}

static csim_status check_width(csim_context *ctx, const char *what, int number, int width)
{
    if (width >= 1) { return CSIM_OK; }
    return csim__fail(ctx, CSIM_E_ARG, "encoder: %s %d: found width %d, expected 1 or more", what,
                      number, width);
}

static csim_status check_shape(csim_context *ctx, const csim__net_shape *shape)
{
    csim_status st = CSIM_OK;
    if (shape->inputs < 1 || shape->hidden_count < 0 || shape->heads < 0) {
        return csim__fail(ctx, CSIM_E_ARG,
                          "encoder: found %d inputs, %d hidden layers, %d heads, expected at least "
                          "1, 0, 0",
                          shape->inputs, shape->hidden_count, shape->heads);
    }
    if (shape->hidden_count >= CSIM__MAX_DEPTH) {
        return csim__fail(ctx, CSIM_E_LIMIT, "encoder: found %d hidden layers, expected at most %d",
                          shape->hidden_count, CSIM__MAX_DEPTH - 1);
    }
    if (shape->activation != CSIM_RELU && shape->activation != CSIM_GELU) {
        return csim__fail(ctx, CSIM_E_ARG, "encoder: no activation has number %d",
                          (int)shape->activation);
    }
    if (shape->weights && shape->heads == 0) {
        return csim__fail(ctx, CSIM_E_ARG, "encoder: learned weights need heads, found none");
    }
    for (int i = 0; i < shape->inputs; i++) {
        CSIM_TRY(check_width(ctx, "input", i, shape->width[i]));
    }
    for (int l = 0; l < shape->hidden_count; l++) {
        CSIM_TRY(check_width(ctx, "hidden layer", l, shape->hidden[l]));
    }
    CSIM_TRY(check_width(ctx, "output", 0, shape->out));
    if (shape->heads > 0) { CSIM_TRY(check_width(ctx, "output of heads", 0, shape->head_out)); }
done:
    return st;
}

/* ---- layout ---- */

/* Where the next layer goes. */
typedef struct place {
    int64_t *tensor;
    int tensors;
    int64_t at;
} place;

static csim__linear put(place *p, int in, int out)
{
    csim__linear layer = {.in = in, .out = out, .w = p->at};
    layer.b = layer.w + (int64_t)in * out;
    p->tensor[p->tensors++] = layer.w;
    p->tensor[p->tensors++] = layer.b;
    p->at = layer.b + out;
    return layer;
}

static void lay_out(const csim__net_shape *shape, csim__net *net)
{
    place p = {.tensor = net->tensor};
    for (int i = 0; i < net->inputs; i++) {
        net->encoder[i] =
            (csim__chain){.depth = shape->hidden_count + 1, .activation = shape->activation};
        net->encoder[i].layer[0] = put(&p, shape->width[i], width_after(shape, 0));
    }
    for (int l = 1; l <= shape->hidden_count; l++) {
        csim__linear layer = put(&p, shape->hidden[l - 1], width_after(shape, l));
        for (int i = 0; i < net->inputs; i++) { net->encoder[i].layer[l] = layer; }
    }
    for (int h = 0; h < net->heads; h++) {
        net->head[h] = (csim__chain){.depth = 2, .activation = CSIM_RELU};
        net->head[h].layer[0] = put(&p, net->out, net->out);
        net->head[h].layer[1] = put(&p, net->out, net->head_out);
    }
    if (net->weights >= 0) {
        net->weights = p.at;
        p.tensor[p.tensors++] = p.at;
    }
    p.tensor[p.tensors] = net->parameters;
}

csim_status csim__net_make(csim_context *ctx, const csim__net_shape *shape, csim__net *net)
{
    csim__net made = {0};
    csim_status st = CSIM_OK;
    CSIM_TRY(check_shape(ctx, shape));
    made.parameters = count_parameters(shape);
    if (made.parameters > INT32_MAX) {
        st = csim__fail(ctx, CSIM_E_LIMIT, "encoder: found %lld parameters or more, expected %d",
                        (long long)made.parameters, INT32_MAX);
        goto done;
    }
    made.inputs = shape->inputs;
    made.heads = shape->heads;
    made.out = shape->out;
    made.head_out = shape->heads > 0 ? shape->head_out : 0;
    made.weights = shape->weights ? 0 : -1;
    /* no more tensors than parameters: they fit an int */
    made.tensors =
        2 * (made.inputs + shape->hidden_count + 2 * made.heads) + (shape->weights ? 1 : 0);
    CSIM_TRY(csim__alloc(ctx, made.inputs, sizeof *made.encoder, "an encoder", &made.encoder));
    if (made.heads > 0) {
        CSIM_TRY(csim__alloc(ctx, made.heads, sizeof *made.head, "heads", &made.head));
    }
    CSIM_TRY(csim__alloc(ctx, (int64_t)made.tensors + 1, sizeof *made.tensor, "tensor offsets",
                         &made.tensor));
    lay_out(shape, &made);
done:
    if (st == CSIM_OK) {
        *net = made;
    } else {
        csim__net_clear(ctx, &made);
    }
    return st;
}

void csim__net_clear(csim_context *ctx, csim__net *net)
{
    csim__free(ctx, &net->tensor);
    csim__free(ctx, &net->head);
    csim__free(ctx, &net->encoder);
    *net = (csim__net){0};
}

/* ---- initial values ---- */

/* The sequence of initial values among all that a seed starts; others have other numbers. */
static const uint64_t initial = 0x696e697469616c; /* "initial" */

static void draw(const csim__linear *layer, uint64_t seed, float *params)
{
    csim__rng rng = csim__rng_start(seed, initial);
    double bound = 1 / sqrt(layer->in);
    csim__rng_seek(&rng, (uint64_t)layer->w);
    for (int64_t i = layer->w; i < layer->b + layer->out; i++) {
        params[i] = (float)((2 * csim__rng_uniform(&rng) - 1) * bound);
    }
}

void csim__net_initialise(const csim__net *net, uint64_t seed, float *params)
{
    for (int i = 0; i < net->inputs; i++) { draw(&net->encoder[i].layer[0], seed, params); }
    for (int l = 1; l < net->encoder[0].depth; l++) {
        draw(&net->encoder[0].layer[l], seed, params);
    }
    for (int h = 0; h < net->heads; h++) {
        for (int l = 0; l < net->head[h].depth; l++) { draw(&net->head[h].layer[l], seed, params); }
    }
    for (int h = 0; h < net->heads && net->weights >= 0; h++) { params[net->weights + h] = 1; }
}
