/* contrasim plan: what a sweep will take, foretold by the planner of the sweep; nothing is run. */
#include "app/machine.h"
#include "app/plan/plan.h"

enum { JSON = 1 };

static const csim_option word_table[] = {
    {.name = "what",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__plan_options, what),
     .choices = "sweep",
     .fallback = "sweep",
     .help = "what to plan, the same as the word without --what"},
    {.name = NULL},
};

static const csim_option shape_table[] = {
    {.name = "sites",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__plan_options, sites),
     .min = 1,
     .max = 1e5,
     .help = "layers of each set; then --examples is their number, such as 1e6"},
    {.name = "width",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__plan_options, width),
     .metavar = "LIST",
     .help = "neurons of each layer: one number, or one for every layer of a set, joined by ','"},
    {.name = "sets",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__plan_options, set_count),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .help = "sets of such layers"},
    {.name = "dtype",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__plan_options, dtype),
     .choices = "float64|float32|float16|bfloat16",
     .fallback = "float32",
     .help = "type of the numbers in the files"},
    {.name = NULL},
};

static const csim_option where_table[] = {
    {.name = "ranks",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__plan_options, ranks),
     .min = 1,
     .max = 1e6,
     .metavar = "N",
     .help = "ranks of the sweep; without it as many as plan itself has"},
    {.name = "nodes",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__plan_options, nodes),
     .fallback = "1",
     .min = 1,
     .max = 1e5,
     .metavar = "K",
     .help = "nodes that they run on, equally many on each"},
    {.name = "mem-per-node",
     .kind = CSIM_OPTION_SIZE,
     .offset = offsetof(csim__plan_options, node_memory),
     .min = 1,
     .max = 1e18,
     .metavar = "SIZE",
     .help = "memory of a node, such as 256G; four fifths of it are for the ranks"},
    {.name = "memory",
     .kind = CSIM_OPTION_SIZE,
     .offset = offsetof(csim__plan_options, memory),
     .min = 1,
     .max = 1e18,
     .metavar = "SIZE",
     .help = "memory limit of each rank, as sweep takes it; with neither a limit nor --ranks nor "
             "--nodes, that of this machine"},
    {.name = "part",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__plan_options, part),
     .metavar = "I/N",
     .help = "the I-th of N parts of the pairs, as sweep --part computes it in a job array"},
    {.name = "calibration",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__plan_options, calibration),
     .metavar = "FILE",
     .help = "speeds as perf --calibrate keeps them; without it contrasim/machine.json in "
             "$XDG_CONFIG_HOME or ~/.config, or typical ones"},
    {.name = NULL},
};

static const csim_option how_table[] = {
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__plan_options, format),
     .choices = "text|json",
     .fallback = "text",
     .help = "tables, or one JSON object"},
    {.name = "sbatch",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__plan_options, sbatch),
     .metavar = "FILE",
     .help = "write the job script that runs the sweep so, and goes on where it was stopped"},
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__plan_options, output),
     .metavar = "FILE",
     .help = "results file that the job writes; plan does not"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__plan_options, overwrite),
     .help = "replace an existing script"},
    {.name = NULL},
};

static csim_status plan_groups(csim__config *config, void *target)
{
    csim__plan_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group word = {"", "What to plan", word_table, options, 0};
    csim__option_group shapes = {"", "Shapes instead of sets", shape_table, options, 0};
    csim__option_group where = {"", "Where it is to run", where_table, options, 0};
    csim__option_group how = {"", "Output", how_table, options, 0};
    CSIM_TRY(csim__config_add(config, &word));
    CSIM_TRY(csim__sweep_what_groups(config, &options->sweep));
    CSIM_TRY(csim__config_add(config, &shapes));
    CSIM_TRY(csim__config_add(config, &where));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__config_positional(config, "what"));
    CSIM_TRY(csim__config_positional(config, "set"));
    CSIM_TRY(csim__measure_groups(config, &options->sweep.measure_options));
done:
    return st;
}

/* All that can be said before a file is looked at. Local. */
static csim_status check_options(csim__app *app, const csim__plan_options *o)
{
    csim__config *config = app->config;
    bool shapes = csim__config_given(config, "", "sites") ||
                  csim__config_given(config, "", "width") || csim__config_given(config, "", "sets");
    int64_t ranks = o->ranks > 0 ? o->ranks : csim_context_size(app->ctx);
    if (shapes && o->sweep.sets.count > 0) {
        return csim__fail(
            app->ctx, CSIM_E_USAGE,
            "both sets and shapes: name sets, or give --sites, --width and --examples");
    }
    if (!shapes && o->sweep.sets.count == 0) {
        return csim__fail(app->ctx, CSIM_E_USAGE,
                          "nothing to plan: name sets, or give --sites, --width and --examples");
    }
    if (shapes && (o->sites == 0 || o->width == NULL || o->sweep.input.examples == NULL)) {
        return csim__fail(app->ctx, CSIM_E_USAGE, "shapes need --sites, --width and --examples");
    }
    if (shapes && o->sbatch != NULL) {
        return csim__config_fail(config, "", "sbatch", "a job needs sets, found shapes");
    }
    if (o->sbatch != NULL && o->output == NULL) {
        return csim__config_fail(config, "", "sbatch", "the job needs --output FILE to write to");
    }
    if (o->nodes > ranks) {
        return csim__config_fail(config, "", "nodes", "%lld nodes for %lld rank%s",
                                 (long long)o->nodes, (long long)ranks, ranks == 1 ? "" : "s");
    }
    csim__outputs outputs = {
        .output = o->sbatch, .overwrite = o->overwrite, .input = o->sbatch ? o->output : NULL};
    return csim__check_outputs(app, &outputs);
}

