#include <float.h>
#include <math.h>
#include <string.h>

#include "ingredients/basis.h"
#include "ingredients/bundle.h"
#include "ingredients/exchange.h"
#include "ingredients/feed.h"
#include "linalg/dense.h"

enum { PASSES = CSIM__FACTORS, FAILED = -1 };

/* The work on one site of a round. */
typedef struct job {
    csim__site *site;
    csim__basis *basis;
    int owner;
    bool streamed; /* q is not there: the basis gets its factors */
    int k;         /* columns of q now */
    double *q;     /* [rows, k] X, then its orthonormal image */
    double *bound; /* [d] norms of the columns of q */
    csim__operand operand;
    double *block; /* owner: [d, d] XᵀX, QᵀQ, R, F in turn */
    double *small; /* owner: [k, d] what turns Q back into X */
    bool done;
} job;

typedef struct work {
    csim_context *ctx;
    const csim_shard *shard;
    const csim__basis_options *options;
    csim__meter *meter;
    double flops; /* of this rank on rows; the small factors are not counted */
} work;

/* The rows to work on: the site's own memory, or a copy, or the rows as read. */
static csim_status take_rows(work *w, job *j)
{
    csim__site *s = j->site;
    int64_t rows = w->shard->rows;
    csim_status st = CSIM_OK;
    if (s->streamed && !j->streamed) { CSIM_TRY(csim__site_hold(w->ctx, w->shard, s, false)); }
    if (s->streamed) {
        for (int64_t i = 0; w->options->raw && s->x != NULL && i < rows; i++) {
            csim__site_raw_row(s, i, s->x + i * s->d);
        }
        j->q = s->x;
        s->x = NULL;
    } else if (w->options->consume && !w->options->raw) {
        j->q = s->x;
        s->x = NULL;
    } else {
        CSIM_TRY(csim__alloc(w->ctx, rows * s->d, sizeof *j->q, "rows of a basis", &j->q));
        for (int64_t i = 0; i < rows; i++) {
            if (w->options->raw) {
                csim__site_raw_row(s, i, j->q + i * s->d);
            } else {
                memcpy(j->q + i * s->d, s->x + i * s->d, (size_t)s->d * sizeof *j->q);
            }
        }
    }
    CSIM_TRY(csim__alloc(w->ctx, s->d, sizeof *j->bound, "norms", &j->bound));
    for (int64_t c = 0; c < s->d; c++) {
        double raw = s->norm[c] * s->norm[c] + (double)s->n * s->mean[c] * s->mean[c];
        /* a little room: the raw norm is computed from rounded parts, the centred one of which
         * is 0 where its square has no digits */
        j->bound[c] = !w->options->raw ? s->norm[c] : raw < 0x1p-900 ? 0 : sqrt(raw) * (1 + 1e-9);
    }
done:
    return st;
}

static void release(work *w, job *j)
{
    csim__free(w->ctx, &j->small);
    csim__free(w->ctx, &j->block);
    csim__free(w->ctx, &j->bound);
    csim__free(w->ctx, &j->q);
}

/* A job whose rows are read for it. */
typedef struct reading {
    csim__feed feed;
    csim__bundle bundle;
} reading;

static csim_status one_chunk(void *user, int64_t chunk)
{
    reading *r = user;
    csim_status st = csim__feed_next(&r->feed);
    if (st == CSIM_OK) { csim__bundle_add(&r->bundle, 0, chunk); }
    return st;
}

