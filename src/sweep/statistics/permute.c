/* Values under random relabellings: every site of a tile gets a twin, the same rows in another order,
 * and the pairs (a, b) become (a, twin of b). What is known of single sites stays; the passes that bring
 * sites together, the products and the decompositions are made anew for each relabelling. */
#include <string.h>

#include "ingredients/batches.h"
#include "ingredients/order.h"
#include "ingredients/rows.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

/* One relabelling of a tile: t is a sweep of [2·sites] sites, those of w first. */
typedef struct relabelled {
    csim__sweep *w, t;
    csim__order order;
} relabelled;

/* Rows [rows, width] of a twin, new; none where width is 0. Collective. */
static csim_status turn(relabelled *r, const void *rows, int64_t width, size_t size, void *out)
{
    csim_context *ctx = r->w->ctx;
    const csim_shard *shard = &r->w->shard;
    void *to = NULL;
    memcpy(out, &to, sizeof to);
    if (width == 0) { return CSIM_OK; }
    csim_status st = csim__alloc(ctx, shard->rows * width, size, "rows in another order", out);
    st = csim__vote(ctx, st);
    memcpy(&to, out, sizeof to);
    return st == CSIM_OK ? csim__order_rows(ctx, shard, &r->order, rows, width * (int64_t)size, to)
                         : st;
}

/* What a twin has of its own; the rest is that of its site. */
static void forget(csim__site *twin)
{
    twin->x = NULL;
    twin->xf = NULL;
    twin->row_square = NULL;
    twin->basis.u = twin->raw_basis.u = NULL;
}

static csim_status make_twin(relabelled *r, int s)
{
    const csim__site *site = &r->w->site[s];
    csim__site *twin = &r->t.site[r->w->count + s];
    bool single = r->w->options->precision == CSIM_SINGLE_PRECISION;
    csim_status st = CSIM_OK;
    twin->order = &r->order;
    twin->checksum = ~site->checksum; /* it is another site even to one of the same values */
    CSIM_TRY(turn(r, site->x, single ? 0 : site->d, sizeof(double), &twin->x));
    CSIM_TRY(turn(r, site->xf, single ? site->d : 0, sizeof(float), &twin->xf));
    CSIM_TRY(turn(r, site->row_square, 1, sizeof(double), &twin->row_square));
    CSIM_TRY(turn(r, site->basis.u, site->basis.q, sizeof(double), &twin->basis.u));
    CSIM_TRY(turn(r, site->raw_basis.u, site->raw_basis.q, sizeof(double), &twin->raw_basis.u));
    st = turn(r, r->w->unit[s], r->w->plan.unit ? site->d : 0, sizeof(double),
              &r->t.unit[r->w->count + s]);
done:
    return st;
}

/* The pairs with cells, in the parts in which they were, and the work of their measures that is not of
 * single sites. */
static csim_status make_plan(relabelled *r)
{
    csim__sweep *w = r->w, *t = &r->t;
    csim__plan *plan = &t->plan;
    int64_t selves = 0;
    csim_status st = csim__alloc(w->ctx, w->plan.count, sizeof *plan->pairs, "pairs", &plan->pairs);
    plan->count = plan->selves = 0;
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        if (!w->plan.pairs[i].cell) { continue; }
        csim__planned *p = &plan->pairs[plan->count++];
        *p = w->plan.pairs[i];
        p->couple.right += w->count;
        selves += i < w->plan.selves;
    }
    plan->part[0] = (csim__part){0, selves, w->plan.part[0].step};
    plan->part[1] = (csim__part){selves, plan->count, w->plan.part[1].step};
    plan->near.sums = 0; /* lists are relabelled where they are (neighbours.c) */
    plan->kernels.spread = false;
    plan->kernels.blocks = 0; /* intervals are those of the layers as they are */
    plan->kernels.stores = 0; /* distances are relabelled where they are (triangles.c) */
    return st;
}

