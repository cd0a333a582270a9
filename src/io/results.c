/* Results in memory: sites, variables, attributes, checksum. */
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* shows the state, so that it can live on the stack */
#include <xxhash.h>

#include "io/results_private.h"

const csim__median_variable csim__median_variables[2] = {
    {"median_distance", "median distance of two examples"},
    {"median_entry", "median of all distances of examples, those to themselves included"},
};

static const char *const reserved[] = {
    "site_a",         "site_b",        "model_a",           "model_b",
    "layer_a",        "layer_b",       "neurons_a",         "neurons_b",
    "rank_a",         "rank_b",        "median_distance_a", "median_distance_b",
    "median_entry_a", "median_entry_b"};

const char *csim_cell_word(csim_cell cell)
{
    switch (cell) {
#define CSIM_CELL_WORD(name, value, word)                                                          \
    case CSIM_CELL_##name:                                                                         \
        return word;
        CSIM_CELL_LIST(CSIM_CELL_WORD)
#undef CSIM_CELL_WORD
    case CSIM_CELL_COUNT:
        break;
    }
    return "unknown";
}

/* ---- the object ---- */

static void sites_free(csim_context *ctx, csim_result_site **sites, int64_t n)
{
    for (int64_t i = 0; *sites != NULL && i < n; i++) {
        csim__free(ctx, &(*sites)[i].model);
        csim__free(ctx, &(*sites)[i].layer);
    }
    csim__free(ctx, sites);
}

static csim_status sites_copy(csim_context *ctx, const csim_result_site *in, int64_t n,
                              csim_result_site **out)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, n, sizeof **out, "the sites of the results", out));
    for (int64_t i = 0; i < n; i++) {
        if (in[i].neurons < 0 || in[i].neurons > INT_MAX) {
            return csim__fail(ctx, CSIM_E_ARG,
                              "site %s %s has %lld neurons, at most %d can be kept", in[i].model,
                              in[i].layer, (long long)in[i].neurons, INT_MAX);
        }
        if (in[i].rank < -1 || in[i].rank > in[i].neurons) {
            return csim__fail(ctx, CSIM_E_ARG, "site %s %s has rank %lld, expected -1 to %lld",
                              in[i].model, in[i].layer, (long long)in[i].rank,
                              (long long)in[i].neurons);
        }
        (*out)[i].neurons = in[i].neurons;
        (*out)[i].rank = in[i].rank;
        memcpy((*out)[i].median, in[i].median, sizeof in[i].median);
        CSIM_TRY(csim__strdup(ctx, in[i].model, (char **)&(*out)[i].model));
        CSIM_TRY(csim__strdup(ctx, in[i].layer, (char **)&(*out)[i].layer));
    }
done:
    return st;
}

static csim_status notes_copy(csim_results *r, const char *const *notes, int n)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(r->ctx, n, sizeof *r->note, "the notes of the results", &r->note));
    r->n_notes = n;
    for (int i = 0; i < n; i++) {
        if (notes[i] == NULL || notes[i][0] == 0) {
            return csim__fail(r->ctx, CSIM_E_ARG, "note %d of the results has no meaning", i);
        }
        CSIM_TRY(csim__strdup(r->ctx, notes[i], &r->note[i]));
        for (char *c = r->note[i]; *c != 0; c++) {
            if (isspace((unsigned char)*c)) { *c = '_'; }
        }
    }
done:
    return st;
}

csim_status csim_results_create(csim_context *ctx, const csim_result_site *rows, int64_t n_rows,
                                const csim_result_site *cols, int64_t n_cols,
                                const char *const *notes, int n_notes, csim_results **results)
{
    csim_results *r = NULL;
    csim_status st = CSIM_OK;
    *results = NULL;
    if (n_rows < 1 || n_cols < 1 || n_rows > INT_MAX || n_cols > INT_MAX || n_notes < 0 ||
        n_notes > 127) {
        return csim__fail(ctx, CSIM_E_ARG,
                          "results need at least one row and column and at most 127 notes, "
                          "not %lld, %lld and %d",
                          (long long)n_rows, (long long)n_cols, n_notes);
    }
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *r, "results", &r));
    r->ctx = ctx;
    r->n_rows = n_rows;
    r->n_cols = n_cols;
    CSIM_TRY(sites_copy(ctx, rows, n_rows, &r->rows));
    CSIM_TRY(sites_copy(ctx, cols, n_cols, &r->cols));
    CSIM_TRY(notes_copy(r, notes, n_notes));
    char source[64];
    snprintf(source, sizeof source, "contrasim %s", csim_version());
    CSIM_TRY(csim_results_set_text(r, -1, "Conventions", "CF-1.10"));
    CSIM_TRY(csim_results_set_text(r, -1, "format", CSIM__RESULTS_FORMAT));
    CSIM_TRY(csim_results_set_text(r, -1, "title", "Similarity of neural representations"));
    CSIM_TRY(csim_results_set_text(r, -1, "source", source));
    *results = r;
    r = NULL;
