/* Trainings that cannot be, and those on the border: one clear error, the same status on every rank,
 * what was saved before is kept. */
#include "train_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refused(csim_context *ctx, csim_status st, csim_status expected, const char *part)
{
    assert_true(harness_same(ctx, st));
    if (st != expected || strstr(csim_context_error(ctx), part) == NULL) {
        fail_msg("%s: '%s' lacks '%s'", csim_status_name(st), csim_context_error(ctx), part);
    }
    assert_int_equal(csim_context_memory_live(ctx), 0);
    csim__forgive(ctx);
}

/* Written, trained, refused: no checkpoint is left. */
static void refuse(csim_context *ctx, const train_case *c, csim_status expected, const char *part)
{
    train_remove("m.nc");
    train_write(ctx, c, "m");
    refused(ctx, train_run(ctx, c, "m", "m.nc", &(train_how){.resume = 0}), expected, part);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_false(train_exists("m.nc"));
}

/* Written and trained; all that is in the checkpoint is finite where it must be. */
static void accept(csim_context *ctx, const train_case *c)
{
    csim__checkpoint *got = NULL;
    train_write(ctx, c, "m");
    train_must(ctx, c, "m", "m.nc");
    train_ok(ctx, csim__checkpoint_read(ctx, "m.nc", &got));
    const csim__field *p = train_field(got, "parameters"), *loss = train_field(got, "loss");
    for (int64_t i = 0; i < p->size[0] * p->size[1]; i++) {
        assert_true(isfinite(((const float *)p->data)[i]));
    }
    for (int64_t i = 0; i < loss->size[0] * loss->size[1]; i++) {
        assert_true(isfinite(((const double *)loss->data)[i]));
    }
    csim__checkpoint_free(ctx, &got);
}

static train_case two(int n)
{
    return train_make(n, 2, 1, (const int[]){8, 6});
}

/* ---- numbers ---- */

/* A rate that sends the loss to infinity: the step is named, the file is that of an earlier epoch. */
static void diverging_losses(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int k = 0; k < 5; k++) {
        train_case c = two(150);
        csim__checkpoint *got = NULL;
        int64_t epoch = -1;
        c.o.optimiser = 1;
        c.o.epochs = 400;
        c.o.rate = 1e6;
        c.o.decay = 1e4;
        c.o.batch = 70;
        if (k == 1) { c.o.item = CSIM_ITEM_SET; }
        if (k == 2) { c.o.loss = CSIM_LOSS_DEEPDOT; }
        if (k == 3) { c.o.early_stop = 1; }
        if (k == 4) {
            train_clear(&c);
            c = train_make(150, 1, 1, (const int[]){8});
            train_add_notion(&c, 3, 0);
            c.o.rate = 1e6;
            c.o.epochs = 400;
        }
        train_write(ctx, &c, "m");
        train_remove("m.nc");
        csim_status st = train_run(ctx, &c, "m", "m.nc", &(train_how){.resume = 0});
        assert_int_equal(st, CSIM_E_NUMERIC);
        int at[2] = {0, 0};
        const char *text = csim_context_error(ctx);
        assert_int_equal(sscanf(text, "epoch %d, step %d", &at[0], &at[1]), 2);
        assert_true(at[0] >= 1 && at[1] >= 1 && strstr(text, "not finite") != NULL);
        refused(ctx, st, CSIM_E_NUMERIC, "a smaller --lr or --clip may help");
        train_ok(ctx, csim__checkpoint_read(ctx, "m.nc", &got));
        train_ok(ctx, csim__checkpoint_int(got, "state_epoch", &epoch));
        assert_true(epoch == at[0] - 1);
        csim__checkpoint_free(ctx, &got);
        /* going on fails in the same way, and keeps the file */
        train_copy("m.nc", "kept.nc");
        st = train_run(ctx, &c, "m", "m.nc", &(train_how){.resume = 1});
        refused(ctx, st, CSIM_E_NUMERIC, "epoch");
        MPI_Barrier(MPI_COMM_WORLD);
        assert_true(train_same_file("m.nc", "kept.nc"));
        train_clear(&c);
    }
    harness_context_free(&ctx);
}

static void values_that_are_no_numbers(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 6; k++) {
        train_case c = two(200);
        c.o.early_stop = k > 2; /* row 139 is held out then: the file says which it is */
        c.x[1][0][139 * 6 + 4] = bad[k % 3];
        refuse(ctx, &c, CSIM_E_DATA, k % 3 ? "infinity" : "NaN at row 139, column 4");
        refuse(ctx, &c, CSIM_E_DATA, "set b, site layer_0");
        c.drop_rows = 1;
        accept(ctx, &c);
        train_clear(&c);
    }
    harness_context_free(&ctx);
}

