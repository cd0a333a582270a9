#include "ingredients/spread.h"

#include <float.h>
#include <math.h>

#include "core/exact.h"
#include "linalg/dense.h"

csim_status csim__spread(csim_context *ctx, const csim_shard *shard, csim__site *site)
{
    double *x = NULL, size = sqrt(csim__dot(site->d, site->mean, site->mean));
    double n = (double)shard->n;
    int e = csim__exact_exponent(2 * n);
    csim__exact sum = {0, 0};
    csim_status st = csim__alloc(ctx, site->d, sizeof *x, "a row", &x);
    st = csim__vote(ctx, st);
    for (int64_t c = 0; st == CSIM_OK && c < shard->count; c++) {
        double part = 0;
        for (int64_t i = 0; i < csim__chunk_rows(shard, shard->first + c); i++) {
            csim__site_raw_row(site, c * shard->chunk + i, x);
            double norm = sqrt(csim__dot(site->d, x, x));
            part += norm > 0 && size > 0 ? csim__dot(site->d, x, site->mean) / norm / size : 0;
        }
        csim__exact_add(&sum, part, e);
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, &sum, 1); }
    bool none = size * size * n <= 64 * DBL_EPSILON * DBL_EPSILON * site->raw_square;
    site->spread = none ? NAN : csim__exact_value(sum, e) / n;
    csim__free(ctx, &x);
    return st;
}
