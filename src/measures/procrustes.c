/* Shape measures from the nuclear norm ‖X̃ᵀỸ‖_* and the rows. */
#include <math.h>

#include "measures/measures.h"

#define ROOT_2 1.41421356237309504880
#define HALF_PI 1.57079632679489661923

static csim_status procrustes(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    double nuclear, sum = csim__pair_variance(pair, 0) + csim__pair_variance(pair, 1);
    csim_status st = csim__pair_nuclear(pair, &nuclear);
    return st == CSIM_OK ? csim__root(out, sum - 2 * nuclear, sum) : st;
}

/* Nuclear norm over the product of the Frobenius norms. *ok = false: out is set. */
static csim_status cosine(csim_pair *pair, double *value, bool *ok, csim_value *out)
{
    double nuclear;
    *ok = false;
    if (csim__any_constant(pair)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    csim_status st = csim__pair_nuclear(pair, &nuclear);
    if (st != CSIM_OK) { return st; }
    *value = nuclear / (sqrt(csim__pair_variance(pair, 0)) * sqrt(csim__pair_variance(pair, 1)));
    *ok = true;
    return CSIM_OK;
}

static csim_status nbs(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    double value;
    bool ok;
    csim_status st = cosine(pair, &value, &ok, out);
    return st == CSIM_OK && ok ? csim__bounded(out, value, 0) : st;
}

static csim_status ortho_procrustes(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    double value;
    bool ok;
    csim_status st = cosine(pair, &value, &ok, out);
    return st == CSIM_OK && ok ? csim__root(out, 2 - 2 * value, 2) : st;
}

static csim_status angular(csim_pair *pair, const void *options, csim_value *out)
{
    csim_status st = nbs(pair, options, out);
    if (st == CSIM_OK && out->cell == CSIM_CELL_DONE) { out->value = acos(out->value); }
    return st;
}

static csim_status dot(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    if (pair->site[0]->d != pair->site[1]->d) { return csim__undefined(out, CSIM_NOTE_WIDTHS); }
    return csim__done(out, pair->rows.dot / (double)pair->site[0]->n);
}

static csim_status norm(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    if (a->d != b->d) { return csim__undefined(out, CSIM_NOTE_WIDTHS); }
    return csim__done_with(out, 1 - pair->rows.gap / (double)a->n,
                           a->zero_rows + b->zero_rows > 0 ? CSIM_NOTE_ZERO_ROW : CSIM_NOTE_NONE);
}

#define SHAPE_PROPS                                                                                \
    (CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_TRANSLATION |                       \
     CSIM_INVARIANT_PERMUTATION)

const csim_measure csim__measure_procrustes = {
    .name = "procrustes",
    .doc = "size-and-shape distance, sqrt(|X|^2 + |Y|^2 - 2 |X'Y|_*) of centred layers",
    .cite = "Schoenemann 1966; Ding et al. 2021, Grounding Representation Similarity",
    .needs = CSIM_NEEDS_NUCLEAR,
    .props = SHAPE_PROPS | CSIM_DISTANCE,
    .finish = procrustes,
};

const csim_measure csim__measure_ortho_procrustes = {
    .name = "ortho_procrustes",
    .doc = "Procrustes distance of centred layers divided by their Frobenius norms",
    .cite = "Ding et al. 2021, Grounding Representation Similarity with Statistical Testing",
    .needs = CSIM_NEEDS_NUCLEAR,
    .props = CSIM_INTERVALS | SHAPE_PROPS | CSIM_DISTANCE | CSIM_INVARIANT_SCALING,
    .range = {0, ROOT_2},
    .finish = ortho_procrustes,
};

const csim_measure csim__measure_angular = {
    .name = "angular",
    .doc = "angular shape metric, arccos(|X'Y|_* / (|X| |Y|)), in radians",
    .cite = "Williams et al. 2021, Generalized Shape Metrics on Neural Representations",
    .needs = CSIM_NEEDS_NUCLEAR,
    .props = CSIM_INTERVALS | SHAPE_PROPS | CSIM_DISTANCE | CSIM_INVARIANT_SCALING,
    .range = {0, HALF_PI},
    .finish = angular,
};

const csim_measure csim__measure_nbs = {
    .name = "nbs",
    .doc = "normalised Bures similarity, |X'Y|_* / (|X| |Y|)",
    .cite = "Tang et al. 2020, Similarity of Neural Networks with Gradients",
    .needs = CSIM_NEEDS_NUCLEAR,
    .props = CSIM_INTERVALS | SHAPE_PROPS | CSIM_UNIT_RANGE | CSIM_INVARIANT_SCALING,
    .finish = nbs,
};

const csim_measure csim__measure_dot = {
    .name = "dot",
    .doc = "mean inner product of matching rows; equal widths",
    .cite = "ContraSim, Rahamim and Belinkov 2024",
    .needs = CSIM_NEEDS_ROWS,
    .props = CSIM_SYMMETRIC | CSIM_EQUAL_WIDTHS,
    .finish = dot,
};

const csim_measure csim__measure_norm = {
    .name = "norm",
    .doc = "one minus the mean distance of matching rows scaled to length 1; equal widths",
    .cite = "ContraSim, Rahamim and Belinkov 2024",
    .needs = CSIM_NEEDS_ROWS,
    .props = CSIM_SYMMETRIC | CSIM_EQUAL_WIDTHS | CSIM_INVARIANT_SCALING,
    .range = {-1, 1},
    .finish = norm,
};
