#include "ingredients/leave.h"

#include <math.h>
#include <string.h>

/* Examples of a block that a rank has at most, itself a run of whole pieces: a block is a run of chunks,
 * or a part of one, as both lengths are powers of two. */
static int64_t most_rows(const csim_shard *shard, const csim__blocks *blocks)
{
    return csim__min64(shard->rows, blocks->length);
}

int64_t csim__leave_bytes(const csim_shard *shard, const csim__blocks *blocks, int sites,
                          int64_t widths)
{
    int64_t numbers = widths + (int64_t)CSIM__LEAVE_MORE * sites;
    return 8 * numbers * (most_rows(shard, blocks) + 1) + 64 * (int64_t)sites;
}

csim_status csim__leave_open(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                             int count, const csim__blocks *blocks, csim__leave *l)
{
    csim_status st = CSIM_OK;
    *l =
        (csim__leave){.ctx = ctx, .shard = shard, .blocks = *blocks, .site = sites, .count = count};
    CSIM_TRY(csim__calloc(ctx, count, sizeof *l->rows, "rows of a block", &l->rows));
    CSIM_TRY(csim__calloc(ctx, count, sizeof *l->norm, "bounds", &l->norm));
    CSIM_TRY(csim__calloc(ctx, count, sizeof *l->operand, "operands", &l->operand));
    for (int s = 0; s < count; s++) {
        const csim__site *site = sites[s];
        int64_t width = site->d + CSIM__LEAVE_MORE;
        CSIM_TRY(csim__alloc(ctx, width, sizeof(double), "bounds", &l->norm[s]));
        CSIM_TRY(csim__alloc(ctx, most_rows(shard, blocks) * width, sizeof(double),
                             "rows of a block", &l->rows[s]));
        memcpy(l->norm[s], site->norm, (size_t)site->d * sizeof(double));
        l->norm[s][site->d] = sqrt(site->square_of_norms);
        l->norm[s][site->d + 1] = sqrt((double)shard->n);
        l->operand[s] = (csim__operand){.width = width, .x = l->rows[s], .norm = l->norm[s]};
    }
done:
    return st;
}

void csim__leave_close(csim__leave *l)
{
    for (int s = 0; s < l->count; s++) {
        if (l->rows != NULL) { csim__free(l->ctx, &l->rows[s]); }
        if (l->norm != NULL) { csim__free(l->ctx, &l->norm[s]); }
    }
    csim__free(l->ctx, &l->rows);
    csim__free(l->ctx, &l->norm);
    csim__free(l->ctx, &l->operand);
}

/* The examples of a block that this rank has, in pieces that are chunks, or parts of one. */
static csim_shard block_shard(const csim__leave *l, int b)
{
    csim_shard s = *l->shard;
    int64_t from = b * l->blocks.length, end = from + csim__blocks_rows(&l->blocks, b);
    int64_t first = csim__max64(from, s.row0), last = csim__min64(end, s.row0 + s.rows);
    s.chunk = csim__min64(s.chunk, l->blocks.length);
    s.chunks = (s.n + s.chunk - 1) / s.chunk;
    s.row0 = csim__min64(first, s.n);
    s.rows = csim__max64(last - first, 0);
    s.first = s.row0 / s.chunk;
    s.count = (s.rows + s.chunk - 1) / s.chunk;
    return s;
}

static void take_rows(csim__leave *l, int s, const csim_shard *part)
{
    const csim__site *site = l->site[s];
    int64_t d = site->d, at = part->row0 - l->shard->row0;
    double *to = l->rows[s];
    for (int64_t i = at; i < at + part->rows; i++, to += d + CSIM__LEAVE_MORE) {
        memcpy(to, site->x + i * d, (size_t)d * sizeof *to);
        to[d] = site->row_square[i];
        to[d + 1] = 1;
    }
}

csim_status csim__leave_products(csim__leave *l, int b, const csim__couple *couples,
                                 const int *owner, double *const *out, int count,
                                 csim__meter *meter)
{
    csim_shard part = block_shard(l, b);
    csim__product *product = NULL;
    unsigned char *here = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(l->ctx, count, sizeof *product, "products", &product));
    CSIM_TRY(csim__calloc(l->ctx, l->count, 1, "marks of sites", &here));
    for (int i = 0; i < count; i++) {
        const csim__couple *c = &couples[i];
        product[i] = (csim__product){.left = &l->operand[c->left],
                                     .right = &l->operand[c->right],
                                     .owner = owner[i],
                                     .out = out[i]};
        here[c->left] = here[c->right] = 1;
    }
    for (int s = 0; s < l->count; s++) {
        if (here[s]) { take_rows(l, s, &part); }
    }
done:
    st = csim__vote(l->ctx, st);
    if (st == CSIM_OK) { st = csim__cross_pass(l->ctx, &part, product, count, meter); }
    csim__free(l->ctx, &here);
    csim__free(l->ctx, &product);
    return st;
}

/* ---- what is left ---- */

typedef struct left {
    const double *all, *block;
    int64_t e;
} left;

/* An entry of the product of the rows that are left. */
static double entry(const left *l, int64_t i, int64_t j)
{
    int64_t at = i * (l->e + CSIM__LEAVE_MORE) + j;
    return l->block != NULL ? l->all[at] - l->block[at] : l->all[at];
}

/* With μ the mean of the rows x̃ that are left, ‖x̃ − μ‖² = ‖x̃‖² − 2⟨x̃,μ⟩ + ‖μ‖², which is linear in a
 * row and what is beside it. */
double csim__leave_rest(const double *all, const double *block, int64_t d, int64_t e, double *rest)
{
    left l = {all, block, e};
    double n = entry(&l, d + 1, e + 1), square_x = 0, square_y = 0, diagonal = 0;
    for (int64_t i = 0; i < d; i++) { square_x += pow(entry(&l, i, e + 1) / n, 2); }
    for (int64_t j = 0; j < e; j++) { square_y += pow(entry(&l, d + 1, j) / n, 2); }
    for (int64_t i = 0; i < d + CSIM__LEAVE_MORE; i++) {
        double mean = entry(&l, i, e + 1) / n, row = 0;
        for (int64_t j = 0; j < e; j++) {
            double other = entry(&l, d + 1, j) / n, value = entry(&l, i, j);
            if (i < d) { rest[i * e + j] = value - n * mean * other; }
            row -= 2 * value * other;
        }
        row += entry(&l, i, e) + square_y * entry(&l, i, e + 1);
        diagonal += (i < d ? -2 * mean : i == d ? 1 : square_x) * row;
    }
    return diagonal;
}
