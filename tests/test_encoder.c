/* Encoders as they are read from checkpoints: what they map rows to, whom they take, and files that
 * are none or damaged. */
#include "train_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/encoder.h"
#include "reference_chain.h"

static train_case make(csim_context *ctx, int input_layer)
{
    static const int d[] = {8, 5, 6, 8, 5, 7};
    train_case c = train_make(60, 2, 3, d);
    c.o.input_layer = input_layer;
    c.o.inits = 2;
    c.o.epochs = 1;
    c.o.activation = input_layer ? CSIM_GELU : CSIM_RELU;
    train_write(ctx, &c, "e");
    train_must(ctx, &c, "e", "e.nc");
    return c;
}

static csim_encoder *read(csim_context *ctx, const char *path)
{
    csim_encoder *e = NULL;
    csim_status st = csim_encoder_read(ctx, path, &e);
    assert_true(harness_same(ctx, st));
    train_ok(ctx, st);
    return e;
}

/* ---- values ---- */

static int input_of(csim_context *ctx, const csim_encoder *e, const train_case *c, int s, int l)
{
    static const char *const names[] = {"a", "b"};
    int input = -1;
    train_ok(ctx, csim_encoder_input(ctx, e, c->d[s][l], names[s], &input));
    assert_true(input >= 0 && e->width[input] == c->d[s][l]);
    return input;
}

/* All rows of a site against plain loops in double. */
static void compare(csim_context *ctx, const csim_encoder *e, const train_case *c, int init, int s,
                    int l)
{
    int out = csim_encoder_width(e), d = c->d[s][l], input = input_of(ctx, e, c, s, l);
    const csim__chain *chain = &e->net.encoder[input];
    int64_t n = e->net.parameters;
    double *p = malloc((size_t)n * sizeof *p), x[REFERENCE_WIDEST];
    float *z = malloc((size_t)(c->n * out) * sizeof *z);
    reference_row before, after;
    for (int64_t i = 0; i < n; i++) { p[i] = (double)e->params[init * n + i]; }
    train_ok(ctx, csim_encoder_encode(ctx, e, init, input, c->n, c->x[s][l], z));
    for (int r = 0; r < c->n; r++) {
        for (int j = 0; j < d; j++) { x[j] = (double)c->x[s][l][r * d + j]; }
        reference_forward(chain, p, x, before, after);
        const double *u = before[chain->depth - 1];
        double length = reference_length(out, u), square = 0;
        for (int k = 0; k < out; k++) {
            double v = (double)z[r * out + k];
            assert_true(fabs(v - u[k] / length) < 3e-6);
            square += v * v;
        }
        assert_true(fabs(square - 1) < 1e-6);
    }
    free(z);
    free(p);
}

static void rows_are_encoded(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int by_model = 0; by_model < 2; by_model++) {
        train_case c = make(ctx, by_model);
        csim_encoder *e = read(ctx, "e.nc");
        assert_int_equal(csim_encoder_width(e), c.o.out);
        assert_int_equal(csim_encoder_inits(e), 2);
        assert_int_equal(e->inputs, by_model ? 6 : 4);
        assert_string_equal(csim_encoder_path(e), "e.nc");
        assert_string_equal(csim_encoder_measure(e), "contrasim");
        for (int s = 0; s < 2; s++) {
            for (int l = 0; l < 3; l++) {
                for (int init = 0; init < 2; init++) { compare(ctx, e, &c, init, s, l); }
            }
        }
        csim_encoder_free(&e);
        assert_null(e);
        csim_encoder_free(&e);
        train_clear(&c);
    }
    harness_context_free(&ctx);
}

