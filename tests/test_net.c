/* Encoders: layout, initial values, and gradients through shared layers and heads. */
#include "harness.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "encoder/net.h"
#include "reference_chain.h"

static float *floats(csim_context *ctx, int64_t n)
{
    float *list = NULL;
    assert_int_equal(csim__calloc(ctx, n, sizeof *list, "floats", &list), CSIM_OK);
    return list;
}

/* ---- layout ---- */

static void default_encoder_has_557952_parameters(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const int width = 768, hidden[] = {512, 256};
    static const int64_t starts[] = {0, 393216, 393728, 524800, 525056, 557824, 557952};
    csim__net_shape shape = {
        .inputs = 1, .width = &width, .hidden_count = 2, .hidden = hidden, .out = 128};
    csim__net net;
    assert_int_equal(csim__net_make(ctx, &shape, &net), CSIM_OK);
    assert_true(net.parameters == 557952 && net.weights == -1);
    assert_int_equal(net.tensors, 6);
    assert_memory_equal(net.tensor, starts, sizeof starts);
    assert_true(net.inputs == 1 && net.heads == 0 && net.head == NULL && net.out == 128);
    assert_int_equal(net.encoder[0].depth, 3);
    csim__net_clear(ctx, &net);
    assert_true(net.encoder == NULL && net.tensor == NULL && net.parameters == 0);
    csim__net_clear(ctx, &net);

    shape.hidden_count = 0; /* straight to the output */
    assert_int_equal(csim__net_make(ctx, &shape, &net), CSIM_OK);
    assert_true(net.parameters == 769 * 128 && net.encoder[0].depth == 1);
    assert_true(net.encoder[0].layer[0].in == 768 && net.encoder[0].layer[0].out == 128);
    csim__net_clear(ctx, &net);
    harness_context_free(&ctx);
}

static void assert_layer(const csim__linear *layer, int in, int out, int64_t w)
{
    assert_int_equal(layer->in, in);
    assert_int_equal(layer->out, out);
    assert_true(layer->w == w && layer->b == w + (int64_t)in * out);
}

static const int widths[] = {7, 11, 3}, trunk[] = {6, 5};
static const csim__net_shape full = {.inputs = 3,
                                     .width = widths,
                                     .hidden_count = 2,
                                     .hidden = trunk,
                                     .out = 4,
                                     .activation = CSIM_GELU,
                                     .heads = 2,
                                     .head_out = 3,
                                     .weights = true};

/* Inputs of their own, one trunk, ReLU in the heads whatever the encoder has. */
static void widths_share_the_trunk(void **state)
{
    (void)state;
    static const int64_t starts[] = {0,   42,  48,  114, 120, 138, 144, 174, 179, 199,
                                     203, 219, 223, 235, 238, 254, 258, 270, 273, 275};
    csim_context *ctx = harness_context();
    csim__net net;
    assert_int_equal(csim__net_make(ctx, &full, &net), CSIM_OK);
    assert_int_equal(net.tensors, 19);
    assert_memory_equal(net.tensor, starts, sizeof starts);
    assert_true(net.parameters == 275 && net.weights == 273 && net.head_out == 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(net.encoder[i].depth, 3);
        assert_int_equal(net.encoder[i].activation, CSIM_GELU);
        assert_layer(&net.encoder[i].layer[0], widths[i], 6, starts[2 * i]);
        assert_layer(&net.encoder[i].layer[1], 6, 5, 144);
        assert_layer(&net.encoder[i].layer[2], 5, 4, 179);
    }
    for (int h = 0; h < 2; h++) {
        assert_int_equal(net.head[h].depth, 2);
        assert_int_equal(net.head[h].activation, CSIM_RELU);
        assert_layer(&net.head[h].layer[0], 4, 4, 203 + 35 * h);
        assert_layer(&net.head[h].layer[1], 4, 3, 223 + 35 * h);
    }
    csim__net_clear(ctx, &net);
    harness_context_free(&ctx);
}

