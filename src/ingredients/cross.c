/* A product goes by panels of rows, so that no rank holds a whole one but its owner, and none at all
 * if it is dealt: then each rank of the group is the target of the sums of its part of a panel, which
 * is one piece of its memory. A whole product is dealt to one rank in one block. */
#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/cross.h"
#include "ingredients/flight.h"
#include "linalg/dense.h"

enum { FLIGHTS = 2 }; /* panels under way at once */

/* The sums of a panel that one rank gets. */
typedef struct piece {
    int64_t *acc; /* [rows, cols] on that rank the memory of the output */
    int64_t at;   /* its first row among those that the rank has of the product */
    int64_t rows, cols;
    int row, col; /* place in the grid */
    int rank;
} piece;

/* Rows of a product whose sums are under way. */
typedef struct panel {
    const csim__product *product; /* NULL: none */
    int p, q;                     /* the grid */
    int64_t block;
    int64_t first, rows;
    piece *piece; /* [p·q] */
    csim__flight flight;
} panel;

typedef struct pass {
    csim_context *ctx;
    const csim_shard *shard;
    void *part;        /* [rows, wr] a chunk's partial of a panel, double or float */
    double *factor[2]; /* [widest] scale factors of the columns */
    panel panel[FLIGHTS];
} pass;

/* A GEMM keeps its speed from some 200 rows on (measured), and messages are not to be small. */
int64_t csim__cross_rows(int64_t left, int64_t right)
{
    enum { WHOLE = 1 << 20, LEAST = 1 << 18, ROWS = 256 };
    if (left * right <= WHOLE) { return left; }
    return csim__min64(left, csim__max64(ROWS, LEAST / right));
}

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
        if (p->grid != NULL) { pieces = csim__max64(pieces, p->grid->p * p->grid->q); }
    }
    CSIM_TRY(csim__alloc(w->ctx, largest, sizeof(double), "a partial panel", &w->part));
    for (int k = 0; k < 2; k++) {
        CSIM_TRY(csim__alloc(w->ctx, widest, sizeof(double), "scale factors", &w->factor[k]));
    }
    for (int k = 0; k < FLIGHTS; k++) {
        panel *l = &w->panel[k];
        CSIM_TRY(csim__alloc(w->ctx, pieces, sizeof *l->piece, "pieces of a panel", &l->piece));
        CSIM_TRY(csim__flight_make(w->ctx, foreign, largest, pieces, &l->flight));
    }
done:
    return st;
}

static void release(pass *w)
{
    for (int k = 0; k < FLIGHTS; k++) {
        csim__flight_clear(&w->panel[k].flight);
        csim__free(w->ctx, &w->panel[k].piece);
    }
    for (int k = 0; k < 2; k++) { csim__free(w->ctx, &w->factor[k]); }
    csim__free(w->ctx, &w->part);
}

/* Scale factors for the rows as they are stored. */
static void stored_factors(const csim__operand *o, double *factor)
{
    csim__exact_factors(o->norm, o->width, factor);
    for (int64_t i = 0; o->shift != 0 && i < o->width; i++) {
        factor[i] = ldexp(factor[i], o->shift);
    }
}

/* The panel of a product that begins at a row, and where its sums are to be, all zero. */
static void lay_out(const pass *w, panel *l, const csim__product *p, int64_t first)
{
    int64_t wl = p->left->width, wr = p->right->width, *spare = l->flight.scratch;
    l->product = p;
    l->p = p->grid != NULL ? p->grid->p : 1;
    l->q = p->grid != NULL ? p->grid->q : 1;
    l->block = p->grid != NULL ? p->grid->block : csim__max64(wl, wr);
    l->first = first;
    l->rows = csim__min64(csim__cross_rows(wl, wr), wl - first);
    for (int k = 0; k < l->p * l->q; k++) {
        piece *t = &l->piece[k];
        t->row = k / l->q;
        t->col = k % l->q;
        t->rank = p->owner + k;
        t->at = csim__grid_share(first, l->block, t->col, l->q);
        t->rows = csim__grid_share(first + l->rows, l->block, t->col, l->q) - t->at;
        t->cols = csim__grid_share(wr, l->block, t->row, l->p);
        t->acc = spare;
        if (t->rank == w->shard->rank) {
            double *out = p->share != NULL ? p->share->x : p->out;
            t->acc = (int64_t *)(void *)out + t->at * t->cols;
        } else {
            spare += t->rows * t->cols;
        }
        memset(t->acc, 0, (size_t)(t->rows * t->cols) * sizeof *t->acc);
    }
}

/* Add the part of a partial, double or float, that begins at row i of the panel and column j. */
static void add_part(const pass *w, const panel *l, bool single, int64_t i, int64_t j, int64_t m,
                     int64_t n)
{
    int64_t step = l->product->right->width, row = (l->first + i) / l->block, col = j / l->block;
    const piece *t = &l->piece[col % l->p * l->q + row % l->q];
    const double *fx = w->factor[0] + l->first + i, *fy = w->factor[1] + j;
    int64_t *acc = t->acc + csim__grid_share(j, l->block, t->row, l->p) +
                   (csim__grid_share(l->first + i, l->block, t->col, l->q) - t->at) * t->cols;
    if (single) {
        const float *part = (const float *)w->part + i * step + j;
        csim__exact_add_block_f(acc, t->cols, part, step, m, n, fx, fy, false);
    } else {
        const double *part = (const double *)w->part + i * step + j;
        csim__exact_add_block(acc, t->cols, part, step, m, n, fx, fy, false);
    }
}

