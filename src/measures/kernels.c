/* Measures made of n×n matrices of the examples: RBF kernels, distances, dissimilarities; and the
 * small statistics of single layers. The sums over the matrices are made where the tiles are; a
 * constant has been taken off their entries (kernels.h), which what follows puts back where it
 * matters. */
#include <float.h>
#include <math.h>

#include "linalg/dense.h"
#include "measures/measures.h"

typedef struct rbf_options {
    double bandwidth, sigma;
    int diagonal;
} rbf_options;

typedef struct rsa_options {
    int inner, outer;
    int64_t sample;
} rsa_options;

enum { SPEARMAN, PEARSON, COSINE, KENDALL }; /* outer */

static const csim_option rbf_table[] = {
    {.name = "bandwidth",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(rbf_options, bandwidth),
     .fallback = "0.8",
     .min = 1e-6,
     .max = 1e6,
     .metavar = "FACTOR",
     .help = "width of the kernel in units of the median distance of two examples"},
    {.name = "sigma",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(rbf_options, sigma),
     .fallback = "0",
     .min = 0,
     .max = 1e300,
     .metavar = "WIDTH",
     .help = "the width itself, for all layers; 0: by the bandwidth"},
    {.name = "bandwidth-diagonal",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(rbf_options, diagonal),
     .fallback = "exclude",
     .choices = "exclude|include",
     .help = "whether the median counts the distance 0 of every example to itself, as some public "
             "notebooks do"},
    {.name = NULL}};

static const csim_option rsa_table[] = {
    {.name = "sample",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(rsa_options, sample),
     .fallback = "0",
     .min = 0,
     .max = 1e15,
     .metavar = "COUNT",
     .help = "rank the dissimilarities of as many examples only, at even steps; 0: of all"},
    {.name = "inner",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(rsa_options, inner),
     .fallback = "correlation",
     .choices = "correlation|euclidean|cosine",
     .help = "dissimilarity of two examples: 1 - correlation, distance, or 1 - cosine"},
    {.name = "outer",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(rsa_options, outer),
     .fallback = "spearman",
     .choices = "spearman|pearson|cosine|kendall",
     .help =
         "how dissimilarities of the two layers are compared; ranks need all of them in memory"},
    {.name = NULL}};

static const csim_option batch_table[] = {{.name = "batch",
                                           .kind = CSIM_OPTION_INT,
                                           .offset = offsetof(csim_batch_options, batch),
                                           .fallback = "256",
                                           .min = 4,
                                           .max = 32768,
                                           .metavar = "COUNT",
                                           .help = "consecutive examples of a batch"},
                                          {.name = NULL}};

/* ---- which matrices ---- */

static csim_kernel rbf_kernel(const void *options)
{
    const rbf_options *o = options;
    return (csim_kernel){
        .matrix = CSIM_RBF, .bandwidth = o->bandwidth, .sigma = o->sigma, .diagonal = o->diagonal};
}

static csim_kernel far_kernel(const void *options)
{
    (void)options;
    return (csim_kernel){.matrix = CSIM_FAR};
}

static csim_kernel uniform_kernel(const void *options)
{
    (void)options;
    return (csim_kernel){.matrix = CSIM_UNIFORM};
}

static csim_kernel rsa_kernel(const void *options)
{
    static const csim_matrix inner[] = {CSIM_FAR_CENTRED, CSIM_FAR, CSIM_FAR_COSINE};
    static const csim_compare outer[] = {[SPEARMAN] = CSIM_BY_RANKS,
                                         [PEARSON] = CSIM_BY_SUMS,
                                         [COSINE] = CSIM_BY_SUMS,
                                         [KENDALL] = CSIM_BY_ORDER};
    const rsa_options *o = options;
    return (csim_kernel){
        .matrix = inner[o->inner], .compare = outer[o->outer], .sample = o->sample};
}

static csim_kernel spectrum_kernel(const void *options)
{
    (void)options;
    return (csim_kernel){.matrix = CSIM_FAR, .compare = CSIM_BY_SPECTRUM};
}

static csim_kernel batch_kernel(const void *options)
{
    const csim_batch_options *o = options;
    return (csim_kernel){.matrix = CSIM_LINEAR, .batch = o->batch};
}

/* ---- cosines of matrices ---- */

