/* CKA and HSIC with linear kernels, from ⟨K,L⟩ = ‖X̃ᵀỸ‖_F² and sums over the rows: K = X̃X̃ᵀ has zero
 * row sums and the squared row norms on its diagonal. */
#include <float.h>
#include <math.h>

#include "measures/measures.h"

static csim_status hsic(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    double n1 = (double)(pair->site[0]->n - 1);
    return csim__done(out, csim__any_constant(pair) ? 0 : csim__pair_gram(pair) / (n1 * n1));
}

/* h/√(h_a·h_b) in [low, 1]. Rounding of an inner product counts against what is left of the
 * self-terms when their diagonals are taken away, so the edge of the range widens with that. */
static csim_status ratio(const csim_pair *pair, double h, double ha, double hb, double low,
                         csim_value *out)
{
    double eps = pair->single ? FLT_EPSILON : DBL_EPSILON;
    double lost = pair->site[0]->self_gram / ha + pair->site[1]->self_gram / hb;
    double edge = CSIM__EDGE + fmin(8 * eps * lost, sqrt(eps)), value = h / (sqrt(ha) * sqrt(hb));
    if (value > 1 && value <= 1 + edge) { value = 1; }
    if (value < low && value >= low - edge) { value = low; }
    return csim__bounded(out, value, low);
}

static csim_status cka(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    return ratio(pair, csim__pair_gram(pair), pair->site[0]->self_gram, pair->site[1]->self_gram, 0,
                 out);
}

/* Unbiased HSIC of Song et al. 2012 times n(n−3), without any n×n matrix (measures.md §1). */
static double unbiased(double n, double gram, double diagonal, double trace_k, double trace_l)
{
    return gram - diagonal + trace_k * trace_l / ((n - 1) * (n - 2)) - 2 * diagonal / (n - 2);
}

/* A self-term that is rounding of its parts counts as zero. */
static bool positive(const csim_pair *pair, double self, double gram)
{
    return self > (pair->single ? 1e-3 : 1e-13) * gram;
}

static csim_status cka_debiased(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    double n = (double)a->n;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    double h = unbiased(n, csim__pair_gram(pair), pair->rows.diagonal, a->variance, b->variance);
    double ha = unbiased(n, a->self_gram, a->square_of_norms, a->variance, a->variance);
    double hb = unbiased(n, b->self_gram, b->square_of_norms, b->variance, b->variance);
    if (!positive(pair, ha, a->self_gram) || !positive(pair, hb, b->self_gram)) {
        return csim__undefined(out, CSIM_NOTE_SELF_TERM);
    }
    return ratio(pair, h, ha, hb, -INFINITY, out);
}

static csim_status cka_lange(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    double ha = a->self_gram - a->square_of_norms, hb = b->self_gram - b->square_of_norms;
    if (!positive(pair, ha, a->self_gram) || !positive(pair, hb, b->self_gram)) {
        return csim__undefined(out, CSIM_NOTE_SELF_TERM);
    }
    double h = csim__pair_gram(pair) - pair->rows.diagonal;
    return ratio(pair, h, ha, hb, -1, out);
}

#define CKA_PROPS                                                                                  \
    (CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING |                           \
     CSIM_INVARIANT_TRANSLATION | CSIM_INVARIANT_PERMUTATION | CSIM_SINGLE)

const csim_measure csim__measure_cka = {
    .name = "cka",
    .doc = "linear centred kernel alignment, |X'Y|_F^2 / (|X'X|_F |Y'Y|_F) of centred columns",
    .cite = "Kornblith et al. 2019, Similarity of Neural Network Representations Revisited",
    .needs = CSIM_NEEDS_GRAM,
    .props = CKA_PROPS | CSIM_UNIT_RANGE | CSIM_BIASED,
    .finish = cka,
};

const csim_measure csim__measure_cka_debiased = {
    .name = "cka_debiased",
    .doc = "linear CKA from the unbiased HSIC (zeroed diagonals); may be negative",
    .cite =
        "Song et al. 2012, Feature Selection via Dependence Maximization; Kornblith et al. 2019",
    .needs = CSIM_NEEDS_GRAM | CSIM_NEEDS_DIAGONAL,
    .props = CKA_PROPS,
    .finish = cka_debiased,
};

const csim_measure csim__measure_cka_lange = {
    .name = "cka_lange",
    .doc = "cosine of the off-diagonal parts of the double-centred linear Gram matrices",
    .cite = "Lange et al. 2023, Deep Networks as Paths on the Manifold of Neural Representations",
    .needs = CSIM_NEEDS_GRAM | CSIM_NEEDS_DIAGONAL,
    .props = CKA_PROPS,
    .finish = cka_lange,
};

const csim_measure csim__measure_hsic = {
    .name = "hsic",
    .doc = "linear Hilbert-Schmidt independence criterion, |X'Y|_F^2 / (n-1)^2 of centred columns",
    .cite = "Gretton et al. 2005, Measuring Statistical Dependence with Hilbert-Schmidt Norms",
    .needs = CSIM_NEEDS_GRAM,
    .props = CKA_PROPS & ~(unsigned)CSIM_INVARIANT_SCALING,
    .finish = hsic,
};
