/* What the files of a sweep share: its state, and the stages of its work. */
#ifndef CSIM_SWEEP_STATE_H
#define CSIM_SWEEP_STATE_H

#include "ingredients/cross.h"
#include "io/journal.h"
#include "sweep/cells.h"
#include "sweep/plan/deal.h"
#include "sweep/plan/forecast.h"

/** What a whole sweep takes, the sum or the maximum over its tiles. */
typedef struct csim__cost {
    int64_t shard_bytes, tile_bytes; /* of the rank with most, in the tile with most */
    double flops;                    /* of all ranks */
    int64_t tiles, pairs, selves;
    int64_t rounds, passes; /* of streamed tiles */
    double loads;           /* how often a site is read, summed over all sites */
    double numbers;         /* of an example that are read, in all */
    double idle;            /* work that waiting ranks could do (plan.h) */
    int64_t routes[4];      /* pairs by csim__route */
} csim__cost;

typedef struct csim__sweep {
    csim_context *ctx;
    const csim_sweep_options *options;
    csim_set *const *sets;
    int set_count;
    unsigned needs;
    int all_count;
    csim__site *all; /* [all_count] every site, without its rows: what is known of it so far */
    csim__cells cells;
    csim_shard shard;
    csim__meter meter;

    /* sites that are held together: a tile is two blocks of them and the pairs still open there */
    int blocks;
    bool divided;        /* into the blocks that there are to be, by csim__choose_groups() */
    bool streamed;       /* rows are not held, but read again by chunks where they are needed */
    int *block;          /* [blocks + 1] first site of each */
    unsigned char *here; /* [all_count] marks of sites */
    /* [all_count] sites in which few examples outweigh all others, as far as they were read: their
     * pairs have Gram tiles, which take memory */
    unsigned char *heavy;
    bool untiled;  /* for which there is no memory, even with two sites */
    int no_room;   /* what is left out, as even with two sites it is more than the memory limit: 1,
                    distances of all examples, 2, of samples too */
    int64_t roomy; /* bytes of a rank with which nothing of these is left out; 0: not sought */
    csim__cost cost;
    csim__forecast *forecast;   /* takes in every plan of the tiling; NULL: not asked for */
    const csim__target *target; /* of it */

    csim__teams teams; /* that decompose large pairs */
    csim__why why;     /* they are so */
    csim__grid *grid;  /* of the group of this rank; NULL: every rank by itself */
    csim__team team;
    const csim__planned **task; /* the pairs of this group in the round at hand, longest first */
    int64_t tasks;

    csim__journal *journal;             /* of finished pairs; NULL: none, or not rank 0 */
    int64_t saved;                      /* pairs that it holds */
    int64_t saved_draws;                /* relabellings that it holds, of a tile and a kind each */
    struct csim__site_record *recorded; /* [all_count] what it holds of sites (saved.c) */

    /* the tile at hand */
    int count;        /* sites */
    int *id;          /* [count], room for all: their places in all, ascending */
    csim__site *site; /* [count] */
    csim__plan plan;
    double **unit;                                /* [count] unit rows, NULL unless needed */
    csim__operand *centred, *basis, *raw, *unity; /* [count] what the cross pass takes */
    double *ones;                                 /* bounds of the columns of orthonormal rows */
    double *root_n;                               /* bounds of the columns of unit rows */
    csim__row_sums *row_sums;                     /* [plan.count] */
    double *hollow;                               /* [plan.count] of tiled pairs */
    double *near_sums; /* [plan.count, measures with neighbours, 2, CSIM_NEAR_SUMS]; NULL: none */
    csim__matrices *matrices; /* [plan.count, measures]; NULL: no measure takes any */
    csim__projection learned[CSIM__LEARNED_COUNT]; /* without an encoder: empty */
} csim__sweep;

/** Find the blocks of sites, two of which fit the memory limit, with which least is to do, with rows
 *  that are held or read again by chunks; and what the tiles of all pairs that are open cost. Local;
 *  the same on every rank.
 *  @return CSIM_OK, CSIM_E_MEM (also when two sites are too much: says what they need) */
csim_status csim__sweep_tiling(csim__sweep *w);

