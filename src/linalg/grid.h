/* Grids of ranks for matrices that are too large for one rank, several side by side. The only
 * caller of BLACS. */
#ifndef CSIM_GRID_H
#define CSIM_GRID_H

#include "core/core.h"

enum { CSIM__GRID_BLOCK = 64 }; /* rows and columns that are dealt at a time */

/** One of several grids of p×q ranks. Rank r of @p ctx is at row r / q, column r % q; rank 0 leads. */
typedef struct csim__grid {
    csim_context *whole; /* borrowed: of all ranks */
    csim_context *ctx;   /* of the ranks of this grid; NULL on a rank that is in none */
    int group, groups;   /* which grid this is, −1 for none; how many there are */
    int p, q, row, col;
    int block;
    int blacs; /* the handle of BLACS, −1 for none */
} csim__grid;

/** Make as many grids of p×q ranks as there are ranks for; neighbours in rank make a grid, the last
 *  size % (p·q) ranks are in none. Costs a few communicators: make them once. Collective on @p ctx.
 *  @param[out] grid  new on every rank; free with csim__grid_free() before @p ctx; NULL on error
 *  @return CSIM_OK, CSIM_E_ARG (a grid larger than the job), CSIM_E_MEM, CSIM_E_MPI; the same on
 *          every rank */
csim_status csim__grid_create(csim_context *ctx, int p, int q, csim__grid **grid);

/** Collective on the grid. Accepts NULL in the pointer. */
void csim__grid_free(csim__grid **grid);

/** Of @p n things dealt in blocks to @p places in turn, how many lie at @p place. Local. */
int64_t csim__grid_share(int64_t n, int64_t block, int place, int places);

/** Which of all things is number @p at of those at @p place. Local. */
int64_t csim__grid_index(int64_t at, int64_t block, int place, int places);

#endif
