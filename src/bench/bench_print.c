/* The outcome of a benchmark as tables, CSV or JSON. NaN, which JSON does not have, becomes null. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

typedef struct printer {
    csim_context *ctx;
    const csim_bench *bench;
    csim_sink_fn sink;
    void *user;
    int refused; /* the sink has refused: nothing more is sent */
} printer;

static int send(const char *text, size_t length, void *user)
{
    printer *p = user;
    if (!p->refused) { p->refused = p->sink(p->user, text, (int64_t)length) != 0; }
    return p->refused ? -1 : 0;
}

CSIM_PRINTF(2, 3) static void say(printer *p, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0) { send(line, (size_t)csim__min64(n, sizeof line - 1), p); }
}

/* ---- tables ---- */

enum { COLUMN = 19, CHANCE = 8 };

static int longest(int count, const char *(*name)(const csim_bench *, int), const csim_bench *b,
                   const char *head)
{
    int most = (int)strlen(head);
    for (int i = 0; i < count; i++) {
        int n = (int)strlen(name(b, i));
        if (n > most) { most = n; }
    }
    return most;
}

static const char *query_name(const csim_bench *b, int p)
{
    return csim_bench_set_name(b, p, 0);
}

static void heads(printer *p)
{
    for (int m = 0; m < p->bench->measures; m++) {
        say(p, "  %*s", COLUMN, csim_bench_measure_name(p->bench, m));
    }
    say(p, "  %*s\n", CHANCE, "chance");
}

static void value(printer *p, double mean, double std)
{
    char text[64];
    snprintf(text, sizeof text, isnan(std) ? "%.4f" : "%.4f +- %.4f", mean, std);
    say(p, "  %*s", COLUMN, text);
}

static void chance(printer *p)
{
    say(p, "  %*.4f\n", CHANCE, csim_bench_chance(p->bench));
}

static void pairs_table(printer *p)
{
    const csim_bench *b = p->bench;
    int wide = longest(b->pairs, query_name, b, "candidates"); /* sets are on both sides */
    say(p, "%-*s  %-*s", wide, "query", wide, "candidates");
    heads(p);
    for (int i = 0; i < b->pairs; i++) {
        say(p, "%-*s  %-*s", wide, csim_bench_set_name(b, i, 0), wide,
            csim_bench_set_name(b, i, 1));
        for (int m = 0; m < b->measures; m++) {
            value(p, csim_bench_mean(b, m, i), csim_bench_std(b, m, i));
        }
        chance(p);
    }
    say(p, "%-*s  %-*s", wide, "all", wide, "");
    for (int m = 0; m < b->measures; m++) {
        double sum = 0;
        for (int i = 0; i < b->pairs; i++) { sum += csim_bench_mean(b, m, i); }
        value(p, sum / b->pairs, (double)NAN);
    }
    chance(p);
}

static void layers_table(printer *p)
{
    const csim_bench *b = p->bench;
    int wide = longest(b->layers, csim_bench_layer_name, b, "layer");
    say(p, "%-*s", wide, "layer");
    heads(p);
    for (int l = 0; l < b->layers; l++) {
        say(p, "%-*s", wide, csim_bench_layer_name(b, l));
        for (int m = 0; m < b->measures; m++) {
            double sum = 0;
            for (int i = 0; i < b->pairs; i++) { sum += csim_bench_accuracy(b, m, i, l); }
            value(p, sum / b->pairs, (double)NAN);
        }
        chance(p);
    }
}

static void print_tables(printer *p)
{
    const csim_bench *b = p->bench;
    say(p,
        "retrieval: %lld groups of %lld rows, each against %lld %s candidates; mean +- "
        "standard deviation over %d layer%s\n\n",
        (long long)b->decisions, (long long)b->options.group, (long long)b->options.candidates,
        csim__bench_negatives(b), b->layers, b->layers == 1 ? "" : "s");
    pairs_table(p);
    if (b->layers > 1) {
        say(p, "\nmean over %d pairs\n\n", b->pairs);
        layers_table(p);
    }
}

/* ---- CSV ---- */

static void field(printer *p, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        send(text, strlen(text), p);
    } else {
        send("\"", 1, p);
        for (const char *c = text; *c != 0; c++) {
            if (*c == '"') { send("\"", 1, p); }
            send(c, 1, p);
        }
        send("\"", 1, p);
    }
    send(",", 1, p);
}

static void print_csv(printer *p)
{
    const csim_bench *b = p->bench;
    say(p, "measure,query,candidates,layer,accuracy,chance,undefined,undefined_candidates\n");
    for (int m = 0; m < b->measures; m++) {
        for (int i = 0; i < b->pairs; i++) {
            for (int l = 0; l < b->layers; l++) {
                field(p, csim_bench_measure_name(b, m));
                field(p, csim_bench_set_name(b, i, 0));
                field(p, csim_bench_set_name(b, i, 1));
                field(p, csim_bench_layer_name(b, l));
                say(p, "%.17g,%.17g,%lld,%lld\n", csim_bench_accuracy(b, m, i, l),
                    csim_bench_chance(b), (long long)csim_bench_undefined(b, m, i, l, 0),
                    (long long)csim_bench_undefined(b, m, i, l, 1));
            }
        }
    }
}

