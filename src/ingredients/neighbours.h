/* Exact nearest neighbours of all examples of a site. */
#ifndef CSIM_NEIGHBOURS_H
#define CSIM_NEIGHBOURS_H

#include "contrasim/measure.h"
#include "core/core.h"
#include "core/shard.h"
#include "ingredients/meter.h"

/** The k nearest of each of this rank's examples by one metric. Others come in the order (distance,
 *  index); an example is not among its own, whatever else equals it. */
typedef struct csim__near {
    int64_t k;      /* 0: none */
    int32_t *index; /* [rows, k] examples, nearest first */
    double *distance; /* [rows, k] ‖x−y‖, 1 − cos (a row of zeros has cosine 0), or −⟨x,y⟩ */
} csim__near;

/** Find the neighbours of all rows of a site. Collective.
 *  The distances of a pair of rows depend on these alone, so equal rows tie exactly, and lists are the
 *  same for every number of ranks. GEMM tiles only tell which pairs can be near at all.
 *  Every two chunks meet once, on one rank: what it finds for the other's rows goes back, k numbers
 *  a row at most, which is less than the second GEMM that a whole round of the ring would take.
 *  @param[in]  rows  [rows, d] of this rank, not centred
 *  @param[in]  k     by metric: how many, below n; 0: none by this metric
 *  @param[out] near  [CSIM_METRICS] new; csim__near_clear(), also on error
 *  @return CSIM_OK, CSIM_E_SHAPE (k ≥ n), CSIM_E_LIMIT (2³¹ examples), CSIM_E_MEM, CSIM_E_MPI; the
 *          same on every rank
 *  @note   n²d/P flops for the tiles and some k·ln(n/k) distances a row, for k near n all of them;
 *          memory: csim__neighbours_bytes() */
csim_status csim__neighbours(csim_context *ctx, const csim_shard *shard, int64_t d,
                             const double *rows, const int64_t k[CSIM_METRICS], csim__meter *meter,
                             csim__near near[CSIM_METRICS]);

void csim__near_clear(csim_context *ctx, csim__near *near);

/** Bytes of the lists of a rank; and of the search beside them and the rows, where what goes back is
 *  as much as it can be. Pure. */
int64_t csim__near_bytes(const csim_shard *shard, const int64_t k[CSIM_METRICS]);
int64_t csim__neighbours_bytes(const csim_shard *shard, int64_t d, const int64_t k[CSIM_METRICS]);

/** One of those to whom an example is near. */
typedef struct csim__link {
    double distance;
    int32_t from;  /* the other example */
    int32_t place; /* in its list, from 0 */
} csim__link;

/** The lists of all ranks turned round: whose neighbours this rank's examples are. */
typedef struct csim__links {
    int64_t *start;   /* [rows + 1] */
    csim__link *link; /* [start[rows]] ascending by from */
} csim__links;

/** Turn the lists of a site round. Collective.
 *  @param[out] links  new; csim__links_clear(), also on error
 *  @return CSIM_OK, CSIM_E_LIMIT, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   16·n·k/P bytes go out of a rank; one that has an example near to many takes more in */
csim_status csim__links_make(csim_context *ctx, const csim_shard *shard, const csim__near *near,
                             csim__links *links);

void csim__links_clear(csim_context *ctx, csim__links *links);

/** How far the neighbours in other sites are in this one, by cosine: for each example i and each other
 *  site, Σ d(i,j)·d'(i,j) and Σ d(i,j)² over the first k in the list of the other, d' its distances;
 *  for several k, each summed as if it were alone.
 *  Collective; every rank sees every chunk of the site.
 *  @param[in]  rows    [rows, d] of this rank, not centred
 *  @param[in]  k       [ks] ascending
 *  @param[in]  others  [count] lists of other sites, by cosine
 *  @param[out] sums    [count] of [rows, ks, 2]
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank
 *  @note   2dk flops a row and site; memory: a chunk */
csim_status csim__across(csim_context *ctx, const csim_shard *shard, int64_t d, const double *rows,
                         const int64_t *k, int ks, const csim__near *const *others, int count,
                         double *const *sums);

/** Clip the values of a site to ±q, where q is the number of index floor(share·n·d), from 0, among the
 *  sizes of all its values in ascending order. Collective.
 *  @param[in]     share  above 0, below 1
 *  @param[in,out] rows   [rows, d] of this rank
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   four passes over the rows; 512 KiB */
csim_status csim__clamp(csim_context *ctx, const csim_shard *shard, int64_t d, double share,
                        double *rows);

/** 1 − the cosine of two rows, from their lengths: ½‖x/‖x‖ − y/‖y‖‖², which keeps the digits of small
 *  angles. The same bits for either order. Pure. */
double csim__cosine_distance(int64_t d, const double *x, const double *y, double norm_x,
                             double norm_y);

/** The neighbours of one example i in both sites of a pair, in the order of the cell: X, Y. */
struct csim_near {
    int64_t n, k;
    const int32_t *index[2];   /* [k] nearest first */
    const double *distance[2]; /* [k] */
    /* [n] places in the list of i, from 1; 0 or above k: not in it */
    const int32_t *place[2];
    const csim__link *link[2]; /* [links] whose list i is in, in the first k if place < k */
    int64_t links[2];
    const double
        *across[2];   /* [2] of csim__across(): of X over the list of Y, of Y over that of X */
    int32_t *scratch; /* [2(k + 1)] */
};

#endif
