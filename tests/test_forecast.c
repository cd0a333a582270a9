/* What is foretold of a sweep: its memory against what the sweep takes, its time against sums by
 * hand, and that neither depends on where it is asked. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/shapes.h"
#include "reference.h"
#include "sweep/forecast.h"

enum { SITES = 8, MEASURES = 8 };

typedef struct problem {
    const char *name;
    int n, sites, width[SITES];
    const char *measures[MEASURES]; /* without options */
    csim_precision precision;
    const char *pairs;
    csim__route route; /* of all its pairs */
} problem;

static const problem problems[] = {
    {"Gram tiles",
     1500,
     6,
     {300, 300, 300, 250, 250, 250},
     {"cka"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_GRAM},
    {"Gram tiles, single",
     1500,
     6,
     {300, 300, 300, 250, 250, 250},
     {"cka"},
     CSIM_SINGLE_PRECISION,
     "all",
     CSIM__ROUTE_GRAM},
    {"cross products",
     3000,
     5,
     {120, 100, 80, 120, 60},
     {"cka", "hsic"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_CROSS},
    {"cross products, single",
     3000,
     5,
     {120, 100, 80, 120, 60},
     {"cka"},
     CSIM_SINGLE_PRECISION,
     "all",
     CSIM__ROUTE_CROSS},
    {"nuclear norms",
     1500,
     4,
     {150, 150, 90, 120},
     {"procrustes", "cka"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_CROSS},
    {"bases",
     2000,
     5,
     {150, 150, 90, 120, 30},
     {"cca_mean"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_BASIS},
    {"bases and vectors",
     1500,
     4,
     {150, 150, 90, 120},
     {"linreg", "cca_mean"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_BASIS},
    {"bases, few examples",
     200,
     4,
     {500, 400, 500, 300},
     {"cca_mean"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_BASIS},
    {"matching",
     1200,
     4,
     {150, 130, 150, 120},
     {"align_cos", "hard_corr", "norm"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_CROSS},
    {"all together",
     1000,
     4,
     {100, 130, 110, 120},
     {"cka", "cca_mean", "procrustes", "align_cos", "linreg", "norm", "eos"},
     CSIM_DOUBLE,
     "all",
     CSIM__ROUTE_BASIS},
};

enum { PROBLEMS = sizeof problems / sizeof problems[0] };

/* One set whose layers are drawn at random; NULL values: a set of shapes. */
typedef struct input {
    csim_memory_site site[SITES];
    char name[SITES][8];
    double *x[SITES];
    csim_set *set;
    csim_sweep_measure measure[MEASURES];
    csim_sweep_options options;
} input;

static void make_input(csim_context *ctx, const problem *p, bool values, input *in)
{
    int count = 0;
    memset(in, 0, sizeof *in);
    for (int s = 0; s < p->sites; s++) {
        snprintf(in->name[s], sizeof in->name[s], "l%d", s);
        if (values) {
            in->x[s] = ref_alloc((int64_t)p->n * p->width[s], sizeof(double));
            ref_random_matrix(70 + s, p->n, p->width[s], in->x[s]);
        }
        in->site[s] = (csim_memory_site){
            .name = in->name[s], .dtype = CSIM_F64, .d = p->width[s], .rows = in->x[s]};
    }
    csim_status st = values ? csim_set_from_memory(ctx, "m", p->n, in->site, p->sites, &in->set)
                            : csim__set_of_shapes(ctx, "m", p->n, in->site, p->sites, &in->set);
    assert_int_equal(st, CSIM_OK);
    for (; count < MEASURES && p->measures[count] != NULL; count++) {
        const csim_measure *m = csim_measure_find(p->measures[count]);
        assert_non_null(m);
        assert_null(m->options);
        in->measure[count] = (csim_sweep_measure){.measure = m};
    }
    in->options = (csim_sweep_options){.measures = in->measure,
                                       .measure_count = count,
                                       .pairs = p->pairs,
                                       .precision = p->precision};
}

static void free_input(input *in)
{
    csim_set_free(&in->set);
    for (int s = 0; s < SITES; s++) { free(in->x[s]); }
}

static csim_status foretell(csim_context *ctx, input *in, int size, const csim__machine *machine,
                            csim__forecast *f)
{
    csim__target target = {.machine = machine, .nodes = 1, .bytes_per_number = 4};
    return csim__sweep_forecast(ctx, &in->set, 1, &in->options, size, &target, f);
}

/* Counted memory of the rank with most while the sweep of a problem runs. */
static int64_t sweep_peak(csim_context *ctx, input *in)
{
    csim_results *results = NULL;
    int64_t before = csim_context_memory_live(ctx), mine, most = 0;
    assert_int_equal(csim_sweep(ctx, &in->set, 1, &in->options, &results), CSIM_OK);
    csim_results_free(&results);
    mine = csim_context_memory_peak(ctx) - before;
    MPI_Allreduce(&mine, &most, 1, MPI_INT64_T, MPI_MAX, csim_context_comm(ctx));
    return most;
}

static void near(double got, double expected)
{
    if (fabs(got - expected) > 1e-9 * expected) {
        print_error("found %.12g, expected %.12g\n", got, expected);
        fail();
    }
}

static void memory_is_as_foretold(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < PROBLEMS; i++) {
        csim_context *ctx = harness_context();
        csim__forecast f;
        input in;
        make_input(ctx, &problems[i], true, &in);
        int size = csim_context_size(ctx);
        assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &f), CSIM_OK);
        assert_int_equal(f.routes[problems[i].route], f.pairs);
        double ratio = (double)f.peak / (double)sweep_peak(ctx, &in);
        if (!(ratio > 0.9 && ratio < 1.1)) {
            print_error("%s at %d ranks: foretold / counted = %.3f\n", problems[i].name, size,
                        ratio);
            wrong++;
        }
        free_input(&in);
        harness_context_free(&ctx);
    }
    assert_int_equal(wrong, 0);
}

/* With groups: pairs of several widths, values and vectors. */
static void memory_of_groups(void **state)
{
    (void)state;
    static const int grids[][2] = {{1, 2}, {3, 1}, {2, 2}};
    const problem list[] = {
        {"values", 500, 4, {260, 200, 230, 50}, {"procrustes"}, CSIM_DOUBLE, "all", 0},
        {"vectors", 500, 3, {220, 200, 220}, {"linreg", "cca_mean"}, CSIM_DOUBLE, "all", 0}};
    int size, wrong = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
            int p = grids[g][0], q = grids[g][1];
            if (p * q > size) { continue; }
            csim_context *ctx = harness_context();
            csim__forecast f;
            input in;
            make_input(ctx, &list[i], true, &in);
            in.options.grid_rows = p;
            in.options.grid_cols = q;
            in.options.grid_from = 150;
            assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &f), CSIM_OK);
            assert_int_equal(f.large, 3);
            double ratio = (double)f.peak / (double)sweep_peak(ctx, &in);
            if (!(ratio > 0.9 && ratio < 1.1)) {
                print_error("%s on groups of %d x %d of %d ranks: foretold / counted = %.3f\n",
                            list[i].name, p, q, size, ratio);
                wrong++;
            }
            free_input(&in);
            harness_context_free(&ctx);
        }
    }
    assert_int_equal(wrong, 0);
}

