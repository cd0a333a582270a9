#include "ingredients/shifts.h"

#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/gram.h"
#include "linalg/dense.h"

/* Arrays that are there while the matrix of a site is made. */
typedef struct making {
    csim__shifts *w;
    const csim__site *site;
    csim__shift_site *out;
    double *rows, *other;  /* [rows, d] */
    double *value;         /* [length] entries of this rank's tiles */
    double *diagonal;      /* [own diagonals, n] */
    double *corner;        /* [n] A_ii */
    double *sum;           /* [n] sums of rows, without A_ii */
    csim__exact *exact;    /* [n] */
    double *vector;        /* [n] */
    double total, corners; /* Σsum, Σcorner */
} making;

/* ---- the matrix of a site ---- */

/* Rows about their mean: products of others would lose digits. Rows of cosines and of what is to be
 * ranked are not made of products, or of unit rows. */
static void centre(const making *m)
{
    csim_matrix matrix = m->w->kind.matrix;
    int64_t rows = m->w->t.shard.rows, d = m->site->d;
    if (m->w->kind.ranked || matrix == CSIM_FAR_COSINE || matrix == CSIM_FAR_CENTRED) { return; }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) { m->other[i * d + j] -= m->site->mean[j]; }
    }
}

/* The diagonal, which the triangles do not have. */
static csim_status find_corners(making *m)
{
    csim__shifts *w = m->w;
    const csim_shard *me = &w->t.shard;
    csim_context *ctx = w->t.ctx;
    int *count = NULL, *at = NULL;
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < w->n; i++) { m->corner[i] = w->kind.matrix == CSIM_RBF; }
    if (w->kind.matrix != CSIM_LINEAR) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(ctx, me->size, sizeof *count, "counts", &count));
    CSIM_TRY(csim__alloc(ctx, me->size, sizeof *at, "counts", &at));
    for (int r = 0; r < me->size; r++) {
        csim_shard s = csim__shard(w->n, r, me->size);
        count[r] = (int)s.rows;
        at[r] = (int)s.row0;
    }
    for (int64_t i = 0; i < me->rows; i++) {
        const double *x = m->other + i * m->site->d;
        csim__inner_block(x, 1, x, 1, m->site->d, &m->corner[me->row0 + i]);
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        st =
            csim__vote(ctx, csim__mpi(ctx,
                                      MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, m->corner,
                                                     count, at, MPI_DOUBLE, csim_context_comm(ctx)),
                                      "lengths of rows"));
    }
    csim__free(ctx, &at);
    csim__free(ctx, &count);
    return st;
}

/* The largest |entry| of all ranks. */
static csim_status find_most(const making *m, double *most)
{
    csim_context *ctx = m->w->t.ctx;
    *most = 0;
    for (int64_t i = 0; i < m->w->t.length; i++) { *most = fmax(*most, fabs(m->value[i])); }
    return csim__vote(ctx, csim__mpi(ctx,
                                     MPI_Allreduce(MPI_IN_PLACE, most, 1, MPI_DOUBLE, MPI_MAX,
                                                   csim_context_comm(ctx)),
                                     "the largest entry"));
}

/* Sums of rows, block by block of diagonals: A_ij with j = i + d and with j = i − d. */
static csim_status sum_rows(making *m)
{
    const csim__shifts *w = m->w;
    const csim__band *own = &w->d.band;
    int64_t n = w->n, block = csim__diagonal_block(n);
    double most;
    csim_status st = find_most(m, &most);
    int e = csim__exact_exponent(2 * (double)n * most);
    memset(m->exact, 0, (size_t)n * sizeof *m->exact);
    for (int64_t at = 0; st == CSIM_OK && at < own->count; at += block) {
        memset(m->sum, 0, (size_t)n * sizeof *m->sum);
        for (int64_t k = at; k < csim__min64(at + block, own->count); k++) {
            const double *a = m->diagonal + k * n;
            int64_t d = own->first + k;
            for (int64_t i = 0; i < n; i++) { m->sum[i] += a[i]; }
            if (2 * d == n) { continue; }
            for (int64_t i = 0; i < n - d; i++) { m->sum[i + d] += a[i]; }
            for (int64_t i = n - d; i < n; i++) { m->sum[i + d - n] += a[i]; }
        }
        for (int64_t i = 0; i < n; i++) { csim__exact_add(&m->exact[i], m->sum[i], e); }
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(w->t.ctx, m->exact, n); }
    m->total = m->corners = 0;
    for (int64_t i = 0; st == CSIM_OK && i < n; i++) {
        m->sum[i] = csim__exact_value(m->exact[i], e);
        m->total += m->sum[i];
        m->corners += m->corner[i];
    }
    return st;
}

