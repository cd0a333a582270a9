#include "ingredients/panel.h"

#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "linalg/dense.h"

/* A GEMM keeps its speed from some 200 rows on (measured), and messages are not to be small. */
int64_t csim__cross_rows(int64_t left, int64_t right)
{
    enum { WHOLE = 1 << 20, LEAST = 1 << 18, ROWS = 256 };
    if (left * right <= WHOLE) { return left; }
    return csim__min64(left, csim__max64(ROWS, LEAST / right));
}

/* Scale factors for the rows as they are stored. */
static void stored_factors(const csim__operand *o, double *factor)
{
    csim__exact_factors(o->norm, o->width, factor);
    for (int64_t i = 0; o->shift != 0 && i < o->width; i++) {
        factor[i] = ldexp(factor[i], o->shift);
    }
}

void csim__panel_factors(const csim__product *p, double *const factor[2])
{
    stored_factors(p->left, factor[0]);
    stored_factors(p->right, factor[1]);
}

int64_t csim__panel_lay_out(csim__panel *l, const csim__product *p, int64_t first, int rank,
                            int64_t *spare)
{
    int64_t wl = p->left->width, wr = p->right->width, taken = 0;
    l->product = p;
    l->p = p->grid != NULL ? p->grid->p : 1;
    l->q = p->grid != NULL ? p->grid->q : 1;
    l->block = p->grid != NULL ? p->grid->block : csim__max64(wl, wr);
    l->first = first;
    l->rows = csim__min64(csim__cross_rows(wl, wr), wl - first);
    for (int k = 0; k < l->p * l->q; k++) {
        csim__piece *t = &l->piece[k];
        t->row = k / l->q;
        t->col = k % l->q;
        t->rank = p->owner + k;
        t->at = csim__grid_share(first, l->block, t->col, l->q);
        t->rows = csim__grid_share(first + l->rows, l->block, t->col, l->q) - t->at;
        t->cols = csim__grid_share(wr, l->block, t->row, l->p);
        t->acc = spare + taken;
        if (t->rank == rank) {
            double *out = p->share != NULL ? p->share->x : p->out;
            t->acc = (int64_t *)(void *)out + t->at * t->cols;
        } else {
            taken += t->rows * t->cols;
        }
        memset(t->acc, 0, (size_t)(t->rows * t->cols) * sizeof *t->acc);
    }
    return taken;
}

/* Add the part of a partial, double or float, that begins at row i of the panel and column j. */
static void add_part(const csim__panel *l, const void *partial, double *const factor[2],
                     bool single, int64_t i, int64_t j, int64_t m, int64_t n)
{
    int64_t step = l->product->right->width, row = (l->first + i) / l->block, col = j / l->block;
    const csim__piece *t = &l->piece[col % l->p * l->q + row % l->q];
    const double *fx = factor[0] + l->first + i, *fy = factor[1] + j;
    int64_t *acc = t->acc + csim__grid_share(j, l->block, t->row, l->p) +
                   (csim__grid_share(l->first + i, l->block, t->col, l->q) - t->at) * t->cols;
    if (single) {
        const float *part = (const float *)partial + i * step + j;
        csim__exact_add_block_f(acc, t->cols, part, step, m, n, fx, fy, false);
    } else {
        const double *part = (const double *)partial + i * step + j;
        csim__exact_add_block(acc, t->cols, part, step, m, n, fx, fy, false);
    }
}

static void add_partial(const csim__panel *l, const void *partial, double *const factor[2],
                        bool single)
{
    int64_t b = l->block, n = l->product->right->width;
    for (int64_t i = 0, m; i < l->rows; i += m) {
        m = csim__min64(b - (l->first + i) % b, l->rows - i);
        for (int64_t j = 0; j < n; j += b) {
            add_part(l, partial, factor, single, i, j, m, csim__min64(b, n - j));
        }
    }
}

/* The partial of a triangle's panel has the columns from its first row on. */
static void add_triangle(const csim__panel *l, const void *partial, const double *factor,
                         bool single)
{
    int64_t n = l->product->right->width, at = l->first, cols = n - at;
    const double *f = factor + at;
    int64_t *acc = l->piece[0].acc + at;
    if (single) {
        csim__exact_add_block_f(acc, n, partial, cols, l->rows, cols, f, f, true);
    } else {
        csim__exact_add_block(acc, n, partial, cols, l->rows, cols, f, f, true);
    }
}

