#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/cross.h"
#include "ingredients/flight.h"
#include "linalg/dense.h"

enum { FLIGHTS = 2 }; /* sums under way at once */

/* A product whose sum over ranks is under way. */
typedef struct passenger {
    const csim__product *product; /* NULL: none */
    int64_t *acc;                 /* [wl, wr] the owner's is the memory of its output */
    csim__flight flight;
} passenger;

typedef struct pass {
    csim_context *ctx;
    const csim_shard *shard;
    void *part;        /* [wl, wr] a chunk's partial, double or float */
    double *factor[2]; /* [widest] scale factors of the columns */
    passenger flight[FLIGHTS];
} pass;

static int64_t block_size(const csim__product *p)
{
    return p->left->width * p->right->width;
}

static csim_status allocate(pass *w, const csim__product *products, int64_t count)
{
    int64_t largest = 0, widest = 0, foreign = 0;
    csim_status st = CSIM_OK;
    int ignore;
    for (int64_t i = 0; i < count; i++) {
        const csim__product *p = &products[i];
        CSIM_TRY(csim__int(w->ctx, p->left->width, "width of a site", &ignore));
        CSIM_TRY(csim__int(w->ctx, p->right->width, "width of a site", &ignore));
        largest = csim__max64(largest, block_size(p));
        widest = csim__max64(widest, csim__max64(p->left->width, p->right->width));
        if (p->out == NULL) { foreign = csim__max64(foreign, block_size(p)); }
    }
    CSIM_TRY(csim__alloc(w->ctx, largest, sizeof(double), "a partial block", &w->part));
    for (int k = 0; k < 2; k++) {
        CSIM_TRY(csim__alloc(w->ctx, widest, sizeof(double), "scale factors", &w->factor[k]));
    }
    for (int k = 0; k < FLIGHTS; k++) {
        CSIM_TRY(csim__flight_make(w->ctx, foreign, largest, 1, &w->flight[k].flight));
    }
done:
    return st;
}

/* Scale factors for the rows as they are stored. */
static void stored_factors(const csim__operand *o, double *factor)
{
    csim__exact_factors(o->norm, o->width, factor);
    for (int64_t i = 0; o->shift != 0 && i < o->width; i++) {
        factor[i] = ldexp(factor[i], o->shift);
    }
}

void csim__product_factors(const csim__product *p, double *const factor[2])
{
    stored_factors(p->left, factor[0]);
    stored_factors(p->right, factor[1]);
}

void csim__product_add(csim_context *ctx, const csim_shard *shard, const csim__product *p,
                       int64_t chunk, void *part, double *const factor[2], int64_t *acc)
{
    const csim__operand *l = p->left, *r = p->right;
    bool self = l == r;
    int m = (int)l->width, n = (int)r->width;
    int k = (int)csim__chunk_rows(shard, shard->first + chunk);
    int64_t at = l->passing ? 0 : chunk * shard->chunk * m;
    int64_t to = r->passing ? 0 : chunk * shard->chunk * n;
    double work = (self ? 1.0 : 2.0) * m * n * k;
    csim__phase_begin(ctx, "products");
    if (l->xf != NULL) {
        self ? csim__syrk_tn_f(m, k, l->xf + at, part)
             : csim__gemm_tn_f(m, n, k, l->xf + at, r->xf + to, part);
    } else {
        self ? csim__syrk_tn(m, k, l->x + at, part)
             : csim__gemm_tn(m, n, k, l->x + at, r->x + to, part);
    }
    csim__phase_end(ctx, work, 0);
    if (l->xf != NULL) {
        csim__exact_add_block_f(acc, part, m, n, factor[0], factor[1], self);
    } else {
        csim__exact_add_block(acc, part, m, n, factor[0], factor[1], self);
    }
}

void csim__product_value(const csim__product *p, const int64_t *acc, double *const factor[2])
{
    csim__exact_factors(p->left->norm, p->left->width, factor[0]);
    csim__exact_factors(p->right->norm, p->right->width, factor[1]);
    csim__exact_block_value(acc, p->left->width, p->right->width, factor[0], factor[1],
                            p->left == p->right, p->out);
}

/* This rank's chunks of one product, added into acc. */
static void accumulate(pass *w, const csim__product *p, int64_t *acc, csim__flight *under_way)
{
    memset(acc, 0, (size_t)block_size(p) * sizeof *acc);
    csim__product_factors(p, w->factor);
    for (int64_t c = 0; c < w->shard->count; c++) {
        csim__product_add(w->ctx, w->shard, p, c, w->part, w->factor, acc);
        csim__flight_poll(under_way);
    }
}

static csim_status land(pass *w, passenger *f)
{
    const csim__product *p = f->product;
    if (p == NULL) { return CSIM_OK; }
    f->product = NULL;
    csim_status st = csim__flight_land(&f->flight);
    if (st == CSIM_OK && p->out != NULL) { csim__product_value(p, f->acc, w->factor); }
    return st;
}

csim_status csim__cross_pass(csim_context *ctx, const csim_shard *shard,
                             const csim__product *products, int64_t count, csim__meter *meter)
{
    pass w = {.ctx = ctx, .shard = shard};
    double flops = 0;
    csim__phase_begin(ctx, "cross");
    csim_status st = csim__vote(ctx, allocate(&w, products, count));
    for (int64_t i = 0; st == CSIM_OK && i < count; i++) {
        const csim__product *p = &products[i];
        passenger *f = &w.flight[i % FLIGHTS], *other = &w.flight[(i + 1) % FLIGHTS];
        st = land(&w, f);
        f->acc = p->out != NULL ? (int64_t *)(void *)p->out : f->flight.scratch;
        accumulate(&w, p, f->acc, &other->flight);
        f->product = p;
        if (st == CSIM_OK) {
            st = csim__flight_take_off(&f->flight, f->acc, block_size(p), p->owner);
        }
        double work = (p->left == p->right ? 1.0 : 2.0) * (double)shard->rows *
                      (double)p->left->width * (double)p->right->width;
        flops += work;
        csim__meter_add(meter, "cross products", work);
    }
    for (int k = 0; k < FLIGHTS; k++) {
        csim_status landed = land(&w, &w.flight[(count + k) % FLIGHTS]);
        st = st == CSIM_OK ? landed : st;
    }
    st = csim__vote(ctx, st);
    for (int k = 0; k < FLIGHTS; k++) { csim__flight_clear(&w.flight[k].flight); }
    for (int k = 0; k < 2; k++) { csim__free(ctx, &w.factor[k]); }
    csim__free(ctx, &w.part);
    csim__phase_end(ctx, flops, 0);
    return st;
}
