#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/exact.h"
#include "ingredients/gram.h"
#include "linalg/dense.h"

enum { TILE = 512, SLOTS = 2 }; /* smaller tiles spend more on packing */

/* A list of messages under way. */
typedef struct messages {
    MPI_Request *request;
    int count;
} messages;

/* A chunk of another rank: rows of all sites, and the messages that bring it. */
typedef struct visitor {
    char *rows;   /* [Σd, chunk] site after site */
    double *lift; /* [count, chunk] */
    messages in;
} visitor;

/* One side of tiles: rows of every site, and their lifts. */
typedef struct side {
    const char **row;   /* [count] */
    const double *lift; /* [count, chunk] */
    int64_t rows;
} side;

/* Which tiles between two ranks are made by whom: mine[i, j] for this rank's chunk i and the other's
 * chunk j; which of the other's chunks this rank uses, and which of its own the other does. */
typedef struct deal {
    unsigned char *mine, *wanted, *offered; /* NULL: all */
    int64_t other;                          /* chunks of the other */
} deal;

typedef struct ring {
    csim_context *ctx;
    const csim_shard *shard;
    csim__site *const *site;
    int count;
    bool single;
    size_t element;
    int64_t *offset; /* [count] elements before a site's rows in a visitor, for one row */
    visitor slot[SLOTS];
    double *lift; /* [own chunks, count, chunk] see make_lifts() */
    side left, right;
    messages out;     /* all own chunks on their way to the rank that meets them */
    deal half;        /* of the step half way round */
    void **tile;      /* [count] csim__gram_tile() numbers each */
    double *partial;  /* [count, count] */
    int *exponent;    /* [count, count] */
    csim__exact *sum; /* [count, count] */
    const unsigned char *wanted;
    csim__meter *meter;
    double width, flops;
} ring;

int64_t csim__gram_tile(int64_t chunk)
{
    return csim__min64(chunk, TILE) * csim__min64(chunk, TILE);
}

/* Half way round two ranks meet the same pairs of chunks. The lower one takes the higher
 * rank's chunks in turn, until it has half of the work, its own triangle included: so it need not
 * see all chunks of the other. The last chunk, which may be short, comes first: that balances best.
 * Both deal alike; who makes a tile does not change it. */
static csim_status make_deal(ring *w)
{
    const csim_shard *me = w->shard;
    csim_shard theirs = csim__shard(me->n, (me->rank + me->size / 2) % me->size, me->size);
    const csim_shard *low = me->rank < theirs.rank ? me : &theirs, *high = low == me ? &theirs : me;
    double a = (double)low->rows, b = (double)high->rows, load = a * a / 2;
    double half = (a * a / 2 + b * b / 2 + a * b) / 2;
    deal *d = &w->half;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(w->ctx, me->count * theirs.count, 1, "a deal of tiles", &d->mine));
    CSIM_TRY(csim__calloc(w->ctx, theirs.count, 1, "a deal of tiles", &d->wanted));
    CSIM_TRY(csim__calloc(w->ctx, me->count, 1, "a deal of tiles", &d->offered));
    for (int64_t j = high->count - 1; j >= 0; j--) {
        for (int64_t i = 0; i < low->count; i++) {
            double work = (double)csim__chunk_rows(low, low->first + i) *
                          (double)csim__chunk_rows(high, high->first + j);
            bool by_low = load + work / 2 <= half;
            int64_t own = low == me ? i : j, other = low == me ? j : i;
            load += by_low ? work : 0;
            if (by_low == (low == me)) {
                d->mine[own * theirs.count + other] = d->wanted[other] = 1;
            } else {
                d->offered[own] = 1;
            }
        }
    }
done:
    return st;
}

