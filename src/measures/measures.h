/* What the files of measures share: how a value, an undefined value or a failure is written down. */
#ifndef CSIM_MEASURES_H
#define CSIM_MEASURES_H

#include "contrasim/measure.h"
#include "ingredients/pair.h"

#define MEASURE(name) extern const csim_measure csim__measure_##name;
#include "measures/measures.def"
#undef MEASURE

/** Distance from the edge of a range that rounding explains; beyond it a value is failed. */
#define CSIM__EDGE 1e-12

csim_status csim__done(csim_value *out, double value);
csim_status csim__done_with(csim_value *out, double value, csim_note note);
csim_status csim__undefined(csim_value *out, csim_note note);
csim_status csim__out_of_range(csim_value *out);

/** A value of [low, 1]: what is outside by at most CSIM__EDGE is clipped, more is failed. */
csim_status csim__bounded(csim_value *out, double value, double low);

/** The root of a radicand of the given scale: from −CSIM__EDGE·scale up to 0 it is 0. */
csim_status csim__root(csim_value *out, double radicand, double scale);

/** A symmetric n×n matrix in parts that every relabelling of the examples keeps apart: the mean of the
 *  diagonal and its deviations δ; beside it A_ij = m + g_i + g_j + Â_ij, Σg = 0, rows of Â sum to 0. */
typedef struct csim__form {
    double diagonal, other;               /* means of the diagonal and of all else */
    double of_diagonal, of_rows, of_both; /* ‖δ‖², ‖g‖², ⟨δ,g⟩ */
    double rest;                          /* ‖Â‖² */
} csim__form;

/** A matrix whose rows sum to 0, from its trace, ‖δ‖² and ‖Â‖². Pure. */
csim__form csim__form_of_centred(double n, double trace, double diagonal, double rest);

/** ‖A‖_F². Pure. */
double csim__form_square(const csim__form *form, double n);

/** Mean, standard deviation and z-score of @p value = scale·⟨A,B⟩ over all n! relabellings of B; of
 *  the cosine of A and B; of that of Â and B̂, which no data change. Pure; n ≥ 4.
 *  Kazi-Aoual et al. 1995; Josse et al. 2008. */
csim_moments csim__null_moments(const csim__form *a, const csim__form *b, double n, double scale,
                                double value);
csim_moments csim__null_of_cosine(const csim__form *a, const csim__form *b, double n, double value);
csim_moments csim__null_of_hollow(double n, double value);

/** X̃X̃ᵀ of a site. Pure. */
csim__form csim__form_of_site(const csim__site *site);

/** Is one of the sites constant? */
bool csim__any_constant(const csim_pair *pair);

#endif
