/* What the files of `contrasim plan` share: its options, what it finds out, and how that is told. */
#ifndef CSIM_APP_PLAN_H
#define CSIM_APP_PLAN_H

#include "app/perf/calibration.h"
#include "app/sweep_what.h"
#include "sweep/plan/forecast.h"

enum { CSIM__SHAPES = 6 };

typedef struct csim__plan_options {
    csim__sweep_what sweep;
    int what;

    /* shapes instead of sets */
    int64_t sites, set_count;
    const char *width;
    int dtype; /* csim_dtype */

    /* where it is to run */
    int64_t ranks, nodes, node_memory, memory;
    const char *calibration, *part;

    int format, overwrite;
    const char *sbatch, *output;
} csim__plan_options;

/** Another number of ranks that would do. */
typedef struct csim__shape {
    int ranks, nodes;
    const char *why, *key; /* for people, for JSON */
    int64_t peak;          /* bytes of a rank */
    csim__teams teams;     /* groups of ranks that it would have */
    double low, high;      /* s */
} csim__shape;

/** All that is known of the sweep to come. */
typedef struct csim__outlook {
    const csim__plan_options *options;
    csim_sweep_options sweep; /* its memory is that of a rank */
    csim_set **set;           /* [count] */
    int count;
    bool files;                     /* the sets are files, not shapes */
    int64_t file_count, file_bytes; /* of the sets; bytes of the sites' arrays */
    int64_t least_width, most_width;
    csim__calibration calibration;
    char *calibration_path;
    csim__target target;
    int ranks, threads;
    int64_t rank_memory; /* limit of a rank wherever it runs; 0 = none */
    int64_t node_room;   /* what all ranks of a node may take together; 0 = not known */
    const char *limit;   /* where the limit comes from */
    bool fits;
    csim__forecast forecast; /* without a limit where it does not fit */
    int64_t least;           /* bytes of a rank with as few layers at a time as can be, then */
    csim__shape shape[CSIM__SHAPES];
    int shapes;
} csim__outlook;

/** Ranks on the node with most, and the limit of each, for a number of ranks and nodes. Pure. */
int csim__per_node(int ranks, int nodes);
int64_t csim__outlook_limit(const csim__outlook *outlook, int ranks, int nodes);

/** Seconds that it will hardly be less or more than. Pure. */
void csim__outlook_range(const csim__outlook *outlook, const csim__forecast *forecast, double *low,
                         double *high);

/** Open the sets that the options name by their headers, or make them from shapes. Collective.
 *  @param[in,out] outlook  its sets are to be freed by csim__outlook_clear(), also on error
 *  @return CSIM_OK, CSIM_E_USAGE, what csim_set_open() gives; the same on every rank */
csim_status csim__outlook_sets(csim__app *app, csim__outlook *outlook);
void csim__outlook_clear(csim_context *ctx, csim__outlook *outlook);

/** Foretell the sweep, and other numbers of ranks that would be better, or would do where this one
 *  does not. Local.
 *  @return CSIM_OK (also where it does not fit: outlook->fits), CSIM_E_MEM, as csim_sweep_plan() */
csim_status csim__outlook_make(csim_context *ctx, csim__outlook *outlook);

/** Fail with CSIM_E_MEM and a message that says what would fit. Local. */
csim_status csim__outlook_fail(csim_context *ctx, const csim__outlook *outlook);

/** Print it to stdout. Local, for rank 0. CSIM_OK, CSIM_E_MEM. */
void csim__outlook_print(const csim__outlook *outlook);
csim_status csim__outlook_print_json(csim_context *ctx, const csim__outlook *outlook);

/** Write the job script, whole or not at all. Local, for rank 0.
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__outlook_script(const csim__app *app, const csim__outlook *outlook);

/** Texts of sizes and times for people: "1.5 GiB", "12 min". */
typedef struct csim__text {
    char s[32];
} csim__text;
csim__text csim__bytes_text(double bytes);

/** The same with as many digits as tell it from @p other. */
csim__text csim__bytes_apart(double bytes, double other);

/** The same rounded up: as a limit it is enough. */
csim__text csim__bytes_enough(double bytes);
csim__text csim__seconds_text(double seconds);

#endif
