/* Cross products, Gram products, bases and assignments against plain loops and LAPACK's SVD. */
#include "harness.h"

#include <float.h>
#include <math.h>
#include <sleef.h>
#include <stdlib.h>
#include <string.h>

#include "ingredients/basis.h"
#include "ingredients/cross.h"
#include "ingredients/gram.h"
#include "ingredients/kernels.h"
#include "ingredients/rows.h"
#include "ingredients/triangles.h"
#include "linalg/exponential.h"
#include "measures/assignment.h"
#include "reference.h"

static csim__meter quiet(csim_context *ctx)
{
    return (csim__meter){.size = csim_context_size(ctx)};
}

/* A site as reading leaves it: centred rows of this rank, moments of all. */
static csim__site make_site(csim_context *ctx, const csim_shard *shard, const double *whole, int d,
                            bool single)
{
    int n = (int)shard->n;
    csim__site s = {.model = "m", .layer = "l", .n = n, .d = d};
    double *centred = ref_centre(whole, n, d);
    int64_t count = shard->rows * d;
    assert_int_equal(csim__calloc(ctx, d, sizeof(double), "means", &s.mean), CSIM_OK);
    assert_int_equal(csim__calloc(ctx, d, sizeof(double), "norms", &s.norm), CSIM_OK);
    for (int j = 0; j < d; j++) {
        double square = 0;
        for (int i = 0; i < n; i++) { square += centred[i * d + j] * centred[i * d + j]; }
        s.norm[j] = sqrt(square) * (1 + 1e-12);
        s.variance += square * (1 + 1e-12);
        s.mean[j] = whole[j] - centred[j];
        s.raw_square += square + n * s.mean[j] * s.mean[j];
    }
    const double *mine = centred + shard->row0 * d;
    assert_int_equal(csim__alloc(ctx, shard->rows, sizeof(double), "row norms", &s.row_square),
                     CSIM_OK);
    for (int64_t i = 0; i < shard->rows; i++) {
        s.row_square[i] = 0;
        for (int j = 0; j < d; j++) { s.row_square[i] += mine[i * d + j] * mine[i * d + j]; }
    }
    if (single) {
        assert_int_equal(csim__alloc(ctx, count, sizeof(float), "rows", &s.xf), CSIM_OK);
        for (int64_t i = 0; i < count; i++) { s.xf[i] = (float)mine[i]; }
    } else {
        assert_int_equal(csim__alloc(ctx, count, sizeof(double), "rows", &s.x), CSIM_OK);
        memcpy(s.x, mine, (size_t)count * sizeof *s.x);
    }
    free(centred);
    return s;
}

static csim_shard my_shard(csim_context *ctx, int n)
{
    return csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
}

/* ---- cross products ---- */

static void cross_one(csim_context *ctx, int n, int d, int e, bool single)
{
    enum { PRODUCTS = 5 };
    csim_shard shard = my_shard(ctx, n);
    csim__meter meter = quiet(ctx);
    double *x = ref_alloc((int64_t)n * d, sizeof *x), *y = ref_alloc((int64_t)n * e, sizeof *y);
    ref_random_matrix(1, n, d, x);
    ref_random_matrix(2, n, e, y);
    for (int i = 0; i < d; i++) { x[i] *= 1000; } /* one huge example */
    csim__site a = make_site(ctx, &shard, x, d, single), b = make_site(ctx, &shard, y, e, single);
    csim__operand left = {.width = d, .x = a.x, .xf = a.xf, .norm = a.norm};
    csim__operand right = {.width = e, .x = b.x, .xf = b.xf, .norm = b.norm};
    const csim__operand *pair[PRODUCTS][2] = {
        {&left, &right}, {&left, &left}, {&right, &left}, {&right, &right}, {&left, &right}};
    csim__product products[PRODUCTS];
    double *cx = ref_centre(x, n, d), *cy = ref_centre(y, n, e);
    for (int k = 0; k < PRODUCTS; k++) {
        int64_t size = pair[k][0]->width * pair[k][1]->width;
        products[k] =
            (csim__product){.left = pair[k][0], .right = pair[k][1], .owner = k % shard.size};
        if (k % shard.size != shard.rank) { continue; }
        assert_int_equal(csim__alloc(ctx, size, sizeof(double), "out", &products[k].out), CSIM_OK);
    }
    assert_int_equal(csim__cross_pass(ctx, &shard, products, PRODUCTS, &meter), CSIM_OK);
    for (int k = 0; k < PRODUCTS; k++) {
        const double *u = pair[k][0] == &left ? cx : cy, *v = pair[k][1] == &left ? cx : cy;
        const double *nu = pair[k][0]->norm, *nv = pair[k][1]->norm;
        int p = (int)pair[k][0]->width, q = (int)pair[k][1]->width;
        double *expected = products[k].out ? ref_cross(u, v, n, p, q) : NULL;
        for (int i = 0; expected != NULL && i < p * q; i++) {
            double scale = nu[i / q] * nv[i % q];
            assert_true(fabs(products[k].out[i] - expected[i]) <= (single ? 1e-6 : 1e-14) * scale);
            if (p == q && u == v) {
                assert_true(products[k].out[i] == products[k].out[i % q * p + i / q]);
            }
        }
        free(expected);
        csim__free(ctx, &products[k].out);
    }
    free(cx);
    free(cy);
    csim__site_release(ctx, &a);
    csim__site_release(ctx, &b);
    free(x);
    free(y);
}

