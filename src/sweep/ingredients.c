/* What is made once for a whole sweep, before its pairs: of each site, and by passes over the
 * examples that serve all pairs. */
#include "ingredients/basis.h"
#include "ingredients/feed.h"
#include "ingredients/gram.h"
#include "sweep/state.h"

/* Room for the sums over rows, and the rows scaled to length 1. Local. */
static csim_status row_ingredients(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(w->ctx, w->plan.count, sizeof *w->row_sums, "row sums", &w->row_sums));
    CSIM_TRY(csim__calloc(w->ctx, w->count, sizeof *w->unit, "unit rows", &w->unit));
    for (int s = 0; w->plan.unit && !w->streamed && s < w->count; s++) {
        CSIM_TRY(csim__unit_rows(w->ctx, &w->shard, &w->site[s], &w->unit[s]));
    }
done:
    return st;
}

/* Sums over rows of every pair, while the rows are there; of rows that are read again only what their
 * lengths are enough for. */
static csim_status sum_rows(csim__sweep *w)
{
    csim__couple *couples = NULL;
    if (!w->plan.row_sums) { return CSIM_OK; }
    csim_status st = csim__alloc(w->ctx, w->plan.count, sizeof *couples, "pairs", &couples);
    st = csim__vote(w->ctx, st);
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        couples[i] = w->plan.pairs[i].couple;
    }
    if (st == CSIM_OK) {
        st = csim__sum_rows(w->ctx, &w->shard, w->site, couples, w->plan.count,
                            w->plan.raw_rows && !w->streamed, w->row_sums);
    }
    csim__free(w->ctx, &couples);
    return st;
}

csim_status csim__sweep_hold(csim__sweep *w, csim__site *site)
{
    bool single = w->options->precision == CSIM_SINGLE_PRECISION;
    return w->streamed ? csim__site_hold(w->ctx, &w->shard, site, single) : CSIM_OK;
}

void csim__sweep_let_go(csim__sweep *w, csim__site *site)
{
    if (!w->streamed) { return; }
    csim__free(w->ctx, &site->x);
    csim__free(w->ctx, &site->xf);
}

/* ⟨K̂_a,K̂_b⟩ of all pairs that have tiles; self-terms go to their sites. */
static csim_status gram_ingredients(csim__sweep *w)
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
        if (p->tiled) { place[p->couple.left] = place[p->couple.right] = 0; }
    }
    for (int s = 0; s < w->count; s++) {
        if (place[s] == 0) {
            place[s] = many;
            list[many++] = &w->site[s];
        }
    }
    for (int k = 0; k < many; k++) { CSIM_TRY(csim__sweep_hold(w, list[k])); }
    CSIM_TRY(csim__calloc(w->ctx, (int64_t)many * many, 1, "wanted products", &wanted));
    CSIM_TRY(csim__calloc(w->ctx, (int64_t)many * many, sizeof *out, "products", &out));
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->tiled) { wanted[place[p->couple.left] * many + place[p->couple.right]] = 1; }
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) {
        st = csim__gram_pass(w->ctx, &w->shard, list, many, wanted, out, &w->meter);
    }
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (!p->tiled) { continue; }
        w->hollow[i] = out[place[p->couple.left] * many + place[p->couple.right]];
        bool self = p->couple.left == p->couple.right;
        if (self) { csim__site_take_hollow(&w->site[p->couple.left], w->hollow[i]); }
    }
    for (int k = 0; list != NULL && k < many; k++) { csim__sweep_let_go(w, list[k]); }
    csim__free(w->ctx, &out);
    csim__free(w->ctx, &wanted);
    csim__free(w->ctx, &list);
    csim__free(w->ctx, &place);
    return st;
}

/* Bases, and what of the rows is not needed any more is freed. */
static csim_status basis_ingredients(csim__sweep *w)
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
        csim__basis_options options = {.consume = !w->plan.any_cross,
                                       .loading = w->plan.loading,
                                       .floor = csim__rank_floor(w->options)};
        many = 0;
        for (int s = 0; s < w->count; s++) {
            if (w->plan.basis[s] && w->site[s].variance > 0) { list[many++] = &w->site[s]; }
        }
        st = csim__basis_build(w->ctx, &w->shard, list, many, &options, &w->meter);
        if (st == CSIM_OK && w->options->null == CSIM_NULL_ANALYTIC) {
            st = csim__leverages(w->ctx, &w->shard, list, many, &w->meter);
        }
        for (int s = 0; st == CSIM_OK && s < w->count; s++) {
            const csim__basis *b = &w->site[s].basis;
            if (!w->plan.basis[s]) { continue; }
            bool known = !b->failed && w->site[s].unfit == CSIM_NOTE_NONE;
            double gram = 0;
            w->site[s].rank = known ? b->r : -1;
            for (int i = 0; i < b->q; i++) {
                double square = b->sigma[i] * b->sigma[i];
                gram += square * square;
            }
            csim__site_take_gram(&w->site[s], gram);
        }
    }
    for (int s = 0; !w->plan.any_cross && s < w->count; s++) {
        csim__free(w->ctx, &w->site[s].x);
        csim__free(w->ctx, &w->site[s].xf);
    }
    csim__free(w->ctx, &list);
    return st;
}

csim_status csim__sweep_together(csim__sweep *w)
{
    csim_status st = sum_rows(w);
    if (st == CSIM_OK && w->options->encoder_count > 0) { st = csim__sweep_project(w); }
    if (st == CSIM_OK && w->plan.any_tiles) { st = gram_ingredients(w); }
    if (st == CSIM_OK && w->plan.near.sums > 0) { st = csim__sweep_neighbours(w); }
    return st == CSIM_OK ? csim__sweep_kernels(w) : st;
}

csim_status csim__sweep_ingredients(csim__sweep *w)
{
    csim_status st = csim__vote(w->ctx, row_ingredients(w));
    if (st == CSIM_OK) { st = csim__sweep_together(w); }
    return st == CSIM_OK ? basis_ingredients(w) : st;
}
