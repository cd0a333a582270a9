/* What perf --scaling prints: one row a number of ranks, as tables or as JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "app/perf/perf_scaling.h"
#include "core/shard.h"

enum { JSON = 1, COLUMNS = 8 /* of ranks in a table of phases */ };

static const char *const precision_names[] = {"double", "single"};

/* A number of one run; NULL as the name of a phase stands for what needs none. */
typedef double quantity(const csim__perf_run *run, const char *phase);

static double total_seconds(const csim__perf_run *run, const char *phase)
{
    (void)phase;
    return run->total;
}

static double pass_seconds(const csim__perf_run *run, const char *phase)
{
    (void)phase;
    return run->pass;
}

static double phase_seconds(const csim__perf_run *run, const char *phase)
{
    const csim__perf_phase *p = csim__perf_phase_find(run, phase);
    return p != NULL ? p->seconds : 0;
}

/* A point of a series in the numbers that are printed. NaN: not known. */
typedef struct row {
    const csim__perf_point *point;
    const csim__perf_team *team;
    double total, pass; /* s, medians */
    double efficiency, pass_efficiency, gemm_efficiency, speed_up, serial;
    int idle; /* ranks without examples */
    bool crowded;
} row;

/* One of the two series. */
typedef struct series {
    const char *name;
    bool weak;
    row row[CSIM__PERF_TEAMS];
} series;

static double median(const csim__perf_point *point, int64_t rounds, quantity *of, const char *phase,
                     double *scratch)
{
    for (int64_t r = 0; r < rounds; r++) { scratch[r] = of(&point->run[r], phase); }
    return csim__perf_median(scratch, rounds);
}

/* Work of a rank in a second against that of one rank alone, within each round; the median. Where
 * the problem is the same, that is t(1) / (p·t(p)). */
static double efficiency(const csim__perf_point *first, const csim__perf_point *point, int ranks,
                         int64_t rounds, quantity *of, double *scratch)
{
    double share = point->plan.flops / (first->plan.flops * ranks);
    for (int64_t r = 0; r < rounds; r++) {
        double alone = of(&first->run[r], NULL), here = of(&point->run[r], NULL);
        if (!(alone > 0 && here > 0)) { return NAN; }
        scratch[r] = share * alone / here;
    }
    return csim__perf_median(scratch, rounds);
}

static double gemm_efficiency(const csim__perf_team *alone, const csim__perf_team *team,
                              int64_t rounds, double *scratch)
{
    for (int64_t r = 0; r < rounds; r++) {
        if (!(alone->peak[r] > 0)) { return NAN; }
        scratch[r] = team->peak[r] / (team->ranks * alone->peak[r]);
    }
    return csim__perf_median(scratch, rounds);
}

static row make_row(const csim__perf_scaling *s, const int *points, int t, bool weak,
                    double *scratch)
{
    const csim__perf_point *first = &s->point[points[0]], *point = &s->point[points[t]];
    const csim__perf_team *team = &s->team[t];
    int64_t rounds = s->options->repeat;
    int p = team->ranks;
    row r = {.point = point, .team = team, .serial = NAN};
    int64_t chunks = csim__shard(point->examples, 0, p).chunks;
    r.idle = chunks < p ? p - (int)chunks : 0;
    r.crowded = team->cores > 0 && team->wanted > team->cores;
    r.total = median(point, rounds, total_seconds, NULL, scratch);
    r.pass = median(point, rounds, pass_seconds, NULL, scratch);
    r.efficiency = efficiency(first, point, p, rounds, total_seconds, scratch);
    r.pass_efficiency = efficiency(first, point, p, rounds, pass_seconds, scratch);
    r.gemm_efficiency = gemm_efficiency(&s->team[0], team, rounds, scratch);
    r.speed_up = p * r.efficiency;
    /* Karp and Flatt 1990; it is about a problem of fixed size */
    if (!weak && p > 1) { r.serial = (1 / r.speed_up - 1.0 / p) / (1 - 1.0 / p); }
    return r;
}

static series make_series(const csim__perf_scaling *s, bool weak, double *scratch)
{
    series out = {.name = weak ? "weak" : "strong", .weak = weak};
    for (int t = 0; t < s->teams; t++) {
        out.row[t] = make_row(s, weak ? s->weak : s->strong, t, weak, scratch);
    }
    return out;
}

/* ---- text ---- */

