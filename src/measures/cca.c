/* Canonical correlations and what is built on the bases: M = UₓᵀU_y and the singular values. */
#include <math.h>
#include <stddef.h>

#include "linalg/dense.h"
#include "measures/measures.h"

typedef struct svcca_options {
    double variance;
    int64_t dims;
} svcca_options;

static const csim_option svcca_table[] = {
    {.name = "variance",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(svcca_options, variance),
     .fallback = "0.99",
     .min = 0,
     .max = 1,
     .metavar = "SHARE",
     .help = "share of the variance that the kept directions of a layer explain"},
    {.name = "dims",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(svcca_options, dims),
     .fallback = "0",
     .min = 0,
     .max = 1e9,
     .metavar = "COUNT",
     .help = "keep this many directions instead; 0 = by variance"},
    {.name = NULL},
};

enum { SIDE_X, SIDE_Y, SIDE_MEAN };

typedef struct pwcca_options {
    int side;
} pwcca_options;

static const csim_option pwcca_table[] = {
    {.name = "side",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(pwcca_options, side),
     .fallback = "x",
     .choices = "x|y|mean",
     .help = "layer whose neurons weigh the correlations: first argument, second, or both"},
    {.name = NULL},
};

typedef struct gulp_options {
    double lambda;
} gulp_options;

static const csim_option gulp_table[] = {
    {.name = "lambda",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(gulp_options, lambda),
     .fallback = "0",
     .min = 0,
     .max = 1e300,
     .metavar = "LAMBDA",
     .help = "ridge penalty on covariances of unit trace; 0 = pseudo-inverse"},
    {.name = NULL},
};

/* Correlations of the leading directions, checked and clipped to [0,1]. *ok = false: out is set. */
static csim_status correlations(csim_pair *pair, int k_x, int k_y, double **rho, int *count,
                                bool *ok, csim_value *out)
{
    int r0 = pair->site[0]->basis.r, r1 = pair->site[1]->basis.r;
    *ok = false;
    csim_status st = csim__alloc(pair->ctx, r0 < r1 ? r0 : r1, sizeof **rho, "correlations", rho);
    if (st == CSIM_OK) { st = csim__pair_correlations(pair, k_x, k_y, *rho, count); }
    if (st != CSIM_OK) { return st; }
    *ok = true;
    for (int i = 0; i < *count; i++) {
        if ((*rho)[i] > 1 + CSIM__EDGE) {
            *ok = false;
            return csim__out_of_range(out);
        }
        if ((*rho)[i] > 1) { (*rho)[i] = 1; }
    }
    return CSIM_OK;
}

static csim_status mean_power(csim_pair *pair, int k_x, int k_y, int power, csim_value *out)
{
    double *rho = NULL, sum = 0;
    int count = 0;
    bool ok;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    csim_status st = correlations(pair, k_x, k_y, &rho, &count, &ok, out);
    if (st == CSIM_OK && ok) {
        for (int i = 0; i < count; i++) { sum += power == 2 ? rho[i] * rho[i] : rho[i]; }
        st = csim__done(out, sum / count);
    }
    csim__free(pair->ctx, &rho);
    return st;
}

static csim_status cca_mean(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    return mean_power(pair, -1, -1, 1, out);
}

static csim_status cca_r2(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    return mean_power(pair, -1, -1, 2, out);
}

/* Directions that reach the share of the variance, inclusive; never more than the rank. */
static int kept(const csim__basis *b, const svcca_options *o)
{
    if (o->dims > 0) { return o->dims < b->r ? (int)o->dims : b->r; }
    double total = csim__dot(b->q, b->sigma, b->sigma), sum = 0;
    int k = 0;
    while (k < b->r && (k == 0 || sum < o->variance * total)) {
        sum += b->sigma[k] * b->sigma[k];
        k++;
    }
    return k;
}

static csim_status svcca(csim_pair *pair, const void *options, csim_value *out)
{
    const svcca_options *o = options;
    return mean_power(pair, kept(&csim__pair_site(pair, 0)->basis, o),
                      kept(&csim__pair_site(pair, 1)->basis, o), 1, out);
}

/* Σα_iρ_i/Σα_i with α_i = Σ_j |⟨h_i, x̃_j⟩|: h_i = U w_i, so ⟨h_i, X̃⟩ = w_iᵀ Σ Vᵀ. */
static csim_status weighted(csim_pair *pair, int side, const double *rho, int count, double *value)
{
    const csim__site *s = csim__pair_site(pair, side);
    int r = s->basis.r, d = (int)s->d;
    const double *vectors;
    double *project = NULL, sum = 0, weights = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__pair_canonical(pair, side, &vectors, &count));
    CSIM_TRY(csim__alloc(pair->ctx, (int64_t)count * d, sizeof *project, "projections", &project));
    csim__gemm_nn(count, d, r, vectors, r, s->basis.loading, d, project, d);
    for (int i = 0; i < count; i++) {
        double alpha = 0;
        for (int j = 0; j < d; j++) { alpha += fabs(project[(int64_t)i * d + j]); }
        sum += alpha * rho[i];
        weights += alpha;
    }
    *value = sum / weights;