static csim_status start(relabelled *r, int64_t draw)
{
    csim__sweep *w = r->w, *t = &r->t;
    csim_context *ctx = w->ctx;
    int count = w->count;
    csim_status st = CSIM_OK;
    *t = *w;
    t->count = 2 * count;
    t->cells.draw = draw;
    t->cells.kind = CSIM__DRAWN_ROWS;
    t->plan.pairs = NULL;
    t->site = NULL;
    t->id = NULL;
    t->unit = NULL;
    t->row_sums = NULL;
    t->hollow = t->near_sums = t->ones = t->root_n = NULL;
    t->centred = t->basis = t->raw = t->unity = NULL;
    t->matrices = NULL;
    t->task = NULL;
    memset(t->learned, 0, sizeof t->learned);
    CSIM_TRY(csim__order_make(ctx, &w->shard, w->options->null_seed, draw, &r->order));
    CSIM_TRY(make_plan(r));
    CSIM_TRY(csim__calloc(ctx, t->count, sizeof *t->site, "sites", &t->site));
    CSIM_TRY(csim__alloc(ctx, t->count, sizeof *t->id, "sites", &t->id));
    CSIM_TRY(csim__calloc(ctx, t->count, sizeof *t->unit, "unit rows", &t->unit));
    CSIM_TRY(csim__calloc(ctx, t->plan.count, sizeof *t->row_sums, "row sums", &t->row_sums));
    CSIM_TRY(csim__calloc(ctx, t->plan.count, sizeof *t->hollow, "Gram products", &t->hollow));
    for (int s = 0; s < count; s++) {
        t->site[s] = t->site[count + s] = w->site[s];
        t->id[s] = t->id[count + s] = w->id[s];
        t->unit[s] = w->unit[s];
        forget(&t->site[count + s]);
    }
done:
    return st;
}

static void release(relabelled *r)
{
    csim__sweep *t = &r->t;
    csim_context *ctx = r->w->ctx;
    for (int s = r->w->count; s < t->count; s++) {
        if (t->site != NULL) {
            csim__site *twin = &t->site[s];
            csim__free(ctx, &twin->x);
            csim__free(ctx, &twin->xf);
            csim__free(ctx, &twin->row_square);
            csim__free(ctx, &twin->basis.u);
            csim__free(ctx, &twin->raw_basis.u);
        }
        if (t->unit != NULL) { csim__free(ctx, &t->unit[s]); }
    }
    csim__free(ctx, &t->site);
    csim__free(ctx, &t->unit);
    csim__free(ctx, &t->id);
    csim__free(ctx, &t->plan.pairs);
    csim__free(ctx, &t->task);
    csim__sweep_pairs_clear(t);
    csim__order_clear(ctx, &r->order);
}

/* One relabelling of the sites at hand, into the draw of all their pairs. */
static csim_status permute(void *user, int64_t draw)
{
    csim__sweep *w = user;
    relabelled r = {.w = w};
    csim_status st = csim__vote(w->ctx, start(&r, draw));
    for (int s = 0; st == CSIM_OK && s < w->count; s++) { st = make_twin(&r, s); }
    if (st == CSIM_OK) { st = csim__sweep_together(&r.t); }
    if (st == CSIM_OK) { st = csim__sweep_rounds(&r.t); }
    w->meter = r.t.meter;
    release(&r);
    return st;
}

/* The self-terms of all sites, which the rounds of pairs bring, and no relabelling changes. */
static csim_status self_terms(csim__sweep *w)
{
    csim__sweep t = *w;
    csim__planned *pairs = NULL;
    csim_status st = csim__alloc(w->ctx, w->plan.selves, sizeof *pairs, "pairs", &pairs);
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.selves; i++) {
        pairs[i] = w->plan.pairs[i];
        pairs[i].cell = false;
    }
    t.plan.pairs = pairs;
    t.plan.count = w->plan.selves;
    t.cells.draw = 0; /* nothing is saved */
    t.task = NULL;
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = csim__sweep_rounds(&t); }
    w->meter = t.meter;
    t.row_sums = NULL; /* these are of w */
    t.hollow = t.near_sums = NULL;
    t.matrices = NULL;
    memset(t.learned, 0, sizeof t.learned);
    csim__sweep_pairs_clear(&t);
    csim__free(w->ctx, &t.task);
    csim__free(w->ctx, &pairs);
    return st;
}

