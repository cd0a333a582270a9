/* Strong and weak scaling inside one job: teams of its first ranks sweep in turn. */
#define _POSIX_C_SOURCE 200809L
#include "app/perf/perf_scaling.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "app/machine.h"

enum { PEAKS_FIRST = 4, PEAKS_LATER = 2, WHAT_SWEEP = 0, COMPARE_NONE = 0 };

csim_status csim__perf_scaling_check(const csim__app *app, const csim__perf_options *o)
{
    const csim__config *config = app->config;
    if (!o->scaling && o->extrap != NULL) {
        return csim__config_fail(config, "", "extrap", "is of use with --scaling only");
    }
    if (o->extrap == NULL && o->overwrite) {
        return csim__config_fail(config, "", "overwrite", "is of use with --extrap only");
    }
    if (!o->scaling) { return CSIM_OK; }
    if (o->calibrate) {
        return csim__config_fail(config, "", "scaling", "and --calibrate are two measurements");
    }
    if (o->what != WHAT_SWEEP) {
        return csim__config_fail(config, "", "scaling", "measures the sweep, not training");
    }
    if (o->compare != COMPARE_NONE) {
        return csim__config_fail(config, "", "scaling",
                                 "takes one precision: use --precision, not --compare");
    }
    if (csim_context_size(app->ctx) < 2) {
        return csim__config_fail(
            config, "", "scaling",
            "needs two ranks or more, found one: start it with mpirun or srun");
    }
    return CSIM_OK;
}

/* ---- teams ---- */

/* Collective on the job; a rank of no team waits in the vote. */
static csim_status make_team(csim__app *app, csim__perf_team *team)
{
    csim_context *ctx = app->ctx;
    MPI_Comm comm = MPI_COMM_NULL;
    int rank = csim_context_rank(ctx), color = rank < team->ranks ? 0 : MPI_UNDEFINED;
    csim_status st = csim__mpi(ctx, MPI_Comm_split(csim_context_comm(ctx), color, rank, &comm),
                               "MPI_Comm_split");
    CSIM_TRY(csim__vote(ctx, st));
    if (comm != MPI_COMM_NULL) {
        st = csim_context_create(comm, &team->ctx);
        if (st != CSIM_OK) { csim__fail(ctx, st, "%s", csim_status_text(st)); }
    }
    if (team->ctx != NULL) {
        st = csim__default_memory(team->ctx, &team->memory);
        if (st == CSIM_OK) {
            st = csim__survey_nodes(team->ctx, (int)app->common.threads, &team->wanted,
                                    &team->cores);
        }
        if (st != CSIM_OK) { csim__fail(ctx, st, "%s", csim_context_error(team->ctx)); }
    }
    st = csim__vote(ctx, st);
done:
    if (comm != MPI_COMM_NULL) { MPI_Comm_free(&comm); }
    return st;
}

static void count_teams(csim__perf_scaling *s, int ranks)
{
    for (int64_t p = 1; p < ranks; p *= 2) { s->team[s->teams++].ranks = (int)p; }
    s->team[s->teams++].ranks = ranks;
}

/* Until every rank of the job is here. Those who wait leave the cores to those who work. */
static csim_status meet(csim_context *ctx)
{
    static const struct timespec pause = {0, 2000000};
    MPI_Request request = MPI_REQUEST_NULL;
    int here = 0;
    csim_status st = csim__mpi(ctx, MPI_Ibarrier(csim_context_comm(ctx), &request), "MPI_Ibarrier");
    while (st == CSIM_OK && !here) {
        st = csim__mpi(ctx, MPI_Test(&request, &here, MPI_STATUS_IGNORE), "MPI_Test");
        if (st == CSIM_OK && !here) { nanosleep(&pause, NULL); }
    }
    return st;
}

/* ---- points ---- */

static csim_status add_point(csim_context *ctx, csim__perf_scaling *s,
                             const csim_sweep_options *sweep, int team, int64_t examples, int *at)
{
    for (int i = 0; i < s->points; i++) {
        if (s->point[i].team == team && s->point[i].examples == examples) {
            *at = i;
            return CSIM_OK;
        }
    }
    csim_sweep_cost cost = {0};
    csim_status st = csim__perf_outline(ctx, s->options, sweep, examples, &cost);
    *at = s->points;
    s->point[s->points++] = (csim__perf_point){.team = team, .examples = examples, .plan = cost};
    return st;
}

/* What will be run, and room for what will be measured. Local. */
static csim_status prepare(csim_context *ctx, const csim_sweep_options *sweep,
                           csim__perf_scaling *s)
{
    const csim__perf_options *o = s->options;
    int ranks[CSIM__PERF_TEAMS];
    int64_t weak[CSIM__PERF_TEAMS];
    csim_status st = CSIM_OK;
    for (int t = 0; t < s->teams; t++) { ranks[t] = s->team[t].ranks; }
    CSIM_TRY(csim__perf_weak(ctx, o, sweep, ranks, s->teams, weak));
    for (int t = 0; t < s->teams; t++) {
        CSIM_TRY(add_point(ctx, s, sweep, t, o->examples, &s->strong[t]));
        CSIM_TRY(add_point(ctx, s, sweep, t, weak[t], &s->weak[t]));
    }
    if (csim_context_rank(ctx) != 0) { goto done; }
    for (int t = 0; t < s->teams; t++) {
        csim__perf_team *team = &s->team[t];
        CSIM_TRY(csim__calloc(ctx, o->repeat, sizeof *team->peak, "rates", &team->peak));
    }
    for (int i = 0; i < s->points; i++) {
        csim__perf_point *point = &s->point[i];
        CSIM_TRY(csim__calloc(ctx, o->repeat, sizeof *point->run, "runs", &point->run));
    }
done:
    return st;
}

