/* Reading results from netCDF, with every size checked. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/netcdf_results.h"

enum { DEFLATE_MOST = 1100 }; /* more than deflate can ever shrink anything */

typedef csim__results_file file;

static const char side[2] = {'a', 'b'};

static csim_status wrong(const file *f, const char *what)
{
    return csim__fail(f->ctx, CSIM_E_FORMAT, "%s is not a whole results file: %s", f->path, what);
}

/* A variable must be of this type and have exactly these dimensions. */
static csim_status find_variable(const file *f, const char *name, nc_type type, int ndims,
                                 const int *dims, int *id)
{
    nc_type found = NC_NAT;
    int n = 0, found_dims[NC_MAX_VAR_DIMS];
    int code = nc_inq_varid(f->nc, name, id);
    if (code == NC_NOERR) { code = nc_inq_var(f->nc, *id, NULL, &found, &n, NULL, NULL); }
    if (code == NC_NOERR && n == ndims) { code = nc_inq_vardimid(f->nc, *id, found_dims); }
    if (code != NC_NOERR || n != ndims || (type != NC_NAT && found != type) ||
        memcmp(found_dims, dims, (size_t)ndims * sizeof *dims) != 0) {
        return csim__fail(f->ctx, CSIM_E_FORMAT,
                          "%s is not a whole results file: variable %s is missing or has another "
                          "type or shape",
                          f->path, name);
    }
    return CSIM_OK;
}

/* Read the medians of one side, where the file has any. */
static csim_status get_medians(const file *f, int s, int64_t n, int kind, csim_result_site *sites)
{
    char name[32];
    double *median = NULL;
    int id = 0;
    csim_status st = CSIM_OK;
    snprintf(name, sizeof name, "%s_%c", csim__median_variables[kind].name, side[s]);
    if (nc_inq_varid(f->nc, name, &id) != NC_NOERR) { goto done; }
    CSIM_TRY(find_variable(f, name, NC_DOUBLE, 1, &f->site[s], &id));
    CSIM_TRY(csim__alloc(f->ctx, n, sizeof *median, "medians", &median));
    CSIM_NC_TRY(f, nc_get_var_double(f->nc, id, median), "read the medians");
    for (int64_t i = 0; i < n; i++) { sites[i].median[kind] = median[i]; }
done:
    csim__free(f->ctx, &median);
    return st;
}

/* Read model and layer names and widths of one side, and what else is known. Texts go to text[2*n], netCDF's own memory. */
static csim_status get_side(const file *f, int s, int64_t n, char **text, csim_result_site *sites)
{
    char name[32];
    int id = 0, *neurons = NULL;
    csim_status st = CSIM_OK;
    snprintf(name, sizeof name, "model_%c", side[s]);
    CSIM_TRY(find_variable(f, name, NC_STRING, 1, &f->site[s], &id));
    CSIM_NC_TRY(f, nc_get_var_string(f->nc, id, text), "read the models");
    snprintf(name, sizeof name, "layer_%c", side[s]);
    CSIM_TRY(find_variable(f, name, NC_STRING, 1, &f->site[s], &id));
    CSIM_NC_TRY(f, nc_get_var_string(f->nc, id, text + n), "read the layers");
    snprintf(name, sizeof name, "neurons_%c", side[s]);
    CSIM_TRY(find_variable(f, name, NC_INT, 1, &f->site[s], &id));
    CSIM_TRY(csim__alloc(f->ctx, n, sizeof *neurons, "widths", &neurons));
    CSIM_NC_TRY(f, nc_get_var_int(f->nc, id, neurons), "read the widths");
    for (int64_t i = 0; i < n; i++) {
        if (text[i] == NULL || text[n + i] == NULL || neurons[i] < 0) {
            CSIM_TRY(wrong(f, "a site has no name or a negative width"));
        }
        sites[i] = (csim_result_site){text[i], text[n + i], neurons[i], -1, {NAN, NAN}};
    }
    for (int k = 0; k < 2; k++) { CSIM_TRY(get_medians(f, s, n, k, sites)); }
    snprintf(name, sizeof name, "rank_%c", side[s]);
    if (nc_inq_varid(f->nc, name, &id) != NC_NOERR) { goto done; }
    CSIM_TRY(find_variable(f, name, NC_INT, 1, &f->site[s], &id));
    CSIM_NC_TRY(f, nc_get_var_int(f->nc, id, neurons), "read the ranks");
    for (int64_t i = 0; i < n; i++) { sites[i].rank = neurons[i]; }
done:
    csim__free(f->ctx, &neurons);
    return st;
}

