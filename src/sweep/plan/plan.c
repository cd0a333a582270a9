#include "core/text.h"
#include "sweep/plan/deal.h"

#include <math.h>

enum { ROUND_BYTES = 256 << 20 };

/* The route of a pair, from its shape and the measures asked for. The Gram side costs n²·D a site,
 * the cross side 2·n·D_a·D_b a pair; the border is where a sweep of equal layers breaks even. */
static csim__route route_of(const csim__problem *p, int a, int b)
{
    int64_t da = p->width[a], db = p->width[b];
    if (p->needs & CSIM_NEEDS_BASIS) { return CSIM__ROUTE_BASIS; }
    if (p->needs & CSIM_NEEDS_BLOCK) { return CSIM__ROUTE_CROSS; }
    if (p->needs & CSIM_NEEDS_NUCLEAR) {
        /* fewer examples than neurons: the bases are smaller than the block */
        return p->n < csim__max64(da, db) ? CSIM__ROUTE_BASIS : CSIM__ROUTE_CROSS;
    }
    if (p->needs & CSIM_NEEDS_GRAM) {
        return p->n <= 3 * (da + db) ? CSIM__ROUTE_GRAM : CSIM__ROUTE_CROSS;
    }
    return CSIM__ROUTE_NONE;
}

/* Tiles also where a site is heavy, so long as n² is affordable; the log tells. */
static bool heavy_pair(const csim__problem *p, int a, int b)
{
    enum { FEW = 4096, WIDTHS = 32 };
    if (route_of(p, a, b) == CSIM__ROUTE_GRAM) { return false; }
    bool heavy = p->heavy != NULL && (p->heavy[a] || p->heavy[b]);
    return heavy && (p->needs & CSIM_NEEDS_DIAGONAL) &&
           (p->n <= FEW || p->n <= WIDTHS * (p->width[a] + p->width[b]));
}

static bool tiled(const csim__problem *p, int a, int b)
{
    return route_of(p, a, b) == CSIM__ROUTE_GRAM || (!p->untiled && heavy_pair(p, a, b));
}

/* Decompositions of one pair in flops of a GEMM that takes as long: they run at a fraction of its
 * speed, and are made once for all measures that share them. */
static double decompositions(const csim__problem *p, const csim__planned *q)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right];
    if (q->route == CSIM__ROUTE_BASIS) {
        da = csim__min64(da, p->n);
        db = csim__min64(db, p->n);
    }
    double small = (double)csim__min64(da, db), unit = small * small * (double)csim__max64(da, db);
    double times = 0;
    if (!q->cell) { return 0; }
    if (p->needs & CSIM_NEEDS_NUCLEAR) { times += 5; }
    if (p->needs & CSIM_NEEDS_CANONICAL) { times += 5; }
    if (p->needs & CSIM_NEEDS_LOADING) { times += 7; }
    if (p->needs & CSIM_NEEDS_UNIT) { times += 20; }
    return times * unit;
}

static void add(csim__plan *plan, const csim__problem *p, int a, int b, bool cell)
{
    csim__planned *q = &plan->pairs[plan->count];
    *q = (csim__planned){.couple = {a, b},
                         .route = route_of(p, a, b),
                         .cell = cell,
                         .owner = -1}; /* not dealt yet */
    q->finish = decompositions(p, q);
    q->large = csim__pair_large(p, q);
    q->dealt = q->large && !(p->needs & CSIM_NEEDS_BLOCK); /* matching takes whole ones */
    plan->count++;
    q->tiled = tiled(p, a, b);
    q->untiled = p->untiled && heavy_pair(p, a, b);
    plan->any_tiles |= q->tiled;
    if (q->tiled) { plan->tiled[a] = plan->tiled[b] = 1; }
    plan->any_cross |= q->route == CSIM__ROUTE_CROSS;
    plan->any_basis |= q->route == CSIM__ROUTE_BASIS;
    if (q->route == CSIM__ROUTE_BASIS) { plan->basis[a] = plan->basis[b] = 1; }
}

/* A site needs its self-term when it is in a pair of a CKA-type measure; from the bases it costs
 * no product, unless it is to come from tiles. */
static bool self_needed(const csim__problem *p, int s)
{
    if (!(p->needs & CSIM_NEEDS_GRAM)) { return false; }
    if (route_of(p, s, s) == CSIM__ROUTE_BASIS && !tiled(p, s, s)) { return false; }
    for (int t = 0; t < p->sites; t++) {
        if (p->wanted[s < t ? s * p->sites + t : t * p->sites + s]) { return true; }
    }
    return false;
}

