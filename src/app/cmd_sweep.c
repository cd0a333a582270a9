/* contrasim sweep: sets in, all requested measures over all requested pairs of layers out. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/machine.h"
#include "app/sweep_what.h"

/* What changes a result, and what does not, apart: only the first is written into it. */
typedef struct sweep_options {
    csim__sweep_what what;

    const char *output;
    int overwrite, format;
    int64_t memory;
} sweep_options;

static const csim_option how_table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(sweep_options, output),
     .metavar = "FILE",
     .help = "results file to write (netCDF)"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(sweep_options, overwrite),
     .help = "replace an existing results file"},
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(sweep_options, format),
     .choices = "text|csv|json",
     .help = "print the result on standard output, too"},
    {.name = "memory",
     .kind = CSIM_OPTION_SIZE,
     .offset = offsetof(sweep_options, memory),
     .metavar = "SIZE",
     .help = "memory limit of each rank, such as 4G; without it what the cgroup, SLURM or the "
             "machine leaves"},
    {.name = NULL},
};

static csim_status sweep_groups(csim__config *config, void *target)
{
    sweep_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group how = {"", "Output and resources", how_table, options, 0};
    CSIM_TRY(csim__sweep_what_groups(config, &options->what));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__config_positional(config, "set"));
    CSIM_TRY(csim__measure_groups(config, &options->what.measure_options));
done:
    return st;
}

/* All that is checked before the first byte is read; the same on every rank but for the output. */
static csim_status check_options(csim__app *app, const sweep_options *options)
{
    csim__config *config = app->config;
    if (options->what.sets.count == 0) {
        return csim__fail(app->ctx, CSIM_E_USAGE, "no set is named");
    }
    if (options->output == NULL && !csim__config_given(config, "", "format")) {
        return csim__fail(app->ctx, CSIM_E_USAGE,
                          "nowhere to put the result: give --output FILE, --format, or both");
    }
    csim__outputs outputs = {.output = options->output, .overwrite = options->overwrite};
    return csim__check_outputs(app, &outputs);
}

/* Cells of all measures by status; the number of measures. */
static int count_cells(csim_results *results, int64_t count[CSIM_CELL_COUNT])
{
    int measures = 0;
    int64_t pairs = csim_results_rows(results) * csim_results_cols(results);
    for (int v = 0; v < csim_results_count(results); v++) {
        const int8_t *cells = csim_results_cells(results, v);
        int64_t lists = csim_results_variable(results, v)->n_list;
        int64_t size = pairs * (lists > 0 ? lists : 1);
        for (int64_t i = 0; cells != NULL && i < size; i++) { count[cells[i]]++; }
        measures += cells != NULL;
    }
    return measures;
}

static csim_status print_results(csim__app *app, const sweep_options *options,
                                 csim_results *results)
{
    csim_context *ctx = app->ctx;
    csim_print_options print;
    csim__config *defaults = NULL;
    csim__option_group group = {"", "", csim_print_option_table, &print, 0};
    csim_status st = csim__config_create(ctx, "show", &defaults);
    if (st != CSIM_OK) { return st; }
    CSIM_TRY(csim__config_add(defaults, &group));
    print.format = options->format;
    CSIM_TRY(csim_results_print(ctx, results, &print, csim__stdout_sink, NULL));
done:
    csim__config_free(&defaults);
    return st;
}

/* Write the file, print what was asked for, say how it went. Collective. */
static csim_status deliver(csim__app *app, const sweep_options *options, csim_results *results)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    int64_t count[CSIM_CELL_COUNT] = {0};
    int print = csim__config_given(app->config, "", "format");
    char summary[160];
    int measures = count_cells(results, count);
    if (count[CSIM_CELL_FAILED] > 0) { app->exit_code = 3; }
    snprintf(summary, sizeof summary,
             "%d measure%s, %" PRId64 " value%s, %" PRId64 " undefined, %" PRId64 " failed",
             measures, measures == 1 ? "" : "s", count[CSIM_CELL_DONE],
             count[CSIM_CELL_DONE] == 1 ? "" : "s", count[CSIM_CELL_UNDEFINED],
             count[CSIM_CELL_FAILED]);
    if (options->output != NULL) {
        CSIM_TRY(csim_results_write(ctx, results, options->output, options->overwrite));
    }
    if (print) {
        csim__logger_clear(&app->log);
        if (csim_context_rank(ctx) == 0) { st = print_results(app, options, results); }
        CSIM_TRY(csim__vote(ctx, st));
    }
    if (options->output == NULL || print) {
        csim__log(ctx, CSIM_LOG_INFO, "%s%s%s", options->output != NULL ? options->output : "",
                  options->output != NULL ? ": " : "", summary);
    } else if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        printf("%s: %s\n", options->output, summary);
    }
