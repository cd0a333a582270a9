/* Results as text: what to print, the way to the sink, and CSV. */
#define _POSIX_C_SOURCE 200809L
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "io/results_print.h"

enum { BUFFER = 65536, LINE_MOST = 4096 };

const csim_option csim_print_option_table[] = {
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_print_options, format),
     .fallback = "text",
     .choices = "text|csv|json",
     .help = "tables, one line a value, or everything as JSON"},
    {.name = "measure",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(csim_print_options, measures),
     .metavar = "NAME",
     .help =
         "print these measures, or statistics of measures, names joined by ','; without it all"},
    {.name = "rows",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_print_options, rows),
     .metavar = "MODELS",
     .help = "models of the rows, names or globs joined by ','"},
    {.name = "cols",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_print_options, cols),
     .metavar = "MODELS",
     .help = "models of the columns, names or globs joined by ','"},
    {.name = "digits",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_print_options, digits),
     .fallback = "4",
     .min = 0,
     .max = 17,
     .help = "digits after the point in a table"},
    {.name = NULL},
};

/* ---- the way to the sink ---- */

static void flush(csim__printer *p)
{
    if (p->used > 0 && !p->refused) { p->refused = p->sink(p->user, p->buffer, p->used) != 0; }
    p->used = 0;
}

void csim__print_bytes(csim__printer *p, const char *text, int64_t length)
{
    while (length > 0) {
        int64_t n = csim__min64(length, BUFFER - p->used);
        memcpy(p->buffer + p->used, text, (size_t)n);
        p->used += n;
        text += n;
        length -= n;
        if (p->used == BUFFER) { flush(p); }
    }
}

/* For numbers and short words; longer texts go through csim__print_bytes(). */
void csim__print(csim__printer *p, const char *format, ...)
{
    char line[LINE_MOST];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    csim__print_bytes(p, line, n < 0 ? 0 : csim__min64(n, LINE_MOST - 1));
}

csim_cell csim__cell_of(const csim_results *r, const csim__variable *v, int64_t i)
{
    if (v->state == NULL) {
        int parent = csim_results_find(r, v->about.parent);
        v = parent < 0 ? v : &r->variable[parent];
    }
    if (v->state == NULL || v->cells == 0) { return CSIM_CELL_DONE; }
    return (csim_cell)v->state[i % v->cells];
}

/* ---- what to print ---- */

/* Does a model's name match one of the words joined by ','? */
static csim_status matches(csim_context *ctx, const char *list, const char *model, int *does)
{
    *does = 0;
    while (!*does && *list != 0) {
        size_t n = strcspn(list, ",");
        char *word = NULL;
        csim_status st = csim__format(ctx, &word, "%.*s", (int)n, list);
        if (st != CSIM_OK) { return st; }
        *does = strcmp(word, model) == 0 || fnmatch(word, model, 0) == 0;
        csim__free(ctx, &word);
        list += n + (list[n] == ',');
    }
    return CSIM_OK;
}

static csim_status choose_sites(csim_context *ctx, const csim_result_site *sites, int64_t n,
                                const char *list, const char *what, int64_t **chosen,
                                int64_t *count)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, n, sizeof **chosen, "sites to print", chosen));
    for (int64_t i = 0; i < n; i++) {
        int does = 1;
        if (list != NULL) { CSIM_TRY(matches(ctx, list, sites[i].model, &does)); }
        if (does) { (*chosen)[(*count)++] = i; }
    }
    if (*count == 0) {
        st = csim__fail(ctx, CSIM_E_ARG, "no %s is of a model that '%s' names; the first is '%s'",
                        what, list, sites[0].model);
    }
done:
    return st;
}

static csim_status no_measure(const csim__printer *p, const char *name)
{
    const csim_results *r = p->results;
    csim__closest search = csim__closest_start(name);
    for (int v = 0; v < r->count; v++) { csim__closest_try(&search, r->variable[v].about.name); }
    if (search.best != NULL) {
        return csim__fail(p->ctx, CSIM_E_ARG,
                          "the results have no measure '%s'; the closest is '%s'", name,
                          search.best);
    }
    return csim__fail(p->ctx, CSIM_E_ARG, "the results have no measure '%s'; they have %s%s", name,
                      r->count == 0 ? "none" : r->variable[0].about.name,
                      r->count > 1 ? " and others" : "");
}

