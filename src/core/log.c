/* Log: two axes, the level and who speaks (rank 0 or every rank). */
#include <stdio.h>

#include "core/context_private.h"

void csim_context_set_log(csim_context *ctx, csim_log_level level, csim_log_fn fn, void *user)
{
    ctx->log_level = level;
    ctx->log_fn = fn;
    ctx->log_user = user;
}

CSIM_PRINTF(6, 0)
static void speak(csim_context *ctx, csim_log_level level, const char *event,
                  const csim_log_value *values, int count, const char *format, va_list args)
{
    if (ctx->log_fn == NULL || level > ctx->log_level) { return; }
    char text[CSIM__MESSAGE];
    vsnprintf(text, sizeof text, format, args);
    ctx->log_fn(ctx->log_user, level, event, text, values, count);
}

void csim__log(csim_context *ctx, csim_log_level level, const char *format, ...)
{
    if (ctx->rank != 0) { return; }
    va_list args;
    va_start(args, format);
    speak(ctx, level, "message", NULL, 0, format, args);
    va_end(args);
}

void csim__log_all(csim_context *ctx, csim_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    speak(ctx, level, "message", NULL, 0, format, args);
    va_end(args);
}

void csim__log_values(csim_context *ctx, csim_log_level level, const char *event,
                      const csim_log_value *values, int count, const char *format, ...)
{
    if (ctx->rank != 0) { return; }
    va_list args;
    va_start(args, format);
    speak(ctx, level, event, values, count, format, args);
    va_end(args);
}
