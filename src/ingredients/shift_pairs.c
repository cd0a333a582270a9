/* Sums of products of spectra over all diagonals, and back to the cosines of pairs at all shifts. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/exact.h"
#include "ingredients/shifts.h"

typedef double vec __attribute__((vector_size(CSIM__LANES * sizeof(double)), may_alias));

/* Numbers of the sums of as many pairs as go through together. */
enum { TOGETHER = 1 << 20 };

typedef struct pass {
    csim__shifts *w;
    const csim__twosome *pair;
    unsigned aspects;
    csim__shift_taker *take;
    void *user;
    double *norm, *factor; /* [sites] bounds of the spectra, and what scales them */
    int64_t *sum;          /* [pairs together, bands, CSIM__BAND] */
    double *value;         /* [bands, CSIM__BAND] those of a pair */
    int64_t together;
} pass;

/* out = Σ_d conj(a_d)·b_d of one band of frequencies. */
CSIM_CLONES
static void add_products(const double *restrict a, const double *restrict b, int64_t diagonals,
                         double *restrict out)
{
    vec re = {0}, im = {0};
    for (int64_t d = 0; d < diagonals; d++, a += CSIM__BAND, b += CSIM__BAND) {
        const vec *p = (const vec *)a, *q = (const vec *)b;
        re += p[0] * q[0] + p[1] * q[1];
        im += p[0] * q[1] - p[1] * q[0];
    }
    *(vec *)out = re;
    *(vec *)(out + CSIM__LANES) = im;
}

/* The diagonals from @p at on, one block, of @p count pairs: a band of all sites stays in cache. */
static void add_block(pass *p, int64_t first, int64_t count, int64_t at)
{
    const csim__shifts *w = p->w;
    int64_t own = w->d.band.count, many = csim__min64(csim__diagonal_block(w->n), own - at);
    double part[CSIM__BAND] __attribute__((aligned(64))), right[CSIM__BAND];
    for (int64_t b = 0; b < w->bands; b++) {
        int64_t from = (b * own + at) * CSIM__BAND;
        for (int64_t i = 0; i < count; i++) {
            const csim__twosome *pair = &p->pair[first + i];
            int64_t *to = p->sum + (i * w->bands + b) * CSIM__BAND;
            add_products(w->site[pair->a].band + from, w->site[pair->b].band + from, many, part);
            for (int l = 0; l < CSIM__BAND; l++) { right[l] = p->factor[pair->b]; }
            csim__exact_add_block(to, CSIM__BAND, part, CSIM__BAND, 1, CSIM__BAND,
                                  &p->factor[pair->a], right, false);
        }
    }
}

static csim_status reduce(pass *p, int64_t count)
{
    csim_context *ctx = p->w->t.ctx;
    int64_t numbers = count * p->w->bands * CSIM__BAND;
    csim_status st = CSIM_OK;
    for (int64_t at = 0; st == CSIM_OK && at < numbers; at += TOGETHER) {
        st = csim__mpi(ctx,
                       MPI_Allreduce(MPI_IN_PLACE, p->sum + at,
                                     (int)csim__min64(TOGETHER, numbers - at), MPI_INT64_T, MPI_SUM,
                                     csim_context_comm(ctx)),
                       "sums of spectra");
    }
    return csim__vote(ctx, st);
}

/* What an aspect is made of: a constant, the part of the vectors, and twice the sum over diagonals. */
typedef struct recipe {
    int vector;
    double weight, constant; /* constant: times both means */
} recipe;

static recipe recipe_of(csim_aspect aspect, double n)
{
    switch (aspect) {
    case CSIM_ASPECT_CENTRED: /* its rows sum to 0 */
        return (recipe){0, n / (n - 2), n * n / (n - 1)};
    case CSIM_ASPECT_BESIDE:
        return (recipe){0, 2 / (n - 2), n / (n - 1)};
    case CSIM_ASPECT_DEVIATIONS:
        return (recipe){1, 2 * (n - 2), 0};
    case CSIM_ASPECT_ENTRIES:
        return (recipe){1, 2 * (n - 2), n * (n - 1)};
    default:
        return (recipe){0, 0, 0};
    }
}

static double square_of(const csim__shift_site *s, const recipe *r)
{
    double mean = s->mean[r->vector];
    return r->constant * mean * mean + r->weight * s->square[r->vector] + s->rest;
}

/* The cosines of a pair for one aspect. */
static void finish(const pass *p, int64_t pair, csim_aspect aspect)
{
    const csim__shifts *w = p->w;
    const csim__shift_site *a = &w->site[p->pair[pair].a], *b = &w->site[p->pair[pair].b];
    recipe r = recipe_of(aspect, (double)w->n);
    const double *u = a->vector[r.vector], *v = b->vector[r.vector];
    double size = sqrt(square_of(a, &r)) * sqrt(square_of(b, &r));
    double constant = r.constant * a->mean[r.vector] * b->mean[r.vector];
    double *s = w->f.spectrum, *cosine = w->f.real;
    for (int64_t k = 0; k <= w->n / 2; k++) {
        const double *sum = p->value + k / CSIM__LANES * CSIM__BAND + k % CSIM__LANES;
        const double *x = u + 2 * k, *y = v + 2 * k;
        s[2 * k] = 2 * sum[0] + r.weight * (x[0] * y[0] + x[1] * y[1]);
        s[2 * k + 1] = 2 * sum[CSIM__LANES] + r.weight * (x[0] * y[1] - x[1] * y[0]);
    }
    csim__fourier_back(&w->f);
    for (int64_t i = 0; i < w->n; i++) {
        cosine[i] = size > 0 ? (cosine[i] / (double)w->n + constant) / size : NAN;
    }
    p->take(p->user, pair, aspect, cosine, size);
}

