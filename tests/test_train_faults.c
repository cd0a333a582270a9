/* Seeded faults and memory that runs out through whole trainings: one status everywhere, a message,
 * all memory given back, no hang, and what was saved is whole. The linker puts our aligned_alloc()
 * in between. */
#include "train_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static long countdown; /* allocations until one fails; 0 = none does */
static int failed;

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (countdown > 0 && --countdown == 0) {
        failed = 1;
        return NULL;
    }
    return __real_aligned_alloc(alignment, size);
}

/* ---- cases ---- */

enum { CASES = 5 };

/* Rows of unequal widths, sets, views with early stopping, DeepCKA, notions; two inits in one. */
static train_case make(int k)
{
    static const int d[] = {8, 6, 5, 6};
    train_case c = train_make(150, k == 4 ? 1 : 2, k == 4 ? 1 : 2, d);
    c.o.batch = 70;
    c.o.epochs = 2;
    if (k == 1) { c.o.item = CSIM_ITEM_SET; }
    if (k == 2) {
        c.o.views = 2;
        c.o.early_stop = 1;
        c.o.inits = 2;
    }
    if (k == 3) {
        c.o.loss = CSIM_LOSS_DEEPCKA;
        c.drop_rows = 1;
    }
    if (k == 4) {
        train_add_notion(&c, 3, 0);
        train_add_notion(&c, 5, 4);
    }
    return c;
}

/* ---- faults ---- */

/* A run under faults. */
static csim_status strike(csim_context *ctx, const train_case *c, uint32_t every, uint64_t seed,
                          const train_how *how)
{
    csim_context_set_faults(ctx, every, seed);
    csim_status st = train_run(ctx, c, "f", "f.nc", how);
    csim_context_set_faults(ctx, 0, 0);
    assert_true(harness_same(ctx, st));
    assert_true(st == CSIM_OK || st == CSIM_E_FAULT || (st == CSIM_E_STOPPED && how->stop_after));
    if (st == CSIM_E_FAULT) { assert_non_null(strstr(csim_context_error(ctx), "injected fault")); }
    if (csim_context_memory_live(ctx) != 0) {
        print_error("%lld bytes left after: %s\n", (long long)csim_context_memory_live(ctx),
                    csim_context_error(ctx));
    }
    assert_int_equal(csim_context_memory_live(ctx), 0);
    return st;
}

static void faults_end_in_one_status(void **state)
{
    (void)state;
    static const uint32_t every[] = {4, 12, 30, 90};
    csim_context *ctx = harness_context();
    int fell = 0, passed = 0;
    for (int k = 0; k < CASES; k++) {
        train_case c = make(k);
        train_write(ctx, &c, "f");
        for (size_t e = 0; e < sizeof every / sizeof *every; e++) {
            for (uint64_t seed = 1; seed <= 4; seed++) {
                csim_status st = strike(ctx, &c, every[e], seed, &(train_how){.overwrite = 1});
                fell += st != CSIM_OK;
                passed += st == CSIM_OK;
            }
        }
        train_clear(&c);
    }
    assert_true(fell > 40 && passed > 0);
    harness_context_free(&ctx);
}

/* Each fault costs what was not saved: going on after one, then after the next, ends in the bits of
 * a run without any, for nothing that was saved is ever damaged. */
static void faulty_runs_arrive(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int fell = 0;
    for (int k = 0; k < CASES; k++) {
        train_case c = make(k);
        train_write(ctx, &c, "f");
        train_must(ctx, &c, "f", "plain.nc");
        train_remove("f.nc");
        train_remove("f.nc.prev");
        csim_status st = CSIM_E_FAULT;
        for (uint64_t seed = 1; st != CSIM_OK && seed < 300; seed++) {
            train_how how = {.resume = 1, .stop_after = seed % 3 == 0 ? 3 : 0};
            st = strike(ctx, &c, 50, seed, &how);
            fell += st != CSIM_OK;
        }
        assert_int_equal(st, CSIM_OK);
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(train_same_file("f.nc", "plain.nc"));
        train_clear(&c);
    }
    assert_true(fell > 3);
    harness_context_free(&ctx);
}

/* Most of the votes of a training, each as the first that fails. */
static void any_vote_can_fail(void **state)
{
    (void)state;
    enum { MOST = 512, SEEDS = 60 };
    bool struck[MOST] = {false};
    csim_context *ctx = harness_context();
    train_case c = make(0);
    int last = 0, many = 0;
    train_write(ctx, &c, "f");
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        if (strike(ctx, &c, 30, seed, &(train_how){.overwrite = 1}) == CSIM_OK) { continue; }
        int at = 0;
        assert_int_equal(sscanf(csim_context_error(ctx), "injected fault at vote %d", &at), 1);
        assert_true(at > 0 && at < MOST);
        many += !struck[at];
        struck[at] = true;
        last = at > last ? at : last;
    }
    assert_true(last > 25 && many > last / 3);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- memory ---- */

/* Train with the k-th allocation failing on one rank. Returns whether there were so many. */
static bool fail_at(csim_context *ctx, const train_case *c, int victim, long k,
                    const train_how *how)
{
    int any = 0;
    failed = 0;
    countdown = csim_context_rank(ctx) == victim ? k : 0;
    csim_status st = train_run(ctx, c, "f", "f.nc", how);
    countdown = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, csim_context_comm(ctx));
    assert_true(harness_same(ctx, st));
    if (st != CSIM_OK && st != CSIM_E_MEM) {
        fail_msg("allocation %ld of rank %d: %s: %s", k, victim, csim_status_name(st),
                 csim_context_error(ctx));
    }
    assert_int_equal(st == CSIM_E_MEM, any);
    if (any) { assert_non_null(strstr(csim_context_error(ctx), "out of memory on rank")); }
    assert_int_equal(csim_context_memory_live(ctx), 0);
    return any;
}

static void memory_runs_out(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx);
    long most = 0;
    for (int k = 0; k < CASES; k++) {
        train_case c = make(k);
        c.o.epochs = 1;
        train_write(ctx, &c, "f");
        for (int victim = 0; victim<size; victim += size> 1 ? size - 1 : 1) {
            long at = 1 + k + victim, stride = size > 1 ? 17 : 7;
            while (fail_at(ctx, &c, victim, at, &(train_how){.overwrite = 1})) { at += stride; }
            most = at > most ? at : most;
        }
        train_clear(&c);
    }
    assert_true(most > 150);
    harness_context_free(&ctx);
}

/* The same while a training goes on from its checkpoint, which stays as it was or is finished. */
static void memory_runs_out_on_the_way_back(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx);
    for (int k = 0; k < CASES; k += 2) {
        train_case c = make(k);
        train_write(ctx, &c, "f");
        train_must(ctx, &c, "f", "plain.nc");
        csim_status st =
            train_run(ctx, &c, "f", "f.nc", &(train_how){.overwrite = 1, .stop_after = 4});
        assert_int_equal(st, CSIM_E_STOPPED);
        for (long at = 2 + k; fail_at(ctx, &c, (int)at % size, at, &(train_how){.resume = 1});) {
            at += k == 0 ? 1 + size : 13;
        }
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(train_same_file("f.nc", "plain.nc"));
        train_clear(&c);
    }
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_end_in_one_status),
        cmocka_unit_test(faulty_runs_arrive),
        cmocka_unit_test(any_vote_can_fail),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(memory_runs_out_on_the_way_back),
    };
    return harness_finish(cmocka_run_group_tests_name("train_faults", tests, NULL, NULL));
}
