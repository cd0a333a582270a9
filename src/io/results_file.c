/* Results on disk: written once, by rank 0, whole or not at all. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"
#include "io/results_private.h"
#include "io/stamp.h"

csim_status csim_results_stamp(csim_context *ctx, csim_results *r, const char *command,
                               int64_t start)
{
    csim__stamp stamp;
    int64_t ranks = csim_context_size(ctx);
    const csim_attribute *older = csim_results_attribute_find(r, -1, "history");
    bool text = older != NULL && older->kind == CSIM_ATTRIBUTE_TEXT;
    csim_status st = csim__stamp_take(ctx, command, text ? older->text : NULL, start, &stamp);
    if (st != CSIM_OK) { return st; }
    CSIM_TRY(csim_results_set_text(r, -1, "history", stamp.history));
    CSIM_TRY(csim_results_set_ints(r, -1, "run_ranks", &ranks, 1));
    CSIM_TRY(csim_results_set_text(r, -1, "run_host", stamp.host));
    CSIM_TRY(csim_results_set_text(r, -1, "run_start", stamp.start));
    CSIM_TRY(csim_results_set_text(r, -1, "run_end", stamp.end));
done:
    csim__free(ctx, &stamp.history);
    return st;
}

/* Read the finished file back: what a later reader gets must be what was computed. */
static csim_status verify(csim_context *ctx, const csim_results *r, const char *path)
{
    csim_results *back = NULL;
    char want[48], found[48];
    csim_status st = csim__results_load(ctx, path, &back);
    if (st == CSIM_OK) {
        csim_results_checksum(r, want);
        csim_results_checksum(back, found);
        if (strcmp(want, found) != 0) {
            st = csim__fail(ctx, CSIM_E_IO, "%s: read back, the values have checksum %s, not %s",
                            path, found, want);
        }
    }
    csim_results_free(&back);
    return st;
}

/* Everything but the last step, on rank 0; *temporary is set when the file is ready. */
static csim_status prepare(csim_context *ctx, const csim_results *r, const char *path,
                           int overwrite, char **temporary)
{
    void *image = NULL;
    int64_t bytes = 0;
    csim_status st = CSIM_OK;
    if (r == NULL) { return csim__fail(ctx, CSIM_E_ARG, "%s: there are no results", path); }
    CSIM_TRY(csim__file_check_output(ctx, path, overwrite));
    CSIM_TRY(csim__file_temporary(ctx, path, temporary));
    CSIM_TRY(csim__results_store(ctx, r, *temporary, &image, &bytes));
    st = csim__file_write(ctx, *temporary, image, bytes);
    if (st == CSIM_OK) {
        st = verify(ctx, r, *temporary);
        if (st != CSIM_OK) { unlink(*temporary); }
    }
done:
    if (st != CSIM_OK) { csim__free(ctx, temporary); }
    csim__results_image_free(&image);
    return st;
}

csim_status csim_results_write(csim_context *ctx, const csim_results *r, const char *path,
                               int overwrite)
{
    char *temporary = NULL;
    csim_status st = CSIM_OK;
    if (csim_context_rank(ctx) == 0) { st = prepare(ctx, r, path, overwrite, &temporary); }
    CSIM_TRY(csim__vote(ctx, st));
    if (temporary != NULL) {
        st = csim__file_publish(ctx, temporary, path, overwrite);
        csim__free(ctx, &temporary);
    }
    st = csim__vote(ctx, st);
done:
    if (temporary != NULL) { unlink(temporary); }
    csim__free(ctx, &temporary);
    return st;
}

csim_status csim_results_read(csim_context *ctx, const char *path, csim_results **results)
{
    csim_status st = CSIM_OK;
    *results = NULL;
    if (csim_context_rank(ctx) == 0) { st = csim__results_load(ctx, path, results); }
    st = csim__vote(ctx, st);
    if (st != CSIM_OK) { csim_results_free(results); }
    return st;
}
