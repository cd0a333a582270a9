/* Measures of kernels and distances in a sweep: which matrices they take, the passes that sum them,
 * and the sums of each pair for each measure. */
#include "ingredients/kernels.h"

#include <math.h>

#include "ingredients/spread.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

/* The sums of tiles: distinct forms, and which measure takes which. */
typedef struct sums {
    csim__sweep *w;
    const csim__partners *p;
    bool left;               /* of measures that have intervals */
    int64_t results;         /* of all examples, or without each block */
    csim__kernel_form *form; /* [forms] */
    csim_kernel *kernel;     /* [forms] */
    int forms;
    double *sigma, *median;  /* [forms, count], [2, count] */
    csim__kernel_site *of;   /* [results, forms, count] */
    csim__kernel_pair *pair; /* [results, forms, count, count] */
} sums;

bool csim__sweep_takes(const csim_sweep_measure *m, csim_kernel *kernel)
{
    if (!(m->measure->needs & CSIM_NEEDS_KERNELS)) { return false; }
    *kernel = m->measure->kernel(m->options);
    return true;
}

/* Are its sums made tile by tile, and nothing stored? */
static bool by_tiles(const csim_kernel *k)
{
    return k->compare == CSIM_BY_SUMS && k->matrix != CSIM_LINEAR;
}

bool csim__sweep_same_form(const csim_kernel *a, const csim_kernel *b)
{
    if (a->matrix != b->matrix) { return false; }
    if (a->matrix != CSIM_RBF || (a->sigma > 0 && a->sigma == b->sigma)) { return true; }
    return a->sigma == b->sigma && a->bandwidth == b->bandwidth && a->diagonal == b->diagonal;
}

/* Does measure @p m take sums of tiles; with @p left, without blocks of examples, too? */
static bool takes_tiles(const csim_sweep_options *o, int m, bool left, csim_kernel *kernel)
{
    return csim__sweep_takes(&o->measures[m], kernel) && by_tiles(kernel) &&
           (!left || csim__statistics_interval(o, m));
}

/* Is measure @p m the first of these with its form? */
static bool is_first(const csim_sweep_options *o, int m, bool left, csim_kernel *kernel)
{
    csim_kernel other;
    bool first = takes_tiles(o, m, left, kernel);
    for (int i = 0; first && i < m; i++) {
        first = !takes_tiles(o, i, left, &other) || !csim__sweep_same_form(&other, kernel);
    }
    return first;
}

/* Distances of a measure that stores them, with others of the same examples. */
static void add_store(csim__kernel_plan *plan, const csim_kernel *k, int64_t n)
{
    int64_t examples = k->sample > 0 && k->sample < n ? k->sample : n;
    int i = 0, most = (int)(sizeof plan->store / sizeof *plan->store);
    while (i < plan->stores &&
           (plan->store[i].matrix != k->matrix || plan->store[i].examples != examples)) {
        i++;
    }
    if (i == most) { return; }
    csim__store *s = &plan->store[i];
    plan->stores += i == plan->stores;
    s->matrix = k->matrix;
    s->examples = examples;
    s->spectrum = s->spectrum || k->compare == CSIM_BY_SPECTRUM;
    s->ordered = s->ordered || k->compare == CSIM_BY_ORDER;
    s->ranked = s->ranked || k->compare != CSIM_BY_SPECTRUM;
}

csim_status csim__sweep_check_kernels(csim__sweep *w)
{
    enum { LEAST = 4 };
    csim_kernel k;
    for (int i = 0; i < w->options->measure_count; i++) {
        const csim_sweep_measure *m = &w->options->measures[i];
        if (!csim__sweep_takes(m, &k) || k.sample == 0) { continue; }
        if (k.compare != CSIM_BY_SUMS && k.sample >= LEAST) { continue; }
        return csim__fail(w->ctx, CSIM_E_USAGE,
                          "--%s.sample: found %lld, expected %d or more, and ranks: nothing else "
                          "takes a sample",
                          m->measure->name, (long long)k.sample, LEAST);
    }
    return CSIM_OK;
}

