/* Probes of all layers of a set, raw and encoded. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "encoder/encoder.h"
#include "io/set.h"
#include "probe/probe.h"

typedef struct probing {
    csim_context *ctx;
    csim_set *set;
    const csim_probe_options *options;
    int encoders;
    csim_encoder **encoder; /* [encoders] */
    char **taught;          /* [encoders] notions it was trained on, joined by ',' */
    csim__probe_task task;
    csim_probe_result *result;
    float *raw;     /* own rows of a layer */
    float *encoded; /* the same as an encoder maps them */
} probing;

/* ---- encoders ---- */

static csim_status read_encoder(probing *p, const char *path)
{
    csim__checkpoint *checkpoint = NULL;
    const char *notions = "";
    int i = p->encoders;
    csim_status st = csim__checkpoint_read(p->ctx, path, &checkpoint);
    if (st != CSIM_OK) { return st; }
    p->encoders++;
    CSIM_TRY(csim__encoder_load(p->ctx, checkpoint, path, &p->encoder[i]));
    if (csim__checkpoint_has(checkpoint, "notions")) {
        CSIM_TRY(csim__checkpoint_text(checkpoint, "notions", &notions));
    }
    CSIM_TRY(csim__strdup(p->ctx, notions, &p->taught[i]));
done:
    csim__checkpoint_free(p->ctx, &checkpoint);
    return csim__vote(p->ctx, st);
}

static csim_status check_inputs(const probing *p)
{
    int input;
    for (int i = 0; i < p->encoders; i++) {
        for (int l = 0; l < csim_set_site_count(p->set); l++) {
            csim_status st = csim_encoder_input(p->ctx, p->encoder[i], csim_set_site(p->set, l)->d,
                                                csim_set_name(p->set), &input);
            if (st != CSIM_OK) { return st; }
        }
    }
    return CSIM_OK;
}

static csim_status read_encoders(probing *p, const char *const *paths, int count)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(p->ctx, count, sizeof *p->encoder, "encoders", &p->encoder));
    CSIM_TRY(csim__calloc(p->ctx, count, sizeof *p->taught, "encoders", &p->taught));
done:
    st = csim__vote(p->ctx, st);
    for (int i = 0; st == CSIM_OK && i < count; i++) { st = read_encoder(p, paths[i]); }
    return st == CSIM_OK ? csim__vote(p->ctx, check_inputs(p)) : st;
}

/* ---- notions ---- */

static bool in_list(const char *list, const char *name)
{
    size_t length = strlen(name);
    while (*list != '\0') {
        size_t word = strcspn(list, ",");
        if (word == length && strncmp(list, name, word) == 0) { return true; }
        list += word + (list[word] == ',');
    }
    return false;
}

/* Names of a list; those that are there are an error, or skipped. */
static csim_status add_notions(probing *p, const char *list, bool skip)
{
    csim_probe_result *r = p->result;
    csim_status st = CSIM_OK;
    while (st == CSIM_OK && *list != '\0') {
        size_t length = strcspn(list, ",");
        const char *word = list;
        bool there = false;
        list += length + (list[length] == ',');
        for (int i = 0; i < r->notions; i++) {
            const char *name = r->notion[i].name;
            there = there || (strlen(name) == length && strncmp(name, word, length) == 0);
        }
        if (there && !skip) {
            st = csim__fail(p->ctx, CSIM_E_USAGE, "notion %.*s is named twice", (int)length, word);
        }
        if (length == 0 || there) { continue; }
        st = csim__realloc(p->ctx, r->notions + 1, sizeof *r->notion, "notions", &r->notion);
        if (st != CSIM_OK) { return st; }
        r->notion[r->notions] = (csim_probe_notion){.name = NULL};
        st = csim__format(p->ctx, &r->notion[r->notions].name, "%.*s", (int)length, word);
        r->notions += st == CSIM_OK;
    }
    return st;
}

