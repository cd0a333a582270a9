#include "grid_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool leads(const csim__grid *g)
{
    return g->ctx != NULL && csim_context_rank(g->ctx) == 0;
}

/* A function run on every grid of every shape that this job has ranks for, with small blocks, which
 * spread small matrices, and with the usual ones. Ranks that are in no grid skip it. */
void on_grids(void (*run)(csim__grid *))
{
    static const int blocks[] = {3, CSIM__GRID_BLOCK};
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx);
    for (int p = 1; p <= size; p++) {
        for (int q = 1; p * q <= size; q++) {
            csim__grid *g = NULL;
            assert_int_equal(csim__grid_create(ctx, p, q, &g), CSIM_OK);
            for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
                g->block = blocks[b];
                if (g->ctx != NULL) { run(g); }
            }
            csim__grid_free(&g);
            assert_null(g);
        }
    }
    harness_context_free(&ctx);
}

const shape shapes[CASE_SHAPES] = {
    {1, 1, 0},   {1, 6, 0},    {6, 1, 0},    {2, 2, 0},   {5, 5, 0},   {20, 33, 0},  {33, 20, 0},
    {64, 64, 0}, {65, 130, 0}, {130, 65, 0}, {96, 96, 0}, {70, 90, 9}, {90, 70, 11}, {100, 100, 1}};

/* The same on all ranks of a grid, another on each grid. */
double *make_matrix(const csim__grid *g, const shape *l, uint64_t seed)
{
    int m = l->m, n = l->n, r = l->rank;
    double *a = ref_alloc((int64_t)m * n, sizeof *a);
    seed += 100 * (uint64_t)(g->group + 1);
    if (r == 0) {
        ref_random_matrix(seed, m, n, a);
        return a;
    }
    double *x = ref_alloc((int64_t)m * r, sizeof *x), *y = ref_alloc((int64_t)r * n, sizeof *y);
    ref_random_matrix(seed, m, r, x);
    ref_random_matrix(seed + 1, r, n, y);
    csim__gemm_nn(m, n, r, x, r, y, n, a, n);
    free(x);
    free(y);
    return a;
}

/* LAPACK's singular values of the same matrix. */
double *expected_values(const csim__grid *g, const shape *l, const double *a)
{
    int k = l->m < l->n ? l->m : l->n;
    size_t bytes = (size_t)l->m * (size_t)l->n * sizeof *a;
    double *copy = ref_alloc((int64_t)l->m * l->n, sizeof *copy), *s = ref_alloc(k, sizeof *s);
    memcpy(copy, a, bytes);
    assert_int_equal(csim__svd(g->whole, CSIM__VALUES, l->m, l->n, copy, s, NULL, NULL), CSIM_OK);
    free(copy);
    return s;
}

void near(int k, const double *got, const double *expected, double tolerance)
{
    for (int i = 0; i < k; i++) {
        if (!(fabs(got[i] - expected[i]) <= tolerance)) {
            print_error("value %d of %d: found %.17g, expected %.17g\n", i, k, got[i], expected[i]);
            assert_true(false);
        }
    }
}

/* Are A = Σ s_i u_i v_i and the vectors orthonormal? u by columns with a step of @p u_step between
 * the elements of one, v by rows. */
void check_vectors(const shape *l, const double *a, const double *s, const double *u, bool u_rows,
                   const double *v)
{
    int m = l->m, n = l->n, k = m < n ? m : n, r = l->rank > 0 ? l->rank : k;
    int64_t step = u_rows ? 1 : k, next = u_rows ? m : 1;
    double tolerance = SCALE_ERROR * s[0];
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int c = 0; c < k; c++) {
                sum += s[c] * u[c * next + i * step] * v[(int64_t)c * n + j];
            }
            assert_true(fabs(sum - a[(int64_t)i * n + j]) <= tolerance);
        }
    }
    for (int c = 0; c < r; c++) { /* by squares, those of zero values are made of rounding */
        for (int e = 0; e <= c; e++) {
            double of_u = 0, of_v = 0;
            for (int i = 0; i < m; i++) { of_u += u[c * next + i * step] * u[e * next + i * step]; }
            for (int j = 0; j < n; j++) { of_v += v[(int64_t)c * n + j] * v[(int64_t)e * n + j]; }
            assert_true(fabs(of_u - (c == e)) < 1e-6 && fabs(of_v - (c == e)) < 1e-6);
        }
    }
}
