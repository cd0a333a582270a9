#include "sweep/cost.h"

#include <math.h>
#include <string.h>

#include "sweep/deal.h"

const int csim__gemm_size[CSIM__GEMM_SIZES] = {64, 256, 1024};

const csim__machine csim__machine_typical = {
    .gemm = {{8e9, 25e9, 35e9}, {14e9, 50e9, 70e9}},
    .inner = {6e9, 8e9},
    .eigen_values = 4e9,
    .eigen_vectors = 12e9,
    .svd_values = 4e9,
    .svd_vectors = 12e9,
    .grid_eigen_values = 3e9,
    .grid_eigen_vectors = 8e9,
    .grid_svd_values = 3e9,
    .exact = 0.6e9,
    .moments = 0.25e9,
    .memory = 8e9,
    .fresh = 2e9,
    .read = 0.5e9,
    .latency = 1e-6,
    .bandwidth = 4e9,
    .net_latency = 3e-6,
    .net_bandwidth = 10e9,
    .beside = 36 << 20,
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

/* Seconds of bytes that go from one rank to all, or from all to one: short ones along a tree, of long
 * ones every rank passes on its part, which takes the time of two messages on any number of ranks. */
static void pass_on(const model *w, csim__term term, double bytes, double times)
{
    double copies = fmin(w->steps, 2);
    w->effort->seconds[term] += times * (w->steps * w->latency + copies * bytes / w->bandwidth);
}

/* Bytes of one rank to all. */
static void spread(const model *w, csim__term term, double bytes, double times)
{
    pass_on(w, term, bytes, times);
    w->effort->moved += times * (w->p->size - 1) * bytes;
}

/* A sum over the ranks that one of them gets: halves are exchanged and added, then halves of these,
 * and so on; the parts of the sum are gathered along a tree (Rabenseifner). Ranks beyond a power of
 * two hand theirs to a neighbour first. */
static void sum_up(const model *w, csim__term term, double bytes)
{
    double depth = floor(log2(w->p->size)), beyond = w->p->size - exp2(depth);
    double more = w->p->size > 2 ? (depth + beyond) / 2 : 0;
    pass_on(w, term, bytes, 1);
    w->effort->moved += (w->p->size - 1 + more) * bytes;
}

/* A sum that all ranks get. */
static void share_sum(const model *w, csim__term term, double bytes, double times)
{
    pass_on(w, term, bytes, times);
    w->effort->moved += 2 * times * (w->p->size - 1) * bytes;
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
    share_sum(w, CSIM__TERM_MOMENTS, 56 * widths / w->p->sites, w->p->sites);
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

/* Of how many other ranks one gets the chunks: of half of them, which of an even number includes one
 * that it shares the work with; of these two one needs all chunks of the other, that one half. */
static double chunks_met(int size)
{
    return (size - 1) / 2.0 + (size % 2 == 0 ? 0.25 : 0);
}

/* Chunks travel the ring, @p bytes a row in @p messages a chunk, while a rank is @p busy; @p back bytes
 * of each row come home from every rank that it was at. A chunk is used while the next one comes:
 * only what takes longer than the work is waited for. */
static void ring(const model *w, double bytes, double many, double back, double busy)
{
    double others = chunks_met(w->p->size);
    double moved = others * bytes + w->p->size / 2 * back; /* of a row */
    double on_way =
        w->rows * moved / w->bandwidth + others * (double)w->shard.count * many * w->latency;
    w->effort->moved += (double)w->p->n * moved;
    w->effort->seconds[CSIM__TERM_EXCHANGE] += fmax(0, on_way - busy);
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
    ring(w, widths * (w->single ? 4 : 8) + 8.0 * many, many + 1, 0, busy + inner);
}

/* One search in a site: tiles, distances of those that may be near, and what goes over the ring. */
static void search(const model *w, const csim__near_view *view, double d)
{
    double n = (double)w->p->n, side = (double)csim__min64(w->shard.chunk, 512);
    double busy = gemm(w, false, w->rows * n * d, side, side, d), metrics = 0, any = 0;
    for (int m = 0; m < CSIM_METRICS; m++) {
        double k = (double)view->k[m];
        if (k == 0) { continue; }
        /* every number of a tile is compared with two bounds; a list is renewed k·ln(n/k) times */
        busy += w->rows * n / 2 * 48 / w->machine->memory / 4;
        busy += w->rows * k * (1 + log(n / k)) * 3 * d / w->machine->inner[0];
        metrics++;
        any += k;
    }
    if (any == 0) { return; }
    w->effort->seconds[CSIM__TERM_NEIGHBOURS] += busy + w->rows * d * 16 / w->machine->memory;
    ring(w, 8 * (d + metrics), 2, 16 * any, busy);
}

/* Searches in all sites, and what is made of their lists; the layers are read again for it, from
 * memory as a rule. */
static void neighbours(const model *w)
{
    const csim__near_plan *near = &w->plan->near;
    double n = (double)w->p->n;
    for (int i = 0; near->sums > 0 && i < w->p->sites; i++) {
        double d = (double)w->p->width[i];
        for (int v = 0; v < near->views; v++) { search(w, &near->view[v], d); }
        if (near->across > 0) { spread(w, CSIM__TERM_EXCHANGE, n * d * 8, 1); }
    }
    w->effort->seconds[CSIM__TERM_NEIGHBOURS] += w->rows * (double)(near->longest * near->sums) *
                                                 (double)w->plan->count * 32 / w->machine->memory;
}

/* Kernels and distances of all sites in one pass, medians before; then stored distances, site by site,
 * and batches. */
static void kernels(const model *w)
{
    const csim__kernel_plan *k = &w->p->kernels;
    const csim__machine *m = w->machine;
    double n = (double)w->p->n, side = (double)csim__min64(w->shard.chunk, 512), busy = 0;
    double half = w->rows * n / 2, pairs = (double)w->plan->count, stored = 0, passes;
    double cube = n * n * n, bytes = 0, forms = 0, ranked = 0, ordered = 0;
    if (k->measures == 0) { return; }
    for (int i = 0; i < CSIM_MATRICES; i++) { forms += k->forms[i]; }
    for (int i = 0; i < k->stores; i++) {
        const csim__store *one = &k->store[i];
        if (one->left_out) { continue; }
        double share = pow((double)one->examples / n, 2); /* of what all examples would take */
        stored += share;
        ranked += one->ranked ? share : 0;
        ordered += one->ordered ? share : 0;
    }
    passes = csim__kernel_views(k->forms) + (k->median[0] || k->median[1] ? 2 : 0);
    for (int i = 0; i < w->p->sites; i++) {
        double d = (double)w->p->width[i];
        busy += gemm(w, false, passes * w->rows * n * d, side, side, d);
        busy +=
            gemm(w, false, w->rows * (double)k->batch * d, (double)k->batch, (double)k->batch, d);
        busy += stored * w->rows * n * d / m->inner[0];
        /* a number of a tile: its square, its form and two sums, or a bin */
        busy += half * (passes * 16 + forms * 48) / m->memory;
        /* seven passes of a sort, there and back */
        busy += half * ranked * (7 * 32 + 64) / m->memory;
        bytes += 8 * (d + 1) * (passes + stored);
        /* a sample, and counts in bins */
        double medians = k->median[0] + k->median[1];
        if (medians > 0) { share_sum(w, CSIM__TERM_REDUCE, 8 * (256 * d + 65536 * medians), 1); }
    }
    busy += pairs * half * 2 * (forms + ranked) / m->inner[0];
    busy += pairs * half * ordered * log2(n * n / 2) * 32 / m->memory;
    busy += ceil(csim__plan_spectra(w->p, w->plan) / w->p->size) * 4.0 / 3 * cube / m->eigen_values;
    w->effort->seconds[CSIM__TERM_KERNELS] += busy;
    ring(w, bytes, (w->p->sites + 1) * (passes + stored), 8 * forms * w->p->sites, busy);
}

/* Rows of one site: XᵀX, X R⁻¹, QᵀQ, Q F; chunks of it added as integers; factors sent round. */
static void basis_rows(const model *w, double d, bool loading)
{
    double *seconds = w->effort->seconds, chunk = (double)w->shard.chunk;
    double chunks = (double)w->shard.count;
    seconds[CSIM__TERM_BASES] += gemm(w, false, 5 * w->rows * d * d, d, d, chunk);
    seconds[CSIM__TERM_SUMS] += chunks * d * d / w->machine->exact; /* two upper triangles */
    for (int square = 0; square < 2; square++) { sum_up(w, CSIM__TERM_REDUCE, 8 * d * d); }
    spread(w, CSIM__TERM_REDUCE, 8 * d * d, loading ? 3 : 2);
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
    sum_up(w, CSIM__TERM_REDUCE, 8 * m * n);
}

const csim__grid_traffic csim__grid_values = {1, 3}, csim__grid_vectors = {2, 7},
                         csim__grid_svd = {2, 5};

double csim__grid_messages(const csim__grid_traffic *traffic, int p, int q, double k,
                           double latency, double bandwidth)
{
    double down = ceil(log2(p)), across = ceil(log2(q));
    double words = traffic->copies * k * k / 2 * (across / p + down / q); /* of a rank */
    return traffic->rounds * k * 4 * (down + across) * latency + 8 * words / bandwidth;
}

/* The parts of the time of a pair's decompositions: by squares, what it costs more where these are too
 * inexact, and what the owner does alone. */
typedef struct task {
    double squares, again, alone;
} task;

/* Values, or vectors too, of an a×b matrix by a group: the way from the owner, unless the matrix lies
 * dealt over the group, that of vectors to it, and what goes along the rows and columns of the grid. */
static void add_team_svd(const model *w, const csim__planned *q, double a, double b, bool vectors,
                         task *out)
{
    const csim__machine *m = w->machine;
    const csim__teams *t = &w->p->teams;
    const csim__grid_traffic *traffic = vectors ? &csim__grid_vectors : &csim__grid_values;
    double k = fmin(a, b), longer = fmax(a, b), cube = k * k * k, unit = k * k * longer;
    double team = csim__teams_size(t), half = k / sqrt(team), products = (vectors ? 3 : 1) * unit;
    double away = 8 * (1 - 1 / team), back = vectors ? away * k * (a + b) : 0;
    double there = q->dealt ? 0 : away * a * b;
    out->squares +=
        gemm(w, false, products / team, half, half, longer) +
        (vectors ? 9 * cube / m->grid_eigen_vectors : 4.0 / 3 * cube / m->grid_eigen_values) /
            team +
        (there + back) / w->bandwidth +
        csim__grid_messages(traffic, t->p, t->q, k, w->latency, w->bandwidth);
    /* of the vectors of a bidiagonal matrix the owner makes a fifth of the work alone */
    out->again += (vectors ? 16 * unit / (team * m->grid_eigen_vectors) + 4 * unit / m->svd_vectors
                           : 8.0 / 3 * unit / (team * m->grid_svd_values)) +
                  there / w->bandwidth +
                  csim__grid_messages(&csim__grid_svd, t->p, t->q, k, w->latency, w->bandwidth);
    w->effort->moved += there + back + 8 * traffic->copies * k * k * (t->p + t->q - 2);
}

/* The same by one rank, or by its group. */
static void add_svd(const model *w, const csim__planned *q, double a, double b, bool vectors,
                    task *out)
{
    const csim__machine *m = w->machine;
    double k = fmin(a, b), longer = fmax(a, b), cube = k * k * k, unit = k * k * longer;
    if (q->large) {
        add_team_svd(w, q, a, b, vectors, out);
        return;
    }
    out->squares += gemm(w, false, (vectors ? 3 : 1) * unit, k, k, longer) +
                    (vectors ? 9 * cube / m->eigen_vectors : 4.0 / 3 * cube / m->eigen_values);
    out->again += vectors ? 20 * unit / m->svd_vectors : 8.0 / 3 * unit / m->svd_values;
}

/* What the owner of a pair makes of it, alone or with its group. */
static task decompositions(const model *w, const csim__planned *q)
{
    const csim__machine *m = w->machine;
    unsigned needs = w->p->needs;
    double da = (double)w->p->width[q->couple.left], db = (double)w->p->width[q->couple.right];
    bool bases = q->route == CSIM__ROUTE_BASIS, self = q->couple.left == q->couple.right;
    bool vectors = (needs & CSIM_NEEDS_CANONICAL) && (needs & CSIM_NEEDS_LOADING);
    double n = (double)w->p->n, a = bases ? fmin(da, n) : da, b = bases ? fmin(db, n) : db;
    double k = fmin(a, b), longer = fmax(a, b);
    task t = {0, 0, 0};
    if (!q->cell) { return t; }
    if (q->route != CSIM__ROUTE_GRAM) { t.alone += 16 * a * b / m->memory; }
    if ((needs & CSIM_NEEDS_NUCLEAR) && !self) { add_svd(w, q, a, b, false, &t); }
    if ((needs & CSIM_NEEDS_CANONICAL) && !self) { add_svd(w, q, a, b, vectors, &t); }
    if (vectors) { t.alone += gemm(w, false, 2 * k * (a * da + b * db), k, longer, longer); }
    if ((needs & CSIM_NEEDS_BLOCK) && bases) {
        t.alone += gemm(w, false, 2 * da * a * b + 2 * da * db * b, a, b, longer);
    }
    if (needs & CSIM_NEEDS_UNIT) {
        double c = fmin(da, db), far = fmax(da, db);
        t.alone += 20 * c * c * far / m->svd_vectors + gemm(w, false, 2 * c * da * db, c, da, db);
    }
    return t;
}

static void products(const model *w, const csim__planned *q)
{
    csim__products s = csim__plan_products(w->p, w->plan, q);
    bool self = q->couple.left == q->couple.right;
    double da = (double)w->p->width[q->couple.left], db = (double)w->p->width[q->couple.right];
    double qa = fmin(da, (double)w->p->n), qb = fmin(db, (double)w->p->n);
    if (s.cross > 0) { product(w, da, db, self); }
    if (s.unit > 0) { product(w, da, db, self); }
    if (s.basis > 0 && !self) { product(w, qa, qb, false); }
    if (s.raw > 0 && !self) { product(w, qa, qb, false); }
}

/* Seconds of a rank in a round. */
typedef struct hours {
    double squares, again;
} hours;

/* A round is done when its last rank is. A group takes its pairs together before each of its ranks
 * turns to its own, so what its leader has to do for them holds for all. */
static void one_round(const model *w, int64_t first, int64_t last, hours *rank)
{
    int team = csim__teams_size(&w->p->teams);
    double slowest = 0, again = 0;
    memset(rank, 0, (size_t)w->p->size * sizeof *rank);
    for (int64_t i = first; i < last; i++) {
        const csim__planned *q = &w->plan->pairs[i];
        task t = decompositions(w, q);
        products(w, q);
        w->effort->tasks += t.squares + t.alone;
        for (int k = 0; k < (q->large ? team : 1); k++) {
            rank[q->owner + k].squares += t.squares + t.alone;
            rank[q->owner + k].again += t.again;
        }
    }
    for (int r = 0; r < w->p->size; r++) {
        slowest = fmax(slowest, rank[r].squares);
        again = fmax(again, rank[r].again);
    }
    w->effort->seconds[CSIM__TERM_DECOMPOSE] += slowest;
    w->effort->again += again;
}

static void pairs(const model *w, hours *rank)
{
    for (int64_t i = 0, end; i < w->plan->count; i = end) {
        end = csim__plan_round(w->plan, i);
        one_round(w, i, end, rank);
    }
}

/* Products of all pairs and sites twice, block by block, and what pairs are without each block. */
static void leaving(const model *w)
{
    double blocks = (double)csim__min64(w->p->jackknife, w->p->n), piece = w->p->n / blocks;
    csim__effort part = {.read = 0};
    model m = *w;
    m.effort = &part;
    m.single = false;
    m.shard.count = csim__max64(m.shard.count, (int64_t)blocks);
    m.shard.chunk = csim__min64(m.shard.chunk, csim__max64(1, (int64_t)piece));
    for (int64_t i = 0; i < w->plan->count && blocks > 0; i++) {
        const csim__planned *q = &w->plan->pairs[i];
        double da = (double)w->p->width[q->couple.left], db = (double)w->p->width[q->couple.right];
        for (int pass = 0; pass < 2; pass++) { product(&m, da, db, false); }
        task t = decompositions(&m, q);
        part.seconds[CSIM__TERM_DECOMPOSE] += blocks * (t.squares + t.alone) / w->p->size;
    }
    w->effort->seconds[CSIM__TERM_LEAVE] += csim__effort_seconds(&part, NULL);
    w->effort->moved += part.moved;
}

/* All that brings sites together, for each relabelling; tiles and kernels with twins of all sites. */
static void permuting(const model *w, const csim__effort *before)
{
    static const csim__term again[] = {
        CSIM__TERM_ENCODE,   CSIM__TERM_TILES,   CSIM__TERM_INNER,
        CSIM__TERM_EXCHANGE, CSIM__TERM_KERNELS, CSIM__TERM_CROSS,
        CSIM__TERM_SUMS,     CSIM__TERM_REDUCE,  CSIM__TERM_DECOMPOSE};
    double once = 0, widths = 0;
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
        bool twins = again[i] == CSIM__TERM_TILES || again[i] == CSIM__TERM_KERNELS;
        once += (twins ? 2 : 1) * (w->effort->seconds[again[i]] - before->seconds[again[i]]);
    }
    for (int i = 0; i < w->p->sites; i++) { widths += (double)w->p->width[i]; }
    once += w->rows * widths * 8 * (4 / w->machine->memory + 1 / w->bandwidth);
    w->effort->seconds[CSIM__TERM_PERMUTE] += (double)w->p->permutations * once;
}

csim_status csim__effort_add(csim_context *ctx, const csim__problem *p, const csim__plan *plan,
                             const csim__target *target, csim__effort *effort)
{
    const csim__machine *m = target->machine;
    csim__effort before = *effort;
    hours *rank = NULL;
    csim_status st = csim__alloc(ctx, p->size, sizeof *rank, "hours of ranks", &rank);
    if (st != CSIM_OK) { return st; }
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
    neighbours(&w);
    kernels(&w);
    if (plan->any_basis) { bases(&w, plan->basis, plan->loading); }
    if (plan->raw_basis) { bases(&w, NULL, false); }
    for (int i = 0; i < p->sites; i++) { /* rows of bases that are made anew for each round */
        double d = (double)p->width[i], turns = (double)plan->turns[i];
        effort->seconds[CSIM__TERM_BASES] +=
            gemm(&w, false, 3 * turns * w.rows * d * d, d, d, (double)w.shard.chunk);
    }
    pairs(&w, rank);
    if (p->jackknife > 0) { leaving(&w); }
    if (p->permutations > 0) { permuting(&w, &before); }
    csim__free(ctx, &rank);
    return CSIM_OK;
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