static void print_share(double value)
{
    if (isfinite(value)) {
        printf(" %8.1f %%", 100 * value);
    } else {
        printf(" %10s", "-");
    }
}

static void print_row(const row *r)
{
    printf("  %6d %9" PRId64 " %11.3f %10.4f %9.3f", r->team->ranks, r->point->examples,
           r->point->plan.flops / r->team->ranks / 1e9, r->total, r->speed_up);
    print_share(r->efficiency);
    print_share(r->pass_efficiency);
    print_share(r->gemm_efficiency);
    if (isfinite(r->serial)) {
        printf(" %8.4f", r->serial);
    } else {
        printf(" %8s", "-");
    }
    if (r->crowded) {
        printf("  oversubscribed: %" PRId64 " threads on %" PRId64 " core%s", r->team->wanted,
               r->team->cores, r->team->cores == 1 ? "" : "s");
    }
    if (r->idle > 0) { printf("  %d rank%s without examples", r->idle, r->idle == 1 ? "" : "s"); }
    printf("\n");
}

/* Times of phases side by side, so many numbers of ranks at a time as fit a line. */
static void print_phases(const csim__perf_scaling *s, const series *one, const char *const *name,
                         int count, double *scratch)
{
    for (int from = 0; from < s->teams; from += COLUMNS) {
        int to = from + COLUMNS < s->teams ? from + COLUMNS : s->teams;
        printf("\n  %-12s", "phase, s");
        for (int t = from; t < to; t++) { printf(" %10d", s->team[t].ranks); }
        printf("\n");
        for (int k = 0; k < count; k++) {
            printf("  %-12s", name[k]);
            for (int t = from; t < to; t++) {
                printf(" %10.4f", median(one->row[t].point, s->options->repeat, phase_seconds,
                                         name[k], scratch));
            }
            printf("\n");
        }
    }
}

static void print_series(const csim__perf_scaling *s, const series *one, const char *const *name,
                         int count, double *scratch)
{
    const csim__perf_point *first = one->row[0].point, *last = one->row[s->teams - 1].point;
    if (one->weak) {
        printf("\nweak scaling: from %" PRId64 " to %" PRId64
               " examples, so that every rank has the planned work of one alone\n",
               first->examples, last->examples);
        if (first->plan.cross_pairs + first->plan.basis_pairs == 0) {
            printf("  (pairs go by Gram matrices of the examples, whose work grows with the square "
                   "of their number)\n");
        }
        if (first->examples < s->options->examples) {
            printf("  (one rank has fewer than --examples %" PRId64
                   ": with as much work for each of %d "
                   "ranks, pairs would go another way to their values)\n",
                   s->options->examples, s->team[s->teams - 1].ranks);
        }
    } else {
        printf("\nstrong scaling: %" PRId64 " examples\n", first->examples);
    }
    printf("  %6s %9s %11s %10s %9s %10s %10s %10s %8s\n", "ranks", "examples", "Gflop/rank",
           "time/s", "speed-up", "efficiency", "pass", "GEMM", "serial");
    for (int t = 0; t < s->teams; t++) { print_row(&one->row[t]); }
    print_phases(s, one, name, count, scratch);
}

static void print_text(const csim__perf_scaling *s, const series *both, double *scratch)
{
    const csim__perf_options *o = s->options;
    const char *name[CSIM__PERF_PHASES];
    int count = csim__perf_phase_names(s, name);
    printf("up to %d ranks of %d BLAS thread%s; %" PRId64 " layers of %" PRId64
           " neurons; measures %s, pairs %s; %s precision; medians of %" PRId64 " round%s\n",
           s->team[s->teams - 1].ranks, s->threads, s->threads == 1 ? "" : "s", o->layers, o->width,
           o->measures, o->pairs, precision_names[o->precision], o->repeat,
           o->repeat == 1 ? "" : "s");
    printf("efficiency of the whole sweep, of its pass, and of a GEMM of %" PRId64 " x %" PRId64
           " on every rank; serial: fraction of Karp and Flatt\n",
           o->gemm_size, o->gemm_size);
    for (int i = 0; i < 2; i++) { print_series(s, &both[i], name, count, scratch); }
}

/* ---- JSON ---- */

static json_t *all_runs(const csim__perf_point *point, int64_t rounds, quantity *of)
{
    json_t *list = json_array();
    for (int64_t r = 0; r < rounds; r++) {
        json_array_append_new(list, csim__perf_real(of(&point->run[r], NULL)));
    }
    return list;
}

