/* The options --layers and --examples. */
#define _POSIX_C_SOURCE 200809L

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "io/set.h"

/* What one --layers picks from a set. */
typedef struct picking {
    const csim_set *set;
    int64_t *pick, picks;
    char *taken; /* by site */
} picking;

/* A whole number with an optional minus, to the end of the text. 0 if it is not one. */
static int parse_integer(const char *text, size_t length, int64_t *value)
{
    size_t i = length > 0 && text[0] == '-' ? 1 : 0;
    int64_t v = 0;
    if (i == length || length > 18) { return 0; }
    for (size_t j = i; j < length; ++j) {
        if (text[j] < '0' || text[j] > '9') { return 0; }
        v = 10 * v + (text[j] - '0');
    }
    *value = i > 0 ? -v : v;
    return 1;
}

int csim__range_is(const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    int64_t v;
    if (colon == NULL) { return 0; }
    size_t before = (size_t)(colon - text), after = length - before - 1;
    return (before == 0 || parse_integer(text, before, &v)) &&
           (after == 0 || parse_integer(colon + 1, after, &v));
}

csim_status csim__range_parse(csim_context *ctx, const char *what, const char *text, int64_t n,
                              int64_t *begin, int64_t *end)
{
    size_t length = strlen(text);
    int64_t a = 0, b = n;
    if (!csim__range_is(text, length)) {
        return csim__fail(ctx, CSIM_E_ARG, "%s %s: expected a half-open range a:b", what, text);
    }
    size_t before = (size_t)(strchr(text, ':') - text);
    if (before > 0) { parse_integer(text, before, &a); }
    if (before + 1 < length) { parse_integer(text + before + 1, length - before - 1, &b); }
    a += a < 0 ? n : 0;
    b += b < 0 ? n : 0;
    if (a < 0 || b > n) {
        return csim__fail(ctx, CSIM_E_ARG, "%s %s: goes beyond the %" PRId64 " there are", what,
                          text, n);
    }
    if (a >= b) { return csim__fail(ctx, CSIM_E_ARG, "%s %s: picks nothing", what, text); }
    *begin = a;
    *end = b;
    return CSIM_OK;
}

static void pick_site(picking *p, int64_t i)
{
    if (!p->taken[i]) {
        p->taken[i] = 1;
        p->pick[p->picks++] = i;
    }
}

/* Pick the sites whose name the pattern matches; without wildcards, the site of that name. */
static int pick_names(picking *p, const char *pattern)
{
    int found = 0;
    for (int64_t i = 0; i < p->set->sites; ++i) {
        if (strcmp(p->set->site[i].name, pattern) == 0) {
            pick_site(p, i);
            return 1;
        }
    }
    for (int64_t i = 0; strpbrk(pattern, "*?[") != NULL && i < p->set->sites; ++i) {
        if (fnmatch(pattern, p->set->site[i].name, 0) == 0) {
            pick_site(p, i);
            found = 1;
        }
    }
    return found;
}

static csim_status no_such_layer(const picking *p, const char *item)
{
    csim__closest search = csim__closest_start(item);
    for (int64_t i = 0; i < p->set->sites; ++i) {
        csim__closest_try(&search, p->set->site[i].name);
    }
    const char *best = search.best;
    return csim__fail(
        p->set->ctx, CSIM_E_ARG,
        "--layers %s: set %s has no such layer%s%s%s; it has %" PRId64 ", from %s to %s", item,
        p->set->name, best ? " (did you mean " : "", best ? best : "", best ? "?)" : "",
        p->set->sites, p->set->site[0].name, p->set->site[p->set->sites - 1].name);
}

