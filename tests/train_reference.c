#include "train_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "train/batches.h"

static double *doubles(int64_t n)
{
    double *list = calloc((size_t)n + 1, sizeof *list);
    assert_non_null(list);
    return list;
}

static bool by_sets(const train_ref *r)
{
    return r->o.item == CSIM_ITEM_SET;
}

/* ---- layout ---- */

/* Input layers in the order in which sets and layers need them; sites by (layer, input, set), or by
 * (input, set, layer) where a step takes all. */
static void number_sites(train_ref *r, int *width, int *inputs)
{
    const train_case *c = r->c;
    int model[TRAIN_SETS * TRAIN_LAYERS];
    *inputs = 0;
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) {
            int i = 0;
            while (i < *inputs &&
                   (width[i] != c->d[s][l] || (r->o.input_layer == 1 && model[i] != s))) {
                i++;
            }
            if (i == *inputs) {
                width[i] = c->d[s][l];
                model[i] = s;
                ++*inputs;
            }
            r->input[s][l] = i;
        }
    }
    int at = 0;
    for (int a = 0; a < (by_sets(r) ? *inputs : c->layers); a++) {
        for (int b = 0; b < (by_sets(r) ? c->sets : *inputs); b++) {
            for (int e = 0; e < (by_sets(r) ? c->layers : c->sets); e++) {
                int s = by_sets(r) ? b : e, l = by_sets(r) ? e : a, i = by_sets(r) ? a : b;
                if (r->input[s][l] == i) { r->number[s][l] = at++; }
            }
        }
    }
}

static void hidden_widths(const char *text, int *hidden, int *count)
{
    char copy[64];
    *count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    if (strcmp(copy, "none") == 0) { return; }
    for (char *word = strtok(copy, ","); word != NULL; word = strtok(NULL, ",")) {
        hidden[(*count)++] = atoi(word);
    }
}

static void divide(train_ref *r)
{
    double part = r->o.early_stop ? r->o.held_out : 0;
    r->train = malloc((size_t)r->c->n * sizeof *r->train);
    r->held = malloc((size_t)r->c->n * sizeof *r->held);
    for (int64_t i = 0; i < r->c->n; i++) {
        bool out = floor((double)(i + 1) * part) > floor((double)i * part);
        *(out ? &r->held[r->held_out++] : &r->train[r->trained++]) = i;
    }
}

/* Standard deviations of the neurons over the training rows. */
static double *deviations(const train_ref *r, int s, int l)
{
    int d = r->c->d[s][l];
    double *list = doubles(d), n = (double)r->trained;
    for (int j = 0; j < d; j++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < r->trained; i++) {
            mean += (double)r->c->x[s][l][r->train[i] * d + j] / n;
        }
        for (int64_t i = 0; i < r->trained; i++) {
            double v = (double)r->c->x[s][l][r->train[i] * d + j] - mean;
            square += v * v / n;
        }
        list[j] = sqrt(square);
    }
    return list;
}

void train_ref_make(csim_context *ctx, const train_case *c, train_ref *r)
{
    int width[TRAIN_SETS * TRAIN_LAYERS], hidden[CSIM__MAX_DEPTH], inputs, count;
    *r = (train_ref){.ctx = ctx, .c = c, .o = c->o};
    train_ok(ctx, csim_train_resolve(ctx, &r->o));
    number_sites(r, width, &inputs);
    hidden_widths(c->o.hidden, hidden, &count);
    csim__net_shape shape = {.inputs = inputs,
                             .width = width,
                             .hidden_count = count,
                             .hidden = hidden,
                             .out = (int)c->o.out,
                             .activation = (csim_activation)c->o.activation,
                             .heads = c->notions,
                             .head_out = (int)c->o.head_out,
                             .weights = c->notions > 0 && c->o.weights == 0};
    train_ok(ctx, csim__net_make(ctx, &shape, &r->net));
    divide(r);
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) { r->deviation[s][l] = deviations(r, s, l); }
    }
    r->p = doubles(r->net.parameters);
    r->g = doubles(r->net.parameters);
    r->state1 = doubles(r->net.parameters);
    r->state2 = doubles(r->net.parameters);
}

