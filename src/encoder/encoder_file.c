/* Shape and parameters of an encoder as attributes and arrays of a checkpoint. */
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "encoder/encoder.h"

enum { MOST = 1 << 20 }; /* input layers, layers, inits: more is no encoder */

static const char *const activations[] = {"relu", "gelu"};
static const char *const input_layers[] = {"width", "model"};

/* Names of the models, one a line, in the order of the input layers. */
static csim_status store_models(const csim_encoder *e, csim__checkpoint *c)
{
    char *text = NULL;
    csim_status st = csim__strdup(e->ctx, "", &text);
    for (int i = 0; st == CSIM_OK && i < e->inputs; i++) {
        char *longer = NULL;
        st = csim__format(e->ctx, &longer, "%s%s\n", text, e->model[i]);
        csim__free(e->ctx, &text);
        text = longer;
    }
    if (st == CSIM_OK) { st = csim__checkpoint_set_text(c, "input_models", text); }
    csim__free(e->ctx, &text);
    return st;
}

static csim_status store_ints(csim__checkpoint *c, const char *name, const char *dim,
                              const int *list, int count, const char *about)
{
    csim_status st =
        csim__checkpoint_add(c, &(csim__field){name, CSIM__INT64, 1, {dim}, {count}, NULL, about});
    if (st != CSIM_OK) { return st; }
    int64_t *to = csim__checkpoint_field(c, name)->data;
    for (int i = 0; i < count; i++) { to[i] = list[i]; }
    return CSIM_OK;
}

csim_status csim__encoder_store(const csim_encoder *e, csim__checkpoint *c)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__checkpoint_set_text(c, "measure", e->measure));
    CSIM_TRY(csim__checkpoint_set_text(c, "activation", activations[e->activation]));
    CSIM_TRY(csim__checkpoint_set_text(c, "input_layer", input_layers[e->input_layer]));
    CSIM_TRY(csim__checkpoint_set_int(c, "out", e->net.out));
    CSIM_TRY(csim__checkpoint_set_int(c, "heads", e->heads));
    CSIM_TRY(csim__checkpoint_set_int(c, "head_out", e->head_out));
    CSIM_TRY(csim__checkpoint_set_int(c, "head_weights", e->weights));
    CSIM_TRY(store_models(e, c));
    CSIM_TRY(store_ints(c, "input_width", "input", e->width, e->inputs,
                        "neurons of the sites that each input layer takes"));
    CSIM_TRY(store_ints(c, "hidden", "hidden_layer", e->hidden, e->hidden_count,
                        "widths of the hidden layers"));
    CSIM_TRY(csim__checkpoint_add(
        c,
        &(csim__field){"parameters",
                       CSIM__FLOAT32,
                       2,
                       {"init", "parameter"},
                       {e->inits, e->net.parameters},
                       e->params,
                       "weights [in, out] and biases of the input layers, the trunk, the heads"}));
done:
    return st;
}

static csim_status choose(const csim__checkpoint *c, csim_context *ctx, const char *name,
                          const char *const *words, int count, int *value)
{
    const char *text;
    csim_status st = csim__checkpoint_text(c, name, &text);
    if (st != CSIM_OK) { return st; }
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return CSIM_OK;
        }
    }
    return csim__fail(ctx, CSIM_E_FORMAT, "the checkpoint's %s is '%.60s', expected '%s' or '%s'",
                      name, text, words[0], words[1]);
}

static csim_status take_int(const csim__checkpoint *c, csim_context *ctx, const char *name,
                            int64_t least, int64_t most, int *value)
{
    int64_t found;
    csim_status st = csim__checkpoint_int(c, name, &found);
    if (st != CSIM_OK) { return st; }
    if (found < least || found > most) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "the checkpoint's %s is %" PRId64 ", expected %" PRId64 " to %" PRId64,
                          name, found, least, most);
    }
    *value = (int)found;
    return CSIM_OK;
}