csim__kernel_plan csim__sweep_kernel_plan(const csim_sweep_options *o, int64_t n, int no_room)
{
    csim__kernel_plan plan = {.columns = o->measure_count};
    csim_kernel k;
    for (int m = 0; m < o->measure_count; m++) {
        plan.spread = plan.spread || (o->measures[m].measure->needs & CSIM_NEEDS_SPREAD);
        if (!csim__sweep_takes(&o->measures[m], &k)) { continue; }
        plan.measures++;
        if (is_first(o, m, false, &k)) { plan.forms[k.matrix]++; }
        if (is_first(o, m, true, &k)) { plan.left[k.matrix]++; }
        if (k.matrix == CSIM_RBF && !(k.sigma > 0)) { plan.median[k.diagonal] = true; }
        if (k.matrix == CSIM_LINEAR && k.batch <= n) { plan.batch = k.batch; }
        if (k.compare != CSIM_BY_SUMS) { add_store(&plan, &k, n); }
    }
    if (csim__statistics_leaves(o, true) > 0) {
        plan.blocks = csim__blocks_of(n, o->jackknife).count;
    }
    if (plan.stores > 0 && o->null == CSIM_NULL_PERMUTATION) { plan.draws = o->permutations; }
    csim__sweep_shift_plan(o, n, &plan);
    for (int i = 0; i < plan.stores; i++) {
        plan.store[i].left_out = no_room > (plan.store[i].examples < n);
    }
    return plan;
}

/* ---- what takes part ---- */

csim_status csim__partners_list(csim__sweep *w, csim__partners *p)
{
    csim_status st = CSIM_OK;
    *p = (csim__partners){.count = 0};
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *p->place, "places", &p->place));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof(csim__site *), "sites", &p->site));
    CSIM_TRY(csim__calloc(w->ctx, (int64_t)w->count * w->count, 1, "wanted pairs", &p->wanted));
    for (int s = 0; s < w->count; s++) {
        p->place[s] = w->site[s].unfit == CSIM_NOTE_NONE ? p->count : -1;
        if (p->place[s] >= 0) { p->site[p->count++] = &w->site[s]; }
    }
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__couple *c = &w->plan.pairs[i].couple;
        int a = p->place[c->left], b = p->place[c->right];
        if (!w->plan.pairs[i].cell || a < 0 || b < 0) { continue; }
        p->wanted[a * p->count + b] = p->wanted[a * p->count + a] = 1;
        p->wanted[b * p->count + b] = 1;
    }
done:
    return st;
}

void csim__partners_clear(csim__sweep *w, csim__partners *p)
{
    csim__free(w->ctx, &p->place);
    csim__free(w->ctx, &p->site);
    csim__free(w->ctx, &p->wanted);
}

static csim_status list_forms(sums *l)
{
    csim__sweep *w = l->w;
    const csim_sweep_options *o = w->options;
    csim_status st = CSIM_OK;
    int64_t most = csim__max64(1, (int64_t)o->measure_count * l->p->count);
    CSIM_TRY(csim__calloc(w->ctx, o->measure_count, sizeof *l->form, "forms", &l->form));
    CSIM_TRY(csim__calloc(w->ctx, o->measure_count, sizeof *l->kernel, "forms", &l->kernel));
    CSIM_TRY(csim__calloc(w->ctx, most, sizeof *l->sigma, "widths of kernels", &l->sigma));
    CSIM_TRY(csim__calloc(w->ctx, 2 * most, sizeof *l->median, "medians", &l->median));
    for (int m = 0; m < o->measure_count; m++) {
        csim_kernel k;
        if (!is_first(o, m, l->left, &k)) { continue; }
        bool own = k.matrix == CSIM_RBF && !(k.sigma > 0);
        l->kernel[l->forms] = k;
        l->form[l->forms] = (csim__kernel_form){
            .matrix = k.matrix,
            .products = k.matrix != CSIM_UNIFORM,
            .sigma = k.matrix == CSIM_RBF ? l->sigma + (int64_t)l->forms * l->p->count : NULL,
            .typical = own ? l->median + (int64_t)k.diagonal * l->p->count : NULL};
        l->forms++;
    }
    int64_t cells = l->results * l->forms * l->p->count;
    CSIM_TRY(csim__calloc(w->ctx, cells, sizeof *l->of, "sums of kernels", &l->of));
    CSIM_TRY(
        csim__calloc(w->ctx, cells * l->p->count, sizeof *l->pair, "sums of kernels", &l->pair));
done:
    return st;
}