void train_ref_clear(train_ref *r)
{
    for (int s = 0; s < r->c->sets; s++) {
        for (int l = 0; l < r->c->layers; l++) { free(r->deviation[s][l]); }
    }
    free(r->train);
    free(r->held);
    free(r->p);
    free(r->g);
    free(r->state1);
    free(r->state2);
    csim__net_clear(r->ctx, &r->net);
}

/* ---- losses of items z [m, e], their gradients added to dz ---- */

static double dot(int64_t n, const double *x, const double *y)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) { sum += x[k] * y[k]; }
    return sum;
}

static double contrast(int m, int64_t e, const double *z, const int64_t *label, double tau,
                       double scale, double *dz)
{
    double *s = doubles((int64_t)m * m), *g = doubles((int64_t)m * m), loss = 0;
    int anchors = 0, *positives = calloc((size_t)m, sizeof *positives);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++) {
            s[i * m + j] = dot(e, z + i * e, z + j * e) / tau;
            positives[i] += j != i && label[i] >= 0 && label[i] == label[j];
        }
        anchors += positives[i] > 0;
    }
    for (int i = 0; i < m; i++) {
        double sum = 0, top = -INFINITY;
        if (positives[i] == 0) { continue; }
        for (int j = 0; j < m; j++) { top = j != i ? fmax(top, s[i * m + j]) : top; }
        for (int j = 0; j < m; j++) { sum += j != i ? exp(s[i * m + j] - top) : 0; }
        for (int j = 0; j < m; j++) {
            if (j == i) { continue; }
            double p = exp(s[i * m + j] - top) / sum, share = label[i] == label[j];
            share /= positives[i];
            loss -= share * (s[i * m + j] - top - log(sum)) / anchors;
            g[i * m + j] = (p - share) / anchors;
        }
    }
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++) {
            double h = scale * (g[i * m + j] + g[j * m + i]) / tau;
            for (int64_t k = 0; k < e; k++) { dz[i * e + k] += h * z[j * e + k]; }
        }
    }
    free(positives);
    free(g);
    free(s);
    return loss;
}

/* z [copies, rows, e]. */
static double deepdot(int copies, int rows, int e, const double *z, double *dz)
{
    double pairs = copies * (copies - 1) / 2.0 * rows, loss = 0;
    int64_t size = (int64_t)rows * e;
    for (int v = 0; v < copies; v++) {
        for (int w = 0; w < copies; w++) {
            if (w == v) { continue; }
            loss -= dot(size, z + v * size, z + w * size) / pairs / 2;
            for (int64_t k = 0; k < size; k++) { dz[v * size + k] -= z[w * size + k] / pairs; }
        }
    }
    return loss;
}

/* K = H z zᵀ H of one copy [rows, rows], and the centred rows. */
static void kernel(int rows, int e, const double *z, double *x, double *k)
{
    for (int c = 0; c < e; c++) {
        double mean = 0;
        for (int i = 0; i < rows; i++) { mean += z[i * e + c] / rows; }
        for (int i = 0; i < rows; i++) { x[i * e + c] = z[i * e + c] - mean; }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < rows; j++) { k[i * rows + j] = dot(e, x + i * e, x + j * e); }
    }
}

/* By kernels: ∂CKA/∂K_v = K_w/(‖K_v‖‖K_w‖) − CKA·K_v/‖K_v‖², ∂K/∂x = 2x. */
static double deepcka(int copies, int rows, int e, const double *z, double *dz)
{
    int64_t cells = (int64_t)rows * rows, size = (int64_t)rows * e;
    double *k = doubles(copies * cells), *x = doubles(copies * size), pairs, loss = 0;
    pairs = copies * (copies - 1) / 2.0;
    for (int v = 0; v < copies; v++) { kernel(rows, e, z + v * size, x + v * size, k + v * cells); }
    for (int v = 0; v < copies; v++) {
        const double *a = k + v * cells;
        double aa = sqrt(dot(cells, a, a));
        for (int w = 0; w < copies; w++) {
            const double *b = k + w * cells;
            double bb = sqrt(dot(cells, b, b)), cka = dot(cells, a, b) / (aa * bb);
            if (w == v) { continue; }
            loss -= cka / pairs / 2;
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < rows; j++) {
                    double d = b[i * rows + j] / (aa * bb) - cka * a[i * rows + j] / (aa * aa);
                    for (int c = 0; c < e; c++) {
                        dz[v * size + i * e + c] -= 2 * d * x[v * size + j * e + c] / pairs;
                    }
                }
            }
        }
    }
    free(x);
    free(k);
    return loss;
}