static csim_status allocate(ring *w)
{
    csim_context *ctx = w->ctx;
    int64_t total = 0, cells = (int64_t)w->count * w->count;
    int64_t chunk = w->shard->chunk, tile = csim__gram_tile(chunk);
    csim_status st = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->offset, "site offsets", &w->offset));
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->tile, "tiles", &w->tile));
    for (int s = 0; s < w->count; s++) {
        w->offset[s] = total;
        total += w->site[s]->d;
        CSIM_TRY(csim__int(ctx, w->site[s]->d * chunk, "a chunk of a site", &ignore));
        CSIM_TRY(csim__alloc(ctx, tile, w->element, "a tile", &w->tile[s]));
    }
    w->width = (double)total;
    for (int k = 0; k < SLOTS && w->shard->size > 1; k++) {
        visitor *v = &w->slot[k];
        CSIM_TRY(csim__alloc(ctx, total * chunk, w->element, "a visiting chunk", &v->rows));
        CSIM_TRY(csim__calloc(ctx, w->count * chunk, sizeof *v->lift, "its lifts", &v->lift));
        CSIM_TRY(csim__alloc(ctx, w->count + 1, sizeof(MPI_Request), "requests", &v->in.request));
    }
    CSIM_TRY(csim__alloc(ctx, (w->count + 1) * w->shard->count, sizeof(MPI_Request), "requests",
                         &w->out.request));
    CSIM_TRY(
        csim__calloc(ctx, w->shard->count * w->count * chunk, sizeof *w->lift, "lifts", &w->lift));
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->left.row, "row pointers", &w->left.row));
    CSIM_TRY(csim__alloc(ctx, w->count, sizeof *w->right.row, "row pointers", &w->right.row));
    if (w->shard->size % 2 == 0) { CSIM_TRY(make_deal(w)); }
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->partial, "partial sums", &w->partial));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->exponent, "exponents", &w->exponent));
    CSIM_TRY(csim__calloc(ctx, cells, sizeof *w->sum, "exact sums", &w->sum));
    /* Over any set of tiles at most ‖K̂_a‖‖K̂_b‖, K̂ is a projection of K, and ‖K‖ ≤ tr(K); the
     * loose bound costs nothing, a sum has two limbs. */
    for (int a = 0; a < w->count; a++) {
        for (int b = 0; b < w->count; b++) {
            w->exponent[a * w->count + b] =
                csim__exact_exponent(2 * w->site[a]->variance * w->site[b]->variance);
        }
    }
done:
    return st;
}

static void release(ring *w)
{
    csim_context *ctx = w->ctx;
    csim__free(ctx, &w->sum);
    csim__free(ctx, &w->exponent);
    csim__free(ctx, &w->partial);
    csim__free(ctx, &w->half.mine);
    csim__free(ctx, &w->half.wanted);
    csim__free(ctx, &w->half.offered);
    csim__free(ctx, &w->out.request);
    csim__free(ctx, &w->right.row);
    csim__free(ctx, &w->left.row);
    csim__free(ctx, &w->lift);
    for (int k = 0; k < SLOTS; k++) {
        csim__free(ctx, &w->slot[k].in.request);
        csim__free(ctx, &w->slot[k].lift);
        csim__free(ctx, &w->slot[k].rows);
    }
    for (int s = 0; w->tile != NULL && s < w->count; s++) { csim__free(ctx, &w->tile[s]); }
    csim__free(ctx, &w->tile);
    csim__free(ctx, &w->offset);
}

/* K̂_ij = K_ij + lift_i + lift_j: what takes the row sums of K without its diagonal away, as K itself
 * has none and a_i on its diagonal: lift_i = a_i/(n−2) − Σa/(2(n−1)(n−2)). Scaled as the rows are. */
static void make_lifts(ring *w)
{
    const csim_shard *me = w->shard;
    double n = (double)me->n;
    for (int64_t c = 0; c < me->count; c++) {
        for (int s = 0; s < w->count; s++) {
            const csim__site *site = w->site[s];
            const double *square = site->row_square + c * me->chunk;
            double *lift = w->lift + (c * w->count + s) * me->chunk;
            double half = site->variance / (2 * (n - 1)), scale = ldexp(1, -2 * site->shift);
            for (int64_t i = 0; i < csim__chunk_rows(me, me->first + c); i++) {
                lift[i] = (square[i] - half) / (n - 2) * scale;
            }
        }
    }
}