csim__products csim__plan_products(const csim__problem *p, const csim__plan *plan,
                                   const csim__planned *q)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right];
    int64_t qa = csim__min64(p->n, da), qb = csim__min64(p->n, db);
    csim__products out = {0, 0, 0, 0};
    if (q->route == CSIM__ROUTE_CROSS) { out.cross = da * db; }
    if (q->route == CSIM__ROUTE_BASIS && q->cell) { out.basis = qa * qb; }
    if (q->cell && plan->raw_basis) { out.raw = qa * qb; }
    if (q->cell && plan->unit) { out.unit = da * db; }
    return out;
}

double csim__plan_kernel_flops(const csim__problem *p, double d)
{
    const csim__kernel_plan *k = &p->kernels;
    double n = (double)p->n, passes = csim__kernel_views(k->forms) + csim__kernel_views(k->left);
    if (k->median[0] || k->median[1]) { passes += 2; }
    double flops = n * d * (n * passes + (double)k->batch);
    for (int i = 0; i < k->stores; i++) {
        if (k->store[i].left_out) { continue; }
        flops += d * pow((double)k->store[i].examples, 2);
    }
    flops += k->shifted * n * n * d;
    return flops;
}

double csim__plan_spectra(const csim__problem *p, const csim__plan *plan)
{
    bool any = false;
    double pairs = 0;
    for (int i = 0; i < p->kernels.stores; i++) {
        any = any || (p->kernels.store[i].spectrum && !p->kernels.store[i].left_out);
    }
    for (int64_t i = 0; any && i < plan->count; i++) {
        const csim__planned *q = &plan->pairs[i];
        pairs += q->cell && q->couple.left != q->couple.right;
    }
    return pairs;
}

/* Products of blocks twice, and what is made of them without each one. */
static double jackknife_flops(const csim__problem *p, const csim__planned *q)
{
    double da = (double)p->width[q->couple.left], db = (double)p->width[q->couple.right];
    double blocks = (double)csim__min64(p->jackknife, p->n);
    if (p->jackknife == 0 || !q->cell) { return 0; }
    return 4 * (double)p->n * da * db + blocks * (6 * da * db + q->finish);
}

/* Work of all ranks. */
static void count_flops(const csim__problem *p, csim__plan *plan)
{
    double draws = (double)p->permutations;
    for (int i = 0; i < p->sites; i++) {
        double n = (double)p->n, d = (double)p->width[i],
               q = (double)csim__min64(p->width[i], p->n);
        if (plan->basis[i]) { plan->flops += 5 * n * d * q + 25 * d * d * q; }
        if (plan->streamed && plan->basis[i] && n > d) {
            plan->flops += (3 * (double)plan->turns[i] - 2) * n * d * q;
        }
        if (plan->tiled[i]) { plan->flops += n * n * d; }
        if (p->near.sums > 0) { plan->flops += n * n * d * p->near.searches; }
        plan->flops += csim__plan_kernel_flops(p, d);
        if (plan->tiled[i]) { plan->flops += draws * 2 * n * n * d; } /* with its twin */
        plan->flops += draws * 2 * n * d *
                       (n * csim__kernel_views(p->kernels.forms) + (double)p->kernels.batch);
    }
    plan->flops += csim__plan_spectra(p, plan) * 4.0 / 3 * pow((double)p->n, 3) *
                   (1 + (double)p->kernels.draws);
    for (int i = 0; i < p->encoder_count; i++) {
        const csim_encoder *e = p->encoders[i];
        double once = csim__projection_flops(e, p->n, p->sites, plan->count - plan->selves);
        plan->flops += once * (1 + 2 * draws); /* layers and their twins */
    }
    for (int64_t i = 0; i < plan->count; i++) {
        const csim__planned *q = &plan->pairs[i];
        double da = (double)p->width[q->couple.left], db = (double)p->width[q->couple.right];
        plan->flops += q->finish * (1 + draws) + jackknife_flops(p, q);
        if (q->route == CSIM__ROUTE_CROSS || (q->route == CSIM__ROUTE_BASIS && q->cell)) {
            plan->flops += q->cell ? draws * 2 * (double)p->n * da * db : 0;
            plan->flops += (q->couple.left == q->couple.right ? 1 : 2) * (double)p->n * da * db;
        }
    }
}

/* Pairs at a time: as many as keep the blocks of an owner below a bound, and all that it holds then
 * within the limit. Nothing is dealt yet, so the fullest rank may have the largest of everything. */
