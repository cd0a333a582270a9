/* The memory that is foretold of sweeps against what they take, of problems drawn at random:
 *     tests/mpiexec.sh RANKS audit_plan SEED FIRST COUNT [BOUND]
 * A problem of a seed is the same in every run on as many ranks: shapes, types of numbers, measures of all
 * families, pairs and parts, statistics, groups, and a limit from what the sweep takes at least to what it
 * takes without one. Those that take less than 1 MiB, or long, are left out. One line each: foretold over
 * counted, both of the rank with most. Where they are further apart than BOUND (0.1) there follows what was
 * there at the peak, by the plan and by the names of allocations. In the end the worst ones; `sort -n` puts
 * the lines of several runs into order.
 *
 * With a `c`: half of the neurons of every layer are constant, which no plan knows. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "sweep/plan/forecast.h"

enum { MOST_SITES = 6, OPTIONS = 4, NUMBERS = 9 << 20, NAMES = 256, WORST = 20 };
#define MIB 1048576.0

/* ---- what is there at the counted peak, by name ---- */

csim_status __real_csim__alloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                               void *out);
csim_status __real_csim__calloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                                void *out);
csim_status __real_csim__realloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                                 void *inout);
void __real_csim__free(csim_context *ctx, void *inout);
csim_status __wrap_csim__alloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                               void *out);
csim_status __wrap_csim__calloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                                void *out);
csim_status __wrap_csim__realloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                                 void *inout);
void __wrap_csim__free(csim_context *ctx, void *inout);

typedef struct named {
    const char *what;
    int64_t bytes, blocks;
} named;

static struct {
    struct {
        void *data;
        int64_t bytes;
        int name;
    } * block;
    int blocks, room, names;
    named name[NAMES], peak[NAMES]; /* now; when most was there */
    int64_t bytes, most;
} seen;

static int name_of(const char *what)
{
    int i = 0;
    while (i < seen.names && strcmp(seen.name[i].what, what) != 0) { i++; }
    if (i == NAMES) { return NAMES - 1; }
    if (i == seen.names) { seen.name[seen.names++].what = what; }
    return i;
}

static void add(void *data, int64_t bytes, const char *what)
{
    if (seen.blocks == seen.room) {
        seen.room = 2 * seen.room + 64;
        seen.block = realloc(seen.block, (size_t)seen.room * sizeof *seen.block);
        if (seen.block == NULL) { abort(); }
    }
    int k = seen.blocks++, name = name_of(what);
    seen.block[k].data = data;
    seen.block[k].bytes = bytes;
    seen.block[k].name = name;
    seen.name[name].bytes += bytes;
    seen.name[name].blocks++;
    seen.bytes += bytes;
    if ((double)seen.bytes > 1.001 * (double)seen.most) {
        seen.most = seen.bytes;
        memcpy(seen.peak, seen.name, sizeof seen.peak);
    }
}

static void take(const void *data)
{
    int k = seen.blocks - 1;
    while (k >= 0 && seen.block[k].data != data) { k--; }
    if (k < 0) { return; }
    named *name = &seen.name[seen.block[k].name];
    name->bytes -= seen.block[k].bytes;
    name->blocks--;
    seen.bytes -= seen.block[k].bytes;
    seen.block[k] = seen.block[--seen.blocks];
}

static void *pointer_at(const void *inout)
{
    void *data;
    memcpy(&data, inout, sizeof data);
    return data;
}

csim_status __wrap_csim__alloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                               void *out)
{
    csim_status st = __real_csim__alloc(ctx, n, size, what, out);
    if (st == CSIM_OK) { add(pointer_at(out), n * (int64_t)size, what); }
    return st;
}

csim_status __wrap_csim__calloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                                void *out)
{
    csim_status st = __real_csim__calloc(ctx, n, size, what, out);
    if (st == CSIM_OK) { add(pointer_at(out), n * (int64_t)size, what); }
    return st;
}

csim_status __wrap_csim__realloc(csim_context *ctx, int64_t n, size_t size, const char *what,
                                 void *inout)
{
    void *old = pointer_at(inout);
    csim_status st = __real_csim__realloc(ctx, n, size, what, inout);
    if (st == CSIM_OK) {
        add(pointer_at(inout), n * (int64_t)size, what);
        take(old);
    }
    return st;
}

void __wrap_csim__free(csim_context *ctx, void *inout)
{
    take(pointer_at(inout));
    __real_csim__free(ctx, inout);
}