done:
    csim__free(pair->ctx, &project);
    return st;
}

static csim_status pwcca(csim_pair *pair, const void *options, csim_value *out)
{
    const pwcca_options *o = options;
    double *rho = NULL, value[2] = {0, 0};
    int count = 0;
    bool ok, unique = true;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    csim_status st = correlations(pair, -1, -1, &rho, &count, &ok, out);
    if (st != CSIM_OK || !ok) { goto done; }
    if (o->side != SIDE_Y) { CSIM_TRY(weighted(pair, 0, rho, count, &value[0])); }
    if (o->side != SIDE_X) { CSIM_TRY(weighted(pair, 1, rho, count, &value[1])); }
    for (int i = 1; i < count; i++) { unique = unique && rho[i - 1] - rho[i] > 1e-10; }
    double v = o->side == SIDE_MEAN ? (value[0] + value[1]) / 2
               : o->side == SIDE_X  ? value[0]
                                    : value[1];
    st = csim__done_with(out, v, unique ? CSIM_NOTE_NONE : CSIM_NOTE_NOT_UNIQUE);
done:
    csim__free(pair->ctx, &rho);
    return st;
}

/* ‖Q_YᵀX̃‖_F²/‖X̃‖_F²: all directions of X, the kept ones of Y. */
static csim_status linreg(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__basis *x = &csim__pair_site(pair, 0)->basis, *y = &csim__pair_site(pair, 1)->basis;
    double *square = NULL, sum;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    csim_status st = csim__alloc(pair->ctx, x->q, sizeof *square, "variances", &square);
    if (st != CSIM_OK) { return st; }
    for (int i = 0; i < x->q; i++) { square[i] = x->sigma[i] * x->sigma[i]; }
    st = csim__pair_weighted_square(pair, square, x->q, NULL, y->r, &sum);
    if (st == CSIM_OK) { st = csim__bounded(out, sum / csim__pair_variance(pair, 0), 0); }
    csim__free(pair->ctx, &square);
    return st;
}

/* UUᵀ of the kept directions: ones and zeros are its eigenvalues. That of all directions there are is the
 * same for every order of the examples. */
static csim__form projection_of(const csim__site *s)
{
    double n = (double)s->n, r = s->basis.r;
    bool all = r >= n - 1;
    double rows = all ? 0 : fmax(s->basis.leverage - r * r / n, 0); /* ‖δ‖² */
    csim__form form = csim__form_of_centred(n, r, rows, 0);
    form.rest = all ? 0 : r - csim__form_square(&form, n);
    return form;
}

static csim_moments cca_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    const csim__site *x = pair->site[0], *y = pair->site[1];
    csim__form a = projection_of(x), b = projection_of(y);
    int least = x->basis.r < y->basis.r ? x->basis.r : y->basis.r;
    return csim__null_moments(&a, &b, (double)x->n, 1.0 / least, value);
}

static csim_moments linreg_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    const csim__site *x = csim__pair_site(pair, 0), *y = csim__pair_site(pair, 1);
    csim__form a = csim__form_of_site(x), b = projection_of(y);
    return csim__null_moments(&a, &b, (double)x->n, 1 / csim__pair_variance(pair, 0), value);
}

/* Weights p/(p+λ) of the directions of a covariance of unit trace, p = σ²/Σσ². With λ = 0 the
 * pseudo-inverse: 1 for the kept directions. */
static int shrinkage(const csim__basis *b, double lambda, double *weight)
{
    double total = csim__dot(b->q, b->sigma, b->sigma);
    int count = lambda > 0 ? b->q : b->r;
    for (int i = 0; i < count; i++) {
        double p = b->sigma[i] * b->sigma[i] / total;
        weight[i] = p / (p + lambda);
    }
    return count;
}

static csim_status gulp(csim_pair *pair, const void *options, csim_value *out)
{
    const gulp_options *o = options;
    const csim__basis *x = &csim__pair_site(pair, 0)->basis, *y = &csim__pair_site(pair, 1)->basis;
    double *p = NULL, *q = NULL, cross;
    csim_status st = CSIM_OK;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    CSIM_TRY(csim__alloc(pair->ctx, x->q, sizeof *p, "weights", &p));
    CSIM_TRY(csim__alloc(pair->ctx, y->q, sizeof *q, "weights", &q));
    int rows = shrinkage(x, o->lambda, p), cols = shrinkage(y, o->lambda, q);
    double own = csim__dot(rows, p, p) + csim__dot(cols, q, q);
    CSIM_TRY(csim__pair_weighted_square(pair, p, rows, q, cols, &cross));
    double value = own - 2 * cross;
    if (value < -CSIM__EDGE * own) {
        csim__out_of_range(out);
    } else {
        csim__done(out, value > 0 ? value : 0);
        out->tie = CSIM__EDGE * own;
    }
done:
    csim__free(pair->ctx, &q);
    csim__free(pair->ctx, &p);
    return st;
}

