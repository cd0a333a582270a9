/* Tiles of pairs of examples: every chunk of rows meets every other one once, on some rank. */
#ifndef CSIM_RING_H
#define CSIM_RING_H

#include "core/core.h"
#include "core/shard.h"

/** Rows of a tile at most; smaller ones spend more on packing. */
enum { CSIM__TILE = 512 };

/** A chunk of examples, its rows in every site. */
typedef struct csim__side {
    const void **row;    /* [count] first row of the chunk in each site */
    const double *extra; /* [numbers, chunk] what travels with its rows */
    int64_t first, rows; /* its first example, how many */
    bool own;            /* of this rank, not a visitor */
} csim__side;

/** m rows of the left chunk from its row @p i on, n of the right one from @p j. */
typedef struct csim__tile {
    const csim__side *left, *right; /* the earlier chunk is on the left */
    int64_t i, j;
    int m, n;
    bool diagonal;              /* the rows are the same: what is above the diagonal is enough */
    struct csim__ring_run *run; /* for csim__ring_nudge() */
} csim__tile;

/** What is brought together, and what is done with it. In which order, and on which rank, depends on
 *  the number of ranks. */
typedef struct csim__ring_task {
    int count;               /* sites */
    const int64_t *width;    /* [count] */
    const void *const *rows; /* [count] rows of this rank, [rows, width] */
    bool single;             /* they are floats */
    int numbers;             /* doubles that go with each row */
    const double *extra;     /* [own chunks, numbers, chunk], NULL without any */
    int64_t side;            /* rows of a tile at most, a power of two; 0: CSIM__TILE */
    bool own_first;          /* tiles inside the rank come before anything is sent */
    void *user;
    /** Use a tile. */
    void (*tile)(void *user, const csim__tile *tile);
    /** Before own chunks are sent to rank @p to: renew what goes with the rows; NULL: it stays. */
    void (*send)(void *user, int to);
    /** A visiting chunk has met all that it meets here; NULL: nothing is left to do. */
    void (*leave)(void *user, const csim__side *visitor);
    /** All chunks that rank @p from sent us are gone, and all that we sent to @p to have arrived;
     *  called on every rank alike, also after a failure (@p before), which must end no
     *  exchange. NULL: nothing is left to do. */
    csim_status (*met)(void *user, int from, int to, csim_status before);
} csim__ring_task;

/** Bring every pair of chunks together once. Visitors travel half way round the ring of ranks, the
 *  next chunk in flight while one is used. Collective, but without a vote at its end: the status is
 *  this rank's.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI or what met() returned
 *  @note   n²/(2P) pairs of rows a rank; it sends its rows P/2 times. Memory: csim__ring_bytes() */
csim_status csim__ring(csim_context *ctx, const csim_shard *shard, const csim__ring_task *task);

/** In the middle of a tile of many sites: let messages move on. Where the processor copies them, they
 *  stand still from one call to the next. Local. */
void csim__ring_nudge(const csim__tile *tile);

/** Bytes of the visiting chunks of a rank among @p size: rows of @p widths neurons in all with
 *  @p numbers doubles each. Pure. */
int64_t csim__ring_bytes(int64_t chunk, int size, int64_t widths, size_t element, int64_t numbers);

/** Pairs of different examples in the tiles of the rank whose shard this is. Pure. O(chunks²/P²) */
int64_t csim__ring_pairs(const csim_shard *shard);

/** Numbers in a tile of one site, at most, for chunks of this length. Pure. */
int64_t csim__ring_tile(int64_t chunk);

#endif