static int most_bytes(const void *a, const void *b)
{
    const named *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static void print_arrays(const csim__forecast *f)
{
    printf("    plan, %s:", csim__stage_text(f->when));
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        double bytes = (double)f->room.array[i].bytes;
        if (!csim__room_there(&f->room, i, f->when) || bytes < 0.01 * (double)f->peak) { continue; }
        printf(" %s %.3f;", csim__room_key((csim__room_array)i), bytes / MIB);
    }
    printf("\n    counted:");
    qsort(seen.peak, NAMES, sizeof *seen.peak, most_bytes);
    for (int i = 0; i < NAMES && (double)seen.peak[i].bytes > 0.01 * (double)seen.most; i++) {
        printf(" %s %.3f (%lld);", seen.peak[i].what, (double)seen.peak[i].bytes / MIB,
               (long long)seen.peak[i].blocks);
    }
    printf("\n");
}

/* ---- problems ---- */

typedef struct problem {
    sweep_case c;
    char measures[256], option[OPTIONS][64];
    const char *options[OPTIONS + 1];
    bool constant;
    double share; /* of the way from what it takes at least to what it takes with room for all */
} problem;

static csim__rng dice;
static double *numbers; /* [NUMBERS] that all layers are made of */

static bool chance(double p)
{
    return csim__rng_uniform(&dice) < p;
}

/* Evenly distributed in the logarithm. */
static int between(int least, int most)
{
    return (int)(least * pow((double)most / least, csim__rng_uniform(&dice)) + 0.5);
}

static bool has(const problem *p, const char *measure)
{
    char list[264], name[64];
    snprintf(list, sizeof list, ",%s,", p->measures);
    snprintf(name, sizeof name, ",%s,", measure);
    return strstr(list, name) != NULL;
}

static void draw_measures(problem *p)
{
    int many = 1 + (int)csim__rng_below(&dice, 4), count = csim_measure_count();
    int at = (int)csim__rng_below(&dice, count);
    for (int i = 0; i < many; i++) {
        const csim_measure *m = csim_measure_get(at);
        if (!has(p, m->name)) {
            snprintf(p->measures + strlen(p->measures), sizeof p->measures - strlen(p->measures),
                     "%s%s", p->measures[0] ? "," : "", m->name);
        }
        /* the next one is as a rule of the same family */
        at = chance(0.6) ? (at + 1 + (int)csim__rng_below(&dice, 3)) % count
                         : (int)csim__rng_below(&dice, count);
    }
    p->c.measures = p->measures;
}

/* Needs of all measures together; whether they all have a property. */
static unsigned needs_of(const problem *p, unsigned property, bool *all)
{
    unsigned needs = 0;
    *all = true;
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *m = csim_measure_get(i);
        if (!has(p, m->name)) { continue; }
        needs |= m->needs;
        *all = *all && (m->props & property);
    }
    return needs;
}

static void draw_layers(problem *p, int n, int widest)
{
    int sites = 2 + (int)csim__rng_below(&dice, MOST_SITES - 1), same = between(20, widest);
    int kind = (int)csim__rng_below(&dice, 3), bytes = 2 << csim__rng_below(&dice, 3);
    for (int s = 0; s < sites; s++) {
        int d = kind == 0     ? same
                : kind == 1   ? between(20, widest)
                : chance(0.5) ? same
                              : same / 8 + 4;
        int64_t rest = NUMBERS - (int64_t)n * d;
        d = rest < 0 ? (int)(NUMBERS / n) : d;
        rest = NUMBERS - (int64_t)n * d;
        case_add(&p->c,
                 chance(0.3) && s > 0 ? p->c.site[s - 1].set
                 : s > sites / 2      ? "b"
                                      : "a",
                 numbers + csim__rng_below(&dice, rest + 1), n, d);
        p->c.site[s].bytes = bytes;
    }
}

static void draw_options(problem *p)
{
    int many = 0;
    for (int i = 0; i < csim_measure_count() && many < OPTIONS - 1; i++) {
        const csim_measure *m = csim_measure_get(i);
        if (!has(p, m->name) || !(m->needs & CSIM_NEEDS_NEIGHBOURS) || chance(0.5)) { continue; }
        snprintf(p->option[many], sizeof *p->option, "--%s.k=%d", m->name, between(2, 60));
        p->options[many] = p->option[many];
        many++;
    }
    if (has(p, "rsa") && chance(0.6)) {
        static const char *const outer[] = {"pearson", "cosine", "spearman", "kendall"};
        snprintf(p->option[many], sizeof *p->option, "--rsa.outer=%s",
                 outer[csim__rng_below(&dice, 4)]);
        p->options[many] = p->option[many];
    }
    p->c.options = p->options;
}

