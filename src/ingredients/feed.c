#include "ingredients/feed.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "io/ahead.h"
#include "linalg/dense.h"

enum { BASES = CSIM__FORM_BASIS | CSIM__FORM_RAW_BASIS };

int csim__feed_item(const csim__site *site)
{
    return csim__ahead_direct(site->set, site->index);
}

int64_t csim__rows_hash(const double *x, int64_t count)
{
    uint64_t h = XXH3_64bits(x, (size_t)count * sizeof *x);
    int64_t bits;
    memcpy(&bits, &h, sizeof bits);
    return bits;
}

/* ---- memory ---- */

int64_t csim__guest_bytes(int64_t chunk, int64_t d, int64_t q, unsigned forms)
{
    int64_t words = 0;
    if (forms & CSIM__FORM_CENTRED) { words += d; }
    if (forms & CSIM__FORM_UNIT) { words += d; }
    if (forms & CSIM__FORM_BASIS) { words += q; }
    if (forms & CSIM__FORM_RAW_BASIS) { words += q; }
    return chunk * (8 * words + (forms & CSIM__FORM_SINGLE ? 4 * d : 0));
}

/* Of the three scratch chunks: rows before they are made into something, the same where a basis is
 * made of them, and what is between two factors of a raw basis. */
static int scratches(unsigned forms, bool shared, bool wanted[3])
{
    wanted[0] = shared;
    wanted[1] = (forms & BASES) != 0;
    wanted[2] = (forms & CSIM__FORM_RAW_BASIS) != 0;
    return wanted[0] + wanted[1] + wanted[2];
}

int64_t csim__feed_bytes(int64_t chunk, int64_t widest, int64_t fetched, unsigned forms,
                         bool shared)
{
    bool wanted[3];
    return chunk * (8 * widest * scratches(forms, shared, wanted) + csim__ahead_bytes(fetched));
}

static csim_status take_memory(csim__feed *f)
{
    csim_context *ctx = f->ctx;
    int64_t chunk = f->shard->chunk, widest = 0, fetched = 0;
    unsigned forms = 0;
    bool shared = false, wanted[3];
    csim_status st = CSIM_OK;
    for (int i = 0; i < f->count; i++) {
        csim__guest *g = &f->guest[i];
        int64_t d = g->site->d;
        widest = csim__max64(widest, d);
        fetched = csim__max64(fetched, d * csim__feed_item(g->site));
        forms |= g->forms;
        shared = shared || (g->forms != 0 && !(g->forms & CSIM__FORM_CENTRED));
        g->centred = g->basis = g->raw_basis = g->unit = NULL;
        g->single = NULL;
    }
    CSIM_TRY(csim__ahead_open(ctx, chunk * fetched, &f->ahead));
    scratches(forms, shared, wanted);
    for (int k = 0; k < 3; k++) {
        if (!wanted[k]) { continue; }
        CSIM_TRY(csim__alloc(ctx, chunk * widest, sizeof(double), "a chunk", &f->scratch[k]));
    }
    for (int i = 0; i < f->count; i++) {
        csim__guest *g = &f->guest[i];
        int64_t d = g->site->d;
        if (g->forms & CSIM__FORM_CENTRED) {
            CSIM_TRY(csim__alloc(ctx, chunk * d, sizeof(double), "a chunk", &g->centred));
        }
        if (g->forms & CSIM__FORM_SINGLE) {
            CSIM_TRY(csim__alloc(ctx, chunk * d, sizeof(float), "a chunk", &g->single));
        }
        if (g->forms & CSIM__FORM_UNIT) {
            CSIM_TRY(csim__alloc(ctx, chunk * d, sizeof(double), "a chunk", &g->unit));
        }
        if (g->forms & CSIM__FORM_BASIS) {
            int64_t q = csim__factors_columns(&g->site->basis.factors, d);
            CSIM_TRY(csim__alloc(ctx, chunk * q, sizeof(double), "a chunk", &g->basis));
        }
        if (g->forms & CSIM__FORM_RAW_BASIS) {
            int64_t q = csim__factors_columns(&g->site->raw_basis.factors, d);
            CSIM_TRY(csim__alloc(ctx, chunk * q, sizeof(double), "a chunk", &g->raw_basis));
        }
    }
done:
    return st;
}

