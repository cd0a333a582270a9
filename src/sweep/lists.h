/* Lists of neighbours of the sites of a tile, while sums over the examples are made of them. */
#ifndef CSIM_SWEEP_LISTS_H
#define CSIM_SWEEP_LISTS_H

#include "core/exact.h"
#include "ingredients/neighbours.h"
#include "sweep/state.h"

/** What the measures take, one entry for each number of neighbours, in the order of the request. */
typedef struct csim__wish {
    const csim_measure *measure;
    const void *options;
    int view, metric;
    int64_t k;
    int across; /* its place among those with CSIM_NEEDS_ACROSS */
    int plane;  /* of the cells */
    bool drawn; /* under relabellings, too */
} csim__wish;

/** Lists of all sites, and what is made of them. */
typedef struct csim__lists {
    csim__sweep *w;
    csim__wish *wish;
    int wishes;
    const csim__near_plan *plan;
    double *rows;                           /* [rows, widest] of one site, as read */
    double *turned;                         /* [rows, widest] in the order of a relabelling */
    int sites;                              /* with twins */
    csim__near *near;                       /* [sites, views, CSIM_METRICS] */
    csim__links *links;                     /* [sites, views, CSIM_METRICS] */
    int64_t across_k[CSIM_NEIGHBOURS_MOST]; /* [plan->across] of the measures that take it */
    double **
        across; /* [sites, sites] NULL, or [rows, plan->across, 2] of the first over the second's lists */
    int32_t *place[2]; /* [n] of the left and the right site */
    int32_t *scratch;  /* [2(k + 1)] */
    double *part;      /* [wishes, 2, CSIM_NEAR_SUMS] of a chunk */
    csim__exact *sum;  /* [pairs, wishes, 2, CSIM_NEAR_SUMS] */
    int exponent;
    bool drawn;     /* some measure is: of each site there is a twin, behind all sites */
    int64_t draw;   /* the relabelling at hand, −1: none */
    int32_t *tied;  /* [wishes, sites] not 0: the order of the examples decides who is near */
    double *values; /* [pairs, wishes, 2, CSIM_NEAR_SUMS] sums of a relabelling */
} csim__lists;

/** The place of the lists of a site. Local. */
static inline int64_t csim__lane(const csim__lists *l, int site, int view, int metric)
{
    return ((int64_t)site * l->plan->views + view) * CSIM_METRICS + metric;
}

/** How far the neighbours in site @p b are in site @p a. Local. */
static inline double **csim__lists_across(const csim__lists *l, int a, int b)
{
    return &l->across[(int64_t)a * l->sites + b];
}

/** Has a site, or a twin when there is a relabelling at hand, pairs? Find how far the neighbours in these
 *  are in it, of rows as read. The second is collective: CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI. */
bool csim__lists_partners(const csim__lists *lists, int s);
csim_status csim__lists_cross(csim__lists *lists, int s, const double *rows);

/** The sums over the examples of all pairs, of the relabelling at hand. Collective.
 *  @param[out] out  [pairs, wishes, 2, CSIM_NEAR_SUMS] the same on every rank
 *  @return CSIM_OK, CSIM_E_MPI; the same on every rank */
csim_status csim__lists_sum(csim__lists *lists, double *out);

/** The values of all pairs under random relabellings, with lists that are renamed instead of searched:
 *  into the draws of their cells, which are saved. Collective.
 *  @return CSIM_OK, CSIM_E_STOPPED, CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every
 *          rank */
csim_status csim__lists_permute(csim__lists *lists);

#endif
