/* Delete-one-block jackknife: from values without one block of examples each to an interval. */
#ifndef CSIM_SWEEP_INTERVAL_H
#define CSIM_SWEEP_INTERVAL_H

#include <stdbool.h>

/** Fewer blocks tell nothing. */
enum { CSIM__INTERVAL_BLOCKS = 8 };

typedef struct csim__interval {
    double error, low, high; /* NaN where some value is */
} csim__interval;

/** Tukey 1958; blocks of unequal length: Busing et al. 1999. Student's t with count − 1 degrees of
 *  freedom, 95 %. Local, pure.
 *  @param[in] value  with all examples
 *  @param[in] without  [count] values
 *  @param[in] share    [count] of all examples that are left out */
csim__interval csim__interval_of(double value, const double *without, const double *share,
                                 int count);

/** t with P(|T| ≤ t) = level, for whole degrees of freedom. Local, pure. */
double csim__student(double level, int freedom);

#endif
