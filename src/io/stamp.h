/* Where a file comes from: command, host, times. What may differ between equal runs. */
#ifndef CSIM_STAMP_H
#define CSIM_STAMP_H

#include "core/core.h"

typedef struct csim__stamp {
    char *history; /* "time: command", then the older lines; free with csim__free() */
    char host[256], start[32], end[32]; /* times in UTC as ISO 8601; the end is now */
} csim__stamp;

/** Take a stamp. Local.
 *  @param[in] older  history so far; NULL or "" = none
 *  @param[in] start  seconds since 1970, when the run began
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__stamp_take(csim_context *ctx, const char *command, const char *older,
                             int64_t start, csim__stamp *stamp);

#endif
