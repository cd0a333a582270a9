/* Time and digits of decompositions on one rank and on the grids that this job has ranks for:
 *     bench_grid [SIZE]...
 * One line a method: seconds (the least of the rounds), the error of the sum of the singular values
 * relative to it, and the largest error of a value in units of the largest; the reference are the
 * singular values of LAPACK's divide and conquer. Not a test: docs/studies/decompositions.md. */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/pdense.h"

enum { ROUNDS = 3 };

typedef enum method { VALUES, SQUARES, VECTORS, SQUARE_VECTORS, METHODS } method;

static const char *const names[] = {"values", "values by squares", "vectors", "vectors by squares"};

static void check(csim_status st, csim_context *ctx)
{
    if (st == CSIM_OK) { return; }
    fprintf(stderr, "bench_grid: %s\n", csim_context_error(ctx));
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Like the product of two layers: columns whose size falls off as 1/j. */
static void fill(int n, double *a)
{
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < 4; k++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                sum += (double)(x >> 11) * 0x1p-53 - 0.5;
            }
            a[(int64_t)i * n + j] = sum / (1 + j);
        }
    }
}

static bool by_squares(method m)
{
    return m == SQUARES || m == SQUARE_VECTORS;
}

static double on_one(csim_context *ctx, method m, int n, const double *a, double *s)
{
    bool vectors = m >= VECTORS;
    double *copy = NULL, *u = NULL, *v = NULL;
    int64_t count = (int64_t)n * n;
    csim__doubt doubt;
    csim__want want = vectors ? CSIM__VECTORS : CSIM__VALUES;
    check(csim__alloc(ctx, count, sizeof *copy, "a copy", &copy), ctx);
    check(csim__alloc(ctx, vectors ? count : 0, sizeof *u, "u", &u), ctx);
    check(csim__alloc(ctx, vectors ? count : 0, sizeof *v, "v", &v), ctx);
    memcpy(copy, a, (size_t)count * sizeof *copy);
    double start = csim__now();
    check(by_squares(m) ? csim__svd_by_squares(ctx, want, n, n, copy, s, u, v, &doubt)
                        : csim__svd(ctx, want, n, n, copy, s, u, v),
          ctx);
    double took = csim__now() - start;
    csim__free(ctx, &v);
    csim__free(ctx, &u);
    csim__free(ctx, &copy);
    return took;
}

/* With the way from one rank into the grid, and of vectors back. */
static double on_grid(csim__grid *g, method m, int n, double *a, double *s)
{
    bool vectors = m >= VECTORS;
    csim__dealt x, u = {.grid = NULL}, v = {.grid = NULL};
    csim__doubt doubt;
    csim__want want = vectors ? CSIM__VECTORS : CSIM__VALUES;
    double *whole = NULL;
    check(csim__alloc(g->ctx, vectors ? 2 * (int64_t)n * n : 0, sizeof *whole, "vectors", &whole),
          g->ctx);
    MPI_Barrier(csim_context_comm(g->ctx));
    double start = csim__now();
    check(csim__dealt_make(g, n, n, "a matrix", &x), g->ctx);
    if (vectors) {
        check(csim__dealt_make(g, n, n, "u", &u), g->ctx);
        check(csim__dealt_make(g, n, n, "v", &v), g->ctx);
    }
    check(csim__dealt_scatter(&x, a), g->ctx);
    check(by_squares(m) ? csim__pd_svd_by_squares(want, &x, s, &u, &v, &doubt)
          : vectors     ? csim__pd_svd(&x, s, &u, &v, whole, whole + (int64_t)n * n)
                        : csim__pd_singular_values(&x, s),
          g->ctx);
    if (vectors) {
        check(csim__dealt_gather(&u, whole), g->ctx);
        check(csim__dealt_gather(&v, whole), g->ctx);
    }
    MPI_Barrier(csim_context_comm(g->ctx));
    double took = csim__now() - start;
    csim__dealt_clear(&v);
    csim__dealt_clear(&u);
    csim__dealt_clear(&x);
    csim__free(g->ctx, &whole);
    return took;
}

static void report(int n, const char *where, method m, double took, const double *s,
                   const double *reference)
{
    double sum = 0, off = 0, most = 0;
    for (int i = 0; i < n; i++) {
        sum += reference[i];
        off += s[i] - reference[i];
        most = fmax(most, fabs(s[i] - reference[i]));
    }
    printf("%6d  %-9s %-20s %9.3f s   sum %8.1e   largest %8.1e\n", n, where, names[m], took,
           fabs(off) / sum, most / reference[0]);
    fflush(stdout);
}

static void measure(csim_context *ctx, int n)
{
    int rank = csim_context_rank(ctx), size = csim_context_size(ctx);
    double *a = NULL, *s = NULL, *reference = NULL;
    check(csim__alloc(ctx, (int64_t)n * n, sizeof *a, "a matrix", &a), ctx);
    check(csim__alloc(ctx, n, sizeof *s, "values", &s), ctx);
    check(csim__alloc(ctx, n, sizeof *reference, "values", &reference), ctx);
    fill(n, a);
    (void)on_one(ctx, VALUES, n, a, reference);
    for (int p = 0; p <= size; p++) { /* p = 0: LAPACK */
        char where[32] = "LAPACK";
        csim__grid *g = NULL;
        if (p > 0 && size % p != 0) { continue; }
        if (p > 0) {
            snprintf(where, sizeof where, "%d x %d", p, size / p);
            check(csim__grid_create(ctx, p, size / p, &g), ctx);
        }
        for (int m = 0; m < METHODS; m++) {
            double best = INFINITY;
            for (int r = 0; r < ROUNDS; r++) {
                double took = g != NULL   ? on_grid(g, (method)m, n, a, s)
                              : rank == 0 ? on_one(ctx, (method)m, n, a, s)
                                          : 0;
                best = fmin(best, took);
                MPI_Barrier(csim_context_comm(ctx));
            }
            if (rank == 0) { report(n, where, (method)m, best, s, reference); }
        }
        csim__grid_free(&g);
    }
    csim__free(ctx, &reference);
    csim__free(ctx, &s);
    csim__free(ctx, &a);
}

int main(int argc, char **argv)
{
    csim_context *ctx = NULL;
    MPI_Init(&argc, &argv);
    if (csim_context_create(MPI_COMM_WORLD, &ctx) != CSIM_OK) { MPI_Abort(MPI_COMM_WORLD, 1); }
    for (int i = 1; i < argc; i++) { measure(ctx, atoi(argv[i])); }
    csim_context_free(&ctx);
    MPI_Finalize();
    return 0;
}