/* Under a limit rounds get shorter, then fewer layers are held at a time, and the sweep keeps to it. */
static void limits_are_kept(void **state)
{
    (void)state;
    const problem p = {"many blocks",  600,         8,     {160, 160, 160, 160, 160, 160, 160, 160},
                       {"procrustes"}, CSIM_DOUBLE, "all", CSIM__ROUTE_CROSS};
    csim_context *ctx = harness_context();
    csim__forecast loose, tight;
    input in;
    make_input(ctx, &p, true, &in);
    int size = csim_context_size(ctx);
    assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &loose), CSIM_OK);
    in.options.memory = loose.peak - loose.room.array[CSIM__ROOM_BLOCKS].bytes / 2;
    assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &tight), CSIM_OK);
    assert_true(tight.round < loose.round);
    assert_true(tight.peak <= in.options.memory);
    assert_true((double)sweep_peak(ctx, &in) < 1.02 * (double)in.options.memory);
    assert_int_equal(tight.plans, 1);
    free_input(&in);
    harness_context_free(&ctx);

    ctx = harness_context(); /* whose peak is that of one sweep */
    make_input(ctx, &p, true, &in);
    in.options.memory = loose.peak - loose.room.array[CSIM__ROOM_BLOCKS].bytes -
                        loose.room.array[CSIM__ROOM_EXAMPLES].bytes / 4;
    assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &tight), CSIM_OK);
    assert_true(tight.plans > 1 && tight.loads > 8);
    near(tight.effort.read, 4.0 * 600 * 160 * (double)tight.loads);
    assert_true(tight.peak <= in.options.memory);
    int64_t peak = sweep_peak(ctx, &in);
    assert_true((double)peak < 1.02 * (double)in.options.memory);
    assert_true((double)peak > 0.9 * (double)tight.peak);
    in.options.memory = loose.room.array[CSIM__ROOM_EXAMPLES].bytes / 16;
    assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &tight), CSIM_E_MEM);
    assert_non_null(strstr(csim_context_error(ctx), "the limit is"));
    assert_int_equal(tight.size, size); /* what it would take is told all the same */
    assert_true(tight.peak > in.options.memory && tight.peak < loose.peak);
    csim__forgive(ctx);
    free_input(&in);
    harness_context_free(&ctx);
}

