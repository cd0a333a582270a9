#include "sweep/cost.h"

#include <math.h>

const int csim__gemm_size[CSIM__GEMM_SIZES] = {64, 256, 1024};

const csim__machine csim__machine_typical = {
    .gemm = {{8e9, 25e9, 35e9}, {14e9, 50e9, 70e9}},
    .inner = {6e9, 8e9},
    .eigen_values = 4e9,
    .eigen_vectors = 12e9,
    .svd_values = 4e9,
    .svd_vectors = 12e9,
    .exact = 0.6e9,
    .moments = 0.25e9,
    .memory = 8e9,
    .fresh = 2e9,
    .read = 0.5e9,
    .latency = 1e-6,
    .bandwidth = 4e9,
    .net_latency = 3e-6,
    .net_bandwidth = 10e9,
};

const char *csim__term_key(csim__term term)
{
#define KEY(name, key, text) key,
    static const char *const keys[] = {CSIM__TERM_LIST(KEY)};
#undef KEY
    return keys[term];
}

const char *csim__term_text(csim__term term)
{
#define TEXT(name, key, text) text,
    static const char *const texts[] = {CSIM__TERM_LIST(TEXT)};
#undef TEXT
    return texts[term];
}

/* What the terms are worked out from. */
typedef struct model {
    const csim__problem *p;
    const csim__plan *plan;
    const csim__machine *machine;
    csim_shard shard; /* of the rank with most examples */
    bool single;
    double rows, steps;        /* of that rank; ⌈log₂ P⌉ */
    double latency, bandwidth; /* of a rank that talks to any other */
    csim__effort *effort;
} model;

/* Seconds of a product of m·n·k, by its size between those that were timed. */
static double gemm(const model *w, bool single, double flops, double m, double n, double k)
{
    const double *rate = w->machine->gemm[single];
    double size = cbrt(m * n * k);
    int i = 0;
    if (flops <= 0 || size <= 0) { return 0; }
    if (size <= csim__gemm_size[0]) { return flops / (rate[0] * size / csim__gemm_size[0]); }
    while (i < CSIM__GEMM_SIZES - 2 && size > csim__gemm_size[i + 1]) { i++; }
    double t =
        log(size / csim__gemm_size[i]) / log((double)csim__gemm_size[i + 1] / csim__gemm_size[i]);
    return flops / exp(log(rate[i]) + fmin(t, 1) * (log(rate[i + 1]) - log(rate[i])));
}

/* Bytes that go from one rank to all, or from all to one: short ones along a tree, of long ones every
 * rank passes on its part, which takes the time of two messages on any number of ranks. */
static void spread(const model *w, csim__term term, double bytes, double times)
{
    double copies = fmin(w->steps, 2);
    w->effort->seconds[term] += times * (w->steps * w->latency + copies * bytes / w->bandwidth);
    w->effort->moved += times * (w->p->size - 1) * bytes;
}

/* Rows of all sites come in, are checked and centred. */
static void reading(const model *w, double per_number)
{
    double widths = 0, again = 0; /* numbers of a row; with those that are read again */
    for (int i = 0; i < w->p->sites; i++) {
        widths += (double)w->p->width[i];
        again += (double)w->plan->reads[i] * (double)w->p->width[i];
    }
    double numbers = w->rows * widths;
    w->effort->read += (double)w->p->n * again * per_number;
    w->effort->seconds[CSIM__TERM_READ] += w->rows * again * per_number / w->machine->read;
    w->effort->seconds[CSIM__TERM_MOMENTS] += w->rows * again / w->machine->moments;
    if (!w->plan->streamed) {
        w->effort->seconds[CSIM__TERM_MOMENTS] +=
            numbers * (w->single ? 12 : 8) / w->machine->fresh;
    }
    if (w->plan->unit && !w->plan->streamed) {
        w->effort->seconds[CSIM__TERM_MOMENTS] += 8 * numbers / w->machine->fresh;
    }
    /* extremes, means and norms of every site go round */
    spread(w, CSIM__TERM_MOMENTS, 56 * widths / w->p->sites, w->p->sites);
}

static void encoding(const model *w)
{
    for (int i = 0; i < w->p->encoder_count; i++) {
        const csim_encoder *e = w->p->encoders[i];
        double flops =
            csim__projection_flops(e, w->p->n, w->p->sites, w->plan->count - w->plan->selves);
        double width = csim_encoder_width(e), share = w->rows / (double)w->p->n;
        w->effort->seconds[CSIM__TERM_ENCODE] +=
            gemm(w, true, flops * share, (double)w->shard.chunk, width, width);
    }
}

