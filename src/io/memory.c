/* Sets of matrices that the caller holds, or of which nobody holds anything but the shapes: one file
 * without a file, whose handle is the list of sites. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/raw.h"
#include "io/set.h"
#include "io/shapes.h"

static const char no_path[] = "(memory)", shapes_path[] = "(shapes)";

static int never(const unsigned char *head, size_t len)
{
    (void)head;
    (void)len;
    return 0;
}

static csim_status cannot(csim_context *ctx)
{
    return csim__fail(ctx, CSIM_E_INTERNAL, "a set in memory has no file");
}

static csim_status scan_nothing(csim_context *ctx, const char *path, csim__catalog *catalog)
{
    (void)path;
    (void)catalog;
    return cannot(ctx);
}

static csim_status open_nothing(csim_context *ctx, const char *path, void **handle)
{
    (void)path;
    (void)handle;
    return cannot(ctx);
}

static void close_memory(csim_context *ctx, void **handle)
{
    csim__free(ctx, handle);
}

/* The array's layer_index is its place in the list. */
static csim_status read_memory(csim_context *ctx, void *handle, const csim__array *a,
                               const int64_t *start, const int64_t *count, double *out)
{
    const void *const *list = handle;
    const void *rows = list[a->layer_index];
    int64_t width = a->shape[1];
    if (rows == NULL) { return csim__fail(ctx, CSIM_E_INTERNAL, "a set of shapes has no values"); }
    for (int64_t i = 0; i < count[0]; i++) {
        int64_t at = (start[0] + i) * width + start[1];
        if (a->dtype == CSIM_F32) {
            const float *from = (const float *)rows + at;
            for (int64_t j = 0; j < count[1]; j++) { out[i * count[1] + j] = from[j]; }
        } else {
            memcpy(out + i * count[1], (const double *)rows + at,
                   (size_t)count[1] * sizeof(double));
        }
    }
    return CSIM_OK;
}

static csim_status no_columns(csim_context *ctx, void *handle, const char *name, int64_t start,
                              int64_t count, int64_t *out, int *has)
{
    (void)ctx;
    (void)handle;
    (void)name;
    (void)start;
    (void)count;
    (void)out;
    *has = 0;
    return CSIM_OK;
}

static const csim__reader format_memory = {
    .name = "memory",
    .probe = never,
    .scan = scan_nothing,
    .open = open_nothing,
    .close = close_memory,
    .read = read_memory,
    .read_ids = no_columns,
};

static csim_status check(csim_context *ctx, const char *name, int64_t n,
                         const csim_memory_site *sites, int count, bool values)
{
    if (name == NULL || name[0] == '\0' || n < 1 || count < 1) {
        return csim__fail(ctx, CSIM_E_ARG,
                          "a set in memory needs a name, sites and examples, found '%s', %d and "
                          "%" PRId64,
                          name != NULL ? name : "", count, n);
    }
    for (int i = 0; i < count; i++) {
        const csim_memory_site *s = &sites[i];
        if (s->name == NULL || s->d < 1 || s->d > INT64_MAX / n / (int64_t)sizeof(double) ||
            (values && (s->rows == NULL || (s->dtype != CSIM_F64 && s->dtype != CSIM_F32)))) {
            return csim__fail(ctx, CSIM_E_ARG,
                              "set %s: site %d needs a name, neurons, and rows of double or float",
                              name, i);
        }
        for (int j = 0; j < i; j++) {
            if (strcmp(sites[j].name, s->name) == 0) {
                return csim__fail(ctx, CSIM_E_ARG, "set %s: two sites are called %s", name,
                                  s->name);
            }
        }
    }
    return CSIM_OK;
}

static csim_status add_site(csim_set *set, const csim_memory_site *from, int64_t n, int64_t place)
{
    csim__site *site = &set->site[place];
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__strdup(set->ctx, from->name, &site->name));
    CSIM_TRY(csim__format(set->ctx, &site->shape, "%" PRId64 "x%" PRId64, n, from->d));
    CSIM_TRY(csim__calloc(set->ctx, 1, sizeof *site->part, "a site", &site->part));
    site->parts = 1;
    site->rank = place;
    site->view = (csim__view){.layer_axis = -1, .neuron_axis = 1, .pool = CSIM_POOL_NONE};
    csim__array *a = &site->part->array;
    *a = (csim__array){.path = set->file[0].path,
                       .dtype = from->dtype,
                       .ndim = 2,
                       .shape = {n, from->d},
                       .offset = -1,
                       .layer_index = place};
    CSIM_TRY(csim__strdup(set->ctx, from->name, &a->name));
    site->info = (csim_site_info){.name = site->name,
                                  .file = a->path,
                                  .shape = site->shape,
                                  .dtype = a->dtype,
                                  .n = n,
                                  .d = from->d};
    set->file[0].bytes += n * from->d * csim__dtype_bytes(from->dtype);
done:
    return st;
}

static csim_status make(csim_context *ctx, const char *name, int64_t n,
                        const csim_memory_site *sites, int count, bool values, csim_set **set)
{
    const char *path = values ? no_path : shapes_path;
    csim_set *s = NULL;
    const void **rows = NULL;
    csim_status st = CSIM_OK;
    *set = NULL;
    CSIM_TRY(check(ctx, name, n, sites, count, values));
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *s, "set", &s));
    s->ctx = ctx;
    s->stored = s->kept = n;
    CSIM_TRY(csim__strdup(ctx, name, &s->name));
    CSIM_TRY(csim__strdup(ctx, path, &s->path));
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *s->file, "files of a set", &s->file));
    s->files = s->opened = 1;
    s->file[0].format = &format_memory;
    CSIM_TRY(csim__strdup(ctx, path, &s->file[0].path));
    CSIM_TRY(csim__alloc(ctx, count, sizeof *rows, "sites in memory", &rows));
    s->file[0].handle = rows;
    CSIM_TRY(csim__calloc(ctx, count, sizeof *s->site, "sites", &s->site));
    s->sites = count;
    for (int i = 0; i < count; i++) {
        rows[i] = values ? sites[i].rows : NULL;
        CSIM_TRY(add_site(s, &sites[i], n, i));
    }
    s->bytes = s->file[0].bytes;
    *set = s;
    s = NULL;
done:
    csim_set_free(&s);
    return st;
}

csim_status csim_set_from_memory(csim_context *ctx, const char *name, int64_t n,
                                 const csim_memory_site *sites, int count, csim_set **set)
{
    return make(ctx, name, n, sites, count, true, set);
}

csim_status csim__set_of_shapes(csim_context *ctx, const char *name, int64_t n,
                                const csim_memory_site *sites, int count, csim_set **set)
{
    return make(ctx, name, n, sites, count, false, set);
}

int csim__set_is_shapes(const csim_set *set)
{
    return set->file[0].format == &format_memory && strcmp(set->path, shapes_path) == 0;
}
