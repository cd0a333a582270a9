/* Chains of linear layers in double by plain loops, one row at a time: what tests compare with. */
#ifndef CSIM_REFERENCE_CHAIN_H
#define CSIM_REFERENCE_CHAIN_H

#include "encoder/chain.h"

enum { REFERENCE_WIDEST = 64 };

/** Values of each layer for one row. */
typedef double reference_row[CSIM__MAX_DEPTH][REFERENCE_WIDEST];

/** The activation and its derivative. */
double reference_activation(csim_activation kind, double v);
double reference_slope(csim_activation kind, double v);

/** before[l]: what linear layer l gives; after[l]: what it is given. */
void reference_forward(const csim__chain *chain, const double *params, const double *x,
                       reference_row before, reference_row after);

/** Adds to grad; g [last out] and dx [first in] are of one row. */
void reference_backward(const csim__chain *chain, const double *params, reference_row before,
                        reference_row after, const double *g, double *grad, double *dx);

/** max(|u|, 1e-12). */
double reference_length(int e, const double *u);

#endif
