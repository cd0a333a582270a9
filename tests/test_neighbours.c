/* Lists of neighbours: against all distances, with ties, equal rows and rows of zeros, and the lists
 * turned round. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingredients/neighbours.h"
#include "reference.h"

enum { LONGEST = 700 };

static double distance(int metric, int d, const double *x, const double *y)
{
    double xx = 0, yy = 0, xy = 0, square = 0;
    for (int j = 0; j < d; j++) {
        xx += x[j] * x[j];
        yy += y[j] * y[j];
        xy += x[j] * y[j];
        square += (x[j] - y[j]) * (x[j] - y[j]);
    }
    if (metric == CSIM_EUCLIDEAN) { return sqrt(square); }
    if (metric == CSIM_INNER) { return -xy; }
    return xx > 0 && yy > 0 ? 1 - xy / sqrt(xx) / sqrt(yy) : 1;
}

/* This rank's lists of x by all metrics, ks of them. */
static void find(csim_context *ctx, const csim_shard *shard, const double *x, int64_t d,
                 const int64_t *k, csim__near *near)
{
    csim__meter meter = {.size = 1};
    csim_status st = csim__neighbours(ctx, shard, d, x + shard->row0 * d, k, &meter, near);
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(ctx)); }
    assert_int_equal(st, CSIM_OK);
}

/* Each list is the k least of (distance, index), where distances that @p close apart may be either
 * way round; 0: the arithmetic is exact, so the order is, too. */
static void check(const csim_shard *shard, const double *x, int n, int d, int metric,
                  const csim__near *near, double close)
{
    for (int64_t r = 0; r < shard->rows; r++) {
        int i = (int)(shard->row0 + r), k = (int)near->k, before = -1;
        const int32_t *list = near->index + r * k;
        double last = -INFINITY, far = 0, all[LONGEST];
        bool seen[LONGEST] = {false};
        for (int j = 0; j < n; j++) { all[j] = distance(metric, d, x + i * d, x + j * d); }
        for (int m = 0; m < k; m++) {
            assert_true(list[m] >= 0 && list[m] < n && list[m] != i && !seen[list[m]]);
            seen[list[m]] = true;
            far = fmax(m > 0 ? far : -INFINITY, all[list[m]]);
            double off = fabs(near->distance[r * k + m] - all[list[m]]);
            assert_true(off <= close * fmax(1, fabs(all[list[m]])));
            double now = near->distance[r * k + m];
            assert_true(now > last || (now == last && list[m] > before));
            last = now;
            before = list[m];
        }
        for (int j = 0; j < n; j++) {
            if (j == i || seen[j]) { continue; }
            assert_true(all[j] >= far - close * fmax(1, fabs(far)));
            if (close == 0 && all[j] == last) { assert_true(j > before); }
        }
    }
}

static void search_and_check(csim_context *ctx, const double *x, int n, int d, int64_t most,
                             double close)
{
    csim_shard shard = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
    csim__near near[CSIM_METRICS];
    const int64_t k[CSIM_METRICS] = {most, most, most > 3 ? 3 : most};
    find(ctx, &shard, x, d, k, near);
    for (int m = 0; m < CSIM_METRICS; m++) {
        /* cosines of whole numbers are no whole numbers */
        check(&shard, x, n, d, m, &near[m], m == CSIM_COSINE ? fmax(close, 4e-15) : close);
        csim__near_clear(ctx, &near[m]);
    }
}

static void random_rows(void **state)
{
    (void)state;
    static const int shape[][3] = {{4, 1, 3},      {30, 5, 7},   {63, 2, 62},  {64, 9, 1},
                                   {129, 17, 128}, {300, 8, 10}, {650, 33, 20}};
    csim_context *ctx = harness_context();
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        int n = shape[s][0], d = shape[s][1];
        double *x = ref_alloc((int64_t)n * d, sizeof *x);
        ref_random_matrix(s, n, d, x);
        search_and_check(ctx, x, n, d, shape[s][2], 1e-14 * d);
        for (int i = 0; i < n * d; i++) { x[i] += 1e6; } /* the bounds let nearly all pairs by */
        search_and_check(ctx, x, n, d, shape[s][2], 1e-14 * d);
        free(x);
    }
    harness_context_free(&ctx);
}

/* Whole numbers: every distance is exact, and most are tied. Rows of zeros, equal rows. */
static void ties_go_to_the_lower_index(void **state)
{
    (void)state;
    enum { N = 333, D = 3 };
    double x[N * D];
    csim_context *ctx = harness_context();
    for (int levels = 1; levels <= 9; levels += 4) {
        ref_random_matrix(7, N, D, x);
        for (int i = 0; i < N * D; i++) { x[i] = i % 7 < 2 ? 0 : fmod(round(99 * x[i]), levels); }
        search_and_check(ctx, x, N, D, 12, 0);
        search_and_check(ctx, x, N, D, N - 1, 0);
    }
    harness_context_free(&ctx);
}

