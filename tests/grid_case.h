/* Grids of every shape, and matrices whose decompositions on them are compared with LAPACK's. */
#ifndef GRID_CASE_H
#define GRID_CASE_H

#include "harness.h"

#include "linalg/dense.h"
#include "linalg/grid.h"
#include "reference.h"

#define SCALE_ERROR 1e-10 /* of the largest singular value */

/* Does this rank lead a grid? */
bool leads(const csim__grid *g);

/* A function run on every grid of every shape that this job has ranks for, with small blocks, which
 * spread small matrices, and with the usual ones. Ranks that are in no grid skip it. */
void on_grids(void (*run)(csim__grid *));

typedef struct shape {
    int m, n, rank; /* rank 0: full */
} shape;

enum { CASE_SHAPES = 14 };
extern const shape shapes[CASE_SHAPES];

/* The same on all ranks of a grid, another on each grid. */
double *make_matrix(const csim__grid *g, const shape *l, uint64_t seed);

/* LAPACK's singular values of the same matrix. */
double *expected_values(const csim__grid *g, const shape *l, const double *a);

void near(int k, const double *got, const double *expected, double tolerance);

/* Are A = Σ s_i u_i v_i and the vectors orthonormal? u by rows or by columns, v by rows. */
void check_vectors(const shape *l, const double *a, const double *s, const double *u, bool u_rows,
                   const double *v);

#endif
