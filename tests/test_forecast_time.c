/* The time that is foretold of a sweep against sums by hand, the groups that are chosen by it, and which
 * ranks have no work. */
#include "forecast_case.h"

#include <math.h>
#include <string.h>

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
    assert_int_equal(f.without.rounds, 2); /* two layers with themselves, then the one pair */
    assert_int_equal(f.without.sum, 8 + 9);
    assert_int_equal(f.without.most, 9);

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

/* Where finished pairs are saved, a round of long products ends before much is lost. */
static void rounds_are_bounded(void **state)
{
    (void)state;
    const problem p = {"", 1000000000, 3, {512, 512, 512}, {"cka"}, CSIM_DOUBLE, "all", 0};
    csim_context *ctx = harness_context();
    csim__forecast f;
    input in;
    make_input(ctx, &p, false, &in);
    in.options.memory = INT64_C(120) << 30;
    assert_int_equal(foretell(ctx, &in, 8, &csim__machine_typical, &f), CSIM_OK);
    assert_true(f.streamed);
    assert_int_equal(f.rounds, 1);
    in.options.journal = "saved";
    assert_int_equal(foretell(ctx, &in, 8, &csim__machine_typical, &f), CSIM_OK);
    assert_int_equal(f.rounds, f.pairs);
    free_input(&in);
    harness_context_free(&ctx);
}

/* A rank that has room for the sums of a few products, and one to own: all owners have a pair of a round,
 * which takes several passes, and decompose side by side. */
static void owners_work_side_by_side(void **state)
{
    (void)state;
    enum { RANKS = 64, LAYERS = 7, PAIRS = LAYERS * (LAYERS - 1) / 2 };
    const problem p = {"",
                       1000000,
                       LAYERS,
                       {8192, 8192, 8192, 8192, 8192, 8192, 8192},
                       {"procrustes"},
                       CSIM_DOUBLE,
                       "all",
                       CSIM__ROUTE_CROSS};
    const int64_t square = INT64_C(8) * 8192 * 8192;
    csim_context *ctx = harness_context();
    csim__forecast f;
    input in;
    make_input(ctx, &p, false, &in);
    in.options.grid_rows = in.options.grid_cols = 1;
    in.options.memory = 6 * square;
    assert_int_equal(foretell(ctx, &in, RANKS, &csim__machine_typical, &f), CSIM_OK);
    assert_true(f.streamed);
    assert_int_equal(f.pairs, PAIRS + LAYERS);
    assert_int_equal(f.rounds, 1);
    assert_true(f.passes * 5 >= f.pairs); /* no pass has more products than that */
    assert_int_equal(f.without.most, RANKS - f.pairs);
    assert_true(f.peak <= in.options.memory);
    assert_true(f.effort.seconds[CSIM__TERM_DECOMPOSE] <= 1.01 * f.effort.tasks / PAIRS);
    /* blocks of 2 × 2 pairs read four layers for four products; moments take two more readings */
    assert_true(f.loads <= 2 * LAYERS + 5 * f.pairs / 4);
    /* groups hold less, but for a layer with itself: beside that there is room for a part of a product */
    in.options.memory = 9 * square / 4;
    in.options.grid_rows = 2;
    in.options.grid_cols = 4;
    assert_int_equal(foretell(ctx, &in, RANKS, &csim__machine_typical, &f), CSIM_OK);
    assert_int_equal(f.rounds, (f.pairs + 7) / 8); /* a pair for each group */
    assert_true(f.passes >= 2 * f.pairs);
    assert_true(f.peak <= in.options.memory);
    free_input(&in);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_by_hand),
        cmocka_unit_test(groups_are_chosen),
        cmocka_unit_test(ranks_without_work),
        cmocka_unit_test(rounds_are_bounded),
        cmocka_unit_test(owners_work_side_by_side),
    };
    return harness_finish(cmocka_run_group_tests_name("forecast_time", tests, NULL, NULL));
}
