#include "sweep/passes.h"

#include <string.h>

#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "sweep/plan.h"

enum { WORD = 8 };

/* A way to cut the pairs of a plan. */
typedef struct cutting {
    csim_context *ctx;
    const csim__problem *p;
    csim__plan *plan;
    int64_t chunk, room, finish;
    int64_t *at;    /* [sites, sites] place of pair a ≤ b in the plan, −1: none */
    int64_t *order; /* [pairs] places in the plan */
    int64_t ordered;
    unsigned char *taken; /* [pairs] is in the order */

    /* the round at hand */
    unsigned *forms;                                         /* [sites] */
    unsigned all;                                            /* forms of all its sites */
    int64_t pairs, slots, blocks, identities, largest, most; /* bytes, but for the pairs */
    int64_t widest, fetched, alike;                          /* numbers of a row; bytes; numbers */
    double work;                                             /* of a rank */

    int64_t *reads, *turns; /* [sites] of all rounds */
    double numbers;         /* that are read in all rounds */
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

/* ---- one round ---- */

static void begin_round(cutting *w)
{
    memset(w->forms, 0, (size_t)w->p->sites * sizeof *w->forms);
    w->all = 0;
    w->pairs = w->slots = w->blocks = w->identities = w->largest = w->most = 0;
    w->widest = w->fetched = w->alike = 0;
    w->work = 0;
}

/* What the round takes beside the blocks of its pairs. */
static int64_t beside(const cutting *w)
{
    int64_t rows = w->plan->raw_rows ? 2 * WORD * w->chunk * (w->alike + 1) : 0;
    return w->slots + rows + w->largest +
           csim__feed_bytes(w->chunk, w->widest, w->fetched, w->all,
                            (w->all & ~(unsigned)CSIM__FORM_CENTRED) != 0) +
           w->pairs * (int64_t)(sizeof(csim_pair) + 4 * sizeof(csim__product));
}

static void add_guest(cutting *w, int s, unsigned forms)
{
    int64_t d = w->p->width[s], q = csim__min64(d, w->p->n);
    unsigned had = w->forms[s];
    if (forms == 0) { return; }
    w->slots +=
        csim__guest_bytes(w->chunk, d, q, had | forms) - csim__guest_bytes(w->chunk, d, q, had);
    w->forms[s] |= forms;
    w->all |= forms;
    w->widest = csim__max64(w->widest, d);
    w->fetched = csim__max64(w->fetched, w->p->item != NULL ? d * w->p->item[s] : 0);
}

static void add_pair(cutting *w, const csim__planned *q)
{
    csim__products s = csim__plan_products(w->p, w->plan, q);
    bool self = q->couple.left == q->couple.right;
    int64_t identities = self ? s.basis + s.raw : 0;
    int64_t products = s.cross + s.unit + (self ? 0 : s.basis + s.raw);
    int64_t largest = csim__room_panel(w->p, q, &s), held = csim__room_pair(w->p, w->plan, q, 0);
    unsigned forms[2];
    csim__passes_forms(w->p, w->plan, q, forms);
    add_guest(w, q->couple.left, forms[0]);
    add_guest(w, q->couple.right, forms[1]);
    w->pairs++;
    w->work += csim__plan_share(w->p, w->plan, q);
    w->blocks += WORD * products;
    w->identities += WORD * identities;
    w->largest = csim__max64(w->largest, WORD * largest);
    w->most = csim__max64(w->most, WORD * held);
    if (w->p->width[q->couple.left] == w->p->width[q->couple.right]) {
        w->alike = csim__max64(w->alike, w->p->width[q->couple.left]);
    }
}

static bool fits(const cutting *w)
{
    int64_t lanes = csim__teams_lanes(&w->p->teams, w->p->size);
    int64_t each = (w->pairs + lanes - 1) / lanes; /* pairs of an owner */
    if (w->p->saves && w->work > CSIM__PLAN_SAVED) { return false; }
    return beside(w) + w->blocks + w->identities <= w->room && each * w->most <= w->finish;
}

/* ---- all rounds ---- */

static void end_round(cutting *w, int64_t first, csim__planned_pass *out)
{
    for (int s = 0; s < w->p->sites; s++) {
        unsigned forms = w->forms[s];
        if (forms == 0) { continue; }
        w->reads[s]++;
        w->numbers += (double)w->p->width[s];
        w->turns[s] += !!(forms & CSIM__FORM_BASIS) + !!(forms & CSIM__FORM_RAW_BASIS);
    }
    if (out != NULL) { *out = (csim__planned_pass){first, w->blocks, w->identities, beside(w)}; }
}

/* Cut the order where a round is full.
 *  @param[out] pass  [rounds + 1] if not NULL
 *  @return rounds */
static int64_t cut(cutting *w, csim__planned_pass *pass)
{
    const csim__planned *pairs = w->plan->pairs;
    int64_t first = 0, rounds = 0;
    memset(w->reads, 0, (size_t)w->p->sites * sizeof *w->reads);
    memset(w->turns, 0, (size_t)w->p->sites * sizeof *w->turns);
    w->numbers = 0;
    while (first < w->ordered) {
        int64_t end = first;
        begin_round(w);
        do {
            add_pair(w, &pairs[w->order[end++]]);
        } while (end < w->ordered && fits(w));
        if (!fits(w) && end - first > 1) { /* without the last one, which was too much */
            begin_round(w);
            end--;
            for (int64_t i = first; i < end; i++) { add_pair(w, &pairs[w->order[i]]); }
        }
        end_round(w, first, pass != NULL ? &pass[rounds] : NULL);
        rounds++;
        first = end;
    }
    if (pass != NULL) { pass[rounds] = (csim__planned_pass){.first = w->ordered}; }
    return rounds;
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
static csim_status settle(cutting *w)
{
    csim__plan *plan = w->plan;
    csim__planned *pairs = NULL;
    csim_status st = CSIM_OK;
    int64_t rounds = cut(w, NULL);
    csim__free(w->ctx, &plan->pass);
    CSIM_TRY(csim__alloc(w->ctx, rounds + 1, sizeof *plan->pass, "rounds", &plan->pass));
    CSIM_TRY(csim__alloc(w->ctx, csim__max64(plan->count, 1), sizeof *pairs, "pairs", &pairs));
    plan->passes = cut(w, plan->pass);
    for (int64_t i = 0; i < plan->count; i++) { pairs[i] = plan->pairs[w->order[i]]; }
    memcpy(plan->pairs, pairs, (size_t)plan->count * sizeof *pairs);
    for (int s = 0; s < w->p->sites; s++) {
        plan->reads[s] += w->reads[s];
        plan->turns[s] = w->turns[s];
    }
done:
    csim__free(w->ctx, &pairs);
    return st;
}

csim_status csim__passes_make(csim_context *ctx, const csim__problem *p, csim__plan *plan,
                              int64_t room, int64_t finish)
{
    cutting w = {.ctx = ctx,
                 .p = p,
                 .plan = plan,
                 .chunk = csim__chunk_length(p->n),
                 .room = room,
                 .finish = finish};
    int best = 1;
    double least = -1;
    csim_status st = CSIM_OK;
    CSIM_TRY(allocate(&w));
    for (int height = 1; height <= p->sites; height += 1 + height / 4) {
        set_order(&w, height);
        cut(&w, NULL);
        if (least < 0 || w.numbers < least) {
            least = w.numbers;
            best = height;
        }
    }
    set_order(&w, best);
    st = settle(&w);
done:
    csim__free(ctx, &w.turns);
    csim__free(ctx, &w.reads);
    csim__free(ctx, &w.forms);
    csim__free(ctx, &w.taken);
    csim__free(ctx, &w.order);
    csim__free(ctx, &w.at);
    return st;
}