/* The partial of k rows, of the sides from rows @p left and @p right on. */
static void multiply(const csim__panel *l, int64_t left, int64_t right, int k, void *partial)
{
    const csim__operand *a = l->product->left, *b = l->product->right;
    int m = (int)l->rows, lda = (int)a->width, ldb = (int)b->width, cols = ldb - (int)l->first;
    int64_t x = left * lda + l->first, y = right * ldb;
    int64_t rest = x + m; /* of a triangle what is right of its corner */
    if (a != b && a->xf != NULL) {
        csim__gemm_tn_f(m, ldb, k, a->xf + x, lda, b->xf + y, ldb, partial, ldb);
    } else if (a != b) {
        csim__gemm_tn(m, ldb, k, a->x + x, lda, b->x + y, ldb, partial, ldb);
    } else if (a->xf != NULL) {
        float *part = partial;
        csim__syrk_tn_f(m, k, a->xf + x, lda, part, cols);
        if (cols > m) {
            csim__gemm_tn_f(m, cols - m, k, a->xf + x, lda, a->xf + rest, lda, part + m, cols);
        }
    } else {
        double *part = partial;
        csim__syrk_tn(m, k, a->x + x, lda, part, cols);
        if (cols > m) {
            csim__gemm_tn(m, cols - m, k, a->x + x, lda, a->x + rest, lda, part + m, cols);
        }
    }
}

double csim__panel_work(const csim__panel *l, int64_t rows)
{
    const csim__product *p = l->product;
    double m = (double)l->rows, n = (double)p->right->width;
    if (p->left != p->right) { return 2 * m * n * (double)rows; }
    return m * (2 * (n - (double)l->first) - m) * (double)rows;
}

void csim__panel_add(csim_context *ctx, const csim_shard *shard, const csim__panel *l,
                     int64_t chunk, void *part, double *const factor[2])
{
    const csim__product *p = l->product;
    bool single = p->left->xf != NULL;
    int64_t row = chunk * shard->chunk;
    int k = (int)csim__chunk_rows(shard, shard->first + chunk);
    csim__phase_begin(ctx, "products");
    multiply(l, p->left->passing ? 0 : row, p->right->passing ? 0 : row, k, part);
    csim__phase_end(ctx, csim__panel_work(l, k), 0);
    if (p->left == p->right) {
        add_triangle(l, part, factor[0], single);
    } else {
        add_partial(l, part, factor, single);
    }
}

csim_status csim__panel_take_off(const csim__panel *l, csim__flight *flight)
{
    csim_status st = CSIM_OK;
    for (int k = 0; st == CSIM_OK && k < l->p * l->q; k++) {
        const csim__piece *t = &l->piece[k];
        st = csim__flight_take_off(flight, t->acc, t->rows * t->cols, t->rank);
    }
    return st;
}

static void convert(const csim__panel *l, const csim__piece *t, double *const factor[2])
{
    const csim__product *p = l->product;
    double *fx = factor[0], *fy = factor[1], *out = (double *)(void *)t->acc;
    csim__exact_factors(p->left->norm, p->left->width, fx);
    csim__exact_factors(p->right->norm, p->right->width, fy);
    if (p->left == p->right) {
        const int64_t *acc = (const int64_t *)(const void *)p->out;
        csim__exact_triangle_value(acc, l->first, l->rows, p->right->width, fx, p->out);
        return;
    }
    for (int64_t i = 0; i < t->rows; i++) {
        fx[i] = fx[csim__grid_index(t->at + i, l->block, t->col, l->q)];
    }
    for (int64_t j = 0; j < t->cols; j++) {
        fy[j] = fy[csim__grid_index(j, l->block, t->row, l->p)];
    }
    csim__exact_block_value(t->acc, t->rows, t->cols, fx, fy, out);
}

void csim__panel_value(const csim__panel *l, int rank, double *const factor[2])
{
    for (int k = 0; k < l->p * l->q; k++) {
        if (l->piece[k].rank == rank) { convert(l, &l->piece[k], factor); }
    }
}
