#include "ingredients/exchange.h"

#include <mpi.h>

csim_status csim__give_all(csim_context *ctx, double *data, int64_t count, int root)
{
    enum { PIECE = 1 << 27 };
    csim_status st = CSIM_OK;
    for (int64_t at = 0; st == CSIM_OK && at < count; at += PIECE) {
        int piece = (int)csim__min64(PIECE, count - at);
        st = csim__mpi(ctx, MPI_Bcast(data + at, piece, MPI_DOUBLE, root, csim_context_comm(ctx)),
                       "broadcast of a factor");
    }
    return st;
}

csim_status csim__exchange_rows(csim_context *ctx, const csim_shard *me, int width, double *whole,
                                double *mine, int owner, bool gather)
{
    int *count = NULL, *start = NULL;
    MPI_Datatype row;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, me->size, sizeof *count, "row counts", &count));
    CSIM_TRY(csim__alloc(ctx, me->size, sizeof *start, "row starts", &start));
    for (int r = 0; st == CSIM_OK && r < me->size; r++) {
        csim_shard s = csim__shard(me->n, r, me->size);
        st = csim__int(ctx, s.rows, "rows of a rank", &count[r]);
        if (st == CSIM_OK) { st = csim__int(ctx, s.row0, "first row of a rank", &start[r]); }
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        MPI_Comm comm = csim_context_comm(ctx);
        int code = MPI_Type_contiguous(width, MPI_DOUBLE, &row);
        if (code == MPI_SUCCESS) { code = MPI_Type_commit(&row); }
        if (code == MPI_SUCCESS && gather) {
            code = MPI_Gatherv(mine, count[me->rank], row, whole, count, start, row, owner, comm);
        } else if (code == MPI_SUCCESS) {
            code = MPI_Scatterv(whole, count, start, row, mine, count[me->rank], row, owner, comm);
        }
        MPI_Type_free(&row);
        st = csim__mpi(ctx, code, "exchange of rows");
    }
    csim__free(ctx, &start);
    csim__free(ctx, &count);
    return st;
}