/* The bits of a row may depend on how rows are cut, its value not; the same cut gives the same bits. */
static void rows_may_be_cut(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx, 0);
    csim_encoder *e = read(ctx, "e.nc");
    int input = input_of(ctx, e, &c, 0, 0), out = csim_encoder_width(e);
    float whole[60 * 8], again[60 * 8], cut[60 * 8];
    train_ok(ctx, csim_encoder_encode(ctx, e, 0, input, 60, c.x[0][0], whole));
    train_ok(ctx, csim_encoder_encode(ctx, e, 0, input, 60, c.x[0][0], again));
    assert_memory_equal(whole, again, (size_t)(60 * out) * sizeof *whole);
    for (int r = 0, many = 1; r < 60; r += many, many = 1 + r % 7) {
        int rows = many < 60 - r ? many : 60 - r;
        train_ok(ctx,
                 csim_encoder_encode(ctx, e, 0, input, rows, c.x[0][0] + r * 8, cut + r * out));
    }
    for (int i = 0; i < 60 * out; i++) { assert_true(fabsf(cut[i] - whole[i]) < 1e-6f); }
    train_ok(ctx, csim_encoder_encode(ctx, e, 0, input, 0, NULL, NULL));
    csim_encoder_free(&e);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* A NaN stays in its row; a row of huge numbers has a direction all the same. */
static void odd_rows(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx, 0);
    csim_encoder *e = read(ctx, "e.nc");
    int input = input_of(ctx, e, &c, 0, 0), out = csim_encoder_width(e);
    float z[4 * 8], clean[4 * 8], x[4 * 8];
    memcpy(x, c.x[0][0], sizeof x);
    train_ok(ctx, csim_encoder_encode(ctx, e, 0, input, 4, x, clean));
    x[8 + 3] = NAN;
    for (int j = 0; j < 8; j++) { x[16 + j] *= 1e10f; }
    train_ok(ctx, csim_encoder_encode(ctx, e, 0, input, 4, x, z));
    for (int k = 0; k < out; k++) {
        assert_true(isnan(z[out + k]) && isfinite(z[2 * out + k]));
        assert_true(z[k] == clean[k] && z[3 * out + k] == clean[3 * out + k]);
    }
    csim_encoder_free(&e);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- whom they take ---- */

static void refused_input(csim_context *ctx, const csim_encoder *e, int64_t d, const char *model,
                          const char *part)
{
    int input = 7;
    assert_int_equal(csim_encoder_input(ctx, e, d, model, &input), CSIM_E_SHAPE);
    assert_int_equal(csim__vote(ctx, CSIM_E_SHAPE), CSIM_E_SHAPE);
    if (strstr(csim_context_error(ctx), part) == NULL) {
        fail_msg("'%s' lacks '%s'", csim_context_error(ctx), part);
    }
    csim__forgive(ctx);
}