/* Split the blank-separated words of flag_meanings; they point into @p text. */
static int split_words(char *text, const char *word[128])
{
    int n = 0;
    for (char *w = strtok(text, " "); w != NULL && n < 128; w = strtok(NULL, " ")) {
        word[n++] = w;
    }
    return n;
}

/* Words of the notes, from the first variable that ends in _note. */
static csim_status get_notes(const file *f, char **text)
{
    char name[NC_MAX_NAME + 1];
    int n = 0;
    *text = NULL;
    csim_status st = csim__nc(f->ctx, nc_inq_nvars(f->nc, &n), f->otherwise, f->path, "read");
    for (int v = 0; v < n && st == CSIM_OK && *text == NULL; v++) {
        if (nc_inq_varname(f->nc, v, name) != NC_NOERR) { continue; }
        size_t length = strlen(name);
        if (length > 5 && strcmp(name + length - 5, "_note") == 0) {
            st = csim__nc_text(f->ctx, f->path, f->nc, v, name, "flag_meanings", 1 << 16, text);
        }
    }
    return st;
}

/* Create the object from the two sides. */
static csim_status get_sites(file *f, int64_t file_bytes, csim_results **results)
{
    size_t n[2] = {0, 0};
    char **text[2] = {NULL, NULL}, *notes = NULL;
    csim_result_site *sites[2] = {NULL, NULL};
    const char *word[128];
    csim_status st = CSIM_OK;
    for (int s = 0; s < 2; s++) {
        char name[8];
        snprintf(name, sizeof name, "site_%c", side[s]);
        if (nc_inq_dimid(f->nc, name, &f->site[s]) != NC_NOERR ||
            nc_inq_dimlen(f->nc, f->site[s], &n[s]) != NC_NOERR || n[s] < 1 ||
            n[s] > (size_t)file_bytes || n[s] > INT_MAX) {
            CSIM_TRY(wrong(f, "dimension site_a or site_b is missing or impossible"));
        }
        CSIM_TRY(csim__calloc(f->ctx, 2 * (int64_t)n[s], sizeof **text, "labels", &text[s]));
        CSIM_TRY(csim__calloc(f->ctx, (int64_t)n[s], sizeof **sites, "sites", &sites[s]));
        CSIM_TRY(get_side(f, s, (int64_t)n[s], text[s], sites[s]));
    }
    CSIM_TRY(get_notes(f, &notes));
    int n_notes = notes == NULL ? 0 : split_words(notes, word);
    CSIM_TRY(csim_results_create(f->ctx, sites[0], (int64_t)n[0], sites[1], (int64_t)n[1], word,
                                 n_notes < 127 ? n_notes : 127, results));
done:
    for (int s = 0; s < 2; s++) {
        if (text[s] != NULL) { nc_free_string(2 * n[s], text[s]); }
        csim__free(f->ctx, &text[s]);
        csim__free(f->ctx, &sites[s]);
    }
    csim__free(f->ctx, &notes);
    return st;
}

/* One attribute into the object. */
static csim_status get_attribute(const file *f, csim_results *r, int id, int v, const char *name)
{
    nc_type type = NC_NAT;
    int64_t n = 0;
    long long *whole = NULL;
    int64_t *integers = NULL;
    double *reals = NULL;
    char *text = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(
        csim__nc_attribute(f->ctx, f->path, f->nc, id, "the results", name, INT_MAX, &type, &n));
    if (type == NC_CHAR || type == NC_STRING) {
        CSIM_TRY(csim__nc_text(f->ctx, f->path, f->nc, id, "the results", name, INT_MAX, &text));
        CSIM_TRY(csim_results_set_text(r, v, name, text));
    } else if (type == NC_FLOAT || type == NC_DOUBLE) {
        CSIM_TRY(csim__alloc(f->ctx, n, sizeof *reals, "an attribute", &reals));
        CSIM_NC_TRY(f, nc_get_att_double(f->nc, id, name, reals), "read an attribute");
        CSIM_TRY(csim_results_set_reals(r, v, name, reals, n));
    } else {
        CSIM_TRY(csim__alloc(f->ctx, n, sizeof *whole, "an attribute", &whole));
        CSIM_TRY(csim__alloc(f->ctx, n, sizeof *integers, "an attribute", &integers));
        CSIM_NC_TRY(f, nc_get_att_longlong(f->nc, id, name, whole), "read an attribute");
        for (int64_t i = 0; i < n; i++) { integers[i] = whole[i]; }
        CSIM_TRY(csim_results_set_ints(r, v, name, integers, n));
    }
done:
    csim__free(f->ctx, &text);
    csim__free(f->ctx, &reals);
    csim__free(f->ctx, &integers);
    csim__free(f->ctx, &whole);
    return st;
}

