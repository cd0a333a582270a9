/* What a sweep will do, worked out from shapes, measures and options alone: no data, no MPI. */
#ifndef CSIM_PLAN_H
#define CSIM_PLAN_H

#include "ingredients/pair.h"
#include "ingredients/rows.h"
#include "sweep/plan/passes.h"
#include "sweep/plan/room.h"

/** Groups of ranks that decompose large pairs together: neighbours in rank, p × q each. */
typedef struct csim__teams {
    int p, q;      /* 1 × 1: every rank by itself */
    int64_t least; /* the smaller side of a matrix from which it is for a group */
} csim__teams;

/** Ranks of a group; groups, or ranks that each work alone: as many own the pairs of a round. */
static inline int csim__teams_size(const csim__teams *teams)
{
    return teams->p * teams->q;
}

static inline int csim__teams_lanes(const csim__teams *teams, int size)
{
    return size / csim__teams_size(teams);
}

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
    bool twins;                             /* there are lists of relabelled examples, too */
    int64_t draws;                          /* relabellings of them */
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
    int blocks;                           /* of examples that are left out of sums, 0: none */
    int left[CSIM_MATRICES];              /* of the forms, those of which they are */
    bool median[2];                       /* of distances, by bandwidth-diagonal */
    bool spread;                          /* of rows around their mean */
    csim__store store[2 * CSIM_MATRICES]; /* one after the other */
    int stores;
    int64_t draws;    /* relabellings of them */
    int64_t batch;    /* examples of a batch, 0: none */
    int shifted;      /* matrices whose examples are shifted */
    bool shift_ranks; /* of some, ranks */
} csim__kernel_plan;

/** What the planner is told. */
typedef struct csim__problem {
    int64_t n; /* examples */
    int sites;
    const int64_t *width;        /* [sites] neurons */
    const unsigned char *wanted; /* [sites, sites] pairs a ≤ b that some cell wants */
    int64_t values;              /* cells of the result of the whole sweep times measures */
    int64_t extras;              /* numbers beside each of them */
    bool leverages;              /* of bases */
    int64_t permutations;        /* relabellings for which pairs are made anew */
    int64_t jackknife;           /* blocks left out of products of neurons, at most; 0: none */
    unsigned needs;              /* union over the measures */
    unsigned apart;              /* over those that have values without blocks of examples */
    const unsigned char *heavy;  /* [sites] few examples outweigh all others; NULL: not known */
    bool untiled;                /* for them there is no room for Gram tiles */
    const int
        *item; /* [sites] bytes of a number that is read ahead (feed.h), else 0; NULL: all 0 */
    bool single;
    bool streamed; /* rows are read again where they are needed, and not held */
    csim__near_plan near;
    csim__kernel_plan kernels;
    const csim_encoder *const *encoders; /* of the learned measures */
    int encoder_count;
    int size;          /* ranks */
    csim__teams teams; /* at most as many ranks each */
    bool saves;        /* finished pairs are saved after every round */
    int64_t memory;    /* limit of a rank in bytes, 0 = none */
} csim__problem;

/** One pair of sites whose cross term is computed; left ≤ right. */
typedef struct csim__planned {
    csim__couple couple;
    csim__route route;
    bool tiled;    /* has Gram tiles: on their route, or since a site is heavy */
    bool untiled;  /* would have them, as a site is heavy, but there is no room */
    bool cell;     /* some cell wants it, not only the self-term of a site */
    bool large;    /* decomposed by a group */
    bool dealt;    /* its blocks lie dealt over that group */
    int owner;     /* a rank, or the leader of a group */
    double finish; /* work of its decompositions, in flops of a GEMM that takes as long */
} csim__planned;

/** Numbers in the products of a pair: X̃ᵀỸ, UᵀU of the bases and of the raw ones, X̂ᵀŶ of unit rows;
 *  0 = not made. Of a basis with itself nothing is computed, but the block is there. */
typedef struct csim__products {
    int64_t cross, basis, raw, unit;
} csim__products;

/** Pairs that go through in rounds of @p step, the last of which may have fewer. */
typedef struct csim__part {
    int64_t first, last, step;
} csim__part;

