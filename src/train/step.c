/* One step: forward, loss, backward, the sum of the gradients, the optimiser.
 *
 * What can fail on one rank alone is kept until the max-reduce before the gradients' sum, which
 * every rank reaches: its last elements say whether something failed, whether to stop, whether to
 * save. */
#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "core/rng.h"
#include "linalg/dense.h"
#include "train/trainer.h"

enum { FLAG_FAILED, FLAG_STOP, FLAG_SAVE, FLAGS };

/* A step under way. */
typedef struct work {
    csim__trainer *t;
    const csim__batches *batches;
    const csim__layout *layout;
    const csim__stop *stop;
    int64_t batch;
    const int64_t *row; /* rows of the sets: training or held out */
    bool learn;
    double factor;      /* of the loss, τ/base */
    csim_status failed; /* of this rank, until it is agreed on */
} work;

static bool by_sets(const csim__trainer *t)
{
    return t->options->item == CSIM_ITEM_SET;
}

static bool augmented(const csim__trainer *t)
{
    return t->options->views > 1 || t->options->view_noise > 0 || t->options->view_dropout > 0;
}

/* ---- views ---- */

/* One row as copy `view` of site k in this step; its random numbers depend on the example, the
 * epoch and the seed, not on where it lies. */
static void augment(const csim__trainer *t, int k, int view, int64_t example, const float *x,
                    float *to)
{
    const csim_train_options *o = t->options;
    const csim__train_site *site = &t->site[k];
    uint64_t stream = (uint64_t)1 << 33;
    stream += (((uint64_t)t->epoch * (uint64_t)t->sites + (uint64_t)k) * (uint64_t)o->views +
               (uint64_t)view) *
                  (uint64_t)csim_set_examples(site->set) +
              (uint64_t)example;
    csim__rng rng = csim__rng_start(t->batches.seed, stream);
    double keep = 1 / (1 - o->view_dropout);
    for (int64_t j = 0; j < site->d; j++) {
        double v = (double)x[j];
        if (o->view_noise > 0) {
            v += o->view_noise * (double)site->deviation[j] * csim__rng_normal(&rng);
        }
        if (o->view_dropout > 0) { v = csim__rng_uniform(&rng) < o->view_dropout ? 0 : v * keep; }
        to[j] = (float)v;
    }
}

/* Rows of one run of sites and one chunk, [site][view][row][d]. */
static void augment_run(const work *w, const csim__run *run, int64_t c, int64_t rows,
                        const float *x, float *to)
{
    const csim__trainer *t = w->t;
    int64_t d = t->site[run->first].d, first = w->batch * w->batches->batch;
    first += csim__chunk_row(&w->layout->shard, c);
    for (int k = 0; k < run->count; k++) {
        for (int v = 0; v < (int)t->options->views; v++) {
            for (int64_t r = 0; r < rows; r++) {
                augment(t, run->first + k, v, w->row[w->batches->order[first + r]],
                        x + (k * rows + r) * d, to);
                to += d;
            }
        }
    }
}

/* ---- forward ---- */

/* The pieces of this rank's part of a step, in order: each run of each chunk. */
typedef struct piece {
    const csim__chain *chain;
    int64_t chunk, rows; /* item rows */
    int64_t at;          /* first item row, counted from this rank's first */
    const float *x;      /* [rows, d] */
    int slot;            /* of the chunk among this rank's */
} piece;

typedef csim_status (*piece_fn)(work *w, const piece *p);

/* Call `fn` for every piece. */
static csim_status for_pieces(work *w, piece_fn fn)
{
    csim__trainer *t = w->t;
    const csim_shard *s = &w->layout->shard;
    int64_t at = 0, views = by_sets(t) ? 1 : t->options->views;
    float *copy = t->views;
    csim_status st = CSIM_OK;
    for (int64_t c = s->first; st == CSIM_OK && c < s->first + s->count; c++) {
        int64_t rows = csim__chunk_rows(s, c), before = 0;
        const float *x = csim__batch_chunk(w->batches, w->batch, c);
        for (int k = 0; k < w->stop->first; k++) { before += t->width[k]; }
        x += rows * before;
        for (int i = 0; st == CSIM_OK && i < w->stop->runs; i++) {
            const csim__run *run = &w->stop->run[i];
            int64_t d = t->site[run->first].d;
            piece p = {.chain = &t->encoder->net.encoder[run->input],
                       .chunk = c,
                       .rows = rows * run->count * views,
                       .at = at,
                       .x = augmented(t) ? copy : x,
                       .slot = (int)(c - s->first)};
            if (augmented(t) && fn == NULL) { augment_run(w, run, c, rows, x, copy); }
            if (fn != NULL) { st = fn(w, &p); }
            if (copy != NULL) { copy += p.rows * d; }
            x += rows * run->count * d;
            at += p.rows;
        }
    }
    return st;
}

