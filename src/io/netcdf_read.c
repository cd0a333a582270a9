/* netCDF-4 and other HDF5 files, and classic netCDF, as a format of input: reading. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/format.h"
#include "io/netcdf.h"

enum {
    CACHE_MOST = 64 * 1024 * 1024, /* bytes of decompressed chunks kept per site */
    CACHE_SLOTS = 1009
};

static int probe(const unsigned char *head, size_t len)
{
    static const unsigned char hdf5[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    if (len >= sizeof hdf5 && memcmp(head, hdf5, sizeof hdf5) == 0) { return 1; }
    return len >= 4 && memcmp(head, "CDF", 3) == 0 &&
           (head[3] == 1 || head[3] == 2 || head[3] == 5);
}

/* A variable that has been read from before. */
typedef struct opened {
    char *name;
    int group, variable;
    double missing; /* value that stands for "never written"; NaN = none */
} opened;

typedef struct reader {
    int nc;
    char *path;
    opened *list;
    int count, capacity;
} reader;

static csim_status open_reader(csim_context *ctx, const char *path, void **handle)
{
    reader *r = NULL;
    csim_status st = CSIM_OK;
    *handle = NULL;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *r, "a netCDF reader", &r));
    CSIM_TRY(csim__strdup(ctx, path, &r->path));
    CSIM_TRY(csim__nc_open(ctx, path, &r->nc));
    *handle = r;
    return CSIM_OK;
done:
    if (r != NULL) { csim__free(ctx, &r->path); }
    csim__free(ctx, &r);
    return st;
}

static void close_reader(csim_context *ctx, void **handle)
{
    reader *r = *handle;
    if (r == NULL) { return; }
    nc_close(r->nc);
    for (int i = 0; i < r->count; i++) { csim__free(ctx, &r->list[i].name); }
    csim__free(ctx, &r->list);
    csim__free(ctx, &r->path);
    csim__free(ctx, handle);
}

/* Group and variable of a name with '/'. */
static csim_status locate(csim_context *ctx, const reader *r, const char *name, int *group,
                          int *variable)
{
    const char *slash = strrchr(name, '/');
    char *folder = NULL;
    csim_status st = CSIM_OK;
    *group = r->nc;
    if (slash != NULL) {
        CSIM_TRY(csim__format(ctx, &folder, "/%.*s", (int)(slash - name), name));
        CSIM_TRY(csim__nc(ctx, nc_inq_grp_full_ncid(r->nc, folder, group), CSIM_E_FORMAT, r->path,
                          "find a group"));
    }
    CSIM_TRY(csim__nc(ctx, nc_inq_varid(*group, slash == NULL ? name : slash + 1, variable),
                      CSIM_E_FORMAT, r->path, "find a site"));
done:
    csim__free(ctx, &folder);
    return st;
}

/* Keep the chunks that one row crosses, so that reading by small blocks of rows inflates each chunk
 * once. What cannot be found out is left as it is. */
static void widen_cache(int group, int variable, const csim__array *a)
{
    int storage = NC_CONTIGUOUS;
    size_t chunk[NC_MAX_VAR_DIMS], type_bytes = 0, size = 0, slots = 0;
    float preemption = 0;
    nc_type type = NC_NAT;
    if (nc_inq_var_chunking(group, variable, &storage, chunk) != NC_NOERR ||
        storage != NC_CHUNKED || nc_inq_vartype(group, variable, &type) != NC_NOERR ||
        nc_inq_type(group, type, NULL, &type_bytes) != NC_NOERR ||
        nc_get_var_chunk_cache(group, variable, &size, &slots, &preemption) != NC_NOERR) {
        return;
    }
    double bytes = (double)type_bytes * (double)chunk[0];
    for (int i = 1; i < a->ndim; i++) {
        if (chunk[i] == 0) { return; }
        bytes *= ceil((double)a->shape[i] / (double)chunk[i]) * (double)chunk[i];
    }
    if (bytes > (double)size && bytes <= (double)CACHE_MOST) {
        nc_set_var_chunk_cache(group, variable, (size_t)bytes, CACHE_SLOTS, preemption);
    }
}

