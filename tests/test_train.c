/* Whole trainings against a reference in double: gradients of every loss, parameters after several
 * steps, learning curves; and that training teaches something. */
#include "train_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct setting {
    const char *name;
    int n, sets, layers, d[TRAIN_SETS * TRAIN_LAYERS];
    void (*change)(train_case *c);
} setting;

/* ---- settings ---- */

static void by_model(train_case *c)
{
    c->o.input_layer = 1;
    c->o.activation = CSIM_GELU;
}

static void sets_as_items(train_case *c)
{
    c->o.item = CSIM_ITEM_SET;
    c->o.batch = 150;
    c->o.epochs = 4;
}

static void noisy_sets(train_case *c)
{
    sets_as_items(c);
    c->o.view_noise = 0.2;
    c->o.view_dropout = 0.3;
}

static void deepdot(train_case *c)
{
    c->o.loss = CSIM_LOSS_DEEPDOT;
}

static void deepcka(train_case *c)
{
    c->o.loss = CSIM_LOSS_DEEPCKA;
    c->o.hidden = "8";
}

static void several_views(train_case *c)
{
    c->o.views = 3;
    c->o.view_noise = 0.3;
    c->o.view_dropout = 0.25;
    c->o.hidden = "none";
}

static void dropout_alone(train_case *c)
{
    c->o.view_dropout = 0.4;
    c->o.base_temperature = 0.07;
}

static void cold(train_case *c)
{
    c->o.temperature = 0.01;
    c->o.optimiser = 1;
    c->o.rate = 2e-3;
    c->o.momentum = 0.5;
    c->o.rate_factor = 0.8;
    c->o.activation = CSIM_GELU;
}

static void learned_weights(train_case *c)
{
    train_add_notion(c, 4, 5);
    train_add_notion(c, 7, 0);
    train_add_notion(c, 2, 2);
    c->o.epochs = 3;
}

static void equal_weights(train_case *c)
{
    learned_weights(c);
    c->o.weights = 1;
    c->o.decay = 0.01;
    c->o.optimiser = 0;
}

static void weights_and_base(train_case *c)
{
    learned_weights(c);
    c->o.base_temperature = 0.5;
    c->o.view_noise = 0;
    c->o.rate = 0.02;
}

static void clipped(train_case *c)
{
    c->o.optimiser = 1;
    c->o.rate = 0.05;
    c->o.clip = 0.1;
    c->o.schedule = 1;
    c->o.warmup = 2;
    c->o.epochs = 4;
    c->o.decay = 0.02;
}

static void stopping_early(train_case *c)
{
    c->o.early_stop = 1;
    c->o.held_out = 0.37;
    c->o.patience = 1000;
}

static void large_batch(train_case *c)
{
    c->o.batch = 10000;
    c->o.activation = CSIM_GELU;
}

