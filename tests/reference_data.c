/* Golden values and matrices for tests, see reference.h. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TWO_PI 6.283185307179586476925287

/* ---- golden values ---- */

#define DEFAULTS                                                                                   \
    {                                                                                              \
        .svcca_variance = 0.99, .svcca_dims = 0, .pwcca_side = REF_SIDE_X, .gulp_lambda = 0.0,     \
        .rank_floor = 1e-10                                                                        \
    }

#define NEIGHBOURS(k)                                                                              \
    {                                                                                              \
        .neighbours = k                                                                            \
    }

const ref_golden ref_golden_values[] = {
    {"cka", "", DEFAULTS, false, 6, 0.605956410735775},
    {"cka_debiased", "", DEFAULTS, false, 6, 0.537942948972069},
    {"cka_lange", "", DEFAULTS, false, 6, 0.540366525155478},
    {"hsic", "", DEFAULTS, false, 6, 0.0177699238181027},
    {"cca_mean", "", DEFAULTS, false, 6, 0.802017634829599},
    {"cca_r2", "", DEFAULTS, false, 6, 0.651670044181725},
    {"svcca", "", DEFAULTS, false, 6, 0.802017634829599},
    {"pwcca", "", DEFAULTS, false, 6, 0.803178848530548},
    {"pwcca", "Y first", DEFAULTS, true, 6, 0.81144521878127},
    {"linreg", "", DEFAULTS, false, 6, 0.56074140320628},
    {"linreg", "Y on X", DEFAULTS, true, 6, 0.685917821073126},
    {"procrustes", "", DEFAULTS, false, 6, 2.52247610140008},
    {"ortho_procrustes", "", DEFAULTS, false, 6, 0.717122998564421},
    {"angular", "", DEFAULTS, false, 6, 0.733452942004382},
    {"nbs", "", DEFAULTS, false, 6, 0.742867302464987},
    {"eos", "", DEFAULTS, false, 6, 0.543086931880156},
    {"gulp", "", DEFAULTS, false, 6, 4.48329955818275},
    {"dot", "first 5 columns of X", DEFAULTS, false, 5, 0.270299185373942},
    {"norm", "first 5 columns of X", DEFAULTS, false, 5, 0.37740438759783},
    {"align_cos", "", DEFAULTS, false, 6, 0.736717216018691},
    {"hard_corr", "", DEFAULTS, false, 6, 0.78128301369561},
    {"soft_corr", "", DEFAULTS, false, 6, 0.733581063288325},
    {"perm_procrustes", "", DEFAULTS, false, 6, 2.71417824742303},
    {"nngs", "", DEFAULTS, false, 6, 0.42823215656033},
    {"nngs", "k = 3", NEIGHBOURS(3), false, 6, 0.136666666666667},
    {"nngs", "k = 0.2", NEIGHBOURS(6), false, 6, 0.28020202020202},
    {"jaccard", "", DEFAULTS, false, 6, 0.482413501531148},
    {"mutual_knn", "", DEFAULTS, false, 6, 0.636666666666667},
    {"cycle_knn", "", DEFAULTS, false, 6, 1},
    {"lcs_knn", "", DEFAULTS, false, 6, 3.33333333333333},
    {"edit_knn", "", DEFAULTS, false, 6, 0.136666666666667},
    {"cknna", "", DEFAULTS, false, 6, 0.663166403646997},
    {"rank_sim", "", DEFAULTS, false, 6, 0.265389345048471},
    {"second_cos", "", DEFAULTS, false, 6, 0.830157551786054},
};

int ref_golden_count(void)
{
    return (int)(sizeof ref_golden_values / sizeof ref_golden_values[0]);
}

static double golden_uniform(uint64_t *state)
{
    *state = (*state * 1103515245u + 12345u) % 2147483648u;
    return (double)*state / 2147483648.0;
}

void ref_golden_data(double *x, double *y)
{
    uint64_t state = 12345;
    for (int i = 0; i < REF_GOLDEN_N * REF_GOLDEN_D; i++) x[i] = golden_uniform(&state) - 0.5;
    for (int i = 0; i < REF_GOLDEN_N; i++)
        for (int j = 0; j < REF_GOLDEN_E; j++)
            y[i * REF_GOLDEN_E + j] =
                0.7 * x[i * REF_GOLDEN_D + j] + 0.5 * (golden_uniform(&state) - 0.5);
}

