#include "sweep/plan/deal.h"

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
           least >= p->teams.least && (p->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_CANONICAL)) != 0;
}

/* A rank, or a group by its leader. */
typedef struct lane {
    double load;         /* work of this round */
    int64_t taken, held; /* pairs so far; of them in this round */
    int64_t blocks;      /* words of their blocks */
    int64_t identities;  /* of these, overlaps of bases with themselves, which are no sums */
} lane;

/* Ranks, the one with least to do at rank[0]. */
typedef struct heap {
    int *rank; /* [size] */
    int count;
} heap;

/* A round has few pairs beside the ranks there may be: it looks only at those that get some. */
typedef struct queue {
    lane *rank; /* [size] */
    heap now;   /* have pairs of this round, and may take more */
    heap rest;  /* have none */
    heap full;  /* in no order: have as many as they may */
} queue;

static bool before(const queue *w, int a, int b)
{
    const lane *x = &w->rank[a], *y = &w->rank[b];
    if (x->load != y->load) { return x->load < y->load; }
    if (x->taken != y->taken) { return x->taken < y->taken; }
    return a < b;
}

static void swap(heap *h, int a, int b)
{
    int r = h->rank[a];
    h->rank[a] = h->rank[b];
    h->rank[b] = r;
}

static void sink(const queue *w, heap *h)
{
    for (int at = 0, down = 1; down < h->count; at = down, down = 2 * at + 1) {
        down += down + 1 < h->count && before(w, h->rank[down + 1], h->rank[down]);
        if (before(w, h->rank[at], h->rank[down])) { return; }
        swap(h, at, down);
    }
}

static void push(const queue *w, heap *h, int rank)
{
    h->rank[h->count] = rank;
    for (int at = h->count++; at > 0 && before(w, rank, h->rank[(at - 1) / 2]); at = (at - 1) / 2) {
        swap(h, at, (at - 1) / 2);
    }
}

static int pop(const queue *w, heap *h)
{
    int rank = h->rank[0];
    h->rank[0] = h->rank[--h->count];
    sink(w, h);
    return rank;
}

/* Every @p step-th rank, @p count in all, by what it has to do, unless it is full. */
static void line_up(queue *w, int count, int step, int64_t most)
{
    w->now.count = w->rest.count = w->full.count = 0;
    for (int r = 0; r < count * step; r += step) {
        if (w->rank[r].held < most) {
            push(w, w->rank[r].held > 0 ? &w->now : &w->rest, r);
        } else {
            w->full.rank[w->full.count++] = r;
        }
    }
}

/* The rank with least to do takes a pair. */
static int take(queue *w, double work, int64_t most)
{
    bool fresh =
        w->rest.count > 0 && (w->now.count == 0 || before(w, w->rest.rank[0], w->now.rank[0]));
    int r = pop(w, fresh ? &w->rest : &w->now);
    w->rank[r].load += work;
    w->rank[r].taken++;
    if (++w->rank[r].held == most) {
        w->full.rank[w->full.count++] = r;
    } else {
        push(w, &w->now, r);
    }
    return r;
}

/* The round is over; returns the most that a rank had to do. */
static double rest(queue *w)
{
    double most = 0;
    while (w->now.count + w->full.count > 0) {
        heap *from = w->full.count > 0 ? &w->full : &w->now;
        int r = from->rank[--from->count];
        most = fmax(most, w->rank[r].load);
        w->rank[r].load = 0;
        w->rank[r].held = 0;
        push(w, &w->rest, r);
    }
    return most;
}

int csim__longest_first(const void *a, const void *b)
{
    const csim__planned *x = *(const csim__planned *const *)a,
                        *y = *(const csim__planned *const *)b;
    if (x->large != y->large) { return x->large ? -1 : 1; }
    if (x->finish != y->finish) { return x->finish > y->finish ? -1 : 1; }
    return x < y ? -1 : 1;
}