/* The same of one job whose rows are read for it. */
static csim_status streamed_square(work *w, job *j)
{
    bool raw = w->options->raw, turned = j->basis->factors.r != NULL;
    csim__guest guest = {.site = j->site,
                         .forms = raw      ? CSIM__FORM_RAW_BASIS
                                  : turned ? CSIM__FORM_BASIS
                                           : CSIM__FORM_CENTRED};
    csim__product product = {
        .left = &j->operand, .right = &j->operand, .owner = j->owner, .out = j->block};
    reading r = {.feed = {.ctx = NULL}};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__feed_open(w->ctx, w->shard, &guest, 1, true, w->meter, &r.feed));
    j->operand = (csim__operand){.width = j->k,
                                 .x = raw      ? guest.raw_basis
                                      : turned ? guest.basis
                                               : guest.centred,
                                 .norm = j->bound,
                                 .passing = guest.forms};
    st = csim__bundle_open(w->ctx, w->shard, &product, 1, (csim__slice){0, 1}, w->meter, &r.bundle);
done:
    st = csim__feed_chunks(w->ctx, w->shard, w->meter, st, csim__feed_work(&r.feed) + r.bundle.each,
                           one_chunk, &r);
    if (st == CSIM_OK) { st = csim__bundle_sum(&r.bundle); }
    csim__bundle_close(&r.bundle);
    csim__feed_close(&r.feed);
    return st;
}

/* QᵀQ (or XᵀX) of all jobs of the round that are not done, each on its owner. */
static csim_status squares(work *w, job *jobs, int count)
{
    csim__product *products = NULL;
    int64_t many = 0;
    csim_status st = csim__alloc(w->ctx, count, sizeof *products, "products", &products);
    CSIM_TRY(csim__vote(w->ctx, st));
    for (int i = 0; i < count; i++) {
        job *j = &jobs[i];
        if (j->done) { continue; }
        w->flops += (double)w->shard->rows * j->k * j->k;
        if (j->streamed) {
            CSIM_TRY(streamed_square(w, j));
            continue;
        }
        j->operand = (csim__operand){.width = j->k, .x = j->q, .norm = j->bound};
        products[many++] = (csim__product){
            .left = &j->operand, .right = &j->operand, .owner = j->owner, .out = j->block};
    }
    if (many > 0) { st = csim__cross_pass(w->ctx, w->shard, products, many, w->meter); }
done:
    csim__free(w->ctx, &products);
    return st;
}

/* Owner: R of the shifted Cholesky factorisation of XᵀX, kept in block and small. The shift covers
 * the rounding of XᵀX and stays far below the variances that count. */
static csim_status first_factor(work *w, job *j)
{
    int d = j->k;
    size_t bytes = (size_t)d * (size_t)d * sizeof(double);
    double trace = 0, shift;
    csim_status st = CSIM_OK;
    for (int i = 0; i < d; i++) { trace += j->block[(int64_t)i * d + i]; }
    memcpy(j->small, j->block, bytes);
    shift = 16 * DBL_EPSILON * trace;
    for (int attempt = 0; attempt < 4; attempt++, shift *= 100) {
        memcpy(j->block, j->small, bytes);
        for (int i = 0; i < d; i++) { j->block[(int64_t)i * d + i] += shift; }
        st = csim__cholesky(w->ctx, d, j->block);
        if (st != CSIM_E_NUMERIC) { break; }
        csim__forgive(w->ctx);
    }
    if (st == CSIM_E_NUMERIC) {
        return csim__fail(w->ctx, st, "site %s of %s: its covariance cannot be factorised",
                          j->site->layer, j->site->model);
    }
    memcpy(j->small, j->block, bytes);
    return st;
}

/* All ranks: X ← X R⁻¹, chunk by chunk. */
static csim_status apply_first(work *w, job *j, double *factor)
{
    int d = j->k;
    if (j->streamed) {
        double **r = &j->basis->factors.r;
        csim_status made = csim__alloc(w->ctx, (int64_t)d * d, sizeof **r, "a factor", r);
        made = csim__vote(w->ctx, made);
        if (made != CSIM_OK) { return made; }
        factor = *r;
    }
    if (w->shard->rank == j->owner) {
        memcpy(factor, j->block, (size_t)d * (size_t)d * sizeof *factor);
    }
    csim_status st = csim__give_all(w->ctx, factor, (int64_t)d * d, j->owner);
    for (int i = 0; i < d; i++) { j->bound[i] = 1; }
    if (j->streamed) { return st; }
    for (int64_t c = 0; st == CSIM_OK && c < w->shard->count; c++) {
        int rows = (int)csim__chunk_rows(w->shard, w->shard->first + c);
        csim__trsm_right(rows, d, factor, j->q + c * w->shard->chunk * d);
    }
    csim__meter_add(w->meter, "bases", (double)w->shard->rows * d * d);
    w->flops += (double)w->shard->rows * d * d;
    return st;
}

