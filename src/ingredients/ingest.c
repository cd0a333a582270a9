/* Read rows, look for NaN, centre in double, and take the moments by exact sums. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "core/clones.h"
#include "core/exact.h"
#include "ingredients/feed.h"
#include "linalg/dense.h"

/* Sums of fourth powers of smaller numbers run out of digits. */
#define TINY 0x1p-225

/* Of each column: max x, max −x, and 0 unless something in it is not finite. */
typedef struct scan {
    double *top, *bottom, *odd; /* [d] */
    int64_t bad;                /* row·d + column in the whole site, INT64_MAX = none */
} scan;

/* What one site after the other uses. */
typedef struct scratch {
    scan scan;
    double *part;      /* [2·widest] */
    double *columns;   /* [chunks of this rank, widest] sums of columns */
    double *chunk;     /* [chunk, widest] of streamed sites */
    int *exponent;     /* [widest] */
    csim__exact *sums; /* [widest + 2] */
    int64_t *hashes;   /* [chunks] */
} scratch;

CSIM_CLONES
static void extremes(const double *restrict x, int64_t rows, int64_t d, double *restrict top,
                     double *restrict bottom, double *restrict odd)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            double v = x[i * d + j];
            top[j] = top[j] > v ? top[j] : v;
            bottom[j] = bottom[j] > -v ? bottom[j] : -v;
            odd[j] += v * 0.0; /* NaN for an infinity, too */
        }
    }
}

/* First value that is not finite, as row·d + column; INT64_MAX if there is none. */
static int64_t first_bad(const double *x, int64_t rows, int64_t d)
{
    for (int64_t k = 0; k < rows * d; k++) {
        if (!isfinite(x[k])) { return k; }
    }
    return INT64_MAX;
}

static void look(const double *x, int64_t row0, int64_t rows, int64_t d, scan *s)
{
    extremes(x, rows, d, s->top, s->bottom, s->odd);
    bool fine = true;
    for (int64_t j = 0; j < d; j++) { fine = fine && s->odd[j] == 0; }
    if (fine || s->bad != INT64_MAX) { return; }
    int64_t at = first_bad(x, rows, d);
    if (at != INT64_MAX) { s->bad = row0 * d + at; }
}

CSIM_CLONES
static void add_columns(const double *restrict x, int64_t rows, int64_t d, double *restrict sum)
{
    for (int64_t j = 0; j < d; j++) { sum[j] = 0; }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) { sum[j] += x[i * d + j]; }
    }
}

/* In two levels: equal squares round the same way every time, which makes 3e-14 in one sum of 1024,
 * and the distance of a site to itself is the root of that. */
CSIM_CLONES
static void centre_and_square(double *restrict x, int64_t rows, int64_t d,
                              const double *restrict mean, double *restrict square,
                              double *restrict few)
{
    enum { FEW = 32 };
    for (int64_t j = 0; j < d; j++) { square[j] = few[j] = 0; }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            double v = x[i * d + j] - mean[j];
            x[i * d + j] = v;
            few[j] += v * v;
        }
        if ((i + 1) % FEW != 0 && i + 1 < rows) { continue; }
        for (int64_t j = 0; j < d; j++) {
            square[j] += few[j];
            few[j] = 0;
        }
    }
}

/* Read this rank's rows by chunks; hash and scan each, and add up its columns, while it is in cache. */
static csim_status read_rows(csim_context *ctx, const csim_shard *shard, csim__site *site,
                             scratch *w)
{
    csim__guest guest = {.site = site};
    csim__feed feed = {.ctx = NULL};
    csim_status st = CSIM_OK;
    int64_t d = site->d;
    if (site->streamed) { CSIM_TRY(csim__feed_open(ctx, shard, &guest, 1, false, NULL, &feed)); }
    csim__phase_begin(ctx, site->streamed ? "scan" : "read");
    for (int64_t c = 0; st == CSIM_OK && c < shard->count; c++) {
        int64_t row = csim__chunk_row(shard, shard->first + c);
        int64_t rows = csim__chunk_rows(shard, shard->first + c);
        double *to = site->streamed ? w->chunk : site->x + c * shard->chunk * d;
        st = site->streamed ? csim__feed_read(&feed, to)
                            : csim_set_read(site->set, site->index, row, rows, to);
        if (st != CSIM_OK) { continue; }
        w->hashes[shard->first + c] = csim__rows_hash(to, rows * d);
        if (site->streamed) { site->hash[c] = w->hashes[shard->first + c]; }
        look(to, row, rows, d, &w->scan);
        add_columns(to, rows, d, w->columns + c * d);
    }
    csim__phase_end(ctx, 0, (double)(shard->rows * d) * sizeof(double));
done:
    csim__feed_close(&feed);
    return st;
}

