#include <string.h>

#include "ingredients/gram.h"
#include "sweep/plan.h"

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
static bool tiled(const csim__problem *p, int a, int b)
{
    enum { FEW = 4096, WIDTHS = 32 };
    if (route_of(p, a, b) == CSIM__ROUTE_GRAM) { return true; }
    bool heavy = p->heavy != NULL && (p->heavy[a] || p->heavy[b]);
    return heavy && (p->needs & CSIM_NEEDS_DIAGONAL) &&
           (p->n <= FEW || p->n <= WIDTHS * (p->width[a] + p->width[b]));
}

static void add(csim__plan *plan, const csim__problem *p, int a, int b, bool cell)
{
    csim__planned *q = &plan->pairs[plan->count];
    q->couple = (csim__couple){a, b};
    q->route = route_of(p, a, b);
    q->cell = cell;
    q->owner = (int)(plan->count % p->size);
    plan->count++;
    q->tiled = tiled(p, a, b);
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

static int64_t block_bytes(const csim__problem *p, const csim__plan *plan, const csim__planned *q)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right];
    int64_t qa = csim__min64(p->n, da), qb = csim__min64(p->n, db), words = 0;
    if (q->route == CSIM__ROUTE_CROSS) { words += da * db; }
    if (q->route == CSIM__ROUTE_BASIS && q->cell) { words += qa * qb; }
    if (q->cell && plan->unit) { words += da * db; }
    if (q->cell && plan->raw_basis) { words += qa * qb; }
    return 8 * words;
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
    if (p->needs & CSIM_NEEDS_BASIS) { times += 5; }
    if (p->needs & CSIM_NEEDS_LOADING) { times += 7; }
    if (p->needs & CSIM_NEEDS_UNIT) { times += 20; }
    return times * unit;
}

/* Learned measures: bytes that the encoders and all values take as long as the sweep lasts; in *most,
 * those that are taken while sites are encoded, for one encoder after the other. */
static int64_t encoding(const csim__problem *p, csim__plan *plan, const csim_shard *shard,
                        int64_t widest, int64_t *most)
{
    int64_t kept = 0;
    for (int i = 0; i < p->encoder_count; i++) {
        const csim_encoder *e = p->encoders[i];
        bool aligned = strcmp(csim_encoder_measure(e), "deepcka") != 0;
        int64_t bytes = csim__projection_bytes(e, aligned, shard, p->sites, widest);
        *most = csim__max64(*most, bytes);
        kept += csim__projection_kept(e, p->sites);
        kept += 4 * csim_encoder_parameters(e) * csim_encoder_inits(e);
        plan->flops +=
            csim__projection_flops(e, aligned, p->n, p->sites, plan->count - plan->selves);
    }
    return kept;
}

