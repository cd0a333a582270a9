#include "app/sweep_what.h"

#include <stdio.h>

static const csim_option table[] = {
    {.name = "set",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(csim__sweep_what, sets),
     .metavar = "SET",
     .help = "a set to compare, the same as one without --set: a file, folder or quoted glob, or "
             "NAME=PATH"},
    {.name = "measures",
     .letter = 'm',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__sweep_what, measures),
     .fallback = "cka,cka_debiased",
     .metavar = "LIST",
     .help = "names of measures joined by ',', or all"},
    {.name = "encoder",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(csim__sweep_what, encoders),
     .metavar = "FILE",
     .help = "checkpoint of train that defines a learned measure (contrasim, deepdot, deepcka, "
             "mscon)"},
    {.name = "pairs",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__sweep_what, pairs),
     .choices = "cross|all|within",
     .metavar = "WHICH",
     .help =
         "pairs of layers: cross (of different sets), all, within (of one set), or A:B of two sets "
         "by name; without it cross for several sets, all for one"},
    {.name = "precision",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__sweep_what, precision),
     .choices = "double|single",
     .fallback = "double",
     .help = "precision of the pass over the examples, for measures that allow single"},
    {.name = "rank-floor",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim__sweep_what, rank_floor),
     .fallback = "1e-10",
     .min = 1e-30,
     .max = 0.5,
     .metavar = "SHARE",
     .help = "a direction of a layer counts for its rank when its variance is above this share of "
             "the largest"},
    {.name = "group-size",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__sweep_what, group_size),
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .metavar = "RANKS",
     .help =
         "ranks that decompose a large pair together, in a grid as square as can be, several "
         "such groups side by side; their values differ by rounding from those of one rank; 0 = "
         "as --grid says, without it as the planner chooses, from 4096 neurons on"},
    {.name = "grid",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__sweep_what, grid),
     .metavar = "PxQ",
     .help = "such groups as grids of P x Q ranks"},
    {.name = "grid-from",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__sweep_what, grid_from),
     .fallback = "2048",
     .min = 1,
     .max = 1e9,
     .metavar = "NEURONS",
     .help = "a pair is large when the smaller of its layers has at least this many neurons"},
    {.name = NULL},
};

static const csim_option statistics_table[] = {
    {.name = "null",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim__sweep_what, null),
     .fallback = "none",
     .choices = "none|analytic|permutation|shift",
     .help = "compare each value with those under relabellings of the examples of one layer: mean, "
             "deviation and z-score of all of them, worked out, or p-values and calibrated scores "
             "of random ones, or of all cyclic shifts of the examples in a random order"},
    {.name = "permutations",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__sweep_what, permutations),
     .fallback = "999",
     .min = 1,
     .max = 1e7,
     .metavar = "COUNT",
     .help =
         "random relabellings of --null permutation, the same for all pairs; each takes about as "
         "long as the pairs of the sweep, of neighbours much less"},
    {.name = "null-seed",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__sweep_what, null_seed),
     .fallback = "1",
     .min = 0,
     .max = 1e15,
     .metavar = "NUMBER",
     .help = "seed of random relabellings, and of the order of --null shift"},
    {.name = "alpha",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim__sweep_what, alpha),
     .fallback = "0.05",
     .min = 1e-6,
     .max = 0.5,
     .metavar = "LEVEL",
     .help = "calibrated scores are 0 for all but this share of random relabellings"},
    {.name = "jackknife",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__sweep_what, jackknife),
     .fallback = "0",
     .min = 0,
     .max = 64,
     .metavar = "BLOCKS",
     .help =
         "95 % intervals by leaving out one block of consecutive examples after the other, of at "
         "most 16 to 64 blocks; 0 = none"},
    {.name = NULL},
};

