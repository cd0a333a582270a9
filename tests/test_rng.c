/* The generator against published known answers, and its distributions against their moments. */
#include "harness.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

/* Known answers of philox4x32 with 10 rounds, from the authors' Random123 library. */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        uint32_t out[4];
        csim__philox(cases[c].counter, cases[c].key, out);
        assert_memory_equal(out, cases[c].out, sizeof out);
    }
}

/* Seed, stream and index stand where the known answers say they do. */
static void words_are_philox(void **state)
{
    (void)state;
    csim__rng rng = csim__rng_start(UINT64_C(0x299f31d0a4093822), UINT64_C(0x0370734413198a2e));
    csim__rng_seek(&rng, 2 * UINT64_C(0x05a308d3243f6a88));
    uint32_t counter[4] = {0x243f6a88, 0x05a308d3, 0x13198a2e, 0x03707344};
    uint32_t key[2] = {0xa4093822, 0x299f31d0}, out[4];
    csim__philox(counter, key, out);
    assert_true(csim__rng_bits(&rng) == ((uint64_t)out[1] << 32 | out[0]));
    assert_true(csim__rng_bits(&rng) == ((uint64_t)out[3] << 32 | out[2]));
    rng = csim__rng_start(0, 0);
    assert_true(csim__rng_bits(&rng) == UINT64_C(0xe169c58d6627e8d5));
    assert_true(csim__rng_bits(&rng) == UINT64_C(0x9b00dbd8bc57ac4c));
}

static void seek_is_drawing(void **state)
{
    (void)state;
    uint64_t list[101];
    csim__rng rng = csim__rng_start(7, 3);
    for (int i = 0; i < 101; i++) { list[i] = csim__rng_bits(&rng); }
    for (int i = 100; i >= 0; i--) {
        csim__rng_seek(&rng, (uint64_t)i);
        assert_true(csim__rng_bits(&rng) == list[i]);
        if (i < 100) { assert_true(csim__rng_bits(&rng) == list[i + 1]); }
    }
    csim__rng_normal(&rng);
    csim__rng_seek(&rng, 4); /* forgets the second number of the pair */
    csim__rng again = csim__rng_start(7, 3);
    csim__rng_seek(&again, 4);
    assert_true(csim__rng_normal(&rng) == csim__rng_normal(&again));
}

static void streams_differ(void **state)
{
    (void)state;
    csim__rng a = csim__rng_start(1, 0), b = csim__rng_start(1, 1), c = csim__rng_start(2, 0);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = csim__rng_bits(&a), y = csim__rng_bits(&b), z = csim__rng_bits(&c);
        same += x == y || y == z || x == z;
    }
    assert_int_equal(same, 0);
}

static void uniform_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    csim__rng rng = csim__rng_start(11, 0);
    double sum = 0, square = 0, least = 1, most = 0;
    for (int i = 0; i < N; i++) {
        double u = csim__rng_uniform(&rng);
        assert_true(u >= 0 && u < 1 && u * 0x1p53 == floor(u * 0x1p53));
        sum += u;
        square += u * u;
        least = fmin(least, u);
        most = fmax(most, u);
    }
    /* five standard errors */
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(square / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(least < 1e-4 && most > 1 - 1e-4);
}

static void normal_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    csim__rng rng = csim__rng_start(12, 5);
    double sum[5] = {0}, inside = 0;
    for (int i = 0; i < N; i++) {
        double z = csim__rng_normal(&rng), power = 1;
        assert_true(isfinite(z));
        for (int p = 0; p < 5; p++) {
            sum[p] += power;
            power *= z;
        }
        inside += fabs(z) < 1.959963984540054;
    }
    static const double mean[5] = {1, 0, 1, 0, 3}, variance[5] = {0, 1, 2, 15, 96};
    for (int p = 0; p < 5; p++) {
        assert_true(fabs(sum[p] / N - mean[p]) <= 5 * sqrt(variance[p] / N));
    }
    assert_true(fabs(inside / N - 0.95) < 5 * sqrt(0.95 * 0.05 / N));
}

static void below_is_fair(void **state)
{
    (void)state;
    enum { N = 70000, KINDS = 7 };
    csim__rng rng = csim__rng_start(13, 0);
    int count[KINDS] = {0};
    for (int i = 0; i < N; i++) {
        int64_t v = csim__rng_below(&rng, KINDS);
        assert_true(v >= 0 && v < KINDS);
        count[v]++;
    }
    double chi2 = 0;
    for (int k = 0; k < KINDS; k++) { chi2 += pow(count[k] - N / KINDS, 2) / (N / KINDS); }
    assert_true(chi2 < 27.9); /* six degrees of freedom, one in ten thousand */
    for (int i = 0; i < 100; i++) { assert_true(csim__rng_below(&rng, 1) == 0); }
    for (int i = 0; i < 100; i++) { assert_true(csim__rng_below(&rng, INT64_MAX) >= 0); }
}

/* All 24 orders of four things, equally often. */
static void shuffle_is_fair(void **state)
{
    (void)state;
    enum { N = 24000 };
    csim__rng rng = csim__rng_start(14, 0);
    int count[256] = {0}, orders = 0;
    for (int i = 0; i < N; i++) {
        int64_t list[4] = {0, 1, 2, 3};
        csim__rng_shuffle(&rng, list, 4);
        assert_int_equal(1 << list[0] | 1 << list[1] | 1 << list[2] | 1 << list[3], 15);
        count[list[0] * 64 + list[1] * 16 + list[2] * 4 + list[3]]++;
    }
    double chi2 = 0;
    for (int c = 0; c < 256; c++) {
        if (count[c] == 0) { continue; }
        orders++;
        chi2 += pow(count[c] - N / 24, 2) / (N / 24);
    }
    assert_int_equal(orders, 24);
    assert_true(chi2 < 56.0); /* 23 degrees of freedom, one in ten thousand */
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),   cmocka_unit_test(words_are_philox),
        cmocka_unit_test(seek_is_drawing), cmocka_unit_test(streams_differ),
        cmocka_unit_test(uniform_moments), cmocka_unit_test(normal_moments),
        cmocka_unit_test(below_is_fair),   cmocka_unit_test(shuffle_is_fair),
    };
    return harness_finish(cmocka_run_group_tests_name("rng", tests, NULL, NULL));
}
