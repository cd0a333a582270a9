/* A grid at the service of its leader: rank 0 asks for a decomposition as it would of LAPACK, the
 * others wait for what it asks. */
#ifndef CSIM_TEAM_H
#define CSIM_TEAM_H

#include "linalg/dealt.h"
#include "linalg/dense.h"

typedef struct csim__team {
    csim__grid *grid; /* borrowed */
    int64_t least;    /* the leader's matrices with a smaller side below go to its LAPACK */
    const csim__dealt
        *dealt;         /* matrices that lie dealt over the grid; borrowed, on all of its ranks */
    csim_status broken; /* communication failed on the grid: no more is asked of it */
    int64_t asked;      /* what the grid was asked for */
} csim__team;

/** What a team is asked about. */
typedef struct csim__matter {
    int m, n;
    double *a;           /* [m, n] of the leader; NULL: diag(p) A diag(q), where A is … */
    int dealt;           /* … the leading m×n of this one of the team's dealt matrices */
    const double *p, *q; /* [m], [n] of the leader; NULL: ones */
} csim__matter;

/** As csim__svd(), which destroys x->a, and csim__svd_by_squares(), on the grid of a team where that is
 *  given and the matrix is dealt or large enough; values then agree with LAPACK's to 1e-10 of the
 *  largest. Called by the leader while the others are in csim__team_serve(). A failure is the same on
 *  all of them, and the team can be asked again. A dealt matrix is kept, and no rank takes more than
 *  shares of it.
 *  @param[in] ctx   takes the message of a failure
 *  @param[in] team  NULL: LAPACK
 *  @return as there; CSIM_E_LIMIT, CSIM_E_FAULT, CSIM_E_MPI */
csim_status csim__team_svd(csim_context *ctx, csim__team *team, csim__want want,
                           const csim__matter *x, double *s, double *u, double *v);
csim_status csim__team_svd_by_squares(csim_context *ctx, csim__team *team, csim__want want,
                                      const csim__matter *x, double *s, double *u, double *v,
                                      csim__doubt *doubt);

/** Σ p_i A_ij² q_j of a dealt matrix; @p x->p and q weigh here. Called as those above.
 *  @param[out] sum  the same on every run on a grid of this shape
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_FAULT, CSIM_E_MPI */
csim_status csim__team_square(csim_context *ctx, csim__team *team, const csim__matter *x,
                              double *sum);

/** Do what the leader asks until it dismisses the team. Collective with the leader's calls, on the
 *  ranks of the grid but the leader; a team that is broken is not waited for.
 *  @return CSIM_OK, CSIM_E_MPI; failures of decompositions are the leader's to report */
csim_status csim__team_serve(csim__team *team);

/** Let the others of the team go. By the leader. */
void csim__team_dismiss(csim__team *team);

#endif
