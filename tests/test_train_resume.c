/* Going on from checkpoints: finished, damaged, missing, of other data or options; outputs that
 * exist. */
#include "train_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct messages {
    int warnings; /* that another generation is taken */
    char text[2048];
} messages;

static void listen(void *user, csim_log_level level, const char *event, const char *text,
                   const csim_log_value *values, int count)
{
    messages *m = user;
    (void)event;
    (void)values;
    (void)count;
    m->warnings += level == CSIM_LOG_WARNING && strstr(text, "going on from") != NULL;
    strncat(m->text, text, sizeof m->text - strlen(m->text) - 1);
    strncat(m->text, "\n", sizeof m->text - strlen(m->text) - 1);
}

/* Was it said on rank 0, with so many of those warnings? */
static void assert_said(csim_context *ctx, messages *m, int warnings, const char *part)
{
    if (csim_context_rank(ctx) == 0) {
        assert_int_equal(m->warnings, warnings);
        if (strstr(m->text, part) == NULL) { fail_msg("'%s' lacks '%s'", m->text, part); }
    }
    *m = (messages){.warnings = 0};
}

static void refused(csim_context *ctx, csim_status st, csim_status expected, const char *part)
{
    assert_true(harness_same(ctx, st));
    if (st != expected || strstr(csim_context_error(ctx), part) == NULL) {
        fail_msg("%s: '%s' lacks '%s'", csim_status_name(st), csim_context_error(ctx), part);
    }
    assert_int_equal(csim_context_memory_live(ctx), 0);
    csim__forgive(ctx);
}

static train_case make(csim_context *ctx)
{
    train_case c = train_make(150, 2, 2, (const int[]){8, 6, 7, 6});
    c.o.batch = 64;
    c.o.epochs = 3;
    train_write(ctx, &c, "r");
    return c;
}

static csim_status resume(csim_context *ctx, const train_case *c, const char *path)
{
    return train_run(ctx, c, "r", path, &(train_how){.resume = 1});
}

static void same(const char *a, const char *b)
{
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(train_same_file(a, b));
    MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- what is there ---- */

static void existing_outputs_are_kept(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx);
    train_must(ctx, &c, "r", "r.nc");
    train_copy("r.nc", "kept.nc");
    refused(ctx, train_run(ctx, &c, "r", "r.nc", &(train_how){.resume = 0}), CSIM_E_EXISTS,
            "r.nc exists");
    same("r.nc", "kept.nc");
    /* an input is no output, not even to be overwritten or as a link */
    train_copy("r_b.nc", "set.nc");
    for (int k = 0; k < 2; k++) {
        train_how how = {.overwrite = k == 0, .resume = k == 1};
        refused(ctx, train_run(ctx, &c, "r", "r_b.nc", &how), CSIM_E_USAGE,
                "output r_b.nc is file r_b.nc of set b, which it would replace");
        refused(ctx, train_run(ctx, &c, "r", "./r_a.nc", &how), CSIM_E_USAGE, "of set a, which");
    }
    same("r_b.nc", "set.nc");
    refused(ctx, train_run(ctx, &c, "r", "no/folder/r.nc", &(train_how){.resume = 0}), CSIM_E_IO,
            "no/folder");
    refused(ctx, train_run(ctx, &c, "r", ".", &(train_how){.overwrite = 1}), CSIM_E_IO, "regular");
    refused(ctx, train_run(ctx, &c, "r", "", &(train_how){.overwrite = 1}), CSIM_E_IO, "name");
    refused(ctx, train_run(ctx, &c, "r", NULL, &(train_how){.overwrite = 1}), CSIM_E_USAGE,
            "output");
    train_clear(&c);
    harness_context_free(&ctx);
}

static void nothing_saved_starts_afresh(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx);
    train_must(ctx, &c, "r", "plain.nc");
    train_remove("r.nc");
    train_remove("r.nc.prev");
    train_ok(ctx, resume(ctx, &c, "r.nc"));
    same("r.nc", "plain.nc");
    same("r.nc.prev", "plain.nc.prev");
    assert_false(train_same_file("r.nc", "r.nc.prev"));
    train_clear(&c);
    harness_context_free(&ctx);
}