/* ---- JSON: each of these gives NULL when out of memory, which the one who adds it reports ---- */

/* A text; bytes that are not UTF-8 become '?'. */
static json_t *text_json(csim_context *ctx, const char *text)
{
    char *copy = NULL;
    json_t *json = json_string(text);
    if (json != NULL || csim__strdup(ctx, text, &copy) != CSIM_OK) { return json; }
    for (char *c = copy; *c != 0; c++) {
        if ((unsigned char)*c >= 0x80) { *c = '?'; }
    }
    json = json_string(copy);
    csim__free(ctx, &copy);
    return json;
}

static json_t *real_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *checked(json_t *json, int bad)
{
    if (!bad) { return json; }
    json_decref(json);
    return NULL;
}

static json_t *pair_json(const printer *p, int m, int i)
{
    const csim_bench *b = p->bench;
    json_t *object = json_object(), *values = json_array(), *lost = json_array();
    json_t *worst = json_array();
    int bad = 0;
    for (int l = 0; l < b->layers; l++) {
        bad |= json_array_append_new(values, real_json(csim_bench_accuracy(b, m, i, l)));
        bad |= json_array_append_new(lost, json_integer(csim_bench_undefined(b, m, i, l, 0)));
        bad |= json_array_append_new(worst, json_integer(csim_bench_undefined(b, m, i, l, 1)));
    }
    bad |= json_object_set_new(object, "query", text_json(p->ctx, csim_bench_set_name(b, i, 0)));
    bad |=
        json_object_set_new(object, "candidates", text_json(p->ctx, csim_bench_set_name(b, i, 1)));
    bad |= json_object_set_new(object, "mean", real_json(csim_bench_mean(b, m, i)));
    bad |= json_object_set_new(object, "std", real_json(csim_bench_std(b, m, i)));
    bad |= json_object_set_new(object, "accuracy", values);
    bad |= json_object_set_new(object, "undefined", lost);
    bad |= json_object_set_new(object, "undefined_candidates", worst);
    return checked(object, bad);
}

static json_t *measure_json(const printer *p, int m)
{
    const csim_bench *b = p->bench;
    const csim__bench_measure *a = &b->measure[m];
    json_t *object = json_object(), *pairs = json_array();
    int bad = json_object_set_new(object, "name", text_json(p->ctx, a->name));
    bad |= json_object_set_new(object, "orientation",
                               json_string(a->distance ? "distance" : "similarity"));
    if (a->encoder[0] != '\0') {
        bad |= json_object_set_new(object, "encoder", text_json(p->ctx, a->encoder));
        bad |= json_object_set_new(object, "encoder_checksum", text_json(p->ctx, a->encoder_sum));
    }
    for (int i = 0; i < b->pairs; i++) { bad |= json_array_append_new(pairs, pair_json(p, m, i)); }
    bad |= json_object_set_new(object, "pairs", pairs);
    return checked(object, bad);
}

static csim_status print_json(printer *p)
{
    const csim_bench *b = p->bench;
    json_t *root = json_object(), *layers = json_array(), *measures = json_array();
    int bad = 0;
    for (int l = 0; l < b->layers; l++) {
        bad |= json_array_append_new(layers, text_json(p->ctx, b->layer[l]));
    }
    for (int m = 0; m < b->measures; m++) {
        bad |= json_array_append_new(measures, measure_json(p, m));
    }
    bad |= json_object_set_new(root, "benchmark", json_string("retrieval"));
    bad |= json_object_set_new(root, "chance", real_json(csim_bench_chance(b)));
    bad |= json_object_set_new(root, "group", json_integer(b->options.group));
    bad |= json_object_set_new(root, "candidates", json_integer(b->options.candidates));
    bad |= json_object_set_new(root, "negatives", json_string(csim__bench_negatives(b)));
    bad |= json_object_set_new(root, "seed", json_integer(b->options.seed));
    bad |= json_object_set_new(root, "examples", json_integer(b->rows));
    bad |= json_object_set_new(root, "decisions", json_integer(b->decisions));
    bad |= json_object_set_new(root, "layers", layers);
    bad |= json_object_set_new(root, "measures", measures);
    if (!bad) {
        bad = json_dump_callback(root, send, p, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0;
        say(p, "\n");
    }
    json_decref(root);
    return bad && !p->refused ? csim__fail(p->ctx, CSIM_E_MEM, "out of memory for JSON") : CSIM_OK;
}

csim_status csim_bench_print(csim_context *ctx, const csim_bench *bench, csim_print_format format,
                             csim_sink_fn sink, void *user)
{
    printer p = {.ctx = ctx, .bench = bench, .sink = sink, .user = user};
    csim_status st = CSIM_OK;
    if (format == CSIM_PRINT_JSON) {
        st = print_json(&p);
    } else if (format == CSIM_PRINT_CSV) {
        print_csv(&p);
    } else {
        print_tables(&p);
    }
    if (st == CSIM_OK && p.refused) {
        st = csim__fail(ctx, CSIM_E_IO, "the printed text was refused");
    }
    return st;
}
