/* The sweep: read, centre, make each ingredient once, then finish the pairs. */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "contrasim/native.h"
#include "ingredients/basis.h"
#include "ingredients/cross.h"
#include "ingredients/gram.h"
#include "linalg/dense.h"
#include "sweep/cells.h"
#include "sweep/plan.h"

typedef struct sweep {
    csim_context *ctx;
    const csim_sweep_options *options;
    csim_set *const *sets;
    int set_count;
    int count;        /* sites */
    csim__site *site; /* [count] */
    csim__cells cells;
    csim__plan plan;
    csim_shard shard;
    unsigned needs;
    double **unit;                                /* [count] unit rows, NULL unless needed */
    csim__operand *centred, *basis, *raw, *unity; /* [count] what the cross pass takes */
    double *ones;                                 /* bounds of the columns of orthonormal rows */
    double *root_n;                               /* bounds of the columns of unit rows */
    csim__row_sums *row_sums;                     /* [plan.count] */
    csim__meter meter;
} sweep;

static csim_status check_options(csim_context *ctx, const csim_sweep_options *o, unsigned *needs)
{
    *needs = 0;
    if (o->measure_count < 1) {
        return csim__fail(ctx, CSIM_E_ARG, "a sweep needs at least one measure");
    }
    for (int m = 0; m < o->measure_count; m++) {
        const csim_measure *measure = o->measures[m].measure;
        *needs |= measure->needs;
        if (o->precision == CSIM_SINGLE_PRECISION && !(measure->props & CSIM_SINGLE)) {
            return csim__fail(ctx, CSIM_E_ARG,
                              "--precision single: %s needs double precision (CKA and HSIC "
                              "measures do not)",
                              measure->name);
        }
        for (int k = 0; k < m; k++) {
            if (o->measures[k].measure == measure) {
                return csim__fail(ctx, CSIM_E_ARG, "measure %s is asked for twice", measure->name);
            }
        }
    }
    return CSIM_OK;
}

static csim_status list_sites(sweep *w)
{
    int at = 0;
    for (int s = 0; s < w->set_count; s++) { w->count += csim_set_site_count(w->sets[s]); }
    csim_status st = csim__calloc(w->ctx, w->count, sizeof *w->site, "sites", &w->site);
    for (int s = 0; st == CSIM_OK && s < w->set_count; s++) {
        for (int i = 0; i < csim_set_site_count(w->sets[s]); i++, at++) {
            const csim_site_info *info = csim_set_site(w->sets[s], i);
            w->site[at] = (csim__site){.set = w->sets[s],
                                       .index = i,
                                       .model = csim_set_name(w->sets[s]),
                                       .layer = info->name,
                                       .d = info->d};
        }
    }
    return st;
}

static csim_status make_plan(sweep *w, int64_t n)
{
    int64_t *width = NULL;
    csim_status st = csim__alloc(w->ctx, w->count, sizeof *width, "widths", &width);
    for (int s = 0; st == CSIM_OK && s < w->count; s++) { width[s] = w->site[s].d; }
    if (st == CSIM_OK) {
        csim__problem p = {.n = n,
                           .sites = w->count,
                           .width = width,
                           .rows = w->cells.rows,
                           .cols = w->cells.cols,
                           .row = w->cells.row,
                           .col = w->cells.col,
                           .requested = w->cells.requested,
                           .needs = w->needs,
                           .single = w->options->precision == CSIM_SINGLE_PRECISION,
                           .size = csim_context_size(w->ctx),
                           .memory = w->options->memory};
        csim__plan_clear(w->ctx, &w->plan);
        st = csim__plan_make(w->ctx, &p, &w->plan);
    }
    csim__free(w->ctx, &width);
    return st;
}

static void announce(sweep *w)
{
    int64_t routes[4] = {0};
    for (int64_t i = 0; i < w->plan.count; i++) { routes[w->plan.pairs[i].route]++; }
    csim__log(w->ctx, CSIM_LOG_INFO,
              "sets: %d, layers: %d, examples: %lld in %lld chunks of %lld, ranks: %d",
              w->set_count, w->count, (long long)w->shard.n, (long long)w->shard.chunks,
              (long long)w->shard.chunk, w->shard.size);
    csim__log(w->ctx, CSIM_LOG_INFO,
              "pairs: %lld (%lld by Gram tiles, %lld by cross products, %lld by bases), %.3g flops",
              (long long)w->plan.count, (long long)routes[CSIM__ROUTE_GRAM],
              (long long)routes[CSIM__ROUTE_CROSS], (long long)routes[CSIM__ROUTE_BASIS],
              w->plan.flops);
    csim__log(w->ctx, CSIM_LOG_INFO, "memory of a rank: %.1f MiB examples, %.1f MiB tiles",
              (double)w->plan.shard_bytes / 1048576, (double)w->plan.tile_bytes / 1048576);
    if (w->shard.chunks < w->shard.size) {
        csim__log(w->ctx, CSIM_LOG_WARNING, "%lld of %d ranks have no examples: %lld chunks",
                  (long long)(w->shard.size - w->shard.chunks), w->shard.size,
                  (long long)w->shard.chunks);
    }
}

