/* Retrieval by the definition: independent references of any, nearest and learned candidates. */
#include "bench_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

static csim_context *ctx;

typedef double (*value_fn)(const void *user, const double *x, const double *y, int n, int d, int e);

static double by_reference(const void *user, const double *x, const double *y, int n, int d, int e)
{
    ref_options o = ref_default_options;
    return ref_find(user)->fn(x, y, n, d, e, &o);
}

typedef struct learned {
    const csim_encoder *e;
    bool cka;
} learned;

static double by_encoder(const void *user, const double *x, const double *y, int n, int d, int e)
{
    const learned *a = user;
    int w = csim_encoder_width(a->e), inits = csim_encoder_inits(a->e), input;
    double mean = 0;
    assert_int_equal(d, e);
    assert_int_equal(csim_encoder_input(ctx, a->e, d, "a", &input), CSIM_OK);
    for (int init = 0; init < inits; init++) {
        float *from = malloc((size_t)(n * d) * sizeof *from);
        float *z = malloc((size_t)(2 * n * w) * sizeof *z);
        double *wide = malloc((size_t)(2 * n * w) * sizeof *wide);
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < n * d; i++) { from[i] = (float)(side ? y[i] : x[i]); }
            assert_int_equal(csim_encoder_encode(ctx, a->e, init, input, n, from, z + side * n * w),
                             CSIM_OK);
        }
        for (int i = 0; i < 2 * n * w; i++) { wide[i] = z[i]; }
        if (a->cka) {
            mean += by_reference("cka", wide, wide + n * w, n, w, w) / inits;
        } else {
            for (int i = 0; i < n * w; i++) { mean += wide[i] * wide[n * w + i] / n / inits; }
        }
        free(wide);
        free(z);
        free(from);
    }
    return mean;
}

/* The j-th nearest row of row i, from 0, outside its group and unequal to it; −1: there is none. */
static int64_t nearest_row(const double *y, int n, int d, int g, int i, int j)
{
    double last = 0;
    int64_t at = -1;
    for (; j >= 0; j--) {
        double best = INFINITY;
        int64_t found = -1;
        for (int r = 0; r < n; r++) {
            double square = 0;
            for (int k = 0; k < d; k++) {
                square += (y[i * d + k] - y[r * d + k]) * (y[i * d + k] - y[r * d + k]);
            }
            bool later = square > last || (square == last && r > at);
            if (r / g == i / g || square == 0 || !later || square >= best) { continue; }
            best = square;
            found = r;
        }
        if (found < 0) { return -1; }
        last = best;
        at = found;
    }
    return at;
}

/* Accuracy of a pair and layer by the definition. */
static double expected(const bench_case *c, int s, int t, int l, csim_retrieval_options o,
                       bool distance, value_fn value, const void *user)
{
    int g = (int)o.group, d = c->d[s][l], e = c->d[t][l], decisions = c->n / g;
    double *y = malloc((size_t)(g * e) * sizeof *y), credit = 0;
    int64_t row[16];
    csim__draw draw;
    assert_int_equal(csim__draw_make(ctx, c->n, g, o.seed, &draw), CSIM_OK);
    for (int k = 0; k < decisions; k++) {
        const double *x = c->x[s][l] + k * g * d;
        double best = value(user, x, c->x[t][l] + k * g * e, g, d, e);
        int ties = 1, lost = 0;
        for (int j = 0; j < o.candidates; j++) {
            csim__bench_candidate(&draw, k, j, row);
            for (int i = 0; o.negatives == CSIM_NEAREST && i < g; i++) {
                row[i] = nearest_row(c->x[t][l], c->n, e, g, k * g + i, j);
            }
            for (int i = 0; i < g * e; i++) { y[i] = c->x[t][l][row[i / e] * e + i % e]; }
            double other = value(user, x, y, g, d, e);
            lost += distance ? other < best : other > best;
            ties += other == best;
        }
        credit += lost ? 0 : 1.0 / ties;
    }
    csim__draw_clear(ctx, &draw);
    free(y);
    return credit / decisions;
}

static void test_reference(void **state)
{
    (void)state;
    const int d[BENCH_SETS * BENCH_LAYERS] = {6, 7, 6, 7, 6, 7};
    bench_case c = bench_case_make(47, BENCH_SETS, BENCH_LAYERS, d, 1, 1.5);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")},
                              {.measure = csim_measure_find("procrustes")},
                              {.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("norm")}};
    csim_retrieval_options o = {.group = 5, .candidates = 3, .seed = 11};
    csim_bench *b = bench_case_must(ctx, &c, m, 4, o);
    assert_int_equal(csim_bench_pairs(b), 6);
    assert_int_equal(csim_bench_layers(b), 2);
    assert_int_equal(csim_bench_decisions(b), 9);
    assert_true(csim_bench_chance(b) == 0.25);
    int differ = 0;
    for (int i = 0; i < 4; i++) {
        const char *name = csim_bench_measure_name(b, i);
        for (int p = 0; p < 6; p++) {
            int s = csim_bench_set_name(b, p, 0)[0] - 'a',
                t = csim_bench_set_name(b, p, 1)[0] - 'a';
            assert_int_not_equal(s, t);
            double sum = 0, squares = 0;
            for (int l = 0; l < 2; l++) {
                double want = expected(&c, s, t, l, o, i == 1, by_reference, name);
                double got = csim_bench_accuracy(b, i, p, l);
                assert_true(fabs(got - want) < 1e-12);
                assert_int_equal(csim_bench_undefined(b, i, p, l, 0), 0);
                differ += got > 0.25 && got < 1;
                sum += got / 2;
                squares += got * got;
            }
            assert_true(fabs(csim_bench_mean(b, i, p) - sum) < 1e-12);
            assert_true(fabs(csim_bench_std(b, i, p) - sqrt(fmax(0, squares - 2 * sum * sum))) <
                        1e-7);
        }
    }
    assert_true(differ > 10); /* the case is one that could go wrong */
    csim_bench_free(&b);
    bench_case_free(&c);
}