done:
    csim_results_free(&r);
    return st;
}

static void variable_free(csim_context *ctx, csim__variable *v)
{
    csim__free(ctx, &v->note);
    csim__free(ctx, &v->state);
    csim__free(ctx, &v->values);
    csim__attributes_free(ctx, &v->attributes);
    csim__free(ctx, &v->about.list);
    csim__free(ctx, &v->about.list_name);
    csim__free(ctx, &v->about.parent);
    csim__free(ctx, &v->about.citation);
    csim__free(ctx, &v->about.orientation);
    csim__free(ctx, &v->about.long_name);
    csim__free(ctx, &v->about.name);
}

void csim_results_free(csim_results **results)
{
    csim_results *r = *results;
    if (r == NULL) { return; }
    csim_context *ctx = r->ctx;
    for (int v = 0; v < r->count; v++) { variable_free(ctx, &r->variable[v]); }
    csim__free(ctx, &r->variable);
    csim__attributes_free(ctx, &r->attributes);
    for (int i = 0; i < r->n_notes; i++) { csim__free(ctx, &r->note[i]); }
    csim__free(ctx, &r->note);
    sites_free(ctx, &r->cols, r->n_cols);
    sites_free(ctx, &r->rows, r->n_rows);
    csim__free(ctx, results);
}

bool csim__results_have_ranks(const csim_results *r)
{
    for (int64_t i = 0; i < r->n_rows; i++) {
        if (r->rows[i].rank >= 0) { return true; }
    }
    for (int64_t j = 0; j < r->n_cols; j++) {
        if (r->cols[j].rank >= 0) { return true; }
    }
    return false;
}

bool csim__results_have_medians(const csim_results *r, int kind)
{
    for (int64_t i = 0; i < r->n_rows; i++) {
        if (!isnan(r->rows[i].median[kind])) { return true; }
    }
    for (int64_t j = 0; j < r->n_cols; j++) {
        if (!isnan(r->cols[j].median[kind])) { return true; }
    }
    return false;
}

/* ---- variables ---- */

static int is_name(const char *name)
{
    if (name == NULL || !isalpha((unsigned char)name[0]) || strlen(name) > 128) { return 0; }
    for (const char *c = name; *c != 0; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_') { return 0; }
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strcmp(name, reserved[i]) == 0) { return 0; }
    }
    return 1;
}

/* Does `a` equal `b` followed by `end`? */
static int is_with(const char *a, const char *b, const char *end)
{
    size_t n = strlen(b);
    return strncmp(a, b, n) == 0 && strcmp(a + n, end) == 0;
}

/* Would a variable `a` bring the name `name` into the file? */
static int takes_name(const csim_result_variable *a, const char *name)
{
    return strcmp(a->name, name) == 0 ||
           (a->list_name != NULL && strcmp(a->list_name, name) == 0) ||
           (a->parent == NULL &&
            (is_with(name, a->name, "_status") || is_with(name, a->name, "_note")));
}

static csim_status check_variable(const csim_results *r, const csim_result_variable *a)
{
    if (!is_name(a->name) || (a->list_name != NULL && !is_name(a->list_name))) {
        return csim__fail(r->ctx, CSIM_E_ARG,
                          "'%s' cannot be the name of a variable of results: letters, digits and "
                          "'_' that are not the name of a coordinate",
                          is_name(a->name)  ? a->list_name
                          : a->name == NULL ? ""
                                            : a->name);
    }
    if (a->list_name != NULL && (a->n_list < 1 || a->n_list > INT_MAX || a->list == NULL)) {
        return csim__fail(r->ctx, CSIM_E_ARG, "%s needs at least one value of %s", a->name,
                          a->list_name);
    }
    int parent = a->parent == NULL ? -1 : csim_results_find(r, a->parent);
    if (a->parent != NULL && (parent < 0 || r->variable[parent].state == NULL)) {
        return csim__fail(r->ctx, CSIM_E_ARG, "%s belongs to %s, which is not a measure here",
                          a->name, a->parent);
    }
    for (int v = 0; v < r->count; v++) {
        const csim_result_variable *b = &r->variable[v].about;
        int same_list =
            a->list_name != NULL && b->list_name != NULL && strcmp(a->list_name, b->list_name) == 0;
        int taken = takes_name(b, a->name) || takes_name(a, b->name) ||
                    (a->list_name != NULL && !same_list && takes_name(b, a->list_name));
        if (same_list && (a->n_list != b->n_list ||
                          memcmp(a->list, b->list, (size_t)a->n_list * sizeof *a->list) != 0)) {
            taken = 1;
        }
        if (taken) {
            return csim__fail(r->ctx, CSIM_E_ARG,
                              "results have %s already, %s would need the same names", b->name,
                              a->name);
        }
    }
    return CSIM_OK;
}

