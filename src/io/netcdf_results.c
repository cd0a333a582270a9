/* Writing results as netCDF. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/netcdf_results.h"

enum { NAME_MOST = 160 };

typedef csim__results_file file;

static const char side[2] = {'a', 'b'};

int csim__results_own_attribute(const char *name)
{
    static const char *const own[] = {"_FillValue", "coordinates", "ancillary_variables",
                                      "completed", "checksum"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(name, own[i]) == 0) { return 1; }
    }
    return 0;
}

static csim_status put_text(const file *f, int id, const char *name, const char *text)
{
    return csim__nc(f->ctx, nc_put_att_text(f->nc, id, name, strlen(text), text), f->otherwise,
                    f->path, "write an attribute");
}

/* Integers as int where all fit, which every reader knows, else as int64. */
static csim_status put_ints(const file *f, int id, const char *name, const int64_t *v, int64_t n)
{
    nc_type type = NC_INT;
    long long *copy = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, n, sizeof *copy, "an attribute", &copy));
    for (int64_t i = 0; i < n; i++) {
        copy[i] = v[i];
        if (v[i] < INT_MIN || v[i] > INT_MAX) { type = NC_INT64; }
    }
    CSIM_NC_TRY(f, nc_put_att_longlong(f->nc, id, name, type, (size_t)n, copy),
                "write an attribute");
done:
    csim__free(f->ctx, &copy);
    return st;
}

static csim_status put_attributes(const file *f, int id, const csim__attributes *list)
{
    csim_status st = CSIM_OK;
    for (int i = 0; i < list->count; i++) {
        const csim_attribute *a = &list->item[i];
        if (csim__results_own_attribute(a->name)) { continue; }
        if (a->kind == CSIM_ATTRIBUTE_TEXT) {
            CSIM_TRY(put_text(f, id, a->name, a->text));
        } else if (a->kind == CSIM_ATTRIBUTE_INT) {
            CSIM_TRY(put_ints(f, id, a->name, a->integers, a->count));
        } else {
            CSIM_NC_TRY(
                f, nc_put_att_double(f->nc, id, a->name, NC_DOUBLE, (size_t)a->count, a->reals),
                "write an attribute");
        }
    }
done:
    return st;
}

/* The texts of one side, model or layer of each site. */
static csim_status put_labels(const file *f, const char *name, int s, const csim_result_site *sites,
                              int64_t n, int layers, const char *long_name)
{
    const char **text = NULL;
    int id = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, n, sizeof *text, "labels", &text));
    for (int64_t i = 0; i < n; i++) { text[i] = layers ? sites[i].layer : sites[i].model; }
    CSIM_NC_TRY(f, nc_def_var(f->nc, name, NC_STRING, 1, &f->site[s], &id), "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", long_name));
    CSIM_NC_TRY(f, nc_put_var_string(f->nc, id, text), "write a variable");
done:
    csim__free(f->ctx, &text);
    return st;
}

/* The integers of one side: index, width or rank of each site. */
enum number { INDEX, WIDTH, RANK };

static csim_status put_numbers(const file *f, const char *name, int s,
                               const csim_result_site *sites, int64_t n, enum number what,
                               const char *long_name)
{
    int *number = NULL, id = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(f->ctx, n, sizeof *number, "coordinates", &number));
    for (int64_t i = 0; i < n; i++) {
        number[i] = (int)(what == INDEX ? i : what == WIDTH ? sites[i].neurons : sites[i].rank);
    }
    CSIM_NC_TRY(f, nc_def_var(f->nc, name, NC_INT, 1, &f->site[s], &id), "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", long_name));
    CSIM_TRY(put_text(f, id, "units", "1"));
    CSIM_NC_TRY(f, nc_put_var_int(f->nc, id, number), "write a variable");
done:
    csim__free(f->ctx, &number);
    return st;
}

/* The medians of one side. */
static csim_status put_medians(const file *f, int s, const csim_result_site *sites, int64_t n,
                               int kind)
{
    const csim__median_variable *v = &csim__median_variables[kind];
    char name[32], long_name[NAME_MOST];
    double *median = NULL, missing = NAN;
    int id = 0;
    csim_status st = CSIM_OK;
    snprintf(name, sizeof name, "%s_%c", v->name, side[s]);
    snprintf(long_name, sizeof long_name, "%s in the %s site", v->long_name,
             s == 0 ? "row" : "column");
    CSIM_TRY(csim__alloc(f->ctx, n, sizeof *median, "medians", &median));
    for (int64_t i = 0; i < n; i++) {
        median[i] = isnan(sites[i].median[kind]) ? (double)NAN : sites[i].median[kind];
    }
    CSIM_NC_TRY(f, nc_def_var(f->nc, name, NC_DOUBLE, 1, &f->site[s], &id), "define a variable");
    CSIM_NC_TRY(f, nc_def_var_fill(f->nc, id, NC_FILL, &missing), "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", long_name));
    CSIM_TRY(put_text(f, id, "units", "1"));
    CSIM_NC_TRY(f, nc_put_var_double(f->nc, id, median), "write a variable");
