/** Training by its definition, in double and by plain loops over single rows, for tests only. The
 *  order of the examples, of the steps of a batch, and the random numbers of views are those that
 *  the library documents; losses, gradients and optimisers are written out here. */
#ifndef CSIM_TESTS_TRAIN_REFERENCE_H
#define CSIM_TESTS_TRAIN_REFERENCE_H

#include "reference_chain.h"
#include "train_case.h"

#include "encoder/net.h"

typedef struct train_ref {
    csim_context *ctx;
    const train_case *c;
    csim_train_options o; /* resolved */
    csim__net net;
    int input[TRAIN_SETS][TRAIN_LAYERS];
    int number[TRAIN_SETS][TRAIN_LAYERS];        /* of each site, for the random numbers of views */
    double *deviation[TRAIN_SETS][TRAIN_LAYERS]; /* [d], float32 values */
    int64_t *train, *held;                       /* rows of the sets */
    int64_t trained, held_out;
    double *p, *g, *state1, *state2; /* [parameters] */
    int64_t step;
    double loss, held_loss; /* of the last epoch */
} train_ref;

/** Lay out; parameters are zero. Free with train_ref_clear(). Collective. */
void train_ref_make(csim_context *ctx, const train_case *c, train_ref *r);
void train_ref_clear(train_ref *r);

/** Loss of one step and, with @p grad, its gradient added to that. Local.
 *  @param[in] row  [count] rows of the sets */
double train_ref_loss(const train_ref *r, const int64_t *row, int count, int stop, int64_t epoch,
                      double *grad);

/** One epoch of steps, held-out loss after it. Local. */
void train_ref_epoch(train_ref *r, int64_t epoch);

#endif