static csim_status forward_piece(work *w, const piece *p)
{
    csim__trainer *t = w->t;
    float *out[CSIM__MAX_DEPTH];
    for (int l = 0; l < p->chain->depth; l++) {
        out[l] = t->hidden[l] + p->at * p->chain->layer[l].out;
    }
    csim__chain_forward(p->chain, t->params, p->rows, p->x, out, t->scratch);
    return CSIM_OK;
}

static int64_t own_rows(const work *w)
{
    return w->layout->shard.rows * w->t->copies;
}

static float *encoder_out(const csim__trainer *t)
{
    return t->hidden[t->encoder->net.encoder[0].depth - 1];
}

static double forward_flops(const work *w, bool backward)
{
    const csim__trainer *t = w->t;
    double flops = 0;
    int64_t rows = w->layout->shard.rows * (by_sets(t) ? 1 : t->options->views);
    for (int i = 0; i < w->stop->runs; i++) {
        const csim__chain *chain = &t->encoder->net.encoder[w->stop->run[i].input];
        int64_t many = rows * w->stop->run[i].count;
        double products = 0;
        for (int l = 0; l < chain->depth; l++) {
            products += 2.0 * (double)chain->layer[l].in * (double)chain->layer[l].out;
        }
        flops += backward ? csim__chain_flops(chain, many, false) - products * (double)many
                          : products * (double)many;
    }
    return flops;
}

static void forward(work *w)
{
    csim__phase_begin(w->t->ctx, "forward");
    if (augmented(w->t)) { for_pieces(w, NULL); }
    for_pieces(w, forward_piece);
    csim__phase_end(w->t->ctx, forward_flops(w, false), 0);
}

/* ---- backward ---- */

static csim_status backward_piece(work *w, const piece *p)
{
    csim__trainer *t = w->t;
    int64_t size = t->encoder->net.parameters, e = t->encoder->net.out;
    float *out[CSIM__MAX_DEPTH];
    for (int l = 0; l < p->chain->depth; l++) {
        out[l] = t->hidden[l] + p->at * p->chain->layer[l].out;
    }
    csim__chain_backward(p->chain, t->params, p->rows, p->x, out, t->du + p->at * e,
                         t->gradient + p->slot * size, NULL, t->scratch);
    return CSIM_OK;
}

/* Gradients of the encoder from du, ∂L/∂u of its outputs before they are made unit rows. */
static void backward(work *w)
{
    csim__phase_begin(w->t->ctx, "backward");
    for_pieces(w, backward_piece);
    csim__phase_end(w->t->ctx, forward_flops(w, true), 0);
}

/* ---- losses of rows ---- */

static void keep(work *w, csim_status st)
{
    if (w->failed == CSIM_OK) { w->failed = st; }
}

static void gather_rows(work *w, float *z, int e)
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

static void gather_numbers(work *w, double *list)
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
static int64_t chunk_items(const work *w, int64_t c, int64_t *first)
{
    *first = csim__chunk_row(&w->layout->shard, c) * w->t->copies;
    return csim__chunk_rows(&w->layout->shard, c) * w->t->copies;
}

/* The contrastive loss of z of all items, and ∂L/∂z of this rank's into dz. */
static double contrastive(work *w, const csim__groups *groups, int e)
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
static double row_loss(work *w, int e)
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

