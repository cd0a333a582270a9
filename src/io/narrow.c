/* Doubles that came from a narrower type, back in that type. */
#include <math.h>
#include <string.h>

#include "io/narrow.h"

/* The bits of a float16 or bfloat16 that a double holds exactly. */
static uint16_t half_bits(double x)
{
    uint16_t sign = signbit(x) ? 0x8000u : 0;
    int e = 0;
    if (isnan(x)) { return sign | 0x7e00u; }
    if (isinf(x)) { return sign | 0x7c00u; }
    double m = fabs(frexp(x, &e)); /* |x| = m 2^e, 1/2 <= m < 1 */
    if (x == 0.0) { return sign; }
    if (e < -13) { return (uint16_t)(sign | (uint16_t)ldexp(m, e + 24)); }
    return (uint16_t)(sign | (uint16_t)(e + 14) << 10 | ((uint16_t)ldexp(m, 11) & 0x3ffu));
}

static uint16_t bfloat_bits(double x)
{
    float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, 4);
    return isnan(x) ? (uint16_t)(u >> 16 | 0x40u) : (uint16_t)(u >> 16);
}

void csim__narrow(csim_dtype dtype, double *x, int64_t n)
{
    char *to = (char *)x;
    for (int64_t i = 0; i < n && dtype != CSIM_F64; i++) {
        double v = x[i];
        if (dtype == CSIM_F32) {
            float f = (float)v;
            memcpy(to + 4 * i, &f, 4);
        } else {
            uint16_t u = dtype == CSIM_F16 ? half_bits(v) : bfloat_bits(v);
            memcpy(to + 2 * i, &u, 2);
        }
    }
}