/* What the ranks of a pair hold of it. */
static void note(const csim__problem *p, csim__plan *plan, queue *w, const csim__planned *q)
{
    int team = q->large ? csim__teams_size(&p->teams) : 1;
    for (int k = 0; k < team; k++) {
        lane *l = &w->rank[q->owner + k];
        int64_t *most = &plan->blocks[q->owner + k];
        if (k == 0 || q->dealt) { l->blocks += csim__room_pair(p, plan, q, k); }
        if (q->couple.left == q->couple.right) {
            csim__products sizes = csim__plan_products(p, plan, q);
            l->identities += sizes.basis + sizes.raw;
        }
        *most = csim__max64(*most, l->blocks);
        plan->busy[q->owner + k] = 1;
    }
}

/* The largest panels of products: of all, and of others than the owner of that has. */
typedef struct panels {
    int64_t largest, second;
    int owner; /* −1: no rank has a whole one */
} panels;

static void take_panel(const csim__problem *p, const csim__plan *plan, const csim__planned *q,
                       panels *most)
{
    csim__products sizes = csim__plan_products(p, plan, q);
    int64_t numbers = csim__room_panel(p, q, &sizes);
    int owner = q->dealt ? -1 : q->owner;
    if (numbers > most->largest) {
        most->second = owner != most->owner ? most->largest : most->second;
        most->largest = numbers;
        most->owner = owner;
    } else if (owner != most->owner) {
        most->second = csim__max64(most->second, numbers);
    }
}

/* In a streamed round of one pass every rank has the sums of all its products, those of its own pairs among
 * them; in one of several passes its blocks may all be of another pass. */
static void note_passes(const csim__problem *p, csim__plan *plan, queue *w, int64_t first,
                        csim__planned *const *list, int64_t count)
{
    const csim__planned_round *round = csim__plan_find_round(plan, first);
    bool alone = round[1].pass - round[0].pass == 1;
    int64_t bytes = 0;
    for (int64_t i = round[0].pass; i < round[1].pass; i++) {
        bytes = csim__max64(bytes, plan->pass[i].slots + plan->pass[i].blocks);
    }
    for (int64_t i = 0; i < count; i++) {
        int team = list[i]->large ? csim__teams_size(&p->teams) : 1;
        for (int r = list[i]->owner; r < list[i]->owner + team; r++) {
            int64_t own = alone ? w->rank[r].identities : w->rank[r].blocks;
            plan->products[r] = csim__max64(plan->products[r], (bytes + 7) / 8 + own);
        }
    }
    for (int64_t i = 0; i < count; i++) { w->rank[list[i]->owner].identities = 0; }
}

/* A pair is decomposed beside the blocks that are left, and its own is gone then. */
static void finish(const csim__problem *p, csim__plan *plan, queue *w, const csim__planned *q)
{
    csim__workspace work = csim__room_workspace(p, q);
    int team = q->large ? csim__teams_size(&p->teams) : 1;
    for (int k = 0; k < team; k++) {
        lane *l = &w->rank[q->owner + k];
        int64_t *most = &plan->finish[q->owner + k];
        *most = csim__max64(*most, l->blocks + (k == 0 ? work.leader : work.member));
        if (k == 0 || q->dealt) { l->blocks -= csim__room_pair(p, plan, q, k); }
    }
}

/* What ranks hold and take in a round: while products are made, and as the pairs are finished, those of
 * sites with themselves first, then the large ones as they are dealt, then all others (rounds.c). */
