/* The pairs of a sweep, as many at a time as memory takes: their products over the examples, and
 * then what each owner makes of them. */
#include <math.h>

#include "sweep/state.h"

static csim_status make_operands(csim__sweep *w)
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
        if (w->streamed) { csim__stream_operands(w, s); }
    }
done:
    return csim__vote(w->ctx, st);
}

/* This rank's share of a dealt product. */
static csim_status add_share(csim__sweep *w, const csim__planned *p, csim__product *product,
                             csim__dealt *share)
{
    product->grid = w->grid;
    if (w->grid->group != p->owner / csim__teams_size(&w->teams)) { return CSIM_OK; }
    product->share = share;
    csim_status st = csim__dealt_make(w->grid, product->left->width, product->right->width,
                                      "a dealt block", share);
    if (st == CSIM_OK) { return st; }
    return csim__fail(w->ctx, st, "%s", csim_context_error(w->grid->ctx));
}

/* One product of a round, allocated on its owner, or on all who get a share of it; empty operands make
 * none. */
static csim_status add_product(csim__sweep *w, const csim__planned *p,
                               const csim__operand *operands, double **block, csim__dealt *share,
                               csim__product *products, int64_t *many)
{
    const csim__operand *l = &operands[p->couple.left], *r = &operands[p->couple.right];
    if (l->width == 0 || r->width == 0) { return CSIM_OK; }
    csim__product *product = &products[(*many)++];
    *product = (csim__product){.left = l, .right = r, .owner = p->owner};
    if (p->dealt) { return add_share(w, p, product, share); }
    if (p->owner != w->shard.rank) { return CSIM_OK; }
    csim_status st = csim__alloc(w->ctx, l->width * r->width, sizeof **block, "a block", block);
    product->out = *block;
    return st;
}

/* UᵀU of a site with itself is the identity: no product, and no decomposition after it. */
static csim_status add_identity(csim__sweep *w, const csim__planned *p,
                                const csim__operand *operand, double **block)
{
    int64_t q = operand->width;
    if (q == 0 || p->owner != w->shard.rank) { return CSIM_OK; }
    csim_status st = csim__calloc(w->ctx, q * q, sizeof **block, "a block", block);
    for (int64_t i = 0; st == CSIM_OK && i < q; i++) { (*block)[i * q + i] = 1; }
    return st;
}

static bool is_self(const csim__planned *p)
{
    return p->couple.left == p->couple.right;
}

/* What the bases of a pair have in common. */
static csim_status add_overlap(csim__sweep *w, const csim__planned *p,
                               const csim__operand *operands, double **block, csim__dealt *share,
                               csim__product *products, int64_t *many)
{
    return is_self(p) ? add_identity(w, p, &operands[p->couple.left], block)
                      : add_product(w, p, operands, block, share, products, many);
}

static void drop_blocks(csim__sweep *w, csim_pair *pair)
{
    csim__free(w->ctx, &pair->block);
    csim__free(w->ctx, &pair->m);
    csim__free(w->ctx, &pair->raw_m);
    csim__free(w->ctx, &pair->unit);
    for (int k = 0; k < CSIM__SHARES; k++) { csim__dealt_clear(&pair->share[k]); }
}

static void finish_pair(csim__sweep *w, const csim__planned *p, csim_pair *pair)
{
    csim__site *left = &w->site[p->couple.left];
    if (is_self(p) && p->route == CSIM__ROUTE_CROSS && (w->needs & CSIM_NEEDS_GRAM)) {
        double gram; /* of a site with itself nothing is dealt: it does not fail */
        (void)csim__pair_gram(pair, &gram);
        csim__site_take_gram(left, gram);
    }
    if (p->cell) {
        csim__cells_finish(&w->cells, pair, w->id[p->couple.left], w->id[p->couple.right],
                           w->options);
        double share = pair->team != NULL ? 1.0 / csim__teams_size(&w->teams) : 1;
        csim__meter_add(&w->meter, "decompositions", share * p->finish);
    }
    csim__pair_clear(pair);
    drop_blocks(w, pair);
}

/* Self-terms made by owners of the self-pairs among [first, last) reach every rank. */
static csim_status share_self_terms(csim__sweep *w, int64_t first, int64_t last)
{
    double *terms = NULL;
    csim_status st = csim__calloc(w->ctx, w->count, sizeof *terms, "self-terms", &terms);
    CSIM_TRY(csim__vote(w->ctx, st));
    for (int64_t i = first; i < last; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (is_self(p) && p->owner == w->shard.rank) {
            terms[p->couple.left] = w->site[p->couple.left].self_gram;
        }
    }
    /* one rank has each term, the others 0: a maximum of non-negative numbers copies it */
    st = csim__mpi(w->ctx,
                   MPI_Allreduce(MPI_IN_PLACE, terms, w->count, MPI_DOUBLE, MPI_MAX,
                                 csim_context_comm(w->ctx)),
                   "self-terms");
    for (int64_t i = first; st == CSIM_OK && i < last; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        int s = p->couple.left;
        if (is_self(p) && p->route == CSIM__ROUTE_CROSS) {
            csim__site_take_gram(&w->site[s], terms[s]);
        }
    }
done:
    csim__free(w->ctx, &terms);
    return st;
}

/* Sums of the neighbours of a pair, NULL if no measure takes any. */
static const double *near_of(const csim__sweep *w, int64_t pair)
{
    if (w->near_sums == NULL) { return NULL; }
    return w->near_sums + pair * w->plan.near.sums * 2 * CSIM_NEAR_SUMS;
}

/* What kernels of a pair came to, NULL if no measure takes any. */
static const csim__matrices *matrices_of(const csim__sweep *w, int64_t pair)
{
    return w->matrices != NULL ? w->matrices + pair * w->options->measure_count : NULL;
}

