/* contrasim show: a results file as tables, CSV or JSON. */
#include "app/app.h"
#include "contrasim/results.h"

typedef struct show_options {
    const char *file;
    csim_print_options print;
} show_options;

static const csim_option file_table[] = {
    {.name = "file",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(show_options, file),
     .metavar = "FILE",
     .help = "results file, the same as one without --file"},
    {.name = NULL},
};

static csim_status show_groups(csim__config *config, void *target)
{
    show_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group file = {"", "Results", file_table, options, 0};
    csim__option_group print = {"", "What to print", csim_print_option_table, &options->print, 0};
    CSIM_TRY(csim__config_add(config, &file));
    CSIM_TRY(csim__config_add(config, &print));
    CSIM_TRY(csim__config_positional(config, "file"));
done:
    return st;
}

static csim_status show_run(csim__app *app, void *target)
{
    show_options *options = target;
    csim_context *ctx = app->ctx;
    csim_results *results = NULL;
    csim_status st = CSIM_OK;
    csim__outputs outputs = {.input = options->file};
    if (options->file == NULL) {
        st = csim__fail(ctx, CSIM_E_USAGE, "no results file is named");
    } else {
        st = csim__check_outputs(app, &outputs);
    }
    if (st == CSIM_OK) { st = csim__resolve_measures(app->config, &options->print.measures); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim_results_read(ctx, options->file, &results));
    if (results != NULL) {
        st = csim_results_print(ctx, results, &options->print, csim__stdout_sink, NULL);
    }
    st = csim__vote(ctx, st);
done:
    csim_results_free(&results);
    return st;
}

const csim__command csim__command_show = {
    .name = "show",
    .brief = "print a results file as tables, CSV or JSON",
    .usage = "FILE",
    .details = "Print what a results file holds. A table has the sites of the first set as rows "
               "and those of the second as columns; what has no value shows its status, and '*' "
               "marks a value with a note.",
    .options_size = sizeof(show_options),
    .groups = show_groups,
    .run = show_run,
};