/* ---- refused shapes ---- */

static void refuse(csim_context *ctx, const csim__net_shape *shape, csim_status expected)
{
    csim__net net = {.parameters = 7};
    assert_int_equal(csim__net_make(ctx, shape, &net), expected);
    assert_true(net.parameters == 7 && net.encoder == NULL);
    assert_int_equal(csim__vote(ctx, expected), expected);
    assert_non_null(strstr(csim_context_error(ctx), "encoder"));
}

static void silly_shapes_are_refused(void **state)
{
    (void)state;
    enum { HUGE = INT32_MAX };
    csim_context *ctx = harness_context();
    const int zero = 0, huge = HUGE, large[] = {46340, 46340}, many[CSIM__MAX_DEPTH] = {1};
    const int bad[] = {6, -5}, wide[] = {HUGE, HUGE, HUGE};
    csim__net_shape s;
    s = full, s.inputs = 0, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.inputs = -1, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.inputs = 1, s.width = &zero, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.hidden_count = -1, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.hidden = bad, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.out = 0, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.head_out = 0, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.heads = -1, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.heads = 0, refuse(ctx, &s, CSIM_E_ARG); /* weights of no heads */
    s = full, s.activation = (csim_activation)2, refuse(ctx, &s, CSIM_E_ARG);
    s = full, s.hidden_count = CSIM__MAX_DEPTH, s.hidden = many, refuse(ctx, &s, CSIM_E_LIMIT);
    s = full, s.inputs = 1, s.width = &huge, refuse(ctx, &s, CSIM_E_LIMIT);
    s = full, s.out = HUGE, refuse(ctx, &s, CSIM_E_LIMIT);
    s = full, s.out = HUGE, s.head_out = HUGE, s.heads = HUGE, refuse(ctx, &s, CSIM_E_LIMIT);
    s = full, s.width = wide, s.hidden = wide, refuse(ctx, &s, CSIM_E_LIMIT); /* 3·2⁶² */
    s = full, s.heads = HUGE, refuse(ctx, &s, CSIM_E_LIMIT);
    s = full, s.hidden = large, refuse(ctx, &s, CSIM_E_LIMIT); /* together too many */
    harness_context_free(&ctx);
}

/* ---- initial values ---- */

static void assert_uniform(const float *list, int64_t n, double bound)
{
    double sum = 0, square = 0, most = 0, least = 1;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)list[i] / bound;
        sum += v;
        square += v * v;
        most = fmax(most, fabs(v));
        least = fmin(least, fabs(v));
    }
    double each = 5 / sqrt((double)n); /* five standard errors */
    assert_true(most <= 1 + 1e-7 && most > 1 - 10.0 / (double)n && least < 10.0 / (double)n);
    assert_true(fabs(sum / (double)n) < each * sqrt(1.0 / 3));
    assert_true(fabs(square / (double)n - 1.0 / 3) < each * sqrt(4.0 / 45));
}

static void initial_values_are_uniform(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const int width[] = {300, 50}, hidden = 200;
    csim__net_shape shape = {.inputs = 2,
                             .width = width,
                             .hidden_count = 1,
                             .hidden = &hidden,
                             .out = 128,
                             .heads = 2,
                             .head_out = 64,
                             .weights = true};
    static const int fan_in[] = {300, 50, 200, 128, 128, 128, 128};
    csim__net net;
    assert_int_equal(csim__net_make(ctx, &shape, &net), CSIM_OK);
    float *a = floats(ctx, net.parameters), *b = floats(ctx, net.parameters);
    for (int64_t i = 0; i < net.parameters; i++) { a[i] = NAN; }
    csim__net_initialise(&net, 1, a);
    csim__net_initialise(&net, 2, b);
    for (int t = 0; t + 1 < net.tensors; t++) {
        int64_t at = net.tensor[t], count = net.tensor[t + 1] - at, same = 0;
        assert_uniform(a + at, count, 1 / sqrt(fan_in[t / 2]));
        for (int64_t i = at; i < at + count; i++) { same += a[i] == b[i]; }
        assert_true(same <= 2);
    }
    assert_true(a[net.weights] == 1 && a[net.weights + 1] == 1);
    assert_true(net.weights + 2 == net.parameters);
    csim__net_initialise(&net, 2, a);
    assert_memory_equal(a, b, (size_t)net.parameters * sizeof *a);
    csim__free(ctx, &a);
    csim__free(ctx, &b);
    csim__net_clear(ctx, &net);
    harness_context_free(&ctx);
}

