/* From a list of files to sites: names, order, joined parts, how each array is seen. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/raw.h"
#include "io/set.h"

enum { MOST_LAYERS = 100000 }; /* along an axis of one array */

/* What the scan of all files adds up to. */
typedef struct scanning {
    csim_set *set;
    const csim_input_options *options;
    int64_t capacity; /* of set->site */
    int64_t room;     /* of set->companion */
    int64_t left_out; /* arrays and files without anything to compare */
    char *reason;     /* of the first one left out */
} scanning;

static csim_status leave_out(scanning *s, const char *reason)
{
    s->left_out += 1;
    return s->reason != NULL ? CSIM_OK : csim__strdup(s->set->ctx, reason, &s->reason);
}

/* A name goes into tables, terminals and files. */
static csim_status check_name(csim_context *ctx, const char *name, const char *path)
{
    for (const char *c = name; *c != '\0'; ++c) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return csim__fail(ctx, CSIM_E_FORMAT,
                              "file %s: the name of an array has the control"
                              " character 0x%02x at byte %d",
                              path, (unsigned char)*c, (int)(c - name));
        }
    }
    return *name != '\0' ? CSIM_OK
                         : csim__fail(ctx, CSIM_E_FORMAT, "file %s: an array has no name", path);
}

/* Make a site of one part; `name` is copied. */
static csim_status make_site(csim_set *set, int64_t file, const csim__array *a, const char *name,
                             const csim__view *view, csim__site *made)
{
    csim_status st = CSIM_OK;
    csim_context *ctx = set->ctx;
    csim__site site = {.view = *view, .parts = 1};
    CSIM_TRY(check_name(ctx, name, set->file[file].path));
    CSIM_TRY(csim__strdup(ctx, name, &site.name));
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *site.part, "part of a site", &site.part));
    site.part->file = file;
    site.part->array = *a;
    site.part->array.path = set->file[file].path;
    site.part->array.name = NULL;
    CSIM_TRY(csim__strdup(ctx, a->name, &site.part->array.name));
    *made = site;
    return CSIM_OK;
done:
    csim__site_clear(ctx, &site);
    return st;
}

/* Append to a list of sites. */
static csim_status append_site(csim_context *ctx, csim__site **list, int64_t *count, int64_t *room,
                               csim__site *site)
{
    csim_status st = CSIM_OK;
    if (*count == *room) {
        int64_t more = *room > 0 ? 2 * *room : 16;
        CSIM_TRY(csim__realloc(ctx, more, sizeof **list, "list of sites", list));
        *room = more;
    }
    (*list)[(*count)++] = *site;
    return CSIM_OK;
done:
    csim__site_clear(ctx, site);
    return st;
}

static csim_status add_site(scanning *s, int64_t file, const csim__array *a, const char *name,
                            const csim__view *view)
{
    csim_set *set = s->set;
    csim__site site;
    csim_status st = make_site(set, file, a, name, view, &site);
    if (st != CSIM_OK) { return st; }
    return append_site(set->ctx, &set->site, &set->sites, &s->capacity, &site);
}

static csim_status add_companion(scanning *s, int64_t file, const csim__array *a, const char *name)
{
    csim_set *set = s->set;
    csim__site site;
    const csim__view view = {.layer_axis = -1, .layer = -1};
    csim_status st = make_site(set, file, a, name, &view, &site);
    if (st != CSIM_OK) { return st; }
    site.rank = set->companions;
    return append_site(set->ctx, &set->companion, &set->companions, &s->room, &site);
}