static void size_rounds(const csim__problem *p, const csim__room_survey *survey, csim__plan *plan)
{
    int64_t lanes = csim__teams_lanes(&p->teams, p->size);
    int64_t largest = csim__room_blocks(p, plan), most = (plan->count + lanes - 1) / lanes;
    int64_t bytes = ROUND_BYTES;
    if (p->memory > 0) {
        csim__room room;
        csim__room_of(p, plan, survey, csim__shard_fullest(p->n, p->size).rank, &room);
        int64_t taken = csim__max64(csim__room_stage(&room, CSIM__STAGE_PRODUCTS),
                                    csim__room_stage(&room, CSIM__STAGE_FINISH));
        bytes = csim__min64(bytes, csim__max64(p->memory - taken, 0));
    }
    largest += lanes * CSIM__PLAN_LISTED;
    plan->round = bytes / largest;
    plan->round = csim__max64(1, csim__min64(plan->round, most));
}

/* The rounds of pairs whose rows are read again for each. */
static csim_status make_passes(csim_context *ctx, const csim__problem *p, csim__plan *plan)
{
    csim__room_survey survey = csim__room_look(p, plan);
    int64_t room = INT64_MAX, finish = INT64_MAX;
    if (p->memory > 0) {
        csim__room taken;
        csim__room_of(p, plan, &survey, csim__shard_fullest(p->n, p->size).rank, &taken);
        room = p->memory - csim__room_stage(&taken, CSIM__STAGE_PRODUCTS);
        finish = p->memory - csim__room_stage(&taken, CSIM__STAGE_FINISH);
    }
    csim_status st = csim__passes_make(ctx, p, plan, room, finish);
    int64_t lanes = csim__teams_lanes(&p->teams, p->size);
    for (int64_t i = 0; st == CSIM_OK && i < plan->many_rounds; i++) {
        int64_t pairs = plan->rounds[i + 1].first - plan->rounds[i].first;
        plan->round = csim__max64(plan->round, (pairs + lanes - 1) / lanes);
    }
    return st;
}

/* How often the rows of every site are read as they are, also where they are held: centring takes digits
 * from them. Once for each search of neighbours, and for distances to those of the others; for each kind
 * of angles, those of relabelled sites and their twins likewise; for distances that are stored, of a
 * sample or of all, and for each matrix whose examples are shifted; for batches, but for a rest of the
 * examples. */
static double count_raw_reads(const csim__problem *p)
{
    const csim__kernel_plan *k = &p->kernels;
    double n = (double)p->n, reads = p->near.searches + k->shifted;
    if (p->near.across > 0) { reads += 1 + (double)p->near.draws; }
    reads += csim__kernel_angles(k->forms) * (1 + 2 * (double)p->permutations);
    reads += csim__kernel_angles(k->left);
    for (int i = 0; i < k->stores; i++) {
        reads += k->store[i].left_out ? 0 : (double)k->store[i].examples / n;
    }
    if (k->batch > 0) { reads += (double)(p->n / k->batch * k->batch) / n; }
    return reads;
}

/* How often sites are read beside the rounds: once, where rows are held, and as they are. Streamed ones
 * are read to check and to centre them, for Gram tiles, for the two squares of which a basis is made (for
 * the one time in which it is held where n ≤ d) and its leverages, for blocks of examples, for each draw
 * of encoders, for kernels and for the spread of rows. */
static void count_reads(const csim__problem *p, csim__plan *plan)
{
    int64_t inits = 0;
    bool kernels = csim__kernel_views(p->kernels.forms) > 0;
    for (int i = 0; i < p->encoder_count; i++) { inits += csim_encoder_inits(p->encoders[i]); }
    plan->raw_reads = count_raw_reads(p);
    for (int s = 0; s < p->sites; s++) {
        bool tall = p->n > p->width[s];
        int64_t reads = 1;
        if (plan->streamed) {
            reads += 1 + plan->tiled[s] + inits + kernels + p->kernels.spread;
            reads += (tall ? 2 : 1) * (plan->basis[s] + plan->raw_basis);
            reads += (p->jackknife > 0) + (p->leverages && plan->basis[s] && tall);
        }
        plan->reads[s] = (double)reads + plan->raw_reads;
    }
}

double csim__plan_share(const csim__problem *p, const csim__plan *plan, const csim__planned *q)
{
    csim__products s = csim__plan_products(p, plan, q);
    double numbers = (double)(s.cross + s.basis + s.raw + s.unit);
    return (2 * (double)p->n * numbers + q->finish) / p->size;
}

/* Rounds, who owns what in them, and the memory of the rank that has most. */
static csim_status count_memory(csim_context *ctx, const csim__problem *p, csim__plan *plan)
{
    csim__room_survey survey = csim__room_look(p, plan);
    int64_t most = -1;
    if (!plan->streamed) {
        size_rounds(p, &survey, plan);
        csim__plan_parts(p, plan);
    }
    csim_status st = csim__deal(ctx, p, plan);
    if (st != CSIM_OK) { return st; }
    survey = csim__room_look(p, plan);
    for (int r = 0; r < p->size; r++) {
        csim__room room;
        if (csim__room_repeats(p, plan, r)) { continue; }
        csim__room_of(p, plan, &survey, r, &room);
        int64_t bytes = csim__room_peak(&room, NULL);
        if (bytes > most) {
            most = bytes;
            plan->room = room;
            plan->room_rank = r;
        }
    }
    plan->shard_bytes =
        plan->room.array[CSIM__ROOM_EXAMPLES].bytes + plan->room.array[CSIM__ROOM_ROW_NORMS].bytes;
    plan->tile_bytes = most - plan->shard_bytes;
    return CSIM_OK;
}

