/* netCDF-4 and other HDF5 files, and classic netCDF, as a format of input. Files are untrusted: only
 * what fits the size of the file is believed.
 *
 * Sites are the arrays of two and more dimensions of float32 or float64, or of 16-bit patterns
 * marked by the attribute `dtype`. Groups are walked; names are joined by '/'. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/format.h"
#include "io/netcdf.h"

#include <netcdf_filter.h> /* needs netcdf.h before it */

enum {
    DEPTH_MOST = 32,               /* nested groups */
    DEFLATE_MOST = 1100,           /* more than deflate can ever shrink anything */
    DEFLATE_ID = 1,                /* the number of deflate among HDF5's filters */
    SKIPPED_SHOWN = 4,             /* names in the message when nothing is a site */
    CACHE_MOST = 64 * 1024 * 1024, /* bytes of decompressed chunks kept per site */
    CACHE_SLOTS = 1009
};

/* ---- what is in a file ---- */

typedef struct survey {
    csim_context *ctx;
    const char *path;
    int64_t file_bytes;
    int native; /* follows the schema that `contrasim import` writes */
    csim__catalog *catalog;
    int64_t found, skipped;
    char skipped_text[256];
} survey;

static const char *type_name(nc_type type)
{
    static const char *const name[] = {"an unknown type", "int8",  "char",   "int16",
                                       "int32",           "float", "double", "uint8",
                                       "uint16",          "uint32", "int64", "uint64",
                                       "string"};
    return type < 0 || type > NC_STRING ? "a type made of others" : name[type];
}

/* Remember what was found instead of sites. */
static void skip(survey *s, const char *name, nc_type type, int ndims)
{
    size_t used = strlen(s->skipped_text);
    if (s->skipped++ < SKIPPED_SHOWN) {
        snprintf(s->skipped_text + used, sizeof s->skipped_text - used, "%s%.40s (%s, %d-D)",
                 used == 0 ? "" : ", ", name, type_name(type), ndims);
    }
}

/* Is the variable a float array, and of which element type? */
static csim_status element_type(survey *s, int group, int variable, const char *name, nc_type type,
                                csim_dtype *dtype, int *is)
{
    char *text = NULL;
    *is = type == NC_FLOAT || type == NC_DOUBLE;
    *dtype = type == NC_DOUBLE ? CSIM_F64 : CSIM_F32;
    if (type != NC_USHORT) { return CSIM_OK; }
    csim_status st = csim__nc_text(s->ctx, s->path, group, variable, name, "dtype", 64, &text);
    if (st == CSIM_OK && text != NULL) {
        int half = strcmp(text, csim_dtype_name(CSIM_F16)) == 0;
        *is = half || strcmp(text, csim_dtype_name(CSIM_BF16)) == 0;
        *dtype = half ? CSIM_F16 : CSIM_BF16;
    }
    csim__free(s->ctx, &text);
    return st;
}

/* By how much can the stored bytes of a variable be fewer than its elements say? 0: no bound. */
static int shrink_most(int group, int variable, nc_type type)
{
    size_t n = 0;
    unsigned int id[16];
    /* HDF5 floats of other widths, such as h5py's float16, are shown as float32. */
    int narrower = type == NC_FLOAT ? 2 : 1;
    if (nc_inq_var_filter_ids(group, variable, &n, NULL) != NC_NOERR || n == 0) { return narrower; }
    if (n != 1 || nc_inq_var_filter_ids(group, variable, &n, id) != NC_NOERR ||
        id[0] != DEFLATE_ID) {
        return 0;
    }
    return narrower * DEFLATE_MOST;
}

