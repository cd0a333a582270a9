#include "ingredients/kernels.h"

#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/gram.h"
#include "ingredients/kernel_views.h"
#include "ingredients/ring.h"
#include "ingredients/rows.h"
#include "linalg/dense.h"
#include "linalg/exponential.h"

typedef struct pass {
    csim_context *ctx;
    const csim_shard *shard;
    csim__site *const *site;
    int count;
    const csim__kernel_form *form;
    int forms;
    const unsigned char *wanted;
    const csim__blocks *blocks; /* NULL: none is left out */
    int states; /* sums of what touches each block, then those of all; without blocks only these */
    csim__kernel_site *of;
    csim__meter *meter;
    int views, kind[CSIM__VIEWS];
    int most_forms;    /* of one view */
    double **unit;     /* [CSIM__VIEWS, count] rows of length 1, NULL: not needed */
    const void **rows; /* [views, count] */
    int64_t *width;    /* [views, count] */
    double *extra;     /* [own chunks, count, chunk] squares of lengths of centred rows */
    double **gram;     /* [count] tiles: inner products, then distances */
    double **tile;     /* [count] of a form, where another one is still to be made */
    double *partial;   /* [count, count] */
    csim__exact *sum;  /* [states, forms, count, count + count + 1]: products, through, totals */
    csim__exact *column;
    int64_t *row_sum; /* [states, forms, count, rows] scaled; over the columns of a block, of all */
    double *line;     /* [count, chunk] some of them as doubles */
    int64_t *guest;   /* the same of the rank whose chunks visit */
    csim_shard visited; /* that rank */
    int step;
    double widths, flops;
} pass;

/* ---- bounds ---- */

/* What the sum of a row can be, for a power of two that scales it to an integer. */
static double row_scale(const pass *w, int f, int s, double square)
{
    double n = (double)w->shard->n, bound = 4 * n;
    if (w->form[f].matrix == CSIM_FAR) {
        bound =
            n * sqrt(square) + sqrt(n * w->site[s]->variance) + n * w->of[f * w->count + s].shift;
    }
    return ldexp(1, 60 - csim__exact_exponent(bound));
}

static int exponent_of(const pass *w, int f, int a, int b, bool through)
{
    const csim__kernel_site *x = &w->of[f * w->count + a], *y = &w->of[f * w->count + b];
    double bound = 2 * x->longest * y->longest; /* ‖A1‖ ≤ √n‖A‖ */
    return csim__exact_exponent(through ? (double)w->shard->n * bound : bound);
}

/* |ΣA'| ≤ n‖A'‖ */
static int total_exponent(const pass *w, int f, int s)
{
    return csim__exact_exponent(2 * (double)w->shard->n * w->of[f * w->count + s].longest);
}

static csim__exact *sums_of(const pass *w, int state, int f, int a)
{
    return w->sum + (((int64_t)state * w->forms + f) * w->count + a) * (2 * w->count + 1);
}

/* ---- before the tiles ---- */

static csim_status make_lists(pass *w)
{
    csim_context *ctx = w->ctx;
    const csim_shard *me = w->shard;
    csim_status st = CSIM_OK;
    int64_t lanes = (int64_t)w->views * w->count;
    CSIM_TRY(csim__alloc(ctx, lanes, sizeof *w->rows, "row pointers", &w->rows));
    CSIM_TRY(csim__alloc(ctx, lanes, sizeof *w->width, "widths", &w->width));
    CSIM_TRY(csim__calloc(ctx, me->count * w->count * me->chunk, sizeof *w->extra, "row norms",
                          &w->extra));
    for (int v = 0; v < w->views; v++) {
        for (int s = 0; s < w->count; s++) {
            const csim__site *site = w->site[s];
            int at = v * w->count + s;
            w->width[at] = site->d;
            w->rows[at] =
                w->kind[v] == CSIM__VIEW_CENTRED ? site->x : w->unit[w->kind[v] * w->count + s];
            w->widths += (double)site->d;
        }
    }
    for (int64_t c = 0; c < me->count; c++) {
        for (int s = 0; s < w->count; s++) {
            memcpy(w->extra + (c * w->count + s) * me->chunk,
                   w->site[s]->row_square + c * me->chunk,
                   (size_t)csim__chunk_rows(me, me->first + c) * sizeof(double));
        }
    }
done:
    return st;
}