static void finish_pair(const pass *p, int64_t first, int64_t i)
{
    const csim__shifts *w = p->w;
    const csim__twosome *pair = &p->pair[first + i];
    double right[CSIM__BAND];
    for (int l = 0; l < CSIM__BAND; l++) { right[l] = p->factor[pair->b]; }
    for (int64_t b = 0; b < w->bands; b++) {
        csim__exact_block_value(p->sum + (i * w->bands + b) * CSIM__BAND, 1, CSIM__BAND,
                                &p->factor[pair->a], right, p->value + b * CSIM__BAND);
    }
    for (int a = 0; a < CSIM_ASPECTS; a++) {
        if (p->aspects & 1u << a) { finish(p, first + i, (csim_aspect)a); }
    }
}

/* A sum of products of spectra at a frequency is at most √(Σ|a|²Σ|b|²) ≤ n‖Â‖‖B̂‖/2. */
static csim_status start(pass *p, int64_t count)
{
    csim__shifts *w = p->w;
    csim_context *ctx = w->t.ctx;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *p->norm, "norms", &p->norm));
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *p->factor, "factors", &p->factor));
    CSIM_TRY(csim__alloc(ctx, w->bands * CSIM__BAND, sizeof *p->value, "a spectrum", &p->value));
    p->together = csim__min64(csim__max64(TOGETHER / (w->bands * CSIM__BAND), 1), count);
    CSIM_TRY(csim__alloc(ctx, p->together * w->bands * CSIM__BAND, sizeof *p->sum,
                         "sums of spectra", &p->sum));
    for (int s = 0; s < w->count; s++) { p->norm[s] = sqrt((double)w->n * w->site[s].rest); }
    csim__exact_factors(p->norm, w->count, p->factor);
done:
    return st;
}

csim_status csim__shifts_pairs(csim__shifts *w, const csim__twosome *pairs, int64_t count,
                               unsigned aspects, csim__shift_taker *take, void *user,
                               csim__meter *meter)
{
    const csim_shard *me = &w->t.shard;
    csim_context *ctx = w->t.ctx;
    pass p = {.w = w, .pair = pairs, .aspects = aspects, .take = take, .user = user};
    double flops = 4.0 * (double)w->n * (double)w->d.band.count;
    csim__phase_begin(ctx, "shifts");
    csim_status st = csim__vote(ctx, start(&p, count));
    for (int64_t first = 0; st == CSIM_OK && first < count; first += p.together) {
        int64_t many = csim__min64(p.together, count - first);
        memset(p.sum, 0, (size_t)(many * w->bands * CSIM__BAND) * sizeof *p.sum);
        for (int64_t at = 0; at < w->d.band.count; at += csim__diagonal_block(w->n)) {
            add_block(&p, first, many, at);
        }
        csim__meter_add(meter, "shifts", flops * (double)many);
        st = reduce(&p, many);
        for (int64_t i = 0; st == CSIM_OK && i < many; i++) {
            if ((first + i) % me->size == me->rank) { finish_pair(&p, first, i); }
        }
    }
    csim__free(ctx, &p.sum);
    csim__free(ctx, &p.value);
    csim__free(ctx, &p.factor);
    csim__free(ctx, &p.norm);
    csim__phase_end(ctx, flops * (double)count, 0);
    return st;
}

int64_t csim__shifts_bytes(const csim_shard *shard, int sites, int64_t pairs, int64_t widest,
                           bool ranked)
{
    const int64_t word = sizeof(double), n = shard->n, size = shard->size;
    csim__triangle_room room = csim__triangle_bytes(shard, widest);
    int64_t own = 0, bands = (n / 2 + CSIM__LANES) / CSIM__LANES;
    for (int r = 0; r < size; r++) {
        own = csim__max64(own, csim__diagonal_band(n, r, (int)size).count);
    }
    int64_t spectra = bands * CSIM__BAND * word;
    int64_t rows = 2 * word * shard->rows * widest + csim__order_bytes(shard, word * widest);
    int64_t exchange = room.each + 2 * word * own * n;
    int64_t filled = csim__max64(room.fill, ranked ? room.rank : 0);
    int64_t making = 6 * word * n + room.each + csim__max64(csim__max64(rows, filled), exchange);
    int64_t sums = csim__max64(csim__min64(TOGETHER * word, pairs * spectra), spectra) + spectra;
    return sites * (own * spectra + 2 * spectra) + room.patches * (1 + size) +
           csim__order_bytes(shard, 0) + 3 * word * n + csim__max64(making, sums);
}
