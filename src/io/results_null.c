/* P-values and calibrated scores from values under relabellings of the examples. All relabellings hold
 * for all pairs of layers, so that the best pair of two models can be compared with the best of each
 * relabelling, whichever pair that is. */
#include "io/results_null.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/results_private.h"

#define ALPHA "alpha"

enum { NAME_MOST = 96 };

/* What values under relabellings become: X(name, its end in the file, text for people). */
#define OUTCOMES(X)                                                                                \
    X(PVALUE, "pvalue", "share of relabellings of the examples, this one included, as good")       \
    X(MEAN, "null_mean", "mean over relabellings of the examples")                                 \
    X(SD, "null_sd", "standard deviation over relabellings of the examples")                       \
    X(Z, "z", "distance from the mean over relabellings in standard deviations")                   \
    X(PVALUE_MAX, "pvalue_max",                                                                    \
      "the same share, of relabellings whose best pair of layers is as "                           \
      "good")                                                                                      \
    X(CALIBRATED, "calibrated", "the score above the threshold of relabellings: 0 there, 1 at 1")  \
    X(CALIBRATED_MAX, "calibrated_max",                                                            \
      "the same above the threshold of the best pair of layers of relabellings")

#define OUTCOME_ENUM(name, end, text) name,
enum outcome { OUTCOMES(OUTCOME_ENUM) OUTCOME_COUNT };
#undef OUTCOME_ENUM

/* The values of one measure. */
typedef struct null {
    csim_results *r;
    int parent;        /* its variable */
    double *draw;      /* [planes, draws, cells] */
    const double *tie; /* [planes, cells] how far rounding may move values; NULL: not known */
    int64_t draws, planes, cells;
    double alpha;
    bool distance, unit, bounded; /* the values end at 1; on both sides */
    double *out[OUTCOME_COUNT];   /* [planes, cells]; NULL: not this one */
    double *best, *sorted;        /* [draws], [draws + 1] */
} null;

csim_status csim__results_add_beside(csim_results *r, int parent, const char *end, const char *text,
                                     int *v)
{
    const csim_result_variable *about = &r->variable[parent].about;
    char name[NAME_MOST];
    snprintf(name, sizeof name, "%.70s_%s", about->name, end);
    csim_result_variable variable = {.name = name,
                                     .long_name = text,
                                     .parent = about->name,
                                     .list_name = about->list_name,
                                     .list = about->list,
                                     .n_list = about->n_list};
    csim_status st = csim_results_add(r, &variable);
    *v = r->count - 1;
    return st;
}

csim_status csim__results_add_null(csim_results *r, const char *measure, int64_t draws,
                                   double alpha, double **values)
{
    char name[NAME_MOST], list_name[NAME_MOST];
    double *list = NULL;
    csim_status st = CSIM_OK;
    int64_t all = draws * r->variable[csim_results_find(r, measure)].about.n_list;
    snprintf(name, sizeof name, "%.80s_null", measure);
    snprintf(list_name, sizeof list_name, "%.80s_draw", measure);
    CSIM_TRY(csim__alloc(r->ctx, all, sizeof *list, "relabellings", &list));
    for (int64_t i = 0; i < all; i++) { list[i] = (double)(i + 1); }
    csim_result_variable variable = {.name = name,
                                     .long_name = "value under relabellings of the examples",
                                     .parent = measure,
                                     .list_name = list_name,
                                     .list = list,
                                     .n_list = all};
    CSIM_TRY(csim_results_add(r, &variable));
    *values = csim_results_values(r, r->count - 1);
    st = csim_results_set_reals(r, r->count - 1, ALPHA, &alpha, 1);
done:
    csim__free(r->ctx, &list);
    return st;
}

/* ---- one value ---- */

/* How far rounding may move the value at a place. */
static double tie_at(const null *n, int64_t at)
{
    double value = n->r->variable[n->parent].values[at];
    return fmax(n->tie != NULL ? n->tie[at] : 0, 1e-12 * (n->bounded ? 1 : fabs(value)));
}

