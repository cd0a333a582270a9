/* Retrieval: layer after layer; in a layer pair after pair of sets, whose decisions are dealt over
 * the ranks. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "bench/bench.h"
#include "contrasim/native.h"
#include "core/shard.h"

/* What the counts of a cell hold before those of right decisions by their ties. */
enum { UNDEFINED_TRUE, UNDEFINED_OTHERS, TIES };

typedef struct retrieval {
    csim_context *ctx;
    csim_set *const *sets;
    const csim_bench_measure *measures;
    csim_bench *bench;
    csim__draw draw;
    csim__judge *judge;
    csim_shard shard; /* chunks in which rows are hashed and encoded, as if one rank had all */
    int64_t widest;
    bool closed, learned;       /* are there measures of the kind? */
    double *rows[2];            /* [rows, widest] of one layer of two sets */
    int holds[2];               /* whose they are, −1 = nobody's */
    float *chunk;               /* [chunk, widest] */
    int32_t **near;             /* [sets] NULL, or the nearest rows of those of this layer */
    float **code;               /* [sets, measures] NULL, or [inits, rows, out] of this layer */
    double *value;              /* [measures, candidates + 1] */
    int64_t *count, count_size; /* [pairs, measures, TIES + candidates + 1] of this layer */
    csim_progress_fn progress;
    void *progress_user;
} retrieval;

/* ---- checks ---- */

static csim_status check_measures(csim_context *ctx, const csim_bench_measure *measures, int count,
                                  int64_t group)
{
    if (count < 1) { return csim__fail(ctx, CSIM_E_ARG, "a benchmark needs a measure"); }
    for (int m = 0; m < count; m++) {
        const char *name = csim__bench_name(&measures[m]);
        bool fine = measures[m].encoder != NULL ? strcmp(name, "deepcka") != 0
                                                : csim__bench_by_rows(measures[m].measure);
        if (group < 4 && !fine) {
            char works[256] = "contrasim, deepdot, mscon";
            for (int i = 0; i < csim_measure_count(); i++) {
                size_t used = strlen(works);
                if (!csim__bench_by_rows(csim_measure_get(i))) { continue; }
                snprintf(works + used, sizeof works - used, ", %s", csim_measure_get(i)->name);
            }
            return csim__fail(ctx, CSIM_E_ARG,
                              "measure %s needs groups of 4 rows or more, found --group %" PRId64
                              "; these work with fewer: %s",
                              name, group, works);
        }
        if (measures[m].encoder == NULL && (measures[m].measure->needs & CSIM_NEEDS_NEIGHBOURS)) {
            const csim_neighbour_options *o = measures[m].options;
            int64_t list[CSIM_NEIGHBOURS_MOST];
            if (csim_neighbour_list(o->k, group, list) != 1) {
                return csim__fail(ctx, CSIM_E_ARG,
                                  "measure %s: %s neighbours of each of %" PRId64
                                  " rows: expected 1 to %" PRId64 " (--%s.k, or a larger --group)",
                                  name, o->k != NULL ? o->k : "", group, group - 1, name);
            }
        }
        for (int k = 0; k < m; k++) {
            if (strcmp(csim__bench_name(&measures[k]), name) == 0) {
                return csim__fail(ctx, CSIM_E_ARG, "measure %s is there twice", name);
            }
        }
    }
    return CSIM_OK;
}

static csim_status check_sets(csim_context *ctx, csim_set *const *sets, int count)
{
    if (count < 2) {
        return csim__fail(ctx, CSIM_E_ARG, "retrieval needs two sets or more, found %d", count);
    }
    int layers = csim_set_site_count(sets[0]);
    for (int s = 1; s < count; s++) {
        int found = csim_set_site_count(sets[s]);
        if (found != layers) {
            return csim__fail(ctx, CSIM_E_SHAPE,
                              "set %s has %d layers, set %s has %d: layers are paired by their "
                              "place; --layers SET:LIST chooses",
                              csim_set_name(sets[0]), layers, csim_set_name(sets[s]), found);
        }
    }
    return CSIM_OK;
}