static csim_status allocate(pass *w)
{
    csim_context *ctx = w->ctx;
    int64_t sums = (int64_t)w->states * w->forms * w->count,
            tile = csim__ring_tile(w->shard->chunk);
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, CSIM__VIEWS * w->count, sizeof *w->unit, "unit rows", &w->unit));
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->gram, "tiles", &w->gram));
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->tile, "tiles", &w->tile));
    for (int s = 0; s < w->count; s++) {
        widest = csim__max64(widest, w->site[s]->d);
        CSIM_TRY(csim__alloc(ctx, tile, sizeof(double), "a tile", &w->gram[s]));
        if (w->most_forms > 1) {
            CSIM_TRY(csim__alloc(ctx, tile, sizeof(double), "a tile", &w->tile[s]));
        }
        for (int v = 0; v < w->views; v++) {
            if (w->kind[v] == CSIM__VIEW_CENTRED) { continue; }
            CSIM_TRY(csim__alloc(ctx, w->shard->rows * w->site[s]->d, sizeof(double), "unit rows",
                                 &w->unit[w->kind[v] * w->count + s]));
        }
    }
    CSIM_TRY(make_lists(w));
    CSIM_TRY(
        csim__alloc(ctx, (int64_t)w->count * w->count, sizeof *w->partial, "sums", &w->partial));
    CSIM_TRY(csim__calloc(ctx, sums * (2 * w->count + 1), sizeof *w->sum, "sums", &w->sum));
    CSIM_TRY(csim__alloc(ctx, widest, sizeof *w->column, "sums", &w->column));
    CSIM_TRY(csim__calloc(ctx, sums * w->shard->rows, sizeof *w->row_sum, "row sums", &w->row_sum));
    CSIM_TRY(csim__alloc(ctx, w->count * w->shard->chunk, sizeof *w->line, "row sums", &w->line));
    if (w->shard->size > 1) {
        CSIM_TRY(csim__calloc(ctx, sums * csim__shard_fullest(w->shard->n, w->shard->size).rows,
                              sizeof *w->guest, "row sums", &w->guest));
    }
done:
    return st;
}

static void release(pass *w)
{
    csim_context *ctx = w->ctx;
    for (int i = 0; w->unit != NULL && i < CSIM__VIEWS * w->count; i++) {
        csim__free(ctx, &w->unit[i]);
    }
    for (int s = 0; w->gram != NULL && s < w->count; s++) { csim__free(ctx, &w->gram[s]); }
    for (int s = 0; w->tile != NULL && s < w->count; s++) { csim__free(ctx, &w->tile[s]); }
    csim__free(ctx, &w->unit);
    csim__free(ctx, &w->gram);
    csim__free(ctx, &w->tile);
    csim__free(ctx, &w->rows);
    csim__free(ctx, &w->width);
    csim__free(ctx, &w->extra);
    csim__free(ctx, &w->partial);
    csim__free(ctx, &w->sum);
    csim__free(ctx, &w->column);
    csim__free(ctx, &w->row_sum);
    csim__free(ctx, &w->line);
    csim__free(ctx, &w->guest);
}

/* 1 − ‖mean of unit rows‖²: the mean of 1 − ⟨x,y⟩ over all pairs. */
static csim_status mean_angle(pass *w, const double *rows, int64_t d, double *out)
{
    const csim_shard *me = w->shard;
    int e = csim__exact_exponent(2 * (double)me->n);
    memset(w->column, 0, (size_t)d * sizeof *w->column);
    for (int64_t c = 0; c < me->count; c++) {
        int64_t many = csim__chunk_rows(me, me->first + c);
        for (int64_t j = 0; j < d; j++) {
            const double *x = rows + c * me->chunk * d + j;
            double sum = 0;
            for (int64_t i = 0; i < many; i++) { sum += x[i * d]; }
            csim__exact_add(&w->column[j], sum, e);
        }
    }
    csim_status st = csim__exact_reduce(w->ctx, w->column, d);
    *out = 1;
    for (int64_t j = 0; st == CSIM_OK && j < d; j++) {
        double mean = csim__exact_value(w->column[j], e) / (double)me->n;
        *out -= mean * mean;
    }
    *out = fmax(*out, 0);
    return st;
}

