/* What may be written: no output takes away an input or another output. */
#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>

#include "app/app.h"
#include "io/file.h"

/* An output against all that is read: run file, other file, files of the sets. */
static csim_status check_inputs(const csim__app *app, const char *kind, const char *path,
                                const csim__outputs *o)
{
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    if (app->common.config != NULL) {
        CSIM_TRY(csim__file_check_apart(ctx, kind, path, "run file", app->common.config, NULL));
    }
    if (o->input != NULL) {
        CSIM_TRY(csim__file_check_apart(ctx, kind, path, "input", o->input, NULL));
    }
    for (int i = 0; o->encoders != NULL && i < o->encoders->count; i++) {
        CSIM_TRY(csim__file_check_apart(ctx, kind, path, "encoder", o->encoders->text[i], NULL));
    }
    CSIM_TRY(csim__file_check_sets(ctx, kind, path, o->sets, o->count));
done:
    return st;
}

/* The profile replaces an older one, and may go to a device or a pipe. */
static csim_status check_profile(csim_context *ctx, const char *path)
{
    struct stat s;
    if (stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode)) { return CSIM_OK; }
    return csim__file_check_output(ctx, path, 1);
}

/* A file beside the output is an output, too. */
static csim_status check_beside(const csim__app *app, const csim__outputs *o, const char *ending)
{
    char *path = NULL, *file = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__file_target(app->ctx, o->output, &file));
    CSIM_TRY(csim__format(app->ctx, &path, "%s%s", file, ending));
    CSIM_TRY(check_inputs(app, "file beside the output", path, o));
    if (app->common.profile_json != NULL) {
        st = csim__file_check_apart(app->ctx, "--profile-json", app->common.profile_json,
                                    "file beside the output", path, NULL);
    }
done:
    csim__free(app->ctx, &path);
    csim__free(app->ctx, &file);
    return st;
}

static csim_status check(const csim__app *app, const csim__outputs *o)
{
    csim_context *ctx = app->ctx;
    const char *profile = app->common.profile_json;
    csim_status st = CSIM_OK;
    if (o->output != NULL) {
        CSIM_TRY(check_inputs(app, "output", o->output, o));
        CSIM_TRY(csim__file_check_output(ctx, o->output, o->overwrite));
        for (int i = 0; o->beside != NULL && o->beside[i] != NULL; i++) {
            CSIM_TRY(check_beside(app, o, o->beside[i]));
        }
    }
    if (profile != NULL) {
        CSIM_TRY(check_inputs(app, "--profile-json", profile, o));
        CSIM_TRY(check_profile(ctx, profile));
    }
    if (profile != NULL && o->output != NULL) {
        CSIM_TRY(csim__file_check_apart(ctx, "--profile-json", profile, "output", o->output, NULL));
    }
done:
    return st;
}

csim_status csim__check_outputs(const csim__app *app, const csim__outputs *outputs)
{
    return csim_context_rank(app->ctx) == 0 ? check(app, outputs) : CSIM_OK;
}

csim_status csim__claim_output(const csim__app *app, const csim__outputs *outputs, csim__lock *lock)
{
    csim_status st = CSIM_OK;
    if (outputs->output != NULL) { st = csim__lock_take(app->ctx, outputs->output, lock); }
    if (st != CSIM_OK) { return st; }
    return csim__vote(app->ctx, csim__check_outputs(app, outputs));
}