/* The part of the ranks of a team: their peak, if the team is new in this round, and the sweep.
 * Collective on the team. */
static csim_status work(csim__app *app, csim__perf_scaling *s, const char *folder,
                        const csim_sweep_options *sweep, csim__perf_point *point, int64_t round,
                        bool fresh)
{
    csim__perf_team *team = &s->team[point->team];
    csim_sweep_options mine = *sweep;
    csim_sweep_cost cost;
    csim__perf_run run = {.phases = 0};
    char examples[32];
    double rate = 0;
    csim_status st = CSIM_OK;
    for (int k = 0; fresh && k < (round == 0 ? PEAKS_FIRST : PEAKS_LATER); k++) {
        st = csim__perf_peak(team->ctx, (int)s->options->gemm_size, sweep->precision, &rate);
        if (st != CSIM_OK) { return csim__fail(app->ctx, st, "%s", csim_context_error(team->ctx)); }
    }
    mine.memory = team->memory;
    snprintf(examples, sizeof examples, "0:%" PRId64, point->examples);
    st = csim__perf_sweep(app, csim_context_comm(team->ctx), folder, examples, &mine, &cost, &run);
    if (st == CSIM_OK && csim_context_rank(app->ctx) == 0) {
        point->run[round] = run;
        if (fresh) { team->peak[round] = rate; }
    }
    return st;
}

/* All points in turn, round after round, so that all meet the same states of the machine. */
static csim_status measure(csim__app *app, csim__perf_scaling *s, const char *folder,
                           const csim_sweep_options *sweep)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    for (int64_t r = 0; r < s->options->repeat; r++) {
        for (int i = 0; i < s->points; i++) {
            csim__perf_point *point = &s->point[i];
            bool fresh = i == s->strong[point->team];
            if (s->team[point->team].ctx != NULL) {
                st = work(app, s, folder, sweep, point, r, fresh);
            }
            csim_status met = meet(ctx);
            CSIM_TRY(csim__vote(ctx, st != CSIM_OK ? st : met));
        }
    }
done:
    return st;
}

/* The file first: a full disk is then no reason to lose the report. */
static csim_status report(csim_context *ctx, const csim__perf_scaling *s)
{
    const csim__perf_options *o = s->options;
    csim_status written = CSIM_OK;
    if (o->extrap != NULL) { written = csim__perf_extrap_write(ctx, s, o->extrap, o->overwrite); }
    csim_status printed = csim__perf_scaling_print(ctx, s);
    return written != CSIM_OK ? written : printed;
}

static void release(csim_context *ctx, csim__perf_scaling *s)
{
    for (int i = 0; i < s->points; i++) { csim__free(ctx, &s->point[i].run); }
    for (int t = 0; t < s->teams; t++) {
        csim__free(ctx, &s->team[t].peak);
        csim_context_free(&s->team[t].ctx);
    }
}

csim_status csim__perf_scale(csim__app *app, const csim__perf_options *options,
                             const csim_sweep_measure *measures, int measure_count)
{
    csim_context *ctx = app->ctx;
    csim__perf_scaling s = {.options = options, .threads = (int)app->common.threads};
    csim__perf_options data = *options; /* with the rows of the largest problem */
    csim__lock lock = {.path = NULL};
    char *folder = NULL;
    csim_sweep_options sweep = {.measures = measures,
                                .measure_count = measure_count,
                                .pairs = options->pairs,
                                .precision = (csim_precision)options->precision};
    csim__outputs outputs = {.output = options->extrap, .overwrite = options->overwrite};
    csim_status st = CSIM_OK;
    count_teams(&s, csim_context_size(ctx));
    CSIM_TRY(csim__vote(ctx, prepare(ctx, &sweep, &s)));
    CSIM_TRY(csim__claim_output(app, &outputs, &lock));
    for (int t = 0; t < s.teams; t++) { CSIM_TRY(make_team(app, &s.team[t])); }
    for (int i = 0; i < s.points; i++) {
        data.examples = csim__max64(data.examples, s.point[i].examples);
    }
    CSIM_TRY(csim__perf_data_write(ctx, &data, &folder));
    CSIM_TRY(measure(app, &s, folder, &sweep));
    csim__logger_clear(&app->log);
    if (csim_context_rank(ctx) == 0) { st = report(ctx, &s); }
    st = csim__vote(ctx, st);
done:
    csim__perf_data_remove(ctx, &data, &folder);
    release(ctx, &s);
    csim__lock_release(ctx, &lock);
    return st;
}
