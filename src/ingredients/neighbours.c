/* The search: tiles of inner products tell which pairs of rows can be near, by bounds that no
 * rounding breaks; distances of those are taken one by one. */
#include <float.h>
#include <math.h>

#include "core/clones.h"
#include "ingredients/neighbours.h"
#include "ingredients/ring.h"
#include "linalg/dense.h"

/* An empty place of a list: behind every pair of rows. */
static const int32_t NOBODY = INT32_MAX;

/* What the rows of a side have found by one metric. A list is a heap with the farthest on top until
 * the search ends. A row i looks at j only if g·a_j + b_i·c_j ≥ t_i, g the computed ⟨x_i,x_j⟩. */
typedef struct found {
    int32_t *index;        /* [rows, k] */
    double *distance;      /* [rows, k] */
    double *bound;         /* [rows] nothing beyond it gets into the list */
    double *a, *b, *c, *t; /* [rows] */
} found;

/* Rows of this rank, or of a visiting chunk. */
typedef struct party {
    int64_t first, rows;
    double *norm; /* [rows] */
    found of[CSIM_METRICS];
} party;

/* One way back: a neighbour of a row of the other rank. */
typedef struct record {
    double distance;
    int32_t row, index;
} record;

typedef struct returns {
    record *list; /* room for k of every row of a rank */
    int64_t count;
} returns;

typedef struct search {
    csim_context *ctx;
    const csim_shard *shard;
    int64_t d;
    const double *rows;
    const int64_t *k;
    int metrics; /* asked for */
    party own, visitor;
    double *extra; /* [own chunks, metrics, chunk] bounds on their way */
    double *tile;
    double slack; /* rounding of an inner product in units of ‖x‖‖y‖, and more */
    returns back[CSIM_METRICS];
    MPI_Datatype type; /* record */
    csim__meter *meter;
    double flops;
} search;

/* ---- lists ---- */

/* Is (d, i) behind (e, j)? */
static bool behind(double d, int32_t i, double e, int32_t j)
{
    return d > e || (d == e && i > j);
}

/* Put (d, i) in at @p at of a heap of count, where it or what is below may be too near. */
static void sift(double *distance, int32_t *index, int64_t count, int64_t at, double d, int32_t i)
{
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count &&
            behind(distance[child + 1], index[child + 1], distance[child], index[child])) {
            child++;
        }
        if (!behind(distance[child], index[child], d, i)) { break; }
        distance[at] = distance[child];
        index[at] = index[child];
    }
    distance[at] = d;
    index[at] = i;
}

/* What a row must pass, from its bound. */
static double threshold(const search *w, const party *p, int metric, int64_t row)
{
    double bound = p->of[metric].bound[row], norm = p->norm[row];
    if (isinf(bound)) { return -INFINITY; }
    switch (metric) {
    case CSIM_EUCLIDEAN: /* 2g − h_j ≥ h_i − bound², h = ‖x‖² less what rounding may add */
        return norm * norm * (1 - w->slack) - bound * bound * (1 + w->slack) - DBL_MIN / w->slack;
    case CSIM_INNER:
        return -bound - DBL_MIN / w->slack;
    default: /* g/‖x_j‖ ≥ ‖x_i‖(1 − bound) */
        return norm * (1 - bound - w->slack);
    }
}

static void make_terms(const search *w, party *p, int metric)
{
    found *f = &p->of[metric];
    for (int64_t i = 0; i < p->rows; i++) {
        double norm = p->norm[i];
        f->a[i] = f->b[i] = 1;
        f->c[i] = 0;
        if (metric == CSIM_EUCLIDEAN) {
            f->a[i] = 2;
            f->c[i] = -norm * norm * (1 - w->slack);
        } else if (metric == CSIM_INNER) {
            f->b[i] = norm;
            f->c[i] = norm * w->slack;
        } else {
            f->a[i] = norm > 0 ? 1 / norm : 0;
        }
        f->t[i] = threshold(w, p, metric, i);
    }
}

