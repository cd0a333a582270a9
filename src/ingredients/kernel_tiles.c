/* From inner products of rows to distances, kernels and their sums. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "ingredients/kernels.h"
#include "linalg/dense.h"
#include "linalg/exponential.h"

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

CSIM_CLONES
static void minus_row(double *out, const double *in, int n, double shift)
{
    for (int j = 0; j < n; j++) { out[j] = in[j] - shift; }
}

void csim__form_of(const csim__kernel_form *form, int s, double shift, const csim__tile *t,
                   const double *in, double *out)
{
    double sigma = form->sigma ? form->sigma[s] : 0;
    int n = t->n;
    for (int i = 0; i < t->m; i++, in += n, out += n) {
        int from = t->diagonal ? i + 1 : 0, left = n - from;
        switch (form->matrix) {
        case CSIM_RBF:
            if (sigma > 0) {
                csim__exponentials(out + from, in + from, left, -1 / (2 * sigma * sigma), shift);
            } else {
                memset(out + from, 0, (size_t)left * sizeof *out);
            }
            break;
        case CSIM_UNIFORM:
            csim__exponentials(out + from, in + from, left, -2, shift);
            break;
        case CSIM_FAR:
            for (int j = from; j < n; j++) { out[j] = sqrt(in[j]) - shift; }
            break;
        default:
            minus_row(out + from, in + from, left, shift);
        }
        memset(out, 0, (size_t)from * sizeof *out);
    }
}

CSIM_CLONES
void csim__tile_sums(const double *restrict t, int m, int n, double *restrict rows,
                     double *restrict cols)
{
    for (int j = 0; j < n; j++) { cols[j] = 0; }
    for (int i = 0; i < m; i++, t += n) {
        double lane[8] = {0};
        int j = 0;
        for (; j + 8 <= n; j += 8) {
            for (int l = 0; l < 8; l++) { lane[l] += t[j + l]; }
        }
        for (int l = 0; j < n; j++, l++) { lane[l] += t[j]; }
        rows[i] = ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
                  ((lane[1] + lane[5]) + (lane[3] + lane[7]));
        for (int k = 0; k < n; k++) { cols[k] += t[k]; }
    }
}
