#include "ingredients/rows.h"

#include <math.h>
#include <string.h>

#include "ingredients/order.h"
#include "linalg/dense.h"

/* Rows as read, and 1/length of each (0 for a zero row). */
static void fill(const csim__site *site, int place, int64_t chunk, const double *centred,
                 int64_t rows, struct csim__raw_chunk *out)
{
    if (out->site == place && out->chunk == chunk) { return; }
    out->site = place;
    out->chunk = chunk;
    csim__rows_restore(centred, rows, site->d, site->mean, out->x);
    for (int64_t i = 0; i < rows; i++) {
        const double *x = out->x + i * site->d;
        double length = sqrt(csim__dot(site->d, x, x));
        out->inverse[i] = length > 0 ? 1 / length : 0;
    }
}

static void raw_sums(const struct csim__raw_chunk *a, const struct csim__raw_chunk *b, int64_t rows,
                     int64_t d, double *dot, double *gap)
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

/* |Σ⟨x_i,y_i⟩| over any rows ≤ ‖X‖‖Y‖; each row gives a gap of at most 2. */
static int dot_exponent(const csim__site *a, const csim__site *b)
{
    return csim__exact_exponent(2 * sqrt(a->raw_square) * sqrt(b->raw_square));
}

static int gap_exponent(const csim__site *a)
{
    return csim__exact_exponent(4 * (double)a->n);
}

csim_status csim__row_bundle_open(csim_context *ctx, const csim_shard *shard,
                                  const csim__site *sites, const csim__couple *couples,
                                  int64_t count, csim__row_bundle *b)
{
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    *b = (csim__row_bundle){.ctx = ctx, .site = sites, .couple = couples, .count = count};
    for (int64_t p = 0; p < count; p++) {
        if (csim__couple_alike(sites, &couples[p])) {
            widest = csim__max64(widest, sites[couples[p].left].d);
        }
    }
    CSIM_TRY(csim__calloc(ctx, 2 * count, sizeof *b->sum, "exact sums", &b->sum));
    for (int k = 0; k < 2; k++) {
        struct csim__raw_chunk *side = &b->side[k];
        side->site = -1;
        CSIM_TRY(csim__alloc(ctx, shard->chunk * widest, sizeof(double), "a chunk", &side->x));
        CSIM_TRY(csim__alloc(ctx, shard->chunk, sizeof(double), "row lengths", &side->inverse));
    }
done:
    return st;
}

void csim__row_bundle_add(csim__row_bundle *b, int64_t i, int64_t chunk, int64_t rows,
                          const double *x, const double *y)
{
    const csim__couple *c = &b->couple[i];
    const csim__site *left = &b->site[c->left], *right = &b->site[c->right];
    double dot, gap;
    fill(left, c->left, chunk, x, rows, &b->side[0]);
    fill(right, c->right, chunk, y, rows, &b->side[1]);
    raw_sums(&b->side[0], &b->side[1], rows, left->d, &dot, &gap);
    csim__exact_add(&b->sum[2 * i], dot, dot_exponent(left, right));
    csim__exact_add(&b->sum[2 * i + 1], gap, gap_exponent(left));
}

csim_status csim__row_bundle_sum(csim__row_bundle *b, csim__row_sums *out)
{
    csim_status st = csim__exact_reduce(b->ctx, b->sum, 2 * b->count);
    for (int64_t p = 0; st == CSIM_OK && p < b->count; p++) {
        const csim__site *x = &b->site[b->couple[p].left], *y = &b->site[b->couple[p].right];
        out[p].dot = csim__exact_value(b->sum[2 * p], dot_exponent(x, y));
        out[p].gap = csim__exact_value(b->sum[2 * p + 1], gap_exponent(x));
    }
    return st;
}

void csim__row_bundle_close(csim__row_bundle *b)
{
    if (b->ctx == NULL) { return; }
    for (int k = 0; k < 2; k++) {
        csim__free(b->ctx, &b->side[k].inverse);
        csim__free(b->ctx, &b->side[k].x);
    }
    csim__free(b->ctx, &b->sum);
    b->ctx = NULL;
}

/* Σ‖x̃_i‖²‖ỹ_i‖² ≤ the product of the sums */
static int diagonal_exponent(const csim__site *a, const csim__site *b)
{
    return csim__exact_exponent(2 * a->variance * b->variance);
}

csim_status csim__sum_rows(csim_context *ctx, const csim_shard *shard, const csim__site *sites,
                           const csim__couple *couples, int64_t count, bool raw,
                           csim__row_sums *out)
{
    csim__exact *sum = NULL;
    csim__row_bundle bundle = {.ctx = NULL};
    csim_status st = CSIM_OK;
    csim__phase_begin(ctx, "rows");
    CSIM_TRY(csim__calloc(ctx, count, sizeof *sum, "exact sums", &sum));
    if (raw) { CSIM_TRY(csim__row_bundle_open(ctx, shard, sites, couples, count, &bundle)); }
    for (int64_t c = 0; c < shard->count; c++) {
        int64_t at = c * shard->chunk, rows = csim__chunk_rows(shard, shard->first + c);
        for (int64_t p = 0; p < count; p++) {
            const csim__site *x = &sites[couples[p].left], *y = &sites[couples[p].right];
            double part = csim__dot(rows, x->row_square + at, y->row_square + at);
            csim__exact_add(&sum[p], part, diagonal_exponent(x, y));
            if (raw && x->d == y->d) {
                csim__row_bundle_add(&bundle, p, c, rows, x->x + at * x->d, y->x + at * y->d);
            }
        }
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, sum, count); }
    for (int64_t p = 0; st == CSIM_OK && p < count; p++) {
        const csim__site *x = &sites[couples[p].left], *y = &sites[couples[p].right];
        out[p].diagonal = csim__exact_value(sum[p], diagonal_exponent(x, y));
        out[p].dot = out[p].gap = 0;
    }
    if (st == CSIM_OK && raw) { st = csim__row_bundle_sum(&bundle, out); }
    csim__row_bundle_close(&bundle);
    csim__free(ctx, &sum);
    csim__phase_end(ctx, 0, 0);
    return st;
}

csim_status csim__unit_rows(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                            double **out)
{
    csim_status st = csim__alloc(ctx, shard->rows * site->d, sizeof **out, "unit rows", out);
    if (st != CSIM_OK) { return st; }
    csim__rows_restore(site->x, shard->rows, site->d, site->mean, *out);
    csim__rows_unit(*out, shard->rows, site->d);
    return st;
}

/* The rows as read in the order of the site. */
static csim_status put_in_order(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                                double *rows)
{
    double *copy = NULL;
    int64_t numbers = shard->rows * site->d;
    csim_status st = csim__vote(ctx, csim__alloc(ctx, numbers, sizeof *copy, "rows", &copy));
    if (st == CSIM_OK) {
        if (numbers > 0) { memcpy(copy, rows, (size_t)numbers * sizeof *copy); }
        st = csim__order_rows(ctx, shard, site->order, copy, site->d * (int64_t)sizeof *copy, rows);
    }
    csim__free(ctx, &copy);
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
    st = csim__vote(ctx, st);
    return st == CSIM_OK && site->order != NULL ? put_in_order(ctx, shard, site, rows) : st;
}
