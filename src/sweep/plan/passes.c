#include "sweep/plan/passes.h"

#include <math.h>
#include <string.h>

#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "sweep/plan/deal.h"

enum { WORD = 8 };

/* A way to cut the pairs of a plan. */
typedef struct cutting {
    csim_context *ctx;
    const csim__problem *p;
    csim__plan *plan;
    int64_t chunk, room, finish;
    int64_t own;    /* bytes of the blocks of a pair on one rank, at most */
    int64_t lanes;  /* owners side by side */
    int64_t *at;    /* [sites, sites] place of pair a ≤ b in the plan, −1: none */
    int64_t *order; /* [pairs] places in the plan */
    int64_t ordered;
    unsigned char *taken; /* [pairs] is in the order */

    /* the pass at hand */
    unsigned *forms;                                         /* [sites] */
    unsigned all;                                            /* forms of all its sites */
    int lacking;                                             /* sites without centred rows */
    int64_t pairs, slots, blocks, identities, largest, most; /* bytes, but for the pairs */
    int64_t widest, fetched, alike;                          /* numbers of a row; bytes; numbers */
    double work;                                             /* of a rank */
    int parts;

    /* the round at hand */
    int64_t round_pairs, round_passes, tasks;
    double round_work, sum, longest; /* of a rank for all; of decompositions */

    int64_t *reads, *turns; /* [sites] of all passes */
    int64_t passes, rounds;
    double numbers; /* that are read in all passes */
    double idle;    /* work that could be done while owners wait for the last of them */
    bool fits;
} cutting;

void csim__passes_forms(const csim__problem *p, const csim__plan *plan, const csim__planned *q,
                        unsigned forms[2])
{
    csim__products s = csim__plan_products(p, plan, q);
    const int site[2] = {q->couple.left, q->couple.right};
    bool self = site[0] == site[1], alike = p->width[site[0]] == p->width[site[1]];
    for (int k = 0; k < 2; k++) {
        bool tall = p->n > p->width[site[k]]; /* the rows of other bases are held */
        forms[k] = 0;
        if (s.cross > 0) { forms[k] |= p->single ? CSIM__FORM_SINGLE : CSIM__FORM_CENTRED; }
        if (s.basis > 0 && tall && !self) { forms[k] |= CSIM__FORM_BASIS; }
        if (s.raw > 0 && tall && !self) { forms[k] |= CSIM__FORM_RAW_BASIS; }
        if (s.unit > 0) { forms[k] |= CSIM__FORM_UNIT; }
        if (q->cell && plan->raw_rows && alike) { forms[k] |= CSIM__FORM_CENTRED; }
    }
}

/* ---- one pass ---- */

static void begin_pass(cutting *w)
{
    memset(w->forms, 0, (size_t)w->p->sites * sizeof *w->forms);
    w->all = 0;
    w->lacking = 0;
    w->pairs = w->slots = w->blocks = w->identities = w->largest = w->most = 0;
    w->widest = w->fetched = w->alike = 0;
    w->work = 0;
    w->parts = 1;
}

/* What the pass takes beside the blocks of its pairs. */
static int64_t beside(const cutting *w)
{
    int64_t rows = w->plan->raw_rows ? 2 * WORD * w->chunk * (w->alike + 1) : 0;
    return w->slots + rows + w->largest +
           csim__feed_bytes(w->chunk, w->widest, w->fetched, w->all, w->lacking > 0) +
           w->pairs * CSIM__PLAN_LISTED;
}

static void add_guest(cutting *w, int s, unsigned forms)
{
    int64_t d = w->p->width[s], q = csim__min64(d, w->p->n);
    unsigned had = w->forms[s];
    if (forms == 0) { return; }
    w->slots +=
        csim__guest_bytes(w->chunk, d, q, had | forms) - csim__guest_bytes(w->chunk, d, q, had);
    w->lacking -= had != 0 && !(had & CSIM__FORM_CENTRED);
    w->lacking += !((had | forms) & CSIM__FORM_CENTRED);
    w->forms[s] |= forms;
    w->all |= forms;
    w->widest = csim__max64(w->widest, d);
    w->fetched = csim__max64(w->fetched, w->p->item != NULL ? d * w->p->item[s] : 0);
}