/* One checksum from the hashes of all chunks; each was made by one rank, the others hold 0. Work that
 * was saved, or done a moment ago, is for the values as they were then. */
static csim_status join_hashes(csim_context *ctx, const csim_shard *shard, int64_t *hashes,
                               csim__site *site)
{
    csim_status st = CSIM_OK;
    enum { PIECE = 1 << 24 };
    for (int64_t at = 0; st == CSIM_OK && at < shard->chunks; at += PIECE) {
        int piece = (int)csim__min64(PIECE, shard->chunks - at);
        st = csim__mpi(ctx,
                       MPI_Allreduce(MPI_IN_PLACE, hashes + at, piece, MPI_INT64_T, MPI_BOR,
                                     csim_context_comm(ctx)),
                       "sum of checksums");
    }
    if (st != CSIM_OK) { return st; }
    uint64_t sum = XXH3_64bits(hashes, (size_t)shard->chunks * sizeof *hashes);
    if (site->hashed && sum != site->checksum) {
        return csim__fail(ctx, CSIM_E_DATA,
                          "site %s of set %s (%s) has changed: its values have checksum %016llx, "
                          "expected %016llx, with which earlier pairs were computed",
                          site->layer, site->model, csim_set_path(site->set),
                          (unsigned long long)sum, (unsigned long long)site->checksum);
    }
    site->checksum = sum;
    site->hashed = true;
    return CSIM_OK;
}

/* Agree on the extremes of the columns and refuse what is not finite. */
static csim_status agree_extremes(csim_context *ctx, csim__site *site, scan *s)
{
    MPI_Comm comm = csim_context_comm(ctx);
    int64_t bad = s->bad, first = 0;
    int d = 0;
    csim_status st = csim__int(ctx, 2 * site->d, "neurons of a site", &d);
    st = csim__vote(ctx, st);
    if (st != CSIM_OK) { return st; }
    st = csim__mpi(ctx, MPI_Allreduce(&bad, &first, 1, MPI_INT64_T, MPI_MIN, comm), "scan");
    if (st == CSIM_OK) {
        st = csim__mpi(ctx, MPI_Allreduce(MPI_IN_PLACE, s->top, d, MPI_DOUBLE, MPI_MAX, comm),
                       "scan");
    }
    if (st == CSIM_OK && first != INT64_MAX) {
        double value = 0;
        if (bad == first) { csim_set_read(site->set, site->index, first / site->d, 1, site->mean); }
        value = bad == first ? site->mean[first % site->d] : 0;
        int64_t row = 0;
        const char *file = csim_set_locate(site->set, site->index, first / site->d, &row);
        st = csim__fail(ctx, CSIM_E_DATA,
                        "%s: site %s of set %s: %s at row %lld, column %lld, expected finite "
                        "values (drop such examples with --nan drop-rows)",
                        file, site->layer, site->model,
                        bad != first   ? "a value that is not finite"
                        : isnan(value) ? "NaN"
                                       : "an infinity",
                        (long long)row, (long long)(first % site->d));
        /* The rank that saw the value speaks: the others' messages are forgotten. */
        if (bad != first) {
            csim__forgive(ctx);
            st = CSIM_OK;
        }
    }
    return csim__vote(ctx, st);
}

/* Add partial sums of all columns to their exact sums. */
static void add_parts(csim__exact *sums, const double *part, const int *exponent, int64_t d)
{
    for (int64_t j = 0; j < d; j++) { csim__exact_add(&sums[j], part[j], exponent[j]); }
}

/* Means of the columns; a constant column has exactly its value as its mean. */
static csim_status take_means(csim_context *ctx, const csim_shard *shard, csim__site *site,
                              scratch *w)
{
    int64_t d = site->d;
    for (int64_t j = 0; j < d; j++) {
        w->sums[j] = (csim__exact){0, 0};
        w->exponent[j] =
            csim__exact_exponent((double)shard->n * fmax(w->scan.top[j], w->scan.bottom[j]));
    }
    for (int64_t c = 0; c < shard->count; c++) {
        add_parts(w->sums, w->columns + c * d, w->exponent, d);
    }
    csim_status st = csim__exact_reduce(ctx, w->sums, d);
    for (int64_t j = 0; st == CSIM_OK && j < d; j++) {
        bool constant = w->scan.top[j] == -w->scan.bottom[j];
        double sum = csim__exact_value(w->sums[j], w->exponent[j]);
        site->mean[j] = constant ? w->scan.top[j] : sum / (double)shard->n;
    }
    return st;
}

