/* contrasim info: what a set holds. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "contrasim/native.h"

typedef struct info_options {
    csim_texts sets;
    int format;
    csim_input_options input;
} info_options;

static const csim_option info_table[] = {
    {.name = "set",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(info_options, sets),
     .metavar = "SET",
     .help = "a set to describe, the same as one without --set: a file, folder or quoted glob, or "
             "NAME=PATH"},
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(info_options, format),
     .choices = "text|json",
     .fallback = "text",
     .help = "a table, or one JSON array"},
    {.name = NULL},
};

enum { TEXT, JSON };

/* A set with the summaries of its sites. */
typedef struct described {
    csim_set *set;
    csim_site_summary *site;
    int64_t first_id, last_id;
    int has_ids;
} described;

static csim_status info_groups(csim__config *config, void *target)
{
    info_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group info = {"", "What to describe", info_table, options, 0};
    csim__option_group input = {"", "Reading the sets", csim_input_option_table, &options->input,
                                0};
    CSIM_TRY(csim__config_add(config, &info));
    CSIM_TRY(csim__config_add(config, &input));
    CSIM_TRY(csim__config_positional(config, "set"));
done:
    return st;
}

/* Collective. */
static csim_status describe(csim_context *ctx, described *d)
{
    int sites = csim_set_site_count(d->set), has = 0;
    int64_t n = csim_set_examples(d->set);
    csim_status st = csim__calloc(ctx, sites, sizeof *d->site, "summaries", &d->site);
    CSIM_TRY(csim__vote(ctx, st));
    for (int i = 0; i < sites; i++) { CSIM_TRY(csim_set_summary(ctx, d->set, i, &d->site[i])); }
    if (n > 0) {
        st = csim_set_example_ids(d->set, 0, 1, &d->first_id, &has);
        if (st == CSIM_OK && has) {
            st = csim_set_example_ids(d->set, n - 1, 1, &d->last_id, &d->has_ids);
        }
    }
    st = csim__vote(ctx, st);
done:
    return st;
}

/* ---- as text ---- */

static void print_text(const described *d)
{
    const csim_set *set = d->set;
    int sites = csim_set_site_count(set), width = 5;
    printf("%s: %s, %s, %" PRId64 " bytes\n", csim_set_name(set), csim_set_path(set),
           csim_set_format(set), csim_set_bytes(set));
    printf("%" PRId64 " examples, %d sites", csim_set_examples(set), sites);
    if (d->has_ids) { printf(", example_id %" PRId64 " … %" PRId64, d->first_id, d->last_id); }
    printf("\n");
    for (int i = 0; i < sites; i++) {
        int n = (int)strlen(csim_set_site(set, i)->name);
        width = n > width ? n : width;
    }
    printf("%4s  %-*s  %-14s %-9s %8s %12s %12s %12s %8s %8s %8s\n", "", width, "layer", "shape",
           "type", "neurons", "min", "max", "mean", "constant", "NaN", "Inf");
    for (int i = 0; i < sites; i++) {
        const csim_site_info *info = csim_set_site(set, i);
        const csim_site_summary *s = &d->site[i];
        printf("%4d  %-*s  %-14s %-9s %8" PRId64 " %12.6g %12.6g %12.6g %8" PRId64 " %8" PRId64
               " %8" PRId64 "\n",
               i, width, info->name, info->shape, csim_dtype_name(info->dtype), info->d, s->min,
               s->max, s->mean, s->constant_columns, s->nans, s->infinities);
    }
    for (int i = 0; i < sites; i++) {
        const csim_site_summary *s = &d->site[i];
        int64_t row = 0;
        const char *file = csim_set_locate(set, i, s->first_row, &row);
        if (file != NULL) {
            printf("%s: the first value that is not finite is at row %" PRId64 ", column %" PRId64
                   " of %s\n",
                   csim_set_site(set, i)->name, row, s->first_column, file);
        }
    }
}

/* ---- as JSON ---- */

