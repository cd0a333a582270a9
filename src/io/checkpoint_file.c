/* Checkpoints on disk: written by rank 0 in the place of the one before, read for all ranks. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <unistd.h>

#include "io/checkpoint_private.h"
#include "io/file.h"
#include "io/raw.h"

enum { PIECE = 1 << 30 }; /* bytes broadcast at once: MPI counts in int */

/* ---- one rank's file ---- */

/* The version that a seal names, −1 if it is none. */
static int seal_version(const char seal[CSIM__SEAL])
{
    const size_t n = sizeof CSIM__ENCODER_FORMAT - 1;
    int version = 0, digits = 0;
    if (seal[0] != '\n' || memcmp(seal + 1, CSIM__ENCODER_FORMAT, n) != 0) { return -1; }
    const char *c = seal + 1 + n;
    for (; digits < 2 && *c >= '0' && *c <= '9'; c++, digits++) {
        version = 10 * version + (*c - '0');
    }
    return digits > 0 && *c == ' ' ? version : -1;
}

static csim_status check_version(csim_context *ctx, const char *path, int version)
{
    if (version == CSIM__ENCODER_VERSION) { return CSIM_OK; }
    return csim__fail(ctx, CSIM_E_FORMAT,
                      "%s is an encoder checkpoint of version %d, %s than version %d, which this "
                      "program reads",
                      path, version, version < CSIM__ENCODER_VERSION ? "older" : "newer",
                      CSIM__ENCODER_VERSION);
}

/* The file and its content are in memory at the same time. */
static csim_status check_room(csim_context *ctx, const char *path, int64_t bytes, int64_t limit)
{
    int64_t live = csim_context_memory_live(ctx), need = 2 * bytes;
    if (limit == 0 || need <= limit - live) { return CSIM_OK; }
    return csim__fail(
        ctx, CSIM_E_MEM,
        "%s: reading it takes %.3f MiB of memory on rank 0, twice its size; the limit "
        "is %.3f MiB (--memory), of which %.3f MiB are taken",
        path, (double)need / 1048576, (double)limit / 1048576, (double)live / 1048576);
}

/* The bytes of a sealed file, without the seal, which fits. */
static csim_status read_sealed(csim_context *ctx, const char *path, int64_t limit, char **image,
                               int64_t *bytes)
{
    csim__raw *raw = NULL;
    char found[CSIM__SEAL], fitting[CSIM__SEAL];
    int version = -1;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__raw_open(ctx, path, &raw));
    int64_t n = raw->size - CSIM__SEAL;
    if (n > 0) {
        CSIM_TRY(raw->source.read(ctx, raw->source.self, n, CSIM__SEAL, found));
        version = seal_version(found);
    }
    if (version < 0) {
        st = csim__fail(ctx, CSIM_E_FORMAT,
                        "%s (%lld bytes) is not an encoder checkpoint, or not a whole one: it does "
                        "not end with the seal of one",
                        path, (long long)raw->size);
        goto done;
    }
    CSIM_TRY(check_room(ctx, path, n, limit));
    CSIM_TRY(csim__alloc(ctx, n, 1, "a checkpoint's file", image));
    CSIM_TRY(raw->source.read(ctx, raw->source.self, 0, n, *image));
    csim__checkpoint_seal(*image, n, version, fitting);
    if (memcmp(found, fitting, sizeof found) != 0) {
        st = csim__fail(ctx, CSIM_E_FORMAT,
                        "%s is damaged: its bytes have checksum %.32s, its seal says %.32s", path,
                        fitting + CSIM__SEAL - 33, found + CSIM__SEAL - 33);
        goto done;
    }
    CSIM_TRY(check_version(ctx, path, version));
    *bytes = n;
done:
    csim__raw_close(ctx, &raw);
    return st;
}

/* A checkpoint from its file. */
static csim_status load_file(csim_context *ctx, const char *path, int64_t limit,
                             csim__checkpoint **checkpoint)
{
    char *image = NULL;
    int64_t bytes = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(read_sealed(ctx, path, limit, &image, &bytes));
    CSIM_TRY(csim__checkpoint_create(ctx, checkpoint));
    CSIM_TRY(csim__strdup(ctx, path, &(*checkpoint)->path));
    CSIM_TRY(csim__checkpoint_load(*checkpoint, image, bytes));
done:
    csim__free(ctx, &image);
    if (st != CSIM_OK) { csim__checkpoint_free(ctx, checkpoint); }
    return st;
}

/* Read the finished file back: what a later reader gets must be what was given. */
static csim_status verify(const csim__checkpoint *c, const char *path)
{
    csim__checkpoint *back = NULL;
    char want[CSIM__CHECKSUM], found[CSIM__CHECKSUM];
    csim_status st = CSIM_OK;
    CSIM_TRY(load_file(c->ctx, path, 0, &back));
    CSIM_TRY(csim__checkpoint_checksum(c, want));
    CSIM_TRY(csim__checkpoint_checksum(back, found));
    if (strcmp(want, found) != 0) {
        st = csim__fail(c->ctx, CSIM_E_IO, "%s: read back, the content has checksum %s, not %s",
                        path, found, want);
    }
done:
    csim__checkpoint_free(c->ctx, &back);
    return st;
}

