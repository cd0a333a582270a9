/* contrasim merge: the parts of a job array as one results file. */
#include <time.h>

#include "app/app.h"
#include "app/sweep_finished.h"
#include "contrasim/results.h"

typedef struct merge_options {
    csim_texts files;
    const char *output;
    int overwrite;
} merge_options;

static const csim_option table[] = {
    {.name = "file",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(merge_options, files),
     .metavar = "FILE",
     .help = "results file of one part, the same as one without --file"},
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(merge_options, output),
     .metavar = "FILE",
     .help = "results file to write (netCDF)"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(merge_options, overwrite),
     .help = "replace an existing results file"},
    {.name = NULL},
};

static csim_status merge_groups(csim__config *config, void *target)
{
    csim__option_group group = {"", "Parts and output", table, target, 0};
    csim_status st = csim__config_add(config, &group);
    return st == CSIM_OK ? csim__config_positional(config, "file") : st;
}

static csim_status check_options(csim__app *app, const merge_options *options)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    if (options->files.count == 0) { return csim__fail(ctx, CSIM_E_USAGE, "no part is named"); }
    if (options->output == NULL) {
        return csim__fail(ctx, CSIM_E_USAGE, "--output is needed: the results file to write");
    }
    for (int i = 0; st == CSIM_OK && i < options->files.count; i++) {
        csim__outputs outputs = {.output = options->output,
                                 .overwrite = options->overwrite,
                                 .input = options->files.text[i]};
        st = csim__check_outputs(app, &outputs);
    }
    return st;
}

static csim_status merge_run(csim__app *app, void *target)
{
    merge_options *options = target;
    csim_context *ctx = app->ctx;
    csim_results **parts = NULL;
    char *line = NULL;
    int64_t start = (int64_t)time(NULL);
    int count = options->files.count, failed = 0;
    int64_t cells[CSIM_CELL_COUNT] = {0};
    csim__outputs outputs = {.output = options->output, .overwrite = options->overwrite};
    csim__lock lock = {.path = NULL};
    csim_status st = check_options(app, options);
    if (st == CSIM_OK) { st = csim__calloc(ctx, count, sizeof *parts, "parts", &parts); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__claim_output(app, &outputs, &lock));
    for (int i = 0; i < count; i++) {
        CSIM_TRY(csim_results_read(ctx, options->files.text[i], &parts[i]));
    }
    if (csim_context_rank(ctx) == 0) {
        st = csim_results_merge(parts, options->files.text, count);
        if (st == CSIM_OK) { st = csim__command_line(app, &line); }
        if (st == CSIM_OK) { st = csim_results_stamp(ctx, parts[0], line, start); }
    }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim_results_write(ctx, parts[0], options->output, options->overwrite));
    if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        printf("%s: %d parts joined\n", options->output, count);
        csim__count_cells(parts[0], cells);
        failed = cells[CSIM_CELL_FAILED] > 0;
    }
    st = csim__mpi(ctx, MPI_Bcast(&failed, 1, MPI_INT, 0, csim_context_comm(ctx)), "failures");
    if (failed) { app->exit_code = 3; }
done:
    csim__lock_release(ctx, &lock);
    for (int i = 0; parts != NULL && i < count; i++) { csim_results_free(&parts[i]); }
    csim__free(ctx, &parts);
    csim__free(ctx, &line);
    return st;
}

const csim__command csim__command_merge = {
    .name = "merge",
    .brief = "join the parts of a sweep that was run as a job array",
    .usage = "FILE...",
    .details = "Join the results files of sweep --part 1/N to N/N into the one that a single sweep "
               "would have written, value for value. Parts that are missing, there twice, or made "
               "from other inputs or with other options are refused.",
    .options_size = sizeof(merge_options),
    .groups = merge_groups,
    .run = merge_run,
};
