/* Groups of ranks by the cost model: none, unless a pair is too large for one rank, or the sweep gets a
 * good deal faster. Values that groups make differ by rounding from those of one rank, so small gains
 * are left alone, and so is what a machine was measured to do: what is chosen depends on shapes,
 * measures, the number of ranks and the memory limit. */
#include <string.h>

#include "sweep/state.h"

enum { BLOCKS = 8 }; /* that each row and column of a grid has at least */

#define GOOD_DEAL (2.0 / 3) /* of the time without groups: half as fast again */

/* A sweep with some groups. */
typedef struct trial {
    csim__forecast f;
    bool fits;
    double seconds;
} trial;

/* Speeds of a present server; messages take as long as between nodes. */
static csim__machine common_machine(void)
{
    csim__machine m = csim__machine_typical;
    m.latency = m.net_latency;
    return m;
}

/* What the sweep takes with these groups. Leaves them in w->teams. */
static csim_status try_groups(csim__sweep *w, int p, int q, trial *t)
{
    csim__machine machine = common_machine();
    csim__target target = {.machine = &machine, .nodes = 1, .bytes_per_number = sizeof(float)};
    csim__forecast *forecast = w->forecast;
    const csim__target *before = w->target;
    w->teams.p = p;
    w->teams.q = q;
    w->forecast = &t->f;
    w->target = &target;
    csim_status st = csim__sweep_tiling(w);
    w->forecast = forecast;
    w->target = before;
    t->fits = st == CSIM_OK;
    t->seconds = csim__effort_seconds(&t->f.effort, NULL);
    if (st == CSIM_E_MEM && t->f.size > 0) {
        csim__forgive(w->ctx);
        st = CSIM_OK;
    }
    return st;
}

/* The smaller side of the largest pair that groups could decompose, 0 if there is none. */
static int64_t largest_side(const csim__sweep *w)
{
    int64_t most = 0;
    if (!(w->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_BASIS)) || w->shard.n < w->teams.least) {
        return 0;
    }
    for (int a = 0; a < w->all_count; a++) {
        for (int b = a + 1; b < w->all_count; b++) {
            int64_t side = csim__min64(w->all[a].d, w->all[b].d);
            if (side > most && csim__cells_open(&w->cells, a, b)) { most = side; }
        }
    }
    return most >= w->teams.least ? most : 0;
}

/* Of grids of up to twice as many columns as rows, whose blocks are enough for all their ranks, the one
 * that fits and is fastest. */
static csim_status try_all(csim__sweep *w, int64_t side, trial *best)
{
    csim__teams found = {1, 1, w->teams.least};
    int64_t size = w->shard.size, most = side / (BLOCKS * CSIM__GRID_BLOCK);
    csim_status st = CSIM_OK;
    for (int p = 1; p <= most && (int64_t)p * p <= size; p++) {
        for (int q = p == 1 ? 2 : p; q <= 2 * p && q <= most && (int64_t)p * q <= size; q++) {
            trial t;
            CSIM_TRY(try_groups(w, p, q, &t));
            if (!t.fits || (best->fits && t.seconds >= best->seconds)) { continue; }
            *best = t;
            found = w->teams;
        }
    }
done:
    w->teams = found;
    return st;
}

static csim_status choose(csim__sweep *w, int64_t side)
{
    trial alone, best;
    csim_status st = try_groups(w, 1, 1, &alone);
    if (st != CSIM_OK) { return st; }
    const csim__effort *e = &alone.f.effort;
    /* as if the decompositions were spread over all ranks at no cost */
    double least = alone.seconds - e->seconds[CSIM__TERM_DECOMPOSE] + e->tasks / w->shard.size;
    if (alone.fits && least > GOOD_DEAL * alone.seconds) { return CSIM_OK; }
    best = alone;
    st = try_all(w, side, &best);
    if (st != CSIM_OK || csim__teams_size(&w->teams) == 1) { return st; }
    if (!alone.fits) {
        w->why = CSIM__WHY_MEMORY;
    } else if (best.seconds <= GOOD_DEAL * alone.seconds) {
        w->why = CSIM__WHY_TIME;
    } else {
        w->teams.p = w->teams.q = 1;
    }
    return CSIM_OK;
}

/* Of all pairs that were asked for, also where this sweep is one part of them, so that all parts have
 * the same groups. */
csim_status csim__choose_groups(csim__sweep *w)
{
    int64_t cells = (int64_t)w->cells.rows * w->cells.cols, side;
    unsigned char *open = NULL;
    csim_status st = CSIM_OK;
    w->teams = (csim__teams){1, 1, csim__max64(CSIM_GRID_CHOSEN_FROM, csim__grid_from(w->options))};
    w->why = CSIM__WHY_NONE;
    if (w->shard.size == 1) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(w->ctx, cells, 1, "open cells", &open));
    memcpy(open, w->cells.open, (size_t)cells);
    memcpy(w->cells.open, w->cells.requested, (size_t)cells);
    side = largest_side(w);
    if (side > 0) { st = choose(w, side); }
    memcpy(w->cells.open, open, (size_t)cells);
done:
    csim__free(w->ctx, &open);
    return st;
}