done:
    csim__free(f->ctx, &median);
    return st;
}

static csim_status put_side(file *f, const csim_results *r, int s)
{
    const csim_result_site *sites = s == 0 ? r->rows : r->cols;
    int64_t n = s == 0 ? r->n_rows : r->n_cols;
    char name[32], long_name[64];
    csim_status st = CSIM_OK;
    const char *of = s == 0 ? "row" : "column";
    snprintf(name, sizeof name, "site_%c", side[s]);
    snprintf(long_name, sizeof long_name, "index of the %s site", of);
    CSIM_NC_TRY(f, nc_def_dim(f->nc, name, (size_t)n, &f->site[s]), "define a dimension");
    CSIM_TRY(put_numbers(f, name, s, sites, n, INDEX, long_name));
    snprintf(name, sizeof name, "model_%c", side[s]);
    snprintf(long_name, sizeof long_name, "model of the %s site", of);
    CSIM_TRY(put_labels(f, name, s, sites, n, 0, long_name));
    snprintf(name, sizeof name, "layer_%c", side[s]);
    snprintf(long_name, sizeof long_name, "layer of the %s site", of);
    CSIM_TRY(put_labels(f, name, s, sites, n, 1, long_name));
    snprintf(name, sizeof name, "neurons_%c", side[s]);
    snprintf(long_name, sizeof long_name, "number of neurons of the %s site", of);
    CSIM_TRY(put_numbers(f, name, s, sites, n, WIDTH, long_name));
    snprintf(name, sizeof name, "rank_%c", side[s]);
    snprintf(long_name, sizeof long_name, "kept rank of the %s site, -1 where not computed", of);
    if (csim__results_have_ranks(r)) {
        CSIM_TRY(put_numbers(f, name, s, sites, n, RANK, long_name));
    }
    for (int k = 0; k < 2; k++) {
        if (csim__results_have_medians(r, k)) { CSIM_TRY(put_medians(f, s, sites, n, k)); }
    }
done:
    return st;
}

/* Dimension and coordinate variable of a list option, once per name. */
static csim_status put_list(const file *f, const csim_result_variable *a, int *dimension)
{
    csim_status st = CSIM_OK;
    int id = 0, whole = 1;
    if (nc_inq_dimid(f->nc, a->list_name, dimension) == NC_NOERR) { return CSIM_OK; }
    for (int64_t i = 0; i < a->n_list; i++) {
        whole &= a->list[i] == floor(a->list[i]) && fabs(a->list[i]) < (double)INT_MAX;
    }
    CSIM_NC_TRY(f, nc_def_dim(f->nc, a->list_name, (size_t)a->n_list, dimension),
                "define a dimension");
    CSIM_NC_TRY(f, nc_def_var(f->nc, a->list_name, whole ? NC_INT : NC_DOUBLE, 1, dimension, &id),
                "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", a->list_name));
    CSIM_TRY(put_text(f, id, "units", "1"));
    CSIM_NC_TRY(f, nc_put_var_double(f->nc, id, a->list), "write a variable");
done:
    return st;
}

/* The words of a flag variable and their values 0 … n−1. */
static csim_status put_flags(const file *f, int id, const char *const *word, int n)
{
    signed char value[128];
    char *meanings = NULL, *longer = NULL;
    csim_status st = CSIM_OK;
    if (n == 0) { return CSIM_OK; }
    for (int i = 0; i < n; i++) {
        value[i] = (signed char)i;
        CSIM_TRY(csim__format(f->ctx, &longer, "%s%s%s", i == 0 ? "" : meanings, i == 0 ? "" : " ",
                              word[i]));
        csim__free(f->ctx, &meanings);
        meanings = longer;
        longer = NULL;
    }
    CSIM_NC_TRY(f, nc_put_att_schar(f->nc, id, "flag_values", NC_BYTE, (size_t)n, value),
                "write an attribute");
    CSIM_TRY(put_text(f, id, "flag_meanings", meanings));
done:
    csim__free(f->ctx, &longer);
    csim__free(f->ctx, &meanings);
    return st;
}

static csim_status put_coordinates(const file *f, int id)
{
    const char *const about[] = {"model",
                                 "layer",
                                 "neurons",
                                 "rank",
                                 csim__median_variables[0].name,
                                 csim__median_variables[1].name};
    enum { ABOUT = sizeof about / sizeof *about };
    char list[2 * ABOUT * 32] = "", name[32];
    int ignore;
    for (int i = 0; i < 2 * ABOUT; i++) {
        size_t at = strlen(list);
        snprintf(name, sizeof name, "%s_%c", about[i % ABOUT], side[i / ABOUT]);
        if (nc_inq_varid(f->nc, name, &ignore) != NC_NOERR) { continue; }
        snprintf(list + at, sizeof list - at, "%s%s", at > 0 ? " " : "", name);
    }
    return put_text(f, id, "coordinates", list);
}

