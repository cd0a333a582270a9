/* Batches: every epoch has each example once, where its permutation says, whatever the ranks; rows
 * travel whole. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "train/batches.h"

enum { SITES = 3 };

static const int64_t widths[SITES] = {3, 1, 5};

/* Exact in float for the sizes here, another one for every element. */
static float value(int64_t example, int site, int64_t column)
{
    return (float)(example * 16 + site * 5 + column);
}

typedef void (*row_fn)(int64_t example, int site, int64_t d, float *row);

static void fill_row(int64_t example, int site, int64_t d, float *row)
{
    for (int64_t j = 0; j < d; j++) { row[j] = value(example, site, j); }
}

static void check_row(int64_t example, int site, int64_t d, float *row)
{
    for (int64_t j = 0; j < d; j++) { assert_true(row[j] == value(example, site, j)); }
}

/* Every row of this rank with the example that stands at its place of `order`. Returns how many. */
static int64_t walk(const csim__batches *b, const int64_t *order, row_fn fn)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < b->count; i++) {
        csim_shard s = csim__batch_shard(b, i);
        assert_int_equal(s.n, csim__min64(b->batch, b->n - i * b->batch));
        for (int64_t c = s.first; c < s.first + s.count; c++) {
            int64_t many = csim__chunk_rows(&s, c), first = i * b->batch + csim__chunk_row(&s, c);
            float *at = csim__batch_chunk(b, i, c);
            for (int k = 0; k < SITES; k++) {
                for (int64_t r = 0; r < many; r++) {
                    fn(order[first + r], k, widths[k], at);
                    at += widths[k];
                }
            }
            rows += many;
        }
    }
    return rows;
}

/* The rows are those of epoch e, all of them are somewhere, and the batches know it. */
static void check_epoch(csim_context *ctx, const csim__batches *b, uint64_t seed, int64_t e)
{
    int64_t *order = malloc((size_t)b->n * sizeof *order), all = 0;
    assert_non_null(order);
    csim__epoch_order(seed, e, b->n, order);
    assert_int_equal(b->epoch, e);
    assert_memory_equal(b->order, order, (size_t)b->n * sizeof *order);
    int64_t rows = walk(b, order, check_row);
    assert_int_equal(rows, b->rows);
    MPI_Allreduce(&rows, &all, 1, MPI_INT64_T, MPI_SUM, csim_context_comm(ctx));
    assert_int_equal(all, b->n);
    free(order);
}

static void make(csim_context *ctx, int64_t n, int64_t batch, csim__batches *b)
{
    assert_int_equal(csim__vote(ctx, csim__batches_make(ctx, n, batch, SITES, widths, b)), CSIM_OK);
    assert_int_equal(b->width, 9);
    assert_int_equal(b->batch, csim__min64(batch, n));
    assert_int_equal(b->count, (n + b->batch - 1) / b->batch);
    int64_t *same = malloc((size_t)n * sizeof *same);
    assert_non_null(same);
    for (int64_t i = 0; i < n; i++) { same[i] = i; }
    walk(b, same, fill_row);
    check_epoch(ctx, b, 0, -1);
    free(same);
}

/* Move batches first … last−1 of the next epoch. */
static void move(csim__batches *b, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        assert_int_equal(csim__batches_send(b, i), CSIM_OK);
        assert_int_equal(csim__batches_receive(b), CSIM_OK);
        assert_int_equal(csim__batches_receive(b), CSIM_OK); /* nothing is under way */
    }
}

static const struct {
    int64_t n, batch;
} sizes[] = {{1, 1},    {2, 1},    {3, 2},     {5, 1},      {64, 64},   {65, 64},
             {130, 70}, {130, 64}, {300, 300}, {300, 1000}, {700, 130}, {1100, 520}};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* From one epoch to the next, and to any other at once, of this seed or another. */
