/* Retrieval: draws, ties, an independent reference, bits on every rank count. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/rng.h"
#include "encoder/encoder.h"
#include "reference.h"

enum { SETS = 3, LAYERS = 2 };

static csim_context *ctx;

/* Sets in memory that see the same hidden numbers with noise. */
typedef struct bench_case {
    int sets, layers, n;
    int d[SETS][LAYERS];
    double *x[SETS][LAYERS];
    csim_set *set[SETS];
} bench_case;

static double *numbers(int64_t count, uint64_t stream)
{
    csim__rng rng = csim__rng_start(99, stream);
    double *x = malloc((size_t)count * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) { x[i] = csim__rng_normal(&rng); }
    return x;
}

static void open_case(csim_context *on, bench_case *c)
{
    static const char *const layer[LAYERS] = {"first", "second"};
    static const char *const set[SETS] = {"a", "b", "c"};
    csim_memory_site site[LAYERS];
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) {
            site[l] = (csim_memory_site){layer[l], CSIM_F64, c->d[s][l], c->x[s][l]};
        }
        assert_int_equal(csim_set_from_memory(on, set[s], c->n, site, c->layers, &c->set[s]),
                         CSIM_OK);
    }
}

static void close_case(bench_case *c)
{
    for (int s = 0; s < c->sets; s++) { csim_set_free(&c->set[s]); }
}

/* Rows of set s are hidden·A + noise; without `related` only the noise. */
static bench_case make_case(int n, int sets, int layers, const int *d, int related, double noise)
{
    enum { HIDDEN = 4 };
    bench_case c = {.sets = sets, .layers = layers, .n = n};
    double *hidden = numbers((int64_t)n * HIDDEN, 1);
    for (int s = 0; s < sets; s++) {
        for (int l = 0; l < layers; l++) {
            int w = c.d[s][l] = d[s * layers + l];
            double *a = numbers(HIDDEN * w, (uint64_t)(10 + l));
            double *x = c.x[s][l] = numbers((int64_t)n * w, (uint64_t)(100 + s * layers + l));
            for (int64_t i = 0; i < (int64_t)n * w; i++) {
                x[i] *= noise;
                for (int h = 0; related && h < HIDDEN; h++) {
                    x[i] += hidden[i / w * HIDDEN + h] * a[h * w + i % w];
                }
            }
            free(a);
        }
    }
    free(hidden);
    return c;
}

static void free_case(bench_case *c)
{
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) { free(c->x[s][l]); }
    }
}

/* An encoder with random parameters, the same on every rank. */
static csim_encoder *make_encoder(csim_context *on, const char *measure, int width, int inits)
{
    csim_encoder *e = NULL;
    assert_int_equal(csim__calloc(on, 1, sizeof *e, "an encoder", &e), CSIM_OK);
    e->ctx = on;
    assert_int_equal(csim__strdup(on, "made.nc", &e->path), CSIM_OK);
    assert_int_equal(csim__strdup(on, measure, &e->measure), CSIM_OK);
    assert_int_equal(csim__calloc(on, 1, sizeof *e->width, "w", &e->width), CSIM_OK);
    assert_int_equal(csim__calloc(on, 1, sizeof *e->model, "m", &e->model), CSIM_OK);
    assert_int_equal(csim__strdup(on, "", &e->model[0]), CSIM_OK);
    assert_int_equal(csim__calloc(on, 1, sizeof *e->hidden, "h", &e->hidden), CSIM_OK);
    e->inputs = e->hidden_count = 1;
    e->width[0] = width;
    e->hidden[0] = 9;
    e->inits = inits;
    assert_int_equal(csim__encoder_layout(e, 5), CSIM_OK);
    csim__rng rng = csim__rng_start(3, 0);
    for (int64_t i = 0; i < inits * e->net.parameters; i++) {
        e->params[i] = (float)csim__rng_normal(&rng);
    }
    return e;
}

