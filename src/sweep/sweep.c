/* The sweep: what is asked for, what was saved of it, tile after tile of the rest, the results. */
#include <string.h>
#include <xxhash.h>

#include "contrasim/native.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

static csim_status check_options(csim_context *ctx, const csim_sweep_options *o, unsigned *needs)
{
    *needs = 0;
    if (o->measure_count < 1) {
        return csim__fail(ctx, CSIM_E_ARG, "a sweep needs at least one measure");
    }
    if (!(o->rank_floor >= 0 && o->rank_floor < 1)) {
        return csim__fail(ctx, CSIM_E_ARG, "a rank floor of %g: expected at least 0 and below 1",
                          o->rank_floor);
    }
    if (o->grid_rows < 0 || o->grid_cols < 0 || (o->grid_rows == 0) != (o->grid_cols == 0) ||
        o->grid_from < 0) {
        return csim__fail(ctx, CSIM_E_ARG, "groups of %d x %d ranks from %lld neurons",
                          o->grid_rows, o->grid_cols, (long long)o->grid_from);
    }
    if (o->parts != 0 && (o->part < 1 || o->part > o->parts)) {
        return csim__fail(ctx, CSIM_E_ARG, "part %d of %d: expected one from 1 to %d", o->part,
                          o->parts, o->parts);
    }
    for (int m = 0; m < o->measure_count; m++) {
        const csim_measure *measure = o->measures[m].measure;
        *needs |= measure->needs;
        if (o->precision == CSIM_SINGLE_PRECISION && !(measure->props & CSIM_SINGLE)) {
            return csim__fail(ctx, CSIM_E_ARG,
                              "--precision single: %s needs double precision (CKA and HSIC "
                              "measures do not)",
                              measure->name);
        }
        for (int k = 0; k < m; k++) {
            if (o->measures[k].measure == measure) {
                return csim__fail(ctx, CSIM_E_ARG, "measure %s is asked for twice", measure->name);
            }
        }
    }
    return CSIM_OK;
}

static csim_status list_sites(csim__sweep *w)
{
    int at = 0;
    for (int s = 0; s < w->set_count; s++) { w->all_count += csim_set_site_count(w->sets[s]); }
    csim_status st = csim__calloc(w->ctx, w->all_count, sizeof *w->all, "sites", &w->all);
    for (int s = 0; st == CSIM_OK && s < w->set_count; s++) {
        for (int i = 0; i < csim_set_site_count(w->sets[s]); i++) {
            w->all[at++] = csim__site_of(w->sets[s], i);
        }
    }
    return st;
}

/* Of the cells that are asked for, those of this part of a job array. */
static csim_status take_part(csim__sweep *w)
{
    int64_t *width = NULL;
    if (w->options->parts == 0) { return CSIM_OK; }
    csim_status st = csim__alloc(w->ctx, w->all_count, sizeof *width, "widths", &width);
    for (int s = 0; st == CSIM_OK && s < w->all_count; s++) { width[s] = w->all[s].d; }
    if (st == CSIM_OK) {
        csim__cells_take_part(&w->cells, width, w->options->part, w->options->parts);
    }
    csim__free(w->ctx, &width);
    return st;
}

/* What is needed before anything is read. Local. */
static csim_status prepare(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(list_sites(w));
    CSIM_TRY(csim__sweep_check_encoders(w));
    CSIM_TRY(csim__sweep_check_near(w));
    CSIM_TRY(csim__sweep_check_kernels(w));
    CSIM_TRY(csim__statistics_check(w->ctx, w->options, csim_set_examples(w->sets[0])));
    CSIM_TRY(csim__cells_make(w->ctx, w->sets, w->set_count, w->options, &w->cells));
    CSIM_TRY(take_part(w));
    w->shard = csim__shard(csim_set_examples(w->sets[0]), csim_context_rank(w->ctx),
                           csim_context_size(w->ctx));
done:
    return st;
}

