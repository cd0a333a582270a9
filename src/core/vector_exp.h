/* The exponential function in float, for loops that the compiler vectorises. */
#ifndef CSIM_VECTOR_EXP_H
#define CSIM_VECTOR_EXP_H

#include <stdint.h>
#include <string.h>

/** exp(x) for −10⁶ ≤ x ≤ 88 to 2e-7 of it. Local.
 *  0 below −87 (from −86.99 on), so that no result is subnormal; NaN stays NaN. Without branches
 *  and without fused operations: the same bits whatever the vector length. */
static inline float csim__exp_f(float x)
{
    const float magic = 12582912; /* 1.5·2²³: leaves the rounded integer in the low bits */
    float shifted = x * 1.44269504f + magic, n = shifted - magic;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* n·ln 2 in two parts */
    float p = 1.9875691500e-4f;                            /* eʳ on |r| ≤ ln 2/2 */
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1;
    uint32_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &magic, sizeof zero);
    int32_t field = (int32_t)(bits - zero + 127); /* exponent field of 2ⁿ */
    field = field > 1 ? field : 0;                /* a selection of integers: no branch */
    bits = (uint32_t)field << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

#endif