static void step_rows(work *w, csim__step_result *r)
{
    csim__trainer *t = w->t;
    int e = t->encoder->net.out;
    float *own = t->z + (int64_t)w->layout->first * e;
    forward(w);
    csim__unit_forward(own_rows(w), e, encoder_out(t), own, t->norm);
    gather_rows(w, t->z, e);
    r->loss = row_loss(w, e);
    csim__similarities(&w->layout->groups, e, t->z, &r->positive, &r->negative);
    if (!w->learn) { return; }
    csim__unit_backward(own_rows(w), e, own, t->norm, t->dz);
    float *spare = t->du; /* the gradients are those of u */
    t->du = t->dz;
    backward(w);
    t->du = spare;
}

/* ---- several notions ---- */

/* Positives by the labels of one notion. */
static csim_status group_labels(work *w, int c, csim__groups *groups)
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
static double step_head(work *w, int c, double weight, csim__tally *seen)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    const csim__chain *head = &net->head[c];
    const csim_shard *s = &w->layout->shard;
    int e = net->head_out, first = w->layout->first;
    float *own = t->z + (int64_t)first * e, *u = encoder_out(t);
    csim__groups groups = {.items = 0};
    int64_t at, rows;
    for (int64_t k = s->first; k < s->first + s->count; k++) {
        rows = chunk_items(w, k, &at);
        at -= first;
        float *out[2] = {t->head_hidden + at * net->out, own + at * e};
        csim__chain_forward(head, t->params, rows, u + at * net->out, out, t->scratch);
    }
    csim__unit_forward(own_rows(w), e, own, own, t->norm);
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
    csim__unit_backward(own_rows(w), e, own, t->norm, t->dz);
    for (int64_t i = 0; i < own_rows(w) * e; i++) { t->dz[i] *= (float)weight; }
    for (int64_t k = s->first; k < s->first + s->count; k++) {
        rows = chunk_items(w, k, &at);
        at -= first;
        float *out[2] = {t->head_hidden + at * net->out, NULL};
        csim__chain_backward(head, t->params, rows, u + at * net->out, out, t->dz + at * e,
                             t->gradient + (k - s->first) * net->parameters,
                             t->head_hidden + at * net->out, t->scratch);
    }
    const float *share = t->head_hidden; /* its values are not needed any more */
    for (int64_t i = 0; i < own_rows(w) * net->out; i++) { t->du[i] += share[i]; }
    return loss;
}

static void step_notions(work *w, csim__step_result *r, double *loss, double *weight, double *dw)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    const float *logs = net->weights < 0 ? NULL : t->params + net->weights;
    csim__tally seen = {.steps = 0};
    forward(w);
    memset(t->du, 0, (size_t)(own_rows(w) * net->out) * sizeof *t->du);
    csim__mscon_total(net->heads, loss, logs, logs != NULL, weight, dw); /* the weights */
    for (int c = 0; c < net->heads; c++) {
        loss[c] = w->factor * step_head(w, c, weight[c] * w->factor, &seen);
    }
    r->loss = csim__mscon_total(net->heads, loss, logs, logs != NULL, weight, dw);
    r->positive = csim__tally_mean(seen.positive, seen.positives);
    r->negative = csim__tally_mean(seen.negative, seen.negatives);
    if (w->learn) { backward(w); }
}

/* ---- sets ---- */

/* S of all pairs of sets: integer sums over chunks and ranks, each chunk by one product. */
static void gram_of_sets(work *w)
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
static void gradient_of_sets(work *w)
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

static void step_sets(work *w, csim__step_result *r)
{
    csim__trainer *t = w->t;
    const csim__groups *groups = &w->layout->groups;
    int e = t->encoder->net.out;
    forward(w);
    csim__unit_forward(own_rows(w), e, encoder_out(t), t->z, t->norm);
    /* A value that is not a number must not be made an integer: its loss is none either. */
    float top = csim__largest(own_rows(w) * e, t->z);
    if (!isfinite(top)) { memset(t->z, 0, (size_t)(own_rows(w) * e) * sizeof *t->z); }
    gram_of_sets(w);
    keep(w, csim__contrast_sets(t->ctx, groups, t->options->temperature, t->sites, t->similarity,
                                &r->loss, t->h));
    csim__similarities_of_sets(groups, t->similarity, &r->positive, &r->negative);
    if (!isfinite(top)) {
        keep(w, csim__fail(t->ctx, CSIM_E_NUMERIC, "an encoded row is not finite"));
    }
    if (!w->learn) { return; }
    gradient_of_sets(w);
    csim__unit_backward(own_rows(w), e, t->z, t->norm, t->dz);
    float *spare = t->du;
    t->du = t->dz;
    backward(w);
    t->du = spare;
}

