/* The same bytes of a checkpoint: on 1, 2, 3 and 4 ranks (communicators of the first ranks of this
 * job), and after any number of stops, each time going on with another number of ranks. */
#include "train_case.h"

#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "core/shard.h"

typedef struct setting {
    const char *name;
    int n, sets, layers, d[TRAIN_SETS * TRAIN_LAYERS];
    int64_t batch;
    void (*change)(train_case *c);
} setting;

static void as_it_is(train_case *c)
{
    (void)c;
}

static void sets_as_items(train_case *c)
{
    c->o.item = CSIM_ITEM_SET;
    c->o.view_noise = 0.1;
}

static void deepdot(train_case *c)
{
    c->o.loss = CSIM_LOSS_DEEPDOT;
}

static void deepcka(train_case *c)
{
    c->o.loss = CSIM_LOSS_DEEPCKA;
}

static void views(train_case *c)
{
    c->o.views = 2;
    c->o.activation = CSIM_GELU;
    c->o.input_layer = 1;
}

static void cold_sgd(train_case *c)
{
    c->o.temperature = 0.01;
    c->o.optimiser = 1;
    c->o.clip = 0.5;
}

static void several(train_case *c)
{
    c->o.inits = 3;
    c->o.epochs = 2;
}

static void early(train_case *c)
{
    c->o.early_stop = 1;
    c->o.held_out = 0.45;
    c->o.patience = 2;
    c->o.epochs = 9;
    c->o.rate = 0.2;
}

static void early_and_several(train_case *c)
{
    early(c);
    c->o.inits = 2;
    c->o.rate = 0.05;
}

static void mscon(train_case *c)
{
    train_add_notion(c, 4, 5);
    train_add_notion(c, 7, 0);
    c->o.rate = 0.02;
}

static const setting settings[] = {
    {"one chunk", 50, 2, 1, {8, 8}, 50, as_it_is},
    {"two chunks, a last batch of one", 101, 2, 1, {8, 7}, 100, as_it_is},
    {"batches of one", 7, 2, 2, {8, 8, 5, 8}, 1, as_it_is},
    {"ten chunks and a partial batch", 1000, 2, 1, {8, 6}, 600, as_it_is},
    {"chunks of 128 rows", 800, 3, 1, {8, 8, 8}, 800, as_it_is},
    {"three sets, two layers", 500, 3, 2, {8, 5, 7, 5, 8, 12}, 200, as_it_is},
    {"sets as items", 700, 3, 3, {8, 5, 7, 5, 8, 12, 3, 9, 8}, 300, sets_as_items},
    {"deepdot", 400, 3, 1, {8, 8, 6}, 270, deepdot},
    {"deepcka", 400, 2, 2, {8, 8, 6, 7}, 270, deepcka},
    {"views", 300, 2, 1, {8, 6}, 130, views},
    {"low temperature, sgd, clip", 300, 2, 1, {8, 6}, 200, cold_sgd},
    {"several", 150, 2, 1, {8, 6}, 64, several},
    {"early stopping", 300, 2, 1, {8, 6}, 90, early},
    {"early stopping, several", 200, 2, 2, {8, 6, 7, 8}, 90, early_and_several},
    {"mscon", 300, 1, 2, {8, 6}, 140, mscon},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static train_case make(const setting *s)
{
    train_case c = train_make(s->n, s->sets, s->layers, s->d);
    c.o.batch = s->batch;
    c.o.epochs = 3;
    s->change(&c);
    return c;
}

/* Run on the first ranks of this job; the status, from rank 0. Collective on all. */
static csim_status on_ranks(int ranks, const train_case *c, const char *output,
                            const train_how *how)
{
    int rank, st = CSIM_OK;
    MPI_Comm part;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &part);
    if (part != MPI_COMM_NULL) {
        csim_context *ctx = NULL;
        assert_int_equal(csim_context_create(part, &ctx), CSIM_OK);
        st = train_run(ctx, c, "b", output, how);
        assert_true(harness_same(ctx, (csim_status)st));
        if (rank == 0 && st != CSIM_OK && st != CSIM_E_STOPPED) {
            print_error("%s\n", csim_context_error(ctx));
        }
        harness_context_free(&ctx);
        MPI_Comm_free(&part);
    }
    MPI_Bcast(&st, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return (csim_status)st;
}

static void write_sets(const train_case *c)
{
    csim_context *ctx = harness_context();
    train_write(ctx, c, "b");
    harness_context_free(&ctx);
}

/* Is a file other than the one rank's? Said by rank 0, known to all. */
static int differs(const char *name, const char *what, const char *path)
{
    int rank, wrong = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0 && !train_same_file("alone.nc", path)) {
        print_error("%s: other bytes %s\n", name, what);
        wrong = 1;
    }
    MPI_Bcast(&wrong, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return wrong;
}

static void ranks_do_not_matter(void **state)
{
    (void)state;
    int size, wrong = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int k = 0; k < SETTINGS; k++) {
        train_case c = make(&settings[k]);
        write_sets(&c);
        for (int ranks = 1; ranks <= size; ranks++) {
            const char *output = ranks == 1 ? "alone.nc" : "ranks.nc";
            char what[32];
            snprintf(what, sizeof what, "on %d ranks", ranks);
            assert_int_equal(on_ranks(ranks, &c, output, &(train_how){.overwrite = 1}), CSIM_OK);
            if (ranks > 1) { wrong += differs(settings[k].name, what, output); }
        }
        train_clear(&c);
    }
    assert_int_equal(wrong, 0);
}