/* What a value that was never written reads as: the attribute _FillValue, else netCDF's default. */
static csim_status missing_value(csim_context *ctx, const reader *r, const opened *o, csim_dtype d,
                                 double *missing)
{
    nc_type type = NC_NAT;
    int64_t count = 0;
    *missing = NAN;
    if (d != CSIM_F32 && d != CSIM_F64) { return CSIM_OK; } /* 0xffff is a NaN of both kinds */
    csim_status st = csim__nc_attribute(ctx, r->path, o->group, o->variable, o->name, "_FillValue",
                                        1, &type, &count);
    if (st != CSIM_OK) { return st; }
    if (type == NC_NAT) {
        *missing = d == CSIM_F32 ? (double)NC_FILL_FLOAT : NC_FILL_DOUBLE;
    } else if (count == 1 && (type == NC_FLOAT || type == NC_DOUBLE)) {
        st = csim__nc(ctx, nc_get_att_double(o->group, o->variable, "_FillValue", missing),
                      CSIM_E_FORMAT, r->path, "read attribute _FillValue");
    }
    return st;
}

/* The variable must still be what the scan of the file found. */
static csim_status check_same(csim_context *ctx, const reader *r, const opened *o,
                              const csim__array *a)
{
    int ndims = 0, dims[NC_MAX_VAR_DIMS];
    nc_type type = NC_NAT;
    nc_type want = a->dtype == CSIM_F64 ? NC_DOUBLE : a->dtype == CSIM_F32 ? NC_FLOAT : NC_USHORT;
    int code = nc_inq_var(o->group, o->variable, NULL, &type, &ndims, dims, NULL);
    int same = code == NC_NOERR && type == want && ndims == a->ndim;
    for (int i = 0; same && i < ndims; i++) {
        size_t length = 0;
        same =
            nc_inq_dimlen(o->group, dims[i], &length) == NC_NOERR && (int64_t)length == a->shape[i];
    }
    return same ? CSIM_OK
                : csim__fail(ctx, CSIM_E_FORMAT,
                             "%s: %s has another type or shape than when the file was looked at",
                             r->path, a->name);
}

static csim_status prepare(csim_context *ctx, reader *r, const csim__array *a, opened **found)
{
    opened o = {.name = NULL};
    csim_status st = CSIM_OK;
    for (int i = 0; i < r->count; i++) {
        if (strcmp(r->list[i].name, a->name) == 0) {
            *found = &r->list[i];
            return CSIM_OK;
        }
    }
    CSIM_TRY(csim__strdup(ctx, a->name, &o.name));
    CSIM_TRY(locate(ctx, r, a->name, &o.group, &o.variable));
    CSIM_TRY(check_same(ctx, r, &o, a));
    CSIM_TRY(missing_value(ctx, r, &o, a->dtype, &o.missing));
    widen_cache(o.group, o.variable, a);
    if (r->count == r->capacity) {
        int more = 2 * r->capacity + 16;
        CSIM_TRY(csim__realloc(ctx, more, sizeof o, "open sites", &r->list));
        r->capacity = more;
    }
    r->list[r->count] = o;
    *found = &r->list[r->count++];
    return CSIM_OK;
done:
    csim__free(ctx, &o.name);
    return st;
}

/* 16-bit patterns come in the byte order of the machine. */
static csim_status read_half(csim_context *ctx, const reader *r, const opened *o, csim_dtype dtype,
                             const size_t *from, const size_t *many, int64_t n, double *out)
{
    unsigned short *bits = NULL;
    const unsigned short one = 1;
    unsigned char first = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, n, sizeof *bits, "16-bit floats", &bits));
    CSIM_TRY(csim__nc(ctx, nc_get_vara_ushort(o->group, o->variable, from, many, bits),
                      CSIM_E_FORMAT, r->path, "read 16-bit floats"));
    memcpy(&first, &one, 1);
    csim__convert(dtype, first == 0, bits, n, out);
