/* Measures that need the distances of all pairs of examples in memory, and those of batches. */
#include "ingredients/triangles.h"

#include <math.h>
#include <string.h>

#include "ingredients/batches.h"
#include "ingredients/turn.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

/* Distances of one kind, of all sites. */
typedef struct stored {
    csim__sweep *w;
    const csim__partners *p;
    csim__triangles t;
    const csim__store *store;
    double *rows;        /* [rows, widest] */
    double **value;      /* [count] of [t.length] */
    csim__twosome *pair; /* [pairs] wanted */
    int64_t pairs;
    double *product, *norm; /* [count, count], [pairs] */
    double *through;        /* [count] of ranks */
    int64_t *order;         /* [pairs, 3] */
    csim_compare compare;   /* by which relabelled ones are compared */
    const double **drawn;   /* [count + 1] all sites, and a relabelled one */
    double *twin;           /* [t.length] that one */
    unsigned char *wanted;  /* [count + 1, count + 1] pairs with it */
    double *twin_product;   /* [count + 1, count + 1] */
} stored;

static csim_status start(stored *l)
{
    csim__sweep *w = l->w;
    csim_context *ctx = w->ctx;
    int64_t cells = (int64_t)l->p->count * l->p->count, widest = 0;
    csim_status st = CSIM_OK;
    for (int s = 0; s < l->p->count; s++) { widest = csim__max64(widest, l->p->site[s]->d); }
    CSIM_TRY(
        csim__alloc(ctx, l->t.shard.rows * widest, sizeof(double), "rows of a site", &l->rows));
    CSIM_TRY(csim__calloc(ctx, l->p->count, sizeof *l->value, "distances", &l->value));
    for (int s = 0; s < l->p->count; s++) {
        CSIM_TRY(csim__alloc(ctx, l->t.length, sizeof(double), "distances", &l->value[s]));
    }
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *l->pair, "pairs", &l->pair));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *l->product, "products", &l->product));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *l->norm, "norms", &l->norm));
    CSIM_TRY(csim__calloc(ctx, l->p->count, sizeof *l->through, "row sums", &l->through));
    CSIM_TRY(csim__alloc(ctx, 3 * cells, sizeof *l->order, "orders", &l->order));
    if (w->plan.kernels.draws > 0) {
        int64_t more = l->p->count + 1;
        CSIM_TRY(csim__alloc(ctx, more, sizeof *l->drawn, "distances", &l->drawn));
        CSIM_TRY(csim__alloc(ctx, more * more, 1, "wanted pairs", &l->wanted));
        CSIM_TRY(
            csim__alloc(ctx, more * more, sizeof *l->twin_product, "products", &l->twin_product));
    }
done:
    return st;
}

static void release(stored *l)
{
    csim_context *ctx = l->w->ctx;
    for (int s = 0; l->value != NULL && s < l->p->count; s++) { csim__free(ctx, &l->value[s]); }
    csim__free(ctx, &l->value);
    csim__free(ctx, &l->rows);
    csim__free(ctx, &l->pair);
    csim__free(ctx, &l->product);
    csim__free(ctx, &l->norm);
    csim__free(ctx, &l->through);
    csim__free(ctx, &l->order);
    csim__free(ctx, &l->drawn);
    csim__free(ctx, &l->wanted);
    csim__free(ctx, &l->twin_product);
}

/* Pairs of different sites, or of all. */
static void list_pairs(stored *l, bool selves)
{
    l->pairs = 0;
    for (int a = 0; a < l->p->count; a++) {
        for (int b = selves ? a : a + 1; b < l->p->count; b++) {
            if (l->p->wanted[a * l->p->count + b]) { l->pair[l->pairs++] = (csim__twosome){a, b}; }
        }
    }
}

/* Where a couple of sites is in the list. */
static int64_t pair_of(const stored *l, int a, int b)
{
    int64_t i = 0;
    while (i < l->pairs && (l->pair[i].a != a || l->pair[i].b != b)) { i++; }
    return i;
}

/* Does a measure take these distances? */
static bool is_of(const csim__sweep *w, const csim_kernel *k, const csim__store *store)
{
    bool all = k->sample == 0 || k->sample >= w->shard.n;
    return k->compare != CSIM_BY_SUMS && k->matrix == store->matrix &&
           (all ? w->shard.n : k->sample) == store->examples;
}

