/* One sweep of synthetic sites: its times, its memory, the work of its phases. */
#include <string.h>

#include "app/machine.h"
#include "app/perf/perf.h"

/* Linux keeps the highest resident size of a process and starts anew when told to. */
static void reset_resident(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL) { return; }
    (void)fputs("5", file); /* where it is refused, the report holds the size of the whole run */
    (void)fclose(file);
}

/* Does a phase multiply the examples with each other? */
static bool is_pass(const char *phase)
{
    static const char *const names[] = {"gram", "cross", "medians", "kernels", "neighbours"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(phase, names[i]) == 0) { return true; }
    }
    return false;
}

/* Times and memory of a sweep that a context of its own has watched. Collective. */
static csim_status collect(csim_context *ctx, double seconds, csim__perf_run *run)
{
    MPI_Comm comm = csim_context_comm(ctx);
    const csim_phase_report *list = NULL;
    int64_t bytes[2] = {csim_context_memory_peak(ctx), csim__resident_bytes(true)}, most[2] = {0};
    int count = 0;
    csim_status st =
        csim__mpi(ctx, MPI_Allreduce(bytes, most, 2, MPI_INT64_T, MPI_MAX, comm), "MPI_Allreduce");
    CSIM_TRY(csim__vote(ctx, st));
    st = csim__mpi(ctx, MPI_Allreduce(&seconds, &run->total, 1, MPI_DOUBLE, MPI_MAX, comm),
                   "MPI_Allreduce");
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim_context_profile(ctx, &list, &count));
    run->counted = most[0];
    run->resident = most[1];
    for (int i = 0; i < count && run->phases < CSIM__PERF_PHASES; i++) {
        if (strcmp(list[i].name, "sweep") == 0) { continue; } /* the whole, measured as total */
        csim__perf_phase *p = &run->phase[run->phases++];
        *p = (csim__perf_phase){
            .calls = list[i].calls, .seconds = list[i].max_s, .flops = list[i].flops};
        snprintf(p->name, sizeof p->name, "%s", list[i].name);
        if (is_pass(p->name)) {
            run->pass += p->seconds;
            run->pass_flops += p->flops;
        }
    }
done:
    return st;
}

csim_status csim__perf_sweep(csim__app *app, MPI_Comm comm, const char *folder,
                             const char *examples, const csim_sweep_options *sweep,
                             csim_sweep_cost *cost, csim__perf_run *run)
{
    csim_context *ctx = NULL;
    csim_set *set = NULL;
    csim_results *results = NULL;
    csim_input_options input = {.examples = examples, .neuron_axis = -1};
    csim_status st = csim_context_create(comm, &ctx);
    if (st != CSIM_OK) { return csim__fail(app->ctx, st, "%s", csim_status_text(st)); }
    /* Warnings of a sweep are about its values, which mean nothing here. */
    csim_context_set_log(ctx, app->common.verbose ? CSIM_LOG_DEBUG : CSIM_LOG_ERROR,
                         csim__logger_sink, &app->log);
    reset_resident();
    CSIM_TRY(csim_set_open(ctx, folder, &input, &set));
    CSIM_TRY(csim__vote(ctx, csim_sweep_plan(ctx, &set, 1, sweep, cost)));
    CSIM_TRY(csim__mpi(ctx, MPI_Barrier(csim_context_comm(ctx)), "MPI_Barrier"));
    double start = csim__now();
    CSIM_TRY(csim_sweep(ctx, &set, 1, sweep, &results));
    CSIM_TRY(collect(ctx, csim__now() - start, run));
done:
    if (st != CSIM_OK) { csim__fail(app->ctx, st, "%s", csim_context_error(ctx)); }
    csim_results_free(&results);
    csim_set_free(&set);
    csim_context_free(&ctx);
    return st;
}
