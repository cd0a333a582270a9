/* Neighbours under random relabellings of the examples: lists are renamed, not searched. */
#include "sweep/lists.h"

#include <math.h>

#include "ingredients/order.h"
#include "ingredients/rows.h"

/* Do equal distances leave it to the order of the examples who is in the list of a row, or where? */
static bool is_tied(const csim__near *near, const csim__wish *t, int64_t row)
{
    const double *distance = near->distance + row * near->k;
    bool tied = t->k < near->k && distance[t->k - 1] == distance[t->k];
    for (int64_t m = 1; (t->measure->props & CSIM_PLACES) && m < t->k && !tied; m++) {
        tied = distance[m - 1] == distance[m];
    }
    return tied;
}

/* Which measures have no null in which sites: relabelled lists are not those of relabelled examples. */
static csim_status find_ties(csim__lists *l)
{
    csim__sweep *w = l->w;
    for (int i = 0; i < l->wishes; i++) {
        const csim__wish *t = &l->wish[i];
        for (int s = 0; t->drawn && s < w->count; s++) {
            const csim__near *near = &l->near[csim__lane(l, s, t->view, t->metric)];
            int32_t *tied = &l->tied[i * w->count + s];
            for (int64_t row = 0; near->k > 0 && row < w->shard.rows && !*tied; row++) {
                *tied = is_tied(near, t, row);
            }
        }
    }
    csim_status st = csim__mpi(w->ctx,
                               MPI_Allreduce(MPI_IN_PLACE, l->tied, l->wishes * w->count,
                                             MPI_INT32_T, MPI_MAX, csim_context_comm(w->ctx)),
                               "ties of neighbours");
    st = csim__vote(w->ctx, st);
    for (int i = 0; st == CSIM_OK && i < l->wishes; i++) {
        int many = 0;
        for (int s = 0; s < w->count; s++) { many += l->tied[i * w->count + s] != 0; }
        if (many == 0) { continue; }
        csim__log(
            w->ctx, CSIM_LOG_WARNING,
            "%s of %lld neighbours: in %d layers equal distances leave it to the order of the "
            "examples who is near: no statistics of their pairs",
            l->wish[i].measure->name, (long long)l->wish[i].k, many);
    }
    return st;
}

/* The lists of a site when its examples are relabelled: row i is row from(i), with the names that its
 * neighbours have then. */
static csim_status relabel(csim__lists *l, const csim__order *order, const csim__near *near,
                           csim__near *twin)
{
    csim__sweep *w = l->w;
    int64_t all = w->shard.rows * near->k;
    const int64_t index = sizeof *near->index, distance = sizeof *near->distance;
    csim_status st = CSIM_OK;
    twin->k = near->k;
    CSIM_TRY(csim__alloc(w->ctx, all, sizeof *twin->index, "lists", &twin->index));
    CSIM_TRY(csim__alloc(w->ctx, all, sizeof *twin->distance, "lists", &twin->distance));
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) {
        st = csim__order_rows(w->ctx, &w->shard, order, near->index, near->k * index, twin->index);
    }
    if (st == CSIM_OK) {
        st = csim__order_rows(w->ctx, &w->shard, order, near->distance, near->k * distance,
                              twin->distance);
    }
    for (int64_t i = 0; st == CSIM_OK && i < all; i++) {
        twin->index[i] = (int32_t)order->to[twin->index[i]];
    }
    return st;
}

static csim_status make_twins(csim__lists *l, const csim__order *order)
{
    csim__sweep *w = l->w;
    csim_status st = CSIM_OK;
    for (int64_t i = 0, half = csim__lane(l, w->count, 0, 0); st == CSIM_OK && i < half; i++) {
        const csim__near *near = &l->near[i];
        int lane = (int)(i % (l->plan->views * CSIM_METRICS));
        if (near->k == 0) { continue; }
        st = relabel(l, order, near, &l->near[half + i]);
        if (st == CSIM_OK && l->plan->view[lane / CSIM_METRICS].links[lane % CSIM_METRICS]) {
            st = csim__links_make(w->ctx, &w->shard, &l->near[half + i], &l->links[half + i]);
        }
    }
    return st;
}

/* How far neighbours in twins are in their sites, and the other way round. */
static csim_status cross_twins(csim__lists *l, const csim__order *order)
{
    csim__sweep *w = l->w;
    csim_status st = CSIM_OK;
    for (int s = 0; st == CSIM_OK && s < w->count; s++) {
        const csim__site *site = &w->site[s];
        bool left = csim__lists_partners(l, s), right = csim__lists_partners(l, w->count + s);
        if (site->unfit != CSIM_NOTE_NONE || (!left && !right)) { continue; }
        st = csim__raw_rows(w->ctx, &w->shard, site, l->rows);
        if (st == CSIM_OK && left) { st = csim__lists_cross(l, s, l->rows); }
        if (st == CSIM_OK && right) {
            st = csim__order_rows(w->ctx, &w->shard, order, l->rows,
                                  site->d * (int64_t)sizeof *l->rows, l->turned);
            if (st == CSIM_OK) { st = csim__lists_cross(l, w->count + s, l->turned); }
        }
    }
    return st;
}

static void drop_twins(csim__lists *l)
{
    csim__sweep *w = l->w;
    int64_t half = csim__lane(l, w->count, 0, 0);
    for (int64_t i = half; i < 2 * half; i++) {
        csim__near_clear(w->ctx, &l->near[i]);
        csim__links_clear(w->ctx, &l->links[i]);
    }
}

/* The values of a relabelling, each on the owner of its pair. */
static void finish_draw(csim__lists *l)
{
    csim__sweep *w = l->w;
    w->cells.draw = l->draw;
    w->cells.kind = CSIM__DRAWN_LISTS;
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        int a = p->couple.left, b = p->couple.right, x = w->id[a], y = w->id[b];
        if (!p->cell || p->owner != w->shard.rank) { continue; }
        csim_pair pair = {.ctx = w->ctx,
                          .site = {&w->site[a], &w->site[b]},
                          .near = l->values + i * l->wishes * 2 * CSIM_NEAR_SUMS};
        csim__cells_finish(&w->cells, &pair, x, y, w->options);
        for (int t = 0; t < l->wishes; t++) {
            if (!l->tied[t * w->count + a] && !l->tied[t * w->count + b]) { continue; }
            csim__cells_put_draw(&w->cells, l->wish[t].plane, x, y, l->draw, NAN);
            csim__cells_put_draw(&w->cells, l->wish[t].plane, y, x, l->draw, NAN);
        }
    }
    w->cells.draw = -1;
}

static csim_status permute(void *user, int64_t draw)
{
    csim__lists *l = user;
    csim__sweep *w = l->w;
    csim__order order;
    l->draw = draw;
    csim_status st = csim__order_make(w->ctx, &w->shard, w->options->null_seed, draw, &order);
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = make_twins(l, &order); }
    if (st == CSIM_OK && l->plan->across > 0) { st = cross_twins(l, &order); }
    if (st == CSIM_OK) { st = csim__lists_sum(l, l->values); }
    if (st == CSIM_OK) { finish_draw(l); }
    drop_twins(l);
    csim__order_clear(w->ctx, &order);
    l->draw = -1;
    return st;
}

csim_status csim__lists_permute(csim__lists *l)
{
    csim_status st = find_ties(l);
    return st == CSIM_OK ? csim__saved_permute(l->w, CSIM__DRAWN_LISTS, permute, l) : st;
}
