/* The checkpoint of a training: the encoder, the state of the training, its learning curves. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "train/trainer.h"

static const struct curve {
    const char *name, *about;
} curves[CSIM__CURVES] = {
    {"loss", "mean loss of the steps of an epoch"},
    {"positive_similarity", "mean cosine of positives"},
    {"negative_similarity", "mean cosine of all other pairs"},
    {"margin", "positive less negative similarity"},
    {"gradient_norm", "mean norm of the gradient before clipping"},
    {"learning_rate", "learning rate of the epoch"},
    {"held_out_loss", "loss of the held-out examples after the epoch"},
};

/* ---- what the training was made from ---- */

static csim_status notions_text(const csim__trainer *t, char **text)
{
    csim_status st = csim__strdup(t->ctx, "", text);
    for (int c = 0; st == CSIM_OK && c < t->notions; c++) {
        char *longer = NULL;
        st = csim__format(t->ctx, &longer, "%s%s%s", *text, c > 0 ? "," : "", t->notion[c]);
        csim__free(t->ctx, text);
        *text = longer;
    }
    return st;
}

/* One line a set: its name and the checksum of its values in the order of the first epoch. */
static csim_status inputs_text(const csim__trainer *t, char **text)
{
    csim_status st = csim__strdup(t->ctx, "", text);
    for (int m = 0; st == CSIM_OK && m < t->set_count; m++) {
        char *longer = NULL;
        st = csim__format(t->ctx, &longer, "%s%s xxh3_64:%016" PRIx64 "\n", *text,
                          csim_set_name(t->sets[m]), t->checksum[m]);
        csim__free(t->ctx, text);
        *text = longer;
    }
    return st;
}

static csim_status store_origin(const csim__trainer *t, csim__checkpoint *c)
{
    char *config = NULL, *notions = NULL, *inputs = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__train_describe(t->ctx, t->options, &config));
    CSIM_TRY(notions_text(t, &notions));
    CSIM_TRY(inputs_text(t, &inputs));
    CSIM_TRY(csim__checkpoint_set_text(c, "title", "encoder of contrasim"));
    CSIM_TRY(csim__checkpoint_set_text(c, "configuration", config));
    CSIM_TRY(csim__checkpoint_set_text(c, "notions", notions));
    CSIM_TRY(csim__checkpoint_set_text(c, "inputs", inputs));
    CSIM_TRY(csim__checkpoint_set_int(c, "examples", csim_set_examples(t->sets[0])));
done:
    csim__free(t->ctx, &inputs);
    csim__free(t->ctx, &notions);
    csim__free(t->ctx, &config);
    return st;
}

/* ---- state ---- */

static csim_status add_floats(csim__checkpoint *c, const char *name, const float *data, int64_t n,
                              const char *about)
{
    return csim__checkpoint_add(
        c,
        &(csim__field){name, CSIM__FLOAT32, 1, {"parameter"}, {n}, (void *)(uintptr_t)data, about});
}

static csim_status store_state(const csim__trainer *t, csim__checkpoint *c)
{
    int64_t n = t->encoder->net.parameters;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__checkpoint_set_int(c, "epochs", t->options->epochs));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_init", t->init));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_epoch", t->epoch));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_batch", t->batch));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_stop", t->stop_at));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_step", t->step));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_finished", t->finished));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_best_epoch", t->best_epoch));
    CSIM_TRY(csim__checkpoint_set_real(c, "state_best", t->best));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_tally_steps", t->tally.steps));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_tally_positives", t->tally.positives));
    CSIM_TRY(csim__checkpoint_set_int(c, "state_tally_negatives", t->tally.negatives));
    CSIM_TRY(csim__checkpoint_set_real(c, "state_tally_loss", t->tally.loss));
    CSIM_TRY(csim__checkpoint_set_real(c, "state_tally_positive", t->tally.positive));
    CSIM_TRY(csim__checkpoint_set_real(c, "state_tally_negative", t->tally.negative));
    CSIM_TRY(csim__checkpoint_set_real(c, "state_tally_gradient", t->tally.gradient));
    CSIM_TRY(add_floats(c, "state_parameters", t->params, n, "parameters after the last step"));
    CSIM_TRY(add_floats(c, "state_mean", t->state1, n, "mean gradient (adam), velocity (sgd)"));
    if (t->options->optimiser == CSIM_ADAM) {
        CSIM_TRY(add_floats(c, "state_square", t->state2, n, "mean square of the gradient"));
    }
done:
    return st;
}

