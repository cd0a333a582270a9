/* Chains of layers and unit rows against plain loops in double and against differences of these. */
#include "harness.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "reference_chain.h"

enum { GAP = 3, GUARD = 16 };

/* ---- a chain with data; the loss is Σ goal·z over its unit rows z ---- */

typedef struct problem {
    csim_context *ctx;
    csim__chain chain;
    int64_t rows, parameters;
    int in, e;
    float *x, *params, *scratch, *grad, *dx, *z, *norm, *dz, *out[CSIM__MAX_DEPTH];
    double *goal, *x_d, *params_d, *grad_d, *dx_d;
} problem;

static float *floats(csim_context *ctx, int64_t n, double fill)
{
    float *list = NULL;
    assert_int_equal(csim__alloc(ctx, n, sizeof *list, "floats", &list), CSIM_OK);
    for (int64_t i = 0; i < n; i++) { list[i] = (float)fill; }
    return list;
}

static double *doubles(csim_context *ctx, int64_t n)
{
    double *list = NULL;
    assert_int_equal(csim__calloc(ctx, n, sizeof *list, "doubles", &list), CSIM_OK);
    return list;
}

/* What the gradients are added to. */
static float held(int64_t i)
{
    return (float)(i % 5 - 2) * 0x1p-12F;
}

/* Layers with gaps between their parameters; width [depth+1]. */
static csim__chain make_chain(csim_activation kind, int depth, const int *width, int64_t *end)
{
    csim__chain chain = {.depth = depth, .activation = kind};
    int64_t at = GAP;
    for (int l = depth - 1; l >= 0; l--) { /* not in the order of the layers */
        chain.layer[l] = (csim__linear){.in = width[l], .out = width[l + 1], .b = at};
        chain.layer[l].w = at + width[l + 1] + GAP;
        at = chain.layer[l].w + (int64_t)width[l] * width[l + 1] + GAP;
    }
    *end = at;
    return chain;
}

/* Values that an activation gets, none of which rounding could take over the kink of ReLU. */
static void draw_row(problem *p, csim__rng *rng, int64_t row)
{
    reference_row before, after;
    double nearest;
    do {
        for (int64_t i = row * p->in; i < (row + 1) * p->in; i++) {
            p->x_d[i] = p->x[i] = (float)(2 * csim__rng_normal(rng));
        }
        reference_forward(&p->chain, p->params_d, p->x_d + row * p->in, before, after);
        nearest = 1;
        for (int l = 0; l < p->chain.depth - 1; l++) {
            for (int64_t j = 0; j < p->chain.layer[l].out; j++) {
                nearest = fmin(nearest, fabs(before[l][j]));
            }
        }
    } while (nearest < 1e-4);
}

static problem make_problem(csim_activation kind, int depth, const int *width, int64_t rows)
{
    problem p = {.ctx = harness_context(), .rows = rows, .in = width[0], .e = width[depth]};
    p.chain = make_chain(kind, depth, width, &p.parameters);
    csim__rng rng = csim__rng_start(31, (uint64_t)(rows * 100 + depth * 10) + kind);
    p.x = floats(p.ctx, rows * p.in, 0);
    p.params = floats(p.ctx, p.parameters, 0);
    p.x_d = doubles(p.ctx, rows * p.in);
    p.params_d = doubles(p.ctx, p.parameters);
    p.grad_d = doubles(p.ctx, p.parameters);
    p.dx_d = doubles(p.ctx, rows * p.in);
    p.goal = doubles(p.ctx, rows * p.e);
    for (int64_t i = 0; i < p.parameters; i++) {
        p.params_d[i] = p.params[i] = (float)csim__rng_normal(&rng) * 0.4F;
    }
    for (int64_t i = 0; i < rows; i++) { draw_row(&p, &rng, i); }
    for (int64_t i = 0; i < rows * p.e; i++) { p.goal[i] = csim__rng_normal(&rng); }
    int64_t scratch = csim__chain_scratch(&p.chain);
    p.scratch = floats(p.ctx, scratch + GUARD, NAN);
    for (int i = 0; i < GUARD; i++) { p.scratch[scratch + i] = 77; }
    for (int l = 0; l < depth; l++) { p.out[l] = floats(p.ctx, rows * width[l + 1], NAN); }
    p.grad = floats(p.ctx, p.parameters, 0);
    for (int64_t i = 0; i < p.parameters; i++) { p.grad[i] = held(i); }
    p.dx = floats(p.ctx, rows * p.in, NAN);
    p.z = floats(p.ctx, rows * p.e, NAN);
    p.dz = floats(p.ctx, rows * p.e, NAN);
    p.norm = floats(p.ctx, rows, NAN);
    return p;
}

