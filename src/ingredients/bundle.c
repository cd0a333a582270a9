#include "ingredients/bundle.h"

#include "ingredients/flight.h"

enum { FLIGHTS = 2 }; /* sums under way at once */

static int64_t block_size(const csim__product *p)
{
    return p->left->width * p->right->width;
}

csim_status csim__bundle_open(csim_context *ctx, const csim_shard *shard,
                             const csim__product *products, int64_t count, csim__meter *meter,
                             csim__bundle *b)
{
    int64_t largest = 0, widest = 0;
    int ignore;
    csim_status st = CSIM_OK;
    *b = (csim__bundle){
        .ctx = ctx, .shard = shard, .meter = meter, .product = products, .count = count};
    CSIM_TRY(csim__calloc(ctx, count, sizeof *b->acc, "sums of products", &b->acc));
    for (int64_t i = 0; i < count; i++) {
        const csim__product *p = &products[i];
        CSIM_TRY(csim__int(ctx, p->left->width, "width of a site", &ignore));
        CSIM_TRY(csim__int(ctx, p->right->width, "width of a site", &ignore));
        largest = csim__max64(largest, block_size(p));
        widest = csim__max64(widest, csim__max64(p->left->width, p->right->width));
        if (p->out == NULL) {
            CSIM_TRY(csim__calloc(ctx, block_size(p), sizeof(int64_t), "a block", &b->acc[i]));
            continue;
        }
        b->acc[i] = (int64_t *)(void *)p->out;
        for (int64_t k = 0; k < block_size(p); k++) { b->acc[i][k] = 0; }
    }
    CSIM_TRY(csim__alloc(ctx, largest, sizeof(double), "a partial block", &b->part));
    for (int k = 0; k < 2; k++) {
        CSIM_TRY(csim__alloc(ctx, widest, sizeof(double), "scale factors", &b->factor[k]));
    }
done:
    return st;
}

void csim__bundle_add(csim__bundle *b, int64_t i, int64_t chunk)
{
    const csim__product *p = &b->product[i];
    double work = (p->left == p->right ? 1.0 : 2.0) * (double)block_size(p) *
                  (double)csim__chunk_rows(b->shard, b->shard->first + chunk);
    csim__product_factors(p, b->factor);
    csim__product_add(b->ctx, b->shard, p, chunk, b->part, b->factor, b->acc[i]);
    b->flops += work;
    csim__meter_add(b->meter, "cross products", work);
}

csim_status csim__bundle_sum(csim__bundle *b)
{
    csim__flight flight[FLIGHTS] = {{.ctx = NULL}};
    int64_t largest = 0;
    csim_status st = CSIM_OK;
    csim__phase_begin(b->ctx, "cross");
    for (int64_t i = 0; i < b->count; i++) {
        largest = csim__max64(largest, block_size(&b->product[i]));
    }
    for (int k = 0; st == CSIM_OK && k < FLIGHTS; k++) {
        st = csim__flight_make(b->ctx, 0, largest, 1, &flight[k]);
    }
    st = csim__vote(b->ctx, st);
    for (int64_t i = 0; st == CSIM_OK && i < b->count + FLIGHTS; i++) {
        csim__flight *f = &flight[i % FLIGHTS];
        if (i >= FLIGHTS) {
            const csim__product *p = &b->product[i - FLIGHTS];
            st = csim__flight_land(f);
            if (st == CSIM_OK && p->out != NULL) {
                csim__product_value(p, b->acc[i - FLIGHTS], b->factor);
            }
        }
        if (st == CSIM_OK && i < b->count) {
            const csim__product *p = &b->product[i];
            st = csim__flight_take_off(f, b->acc[i], block_size(p), p->owner);
        }
    }
    for (int k = 0; st != CSIM_OK && k < FLIGHTS; k++) { csim__flight_land(&flight[k]); }
    st = csim__vote(b->ctx, st);
    for (int k = 0; k < FLIGHTS; k++) { csim__flight_clear(&flight[k]); }
    csim__phase_end(b->ctx, b->flops, 0);
    return st;
}

void csim__bundle_close(csim__bundle *b)
{
    if (b->ctx == NULL) { return; }
    for (int k = 0; k < 2; k++) { csim__free(b->ctx, &b->factor[k]); }
    csim__free(b->ctx, &b->part);
    for (int64_t i = 0; b->acc != NULL && i < b->count; i++) {
        if (b->product[i].out == NULL) { csim__free(b->ctx, &b->acc[i]); }
    }
    csim__free(b->ctx, &b->acc);
    b->ctx = NULL;
}
