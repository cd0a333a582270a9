/* The accuracy contract: agreement with a QR/SVD reference in double precision to 1e-8 of a
 * measure's scale, taken before a final square root or arccos, on data that breaks shortcuts. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTRACT 1e-8

static double *matrix(int n, int d)
{
    return ref_alloc((int64_t)n * d, sizeof(double));
}

/* x[i] ← the value that a 32-bit float holds */
static void to_float(double *x, int count)
{
    for (int i = 0; i < count; i++) { x[i] = (double)(float)x[i]; }
}

/* What the reference says of a pair, by the measure's place in the registry. */
typedef struct expectation {
    double value[CASE_MEASURES], scale[CASE_MEASURES];
} expectation;

static expectation expect(csim_context *ctx, const sweep_case *c)
{
    expectation e;
    for (int i = 0; i < csim_measure_count(); i++) {
        const char *name = csim_measure_get(i)->name;
        e.value[i] = case_before_root(name, case_reference(ctx, name, &c->site[0], &c->site[1]));
        e.scale[i] = case_scale(name, &c->site[0], &c->site[1]);
        if (strcmp(name, "rsa") ==
            0) { /* ten of its ranks may be off by one: rounding makes ties */
            double n = c->site[0].n, all = n * (n - 1) / 2;
            e.scale[i] += 120 / (all * all) / CONTRACT;
        }
        if (csim_measure_get(i)->needs & CSIM_NEEDS_PROJECTION) { /* in float32 */
            e.scale[i] = case_float_error(name, &c->site[0], &c->site[1]) / CONTRACT;
        }
    }
    return e;
}

/* Compare a result with the reference. `skip` names measures whose reference is no better. */
static int check(csim_results *r, const expectation *e, const char *what, const char *skip)
{
    int wrong = 0;
    for (int i = 0; i < csim_measure_count(); i++) {
        const char *name = csim_measure_get(i)->name;
        if (csim_results_find(r, name) < 0 || strstr(skip, name) != NULL) { continue; }
        if (case_note(r, name, 0, 0) == CSIM_NOTE_NOT_UNIQUE) { continue; }
        double got = case_before_root(name, case_value(r, name, 0, 0));
        case_near(&wrong, what, name, got, e->value[i], CONTRACT * e->scale[i]);
        csim_cell cell = case_cell(r, name, 0, 0);
        if (cell != (isnan(e->value[i]) ? CSIM_CELL_UNDEFINED : CSIM_CELL_DONE)) {
            print_error("%s, %s: cell is %s, note %s\n", what, name, csim_cell_word(cell),
                        csim_note_flag(case_note(r, name, 0, 0)));
            wrong++;
        }
    }
    return wrong;
}

/* All measures at once, and the families that share a route. */
static int on_all_routes(csim_context *ctx, const sweep_case *pair, const char *what,
                         const char *skip)
{
    static const char *const together[] = {
        NULL,
        "cka,procrustes,hard_corr,align_cos,perm_procrustes",
        "cka,cka_debiased,cka_lange,hsic",
        "procrustes,nbs,angular,ortho_procrustes,cka",
        "cca_mean,cca_r2,svcca,linreg,gulp",
        "pwcca",
        "eos",
        "align_cos",
        "hard_corr,soft_corr,perm_procrustes",
        "dot,norm",
    };
    int wrong = 0;
    sweep_case c = *pair;
    expectation e = expect(ctx, pair);
    for (size_t i = 0; i < sizeof together / sizeof *together; i++) {
        char route[256];
        c.measures = together[i];
        snprintf(route, sizeof route, "%s, with %s", what, together[i] ? together[i] : "all");
        csim_results *r = case_results(ctx, &c);
        wrong += check(r, &e, route, skip);
        csim_results_free(&r);
    }
    return wrong;
}