done:
    csim__free(ctx, &bits);
    return st;
}

static csim_status read_array(csim_context *ctx, void *handle, const csim__array *a,
                              const int64_t *start, const int64_t *count, double *out)
{
    reader *r = handle;
    opened *o = NULL;
    size_t from[CSIM__MAX_DIMS], many[CSIM__MAX_DIMS];
    int64_t n = 1;
    csim_status st = CSIM_OK;
    for (int i = 0; i < a->ndim; i++) {
        from[i] = (size_t)start[i];
        many[i] = (size_t)count[i];
        n *= count[i];
    }
    if (n == 0) { return CSIM_OK; }
    CSIM_TRY(prepare(ctx, r, a, &o));
    if (a->dtype == CSIM_F16 || a->dtype == CSIM_BF16) {
        return read_half(ctx, r, o, a->dtype, from, many, n, out);
    }
    int code = nc_get_vara_double(o->group, o->variable, from, many, out);
    if (code != NC_NOERR) {
        return csim__fail(ctx, code > 0 ? CSIM_E_IO : CSIM_E_FORMAT,
                          "%s: cannot read %s from row %lld on: %s", r->path, a->name,
                          (long long)start[0], nc_strerror(code));
    }
    if (isnan(o->missing)) { return CSIM_OK; }
    for (int64_t i = 0; i < n; i++) {
        if (out[i] == o->missing) { out[i] = NAN; }
    }
done:
    return st;
}

static csim_status read_ids(csim_context *ctx, void *handle, const char *name, int64_t start,
                            int64_t count, int64_t *out, int *has)
{
    const reader *r = handle;
    int variable = 0, ndims = 0, dims[NC_MAX_VAR_DIMS];
    size_t length = 0, from = (size_t)start, many = (size_t)count;
    nc_type type = NC_NAT;
    *has = 0;
    if (nc_inq_varid(r->nc, name, &variable) != NC_NOERR) { return CSIM_OK; }
    int code = nc_inq_var(r->nc, variable, NULL, &type, &ndims, dims, NULL);
    if (code == NC_NOERR && ndims == 1) { code = nc_inq_dimlen(r->nc, dims[0], &length); }
    if (code != NC_NOERR) {
        return csim__nc(ctx, code, CSIM_E_FORMAT, r->path, "read the ids of the examples");
    }
    int usable = csim__nc_is_whole(type) && ndims == 1;
    if (!usable && strcmp(name, "example_id") != 0) { return CSIM_OK; }
    if (!usable || from > length || many > length - from) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: %s should be whole numbers, one for each of at least %lld examples; "
                          "it is %s, %d-D, with %zu",
                          r->path, name, (long long)(start + count), csim__nc_type_name(type),
                          ndims, length);
    }
    _Static_assert(sizeof(long long) == sizeof *out, "ids are read in place");
    csim_status st = CSIM_OK;
    if (many > 0) {
        st = csim__nc(ctx, nc_get_vara_longlong(r->nc, variable, &from, &many, (long long *)out),
                      CSIM_E_FORMAT, r->path, "read the ids of the examples");
    }
    *has = st == CSIM_OK;
    return st;
}

static csim_status list_companions(csim_context *ctx, void *handle, int64_t i, char **name)
{
    const reader *r = handle;
    int n = 0;
    *name = NULL;
    csim_status st =
        csim__nc(ctx, nc_inq_nvars(r->nc, &n), CSIM_E_FORMAT, r->path, "count the variables");
    for (int v = 0; st == CSIM_OK && v < n; v++) {
        char text[NC_MAX_NAME + 1];
        if (nc_inq_varname(r->nc, v, text) != NC_NOERR) { continue; }
        if (csim__is_annotation(text) && i-- == 0) { return csim__strdup(ctx, text, name); }
    }
    return st;
}

const csim__reader csim__format_netcdf = {
    .name = "netcdf",
    .probe = probe,
    .scan = csim__nc_scan,
    .open = open_reader,
    .close = close_reader,
    .read = read_array,
    .read_ids = read_ids,
    .list = list_companions,
};
