/* CKA and HSIC with linear kernels, from ⟨K,L⟩ = ‖X̃ᵀỸ‖_F² and sums over the rows: K = X̃X̃ᵀ has zero
 * row sums and the squared row norms on its diagonal. */
#include <float.h>
#include <math.h>

#include "measures/measures.h"

static csim_status hsic(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    double n1 = (double)(pair->site[0]->n - 1), gram = 0;
    csim_status st = csim__any_constant(pair) ? CSIM_OK : csim__pair_gram(pair, &gram);
    return st == CSIM_OK ? csim__done(out, gram / (n1 * n1)) : st;
}

/* The numerator and the self-terms of a cosine of Gram matrices, and what their rounding is
 * measured on. */
typedef struct cosine {
    double h, self[2];
} cosine;

/* Rounding of a self-term @p self of site @p i in units of ε, relative to it. Tiles round like the
 * products of rows they are made of, ‖x̃_i‖‖x̃_j‖ each and by chance; else it is the rest of ‖X̃ᵀX̃‖²
 * and rounds like that. */
static double lost_of(const csim_pair *pair, int i, double self)
{
    const csim__site *s = pair->site[i];
    if (!pair->tiled || !s->tiled) { return s->self_gram / self; }
    double others = fmax(s->variance * s->variance - s->square_of_norms, 0);
    return sqrt(others / self / (double)s->n);
}

static double doubt(const csim_pair *pair, const cosine *c)
{
    double eps = pair->single ? FLT_EPSILON : DBL_EPSILON;
    return 4 * eps * fmax(lost_of(pair, 0, c->self[0]), lost_of(pair, 1, c->self[1]));
}

/* Is a self-term zero to rounding? *lost: it may be more, which rounding hides. */
static bool vanishes(const csim_pair *pair, int i, double self, bool *lost)
{
    const csim__site *s = pair->site[i];
    double eps = pair->single ? FLT_EPSILON : DBL_EPSILON;
    double others = s->variance * s->variance - s->square_of_norms;
    bool zero = self <= (s->tiled ? 16 * eps * eps * others : 8 * eps * s->self_gram);
    *lost = zero && (pair->single || !s->tiled);
    return zero;
}

/* h/√(h_a·h_b) in [low, 1]. */
static csim_status ratio(const csim_pair *pair, const cosine *c, double low, csim_value *out)
{
    const double limit = pair->single ? 1e-4 : 1e-8;
    bool self = csim__pair_is_self(pair), lost[2];
    bool zero[2] = {vanishes(pair, 0, c->self[0], &lost[0]),
                    vanishes(pair, 1, c->self[1], &lost[1])};
    if ((zero[0] && !lost[0]) || (zero[1] && !lost[1])) {
        return csim__undefined(out, CSIM_NOTE_SELF_TERM);
    }
    if (self) { return csim__done(out, 1); }
    if (lost[0] || lost[1] || doubt(pair, c) > limit) {
        *out = (csim_value){.value = NAN, .cell = CSIM_CELL_FAILED, .note = CSIM_NOTE_PRECISION};
        return CSIM_OK;
    }
    double edge = CSIM__EDGE + doubt(pair, c);
    double value = c->h / (sqrt(c->self[0]) * sqrt(c->self[1]));
    if (value > 1 && value <= 1 + edge) { value = 1; }
    if (value < low && value >= low - edge) { value = low; }
    return csim__bounded(out, value, low);
}

static csim_status cka(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    cosine c = {0, {a->self_gram, b->self_gram}};
    csim_status st = csim__pair_gram(pair, &c.h);
    if (st != CSIM_OK) { return st; }
    return ratio(pair, &c, 0, out);
}

/* Unbiased HSIC of Song et al. 2012, without any n×n matrix (gram.h). */
static csim_status cka_debiased(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    cosine c = {0, {a->self_hollow, b->self_hollow}};
    csim_status st = csim__pair_hollow(pair, &c.h);
    if (st != CSIM_OK) { return st; }
    return ratio(pair, &c, -1, out);
}

static csim_status cka_lange(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    cosine c = {0,
                {csim__site_off_diagonal(pair->site[0]), csim__site_off_diagonal(pair->site[1])}};
    csim_status st = csim__pair_off_diagonal(pair, &c.h);
    if (st != CSIM_OK) { return st; }
    return ratio(pair, &c, -1, out);
}

/* ---- over all relabellings ---- */

static csim_moments cka_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    csim__form a = csim__form_of_site(pair->site[0]), b = csim__form_of_site(pair->site[1]);
    return csim__null_of_cosine(&a, &b, (double)pair->site[0]->n, value);
}

static csim_moments hsic_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    double n = (double)pair->site[0]->n;
    csim__form a = csim__form_of_site(pair->site[0]), b = csim__form_of_site(pair->site[1]);
    return csim__null_moments(&a, &b, n, 1 / ((n - 1) * (n - 1)), value);
}

static csim_moments hollow_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    return csim__null_of_hollow((double)pair->site[0]->n, value);
}

/* Without its diagonal the matrix is that of its site beside it. */
static csim_moments lange_null(const csim_pair *pair, const void *options, double value)
{
    (void)options;
    csim__form form[2];
    for (int i = 0; i < 2; i++) {
        form[i] = csim__form_of_site(pair->site[i]);
        form[i].diagonal = form[i].of_diagonal = form[i].of_both = 0;
    }
    return csim__null_of_cosine(&form[0], &form[1], (double)pair->site[0]->n, value);
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
    .null = cka_null,
};

const csim_measure csim__measure_cka_debiased = {
    .name = "cka_debiased",
    .doc = "linear CKA from the unbiased HSIC (zeroed diagonals); may be negative",
    .cite =
        "Song et al. 2012, Feature Selection via Dependence Maximization; Kornblith et al. 2019",
    .needs = CSIM_NEEDS_GRAM | CSIM_NEEDS_DIAGONAL,
    .props = CSIM_INTERVALS | CKA_PROPS,
    .range = {-1, 1},
    .finish = cka_debiased,
    .null = hollow_null,
};

const csim_measure csim__measure_cka_lange = {
    .name = "cka_lange",
    .doc = "cosine of the off-diagonal parts of the double-centred linear Gram matrices",
    .cite = "Lange et al. 2023, Deep Networks as Paths on the Manifold of Neural Representations",
    .needs = CSIM_NEEDS_GRAM | CSIM_NEEDS_DIAGONAL,
    .props = CSIM_INTERVALS | CKA_PROPS,
    .range = {-1, 1},
    .finish = cka_lange,
    .null = lange_null,
};

const csim_measure csim__measure_hsic = {
    .name = "hsic",
    .doc = "linear Hilbert-Schmidt independence criterion, |X'Y|_F^2 / (n-1)^2 of centred columns",
    .cite = "Gretton et al. 2005, Measuring Statistical Dependence with Hilbert-Schmidt Norms",
    .needs = CSIM_NEEDS_GRAM,
    .props = CSIM_INTERVALS | (CKA_PROPS & ~(unsigned)CSIM_INVARIANT_SCALING),
    .range = {0, INFINITY},
    .finish = hsic,
    .null = hsic_null,
};