static csim_status check_rows(csim_context *ctx, int64_t rows, const csim_retrieval_options *o)
{
    if (o->group < 1 || o->candidates < 1 || o->candidates > 10000) {
        return csim__fail(ctx, CSIM_E_ARG,
                          "retrieval needs groups of 1 row or more and 1 to 10000 candidates, "
                          "found %" PRId64 " and %" PRId64,
                          o->group, o->candidates);
    }
    if (rows < 2 * o->group) {
        return csim__fail(ctx, CSIM_E_SHAPE,
                          "the sets have %" PRId64 " examples: a candidate for a group of %" PRId64
                          " needs as many other rows, expected %" PRId64 " examples or more",
                          rows, o->group, 2 * o->group);
    }
    return CSIM_OK;
}

/* ---- rows of a layer ---- */

static csim_status not_finite(const retrieval *r, int s, int layer, int64_t at)
{
    const csim_site_info *info = csim_set_site(r->sets[s], layer);
    return csim__fail(r->ctx, CSIM_E_DATA,
                      "%s: site %s of set %s: a value that is not finite at row %" PRId64
                      ", column %" PRId64 " (drop such examples with --nan drop-rows)",
                      info->file, info->name, csim_set_name(r->sets[s]), at / info->d,
                      at % info->d);
}

/* All rows of a layer of a set; their checksum is the one that a sweep writes. Local. */
static csim_status load(retrieval *r, int s, int layer, int slot)
{
    int64_t d = csim_set_site(r->sets[s], layer)->d, rows = r->shard.n;
    int64_t *hash = NULL;
    double *x = r->rows[slot];
    csim_status st = CSIM_OK;
    if (r->holds[slot] == s) { return CSIM_OK; }
    r->holds[slot] = -1;
    csim__phase_begin(r->ctx, "read");
    CSIM_TRY(csim__alloc(r->ctx, r->shard.chunks, sizeof *hash, "checksums", &hash));
    CSIM_TRY(csim_set_read(r->sets[s], layer, 0, rows, x));
    for (int64_t i = 0; i < rows * d; i++) {
        if (!isfinite(x[i])) { CSIM_TRY(not_finite(r, s, layer, i)); }
    }
    for (int64_t c = 0; c < r->shard.chunks; c++) {
        int64_t row = csim__chunk_row(&r->shard, c), some = csim__chunk_rows(&r->shard, c);
        uint64_t h = XXH3_64bits(x + row * d, (size_t)(some * d) * sizeof *x);
        memcpy(&hash[c], &h, sizeof h);
    }
    r->bench->sum[(int64_t)s * r->bench->layers + layer] =
        XXH3_64bits(hash, (size_t)r->shard.chunks * sizeof *hash);
    r->holds[slot] = s;
done:
    csim__free(r->ctx, &hash);
    csim__phase_end(r->ctx, 0, (double)(rows * d) * sizeof(double));
    return st;
}

/* This rank's chunks of the rows in a slot through one encoder. Local. */
static csim_status encode_chunks(retrieval *r, const csim_encoder *e, int input, int64_t d,
                                 const double *x, float *code)
{
    int64_t width = csim_encoder_width(e), size = csim_context_size(r->ctx);
    csim_status st = CSIM_OK;
    for (int64_t c = csim_context_rank(r->ctx); c < r->shard.chunks; c += size) {
        int64_t row = csim__chunk_row(&r->shard, c), rows = csim__chunk_rows(&r->shard, c);
        for (int64_t i = 0; i < rows * d; i++) { r->chunk[i] = (float)x[row * d + i]; }
        for (int init = 0; init < csim_encoder_inits(e); init++) {
            float *to = code + (init * r->shard.n + row) * width;
            CSIM_TRY(csim_encoder_encode(r->ctx, e, init, input, rows, r->chunk, to));
        }
    }
done:
    return st;
}