/* Owner: from QᵀQ = Zᵀ Λ Z (rows of Z) drop null directions; small ← Λ^½ Z small. Returns in
 * block the factor F = Zᵀ Λ^−½ [k, m], and whether Q F is orthonormal to rounding. */
static csim_status reduce_factor(work *w, job *j, int *kept, bool *good)
{
    int k = j->k, d = (int)j->site->d, m = 0;
    double *lambda = NULL, *next = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, k, sizeof *lambda, "eigenvalues", &lambda));
    CSIM_TRY(csim__eigen(w->ctx, CSIM__VECTORS, k, j->block, lambda));
    while (m < k && lambda[m] > 4 * DBL_EPSILON * k) { m++; }
    *good = m == 0 || lambda[m - 1] > 0.5;
    CSIM_TRY(
        csim__alloc(w->ctx, (int64_t)m * csim__max64(d, k), sizeof *next, "a small factor", &next));
    csim__gemm_nn(m, d, k, j->block, k, j->small, d, next, d);
    for (int i = 0; i < m; i++) {
        for (int c = 0; c < d; c++) { next[(int64_t)i * d + c] *= sqrt(lambda[i]); }
    }
    memcpy(j->small, next, (size_t)m * (size_t)d * sizeof *next);
    for (int i = 0; i < m; i++) {
        for (int c = 0; c < k; c++) {
            next[(int64_t)c * m + i] = j->block[(int64_t)i * k + c] / sqrt(lambda[i]);
        }
    }
    memcpy(j->block, next, (size_t)m * (size_t)k * sizeof *next);
    *kept = m;
done:
    csim__free(w->ctx, &next);
    csim__free(w->ctx, &lambda);
    return st;
}

/* Owner: the singular values of the small factor [m, d] turn F [k, m] into the basis' own axes. */
static csim_status last_factor(work *w, job *j, int m)
{
    int k = j->k, d = (int)j->site->d;
    double *u = NULL, *v = NULL, *turned = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, (int64_t)m * m, sizeof *u, "left vectors", &u));
    CSIM_TRY(csim__alloc(w->ctx, (int64_t)m * d, sizeof *v, "right vectors", &v));
    CSIM_TRY(csim__alloc(w->ctx, (int64_t)k * m, sizeof *turned, "a factor", &turned));
    CSIM_TRY(csim__svd(w->ctx, CSIM__VECTORS, m, d, j->small, j->basis->sigma, u, v));
    csim__gemm_nn(k, m, m, j->block, m, u, m, turned, m);
    memcpy(j->block, turned, (size_t)k * (size_t)m * sizeof *turned);
    memcpy(j->small, v, (size_t)m * (size_t)d * sizeof *v);
done:
    csim__free(w->ctx, &turned);
    csim__free(w->ctx, &v);
    csim__free(w->ctx, &u);
    return st;
}

/* All ranks: one more factor, which turns k columns into m. */
static csim_status add_factor(work *w, job *j, int m)
{
    csim__factors *factors = &j->basis->factors;
    int64_t count = (int64_t)j->k * m;
    double **f = &factors->f[factors->count];
    csim_status st = csim__alloc(w->ctx, count, sizeof **f, "a factor", f);
    st = csim__vote(w->ctx, st);
    if (st != CSIM_OK) { return st; }
    if (w->shard->rank == j->owner) { memcpy(*f, j->block, (size_t)count * sizeof **f); }
    factors->columns[factors->count++] = m;
    j->k = m;
    return csim__give_all(w->ctx, *f, count, j->owner);
}

