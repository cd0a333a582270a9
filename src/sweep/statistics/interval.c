#include "sweep/statistics/interval.h"

#include <math.h>

/* P(|T| ≤ t) (Abramowitz and Stegun 26.7.3, 26.7.4). */
static double within(double t, int freedom)
{
    double theta = atan(t / sqrt(freedom)), c = cos(theta), total = 0, term = 1;
    bool odd = freedom % 2 != 0;
    if (odd) { term = c; }
    for (int m = odd ? 1 : 0; m < freedom - 1; m += 2) {
        total += term;
        term *= c * c * (m + 1) / (m + 2);
    }
    return odd ? 2 / acos(-1) * (theta + sin(theta) * total) : sin(theta) * total;
}

double csim__student(double level, int freedom)
{
    double low = 0, high = 1;
    while (within(high, freedom) < level) { high *= 2; }
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        *(within(middle, freedom) < level ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

csim__interval csim__interval_of(double value, const double *without, const double *share,
                                 int count)
{
    double joined = count * value, square = 0;
    for (int b = 0; b < count; b++) { joined -= (1 - share[b]) * without[b]; }
    for (int b = 0; b < count; b++) {
        double h = 1 / share[b], pseudo = h * value - (h - 1) * without[b];
        square += (pseudo - joined) * (pseudo - joined) / (h - 1);
    }
    double error = sqrt(square / count), reach = csim__student(0.95, count - 1) * error;
    return (csim__interval){error, value - reach, value + reach};
}