static void keep_vector(making *m, int which)
{
    const csim__fourier *f = &m->w->f;
    m->out->square[which] = csim__dot(m->w->n, m->vector, m->vector);
    memcpy(f->real, m->vector, (size_t)m->w->n * sizeof *f->real);
    csim__fourier_forward(f);
    memcpy(m->out->vector[which], f->spectrum, 2 * (size_t)(m->w->n / 2 + 1) * sizeof *f->spectrum);
}

/* The parts of one number a row: see csim__shift_site. */
static void keep_means(making *m)
{
    double n = (double)m->w->n, row = m->total / n, corner = m->corners / n;
    m->out->mean[0] = corner - (m->total + m->corners) / (n * n);
    m->out->mean[1] = row / (n - 1);
    for (int64_t i = 0; i < m->w->n; i++) {
        double c = m->corner[i] - corner;
        m->vector[i] = c - 2 * (m->sum[i] - row + c) / n;
    }
    keep_vector(m, 0);
    for (int64_t i = 0; i < m->w->n; i++) { m->vector[i] = (m->sum[i] - row) / (n - 2); }
    keep_vector(m, 1);
}

/* Entries without their row sums; every entry counts as often as all other diagonals do. */
static csim_status take_sums_off(making *m)
{
    const csim__shifts *w = m->w;
    const csim__band *own = &w->d.band;
    int64_t n = w->n;
    double count = (double)n, all = m->total / (2 * (count - 1) * (count - 2)), most = 0;
    csim__exact square = {0};
    csim_status st;
    for (int64_t i = 0; i < n; i++) { m->sum[i] = m->sum[i] / (count - 2) - all; }
    for (int64_t k = 0; k < own->count; k++) {
        double *a = m->diagonal + k * n, scale = 2 * (own->first + k) == n ? sqrt(0.5) : 1;
        for (int64_t i = 0, j = own->first + k; i < n; i++, j = j + 1 < n ? j + 1 : 0) {
            a[i] = (a[i] - m->sum[i] - m->sum[j]) * scale;
            most = fmax(most, fabs(a[i]));
        }
    }
    st = csim__vote(w->t.ctx, csim__mpi(w->t.ctx,
                                        MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX,
                                                      csim_context_comm(w->t.ctx)),
                                        "the largest entry"));
    int e = csim__exact_exponent(2 * count * count * most * most);
    for (int64_t k = 0; st == CSIM_OK && k < own->count; k++) {
        const double *a = m->diagonal + k * n;
        csim__exact_add(&square, 2 * csim__dot(n, a, a), e);
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(w->t.ctx, &square, 1); }
    m->out->rest = csim__exact_value(square, e);
    return st;
}

/* Spectra of the diagonals, by bands of frequencies, those beyond the last one 0. */
static void transform(making *m)
{
    const csim__shifts *w = m->w;
    int64_t n = w->n, many = w->d.band.count;
    for (int64_t k = 0; k < many; k++) {
        memcpy(w->f.real, m->diagonal + k * n, (size_t)n * sizeof *w->f.real);
        csim__fourier_forward(&w->f);
        for (int64_t b = 0; b < w->bands; b++) {
            double *to = m->out->band + (b * many + k) * CSIM__BAND;
            for (int64_t l = 0; l < CSIM__LANES; l++) {
                int64_t at = b * CSIM__LANES + l;
                to[l] = at <= n / 2 ? w->f.spectrum[2 * at] : 0;
                to[l + CSIM__LANES] = at <= n / 2 ? w->f.spectrum[2 * at + 1] : 0;
            }
        }
    }
}

static csim_status allocate(making *m)
{
    csim__shifts *w = m->w;
    csim_context *ctx = w->t.ctx;
    int64_t n = w->n, numbers = w->t.shard.rows * m->site->d;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, numbers, sizeof *m->rows, "rows of a site", &m->rows));
    CSIM_TRY(csim__alloc(ctx, numbers, sizeof *m->other, "rows of a site", &m->other));
    CSIM_TRY(csim__alloc(ctx, w->t.length, sizeof *m->value, "entries", &m->value));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *m->corner, "a diagonal", &m->corner));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *m->sum, "row sums", &m->sum));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *m->exact, "row sums", &m->exact));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *m->vector, "row sums", &m->vector));
done:
    return st;
}