static csim_status list_notions(probing *p)
{
    const csim_probe_options *o = p->options;
    csim_probe_result *r = p->result;
    csim_status st = CSIM_OK;
    for (int i = 0; o->notions == NULL && i < p->encoders; i++) {
        CSIM_TRY(add_notions(p, p->taught[i], true));
    }
    if (o->notions != NULL) { CSIM_TRY(add_notions(p, o->notions, false)); }
    int named = r->notions;
    if (o->held_out != NULL) { CSIM_TRY(add_notions(p, o->held_out, false)); }
    if (r->notions == 0) {
        return csim__fail(p->ctx, CSIM_E_USAGE,
                          "no notion is named: give --notions, label variables joined by ','%s",
                          p->encoders > 0 ? "; no encoder was trained on any" : "");
    }
    for (int c = named; c < r->notions; c++) {
        for (int i = 0; i < p->encoders; i++) {
            if (in_list(p->taught[i], r->notion[c].name)) {
                return csim__fail(p->ctx, CSIM_E_USAGE,
                                  "--held-out-notions %s: encoder %s was trained on it",
                                  r->notion[c].name, csim_encoder_path(p->encoder[i]));
            }
        }
    }
done:
    return st;
}

static csim_status share_labels(probing *p, int c, int64_t *all)
{
    csim_probe_notion *notion = &p->result->notion[c];
    csim__probe_labels *labels = &p->task.labels[c];
    int64_t n = p->task.shard.n;
    int count = 0;
    csim_status st =
        csim_context_rank(p->ctx) == 0 ? csim_set_labels(p->set, notion->name, 0, n, all) : CSIM_OK;
    if (st == CSIM_OK) { st = csim__int(p->ctx, n, "examples with labels", &count); }
    CSIM_TRY(csim__vote(p->ctx, st));
    CSIM_TRY(csim__vote(
        p->ctx, csim__mpi(p->ctx, MPI_Bcast(all, count, MPI_INT64_T, 0, csim_context_comm(p->ctx)),
                          "labels")));
    CSIM_TRY(csim__vote(p->ctx, csim__probe_number(p->ctx, notion->name, n, all, labels,
                                                   &notion->labelled, &notion->chance)));
    notion->classes = labels->classes;
done:
    return st;
}

/* A probe learns from two classes or more, and something tests it. */
static csim_status check_division(const probing *p, int c, int s)
{
    const csim__probe_labels *labels = &p->task.labels[c];
    const uint8_t *train = p->task.train[s];
    int64_t learn = 0, test = 0;
    int32_t first = -1;
    bool two = false;
    for (int64_t i = 0; i < p->task.shard.n; i++) {
        if (labels->of[i] < 0) { continue; }
        learn += train[i];
        test += !train[i];
        if (!train[i]) { continue; }
        if (first < 0) { first = labels->of[i]; }
        two = two || labels->of[i] != first;
    }
    if (two && test > 0) { return CSIM_OK; }
    return csim__fail(p->ctx, CSIM_E_DATA,
                      "label_%s, seed %" PRId64 ": %" PRId64 " labelled examples to learn from, of "
                      "%s, and %" PRId64 " to test on; two classes and one to test are needed",
                      p->result->notion[c].name, p->options->seed + s, learn,
                      two ? "several classes" : "one class at most", test);
}

static csim_status make_task(probing *p)
{
    csim_context *ctx = p->ctx;
    const csim_probe_options *o = p->options;
    csim__probe_task *t = &p->task;
    int64_t n = csim_set_examples(p->set), *all = NULL;
    t->ctx = ctx;
    t->shard = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
    t->seeds = (int)o->seeds;
    t->k = (int)csim__min64(o->k, n);
    t->l2 = o->l2;
    t->notions = p->result->notions;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, t->notions, sizeof *t->labels, "labels", &t->labels));
    CSIM_TRY(csim__calloc(ctx, t->seeds, sizeof *t->train, "divisions", &t->train));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *all, "labels", &all));
    for (int s = 0; s < t->seeds; s++) {
        CSIM_TRY(csim__alloc(ctx, n, 1, "a division", &t->train[s]));
        CSIM_TRY(csim__probe_divide(ctx, n, o->train, (uint64_t)(o->seed + s), t->train[s]));
    }
done:
    st = csim__vote(ctx, st);
    for (int c = 0; st == CSIM_OK && c < t->notions; c++) { st = share_labels(p, c, all); }
    csim__free(ctx, &all);
    if (st != CSIM_OK) { return st; }
    for (int c = 0; st == CSIM_OK && c < t->notions; c++) {
        for (int s = 0; st == CSIM_OK && s < t->seeds; s++) { st = check_division(p, c, s); }
    }
    return csim__vote(ctx, st);
}

/* ---- features ---- */

