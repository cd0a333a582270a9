/* What the files of a sweep share: its state, and the two stages of its work. */
#ifndef CSIM_SWEEP_STATE_H
#define CSIM_SWEEP_STATE_H

#include "ingredients/cross.h"
#include "sweep/cells.h"
#include "sweep/plan.h"

typedef struct csim__sweep {
    csim_context *ctx;
    const csim_sweep_options *options;
    csim_set *const *sets;
    int set_count;
    int count;        /* sites */
    csim__site *site; /* [count] */
    csim__cells cells;
    csim__plan plan;
    csim_shard shard;
    unsigned needs;
    double **unit;                                 /* [count] unit rows, NULL unless needed */
    csim__operand *centred, *basis, *raw, *unity;  /* [count] what the cross pass takes */
    double *ones;                                  /* bounds of the columns of orthonormal rows */
    double *root_n;                                /* bounds of the columns of unit rows */
    csim__row_sums *row_sums;                      /* [plan.count] */
    double *hollow;                                /* [plan.count] of tiled pairs */
    csim__projection learned[CSIM__LEARNED_COUNT]; /* without an encoder: empty */
    csim__meter meter;
} csim__sweep;

/** Check that every learned measure has its encoder and every site an input layer. Local.
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_SHAPE */
csim_status csim__sweep_check_encoders(csim__sweep *w);

/** Encode the sites and compare all pairs that are wanted, while the rows are there. Collective.
 *  @return CSIM_OK, CSIM_E_NUMERIC, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__sweep_project(csim__sweep *w);

/** The encoder of a measure of the sweep, NULL if it is not a learned one. Local. */
const csim_encoder *csim__sweep_encoder(const csim_sweep_options *options,
                                        const csim_measure *measure);

/** Ingredients of sites and of all pairs at once: row sums, unit rows, Gram products, bases.
 *  Collective. CSIM_OK, CSIM_E_MEM, CSIM_E_MPI, …; the same on every rank. */
csim_status csim__sweep_ingredients(csim__sweep *w);

/** The pairs in rounds: cross products of as many as fit, then their cells on the owners.
 *  Collective. CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank. */
csim_status csim__sweep_rounds(csim__sweep *w);

#endif
