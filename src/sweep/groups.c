/* Large pairs: their decompositions take a group of ranks each, several groups side by side. A pair
 * belongs to the leader of a group, which asks the others for what measures need of the blocks that lie
 * dealt over the group, and does everything else itself. */
#include <stdlib.h>

#include "sweep/plan/deal.h"
#include "sweep/state.h"

csim_status csim__groups_find(csim__sweep *w)
{
    const csim_sweep_options *o = w->options;
    if (w->teams.p > 0) { return CSIM_OK; }
    if (o->grid_rows == 0) { return csim__choose_groups(w); }
    w->teams = (csim__teams){o->grid_rows, o->grid_cols, csim__grid_from(o)};
    w->why = CSIM__WHY_ASKED;
    if ((int64_t)o->grid_rows * o->grid_cols <= w->shard.size) { return CSIM_OK; }
    return csim__fail(w->ctx, CSIM_E_ARG, "a grid of %d x %d ranks: found %d rank%s", o->grid_rows,
                      o->grid_cols, w->shard.size, w->shard.size == 1 ? "" : "s");
}

csim_status csim__groups_begin(csim__sweep *w)
{
    const csim__teams *t = &w->teams;
    if (csim__teams_size(t) == 1) { return CSIM_OK; }
    csim_status st = csim__grid_create(w->ctx, t->p, t->q, &w->grid);
    if (st == CSIM_OK) { w->team = (csim__team){.grid = w->grid, .least = t->least}; }
    return st;
}

void csim__groups_end(csim__sweep *w)
{
    csim__free(w->ctx, &w->task);
    csim__grid_free(&w->grid);
}

csim_status csim__groups_record(const csim__sweep *w, csim_results *results)
{
    const int64_t grid[2] = {w->teams.p, w->teams.q};
    csim_status st = csim_results_set_ints(results, -1, "grid", grid, 2);
    if (st != CSIM_OK || w->grid == NULL) { return st; }
    return csim_results_set_ints(results, -1, "grid_from", &w->teams.least, 1);
}

csim_status csim__groups_list(csim__sweep *w, int64_t first, int64_t last)
{
    int team = csim__teams_size(&w->teams);
    if (w->grid == NULL) { return CSIM_OK; }
    csim__free(w->ctx, &w->task);
    w->tasks = 0;
    csim_status st =
        csim__alloc(w->ctx, last - first, sizeof(csim__planned *), "large pairs", &w->task);
    for (int64_t i = first; st == CSIM_OK && i < last; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->large && p->owner / team == w->grid->group) { w->task[w->tasks++] = p; }
    }
    if (w->tasks > 1) { qsort(w->task, (size_t)w->tasks, sizeof *w->task, csim__longest_first); }
    return st;
}

csim_status csim__groups_finish(csim__sweep *w, int64_t first, csim_pair *pairs,
                                csim__finish_fn finish)
{
    if (w->grid == NULL || w->tasks == 0) { return CSIM_OK; } /* the same in a whole group */
    bool leader = csim_context_rank(w->grid->ctx) == 0;
    for (int64_t i = 0; i < w->tasks; i++) {
        csim_pair *pair = &pairs[w->task[i] - &w->plan.pairs[first]];
        w->team.dealt = pair->share;
        if (leader) {
            pair->team = &w->team;
            finish(w, w->task[i], pair);
            pair->ctx = NULL;
            csim__team_dismiss(&w->team);
        } else {
            (void)csim__team_serve(&w->team); /* what breaks a team is told below */
            for (int k = 0; k < CSIM__SHARES; k++) { csim__dealt_clear(&pair->share[k]); }
        }
    }
    w->team.dealt = NULL;
    if (w->team.broken == CSIM_OK) { return CSIM_OK; }
    return csim__fail(w->ctx, w->team.broken, "%s", csim_context_error(w->grid->ctx));
}