/* Lengths of the rows x of a chunk; returns the sum of their fourth powers, counts zero rows. */
static double take_rows(csim__site *site, const double *x, int64_t at, int64_t rows, int64_t *zero)
{
    double fourth = 0;
    for (int64_t i = at; i < at + rows; i++, x += site->d) {
        site->row_square[i] = csim__dot(site->d, x, x);
        fourth += site->row_square[i] * site->row_square[i];
        int64_t j = 0;
        while (j < site->d && x[j] == -site->mean[j]) { j++; }
        *zero += j == site->d;
    }
    return fourth;
}

/* Centre; the norms of columns and rows. Bound of a column's sum: n·(range)². */
static csim_status take_norms(csim_context *ctx, const csim_shard *shard, csim__site *site,
                              scratch *w)
{
    int64_t d = site->d;
    double bound = 0; /* of the variance: every row's square is at most this */
    for (int64_t j = 0; j < d; j++) {
        double range = w->scan.top[j] + w->scan.bottom[j];
        double most = 2 * (double)shard->n * range * range;
        w->sums[j] = (csim__exact){0, 0};
        w->exponent[j] = csim__exact_exponent(most);
        bound += most;
    }
    csim__exact *tail = w->sums + d; /* Σ‖x̃_i‖⁴, and the number of zero rows */
    int e = csim__exact_exponent(bound * bound);
    csim__guest guest = {.site = site};
    csim__feed feed = {.ctx = NULL};
    csim_status st = CSIM_OK;
    if (site->streamed) { st = csim__feed_open(ctx, shard, &guest, 1, true, NULL, &feed); }
    tail[0] = tail[1] = (csim__exact){0, 0};
    for (int64_t c = 0; st == CSIM_OK && c < shard->count; c++) {
        int64_t at = c * shard->chunk, rows = csim__chunk_rows(shard, shard->first + c);
        double *x = site->streamed ? w->chunk : site->x + at * d;
        if (site->streamed) { st = csim__feed_read(&feed, x); }
        if (st != CSIM_OK) { continue; }
        centre_and_square(x, rows, d, site->mean, w->part, w->part + d);
        add_parts(w->sums, w->part, w->exponent, d);
        csim__exact_add(&tail[0], take_rows(site, x, at, rows, &tail[1].hi), e);
    }
    csim__feed_close(&feed);
    if (site->streamed) { st = csim__vote(ctx, st); }
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, w->sums, d + 2); }
    site->variance = site->raw_square = 0;
    for (int64_t j = 0; st == CSIM_OK && j < d; j++) {
        double square = csim__exact_value(w->sums[j], w->exponent[j]);
        if (square < 0x1p-900) { square = 0; } /* exact sums end at 2^−1001 */
        site->norm[j] = sqrt(square);
        site->constant_columns += square == 0;
        site->variance += square;
        site->raw_square += square + (double)shard->n * site->mean[j] * site->mean[j];
    }
    site->square_of_norms = csim__exact_value(tail[0], e);
    site->zero_rows = tail[1].hi;
    return st;
}

/* Floats hold 1e±38 and Gram products are fourth powers, so the rows are brought near 1 first. */
static csim_status to_single(csim_context *ctx, const csim_shard *shard, csim__site *site)
{
    int64_t count = shard->rows * site->d;
    double typical = sqrt(site->variance / ((double)site->n * (double)site->d));
    site->shift = site->variance > 0 ? csim__exact_exponent(typical) : 0;
    double scale = ldexp(1.0, -site->shift);
    if (site->streamed) { return CSIM_OK; }
    csim_status st = csim__alloc(ctx, count, sizeof *site->xf, "rows of a site", &site->xf);
    for (int64_t i = 0; st == CSIM_OK && i < count; i++) {
        site->xf[i] = (float)(site->x[i] * scale);
    }
    csim__free(ctx, &site->x);
    return st;
}

/* What double precision cannot square twice, too large or all of it too small, is held as zeros, and
 * its values are flagged: one such site must not cost a sweep the others. */
