/* contrasim sweep: sets in, all requested measures over all requested pairs of layers out. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/machine.h"
#include "app/stop.h"
#include "app/sweep_finished.h"
#include "app/sweep_what.h"
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
     .min = 1,
     .max = 1e18,
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
    if (options->walltime == NULL) { return CSIM_OK; }
    return csim__stop_after(app->ctx, options->walltime);
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

/* Is there nothing left to do? A journal beside the output is of a sweep that is not finished, even
 * where an earlier one was. What is finished comes back. Collective; with --resume only. */
static csim_status look_for_finished(csim__app *app, const sweep_options *options,
                                     const csim_sweep_options *sweep, csim_set *const *sets,
                                     bool *finished, csim_results **results)
{
    csim_context *ctx = app->ctx;
    int there = 0;
    *finished = false;
    if (csim_context_rank(ctx) == 0) {
        there = csim__file_exists(options->output) && !csim__file_exists(sweep->journal);
    }
    csim_status st = csim__mpi(ctx, MPI_Bcast(&there, 1, MPI_INT, 0, csim_context_comm(ctx)),
                               "look at the output");
    CSIM_TRY(csim__vote(ctx, st));
    if (!there) { goto done; }
    CSIM_TRY(csim_results_read(ctx, options->output, results));
    CSIM_TRY(csim__sweep_finished(app, options->output, sweep, sets, options->what.sets.count,
                                  *results));
    *finished = true;
done:
    return st;
}

/* Write the file; what was saved on the way is not needed any more. Collective. */
static csim_status keep(csim__app *app, const sweep_options *options, const csim_results *results)
{
    csim_status st = CSIM_OK;
    if (options->output == NULL) { return CSIM_OK; }
    CSIM_TRY(csim_results_write(app->ctx, results, options->output,
                                options->overwrite || options->resume));
    st = forget(app->ctx, options);
done:
    return st;
}

/* Print what was asked for, say how it went. Collective; of a finished file rank 0 has the results. */
static csim_status deliver(csim__app *app, const sweep_options *options, bool finished,
                           csim_results *results)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    int64_t count[CSIM_CELL_COUNT] = {0};
    int print = csim__config_given(app->config, "", "format"), failed = 0;
    char summary[160] = "finished: nothing to do";
    int measures = results != NULL ? csim__count_cells(results, count) : 0;
    failed = count[CSIM_CELL_FAILED] > 0;
    CSIM_TRY(csim__mpi(ctx, MPI_Bcast(&failed, 1, MPI_INT, 0, csim_context_comm(ctx)), "failures"));
    if (failed) { app->exit_code = 3; }
    if (!finished) {
        snprintf(summary, sizeof summary,
                 "%d measure%s, %" PRId64 " value%s, %" PRId64 " undefined, %" PRId64 " failed",
                 measures, measures == 1 ? "" : "s", count[CSIM_CELL_DONE],
                 count[CSIM_CELL_DONE] == 1 ? "" : "s", count[CSIM_CELL_UNDEFINED],
                 count[CSIM_CELL_FAILED]);
    }
    if (print) {
        csim__logger_clear(&app->log);
        if (csim_context_rank(ctx) == 0) { st = print_results(app, options, results); }
        CSIM_TRY(csim__vote(ctx, st));
    }
    const char *between = options->output == NULL ? "" : finished ? " is " : ": ";
    if (options->output == NULL || print) {
        csim__log(ctx, CSIM_LOG_INFO, "%s%s%s", options->output != NULL ? options->output : "",
                  between, summary);
    } else if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        printf("%s%s%s\n", options->output, between, summary);
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
    CSIM_TRY(csim__open_sets(ctx, &options->what.sets, &options->what.input, sets));
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
                                  csim_sweep_options *sweep, char **journal, char **remark)
{
    csim_context *ctx = app->ctx;
    csim_status st = csim__sweep_part(ctx, options->part, sweep);
    if (st == CSIM_OK && options->output != NULL) { st = journal_of(ctx, options, journal); }
    if (st == CSIM_OK) {
        st = csim__format(ctx, remark, "BLAS threads: %lld", (long long)app->common.threads);
    }
    CSIM_TRY(csim__vote(ctx, st));
    if (*journal == NULL) { goto done; }
    sweep->journal = *journal;
    sweep->remark = *remark;
    sweep->resume = options->resume;
    sweep->overwrite = options->overwrite;
    sweep->stop = csim__stop_asked;
done:
    return st;
}

static csim_status sweep_run(csim__app *app, void *target)
{
    sweep_options *options = target;
    csim_context *ctx = app->ctx;
    char *journal = NULL, *remark = NULL;
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
    CSIM_TRY(csim__read_encoders(ctx, &options->what.encoders, memory, &encoders));
    CSIM_TRY(open_sets(app, options, sets));
    csim_sweep_options sweep;
    CSIM_TRY(csim__vote(
        ctx, csim__sweep_what_options(app, &options->what, measures, measure_count, &sweep)));
    sweep.memory = memory;
    sweep.encoders = (const csim_encoder *const *)encoders;
    sweep.encoder_count = options->what.encoders.count;
    sweep.progress = app->common.quiet ? NULL : csim__logger_progress;
    sweep.progress_user = &app->log;
    CSIM_TRY(prepare_saving(app, options, &sweep, &journal, &remark));
    if (options->resume) {
        CSIM_TRY(look_for_finished(app, options, &sweep, sets, &finished, &results));
    }
    if (!finished) {
        CSIM_TRY(csim_sweep(ctx, sets, options->what.sets.count, &sweep, &results));
        CSIM_TRY(csim__vote(ctx, describe_run(app, results, start)));
        CSIM_TRY(keep(app, options, results));
    }
    CSIM_TRY(deliver(app, options, finished, results));
done:
    csim__free(ctx, &remark);
    csim__free(ctx, &journal);
    csim_results_free(&results);
    csim__close_sets(ctx, options->what.sets.count, &sets);
    csim__free_encoders(ctx, options->what.encoders.count, &encoders);
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