static void cross_products(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int single = 0; single < 2; single++) {
        cross_one(ctx, 30, 4, 7, single);
        cross_one(ctx, 129, 20, 3, single);
        cross_one(ctx, 700, 1, 33, single);
    }
    harness_context_free(&ctx);
}

/* ---- Gram products ---- */

/* K̂ [n, n] of centred rows, by long doubles: K without diagonal, its row sums taken off. */
static long double *hollow_matrix(const double *x, int n, int d)
{
    long double *k = ref_alloc((int64_t)n * n, sizeof *k), *row = ref_alloc(n, sizeof *row),
                all = 0;
    for (int i = 0; i < n; i++) {
        row[i] = 0;
        for (int j = 0; j < n; j++) {
            long double v = 0;
            for (int c = 0; c < d && i != j; c++) { v += (long double)x[i * d + c] * x[j * d + c]; }
            k[i * n + j] = v;
            row[i] += v;
        }
        all += row[i];
    }
    for (int i = 0; i < n * n; i++) {
        int p = i / n, q = i % n;
        k[i] = p == q ? 0 : k[i] - (row[p] + row[q] - all / (n - 1)) / (n - 2);
    }
    free(row);
    return k;
}

static double hollow_product(const long double *k, const long double *l, int n)
{
    long double sum = 0;
    for (int i = 0; i < n * n; i++) { sum += k[i] * l[i]; }
    return (double)sum;
}

/* With a giant, one example of 1000 times the norm of the others. */
static void gram_one(csim_context *ctx, int n, bool single, bool giant)
{
    enum { SITES = 7 };
    static const int width[SITES] = {3, 12, 1, 40, 7, 5, 20};
    csim_shard shard = my_shard(ctx, n);
    csim__meter meter = quiet(ctx);
    csim__site site[SITES], *list[SITES];
    double hollow[SITES * SITES], eps = single ? 1e-6 : 1e-14 * harness_slack();
    long double *whole[SITES];
    unsigned char wanted[SITES * SITES];
    for (int s = 0; s < SITES; s++) {
        double *x = ref_alloc((int64_t)n * width[s], sizeof *x);
        ref_random_matrix(10 + (uint64_t)s, n, width[s], x);
        for (int j = 0; giant && j < width[s]; j++) { x[(n / 2) * width[s] + j] *= 1000; }
        site[s] = make_site(ctx, &shard, x, width[s], single);
        list[s] = &site[s];
        double *centred = ref_centre(x, n, width[s]);
        whole[s] = hollow_matrix(centred, n, width[s]);
        free(centred);
        free(x);
    }
    for (int k = 0; k < SITES * SITES; k++) { wanted[k] = k % 5 != 2; }
    assert_int_equal(csim__gram_pass(ctx, &shard, list, SITES, wanted, hollow, &meter), CSIM_OK);
    for (int a = 0; a < SITES; a++) {
        for (int b = a; b < SITES; b++) {
            if (!wanted[a * SITES + b]) { continue; }
            double sum = hollow_product(whole[a], whole[b], n);
            double scale = sqrt(hollow_product(whole[a], whole[a], n)) *
                           sqrt(hollow_product(whole[b], whole[b], n));
            assert_true(fabs(hollow[a * SITES + b] - sum) <= (giant ? 100 : 1) * eps * scale);
        }
    }
    for (int s = 0; s < SITES; s++) {
        csim__site_release(ctx, &site[s]);
        free(whole[s]);
    }
}