/* The layers along an axis of a three-dimensional array. */
static csim_status add_layers(scanning *s, int64_t file, const csim__array *a)
{
    csim_status st = CSIM_OK;
    csim_context *ctx = s->set->ctx;
    int nld = s->options->axis == CSIM_AXIS_NLD, digits = 2;
    csim__view view = {.example_axis = nld ? 0 : 1, .layer_axis = nld ? 1 : 0, .neuron_axis = 2};
    int64_t layers = a->shape[view.layer_axis];
    char *name = NULL;
    int alone = s->set->files == 1 || s->options->concat_rows;
    if (layers == 0 || layers > MOST_LAYERS) {
        return csim__fail(ctx, CSIM_E_LIMIT,
                          "file %s: axis %d has %" PRId64 " layers, expected 1 to"
                          " %d",
                          a->path, (int)view.layer_axis, layers, (int)MOST_LAYERS);
    }
    for (int64_t i = layers - 1; i >= 100; i /= 10) { digits += 1; }
    for (view.layer = 0; view.layer < layers; ++view.layer) {
        CSIM_TRY(csim__format(ctx, &name, "%s%slayer_%0*d", alone ? "" : a->name, alone ? "" : ".",
                              digits, (int)view.layer));
        CSIM_TRY(add_site(s, file, a, name, &view));
        csim__free(ctx, &name);
    }
done:
    csim__free(ctx, &name);
    return st;
}

/* What is no site: ids and labels are kept, the rest is left out. */
static csim_status add_other(scanning *s, int64_t file, const csim__array *a, const char *name)
{
    csim_status st = CSIM_OK;
    csim_context *ctx = s->set->ctx;
    const char *path = s->set->file[file].path;
    char *reason = NULL;
    if (a->companion && csim__is_annotation(name)) { return add_companion(s, file, a, name); }
    CSIM_TRY(csim__format(ctx, &reason,
                          "file %s, array %s: has %d dimensions%s, expected examples and neurons",
                          path, name, a->ndim, a->companion ? " of whole numbers" : ""));
    st = leave_out(s, reason);
done:
    csim__free(ctx, &reason);
    return st;
}

/* The arrays of one file. A lone array of a sub-folder is a piece of the site the folder names. */
static csim_status add_arrays(scanning *s, int64_t file, const csim__catalog *found)
{
    csim_status st = CSIM_OK;
    const csim__set_file *f = &s->set->file[file];
    const csim__view view = {.layer_axis = -1, .layer = -1, .neuron_axis = 1};
    for (int64_t i = 0; i < found->count; ++i) {
        const csim__array *a = &found->array[i];
        int piece = f->part_of != NULL && found->count == 1;
        const char *name = piece ? f->part_of : a->name;
        if (strcmp(name, "example_id") == 0 && !a->companion) {
            char text[64];
            snprintf(text, sizeof text, "an array of %s with %d dimensions",
                     csim_dtype_name(a->dtype), a->ndim);
            return csim__refuse_ids(s->set->ctx, f->path, text);
        }
        if (a->ndim < 2) {
            CSIM_TRY(add_other(s, file, a, name));
        } else if (a->ndim == 3 && f->format == &csim__format_npy &&
                   s->options->axis != CSIM_AXIS_NONE) {
            CSIM_TRY(add_layers(s, file, a));
        } else {
            CSIM_TRY(add_site(s, file, a, name, &view));
        }
    }
done:
    return st;
}

/* Does the name of a file, or of the sub-folder it is a piece of, say that it holds the ids? */
static int is_ids_file(const csim__set_file *f)
{
    const char *slash = strrchr(f->path, '/'), *base = slash != NULL ? slash + 1 : f->path;
    return f->format == &csim__format_npy &&
           (strcmp(base, "example_id.npy") == 0 ||
            (f->part_of != NULL && strcmp(f->part_of, "example_id") == 0));
}

static csim_status scan_files(scanning *s)
{
    csim_status st = CSIM_OK;
    csim_context *ctx = s->set->ctx;
    for (int64_t i = 0; i < s->set->files; ++i) {
        csim__catalog found = {0};
        st = s->set->file[i].format->scan(ctx, s->set->file[i].path, &found);
        if (st == CSIM_E_DATA && is_ids_file(&s->set->file[i])) {
            csim__forgive(ctx);
            st = csim__refuse_ids(ctx, s->set->file[i].path, "not an array of whole numbers");
        } else if (st == CSIM_E_DATA && s->set->files > 1) { /* labels beside the layers, say */
            st = leave_out(s, csim_context_error(ctx));
            if (st == CSIM_OK) { csim__forgive(ctx); }
        } else if (st == CSIM_OK) {
            st = add_arrays(s, i, &found);
        }
        csim__catalog_free(ctx, &found);
        CSIM_TRY(st);
    }
    if (s->set->sites == 0) {
        st = csim__fail(ctx, CSIM_E_DATA, "set %s: holds nothing to compare: %s", s->set->name,
                        s->reason != NULL        ? s->reason
                        : s->set->companions > 0 ? "only ids or labels of the examples"
                                                 : "no arrays");
    } else if (s->left_out > 0) {
        csim__log(ctx, CSIM_LOG_WARNING, "set %s: %" PRId64 " left out, the first: %s",
                  s->set->name, s->left_out, s->reason);
    }
done:
    return st;
}