/* Chunk @p c of this rank as a side of tiles. */
static void own_side(const ring *w, int64_t c, side *out)
{
    const csim_shard *me = w->shard;
    for (int s = 0; s < w->count; s++) {
        const csim__site *site = w->site[s];
        int64_t at = c * me->chunk * site->d;
        out->row[s] = w->single ? (const char *)(site->xf + at) : (const char *)(site->x + at);
    }
    out->lift = w->lift + c * w->count * me->chunk;
    out->rows = csim__chunk_rows(me, me->first + c);
}

/* Add the products of the tiles just made. A tile above the diagonal counts twice; of a diagonal
 * tile only what is above the diagonal is there. */
static void add_tile(ring *w, int64_t m, int64_t n)
{
    int count = w->count;
    if (w->single) {
        csim__inner_products_f((const float *const *)w->tile, count, m * n, w->wanted, w->partial);
    } else {
        csim__inner_products((const double *const *)w->tile, count, m * n, w->wanted, w->partial);
    }
    for (int a = 0; a < count; a++) {
        for (int b = a; b < count; b++) {
            int at = a * count + b;
            if (!w->wanted[at]) { continue; }
            double value = ldexp(2 * w->partial[at], 2 * (w->site[a]->shift + w->site[b]->shift));
            csim__exact_add(&w->sum[at], value, w->exponent[at]);
        }
    }
}

/* tile[i,j] = left_i + right_j; of a diagonal tile only above the diagonal, the rest is 0. */
CSIM_CLONES
static void spread(double *restrict tile, int64_t m, int64_t n, const double *restrict left,
                   const double *restrict right, bool upper)
{
    if (upper) { memset(tile, 0, (size_t)(m * n) * sizeof *tile); }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = upper ? i + 1 : 0; j < n; j++) { tile[i * n + j] = left[i] + right[j]; }
    }
}

CSIM_CLONES
static void spread_f(float *restrict tile, int64_t m, int64_t n, const double *restrict left,
                     const double *restrict right, bool upper)
{
    float r[TILE];
    for (int64_t j = 0; j < n; j++) { r[j] = (float)right[j]; }
    if (upper) { memset(tile, 0, (size_t)(m * n) * sizeof *tile); }
    for (int64_t i = 0; i < m; i++) {
        float l = (float)left[i];
        for (int64_t j = upper ? i + 1 : 0; j < n; j++) { tile[i * n + j] = l + r[j]; }
    }
}

/* Tiles of K̂ of all sites between m rows of one side from row @p i on and n of the other from j. */
static void make_tiles(ring *w, const side *left, int64_t i, const side *right, int64_t j, int m,
                       int n, bool diagonal)
{
    for (int s = 0; s < w->count; s++) {
        int d = (int)w->site[s]->d;
        const double *l = left->lift + s * w->shard->chunk + i;
        const double *r = right->lift + s * w->shard->chunk + j;
        if (w->single) {
            const float *a = (const float *)(const void *)left->row[s] + i * d;
            const float *b = (const float *)(const void *)right->row[s] + j * d;
            float *tile = w->tile[s];
            spread_f(tile, m, n, l, r, diagonal);
            csim__phase_begin(w->ctx, "products");
            diagonal ? csim__syrk_nt_add_f(m, d, a, tile)
                     : csim__gemm_nt_add_f(m, n, d, a, b, tile);
            csim__phase_end(w->ctx, (diagonal ? 1.0 : 2.0) * d * m * n, 0);
            for (int64_t k = 0; diagonal && k < m; k++) { tile[k * (m + 1)] = 0; }
        } else {
            const double *a = (const double *)(const void *)left->row[s] + i * d;
            const double *b = (const double *)(const void *)right->row[s] + j * d;
            double *tile = w->tile[s];
            spread(tile, m, n, l, r, diagonal);
            csim__phase_begin(w->ctx, "products");
            diagonal ? csim__syrk_nt_add(m, d, a, tile) : csim__gemm_nt_add(m, n, d, a, b, tile);
            csim__phase_end(w->ctx, (diagonal ? 1.0 : 2.0) * d * m * n, 0);
            for (int64_t k = 0; diagonal && k < m; k++) { tile[k * (m + 1)] = 0; }
        }
    }
    add_tile(w, m, n);
    double work = (diagonal ? 1.0 : 2.0) * w->width * m * n;
    w->flops += work;
    csim__meter_add(w->meter, "Gram tiles", work);
}