/* All ranks: Q ← Q F, rows packed anew from k to m columns. */
static csim_status apply(work *w, job *j, int m, double *factor)
{
    int k = j->k;
    int64_t chunk = w->shard->chunk;
    double *rows_out = NULL;
    if (j->streamed) { return add_factor(w, j, m); }
    csim_status st = csim__alloc(w->ctx, chunk * m, sizeof *rows_out, "a chunk", &rows_out);
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && w->shard->rank == j->owner) {
        memcpy(factor, j->block, (size_t)k * (size_t)m * sizeof *factor);
    }
    if (st == CSIM_OK) { st = csim__give_all(w->ctx, factor, (int64_t)k * m, j->owner); }
    for (int64_t c = 0; st == CSIM_OK && m > 0 && c < w->shard->count; c++) {
        int rows = (int)csim__chunk_rows(w->shard, w->shard->first + c);
        csim__gemm_nn(rows, m, k, j->q + c * chunk * k, k, factor, m, rows_out, m);
        memcpy(j->q + c * chunk * m, rows_out, (size_t)rows * (size_t)m * sizeof *rows_out);
    }
    csim__free(w->ctx, &rows_out);
    csim__meter_add(w->meter, "bases", 2.0 * (double)w->shard->rows * k * m);
    w->flops += 2.0 * (double)w->shard->rows * k * m;
    j->k = m;
    return st;
}

/* Rank by the floor (or numerical rank), loading and rows handed over. Needs sigma on all ranks. */
static csim_status conclude(work *w, job *j)
{
    csim__basis *b = j->basis;
    int64_t n = j->site->n, d = j->site->d;
    double top = j->k > 0 ? b->sigma[0] : 0, floor = w->options->floor;
    double tiny = (double)csim__max64(n, d) * DBL_EPSILON * top;
    b->q = j->k;
    b->r = 0;
    while (b->r < b->q && (floor > 0 ? b->sigma[b->r] * b->sigma[b->r] > floor * top * top
                                     : b->sigma[b->r] > tiny)) {
        b->r++;
    }
    b->u = j->q;
    j->q = NULL;
    csim_status st = CSIM_OK;
    if (w->options->loading) {
        st = csim__alloc(w->ctx, (int64_t)b->q * d, sizeof *b->loading, "loadings", &b->loading);
        st = csim__vote(w->ctx, st);
        if (st == CSIM_OK && w->shard->rank == j->owner) {
            for (int64_t i = 0; i < b->q; i++) {
                for (int64_t c = 0; c < d; c++) {
                    b->loading[i * d + c] = b->sigma[i] * j->small[i * d + c];
                }
            }
        }
        if (st == CSIM_OK) { st = csim__give_all(w->ctx, b->loading, b->q * d, j->owner); }
    }
    return st;
}

/* Owner: a decomposition that does not converge costs the site its basis, not the sweep. */
static csim_status give_up(work *w, const job *j, int *kept)
{
    csim__log_all(w->ctx, CSIM_LOG_WARNING, "layer %s of %s: %s; its values are flagged",
                  j->site->layer, j->site->model, csim_context_error(w->ctx));
    csim__forgive(w->ctx);
    *kept = FAILED;
    return CSIM_OK;
}

