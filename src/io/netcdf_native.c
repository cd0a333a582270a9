/* The native file of `contrasim import`: one netCDF-4 file a set, written by all ranks. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "contrasim/native.h"
#include "core/shard.h"
#include "io/narrow.h"
#include "io/netcdf_parallel.h"
#include "io/raw.h"
#include "io/set.h"

enum {
    LABELS_MOST = 1024,      /* labels taken along */
    ATTRIBUTE_MOST = 1 << 20 /* bytes of a text attribute taken along */
};

/* Whole numbers beside the examples: example_id, group, a label. */
typedef struct column {
    char name[NC_MAX_NAME + 1];
    int id, source; /* variables here and in the set's own netCDF file; -1 = no such */
} column;

/* The file while it is written. The metadata calls are the same on every rank. */
typedef struct native {
    csim_context *ctx;
    csim_set *set;
    const csim_native_options *options;
    csim_shard shard;
    const char *path; /* the name it will have, for messages */
    csim__nc_parallel file;
    int source; /* the set's first file where that is netCDF, else -1 */
    char *dataset;
    int example; /* dimension */
    char (*name)[NC_MAX_NAME + 1];
    int *id; /* [sites] variables */
    column *column;
    int columns;
} native;

#define NC_TRY(f, call, what) CSIM_TRY(csim__nc((f)->ctx, (call), CSIM_E_IO, (f)->path, what))

/* ---- what will be written ---- */

/* What was averaged is not a number of the narrow type any more. */
static csim_dtype stored_type(const csim_set *set, int site)
{
    return set->site[site].view.pool == CSIM_POOL_MEAN ? CSIM_F64 : set->site[site].info.dtype;
}

static nc_type variable_type(csim_dtype dtype)
{
    return dtype == CSIM_F64 ? NC_DOUBLE : dtype == CSIM_F32 ? NC_FLOAT : NC_USHORT;
}

/* The name that a layer would get is taken, by layer @p other or (NULL) by the schema. */
static csim_status fail_name(native *f, int site, const char *other)
{
    const csim_site_info *info = csim_set_site(f->set, site);
    return csim__fail(f->ctx, CSIM_E_ARG,
                      "set %s: layer '%s' would become variable '%s', which is %s%s%s; rename it in"
                      " file %s, or choose the other layers with --layers",
                      csim_set_name(f->set), info->name, f->name[site],
                      other == NULL ? "reserved in native files" : "also what layer '",
                      other == NULL ? "" : other, other == NULL ? "" : "' becomes", info->file);
}

/* A layer's name as netCDF allows it: no '/', no control characters, no blank at the end. */
static csim_status make_name(native *f, int site)
{
    const char *from = csim_set_site(f->set, site)->name;
    char *to = f->name[site];
    size_t n = strlen(from);
    if (n == 0 || n + 8 > NC_MAX_NAME) {
        return csim__fail(f->ctx, CSIM_E_ARG,
                          "set %s: a layer's name of %zu bytes cannot be the "
                          "name of a variable, expected 1 to %d",
                          csim_set_name(f->set), n, NC_MAX_NAME - 8);
    }
    memcpy(to, from, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (to[i] == '/') { to[i] = '.'; }
        if ((unsigned char)to[i] < 0x20 || to[i] == 0x7f || (to[i] == ' ' && i + 1 == n)) {
            to[i] = '_';
        }
    }
    if (strchr(".-+@ !\"#$%&'()*,:;<=>?[\\]^`{|}~", to[0]) != NULL) { to[0] = '_'; }
    if (csim__is_annotation(to) || strcmp(to, "example") == 0 || strncmp(to, "neuron_", 7) == 0) {
        return fail_name(f, site, NULL);
    }
    for (int i = 0; i < site; i++) {
        if (strcmp(f->name[i], to) == 0) {
            return fail_name(f, site, csim_set_site(f->set, i)->name);
        }
    }
    return CSIM_OK;
}

static csim_status add_column(native *f, const char *name)
{
    const csim__site *from = NULL;
    int64_t none = 0;
    for (int i = 0; i < f->columns; i++) {
        if (strcmp(f->column[i].name, name) == 0) { return CSIM_OK; }
    }
    int room = f->columns < LABELS_MOST && strlen(name) <= NC_MAX_NAME;
    csim_status st = room ? csim__set_column(f->set, 0, name, 0, 0, &none, &from) : CSIM_OK;
    if (st != CSIM_OK) { return st; }
    if (from == NULL) {
        csim__log(f->ctx, CSIM_LOG_WARNING, "%s of set %s is left out, expected %s", name,
                  csim_set_name(f->set),
                  room ? "whole numbers of one dimension" : "fewer labels, or a shorter name");
        return CSIM_OK;
    }
    column *c = &f->column[f->columns++];
    snprintf(c->name, sizeof c->name, "%s", name);
    c->source = -1;
    return CSIM_OK;
}

