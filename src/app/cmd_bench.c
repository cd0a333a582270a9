/* contrasim bench: how often measures find what belongs together. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "contrasim/bench.h"
#include "core/text.h"

/* What changes a result, and what does not, apart: only the first is written into it. */
typedef struct bench_options {
    const char *benchmark;
    csim_texts sets, encoders;
    const char *measures;
    csim_retrieval_options retrieval;
    csim_input_options input;

    const char *output;
    int overwrite, format;

    void **measure_options; /* [csim_measure_count()], NULL where a measure has none */
} bench_options;

/* Measures that an encoder defines. */
static const char *const learned[] = {"contrasim", "deepdot", "deepcka", "mscon"};
enum { LEARNED = sizeof learned / sizeof *learned };

static const csim_option what_table[] = {
    {.name = "benchmark",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(bench_options, benchmark),
     .metavar = "NAME",
     .help = "what to run: retrieval; the same as the first word without --benchmark"},
    {.name = "set",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(bench_options, sets),
     .metavar = "SET",
     .help = "a set, the same as one without --set: a file, folder or quoted glob, or NAME=PATH"},
    {.name = "measures",
     .letter = 'm',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(bench_options, measures),
     .metavar = "LIST",
     .help = "names of measures joined by ',', or all; without it cka and what encoders define"},
    {.name = "encoder",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(bench_options, encoders),
     .metavar = "FILE",
     .help = "checkpoint of train, which defines a measure: contrasim, deepdot, deepcka or mscon; "
             "may be repeated"},
    {.name = NULL},
};

static const csim_option how_table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(bench_options, output),
     .metavar = "FILE",
     .help = "file to write (netCDF)"},
    {.name = "overwrite",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(bench_options, overwrite),
     .help = "replace an existing file"},
    {.name = "format",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(bench_options, format),
     .choices = "text|csv|json",
     .fallback = "text",
     .help = "what is printed on standard output: tables, one line a value, or JSON"},
    {.name = NULL},
};

static csim_status bench_groups(csim__config *config, void *target)
{
    bench_options *options = target;
    csim_status st = CSIM_OK;
    csim__option_group what = {"", "What to measure", what_table, options, 1};
    csim__option_group retrieval = {"", "Retrieval", csim_retrieval_option_table,
                                    &options->retrieval, 1};
    csim__option_group input = {"", "Reading the sets", csim_input_option_table, &options->input,
                                1};
    csim__option_group how = {"", "Output", how_table, options, 0};
    CSIM_TRY(csim__config_add(config, &what));
    CSIM_TRY(csim__config_add(config, &retrieval));
    CSIM_TRY(csim__config_add(config, &input));
    CSIM_TRY(csim__config_add(config, &how));
    CSIM_TRY(csim__config_positional(config, "benchmark"));
    CSIM_TRY(csim__config_positional(config, "set"));
    CSIM_TRY(csim__measure_groups(config, &options->measure_options));
done:
    return st;
}

/* ---- measures ---- */

static int learned_place(const char *name)
{
    for (int i = 0; i < LEARNED; i++) {
        if (strcmp(learned[i], name) == 0) { return i; }
    }
    return -1;
}

typedef struct choice {
    csim_encoder **encoder; /* [encoders] */
    csim_bench_measure *measure;
    int count;
    int *used; /* [encoders] */
} choice;

/* Add the measure that an encoder defines. */
static csim_status add_learned(csim__app *app, const bench_options *o, choice *c, const char *name)
{
    for (int e = 0; e < o->encoders.count; e++) {
        if (strcmp(csim_encoder_measure(c->encoder[e]), name) == 0) {
            c->measure[c->count++] = (csim_bench_measure){.encoder = c->encoder[e]};
            c->used[e] = 1;
            return CSIM_OK;
        }
    }
    return csim__config_fail(app->config, "", "measures",
                             "%s needs an encoder: --encoder FILE, a checkpoint of contrasim train",
                             name);
}