/* ---- writing ---- */

/* Everything but the last step, on rank 0; *temporary is set when the file is ready. */
static csim_status prepare(csim_context *ctx, const csim__checkpoint *c, const char *path,
                           const char *previous, char **temporary)
{
    void *image = NULL;
    int64_t bytes = 0;
    csim_status st = CSIM_OK;
    if (c == NULL) { return csim__fail(ctx, CSIM_E_ARG, "%s: there is no checkpoint", path); }
    CSIM_TRY(csim__file_check_output(ctx, path, 1));
    CSIM_TRY(csim__file_check_output(ctx, previous, 1));
    CSIM_TRY(csim__file_temporary(ctx, path, temporary));
    CSIM_TRY(csim__checkpoint_store(c, *temporary, &image, &bytes));
    CSIM_TRY(csim__file_write(ctx, *temporary, image, bytes));
    st = verify(c, *temporary);
    if (st != CSIM_OK) { unlink(*temporary); }
done:
    if (st != CSIM_OK) { csim__free(ctx, temporary); }
    csim__checkpoint_image_free(&image);
    return st;
}

csim_status csim__checkpoint_write(csim_context *ctx, const csim__checkpoint *checkpoint,
                                   const char *path)
{
    char *temporary = NULL, *previous = NULL, *file = NULL;
    csim_status st = CSIM_OK;
    if (csim_context_rank(ctx) == 0) {
        st = csim__file_target(ctx, path, &file);
        if (st == CSIM_OK) { st = csim__file_previous(ctx, path, &previous); }
        if (st == CSIM_OK) { st = prepare(ctx, checkpoint, path, previous, &temporary); }
    }
    CSIM_TRY(csim__vote(ctx, st));
    if (temporary != NULL) {
        st = csim__file_rotate(ctx, temporary, file, previous);
        csim__free(ctx, &temporary);
    }
    st = csim__vote(ctx, st);
done:
    if (temporary != NULL) { unlink(temporary); }
    csim__free(ctx, &temporary);
    csim__free(ctx, &previous);
    csim__free(ctx, &file);
    return st;
}

/* ---- reading ---- */

static csim_status broadcast(csim_context *ctx, void *data, int64_t bytes)
{
    char *from = data;
    csim_status st = CSIM_OK;
    for (int64_t at = 0; at < bytes; at += PIECE) {
        int n = (int)csim__min64(PIECE, bytes - at);
        CSIM_TRY(csim__mpi(ctx, MPI_Bcast(from + at, n, MPI_BYTE, 0, csim_context_comm(ctx)),
                           "broadcast of a checkpoint"));
    }
done:
    return st;
}

/* Attributes and descriptions of the fields, from rank 0 to all. Agreed. */
static csim_status share_packed(csim_context *ctx, const char *path, csim__checkpoint **checkpoint)
{
    unsigned char *packed = NULL;
    int64_t bytes = 0;
    int root = csim_context_rank(ctx) == 0;
    csim_status st = root ? csim__checkpoint_pack(*checkpoint, &packed, &bytes) : CSIM_OK;
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__vote(ctx, broadcast(ctx, &bytes, (int64_t)sizeof bytes)));
    if (!root) {
        st = csim__alloc(ctx, bytes, 1, "a packed checkpoint", &packed);
        if (st == CSIM_OK) { st = csim__checkpoint_create(ctx, checkpoint); }
        if (st == CSIM_OK) { st = csim__strdup(ctx, path, &(*checkpoint)->path); }
    }
    CSIM_TRY(csim__vote(ctx, st));
    st = broadcast(ctx, packed, bytes);
    if (st == CSIM_OK && !root) { st = csim__checkpoint_unpack(*checkpoint, packed, bytes); }
    st = csim__vote(ctx, st);
done:
    csim__free(ctx, &packed);
    return st;
}

csim_status csim__checkpoint_read_within(csim_context *ctx, const char *path, int64_t limit,
                                         csim__checkpoint **checkpoint)
{
    csim_status st = CSIM_OK;
    *checkpoint = NULL;
    if (csim_context_rank(ctx) == 0) { st = load_file(ctx, path, limit, checkpoint); }
    CSIM_TRY(csim__vote(ctx, st));
    if (csim_context_size(ctx) == 1) { return st; }
    CSIM_TRY(share_packed(ctx, path, checkpoint));
    for (int i = 0; i < (*checkpoint)->fields && st == CSIM_OK; i++) {
        const csim__field *f = &(*checkpoint)->field[i];
        st = broadcast(ctx, f->data, csim__field_bytes(f));
    }
    st = csim__vote(ctx, st);
done:
    if (st != CSIM_OK) { csim__checkpoint_free(ctx, checkpoint); }
    return st;
}

csim_status csim__checkpoint_read(csim_context *ctx, const char *path,
                                  csim__checkpoint **checkpoint)
{
    return csim__checkpoint_read_within(ctx, path, 0, checkpoint);
}
