/* Exact sums against integers, and shards against the rules for chunks. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/exact.h"
#include "core/rng.h"
#include "core/shard.h"

/* ---- one number ---- */

static void exponent_is_tight(void **state)
{
    (void)state;
    static const double list[] = {1, 0.5, 0.75, 3, 4, 1e-200, 1e200, 5e-324, 1.7e308};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        int e = csim__exact_exponent(list[i]);
        assert_true(ldexp(1, e > 1000 ? 1000 : e) > list[i] || e > 1000);
        if (list[i] > 1e-250) { assert_true(ldexp(1, e - 1) <= list[i]); }
    }
    csim__exact sum = {0, 0};
    csim__exact_add(&sum, 0, csim__exact_exponent(0));
    assert_true(csim__exact_value(sum, csim__exact_exponent(0)) == 0);
}

/* A huge number comes and goes: the small ones keep every bit. */
static void huge_terms_cost_nothing(void **state)
{
    (void)state;
    int e = csim__exact_exponent(1e18);
    csim__exact sum = {0, 0};
    double small = ldexp(1, -30), expected = 0;
    csim__exact_add(&sum, 1e18, e);
    for (int i = 0; i < 100000; i++) {
        double v = (i % 7 - 2) * small;
        csim__exact_add(&sum, v, e);
        expected += v; /* exact: multiples of 2⁻³⁰ below 2⁵³ of them */
    }
    csim__exact_add(&sum, -1e18, e);
    assert_true(expected > 0 && csim__exact_value(sum, e) == expected);
    csim__exact_add(&sum, -2 * expected, e);
    assert_true(csim__exact_value(sum, e) == -expected);
}

/* The double next to the sum, wherever the sum lies between the limbs. */
static void value_is_rounded_once(void **state)
{
    (void)state;
    csim__rng rng = csim__rng_start(5, 0);
    for (int round = 0; round < 2000; round++) {
        int e = (int)csim__rng_below(&rng, 80) - 40;
        csim__exact sum = {0, 0};
        long double expected = 0;
        for (int i = 0; i < 3; i++) { /* 40 bits each, spread over 23 more: exact in 64 */
            int64_t bits = csim__rng_below(&rng, (int64_t)1 << 40) - ((int64_t)1 << 39);
            int shift = (int)csim__rng_below(&rng, 20) - 60;
            csim__exact_add(&sum, ldexp((double)bits, shift + e), e);
            expected += ldexpl((long double)bits, shift + e);
        }
        double got = csim__exact_value(sum, e);
        assert_true(fabsl((long double)got - expected) <= fabsl(expected) * 0x1p-52L);
    }
}

/* Any order, any split over ranks: the same limbs. */
static void order_does_not_matter(void **state)
{
    (void)state;
    enum { COUNT = 1000, LISTS = 5 };
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx), rank = csim_context_rank(ctx);
    csim__exact forward[LISTS], backward[LISTS], shared[LISTS];
    memset(forward, 0, sizeof forward);
    memset(backward, 0, sizeof backward);
    memset(shared, 0, sizeof shared);
    csim__rng rng = csim__rng_start(6, 0);
    double *v = NULL;
    assert_int_equal(csim__alloc(ctx, COUNT, sizeof *v, "numbers", &v), CSIM_OK);
    for (int l = 0; l < LISTS; l++) {
        double bound = 0;
        for (int i = 0; i < COUNT; i++) {
            v[i] = csim__rng_normal(&rng) * exp(10 * l * csim__rng_normal(&rng));
            bound += fabs(v[i]);
        }
        int e = csim__exact_exponent(bound);
        for (int i = 0; i < COUNT; i++) {
            csim__exact_add(&forward[l], v[i], e);
            csim__exact_add(&backward[l], v[COUNT - 1 - i], e);
            if (i * 7 % size == rank) { csim__exact_add(&shared[l], v[i], e); }
        }
        double a = csim__exact_value(forward[l], e);
        assert_true(a == csim__exact_value(backward[l], e));
        assert_true(fabs(a) <= bound);
    }
    assert_memory_equal(forward, backward, sizeof forward);
    assert_int_equal(csim__exact_reduce(ctx, shared, LISTS), CSIM_OK);
    for (int l = 0; l < LISTS; l++) {
        assert_true(csim__exact_value(shared[l], 0) == csim__exact_value(forward[l], 0));
    }
    csim__free(ctx, &v);
    harness_context_free(&ctx);
}