static void draw(problem *p, uint64_t seed, uint64_t number, int size)
{
    bool all;
    *p = (problem){.share = 1};
    dice = csim__rng_start(seed, number);
    draw_measures(p);
    unsigned needs = needs_of(p, CSIM_SINGLE, &all);
    bool stored = has(p, "rsm_diff") || has(p, "rsa");
    bool square = (needs & (CSIM_NEEDS_KERNELS | CSIM_NEEDS_NEIGHBOURS)) != 0;
    int most = stored ? 1000 : square ? 3000 : 12000;
    int widest = needs & (CSIM_NEEDS_BLOCK | CSIM_NEEDS_UNIT) ? 350 : 1200;
    draw_layers(p, between(150, most), widest);
    draw_options(p);
    p->c.pairs = (const char *const[]){"all", "cross", "within"}[csim__rng_below(&dice, 3)];
    p->c.precision = all && chance(0.3) ? CSIM_SINGLE_PRECISION : CSIM_DOUBLE;
    if (chance(0.15)) {
        p->c.parts = 2 + (int)csim__rng_below(&dice, 2);
        p->c.part = 1 + (int)csim__rng_below(&dice, p->c.parts);
    }
    switch (csim__rng_below(&dice, 12)) {
    case 0:
        p->c.null = CSIM_NULL_ANALYTIC;
        break;
    case 1:
        p->c.null = p->c.site[0].n < 1500 ? CSIM_NULL_SHIFT : CSIM_NULL_NONE;
        break;
    case 2:
        p->c.null = CSIM_NULL_PERMUTATION;
        p->c.permutations = 3;
        break;
    case 3:
        p->c.jackknife = 16 + csim__rng_below(&dice, 9);
        break;
    default:
        break;
    }
    if (size > 1 && chance(0.1)) {
        p->c.grid_rows = 1;
        p->c.grid_cols = size;
        p->c.grid_from = 64;
    }
    if (chance(0.75)) { p->share = chance(0.2) ? 0 : csim__rng_uniform(&dice) * 0.999; }
    p->constant = chance(0.03);
}

/* Half of the neurons of every layer become constant. */
static double *make_holes(problem *p)
{
    double *holes = ref_alloc(NUMBERS, sizeof *holes);
    int d = p->c.site[0].d;
    for (int64_t k = 0; k < NUMBERS; k++) { holes[k] = k % d < d / 2 ? 1 : numbers[k]; }
    for (int s = 0; s < p->c.count; s++) {
        p->c.site[s].x = holes;
        p->c.site[s].d = d;
    }
    return holes;
}

/* What is asked for. */
static void describe(const problem *p, char *out, size_t size)
{
    static const char *const nulls[] = {"", ", analytic", ", permutations", ", shifts"};
    size_t at = (size_t)snprintf(out, size, "%d x (", p->c.site[0].n);
    for (int s = 0; s < p->c.count; s++) {
        bool other = s > 0 && strcmp(p->c.site[s].set, p->c.site[s - 1].set) != 0;
        const char *before = other ? "/" : s > 0 ? "," : "";
        at += (size_t)snprintf(out + at, size - at, "%s%d", before, p->c.site[s].d);
    }
    at += (size_t)snprintf(out + at, size - at, ") f%d%s %s, -m %s", p->c.site[0].bytes,
                           p->c.precision == CSIM_SINGLE_PRECISION ? " single" : "", p->c.pairs,
                           p->measures);
    for (int i = 0; p->options[i] != NULL; i++) {
        at += (size_t)snprintf(out + at, size - at, " %s", p->options[i]);
    }
    snprintf(out + at, size - at, ", limit %lld%s%s%s%s", (long long)p->c.memory, nulls[p->c.null],
             p->c.parts > 0 ? ", part" : "", p->c.jackknife > 0 ? ", jackknife" : "",
             p->c.grid_rows > 0 ? ", groups" : "");
}

/* ---- one problem ---- */

typedef struct outcome {
    double ratio; /* 0: it was left out */
    char line[1024];
} outcome;

static csim_status foretell(csim_context *ctx, problem *p, const char *folder, int64_t memory,
                            csim__forecast *f)
{
    csim_results *none = NULL;
    p->c.memory = memory;
    p->c.forecast = f;
    csim_status st = case_sweep(ctx, &p->c, folder, &none);
    p->c.forecast = NULL;
    return st;
}

