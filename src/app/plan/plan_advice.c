/* Does a sweep fit, how long does it take, and which other numbers of ranks would be better? */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "app/machine.h"
#include "app/plan/plan.h"

enum { RANKS_MOST = 1000000 };

int csim__per_node(int ranks, int nodes)
{
    return (ranks + nodes - 1) / nodes;
}

int64_t csim__outlook_limit(const csim__outlook *w, int ranks, int nodes)
{
    int64_t share = csim__max64(1, w->node_room / csim__per_node(ranks, nodes)); /* 0: no limit */
    if (w->node_room == 0) { return w->rank_memory; }
    return w->rank_memory > 0 ? csim__min64(w->rank_memory, share) : share;
}

void csim__outlook_range(const csim__outlook *w, const csim__forecast *f, double *low, double *high)
{
    bool measured =
        w->calibration.measured && (w->target.nodes == 1 || w->calibration.network || f->size == 1);
    double seconds = csim__effort_seconds(&f->effort, NULL);
    *low = seconds * (measured ? 0.75 : 0.4);
    *high = (seconds + f->effort.again) * (measured ? 1.35 : 3);
}

/* Are all layers held at once? */
static bool holds_all(const csim__forecast *f)
{
    return f->plans == 1 && !f->streamed;
}

/* Is there room for all measures? */
static bool defines_all(const csim__forecast *f)
{
    return f->left_out.no_room == 0;
}

/* One forecast, @p all: of a sweep that leaves out no measure; that it does not fit is no failure. */
static csim_status foretell_under(csim_context *ctx, const csim__outlook *w, int ranks, int nodes,
                                  int64_t limit, bool all, csim__forecast *f, bool *fits)
{
    csim_sweep_options sweep = w->sweep;
    csim__target target = w->target;
    sweep.memory = limit;
    target.nodes = nodes;
    target.whole = all;
    csim_status st = csim__sweep_forecast(ctx, w->set, w->count, &sweep, ranks, &target, f);
    *fits = st == CSIM_OK;
    if (st == CSIM_E_MEM && f->size > 0) {
        csim__forgive(ctx);
        st = CSIM_OK;
    }
    return st;
}

/* Under the limit that holds there. Where the sweep fits at all with all measures, another shape is only
 * good if it holds all layers at once; none is with fewer ranks than the groups have that are asked for. */
static csim_status foretell(csim_context *ctx, const csim__outlook *w, int ranks, int nodes,
                            csim__forecast *f, bool *good)
{
    *good = false;
    if (ranks < w->sweep.grid_rows * w->sweep.grid_cols) { return CSIM_OK; }
    csim_status st =
        foretell_under(ctx, w, ranks, nodes, csim__outlook_limit(w, ranks, nodes), true, f, good);
    bool now = w->fits && defines_all(&w->forecast);
    *good = *good && (!now || holds_all(f));
    return st;
}

static void add_shape(csim__outlook *w, int ranks, int nodes, const char *key, const char *why,
                      const csim__forecast *f)
{
    for (int i = 0; i < w->shapes; i++) {
        if (w->shape[i].ranks == ranks && w->shape[i].nodes == nodes) { return; }
    }
    if (w->shapes == CSIM__SHAPES) { return; }
    csim__shape *s = &w->shape[w->shapes++];
    *s = (csim__shape){
        .ranks = ranks, .nodes = nodes, .key = key, .why = why, .peak = f->peak, .teams = f->teams};
    csim__outlook_range(w, f, &s->low, &s->high);
}

/* A number of ranks of which all have equally many chunks, on as many nodes as they need. */
static csim_status add_even(csim_context *ctx, csim__outlook *w, int64_t chunks_each,
                            const char *key, const char *why)
{
    int64_t ranks = (w->forecast.chunks + chunks_each - 1) / chunks_each;
    int each = csim__per_node(w->ranks, w->target.nodes);
    csim__forecast f;
    bool fits = false;
    if (ranks > RANKS_MOST || ranks == w->ranks) { return CSIM_OK; }
    int nodes = w->target.nodes == 1 ? 1 : csim__per_node((int)ranks, each);
    csim_status st = foretell(ctx, w, (int)ranks, nodes, &f, &fits);
    if (st == CSIM_OK && fits) { add_shape(w, (int)ranks, nodes, key, why, &f); }
    return st;
}

/* The k-th step of a search for the fewest: nodes with as many ranks on each where they share the
 * memory of a node; where each rank has a limit of its own, ranks. */
static void shape_at(const csim__outlook *w, int k, int *ranks, int *nodes)
{
    int each = csim__per_node(w->ranks, w->target.nodes);
    *ranks = w->node_room > 0 ? each * k : k;
    *nodes = w->node_room > 0 ? k : w->target.nodes == 1 ? 1 : csim__per_node(k, each);
}

/* Add the first good shape of steps [low, high], if even the last is good. More ranks never take more
 * memory each but for a few rows, so the search halves. */
static csim_status add_fewest(csim_context *ctx, csim__outlook *w, int low, int high,
                              const char *key, const char *why)
{
    csim__forecast f, found = {0};
    int ranks, nodes, best = 0, next = high;
    bool good = false;
    csim_status st = CSIM_OK;
    while (st == CSIM_OK && low <= high) {
        shape_at(w, next, &ranks, &nodes);
        st = foretell(ctx, w, ranks, nodes, &f, &good);
        if (good) {
            best = next;
            found = f;
            high = next - 1;
        } else {
            if (best == 0) { return st; }
            low = next + 1;
        }
        next = low + (high - low) / 2;
    }
    if (st == CSIM_OK && best > 0) {
        shape_at(w, best, &ranks, &nodes);
        add_shape(w, ranks, nodes, key, why, &found);
    }
    return st;
}

