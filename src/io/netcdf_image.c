/* netCDF files made in memory, so that a full disk meets one plain write() and never a half-open
 * HDF5 file. */
#include <stdio.h>
#include <stdlib.h>

#include "io/file.h"
#include "io/netcdf.h"

#include <netcdf_mem.h> /* needs netcdf.h before it */

enum { EMPTY_MOST = 4096 }; /* bytes of a netCDF file without contents */

/* An image made by nc_create_mem() would not keep the order of its variables, nor could it be
 * changed later by other tools; one that starts as a file does. */
csim_status csim__nc_image_start(csim_context *ctx, const char *path, int *nc)
{
    NC_memio memory = {0};
    FILE *stream = NULL;
    char *reserve = NULL;
    int file = -1;
    csim_status st = CSIM_OK;
    *nc = -1;
    /* A plain write finds out about a full disk; HDF5 can crash over one. */
    CSIM_TRY(csim__calloc(ctx, EMPTY_MOST, 1, "an empty file", &reserve));
    CSIM_TRY(csim__file_write(ctx, path, reserve, EMPTY_MOST));
    CSIM_TRY(csim__nc(ctx, nc_create(path, NC_NETCDF4 | NC_CLOBBER, &file), CSIM_E_IO, path,
                      "make the file"));
    CSIM_TRY(csim__nc(ctx, nc_close(file), CSIM_E_IO, path, "make the file"));
    memory.memory = malloc(EMPTY_MOST); /* becomes netCDF's, which reallocates it */
    stream = fopen(path, "rb");
    if (memory.memory != NULL && stream != NULL) {
        memory.size = fread(memory.memory, 1, EMPTY_MOST, stream);
    }
    if (memory.size == 0) {
        CSIM_TRY(csim__fail(ctx, CSIM_E_IO, "%s: cannot read an empty file back", path));
    }
    int code = nc_open_memio(path, NC_NETCDF4 | NC_WRITE, &memory, nc);
    if (code != NC_NOERR) { *nc = -1; }
    CSIM_TRY(csim__nc(ctx, code, CSIM_E_IO, path, "make the file in memory"));
    memory.memory = NULL;
    nc_redef(*nc);
done:
    if (stream != NULL) { fclose(stream); }
    free(memory.memory);
    csim__free(ctx, &reserve);
    remove(path);
    return st;
}

csim_status csim__nc_image_finish(csim_context *ctx, const char *path, int nc, void **image,
                                  int64_t *bytes)
{
    NC_memio memory = {0};
    csim_status st = csim__nc(ctx, nc_close_memio(nc, &memory), CSIM_E_IO, path, "finish the file");
    *image = st == CSIM_OK ? memory.memory : NULL;
    *bytes = st == CSIM_OK ? (int64_t)memory.size : 0;
    return st;
}

void csim__nc_image_free(void **image)
{
    free(*image); /* netCDF's, from malloc() */
    *image = NULL;
}