static csim_status read_layer(probing *p, int layer)
{
    csim_context *ctx = p->ctx;
    const csim_shard *shard = &p->task.shard;
    const csim_site_info *site = csim_set_site(p->set, layer);
    double *chunk = NULL;
    int width;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__int(ctx, site->d + 1, "neurons of a layer", &width));
    CSIM_TRY(csim__alloc(ctx, shard->rows * site->d, sizeof(float), "rows", &p->raw));
    CSIM_TRY(csim__alloc(ctx, shard->chunk * site->d, sizeof *chunk, "rows", &chunk));
    for (int64_t c = shard->first; c < shard->first + shard->count; c++) {
        int64_t row0 = csim__chunk_row(shard, c), rows = csim__chunk_rows(shard, c);
        float *to = p->raw + (row0 - shard->row0) * site->d;
        CSIM_TRY(csim_set_read(p->set, layer, row0, rows, chunk));
        for (int64_t i = 0; i < rows * site->d; i++) {
            to[i] = (float)chunk[i];
            if (isfinite(to[i])) { continue; }
            st = csim__fail(ctx, CSIM_E_DATA,
                            "set %s, site %s: a value that is not finite, or beyond float32, at "
                            "row %" PRId64 ", column %" PRId64,
                            csim_set_name(p->set), site->name, row0 + i / site->d, i % site->d);
            goto done;
        }
    }
done:
    csim__free(ctx, &chunk);
    return st;
}

/* Own rows through an encoder, chunk by chunk: what a chunk gives is its own affair. */
static csim_status encode(probing *p, int layer, const csim_encoder *e, int init)
{
    const csim_shard *shard = &p->task.shard;
    int64_t d = csim_set_site(p->set, layer)->d, width = csim_encoder_width(e);
    int input;
    csim_status st = CSIM_OK;
    csim__free(p->ctx, &p->encoded);
    CSIM_TRY(csim__alloc(p->ctx, shard->rows * width, sizeof(float), "rows", &p->encoded));
    CSIM_TRY(csim_encoder_input(p->ctx, e, d, csim_set_name(p->set), &input));
    for (int64_t c = shard->first; c < shard->first + shard->count; c++) {
        int64_t at = csim__chunk_row(shard, c) - shard->row0;
        CSIM_TRY(csim_encoder_encode(p->ctx, e, init, input, csim__chunk_rows(shard, c),
                                     p->raw + at * d, p->encoded + at * width));
    }
done:
    return st;
}

/* Both probes of one set of parameters, to their places among the runs. */
static csim_status classify(probing *p, int feature, int init, const float *x)
{
    csim__probe_task *t = &p->task;
    csim_probe_features *f = &p->result->feature[feature];
    int64_t runs = f->inits * p->result->seeds;
    double *to = p->result->accuracy[feature], *near = NULL;
    int width = (int)f->width;
    csim_status st = csim__alloc(p->ctx, t->notions * t->seeds, sizeof *near, "accuracies", &near);
    CSIM_TRY(csim__vote(p->ctx, st));
    csim__phase_begin(p->ctx, "neighbours");
    st = csim__neighbours_accuracy(t, width, x, near);
    csim__phase_end(p->ctx, 2.0 * (double)t->shard.rows * (double)t->shard.n * width, 0);
    CSIM_TRY(st);
    csim__phase_begin(p->ctx, "softmax");
    for (int c = 0; st == CSIM_OK && c < t->notions; c++) {
        for (int s = 0; st == CSIM_OK && s < t->seeds; s++) {
            int64_t at = (int64_t)init * t->seeds + s;
            double *both = to + (int64_t)c * CSIM_PROBES * runs;
            csim__softmax fit;
            both[CSIM_PROBE_KNN * runs + at] = near[c * t->seeds + s];
            st = csim__softmax_fit(t, &t->labels[c], t->train[s], width, x, &fit);
            if (st != CSIM_OK) { break; }
            st = csim__softmax_accuracy(t, &t->labels[c], t->train[s], &fit, x,
                                        &both[CSIM_PROBE_SOFTMAX * runs + at]);
            csim__softmax_clear(p->ctx, &fit);
        }
    }
    csim__phase_end(p->ctx, 0, 0);
done:
    csim__free(p->ctx, &near);
    return st;
}