static csim_status get_attributes(const file *f, csim_results *r, int id, int v)
{
    char name[NC_MAX_NAME + 1];
    int n = 0;
    csim_status st = CSIM_OK;
    CSIM_NC_TRY(f, id == NC_GLOBAL ? nc_inq_natts(f->nc, &n) : nc_inq_varnatts(f->nc, id, &n),
                "read the attributes");
    for (int i = 0; i < n; i++) {
        CSIM_NC_TRY(f, nc_inq_attname(f->nc, id, i, name), "read the attributes");
        if (!csim__results_own_attribute(name)) { CSIM_TRY(get_attribute(f, r, id, v, name)); }
    }
done:
    return st;
}

/* <measure>_status or <measure>_note, values 0 … most. */
static csim_status get_bytes(const file *f, const csim__variable *v, const char *end, int ndims,
                             const int *dims, int most, int8_t *bytes)
{
    char name[NC_MAX_NAME + 16];
    int id = 0;
    csim_status st = CSIM_OK;
    snprintf(name, sizeof name, "%s_%s", v->about.name, end);
    CSIM_TRY(find_variable(f, name, NC_BYTE, ndims, dims, &id));
    CSIM_NC_TRY(f, nc_get_var_schar(f->nc, id, bytes), "read a variable");
    for (int64_t i = 0; i < v->cells; i++) {
        if (bytes[i] < 0 || bytes[i] > most) { CSIM_TRY(wrong(f, "an unknown status or note")); }
    }
done:
    return st;
}

/* What the file says about variable `id`; the texts are new. */
static csim_status get_about(const file *f, int id, csim_result_variable *a)
{
    static const char *const attribute[] = {"long_name", "orientation", "citation", "companion_of"};
    const char **field[] = {&a->long_name, &a->orientation, &a->citation, &a->parent};
    csim_status st = CSIM_OK;
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        CSIM_TRY(csim__nc_text(f->ctx, f->path, f->nc, id, a->name, attribute[i], 1 << 16,
                               (char **)field[i]));
    }
    nc_type type = NC_NAT;
    int64_t n = 0;
    static const char *const range[] = {"valid_range", "valid_min", "valid_max"};
    for (int i = 0; i < 3; i++) {
        CSIM_TRY(
            csim__nc_attribute(f->ctx, f->path, f->nc, id, a->name, range[i], INT_MAX, &type, &n));
        if (type != NC_DOUBLE || n != (i == 0 ? 2 : 1)) { continue; }
        a->range[0] = i == 2 ? -(double)INFINITY : 0.0;
        a->range[1] = i == 1 ? (double)INFINITY : 0.0;
        CSIM_NC_TRY(f, nc_get_att_double(f->nc, id, range[i], &a->range[i == 2 ? 1 : 0]),
                    "read the valid range");
    }
done:
    return st;
}

/* Length and values of the leading list dimension. */
static csim_status get_list(const file *f, int dimension, int64_t file_bytes, char *name,
                            csim_result_variable *a, double **list)
{
    size_t n = 0;
    int id = 0;
    csim_status st = CSIM_OK;
    CSIM_NC_TRY(f, nc_inq_dim(f->nc, dimension, name, &n), "read a dimension");
    if (n < 1 || n > (size_t)file_bytes) { CSIM_TRY(wrong(f, "an impossible list")); }
    CSIM_TRY(find_variable(f, name, NC_NAT, 1, &dimension, &id));
    CSIM_TRY(csim__alloc(f->ctx, (int64_t)n, sizeof **list, "a list", list));
    CSIM_NC_TRY(f, nc_get_var_double(f->nc, id, *list), "read a list");
    a->list_name = name;
    a->list = *list;
    a->n_list = (int64_t)n;
done:
    return st;
}