/* What the measures that compare so get. */
static void hand_out(stored *l, csim_compare compare)
{
    csim__sweep *w = l->w;
    int count = l->p->count, measures = w->options->measure_count;
    for (int64_t i = 0; i < w->plan.count * measures; i++) {
        const csim__couple *c = &w->plan.pairs[i / measures].couple;
        int a = l->p->place[c->left], b = l->p->place[c->right];
        csim_kernel k;
        if (!csim__sweep_takes(&w->options->measures[i % measures], &k) || a < 0 || b < 0 ||
            !is_of(w, &k, l->store) || k.compare != compare || !l->p->wanted[a * count + b]) {
            continue;
        }
        csim__matrices *out = &w->matrices[i];
        if (compare == CSIM_BY_RANKS) {
            out->both.product = l->product[a * count + b];
            out->self[0].product = l->product[a * count + a];
            out->self[1].product = l->product[b * count + b];
            out->self[0].through = l->through[a];
            out->self[1].through = l->through[b];
        } else if (compare == CSIM_BY_ORDER) {
            const int64_t *order = l->order + 3 * pair_of(l, a, b);
            out->both.product = (double)order[0];
            out->self[0].product = (double)order[1];
            out->self[1].product = (double)order[2];
        } else {
            out->both.product = a != b ? l->norm[pair_of(l, a, b)] : 0;
        }
    }
}

/* ---- relabelled ---- */

/* The sites whose cells with site @p b on the right are wanted, as pairs with the relabelled one. */
static void list_partners(stored *l, int b)
{
    const csim__plan *plan = &l->w->plan;
    int count = l->p->count;
    l->pairs = 0;
    memset(l->wanted, 0, (size_t)(count + 1) * (size_t)(count + 1));
    for (int64_t i = 0; i < plan->count; i++) {
        int a = l->p->place[plan->pairs[i].couple.left];
        if (!plan->pairs[i].cell || a < 0 || l->p->place[plan->pairs[i].couple.right] != b) {
            continue;
        }
        l->pair[l->pairs++] = (csim__twosome){a, count};
        l->wanted[a * (count + 1) + count] = 1;
    }
}

static csim_status compare_twin(stored *l)
{
    int count = l->p->count;
    switch (l->compare) {
    case CSIM_BY_RANKS:
        return csim__triangles_products(&l->t, l->drawn, count + 1, l->wanted, l->twin_product);
    case CSIM_BY_ORDER:
        return csim__triangles_orders(&l->t, l->drawn, l->pair, l->pairs, l->order);
    default:
        return csim__triangles_spectra(&l->t, l->drawn, l->pair, l->pairs, l->norm, &l->w->meter);
    }
}

/* The values of all pairs with site @p b on the right, each on one rank. */
static void put_draws(stored *l, int b, int64_t draw)
{
    csim__sweep *w = l->w;
    int measures = w->options->measure_count, size = w->shard.size;
    for (int64_t i = w->shard.rank; i < w->plan.count * measures; i += size) {
        const csim__planned *q = &w->plan.pairs[i / measures];
        int m = (int)(i % measures), a = l->p->place[q->couple.left], plane = w->cells.plane[m];
        csim_kernel k;
        if (!q->cell || a < 0 || l->p->place[q->couple.right] != b ||
            !csim__sweep_takes(&w->options->measures[m], &k) || !is_of(w, &k, l->store) ||
            k.compare != l->compare) {
            continue;
        }
        csim__matrices with = w->matrices[i];
        int64_t at = pair_of(l, a, l->p->count);
        with.both.product = l->compare == CSIM_BY_RANKS
                                ? l->twin_product[a * (l->p->count + 1) + l->p->count]
                            : l->compare == CSIM_BY_ORDER ? (double)l->order[3 * at]
                                                          : l->norm[at];
        double value = csim__sweep_value(w, i / measures, m, w->shard.n, true, &with);
        int x = w->id[q->couple.left], y = w->id[q->couple.right];
        csim__cells_put_draw(&w->cells, plane, x, y, draw, value);
        csim__cells_put_draw(&w->cells, plane, y, x, draw, value);
    }
}

/* One relabelling of the examples, of one site after the other. */
static csim_status permute(void *user, int64_t draw)
{
    stored *l = user;
    csim__sweep *w = l->w;
    csim__order order;
    csim__turn turn = {.pack = NULL};
    csim_status st = csim__order_make(w->ctx, &l->t.shard, w->options->null_seed, draw, &order);
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = csim__turn_make(&l->t, &order, &turn); }
    for (int b = 0; st == CSIM_OK && b < l->p->count; b++) {
        list_partners(l, b);
        if (l->pairs == 0) { continue; }
        st = csim__turn_entries(&l->t, &turn, l->value[b], l->twin);
        if (st == CSIM_OK) { st = compare_twin(l); }
        if (st == CSIM_OK) { put_draws(l, b, draw); }
    }
    csim__turn_clear(w->ctx, &turn);
    csim__order_clear(w->ctx, &order);
    return st;
}

/* All relabellings of measures that compare so. */
static csim_status permute_all(stored *l, csim_compare compare, csim__drawn kind)
{
    csim_context *ctx = l->w->ctx;
    if (l->w->plan.kernels.draws == 0) { return CSIM_OK; }
    csim_status st = csim__alloc(ctx, l->t.length, sizeof *l->twin, "distances", &l->twin);
    st = csim__vote(ctx, st);
    for (int s = 0; s < l->p->count; s++) { l->drawn[s] = l->value[s]; }
    l->drawn[l->p->count] = l->twin;
    l->compare = compare;
    if (st == CSIM_OK) { st = csim__saved_permute(l->w, kind, permute, l); }
    csim__free(ctx, &l->twin);
    return st;
}