/* All rows equal, zero, huge or tiny: a loss is defined, and stays finite. */
static void dull_rows(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    static const float scale[] = {0, 1e-30f, 1e15f};
    for (int k = 0; k < 3; k++) {
        for (int item = 0; item < 2; item++) {
            train_case c = two(80);
            c.o.item = item;
            for (int i = 0; i < 80 * 8; i++) { c.x[0][0][i] *= scale[k]; }
            accept(ctx, &c);
            train_clear(&c);
        }
    }
    train_case c = two(80);
    for (int i = 0; i < 80 * 8; i++) { c.x[0][0][i] = 1; }
    accept(ctx, &c);
    c.o.loss = CSIM_LOSS_DEEPDOT;
    accept(ctx, &c);
    c.o.loss = CSIM_LOSS_DEEPCKA; /* equal rows have no CKA */
    train_write(ctx, &c, "m");
    refused(ctx, train_run(ctx, &c, "m", "m.nc", &(train_how){.overwrite = 1}), CSIM_E_NUMERIC,
            "CKA is undefined");
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- sizes ---- */

static void few_examples(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = two(1);
    refuse(ctx, &c, CSIM_E_DATA, "at least two");
    train_clear(&c);
    c = two(2);
    accept(ctx, &c);
    c.o.batch = 1;
    accept(ctx, &c);
    c.o.item = CSIM_ITEM_SET;
    accept(ctx, &c);
    c.o.early_stop = 1;
    refuse(ctx, &c, CSIM_E_DATA, "to hold out");
    train_clear(&c);
    c = two(13);
    c.o.early_stop = 1;
    refuse(ctx, &c, CSIM_E_DATA, "two to hold out");
    c.o.held_out = 0.9;
    accept(ctx, &c);
    train_clear(&c);
    c = two(65);
    c.o.loss = CSIM_LOSS_DEEPCKA;
    c.o.batch = 64;
    refuse(ctx, &c, CSIM_E_USAGE, "--batch 64 of 65 examples the last batch has one");
    c.o.batch = 1000000;
    accept(ctx, &c);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* More than the data have: as if it were all, with a warning. */
static void large_batches(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = two(100);
    csim__checkpoint *got[2] = {NULL};
    train_write(ctx, &c, "m");
    for (int k = 0; k < 2; k++) {
        c.o.batch = k ? 10000000 : 100;
        train_must(ctx, &c, "m", "m.nc");
        train_ok(ctx, csim__checkpoint_read(ctx, "m.nc", &got[k]));
    }
    const csim__field *p = train_field(got[0], "parameters"),
                      *q = train_field(got[1], "parameters");
    assert_memory_equal(p->data, q->data, (size_t)p->size[1] * sizeof(float));
    for (int k = 0; k < 2; k++) { csim__checkpoint_free(ctx, &got[k]); }
    train_clear(&c);
    harness_context_free(&ctx);
}

/* Nothing learned: what is there are first parameters, of the seed. */
static void no_epochs(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = two(50);
    c.o.epochs = 0;
    csim__checkpoint *got[2] = {NULL};
    train_write(ctx, &c, "m");
    for (int k = 0; k < 2; k++) {
        c.o.inits = 3;
        c.o.seed += k;
        train_must(ctx, &c, "m", "m.nc");
        train_ok(ctx, csim__checkpoint_read(ctx, "m.nc", &got[k]));
    }
    const csim__field *p = train_field(got[0], "parameters"),
                      *q = train_field(got[1], "parameters");
    const float *a = p->data, *b = q->data;
    int64_t n = p->size[1];
    assert_int_equal(p->size[0], 3);
    assert_memory_equal(a + n, b, (size_t)(2 * n) * sizeof *a); /* seeds follow each other */
    for (int64_t i = 0; i < n; i++) { /* of 8, 6, 9, 7 neurons, in ±1/√ of them */
        assert_true(fabsf(a[i]) <= 1 / sqrtf(6) && a[i] != a[n + i]);
    }
    assert_int_equal(train_field(got[0], "loss")->size[1], 0);
    for (int k = 0; k < 2; k++) { csim__checkpoint_free(ctx, &got[k]); }
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- sets and options ---- */

static void sets_that_do_not_fit(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = train_make(60, 1, 1, (const int[]){8});
    refuse(ctx, &c, CSIM_E_USAGE, "two sets or more, or --views 2");
    c.o.item = CSIM_ITEM_SET;
    refuse(ctx, &c, CSIM_E_USAGE, "--item set needs two sets");
    c.o.item = CSIM_ITEM_ROW;
    c.o.views = 2;
    accept(ctx, &c);
    train_clear(&c);

    c = two(60);
    c.sets = 1;
    c.layers = 2; /* a file of two layers beside one of one */
    c.d[0][1] = 5;
    c.x[0][1] = c.x[1][0];
    train_write(ctx, &c, "m");
    c.layers = 1;
    train_case other = c;
    other.x[0][0] = c.x[1][0];
    other.d[0][0] = 6;
    train_write(ctx, &other, "n");
    csim_set *sets[2] = {NULL};
    csim_input_options input = {.neuron_axis = -1};
    csim_train_options o = c.o;
    train_ok(ctx, csim_train_resolve(ctx, &o));
    train_ok(ctx, csim_set_open(ctx, "m_a.nc", &input, &sets[0]));
    train_ok(ctx, csim_set_open(ctx, "n_a.nc", &input, &sets[1]));
    csim_status st = csim_train(ctx, sets, 2, &o, &(csim_train_run){.output = "u.nc"});
    csim_set_free(&sets[0]);
    csim_set_free(&sets[1]);
    refused(ctx, st, CSIM_E_SHAPE, "set m_a has 2 layers, set n_a has 1");
    c.sets = 2;
    train_clear(&c);
    harness_context_free(&ctx);
}

static void hidden_layers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      ",",     "5,",
                                      ",5",    "0",     "-3",
                                      "5,,5",  "5 5",   "many",
                                      "5;5",   "65537", "99999999999999999999",
                                      "nonee", "1e3",   "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"};
    csim_context *ctx = harness_context();
    train_case c = two(40);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        c.o.hidden = bad[k];
        refuse(ctx, &c, CSIM_E_USAGE, "--hidden ");
    }
    static const char *const good[] = {"none", "1", "3,1,2", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"};
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        c.o.hidden = good[k];
        accept(ctx, &c);
    }
    c.o.hidden = "65536,65536,65536";
    refuse(ctx, &c, CSIM_E_LIMIT, "parameters");
    c.o.hidden = "none";
    c.o.out = 1;
    accept(ctx, &c); /* unit rows of one number: ±1 */
    train_clear(&c);
    harness_context_free(&ctx);
}