/* Sums over rows of every pair, and the rows scaled to length 1, while the rows are there. */
static csim_status row_ingredients(sweep *w)
{
    csim__couple *couples = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(w->ctx, w->plan.count, sizeof *w->row_sums, "row sums", &w->row_sums));
    CSIM_TRY(csim__calloc(w->ctx, w->count, sizeof *w->unit, "unit rows", &w->unit));
    CSIM_TRY(csim__alloc(w->ctx, w->plan.count, sizeof *couples, "pairs", &couples));
    for (int64_t i = 0; i < w->plan.count; i++) { couples[i] = w->plan.pairs[i].couple; }
    for (int s = 0; w->plan.unit && s < w->count; s++) {
        CSIM_TRY(csim__unit_rows(w->ctx, &w->shard, &w->site[s], &w->unit[s]));
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && w->plan.row_sums) {
        st = csim__sum_rows(w->ctx, &w->shard, w->site, couples, w->plan.count, w->plan.raw_rows,
                            w->row_sums);
    }
    csim__free(w->ctx, &couples);
    return st;
}

/* ⟨K_a,K_b⟩ of all pairs on the Gram route; self-terms go to their sites. */
static csim_status gram_ingredients(sweep *w, double *gram)
{
    int *place = NULL, many = 0;
    csim__site **list = NULL;
    unsigned char *wanted = NULL;
    double *out = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *place, "places", &place));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof(csim__site *), "sites", &list));
    for (int s = 0; s < w->count; s++) { place[s] = -1; }
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->route == CSIM__ROUTE_GRAM) { place[p->couple.left] = place[p->couple.right] = 0; }
    }
    for (int s = 0; s < w->count; s++) {
        if (place[s] == 0) {
            place[s] = many;
            list[many++] = &w->site[s];
        }
    }
    CSIM_TRY(csim__calloc(w->ctx, (int64_t)many * many, 1, "wanted products", &wanted));
    CSIM_TRY(csim__calloc(w->ctx, (int64_t)many * many, sizeof *out, "products", &out));
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->route == CSIM__ROUTE_GRAM) {
            wanted[place[p->couple.left] * many + place[p->couple.right]] = 1;
        }
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) {
        st = csim__gram_pass(w->ctx, &w->shard, list, many, wanted, out, &w->meter);
    }
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->route != CSIM__ROUTE_GRAM) { continue; }
        gram[i] = out[place[p->couple.left] * many + place[p->couple.right]];
        if (i < w->plan.selves) { w->site[p->couple.left].self_gram = gram[i]; }
    }
    csim__free(w->ctx, &out);
    csim__free(w->ctx, &wanted);
    csim__free(w->ctx, &list);
    csim__free(w->ctx, &place);
    return st;
}

/* Bases, and what of the rows is not needed any more is freed. */
static csim_status basis_ingredients(sweep *w)
{
    csim__site **list = NULL;
    int many = 0;
    csim_status st = csim__alloc(w->ctx, w->count, sizeof(csim__site *), "sites", &list);
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && w->plan.raw_basis) {
        csim__basis_options raw = {.raw = true};
        for (int s = 0; s < w->count; s++) {
            if (w->site[s].raw_square > 0) { list[many++] = &w->site[s]; }
        }
        st = csim__basis_build(w->ctx, &w->shard, list, many, &raw, &w->meter);
    }
    if (st == CSIM_OK && w->plan.any_basis) {
        csim__basis_options options = {
            .consume = !w->plan.any_cross, .loading = w->plan.loading, .floor = CSIM__RANK_FLOOR};
        many = 0;
        for (int s = 0; s < w->count; s++) {
            if (w->plan.basis[s] && w->site[s].variance > 0) { list[many++] = &w->site[s]; }
        }
        st = csim__basis_build(w->ctx, &w->shard, list, many, &options, &w->meter);
        for (int s = 0; st == CSIM_OK && s < w->count; s++) {
            const csim__basis *b = &w->site[s].basis;
            if (!w->plan.basis[s]) { continue; }
            w->site[s].self_gram = 0;
            for (int i = 0; i < b->q; i++) {
                double square = b->sigma[i] * b->sigma[i];
                w->site[s].self_gram += square * square;
            }
        }
    }
    for (int s = 0; !w->plan.any_cross && s < w->count; s++) {
        csim__free(w->ctx, &w->site[s].x);
        csim__free(w->ctx, &w->site[s].xf);
    }
    csim__free(w->ctx, &list);
    return st;
}

