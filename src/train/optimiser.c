/* Every loop goes once over its vectors, and is written for the compiler to vectorise: roots need
 * -fno-math-errno for that. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "train/optimiser.h"

/* ---- steps ---- */

/* What all elements of a step share, rounded once. */
typedef struct adam {
    float rate;          /* over the bias correction of the mean */
    float keep1, take1;  /* β₁, 1 − β₁ */
    float keep2, take2;  /* β₂, 1 − β₂ */
    float root, epsilon; /* bias correction of the root of the mean square */
    float decay;
} adam;

CSIM_CLONES
static void adam_step(adam a, int64_t n, const float *restrict gradient, float *restrict param,
                      float *restrict mean, float *restrict square)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] + a.decay * param[i];
        float m = a.keep1 * mean[i] + a.take1 * g, v = a.keep2 * square[i] + a.take2 * (g * g);
        mean[i] = m;
        square[i] = v;
        param[i] -= a.rate * m / (sqrtf(v) * a.root + a.epsilon);
    }
}

CSIM_CLONES
static void sgd_step(float rate, float momentum, float decay, int64_t n,
                     const float *restrict gradient, float *restrict param,
                     float *restrict velocity)
{
    for (int64_t i = 0; i < n; i++) {
        float v = momentum * velocity[i] + (gradient[i] + decay * param[i]);
        velocity[i] = v;
        param[i] -= rate * v;
    }
}

void csim__optimiser_step(const csim__step *step, int64_t n, const float *g, float *param,
                          float *state1, float *state2)
{
    if (step->kind == CSIM_SGD) {
        sgd_step((float)step->rate, (float)step->momentum, (float)step->decay, n, g, param, state1);
        return;
    }
    double t = (double)step->step;
    adam a = {.rate = (float)(step->rate / (1 - pow(step->beta1, t))),
              .keep1 = (float)step->beta1,
              .take1 = (float)(1 - step->beta1),
              .keep2 = (float)step->beta2,
              .take2 = (float)(1 - step->beta2),
              .root = (float)(1 / sqrt(1 - pow(step->beta2, t))),
              .epsilon = (float)step->epsilon,
              .decay = (float)step->decay};
    adam_step(a, n, g, param, state1, state2);
}

/* ---- gradients as integers ---- */

/* Added to a double below 2⁵¹ it leaves the rounded integer in the low bits. */
static const double magic = 6755399441055744.0; /* 1.5·2⁵² */

CSIM_CLONES
void csim__gradient_add(int64_t n, const float *restrict part, double factor, int64_t *restrict acc)
{
    const double m = magic;
    uint64_t zero;
    memcpy(&zero, &m, sizeof zero);
    for (int64_t i = 0; i < n; i++) {
        double shifted = (double)part[i] * factor + m;
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        acc[i] += (int64_t)(bits - zero);
    }
}

/* A 64-bit integer as a double, rounded once, by operations that vectors have: its halves, put
 * into the low bits of 2⁸⁴ and 2⁵², are exact. */
static inline double to_double(int64_t whole)
{
    uint64_t bits = (uint64_t)whole ^ UINT64_C(0x8000000000000000); /* whole + 2⁶³ */
    uint64_t high = (bits >> 32) | UINT64_C(0x4530000000000000);
    uint64_t low = (bits & UINT64_C(0xffffffff)) | UINT64_C(0x4330000000000000);
    double h, l;
    memcpy(&h, &high, sizeof h);
    memcpy(&l, &low, sizeof l);
    return (h - (0x1p84 + 0x1p63 + 0x1p52)) + l;
}

CSIM_CLONES
void csim__gradient_value(int64_t n, const int64_t *restrict acc, double scale, float *restrict g)
{
    for (int64_t i = 0; i < n; i++) { g[i] = (float)(to_double(acc[i]) * scale); }
}

/* The bits of |x| have the order of |x|, with infinity above all numbers and NaN above infinity. */
CSIM_CLONES
float csim__largest(int64_t n, const float *x)
{
    int32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    float value;
    memcpy(&value, &most, sizeof value);
    return value;
}

CSIM_CLONES
double csim__square_sum(int64_t n, const float *g)
{
    enum { LANES = 16 };
    double sum[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) { sum[l] += (double)g[i + l] * (double)g[i + l]; }
    }
    for (int l = 0; i < n; i++, l++) { sum[l] += (double)g[i] * (double)g[i]; }
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) { sum[l] += sum[l + half]; }
    }
    return sum[0];
}
