/* The contrastive loss of sets, which are few: all in double, from their products alone. */
#include <math.h>

#include "train/loss.h"

/* log Σ_{j≠i} exp(s_ij/τ), the row maximum taken off first. NaN goes through. */
static double log_sum(int m, int i, const double *row, double temperature)
{
    double top = -INFINITY, sum = 0;
    for (int j = 0; j < m; j++) {
        if (j != i && row[j] > top) { top = row[j]; }
    }
    for (int j = 0; j < m; j++) {
        if (j != i) { sum += exp((row[j] - top) / temperature); }
    }
    return top / temperature + log(sum);
}

/* Loss of anchor i. */
static double loss_of(const csim__groups *groups, int i, const double *row, double temperature,
                      double norm)
{
    double sum = 0;
    int g = groups->of[i];
    for (int k = groups->start[g]; k < groups->start[g + 1]; k++) {
        int p = groups->member[k];
        if (p != i) { sum += row[p]; }
    }
    return norm - sum / (csim__positives(groups, i) * temperature);
}

/* G_ij + G_ji times the number of anchors. */
static double both_ways(const csim__groups *groups, int i, int j, double product,
                        double temperature, const double *norm)
{
    double g = 0;
    if (csim__positives(groups, i) > 0) { g += exp(product / temperature - norm[i]); }
    if (csim__positives(groups, j) > 0) { g += exp(product / temperature - norm[j]); }
    bool same = groups->of[i] >= 0 && groups->of[i] == groups->of[j];
    return same ? g - 2.0 / csim__positives(groups, i) : g;
}

csim_status csim__contrast_sets(csim_context *ctx, const csim__groups *groups, double temperature,
                                int m, const double *s, double *loss, float *h)
{
    double *norm = NULL, sum = 0;
    csim_status st = CSIM_OK;
    if (m != groups->items) {
        return csim__fail(ctx, CSIM_E_SHAPE,
                          "contrastive loss: found products of %d sets, "
                          "expected %d",
                          m, groups->items);
    }
    CSIM_TRY(csim__alloc(ctx, m, sizeof *norm, "sums of the contrastive loss", &norm));
    for (int i = 0; i < m; i++) {
        const double *row = s + (int64_t)i * m;
        norm[i] = log_sum(m, i, row, temperature);
        if (csim__positives(groups, i) > 0) {
            sum += loss_of(groups, i, row, temperature, norm[i]);
        }
    }
    for (int i = 0; i < m; i++) {
        h[(int64_t)i * m + i] = 0;
        for (int j = i + 1; j < m; j++) {
            double g = both_ways(groups, i, j, s[(int64_t)i * m + j], temperature, norm);
            g = groups->anchors > 0 ? g / (groups->anchors * temperature) : 0;
            h[(int64_t)i * m + j] = h[(int64_t)j * m + i] = (float)g;
        }
    }
    *loss = groups->anchors > 0 ? sum / groups->anchors : 0;
done:
    csim__free(ctx, &norm);
    return st;
}
