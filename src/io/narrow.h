/* Doubles that came from a narrower type, back in that type. */
#ifndef CSIM_NARROW_H
#define CSIM_NARROW_H

#include "contrasim/reps.h"

/** Convert n doubles in place: the narrower elements, in the byte order of the machine, follow each
 *  other from the start of the block. Exact for values that csim__convert() made from that type; a
 *  NaN stays one. Local, pure. */
void csim__narrow(csim_dtype dtype, double *x, int64_t n);

#endif