/* An inner product of two matrices and their own; and the squares of what they were made of, on which
 * rounding is measured. */
typedef struct cosine {
    double both, self[2], size[2];
} cosine;

/* ΣA_ij² without the diagonal, the constant put back. */
static double size_of(const csim__matrices *k, int side, double n)
{
    double shift = k->of[side].shift;
    return k->self[side].product + 2 * shift * k->of[side].total + n * (n - 1) * shift * shift;
}

static csim_status ratio(const csim_pair *pair, const cosine *c, double low, csim_note none,
                         csim_value *out)
{
    const double zero = 1e-26, limit = 1e-8;
    double doubt = 0;
    for (int i = 0; i < 2; i++) {
        if (!(c->self[i] > zero * c->size[i])) { return csim__undefined(out, none); }
        doubt = fmax(doubt, 8 * DBL_EPSILON * sqrt(c->size[i] / c->self[i] / pair->site[i]->n));
    }
    if (csim__pair_is_self(pair)) { return csim__done(out, 1); }
    if (doubt > limit) {
        *out = (csim_value){.value = NAN, .cell = CSIM_CELL_FAILED, .note = CSIM_NOTE_PRECISION};
        return CSIM_OK;
    }
    double value = c->both / (sqrt(c->self[0]) * sqrt(c->self[1])), edge = CSIM__EDGE + doubt;
    if (value > 1 && value <= 1 + edge) { value = 1; }
    if (value < low && value >= low - edge) { value = low; }
    return csim__bounded(out, value, low);
}

/* Is there nothing to compare? */
static bool undefined(const csim_pair *pair, csim_value *out)
{
    csim_note note = csim__any_constant(pair) ? CSIM_NOTE_CONSTANT : pair->kernel->note;
    if (note == CSIM_NOTE_NONE) { return false; }
    csim__undefined(out, note);
    return true;
}

/* tr(AHBH): the constant falls out, the diagonal does not. */
static double centred(const csim__kernel_site *a, const csim__kernel_site *b,
                      const csim__kernel_pair *p, double n)
{
    double x = a->corner - a->shift, y = b->corner - b->shift;
    double product = p->product + n * x * y;
    double through = p->through + x * b->total + y * a->total + n * x * y;
    return product - 2 * through / n + (a->total + n * x) * (b->total + n * y) / (n * n);
}

/* n(n−3) times the unbiased HSIC of Song et al. 2012. */
static double unbiased(const csim__kernel_site *a, const csim__kernel_site *b,
                       const csim__kernel_pair *p, double n)
{
    return p->product + a->total * b->total / ((n - 1) * (n - 2)) - 2 * p->through / (n - 2);
}

/* n(n−1) times the covariance of the entries beside the diagonal. */
static double covariance(const csim__kernel_site *a, const csim__kernel_site *b,
                         const csim__kernel_pair *p, double n)
{
    return p->product - a->total * b->total / (n * (n - 1));
}

/* Their sum of products, the constants put back. */
static double raw_product(const csim__kernel_site *a, const csim__kernel_site *b,
                          const csim__kernel_pair *p, double n)
{
    return p->product + a->shift * b->total + b->shift * a->total +
           n * (n - 1) * a->shift * b->shift;
}

typedef double (*product_fn)(const csim__kernel_site *a, const csim__kernel_site *b,
                             const csim__kernel_pair *p, double n);

static cosine cosine_of(const csim_pair *pair, product_fn product)
{
    const csim__matrices *k = pair->kernel;
    double n = (double)pair->site[0]->n;
    cosine c = {.both = product(&k->of[0], &k->of[1], &k->both, n)};
    for (int i = 0; i < 2; i++) {
        c.self[i] = product(&k->of[i], &k->of[i], &k->self[i], n);
        c.size[i] = size_of(k, i, n) + n * k->of[i].corner * k->of[i].corner;
    }
    return c;
}

static csim_status cka_rbf(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    if (undefined(pair, out)) { return CSIM_OK; }
    cosine c = cosine_of(pair, centred);
    return ratio(pair, &c, 0, CSIM_NOTE_SELF_TERM, out);
}

