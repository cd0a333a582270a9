/** Textbook references of the linear, the matching and the neighbour family, for tests only.
 *
 *  Every measure is written out from its definition: column means in long double, explicit n×n
 *  Gram matrices where the definition has them, LAPACK's SVD of the centred matrix itself, plain
 *  double loops. Nothing here is shared with the library under test, and none of its shortcuts
 *  (feature-side identities, bases from Cholesky factors, chunked sums) are used.
 *
 *  All matrices are row-major. x is [n, d], y is [n, e], row i of both is the same example.
 *  An undefined value is NaN. The first argument is "X" of the definition.
 *  Needs LAPACK and BLAS; aborts when memory runs out.
 */
#ifndef CSIM_TESTS_REFERENCE_H
#define CSIM_TESTS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { REF_SIDE_X, REF_SIDE_Y, REF_SIDE_MEAN } ref_side;

typedef enum { REF_METRIC_DEFAULT, REF_COSINE, REF_EUCLIDEAN, REF_INNER } ref_metric;

typedef struct {
    double svcca_variance; /* share of Σσ² that svcca keeps, reached inclusively */
    int svcca_dims;        /* > 0: svcca keeps so many directions instead (at most the rank) */
    ref_side pwcca_side;   /* whose canonical variables weigh the correlations */
    double gulp_lambda;    /* ridge; 0 = pseudo-inverse */
    int neighbours;        /* 0: 10, or all others where there are fewer */
    ref_metric metric;
    bool normalise;    /* nngs, jaccard: 0 stands for chance */
    double rank_floor; /* directions with σ² ≤ rank_floor·σ₁² do not count */
} ref_options;

/** 0.99, 0, REF_SIDE_X, 0, 0, REF_METRIC_DEFAULT, false, 1e-10. */
extern const ref_options ref_default_options;

/** One measure; o == NULL stands for the defaults. */
typedef double (*ref_fn)(const double *x, const double *y, int n, int d, int e,
                         const ref_options *o);

typedef struct {
    const char *name;
    ref_fn fn;
    bool asymmetric;   /* fn(x, y) ≠ fn(y, x) in general */
    bool equal_widths; /* defined for d == e only, else NaN */
    bool distance;     /* smaller = more similar */
} ref_measure;

extern const ref_measure ref_measures[];
int ref_measure_count(void);
const ref_measure *ref_find(const char *name); /* NULL when there is none of that name */

/* Linear family. */
double ref_cka(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_cka_debiased(const double *x, const double *y, int n, int d, int e,
                        const ref_options *o);
double ref_cka_lange(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_hsic(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_cca_mean(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_cca_r2(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_svcca(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_pwcca(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_linreg(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_procrustes(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_ortho_procrustes(const double *x, const double *y, int n, int d, int e,
                            const ref_options *o);
double ref_angular(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_nbs(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_eos(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_gulp(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_dot(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_norm(const double *x, const double *y, int n, int d, int e, const ref_options *o);

/* Matching family. */
double ref_align_cos(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_hard_corr(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_soft_corr(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_perm_procrustes(const double *x, const double *y, int n, int d, int e,
                           const ref_options *o);

/* Neighbour family. */
double ref_nngs(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_jaccard(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_mutual_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_cycle_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_lcs_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_edit_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_cknna(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_rank_sim(const double *x, const double *y, int n, int d, int e, const ref_options *o);
double ref_second_cos(const double *x, const double *y, int n, int d, int e, const ref_options *o);
/** Neighbours of each of n rows that the options mean. */
int ref_neighbours(int n, const ref_options *o);

/* Tools the measures are written with. */

/** a = u · diag(s) · vt, thin: k = min(rows, cols), s falling. Owns its arrays. */
typedef struct {
    int rows, cols, k;
    double *u;  /* [rows, k] */
    double *s;  /* [k] */
    double *vt; /* [k, cols] */
} ref_svd;

/** SVD of a [rows, cols] by dgesvd; false when it does not converge (nothing to free then). */
bool ref_svd_make(const double *a, int rows, int cols, ref_svd *out);
void ref_svd_free(ref_svd *f);
/** Number of σ with σ² > floor·σ₁²; 0 for a zero matrix. */
int ref_svd_rank(const ref_svd *f, double floor);
/** New x minus its column means, [n, d]; a constant column becomes exactly 0. Caller frees. */
double *ref_centre(const double *x, int n, int d);
/** New aᵀb, [p, q], of a [n, p] and b [n, q]. Caller frees. */
double *ref_cross(const double *a, const double *b, int n, int p, int q);
/** Assignment of largest total weight of w [rows, cols]: min(rows, cols) pairs, all of them made
 *  even where weights are negative. col_of_row[i] = −1 for a row left over. O(rows²·cols). */
void ref_assign_max(const double *w, int rows, int cols, int *col_of_row);
/** Zeroed memory or abort. */
void *ref_alloc(int64_t count, int64_t size);

/* Data. */

#define REF_GOLDEN_N 30
#define REF_GOLDEN_D 6
#define REF_GOLDEN_E 5

/** The golden pair: x [30, 6], y [30, 5], of the stream s ← (s·1103515245 + 12345) mod 2³¹. */
void ref_golden_data(double *x, double *y);

typedef struct {
    const char *measure;
    const char *variant; /* empty, or what differs from a plain call, in words */
    ref_options options;
    bool y_first; /* the call is measure(Y, X) */
    int x_cols;   /* X is cut to its first x_cols columns */
    double value;
} ref_golden;

extern const ref_golden ref_golden_values[];
int ref_golden_count(void);
/** The two arguments of that call, in order: a [30, *d], b [30, *e]; both hold 30·6 numbers. */
void ref_golden_arguments(const ref_golden *g, double *a, int *d, double *b, int *e);

/** Standard normal numbers; the same ones for the same seed and n·d. */
void ref_random_matrix(uint64_t seed, int n, int d, double *out);

/** A matrix whose *centred* form has the k = min(n−1, d) singular values spaced evenly in the
 *  logarithm from 1 down to 1/cond (the columns have mean 0 already), in random directions.
 *  With gap, none of them lies between 2e-6 and 4e-5, so that programs that differ in rounding
 *  agree on the rank at the floor 1e-10 of σ²; the spacing jumps over it. Where 1/cond itself would
 *  lie in the gap the smallest is 4e-5. Needs n ≥ 2. */
void ref_conditioned_matrix(uint64_t seed, int n, int d, double cond, bool gap, double *out);

#endif