/* ---- gradients and parameters ---- */

/* The largest element of each tensor over all chunks and ranks, and the flags. */
static csim_status reduce_largest(work *w, csim__step_result *r)
{
    csim__trainer *t = w->t;
    const csim__net *net = &t->encoder->net;
    int count = w->learn ? net->tensors : 0;
    float *flag = t->largest + count;
    csim_status st = w->failed;
    memset(t->largest, 0, (size_t)(count + FLAGS) * sizeof *t->largest);
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
    flag[FLAG_FAILED] = st != CSIM_OK;
    flag[FLAG_STOP] = r->stop != 0;
    flag[FLAG_SAVE] = r->save != 0;
    csim_status sum = csim__mpi(t->ctx,
                                MPI_Allreduce(MPI_IN_PLACE, t->largest, count + FLAGS, MPI_FLOAT,
                                              MPI_MAX, csim_context_comm(t->ctx)),
                                "largest gradients");
    if (st == CSIM_OK) { st = sum; }
    r->stop = flag[FLAG_STOP] > 0;
    r->save = flag[FLAG_SAVE] > 0;
    return flag[FLAG_FAILED] > 0 || sum != CSIM_OK ? csim__vote(t->ctx, st) : CSIM_OK;
}

/* Sum of all chunks' gradients, as floats in t->g. */
static csim_status reduce_gradients(work *w)
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

static void update(work *w, const double *dw, csim__step_result *r)
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

csim_status csim__train_step(csim__trainer *t, int64_t i, int stop, bool learn,
                             csim__step_result *r)
{
    const csim__batches *b = learn ? &t->batches : &t->held_batches;
    double base = t->options->base_temperature;
    work w = {.t = t,
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
    if (by_sets(t)) {
        step_sets(&w, r);
    } else if (t->notions > 0) {
        step_notions(&w, r, loss, weight, dw);
    } else {
        step_rows(&w, r);
    }
    if (t->notions == 0) { r->loss *= w.factor; }
    csim__phase_begin(t->ctx, "reduce");
    csim_status st = reduce_largest(&w, r);
    if (st == CSIM_OK && learn) { st = reduce_gradients(&w); }
    csim__phase_end(t->ctx, 0, learn ? 8.0 * (double)t->encoder->net.parameters : 0);
    csim__phase_begin(t->ctx, "optimiser");
    if (st == CSIM_OK && learn) { update(&w, dw, r); }
    csim__phase_end(t->ctx, 0, 0);
    csim__phase_end(t->ctx, 0, 0);
    return st;
}

/* ---- room ---- */

/* Item rows of this rank, items of all ranks, and chunks of this rank in the largest batch. */
static void largest_step(const csim__trainer *t, int64_t *rows, int64_t *items, int64_t *chunks)
{
    for (int i = 0; i < 4; i++) {
        const csim__layout *l = &t->layout[i];
        *rows = csim__max64(*rows, l->shard.rows * t->copies);
        *items = csim__max64(*items, l->items);
        *chunks = csim__max64(*chunks, l->shard.count);
    }
}

static csim_status room_of_rows(csim__trainer *t, int64_t rows, int64_t items, int64_t out)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, items * out, sizeof(float), "projected rows", &t->z));
    CSIM_TRY(csim__alloc(t->ctx, items, sizeof(double), "sums of items", &t->sum));
    CSIM_TRY(csim__calloc(t->ctx, items, sizeof(double), "losses of items", &t->loss));
    if (t->options->loss == CSIM_LOSS_CONTRASTIVE || t->notions > 0) {
        CSIM_TRY(csim__alloc(t->ctx, rows * items, sizeof(float), "similarities", &t->s));
    }
done:
    return st;
}

/* Augmented rows of all sites of a step. */
static csim_status room_of_views(csim__trainer *t, int64_t rows)
{
    int64_t widest = 0;
    if (!augmented(t)) { return CSIM_OK; }
    for (int s = 0; s < t->sites; s++) { widest = csim__max64(widest, t->width[s]); }
    return csim__alloc(t->ctx, rows * widest, sizeof(float), "views", &t->views);
}

