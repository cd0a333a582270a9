#include <math.h>
#include <string.h>

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
    char *rows; /* [Σd, chunk] site after site */
    messages in;
} visitor;

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

/* Half way round two ranks meet the same pairs of chunks. The lower one takes the first of them, the
 * higher rank's chunks in turn, until it has half of the work, its own triangle included: so it
 * need not see all chunks of the other. Both deal alike; who makes a tile does not change it. */
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
    for (int64_t j = 0; j < high->count; j++) {
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
        CSIM_TRY(csim__alloc(ctx, total * chunk, w->element, "a visiting chunk", &w->slot[k].rows));
        CSIM_TRY(
            csim__alloc(ctx, w->count, sizeof(MPI_Request), "requests", &w->slot[k].in.request));
    }
    CSIM_TRY(csim__alloc(ctx, w->count * w->shard->count, sizeof(MPI_Request), "requests",
                         &w->out.request));
    if (w->shard->size % 2 == 0) { CSIM_TRY(make_deal(w)); }
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->partial, "partial sums", &w->partial));
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->exponent, "exponents", &w->exponent));
    CSIM_TRY(csim__calloc(ctx, cells, sizeof *w->sum, "exact sums", &w->sum));
    /* |⟨K_a,K_b⟩| over any set of tiles ≤ ‖K_a‖‖K_b‖ ≤ tr(K_a) tr(K_b); the loose bound costs
     * nothing, a sum has two limbs. */
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
    for (int k = 0; k < SLOTS; k++) {
        csim__free(ctx, &w->slot[k].in.request);
        csim__free(ctx, &w->slot[k].rows);
    }
    for (int s = 0; w->tile != NULL && s < w->count; s++) { csim__free(ctx, &w->tile[s]); }
    csim__free(ctx, &w->tile);
    csim__free(ctx, &w->offset);
}

static const char *own_rows(const ring *w, int s, int64_t row)
{
    const csim__site *site = w->site[s];
    return w->single ? (const char *)(site->xf + row * site->d)
                     : (const char *)(site->x + row * site->d);
}

static double dot_diagonals(const ring *w, const void *a, const void *b, int64_t t)
{
    double sum = 0;
    for (int64_t i = 0; i < t; i++) {
        int64_t k = i * (t + 1);
        sum += w->single ? (double)((const float *)a)[k] * (double)((const float *)b)[k]
                         : ((const double *)a)[k] * ((const double *)b)[k];
    }
    return sum;
}

/* Add the products of the tiles just made. A tile above the diagonal counts twice; of a diagonal
 * tile only the upper triangle is there: twice its sum less the diagonal's. */
static void add_tile(ring *w, int64_t m, int64_t n, bool diagonal)
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
            double value = 2 * w->partial[at];
            if (diagonal) { value -= dot_diagonals(w, w->tile[a], w->tile[b], m); }
            value = ldexp(value, 2 * (w->site[a]->shift + w->site[b]->shift));
            csim__exact_add(&w->sum[at], value, w->exponent[at]);
        }
    }
}

/* Gram tiles of all sites between m rows at @p left and n rows at @p right. */
static void make_tiles(ring *w, const char *const *left, const char *const *right, int m, int n,
                       bool diagonal)
{
    for (int s = 0; s < w->count; s++) {
        int d = (int)w->site[s]->d;
        if (diagonal) { memset(w->tile[s], 0, (size_t)m * (size_t)m * w->element); }
        if (w->single) {
            const float *a = (const float *)(const void *)left[s];
            const float *b = (const float *)(const void *)right[s];
            diagonal ? csim__syrk_nt_f(m, d, a, w->tile[s])
                     : csim__gemm_nt_f(m, n, d, a, b, w->tile[s]);
        } else {
            const double *a = (const double *)(const void *)left[s];
            const double *b = (const double *)(const void *)right[s];
            diagonal ? csim__syrk_nt(m, d, a, w->tile[s])
                     : csim__gemm_nt(m, n, d, a, b, w->tile[s]);
        }
    }
    add_tile(w, m, n, diagonal);
    double work = (diagonal ? 1.0 : 2.0) * w->width * m * n;
    w->flops += work;
    csim__meter_add(w->meter, "Gram tiles", work);
}

