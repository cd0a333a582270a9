#define _POSIX_C_SOURCE 200809L
#include "io/netcdf_parallel.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io/file.h"

#include <netcdf_par.h> /* needs netcdf.h before it */

/* HDF5 does not survive a full disk well: find out before it does. */
static csim_status reserve(csim__nc_parallel *f, int64_t bytes)
{
    struct statvfs s;
    csim_status st = csim__file_write(f->ctx, f->temporary, "", 0);
    if (st != CSIM_OK) { return st; }
    if (statvfs(f->temporary, &s) == 0 && s.f_blocks > 0 &&
        (double)s.f_bavail * (double)s.f_frsize < (double)bytes) {
        st = csim__fail(f->ctx, CSIM_E_IO,
                        "%s: the disk has room for %.0f bytes, the file needs "
                        "%lld",
                        f->path, (double)s.f_bavail * (double)s.f_frsize, (long long)bytes);
    } else if (truncate(f->temporary, (off_t)bytes) != 0) {
        st = csim__fail(f->ctx, CSIM_E_IO, "%s: a file of %lld bytes is not allowed here", f->path,
                        (long long)bytes);
    }
    return st;
}

/* Rank 0 decides on the temporary name, the others learn it. */
static csim_status agree_temporary(csim__nc_parallel *f, int64_t bytes)
{
    csim_context *ctx = f->ctx;
    int length = 0, root = csim_context_rank(ctx) == 0;
    csim_status st = CSIM_OK;
    if (root) {
        st = csim__file_check_output(ctx, f->path, f->overwrite);
        if (st == CSIM_OK) { st = csim__file_temporary(ctx, f->path, &f->temporary); }
        if (st == CSIM_OK) {
            length = (int)strlen(f->temporary) + 1;
            st = reserve(f, bytes);
        }
    }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(
        csim__mpi(ctx, MPI_Bcast(&length, 1, MPI_INT, 0, csim_context_comm(ctx)), "MPI_Bcast"));
    if (!root) { st = csim__alloc(ctx, length, 1, "a file name", &f->temporary); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__mpi(ctx, MPI_Bcast(f->temporary, length, MPI_CHAR, 0, csim_context_comm(ctx)),
                       "MPI_Bcast"));
done:
    return st;
}

csim_status csim__nc_parallel_make(csim_context *ctx, const char *path, int overwrite,
                                   int64_t bytes, csim__nc_parallel *f)
{
    *f = (csim__nc_parallel){.ctx = ctx, .path = path, .overwrite = overwrite, .nc = -1};
    csim_status st = agree_temporary(f, bytes);
    if (st != CSIM_OK) { return st; }
    int code = nc_create_par(f->temporary, NC_NETCDF4 | NC_CLOBBER, csim_context_comm(ctx),
                             MPI_INFO_NULL, &f->nc);
    if (code != NC_NOERR) { f->nc = -1; }
    return csim__vote(ctx, csim__nc(ctx, code, CSIM_E_IO, path, "make the file"));
}

csim_status csim__nc_parallel_finish(csim__nc_parallel *f,
                                     csim_status (*verify)(void *user, const char *temporary),
                                     void *user)
{
    csim_context *ctx = f->ctx;
    int nc = f->nc;
    csim_status st = CSIM_OK;
    f->nc = -1;
    st = csim__nc(ctx, nc_close(nc), CSIM_E_IO, f->path, "finish the file");
    CSIM_TRY(csim__vote(ctx, st));
    if (csim_context_rank(ctx) == 0) {
        st = verify(user, f->temporary);
        if (st == CSIM_OK) { st = csim__file_sync(ctx, f->temporary); }
    }
    CSIM_TRY(csim__vote(ctx, st));
    if (csim_context_rank(ctx) == 0) {
        st = csim__file_publish(ctx, f->temporary, f->path, f->overwrite);
        csim__free(ctx, &f->temporary);
    }
    st = csim__vote(ctx, st);
done:
    return st;
}

void csim__nc_parallel_drop(csim__nc_parallel *f)
{
    if (f->ctx == NULL) { return; }
    if (f->nc >= 0) { nc_close(f->nc); }
    f->nc = -1;
    if (f->temporary != NULL && csim_context_rank(f->ctx) == 0) { unlink(f->temporary); }
    csim__free(f->ctx, &f->temporary);
}

csim_status csim__nc_parallel_text(const csim__nc_parallel *f, int id, const char *name,
                                   const char *text)
{
    if (text == NULL) { return CSIM_OK; }
    return csim__nc(f->ctx, nc_put_att_text(f->nc, id, name, strlen(text), text), CSIM_E_IO,
                    f->path, "write an attribute");
}
