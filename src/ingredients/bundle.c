#include "ingredients/bundle.h"

enum { FLIGHTS = 2 }; /* panels under way at once */

/* Rows of a product in the part that the bundle makes of it. */
typedef struct extent {
    int64_t panels, first, end;
} extent;

static extent extent_of(const csim__bundle *b, const csim__product *p)
{
    int64_t wl = p->left->width, wr = p->right->width, rows = csim__cross_rows(wl, wr);
    int64_t all = csim__cross_panels(wl, wr),
            from = csim__cross_part(all, b->slice.part, b->slice.parts),
            to = csim__cross_part(all, b->slice.part + 1, b->slice.parts);
    return (extent){to - from, from * rows, csim__min64(to * rows, wl)};
}

/* Numbers of these rows that this rank has in its output. */
static int64_t own_numbers(const csim__bundle *b, const csim__product *p, const extent *e)
{
    if (p->out != NULL) { return (e->end - e->first) * p->right->width; }
    if (p->share == NULL) { return 0; }
    const csim__grid *g = p->grid;
    int place = (b->shard->rank - p->owner) % g->q;
    int64_t rows = csim__grid_share(e->end, g->block, place, g->q) -
                   csim__grid_share(e->first, g->block, place, g->q);
    return rows * p->share->n_loc;
}

static csim_status allocate(csim__bundle *b)
{
    int64_t widest = 0, pieces = 0, foreign = 0;
    int ignore;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(b->ctx, b->count + 1, sizeof *b->first, "products", &b->first));
    for (int64_t i = 0; i < b->count; i++) {
        const csim__product *p = &b->product[i];
        int64_t wl = p->left->width, wr = p->right->width;
        CSIM_TRY(csim__int(b->ctx, wl, "width of a site", &ignore));
        CSIM_TRY(csim__int(b->ctx, wr, "width of a site", &ignore));
        extent e = extent_of(b, p);
        b->first[i] = b->panels;
        b->panels += e.panels;
        b->largest = csim__max64(b->largest, csim__cross_panel(wl, wr));
        widest = csim__max64(widest, csim__max64(wl, wr));
        pieces += e.panels * csim__panel_pieces(p);
        foreign += (e.end - e.first) * wr - own_numbers(b, p, &e);
    }
    b->first[b->count] = b->panels;
    CSIM_TRY(csim__alloc(b->ctx, b->panels, sizeof *b->panel, "panels", &b->panel));
    CSIM_TRY(csim__alloc(b->ctx, pieces, sizeof *b->piece, "pieces of panels", &b->piece));
    CSIM_TRY(csim__alloc(b->ctx, foreign, sizeof *b->spare, "blocks of integers", &b->spare));
    CSIM_TRY(csim__alloc(b->ctx, b->largest, sizeof(double), "a partial panel", &b->part));
    for (int k = 0; k < 2; k++) {
        CSIM_TRY(csim__alloc(b->ctx, widest, sizeof(double), "scale factors", &b->factor[k]));
    }
done:
    return st;
}

csim_status csim__bundle_open(csim_context *ctx, const csim_shard *shard,
                              const csim__product *products, int64_t count, csim__slice slice,
                              csim__meter *meter, csim__bundle *b)
{
    *b = (csim__bundle){.ctx = ctx,
                        .shard = shard,
                        .meter = meter,
                        .product = products,
                        .count = count,
                        .slice = slice};
    csim_status st = allocate(b);
    if (st != CSIM_OK) { return st; }
    csim__piece *piece = b->piece;
    int64_t *spare = b->spare;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = extent_of(b, &products[i]).first;
        for (int64_t k = b->first[i]; k < b->first[i + 1]; k++) {
            csim__panel *l = &b->panel[k];
            l->piece = piece;
            piece += csim__panel_pieces(&products[i]);
            spare += csim__panel_lay_out(l, &products[i], row, shard->rank, spare);
            row += l->rows;
            b->each += csim__panel_work(l, shard->chunk);
        }
    }
    return CSIM_OK;
}

void csim__bundle_add(csim__bundle *b, int64_t i, int64_t chunk)
{
    int64_t rows = csim__chunk_rows(b->shard, b->shard->first + chunk);
    double work = 0;
    csim__panel_factors(&b->product[i], b->factor);
    for (int64_t k = b->first[i]; k < b->first[i + 1]; k++) {
        csim__panel_add(b->ctx, b->shard, &b->panel[k], chunk, b->part, b->factor);
        work += csim__panel_work(&b->panel[k], rows);
    }
    b->flops += work;
    csim__meter_add(b->meter, "cross products", work);
}

/* The sum of one panel after the other, some under way at the same time. */
static csim_status sum_panels(csim__bundle *b, csim__flight *flight)
{
    csim_status st = CSIM_OK;
    for (int64_t k = 0; k < b->panels + FLIGHTS; k++) {
        csim__flight *f = &flight[k % FLIGHTS];
        if (k >= FLIGHTS) {
            csim_status landed = csim__flight_land(f);
            st = st == CSIM_OK ? landed : st;
            if (st == CSIM_OK) {
                csim__panel_value(&b->panel[k - FLIGHTS], b->shard->rank, b->factor);
            }
        }
        if (st == CSIM_OK && k < b->panels) { st = csim__panel_take_off(&b->panel[k], f); }
    }
    return st;
}

csim_status csim__bundle_sum(csim__bundle *b)
{
    csim__flight flight[FLIGHTS] = {{.ctx = NULL}};
    int64_t pieces = 1;
    csim_status st = CSIM_OK;
    csim__phase_begin(b->ctx, "cross");
    for (int64_t i = 0; i < b->count; i++) {
        pieces = csim__max64(pieces, csim__panel_pieces(&b->product[i]));
    }
    for (int k = 0; st == CSIM_OK && k < FLIGHTS; k++) {
        st = csim__flight_make(b->ctx, 0, b->largest, pieces, &flight[k]);
    }
    st = csim__vote(b->ctx, st);
    if (st == CSIM_OK) { st = csim__vote(b->ctx, sum_panels(b, flight)); }
    for (int k = 0; k < FLIGHTS; k++) { csim__flight_clear(&flight[k]); }
    csim__phase_end(b->ctx, b->flops, 0);
    return st;
}

void csim__bundle_close(csim__bundle *b)
{
    if (b->ctx == NULL) { return; }
    for (int k = 0; k < 2; k++) { csim__free(b->ctx, &b->factor[k]); }
    csim__free(b->ctx, &b->part);
    csim__free(b->ctx, &b->spare);
    csim__free(b->ctx, &b->piece);
    csim__free(b->ctx, &b->panel);
    csim__free(b->ctx, &b->first);
    b->ctx = NULL;
}
