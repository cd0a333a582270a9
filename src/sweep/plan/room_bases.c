/* Memory of bases (ingredients/basis.c): of what is kept of them, and of what is beside that while they
 * are made, one round of sites after the other. In words. */
#include "sweep/plan/room.h"

#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "sweep/plan/plan.h"

enum { WORD = 8 }; /* bytes */

/* Bases of one kind. */
typedef struct kind {
    const csim__problem *p;
    const csim_shard *shard;
    const unsigned char *marks; /* [sites] of which; NULL: of all */
    bool raw;
    bool copied;  /* of rows that are held: those of the site stay */
    bool loading; /* which all ranks keep */
} kind;

static bool is_tall(const kind *k, int site)
{
    return k->p->n > k->p->width[site];
}

/* Of a basis: its rows, or the factors that make these of streamed ones. */
static int64_t rows_of(const kind *k, int site)
{
    int64_t d = k->p->width[site];
    if (k->p->streamed && is_tall(k, site)) { return 2 * d * d; }
    return k->p->streamed || k->copied ? k->shard->rows * d : 0;
}

static int64_t loadings_of(const kind *k, int site)
{
    int64_t d = k->p->width[site];
    return k->loading ? csim__min64(d, k->p->n) * d : 0;
}

/* A chunk of a site as it is read again, of which something is made. */
static int64_t feed_of(const kind *k, int site, unsigned form)
{
    return csim__room_feed(k->p, site, form) / WORD;
}

/* A round of sites, of which the i-th belongs to rank i. */
typedef struct round {
    int many, mine, other;  /* sites; that of this rank, and the widest of others, −1: none */
    int64_t widest, d;      /* of all; of this rank's, or 0 */
    int64_t rows, loadings; /* of all */
} round;

static void join(const kind *k, round *r, int site)
{
    int64_t d = k->p->width[site];
    if (r->many == k->shard->rank) {
        r->mine = site;
        r->d = d;
    } else if (r->other < 0 || d > k->p->width[r->other]) {
        r->other = site;
    }
    r->many++;
    r->widest = csim__max64(r->widest, d);
    r->rows += rows_of(k, site);
    r->loadings += loadings_of(k, site);
}

/* An owner has two squares, and three more with four of workspace while the last is decomposed. */
static int64_t decomposing(const round *r)
{
    return r->d == 0 ? 0 : 9 * r->d * r->d + CSIM__ROOM_STRIP * r->d + CSIM__ROOM_CORNER;
}

/* Squares of one streamed site after the other, each whole on every rank. */
static int64_t streamed_squares(const kind *k, const round *r, unsigned form)
{
    int64_t most = 0;
    if (r->mine >= 0) { most = feed_of(k, r->mine, form) + csim__cross_panel(r->d, r->d); }
    if (r->other >= 0) {
        int64_t d = k->p->width[r->other];
        most = csim__max64(most, feed_of(k, r->other, form) + csim__cross_panel(d, d) + d * d);
    }
    return most + 2 * r->d * r->d;
}

/* Most that a round takes at a time with what it leaves behind of rows and loadings. */
static int64_t streamed_round(const kind *k, const round *r)
{
    unsigned turned = k->raw ? CSIM__FORM_RAW_BASIS : CSIM__FORM_BASIS;
    int64_t first = streamed_squares(k, r, k->raw ? turned : CSIM__FORM_CENTRED);
    int64_t factors = r->rows / 2; /* the first ones; the others come when all is decomposed */
    int64_t most = csim__max64(first, factors + streamed_squares(k, r, turned));
    most = csim__max64(most, factors + decomposing(r));
    return csim__max64(most, r->rows + r->loadings + 2 * r->d * r->d);
}

/* Beside the rows the factor that is sent round, a partial and two sums of the others, or a chunk that
 * is turned. */
static int64_t held_round(const kind *k, const round *r)
{
    int64_t w = r->widest, o = r->other >= 0 ? k->p->width[r->other] : 0, own = 2 * r->d * r->d;
    int64_t sums = csim__cross_panel(w, w) + (o > 0 ? 2 * csim__cross_panel(o, o) : 0);
    int64_t most = own + csim__max64(csim__max64(sums, k->shard->chunk * w), r->loadings);
    return r->rows + w * w + csim__max64(most, decomposing(r));
}