/* What a site and its copy give, and a site and itself scaled: nothing is lost near the edge. */
static int self_distance(csim_context *ctx, const double *x, int n, int d, const char *what)
{
    int wrong = 0;
    double square = 0;
    sweep_case c = case_pair(x, x, n, d, d);
    csim_results *all = case_results(ctx, &c);
    c.measures = "procrustes,nbs,perm_procrustes";
    csim_results *some = case_results(ctx, &c);
    for (int i = 0; i < n * d; i++) { square += x[i] * x[i]; }
    for (int v = 0; v < csim_results_count(all); v++) {
        const csim_measure *m = csim_measure_find(csim_results_variable(all, v)->name);
        bool again = csim_results_find(some, m->name) >= 0;
        for (int k = 0; k < 1 + again; k++) {
            double value = case_value(k ? some : all, m->name, 0, 0);
            if (case_note(all, m->name, 0, 0) == CSIM_NOTE_ZERO_MEAN) { continue; }
            if (m->props & CSIM_UNIT_RANGE && strcmp(m->name, "eos") != 0) {
                /* linreg: what X has below Y's rank floor is not explained */
                bool floored = strcmp(m->name, "linreg") == 0;
                case_near(&wrong, what, m->name, value, 1, floored ? 1e-9 : 1e-12);
            } else if (m->props & CSIM_DISTANCE) {
                double reach = m->props & CSIM_INVARIANT_SCALING ? 1e-7 : 1e-7 * sqrt(square);
                case_near(&wrong, what, m->name, value, 0, reach);
            }
        }
    }
    csim_results_free(&some);
    csim_results_free(&all);
    return wrong;
}

/* ---- conditions ---- */

/* Singular values from 1 to 1/cond. eos has no floor: past 1e7 its bases are worth fewer digits than
 * the contract asks, in any program. */
static void conditioned(int n, int d, int e)
{
    static const double cond[] = {1e2, 1e6, 1e9, 1e12};
    double *x = matrix(n, d), *y = matrix(n, e), *near = matrix(n, d);
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (size_t k = 0; k < sizeof cond / sizeof *cond; k++) {
        char what[64];
        /* the columns have no mean, but for rounding: it has no direction */
        const char *skip = cond[k] > 1e7 ? "eos conc_diff" : "conc_diff";
        ref_conditioned_matrix(61 + k, n, d, cond[k], true, x);
        ref_conditioned_matrix(71 + k, n, e, cond[k], true, y);
        sweep_case c = case_pair(x, y, n, d, e);
        snprintf(what, sizeof what, "%dx%d, %dx%d, condition %.0e", n, d, n, e, cond[k]);
        wrong += on_all_routes(ctx, &c, what, skip);
        /* correlated in every direction that counts: values in mid-range */
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < d; j++) {
                near[i * d + j] = x[i * d + j] + (j < e ? 0.5 * y[i * e + j] : 0);
            }
        }
        c = case_pair(x, near, n, d, d);
        snprintf(what, sizeof what, "%dx%d and near, condition %.0e", n, d, cond[k]);
        csim_results *r = case_results(ctx, &c);
        /* the sum of two conditioned matrices has no gap at the floor */
        expectation e_near = expect(ctx, &c);
        wrong += check(r, &e_near, what, "cca_mean cca_r2 svcca pwcca linreg gulp eos conc_diff");
        csim_results_free(&r);
        wrong += self_distance(ctx, x, n, d, what);
    }
    free(near);
    free(y);
    free(x);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

static void conditioned_tall(void **state)
{
    (void)state;
    conditioned(200, 24, 18);
}

static void conditioned_wide(void **state)
{
    (void)state;
    conditioned(30, 44, 36);
}

/* One side tall, one wide: bases of both kinds meet. */
static void conditioned_mixed(void **state)
{
    (void)state;
    conditioned(40, 52, 12);
}

/* ---- scales ---- */

enum { N = 200, D = 12, E = 9 };

typedef struct sides {
    double x[N * D], y[N * E], z[N * D];
} sides;

/* Z has X's width, so that measures of equal widths have something to compare. */
static sides *correlated(uint64_t seed)
{
    sides *s = ref_alloc(1, sizeof *s);
    ref_random_matrix(seed, N, D, s->x);
    ref_random_matrix(seed + 1, N, E, s->y);
    ref_random_matrix(seed + 2, N, D, s->z);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < E; j++) { s->y[i * E + j] += s->x[i * D + j]; }
        for (int j = 0; j < D; j++) { s->z[i * D + j] += 0.7 * s->x[i * D + j]; }
    }
    return s;
}

