/* What perf prints: medians over the runs, as a table or as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/perf/perf.h"

enum { JSON = 1 };

static const char *const precision_names[] = {"double", "single"};

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double csim__perf_median(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, order);
    return (values[count / 2] + values[(count - 1) / 2]) / 2;
}

/* Median of a quantity over the runs of a series; scratch has room for one number a run. */
typedef double quantity(const csim__perf_run *run, int phase);

static double median(const csim__perf_series *s, int64_t runs, quantity *of, int phase,
                     double *scratch)
{
    for (int64_t r = 0; r < runs; r++) { scratch[r] = of(&s->run[r], phase); }
    return csim__perf_median(scratch, runs);
}

static double phase_seconds(const csim__perf_run *run, int phase)
{
    return run->phase[phase].seconds;
}

static double total_seconds(const csim__perf_run *run, int phase)
{
    (void)phase;
    return run->total;
}

static double pass_seconds(const csim__perf_run *run, int phase)
{
    (void)phase;
    return run->pass;
}

/* A series in the numbers that are printed. */
typedef struct summary {
    const csim__perf_series *series;
    const csim__perf_run *run; /* the first: names, calls and flops are those of every run */
    double seconds[CSIM__PERF_PHASES], total, pass, peak;
    int64_t counted, resident, planned;
} summary;

static summary summarise(const csim__perf *perf, int i, double *scratch)
{
    const csim__perf_series *s = &perf->series[i];
    int64_t runs = perf->options->repeat;
    summary sum = {.series = s, .run = &s->run[0], .peak = perf->peak[s->precision]};
    for (int k = 0; k < sum.run->phases; k++) {
        sum.seconds[k] = median(s, runs, phase_seconds, k, scratch);
    }
    sum.total = median(s, runs, total_seconds, 0, scratch);
    sum.pass = median(s, runs, pass_seconds, 0, scratch);
    sum.planned = s->cost.example_bytes + s->cost.tile_bytes;
    for (int64_t r = 0; r < runs; r++) {
        sum.counted = csim__max64(sum.counted, s->run[r].counted);
        sum.resident = csim__max64(sum.resident, s->run[r].resident);
    }
    return sum;
}

static double rate(double flops, double seconds)
{
    return seconds > 0 ? flops / seconds : 0;
}

static double mebibytes(int64_t bytes)
{
    return (double)bytes / 1048576;
}

/* A work without flops has no rate. */
static void print_row(const char *name, int64_t calls, double seconds, double flops, double peak)
{
    printf("  %-12s %8" PRId64 " %10.4f", name, calls, seconds);
    if (flops > 0) {
        double r = rate(flops, seconds);
        printf(" %10.3f %10.2f %8.1f", flops / 1e9, r / 1e9, 100 * r / peak);
    }
    printf("\n");
}

static void print_series(const summary *s)
{
    const csim_sweep_cost *cost = &s->series->cost;
    printf("\n%s precision\n", precision_names[s->series->precision]);
    printf("  %-12s %8s %10s %10s %10s %8s\n", "phase", "calls", "time/s", "Gflop", "Gflop/s",
           "% peak");
    for (int k = 0; k < s->run->phases; k++) {
        const csim__perf_phase *p = &s->run->phase[k];
        print_row(p->name, p->calls, s->seconds[k], p->flops, s->peak);
    }
    print_row("pass", 1, s->pass, s->run->pass_flops, s->peak);
    print_row("total", 1, s->total, 0, s->peak);
    printf("  memory of a rank: %.1f MiB counted at most, %.1f MiB planned (%.1f examples, %.1f "
           "tiles): ratio %.3f; VmHWM %.1f MiB\n",
           mebibytes(s->counted), mebibytes(s->planned), mebibytes(cost->example_bytes),
           mebibytes(cost->tile_bytes), (double)s->counted / (double)s->planned,
           mebibytes(s->resident));
}

static void print_text(const csim__perf *perf, const summary *s)
{
    const csim__perf_options *o = perf->options;
    printf("%d rank%s of %d BLAS thread%s; %" PRId64 " layers of %" PRId64 " x %" PRId64
           "; measures %s, pairs %s; medians of %" PRId64 "\n",
           perf->ranks, perf->ranks == 1 ? "" : "s", perf->threads, perf->threads == 1 ? "" : "s",
           o->layers, o->examples, o->width, o->measures, o->pairs, o->repeat);
    for (int p = 0; p < 2; p++) {
        if (perf->peak[p] > 0) {
            printf("peak: %.2f Gflop/s, %s GEMM of %" PRId64 " x %" PRId64
                   " on all ranks at the same time\n",
                   perf->peak[p] / 1e9, precision_names[p], o->gemm_size, o->gemm_size);
        }
    }
    for (int i = 0; i < perf->count; i++) { print_series(&s[i]); }
    if (perf->count == 2) {
        printf("\ndouble / single: pass %.3f, total %.3f\n", rate(s[0].pass, s[1].pass),
               rate(s[0].total, s[1].total));
    }
}