/* Its limit, and what is foretold then; false: it is not to be swept. */
static bool set_limit(csim_context *ctx, problem *p, const char *folder, csim__forecast *f)
{
    const double flops = 1.5e11, bytes_read = 5e9;
    const int64_t least_peak = 1 << 20;
    csim_status st = foretell(ctx, p, folder, 0, f);
    if (st == CSIM_OK && p->share < 1) {
        int64_t most = f->peak;
        foretell(ctx, p, folder, 1, f);
        csim__forgive(ctx);
        double least = (double)f->peak, limit = least * pow((double)most / least, p->share);
        st = foretell(ctx, p, folder, csim__max64(f->peak, (int64_t)limit), f);
        /* what is said to be enough must be */
        if (st != CSIM_OK && csim_context_rank(ctx) == 0) {
            printf("0 refused: -m %s: %s\n", p->measures, csim_context_error(ctx));
        }
    }
    csim__forgive(ctx);
    return st == CSIM_OK && f->peak > least_peak && f->flops < flops && f->effort.read < bytes_read;
}

static void run(csim_context *ctx, problem *p, int number, const char *folder, double bound,
                outcome *out)
{
    csim__forecast f;
    csim_results *results = NULL;
    char what[512];
    if (!set_limit(ctx, p, folder, &f)) { return; }
    int64_t live = csim_context_memory_live(ctx);
    memset(&seen.peak, 0, sizeof seen.peak);
    seen.most = 0;
    csim_status st = case_sweep(ctx, &p->c, folder, &results);
    csim_results_free(&results);
    struct {
        double bytes;
        int rank;
    } mine = {(double)(csim_context_memory_peak(ctx) - live), csim_context_rank(ctx)}, most;
    MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, csim_context_comm(ctx));
    describe(p, what, sizeof what);
    out->ratio = (double)f.peak / most.bytes;
    snprintf(out->line, sizeof out->line,
             "%.3f %d%s %.2f / %.2f MiB, %d ranks (most on %d and %d): %s: %s, %lld tiles, %lld "
             "passes, %s%s",
             out->ratio, number, p->constant ? " c" : "", (double)f.peak / MIB, most.bytes / MIB,
             csim_context_size(ctx), f.rank, most.rank, what, f.streamed ? "streamed" : "held",
             (long long)f.plans, (long long)f.passes, csim__stage_text(f.when),
             st != CSIM_OK ? ", FAILED" : "");
    if (csim_context_rank(ctx) != most.rank) { return; }
    printf("%s\n", out->line);
    if (st != CSIM_OK) { printf("    %s\n", csim_context_error(ctx)); }
    if (fabs(log(out->ratio)) > log(1 + bound)) { print_arrays(&f); }
    fflush(stdout);
}

static int worst_first(const void *a, const void *b)
{
    double x = fabs(log(((const outcome *)a)->ratio)), y = fabs(log(((const outcome *)b)->ratio));
    return (x < y) - (x > y);
}

static void one_problem(uint64_t seed, int number, double bound, outcome *out)
{
    csim_context *ctx = harness_context();
    problem p;
    char folder[CASE_PATH];
    draw(&p, seed, (uint64_t)number, csim_context_size(ctx));
    double *holes = p.constant ? make_holes(&p) : NULL;
    case_write(ctx, &p.c, folder);
    run(ctx, &p, number, folder, bound, out);
    case_remove(ctx, &p.c, folder);
    free(holes);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    int rank, done = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (argc < 4) {
        fprintf(stderr, "usage: audit_plan SEED FIRST COUNT [BOUND]\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    uint64_t seed = strtoull(argv[1], NULL, 10);
    int first = (int)strtol(argv[2], NULL, 10), count = (int)strtol(argv[3], NULL, 10);
    double bound = argc > 4 ? strtod(argv[4], NULL) : 0.1;
    outcome *out = ref_alloc(count, sizeof *out);
    numbers = ref_alloc(NUMBERS, sizeof *numbers);
    ref_random_matrix(seed, NUMBERS, 1, numbers);
    for (int i = first; i < first + count; i++) {
        one_problem(seed, i, bound, &out[done]);
        done += out[done].ratio > 0;
    }
    qsort(out, (size_t)done, sizeof *out, worst_first);
    for (int i = 0; rank == 0 && i < done && i < WORST; i++) { printf("worst: %s\n", out[i].line); }
    free(out);
    free(numbers);
    MPI_Finalize();
    return 0;
}