static csim_status take_ints(const csim__checkpoint *c, csim_context *ctx, const char *name,
                             int least, int **list, int *count)
{
    const csim__field *field = csim__checkpoint_field(c, name);
    const void *data;
    int64_t any = -1;
    csim_status st = csim__checkpoint_take(c, name, CSIM__INT64, 1, &any, &data);
    if (st != CSIM_OK) { return st; }
    const int64_t *from = data;
    bool good = field->size[0] >= least && field->size[0] <= MOST;
    for (int64_t i = 0; good && i < field->size[0]; i++) {
        good = from[i] >= 1 && from[i] <= INT32_MAX;
    }
    if (!good) {
        return csim__fail(ctx, CSIM_E_FORMAT, "the checkpoint's %s is no list of layer widths",
                          name);
    }
    st = csim__alloc(ctx, field->size[0], sizeof **list, "widths", list);
    *count = st == CSIM_OK ? (int)field->size[0] : 0;
    for (int i = 0; i < *count; i++) { (*list)[i] = (int)from[i]; }
    return st;
}

static csim_status take_models(const csim__checkpoint *c, csim_encoder *e)
{
    const char *text;
    csim_status st = csim__checkpoint_text(c, "input_models", &text);
    if (st != CSIM_OK) { return st; }
    CSIM_TRY(csim__calloc(e->ctx, e->inputs, sizeof *e->model, "models", &e->model));
    for (int i = 0; i < e->inputs; i++) {
        size_t length = strcspn(text, "\n");
        if (text[length] == '\0') {
            return csim__fail(e->ctx, CSIM_E_FORMAT,
                              "the checkpoint names fewer models than it has input layers (%d)",
                              e->inputs);
        }
        CSIM_TRY(csim__format(e->ctx, &e->model[i], "%.*s", (int)length, text));
        text += length + 1;
    }
done:
    return st;
}

csim_status csim__encoder_load(csim_context *ctx, const csim__checkpoint *c, const char *path,
                               csim_encoder **encoder)
{
    csim_encoder *e = NULL;
    const char *measure;
    const void *params;
    int out = 0, activation = 0, input_layer = 0, weights = 0;
    int64_t size[2] = {-1, 0};
    csim_status st = csim__calloc(ctx, 1, sizeof *e, "an encoder", &e);
    *encoder = e;
    if (st != CSIM_OK) { return st; }
    e->ctx = ctx;
    CSIM_TRY(csim__strdup(ctx, path, &e->path));
    CSIM_TRY(csim__checkpoint_text(c, "measure", &measure));
    CSIM_TRY(csim__strdup(ctx, measure, &e->measure));
    CSIM_TRY(choose(c, ctx, "activation", activations, 2, &activation));
    CSIM_TRY(choose(c, ctx, "input_layer", input_layers, 2, &input_layer));
    e->activation = (csim_activation)activation;
    e->input_layer = (csim_input_layer)input_layer;
    CSIM_TRY(take_int(c, ctx, "out", 1, INT32_MAX, &out));
    CSIM_TRY(take_int(c, ctx, "heads", 0, MOST, &e->heads));
    CSIM_TRY(take_int(c, ctx, "head_out", 0, INT32_MAX, &e->head_out));
    CSIM_TRY(take_int(c, ctx, "head_weights", 0, 1, &weights));
    e->weights = weights != 0;
    CSIM_TRY(take_ints(c, ctx, "input_width", 1, &e->width, &e->inputs));
    CSIM_TRY(take_ints(c, ctx, "hidden", 0, &e->hidden, &e->hidden_count));
    CSIM_TRY(take_models(c, e));
    const csim__field *field = csim__checkpoint_field(c, "parameters");
    e->inits =
        field != NULL && field->ndim == 2 && field->size[0] <= MOST ? (int)field->size[0] : 0;
    CSIM_TRY(csim__encoder_layout(e, out));
    size[1] = e->net.parameters;
    CSIM_TRY(csim__checkpoint_take(c, "parameters", CSIM__FLOAT32, 2, size, &params));
    if (e->inits < 1) {
        st = csim__fail(ctx, CSIM_E_FORMAT, "the checkpoint has no parameters");
        goto done;
    }
    memcpy(e->params, params, (size_t)(e->inits * e->net.parameters) * sizeof *e->params);
    e->content = csim__checkpoint_bytes(c);
    CSIM_TRY(csim__checkpoint_checksum(c, e->checksum));
done:
    return st;
}