/* A layer of a set through all encoders; each chunk by one rank, the others hold zeros. */
static csim_status encode(retrieval *r, int s, int layer)
{
    enum { PIECE = 1 << 24 };
    const csim_site_info *info = csim_set_site(r->sets[s], layer);
    csim_status st = CSIM_OK;
    for (int m = 0; m < r->bench->measures; m++) {
        const csim_encoder *e = r->measures[m].encoder;
        float *code = r->code[(int64_t)s * r->bench->measures + m];
        int input = 0;
        if (e == NULL) { continue; }
        int64_t all = csim_encoder_inits(e) * r->shard.n * csim_encoder_width(e);
        memset(code, 0, (size_t)all * sizeof *code);
        csim__phase_begin(r->ctx, "encode");
        st = csim_encoder_input(r->ctx, e, info->d, csim_set_name(r->sets[s]), &input);
        if (st == CSIM_OK) { st = encode_chunks(r, e, input, info->d, r->rows[0], code); }
        csim__phase_end(r->ctx, 0, 0);
        CSIM_TRY(csim__vote(r->ctx, st));
        for (int64_t at = 0; st == CSIM_OK && at < all; at += PIECE) {
            int piece = (int)csim__min64(PIECE, all - at);
            st = csim__mpi(r->ctx,
                           MPI_Allreduce(MPI_IN_PLACE, code + at, piece, MPI_INT32_T, MPI_BOR,
                                         csim_context_comm(r->ctx)),
                           "encoded rows");
        }
        CSIM_TRY(csim__vote(r->ctx, st));
    }
done:
    return st;
}

/* ---- decisions ---- */

/* This rank's decisions of an ordered pair. Local. */
static csim_status decide(retrieval *r, int p, int layer, const int slot[2])
{
    csim_bench *b = r->bench;
    int64_t size = csim_context_size(r->ctx), groups = b->options.candidates + 1;
    const int *set = b->pair[p];
    csim__choice choice = {.total = r->shard.n};
    csim_status st = CSIM_OK;
    for (int side = 0; side < 2; side++) {
        choice.width[side] = csim_set_site(r->sets[set[side]], layer)->d;
        choice.rows[side] = r->closed ? r->rows[slot[side]] : NULL;
        choice.near = r->near[set[1]];
        choice.code[side] = (const float *const *)r->code + (int64_t)set[side] * b->measures;
    }
    csim__phase_begin(r->ctx, "decisions");
    int64_t first = (csim_context_rank(r->ctx) + p) % size; /* who has one more changes by pair */
    for (int64_t k = first; k < b->decisions; k += size) {
        CSIM_TRY(csim__judge_values(r->ctx, r->judge, &choice, &r->draw, k, r->value));
        for (int m = 0; m < b->measures; m++) {
            int64_t others, *count = r->count + ((int64_t)p * b->measures + m) * (TIES + groups);
            int ties =
                csim__bench_outcome(r->value + m * groups, groups, b->measure[m].distance, &others);
            count[UNDEFINED_TRUE] += ties < 0;
            count[UNDEFINED_OTHERS] += others;
            if (ties > 0) { count[TIES + ties - 1]++; }
        }
    }
done:
    csim__phase_end(r->ctx, 0, 0);
    return st;
}

/* Both orders of every two sets, of which the slots hold the rows. */
static csim_status decide_layer(retrieval *r, int layer)
{
    csim_bench *b = r->bench;
    csim_status st = CSIM_OK;
    for (int s = 0; s < b->sets; s++) {
        for (int t = s + 1; t < b->sets; t++) {
            if (r->closed) {
                CSIM_TRY(load(r, s, layer, 0));
                CSIM_TRY(load(r, t, layer, 1));
            }
            CSIM_TRY(decide(r, s * (b->sets - 1) + t - 1, layer, (int[]){0, 1}));
            CSIM_TRY(decide(r, t * (b->sets - 1) + s, layer, (int[]){1, 0}));
            if (r->progress != NULL && csim_context_rank(r->ctx) == 0) {
                double pairs = b->sets * (b->sets - 1) / 2.0;
                double at = s * (2.0 * b->sets - s - 1) / 2 + t - s;
                double one = 4.0 * (double)(b->decisions * (b->options.candidates + 1)) *
                             (double)(b->options.group * b->options.group * r->widest);
                r->progress(r->progress_user, "retrieval", one * (layer * pairs + at),
                            one * b->layers * pairs);
            }
        }
    }
done:
    return csim__vote(r->ctx, st);
}