static csim_status run(csim_context *on, bench_case *c, const csim_bench_measure *m, int count,
                       csim_retrieval_options o, int drop, csim_bench **bench)
{
    open_case(on, c);
    csim_status st =
        csim_bench_retrieval(on, c->set, c->sets, m, count, &o, drop, NULL, NULL, bench);
    close_case(c);
    assert_true(harness_same(on, st));
    return st;
}

static csim_bench *must(bench_case *c, const csim_bench_measure *m, int count,
                        csim_retrieval_options o)
{
    csim_bench *bench = NULL;
    csim_status st = run(ctx, c, m, count, o, 0, &bench);
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(ctx)); }
    assert_int_equal(st, CSIM_OK);
    return bench;
}

/* ---- draws and outcomes ---- */

static void test_candidates(void **state)
{
    (void)state;
    enum { ROWS = 13, GROUP = 3, MANY = 20000 };
    csim__draw draw;
    int64_t row[GROUP], again[GROUP], count[GROUP][ROWS] = {{0}};
    assert_int_equal(csim__draw_make(ctx, ROWS, GROUP, 7, &draw), CSIM_OK);
    for (int64_t j = 0; j < MANY; j++) {
        csim__bench_candidate(&draw, 2, j % 10000, row);
        if (j >= 10000) { csim__bench_candidate(&draw, 3, j % 10000, row); }
        int64_t first = j >= 10000 ? 9 : 6;
        for (int i = 0; i < GROUP; i++) {
            assert_in_range(row[i], 0, ROWS - 1);
            assert_true(row[i] < first || row[i] >= first + GROUP);
            for (int k = 0; k < i; k++) { assert_int_not_equal(row[i], row[k]); }
            if (first == 6) { count[i][row[i]]++; }
        }
    }
    /* each of the other 10 rows in each place 1000 times of 10000: deviation 30 */
    for (int i = 0; i < GROUP; i++) {
        for (int r = 0; r < ROWS; r++) {
            bool own = r >= 6 && r < 9;
            assert_true(own ? count[i][r] == 0 : labs(count[i][r] - 1000) < 150);
        }
    }
    /* a draw depends on nothing that was drawn before */
    csim__draw fresh;
    csim__bench_candidate(&draw, 1, 5, row);
    assert_int_equal(csim__draw_make(ctx, ROWS, GROUP, 7, &fresh), CSIM_OK);
    csim__bench_candidate(&fresh, 1, 5, again);
    assert_memory_equal(row, again, sizeof row);
    csim__draw_clear(ctx, &fresh);
    csim__draw_clear(ctx, &draw);
}

static void test_outcomes(void **state)
{
    (void)state;
    int64_t lost;
    assert_int_equal(csim__bench_outcome((double[]){3, 1, 2}, 3, false, &lost), 1);
    assert_int_equal(csim__bench_outcome((double[]){3, 1, 2}, 3, true, &lost), 0);
    assert_int_equal(csim__bench_outcome((double[]){1, 1, 2}, 3, true, &lost), 2);
    assert_int_equal(csim__bench_outcome((double[]){2, 2, 2}, 3, false, &lost), 3);
    assert_int_equal(csim__bench_outcome((double[]){2, 2, 3}, 3, false, &lost), 0);
    assert_int_equal(lost, 0);
    assert_int_equal(csim__bench_outcome((double[]){2, NAN, 1}, 3, false, &lost), 1);
    assert_int_equal(lost, 1);
    assert_int_equal(csim__bench_outcome((double[]){2, NAN, 3}, 3, true, &lost), 1);
    assert_int_equal(csim__bench_outcome((double[]){NAN, 1, NAN}, 3, false, &lost), -1);
    assert_int_equal(lost, 1);
}