/* Numbers in the sums of the products of a pair, in the largest of some parts of their panels. */
static int64_t numbers_of(const cutting *w, const csim__planned *q, int parts)
{
    csim__products s = csim__plan_products(w->p, w->plan, q);
    int64_t n = w->p->n, da = w->p->width[q->couple.left], db = w->p->width[q->couple.right];
    int whole = (s.cross > 0) + (s.unit > 0), bases = (s.basis > 0) + (s.raw > 0);
    if (q->couple.left == q->couple.right) { bases = 0; }
    return whole * csim__cross_most(da, db, parts) +
           bases * csim__cross_most(csim__min64(da, n), csim__min64(db, n), parts);
}

/* Panels of the widest product of a pair. */
static int64_t panels_of(const cutting *w, const csim__planned *q)
{
    return csim__cross_panels(w->p->width[q->couple.left], w->p->width[q->couple.right]);
}

static void add_pair(cutting *w, const csim__planned *q)
{
    csim__products s = csim__plan_products(w->p, w->plan, q);
    bool self = q->couple.left == q->couple.right;
    unsigned forms[2];
    csim__passes_forms(w->p, w->plan, q, forms);
    add_guest(w, q->couple.left, forms[0]);
    add_guest(w, q->couple.right, forms[1]);
    w->pairs++;
    w->work += csim__plan_share(w->p, w->plan, q);
    w->blocks += WORD * numbers_of(w, q, 1);
    w->identities += WORD * (self ? s.basis + s.raw : 0);
    w->largest = csim__max64(w->largest, WORD * csim__room_panel(w->p, q, &s));
    w->most = csim__max64(w->most, WORD * csim__room_pair(w->p, w->plan, q, 0));
    if (w->p->width[q->couple.left] == w->p->width[q->couple.right]) {
        w->alike = csim__max64(w->alike, w->p->width[q->couple.left]);
    }
}

/* Is there room for the sums? With rounds of several passes owners hold a pair of another one. */
static bool has_room(const cutting *w, bool deep)
{
    int64_t others = deep ? w->own : w->identities;
    return beside(w) + w->blocks <= w->room - others;
}

static bool too_long(const cutting *w, double work)
{
    return w->p->saves && work > CSIM__PLAN_SAVED;
}

/* Can owners finish the pairs of the pass together? */
static bool can_finish(const cutting *w)
{
    int64_t each = (w->pairs + w->lanes - 1) / w->lanes; /* pairs of an owner */
    return each * w->most <= w->finish;
}

static bool fits(const cutting *w, bool deep)
{
    return has_room(w, deep) && can_finish(w) && !too_long(w, w->work);
}

/* The pairs from @p first on that go into one pass; returns the end of them. One that is too much by
 * itself goes by parts. */
static int64_t fill_pass(cutting *w, int64_t first, bool deep)
{
    const csim__planned *pairs = w->plan->pairs;
    int64_t end = first;
    begin_pass(w);
    do {
        add_pair(w, &pairs[w->order[end++]]);
    } while (end < w->ordered && fits(w, deep));
    if (end - first > 1 && !fits(w, deep)) { /* without the last one, which was too much */
        begin_pass(w);
        end--;
        for (int64_t i = first; i < end; i++) { add_pair(w, &pairs[w->order[i]]); }
    }
    const csim__planned *q = &pairs[w->order[first]];
    while (deep && end - first == 1 && !has_room(w, deep) && w->parts < panels_of(w, q)) {
        w->blocks = WORD * numbers_of(w, q, ++w->parts);
    }
    w->fits = w->fits && has_room(w, deep) && can_finish(w);
    return end;
}

/* ---- all rounds ---- */

