/* Attributes of results. */
#include <limits.h>
#include <string.h>

#include "io/results_private.h"

static void attribute_free(csim_context *ctx, csim_attribute *a)
{
    csim__free(ctx, &a->reals);
    csim__free(ctx, &a->integers);
    csim__free(ctx, &a->text);
    csim__free(ctx, &a->name);
}

void csim__attributes_free(csim_context *ctx, csim__attributes *list)
{
    for (int i = 0; i < list->count; i++) { attribute_free(ctx, &list->item[i]); }
    csim__free(ctx, &list->item);
    list->count = list->capacity = 0;
}

void csim__attributes_drop(csim_context *ctx, csim__attributes *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->item[i].name, name) != 0) { continue; }
        attribute_free(ctx, &list->item[i]);
        memmove(&list->item[i], &list->item[i + 1],
                (size_t)(list->count - i - 1) * sizeof *list->item);
        list->count--;
        return;
    }
}

static csim_attribute *attribute_find(const csim__attributes *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->item[i].name, name) == 0) { return &list->item[i]; }
    }
    return NULL;
}

static csim_status copy_bytes(csim_context *ctx, const void *in, int64_t n, size_t size, void *out)
{
    csim_status st = csim__alloc(ctx, n, size, "an attribute", out);
    void *to;
    memcpy(&to, out, sizeof to);
    if (st == CSIM_OK && n > 0) { memcpy(to, in, (size_t)n * size); }
    return st;
}

/* Replace the attribute of that name, or append; a failure leaves the list as it was. */
static csim_status attribute_put(csim_context *ctx, csim__attributes *list, const csim_attribute *a)
{
    csim_attribute copy = {.kind = a->kind, .count = a->count};
    csim_status st = CSIM_OK;
    if (a->name == NULL || a->name[0] == 0 || strlen(a->name) > 255 || a->count < 0 ||
        a->count > INT_MAX) {
        return csim__fail(ctx, CSIM_E_ARG, "an attribute needs a name of 1 to 255 bytes");
    }
    CSIM_TRY(csim__strdup(ctx, a->name, (char **)&copy.name));
    if (a->kind == CSIM_ATTRIBUTE_TEXT) {
        CSIM_TRY(csim__strdup(ctx, a->text, (char **)&copy.text));
    } else if (a->kind == CSIM_ATTRIBUTE_INT) {
        CSIM_TRY(copy_bytes(ctx, a->integers, a->count, sizeof *a->integers, &copy.integers));
    } else {
        CSIM_TRY(copy_bytes(ctx, a->reals, a->count, sizeof *a->reals, &copy.reals));
    }
    csim_attribute *old = attribute_find(list, a->name);
    if (old != NULL) {
        attribute_free(ctx, old);
        *old = copy;
        return CSIM_OK;
    }
    if (list->count == list->capacity) {
        int more = 2 * list->capacity + 8;
        CSIM_TRY(csim__realloc(ctx, more, sizeof copy, "attributes", &list->item));
        list->capacity = more;
    }
    list->item[list->count++] = copy;
    return CSIM_OK;
done:
    attribute_free(ctx, &copy);
    return st;
}

static csim__attributes *attributes_of(const csim_results *r, int v)
{
    if (v < -1 || v >= r->count) { return NULL; }
    return (csim__attributes *)(v < 0 ? &r->attributes : &r->variable[v].attributes);
}

static csim_status set_attribute(csim_results *r, int v, const csim_attribute *a)
{
    csim__attributes *list = attributes_of(r, v);
    if (list == NULL) {
        return csim__fail(r->ctx, CSIM_E_ARG, "results have %d variables, there is no number %d",
                          r->count, v);
    }
    return attribute_put(r->ctx, list, a);
}

csim_status csim_results_set_text(csim_results *r, int v, const char *name, const char *text)
{
    if (text == NULL) { text = ""; }
    csim_attribute a = {.name = name, .kind = CSIM_ATTRIBUTE_TEXT, .count = 1, .text = text};
    return set_attribute(r, v, &a);
}

csim_status csim_results_set_ints(csim_results *r, int v, const char *name, const int64_t *values,
                                  int64_t count)
{
    csim_attribute a = {
        .name = name, .kind = CSIM_ATTRIBUTE_INT, .count = count, .integers = values};
    return set_attribute(r, v, &a);
}

csim_status csim_results_set_reals(csim_results *r, int v, const char *name, const double *values,
                                   int64_t count)
{
    csim_attribute a = {.name = name, .kind = CSIM_ATTRIBUTE_REAL, .count = count, .reals = values};
    return set_attribute(r, v, &a);
}

int csim_results_attribute_count(const csim_results *r, int v)
{
    const csim__attributes *list = attributes_of(r, v);
    return list == NULL ? 0 : list->count;
}

const csim_attribute *csim_results_attribute(const csim_results *r, int v, int i)
{
    const csim__attributes *list = attributes_of(r, v);
    return list == NULL || i < 0 || i >= list->count ? NULL : &list->item[i];
}

const csim_attribute *csim_results_attribute_find(const csim_results *r, int v, const char *name)
{
    const csim__attributes *list = attributes_of(r, v);
    return list == NULL ? NULL : attribute_find(list, name);
}
