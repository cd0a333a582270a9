#include "ingredients/ring.h"

enum { SLOTS = 2 };

/* A list of messages under way. */
typedef struct messages {
    MPI_Request *request;
    int count;
} messages;

/* A chunk of another rank: rows of all sites, and the messages that bring it. */
typedef struct visitor {
    char *rows;    /* [Σd, chunk] site after site */
    double *extra; /* [numbers, chunk] */
    messages in;
} visitor;

/* Which tiles between two ranks are made by whom: mine[i, j] for this rank's chunk i and the other's
 * chunk j; which of the other's chunks this rank uses, and which of its own the other does. */
typedef struct deal {
    unsigned char *mine, *wanted, *offered; /* NULL: all */
    int64_t other;                          /* chunks of the other */
} deal;

typedef struct csim__ring_run {
    csim_context *ctx;
    const csim_shard *shard;
    const csim__ring_task *task;
    size_t element;
    int64_t *offset;     /* [count] elements before a site's rows in a visitor, for one row */
    visitor slot[SLOTS]; /* taken in turn: one is used while the other one is filled */
    int64_t expected, received;
    csim__side left, right;
    messages out; /* all own chunks on their way to the rank that meets them */
    int gone;     /* the first of these have arrived */
    int code;     /* of a message that failed meanwhile */
    deal half;    /* of the step half way round */
} ring;

int64_t csim__ring_tile(int64_t chunk)
{
    return csim__min64(chunk, CSIM__TILE) * csim__min64(chunk, CSIM__TILE);
}

int64_t csim__ring_bytes(int64_t chunk, int size, int64_t widths, size_t element, int64_t numbers)
{
    if (size == 1) { return 0; }
    return SLOTS * chunk * ((int64_t)element * widths + (int64_t)sizeof(double) * numbers);
}

/* Half way round two ranks meet the same pairs of chunks. The lower one takes the higher
 * rank's chunks in turn, until it has half of the work, its own triangle included: so it need not
 * see all chunks of the other. The last chunk, which may be short, comes first: that balances best.
 * Both deal alike; who makes a tile does not change it. */
static void deal_tiles(const csim_shard *low, const csim_shard *high,
                       void (*take)(void *user, int64_t i, int64_t j, bool by_low), void *user)
{
    double a = (double)low->rows, b = (double)high->rows, load = a * a / 2;
    double half = (a * a / 2 + b * b / 2 + a * b) / 2;
    for (int64_t j = high->count - 1; j >= 0; j--) {
        for (int64_t i = 0; i < low->count; i++) {
            double work = (double)csim__chunk_rows(low, low->first + i) *
                          (double)csim__chunk_rows(high, high->first + j);
            bool by_low = load + work / 2 <= half;
            load += by_low ? work : 0;
            take(user, i, j, by_low);
        }
    }
}

/* A rank's own side of a deal. */
typedef struct own_deal {
    const csim_shard *low, *high;
    bool is_low;
    deal *deal;    /* NULL: only counted */
    int64_t pairs; /* of examples, in its tiles */
} own_deal;

static void take_deal(void *user, int64_t i, int64_t j, bool by_low)
{
    own_deal *o = user;
    int64_t own = o->is_low ? i : j, other = o->is_low ? j : i;
    bool mine = by_low == o->is_low;
    if (mine) {
        o->pairs += csim__chunk_rows(o->low, o->low->first + i) *
                    csim__chunk_rows(o->high, o->high->first + j);
    }
    if (o->deal == NULL) { return; }
    if (mine) {
        o->deal->mine[own * o->deal->other + other] = o->deal->wanted[other] = 1;
    } else {
        o->deal->offered[own] = 1;
    }
}

/* The deal of a rank with the one half way round; @p deal as in own_deal. */
static int64_t deal_out(const csim_shard *me, deal *d)
{
    csim_shard theirs = csim__shard(me->n, (me->rank + me->size / 2) % me->size, me->size);
    bool is_low = me->rank < theirs.rank;
    own_deal o = {is_low ? me : &theirs, is_low ? &theirs : me, is_low, d, 0};
    deal_tiles(o.low, o.high, take_deal, &o);
    return o.pairs;
}