/* ‖UₓᵀU_y‖_F²/max(d,e) of the uncentred sites, U cut at numerical rank. */
static csim_status eos(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    double sum;
    if (a->raw_square == 0 || b->raw_square == 0) {
        return csim__undefined(out, CSIM_NOTE_CONSTANT);
    }
    csim_status st = csim__pair_raw_square(pair, &sum);
    return st == CSIM_OK ? csim__bounded(out, sum / (double)csim__max64(a->d, b->d), 0) : st;
}

#define LINEAR_PROPS                                                                               \
    (CSIM_UNIT_RANGE | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING |                          \
     CSIM_INVARIANT_TRANSLATION | CSIM_INVARIANT_PERMUTATION)

const csim_measure csim__measure_cca_mean = {
    .name = "cca_mean",
    .doc = "mean canonical correlation over the smaller rank",
    .cite = "Hotelling 1936, Relations between two sets of variates",
    .needs = CSIM_NEEDS_BASIS | CSIM_NEEDS_CANONICAL,
    .props = LINEAR_PROPS | CSIM_SYMMETRIC | CSIM_INVARIANT_LINEAR | CSIM_BIASED,
    .finish = cca_mean,
};

const csim_measure csim__measure_cca_r2 = {
    .name = "cca_r2",
    .doc = "mean squared canonical correlation over the smaller rank",
    .cite = "Hotelling 1936; Kornblith et al. 2019",
    .needs = CSIM_NEEDS_BASIS | CSIM_NEEDS_CANONICAL,
    .props = LINEAR_PROPS | CSIM_SYMMETRIC | CSIM_INVARIANT_LINEAR | CSIM_BIASED,
    .finish = cca_r2,
    .null = cca_null,
};

const csim_measure csim__measure_svcca = {
    .name = "svcca",
    .doc = "mean canonical correlation of the leading principal directions",
    .cite = "Raghu et al. 2017, SVCCA: Singular Vector Canonical Correlation Analysis",
    .needs = CSIM_NEEDS_BASIS | CSIM_NEEDS_CANONICAL,
    .props = LINEAR_PROPS | CSIM_SYMMETRIC | CSIM_BIASED,
    .options = svcca_table,
    .options_size = sizeof(svcca_options),
    .finish = svcca,
};

const csim_measure csim__measure_pwcca = {
    .name = "pwcca",
    .doc = "canonical correlations weighted by how much of a layer each canonical variable carries",
    .cite =
        "Morcos et al. 2018, Insights on representational similarity with canonical correlation",
    .needs = CSIM_NEEDS_BASIS | CSIM_NEEDS_CANONICAL | CSIM_NEEDS_LOADING,
    .props = (CSIM_UNIT_RANGE | CSIM_INVARIANT_SCALING | CSIM_INVARIANT_TRANSLATION |
              CSIM_INVARIANT_PERMUTATION | CSIM_BIASED),
    .options = pwcca_table,
    .options_size = sizeof(pwcca_options),
    .finish = pwcca,
};

const csim_measure csim__measure_linreg = {
    .name = "linreg",
    .doc = "share of the variance of the first layer that a linear map of the second explains",
    .cite = "Kornblith et al. 2019; Hastie et al., The Elements of Statistical Learning",
    .needs = CSIM_NEEDS_BASIS,
    .props = LINEAR_PROPS | CSIM_BIASED,
    .finish = linreg,
    .null = linreg_null,
};

const csim_measure csim__measure_gulp = {
    .name = "gulp",
    .doc = "largest difference of ridge predictions over all tasks, squared",
    .cite = "Boix-Adsera et al. 2022, GULP: a prediction-based metric between representations",
    .needs = CSIM_NEEDS_BASIS,
    .props = CSIM_DISTANCE | CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING |
             CSIM_INVARIANT_TRANSLATION | CSIM_INVARIANT_PERMUTATION,
    .options = gulp_table,
    .options_size = sizeof(gulp_options),
    .finish = gulp,
};

const csim_measure csim__measure_eos = {
    .name = "eos",
    .doc = "eigenspace overlap, |Ux'Uy|_F^2 / max(d, e) of uncentred layers",
    .cite = "May et al. 2019, On the Downstream Performance of Compressed Word Embeddings",
    .needs = CSIM_NEEDS_RAW_BASIS,
    .props = CSIM_SYMMETRIC | CSIM_UNIT_RANGE | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING |
             CSIM_INVARIANT_LINEAR | CSIM_INVARIANT_PERMUTATION,
    .finish = eos,
};
