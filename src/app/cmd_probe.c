/* contrasim probe: a set and encoders in, what labels can be read from their features out. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "contrasim/native.h"
#include "contrasim/probe.h"
#include "io/file.h"

typedef struct probe_options {
    const char *set;
    csim_texts encoders;
    csim_input_options input;
    csim_probe_options probe;
    const char *output;
    int overwrite, format;
} probe_options;

enum { TEXT, CSV, JSON };

static const char *const probe_names[CSIM_PROBES] = {"softmax", "knn"};

static const csim_option set_table[] = {
    {.name = "set",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(probe_options, set),
     .metavar = "SET",
     .help = "the set to probe, the same as one without --set; it must carry labels"},
    {.name = "encoder",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(probe_options, encoders),
     .metavar = "FILE",
     .help = "checkpoint of an encoder whose output is probed beside the raw values; may be "
             "repeated"},
    {.name = NULL},
};

static const csim_option how_table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(probe_options, output),
     .metavar = "FILE",
     .help = "file to write (netCDF): accuracies of every run"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(probe_options, overwrite),
     .help = "replace an existing file"},
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(probe_options, format),
     .choices = "text|csv|json",
     .fallback = "text",
     .help = "how to print: a table of means and standard deviations, or every run"},
    {.name = NULL},
};

static csim_status probe_groups(csim__config *config, void *target)
{
    probe_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group set = {"", "What to probe", set_table, options, 1};
    csim__option_group probe = {"", "Probes", csim_probe_option_table, &options->probe, 1};
    csim__option_group input = {"", "Input", csim_input_option_table, &options->input, 1};
    csim__option_group how = {"", "Output", how_table, options, 0};
    CSIM_TRY(csim__config_add(config, &set));
    CSIM_TRY(csim__config_add(config, &probe));
    CSIM_TRY(csim__config_add(config, &input));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__config_positional(config, "set"));
done:
    return st;
}

static const char *trained_word(int8_t trained)
{
    return trained < 0 ? "-" : trained ? "yes" : "held out";
}

/* ---- text ---- */

static int widest(int most, const char *text)
{
    int length = (int)strlen(text);
    return length > most ? length : most;
}

static void print_text(const csim_probe_result *r)
{
    int notion = 6, feature = 8, layer = 5;
    for (int c = 0; c < r->notions; c++) { notion = widest(notion, r->notion[c].name); }
    for (int i = 0; i < r->features; i++) {
        feature = widest(feature, r->feature[i].name);
        layer = widest(layer, r->feature[i].layer);
    }
    printf("%-*s  %-*s  %-*s  %-8s  %7s  %7s  %6s  %-15s  %-15s\n", notion, "notion", layer,
           "layer", feature, "features", "trained", "classes", "labels", "chance", "softmax",
           "knn");
    for (int c = 0; c < r->notions; c++) {
        const csim_probe_notion *n = &r->notion[c];
        for (int i = 0; i < r->features; i++) {
            printf("%-*s  %-*s  %-*s  %-8s  %7" PRId64 "  %7" PRId64 "  %.4f", notion, n->name,
                   layer, r->feature[i].layer, feature, r->feature[i].name,
                   trained_word(r->trained[i * r->notions + c]), n->classes, n->labelled,
                   n->chance);
            for (int k = 0; k < CSIM_PROBES; k++) {
                double mean, deviation;
                csim_probe_summary(r, i, c, k, &mean, &deviation);
                printf("  %.4f ± %.4f", mean, deviation);
            }
            printf("\n");
        }
    }
}

/* ---- CSV ---- */

/* A cell; quotes where a comma or a quote needs them. */
static void print_cell(const char *text)
{
    if (strpbrk(text, ",\"\n") == NULL) {
        printf("%s,", text);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"') { putchar('"'); }
        putchar(*text);
    }
    printf("\",");
}

static void print_csv(const csim_probe_result *r)
{
    printf("notion,layer,features,trained,classes,labels,chance,probe,init,seed,accuracy\n");
    for (int c = 0; c < r->notions; c++) {
        const csim_probe_notion *n = &r->notion[c];
        for (int i = 0; i < r->features; i++) {
            int64_t runs = r->feature[i].inits * r->seeds;
            for (int64_t a = 0; a < CSIM_PROBES * runs; a++) {
                print_cell(n->name);
                print_cell(r->feature[i].layer);
                print_cell(r->feature[i].name);
                printf("%s,%" PRId64 ",%" PRId64 ",%.17g,%s,%" PRId64 ",%" PRId64 ",%.17g\n",
                       trained_word(r->trained[i * r->notions + c]), n->classes, n->labelled,
                       n->chance, probe_names[a / runs], a % runs / r->seeds,
                       r->seed + a % runs % r->seeds, r->accuracy[i][c * CSIM_PROBES * runs + a]);
            }
        }
    }
}

/* ---- JSON ---- */

/* Names need not be UTF-8; what is not becomes '?'. */
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

