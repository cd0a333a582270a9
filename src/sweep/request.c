/* What a sweep is asked for, line by line, as its journal holds it: a sweep of something else can name the
 * difference. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "ingredients/basis.h"
#include "linalg/dense.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

#define LARGE_PAIRS "large pairs: from %" PRId64 " on grids of "
#define DIFFERS "--resume: %s holds the work of another sweep: "
#define AFRESH " (--overwrite starts afresh)"

/* A text that grows line by line; the first failure stays. */
typedef struct lines {
    csim_context *ctx;
    char *text;
    csim_status st;
} lines;

CSIM_PRINTF(2, 3)
static void add_line(lines *r, const char *format, ...)
{
    char line[1024], *longer = NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (r->st == CSIM_OK) { r->st = csim__format(r->ctx, &longer, "%s%s\n", r->text, line); }
    if (r->st != CSIM_OK) { return; }
    csim__free(r->ctx, &r->text);
    r->text = longer;
}

static void add_measures(lines *r, const csim_sweep_options *o)
{
    char names[1000] = "";
    for (int m = 0; m < o->measure_count; m++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s %s", m > 0 ? "," : "",
                 o->measures[m].measure->name);
    }
    add_line(r, "measures:%s", names);
}

/* A number as short as it can be without being another. */
typedef struct number {
    char text[32];
} number;

static number number_of(double value)
{
    number n;
    snprintf(n.text, sizeof n.text, "%.15g", value);
    if (strtod(n.text, NULL) != value) { snprintf(n.text, sizeof n.text, "%.17g", value); }
    return n;
}

static void add_options(lines *r, const csim_sweep_measure *m)
{
    const char *base = m->options, *name = m->measure->name;
    for (const csim_option *o = m->measure->options; o && o->name; o++) {
        const void *field = base + o->offset;
        if (o->kind == CSIM_OPTION_REAL) {
            add_line(r, "%s.%s: %s", name, o->name, number_of(*(const double *)field).text);
        } else if (o->kind == CSIM_OPTION_INT || o->kind == CSIM_OPTION_SIZE) {
            add_line(r, "%s.%s: %" PRId64, name, o->name, *(const int64_t *)field);
        } else if (o->kind == CSIM_OPTION_TEXT) {
            add_line(r, "%s.%s: %.800s", name, o->name, *(const char *const *)field);
        } else {
            add_line(r, "%s.%s: %d", name, o->name, *(const int *)field);
        }
    }
}

/* Everything that a value or its place depends on, but for the values of the inputs. */
csim_status csim__request_text(csim__sweep *w, char **text)
{
    const csim_sweep_options *o = w->options;
    lines r = {.ctx = w->ctx};
    char blas[256];
    r.st = csim__strdup(w->ctx, "", &r.text);
    csim__blas_name(blas, sizeof blas);
    add_line(&r, "program: contrasim %s", csim_version());
    add_line(&r, "BLAS: %s", blas);
    add_line(&r, "examples: %" PRId64, w->shard.n);
    for (int s = 0; s < w->all_count; s++) {
        const csim__site *t = &w->all[s];
        add_line(&r, "layer %d: %.200s of set %.200s, %" PRId64 " neurons", s + 1, t->layer,
                 t->model, t->d);
    }
    add_measures(&r, o);
    for (int m = 0; m < o->measure_count; m++) { add_options(&r, &o->measures[m]); }
    for (int i = 0; i < o->encoder_count; i++) {
        add_line(&r, "encoder: %s", csim_encoder_checksum(o->encoders[i]));
    }
    char part[48] = "all of them";
    if (o->parts > 0) { snprintf(part, sizeof part, "part %d of %d", o->part, o->parts); }
    add_line(&r, "pairs: %.400s, %s", o->pairs != NULL ? o->pairs : "those between sets, or of one",
             part);
    add_line(&r, "precision: %s", o->precision == CSIM_SINGLE_PRECISION ? "single" : "double");
    if (o->null != CSIM_NULL_NONE) {
        static const char *const null[] = {[CSIM_NULL_ANALYTIC] = "analytic",
                                           [CSIM_NULL_PERMUTATION] = "permutation",
                                           [CSIM_NULL_SHIFT] = "shift"};
        add_line(&r, "null: %s, %" PRId64 " permutations of seed %" PRId64 ", alpha %s",
                 null[o->null], o->permutations, o->null_seed,
                 number_of(csim__statistics_alpha(o)).text);
    }
    if (o->jackknife > 0) { add_line(&r, "jackknife: %" PRId64 " blocks", o->jackknife); }
    add_line(&r, "rank floor: %s", number_of(csim__rank_floor(o)).text);
    if (csim__teams_size(&w->teams) > 1) { /* their rounding is that of the grid */
        add_line(&r, LARGE_PAIRS "%d x %d ranks", w->teams.least, w->teams.p, w->teams.q);
    }
    if (o->remark != NULL) { add_line(&r, "%.400s", o->remark); }
    add_line(&r, "NaN: %s", o->nan_drop_rows ? "rows dropped" : "refused");
    *text = r.text;
    return r.st;
}

csim_status csim__request_compare(csim__sweep *w, const char *saved, const char *now)
{
    const char *journal = w->options->journal;
    int a, b;
    if (!csim__text_difference(NULL, &saved, &a, &now, &b)) { return CSIM_OK; }
    /* a line more or less moves all that follow: it is found by its name */
    if (b > 0 && !csim__text_has(saved, now, ":")) {
        return csim__fail(w->ctx, CSIM_E_DATA,
                          DIFFERS "'%.*s' here, nothing of the kind there" AFRESH, journal, b, now);
    }
    if (a > 0 && !csim__text_has(now, saved, ":")) {
        return csim__fail(w->ctx, CSIM_E_DATA,
                          DIFFERS "'%.*s' there, nothing of the kind here" AFRESH, journal, a,
                          saved);
    }
    return csim__fail(w->ctx, CSIM_E_DATA, DIFFERS "'%.*s' there, '%.*s' here" AFRESH, journal, a,
                      saved, b, now);
}