static csim_status make_operands(sweep *w)
{
    int64_t widest = 1;
    csim_status st = CSIM_OK;
    for (int s = 0; s < w->count; s++) { widest = csim__max64(widest, w->site[s].d); }
    CSIM_TRY(csim__alloc(w->ctx, widest, sizeof(double), "bounds", &w->ones));
    CSIM_TRY(csim__alloc(w->ctx, widest, sizeof(double), "bounds", &w->root_n));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *w->centred, "operands", &w->centred));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *w->basis, "operands", &w->basis));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *w->raw, "operands", &w->raw));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *w->unity, "operands", &w->unity));
    for (int64_t i = 0; i < widest; i++) {
        w->ones[i] = 1;
        w->root_n[i] = sqrt((double)w->shard.n); /* each row has length 1 */
    }
    for (int s = 0; s < w->count; s++) {
        const csim__site *t = &w->site[s];
        w->centred[s] = (csim__operand){
            .width = t->d, .x = t->x, .xf = t->xf, .shift = t->shift, .norm = t->norm};
        w->basis[s] = (csim__operand){.width = t->basis.q, .x = t->basis.u, .norm = w->ones};
        w->raw[s] = (csim__operand){.width = t->raw_basis.q, .x = t->raw_basis.u, .norm = w->ones};
        w->unity[s] = (csim__operand){.width = t->d, .x = w->unit[s], .norm = w->root_n};
    }
done:
    return csim__vote(w->ctx, st);
}

/* One product of a round, allocated on its owner; empty operands make none. */
static csim_status add_product(sweep *w, const csim__planned *p, const csim__operand *operands,
                               double **block, csim__product *products, int64_t *many)
{
    const csim__operand *l = &operands[p->couple.left], *r = &operands[p->couple.right];
    if (l->width == 0 || r->width == 0) { return CSIM_OK; }
    csim_status st = CSIM_OK;
    if (p->owner == w->shard.rank) {
        st = csim__alloc(w->ctx, l->width * r->width, sizeof **block, "a block", block);
    }
    products[(*many)++] = (csim__product){l, r, p->owner, *block};
    return st;
}

/* UᵀU of a site with itself is the identity: no product, and no decomposition after it. */
static csim_status add_identity(sweep *w, const csim__planned *p, const csim__operand *operand,
                                double **block)
{
    int64_t q = operand->width;
    if (q == 0 || p->owner != w->shard.rank) { return CSIM_OK; }
    csim_status st = csim__calloc(w->ctx, q * q, sizeof **block, "a block", block);
    for (int64_t i = 0; st == CSIM_OK && i < q; i++) { (*block)[i * q + i] = 1; }
    return st;
}

/* What the bases of a pair have in common. */
static csim_status add_overlap(sweep *w, const csim__planned *p, const csim__operand *operands,
                               double **block, csim__product *products, int64_t *many)
{
    return p->couple.left == p->couple.right ? add_identity(w, p, &operands[p->couple.left], block)
                                             : add_product(w, p, operands, block, products, many);
}

static void finish_pair(sweep *w, const csim__planned *p, csim_pair *pair)
{
    csim__site *left = &w->site[p->couple.left];
    if (p->couple.left == p->couple.right && p->route == CSIM__ROUTE_CROSS &&
        (w->needs & CSIM_NEEDS_GRAM)) {
        left->self_gram = csim__pair_gram(pair);
    }
    if (p->cell) {
        csim__cells_finish(&w->cells, pair, p->couple.left, p->couple.right, w->options);
        csim__meter_add(&w->meter, "decompositions", p->finish);
    }
    csim__pair_clear(pair);
    csim__free(w->ctx, &pair->block);
    csim__free(w->ctx, &pair->m);
    csim__free(w->ctx, &pair->raw_m);
    csim__free(w->ctx, &pair->unit);
}