static void unknown_widths_are_named(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    train_case c = make(ctx, 0);
    csim_encoder *e = read(ctx, "e.nc");
    int input = -1;
    train_ok(ctx, csim_encoder_input(ctx, e, 7, "never seen", &input)); /* by width alone */
    refused_input(ctx, e, 9, "a", "9 neurons; it was trained on 8, 5, 6, 7");
    refused_input(ctx, e, 0, "a", "e.nc");
    refused_input(ctx, e, INT64_C(1) << 40, "a", "1099511627776 neurons");
    csim_encoder_free(&e);
    train_clear(&c);
    c = make(ctx, 1);
    e = read(ctx, "e.nc");
    refused_input(ctx, e, 7, "a", "model a with 7 neurons; it was trained on a: 8, a: 5, a: 6, b:");
    refused_input(ctx, e, 8, "c", "model c");
    csim_encoder_free(&e);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* The measure is that of the loss; the checksum is that of the content. */
static void names_and_checksums(void **state)
{
    (void)state;
    static const char *const names[] = {"contrasim", "deepdot", "deepcka"};
    csim_context *ctx = harness_context();
    train_case c = train_make(40, 2, 1, (const int[]){8, 8});
    char sum[2][64] = {"", ""};
    train_write(ctx, &c, "e");
    for (int k = 0; k < 6; k++) {
        c.o.loss = k / 2;
        train_must(ctx, &c, "e", "e.nc");
        csim_encoder *e = read(ctx, "e.nc");
        assert_string_equal(csim_encoder_measure(e), names[k / 2]);
        strcpy(sum[k % 2], csim_encoder_checksum(e));
        assert_true(strlen(sum[k % 2]) > 16);
        assert_int_equal(strcmp(sum[0], sum[1]) == 0, k % 2);
        csim_encoder_free(&e);
    }
    train_clear(&c);
    c = train_make(40, 1, 1, (const int[]){8});
    train_add_notion(&c, 3, 0);
    train_write(ctx, &c, "e");
    train_must(ctx, &c, "e", "e.nc");
    csim_encoder *e = read(ctx, "e.nc");
    assert_string_equal(csim_encoder_measure(e), "mscon");
    assert_int_equal(csim_encoder_width(e), c.o.out); /* the heads are not part of it */
    compare(ctx, e, &c, 0, 0, 0);
    csim_encoder_free(&e);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* ---- files ---- */

static void refused_file(csim_context *ctx, const char *path, csim_status expected)
{
    csim_encoder *e = (csim_encoder *)ctx;
    int64_t live = csim_context_memory_live(ctx);
    csim_status st = csim_encoder_read(ctx, path, &e);
    assert_true(harness_same(ctx, st));
    assert_int_equal(st, expected);
    assert_null(e);
    assert_non_null(strstr(csim_context_error(ctx), path));
    assert_int_equal(csim_context_memory_live(ctx), live);
    csim__forgive(ctx);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    enum { PLACES = 60 };
    csim_context *ctx = harness_context();
    train_case c = make(ctx, 0);
    refused_file(ctx, "none.nc", CSIM_E_IO);
    refused_file(ctx, "e_a.nc", CSIM_E_FORMAT); /* a set */
    for (int k = 0; k <= PLACES; k++) {
        train_copy("e.nc", "bad.nc");
        train_damage("bad.nc", (double)k / PLACES);
        refused_file(ctx, "bad.nc", CSIM_E_FORMAT);
    }
    for (int k = 0; k < PLACES / 2; k++) {
        train_copy("e.nc", "bad.nc");
        train_cut("bad.nc", (double)k * 2 / PLACES);
        refused_file(ctx, "bad.nc", CSIM_E_FORMAT);
    }
    train_copy("e.nc", "bad.nc");
    csim_encoder *e = read(ctx, "bad.nc");
    csim_encoder_free(&e);
    train_clear(&c);
    harness_context_free(&ctx);
}

/* What a sound file of wrong content says: one attribute or array is changed at a time. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t value;
    } ints[] = {{"out", 0},          {"out", 5},         {"out", -1},          {"out", INT64_MAX},
                {"heads", -1},       {"heads", 1},       {"heads", INT64_MAX}, {"head_out", -1},
                {"head_weights", 1}, {"head_weights", 2}};
    static const char *const texts[] = {"activation", "input_layer", "input_models"};
    csim_context *ctx = harness_context();
    train_case c = make(ctx, 0);
    for (size_t k = 0; k < sizeof ints / sizeof *ints + 3; k++) {
        csim__checkpoint *got = NULL;
        csim_encoder *e = NULL;
        size_t many = sizeof ints / sizeof *ints;
        train_ok(ctx, csim__checkpoint_read(ctx, "e.nc", &got));
        if (k < many) {
            train_ok(ctx, csim__checkpoint_set_int(got, ints[k].name, ints[k].value));
        } else {
            train_ok(ctx, csim__checkpoint_set_text(got, texts[k - many], "nonsense"));
        }
        csim_status st = csim__vote(ctx, csim__encoder_load(ctx, got, "e.nc", &e));
        assert_true(st == CSIM_E_FORMAT || st == CSIM_E_ARG || st == CSIM_E_LIMIT);
        assert_true(strlen(csim_context_error(ctx)) > 10);
        csim_encoder_free(&e);
        csim__checkpoint_free(ctx, &got);
        csim__forgive(ctx);
    }
    train_clear(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_encoded),
        cmocka_unit_test(rows_may_be_cut),
        cmocka_unit_test(odd_rows),
        cmocka_unit_test(unknown_widths_are_named),
        cmocka_unit_test(names_and_checksums),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(contradictions_are_refused),
    };
    return harness_finish(cmocka_run_group_tests_name("encoder", tests, NULL, NULL));
}