static void gram_products(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int single = 0; single < 2; single++) {
        for (int giant = 0; giant < 2; giant++) {
            gram_one(ctx, 20, single, giant);
            gram_one(ctx, 130, single, giant);
            gram_one(ctx, 515, single, giant);
        }
    }
    harness_context_free(&ctx);
}

/* Products of arrays of every length; a pair's bits do not depend on the list it is in. */
static void inner_products(void **state)
{
    (void)state;
    enum { MOST = 12, LONG = 3000 };
    static const int length[] = {0, 1, 3, 4, 7, 8, 9, 63, 1024, 1031, LONG};
    static double data[MOST][LONG];
    static float data_f[MOST][LONG];
    const double *tile[MOST];
    const float *tile_f[MOST];
    for (int t = 0; t < MOST; t++) {
        ref_random_matrix(20 + (uint64_t)t, LONG, 1, data[t]);
        for (int i = 0; i < LONG; i++) { data_f[t][i] = (float)data[t][i]; }
        tile[t] = data[t];
        tile_f[t] = data_f[t];
    }
    for (size_t l = 0; l < sizeof length / sizeof *length; l++) {
        for (int count = 1; count <= MOST; count++) {
            double out[MOST * MOST], out_f[MOST * MOST], lone[4];
            unsigned char wanted[MOST * MOST], all[4] = {1, 1, 1, 1};
            for (int k = 0; k < count * count; k++) { wanted[k] = (k + count) % 3 > 0; }
            csim__inner_products(tile, count, length[l], wanted, out);
            csim__inner_products_f(tile_f, count, length[l], wanted, out_f);
            for (int k = 0; k < count * count; k++) {
                int a = k / count, b = k % count;
                if (!wanted[k] || a > b) { continue; }
                long double sum = 0, size = 1e-300L;
                for (int i = 0; i < length[l]; i++) {
                    sum += (long double)data[a][i] * data[b][i];
                    size += fabsl((long double)data[a][i] * data[b][i]);
                }
                assert_true(fabsl(out[k] - sum) <= 1e-14L * size);
                assert_true(fabsl(out_f[k] - sum) <= 1e-5L * size);
                const double *two[2] = {tile[a], tile[b]};
                const float *two_f[2] = {tile_f[a], tile_f[b]};
                csim__inner_products(two, 2, length[l], all, lone);
                assert_true(lone[1] == out[k]);
                csim__inner_products_f(two_f, 2, length[l], all, lone);
                assert_true(lone[1] == out_f[k]);
            }
        }
    }
}

/* ---- bases ---- */

/* U of a basis against the site it was made from. */
static void check_basis(csim_context *ctx, const csim_shard *shard, const double *rows,
                        const csim__basis *b, int d, double top)
{
    int q = b->q;
    double *square = ref_alloc((int64_t)q * q, sizeof *square);
    for (int64_t i = 0; i < shard->rows; i++) {
        const double *u = b->u + i * q;
        for (int k = 0; k < q * q; k++) { square[k] += u[k / q] * u[k % q]; }
        for (int j = 0; b->loading != NULL && j < d; j++) { /* X = U ΣV */
            double v = 0;
            for (int k = 0; k < q; k++) { v += u[k] * b->loading[k * d + j]; }
            assert_true(fabs(v - rows[i * d + j]) <= 1e-13 * top);
        }
    }
    MPI_Allreduce(MPI_IN_PLACE, square, q * q, MPI_DOUBLE, MPI_SUM, csim_context_comm(ctx));
    for (int k = 0; k < q * q; k++) {
        bool counts = k / q < b->r && k % q < b->r;
        if (counts) { assert_true(fabs(square[k] - (k / q == k % q)) <= 1e-12); }
    }
    free(square);
}

