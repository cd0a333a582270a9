/* The data of a training: which sites, which rows, read into the order of the first epoch. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "contrasim/native.h"
#include "core/exact.h"
#include "io/set.h"
#include "train/trainer.h"

/* ---- sites, stops, encoder ---- */

static csim_status check_sets(csim__trainer *t)
{
    csim_context *ctx = t->ctx;
    int layers = csim_set_site_count(t->sets[0]);
    const char *why = csim__by_sets(t)
                          ? "--item set needs two sets or more: the positives of a layer are "
                            "the layers at its place in the others"
                          : "the loss needs two sets or more, or --views 2: without them no "
                            "row has a positive";
    bool views = !csim__by_sets(t) && t->options->views > 1;
    if (t->options->loss == CSIM_LOSS_MSCON && t->set_count != 1) {
        return csim__fail(ctx, CSIM_E_USAGE, "--loss mscon takes one set, found %d", t->set_count);
    }
    if (t->set_count < 2 && !views) { return csim__fail(ctx, CSIM_E_USAGE, "%s", why); }
    for (int s = 1; s < t->set_count; s++) {
        int found = csim_set_site_count(t->sets[s]);
        if (found != layers) {
            return csim__fail(ctx, CSIM_E_SHAPE,
                              "set %s has %d layers, set %s has %d: layers are paired by their "
                              "place; --layers SET:LIST chooses",
                              csim_set_name(t->sets[0]), layers, csim_set_name(t->sets[s]), found);
        }
    }
    return CSIM_OK;
}

/* Input layers in the order in which the sets and their layers need them. */
static csim_status make_inputs(csim__trainer *t)
{
    csim_encoder *e = t->encoder;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, t->sites, sizeof *e->width, "input layers", &e->width));
    CSIM_TRY(csim__calloc(t->ctx, t->sites, sizeof *e->model, "input layers", &e->model));
    for (int s = 0; s < t->sites; s++) {
        csim__train_site *site = &t->site[s];
        const char *model = csim_set_name(site->set);
        site->input = csim__encoder_find(e, site->d, model);
        if (site->input >= 0) { continue; }
        site->input = e->inputs;
        CSIM_TRY(csim__int(t->ctx, site->d, "neurons of a layer", &e->width[e->inputs]));
        CSIM_TRY(csim__strdup(t->ctx, e->input_layer == CSIM_INPUT_MODEL ? model : "",
                              &e->model[e->inputs]));
        e->inputs++;
    }
done:
    return st;
}

/* By stop, then by input layer, then as they came. */
static int compare_sites(const void *a, const void *b)
{
    const csim__train_site *x = a, *y = b;
    if (x->place != y->place) { return x->place < y->place ? -1 : 1; }
    if (x->input != y->input) { return x->input < y->input ? -1 : 1; }
    return x->model < y->model ? -1 : 1;
}

static int compare_inputs(const void *a, const void *b)
{
    const csim__train_site *x = a, *y = b;
    if (x->input != y->input) { return x->input < y->input ? -1 : 1; }
    if (x->model != y->model) { return x->model < y->model ? -1 : 1; }
    return x->place < y->place ? -1 : 1;
}

static csim_status list_sites(csim__trainer *t)
{
    int layers = csim_set_site_count(t->sets[0]);
    csim_status st = CSIM_OK;
    t->sites = t->set_count * layers;
    t->stops = csim__by_sets(t) ? 1 : layers;
    t->copies = csim__by_sets(t) ? t->sites : t->set_count * (int)t->options->views;
    CSIM_TRY(csim__calloc(t->ctx, t->sites, sizeof *t->site, "sites", &t->site));
    CSIM_TRY(csim__alloc(t->ctx, t->sites, sizeof *t->width, "widths", &t->width));
    CSIM_TRY(csim__calloc(t->ctx, t->stops, sizeof *t->stop, "steps of a batch", &t->stop));
    CSIM_TRY(
        csim__alloc(t->ctx, t->stops, sizeof *t->stop_order, "steps of a batch", &t->stop_order));
    for (int i = 0; i < t->sites; i++) {
        csim_set *set = t->sets[i / layers];
        t->site[i] = (csim__train_site){.set = set,
                                        .model = i / layers,
                                        .index = i % layers,
                                        .place = i % layers,
                                        .d = csim_set_site(set, i % layers)->d};
    }
    CSIM_TRY(make_inputs(t));
    qsort(t->site, (size_t)t->sites, sizeof *t->site,
          csim__by_sets(t) ? compare_inputs : compare_sites);
    for (int i = 0; i < t->stops; i++) {
        csim__stop *stop = &t->stop[i];
        stop->count = t->sites / t->stops;
        stop->first = i * stop->count;
        CSIM_TRY(csim__alloc(t->ctx, stop->count, sizeof *stop->run, "runs of sites", &stop->run));
        for (int s = stop->first; s < stop->first + stop->count; s++) {
            if (stop->runs > 0 && stop->run[stop->runs - 1].input == t->site[s].input) {
                stop->run[stop->runs - 1].count++;
            } else {
                stop->run[stop->runs++] = (csim__run){s, 1, t->site[s].input};
            }
        }
    }
    for (int i = 0; i < t->sites; i++) { t->width[i] = t->site[i].d; }
done:
    return st;
}