static void free_problem(problem *p)
{
    int64_t scratch = csim__chain_scratch(&p->chain);
    for (int i = 0; i < GUARD; i++) { assert_true(p->scratch[scratch + i] == 77); }
    float **list[] = {&p->x, &p->params, &p->scratch, &p->grad, &p->dx, &p->z, &p->norm, &p->dz};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) { csim__free(p->ctx, list[i]); }
    for (int l = 0; l < p->chain.depth; l++) { csim__free(p->ctx, &p->out[l]); }
    double **more[] = {&p->goal, &p->x_d, &p->params_d, &p->grad_d, &p->dx_d};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) { csim__free(p->ctx, more[i]); }
    harness_context_free(&p->ctx);
}

/* What is under test: forward, unit rows, loss gradient, and back. */
static void run(problem *p, bool input_gradient)
{
    int last = p->chain.depth - 1;
    csim__chain_forward(&p->chain, p->params, p->rows, p->x, p->out, p->scratch);
    csim__unit_forward(p->rows, p->e, p->out[last], p->z, p->norm);
    for (int64_t i = 0; i < p->rows * p->e; i++) { p->dz[i] = (float)p->goal[i]; }
    csim__unit_backward(p->rows, p->e, p->z, p->norm, p->dz);
    csim__chain_backward(&p->chain, p->params, p->rows, p->x, p->out, p->dz, p->grad,
                         input_gradient ? p->dx : NULL, p->scratch);
}

/* Loss in double; with grad also its gradients, by the rules of differentiation. */
static double reference_loss(problem *p, bool gradients)
{
    int last = p->chain.depth - 1;
    double loss = 0, g[REFERENCE_WIDEST];
    reference_row before, after;
    for (int64_t i = 0; i < p->rows; i++) {
        const double *goal = p->goal + i * p->e, *u = before[last];
        reference_forward(&p->chain, p->params_d, p->x_d + i * p->in, before, after);
        double length = reference_length(p->e, u), along = 0;
        for (int j = 0; j < p->e; j++) { along += goal[j] * u[j] / length; }
        loss += along;
        if (!gradients) { continue; }
        for (int j = 0; j < p->e; j++) { g[j] = (goal[j] - along * u[j] / length) / length; }
        reference_backward(&p->chain, p->params_d, before, after, g, p->grad_d,
                           p->dx_d + i * p->in);
    }
    return loss;
}

static double largest(int64_t n, const double *list)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) { most = fmax(most, fabs(list[i])); }
    return most;
}

/* Every number within a share of the largest of its list. */
static void assert_close(int64_t n, const float *got, const double *expected, double share)
{
    double bound = share * largest(n, expected);
    for (int64_t i = 0; i < n; i++) {
        if (fabs((double)got[i] - expected[i]) <= bound) { continue; }
        fail_msg("number %lld of %lld: %.9g, expected %.9g within %.3g", (long long)i, (long long)n,
                 (double)got[i], expected[i], bound);
    }
}

/* Gradients less what the vector held before; the gaps between tensors keep it. */
static void check_gradients(const problem *p, const double *expected, double share)
{
    float *gained = floats(p->ctx, p->parameters, 0);
    for (int64_t i = 0; i < p->parameters; i++) { gained[i] = p->grad[i] - held(i); }
    int64_t next = 0;
    for (int l = p->chain.depth - 1; l >= 0; l--) {
        const csim__linear *layer = &p->chain.layer[l];
        int64_t count = (int64_t)layer->in * layer->out;
        assert_close(count, gained + layer->w, expected + layer->w, share);
        assert_close(layer->out, gained + layer->b, expected + layer->b, share);
        for (; next < layer->b; next++) { assert_true(gained[next] == 0); }
        for (next += layer->out; next < layer->w; next++) { assert_true(gained[next] == 0); }
        next += count;
    }
    for (; next < p->parameters; next++) { assert_true(gained[next] == 0); }
    csim__free(p->ctx, &gained);
}

