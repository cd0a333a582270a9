/* The parts of a sweep as one results object. */
#include <math.h>
#include <string.h>

#include "core/text.h"
#include "io/results_null.h"
#include "io/results_private.h"

/* Attributes that may differ between the parts of a sweep. Inputs may lie elsewhere on another node:
 * their checksums tell. */
static bool may_differ(const char *name)
{
    return strcmp(name, "history") == 0 || strncmp(name, "run_", 4) == 0 ||
           strcmp(name, "input_names") == 0 || strcmp(name, CSIM_RESULTS_PART) == 0 ||
           strcmp(name, "checksum") == 0;
}

static bool same_attribute(const csim_attribute *a, const csim_attribute *b)
{
    if (b != NULL && strcmp(a->name, "configuration") == 0 && a->text && b->text) {
        const char *x = a->text, *y = b->text;
        int m, n;
        return !csim__text_difference(csim__text_paths, &x, &m, &y, &n);
    }
    if (b == NULL || a->kind != b->kind || a->count != b->count) { return false; }
    size_t count = (size_t)a->count;
    return a->kind == CSIM_ATTRIBUTE_TEXT  ? strcmp(a->text, b->text) == 0
           : a->kind == CSIM_ATTRIBUTE_INT ? memcmp(a->integers, b->integers, 8 * count) == 0
                                           : memcmp(a->reals, b->reals, 8 * count) == 0;
}

static csim_status check_attributes(const csim_results *a, const csim_results *b, int v,
                                    const char *name)
{
    int count = csim_results_attribute_count(a, v);
    for (int i = 0; i < count; i++) {
        const csim_attribute *x = csim_results_attribute(a, v, i);
        if (may_differ(x->name)) { continue; }
        if (!same_attribute(x, csim_results_attribute_find(b, v, x->name))) {
            return csim__fail(a->ctx, CSIM_E_DATA,
                              "%s is not of the same sweep as the first part: its %s%s%s differs",
                              name, v >= 0 ? a->variable[v].about.name : "", v >= 0 ? ":" : "",
                              x->name);
        }
    }
    return CSIM_OK;
}

static csim_status check_sites(const csim_results *a, const csim_result_site *x,
                               const csim_result_site *y, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(x[i].model, y[i].model) != 0 || strcmp(x[i].layer, y[i].layer) != 0 ||
            x[i].neurons != y[i].neurons) {
            return csim__fail(a->ctx, CSIM_E_DATA,
                              "%s is not of the same sweep as the first part: found layer %s of "
                              "%s, expected %s of %s",
                              name, y[i].layer, y[i].model, x[i].layer, x[i].model);
        }
    }
    return CSIM_OK;
}

/* Do two objects have the same shape, and were they made in the same way? */
static csim_status check_alike(const csim_results *a, const csim_results *b, const char *name)
{
    csim_status st = CSIM_OK;
    if (a->n_rows != b->n_rows || a->n_cols != b->n_cols || a->count != b->count) {
        return csim__fail(a->ctx, CSIM_E_DATA,
                          "%s is not of the same sweep as the first part: found %lld x %lld pairs "
                          "and %d variables, expected %lld x %lld and %d",
                          name, (long long)b->n_rows, (long long)b->n_cols, b->count,
                          (long long)a->n_rows, (long long)a->n_cols, a->count);
    }
    CSIM_TRY(check_sites(a, a->rows, b->rows, a->n_rows, name));
    CSIM_TRY(check_sites(a, a->cols, b->cols, a->n_cols, name));
    CSIM_TRY(check_attributes(a, b, -1, name));
    for (int v = 0; v < a->count; v++) {
        const csim__variable *x = &a->variable[v], *y = &b->variable[v];
        if (strcmp(x->about.name, y->about.name) != 0 || x->cells != y->cells) {
            return csim__fail(a->ctx, CSIM_E_DATA,
                              "%s is not of the same sweep as the first part: found variable %s, "
                              "expected %s",
                              name, y->about.name, x->about.name);
        }
        CSIM_TRY(check_attributes(a, b, v, name));
    }
done:
    return st;
}

/* The cells that b has done, into a, where they are pending. */
static csim_status take_cells(csim_results *a, int v, const csim_results *b, const char *name)
{
    csim__variable *x = &a->variable[v];
    const csim__variable *y = &b->variable[v];
    for (int64_t i = 0; i < x->cells; i++) {
        if (y->state[i] == CSIM_CELL_PENDING) { continue; }
        bool asked = y->state[i] != CSIM_CELL_NOT_REQUESTED;
        if (asked && x->state[i] == CSIM_CELL_PENDING) {
            x->values[i] = y->values[i];
            x->state[i] = y->state[i];
            x->note[i] = y->note[i];
        } else if (asked || x->state[i] != CSIM_CELL_NOT_REQUESTED) {
            return csim__fail(a->ctx, CSIM_E_DATA,
                              "%s: the %s of layers %s and %s is in an earlier part, too", name,
                              x->about.name, a->rows[i / a->n_cols % a->n_rows].layer,
                              a->cols[i % a->n_cols].layer);
        }
    }
    return CSIM_OK;
}