csim_status csim__sweep_what_groups(csim__config *config, csim__sweep_what *what)
{
    csim__option_group group = {"", "What to compute", table, what, 1};
    csim__option_group statistics = {"", "Statistics", statistics_table, what, 1};
    csim__option_group input = {"", "Reading the sets", csim_input_option_table, &what->input, 1};
    csim_status st = csim__config_add(config, &group);
    if (st == CSIM_OK) { st = csim__config_add(config, &statistics); }
    return st == CSIM_OK ? csim__config_add(config, &input) : st;
}

csim_status csim__sweep_part(csim_context *ctx, const char *text, csim_sweep_options *sweep)
{
    int end = 0;
    if (text == NULL) { return CSIM_OK; }
    if (sscanf(text, "%9d/%9d%n", &sweep->part, &sweep->parts, &end) != 2 || text[end] != 0 ||
        sweep->part < 1 || sweep->part > sweep->parts) {
        return csim__fail(ctx, CSIM_E_USAGE,
                          "--part: found '%s', expected I/N with 1 <= I <= N, such as 2/8", text);
    }
    return CSIM_OK;
}

csim_status csim__sweep_what_measures(csim__app *app, const csim__sweep_what *what,
                                      csim_sweep_measure **measures, int *count)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    int *chosen = NULL, all = csim_measure_count();
    CSIM_TRY(csim__calloc(ctx, all, sizeof *chosen, "measures", &chosen));
    CSIM_TRY(csim__calloc(ctx, all, sizeof **measures, "measures", measures));
    CSIM_TRY(csim__choose_measures(app->config, what->measures, chosen));
    for (int i = 0; i < all; i++) {
        const csim_measure *measure = csim_measure_get(i);
        if (measure->options != NULL) {
            csim__config_record(app->config, measure->name, chosen[i]);
        }
        if (chosen[i]) {
            (*measures)[(*count)++] =
                (csim_sweep_measure){.measure = measure, .options = what->measure_options[i]};
        }
    }
done:
    csim__free(ctx, &chosen);
    return st;
}

/* The shape of the groups of `--grid PxQ`, or of `--group-size RANKS` as square as can be; 0 x 0 where
 * neither is given. */
static csim_status choose_grid(const csim__config *config, const char *grid, int64_t size,
                               int *rows, int *cols)
{
    int end = 0;
    if (grid == NULL) {
        if (size == 0) { return CSIM_OK; }
        for (int p = 1; (int64_t)p * p <= size; p++) {
            if (size % p == 0) { *rows = p; }
        }
        *cols = (int)(size / *rows);
        return CSIM_OK;
    }
    if (sscanf(grid, "%5dx%5d%n", rows, cols, &end) != 2 || grid[end] != '\0' || *rows < 1 ||
        *cols < 1 || (int64_t)*rows * *cols > 1000000) {
        return csim__config_fail(config, "", "grid",
                                 "found '%.60s', expected the rows and columns of a grid of ranks, "
                                 "such as 2x2",
                                 grid);
    }
    if (size > 0 && (int64_t)*rows * *cols != size) {
        return csim__config_fail(config, "", "grid", "found %d x %d ranks, but --group-size %lld",
                                 *rows, *cols, (long long)size);
    }
    return CSIM_OK;
}

csim_status csim__sweep_what_options(const csim__app *app, const csim__sweep_what *what,
                                     const csim_sweep_measure *measures, int count,
                                     csim_sweep_options *options)
{
    *options = (csim_sweep_options){
        .measures = measures,
        .measure_count = count,
        .pairs = what->pairs,
        .precision = what->precision == 1 ? CSIM_SINGLE_PRECISION : CSIM_DOUBLE,
        .nan_drop_rows = what->input.nan_drop_rows,
        .rank_floor = what->rank_floor,
        .grid_from = what->grid_from,
        .null = (csim_null)what->null,
        .permutations = what->permutations,
        .null_seed = what->null_seed,
        .alpha = what->alpha,
        .jackknife = what->jackknife,
    };
    return choose_grid(app->config, what->grid, what->group_size, &options->grid_rows,
                       &options->grid_cols);
}