static void release(making *m)
{
    csim_context *ctx = m->w->t.ctx;
    csim__free(ctx, &m->rows);
    csim__free(ctx, &m->other);
    csim__free(ctx, &m->value);
    csim__free(ctx, &m->diagonal);
    csim__free(ctx, &m->corner);
    csim__free(ctx, &m->sum);
    csim__free(ctx, &m->exact);
    csim__free(ctx, &m->vector);
}

/* The entries of this rank's tiles. */
static csim_status make_entries(making *m, double sigma, csim__meter *meter)
{
    csim__shifts *w = m->w;
    csim_status st = csim__triangles_rows(&w->t, m->site, m->rows);
    if (st == CSIM_OK) {
        st = csim__order_rows(w->t.ctx, &w->t.shard, &w->order, m->rows,
                              m->site->d * (int64_t)sizeof *m->rows, m->other);
    }
    if (st != CSIM_OK) { return st; }
    csim__free(w->t.ctx, &m->rows);
    centre(m);
    st = find_corners(m);
    if (st == CSIM_OK) {
        st = csim__triangles_make(&w->t, w->kind.matrix, sigma, w->kind.ranked, m->site->d,
                                  m->other, m->value, meter);
    }
    csim__free(w->t.ctx, &m->other);
    if (st == CSIM_OK && w->kind.ranked) {
        st = csim__triangles_rank(&w->t, w->kind.matrix, m->value);
    }
    return st;
}

csim_status csim__shifts_fill(csim__shifts *w, int place, const csim__site *site, double sigma,
                              csim__meter *meter)
{
    csim_context *ctx = w->t.ctx;
    making m = {.w = w, .site = site, .out = &w->site[place]};
    csim_status st = csim__vote(ctx, allocate(&m));
    if (st == CSIM_OK) { st = make_entries(&m, sigma, meter); }
    if (st == CSIM_OK) {
        st = csim__alloc(ctx, w->d.band.count * w->n, sizeof *m.diagonal, "diagonals", &m.diagonal);
        st = csim__vote(ctx, st);
    }
    if (st == CSIM_OK) { st = csim__diagonals_take(&w->d, m.value, m.diagonal); }
    if (st == CSIM_OK) { st = sum_rows(&m); }
    if (st == CSIM_OK) {
        csim__phase_begin(ctx, "transforms");
        keep_means(&m);
        st = take_sums_off(&m);
        if (st == CSIM_OK) { transform(&m); }
        csim__phase_end(ctx, 0, 0);
    }
    release(&m);
    return st;
}

/* ---- beginning and end ---- */

csim_status csim__shifts_start(csim_context *ctx, int64_t examples, int sites,
                               csim__shift_matrix kind, int64_t seed, csim__shifts *w)
{
    int64_t frequencies = examples / 2 + 1;
    *w = (csim__shifts){.n = examples, .kind = kind};
    csim_status st = csim__triangles_start(ctx, examples, &w->t);
    if (st == CSIM_OK) { st = csim__diagonals_start(&w->t, &w->d); }
    if (st != CSIM_OK) { return st; }
    w->bands = (frequencies + CSIM__LANES - 1) / CSIM__LANES;
    CSIM_TRY(csim__fourier_start(ctx, examples, &w->f));
    CSIM_TRY(csim__order_make(ctx, &w->t.shard, seed, 0, &w->order));
    CSIM_TRY(csim__calloc(ctx, sites, sizeof *w->site, "matrices", &w->site));
    w->count = sites;
    for (int s = 0; s < sites; s++) {
        for (int v = 0; v < 2; v++) {
            CSIM_TRY(csim__alloc(ctx, 2 * frequencies, sizeof(double), "a spectrum",
                                 &w->site[s].vector[v]));
        }
        CSIM_TRY(csim__alloc(ctx, w->bands * w->d.band.count * CSIM__BAND, sizeof(double),
                             "spectra of diagonals", &w->site[s].band));
    }
done:
    return csim__vote(ctx, st);
}

void csim__shifts_clear(csim__shifts *w)
{
    csim_context *ctx = w->t.ctx;
    if (ctx == NULL) { return; }
    for (int s = 0; s < w->count; s++) {
        for (int v = 0; v < 2; v++) { csim__free(ctx, &w->site[s].vector[v]); }
        csim__free(ctx, &w->site[s].band);
    }
    csim__free(ctx, &w->site);
    csim__order_clear(ctx, &w->order);
    csim__fourier_clear(ctx, &w->f);
    csim__diagonals_clear(&w->d);
    csim__triangles_clear(&w->t);
}
