/* Learned measures that have no value, and what a sweep of them refuses. */
#include "case_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEARNED "contrasim,deepdot,deepcka,mscon"

static const char *const names[] = {"contrasim", "deepdot", "deepcka", "mscon", NULL};

/* Four sites in two sets, with a common part. */
enum { SITES = 4 };

static const int width[SITES] = {5, 20, 5, 33};

static sweep_case make(int n)
{
    sweep_case c = {.pairs = "all", .measures = LEARNED};
    case_mix(&c, n, width, SITES, 2, 0);
    return c;
}

/* ---- no value ---- */

static csim_encoder *encoder_of(csim_context *ctx, const sweep_case *c, const char *measure,
                                int inits)
{
    csim_encoder *e = NULL;
    int d[CASE_SITES];
    for (int s = 0; s < c->count; s++) { d[s] = c->site[s].d; }
    assert_int_equal(case_encoder(ctx, measure, inits, d, c->count, &e), CSIM_OK);
    return e;
}

static csim_results *with_encoder(csim_context *ctx, sweep_case *c, csim_encoder *e)
{
    c->measures = csim_encoder_measure(e);
    c->encoders = &e;
    c->encoder_count = 1;
    return case_results(ctx, c);
}

/* An output that is the same for all rows: dead ReLUs, no parameter but biases. In one init of two it
 * is enough for deepcka; cosines are defined. */
static void dead_outputs(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = make(150);
    for (int m = 0; names[m] != NULL; m++) {
        for (int inits = 1; inits <= 2; inits++) {
            csim_encoder *e = encoder_of(ctx, &c, names[m], inits);
            float *last = e->params + (inits - 1) * e->net.parameters; /* of the last init */
            for (int i = 0; i < e->inputs; i++) {
                const csim__linear *first = &e->net.encoder[i].layer[0];
                for (int j = 0; j < first->out; j++) { last[first->b + j] = -1e6F; }
            }
            csim_results *r = with_encoder(ctx, &c, e);
            for (int k = 0; k < SITES * SITES; k++) {
                double v = case_value(r, names[m], k / SITES, k % SITES);
                if (strcmp(names[m], "deepcka") == 0) {
                    assert_true(isnan(v));
                    assert_int_equal(case_cell(r, names[m], k / SITES, k % SITES),
                                     CSIM_CELL_UNDEFINED);
                    assert_int_equal(case_note(r, names[m], k / SITES, k % SITES),
                                     CSIM_NOTE_CONSTANT);
                    if (inits > 1) { assert_true(isnan(case_value(r, "deepcka_std", 0, 1))); }
                } else if (inits == 1) {
                    assert_true(fabs(v - 1) <= 1e-12);
                }
            }
            csim_results_free(&r);
            case_encoder_fill(e, 0); /* rows of zeros: no direction, cosine 0 */
            r = with_encoder(ctx, &c, e);
            double v = case_value(r, names[m], 1, 2);
            assert_true(strcmp(names[m], "deepcka") == 0 ? isnan(v) : v == 0);
            csim_results_free(&r);
            csim_encoder_free(&e);
        }
    }
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* A constant site, and one whose rows differ by less than floats hold. The other pairs go on. */
static void constant_sites(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int k = 0; k < 3; k++) {
        sweep_case c = make(203);
        double *x = case_values(&c, 1);
        for (int i = 0; i < 203 * width[1]; i++) {
            x[i] = (k == 1 ? 0 : 0.1 + i % width[1] / 7.0) + (k == 2 ? 1e-9 * x[i] : 0);
        }
        csim_results *r = case_results(ctx, &c);
        int wrong = 0;
        for (int i = 0; i < SITES * SITES; i++) {
            int a = i / SITES, b = i % SITES;
            bool flat = a == 1 || b == 1;
            assert_int_equal(case_cell(r, "deepcka", a, b),
                             flat ? CSIM_CELL_UNDEFINED : CSIM_CELL_DONE);
            assert_int_equal(case_note(r, "deepcka", a, b),
                             flat ? CSIM_NOTE_CONSTANT : CSIM_NOTE_NONE);
            for (int m = 0; names[m] != NULL; m++) {
                case_near(&wrong, "a constant site", names[m], case_value(r, names[m], a, b),
                          case_learned(names[m], 0, &c.site[a], &c.site[b]),
                          case_learned_error(names[m], 0, &c.site[a], &c.site[b]));
            }
        }
        assert_int_equal(wrong, 0);
        csim_results_free(&r);
        case_unmix(&c);
    }
    harness_context_free(&ctx);
}

/* A value that doubles hold and floats do not costs a site its cells, and no other site. */
static void rows_beyond_floats(void **state)
{
    (void)state;
    static const double sizes[] = {1e20, 1e36, 1e39, 1e60, 1e150};
    csim_context *ctx = harness_context();
    sweep_case c = make(513), fit = c;
    csim_results *plain = case_results(ctx, &fit);
    double *x = case_values(&c, 1), kept = x[512 * width[1] + 3];
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        bool lost = sizes[k] > 1e38;
        x[512 * width[1] + 3] = sizes[k]; /* in the last chunk, of one row */
        csim_results *r = case_results(ctx, &c);
        for (int m = 0; names[m] != NULL; m++) {
            for (int i = 0; i < SITES * SITES; i++) {
                int a = i / SITES, b = i % SITES;
                double v = case_value(r, names[m], a, b), was = case_value(plain, names[m], a, b);
                if (a != 1 && b != 1) {
                    assert_memory_equal(&v, &was, sizeof v);
                } else {
                    assert_int_equal(case_cell(r, names[m], a, b),
                                     lost ? CSIM_CELL_FAILED : CSIM_CELL_DONE);
                    assert_int_equal(case_note(r, names[m], a, b),
                                     lost ? CSIM_NOTE_OVERFLOW : CSIM_NOTE_NONE);
                    assert_true(isnan(v) == lost);
                }
            }
        }
        csim_results_free(&r);
    }
    x[512 * width[1] + 3] = kept;
    csim_results_free(&plain);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* ---- what is refused ---- */

