/* Steps of the optimiser, and gradients as integers, whose sums do not depend on their order. All
 * local. */
#ifndef CSIM_OPTIMISER_H
#define CSIM_OPTIMISER_H

#include <stdint.h>

typedef enum csim_optimiser {
    CSIM_ADAM, /* Kingma and Ba 2015; decay is added to the gradient */
    CSIM_SGD   /* with momentum, not dampened */
} csim_optimiser;

typedef struct csim__step {
    csim_optimiser kind;
    double rate;
    double momentum;              /* of SGD */
    double beta1, beta2, epsilon; /* of Adam */
    double decay;                 /* decay·parameter is added to the gradient */
    int64_t step;                 /* 1, 2, … */
} csim__step;

/** One step of n parameters; ranges of other decay or rate take calls of their own.
 *  @param[in]     g       [n] gradient
 *  @param[in,out] param   [n]
 *  @param[in,out] state1  [n] zero before step 1: mean gradient (Adam), velocity (SGD)
 *  @param[in,out] state2  [n] zero before step 1: mean square (Adam); SGD leaves it alone: NULL */
void csim__optimiser_step(const csim__step *step, int64_t n, const float *g, float *param,
                          float *state1, float *state2);

/** acc[i] += round(part[i]·factor), halves to even; |part[i]·factor| < 2⁵¹. */
void csim__gradient_add(int64_t n, const float *part, double factor, int64_t *acc);

/** g[i] = acc[i]·scale, acc of any size: rounded to double, multiplied, rounded to float. */
void csim__gradient_value(int64_t n, const int64_t *acc, double scale, float *g);

/** max |x[i]|, 0 for n = 0; Inf or NaN when there is one among them, NaN before Inf. */
float csim__largest(int64_t n, const float *x);

/** Σ g[i]² in double, in a fixed order. */
double csim__square_sum(int64_t n, const float *g);

#endif