/* Stop after a few steps, go on elsewhere, until it is done. Returns how often it was stopped. */
static int stop_and_go(csim__rng *rng, const train_case *c, int size, const char *output)
{
    train_how how = {.resume = 1};
    train_remove(output);
    train_remove("stops.nc.prev");
    for (int stops = 0; stops < 100; stops++) {
        int ranks = 1 + (int)csim__rng_below(rng, size);
        how.stop_after = 1 + csim__rng_below(rng, 4);
        how.stop_rank = (int)csim__rng_below(rng, ranks + 1) - 1;
        csim_status st = on_ranks(ranks, c, output, &how);
        if (st == CSIM_OK) { return stops; }
        assert_int_equal(st, CSIM_E_STOPPED);
    }
    fail_msg("100 stops and no end");
    return 0;
}

static void stops_do_not_matter(void **state)
{
    (void)state;
    csim__rng rng = csim__rng_start(11, 0);
    int size, wrong = 0, stops = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int k = 0; k < SETTINGS; k++) {
        train_case c = make(&settings[k]);
        write_sets(&c);
        assert_int_equal(on_ranks(size, &c, "alone.nc", &(train_how){.overwrite = 1}), CSIM_OK);
        stops += stop_and_go(&rng, &c, size, "stops.nc");
        wrong += differs(settings[k].name, "after stops", "stops.nc");
        train_clear(&c);
    }
    assert_int_equal(wrong, 0);
    assert_true(stops > 2 * SETTINGS);
}

/* Training for more epochs is what training for them from the start would have been. */
static void epochs_may_grow(void **state)
{
    (void)state;
    static const int64_t grown[][2] = {{0, 2}, {2, 4}};
    int size, wrong = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int k = 0; k < SETTINGS; k++) {
        train_case c = make(&settings[k]);
        write_sets(&c);
        for (int g = 0; c.o.inits == 1 && g < 2; g++) {
            c.o.epochs = grown[g][1];
            assert_int_equal(on_ranks(1, &c, "alone.nc", &(train_how){.overwrite = 1}), CSIM_OK);
            c.o.epochs = grown[g][0];
            assert_int_equal(on_ranks(2, &c, "grown.nc", &(train_how){.overwrite = 1}), CSIM_OK);
            c.o.epochs = grown[g][1];
            assert_int_equal(on_ranks(size, &c, "grown.nc", &(train_how){.resume = 1}), CSIM_OK);
            wrong += differs(settings[k].name, "after more epochs", "grown.nc");
        }
        train_clear(&c);
    }
    assert_int_equal(wrong, 0);
}

/* The settings have what they are for: more chunks than ranks and fewer, short chunks, one row. */
static void settings_are_uneven(void **state)
{
    (void)state;
    int chunks[5] = {0}, one = 0, long_chunks = 0;
    for (int k = 0; k < SETTINGS; k++) {
        csim_shard s = csim__shard(settings[k].batch, 0, 1);
        chunks[s.chunks < 4 ? s.chunks : 4]++;
        one += settings[k].n % settings[k].batch == 1;
        long_chunks += s.chunk > 64;
    }
    assert_true(chunks[1] > 1 && chunks[2] > 1 && chunks[3] > 1 && chunks[4] > 3);
    assert_true(one > 0 && long_chunks > 0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_uneven),
        cmocka_unit_test(ranks_do_not_matter),
        cmocka_unit_test(stops_do_not_matter),
        cmocka_unit_test(epochs_may_grow),
    };
    return harness_finish(cmocka_run_group_tests_name("train_bits", tests, NULL, NULL));
}