static void tiles(const model *w)
{
    double n = (double)w->p->n, side = (double)csim__min64(w->shard.chunk, 512);
    double widths = 0, pairs = 0, busy = 0;
    int many = 0;
    if (!w->plan->any_tiles) { return; }
    for (int i = 0; i < w->p->sites; i++) {
        if (!w->plan->tiled[i]) { continue; }
        double d = (double)w->p->width[i], flops = w->rows * n * d;
        /* the tile is filled with its row terms first */
        busy += gemm(w, w->single, flops, side, side, d) +
                w->rows * n / 2 * (w->single ? 8 : 16) / w->machine->memory / 4;
        widths += d;
        many++;
    }
    w->effort->seconds[CSIM__TERM_TILES] += busy;
    for (int64_t i = 0; i < w->plan->count; i++) { pairs += w->plan->pairs[i].tiled; }
    double inner = w->rows * n * pairs / w->machine->inner[w->single];
    w->effort->seconds[CSIM__TERM_INNER] += inner;
    /* a chunk is used while the next one comes: only what takes longer than the work is waited for */
    double others = (w->p->size - 1) / 2.0, bytes = widths * (w->single ? 4 : 8) + 8.0 * many;
    double on_way = w->rows * others * bytes / w->bandwidth +
                    others * (double)w->shard.count * (many + 1) * w->latency;
    w->effort->moved += n * others * bytes;
    w->effort->seconds[CSIM__TERM_EXCHANGE] += fmax(0, on_way - busy - inner);
}

/* Rows of one site: XᵀX, X R⁻¹, QᵀQ, Q F; chunks of it added as integers; factors sent round. */
static void basis_rows(const model *w, double d, bool loading)
{
    double *seconds = w->effort->seconds, chunk = (double)w->shard.chunk;
    double chunks = (double)w->shard.count;
    seconds[CSIM__TERM_BASES] += gemm(w, false, 5 * w->rows * d * d, d, d, chunk);
    seconds[CSIM__TERM_SUMS] += chunks * d * d / w->machine->exact; /* two upper triangles */
    spread(w, CSIM__TERM_REDUCE, 8 * d * d, loading ? 5 : 4);
}

/* The small factors of a site with n > d, on its owner. */
static double small_tall(const model *w, double d)
{
    double cube = d * d * d;
    return gemm(w, false, cube * (1.0 / 3 + 4), d, d, d) + 9 * cube / w->machine->eigen_vectors +
           20 * cube / w->machine->svd_vectors;
}

/* The whole of a site with n ≤ d, on its owner. */
static double small_wide(const model *w, double d)
{
    double n = (double)w->p->n;
    return gemm(w, false, 4 * n * n * d, n, n, d) + 20 * n * n * n / w->machine->svd_vectors +
           gemm(w, false, 2 * n * n * d, n, d, n);
}

/* Bases of the sites that are marked (all: NULL); as many at a time as there are ranks. */
static void bases(const model *w, const unsigned char *marks, bool loading)
{
    for (int wide = 0; wide < 2; wide++) {
        double slowest = 0;
        int many = 0;
        for (int i = 0; i <= w->p->sites; i++) {
            bool last = i == w->p->sites;
            if (!last && (marks == NULL || marks[i]) &&
                (w->p->n <= w->p->width[i]) == (wide == 1)) {
                double d = (double)w->p->width[i], n = (double)w->p->n;
                slowest = fmax(slowest, wide ? small_wide(w, d) : small_tall(w, d));
                many++;
                if (wide) {
                    spread(w, CSIM__TERM_REDUCE, 8 * n * (d + n) / w->p->size, 1);
                    if (loading) { spread(w, CSIM__TERM_REDUCE, 8 * n * d, 1); }
                } else {
                    basis_rows(w, d, loading);
                }
            }
            if (many == w->p->size || last) {
                w->effort->seconds[CSIM__TERM_FACTORS] += slowest;
                slowest = 0;
                many = 0;
            }
        }
    }
}

/* One product over the examples, and its way to the owner. */
static void product(const model *w, double m, double n, bool self)
{
    double *seconds = w->effort->seconds, chunk = (double)w->shard.chunk, share = self ? 0.5 : 1;
    if (m == 0 || n == 0) { return; }
    seconds[CSIM__TERM_CROSS] += gemm(w, w->single, 2 * share * w->rows * m * n, m, n, chunk);
    /* every chunk is added; the memory is cleared before and turned into numbers after */
    seconds[CSIM__TERM_SUMS] += ((double)w->shard.count * share + 1) * m * n / w->machine->exact;
    spread(w, CSIM__TERM_REDUCE, 8 * m * n, 1);
}

