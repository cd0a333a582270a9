#include "core/rng.h"

#include <math.h>

#define PI 3.14159265358979323846

void csim__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c0;
        uint64_t p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

csim__rng csim__rng_start(uint64_t seed, uint64_t stream)
{
    return (csim__rng){.seed = seed, .stream = stream};
}

static void next_block(csim__rng *rng)
{
    uint32_t counter[4] = {(uint32_t)rng->block, (uint32_t)(rng->block >> 32),
                           (uint32_t)rng->stream, (uint32_t)(rng->stream >> 32)};
    uint32_t key[2] = {(uint32_t)rng->seed, (uint32_t)(rng->seed >> 32)};
    uint32_t out[4];
    csim__philox(counter, key, out);
    rng->word[0] = (uint64_t)out[1] << 32 | out[0];
    rng->word[1] = (uint64_t)out[3] << 32 | out[2];
    rng->block++;
    rng->left = 2;
}

void csim__rng_seek(csim__rng *rng, uint64_t index)
{
    rng->block = index / 2;
    rng->left = 0;
    rng->has_spare = 0;
    if (index % 2 == 1) {
        next_block(rng);
        rng->left = 1;
    }
}

uint64_t csim__rng_bits(csim__rng *rng)
{
    if (rng->left == 0) { next_block(rng); }
    uint64_t bits = rng->word[2 - rng->left];
    rng->left--;
    return bits;
}

double csim__rng_uniform(csim__rng *rng)
{
    return (double)(csim__rng_bits(rng) >> 11) * 0x1p-53;
}

int64_t csim__rng_below(csim__rng *rng, int64_t n)
{
    uint64_t m = (uint64_t)n;
    /* Words below 2⁶⁴ mod m would make some remainders more likely: draw again. */
    uint64_t reject = (UINT64_MAX - m + 1) % m;
    uint64_t bits;
    do {
        bits = csim__rng_bits(rng);
    } while (bits < reject);
    return (int64_t)(bits % m);
}

double csim__rng_normal(csim__rng *rng)
{
    if (rng->has_spare) {
        rng->has_spare = 0;
        return rng->spare;
    }
    double u = 1.0 - csim__rng_uniform(rng); /* in (0, 1] */
    double angle = 2.0 * PI * csim__rng_uniform(rng);
    double r = sqrt(-2.0 * log(u));
    rng->spare = r * sin(angle);
    rng->has_spare = 1;
    return r * cos(angle);
}

void csim__rng_shuffle(csim__rng *rng, int64_t *list, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = csim__rng_below(rng, i + 1);
        int64_t t = list[i];
        list[i] = list[j];
        list[j] = t;
    }
}
