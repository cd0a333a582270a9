/* Measures of neighbours in a sweep: which lists they need, the searches, and the sums over the
 * examples of all pairs, which are made where the lists are. */
#include <string.h>

#include "ingredients/rows.h"
#include "sweep/lists.h"
#include "sweep/statistics/statistics.h"

static bool is_wish(const csim_sweep_measure *m)
{
    return (m->measure->needs & CSIM_NEEDS_NEIGHBOURS) != 0;
}

/* The numbers of neighbours that a measure is asked for. */
static int list_of(const csim_sweep_measure *m, int64_t n, int64_t *list)
{
    const csim_neighbour_options *o = m->options;
    return is_wish(m) ? csim_neighbour_list(o->k, n, list) : 0;
}

/* The view of the rows that a measure takes, new if it is the first to. */
static int view_of(csim__near_plan *plan, const csim_neighbour_options *o)
{
    double clamp = o->clamp > 0 ? o->clamp : 1;
    int v = 0;
    while (v < plan->views && plan->view[v].clamp != clamp) { v++; }
    if (v == plan->views && v < CSIM__NEAR_VIEWS) {
        plan->view[plan->views++] = (csim__near_view){.clamp = clamp};
    }
    return v;
}

static bool has_lists(const csim__near_view *view)
{
    int64_t all = 0;
    for (int m = 0; m < CSIM_METRICS; m++) { all += view->k[m]; }
    return all > 0;
}

csim__near_plan csim__sweep_near(const csim_sweep_options *options, int64_t n)
{
    int64_t list[CSIM_NEIGHBOURS_MOST];
    csim__near_plan plan = {.views = 1, .view = {{.clamp = 1}}};
    for (int i = 0; i < options->measure_count; i++) {
        const csim_sweep_measure *m = &options->measures[i];
        const csim_neighbour_options *o = m->options;
        int count = list_of(m, n, list), v;
        if (count == 0 || (v = view_of(&plan, o)) == CSIM__NEAR_VIEWS) { continue; }
        csim__near_view *view = &plan.view[v];
        /* the next one behind the list tells whether it is who it is by the order of the examples */
        bool next = csim__statistics_drawn(options, i, n) && list[count - 1] < n - 1;
        int64_t longest = list[count - 1] + next;
        plan.sums += count;
        plan.twins = plan.twins || csim__statistics_drawn(options, i, n);
        view->k[o->metric] = csim__max64(view->k[o->metric], longest);
        plan.longest = csim__max64(plan.longest, longest);
        if (m->measure->needs & CSIM_NEEDS_LINKS) { view->links[o->metric] = true; }
        if (m->measure->needs & CSIM_NEEDS_ACROSS) { plan.across += count; }
    }
    if (plan.twins) { plan.draws = options->permutations; }
    for (int v = 0; v < plan.views; v++) { plan.searches += has_lists(&plan.view[v]); }
    return plan;
}

csim_status csim__sweep_check_near(csim__sweep *w)
{
    enum { LEAST = 4 }; /* fewer are refused for another reason */
    int64_t n = csim_set_examples(w->sets[0]), list[CSIM_NEIGHBOURS_MOST];
    for (int i = 0; i < w->options->measure_count; i++) {
        const csim_sweep_measure *m = &w->options->measures[i];
        if (!is_wish(m) || n < LEAST || list_of(m, n, list) > 0) { continue; }
        const csim_neighbour_options *o = m->options;
        return csim__fail(w->ctx, CSIM_E_USAGE,
                          "--%s.k: found '%.80s', expected a whole number of neighbours from 1 to "
                          "%lld, as there are %lld examples, or a share of them, below 1, that is "
                          "1 neighbour or more; or up to %d of these, ascending, joined by ','",
                          m->measure->name, o->k != NULL ? o->k : "", (long long)n - 1,
                          (long long)n, CSIM_NEIGHBOURS_MOST);
    }
    return CSIM_OK;
}

/* ---- lists ---- */

/* The lists of a site of one view of its rows. */
static csim_status search(csim__lists *l, int s, int v)
{
    csim__sweep *w = l->w;
    const csim__site *site = &w->site[s];
    const csim__near_view *view = &l->plan->view[v];
    int64_t lane = csim__lane(l, s, v, 0);
    csim_status st = csim__raw_rows(w->ctx, &w->shard, site, l->rows);
    if (st == CSIM_OK && view->clamp < 1) {
        st = csim__clamp(w->ctx, &w->shard, site->d, view->clamp, l->rows);
    }
    if (st == CSIM_OK) {
        st = csim__neighbours(w->ctx, &w->shard, site->d, l->rows, view->k, &w->meter,
                              l->near + lane);
    }
    for (int m = 0; st == CSIM_OK && m < CSIM_METRICS; m++) {
        if (view->links[m]) {
            st = csim__links_make(w->ctx, &w->shard, &l->near[lane + m], &l->links[lane + m]);
        }
    }
    return st;
}