/* The rows of a view, and the middle of its dissimilarities. */
static csim_status make_view(pass *w, int v)
{
    csim_status st = CSIM_OK;
    for (int s = 0; st == CSIM_OK && s < w->count && w->kind[v] != CSIM__VIEW_CENTRED; s++) {
        double *rows = w->unit[w->kind[v] * w->count + s], middle;
        int64_t d = w->site[s]->d;
        st = csim__raw_rows(w->ctx, w->shard, w->site[s], rows);
        if (st != CSIM_OK) { break; }
        csim__rows_to_unit(rows, w->shard->rows, d, w->kind[v] == CSIM__VIEW_UNIT_CENTRED);
        st = mean_angle(w, rows, d, &middle);
        for (int f = 0; f < w->forms; f++) {
            if ((int)csim__view_of(w->form[f].matrix) == w->kind[v]) {
                w->of[f * w->count + s].shift = middle;
            }
        }
    }
    return st;
}

/* Constants that are taken off, and what is known beforehand of what is left. */
static void make_shifts(pass *w)
{
    double n = (double)w->shard->n;
    for (int f = 0; f < w->forms; f++) {
        const csim__kernel_form *form = &w->form[f];
        for (int s = 0; s < w->count; s++) {
            csim__kernel_site *of = &w->of[f * w->count + s];
            double v = w->site[s]->variance, far = sqrt(2 * v / n);
            double typical = form->typical != NULL ? form->typical[s] : far;
            *of = (csim__kernel_site){.longest = 2 * n};
            if (form->matrix == CSIM_FAR) {
                of->shift = far;
                of->longest = 2 * sqrt(2 * n * v + n * n * far * far);
            } else if (form->matrix == CSIM_RBF) {
                double ratio = form->sigma[s] > 0 ? typical / form->sigma[s] : 0;
                csim__exponentials(&of->shift, &(double){ratio * ratio}, 1, -0.5, 0);
                of->corner = 1;
                of->sigma = form->sigma[s];
            } else if (form->matrix == CSIM_UNIFORM) {
                of->corner = 1;
            }
        }
    }
}

/* ---- tiles ---- */

/* The block that a row lies in; what it adds to is of that block, and of all. */
static int block_of(const pass *w, const csim__side *side, int64_t at)
{
    return w->blocks != NULL ? (int)((side->first + at) / w->blocks->length) : 0;
}

/* Row sums of a side, own or of a visitor, over columns of one block. */
static void keep_rows(pass *w, int f, int s, const csim__side *side, int64_t at, int count,
                      const double *sum, int block)
{
    const double *square = side->extra + s * w->shard->chunk + at;
    int64_t stride = side->own ? w->shard->rows : w->visited.rows;
    int64_t first = side->first - (side->own ? w->shard->row0 : w->visited.row0) + at;
    int64_t state = (int64_t)w->forms * w->count * stride;
    int64_t *to =
        (side->own ? w->row_sum : w->guest) + ((int64_t)f * w->count + s) * stride + first;
    int64_t *all = to + (w->states - 1) * state, *part = to + block * state;
    for (int i = 0; i < count; i++) {
        int64_t whole = (int64_t)nearbyint(sum[i] * row_scale(w, f, s, square[i]));
        all[i] += whole;
        if (part != all) { part[i] += whole; }
    }
}

static void add_products(pass *w, int f, double *const *tiles, const csim__tile *t)
{
    int all = w->states - 1, left = block_of(w, t->left, t->i), right = block_of(w, t->right, t->j);
    csim__inner_products((const double *const *)tiles, w->count, (int64_t)t->m * t->n, w->wanted,
                         w->partial);
    for (int a = 0; a < w->count; a++) {
        for (int b = a; b < w->count; b++) {
            if (!w->wanted[a * w->count + b]) { continue; }
            double value = 2 * w->partial[a * w->count + b];
            int e = exponent_of(w, f, a, b, false);
            csim__exact_add(&sums_of(w, all, f, a)[b], value, e);
            if (left != all) { csim__exact_add(&sums_of(w, left, f, a)[b], value, e); }
            if (right != left) { csim__exact_add(&sums_of(w, right, f, a)[b], value, e); }
        }
    }
}

/* All forms of one view; the last one may take the place of the distances. */
static void take_forms(pass *w, int v, const csim__tile *t)
{
    double rows[CSIM__TILE], cols[CSIM__TILE];
    int last = -1;
    for (int f = 0; f < w->forms; f++) {
        if ((int)csim__view_of(w->form[f].matrix) == w->kind[v]) { last = f; }
    }
    for (int f = 0; f <= last; f++) {
        double **to = f == last ? w->gram : w->tile;
        if ((int)csim__view_of(w->form[f].matrix) != w->kind[v]) { continue; }
        for (int s = 0; s < w->count; s++) {
            csim__form_of(&w->form[f], s, w->of[f * w->count + s].shift, t, w->gram[s], to[s]);
            csim__tile_sums(to[s], t->m, t->n, rows, cols);
            keep_rows(w, f, s, t->left, t->i, t->m, rows, block_of(w, t->right, t->j));
            keep_rows(w, f, s, t->right, t->j, t->n, cols, block_of(w, t->left, t->i));
        }
        if (w->form[f].products) { add_products(w, f, to, t); }
    }
}