/* ---- against a reference ---- */

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
    const int d[SETS * LAYERS] = {6, 7, 6, 7, 6, 7};
    bench_case c = make_case(47, SETS, LAYERS, d, 1, 1.5);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")},
                              {.measure = csim_measure_find("procrustes")},
                              {.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("norm")}};
    csim_retrieval_options o = {.group = 5, .candidates = 3, .seed = 11};
    csim_bench *b = must(&c, m, 4, o);
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
    free_case(&c);
}

/* The nearest rows are harder to tell from the true ones than any. */
static void test_nearest(void **state)
{
    (void)state;
    const int d[] = {5, 7};
    bench_case c = make_case(50, 2, 1, d, 1, 0.4);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")}};
    csim_retrieval_options o = {.group = 4, .candidates = 6, .negatives = CSIM_NEAREST};
    csim_bench *b = must(&c, m, 1, o);
    for (int p = 0; p < 2; p++) {
        double want = expected(&c, p, 1 - p, 0, o, false, by_reference, "cka");
        assert_true(fabs(csim_bench_accuracy(b, 0, p, 0) - want) < 1e-12);
    }
    csim_bench_free(&b);
    free_case(&c);
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
    bench_case c = make_case(40, 2, 1, d, 1, 1);
    csim_encoder *dot = make_encoder(ctx, "contrasim", 6, 2);
    csim_encoder *cka = make_encoder(ctx, "deepcka", 6, 3);
    csim_bench_measure m[] = {{.encoder = dot}, {.encoder = cka}};
    csim_retrieval_options o = {.group = 4, .candidates = 4, .seed = 0};
    csim_bench *b = must(&c, m, 2, o);
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
    free_case(&c);
}

static void test_groups_of_one(void **state)
{
    (void)state;
    const int d[] = {5, 5};
    bench_case c = make_case(30, 2, 1, d, 1, 0.5);
    csim_encoder *e = make_encoder(ctx, "mscon", 5, 1);
    csim_bench_measure m[] = {{.encoder = e}, {.measure = csim_measure_find("norm")}};
    csim_bench_measure no = {.measure = csim_measure_find("cka")};
    csim_retrieval_options o = {.group = 1, .candidates = 5, .seed = 2};
    csim_bench *b = must(&c, m, 2, o);
    assert_int_equal(csim_bench_decisions(b), 30);
    double want = expected(&c, 1, 0, 0, o, false, by_encoder, &(learned){e, false});
    assert_true(fabs(csim_bench_accuracy(b, 0, 1, 0) - want) < 1e-12);
    want = expected(&c, 1, 0, 0, o, false, by_reference, "norm");
    assert_true(fabs(csim_bench_accuracy(b, 1, 1, 0) - want) < 1e-12 && want > 0.5);
    csim_bench_free(&b);
    assert_int_equal(run(ctx, &c, &no, 1, o, 0, &b), CSIM_E_ARG);
    assert_null(b);
    assert_non_null(strstr(csim_context_error(ctx), "cka needs groups of 4 rows"));
    assert_non_null(strstr(csim_context_error(ctx), "contrasim, deepdot, mscon, dot, norm"));
    csim_encoder_free(&e);
    free_case(&c);
}

/* ---- ties, chance, undefined values ---- */

static void test_constant_layers(void **state)
{
    (void)state;
    const int d[] = {3, 3};
    bench_case c = make_case(24, 2, 1, d, 0, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("cka")}};
    for (int i = 0; i < 24 * 3; i++) { c.x[1][0][i] = 0.5; }
    csim_bench *b = must(&c, m, 2, (csim_retrieval_options){.group = 4, .candidates = 2});
    /* candidates from the constant set: all tie */
    assert_string_equal(csim_bench_set_name(b, 0, 1), "b");
    assert_true(fabs(csim_bench_accuracy(b, 0, 0, 0) - csim_bench_chance(b)) < 1e-15);
    assert_int_equal(csim_bench_undefined(b, 0, 0, 0, 0), 0);
    for (int p = 0; p < 2; p++) { /* of a constant layer linear CKA is undefined */
        assert_true(csim_bench_accuracy(b, 1, p, 0) == 0);
        assert_int_equal(csim_bench_undefined(b, 1, p, 0, 0), 6);
        assert_int_equal(csim_bench_undefined(b, 1, p, 0, 1), 12);
    }
    csim_bench_free(&b);
    free_case(&c);
}