static csim_status cka_rbf_debiased(csim_pair *pair, const void *options, csim_value *out)
{
    const double zero = 1e-13; /* of what it is the rest of */
    (void)options;
    if (undefined(pair, out)) { return CSIM_OK; }
    cosine c = cosine_of(pair, unbiased);
    for (int i = 0; i < 2; i++) {
        if (!(c.self[i] > zero * pair->kernel->self[i].product)) { c.self[i] = 0; }
    }
    return ratio(pair, &c, -1, CSIM_NOTE_SELF_TERM, out);
}

static csim_status distcorr(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    if (undefined(pair, out)) { return CSIM_OK; }
    cosine c = cosine_of(pair, centred);
    csim_status st = ratio(pair, &c, 0, CSIM_NOTE_SELF_TERM, out);
    if (out->cell == CSIM_CELL_DONE) { out->value = sqrt(out->value); }
    return st;
}

static csim_status rsa(csim_pair *pair, const void *options, csim_value *out)
{
    const rsa_options *o = options;
    if (undefined(pair, out)) { return CSIM_OK; }
    cosine c = cosine_of(pair, o->outer == COSINE ? raw_product : covariance);
    csim_status st = ratio(pair, &c, -1, CSIM_NOTE_ALIKE, out);
    bool zero_rows = pair->site[0]->zero_rows + pair->site[1]->zero_rows > 0;
    bool cosines = rsa_kernel(options).matrix == CSIM_FAR_COSINE;
    if (out->cell == CSIM_CELL_DONE && cosines && zero_rows) { out->note = CSIM_NOTE_ZERO_ROW; }
    bool sampled = o->sample > 0 && o->sample < pair->site[0]->n;
    if (out->cell == CSIM_CELL_DONE && sampled) { out->note = CSIM_NOTE_SAMPLED; }
    return st;
}

/* The HSIC of all batches together, and of each layer with itself. */
static csim_status cka_minibatch(csim_pair *pair, const void *options, csim_value *out)
{
    const csim__matrices *k = pair->kernel;
    (void)options;
    if (undefined(pair, out)) { return CSIM_OK; }
    cosine c = {.both = k->both.product};
    for (int i = 0; i < 2; i++) {
        c.self[i] = k->self[i].product;
        c.size[i] = pair->site[i]->variance * pair->site[i]->variance;
    }
    return ratio(pair, &c, -1, CSIM_NOTE_SELF_TERM, out);
}

static csim_status rsm_diff(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    if (pair->kernel->note != CSIM_NOTE_NONE) { return csim__undefined(out, pair->kernel->note); }
    if (csim__pair_is_self(pair)) { return csim__done(out, 0); }
    return isnan(pair->kernel->both.product) ? CSIM_E_NUMERIC
                                             : csim__done(out, pair->kernel->both.product);
}

/* ---- statistics of single layers ---- */

/* log of the mean of exp(−2‖x−y‖²) over all n² pairs */
static double uniformity(const csim__kernel_site *of, double n)
{
    return log((of->total + n) / (n * n));
}

static csim_status unif_diff(csim_pair *pair, const void *options, csim_value *out)
{
    const csim__matrices *k = pair->kernel;
    double n = (double)pair->site[0]->n;
    (void)options;
    return csim__done(out, fabs(uniformity(&k->of[0], n) - uniformity(&k->of[1], n)));
}

static csim_status mag_diff(csim_pair *pair, const void *options, csim_value *out)
{
    double size[2];
    (void)options;
    for (int i = 0; i < 2; i++) {
        const csim__site *s = pair->site[i];
        size[i] = sqrt(csim__dot(s->d, s->mean, s->mean));
    }
    return csim__done(out, fabs(size[0] - size[1]));
}

static csim_status conc_diff(csim_pair *pair, const void *options, csim_value *out)
{
    double x = pair->site[0]->spread, y = pair->site[1]->spread;
    bool zero_rows = pair->site[0]->zero_rows + pair->site[1]->zero_rows > 0;
    (void)options;
    if (isnan(x) || isnan(y)) { return csim__undefined(out, CSIM_NOTE_ZERO_MEAN); }
    return csim__done_with(out, fabs(x - y), zero_rows ? CSIM_NOTE_ZERO_ROW : CSIM_NOTE_NONE);
}

/* ---- as cosines of matrices ---- */

static csim_cosine centred_cosine(const void *options)
{
    (void)options;
    return (csim_cosine){.aspect = CSIM_ASPECT_CENTRED};
}