/* The nearest rows are harder to tell from the true ones than any. */
static void test_nearest(void **state)
{
    (void)state;
    const int d[] = {5, 7};
    bench_case c = bench_case_make(50, 2, 1, d, 1, 0.4);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")}};
    csim_retrieval_options o = {.group = 4, .candidates = 6, .negatives = CSIM_NEAREST};
    csim_bench *b = bench_case_must(ctx, &c, m, 1, o);
    for (int p = 0; p < 2; p++) {
        double want = expected(&c, p, 1 - p, 0, o, false, by_reference, "cka");
        assert_true(fabs(csim_bench_accuracy(b, 0, p, 0) - want) < 1e-12);
    }
    csim_bench_free(&b);
    bench_case_free(&c);
}

/* Rows that equal a true one are no candidates, however many there are. */
static void test_nearest_rows(void **state)
{
    (void)state;
    enum { N = 150, D = 3, GROUP = 4, COUNT = 5 };
    double x[N * D];
    int32_t out[N * 20];
    ref_random_matrix(3, N, D, x);
    for (int i = 0; i < N; i++) { /* a third are equal, others lie on a grid */
        for (int j = 0; j < D; j++) { x[i * D + j] = i % 3 == 0 ? 1 : round(2 * x[i * D + j]); }
    }
    assert_int_equal(csim__bench_nearest(ctx, x, N, D, GROUP, COUNT, out), CSIM_OK);
    for (int i = 0; i < N / GROUP * GROUP; i++) {
        for (int j = 0; j < COUNT; j++) {
            assert_int_equal(out[i * COUNT + j], nearest_row(x, N, D, GROUP, i, j));
        }
    }
    for (int i = 0; i < N * D; i++) { x[i] = i < 12 * D ? x[i] : 1; }
    assert_int_equal(csim__bench_nearest(ctx, x, N, D, GROUP, 20, out), CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "has fewer than 20 nearest candidates"));
    x[0] = 1e200;
    assert_int_equal(csim__bench_nearest(ctx, x, N, D, GROUP, COUNT, out), CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "too large"));
}

static void test_learned_reference(void **state)
{
    (void)state;
    const int d[] = {6, 6};
    bench_case c = bench_case_make(40, 2, 1, d, 1, 1);
    csim_encoder *dot = bench_case_encoder(ctx, "contrasim", 6, 2);
    csim_encoder *cka = bench_case_encoder(ctx, "deepcka", 6, 3);
    csim_bench_measure m[] = {{.encoder = dot}, {.encoder = cka}};
    csim_retrieval_options o = {.group = 4, .candidates = 4, .seed = 0};
    csim_bench *b = bench_case_must(ctx, &c, m, 2, o);
    for (int p = 0; p < 2; p++) {
        double want = expected(&c, p, 1 - p, 0, o, false, by_encoder, &(learned){dot, false});
        assert_true(fabs(csim_bench_accuracy(b, 0, p, 0) - want) < 1e-12);
        assert_true(want > 0.2 && want < 1);
        want = expected(&c, p, 1 - p, 0, o, false, by_encoder, &(learned){cka, true});
        assert_true(fabs(csim_bench_accuracy(b, 1, p, 0) - want) < 1e-12);
        assert_true(isnan(csim_bench_std(b, 1, p)));
    }
    csim_bench_free(&b);
    csim_encoder_free(&cka);
    csim_encoder_free(&dot);
    bench_case_free(&c);
}

static void test_groups_of_one(void **state)
{
    (void)state;
    const int d[] = {5, 5};
    bench_case c = bench_case_make(30, 2, 1, d, 1, 0.5);
    csim_encoder *e = bench_case_encoder(ctx, "mscon", 5, 1);
    csim_bench_measure m[] = {{.encoder = e}, {.measure = csim_measure_find("norm")}};
    csim_bench_measure no = {.measure = csim_measure_find("cka")};
    csim_retrieval_options o = {.group = 1, .candidates = 5, .seed = 2};
    csim_bench *b = bench_case_must(ctx, &c, m, 2, o);
    assert_int_equal(csim_bench_decisions(b), 30);
    double want = expected(&c, 1, 0, 0, o, false, by_encoder, &(learned){e, false});
    assert_true(fabs(csim_bench_accuracy(b, 0, 1, 0) - want) < 1e-12);
    want = expected(&c, 1, 0, 0, o, false, by_reference, "norm");
    assert_true(fabs(csim_bench_accuracy(b, 1, 1, 0) - want) < 1e-12 && want > 0.5);
    csim_bench_free(&b);
    assert_int_equal(bench_case_run(ctx, &c, &no, 1, o, 0, &b), CSIM_E_ARG);
    assert_null(b);
    assert_non_null(strstr(csim_context_error(ctx), "cka needs groups of 4 rows"));
    assert_non_null(strstr(csim_context_error(ctx), "contrasim, deepdot, mscon, dot, norm"));
    csim_encoder_free(&e);
    bench_case_free(&c);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),     cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_rows),  cmocka_unit_test(test_learned_reference),
        cmocka_unit_test(test_groups_of_one),
    };
    ctx = harness_context();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    harness_context_free(&ctx);
    return harness_finish(failed);
}
