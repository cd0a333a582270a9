/* The file of `contrasim knn`: lists of neighbours, written by all ranks. */
#ifndef CSIM_KNN_FILE_H
#define CSIM_KNN_FILE_H

#include "contrasim/reps.h"
#include "core/core.h"

/** A layer whose lists the file holds. */
typedef struct csim__knn_site {
    const char *model, *layer;
    int64_t neurons;
} csim__knn_site;

/** What the file says. All borrowed. */
typedef struct csim__knn_about {
    int64_t examples, k;
    const char *metric, *distance; /* its name, and what the distance is */
    const csim__knn_site *site;    /* [sites] */
    int sites;
} csim__knn_about;

typedef struct csim__knn_file csim__knn_file;

/** Make the file. Collective.
 *  @param[out] file  new; csim__knn_file_close(); NULL on error
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM; the same on every rank */
csim_status csim__knn_file_make(csim_context *ctx, const char *path, int overwrite,
                                const csim__knn_about *about, csim__knn_file **file);

/** Write the lists of some examples. Local; a vote must follow.
 *  @param[in] index, distance  [rows, k] */
csim_status csim__knn_file_put(csim__knn_file *file, int site, int64_t row, int64_t rows,
                               const int32_t *index, const double *distance);

/** Add an attribute of the file, the same on every rank. Local. */
csim_status csim__knn_file_text(csim__knn_file *file, const char *name, const char *text);
csim_status csim__knn_file_whole(csim__knn_file *file, const char *name, int64_t value);

/** Finish the file and give it its name. Collective. CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO. */
csim_status csim__knn_file_finish(csim__knn_file *file);

/** Free it; what is not finished is removed. Accepts NULL in *file. Local. */
void csim__knn_file_close(csim_context *ctx, csim__knn_file **file);

#endif
