/* Triangles of relabelled examples: entries change places, and ranks. */
#include "ingredients/turn.h"

#include <math.h>
#include <string.h>

/* The tile that an entry lies in, by strips of rows and columns. */
typedef struct place {
    int32_t patch, rank;
} place;

typedef struct map {
    csim__patch *patch; /* of all ranks */
    int64_t *start;     /* [ranks + 1] the first of each */
    place *place;       /* [strips, strips] */
    int64_t strips;
    int shift; /* rows of a strip are 2^shift */
} map;

static void clear_map(csim_context *ctx, map *m)
{
    csim__free(ctx, &m->patch);
    csim__free(ctx, &m->start);
    csim__free(ctx, &m->place);
}

/* Tiles begin at multiples of the rows of a strip. Collective. */
static csim_status make_map(const csim__triangles *t, map *m)
{
    csim_context *ctx = t->ctx;
    int64_t n = t->shard.n, rows = csim__triangle_strip(&t->shard);
    csim_status st = CSIM_OK;
    while ((int64_t)1 << m->shift < rows) { m->shift++; }
    m->strips = (n + rows - 1) / rows;
    CSIM_TRY(csim__calloc(ctx, t->shard.size + 1, sizeof *m->start, "counts", &m->start));
    CSIM_TRY(csim__calloc(ctx, m->strips * m->strips, sizeof *m->place, "tiles", &m->place));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__triangles_share(t, &m->patch, m->start); }
    for (int r = 0; st == CSIM_OK && r < t->shard.size; r++) {
        for (int64_t k = m->start[r]; k < m->start[r + 1]; k++) {
            const csim__patch *p = &m->patch[k];
            m->place[(p->row >> m->shift) * m->strips + (p->col >> m->shift)] =
                (place){(int32_t)k, r};
        }
    }
    return st;
}

/* Where entry (i, j) is, in either order: its place on the rank that has it. */
static int64_t find(const map *m, int64_t i, int64_t j, int *rank)
{
    int64_t low = csim__min64(i, j), high = csim__max64(i, j);
    const place *at = &m->place[(low >> m->shift) * m->strips + (high >> m->shift)];
    const csim__patch *p = &m->patch[at->patch];
    int64_t r = low - p->row, c = high - p->col;
    *rank = at->rank;
    return p->at + (p->diagonal ? r * (2 * p->n - r - 1) / 2 + c - r - 1 : r * p->n + c);
}

typedef struct turning {
    const csim__triangles *t;
    const csim__order *order;
    map map;
    csim__turn *turn;
    int32_t *target; /* [length] places on the ranks that entries go to */
} turning;

/* Entries in the order of their tiles: counted by rank, then listed. */
static void list_entries(turning *w, bool count)
{
    const csim__triangles *t = w->t;
    csim__turn *turn = w->turn;
    int64_t from = 0;
    for (const csim__patch *p = t->patch; p < t->patch + t->patches; p++) {
        for (int r = 0; r < p->m; r++) {
            int64_t i = w->order->to[p->row + r];
            for (int c = p->diagonal ? r + 1 : 0; c < p->n; c++, from++) {
                int rank;
                int64_t at = find(&w->map, i, w->order->to[p->col + c], &rank);
                if (count) {
                    turn->sent[rank]++;
                    continue;
                }
                int to = turn->sent_at[rank]++;
                turn->pack[to] = (int32_t)from;
                w->target[to] = (int32_t)at;
            }
        }
    }
}

static csim_status allocate(turning *w)
{
    csim_context *ctx = w->t->ctx;
    csim__turn *turn = w->turn;
    int64_t length = w->t->length, size = w->t->shard.size;
    int ignore;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__int(ctx, length, "distances of a rank", &ignore));
    CSIM_TRY(csim__alloc(ctx, length, sizeof *turn->pack, "places", &turn->pack));
    CSIM_TRY(csim__alloc(ctx, length, sizeof *turn->unpack, "places", &turn->unpack));
    CSIM_TRY(csim__alloc(ctx, length, sizeof *turn->leave, "distances", &turn->leave));
    CSIM_TRY(csim__alloc(ctx, length, sizeof *turn->come, "distances", &turn->come));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *turn->sent, "counts", &turn->sent));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *turn->sent_at, "places", &turn->sent_at));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *turn->got, "counts", &turn->got));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *turn->got_at, "places", &turn->got_at));
    w->target = (int32_t *)(void *)turn->leave;
done:
    return st;
}

csim_status csim__turn_make(const csim__triangles *t, const csim__order *order, csim__turn *turn)
{
    csim_context *ctx = t->ctx;
    MPI_Comm comm = csim_context_comm(ctx);
    turning w = {.t = t, .order = order, .turn = turn};
    *turn = (csim__turn){.pack = NULL};
    csim_status st = csim__vote(ctx, allocate(&w));
    if (st == CSIM_OK) { st = csim__vote(ctx, make_map(t, &w.map)); }
    if (st == CSIM_OK) {
        list_entries(&w, true);
        st = csim__vote(
            ctx, csim__mpi(ctx, MPI_Alltoall(turn->sent, 1, MPI_INT, turn->got, 1, MPI_INT, comm),
                           "counts of distances"));
    }
    for (int r = 1; st == CSIM_OK && r < t->shard.size; r++) {
        turn->sent_at[r] = turn->sent_at[r - 1] + turn->sent[r - 1];
        turn->got_at[r] = turn->got_at[r - 1] + turn->got[r - 1];
    }
    if (st == CSIM_OK) {
        list_entries(&w, false);
        for (int r = 0; r < t->shard.size; r++) { turn->sent_at[r] -= turn->sent[r]; }
        st = csim__vote(
            ctx, csim__mpi(ctx,
                           MPI_Alltoallv(w.target, turn->sent, turn->sent_at, MPI_INT32_T,
                                         turn->unpack, turn->got, turn->got_at, MPI_INT32_T, comm),
                           "places of distances"));
    }
    clear_map(ctx, &w.map);
    return st;
}

void csim__turn_clear(csim_context *ctx, csim__turn *turn)
{
    csim__free(ctx, &turn->pack);
    csim__free(ctx, &turn->unpack);
    csim__free(ctx, &turn->leave);
    csim__free(ctx, &turn->come);
    csim__free(ctx, &turn->sent);
    csim__free(ctx, &turn->sent_at);
    csim__free(ctx, &turn->got);
    csim__free(ctx, &turn->got_at);
}

csim_status csim__turn_entries(const csim__triangles *t, const csim__turn *turn,
                               const double *value, double *out)
{
    for (int64_t i = 0; i < t->length; i++) { turn->leave[i] = value[turn->pack[i]]; }
    int code = MPI_Alltoallv(turn->leave, turn->sent, turn->sent_at, MPI_DOUBLE, turn->come,
                             turn->got, turn->got_at, MPI_DOUBLE, csim_context_comm(t->ctx));
    csim_status st = csim__vote(t->ctx, csim__mpi(t->ctx, code, "distances to their new places"));
    for (int64_t i = 0; st == CSIM_OK && i < t->length; i++) {
        out[turn->unpack[i]] = turn->come[i];
    }
    return st;
}

int64_t csim__turn_bytes(const csim_shard *shard)
{
    csim__triangle_room room = csim__triangle_bytes(shard, 0);
    int64_t rows = csim__triangle_strip(shard), strips = (shard->n + rows - 1) / rows;
    int64_t tiles = strips * (strips + 1) / 2 * (int64_t)sizeof(csim__patch);
    return 3 * room.each + tiles + strips * strips * (int64_t)sizeof(place) + 40 * shard->size;
}
