/* contrasim perf: the program's own speed against what the machine can multiply. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "app/machine.h"
#include "app/perf/calibration.h"
#include "app/perf/perf_scaling.h"
#include "app/perf/perf_train.h"

enum { PEAKS_FIRST = 4, PEAKS_BETWEEN = 2, COMPARE_SINGLE = 1, WHAT_TRAIN = 1, FORMAT_JSON = 1 };

static const csim_option what_table[] = {
    {.name = "what",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__perf_options, what),
     .choices = "sweep|train",
     .fallback = "sweep",
     .help = "what to measure, the same as the word without --what"},
    {.name = "examples",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, examples),
     .fallback = "4000",
     .min = 8,
     .max = 1e9,
     .help = "rows of each layer"},
    {.name = "width",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, width),
     .fallback = "768",
     .min = 1,
     .max = 1e6,
     .help = "neurons of each layer"},
    {.name = "layers",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, layers),
     .fallback = "12",
     .min = 1,
     .max = 1000,
     .help = "layers of the one set"},
    {.name = "measures",
     .letter = 'm',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__perf_options, measures),
     .fallback = "cka",
     .metavar = "LIST",
     .help = "names of measures joined by ',', or all"},
    {.name = "pairs",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__perf_options, pairs),
     .fallback = "all",
     .metavar = "WHICH",
     .help = "pairs of layers: all or within"},
    {.name = "precision",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__perf_options, precision),
     .choices = "double|single",
     .fallback = "double",
     .help = "precision of the pass over the examples"},
    {.name = "item",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__perf_options, item),
     .choices = "row|set",
     .fallback = "row",
     .help = "training: items of the loss"},
    {.name = "batch",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, batch),
     .min = 2,
     .max = 1e6,
     .help = "training: examples of a batch, of which an epoch has four; without it 1024 for rows, "
             "256 for sets; --layers is 2 or 120 then"},
    {.name = "epochs",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, epochs),
     .fallback = "8",
     .min = 1,
     .max = 1e6,
     .help = "training: epochs of each run"},
    {.name = NULL},
};

static const csim_option how_table[] = {
    {.name = "calibrate",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__perf_options, calibrate),
     .help = "measure the speeds that contrasim plan works with instead, and keep them in a file"},
    {.name = "calibration",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__perf_options, calibration),
     .metavar = "FILE",
     .help = "that file; without it contrasim/machine.json in $XDG_CONFIG_HOME or ~/.config"},
    {.name = "repeat",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, repeat),
     .fallback = "3",
     .min = 1,
     .max = 1000,
     .help = "runs; medians are reported"},
    {.name = "compare",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__perf_options, compare),
     .choices = "none|single",
     .fallback = "none",
     .help = "run with --precision single, too, in turn, and print the ratio"},
    {.name = "gemm-size",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__perf_options, gemm_size),
     .fallback = "1536",
     .min = 16,
     .max = 20000,
     .help = "rows and columns of the matrices whose product gives the peak"},
    {.name = "scaling",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__perf_options, scaling),
     .help =
         "sweep on the first 1, 2, 4, ... ranks of the job in turn: the same problem on all, and "
         "one that grows with them; --repeat counts rounds of all"},
    {.name = "extrap",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__perf_options, extrap),
     .metavar = "FILE",
     .help = "with --scaling: the time of each phase in each run as JSON Lines for Extra-P"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__perf_options, overwrite),
     .help = "replace that file if it is there"},
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__perf_options, format),
     .choices = "text|json",
     .fallback = "text",
     .help = "a table, or one JSON object"},
    {.name = NULL},
};

static csim_status perf_groups(csim__config *config, void *target)
{
    csim__perf_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group what = {"", "What to run", what_table, options, 0};
    csim__option_group how = {"", "How to measure", how_table, options, 0};
    CSIM_TRY(csim__config_add(config, &what));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__measure_groups(config, &options->measure_options));
    CSIM_TRY(csim__config_positional(config, "what"));
done:
    return st;
}

/* Measures and series, all that can be checked before a file is written. Local. */
static csim_status prepare(csim__app *app, const csim__perf_options *options, csim__perf *perf,
                           csim_sweep_measure **measures, int *measure_count)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    int *chosen = NULL, all = csim_measure_count();
    if (options->compare == COMPARE_SINGLE && options->precision == CSIM_SINGLE_PRECISION) {
        return csim__config_fail(app->config, "", "compare",
                                 "single is compared with --precision double");
    }
    CSIM_TRY(csim__calloc(ctx, all, sizeof *chosen, "measures", &chosen));
    CSIM_TRY(csim__calloc(ctx, all, sizeof **measures, "measures", measures));
    CSIM_TRY(csim__choose_measures(app->config, options->measures, chosen));
    for (int i = 0; i < all; i++) {
        if (chosen[i]) {
            (*measures)[(*measure_count)++] = (csim_sweep_measure){
                .measure = csim_measure_get(i), .options = options->measure_options[i]};
        }
    }
    perf->series[0].precision = (csim_precision)options->precision;
    perf->series[1].precision = CSIM_SINGLE_PRECISION;
    perf->count = options->compare == COMPARE_SINGLE ? 2 : 1;
    for (int i = 0; i < perf->count; i++) {
        csim__perf_series *s = &perf->series[i];
        CSIM_TRY(csim__calloc(ctx, options->repeat, sizeof *s->run, "runs", &s->run));
    }