static const setting settings[] = {
    {"two sets", 100, 2, 1, {8, 8}, NULL},
    {"three sets of two layers, unequal widths", 70, 3, 2, {8, 5, 7, 5, 8, 12}, NULL},
    {"an input layer a model", 60, 3, 2, {8, 8, 8, 8, 6, 8}, by_model},
    {"sets as items", 330, 3, 3, {8, 5, 7, 5, 8, 12, 3, 9, 8}, sets_as_items},
    {"noisy sets as items", 170, 2, 2, {8, 5, 5, 6}, noisy_sets},
    {"deepdot", 90, 3, 2, {8, 6, 7, 6, 8, 6}, deepdot},
    {"deepcka", 90, 3, 1, {8, 6, 8}, deepcka},
    {"views", 50, 2, 2, {8, 6, 5, 6}, several_views},
    {"views of one set", 64, 1, 2, {8, 6}, several_views},
    {"dropout, base temperature", 50, 2, 1, {8, 6}, dropout_alone},
    {"low temperature", 80, 2, 1, {8, 8}, cold},
    {"mscon", 90, 1, 1, {8}, learned_weights},
    {"mscon, equal weights", 90, 1, 2, {8, 9}, equal_weights},
    {"mscon, base temperature", 90, 1, 1, {8}, weights_and_base},
    {"clip, cosine, warmup", 80, 2, 1, {8, 8}, clipped},
    {"early stopping", 90, 2, 2, {8, 8, 7, 8}, stopping_early},
    {"one batch of ten chunks", 600, 2, 1, {8, 7}, large_batch},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static train_case make(const setting *s)
{
    train_case c = train_make(s->n, s->sets, s->layers, s->d);
    if (s->change != NULL) { s->change(&c); }
    return c;
}

/* ---- what a run leaves ---- */

/* Train into "t.nc" and read it. */
static csim__checkpoint *trained(csim_context *ctx, const train_case *c)
{
    csim__checkpoint *got = NULL;
    train_must(ctx, c, "t", "t.nc");
    train_ok(ctx, csim__checkpoint_read(ctx, "t.nc", &got));
    return got;
}

static const float *floats(const csim__checkpoint *c, const char *name, int64_t n)
{
    const csim__field *field = train_field(c, name);
    assert_true(field->type == CSIM__FLOAT32 && field->size[field->ndim - 1] == n);
    return field->data;
}

static double curve(const csim__checkpoint *c, const char *name, int64_t epoch)
{
    const csim__field *field = train_field(c, name);
    assert_true(field->type == CSIM__FLOAT64 && epoch < field->size[1]);
    return ((const double *)field->data)[epoch];
}

/* The reference starts where the library does: an untrained encoder says where that is. */
static void start(csim_context *ctx, const train_case *c, train_ref *r)
{
    train_case none = *c;
    none.o.epochs = 0;
    csim__checkpoint *got = trained(ctx, &none);
    train_ref_make(ctx, c, r);
    const float *p = floats(got, "state_parameters", r->net.parameters);
    assert_memory_equal(p, floats(got, "parameters", r->net.parameters),
                        (size_t)r->net.parameters * sizeof *p);
    for (int64_t i = 0; i < r->net.parameters; i++) { r->p[i] = (double)p[i]; }
    csim__checkpoint_free(ctx, &got);
}

static int say(csim_context *ctx, const char *name, const char *what, double off, double allowed)
{
    if (off <= allowed) { return 0; }
    if (csim_context_rank(ctx) == 0) {
        print_error("%s: %s is off by %.3g, allowed %.3g\n", name, what, off, allowed);
    }
    return 1;
}

/* Largest |a − b| of a tensor over the largest |b|. */
static double apart(int64_t n, const float *a, const double *b)
{
    double off = 0, top = 0;
    for (int64_t i = 0; i < n; i++) {
        off = fmax(off, fabs((double)a[i] - b[i]));
        top = fmax(top, fabs(b[i]));
    }
    return top > 0 ? off / top : off;
}

/* ---- gradients ---- */

/* Fourth-order central difference of the reference's loss. */
static double slope(train_ref *r, const int64_t *row, int count, int64_t at)
{
    double p = r->p[at], h = 2e-5, f[4];
    static const double step[4] = {-2, -1, 1, 2};
    for (int k = 0; k < 4; k++) {
        r->p[at] = p + step[k] * h;
        f[k] = train_ref_loss(r, row, count, 0, 0, NULL);
    }
    r->p[at] = p;
    return (f[0] - f[3] + 8 * (f[2] - f[1])) / (12 * h);
}

/* The reference's own gradient g of a tensor against differences of its loss. */
static int check_reference(csim_context *ctx, const char *name, train_ref *r, const int64_t *row,
                           int count, int64_t at, int64_t n)
{
    double top = 0, off = 0;
    for (int64_t i = at; i < at + n; i++) { top = fmax(top, fabs(r->g[i])); }
    for (int64_t i = at; i < at + n; i += 1 + n / 40) {
        off = fmax(off, fabs(slope(r, row, count, i) - r->g[i]));
    }
    return say(ctx, name, "the reference's gradient", off, 1e-6 * top + 1e-9);
}

/* The whole gradient of one step of all rows, left by SGD as its velocity: against the reference's,
 * and that, which is the same on any number of ranks, on one rank against differences. */
static int check_gradient(csim_context *ctx, const setting *s)
{
    train_case c = make(s);
    train_ref r;
    int wrong = 0, count = c.n < 60 ? c.n : 60;
    c.n = count;
    c.layers = c.o.item == CSIM_ITEM_SET ? c.layers : 1;
    c.o.batch = count;
    c.o.epochs = 1;
    c.o.optimiser = 1;
    c.o.decay = c.o.clip = 0;
    c.o.early_stop = 0;
    c.o.activation = CSIM_GELU; /* differences want no corners */
    train_write(ctx, &c, "t");
    start(ctx, &c, &r);
    csim__checkpoint *got = trained(ctx, &c);
    const float *g = floats(got, "state_mean", r.net.parameters);
    if (csim_context_rank(ctx) == 0) {
        int64_t *order = malloc((size_t)count * sizeof *order);
        double worst = 0;
        for (int i = 0; i < count; i++) { order[i] = i; }
        double loss = train_ref_loss(&r, order, count, 0, 0, r.g);
        wrong += say(ctx, s->name, "loss", fabs(loss - curve(got, "loss", 0)), 2e-5 * fabs(loss));
        for (int k = 0; k < r.net.tensors; k++) {
            int64_t at = r.net.tensor[k], n = r.net.tensor[k + 1] - at;
            worst = fmax(worst, apart(n, g + at, r.g + at));
            if (csim_context_size(ctx) == 1) {
                wrong += check_reference(ctx, s->name, &r, order, count, at, n);
            }
        }
        wrong += say(ctx, s->name, "the gradient", worst, 5e-5);
        free(order);
    }
    csim__checkpoint_free(ctx, &got);
    train_ref_clear(&r);
    c.layers = s->layers;
    train_clear(&c);
    return wrong;
}

static void gradients(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (int i = 0; i < SETTINGS; i++) { wrong += check_gradient(ctx, &settings[i]); }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- steps ---- */

/* Parameters after all epochs, loss curves and the optimiser's state. */
static int check_steps(csim_context *ctx, const setting *s)
{
    train_case c = make(s);
    train_ref r;
    int wrong = 0;
    train_write(ctx, &c, "t");
    start(ctx, &c, &r);
    csim__checkpoint *got = trained(ctx, &c);
    int64_t n = r.net.parameters;
    const float *p = floats(got, "state_parameters", n);
    if (csim_context_rank(ctx) == 0) {
        double moved = 0, off = 0, square = 0, *first = malloc((size_t)n * sizeof *first);
        memcpy(first, r.p, (size_t)n * sizeof *first);
        for (int64_t e = 0; e < c.o.epochs; e++) {
            train_ref_epoch(&r, e);
            double loss = curve(got, "loss", e);
            wrong += say(ctx, s->name, "loss", fabs(loss - r.loss), 1e-4 * fabs(r.loss));
            if (r.held_out > 0) {
                loss = curve(got, "held_out_loss", e);
                wrong += say(ctx, s->name, "held-out loss", fabs(loss - r.held_loss),
                             1e-4 * fabs(r.held_loss));
            }
        }
        for (int64_t i = 0; i < n; i++) {
            double d = fabs((double)p[i] - r.p[i]);
            moved = fmax(moved, fabs(r.p[i] - first[i]));
            off = fmax(off, d);
            square += d * d / (double)n;
        }
        /* Adam divides small gradients by their own size, and so their errors too */
        wrong += say(ctx, s->name, "a parameter", off / moved, 1e-4);
        wrong += say(ctx, s->name, "the parameters", sqrt(square) / moved, 1e-5);
        free(first);
        int64_t steps = 0;
        train_ok(ctx, csim__checkpoint_int(got, "state_step", &steps));
        assert_int_equal(steps, r.step);
    }
    csim__checkpoint_free(ctx, &got);
    train_ref_clear(&r);
    train_clear(&c);
    return wrong;
}

static void steps(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (int i = 0; i < SETTINGS; i++) { wrong += check_steps(ctx, &settings[i]); }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- init and early stopping ---- */

/* Encoder k of a training of several is that of a training with seed + k. */
static void inits_are_trainings(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const int d[] = {8, 6};
    train_case c = train_make(70, 2, 1, d);
    train_write(ctx, &c, "t");
    c.o.inits = 3;
    csim__checkpoint *all = trained(ctx, &c);
    const csim__field *p = train_field(all, "parameters");
    assert_int_equal(p->size[0], 3);
    size_t bytes = (size_t)p->size[1] * sizeof(float);
    for (int k = 0; k < 3; k++) {
        train_case one = c;
        one.o.inits = 1;
        one.o.seed = c.o.seed + k;
        csim__checkpoint *alone = trained(ctx, &one);
        assert_memory_equal((const float *)p->data + k * p->size[1],
                            train_field(alone, "parameters")->data, bytes);
        assert_memory_equal((const double *)train_field(all, "loss")->data + k * c.o.epochs,
                            train_field(alone, "loss")->data, 2 * sizeof(double));
        csim__checkpoint_free(ctx, &alone);
    }
    csim__checkpoint_free(ctx, &all);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* Too large a rate: the held-out loss has its minimum early. What is published is that epoch's. */
static void best_epoch_is_kept(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const int d[] = {8, 6};
    train_case c = train_make(60, 2, 1, d);
    c.o.early_stop = 1;
    c.o.held_out = 0.3;
    c.o.patience = 2;
    c.o.epochs = 60;
    c.o.rate = 0.05;
    c.o.batch = 12;
    train_write(ctx, &c, "t");
    csim__checkpoint *got = trained(ctx, &c);
    int64_t ended, best, finished;
    train_ok(ctx, csim__checkpoint_int(got, "state_epoch", &ended));
    train_ok(ctx, csim__checkpoint_int(got, "state_best_epoch", &best));
    train_ok(ctx, csim__checkpoint_int(got, "state_finished", &finished));
    assert_true(finished == 1 && ended < 60 && ended == best + 1 + c.o.patience);
    for (int64_t e = 0; e < ended; e++) {
        double loss = curve(got, "held_out_loss", e), least = curve(got, "held_out_loss", best);
        assert_true(e < best ? loss > least : loss >= least);
    }
    assert_true(isnan(curve(got, "loss", ended)));
    c.o.epochs = best + 1;
    csim__checkpoint *shorter = trained(ctx, &c);
    const csim__field *p = train_field(got, "parameters");
    assert_memory_equal(p->data, train_field(shorter, "parameters")->data,
                        (size_t)p->size[1] * sizeof(float));
    csim__checkpoint_free(ctx, &shorter);
    csim__checkpoint_free(ctx, &got);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- learning ---- */

static void check_learning(csim_context *ctx, const char *path, int64_t epochs, double margin)
{
    csim__checkpoint *got = NULL;
    train_ok(ctx, csim__checkpoint_read(ctx, path, &got));
    double before = curve(got, "positive_similarity", 0) - curve(got, "negative_similarity", 0);
    assert_true(curve(got, "margin", 0) == before);
    double after = curve(got, "positive_similarity", epochs - 1) -
                   curve(got, "negative_similarity", epochs - 1);
    if (csim_context_rank(ctx) == 0) {
        print_message("%s: margin %.3f to %.3f, loss %.3f to %.3f\n", path, before, after,
                      curve(got, "loss", 0), curve(got, "loss", epochs - 1));
    }
    assert_true(curve(got, "loss", epochs - 1) < curve(got, "loss", 0));
    assert_true(after > before + margin);
    csim__checkpoint_free(ctx, &got);
}

static void train_files(csim_context *ctx, const char *const *path, int count, const char *layers,
                        const char *examples, csim_train_options o, const char *output)
{
    csim_set *sets[TRAIN_SETS] = {NULL};
    csim_input_options input = {
        .neuron_axis = -1, .layers = {.text = &layers, .count = 1}, .examples = examples};
    csim_train_run run = {.output = output, .overwrite = 1};
    train_ok(ctx, csim_train_resolve(ctx, &o));
    for (int s = 0; s < count; s++) {
        train_ok(ctx, csim_set_open(ctx, path[s], &input, &sets[s]));
    }
    train_ok(ctx, csim_train(ctx, sets, count, &o, &run));
    for (int s = 0; s < count; s++) { csim_set_free(&sets[s]); }
}

/* Translations of sentences. */
static void learns_from_translations(void **state)
{
    (void)state;
    const char *data = getenv("CONTRASIM_DATA");
    char a[512], b[512];
    snprintf(a, sizeof a, "%s/multilingual/eng.safetensors", data != NULL ? data : ".");
    snprintf(b, sizeof b, "%s/multilingual/deu.safetensors", data != NULL ? data : ".");
    if (!train_exists(a) || !train_exists(b)) {
        print_message("no %s: skipped\n", a);
        skip();
    }
    csim_context *ctx = harness_context();
    train_case c = train_make(1, 1, 1, (const int[]){1});
    c.o.hidden = "64";
    c.o.out = 32;
    c.o.batch = 200;
    c.o.epochs = 4;
    c.o.rate = 1e-3;
    train_files(ctx, (const char *const[]){a, b}, 2, "5", "0:600", c.o, "languages.nc");
    check_learning(ctx, "languages.nc", c.o.epochs, 0.1);
    train_clear(&c);
    harness_context_free(&ctx);
}

static void learns_layers(void **state)
{
    (void)state;
    const char *source = getenv("CONTRASIM_SOURCE");
    char path[4][512];
    const char *list[4] = {path[0], path[1], path[2], path[3]};
    csim_context *ctx = harness_context();
    train_case c = train_make(1, 1, 1, (const int[]){1});
    assert_non_null(source);
    for (int s = 0; s < 4; s++) {
        snprintf(path[s], sizeof path[s], "%s/inputs/tiny/net%02d.nc", source, s);
    }
    c.o.item = CSIM_ITEM_SET;
    c.o.hidden = "64,32";
    c.o.out = 16;
    c.o.batch = 128;
    c.o.epochs = 6;
    c.o.rate = 2e-3;
    c.o.temperature = 0.07;
    train_files(ctx, list, 4, "0:", NULL, c.o, "layers.nc");
    check_learning(ctx, "layers.nc", c.o.epochs, 0.1);
    train_clear(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(steps),
        cmocka_unit_test(inits_are_trainings),
        cmocka_unit_test(best_epoch_is_kept),
        cmocka_unit_test(learns_from_translations),
        cmocka_unit_test(learns_layers),
    };
    return harness_finish(cmocka_run_group_tests_name("train", tests, NULL, NULL));
}
