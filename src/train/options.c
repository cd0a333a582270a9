/* Options of training, the defaults of each recipe, and the text by which a checkpoint knows them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "train/trainer.h"

const csim_option csim_train_option_table[] = {
    {.name = "loss",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, loss),
     .choices = "contrastive|deepdot|deepcka|mscon",
     .fallback = "contrastive",
     .help =
         "what is minimised; deepdot and deepcka know positives only, mscon learns from labels"},
    {.name = "item",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, item),
     .choices = "row|set",
     .fallback = "row",
     .help = "what is compared: single examples, or a layer's rows of the whole batch"},
    {.name = "temperature",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, temperature),
     .fallback = "0.07",
     .min = CSIM__LEAST_TEMPERATURE,
     .max = 1e6,
     .help = "temperature of the contrastive loss"},
    {.name = "base-temperature",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, base_temperature),
     .max = 1e6,
     .help = "multiply the loss by temperature / base, as some programs do; without it no factor"},
    {.name = "hidden",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_train_options, hidden),
     .fallback = "512,256",
     .metavar = "LIST",
     .help = "widths of the hidden layers joined by ',', or none"},
    {.name = "out",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, out),
     .fallback = "128",
     .min = 1,
     .max = 65536,
     .help = "width of the encoder's output"},
    {.name = "activation",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, activation),
     .choices = "relu|gelu",
     .fallback = "relu",
     .help = "what stands between the layers"},
    {.name = "input-layer",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, input_layer),
     .choices = "width|model",
     .fallback = "width",
     .help = "one first layer for all sites of a width, or one for each model and width"},
    {.name = "views",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, views),
     .min = 1,
     .max = 64,
     .help = "augmented copies of each row; without it 2 for mscon, else 1"},
    {.name = "view-noise",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, view_noise),
     .max = 1e6,
     .help = "Gaussian noise added to each copy, in standard deviations of each neuron; without it "
             "0.1 where there are several copies, else 0"},
    {.name = "view-dropout",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, view_dropout),
     .max = 0.99,
     .help = "part of the neurons of each copy that are set to 0; without it 0.1 where there are "
             "several copies, else 0"},
    {.name = "notions",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_train_options, notions),
     .metavar = "LIST",
     .help =
         "notions of similarity for mscon: label variables without their label_, joined by ','"},
    {.name = "weights",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, weights),
     .choices = "learned|equal",
     .fallback = "learned",
     .help = "weights of the notions of mscon"},
    {.name = "head-out",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, head_out),
     .fallback = "128",
     .min = 1,
     .max = 65536,
     .help = "width of the output of mscon's heads"},
    {.name = "epochs",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, epochs),
     .max = 1e6,
     .help = "passes over the examples, 0 = an untrained encoder; without it 30 for rows, 50 for "
             "sets, 200 for mscon"},
    {.name = "batch",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, batch),
     .min = 1,
     .max = 1e7,
     .help = "examples of a batch; without it 1024, 64 for mscon"},
    {.name = "optimiser",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, optimiser),
     .choices = "adam|sgd",
     .help = "without it adam, sgd for mscon"},
    {.name = "lr",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, rate),
     .max = 1e6,
     .help = "learning rate; without it 1e-4, 0.05 for mscon"},
    {.name = "momentum",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, momentum),
     .fallback = "0.9",
     .max = 0.999999,
     .help = "momentum of sgd"},
    {.name = "weight-decay",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, decay),
     .max = 1e6,
     .help = "this times a parameter is added to its gradient; without it 0 for rows, 5e-4 for "
             "sets, 1e-4 for mscon"},
    {.name = "lr-decay",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, rate_factor),
     .max = 2,
     .help = "factor of the learning rate after every epoch; without it 1, 0.985 for mscon"},
    {.name = "schedule",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_train_options, schedule),
     .choices = "exponential|cosine",
     .fallback = "exponential",
     .help = "learning rate: times lr-decay after every epoch, or half a cosine down to 0"},
    {.name = "warmup",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, warmup),
     .fallback = "0",
     .max = 1e6,
     .help = "epochs in which the learning rate rises to its full value"},
    {.name = "clip",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, clip),
     .max = 1e30,
     .help = "largest norm of a gradient; longer ones are shortened; without it none is"},
    {.name = "seed",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, seed),
     .fallback = "0",
     .min = 0,
     .max = 9e15,
     .help = "of the first parameters, the order of the examples, and the views"},
    {.name = "init",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, inits),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .help = "train that many encoders, with seeds one after the other; measures give the mean and "
             "the standard deviation"},
    {.name = "early-stop",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim_train_options, early_stop),
     .help = "stop when the loss of held-out examples no longer falls, and keep the best encoder"},
    {.name = "patience",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_train_options, patience),
     .fallback = "5",
     .min = 1,
     .max = 1e6,
     .help = "epochs without a better loss before training stops early"},
    {.name = "held-out",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_train_options, held_out),
     .fallback = "0.1",
     .min = 0.001,
     .max = 0.9,
     .help = "part of the examples that early stopping holds out"},
    {.name = NULL},
};

typedef struct recipe {
    int64_t epochs, batch;
    int optimiser;
    double rate, decay, rate_factor;
    int64_t views;
} recipe;

static const recipe rows = {30, 1024, CSIM_ADAM, 1e-4, 0, 1, 1};
static const recipe sets = {50, 1024, CSIM_ADAM, 1e-4, 5e-4, 1, 1};
static const recipe mscon = {200, 64, CSIM_SGD, 0.05, 1e-4, 0.985, 2};

csim_status csim_train_resolve(csim_context *ctx, csim_train_options *o)
{
    if (o->item == CSIM_ITEM_SET && o->loss != CSIM_LOSS_CONTRASTIVE) {
        return csim__fail(ctx, CSIM_E_USAGE,
                          "--item set goes with --loss contrastive; the other losses compare rows "
                          "(deepcka takes the CKA of a batch's rows all the same)");
    }
    if (o->item == CSIM_ITEM_SET && o->views > 1) {
        return csim__fail(ctx, CSIM_E_USAGE, "--views goes with --item row");
    }
    const recipe *r = o->loss == CSIM_LOSS_MSCON ? &mscon
                      : o->item == CSIM_ITEM_SET ? &sets
                                                 : &rows;
    if (o->epochs < 0) { o->epochs = r->epochs; }
    if (o->batch < 0) { o->batch = r->batch; }
    if (o->optimiser < 0) { o->optimiser = r->optimiser; }
    if (o->rate < 0) { o->rate = r->rate; }
    if (o->decay < 0) { o->decay = r->decay; }
    if (o->rate_factor < 0) { o->rate_factor = r->rate_factor; }
    if (o->views < 0) { o->views = r->views; }
    if (o->view_noise < 0) { o->view_noise = o->views > 1 ? 0.1 : 0; }
    if (o->view_dropout < 0) { o->view_dropout = o->views > 1 ? 0.1 : 0; }
    if (o->loss == CSIM_LOSS_MSCON && o->views < 2) {
        return csim__fail(ctx, CSIM_E_USAGE, "--loss mscon needs --views 2 or more, found %" PRId64,
                          o->views);
    }
    return CSIM_OK;
}

const char *csim_train_measure(const csim_train_options *o)
{
    static const char *const measures[] = {"contrasim", "deepdot", "deepcka", "mscon"};
    return measures[o->loss];
}

csim_status csim__train_describe(csim_context *ctx, const csim_train_options *o, char **text)
{
    static const char *const loss[] = {"contrastive", "deepdot", "deepcka", "mscon"};
    static const char *const item[] = {"row", "set"}, *const act[] = {"relu", "gelu"};
    static const char *const input[] = {"width", "model"}, *const weights[] = {"learned", "equal"};
    static const char *const optimiser[] = {"adam", "sgd"};
    static const char *const schedule[] = {"exponential", "cosine"};
    return csim__format(
        ctx, text,
        "loss = %s\nitem = %s\ntemperature = %.15g\nbase-temperature = %.15g\nhidden = %s\n"
        "out = %" PRId64 "\nactivation = %s\ninput-layer = %s\nviews = %" PRId64
        "\nview-noise = %.15g\nview-dropout = %.15g\nweights = %s\nhead-out = %" PRId64
        "\nbatch = %" PRId64
        "\noptimiser = %s\nlr = %.15g\nmomentum = %.15g\nweight-decay = %.15g\n"
        "lr-decay = %.15g\nschedule = %s\nwarmup = %" PRId64 "\nclip = %.15g\nseed = %" PRId64
        "\ninit = %" PRId64 "\nearly-stop = %s\npatience = %" PRId64 "\nheld-out = %.15g\n",
        loss[o->loss], item[o->item], o->temperature, o->base_temperature, o->hidden, o->out,
        act[o->activation], input[o->input_layer], o->views, o->view_noise, o->view_dropout,
        weights[o->weights], o->head_out, o->batch, optimiser[o->optimiser], o->rate, o->momentum,
        o->decay, o->rate_factor, schedule[o->schedule], o->warmup, o->clip, o->seed, o->inits,
        o->early_stop ? "true" : "false", o->patience, o->held_out);
}

double csim__train_rate(const csim_train_options *o, int64_t epoch)
{
    double rate = o->rate * pow(o->rate_factor, (double)epoch);
    if (o->schedule == CSIM_SCHEDULE_COSINE) {
        const double pi = 3.14159265358979323846;
        rate = o->rate * 0.5 * (1 + cos(pi * (double)epoch / (double)o->epochs));
    }
    if (epoch < o->warmup) { rate *= (double)(epoch + 1) / (double)o->warmup; }
    return rate;
}

csim_status csim__train_hidden(csim_context *ctx, const char *text, int **list, int *count)
{
    *count = 0;
    csim_status st = csim__alloc(ctx, CSIM__MAX_DEPTH, sizeof **list, "hidden layers", list);
    if (st != CSIM_OK || strcmp(text, "none") == 0) { return st; }
    for (const char *at = text;;) {
        int64_t width = 0;
        int digits = 0;
        for (; *at >= '0' && *at <= '9' && digits < 7; at++, digits++) {
            width = 10 * width + (*at - '0');
        }
        if (width < 1 || width > 65536 || (*at != ',' && *at != '\0') ||
            *count == CSIM__MAX_DEPTH - 1) {
            return csim__fail(ctx, CSIM_E_USAGE,
                              "--hidden %s: expected none, or at most %d widths of 1 to 65536 "
                              "joined by ','",
                              text, CSIM__MAX_DEPTH - 1);
        }
        (*list)[(*count)++] = (int)width;
        if (*at++ == '\0') { return CSIM_OK; }
    }
}
