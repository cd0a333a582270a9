/* NumPy's .npy: the handle of a file that is one array. */
#include "io/npy.h"

#include <inttypes.h>
#include <string.h>

static int probe(const unsigned char *head, size_t len)
{
    return len >= 6 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* Name of a file without folder and extension; new. */
static csim_status stem_of(csim_context *ctx, const char *path, char **stem)
{
    const char *slash = strrchr(path, '/');
    csim_status st = csim__strdup(ctx, slash != NULL ? slash + 1 : path, stem);
    if (st == CSIM_OK) {
        char *dot = strrchr(*stem, '.');
        if (dot != NULL && dot != *stem) { *dot = '\0'; }
    }
    return st;
}

static csim_status scan(csim_context *ctx, const char *path, csim__catalog *catalog)
{
    csim_status st = CSIM_OK;
    csim__raw *raw = NULL;
    csim__npy npy;
    csim__array a = {.layer_index = -1};
    char *label = NULL;
    CSIM_TRY(csim__format(ctx, &label, "file %s", path));
    CSIM_TRY(csim__raw_open(ctx, path, &raw));
    CSIM_TRY(csim__npy_header(ctx, label, &raw->source, raw->size, &npy));
    a.companion = csim__npy_is_integer(&npy) && npy.ndim == 1;
    if (a.companion) {
        a.ndim = 1;
        a.shape[0] = npy.shape[0];
    } else {
        CSIM_TRY(csim__npy_array(ctx, label, &npy, &a));
    }
    CSIM_TRY(stem_of(ctx, path, &a.name));
    a.path = raw->path;
    CSIM_TRY(csim__catalog_add(ctx, catalog, &a));
done:
    csim__free(ctx, &a.name);
    csim__free(ctx, &label);
    csim__raw_close(ctx, &raw);
    return st;
}

static csim_status open_file(csim_context *ctx, const char *path, void **handle)
{
    csim__raw *raw;
    csim_status st = csim__raw_open(ctx, path, &raw);
    *handle = raw;
    return st;
}

static void close_file(csim_context *ctx, void **handle)
{
    csim__raw *raw = *handle;
    csim__raw_close(ctx, &raw);
    *handle = NULL;
}

static csim_status read_array(csim_context *ctx, void *handle, const csim__array *a,
                              const int64_t *start, const int64_t *count, double *out)
{
    csim__raw *raw = handle;
    return csim__raw_read(ctx, &raw->source, a, start, count, out);
}

/* The file as ids, whatever its name. */
static csim_status read_ids(csim_context *ctx, void *handle, const char *name, int64_t start,
                            int64_t count, int64_t *out, int *has)
{
    csim_status st = CSIM_OK;
    csim__raw *raw = handle;
    csim__npy npy;
    char *label = NULL;
    *has = 0;
    CSIM_TRY(csim__format(ctx, &label, "file %s", raw->path));
    CSIM_TRY(csim__npy_header(ctx, label, &raw->source, raw->size, &npy));
    *has = csim__npy_is_integer(&npy) && npy.ndim == 1;
    if (!*has) { goto done; }
    if (start < 0 || count < 0 || start > npy.shape[0] - count) {
        st = csim__fail(ctx, CSIM_E_SHAPE,
                        "file %s: has %" PRId64 " elements of %s, expected at least %" PRId64,
                        raw->path, npy.shape[0], name, start + count);
        goto done;
    }
    st = csim__raw_integers(ctx, &raw->source, npy.data + start * npy.item, npy.kind, npy.item,
                            npy.swapped, count, out);
done:
    csim__free(ctx, &label);
    return st;
}

static int descriptor(const void *handle)
{
    const csim__raw *raw = handle;
    return raw->fd;
}

const csim__reader csim__format_npy = {.name = "npy",
                                       .probe = probe,
                                       .scan = scan,
                                       .open = open_file,
                                       .close = close_file,
                                       .read = read_array,
                                       .read_ids = read_ids,
                                       .descriptor = descriptor};