/* ---- blocks ---- */

/* Rounding to integers: ties, the ends of the range, either side of the inner split. */
static void blocks_round_to_nearest(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    static double v[COUNT], one[COUNT];
    static int64_t acc[COUNT];
    static const double edge[] = {
        0,      -0.0,         0.5,           1.5,        2.5,          -0.5,
        -1.5,   -2.5,         0.4999,        0x1p31,     -0x1p31,      0x1p31 + 0.5,
        1e-300, -1e-9,        0x1p61,        -0x1p61,    0x1p62 - 512, -(0x1p62 - 512),
        0x1p30, 0x1p30 + 0.5, -0x1p30 - 0.5, 0x1p52 + 1, 0x1p53 + 2};
    csim__rng rng = csim__rng_start(8, 0);
    for (int i = 0; i < COUNT; i++) {
        double size = ldexp(1, (int)csim__rng_below(&rng, 63) - 1);
        v[i] = i < (int)(sizeof edge / sizeof *edge) ? edge[i]
                                                     : (2 * csim__rng_uniform(&rng) - 1) * size;
        one[i] = 1;
        acc[i] = i - 7;
    }
    csim__exact_add_block(acc, COUNT, v, COUNT, 1, COUNT, one, one, false);
    for (int i = 0; i < COUNT; i++) { assert_true(acc[i] == i - 7 + (int64_t)nearbyint(v[i])); }
}

/* A sum of blocks and back: off by at most half a unit of each, which the norms set. */
static void blocks_keep_their_bound(void **state)
{
    (void)state;
    enum { M = 9, N = 13, PARTS = 40 };
    double part[PARTS][M * N], norm_x[M], norm_y[N], fx[M], fy[N], out[M * N];
    float part_f[PARTS][M * N];
    int64_t acc[M * N] = {0}, acc_f[M * N] = {0};
    long double sum[M * N] = {0}, sum_f[M * N] = {0};
    csim__rng rng = csim__rng_start(9, 0);
    for (int i = 0; i < M; i++) { norm_x[i] = i == 3 ? 0 : exp(3 * csim__rng_normal(&rng)); }
    for (int j = 0; j < N; j++) { norm_y[j] = exp(3 * csim__rng_normal(&rng)); }
    csim__exact_factors(norm_x, M, fx);
    csim__exact_factors(norm_y, N, fy);
    for (int i = 0; i < M; i++) {
        int e;
        if (i == 3) { /* what is left of a column whose squares underflow: skipped */
            assert_true(fx[i] == 0);
            continue;
        }
        assert_true(frexp(fx[i], &e) == 0.5);
        assert_true(norm_x[i] * fx[i] < 0x1p31 && norm_x[i] * fx[i] >= 0x1p30);
    }
    for (int p = 0; p < PARTS; p++) {
        for (int k = 0; k < M * N; k++) {
            double bound = k / N == 3 ? 1e-170 : norm_x[k / N] * norm_y[k % N] / PARTS;
            part[p][k] = (2 * csim__rng_uniform(&rng) - 1) * bound;
            part_f[p][k] = (float)part[p][k];
            sum[k] += part[p][k];
            sum_f[k] += part_f[p][k];
        }
        csim__exact_add_block(acc, N, part[p], N, M, N, fx, fy, false);
        csim__exact_add_block_f(acc_f, N, part_f[p], N, M, N, fx, fy, false);
    }
    csim__exact_block_value(acc, M, N, fx, fy, out);
    for (int k = 0; k < M * N; k++) {
        double unit = 1 / (fx[k / N] * fy[k % N]);
        if (k / N == 3) { assert_true(out[k] == 0); }
        long double bound = PARTS * 0.5 * unit + fabsl(sum[k]) * 0x1p-52L;
        assert_true(fabsl(out[k] - sum[k]) <= harness_slack() * bound);
    }
    /* in place, as the sweep does it */
    csim__exact_block_value(acc_f, M, N, fx, fy, (double *)(void *)acc_f);
    memcpy(out, acc_f, sizeof out);
    for (int k = 0; k < M * N; k++) {
        double unit = 1 / (fx[k / N] * fy[k % N]);
        assert_true(fabsl(out[k] - sum_f[k]) <= PARTS * 0.5 * unit + fabsl(sum_f[k]) * 0x1p-52L);
    }
}