static void notions(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = train_make(60, 1, 1, (const int[]){8});
    train_add_notion(&c, 3, 0);
    train_add_notion(&c, 4, 2);
    static const struct {
        const char *list, *part;
    } bad[] = {{NULL, "--notions"},
               {",", "no label variable"},
               {"n0,nine", "label_nine"},
               {"label_n0", "label_label_n0"}};
    const char *all = c.o.notions;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        c.o.notions = bad[k].list;
        refuse(ctx, &c, k < 2 ? CSIM_E_USAGE : CSIM_E_DATA, bad[k].part);
    }
    c.o.notions = all;
    for (int i = 0; i < 60; i++) { c.label[1][i] = i; } /* no two are equal: views are positives */
    accept(ctx, &c);
    for (int i = 1; i < 60; i++) { c.label[1][i] = -1; } /* most batches have no positive at all */
    c.o.batch = 7;
    accept(ctx, &c);
    c.o.early_stop = 1;
    accept(ctx, &c);
    c.label[1][0] = INT64_MIN; /* any negative number is a missing label */
    refuse(ctx, &c, CSIM_E_DATA, "label_n1 is missing in every example");
    c.o.loss = CSIM_LOSS_CONTRASTIVE;
    c.o.views = 2;
    refuse(ctx, &c, CSIM_E_USAGE, "--notions goes with --loss mscon");
    c.o.notions = NULL;
    accept(ctx, &c);
    c.o.loss = CSIM_LOSS_MSCON;
    c.o.notions = all;
    c.o.views = 1;
    refuse(ctx, &c, CSIM_E_USAGE, "--views 2");
    c.o.views = 2;
    c.o.item = CSIM_ITEM_SET;
    refuse(ctx, &c, CSIM_E_USAGE, "--item set goes with --loss contrastive");
    train_clear(&c);
    c = two(60);
    train_add_notion(&c, 3, 0);
    refuse(ctx, &c, CSIM_E_USAGE, "takes one set, found 2");
    train_clear(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diverging_losses),
        cmocka_unit_test(values_that_are_no_numbers),
        cmocka_unit_test(dull_rows),
        cmocka_unit_test(few_examples),
        cmocka_unit_test(large_batches),
        cmocka_unit_test(no_epochs),
        cmocka_unit_test(sets_that_do_not_fit),
        cmocka_unit_test(hidden_layers),
        cmocka_unit_test(notions),
    };
    return harness_finish(cmocka_run_group_tests_name("train_misuse", tests, NULL, NULL));
}
