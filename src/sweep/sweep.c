/* The sweep: read, centre, make each ingredient once, then finish the pairs. */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "contrasim/native.h"
#include "ingredients/basis.h"
#include "sweep/forecast.h"
#include "sweep/state.h"

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
    for (int s = 0; s < w->set_count; s++) { w->count += csim_set_site_count(w->sets[s]); }
    csim_status st = csim__calloc(w->ctx, w->count, sizeof *w->site, "sites", &w->site);
    for (int s = 0; st == CSIM_OK && s < w->set_count; s++) {
        for (int i = 0; i < csim_set_site_count(w->sets[s]); i++, at++) {
            const csim_site_info *info = csim_set_site(w->sets[s], i);
            w->site[at] = (csim__site){.set = w->sets[s],
                                       .index = i,
                                       .model = csim_set_name(w->sets[s]),
                                       .layer = info->name,
                                       .d = info->d,
                                       .rank = -1};
        }
    }
    return st;
}

/* What the planner is told; @p width is filled. */
static csim__problem describe(const csim__sweep *w, int64_t n, const unsigned char *heavy, int size,
                              int64_t *width)
{
    for (int s = 0; s < w->count; s++) { width[s] = w->site[s].d; }
    return (csim__problem){
        .n = n,
        .sites = w->count,
        .width = width,
        .rows = w->cells.rows,
        .cols = w->cells.cols,
        .row = w->cells.row,
        .col = w->cells.col,
        .requested = w->cells.requested,
        .values = (int64_t)w->cells.rows * w->cells.cols * w->cells.measures,
        .needs = w->needs,
        .heavy = heavy,
        .single = w->options->precision == CSIM_SINGLE_PRECISION,
        .encoders = w->options->encoders,
        .encoder_count = w->options->encoder_count,
        .size = size,
        .memory = w->options->memory,
    };
}

static csim_status make_plan(csim__sweep *w, int64_t n, const unsigned char *heavy)
{
    int64_t *width = NULL;
    csim_status st = csim__alloc(w->ctx, w->count, sizeof *width, "widths", &width);
    if (st == CSIM_OK) {
        csim__problem p = describe(w, n, heavy, csim_context_size(w->ctx), width);
        csim__plan_clear(w->ctx, &w->plan);
        st = csim__plan_make(w->ctx, &p, &w->plan);
    }
    csim__free(w->ctx, &width);
    return st;
}

/* A site that lives by a few examples: ‖K‖² is little more than Σa_i² then, and what remains of it
 * without the diagonal has few digits unless it comes from tiles. The plan is made anew with them. */
static csim_status weigh_examples(csim__sweep *w)
{
    unsigned char *heavy = NULL;
    int many = 0;
    double n = (double)w->shard.n, share = fmax(1.0 / 64, fmin(0.5, 4 / n));
    csim_status st = CSIM_OK;
    if (!(w->needs & CSIM_NEEDS_DIAGONAL)) { return CSIM_OK; }
    CSIM_TRY(csim__calloc(w->ctx, w->count, 1, "marks of sites", &heavy));
    for (int s = 0; s < w->count; s++) {
        const csim__site *t = &w->site[s];
        heavy[s] = t->variance > 0 && t->square_of_norms > share * t->variance * t->variance;
        many += heavy[s];
    }
    if (many > 0) { st = make_plan(w, w->shard.n, heavy); }
done:
    csim__free(w->ctx, &heavy);
    return st;
}

static void announce(csim__sweep *w)
{
    int64_t routes[4] = {0}, more = 0;
    for (int64_t i = 0; i < w->plan.count; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        routes[p->route]++;
        more += p->tiled && p->route != CSIM__ROUTE_GRAM;
    }
    csim__log(w->ctx, CSIM_LOG_INFO,
              "sets: %d, layers: %d, examples: %lld in %lld chunks of %lld, ranks: %d",
              w->set_count, w->count, (long long)w->shard.n, (long long)w->shard.chunks,
              (long long)w->shard.chunk, w->shard.size);
    csim__log(w->ctx, CSIM_LOG_INFO,
              "pairs: %lld, of them %lld of a layer with itself (%lld by Gram tiles, %lld by cross "
              "products, %lld by bases), %.3g flops",
              (long long)w->plan.count, (long long)w->plan.selves,
              (long long)routes[CSIM__ROUTE_GRAM], (long long)routes[CSIM__ROUTE_CROSS],
              (long long)routes[CSIM__ROUTE_BASIS], w->plan.flops);
    if (more > 0) {
        csim__log(w->ctx, CSIM_LOG_INFO,
                  "Gram tiles beside that for %lld pairs of layers in which few examples outweigh "
                  "all others",
                  (long long)more);
    }
    csim__log(w->ctx, CSIM_LOG_INFO, "memory of a rank: %.1f MiB examples, %.1f MiB tiles",
              (double)w->plan.shard_bytes / 1048576, (double)w->plan.tile_bytes / 1048576);
    if (w->shard.chunks < w->shard.size) {
        csim__log(w->ctx, CSIM_LOG_WARNING, "%lld of %d ranks have no examples: %lld chunks",
                  (long long)(w->shard.size - w->shard.chunks), w->shard.size,
                  (long long)w->shard.chunks);
    }
}