static csim_cosine unbiased_cosine(const void *options)
{
    (void)options;
    return (csim_cosine){.aspect = CSIM_ASPECT_HOLLOW};
}

static csim_cosine distcorr_cosine(const void *options)
{
    (void)options;
    return (csim_cosine){.aspect = CSIM_ASPECT_CENTRED, .root = 1};
}

static csim_cosine rsa_cosine(const void *options)
{
    static const csim_aspect outer[] = {[SPEARMAN] = CSIM_ASPECT_DEVIATIONS,
                                        [PEARSON] = CSIM_ASPECT_DEVIATIONS,
                                        [COSINE] = CSIM_ASPECT_ENTRIES,
                                        [KENDALL] = CSIM_ASPECT_NONE};
    return (csim_cosine){.aspect = outer[((const rsa_options *)options)->outer]};
}

/* ---- over all relabellings ---- */

/* Σ(r_i − r̄)² over the sums of rows */
static double of_rows(const csim__matrices *k, int side, double n)
{
    double total = k->of[side].total;
    return fmax(k->self[side].through - total * total / n, 0);
}

static double rest(const csim__matrices *k, int side, double n)
{
    return unbiased(&k->of[side], &k->of[side], &k->self[side], n);
}

/* HAH: the constant falls out. */
static csim__form centred_form(const csim__matrices *k, int side, double n)
{
    double x = k->of[side].corner - k->of[side].shift;
    double trace = n * x - (k->of[side].total + n * x) / n;
    return csim__form_of_centred(n, trace, 4 * of_rows(k, side, n) / (n * n), rest(k, side, n));
}

static csim_moments centred_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    double n = (double)pair->site[0]->n;
    csim__form a = centred_form(pair->kernel, 0, n), b = centred_form(pair->kernel, 1, n);
    return csim__null_of_cosine(&a, &b, n, value);
}

/* of the square */
static csim_moments distcorr_null(const csim_pair *pair, const void *options, double value)
{
    return centred_null(pair, options, value * value);
}

static csim_moments unbiased_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    return csim__null_of_hollow((double)pair->site[0]->n, value);
}

/* What is beside the diagonal, or its ranks: less their mean or as they are. */
static csim__form rsa_form(const csim_pair *pair, int side, const rsa_options *o)
{
    const csim__matrices *k = pair->kernel;
    double n = (double)pair->site[0]->n;
    csim__form form = {.of_rows = of_rows(k, side, n) / ((n - 2) * (n - 2)),
                       .rest = rest(k, side, n)};
    if (o->outer == SPEARMAN) { /* products are of what is above the diagonal alone */
        form.rest += k->self[side].product;
    }
    if (o->outer == COSINE) { form.other = k->of[side].shift + k->of[side].total / (n * (n - 1)); }
    return form;
}

static csim_moments rsa_null(const csim_pair *pair, const void *options, double value)
{
    const rsa_options *o = options;
    bool sampled = o->sample > 0 && o->sample < pair->site[0]->n;
    csim__form a = rsa_form(pair, 0, o), b = rsa_form(pair, 1, o);
    if (sampled || o->outer == KENDALL) { return (csim_moments){NAN, NAN, NAN}; }
    return csim__null_of_cosine(&a, &b, (double)pair->site[0]->n, value);
}

#define DISTANCE_PROPS                                                                             \
    (CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_TRANSLATION |                       \
     CSIM_INVARIANT_PERMUTATION)
#define WANG "Wang et al. 2022, Towards Understanding the Instability of Network Embedding"

const csim_measure csim__measure_cka_rbf = {
    .name = "cka_rbf",
    .doc = "centred kernel alignment of RBF kernels, as wide as a share of the median distance",
    .cite = "Kornblith et al. 2019, Similarity of Neural Network Representations Revisited",
    .needs = CSIM_NEEDS_KERNELS,
    .props = DISTANCE_PROPS | CSIM_INVARIANT_SCALING | CSIM_UNIT_RANGE | CSIM_BIASED,
    .options = rbf_table,
    .options_size = sizeof(rbf_options),
    .finish = cka_rbf,
    .null = centred_null,
    .cosine = centred_cosine,
    .kernel = rbf_kernel,
};

