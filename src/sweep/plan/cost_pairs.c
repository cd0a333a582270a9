/* The cost of what brings two sites together: products, decompositions, and their rounds. */
#include <math.h>
#include <string.h>

#include "sweep/plan/cost_model.h"
#include "sweep/plan/deal.h"

/* One product over the examples, and its way to the owner. */
static void product(const csim__cost_model *w, double m, double n, bool self)
{
    double *seconds = w->effort->seconds, chunk = (double)w->shard.chunk, share = self ? 0.5 : 1;
    if (m == 0 || n == 0) { return; }
    seconds[CSIM__TERM_CROSS] +=
        csim__cost_gemm(w, w->single, 2 * share * w->rows * m * n, m, n, chunk);
    /* every chunk is added; the memory is cleared before and turned into numbers after */
    seconds[CSIM__TERM_SUMS] += ((double)w->shard.count * share + 1) * m * n / w->machine->exact;
    csim__cost_sum_up(w, CSIM__TERM_REDUCE, 8 * m * n);
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
static void add_team_svd(const csim__cost_model *w, const csim__planned *q, double a, double b,
                         bool vectors, task *out)
{
    const csim__machine *m = w->machine;
    const csim__teams *t = &w->p->teams;
    const csim__grid_traffic *traffic = vectors ? &csim__grid_vectors : &csim__grid_values;
    double k = fmin(a, b), longer = fmax(a, b), cube = k * k * k, unit = k * k * longer;
    double team = csim__teams_size(t), half = k / sqrt(team), products = (vectors ? 3 : 1) * unit;
    double away = 8 * (1 - 1 / team), back = vectors ? away * k * (a + b) : 0;
    double there = q->dealt ? 0 : away * a * b;
    out->squares +=
        csim__cost_gemm(w, false, products / team, half, half, longer) +
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
static void add_svd(const csim__cost_model *w, const csim__planned *q, double a, double b,
                    bool vectors, task *out)
{
    const csim__machine *m = w->machine;
    double k = fmin(a, b), longer = fmax(a, b), cube = k * k * k, unit = k * k * longer;
    if (q->large) {
        add_team_svd(w, q, a, b, vectors, out);
        return;
    }
    out->squares += csim__cost_gemm(w, false, (vectors ? 3 : 1) * unit, k, k, longer) +
                    (vectors ? 9 * cube / m->eigen_vectors : 4.0 / 3 * cube / m->eigen_values);
    out->again += vectors ? 20 * unit / m->svd_vectors : 8.0 / 3 * unit / m->svd_values;
}

/* What the owner of a pair makes of it, alone or with its group. */
static task decompositions(const csim__cost_model *w, const csim__planned *q)
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
    if (vectors) {
        t.alone += csim__cost_gemm(w, false, 2 * k * (a * da + b * db), k, longer, longer);
    }
    if ((needs & CSIM_NEEDS_BLOCK) && bases) {
        t.alone += csim__cost_gemm(w, false, 2 * da * a * b + 2 * da * db * b, a, b, longer);
    }
    if (needs & CSIM_NEEDS_UNIT) {
        double c = fmin(da, db), far = fmax(da, db);
        t.alone += 20 * c * c * far / m->svd_vectors +
                   csim__cost_gemm(w, false, 2 * c * da * db, c, da, db);
    }
    return t;
}

static void products(const csim__cost_model *w, const csim__planned *q)
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
static void one_round(const csim__cost_model *w, int64_t first, int64_t last, hours *rank)
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

csim_status csim__cost_pairs(csim_context *ctx, const csim__cost_model *w)
{
    hours *rank = NULL;
    csim_status st = csim__alloc(ctx, w->p->size, sizeof *rank, "hours of ranks", &rank);
    for (int64_t i = 0, end; st == CSIM_OK && i < w->plan->count; i = end) {
        end = csim__plan_round(w->plan, i);
        one_round(w, i, end, rank);
    }
    csim__free(ctx, &rank);
    return st;
}

void csim__cost_leaving(const csim__cost_model *w)
{
    double blocks = (double)csim__min64(w->p->jackknife, w->p->n), piece = w->p->n / blocks;
    csim__effort part = {.read = 0};
    csim__cost_model m = *w;
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