done:
    return st;
}

static csim_status describe_run(csim__app *app, csim_results *results, int64_t start)
{
    csim_context *ctx = app->ctx;
    char *line = NULL, *config = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__config_write(app->config, &config));
    CSIM_TRY(csim_results_set_text(results, -1, "configuration", config));
    CSIM_TRY(csim__command_line(app, &line));
    CSIM_TRY(csim_results_stamp(ctx, results, line, start));
done:
    csim__free(ctx, &config);
    csim__free(ctx, &line);
    return st;
}

static csim_status open_sets(csim__app *app, const sweep_options *options, csim_set **sets)
{
    csim_context *ctx = app->ctx;
    csim__outputs outputs = {.output = options->output,
                             .overwrite = options->overwrite,
                             .encoders = &options->what.encoders,
                             .sets = sets,
                             .count = options->what.sets.count};
    csim_status st = CSIM_OK;
    for (int i = 0; i < options->what.sets.count; i++) {
        CSIM_TRY(csim_set_open(ctx, options->what.sets.text[i], &options->what.input, &sets[i]));
    }
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
    st = csim_sets_match(ctx, sets, options->what.sets.count);
done:
    return st;
}

/* Room for what the sweep gets, and the measures chosen. Local. */
static csim_status prepare_sweep(csim__app *app, const sweep_options *options, csim_set ***sets,
                                 csim_sweep_measure **measures, int *measure_count)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    const csim__sweep_what *what = &options->what;
    CSIM_TRY(csim__calloc(ctx, what->sets.count, sizeof **sets, "sets", sets));
    CSIM_TRY(check_options(app, options));
    CSIM_TRY(csim__sweep_what_measures(app, what, measures, measure_count));
done:
    return st;
}

static csim_status sweep_run(csim__app *app, void *target)
{
    sweep_options *options = target;
    csim_context *ctx = app->ctx;
    int64_t start = (int64_t)time(NULL), memory = options->memory;
    csim_set **sets = NULL;
    csim_sweep_measure *measures = NULL;
    csim_encoder **encoders = NULL;
    csim_results *results = NULL;
    int measure_count = 0;
    csim_status st = prepare_sweep(app, options, &sets, &measures, &measure_count);
    CSIM_TRY(csim__vote(ctx, st));
    if (memory == 0) { CSIM_TRY(csim__default_memory(ctx, &memory)); }
    CSIM_TRY(csim__read_encoders(ctx, &options->what.encoders, &encoders));
    CSIM_TRY(open_sets(app, options, sets));
    csim_sweep_options sweep = csim__sweep_what_options(&options->what, measures, measure_count);
    sweep.memory = memory;
    sweep.encoders = (const csim_encoder *const *)encoders;
    sweep.encoder_count = options->what.encoders.count;
    sweep.progress = app->common.quiet ? NULL : csim__logger_progress;
    sweep.progress_user = &app->log;
    CSIM_TRY(csim_sweep(ctx, sets, options->what.sets.count, &sweep, &results));
    CSIM_TRY(csim__vote(ctx, describe_run(app, results, start)));
    CSIM_TRY(deliver(app, options, results));
done:
    csim_results_free(&results);
    for (int i = 0; sets != NULL && i < options->what.sets.count; i++) { csim_set_free(&sets[i]); }
    csim__free_encoders(ctx, options->what.encoders.count, &encoders);
    csim__free(ctx, &sets);
    csim__free(ctx, &measures);
    return st;
}

const csim__command csim__command_sweep = {
    .name = "sweep",
    .brief = "compute measures over all pairs of layers and write a results file",
    .usage = "SET...",
    .details = "Compute every requested measure for every requested pair of layers of the sets, "
               "and write them to one netCDF file. The first set gives the rows, the second the "
               "columns; one set, or more than two, is compared with all.",
    .options_size = sizeof(sweep_options),
    .groups = sweep_groups,
    .more = csim__list_measures,
    .run = sweep_run,
};