const csim_measure csim__measure_cka_rbf_debiased = {
    .name = "cka_rbf_debiased",
    .doc = "CKA of RBF kernels from the unbiased HSIC (zeroed diagonals); may be negative",
    .cite =
        "Song et al. 2012, Feature Selection via Dependence Maximization; Kornblith et al. 2019",
    .needs = CSIM_NEEDS_KERNELS,
    .props = CSIM_INTERVALS | DISTANCE_PROPS | CSIM_INVARIANT_SCALING,
    .range = {-1, 1},
    .options = rbf_table,
    .options_size = sizeof(rbf_options),
    .finish = cka_rbf_debiased,
    .null = unbiased_null,
    .cosine = unbiased_cosine,
    .kernel = rbf_kernel,
};

const csim_measure csim__measure_cka_minibatch = {
    .name = "cka_minibatch",
    .doc = "linear CKA from unbiased HSIC averaged over batches of consecutive examples",
    .cite = "Nguyen et al. 2021, Do Wide and Deep Networks Learn the Same Things?",
    .needs = CSIM_NEEDS_KERNELS,
    .props = DISTANCE_PROPS | CSIM_INVARIANT_SCALING | CSIM_ORDERED,
    .range = {-1, 1},
    .options = batch_table,
    .options_size = sizeof(csim_batch_options),
    .finish = cka_minibatch,
    .kernel = batch_kernel,
};

const csim_measure csim__measure_rsa = {
    .name = "rsa",
    .doc =
        "representational similarity analysis: dissimilarities of all pairs of examples, compared",
    .cite = "Kriegeskorte et al. 2008, Representational Similarity Analysis",
    .needs = CSIM_NEEDS_KERNELS,
    .props = CSIM_INTERVALS | CSIM_SYMMETRIC | CSIM_INVARIANT_SCALING | CSIM_INVARIANT_PERMUTATION,
    .range = {-1, 1},
    .options = rsa_table,
    .options_size = sizeof(rsa_options),
    .finish = rsa,
    .null = rsa_null,
    .cosine = rsa_cosine,
    .kernel = rsa_kernel,
};

const csim_measure csim__measure_distcorr = {
    .name = "distcorr",
    .doc = "distance correlation: double-centred Euclidean distances, root of their cosine",
    .cite = "Szekely et al. 2007, Measuring and Testing Dependence by Correlation of Distances",
    .needs = CSIM_NEEDS_KERNELS,
    .props = DISTANCE_PROPS | CSIM_INVARIANT_SCALING | CSIM_UNIT_RANGE | CSIM_BIASED,
    .finish = distcorr,
    .null = distcorr_null,
    .cosine = distcorr_cosine,
    .kernel = far_kernel,
};

const csim_measure csim__measure_rsm_diff = {
    .name = "rsm_diff",
    .doc = "spectral norm of the difference of the matrices of Euclidean distances",
    .cite = "Klabunde et al. 2025, Similarity of Neural Network Models: A Survey",
    .needs = CSIM_NEEDS_KERNELS,
    .props = CSIM_DISTANCE | DISTANCE_PROPS,
    .finish = rsm_diff,
    .kernel = spectrum_kernel,
};

const csim_measure csim__measure_mag_diff = {
    .name = "mag_diff",
    .doc = "difference of the lengths of the mean rows, not centred",
    .cite = WANG,
    .props = CSIM_DISTANCE | CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_PERMUTATION,
    .finish = mag_diff,
};

const csim_measure csim__measure_conc_diff = {
    .name = "conc_diff",
    .doc = "difference of the mean cosines of rows with their mean, not centred",
    .cite = WANG,
    .needs = CSIM_NEEDS_SPREAD,
    .props = CSIM_DISTANCE | CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING |
             CSIM_INVARIANT_PERMUTATION,
    .finish = conc_diff,
};

const csim_measure csim__measure_unif_diff = {
    .name = "unif_diff",
    .doc = "difference of the logarithms of the mean exp(-2 |x_i - x_j|^2) over all pairs",
    .cite =
        "Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment "
        "and Uniformity on the Hypersphere",
    .needs = CSIM_NEEDS_KERNELS,
    .props = CSIM_DISTANCE | DISTANCE_PROPS,
    .finish = unif_diff,
    .kernel = uniform_kernel,
};
