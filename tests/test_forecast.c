/* What is foretold of a sweep: its memory and what it reads against what the sweep takes, and that
 * neither depends on where it is asked. */
#include "forecast_case.h"

#include <math.h>
#include <string.h>

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
    {"bases and vectors, the widest last",
     1000,
     4,
     {150, 200, 250, 300},
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

/* With values under all shifts: matrices of linear kernels, and of distances. */
static void memory_of_shifts(void **state)
{
    (void)state;
    const problem p = {"shifts",    700,   4, {60, 50, 60, 30}, {"cka", "distcorr"},
                       CSIM_DOUBLE, "all", 0};
    csim_context *ctx = harness_context();
    csim__forecast f;
    input in;
    make_input(ctx, &p, true, &in);
    in.options.null = CSIM_NULL_SHIFT;
    assert_int_equal(foretell(ctx, &in, csim_context_size(ctx), &csim__machine_typical, &f),
                     CSIM_OK);
    assert_int_equal(f.when, CSIM__STAGE_SHIFTS);
    double ratio = (double)f.peak / (double)sweep_peak(ctx, &in);
    if (!(ratio > 0.9 && ratio < 1.1)) { print_error("foretold / counted = %.3f\n", ratio); }
    assert_true(ratio > 0.9 && ratio < 1.1);
    free_input(&in);
    harness_context_free(&ctx);
}

/* With groups: pairs of several widths, values and vectors. */
static void memory_of_groups(void **state)
{
    (void)state;
    static const int grids[][2] = {{1, 2}, {3, 1}, {2, 2}};
    const problem list[] = {
        {"values", 500, 4, {260, 200, 230, 50}, {"procrustes"}, CSIM_DOUBLE, "all", 0},
        {"vectors", 500, 3, {220, 200, 220}, {"linreg", "cca_mean"}, CSIM_DOUBLE, "all", 0},
        {"vectors, the widest last",
         500,
         3,
         {200, 240, 300},
         {"linreg", "cca_mean"},
         CSIM_DOUBLE,
         "all",
         0}};
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

/* Parts of a job array, in which ranks have few pairs each, or none. */
static void memory_of_parts(void **state)
{
    (void)state;
    const problem p = {"parts",        600,         4,     {150, 200, 250, 300},
                       {"procrustes"}, CSIM_DOUBLE, "all", 0};
    int wrong = 0;
    for (int part = 1; part <= 3; part++) {
        csim_context *ctx = harness_context();
        csim__forecast f;
        input in;
        make_input(ctx, &p, true, &in);
        in.options.part = part;
        in.options.parts = 3;
        int size = csim_context_size(ctx);
        assert_int_equal(foretell(ctx, &in, size, &csim__machine_typical, &f), CSIM_OK);
        double ratio = (double)f.peak / (double)sweep_peak(ctx, &in);
        if (!(ratio > 0.9 && ratio < 1.1)) {
            print_error("part %d at %d ranks: foretold / counted = %.3f\n", part, size, ratio);
            wrong++;
        }
        free_input(&in);
        harness_context_free(&ctx);
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

/* What is said to be needed is enough, and the least, whatever the limit was; layers that take most need
 * not be the widest. */
static void what_is_named_fits(void **state)
{
    (void)state;
    const problem list[] = {{"bases",
                             20000,
                             6,
                             {20, 60, 100, 240, 400, 120},
                             {"cka", "cca_mean"},
                             CSIM_DOUBLE,
                             "all",
                             CSIM__ROUTE_BASIS},
                            {"tiles and cross products, of which the latter take more",
                             5000,
                             4,
                             {830, 60, 2048, 832},
                             {"cka"},
                             CSIM_DOUBLE,
                             "all",
                             CSIM__ROUTE_NONE}};
    csim_context *ctx = harness_context();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        csim__forecast f;
        input in;
        int64_t least = 0;
        make_input(ctx, &list[i], false, &in);
        for (int64_t limit = 1 << 10; limit <= 1 << 20; limit <<= 5) {
            in.options.memory = limit;
            assert_int_equal(foretell(ctx, &in, 64, &csim__machine_typical, &f), CSIM_E_MEM);
            csim__forgive(ctx);
            assert_true(f.peak > limit && (least == 0 || least == f.peak));
            least = f.peak;
        }
        in.options.memory = least - 1;
        assert_int_equal(foretell(ctx, &in, 64, &csim__machine_typical, &f), CSIM_E_MEM);
        csim__forgive(ctx);
        assert_int_equal(f.peak, least);
        in.options.memory = least;
        assert_int_equal(foretell(ctx, &in, 64, &csim__machine_typical, &f), CSIM_OK);
        assert_true(f.peak <= least);
        free_input(&in);
    }
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
        {"tiles", 2400, 2, {400, 1200}, {"cka"}, CSIM_SINGLE_PRECISION, "all", CSIM__ROUTE_GRAM},
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

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_as_foretold), cmocka_unit_test(memory_of_shifts),
        cmocka_unit_test(memory_of_groups),      cmocka_unit_test(memory_of_parts),
        cmocka_unit_test(limits_are_kept),       cmocka_unit_test(chunks_are_foretold),
        cmocka_unit_test(what_is_named_fits),    cmocka_unit_test(one_planner),
    };
    return harness_finish(cmocka_run_group_tests_name("forecast", tests, NULL, NULL));
}
