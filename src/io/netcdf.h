/* netCDF: one mapping of its error codes, shared by the files that call it (netcdf*.c). */
#ifndef CSIM_NETCDF_H
#define CSIM_NETCDF_H

#include <netcdf.h>

#include "io/format.h"

/** Map a code of netCDF to a status with a message "path: cannot what: why".
 *  @param[in] otherwise  status of errors that say neither memory nor system: CSIM_E_FORMAT when
 *                        reading, CSIM_E_IO when writing */
csim_status csim__nc(csim_context *ctx, int code, csim_status otherwise, const char *path,
                     const char *what);

/** Open a file for reading; *nc is -1 on failure. CSIM_OK, CSIM_E_FORMAT, CSIM_E_IO, CSIM_E_MEM. */
csim_status csim__nc_open(csim_context *ctx, const char *path, int *nc);

/** A type for people: "float", "int32", … Never NULL. */
const char *csim__nc_type_name(nc_type type);

/** Is it one of the types of whole numbers, of which ids and labels are made? */
int csim__nc_is_whole(nc_type type);

/** Add the sites of a file to the catalogue (netcdf_scan.c); see csim__reader. */
csim_status csim__nc_scan(csim_context *ctx, const char *path, csim__catalog *catalog);

/** Is there an attribute of that name, of a text or number type? Untrusted input: *count is checked
 *  against @p most, other types and longer ones are CSIM_E_FORMAT. NC_NAT in *type: there is none.
 *  @param[in] label  what messages call the variable, "the file" for NC_GLOBAL */
csim_status csim__nc_attribute(csim_context *ctx, const char *path, int group, int variable,
                               const char *label, const char *name, int64_t most, nc_type *type,
                               int64_t *count);

/** Read a text attribute (NC_CHAR, or a single NC_STRING) of at most @p most bytes, new; *text is
 *  NULL when there is none. Other types are CSIM_E_FORMAT. */
csim_status csim__nc_text(csim_context *ctx, const char *path, int group, int variable,
                          const char *label, const char *name, int64_t most, char **text);

/** Read one integer; *has = 0 when there is none. Other types or counts are CSIM_E_FORMAT. */
csim_status csim__nc_int(csim_context *ctx, const char *path, int group, int variable,
                         const char *label, const char *name, int64_t *value, int *has);

/** Start a netCDF-4 file in memory (netcdf_image.c). Local.
 *  @param[in]  path  a temporary name; an empty file is put there and removed
 *  @param[out] nc    to be filled and given to csim__nc_image_finish(); −1 on error
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__nc_image_start(csim_context *ctx, const char *path, int *nc);

/** Close it, also on failure, and get its bytes; free them with csim__nc_image_free(). Local. */
csim_status csim__nc_image_finish(csim_context *ctx, const char *path, int nc, void **image,
                                  int64_t *bytes);
void csim__nc_image_free(void **image);

#endif