static csim_status make_deal(ring *w)
{
    const csim_shard *me = w->shard;
    deal *d = &w->half;
    csim_status st = CSIM_OK;
    d->other = csim__shard(me->n, (me->rank + me->size / 2) % me->size, me->size).count;
    CSIM_TRY(csim__calloc(w->ctx, me->count * d->other, 1, "a deal of tiles", &d->mine));
    CSIM_TRY(csim__calloc(w->ctx, d->other, 1, "a deal of tiles", &d->wanted));
    CSIM_TRY(csim__calloc(w->ctx, me->count, 1, "a deal of tiles", &d->offered));
    deal_out(me, d);
done:
    return st;
}

/* Examples of all ranks before this one, which may be the number of ranks. */
static int64_t rows_before(const csim_shard *shard, int rank)
{
    return csim__shard(shard->n, rank, shard->size).row0;
}

int64_t csim__ring_pairs(const csim_shard *shard)
{
    int size = shard->size, next = shard->rank + 1, end = next + (size - 1) / 2;
    int64_t met = end <= size ? rows_before(shard, end) : shard->n + rows_before(shard, end - size);
    met -= rows_before(shard, next);
    int64_t pairs = shard->rows * (shard->rows - 1) / 2 + shard->rows * met;
    return shard->size % 2 == 0 ? pairs + deal_out(shard, NULL) : pairs;
}

static csim_status allocate(ring *w)
{
    csim_context *ctx = w->ctx;
    const csim__ring_task *t = w->task;
    int64_t total = 0, chunk = w->shard->chunk;
    csim_status st = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__alloc(ctx, t->count, sizeof *w->offset, "site offsets", &w->offset));
    for (int s = 0; s < t->count; s++) {
        w->offset[s] = total;
        total += t->width[s];
        CSIM_TRY(csim__int(ctx, t->width[s] * chunk, "a chunk of a site", &ignore));
    }
    for (int k = 0; k < SLOTS && w->shard->size > 1; k++) {
        visitor *v = &w->slot[k];
        CSIM_TRY(csim__alloc(ctx, total * chunk, w->element, "a visiting chunk", &v->rows));
        CSIM_TRY(csim__calloc(ctx, t->numbers * chunk, sizeof *v->extra, "what goes with its rows",
                              &v->extra));
        CSIM_TRY(csim__alloc(ctx, t->count + 1, sizeof(MPI_Request), "requests", &v->in.request));
    }
    CSIM_TRY(csim__alloc(ctx, (t->count + 1) * w->shard->count, sizeof(MPI_Request), "requests",
                         &w->out.request));
    CSIM_TRY(csim__alloc(ctx, t->count, sizeof *w->left.row, "row pointers", &w->left.row));
    CSIM_TRY(csim__alloc(ctx, t->count, sizeof *w->right.row, "row pointers", &w->right.row));
    if (w->shard->size % 2 == 0) { CSIM_TRY(make_deal(w)); }
done:
    return st;
}

static void release(ring *w)
{
    csim_context *ctx = w->ctx;
    csim__free(ctx, &w->half.mine);
    csim__free(ctx, &w->half.wanted);
    csim__free(ctx, &w->half.offered);
    csim__free(ctx, &w->out.request);
    csim__free(ctx, &w->right.row);
    csim__free(ctx, &w->left.row);
    for (int k = 0; k < SLOTS; k++) {
        csim__free(ctx, &w->slot[k].in.request);
        csim__free(ctx, &w->slot[k].extra);
        csim__free(ctx, &w->slot[k].rows);
    }
    csim__free(ctx, &w->offset);
}

/* Chunk @p c of this rank as a side of tiles. */
static void own_side(const ring *w, int64_t c, csim__side *out)
{
    const csim_shard *me = w->shard;
    const csim__ring_task *t = w->task;
    for (int s = 0; s < t->count; s++) {
        size_t at = (size_t)(c * me->chunk * t->width[s]) * w->element;
        out->row[s] = (const char *)t->rows[s] + at;
    }
    out->extra = t->extra != NULL ? t->extra + c * t->numbers * me->chunk : NULL;
    out->first = csim__chunk_row(me, me->first + c);
    out->rows = csim__chunk_rows(me, me->first + c);
    out->own = true;
}

void csim__ring_nudge(const csim__tile *tile)
{
    ring *w = tile->run;
    int done = 1, code = MPI_SUCCESS;
    for (int k = 0; code == MPI_SUCCESS && k < SLOTS; k++) {
        messages *in = &w->slot[k].in;
        code = MPI_Testall(in->count, in->request, &done, MPI_STATUSES_IGNORE);
    }
    /* one that is still on its way is enough: it moves all */
    for (done = 1; code == MPI_SUCCESS && done && w->gone < w->out.count; w->gone += done) {
        code = MPI_Test(&w->out.request[w->gone], &done, MPI_STATUS_IGNORE);
    }
    if (w->code == MPI_SUCCESS) { w->code = code; }
}