/* Lengths of the dimensions into the array, checked against the size of the file. */
static csim_status get_shape(survey *s, int group, int variable, nc_type type, const int *dims,
                             csim__array *a)
{
    int64_t bytes = type == NC_DOUBLE ? 8 : type == NC_FLOAT ? 4 : 2;
    int most = shrink_most(group, variable, type);
    int64_t limit = most == 0 || s->file_bytes > INT64_MAX / most ? INT64_MAX : s->file_bytes * most;
    for (int i = 0; i < a->ndim; i++) {
        size_t length = 0;
        int code = nc_inq_dimlen(group, dims[i], &length);
        if (code != NC_NOERR) {
            return csim__nc(s->ctx, code, CSIM_E_FORMAT, s->path, "read a dimension");
        }
        if (length > 0 && (length > (size_t)INT64_MAX || bytes > limit / (int64_t)length)) {
            return csim__fail(s->ctx, CSIM_E_FORMAT,
                              "%s: %s cannot be in the file: dimension %d has length %zu, but the "
                              "file has only %lld bytes",
                              s->path, a->name, i, length, (long long)s->file_bytes);
        }
        a->shape[i] = (int64_t)length;
        bytes = length == 0 ? bytes : bytes * (int64_t)length;
    }
    return CSIM_OK;
}

/* In a native file only arrays over `example` are sites, and not what accompanies them. */
static int is_companion(const survey *s, int group, const char *name, const int *dims)
{
    char dimension[NC_MAX_NAME + 1];
    if (!s->native) { return 0; }
    return nc_inq_dimname(group, dims[0], dimension) != NC_NOERR ||
           strcmp(dimension, "example") != 0 || strncmp(name, "label_", 6) == 0 ||
           strcmp(name, "example_id") == 0 || strcmp(name, "group") == 0;
}

static csim_status scan_variable(survey *s, int group, int variable, const char *prefix)
{
    char own[NC_MAX_NAME + 1], *name = NULL;
    int ndims = 0, dims[NC_MAX_VAR_DIMS], is = 0, has = 0;
    nc_type type = NC_NAT;
    csim__array a = {.path = (char *)s->path, .offset = -1, .layer_index = -1};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__nc(s->ctx, nc_inq_var(group, variable, own, &type, &ndims, dims, NULL),
                      CSIM_E_FORMAT, s->path, "read the description of a variable"));
    CSIM_TRY(csim__format(s->ctx, &name, "%s%s", prefix, own));
    a.name = name;
    CSIM_TRY(element_type(s, group, variable, name, type, &a.dtype, &is));
    if (!is || ndims < 2 || ndims > CSIM__MAX_DIMS || is_companion(s, group, own, dims)) {
        skip(s, name, type, ndims);
        goto done;
    }
    a.ndim = ndims;
    CSIM_TRY(get_shape(s, group, variable, type, dims, &a));
    CSIM_TRY(csim__nc_int(s->ctx, s->path, group, variable, name, "layer_index", &a.layer_index,
                          &has));
    if (!has) { a.layer_index = -1; }
    if (has && a.layer_index < 0) {
        st = csim__fail(s->ctx, CSIM_E_FORMAT, "%s: attribute layer_index of %s is %lld, expected "
                        "0 or more", s->path, name, (long long)a.layer_index);
        goto done;
    }
    s->found++;
    CSIM_TRY(csim__catalog_add(s->ctx, s->catalog, &a));
done:
    csim__free(s->ctx, &name);
    return st;
}

static csim_status scan_group(survey *s, int group, const char *prefix, int depth);

static csim_status scan_groups(survey *s, int group, const char *prefix, int depth)
{
    char own[NC_MAX_NAME + 1], *deeper = NULL;
    int n = 0, *id = NULL;
    csim_status st = CSIM_OK;
    if (nc_inq_grps(group, &n, NULL) != NC_NOERR || n == 0) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(s->ctx, n, sizeof *id, "groups", &id));
    CSIM_TRY(csim__nc(s->ctx, nc_inq_grps(group, &n, id), CSIM_E_FORMAT, s->path,
                      "read the groups"));
    for (int i = 0; i < n; i++) {
        CSIM_TRY(csim__nc(s->ctx, nc_inq_grpname(id[i], own), CSIM_E_FORMAT, s->path,
                          "read the name of a group"));
        CSIM_TRY(csim__format(s->ctx, &deeper, "%s%s/", prefix, own));
        CSIM_TRY(scan_group(s, id[i], deeper, depth + 1));
        csim__free(s->ctx, &deeper);
    }
done:
    csim__free(s->ctx, &deeper);
    csim__free(s->ctx, &id);
    return st;
}