/* A companion has no states: NaN is where its measure has no value, or none in this part. */
static void take_companion(csim_results *a, int v, const csim_results *b)
{
    for (int64_t i = 0; i < a->variable[v].cells; i++) {
        double value = b->variable[v].values[i];
        if (value == value) { a->variable[v].values[i] = value; }
    }
}

/* What is known of sites beside their names. */
static void take_sites(csim_result_site *a, const csim_result_site *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (a[i].rank < 0) { a[i].rank = b[i].rank; }
        for (int k = 0; k < 2; k++) {
            if (isnan(a[i].median[k])) { a[i].median[k] = b[i].median[k]; }
        }
    }
}

/* The part that an object is: its number, from 1, and how many there are. */
static csim_status part_of(const csim_results *r, const char *name, int64_t part[2])
{
    const csim_attribute *a = csim_results_attribute_find(r, -1, CSIM_RESULTS_PART);
    if (a == NULL || a->kind != CSIM_ATTRIBUTE_INT || a->count != 2) {
        return csim__fail(r->ctx, CSIM_E_DATA, "%s is not a part of a sweep (sweep --part)", name);
    }
    part[0] = a->integers[0];
    part[1] = a->integers[1];
    return CSIM_OK;
}

/* Is every part there? */
static csim_status check_parts(csim_results *const *parts, const char *const *names, int count)
{
    int64_t first[2] = {0, 0}, p[2] = {0, 0};
    csim_status st = part_of(parts[0], names[0], first);
    for (int i = 0; st == CSIM_OK && i < count; i++) {
        st = part_of(parts[i], names[i], p);
        if (st == CSIM_OK && p[1] != first[1]) {
            st = csim__fail(parts[0]->ctx, CSIM_E_DATA, "%s is one of %lld parts, %s one of %lld",
                            names[i], (long long)p[1], names[0], (long long)first[1]);
        }
        for (int k = 0; st == CSIM_OK && k < i; k++) {
            int64_t q[2] = {0, 0};
            st = part_of(parts[k], names[k], q);
            if (st == CSIM_OK && q[0] == p[0]) {
                st = csim__fail(parts[0]->ctx, CSIM_E_DATA, "%s and %s are both part %lld",
                                names[k], names[i], (long long)p[0]);
            }
        }
    }
    for (int64_t n = 1; st == CSIM_OK && n <= first[1]; n++) {
        bool there = false;
        for (int i = 0; i < count && !there; i++) {
            there = part_of(parts[i], names[i], p) == CSIM_OK && p[0] == n;
        }
        if (!there) {
            st = csim__fail(parts[0]->ctx, CSIM_E_DATA, "part %lld of %lld is missing",
                            (long long)n, (long long)first[1]);
        }
    }
    return st;
}

csim_status csim_results_merge(csim_results *const *parts, const char *const *names, int count)
{
    if (count < 1) { return CSIM_E_ARG; }
    csim_results *a = parts[0];
    csim_status st = CSIM_OK;
    CSIM_TRY(check_parts(parts, names, count));
    for (int i = 1; i < count; i++) { CSIM_TRY(check_alike(a, parts[i], names[i])); }
    for (int i = 1; i < count; i++) {
        take_sites(a->rows, parts[i]->rows, a->n_rows);
        take_sites(a->cols, parts[i]->cols, a->n_cols);
        for (int v = 0; v < a->count; v++) {
            if (a->variable[v].state == NULL) {
                take_companion(a, v, parts[i]);
            } else {
                CSIM_TRY(take_cells(a, v, parts[i], names[i]));
            }
        }
    }
    for (int v = 0; v < a->count; v++) {
        const csim__variable *x = &a->variable[v];
        for (int64_t k = 0; x->state != NULL && k < x->cells; k++) {
            if (x->state[k] != CSIM_CELL_PENDING) { continue; }
            st = csim__fail(a->ctx, CSIM_E_DATA, "no part has the %s of layers %s and %s",
                            x->about.name, a->rows[k / a->n_cols % a->n_rows].layer,
                            a->cols[k % a->n_cols].layer);
            goto done;
        }
    }
    csim__attributes_drop(a->ctx, &a->attributes, CSIM_RESULTS_PART);
    csim__attributes_drop(a->ctx, &a->attributes, "history"); /* of one part only */
    st = csim__results_settle(a);
done:
    return st;
}
