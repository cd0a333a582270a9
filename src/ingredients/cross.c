/* A product goes by panels of rows, so that no rank holds a whole one but its owner, and none at all
 * if it is dealt: then each rank of the group is the target of the sums of its part of a panel, which
 * is one piece of its memory. A whole product is dealt to one rank in one block. */
#include "ingredients/panel.h"

enum { FLIGHTS = 2 }; /* panels under way at once */

/* A panel whose sums are under way. */
typedef struct passenger {
    csim__panel panel; /* product NULL: none */
    csim__flight flight;
} passenger;

typedef struct pass {
    csim_context *ctx;
    const csim_shard *shard;
    void *part;        /* [rows, wr] a chunk's partial of a panel, double or float */
    double *factor[2]; /* [widest] scale factors of the columns */
    passenger panel[FLIGHTS];
} pass;

static csim_status allocate(pass *w, const csim__product *products, int64_t count)
{
    int64_t largest = 0, widest = 0, foreign = 0, pieces = 1;
    csim_status st = CSIM_OK;
    int ignore;
    for (int64_t i = 0; i < count; i++) {
        const csim__product *p = &products[i];
        CSIM_TRY(csim__int(w->ctx, p->left->width, "width of a site", &ignore));
        CSIM_TRY(csim__int(w->ctx, p->right->width, "width of a site", &ignore));
        int64_t numbers = csim__cross_panel(p->left->width, p->right->width);
        largest = csim__max64(largest, numbers);
        widest = csim__max64(widest, csim__max64(p->left->width, p->right->width));
        if (p->out == NULL) { foreign = csim__max64(foreign, numbers); }
        pieces = csim__max64(pieces, csim__panel_pieces(p));
    }
    CSIM_TRY(csim__alloc(w->ctx, largest, sizeof(double), "a partial panel", &w->part));
    for (int k = 0; k < 2; k++) {
        CSIM_TRY(csim__alloc(w->ctx, widest, sizeof(double), "scale factors", &w->factor[k]));
    }
    for (int k = 0; k < FLIGHTS; k++) {
        passenger *l = &w->panel[k];
        CSIM_TRY(csim__alloc(w->ctx, pieces, sizeof *l->panel.piece, "pieces of a panel",
                             &l->panel.piece));
        CSIM_TRY(csim__flight_make(w->ctx, foreign, largest, pieces, &l->flight));
    }
done:
    return st;
}

static void release(pass *w)
{
    for (int k = 0; k < FLIGHTS; k++) {
        csim__flight_clear(&w->panel[k].flight);
        csim__free(w->ctx, &w->panel[k].panel.piece);
    }
    for (int k = 0; k < 2; k++) { csim__free(w->ctx, &w->factor[k]); }
    csim__free(w->ctx, &w->part);
}

/* This rank's chunks of one panel. */
static void accumulate(pass *w, const csim__panel *l, csim__flight *under_way)
{
    csim__panel_factors(l->product, w->factor);
    for (int64_t c = 0; c < w->shard->count; c++) {
        csim__panel_add(w->ctx, w->shard, l, c, w->part, w->factor);
        csim__flight_poll(under_way);
    }
}

static csim_status land(pass *w, passenger *l)
{
    if (l->panel.product == NULL) { return CSIM_OK; }
    csim_status st = csim__flight_land(&l->flight);
    if (st == CSIM_OK) { csim__panel_value(&l->panel, w->shard->rank, w->factor); }
    l->panel.product = NULL;
    return st;
}

csim_status csim__cross_pass(csim_context *ctx, const csim_shard *shard,
                             const csim__product *products, int64_t count, csim__meter *meter)
{
    pass w = {.ctx = ctx, .shard = shard};
    double flops = 0;
    int turn = 0;
    csim__phase_begin(ctx, "cross");
    csim_status st = csim__vote(ctx, allocate(&w, products, count));
    for (int64_t i = 0; st == CSIM_OK && i < count; i++) {
        for (int64_t at = 0; st == CSIM_OK && at < products[i].left->width;) {
            passenger *l = &w.panel[turn];
            turn = (turn + 1) % FLIGHTS;
            st = land(&w, l);
            csim__panel_lay_out(&l->panel, &products[i], at, shard->rank, l->flight.scratch);
            accumulate(&w, &l->panel, &w.panel[turn].flight);
            if (st == CSIM_OK) { st = csim__panel_take_off(&l->panel, &l->flight); }
            double work = csim__panel_work(&l->panel, shard->rows);
            flops += work;
            csim__meter_add(meter, "cross products", work);
            at += l->panel.rows;
        }
    }
    for (int k = 0; k < FLIGHTS; k++) {
        csim_status landed = land(&w, &w.panel[(turn + k) % FLIGHTS]);
        st = st == CSIM_OK ? landed : st;
    }
    st = csim__vote(ctx, st);
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}
