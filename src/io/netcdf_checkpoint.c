/* A checkpoint as netCDF: attributes of the file, dimensions, variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint_private.h"
#include "io/netcdf.h"

#include <netcdf_mem.h> /* needs netcdf.h before it */

/* A file being written or read. */
typedef struct file {
    csim_context *ctx;
    const char *path;
    csim_status otherwise; /* status of its failures, see csim__nc() */
    int nc;
} file;

#define NC_TRY(f, call, what) CSIM_TRY(csim__nc((f)->ctx, (call), (f)->otherwise, (f)->path, what))

static const nc_type type_of[] = {
    [CSIM__FLOAT32] = NC_FLOAT, [CSIM__FLOAT64] = NC_DOUBLE, [CSIM__INT64] = NC_INT64};

static void conventions(char text[32])
{
    snprintf(text, 32, "%s%d", CSIM__ENCODER_FORMAT, CSIM__ENCODER_VERSION);
}

/* ---- writing ---- */

static csim_status put_text(const file *f, int id, const char *name, const char *text)
{
    return csim__nc(f->ctx, nc_put_att_text(f->nc, id, name, strlen(text), text), f->otherwise,
                    f->path, "write an attribute");
}

static csim_status put_value(const file *f, const csim__value *v)
{
    long long whole = v->whole;
    if (v->kind == CSIM__TEXT) { return put_text(f, NC_GLOBAL, v->name, v->text); }
    int code = v->kind == CSIM__WHOLE
                   ? nc_put_att_longlong(f->nc, NC_GLOBAL, v->name, NC_INT64, 1, &whole)
                   : nc_put_att_double(f->nc, NC_GLOBAL, v->name, NC_DOUBLE, 1, &v->real);
    return csim__nc(f->ctx, code, f->otherwise, f->path, "write an attribute");
}

/* The dimension of that name, made at its first use. A fixed dimension of size 0 is not known to
 * netCDF, but one that can grow and never did is. */
static csim_status put_dimension(const file *f, const char *name, int64_t size, int *id)
{
    if (nc_inq_dimid(f->nc, name, id) == NC_NOERR) { return CSIM_OK; }
    size_t length = size == 0 ? NC_UNLIMITED : (size_t)size;
    return csim__nc(f->ctx, nc_def_dim(f->nc, name, length, id), f->otherwise, f->path,
                    "define a dimension");
}

static csim_status define_field(const file *f, const csim__field *a)
{
    int dims[3] = {0, 0, 0}, id = 0;
    csim_status st = CSIM_OK;
    for (int i = 0; i < a->ndim; i++) {
        CSIM_TRY(put_dimension(f, a->dim[i], a->size[i], &dims[i]));
    }
    NC_TRY(f, nc_def_var(f->nc, a->name, type_of[a->type], a->ndim, dims, &id),
           "define a variable");
    NC_TRY(f, nc_def_var_endian(f->nc, id, NC_ENDIAN_LITTLE), "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", a->long_name));
done:
    return st;
}

static csim_status put_data(const file *f, const csim__field *a)
{
    int id = 0;
    csim_status st = CSIM_OK;
    if (csim__field_bytes(a) == 0) { return CSIM_OK; }
    NC_TRY(f, nc_inq_varid(f->nc, a->name, &id), "find a variable");
    NC_TRY(f, nc_put_var(f->nc, id, a->data), "write a variable");
done:
    return st;
}

static csim_status append_seal(csim_context *ctx, void **image, int64_t *bytes)
{
    char *longer = realloc(*image, (size_t)*bytes + CSIM__SEAL); /* netCDF's, from malloc() */
    if (longer == NULL) {
        return csim__fail(ctx, CSIM_E_MEM, "out of memory: a checkpoint's file needs %lld bytes",
                          (long long)*bytes + CSIM__SEAL);
    }
    csim__checkpoint_seal(longer, *bytes, CSIM__ENCODER_VERSION, longer + *bytes);
    *image = longer;
    *bytes += CSIM__SEAL;
    return CSIM_OK;
}