static csim_status store_curves(const csim__trainer *t, csim__checkpoint *c)
{
    int64_t inits = t->init + 1, epochs = t->options->epochs;
    csim_status st = CSIM_OK;
    for (int k = 0; k < CSIM__CURVES; k++) {
        if (k == CSIM__CURVE_HELD_OUT && t->held == 0) { continue; }
        CSIM_TRY(csim__checkpoint_add(c, &(csim__field){curves[k].name,
                                                        CSIM__FLOAT64,
                                                        2,
                                                        {"init", "epoch"},
                                                        {inits, epochs},
                                                        t->curve[k],
                                                        curves[k].about}));
    }
    if (t->notions > 0) {
        CSIM_TRY(csim__checkpoint_add(
            c, &(csim__field){"notion_weight",
                              CSIM__FLOAT64,
                              3,
                              {"init", "epoch", "notion"},
                              {inits, epochs, t->notions},
                              t->weight_curve,
                              "w_c of each notion after the epoch; its factor is exp(-w_c)"}));
    }
done:
    return st;
}

/* The init under way as it is published: the last epoch's parameters, or the best so far. */
static csim_status make(const csim__trainer *t, csim__checkpoint **c)
{
    csim_encoder published = *t->encoder;
    csim_status st = csim__checkpoint_create(t->ctx, c);
    if (st != CSIM_OK) { return st; }
    published.inits = (int)t->init + 1;
    CSIM_TRY(csim__encoder_store(&published, *c));
    CSIM_TRY(store_origin(t, *c));
    CSIM_TRY(store_state(t, *c));
    CSIM_TRY(store_curves(t, *c));
done:
    return st;
}

csim_status csim__train_save(csim__trainer *t)
{
    csim__checkpoint *c = NULL;
    csim_status st = CSIM_OK;
    csim__phase_begin(t->ctx, "save");
    if (csim_context_rank(t->ctx) == 0) { st = make(t, &c); }
    st = csim__vote(t->ctx, st);
    if (st == CSIM_OK) { st = csim__checkpoint_write(t->ctx, c, t->run->output); }
    csim__checkpoint_free(t->ctx, &c);
    csim__phase_end(t->ctx, 0, 0);
    return st;
}

/* ---- going on ---- */

/* Two texts of lines must be the same; the message names the first that differs. */
static csim_status compare(csim__trainer *t, csim_status otherwise, const char *path,
                           const char *what, const char *saved, const char *mine)
{
    int a, b;
    if (!csim__text_difference(NULL, &saved, &a, &mine, &b)) { return CSIM_OK; }
    return csim__fail(t->ctx, otherwise,
                      "--resume: %s was trained with other %s: '%.*s' there, '%.*s' here", path,
                      what, a, saved, b, mine);
}

static csim_status check_origin(csim__trainer *t, const csim__checkpoint *c, const char *path)
{
    char *config = NULL, *notions = NULL, *inputs = NULL;
    const char *saved;
    int64_t examples, n = csim_set_examples(t->sets[0]);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__train_describe(t->ctx, t->options, &config));
    CSIM_TRY(notions_text(t, &notions));
    CSIM_TRY(inputs_text(t, &inputs));
    CSIM_TRY(csim__checkpoint_text(c, "configuration", &saved));
    CSIM_TRY(compare(t, CSIM_E_USAGE, path, "options", saved, config));
    CSIM_TRY(csim__checkpoint_text(c, "notions", &saved));
    CSIM_TRY(compare(t, CSIM_E_USAGE, path, "notions", saved, notions));
    CSIM_TRY(csim__checkpoint_int(c, "examples", &examples));
    if (examples != n) {
        st = csim__fail(t->ctx, CSIM_E_DATA,
                        "--resume: %s was trained on %" PRId64 " examples, here are %" PRId64, path,
                        examples, n);
        goto done;
    }
    CSIM_TRY(csim__checkpoint_text(c, "inputs", &saved));
    CSIM_TRY(compare(t, CSIM_E_DATA, path, "data", saved, inputs));
done:
    csim__free(t->ctx, &inputs);
    csim__free(t->ctx, &notions);
    csim__free(t->ctx, &config);
    return st;
}

static csim_status take_count(csim__trainer *t, const csim__checkpoint *c, const char *name,
                              int64_t least, int64_t most, int64_t *value)
{
    csim_status st = csim__checkpoint_int(c, name, value);
    if (st == CSIM_OK && (*value < least || *value > most)) {
        st = csim__fail(t->ctx, CSIM_E_FORMAT,
                        "the checkpoint's %s is %" PRId64 ", expected %" PRId64 " to %" PRId64,
                        name, *value, least, most);
    }
    return st;
}