/* What the ranks that are ready could do until the last of a round is. */
static void end_round(cutting *w)
{
    int team = csim__teams_size(&w->p->teams);
    double slowest = 0, pace = team > 1 ? (double)CSIM__TEAM_PACE / team : 1;
    if (w->tasks > 0) {
        int64_t turns = (w->tasks + w->lanes - 1) / w->lanes;
        slowest = pace * fmax(w->longest, (double)turns * w->sum / (double)w->tasks);
    }
    w->idle += fmax(0, slowest * w->p->size - w->sum);
    w->round_pairs = w->round_passes = w->tasks = 0;
    w->round_work = w->sum = w->longest = 0;
}

/* The pass, which has @p count pairs, belongs to the round at hand, or to the next. */
static void join_round(cutting *w, int64_t first, int64_t count, bool deep)
{
    bool more = deep && w->round_pairs + count <= w->lanes && !too_long(w, w->round_work + w->work);
    if (w->round_passes > 0 && !more) { end_round(w); }
    if (w->round_passes == 0) {
        if (w->plan->rounds != NULL) {
            w->plan->rounds[w->rounds] = (csim__planned_round){w->passes, first};
        }
        w->rounds++;
    }
    w->round_pairs += count;
    w->round_passes += w->parts;
    w->round_work += w->work;
    for (int64_t i = first; i < first + count; i++) {
        double finish = w->plan->pairs[w->order[i]].finish;
        w->tasks += finish > 0;
        w->sum += finish;
        w->longest = fmax(w->longest, finish);
    }
}

static void note_pass(cutting *w, int64_t first, int64_t last)
{
    for (int k = 0; k < w->parts; k++, w->passes++) {
        if (w->plan->pass == NULL) { continue; }
        w->plan->pass[w->passes] =
            (csim__planned_pass){first, last, {k, w->parts}, w->blocks, w->identities, beside(w)};
    }
    for (int s = 0; s < w->p->sites; s++) {
        unsigned forms = w->forms[s];
        if (forms == 0) { continue; }
        w->reads[s] += w->parts;
        w->numbers += (double)w->parts * (double)w->p->width[s];
        w->turns[s] += w->parts * (!!(forms & CSIM__FORM_BASIS) + !!(forms & CSIM__FORM_RAW_BASIS));
    }
}

/* Cut the order where a pass is full, or a round; into the plan, once that has room for it. */
static void cut(cutting *w, bool deep)
{
    memset(w->reads, 0, (size_t)w->p->sites * sizeof *w->reads);
    memset(w->turns, 0, (size_t)w->p->sites * sizeof *w->turns);
    w->numbers = w->idle = 0;
    w->passes = w->rounds = 0;
    w->fits = true;
    for (int64_t first = 0, end; first < w->ordered; first = end) {
        end = fill_pass(w, first, deep);
        join_round(w, first, end - first, deep);
        note_pass(w, first, end);
    }
    end_round(w);
}

static void put(cutting *w, int a, int b)
{
    int64_t at = w->at[(int64_t)a * w->p->sites + b];
    if (at < 0 || w->taken[at]) { return; }
    w->taken[at] = 1;
    w->order[w->ordered++] = at;
}

/* Blocks of @p height sites by as many, row after row of them there and back, so that one block has
 * sites in common with the next. */
static void set_order(cutting *w, int height)
{
    int sites = w->p->sites, groups = (sites + height - 1) / height;
    memset(w->taken, 0, (size_t)w->plan->count);
    w->ordered = 0;
    for (int i = 0; i < groups; i++) {
        for (int k = i; k < groups; k++) {
            int j = i % 2 == 0 ? k : groups - 1 - (k - i);
            for (int a = i * height; a < sites && a < (i + 1) * height; a++) {
                for (int b = j * height; b < sites && b < (j + 1) * height; b++) {
                    if (a > b || w->at[(int64_t)a * sites + b] < 0) { continue; }
                    put(w, a, a); /* a pair of a site may want its self-term */
                    put(w, b, b);
                    put(w, a, b);
                }
            }
        }
    }
}