static csim_status copy_bytes(csim_context *ctx, const void *in, int64_t n, size_t size, void *out)
{
    csim_status st = csim__alloc(ctx, n, size, "a list", out);
    void *to;
    memcpy(&to, out, sizeof to);
    if (st == CSIM_OK && n > 0) { memcpy(to, in, (size_t)n * size); }
    return st;
}

static csim_status copy_text(csim_context *ctx, const char *text, const char **out)
{
    return text == NULL ? CSIM_OK : csim__strdup(ctx, text, (char **)out);
}

static csim_status variable_copy(csim_results *r, const csim_result_variable *a, csim__variable *v)
{
    csim_context *ctx = r->ctx;
    csim_status st = CSIM_OK;
    int64_t lists = a->list_name == NULL ? 1 : a->n_list;
    v->about.range[0] = a->range[0];
    v->about.range[1] = a->range[1];
    v->about.n_list = lists;
    CSIM_TRY(copy_text(ctx, a->name, &v->about.name));
    CSIM_TRY(copy_text(ctx, a->long_name == NULL ? a->name : a->long_name, &v->about.long_name));
    CSIM_TRY(copy_text(ctx, a->orientation, &v->about.orientation));
    CSIM_TRY(copy_text(ctx, a->citation, &v->about.citation));
    CSIM_TRY(copy_text(ctx, a->parent, &v->about.parent));
    CSIM_TRY(copy_text(ctx, a->list_name, &v->about.list_name));
    if (a->list_name != NULL) {
        CSIM_TRY(copy_bytes(ctx, a->list, lists, sizeof *a->list, &v->about.list));
    }
    if (lists > INT64_MAX / 64 / r->n_rows / r->n_cols) {
        return csim__fail(ctx, CSIM_E_ARG, "%s has too many values", a->name);
    }
    v->cells = lists * r->n_rows * r->n_cols;
    CSIM_TRY(csim__alloc(ctx, v->cells, sizeof *v->values, a->name, &v->values));
    for (int64_t i = 0; i < v->cells; i++) { v->values[i] = NAN; }
    if (a->parent == NULL) {
        CSIM_TRY(csim__calloc(ctx, v->cells, sizeof *v->state, a->name, &v->state));
        CSIM_TRY(csim__calloc(ctx, v->cells, sizeof *v->note, a->name, &v->note));
    }
done:
    return st;
}

/* The attributes that say in the file what the variable is. */
static csim_status describe(csim_results *r, int v)
{
    const csim_result_variable *a = &r->variable[v].about;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim_results_set_text(r, v, "long_name", a->long_name));
    CSIM_TRY(csim_results_set_text(r, v, "units", "1"));
    if (a->orientation != NULL) {
        CSIM_TRY(csim_results_set_text(r, v, "orientation", a->orientation));
    }
    if (a->range[0] != 0.0 || a->range[1] != 0.0) {
        int low = isfinite(a->range[0]), high = isfinite(a->range[1]);
        if (low && high) {
            CSIM_TRY(csim_results_set_reals(r, v, "valid_range", a->range, 2));
        } else if (low || high) {
            CSIM_TRY(csim_results_set_reals(r, v, low ? "valid_min" : "valid_max",
                                            &a->range[low ? 0 : 1], 1));
        }
    }
    if (a->citation != NULL) { CSIM_TRY(csim_results_set_text(r, v, "citation", a->citation)); }
    if (a->parent != NULL) { CSIM_TRY(csim_results_set_text(r, v, "companion_of", a->parent)); }
done:
    return st;
}

