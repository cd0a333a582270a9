/* contrasim sweep: sets in, all requested measures over all requested pairs of layers out. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/machine.h"
#include "app/stop.h"
#include "app/sweep_what.h"
#include "core/text.h"
#include "io/file.h"

/* What changes a result, and what does not, apart: only the first is written into it. */
typedef struct sweep_options {
    csim__sweep_what what;

    const char *output, *part, *walltime;
    int overwrite, resume, format;
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
     .help = "replace an existing results file, and what a sweep that did not finish has saved"},
    {.name = "resume",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(sweep_options, resume),
     .help = "go on from FILE.journal, in which finished pairs are kept until the results are "
             "written, or start where there is none; with a finished file there is nothing to do"},
    {.name = "walltime",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(sweep_options, walltime),
     .metavar = "TIME",
     .help = "finish the pairs in hand, save and end with exit code 85 after this time, like "
             "sbatch --time: minutes, H:MM:SS, D-HH:MM:SS"},
    {.name = "part",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(sweep_options, part),
     .metavar = "I/N",
     .help = "compute the I-th of N parts of the pairs, for job arrays; merge joins the files"},
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

/* What the options say, checked before the first byte is read; the same on every rank. */
static csim_status check_options(csim__app *app, const sweep_options *options)
{
    if (options->what.sets.count == 0) {
        return csim__fail(app->ctx, CSIM_E_USAGE, "no set is named");
    }
    if (options->output == NULL && !csim__config_given(app->config, "", "format")) {
        return csim__fail(app->ctx, CSIM_E_USAGE,
                          "nowhere to put the result: give --output FILE, --format, or both");
    }
    if ((options->resume || options->walltime != NULL) && options->output == NULL) {
        return csim__fail(app->ctx, CSIM_E_USAGE,
                          "%s needs --output: finished pairs are kept beside it",
                          options->resume ? "--resume" : "--walltime");
    }
    if (options->resume && options->overwrite) {
        return csim__fail(app->ctx, CSIM_E_USAGE, "--resume and --overwrite contradict each other");
    }
    return CSIM_OK;
}