static void basis_one(csim_context *ctx, int n, int d, double cond, bool raw, double shift)
{
    enum { SITES = 3 }; /* the same width, so that one round has several owners */
    csim_shard shard = my_shard(ctx, n);
    csim__meter meter = quiet(ctx);
    csim__site site[SITES], *list[SITES];
    double *whole[SITES];
    for (int s = 0; s < SITES; s++) {
        whole[s] = ref_alloc((int64_t)n * d, sizeof(double));
        ref_conditioned_matrix(40 + (uint64_t)s, n, d, cond, true, whole[s]);
        for (int i = 0; i < n * d; i++) { whole[s][i] += shift; }
        site[s] = make_site(ctx, &shard, whole[s], d, false);
        list[s] = &site[s];
    }
    csim__basis_options options = {
        .raw = raw, .consume = !raw, .loading = true, .floor = raw ? 0 : CSIM_RANK_FLOOR};
    assert_int_equal(csim__basis_build(ctx, &shard, list, SITES, &options, &meter), CSIM_OK);
    for (int s = 0; s < SITES; s++) {
        csim__basis *b = raw ? &site[s].raw_basis : &site[s].basis;
        double *x = raw ? NULL : ref_centre(whole[s], n, d);
        const double *rows = raw ? whole[s] : x;
        ref_svd f;
        assert_true(ref_svd_make(rows, n, d, &f));
        double tiny = (n > d ? n : d) * DBL_EPSILON;
        assert_int_equal(b->r, ref_svd_rank(&f, raw ? tiny * tiny : CSIM_RANK_FLOOR));
        assert_true(b->q >= b->r && b->q <= (n < d ? n : d));
        for (int k = 0; k < b->r; k++) {
            assert_true(fabs(b->sigma[k] - f.s[k]) <= 1e-13 * f.s[0]);
            assert_true(k == 0 || b->sigma[k] <= b->sigma[k - 1]);
        }
        if (!raw || cond < 1e7) { check_basis(ctx, &shard, rows + shard.row0 * d, b, d, f.s[0]); }
        assert_true((site[s].x == NULL) == !raw);
        ref_svd_free(&f);
        free(x);
        free(whole[s]);
        csim__site_release(ctx, &site[s]);
    }
}

static void bases(void **state)
{
    (void)state;
    static const double cond[] = {10, 1e6, 1e12};
    csim_context *ctx = harness_context();
    for (size_t k = 0; k < sizeof cond / sizeof *cond; k++) {
        basis_one(ctx, 150, 14, cond[k], false, 0);
        basis_one(ctx, 150, 14, cond[k], false, 3);
        basis_one(ctx, 150, 14, cond[k], true, 0);
        basis_one(ctx, 25, 40, cond[k], false, 0); /* wide; one chunk, ranks without rows */
        basis_one(ctx, 140, 141, cond[k], false, 0);
        basis_one(ctx, 100, 1, cond[k], false, 1);
    }
    harness_context_free(&ctx);
}

/* ---- assignments ---- */

/* Best total by trying everything. */
static double exhaust(const double *profit, int m, int n, int row, unsigned used)
{
    double best = -INFINITY;
    if (row == m) { return 0; }
    for (int j = 0; j < n; j++) {
        if (used & 1u << j) { continue; }
        double v = profit[row * n + j] + exhaust(profit, m, n, row + 1, used | 1u << j);
        best = v > best ? v : best;
    }
    return best;
}

static void assignments(void **state)
{
    (void)state;
    enum { MOST = 40 };
    double profit[MOST * MOST], total;
    int col[MOST];
    csim_context *ctx = harness_context();
    for (uint64_t seed = 0; seed < 60; seed++) {
        int m = 1 + (int)(seed % 6), n = m + (int)(seed / 7 % 3);
        ref_random_matrix(60 + seed, m, n, profit);
        for (int k = 0; k < m * n && seed % 2; k++) { profit[k] = floor(2 * profit[k]); } /* ties */
        assert_int_equal(csim__assign(ctx, m, n, profit, &total), CSIM_OK);
        assert_true(fabs(total - exhaust(profit, m, n, 0, 0)) <= 1e-13);
    }
    for (uint64_t seed = 0; seed < 10; seed++) { /* larger: against the reference's own search */
        int m = 30 + (int)seed, n = MOST;
        double sum = 0;
        ref_random_matrix(80 + seed, m, n, profit);
        ref_assign_max(profit, m, n, col);
        for (int i = 0; i < m; i++) { sum += profit[i * n + col[i]]; }
        assert_int_equal(csim__assign(ctx, m, n, profit, &total), CSIM_OK);
        assert_true(fabs(total - sum) <= 1e-12);
    }
    for (int k = 0; k < MOST * MOST; k++) { profit[k] = -5; }
    assert_int_equal(csim__assign(ctx, MOST, MOST, profit, &total), CSIM_OK);
    assert_true(total == -5 * MOST);
    harness_context_free(&ctx);
}

/* ---- kernels and distances ---- */

/* Right to a unit in the last place; the same bits wherever a number stands, and in however many: on
 * every path through the vectors, and where input and output are the same. */
