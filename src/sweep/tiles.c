/* Sites in blocks, two of which fit the memory limit; a tile is two blocks, and the pairs that are
 * open between any of their sites. Where everything fits there is one block, and one tile. A pair
 * has the same value in every tile. */
#include <math.h>
#include <string.h>

#include "ingredients/feed.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

/* ---- which sites are together ---- */

/* The sites of blocks p and q that have an open pair there. */
static void choose(csim__sweep *w, int p, int q)
{
    w->count = 0;
    memset(w->here, 0, (size_t)w->all_count);
    memset(w->here + w->block[p], 1, (size_t)(w->block[p + 1] - w->block[p]));
    memset(w->here + w->block[q], 1, (size_t)(w->block[q + 1] - w->block[q]));
    for (int s = 0; s < w->all_count; s++) {
        bool open = false;
        for (int t = 0; w->here[s] && t < w->all_count && !open; t++) {
            open = w->here[t] && csim__cells_open(&w->cells, s < t ? s : t, s < t ? t : s);
        }
        if (open) { w->id[w->count++] = s; }
    }
}

static unsigned needs_apart(const csim_sweep_options *o)
{
    unsigned needs = 0;
    for (int m = 0; m < o->measure_count; m++) {
        bool taken = csim__statistics_interval(o, m);
        needs |= taken ? o->measures[m].measure->needs : 0;
    }
    return needs;
}

csim_status csim__sweep_plan_tile(csim__sweep *w)
{
    int64_t *width = NULL;
    int *item = NULL;
    unsigned char *wanted = NULL, *heavy = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *width, "widths", &width));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *item, "sizes of numbers", &item));
    CSIM_TRY(csim__calloc(w->ctx, (int64_t)w->count * w->count, 1, "pairs", &wanted));
    CSIM_TRY(csim__alloc(w->ctx, w->count, 1, "marks of sites", &heavy));
    for (int s = 0; s < w->count; s++) {
        width[s] = w->all[w->id[s]].d;
        item[s] = csim__feed_item(&w->all[w->id[s]]);
        heavy[s] = w->heavy[w->id[s]];
        for (int t = s; t < w->count; t++) {
            wanted[s * w->count + t] = csim__cells_open(&w->cells, w->id[s], w->id[t]);
        }
    }
    csim__problem p = {.n = w->shard.n,
                       .sites = w->count,
                       .width = width,
                       .wanted = wanted,
                       .values = (int64_t)w->cells.rows * w->cells.cols * w->cells.planes,
                       .extras = w->cells.extras,
                       .permutations =
                           csim__statistics_paired(w->options) ? w->options->permutations : 0,
                       .jackknife = csim__statistics_leaves(w->options, false),
                       .leverages = w->options->null == CSIM_NULL_ANALYTIC,
                       .needs = w->needs,
                       .apart = needs_apart(w->options),
                       .heavy = heavy,
                       .untiled = w->untiled,
                       .item = item,
                       .streamed = w->streamed,
                       .single = w->options->precision == CSIM_SINGLE_PRECISION,
                       .near = csim__sweep_near(w->options, w->shard.n),
                       .kernels = csim__sweep_kernel_plan(w->options, w->shard.n, w->no_room),
                       .encoders = w->options->encoders,
                       .encoder_count = w->options->encoder_count,
                       .size = w->shard.size,
                       .teams = w->teams,
                       .saves = w->options->journal != NULL,
                       .memory = w->options->memory};
    csim__plan_clear(w->ctx, &w->plan);
    st = csim__plan_make(w->ctx, &p, &w->plan);
    /* a plan above the limit is whole all the same */
    if (w->forecast != NULL && w->plan.tile_bytes > 0) {
        csim_status added = csim__forecast_add(w->ctx, &p, &w->plan, w->target, w->forecast);
        st = st == CSIM_OK ? added : st;
    }
done:
    csim__free(w->ctx, &heavy);
    csim__free(w->ctx, &wanted);
    csim__free(w->ctx, &item);
    csim__free(w->ctx, &width);
    return st;
}