/* One pass over the jobs of a round: QᵀQ, its eigenvectors on the owners, Q ← Q F. */
static csim_status pass(work *w, job *jobs, int count, bool last, double *factor)
{
    csim_status st = squares(w, jobs, count);
    int head[2] = {0, 0};
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        job *j = &jobs[i];
        if (j->done || w->shard->rank != j->owner) { continue; }
        bool good = true;
        st = reduce_factor(w, j, &head[0], &good);
        /* Only the rank of a raw site looks at directions that one pass leaves inaccurate. */
        head[1] = last || good || !w->options->raw;
        if (st == CSIM_OK && head[1]) { st = last_factor(w, j, head[0]); }
        if (st == CSIM_E_NUMERIC) { st = give_up(w, j, &head[0]); }
    }
    st = csim__vote(w->ctx, st);
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        job *j = &jobs[i];
        int now[2] = {head[0], head[1]};
        if (j->done) { continue; }
        st = csim__mpi(w->ctx, MPI_Bcast(now, 2, MPI_INT, j->owner, csim_context_comm(w->ctx)),
                       "broadcast of a rank");
        if (st == CSIM_OK && now[0] == FAILED) {
            j->basis->failed = j->done = true;
            continue;
        }
        if (st == CSIM_OK) { st = apply(w, j, now[0], factor); }
        if (st == CSIM_OK && now[1]) {
            j->done = true;
            st = csim__give_all(w->ctx, j->basis->sigma, now[0], j->owner);
            if (st == CSIM_OK) { st = conclude(w, j); }
        }
    }
    return csim__vote(w->ctx, st);
}

/* Sites with more examples than neurons; every rank owns at most one of the round. */
static csim_status tall_round(work *w, job *jobs, int count, double *factor)
{
    csim_status st = squares(w, jobs, count);
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        if (w->shard->rank == jobs[i].owner) { st = first_factor(w, &jobs[i]); }
    }
    st = csim__vote(w->ctx, st);
    for (int i = 0; st == CSIM_OK && i < count; i++) { st = apply_first(w, &jobs[i], factor); }
    for (int p = 1; st == CSIM_OK && p <= PASSES; p++) {
        bool open = false;
        for (int i = 0; i < count; i++) { open |= !jobs[i].done; }
        if (open) { st = pass(w, jobs, count, p == PASSES, factor); }
    }
    return st;
}

/* Owner: X = L Q, L = U Σ V, so X = U Σ (V Q). Returns the number of directions above rounding;
 * u[n, m] packed, small[m, d]. */
static csim_status factor_wide(work *w, job *j, double *x, double *u, int *kept)
{
    int n = (int)j->site->n, d = (int)j->site->d, m = 0;
    double *l = NULL, *v = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, (int64_t)n * n, sizeof *l, "a triangular factor", &l));
    CSIM_TRY(csim__alloc(w->ctx, (int64_t)n * n, sizeof *v, "right vectors", &v));
    CSIM_TRY(csim__lq(w->ctx, n, d, x, l));
    CSIM_TRY(csim__svd(w->ctx, CSIM__VECTORS, n, n, l, j->basis->sigma, u, v));
    while (m < n && j->basis->sigma[m] > d * DBL_EPSILON * j->basis->sigma[0]) { m++; }
    csim__gemm_nn(m, d, n, v, n, x, d, j->small, d);
    for (int64_t i = 0; i < n; i++) { memmove(u + i * m, u + i * n, (size_t)m * sizeof *u); }
    *kept = m;
done:
    csim__free(w->ctx, &v);
    csim__free(w->ctx, &l);
    return st;
}

