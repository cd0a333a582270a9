/* Results as netCDF: what writer (netcdf_results.c) and reader (netcdf_results_read.c) share. */
#ifndef CSIM_NETCDF_RESULTS_H
#define CSIM_NETCDF_RESULTS_H

#include "io/netcdf.h"
#include "io/results_private.h"

/* A results file being written or read. */
typedef struct csim__results_file {
    csim_context *ctx;
    const char *path;
    csim_status otherwise; /* status of its failures, see csim__nc() */
    int nc;
    int site[2]; /* dimensions site_a, site_b */
} csim__results_file;

#define CSIM_NC_TRY(f, call, what)                                                                 \
    CSIM_TRY(csim__nc((f)->ctx, (call), (f)->otherwise, (f)->path, what))

/** Is it an attribute that the writer makes itself, and so none of the object's? Local. */
int csim__results_own_attribute(const char *name);

#endif
