/* The outcome of a benchmark as a table in a file. */
#include <stdio.h>
#include <xxhash.h>

#include "bench/bench.h"
#include "io/stamp.h"
#include "io/table.h"

enum { MEASURE, PAIR, LAYER, DIMS };
enum { VARIABLES = 14, ATTRIBUTES = 20 };

/* A table and what it borrows beside the outcome. */
typedef struct sheet {
    csim__table table;
    csim__table_dim dim[DIMS];
    csim__table_variable variable[VARIABLES];
    csim__table_attribute attribute[ATTRIBUTES], chance;
    const char **text;          /* labels */
    double *mean, *std;         /* [measures, pairs] */
    char *names, *sums, *bytes; /* of the inputs, one a line */
    char layer_about[256];
} sheet;

static void add_texts(sheet *s, const char *name, const char *long_name, int dim,
                      const char *const *texts)
{
    s->variable[s->table.variables++] = (csim__table_variable){
        .name = name, .long_name = long_name, .ndim = 1, .dim = {dim}, .texts = texts};
}

static csim_status add_labels(sheet *s, const csim_bench *b)
{
    csim_status st = CSIM_OK;
    int m = b->measures, p = b->pairs, all = 6 * m + 2 * p + b->layers;
    CSIM_TRY(csim__alloc(b->ctx, all, sizeof *s->text, "labels", &s->text));
    const char **at = s->text;
    for (int i = 0; i < m; i++) {
        at[i] = b->measure[i].name;
        at[m + i] = b->measure[i].distance ? "distance" : "similarity";
        at[2 * m + i] = b->measure[i].doc;
        at[3 * m + i] = b->measure[i].cite;
        at[4 * m + i] = b->measure[i].encoder;
        at[5 * m + i] = b->measure[i].encoder_sum;
    }
    add_texts(s, "measure_name", "name of the measure", MEASURE, at);
    add_texts(s, "orientation",
              "what the best value is: of a similarity the largest, of a "
              "distance the smallest",
              MEASURE, at + m);
    add_texts(s, "definition", "definition of the measure", MEASURE, at + 2 * m);
    add_texts(s, "citation", "reference", MEASURE, at + 3 * m);
    add_texts(s, "encoder", "checkpoint of the encoder, empty of closed forms", MEASURE,
              at + 4 * m);
    add_texts(s, "encoder_checksum", "checksum of the encoder", MEASURE, at + 5 * m);
    at += 6 * m;
    for (int i = 0; i < p; i++) {
        at[i] = b->set[b->pair[i][0]];
        at[p + i] = b->set[b->pair[i][1]];
    }
    add_texts(s, "query_set", "set of the query", PAIR, at);
    add_texts(s, "candidate_set", "set of the candidates", PAIR, at + p);
    at += 2 * p;
    for (int l = 0; l < b->layers; l++) { at[l] = b->layer[l]; }
    snprintf(s->layer_about, sizeof s->layer_about, "layer, by its name in set %.200s", b->set[0]);
    add_texts(s, "layer_name", s->layer_about, LAYER, at);
done:
    return st;
}

static const char coordinates[] = "measure_name query_set candidate_set layer_name";

static csim_status add_values(sheet *s, const csim_bench *b)
{
    csim_status st = CSIM_OK;
    int64_t cells = (int64_t)b->measures * b->pairs;
    s->chance =
        (csim__table_attribute){.name = "chance", .real = csim_bench_chance(b), .is_real = true};
    csim__table_variable v = {.units = "1",
                              .ndim = DIMS,
                              .dim = {MEASURE, PAIR, LAYER},
                              .coordinates = coordinates,
                              .attribute = &s->chance,
                              .attributes = 1};
    v.name = "accuracy";
    v.long_name = "share of right decisions, a tie for the best counted 1/ties";
    v.reals = b->accuracy;
    s->variable[s->table.variables++] = v;
    CSIM_TRY(csim__alloc(b->ctx, cells, sizeof(double), "means", &s->mean));
    CSIM_TRY(csim__alloc(b->ctx, cells, sizeof(double), "means", &s->std));
    for (int64_t i = 0; i < cells; i++) {
        s->mean[i] = csim_bench_mean(b, (int)(i / b->pairs), (int)(i % b->pairs));
        s->std[i] = csim_bench_std(b, (int)(i / b->pairs), (int)(i % b->pairs));
    }
    v.ndim = 2;
    v.coordinates = "measure_name query_set candidate_set";
    v.name = "accuracy_mean";
    v.long_name = "mean over layers of the accuracy";
    v.reals = s->mean;
    s->variable[s->table.variables++] = v;
    v.name = "accuracy_std";
    v.long_name = "standard deviation over layers of the accuracy, by layers - 1";
    v.reals = s->std;
    v.attributes = 0;
    s->variable[s->table.variables++] = v;
    v.ndim = DIMS;
    v.coordinates = coordinates;
    v.reals = NULL;
    v.name = "undefined";
    v.long_name = "decisions whose true value is undefined, counted as wrong";
    v.integers = b->undefined[0];
    s->variable[s->table.variables++] = v;
    v.name = "undefined_candidates";
    v.long_name = "undefined values of candidates, counted as the worst";
    v.integers = b->undefined[1];
    s->variable[s->table.variables++] = v;
done:
    return st;
}

