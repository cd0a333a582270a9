/* Whether a sweep can fit the memory limit at all: tiles of two sites, the smallest there are. */
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "ingredients/feed.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

bool csim__sweep_pair_fits(csim__sweep *w)
{
    csim__forecast *forecast = w->forecast;
    double most = -1;
    bool fits = false;
    for (int a = 0; a < w->all_count; a++) {
        for (int b = a; b < w->all_count; b++) {
            double size = (double)w->all[a].d * (double)w->all[b].d;
            if (size <= most || !csim__cells_open(&w->cells, a, b)) { continue; }
            most = size;
            w->id[0] = a;
            w->id[1] = b;
        }
    }
    if (most < 0) { return true; }
    w->count = w->id[0] == w->id[1] ? 1 : 2;
    w->forecast = NULL;
    for (int streamed = 0; streamed < 2 && !fits; streamed++) {
        w->streamed = streamed == 1;
        fits = csim__sweep_plan_tile(w) == CSIM_OK;
        if (!fits) { csim__forgive(w->ctx); }
    }
    w->forecast = forecast;
    return fits;
}

/* The first site that takes what site @p s takes. */
static int first_alike(const csim__sweep *w, int s)
{
    int t = 0;
    while (w->all[t].d != w->all[s].d || w->heavy[t] != w->heavy[s] ||
           csim__feed_item(&w->all[t]) != csim__feed_item(&w->all[s])) {
        t++;
    }
    return t;
}

/* The walk over the tiles of two sites. */
typedef struct walk {
    unsigned char *open, *seen; /* [cells] as they were; [all_count, all_count] bits by pattern */
    int *alike;                 /* [all_count] */
    int64_t most;               /* of the tiles so far */
} walk;

/* Plan the tile of sites a < b, or a = b where there is one site, unless one like it was planned. */
static csim_status visit(csim__sweep *w, walk *k, int a, int b)
{
    bool both = a != b && csim__cells_open(&w->cells, a, b);
    bool left = csim__cells_open(&w->cells, a, a), right = csim__cells_open(&w->cells, b, b);
    unsigned char *seen = &k->seen[(int64_t)k->alike[a] * w->all_count + k->alike[b]];
    unsigned char pattern = (unsigned char)(1 << (4 * both + 2 * left + right));
    csim_status st = CSIM_OK;
    w->count = 0;
    if (left || both) { w->id[w->count++] = a; }
    if (a != b && (right || both)) { w->id[w->count++] = b; }
    if (w->count > 0 && !(*seen & pattern)) {
        st = csim__sweep_plan_tile(w);
        k->most = csim__max64(k->most, csim__plan_bytes(&w->plan));
        *seen |= pattern;
    }
    csim__cells_close(&w->cells, a, a);
    csim__cells_close(&w->cells, a, b);
    csim__cells_close(&w->cells, b, b);
    return st;
}

/* In the order of a tiling whose blocks are single sites. CSIM_E_MEM where it ended early. */
static csim_status go(csim__sweep *w, walk *k, bool streamed, int64_t enough)
{
    int64_t sites = w->all_count, cells = (int64_t)w->cells.rows * w->cells.cols;
    csim_status st = CSIM_OK;
    memset(k->seen, 0, (size_t)(sites * sites));
    k->most = 0;
    w->streamed = streamed;
    for (int a = 0; st == CSIM_OK && a < sites; a++) {
        for (int b = sites > 1 ? a + 1 : a; st == CSIM_OK && b < sites; b++) {
            st = visit(w, k, a, b);
            if (st == CSIM_E_MEM && w->plan.tile_bytes > 0 && k->most < enough) {
                csim__forgive(w->ctx);
                st = CSIM_OK;
            }
        }
    }
    memcpy(w->cells.open, k->open, (size_t)cells);
    return st;
}

csim_status csim__sweep_name_least(csim__sweep *w)
{
    csim__forecast *forecast = w->forecast;
    int64_t sites = w->all_count, cells = (int64_t)w->cells.rows * w->cells.cols;
    bool streamed = false;
    walk k = {.most = 0};
    csim_status st = CSIM_OK;
    w->forecast = NULL;
    CSIM_TRY(csim__alloc(w->ctx, cells, 1, "open cells", &k.open));
    CSIM_TRY(csim__alloc(w->ctx, sites * sites, 1, "tiles that were planned", &k.seen));
    CSIM_TRY(csim__alloc(w->ctx, sites, sizeof *k.alike, "sites", &k.alike));
    memcpy(k.open, w->cells.open, (size_t)cells);
    for (int s = 0; s < sites; s++) { k.alike[s] = first_alike(w, s); }
    CSIM_TRY(go(w, &k, false, INT64_MAX));
    int64_t least = k.most;
    if (!csim__statistics_paired(w->options)) { /* else rows have to be held */
        CSIM_TRY(go(w, &k, true, INT64_MAX));
        streamed = k.most <= least;
        least = csim__min64(least, k.most);
    }
    w->forecast = forecast;
    if (forecast != NULL) { *forecast = (csim__forecast){.size = 0}; }
    st = go(w, &k, streamed, least);
done:
    w->forecast = forecast;
    csim__free(w->ctx, &k.alike);
    csim__free(w->ctx, &k.seen);
    csim__free(w->ctx, &k.open);
    return st;
}

/* ---- what is left out ---- */

bool csim__is_left_out(const csim_sweep_options *o, int64_t n, int no_room, int m)
{
    csim_kernel k;
    if (!csim__sweep_takes(&o->measures[m], &k) || k.compare == CSIM_BY_SUMS) { return false; }
    return no_room > (k.sample > 0 && k.sample < n);
}

static bool has_option(const csim_measure *measure, const char *name)
{
    const csim_option *o = measure->options;
    while (o != NULL && o->name != NULL && strcmp(o->name, name) != 0) { o++; }
    return o != NULL && o->name != NULL;
}

void csim__left_out_text(const csim_sweep_options *o, int64_t n, const csim__left_out *what,
                         char *text, size_t size)
{
    char names[400] = "", enough[64] = "more memory", other[160] = "";
    bool more = what->size < csim__shard(n, 0, 1).chunks;
    int64_t examples = 0;
    for (int m = 0; m < o->measure_count; m++) {
        const csim_measure *measure = o->measures[m].measure;
        csim_kernel k;
        if (!csim__is_left_out(o, n, what->no_room, m)) { continue; }
        csim__sweep_takes(&o->measures[m], &k);
        examples = csim__max64(examples, k.sample > 0 ? csim__min64(k.sample, n) : n);
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", at > 0 ? ", " : "", measure->name);
        if (has_option(measure, "sample")) {
            snprintf(other, sizeof other, ", %s--%s.sample, --%s.outer pearson",
                     k.sample > 0 ? "a smaller " : "", measure->name, measure->name);
        }
    }
    if (what->roomy > 0) {
        snprintf(enough, sizeof enough, "%.1f MiB a rank%s",
                 csim__round_up((double)what->roomy / 1048576, 1), more ? ", more ranks" : "");
    }
    snprintf(text, size,
             "%s undefined: the distances of all pairs of %lld examples, in two layers at a time, "
             "do not fit the memory limit (what would do: %s%s)",
             names, (long long)examples, enough, other);
    if (names[0] == '\0') { text[0] = '\0'; }
}