/* Pairs [first, last): their blocks in one pass over the examples, then each owner's pairs. */
static csim_status one_round(sweep *w, int64_t first, int64_t last, const double *gram)
{
    int64_t many = 0, count = last - first;
    csim__product *products = NULL;
    csim_pair *pairs = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, 4 * count, sizeof *products, "products", &products));
    CSIM_TRY(csim__calloc(w->ctx, count, sizeof *pairs, "pairs", &pairs));
    for (int64_t i = 0; i < count; i++) {
        const csim__planned *p = &w->plan.pairs[first + i];
        csim_pair *pair = &pairs[i];
        *pair = (csim_pair){.ctx = w->ctx,
                            .site = {&w->site[p->couple.left], &w->site[p->couple.right]},
                            .vectors = (w->needs & CSIM_NEEDS_LOADING) != 0,
                            .single = w->options->precision == CSIM_SINGLE_PRECISION,
                            .route = p->route,
                            .gram = gram[first + i],
                            .rows = w->row_sums[first + i]};
        if (p->route == CSIM__ROUTE_CROSS) {
            CSIM_TRY(add_product(w, p, w->centred, &pair->block, products, &many));
        }
        if (p->route == CSIM__ROUTE_BASIS) {
            CSIM_TRY(add_overlap(w, p, w->basis, &pair->m, products, &many));
        }
        if (p->cell && w->plan.raw_basis) {
            CSIM_TRY(add_overlap(w, p, w->raw, &pair->raw_m, products, &many));
        }
        if (p->cell && w->plan.unit) {
            CSIM_TRY(add_product(w, p, w->unity, &pair->unit, products, &many));
        }
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && many > 0) {
        st = csim__cross_pass(w->ctx, &w->shard, products, many, &w->meter);
    }
    csim__phase_begin(w->ctx, "finish");
    for (int64_t i = 0; pairs != NULL && i < count; i++) {
        const csim__planned *p = &w->plan.pairs[first + i];
        if (st == CSIM_OK && p->owner == w->shard.rank) {
            finish_pair(w, p, &pairs[i]);
        } else if (pairs[i].ctx != NULL) {
            csim__free(w->ctx, &pairs[i].block);
            csim__free(w->ctx, &pairs[i].m);
            csim__free(w->ctx, &pairs[i].raw_m);
            csim__free(w->ctx, &pairs[i].unit);
        }
    }
    csim__phase_end(w->ctx, 0, 0);
    csim__free(w->ctx, &pairs);
    csim__free(w->ctx, &products);
    return st;
}

/* Self-terms made by owners of self-pairs reach every rank. */
static csim_status share_self_terms(sweep *w)
{
    double *terms = NULL;
    csim_status st = csim__calloc(w->ctx, w->count, sizeof *terms, "self-terms", &terms);
    CSIM_TRY(csim__vote(w->ctx, st));
    for (int64_t i = 0; i < w->plan.selves; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->owner == w->shard.rank) {
            terms[p->couple.left] = w->site[p->couple.left].self_gram;
        }
    }
    /* one rank has each term, the others 0: a maximum of non-negative numbers copies it */
    st = csim__mpi(w->ctx,
                   MPI_Allreduce(MPI_IN_PLACE, terms, w->count, MPI_DOUBLE, MPI_MAX,
                                 csim_context_comm(w->ctx)),
                   "self-terms");
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.selves; i++) {
        int s = w->plan.pairs[i].couple.left;
        w->site[s].self_gram = terms[s];
    }
done:
    csim__free(w->ctx, &terms);
    return st;
}

static csim_status finish_pairs(sweep *w, const double *gram)
{
    csim_status st = make_operands(w);
    int64_t step = w->plan.round * w->shard.size;
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.selves; i += step) {
        st = one_round(w, i, csim__min64(i + step, w->plan.selves), gram);
    }
    if (st == CSIM_OK && w->plan.selves > 0) { st = share_self_terms(w); }
    for (int64_t i = w->plan.selves; st == CSIM_OK && i < w->plan.count; i += step) {
        st = one_round(w, i, csim__min64(i + step, w->plan.count), gram);
    }
    return st;
}

static csim_status compute(sweep *w, double *gram)
{
    csim_status st = row_ingredients(w);
    if (st == CSIM_OK && w->plan.any_gram) { st = gram_ingredients(w, gram); }
    if (st == CSIM_OK) { st = basis_ingredients(w); }
    if (st == CSIM_OK) { st = finish_pairs(w, gram); }
    if (st == CSIM_OK) { st = csim__cells_join(w->ctx, &w->cells); }
    return st;
}