/* Equal rows are at 0, of the same direction too where they are twice as long. */
static void equal_rows(void **state)
{
    (void)state;
    enum { N = 200, D = 11, K = 3 };
    double x[N * D];
    csim_context *ctx = harness_context();
    csim_shard shard = csim__shard(N, csim_context_rank(ctx), csim_context_size(ctx));
    csim__near near[CSIM_METRICS];
    const int64_t k[CSIM_METRICS] = {[CSIM_COSINE] = K, [CSIM_EUCLIDEAN] = K};
    ref_random_matrix(8, N, D, x);
    for (int i = 0; i < N / 4 * D;
         i++) { /* rows i, i + 50, i + 100 are equal, i + 150 is twice that */
        x[i + N / 4 * D] = x[i + N / 2 * D] = x[i];
        x[i + 3 * N / 4 * D] = 2 * x[i];
    }
    find(ctx, &shard, x, D, k, near);
    for (int64_t r = 0; r < shard.rows; r++) {
        int i = (int)(shard.row0 + r), own = i / (N / 4), m = 0;
        for (int other = 0; other < 4; other++) {
            if (other == own) { continue; }
            int j = i % (N / 4) + other * (N / 4);
            assert_int_equal(near[CSIM_COSINE].index[r * K + m], j);
            assert_true(near[CSIM_COSINE].distance[r * K + m] == 0);
            if (own < 3 && other < 3) {
                assert_int_equal(near[CSIM_EUCLIDEAN].index[r * K + m], j);
                assert_true(near[CSIM_EUCLIDEAN].distance[r * K + m] == 0);
            }
            m++;
        }
    }
    for (int m = 0; m < CSIM_METRICS; m++) { csim__near_clear(ctx, &near[m]); }
    harness_context_free(&ctx);
}

/* i is in the list of j as often as j is among the links of i. */
static void links_are_the_lists(void **state)
{
    (void)state;
    enum { N = 210, D = 4, K = 9 };
    double x[N * D];
    unsigned char *seen = ref_alloc(N * N, 1), *linked = ref_alloc(N * N, 1);
    csim_context *ctx = harness_context();
    csim_shard shard = csim__shard(N, csim_context_rank(ctx), csim_context_size(ctx));
    csim__near near[CSIM_METRICS];
    csim__links links;
    const int64_t k[CSIM_METRICS] = {K};
    ref_random_matrix(9, N, D, x);

    find(ctx, &shard, x, D, k, near);
    assert_int_equal(csim__links_make(ctx, &shard, &near[CSIM_COSINE], &links), CSIM_OK);
    for (int64_t r = 0; r < shard.rows; r++) {
        int64_t i = shard.row0 + r;
        for (int m = 0; m < K; m++) {
            seen[i * N + near[CSIM_COSINE].index[r * K + m]] = (unsigned char)(m + 1);
        }
        for (int64_t l = links.start[r]; l < links.start[r + 1]; l++) {
            const csim__link *a = &links.link[l];
            assert_true(l == links.start[r] || a->from > a[-1].from);
            linked[a->from * N + i] = (unsigned char)(a->place + 1);
            double d = distance(CSIM_COSINE, D, x + i * D, x + a->from * D);
            assert_true(fabs(d - a->distance) < 1e-14);
        }
    }
    MPI_Allreduce(MPI_IN_PLACE, seen, N * N, MPI_BYTE, MPI_BOR, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, linked, N * N, MPI_BYTE, MPI_BOR, MPI_COMM_WORLD);
    assert_memory_equal(seen, linked, N * N);
    csim__links_clear(ctx, &links);
    csim__near_clear(ctx, &near[CSIM_COSINE]);
    free(seen);
    free(linked);
    harness_context_free(&ctx);
}

static void too_many_are_refused(void **state)
{
    (void)state;
    enum { N = 12, D = 2 };
    double x[N * D] = {1};
    csim_context *ctx = harness_context();
    csim_shard shard = csim__shard(N, csim_context_rank(ctx), csim_context_size(ctx));
    csim__near near[CSIM_METRICS];
    csim__meter meter = {.size = 1};
    const int64_t k[CSIM_METRICS] = {[CSIM_EUCLIDEAN] = N};
    csim_status st = csim__neighbours(ctx, &shard, D, x + shard.row0 * D, k, &meter, near);
    assert_int_equal(st, CSIM_E_SHAPE);
    assert_non_null(strstr(csim_context_error(ctx), "12 neighbours of each of 12 examples"));
    for (int m = 0; m < CSIM_METRICS; m++) { csim__near_clear(ctx, &near[m]); }
    assert_int_equal(csim_neighbours(0, 30), 0);
    assert_int_equal(csim_neighbours(0.01, 30), 0);
    assert_int_equal(csim_neighbours(0.2, 30), 6);
    assert_int_equal(csim_neighbours(0.29, 100), 29);
    assert_int_equal(csim_neighbours(29, 30), 29);
    assert_int_equal(csim_neighbours(30, 30), 0);
    assert_int_equal(csim_neighbours(2.5, 30), 0);
    assert_int_equal(csim_neighbours(-1, 30), 0);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rows),          cmocka_unit_test(ties_go_to_the_lower_index),
        cmocka_unit_test(equal_rows),           cmocka_unit_test(links_are_the_lists),
        cmocka_unit_test(too_many_are_refused),
    };
    return harness_finish(cmocka_run_group_tests_name("neighbours", tests, NULL, NULL));
}