/* Bytes of doubles that all ranks have read. */
static double bytes_read(csim_context *ctx)
{
    const csim_phase_report *list = NULL;
    double bytes = 0;
    int count = 0;
    assert_int_equal(csim_context_profile(ctx, &list, &count), CSIM_OK);
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].name, "read") == 0) { bytes += list[i].bytes; }
    }
    return bytes;
}

/* Rows that are read again by chunks: memory, and how often. */
static void chunks_are_foretold(void **state)
{
    (void)state;
    const problem streamed[] = {
        {"cross",
         12000,
         5,
         {48, 40, 48, 40, 48},
         {"cka", "hsic"},
         CSIM_DOUBLE,
         "all",
         CSIM__ROUTE_CROSS},
        {"single",
         12000,
         4,
         {48, 40, 48, 48},
         {"cka"},
         CSIM_SINGLE_PRECISION,
         "all",
         CSIM__ROUTE_CROSS},
        {"bases",
         12000,
         4,
         {40, 48, 40, 33},
         {"cca_mean", "linreg", "dot"},
         CSIM_DOUBLE,
         "all",
         CSIM__ROUTE_BASIS},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof streamed / sizeof streamed[0]; i++) {
        csim_context *ctx = harness_context();
        int size = csim_context_size(ctx), found = 0;
        problem p = streamed[i];
        p.n *= size > 3 ? 2 : 1; /* more than a few chunks a rank, or holding them is better */
        csim__forecast f;
        input in;
        make_input(ctx, &p, true, &in);
        for (in.options.memory = 24 << 20; in.options.memory > 1 << 20 && found == 0;) {
            csim_status st = foretell(ctx, &in, size, &csim__machine_typical, &f);
            found = st == CSIM_OK && f.streamed;
            csim__forgive(ctx);
            if (!found) { in.options.memory -= in.options.memory / 10; }
        }
        assert_true(found);
        int64_t live = csim_context_memory_live(ctx);
        double ratio = (double)f.peak / (double)sweep_peak(ctx, &in), width = 0;
        assert_int_equal(csim_context_memory_live(ctx), live);
        double times = bytes_read(ctx) / (8.0 * p.n);
        for (int s = 0; s < p.sites; s++) { width += p.width[s]; }
        double told = f.effort.read / (4.0 * p.n);
        if (!(ratio > 0.9 && ratio < 1.1) || fabs(times - told) > 1e-9 * told || told < 3 * width) {
            print_error(
                "%s at %d ranks: foretold / counted = %.3f, numbers of an example %g / %g\n",
                p.name, size, ratio, told, times);
            wrong++;
        }
        free_input(&in);
        csim_context_free(&ctx); /* which has the list of the profile */
    }
    assert_int_equal(wrong, 0);
}