static csim_status choose_variables(csim__printer *p, const csim_print_options *o)
{
    const csim_results *r = p->results;
    csim_status st = CSIM_OK;
    int n = o->measures.count > r->count ? o->measures.count : r->count;
    CSIM_TRY(csim__alloc(p->ctx, n, sizeof *p->variable, "variables to print", &p->variable));
    for (int i = 0; i < o->measures.count; i++) {
        int v = csim_results_find(r, o->measures.text[i]);
        if (v < 0) { return no_measure(p, o->measures.text[i]); }
        p->variable[p->variables++] = v;
    }
    for (int v = 0; v < r->count && o->measures.count == 0; v++) {
        if (r->variable[v].state != NULL || o->format != CSIM_PRINT_TEXT) {
            p->variable[p->variables++] = v;
        }
    }
done:
    return st;
}

/* ---- CSV ---- */

static void csv_field(csim__printer *p, const char *text, char end)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        csim__print_bytes(p, text, (int64_t)strlen(text));
    } else {
        csim__print_bytes(p, "\"", 1);
        for (const char *c = text; *c != 0; c++) {
            if (*c == '"') { csim__print_bytes(p, "\"", 1); }
            csim__print_bytes(p, c, 1);
        }
        csim__print_bytes(p, "\"", 1);
    }
    csim__print_bytes(p, &end, 1);
}

/* One line a cell that was asked for; a value is written so that reading it gives the same bits. */
static void csv_variable(csim__printer *p, const csim__variable *v, int64_t list)
{
    const csim_results *r = p->results;
    char name[256];
    snprintf(name, sizeof name, "%s", v->about.name);
    if (v->about.list_name != NULL) {
        snprintf(name, sizeof name, "%s[%s=%g]", v->about.name, v->about.list_name,
                 v->about.list[list]);
    }
    for (int64_t a = 0; a < p->rows; a++) {
        for (int64_t b = 0; b < p->cols; b++) {
            int64_t i = (list * r->n_rows + p->row[a]) * r->n_cols + p->col[b];
            csim_cell state = csim__cell_of(r, v, i);
            if (state == CSIM_CELL_NOT_REQUESTED) { continue; }
            csv_field(p, name, ',');
            csv_field(p, r->rows[p->row[a]].model, ',');
            csv_field(p, r->rows[p->row[a]].layer, ',');
            csv_field(p, r->cols[p->col[b]].model, ',');
            csv_field(p, r->cols[p->col[b]].layer, ',');
            if (!isnan(v->values[i])) { csim__print(p, "%.17g", v->values[i]); }
            csim__print(p, ",%s,", csim_cell_word(state));
            csv_field(p, v->note == NULL ? "" : csim_results_note_word(r, v->note[i]), '\n');
        }
    }
}

static void print_csv(csim__printer *p)
{
    csim__print(p, "measure,model_a,layer_a,model_b,layer_b,value,status,note\n");
    for (int i = 0; i < p->variables; i++) {
        const csim__variable *v = &p->results->variable[p->variable[i]];
        for (int64_t list = 0; list < v->about.n_list; list++) { csv_variable(p, v, list); }
    }
}

csim_status csim_results_print(csim_context *ctx, const csim_results *r,
                               const csim_print_options *o, csim_sink_fn sink, void *user)
{
    csim__printer p = {
        .ctx = ctx, .results = r, .sink = sink, .user = user, .digits = (int)o->digits};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, BUFFER, 1, "a buffer for printing", &p.buffer));
    CSIM_TRY(choose_variables(&p, o));
    CSIM_TRY(choose_sites(ctx, r->rows, r->n_rows, o->rows, "row", &p.row, &p.rows));
    CSIM_TRY(choose_sites(ctx, r->cols, r->n_cols, o->cols, "column", &p.col, &p.cols));
    if (o->format == CSIM_PRINT_CSV) {
        print_csv(&p);
    } else if (o->format == CSIM_PRINT_JSON) {
        CSIM_TRY(csim__print_json(&p));
    } else {
        CSIM_TRY(csim__print_tables(&p));
    }
    flush(&p);
    if (p.refused) { st = csim__fail(ctx, CSIM_E_IO, "the printed results cannot be written"); }
done:
    csim__free(ctx, &p.col);
    csim__free(ctx, &p.row);
    csim__free(ctx, &p.variable);
    csim__free(ctx, &p.buffer);
    return st;
}