/* Number i is the same share of its bound in every shape, and differs from its neighbours'. */
static void initial_values_know_only_their_number(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    const int wide = 64, other[] = {16, 100}, hidden[] = {25, 36};
    csim__net_shape one = {.inputs = 1, .width = &wide, .out = 30};
    csim__net_shape two = {
        .inputs = 2, .width = other, .hidden_count = 2, .hidden = hidden, .out = 9};
    csim__net a, b;
    assert_int_equal(csim__net_make(ctx, &one, &a), CSIM_OK);
    assert_int_equal(csim__net_make(ctx, &two, &b), CSIM_OK);
    float *x = floats(ctx, a.parameters), *y = floats(ctx, b.parameters);
    csim__net_initialise(&a, 9, x);
    csim__net_initialise(&b, 9, y);
    assert_true(a.parameters == 1950 && b.tensor[2] == 425);
    for (int64_t i = 0; i < a.parameters; i++) { /* 1/√64, 1/√16, 1/√100: the second input ends */
        double share = (double)x[i] * 8;
        assert_true(fabs((double)y[i] * (i < 425 ? 4 : 10) - share) <= 1e-6);
        if (i > 0) { assert_true(x[i] != x[i - 1]); }
    }
    csim__free(ctx, &x);
    csim__free(ctx, &y);
    csim__net_clear(ctx, &a);
    csim__net_clear(ctx, &b);
    harness_context_free(&ctx);
}

/* ---- gradients through everything ---- */

enum { ROWS = 6, MOST = 11, OUT = 4, HEADS = 2, HEAD_OUT = 3 };

typedef struct batch {
    float x[3][ROWS * MOST]; /* [ROWS, width of the input] */
    float goal[3][HEADS][ROWS * HEAD_OUT];
} batch;

static batch make_batch(void)
{
    batch data;
    csim__rng rng = csim__rng_start(51, 0);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < ROWS * MOST; k++) { data.x[i][k] = (float)csim__rng_normal(&rng); }
        for (int h = 0; h < HEADS; h++) {
            for (int k = 0; k < ROWS * HEAD_OUT; k++) {
                data.goal[i][h][k] = (float)csim__rng_normal(&rng);
            }
        }
    }
    return data;
}

static void unit(int e, const double *u, double *z)
{
    double length = reference_length(e, u);
    for (int j = 0; j < e; j++) { z[j] = u[j] / length; }
}

/* Σ goal · unit row of each head of the unit row of the encoder of each input. */
static double whole_loss(const csim__net *net, const double *params, const batch *data)
{
    double loss = 0, x[MOST], z[OUT], v[HEAD_OUT];
    reference_row before, after;
    for (int i = 0; i < net->inputs; i++) {
        int in = net->encoder[i].layer[0].in;
        for (int r = 0; r < ROWS; r++) {
            for (int k = 0; k < in; k++) { x[k] = (double)data->x[i][r * in + k]; }
            reference_forward(&net->encoder[i], params, x, before, after);
            unit(OUT, before[net->encoder[i].depth - 1], z);
            for (int h = 0; h < HEADS; h++) {
                reference_forward(&net->head[h], params, z, before, after);
                unit(HEAD_OUT, before[1], v);
                for (int j = 0; j < HEAD_OUT; j++) {
                    loss += (double)data->goal[i][h][r * HEAD_OUT + j] * v[j];
                }
            }
        }
    }
    return loss;
}