static csim_status search_site(csim__lists *l, int s)
{
    csim_status st = CSIM_OK;
    for (int v = 0; st == CSIM_OK && v < l->plan->views; v++) {
        if (has_lists(&l->plan->view[v])) { st = search(l, s, v); }
    }
    return st;
}

/* The other one of a pair of the plan that site @p s is in: twins, where there are, are on the right;
 * −1: it is not, or it has no lists. */
static int partner(const csim__lists *l, const csim__planned *p, int s)
{
    const csim__sweep *w = l->w;
    int left = p->couple.left, right = p->couple.right + (l->draw < 0 ? 0 : w->count);
    int other = left == s ? right : right == s ? left : -1;
    bool fit = other >= 0 && w->site[other % w->count].unfit == CSIM_NOTE_NONE;
    return p->cell && fit ? other : -1;
}

bool csim__lists_partners(const csim__lists *l, int s)
{
    bool any = false;
    for (int64_t i = 0; i < l->w->plan.count; i++) {
        any = any || partner(l, &l->w->plan.pairs[i], s) >= 0;
    }
    return any;
}

csim_status csim__lists_cross(csim__lists *l, int s, const double *rows)
{
    csim__sweep *w = l->w;
    const csim__near **others = NULL;
    double **sums = NULL;
    int count = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *others, "lists", &others));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *sums, "sums", &sums));
    for (int64_t i = 0; i < w->plan.count; i++) {
        int other = partner(l, &w->plan.pairs[i], s);
        if (other < 0) { continue; }
        double **to = csim__lists_across(l, s, other);
        int64_t numbers = 2 * l->plan->across * w->shard.rows;
        if (*to == NULL) { CSIM_TRY(csim__alloc(w->ctx, numbers, sizeof **to, "distances", to)); }
        others[count] = &l->near[csim__lane(l, other, 0, CSIM_COSINE)];
        sums[count++] = *to;
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) {
        st = csim__across(w->ctx, &w->shard, w->site[s % w->count].d, rows, l->across_k,
                          l->plan->across, others, count, sums);
    }
    csim__free(w->ctx, &sums);
    csim__free(w->ctx, &others);
    return st;
}

/* ---- sums over the examples ---- */

/* One side of an example, for lists as long as the longest; the caller shortens them. */
static void take_side(const csim__lists *l, int side, int64_t lane, int64_t row, csim_near *out)
{
    const csim__near *near = &l->near[lane];
    const csim__links *links = &l->links[lane];
    out->index[side] = near->index + row * near->k;
    out->distance[side] = near->distance + row * near->k;
    out->place[side] = l->place[side];
    out->links[side] = 0;
    if (links->start != NULL) {
        out->link[side] = links->link + links->start[row];
        out->links[side] = links->start[row + 1] - links->start[row];
    }
}

static void swap_sides(csim_near *near)
{
    csim_near turned = *near;
    for (int side = 0; side < 2; side++) {
        turned.index[side] = near->index[1 - side];
        turned.distance[side] = near->distance[1 - side];
        turned.place[side] = near->place[1 - side];
        turned.link[side] = near->link[1 - side];
        turned.links[side] = near->links[1 - side];
        turned.across[side] = near->across[1 - side];
    }
    *near = turned;
}

/* Write the places of a list, or wipe them out. */
static void stamp(int32_t *place, const int32_t *index, int64_t k, bool on)
{
    for (int64_t m = 0; m < k; m++) { place[index[m]] = on ? (int32_t)(m + 1) : 0; }
}