static csim_status add_line(csim_context *ctx, char **list, const char *line)
{
    char *longer = NULL;
    csim_status st =
        csim__format(ctx, &longer, "%s%s%s", *list ? *list : "", *list ? "\n" : "", line);
    if (st != CSIM_OK) { return st; }
    csim__free(ctx, list);
    *list = longer;
    return CSIM_OK;
}

static csim_status list_inputs(sheet *s, const csim_bench *b)
{
    csim_context *ctx = b->ctx;
    char *line = NULL;
    csim_status st = CSIM_OK;
    for (int i = 0; i < b->sets; i++) {
        const uint64_t *sums = b->sum + (int64_t)i * b->layers;
        char number[48];
        CSIM_TRY(csim__format(ctx, &line, "%s=%s", b->set[i], b->path[i]));
        CSIM_TRY(add_line(ctx, &s->names, line));
        csim__free(ctx, &line);
        uint64_t sum = XXH3_64bits(sums, (size_t)b->layers * sizeof *sums);
        snprintf(number, sizeof number, "xxh3:%016llx", (unsigned long long)sum);
        CSIM_TRY(add_line(ctx, &s->sums, number));
        snprintf(number, sizeof number, "%lld", (long long)b->bytes[i]);
        CSIM_TRY(add_line(ctx, &s->bytes, number));
    }
done:
    csim__free(ctx, &line);
    return st;
}

static void set_text(sheet *s, const char *name, const char *text)
{
    s->attribute[s->table.attributes++] =
        (csim__table_attribute){.name = name, .text = text != NULL ? text : ""};
}

static void set_int(sheet *s, const char *name, int64_t value)
{
    s->attribute[s->table.attributes++] = (csim__table_attribute){.name = name, .whole = value};
}

static void clear(csim_context *ctx, sheet *s)
{
    csim__free(ctx, &s->bytes);
    csim__free(ctx, &s->sums);
    csim__free(ctx, &s->names);
    csim__free(ctx, &s->std);
    csim__free(ctx, &s->mean);
    csim__free(ctx, &s->text);
}

/* Dimensions and variables; the caller clears, also on error. */
static csim_status fill(sheet *s, const csim_bench *b)
{
    csim_status st = CSIM_OK;
    *s = (sheet){.dim = {{"measure", "index of the measure", b->measures},
                         {"pair", "index of the ordered pair of sets", b->pairs},
                         {"layer", "index of the layer", b->layers}}};
    s->table.dim = s->dim;
    s->table.dims = DIMS;
    s->table.variable = s->variable;
    s->table.attribute = s->attribute;
    CSIM_TRY(add_labels(s, b));
    CSIM_TRY(add_values(s, b));
done:
    return st;
}

csim_status csim_bench_checksum(const csim_bench *b, char text[48])
{
    sheet s;
    csim_status st = fill(&s, b);
    if (st == CSIM_OK) { csim__table_checksum(&s.table, text); }
    clear(b->ctx, &s);
    return st;
}

csim_status csim_bench_write(csim_context *ctx, const csim_bench *b, const char *path,
                             int overwrite, const char *configuration, const char *command,
                             int64_t start)
{
    sheet s;
    csim__stamp stamp = {.history = NULL};
    char source[64];
    csim_status st = fill(&s, b);
    if (st == CSIM_OK) { st = list_inputs(&s, b); }
    if (st == CSIM_OK) { st = csim__stamp_take(ctx, command, NULL, start, &stamp); }
    CSIM_TRY(csim__vote(ctx, st));
    snprintf(source, sizeof source, "contrasim %s", csim_version());
    set_text(&s, "Conventions", "CF-1.10");
    set_text(&s, "format", "contrasim-benchmark-1");
    set_text(&s, "title", "Retrieval by measures of similarity");
    set_text(&s, "source", source);
    set_text(&s, "benchmark", "retrieval");
    set_int(&s, "examples", b->rows);
    set_int(&s, "group", b->options.group);
    set_int(&s, "candidates_per_decision", b->options.candidates);
    set_text(&s, "negatives", csim__bench_negatives(b));
    set_int(&s, "seed", b->options.seed);
    set_int(&s, "decisions", b->decisions);
    set_text(&s, "input_names", s.names);
    set_text(&s, "input_bytes", s.bytes);
    set_text(&s, "input_checksums", s.sums);
    set_text(&s, "configuration", configuration);
    set_text(&s, "history", stamp.history);
    set_int(&s, "run_ranks", csim_context_size(ctx));
    set_text(&s, "run_host", stamp.host);
    set_text(&s, "run_start", stamp.start);
    set_text(&s, "run_end", stamp.end);
    CSIM_TRY(csim__table_write(ctx, &s.table, path, overwrite));
done:
    csim__free(ctx, &stamp.history);
    clear(b->ctx, &s);
    return st;
}
