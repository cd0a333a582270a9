#define _POSIX_C_SOURCE 200809L
#include "io/stamp.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static void time_text(time_t t, char text[32])
{
    struct tm utc;
    if (gmtime_r(&t, &utc) == NULL) { memset(&utc, 0, sizeof utc); }
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

csim_status csim__stamp_take(csim_context *ctx, const char *command, const char *older,
                             int64_t start, csim__stamp *stamp)
{
    int append = older != NULL && older[0] != '\0';
    *stamp = (csim__stamp){.history = NULL};
    time_text(time(NULL), stamp->end);
    time_text((time_t)start, stamp->start);
    if (gethostname(stamp->host, sizeof stamp->host - 1) != 0) { stamp->host[0] = '\0'; }
    return csim__format(ctx, &stamp->history, "%s: %s%s%s", stamp->end, command, append ? "\n" : "",
                        append ? older : "");
}