static void check_outputs(problem *p, double share)
{
    reference_row before, after;
    for (int l = 0; l < p->chain.depth; l++) {
        int n = p->chain.layer[l].out;
        bool relu = l + 1 < p->chain.depth && p->chain.activation == CSIM_RELU;
        double *expected = doubles(p->ctx, p->rows * n);
        for (int64_t i = 0; i < p->rows; i++) {
            reference_forward(&p->chain, p->params_d, p->x_d + i * p->in, before, after);
            memcpy(expected + i * n, relu ? after[l + 1] : before[l], (size_t)n * sizeof *expected);
        }
        assert_close(p->rows * n, p->out[l], expected, share);
        csim__free(p->ctx, &expected);
    }
}

static const csim_activation activations[] = {CSIM_RELU, CSIM_GELU};

/* ---- chains ---- */

static void chains_match_the_rules(void **state)
{
    (void)state;
    static const struct {
        int depth, width[6];
    } shapes[] = {
        {1, {5, 4}}, {1, {40, 2}}, {2, {7, 48, 3}}, {3, {40, 33, 17, 9}}, {5, {1, 6, 1, 8, 5, 2}}};
    static const int64_t rows[] = {0, 1, 5, 300, 700, 1100};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            for (int a = 0; a < 2; a++) {
                problem p = make_problem(activations[a], shapes[s].depth, shapes[s].width, rows[r]);
                run(&p, true);
                reference_loss(&p, true);
                check_outputs(&p, 2e-6);
                check_gradients(&p, p.grad_d, 2e-5);
                assert_close(p.rows * p.in, p.dx, p.dx_d, 2e-5);
                free_problem(&p);
            }
        }
    }
}

static double difference(problem *p, double *place)
{
    const double step = 1e-6, kept = *place;
    *place = kept + step;
    double up = reference_loss(p, false);
    *place = kept - step;
    double down = reference_loss(p, false);
    *place = kept;
    return (up - down) / (2 * step);
}

/* The same against differences of the loss, which know no rules. */
static void chains_match_differences(void **state)
{
    (void)state;
    static const int width[] = {5, 6, 4, 3}, short_width[] = {5, 3};
    static const int64_t rows[] = {1, 5, 300, 700};
    for (int depth = 1; depth <= 3; depth += 2) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            for (int a = 0; a < 2; a++) {
                problem p =
                    make_problem(activations[a], depth, depth == 1 ? short_width : width, rows[r]);
                run(&p, true);
                for (int64_t i = 0; i < p.parameters; i++) {
                    p.grad_d[i] = difference(&p, &p.params_d[i]);
                }
                check_gradients(&p, p.grad_d, 2e-5);
                for (int64_t i = 0; i < p.rows * p.in; i += 1 + p.rows / 7) {
                    double expected = difference(&p, &p.x_d[i]);
                    assert_true(fabs((double)p.dx[i] - expected) <= 2e-5 * (1 + fabs(expected)));
                }
                free_problem(&p);
            }
        }
    }
}

/* The input's gradient is extra: it changes no other bit. */
static void input_gradient_is_extra(void **state)
{
    (void)state;
    static const int width[] = {40, 33, 17, 9};
    problem p = make_problem(CSIM_GELU, 3, width, 300), q = make_problem(CSIM_GELU, 3, width, 300);
    run(&p, true);
    run(&q, false);
    assert_memory_equal(p.grad, q.grad, (size_t)p.parameters * sizeof *p.grad);
    for (int64_t i = 0; i < q.rows * q.in; i++) { assert_true(isnan(q.dx[i])); }
    free_problem(&p);
    free_problem(&q);
}

