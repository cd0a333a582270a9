/* Memory of a rank in a sweep, array by array: how large each is, and in which stages it is there.
 * Everything is pure. */
#ifndef CSIM_SWEEP_ROOM_H
#define CSIM_SWEEP_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/shard.h"

struct csim__problem;
struct csim__plan;
struct csim__planned;
struct csim__products;

/** Stages of a sweep in their order: X(name, text for people). */
#define CSIM__STAGE_LIST(X)                                                                        \
    X(LOAD, "encoders are loaded")                                                                 \
    X(READ, "layers are read")                                                                     \
    X(BLOCKS, "blocks of examples are left out")                                                   \
    X(ROWS, "row sums are taken")                                                                  \
    X(ENCODE, "layers are encoded")                                                                \
    X(GRAM, "Gram tiles are made")                                                                 \
    X(NEIGHBOURS, "neighbours are searched")                                                       \
    X(KERNELS, "kernels are made")                                                                 \
    X(DISTANCES, "distances are stored")                                                           \
    X(BATCHES, "batches are compared")                                                             \
    X(SHIFTS, "examples are shifted")                                                              \
    X(BASES, "bases are made")                                                                     \
    X(PERMUTE, "examples are relabelled")                                                          \
    X(PRODUCTS, "cross products are made")                                                         \
    X(FINISH, "pairs are decomposed")                                                              \
    X(RESULTS, "the results are joined")

/** Arrays: X(name, key in JSON, text for people). */
#define CSIM__ROOM_LIST(X)                                                                         \
    X(EXAMPLES, "examples", "examples: rows of all layers")                                        \
    X(ROW_NORMS, "row_norms", "lengths of the rows")                                               \
    X(MOMENTS, "moments", "lists of layers, means and norms of neurons")                           \
    X(PAIRS, "pairs", "list of pairs")                                                             \
    X(CELLS, "cells", "cells of the result")                                                       \
    X(ENCODERS, "encoders", "encoders and their values")                                           \
    X(LOADING, "loading", "an encoder's file while it is read")                                    \
    X(READING, "reading", "a layer while it is read")                                              \
    X(CHUNKS, "chunks", "chunks while rows are summed")                                            \
    X(LEFT_OUT, "left_out", "sums without blocks of examples")                                     \
    X(UNIT_ROWS, "unit_rows", "rows of length 1")                                                  \
    X(ENCODED, "encoded", "encoded rows and their products")                                       \
    X(TILES, "tiles", "Gram tiles")                                                                \
    X(VISITORS, "visiting_chunks", "visiting chunks of other ranks")                               \
    X(LIFTS, "lifts", "row terms and sums of the tiles")                                           \
    X(HOLDING, "holding", "chunks of a layer while it is read to be held")                         \
    X(SEARCH, "search", "a layer as read, and the search for neighbours")                          \
    X(LISTS, "neighbour_lists", "lists of neighbours")                                             \
    X(KERNELS, "kernels", "tiles of kernels and distances, medians")                               \
    X(DISTANCES, "distances", "distances of all pairs of examples")                                \
    X(BATCHES, "batches", "kernels of batches")                                                    \
    X(SPECTRA, "spectra", "spectra of matrices for all shifts")                                    \
    X(BASES, "bases", "bases")                                                                     \
    X(RAW_BASES, "raw_bases", "bases of rows as read")                                             \
    X(LOADINGS, "loadings", "loadings of the bases")                                               \
    X(FACTORS, "factors", "small factors of the bases")                                            \
    X(TWINS, "twins", "relabelled examples")                                                       \
    X(TURNING, "turning", "examples that change places, and passes over them")                     \
    X(ROUND, "round", "list of the pairs of a round")                                              \
    X(BLOCKS, "blocks", "blocks of a round of pairs")                                              \
    X(SLOTS, "slots", "chunks of the layers of a round, read again")                               \
    X(PARTIALS, "partials", "partial products and sums under way")                                 \
    X(WORKSPACE, "workspace", "workspace of a decomposition")                                      \
    X(RESULTS, "results", "results")

#define CSIM__STAGE_ENUM(name, text) CSIM__STAGE_##name,
typedef enum csim__stage { CSIM__STAGE_LIST(CSIM__STAGE_ENUM) CSIM__STAGE_COUNT } csim__stage;
#undef CSIM__STAGE_ENUM