static csim_status get_variable(const file *f, int64_t file_bytes, int id, const char *name,
                                int ndims, const int *dims, csim_results *r)
{
    csim_result_variable a = {.name = name, .n_list = 1};
    char list_name[NC_MAX_NAME + 1];
    double *list = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(get_about(f, id, &a));
    if (ndims == 3) { CSIM_TRY(get_list(f, dims[0], file_bytes, list_name, &a, &list)); }
    if (a.n_list > file_bytes * (DEFLATE_MOST / 8) / r->n_rows / r->n_cols) {
        CSIM_TRY(wrong(f, "it is too small for its variables"));
    }
    CSIM_TRY(csim_results_add(r, &a));
    csim__variable *v = &r->variable[r->count - 1];
    CSIM_TRY(get_attributes(f, r, id, r->count - 1));
    CSIM_NC_TRY(f, nc_get_var_double(f->nc, id, v->values), "read a variable");
    if (v->state != NULL) {
        CSIM_TRY(get_bytes(f, v, "status", ndims, dims, CSIM_CELL_COUNT - 1, v->state));
        CSIM_TRY(get_bytes(f, v, "note", ndims, dims, 127, v->note));
    }
done:
    csim__free(f->ctx, &list);
    csim__free(f->ctx, &a.parent);
    csim__free(f->ctx, &a.citation);
    csim__free(f->ctx, &a.orientation);
    csim__free(f->ctx, &a.long_name);
    return st;
}

/* Every double variable over (…, site_a, site_b), in the order of the file. */
static csim_status get_variables(const file *f, int64_t file_bytes, csim_results *r)
{
    char name[NC_MAX_NAME + 1];
    int n = 0, ndims = 0, dims[NC_MAX_VAR_DIMS];
    nc_type type = NC_NAT;
    csim_status st = CSIM_OK;
    CSIM_NC_TRY(f, nc_inq_nvars(f->nc, &n), "read the variables");
    for (int id = 0; id < n; id++) {
        CSIM_NC_TRY(f, nc_inq_var(f->nc, id, name, &type, &ndims, dims, NULL),
                    "read the variables");
        if (type != NC_DOUBLE || ndims < 2 || ndims > 3 || dims[ndims - 2] != f->site[0] ||
            dims[ndims - 1] != f->site[1]) {
            continue;
        }
        CSIM_TRY(get_variable(f, file_bytes, id, name, ndims, dims, r));
    }
done:
    return st;
}

/* Is it a results file, and was its writing completed? */
static csim_status check_kind(const file *f)
{
    char *format = NULL;
    int64_t completed = 0;
    int has = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__nc_text(f->ctx, f->path, f->nc, NC_GLOBAL, "the file", "format", 64, &format));
    if (format == NULL || strcmp(format, CSIM__RESULTS_FORMAT) != 0) {
        CSIM_TRY(wrong(f, "attribute format is not '" CSIM__RESULTS_FORMAT "'"));
    }
    CSIM_TRY(
        csim__nc_int(f->ctx, f->path, f->nc, NC_GLOBAL, "the file", "completed", &completed, &has));
    if (!has || completed != 1) { CSIM_TRY(wrong(f, "it was not completed")); }
done:
    csim__free(f->ctx, &format);
    return st;
}

static csim_status check_sum(const file *f, const csim_results *r)
{
    char *kept = NULL, sum[48];
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__nc_text(f->ctx, f->path, f->nc, NC_GLOBAL, "the file", "checksum", 64, &kept));
    csim_results_checksum(r, sum);
    if (kept == NULL || strcmp(kept, sum) != 0) {
        st = csim__fail(f->ctx, CSIM_E_FORMAT,
                        "%s was damaged or changed: its values have checksum %s, expected %s",
                        f->path, sum, kept == NULL ? "one in attribute checksum" : kept);
    }
done:
    csim__free(f->ctx, &kept);
    return st;
}

csim_status csim__results_load(csim_context *ctx, const char *path, csim_results **results)
{
    file f = {.ctx = ctx, .path = path, .otherwise = CSIM_E_FORMAT, .nc = -1};
    int64_t bytes = 0;
    csim_status st = CSIM_OK;
    *results = NULL;
    CSIM_TRY(csim__file_size(ctx, path, &bytes));
    int code = nc_open(path, NC_NOWRITE, &f.nc);
    if (code != NC_NOERR) { f.nc = -1; }
    CSIM_NC_TRY(&f, code, "open the results");
    CSIM_TRY(check_kind(&f));
    CSIM_TRY(get_sites(&f, bytes, results));
    CSIM_TRY(get_attributes(&f, *results, NC_GLOBAL, -1));
    CSIM_TRY(get_variables(&f, bytes, *results));
    CSIM_TRY(check_sum(&f, *results));
done:
    if (f.nc >= 0) { nc_close(f.nc); }
    if (st != CSIM_OK) { csim_results_free(results); }
    return st == CSIM_E_ARG ? CSIM_E_FORMAT : st; /* what the file says is no argument */
}