csim_status csim__plan_make(csim_context *ctx, const csim__problem *p, csim__plan *plan)
{
    csim_status st = CSIM_OK;
    *plan = (csim__plan){.streamed = p->streamed, .near = p->near, .kernels = p->kernels};
    int64_t cells = (int64_t)p->sites * p->sites;
    plan->unit = (p->needs & CSIM_NEEDS_UNIT) != 0;
    plan->raw_basis = (p->needs & CSIM_NEEDS_RAW_BASIS) != 0;
    plan->raw_rows = (p->needs & CSIM_NEEDS_ROWS) != 0;
    CSIM_TRY(csim__calloc(ctx, p->sites, 1, "marks of bases", &plan->basis));
    CSIM_TRY(csim__calloc(ctx, p->sites, 1, "marks of tiles", &plan->tiled));
    CSIM_TRY(csim__calloc(ctx, p->sites, sizeof *plan->reads, "readings", &plan->reads));
    CSIM_TRY(csim__calloc(ctx, p->sites, sizeof *plan->turns, "readings", &plan->turns));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *plan->pairs, "pairs", &plan->pairs));
    for (int s = 0; s < p->sites; s++) {
        bool cell = p->wanted[s * p->sites + s];
        if (cell || self_needed(p, s)) { add(plan, p, s, s, cell); }
    }
    plan->selves = plan->count;
    for (int a = 0; a < p->sites; a++) {
        for (int b = a + 1; b < p->sites; b++) {
            if (p->wanted[a * p->sites + b]) { add(plan, p, a, b, true); }
        }
    }
    plan->any_cross |= p->permutations > 0; /* rows stay */
    plan->loading = plan->any_basis && (p->needs & (CSIM_NEEDS_LOADING | CSIM_NEEDS_BLOCK)) != 0;
    plan->row_sums = plan->any_tiles || (p->needs & (CSIM_NEEDS_DIAGONAL | CSIM_NEEDS_ROWS)) != 0;
    count_reads(p, plan);
    if (plan->streamed) { CSIM_TRY(make_passes(ctx, p, plan)); }
    count_flops(p, plan);
    CSIM_TRY(count_memory(ctx, p, plan));
    if (p->memory > 0 && csim__plan_bytes(plan) > p->memory) {
        double need = (double)csim__plan_bytes(plan) / 1048576;
        double limit = (double)p->memory / 1048576;
        int digits = csim__digits_apart(need, limit, 1);
        need = csim__round_up(need, digits); /* as a limit it is enough */
        st = csim__fail(
            ctx, CSIM_E_MEM,
            "the sweep needs %.*f MiB a rank for %d layers at a time%s (%.1f MiB examples, "
            "%.1f MiB tiles) on %d ranks, the limit is %.*f MiB: use more ranks or "
            "raise --memory",
            digits, need, p->sites, p->streamed ? ", read by chunks" : "",
            (double)plan->shard_bytes / 1048576, (double)plan->tile_bytes / 1048576, p->size,
            digits, limit);
    }
done:
    return st;
}

const csim__planned_round *csim__plan_find_round(const csim__plan *plan, int64_t first)
{
    int64_t low = 0, high = plan->many_rounds; /* [low].first ≤ first < [high].first */
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        *(plan->rounds[middle].first <= first ? &low : &high) = middle;
    }
    return &plan->rounds[low];
}

int64_t csim__plan_round(const csim__plan *plan, int64_t first)
{
    const csim__part *part = &plan->part[first >= plan->part[0].last];
    if (plan->streamed) { return csim__plan_find_round(plan, first)[1].first; }
    return csim__min64(first + part->step, part->last);
}

void csim__plan_clear(csim_context *ctx, csim__plan *plan)
{
    csim__free(ctx, &plan->pairs);
    csim__free(ctx, &plan->pass);
    csim__free(ctx, &plan->rounds);
    csim__free(ctx, &plan->reads);
    csim__free(ctx, &plan->turns);
    csim__free(ctx, &plan->basis);
    csim__free(ctx, &plan->tiled);
    csim__free(ctx, &plan->blocks);
    csim__free(ctx, &plan->products);
    csim__free(ctx, &plan->finish);
    csim__free(ctx, &plan->busy);
}
