/* Results as tables for people, so that a dozen layers fit a terminal: heads of columns that do not
 * fit two lines become numbers, and long heads of rows are cut; both are then told below in full. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/results_print.h"

enum { HEAD_WIDTH = 8, HEAD_LINES = 2, LABEL_WIDTH = 40, CELL_MOST = 64 };

/* One table: a variable at one value of its list. */
typedef struct table {
    csim__printer *p;
    const csim__variable *v;
    int64_t list;
    int row_models, col_models; /* 1: sites of several models, heads name the model too */
    bool same;                  /* rows and columns are the same sites */
    bool numbers;               /* in the place of the heads of columns */
    bool cut;                   /* some heads of rows are */
    int width;                  /* of the cells; heads are broken to it */
    int label;                  /* of the heads of rows, with their numbers */
    int lines;                  /* of the heads of columns */
    int digits;                 /* of the numbers */
    int noted[128];             /* values with each note */
    int64_t unasked;            /* cells not requested */
} table;

/* Length in characters, and bytes of the first n characters, of UTF-8. */
static int characters(const char *text)
{
    int n = 0;
    for (; *text != 0; text++) { n += ((unsigned char)*text & 0xc0) != 0x80; }
    return n;
}

static int bytes_of(const char *text, int n)
{
    int i = 0;
    while (text[i] != 0 && n > 0) {
        i++;
        while (((unsigned char)text[i] & 0xc0) == 0x80) { i++; }
        n--;
    }
    return i;
}

/* Head of a site; with its model where the side has several. */
static csim_status head_text(const table *t, const csim_result_site *site, int models, char **text)
{
    return csim__format(t->p->ctx, text, "%s%s%s", models ? site->model : "", models ? "/" : "",
                        site->layer);
}

/* Bytes of the next line of a head: at most `width` characters, broken behind a separator; 0 if
 * there is none to break at. */
static int next_piece(const char *text, int width)
{
    int most = bytes_of(text, width);
    if (text[most] == 0) { return most; }
    for (int i = most; i > most / 3; i--) {
        if (strchr("_./-: ", text[i - 1]) != NULL) { return i; }
    }
    return 0;
}

/* Lines of a head, HEAD_LINES + 1 if it takes more or cannot be broken. */
static int lines_of(const char *head, int width)
{
    int lines = 0;
    while (*head != 0 && lines <= HEAD_LINES) {
        int n = next_piece(head, width);
        if (n == 0) { return HEAD_LINES + 1; }
        head += n;
        lines++;
    }
    return lines;
}

/* A head of a row in at most LABEL_WIDTH characters: names differ at their ends. */
static csim_status cut_head(const table *t, char **head)
{
    int all = characters(*head), front = (LABEL_WIDTH - 1) / 2, back = LABEL_WIDTH - 1 - front;
    char *whole = *head;
    if (all <= LABEL_WIDTH) { return CSIM_OK; }
    *head = NULL;
    csim_status st = csim__format(t->p->ctx, head, "%.*s…%s", bytes_of(whole, front), whole,
                                  whole + bytes_of(whole, all - back));
    csim__free(t->p->ctx, &whole);
    return st;
}

static bool same_sites(const csim__printer *p)
{
    const csim_results *r = p->results;
    for (int64_t i = 0; p->rows == p->cols && i < p->rows; i++) {
        const csim_result_site *a = &r->rows[p->row[i]], *b = &r->cols[p->col[i]];
        if (strcmp(a->model, b->model) != 0 || strcmp(a->layer, b->layer) != 0) { return false; }
    }
    return p->rows == p->cols;
}

static int several_models(const csim_result_site *sites, const int64_t *chosen, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        if (strcmp(sites[chosen[i]].model, sites[chosen[0]].model) != 0) { return 1; }
    }
    return 0;
}

static int64_t cell_index(const table *t, int64_t a, int64_t b)
{
    const csim_results *r = t->p->results;
    return (t->list * r->n_rows + t->p->row[a]) * r->n_cols + t->p->col[b];
}

