/* Matrices dealt over a grid in blocks, and their way from one rank into the grid and back. */
#ifndef CSIM_DEALT_H
#define CSIM_DEALT_H

#include "linalg/grid.h"

/** A row-major matrix of m×n whose rows are dealt to the columns of a grid and whose columns to its
 *  rows: to ScaLAPACK, which is column-major, the same memory is the transpose, dealt as usual. So a
 *  run of up to `block` rows of a rank is one piece of memory, and can be received, or be the target
 *  of a sum over ranks, without a copy: a product that is reduced panel by panel, the q·p pieces of
 *  `block` rows each to their own rank, needs no rank that holds all of it. */
typedef struct csim__dealt {
    const csim__grid *grid; /* borrowed */
    int m, n;
    int m_loc, n_loc;
    double *x;   /* [m_loc, n_loc] owned */
    int desc[9]; /* the descriptor of ScaLAPACK, of the transpose */
} csim__dealt;

/** Room for the share of this rank, not set. Local; the same sizes on every rank of the grid.
 *  @param[out] a  give back with csim__dealt_clear(), also on error
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT (the share has more than 2³¹−1 numbers) */
csim_status csim__dealt_make(const csim__grid *grid, int64_t m, int64_t n, const char *what,
                             csim__dealt *a);

/** Numbers in the largest share of a matrix of m×n. Local, pure. */
static inline int64_t csim__dealt_most(int64_t m, int64_t n, const csim__grid *grid)
{
    return csim__grid_share(m, grid->block, 0, grid->q) *
           csim__grid_share(n, grid->block, 0, grid->p);
}

/** Local. Accepts what was zeroed. */
void csim__dealt_clear(csim__dealt *a);

/** The row of the matrix that is row @p at of this rank's share. Local. */
int64_t csim__dealt_row(const csim__dealt *a, int64_t at);

/** Deal what the leader holds. Collective on the grid.
 *  @param[in] whole  [m, n] on rank 0, not read elsewhere; borrowed
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank of the grid
 *  @note   8·m·n bytes leave the leader, which takes two panels of `block` rows beside its share */
csim_status csim__dealt_scatter(csim__dealt *a, const double *whole);

/** The way back: @p whole [m, n] is written on rank 0. Collective on the grid, as above. */
csim_status csim__dealt_gather(const csim__dealt *a, double *whole);

#endif