/* Files that each hold one array, all of the same name, are told apart by their own names. */
static csim_status name_by_files(scanning *s)
{
    csim_status st = CSIM_OK;
    csim_set *set = s->set;
    if (s->options->concat_rows || set->sites < 2) { return CSIM_OK; }
    for (int64_t i = 0; i < set->sites; ++i) {
        const csim__site *site = &set->site[i];
        if (strcmp(site->name, set->site[0].name) != 0 || site->view.layer_axis >= 0 ||
            (i > 0 && site->part->file == set->site[i - 1].part->file)) {
            return CSIM_OK;
        }
    }
    for (int64_t i = 0; i < set->sites; ++i) {
        csim__site *site = &set->site[i];
        const char *path = set->file[site->part->file].path, *slash = strrchr(path, '/');
        const char *base = slash != NULL ? slash + 1 : path, *dot = strrchr(base, '.');
        int n = dot != NULL && dot != base ? (int)(dot - base) : (int)strlen(base);
        csim__free(set->ctx, &site->name);
        CSIM_TRY(csim__format(set->ctx, &site->name, "%.*s", n, base));
        CSIM_TRY(check_name(set->ctx, site->name, path));
    }
done:
    return st;
}

static int by_index(const void *a, const void *b)
{
    const csim__site *x = a, *y = b;
    int64_t i = x->part->array.layer_index, j = y->part->array.layer_index;
    if (i != j) { return i < j ? -1 : 1; }
    int order = csim__natural_order(x->name, y->name);
    return order != 0 ? order : (x->part->file > y->part->file) - (x->part->file < y->part->file);
}