/** Bytes of a pair of a round, and of its products, which every rank has on a list. */
enum { CSIM__PLAN_LISTED = sizeof(csim_pair) + 4 * sizeof(csim__product) };

/** Ranks that own no pair of a round, nor help with one. */
typedef struct csim__idle_ranks {
    int64_t rounds, sum; /* over all rounds */
    int most;
} csim__idle_ranks;

static inline void csim__idle_add(csim__idle_ranks *all, csim__idle_ranks more)
{
    all->rounds += more.rounds;
    all->sum += more.sum;
    all->most = more.most > all->most ? more.most : all->most;
}

typedef struct csim__plan {
    bool streamed;
    csim__planned *pairs; /* self-pairs first, then the others in the order of the sites; of a
                             streamed plan as they come in rounds */
    int64_t count, selves;
    unsigned char *basis; /* [sites] the site's basis is built */
    unsigned char *tiled; /* [sites] the site has Gram tiles */
    bool any_tiles, any_cross, any_basis, unit, raw_basis, loading, row_sums, raw_rows;
    csim__near_plan near;
    csim__kernel_plan kernels;
    int64_t round;            /* pairs whose blocks an owner holds at once, at most */
    csim__part part[2];       /* self-pairs, all others; of a streamed plan neither */
    csim__planned_pass *pass; /* [passes] of a streamed plan, else NULL */
    int64_t passes;
    csim__planned_round *rounds; /* [many_rounds + 1] likewise */
    int64_t many_rounds;
    double *reads;     /* [sites] how often the rows of each are read */
    double raw_reads;  /* of these readings, for every site: of rows that are taken as they are */
    int64_t *turns;    /* [sites] how often rows of a basis are made anew, for passes */
    int64_t *blocks;   /* [size] words of the blocks in the round in which a rank has most */
    int64_t *products; /* [size] words of blocks, and of sums under way, where these are most; of a
                            streamed plan with all else that a pass takes, 0: no pairs */
    int64_t *finish;   /* [size] words of blocks that are not finished, and of the workspace */
    unsigned char *busy; /* [size] a rank owns pairs, or is in a group that has some */
    csim__idle_ranks without;
    int room_rank;       /* the rank that takes most memory */
    csim__room room;     /* its memory */
    int64_t shard_bytes; /* of it: rows, and row norms */
    int64_t tile_bytes;  /* of it: everything else that is there at the peak */
    double flops;        /* of all ranks */
    double idle;         /* that all could do while the longest decompositions of rounds last */
} csim__plan;

/** Bytes of the rank with most, at its peak. */
static inline int64_t csim__plan_bytes(const csim__plan *plan)
{
    return plan->shard_bytes + plan->tile_bytes;
}

/** Work out a plan. Local, pure.
 *  @param[out] plan  free what it holds with csim__plan_clear(), also on error
 *  @return CSIM_OK, CSIM_E_MEM (also when the limit is too small: names what would do) */
csim_status csim__plan_make(csim_context *ctx, const csim__problem *problem, csim__plan *plan);

/** The products of a pair of a plan. Local, pure. */
csim__products csim__plan_products(const csim__problem *problem, const csim__plan *plan,
                                   const csim__planned *pair);

/** Work of a rank for a pair, in flops, if all had the same share of it. Local, pure. */
double csim__plan_share(const csim__problem *problem, const csim__plan *plan,
                        const csim__planned *pair);

/** So much work, some hours of a core, may be lost to a stop where finished pairs are saved; more
 *  only if one pair takes more. */
#define CSIM__PLAN_SAVED 1e14

/** The round of a streamed plan that begins at pair @p first. Local, pure. O(log(rounds)). */
const csim__planned_round *csim__plan_find_round(const csim__plan *plan, int64_t first);

/** The end of the round of pairs that begins at pair @p first. Local, pure. */
int64_t csim__plan_round(const csim__plan *plan, int64_t first);

/** Work of all ranks for kernels and distances of a site of @p d neurons; pairs whose matrices of
 *  distances are decomposed. Local, pure. */
double csim__plan_kernel_flops(const csim__problem *problem, double d);
double csim__plan_spectra(const csim__problem *problem, const csim__plan *plan);

void csim__plan_clear(csim_context *ctx, csim__plan *plan);

#endif
