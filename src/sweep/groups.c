/* Large pairs: their decompositions take a group of ranks each, several groups side by side. A pair
 * belongs to the leader of a group, which asks the others for decompositions when a measure needs
 * one, and does everything else itself. */
#include <stdlib.h>

#include "sweep/state.h"

csim_status csim__groups_begin(csim__sweep *w)
{
    const csim_sweep_options *o = w->options;
    if (!csim__grid_wanted(o)) { return CSIM_OK; }
    csim_status st = csim__grid_create(w->ctx, o->grid_rows, o->grid_cols, &w->grid);
    if (st != CSIM_OK) { return st; }
    w->team = (csim__team){.grid = w->grid, .least = csim__grid_from(o)};
    int used = w->grid->groups * w->grid->p * w->grid->q;
    csim__log(w->ctx, CSIM_LOG_INFO,
              "decompositions from %lld neurons: %d group%s of %d x %d ranks, %d ranks in none",
              (long long)w->team.least, w->grid->groups, w->grid->groups == 1 ? "" : "s",
              w->grid->p, w->grid->q, w->shard.size - used);
    return CSIM_OK;
}

void csim__groups_end(csim__sweep *w)
{
    csim__free(w->ctx, &w->task);
    csim__grid_free(&w->grid);
}

int64_t csim__groups_lanes(const csim__sweep *w)
{
    return w->grid != NULL ? w->grid->groups : w->shard.size;
}

/* Is what a pair decomposes, if anything, large enough for a group? */
static bool large(const csim__sweep *w, const csim__planned *p)
{
    int64_t least = csim__min64(w->site[p->couple.left].d, w->site[p->couple.right].d);
    if (p->route == CSIM__ROUTE_BASIS) { least = csim__min64(least, w->shard.n); }
    return p->cell && p->couple.left != p->couple.right && least >= w->team.least &&
           (w->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_BASIS)) != 0;
}

/* A pair of a round and what it costs. */
typedef struct entry {
    int64_t at;
    double cost;
    bool large;
} entry;

/* Large ones first, then the longest; equal ones in the order of the plan. */
static int longest_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->large != y->large) { return x->large ? -1 : 1; }
    if (x->cost != y->cost) { return x->cost > y->cost ? -1 : 1; }
    return x->at < y->at ? -1 : 1;
}

/* The rank with least to do that may take another pair, among the first @p count of every @p step. */
static int least_busy(const csim__sweep *w, const double *load, const int64_t *held, int count,
                      int step)
{
    int best = -1;
    for (int k = 0; k < count; k++) {
        int r = k * step;
        if (held[r] < w->plan.round && (best < 0 || load[r] < load[best])) { best = r; }
    }
    return best;
}

csim_status csim__groups_deal(csim__sweep *w, int64_t first, int64_t last)
{
    int64_t count = last - first, *held = NULL;
    entry *list = NULL;
    double *load = NULL;
    csim_status st = CSIM_OK;
    if (w->grid == NULL) { return CSIM_OK; }
    csim__free(w->ctx, &w->task);
    w->tasks = 0;
    CSIM_TRY(csim__alloc(w->ctx, count, sizeof *w->task, "large pairs", &w->task));
    CSIM_TRY(csim__alloc(w->ctx, count, sizeof *list, "pairs", &list));
    CSIM_TRY(csim__calloc(w->ctx, w->shard.size, sizeof *load, "work of ranks", &load));
    CSIM_TRY(csim__calloc(w->ctx, w->shard.size, sizeof *held, "pairs of ranks", &held));
    for (int64_t i = 0; i < count; i++) {
        const csim__planned *p = &w->plan.pairs[first + i];
        list[i] = (entry){.at = first + i, .cost = p->finish, .large = large(w, p)};
    }
    qsort(list, (size_t)count, sizeof *list, longest_first);
    int team = w->grid->p * w->grid->q, groups = w->grid->groups;
    for (int64_t i = 0; i < count; i++) {
        bool shared = list[i].large;
        int owner = shared ? least_busy(w, load, held, groups, team)
                           : least_busy(w, load, held, w->shard.size, 1);
        w->plan.pairs[list[i].at].owner = owner;
        held[owner]++;
        for (int k = 0; k < (shared ? team : 1); k++) {
            load[owner + k] += list[i].cost / (shared ? team : 1);
        }
        if (shared && w->grid->group == owner / team) { w->task[w->tasks++] = list[i].at; }
    }
done:
    csim__free(w->ctx, &held);
    csim__free(w->ctx, &load);
    csim__free(w->ctx, &list);
    return st;
}

csim_status csim__groups_finish(csim__sweep *w, int64_t first, csim_pair *pairs,
                                csim__finish_fn finish)
{
    if (w->grid == NULL || w->tasks == 0) { return CSIM_OK; } /* the same in a whole group */
    if (csim_context_rank(w->grid->ctx) != 0) {
        csim_status st = csim__team_serve(&w->team);
        if (st == CSIM_OK) { return st; }
        return csim__fail(w->ctx, st, "%s", csim_context_error(w->grid->ctx));
    }
    for (int64_t i = 0; i < w->tasks; i++) {
        csim_pair *pair = &pairs[w->task[i] - first];
        pair->team = &w->team;
        finish(w, &w->plan.pairs[w->task[i]], pair);
        pair->ctx = NULL;
    }
    csim__team_dismiss(&w->team);
    if (w->team.broken == CSIM_OK) { return CSIM_OK; }
    return csim__fail(w->ctx, w->team.broken, "%s", csim_context_error(w->grid->ctx));
}
