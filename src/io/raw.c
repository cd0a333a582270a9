#define _POSIX_C_SOURCE 200809L

#include "io/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SIEVE = 16 << 10, /* runs closer than this many bytes are read with what lies between */
    TILE_ROWS = 4096, /* tile that is transposed when the first index is the fastest */
    TILE_COLUMNS = 16
};

static csim_status raw_bytes(csim_context *ctx, void *self, int64_t offset, int64_t bytes,
                             void *out)
{
    csim__raw *raw = self;
    char *to = out;
    for (int64_t got = 0; got < bytes;) {
        size_t want = (size_t)csim__min64(bytes - got, INT64_C(1) << 30);
        ssize_t n = pread(raw->fd, to + got, want, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) { continue; }
        if (n < 0) {
            return csim__fail(ctx, CSIM_E_IO,
                              "file %s: reading %" PRId64 " bytes at byte %" PRId64 ": %s",
                              raw->path, bytes, offset, strerror(errno));
        }
        if (n == 0) {
            struct stat now = {0};
            fstat(raw->fd, &now);
            return csim__fail(ctx, CSIM_E_IO,
                              "file %s: ends at byte %" PRId64 ", expected bytes up"
                              " to %" PRId64,
                              raw->path, (int64_t)now.st_size, offset + bytes);
        }
        got += n;
    }
    return CSIM_OK;
}

csim_status csim__raw_open(csim_context *ctx, const char *path, csim__raw **raw)
{
    csim_status st = CSIM_OK;
    struct stat info;
    csim__raw *r = NULL;
    *raw = NULL;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *r, "file handle", &r));
    r->fd = -1;
    CSIM_TRY(csim__strdup(ctx, path, &r->path));
    /* Not blocking: opening a named pipe must fail below, not wait for a writer. */
    r->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &info) != 0) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: cannot be opened: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: is not a regular file", path);
        goto done;
    }
    r->size = (int64_t)info.st_size;
    r->source = (csim__source){.read = raw_bytes, .self = r};
    *raw = r;
    return CSIM_OK;
done:
    csim__raw_close(ctx, &r);
    return st;
}

void csim__raw_close(csim_context *ctx, csim__raw **raw)
{
    if (*raw == NULL) { return; }
    if ((*raw)->fd >= 0) { close((*raw)->fd); }
    csim__free(ctx, &(*raw)->path);
    csim__free(ctx, raw);
}

int64_t csim__extent_bytes(const int64_t *shape, int ndim, int bits)
{
    int64_t product = bits;
    for (int i = 0; i < ndim; ++i) {
        if (shape[i] == 0) { return 0; }
    }
    for (int i = 0; i < ndim; ++i) {
        if (product > INT64_MAX / shape[i]) { return -1; }
        product *= shape[i];
    }
    return product % 8 == 0 ? product / 8 : -1;
}

void csim__shape_text(const int64_t *shape, int ndim, char *text, size_t size)
{
    size_t used = 0;
    if (size > 0) { snprintf(text, size, "%s", ndim == 0 ? "()" : ""); }
    for (int i = 0; i < ndim && used < size; ++i) {
        int n = snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? "x" : "", shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* One array of a source while it is read. */
typedef struct slab {
    csim_context *ctx;
    const csim__source *source;
    const csim__array *a;
    unsigned char *scratch;
    int64_t size; /* bytes of an element */
} slab;

/* n consecutive elements from element `first`. */
static csim_status read_span(const slab *s, int64_t first, int64_t n, double *out)
{
    csim_status st = CSIM_OK;
    int64_t block = CSIM__RAW_SCRATCH / s->size;
    for (int64_t i = 0; i < n; i += block) {
        int64_t m = csim__min64(block, n - i);
        void *to = s->a->dtype == CSIM_F64 ? (void *)(out + i) : (void *)s->scratch;
        CSIM_TRY(s->source->read(s->ctx, s->source->self, s->a->offset + (first + i) * s->size,
                                 m * s->size, to));
        csim__convert(s->a->dtype, s->a->swapped, to, m, out + i);
    }
done:
    return st;
}

/* k runs of `run` elements, `stride` elements apart, one behind the other into out[k, run]. Short
 * distances are read through: a system call costs more than the bytes between. */
static csim_status read_runs(const slab *s, int64_t first, int64_t stride, int64_t run, int64_t k,
                             double *out)
{
    csim_status st = CSIM_OK;
    if (k == 1 || stride * s->size > SIEVE) {
        for (int64_t i = 0; i < k; ++i) {
            CSIM_TRY(read_span(s, first + i * stride, run, out + i * run));
        }
        return CSIM_OK;
    }
    int64_t block = CSIM__RAW_SCRATCH / (stride * s->size);
    for (int64_t i = 0; i < k; i += block) {
        int64_t m = csim__min64(block, k - i);
        CSIM_TRY(s->source->read(s->ctx, s->source->self,
                                 s->a->offset + (first + i * stride) * s->size,
                                 ((m - 1) * stride + run) * s->size, s->scratch));
        for (int64_t j = 0; j < m; ++j) {
            csim__convert(s->a->dtype, s->a->swapped, s->scratch + j * stride * s->size, run,
                          out + (i + j) * run);
        }
    }
done:
    return st;
}

/* Step the index tuple of axes lo … hi−1 (the last fastest). 0 when all were visited. */
static int next_index(int64_t *index, const int64_t *count, int lo, int hi)
{
    for (int j = hi - 1; j >= lo; --j) {
        if (++index[j] < count[j]) { return 1; }
        index[j] = 0;
    }
    return 0;
}

/* Last index fastest: trailing axes that are read in full merge with the next one into a run. */
static csim_status read_c(const slab *s, const int64_t *start, const int64_t *count, double *out)
{
    csim_status st = CSIM_OK;
    int64_t stride[CSIM__MAX_DIMS], index[CSIM__MAX_DIMS] = {0}, base = 0, run = 1;
    int n = s->a->ndim, k = n, whole = 1;
    for (int64_t j = n - 1, product = 1; j >= 0; --j) {
        stride[j] = product;
        product *= s->a->shape[j];
        base += start[j] * stride[j];
    }
    while (k > 0 && whole) {
        k -= 1;
        run *= count[k];
        whole = count[k] == s->a->shape[k];
    }
    if (k == 0) { return read_span(s, base, run, out); }
    do {
        int64_t first = base;
        for (int j = 0; j < k - 1; ++j) { first += index[j] * stride[j]; }
        CSIM_TRY(read_runs(s, first, stride[k - 1], run, count[k - 1], out));
        out += run * count[k - 1];
    } while (next_index(index, count, 0, k - 1));
done:
    return st;
}

/* The tile [w, m] becomes m rows of w elements, `step` apart. */
static void transpose(const double *tile, int64_t m, int64_t w, double *to, int64_t step)
{
    for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < w; ++j) { to[i * step + j] = tile[j * m + i]; }
    }
}

