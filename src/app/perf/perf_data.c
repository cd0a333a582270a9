/* Synthetic sites as .npy files in a folder of their own. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/perf/perf.h"
#include "core/rng.h"

enum { HEADER = 128, BLOCK_BYTES = 1 << 20 };

static csim_status file_name(csim_context *ctx, const char *folder, int64_t layer, char **path)
{
    return csim__format(ctx, path, "%s/layer_%03" PRId64 ".npy", folder, layer);
}

/* Version 1.0 of the format: 10 bytes, then a dictionary that ends in a newline, HEADER bytes in
 * all. The byte order is the host's. */
static void make_header(int64_t rows, int64_t columns, char *header)
{
    static const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0};
    const uint16_t one = 1;
    unsigned char low;
    memcpy(&low, &one, 1);
    memset(header, ' ', HEADER);
    memcpy(header, magic, sizeof magic);
    char text[HEADER];
    int length =
        snprintf(text, sizeof text,
                 "{'descr': '%sf4', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 "), }",
                 low ? "<" : ">", rows, columns);
    memcpy(header + sizeof magic, text, (size_t)length);
    header[HEADER - 1] = '\n';
}

/* Nearly normal numbers: the sum of four uniform ones, one 64-bit word each. Neurons differ in
 * variance, as they do in networks, and have a mean. */
static void fill_row(csim__rng *rng, int64_t width, float *x)
{
    static const double mean = 2 * 65535, scale = 1 / 37837.2; /* √(4/12) · 65536 */
    for (int64_t j = 0; j < width; j++) {
        uint64_t w = csim__rng_bits(rng);
        uint64_t sum = (w & 0xffff) + (w >> 16 & 0xffff) + (w >> 32 & 0xffff) + (w >> 48);
        double spread = 1 / (1 + 4 * (double)j / (double)width);
        x[j] = (float)(0.5 + spread * ((double)sum - mean) * scale);
    }
}

static csim_status write_site(csim_context *ctx, const char *path, int64_t rows, int64_t width,
                              uint64_t layer)
{
    char header[HEADER];
    float *block = NULL;
    csim__rng rng = csim__rng_start(1, layer);
    int64_t most = csim__max64(1, BLOCK_BYTES / (4 * width));
    csim_status st = csim__alloc(ctx, most * width, sizeof *block, "rows of a site", &block);
    if (st != CSIM_OK) { return st; }
    errno = 0;
    FILE *file = fopen(path, "wb");
    bool good = file != NULL;
    make_header(rows, width, header);
    good = good && fwrite(header, 1, HEADER, file) == HEADER;
    for (int64_t i = 0; good && i < rows; i += most) {
        int64_t m = csim__min64(most, rows - i);
        for (int64_t k = 0; k < m; k++) { fill_row(&rng, width, block + k * width); }
        size_t count = (size_t)(m * width);
        good = fwrite(block, sizeof *block, count, file) == count;
    }
    if (file != NULL && fclose(file) != 0) { good = false; }
    if (!good) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: %s", path,
                        errno != 0 ? strerror(errno) : "cannot be written");
    }
    csim__free(ctx, &block);
    return st;
}

/* Rank 0 makes the folder, all get its name. */
static csim_status make_folder(csim_context *ctx, char **folder)
{
    const char *parent = getenv("TMPDIR");
    int rank = csim_context_rank(ctx), length = 0;
    char *name = NULL;
    csim_status st = CSIM_OK;
    if (parent == NULL || parent[0] == '\0') { parent = "/tmp"; }
    if (rank == 0) {
        st = csim__format(ctx, &name, "%s/contrasim-perf-XXXXXX", parent);
        if (st == CSIM_OK && mkdtemp(name) == NULL) {
            st = csim__fail(ctx, CSIM_E_IO, "no folder can be made in %s: %s", parent,
                            strerror(errno));
            csim__free(ctx, &name);
        }
        length = name != NULL ? (int)strlen(name) + 1 : 0;
    }
    *folder = name; /* from here on there is something to remove */
    CSIM_TRY(csim__vote(ctx, st));
    MPI_Comm comm = csim_context_comm(ctx);
    st = csim__mpi(ctx, MPI_Bcast(&length, 1, MPI_INT, 0, comm), "MPI_Bcast");
    if (st == CSIM_OK && rank != 0) {
        st = csim__calloc(ctx, length, 1, "name of a folder", folder);
    }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__mpi(ctx, MPI_Bcast(*folder, length, MPI_CHAR, 0, comm), "MPI_Bcast"));
done:
    return st;
}

csim_status csim__perf_data_write(csim_context *ctx, const csim__perf_options *options,
                                  char **folder)
{
    int rank = csim_context_rank(ctx), size = csim_context_size(ctx);
    *folder = NULL;
    csim_status st = make_folder(ctx, folder);
    if (st != CSIM_OK) { return st; }
    for (int64_t layer = rank; st == CSIM_OK && layer < options->layers; layer += size) {
        char *path = NULL;
        st = file_name(ctx, *folder, layer, &path);
        if (st == CSIM_OK) {
            st = write_site(ctx, path, options->examples, options->width, (uint64_t)layer);
        }
        csim__free(ctx, &path);
    }
    return csim__vote(ctx, st);
}

void csim__perf_data_remove(csim_context *ctx, const csim__perf_options *options, char **folder)
{
    if (*folder == NULL) { return; }
    for (int64_t layer = 0; csim_context_rank(ctx) == 0 && layer < options->layers; layer++) {
        char *path = NULL;
        if (file_name(ctx, *folder, layer, &path) == CSIM_OK) { (void)unlink(path); }
        csim__free(ctx, &path);
    }
    if (csim_context_rank(ctx) == 0 && rmdir(*folder) != 0) {
        csim__log(ctx, CSIM_LOG_WARNING, "%s: cannot be removed: %s", *folder, strerror(errno));
    }
    csim__free(ctx, folder);
}
