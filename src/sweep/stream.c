/* A round of pairs whose rows are not held: each site is read once for all of them, and every product
 * gets its part of a chunk as soon as both its sides are there. */
#include "ingredients/bundle.h"
#include "ingredients/feed.h"
#include "sweep/state.h"

void csim__stream_operands(csim__sweep *w, int s)
{
    bool single = w->options->precision == CSIM_SINGLE_PRECISION;
    w->centred[s].passing = single ? CSIM__FORM_SINGLE : CSIM__FORM_CENTRED;
    w->unity[s].passing = CSIM__FORM_UNIT;
    /* rows of U are there where the site has as few examples as neurons */
    if (w->basis[s].x == NULL) { w->basis[s].passing = CSIM__FORM_BASIS; }
    if (w->raw[s].x == NULL) { w->raw[s].passing = CSIM__FORM_RAW_BASIS; }
    w->centred[s].site = w->unity[s].site = w->basis[s].site = w->raw[s].site = s;
}

/* What is done while rows pass by. */
typedef struct stream {
    csim__sweep *w;
    int64_t first, last; /* pairs of the pass */
    csim__slice slice;
    const csim__product *product;
    int64_t count;
    csim__guest *guest; /* sites in the order in which they come */
    int guests;
    int *place;           /* [sites] in that order, −1: does not come */
    int *ready;           /* [count] the guest with which a product can be made, −1: any */
    csim__couple *couple; /* [last − first] of the pairs */
    csim__feed feed;
    csim__bundle bundle;
    csim__row_bundle rows;
} stream;

/* Do the sums over the rows of pair @p i of the pass need the rows? In one pass over them. */
static bool sums_rows(const stream *t, int64_t i)
{
    const csim__planned *p = &t->w->plan.pairs[t->first + i];
    return t->w->plan.raw_rows && t->slice.part == 0 && p->cell &&
           csim__couple_alike(t->w->site, &p->couple);
}

/* Site @p s comes in one more form; returns its place. */
static int invite(stream *t, int s, unsigned form)
{
    if (t->place[s] < 0) {
        t->place[s] = t->guests;
        t->guest[t->guests++] = (csim__guest){.site = &t->w->site[s]};
    }
    t->guest[t->place[s]].forms |= form;
    return t->place[s];
}

static int invite_side(stream *t, const csim__operand *o)
{
    return o->passing ? invite(t, o->site, o->passing) : -1;
}

static csim_status make_list(stream *t)
{
    csim__sweep *w = t->w;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *t->place, "places", &t->place));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *t->guest, "sites", &t->guest));
    CSIM_TRY(csim__alloc(w->ctx, t->count, sizeof *t->ready, "places", &t->ready));
    CSIM_TRY(csim__alloc(w->ctx, t->last - t->first, sizeof *t->couple, "pairs", &t->couple));
    for (int s = 0; s < w->count; s++) { t->place[s] = -1; }
    for (int64_t i = 0; i < t->count; i++) {
        int left = invite_side(t, t->product[i].left), right = invite_side(t, t->product[i].right);
        t->ready[i] = left > right ? left : right;
    }
    for (int64_t i = 0; i < t->last - t->first; i++) {
        t->couple[i] = w->plan.pairs[t->first + i].couple;
        if (!sums_rows(t, i)) { continue; }
        invite(t, t->couple[i].left, CSIM__FORM_CENTRED);
        invite(t, t->couple[i].right, CSIM__FORM_CENTRED);
    }
done:
    return st;
}

/* The rows that pass by are the operands. */
static void point_operands(stream *t)
{
    csim__sweep *w = t->w;
    for (int s = 0; s < w->count; s++) {
        const csim__guest none = {.site = NULL};
        const csim__guest *g = t->place[s] >= 0 ? &t->guest[t->place[s]] : &none;
        w->centred[s].x = g->single != NULL ? NULL : g->centred;
        w->centred[s].xf = g->single;
        w->unity[s].x = g->unit;
        if (w->basis[s].passing) { w->basis[s].x = g->basis; }
        if (w->raw[s].passing) { w->raw[s].x = g->raw_basis; }
    }
}

static csim_status begin(stream *t)
{
    csim__sweep *w = t->w;
    csim_status st = CSIM_OK;
    CSIM_TRY(make_list(t));
    if (t->guests > 0) {
        CSIM_TRY(
            csim__feed_open(w->ctx, &w->shard, t->guest, t->guests, true, &w->meter, &t->feed));
    }
    point_operands(t);
    CSIM_TRY(csim__bundle_open(w->ctx, &w->shard, t->product, t->count, t->slice, &w->meter,
                               &t->bundle));
    if (w->plan.raw_rows && t->slice.part == 0) {
        st = csim__row_bundle_open(w->ctx, &w->shard, w->site, t->couple, t->last - t->first,
                                   &t->rows);
    }
done:
    return st;
}

/* All that is made of one chunk. */
static csim_status one_chunk(void *user, int64_t chunk)
{
    stream *t = user;
    const csim_shard *shard = &t->w->shard;
    int64_t rows = csim__chunk_rows(shard, shard->first + chunk);
    for (int g = -1; g < t->guests; g++) {
        csim_status st = g >= 0 ? csim__feed_next(&t->feed) : CSIM_OK;
        if (st != CSIM_OK) { return st; }
        for (int64_t i = 0; i < t->count; i++) {
            if (t->ready[i] == g) { csim__bundle_add(&t->bundle, i, chunk); }
        }
    }
    for (int64_t i = 0; i < t->last - t->first; i++) {
        if (!sums_rows(t, i)) { continue; }
        csim__row_bundle_add(&t->rows, i, chunk, rows,
                             t->guest[t->place[t->couple[i].left]].centred,
                             t->guest[t->place[t->couple[i].right]].centred);
    }
    return CSIM_OK;
}

static csim_status one_pass(stream *t)
{
    csim__sweep *w = t->w;
    csim_status st = begin(t);
    st = csim__feed_chunks(w->ctx, &w->shard, &w->meter, st,
                           csim__feed_work(&t->feed) + t->bundle.each, one_chunk, t);
    if (st == CSIM_OK) { st = csim__bundle_sum(&t->bundle); }
    if (st == CSIM_OK && w->plan.raw_rows && t->slice.part == 0) {
        st = csim__row_bundle_sum(&t->rows, w->row_sums + t->first);
    }
    csim__row_bundle_close(&t->rows);
    csim__bundle_close(&t->bundle);
    csim__feed_close(&t->feed);
    csim__free(w->ctx, &t->couple);
    csim__free(w->ctx, &t->ready);
    csim__free(w->ctx, &t->guest);
    csim__free(w->ctx, &t->place);
    return st;
}

csim_status csim__stream_round(csim__sweep *w, int64_t first, const csim__product *products,
                               const int64_t *made)
{
    const csim__planned_round *round = csim__plan_find_round(&w->plan, first);
    csim_status st = CSIM_OK;
    csim__phase_begin(w->ctx, "stream");
    for (int64_t i = round[0].pass; st == CSIM_OK && i < round[1].pass; i++) {
        const csim__planned_pass *pass = &w->plan.pass[i];
        int64_t from = made[pass->first - first], to = made[pass->last - first];
        stream t = {.w = w,
                    .first = pass->first,
                    .last = pass->last,
                    .slice = pass->slice,
                    .product = products + from,
                    .count = to - from};
        st = one_pass(&t);
    }
    csim__phase_end(w->ctx, 0, 0);
    return st;
}
