/* What the files of a step share: its state, the passes through the network, the sums over ranks. */
#ifndef CSIM_STEP_H
#define CSIM_STEP_H

#include "train/trainer.h"

/** What the max-reduce before the gradients' sum carries behind the largest elements. */
enum { CSIM__FLAG_FAILED, CSIM__FLAG_STOP, CSIM__FLAG_SAVE, CSIM__FLAGS };

/* A step under way. */
typedef struct csim__work {
    csim__trainer *t;
    const csim__batches *batches;
    const csim__layout *layout;
    const csim__stop *stop;
    int64_t batch;
    const int64_t *row; /* rows of the sets: training or held out */
    bool learn;
    double factor;      /* of the loss, τ/base */
    csim_status failed; /* of this rank, until it is agreed on */
} csim__work;

/** Outputs of all layers for this rank's rows of the step; copies of the rows before that, where views
 *  are asked for. Local. */
void csim__go_forward(csim__work *w);

/** Gradients of the encoder's parameters, one vector a chunk, from du, ∂L/∂u of its outputs before they
 *  are made unit rows. Local. */
void csim__go_backward(csim__work *w);

/** Item rows of this rank, and the outputs of the encoder for them. Local. */
int64_t csim__own_rows(const csim__work *w);
float *csim__encoder_out(const csim__trainer *t);

/** The largest element of each tensor over all chunks and ranks, and the flags: stop and save of @p r
 *  are agreed on. Collective. @return CSIM_OK, or what failed on any rank; the same on every rank */
csim_status csim__reduce_largest(csim__work *w, csim__step_result *r);

/** Sum of all chunks' gradients, in t->g. Collective. @return CSIM_OK, CSIM_E_MPI */
csim_status csim__reduce_gradients(csim__work *w);

/** One step of the optimiser; @p dw are the gradients of the notions' weights. Local. */
void csim__update(csim__work *w, const double *dw, csim__step_result *r);

#endif
