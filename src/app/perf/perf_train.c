#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/perf/perf_scaling.h"
#include "app/perf/perf_train.h"
#include "contrasim/train.h"
#include "io/file.h"

enum {
    BATCHES = 4,    /* of an epoch */
    LAYERS = 10,    /* of each set, where layers are compared */
    SETS_MOST = 128 /* of set items */
};

/* One training: seconds a step of the slowest rank, the parts of it, the flops of all ranks. */
typedef struct measured {
    csim__perf_phase phase[CSIM__PERF_PHASES];
    int phases;
    double step_s, step_flops;
    int64_t steps, counted;
} measured;

static csim_status open_sets(csim_context *ctx, const csim__perf_options *o, const char *folder,
                             csim_set **sets, int *count)
{
    csim_input_options input = {.neuron_axis = -1};
    csim_status st = CSIM_OK;
    *count = o->item == CSIM_ITEM_ROW ? (int)o->layers : (int)(o->layers / LAYERS);
    for (int s = 0; st == CSIM_OK && s < *count; s++) {
        char *spec = NULL;
        st = csim__format(ctx, &spec,
                          o->item == CSIM_ITEM_ROW ? "s%03d=%s/layer_%03d.npy"
                                                   : "s%03d=%s/layer_%02d?.npy",
                          s, folder, s);
        if (st == CSIM_OK) { st = csim_set_open(ctx, spec, &input, &sets[s]); }
        csim__free(ctx, &spec);
    }
    return st;
}

static csim_status collect(csim_context *ctx, measured *m)
{
    const csim_phase_report *list = NULL;
    int count = 0;
    csim_status st = csim_context_profile(ctx, &list, &count);
    if (st != CSIM_OK) { return st; }
    double seconds = 0, flops = 0;
    for (int i = 0; i < count && m->phases < CSIM__PERF_PHASES; i++) {
        const csim_phase_report *r = &list[i];
        csim__perf_phase *p = &m->phase[m->phases];
        if (strcmp(r->name, "epoch") == 0) { seconds = r->max_s; }
        if (strcmp(r->name, "step") == 0) { m->steps = r->calls; }
        if (strcmp(r->name, "train") == 0 || strcmp(r->name, "read") == 0 ||
            strcmp(r->name, "save") == 0) {
            continue;
        }
        *p = (csim__perf_phase){.calls = r->calls, .seconds = r->max_s, .flops = r->flops};
        snprintf(p->name, sizeof p->name, "%s", r->name);
        flops += r->flops;
        m->phases++;
    }
    m->step_s = m->steps > 0 ? seconds / (double)m->steps : 0;
    m->step_flops = m->steps > 0 ? flops / (double)m->steps : 0;
    m->counted = csim_context_memory_peak(ctx);
    return st;
}

/* A training with a context of its own, whose profile is that of this training alone. */
static csim_status train_once(csim__app *app, const csim__perf_options *o, const char *folder,
                              measured *m)
{
    csim_context *ctx = NULL;
    csim_set *sets[SETS_MOST] = {NULL};
    char *output = NULL, *before = NULL;
    int count = 0;
    csim_train_options train = {.item = o->item,
                                .temperature = 0.07,
                                .hidden = "512,256",
                                .out = 128,
                                .views = 1,
                                .head_out = 128,
                                .epochs = o->epochs,
                                .batch = o->batch,
                                .optimiser = -1,
                                .rate = -1,
                                .momentum = 0.9,
                                .decay = -1,
                                .rate_factor = -1,
                                .inits = 1,
                                .patience = 5};
    csim_status st = csim_context_create(csim_context_comm(app->ctx), &ctx);
    if (st != CSIM_OK) { return csim__fail(app->ctx, st, "%s", csim_status_text(st)); }
    csim_context_set_log(ctx, app->common.verbose ? CSIM_LOG_DEBUG : CSIM_LOG_ERROR,
                         csim__logger_sink, &app->log);
    CSIM_TRY(csim__vote(ctx, csim_train_resolve(ctx, &train)));
    CSIM_TRY(csim__vote(ctx, csim__format(ctx, &output, "%s/encoder.nc", folder)));
    CSIM_TRY(csim__vote(ctx, csim__file_previous(ctx, output, &before)));
    CSIM_TRY(open_sets(ctx, o, folder, sets, &count));
    csim_train_run run = {.output = output, .overwrite = 1};
    CSIM_TRY(csim_train(ctx, sets, count, &train, &run));
    CSIM_TRY(collect(ctx, m));
done:
    if (st != CSIM_OK) { csim__fail(app->ctx, st, "%s", csim_context_error(ctx)); }
    if (csim_context_rank(ctx) == 0 && output != NULL) { remove(output); }
    if (csim_context_rank(ctx) == 0 && before != NULL) { remove(before); }
    for (int s = 0; s < count; s++) { csim_set_free(&sets[s]); }
    csim__free(ctx, &before);
    csim__free(ctx, &output);
    csim_context_free(&ctx);
    return st;
}

static int faster(const void *a, const void *b)
{
    double x = ((const measured *)a)->step_s, y = ((const measured *)b)->step_s;
    return x < y ? -1 : x > y;
}