/* ---- rows through the encoder ---- */

/* The rows of a step, [copies, count]: copy = set·views + view, or the site. */
typedef struct rows {
    int copies, count, stop;
    const int64_t *row;
    int64_t epoch;
} rows;

static void site_of(const train_ref *r, const rows *b, int copy, int *s, int *l)
{
    *s = by_sets(r) ? copy / r->c->layers : copy / (int)r->o.views;
    *l = by_sets(r) ? copy % r->c->layers : b->stop;
}

/* What the encoder is given: the row, or the view of it. */
static void input_of(const train_ref *r, const rows *b, int copy, int q, double *x)
{
    const csim_train_options *o = &r->o;
    int s, l, view = by_sets(r) ? 0 : copy % (int)o->views;
    site_of(r, b, copy, &s, &l);
    int d = r->c->d[s][l];
    uint64_t stream = (uint64_t)b->epoch * (uint64_t)(r->c->sets * r->c->layers);
    stream = (stream + (uint64_t)r->number[s][l]) * (uint64_t)o->views + (uint64_t)view;
    stream = ((uint64_t)1 << 33) + stream * (uint64_t)r->c->n + (uint64_t)b->row[q];
    csim__rng rng = csim__rng_start((uint64_t)o->seed, stream);
    for (int j = 0; j < d; j++) {
        double v = (double)r->c->x[s][l][b->row[q] * d + j];
        if (o->view_noise > 0) {
            v += o->view_noise * r->deviation[s][l][j] * csim__rng_normal(&rng);
        }
        if (o->view_dropout > 0) {
            v = csim__rng_uniform(&rng) < o->view_dropout ? 0 : v / (1 - o->view_dropout);
        }
        x[j] = v;
    }
}

static const csim__chain *chain_of(const train_ref *r, const rows *b, int copy)
{
    int s, l;
    site_of(r, b, copy, &s, &l);
    return &r->net.encoder[r->input[s][l]];
}

/* u [copies·count, out] of the encoder before its rows are made unit rows. */
static void encode(const train_ref *r, const rows *b, double *u)
{
    reference_row before, after;
    double x[REFERENCE_WIDEST];
    int e = r->net.out;
    for (int i = 0; i < b->copies * b->count; i++) {
        const csim__chain *chain = chain_of(r, b, i / b->count);
        input_of(r, b, i / b->count, i % b->count, x);
        reference_forward(chain, r->p, x, before, after);
        memcpy(u + i * e, before[chain->depth - 1], (size_t)e * sizeof *u);
    }
}

static void decode(const train_ref *r, const rows *b, const double *du, double *grad)
{
    reference_row before, after;
    double x[REFERENCE_WIDEST], dx[REFERENCE_WIDEST];
    for (int i = 0; i < b->copies * b->count; i++) {
        const csim__chain *chain = chain_of(r, b, i / b->count);
        input_of(r, b, i / b->count, i % b->count, x);
        reference_forward(chain, r->p, x, before, after);
        reference_backward(chain, r->p, before, after, du + i * r->net.out, grad, dx);
    }
}

static void unit(int n, int e, const double *u, double *z)
{
    for (int i = 0; i < n; i++) {
        double length = reference_length(e, u + i * e);
        for (int c = 0; c < e; c++) { z[i * e + c] = u[i * e + c] / length; }
    }
}

