/* Room for the steps of a training. */
#include "train/step.h"

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
    if (!csim__augmented(t)) { return CSIM_OK; }
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
    CSIM_TRY(csim__by_sets(t) ? room_of_sets(t, rows, out) : room_of_rows(t, rows, items, out));
    CSIM_TRY(room_of_views(t, rows));
    if (net->heads > 0) {
        CSIM_TRY(csim__alloc(ctx, rows * net->out, sizeof(float), "a head", &t->head_hidden));
        CSIM_TRY(csim__alloc(ctx, rows * net->out, sizeof(float), "gradients of rows", &t->du));
    }
    CSIM_TRY(csim__alloc(ctx, 3 * (int64_t)t->notions, sizeof(double), "losses", &t->notion_loss));
    CSIM_TRY(csim__alloc(ctx, chunks * net->parameters, sizeof(float), "gradients", &t->gradient));
    CSIM_TRY(csim__alloc(ctx, net->parameters, sizeof(int64_t), "gradients", &t->total));
    CSIM_TRY(csim__alloc(ctx, net->parameters, sizeof(float), "the gradient", &t->g));
    CSIM_TRY(csim__alloc(ctx, net->tensors + CSIM__FLAGS, sizeof(float), "largest gradients",
                         &t->largest));
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