static void add_partial(const pass *w, const panel *l, bool single)
{
    int64_t b = l->block, n = l->product->right->width;
    for (int64_t i = 0, m; i < l->rows; i += m) {
        m = csim__min64(b - (l->first + i) % b, l->rows - i);
        for (int64_t j = 0; j < n; j += b) {
            add_part(w, l, single, i, j, m, csim__min64(b, n - j));
        }
    }
}

/* The partial of a triangle's panel has the columns from its first row on. */
static void add_triangle(const pass *w, const panel *l, bool single)
{
    int64_t n = l->product->right->width, at = l->first, cols = n - at;
    const double *f = w->factor[0] + at;
    int64_t *acc = l->piece[0].acc + at;
    if (single) {
        csim__exact_add_block_f(acc, n, w->part, cols, l->rows, cols, f, f, true);
    } else {
        csim__exact_add_block(acc, n, w->part, cols, l->rows, cols, f, f, true);
    }
}

/* The partial of k rows from row @p at on. */
static void multiply(pass *w, const panel *l, int64_t at, int k)
{
    const csim__operand *a = l->product->left, *b = l->product->right;
    int m = (int)l->rows, lda = (int)a->width, ldb = (int)b->width, cols = ldb - (int)l->first;
    int64_t x = at * lda + l->first, rest = x + m; /* a triangle: its corner, and right of it */
    if (a != b && a->xf != NULL) {
        csim__gemm_tn_f(m, ldb, k, a->xf + x, lda, b->xf + at * ldb, ldb, w->part, ldb);
    } else if (a != b) {
        csim__gemm_tn(m, ldb, k, a->x + x, lda, b->x + at * ldb, ldb, w->part, ldb);
    } else if (a->xf != NULL) {
        float *part = w->part;
        csim__syrk_tn_f(m, k, a->xf + x, lda, part, cols);
        if (cols > m) {
            csim__gemm_tn_f(m, cols - m, k, a->xf + x, lda, a->xf + rest, lda, part + m, cols);
        }
    } else {
        double *part = w->part;
        csim__syrk_tn(m, k, a->x + x, lda, part, cols);
        if (cols > m) {
            csim__gemm_tn(m, cols - m, k, a->x + x, lda, a->x + rest, lda, part + m, cols);
        }
    }
}

static double work_of(const panel *l, int64_t rows)
{
    const csim__product *p = l->product;
    double m = (double)l->rows, n = (double)p->right->width;
    if (p->left != p->right) { return 2 * m * n * (double)rows; }
    return m * (2 * (n - (double)l->first) - m) * (double)rows;
}

/* This rank's chunks of one panel, added into its pieces. */
static void accumulate(pass *w, const panel *l, csim__flight *under_way)
{
    const csim__product *p = l->product;
    bool single = p->left->xf != NULL;
    stored_factors(p->left, w->factor[0]);
    stored_factors(p->right, w->factor[1]);
    for (int64_t c = 0; c < w->shard->count; c++) {
        int k = (int)csim__chunk_rows(w->shard, w->shard->first + c);
        csim__phase_begin(w->ctx, "products");
        multiply(w, l, c * w->shard->chunk, k);
        csim__phase_end(w->ctx, work_of(l, k), 0);
        p->left == p->right ? add_triangle(w, l, single) : add_partial(w, l, single);
        csim__flight_poll(under_way);
    }
}

static csim_status take_off(panel *l)
{
    csim_status st = CSIM_OK;
    for (int k = 0; st == CSIM_OK && k < l->p * l->q; k++) {
        const piece *t = &l->piece[k];
        st = csim__flight_take_off(&l->flight, t->acc, t->rows * t->cols, t->rank);
    }
    return st;
}

/* The sums that this rank got become numbers, in place. */
static void convert(pass *w, const panel *l, const piece *t)
{
    const csim__product *p = l->product;
    double *fx = w->factor[0], *fy = w->factor[1], *out = (double *)(void *)t->acc;
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

static csim_status land(pass *w, panel *l)
{
    if (l->product == NULL) { return CSIM_OK; }
    csim_status st = csim__flight_land(&l->flight);
    for (int k = 0; st == CSIM_OK && k < l->p * l->q; k++) {
        if (l->piece[k].rank == w->shard->rank) { convert(w, l, &l->piece[k]); }
    }
    l->product = NULL;
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
            panel *l = &w.panel[turn];
            turn = (turn + 1) % FLIGHTS;
            st = land(&w, l);
            lay_out(&w, l, &products[i], at);
            accumulate(&w, l, &w.panel[turn].flight);
            if (st == CSIM_OK) { st = take_off(l); }
            double work = work_of(l, shard->rows);
            flops += work;
            csim__meter_add(meter, "cross products", work);
            at += l->rows;
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