/* A pair was measured: does it get into the list of the row? */
static void offer(const search *w, party *p, int metric, int64_t row, double d, int32_t index)
{
    found *f = &p->of[metric];
    int64_t k = w->k[metric];
    double *distance = f->distance + row * k;
    int32_t *list = f->index + row * k;
    if (d > f->bound[row] || !behind(distance[0], list[0], d, index)) { return; }
    sift(distance, list, k, 0, d, index);
    f->bound[row] = fmin(f->bound[row], distance[0]);
    f->t[row] = threshold(w, p, metric, row);
}

static void empty(const search *w, party *p, int metric)
{
    found *f = &p->of[metric];
    for (int64_t i = 0; i < p->rows * w->k[metric]; i++) {
        f->distance[i] = INFINITY;
        f->index[i] = NOBODY;
    }
}

/* ---- tiles ---- */

/* Distances have the same bits for either order of the rows, and on every rank. */
static double measure(const search *w, int metric, const double *x, const double *y, double norm_x,
                      double norm_y)
{
    switch (metric) {
    case CSIM_EUCLIDEAN:
        return sqrt(csim__square_distance(w->d, 1, x, 1, y));
    case CSIM_INNER:
        return -csim__dot(w->d, x, y);
    default:
        return csim__cosine_distance(w->d, x, y, norm_x, norm_y);
    }
}

/* Marks of a row of a tile where either side may look at the other. */
CSIM_CLONES
static void mark(const double *restrict g, int n, const found *left, int64_t i, const found *right,
                 int64_t j, int64_t *restrict hit)
{
    const double *a = right->a + j, *b = right->b + j, *c = right->c + j, *t = right->t + j;
    double a_i = left->a[i], b_i = left->b[i], c_i = left->c[i], t_i = left->t[i];
    for (int s = 0; s < n; s++) {
        hit[s] = (g[s] * a[s] + b_i * c[s] >= t_i) | (g[s] * a_i + b[s] * c_i >= t[s]);
    }
}

/* The same for one pair, with the bounds as they are by now. */
static bool may_look(double g, const found *self, int64_t i, const found *other, int64_t j)
{
    return g * other->a[j] + self->b[i] * other->c[j] >= self->t[i];
}

/* Rows i of one party and j … j+n−1 of the other; @p x and @p y are their rows, @p g the products. */
static void look(search *w, int metric, party *left, int64_t i, const double *x, party *right,
                 int64_t j, const double *y, int n, const double *g)
{
    int64_t hit[CSIM__TILE];
    found *l = &left->of[metric], *r = &right->of[metric];
    mark(g, n, l, i, r, j, hit);
    for (int s = 0; s < n; s++) {
        if (!hit[s]) { continue; }
        bool here = may_look(g[s], l, i, r, j + s), there = may_look(g[s], r, j + s, l, i);
        if (!here && !there) { continue; }
        double d = measure(w, metric, x, y + s * w->d, left->norm[i], right->norm[j + s]);
        if (here) { offer(w, left, metric, i, d, (int32_t)(right->first + j + s)); }
        if (there) { offer(w, right, metric, j + s, d, (int32_t)(left->first + i)); }
    }
}

/* A chunk of another rank has come: its bounds came along. */
static void welcome(search *w, const csim__side *side)
{
    party *p = &w->visitor;
    const double *x = side->row[0], *bound = side->extra;
    p->first = side->first;
    p->rows = side->rows;
    for (int64_t i = 0; i < p->rows; i++) {
        p->norm[i] = sqrt(csim__dot(w->d, x + i * w->d, x + i * w->d));
    }
    for (int m = 0; m < CSIM_METRICS; m++) {
        if (w->k[m] == 0) { continue; }
        for (int64_t i = 0; i < p->rows; i++) { p->of[m].bound[i] = bound[i]; }
        bound += w->shard->chunk;
        empty(w, p, m);
        make_terms(w, p, m);
    }
}

/* Whose rows these are, and the place of the chunk's first among them. */
static party *party_of(search *w, const csim__side *side, int64_t *at)
{
    *at = side->own ? side->first - w->own.first : 0;
    if (!side->own && w->visitor.first != side->first) { welcome(w, side); }
    return side->own ? &w->own : &w->visitor;
}