static void same_forecast(const csim__forecast *a, const csim__forecast *b)
{
    assert_int_equal(a->pairs, b->pairs);
    assert_memory_equal(a->routes, b->routes, sizeof a->routes);
    assert_int_equal(a->round, b->round);
    assert_int_equal(a->peak, b->peak);
    assert_int_equal(a->rank, b->rank);
    assert_int_equal(a->when, b->when);
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        assert_int_equal(a->room.array[i].bytes, b->room.array[i].bytes);
    }
    assert_true(a->flops == b->flops);
    assert_true(a->mean_peak == b->mean_peak);
    assert_true(a->effort.read == b->effort.read && a->effort.moved == b->effort.moved);
}

/* The totals that the sweep works with are those of the arrays; shapes do as well as values; a
 * machine has no say in anything but the time. */
static void one_planner(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx);
    csim__machine slow = csim__machine_typical;
    for (double *x = &slow.gemm[0][0]; x < &slow.gemm[0][0] + sizeof slow / sizeof *x; x++) {
        *x /= 1000;
    }
    for (int i = 0; i < PROBLEMS; i++) {
        csim__forecast f, g, shapes;
        csim_sweep_cost cost;
        input in, bare;
        make_input(ctx, &problems[i], true, &in);
        make_input(ctx, &problems[i], false, &bare);
        assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &f), CSIM_OK);
        assert_int_equal(foretell(ctx, &in, size, &slow, &g), CSIM_OK);
        assert_int_equal(foretell(ctx, &bare, size, &csim__machine_typical, &shapes), CSIM_OK);
        assert_int_equal(csim_sweep_plan(ctx, &in.set, 1, &in.options, &cost), CSIM_OK);
        assert_int_equal(cost.example_bytes + cost.tile_bytes, f.peak);
        assert_true(cost.flops == f.flops);
        int64_t sum = 0;
        for (int a = 0; a < CSIM__ROOM_COUNT; a++) {
            if (csim__room_there(&f.room, a, f.when)) { sum += f.room.array[a].bytes; }
        }
        assert_int_equal(sum, f.peak);
        assert_true(f.mean_peak <= (double)f.peak * (1 + 1e-12));
        same_forecast(&f, &g);
        same_forecast(&f, &shapes);
        assert_true(csim__effort_seconds(&g.effort, NULL) >
                    2 * csim__effort_seconds(&f.effort, NULL));
        double row;
        assert_int_equal(csim_set_read(bare.set, 0, 0, 1, &row), CSIM_E_INTERNAL);
        csim__forgive(ctx);
        free_input(&in);
        free_input(&bare);
    }
    harness_context_free(&ctx);
}

/* A machine that is at no loss but for what a test looks at. */
static csim__machine swift(void)
{
    csim__machine m;
    double *x = (double *)(void *)&m;
    for (size_t i = 0; i < sizeof m / sizeof *x; i++) { x[i] = 1e300; }
    m.latency = m.net_latency = 0;
    return m;
}

static double seconds(csim_context *ctx, const problem *p, int size, const csim__machine *machine,
                      csim__forecast *f)
{
    input in;
    make_input(ctx, p, false, &in);
    assert_int_equal(foretell(ctx, &in, size, machine, f), CSIM_OK);
    free_input(&in);
    return csim__effort_seconds(&f->effort, NULL);
}