/* Accuracies of a layer from the counts of all ranks: integers first, then one fixed order. */
static csim_status join(retrieval *r, int layer)
{
    enum { PIECE = 1 << 24 };
    csim_bench *b = r->bench;
    int64_t groups = b->options.candidates + 1;
    csim_status st = CSIM_OK;
    for (int64_t at = 0; st == CSIM_OK && at < r->count_size; at += PIECE) {
        int piece = (int)csim__min64(PIECE, r->count_size - at);
        st = csim__mpi(r->ctx,
                       MPI_Allreduce(MPI_IN_PLACE, r->count + at, piece, MPI_INT64_T, MPI_SUM,
                                     csim_context_comm(r->ctx)),
                       "decisions");
    }
    for (int p = 0; p < b->pairs; p++) {
        for (int m = 0; m < b->measures; m++) {
            const int64_t *count = r->count + ((int64_t)p * b->measures + m) * (TIES + groups);
            int64_t at = ((int64_t)m * b->pairs + p) * b->layers + layer;
            double credit = 0;
            for (int64_t i = 0; i < groups; i++) {
                credit += (double)count[TIES + i] / (double)(i + 1);
            }
            b->accuracy[at] = credit / (double)b->decisions;
            b->undefined[0][at] = count[UNDEFINED_TRUE];
            b->undefined[1][at] = count[UNDEFINED_OTHERS];
        }
    }
    return csim__vote(r->ctx, st);
}

/* The nearest rows of a layer of a set, whose rows are in the first slot. */
static csim_status find_nearest(retrieval *r, int s, int layer)
{
    const csim_retrieval_options *o = &r->bench->options;
    return csim__bench_nearest(r->ctx, r->rows[0], r->shard.n, csim_set_site(r->sets[s], layer)->d,
                               o->group, o->candidates, r->near[s]);
}

static csim_status one_layer(retrieval *r, int layer)
{
    csim_status st = CSIM_OK;
    r->holds[0] = r->holds[1] = -1;
    memset(r->count, 0, (size_t)r->count_size * sizeof *r->count);
    bool nearest = r->bench->options.negatives == CSIM_NEAREST;
    for (int s = 0; (r->learned || nearest) && s < r->bench->sets; s++) {
        CSIM_TRY(csim__vote(r->ctx, load(r, s, layer, 0)));
        if (r->learned) { CSIM_TRY(encode(r, s, layer)); }
        if (nearest) { CSIM_TRY(find_nearest(r, s, layer)); }
    }
    CSIM_TRY(decide_layer(r, layer));
    CSIM_TRY(join(r, layer));
done:
    return st;
}

/* ---- the whole ---- */

static csim_status make_room(retrieval *r)
{
    csim_bench *b = r->bench;
    csim_context *ctx = r->ctx;
    int64_t rows = r->shard.n, groups = b->options.candidates + 1;
    csim_status st = CSIM_OK;
    for (int s = 0; s < b->sets; s++) {
        for (int l = 0; l < b->layers; l++) {
            r->widest = csim__max64(r->widest, csim_set_site(r->sets[s], l)->d);
        }
    }
    for (int m = 0; m < b->measures; m++) {
        r->learned = r->learned || r->measures[m].encoder != NULL;
        r->closed = r->closed || r->measures[m].encoder == NULL;
    }
    for (int i = 0; i < (r->closed ? 2 : 1); i++) {
        CSIM_TRY(csim__alloc(ctx, rows * r->widest, sizeof(double), "rows", &r->rows[i]));
    }
    CSIM_TRY(csim__alloc(ctx, r->shard.chunk * r->widest, sizeof *r->chunk, "rows", &r->chunk));
    CSIM_TRY(csim__calloc(ctx, (int64_t)b->sets * b->measures, sizeof *r->code, "rows", &r->code));
    for (int i = 0; i < b->sets * b->measures; i++) {
        const csim_encoder *e = r->measures[i % b->measures].encoder;
        if (e == NULL) { continue; }
        CSIM_TRY(csim__alloc(ctx, csim_encoder_inits(e) * rows * csim_encoder_width(e),
                             sizeof(float), "encoded rows", &r->code[i]));
    }
    CSIM_TRY(csim__calloc(ctx, b->sets, sizeof *r->near, "nearest rows", &r->near));
    for (int s = 0; b->options.negatives == CSIM_NEAREST && s < b->sets; s++) {
        CSIM_TRY(csim__alloc(ctx, rows * b->options.candidates, sizeof(int32_t), "nearest rows",
                             &r->near[s]));
    }
    r->count_size = (int64_t)b->pairs * b->measures * (TIES + groups);
    CSIM_TRY(csim__alloc(ctx, r->count_size, sizeof *r->count, "counts", &r->count));
    CSIM_TRY(csim__alloc(ctx, b->measures * groups, sizeof *r->value, "values", &r->value));
    CSIM_TRY(csim__draw_make(ctx, rows, b->options.group, b->options.seed, &r->draw));
    CSIM_TRY(csim__judge_make(ctx, r->measures, b->measures, &b->options, r->widest, &r->judge));
done:
    return st;
}

