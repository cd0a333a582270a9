/* One step: forward, loss, backward, the sum of the gradients, the optimiser.
 *
 * What can fail on one rank alone is kept until the max-reduce before the gradients' sum, which
 * every rank reaches: its last elements say whether something failed, whether to stop, whether to
 * save. */
#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "linalg/dense.h"
#include "train/step.h"

/* ---- losses of rows ---- */

static void keep(csim__work *w, csim_status st)
{
    if (w->failed == CSIM_OK) { w->failed = st; }
}

static void gather_rows(csim__work *w, float *z, int e)
{
    csim__trainer *t = w->t;
    const csim__layout *l = w->layout;
    int size = csim_context_size(t->ctx);
    MPI_Datatype row;
    if (size == 1) { return; }
    csim__phase_begin(t->ctx, "gather");
    MPI_Type_contiguous(e, MPI_FLOAT, &row);
    MPI_Type_commit(&row);
    keep(w, csim__mpi(t->ctx,
                      MPI_Allgatherv(MPI_IN_PLACE, 0, row, z, l->part, l->at, row,
                                     csim_context_comm(t->ctx)),
                      "projected rows"));
    MPI_Type_free(&row);
    csim__phase_end(t->ctx, 0, 4.0 * (double)l->items * e);
}

static void gather_numbers(csim__work *w, double *list)
{
    csim__trainer *t = w->t;
    const csim__layout *l = w->layout;
    if (csim_context_size(t->ctx) == 1) { return; }
    keep(w, csim__mpi(t->ctx,
                      MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DOUBLE, list, l->part, l->at, MPI_DOUBLE,
                                     csim_context_comm(t->ctx)),
                      "sums of rows"));
}

/* Items of chunk c: they stand together. */
static int64_t chunk_items(const csim__work *w, int64_t c, int64_t *first)
{
    *first = csim__chunk_row(&w->layout->shard, c) * w->t->copies;
    return csim__chunk_rows(&w->layout->shard, c) * w->t->copies;
}

/* The contrastive loss of z of all items, and ∂L/∂z of this rank's into dz. */
static double contrastive(csim__work *w, const csim__groups *groups, int e)
{
    csim__trainer *t = w->t;
    const csim__layout *l = w->layout;
    const csim_shard *s = &l->shard;
    double tau = t->options->temperature, loss = 0;
    int64_t first, count;
    csim__phase_begin(t->ctx, "loss");
    for (int64_t c = s->first; c < s->first + s->count; c++) {
        count = chunk_items(w, c, &first);
        csim__contrast_rows_forward(groups, tau, e, t->z, (int)first, (int)count,
                                    t->s + (first - l->first) * l->items, t->sum + first,
                                    t->loss + first);
    }
    gather_numbers(w, t->sum);
    gather_numbers(w, t->loss);
    for (int64_t c = s->first; w->learn && c < s->first + s->count; c++) {
        count = chunk_items(w, c, &first);
        csim__contrast_rows_backward(groups, tau, e, t->z, t->sum, (int)first, (int)count,
                                     t->s + (first - l->first) * l->items,
                                     t->dz + (first - l->first) * e);
    }
    for (int i = 0; i < l->items; i++) { loss += t->loss[i]; }
    double flops = csim__contrast_flops(l->items, e, l->count);
    csim__phase_end(t->ctx, w->learn ? flops : flops / 2, 0);
    return groups->anchors > 0 ? loss / groups->anchors : 0;
}

/* The loss that is asked for, of z of all items. */
static double row_loss(csim__work *w, int e)
{
    csim__trainer *t = w->t;
    const csim__layout *l = w->layout;
    double loss = NAN;
    if (t->options->loss == CSIM_LOSS_CONTRASTIVE) { return contrastive(w, &l->groups, e); }
    csim__phase_begin(t->ctx, "loss");
    if (t->options->loss == CSIM_LOSS_DEEPDOT) {
        csim__deepdot(t->copies, (int)l->rows, l->item, e, t->z, l->first, l->count, &loss, t->dz);
    } else {
        keep(w, csim__deepcka(t->ctx, t->copies, (int)l->rows, l->item, e, t->z, l->first, l->count,
                              &loss, t->dz));
    }
    csim__phase_end(t->ctx, 0, 0);
    return loss;
}

static void step_rows(csim__work *w, csim__step_result *r)
{
    csim__trainer *t = w->t;
    int e = t->encoder->net.out;
    float *own = t->z + (int64_t)w->layout->first * e;
    csim__go_forward(w);
    csim__unit_forward(csim__own_rows(w), e, csim__encoder_out(t), own, t->norm);
    gather_rows(w, t->z, e);
    r->loss = row_loss(w, e);
    csim__similarities(&w->layout->groups, e, t->z, &r->positive, &r->negative);
    if (!w->learn) { return; }
    csim__unit_backward(csim__own_rows(w), e, own, t->norm, t->dz);
    float *spare = t->du; /* the gradients are those of u */
    t->du = t->dz;
    csim__go_backward(w);
    t->du = spare;
}