/* Sites with at most as many examples as neurons: the whole of each on its owner. */
static csim_status wide_round(work *w, job *jobs, int count)
{
    csim_status st = CSIM_OK;
    double *x = NULL, *u = NULL;
    int m = 0;
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        const csim__site *s = jobs[i].site;
        if (w->shard->rank == jobs[i].owner) {
            st = csim__alloc(w->ctx, s->n * s->d, sizeof *x, "a whole site", &x);
            if (st == CSIM_OK) {
                st = csim__alloc(w->ctx, s->n * s->n, sizeof *u, "left vectors", &u);
            }
        }
    }
    st = csim__vote(w->ctx, st);
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        st = csim__exchange_rows(w->ctx, w->shard, jobs[i].k, x, jobs[i].q, jobs[i].owner, true);
    }
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        if (w->shard->rank != jobs[i].owner) { continue; }
        st = factor_wide(w, &jobs[i], x, u, &m);
        if (st == CSIM_E_NUMERIC) { st = give_up(w, &jobs[i], &m); }
    }
    st = csim__vote(w->ctx, st);
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        job *j = &jobs[i];
        j->k = m;
        st = csim__mpi(w->ctx, MPI_Bcast(&j->k, 1, MPI_INT, j->owner, csim_context_comm(w->ctx)),
                       "broadcast of a rank");
        j->basis->failed = j->k == FAILED;
        if (st != CSIM_OK || j->basis->failed) { continue; }
        st = csim__exchange_rows(w->ctx, w->shard, j->k, u, j->q, j->owner, false);
        if (st == CSIM_OK) { st = csim__give_all(w->ctx, j->basis->sigma, j->k, j->owner); }
        if (st == CSIM_OK) { st = conclude(w, j); }
    }
    csim__free(w->ctx, &u);
    csim__free(w->ctx, &x);
    return csim__vote(w->ctx, st);
}

static csim_status one_round(work *w, csim__site *const *sites, int count, bool wide)
{
    job *jobs = NULL;
    double *factor = NULL;
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(w->ctx, count, sizeof *jobs, "a round of sites", &jobs));
    for (int i = 0; i < count; i++) {
        job *j = &jobs[i];
        csim__site *s = sites[i];
        int64_t least = csim__min64(s->n, s->d);
        j->site = s;
        j->streamed = s->streamed && !wide;
        j->owner = i;
        j->basis = w->options->raw ? &s->raw_basis : &s->basis;
        widest = csim__max64(widest, s->d);
        CSIM_TRY(csim__int(w->ctx, s->d, "neurons of a site", &j->k));
        CSIM_TRY(csim__calloc(w->ctx, least, sizeof(double), "singular values", &j->basis->sigma));
        CSIM_TRY(take_rows(w, j));
        if (w->shard->rank != j->owner) { continue; }
        CSIM_TRY(csim__alloc(w->ctx, least * s->d, sizeof *j->small, "a factor", &j->small));
        if (!wide) {
            CSIM_TRY(csim__alloc(w->ctx, s->d * s->d, sizeof *j->block, "a square", &j->block));
        }
    }
    if (!wide && !sites[0]->streamed) { /* all are, or none */
        CSIM_TRY(csim__alloc(w->ctx, widest * widest, sizeof *factor, "a factor", &factor));
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) {
        st = wide ? wide_round(w, jobs, count) : tall_round(w, jobs, count, factor);
    }
    for (int i = 0; jobs != NULL && i < count; i++) { release(w, &jobs[i]); }
    csim__free(w->ctx, &factor);
    csim__free(w->ctx, &jobs);
    return st;
}

csim_status csim__basis_build(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                              int count, const csim__basis_options *options, csim__meter *meter)
{
    work w = {.ctx = ctx, .shard = shard, .options = options, .meter = meter};
    csim__site **round = NULL;
    csim_status st = csim__alloc(ctx, shard->size, sizeof(csim__site *), "a round", &round);
    csim__phase_begin(ctx, "bases");
    meter->stage = "bases"; /* their cross products, too */
    st = csim__vote(ctx, st);
    for (int wide = 0; wide < 2; wide++) {
        int many = 0;
        for (int i = 0; st == CSIM_OK && i <= count; i++) {
            bool fits = i < count && (sites[i]->n <= sites[i]->d) == (wide == 1);
            if (fits) { round[many++] = sites[i]; }
            if (many > 0 && (many == shard->size || i == count)) {
                st = one_round(&w, round, many, wide == 1);
                many = 0;
            }
        }
    }
    csim__free(ctx, &round);
    meter->stage = NULL;
    csim__phase_end(ctx, w.flops, 0);
    return st;
}
