/* Memory that single pairs take: panels of their products, blocks, decompositions. */
#include "sweep/plan/room.h"

#include "ingredients/cross.h"
#include "linalg/grid.h"
#include "sweep/plan/deal.h"

/* The overlap of a basis with itself is known without a product. */
int64_t csim__room_panel(const csim__problem *p, const csim__planned *q, const csim__products *s)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right];
    int64_t qa = csim__min64(p->n, da), qb = csim__min64(p->n, db);
    bool whole = s->cross + s->unit > 0, self = q->couple.left == q->couple.right;
    int64_t largest = whole ? csim__cross_panel(da, db) : 0;
    bool bases = s->basis + s->raw > 0 && !self;
    return bases ? csim__max64(largest, csim__cross_panel(qa, qb)) : largest;
}

/* Numbers of an m×n matrix, dealt to a group, on the rank with most. */
static int64_t share(const csim__teams *t, int64_t m, int64_t n)
{
    return csim__grid_share(m, CSIM__GRID_BLOCK, 0, t->q) *
           csim__grid_share(n, CSIM__GRID_BLOCK, 0, t->p);
}

/* What a rank of a group takes of the values of an a×b matrix, and of its vectors: its share of the
 * matrix and of the vectors, panels of ScaLAPACK; then squares, of which the leader, where values lie too
 * close for them, has whole ones (of the vectors of a bidiagonal matrix). */
static int64_t team_words(const csim__teams *t, int64_t a, int64_t b, bool vectors, bool leader)
{
    int64_t k = csim__min64(a, b), square = share(t, k, k);
    int64_t wide = csim__grid_share(k, CSIM__GRID_BLOCK, 0, csim__min64(t->p, t->q));
    int64_t panels = CSIM__GRID_BLOCK * (3 * wide + 2 * CSIM__GRID_BLOCK) + 16 * k;
    if (!vectors) { return share(t, a, b) + panels + square; }
    return share(t, a, b) + panels + share(t, k, a) + share(t, k, b) +
           3 * (leader ? k * k : square);
}

/* Words of the singular values of an a×b matrix on the ranks that decompose it, with the copy that
 * is decomposed, which the owner has: with vectors not by squares, but in the way that takes most,
 * which is gone where values lie close. */
static csim__workspace svd_words(const csim__problem *p, const csim__planned *q, int64_t a,
                                 int64_t b, bool vectors)
{
    int64_t k = csim__min64(a, b), strip = CSIM__ROOM_STRIP * (a + b) / 2 + CSIM__ROOM_CORNER;
    if (!q->large) { return (csim__workspace){a * b + (vectors ? 4 : 1) * k * k + strip, 0}; }
    return (csim__workspace){team_words(&p->teams, a, b, vectors, true) + (q->dealt ? 0 : a * b),
                             team_words(&p->teams, a, b, vectors, false)};
}

csim__workspace csim__room_workspace(const csim__problem *p, const csim__planned *q)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right], kept = 0, most = 0;
    csim__workspace svd = {0, 0};
    if (!q->cell) { return svd; }
    bool bases = q->route == CSIM__ROUTE_BASIS, self = q->couple.left == q->couple.right;
    bool vectors = (p->needs & CSIM_NEEDS_CANONICAL) && (p->needs & CSIM_NEEDS_LOADING);
    int64_t a = bases ? csim__min64(da, p->n) : da, b = bases ? csim__min64(db, p->n) : db;
    int64_t k = csim__min64(a, b);
    if (p->needs & CSIM_NEEDS_BLOCK) {
        most = csim__max64(most, da * db); /* a copy */
        if (bases) {
            kept += da * db;
            most = csim__max64(most, da * b);
        }
    }
    if (p->needs & CSIM_NEEDS_UNIT) {
        int64_t c = csim__min64(da, db);
        most = csim__max64(most, da * db + (da + db) * c + 4 * c * c +
                                     CSIM__ROOM_STRIP * (da + db) / 2 + CSIM__ROOM_CORNER);
    }
    if (vectors) { kept += k * (a + b); }
    if (vectors && self) { most = csim__max64(most, k * csim__max64(da, db)); }
    bool alone = self && p->permutations == 0; /* else with its twin */
    if ((p->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_CANONICAL)) && !alone) {
        svd = svd_words(p, q, a, b, vectors);
    }
    return (csim__workspace){kept + csim__max64(most, svd.leader), svd.member};
}

int64_t csim__room_pair(const csim__problem *p, const csim__plan *plan, const csim__planned *q,
                        int member)
{
    csim__products s = csim__plan_products(p, plan, q);
    if (!q->dealt) { return s.cross + s.basis + s.raw + s.unit; }
    int64_t m = p->width[q->couple.left], n = p->width[q->couple.right], b = CSIM__GRID_BLOCK;
    if (q->route == CSIM__ROUTE_BASIS) {
        m = csim__min64(m, p->n);
        n = csim__min64(n, p->n);
    }
    int64_t one = csim__grid_share(m, b, member % p->teams.q, p->teams.q) *
                  csim__grid_share(n, b, member / p->teams.q, p->teams.p);
    return s.raw > 0 ? 2 * one : one;
}

int64_t csim__room_blocks(const csim__problem *p, const csim__plan *plan)
{
    int64_t most = 0;
    for (int64_t i = 0; i < plan->count; i++) {
        most = csim__max64(most, 8 * csim__room_pair(p, plan, &plan->pairs[i], 0));
    }
    return most;
}