static void release(sums *l)
{
    csim_context *ctx = l->w->ctx;
    csim__free(ctx, &l->form);
    csim__free(ctx, &l->kernel);
    csim__free(ctx, &l->sigma);
    csim__free(ctx, &l->median);
    csim__free(ctx, &l->of);
    csim__free(ctx, &l->pair);
}

/* ---- the passes ---- */

/* Medians of the distances in sites, unless they are known. */
static csim_status find_medians(sums *l)
{
    csim__sweep *w = l->w;
    const bool *want = w->plan.kernels.median;
    double *median[2] = {l->median, l->median + l->p->count};
    bool known = true;
    for (int s = 0; s < l->p->count; s++) {
        for (int kind = 0; kind < 2; kind++) {
            median[kind][s] = l->p->site[s]->median[kind];
            known = known && (!want[kind] || !isnan(median[kind][s]));
        }
    }
    if (known) { return CSIM_OK; }
    csim_status st =
        csim__medians(w->ctx, &w->shard, l->p->site, l->p->count, want, median, &w->meter);
    for (int s = 0; st == CSIM_OK && s < l->p->count; s++) {
        csim__site *site = l->p->site[s];
        for (int kind = 0; kind < 2; kind++) {
            if (!want[kind]) { continue; }
            site->median[kind] = median[kind][s];
            csim__log(w->ctx, CSIM_LOG_INFO, "%s %s: median distance of two examples%s: %.15g",
                      site->model, site->layer, kind ? ", the diagonal included" : "",
                      median[kind][s]);
        }
    }
    return st;
}

/* Widths of the kernels, from medians where they are not given. */
static csim_status find_widths(sums *l)
{
    csim_status st = find_medians(l);
    for (int s = 0; st == CSIM_OK && s < l->p->count; s++) {
        for (int f = 0; f < l->forms; f++) {
            const csim_kernel *k = &l->kernel[f];
            if (k->matrix != CSIM_RBF) { continue; }
            double median = l->median[k->diagonal * l->p->count + s];
            l->sigma[f * l->p->count + s] = k->sigma > 0 ? k->sigma : k->bandwidth * median;
        }
    }
    return st;
}

/* The sums of one pair for one measure, of all examples or without block @p b. */
static void fill(const sums *l, int64_t b, int64_t pair, const csim_kernel *kernel,
                 csim__matrices *out)
{
    const csim__couple *c = &l->w->plan.pairs[pair].couple;
    int f = 0, side[2] = {l->p->place[c->left], l->p->place[c->right]};
    while (!csim__sweep_same_form(&l->kernel[f], kernel)) { f++; }
    for (int i = 0; i < 2; i++) {
        if (side[i] < 0) { return; } /* the cell says why */
        int64_t at = (b * l->forms + f) * l->p->count + side[i];
        out->of[i] = l->of[at];
        out->self[i] = l->pair[at * l->p->count + side[i]];
        if (kernel->matrix == CSIM_RBF && !(out->of[i].sigma > 0)) {
            out->note = CSIM_NOTE_BANDWIDTH;
        }
    }
    out->both = l->pair[((b * l->forms + f) * l->p->count + side[0]) * l->p->count + side[1]];
}

static csim_status tile_sums(csim__sweep *w, const csim__partners *p)
{
    sums l = {.w = w, .p = p, .results = 1};
    csim_status st = csim__vote(w->ctx, list_forms(&l));
    if (st == CSIM_OK) { st = find_widths(&l); }
    if (st == CSIM_OK) {
        st = csim__kernel_pass(w->ctx, &w->shard, p->site, p->count, l.form, l.forms, p->wanted,
                               NULL, l.of, l.pair, &w->meter);
    }
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        for (int m = 0; m < w->options->measure_count; m++) {
            csim_kernel k;
            if (!takes_tiles(w->options, m, false, &k)) { continue; }
            fill(&l, 0, i, &k, &w->matrices[i * w->options->measure_count + m]);
        }
    }
    release(&l);
    return st;
}

/* ---- without blocks of examples ---- */

double csim__sweep_value(const csim__sweep *w, int64_t pair, int m, int64_t n, bool twin,
                         const csim__matrices *kernel)
{
    const csim__couple *c = &w->plan.pairs[pair].couple;
    csim__site left = w->site[c->left], right = w->site[c->right];
    csim_pair p = {.ctx = w->ctx, .site = {&left, &right}, .kernel = kernel};
    left.n = right.n = n;
    if (twin) {
        right.checksum = ~right.checksum;
    } /* another site even to one of the same values */
    return csim__cells_evaluate(&p, &w->options->measures[m]).value;
}

