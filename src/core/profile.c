/* Phase profile: where the time went, reduced over ranks on demand. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <time.h>

#include "core/context_private.h"

double csim__now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int find(csim_context *ctx, const char *name)
{
    for (int i = 0; i < ctx->phases; i++) {
        if (strcmp(ctx->phase[i].name, name) == 0) { return i; }
    }
    if (ctx->phases == CSIM__PHASES) { return CSIM__PHASES - 1; }
    strncpy(ctx->phase[ctx->phases].name, name, CSIM__PHASE_NAME - 1);
    return ctx->phases++;
}

void csim__phase_begin(csim_context *ctx, const char *name)
{
    while (ctx->parent != NULL) { ctx = ctx->parent; }
    if (ctx->depth < CSIM__PHASE_DEPTH) {
        ctx->open[ctx->depth] = find(ctx, name);
        ctx->opened[ctx->depth] = csim__now();
    }
    ctx->depth++;
}

void csim__phase_end(csim_context *ctx, double flops, double bytes)
{
    while (ctx->parent != NULL) { ctx = ctx->parent; }
    ctx->depth--;
    if (ctx->depth < 0 || ctx->depth >= CSIM__PHASE_DEPTH) { return; }
    csim__phase *p = &ctx->phase[ctx->open[ctx->depth]];
    p->calls++;
    p->seconds += csim__now() - ctx->opened[ctx->depth];
    p->flops += flops;
    p->bytes += bytes;
}

/* The first phase of this rank that is not among the names; -1 if all are. */
static int unnamed(const csim_context *ctx, char (*name)[CSIM__PHASE_NAME], int count)
{
    for (int i = 0; i < ctx->phases; i++) {
        int at = 0;
        while (at < count && strcmp(name[at], ctx->phase[i].name) != 0) { at++; }
        if (at == count) { return i; }
    }
    return -1;
}

/* Ranks may have met phases in another order or not at all: rank 0's list comes first, then what it
 * lacks, a phase at a time from the lowest rank that has one. */
static csim_status names(csim_context *ctx, char (*name)[CSIM__PHASE_NAME], int *count)
{
    if (ctx->rank == 0) {
        *count = ctx->phases;
        for (int i = 0; i < ctx->phases; i++) {
            memcpy(name[i], ctx->phase[i].name, CSIM__PHASE_NAME);
        }
    }
    int code = MPI_Bcast(count, 1, MPI_INT, 0, ctx->comm);
    if (code == MPI_SUCCESS) {
        code = MPI_Bcast(name, *count * CSIM__PHASE_NAME, MPI_CHAR, 0, ctx->comm);
    }
    while (code == MPI_SUCCESS && *count < CSIM__PHASES) {
        int more = unnamed(ctx, name, *count), mine = more < 0 ? ctx->size : ctx->rank, from = 0;
        code = MPI_Allreduce(&mine, &from, 1, MPI_INT, MPI_MIN, ctx->comm);
        if (code != MPI_SUCCESS || from == ctx->size) { break; }
        if (from == ctx->rank) { memcpy(name[*count], ctx->phase[more].name, CSIM__PHASE_NAME); }
        code = MPI_Bcast(name[*count], CSIM__PHASE_NAME, MPI_CHAR, from, ctx->comm);
        (*count)++;
    }
    return csim__mpi(ctx, code, "profile");
}

csim_status csim_context_profile(csim_context *ctx, const csim_phase_report **list, int *count)
{
    char name[CSIM__PHASES][CSIM__PHASE_NAME] = {{0}};
    int n = 0;
    *list = NULL;
    *count = 0;
    csim__free(ctx, &ctx->report);
    csim_status st = csim__alloc(ctx, CSIM__PHASES, sizeof *ctx->report, "profile", &ctx->report);
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = names(ctx, name, &n); }
    double whole = csim__now() - ctx->born, longest = 0;
    if (st == CSIM_OK) {
        st = csim__mpi(ctx, MPI_Allreduce(&whole, &longest, 1, MPI_DOUBLE, MPI_MAX, ctx->comm),
                       "profile");
    }
    for (int i = 0; st == CSIM_OK && i < n; i++) {
        const csim__phase *p = &ctx->phase[find(ctx, name[i])];
        struct {
            double value;
            int rank;
        } mine = {p->seconds, ctx->rank}, most = {0, 0};
        double least = 0, sums[3] = {p->seconds, p->flops, p->bytes}, total[3] = {0};
        int64_t calls = 0;
        int code = MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, ctx->comm);
        code |= MPI_Allreduce(&p->seconds, &least, 1, MPI_DOUBLE, MPI_MIN, ctx->comm);
        code |= MPI_Allreduce(sums, total, 3, MPI_DOUBLE, MPI_SUM, ctx->comm);
        code |= MPI_Allreduce(&p->calls, &calls, 1, MPI_INT64_T, MPI_MAX, ctx->comm);
        st = csim__mpi(ctx, code, "profile");
        ctx->report[i] = (csim_phase_report){
            .name = p->name,
            .calls = calls,
            .max_s = most.value,
            .mean_s = total[0] / ctx->size,
            .ratio = least > 0 ? most.value / least : 1,
            .max_rank = most.rank,
            .flops = total[1],
            .bytes = total[2],
            .percent = longest > 0 ? 100 * most.value / longest : 0,
        };
    }
    if (st != CSIM_OK) { return st; }
    *list = ctx->report;
    *count = n;
    return CSIM_OK;
}
