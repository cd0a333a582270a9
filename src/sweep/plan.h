/* What a sweep will do, worked out from shapes, measures and options alone: no data, no MPI. */
#ifndef CSIM_PLAN_H
#define CSIM_PLAN_H

#include "ingredients/pair.h"
#include "ingredients/rows.h"
#include "sweep/room.h"

/** Lists that are made of the same rows, by one search. */
typedef struct csim__near_view {
    double clamp;             /* quantile at which values are clipped, 1: none */
    int64_t k[CSIM_METRICS];  /* the longest lists by metric, 0: none */
    bool links[CSIM_METRICS]; /* turned round as well */
} csim__near_view;

/** More than measures that have the option, so one view for each value of it. */
enum { CSIM__NEAR_VIEWS = 8 };

/** Lists of neighbours that the measures of a sweep take together. */
typedef struct csim__near_plan {
    int sums; /* measures that take some, each with each number of neighbours; 0: no lists */
    int views;
    int searches;                           /* views that have lists */
    csim__near_view view[CSIM__NEAR_VIEWS]; /* the first: rows as they are, perhaps without lists */
    int64_t longest;                        /* of all lists */
    int across; /* of the sums those that take distances in the other site */
} csim__near_plan;

/** Distances that are stored after all. */
typedef struct csim__store {
    csim_matrix matrix;
    int64_t examples;               /* all, or a sample */
    bool ranked, spectrum, ordered; /* what for */
    bool left_out;                  /* it does not fit the memory limit */
} csim__store;

/** Matrices of the examples that the measures of a sweep take together. */
typedef struct csim__kernel_plan {
    int measures, columns;                /* that take some; all measures of the sweep */
    int forms[CSIM_MATRICES];             /* of each, those whose sums are made tile by tile */
    bool median[2];                       /* of distances, by bandwidth-diagonal */
    bool spread;                          /* of rows around their mean */
    csim__store store[2 * CSIM_MATRICES]; /* one after the other */
    int stores;
    int64_t batch; /* examples of a batch, 0: none */
} csim__kernel_plan;

/** What the planner is told. */
typedef struct csim__problem {
    int64_t n; /* examples */
    int sites;
    const int64_t *width;        /* [sites] neurons */
    const unsigned char *wanted; /* [sites, sites] pairs a ≤ b that some cell wants */
    int64_t values;              /* cells of the result of the whole sweep times measures */
    unsigned needs;              /* union over the measures */
    const unsigned char *heavy;  /* [sites] few examples outweigh all others; NULL: not known */
    bool single;
    csim__near_plan near;
    csim__kernel_plan kernels;
    const csim_encoder *const *encoders; /* of the learned measures */
    int encoder_count;
    int size;       /* ranks */
    int64_t memory; /* limit of a rank in bytes, 0 = none */
} csim__problem;

/** One pair of sites whose cross term is computed; left ≤ right. */
typedef struct csim__planned {
    csim__couple couple;
    csim__route route;
    bool tiled; /* has Gram tiles: on their route, or since a site is heavy */
    bool cell;  /* some cell wants it, not only the self-term of a site */
    int owner;
    double finish; /* work of its decompositions, in flops of a GEMM that takes as long */
} csim__planned;

/** Numbers in the products of a pair: X̃ᵀỸ, UᵀU of the bases and of the raw ones, X̂ᵀŶ of unit rows;
 *  0 = not made. Of a basis with itself nothing is computed, but the block is there. */
typedef struct csim__products {
    int64_t cross, basis, raw, unit;
} csim__products;

typedef struct csim__plan {
    csim__planned *pairs; /* self-pairs first, then the others in the order of the sites */
    int64_t count, selves;
    unsigned char *basis; /* [sites] the site's basis is built */
    unsigned char *tiled; /* [sites] the site has Gram tiles */
    bool any_tiles, any_cross, any_basis, unit, raw_basis, loading, row_sums, raw_rows;
    csim__near_plan near;
    csim__kernel_plan kernels;
    int64_t round;       /* pairs whose blocks an owner holds at once */
    int room_rank;       /* the rank that takes most memory */
    csim__room room;     /* its memory */
    int64_t shard_bytes; /* of it: rows, and row norms */
    int64_t tile_bytes;  /* of it: everything else that is there at the peak */
    double flops;        /* of all ranks */
} csim__plan;

/** Work out a plan. Local, pure.
 *  @param[out] plan  free what it holds with csim__plan_clear(), also on error
 *  @return CSIM_OK, CSIM_E_MEM (also when the limit is too small: names what would do) */
csim_status csim__plan_make(csim_context *ctx, const csim__problem *problem, csim__plan *plan);

/** The products of a pair of a plan. Local, pure. */
csim__products csim__plan_products(const csim__problem *problem, const csim__plan *plan,
                                   const csim__planned *pair);

/** Work of all ranks for kernels and distances of a site of @p d neurons; pairs whose matrices of
 *  distances are decomposed. Local, pure. */
double csim__plan_kernel_flops(const csim__problem *problem, double d);
double csim__plan_spectra(const csim__problem *problem, const csim__plan *plan);

void csim__plan_clear(csim_context *ctx, csim__plan *plan);

#endif
