/* Results as one JSON object. NaN and infinity, which JSON does not have, become null. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "io/results_print.h"

/* A text; bytes that are not UTF-8 become '?'. NULL when out of memory. */
static json_t *text_json(csim_context *ctx, const char *text)
{
    char *copy = NULL;
    json_t *json = json_string(text);
    if (json != NULL || csim__strdup(ctx, text, &copy) != CSIM_OK) { return json; }
    for (char *c = copy; *c != 0; c++) {
        if ((unsigned char)*c >= 0x80) { *c = '?'; }
    }
    json = json_string(copy);
    csim__free(ctx, &copy);
    return json;
}

static json_t *real_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* One number as itself, several as an array. */
static json_t *attribute_json(csim_context *ctx, const csim_attribute *a)
{
    if (a->kind == CSIM_ATTRIBUTE_TEXT) { return text_json(ctx, a->text); }
    json_t *array = json_array();
    for (int64_t i = 0; i < a->count; i++) {
        json_t *one = a->kind == CSIM_ATTRIBUTE_INT ? json_integer((json_int_t)a->integers[i])
                                                    : real_json(a->reals[i]);
        if (a->count == 1) {
            json_decref(array);
            return one;
        }
        if (json_array_append_new(array, one) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Each of these gives NULL when out of memory: json_…_set_new() and _append_new() take a NULL as a
 * failure, so one test at the end of each is enough. */
static json_t *attributes_json(csim_context *ctx, const csim__attributes *list)
{
    json_t *object = json_object();
    int bad = object == NULL;
    for (int i = 0; i < list->count && !bad; i++) {
        bad = json_object_set_new_nocheck(object, list->item[i].name,
                                          attribute_json(ctx, &list->item[i]));
    }
    if (!bad) { return object; }
    json_decref(object);
    return NULL;
}

static json_t *sites_json(csim_context *ctx, const csim_result_site *sites, const int64_t *chosen,
                          int64_t n)
{
    json_t *array = json_array();
    int bad = array == NULL;
    for (int64_t i = 0; i < n && !bad; i++) {
        const csim_result_site *s = &sites[chosen[i]];
        json_t *site = json_object();
        bad = json_object_set_new(site, "model", text_json(ctx, s->model)) ||
              json_object_set_new(site, "layer", text_json(ctx, s->layer)) ||
              json_object_set_new(site, "neurons", json_integer((json_int_t)s->neurons));
        if (s->rank >= 0 && !bad) {
            bad = json_object_set_new(site, "rank", json_integer((json_int_t)s->rank));
        }
        for (int k = 0; k < 2 && !bad; k++) {
            if (isnan(s->median[k])) { continue; }
            bad =
                json_object_set_new(site, csim__median_variables[k].name, real_json(s->median[k]));
        }
        if (json_array_append_new(array, site) != 0) { bad = 1; }
    }
    if (!bad) { return array; }
    json_decref(array);
    return NULL;
}

enum content { VALUES, STATES, NOTES };

static json_t *cell_json(const csim__printer *p, const csim__variable *v, enum content what,
                         int64_t i)
{
    if (what == VALUES) { return real_json(v->values[i]); }
    if (what == STATES) { return json_string(csim_cell_word((csim_cell)v->state[i])); }
    return text_json(p->ctx, csim_results_note_word(p->results, v->note[i]));
}

/* Rows of columns at one value of the list. */
static json_t *matrix_json(const csim__printer *p, const csim__variable *v, enum content what,
                           int64_t list)
{
    const csim_results *r = p->results;
    json_t *matrix = json_array();
    int bad = matrix == NULL;
    for (int64_t a = 0; a < p->rows && !bad; a++) {
        json_t *row = json_array();
        for (int64_t b = 0; b < p->cols && !bad; b++) {
            int64_t i = (list * r->n_rows + p->row[a]) * r->n_cols + p->col[b];
            bad = json_array_append_new(row, cell_json(p, v, what, i));
        }
        if (json_array_append_new(matrix, row) != 0) { bad = 1; }
    }
    if (!bad) { return matrix; }
    json_decref(matrix);
    return NULL;
}

/* A matrix, or an array of them, one for each value of the list. */
static json_t *matrices_json(const csim__printer *p, const csim__variable *v, enum content what)
{
    if (v->about.list_name == NULL) { return matrix_json(p, v, what, 0); }
    json_t *array = json_array();
    int bad = array == NULL;
    for (int64_t list = 0; list < v->about.n_list && !bad; list++) {
        bad = json_array_append_new(array, matrix_json(p, v, what, list));
    }
    if (!bad) { return array; }
    json_decref(array);
    return NULL;
}

static json_t *list_json(csim_context *ctx, const csim_result_variable *a)
{
    json_t *object = json_object(), *values = json_array();
    int bad = json_object_set_new(object, "name", text_json(ctx, a->list_name));
    for (int64_t i = 0; i < a->n_list && !bad; i++) {
        bad = json_array_append_new(values, real_json(a->list[i]));
    }
    if (json_object_set_new(object, "values", values) == 0 && !bad) { return object; }
    json_decref(object);
    return NULL;
}

static json_t *variable_json(const csim__printer *p, const csim__variable *v)
{
    json_t *object = json_object();
    int bad = json_object_set_new(object, "name", text_json(p->ctx, v->about.name)) ||
              json_object_set_new(object, "attributes", attributes_json(p->ctx, &v->attributes));
    if (!bad && v->about.list_name != NULL) {
        bad = json_object_set_new(object, "list", list_json(p->ctx, &v->about));
    }
    if (!bad) { bad = json_object_set_new(object, "values", matrices_json(p, v, VALUES)); }
    if (!bad && v->state != NULL) {
        bad = json_object_set_new(object, "status", matrices_json(p, v, STATES)) ||
              json_object_set_new(object, "notes", matrices_json(p, v, NOTES));
    }
    if (!bad) { return object; }
    json_decref(object);
    return NULL;
}

static int take(const char *text, size_t length, void *printer)
{
    csim__printer *p = printer;
    csim__print_bytes(p, text, (int64_t)length);
    return p->refused ? -1 : 0;
}

csim_status csim__print_json(csim__printer *p)
{
    const csim_results *r = p->results;
    json_t *root = json_object(), *variables = json_array();
    int bad = variables == NULL;
    for (int i = 0; i < p->variables && !bad; i++) {
        bad = json_array_append_new(variables, variable_json(p, &r->variable[p->variable[i]]));
    }
    bad = bad || json_object_set_new(root, "attributes", attributes_json(p->ctx, &r->attributes)) ||
          json_object_set_new(root, "rows", sites_json(p->ctx, r->rows, p->row, p->rows)) ||
          json_object_set_new(root, "columns", sites_json(p->ctx, r->cols, p->col, p->cols));
    if (json_object_set_new(root, "variables", variables) != 0) { bad = 1; }
    csim_status st = CSIM_OK;
    if (bad) {
        st = csim__fail(p->ctx, CSIM_E_MEM, "out of memory for the results as JSON");
    } else {
        bad = json_dump_callback(root, take, p, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0;
        csim__print(p, "\n");
        if (bad && !p->refused) {
            st = csim__fail(p->ctx, CSIM_E_MEM, "out of memory for the results as JSON");
        }
    }
    json_decref(root);
    return st;
}
