/* A netCDF-4 file that all ranks write together, and that is whole or not there: temporary name,
 * flush, rename. */
#ifndef CSIM_NETCDF_PARALLEL_H
#define CSIM_NETCDF_PARALLEL_H

#include "io/netcdf.h"

/** The file under way. */
typedef struct csim__nc_parallel {
    csim_context *ctx;
    const char *path; /* the name it will have; borrowed */
    int overwrite;
    char *temporary;
    int nc; /* −1: not open */
} csim__nc_parallel;

/** Check the output, see that the disk has room for @p bytes, and make the file. Collective.
 *  @param[out] f  csim__nc_parallel_drop(), also on error
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM; the same on every rank */
csim_status csim__nc_parallel_make(csim_context *ctx, const char *path, int overwrite,
                                   int64_t bytes, csim__nc_parallel *f);

/** Close it, let rank 0 look at it by @p verify, flush it and give it its name. Collective.
 *  @param[in] verify  local; gets the temporary name
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, what verify returned; the same on every rank */
csim_status csim__nc_parallel_finish(csim__nc_parallel *f,
                                     csim_status (*verify)(void *user, const char *temporary),
                                     void *user);

/** Close and remove what is not finished. Local. */
void csim__nc_parallel_drop(csim__nc_parallel *f);

/** Write a text attribute; NULL: none. Called with the same arguments on every rank. */
csim_status csim__nc_parallel_text(const csim__nc_parallel *f, int id, const char *name,
                                   const char *text);

#endif