static csim_status allocate(cutting *w)
{
    int64_t sites = w->p->sites, count = w->plan->count;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, sites * sites, sizeof *w->at, "places of pairs", &w->at));
    CSIM_TRY(csim__alloc(w->ctx, count, sizeof *w->order, "an order of pairs", &w->order));
    CSIM_TRY(csim__alloc(w->ctx, count, 1, "marks of pairs", &w->taken));
    CSIM_TRY(csim__alloc(w->ctx, sites, sizeof *w->forms, "forms of sites", &w->forms));
    CSIM_TRY(csim__alloc(w->ctx, sites, sizeof *w->reads, "readings", &w->reads));
    CSIM_TRY(csim__alloc(w->ctx, sites, sizeof *w->turns, "readings", &w->turns));
    for (int64_t i = 0; i < sites * sites; i++) { w->at[i] = -1; }
    for (int64_t i = 0; i < count; i++) {
        const csim__couple *c = &w->plan->pairs[i].couple;
        w->at[c->left * sites + c->right] = i;
    }
done:
    return st;
}

/* Pairs into their order, readings to what else reads the sites. */
static csim_status settle(cutting *w, bool deep)
{
    csim__plan *plan = w->plan;
    csim__planned *pairs = NULL;
    csim_status st = CSIM_OK;
    cut(w, deep);
    CSIM_TRY(csim__alloc(w->ctx, w->passes, sizeof *plan->pass, "passes", &plan->pass));
    CSIM_TRY(csim__alloc(w->ctx, w->rounds + 1, sizeof *plan->rounds, "rounds", &plan->rounds));
    CSIM_TRY(csim__alloc(w->ctx, csim__max64(plan->count, 1), sizeof *pairs, "pairs", &pairs));
    cut(w, deep);
    plan->passes = w->passes;
    plan->many_rounds = w->rounds;
    plan->rounds[w->rounds] = (csim__planned_round){w->passes, w->ordered};
    for (int64_t i = 0; i < plan->count; i++) { pairs[i] = plan->pairs[w->order[i]]; }
    memcpy(plan->pairs, pairs, (size_t)plan->count * sizeof *pairs);
    for (int s = 0; s < w->p->sites; s++) {
        plan->reads[s] += (double)w->reads[s];
        plan->turns[s] = w->turns[s];
    }
done:
    csim__free(w->ctx, &pairs);
    return st;
}

/* A way to cut that takes least of those tried so far. */
typedef struct choice {
    int height;
    bool deep;
    double cost; /* INFINITY: it does not fit */
} choice;

/* Blocks of some heights, until they get worse. */
static void try_heights(cutting *w, bool deep, choice *best)
{
    enum { PATIENCE = 4 };
    double least = INFINITY;
    int worse = 0;
    for (int h = 1; h <= w->p->sites && worse < PATIENCE; h += 1 + h / 4) {
        set_order(w, h);
        cut(w, deep);
        double cost = w->fits ? CSIM__READING * (double)w->p->n * w->numbers + w->idle : INFINITY;
        worse = cost < least ? 0 : worse + 1;
        least = fmin(cost, least);
        if (cost < best->cost) { *best = (choice){h, deep, cost}; }
    }
}

csim_status csim__passes_make(csim_context *ctx, const csim__problem *p, csim__plan *plan,
                              int64_t room, int64_t finish)
{
    cutting w = {.ctx = ctx,
                 .p = p,
                 .plan = plan,
                 .chunk = csim__chunk_length(p->n),
                 .room = room,
                 .finish = finish,
                 .own = csim__room_blocks(p, plan),
                 .lanes = csim__teams_lanes(&p->teams, p->size)};
    choice best = {1, false, INFINITY};
    csim_status st = CSIM_OK;
    CSIM_TRY(allocate(&w));
    try_heights(&w, false, &best);
    if (p->size > 1) { try_heights(&w, true, &best); }
    set_order(&w, best.height);
    st = settle(&w, best.deep);
done:
    csim__free(ctx, &w.turns);
    csim__free(ctx, &w.reads);
    csim__free(ctx, &w.forms);
    csim__free(ctx, &w.taken);
    csim__free(ctx, &w.order);
    csim__free(ctx, &w.at);
    return st;
}