static void rows_follow_the_permutation(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int k = 0; k < SIZES; k++) {
        csim__batches b;
        make(ctx, sizes[k].n, sizes[k].batch, &b);
        assert_int_equal(csim__batches_go(&b, 5, 0), CSIM_OK);
        for (int64_t e = 0; e < 3; e++) {
            check_epoch(ctx, &b, 5, e);
            move(&b, 0, b.count);
            check_epoch(ctx, &b, 5, e); /* what is there stays until the turn */
            csim__batches_turn(&b);
        }
        check_epoch(ctx, &b, 5, 3);
        static const struct {
            uint64_t seed;
            int64_t epoch;
        } jumps[] = {{5, 7}, {5, 7}, {6, 0}, {6, 1000000}, {5, 0}};
        for (size_t j = 0; j < sizeof jumps / sizeof *jumps; j++) {
            assert_int_equal(csim__batches_go(&b, jumps[j].seed, jumps[j].epoch), CSIM_OK);
            check_epoch(ctx, &b, jumps[j].seed, jumps[j].epoch);
        }
        move(&b, 0, b.count);
        csim__batches_turn(&b);
        check_epoch(ctx, &b, 5, 1);
        csim__batches_clear(&b);
    }
    harness_context_free(&ctx);
}

/* A run that goes on in mid-epoch moves the batches that had been moved, then the others. */
static void an_epoch_may_be_entered_anywhere(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int k = 0; k < SIZES; k++) {
        csim__batches b;
        make(ctx, sizes[k].n, sizes[k].batch, &b);
        assert_int_equal(csim__batches_go(&b, 1, 4), CSIM_OK);
        move(&b, 0, b.count / 2);
        move(&b, b.count / 2, b.count);
        csim__batches_turn(&b);
        check_epoch(ctx, &b, 1, 5);
        move(&b, 0, b.count / 2); /* given up: the rows of the next epoch are half there */
        assert_int_equal(csim__batches_go(&b, 2, 0), CSIM_OK);
        check_epoch(ctx, &b, 2, 0);
        csim__batches_clear(&b);
    }
    harness_context_free(&ctx);
}

/* Sending goes on while the rows of this epoch are read. */
static void rows_can_be_read_while_others_travel(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__batches b;
    make(ctx, 700, 130, &b);
    assert_int_equal(csim__batches_go(&b, 9, 0), CSIM_OK);
    for (int64_t i = 0; i < b.count; i++) {
        assert_int_equal(csim__batches_send(&b, i), CSIM_OK);
        walk(&b, b.order, check_row);
        assert_int_equal(csim__batches_receive(&b), CSIM_OK);
    }
    csim__batches_turn(&b);
    check_epoch(ctx, &b, 9, 1);
    csim__batches_clear(&b);
    harness_context_free(&ctx);
}

/* Orders are permutations; no two epochs or seeds have the same; every example comes everywhere. */
static void orders_are_permutations(void **state)
{
    (void)state;
    enum { N = 50, EPOCHS = 400 };
    int64_t order[N], before[N], first[N] = {0}, same = 0;
    for (int64_t e = -1; e < EPOCHS; e++) {
        bool seen[N] = {false};
        csim__epoch_order(3, e, N, order);
        for (int i = 0; i < N; i++) {
            assert_true(order[i] >= 0 && order[i] < N && !seen[order[i]]);
            seen[order[i]] = true;
            same += e > 0 && order[i] == before[i];
        }
        first[order[0]] += e >= 0;
        memcpy(before, order, sizeof order);
        csim__epoch_order(4, e, N, order);
        assert_int_equal(memcmp(order, before, sizeof order) == 0, e < 0);
    }
    /* one of N is at its old place by chance: EPOCHS in all; each is first EPOCHS/N = 8 times */
    assert_true(same > EPOCHS / 2 && same < 2 * EPOCHS);
    for (int i = 0; i < N; i++) { assert_true(first[i] > 0 && first[i] < 25); }
}

static void sizes_beyond_the_limits_are_refused(void **state)
{
    (void)state;
    static const int64_t wide[] = {INT64_C(1) << 30, INT64_C(1) << 30};
    csim_context *ctx = harness_context();
    csim__batches b;
    csim_status st = csim__vote(ctx, csim__batches_make(ctx, 10, 5, 2, wide, &b));
    assert_int_equal(st, CSIM_E_LIMIT);
    assert_non_null(strstr(csim_context_error(ctx), "neurons of all layers"));
    csim__batches_clear(&b);
    csim__batches none = {.ctx = NULL};
    csim__batches_clear(&none);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_permutation),
        cmocka_unit_test(an_epoch_may_be_entered_anywhere),
        cmocka_unit_test(rows_can_be_read_while_others_travel),
        cmocka_unit_test(orders_are_permutations),
        cmocka_unit_test(sizes_beyond_the_limits_are_refused),
    };
    return harness_finish(cmocka_run_group_tests_name("batches", tests, NULL, NULL));
}