/* Borders of blocks of about as many neurons each. */
static void divide(csim__sweep *w)
{
    double all = 0, before = 0;
    int made = 0;
    for (int s = 0; s < w->all_count; s++) { all += (double)w->all[s].d; }
    w->block[0] = 0;
    for (int s = 0; s < w->all_count; s++) {
        /* a block ends where its share does, and leaves a site for each one to come */
        bool last = w->all_count - s <= w->blocks - 1 - made;
        if (s > w->block[made] && made < w->blocks - 1 &&
            (last || before >= all * (made + 1) / w->blocks)) {
            w->block[++made] = s;
        }
        before += (double)w->all[s].d;
    }
    w->block[w->blocks] = w->all_count;
}

/* The memory of the tile that takes most. */
static void keep_most(csim__cost *c, int64_t shard_bytes, int64_t tile_bytes)
{
    if (shard_bytes + tile_bytes <= c->shard_bytes + c->tile_bytes) { return; }
    c->shard_bytes = shard_bytes;
    c->tile_bytes = tile_bytes;
}

static void add_cost(const csim__sweep *w, csim__cost *c, const csim__plan *plan)
{
    keep_most(c, plan->shard_bytes, plan->tile_bytes);
    c->flops += plan->flops;
    c->idle += plan->idle;
    c->tiles++;
    c->rounds += plan->many_rounds;
    c->passes += plan->passes;
    for (int s = 0; s < w->count; s++) {
        c->loads += plan->reads[s];
        c->numbers += plan->reads[s] * (double)w->all[w->id[s]].d;
    }
    c->pairs += plan->count;
    c->selves += plan->selves;
    for (int64_t i = 0; i < plan->count; i++) { c->routes[plan->pairs[i].route]++; }
}

/* A tile is done with, as far as the planner goes: what it computes is not open in the next. */
static void close_pairs(csim__sweep *w)
{
    for (int s = 0; s < w->count; s++) {
        for (int t = s; t < w->count; t++) { csim__cells_close(&w->cells, w->id[s], w->id[t]); }
    }
}

/* What the tiles cost with these blocks. */
static csim_status try_blocks(csim__sweep *w)
{
    int64_t cells = (int64_t)w->cells.rows * w->cells.cols;
    unsigned char *open = NULL;
    csim_status st = csim__alloc(w->ctx, cells, 1, "open cells", &open);
    if (st != CSIM_OK) { return st; }
    memcpy(open, w->cells.open, (size_t)cells);
    w->cost = (csim__cost){.tiles = 0};
    if (w->forecast != NULL) { *w->forecast = (csim__forecast){.size = 0}; }
    divide(w);
    for (int p = 0; st == CSIM_OK && p < w->blocks; p++) {
        for (int q = p; st == CSIM_OK && q < w->blocks; q++) {
            if (q == p && w->blocks > 1) { continue; } /* they are open in the next tile, too */
            choose(w, p, q);
            if (w->count == 0) { continue; }
            st = csim__sweep_plan_tile(w);
            if (st == CSIM_OK) { add_cost(w, &w->cost, &w->plan); }
            close_pairs(w);
        }
    }
    memcpy(w->cells.open, open, (size_t)cells);
    csim__free(w->ctx, &open);
    return st;
}

/* What a tiling takes, in flops of all ranks, of whom some wait for others. */
static double weight(const csim__sweep *w)
{
    return CSIM__READING * (double)w->shard.n * w->cost.numbers + w->cost.flops + w->cost.idle;
}

static int next_blocks(const csim__sweep *w)
{
    return (int)csim__min64(w->blocks + 1 + w->blocks / 8, w->all_count);
}

/* The fewest blocks, of @p least or more, with which every tile fits whose rows are held; 0 where that
 * is bound to take @p most or more: with b blocks a site is read b/2 times or more, and everything is
 * computed once at least, which takes @p flops. */
static csim_status find_held(csim__sweep *w, int least, double flops, double most, int *blocks)
{
    enum { MANY = 48 }; /* blocks: where there is another way they take long to plan for little */
    csim_status st = CSIM_E_MEM;
    double numbers = 0;
    for (int s = 0; s < w->all_count; s++) { numbers += (double)w->all[s].d; }
    w->streamed = false;
    *blocks = 0;
    for (w->blocks = (int)csim__min64(csim__max64(least, 3), w->all_count);;
         w->blocks = next_blocks(w)) {
        double bound = CSIM__READING * (double)w->shard.n * numbers * w->blocks / 2 + flops;
        if (bound >= most || (w->blocks > MANY && isfinite(most))) { return CSIM_OK; }
        st = try_blocks(w);
        if (st == CSIM_OK) { *blocks = w->blocks; }
        if (st == CSIM_OK || w->blocks == w->all_count) { return st; }
        csim__forgive(w->ctx);
    }
}

