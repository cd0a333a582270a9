/* The sets of a plan: headers of files, or shapes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/plan/plan.h"
#include "io/raw.h"
#include "io/shapes.h"

/* A whole number such as 8192 or 1e6 at the start of a text; 0 if there is none, or too large. */
static int64_t whole(const char *text, char **end)
{
    double value = strtod(text, end);
    if (*end == text || strspn(text, "0123456789.eE+") < (size_t)(*end - text)) { return 0; }
    return value >= 1 && value <= 1e15 && value == floor(value) ? (int64_t)value : 0;
}

static csim_status take_examples(csim__app *app, const char *text, int64_t *n)
{
    char *end;
    *n = whole(text, &end);
    if (*n >= 4 && *end == '\0') { return CSIM_OK; }
    return csim__config_fail(app->config, "", "examples",
                             "found '%.60s', expected with shapes a whole number of 4 or more",
                             text);
}

/* One width for all layers of a set, or one for each. */
static csim_status take_widths(csim__app *app, const char *text, csim_memory_site *site, int count)
{
    enum { WIDEST = 1 << 28 };
    const char *s = text;
    int many = 0;
    for (; *s != '\0' && many < count; many++) {
        char *end;
        int64_t width = whole(s, &end);
        if (width < 1 || width > WIDEST || (*end != '\0' && (*end != ',' || end[1] == '\0'))) {
            return csim__config_fail(app->config, "", "width",
                                     "found '%.60s', expected whole numbers from 1 to %d joined by "
                                     "','",
                                     text, (int)WIDEST);
        }
        site[many].d = width;
        s = end + (*end == ',');
    }
    if (*s != '\0' || (many != 1 && many != count)) {
        return csim__config_fail(app->config, "", "width", "found '%.60s', expected 1 or %d widths",
                                 text, count);
    }
    for (; many < count; many++) { site[many].d = site[0].d; }
    return CSIM_OK;
}

/* Sets called a, b, c, …, or set_0001, … where letters do not reach. Local. */
static csim_status make_shapes(csim__app *app, csim__outlook *w)
{
    const csim__plan_options *o = w->options;
    csim_context *ctx = app->ctx;
    int count = (int)o->sites;
    csim_memory_site *site = NULL;
    char **name = NULL;
    int64_t n = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(take_examples(app, o->sweep.input.examples, &n));
    CSIM_TRY(csim__calloc(ctx, count, sizeof *site, "layers", &site));
    CSIM_TRY(csim__calloc(ctx, count, sizeof *name, "names of layers", &name));
    CSIM_TRY(take_widths(app, o->width, site, count));
    for (int i = 0; i < count; i++) {
        CSIM_TRY(csim__format(ctx, &name[i], "layer_%05d", i));
        site[i].name = name[i];
        site[i].dtype = (csim_dtype)o->dtype;
    }
    for (int s = 0; s < w->count; s++) {
        char text[16] = {(char)('a' + s)};
        if (w->count > 26) { snprintf(text, sizeof text, "set_%04d", s); }
        CSIM_TRY(csim__set_of_shapes(ctx, text, n, site, count, &w->set[s]));
    }
done:
    for (int i = 0; name != NULL && i < count; i++) { csim__free(ctx, &name[i]); }
    csim__free(ctx, &name);
    csim__free(ctx, &site);
    return st;
}

/* Bytes of a site's array in its files: all that is stored of the examples that are used. */
static int64_t stored_bytes(const csim_set *set, const csim_site_info *info)
{
    double numbers = 1, used = (double)info->n / (double)csim_set_stored_examples(set);
    const char *text = info->shape;
    while (*text >= '0' && *text <= '9') {
        char *end;
        numbers *= (double)strtoll(text, &end, 10);
        text = *end == 'x' ? end + 1 : end;
    }
    return (int64_t)(numbers * used * csim__dtype_bytes(info->dtype));
}

static void measure_sets(csim__outlook *w)
{
    double numbers = 0;
    for (int s = 0; s < w->count; s++) {
        int64_t bytes = 0;
        for (int i = 0; i < csim_set_site_count(w->set[s]); i++) {
            const csim_site_info *info = csim_set_site(w->set[s], i);
            bytes += stored_bytes(w->set[s], info);
            numbers += (double)info->n * (double)info->d;
            w->least_width = w->least_width == 0 ? info->d : csim__min64(w->least_width, info->d);
            w->most_width = csim__max64(w->most_width, info->d);
        }
        /* one array may hold many layers */
        w->file_bytes += csim__min64(bytes, csim_set_bytes(w->set[s]));
        w->file_count += w->files ? csim_set_file_count(w->set[s]) : 0;
    }
    w->target.bytes_per_number = (double)w->file_bytes / numbers;
}

csim_status csim__outlook_sets(csim__app *app, csim__outlook *w)
{
    const csim__sweep_what *what = &w->options->sweep;
    csim_context *ctx = app->ctx;
    csim_status st = CSIM_OK;
    w->files = what->sets.count > 0;
    w->count = w->files ? what->sets.count : (int)w->options->set_count;
    CSIM_TRY(csim__vote(ctx, csim__calloc(ctx, w->count, sizeof(csim_set *), "sets", &w->set)));
    if (!w->files) { CSIM_TRY(csim__vote(ctx, make_shapes(app, w))); }
    for (int i = 0; w->files && i < w->count; i++) {
        CSIM_TRY(csim__set_headers(ctx, what->sets.text[i], &what->input, &w->set[i]));
    }
    CSIM_TRY(csim__vote(ctx, csim__sets_alike(ctx, w->set, w->count)));
    csim__outputs outputs = {.output = w->options->sbatch,
                             .overwrite = w->options->overwrite,
                             .encoders = &what->encoders,
                             .sets = w->set,
                             .count = w->files ? w->count : 0};
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
    measure_sets(w);
done:
    return st;
}

void csim__outlook_clear(csim_context *ctx, csim__outlook *w)
{
    csim__close_sets(ctx, w->count, &w->set);
    csim__free(ctx, &w->calibration_path);
}