static void finished_is_said(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    messages m = {.warnings = 0};
    train_case c = make(ctx);
    for (int early = 0; early < 2; early++) {
        c.o.early_stop = early;
        c.o.epochs = early ? 40 : 3;
        c.o.rate = early ? 0.2 : 0.01;
        c.o.patience = 1;
        train_must(ctx, &c, "r", "r.nc");
        train_copy("r.nc", "kept.nc");
        train_copy("r.nc.prev", "kept.nc.prev");
        csim_context_set_log(ctx, CSIM_LOG_INFO, listen, &m);
        train_ok(ctx, resume(ctx, &c, "r.nc"));
        csim_context_set_log(ctx, CSIM_LOG_INFO, NULL, NULL);
        assert_said(ctx, &m, 0, "r.nc: finished");
        same("r.nc", "kept.nc"); /* nor is the generation before lost */
        same("r.nc.prev", "kept.nc.prev");
    }
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- damage ---- */

/* A training stopped in its second epoch, as "r.nc" and "r.nc.prev". */
static void stopped(csim_context *ctx, const train_case *c)
{
    train_remove("r.nc");
    train_remove("r.nc.prev");
    csim_status st = train_run(ctx, c, "r", "r.nc", &(train_how){.stop_after = 9});
    refused(ctx, st, CSIM_E_STOPPED, "stopped in epoch 2 with everything saved in r.nc; --resume");
}

static void damage_falls_back_to_the_generation_before(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    messages m = {.warnings = 0};
    train_case c = make(ctx);
    train_must(ctx, &c, "r", "plain.nc");
    for (int k = 0; k < 7; k++) {
        stopped(ctx, &c);
        if (k < 4) {
            train_damage("r.nc", k / 3.0);
        } else {
            train_cut("r.nc", (k - 4) / 3.0);
        }
        csim_context_set_log(ctx, CSIM_LOG_WARNING, listen, &m);
        train_ok(ctx, resume(ctx, &c, "r.nc"));
        csim_context_set_log(ctx, CSIM_LOG_INFO, NULL, NULL);
        assert_said(ctx, &m, 1, "going on from r.nc.prev");
        same("r.nc", "plain.nc");
    }
    /* the moment between two names, on a file system without hard links */
    stopped(ctx, &c);
    train_remove("r.nc");
    train_ok(ctx, resume(ctx, &c, "r.nc"));
    same("r.nc", "plain.nc");
    train_clear(&c);
    harness_context_free(&ctx);
}

static void two_damaged_generations_are_an_error(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx);
    stopped(ctx, &c);
    train_damage("r.nc", 0.4);
    train_copy("r.nc", "kept.nc");
    for (int k = 0; k < 3; k++) {
        if (k == 0) { train_damage("r.nc.prev", 0.6); }
        if (k == 1) { train_cut("r.nc.prev", 0.6); }
        if (k == 2) { train_remove("r.nc.prev"); }
        refused(ctx, resume(ctx, &c, "r.nc"), CSIM_E_FORMAT, "r.nc");
        same("r.nc", "kept.nc");
    }
    train_copy("r_a.nc", "r.nc"); /* no checkpoint at all */
    refused(ctx, resume(ctx, &c, "r.nc"), CSIM_E_FORMAT, "r.nc");
    same("r.nc", "r_a.nc");
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- other trainings ---- */

typedef struct change {
    const char *part; /* of the message */
    void (*make)(train_case *c);
} change;

#define CHANGE(name, statement)                                                                    \
    static void name(train_case *c)                                                                \
    {                                                                                              \
        statement;                                                                                 \
    }

CHANGE(other_loss, c->o.loss = CSIM_LOSS_DEEPDOT)
CHANGE(other_item, c->o.item = CSIM_ITEM_SET)
CHANGE(other_hidden, c->o.hidden = "9,8")
CHANGE(other_out, c->o.out = 7)
CHANGE(other_batch, c->o.batch = 65)
CHANGE(other_rate, c->o.rate = 0.011)
CHANGE(other_decay, c->o.decay = 1e-5)
CHANGE(other_seed, c->o.seed = 4)
CHANGE(other_temperature, c->o.temperature = 0.2)
CHANGE(other_optimiser, c->o.optimiser = 1)
CHANGE(other_inits, c->o.inits = 2)
CHANGE(other_views, c->o.views = 2)
CHANGE(other_activation, c->o.activation = CSIM_GELU)
CHANGE(other_input, c->o.input_layer = 1)
CHANGE(other_early, c->o.early_stop = 1)
CHANGE(other_clip, c->o.clip = 1)
CHANGE(other_warmup, c->o.warmup = 1)
CHANGE(other_schedule, c->o.schedule = 1)
CHANGE(fewer_epochs, c->o.epochs = 2)
CHANGE(fewer_examples, c->examples = "0:149")
CHANGE(other_examples, c->examples = "0:")

static const change changes[] = {
    {"'loss = contrastive' there, 'loss = deepdot' here", other_loss},
    {"'item = row' there", other_item},
    {"'hidden = 9,7' there, 'hidden = 9,8' here", other_hidden},
    {"out = 6", other_out},
    {"'batch = 64' there, 'batch = 65' here", other_batch},
    {"lr = 0.01' there, 'lr = 0.011'", other_rate},
    {"weight-decay", other_decay},
    {"'seed = 3' there, 'seed = 4' here", other_seed},
    {"temperature = 0.2' here", other_temperature},
    {"optimiser = adam", other_optimiser},
    {"init = 2' here", other_inits},
    {"views = 2' here", other_views},
    {"activation", other_activation},
    {"input-layer", other_input},
    {"early-stop", other_early},
    {"clip", other_clip},
    {"warmup", other_warmup},
    {"schedule", other_schedule},
    {"--epochs 3, here 2", fewer_epochs},
    {"150 examples, here are 149", fewer_examples},
};

static void other_options_are_refused(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx);
    stopped(ctx, &c);
    train_copy("r.nc", "kept.nc");
    for (size_t k = 0; k < sizeof changes / sizeof *changes; k++) {
        train_case other = c;
        changes[k].make(&other);
        csim_status st = resume(ctx, &other, "r.nc");
        refused(ctx, st, other.examples != NULL ? CSIM_E_DATA : CSIM_E_USAGE, changes[k].part);
        same("r.nc", "kept.nc");
    }
    train_case equal = c;
    other_examples(&equal); /* the same ones, said in another way */
    train_ok(ctx, resume(ctx, &equal, "r.nc"));
    train_clear(&c);
    harness_context_free(&ctx);
}