static void judge_scale(csim_context *ctx, const csim_shard *shard, csim__site *site, bool again,
                        scan *s, double *columns)
{
    double widest = 0, most = 0;
    for (int64_t j = 0; j < site->d; j++) {
        widest = fmax(widest, s->top[j] + s->bottom[j]);
        most = fmax(most, fmax(s->top[j], s->bottom[j]));
    }
    double reach = fmax(widest, most);
    double square = 2 * (double)shard->n * (double)site->d * reach * reach;
    if (!isfinite(square * square)) {
        site->unfit = CSIM_NOTE_OVERFLOW;
        csim__log(ctx, again ? CSIM_LOG_DEBUG : CSIM_LOG_WARNING,
                  "site %s of set %s: its values reach %g, too large for sums of squares in double "
                  "precision: scale the site; its pairs fail",
                  site->layer, site->model, most);
    } else if ((widest > 0 && widest < 2 * TINY) || (most > 0 && most < TINY)) {
        site->unfit = CSIM_NOTE_UNDERFLOW;
        csim__log(ctx, again ? CSIM_LOG_DEBUG : CSIM_LOG_WARNING,
                  "site %s of set %s: its values reach %g and differ by %g at most, too small for "
                  "sums of squares in double precision: scale the site; its pairs fail",
                  site->layer, site->model, most, widest);
    }
    if (site->unfit == CSIM_NOTE_NONE) { return; }
    if (!site->streamed) { memset(site->x, 0, (size_t)(shard->rows * site->d) * sizeof *site->x); }
    memset(columns, 0, (size_t)(shard->count * site->d) * sizeof *columns);
    for (int64_t j = 0; j < site->d; j++) { s->top[j] = s->bottom[j] = 0; }
}

static csim_status ingest_site(csim_context *ctx, const csim_shard *shard, csim__site *site,
                               csim_precision precision, scratch *w)
{
    int64_t d = site->d;
    bool again = site->hashed;
    csim_status st = CSIM_OK;
    site->n = shard->n;
    memset(w->hashes, 0, (size_t)shard->chunks * sizeof *w->hashes);
    CSIM_TRY(csim__alloc(ctx, d, sizeof *site->mean, "means", &site->mean));
    CSIM_TRY(csim__alloc(ctx, d, sizeof *site->norm, "norms", &site->norm));
    CSIM_TRY(
        csim__alloc(ctx, shard->rows, sizeof *site->row_square, "row norms", &site->row_square));
    if (site->streamed) {
        CSIM_TRY(csim__alloc(ctx, shard->count, sizeof *site->hash, "checksums", &site->hash));
    } else {
        CSIM_TRY(csim__alloc(ctx, shard->rows * d, sizeof *site->x, "rows of a site", &site->x));
    }
    w->scan.bottom = w->scan.top + d;
    w->scan.odd = w->scan.bottom + d;
    w->scan.bad = INT64_MAX;
    for (int64_t j = 0; j < d; j++) {
        w->scan.top[j] = w->scan.bottom[j] = -INFINITY;
        w->scan.odd[j] = 0;
    }
    CSIM_TRY(read_rows(ctx, shard, site, w));
done:
    st = csim__vote(ctx, st);
    if (st != CSIM_OK) { return st; }
    csim__phase_begin(ctx, "moments");
    st = agree_extremes(ctx, site, &w->scan);
    bool refused = st != CSIM_OK; /* agreed: a second vote would lose the message */
    if (!refused) { st = join_hashes(ctx, shard, w->hashes, site); }
    if (!refused) { st = csim__vote(ctx, st); }
    if (st == CSIM_OK) { judge_scale(ctx, shard, site, again, &w->scan, w->columns); }
    if (st == CSIM_OK) { st = take_means(ctx, shard, site, w); }
    if (st == CSIM_OK) { st = take_norms(ctx, shard, site, w); }
    if (st == CSIM_OK && precision == CSIM_SINGLE_PRECISION) {
        st = csim__vote(ctx, to_single(ctx, shard, site));
    }
    csim__phase_end(ctx, 6.0 * (double)(shard->rows * d), 0);
    return st;
}

csim_status csim__ingest_checksum(csim_context *ctx, const csim_shard *shard, csim__site *site)
{
    csim__guest guest = {.site = site};
    csim__feed feed = {.ctx = NULL};
    double *rows = NULL;
    int64_t *hashes = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, shard->chunk * site->d, sizeof *rows, "a chunk of a site", &rows));
    CSIM_TRY(csim__calloc(ctx, shard->chunks, sizeof *hashes, "checksums", &hashes));
    CSIM_TRY(csim__feed_open(ctx, shard, &guest, 1, false, NULL, &feed));
    for (int64_t c = shard->first; c < shard->first + shard->count; c++) {
        CSIM_TRY(csim__feed_read(&feed, rows));
        hashes[c] = csim__rows_hash(rows, csim__chunk_rows(shard, c) * site->d);
    }
done:
    csim__feed_close(&feed);
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__vote(ctx, join_hashes(ctx, shard, hashes, site)); }
    csim__free(ctx, &hashes);
    csim__free(ctx, &rows);
    return st;
}

