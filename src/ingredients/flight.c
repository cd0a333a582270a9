#include "ingredients/flight.h"

enum { PIECE = 1 << 26 }; /* integers in one reduction */

csim_status csim__flight_make(csim_context *ctx, int64_t scratch, int64_t most, int64_t parts,
                              csim__flight *f)
{
    csim_status st = CSIM_OK;
    *f = (csim__flight){.ctx = ctx};
    CSIM_TRY(csim__alloc(ctx, scratch, sizeof *f->scratch, "a block of integers", &f->scratch));
    CSIM_TRY(csim__alloc(ctx, most / PIECE + parts, sizeof *f->request, "requests", &f->request));
done:
    return st;
}

void csim__flight_clear(csim__flight *f)
{
    if (f->ctx == NULL) { return; }
    csim__free(f->ctx, &f->request);
    csim__free(f->ctx, &f->scratch);
}

csim_status csim__flight_take_off(csim__flight *f, int64_t *acc, int64_t count, int root)
{
    csim_status st = CSIM_OK;
    bool mine = csim_context_rank(f->ctx) == root;
    for (int64_t at = 0; st == CSIM_OK && at < count; at += PIECE) {
        int piece = (int)csim__min64(PIECE, count - at);
        st = csim__mpi(f->ctx,
                       MPI_Ireduce(mine ? MPI_IN_PLACE : acc + at, mine ? acc + at : NULL, piece,
                                   MPI_INT64_T, MPI_SUM, root, csim_context_comm(f->ctx),
                                   &f->request[f->started]),
                       "sum of a block");
        f->started += st == CSIM_OK;
    }
    return st;
}

void csim__flight_poll(csim__flight *f)
{
    int done;
    if (f->started > 0) { MPI_Testall(f->started, f->request, &done, MPI_STATUSES_IGNORE); }
}

csim_status csim__flight_land(csim__flight *f)
{
    int started = f->started;
    f->started = 0;
    return csim__mpi(f->ctx, MPI_Waitall(started, f->request, MPI_STATUSES_IGNORE),
                     "sum of a block");
}