done:
    csim__free(ctx, &chosen);
    return st;
}

/* Every series in turn, the peak in between, so that all meet the same state of the machine. */
static csim_status measure(csim__app *app, const csim__perf_options *options, const char *folder,
                           csim_sweep_options *sweep, csim__perf *perf)
{
    csim_status st = CSIM_OK;
    for (int64_t r = 0; r < options->repeat; r++) {
        for (int i = 0; i < perf->count; i++) {
            csim__perf_series *s = &perf->series[i];
            for (int k = 0; k < (r == 0 ? PEAKS_FIRST : PEAKS_BETWEEN); k++) {
                CSIM_TRY(csim__perf_peak(app->ctx, (int)options->gemm_size, s->precision,
                                         &perf->peak[s->precision]));
            }
            sweep->precision = s->precision;
            CSIM_TRY(csim__perf_sweep(app, csim_context_comm(app->ctx), folder, NULL, sweep,
                                      &s->cost, &s->run[r]));
        }
    }
done:
    return st;
}

static csim_status perf_run(csim__app *app, void *target)
{
    const csim__perf_options *options = target;
    csim_context *ctx = app->ctx;
    csim__perf perf = {
        .options = options, .ranks = csim_context_size(ctx), .threads = (int)app->common.threads};
    csim_sweep_measure *measures = NULL;
    char *folder = NULL;
    int measure_count = 0;
    int64_t memory = 0;
    csim_status checked = csim__vote(ctx, csim__perf_scaling_check(app, options));
    if (checked != CSIM_OK) { return checked; }
    if (options->calibrate) {
        return csim__calibrate(app, options->calibration, options->format == FORMAT_JSON);
    }
    if (options->what == WHAT_TRAIN) { return csim__perf_train(app, options); }
    csim_status st = prepare(app, options, &perf, &measures, &measure_count);
    CSIM_TRY(csim__vote(ctx, st));
    if (options->scaling) {
        st = csim__perf_scale(app, options, measures, measure_count);
        goto done;
    }
    CSIM_TRY(csim__default_memory(ctx, &memory));
    CSIM_TRY(csim__perf_data_write(ctx, options, &folder));
    csim_sweep_options sweep = {.measures = measures,
                                .measure_count = measure_count,
                                .pairs = options->pairs,
                                .memory = memory};
    CSIM_TRY(measure(app, options, folder, &sweep, &perf));
    csim__logger_clear(&app->log);
    if (csim_context_rank(ctx) == 0) { st = csim__perf_print(ctx, &perf); }
    st = csim__vote(ctx, st);
done:
    csim__perf_data_remove(ctx, options, &folder);
    for (int i = 0; i < 2; i++) { csim__free(ctx, &perf.series[i].run); }
    csim__free(ctx, &measures);
    return st;
}

const csim__command csim__command_perf = {
    .name = "perf",
    .brief = "measure the program's speed against the machine's",
    .usage = "[sweep|train]",
    .details =
        "Sweep synthetic layers, written as .npy files to a folder under $TMPDIR that is "
        "removed at the end, and report for each phase its time, its rate, and the share of "
        "the rate at which all ranks together multiply large matrices. With the word train, train "
        "an encoder on such layers instead, and report the parts of a step. With --calibrate, "
        "measure "
        "instead what contrasim plan foretells times from: products, decompositions, memory, "
        "messages, and files under $TMPDIR.",
    .options_size = sizeof(csim__perf_options),
    .groups = perf_groups,
    .more = csim__list_measures,
    .run = perf_run,
};