/* All that accompanies the examples, ids and groups first. */
static csim_status find_columns(native *f)
{
    csim_status st = CSIM_OK;
    char *name = NULL;
    for (int labels = 0; labels < 2; labels++) {
        for (int64_t i = 0;; i++) {
            CSIM_TRY(csim__set_list(f->set, 0, i, &name));
            if (name == NULL) { break; }
            if (labels == (strncmp(name, "label_", 6) == 0)) { CSIM_TRY(add_column(f, name)); }
            csim__free(f->ctx, &name);
        }
    }
done:
    csim__free(f->ctx, &name);
    return st;
}

/* The set's first file where that is netCDF: it may say more about the columns and the data. */
static csim_status open_source(native *f)
{
    const csim__set_file *first = &f->set->file[f->set->site[0].part[0].file];
    csim_status st = CSIM_OK;
    int variable = 0;
    if (first->format != &csim__format_netcdf) { return CSIM_OK; }
    int code = nc_open(first->path, NC_NOWRITE, &f->source);
    if (code != NC_NOERR) { f->source = -1; }
    CSIM_TRY(csim__nc(f->ctx, code, CSIM_E_FORMAT, first->path, "open for its labels"));
    for (int c = 0; c < f->columns; c++) {
        if (nc_inq_varid(f->source, f->column[c].name, &variable) == NC_NOERR) {
            f->column[c].source = variable;
        }
    }
    st = csim__nc_text(f->ctx, first->path, f->source, NC_GLOBAL, "the file", "dataset",
                       ATTRIBUTE_MOST, &f->dataset);
done:
    return st;
}

/* Local: names, columns, the set's own file. */
static csim_status plan(native *f)
{
    int sites = csim_set_site_count(f->set);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(f->ctx, sites, sizeof *f->name, "names of variables", &f->name));
    CSIM_TRY(csim__calloc(f->ctx, sites, sizeof *f->id, "variables", &f->id));
    CSIM_TRY(csim__calloc(f->ctx, LABELS_MOST, sizeof *f->column, "labels", &f->column));
    for (int i = 0; i < sites; i++) { CSIM_TRY(make_name(f, i)); }
    CSIM_TRY(find_columns(f));
    CSIM_TRY(open_source(f));
done:
    return st;
}

/* ---- the file ---- */

static csim_status put_text(native *f, int id, const char *name, const char *text)
{
    return csim__nc_parallel_text(&f->file, id, name, text);
}

static csim_status put_global(native *f)
{
    const csim_native_options *o = f->options;
    char now[32], source[64], *history = NULL, *title = NULL;
    time_t t = time(NULL);
    csim_status st = CSIM_OK;
    /* Attributes must be the same on every rank, the clocks need not be. */
    MPI_Bcast(&t, (int)sizeof t, MPI_BYTE, 0, csim_context_comm(f->ctx));
    struct tm utc;
    if (gmtime_r(&t, &utc) == NULL) { memset(&utc, 0, sizeof utc); }
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(source, sizeof source, "contrasim %s", csim_version());
    CSIM_TRY(csim__format(f->ctx, &title, "Activations of %s", csim_set_name(f->set)));
    CSIM_TRY(csim__format(f->ctx, &history, "%s: %s", now,
                          o->command == NULL ? "contrasim import" : o->command));
    CSIM_TRY(put_text(f, NC_GLOBAL, "Conventions", "contrasim-1"));
    CSIM_TRY(put_text(f, NC_GLOBAL, "title", o->title == NULL ? title : o->title));
    CSIM_TRY(put_text(f, NC_GLOBAL, "model", csim_set_name(f->set)));
    CSIM_TRY(put_text(f, NC_GLOBAL, "dataset", o->dataset == NULL ? f->dataset : o->dataset));
    CSIM_TRY(put_text(f, NC_GLOBAL, "source", source));
    CSIM_TRY(put_text(f, NC_GLOBAL, "history", history));
done:
    csim__free(f->ctx, &history);
    csim__free(f->ctx, &title);
    return st;
}

