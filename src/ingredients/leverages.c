#include <math.h>

#include "core/exact.h"
#include "ingredients/basis.h"
#include "ingredients/feed.h"
#include "linalg/dense.h"

/* Of the rows of a chunk, of which the basis has q columns; no diagonal entry is above 1. */
static double of_chunk(const csim__basis *b, const double *u, int64_t rows)
{
    double sum = 0;
    for (int64_t i = 0; i < rows; i++, u += b->q) {
        double leverage = csim__dot(b->r, u, u);
        sum += leverage * leverage;
    }
    return sum;
}

static csim_status of_site(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                           csim__meter *meter, int exponent, csim__exact *sum)
{
    csim__guest guest = {.site = site, .forms = CSIM__FORM_BASIS};
    csim__feed feed = {.ctx = NULL};
    const csim__basis *b = &site->basis;
    bool read = b->u == NULL;
    csim_status st = CSIM_OK;
    if (read) { CSIM_TRY(csim__feed_open(ctx, shard, &guest, 1, true, meter, &feed)); }
    for (int64_t c = 0; c < shard->count; c++) {
        int64_t rows = csim__chunk_rows(shard, shard->first + c);
        if (read) { CSIM_TRY(csim__feed_next(&feed)); }
        const double *u = read ? guest.basis : b->u + c * shard->chunk * b->q;
        csim__exact_add(sum, of_chunk(b, u, rows), exponent);
    }
done:
    csim__feed_close(&feed);
    return st;
}

csim_status csim__leverages(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                            int count, csim__meter *meter)
{
    int exponent = csim__exact_exponent(2 * (double)shard->n);
    csim_status st = CSIM_OK;
    for (int s = 0; st == CSIM_OK && s < count; s++) {
        csim__exact sum = {0, 0};
        if (sites[s]->basis.failed) { continue; }
        st = csim__vote(ctx, of_site(ctx, shard, sites[s], meter, exponent, &sum));
        if (st == CSIM_OK) { st = csim__exact_reduce(ctx, &sum, 1); }
        sites[s]->basis.leverage = csim__exact_value(sum, exponent);
    }
    return st;
}