/* ∂L/∂z becomes ∂L/∂u. */
static void through_unit(int n, int e, const double *u, const double *z, double *g)
{
    for (int i = 0; i < n; i++) {
        double length = reference_length(e, u + i * e), along = dot(e, g + i * e, z + i * e);
        for (int c = 0; c < e; c++) {
            g[i * e + c] = (g[i * e + c] - along * z[i * e + c]) / length;
        }
    }
}

/* ---- losses of a step ---- */

/* One notion: loss, its gradient times `weight` into grad and du. */
static double notion(const train_ref *r, const rows *b, int k, const double *u, double weight,
                     double *grad, double *du)
{
    const csim__chain *head = &r->net.head[k];
    int n = b->copies * b->count, e = r->net.head_out, wide = r->net.out;
    double *h = doubles((int64_t)n * e), *z = doubles((int64_t)n * e), *g = doubles((int64_t)n * e);
    int64_t *label = calloc((size_t)n, sizeof *label);
    reference_row before, after;
    for (int i = 0; i < n; i++) {
        reference_forward(head, r->p, u + i * wide, before, after);
        memcpy(h + i * e, before[1], (size_t)e * sizeof *h);
        label[i] = r->c->label[k][b->row[i % b->count]];
    }
    unit(n, e, h, z);
    double loss = contrast(n, e, z, label, r->o.temperature, weight, g);
    through_unit(n, e, h, z, g);
    for (int i = 0; grad != NULL && i < n; i++) {
        double dx[REFERENCE_WIDEST];
        reference_forward(head, r->p, u + i * wide, before, after);
        reference_backward(head, r->p, before, after, g + i * e, grad, dx);
        for (int c = 0; c < wide; c++) { du[i * wide + c] += dx[c]; }
    }
    free(label);
    free(g);
    free(z);
    free(h);
    return loss;
}

/* L = Σ (e^{−w} f L_c + w), f = τ/base. */
static double notions(const train_ref *r, const rows *b, double factor, const double *u,
                      double *grad, double *du)
{
    double sum = 0;
    int64_t at = r->net.weights;
    for (int k = 0; k < r->c->notions; k++) {
        double w = at < 0 ? 0 : r->p[at + k], weight = exp(-w) * factor;
        double loss = notion(r, b, k, u, weight, grad, du);
        sum += weight * loss + w;
        if (at >= 0 && grad != NULL) { grad[at + k] += 1 - weight * loss; }
    }
    return sum;
}

static double one_loss(const train_ref *r, const rows *b, double factor, const double *z, double *g)
{
    int n = b->copies * b->count, e = r->net.out;
    int64_t *label = calloc((size_t)n, sizeof *label);
    double loss;
    if (r->o.loss == CSIM_LOSS_DEEPDOT) {
        loss = deepdot(b->copies, b->count, e, z, g);
    } else if (r->o.loss == CSIM_LOSS_DEEPCKA) {
        loss = deepcka(b->copies, b->count, e, z, g);
    } else if (by_sets(r)) { /* an item is all rows of a site over √rows */
        double *all = doubles((int64_t)n * e), root = sqrt(b->count);
        for (int i = 0; i < b->copies; i++) { label[i] = i % r->c->layers; }
        for (int i = 0; i < n * e; i++) { all[i] = z[i] / root; }
        loss = contrast(b->copies, b->count * e, all, label, r->o.temperature, 1 / root, g);
        free(all);
    } else {
        for (int i = 0; i < n; i++) { label[i] = i % b->count; }
        loss = contrast(n, e, z, label, r->o.temperature, 1, g);
    }
    for (int i = 0; i < n * e; i++) { g[i] *= factor; }
    free(label);
    return factor * loss;
}