/* All measures of one view and metric, one example of one pair. */
static void take_example(csim__lists *l, const csim__couple *c, int v, int metric, int64_t row)
{
    csim__sweep *w = l->w;
    int right = c->right + (l->draw < 0 ? 0 : w->count);
    int64_t k = l->plan->view[v].k[metric];
    csim_near near = {.n = w->shard.n, .scratch = l->scratch};
    take_side(l, 0, csim__lane(l, c->left, v, metric), row, &near);
    take_side(l, 1, csim__lane(l, right, v, metric), row, &near);
    const double *over[2] = {*csim__lists_across(l, c->left, right),
                             *csim__lists_across(l, right, c->left)};
    for (int side = 0; side < 2; side++) { stamp(l->place[side], near.index[side], k, true); }
    for (int i = 0; i < l->wishes; i++) {
        const csim__wish *t = &l->wish[i];
        double *part = l->part + 2 * i * CSIM_NEAR_SUMS;
        if (t->view != v || t->metric != metric || (l->draw >= 0 && !t->drawn)) { continue; }
        near.k = t->k;
        for (int side = 0; side < 2 && t->across >= 0; side++) {
            near.across[side] = over[side] + 2 * (row * l->plan->across + t->across);
        }
        t->measure->example(&near, t->options, part);
        if (c->left == right || (t->measure->props & CSIM_SYMMETRIC)) { continue; }
        swap_sides(&near);
        t->measure->example(&near, t->options, part + CSIM_NEAR_SUMS);
        swap_sides(&near);
    }
    for (int side = 0; side < 2; side++) { stamp(l->place[side], near.index[side], k, false); }
}

static void sum_pair(csim__lists *l, int64_t pair)
{
    csim__sweep *w = l->w;
    const csim__couple *c = &w->plan.pairs[pair].couple;
    int64_t many = (int64_t)l->wishes * 2 * CSIM_NEAR_SUMS;
    for (int64_t chunk = 0; chunk < w->shard.count; chunk++) {
        int64_t at = chunk * w->shard.chunk;
        int64_t rows = csim__chunk_rows(&w->shard, w->shard.first + chunk);
        memset(l->part, 0, (size_t)many * sizeof *l->part);
        for (int lane = 0; lane < l->plan->views * CSIM_METRICS; lane++) {
            int v = lane / CSIM_METRICS, metric = lane % CSIM_METRICS;
            for (int64_t i = 0; l->plan->view[v].k[metric] > 0 && i < rows; i++) {
                take_example(l, c, v, metric, at + i);
            }
        }
        for (int64_t i = 0; i < many; i++) {
            csim__exact_add(&l->sum[pair * many + i], l->part[i], l->exponent);
        }
    }
}

csim_status csim__lists_sum(csim__lists *l, double *out)
{
    csim__sweep *w = l->w;
    int64_t all = w->plan.count * l->wishes * 2 * CSIM_NEAR_SUMS;
    if (all > 0) { memset(l->sum, 0, (size_t)all * sizeof *l->sum); }
    csim__phase_begin(w->ctx, "neighbour sums");
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        bool unfit = w->site[p->couple.left].unfit != CSIM_NOTE_NONE ||
                     w->site[p->couple.right].unfit != CSIM_NOTE_NONE;
        if (p->cell && !unfit) { sum_pair(l, i); }
    }
    csim__phase_end(w->ctx, 0, 0);
    csim_status st = csim__exact_reduce(w->ctx, l->sum, all);
    for (int64_t i = 0; st == CSIM_OK && i < all; i++) {
        out[i] = csim__exact_value(l->sum[i], l->exponent);
    }
    return st;
}

/* ---- the whole ---- */

static void list_wishes(csim__lists *l)
{
    const csim_sweep_options *o = l->w->options;
    csim__near_plan plan = *l->plan; /* which has all views */
    int64_t list[CSIM_NEIGHBOURS_MOST];
    int across = 0;
    for (int i = 0; i < o->measure_count; i++) {
        const csim_sweep_measure *m = &o->measures[i];
        const csim_neighbour_options *options = m->options;
        int count = list_of(m, l->w->shard.n, list);
        for (int k = 0; k < count; k++) {
            csim__wish *t = &l->wish[l->wishes++];
            *t = (csim__wish){m->measure,
                              options,
                              view_of(&plan, options),
                              options->metric,
                              list[k],
                              -1,
                              l->w->cells.plane[i] + k,
                              csim__statistics_drawn(o, i, l->w->shard.n)};
            l->drawn = l->drawn || t->drawn;
            if (!(m->measure->needs & CSIM_NEEDS_ACROSS)) { continue; }
            l->across_k[across] = list[k];
            t->across = across++;
        }
    }
}