static csim_status room_of_sets(csim__trainer *t, int64_t rows, int64_t out)
{
    int64_t cells = (int64_t)t->sites * t->sites;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, rows * out, sizeof(float), "projected rows", &t->z));
    CSIM_TRY(csim__alloc(t->ctx, cells, sizeof(float), "similarities", &t->gram_part));
    CSIM_TRY(csim__alloc(t->ctx, cells, sizeof(float), "similarities", &t->h));
    CSIM_TRY(csim__alloc(t->ctx, cells, sizeof(int64_t), "similarities", &t->gram));
    CSIM_TRY(csim__alloc(t->ctx, cells, sizeof(double), "similarities", &t->similarity));
done:
    return st;
}

csim_status csim__train_room(csim__trainer *t)
{
    csim_context *ctx = t->ctx;
    const csim__net *net = &t->encoder->net;
    int64_t rows = 0, items = 0, chunks = 0, scratch = 0,
            out = csim__max64(net->out, net->head_out);
    csim_status st = CSIM_OK;
    largest_step(t, &rows, &items, &chunks);
    for (int i = 0; i < net->inputs; i++) {
        scratch = csim__max64(scratch, csim__chain_scratch(&net->encoder[i]));
    }
    for (int c = 0; c < net->heads; c++) {
        scratch = csim__max64(scratch, csim__chain_scratch(&net->head[c]));
    }
    for (int l = 0; l < net->encoder[0].depth; l++) {
        CSIM_TRY(csim__alloc(ctx, rows * net->encoder[0].layer[l].out, sizeof(float), "activations",
                             &t->hidden[l]));
    }
    CSIM_TRY(csim__alloc(ctx, rows, sizeof(float), "lengths of rows", &t->norm));
    CSIM_TRY(csim__alloc(ctx, rows * out, sizeof(float), "gradients of rows", &t->dz));
    CSIM_TRY(by_sets(t) ? room_of_sets(t, rows, out) : room_of_rows(t, rows, items, out));
    CSIM_TRY(room_of_views(t, rows));
    if (net->heads > 0) {
        CSIM_TRY(csim__alloc(ctx, rows * net->out, sizeof(float), "a head", &t->head_hidden));
        CSIM_TRY(csim__alloc(ctx, rows * net->out, sizeof(float), "gradients of rows", &t->du));
    }
    CSIM_TRY(csim__alloc(ctx, 3 * (int64_t)t->notions, sizeof(double), "losses", &t->notion_loss));
    CSIM_TRY(csim__alloc(ctx, chunks * net->parameters, sizeof(float), "gradients", &t->gradient));
    CSIM_TRY(csim__alloc(ctx, net->parameters, sizeof(int64_t), "gradients", &t->total));
    CSIM_TRY(csim__alloc(ctx, net->parameters, sizeof(float), "the gradient", &t->g));
    CSIM_TRY(
        csim__alloc(ctx, net->tensors + FLAGS, sizeof(float), "largest gradients", &t->largest));
    CSIM_TRY(csim__alloc(ctx, scratch, sizeof(float), "scratch", &t->scratch));
done:
    return st;
}

void csim__train_room_clear(csim__trainer *t)
{
    csim_context *ctx = t->ctx;
    csim__free(ctx, &t->scratch);
    csim__free(ctx, &t->largest);
    csim__free(ctx, &t->g);
    csim__free(ctx, &t->total);
    csim__free(ctx, &t->gradient);
    csim__free(ctx, &t->notion_loss);
    csim__free(ctx, &t->du);
    csim__free(ctx, &t->head_hidden);
    csim__free(ctx, &t->similarity);
    csim__free(ctx, &t->gram);
    csim__free(ctx, &t->h);
    csim__free(ctx, &t->gram_part);
    csim__free(ctx, &t->views);
    csim__free(ctx, &t->s);
    csim__free(ctx, &t->loss);
    csim__free(ctx, &t->sum);
    csim__free(ctx, &t->z);
    csim__free(ctx, &t->dz);
    csim__free(ctx, &t->norm);
    for (int l = 0; l < CSIM__MAX_DEPTH; l++) { csim__free(ctx, &t->hidden[l]); }
}