/* Sums by hand. 100 neurons are more than the smallest product that is timed, so its rate holds. */
static void time_by_hand(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const problem cross = {"",      2000,        3,     {100, 100, 100},
                           {"cka"}, CSIM_DOUBLE, "all", CSIM__ROUTE_CROSS};
    const problem gram = {"",      400,         3,     {200, 200, 200},
                          {"cka"}, CSIM_DOUBLE, "all", CSIM__ROUTE_CROSS};
    const problem svd = {
        "", 2000, 3, {100, 100, 100}, {"procrustes"}, CSIM_DOUBLE, "all", CSIM__ROUTE_CROSS};
    csim__forecast f;
    csim__machine m = swift();
    for (int i = 0; i < CSIM__GEMM_SIZES; i++) { m.gemm[0][i] = 1e9; }
    /* three products of two layers at 2nd², three of one at half of that */
    near(seconds(ctx, &cross, 1, &m, &f), 9 * 2000.0 * 100 * 100 / 1e9);
    near(f.effort.read, 4.0 * 2000 * 300);
    assert_int_equal(f.routes[CSIM__ROUTE_CROSS], 6);
    near(f.effort.moved, 0);
    /* upper halves of three Gram matrices; of 7 chunks of 64 one rank has the last 4, 208 rows */
    near(seconds(ctx, &gram, 1, &m, &f), 400.0 * 400 * 600 / 1e9);
    assert_int_equal(f.routes[CSIM__ROUTE_GRAM], 6);
    near(seconds(ctx, &gram, 2, &m, &f), 208.0 * 400 * 600 / 1e9);
    m = swift();
    m.eigen_values = 1e6;
    near(seconds(ctx, &svd, 1, &m, &f), 3 * 4.0 / 3 * 1e6 / 1e6);
    assert_int_equal(f.decomposed, 3);
    near(seconds(ctx, &svd, 3, &m, &f), 4.0 / 3 * 1e6 / 1e6);
    /* the longest first: one rank has the pair of two wide layers, the other both of a narrow one */
    const problem uneven = {"", 2000, 3, {100, 200, 200}, {"procrustes"}, CSIM_DOUBLE, "all", 0};
    near(seconds(ctx, &uneven, 2, &m, &f), 4.0 / 3 * 8e6 / 1e6);
    near(f.effort.tasks, 4.0 / 3 * 10e6 / 1e6);
    /* a group of two shares it, and turns to the narrow ones then, each rank to one */
    m.grid_eigen_values = 1e6;
    input in;
    make_input(ctx, &uneven, false, &in);
    in.options.grid_rows = 1;
    in.options.grid_cols = 2;
    in.options.grid_from = 150;
    assert_int_equal(foretell(ctx, &in, 2, &m, &f), CSIM_OK);
    near(csim__effort_seconds(&f.effort, NULL), 4.0 / 3 * (4e6 + 1e6) / 1e6);
    assert_int_equal(f.large, 1);
    /* with a journal there are 16 rounds or more: here one for each pair */
    in.options.grid_rows = in.options.grid_cols = 1;
    in.options.journal = "journal";
    assert_int_equal(foretell(ctx, &in, 1, &m, &f), CSIM_OK);
    assert_int_equal(f.room.array[CSIM__ROOM_BLOCKS].bytes, 8 * 200 * 200);
    free_input(&in);
    m = swift();
    m.read = 1e6;
    near(seconds(ctx, &cross, 1, &m, &f), 4.0 * 2000 * 300 / 1e6);
    csim__term most;
    csim__effort_seconds(&f.effort, &most);
    assert_int_equal(most, CSIM__TERM_READ);
    m = swift();
    m.exact = 1e6; /* 8 chunks of 256, half blocks of selves; one clearing each */
    near(seconds(ctx, &cross, 1, &m, &f), (3 * (8 + 1) + 3 * (4 + 1)) * 1e4 / 1e6);
    /* of six blocks halves and quarters are exchanged by four ranks, then gathered; little else moves */
    seconds(ctx, &cross, 4, &m, &f);
    assert_true(f.effort.moved >= 4 * 6 * 8e4 && f.effort.moved < 1.1 * 4 * 6 * 8e4);
    harness_context_free(&ctx);
}

/* Groups are chosen where few large pairs meet many ranks, and nowhere else; what a machine was measured
 * to do has no say in it. */