static void note_round(const csim__problem *p, csim__plan *plan, queue *w, int64_t first,
                       csim__planned *const *list, int64_t count)
{
    panels most = {.owner = -1};
    for (int64_t i = 0; i < count; i++) {
        note(p, plan, w, list[i]);
        take_panel(p, plan, list[i], &most);
    }
    if (p->streamed) { note_passes(p, plan, w, first, list, count); }
    for (int r = 0; !p->streamed && r < p->size; r++) {
        int64_t foreign = p->size == 1 ? 0 : r == most.owner ? most.second : most.largest;
        int64_t products = w->rank[r].blocks + most.largest + 2 * foreign;
        plan->products[r] = csim__max64(plan->products[r], products);
    }
    for (int turn = 0; turn < 3; turn++) {
        for (int64_t i = 0; i < count; i++) {
            const csim__planned *q = turn == 1 ? list[i] : &plan->pairs[first + i];
            int due = q->large ? 1 : q->couple.left == q->couple.right ? 0 : 2;
            if (due == turn) { finish(p, plan, w, q); }
        }
    }
}

/* The pairs of one round, in the order in which they are dealt. */
static void deal_round(const csim__problem *p, csim__plan *plan, queue *w, csim__planned **list,
                       int64_t first, int64_t count)
{
    int team = csim__teams_size(&p->teams), groups = csim__teams_lanes(&p->teams, p->size);
    int64_t i = 0, most = plan->streamed ? (count + groups - 1) / groups : plan->round;
    double all = 0;
    if (count > 0 && list[0]->large) { line_up(w, groups, team, most); }
    for (; i < count && list[i]->large; i++) {
        list[i]->owner = take(w, list[i]->finish * CSIM__TEAM_PACE / team, most);
        all += list[i]->finish * CSIM__TEAM_PACE;
    }
    if (i > 0) {
        for (int r = 0; r < groups * team; r++) { /* shares of dealt blocks count as blocks */
            w->rank[r].load = w->rank[r / team * team].load;
            w->rank[r].held = w->rank[r / team * team].held;
        }
        line_up(w, p->size, 1, most);
    }
    for (; i < count; i++) {
        list[i]->owner = take(w, list[i]->finish, most);
        all += list[i]->finish;
    }
    note_round(p, plan, w, first, list, count);
    csim__idle_add(&plan->without, (csim__idle_ranks){1, w->rest.count, w->rest.count});
    plan->idle += rest(w) * p->size - all;
}

csim_status csim__deal(csim_context *ctx, const csim__problem *p, csim__plan *plan)
{
    csim__planned **list = NULL;
    queue w = {.rank = NULL};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, p->size, sizeof *plan->blocks, "blocks of ranks", &plan->blocks));
    CSIM_TRY(csim__calloc(ctx, p->size, sizeof *plan->finish, "memory of ranks", &plan->finish));
    CSIM_TRY(
        csim__calloc(ctx, p->size, sizeof *plan->products, "memory of ranks", &plan->products));
    CSIM_TRY(csim__calloc(ctx, p->size, 1, "marks of ranks", &plan->busy));
    CSIM_TRY(csim__calloc(ctx, p->size, sizeof *w.rank, "work of ranks", &w.rank));
    CSIM_TRY(csim__alloc(ctx, p->size, sizeof(int), "ranks", &w.now.rank));
    CSIM_TRY(csim__alloc(ctx, p->size, sizeof(int), "ranks", &w.rest.rank));
    CSIM_TRY(csim__alloc(ctx, p->size, sizeof(int), "ranks", &w.full.rank));
    CSIM_TRY(csim__alloc(ctx, plan->count, sizeof(csim__planned *), "pairs", &list));
    for (int64_t i = 0; i < plan->count; i++) { list[i] = &plan->pairs[i]; }
    line_up(&w, p->size, 1, plan->round);
    for (int64_t i = 0, end; i < plan->count; i = end) {
        end = csim__plan_round(plan, i);
        qsort(list + i, (size_t)(end - i), sizeof *list, csim__longest_first);
        deal_round(p, plan, &w, list + i, i, end - i);
    }
done:
    csim__free(ctx, &list);
    csim__free(ctx, &w.full.rank);
    csim__free(ctx, &w.rest.rank);
    csim__free(ctx, &w.now.rank);
    csim__free(ctx, &w.rank);
    return st;
}