static int by_site(const void *a, const void *b)
{
    const csim__site *x = a, *y = b;
    int order = csim__natural_order(x->name, y->name);
    if (order != 0) { return order; }
    if (x->part->file != y->part->file) { return x->part->file < y->part->file ? -1 : 1; }
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static int by_rank(const void *a, const void *b)
{
    const csim__site *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Order by layer_index where every array has one, as archives have it, else by name. */
static void order_sites(csim_set *set)
{
    int indexed = 1, archives = 1;
    for (int64_t i = 0; i < set->sites; ++i) {
        set->site[i].rank = i;
        indexed = indexed && set->site[i].part->array.layer_index >= 0;
        archives = archives && set->file[set->site[i].part->file].format == &csim__format_npz;
    }
    if (!archives) {
        qsort(set->site, (size_t)set->sites, sizeof *set->site, indexed ? by_index : by_site);
    }
    for (int64_t i = 0; i < set->sites; ++i) { set->site[i].rank = i; }
}

/* Put the part of `from` behind those of `to`. */
static csim_status join(csim_set *set, csim__site *to, csim__site *from)
{
    csim_status st = CSIM_OK;
    const csim__array *a = &to->part->array, *b = &from->part->array;
    int same = a->ndim == b->ndim;
    for (int j = 0; same && j < a->ndim; ++j) {
        same = j == to->view.example_axis || a->shape[j] == b->shape[j];
    }
    if (!same) {
        char one[160], two[160];
        csim__shape_text(a->shape, a->ndim, one, sizeof one);
        csim__shape_text(b->shape, b->ndim, two, sizeof two);
        return csim__fail(set->ctx, CSIM_E_SHAPE,
                          "site %s: %s in file %s, %s in file %s: parts must"
                          " agree in all but the number of examples",
                          to->name, one, a->path, two, b->path);
    }
    if ((to->parts & (to->parts - 1)) == 0) {
        CSIM_TRY(
            csim__realloc(set->ctx, 2 * to->parts, sizeof *to->part, "parts of a site", &to->part));
    }
    to->part[to->parts++] = *from->part;
    to->rank = csim__min64(to->rank, from->rank);
    csim__free(set->ctx, &from->part); /* not what it holds */
    from->parts = 0;
    csim__site_clear(set->ctx, from);
done:
    return st;
}

static csim_status fail_twice(const csim_set *set, const csim__site *one, const csim__site *two,
                              int concat)
{
    const csim__part *last = &one->part[one->parts - 1];
    int apart = last->file != two->part->file;
    return csim__fail(set->ctx, CSIM_E_DATA,
                      "set %s: two layers are called %s, in file %s and in %s"
                      "%s%s",
                      set->name, one->name, last->array.path, apart ? "file " : "it again",
                      apart ? two->part->array.path : "",
                      apart && !concat ? "; --concat rows joins them by rows" : "");
}

/* Sites of one name: parts of one with --concat rows, else an error. */
static csim_status join_sites(csim_set *set, csim__site *list, int64_t *count, int concat)
{
    csim_status st = CSIM_OK;
    int64_t kept = 0;
    if (*count > 0) { qsort(list, (size_t)*count, sizeof *list, by_site); }
    for (int64_t i = 0; i < *count; ++i) {
        csim__site *site = &list[i], *last = kept > 0 ? &list[kept - 1] : NULL;
        if (st == CSIM_OK && last != NULL && strcmp(site->name, last->name) == 0) {
            if (concat && last->part[last->parts - 1].file != site->part->file) {
                st = join(set, last, site);
            } else {
                st = fail_twice(set, last, site, concat);
            }
            if (st == CSIM_OK) { continue; }
        }
        if (kept != i) {
            list[kept] = *site;
            *site = (csim__site){0};
        }
        kept += 1;
    }
    /* After a failure the rest is still in the list, so that it is freed with it. */
    *count = kept;
    if (kept > 0) { qsort(list, (size_t)kept, sizeof *list, by_rank); }
    return st;
}

/* Keep the sites that --layers picks, in its order. */
static csim_status pick_sites(csim_set *set, const csim_input_options *options)
{
    csim_status st = CSIM_OK;
    int64_t *pick = NULL, picks = -1;
    CSIM_TRY(csim__set_layers(set, options, &pick, &picks));
    for (int64_t i = 0; picks >= 0 && i < set->sites; ++i) { set->site[i].rank = -1; }
    for (int64_t i = 0; i < picks; ++i) { set->site[pick[i]].rank = i; }
    if (picks >= 0) {
        qsort(set->site, (size_t)set->sites, sizeof *set->site, by_rank);
        int64_t out = set->sites - picks;
        for (int64_t i = 0; i < out; ++i) { csim__site_clear(set->ctx, &set->site[i]); }
        memmove(set->site, set->site + out, (size_t)picks * sizeof *set->site);
        set->sites = picks;
    }
done:
    csim__free(set->ctx, &pick);
    return st;
}

/* Which axis the neurons are on, and what becomes of the others. */
static csim_status choose_view(csim_set *set, const csim_input_options *options, csim__site *site)
{
    const csim__array *a = &site->part->array;
    if (a->ndim == 2 || site->view.layer_axis >= 0) { return CSIM_OK; }
    if (options->pool == CSIM_POOL_NONE) {
        int npy = set->file[site->part->file].format == &csim__format_npy && a->ndim == 3;
        return csim__fail(set->ctx, CSIM_E_SHAPE,
                          "site %s of file %s is %s, expected examples x"
                          " neurons: choose --pool mean|max|flatten|first|last%s",
                          site->name, a->path, site->shape,
                          npy ? ", or --axis nld|lnd if one of its axes is the layers" : "");
    }
    int64_t axis = options->neuron_axis;
    if (axis < 0) { axis = a->ndim == 4 ? 1 : a->ndim - 1; }
    if (axis < 1 || axis >= a->ndim) {
        return csim__fail(set->ctx, CSIM_E_ARG,
                          "--neuron-axis %" PRId64 ": site %s of file %s is %s,"
                          " expected 1 to %d",
                          axis, site->name, a->path, site->shape, a->ndim - 1);
    }
    site->view.neuron_axis = axis;
    site->view.pool = options->pool;
    return CSIM_OK;
}

/* Sizes of a site from its parts, checked. */
static csim_status measure_site(csim_set *set, const csim_input_options *options, csim__site *site)
{
    csim_status st = CSIM_OK;
    csim__array whole = site->part->array;
    int axis = (int)site->view.example_axis;
    char text[160];
    for (int64_t i = 1; i < site->parts; ++i) {
        whole.shape[axis] += site->part[i].array.shape[axis];
    }
    csim__shape_text(whole.shape, whole.ndim, text, sizeof text);
    CSIM_TRY(csim__strdup(set->ctx, text, &site->shape));
    for (int j = 0; j < whole.ndim; ++j) {
        if (whole.shape[j] == 0) {
            return csim__fail(set->ctx, CSIM_E_SHAPE,
                              "site %s of file %s is empty: its shape is %s", site->name,
                              whole.path, text);
        }
    }
    CSIM_TRY(choose_view(set, options, site));
    int64_t d = csim__view_neurons(&site->view, &whole);
    site->info = (csim_site_info){.dtype = whole.dtype, .n = whole.shape[axis], .d = d};
done:
    return st;
}

/* The same examples in all sites, and those of them that --examples picks. */
static csim_status agree_on_examples(csim_set *set, const csim_input_options *options)
{
    csim_status st = CSIM_OK;
    const csim__site *one = &set->site[0];
    set->stored = one->info.n;
    for (int64_t i = 1; i < set->sites; ++i) {
        const csim__site *two = &set->site[i];
        if (two->info.n != set->stored) {
            return csim__fail(set->ctx, CSIM_E_SHAPE,
                              "set %s: site %s has %" PRId64 " examples (file"
                              " %s), site %s has %" PRId64 " (file %s), expected the same",
                              set->name, one->name, one->info.n, one->part->array.path, two->name,
                              two->info.n, two->part->array.path);
        }
    }
    set->kept = set->stored;
    if (options->examples != NULL) {
        int64_t end;
        CSIM_TRY(csim__range_parse(set->ctx, "--examples", options->examples, set->stored,
                                   &set->first, &end));
        set->kept = end - set->first;
    }
done:
    return st;
}

/* One number for each example. Ids must fit, labels that do not are left out. */
static csim_status check_companions(csim_set *set)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < set->companions; ++i) {
        csim__site *c = &set->companion[i];
        int64_t n = 0;
        for (int64_t k = 0; k < c->parts; ++k) { n += c->part[k].array.shape[0]; }
        if (n == set->stored) {
            csim__site moved = *c;
            *c = (csim__site){0};
            set->companion[kept++] = moved;
            continue;
        }
        if (strcmp(c->name, "example_id") == 0) {
            return csim__fail(set->ctx, CSIM_E_SHAPE,
                              "file %s: has %" PRId64 " ids, but the set has %" PRId64 " examples",
                              c->part->array.path, n, set->stored);
        }
        csim__log(set->ctx, CSIM_LOG_WARNING,
                  "file %s: left out, it has %" PRId64 " elements for %" PRId64 " examples",
                  c->part->array.path, n, set->stored);
        csim__site_clear(set->ctx, c);
    }
    set->companions = kept;
    return CSIM_OK;
}

csim_status csim__set_scan(csim_set *set, const csim_input_options *options)
{
    csim_status st = CSIM_OK;
    scanning s = {.set = set, .options = options};
    CSIM_TRY(scan_files(&s));
    CSIM_TRY(name_by_files(&s));
    order_sites(set);
    CSIM_TRY(join_sites(set, set->site, &set->sites, options->concat_rows));
    CSIM_TRY(join_sites(set, set->companion, &set->companions, options->concat_rows));
    CSIM_TRY(pick_sites(set, options));
    for (int64_t i = 0; i < set->sites; ++i) {
        CSIM_TRY(measure_site(set, options, &set->site[i]));
    }
    CSIM_TRY(agree_on_examples(set, options));
    CSIM_TRY(check_companions(set));
done:
    csim__free(set->ctx, &s.reason);
    return st;
}