static csim_status define_site(native *f, int site)
{
    const csim_site_info *info = csim_set_site(f->set, site);
    csim_dtype dtype = stored_type(f->set, site);
    char dimension[NC_MAX_NAME + 8];
    int dims[2] = {f->example, 0}, id = 0;
    csim_status st = CSIM_OK;
    snprintf(dimension, sizeof dimension, "neuron_%s", f->name[site]);
    NC_TRY(f, nc_def_dim(f->file.nc, dimension, (size_t)info->d, &dims[1]), "define a dimension");
    NC_TRY(f, nc_def_var(f->file.nc, f->name[site], variable_type(dtype), 2, dims, &id),
           "define a variable");
    f->id[site] = id;
    NC_TRY(f, nc_def_var_fill(f->file.nc, id, NC_NOFILL, NULL), "define a variable");
    NC_TRY(f, nc_def_var_chunking(f->file.nc, id, NC_CONTIGUOUS, NULL), "define the layout");
    NC_TRY(f, nc_put_att_int(f->file.nc, id, "layer_index", NC_INT, 1, &site),
           "write an attribute");
    CSIM_TRY(put_text(f, id, "units", "1"));
    if (variable_type(dtype) == NC_USHORT) {
        CSIM_TRY(put_text(f, id, "dtype", csim_dtype_name(dtype)));
    }
    if (strcmp(f->name[site], info->name) != 0) {
        CSIM_TRY(put_text(f, id, "long_name", info->name));
    }
done:
    return st;
}

/* A column with the text attributes of its source, such as the names of the classes. */
static csim_status define_column(native *f, column *c)
{
    char name[NC_MAX_NAME + 1], *text = NULL;
    int n = 0;
    csim_status st = CSIM_OK;
    nc_type type = NC_INT64;
    if (c->source >= 0 && nc_inq_vartype(f->source, c->source, &type) != NC_NOERR) {
        type = NC_INT64;
    }
    NC_TRY(f, nc_def_var(f->file.nc, c->name, type, 1, &f->example, &c->id), "define a variable");
    NC_TRY(f, nc_def_var_fill(f->file.nc, c->id, NC_NOFILL, NULL), "define a variable");
    if (c->source < 0 || nc_inq_varnatts(f->source, c->source, &n) != NC_NOERR) { return st; }
    for (int i = 0; i < n; i++) {
        if (nc_inq_attname(f->source, c->source, i, name) != NC_NOERR ||
            nc_inq_atttype(f->source, c->source, name, &type) != NC_NOERR || type != NC_CHAR) {
            continue;
        }
        CSIM_TRY(csim__nc_text(f->ctx, f->set->path, f->source, c->source, c->name, name,
                               ATTRIBUTE_MOST, &text));
        CSIM_TRY(put_text(f, c->id, name, text));
        csim__free(f->ctx, &text);
    }
done:
    csim__free(f->ctx, &text);
    return st;
}

static csim_status define(native *f)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(put_global(f));
    NC_TRY(f, nc_def_dim(f->file.nc, "example", (size_t)f->shard.n, &f->example),
           "define a dimension");
    for (int i = 0; i < csim_set_site_count(f->set); i++) { CSIM_TRY(define_site(f, i)); }
    for (int i = 0; i < f->columns; i++) { CSIM_TRY(define_column(f, &f->column[i])); }
    NC_TRY(f, nc_enddef(f->file.nc), "define the file");
done:
    return st;
}

/* ---- values ---- */

static csim_status check_finite(native *f, int site, const double *x, int64_t row, int64_t n)
{
    const csim_site_info *info = csim_set_site(f->set, site);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            int64_t stored = 0;
            const char *file = csim_set_locate(f->set, site, row + i / info->d, &stored);
            return csim__fail(f->ctx, CSIM_E_DATA,
                              "%s: site %s: %s at row %lld, column %lld, expected finite values "
                              "(drop such examples with --nan drop-rows)",
                              file, info->name, isnan(x[i]) ? "NaN" : "an infinity",
                              (long long)stored, (long long)(i % info->d));
        }
    }
    return CSIM_OK;
}

static int put_block(int nc, int id, csim_dtype dtype, const size_t *start, const size_t *count,
                     const double *x)
{
    if (dtype == CSIM_F64) { return nc_put_vara_double(nc, id, start, count, x); }
    if (dtype == CSIM_F32) { return nc_put_vara_float(nc, id, start, count, (const void *)x); }
    return nc_put_vara_ushort(nc, id, start, count, (const void *)x);
}

/* Every rank writes on its own: in a collective write one that fails, on a full disk say, would
 * keep the others waiting for ever. */
static csim_status write_site(native *f, int site, double *x)
{
    const csim_site_info *info = csim_set_site(f->set, site);
    csim_dtype dtype = stored_type(f->set, site);
    csim_status st = CSIM_OK;
    for (int64_t c = f->shard.first; c < f->shard.first + f->shard.count; c++) {
        int64_t row = csim__chunk_row(&f->shard, c), rows = csim__chunk_rows(&f->shard, c);
        size_t start[2] = {(size_t)row, 0}, count[2] = {(size_t)rows, (size_t)info->d};
        CSIM_TRY(csim_set_read(f->set, site, row, rows, x));
        CSIM_TRY(check_finite(f, site, x, row, rows * info->d));
        csim__narrow(dtype, x, rows * info->d);
        NC_TRY(f, put_block(f->file.nc, f->id[site], dtype, start, count, x), "write a site");
    }
done:
    return csim__vote(f->ctx, st);
}