/* x·Φ(x) over its range, its tails, and through the derivative: each number on its own. */
static void gelu_is_exact_to_its_tails(void **state)
{
    (void)state;
    enum { N = 20001 };
    csim_context *ctx = harness_context();
    const int width[] = {1, 1, 1};
    int64_t count = 0;
    csim__chain chain = make_chain(CSIM_GELU, 2, width, &count);
    float *params = floats(ctx, count, 0), *grad = floats(ctx, count, 0);
    float *x = floats(ctx, N, 0), *before = floats(ctx, N, 0), *y = floats(ctx, N, 0);
    float *g = floats(ctx, N, 1), *dx = floats(ctx, N, 0);
    float *scratch = floats(ctx, csim__chain_scratch(&chain), 0);
    for (int l = 0; l < 2; l++) { params[chain.layer[l].w] = 1; }
    for (int i = 0; i < N; i++) { x[i] = (float)((i - N / 2) * 1.5e-3); } /* −15 … 15 */
    x[0] = -1e30F;
    x[N - 1] = 1e30F;
    float *out[] = {before, y};
    csim__chain_forward(&chain, params, N, x, out, scratch);
    csim__chain_backward(&chain, params, N, x, out, g, grad, dx, scratch);
    for (int i = 0; i < N; i++) {
        double v = x[i], below = reference_activation(CSIM_GELU, v) / (v != 0 ? v : 1);
        double rate = reference_slope(CSIM_GELU, v), tiny = 2e-36;
        if (v < -1e29) { /* nearly 0 in truth */
            assert_true(fabs((double)y[i]) < 1e-6 && fabs((double)dx[i]) < 1e-6);
            continue;
        }
        /* the exponent ½v² is rounded; for v < 0 the slope has terms of opposite signs */
        double share = 4e-7 + (v < 0 ? v * v / 2 * 0x1p-23 : 0);
        double terms = v < 0 ? below + fabs(rate - below) : 1;
        assert_true(fabs((double)y[i] - v * below) <= share * fabs(v * below) + tiny);
        assert_true(fabs((double)dx[i] - rate) <= share * terms + tiny);
    }
    float **list[] = {&params, &grad, &x, &before, &y, &g, &dx, &scratch};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) { csim__free(ctx, list[i]); }
    harness_context_free(&ctx);
}

/* A NaN or Inf reaches the output of its row, and no other row. */
static void bad_numbers_go_through(void **state)
{
    (void)state;
    static const int width[] = {9, 8, 7, 6};
    for (int a = 0; a < 2; a++) {
        problem p = make_problem(activations[a], 3, width, 700);
        p.x[17 * 9 + 4] = NAN;
        p.x[670 * 9 + 8] = INFINITY;
        run(&p, false);
        for (int64_t i = 0; i < p.rows * p.e; i++) {
            int64_t row = i / p.e;
            assert_true((isfinite(p.z[i]) != 0) == (row != 17 && row != 670));
        }
        for (int j = 0; j < p.e; j++) { assert_true(isnan(p.grad[p.chain.layer[2].b + j])); }
        free_problem(&p);
    }
}

/* The bits are those of the numbers, wherever these lie. */
static void alignment_does_not_matter(void **state)
{
    (void)state;
    static const int width[] = {61, 48, 31, 19};
    for (int a = 0; a < 2; a++) {
        problem p = make_problem(activations[a], 3, width, 700);
        problem first = make_problem(activations[a], 3, width, 700);
        run(&first, true);
        for (int shift = 0; shift < 6; shift++) {
            problem q = p;
            float **in[] = {&q.x, &q.params};
            int64_t count[] = {p.rows * p.in, p.parameters};
            float *room[2] = {NULL, NULL};
            for (int k = 0; k < 2; k++) {
                room[k] = floats(p.ctx, count[k] + 8, NAN);
                memcpy(room[k] + shift + k, *in[k], (size_t)count[k] * sizeof(float));
                *in[k] = room[k] + shift + k;
            }
            int64_t sizes[] = {csim__chain_scratch(&p.chain),
                               p.rows * p.in,
                               p.parameters,
                               p.rows * p.e,
                               p.rows * p.e,
                               p.rows * 48,
                               p.rows * 31,
                               p.rows * 19};
            float **out[] = {&q.scratch, &q.dx,     &q.grad,   &q.z,
                             &q.dz,      &q.out[0], &q.out[1], &q.out[2]};
            float *fresh[8] = {NULL};
            for (int k = 0; k < 8; k++) {
                fresh[k] = floats(p.ctx, sizes[k] + 16, NAN);
                *out[k] = fresh[k] + (shift + 3 * k) % 16;
            }
            for (int64_t i = 0; i < p.parameters; i++) { q.grad[i] = held(i); }
            run(&q, true);
            assert_memory_equal(q.z, first.z, (size_t)sizes[3] * sizeof(float));
            assert_memory_equal(q.dx, first.dx, (size_t)sizes[1] * sizeof(float));
            assert_memory_equal(q.grad, first.grad, (size_t)sizes[2] * sizeof(float));
            for (int k = 0; k < 8; k++) { csim__free(p.ctx, &fresh[k]); }
            for (int k = 0; k < 2; k++) { csim__free(p.ctx, &room[k]); }
        }
        free_problem(&p);
        free_problem(&first);
    }
}