static json_t *phases_json(const csim__perf_scaling *s, const csim__perf_point *point,
                           double *scratch)
{
    json_t *list = json_array();
    const csim__perf_run *run = &point->run[0];
    for (int k = 0; k < run->phases; k++) {
        const csim__perf_phase *p = &run->phase[k];
        double seconds = median(point, s->options->repeat, phase_seconds, p->name, scratch);
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:o, s:o}", "name", p->name, "calls",
                                        (json_int_t)p->calls, "seconds", csim__perf_real(seconds),
                                        "flops", csim__perf_real(p->flops)));
    }
    return list;
}

static json_t *row_json(const csim__perf_scaling *s, const row *r, double *scratch)
{
    const csim_sweep_cost *plan = &r->point->plan;
    int64_t rounds = s->options->repeat;
    json_t *out = json_pack(
        "{s:i, s:I, s:o, s:I, s:I, s:I, s:b, s:I, s:I, s:i}", "ranks", r->team->ranks, "examples",
        (json_int_t)r->point->examples, "planned_flops", csim__perf_real(plan->flops), "gram_pairs",
        (json_int_t)plan->gram_pairs, "cross_pairs", (json_int_t)plan->cross_pairs, "basis_pairs",
        (json_int_t)plan->basis_pairs, "oversubscribed", r->crowded, "node_threads",
        (json_int_t)r->team->wanted, "node_cores", (json_int_t)r->team->cores,
        "ranks_without_examples", r->idle);
    json_t *times = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "total_s", csim__perf_real(r->total),
        "total_s_runs", all_runs(r->point, rounds, total_seconds), "pass_s",
        csim__perf_real(r->pass), "pass_s_runs", all_runs(r->point, rounds, pass_seconds),
        "speed_up", csim__perf_real(r->speed_up), "efficiency", csim__perf_real(r->efficiency),
        "pass_efficiency", csim__perf_real(r->pass_efficiency), "gemm_efficiency",
        csim__perf_real(r->gemm_efficiency), "serial_fraction", csim__perf_real(r->serial),
        "phases", phases_json(s, r->point, scratch));
    if (out == NULL || times == NULL || json_object_update(out, times) != 0) {
        json_decref(out);
        out = NULL;
    }
    json_decref(times);
    return out;
}

static json_t *series_json(const csim__perf_scaling *s, const series *one, double *scratch)
{
    json_t *rows = json_array();
    int bad = rows == NULL;
    for (int t = 0; t < s->teams; t++) {
        bad |= json_array_append_new(rows, row_json(s, &one->row[t], scratch));
    }
    if (bad) {
        json_decref(rows);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "scaling", one->name, "rows", rows);
}

static csim_status print_json(csim_context *ctx, const csim__perf_scaling *s, const series *both,
                              double *scratch)
{
    const csim__perf_options *o = s->options;
    json_t *root =
        json_pack("{s:i, s:s, s:i, s:i, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:[o, o]}",
                  "schema", 1, "version", csim_version(), "ranks", s->team[s->teams - 1].ranks,
                  "threads", s->threads, "examples", (json_int_t)o->examples, "width",
                  (json_int_t)o->width, "layers", (json_int_t)o->layers, "measures", o->measures,
                  "pairs", o->pairs, "precision", precision_names[o->precision], "repeat",
                  (json_int_t)o->repeat, "gemm_size", (json_int_t)o->gemm_size, "series",
                  series_json(s, &both[0], scratch), series_json(s, &both[1], scratch));
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL) { return csim__fail(ctx, CSIM_E_MEM, "the report: out of memory"); }
    printf("%s\n", text);
    free(text);
    return CSIM_OK;
}

csim_status csim__perf_scaling_print(csim_context *ctx, const csim__perf_scaling *s)
{
    double *scratch = NULL;
    series *both = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, s->options->repeat, sizeof *scratch, "times of all runs", &scratch));
    CSIM_TRY(csim__alloc(ctx, 2, sizeof *both, "rows of the report", &both));
    for (int i = 0; i < 2; i++) { both[i] = make_series(s, i == 1, scratch); }
    if (s->options->format == JSON) {
        st = print_json(ctx, s, both, scratch);
    } else {
        print_text(s, both, scratch);
    }
done:
    csim__free(ctx, &both);
    csim__free(ctx, &scratch);
    return st;
}