/* ---- reading ---- */

static int64_t chunk_of(const csim__feed *f, int64_t item)
{
    return f->shard->first + item / f->count;
}

/* Values that double precision cannot square are held as zeros: nothing is read. */
static bool is_read(const csim__feed *f, int64_t item)
{
    return f->guest[item % f->count].site->unfit == CSIM_NOTE_NONE;
}

/* Announce what comes next, so that it is on its way. */
static void post(csim__feed *f)
{
    for (; f->posted < f->items && f->posted < f->taken + CSIM__AHEAD; f->posted++) {
        const csim__site *s = f->guest[f->posted % f->count].site;
        int64_t c = chunk_of(f, f->posted);
        if (!is_read(f, f->posted)) { continue; }
        csim__ahead_post(f->ahead, s->set, s->index, csim__chunk_row(f->shard, c),
                         csim__chunk_rows(f->shard, c));
    }
}

csim_status csim__feed_open(csim_context *ctx, const csim_shard *shard, csim__guest *guests,
                            int count, bool again, csim__meter *meter, csim__feed *feed)
{
    *feed = (csim__feed){.ctx = ctx,
                         .shard = shard,
                         .meter = meter,
                         .guest = guests,
                         .count = count,
                         .again = again,
                         .items = shard->count * count};
    csim_status st = take_memory(feed);
    if (st == CSIM_OK) { post(feed); }
    return st;
}

void csim__feed_close(csim__feed *f)
{
    csim_context *ctx = f->ctx;
    if (ctx == NULL) { return; }
    csim__ahead_close(ctx, &f->ahead);
    for (int i = 0; i < f->count; i++) {
        csim__guest *g = &f->guest[i];
        csim__free(ctx, &g->centred);
        csim__free(ctx, &g->single);
        csim__free(ctx, &g->unit);
        csim__free(ctx, &g->basis);
        csim__free(ctx, &g->raw_basis);
    }
    for (int k = 0; k < 3; k++) { csim__free(ctx, &f->scratch[k]); }
    f->ctx = NULL;
}

csim_status csim__feed_read(csim__feed *f, double *x)
{
    int64_t item = f->taken++, c = chunk_of(f, item);
    const csim__site *s = f->guest[item % f->count].site;
    int64_t numbers = csim__chunk_rows(f->shard, c) * s->d;
    csim_status st = CSIM_OK;
    if (!is_read(f, item)) {
        memset(x, 0, (size_t)numbers * sizeof *x);
        post(f);
        return CSIM_OK;
    }
    csim__phase_begin(f->ctx, "read");
    st = csim__ahead_take(f->ahead, x);
    if (st == CSIM_OK) { post(f); }
    if (st == CSIM_OK && f->again && csim__rows_hash(x, numbers) != s->hash[item / f->count]) {
        st = csim__fail(f->ctx, CSIM_E_DATA,
                        "site %s of set %s (%s) has changed while the sweep was running: rows from "
                        "%lld on are not those that were read before",
                        s->layer, s->model, csim_set_path(s->set),
                        (long long)csim__chunk_row(f->shard, c));
    }
    csim__phase_end(f->ctx, 0, (double)numbers * sizeof *x);
    return st;
}

/* ---- forms ---- */

static void centre(double *restrict x, int64_t rows, int64_t d, const double *restrict mean)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) { x[i * d + j] -= mean[j]; }
    }
}

/* out ← x R⁻¹ F₁ F₂ …, as far as there are factors, by the calls with which rows that are held are
 * turned (basis.c). */
