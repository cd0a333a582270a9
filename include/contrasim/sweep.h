/** @file sweep.h  The sweep: all requested measures over all requested pairs of sites. */
#ifndef CONTRASIM_SWEEP_H
#define CONTRASIM_SWEEP_H

#include "contrasim/encoder.h"
#include "contrasim/measure.h"
#include "contrasim/reps.h"
#include "contrasim/results.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum csim_precision { CSIM_DOUBLE, CSIM_SINGLE_PRECISION } csim_precision;

/** What values are compared with. */
typedef enum csim_null {
    CSIM_NULL_NONE,
    CSIM_NULL_ANALYTIC,    /**< mean and standard deviation over all relabellings of the examples */
    CSIM_NULL_PERMUTATION, /**< values under random relabellings, the same for all pairs */
    CSIM_NULL_SHIFT,       /**< values under all cyclic shifts of the examples in a random order */
} csim_null;

/** The level of calibrated scores. */
#define CSIM_NULL_ALPHA 0.05

/** Relative variance below which a direction of a layer does not count for its rank. */
#define CSIM_RANK_FLOOR 1e-10

/** Decompositions on a grid of ranks start to pay at matrices of as many rows and columns. */
#define CSIM_GRID_FROM 2048

/** Groups of ranks that nobody asked for are chosen for matrices of as many rows and columns. */
#define CSIM_GRID_CHOSEN_FROM 4096

/** Called on rank 0 as the sweep goes on; @p done and @p total are in flops. */
typedef void (*csim_progress_fn)(void *user, const char *phase, double done, double total);

/** One measure of a sweep with its options (the struct its option table fills). */
typedef struct csim_sweep_measure {
    const csim_measure *measure;
    const void *options; /**< borrowed; NULL if the measure has none */
} csim_sweep_measure;

/** What to compute. Everything is borrowed for the call. */
typedef struct csim_sweep_options {
    const csim_sweep_measure *measures;
    int measure_count;
    const char *pairs;        /**< "cross", "all", "within", or "A:B" (names of two sets);
                                   NULL: cross for two or more sets, all for one */
    csim_precision precision; /**< of the pass over the examples, for measures that allow it */
    int nan_drop_rows;        /**< drop examples with NaN or Inf on all sites, else an error */
    double rank_floor;        /**< directions count whose σ² > rank_floor·σ₁², below 1;
                                   0: CSIM_RANK_FLOOR */
    int64_t memory;           /**< limit per rank in bytes, 0 = none */
    const csim_encoder *const *encoders; /**< of the learned measures, each once */
    int encoder_count;
    int grid_rows, grid_cols; /**< large pairs are decomposed on groups of grid_rows × grid_cols
                                   ranks, several side by side; 1: each pair on one rank; 0: as the
                                   planner chooses, from CSIM_GRID_CHOSEN_FROM on. Values on more
                                   than one rank differ by rounding */
    int64_t grid_from; /**< pairs are large whose smaller side has at least as many neurons, or
                            examples where those are fewer; 0: CSIM_GRID_FROM */
    int part, parts;   /**< compute one part of the pairs, 1 ≤ part ≤ parts, of a job array; the
                              others' cells are pending; 0: all */
    csim_null null; /**< values under relabellings of the examples of one layer, for statistics */
    int64_t permutations; /**< relabellings of CSIM_NULL_PERMUTATION, 1 or more */
    int64_t null_seed;    /**< of random relabellings */
    double alpha;         /**< level of calibrated scores; 0: CSIM_NULL_ALPHA */
    int64_t jackknife;    /**< blocks of examples that are left out one at a time for intervals, at
                               most; 0: no intervals */
    const char *journal;  /**< file that keeps finished pairs, NULL: none. It stays when the sweep
                              ends: remove it once the results are safe */
    int resume; /**< go on from the journal, if it is there; else one that holds pairs is refused */
    int overwrite; /**< without resume: replace an existing journal */
    const char
        *remark; /**< one more line, such as the number of BLAS threads, that must be the same
                             to go on; NULL: none */
    /** Asked on every rank after every save, and from the first one on while rows are read again by
     *  chunks: anything but 0 on any rank stops the sweep, with a journal only; what is not finished
     *  then is dropped. So every call saves something before it stops. NULL: never. */
    int (*stop)(void *user);
    void *stop_user;
    csim_progress_fn progress;
    void *progress_user;
} csim_sweep_options;

/** Compute a sweep. Collective.
 *  @param[in]  sets     opened sets with the same number of examples, distinct names
 *  @param[out] results  new, the same on every rank; free with csim_results_free(); NULL on error.
 *                       Cells that are undefined or failed are flagged and are no error.
 *  @return CSIM_OK, CSIM_E_STOPPED (finished pairs are in the journal), CSIM_E_ARG, CSIM_E_USAGE
 *          (learned measures and encoders do not match), CSIM_E_EXISTS (a journal, and no wish to
 *          resume), CSIM_E_FORMAT (of the journal), CSIM_E_SHAPE, CSIM_E_DATA (NaN, fewer than 4 examples; a
 *          journal of other inputs or options), CSIM_E_NUMERIC (an encoder whose
 *          parameters are not finite), CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   2·N·Da·Db flops a pair on the cross route, N²·D a site on the Gram route; memory per
 *          rank: its rows of all sites plus the tiles that the log prints. Where that is more than
 *          the limit, as many sites as fit are held at a time and read again for other pairs; the
 *          values are the same. Two sites must fit. */
csim_status csim_sweep(csim_context *ctx, csim_set *const *sets, int set_count,
                       const csim_sweep_options *options, csim_results **results);

/** What a sweep takes, worked out from shapes and options alone. */
typedef struct csim_sweep_cost {
    int64_t example_bytes; /**< rows of all sites on the rank with most */
    int64_t tile_bytes;    /**< everything else that is large, on the same rank */
    double flops;          /**< of all ranks */
    /** Pairs by the way to their values: Gram matrices of the examples (n²·D flops), products of
     *  neurons (2·n·Da·Db), orthonormal bases. */
    int64_t gram_pairs, cross_pairs, basis_pairs;
} csim_sweep_cost;

/** Plan a sweep without running it. Local; the same on every rank.
 *  @param[out] cost  for all examples of the sets; untouched on error
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_USAGE and CSIM_E_SHAPE as csim_sweep(), CSIM_E_MEM (also when
 *          options->memory is too small) */
csim_status csim_sweep_plan(csim_context *ctx, csim_set *const *sets, int set_count,
                            const csim_sweep_options *options, csim_sweep_cost *cost);

#ifdef __cplusplus
}
#endif
#endif