/** Does the largest open pair fit by itself, in any way? Once a tiling was sought. Local, pure but for
 *  the tile at hand. */
bool csim__sweep_pair_fits(csim__sweep *w);

/** Fail with what a sweep needs that does not fit in any way: of tiles of two sites, with rows held or
 *  read by chunks, whichever takes less, the tile that takes most. Into the forecast, too. Local, pure
 *  but for the tile at hand. CSIM_E_MEM. */
csim_status csim__sweep_name_least(csim__sweep *w);

/** The plan of the sites at hand, w->id, and of the pairs open between them. Local.
 *  CSIM_OK, what csim__plan_make() gives. */
csim_status csim__sweep_plan_tile(csim__sweep *w);

/** Compute all open pairs, tile by tile. Collective.
 *  CSIM_OK, CSIM_E_STOPPED, CSIM_E_DATA, CSIM_E_MEM, …; the same on every rank. */
csim_status csim__sweep_tiles(csim__sweep *w);

/** Free what the tile at hand holds. Local. */
void csim__sweep_tile_clear(csim__sweep *w);

/** Everything that a value or its place depends on, but for the values of the inputs: lines "name: value".
 *  Local. @param[out] text  new; csim__free(). CSIM_OK, CSIM_E_MEM. */
csim_status csim__request_text(csim__sweep *w, char **text);

/** Fail where two requests differ, and name the first thing in which they do. Local. CSIM_OK,
 *  CSIM_E_DATA. */
csim_status csim__request_compare(csim__sweep *w, const char *saved, const char *now);

/** Begin a journal, or take in what an earlier one holds: its pairs are closed, its checksums are
 *  expected. Collective.
 *  @return CSIM_OK, CSIM_E_EXISTS (a journal and no wish to resume), CSIM_E_DATA (of other inputs or
 *          options: names the difference), CSIM_E_FORMAT, CSIM_E_IO, CSIM_E_MEM; the same on every
 *          rank */
csim_status csim__saved_begin(csim__sweep *w);

/** Read all sites of some sets and make the attribute `input_checksums` of them; with
 *  options->nan_drop_rows without the rows that a sweep drops. Collective.
 *  @param[out] text  new; csim__free()
 *  @return CSIM_OK, CSIM_E_DATA, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__sweep_inputs(csim_context *ctx, csim_set *const *sets, int set_count,
                               const csim_sweep_options *options, char **text);

/** Close the journal; one of a sweep that failed before anything was saved is removed, a sweep that was
 *  stopped says what it holds. Local. */
void csim__saved_end(csim__sweep *w, csim_status st);

/** Save what is known of the sites of the tile. Collective. */
csim_status csim__saved_sites(csim__sweep *w);

/** Save pairs [first, last) of the plan, which their owners have finished, and close them.
 *  Collective. */
csim_status csim__saved_pairs(csim__sweep *w, int64_t first, int64_t last);

/** Make one relabelling of all pairs of the tile. Collective. */
typedef csim_status (*csim__draw_fn)(void *user, int64_t draw);

/** Make all relabellings of a kind that pairs of the tile do not have from an earlier run, saving some at
 *  a time; end when some rank is asked to stop. Collective.
 *  @return CSIM_OK, CSIM_E_STOPPED, CSIM_E_IO, CSIM_E_LIMIT, CSIM_E_MEM, CSIM_E_MPI, what @p draw gives;
 *          the same on every rank */
csim_status csim__saved_permute(csim__sweep *w, int kind, csim__draw_fn draw, void *user);

/** Take in a record of draws. Local. CSIM_OK, CSIM_E_FORMAT. */
csim_status csim__saved_take_draws(csim__sweep *w, const int64_t *words, int64_t bytes);

/** Kinds of records of a journal. */
enum { CSIM__RECORD_REQUEST, CSIM__RECORD_SITES, CSIM__RECORD_PAIRS, CSIM__RECORD_DRAWS };

/** End when some rank is asked to stop before all pairs are done. Collective. CSIM_OK,
 *  CSIM_E_STOPPED. */
csim_status csim__saved_stop(csim__sweep *w);