/* All that is made of distances of one kind: of themselves first, then of their ranks. */
static csim_status one_kind(stored *l)
{
    csim__sweep *w = l->w;
    const double *const *value = (const double *const *)l->value;
    csim_status st = CSIM_OK;
    for (int s = 0; s < l->p->count; s++) {
        CSIM_TRY(csim__triangles_fill(&l->t, l->p->site[s], l->store->matrix, l->rows, l->value[s],
                                      &w->meter));
    }
    if (l->store->spectrum) {
        list_pairs(l, false);
        CSIM_TRY(csim__triangles_spectra(&l->t, value, l->pair, l->pairs, l->norm, &w->meter));
        hand_out(l, CSIM_BY_SPECTRUM);
        CSIM_TRY(permute_all(l, CSIM_BY_SPECTRUM, CSIM__DRAWN_DISTANCES));
    }
    for (int s = 0; l->store->ranked && s < l->p->count; s++) {
        CSIM_TRY(csim__triangles_rank(&l->t, l->store->matrix, l->value[s]));
    }
    if (l->store->ranked) {
        CSIM_TRY(csim__triangles_products(&l->t, value, l->p->count, l->p->wanted, l->product));
        for (int s = 0; w->options->null == CSIM_NULL_ANALYTIC && s < l->p->count; s++) {
            CSIM_TRY(csim__triangles_through(&l->t, l->value[s], &l->through[s]));
        }
        hand_out(l, CSIM_BY_RANKS);
        if (!l->store->ordered) { CSIM_TRY(permute_all(l, CSIM_BY_RANKS, CSIM__DRAWN_RANKS)); }
    }
    if (l->store->ordered) {
        list_pairs(l, true);
        CSIM_TRY(csim__triangles_orders(&l->t, value, l->pair, l->pairs, l->order));
        hand_out(l, CSIM_BY_ORDER);
        CSIM_TRY(permute_all(l, CSIM_BY_ORDER, CSIM__DRAWN_RANKS));
    }
done:
    return st;
}

/* Measures that cannot be had: their cells say so. */
static void excuse(csim__sweep *w, const csim__store *store)
{
    int measures = w->options->measure_count;
    for (int64_t i = 0; i < w->plan.count * measures; i++) {
        csim_kernel k;
        if (csim__sweep_takes(&w->options->measures[i % measures], &k) && is_of(w, &k, store)) {
            w->matrices[i].note = CSIM_NOTE_NO_ROOM;
        }
    }
}

csim_status csim__sweep_triangles(csim__sweep *w, const csim__partners *p)
{
    const csim__kernel_plan *plan = &w->plan.kernels;
    csim_status st = CSIM_OK;
    for (int i = 0; st == CSIM_OK && i < plan->stores; i++) {
        stored l = {.w = w, .p = p, .store = &plan->store[i]};
        if (l.store->left_out) {
            excuse(w, l.store);
            continue;
        }
        st = csim__triangles_start(w->ctx, l.store->examples, &l.t);
        if (st == CSIM_OK) { st = csim__vote(w->ctx, start(&l)); }
        if (st == CSIM_OK) { st = one_kind(&l); }
        release(&l);
        csim__triangles_clear(&l.t);
    }
    return st;
}

/* ---- batches ---- */

csim_status csim__sweep_batches(csim__sweep *w, const csim__partners *p)
{
    int measures = w->options->measure_count, count = p->count;
    int64_t batch = w->plan.kernels.batch;
    double *sum = NULL;
    csim_status st = CSIM_OK;
    if (batch > 0) {
        st = csim__alloc(w->ctx, (int64_t)count * count, sizeof *sum, "sums of batches", &sum);
        st = csim__vote(w->ctx, st);
        if (st == CSIM_OK) {
            bool held = w->cells.draw >= 0; /* relabelled ones are nowhere else */
            st = csim__batches(w->ctx, &w->shard, p->site, count, batch, held, p->wanted, sum,
                               &w->meter);
        }
    }
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count * measures; i++) {
        const csim__planned *q = &w->plan.pairs[i / measures];
        int a = p->place[q->couple.left], b = p->place[q->couple.right];
        csim__matrices *out = &w->matrices[i];
        csim_kernel k;
        if (!csim__sweep_takes(&w->options->measures[i % measures], &k) || !q->cell ||
            k.matrix != CSIM_LINEAR || a < 0 || b < 0) {
            continue;
        }
        if (batch == 0) {
            out->note = CSIM_NOTE_FEW;
            continue;
        }
        out->both.product = sum[a * count + b];
        out->self[0].product = sum[a * count + a];
        out->self[1].product = sum[b * count + b];
    }
    csim__free(w->ctx, &sum);
    return st;
}