/* The intervals of a pair. */
static void put_intervals(const sums *l, const csim__blocks *blocks, int64_t pair)
{
    csim__sweep *w = l->w;
    const csim__couple *c = &w->plan.pairs[pair].couple;
    for (int m = 0; m < w->options->measure_count; m++) {
        double value[CSIM__JACKKNIFE_MOST + 1];
        csim_kernel k;
        if (!takes_tiles(w->options, m, true, &k)) { continue; }
        for (int b = 0; b < blocks->count; b++) {
            csim__matrices without = {.note = CSIM_NOTE_NONE};
            fill(l, b, pair, &k, &without);
            value[b] = csim__sweep_value(w, pair, m, blocks->n - csim__blocks_rows(blocks, b),
                                         false, &without);
        }
        value[blocks->count] = csim__sweep_value(
            w, pair, m, blocks->n, false, &w->matrices[pair * w->options->measure_count + m]);
        csim__statistics_put_interval(&w->cells, m, w->id[c->left], w->id[c->right], blocks, value);
    }
}

/* Kernels keep the widths that they have with all examples. */
static csim_status leave_out(csim__sweep *w, const csim__partners *p)
{
    csim__blocks blocks = csim__blocks_of(w->shard.n, w->options->jackknife);
    sums l = {.w = w, .p = p, .left = true, .results = blocks.count};
    csim_status st = csim__vote(w->ctx, list_forms(&l));
    csim__phase_begin(w->ctx, "jackknife");
    if (st == CSIM_OK) { st = find_widths(&l); }
    if (st == CSIM_OK) {
        st = csim__kernel_pass(w->ctx, &w->shard, p->site, p->count, l.form, l.forms, p->wanted,
                               &blocks, l.of, l.pair, &w->meter);
    }
    for (int64_t i = w->shard.rank; st == CSIM_OK && i < w->plan.count; i += w->shard.size) {
        const csim__planned *q = &w->plan.pairs[i];
        bool fit = p->place[q->couple.left] >= 0 && p->place[q->couple.right] >= 0;
        if (q->cell && fit) { put_intervals(&l, &blocks, i); }
    }
    release(&l);
    csim__phase_end(w->ctx, 0, 0);
    return st;
}

/* How far the rows of sites spread around their mean. */
static csim_status spreads(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    for (int s = 0; st == CSIM_OK && s < w->count; s++) {
        if (w->site[s].unfit != CSIM_NOTE_NONE) { continue; }
        st = csim__vote(w->ctx, csim__sweep_hold(w, &w->site[s]));
        if (st == CSIM_OK) { st = csim__spread(w->ctx, &w->shard, &w->site[s]); }
        csim__sweep_let_go(w, &w->site[s]);
    }
    return st;
}

csim_status csim__sweep_kernels(csim__sweep *w)
{
    const csim__kernel_plan *plan = &w->plan.kernels;
    csim__partners p = {.count = 0};
    int forms = 0;
    csim_status st = plan->spread ? spreads(w) : CSIM_OK;
    if (st != CSIM_OK || plan->measures == 0) { return st; }
    for (int m = 0; m < CSIM_MATRICES; m++) { forms += plan->forms[m]; }
    st = csim__calloc(w->ctx, w->plan.count * w->options->measure_count, sizeof *w->matrices,
                      "sums of kernels", &w->matrices);
    if (st == CSIM_OK) { st = csim__partners_list(w, &p); }
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && p.count > 0) {
        for (int i = 0; st == CSIM_OK && forms > 0 && i < p.count; i++) {
            st = csim__vote(w->ctx, csim__sweep_hold(w, p.site[i]));
        }
        if (st == CSIM_OK && forms > 0) { st = tile_sums(w, &p); }
        if (st == CSIM_OK && plan->blocks > 0) { st = leave_out(w, &p); }
        for (int i = 0; forms > 0 && i < p.count; i++) { csim__sweep_let_go(w, p.site[i]); }
        if (st == CSIM_OK) { st = csim__sweep_triangles(w, &p); }
        if (st == CSIM_OK) { st = csim__sweep_batches(w, &p); }
    }
    csim__partners_clear(w, &p);
    return st;
}
