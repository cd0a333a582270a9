/* Random numbers from a counter: the same for a (seed, stream, index) on every rank and machine. */
#ifndef CSIM_RNG_H
#define CSIM_RNG_H

#include <stdint.h>

/** Philox4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw 2011). Local, pure. */
void csim__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/** A sequence of random numbers. Copy it to repeat it; nothing to free. */
typedef struct csim__rng {
    uint64_t seed, stream;
    uint64_t block; /* the next block of two 64-bit words */
    uint64_t word[2];
    int left;      /* words of the present block not yet given out */
    int has_spare; /* the second normal number of a pair waits */
    double spare;
} csim__rng;

/** Start sequence @p stream of @p seed. Sequences of different streams are independent. */
csim__rng csim__rng_start(uint64_t seed, uint64_t stream);

/** Go to 64-bit word @p index of the sequence, in constant time. */
void csim__rng_seek(csim__rng *rng, uint64_t index);

/** The next 64 random bits. */
uint64_t csim__rng_bits(csim__rng *rng);

/** Uniform in [0, 1), a multiple of 2⁻⁵³; one word. */
double csim__rng_uniform(csim__rng *rng);

/** Uniform among 0 … n−1, exactly; n ≥ 1. Takes one word, seldom more. */
int64_t csim__rng_below(csim__rng *rng, int64_t n);

/** Normal with mean 0 and variance 1 (Box–Muller); two words for two numbers. */
double csim__rng_normal(csim__rng *rng);

/** Shuffle n numbers in place (Fisher–Yates). */
void csim__rng_shuffle(csim__rng *rng, int64_t *list, int64_t n);

#endif