csim_status csim__checkpoint_store(const csim__checkpoint *c, const char *path, void **image,
                                   int64_t *bytes)
{
    file f = {.ctx = c->ctx, .path = path, .otherwise = CSIM_E_IO, .nc = -1};
    char text[32], sum[CSIM__CHECKSUM];
    csim_status st = CSIM_OK;
    *image = NULL;
    *bytes = 0;
    conventions(text);
    CSIM_TRY(csim__checkpoint_checksum(c, sum));
    CSIM_TRY(csim__nc_image_start(c->ctx, path, &f.nc));
    NC_TRY(&f, nc_set_fill(f.nc, NC_NOFILL, NULL), "make the file");
    CSIM_TRY(put_text(&f, NC_GLOBAL, "Conventions", text));
    for (int i = 0; i < c->values; i++) { CSIM_TRY(put_value(&f, &c->value[i])); }
    CSIM_TRY(put_text(&f, NC_GLOBAL, "checksum", sum));
    for (int i = 0; i < c->fields; i++) { CSIM_TRY(define_field(&f, &c->field[i])); }
    NC_TRY(&f, nc_enddef(f.nc), "define the file");
    for (int i = 0; i < c->fields; i++) { CSIM_TRY(put_data(&f, &c->field[i])); }
    int nc = f.nc;
    f.nc = -1;
    CSIM_TRY(csim__nc_image_finish(c->ctx, path, nc, image, bytes));
    CSIM_TRY(append_seal(c->ctx, image, bytes));
done:
    if (f.nc >= 0) { nc_close(f.nc); }
    return st;
}

void csim__checkpoint_image_free(void **image)
{
    csim__nc_image_free(image);
}

/* ---- reading ---- */

static csim_status wrong(const file *f, const char *what, const char *name)
{
    return csim__fail(f->ctx, CSIM_E_FORMAT, "%s is not a whole encoder checkpoint: %s%s", f->path,
                      what, name);
}

static csim_status get_text(const file *f, int id, const char *of, const char *name, char **text)
{
    csim_status st =
        csim__nc_text(f->ctx, f->path, f->nc, id, of, name, CSIM__CHECKPOINT_TEXT, text);
    if (st == CSIM_OK && *text == NULL) { st = wrong(f, "it lacks attribute ", name); }
    return st;
}

static csim_status check_kind(const file *f)
{
    char want[32], *found = NULL;
    int groups = 0, types = 0;
    csim_status st = CSIM_OK;
    conventions(want);
    CSIM_TRY(get_text(f, NC_GLOBAL, "the file", "Conventions", &found));
    if (strcmp(found, want) != 0) { CSIM_TRY(wrong(f, "its Conventions are not ", want)); }
    NC_TRY(f, nc_inq_grps(f->nc, &groups, NULL), "count the groups");
    NC_TRY(f, nc_inq_typeids(f->nc, &types, NULL), "count the types");
    if (groups != 0 || types != 0) { CSIM_TRY(wrong(f, "it has groups or types of its own", "")); }
done:
    csim__free(f->ctx, &found);
    return st;
}

static csim_status get_value(const file *f, csim__checkpoint *c, const char *name)
{
    csim__value v = {.name = name, .kind = CSIM__WHOLE};
    nc_type type = NC_NAT;
    int64_t n = 0;
    long long whole = 0;
    char *text = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__nc_attribute(f->ctx, f->path, f->nc, NC_GLOBAL, "the file", name,
                                CSIM__CHECKPOINT_TEXT, &type, &n));
    if (type == NC_CHAR || type == NC_STRING) {
        CSIM_TRY(get_text(f, NC_GLOBAL, "the file", name, &text));
        v.kind = CSIM__TEXT;
        v.text = text;
    } else if (type == NC_INT64 && n == 1) {
        NC_TRY(f, nc_get_att_longlong(f->nc, NC_GLOBAL, name, &whole), "read an attribute");
        v.whole = whole;
    } else if (type == NC_DOUBLE && n == 1) {
        NC_TRY(f, nc_get_att_double(f->nc, NC_GLOBAL, name, &v.real), "read an attribute");
        v.kind = CSIM__REAL;
    } else {
        CSIM_TRY(wrong(f, "neither a text nor one int64 or double is attribute ", name));
    }
    CSIM_TRY(csim__checkpoint_set(c, &v));
done:
    csim__free(f->ctx, &text);
    return st;
}

static csim_status get_values(const file *f, csim__checkpoint *c)
{
    char name[NC_MAX_NAME + 1];
    int n = 0;
    csim_status st = CSIM_OK;
    NC_TRY(f, nc_inq_natts(f->nc, &n), "read the attributes");
    for (int i = 0; i < n; i++) {
        NC_TRY(f, nc_inq_attname(f->nc, NC_GLOBAL, i, name), "read the attributes");
        if (strcmp(name, "Conventions") != 0 && strcmp(name, "checksum") != 0) {
            CSIM_TRY(get_value(f, c, name));
        }
    }
done:
    return st;
}

