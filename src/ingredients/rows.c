#include <math.h>

#include "core/exact.h"
#include "ingredients/rows.h"
#include "linalg/dense.h"

/* Rows as read of one site for one chunk, and 1/length of each (0 for a zero row). */
typedef struct raw_chunk {
    double *x, *inverse;
} raw_chunk;

static void fill(const csim__site *site, int64_t first, int64_t rows, raw_chunk *out)
{
    for (int64_t i = 0; i < rows; i++) {
        double *x = out->x + i * site->d;
        csim__site_raw_row(site, first + i, x);
        double length = sqrt(csim__dot(site->d, x, x));
        out->inverse[i] = length > 0 ? 1 / length : 0;
    }
}

static void raw_sums(const raw_chunk *a, const raw_chunk *b, int64_t rows, int64_t d, double *dot,
                     double *gap)
{
    *dot = *gap = 0;
    for (int64_t i = 0; i < rows; i++) {
        const double *x = a->x + i * d, *y = b->x + i * d;
        double square = 0;
        *dot += csim__dot(d, x, y);
        for (int64_t j = 0; j < d; j++) {
            double v = x[j] * a->inverse[i] - y[j] * b->inverse[i];
            square += v * v;
        }
        *gap += sqrt(square);
    }
}

enum { SUMS = 3 };

static int exponent(const csim__site *a, const csim__site *b, int which)
{
    switch (which) {
    case 0: /* Σ‖x̃_i‖²‖ỹ_i‖² ≤ the product of the sums */
        return csim__exact_exponent(2 * a->variance * b->variance);
    case 1: /* |Σ⟨x_i,y_i⟩| over any rows ≤ ‖X‖‖Y‖ */
        return csim__exact_exponent(2 * sqrt(a->raw_square) * sqrt(b->raw_square));
    default: /* each row gives at most 2 */
        return csim__exact_exponent(4 * (double)a->n);
    }
}

csim_status csim__sum_rows(csim_context *ctx, const csim_shard *shard, const csim__site *sites,
                           const csim__couple *couples, int64_t count, bool raw,
                           csim__row_sums *out)
{
    csim__exact *sum = NULL;
    raw_chunk a = {NULL, NULL}, b = {NULL, NULL};
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    csim__phase_begin(ctx, "rows");
    CSIM_TRY(csim__calloc(ctx, SUMS * count, sizeof *sum, "exact sums", &sum));
    for (int64_t p = 0; raw && p < count; p++) {
        widest = csim__max64(widest, sites[couples[p].left].d);
    }
    CSIM_TRY(csim__alloc(ctx, shard->chunk * widest, sizeof(double), "a chunk", &a.x));
    CSIM_TRY(csim__alloc(ctx, shard->chunk * widest, sizeof(double), "a chunk", &b.x));
    CSIM_TRY(csim__alloc(ctx, shard->chunk, sizeof(double), "row lengths", &a.inverse));
    CSIM_TRY(csim__alloc(ctx, shard->chunk, sizeof(double), "row lengths", &b.inverse));
    for (int64_t c = 0; c < shard->count; c++) {
        int64_t at = c * shard->chunk, rows = csim__chunk_rows(shard, shard->first + c);
        int filled = -1; /* the site whose rows are in a */
        for (int64_t p = 0; p < count; p++) {
            const csim__site *x = &sites[couples[p].left], *y = &sites[couples[p].right];
            double part[SUMS] = {csim__dot(rows, x->row_square + at, y->row_square + at), 0, 0};
            if (raw && x->d == y->d) {
                if (filled != couples[p].left) { fill(x, at, rows, &a); }
                filled = couples[p].left;
                fill(y, at, rows, &b);
                raw_sums(&a, &b, rows, x->d, &part[1], &part[2]);
            }
            for (int k = 0; k < SUMS; k++) {
                csim__exact_add(&sum[SUMS * p + k], part[k], exponent(x, y, k));
            }
        }
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, sum, SUMS * count); }
    for (int64_t p = 0; st == CSIM_OK && p < count; p++) {
        const csim__site *x = &sites[couples[p].left], *y = &sites[couples[p].right];
        out[p].diagonal = csim__exact_value(sum[SUMS * p], exponent(x, y, 0));
        out[p].dot = csim__exact_value(sum[SUMS * p + 1], exponent(x, y, 1));
        out[p].gap = csim__exact_value(sum[SUMS * p + 2], exponent(x, y, 2));
    }
    csim__free(ctx, &b.inverse);
    csim__free(ctx, &a.inverse);
    csim__free(ctx, &b.x);
    csim__free(ctx, &a.x);
    csim__free(ctx, &sum);
    csim__phase_end(ctx, 0, 0);
    return st;
}

csim_status csim__unit_rows(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                            double **out)
{
    csim_status st = csim__alloc(ctx, shard->rows * site->d, sizeof **out, "unit rows", out);
    for (int64_t i = 0; st == CSIM_OK && i < shard->rows; i++) {
        double *x = *out + i * site->d;
        csim__site_raw_row(site, i, x);
        double length = sqrt(csim__dot(site->d, x, x));
        for (int64_t j = 0; j < site->d; j++) { x[j] = length > 0 ? x[j] / length : 0; }
    }
    return st;
}

csim_status csim__raw_rows(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                           double *rows)
{
    csim_status st = CSIM_OK;
    csim__phase_begin(ctx, "read");
    for (int64_t c = shard->first; st == CSIM_OK && c < shard->first + shard->count; c++) {
        int64_t row = csim__chunk_row(shard, c);
        st = csim_set_read(site->set, site->index, row, csim__chunk_rows(shard, c),
                           rows + (row - shard->row0) * site->d);
    }
    csim__phase_end(ctx, 0, (double)(shard->rows * site->d) * sizeof *rows);
    return csim__vote(ctx, st);
}
