#include <math.h>
#include <string.h>

#include "measures/measures.h"

#define MEASURE(name) &csim__measure_##name,
static const csim_measure *const registry[] = {
#include "measures/measures.def"
};
#undef MEASURE

/* Names under which the field knows our measures. */
static const struct alias {
    const char *name, *target;
} aliases[] = {
    {"linear_cka", "cka"},
    {"lincka", "cka"},
    {"cka-kernel=linear-hsic=gretton-score", "cka"},
    {"unbiased_cka", "cka_debiased"},
    {"debiased_cka", "cka_debiased"},
    {"cka-kernel=linear-hsic=song-score", "cka_debiased"},
    {"cka-kernel=linear-hsic=lange-score", "cka_lange"},
    {"rbf_cka", "cka_rbf"},
    {"rbfcka", "cka_rbf"},
    {"cka-kernel=rbf-hsic=gretton-score", "cka_rbf"},
    {"cka-kernel=rbf-hsic=song-score", "cka_rbf_debiased"},
    {"minibatch_cka", "cka_minibatch"},
    {"representational_similarity_analysis", "rsa"},
    {"distance_correlation", "distcorr"},
    {"rsm_norm_difference", "rsm_diff"},
    {"magnitude_difference", "mag_diff"},
    {"concentricity_difference", "conc_diff"},
    {"uniformity_difference", "unif_diff"},
    {"cca", "cca_mean"},
    {"mean_cca_corr", "cca_mean"},
    {"mean_cca", "cca_mean"},
    {"mean_sq_cca_corr", "cca_r2"},
    {"mean_squared_cca", "cca_r2"},
    {"linear_regression", "linreg"},
    {"procrustes-distance=euclidean", "ortho_procrustes"},
    {"procrustes-distance=angular", "angular"},
    {"orthogonal_procrustes", "ortho_procrustes"},
    {"orthogonal_procrustes_distance", "ortho_procrustes"},
    {"angular_shape_metric", "angular"},
    {"bures", "nbs"},
    {"nbs-score", "nbs"},
    {"eigenspace_overlap", "eos"},
    {"edit_distance_knn", "edit_knn"},
    {"jaccard_similarity", "jaccard"},
    {"rank_similarity", "rank_sim"},
    {"second_order_cossim", "second_cos"},
    {"aligned_cossim", "align_cos"},
    {"hard_correlation_match", "hard_corr"},
    {"soft_correlation_match", "soft_corr"},
    {"permutation_procrustes", "perm_procrustes"},
};

int csim_measure_count(void)
{
    return (int)(sizeof registry / sizeof *registry);
}

const csim_measure *csim_measure_get(int i)
{
    return i >= 0 && i < csim_measure_count() ? registry[i] : NULL;
}

const char *csim_measure_alias(int i, const char **target)
{
    if (i < 0 || i >= (int)(sizeof aliases / sizeof *aliases)) { return NULL; }
    *target = aliases[i].target;
    return aliases[i].name;
}

const csim_measure *csim_measure_find(const char *name)
{
    const char *alias, *target;
    for (int i = 0; (alias = csim_measure_alias(i, &target)) != NULL; i++) {
        if (strcmp(alias, name) == 0) { name = target; }
    }
    for (int i = 0; i < csim_measure_count(); i++) {
        if (strcmp(registry[i]->name, name) == 0) { return registry[i]; }
    }
    return NULL;
}

const char *csim_note_flag(csim_note note)
{
    switch (note) {
#define NOTE(name, flag, text)                                                                     \
    case CSIM_NOTE_##name:                                                                         \
        return flag;
        CSIM_NOTE_LIST(NOTE)
#undef NOTE
    case CSIM_NOTE_COUNT:
        break;
    }
    return "";
}

const char *csim_note_text(csim_note note)
{
    switch (note) {
#define NOTE(name, flag, text)                                                                     \
    case CSIM_NOTE_##name:                                                                         \
        return text;
        CSIM_NOTE_LIST(NOTE)
#undef NOTE
    case CSIM_NOTE_COUNT:
        break;
    }
    return "";
}

csim_status csim__done_with(csim_value *out, double value, csim_note note)
{
    if (!isfinite(value)) {
        *out = (csim_value){.value = NAN, .cell = CSIM_CELL_FAILED, .note = CSIM_NOTE_OVERFLOW};
    } else {
        *out = (csim_value){.value = value, .cell = CSIM_CELL_DONE, .note = note};
    }
    return CSIM_OK;
}

csim_status csim__done(csim_value *out, double value)
{
    return csim__done_with(out, value, CSIM_NOTE_NONE);
}

csim_status csim__undefined(csim_value *out, csim_note note)
{
    *out = (csim_value){.value = NAN, .cell = CSIM_CELL_UNDEFINED, .note = note};
    return CSIM_OK;
}

csim_status csim__out_of_range(csim_value *out)
{
    *out = (csim_value){.value = NAN, .cell = CSIM_CELL_FAILED, .note = CSIM_NOTE_OUT_OF_RANGE};
    return CSIM_OK;
}

csim_status csim__bounded(csim_value *out, double value, double low)
{
    if (value > 1 + CSIM__EDGE || value < low - CSIM__EDGE) { return csim__out_of_range(out); }
    return csim__done(out, value > 1 ? 1 : value < low ? low : value);
}

csim_status csim__root(csim_value *out, double radicand, double scale)
{
    if (radicand < -CSIM__EDGE * scale) { return csim__out_of_range(out); }
    csim__done(out, radicand > 0 ? sqrt(radicand) : 0);
    out->tie = sqrt(out->value * out->value + CSIM__EDGE * scale) - out->value;
    return CSIM_OK;
}

bool csim__any_constant(const csim_pair *pair)
{
    return pair->site[0]->variance == 0 || pair->site[1]->variance == 0;
}