/* <measure>_status or <measure>_note. */
static csim_status put_bytes(const file *f, const csim__variable *v, const char *end, int ndims,
                             const int *dims, const char *const *word, int n, const int8_t *bytes)
{
    char name[NAME_MOST], long_name[NAME_MOST];
    int id = 0;
    csim_status st = CSIM_OK;
    snprintf(name, sizeof name, "%s_%s", v->about.name, end);
    snprintf(long_name, sizeof long_name, "%s of %s", end, v->about.name);
    CSIM_NC_TRY(f, nc_def_var(f->nc, name, NC_BYTE, ndims, dims, &id), "define a variable");
    CSIM_TRY(put_text(f, id, "long_name", long_name));
    CSIM_TRY(put_flags(f, id, word, n));
    CSIM_TRY(put_coordinates(f, id));
    CSIM_NC_TRY(f, nc_put_var_schar(f->nc, id, bytes), "write a variable");
done:
    return st;
}

/* Names of status, note and companions of a measure, for CF's ancillary_variables. */
static csim_status put_ancillary(const file *f, const csim_results *r, int id, const char *name)
{
    char *list = NULL, *longer = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__format(f->ctx, &list, "%s_status %s_note", name, name));
    for (int v = 0; v < r->count; v++) {
        const csim_result_variable *b = &r->variable[v].about;
        if (b->parent == NULL || strcmp(b->parent, name) != 0) { continue; }
        CSIM_TRY(csim__format(f->ctx, &longer, "%s %s", list, b->name));
        csim__free(f->ctx, &list);
        list = longer;
        longer = NULL;
    }
    CSIM_TRY(put_text(f, id, "ancillary_variables", list));
done:
    csim__free(f->ctx, &list);
    return st;
}

static csim_status put_variable(const file *f, const csim_results *r, const csim__variable *v)
{
    static const char *const states[] = {
#define CSIM_CELL_WORD(name, value, word) [value] = word,
        CSIM_CELL_LIST(CSIM_CELL_WORD)
#undef CSIM_CELL_WORD
    };
    int dims[3] = {0, f->site[0], f->site[1]}, from = v->about.list_name == NULL, id = 0;
    double missing = NAN, *values = NULL;
    csim_status st = CSIM_OK;
    if (!from) { CSIM_TRY(put_list(f, &v->about, &dims[0])); }
    CSIM_NC_TRY(f, nc_def_var(f->nc, v->about.name, NC_DOUBLE, 3 - from, &dims[from], &id),
                "define a variable");
    CSIM_NC_TRY(f, nc_def_var_fill(f->nc, id, NC_FILL, &missing), "define a variable");
    CSIM_TRY(put_attributes(f, id, &v->attributes));
    CSIM_TRY(put_coordinates(f, id));
    if (v->state != NULL) { CSIM_TRY(put_ancillary(f, r, id, v->about.name)); }
    /* The bits of a NaN depend on how it came about; in the file all are the same. */
    CSIM_TRY(csim__alloc(f->ctx, v->cells, sizeof *values, v->about.name, &values));
    for (int64_t i = 0; i < v->cells; i++) {
        values[i] = isnan(v->values[i]) ? (double)NAN : v->values[i];
    }
    CSIM_NC_TRY(f, nc_put_var_double(f->nc, id, values), "write a variable");
    if (v->state != NULL) {
        CSIM_TRY(
            put_bytes(f, v, "status", 3 - from, &dims[from], states, CSIM_CELL_COUNT, v->state));
        CSIM_TRY(put_bytes(f, v, "note", 3 - from, &dims[from], (const char *const *)r->note,
                           r->n_notes, v->note));
    }
done:
    csim__free(f->ctx, &values);
    return st;
}

csim_status csim__results_store(csim_context *ctx, const csim_results *r, const char *path,
                                void **image, int64_t *bytes)
{
    file f = {.ctx = ctx, .path = path, .otherwise = CSIM_E_IO, .nc = -1};
    char sum[48];
    int64_t one = 1;
    csim_status st = CSIM_OK;
    *image = NULL;
    CSIM_TRY(csim__nc_image_start(ctx, path, &f.nc));
    CSIM_NC_TRY(&f, nc_set_fill(f.nc, NC_NOFILL, NULL), "make the file");
    CSIM_TRY(put_attributes(&f, NC_GLOBAL, &r->attributes));
    for (int s = 0; s < 2; s++) { CSIM_TRY(put_side(&f, r, s)); }
    for (int v = 0; v < r->count; v++) { CSIM_TRY(put_variable(&f, r, &r->variable[v])); }
    csim_results_checksum(r, sum);
    CSIM_TRY(put_text(&f, NC_GLOBAL, "checksum", sum));
    CSIM_TRY(put_ints(&f, NC_GLOBAL, "completed", &one, 1));
    int nc = f.nc;
    f.nc = -1;
    CSIM_TRY(csim__nc_image_finish(ctx, path, nc, image, bytes));
done:
    if (f.nc >= 0) { nc_close(f.nc); }
    return st;
}

void csim__results_image_free(void **image)
{
    csim__nc_image_free(image);
}