static int both(csim_context *ctx, const sides *s, const char *what)
{
    sweep_case xy = case_pair(s->x, s->y, N, D, E), xz = case_pair(s->x, s->z, N, D, D);
    return on_all_routes(ctx, &xy, what, "") + on_all_routes(ctx, &xz, what, "") +
           self_distance(ctx, s->x, N, D, what);
}

static void huge_example(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sides *s = correlated(110);
    int wrong = 0;
    for (int j = 0; j < D; j++) { s->x[77 * D + j] *= 1000; }
    wrong += both(ctx, s, "an example of 1000 times the norm");
    for (int j = 0; j < E; j++) { s->y[131 * E + j] *= 1000; }
    for (int j = 0; j < D; j++) { s->z[131 * D + j] *= 1000; }
    wrong += both(ctx, s, "one such example on either side");
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

static void offset(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sides *s = correlated(120);
    int wrong = 0;
    for (int i = 0; i < N * D; i++) { s->x[i] += 1000; }
    for (int i = 0; i < N * E; i++) { s->y[i] -= i % 2 ? 1000 : 500; }
    for (int i = 0; i < N * D; i++) { s->z[i] += 1000; }
    wrong += both(ctx, s, "an offset of 1000 standard deviations");
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* Columns of very different size, sites of very different size. */
static void scales(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sides *s = correlated(130);
    int wrong = 0;
    for (int i = 0; i < N * D; i++) { s->x[i] *= 1e-15 * pow(10, -(double)(i % D) / 3); }
    for (int i = 0; i < N * E; i++) { s->y[i] *= 1e15; }
    for (int i = 0; i < N * D; i++) { s->z[i] *= 1e12; }
    sweep_case c = case_pair(s->x, s->y, N, D, E);
    wrong += on_all_routes(ctx, &c, "sizes of 1e-15 and 1e15", "");
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* Numbers that doubles hold and their fourth powers do not cost a site its values, and no other. A
 * neuron of such size in a site of another counts as constant. */
static void sizes_out_of_reach(void **state)
{
    (void)state;
    static const double sizes[] = {1e-170, 1e-150, 1e-100, 1e-70, 2e76, 1e150};
    csim_context *ctx = harness_context();
    sides *s = correlated(135);
    double *x = matrix(N, D);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int i = 0; i < N * D; i++) { x[i] = sizes[k] * s->x[i]; }
        sweep_case c = {.pairs = "all"}, two = case_pair(s->z, s->y, N, D, E);
        case_add(&c, "s", x, N, D);
        case_add(&c, "s", s->z, N, D);
        case_add(&c, "s", s->y, N, E);
        csim_results *r = case_results(ctx, &c), *fit = case_results(ctx, &two);
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            for (int j = 0; j < 3; j++) {
                assert_int_equal(case_cell(r, name, 0, j), CSIM_CELL_FAILED);
                assert_int_equal(case_note(r, name, j, 0),
                                 sizes[k] > 1 ? CSIM_NOTE_OVERFLOW : CSIM_NOTE_UNDERFLOW);
                assert_true(isnan(case_value(r, name, 0, j)));
            }
            double with = case_value(r, name, 1, 2), without = case_value(fit, name, 0, 0);
            assert_memory_equal(&with, &without, sizeof with);
        }
        csim_results_free(&fit);
        csim_results_free(&r);
    }
    for (int i = 0; i < N * D; i++) { x[i] = s->x[i] * (i % D == 2 ? 1e-170 : 1); }
    for (int i = 0; i < N * E; i++) { s->y[i] *= i % E == 1 ? 1e-152 : 1; }
    sweep_case c = case_pair(x, s->y, N, D, E);
    int wrong = on_all_routes(ctx, &c, "a neuron of 1e-170", "hard_corr soft_corr align_cos");
    c.measures = "hard_corr";
    csim_results *r = case_results(ctx, &c);
    assert_int_equal(case_note(r, "hard_corr", 0, 0), CSIM_NOTE_CONSTANT_COLUMN);
    csim_results_free(&r);
    free(x);
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* Sums whose terms all round alike: neurons that are 0 or 1, one to three of them. */
static void binary_neurons(void **state)
{
    (void)state;
    enum { ROWS = 4608, MOST = 3 };
    csim_context *ctx = harness_context();
    double *x = matrix(ROWS, MOST);
    for (int k = 0; k < 12; k++) {
        int d = 1 + k % MOST;
        double square = 0;
        ref_random_matrix(200 + k, ROWS, d, x);
        for (int i = 0; i < ROWS * d; i++) { x[i] = x[i] > 0.1 * (k - 5); }
        double *centred = ref_centre(x, ROWS, d);
        for (int i = 0; i < ROWS * d; i++) { square += centred[i] * centred[i]; }
        sweep_case c = case_pair(x, x, ROWS, d, d);
        c.measures = "procrustes";
        csim_results *r = case_results(ctx, &c);
        assert_true(case_value(r, "procrustes", 0, 0) <= 1e-7 * sqrt(square));
        csim_results_free(&r);
        free(centred);
    }
    free(x);
    harness_context_free(&ctx);
}

static void float_input(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sides *s = correlated(140);
    for (int i = 0; i < N * D; i++) { s->x[i] = 0.1 * s->x[i] + 100; }
    to_float(s->x, N * D);
    to_float(s->y, N * E);
    sweep_case c = case_pair(s->x, s->y, N, D, E);
    c.site[0].bytes = c.site[1].bytes = 4;
    int wrong = on_all_routes(ctx, &c, "32-bit input", "");
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- rank ---- */

static void rank_deficient(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sides *s = correlated(150);
    int wrong = 0;
    for (int i = 0; i < N; i++) { /* two columns twice, one the sum of others, one dead */
        s->x[i * D + 4] = s->x[i * D + 1];
        s->x[i * D + 5] = 3 * s->x[i * D + 2];
        s->x[i * D + 6] = s->x[i * D] - s->x[i * D + 3];
        s->x[i * D + 7] = 0;
        s->y[i * E + 8] = s->y[i * E + 1];
    }
    wrong += both(ctx, s, "dependent columns");
    for (int i = 0; i < N; i++) { /* a constant that no binary fraction holds */
        s->x[i * D + 9] = 0.1;
        s->y[i * E + 7] = -1e6 / 3;
        s->z[i * D + 3] = 7;
    }
    wrong += both(ctx, s, "constant columns");
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* What a pair with a constant site is: a value where the definition gives one, else undefined. */
static void constant_sites(void **state)
{
    (void)state;
    static const char *const names[] = {"a constant site", "a site of zeros"};
    csim_context *ctx = harness_context();
    sides *s = correlated(160);
    int wrong = 0;
    for (int zero = 0; zero < 2; zero++) {
        for (int i = 0; i < N * D; i++) { s->z[i] = zero ? 0 : 0.1 + i % D / 7.0; }
        const double *list[][2] = {{s->x, s->z}, {s->z, s->x}, {s->z, s->z}};
        for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
            sweep_case c = case_pair(list[k][0], list[k][1], N, D, D);
            /* a site of zeros has no direction to align: undefined, not 0 */
            wrong += on_all_routes(ctx, &c, names[zero], zero ? "align_cos" : "");
            csim_results *r = case_results(ctx, &c);
            assert_int_equal(case_cell(r, "cka", 0, 0), CSIM_CELL_UNDEFINED);
            assert_int_equal(case_note(r, "cka", 0, 0), CSIM_NOTE_CONSTANT);
            assert_int_equal(case_note(r, "cca_mean", 0, 0), CSIM_NOTE_CONSTANT);
            assert_true(isnan(case_value(r, "cka", 0, 0)));
            if (zero) { assert_int_equal(case_note(r, "align_cos", 0, 0), CSIM_NOTE_CONSTANT); }
            csim_results_free(&r);
        }
        /* the only site of a sweep, and one of different width among wide ones */
        sweep_case alone = {.count = 0}, wide = case_pair(s->z, s->x, D, N, N);
        case_add(&alone, "a", s->z, N, D);
        csim_results *r = case_results(ctx, &alone);
        assert_int_equal(case_cell(r, "svcca", 0, 0), CSIM_CELL_UNDEFINED);
        csim_results_free(&r);
        for (int i = 0; i < N * D && !zero; i++) { s->z[i] = 2; }
        wrong += on_all_routes(ctx, &wide, "more neurons than examples", "align_cos");
    }
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- single precision ---- */

static void single_precision(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "an offset of 1000", "few examples",
                                        "an example of 1000 times the norm"};
    csim_context *ctx = harness_context();
    sides *s = correlated(170);
    int wrong = 0;
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < N * D && k == 1; i++) { s->x[i] += 1000; }
        for (int j = 0; j < D && k == 3; j++) { s->x[50 * D + j] *= 1000; }
        sweep_case c = case_pair(s->x, s->y, N, D, E);
        if (k == 2) { c = case_pair(s->z, s->y, N / 4, 48, 36); }
        c.measures = "cka,cka_debiased,cka_lange,hsic";
        c.precision = CSIM_SINGLE_PRECISION;
        csim_results *r = case_results(ctx, &c);
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            if (k == 3 && strcmp(name, "cka_debiased") == 0) {
                /* with its offset the example has 1e6 times the norm: floats keep too little */
                assert_int_equal(case_cell(r, name, 0, 0), CSIM_CELL_FAILED);
                assert_int_equal(case_note(r, name, 0, 0), CSIM_NOTE_PRECISION);
                continue;
            }
            double expected = case_reference(ctx, name, &c.site[0], &c.site[1]);
            case_near(&wrong, names[k], name, case_value(r, name, 0, 0), expected,
                      1e-5 * case_scale(name, &c.site[0], &c.site[1]));
        }
        csim_results_free(&r);
    }
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* Floats end at 1e±38, and Gram products are fourth powers: the size of a site must not matter, nor
 * may a copy of it leave the range by the rounding of floats. */