/* Pairs [first, last) without their blocks, and the products that make these; made[i] of them before
 * pair first + i. */
static csim_status make_pairs(csim__sweep *w, int64_t first, int64_t last, csim_pair *pairs,
                              csim__product *products, int64_t *made)
{
    int64_t *many = &made[last - first];
    csim_status st = CSIM_OK;
    *many = 0;
    for (int64_t i = 0; i < last - first; i++) {
        const csim__planned *p = &w->plan.pairs[first + i];
        csim_pair *pair = &pairs[i];
        csim__dealt *share = pair->share;
        made[i] = *many;
        *pair = (csim_pair){.ctx = w->ctx,
                            .site = {&w->site[p->couple.left], &w->site[p->couple.right]},
                            .vectors = (w->needs & CSIM_NEEDS_LOADING) != 0,
                            .single = w->options->precision == CSIM_SINGLE_PRECISION,
                            .route = p->route,
                            .tiled = p->tiled,
                            .untiled = p->untiled,
                            .learned = w->learned,
                            .at = (int64_t)p->couple.left * w->count + p->couple.right,
                            .hollow = w->hollow[first + i],
                            .near = near_of(w, first + i),
                            .matrices = matrices_of(w, first + i)};
        if (p->route == CSIM__ROUTE_CROSS) {
            CSIM_TRY(add_product(w, p, w->centred, &pair->block, &share[CSIM__SHARE_CROSS],
                                 products, many));
        }
        if (p->cell && p->route == CSIM__ROUTE_BASIS) {
            CSIM_TRY(
                add_overlap(w, p, w->basis, &pair->m, &share[CSIM__SHARE_CROSS], products, many));
        }
        if (p->cell && w->plan.raw_basis) {
            CSIM_TRY(
                add_overlap(w, p, w->raw, &pair->raw_m, &share[CSIM__SHARE_RAW], products, many));
        }
        if (p->cell && w->plan.unit) {
            CSIM_TRY(add_product(w, p, w->unity, &pair->unit, NULL, products, many));
        }
    }
done:
    return st;
}

/* The cells of the self-pairs among [first, last), or of the others, on their owners. */
static void finish_pairs(csim__sweep *w, int64_t first, int64_t last, csim_pair *pairs, bool selves)
{
    for (int64_t i = 0; i < last - first; i++) {
        const csim__planned *p = &w->plan.pairs[first + i];
        if (is_self(p) != selves || p->owner != w->shard.rank) { continue; }
        if (pairs[i].ctx == NULL) { continue; } /* finished by a group */
        finish_pair(w, p, &pairs[i]);
        pairs[i].ctx = NULL;
    }
}

/* Self-pairs, whose terms others want, then those. */
static csim_status finish_round(csim__sweep *w, int64_t first, int64_t last, csim_pair *pairs)
{
    bool selves = false;
    csim_status st = CSIM_OK;
    csim__phase_begin(w->ctx, "finish");
    for (int64_t i = first; i < last; i++) {
        pairs[i - first].rows = w->row_sums[i];
        selves = selves || is_self(&w->plan.pairs[i]);
    }
    finish_pairs(w, first, last, pairs, true);
    if (selves) { st = share_self_terms(w, first, last); }
    if (st == CSIM_OK) {
        csim_status together = csim__groups_finish(w, first, pairs, finish_pair);
        finish_pairs(w, first, last, pairs, false);
        if (w->grid != NULL) { st = csim__vote(w->ctx, together); }
    }
    csim__phase_end(w->ctx, 0, 0);
    return st;
}

/* Pairs [first, last): their blocks by passes over the examples, then each owner's pairs. */
static csim_status one_round(csim__sweep *w, int64_t first, int64_t last)
{
    int64_t count = last - first, *made = NULL;
    csim__product *products = NULL;
    csim_pair *pairs = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, 4 * count, sizeof *products, "products", &products));
    CSIM_TRY(csim__calloc(w->ctx, count, sizeof *pairs, "pairs", &pairs));
    CSIM_TRY(csim__alloc(w->ctx, count + 1, sizeof *made, "counts of products", &made));
    CSIM_TRY(csim__groups_list(w, first, last));
    st = make_pairs(w, first, last, pairs, products, made);
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && w->streamed) {
        st = csim__stream_round(w, first, products, made);
    } else if (st == CSIM_OK && made[count] > 0) {
        st = csim__cross_pass(w->ctx, &w->shard, products, made[count], &w->meter);
    }
    if (st == CSIM_OK) { st = finish_round(w, first, last, pairs); }
    for (int64_t i = 0; pairs != NULL && i < count; i++) { drop_blocks(w, &pairs[i]); }
    csim__free(w->ctx, &made);
    csim__free(w->ctx, &pairs);
    csim__free(w->ctx, &products);
    return st;
}

/* A round, after which its cells are saved, and it may end there. */
static csim_status save_round(csim__sweep *w, int64_t first, int64_t last)
{
    int64_t before = w->saved;
    csim_status st = one_round(w, first, last);
    if (st == CSIM_OK) { st = csim__saved_pairs(w, first, last); }
    /* not before something is saved: a sweep that is stopped again and again comes to its end */
    if (st == CSIM_OK && w->saved > before) { st = csim__saved_stop(w); }
    return st;
}

csim_status csim__sweep_rounds(csim__sweep *w)
{
    csim_status st = make_operands(w);
    w->meter.stage = "pairs"; /* products and decompositions in turn */
    for (int64_t i = 0, end; st == CSIM_OK && i < w->plan.count; i = end) {
        end = csim__plan_round(&w->plan, i);
        st = w->cells.draw < 0 ? save_round(w, i, end) : one_round(w, i, end);
    }
    w->meter.stage = NULL;
    return st;
}