/* The blocks, of @p from or more, with which least is to do where rows are not held: with more blocks
 * there is more room for the rounds of each tile. */
static csim_status find_streamed(csim__sweep *w, int from, int *blocks, double *least)
{
    enum { PATIENCE = 3 }; /* steps without gain */
    csim_status st = CSIM_OK;
    int worse = 0;
    w->streamed = true;
    *blocks = 0;
    for (w->blocks = from; worse < PATIENCE; w->blocks = next_blocks(w)) {
        st = try_blocks(w);
        if (st == CSIM_OK && (*blocks == 0 || weight(w) < *least)) {
            *least = weight(w);
            *blocks = w->blocks;
            worse = 0;
        } else if (st == CSIM_OK) {
            worse++;
        }
        if (w->blocks == w->all_count) { break; }
        if (st != CSIM_OK) { csim__forgive(w->ctx); }
    }
    if (st != CSIM_OK && *blocks > 0) { csim__forgive(w->ctx); }
    return *blocks > 0 ? CSIM_OK : st;
}

/* A tiling with @p least or more blocks of sites whose rows are held, or with rows that are read again
 * by chunks, whichever takes less reading and work. */
static csim_status choose_blocks(csim__sweep *w, int least)
{
    int held, streamed;
    double most = INFINITY, flops = 0;
    bool pair = w->options->memory == 0 || csim__sweep_pair_fits(w); /* else no blocks do */
    w->streamed = false;
    w->blocks = 1;
    csim_status st = least > 1 || !pair ? CSIM_E_MEM : try_blocks(w);
    if (st == CSIM_OK || w->options->memory == 0) { return st; }
    if (least == 1 && pair) {
        csim__forgive(w->ctx);
        flops = w->plan.flops; /* of all pairs together */
    }
    csim__forecast *forecast = w->forecast; /* of what is chosen, not of what is tried */
    w->forecast = NULL;
    /* relabelled rows come from everywhere: they have to be held */
    bool pass = !csim__statistics_paired(w->options);
    bool chunks = pass && find_streamed(w, pair ? 1 : w->all_count, &streamed, &most) == CSIM_OK;
    if (!chunks) { csim__forgive(w->ctx); }
    st = find_held(w, pair ? least : w->all_count, flops, most, &held);
    w->forecast = forecast;
    if (!chunks && st != CSIM_OK) { return st; }
    if (st != CSIM_OK) { csim__forgive(w->ctx); }
    w->streamed = chunks && (held == 0 || weight(w) >= most);
    w->blocks = w->streamed ? streamed : held;
    return try_blocks(w);
}

/* Are there distances to be stored that could be left out? */
static bool stores(const csim__sweep *w)
{
    bool whole = w->target != NULL && w->target->whole;
    return !whole && w->no_room < 2 &&
           csim__sweep_kernel_plan(w->options, w->shard.n, 0).stores > 0;
}

/* What a rank would need for distances that are left out. CSIM_E_MEM where this could not be found. */
static csim_status find_roomy(csim__sweep *w)
{
    csim__forecast *forecast = w->forecast;
    w->forecast = NULL;
    csim_status st = csim__sweep_name_least(w);
    w->forecast = forecast;
    if (st != CSIM_E_MEM || w->plan.tile_bytes == 0) { return st; }
    csim__forgive(w->ctx);
    w->roomy = csim__plan_bytes(&w->plan);
    return CSIM_OK;
}

/* Distances are stored as long as those of two sites fit. */
static csim_status find_blocks(csim__sweep *w, int least)
{
    csim_status st = w->divided ? try_blocks(w) : choose_blocks(w, least);
    w->divided = false;
    while (st == CSIM_E_MEM && w->options->memory > 0 && stores(w)) {
        csim__forgive(w->ctx);
        st = w->no_room == 0 ? find_roomy(w) : CSIM_OK;
        w->no_room++;
        if (st == CSIM_OK) { st = choose_blocks(w, least); }
    }
    if (w->options->memory > 0 && st == CSIM_E_MEM &&
        csim__plan_bytes(&w->plan) > w->options->memory) {
        csim__forgive(w->ctx);
        st = csim__sweep_name_least(w);
    }
    w->count = 0;
    csim__plan_clear(w->ctx, &w->plan);
    return st;
}