static void other_data_are_refused(void **state)
{
    (void)state;
    static const struct {
        int set, layer, at;
    } cells[] = {{0, 0, 0}, {1, 0, 5}, {0, 1, 149 * 6 + 5}, {1, 1, 64 * 6}};
    csim_context *ctx = harness_context();
    train_case c = make(ctx);
    for (int early = 0; early < 2; early++) {
        c.o.early_stop = early; /* held-out rows count too */
        stopped(ctx, &c);
        for (int k = 0; k < 4; k++) {
            float *x = &c.x[cells[k].set][cells[k].layer][cells[k].at], old = *x;
            *x += 1e-3f;
            train_write(ctx, &c, "r");
            refused(ctx, resume(ctx, &c, "r.nc"), CSIM_E_DATA,
                    cells[k].set ? "other data: 'b xxh3_64:" : "other data: 'a xxh3_64:");
            *x = old;
        }
        train_write(ctx, &c, "r");
        train_ok(ctx, resume(ctx, &c, "r.nc"));
    }
    train_clear(&c);
    harness_context_free(&ctx);
}

static void other_labels_are_refused(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = train_make(60, 1, 1, (const int[]){8});
    c.o.batch = 20;
    c.o.epochs = 6;
    train_add_notion(&c, 3, 0);
    train_add_notion(&c, 4, 0);
    train_write(ctx, &c, "r");
    refused(ctx, train_run(ctx, &c, "r", "r.nc", &(train_how){.overwrite = 1, .stop_after = 8}),
            CSIM_E_STOPPED, "epoch 3");
    train_case other = c;
    other.o.notions = "n1,n0";
    refused(ctx, resume(ctx, &other, "r.nc"), CSIM_E_USAGE, "'n0,n1' there, 'n1,n0' here");
    other = c;
    other.o.weights = 1;
    refused(ctx, resume(ctx, &other, "r.nc"), CSIM_E_USAGE, "weights = equal");
    int64_t old = c.label[1][59];
    c.label[1][59] = -1;
    train_write(ctx, &c, "r");
    refused(ctx, resume(ctx, &c, "r.nc"), CSIM_E_DATA, "other data: 'a ");
    c.label[1][59] = old;
    train_write(ctx, &c, "r");
    train_ok(ctx, resume(ctx, &c, "r.nc"));
    train_clear(&c);
    harness_context_free(&ctx);
}

/* What cannot grow: the schedule looks at the last epoch; with several encoders the first are done. */
static void epochs_that_may_not_grow(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx);
    for (int k = 0; k < 2; k++) {
        c.o.schedule = k;
        c.o.inits = k == 0 ? 2 : 1;
        c.o.epochs = 2;
        train_must(ctx, &c, "r", "r.nc");
        c.o.epochs = 3;
        refused(ctx, resume(ctx, &c, "r.nc"), CSIM_E_USAGE, "--epochs 2, here 3");
    }
    train_clear(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(existing_outputs_are_kept),
        cmocka_unit_test(nothing_saved_starts_afresh),
        cmocka_unit_test(finished_is_said),
        cmocka_unit_test(damage_falls_back_to_the_generation_before),
        cmocka_unit_test(two_damaged_generations_are_an_error),
        cmocka_unit_test(other_options_are_refused),
        cmocka_unit_test(other_data_are_refused),
        cmocka_unit_test(other_labels_are_refused),
        cmocka_unit_test(epochs_that_may_not_grow),
    };
    return harness_finish(cmocka_run_group_tests_name("train_resume", tests, NULL, NULL));
}