/* Texts of files need not be UTF-8; what is not becomes '?'. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    if (json != NULL) { return json; }
    char copy[512];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *c = copy; *c != 0; c++) {
        if ((unsigned char)*c >= 0x80) { *c = '?'; }
    }
    return json_string(copy);
}

static json_t *real_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* "512x64x7" as numbers. */
static json_t *shape_json(const char *text)
{
    json_t *list = json_array();
    while (*text >= '0' && *text <= '9') {
        char *end;
        json_array_append_new(list, json_integer(strtoll(text, &end, 10)));
        text = *end == 'x' ? end + 1 : end;
    }
    return list;
}

static json_t *site_json(const csim_site_info *info, const csim_site_summary *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", text_json(info->name));
    json_object_set_new(o, "file", text_json(info->file));
    json_object_set_new(o, "shape", shape_json(info->shape));
    json_object_set_new(o, "type", json_string(csim_dtype_name(info->dtype)));
    json_object_set_new(o, "neurons", json_integer(info->d));
    json_object_set_new(o, "min", real_json(s->min));
    json_object_set_new(o, "max", real_json(s->max));
    json_object_set_new(o, "mean", real_json(s->mean));
    json_object_set_new(o, "constant_columns", json_integer(s->constant_columns));
    json_object_set_new(o, "nan", json_integer(s->nans));
    json_object_set_new(o, "inf", json_integer(s->infinities));
    return o;
}

static json_t *set_json(const described *d)
{
    json_t *o = json_object(), *sites = json_array();
    for (int i = 0; i < csim_set_site_count(d->set); i++) {
        json_array_append_new(sites, site_json(csim_set_site(d->set, i), &d->site[i]));
    }
    json_object_set_new(o, "name", text_json(csim_set_name(d->set)));
    json_object_set_new(o, "path", text_json(csim_set_path(d->set)));
    json_object_set_new(o, "format", json_string(csim_set_format(d->set)));
    json_object_set_new(o, "bytes", json_integer(csim_set_bytes(d->set)));
    json_object_set_new(o, "examples", json_integer(csim_set_examples(d->set)));
    if (d->has_ids) {
        json_object_set_new(o, "example_id",
                            json_pack("[I,I]", (json_int_t)d->first_id, (json_int_t)d->last_id));
    }
    json_object_set_new(o, "sites", sites);
    return o;
}

static csim_status print_json(csim_context *ctx, const described *list, int count)
{
    json_t *all = json_array();
    for (int i = 0; i < count; i++) { json_array_append_new(all, set_json(&list[i])); }
    int bad = all == NULL || json_dumpf(all, stdout, JSON_INDENT(1)) != 0;
    printf("\n");
    json_decref(all);
    return bad ? csim__fail(ctx, CSIM_E_IO, "the description cannot be printed as JSON") : CSIM_OK;
}

static csim_status info_run(csim__app *app, void *target)
{
    info_options *options = target;
    csim_context *ctx = app->ctx;
    int count = options->sets.count;
    described *list = NULL;
    csim_status st = CSIM_OK;
    if (count == 0) { st = csim__fail(ctx, CSIM_E_USAGE, "no set is named"); }
    if (st == CSIM_OK) { st = csim__calloc(ctx, count, sizeof *list, "sets", &list); }
    CSIM_TRY(csim__vote(ctx, st));
    for (int i = 0; i < count; i++) {
        CSIM_TRY(csim_set_open(ctx, options->sets.text[i], &options->input, &list[i].set));
        csim__outputs outputs = {.sets = &list[i].set, .count = 1};
        CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
        CSIM_TRY(describe(ctx, &list[i]));
    }
    if (csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        if (options->format == JSON) { st = print_json(ctx, list, count); }
        for (int i = 0; options->format == TEXT && i < count; i++) {
            if (i > 0) { printf("\n"); }
            print_text(&list[i]);
        }
    }
    st = csim__vote(ctx, st);
done:
    for (int i = 0; list != NULL && i < count; i++) {
        csim__free(ctx, &list[i].site);
        csim_set_free(&list[i].set);
    }
    csim__free(ctx, &list);
    return st;
}

const csim__command csim__command_info = {
    .name = "info",
    .brief = "describe sets: sites, shapes, types, ranges",
    .usage = "SET...",
    .details = "Look at all values of the sets and print, for every site, shape and type, the "
               "range and mean, the number of constant neurons, and NaN and infinite values.",
    .options_size = sizeof(info_options),
    .groups = info_groups,
    .run = info_run,
};