static void release(retrieval *r)
{
    int64_t codes = r->bench != NULL ? (int64_t)r->bench->sets * r->bench->measures : 0;
    csim__judge_free(r->ctx, &r->judge);
    csim__draw_clear(r->ctx, &r->draw);
    csim__free(r->ctx, &r->value);
    csim__free(r->ctx, &r->count);
    for (int64_t i = 0; r->code != NULL && i < codes; i++) { csim__free(r->ctx, &r->code[i]); }
    csim__free(r->ctx, &r->code);
    for (int s = 0; r->near != NULL && s < r->bench->sets; s++) { csim__free(r->ctx, &r->near[s]); }
    csim__free(r->ctx, &r->near);
    csim__free(r->ctx, &r->chunk);
    for (int i = 0; i < 2; i++) { csim__free(r->ctx, &r->rows[i]); }
}

/* One warning a measure with undefined values. */
static void warn_of_undefined(csim_context *ctx, const csim_bench *b)
{
    int64_t cells = (int64_t)b->pairs * b->layers;
    for (int m = 0; m < b->measures; m++) {
        int64_t lost = 0, worst = 0;
        for (int64_t i = 0; i < cells; i++) {
            lost += b->undefined[0][m * cells + i];
            worst += b->undefined[1][m * cells + i];
        }
        if (lost + worst == 0) { continue; }
        csim__log(ctx, CSIM_LOG_WARNING,
                  "%s is undefined for %" PRId64 " of %" PRId64 " true groups, which count as "
                  "wrong, and for %" PRId64 " candidates, which count as the worst",
                  b->measure[m].name, lost, cells * b->decisions, worst);
    }
}

csim_status csim_bench_retrieval(csim_context *ctx, csim_set *const *sets, int set_count,
                                 const csim_bench_measure *measures, int count,
                                 const csim_retrieval_options *options, int nan_drop_rows,
                                 csim_progress_fn progress, void *progress_user, csim_bench **bench)
{
    retrieval r = {.ctx = ctx,
                   .sets = sets,
                   .measures = measures,
                   .progress = progress,
                   .progress_user = progress_user};
    csim_status st = check_measures(ctx, measures, count, options->group);
    *bench = NULL;
    csim__phase_begin(ctx, "retrieval");
    if (st == CSIM_OK) { st = check_sets(ctx, sets, set_count); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim_sets_match(ctx, sets, set_count));
    if (nan_drop_rows) {
        int64_t dropped;
        CSIM_TRY(csim_sets_drop_bad_rows(ctx, sets, set_count, &dropped));
    }
    r.shard = csim__shard(csim_set_examples(sets[0]), 0, 1);
    CSIM_TRY(csim__vote(ctx, check_rows(ctx, r.shard.n, options)));
    st = csim__bench_make(ctx, sets, set_count, measures, count, options, &r.bench);
    if (st == CSIM_OK) { st = make_room(&r); }
    CSIM_TRY(csim__vote(ctx, st));
    csim__log(ctx, CSIM_LOG_INFO,
              "sets: %d, pairs: %d, layers: %d, examples: %" PRId64 "; each time %" PRId64
              " groups of %" PRId64 " against %" PRId64 " %s candidates",
              r.bench->sets, r.bench->pairs, r.bench->layers, r.shard.n, r.bench->decisions,
              options->group, options->candidates, csim__bench_negatives(r.bench));
    for (int l = 0; l < r.bench->layers; l++) { CSIM_TRY(one_layer(&r, l)); }
    warn_of_undefined(ctx, r.bench);
done:
    release(&r);
    if (st != CSIM_OK) { csim_bench_free(&r.bench); }
    *bench = r.bench;
    csim__phase_end(ctx, 0, 0);
    return st;
}