static csim_status scan_group(survey *s, int group, const char *prefix, int depth)
{
    int n = 0, *id = NULL;
    csim_status st = CSIM_OK;
    if (depth > DEPTH_MOST) {
        return csim__fail(s->ctx, CSIM_E_LIMIT, "%s: groups are nested more than %d deep", s->path,
                          (int)DEPTH_MOST);
    }
    CSIM_TRY(csim__nc(s->ctx, nc_inq_nvars(group, &n), CSIM_E_FORMAT, s->path,
                      "count the variables"));
    CSIM_TRY(csim__alloc(s->ctx, n, sizeof *id, "variables", &id));
    CSIM_TRY(csim__nc(s->ctx, nc_inq_varids(group, &n, id), CSIM_E_FORMAT, s->path,
                      "list the variables"));
    for (int i = 0; i < n; i++) { CSIM_TRY(scan_variable(s, group, id[i], prefix)); }
    CSIM_TRY(scan_groups(s, group, prefix, depth));
done:
    csim__free(s->ctx, &id);
    return st;
}

static csim_status scan_open(survey *s, int nc)
{
    char *conventions = NULL;
    nc_type type = NC_NAT;
    int64_t count = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__nc_attribute(s->ctx, s->path, nc, NC_GLOBAL, "the file", "Conventions",
                                INT64_MAX, &type, &count));
    if (type == NC_CHAR || (type == NC_STRING && count == 1)) {
        CSIM_TRY(csim__nc_text(s->ctx, s->path, nc, NC_GLOBAL, "the file", "Conventions", 1 << 16,
                               &conventions));
    }
    s->native = conventions != NULL && strncmp(conventions, "contrasim-", 10) == 0;
    CSIM_TRY(scan_group(s, nc, "", 0));
    if (s->found == 0) {
        st = csim__fail(s->ctx, CSIM_E_FORMAT,
                        "%s has no site, that is, no array of floats with two or more dimensions; "
                        "found %s%s",
                        s->path, s->skipped == 0 ? "nothing" : s->skipped_text,
                        s->skipped > SKIPPED_SHOWN ? ", …" : "");
    }
done:
    csim__free(s->ctx, &conventions);
    return st;
}

static csim_status open_file(csim_context *ctx, const char *path, int *nc)
{
    int code = nc_open(path, NC_NOWRITE, nc);
    if (code != NC_NOERR) { *nc = -1; }
    return csim__nc(ctx, code, CSIM_E_FORMAT, path, "open as netCDF or HDF5");
}

static csim_status scan(csim_context *ctx, const char *path, csim__catalog *catalog)
{
    survey s = {.ctx = ctx, .path = path, .catalog = catalog};
    int nc = -1;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__file_size(ctx, path, &s.file_bytes));
    CSIM_TRY(open_file(ctx, path, &nc));
    CSIM_TRY(scan_open(&s, nc));
done:
    if (nc >= 0) { nc_close(nc); }
    return st;
}

static int probe(const unsigned char *head, size_t len)
{
    static const unsigned char hdf5[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    if (len >= sizeof hdf5 && memcmp(head, hdf5, sizeof hdf5) == 0) { return 1; }
    return len >= 4 && memcmp(head, "CDF", 3) == 0 && (head[3] == 1 || head[3] == 2 || head[3] == 5);
}

/* ---- reading ---- */

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
    CSIM_TRY(open_file(ctx, path, &r->nc));
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
        same = nc_inq_dimlen(o->group, dims[i], &length) == NC_NOERR &&
               (int64_t)length == a->shape[i];
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
    int whole = type == NC_BYTE || type == NC_SHORT || type == NC_INT || type == NC_INT64 ||
                type == NC_UBYTE || type == NC_USHORT || type == NC_UINT || type == NC_UINT64;
    if (!whole || ndims != 1 || from > length || many > length - from) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: %s should be whole numbers, one for each of at least %lld examples; "
                          "it is %s, %d-D, with %zu",
                          r->path, name, (long long)(start + count), type_name(type), ndims, length);
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

const csim__reader csim__format_netcdf = {
    .name = "netcdf",
    .probe = probe,
    .scan = scan,
    .open = open_reader,
    .close = close_reader,
    .read = read_array,
    .read_ids = read_ids,
};