/* All tiles between two chunks; rows of site s at left[s] and right[s]. With @p same they are one
 * chunk, of which the upper triangle is enough. */
static csim_status chunk_pair(ring *w, const char *const *left, const char *const *right,
                              int64_t rows_left, int64_t rows_right, bool same)
{
    const char **a = NULL, **b = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *a, "row pointers", &a));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *b, "row pointers", &b));
    for (int64_t i = 0; i < rows_left; i += TILE) {
        for (int64_t j = same ? i : 0; j < rows_right; j += TILE) {
            for (int s = 0; s < w->count; s++) {
                size_t row = (size_t)w->site[s]->d * w->element;
                a[s] = left[s] + (size_t)i * row;
                b[s] = right[s] + (size_t)j * row;
            }
            make_tiles(w, a, b, (int)csim__min64(TILE, rows_left - i),
                       (int)csim__min64(TILE, rows_right - j), same && i == j);
        }
    }
done:
    csim__free(w->ctx, &b);
    csim__free(w->ctx, &a);
    return st;
}

/* The deal of a step; all tiles are this rank's but half way round. */
static const deal *deal_of(const ring *w, int step)
{
    return step > 0 && 2 * step == w->shard->size ? &w->half : NULL;
}

/* Send all own chunks that the rank @p step before us uses: they need no other memory, and each is
 * taken as soon as there is room for it. */