static void take_tile(void *user, const csim__tile *t)
{
    pass *w = user;
    double work = 0;
    for (int v = 0; v < w->views; v++) {
        for (int s = 0; s < w->count; s++) {
            int64_t d = w->site[s]->d, chunk = w->shard->chunk;
            const double *x = (const double *)t->left->row[v * w->count + s] + t->i * d;
            const double *y = (const double *)t->right->row[v * w->count + s] + t->j * d;
            double flops = (t->diagonal ? 1.0 : 2.0) * (double)d * t->m * t->n;
            csim__phase_begin(w->ctx, "products");
            t->diagonal ? csim__syrk_nt(t->m, (int)d, x, w->gram[s])
                        : csim__gemm_nt(t->m, t->n, (int)d, x, y, w->gram[s]);
            csim__phase_end(w->ctx, flops, 0);
            csim__ring_nudge(t);
            work += flops;
            if (w->kind[v] == CSIM__VIEW_CENTRED) {
                csim__squares_of(w->gram[s], t->m, t->n, d, x, y, t->left->extra + s * chunk + t->i,
                                 t->right->extra + s * chunk + t->j, t->diagonal);
            } else {
                csim__angles_of(w->gram[s], t->m, t->n, d, x, y, t->diagonal);
            }
        }
        take_forms(w, v, t);
    }
    w->flops += work;
    csim__meter_add(w->meter, "kernels", work);
}

/* ---- row sums of visitors go back ---- */

static void next_visited(pass *w)
{
    w->step++;
    w->visited =
        csim__shard(w->shard->n, (w->shard->rank + w->step) % w->shard->size, w->shard->size);
}

static csim_status bring_back(void *user, int from, int to, csim_status before)
{
    enum { PIECE = 4096, TAG = 1 << 14 }; /* a tag beyond those of the ring */
    pass *w = user;
    int64_t in[PIECE], lanes = (int64_t)w->states * w->forms * w->count;
    int64_t out_count = lanes * w->visited.rows, in_count = lanes * w->shard->rows;
    int code = MPI_SUCCESS;
    (void)before;
    for (int64_t at = 0; code == MPI_SUCCESS && (at < out_count || at < in_count); at += PIECE) {
        int sent = (int)csim__min64(PIECE, csim__max64(out_count - at, 0));
        int got = (int)csim__min64(PIECE, csim__max64(in_count - at, 0));
        code = MPI_Sendrecv(w->guest + (sent > 0 ? at : 0), sent, MPI_INT64_T,
                            sent > 0 ? from : MPI_PROC_NULL, TAG, in, got, MPI_INT64_T,
                            got > 0 ? to : MPI_PROC_NULL, TAG, csim_context_comm(w->ctx),
                            MPI_STATUS_IGNORE);
        for (int i = 0; code == MPI_SUCCESS && i < got; i++) { w->row_sum[at + i] += in[i]; }
    }
    memset(w->guest, 0, (size_t)out_count * sizeof *w->guest);
    next_visited(w);
    return csim__mpi(w->ctx, code, "exchange of row sums");
}

/* ---- after the tiles ---- */

/* The row sums of chunk @p c of this rank as doubles: over all columns, or over all but those of a block,
 * whose own rows have none. */
static void make_line(pass *w, int state, int f, int64_t c)
{
    const csim_shard *me = w->shard;
    int64_t at = c * me->chunk, many = csim__chunk_rows(me, me->first + c);
    int64_t lanes = (int64_t)w->forms * w->count * me->rows;
    const csim__blocks *blocks = state < w->states - 1 ? w->blocks : NULL;
    for (int s = 0; s < w->count; s++) {
        const int64_t *from = w->row_sum + ((int64_t)f * w->count + s) * me->rows + at;
        for (int64_t i = 0; i < many; i++) {
            int64_t whole = from[(w->states - 1) * lanes + i];
            if (blocks != NULL) { whole -= from[state * lanes + i]; }
            if (blocks != NULL && (me->row0 + at + i) / blocks->length == state) { whole = 0; }
            w->line[s * me->chunk + i] =
                (double)whole / row_scale(w, f, s, w->site[s]->row_square[at + i]);
        }
    }
}