static void release(csim__sweep *w)
{
    for (int s = 0; w->unit != NULL && s < w->count; s++) { csim__free(w->ctx, &w->unit[s]); }
    for (int s = 0; w->site != NULL && s < w->count; s++) {
        csim__site_release(w->ctx, &w->site[s]);
    }
    for (int k = 0; k < CSIM__LEARNED_COUNT; k++) {
        csim__projection_clear(w->ctx, &w->learned[k]);
    }
    csim__free(w->ctx, &w->unit);
    csim__free(w->ctx, &w->row_sums);
    csim__free(w->ctx, &w->hollow);
    csim__free(w->ctx, &w->ones);
    csim__free(w->ctx, &w->root_n);
    csim__free(w->ctx, &w->centred);
    csim__free(w->ctx, &w->basis);
    csim__free(w->ctx, &w->raw);
    csim__free(w->ctx, &w->unity);
    csim__plan_clear(w->ctx, &w->plan);
    csim__cells_clear(w->ctx, &w->cells);
    csim__free(w->ctx, &w->site);
}

/* A hash of what must be the same on every rank. */
static uint64_t fingerprint(const csim_sweep_options *o)
{
    uint64_t h = XXH3_64bits_withSeed(&o->precision, sizeof o->precision, (XXH64_hash_t)o->memory);
    h = XXH3_64bits_withSeed(&o->nan_drop_rows, sizeof o->nan_drop_rows, h);
    h = XXH3_64bits_withSeed(&o->rank_floor, sizeof o->rank_floor, h);
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
              (double)most / 1048576, (double)(w->plan.shard_bytes + w->plan.tile_bytes) / 1048576);
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
    CSIM_TRY(csim__vote(ctx, list_sites(&w)));
    CSIM_TRY(csim__vote(ctx, csim__sweep_check_encoders(&w)));
    CSIM_TRY(csim__vote(ctx, csim__cells_make(ctx, sets, set_count, options, &w.cells)));
    CSIM_TRY(csim__vote(ctx, make_plan(&w, csim_set_examples(sets[0]), NULL)));
    w.meter = (csim__meter){.fn = csim_context_rank(ctx) == 0 ? options->progress : NULL,
                            .user = options->progress_user,
                            .size = csim_context_size(ctx)};
    CSIM_TRY(csim__ingest(ctx, w.site, w.count, options->precision, &w.shard));
    CSIM_TRY(csim__vote(ctx, weigh_examples(&w)));
    w.meter.total = w.plan.flops;
    announce(&w);
    st = csim__calloc(ctx, w.plan.count, sizeof *w.hollow, "Gram products", &w.hollow);
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__sweep_ingredients(&w));
    CSIM_TRY(csim__sweep_rounds(&w));
    CSIM_TRY(csim__cells_join(ctx, &w.cells));
    CSIM_TRY(csim__vote(ctx, report_memory(&w)));
    st = csim__cells_results(ctx, &w.cells, w.site, sets, set_count, options, results);
    st = csim__vote(ctx, st);
    if (st != CSIM_OK) { csim_results_free(results); }
done:
    release(&w);
    csim__phase_end(ctx, 0, 0);
    return st;
}

/* All that is known of a sweep before a value is read. Local. */
static csim_status outline(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(check_options(w->ctx, w->options, &w->needs));
    CSIM_TRY(list_sites(w));
    CSIM_TRY(csim__sweep_check_encoders(w));
    st = csim__cells_make(w->ctx, w->sets, w->set_count, w->options, &w->cells);
done:
    return st;
}

csim_status csim_sweep_plan(csim_context *ctx, csim_set *const *sets, int set_count,
                            const csim_sweep_options *options, csim_sweep_cost *cost)
{
    csim__sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    csim_status st = CSIM_OK;
    CSIM_TRY(outline(&w));
    CSIM_TRY(make_plan(&w, csim_set_examples(sets[0]), NULL));
    *cost = (csim_sweep_cost){w.plan.shard_bytes, w.plan.tile_bytes, w.plan.flops};
done:
    release(&w);
    return st;
}

csim_status csim__sweep_forecast(csim_context *ctx, csim_set *const *sets, int set_count,
                                 const csim_sweep_options *options, int size,
                                 const csim__target *target, csim__forecast *forecast)
{
    csim__sweep w = {.ctx = ctx, .options = options, .sets = sets, .set_count = set_count};
    int64_t *width = NULL;
    csim_status st = CSIM_OK;
    *forecast = (csim__forecast){.size = 0};
    CSIM_TRY(outline(&w));
    CSIM_TRY(csim__alloc(ctx, w.count, sizeof *width, "widths", &width));
    csim__problem p = describe(&w, csim_set_examples(sets[0]), NULL, size, width);
    st = csim__plan_make(ctx, &p, &w.plan);
    if (w.plan.round == 0) { goto done; } /* a plan above the limit is whole all the same */
    forecast->sites = w.count;
    csim__forecast_add(&p, &w.plan, target, forecast);
    if (options->nan_drop_rows) {
        csim__effort_scan(&p, target, &forecast->effort);
        forecast->loads += w.count;
    }
done:
    csim__free(ctx, &width);
    release(&w);
    return st;
}