csim_status csim_results_add(csim_results *r, const csim_result_variable *about)
{
    csim__variable v = {.cells = 0};
    csim_status st = CSIM_OK;
    CSIM_TRY(check_variable(r, about));
    CSIM_TRY(variable_copy(r, about, &v));
    if (r->count == r->capacity) {
        int more = 2 * r->capacity + 8;
        CSIM_TRY(csim__realloc(r->ctx, more, sizeof v, "variables", &r->variable));
        r->capacity = more;
    }
    r->variable[r->count++] = v;
    st = describe(r, r->count - 1);
    if (st != CSIM_OK) { variable_free(r->ctx, &r->variable[--r->count]); }
    return st;
done:
    variable_free(r->ctx, &v);
    return st;
}

void csim__results_drop(csim_results *r, int v)
{
    variable_free(r->ctx, &r->variable[v]);
    memmove(&r->variable[v], &r->variable[v + 1], (size_t)(r->count - v - 1) * sizeof *r->variable);
    r->count--;
}

double *csim_results_values(csim_results *r, int v)
{
    return r->variable[v].values;
}

int8_t *csim_results_cells(csim_results *r, int v)
{
    return r->variable[v].state;
}

int8_t *csim_results_notes(csim_results *r, int v)
{
    return r->variable[v].note;
}

int csim_results_count(const csim_results *r)
{
    return r->count;
}

int csim_results_find(const csim_results *r, const char *name)
{
    for (int v = 0; v < r->count; v++) {
        if (strcmp(r->variable[v].about.name, name) == 0) { return v; }
    }
    return -1;
}

const csim_result_variable *csim_results_variable(const csim_results *r, int v)
{
    return v < 0 || v >= r->count ? NULL : &r->variable[v].about;
}

int64_t csim_results_rows(const csim_results *r)
{
    return r->n_rows;
}

int64_t csim_results_cols(const csim_results *r)
{
    return r->n_cols;
}

const csim_result_site *csim_results_row(const csim_results *r, int64_t i)
{
    return i < 0 || i >= r->n_rows ? NULL : &r->rows[i];
}

const csim_result_site *csim_results_col(const csim_results *r, int64_t j)
{
    return j < 0 || j >= r->n_cols ? NULL : &r->cols[j];
}

const char *csim_results_note_word(const csim_results *r, int note)
{
    return note < 0 || note >= r->n_notes ? "" : r->note[note];
}

/* ---- checksum ---- */

static void sum_text(XXH3_state_t *x, const char *text)
{
    XXH3_128bits_update(x, text, strlen(text) + 1);
}

static void sum_sites(XXH3_state_t *x, const csim_result_site *sites, int64_t n)
{
    XXH3_128bits_update(x, &n, sizeof n);
    for (int64_t i = 0; i < n; i++) {
        sum_text(x, sites[i].model);
        sum_text(x, sites[i].layer);
        XXH3_128bits_update(x, &sites[i].neurons, sizeof sites[i].neurons);
        if (sites[i].rank >= 0) { XXH3_128bits_update(x, &sites[i].rank, sizeof sites[i].rank); }
        for (int k = 0; k < 2; k++) {
            if (isnan(sites[i].median[k])) { continue; }
            sum_text(x, csim__median_variables[k].name);
            XXH3_128bits_update(x, &sites[i].median[k], sizeof sites[i].median[k]);
        }
    }
}

/* Every NaN counts as the same one: which bits it has depends on the machine. */
static void sum_reals(XXH3_state_t *x, const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double value = isnan(values[i]) ? (double)NAN : values[i];
        XXH3_128bits_update(x, &value, sizeof value);
    }
}

void csim_results_checksum(const csim_results *r, char text[48])
{
    XXH3_state_t x;
    XXH3_128bits_reset(&x);
    sum_sites(&x, r->rows, r->n_rows);
    sum_sites(&x, r->cols, r->n_cols);
    for (int i = 0; i < r->count; i++) {
        const csim__variable *v = &r->variable[i];
        sum_text(&x, v->about.name);
        sum_text(&x, v->about.list_name == NULL ? "" : v->about.list_name);
        if (v->about.list_name != NULL) { sum_reals(&x, v->about.list, v->about.n_list); }
        sum_reals(&x, v->values, v->cells);
        if (v->state != NULL) {
            XXH3_128bits_update(&x, v->state, (size_t)v->cells);
            XXH3_128bits_update(&x, v->note, (size_t)v->cells);
        }
    }
    XXH128_hash_t h = XXH3_128bits_digest(&x);
    snprintf(text, 48, "xxh3_128:%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
}