/* Memory of the rank that has most, and the work of all. */
static void count_costs(const csim__problem *p, csim__plan *plan)
{
    int64_t widths = 0, widest = 0, bases = 0, largest = 0, loadings = 0, squares = 0;
    int64_t tiled_sites = 0, tiled_widths = 0;
    csim_shard s = csim__shard(p->n, 0, p->size);
    for (int r = 1; r < p->size; r++) { /* chunks are dealt so that some rank has most rows */
        csim_shard t = csim__shard(p->n, r, p->size);
        if (t.rows > s.rows) { s = t; }
    }
    for (int i = 0; i < p->sites; i++) {
        int64_t d = p->width[i], q = csim__min64(d, p->n);
        widths += d;
        widest = csim__max64(widest, d);
        if (plan->basis[i] || plan->raw_basis) {
            /* factors in and out, and 5·q² of workspace, while a small factor is decomposed */
            squares = csim__max64(squares, p->n > d ? 11 * d * d : 2 * p->n * d + 8 * p->n * p->n);
        }
        if (plan->basis[i]) {
            bases += d;
            loadings += q * d;
            plan->flops += 5.0 * (double)p->n * (double)d * (double)q + 25.0 * (double)d * d * q;
        }
        if (plan->tiled[i]) {
            tiled_sites++;
            tiled_widths += d;
            plan->flops += (double)p->n * (double)p->n * (double)d;
        }
    }
    plan->shard_bytes = s.rows * (widths * (p->single ? 4 : 8) + 8 * p->sites);
    int64_t tiles = p->single ? 8 * s.rows * widest : 0; /* one site in double while it is read */
    if (plan->unit) { tiles += 8 * s.rows * widths; }
    if (plan->raw_basis) { tiles += 8 * s.rows * widths; }
    if (plan->any_basis && plan->any_cross) { tiles += 8 * s.rows * bases; }
    if (plan->loading) { tiles += 8 * loadings; }
    int64_t element = p->single ? 4 : 8, gram = 0;
    if (plan->any_tiles) { /* tiles, visiting chunks, a number for each row, sums */
        int64_t visitors = p->size > 1 ? 2 * s.chunk : 0;
        gram = element * (tiled_sites * csim__gram_tile(s.chunk) + visitors * tiled_widths) +
               8 * tiled_sites * (s.rows + visitors) + 28 * tiled_sites * tiled_sites;
    }
    int64_t encoded = 0;
    tiles += encoding(p, plan, &s, widest, &encoded);
    for (int64_t i = 0; i < plan->count; i++) {
        csim__planned *q = &plan->pairs[i];
        double da = (double)p->width[q->couple.left], db = (double)p->width[q->couple.right];
        largest = csim__max64(largest, block_bytes(p, plan, q));
        plan->flops += q->finish = decompositions(p, q);
        if (q->route == CSIM__ROUTE_CROSS || (q->route == CSIM__ROUTE_BASIS && q->cell)) {
            plan->flops += (q->couple.left == q->couple.right ? 1 : 2) * (double)p->n * da * db;
        }
    }
    int64_t room = p->memory > 0 ? (p->memory - plan->shard_bytes - tiles) / 4 : ROUND_BYTES;
    int64_t most = (plan->count + p->size - 1) / p->size;
    plan->round = largest > 0 ? csim__min64(ROUND_BYTES, csim__max64(room, 0)) / largest : most;
    plan->round = csim__max64(1, csim__min64(plan->round, most));
    /* blocks held, a partial and two sums under way, and the workspace of a decomposition */
    int64_t rounds = largest * (plan->round + 3) + (plan->any_basis ? 6 : 2) * largest;
    if (!(p->needs & (CSIM_NEEDS_BASIS | CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_BLOCK))) {
        rounds = largest * (plan->round + 3);
    }
    tiles += csim__max64(csim__max64(rounds, gram), csim__max64(8 * squares, encoded));
    plan->tile_bytes = tiles;
}

csim_status csim__plan_make(csim_context *ctx, const csim__problem *p, csim__plan *plan)
{
    csim_status st = CSIM_OK;
    *plan = (csim__plan){.count = 0};
    int64_t cells = (int64_t)p->sites * p->sites;
    plan->unit = (p->needs & CSIM_NEEDS_UNIT) != 0;
    plan->raw_basis = (p->needs & CSIM_NEEDS_RAW_BASIS) != 0;
    plan->raw_rows = (p->needs & CSIM_NEEDS_ROWS) != 0;
    CSIM_TRY(csim__calloc(ctx, p->sites, 1, "marks of bases", &plan->basis));
    CSIM_TRY(csim__calloc(ctx, p->sites, 1, "marks of tiles", &plan->tiled));
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
    plan->loading = plan->any_basis && (p->needs & (CSIM_NEEDS_LOADING | CSIM_NEEDS_BLOCK)) != 0;
    plan->row_sums = plan->any_tiles || (p->needs & (CSIM_NEEDS_DIAGONAL | CSIM_NEEDS_ROWS)) != 0;
    count_costs(p, plan);
    if (p->memory > 0 && plan->shard_bytes + plan->tile_bytes > p->memory) {
        st = csim__fail(
            ctx, CSIM_E_MEM,
            "the sweep needs %.1f MiB a rank for %d layers at a time (%.1f MiB examples, "
            "%.1f MiB tiles) on %d ranks, the limit is %.1f MiB: use more ranks or "
            "raise --memory",
            (double)(plan->shard_bytes + plan->tile_bytes) / 1048576, p->sites,
            (double)plan->shard_bytes / 1048576, (double)plan->tile_bytes / 1048576, p->size,
            (double)p->memory / 1048576);
    }
done:
    return st;
}

void csim__plan_clear(csim_context *ctx, csim__plan *plan)
{
    csim__free(ctx, &plan->pairs);
    csim__free(ctx, &plan->basis);
    csim__free(ctx, &plan->tiled);
}
