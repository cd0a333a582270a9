/* Panels: rows of a product whose sums over the examples are made and brought to the ranks that have
 * them in the end. Shared by cross.c and bundle.c. */
#ifndef CSIM_PANEL_H
#define CSIM_PANEL_H

#include "ingredients/cross.h"
#include "ingredients/flight.h"

/** The sums of a panel that one rank gets. */
typedef struct csim__piece {
    int64_t *acc; /* [rows, cols] on that rank the memory of the output */
    int64_t at;   /* its first row among those that the rank has of the product */
    int64_t rows, cols;
    int row, col; /* place in the grid */
    int rank;
} csim__piece;

/** Rows of a product. */
typedef struct csim__panel {
    const csim__product *product;
    int p, q; /* the grid */
    int64_t block;
    int64_t first, rows;
    csim__piece *piece; /* [p·q] borrowed */
} csim__panel;

/** Pieces of each panel of a product. */
static inline int csim__panel_pieces(const csim__product *product)
{
    return product->grid != NULL ? product->grid->p * product->grid->q : 1;
}

/** The panel of a product that begins at row @p first, and where its sums are to be, all zero. Local.
 *  @param[in]     spare  integers for what other ranks get: as many as the panel has numbers do
 *  @param[in,out] panel  with room for its pieces
 *  @return integers of spare that are taken */
int64_t csim__panel_lay_out(csim__panel *panel, const csim__product *product, int64_t first,
                            int rank, int64_t *spare);

/** Scale factors of the columns of both sides, for rows as they are stored. Local.
 *  @param[out] factor  [2][width of the side] */
void csim__panel_factors(const csim__product *product, double *const factor[2]);

/** Add a chunk of this rank. Local.
 *  @param[in]     chunk   counted from the first of this rank
 *  @param[in,out] part    scratch of csim__cross_panel() numbers */
void csim__panel_add(csim_context *ctx, const csim_shard *shard, const csim__panel *panel,
                     int64_t chunk, void *part, double *const factor[2]);

/** Flops of a panel over some rows. */
double csim__panel_work(const csim__panel *panel, int64_t rows);

/** Begin the sums over ranks. By all ranks. CSIM_OK, CSIM_E_MPI. */
csim_status csim__panel_take_off(const csim__panel *panel, csim__flight *flight);

/** The sums that this rank got become numbers, in place. Local.
 *  @param[out] factor  scratch */
void csim__panel_value(const csim__panel *panel, int rank, double *const factor[2]);

#endif
