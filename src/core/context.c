/* Context, messages and the vote. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/context_private.h"

csim_status csim_context_create(MPI_Comm comm, csim_context **out)
{
    *out = NULL;
    csim_context *ctx = calloc(1, sizeof *ctx);
    /* Agree before the communicator is duplicated: nobody enters that call alone. */
    int mine = ctx ? CSIM_OK : CSIM_E_MEM, worst = CSIM_OK;
    if (MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MAX, comm) != MPI_SUCCESS) {
        worst = CSIM_E_MPI;
    }
    if (worst != CSIM_OK) {
        free(ctx);
        return (csim_status)worst;
    }
    if (MPI_Comm_dup(comm, &ctx->comm) != MPI_SUCCESS) {
        free(ctx);
        return CSIM_E_MPI;
    }
    MPI_Comm_set_errhandler(ctx->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(ctx->comm, &ctx->rank);
    MPI_Comm_size(ctx->comm, &ctx->size);
    ctx->born = csim__now();
    *out = ctx;
    return CSIM_OK;
}

void csim_context_free(csim_context **inout)
{
    if (inout == NULL || *inout == NULL) { return; }
    csim_context *ctx = *inout;
    csim__free(ctx, &ctx->report);
    MPI_Comm_free(&ctx->comm);
    free(ctx);
    *inout = NULL;
}

MPI_Comm csim_context_comm(const csim_context *ctx)
{
    return ctx->comm;
}

int csim_context_rank(const csim_context *ctx)
{
    return ctx->rank;
}

int csim_context_size(const csim_context *ctx)
{
    return ctx->size;
}

const char *csim_context_error(const csim_context *ctx)
{
    return ctx->error;
}

void csim_context_set_faults(csim_context *ctx, uint32_t every, uint64_t seed)
{
    ctx->fault_every = every;
    ctx->fault_seed = seed;
    ctx->votes = 0;
}

csim_status csim__fail(csim_context *ctx, csim_status status, const char *format, ...)
{
    if (ctx->error_kept) { return status; }
    va_list args;
    va_start(args, format);
    vsnprintf(ctx->error, sizeof ctx->error, format, args);
    va_end(args);
    ctx->error_kept = 1;
    return status;
}

void csim__forgive(csim_context *ctx)
{
    ctx->error_kept = 0;
    ctx->agreed = CSIM_OK;
    ctx->error[0] = '\0';
}

csim_status csim__mpi(csim_context *ctx, int code, const char *what)
{
    if (code == MPI_SUCCESS) { return CSIM_OK; }
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) { text[0] = '\0'; }
    return csim__fail(ctx, CSIM_E_MPI, "rank %d: %s: %s", ctx->rank, what, text);
}

csim_status csim__int(csim_context *ctx, int64_t value, const char *what, int *out)
{
    if (value < 0 || value > INT32_MAX) {
        return csim__fail(ctx, CSIM_E_LIMIT, "%s: found %lld, expected 0 to %d", what,
                          (long long)value, INT32_MAX);
    }
    *out = (int)value;
    return CSIM_OK;
}

/* A well-mixed 64-bit number from two (the finaliser of SplitMix64). */
static uint64_t mix(uint64_t seed, uint64_t count)
{
    uint64_t z = seed + (count + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Does the fault generator strike this rank at this vote? Same draws on every rank. */
static csim_status injected(csim_context *ctx, csim_status mine)
{
    if (ctx->fault_every == 0) { return mine; }
    uint64_t draw = mix(ctx->fault_seed, ctx->votes++);
    if (draw % ctx->fault_every != 0) { return mine; }
    if ((int)((draw >> 32) % (uint64_t)ctx->size) != ctx->rank) { return mine; }
    return csim__fail(ctx, CSIM_E_FAULT, "injected fault at vote %llu on rank %d",
                      (unsigned long long)ctx->votes, ctx->rank);
}

csim_status csim__vote(csim_context *ctx, csim_status mine)
{
    mine = injected(ctx, mine);
    /* The worst status and, among the ranks that have it, the lowest one, in a single number. */
    int64_t ballot = (int64_t)mine * ((int64_t)1 << 32) + (INT32_MAX - ctx->rank), worst = 0;
    if (MPI_Allreduce(&ballot, &worst, 1, MPI_INT64_T, MPI_MAX, ctx->comm) != MPI_SUCCESS) {
        return csim__fail(ctx, CSIM_E_MPI, "rank %d: vote failed", ctx->rank);
    }
    csim_status agreed = (csim_status)(worst >> 32), before = ctx->agreed;
    ctx->agreed = agreed;
    if (agreed == CSIM_OK) {
        ctx->error_kept = 0; /* of something that was overcome: the next failure may speak */
        return CSIM_OK;
    }
    int speaker = INT32_MAX - (int)(worst & 0xFFFFFFFF);
    /* a failure that was agreed on before and is voted on again keeps its message */
    if (ctx->rank == speaker && !ctx->error_kept && before != agreed) {
        snprintf(ctx->error, sizeof ctx->error, "%s", csim_status_text(agreed));
    }
    if (MPI_Bcast(ctx->error, CSIM__MESSAGE, MPI_CHAR, speaker, ctx->comm) != MPI_SUCCESS) {
        snprintf(ctx->error, sizeof ctx->error, "%s", csim_status_text(agreed));
    }
    ctx->error_kept = 0; /* agreed: the next failure may speak */
    return agreed;
}

csim_status csim__context_split(csim_context *ctx, int colour, csim_context **out)
{
    csim_context *part = colour < 0 ? NULL : calloc(1, sizeof *part);
    MPI_Comm comm = MPI_COMM_NULL;
    csim_status st = CSIM_OK;
    *out = NULL;
    if (colour >= 0 && part == NULL) {
        st = csim__fail(ctx, CSIM_E_MEM, "out of memory on rank %d: a context", ctx->rank);
    }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        int code = MPI_Comm_split(ctx->comm, colour < 0 ? MPI_UNDEFINED : colour, ctx->rank, &comm);
        st = csim__vote(ctx, csim__mpi(ctx, code, "split of the ranks"));
    }
    if (st != CSIM_OK || part == NULL) {
        if (comm != MPI_COMM_NULL) { MPI_Comm_free(&comm); }
        free(part);
        return st;
    }
    part->parent = ctx;
    part->comm = comm;
    part->born = ctx->born;
    part->fault_every = ctx->fault_every;
    part->fault_seed = mix(ctx->fault_seed, (uint64_t)colour);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm, &part->rank);
    MPI_Comm_size(comm, &part->size);
    *out = part;
    return CSIM_OK;
}

csim_status csim__agree(csim_context *ctx, uint64_t value, const char *what)
{
#if defined(NDEBUG)
    (void)ctx;
    (void)value;
    (void)what;
    return CSIM_OK;
#else
    uint64_t mine[2] = {value, ~value}, most[2];
    int code = MPI_Allreduce(mine, most, 2, MPI_UINT64_T, MPI_MAX, ctx->comm);
    if (code != MPI_SUCCESS) { return csim__mpi(ctx, code, what); }
    if (most[0] == ~most[1]) { return CSIM_OK; }
    return csim__vote(ctx, csim__fail(ctx, CSIM_E_MISMATCH, "%s differ between ranks", what));
#endif
}