static csim_status make_encoder(csim__trainer *t)
{
    const csim_train_options *o = t->options;
    csim_encoder *e = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(t->ctx, 1, sizeof *e, "an encoder", &e));
    t->encoder = e;
    e->ctx = t->ctx;
    e->activation = (csim_activation)o->activation;
    e->input_layer = (csim_input_layer)o->input_layer;
    e->inits = (int)o->inits;
    CSIM_TRY(csim__strdup(t->ctx, t->run->output, &e->path));
    CSIM_TRY(csim__strdup(t->ctx, csim_train_measure(o), &e->measure));
    CSIM_TRY(csim__train_hidden(t->ctx, o->hidden, &e->hidden, &e->hidden_count));
done:
    return st;
}

static csim_status lay_out_encoder(csim__trainer *t)
{
    csim_encoder *e = t->encoder;
    e->heads = t->notions;
    e->head_out = t->notions > 0 ? (int)t->options->head_out : 0;
    e->weights = t->notions > 0 && t->options->weights == 0;
    csim_status st = csim__encoder_layout(e, (int)t->options->out);
    int64_t size = e->net.parameters;
    CSIM_TRY(st);
    CSIM_TRY(csim__alloc(t->ctx, size, sizeof(float), "parameters", &t->params));
    CSIM_TRY(csim__calloc(t->ctx, size, sizeof(float), "state of the optimiser", &t->state1));
    CSIM_TRY(csim__calloc(t->ctx, size, sizeof(float), "state of the optimiser", &t->state2));
done:
    return st;
}

/* ---- examples and batches ---- */

/* Held out are examples at even distances: data are often sorted. */
static csim_status divide(csim__trainer *t)
{
    int64_t n = csim_set_examples(t->sets[0]), held = 0;
    double part = t->options->early_stop ? t->options->held_out : 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, n, sizeof *t->train_row, "training rows", &t->train_row));
    CSIM_TRY(csim__alloc(t->ctx, n, sizeof *t->held_row, "held-out rows", &t->held_row));
    for (int64_t i = 0; i < n; i++) {
        if (floor((double)(i + 1) * part) > floor((double)i * part)) {
            t->held_row[held++] = i;
        } else {
            t->train_row[t->examples++] = i;
        }
    }
    t->held = held;
    if (t->examples < 2 || (part > 0 && held < 2)) {
        st =
            csim__fail(t->ctx, CSIM_E_DATA, "%" PRId64 " examples%s: training needs at least two%s",
                       t->examples, part > 0 ? " besides those held out" : "",
                       part > 0 ? ", and two to hold out" : "");
    }
done:
    return st;
}

static csim_status make_layout(csim__trainer *t, int64_t rows, csim__layout *l)
{
    csim_context *ctx = t->ctx;
    int size = csim_context_size(ctx), most;
    int64_t *label = NULL, items = csim__by_sets(t) ? t->sites : rows * t->copies;
    csim_status st = CSIM_OK;
    l->rows = rows;
    l->shard = csim__shard(rows, csim_context_rank(ctx), size);
    CSIM_TRY(csim__int(ctx, rows * t->copies * t->options->out, "values of a batch", &most));
    l->items = (int)items;
    CSIM_TRY(csim__alloc(ctx, size, sizeof *l->part, "items of ranks", &l->part));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *l->at, "items of ranks", &l->at));
    CSIM_TRY(csim__alloc(ctx, items, sizeof *label, "labels of items", &label));
    for (int r = 0; r < size; r++) {
        csim_shard s = csim__shard(rows, r, size);
        l->part[r] = (int)s.rows * t->copies;
        l->at[r] = (int)s.row0 * t->copies;
    }
    l->first = l->at[l->shard.rank];
    l->count = l->part[l->shard.rank];
    if (csim__by_sets(t)) {
        for (int s = 0; s < t->sites; s++) { label[s] = t->site[s].place; }
    } else {
        csim_shard all = csim__shard(rows, 0, 1);
        CSIM_TRY(csim__alloc(ctx, items, sizeof *l->item, "items of examples", &l->item));
        for (int64_t q = 0; q < rows; q++) {
            int64_t c = q / all.chunk, many = csim__chunk_rows(&all, c);
            for (int64_t v = 0; v < t->copies; v++) {
                int64_t item = c * all.chunk * t->copies + v * many + q - c * all.chunk;
                l->item[v * rows + q] = (int)item;
                label[item] = q;
            }
        }
    }
    CSIM_TRY(csim__groups_make(ctx, l->items, label, &l->groups));