/* All tiles between two chunks. With @p same they are one chunk, of which the upper triangle is
 * enough. */
static void chunk_pair(ring *w, const side *left, const side *right, bool same)
{
    for (int64_t i = 0; i < left->rows; i += TILE) {
        for (int64_t j = same ? i : 0; j < right->rows; j += TILE) {
            make_tiles(w, left, i, right, j, (int)csim__min64(TILE, left->rows - i),
                       (int)csim__min64(TILE, right->rows - j), same && i == j);
        }
    }
}

/* The deal of a step; all tiles are this rank's but half way round. */
static const deal *deal_of(const ring *w, int step)
{
    return step > 0 && 2 * step == w->shard->size ? &w->half : NULL;
}

/* Send, from the last to the first, all own chunks that the rank @p step before us uses: they need no other memory, and each is
 * taken as soon as there is room for it. */
static csim_status send_chunks(ring *w, int step)
{
    const csim_shard *me = w->shard;
    const deal *d = deal_of(w, step);
    MPI_Datatype type = w->single ? MPI_FLOAT : MPI_DOUBLE;
    MPI_Comm comm = csim_context_comm(w->ctx);
    int to = (me->rank - step + me->size) % me->size, code = MPI_SUCCESS;
    int lifts = (int)(w->count * me->chunk);
    for (int64_t c = me->count - 1; c >= 0; c--) {
        int64_t rows = csim__chunk_rows(me, me->first + c);
        if (d != NULL && !d->offered[c]) { continue; }
        own_side(w, c, &w->left);
        for (int s = 0; code == MPI_SUCCESS && s < w->count; s++) {
            code = MPI_Isend(w->left.row[s], (int)(rows * w->site[s]->d), type, to, s, comm,
                             &w->out.request[w->out.count]);
            w->out.count += code == MPI_SUCCESS;
        }
        if (code == MPI_SUCCESS) {
            code = MPI_Isend(w->left.lift, lifts, MPI_DOUBLE, to, w->count, comm,
                             &w->out.request[w->out.count]);
            w->out.count += code == MPI_SUCCESS;
        }
    }
    return csim__mpi(w->ctx, code, "exchange of chunks");
}

/* Await chunk @p c of the rank @p step behind us, if this rank uses it. */
static csim_status expect_chunk(ring *w, int step, int64_t c)
{
    const csim_shard *me = w->shard;
    const deal *d = deal_of(w, step);
    MPI_Comm comm = csim_context_comm(w->ctx);
    int from = (me->rank + step) % me->size, code = MPI_SUCCESS;
    csim_shard theirs = csim__shard(me->n, from, me->size);
    MPI_Datatype type = w->single ? MPI_FLOAT : MPI_DOUBLE;
    if (c < 0) { return CSIM_OK; } /* there is no further one */
    visitor *v = &w->slot[c % SLOTS];
    v->in.count = 0;
    if (d != NULL && !d->wanted[c]) { return CSIM_OK; }
    int64_t rows = csim__chunk_rows(&theirs, theirs.first + c);
    for (int s = 0; code == MPI_SUCCESS && s < w->count; s++) {
        char *at = v->rows + (size_t)(w->offset[s] * me->chunk) * w->element;
        code = MPI_Irecv(at, (int)(rows * w->site[s]->d), type, from, s, comm,
                         &v->in.request[v->in.count]);
        v->in.count += code == MPI_SUCCESS;
    }
    if (code == MPI_SUCCESS) {
        code = MPI_Irecv(v->lift, (int)(w->count * me->chunk), MPI_DOUBLE, from, w->count, comm,
                         &v->in.request[v->in.count]);
        v->in.count += code == MPI_SUCCESS;
    }
    return csim__mpi(w->ctx, code, "exchange of chunks");
}

static csim_status complete(ring *w, messages *list)
{
    int code = MPI_Waitall(list->count, list->request, MPI_STATUSES_IGNORE);
    list->count = 0;
    return csim__mpi(w->ctx, code, "exchange of chunks");
}

