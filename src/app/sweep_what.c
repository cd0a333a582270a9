#include "app/sweep_what.h"

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
         "as --grid says, without it 1"},
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

csim_status csim__sweep_what_groups(csim__config *config, csim__sweep_what *what)
{
    csim__option_group group = {"", "What to compute", table, what, 1};
    csim__option_group input = {"", "Reading the sets", csim_input_option_table, &what->input, 1};
    csim_status st = csim__config_add(config, &group);
    return st == CSIM_OK ? csim__config_add(config, &input) : st;
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
    };
    return csim__choose_grid(app->config, what->grid, what->group_size, &options->grid_rows,
                             &options->grid_cols);
}
