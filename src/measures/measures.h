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

/** Is one of the sites constant? */
bool csim__any_constant(const csim_pair *pair);

#endif