static void test_unrelated_is_chance(void **state)
{
    (void)state;
    const int d[] = {4, 4};
    bench_case c = make_case(2000, 2, 1, d, 0, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")},
                              {.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("procrustes")}};
    csim_bench *b = must(&c, m, 3, (csim_retrieval_options){.group = 4, .candidates = 3});
    double deviation = sqrt(0.25 * 0.75 / 500);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(csim_bench_accuracy(b, i, 0, 0) - 0.25) < 4.5 * deviation);
    }
    csim_bench_free(&b);
    free_case(&c);
}

static void test_unequal_widths(void **state)
{
    (void)state;
    const int d[] = {4, 6};
    bench_case c = make_case(40, 2, 1, d, 1, 0.2);
    csim_bench_measure m[] = {{.measure = csim_measure_find("dot")},
                              {.measure = csim_measure_find("cka")}};
    csim_bench *b = must(&c, m, 2, (csim_retrieval_options){.group = 8, .candidates = 3});
    assert_int_equal(csim_bench_undefined(b, 0, 0, 0, 0), 5);
    assert_true(csim_bench_accuracy(b, 1, 0, 0) > 0.7);
    csim_bench_free(&b);
    free_case(&c);
}

/* ---- misuse ---- */

static void test_errors(void **state)
{
    (void)state;
    const int d[] = {4, 5, 4, 5};
    bench_case c = make_case(20, 2, 2, d, 1, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")},
                              {.measure = csim_measure_find("cka")}};
    csim_bench *b = NULL;
    csim_retrieval_options o = {.group = 4, .candidates = 2},
                           large = {.group = 11, .candidates = 2};
    assert_int_equal(run(ctx, &c, m, 1, large, 0, &b), CSIM_E_SHAPE);
    assert_non_null(strstr(csim_context_error(ctx), "expected 22 examples or more"));
    assert_int_equal(run(ctx, &c, m, 2, o, 0, &b), CSIM_E_ARG);
    assert_non_null(strstr(csim_context_error(ctx), "cka is there twice"));
    assert_int_equal(run(ctx, &c, m, 0, o, 0, &b), CSIM_E_ARG);
    assert_int_equal(run(ctx, &c, m, 1, (csim_retrieval_options){.group = 4}, 0, &b), CSIM_E_ARG);
    assert_int_equal(run(ctx, &c, m, 1, (csim_retrieval_options){.candidates = 4}, 0, &b),
                     CSIM_E_ARG);
    c.sets = 1;
    double *kept = c.x[1][1];
    assert_int_equal(run(ctx, &c, m, 1, o, 0, &b), CSIM_E_ARG);
    c.sets = 2;
    csim_encoder *e = make_encoder(ctx, "contrasim", 4, 1);
    csim_bench_measure learned_one = {.encoder = e};
    assert_int_equal(run(ctx, &c, &learned_one, 1, o, 0, &b), CSIM_E_SHAPE); /* width 5 */
    assert_null(b);
    kept[17 * 5 + 3] = NAN;
    assert_int_equal(run(ctx, &c, m, 1, o, 0, &b), CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "row 17, column 3"));
    assert_int_equal(run(ctx, &c, m, 1, o, 1, &b), CSIM_OK);
    assert_int_equal(csim_bench_decisions(b), 4); /* of 19 rows */
    csim_bench_free(&b);
    csim_encoder_free(&e);
    free_case(&c);
}

