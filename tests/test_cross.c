/* Cross products of wide matrices, which go by panels: whole on one rank, or dealt over a group; one panel
 * after the other, or some of them together in each of several passes over the rows. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/bundle.h"
#include "reference.h"

/* Two matrices of n examples: all of them, and this rank's in the way that a sweep holds them. */
typedef struct operands {
    int n, width[2];
    double *whole[2], *norm[2];
    float *single[2];
    csim__operand one[2];
    csim_shard shard;
    int passes; /* over the rows; 0: one for each panel */
} operands;

static operands make(csim_context *ctx, int n, int left, int right, bool single)
{
    operands o = {.n = n, .width = {left, right}};
    o.shard = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
    for (int k = 0; k < 2; k++) {
        int64_t d = o.width[k], count = n * d;
        o.whole[k] = ref_alloc(count, sizeof(double));
        o.norm[k] = ref_alloc(d, sizeof(double));
        o.single[k] = ref_alloc(count, sizeof(float));
        ref_random_matrix(40 + (uint64_t)k, n, (int)d, o.whole[k]);
        for (int64_t j = 0; j < d; j++) { o.norm[k][j] = 0; }
        for (int64_t i = 0; i < count; i++) {
            o.single[k][i] = (float)o.whole[k][i];
            if (single) { o.whole[k][i] = o.single[k][i]; }
            o.norm[k][i % d] += o.whole[k][i] * o.whole[k][i];
        }
        for (int64_t j = 0; j < d; j++) { o.norm[k][j] = sqrt(o.norm[k][j]) * (1 + 1e-12); }
        o.one[k] = (csim__operand){.width = d, .norm = o.norm[k]};
        if (single) {
            o.one[k].xf = o.single[k] + o.shard.row0 * d;
        } else {
            o.one[k].x = o.whole[k] + o.shard.row0 * d;
        }
    }
    return o;
}

static void drop(operands *o)
{
    for (int k = 0; k < 2; k++) {
        free(o->whole[k]);
        free(o->norm[k]);
        free(o->single[k]);
    }
}

/* A number of the product of operands a and b, summed in long doubles. */
static double expected(const operands *o, int a, int b, int64_t i, int64_t j)
{
    long double sum = 0;
    for (int64_t r = 0; r < o->n; r++) {
        sum += (long double)o->whole[a][r * o->width[a] + i] * o->whole[b][r * o->width[b] + j];
    }
    return (double)sum;
}

static csim_status compute(csim_context *ctx, const operands *o, const csim__product *p, int64_t n)
{
    csim__meter meter = {.size = o->shard.size};
    csim_status st = CSIM_OK;
    if (o->passes == 0) { return csim__cross_pass(ctx, &o->shard, p, n, &meter); }
    for (int k = 0; st == CSIM_OK && k < o->passes; k++) {
        csim__bundle b;
        st = csim__bundle_open(ctx, &o->shard, p, n, (csim__slice){k, o->passes}, &meter, &b);
        for (int64_t i = 0; st == CSIM_OK && i < n; i++) {
            for (int64_t c = 0; c < o->shard.count; c++) { csim__bundle_add(&b, i, c); }
        }
        st = csim__vote(ctx, st);
        if (st == CSIM_OK) { st = csim__bundle_sum(&b); }
        csim__bundle_close(&b);
    }
    return st;
}