/* Let messages move on. */
static void nudge(messages *list)
{
    int done;
    MPI_Testall(list->count, list->request, &done, MPI_STATUSES_IGNORE);
}

/* Use visiting chunk @p c against all chunks of this rank, or those that the deal gives it. */
static csim_status receive(ring *w, int step, const csim_shard *theirs, int64_t c,
                           csim_status before)
{
    const csim_shard *me = w->shard;
    const deal *d = deal_of(w, step);
    visitor *v = &w->slot[c % SLOTS], *next = &w->slot[(c + SLOTS - 1) % SLOTS];
    csim_status st = complete(w, &v->in);
    if (before != CSIM_OK) { return st; } /* only the messages are taken in */
    for (int s = 0; s < w->count; s++) {
        w->right.row[s] = v->rows + (size_t)(w->offset[s] * me->chunk) * w->element;
    }
    w->right.lift = v->lift;
    w->right.rows = csim__chunk_rows(theirs, theirs->first + c);
    for (int64_t i = 0; st == CSIM_OK && i < me->count; i++) {
        if (d != NULL && !d->mine[i * theirs->count + c]) { continue; }
        own_side(w, i, &w->left);
        /* The earlier chunk is always on the left: K_ij and K_ji differ in bits. */
        bool mine_first = me->first + i < theirs->first + c;
        chunk_pair(w, mine_first ? &w->left : &w->right, mine_first ? &w->right : &w->left, false);
        nudge(&next->in);
    }
    return st;
}

/* Tiles between chunks of this rank; the first visitor is on its way meanwhile. */
static void own_tiles(ring *w)
{
    for (int64_t i = 0; i < w->shard->count; i++) {
        for (int64_t j = i; j < w->shard->count; j++) {
            own_side(w, i, &w->left);
            own_side(w, j, &w->right);
            chunk_pair(w, &w->left, &w->right, i == j);
            for (int k = 0; k < SLOTS; k++) { nudge(&w->slot[k].in); }
        }
    }
}

/* Every step meets another rank, its chunks from the last to the first. A failure does not end the
 * exchange: the others would wait. */
static csim_status go_round(ring *w)
{
    const csim_shard *me = w->shard;
    csim_status st = CSIM_OK, done;
    for (int step = 0; step <= me->size / 2; step++) {
        csim_shard theirs = csim__shard(me->n, (me->rank + step) % me->size, me->size);
        csim_status posted = CSIM_OK;
        for (int64_t c = theirs.count - 1; step > 0 && c >= 0; c--) {
            if (posted == CSIM_OK) { posted = expect_chunk(w, step, c - 1); }
            done = receive(w, step, &theirs, c, st);
            st = st == CSIM_OK ? done : st;
        }
        done = complete(w, &w->out);
        st = st == CSIM_OK ? done : st;
        st = st == CSIM_OK ? posted : st;
        if (step < me->size / 2) {
            csim_shard next = csim__shard(me->n, (me->rank + step + 1) % me->size, me->size);
            done = expect_chunk(w, step + 1, next.count - 1);
            st = st == CSIM_OK ? done : st;
            done = send_chunks(w, step + 1);
            st = st == CSIM_OK ? done : st;
        }
        if (step == 0 && st == CSIM_OK) { own_tiles(w); }
    }
    return st;
}

csim_status csim__gram_pass(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                            int count, const unsigned char *wanted, double *hollow,
                            csim__meter *meter)
{
    ring w = {.ctx = ctx,
              .shard = shard,
              .site = sites,
              .count = count,
              .single = sites[0]->xf != NULL,
              .wanted = wanted,
              .meter = meter};
    w.element = w.single ? sizeof(float) : sizeof(double);
    csim__phase_begin(ctx, "gram");
    csim_status st = csim__vote(ctx, allocate(&w));
    if (st == CSIM_OK) {
        make_lifts(&w);
        st = csim__vote(ctx, go_round(&w));
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, w.sum, (int64_t)count * count); }
    for (int a = 0; st == CSIM_OK && a < count; a++) {
        for (int b = a; b < count; b++) {
            int at = a * count + b;
            hollow[at] = csim__exact_value(w.sum[at], w.exponent[at]);
        }
    }
    double flops = w.flops;
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}