static void exponentials(void **state)
{
    enum { N = 4000, LONGEST = 19 };
    double x[N], y[N], edge[] = {0, -INFINITY, -1e300, -800, NAN};
    (void)state;
    for (int i = 0; i < N; i++) { x[i] = -708 + 0.35 * i; }
    csim__exponentials(y, x, N, 1, 0);
    for (int i = 0; i < N; i++) { assert_true(fabs(y[i] / exp(x[i]) - 1) < 4.5e-16); }
    for (int n = 0; n <= LONGEST; n++) {
        double some[LONGEST + 1], one;
        memcpy(some, x + 7 * n, sizeof some);
        csim__exponentials(some, some, n, -0.4, 0.25);
        for (int i = 0; i < n; i++) {
            csim__exponentials(&one, &x[7 * n + i], 1, -0.4, 0.25);
            assert_memory_equal(&one, &some[i], sizeof one);
            assert_true(one == Sleef_cinz_expd1_u10purec(-0.4 * x[7 * n + i]) - 0.25);
        }
        assert_memory_equal(&some[n], &x[8 * n], sizeof one);
    }
    csim__exponentials(y, edge, 5, 1, 0);
    assert_true(y[0] == 1 && y[1] == 0 && y[2] == 0 && y[3] == 0 && isnan(y[4]));
}

/* Products of rows by a kernel of our own: of a pair alone as in a block, in either order. */
static void products_of_rows(void **state)
{
    (void)state;
    enum { M = 7, N = 5, D = 37 };
    double a[M * D], b[N * D], out[M * N], turned[N * M];
    ref_random_matrix(31, M, D, a);
    ref_random_matrix(32, N, D, b);
    csim__inner_block(a, M, b, N, D, out);
    csim__inner_block(b, N, a, M, D, turned);
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < N; j++) {
            double alone, sum = 0;
            csim__inner_block(a + i * D, 1, b + j * D, 1, D, &alone);
            for (int k = 0; k < D; k++) { sum += a[i * D + k] * b[j * D + k]; }
            assert_true(alone == out[i * N + j] && alone == turned[j * M + i]);
            assert_true(fabs(alone - sum) < 1e-13);
        }
    }
}

static void sorted_by_key(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    csim__keyed list[COUNT], other[COUNT];
    uint64_t key = 1;
    for (int i = 0; i < COUNT; i++) {
        key = key * 6364136223846793005u + 1442695040888963407u;
        list[i] = (csim__keyed){i % 3 ? key : key % 7, i};
    }
    const csim__keyed *sorted = csim__sort_keyed(list, other, COUNT);
    for (int i = 1; i < COUNT; i++) {
        assert_true(sorted[i - 1].key < sorted[i].key ||
                    (sorted[i - 1].key == sorted[i].key && sorted[i - 1].from < sorted[i].from));
    }
}

/* The tiles of all ranks together are all pairs, and as many as was foretold. */
static void tiles_of_ranks(void **state)
{
    (void)state;
    static const int64_t examples[] = {5, 130, 700, 1300};
    csim_context *ctx = harness_context();
    for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
        csim__triangles t;
        assert_int_equal(csim__triangles_start(ctx, examples[k], &t), CSIM_OK);
        int64_t sum = t.length;
        assert_true(t.patches <= t.room);
        assert_int_equal(t.length, csim__ring_pairs(&t.shard));
        MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT64_T, MPI_SUM, csim_context_comm(ctx));
        assert_int_equal(sum, examples[k] * (examples[k] - 1) / 2);
        csim__triangles_clear(&t);
    }
    harness_context_free(&ctx);
}

/* The class of a pair of examples, of @p classes, and its value: what is equal is parted by rounding. */
static int class_of(int64_t i, int64_t j, int classes)
{
    return (int)((i * 7919 + j * 104729) % 1000003 % classes);
}

static double rounded(int64_t i, int64_t j, int class, bool angle)
{
    int64_t noise = (i * 31 + j * 17) % 41 - 20;
    double value = 0.07 + 0.0017 * class;
    return angle ? value + (double)noise * 0x1p-52 : value * (1 + (double)noise * 0x1p-48);
}

/* Every entry of a rank, in order. @p value: NULL, or what each must be by @p start, the number of entries
 * of lower classes. Returns entries whose rank is another. */
static int64_t walk(const csim__triangles *t, int classes, bool angle, const int64_t *start,
                    double *value)
{
    int64_t wrong = 0;
    for (int64_t p = 0; p < t->patches; p++) {
        const csim__patch *tile = &t->patch[p];
        double *at = value + tile->at;
        for (int64_t i = tile->row; i < tile->row + tile->m; i++) {
            for (int64_t j = tile->diagonal ? i + 1 : tile->col; j < tile->col + tile->n; j++) {
                int class = class_of(i, j, classes);
                if (start == NULL) {
                    *at++ = rounded(i, j, class, angle);
                } else {
                    wrong += *at++ != (double)(start[class] + start[class + 1] - t->all);
                }
            }
        }
    }
    return wrong;
}

