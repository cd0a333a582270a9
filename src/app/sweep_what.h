/* What a sweep is to compute, as options: shared by the commands that run one or foretell it. */
#ifndef CSIM_APP_SWEEP_WHAT_H
#define CSIM_APP_SWEEP_WHAT_H

#include "app/app.h"
#include "contrasim/sweep.h"

/** All that changes a result. */
typedef struct csim__sweep_what {
    csim_texts sets;
    const char *measures, *pairs;
    csim_texts encoders;
    int precision;
    double rank_floor;
    const char *grid;
    int64_t group_size, grid_from;
    int null;
    int64_t permutations, null_seed, jackknife;
    double alpha;
    csim_input_options input;
    void **measure_options; /* [csim_measure_count()], NULL where a measure has none; filled by
                               csim__measure_groups() */
} csim__sweep_what;

/** Add the groups "What to compute", "Statistics" and "Reading the sets". Local. CSIM_OK, CSIM_E_MEM. */
csim_status csim__sweep_what_groups(csim__config *config, csim__sweep_what *what);

/** The measures that are asked for, with their options; those of others are not recorded. Local.
 *  @param[out] measures  new, [*count] used; csim__free(), also on error
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_MEM */
csim_status csim__sweep_what_measures(csim__app *app, const csim__sweep_what *what,
                                      csim_sweep_measure **measures, int *count);

/** The options of the library, without memory, encoders and progress. Local.
 *  @return CSIM_OK, CSIM_E_USAGE (a grid of ranks that is none) */
csim_status csim__sweep_what_options(const csim__app *app, const csim__sweep_what *what,
                                     const csim_sweep_measure *measures, int count,
                                     csim_sweep_options *options);

/** "2/8" of `--part` as part 2 of 8; NULL: all. Local. CSIM_OK, CSIM_E_USAGE. */
csim_status csim__sweep_part(csim_context *ctx, const char *text, csim_sweep_options *sweep);

#endif