static json_t *entry_json(const csim_probe_result *r, int c, int i)
{
    json_t *o = json_object();
    int64_t runs = r->feature[i].inits * r->seeds;
    int8_t trained = r->trained[i * r->notions + c];
    json_object_set_new(o, "notion", text_json(r->notion[c].name));
    json_object_set_new(o, "layer", text_json(r->feature[i].layer));
    json_object_set_new(o, "features", text_json(r->feature[i].name));
    json_object_set_new(o, "trained", trained < 0 ? json_null() : json_boolean(trained));
    json_object_set_new(o, "width", json_integer(r->feature[i].width));
    json_object_set_new(o, "inits", json_integer(r->feature[i].inits));
    json_object_set_new(o, "classes", json_integer(r->notion[c].classes));
    json_object_set_new(o, "labels", json_integer(r->notion[c].labelled));
    json_object_set_new(o, "chance", json_real(r->notion[c].chance));
    for (int k = 0; k < CSIM_PROBES; k++) {
        const double *list = r->accuracy[i] + ((int64_t)c * CSIM_PROBES + k) * runs;
        json_t *probe = json_object(), *array = json_array();
        double mean, deviation;
        csim_probe_summary(r, i, c, k, &mean, &deviation);
        for (int64_t a = 0; a < runs; a++) { json_array_append_new(array, json_real(list[a])); }
        json_object_set_new(probe, "mean", json_real(mean));
        json_object_set_new(probe, "std", json_real(deviation));
        json_object_set_new(probe, "accuracy", array);
        json_object_set_new(o, probe_names[k], probe);
    }
    return o;
}

static csim_status print_json(csim_context *ctx, const csim_probe_result *r)
{
    json_t *root = json_object(), *list = json_array();
    json_object_set_new(root, "examples", json_integer(r->examples));
    json_object_set_new(root, "seeds", json_integer(r->seeds));
    json_object_set_new(root, "seed", json_integer(r->seed));
    json_object_set_new(root, "k", json_integer(r->k));
    for (int c = 0; c < r->notions; c++) {
        for (int i = 0; i < r->features; i++) { json_array_append_new(list, entry_json(r, c, i)); }
    }
    json_object_set_new(root, "probes", list);
    int bad = root == NULL || json_dumpf(root, stdout, JSON_INDENT(1)) != 0;
    printf("\n");
    json_decref(root);
    return bad ? csim__fail(ctx, CSIM_E_IO, "the accuracies cannot be printed as JSON") : CSIM_OK;
}

/* ---- all of it ---- */

static csim_status print(csim__app *app, int format, const csim_probe_result *r)
{
    csim__logger_clear(&app->log);
    if (format == JSON) { return print_json(app->ctx, r); }
    if (format == CSV) {
        print_csv(r);
    } else {
        print_text(r);
    }
    return CSIM_OK;
}

static csim_status write_file(csim__app *app, const probe_options *o, const csim_probe_result *r,
                              const char *set, int64_t start)
{
    char *line = NULL, *config = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__config_write(app->config, &config));
    CSIM_TRY(csim__command_line(app, &line));
done:
    st = csim__vote(app->ctx, st);
    if (st == CSIM_OK) {
        csim_probe_origin origin = {line, set, config, start};
        st = csim_probe_write(r, &origin, o->output, o->overwrite);
    }
    csim__free(app->ctx, &line);
    csim__free(app->ctx, &config);
    return st;
}

static csim_status check_options(const csim__app *app, const probe_options *o)
{
    csim_context *ctx = app->ctx;
    if (o->set == NULL) { return csim__fail(ctx, CSIM_E_USAGE, "no set is named"); }
    if (csim_context_rank(ctx) != 0 || o->output == NULL) { return CSIM_OK; }
    return csim__file_check_output(ctx, o->output, o->overwrite);
}

static csim_status probe_run(csim__app *app, void *target)
{
    probe_options *options = target;
    csim_context *ctx = app->ctx;
    int64_t start = (int64_t)time(NULL), dropped;
    csim_set *set = NULL;
    csim_probe_result *result = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(ctx, check_options(app, options)));
    CSIM_TRY(csim_set_open(ctx, options->set, &options->input, &set));
    if (options->input.nan_drop_rows) { CSIM_TRY(csim_sets_drop_bad_rows(ctx, &set, 1, &dropped)); }
    CSIM_TRY(csim_probe(ctx, set, options->encoders.text, options->encoders.count, &options->probe,
                        &result));
    if (options->output != NULL) {
        CSIM_TRY(write_file(app, options, result, csim_set_path(set), start));
    }
    if (csim_context_rank(ctx) == 0) { st = print(app, options->format, result); }
    st = csim__vote(ctx, st);
done:
    csim_probe_free(&result);
    csim_set_free(&set);
    return st;
}

const csim__command csim__command_probe = {
    .name = "probe",
    .brief = "read labels from the values of a set and from the output of encoders",
    .usage = "SET",
    .details =
        "Learn the labels of a part of the examples by softmax regression and by the nearest "
        "neighbours, from the values of each layer and from what each encoder makes of them, and "
        "print the accuracy on the other examples beside the share of the commonest label. "
        "Examples that an encoder was trained on flatter it: --examples chooses others.",
    .options_size = sizeof(probe_options),
    .groups = probe_groups,
    .run = probe_run,
};
