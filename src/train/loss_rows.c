/* The contrastive loss of rows. Unit rows have products of at most 1, so one shift, 1/τ, stands for
 * the maximum of every row of S, and exp((s_ij − 1)/τ) serves both softmax of row i and of row j:
 * one exponential an element. Where that would underflow, each row takes off its own maximum. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/vector_exp.h"
#include "linalg/dense.h"
#include "train/loss.h"

enum {
    STRIP = 1024, /* columns that are worked on in the first-level cache */
    LANES = 8
};

/* From here on exp(−2/τ) is far from the smallest float. */
static const double shared_shift = 0.025;

/* ---- first half ---- */

/* Σ exp((s_j − top)·rate), the exponentials in float, their sum in double lanes of fixed order;
 * with @p keep they replace s. */
CSIM_CLONES
static double exp_row(int64_t n, float *s, float top, float rate, bool keep)
{
    float e[STRIP];
    double sum[LANES] = {0};
    for (int64_t at = 0; at < n; at += STRIP) {
        int64_t length = csim__min64(STRIP, n - at), j = 0;
        float *x = s + at;
        for (int64_t k = 0; k < length; k++) { e[k] = csim__exp_f((x[k] - top) * rate); }
        for (; j + LANES <= length; j += LANES) {
            for (int l = 0; l < LANES; l++) { sum[l] += (double)e[j + l]; }
        }
        for (int l = 0; j < length; j++, l++) { sum[l] += (double)e[j]; }
        if (keep) { memcpy(x, e, (size_t)length * sizeof *x); }
    }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* The largest of a row; NaN is passed over, and comes back with the exponentials. */
CSIM_CLONES
static float largest(int64_t n, const float *s)
{
    float lane[LANES], top;
    int64_t j = 0;
    for (int l = 0; l < LANES; l++) { lane[l] = -2; }
    for (; j + LANES <= n; j += LANES) {
        for (int l = 0; l < LANES; l++) { lane[l] = s[j + l] > lane[l] ? s[j + l] : lane[l]; }
    }
    for (int l = 0; j < n; j++, l++) { lane[l] = s[j] > lane[l] ? s[j] : lane[l]; }
    top = lane[0];
    for (int l = 1; l < LANES; l++) { top = lane[l] > top ? lane[l] : top; }
    return top;
}

/* Mean of s_ip over the positives of item i. */
static double mean_positive(const csim__groups *groups, int i, const float *s)
{
    double sum = 0;
    int g = groups->of[i];
    for (int k = groups->start[g]; k < groups->start[g + 1]; k++) {
        int p = groups->member[k];
        if (p != i) { sum += (double)s[p]; }
    }
    return sum / csim__positives(groups, i);
}

void csim__contrast_rows_forward(const csim__groups *groups, double temperature, int e,
                                 const float *z_all, int first, int count, float *s, double *sum,
                                 double *loss)
{
    int m = groups->items;
    bool shared = temperature >= shared_shift;
    float rate = (float)(1 / temperature);
    if (count == 0) { return; }
    csim__gemm_nt_f(count, m, e, z_all + (int64_t)first * e, z_all, s);
    for (int r = 0; r < count; r++) {
        int i = first + r;
        float *row = s + (int64_t)r * m;
        bool anchor = csim__positives(groups, i) > 0;
        double positive = anchor ? mean_positive(groups, i, row) : 0;
        row[i] = -2; /* no maximum */
        float top = shared ? 1 : largest(m, row);
        row[i] = (float)((double)top - 200 * temperature); /* its exponential is 0 */
        double above = exp_row(m, row, top, rate, shared);
        sum[r] = shared ? above : above * exp(((double)top - 1) / temperature);
        loss[r] = anchor ? ((double)top - positive) / temperature + log(above) : 0;
    }
}

/* ---- second half ---- */

/* (G + Gᵀ)/τ without the positives, from exponentials. */
CSIM_CLONES
static void weigh(int64_t n, float *restrict s, float own, const float *restrict other)
{
    for (int64_t j = 0; j < n; j++) { s[j] *= own + other[j]; }
}

/* Softmax of an item as a·exp(((s − high) − low)/τ): high + low = τ·log Σ exp(s/τ). The difference
 * of two close floats is exact. */
typedef struct softmax {
    float a, high, low;
} softmax;

static softmax softmax_of(double temperature, double sum, double a)
{
    double top = 1 + temperature * log(sum);
    softmax p = {.a = (float)a, .high = (float)top};
    p.low = (float)(top - (double)p.high);
    return p;
}

/* The same for the columns of a strip. */
typedef struct columns {
    float a[STRIP], high[STRIP], low[STRIP];
} columns;

/* The same as weigh() from products. */
CSIM_CLONES
static void weigh_products(int64_t n, float rate, float *restrict s, softmax own,
                           const columns *restrict other)
{
    for (int64_t j = 0; j < n; j++) {
        float p = csim__exp_f(((s[j] - own.high) - own.low) * rate);
        float q = csim__exp_f(((s[j] - other->high[j]) - other->low[j]) * rate);
        s[j] = own.a * p + other->a[j] * q;
    }
}

/* What stands before the softmax of item j: 1/(anchors·τ), 0 where it is no anchor. */
static double share(const csim__groups *groups, double temperature, int j)
{
    return csim__positives(groups, j) > 0 ? 1 / (groups->anchors * temperature) : 0;
}

static void weigh_shared(const csim__groups *groups, double temperature, const double *sum_all,
                         int first, int count, float *s)
{
    int m = groups->items;
    float other[STRIP];
    for (int at = 0; at < m; at += STRIP) {
        int length = m - at < STRIP ? m - at : STRIP;
        for (int j = 0; j < length; j++) {
            other[j] = (float)(share(groups, temperature, at + j) / sum_all[at + j]);
        }
        for (int r = 0; r < count; r++) {
            int i = first + r;
            float own = (float)(share(groups, temperature, i) / sum_all[i]);
            weigh(length, s + (int64_t)r * m + at, own, other);
        }
    }
}

static void weigh_own(const csim__groups *groups, double temperature, const double *sum_all,
                      int first, int count, float *s)
{
    int m = groups->items;
    columns other;
    float rate = (float)(1 / temperature);
    for (int at = 0; at < m; at += STRIP) {
        int length = m - at < STRIP ? m - at : STRIP;
        for (int j = 0; j < length; j++) {
            double a = share(groups, temperature, at + j);
            softmax p = softmax_of(temperature, sum_all[at + j], a);
            other.a[j] = p.a;
            other.high[j] = p.high;
            other.low[j] = p.low;
        }
        for (int r = 0; r < count; r++) {
            double a = share(groups, temperature, first + r);
            softmax own = softmax_of(temperature, sum_all[first + r], a);
            weigh_products(length, rate, s + (int64_t)r * m + at, own, &other);
        }
    }
}

/* Positives of item i see it as their positive too: 2/|P| in G + Gᵀ. */
static void take_positives(const csim__groups *groups, double temperature, int i, float *row)
{
    int g = groups->of[i], positives = csim__positives(groups, i);
    row[i] = 0;
    if (positives == 0) { return; }
    float twice = (float)(2 * share(groups, temperature, i) / positives);
    for (int k = groups->start[g]; k < groups->start[g + 1]; k++) {
        int p = groups->member[k];
        if (p != i) { row[p] -= twice; }
    }
}

void csim__contrast_rows_backward(const csim__groups *groups, double temperature, int e,
                                  const float *z_all, const double *sum_all, int first, int count,
                                  float *s, float *dz)
{
    int m = groups->items;
    if (count == 0) { return; }
    if (temperature >= shared_shift) {
        weigh_shared(groups, temperature, sum_all, first, count, s);
    } else {
        weigh_own(groups, temperature, sum_all, first, count, s);
    }
    for (int r = 0; r < count; r++) {
        take_positives(groups, temperature, first + r, s + (int64_t)r * m);
    }
    csim__gemm_nn_f(count, e, m, s, z_all, dz);
}

double csim__contrast_flops(int m, int e, int count)
{
    return 4.0 * m * e * count;
}

/* ---- several notions ---- */

double csim__mscon_total(int c, const double *loss, const float *w, bool learned, double *weight,
                         double *dw)
{
    double total = 0;
    for (int i = 0; i < c; i++) {
        weight[i] = learned ? exp(-(double)w[i]) : 1;
        dw[i] = learned ? 1 - weight[i] * loss[i] : 0;
        total += weight[i] * loss[i] + (learned ? (double)w[i] : 0);
    }
    return total;
}
