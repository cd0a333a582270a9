/* The outcome of a benchmark: what it is of, its values, its checks. */
#include <math.h>
#include <string.h>

#include "bench/bench.h"

const csim_option csim_retrieval_option_table[] = {
    {.name = "group",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_retrieval_options, group),
     .fallback = "8",
     .min = 1,
     .max = 1e6,
     .help = "consecutive rows of a decision; with fewer than 4 only measures of single rows work"},
    {.name = "candidates",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_retrieval_options, candidates),
     .fallback = "10",
     .min = 1,
     .max = 10000,
     .help = "groups of other rows that the true one is held against"},
    {.name = "negatives",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_retrieval_options, negatives),
     .fallback = "random",
     .choices = "random|nearest",
     .help = "rows of the candidates: drawn at random, or the nearest ones of each true row, which "
             "are harder to tell from it"},
    {.name = "seed",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_retrieval_options, seed),
     .fallback = "0",
     .min = 0,
     .max = 9007199254740992.0,
     .help = "seed of candidates that are drawn"},
    {.name = NULL},
};

const char *csim__bench_name(const csim_bench_measure *m)
{
    return m->encoder != NULL ? csim_encoder_measure(m->encoder) : m->measure->name;
}

bool csim__bench_by_rows(const csim_measure *measure)
{
    return measure->needs == CSIM_NEEDS_ROWS;
}

static csim_status copy_measure(csim_context *ctx, const csim_bench_measure *from,
                                csim__bench_measure *to)
{
    const csim_encoder *e = from->encoder;
    csim_status st = CSIM_OK;
    to->distance = e == NULL && (from->measure->props & CSIM_DISTANCE) != 0;
    CSIM_TRY(csim__strdup(ctx, csim__bench_name(from), &to->name));
    CSIM_TRY(csim__strdup(ctx, e != NULL ? csim_encoder_path(e) : "", &to->encoder));
    CSIM_TRY(csim__strdup(ctx, e != NULL ? csim_encoder_checksum(e) : "", &to->encoder_sum));
    CSIM_TRY(csim__strdup(ctx, e != NULL ? "in the space of a trained encoder" : from->measure->doc,
                          &to->doc));
    CSIM_TRY(csim__strdup(
        ctx, e != NULL ? "ContraSim, Rahamim and Belinkov 2024" : from->measure->cite, &to->cite));
done:
    return st;
}

static csim_status copy_set(csim_bench *b, csim_set *set, int s)
{
    csim_status st = CSIM_OK;
    b->bytes[s] = csim_set_bytes(set);
    CSIM_TRY(csim__strdup(b->ctx, csim_set_name(set), &b->set[s]));
    CSIM_TRY(csim__strdup(b->ctx, csim_set_path(set), &b->path[s]));
    for (int l = 0; s == 0 && l < b->layers; l++) {
        CSIM_TRY(csim__strdup(b->ctx, csim_set_site(set, l)->name, &b->layer[l]));
    }
done:
    return st;
}

static csim_status make_arrays(csim_bench *b)
{
    csim_context *ctx = b->ctx;
    int64_t cells = (int64_t)b->measures * b->pairs * b->layers;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, b->measures, sizeof *b->measure, "measures", &b->measure));
    CSIM_TRY(csim__calloc(ctx, b->sets, sizeof *b->set, "names of sets", &b->set));
    CSIM_TRY(csim__calloc(ctx, b->sets, sizeof *b->path, "paths of sets", &b->path));
    CSIM_TRY(csim__calloc(ctx, b->layers, sizeof *b->layer, "names of layers", &b->layer));
    CSIM_TRY(csim__calloc(ctx, b->sets, sizeof *b->bytes, "sizes of sets", &b->bytes));
    CSIM_TRY(csim__calloc(ctx, (int64_t)b->sets * b->layers, sizeof *b->sum, "sums", &b->sum));
    CSIM_TRY(csim__calloc(ctx, b->pairs, sizeof *b->pair, "pairs", &b->pair));
    CSIM_TRY(csim__calloc(ctx, cells, sizeof *b->accuracy, "accuracies", &b->accuracy));
    for (int i = 0; i < 2; i++) {
        CSIM_TRY(csim__calloc(ctx, cells, sizeof(int64_t), "counts", &b->undefined[i]));
    }
done:
    return st;
}