json_t *csim__perf_real(double value)
{
    json_t *number = json_real(value);
    return number != NULL ? number : json_null();
}

/* Every run's value beside the median: who doubts the median can look. */
static json_t *all_runs(const csim__perf_series *s, int64_t runs, quantity *of)
{
    json_t *list = json_array();
    for (int64_t r = 0; r < runs; r++) {
        json_array_append_new(list, csim__perf_real(of(&s->run[r], 0)));
    }
    return list;
}

static json_t *phase_json(const char *name, int64_t calls, double seconds, double flops,
                          double peak)
{
    return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "name", name, "calls", (json_int_t)calls,
                     "seconds", csim__perf_real(seconds), "flops", csim__perf_real(flops),
                     "flops_per_s", csim__perf_real(rate(flops, seconds)), "of_peak",
                     csim__perf_real(rate(flops, seconds) / peak));
}

static json_t *series_json(const summary *s, int64_t runs)
{
    json_t *phases = json_array();
    for (int k = 0; k < s->run->phases; k++) {
        const csim__perf_phase *p = &s->run->phase[k];
        json_array_append_new(phases,
                              phase_json(p->name, p->calls, s->seconds[k], p->flops, s->peak));
    }
    const csim_sweep_cost *cost = &s->series->cost;
    json_t *memory = json_pack("{s:I, s:I, s:I, s:o, s:I}", "counted_bytes", (json_int_t)s->counted,
                               "example_bytes", (json_int_t)cost->example_bytes, "tile_bytes",
                               (json_int_t)cost->tile_bytes, "counted_of_planned",
                               csim__perf_real((double)s->counted / (double)s->planned),
                               "resident_bytes", (json_int_t)s->resident);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "precision",
                     precision_names[s->series->precision], "peak_flops_per_s",
                     csim__perf_real(s->peak), "total_s", csim__perf_real(s->total), "total_s_runs",
                     all_runs(s->series, runs, total_seconds), "pass",
                     phase_json("pass", 1, s->pass, s->run->pass_flops, s->peak), "pass_s_runs",
                     all_runs(s->series, runs, pass_seconds), "phases", phases, "memory", memory);
}

static csim_status print_json(csim_context *ctx, const csim__perf *perf, const summary *s)
{
    const csim__perf_options *o = perf->options;
    json_t *list = json_array();
    for (int i = 0; i < perf->count; i++) {
        json_array_append_new(list, series_json(&s[i], o->repeat));
    }
    json_t *root =
        json_pack("{s:i, s:s, s:i, s:i, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:o}", "schema", 1,
                  "version", csim_version(), "ranks", perf->ranks, "threads", perf->threads,
                  "examples", (json_int_t)o->examples, "width", (json_int_t)o->width, "layers",
                  (json_int_t)o->layers, "measures", o->measures, "pairs", o->pairs, "repeat",
                  (json_int_t)o->repeat, "gemm_size", (json_int_t)o->gemm_size, "series", list);
    if (root != NULL && perf->count == 2) {
        json_object_set_new(root, "double_over_single",
                            json_pack("{s:o, s:o}", "pass",
                                      csim__perf_real(rate(s[0].pass, s[1].pass)), "total",
                                      csim__perf_real(rate(s[0].total, s[1].total))));
    }
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL) { return csim__fail(ctx, CSIM_E_MEM, "the report: out of memory"); }
    printf("%s\n", text);
    free(text);
    return CSIM_OK;
}

csim_status csim__perf_print(csim_context *ctx, const csim__perf *perf)
{
    double *scratch = NULL;
    csim_status st =
        csim__alloc(ctx, perf->options->repeat, sizeof *scratch, "times of all runs", &scratch);
    if (st != CSIM_OK) { return st; }
    summary s[2];
    for (int i = 0; i < perf->count; i++) { s[i] = summarise(perf, i, scratch); }
    if (perf->options->format == JSON) {
        st = print_json(ctx, perf, s);
    } else {
        print_text(perf, s);
    }
    csim__free(ctx, &scratch);
    return st;
}