static csim_status send_chunks(ring *w, int step)
{
    const csim_shard *me = w->shard;
    const deal *d = deal_of(w, step);
    MPI_Datatype type = w->single ? MPI_FLOAT : MPI_DOUBLE;
    int to = (me->rank - step + me->size) % me->size, code = MPI_SUCCESS;
    for (int64_t c = 0; c < me->count; c++) {
        int64_t rows = csim__chunk_rows(me, me->first + c);
        if (d != NULL && !d->offered[c]) { continue; }
        for (int s = 0; code == MPI_SUCCESS && s < w->count; s++) {
            code = MPI_Isend(own_rows(w, s, c * me->chunk), (int)(rows * w->site[s]->d), type, to,
                             s, csim_context_comm(w->ctx), &w->out.request[w->out.count]);
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
    int from = (me->rank + step) % me->size, code = MPI_SUCCESS;
    csim_shard theirs = csim__shard(me->n, from, me->size);
    visitor *v = &w->slot[c % SLOTS];
    MPI_Datatype type = w->single ? MPI_FLOAT : MPI_DOUBLE;
    v->in.count = 0;
    if (c >= theirs.count || (d != NULL && !d->wanted[c])) { return CSIM_OK; }
    int64_t rows = csim__chunk_rows(&theirs, theirs.first + c);
    for (int s = 0; code == MPI_SUCCESS && s < w->count; s++) {
        char *at = v->rows + (size_t)(w->offset[s] * me->chunk) * w->element;
        code = MPI_Irecv(at, (int)(rows * w->site[s]->d), type, from, s, csim_context_comm(w->ctx),
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
                           csim_status before, const char **left, const char **right)
{
    const csim_shard *me = w->shard;
    const deal *d = deal_of(w, step);
    visitor *v = &w->slot[c % SLOTS], *next = &w->slot[(c + 1) % SLOTS];
    csim_status st = complete(w, &v->in);
    if (before != CSIM_OK) { return st; } /* only the messages are taken in */
    for (int s = 0; s < w->count; s++) {
        right[s] = v->rows + (size_t)(w->offset[s] * me->chunk) * w->element;
    }
    for (int64_t i = 0; st == CSIM_OK && i < me->count; i++) {
        if (d != NULL && !d->mine[i * theirs->count + c]) { continue; }
        for (int s = 0; s < w->count; s++) { left[s] = own_rows(w, s, i * me->chunk); }
        int64_t own = csim__chunk_rows(me, me->first + i);
        int64_t other = csim__chunk_rows(theirs, theirs->first + c);
        /* The earlier chunk is always on the left: K_ij and K_ji differ in bits. */
        st = me->first + i < theirs->first + c ? chunk_pair(w, left, right, own, other, false)
                                               : chunk_pair(w, right, left, other, own, false);
        nudge(&next->in);
    }
    return st;
}

/* Tiles between chunks of this rank; the first visitor is on its way meanwhile. */
static csim_status own_tiles(ring *w, const char **left, const char **right)
{
    const csim_shard *me = w->shard;
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < me->count; i++) {
        for (int64_t j = i; st == CSIM_OK && j < me->count; j++) {
            for (int s = 0; s < w->count; s++) {
                left[s] = own_rows(w, s, i * me->chunk);
                right[s] = own_rows(w, s, j * me->chunk);
            }
            st = chunk_pair(w, left, right, csim__chunk_rows(me, me->first + i),
                            csim__chunk_rows(me, me->first + j), i == j);
            nudge(&w->slot[0].in);
        }
    }
    return st;
}

/* Every step meets another rank. A failure does not end the exchange: the others would wait. */
static csim_status go_round(ring *w, const char **left, const char **right)
{
    const csim_shard *me = w->shard;
    csim_status st = CSIM_OK, done;
    for (int step = 0; step <= me->size / 2; step++) {
        csim_shard theirs = csim__shard(me->n, (me->rank + step) % me->size, me->size);
        csim_status posted = CSIM_OK;
        for (int64_t c = 0; step > 0 && c < theirs.count; c++) {
            if (c + 1 < theirs.count && posted == CSIM_OK) {
                posted = expect_chunk(w, step, c + 1);
            }
            done = receive(w, step, &theirs, c, st, left, right);
            st = st == CSIM_OK ? done : st;
        }
        done = complete(w, &w->out);
        st = st == CSIM_OK ? done : st;
        st = st == CSIM_OK ? posted : st;
        if (step < me->size / 2) {
            done = expect_chunk(w, step + 1, 0);
            st = st == CSIM_OK ? done : st;
            done = send_chunks(w, step + 1);
            st = st == CSIM_OK ? done : st;
        }
        if (step == 0 && st == CSIM_OK) { st = own_tiles(w, left, right); }
    }
    return st;
}

csim_status csim__gram_pass(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                            int count, const unsigned char *wanted, double *gram,
                            csim__meter *meter)
{
    ring w = {.ctx = ctx,
              .shard = shard,
              .site = sites,
              .count = count,
              .single = sites[0]->xf != NULL,
              .wanted = wanted,
              .meter = meter};
    const char **left = NULL, **right = NULL;
    csim_status st = CSIM_OK;
    w.element = w.single ? sizeof(float) : sizeof(double);
    csim__phase_begin(ctx, "gram");
    CSIM_TRY(csim__alloc(ctx, count, sizeof *left, "row pointers", &left));
    CSIM_TRY(csim__alloc(ctx, count, sizeof *right, "row pointers", &right));
    CSIM_TRY(allocate(&w));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__vote(ctx, go_round(&w, left, right)); }
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, w.sum, (int64_t)count * count); }
    for (int a = 0; st == CSIM_OK && a < count; a++) {
        for (int b = a; b < count; b++) {
            int at = a * count + b;
            gram[at] = csim__exact_value(w.sum[at], w.exponent[at]);
        }
    }
    double flops = w.flops;
    release(&w);
    csim__free(ctx, &right);
    csim__free(ctx, &left);
    csim__phase_end(ctx, flops, 0);
    return st;
}
