/* What is a site in a netCDF or HDF5 file. Files are untrusted: only what fits the size of the file
 * is believed.
 *
 * Sites are the arrays of two and more dimensions of float32 or float64, or of 16-bit patterns
 * marked by the attribute `dtype`. Groups are walked; names are joined by '/'. */
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/format.h"
#include "io/netcdf.h"

#include <netcdf_filter.h> /* needs netcdf.h before it */

enum {
    DEPTH_MOST = 32,     /* nested groups */
    DEFLATE_MOST = 1100, /* more than deflate can ever shrink anything */
    OTHER_MOST = 65536,  /* more than zstd or bzip2 can */
    DEFLATE_ID = 1,      /* numbers of HDF5's filters; the next two do not shrink */
    SHUFFLE_ID = 2,
    FLETCHER32_ID = 3,
    FILTERS_MOST = 32, /* the limit of HDF5 */
    SKIPPED_SHOWN = 4  /* names in the message when nothing is a site */
};

typedef struct survey {
    csim_context *ctx;
    const char *path;
    int64_t file_bytes;
    int native; /* follows the schema that `contrasim import` writes */
    csim__catalog *catalog;
    int64_t found, skipped;
    char skipped_text[256];
} survey;

/* Remember what was found instead of sites. */
static void skip(survey *s, const char *name, nc_type type, int ndims)
{
    size_t used = strlen(s->skipped_text);
    if (s->skipped++ < SKIPPED_SHOWN) {
        snprintf(s->skipped_text + used, sizeof s->skipped_text - used, "%s%.40s (%s, %d-D)",
                 used == 0 ? "" : ", ", name, csim__nc_type_name(type), ndims);
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
        if (!*is && s->native) {
            st = csim__fail(s->ctx, CSIM_E_FORMAT,
                            "%s: attribute dtype of %s is '%s', expected float16 or bfloat16",
                            s->path, name, text);
        }
    }
    csim__free(s->ctx, &text);
    return st;
}

/* By how much can the stored bytes of a variable be fewer than its elements say? What was never
 * written takes no bytes, but then there is nothing to compare. */
static int shrink_most(int group, int variable, nc_type type)
{
    size_t n = 0;
    unsigned int id[FILTERS_MOST] = {0};
    /* HDF5 floats of other widths, such as h5py's float16, are shown as float32. */
    int narrower = type == NC_FLOAT ? 2 : 1, most = 1;
    if (nc_inq_var_filter_ids(group, variable, &n, NULL) != NC_NOERR || n == 0) { return narrower; }
    if (n > FILTERS_MOST || nc_inq_var_filter_ids(group, variable, &n, id) != NC_NOERR) {
        return narrower * OTHER_MOST;
    }
    for (size_t i = 0; i < n; i++) {
        int one = id[i] == DEFLATE_ID                             ? DEFLATE_MOST
                  : id[i] == SHUFFLE_ID || id[i] == FLETCHER32_ID ? 1
                                                                  : OTHER_MOST;
        most = one > most ? one : most;
    }
    return narrower * most;
}

/* Lengths of the dimensions into the array, checked against the size of the file. */
static csim_status get_shape(survey *s, int group, int variable, nc_type type, const int *dims,
                             csim__array *a)
{
    int64_t bytes = type == NC_DOUBLE ? 8 : type == NC_FLOAT ? 4 : 2;
    int most = shrink_most(group, variable, type);
    int64_t limit = s->file_bytes > INT64_MAX / most ? INT64_MAX : s->file_bytes * most;
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

/* Ids that cannot be used must not pass for none. */
static csim_status check_ids(survey *s, const char *name, nc_type type, int ndims)
{
    char text[96];
    if (strcmp(name, "example_id") != 0 || (csim__nc_is_whole(type) && ndims == 1)) {
        return CSIM_OK;
    }
    snprintf(text, sizeof text, "a variable of type %s with %d dimensions",
             csim__nc_type_name(type), ndims);
    return csim__refuse_ids(s->ctx, s->path, text);
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
    CSIM_TRY(check_ids(s, name, type, ndims));
    CSIM_TRY(element_type(s, group, variable, name, type, &a.dtype, &is));
    if (!is || ndims < 2 || ndims > CSIM__MAX_DIMS || is_companion(s, group, own, dims)) {
        skip(s, name, type, ndims);
        goto done;
    }
    a.ndim = ndims;
    CSIM_TRY(get_shape(s, group, variable, type, dims, &a));
    CSIM_TRY(
        csim__nc_int(s->ctx, s->path, group, variable, name, "layer_index", &a.layer_index, &has));
    if (!has) { a.layer_index = -1; }
    if (has && a.layer_index < 0) {
        st = csim__fail(s->ctx, CSIM_E_FORMAT,
                        "%s: attribute layer_index of %s is %lld, expected "
                        "0 or more",
                        s->path, name, (long long)a.layer_index);
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
    CSIM_TRY(
        csim__nc(s->ctx, nc_inq_grps(group, &n, id), CSIM_E_FORMAT, s->path, "read the groups"));
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
    CSIM_TRY(
        csim__nc(s->ctx, nc_inq_nvars(group, &n), CSIM_E_FORMAT, s->path, "count the variables"));
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

csim_status csim__nc_scan(csim_context *ctx, const char *path, csim__catalog *catalog)
{
    survey s = {.ctx = ctx, .path = path, .catalog = catalog};
    int nc = -1;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__file_size(ctx, path, &s.file_bytes));
    CSIM_TRY(csim__nc_open(ctx, path, &nc));
    CSIM_TRY(scan_open(&s, nc));
done:
    if (nc >= 0) { nc_close(nc); }
    return st;
}
