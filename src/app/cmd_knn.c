/* contrasim knn: sets in, the nearest neighbours of every example out. */
#include <inttypes.h>
#include <time.h>

#include "app/app.h"
#include "contrasim/knn.h"
#include "io/lock.h"

typedef struct knn_options {
    csim_texts sets;
    csim_knn_options knn;
    csim_input_options input;
    const char *output;
    int overwrite;
} knn_options;

static const csim_option set_table[] = {
    {.name = "set",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(knn_options, sets),
     .metavar = "SET",
     .help = "a set, the same as one without --set: a file, folder or quoted glob, or NAME=PATH"},
    {.name = NULL},
};

static const csim_option how_table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(knn_options, output),
     .metavar = "FILE",
     .help = "file to write (netCDF)"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(knn_options, overwrite),
     .help = "replace an existing file"},
    {.name = NULL},
};

static csim_status knn_groups(csim__config *config, void *target)
{
    knn_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group set = {"", "What to search", set_table, options, 1};
    csim__option_group knn = {"", "Neighbours", csim_knn_option_table, &options->knn, 1};
    csim__option_group input = {"", "Reading the sets", csim_input_option_table, &options->input,
                                1};
    csim__option_group how = {"", "Output", how_table, options, 0};
    CSIM_TRY(csim__config_add(config, &set));
    CSIM_TRY(csim__config_add(config, &knn));
    CSIM_TRY(csim__config_add(config, &input));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__config_positional(config, "set"));
done:
    return st;
}

static csim_status check_options(const csim__app *app, const knn_options *o)
{
    if (o->sets.count == 0) { return csim__fail(app->ctx, CSIM_E_USAGE, "no set is named"); }
    if (o->output == NULL) {
        return csim__fail(app->ctx, CSIM_E_USAGE, "--output FILE is missing");
    }
    return CSIM_OK;
}

static csim_status search(csim__app *app, const knn_options *o, csim_set *const *sets,
                          int64_t start)
{
    csim_context *ctx = app->ctx;
    char *line = NULL, *config = NULL;
    csim_status st = csim__config_write(app->config, &config);
    if (st == CSIM_OK) { st = csim__command_line(app, &line); }
    CSIM_TRY(csim__vote(ctx, st));
    csim_knn_output output = {.path = o->output,
                              .overwrite = o->overwrite,
                              .configuration = config,
                              .command = line,
                              .start = start};
    st = csim_knn(ctx, sets, o->sets.count, &o->knn, o->input.nan_drop_rows, &output,
                  app->common.quiet ? NULL : csim__logger_progress, &app->log);
done:
    csim__free(ctx, &config);
    csim__free(ctx, &line);
    return st;
}

static csim_status knn_run(csim__app *app, void *target)
{
    knn_options *o = target;
    csim_context *ctx = app->ctx;
    int64_t start = (int64_t)time(NULL);
    int layers = 0;
    csim_set **sets = NULL;
    csim__lock lock = {.path = NULL};
    static const char *const beside[] = {".lock", NULL};
    csim__outputs outputs = {
        .output = o->output, .beside = beside, .overwrite = o->overwrite, .count = 0};
    csim_status st = check_options(app, o);
    if (st == CSIM_OK) { st = csim__calloc(ctx, o->sets.count, sizeof *sets, "sets", &sets); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__claim_output(app, &outputs, &lock));
    CSIM_TRY(csim__open_sets(ctx, &o->sets, &o->input, sets));
    for (int i = 0; i < o->sets.count; i++) { layers += csim_set_site_count(sets[i]); }
    outputs.sets = sets;
    outputs.count = o->sets.count;
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
    CSIM_TRY(search(app, o, sets, start));
    csim__logger_clear(&app->log);
    if (csim_context_rank(ctx) == 0) {
        int64_t n = csim_set_examples(sets[0]);
        printf("%s: %d layers, %" PRId64 " examples, %" PRId64 " neighbours each\n", o->output,
               layers, n, csim_neighbours(o->knn.k, n));
    }
done:
    csim__close_sets(ctx, o->sets.count, &sets);
    csim__lock_release(ctx, &lock);
    return st;
}

const csim__command csim__command_knn = {
    .name = "knn",
    .brief = "exact nearest neighbours of every example in every layer, to a file",
    .usage = "SET... -o FILE",
    .details = "Find the k nearest other examples of every example in every layer of the sets, and "
               "write them with their distances to one netCDF file. Lists are exact, in the order "
               "(distance, index of the example), and the same on any number of ranks.",
    .options_size = sizeof(knn_options),
    .groups = knn_groups,
    .run = knn_run,
};