static csim_status start(csim__lists *l)
{
    csim__sweep *w = l->w;
    csim_context *ctx = w->ctx;
    double n = (double)w->shard.n;
    int64_t widest = 0, lanes, sums;
    csim_status st = CSIM_OK;
    l->exponent = csim__exact_exponent(2 * n * n * n);
    CSIM_TRY(csim__alloc(ctx, l->plan->sums, sizeof *l->wish, "measures", &l->wish));
    list_wishes(l);
    lanes = csim__lane(l, l->drawn ? 2 * w->count : w->count, 0, 0);
    sums = (int64_t)l->wishes * 2 * CSIM_NEAR_SUMS;
    for (int s = 0; s < w->count; s++) { widest = csim__max64(widest, w->site[s].d); }
    CSIM_TRY(csim__alloc(ctx, w->shard.rows * widest, sizeof(double), "rows of a site", &l->rows));
    CSIM_TRY(csim__calloc(ctx, lanes, sizeof *l->near, "lists", &l->near));
    CSIM_TRY(csim__calloc(ctx, lanes, sizeof *l->links, "lists", &l->links));
    l->sites = l->drawn ? 2 * w->count : w->count;
    CSIM_TRY(
        csim__calloc(ctx, (int64_t)l->sites * l->sites, sizeof *l->across, "lists", &l->across));
    if (l->drawn && l->plan->across > 0) {
        CSIM_TRY(csim__alloc(ctx, w->shard.rows * widest, sizeof *l->turned, "rows of a site",
                             &l->turned));
    }
    for (int side = 0; side < 2; side++) {
        CSIM_TRY(csim__calloc(ctx, w->shard.n, sizeof *l->place[side], "places", &l->place[side]));
    }
    CSIM_TRY(
        csim__alloc(ctx, 2 * (l->plan->longest + 1), sizeof *l->scratch, "places", &l->scratch));
    CSIM_TRY(csim__alloc(ctx, sums, sizeof *l->part, "sums", &l->part));
    if (l->drawn) {
        CSIM_TRY(csim__calloc(ctx, (int64_t)l->wishes * w->count, sizeof *l->tied,
                              "ties of neighbours", &l->tied));
        CSIM_TRY(csim__alloc(ctx, sums * w->plan.count, sizeof *l->values, "sums", &l->values));
    }
    CSIM_TRY(csim__calloc(ctx, sums * w->plan.count, sizeof *l->sum, "sums", &l->sum));
    CSIM_TRY(csim__calloc(ctx, sums * w->plan.count, sizeof *w->near_sums, "sums of neighbours",
                          &w->near_sums));
done:
    return st;
}

static void release(csim__lists *l)
{
    csim__sweep *w = l->w;
    for (int64_t i = 0; i < csim__lane(l, w->count, 0, 0); i++) { /* twins are gone */
        if (l->near != NULL) { csim__near_clear(w->ctx, &l->near[i]); }
        if (l->links != NULL) { csim__links_clear(w->ctx, &l->links[i]); }
    }
    for (int64_t i = 0; l->across != NULL && i < (int64_t)l->sites * l->sites; i++) {
        csim__free(w->ctx, &l->across[i]);
    }
    csim__free(w->ctx, &l->values);
    csim__free(w->ctx, &l->tied);
    csim__free(w->ctx, &l->sum);
    csim__free(w->ctx, &l->part);
    csim__free(w->ctx, &l->scratch);
    csim__free(w->ctx, &l->place[0]);
    csim__free(w->ctx, &l->place[1]);
    csim__free(w->ctx, &l->across);
    csim__free(w->ctx, &l->links);
    csim__free(w->ctx, &l->near);
    csim__free(w->ctx, &l->rows);
    csim__free(w->ctx, &l->turned);
    csim__free(w->ctx, &l->wish);
}

csim_status csim__sweep_neighbours(csim__sweep *w)
{
    csim__lists l = {.w = w, .plan = &w->plan.near, .draw = -1};
    csim_status st = csim__vote(w->ctx, start(&l));
    for (int s = 0; st == CSIM_OK && s < w->count; s++) {
        if (w->site[s].unfit == CSIM_NOTE_NONE) { st = search_site(&l, s); }
    }
    for (int s = 0; st == CSIM_OK && l.plan->across > 0 && s < w->count; s++) {
        if (w->site[s].unfit != CSIM_NOTE_NONE || !csim__lists_partners(&l, s)) { continue; }
        st = csim__raw_rows(w->ctx, &w->shard, &w->site[s], l.rows);
        if (st == CSIM_OK) { st = csim__lists_cross(&l, s, l.rows); }
    }
    if (st == CSIM_OK) { st = csim__lists_sum(&l, w->near_sums); }
    if (st == CSIM_OK && l.drawn) { st = csim__lists_permute(&l); }
    release(&l);
    return st;
}