/* Who decomposes large pairs. That values have the rounding of a number of ranks is not to go unseen. */
static void announce_groups(csim__sweep *w)
{
    const csim__teams *t = &w->teams;
    int team = csim__teams_size(t), groups = w->shard.size / team;
    bool chosen = w->why == CSIM__WHY_MEMORY || w->why == CSIM__WHY_TIME;
    if (team == 1) { return; }
    csim__log(
        w->ctx, chosen ? CSIM_LOG_WARNING : CSIM_LOG_INFO,
        "decompositions from %lld neurons: %d group%s of %d x %d ranks, %d ranks in none; %s%s",
        (long long)t->least, groups, groups == 1 ? "" : "s", t->p, t->q, w->shard.size % team,
        csim__why_text(w->why),
        chosen ? ": their values differ by rounding from those of one rank (--grid 1x1)" : "");
}

/* Does an open pair need a site? */
static bool site_open(const csim__sweep *w, int s)
{
    bool open = false;
    for (int t = 0; t < w->all_count && !open; t++) {
        open = csim__cells_open(&w->cells, s < t ? s : t, s < t ? t : s);
    }
    return open;
}

/* How often a site is read beside what its pairs need: for rows that are dropped; for its checksum. */
static int readings_beside(const csim__sweep *w, int s)
{
    return (w->options->nan_drop_rows ? 1 : 0) + !site_open(w, s);
}

static void announce(csim__sweep *w)
{
    const csim__cost *c = &w->cost;
    double times = c->loads / w->all_count;
    csim__left_out what = {w->no_room, w->shard.size, w->roomy};
    char left_out[800];
    for (int s = 0; s < w->all_count; s++) {
        times += (double)readings_beside(w, s) / w->all_count;
    }
    csim__log(w->ctx, CSIM_LOG_INFO,
              "sets: %d, layers: %d, examples: %lld in %lld chunks of %lld, ranks: %d",
              w->set_count, w->all_count, (long long)w->shard.n, (long long)w->shard.chunks,
              (long long)w->shard.chunk, w->shard.size);
    csim__log(w->ctx, CSIM_LOG_INFO,
              "pairs: %lld, of them %lld of a layer with itself (%lld by Gram tiles, %lld by cross "
              "products, %lld by bases), %.3g flops",
              (long long)c->pairs, (long long)c->selves, (long long)c->routes[CSIM__ROUTE_GRAM],
              (long long)c->routes[CSIM__ROUTE_CROSS], (long long)c->routes[CSIM__ROUTE_BASIS],
              c->flops);
    csim__log(w->ctx, CSIM_LOG_INFO, "memory of a rank: %.1f MiB examples, %.1f MiB tiles",
              (double)c->shard_bytes / 1048576, (double)c->tile_bytes / 1048576);
    if (w->streamed) {
        csim__log(w->ctx, CSIM_LOG_INFO,
                  "layers are read again by chunks to keep the memory limit: %lld rounds, %lld "
                  "passes in %lld tiles of pairs, each layer is read %.1f times",
                  (long long)c->rounds, (long long)c->passes, (long long)c->tiles, times);
    } else if (c->tiles > 1) {
        csim__log(w->ctx, CSIM_LOG_INFO,
                  "not all layers fit the memory limit at once: %lld tiles of pairs, each layer is "
                  "read %.1f times",
                  (long long)c->tiles, times);
    }
    announce_groups(w);
    csim__left_out_text(w->options, w->shard.n, &what, left_out, sizeof left_out);
    if (left_out[0] != '\0') { csim__log(w->ctx, CSIM_LOG_WARNING, "%s", left_out); }
    if (w->shard.chunks < w->shard.size) {
        csim__log(w->ctx, CSIM_LOG_WARNING, "%lld of %d ranks have no examples: %lld chunks",
                  (long long)(w->shard.size - w->shard.chunks), w->shard.size,
                  (long long)w->shard.chunks);
    }
}

static void release(csim__sweep *w)
{
    csim__sweep_tile_clear(w);
    csim__groups_end(w);
    csim__cells_clear(w->ctx, &w->cells);
    csim__free(w->ctx, &w->block);
    csim__free(w->ctx, &w->here);
    csim__free(w->ctx, &w->heavy);
    csim__free(w->ctx, &w->id);
    csim__free(w->ctx, &w->all);
}