/* NaN or an infinity in any layer that a site goes through; in one that no site needs it is none of
 * the sweep's business. Also where only one rank has examples. */
static void parameters_must_be_finite(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int n = 40; n <= 300; n += 260) {
        sweep_case c = make(n);
        for (int m = 0; names[m] != NULL; m++) {
            csim_encoder *e = encoder_of(ctx, &c, names[m], 2);
            c.encoders = &e;
            c.encoder_count = 1;
            c.measures = names[m];
            for (int l = 0; l < 2; l++) {
                const csim__linear *layer = &e->net.encoder[1].layer[l]; /* width 20 */
                float *place[] = {&e->params[e->net.parameters + layer->w + 1],
                                  &e->params[e->net.parameters + layer->b + 2]};
                for (int k = 0; k < 2; k++) {
                    float was = *place[k];
                    *place[k] = l == 1 && k == 0 ? INFINITY : NAN;
                    case_refuse(ctx, &c, CSIM_E_NUMERIC, "not a finite number");
                    assert_non_null(strstr(csim_context_error(ctx), csim_encoder_path(e)));
                    *place[k] = was;
                }
            }
            e->params[e->net.encoder[1].layer[0].w] = NAN;
            sweep_case two = case_pair(c.site[0].x, c.site[3].x, n, width[0], width[3]);
            csim_results *r = with_encoder(ctx, &two, e);
            assert_int_equal(case_cell(r, names[m], 0, 0), CSIM_CELL_DONE);
            csim_results_free(&r);
            csim_encoder_free(&e);
        }
        case_unmix(&c);
    }
    harness_context_free(&ctx);
}

static void errors_are_named(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case good = make(60), c = good;
    csim_encoder *e[3] = {encoder_of(ctx, &c, "contrasim", 1), encoder_of(ctx, &c, "contrasim", 1),
                          encoder_of(ctx, &c, "deepcka", 1)};
    c.encoder_count = -1;
    case_refuse(ctx, &c, CSIM_E_USAGE, "measure contrasim needs --encoder");
    c.measures = "cka,deepcka";
    case_refuse(ctx, &c, CSIM_E_USAGE, "measure deepcka needs --encoder");
    c = good;
    c.encoders = e;
    c.encoder_count = 2;
    c.measures = "contrasim,cka";
    case_refuse(ctx, &c, CSIM_E_USAGE,
                "encoders case_contrasim.nc and case_contrasim.nc both define");
    c.encoders = e + 1;
    case_refuse(ctx, &c, CSIM_E_USAGE, "case_deepcka.nc defines deepcka, which is not among");
    c.measures = "cka";
    case_refuse(ctx, &c, CSIM_E_USAGE, "case_contrasim.nc defines contrasim, which is not among");
    c.measures = "contrasim,deepcka,mscon";
    case_refuse(ctx, &c, CSIM_E_USAGE, "measure mscon needs --encoder");
    c.measures = "contrasim,deepcka";
    c.site[2].d = 7; /* read with rows of another length: only the width matters */
    c.site[2].x = c.site[3].x;
    case_refuse(ctx, &c, CSIM_E_SHAPE, "no input layer for model b with 7 neurons");
    assert_non_null(strstr(csim_context_error(ctx), "trained on 5, 20, 33"));
    c = good;
    for (int m = 0; names[m] != NULL; m++) {
        char part[64];
        snprintf(part, sizeof part, "%s needs double precision", names[m]);
        c.measures = names[m];
        c.precision = CSIM_SINGLE_PRECISION;
        case_refuse(ctx, &c, CSIM_E_ARG, part);
    }
    c = good;
    c.measures = "contrasim,contrasim";
    c.encoders = e;
    c.encoder_count = 1;
    case_refuse(ctx, &c, CSIM_E_ARG, "contrasim is asked for twice");
    for (int i = 0; i < 3; i++) { csim_encoder_free(&e[i]); }
    case_unmix(&good);
    harness_context_free(&ctx);
}

/* What a limit allows has the same bits as without one; what it does not is refused. */
static void memory_limit(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = make(900);
    c.inits = 2;
    csim_results *plain = case_results(ctx, &c), *tight = NULL;
    c.memory = 100000;
    case_refuse(ctx, &c, CSIM_E_MEM, "--memory");
    csim_status st = CSIM_E_MEM;
    while (st == CSIM_E_MEM && c.memory < 100000000) {
        c.memory += 50000;
        st = case_run(ctx, &c, &tight);
    }
    assert_int_equal(st, CSIM_OK);
    assert_int_equal(case_differences(plain, tight, "with a limit of memory"), 0);
    csim_results_free(&tight);
    csim_results_free(&plain);
    case_unmix(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_outputs),       cmocka_unit_test(constant_sites),
        cmocka_unit_test(rows_beyond_floats), cmocka_unit_test(parameters_must_be_finite),
        cmocka_unit_test(errors_are_named),   cmocka_unit_test(memory_limit),
    };
    return harness_finish(cmocka_run_group_tests_name("learned_limits", tests, NULL, NULL));
}