/** The smaller side from which pairs are large. Local. */
static inline int64_t csim__grid_from(const csim_sweep_options *options)
{
    return options->grid_from > 0 ? options->grid_from : CSIM_GRID_FROM;
}

/** Find out which groups there are to be: those that are asked for, or that csim__choose_groups()
 *  says. Local; the same on every rank.
 *  @return CSIM_OK, CSIM_E_ARG (a group larger than the job), CSIM_E_MEM */
csim_status csim__groups_find(csim__sweep *w);

/** Choose the groups by the planner's cost model: none, unless a pair is too large for one rank under
 *  the memory limit, or the sweep gets a good deal faster (docs/adr/0012). Local; the same on every
 *  rank. CSIM_OK, CSIM_E_MEM. */
csim_status csim__choose_groups(csim__sweep *w);

/** The groups of the work that a journal holds, where a sweep is to go on with that and none are asked
 *  for; else w->teams stays unset (p = 0). Collective.
 *  @return CSIM_OK, CSIM_E_ARG (larger than the job), CSIM_E_FORMAT, CSIM_E_IO, CSIM_E_MEM,
 *          CSIM_E_MPI; the same on every rank */
csim_status csim__saved_groups(csim__sweep *w);

/** Make the groups; free them. Collective.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__groups_begin(csim__sweep *w);
void csim__groups_end(csim__sweep *w);

/** Say in the results which groups there were. Local. CSIM_OK, CSIM_E_MEM. */
csim_status csim__groups_record(const csim__sweep *w, csim_results *results);

/** List the large pairs of pairs [first, last) of the plan that are this group's. Local; the same on
 *  all ranks of a group. CSIM_OK, CSIM_E_MEM. */
csim_status csim__groups_list(csim__sweep *w, int64_t first, int64_t last);

/** What a leader does with one of its pairs. */
typedef void (*csim__finish_fn)(csim__sweep *w, const csim__planned *p, csim_pair *pair);

/** Finish the large pairs of a round, each group its own; their `ctx` becomes NULL. By all ranks;
 *  @p pairs [last − first] in the order of the plan. CSIM_OK, CSIM_E_MPI; a vote must follow. */
csim_status csim__groups_finish(csim__sweep *w, int64_t first, csim_pair *pairs,
                                csim__finish_fn finish);

/** The lists of neighbours that measures take of n examples. Local, pure. */
csim__near_plan csim__sweep_near(const csim_sweep_options *options, int64_t n);

/** Check that there are as many neighbours as measures ask for. Local. CSIM_OK, CSIM_E_USAGE. */
csim_status csim__sweep_check_near(csim__sweep *w);

/** Search the neighbours in all sites of the tile, and sum what measures of them take over the
 *  examples: near_sums. The rows are read once more. Collective.
 *  @return CSIM_OK, CSIM_E_STOPPED, CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every
 *          rank */
csim_status csim__sweep_neighbours(csim__sweep *w);

/** The matrices that measures take of n examples, @p no_room as in csim__sweep; those of one measure:
 *  false if it takes none. Local, pure. */
csim__kernel_plan csim__sweep_kernel_plan(const csim_sweep_options *options, int64_t n,
                                          int no_room);
bool csim__sweep_takes(const csim_sweep_measure *measure, csim_kernel *kernel);
bool csim__sweep_same_form(const csim_kernel *a, const csim_kernel *b);

/** The cosine of matrices that a measure is of, where all of @p n examples are compared; add to a plan
 *  what null shifts take. Local, pure. */
csim_cosine csim__sweep_cosine(const csim_sweep_measure *measure, int64_t n);
void csim__sweep_shift_plan(const csim_sweep_options *options, int64_t n, csim__kernel_plan *plan);

/** Values of all pairs of the tile under all cyclic shifts of the examples: draws of the cells.
 *  Collective.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank */
csim_status csim__sweep_shifts(csim__sweep *w);

/** Check that samples are large enough, and of use. Local. CSIM_OK, CSIM_E_USAGE. */
csim_status csim__sweep_check_kernels(csim__sweep *w);

/** The value of a measure with CSIM_NEEDS_KERNELS of a pair of the plan whose sums are of @p n examples,
 *  with @p twin of relabelled ones on the right. Local. */