done:
    csim__free(ctx, &label);
    return st;
}

static csim_status make_layouts(csim__trainer *t, const csim__batches *b, csim__layout *two)
{
    csim_status st = make_layout(t, b->batch, &two[0]);
    int64_t last = b->n - (b->count - 1) * b->batch;
    return st == CSIM_OK ? make_layout(t, last, &two[1]) : st;
}

/* A batch of one row has no CKA: said before the epoch whose last batch it would be. */
static csim_status check_last_batch(csim__trainer *t, const csim__layout *last)
{
    if (t->options->loss != CSIM_LOSS_DEEPCKA || last->rows > 1) { return CSIM_OK; }
    return csim__fail(t->ctx, CSIM_E_USAGE,
                      "--loss deepcka: with --batch %" PRId64 " of %" PRId64 " examples%s the last "
                      "batch has one, of which CKA is undefined",
                      t->options->batch, last == &t->layout[1] ? t->examples : t->held,
                      last == &t->layout[1] ? "" : " held out");
}

static csim_status make_batches(csim__trainer *t)
{
    const csim_train_options *o = t->options;
    csim_status st = CSIM_OK;
    if (o->batch > t->examples) {
        csim__log(t->ctx, CSIM_LOG_WARNING,
                  "--batch %" PRId64 " is more than the %" PRId64 " training examples: all of them "
                  "make one batch",
                  o->batch, t->examples);
    }
    CSIM_TRY(csim__batches_make(t->ctx, t->examples, o->batch, t->sites, t->width, &t->batches));
    CSIM_TRY(make_layouts(t, &t->batches, &t->layout[0]));
    CSIM_TRY(check_last_batch(t, &t->layout[1]));
    if (t->held == 0) { goto done; }
    CSIM_TRY(csim__batches_make(t->ctx, t->held, o->batch, t->sites, t->width, &t->held_batches));
    CSIM_TRY(make_layouts(t, &t->held_batches, &t->layout[2]));
    CSIM_TRY(check_last_batch(t, &t->layout[3]));
done:
    return st;
}

/* ---- labels ---- */

static csim_status add_notion(csim__trainer *t, const char *name, size_t length)
{
    csim_status st =
        csim__realloc(t->ctx, t->notions + 1, sizeof *t->notion, "notions", &t->notion);
    if (st != CSIM_OK) { return st; }
    t->notion[t->notions] = NULL;
    st = csim__format(t->ctx, &t->notion[t->notions], "%.*s", (int)length, name);
    t->notions += st == CSIM_OK;
    return st;
}

static csim_status list_notions(csim__trainer *t)
{
    const char *list = t->options->notions;
    csim_status st = CSIM_OK;
    if (t->options->loss != CSIM_LOSS_MSCON) {
        return list == NULL ? CSIM_OK
                            : csim__fail(t->ctx, CSIM_E_USAGE, "--notions goes with --loss mscon");
    }
    if (list == NULL) {
        return csim__fail(t->ctx, CSIM_E_USAGE,
                          "--loss mscon needs --notions: label variables joined by ','");
    }
    while (st == CSIM_OK && *list != '\0') {
        size_t length = strcspn(list, ",");
        if (length > 0) { st = add_notion(t, list, length); }
        list += length + (list[length] == ',');
    }
    if (st == CSIM_OK && t->notions == 0) {
        st = csim__fail(t->ctx, CSIM_E_USAGE, "--notions names no label variable");
    }
    return st;
}