/* Ranks, nodes and the memory they may take. Collective. */
static csim_status take_target(csim__app *app, csim__outlook *w)
{
    const csim__plan_options *o = w->options;
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    w->ranks = o->ranks > 0 ? (int)o->ranks : csim_context_size(ctx);
    w->threads = (int)app->common.threads;
    w->target = (csim__target){.machine = &w->calibration.machine, .nodes = (int)o->nodes};
    w->rank_memory = o->memory;
    w->limit = o->memory > 0 ? "--memory" : "none is given";
    if (o->node_memory > 0) {
        w->node_room = csim__max64(1, csim__rank_share(o->node_memory, 1));
        w->limit = o->memory > 0 ? "--memory and --mem-per-node" : "--mem-per-node";
    } else if (o->memory == 0 && o->ranks == 0 && !csim__config_given(app->config, "", "nodes")) {
        int64_t share = 0;
        CSIM_TRY(csim__default_memory(ctx, &share));
        w->node_room = share * w->ranks;
        w->limit = "what this machine leaves";
    }
    CSIM_TRY(csim__vote(ctx, csim__calibration_path(ctx, o->calibration, &w->calibration_path)));
    st = csim__calibration_read(ctx, w->calibration_path, o->calibration != NULL, &w->calibration);
done:
    return st;
}

/* Print, write the script, or say why not. Rank 0. */
static csim_status deliver(csim__app *app, csim__outlook *w)
{
    csim_status st = csim__outlook_make(app->ctx, w);
    if (st != CSIM_OK) { return st; }
    csim__logger_clear(&app->log);
    if (w->options->format == JSON) {
        CSIM_TRY(csim__outlook_print_json(app->ctx, w));
    } else {
        csim__outlook_print(w);
    }
    if (!w->fits) { return csim__outlook_fail(app->ctx, w); }
    if (w->options->sbatch != NULL) { st = csim__outlook_script(app, w); }
done:
    return st;
}

static csim_status plan_run(csim__app *app, void *target)
{
    csim__plan_options *options = target;
    csim_context *ctx = app->ctx;
    csim__outlook w = {.options = options};
    csim_sweep_measure *measures = NULL;
    csim_encoder **encoders = NULL;
    int measure_count = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(ctx, check_options(app, options)));
    st = csim__sweep_what_measures(app, &options->sweep, &measures, &measure_count);
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(take_target(app, &w));
    CSIM_TRY(csim__read_encoders(ctx, &options->sweep.encoders, 0, &encoders));
    CSIM_TRY(csim__outlook_sets(app, &w));
    st = csim__sweep_what_options(app, &options->sweep, measures, measure_count, &w.sweep);
    if (st == CSIM_OK) { st = csim__sweep_part(ctx, options->part, &w.sweep); }
    if (st == CSIM_OK && w.sweep.grid_rows * w.sweep.grid_cols > w.ranks) {
        st = csim__fail(ctx, CSIM_E_USAGE, "a group of %d x %d ranks, but only %d ranks",
                        w.sweep.grid_rows, w.sweep.grid_cols, w.ranks);
    }
    CSIM_TRY(csim__vote(ctx, st));
    w.sweep.journal = options->output; /* pairs are saved beside it: rounds are short */
    w.sweep.encoders = (const csim_encoder *const *)encoders;
    w.sweep.encoder_count = options->sweep.encoders.count;
    if (csim_context_rank(ctx) == 0) { st = deliver(app, &w); }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK && options->sbatch != NULL) {
        csim__log(ctx, CSIM_LOG_INFO, "job script written to %s", options->sbatch);
    }
done:
    csim__outlook_clear(ctx, &w);
    csim__free_encoders(ctx, options->sweep.encoders.count, &encoders);
    csim__free(ctx, &measures);
    return st;
}

const csim__command csim__command_plan = {
    .name = "plan",
    .brief = "foretell memory, time and work of a sweep on any number of ranks",
    .usage = "sweep [SET...]",
    .details =
        "Foretell what a sweep takes on any number of ranks and nodes, from the headers of the "
        "sets "
        "or from shapes alone: routes of the pairs, memory of a rank by array, bytes read and "
        "moved, "
        "time, and numbers of ranks that would be better. Nothing is computed, and nothing written "
        "but the job script of --sbatch. Ends with 1 where the sweep does not fit, and says what "
        "would.",
    .options_size = sizeof(csim__plan_options),
    .groups = plan_groups,
    .more = csim__list_measures,
    .run = plan_run,
};
