/* Tables on disk: checksum, and the way to a file that is whole or not there. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY /* shows the state, so that it can live on the stack */
#include <xxhash.h>

#include "io/file.h"
#include "io/table.h"

static void hash_text(XXH3_state_t *state, const char *text)
{
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

static void hash_number(XXH3_state_t *state, int64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) { bytes[i] = (unsigned char)((uint64_t)number >> (8 * i)); }
    XXH3_128bits_update(state, bytes, sizeof bytes);
}

/* All NaNs count alike: their bits depend on how they came about. */
static void hash_real(XXH3_state_t *state, double real)
{
    int64_t bits;
    double value = isnan(real) ? (double)NAN : real;
    memcpy(&bits, &value, sizeof bits);
    hash_number(state, bits);
}

static void hash_variable(XXH3_state_t *state, const csim__table *t, const csim__table_variable *v)
{
    int64_t count = 1;
    hash_text(state, v->name);
    for (int i = 0; i < v->ndim; i++) {
        hash_number(state, v->dim[i]);
        count *= t->dim[v->dim[i]].size;
    }
    for (int64_t i = 0; i < count; i++) {
        if (v->reals != NULL) {
            hash_real(state, v->reals[i]);
        } else if (v->integers != NULL) {
            hash_number(state, v->integers[i]);
        } else {
            hash_text(state, v->texts[i]);
        }
    }
}

void csim__table_checksum(const csim__table *t, char text[48])
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (int i = 0; i < t->dims; i++) {
        hash_text(&state, t->dim[i].name);
        hash_number(&state, t->dim[i].size);
    }
    for (int i = 0; i < t->variables; i++) { hash_variable(&state, t, &t->variable[i]); }
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    snprintf(text, 48, "xxh3_128:%016" PRIx64 "%016" PRIx64, (uint64_t)h.high64, (uint64_t)h.low64);
}

/* Everything but the last step, on rank 0; *temporary is set when the file is ready. */
static csim_status prepare(csim_context *ctx, const csim__table *table, const char *path,
                           int overwrite, char **temporary)
{
    void *image = NULL;
    int64_t bytes = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__file_check_output(ctx, path, overwrite));
    CSIM_TRY(csim__file_temporary(ctx, path, temporary));
    CSIM_TRY(csim__table_store(ctx, table, *temporary, &image, &bytes));
    CSIM_TRY(csim__file_write(ctx, *temporary, image, bytes));
done:
    if (st != CSIM_OK) { csim__free(ctx, temporary); }
    csim__table_image_free(&image);
    return st;
}

csim_status csim__table_write(csim_context *ctx, const csim__table *table, const char *path,
                              int overwrite)
{
    char *temporary = NULL;
    csim_status st = CSIM_OK;
    if (csim_context_rank(ctx) == 0) { st = prepare(ctx, table, path, overwrite, &temporary); }
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
