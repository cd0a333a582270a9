/* What a probe gives: summary, file, end. */
#include <inttypes.h>
#include <math.h>

#include "io/stamp.h"
#include "io/table.h"
#include "probe/probe.h"

void csim_probe_summary(const csim_probe_result *r, int feature, int notion, int probe,
                        double *mean, double *deviation)
{
    int64_t runs = r->feature[feature].inits * r->seeds;
    const double *list = r->accuracy[feature] + ((int64_t)notion * CSIM_PROBES + probe) * runs;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < runs; i++) { sum += list[i]; }
    *mean = sum / (double)runs;
    for (int64_t i = 0; i < runs; i++) { square += (list[i] - *mean) * (list[i] - *mean); }
    *deviation = runs > 1 ? sqrt(square / (double)(runs - 1)) : 0;
}

void csim_probe_free(csim_probe_result **result)
{
    csim_probe_result *r = *result;
    *result = NULL;
    if (r == NULL) { return; }
    csim_context *ctx = r->ctx;
    for (int i = 0; i < r->features; i++) {
        csim__free(ctx, &r->accuracy[i]);
        csim__free(ctx, &r->feature[i].layer);
        csim__free(ctx, &r->feature[i].name);
    }
    for (int c = 0; c < r->notions; c++) { csim__free(ctx, &r->notion[c].name); }
    csim__free(ctx, &r->accuracy);
    csim__free(ctx, &r->trained);
    csim__free(ctx, &r->feature);
    csim__free(ctx, &r->notion);
    csim__free(ctx, &r);
}

/* The columns of the file; each list is owned. */
typedef struct columns {
    int64_t runs; /* of the features with the most */
    const char **layer, **name, **notion, **probe;
    double *accuracy[CSIM_PROBES]; /* [features, notions, runs], NaN behind a feature's last run */
    double *chance;
    int64_t *width, *trained, *classes, *labelled, *init, *seed;
} columns;

static csim_status make_room(const csim_probe_result *r, columns *c)
{
    csim_context *ctx = r->ctx;
    int64_t all = 0;
    csim_status st = CSIM_OK;
    for (int i = 0; i < r->features; i++) {
        c->runs = csim__max64(c->runs, r->feature[i].inits * r->seeds);
    }
    all = (int64_t)r->features * r->notions;
    CSIM_TRY(csim__alloc(ctx, r->features, sizeof(char *), "columns", &c->layer));
    CSIM_TRY(csim__alloc(ctx, r->features, sizeof(char *), "columns", &c->name));
    CSIM_TRY(csim__alloc(ctx, r->notions, sizeof(char *), "columns", &c->notion));
    CSIM_TRY(csim__alloc(ctx, r->features, sizeof(int64_t), "columns", &c->width));
    CSIM_TRY(csim__alloc(ctx, all, sizeof(int64_t), "columns", &c->trained));
    CSIM_TRY(csim__alloc(ctx, r->notions, sizeof(int64_t), "columns", &c->classes));
    CSIM_TRY(csim__alloc(ctx, r->notions, sizeof(int64_t), "columns", &c->labelled));
    CSIM_TRY(csim__alloc(ctx, r->notions, sizeof(double), "columns", &c->chance));
    CSIM_TRY(csim__alloc(ctx, c->runs, sizeof(int64_t), "columns", &c->init));
    CSIM_TRY(csim__alloc(ctx, c->runs, sizeof(int64_t), "columns", &c->seed));
    for (int k = 0; k < CSIM_PROBES; k++) {
        CSIM_TRY(csim__alloc(ctx, all * c->runs, sizeof(double), "columns", &c->accuracy[k]));
    }
done:
    return st;
}

static void fill(const csim_probe_result *r, columns *c)
{
    for (int n = 0; n < r->notions; n++) {
        c->notion[n] = r->notion[n].name;
        c->classes[n] = r->notion[n].classes;
        c->labelled[n] = r->notion[n].labelled;
        c->chance[n] = r->notion[n].chance;
    }
    for (int64_t i = 0; i < c->runs; i++) {
        c->init[i] = i / r->seeds;
        c->seed[i] = r->seed + i % r->seeds;
    }
    for (int f = 0; f < r->features; f++) {
        int64_t runs = r->feature[f].inits * r->seeds;
        c->layer[f] = r->feature[f].layer;
        c->name[f] = r->feature[f].name;
        c->width[f] = r->feature[f].width;
        for (int64_t i = 0; i < (int64_t)r->notions * CSIM_PROBES * c->runs; i++) {
            int64_t run = i % c->runs, k = i / c->runs % CSIM_PROBES, n = i / c->runs / CSIM_PROBES;
            c->accuracy[k][(f * r->notions + n) * c->runs + run] =
                run < runs ? r->accuracy[f][(n * CSIM_PROBES + k) * runs + run] : NAN;
            c->trained[f * r->notions + n] = r->trained[f * r->notions + n];
        }
    }
}