/* ---- several notions ---- */

/* Positives by the labels of one notion. */
static csim_status group_labels(csim__work *w, int c, csim__groups *groups)
{
    csim__trainer *t = w->t;
    const csim__layout *l = w->layout;
    int64_t *label = NULL, first = w->batch * w->batches->batch;
    csim_status st = csim__alloc(t->ctx, l->items, sizeof *label, "labels of items", &label);
    if (st != CSIM_OK) { return st; }
    for (int64_t v = 0; v < t->copies; v++) {
        for (int64_t q = 0; q < l->rows; q++) {
            label[l->item[v * l->rows + q]] = t->label[c][w->row[w->batches->order[first + q]]];
        }
    }
    st = csim__groups_make(t->ctx, l->items, label, groups);
    csim__free(t->ctx, &label);
    return st;
}

/* One head: its loss; with learning its gradients, and its share of du. */
static double step_head(csim__work *w, int c, double weight, csim__tally *seen)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    const csim__chain *head = &net->head[c];
    const csim_shard *s = &w->layout->shard;
    int e = net->head_out, first = w->layout->first;
    float *own = t->z + (int64_t)first * e, *u = csim__encoder_out(t);
    csim__groups groups = {.items = 0};
    int64_t at, rows;
    for (int64_t k = s->first; k < s->first + s->count; k++) {
        rows = chunk_items(w, k, &at);
        at -= first;
        float *out[2] = {t->head_hidden + at * net->out, own + at * e};
        csim__chain_forward(head, t->params, rows, u + at * net->out, out, t->scratch);
    }
    csim__unit_forward(csim__own_rows(w), e, own, own, t->norm);
    gather_rows(w, t->z, e);
    csim_status st = group_labels(w, c, &groups);
    keep(w, st);
    if (st != CSIM_OK) {
        return contrastive(w, &w->layout->groups, e);
    } /* keeps step with others */
    double loss = contrastive(w, &groups, e), positive, negative;
    csim__similarities(&groups, e, t->z, &positive, &negative);
    csim__tally_similarities(seen, positive, negative);
    csim__groups_clear(t->ctx, &groups);
    if (!w->learn) { return loss; }
    csim__unit_backward(csim__own_rows(w), e, own, t->norm, t->dz);
    for (int64_t i = 0; i < csim__own_rows(w) * e; i++) { t->dz[i] *= (float)weight; }
    for (int64_t k = s->first; k < s->first + s->count; k++) {
        rows = chunk_items(w, k, &at);
        at -= first;
        float *out[2] = {t->head_hidden + at * net->out, NULL};
        csim__chain_backward(head, t->params, rows, u + at * net->out, out, t->dz + at * e,
                             t->gradient + (k - s->first) * net->parameters,
                             t->head_hidden + at * net->out, t->scratch);
    }
    const float *share = t->head_hidden; /* its values are not needed any more */
    for (int64_t i = 0; i < csim__own_rows(w) * net->out; i++) { t->du[i] += share[i]; }
    return loss;
}

static void step_notions(csim__work *w, csim__step_result *r, double *loss, double *weight,
                         double *dw)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    const float *logs = net->weights < 0 ? NULL : t->params + net->weights;
    csim__tally seen = {.steps = 0};
    csim__go_forward(w);
    memset(t->du, 0, (size_t)(csim__own_rows(w) * net->out) * sizeof *t->du);
    csim__mscon_total(net->heads, loss, logs, logs != NULL, weight, dw); /* the weights */
    for (int c = 0; c < net->heads; c++) {
        loss[c] = w->factor * step_head(w, c, weight[c] * w->factor, &seen);
    }
    r->loss = csim__mscon_total(net->heads, loss, logs, logs != NULL, weight, dw);
    r->positive = csim__tally_mean(seen.positive, seen.positives);
    r->negative = csim__tally_mean(seen.negative, seen.negatives);
    if (w->learn) { csim__go_backward(w); }
}

/* ---- sets ---- */

