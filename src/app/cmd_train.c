/* contrasim train: sets in, an encoder out, whose space is a measure. */
#include <inttypes.h>
#include <string.h>

#include "app/app.h"
#include "app/stop.h"
#include "contrasim/train.h"

typedef struct train_options {
    csim_texts sets;
    csim_input_options input;
    csim_train_options train;
    const char *output, *walltime;
    int overwrite, resume;
} train_options;

static const csim_option set_table[] = {
    {.name = "set",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(train_options, sets),
     .metavar = "SET",
     .help =
         "a set to learn from, the same as one without --set: a file, folder or quoted glob, or "
         "NAME=PATH"},
    {.name = NULL},
};

static const csim_option how_table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(train_options, output),
     .metavar = "FILE",
     .help = "checkpoint to write (netCDF), after every epoch; FILE.prev is the one before"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(train_options, overwrite),
     .help = "replace an existing checkpoint"},
    {.name = "resume",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(train_options, resume),
     .help = "go on from the checkpoint, or from FILE.prev where it is damaged, or start where "
             "there is none; --epochs may have grown"},
    {.name = "walltime",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(train_options, walltime),
     .metavar = "TIME",
     .help = "finish the step in hand, save and end with exit code 85 after this time, like sbatch "
             "--time: minutes, H:MM:SS, D-HH:MM:SS"},
    {.name = NULL},
};

static csim_status train_groups(csim__config *config, void *target)
{
    train_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group set = {"", "What to learn from", set_table, options, 1};
    csim__option_group input = {"", "Input", csim_input_option_table, &options->input, 1};
    csim__option_group train = {"", "Training", csim_train_option_table, &options->train, 1};
    csim__option_group how = {"", "Output and running", how_table, options, 0};
    CSIM_TRY(csim__config_add(config, &set));
    CSIM_TRY(csim__config_add(config, &train));
    CSIM_TRY(csim__config_add(config, &input));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__config_positional(config, "set"));
done:
    return st;
}

/* What is not given is up to the recipe. */
static void leave_to_recipe(const csim__config *config, csim_train_options *o)
{
    if (!csim__config_given(config, "", "epochs")) { o->epochs = -1; }
    if (!csim__config_given(config, "", "batch")) { o->batch = -1; }
    if (!csim__config_given(config, "", "optimiser")) { o->optimiser = -1; }
    if (!csim__config_given(config, "", "lr")) { o->rate = -1; }
    if (!csim__config_given(config, "", "weight-decay")) { o->decay = -1; }
    if (!csim__config_given(config, "", "lr-decay")) { o->rate_factor = -1; }
    if (!csim__config_given(config, "", "views")) { o->views = -1; }
    if (!csim__config_given(config, "", "view-noise")) { o->view_noise = -1; }
    if (!csim__config_given(config, "", "view-dropout")) { o->view_dropout = -1; }
}

static csim_status check_options(csim__app *app, train_options *o)
{
    if (o->sets.count == 0) { return csim__fail(app->ctx, CSIM_E_USAGE, "no set is named"); }
    if (o->output == NULL) {
        return csim__fail(app->ctx, CSIM_E_USAGE, "--output is needed: the checkpoint to write");
    }
    if (o->walltime != NULL) {
        csim_status st = csim__stop_after(app->ctx, o->walltime);
        if (st != CSIM_OK) { return st; }
    }
    leave_to_recipe(app->config, &o->train);
    return csim_train_resolve(app->ctx, &o->train);
}

static csim_status train_run(csim__app *app, void *target)
{
    train_options *options = target;
    csim_context *ctx = app->ctx;
    csim_set **sets = NULL;
    csim__lock lock = {.path = NULL};
    csim_status st = check_options(app, options);
    csim_train_run run = {.output = options->output,
                          .resume = options->resume,
                          .overwrite = options->overwrite,
                          .stop = csim__stop_asked,
                          .nan_drop_rows = options->input.nan_drop_rows,
                          .progress = app->common.quiet ? NULL : csim__logger_progress,
                          .progress_user = &app->log};
    if (st == CSIM_OK) { st = csim__calloc(ctx, options->sets.count, sizeof *sets, "sets", &sets); }
    static const char *const beside[] = {".prev", ".damaged", ".lock", NULL};
    csim__outputs outputs = {.output = options->output,
                             .beside = beside,
                             .overwrite = options->overwrite || options->resume,
                             .sets = sets,
                             .count = sets != NULL ? options->sets.count : 0};
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__claim_output(app, &outputs, &lock));
    csim__stop_listen();
    CSIM_TRY(csim__open_sets(ctx, &options->sets, &options->input, sets));
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
    CSIM_TRY(csim_train(ctx, sets, options->sets.count, &options->train, &run));
    if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        printf("%s: encoder for measure %s\n", options->output,
               csim_train_measure(&options->train));
    }
done:
    csim__close_sets(ctx, options->sets.count, &sets);
    csim__lock_release(ctx, &lock);
    return st;
}

const csim__command csim__command_train = {
    .name = "train",
    .brief = "train an encoder whose space is a measure",
    .usage = "SET...",
    .details =
        "Train an encoder on the rows of the sets and write it to a checkpoint, which --encoder of "
        "the other commands takes. The default loss draws the rows of one example together and "
        "pushes all others apart; --item set does so with whole layers. Row i is the same example "
        "in all sets, and layers are paired by their place. FILE.lock keeps other jobs off the "
        "output.",
    .options_size = sizeof(train_options),
    .groups = train_groups,
    .run = train_run,
};
