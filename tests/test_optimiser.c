/* Optimisers against their definitions in double, integers and exponentials against C's own. */
#include "harness.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "core/vector_exp.h"
#include "train/optimiser.h"

enum { COUNT = 1003 };

/* ---- steps ---- */

/* torch.optim.Adam and torch.optim.SGD with weight_decay, written out. */
static void reference(const csim__step *o, double g, double *p, double *m, double *v)
{
    g += o->decay * *p;
    if (o->kind == CSIM_SGD) {
        *m = o->step == 1 ? g : o->momentum * *m + g;
        *p -= o->rate * *m;
        return;
    }
    double t = (double)o->step;
    *m = o->beta1 * *m + (1 - o->beta1) * g;
    *v = o->beta2 * *v + (1 - o->beta2) * g * g;
    double mean = *m / (1 - pow(o->beta1, t)), square = *v / (1 - pow(o->beta2, t));
    *p -= o->rate * mean / (sqrt(square) + o->epsilon);
}

/* A gradient that pulls to i mod 3, noisy, of very different sizes. */
static float gradient(csim__rng *rng, int i, float p)
{
    double size = pow(10, i % 8 - 6);
    return (float)(size * ((double)p - i % 3 + csim__rng_normal(rng)));
}

static void steps_follow_the_definition(void **state)
{
    (void)state;
    static const csim__step steps[] = {
        {.kind = CSIM_ADAM, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
        {.kind = CSIM_ADAM,
         .rate = 1e-3,
         .beta1 = 0.5,
         .beta2 = 0.9,
         .epsilon = 1e-3,
         .decay = 0.1},
        {.kind = CSIM_SGD, .rate = 0.05, .momentum = 0.9, .decay = 1e-2},
        {.kind = CSIM_SGD, .rate = 0.1},
    };
    static float g[COUNT], p[COUNT], m[COUNT], v[COUNT];
    static double pd[COUNT], md[COUNT], vd[COUNT], most[COUNT];
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        csim__step step = steps[s];
        csim__rng rng = csim__rng_start(21, s);
        for (int i = 0; i < COUNT; i++) {
            p[i] = (float)csim__rng_normal(&rng);
            pd[i] = (double)p[i];
            m[i] = v[i] = 0;
            md[i] = vd[i] = 0;
            most[i] = 1;
        }
        for (step.step = 1; step.step <= 50; step.step++) {
            for (int i = 0; i < COUNT; i++) {
                g[i] = gradient(&rng, i, p[i]);
                reference(&step, (double)g[i], &pd[i], &md[i], &vd[i]);
            }
            float *state2 = step.kind == CSIM_ADAM ? v : NULL;
            csim__optimiser_step(&step, COUNT, g, p, m, state2);
            for (int i = 0; i < COUNT; i++) {
                most[i] = fmax(most[i], fabs(pd[i])); /* what was rounded on the way */
                assert_true(fabs((double)p[i] - pd[i]) < 1e-7 * (double)(step.step + 2) * most[i]);
            }
        }
    }
}

/* Adam's first step is the rate against the sign of the gradient, whatever its size; SGD's is the
 * rate times the gradient. */
static void first_steps_are_known(void **state)
{
    (void)state;
    static const float g[] = {3e-3F, -7, 1e4F, 0, -2e-5F};
    float p[5] = {0}, m[5] = {0}, v[5] = {0};
    csim__step step = {.rate = 0.25, .beta1 = 0.9, .beta2 = 0.999, .step = 1};
    step.epsilon = 1e-30;
    csim__optimiser_step(&step, 3, g, p, m, v);
    for (int i = 0; i < 3; i++) { assert_true(fabsf(p[i] + copysignf(0.25F, g[i])) < 1e-6F); }
    assert_true(p[3] == 0 && m[3] == 0 && v[3] == 0); /* beyond the range */
    step.epsilon = 2e-5;
    csim__optimiser_step(&step, 2, g + 3, p + 3, m + 3, v + 3);
    assert_true(p[3] == 0 && fabsf(p[4] - 0.125F) < 1e-6F);
    step = (csim__step){.kind = CSIM_SGD, .rate = 0.5, .momentum = 0.9, .decay = 2, .step = 1};
    float q[2] = {1, -1}, velocity[2] = {0};
    csim__optimiser_step(&step, 2, g + 1, q, velocity, NULL);
    assert_true(q[0] == 1 - 0.5F * (-7 + 2) && q[1] == -1 - 0.5F * (1e4F - 2));
    assert_true(velocity[0] == -5 && velocity[1] == 1e4F - 2);
}

/* ---- integers ---- */

static void integers_are_rounded(void **state)
{
    (void)state;
    static const float edge[] = {0,           -0.0F,  0.5F,           1.5F,
                                 2.5F,        -0.5F,  -1.5F,          0x1p50F,
                                 -0x1p50F,    1e-30F, 0x1.fffffep50F, -0x1.fffffep50F,
                                 0.49999997F, 3};
    static float part[COUNT], back[COUNT];
    static int64_t acc[COUNT];
    csim__rng rng = csim__rng_start(22, 0);
    for (int round = 0; round < 8; round++) {
        double factor = ldexp(1, 10 * round - 40);
        for (int i = 0; i < COUNT; i++) {
            double size = ldexp(1, (int)csim__rng_below(&rng, 54) - 3);
            double value = i < (int)(sizeof edge / sizeof *edge)
                               ? (double)edge[i]
                               : (2 * csim__rng_uniform(&rng) - 1) * size;
            part[i] = (float)(value / factor);
            acc[i] = 5 - i;
        }
        csim__gradient_add(COUNT, part, factor, acc);
        for (int i = 0; i < COUNT; i++) {
            assert_true(acc[i] == 5 - i + (int64_t)nearbyint((double)part[i] * factor));
            acc[i] -= 5 - i;
        }
        csim__gradient_value(COUNT, acc, 1 / factor, back);
        for (int i = 0; i < COUNT; i++) { /* whole numbers come back bit by bit */
            double whole = nearbyint((double)part[i] * factor);
            assert_true(back[i] == (float)(whole / factor));
            if (whole == (double)part[i] * factor) { assert_true(back[i] == part[i]); }
        }
    }
}