/* S of all pairs of sets: integer sums over chunks and ranks, each chunk by one product. */
static void gram_of_sets(csim__work *w)
{
    csim__trainer *t = w->t;
    const csim_shard *s = &w->layout->shard;
    int m = t->sites, e = t->encoder->net.out;
    int64_t cells = (int64_t)m * m, at = 0;
    int exponent = csim__exact_exponent(2 * (double)w->layout->rows);
    double factor = ldexp(1, 50 - exponent), scale = ldexp(1, exponent - 50);
    csim__phase_begin(t->ctx, "loss");
    memset(t->gram, 0, (size_t)cells * sizeof *t->gram);
    for (int64_t c = s->first; c < s->first + s->count; c++) {
        int64_t values = csim__chunk_rows(s, c) * e;
        memset(t->gram_part, 0, (size_t)cells * sizeof *t->gram_part);
        csim__syrk_nt_add_f(m, (int)values, t->z + at, t->gram_part);
        csim__gradient_add(cells, t->gram_part, factor, t->gram);
        at += values * m;
    }
    keep(w, csim__mpi(t->ctx,
                      MPI_Allreduce(MPI_IN_PLACE, t->gram, (int)cells, MPI_INT64_T, MPI_SUM,
                                    csim_context_comm(t->ctx)),
                      "similarities of sets"));
    for (int i = 0; i < m; i++) {
        for (int j = i; j < m; j++) {
            double v = (double)t->gram[(int64_t)i * m + j] * scale / (double)w->layout->rows;
            t->similarity[(int64_t)i * m + j] = t->similarity[(int64_t)j * m + i] = v;
        }
    }
    double rows = (double)w->layout->shard.rows;
    csim__phase_end(t->ctx, (double)cells * rows * e, 0);
}

/* dz = (1/n) h z, chunk by chunk. */
static void gradient_of_sets(csim__work *w)
{
    csim__trainer *t = w->t;
    const csim_shard *s = &w->layout->shard;
    int m = t->sites, e = t->encoder->net.out;
    int64_t at = 0;
    csim__phase_begin(t->ctx, "loss");
    for (int64_t i = 0; i < (int64_t)m * m; i++) {
        t->h[i] = (float)((double)t->h[i] / (double)w->layout->rows);
    }
    for (int64_t c = s->first; c < s->first + s->count; c++) {
        int64_t values = csim__chunk_rows(s, c) * e;
        csim__gemm_nn_f(m, (int)values, m, t->h, t->z + at, t->dz + at);
        at += values * m;
    }
    csim__phase_end(t->ctx, 2.0 * m * m * (double)w->layout->shard.rows * e, 0);
}

static void step_sets(csim__work *w, csim__step_result *r)
{
    csim__trainer *t = w->t;
    const csim__groups *groups = &w->layout->groups;
    int e = t->encoder->net.out;
    csim__go_forward(w);
    csim__unit_forward(csim__own_rows(w), e, csim__encoder_out(t), t->z, t->norm);
    /* A value that is not a number must not be made an integer: its loss is none either. */
    float top = csim__largest(csim__own_rows(w) * e, t->z);
    if (!isfinite(top)) { memset(t->z, 0, (size_t)(csim__own_rows(w) * e) * sizeof *t->z); }
    gram_of_sets(w);
    keep(w, csim__contrast_sets(t->ctx, groups, t->options->temperature, t->sites, t->similarity,
                                &r->loss, t->h));
    csim__similarities_of_sets(groups, t->similarity, &r->positive, &r->negative);
    if (!isfinite(top)) {
        keep(w, csim__fail(t->ctx, CSIM_E_NUMERIC, "an encoded row is not finite"));
    }
    if (!w->learn) { return; }
    gradient_of_sets(w);
    csim__unit_backward(csim__own_rows(w), e, t->z, t->norm, t->dz);
    float *spare = t->du;
    t->du = t->dz;
    csim__go_backward(w);
    t->du = spare;
}

csim_status csim__train_step(csim__trainer *t, int64_t i, int stop, bool learn,
                             csim__step_result *r)
{
    const csim__batches *b = learn ? &t->batches : &t->held_batches;
    double base = t->options->base_temperature;
    csim__work w = {.t = t,
                    .batches = b,
                    .layout = &t->layout[(learn ? 0 : 2) + (i == b->count - 1)],
                    .stop = &t->stop[stop],
                    .batch = i,
                    .row = learn ? t->train_row : t->held_row,
                    .learn = learn,
                    .factor = base > 0 ? t->options->temperature / base : 1};
    double *loss = t->notion_loss, *weight = loss + t->notions, *dw = weight + t->notions;
    csim__phase_begin(t->ctx, learn ? "step" : "held-out step");
    if (learn) {
        memset(t->gradient, 0,
               (size_t)(w.layout->shard.count * t->encoder->net.parameters) * sizeof *t->gradient);
    }
    if (csim__by_sets(t)) {
        step_sets(&w, r);
    } else if (t->notions > 0) {
        step_notions(&w, r, loss, weight, dw);
    } else {
        step_rows(&w, r);
    }
    if (t->notions == 0) { r->loss *= w.factor; }
    csim__phase_begin(t->ctx, "reduce");
    csim_status st = csim__reduce_largest(&w, r);
    if (st == CSIM_OK && learn) { st = csim__reduce_gradients(&w); }
    csim__phase_end(t->ctx, 0, learn ? 8.0 * (double)t->encoder->net.parameters : 0);
    csim__phase_begin(t->ctx, "optimiser");
    if (st == CSIM_OK && learn) { csim__update(&w, dw, r); }
    csim__phase_end(t->ctx, 0, 0);
    csim__phase_end(t->ctx, 0, 0);
    return st;
}