/* What the owner of a pair makes of it, and what it costs more when squares are too inexact. */
static double decompositions(const model *w, const csim__planned *q, double *again)
{
    const csim__machine *m = w->machine;
    unsigned needs = w->p->needs;
    double da = (double)w->p->width[q->couple.left], db = (double)w->p->width[q->couple.right];
    bool bases = q->route == CSIM__ROUTE_BASIS, self = q->couple.left == q->couple.right;
    double n = (double)w->p->n, a = bases ? fmin(da, n) : da, b = bases ? fmin(db, n) : db;
    double k = fmin(a, b), longer = fmax(a, b), cube = k * k * k, unit = k * k * longer, t = 0;
    double values = gemm(w, false, unit, k, k, longer) + 4.0 / 3 * cube / m->eigen_values;
    if (!q->cell) { return 0; }
    if (q->route != CSIM__ROUTE_GRAM) { t += 16 * a * b / m->memory; }
    if ((needs & CSIM_NEEDS_NUCLEAR) && !self) {
        t += values;
        *again += 8.0 / 3 * unit / m->svd_values;
    }
    if ((needs & CSIM_NEEDS_BASIS) && (needs & CSIM_NEEDS_LOADING)) {
        if (!self) {
            t += gemm(w, false, 3 * unit, k, k, longer) + 9 * cube / m->eigen_vectors;
            *again += 20 * unit / m->svd_vectors;
        }
        t += gemm(w, false, 2 * k * (a * da + b * db), k, longer, longer);
    } else if ((needs & CSIM_NEEDS_BASIS) && !self) {
        t += values;
        *again += 8.0 / 3 * unit / m->svd_values;
    }
    if ((needs & CSIM_NEEDS_BLOCK) && bases) {
        t += gemm(w, false, 2 * da * a * b + 2 * da * db * b, a, b, longer);
    }
    if (needs & CSIM_NEEDS_UNIT) {
        double c = fmin(da, db), far = fmax(da, db);
        t += 20 * c * c * far / m->svd_vectors + gemm(w, false, 2 * c * da * db, c, da, db);
    }
    return t;
}

/* Owners have pairs in turn: the last rank is the one whose pairs take longest together. */
static void pairs(const model *w)
{
    double slowest = 0, again = 0;
    for (int64_t i = 0; i < w->plan->count; i++) {
        const csim__planned *q = &w->plan->pairs[i];
        csim__products s = csim__plan_products(w->p, w->plan, q);
        bool self = q->couple.left == q->couple.right;
        double da = (double)w->p->width[q->couple.left], db = (double)w->p->width[q->couple.right];
        double qa = fmin(da, (double)w->p->n), qb = fmin(db, (double)w->p->n);
        if (s.cross > 0) { product(w, da, db, self); }
        if (s.unit > 0) { product(w, da, db, self); }
        if (s.basis > 0 && !self) { product(w, qa, qb, false); }
        if (s.raw > 0 && !self) { product(w, qa, qb, false); }
    }
    for (int r = 0; r < w->p->size && r < w->plan->count; r++) {
        double sum = 0, more = 0;
        for (int64_t i = r; i < w->plan->count; i += w->p->size) {
            sum += decompositions(w, &w->plan->pairs[i], &more);
        }
        slowest = fmax(slowest, sum);
        again = fmax(again, more);
    }
    w->effort->seconds[CSIM__TERM_DECOMPOSE] += slowest;
    w->effort->again += again;
}

void csim__effort_add(const csim__problem *p, const csim__plan *plan, const csim__target *target,
                      csim__effort *effort)
{
    const csim__machine *m = target->machine;
    double per_node = ceil((double)p->size / target->nodes);
    bool far = target->nodes > 1;
    model w = {.p = p,
               .plan = plan,
               .machine = m,
               .shard = csim__shard_fullest(p->n, p->size),
               .single = p->single,
               .steps = ceil(log2((double)p->size)),
               .latency = far ? m->net_latency : m->latency,
               .bandwidth = far ? fmin(m->bandwidth, m->net_bandwidth / per_node) : m->bandwidth,
               .effort = effort};
    w.rows = (double)w.shard.rows;
    reading(&w, target->bytes_per_number);
    encoding(&w);
    tiles(&w);
    if (plan->any_basis) { bases(&w, plan->basis, plan->loading); }
    if (plan->raw_basis) { bases(&w, NULL, false); }
    for (int i = 0; i < p->sites; i++) { /* rows of bases that are made anew for each round */
        double d = (double)p->width[i], turns = (double)plan->turns[i];
        effort->seconds[CSIM__TERM_BASES] +=
            gemm(&w, false, 3 * turns * w.rows * d * d, d, d, (double)w.shard.chunk);
    }
    pairs(&w);
}

void csim__effort_scan(const csim_shard *shard, int64_t width, const csim__target *target,
                       csim__effort *effort)
{
    double most = (double)((shard->chunks + shard->size - 1) / shard->size * shard->chunk);
    effort->read += (double)shard->n * (double)width * target->bytes_per_number;
    effort->seconds[CSIM__TERM_READ] +=
        most * (double)width *
        (target->bytes_per_number / target->machine->read + 16 / target->machine->memory);
}

double csim__effort_seconds(const csim__effort *effort, csim__term *most)
{
    double sum = 0;
    int top = 0;
    for (int i = 0; i < CSIM__TERM_COUNT; i++) {
        sum += effort->seconds[i];
        if (effort->seconds[i] > effort->seconds[top]) { top = i; }
    }
    if (most != NULL) { *most = (csim__term)top; }
    return sum;
}