/* Per row of 768 → 512 → 256 → 128: 557,056 weights, six flops each, two less in the first layer. */
static void flops_count_products(void **state)
{
    (void)state;
    static const int width[] = {768, 512, 256, 128};
    int64_t count = 0;
    csim__chain chain = make_chain(CSIM_RELU, 3, width, &count);
    assert_true(csim__chain_flops(&chain, 1000, true) == 3342336e3);
    assert_true(csim__chain_flops(&chain, 1000, false) == 2555904e3);
}

/* ---- unit rows ---- */

static void unit_rows_have_length_one(void **state)
{
    (void)state;
    enum { ROWS = 9, E = 13 };
    float u[ROWS * E], z[ROWS * E], norm[ROWS], dz[ROWS * E], goal[ROWS * E];
    csim__rng rng = csim__rng_start(41, 0);
    for (int i = 0; i < ROWS * E; i++) {
        /* from 1e-24 of a usual length, below the floor, to 1e36 of it, where squares overflow */
        double size = i / E == 1 ? 1e-13 : pow(10, 7.5 * (i / E - 4) + 6);
        u[i] = i / E == 2 ? 0 : (float)(csim__rng_normal(&rng) * size);
        dz[i] = goal[i] = (float)csim__rng_normal(&rng);
    }
    csim__unit_forward(ROWS, E, u, z, norm);
    csim__unit_backward(ROWS, E, z, norm, dz);
    for (int i = 0; i < ROWS; i++) {
        double row[E], along = 0;
        for (int j = 0; j < E; j++) { row[j] = u[i * E + j]; }
        double length = reference_length(E, row);
        assert_true((length == 1e-12) == (i <= 2));
        assert_true(fabs((double)norm[i] - length) <= 1e-7 * length);
        for (int j = 0; j < E; j++) {
            double expected = row[j] / length;
            assert_true(fabs((double)z[i * E + j] - expected) <= 1e-7 * fabs(expected));
            along += length > 1e-12 ? (double)goal[i * E + j] * expected : 0;
        }
        for (int j = 0; j < E; j++) {
            double expected = ((double)goal[i * E + j] - along * row[j] / length) / length;
            assert_true(fabs((double)dz[i * E + j] - expected) * length <= 2e-6);
        }
    }
    csim__unit_forward(ROWS, E, u, u, norm); /* in place */
    assert_memory_equal(u, z, sizeof u);
}

/* A step along a row changes nothing but its length; steps across are differences of Σ goal·z. */
static void unit_rows_match_differences(void **state)
{
    (void)state;
    enum { E = 21 };
    float u[E], z[E], norm[1], dz[E];
    double row[E], goal[E], along = 0;
    csim__rng rng = csim__rng_start(42, 0);
    for (int j = 0; j < E; j++) {
        row[j] = u[j] = (float)(3 * csim__rng_normal(&rng));
        goal[j] = dz[j] = (float)csim__rng_normal(&rng);
    }
    csim__unit_forward(1, E, u, z, norm);
    csim__unit_backward(1, E, z, norm, dz);
    for (int j = 0; j < E; j++) {
        double loss[2] = {0, 0}, kept = row[j], step = 1e-6;
        for (int side = 0; side < 2; side++) {
            row[j] = kept + (side == 0 ? step : -step);
            double length = reference_length(E, row);
            for (int k = 0; k < E; k++) { loss[side] += goal[k] * row[k] / length; }
        }
        row[j] = kept;
        assert_true(fabs((double)dz[j] - (loss[0] - loss[1]) / (2 * step)) <= 1e-6);
        along += (double)dz[j] * row[j];
    }
    assert_true(fabs(along) <= 1e-5);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_match_the_rules),      cmocka_unit_test(chains_match_differences),
        cmocka_unit_test(input_gradient_is_extra),     cmocka_unit_test(gelu_is_exact_to_its_tails),
        cmocka_unit_test(bad_numbers_go_through),      cmocka_unit_test(alignment_does_not_matter),
        cmocka_unit_test(flops_count_products),        cmocka_unit_test(unit_rows_have_length_one),
        cmocka_unit_test(unit_rows_match_differences),
    };
    return harness_finish(cmocka_run_group_tests_name("chain", tests, NULL, NULL));
}
