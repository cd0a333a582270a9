/* From the gradients of chunks to new parameters: the largest elements, integer sums, the optimiser. */
#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "train/step.h"

/* The largest element of each tensor over all chunks and ranks, and the flags. */
csim_status csim__reduce_largest(csim__work *w, csim__step_result *r)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    int count = w->learn ? net->tensors : 0;
    float *flag = t->largest + count;
    csim_status st = w->failed;
    memset(t->largest, 0, (size_t)(count + CSIM__FLAGS) * sizeof *t->largest);
    for (int64_t c = 0; c < w->layout->shard.count; c++) {
        for (int k = 0; k < count; k++) {
            int64_t from = net->tensor[k], many = net->tensor[k + 1] - from;
            float top = csim__largest(many, t->gradient + c * net->parameters + from);
            if (!isfinite(top)) {
                top = 0;
                if (st == CSIM_OK) {
                    st = csim__fail(t->ctx, CSIM_E_NUMERIC, "a gradient is not finite");
                }
            }
            t->largest[k] = fmaxf(t->largest[k], top);
        }
    }
    if (st == CSIM_OK && !isfinite(r->loss)) {
        st = csim__fail(t->ctx, CSIM_E_NUMERIC, "the loss is not finite");
    }
    flag[CSIM__FLAG_FAILED] = st != CSIM_OK;
    flag[CSIM__FLAG_STOP] = r->stop != 0;
    flag[CSIM__FLAG_SAVE] = r->save != 0;
    csim_status sum = csim__mpi(t->ctx,
                                MPI_Allreduce(MPI_IN_PLACE, t->largest, count + CSIM__FLAGS,
                                              MPI_FLOAT, MPI_MAX, csim_context_comm(t->ctx)),
                                "largest gradients");
    if (st == CSIM_OK) { st = sum; }
    r->stop = flag[CSIM__FLAG_STOP] > 0;
    r->save = flag[CSIM__FLAG_SAVE] > 0;
    return flag[CSIM__FLAG_FAILED] > 0 || sum != CSIM_OK ? csim__vote(t->ctx, st) : CSIM_OK;
}

/* Sum of all chunks' gradients, as floats in t->g. */
csim_status csim__reduce_gradients(csim__work *w)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    csim_status st = CSIM_OK;
    memset(t->total, 0, (size_t)net->parameters * sizeof *t->total);
    for (int k = 0; k < net->tensors; k++) {
        int64_t from = net->tensor[k], many = net->tensor[k + 1] - from;
        int e = csim__exact_exponent((double)t->largest[k] * (double)w->layout->shard.chunks);
        for (int64_t c = 0; t->largest[k] > 0 && c < w->layout->shard.count; c++) {
            csim__gradient_add(many, t->gradient + c * net->parameters + from, ldexp(1, 51 - e),
                               t->total + from);
        }
    }
    if (csim_context_size(t->ctx) > 1) {
        st = csim__mpi(t->ctx,
                       MPI_Allreduce(MPI_IN_PLACE, t->total, (int)net->parameters, MPI_INT64_T,
                                     MPI_SUM, csim_context_comm(t->ctx)),
                       "gradients");
    }
    for (int k = 0; st == CSIM_OK && k < net->tensors; k++) {
        int64_t from = net->tensor[k], many = net->tensor[k + 1] - from;
        int e = csim__exact_exponent((double)t->largest[k] * (double)w->layout->shard.chunks);
        csim__gradient_value(many, t->total + from, ldexp(1, e - 51), t->g + from);
    }
    return st;
}

void csim__update(csim__work *w, const double *dw, csim__step_result *r)
{
    csim__trainer *t = w->t;
    double factor = t->notions > 0 ? 1 : w->factor; /* each notion has its own already */
    const csim_train_options *o = t->options;
    const csim__net *net = &t->encoder->net;
    int64_t n = net->weights < 0 ? net->parameters : net->weights;
    csim__step step = {.kind = (csim_optimiser)o->optimiser,
                       .rate = csim__train_rate(o, t->epoch),
                       .momentum = o->momentum,
                       .beta1 = 0.9,
                       .beta2 = 0.999,
                       .epsilon = 1e-8,
                       .decay = o->decay,
                       .step = ++t->step};
    for (int c = 0; net->weights >= 0 && c < net->heads; c++) { t->g[n + c] = (float)dw[c]; }
    if (factor != 1) {
        for (int64_t i = 0; i < net->parameters; i++) { t->g[i] = (float)(t->g[i] * factor); }
    }
    r->gradient = sqrt(csim__square_sum(net->parameters, t->g));
    if (o->clip > 0 && r->gradient > o->clip) {
        double shorter = o->clip / r->gradient;
        for (int64_t i = 0; i < net->parameters; i++) { t->g[i] = (float)(t->g[i] * shorter); }
    }
    csim__optimiser_step(&step, n, t->g, t->params, t->state1, t->state2);
    if (net->weights >= 0) { /* a logarithm of a variance is not drawn to 0 */
        step.decay = 0;
        csim__optimiser_step(&step, net->heads, t->g + n, t->params + n, t->state1 + n,
                             t->state2 + n);
    }
}
