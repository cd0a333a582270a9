/* Groups of ranks by the cost model: none, unless a pair is too large for one rank, or the sweep gets a
 * good deal faster. Values that groups make differ by rounding from those of one rank, so small gains
 * are left alone, and so is what a machine was measured to do: what is chosen depends on shapes,
 * measures, the number of ranks and the memory limit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sweep/state.h"

enum {
    BLOCKS = 8, /* that each row and column of a grid has at least */
    WIDEST = 64,
    TRIALS = 4
};

#define GOOD_DEAL (2.0 / 3) /* of the time without groups: half as fast again */

/* A sweep with some groups, and the tiling that it has then. */
typedef struct trial {
    csim__forecast f;
    csim__teams teams;
    int blocks, no_room;
    bool fits, streamed;
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
    t->teams = w->teams;
    t->blocks = w->blocks;
    t->no_room = w->no_room;
    t->streamed = w->streamed;
    t->fits = st == CSIM_OK;
    t->seconds = csim__effort_seconds(&t->f.effort, NULL);
    if (st == CSIM_E_MEM && t->f.size > 0) {
        csim__forgive(w->ctx);
        st = CSIM_OK;
    }
    return st;
}

/* The pairs that groups could decompose, and the smaller side of the largest. */
typedef struct large {
    int64_t count, side;
} large;

static large find_large(const csim__sweep *w)
{
    large l = {0, 0};
    if (!(w->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_CANONICAL)) || w->shard.n < w->teams.least) {
        return l;
    }
    for (int a = 0; a < w->all_count; a++) {
        for (int b = a + 1; b < w->all_count; b++) {
            int64_t side = csim__min64(w->all[a].d, w->all[b].d);
            if (side < w->teams.least || !csim__cells_open(&w->cells, a, b)) { continue; }
            l.count++;
            l.side = csim__max64(l.side, side);
        }
    }
    return l;
}

/* A shape of groups, and about how long they take for all large pairs. */
typedef struct shape {
    int p, q;
    double seconds;
} shape;

static int fastest_first(const void *a, const void *b)
{
    const shape *x = a, *y = b;
    if (x->seconds != y->seconds) { return x->seconds < y->seconds ? -1 : 1; }
    return x->p != y->p ? x->p - y->p : x->q - y->q;
}

/* Grids of up to twice as many columns as rows, whose blocks are enough for all their ranks, the
 * fastest first. @p list has room for WIDEST² of them. */
static int list_shapes(const csim__sweep *w, const large *l, shape *list)
{
    csim__machine m = common_machine();
    int64_t most = csim__min64(WIDEST, l->side / (BLOCKS * CSIM__GRID_BLOCK));
    double k = (double)l->side, flops = 4.0 / 3 * k * k * k;
    int count = 0, size = w->shard.size;
    for (int p = 1; p <= most; p++) {
        for (int q = p == 1 ? 2 : p; q <= 2 * p && q <= most && p * q <= size; q++) {
            double turns = ceil((double)l->count / (size / (p * q)));
            double one = flops / (p * q * m.grid_eigen_values) +
                         csim__grid_messages(&csim__grid_values, p, q, k, m.latency, m.bandwidth);
            list[count++] = (shape){p, q, turns * one};
        }
    }
    qsort(list, (size_t)count, sizeof *list, fastest_first);
    return count;
}

/* Try shapes in turn: the first with which the sweep fits where it does not without, else a few, of
 * which the fastest is best. */
static csim_status try_shapes(csim__sweep *w, const large *l, trial *best)
{
    bool fit = best->fits;
    shape *list = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, WIDEST * WIDEST, sizeof *list, "shapes of groups", &list));
    int count = list_shapes(w, l, list);
    for (int i = 0; i < count && (fit ? i < TRIALS : !best->fits); i++) {
        trial t;
        w->teams.p = list[i].p;
        w->teams.q = list[i].q;
        if (!fit && !csim__sweep_pair_fits(w)) { continue; }
        CSIM_TRY(try_groups(w, list[i].p, list[i].q, &t));
        if (!t.fits || (best->fits && t.seconds >= best->seconds)) { continue; }
        *best = t;
    }
done:
    csim__free(w->ctx, &list);
    return st;
}

/* Is a sweep too large for other reasons than its pairs? */
static bool hopeless(const csim__sweep *w, const csim__forecast *f)
{
    for (int s = 0; s < CSIM__STAGE_COUNT; s++) {
        bool pairs = s == CSIM__STAGE_PRODUCTS || s == CSIM__STAGE_FINISH;
        if (!pairs && csim__room_stage(&f->room, (csim__stage)s) > w->options->memory) {
            return true;
        }
    }
    return false;
}

/* @param[out] chosen  also where nothing fits */
static csim_status choose(csim__sweep *w, const large *l, trial *chosen)
{
    csim_status st = try_groups(w, 1, 1, chosen);
    if (st != CSIM_OK || (!chosen->fits && hopeless(w, &chosen->f))) { return st; }
    const csim__effort *e = &chosen->f.effort;
    /* as if the decompositions were spread over all ranks at no cost */
    double least = chosen->seconds - e->seconds[CSIM__TERM_DECOMPOSE] + e->tasks / w->shard.size;
    if (chosen->fits && least > GOOD_DEAL * chosen->seconds) { return CSIM_OK; }
    trial best = *chosen;
    st = try_shapes(w, l, &best);
    if (st != CSIM_OK || csim__teams_size(&best.teams) == 1) { return st; }
    if (chosen->fits && best.seconds > GOOD_DEAL * chosen->seconds) { return CSIM_OK; }
    w->why = chosen->fits ? CSIM__WHY_TIME : CSIM__WHY_MEMORY;
    *chosen = best;
    return CSIM_OK;
}

/* Of all pairs that were asked for, also where this sweep is one part of them, so that all parts have
 * the same groups. */
csim_status csim__choose_groups(csim__sweep *w)
{
    int64_t cells = (int64_t)w->cells.rows * w->cells.cols;
    unsigned char *open = NULL;
    csim_status st = CSIM_OK;
    w->teams = (csim__teams){1, 1, csim__max64(CSIM_GRID_CHOSEN_FROM, csim__grid_from(w->options))};
    w->why = CSIM__WHY_NONE;
    if (w->shard.size == 1) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(w->ctx, cells, 1, "open cells", &open));
    memcpy(open, w->cells.open, (size_t)cells);
    memcpy(w->cells.open, w->cells.requested, (size_t)cells);
    large l = find_large(w);
    if (l.count > 0) {
        trial t;
        st = choose(w, &l, &t);
        w->teams = t.teams;
        w->blocks = t.blocks;
        w->no_room = t.no_room;
        w->streamed = t.streamed;
        w->divided = memcmp(w->cells.open, open, (size_t)cells) == 0;
    }
    memcpy(w->cells.open, open, (size_t)cells);
done:
    csim__free(w->ctx, &open);
    return st;
}