static void print_text(const csim__perf_options *o, int ranks, double peak, const measured *m)
{
    printf("%d rank%s; %s items, %" PRId64 " sites of %" PRId64 " neurons, batches of %" PRId64
           " examples; medians of %" PRId64 " trainings of %" PRId64 " steps\n",
           ranks, ranks == 1 ? "" : "s", o->item == CSIM_ITEM_ROW ? "row" : "set", o->layers,
           o->width, o->batch, o->repeat, m->steps);
    printf("peak: %.2f Gflop/s, single GEMM of %" PRId64 " x %" PRId64
           " on all ranks at the same time\n\n",
           peak / 1e9, o->gemm_size, o->gemm_size);
    printf("  %-12s %10s %10s %10s %10s %8s\n", "phase", "calls", "ms/step", "Gflop/step",
           "Gflop/s", "% peak");
    for (int i = 0; i < m->phases; i++) {
        const csim__perf_phase *p = &m->phase[i];
        double steps = (double)m->steps;
        printf("  %-12s %10" PRId64 " %10.3f", p->name, p->calls, 1e3 * p->seconds / steps);
        if (p->flops > 0) {
            printf(" %10.3f %10.2f %8.1f", p->flops / steps / 1e9, p->flops / p->seconds / 1e9,
                   100 * p->flops / p->seconds / peak);
        }
        printf("\n");
    }
    printf("  %-12s %10s %10.3f %10.3f %10.2f %8.1f\n", "whole step", "", 1e3 * m->step_s,
           m->step_flops / 1e9, m->step_flops / m->step_s / 1e9,
           100 * m->step_flops / m->step_s / peak);
    printf("  counted memory of rank 0: %.1f MiB\n", (double)m->counted / 1048576);
}

static csim_status print_json(csim_context *ctx, const csim__perf_options *o, int ranks,
                              double peak, const measured *m)
{
    json_t *phases = json_array();
    for (int i = 0; i < m->phases; i++) {
        const csim__perf_phase *p = &m->phase[i];
        json_array_append_new(phases, json_pack("{s:s, s:I, s:f, s:f}", "name", p->name, "calls",
                                                (json_int_t)p->calls, "seconds", p->seconds,
                                                "flops", p->flops));
    }
    json_t *all = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:o}", "item",
                            o->item == CSIM_ITEM_ROW ? "row" : "set", "ranks", ranks, "sites",
                            (json_int_t)o->layers, "width", (json_int_t)o->width, "batch",
                            (json_int_t)o->batch, "steps", (json_int_t)m->steps, "peak_flops_per_s",
                            peak, "step_s", m->step_s, "step_flops", m->step_flops, "of_peak",
                            m->step_flops / m->step_s / peak, "phases", phases);
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(all);
    if (text == NULL) { return csim__fail(ctx, CSIM_E_MEM, "no memory for the report"); }
    printf("%s\n", text);
    free(text);
    return CSIM_OK;
}

/* Sizes that the item takes when they are not given, and what can be checked of them. */
static csim_status settle(csim__app *app, csim__perf_options *o)
{
    bool rows = o->item == CSIM_ITEM_ROW;
    if (!csim__config_given(app->config, "", "layers")) { o->layers = rows ? 2 : 120; }
    if (!csim__config_given(app->config, "", "batch")) { o->batch = rows ? 1024 : 256; }
    o->examples = BATCHES * o->batch;
    if (!rows && (o->layers % LAYERS != 0 || o->layers < 2 * LAYERS)) {
        return csim__config_fail(app->config, "", "layers",
                                 "set items take a multiple of %d, at least %d", LAYERS,
                                 2 * LAYERS);
    }
    if ((rows ? o->layers : o->layers / LAYERS) > SETS_MOST || (rows && o->layers < 2)) {
        return csim__config_fail(app->config, "", "layers", "expected 2 to %d sets", SETS_MOST);
    }
    return CSIM_OK;
}

csim_status csim__perf_train(csim__app *app, const csim__perf_options *options)
{
    csim_context *ctx = app->ctx;
    csim__perf_options o = *options;
    measured *run = NULL;
    char *folder = NULL;
    double peak = 0;
    csim_status st = settle(app, &o);
    if (st == CSIM_OK) { st = csim__calloc(ctx, o.repeat, sizeof *run, "runs", &run); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__perf_data_write(ctx, &o, &folder));
    for (int64_t r = 0; r < o.repeat; r++) {
        for (int k = 0; k < (r == 0 ? 4 : 2); k++) {
            CSIM_TRY(csim__perf_peak(ctx, (int)o.gemm_size, CSIM_SINGLE_PRECISION, &peak));
        }
        CSIM_TRY(train_once(app, &o, folder, &run[r]));
    }
    csim__logger_clear(&app->log);
    qsort(run, (size_t)o.repeat, sizeof *run, faster);
    if (csim_context_rank(ctx) == 0) {
        const measured *m = &run[o.repeat / 2];
        if (o.format == 0) {
            print_text(&o, csim_context_size(ctx), peak, m);
        } else {
            st = print_json(ctx, &o, csim_context_size(ctx), peak, m);
        }
    }
    st = csim__vote(ctx, st);
done:
    csim__perf_data_remove(ctx, &o, &folder);
    csim__free(ctx, &run);
    return st;
}
