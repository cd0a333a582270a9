/* A grid at the service of its leader: rank 0 asks for a decomposition as it would of LAPACK, the
 * others wait for what it asks. */
#ifndef CSIM_TEAM_H
#define CSIM_TEAM_H

#include "linalg/dense.h"
#include "linalg/grid.h"

typedef struct csim__team {
    csim__grid *grid;   /* borrowed */
    int64_t least;      /* matrices whose smaller side is below go to the leader's LAPACK */
    csim_status broken; /* communication failed on the grid: no more is asked of it */
    int64_t asked;      /* decompositions that the grid was asked for */
} csim__team;

/** As csim__svd() and csim__svd_by_squares(), on the grid of a team where that is given and the
 *  matrix is large enough; values then agree with LAPACK's to 1e-10 of the largest. Called by the
 *  leader while the others are in csim__team_serve(). A failure is the same on all of them, and the
 *  team can be asked again.
 *  @param[in] ctx   takes the message of a failure
 *  @param[in] team  NULL: LAPACK
 *  @return as there; CSIM_E_LIMIT, CSIM_E_FAULT, CSIM_E_MPI */
csim_status csim__team_svd(csim_context *ctx, csim__team *team, csim__want want, int m, int n,
                           double *a, double *s, double *u, double *v);
csim_status csim__team_svd_by_squares(csim_context *ctx, csim__team *team, csim__want want, int m,
                                      int n, const double *a, double *s, double *u, double *v,
                                      csim__doubt *doubt);

/** Do what the leader asks until it dismisses the team. Collective with the leader's calls, on the
 *  ranks of the grid but the leader.
 *  @return CSIM_OK, CSIM_E_MPI; failures of decompositions are the leader's to report */
csim_status csim__team_serve(csim__team *team);

/** Let the others of the team go. By the leader. */
void csim__team_dismiss(csim__team *team);

#endif