static void single_of_any_size(void **state)
{
    (void)state;
    static const double sizes[] = {1, 1e-30, 1e-12, 1e10, 1e22, 1e34};
    csim_context *ctx = harness_context();
    sides *s = correlated(180);
    double *x = matrix(N, D), *z = matrix(N, D);
    int wrong = 0;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int i = 0; i < N * D; i++) {
            x[i] = sizes[k] * s->x[i];
            z[i] = s->z[i] / sizes[k];
        }
        for (int gram = 0; gram < 2; gram++) { /* few wide rows take the Gram side */
            int d = gram ? 3 * D : D, n = gram ? N / 3 : N;
            for (int same = 0; same < 2; same++) {
                sweep_case c = case_pair(x, same ? x : z, n, d, d);
                c.measures = "cka,cka_debiased,cka_lange";
                c.precision = CSIM_SINGLE_PRECISION;
                csim_results *r = case_results(ctx, &c);
                for (int v = 0; v < csim_results_count(r); v++) {
                    const char *name = csim_results_variable(r, v)->name;
                    double expected = same ? 1 : case_reference(ctx, name, &c.site[0], &c.site[1]);
                    case_near(&wrong, "single, any size", name, case_value(r, name, 0, 0), expected,
                              1e-5);
                }
                csim_results_free(&r);
            }
        }
    }
    free(x);
    free(z);
    free(s);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditioned_tall),
        cmocka_unit_test(conditioned_wide),
        cmocka_unit_test(conditioned_mixed),
        cmocka_unit_test(huge_example),
        cmocka_unit_test(offset),
        cmocka_unit_test(scales),
        cmocka_unit_test(sizes_out_of_reach),
        cmocka_unit_test(binary_neurons),
        cmocka_unit_test(float_input),
        cmocka_unit_test(rank_deficient),
        cmocka_unit_test(constant_sites),
        cmocka_unit_test(single_precision),
        cmocka_unit_test(single_of_any_size),
    };
    return harness_finish(cmocka_run_group_tests_name("accuracy", tests, NULL, NULL));
}
