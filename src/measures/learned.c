/* Measures that are the space of an encoder: contrasim, deepdot, mscon, deepcka. */
#include <math.h>

#include "measures/measures.h"

/* The mean over the encoder's inits, and how far they spread. */
static csim_status learned(const csim_pair *pair, csim__learned kind, double low, csim_value *out)
{
    const csim__projection *p = &pair->learned[kind];
    int64_t cells = (int64_t)p->sites * p->sites, at = pair->at;
    double sum = 0, square = 0;
    for (int i = 0; i < p->inits; i++) { sum += p->value[i * cells + at]; }
    double mean = sum / p->inits;
    if (p->lost[at / p->sites] || p->lost[at % p->sites]) { /* floats do not hold the rows */
        out->value = NAN;
        out->cell = CSIM_CELL_FAILED;
        out->note = CSIM_NOTE_OVERFLOW;
        return CSIM_OK;
    }
    if (isnan(mean)) { return csim__undefined(out, CSIM_NOTE_CONSTANT); }
    for (int i = 0; i < p->inits; i++) {
        double v = p->value[i * cells + at] - mean;
        square += v * v;
    }
    csim_status st = csim__bounded(out, mean, low);
    out->spread = p->inits > 1 ? sqrt(square / (p->inits - 1)) : NAN;
    return st;
}

static csim_status contrasim(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    return learned(pair, CSIM__LEARNED_CONTRASIM, -1, out);
}

static csim_status deepdot(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    return learned(pair, CSIM__LEARNED_DEEPDOT, -1, out);
}

static csim_status mscon(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    return learned(pair, CSIM__LEARNED_MSCON, -1, out);
}

static csim_status deepcka(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    return learned(pair, CSIM__LEARNED_DEEPCKA, 0, out);
}

const csim_measure csim__measure_contrasim = {
    .name = "contrasim",
    .doc = "mean cosine of matching rows after a contrastive encoder (--encoder)",
    .cite = "Rahamim and Belinkov 2024, ContraSim: Analyzing Neural Representations Based on "
            "Contrastive Learning",
    .needs = CSIM_NEEDS_PROJECTION,
    .props = CSIM_SYMMETRIC,
    .range = {-1, 1},
    .finish = contrasim,
};

const csim_measure csim__measure_deepdot = {
    .name = "deepdot",
    .doc = "mean cosine of matching rows after an encoder trained on positives only (--encoder)",
    .cite = "Rahamim and Belinkov 2024, ContraSim: Analyzing Neural Representations Based on "
            "Contrastive Learning",
    .needs = CSIM_NEEDS_PROJECTION,
    .props = CSIM_SYMMETRIC,
    .range = {-1, 1},
    .finish = deepdot,
};

const csim_measure csim__measure_mscon = {
    .name = "mscon",
    .doc = "mean cosine of matching rows after an encoder trained on several notions of similarity "
           "(--encoder)",
    .cite = "Mao et al. 2023, Multi-Similarity Contrastive Learning",
    .needs = CSIM_NEEDS_PROJECTION,
    .props = CSIM_SYMMETRIC,
    .range = {-1, 1},
    .finish = mscon,
};

const csim_measure csim__measure_deepcka = {
    .name = "deepcka",
    .doc = "linear CKA of the rows after an encoder trained to raise it (--encoder)",
    .cite = "Rahamim and Belinkov 2024, ContraSim: Analyzing Neural Representations Based on "
            "Contrastive Learning",
    .needs = CSIM_NEEDS_PROJECTION,
    .props = CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .finish = deepcka,
};