static void make_basis(csim__feed *f, const csim__site *s, const csim__factors *factors, bool raw,
                       const double *x, int rows, double *out)
{
    int d = (int)s->d, k = d;
    double *at = factors->count > 0 ? f->scratch[1] : out, *other = f->scratch[2], flops = 0;
    if (raw) {
        csim__rows_restore(x, rows, d, s->mean, at);
    } else {
        memcpy(at, x, (size_t)rows * (size_t)d * sizeof *x);
    }
    if (factors->r != NULL) {
        csim__trsm_right(rows, d, factors->r, at);
        flops += (double)rows * d * d;
    }
    for (int i = 0; i < factors->count; i++) {
        int m = factors->columns[i];
        double *to = i + 1 < factors->count ? other : out;
        if (m > 0) { csim__gemm_nn(rows, m, k, at, k, factors->f[i], m, to, m); }
        flops += 2.0 * rows * k * m;
        other = at;
        at = to;
        k = m;
    }
    csim__meter_add(f->meter, "bases", flops);
}

csim_status csim__feed_next(csim__feed *f)
{
    csim__guest *g = &f->guest[f->taken % f->count];
    const csim__site *s = g->site;
    int64_t rows = csim__chunk_rows(f->shard, chunk_of(f, f->taken)), d = s->d;
    double *x = g->centred != NULL ? g->centred : f->scratch[0];
    csim_status st = csim__feed_read(f, x);
    if (st != CSIM_OK) { return st; }
    centre(x, rows, d, s->mean);
    double scale = ldexp(1.0, -s->shift);
    for (int64_t i = 0; g->single != NULL && i < rows * d; i++) {
        g->single[i] = (float)(x[i] * scale);
    }
    if (g->unit != NULL) {
        csim__rows_restore(x, rows, d, s->mean, g->unit);
        csim__rows_unit(g->unit, rows, d);
    }
    if (g->basis != NULL) { make_basis(f, s, &s->basis.factors, false, x, (int)rows, g->basis); }
    if (g->raw_basis != NULL) {
        make_basis(f, s, &s->raw_basis.factors, true, x, (int)rows, g->raw_basis);
    }
    return st;
}

double csim__feed_work(const csim__feed *f)
{
    double numbers = 0;
    for (int i = 0; i < f->count; i++) {
        numbers += (double)(f->shard->chunk * f->guest[i].site->d);
    }
    return CSIM__READING * numbers;
}

csim_status csim__feed_chunks(csim_context *ctx, const csim_shard *shard, const csim__meter *meter,
                              csim_status mine, double work, csim__chunk_fn one, void *user)
{
    const double look = 2e10;
    int64_t most = (shard->chunks + shard->size - 1) / shard->size; /* of a rank */
    int64_t every = work * (double)most < look ? most : (int64_t)ceil(look / work);
    csim_status st = mine;
    for (int64_t c = 0; c < most; c++) {
        if (c % every == 0) { st = csim__meter_look(ctx, meter, st); }
        if (c % every == 0 && st != CSIM_OK) { return st; }
        if (st == CSIM_OK && c < shard->count) { st = one(user, c); }
    }
    return csim__vote(ctx, st);
}

csim_status csim__site_hold(csim_context *ctx, const csim_shard *shard, csim__site *site,
                            bool single)
{
    csim__guest guest = {.site = site, .forms = single ? CSIM__FORM_SINGLE : 0};
    csim__feed feed = {.ctx = NULL};
    csim_status st = CSIM_OK;
    int64_t count = shard->rows * site->d;
    if (single) {
        CSIM_TRY(csim__alloc(ctx, count, sizeof *site->xf, "rows of a site", &site->xf));
    } else {
        CSIM_TRY(csim__alloc(ctx, count, sizeof *site->x, "rows of a site", &site->x));
    }
    CSIM_TRY(csim__feed_open(ctx, shard, &guest, 1, true, NULL, &feed));
    for (int64_t c = 0; c < shard->count; c++) {
        int64_t at = c * shard->chunk * site->d, rows = csim__chunk_rows(shard, shard->first + c);
        if (single) {
            CSIM_TRY(csim__feed_next(&feed));
            memcpy(site->xf + at, guest.single, (size_t)(rows * site->d) * sizeof *site->xf);
        } else {
            CSIM_TRY(csim__feed_read(&feed, site->x + at));
            centre(site->x + at, rows, site->d, site->mean);
        }
    }
done:
    csim__feed_close(&feed);
    return st;
}