static void take_tile(void *user, const csim__tile *t)
{
    search *w = user;
    int64_t i0, j0;
    party *left = party_of(w, t->left, &i0), *right = party_of(w, t->right, &j0);
    const double *x = (const double *)t->left->row[0] + t->i * w->d;
    const double *y = (const double *)t->right->row[0] + t->j * w->d;
    double work = (t->diagonal ? 1.0 : 2.0) * (double)w->d * t->m * t->n;
    csim__phase_begin(w->ctx, "products");
    t->diagonal ? csim__syrk_nt(t->m, (int)w->d, x, w->tile)
                : csim__gemm_nt(t->m, t->n, (int)w->d, x, y, w->tile);
    csim__phase_end(w->ctx, work, 0);
    for (int m = 0; m < CSIM_METRICS; m++) {
        for (int r = 0; w->k[m] > 0 && r < t->m; r++) {
            int from = t->diagonal ? r + 1 : 0;
            look(w, m, left, i0 + t->i + r, x + r * w->d, right, j0 + t->j + from, y + from * w->d,
                 t->n - from, w->tile + (int64_t)r * t->n + from);
        }
    }
    w->flops += work;
    csim__meter_add(w->meter, "neighbours", work);
}

/* ---- what goes back ---- */

/* The bounds as they are now travel with the rows. */
static void send_bounds(void *user, int to)
{
    search *w = user;
    double *out = w->extra;
    (void)to;
    for (int64_t c = 0; c < w->shard->count; c++) {
        int64_t at = c * w->shard->chunk, rows = csim__chunk_rows(w->shard, w->shard->first + c);
        for (int m = 0; m < CSIM_METRICS; m++) {
            if (w->k[m] == 0) { continue; }
            for (int64_t i = 0; i < rows; i++) { out[i] = w->own.of[m].bound[at + i]; }
            out += w->shard->chunk;
        }
    }
}

static void keep_found(void *user, const csim__side *visitor)
{
    search *w = user;
    party *p = &w->visitor;
    if (p->first != visitor->first) { return; } /* it met nobody: this rank has no rows */
    for (int m = 0; m < CSIM_METRICS; m++) {
        const found *f = &p->of[m];
        returns *b = &w->back[m];
        for (int64_t i = 0; i < visitor->rows * w->k[m]; i++) {
            if (f->index[i] == NOBODY) { continue; }
            int32_t row = (int32_t)(p->first + i / w->k[m]);
            b->list[b->count++] = (record){f->distance[i], row, f->index[i]};
        }
    }
    p->first = -1;
}

/* Records go to the rank whose rows they are of, and those of our rows come in, piece by piece, so
 * that no memory is needed that might not be there. */
static int trade(search *w, int metric, int from, int to)
{
    enum { PIECE = 2048, COUNT = 2, RECORDS }; /* tags that the ring does not use */
    record in[PIECE];
    returns *b = &w->back[metric];
    MPI_Comm comm = csim_context_comm(w->ctx);
    int64_t out_count = b->count, in_count = 0;
    int code = MPI_Sendrecv(&out_count, 1, MPI_INT64_T, from, COUNT, &in_count, 1, MPI_INT64_T, to,
                            COUNT, comm, MPI_STATUS_IGNORE);
    for (int64_t at = 0; code == MPI_SUCCESS && (at < out_count || at < in_count); at += PIECE) {
        int sent = (int)csim__min64(PIECE, csim__max64(out_count - at, 0));
        int got = (int)csim__min64(PIECE, csim__max64(in_count - at, 0));
        code = MPI_Sendrecv(sent > 0 ? b->list + at : NULL, sent, w->type,
                            sent > 0 ? from : MPI_PROC_NULL, RECORDS, in, got, w->type,
                            got > 0 ? to : MPI_PROC_NULL, RECORDS, comm, MPI_STATUS_IGNORE);
        for (int i = 0; code == MPI_SUCCESS && i < got; i++) {
            offer(w, &w->own, metric, in[i].row - w->own.first, in[i].distance, in[i].index);
        }
    }
    b->count = 0;
    return code;
}