/* Closed forms by the registry's own rules for names, learned ones before it sees them. */
static csim_status choose_measures(csim__app *app, const bench_options *o, choice *c)
{
    csim_context *ctx = app->ctx;
    int all = csim_measure_count(), *chosen = NULL, named[LEARNED] = {0};
    char *list = NULL, *closed = NULL, *rest, *word;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, all, sizeof *chosen, "measures", &chosen));
    CSIM_TRY(csim__strdup(ctx, o->measures != NULL ? o->measures : "cka", &list));
    CSIM_TRY(csim__calloc(ctx, (int64_t)strlen(list) + 2, 1, "measures", &closed));
    bool everything = o->measures == NULL;
    rest = list;
    while ((word = strtok_r(rest, ",", &rest)) != NULL) {
        int place = learned_place(word);
        everything = everything || strcmp(word, "all") == 0;
        if (place >= 0) {
            named[place] = 1;
        } else {
            strcat(strcat(closed, closed[0] != '\0' ? "," : ""), word);
        }
    }
    for (int e = 0; everything && e < o->encoders.count; e++) {
        named[learned_place(csim_encoder_measure(c->encoder[e]))] = 1;
    }
    bool any = memchr(named, 1, sizeof named) != NULL;
    if (closed[0] != '\0' || !any) { CSIM_TRY(csim__choose_measures(app->config, closed, chosen)); }
    for (int i = 0; i < LEARNED; i++) {
        if (named[i]) { CSIM_TRY(add_learned(app, o, c, learned[i])); }
    }
    for (int i = 0; i < all; i++) {
        const csim_measure *m = csim_measure_get(i);
        chosen[i] = chosen[i] && learned_place(m->name) < 0;
        if (m->options != NULL) { csim__config_record(app->config, m->name, chosen[i]); }
        if (!chosen[i]) { continue; }
        c->measure[c->count++] =
            (csim_bench_measure){.measure = m, .options = o->measure_options[i]};
    }
done:
    csim__free(ctx, &closed);
    csim__free(ctx, &list);
    csim__free(ctx, &chosen);
    return st;
}

/* Each encoder must have a name of its own and be asked for. */
static csim_status check_encoders(csim__app *app, const bench_options *o, const choice *c)
{
    for (int e = 0; e < o->encoders.count; e++) {
        const char *name = csim_encoder_measure(c->encoder[e]);
        for (int k = 0; k < e; k++) {
            if (strcmp(csim_encoder_measure(c->encoder[k]), name) == 0) {
                return csim__config_fail(app->config, "", "encoder",
                                         "%s and %s both define %s: one run takes one of them",
                                         csim_encoder_path(c->encoder[k]),
                                         csim_encoder_path(c->encoder[e]), name);
            }
        }
        if (!c->used[e]) {
            return csim__config_fail(app->config, "", "encoder",
                                     "%s defines %s, which --measures does not name",
                                     csim_encoder_path(c->encoder[e]), name);
        }
    }
    return CSIM_OK;
}

/* Encoders read, measures chosen. Collective. */
static csim_status make_choice(csim__app *app, const bench_options *o, choice *c)
{
    csim_context *ctx = app->ctx;
    int most = csim_measure_count() + LEARNED;
    csim_status st =
        csim__calloc(ctx, o->encoders.count, sizeof *c->encoder, "encoders", &c->encoder);
    if (st == CSIM_OK) {
        st = csim__calloc(ctx, o->encoders.count, sizeof *c->used, "encoders", &c->used);
    }
    if (st == CSIM_OK) {
        st = csim__calloc(ctx, most, sizeof *c->measure, "measures", &c->measure);
    }
    CSIM_TRY(csim__vote(ctx, st));
    for (int e = 0; e < o->encoders.count; e++) {
        CSIM_TRY(csim_encoder_read(ctx, o->encoders.text[e], &c->encoder[e]));
    }
    st = choose_measures(app, o, c);
    if (st == CSIM_OK) { st = check_encoders(app, o, c); }
    st = csim__vote(ctx, st);
done:
    return st;
}