static csim_status take_state(csim__trainer *t, const csim__checkpoint *c)
{
    int64_t n = t->encoder->net.parameters, finished, saved;
    const void *data;
    csim_status st = CSIM_OK;
    CSIM_TRY(take_count(t, c, "epochs", 0, INT64_MAX, &saved));
    if (saved > t->options->epochs ||
        (saved < t->options->epochs &&
         (t->options->inits > 1 || t->options->schedule == CSIM_SCHEDULE_COSINE))) {
        st = csim__fail(t->ctx, CSIM_E_USAGE,
                        "--resume: trained with --epochs %" PRId64 ", here %" PRId64
                        ": epochs may grow, but not with --init above 1 or --schedule cosine",
                        saved, t->options->epochs);
        goto done;
    }
    CSIM_TRY(take_count(t, c, "state_init", 0, t->options->inits - 1, &t->init));
    CSIM_TRY(take_count(t, c, "state_epoch", 0, saved, &t->epoch));
    CSIM_TRY(take_count(t, c, "state_batch", 0, t->batches.count - 1, &t->batch));
    CSIM_TRY(take_count(t, c, "state_stop", 0, t->stops - 1, &t->stop_at));
    CSIM_TRY(take_count(t, c, "state_step", 0, INT64_MAX, &t->step));
    CSIM_TRY(take_count(t, c, "state_finished", 0, 1, &finished));
    CSIM_TRY(take_count(t, c, "state_best_epoch", -1, saved, &t->best_epoch));
    CSIM_TRY(csim__checkpoint_real(c, "state_best", &t->best));
    CSIM_TRY(take_count(t, c, "state_tally_steps", 0, INT64_MAX, &t->tally.steps));
    CSIM_TRY(take_count(t, c, "state_tally_positives", 0, INT64_MAX, &t->tally.positives));
    CSIM_TRY(take_count(t, c, "state_tally_negatives", 0, INT64_MAX, &t->tally.negatives));
    CSIM_TRY(csim__checkpoint_real(c, "state_tally_loss", &t->tally.loss));
    CSIM_TRY(csim__checkpoint_real(c, "state_tally_positive", &t->tally.positive));
    CSIM_TRY(csim__checkpoint_real(c, "state_tally_negative", &t->tally.negative));
    CSIM_TRY(csim__checkpoint_real(c, "state_tally_gradient", &t->tally.gradient));
    t->finished = finished != 0;
    size_t bytes = (size_t)n * sizeof(float);
    CSIM_TRY(csim__checkpoint_take(c, "state_parameters", CSIM__FLOAT32, 1, &n, &data));
    memcpy(t->params, data, bytes);
    CSIM_TRY(csim__checkpoint_take(c, "state_mean", CSIM__FLOAT32, 1, &n, &data));
    memcpy(t->state1, data, bytes);
    if (t->options->optimiser == CSIM_ADAM) {
        CSIM_TRY(csim__checkpoint_take(c, "state_square", CSIM__FLOAT32, 1, &n, &data));
        memcpy(t->state2, data, bytes);
    }
done:
    return st;
}

/* Curves of `saved` epochs into those of all; what has not been trained stays NaN. */
static csim_status take_curves(csim__trainer *t, const csim__checkpoint *c)
{
    int64_t size[3] = {t->init + 1, 0, t->notions}, all = t->options->epochs;
    const void *data;
    csim_status st = csim__checkpoint_int(c, "epochs", &size[1]);
    if (st != CSIM_OK) { return st; }
    for (int k = 0; k < CSIM__CURVES; k++) {
        if (k == CSIM__CURVE_HELD_OUT && t->held == 0) { continue; }
        CSIM_TRY(csim__checkpoint_take(c, curves[k].name, CSIM__FLOAT64, 2, size, &data));
        for (int64_t i = 0; i < size[0]; i++) {
            memcpy(t->curve[k] + i * all, (const double *)data + i * size[1],
                   (size_t)size[1] * sizeof(double));
        }
    }
    if (t->notions > 0) {
        CSIM_TRY(csim__checkpoint_take(c, "notion_weight", CSIM__FLOAT64, 3, size, &data));
        for (int64_t i = 0; i < size[0]; i++) {
            memcpy(t->weight_curve + i * all * t->notions,
                   (const double *)data + i * size[1] * t->notions,
                   (size_t)(size[1] * t->notions) * sizeof(double));
        }
    }
done:
    return st;
}

static csim_status take_all(csim__trainer *t, const csim__checkpoint *c, const char *path)
{
    csim_encoder *saved = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(check_origin(t, c, path));
    CSIM_TRY(csim__encoder_load(t->ctx, c, path, &saved));
    CSIM_TRY(take_state(t, c));
    if (saved->inits != t->init + 1 || saved->net.parameters != t->encoder->net.parameters) {
        st = csim__fail(t->ctx, CSIM_E_FORMAT, "%s: the encoder is not that of its training", path);
        goto done;
    }
    memcpy(t->encoder->params, saved->params,
           (size_t)(saved->inits * saved->net.parameters) * sizeof *saved->params);
    CSIM_TRY(take_curves(t, c));
done:
    csim_encoder_free(&saved);
    return st;
}

csim_status csim__train_restore(csim__trainer *t, const char *path)
{
    csim__checkpoint *c = NULL;
    csim_status st = csim__checkpoint_read(t->ctx, path, &c);
    if (st == CSIM_OK) { st = csim__vote(t->ctx, take_all(t, c, path)); }
    csim__checkpoint_free(t->ctx, &c);
    return st;
}