/* A cell as it is printed; '*' marks a value with a note. */
static void cell_text(const table *t, int64_t i, char text[CELL_MOST])
{
    csim_cell state = csim__cell_of(t->p->results, t->v, i);
    int noted = t->v->note != NULL && t->v->note[i] > 0;
    if (state == CSIM_CELL_NOT_REQUESTED) {
        snprintf(text, CELL_MOST, "-");
    } else if (state != CSIM_CELL_DONE || isnan(t->v->values[i])) {
        snprintf(text, CELL_MOST, "%s%s", state == CSIM_CELL_DONE ? "nan" : csim_cell_word(state),
                 noted ? "*" : "");
    } else {
        double x = t->v->values[i];
        snprintf(text, CELL_MOST, fabs(x) < 1e6 ? "%.*f%s" : "%.*e%s", t->p->digits, x,
                 noted ? "*" : "");
    }
}

/* Widths of the cells, and what the legend has to say of them. */
static void measure_cells(table *t)
{
    csim__printer *p = t->p;
    char text[CELL_MOST];
    t->width = HEAD_WIDTH;
    for (int64_t a = 0; a < p->rows; a++) {
        for (int64_t b = 0; b < p->cols; b++) {
            int64_t i = cell_index(t, a, b);
            cell_text(t, i, text);
            if ((int)strlen(text) > t->width) { t->width = (int)strlen(text); }
            if (t->v->note != NULL && t->v->note[i] > 0) { t->noted[t->v->note[i]]++; }
            t->unasked += csim__cell_of(p->results, t->v, i) == CSIM_CELL_NOT_REQUESTED;
        }
    }
}

/* Widths of the heads, and whether they are cut or replaced by numbers. */
static csim_status measure_heads(table *t)
{
    csim__printer *p = t->p;
    const csim_results *r = p->results;
    char *head = NULL;
    csim_status st = CSIM_OK;
    t->row_models = several_models(r->rows, p->row, p->rows);
    t->col_models = several_models(r->cols, p->col, p->cols);
    t->same = same_sites(p);
    t->digits = snprintf(NULL, 0, "%lld", (long long)csim__max64(p->rows, p->cols));
    for (int64_t b = 0; b < p->cols; b++) {
        CSIM_TRY(head_text(t, &r->cols[p->col[b]], t->col_models, &head));
        int lines = lines_of(head, t->width);
        if (lines > t->lines) { t->lines = lines; }
        csim__free(p->ctx, &head);
    }
    t->numbers = t->lines > HEAD_LINES;
    if (t->numbers) { t->lines = 1; }
    for (int64_t a = 0; a < p->rows; a++) {
        CSIM_TRY(head_text(t, &r->rows[p->row[a]], t->row_models, &head));
        t->cut = t->cut || characters(head) > LABEL_WIDTH;
        int width = (int)csim__min64(characters(head), LABEL_WIDTH);
        if (width > t->label) { t->label = width; }
        csim__free(p->ctx, &head);
    }
    if (t->cut || (t->numbers && t->same)) { t->label += t->digits + 1; }
done:
    return st;
}

static void pad(csim__printer *p, int n)
{
    csim__print(p, "%*s", n > 0 ? n : 0, "");
}

/* Line `line` of the heads of the columns; short heads stand at the bottom. */
static csim_status print_heads(const table *t, int line)
{
    csim__printer *p = t->p;
    csim_status st = CSIM_OK;
    char *head = NULL;
    pad(p, t->label);
    for (int64_t b = 0; b < p->cols; b++) {
        if (t->numbers) {
            csim__print(p, "  %*lld", t->width, (long long)b + 1);
            continue;
        }
        CSIM_TRY(head_text(t, &p->results->cols[p->col[b]], t->col_models, &head));
        int lines = lines_of(head, t->width);
        const char *c = head;
        for (int i = t->lines - lines; i < line && *c != 0; i++) { c += next_piece(c, t->width); }
        int n = line < t->lines - lines ? 0 : next_piece(c, t->width);
        int shown = characters(c) - characters(c + n);
        pad(p, 2 + t->width - shown);
        csim__print_bytes(p, c, n);
        csim__free(p->ctx, &head);
    }
    csim__print(p, "\n");
done:
    return st;
}