/* Rows of input @p i forward and backward; adds to grad. */
static void whole_gradient(const csim__net *net, const float *params, const batch *data, int i,
                           float *scratch, float *grad)
{
    float first[ROWS * 6], second[ROWS * 5], u[ROWS * OUT], z[ROWS * OUT], norm[ROWS];
    float hidden[ROWS * OUT], v[ROWS * HEAD_OUT], length[ROWS], g[ROWS * HEAD_OUT];
    float dz[ROWS * OUT], all[ROWS * OUT] = {0};
    float *const out[] = {first, second, u}, *const head_out[] = {hidden, v};
    csim__chain_forward(&net->encoder[i], params, ROWS, data->x[i], out, scratch);
    csim__unit_forward(ROWS, OUT, u, z, norm);
    for (int h = 0; h < HEADS; h++) {
        csim__chain_forward(&net->head[h], params, ROWS, z, head_out, scratch);
        csim__unit_forward(ROWS, HEAD_OUT, v, v, length);
        memcpy(g, data->goal[i][h], sizeof g);
        csim__unit_backward(ROWS, HEAD_OUT, v, length, g);
        csim__chain_backward(&net->head[h], params, ROWS, z, head_out, g, grad, dz, scratch);
        for (int k = 0; k < ROWS * OUT; k++) { all[k] += dz[k]; }
    }
    csim__unit_backward(ROWS, OUT, z, norm, all);
    csim__chain_backward(&net->encoder[i], params, ROWS, data->x[i], out, all, grad, NULL, scratch);
}

static void heads_and_inputs_add_up(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__net net;
    double *exact = NULL;
    const double step = 1e-6;
    assert_int_equal(csim__net_make(ctx, &full, &net), CSIM_OK);
    int64_t scratch_size = csim__chain_scratch(&net.encoder[0]) + csim__chain_scratch(&net.head[0]);
    float *params = floats(ctx, net.parameters), *grad = floats(ctx, net.parameters);
    float *scratch = floats(ctx, scratch_size);
    batch data = make_batch();
    csim__net_initialise(&net, 3, params);
    assert_int_equal(csim__alloc(ctx, net.parameters, sizeof *exact, "parameters", &exact),
                     CSIM_OK);
    for (int64_t k = 0; k < net.parameters; k++) { exact[k] = (double)params[k]; }
    for (int i = 0; i < net.inputs; i++) { whole_gradient(&net, params, &data, i, scratch, grad); }
    double largest = 0;
    for (int64_t k = 0; k < net.parameters; k++) {
        double kept = exact[k];
        exact[k] = kept + step;
        double up = whole_loss(&net, exact, &data);
        exact[k] = kept - step;
        double expected = (up - whole_loss(&net, exact, &data)) / (2 * step);
        exact[k] = kept;
        largest = fmax(largest, fabs(expected));
        assert_true(fabs((double)grad[k] - expected) <= 1e-5 * (1 + fabs(expected)));
        if (k >= net.weights) { assert_true(grad[k] == 0); } /* of the loss, not of the net */
    }
    assert_true(largest > 1);
    csim__free(ctx, &exact);
    csim__free(ctx, &params);
    csim__free(ctx, &grad);
    csim__free(ctx, &scratch);
    csim__net_clear(ctx, &net);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_encoder_has_557952_parameters),
        cmocka_unit_test(widths_share_the_trunk),
        cmocka_unit_test(silly_shapes_are_refused),
        cmocka_unit_test(initial_values_are_uniform),
        cmocka_unit_test(initial_values_know_only_their_number),
        cmocka_unit_test(heads_and_inputs_add_up),
    };
    return harness_finish(cmocka_run_group_tests_name("net", tests, NULL, NULL));
}