/* "2/8" as part 2 of 8. */
static csim_status read_part(csim_context *ctx, const char *text, csim_sweep_options *sweep)
{
    int end = 0;
    if (text == NULL) { return CSIM_OK; }
    if (sscanf(text, "%9d/%9d%n", &sweep->part, &sweep->parts, &end) != 2 || text[end] != 0 ||
        sweep->part < 1 || sweep->part > sweep->parts) {
        return csim__fail(ctx, CSIM_E_USAGE,
                          "--part: found '%s', expected I/N with 1 <= I <= N, such as 2/8", text);
    }
    return CSIM_OK;
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

static csim_status journal_of(csim_context *ctx, const sweep_options *options, char **journal)
{
    char *file = NULL;
    csim_status st = csim__file_target(ctx, options->output, &file);
    if (st == CSIM_OK) { st = csim__format(ctx, journal, "%s.journal", file); }
    csim__free(ctx, &file);
    return st;
}

/* The work that was saved is not needed, or not wanted. Collective. */
static csim_status forget(csim_context *ctx, const sweep_options *options)
{
    char *journal = NULL;
    csim_status st = CSIM_OK;
    if (csim_context_rank(ctx) == 0) {
        st = journal_of(ctx, options, &journal);
        if (st == CSIM_OK) { st = csim__file_remove(ctx, journal); }
    }
    csim__free(ctx, &journal);
    return csim__vote(ctx, st);
}

/* Was a finished file made with these options, from inputs of these sizes? Rank 0. */
static csim_status check_finished(csim__app *app, const sweep_options *options,
                                  const csim_sweep_options *sweep, csim_set *const *sets,
                                  const csim_results *results)
{
    csim_context *ctx = app->ctx;
    char *config = NULL;
    int a = 0, b = 0;
    const csim_attribute *saved = csim_results_attribute_find(results, -1, "configuration");
    const csim_attribute *bytes = csim_results_attribute_find(results, -1, "input_bytes");
    const csim_attribute *part = csim_results_attribute_find(results, -1, "part");
    csim_status st = csim__config_write(app->config, &config);
    const char *there = saved != NULL ? saved->text : "", *here = config;
    if (st == CSIM_OK && csim__text_difference(&there, &a, &here, &b)) {
        st = csim__fail(ctx, CSIM_E_DATA,
                        "--resume: %s is finished, with other options: '%.*s' there, '%.*s' here",
                        options->output, a, there, b, here);
    }
    int64_t own[2] = {sweep->part, sweep->parts}, none[2] = {0, 0};
    const int64_t *other = part != NULL && part->count == 2 ? part->integers : none;
    if (st == CSIM_OK && memcmp(own, other, sizeof own) != 0) {
        st = csim__fail(ctx, CSIM_E_DATA,
                        "--resume: %s is finished, part %" PRId64 " of %" PRId64 " there, part %d "
                        "of %d here",
                        options->output, other[0], other[1], sweep->part, sweep->parts);
    }
    for (int i = 0; st == CSIM_OK && bytes != NULL && i < options->what.sets.count; i++) {
        if (i < bytes->count && bytes->integers[i] == csim_set_bytes(sets[i])) { continue; }
        st = csim__fail(ctx, CSIM_E_DATA,
                        "--resume: %s is finished, and set %s is of other size now",
                        options->output, csim_set_name(sets[i]));
    }
    csim__free(ctx, &config);
    return st;
}

/* Is there nothing left to do? A journal beside the output is of a sweep that is not finished, even
 * where an earlier one was. Collective; with --resume only. */
static csim_status look_for_finished(csim__app *app, const sweep_options *options,
                                     const csim_sweep_options *sweep, csim_set *const *sets,
                                     bool *finished)
{
    csim_context *ctx = app->ctx;
    csim_results *results = NULL;
    int there = 0;
    *finished = false;
    if (csim_context_rank(ctx) == 0) {
        there = csim__file_exists(options->output) && !csim__file_exists(sweep->journal);
    }
    csim_status st = csim__mpi(ctx, MPI_Bcast(&there, 1, MPI_INT, 0, csim_context_comm(ctx)),
                               "look at the output");
    CSIM_TRY(csim__vote(ctx, st));
    if (!there) { goto done; }
    CSIM_TRY(csim_results_read(ctx, options->output, &results));
    if (csim_context_rank(ctx) == 0) { st = check_finished(app, options, sweep, sets, results); }
    CSIM_TRY(csim__vote(ctx, st));
    *finished = true;
    if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        printf("%s is finished: nothing to do\n", options->output);
    }
done:
    csim_results_free(&results);
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
        CSIM_TRY(csim_results_write(ctx, results, options->output,
                                    options->overwrite || options->resume));
        CSIM_TRY(forget(ctx, options));
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

/* What a sweep keeps beside its output. */
static const char *const beside[] = {".journal", ".lock", NULL};

static csim_status open_sets(csim__app *app, const sweep_options *options, csim_set **sets)
{
    csim_context *ctx = app->ctx;
    csim__outputs outputs = {.output = options->output,
                             .beside = beside,
                             .overwrite = options->overwrite || options->resume,
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
    CSIM_TRY(csim__calloc(ctx, options->what.sets.count, sizeof **sets, "sets", sets));
    CSIM_TRY(check_options(app, options));
    st = csim__sweep_what_measures(app, &options->what, measures, measure_count);
done:
    return st;
}

/* What is saved as the sweep goes on, and when it stops. Collective. */
static csim_status prepare_saving(csim__app *app, const sweep_options *options,
                                  csim_sweep_options *sweep, char **journal)
{
    csim_context *ctx = app->ctx;
    csim_status st = read_part(ctx, options->part, sweep);
    if (st == CSIM_OK && options->output != NULL) { st = journal_of(ctx, options, journal); }
    if (st == CSIM_OK && options->walltime != NULL) {
        st = csim__stop_after(ctx, options->walltime);
    }
    CSIM_TRY(csim__vote(ctx, st));
    if (*journal == NULL) { goto done; }
    sweep->journal = *journal;
    sweep->resume = options->resume;
    sweep->stop = csim__stop_asked;
    if (options->overwrite) { CSIM_TRY(forget(ctx, options)); }
done:
    return st;
}

static csim_status sweep_run(csim__app *app, void *target)
{
    sweep_options *options = target;
    csim_context *ctx = app->ctx;
    char *journal = NULL;
    bool finished = false;
    int64_t start = (int64_t)time(NULL), memory = options->memory;
    csim_set **sets = NULL;
    csim_sweep_measure *measures = NULL;
    csim_encoder **encoders = NULL;
    csim_results *results = NULL;
    csim__outputs outputs = {.output = options->output,
                             .overwrite = options->overwrite || options->resume};
    csim__lock lock = {.path = NULL};
    int measure_count = 0;
    csim_status st = prepare_sweep(app, options, &sets, &measures, &measure_count);
    CSIM_TRY(csim__vote(ctx, st));
    if (options->output != NULL) { csim__stop_listen(); } /* else nothing is saved: just end */
    CSIM_TRY(csim__claim_output(app, &outputs, &lock));
    if (memory == 0) { CSIM_TRY(csim__default_memory(ctx, &memory)); }
    CSIM_TRY(csim__read_encoders(ctx, &options->what.encoders, &encoders));
    CSIM_TRY(open_sets(app, options, sets));
    csim_sweep_options sweep;
    CSIM_TRY(csim__vote(
        ctx, csim__sweep_what_options(app, &options->what, measures, measure_count, &sweep)));
    sweep.memory = memory;
    sweep.encoders = (const csim_encoder *const *)encoders;
    sweep.encoder_count = options->what.encoders.count;
    sweep.progress = app->common.quiet ? NULL : csim__logger_progress;
    sweep.progress_user = &app->log;
    CSIM_TRY(prepare_saving(app, options, &sweep, &journal));
    if (options->resume) { CSIM_TRY(look_for_finished(app, options, &sweep, sets, &finished)); }
    if (finished) { goto done; }
    CSIM_TRY(csim_sweep(ctx, sets, options->what.sets.count, &sweep, &results));
    CSIM_TRY(csim__vote(ctx, describe_run(app, results, start)));
    CSIM_TRY(deliver(app, options, results));
done:
    csim__free(ctx, &journal);
    csim_results_free(&results);
    for (int i = 0; sets != NULL && i < options->what.sets.count; i++) { csim_set_free(&sets[i]); }
    csim__free_encoders(ctx, options->what.encoders.count, &encoders);
    csim__free(ctx, &sets);
    csim__free(ctx, &measures);
    csim__lock_release(ctx, &lock);
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