static csim_status write_column(native *f, const column *c)
{
    long long *v = NULL;
    int64_t rows = f->shard.rows;
    const csim__site *from = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, rows, sizeof *v, "labels", &v));
    _Static_assert(sizeof(long long) == sizeof(int64_t), "labels are read in place");
    CSIM_TRY(csim__set_column(f->set, 0, c->name, f->shard.row0, rows, (int64_t *)v, &from));
    if (from == NULL && rows > 0) {
        st = csim__fail(f->ctx, CSIM_E_DATA, "%s: %s is missing in some of the files",
                        csim_set_path(f->set), c->name);
        goto done;
    }
    size_t start = (size_t)f->shard.row0, count = (size_t)rows;
    if (rows > 0) {
        NC_TRY(f, nc_put_vara_longlong(f->file.nc, c->id, &start, &count, v), "write labels");
    }
done:
    csim__free(f->ctx, &v);
    return csim__vote(f->ctx, st);
}

static csim_status write_values(native *f)
{
    double *x = NULL;
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    for (int i = 0; i < csim_set_site_count(f->set); i++) {
        widest = csim__max64(widest, csim_set_site(f->set, i)->d);
    }
    st = csim__alloc(f->ctx, f->shard.chunk * widest, sizeof *x, "a chunk", &x);
    CSIM_TRY(csim__vote(f->ctx, st));
    for (int i = 0; i < csim_set_site_count(f->set); i++) { CSIM_TRY(write_site(f, i, x)); }
    for (int i = 0; i < f->columns; i++) { CSIM_TRY(write_column(f, &f->column[i])); }
done:
    csim__free(f->ctx, &x);
    return st;
}

/* ---- the whole ---- */

/* What the file takes, and more. */
static int64_t bytes_of(const native *f)
{
    int64_t bytes = 65536;
    for (int i = 0; i < csim_set_site_count(f->set); i++) {
        csim_dtype dtype = stored_type(f->set, i);
        int64_t size = dtype == CSIM_F64 ? 8 : dtype == CSIM_F32 ? 4 : 2;
        bytes += f->shard.n * csim_set_site(f->set, i)->d * size + 4096;
    }
    return bytes + f->shard.n * 8 * f->columns;
}

/* Rank 0 looks at the finished file: every site there with its size. */
static csim_status verify(void *user, const char *temporary)
{
    native *f = user;
    csim__catalog catalog = {0};
    int sites = csim_set_site_count(f->set);
    csim_status st = csim__format_netcdf.scan(f->ctx, temporary, &catalog);
    if (st == CSIM_OK && catalog.count != sites) {
        st = csim__fail(f->ctx, CSIM_E_IO, "%s: read back, it has %lld sites instead of %d",
                        f->path, (long long)catalog.count, sites);
    }
    for (int i = 0; st == CSIM_OK && i < sites; i++) {
        const csim__array *a = &catalog.array[i];
        if (a->layer_index < 0 || a->layer_index >= sites || a->shape[0] != f->shard.n ||
            a->shape[1] != csim_set_site(f->set, (int)a->layer_index)->d) {
            st = csim__fail(f->ctx, CSIM_E_IO, "%s: read back, site %s has another shape", f->path,
                            a->name);
        }
    }
    csim__catalog_free(f->ctx, &catalog);
    return st;
}

csim_status csim_native_write(csim_context *ctx, csim_set *set, const char *path,
                              const csim_native_options *options)
{
    native f = {.ctx = ctx,
                .set = set,
                .options = options,
                .path = path,
                .source = -1,
                .shard = csim__shard(csim_set_examples(set), csim_context_rank(ctx),
                                     csim_context_size(ctx))};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(ctx, plan(&f)));
    CSIM_TRY(csim__nc_parallel_make(ctx, path, options->overwrite, bytes_of(&f), &f.file));
    CSIM_TRY(csim__vote(ctx, define(&f)));
    CSIM_TRY(write_values(&f));
    CSIM_TRY(csim__nc_parallel_finish(&f.file, verify, &f));
done:
    csim__nc_parallel_drop(&f.file);
    if (f.source >= 0) { nc_close(f.source); }
    csim__free(ctx, &f.dataset);
    csim__free(ctx, &f.column);
    csim__free(ctx, &f.id);
    csim__free(ctx, &f.name);
    return st;
}