#define CSIM__ROOM_ENUM(name, key, text) CSIM__ROOM_##name,
typedef enum csim__room_array {
    CSIM__ROOM_LIST(CSIM__ROOM_ENUM) CSIM__ROOM_COUNT
} csim__room_array;
#undef CSIM__ROOM_ENUM

/** What one rank holds. */
typedef struct csim__room {
    struct {
        int64_t bytes;
        csim__stage first, last;
    } array[CSIM__ROOM_COUNT];
} csim__room;

/** What all ranks of a plan have in common. */
typedef struct csim__room_survey {
    int64_t widths, widest;            /* of all sites */
    int64_t fetched;                   /* bytes of a row that is read ahead, at most */
    int64_t converted;                 /* of these where they are no doubles */
    int64_t alike;                     /* neurons of the widest site of a pair of equal widths */
    int64_t tiled_sites, tiled_widths; /* of sites with tiles */
    int64_t largest;                   /* numbers in the largest panel of a product */
    int64_t work;                      /* words of the largest workspace */
    int64_t encoders;                  /* bytes of the encoders and of their values */
} csim__room_survey;

/** Name and text of an array and of a stage. */
const char *csim__room_key(csim__room_array array);
const char *csim__room_text(csim__room_array array);
const char *csim__stage_text(csim__stage stage);

csim__room_survey csim__room_look(const struct csim__problem *problem,
                                  const struct csim__plan *plan);

/** Words that blocked LAPACK routines want: for each column, and in any case. */
enum { CSIM__ROOM_STRIP = 140, CSIM__ROOM_CORNER = 64 * 65 };

/** Words that the decompositions of a pair take at the same time: on its owner, and on each of the
 *  others of its group. */
typedef struct csim__workspace {
    int64_t leader, member;
} csim__workspace;
csim__workspace csim__room_workspace(const struct csim__problem *problem,
                                     const struct csim__planned *pair);

/** Numbers in the largest panel of the products of a pair. */
int64_t csim__room_panel(const struct csim__problem *problem, const struct csim__planned *pair,
                         const struct csim__products *products);

/** Words of the blocks of a pair on rank @p member of those that have it: its owner, or the group over
 *  which they are dealt. */
int64_t csim__room_pair(const struct csim__problem *problem, const struct csim__plan *plan,
                        const struct csim__planned *pair, int member);

/** Most bytes of the blocks of one pair on one rank. */
int64_t csim__room_blocks(const struct csim__problem *problem, const struct csim__plan *plan);

/** The memory of one rank. In a plan of which nothing is dealt yet there are no blocks, and any rank
 *  may have the largest workspace.
 *  @note  O(sites) */
void csim__room_of(const struct csim__problem *problem, const struct csim__plan *plan,
                   const csim__room_survey *survey, int rank, csim__room *room);

/** Bytes of a chunk of a streamed site, and of what is read ahead of it, while something of one form
 *  (feed.h) is made of it alone. */
int64_t csim__room_feed(const struct csim__problem *problem, int site, unsigned form);

/** Into it what bases take. O(sites). */
void csim__room_bases(const struct csim__problem *problem, const struct csim__plan *plan,
                      const csim_shard *shard, csim__room *room);

/** Put one array into it. */
static inline void csim__room_put(csim__room *room, csim__room_array array, int64_t bytes,
                                  csim__stage first, csim__stage last)
{
    room->array[array].bytes = bytes;
    room->array[array].first = first;
    room->array[array].last = last;
}

/** Does a rank take just what the one before it takes? Of many ranks most do. Local, pure. */
bool csim__room_repeats(const struct csim__problem *problem, const struct csim__plan *plan,
                        int rank);

/** Bytes that the message layer takes beside, while sums over ranks are under way: as much as each of
 *  them has. */
int64_t csim__room_messages(const struct csim__problem *problem, const struct csim__plan *plan);

/** Is an array there at a stage? */
static inline bool csim__room_there(const csim__room *room, int array, csim__stage stage)
{
    return room->array[array].first <= stage && stage <= room->array[array].last;
}

/** Bytes at a stage; most bytes of all stages, and the stage. */
int64_t csim__room_stage(const csim__room *room, csim__stage stage);
int64_t csim__room_peak(const csim__room *room, csim__stage *when);

#endif