csim_status csim__sweep_tiling(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    if (w->block != NULL) { return find_blocks(w, 1); }
    CSIM_TRY(csim__alloc(w->ctx, w->all_count + 1, sizeof *w->block, "blocks", &w->block));
    CSIM_TRY(csim__alloc(w->ctx, w->all_count, sizeof *w->id, "sites", &w->id));
    CSIM_TRY(csim__alloc(w->ctx, w->all_count, 1, "marks of sites", &w->here));
    CSIM_TRY(csim__calloc(w->ctx, w->all_count, 1, "marks of sites", &w->heavy));
    st = find_blocks(w, 1);
done:
    return st;
}

/* ---- one tile ---- */

/* A site that lives by a few examples: ‖K‖² is little more than Σa_i² then, and what remains of it
 * without the diagonal has few digits unless it comes from tiles. The plan is made anew with them:
 * CSIM_E_MEM where they do not fit. */
static csim_status weigh_examples(csim__sweep *w)
{
    int news = 0;
    int64_t more = 0;
    double n = (double)w->shard.n, share = fmax(1.0 / 64, fmin(0.5, 4 / n)), flops = w->plan.flops;
    if (!(w->needs & CSIM_NEEDS_DIAGONAL)) { return CSIM_OK; }
    for (int s = 0; s < w->count; s++) {
        const csim__site *t = &w->site[s];
        unsigned char *heavy = &w->heavy[w->id[s]];
        if (*heavy || !(t->square_of_norms > share * t->variance * t->variance)) { continue; }
        *heavy = 1;
        news++;
    }
    csim_status st = news > 0 ? csim__sweep_plan_tile(w) : CSIM_OK;
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        more += p->tiled && p->route != CSIM__ROUTE_GRAM;
    }
    if (more > 0 && news > 0) {
        csim__log(w->ctx, CSIM_LOG_INFO,
                  "Gram tiles beside that for %lld pairs of layers in which few examples outweigh "
                  "all others; memory of a rank: %.1f MiB examples, %.1f MiB tiles",
                  (long long)more, (double)w->plan.shard_bytes / 1048576,
                  (double)w->plan.tile_bytes / 1048576);
    }
    if (st != CSIM_OK) { return st; }
    keep_most(&w->cost, w->plan.shard_bytes, w->plan.tile_bytes);
    w->meter.total += w->plan.flops - flops;
    return CSIM_OK;
}

/* The tile's sites, as they are before they are read. */
static csim_status take_sites(csim__sweep *w)
{
    csim_status st = csim__calloc(w->ctx, w->count, sizeof *w->site, "sites", &w->site);
    for (int s = 0; st == CSIM_OK && s < w->count; s++) {
        w->site[s] = w->all[w->id[s]];
        w->site[s].streamed = w->streamed;
    }
    return st == CSIM_OK ? csim__sweep_plan_tile(w) : st;
}

/* What is known now of the sites: a rank, where this tile needed none, from another. */
static void keep_sites(csim__sweep *w)
{
    for (int s = 0; s < w->count; s++) {
        csim__site *all = &w->all[w->id[s]];
        all->checksum = w->site[s].checksum;
        all->hashed = true;
        if (w->site[s].rank >= 0) { all->rank = w->site[s].rank; }
        memcpy(all->median, w->site[s].median, sizeof all->median);
    }
}

void csim__sweep_pairs_clear(csim__sweep *w)
{
    for (int k = 0; k < CSIM__LEARNED_COUNT; k++) {
        csim__projection_clear(w->ctx, &w->learned[k]);
    }
    csim__free(w->ctx, &w->row_sums);
    csim__free(w->ctx, &w->hollow);
    csim__free(w->ctx, &w->near_sums);
    csim__free(w->ctx, &w->matrices);
    csim__free(w->ctx, &w->ones);
    csim__free(w->ctx, &w->root_n);
    csim__free(w->ctx, &w->centred);
    csim__free(w->ctx, &w->basis);
    csim__free(w->ctx, &w->raw);
    csim__free(w->ctx, &w->unity);
}