/* Left by right, and each by itself, whole on the last rank; the first of them comes back. */
static double *whole_products(csim_context *ctx, const operands *o, bool single)
{
    static const int sides[][2] = {{0, 1}, {0, 0}, {1, 1}};
    csim__product p[3];
    int owner = o->shard.size - 1;
    for (int k = 0; k < 3; k++) {
        const csim__operand *l = &o->one[sides[k][0]], *r = &o->one[sides[k][1]];
        p[k] = (csim__product){.left = l, .right = r, .owner = owner};
        if (owner != o->shard.rank) { continue; }
        assert_int_equal(csim__alloc(ctx, l->width * r->width, 8, "a block", &p[k].out), CSIM_OK);
    }
    assert_int_equal(compute(ctx, o, p, 3), CSIM_OK);
    for (int k = 0; k < 3 && owner == o->shard.rank; k++) {
        int a = sides[k][0], b = sides[k][1];
        int64_t m = o->width[a], n = o->width[b];
        for (int64_t i = 0; i < m * n; i += i % 7 == 3 ? 997 : 1000) {
            double v = p[k].out[i], scale = o->norm[a][i / n] * o->norm[b][i % n];
            double error = fabs(v - expected(o, a, b, i / n, i % n));
            assert_true(error <= (single ? 1e-6 : 1e-14) * scale);
            if (a == b) { assert_true(p[k].out[i % n * n + i / n] == v); }
        }
    }
    for (int k = 1; k < 3; k++) { csim__free(ctx, &p[k].out); }
    return p[0].out;
}

/* The product dealt over the groups of a shape, of which each gets it, has the bits of the whole
 * one, which the last rank has. */
static void deal_to(csim_context *ctx, const operands *o, int p, int q, double *whole)
{
    csim__grid *g = NULL;
    int64_t m = o->width[0], n = o->width[1];
    csim__product list[8];
    csim__dealt share = {.grid = NULL};
    double *all = ref_alloc(m * n, sizeof *all), *back = ref_alloc(m * n, sizeof *back);
    assert_int_equal(csim__grid_create(ctx, p, q, &g), CSIM_OK);
    if (g->ctx != NULL) { assert_int_equal(csim__dealt_make(g, m, n, "a block", &share), CSIM_OK); }
    for (int k = 0; k < g->groups; k++) {
        list[k] = (csim__product){.left = &o->one[0],
                                  .right = &o->one[1],
                                  .owner = k * p * q,
                                  .grid = g,
                                  .share = k == g->group ? &share : NULL};
    }
    assert_int_equal(compute(ctx, o, list, g->groups), CSIM_OK);
    if (whole != NULL) { memcpy(all, whole, (size_t)(m * n) * sizeof *all); }
    MPI_Bcast(all, (int)(m * n), MPI_DOUBLE, csim_context_size(ctx) - 1, csim_context_comm(ctx));
    if (g->ctx != NULL) {
        assert_int_equal(csim__dealt_gather(&share, back), CSIM_OK);
        if (csim_context_rank(g->ctx) == 0) {
            assert_memory_equal(all, back, (size_t)(m * n) * sizeof *all);
        }
    }
    csim__dealt_clear(&share);
    csim__grid_free(&g);
    free(back);
    free(all);
}

static void bits_are_those_of_the_whole(void **state)
{
    (void)state;
    static const int sizes[][3] = {{70, 1100, 1030}, {130, 1900, 600}, {40, 130, 70}, {3, 2, 900}};
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx), few = size > 4 ? 2 : 1; /* rows of a grid, from here on */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t bytes = (size_t)(sizes[i][1] * sizes[i][2]) * sizeof(double);
        for (int single = 0; single < 2; single++) {
            operands o = make(ctx, sizes[i][0], sizes[i][1], sizes[i][2], single);
            double *whole = whole_products(ctx, &o, single), *again;
            o.passes = 3;
            again = whole_products(ctx, &o, single);
            if (whole != NULL) { assert_memory_equal(whole, again, bytes); }
            csim__free(ctx, &again);
            o.passes = 0;
            for (int p = few; p <= size / few && !single; p++) { /* not all of them, for the time */
                for (int q = i < 2 ? size / p : 1; p * q <= size; q++) {
                    o.passes = i == 0 && p > 1 ? 3 : 0;
                    deal_to(ctx, &o, p, q, whole);
                }
            }
            csim__free(ctx, &whole);
            drop(&o);
        }
    }
    harness_context_free(&ctx);
}