/* The heads in full, one a line, beside the numbers that stand for them. */
static csim_status print_legend(const table *t, const char *title, const csim_result_site *sites,
                                const int64_t *chosen, int64_t n, int models)
{
    csim__printer *p = t->p;
    csim_status st = CSIM_OK;
    char *head = NULL;
    csim__print(p, "%s:\n", title);
    for (int64_t i = 0; i < n; i++) {
        CSIM_TRY(head_text(t, &sites[chosen[i]], models, &head));
        csim__print(p, "%*lld ", t->digits, (long long)i + 1);
        csim__print_bytes(p, head, (int64_t)strlen(head));
        csim__print(p, "\n");
        csim__free(p->ctx, &head);
    }
done:
    return st;
}

static csim_status print_legends(const table *t)
{
    csim__printer *p = t->p;
    const csim_results *r = p->results;
    csim_status st = CSIM_OK;
    if (t->cut) {
        CSIM_TRY(print_legend(t, t->numbers && t->same ? "rows and columns" : "rows", r->rows,
                              p->row, p->rows, t->row_models));
    }
    if (t->numbers && !t->same) {
        CSIM_TRY(print_legend(t, "columns", r->cols, p->col, p->cols, t->col_models));
    }
done:
    return st;
}

static csim_status print_rows(const table *t)
{
    csim__printer *p = t->p;
    csim_status st = CSIM_OK;
    for (int64_t a = 0; a < p->rows; a++) {
        char *head = NULL, text[CELL_MOST];
        CSIM_TRY(head_text(t, &p->results->rows[p->row[a]], t->row_models, &head));
        CSIM_TRY(cut_head(t, &head));
        bool numbered = t->cut || (t->numbers && t->same);
        if (numbered) { csim__print(p, "%*lld ", t->digits, (long long)a + 1); }
        csim__print_bytes(p, head, (int64_t)strlen(head));
        pad(p, t->label - characters(head) - (numbered ? t->digits + 1 : 0));
        csim__free(p->ctx, &head);
        for (int64_t b = 0; b < p->cols; b++) {
            cell_text(t, cell_index(t, a, b), text);
            csim__print(p, "  %*s", t->width, text);
        }
        csim__print(p, "\n");
    }
done:
    return st;
}

static void print_title(const table *t)
{
    csim__printer *p = t->p;
    const csim_results *r = p->results;
    const csim_result_variable *a = &t->v->about;
    csim__print(p, "%s", a->name);
    if (a->list_name != NULL) { csim__print(p, ", %s = %g", a->list_name, a->list[t->list]); }
    if (strcmp(a->long_name, a->name) != 0) { csim__print(p, ": %s", a->long_name); }
    if (a->orientation != NULL) { csim__print(p, " (%s)", a->orientation); }
    csim__print(p, "\nrows: %s, columns: %s\n",
                t->row_models ? "several models" : r->rows[p->row[0]].model,
                t->col_models ? "several models" : r->cols[p->col[0]].model);
}

static csim_status print_table(table *t)
{
    csim__printer *p = t->p;
    csim_status st = CSIM_OK;
    measure_cells(t);
    CSIM_TRY(measure_heads(t));
    print_title(t);
    for (int line = 0; line < t->lines; line++) { CSIM_TRY(print_heads(t, line)); }
    CSIM_TRY(print_rows(t));
    CSIM_TRY(print_legends(t));
    if (t->unasked > 0) { csim__print(p, "-: not requested\n"); }
    for (int i = 1; i < 128; i++) {
        if (t->noted[i] > 0) {
            csim__print(p, "*: %s (%d of the values)\n", csim_results_note_word(p->results, i),
                        t->noted[i]);
        }
    }
done:
    return st;
}

csim_status csim__print_tables(csim__printer *p)
{
    csim_status st = CSIM_OK;
    int first = 1;
    for (int i = 0; i < p->variables; i++) {
        const csim__variable *v = &p->results->variable[p->variable[i]];
        for (int64_t list = 0; list < v->about.n_list; list++) {
            table t = {.p = p, .v = v, .list = list};
            if (!first) { csim__print(p, "\n"); }
            first = 0;
            CSIM_TRY(print_table(&t));
        }
    }
done:
    return st;
}