/* (1 + #{as good as the value at a place, but for rounding})/(K + 1) */
static double p_value(const null *n, const double *draw, int64_t step, int64_t at)
{
    double value = n->r->variable[n->parent].values[at], tie = tie_at(n, at);
    int64_t count = 1;
    for (int64_t k = 0; k < n->draws; k++) {
        double d = draw[k * step];
        count += n->distance ? d <= value + tie : d >= value - tie;
    }
    return (double)count / (double)(n->draws + 1);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* max(0, (s − τ)/(1 − τ)), τ the ⌈(1 − α)(K + 1)⌉-th smallest of draws and the value @p among. */
static double calibrated(const null *n, const double *draw, int64_t step, double among,
                         double value)
{
    int64_t all = n->draws + 1, at = (int64_t)ceil((1 - n->alpha) * (double)all - 1e-9);
    for (int64_t k = 0; k < n->draws; k++) { n->sorted[k] = draw[k * step]; }
    n->sorted[n->draws] = among;
    qsort(n->sorted, (size_t)all, sizeof *n->sorted, compare);
    double tau = n->sorted[csim__max64(at, 1) - 1];
    return tau < 1 ? fmax(0, (value - tau) / (1 - tau)) : 0;
}

static const double *draws_of(const null *n, int64_t plane, int64_t cell)
{
    return n->draw + plane * n->draws * n->cells + cell;
}

/* Is there a value of this cell, and one of every relabelling? */
static bool whole(const null *n, int64_t plane, int64_t cell)
{
    const csim__variable *v = &n->r->variable[n->parent];
    const double *draw = draws_of(n, plane, cell);
    bool all = v->state[plane * n->cells + cell] == CSIM_CELL_DONE;
    for (int64_t k = 0; all && k < n->draws; k++) { all = isfinite(draw[k * n->cells]); }
    return all;
}

static void settle_cell(const null *n, int64_t plane, int64_t cell)
{
    const double *draw = draws_of(n, plane, cell);
    int64_t at = plane * n->cells + cell;
    double value = n->r->variable[n->parent].values[at], mean = 0, square = 0;
    if (!whole(n, plane, cell)) { return; }
    for (int64_t k = 0; k < n->draws; k++) { mean += draw[k * n->cells]; }
    mean /= (double)n->draws;
    for (int64_t k = 0; k < n->draws; k++) {
        double off = draw[k * n->cells] - mean;
        square += off * off;
    }
    double sd = n->draws > 1 ? sqrt(square / (double)(n->draws - 1)) : NAN;
    n->out[PVALUE][at] = p_value(n, draw, n->cells, at);
    n->out[MEAN][at] = mean;
    n->out[SD][at] = sd;
    double least = fmax(1e-12 * fmax(fabs(mean), fabs(value)), n->tie != NULL ? n->tie[at] : 0);
    n->out[Z][at] = sd > least ? (value - mean) / sd : NAN;
    if (n->unit) { n->out[CALIBRATED][at] = calibrated(n, draw, n->cells, value, value); }
}

/* ---- the best pair of two models ---- */

static bool same_site(const csim_result_site *a, const csim_result_site *b)
{
    return strcmp(a->model, b->model) == 0 && strcmp(a->layer, b->layer) == 0;
}

/* Are two cells of the same two models? */
static bool same_models(const csim_results *r, int64_t a, int64_t b)
{
    const csim_result_site *x = r->rows, *y = r->cols;
    int64_t cols = r->n_cols;
    return strcmp(x[a / cols].model, x[b / cols].model) == 0 &&
           strcmp(y[a % cols].model, y[b % cols].model) == 0;
}

/* Does a cell count for the best? A layer with itself does not. */
static bool counts(const null *n, int64_t plane, int64_t cell)
{
    const csim_results *r = n->r;
    return whole(n, plane, cell) &&
           !same_site(&r->rows[cell / r->n_cols], &r->cols[cell % r->n_cols]);
}

static double better(const null *n, double a, double b)
{
    return n->distance ? fmin(a, b) : fmax(a, b);
}

/* All cells of the models of cell @p first, if it is the first of them. */
static void settle_models(const null *n, int64_t plane, int64_t first)
{
    const double *value = n->r->variable[n->parent].values + plane * n->cells;
    double best = n->distance ? INFINITY : -INFINITY;
    for (int64_t c = 0; c < first; c++) {
        if (same_models(n->r, c, first) && counts(n, plane, c)) { return; }
    }
    for (int64_t k = 0; k < n->draws; k++) { n->best[k] = best; }
    for (int64_t c = first; c < n->cells; c++) {
        if (!same_models(n->r, c, first) || !counts(n, plane, c)) { continue; }
        best = better(n, best, value[c]);
        for (int64_t k = 0; k < n->draws; k++) {
            n->best[k] = better(n, n->best[k], draws_of(n, plane, c)[k * n->cells]);
        }
    }
    for (int64_t c = first; c < n->cells; c++) {
        int64_t at = plane * n->cells + c;
        if (!same_models(n->r, c, first) || !counts(n, plane, c)) { continue; }
        n->out[PVALUE_MAX][at] = p_value(n, n->best, 1, at);
        if (n->unit) { n->out[CALIBRATED_MAX][at] = calibrated(n, n->best, 1, best, value[c]); }
    }
}

/* ---- one measure ---- */

static csim_status add_outcomes(null *n)
{
#define OUTCOME_TEXT(name, end, text) {end, text},
    static const char *const about[][2] = {OUTCOMES(OUTCOME_TEXT)};
#undef OUTCOME_TEXT
    csim_results *r = n->r;
    csim_status st = CSIM_OK;
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        int v;
        if (i >= CALIBRATED && !n->unit) { break; }
        CSIM_TRY(csim__results_add_beside(r, n->parent, about[i][0], about[i][1], &v));
        if (i >= CALIBRATED) { CSIM_TRY(csim_results_set_reals(r, v, ALPHA, &n->alpha, 1)); }
        n->out[i] = r->variable[v].values;
    }
done:
    return st;
}

