#include "core/shard.h"

int64_t csim__chunk_length(int64_t n)
{
    /* Nearest power of two on the logarithmic scale: 2^k·√2 is the border, squares keep it exact. */
    int64_t eighth = n / 8, chunk = 64;
    while (chunk < 1024 && eighth * eighth > 2 * chunk * chunk) { chunk *= 2; }
    return chunk;
}

csim_shard csim__shard(int64_t n, int rank, int size)
{
    csim_shard s = {.n = n, .chunk = csim__chunk_length(n), .rank = rank, .size = size};
    s.chunks = (n + s.chunk - 1) / s.chunk;
    s.first = s.chunks * rank / size;
    s.count = s.chunks * (rank + 1) / size - s.first;
    s.row0 = s.first * s.chunk;
    if (s.row0 > n) { s.row0 = n; }
    int64_t end = (s.first + s.count) * s.chunk;
    s.rows = (end > n ? n : end) - s.row0;
    return s;
}

csim_shard csim__shard_fullest(int64_t n, int size)
{
    /* the first of those with a chunk more than others, even where that is the last one, and short */
    int64_t more = csim__shard(n, 0, size).chunks % size;
    return csim__shard(n, more == 0 ? 0 : (int)((size + more - 1) / more) - 1, size);
}
