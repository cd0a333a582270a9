/* The cells of a sweep: which are asked for, their values, and the results object made of them. */
#ifndef CSIM_CELLS_H
#define CSIM_CELLS_H

#include "contrasim/sweep.h"
#include "ingredients/pair.h"

/** All sites of all sets, which of them are rows and columns, and what is known of each cell. */
typedef struct csim__cells {
    int rows, cols;
    int *row, *col;           /* [rows], [cols] sites */
    unsigned char *requested; /* [rows, cols] */
    int measures;
    int64_t *bits;       /* [measures, rows, cols] the doubles' bit patterns, 0 = not here */
    int64_t *spread;     /* the same of csim_value.spread; NULL without learned measures */
    int8_t *cell, *note; /* [measures, rows, cols] */
} csim__cells;

/** Lay out the cells for `pairs` (design §6). CSIM_OK, CSIM_E_ARG, CSIM_E_MEM. Local. */
csim_status csim__cells_make(csim_context *ctx, csim_set *const *sets, int set_count,
                             const csim_sweep_options *options, csim__cells *cells);

void csim__cells_clear(csim_context *ctx, csim__cells *cells);

/** Fill the cells of one pair by all measures; what fails is flagged in the cell. Local. */
void csim__cells_finish(csim__cells *cells, csim_pair *pair, int left, int right,
                        const csim_sweep_options *options);

/** Join what all ranks have filled. Collective; votes. */
csim_status csim__cells_join(csim_context *ctx, csim__cells *cells);

/** The results object: sites, variables with their parameters, values, provenance of the inputs.
 *  Local. CSIM_OK, CSIM_E_MEM, CSIM_E_ARG. */
csim_status csim__cells_results(csim_context *ctx, const csim__cells *cells,
                                const csim__site *sites, csim_set *const *sets, int set_count,
                                const csim_sweep_options *options, csim_results **results);

#endif