/* The variable of what rounding may do to the values of variable @p parent, −1: there is none. */
static int find_tie(const csim_results *r, int parent)
{
    char name[NAME_MOST];
    snprintf(name, sizeof name, "%.70s_" CSIM__RESULTS_TIE, r->variable[parent].about.name);
    return csim_results_find(r, name);
}

static csim_status settle(csim_results *r, int v)
{
    const csim_attribute *alpha = csim_results_attribute_find(r, v, ALPHA);
    const csim_result_variable *about = &r->variable[v].about;
    null n = {
        .r = r, .parent = csim_results_find(r, about->parent), .cells = r->n_rows * r->n_cols};
    const csim__variable *parent = &r->variable[n.parent];
    csim_status st = CSIM_OK;
    n.draw = r->variable[v].values;
    n.planes = parent->about.n_list;
    n.draws = about->n_list / n.planes;
    n.alpha = alpha != NULL && alpha->count == 1 ? alpha->reals[0] : 0;
    n.distance =
        parent->about.orientation != NULL && strcmp(parent->about.orientation, "distance") == 0;
    n.unit = !n.distance && parent->about.range[1] == 1;
    n.bounded = isfinite(parent->about.range[0]) && isfinite(parent->about.range[1]) &&
                parent->about.range[1] > parent->about.range[0];
    int tie = find_tie(r, n.parent);
    if (tie >= 0) { n.tie = r->variable[tie].values; }
    CSIM_TRY(add_outcomes(&n));
    CSIM_TRY(csim__alloc(r->ctx, n.draws, sizeof *n.best, "relabellings", &n.best));
    CSIM_TRY(csim__alloc(r->ctx, n.draws + 1, sizeof *n.sorted, "relabellings", &n.sorted));
    for (int64_t plane = 0; plane < n.planes; plane++) {
        for (int64_t c = 0; c < n.cells; c++) {
            settle_cell(&n, plane, c);
            if (counts(&n, plane, c)) { settle_models(&n, plane, c); }
        }
    }
done:
    csim__free(r->ctx, &n.sorted);
    csim__free(r->ctx, &n.best);
    return st;
}

static bool is_null(const csim_result_variable *about)
{
    size_t length = about->parent != NULL ? strlen(about->parent) : 0;
    return length > 0 && strncmp(about->name, about->parent, length) == 0 &&
           strcmp(about->name + length, "_null") == 0;
}

csim_status csim__results_settle(csim_results *r)
{
    csim_status st = CSIM_OK;
    for (int v = 0; st == CSIM_OK && v < r->count; v++) {
        if (!is_null(&r->variable[v].about)) { continue; }
        const csim__variable *parent =
            &r->variable[csim_results_find(r, r->variable[v].about.parent)];
        if (memchr(parent->state, CSIM_CELL_PENDING, (size_t)parent->cells) != NULL) { continue; }
        st = settle(r, v);
        if (st != CSIM_OK) { break; }
        int before = csim_results_find(r, r->variable[v].about.parent);
        csim__results_drop(r, v--);
        int tie = find_tie(r, before);
        if (tie >= 0) {
            csim__results_drop(r, tie);
            v -= tie <= v;
        }
    }
    return st;
}