/* First index fastest, two axes or more: tiles of rows × neighbouring columns are transposed. */
static csim_status read_fortran(const slab *s, const int64_t *start, const int64_t *count,
                                double *out)
{
    csim_status st = CSIM_OK;
    int64_t stride[CSIM__MAX_DIMS], step[CSIM__MAX_DIMS], base = 0;
    int last = s->a->ndim - 1;
    double *tile = NULL;
    int64_t height = csim__min64(TILE_ROWS, count[0]);
    CSIM_TRY(csim__alloc(s->ctx, height * TILE_COLUMNS, sizeof *tile, "tile of rows", &tile));
    for (int64_t j = 0, product = 1; j <= last; ++j) {
        stride[j] = product;
        product *= s->a->shape[j];
        base += start[j] * stride[j];
    }
    for (int64_t j = last, product = 1; j >= 0; --j) {
        step[j] = product;
        product *= count[j];
    }
    for (int64_t r = 0; r < count[0]; r += height) {
        int64_t index[CSIM__MAX_DIMS] = {0}, m = csim__min64(height, count[0] - r);
        do {
            int64_t first = base + r;
            double *to = out + r * step[0];
            for (int j = 1; j < last; ++j) {
                first += index[j] * stride[j];
                to += index[j] * step[j];
            }
            for (int64_t c = 0; c < count[last]; c += TILE_COLUMNS) {
                int64_t w = csim__min64(TILE_COLUMNS, count[last] - c);
                CSIM_TRY(read_runs(s, first + c * stride[last], stride[last], m, w, tile));
                transpose(tile, m, w, to + c, step[0]);
            }
        } while (next_index(index, count, 1, last));
    }
done:
    csim__free(s->ctx, &tile);
    return st;
}

csim_status csim__raw_read(csim_context *ctx, const csim__source *source, const csim__array *a,
                           const int64_t *start, const int64_t *count, double *out)
{
    csim_status st = CSIM_OK;
    slab s = {.ctx = ctx, .source = source, .a = a, .size = csim__dtype_bytes(a->dtype)};
    int64_t elements = 1;
    int whole = !a->fortran || a->ndim == 1; /* the slab is one run of elements */
    for (int j = 0; j < a->ndim; ++j) {
        whole = whole && (j == 0 || count[j] == a->shape[j]);
        elements = count[j] > 0 ? elements * count[j] : 0;
        if (start[j] < 0 || count[j] < 0 || start[j] > a->shape[j] - count[j]) {
            return csim__fail(ctx, CSIM_E_ARG,
                              "file %s, array %s: indices %" PRId64 " to %" PRId64
                              " of axis %d do not exist, its length is %" PRId64,
                              a->path, a->name, start[j], start[j] + count[j], j, a->shape[j]);
        }
    }
    if (elements == 0) { return CSIM_OK; }
    int64_t room = whole ? csim__raw_buffer(elements * s.size, s.size) : CSIM__RAW_SCRATCH;
    CSIM_TRY(csim__alloc(ctx, room, 1, "read buffer", &s.scratch));
    if (a->fortran && a->ndim > 1) {
        st = read_fortran(&s, start, count, out);
    } else {
        st = read_c(&s, start, count, out);
    }
done:
    csim__free(ctx, &s.scratch);
    return st;
}

/* One packed integer, least significant byte first or (swapped) last. */
static int64_t integer_value(const unsigned char *in, char kind, int item, int swapped)
{
    uint64_t u = 0;
    for (int j = 0; j < item; ++j) { u = u << 8 | in[swapped ? j : item - 1 - j]; }
    if (kind == 'i' && item < 8 && (u >> (8 * item - 1) & 1) != 0) {
        u |= ~UINT64_C(0) << (8 * item);
    }
    int64_t value;
    memcpy(&value, &u, sizeof value);
    return value;
}

csim_status csim__raw_integers(csim_context *ctx, const csim__source *source, int64_t offset,
                               char kind, int item, int swapped, int64_t count, int64_t *out)
{
    csim_status st = CSIM_OK;
    unsigned char block[4096];
    int64_t most = (int64_t)sizeof block / item;
    for (int64_t i = 0; i < count; i += most) {
        int64_t m = csim__min64(most, count - i);
        CSIM_TRY(source->read(ctx, source->self, offset + i * item, m * item, block));
        for (int64_t j = 0; j < m; ++j) {
            out[i + j] = integer_value(block + j * item, kind, item, swapped);
        }
    }
done:
    return st;
}