/* A hash of what must be the same on every rank. */
static uint64_t fingerprint(const csim_sweep_options *o)
{
    uint64_t h = XXH3_64bits_withSeed(&o->precision, sizeof o->precision, (XXH64_hash_t)o->memory);
    h = XXH3_64bits_withSeed(&o->nan_drop_rows, sizeof o->nan_drop_rows, h);
    h = XXH3_64bits_withSeed(&o->rank_floor, sizeof o->rank_floor, h);
    h = XXH3_64bits_withSeed(&o->grid_rows, sizeof o->grid_rows, h);
    h = XXH3_64bits_withSeed(&o->grid_cols, sizeof o->grid_cols, h);
    h = XXH3_64bits_withSeed(&o->grid_from, sizeof o->grid_from, h);
    h = XXH3_64bits_withSeed(&o->part, sizeof o->part, h);
    h = XXH3_64bits_withSeed(&o->parts, sizeof o->parts, h);
    h = XXH3_64bits_withSeed(&o->resume, sizeof o->resume, h);
    h = XXH3_64bits_withSeed(&o->null, sizeof o->null, h);
    h = XXH3_64bits_withSeed(&o->permutations, sizeof o->permutations, h);
    h = XXH3_64bits_withSeed(&o->null_seed, sizeof o->null_seed, h);
    h = XXH3_64bits_withSeed(&o->alpha, sizeof o->alpha, h);
    h = XXH3_64bits_withSeed(&o->jackknife, sizeof o->jackknife, h);
    if (o->journal != NULL) { h = XXH3_64bits_withSeed(o->journal, strlen(o->journal), h); }
    if (o->pairs != NULL) { h = XXH3_64bits_withSeed(o->pairs, strlen(o->pairs), h); }
    for (int i = 0; i < o->encoder_count; i++) {
        const char *sum = csim_encoder_checksum(o->encoders[i]);
        h = XXH3_64bits_withSeed(sum, strlen(sum), h);
    }
    for (int m = 0; m < o->measure_count; m++) {
        const char *name = o->measures[m].measure->name;
        h = XXH3_64bits_withSeed(name, strlen(name), h);
    }
    return h;
}

/* What the rank with most really took, beside what was planned. */
static csim_status report_memory(csim__sweep *w)
{
    int64_t mine = csim_context_memory_peak(w->ctx), most = 0;
    csim_status st = csim__mpi(
        w->ctx, MPI_Allreduce(&mine, &most, 1, MPI_INT64_T, MPI_MAX, csim_context_comm(w->ctx)),
        "peak of memory");
    csim__log(w->ctx, CSIM_LOG_INFO, "peak memory of a rank: %.1f MiB, planned %.1f MiB",
              (double)most / 1048576, (double)(w->cost.shard_bytes + w->cost.tile_bytes) / 1048576);
    return st;
}

/* Sites that no open pair needs: their values are part of what a result was made from. */
static csim_status hash_others(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    for (int s = 0; st == CSIM_OK && s < w->all_count; s++) {
        if (!site_open(w, s)) { st = csim__ingest_checksum(w->ctx, &w->shard, &w->all[s]); }
    }
    return st;
}

csim_status csim__sweep_inputs(csim_context *ctx, csim_set *const *sets, int set_count,
                               const csim_sweep_options *options, char **text)
{
    csim__sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    csim_status st = CSIM_OK;
    if (options->nan_drop_rows) {
        int64_t dropped;
        CSIM_TRY(csim_sets_drop_bad_rows(ctx, sets, set_count, &dropped));
    }
    CSIM_TRY(csim__vote(ctx, prepare(&w)));
    for (int s = 0; s < w.all_count; s++) {
        CSIM_TRY(csim__ingest_checksum(ctx, &w.shard, &w.all[s]));
    }
    st = csim__vote(ctx, csim__inputs_text(ctx, w.all, sets, set_count, text));
done:
    release(&w);
    return st;
}