/* The most ranks that fit on the nodes there are. */
static csim_status add_fewer(csim_context *ctx, csim__outlook *w)
{
    int nodes = w->target.nodes, low = 1, high = csim__per_node(w->ranks, nodes) - 1, best = 0;
    csim__forecast f, found = {0};
    bool fits = false;
    csim_status st = CSIM_OK;
    if (w->node_room == 0) { return st; } /* a limit of each rank stays the same */
    while (st == CSIM_OK && low <= high) {
        int middle = low + (high - low) / 2;
        st = foretell(ctx, w, middle * nodes, nodes, &f, &fits);
        if (fits) {
            best = middle;
            found = f;
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    if (st == CSIM_OK && best > 0) {
        add_shape(w, best * nodes, nodes, "fewer_ranks",
                  w->fits ? "fewer ranks on each node, with room for all measures"
                          : "fewer ranks on each node, which fit",
                  &found);
    }
    return st;
}

/* As many ranks on the fewest nodes that give each enough. */
static csim_status add_spread(csim_context *ctx, csim__outlook *w)
{
    int low = w->target.nodes + 1, high = w->ranks, best = 0;
    csim__forecast f, found = {0};
    bool fits = false;
    csim_status st = CSIM_OK;
    if (w->node_room == 0) { return st; }
    while (st == CSIM_OK && low <= high) {
        int middle = low + (high - low) / 2;
        st = foretell(ctx, w, w->ranks, middle, &f, &fits);
        if (fits) {
            best = middle;
            found = f;
            high = middle - 1;
        } else {
            low = middle + 1;
        }
    }
    if (st == CSIM_OK && best > 0) {
        add_shape(w, w->ranks, best, "spread",
                  !w->fits                     ? "as many ranks on the fewest nodes that fit"
                  : !defines_all(&w->forecast) ? "as many ranks on the fewest nodes with room for "
                                                 "all measures"
                                               : "as many ranks on nodes that hold all layers at "
                                                 "once",
                  &found);
    }
    return st;
}

static csim_status advise(csim_context *ctx, csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    bool by_node = w->node_room > 0;
    int64_t each = (f->chunks + w->ranks - 1) / w->ranks; /* chunks of the fullest rank */
    int per_node = csim__per_node(w->ranks, w->target.nodes);
    int now = by_node ? w->target.nodes : w->ranks, step = by_node ? per_node : 1;
    int64_t most = csim__min64(RANKS_MOST, csim__max64(w->ranks, f->chunks)) / step;
    bool enough = w->fits && defines_all(f);
    const char *fewest = !w->fits  ? "the fewest that fit"
                         : !enough ? "the fewest with room for all measures"
                                   : "the fewest that hold all layers at once";
    csim_status st = CSIM_OK;
    if (!enough || !holds_all(f)) {
        CSIM_TRY(add_fewest(ctx, w, now + 1, (int)most + 1, "more", fewest));
        CSIM_TRY(add_spread(ctx, w));
        return enough ? CSIM_OK : add_fewer(ctx, w);
    }
    CSIM_TRY(add_even(ctx, w, each, "even", "fewer ranks, no more chunks each"));
    if (each > 1) {
        CSIM_TRY(add_even(ctx, w, each - 1, "next", "the next number with fewer chunks each"));
    }
    if (w->rank_memory > 0 || by_node) { st = add_fewest(ctx, w, 1, now - 1, "fewest", fewest); }
done:
    return st;
}

csim_status csim__outlook_make(csim_context *ctx, csim__outlook *w)
{
    csim__forecast *f = &w->forecast;
    bool ignore;
    csim_status st = CSIM_OK;
    w->sweep.memory = csim__outlook_limit(w, w->ranks, w->target.nodes);
    CSIM_TRY(
        foretell_under(ctx, w, w->ranks, w->target.nodes, w->sweep.memory, false, f, &w->fits));
    w->least = f->peak;
    if (!w->fits) {
        CSIM_TRY(foretell_under(ctx, w, w->ranks, w->target.nodes, 0, false, f, &ignore));
    }
    st = advise(ctx, w);
done:
    return st;
}

csim_status csim__outlook_fail(csim_context *ctx, const csim__outlook *w)
{
    char would[256] = "";
    size_t used = 0;
    for (int i = 0; i < w->shapes; i++) {
        const csim__shape *s = &w->shape[i];
        used +=
            (size_t)snprintf(would + used, sizeof would - used, "%s%d ranks on %d node%s",
                             i > 0 ? ", or " : "", s->ranks, s->nodes, s->nodes == 1 ? "" : "s");
    }
    int per_node = csim__per_node(w->ranks, w->target.nodes);
    double scale = 1 / ((double)csim__rank_share(INT64_C(1) << 40, 1) / 0x1p40);
    double node = (double)w->least * per_node * scale;
    bool by_node = w->node_room > 0;
    return csim__fail(
        ctx, CSIM_E_MEM,
        "the sweep does not fit: with as few layers at a time as can be it takes %s on each of %d "
        "ranks, the limit is %s (%s); "
        "what would fit: %s%s%s of %s",
        csim__bytes_apart((double)w->least, (double)w->sweep.memory).s, w->ranks,
        csim__bytes_apart((double)w->sweep.memory, (double)w->least).s, w->limit, would,
        w->shapes > 0 ? ", or " : "", by_node ? "nodes" : "ranks",
        csim__bytes_enough(by_node ? node : (double)w->least).s);
}