void ref_golden_arguments(const ref_golden *g, double *a, int *d, double *b, int *e)
{
    double x[REF_GOLDEN_N * REF_GOLDEN_D], y[REF_GOLDEN_N * REF_GOLDEN_E];
    ref_golden_data(x, y);
    double *to_x = g->y_first ? b : a, *to_y = g->y_first ? a : b;
    for (int i = 0; i < REF_GOLDEN_N; i++)
        for (int j = 0; j < g->x_cols; j++) to_x[i * g->x_cols + j] = x[i * REF_GOLDEN_D + j];
    memcpy(to_y, y, sizeof y);
    *d = g->y_first ? REF_GOLDEN_E : g->x_cols;
    *e = g->y_first ? g->x_cols : REF_GOLDEN_E;
}

/* ---- random matrices ---- */

/* splitmix64 (Steele 2014), mapped to (0, 1). */
static double uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) / 9007199254740992.0;
}

void ref_random_matrix(uint64_t seed, int n, int d, double *out)
{
    uint64_t state = seed;
    for (int64_t i = 0; i < (int64_t)n * d; i++) {
        /* Box and Muller; the second number of each pair is not used. */
        double radius = sqrt(-2.0 * log(uniform(&state)));
        out[i] = radius * cos(TWO_PI * uniform(&state));
    }
}

/* Makes the columns of a [n, k] orthonormal: Gram and Schmidt, twice, which is QR to full
 * accuracy. Columns of mean 0 keep it. */
static void orthonormalise(double *a, int n, int k)
{
    for (int j = 0; j < k; j++) {
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < j; i++) {
                long double dot = 0.0L;
                for (int m = 0; m < n; m++)
                    dot += (long double)a[(int64_t)m * k + i] * a[(int64_t)m * k + j];
                for (int m = 0; m < n; m++)
                    a[(int64_t)m * k + j] -= (double)(dot * a[(int64_t)m * k + i]);
            }
        long double norm = 0.0L;
        for (int m = 0; m < n; m++)
            norm += (long double)a[(int64_t)m * k + j] * a[(int64_t)m * k + j];
        norm = sqrtl(norm);
        for (int m = 0; m < n; m++) a[(int64_t)m * k + j] = (double)(a[(int64_t)m * k + j] / norm);
    }
}

/* The i-th of k singular values, see ref_conditioned_matrix(); works on −log σ. */
static double spaced_sigma(int i, int k, double cond, bool gap)
{
    double last = log(cond), before = -log(4e-5), after = -log(2e-6);
    if (!gap || last <= before) return k > 1 ? exp(-last * i / (k - 1)) : 1.0;
    double length = last > after ? last - (after - before) : before;
    double at = k > 1 ? length * i / (k - 1) : 0.0;
    /* The slack keeps a position that should equal the edge on its near side. */
    return exp(-(at > before * (1.0 + 1e-12) ? at + (after - before) : at));
}

void ref_conditioned_matrix(uint64_t seed, int n, int d, double cond, bool gap, double *out)
{
    int k = n - 1 < d ? n - 1 : d;
    double *raw = ref_alloc((int64_t)n * k, sizeof *raw);
    double *right = ref_alloc((int64_t)d * k, sizeof *right);
    ref_random_matrix(seed, n, k, raw);
    ref_random_matrix(seed ^ 0x5851f42d4c957f2du, d, k, right);
    /* Left vectors orthogonal to (1, …, 1), so that centring the product changes nothing. */
    double *left = ref_centre(raw, n, k);
    orthonormalise(left, n, k);
    orthonormalise(right, d, k);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < d; j++) {
            long double sum = 0.0L;
            for (int m = 0; m < k; m++)
                sum += (long double)left[(int64_t)i * k + m] * spaced_sigma(m, k, cond, gap) *
                       right[(int64_t)j * k + m];
            out[(int64_t)i * d + j] = (double)sum;
        }
    free(raw);
    free(left);
    free(right);
}
