/* Lists of neighbours turned round, by one exchange between all ranks. */
#include <stdlib.h>

#include "ingredients/neighbours.h"

typedef struct turn {
    csim_context *ctx;
    const csim_shard *shard;
    const csim__near *near;
    int *out, *out_at, *in, *in_at; /* [size] links for and from each rank */
    csim__link *sent;               /* in the order of the ranks */
    csim__link *came;
    int32_t *sent_to, *came_to; /* the examples that the links are of */
    MPI_Datatype type;
} turn;

/* The rank that has an example. */
static int rank_of(const csim_shard *shard, int64_t example)
{
    int64_t chunk = example / shard->chunk;
    int low = 0, high = shard->size - 1;
    while (low < high) { /* the first whose chunks end behind it */
        int middle = low + (high - low) / 2;
        if (shard->chunks * (middle + 1) / shard->size > chunk) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static csim_status pack(turn *w)
{
    csim_context *ctx = w->ctx;
    const csim_shard *me = w->shard;
    int64_t k = w->near->k, all = me->rows * k;
    csim_status st = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__int(ctx, all, "neighbours of a rank", &ignore));
    CSIM_TRY(csim__calloc(ctx, me->size, sizeof(int), "counts", &w->out));
    CSIM_TRY(csim__calloc(ctx, me->size + 1, sizeof(int), "places", &w->out_at));
    CSIM_TRY(csim__calloc(ctx, me->size, sizeof(int), "counts", &w->in));
    CSIM_TRY(csim__calloc(ctx, me->size + 1, sizeof(int), "places", &w->in_at));
    CSIM_TRY(csim__alloc(ctx, all, sizeof *w->sent, "links", &w->sent));
    CSIM_TRY(csim__alloc(ctx, all, sizeof *w->sent_to, "links", &w->sent_to));
    for (int64_t i = 0; i < all; i++) { w->out[rank_of(me, w->near->index[i])]++; }
    for (int r = 0; r < me->size; r++) { w->out_at[r + 1] = w->out_at[r] + w->out[r]; }
    for (int64_t i = 0; i < all; i++) {
        int32_t to = w->near->index[i];
        int at = w->out_at[rank_of(me, to)]++;
        w->sent[at] = (csim__link){.distance = w->near->distance[i],
                                   .from = (int32_t)(me->row0 + i / k),
                                   .place = (int32_t)(i % k)};
        w->sent_to[at] = to;
    }
    for (int r = 0; r < me->size; r++) { w->out_at[r] -= w->out[r]; }
    CSIM_TRY(csim__mpi(ctx, MPI_Type_contiguous(sizeof *w->sent, MPI_BYTE, &w->type), "a type"));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_commit(&w->type), "a type"));
done:
    return st;
}

/* Room for what comes in. */
static csim_status expect(turn *w, csim__links *links)
{
    csim_context *ctx = w->ctx;
    int64_t all = 0;
    csim_status st = CSIM_OK;
    int ignore;
    for (int r = 0; r < w->shard->size; r++) {
        w->in_at[r] = (int)all;
        all += w->in[r];
        CSIM_TRY(csim__int(ctx, all, "links of a rank", &ignore));
    }
    CSIM_TRY(csim__alloc(ctx, all, sizeof *w->came, "links", &w->came));
    CSIM_TRY(csim__alloc(ctx, all, sizeof *w->came_to, "links", &w->came_to));
    CSIM_TRY(csim__calloc(ctx, w->shard->rows + 1, sizeof *links->start, "links", &links->start));
    CSIM_TRY(csim__alloc(ctx, all, sizeof *links->link, "links", &links->link));
    w->in_at[w->shard->size] = (int)all;
done:
    return st;
}

/* From the order of the ranks, in which `from` ascends, to that of the examples. */
static void sort_links(const turn *w, csim__links *links)
{
    int all = w->in_at[w->shard->size];
    int64_t *start = links->start, rows = w->shard->rows, row0 = w->shard->row0;
    for (int i = 0; i < all; i++) { start[w->came_to[i] - row0 + 1]++; }
    for (int64_t i = 0; i < rows; i++) { start[i + 1] += start[i]; }
    for (int i = 0; i < all; i++) { links->link[start[w->came_to[i] - row0]++] = w->came[i]; }
    for (int64_t i = rows; i > 0; i--) { start[i] = start[i - 1]; }
    start[0] = 0;
}

csim_status csim__links_make(csim_context *ctx, const csim_shard *shard, const csim__near *near,
                             csim__links *links)
{
    turn w = {.ctx = ctx, .shard = shard, .near = near, .type = MPI_DATATYPE_NULL};
    MPI_Comm comm = csim_context_comm(ctx);
    csim_status st = CSIM_OK;
    *links = (csim__links){.start = NULL};
    CSIM_TRY(csim__vote(ctx, pack(&w)));
    int code = MPI_Alltoall(w.out, 1, MPI_INT, w.in, 1, MPI_INT, comm);
    st = csim__mpi(ctx, code, "exchange of links");
    if (st == CSIM_OK) { st = expect(&w, links); }
    CSIM_TRY(csim__vote(ctx, st));
    code = MPI_Alltoallv(w.sent, w.out, w.out_at, w.type, w.came, w.in, w.in_at, w.type, comm);
    if (code == MPI_SUCCESS) {
        code = MPI_Alltoallv(w.sent_to, w.out, w.out_at, MPI_INT32_T, w.came_to, w.in, w.in_at,
                             MPI_INT32_T, comm);
    }
    CSIM_TRY(csim__vote(ctx, csim__mpi(ctx, code, "exchange of links")));
    sort_links(&w, links);
done:
    if (w.type != MPI_DATATYPE_NULL) { MPI_Type_free(&w.type); }
    csim__free(ctx, &w.came_to);
    csim__free(ctx, &w.came);
    csim__free(ctx, &w.sent_to);
    csim__free(ctx, &w.sent);
    csim__free(ctx, &w.in_at);
    csim__free(ctx, &w.in);
    csim__free(ctx, &w.out_at);
    csim__free(ctx, &w.out);
    return st;
}

void csim__links_clear(csim_context *ctx, csim__links *links)
{
    csim__free(ctx, &links->start);
    csim__free(ctx, &links->link);
}
