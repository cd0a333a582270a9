#include "sweep/deal.h"

#include <math.h>
#include <stdlib.h>

void csim__plan_parts(const csim__problem *p, csim__plan *plan)
{
    enum { SAVES = 16 }; /* as many at least, so that little is lost */
    const int64_t border[] = {0, plan->selves, plan->count};
    int64_t lanes = csim__teams_lanes(&p->teams, p->size);
    for (int k = 0; k < 2; k++) {
        csim__part *part = &plan->part[k];
        *part = (csim__part){border[k], border[k + 1], plan->round * lanes};
        int64_t few = (part->last - part->first + SAVES - 1) / SAVES;
        double most = 0; /* work of a pair */
        for (int64_t i = part->first; p->saves && i < part->last; i++) {
            most = fmax(most, csim__plan_share(p, plan, &plan->pairs[i]));
        }
        if ((double)few * most > CSIM__PLAN_SAVED) { few = (int64_t)(CSIM__PLAN_SAVED / most); }
        few = csim__max64(1, (few + lanes - 1) / lanes) * lanes;
        if (p->saves) { part->step = csim__min64(part->step, few); }
        part->step = csim__max64(1, part->step);
    }
}

bool csim__pair_large(const csim__problem *p, const csim__planned *q)
{
    int64_t least = csim__min64(p->width[q->couple.left], p->width[q->couple.right]);
    if (q->route == CSIM__ROUTE_BASIS) { least = csim__min64(least, p->n); }
    return csim__teams_size(&p->teams) > 1 && q->cell && q->couple.left != q->couple.right &&
           least >= p->teams.least && (p->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_BASIS)) != 0;
}

/* A rank, or a group by its leader. */
typedef struct lane {
    double load;         /* work of this round */
    int64_t taken, held; /* pairs so far; of them in this round */
    int64_t blocks;      /* words of their blocks */
} lane;

/* Ranks by what they have to do; heap[0] has least. */
typedef struct queue {
    lane *rank; /* [size] */
    int *heap;  /* [size] */
    int count;
} queue;

static bool before(const queue *w, int a, int b)
{
    const lane *x = &w->rank[a], *y = &w->rank[b];
    if (x->load != y->load) { return x->load < y->load; }
    if (x->taken != y->taken) { return x->taken < y->taken; }
    return a < b;
}

static void sink(queue *w, int at)
{
    for (int down = 2 * at + 1; down < w->count; down = 2 * at + 1) {
        down += down + 1 < w->count && before(w, w->heap[down + 1], w->heap[down]);
        if (before(w, w->heap[at], w->heap[down])) { return; }
        int r = w->heap[at];
        w->heap[at] = w->heap[down];
        w->heap[down] = r;
        at = down;
    }
}

/* The first @p count of every @p step ranks that may take another pair. */
static void line_up(queue *w, int count, int step, int64_t most)
{
    w->count = 0;
    for (int k = 0; k < count; k++) {
        if (w->rank[k * step].held < most) { w->heap[w->count++] = k * step; }
    }
    for (int at = w->count / 2; at-- > 0;) { sink(w, at); }
}

/* The rank with least to do takes a pair. */
static int take(queue *w, double work, int64_t most)
{
    int r = w->heap[0];
    w->rank[r].load += work;
    w->rank[r].taken++;
    if (++w->rank[r].held == most) { w->heap[0] = w->heap[--w->count]; }
    sink(w, 0);
    return r;
}

int csim__longest_first(const void *a, const void *b)
{
    const csim__planned *x = *(const csim__planned *const *)a,
                        *y = *(const csim__planned *const *)b;
    if (x->large != y->large) { return x->large ? -1 : 1; }
    if (x->finish != y->finish) { return x->finish > y->finish ? -1 : 1; }
    return x < y ? -1 : 1;
}

/* What the owner of a pair holds of it, and what its ranks take to decompose it. */
static void note(const csim__problem *p, csim__plan *plan, queue *w, const csim__planned *q)
{
    csim__workspace work = csim__room_workspace(p, q);
    int team = q->large ? csim__teams_size(&p->teams) : 1;
    for (int k = 0; k < team; k++) {
        lane *l = &w->rank[q->owner + k];
        int64_t *most = &plan->work[q->owner + k], *blocks = &plan->blocks[q->owner + k];
        if (k == 0 || q->dealt) { l->blocks += csim__room_pair(p, plan, q, k); }
        *blocks = csim__max64(*blocks, l->blocks);
        *most = csim__max64(*most, k == 0 ? work.leader : work.member);
        plan->busy[q->owner + k] = 1;
    }
}

/* The pairs of one round, in the order in which they are dealt. */
static void deal_round(const csim__problem *p, csim__plan *plan, queue *w, csim__planned **list,
                       int64_t count)
{
    int team = csim__teams_size(&p->teams), groups = csim__teams_lanes(&p->teams, p->size);
    int64_t i = 0, most = plan->streamed ? (count + groups - 1) / groups : plan->round;
    for (int r = 0; r < p->size; r++) { w->rank[r].load = w->rank[r].held = w->rank[r].blocks = 0; }
    if (count > 0 && list[0]->large) { line_up(w, groups, team, most); }
    for (; i < count && list[i]->large; i++) {
        list[i]->owner = take(w, list[i]->finish * CSIM__TEAM_PACE / team, most);
    }
    for (int r = 0; r < groups * team; r++) { /* shares of dealt blocks count as blocks */
        w->rank[r].load = w->rank[r / team * team].load;
        w->rank[r].held = w->rank[r / team * team].held;
    }
    line_up(w, p->size, 1, most);
    for (; i < count; i++) { list[i]->owner = take(w, list[i]->finish, most); }
    for (i = 0; i < count; i++) { note(p, plan, w, list[i]); }
    double slowest = 0;
    int without = 0;
    for (int r = 0; r < p->size; r++) { slowest = fmax(slowest, w->rank[r].load); }
    for (int r = 0; r < p->size; r++) {
        plan->idle += slowest - w->rank[r].load;
        without += w->rank[r].held == 0;
    }
    csim__idle_add(&plan->without, (csim__idle_ranks){1, without, without});
}

csim_status csim__deal(csim_context *ctx, const csim__problem *p, csim__plan *plan)
{
    csim__planned **list = NULL;
    queue w = {.rank = NULL};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, p->size, sizeof *plan->blocks, "blocks of ranks", &plan->blocks));
    CSIM_TRY(csim__calloc(ctx, p->size, sizeof *plan->work, "workspace of ranks", &plan->work));
    CSIM_TRY(csim__calloc(ctx, p->size, 1, "marks of ranks", &plan->busy));
    CSIM_TRY(csim__calloc(ctx, p->size, sizeof *w.rank, "work of ranks", &w.rank));
    CSIM_TRY(csim__alloc(ctx, p->size, sizeof *w.heap, "ranks", &w.heap));
    CSIM_TRY(csim__alloc(ctx, plan->count, sizeof(csim__planned *), "pairs", &list));
    for (int64_t i = 0; i < plan->count; i++) { list[i] = &plan->pairs[i]; }
    for (int64_t i = 0, end; i < plan->count; i = end) {
        end = csim__plan_round(plan, i);
        qsort(list + i, (size_t)(end - i), sizeof *list, csim__longest_first);
        deal_round(p, plan, &w, list + i, end - i);
    }
done:
    csim__free(ctx, &list);
    csim__free(ctx, &w.heap);
    csim__free(ctx, &w.rank);
    return st;
}
