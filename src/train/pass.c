/* The rows of this rank's part of a step through the network and back, and the copies of them that are
 * made where views are asked for. */
#include "core/rng.h"
#include "train/step.h"

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
static void augment_run(const csim__work *w, const csim__run *run, int64_t c, int64_t rows,
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

typedef csim_status (*piece_fn)(csim__work *w, const piece *p);

/* Call `fn` for every piece. */
static csim_status for_pieces(csim__work *w, piece_fn fn)
{
    csim__trainer *t = w->t;
    const csim_shard *s = &w->layout->shard;
    int64_t at = 0, views = csim__by_sets(t) ? 1 : t->options->views;
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
                       .x = csim__augmented(t) ? copy : x,
                       .slot = (int)(c - s->first)};
            if (csim__augmented(t) && fn == NULL) { augment_run(w, run, c, rows, x, copy); }
            if (fn != NULL) { st = fn(w, &p); }
            if (copy != NULL) { copy += p.rows * d; }
            x += rows * run->count * d;
            at += p.rows;
        }
    }
    return st;
}

static csim_status forward_piece(csim__work *w, const piece *p)
{
    csim__trainer *t = w->t;
    float *out[CSIM__MAX_DEPTH];
    for (int l = 0; l < p->chain->depth; l++) {
        out[l] = t->hidden[l] + p->at * p->chain->layer[l].out;
    }
    csim__chain_forward(p->chain, t->params, p->rows, p->x, out, t->scratch);
    return CSIM_OK;
}

int64_t csim__own_rows(const csim__work *w)
{
    return w->layout->shard.rows * w->t->copies;
}

float *csim__encoder_out(const csim__trainer *t)
{
    return t->hidden[t->encoder->net.encoder[0].depth - 1];
}

static double forward_flops(const csim__work *w, bool backward)
{
    const csim__trainer *t = w->t;
    double flops = 0;
    int64_t rows = w->layout->shard.rows * (csim__by_sets(t) ? 1 : t->options->views);
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

void csim__go_forward(csim__work *w)
{
    csim__phase_begin(w->t->ctx, "forward");
    if (csim__augmented(w->t)) { for_pieces(w, NULL); }
    for_pieces(w, forward_piece);
    csim__phase_end(w->t->ctx, forward_flops(w, false), 0);
}

/* ---- backward ---- */

static csim_status backward_piece(csim__work *w, const piece *p)
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
void csim__go_backward(csim__work *w)
{
    csim__phase_begin(w->t->ctx, "backward");
    for_pieces(w, backward_piece);
    csim__phase_end(w->t->ctx, forward_flops(w, true), 0);
}
