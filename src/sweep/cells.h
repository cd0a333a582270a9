/* The cells of a sweep: which are asked for, their values, and the results object made of them. */
#ifndef CSIM_CELLS_H
#define CSIM_CELLS_H

#include "contrasim/sweep.h"
#include "ingredients/pair.h"
#include "io/results_null.h"

/** Numbers beside a value: X(name, end of its name in the file, text for people). */
#define CSIM__BESIDE_LIST(X)                                                                       \
    X(STD, "std", "standard deviation over the encoder's inits")                                   \
    X(NULL_MEAN, "null_mean", "mean over all relabellings of the examples")                        \
    X(NULL_SD, "null_sd", "standard deviation over all relabellings of the examples")              \
    X(Z, "z", "distance from the mean over relabellings in standard deviations")                   \
    X(TIE, CSIM__RESULTS_TIE, "how far apart values are that only rounding tells apart")           \
    X(SE, "se", "standard error by a delete-one-block jackknife")                                  \
    X(CI_LOW, "ci_low", "lower end of the jackknife's 95 % interval")                              \
    X(CI_HIGH, "ci_high", "upper end of the jackknife's 95 % interval")

#define CSIM__BESIDE_ENUM(name, end, text) CSIM__BESIDE_##name,
typedef enum csim__beside { CSIM__BESIDE_LIST(CSIM__BESIDE_ENUM) CSIM__BESIDE_COUNT } csim__beside;
#undef CSIM__BESIDE_ENUM

/** What values under random relabellings come from: lists of neighbours, pairs of rows, distances that are
 *  stored, their ranks. */
typedef enum csim__drawn {
    CSIM__DRAWN_LISTS,
    CSIM__DRAWN_ROWS,
    CSIM__DRAWN_DISTANCES,
    CSIM__DRAWN_RANKS,
    CSIM__DRAWN_KINDS /* none */
} csim__drawn;

/** All sites of all sets, which of them are rows and columns, and what is known of each cell. */
typedef struct csim__cells {
    int rows, cols;
    int *row, *col; /* [rows], [cols] sites */
    int sites;
    int *row_of, *col_of;     /* [sites] row and column of a site, −1 = none */
    unsigned char *requested; /* [rows, cols] */
    unsigned char *open;      /* [rows, cols] requested and not computed yet, in this part */
    int measures;
    int *plane;    /* [measures + 1] the first value of each measure: one, or one for each number of
                   neighbours that it is asked for */
    int planes;    /* values of a cell */
    int64_t *bits; /* [planes, rows, cols] the doubles' bit patterns, 0 = not here */
    int8_t *cell, *note; /* [planes, rows, cols] */
    int beside
        [CSIM__BESIDE_COUNT]; /* places of the numbers beside values, −1 = not in this sweep */
    int64_t draws;            /* values under relabellings of the examples, behind those */
    int64_t extras;           /* all of these */
    int64_t *extra;           /* [extras, planes, rows, cols] bit patterns as above; NULL: none */
    int64_t draw;     /* which one csim__cells_finish() fills, −1: the values themselves */
    csim__drawn kind; /* of what it is, of measures that have it from there */
    int64_t *drawn;   /* [rows, cols, CSIM__DRAWN_KINDS] draws that are there; NULL: none */
} csim__cells;

/** Lay out the cells for `pairs` (design §6), without room for values: a plan has none. CSIM_OK,
 *  CSIM_E_ARG, CSIM_E_MEM. Local. */
csim_status csim__cells_make(csim_context *ctx, csim_set *const *sets, int set_count,
                             const csim_sweep_options *options, csim__cells *cells);

/** Room for values and what is beside them. Local. CSIM_OK, CSIM_E_MEM. */
csim_status csim__cells_room(csim_context *ctx, csim__cells *cells);

void csim__cells_clear(csim_context *ctx, csim__cells *cells);