/* Ranks of what is equal but for rounding, wherever it lies: the same for all of a class, also where it
 * fills the ranges of several ranks. */
static void ranks_of_ties(void **state)
{
    enum { MOST = 900 };
    static const int many[] = {1, 2, 7, MOST};
    csim_context *ctx = harness_context();
    (void)state;
    for (int k = 0; k < 8; k++) {
        int classes = many[k / 2];
        bool angle = k % 2 == 0;
        int64_t start[MOST + 1] = {0};
        double *value = NULL;
        csim__triangles t;
        assert_int_equal(csim__triangles_start(ctx, 300, &t), CSIM_OK);
        assert_int_equal(csim__alloc(ctx, t.length, sizeof *value, "entries", &value), CSIM_OK);
        for (int64_t i = 0; i < 300; i++) {
            for (int64_t j = i + 1; j < 300; j++) { start[class_of(i, j, classes) + 1]++; }
        }
        for (int c = 0; c < classes; c++) { start[c + 1] += start[c]; }
        walk(&t, classes, angle, NULL, value);
        csim_matrix matrix = angle ? CSIM_FAR_CENTRED : CSIM_FAR;
        assert_int_equal(csim__triangles_rank(&t, matrix, value), CSIM_OK);
        assert_int_equal(walk(&t, classes, angle, start, value), 0);
        csim__free(ctx, &value);
        csim__triangles_clear(&t);
    }
    harness_context_free(&ctx);
}

static int by_value(const void *a, const void *b)
{
    double u = *(const double *)a, v = *(const double *)b;
    return (u > v) - (u < v);
}

/* Medians against a sort: spread out, in two clumps whose gap holds the middle, and mostly ties. */
static void medians(void **state)
{
    (void)state;
    enum { N = 290, CASES = 4 };
    csim_context *ctx = harness_context();
    csim_shard shard = my_shard(ctx, N);
    csim__meter meter = quiet(ctx);
    double *all = ref_alloc((int64_t)N * N, sizeof *all), x[N], noise[N];
    ref_random_matrix(33, N, 1, noise);
    for (int k = 0; k < CASES; k++) {
        double found[2];
        int64_t many = 0, entry = (int64_t)N * N;
        for (int i = 0; i < N; i++) {
            x[i] = k == 0 ? noise[i] : k == 1 ? noise[i] + 1000 * (i < 140) : k == 2 ? i % 2 : 0;
            /* what the sample sees, at even steps, is not what there is most of */
            if (k == 3) { x[i] = i * 256 / N != (i + 1) * 256 / N ? noise[i] : 5 * noise[i]; }
        }
        csim__site site = make_site(ctx, &shard, x, 1, false), *list = &site;
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < i; j++) { all[many++] = fabs(x[i] - x[j]); }
        }
        qsort(all, (size_t)many, sizeof *all, by_value);
        double plain = (all[(many - 1) / 2] + all[many / 2]) / 2;
        /* all entries are n zeros, and each pair twice */
        double diagonal = (all[((entry - 1) / 2 - N) / 2] + all[(entry / 2 - N) / 2]) / 2;
        double *to[2] = {&found[0], &found[1]};
        const bool want[2] = {true, true};
        assert_int_equal(csim__medians(ctx, &shard, &list, 1, want, to, &meter), CSIM_OK);
        assert_true(fabs(found[0] - plain) <= 1e-9 * fmax(plain, 1e-3));
        assert_true(fabs(found[1] - diagonal) <= 1e-9 * fmax(diagonal, 1e-3));
        csim__site_release(ctx, &site);
    }
    free(all);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_products),   cmocka_unit_test(gram_products),
        cmocka_unit_test(inner_products),   cmocka_unit_test(bases),
        cmocka_unit_test(assignments),      cmocka_unit_test(exponentials),
        cmocka_unit_test(products_of_rows), cmocka_unit_test(sorted_by_key),
        cmocka_unit_test(tiles_of_ranks),   cmocka_unit_test(ranks_of_ties),
        cmocka_unit_test(medians),
    };
    return harness_finish(cmocka_run_group_tests_name("ingredients", tests, NULL, NULL));
}