static csim_status bring_back(void *user, int from, int to, csim_status before)
{
    search *w = user;
    int code = MPI_SUCCESS;
    for (int m = 0; code == MPI_SUCCESS && m < CSIM_METRICS; m++) {
        if (before != CSIM_OK) { w->back[m].count = 0; }
        if (w->k[m] > 0) { code = trade(w, m, from, to); }
    }
    return csim__mpi(w->ctx, code, "exchange of neighbours");
}

/* ---- the whole ---- */

/* Rows of the rank that has most, whole chunks. */
static int64_t most_rows(const csim_shard *shard)
{
    return (shard->chunks + shard->size - 1) / shard->size * shard->chunk;
}

/* Words of a party's terms, by metric: bound, a, b, c, t. */
enum { TERMS = 5 };

static csim_status make_party(search *w, party *p, int64_t rows, csim__near *near)
{
    csim_status st = CSIM_OK;
    p->rows = rows;
    CSIM_TRY(csim__alloc(w->ctx, rows, sizeof *p->norm, "lengths of rows", &p->norm));
    for (int m = 0; m < CSIM_METRICS; m++) {
        found *f = &p->of[m];
        if (w->k[m] == 0) { continue; }
        CSIM_TRY(csim__alloc(w->ctx, TERMS * rows, sizeof *f->bound, "bounds", &f->bound));
        f->a = f->bound + rows;
        f->b = f->a + rows;
        f->c = f->b + rows;
        f->t = f->c + rows;
        CSIM_TRY(csim__alloc(w->ctx, rows * w->k[m], sizeof *f->index, "neighbours", &f->index));
        if (near != NULL) { near[m].index = f->index; }
        CSIM_TRY(
            csim__alloc(w->ctx, rows * w->k[m], sizeof *f->distance, "distances", &f->distance));
        if (near != NULL) { near[m].distance = f->distance; }
        for (int64_t i = 0; i < rows; i++) { f->bound[i] = INFINITY; }
    }
done:
    return st;
}

static csim_status start(search *w, csim__near *near)
{
    csim_context *ctx = w->ctx;
    int64_t chunk = w->shard->chunk;
    csim_status st = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__int(ctx, w->shard->n + 1, "examples of a search for neighbours", &ignore));
    for (int m = 0; m < CSIM_METRICS; m++) {
        w->metrics += w->k[m] > 0;
        near[m].k = w->k[m];
        if (w->k[m] >= w->shard->n) {
            return csim__fail(ctx, CSIM_E_SHAPE,
                              "%lld neighbours of each of %lld examples: expected %lld at most",
                              (long long)w->k[m], (long long)w->shard->n,
                              (long long)w->shard->n - 1);
        }
    }
    CSIM_TRY(make_party(w, &w->own, w->shard->rows, near));
    w->own.first = w->shard->row0;
    w->visitor.first = -1;
    if (w->shard->size > 1) { CSIM_TRY(make_party(w, &w->visitor, chunk, NULL)); }
    for (int m = 0; w->shard->size > 1 && m < CSIM_METRICS; m++) {
        int64_t most = most_rows(w->shard) * w->k[m];
        CSIM_TRY(csim__alloc(ctx, most, sizeof(record), "neighbours", &w->back[m].list));
    }
    CSIM_TRY(csim__calloc(ctx, w->shard->count * w->metrics * chunk, sizeof *w->extra, "bounds",
                          &w->extra));
    CSIM_TRY(csim__alloc(ctx, csim__ring_tile(chunk), sizeof *w->tile, "a tile", &w->tile));
    for (int64_t i = 0; i < w->own.rows; i++) {
        const double *x = w->rows + i * w->d;
        w->own.norm[i] = sqrt(csim__dot(w->d, x, x));
    }
    for (int m = 0; m < CSIM_METRICS; m++) {
        if (w->k[m] == 0) { continue; }
        empty(w, &w->own, m);
        make_terms(w, &w->own, m);
    }
    CSIM_TRY(csim__mpi(ctx, MPI_Type_contiguous(sizeof(record), MPI_BYTE, &w->type), "a type"));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_commit(&w->type), "a type"));