/* All tiles between two chunks. With @p same they are one chunk, of which the upper triangle is
 * enough. */
static void chunk_pair(ring *w, const csim__side *left, const csim__side *right, bool same)
{
    int64_t side = w->task->side > 0 ? csim__min64(w->task->side, CSIM__TILE) : CSIM__TILE;
    for (int64_t i = 0; i < left->rows; i += side) {
        for (int64_t j = same ? i : 0; j < right->rows; j += side) {
            csim__tile tile = {.left = left,
                               .right = right,
                               .i = i,
                               .j = j,
                               .m = (int)csim__min64(side, left->rows - i),
                               .n = (int)csim__min64(side, right->rows - j),
                               .diagonal = same && i == j,
                               .run = w};
            w->task->tile(w->task->user, &tile);
            csim__ring_nudge(&tile);
        }
    }
}

/* The deal of a step; all tiles are this rank's but half way round. */
static const deal *deal_of(const ring *w, int step)
{
    return step > 0 && 2 * step == w->shard->size ? &w->half : NULL;
}

/* Send, from the last to the first, all own chunks that the rank @p step before us uses: they need no
 * other memory, and each is taken as soon as there is room for it. */
static csim_status send_chunks(ring *w, int step)
{
    const csim_shard *me = w->shard;
    const csim__ring_task *t = w->task;
    const deal *d = deal_of(w, step);
    MPI_Datatype type = t->single ? MPI_FLOAT : MPI_DOUBLE;
    MPI_Comm comm = csim_context_comm(w->ctx);
    int to = (me->rank - step + me->size) % me->size, code = MPI_SUCCESS;
    int numbers = (int)(t->numbers * me->chunk);
    if (t->send != NULL) { t->send(t->user, to); }
    for (int64_t c = me->count - 1; c >= 0; c--) {
        int64_t rows = csim__chunk_rows(me, me->first + c);
        if (d != NULL && !d->offered[c]) { continue; }
        own_side(w, c, &w->left);
        for (int s = 0; code == MPI_SUCCESS && s < t->count; s++) {
            code = MPI_Isend(w->left.row[s], (int)(rows * t->width[s]), type, to, s, comm,
                             &w->out.request[w->out.count]);
            w->out.count += code == MPI_SUCCESS;
        }
        if (code == MPI_SUCCESS && numbers > 0) {
            code = MPI_Isend(w->left.extra, numbers, MPI_DOUBLE, to, t->count, comm,
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
    const csim__ring_task *t = w->task;
    const deal *d = deal_of(w, step);
    MPI_Comm comm = csim_context_comm(w->ctx);
    int from = (me->rank + step) % me->size, code = MPI_SUCCESS;
    int numbers = (int)(t->numbers * me->chunk);
    csim_shard theirs = csim__shard(me->n, from, me->size);
    MPI_Datatype type = t->single ? MPI_FLOAT : MPI_DOUBLE;
    if (c < 0) { return CSIM_OK; } /* that rank has none */
    visitor *v = &w->slot[w->expected++ % SLOTS];
    v->in.count = 0;
    if (d != NULL && !d->wanted[c]) { return CSIM_OK; }
    int64_t rows = csim__chunk_rows(&theirs, theirs.first + c);
    for (int s = 0; code == MPI_SUCCESS && s < t->count; s++) {
        char *at = v->rows + (size_t)(w->offset[s] * me->chunk) * w->element;
        code = MPI_Irecv(at, (int)(rows * t->width[s]), type, from, s, comm,
                         &v->in.request[v->in.count]);
        v->in.count += code == MPI_SUCCESS;
    }
    if (code == MPI_SUCCESS && numbers > 0) {
        code = MPI_Irecv(v->extra, numbers, MPI_DOUBLE, from, t->count, comm,
                         &v->in.request[v->in.count]);
        v->in.count += code == MPI_SUCCESS;
    }
    return csim__mpi(w->ctx, code, "exchange of chunks");
}

static csim_status complete(ring *w, messages *list)
{
    int code = MPI_Waitall(list->count, list->request, MPI_STATUSES_IGNORE);
    list->count = 0;
    if (list == &w->out) { w->gone = 0; }
    return csim__mpi(w->ctx, w->code != MPI_SUCCESS ? w->code : code, "exchange of chunks");
}

/* Use visiting chunk @p c against all chunks of this rank, or those that the deal gives it. */
static csim_status receive(ring *w, int step, const csim_shard *theirs, int64_t c,
                           csim_status before)
{
    const csim_shard *me = w->shard;
    const csim__ring_task *t = w->task;
    const deal *d = deal_of(w, step);
    visitor *v = &w->slot[w->received++ % SLOTS];
    csim_status st = complete(w, &v->in);
    if (before != CSIM_OK || st != CSIM_OK) { return st; } /* only the messages are taken in */
    if (d != NULL && !d->wanted[c]) { return CSIM_OK; }
    for (int s = 0; s < t->count; s++) {
        w->right.row[s] = v->rows + (size_t)(w->offset[s] * me->chunk) * w->element;
    }
    w->right.extra = v->extra;
    w->right.first = csim__chunk_row(theirs, theirs->first + c);
    w->right.rows = csim__chunk_rows(theirs, theirs->first + c);
    w->right.own = false;
    for (int64_t i = 0; i < me->count; i++) {
        if (d != NULL && !d->mine[i * theirs->count + c]) { continue; }
        own_side(w, i, &w->left);
        /* The earlier chunk is always on the left: K_ij and K_ji differ in bits. */
        bool mine_first = me->first + i < theirs->first + c;
        chunk_pair(w, mine_first ? &w->left : &w->right, mine_first ? &w->right : &w->left, false);
    }
    if (t->leave != NULL) { t->leave(t->user, &w->right); }
    return st;
}

/* Tiles between chunks of this rank; the first visitor may be on its way meanwhile. */
static void own_tiles(ring *w)
{
    for (int64_t i = 0; i < w->shard->count; i++) {
        for (int64_t j = i; j < w->shard->count; j++) {
            own_side(w, i, &w->left);
            own_side(w, j, &w->right);
            chunk_pair(w, &w->left, &w->right, i == j);
        }
    }
}

/* Begin a step, if there is one: own chunks go out, and the first visitor has its place. What went out
 * before has arrived by then, so that what goes with the rows may be renewed. */
static csim_status begin_step(ring *w, int step)
{
    const csim_shard *me = w->shard;
    csim_status st = complete(w, &w->out), done;
    if (2 * step > me->size) { return st; }
    csim_shard theirs = csim__shard(me->n, (me->rank + step) % me->size, me->size);
    done = expect_chunk(w, step, theirs.count - 1);
    st = st == CSIM_OK ? done : st;
    done = send_chunks(w, step);
    return st == CSIM_OK ? done : st;
}

/* All chunks of the rank @p step behind us, from the last to the first. The next step begins before the
 * last of them is used: its first visitor is on its way meanwhile. */
static csim_status meet(ring *w, int step, csim_status before)
{
    const csim_shard *me = w->shard;
    const csim__ring_task *t = w->task;
    int from = (me->rank + step) % me->size, to = (me->rank - step + me->size) % me->size;
    csim_shard theirs = csim__shard(me->n, from, me->size);
    csim_status st = before, posted = CSIM_OK, done;
    if (theirs.count == 0) { posted = begin_step(w, step + 1); }
    for (int64_t c = theirs.count - 1; c >= 0; c--) {
        done = c > 0 ? expect_chunk(w, step, c - 1) : begin_step(w, step + 1);
        posted = posted == CSIM_OK ? done : posted;
        done = receive(w, step, &theirs, c, st);
        st = st == CSIM_OK ? done : st;
    }
    st = st == CSIM_OK ? posted : st;
    if (t->met != NULL) {
        done = t->met(t->user, from, to, st);
        st = st == CSIM_OK ? done : st;
    }
    return st;
}

/* Every step meets another rank. A failure does not end the exchange: the others would wait. */
static csim_status go_round(ring *w)
{
    if (w->task->own_first) { own_tiles(w); }
    csim_status st = begin_step(w, 1);
    if (st == CSIM_OK && !w->task->own_first) { own_tiles(w); }
    for (int step = 1; step <= w->shard->size / 2; step++) { st = meet(w, step, st); }
    return st;
}

csim_status csim__ring(csim_context *ctx, const csim_shard *shard, const csim__ring_task *task)
{
    ring w = {.ctx = ctx, .shard = shard, .task = task};
    w.element = task->single ? sizeof(float) : sizeof(double);
    csim_status st = csim__vote(ctx, allocate(&w));
    if (st == CSIM_OK) { st = go_round(&w); }
    release(&w);
    return st;
}