static void clear(csim_context *ctx, columns *c)
{
    for (int k = 0; k < CSIM_PROBES; k++) { csim__free(ctx, &c->accuracy[k]); }
    csim__free(ctx, &c->seed);
    csim__free(ctx, &c->init);
    csim__free(ctx, &c->chance);
    csim__free(ctx, &c->labelled);
    csim__free(ctx, &c->classes);
    csim__free(ctx, &c->trained);
    csim__free(ctx, &c->width);
    csim__free(ctx, &c->notion);
    csim__free(ctx, &c->name);
    csim__free(ctx, &c->layer);
}

enum { FEATURES, NOTION, RUN };

static csim_status write_columns(const csim_probe_result *r, const columns *c,
                                 const csim__table_attribute *about, int abouts, const char *path,
                                 int overwrite)
{
    const csim__table_dim dims[] = {
        {"features", "layers, raw and as the encoders map them", r->features},
        {"notion", "label variables", r->notions},
        {"run", "divisions of the examples, for every set of parameters of an encoder", c->runs},
    };
    const char *labels = "layer feature_name notion_name init seed";
    const csim__table_variable variables[] = {
        {"softmax",
         "accuracy of softmax regression",
         "1",
         3,
         {FEATURES, NOTION, RUN},
         c->accuracy[CSIM_PROBE_SOFTMAX],
         NULL,
         NULL,
         labels,
         NULL,
         0},
        {"knn",
         "accuracy of the majority of the nearest neighbours by cosine",
         "1",
         3,
         {FEATURES, NOTION, RUN},
         c->accuracy[CSIM_PROBE_KNN],
         NULL,
         NULL,
         labels,
         NULL,
         0},
        {"trained",
         "1: the encoder was trained on the notion, 0: held out, -1: no encoder",
         "1",
         2,
         {FEATURES, NOTION},
         NULL,
         c->trained,
         NULL,
         "layer feature_name notion_name",
         NULL,
         0},
        {"width",
         "features",
         "1",
         1,
         {FEATURES},
         NULL,
         c->width,
         NULL,
         "layer feature_name",
         NULL,
         0},
        {"chance",
         "share of the commonest class",
         "1",
         1,
         {NOTION},
         c->chance,
         NULL,
         NULL,
         "notion_name",
         NULL,
         0},
        {"classes", "classes", "1", 1, {NOTION}, NULL, c->classes, NULL, "notion_name", NULL, 0},
        {"labelled",
         "examples with a label",
         "1",
         1,
         {NOTION},
         NULL,
         c->labelled,
         NULL,
         "notion_name",
         NULL,
         0},
        {"init",
         "set of parameters of the encoder",
         "1",
         1,
         {RUN},
         NULL,
         c->init,
         NULL,
         NULL,
         NULL,
         0},
        {"seed", "seed of the division", "1", 1, {RUN}, NULL, c->seed, NULL, NULL, NULL, 0},
        {"layer", "layer", NULL, 1, {FEATURES}, NULL, NULL, c->layer, NULL, NULL, 0},
        {"feature_name",
         "raw, or the encoder",
         NULL,
         1,
         {FEATURES},
         NULL,
         NULL,
         c->name,
         NULL,
         NULL,
         0},
        {"notion_name",
         "label variable without label_",
         NULL,
         1,
         {NOTION},
         NULL,
         NULL,
         c->notion,
         NULL,
         NULL,
         0},
    };
    csim__table table = {dims, 3, variables, sizeof variables / sizeof *variables, about, abouts};
    return csim__table_write(r->ctx, &table, path, overwrite);
}

csim_status csim_probe_write(const csim_probe_result *r, const csim_probe_origin *origin,
                             const char *path, int overwrite)
{
    csim_context *ctx = r->ctx;
    columns c = {.runs = 0};
    csim__stamp stamp = {.history = NULL};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__stamp_take(ctx, origin->command, NULL, origin->start, &stamp));
    CSIM_TRY(make_room(r, &c));
    fill(r, &c);
done:
    st = csim__vote(ctx, st);
    const csim__table_attribute about[] = {
        {.name = "Conventions", .text = "contrasim-probe-1"},
        {.name = "title", .text = "accuracies of probes"},
        {.name = "source", .text = "contrasim " CSIM_VERSION},
        {.name = "set", .text = origin->set},
        {.name = "examples", .whole = r->examples},
        {.name = "k", .whole = r->k},
        {.name = "configuration", .text = origin->configuration},
        {.name = "history", .text = stamp.history},
        {.name = "run_ranks", .whole = csim_context_size(ctx)},
        {.name = "run_host", .text = stamp.host},
        {.name = "run_start", .text = stamp.start},
        {.name = "run_end", .text = stamp.end},
    };
    if (st == CSIM_OK) {
        st = write_columns(r, &c, about, sizeof about / sizeof *about, path, overwrite);
    }
    csim__free(ctx, &stamp.history);
    clear(ctx, &c);
    return st;
}