/* What the file says about variable `id`; the long name is new. */
static csim_status get_about(const file *f, int id, char name[4][NC_MAX_NAME + 1], char **long_name,
                             csim__field *a)
{
    nc_type type = NC_NAT;
    int attributes = 0, dims[3] = {0, 0, 0};
    size_t length = 0;
    csim_status st = CSIM_OK;
    NC_TRY(f, nc_inq_var(f->nc, id, name[3], &type, &a->ndim, NULL, &attributes),
           "read a variable");
    a->name = name[3];
    int known = -1;
    for (int t = 0; t < (int)(sizeof type_of / sizeof *type_of); t++) {
        if (type_of[t] == type) { known = t; }
    }
    if (known < 0) { CSIM_TRY(wrong(f, "float, double or int64 is not the type of ", a->name)); }
    a->type = (csim__field_type)known;
    if (a->ndim < 1 || a->ndim > 3) {
        CSIM_TRY(wrong(f, "other than 1 to 3 dimensions has variable ", a->name));
    }
    NC_TRY(f, nc_inq_vardimid(f->nc, id, dims), "read a variable");
    for (int i = 0; i < a->ndim; i++) {
        NC_TRY(f, nc_inq_dim(f->nc, dims[i], name[i], &length), "read a dimension");
        a->dim[i] = name[i];
        a->size[i] = length > INT64_MAX ? INT64_MAX : (int64_t)length;
    }
    CSIM_TRY(get_text(f, id, a->name, "long_name", long_name));
    a->long_name = *long_name;
    if (attributes != 1) { CSIM_TRY(wrong(f, "an unknown attribute has variable ", a->name)); }
done:
    return st;
}

/* Variable `id` as a field. Before anything is allocated for it, the file must have the bytes:
 * they are never compressed, and each is some field's. */
static csim_status get_field(const file *f, csim__checkpoint *c, int id, int64_t *left)
{
    char name[4][NC_MAX_NAME + 1], *long_name = NULL;
    csim__field a = {.name = NULL};
    csim_status st = CSIM_OK;
    CSIM_TRY(get_about(f, id, name, &long_name, &a));
    double bytes = a.type == CSIM__FLOAT32 ? 4 : 8;
    for (int i = 0; i < a.ndim; i++) { bytes *= (double)a.size[i]; }
    if (bytes > (double)*left) { CSIM_TRY(wrong(f, "it is too small for variable ", a.name)); }
    *left -= (int64_t)bytes;
    CSIM_TRY(csim__checkpoint_add(c, &a));
    if (bytes > 0) {
        NC_TRY(f, nc_get_var(f->nc, id, csim__checkpoint_field(c, a.name)->data),
               "read a variable");
    }
done:
    csim__free(f->ctx, &long_name);
    return st;
}

static csim_status get_fields(const file *f, csim__checkpoint *c, int64_t bytes)
{
    int n = 0, dims = 0, used = 0;
    csim_status st = CSIM_OK;
    NC_TRY(f, nc_inq(f->nc, &dims, &n, NULL, NULL), "read the variables");
    for (int id = 0; id < n; id++) { CSIM_TRY(get_field(f, c, id, &bytes)); }
    for (int i = 0; i < dims; i++) {
        char name[NC_MAX_NAME + 1];
        NC_TRY(f, nc_inq_dimname(f->nc, i, name), "read a dimension");
        used = 0;
        for (int k = 0; k < c->fields && !used; k++) {
            const csim__field *a = &c->field[k];
            for (int j = 0; j < a->ndim; j++) { used |= strcmp(a->dim[j], name) == 0; }
        }
        if (!used) { CSIM_TRY(wrong(f, "no variable has dimension ", name)); }
    }
done:
    return st;
}

static csim_status check_sum(const file *f, const csim__checkpoint *c)
{
    char *kept = NULL, sum[CSIM__CHECKSUM];
    csim_status st = CSIM_OK;
    CSIM_TRY(get_text(f, NC_GLOBAL, "the file", "checksum", &kept));
    CSIM_TRY(csim__checkpoint_checksum(c, sum));
    if (strcmp(kept, sum) != 0) {
        st = csim__fail(f->ctx, CSIM_E_FORMAT,
                        "%s was changed: its content has checksum %s, expected %.64s", f->path, sum,
                        kept);
    }
done:
    csim__free(f->ctx, &kept);
    return st;
}

csim_status csim__checkpoint_load(csim__checkpoint *c, void *image, int64_t bytes)
{
    file f = {.ctx = c->ctx, .path = c->path, .otherwise = CSIM_E_FORMAT, .nc = -1};
    csim_status st = CSIM_OK;
    /* The name means nothing, and cannot be taken for an address. */
    int code = nc_open_mem("checkpoint", NC_NOWRITE, (size_t)bytes, image, &f.nc);
    if (code != NC_NOERR) { f.nc = -1; }
    NC_TRY(&f, code, "open as netCDF");
    CSIM_TRY(check_kind(&f));
    CSIM_TRY(get_values(&f, c));
    CSIM_TRY(get_fields(&f, c, bytes));
    CSIM_TRY(check_sum(&f, c));
done:
    if (f.nc >= 0) { nc_close(f.nc); }
    return st == CSIM_E_ARG ? CSIM_E_FORMAT : st; /* what the file says is no argument */
}
