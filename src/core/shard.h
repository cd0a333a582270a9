/* Which examples belong to which rank: whole chunks, whose borders depend on N alone. */
#ifndef CSIM_SHARD_H
#define CSIM_SHARD_H

#include <stdint.h>

typedef struct csim_shard {
    int64_t n;            /* examples in all */
    int64_t chunk;        /* examples a chunk (the last may be shorter) */
    int64_t chunks;       /* chunks in all */
    int64_t first, count; /* chunks of this rank: first … first+count-1 */
    int64_t row0, rows;   /* examples of this rank: row0 … row0+rows-1 */
    int rank, size;
} csim_shard;

/** Chunk length for n examples: the power of two next to n/8 within 64…1024 (design §4). */
int64_t csim__chunk_length(int64_t n);

/** The shard of @p rank among @p size. Local, pure. */
csim_shard csim__shard(int64_t n, int rank, int size);

/** The shard of the rank with most examples; of several the first. Local, pure. O(ranks). */
csim_shard csim__shard_fullest(int64_t n, int size);

/** First row and number of rows of chunk @p c. */
static inline int64_t csim__chunk_row(const csim_shard *s, int64_t c)
{
    return c * s->chunk;
}

static inline int64_t csim__chunk_rows(const csim_shard *s, int64_t c)
{
    int64_t left = s->n - c * s->chunk;
    return left < s->chunk ? left : s->chunk;
}

#endif