static csim_status fail_few(csim_context *ctx, const csim__site *site, int64_t n, int least)
{
    char all[96] = "";
    int64_t stored = csim_set_stored_examples(site->set);
    if (n < stored) {
        snprintf(all, sizeof all, " of the %lld in its files, after --examples and --nan drop-rows",
                 (long long)stored);
    }
    return csim__fail(ctx, CSIM_E_DATA, "set %s (%s) has %lld examples%s, expected %d or more",
                      site->model, csim_set_path(site->set), (long long)n, all, least);
}

csim_status csim__ingest(csim_context *ctx, csim__site *sites, int count, csim_precision precision,
                         csim_shard *shard)
{
    enum { LEAST = 4 };
    int64_t widest = 0, streamed = 0;
    scratch w = {.part = NULL};
    csim_status st = CSIM_OK;
    *shard = csim__shard(csim_set_examples(sites[0].set), csim_context_rank(ctx),
                         csim_context_size(ctx));
    if (shard->n < LEAST) { return csim__vote(ctx, fail_few(ctx, &sites[0], shard->n, LEAST)); }
    for (int s = 0; s < count; s++) {
        widest = csim__max64(widest, sites[s].d);
        if (sites[s].streamed) { streamed = csim__max64(streamed, sites[s].d); }
    }
    CSIM_TRY(csim__alloc(ctx, shard->chunk * streamed, sizeof *w.chunk, "a chunk", &w.chunk));
    CSIM_TRY(csim__alloc(ctx, shard->count * widest, sizeof *w.columns, "sums", &w.columns));
    CSIM_TRY(csim__alloc(ctx, 3 * widest, sizeof *w.scan.top, "extremes", &w.scan.top));
    CSIM_TRY(csim__alloc(ctx, 2 * widest, sizeof *w.part, "partial sums", &w.part));
    CSIM_TRY(csim__alloc(ctx, widest, sizeof *w.exponent, "exponents", &w.exponent));
    CSIM_TRY(csim__alloc(ctx, widest + 2, sizeof *w.sums, "exact sums", &w.sums));
    CSIM_TRY(csim__alloc(ctx, shard->chunks, sizeof *w.hashes, "checksums", &w.hashes));
done:
    st = csim__vote(ctx, st);
    for (int s = 0; st == CSIM_OK && s < count; s++) {
        st = ingest_site(ctx, shard, &sites[s], precision, &w);
    }
    csim__free(ctx, &w.hashes);
    csim__free(ctx, &w.sums);
    csim__free(ctx, &w.exponent);
    csim__free(ctx, &w.part);
    csim__free(ctx, &w.scan.top);
    csim__free(ctx, &w.columns);
    csim__free(ctx, &w.chunk);
    return st;
}

static void basis_clear(csim_context *ctx, csim__basis *basis)
{
    csim__free(ctx, &basis->u);
    csim__free(ctx, &basis->sigma);
    csim__free(ctx, &basis->loading);
    csim__free(ctx, &basis->factors.r);
    for (int i = 0; i < CSIM__FACTORS; i++) { csim__free(ctx, &basis->factors.f[i]); }
}

void csim__site_release(csim_context *ctx, csim__site *site)
{
    csim__free(ctx, &site->mean);
    csim__free(ctx, &site->norm);
    csim__free(ctx, &site->x);
    csim__free(ctx, &site->xf);
    csim__free(ctx, &site->hash);
    csim__free(ctx, &site->row_square);
    basis_clear(ctx, &site->basis);
    basis_clear(ctx, &site->raw_basis);
}

csim__site csim__site_of(csim_set *set, int index)
{
    const csim_site_info *info = csim_set_site(set, index);
    return (csim__site){.set = set,
                        .index = index,
                        .model = csim_set_name(set),
                        .layer = info->name,
                        .n = csim_set_examples(set),
                        .d = info->d,
                        .rank = -1,
                        .median = {NAN, NAN}};
}

void csim__site_raw_row(const csim__site *site, int64_t i, double *out)
{
    csim__rows_restore(site->x + i * site->d, 1, site->d, site->mean, out);
}

void csim__rows_restore(const double *restrict x, int64_t rows, int64_t d,
                        const double *restrict mean, double *restrict out)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) { out[i * d + j] = x[i * d + j] + mean[j]; }
    }
}

void csim__rows_unit(double *x, int64_t rows, int64_t d)
{
    for (int64_t i = 0; i < rows; i++, x += d) {
        double length = sqrt(csim__dot(d, x, x));
        for (int64_t j = 0; j < d; j++) { x[j] = length > 0 ? x[j] / length : 0; }
    }
}
