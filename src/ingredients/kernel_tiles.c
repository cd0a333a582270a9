/* From inner products of rows to distances. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "ingredients/kernels.h"
#include "linalg/dense.h"

/* Below this share of ‖x‖²+‖y‖² a square of a distance is taken from differences: the others keep 12
 * digits and more. */
static const double NEAR = 0x1p-12;

CSIM_CLONES
static int squares_row(double *restrict g, int from, int n, double left,
                       const double *restrict right)
{
    int64_t close = 0;
    for (int j = from; j < n; j++) {
        double both = left + right[j], v = both - 2 * g[j];
        close |= v < NEAR * both;
        g[j] = v;
    }
    return (int)close;
}

CSIM_CLONES
static int angles_row(double *restrict g, int from, int n)
{
    int64_t close = 0;
    for (int j = from; j < n; j++) {
        double v = 1 - g[j];
        close |= v < NEAR;
        g[j] = v;
    }
    return (int)close;
}

void csim__squares_of(double *g, int m, int n, int64_t d, const double *x, const double *y,
                      const double *left, const double *right, bool upper)
{
    for (int i = 0; i < m; i++, g += n, x += d) {
        int from = upper ? i + 1 : 0;
        if (!squares_row(g, from, n, left[i], right)) { continue; }
        for (int j = from; j < n; j++) {
            if (g[j] < NEAR * (left[i] + right[j])) {
                g[j] = csim__square_distance(d, 1, x, 1, y + j * d);
            }
        }
    }
}

void csim__angles_of(double *g, int m, int n, int64_t d, const double *x, const double *y,
                     bool upper)
{
    for (int i = 0; i < m; i++, g += n, x += d) {
        int from = upper ? i + 1 : 0;
        if (!angles_row(g, from, n)) { continue; }
        for (int j = from; j < n; j++) {
            if (g[j] < NEAR) { g[j] = csim__square_distance(d, 1, x, 1, y + j * d) / 2; }
        }
    }
}

/* Its numbers without those that are all they have in common, and about 1 in size, so that squares
 * neither over- nor underflow. */
static bool make_plain(double *x, int64_t d, bool centred)
{
    double most = 0, mean = 0;
    bool alike = true;
    int exponent;
    for (int64_t j = 0; j < d; j++) {
        most = fmax(most, fabs(x[j]));
        alike = alike && x[j] == x[0];
    }
    if (most == 0 || (centred && alike)) { return false; }
    (void)frexp(most, &exponent);
    for (int64_t j = 0; j < d; j++) {
        x[j] = ldexp(x[j], -exponent);
        mean += x[j];
    }
    mean /= (double)d;
    for (int64_t j = 0; centred && j < d; j++) { x[j] -= mean; }
    return true;
}

void csim__rows_to_unit(double *rows, int64_t count, int64_t d, bool centred)
{
    for (int64_t i = 0; i < count; i++) {
        double *x = rows + i * d;
        double length = make_plain(x, d, centred) ? sqrt(csim__dot(d, x, x)) : 0;
        for (int64_t j = 0; j < d; j++) { x[j] = length > 0 ? x[j] / length : 0; }
    }
}