static csim_status share_labels(csim__trainer *t, int c, int64_t n, int64_t *all)
{
    csim_status st = csim_context_rank(t->ctx) == 0
                         ? csim_set_labels(t->sets[0], t->notion[c], 0, n, all)
                         : CSIM_OK;
    int piece;
    CSIM_TRY(csim__vote(t->ctx, st));
    CSIM_TRY(csim__int(t->ctx, n, "examples with labels", &piece));
    CSIM_TRY(csim__mpi(t->ctx, MPI_Bcast(all, piece, MPI_INT64_T, 0, csim_context_comm(t->ctx)),
                       "labels"));
    int64_t known = 0;
    for (int64_t i = 0; i < n; i++) {
        t->label[c][i] = all[i] < 0 || all[i] > INT32_MAX ? -1 : (int32_t)all[i];
        known += t->label[c][i] >= 0;
    }
    if (known == 0) {
        st = csim__fail(t->ctx, CSIM_E_DATA, "label_%s is missing in every example", t->notion[c]);
    }
done:
    return st;
}

static csim_status all_labels(csim__trainer *t)
{
    int64_t n = csim_set_examples(t->sets[0]), *all = NULL;
    csim_status st = CSIM_OK;
    if (t->notions == 0) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(t->ctx, n, sizeof *all, "labels", &all));
    CSIM_TRY(csim__calloc(t->ctx, t->notions, sizeof *t->label, "labels", &t->label));
    for (int c = 0; c < t->notions; c++) {
        CSIM_TRY(csim__alloc(t->ctx, n, sizeof **t->label, "labels", &t->label[c]));
    }
done:
    st = csim__vote(t->ctx, st);
    for (int c = 0; st == CSIM_OK && c < t->notions; c++) { st = share_labels(t, c, n, all); }
    csim__free(t->ctx, &all);
    return csim__vote(t->ctx, st);
}

/* Labels are data too: other ones are other data of their set. */
static void add_labels_to_checksum(csim__trainer *t)
{
    size_t bytes = (size_t)csim_set_examples(t->sets[0]) * sizeof **t->label;
    for (int c = 0; c < t->notions; c++) {
        t->checksum[0] = XXH3_64bits_withSeed(t->label[c], bytes, t->checksum[0]);
    }
}

/* ---- all of it ---- */

csim_status csim__train_data(csim__trainer *t)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim_sets_match(t->ctx, t->sets, t->set_count));
    if (t->run->nan_drop_rows) {
        int64_t dropped;
        CSIM_TRY(csim_sets_drop_bad_rows(t->ctx, t->sets, t->set_count, &dropped));
    }
    CSIM_TRY(csim__vote(t->ctx, check_sets(t)));
    CSIM_TRY(csim__vote(t->ctx, list_notions(t)));
    CSIM_TRY(csim__vote(t->ctx, make_encoder(t)));
    CSIM_TRY(csim__vote(t->ctx, list_sites(t)));
    CSIM_TRY(csim__vote(t->ctx, lay_out_encoder(t)));
    CSIM_TRY(csim__vote(t->ctx, divide(t)));
    CSIM_TRY(csim__vote(t->ctx, make_batches(t)));
    CSIM_TRY(all_labels(t));
    CSIM_TRY(csim__train_read(t));
    add_labels_to_checksum(t);
    if (t->options->view_noise > 0) { CSIM_TRY(csim__train_deviations(t)); }
done:
    return st;
}

static void layout_clear(csim_context *ctx, csim__layout *l)
{
    csim__groups_clear(ctx, &l->groups);
    csim__free(ctx, &l->item);
    csim__free(ctx, &l->at);
    csim__free(ctx, &l->part);
}

void csim__train_data_clear(csim__trainer *t)
{
    csim_context *ctx = t->ctx;
    for (int i = 0; i < 4; i++) { layout_clear(ctx, &t->layout[i]); }
    csim__batches_clear(&t->batches);
    csim__batches_clear(&t->held_batches);
    for (int c = 0; c < t->notions; c++) {
        if (t->label != NULL) { csim__free(ctx, &t->label[c]); }
        csim__free(ctx, &t->notion[c]);
    }
    csim__free(ctx, &t->label);
    csim__free(ctx, &t->notion);
    csim__free(ctx, &t->checksum);
    csim__free(ctx, &t->held_row);
    csim__free(ctx, &t->train_row);
    for (int i = 0; t->stop != NULL && i < t->stops; i++) { csim__free(ctx, &t->stop[i].run); }
    for (int i = 0; t->site != NULL && i < t->sites; i++) {
        csim__free(ctx, &t->site[i].deviation);
    }
    csim__free(ctx, &t->stop_order);
    csim__free(ctx, &t->stop);
    csim__free(ctx, &t->width);
    csim__free(ctx, &t->site);
    csim__free(ctx, &t->state2);
    csim__free(ctx, &t->state1);
    csim__free(ctx, &t->params);
    csim_encoder_free(&t->encoder);
}