done:
    return st;
}

static void release(search *w)
{
    for (int m = 0; m < CSIM_METRICS; m++) {
        csim__free(w->ctx, &w->own.of[m].bound);
        csim__free(w->ctx, &w->visitor.of[m].bound);
        csim__free(w->ctx, &w->visitor.of[m].index);
        csim__free(w->ctx, &w->visitor.of[m].distance);
        csim__free(w->ctx, &w->back[m].list);
    }
    csim__free(w->ctx, &w->own.norm);
    csim__free(w->ctx, &w->visitor.norm);
    csim__free(w->ctx, &w->extra);
    csim__free(w->ctx, &w->tile);
    if (w->type != MPI_DATATYPE_NULL) { MPI_Type_free(&w->type); }
}

/* From heaps to lists in order. */
static void sort_lists(search *w)
{
    for (int m = 0; m < CSIM_METRICS; m++) {
        int64_t k = w->k[m];
        for (int64_t row = 0; k > 0 && row < w->own.rows; row++) {
            double *distance = w->own.of[m].distance + row * k;
            int32_t *index = w->own.of[m].index + row * k;
            for (int64_t last = k - 1; last > 0; last--) {
                double d = distance[last];
                int32_t i = index[last];
                distance[last] = distance[0];
                index[last] = index[0];
                sift(distance, index, last, 0, d, i);
            }
        }
    }
}

csim_status csim__neighbours(csim_context *ctx, const csim_shard *shard, int64_t d,
                             const double *rows, const int64_t k[CSIM_METRICS], csim__meter *meter,
                             csim__near near[CSIM_METRICS])
{
    search w = {.ctx = ctx,
                .shard = shard,
                .d = d,
                .rows = rows,
                .k = k,
                .slack = 16 * (double)(d + 8) * DBL_EPSILON,
                .type = MPI_DATATYPE_NULL,
                .meter = meter};
    for (int m = 0; m < CSIM_METRICS; m++) { near[m] = (csim__near){.k = 0}; }
    csim__phase_begin(ctx, "neighbours");
    csim_status st = csim__vote(ctx, start(&w, near));
    if (st == CSIM_OK) {
        const void *const list[1] = {rows};
        csim__ring_task task = {.count = 1,
                                .width = &d,
                                .rows = list,
                                .numbers = w.metrics,
                                .extra = w.extra,
                                .own_first = true,
                                .user = &w,
                                .tile = take_tile,
                                .send = send_bounds,
                                .leave = keep_found,
                                .met = bring_back};
        st = csim__vote(ctx, csim__ring(ctx, shard, &task));
    }
    if (st == CSIM_OK) { sort_lists(&w); }
    double flops = w.flops;
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}

void csim__near_clear(csim_context *ctx, csim__near *near)
{
    csim__free(ctx, &near->index);
    csim__free(ctx, &near->distance);
    near->k = 0;
}

int64_t csim__near_bytes(const csim_shard *shard, const int64_t k[CSIM_METRICS])
{
    int64_t sum = 0;
    for (int m = 0; m < CSIM_METRICS; m++) { sum += k[m]; }
    return shard->rows * sum * (int64_t)(sizeof(int32_t) + sizeof(double));
}

int64_t csim__neighbours_bytes(const csim_shard *shard, int64_t d, const int64_t k[CSIM_METRICS])
{
    const int64_t word = sizeof(double), chunk = shard->chunk;
    int64_t metrics = 0, sum = 0;
    for (int m = 0; m < CSIM_METRICS; m++) {
        metrics += k[m] > 0;
        sum += k[m];
    }
    int64_t bytes = word * shard->rows * (1 + (TERMS + 1) * metrics);
    bytes += word * csim__ring_tile(chunk) + csim__ring_bytes(chunk, shard->size, d, 8, metrics);
    if (shard->size > 1) {
        /* a visitor's lists, and all that it found */
        bytes += word * chunk * (1 + TERMS * metrics) + 12 * chunk * sum;
        bytes += (int64_t)sizeof(record) * most_rows(shard) * sum;
    }
    return bytes;
}