static void release(sweep *w)
{
    for (int s = 0; w->unit != NULL && s < w->count; s++) { csim__free(w->ctx, &w->unit[s]); }
    for (int s = 0; w->site != NULL && s < w->count; s++) {
        csim__site_release(w->ctx, &w->site[s]);
    }
    csim__free(w->ctx, &w->unit);
    csim__free(w->ctx, &w->row_sums);
    csim__free(w->ctx, &w->ones);
    csim__free(w->ctx, &w->root_n);
    csim__free(w->ctx, &w->centred);
    csim__free(w->ctx, &w->basis);
    csim__free(w->ctx, &w->raw);
    csim__free(w->ctx, &w->unity);
    csim__plan_clear(w->ctx, &w->plan);
    csim__cells_clear(w->ctx, &w->cells);
    csim__free(w->ctx, &w->site);
}

/* A hash of what must be the same on every rank. */
static uint64_t fingerprint(const csim_sweep_options *o)
{
    uint64_t h = XXH3_64bits_withSeed(&o->precision, sizeof o->precision, (XXH64_hash_t)o->memory);
    h = XXH3_64bits_withSeed(&o->nan_drop_rows, sizeof o->nan_drop_rows, h);
    if (o->pairs != NULL) { h = XXH3_64bits_withSeed(o->pairs, strlen(o->pairs), h); }
    for (int m = 0; m < o->measure_count; m++) {
        const char *name = o->measures[m].measure->name;
        h = XXH3_64bits_withSeed(name, strlen(name), h);
    }
    return h;
}

/* What the rank with most really took, beside what was planned. */
static csim_status report_memory(sweep *w)
{
    int64_t mine = csim_context_memory_peak(w->ctx), most = 0;
    csim_status st = csim__mpi(
        w->ctx, MPI_Allreduce(&mine, &most, 1, MPI_INT64_T, MPI_MAX, csim_context_comm(w->ctx)),
        "peak of memory");
    csim__log(w->ctx, CSIM_LOG_INFO, "peak memory of a rank: %.1f MiB, planned %.1f MiB",
              (double)most / 1048576, (double)(w->plan.shard_bytes + w->plan.tile_bytes) / 1048576);
    return st;
}

csim_status csim_sweep(csim_context *ctx, csim_set *const *sets, int set_count,
                       const csim_sweep_options *options, csim_results **results)
{
    sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    double *gram = NULL;
    csim_status st = CSIM_OK;
    *results = NULL;
    csim__phase_begin(ctx, "sweep");
    CSIM_TRY(csim__vote(ctx, check_options(ctx, options, &w.needs)));
    CSIM_TRY(csim__agree(ctx, fingerprint(options), "the options of a sweep"));
    CSIM_TRY(csim_sets_match(ctx, sets, set_count));
    if (options->nan_drop_rows) {
        int64_t dropped;
        CSIM_TRY(csim_sets_drop_bad_rows(ctx, sets, set_count, &dropped));
    }
    CSIM_TRY(csim__vote(ctx, list_sites(&w)));
    CSIM_TRY(csim__vote(ctx, csim__cells_make(ctx, sets, set_count, options, &w.cells)));
    CSIM_TRY(csim__vote(ctx, make_plan(&w, csim_set_examples(sets[0]))));
    w.meter = (csim__meter){.fn = csim_context_rank(ctx) == 0 ? options->progress : NULL,
                            .user = options->progress_user,
                            .size = csim_context_size(ctx)};
    CSIM_TRY(csim__ingest(ctx, w.site, w.count, options->precision, &w.shard));
    w.meter.total = w.plan.flops;
    announce(&w);
    CSIM_TRY(
        csim__vote(ctx, csim__calloc(ctx, w.plan.count, sizeof *gram, "Gram products", &gram)));
    CSIM_TRY(compute(&w, gram));
    CSIM_TRY(csim__vote(ctx, report_memory(&w)));
    st = csim__cells_results(ctx, &w.cells, w.site, sets, set_count, options, results);
    st = csim__vote(ctx, st);
    if (st != CSIM_OK) { csim_results_free(results); }
done:
    csim__free(ctx, &gram);
    release(&w);
    csim__phase_end(ctx, 0, 0);
    return st;
}

csim_status csim_sweep_plan(csim_context *ctx, csim_set *const *sets, int set_count,
                            const csim_sweep_options *options, csim_sweep_cost *cost)
{
    sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    csim_status st = CSIM_OK;
    CSIM_TRY(check_options(ctx, options, &w.needs));
    CSIM_TRY(list_sites(&w));
    CSIM_TRY(csim__cells_make(ctx, sets, set_count, options, &w.cells));
    CSIM_TRY(make_plan(&w, csim_set_examples(sets[0])));
    *cost = (csim_sweep_cost){w.plan.shard_bytes, w.plan.tile_bytes, w.plan.flops};
done:
    release(&w);
    return st;
}
