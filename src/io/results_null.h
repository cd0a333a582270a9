/* Values under relabellings of the examples, and what becomes of them when all are there. */
#ifndef CSIM_RESULTS_NULL_H
#define CSIM_RESULTS_NULL_H

#include "contrasim/results.h"

/** End of the name of a companion that says how far rounding may move values. */
#define CSIM__RESULTS_TIE "tie"

/** Add numbers beside the values of variable @p parent, a companion called <its name>_@p end with its list.
 *  Local. CSIM_OK, CSIM_E_ARG, CSIM_E_MEM.
 *  @param[out] v  its place */
csim_status csim__results_add_beside(csim_results *results, int parent, const char *end,
                                     const char *text, int *v);

/** Add the values of @p measure under relabellings, a companion called <measure>_null with a dimension
 *  <measure>_draw: those of one plane of the measure's list after the other. Local.
 *  @param[in] draws  of each plane
 *  @param[in] alpha  level of calibrated scores
 *  @param[out] values  [planes, draws, rows, cols] to fill
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_MEM */
csim_status csim__results_add_null(csim_results *results, const char *measure, int64_t draws,
                                   double alpha, double **values);

/** Where no cell of a measure is pending any more, make of its values under relabellings the companions
 *  <measure>_pvalue, _null_mean, _null_sd, _z, of similarities with maximum 1 _calibrated, and of
 *  the best pair of layers of two models _pvalue_max, _calibrated_max; then drop them, and
 *  <measure>_tie. Local.
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   cells·draws·log(draws) comparisons */
csim_status csim__results_settle(csim_results *results);

#endif