double train_ref_loss(const train_ref *r, const int64_t *row, int count, int stop, int64_t epoch,
                      double *grad)
{
    rows b = {.copies = by_sets(r) ? r->c->sets * r->c->layers : r->c->sets * (int)r->o.views,
              .count = count,
              .stop = stop,
              .row = row,
              .epoch = epoch};
    int n = b.copies * count, e = r->net.out;
    double *u = doubles((int64_t)n * e), *z = doubles((int64_t)n * e), *g = doubles((int64_t)n * e);
    double factor = r->o.base_temperature > 0 ? r->o.temperature / r->o.base_temperature : 1, loss;
    encode(r, &b, u);
    if (r->c->notions > 0) {
        loss = notions(r, &b, factor, u, grad, g);
    } else {
        unit(n, e, u, z);
        loss = one_loss(r, &b, factor, z, g);
        through_unit(n, e, u, z, g);
    }
    if (grad != NULL) { decode(r, &b, g, grad); }
    free(g);
    free(z);
    free(u);
    return loss;
}

/* ---- epochs ---- */

static double rate_of(const csim_train_options *o, int64_t epoch)
{
    double rate = o->rate * pow(o->rate_factor, (double)epoch);
    if (o->schedule == 1) {
        rate = o->rate * (1 + cos(acos(-1.0) * (double)epoch / (double)o->epochs)) / 2;
    }
    return epoch < o->warmup ? rate * (double)(epoch + 1) / (double)o->warmup : rate;
}

static void descend(train_ref *r, int64_t epoch)
{
    const csim_train_options *o = &r->o;
    double norm = sqrt(dot(r->net.parameters, r->g, r->g)), rate = rate_of(o, epoch);
    double shorter = o->clip > 0 && norm > o->clip ? o->clip / norm : 1, t = (double)++r->step;
    for (int64_t i = 0; i < r->net.parameters; i++) {
        bool decays = r->net.weights < 0 || i < r->net.weights;
        double g = shorter * r->g[i] + (decays ? o->decay * r->p[i] : 0);
        if (o->optimiser == 1) {
            r->state1[i] = o->momentum * r->state1[i] + g;
            r->p[i] -= rate * r->state1[i];
        } else {
            r->state1[i] = 0.9 * r->state1[i] + 0.1 * g;
            r->state2[i] = 0.999 * r->state2[i] + 0.001 * g * g;
            double mean = r->state1[i] / (1 - pow(0.9, t));
            r->p[i] -= rate * mean / (sqrt(r->state2[i] / (1 - pow(0.999, t))) + 1e-8);
        }
    }
}

static double held_out(const train_ref *r, int64_t epoch, int stops)
{
    double sum = 0;
    for (int64_t at = 0; at < r->held_out; at += r->o.batch) {
        int count = (int)csim__min64(r->o.batch, r->held_out - at);
        for (int s = 0; s < stops; s++) {
            sum += count * train_ref_loss(r, r->held + at, count, s, epoch, NULL);
        }
    }
    return sum / (double)(r->held_out * stops);
}

void train_ref_epoch(train_ref *r, int64_t epoch)
{
    int stops = by_sets(r) ? 1 : r->c->layers, steps = 0;
    int64_t *order = malloc((size_t)r->trained * sizeof *order), turn[TRAIN_LAYERS];
    int64_t batches = (r->trained + r->o.batch - 1) / r->o.batch;
    csim__epoch_order((uint64_t)r->o.seed, epoch, r->trained, order);
    for (int64_t i = 0; i < r->trained; i++) { order[i] = r->train[order[i]]; }
    r->loss = 0;
    for (int64_t b = 0; b < batches; b++) {
        int64_t at = b * r->o.batch;
        int count = (int)csim__min64(r->o.batch, r->trained - at);
        csim__rng rng = csim__rng_start((uint64_t)r->o.seed,
                                        ((uint64_t)1 << 60) + (uint64_t)(epoch * batches + b));
        for (int s = 0; s < stops; s++) { turn[s] = s; }
        csim__rng_shuffle(&rng, turn, stops);
        for (int s = 0; s < stops; s++, steps++) {
            memset(r->g, 0, (size_t)r->net.parameters * sizeof *r->g);
            r->loss += train_ref_loss(r, order + at, count, (int)turn[s], epoch, r->g);
            descend(r, epoch);
        }
    }
    r->loss /= steps;
    r->held_loss = r->held_out > 0 ? held_out(r, epoch, stops) : NAN;
    free(order);
}