/* Sites with as many neurons as examples, or more: an owner has two of the whole of its site, and its
 * decomposition. */
static int64_t wide_round(const kind *k, const round *r)
{
    int64_t n = k->p->n, whole = n * r->d, most = 0, feed = 0;
    if (r->d > 0) {
        int64_t svd = 7 * n * n + CSIM__ROOM_STRIP * n + CSIM__ROOM_CORNER;
        most = 2 * whole + csim__max64(svd, n * n + r->loadings);
    }
    if (k->p->streamed) {
        if (r->mine >= 0) { feed = feed_of(k, r->mine, 0); }
        if (r->other >= 0) { feed = csim__max64(feed, feed_of(k, r->other, 0)); }
    }
    return r->rows + csim__max64(csim__max64(most, r->loadings), whole + feed);
}

/* Most while bases are made, with all that is kept of those made so far, beginning with @p kept. Sites
 * are taken as many at a time as there are ranks, those with more examples than neurons first. */
static int64_t making(const kind *k, int64_t *kept)
{
    int64_t most = 0;
    for (int wide = 0; wide < 2; wide++) {
        round r = {.mine = -1, .other = -1};
        for (int i = 0; i <= k->p->sites; i++) {
            bool last = i == k->p->sites;
            if (!last && (k->marks == NULL || k->marks[i]) && is_tall(k, i) == (wide == 0)) {
                join(k, &r, i);
            }
            if (r.many == 0 || (r.many < k->p->size && !last)) { continue; }
            int64_t words = wide             ? wide_round(k, &r)
                            : k->p->streamed ? streamed_round(k, &r)
                                             : held_round(k, &r);
            most = csim__max64(most, *kept + words);
            *kept += r.rows + r.loadings;
            r = (round){.mine = -1, .other = -1};
        }
    }
    return most;
}

/* A chunk of rows of a basis that is made anew for its leverages. */
static int64_t leverages(const kind *k)
{
    int64_t most = 0;
    for (int i = 0; k->p->streamed && k->p->leverages && i < k->p->sites; i++) {
        if (k->marks[i] && is_tall(k, i)) {
            most = csim__max64(most, feed_of(k, i, CSIM__FORM_BASIS));
        }
    }
    return most;
}

void csim__room_bases(const csim__problem *p, const csim__plan *plan, const csim_shard *shard,
                      csim__room *room)
{
    const csim__stage BASES = CSIM__STAGE_BASES, END = CSIM__STAGE_RESULTS;
    kind raw = {.p = p, .shard = shard, .raw = true, .copied = true};
    kind centred = {.p = p,
                    .shard = shard,
                    .marks = plan->basis,
                    .copied = plan->any_cross,
                    .loading = plan->loading};
    int64_t most = 0, of_raw = 0, rows = 0, loadings = 0;
    bool in_place = !p->streamed && !plan->any_cross; /* of the examples */
    if (plan->raw_basis) { most = making(&raw, &of_raw); }
    int64_t kept = of_raw;
    if (plan->any_basis) {
        most = csim__max64(most, making(&centred, &kept));
        most = csim__max64(most, kept + leverages(&centred));
    }
    for (int i = 0; i < p->sites; i++) {
        if (!plan->basis[i]) { continue; }
        rows += in_place ? shard->rows * p->width[i] : rows_of(&centred, i);
        loadings += loadings_of(&centred, i);
    }
    csim__room_put(room, CSIM__ROOM_BASES, WORD * rows, in_place ? CSIM__STAGE_PRODUCTS : BASES,
                   END);
    csim__room_put(room, CSIM__ROOM_RAW_BASES, WORD * of_raw, BASES, END);
    csim__room_put(room, CSIM__ROOM_LOADINGS, WORD * loadings, BASES, END);
    /* what is kept grows as factors come and go: these are what they take beyond all of it */
    csim__room_put(room, CSIM__ROOM_FACTORS, WORD * csim__max64(most - kept, 0), BASES, BASES);
}