csim_status csim__sweep_permute(csim__sweep *w)
{
    if (!csim__statistics_paired(w->options)) { return CSIM_OK; }
    csim__phase_begin(w->ctx, "permutations");
    csim_status st = self_terms(w);
    csim__phase_end(w->ctx, 0, 0);
    return st == CSIM_OK ? csim__saved_permute(w, CSIM__DRAWN_ROWS, permute, w) : st;
}

/* Bytes of a row of a twin, of one array after the other: rows, their lengths, bases, unit rows. */
enum { ARRAYS = 5 };

static void row_bytes(const csim__problem *p, const csim__plan *plan, int s, int64_t bytes[ARRAYS])
{
    int64_t d = p->width[s], q = csim__min64(d, p->n);
    const int64_t list[ARRAYS] = {(p->single ? 4 : 8) * d, 8, 8 * q * plan->basis[s],
                                  8 * q * plan->raw_basis, 8 * d * plan->unit};
    memcpy(bytes, list, sizeof list);
}

int64_t csim__permute_bytes(const csim__problem *p, const csim__plan *plan, const csim_shard *shard)
{
    int64_t bytes = csim__order_bytes(shard, 0), each[ARRAYS];
    for (int s = 0; s < p->sites; s++) {
        row_bytes(p, plan, s, each);
        for (int k = 0; k < ARRAYS; k++) { bytes += shard->rows * each[k]; }
    }
    for (int i = 0; i < p->encoder_count; i++) {
        bytes += csim__projection_kept(p->encoders[i], 2 * (int64_t)p->sites);
    }
    bytes += plan->count * (int64_t)(sizeof(csim__planned) + sizeof(csim__row_sums) + 8);
    bytes += 2 * p->sites * (int64_t)sizeof(csim__site);
    int64_t columns = p->kernels.measures > 0 ? p->kernels.columns : 0;
    return bytes + plan->count * columns * (int64_t)sizeof(csim__matrices);
}

/* While rows go to their new places, beyond those of all twins: of these there are only those so far. */
static int64_t turning(const csim__problem *p, const csim__plan *plan, const csim_shard *shard)
{
    int64_t so_far = 0, most = 0, each[ARRAYS];
    for (int s = 0; s < p->sites; s++) {
        row_bytes(p, plan, s, each);
        for (int k = 0; k < ARRAYS; k++) {
            so_far += shard->rows * each[k];
            most = csim__max64(most, so_far + 2 * shard->rows * each[k]);
        }
    }
    return csim__max64(0, most - so_far);
}

int64_t csim__permute_passes(const csim__problem *p, const csim__plan *plan,
                             const csim_shard *shard, int64_t reading)
{
    int64_t each = p->single ? 4 : 8, widest = 0, tiled = 0, widths = 0, many = 0, all = 0;
    int64_t sites = 2 * (int64_t)p->sites, most = turning(p, plan, shard);
    for (int s = 0; s < p->sites; s++) {
        int64_t d = p->width[s];
        widest = csim__max64(widest, d);
        widths += d;
        tiled += plan->tiled[s] ? d : 0;
        many += plan->tiled[s];
    }
    if (plan->any_tiles) {
        int64_t visitors =
            csim__ring_bytes(shard->chunk, shard->size, 2 * tiled, (size_t)each, 2 * many);
        most = csim__max64(most, each * 2 * many * csim__ring_tile(shard->chunk) + visitors +
                                     16 * shard->count * shard->chunk * many + 148 * many * many);
    }
    for (int i = 0; i < p->encoder_count; i++) {
        most = csim__max64(most, csim__projection_bytes(p->encoders[i], shard, sites,
                                                        plan->count + sites, widest));
    }
    if (p->kernels.batch > 0) {
        most = csim__max64(most, 8 * sites * sites + csim__batch_bytes((int)sites, widest,
                                                                       p->kernels.batch, p->size));
    }
    for (int m = 0; m < CSIM_MATRICES; m++) { all += p->kernels.forms[m]; }
    if (all > 0) {
        int64_t rows = 8 * shard->rows * widest; /* rows as read go to their new places, too */
        most = csim__max64(most, csim__kernel_bytes(shard, (int)sites, 2 * widths, widest,
                                                    p->kernels.forms, 0, reading + 3 * rows) +
                                     all * sites * sites * (int64_t)sizeof(csim__kernel_pair) +
                                     32 * sites);
    }
    return most;
}