static csim_status list_features(probing *p)
{
    csim_context *ctx = p->ctx;
    csim_probe_result *r = p->result;
    int layers = csim_set_site_count(p->set), each = p->encoders + 1;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, layers * each, sizeof *r->feature, "features", &r->feature));
    CSIM_TRY(csim__calloc(ctx, layers * each, sizeof *r->accuracy, "accuracies", &r->accuracy));
    CSIM_TRY(csim__alloc(ctx, layers * each * r->notions, 1, "features", &r->trained));
    r->features = layers * each;
    for (int i = 0; i < r->features; i++) {
        const csim_site_info *site = csim_set_site(p->set, i / each);
        const csim_encoder *e = i % each > 0 ? p->encoder[i % each - 1] : NULL;
        csim_probe_features *f = &r->feature[i];
        f->width = e != NULL ? csim_encoder_width(e) : site->d;
        f->inits = e != NULL ? csim_encoder_inits(e) : 1;
        CSIM_TRY(csim__strdup(ctx, site->name, &f->layer));
        CSIM_TRY(csim__strdup(ctx, e != NULL ? csim_encoder_path(e) : "raw", &f->name));
        CSIM_TRY(csim__alloc(ctx, r->notions * CSIM_PROBES * f->inits * r->seeds, sizeof(double),
                             "accuracies", &r->accuracy[i]));
        for (int c = 0; c < r->notions; c++) {
            bool taught = e != NULL && in_list(p->taught[i % each - 1], r->notion[c].name);
            r->trained[i * r->notions + c] = e == NULL ? -1 : taught;
        }
    }
done:
    return st;
}

static csim_status probe_layer(probing *p, int layer)
{
    int feature = layer * (p->encoders + 1);
    csim_status st = CSIM_OK;
    csim__free(p->ctx, &p->raw);
    CSIM_TRY(csim__vote(p->ctx, read_layer(p, layer)));
    CSIM_TRY(classify(p, feature, 0, p->raw));
    for (int i = 0; i < p->encoders; i++) {
        csim__log(p->ctx, CSIM_LOG_INFO, "layer %s: encoder %s", csim_set_site(p->set, layer)->name,
                  csim_encoder_path(p->encoder[i]));
        for (int init = 0; init < csim_encoder_inits(p->encoder[i]); init++) {
            CSIM_TRY(csim__vote(p->ctx, encode(p, layer, p->encoder[i], init)));
            CSIM_TRY(classify(p, feature + 1 + i, init, p->encoded));
        }
    }
done:
    return st;
}

/* ---- all of it ---- */

static void clear(probing *p)
{
    csim_context *ctx = p->ctx;
    csim__free(ctx, &p->encoded);
    csim__free(ctx, &p->raw);
    for (int c = 0; p->task.labels != NULL && c < p->task.notions; c++) {
        csim__free(ctx, &p->task.labels[c].of);
    }
    for (int s = 0; p->task.train != NULL && s < p->task.seeds; s++) {
        csim__free(ctx, &p->task.train[s]);
    }
    csim__free(ctx, &p->task.train);
    csim__free(ctx, &p->task.labels);
    for (int i = 0; i < p->encoders; i++) {
        csim_encoder_free(&p->encoder[i]);
        csim__free(ctx, &p->taught[i]);
    }
    csim__free(ctx, &p->taught);
    csim__free(ctx, &p->encoder);
}

csim_status csim_probe(csim_context *ctx, csim_set *set, const char *const *encoders, int count,
                       const csim_probe_options *options, csim_probe_result **result)
{
    probing p = {.ctx = ctx, .set = set, .options = options};
    *result = NULL;
    csim_status st = csim__calloc(ctx, 1, sizeof *p.result, "a result", &p.result);
    if (p.result != NULL) {
        *p.result = (csim_probe_result){.ctx = ctx,
                                        .examples = csim_set_examples(set),
                                        .seeds = options->seeds,
                                        .seed = options->seed,
                                        .k = options->k};
    }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(read_encoders(&p, encoders, count));
    CSIM_TRY(csim__vote(ctx, list_notions(&p)));
    CSIM_TRY(make_task(&p));
    CSIM_TRY(csim__vote(ctx, list_features(&p)));
    for (int l = 0; l < csim_set_site_count(set); l++) { CSIM_TRY(probe_layer(&p, l)); }
done:
    clear(&p);
    if (st != CSIM_OK) { csim_probe_free(&p.result); }
    *result = p.result;
    return st;
}