csim_status csim_sweep(csim_context *ctx, csim_set *const *sets, int set_count,
                       const csim_sweep_options *options, csim_results **results)
{
    csim__sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    csim_status st = CSIM_OK;
    *results = NULL;
    csim__phase_begin(ctx, "sweep");
    CSIM_TRY(csim__vote(ctx, check_options(ctx, options, &w.needs)));
    CSIM_TRY(csim__agree(ctx, fingerprint(options), "the options of a sweep"));
    CSIM_TRY(csim_sets_match(ctx, sets, set_count));
    if (options->nan_drop_rows) {
        int64_t dropped;
        CSIM_TRY(csim_sets_drop_bad_rows(ctx, sets, set_count, &dropped));
    }
    CSIM_TRY(csim__vote(ctx, prepare(&w)));
    CSIM_TRY(csim__saved_groups(&w));
    CSIM_TRY(csim__vote(ctx, csim__groups_find(&w)));
    CSIM_TRY(csim__vote(ctx, csim__sweep_tiling(&w))); /* can it be done at all? */
    CSIM_TRY(csim__vote(ctx, csim__cells_room(ctx, &w.cells)));
    CSIM_TRY(csim__groups_begin(&w));
    CSIM_TRY(csim__saved_begin(&w));
    if (w.saved > 0) { CSIM_TRY(csim__vote(ctx, csim__sweep_tiling(&w))); }
    w.meter = (csim__meter){.fn = csim_context_rank(ctx) == 0 ? options->progress : NULL,
                            .user = options->progress_user,
                            .total = w.cost.flops,
                            .stop_user = options->stop_user,
                            .size = csim_context_size(ctx)};
    announce(&w);
    CSIM_TRY(hash_others(&w));
    CSIM_TRY(csim__sweep_tiles(&w));
    CSIM_TRY(csim__cells_join(ctx, &w.cells));
    CSIM_TRY(csim__vote(ctx, report_memory(&w)));
    st = csim__cells_results(ctx, &w.cells, w.all, sets, set_count, options, results);
    if (st == CSIM_OK) { st = csim__groups_record(&w, *results); }
    st = csim__vote(ctx, st);
    if (st != CSIM_OK) { csim_results_free(results); }
done:
    csim__saved_end(&w, st);
    release(&w);
    csim__phase_end(ctx, 0, 0);
    return st;
}

csim_status csim_sweep_plan(csim_context *ctx, csim_set *const *sets, int set_count,
                            const csim_sweep_options *options, csim_sweep_cost *cost)
{
    csim__sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    csim_status st = CSIM_OK;
    CSIM_TRY(check_options(ctx, options, &w.needs));
    CSIM_TRY(prepare(&w));
    CSIM_TRY(csim__groups_find(&w));
    CSIM_TRY(csim__sweep_tiling(&w));
    *cost = (csim_sweep_cost){.example_bytes = w.cost.shard_bytes,
                              .tile_bytes = w.cost.tile_bytes,
                              .flops = w.cost.flops,
                              .gram_pairs = w.cost.routes[CSIM__ROUTE_GRAM],
                              .cross_pairs = w.cost.routes[CSIM__ROUTE_CROSS],
                              .basis_pairs = w.cost.routes[CSIM__ROUTE_BASIS]};
done:
    release(&w);
    return st;
}

csim_status csim__sweep_forecast(csim_context *ctx, csim_set *const *sets, int set_count,
                                 const csim_sweep_options *options, int size,
                                 const csim__target *target, csim__forecast *forecast)
{
    csim__sweep w = {.ctx = ctx,
                     .options = options,
                     .sets = sets,
                     .set_count = set_count,
                     .target = target,
                     .forecast = forecast};
    csim_status st = CSIM_OK;
    *forecast = (csim__forecast){.size = 0};
    CSIM_TRY(check_options(ctx, options, &w.needs));
    CSIM_TRY(prepare(&w));
    w.shard = csim__shard(w.shard.n, 0, size); /* of the ranks that are asked about */
    CSIM_TRY(csim__groups_find(&w));
    st = csim__sweep_tiling(&w);
    for (int s = 0; s < w.all_count; s++) {
        int readings = readings_beside(&w, s);
        for (int k = 0; k < readings; k++) {
            csim__effort_scan(&w.shard, w.all[s].d, target, &forecast->effort);
        }
        forecast->loads += readings;
    }
    forecast->sites = w.all_count;
    forecast->why = w.why;
    forecast->left_out = (csim__left_out){w.no_room, size, w.roomy};
done:
    release(&w);
    return st;
}