csim_status csim__bench_make(csim_context *ctx, csim_set *const *sets, int set_count,
                             const csim_bench_measure *measures, int count,
                             const csim_retrieval_options *options, csim_bench **bench)
{
    csim_bench *b = NULL;
    csim_status st = CSIM_OK;
    *bench = NULL;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *b, "a benchmark", &b));
    b->ctx = ctx;
    b->options = *options;
    b->rows = csim_set_examples(sets[0]);
    b->decisions = b->rows / options->group;
    b->measures = count;
    b->sets = set_count;
    b->pairs = set_count * (set_count - 1);
    b->layers = csim_set_site_count(sets[0]);
    CSIM_TRY(make_arrays(b));
    for (int m = 0; m < count; m++) { CSIM_TRY(copy_measure(ctx, &measures[m], &b->measure[m])); }
    for (int s = 0, p = 0; s < set_count; s++) {
        CSIM_TRY(copy_set(b, sets[s], s));
        for (int t = 0; t < set_count; t++) {
            if (t == s) { continue; }
            b->pair[p][0] = s;
            b->pair[p++][1] = t;
        }
    }
    *bench = b;
    b = NULL;
done:
    csim_bench_free(&b);
    return st;
}

void csim_bench_free(csim_bench **bench)
{
    csim_bench *b = *bench;
    *bench = NULL;
    if (b == NULL) { return; }
    csim_context *ctx = b->ctx;
    for (int m = 0; b->measure != NULL && m < b->measures; m++) {
        csim__free(ctx, &b->measure[m].name);
        csim__free(ctx, &b->measure[m].doc);
        csim__free(ctx, &b->measure[m].cite);
        csim__free(ctx, &b->measure[m].encoder);
        csim__free(ctx, &b->measure[m].encoder_sum);
    }
    for (int s = 0; b->set != NULL && s < b->sets; s++) { csim__free(ctx, &b->set[s]); }
    for (int s = 0; b->path != NULL && s < b->sets; s++) { csim__free(ctx, &b->path[s]); }
    for (int l = 0; b->layer != NULL && l < b->layers; l++) { csim__free(ctx, &b->layer[l]); }
    for (int i = 0; i < 2; i++) { csim__free(ctx, &b->undefined[i]); }
    csim__free(ctx, &b->accuracy);
    csim__free(ctx, &b->pair);
    csim__free(ctx, &b->sum);
    csim__free(ctx, &b->bytes);
    csim__free(ctx, &b->layer);
    csim__free(ctx, &b->path);
    csim__free(ctx, &b->set);
    csim__free(ctx, &b->measure);
    csim__free(ctx, &b);
}

int csim_bench_measures(const csim_bench *b)
{
    return b->measures;
}

int csim_bench_pairs(const csim_bench *b)
{
    return b->pairs;
}

int csim_bench_layers(const csim_bench *b)
{
    return b->layers;
}

const char *csim_bench_measure_name(const csim_bench *b, int m)
{
    return b->measure[m].name;
}

const char *csim_bench_set_name(const csim_bench *b, int p, int which)
{
    return b->set[b->pair[p][which]];
}

const char *csim_bench_layer_name(const csim_bench *b, int l)
{
    return b->layer[l];
}

int64_t csim_bench_decisions(const csim_bench *b)
{
    return b->decisions;
}

double csim_bench_chance(const csim_bench *b)
{
    return 1 / (double)(b->options.candidates + 1);
}

static int64_t cell(const csim_bench *b, int m, int p, int l)
{
    return ((int64_t)m * b->pairs + p) * b->layers + l;
}

double csim_bench_accuracy(const csim_bench *b, int m, int p, int l)
{
    return b->accuracy[cell(b, m, p, l)];
}

int64_t csim_bench_undefined(const csim_bench *b, int m, int p, int l, int which)
{
    return b->undefined[which][cell(b, m, p, l)];
}

double csim_bench_mean(const csim_bench *b, int m, int p)
{
    double sum = 0;
    for (int l = 0; l < b->layers; l++) { sum += csim_bench_accuracy(b, m, p, l); }
    return sum / b->layers;
}

double csim_bench_std(const csim_bench *b, int m, int p)
{
    double mean = csim_bench_mean(b, m, p), sum = 0;
    if (b->layers < 2) { return (double)NAN; }
    for (int l = 0; l < b->layers; l++) {
        double off = csim_bench_accuracy(b, m, p, l) - mean;
        sum += off * off;
    }
    return sqrt(sum / (b->layers - 1));
}

const char *csim__bench_negatives(const csim_bench *bench)
{
    return bench->options.negatives == CSIM_NEAREST ? "nearest" : "random";
}