/** Keep part @p part of @p parts (counted from 1) of the open cells: a run of pairs of sites, row
 *  after row, with an equal share of Σ D_a·D_b. Both orders of a pair stay together. Local.
 *  @param[in] width  [sites] neurons */
void csim__cells_take_part(csim__cells *cells, const int64_t *width, int part, int parts);

/** Is a cell of the pair of sites a ≤ b open? Was one asked for? Local. */
bool csim__cells_open(const csim__cells *cells, int a, int b);
bool csim__cells_requested(const csim__cells *cells, int a, int b);

/** The cells of a pair are computed, on whatever rank. Local. */
void csim__cells_close(csim__cells *cells, int a, int b);

/** Number of words that csim__cells_pack() takes for the cells of a pair. Local. */
int64_t csim__cells_words(const csim__cells *cells);

/** What this rank has of the cells of a pair a ≤ b, of the other orders too: 0 where it has nothing,
 *  so that a bitwise or joins ranks. Local. */
void csim__cells_pack(const csim__cells *cells, int a, int b, int64_t *words);

/** Take in what was packed. Local. */
void csim__cells_unpack(csim__cells *cells, int a, int b, const int64_t *words);

/** Put the value of the plane @p plane under relabelling @p draw into the cell (x, y) of sites. Local. */
void csim__cells_put_draw(csim__cells *cells, int plane, int x, int y, int64_t draw, double value);

/** How many draws of a kind there are of a pair a ≤ b, on whatever rank: the first so many. Local. */
int64_t *csim__cells_drawn(csim__cells *cells, int a, int b, int kind);

/** What this rank has of the draws [first, last) of a pair, in words as above; taken in, bits are added to
 *  what is there. Local. */
int64_t csim__cells_draw_words(const csim__cells *cells, int64_t first, int64_t last);
void csim__cells_pack_draws(const csim__cells *cells, int a, int b, int64_t first, int64_t last,
                            int64_t *words);
void csim__cells_unpack_draws(csim__cells *cells, int a, int b, int64_t first, int64_t last,
                              const int64_t *words);

/** Draws [first, last) of a measure are not there any more, in both orders. Local. */
void csim__cells_forget_draws(csim__cells *cells, int a, int b, int measure, int64_t first,
                              int64_t last);

/** Put a number beside a value. Local. */
void csim__cells_put_beside(csim__cells *cells, int plane, int x, int y, csim__beside beside,
                            double value);

/** What a measure says of a pair; a routine that fails spoils this value, not the sweep. Local. */
csim_value csim__cells_evaluate(csim_pair *pair, const csim_sweep_measure *measure);

/** Fill the cells of one pair by all measures; what fails is flagged in the cell. Local. */
void csim__cells_finish(csim__cells *cells, csim_pair *pair, int left, int right,
                        const csim_sweep_options *options);

/** Join what all ranks have filled. Collective; votes. */
csim_status csim__cells_join(csim_context *ctx, csim__cells *cells);

/** Names and paths of sets, one line a set, as in the attribute `input_names`. Local.
 *  @param[out] text  new; csim__free(). CSIM_OK, CSIM_E_MEM. */
csim_status csim__inputs_names(csim_context *ctx, csim_set *const *sets, int set_count,
                               char **text);

/** Checksums of sets from those of their sites, one line a set, as in the attribute
 *  `input_checksums`. Local. @param[out] text  new; csim__free(). CSIM_OK, CSIM_E_MEM. */
csim_status csim__inputs_text(csim_context *ctx, const csim__site *sites, csim_set *const *sets,
                              int set_count, char **text);

/** The results object: sites, variables with their parameters, values, provenance of the inputs.
 *  Requested cells that nobody has filled are pending. Local. CSIM_OK, CSIM_E_MEM, CSIM_E_ARG. */
csim_status csim__cells_results(csim_context *ctx, const csim__cells *cells,
                                const csim__site *sites, csim_set *const *sets, int set_count,
                                const csim_sweep_options *options, csim_results **results);

#endif