double csim__sweep_value(const csim__sweep *w, int64_t pair, int m, int64_t n, bool twin,
                         const csim__matrices *kernel);

/** Sites that take part in the passes of a tile, and pairs whose cells are wanted, with every site of a
 *  pair itself. Local; csim__partners_clear(), also on error. CSIM_OK, CSIM_E_MEM. */
typedef struct csim__partners {
    int count;
    int *place;            /* [sites] among those that take part, −1: it does not */
    csim__site **site;     /* [count] */
    unsigned char *wanted; /* [count, count] entries a ≤ b */
} csim__partners;
csim_status csim__partners_list(csim__sweep *w, csim__partners *partners);
void csim__partners_clear(csim__sweep *w, csim__partners *partners);

/** The sums of measures that store distances, and of those of batches: into matrices. Collective.
 *  CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank */
csim_status csim__sweep_triangles(csim__sweep *w, const csim__partners *partners);
csim_status csim__sweep_batches(csim__sweep *w, const csim__partners *partners);

/** Rows that are read again by chunks are held for a pass, in the precision of the sweep; others are
 *  there already. Local. CSIM_OK, CSIM_E_IO, CSIM_E_DATA, CSIM_E_MEM; a vote must follow. */
csim_status csim__sweep_hold(csim__sweep *w, csim__site *site);
void csim__sweep_let_go(csim__sweep *w, csim__site *site);

/** Make the sums of matrices of all pairs, and the spread of sites: matrices. Collective.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every rank */
csim_status csim__sweep_kernels(csim__sweep *w);

/** Check that every learned measure has its encoder and every site an input layer. Local.
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_SHAPE */
csim_status csim__sweep_check_encoders(csim__sweep *w);

/** Encode the sites and compare all pairs that are wanted, while the rows are there. Collective.
 *  @return CSIM_OK, CSIM_E_NUMERIC, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__sweep_project(csim__sweep *w);

/** The encoder of a measure of the sweep, NULL if it is not a learned one. Local. */
const csim_encoder *csim__sweep_encoder(const csim_sweep_options *options,
                                        const csim_measure *measure);

/** Intervals of all pairs of the tile whose cells are open, by leaving out blocks of examples.
 *  Collective.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_DATA, CSIM_E_MEM, CSIM_E_LIMIT, CSIM_E_MPI; the same on every
 *          rank */
csim_status csim__sweep_jackknife(csim__sweep *w);
int64_t csim__jackknife_bytes(const csim__problem *problem, const csim_shard *shard, int64_t widths,
                              int64_t widest);

/** Ingredients of sites and of all pairs at once: row sums, unit rows, Gram products, bases.
 *  Collective. CSIM_OK, CSIM_E_MEM, CSIM_E_MPI, …; the same on every rank. */
csim_status csim__sweep_ingredients(csim__sweep *w);

/** Of these, what brings sites together, but for bases: sums over rows, encoded rows, Gram products,
 *  neighbours, kernels. Collective. As above. */
csim_status csim__sweep_together(csim__sweep *w);

/** The values of all pairs of the tile under random relabellings of the examples, of measures that
 *  csim__statistics_paired() tells of: into the draws of their cells. Collective. As above. */
csim_status csim__sweep_permute(csim__sweep *w);

/** Free what a sweep has of its pairs. Local. */
void csim__sweep_pairs_clear(csim__sweep *w);

/** Operands of site @p s whose rows pass by. Local. */
void csim__stream_operands(csim__sweep *w, int s);

/** The products of the pairs of the round that begins at pair @p first of a streamed plan, and the sums
 *  over their rows. Collective.
 *  @param[in] made  [pairs + 1] products of the pairs before each
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_DATA (values that have changed), CSIM_E_MEM, CSIM_E_MPI; the same
 *          on every rank */
csim_status csim__stream_round(csim__sweep *w, int64_t first, const csim__product *products,
                               const int64_t *made);

/** The pairs in rounds: cross products of as many as fit, then their cells on the owners.
 *  Collective. CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank. */
csim_status csim__sweep_rounds(csim__sweep *w);

#endif
