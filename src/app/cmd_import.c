/* contrasim import: one set of any format becomes one native file. */
#include <inttypes.h>
#include <string.h>

#include "app/app.h"
#include "contrasim/native.h"

typedef struct import_options {
    const char *set, *output;
    csim_native_options native;
    csim_input_options input;
} import_options;

static const csim_option output_table[] = {
    {.name = "set",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(import_options, set),
     .metavar = "SET",
     .help = "the set, the same as one without --set: a file, folder or quoted glob, or NAME=PATH"},
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(import_options, output),
     .metavar = "FILE",
     .help = "native file to write (netCDF)"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(import_options, native.overwrite),
     .help = "replace an existing file"},
    {.name = "dataset",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(import_options, native.dataset),
     .metavar = "NAME",
     .help = "name of the data that the examples come from"},
    {.name = "title",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(import_options, native.title),
     .metavar = "TEXT",
     .help = "title of the file"},
    {.name = NULL},
};

static csim_status import_groups(csim__config *config, void *target)
{
    import_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group output = {"", "Import", output_table, options, 0};
    csim__option_group input = {"", "Reading the set", csim_input_option_table, &options->input, 0};
    CSIM_TRY(csim__config_add(config, &output));
    CSIM_TRY(csim__config_add(config, &input));
    CSIM_TRY(csim__config_positional(config, "set"));
done:
    return st;
}

static csim_status import_run(csim__app *app, void *target)
{
    import_options *options = target;
    csim_context *ctx = app->ctx;
    csim_native_options native = options->native;
    csim_set *set = NULL;
    char *line = NULL;
    int64_t dropped;
    csim__outputs outputs = {.output = options->output, .overwrite = native.overwrite};
    csim_status st = CSIM_OK;
    if (options->set == NULL) {
        st = csim__fail(ctx, CSIM_E_USAGE, "no set is named");
    } else if (options->output == NULL) {
        st = csim__fail(ctx, CSIM_E_USAGE, "--output FILE is missing");
    } else {
        st = csim__check_outputs(app, &outputs);
    }
    if (st == CSIM_OK) { st = csim__command_line(app, &line); }
    native.command = line;
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim_set_open(ctx, options->set, &options->input, &set));
    outputs.sets = &set;
    outputs.count = 1;
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
    if (options->input.nan_drop_rows) { CSIM_TRY(csim_sets_drop_bad_rows(ctx, &set, 1, &dropped)); }
    CSIM_TRY(csim_native_write(ctx, set, options->output, &native));
    if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        printf("%s: %d sites, %" PRId64 " examples\n", options->output, csim_set_site_count(set),
               csim_set_examples(set));
    }
done:
    csim_set_free(&set);
    csim__free(ctx, &line);
    return st;
}

const csim__command csim__command_import = {
    .name = "import",
    .brief = "convert a set to one netCDF file of the native layout",
    .usage = "SET -o FILE",
    .details = "Convert a set of any known format to one netCDF file with a variable for each "
               "layer. Element types stay; ids and labels of the examples are taken along.",
    .options_size = sizeof(import_options),
    .groups = import_groups,
    .run = import_run,
};