static void groups_are_chosen(void **state)
{
    (void)state;
    static const struct {
        problem p;
        int size, grid; /* that is asked for, 0: none */
        csim__why why;
    } cases[] = {
        {{"two giants", 100000, 2, {16384, 16384}, {"procrustes"}, 0, "all", 0},
         64,
         0,
         CSIM__WHY_TIME},
        {{"two giants", 100000, 2, {16384, 16384}, {"procrustes"}, 0, "all", 0},
         64,
         1,
         CSIM__WHY_ASKED},
        {{"two giants", 100000, 2, {16384, 16384}, {"procrustes"}, 0, "all", 0},
         1,
         0,
         CSIM__WHY_NONE},
        {{"one giant", 100000, 2, {16384, 2048}, {"procrustes"}, 0, "all", 0},
         64,
         0,
         CSIM__WHY_NONE},
        {{"below the floor", 100000, 2, {4095, 4095}, {"procrustes"}, 0, "all", 0},
         64,
         0,
         CSIM__WHY_NONE},
        {{"few examples", 4000, 2, {16384, 16384}, {"cca_mean"}, 0, "all", 0},
         64,
         0,
         CSIM__WHY_NONE},
        {{"no decomposition", 100000, 2, {16384, 16384}, {"cka"}, 0, "all", 0},
         64,
         0,
         CSIM__WHY_NONE},
        {{"pairs for all",
          9000,
          8,
          {8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192},
          {"procrustes"},
          0,
          "all",
          0},
         14,
         0,
         CSIM__WHY_NONE},
    };
    csim_context *ctx = harness_context();
    csim__machine m = csim__machine_typical;
    m.grid_eigen_values = m.grid_svd_values = 1e6;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        csim__forecast f, g;
        input in;
        make_input(ctx, &cases[i].p, false, &in);
        in.options.grid_rows = in.options.grid_cols = cases[i].grid;
        assert_int_equal(foretell(ctx, &in, cases[i].size, &csim__machine_typical, &f), CSIM_OK);
        assert_int_equal(foretell(ctx, &in, cases[i].size, &m, &g), CSIM_OK);
        bool chosen = cases[i].why == CSIM__WHY_TIME;
        if (f.why != cases[i].why || (csim__teams_size(&f.teams) > 1) != chosen) {
            print_error("%s: found %s, groups of %d x %d\n", cases[i].p.name, csim__why_key(f.why),
                        f.teams.p, f.teams.q);
            assert_true(false);
        }
        assert_int_equal(f.large, chosen);
        assert_true(f.why == g.why && f.teams.p == g.teams.p && f.teams.q == g.teams.q);
        same_forecast(&f, &g);
        free_input(&in);
    }
    /* one rank has no room for the pair, but 16 have; below that nothing helps */
    const problem p = {"", 20000, 2, {8192, 8192}, {"procrustes"}, CSIM_DOUBLE, "cross", 0};
    csim__forecast f;
    input in;
    make_input(ctx, &p, false, &in);
    in.options.pairs = "all";
    in.options.memory = INT64_C(1400) << 20;
    assert_int_equal(foretell(ctx, &in, 16, &csim__machine_typical, &f), CSIM_OK);
    assert_int_equal(f.why, CSIM__WHY_MEMORY);
    assert_true(csim__teams_size(&f.teams) > 1 && f.peak <= in.options.memory);
    in.options.memory = INT64_C(300) << 20;
    assert_int_equal(foretell(ctx, &in, 16, &csim__machine_typical, &f), CSIM_E_MEM);
    csim__forgive(ctx);
    free_input(&in);
    harness_context_free(&ctx);
}

static void ranks_without_work(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const problem p = {"", 400, 2, {20, 20}, {"cka"}, CSIM_DOUBLE, "all", CSIM__ROUTE_CROSS};
    csim__forecast f;
    seconds(ctx, &p, 10, &csim__machine_typical, &f);
    assert_int_equal(f.chunks, 7);
    assert_int_equal(f.idle_rows, 3);
    assert_int_equal(f.idle_pairs, 7);
    assert_int_equal(f.loads, 2);

    /* three groups of 1×3 for one large pair; the tenth rank has the pair with the small layer */
    const problem q = {"", 900, 3, {300, 300, 20}, {"procrustes"}, CSIM_DOUBLE, "all", 0};
    input in;
    make_input(ctx, &q, false, &in);
    in.options.grid_rows = 1;
    in.options.grid_cols = 3;
    in.options.grid_from = 200;
    assert_int_equal(foretell(ctx, &in, 10, &csim__machine_typical, &f), CSIM_OK);
    assert_int_equal(f.large, 1);
    assert_int_equal(f.decomposed, 3);
    assert_int_equal(f.idle_pairs, 10 - 3 - 5); /* three self-pairs have no work: they are spread */
    free_input(&in);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_as_foretold), cmocka_unit_test(memory_of_groups),
        cmocka_unit_test(limits_are_kept),       cmocka_unit_test(chunks_are_foretold),
        cmocka_unit_test(one_planner),           cmocka_unit_test(time_by_hand),
        cmocka_unit_test(groups_are_chosen),     cmocka_unit_test(ranks_without_work),
    };
    return harness_finish(cmocka_run_group_tests_name("forecast", tests, NULL, NULL));
}