void csim__sweep_tile_clear(csim__sweep *w)
{
    for (int s = 0; w->unit != NULL && s < w->count; s++) { csim__free(w->ctx, &w->unit[s]); }
    for (int s = 0; w->site != NULL && s < w->count; s++) {
        csim__site_release(w->ctx, &w->site[s]);
    }
    csim__free(w->ctx, &w->unit);
    csim__sweep_pairs_clear(w);
    csim__plan_clear(w->ctx, &w->plan);
    csim__free(w->ctx, &w->site);
}

/* Tiles do not fit in any way: what they are for is left out, and the sweep goes on. */
static void give_up_tiles(csim__sweep *w)
{
    csim__forgive(w->ctx);
    w->untiled = true;
    csim__log(
        w->ctx, CSIM_LOG_WARNING,
        "Gram tiles of layers in which few examples outweigh all others do not fit the memory "
        "limit: cka_debiased and cka_lange of their pairs are undefined (more ranks, a higher "
        "--memory)");
}

/* @param[out] smaller  the tile does not fit with what its examples turned out to need */
static csim_status run_tile(csim__sweep *w, bool *smaller)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(w->ctx, take_sites(w)));
    CSIM_TRY(csim__ingest(w->ctx, w->site, w->count, w->options->precision, &w->shard));
    st = csim__vote(w->ctx, weigh_examples(w));
    *smaller = st == CSIM_E_MEM && (w->blocks < w->all_count || !w->streamed);
    if (*smaller) {
        csim__forgive(w->ctx);
        st = CSIM_OK;
        goto done;
    }
    if (st == CSIM_E_MEM && !w->untiled) {
        give_up_tiles(w);
        st = csim__vote(w->ctx, csim__sweep_plan_tile(w));
    }
    CSIM_TRY(st);
    st = csim__calloc(w->ctx, w->plan.count, sizeof *w->hollow, "Gram products", &w->hollow);
    CSIM_TRY(csim__vote(w->ctx, st));
    if (w->cells.draws > 0) { /* they are saved before pairs are */
        keep_sites(w);
        CSIM_TRY(csim__saved_sites(w));
    }
    if (csim__statistics_leaves(w->options, false) > 0) { CSIM_TRY(csim__sweep_jackknife(w)); }
    CSIM_TRY(csim__sweep_ingredients(w));
    keep_sites(w);
    CSIM_TRY(csim__saved_sites(w));
    CSIM_TRY(csim__sweep_permute(w));
    CSIM_TRY(csim__sweep_rounds(w));
done:
    csim__sweep_tile_clear(w);
    return st;
}

/* All tiles of these blocks, or those before one that is too large. */
static csim_status run_tiles(csim__sweep *w, bool *smaller)
{
    csim_status st = CSIM_OK;
    *smaller = false;
    for (int p = 0; st == CSIM_OK && !*smaller && p < w->blocks; p++) {
        for (int q = p; st == CSIM_OK && !*smaller && q < w->blocks; q++) {
            if (q == p && w->blocks > 1) { continue; }
            choose(w, p, q);
            if (w->count > 0) { st = run_tile(w, smaller); }
        }
    }
    return st;
}

csim_status csim__sweep_tiles(csim__sweep *w)
{
    bool smaller;
    csim_status st = run_tiles(w, &smaller);
    while (st == CSIM_OK && smaller) { /* what is left, in more blocks */
        csim__cost before = w->cost;
        int blocks = w->blocks, no_room = w->no_room;
        st = csim__vote(w->ctx, find_blocks(w, blocks + 1));
        if (st == CSIM_E_MEM) {
            give_up_tiles(w);
            w->no_room = no_room;
            st = csim__vote(w->ctx, find_blocks(w, blocks));
        }
        if (st != CSIM_OK) { break; }
        csim__log(w->ctx, CSIM_LOG_INFO,
                  "Gram tiles take more memory: %lld tiles of pairs are left",
                  (long long)w->cost.tiles);
        w->meter.total = w->meter.done + w->cost.flops;
        keep_most(&w->cost, before.shard_bytes, before.tile_bytes);
        st = run_tiles(w, &smaller);
    }
    return st;
}