static void values_are_those_of_c(void **state)
{
    (void)state;
    static const int64_t edge[] = {0,
                                   1,
                                   -1,
                                   INT64_MAX,
                                   INT64_MIN,
                                   INT64_MAX - 511,
                                   INT64_MAX - 512,
                                   (INT64_C(1) << 53) + 1,
                                   -(INT64_C(1) << 53) - 1,
                                   (INT64_C(1) << 53) + 3,
                                   INT64_C(1) << 32,
                                   -(INT64_C(1) << 32),
                                   (INT64_C(1) << 32) - 1,
                                   INT32_MIN,
                                   UINT32_MAX,
                                   33554433};
    static int64_t acc[COUNT];
    static float g[COUNT];
    csim__rng rng = csim__rng_start(23, 0);
    for (int i = 0; i < COUNT; i++) {
        int64_t bits = (int64_t)(csim__rng_bits(&rng) >> 1) - INT64_MAX / 2;
        acc[i] = i < (int)(sizeof edge / sizeof *edge) ? edge[i] : bits / (INT64_C(1) << i % 62);
    }
    for (double scale = 1; scale > 1e-20; scale *= 0.37) {
        csim__gradient_value(COUNT, acc, scale, g);
        for (int i = 0; i < COUNT; i++) { assert_true(g[i] == (float)((double)acc[i] * scale)); }
    }
}

/* ---- largest, sum of squares ---- */

static void nothing_escapes_the_largest(void **state)
{
    (void)state;
    static float x[COUNT];
    csim__rng rng = csim__rng_start(24, 0);
    for (int i = 0; i < COUNT; i++) { x[i] = (float)csim__rng_uniform(&rng) - 0.5F; }
    assert_true(csim__largest(0, x) == 0);
    for (int n = 1; n <= 67; n++) {
        for (int at = 0; at < n; at++) {
            float keep = x[at];
            x[at] = -3;
            assert_true(csim__largest(n, x) == 3);
            x[at] = 1e-40F + 7;
            assert_true(csim__largest(n, x) == 7);
            x[at] = -INFINITY;
            assert_true(csim__largest(n, x) == INFINITY);
            x[(at + 5) % n] = at % 2 == 0 ? NAN : -NAN;
            assert_true(isnan(csim__largest(n, x)));
            x[(at + 5) % n] = 0.25F;
            x[at] = keep;
        }
    }
    static const float tiny[] = {0, -0.0F, 1e-45F, -3e-45F};
    assert_true(csim__largest(2, tiny) == 0 && csim__largest(4, tiny) == 3e-45F);
}

static void squares_are_summed(void **state)
{
    (void)state;
    static float x[COUNT];
    csim__rng rng = csim__rng_start(25, 0);
    for (int i = 0; i < COUNT; i++) { x[i] = (float)csim__rng_normal(&rng); }
    for (int n = 0; n <= COUNT; n += 1 + n / 7) {
        long double sum = 0;
        for (int i = 0; i < n; i++) { sum += (long double)x[i] * (long double)x[i]; }
        assert_true(fabsl((long double)csim__square_sum(n, x) - sum) <= 1e-14L * sum);
    }
    x[500] = NAN;
    assert_true(isnan(csim__square_sum(COUNT, x)));
    x[500] = 3e38F;
    assert_true(csim__square_sum(COUNT, x) > 8e76); /* no overflow of float */
}

/* ---- the exponential function ---- */

static void exponentials_are_close(void **state)
{
    (void)state;
    double worst = 0;
    for (int sign = -1; sign <= 1; sign += 2) {
        for (uint32_t bits = 0; bits < UINT32_C(0x42ae0000); bits += 509) { /* up to 87 */
            float x;
            memcpy(&x, &bits, sizeof x);
            if (sign * x < -86.98F) { break; }
            double expected = exp((double)(sign * x));
            worst = fmax(worst, fabs((double)csim__exp_f(sign * x) - expected) / expected);
        }
    }
    assert_true(worst < 1e-7);
    assert_true(csim__exp_f(0) == 1 && csim__exp_f(-0.0F) == 1);
    assert_true(csim__exp_f(-86.98F) > 0);
    for (float x = -87; x > -1e6F; x *= 1.01F) { assert_true(csim__exp_f(x) == 0); }
    assert_true(isnan(csim__exp_f(NAN)) && isnan(csim__exp_f(-NAN)));
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_the_definition), cmocka_unit_test(first_steps_are_known),
        cmocka_unit_test(integers_are_rounded),        cmocka_unit_test(values_are_those_of_c),
        cmocka_unit_test(nothing_escapes_the_largest), cmocka_unit_test(squares_are_summed),
        cmocka_unit_test(exponentials_are_close),
    };
    return harness_finish(cmocka_run_group_tests_name("optimiser", tests, NULL, NULL));
}