/* One item of the list: a name, an index, a range of indices, or a glob. */
static csim_status pick_item(picking *p, const char *item)
{
    csim_status st = CSIM_OK;
    int64_t n = p->set->sites, begin, end;
    if (*item == '\0') {
        return csim__fail(p->set->ctx, CSIM_E_ARG, "--layers: an item of the list is empty");
    }
    if (pick_names(p, item)) { return CSIM_OK; }
    if (parse_integer(item, strlen(item), &begin)) {
        int64_t i = begin < 0 ? begin + n : begin;
        if (i < 0 || i >= n) {
            return csim__fail(p->set->ctx, CSIM_E_ARG,
                              "--layers %s: set %s has layers 0 to %" PRId64, item, p->set->name,
                              n - 1);
        }
        pick_site(p, i);
    } else if (csim__range_is(item, strlen(item))) {
        CSIM_TRY(csim__range_parse(p->set->ctx, "--layers", item, n, &begin, &end));
        for (int64_t i = begin; i < end; ++i) { pick_site(p, i); }
    } else {
        return no_such_layer(p, item);
    }
done:
    return st;
}

static csim_status pick_list(picking *p, const char *list)
{
    csim_status st = CSIM_OK;
    char *item = NULL;
    for (const char *at = list; at != NULL;) {
        const char *comma = strchr(at, ',');
        int n = comma != NULL ? (int)(comma - at) : (int)strlen(at);
        CSIM_TRY(csim__format(p->set->ctx, &item, "%.*s", n, at));
        CSIM_TRY(pick_item(p, item));
        csim__free(p->set->ctx, &item);
        at = comma != NULL ? comma + 1 : NULL;
    }
done:
    csim__free(p->set->ctx, &item);
    return st;
}

/* Whose list is it? *own = 1: "SET:LIST" of this set; 0: of all sets; −1: of another set. */
static csim_status whose(const csim_set *set, const char *text, int *own, const char **list)
{
    csim_status st = CSIM_OK;
    char *first = NULL;
    size_t n = strcspn(text, ",");
    const char *colon = memchr(text, ':', n);
    *own = 0;
    *list = text;
    if (colon == NULL || csim__range_is(text, n)) { return CSIM_OK; }
    size_t before = (size_t)(colon - text);
    if (strlen(set->name) == before && memcmp(set->name, text, before) == 0) {
        *own = 1;
        *list = colon + 1;
        return CSIM_OK;
    }
    CSIM_TRY(csim__format(set->ctx, &first, "%.*s", (int)n, text));
    *own = -1;
    for (int64_t i = 0; i < set->sites; ++i) { /* a layer's name may have a colon */
        if (fnmatch(first, set->site[i].name, 0) == 0) { *own = 0; }
    }
done:
    csim__free(set->ctx, &first);
    return st;
}

/* Keep a text that is another set's, so that csim_sets_match() can tell when it is nobody's. */
static csim_status keep_strange(csim_set *set, const char *text)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__realloc(set->ctx, set->stranges + 1, sizeof *set->strange, "list of texts",
                           &set->strange));
    CSIM_TRY(csim__strdup(set->ctx, text, &set->strange[set->stranges]));
    set->stranges += 1;
done:
    return st;
}

csim_status csim__set_layers(csim_set *set, const csim_input_options *options, int64_t **pick,
                             int64_t *picks)
{
    csim_status st = CSIM_OK;
    picking p = {.set = set};
    int own = 0, whole = 0;
    const char *list;
    *pick = NULL;
    *picks = -1;
    for (int i = 0; i < options->layers.count; ++i) {
        int is;
        CSIM_TRY(whose(set, options->layers.text[i], &is, &list));
        if (is < 0) { CSIM_TRY(keep_strange(set, options->layers.text[i])); }
        own = own || is == 1;
        whole = whole || is == 0;
    }
    if (!own && !whole) { return CSIM_OK; }
    CSIM_TRY(csim__calloc(set->ctx, set->sites, sizeof *p.pick, "list of layers", &p.pick));
    CSIM_TRY(csim__calloc(set->ctx, set->sites, 1, "list of layers", &p.taken));
    for (int i = 0; i < options->layers.count; ++i) {
        int is;
        CSIM_TRY(whose(set, options->layers.text[i], &is, &list));
        if (is == own) { CSIM_TRY(pick_list(&p, list)); }
    }
    *pick = p.pick;
    *picks = p.picks;
    p.pick = NULL;
done:
    csim__free(set->ctx, &p.pick);
    csim__free(set->ctx, &p.taken);
    return st;
}
