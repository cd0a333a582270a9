/* Writing tables as netCDF. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "io/netcdf.h"
#include "io/table.h"

enum { DIMS_MOST = 16 };

typedef struct file {
    csim_context *ctx;
    const char *path;
    int nc;
    int dim[DIMS_MOST];
} file;

#define NC_TRY(f, call, what) CSIM_TRY(csim__nc((f)->ctx, (call), CSIM_E_IO, (f)->path, what))

static csim_status put_text(const file *f, int id, const char *name, const char *text)
{
    return csim__nc(f->ctx, nc_put_att_text(f->nc, id, name, strlen(text), text), CSIM_E_IO,
                    f->path, "write an attribute");
}

/* An integer as int where it fits, which every reader knows, else as int64. */
static csim_status put_attribute(const file *f, int id, const csim__table_attribute *a)
{
    if (a->text != NULL) { return put_text(f, id, a->name, a->text); }
    long long whole = a->whole;
    nc_type type = whole < INT_MIN || whole > INT_MAX ? NC_INT64 : NC_INT;
    int code = a->is_real ? nc_put_att_double(f->nc, id, a->name, NC_DOUBLE, 1, &a->real)
                          : nc_put_att_longlong(f->nc, id, a->name, type, 1, &whole);
    return csim__nc(f->ctx, code, CSIM_E_IO, f->path, "write an attribute");
}

static csim_status put_dim(file *f, const csim__table_dim *d, int *dim)
{
    int *index = NULL, id = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, d->size, sizeof *index, "coordinates", &index));
    for (int64_t i = 0; i < d->size; i++) { index[i] = (int)i; }
    NC_TRY(f, nc_def_dim(f->nc, d->name, (size_t)d->size, dim), "define a dimension");
    NC_TRY(f, nc_def_var(f->nc, d->name, NC_INT, 1, dim, &id), "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", d->long_name));
    CSIM_TRY(put_text(f, id, "units", "1"));
    NC_TRY(f, nc_put_var_int(f->nc, id, index), "write a variable");
done:
    csim__free(f->ctx, &index);
    return st;
}

static csim_status put_reals(const file *f, int id, const double *reals, int64_t count)
{
    double *copy = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, count, sizeof *copy, "values", &copy));
    for (int64_t i = 0; i < count; i++) { copy[i] = isnan(reals[i]) ? (double)NAN : reals[i]; }
    NC_TRY(f, nc_put_var_double(f->nc, id, copy), "write a variable");
done:
    csim__free(f->ctx, &copy);
    return st;
}

static csim_status put_integers(const file *f, int id, const int64_t *integers, int64_t count)
{
    long long *copy = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, count, sizeof *copy, "values", &copy));
    for (int64_t i = 0; i < count; i++) { copy[i] = integers[i]; }
    NC_TRY(f, nc_put_var_longlong(f->nc, id, copy), "write a variable");
done:
    csim__free(f->ctx, &copy);
    return st;
}

static csim_status put_texts(const file *f, int id, const char *const *texts, int64_t count)
{
    const char **copy = NULL; /* netCDF's pointers are not const */
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, count, sizeof *copy, "labels", &copy));
    for (int64_t i = 0; i < count; i++) { copy[i] = texts[i]; }
    NC_TRY(f, nc_put_var_string(f->nc, id, copy), "write a variable");
done:
    csim__free(f->ctx, &copy);
    return st;
}

static csim_status put_variable(const file *f, const csim__table *t, const csim__table_variable *v)
{
    int dims[CSIM__TABLE_NDIM] = {0}, id = 0;
    int64_t count = 1;
    double missing = NAN;
    nc_type type = v->reals != NULL ? NC_DOUBLE : v->integers != NULL ? NC_INT64 : NC_STRING;
    csim_status st = CSIM_OK;
    for (int i = 0; i < v->ndim; i++) {
        dims[i] = f->dim[v->dim[i]];
        count *= t->dim[v->dim[i]].size;
    }
    NC_TRY(f, nc_def_var(f->nc, v->name, type, v->ndim, dims, &id), "define a variable");
    if (v->reals != NULL) {
        NC_TRY(f, nc_def_var_fill(f->nc, id, NC_FILL, &missing), "define a variable");
    }
    CSIM_TRY(put_text(f, id, "long_name", v->long_name));
    if (v->units != NULL) { CSIM_TRY(put_text(f, id, "units", v->units)); }
    if (v->coordinates != NULL) { CSIM_TRY(put_text(f, id, "coordinates", v->coordinates)); }
    for (int i = 0; i < v->attributes; i++) { CSIM_TRY(put_attribute(f, id, &v->attribute[i])); }
    if (v->reals != NULL) {
        CSIM_TRY(put_reals(f, id, v->reals, count));
    } else if (v->integers != NULL) {
        CSIM_TRY(put_integers(f, id, v->integers, count));
    } else {
        CSIM_TRY(put_texts(f, id, v->texts, count));
    }
done:
    return st;
}

csim_status csim__table_store(csim_context *ctx, const csim__table *t, const char *path,
                              void **image, int64_t *bytes)
{
    file f = {.ctx = ctx, .path = path, .nc = -1};
    char sum[48];
    csim_status st = CSIM_OK;
    *image = NULL;
    if (t->dims > DIMS_MOST) {
        return csim__fail(ctx, CSIM_E_INTERNAL, "a table has %d dimensions, at most %d are kept",
                          t->dims, DIMS_MOST);
    }
    csim__table_checksum(t, sum);
    CSIM_TRY(csim__nc_image_start(ctx, path, &f.nc));
    NC_TRY(&f, nc_set_fill(f.nc, NC_NOFILL, NULL), "make the file");
    for (int i = 0; i < t->attributes; i++) {
        CSIM_TRY(put_attribute(&f, NC_GLOBAL, &t->attribute[i]));
    }
    CSIM_TRY(put_text(&f, NC_GLOBAL, "checksum", sum));
    for (int i = 0; i < t->dims; i++) { CSIM_TRY(put_dim(&f, &t->dim[i], &f.dim[i])); }
    for (int i = 0; i < t->variables; i++) { CSIM_TRY(put_variable(&f, t, &t->variable[i])); }
    int nc = f.nc;
    f.nc = -1;
    CSIM_TRY(csim__nc_image_finish(ctx, path, nc, image, bytes));
done:
    if (f.nc >= 0) { nc_close(f.nc); }
    return st;
}

void csim__table_image_free(void **image)
{
    csim__nc_image_free(image);
}
