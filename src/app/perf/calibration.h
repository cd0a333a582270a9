/* The speeds of a machine: measured by `contrasim perf --calibrate`, kept in a small JSON file, read
 * by `contrasim plan`. */
#ifndef CSIM_APP_CALIBRATION_H
#define CSIM_APP_CALIBRATION_H

#include "app/app.h"
#include "sweep/plan/cost.h"

typedef struct csim__calibration {
    csim__machine machine;
    bool measured;           /* false: typical constants */
    int ranks, nodes;        /* that measured at the same time */
    bool messages, network;  /* were messages inside a node and between nodes measured? */
    bool grids;              /* and grids of ranks? */
    char host[64], date[24]; /* of rank 0; UTC as in ISO 8601 */
    char blas[128];
} csim__calibration;

/** The file to use: @p given, else $XDG_CONFIG_HOME/contrasim/machine.json, else the same in
 *  ~/.config. Local.
 *  @param[out] path  new; csim__free()
 *  @return CSIM_OK, CSIM_E_USAGE (neither a name nor a home), CSIM_E_MEM */
csim_status csim__calibration_path(csim_context *ctx, const char *given, char **path);

/** Read a file on rank 0 for all. Collective.
 *  @param[in] required  a file that is not there is an error; else typical constants are taken
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__calibration_read(csim_context *ctx, const char *path, bool required,
                                   csim__calibration *calibration);

/** Write a file, whole or not at all, replacing an older one; makes the folder. Local.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__calibration_write(csim_context *ctx, const char *path,
                                    const csim__calibration *calibration);

/** Print it as a table or as the JSON that the file holds. Local. CSIM_OK, CSIM_E_MEM. */
csim_status csim__calibration_print(csim_context *ctx, const csim__calibration *calibration,
                                    bool json);

/** Measure, write the file, print. Collective.
 *  @param[in] path  as csim__calibration_path() takes it
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__calibrate(csim__app *app, const char *path, bool json);

#endif