/* On one rank and on all: the panels come from the widths, so the bits are the same. */
static void ranks_change_no_bits(void **state)
{
    (void)state;
    csim_context *ctx = harness_context(), *alone = NULL;
    int last = csim_context_size(ctx) - 1;
    operands o = make(ctx, 300, 1050, 1030, false);
    double *whole = whole_products(ctx, &o, false);
    drop(&o);
    assert_int_equal(csim_context_create(MPI_COMM_SELF, &alone), CSIM_OK);
    if (csim_context_rank(ctx) == last) {
        o = make(alone, 300, 1050, 1030, false);
        double *same = whole_products(alone, &o, false);
        assert_memory_equal(whole, same, (size_t)1050 * 1030 * sizeof *same);
        csim__free(alone, &same);
        drop(&o);
    }
    csim__free(ctx, &whole);
    harness_context_free(&alone);
    harness_context_free(&ctx);
}

/* What a rank takes for a dealt product: its share and three panels, less than the whole product. */
static void no_rank_holds_a_whole_product(void **state)
{
    (void)state;
    enum { D = 1500 };
    csim_context *ctx = harness_context();
    const int64_t whole = (int64_t)D * D * 8, panel = 8 * csim__cross_panel(D, D);
    int size = csim_context_size(ctx), p = size == 4 ? 2 : 1, q = size / p;
    operands o = make(ctx, 20, D, D, false);
    csim__grid *g = NULL;
    csim__dealt share;
    assert_true(5 * panel < whole);
    assert_int_equal(csim__grid_create(ctx, p, q, &g), CSIM_OK);
    assert_int_equal(csim__dealt_make(g, D, D, "a block", &share), CSIM_OK);
    csim__product dealt = {.left = &o.one[0], .right = &o.one[1], .grid = g, .share = &share};
    assert_int_equal(compute(ctx, &o, &dealt, 1), CSIM_OK);
    int64_t peak = csim_context_memory_peak(ctx);
    assert_true(peak <= 8 * csim__dealt_most(D, D, g) + 3 * panel + (1 << 16));
    assert_true(size < 3 || peak < whole);
    csim__dealt_clear(&share);
    csim__grid_free(&g);
    drop(&o);
    harness_context_free(&ctx);
}

/* In one of several passes: its share, the rows of that pass, and a partial. */
static void passes_hold_their_rows(void **state)
{
    (void)state;
    enum { D = 1500, PASSES = 3 };
    csim_context *ctx = harness_context();
    int64_t rows = 8 * csim__cross_most(D, D, PASSES), panel = 8 * csim__cross_panel(D, D), own = 0;
    csim__product p[2];
    operands o = make(ctx, 20, D, D, false);
    assert_int_equal(csim__cross_panels(D, D), 6);
    assert_true(rows == 2 * panel);
    o.passes = PASSES;
    for (int k = 0; k < 2; k++) {
        p[k] = (csim__product){.left = &o.one[0], .right = &o.one[k], .owner = o.shard.size - 1};
        if (p[k].owner != o.shard.rank) { continue; }
        assert_int_equal(csim__alloc(ctx, D * D, sizeof(double), "a block", &p[k].out), CSIM_OK);
        own += (int64_t)D * D * 8;
    }
    assert_int_equal(compute(ctx, &o, p, 2), CSIM_OK);
    int64_t most = (own > 0 ? own : 2 * rows) + panel + (1 << 16);
    assert_true(csim_context_memory_peak(ctx) <= most);
    for (int k = 0; k < 2; k++) { csim__free(ctx, &p[k].out); }
    drop(&o);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_those_of_the_whole),
        cmocka_unit_test(ranks_change_no_bits),
        cmocka_unit_test(no_rank_holds_a_whole_product),
        cmocka_unit_test(passes_hold_their_rows),
    };
    return harness_finish(cmocka_run_group_tests_name("cross", tests, NULL, NULL));
}
