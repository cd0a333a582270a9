/* Parts of a probe: the examples and their labels, the features, the two classifiers. */
#ifndef CSIM_PROBE_H
#define CSIM_PROBE_H

#include "contrasim/probe.h"
#include "core/core.h"
#include "core/shard.h"

/** Labels of one notion, by classes counted from 0. */
typedef struct csim__probe_labels {
    int classes;
    int32_t *of; /* [n] of all examples on every rank, −1 = missing */
} csim__probe_labels;

/** What is probed, the same for all features. */
typedef struct csim__probe_task {
    csim_context *ctx;
    csim_shard shard;
    int notions, seeds;
    csim__probe_labels *labels; /* [notions] */
    uint8_t **train;            /* [seeds][n] 1: to learn from, 0: to test on */
    int k;
    double l2;
} csim__probe_task;

/** Number the values of `value` [n] (below 0 or beyond 32 bits: missing) from 0 by their order, and
 *  find the share of the commonest. Local.
 *  @param[out] labels    `of` is new
 *  @return CSIM_OK, CSIM_E_DATA (fewer than two classes), CSIM_E_MEM */
csim_status csim__probe_number(csim_context *ctx, const char *name, int64_t n, const int64_t *value,
                               csim__probe_labels *labels, int64_t *labelled, double *chance);

/** Divide n examples by seed: round(part·n) of them to learn from. Local, pure but for memory.
 *  @param[out] train  [n] */
csim_status csim__probe_divide(csim_context *ctx, int64_t n, double part, uint64_t seed,
                               uint8_t *train);

/** Minimise a smooth convex function by L-BFGS (Liu and Nocedal 1989; 10 pairs) with backtracking.
 *  The same steps wherever the function gives the same bits.
 *  @param[in]     fn    value and gradient [n] at w [n]; returns an agreed status
 *  @param[in]     tolerance  done when no element of the gradient is larger
 *  @param[in,out] w     [n] start, then the best point
 *  @return CSIM_OK, also when the steps run out; what fn returned; CSIM_E_MEM. Agreed. */
typedef csim_status (*csim__objective_fn)(void *user, const double *w, double *value,
                                          double *gradient);
csim_status csim__minimise(csim_context *ctx, int64_t n, csim__objective_fn fn, void *user,
                           double tolerance, int steps, double *w);

/** Softmax regression: mean cross-entropy of the training rows + λ/2·‖W‖², features standardised
 *  on them, the bias free. */
typedef struct csim__softmax {
    int width, classes;
    double *mean, *scale; /* [width] a feature enters as (x − mean)·scale; constant: scale 0 */
    double *w;            /* [width+1, classes], the last row is the bias */
} csim__softmax;

/** Fit to the rows of all ranks that are labelled and `train`. Collective; agreed.
 *  @param[in]  x  own rows [shard.rows, width]
 *  @param[out] s  what it owns is new; csim__softmax_clear() */
csim_status csim__softmax_fit(const csim__probe_task *task, const csim__probe_labels *labels,
                              const uint8_t *train, int width, const float *x, csim__softmax *s);
void csim__softmax_clear(csim_context *ctx, csim__softmax *s);

/** Share of the labelled other rows whose class is the likeliest. Collective; agreed. */
csim_status csim__softmax_accuracy(const csim__probe_task *task, const csim__probe_labels *labels,
                                   const uint8_t *train, const csim__softmax *s, const float *x,
                                   double *accuracy);

/** Accuracy of the k nearest neighbours by cosine among the training rows: the class that most of
 *  them have, of equals the one whose first is nearer; of equally near rows the lower index.
 *  Collective; agreed.
 *  @param[in]  x         own rows [shard.rows, width]
 *  @param[out] accuracy  [notions, seeds] */
csim_status csim__neighbours_accuracy(const csim__probe_task *task, int width, const float *x,
                                      double *accuracy);

#endif