/* Only the upper triangle is read, and mirrored. */
static void triangles_are_mirrored(void **state)
{
    (void)state;
    enum { M = 11 };
    double part[M * M], norm[M], f[M], out[M * M];
    int64_t acc[M * M] = {0};
    for (int i = 0; i < M; i++) { norm[i] = 1 + i; }
    for (int k = 0; k < M * M; k++) { part[k] = k % M >= k / M ? k * 0.125 : NAN; }
    csim__exact_factors(norm, M, f);
    for (int k = 0; k < M * M; k++) {
        if (k % M >= k / M) { part[k] /= M * M; }
    }
    csim__exact_add_block(acc, M, part, M, M, M, f, f, true);
    csim__exact_triangle_value(acc, 0, 4, M, f, out);
    csim__exact_triangle_value(acc, 4, M - 4, M, f, out);
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < M; j++) {
            double expected = part[i <= j ? i * M + j : j * M + i];
            assert_true(out[i * M + j] == out[j * M + i]);
            assert_true(fabs(out[i * M + j] - expected) <= 1e-16 * M * M);
        }
    }
}

/* ---- shards ---- */

static void chunks_follow_the_rule(void **state)
{
    (void)state;
    assert_int_equal(csim__chunk_length(4), 64);
    assert_int_equal(csim__chunk_length(512), 64);
    assert_int_equal(csim__chunk_length(1000), 128);
    assert_int_equal(csim__chunk_length(4000), 512);
    assert_int_equal(csim__chunk_length(8192), 1024);
    assert_int_equal(csim__chunk_length(1000000000), 1024);
    for (int64_t n = 1; n < 100000; n += 1 + n / 50) {
        int64_t chunk = csim__chunk_length(n);
        assert_true(chunk >= 64 && chunk <= 1024 && (chunk & (chunk - 1)) == 0);
        double octaves = log2((double)chunk) - log2((double)n / 8);
        if (chunk > 64) { assert_true(octaves < 0.51); }
        if (chunk < 1024) { assert_true(octaves > -0.51); }
    }
}

static void shards_cover_the_examples(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 5000; n += 1 + n / 9) {
        for (int size = 1; size <= 9; size++) {
            int64_t next = 0, row = 0, most = 0, least = n;
            for (int rank = 0; rank < size; rank++) {
                csim_shard s = csim__shard(n, rank, size);
                int64_t rows = 0;
                assert_true(s.n == n && s.rank == rank && s.size == size);
                assert_true(s.chunk == csim__chunk_length(n));
                assert_true(s.first == next && s.row0 == row);
                for (int64_t c = s.first; c < s.first + s.count; c++) {
                    assert_true(csim__chunk_row(&s, c) == row + rows);
                    assert_true(csim__chunk_rows(&s, c) > 0 && csim__chunk_rows(&s, c) <= s.chunk);
                    rows += csim__chunk_rows(&s, c);
                }
                assert_true(s.rows == rows);
                next += s.count;
                row += rows;
                most = most > s.count ? most : s.count;
                least = least < s.count ? least : s.count;
            }
            assert_true(row == n && most - least <= 1);
        }
    }
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponent_is_tight),         cmocka_unit_test(huge_terms_cost_nothing),
        cmocka_unit_test(value_is_rounded_once),     cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(blocks_round_to_nearest),   cmocka_unit_test(blocks_keep_their_bound),
        cmocka_unit_test(triangles_are_mirrored),    cmocka_unit_test(chunks_follow_the_rule),
        cmocka_unit_test(shards_cover_the_examples),
    };
    return harness_finish(cmocka_run_group_tests_name("exact", tests, NULL, NULL));
}