/* Totals and inner products of row sums. */
static void sum_rows(pass *w, int state, int f)
{
    const csim_shard *me = w->shard;
    for (int64_t c = 0; c < me->count; c++) {
        int64_t many = csim__chunk_rows(me, me->first + c);
        make_line(w, state, f, c);
        for (int a = 0; a < w->count; a++) {
            const double *x = w->line + a * me->chunk;
            csim__exact *to = sums_of(w, state, f, a);
            double total = 0;
            for (int64_t i = 0; i < many; i++) { total += x[i]; }
            csim__exact_add(&to[2 * w->count], total, total_exponent(w, f, a));
            for (int b = a; b < w->count; b++) {
                const double *y = w->line + b * me->chunk;
                if (!w->form[f].products || !w->wanted[a * w->count + b]) { continue; }
                csim__exact_add(&to[w->count + b], csim__dot(many, x, y),
                                exponent_of(w, f, a, b, true));
            }
        }
    }
}

/* What is left of products without what touches a block; whole numbers, of which nothing is lost. */
static csim__exact rest_of(const pass *w, int state, int f, int a, int b)
{
    csim__exact sum = sums_of(w, state, f, a)[b], all = sums_of(w, w->states - 1, f, a)[b];
    return state == w->states - 1 ? all : (csim__exact){all.hi - sum.hi, all.lo - sum.lo};
}

static void take_out(const pass *w, int state, csim__kernel_site *of, csim__kernel_pair *pairs)
{
    for (int f = 0; f < w->forms; f++) {
        for (int a = 0; a < w->count; a++) {
            const csim__exact *from = sums_of(w, state, f, a);
            of[f * w->count + a] = w->of[f * w->count + a];
            of[f * w->count + a].total =
                csim__exact_value(from[2 * w->count], total_exponent(w, f, a));
            for (int b = a; b < w->count; b++) {
                if (!w->wanted[a * w->count + b]) { continue; }
                pairs[((int64_t)f * w->count + a) * w->count + b] = (csim__kernel_pair){
                    csim__exact_value(rest_of(w, state, f, a, b), exponent_of(w, f, a, b, false)),
                    csim__exact_value(from[w->count + b], exponent_of(w, f, a, b, true))};
            }
        }
    }
}

static void list_views(pass *w)
{
    for (int kind = 0; kind < CSIM__VIEWS; kind++) {
        int many = 0;
        for (int f = 0; f < w->forms; f++) {
            many += (int)csim__view_of(w->form[f].matrix) == kind;
        }
        if (many > 0) { w->kind[w->views++] = kind; }
        w->most_forms = many > w->most_forms ? many : w->most_forms;
    }
}

csim_status csim__kernel_pass(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                              int count, const csim__kernel_form *forms, int form_count,
                              const unsigned char *wanted, const csim__blocks *blocks,
                              csim__kernel_site *of, csim__kernel_pair *pairs, csim__meter *meter)
{
    int64_t lanes = (int64_t)form_count * count, results = blocks != NULL ? blocks->count : 1;
    pass w = {.ctx = ctx,
              .shard = shard,
              .site = sites,
              .count = count,
              .form = forms,
              .forms = form_count,
              .wanted = wanted,
              .blocks = blocks,
              .states = blocks != NULL ? blocks->count + 1 : 1,
              .of = of,
              .meter = meter};
    csim__phase_begin(ctx, "kernels");
    list_views(&w);
    csim_status st = csim__vote(ctx, allocate(&w));
    if (st == CSIM_OK) { make_shifts(&w); }
    for (int v = 0; st == CSIM_OK && v < w.views; v++) { st = make_view(&w, v); }
    if (st == CSIM_OK) {
        csim__ring_task task = {.count = w.views * count,
                                .width = w.width,
                                .rows = w.rows,
                                .numbers = count,
                                .extra = w.extra,
                                .side = blocks != NULL ? blocks->length : 0,
                                .user = &w,
                                .tile = take_tile,
                                .met = bring_back};
        next_visited(&w);
        st = csim__vote(ctx, csim__ring(ctx, shard, &task));
    }
    for (int i = 0; st == CSIM_OK && i < results * form_count; i++) {
        sum_rows(&w, i / form_count, i % form_count);
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, w.sum, w.states * lanes * (2 * count + 1)); }
    for (int b = 0; st == CSIM_OK && b < results; b++) {
        take_out(&w, b, of + b * lanes, pairs + b * lanes * count);
    }
    double flops = w.flops;
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}
