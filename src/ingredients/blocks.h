/* Blocks of consecutive examples, of a length that is a power of two: runs of chunks, or parts of one. */
#ifndef CSIM_BLOCKS_H
#define CSIM_BLOCKS_H

#include "core/core.h"

/** Blocks of examples; the last one may be shorter. */
typedef struct csim__blocks {
    int64_t n, length; /* examples in all and of a block, a power of two */
    int count;
} csim__blocks;

/** As many blocks as there can be, at most @p most. Local, pure. */
static inline csim__blocks csim__blocks_of(int64_t n, int64_t most)
{
    csim__blocks b = {.n = n, .length = 1};
    while ((n + b.length - 1) / b.length > most) { b.length *= 2; }
    b.count = (int)((n + b.length - 1) / b.length);
    return b;
}

/** Examples of a block. Local, pure. */
static inline int64_t csim__blocks_rows(const csim__blocks *blocks, int b)
{
    return csim__min64(blocks->length, blocks->n - b * blocks->length);
}

#endif