static void test_unequal_layers(void **state)
{
    (void)state;
    double x[40] = {0};
    csim_memory_site site[2] = {{"x", CSIM_F64, 2, x}, {"y", CSIM_F64, 2, x}};
    csim_set *sets[2] = {NULL, NULL};
    csim_bench_measure m = {.measure = csim_measure_find("cka")};
    csim_retrieval_options o = {.group = 4, .candidates = 2};
    csim_bench *b = NULL;
    assert_int_equal(csim_set_from_memory(ctx, "a", 20, site, 2, &sets[0]), CSIM_OK);
    assert_int_equal(csim_set_from_memory(ctx, "b", 20, site, 1, &sets[1]), CSIM_OK);
    assert_int_equal(csim_bench_retrieval(ctx, sets, 2, &m, 1, &o, 0, NULL, NULL, &b),
                     CSIM_E_SHAPE);
    assert_non_null(strstr(csim_context_error(ctx), "set a has 2 layers, set b has 1"));
    for (int i = 0; i < 2; i++) { csim_set_free(&sets[i]); }
}

/* One vote in ten fails somewhere: the same status everywhere, nothing left. */
static void test_faults(void **state)
{
    (void)state;
    const int d[] = {4, 4};
    bench_case c = make_case(80, 2, 1, d, 1, 1);
    csim_encoder *e = make_encoder(ctx, "contrasim", 4, 1);
    csim_bench_measure m[] = {{.measure = csim_measure_find("cka")}, {.encoder = e}};
    int64_t live = csim_context_memory_live(ctx);
    int failed = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        csim_bench *b = NULL;
        csim_context_set_faults(ctx, 10, seed);
        csim_status st = run(
            ctx, &c, m, 2, (csim_retrieval_options){.group = 8, .candidates = 2, .seed = 0}, 0, &b);
        csim_context_set_faults(ctx, 0, 0);
        failed += st != CSIM_OK;
        assert_true((st == CSIM_OK) == (b != NULL));
        csim_bench_free(&b);
        assert_int_equal(csim_context_memory_live(ctx), live);
    }
    assert_true(failed > 0);
    csim__forgive(ctx);
    csim_encoder_free(&e);
    free_case(&c);
}

/* ---- bits ---- */

static void test_bits(void **state)
{
    (void)state;
    const int d[SETS * LAYERS] = {6, 6, 6, 6, 6, 6};
    bench_case c = make_case(301, SETS, LAYERS, d, 1, 1.5);
    char first[48] = "", sum[48];
    int rank = csim_context_rank(ctx), size = csim_context_size(ctx), wrong = 0, all = 0;
    for (int ranks = 1; ranks <= size; ranks++) {
        MPI_Comm some;
        MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &some);
        if (some == MPI_COMM_NULL) { continue; }
        csim_context *on = NULL;
        csim_bench *b = NULL;
        assert_int_equal(csim_context_create(some, &on), CSIM_OK);
        csim_encoder *e = make_encoder(on, "contrasim", 6, 2);
        csim_bench_measure m[] = {{.encoder = e},
                                  {.measure = csim_measure_find("cka")},
                                  {.measure = csim_measure_find("dot")}};
        assert_int_equal(run(on, &c, m, 3,
                             (csim_retrieval_options){.group = 4, .candidates = 7, .seed = 5}, 0,
                             &b),
                         CSIM_OK);
        assert_int_equal(csim_bench_checksum(b, sum), CSIM_OK);
        if (ranks == 1) { memcpy(first, sum, sizeof sum); }
        wrong += rank == 0 && strcmp(first, sum) != 0;
        csim_bench_free(&b);
        csim_encoder_free(&e);
        harness_context_free(&on);
        MPI_Comm_free(&some);
    }
    MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    assert_int_equal(all, 0);
    free_case(&c);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_rows),
        cmocka_unit_test(test_learned_reference),
        cmocka_unit_test(test_groups_of_one),
        cmocka_unit_test(test_constant_layers),
        cmocka_unit_test(test_unrelated_is_chance),
        cmocka_unit_test(test_unequal_widths),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_unequal_layers),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bits),
    };
    ctx = harness_context();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    harness_context_free(&ctx);
    return harness_finish(failed);
}