static void free_choice(csim_context *ctx, const bench_options *o, choice *c)
{
    for (int e = 0; c->encoder != NULL && e < o->encoders.count; e++) {
        csim_encoder_free(&c->encoder[e]);
    }
    csim__free(ctx, &c->encoder);
    csim__free(ctx, &c->used);
    csim__free(ctx, &c->measure);
}

/* ---- the run ---- */

/* What can be said before the first byte is read. */
static csim_status check_options(csim__app *app, const bench_options *o)
{
    csim_context *ctx = app->ctx;
    if (o->benchmark == NULL) {
        return csim__fail(ctx, CSIM_E_USAGE, "no benchmark is named, expected retrieval");
    }
    if (strcmp(o->benchmark, "retrieval") != 0) {
        return csim__config_fail(app->config, "", "benchmark", "found '%.80s', expected retrieval",
                                 o->benchmark);
    }
    if (o->sets.count < 2) {
        return csim__fail(ctx, CSIM_E_USAGE, "retrieval needs two sets or more, found %d",
                          o->sets.count);
    }
    csim__outputs outputs = {
        .output = o->output, .overwrite = o->overwrite, .encoders = &o->encoders};
    return csim__check_outputs(app, &outputs);
}

/* Write the file and print. Collective. */
static csim_status deliver(csim__app *app, const bench_options *o, const csim_bench *bench,
                           int64_t start)
{
    csim_context *ctx = app->ctx;
    char *line = NULL, *config = NULL;
    csim_status st = csim__config_write(app->config, &config);
    if (st == CSIM_OK) { st = csim__command_line(app, &line); }
    CSIM_TRY(csim__vote(ctx, st));
    if (o->output != NULL) {
        CSIM_TRY(csim_bench_write(ctx, bench, o->output, o->overwrite, config, line, start));
    }
    csim__logger_clear(&app->log);
    if (csim_context_rank(ctx) == 0) {
        st = csim_bench_print(ctx, bench, (csim_print_format)o->format, csim__stdout_sink, NULL);
    }
    st = csim__vote(ctx, st);
done:
    csim__free(ctx, &config);
    csim__free(ctx, &line);
    return st;
}

static csim_status bench_run(csim__app *app, void *target)
{
    bench_options *o = target;
    csim_context *ctx = app->ctx;
    int64_t start = (int64_t)time(NULL);
    csim_set **sets = NULL;
    csim_bench *bench = NULL;
    choice c = {.encoder = NULL};
    csim_status st = check_options(app, o);
    if (st == CSIM_OK) { st = csim__calloc(ctx, o->sets.count, sizeof *sets, "sets", &sets); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(make_choice(app, o, &c));
    CSIM_TRY(csim__open_sets(ctx, &o->sets, &o->input, sets));
    csim__outputs outputs = {.output = o->output,
                             .overwrite = o->overwrite,
                             .encoders = &o->encoders,
                             .sets = sets,
                             .count = o->sets.count};
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &outputs)));
    CSIM_TRY(csim_bench_retrieval(
        ctx, sets, o->sets.count, c.measure, c.count, &o->retrieval, o->input.nan_drop_rows,
        app->common.quiet ? NULL : csim__logger_progress, &app->log, &bench));
    CSIM_TRY(deliver(app, o, bench, start));
done:
    csim_bench_free(&bench);
    csim__close_sets(ctx, o->sets.count, &sets);
    free_choice(ctx, o, &c);
    return st;
}

const csim__command csim__command_bench = {
    .name = "bench",
    .brief = "how often measures find what belongs together",
    .usage = "retrieval SET SET...",
    .details = "Retrieval: row i is the same example in all sets. For each group of rows of one "
               "set a measure has to tell the same rows of another set from groups of other rows "
               "drawn at random, or from its nearest ones. Prints the share of right decisions for "
               "every ordered pair of "
               "sets and every layer, beside that of guessing. Layers are paired by their place.",
    .options_size = sizeof(bench_options),
    .groups = bench_groups,
    .more = csim__list_measures,
    .run = bench_run,
};
