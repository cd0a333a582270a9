/* A file of any content through the reader of one format: no crash, no leak, a message for every
 * refusal, and whatever the header promises can be read or is refused. Each target names a format
 * and an extension. With CSIM_FUZZ_REPLAY the program takes files as arguments instead. */
#ifndef CSIM_FUZZ_READER_H
#define CSIM_FUZZ_READER_H

#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/format.h"

enum { FUZZ_MOST = 1 << 16 }; /* elements read of one array */

static csim_context *fuzz_ctx;
static char fuzz_path[512];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_start(int *argc, char ***argv, const char *extension)
{
    const char *folder = getenv("TMPDIR");
    /* Open MPI would catch the signals by which libFuzzer learns of a crash. */
    setenv("OMPI_MCA_opal_signal", "", 1);
    MPI_Init(argc, argv);
    if (csim_context_create(MPI_COMM_SELF, &fuzz_ctx) != CSIM_OK) { abort(); }
    snprintf(fuzz_path, sizeof fuzz_path, "%s/csim_fuzz_%ld%s", folder != NULL ? folder : "/tmp",
             (long)getpid(), extension);
}

/* A refusal is one of the statuses that files can cause, and says why. A sparse file may promise
 * more than any memory holds. */
static void fuzz_refusal(csim_status st)
{
    if (st == CSIM_OK) { return; }
    if (st != CSIM_E_FORMAT && st != CSIM_E_DATA && st != CSIM_E_SHAPE && st != CSIM_E_IO &&
        st != CSIM_E_LIMIT && st != CSIM_E_MEM) {
        abort();
    }
    if (csim_context_error(fuzz_ctx)[0] == '\0') { abort(); }
    csim__forgive(fuzz_ctx);
}

/* The first and the last elements of an array, and all when they are few. */
static void fuzz_read(const csim__reader *format, void *handle, const csim__array *a, double *out)
{
    int64_t start[CSIM__MAX_DIMS] = {0}, count[CSIM__MAX_DIMS], most = FUZZ_MOST;
    for (int j = a->ndim - 1; j >= 0; --j) {
        count[j] = csim__min64(a->shape[j], most);
        most = count[j] > 0 ? most / count[j] : most;
    }
    fuzz_refusal(format->read(fuzz_ctx, handle, a, start, count, out));
    for (int j = 0; j < a->ndim; ++j) { start[j] = a->shape[j] - count[j]; }
    fuzz_refusal(format->read(fuzz_ctx, handle, a, start, count, out));
}

static void fuzz_set(void)
{
    csim_input_options options = {.pool = CSIM_POOL_MEAN, .neuron_axis = -1};
    csim_set *set = NULL;
    csim_status st = csim_set_open(fuzz_ctx, fuzz_path, &options, &set);
    fuzz_refusal(st);
    for (int i = 0; st == CSIM_OK && i < csim_set_site_count(set); ++i) {
        const csim_site_info *site = csim_set_site(set, i);
        double *row = NULL;
        if (site->n < 1 || site->d < 1) { abort(); }
        if (site->d > FUZZ_MOST) { continue; }
        if (csim__alloc(fuzz_ctx, site->d, sizeof *row, "a row", &row) != CSIM_OK) { abort(); }
        fuzz_refusal(csim_set_read(set, i, site->n - 1, 1, row));
        csim__free(fuzz_ctx, &row);
    }
    csim_set_free(&set);
}

static inline int fuzz_one(const csim__reader *format, const uint8_t *data, size_t size)
{
    static double out[FUZZ_MOST];
    size_t head = size < 64 ? size : 64;
    csim__catalog found = {0};
    void *handle = NULL;
    FILE *file = fopen(fuzz_path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) { abort(); }
    fuzz_refusal(format->scan(fuzz_ctx, fuzz_path, &found));
    fuzz_refusal(format->open(fuzz_ctx, fuzz_path, &handle));
    for (int64_t i = 0; handle != NULL && i < found.count; ++i) {
        fuzz_read(format, handle, &found.array[i], out);
    }
    if (handle != NULL && format->read_ids != NULL) {
        int64_t ids[2];
        int has = 0;
        fuzz_refusal(format->read_ids(fuzz_ctx, handle, "example_id", 0, 2, ids, &has));
    }
    if (handle != NULL) { format->close(fuzz_ctx, &handle); }
    csim__catalog_free(fuzz_ctx, &found);
    if (csim__format_of(data, head) != &csim__format_netcdf) { fuzz_set(); } /* not our parser */
    unlink(fuzz_path);
    if (csim_context_memory_live(fuzz_ctx) != 0) { abort(); }
    return 0;
}

#ifdef CSIM_FUZZ_REPLAY
int main(int argc, char **argv)
{
    static uint8_t data[1 << 22];
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; ++i) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) { return 1; }
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    csim_context_free(&fuzz_ctx);
    MPI_Finalize();
    return 0;
}
#endif

#endif
