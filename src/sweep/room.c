#include <string.h>

#include "sweep/room.h"

#include "ingredients/batches.h"
#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "ingredients/neighbours.h"
#include "ingredients/ring.h"
#include "ingredients/triangles.h"
#include "linalg/grid.h"
#include "sweep/deal.h"

enum { WORD = 8, STRIP = 140 }; /* bytes; words a column that blocked LAPACK routines want */

const char *csim__room_key(csim__room_array array)
{
#define KEY(name, key, text) key,
    static const char *const keys[] = {CSIM__ROOM_LIST(KEY)};
#undef KEY
    return keys[array];
}

const char *csim__room_text(csim__room_array array)
{
#define TEXT(name, key, text) text,
    static const char *const texts[] = {CSIM__ROOM_LIST(TEXT)};
#undef TEXT
    return texts[array];
}

const char *csim__stage_text(csim__stage stage)
{
#define TEXT(name, text) text,
    static const char *const texts[] = {CSIM__STAGE_LIST(TEXT)};
#undef TEXT
    return texts[stage];
}

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

/* What every rank of a group takes of the values of an a×b matrix, and of its vectors, beside their
 * matrix: shares of the square and of the vectors, panels of ScaLAPACK. */
static int64_t team_words(const csim__teams *t, int64_t a, int64_t b, bool vectors)
{
    int64_t k = csim__min64(a, b), square = share(t, k, k);
    int64_t wide = csim__grid_share(k, CSIM__GRID_BLOCK, 0, csim__min64(t->p, t->q));
    int64_t panels = CSIM__GRID_BLOCK * (3 * wide + 2 * CSIM__GRID_BLOCK) + 16 * k;
    return share(t, a, b) + square + panels +
           (vectors ? share(t, k, a) + share(t, k, b) + 2 * square : 0);
}

/* Words of the singular values of an a×b matrix on the ranks that decompose it, with the copy that
 * is decomposed, which the owner has. With vectors by squares first, the costlier way where values
 * lie close. */
static csim__workspace svd_words(const csim__problem *p, const csim__planned *q, int64_t a,
                                 int64_t b, bool vectors)
{
    int64_t k = csim__min64(a, b), strip = STRIP * (a + b) / 2;
    if (!q->large) { return (csim__workspace){a * b + (vectors ? 5 : 1) * k * k + strip, 0}; }
    int64_t each = team_words(&p->teams, a, b, vectors);
    /* vectors of a bidiagonal matrix are the leader's */
    int64_t alone = (q->dealt ? 0 : a * b) + (vectors ? k * (a + b) + 3 * k * k : 0);
    return (csim__workspace){alone + each, each};
}

csim__workspace csim__room_workspace(const csim__problem *p, const csim__planned *q)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right], kept = 0, most = 0;
    csim__workspace svd = {0, 0};
    if (!q->cell) { return svd; }
    bool bases = q->route == CSIM__ROUTE_BASIS, self = q->couple.left == q->couple.right;
    bool vectors = (p->needs & CSIM_NEEDS_BASIS) && (p->needs & CSIM_NEEDS_LOADING);
    int64_t a = bases ? csim__min64(da, p->n) : da, b = bases ? csim__min64(db, p->n) : db;
    int64_t k = csim__min64(a, b);
    if (p->needs & CSIM_NEEDS_BLOCK) {
        /* a copy, and a second one for the assignment where the left side is wider */
        most = csim__max64(most, da * db * (da > db ? 2 : 1));
        if (bases) {
            kept += da * db;
            most = csim__max64(most, da * b);
        }
    }
    if (p->needs & CSIM_NEEDS_UNIT) {
        int64_t c = csim__min64(da, db);
        most = csim__max64(most, da * db + (da + db) * c + 5 * c * c + STRIP * (da + db) / 2);
    }
    if (vectors) { kept += k * (a + b); }
    if (vectors && self) { most = csim__max64(most, k * csim__max64(da, db)); }
    if ((p->needs & (CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_BASIS)) && !self) {
        svd = svd_words(p, q, a, b, vectors);
    }
    return (csim__workspace){kept + csim__max64(most, svd.leader), svd.member};
}

csim__room_survey csim__room_look(const csim__problem *p, const csim__plan *plan)
{
    csim__room_survey s = {.largest_owner = -1};
    for (int i = 0; i < p->sites; i++) {
        int64_t d = p->width[i];
        int bases = plan->basis[i] + plan->raw_basis;
        s.widths += d;
        s.widest = csim__max64(s.widest, d);
        s.fetched = csim__max64(s.fetched, p->item != NULL ? d * p->item[i] : 0);
        s.held += p->n > d ? 0 : bases * d;
        s.turns += p->n > d ? bases * 2 * d * d : 0;
        if (plan->basis[i]) {
            s.basis_widths += d;
            s.loadings += csim__min64(d, p->n) * d;
        }
        if (plan->tiled[i]) {
            s.tiled_sites++;
            s.tiled_widths += d;
        }
    }
    for (int64_t i = 0; i < plan->count; i++) {
        const csim__planned *q = &plan->pairs[i];
        csim__products sizes = csim__plan_products(p, plan, q);
        int64_t largest = csim__room_panel(p, q, &sizes);
        int owner = q->dealt ? -1 : q->owner;
        s.work = csim__max64(s.work, csim__room_workspace(p, q).leader);
        if (largest > s.largest) {
            s.second = owner != s.largest_owner ? s.largest : s.second;
            s.largest = largest;
            s.largest_owner = owner;
        } else if (owner != s.largest_owner) {
            s.second = csim__max64(s.second, largest);
        }
    }
    if (plan->blocks == NULL) { s.largest_owner = -1; }
    for (int i = 0; i < p->encoder_count; i++) {
        const csim_encoder *e = p->encoders[i];
        s.encoders += csim__projection_kept(e, p->sites);
        s.encoders += 4 * csim_encoder_parameters(e) * csim_encoder_inits(e);
    }
    return s;
}

/* Bytes while one encoder after the other is at work. */
static int64_t encoding(const csim__problem *p, const csim_shard *shard, int64_t widest)
{
    int64_t most = 0;
    for (int i = 0; i < p->encoder_count; i++) {
        const csim_encoder *e = p->encoders[i];
        most = csim__max64(most, csim__projection_bytes(e, shard, p->sites, widest));
    }
    return most;
}

/* Words of a chunk of the widest site, and of what is read ahead of it, while something of @p form is
 * made of one site after the other. */
static int64_t feed_words(const csim__problem *p, const csim__room_survey *s, unsigned form)
{
    int64_t chunk = csim__chunk_length(p->n);
    return (csim__guest_bytes(chunk, s->widest, s->widest, form) +
            csim__feed_bytes(chunk, s->widest, s->fetched, form,
                             form != 0 && form != CSIM__FORM_CENTRED)) /
           WORD;
}

/* Bytes while one layer after the other is read. */
static int64_t reading(const csim__problem *p, const csim__room_survey *s, const csim_shard *shard)
{
    int64_t each = (60 + WORD * shard->count) * s->widest + WORD * shard->chunks;
    if (p->streamed) { return each + WORD * (shard->chunk * s->widest + feed_words(p, s, 0)); }
    return each + (p->single ? WORD * shard->rows * s->widest : 0);
}

/* Words of the small factors in one round of sites; @p mine is that of this rank, 0 = none; @p feed
 * what streaming takes. */
static int64_t round_factors(const csim__problem *p, bool wide, int64_t widest, int64_t mine,
                             int64_t feed)
{
    if (!wide && p->streamed) {
        int64_t foreign = p->size > 1 ? widest * widest : 0,
                part = csim__cross_panel(widest, widest);
        int64_t squares = feed + foreign + part + 2 * mine * mine;
        return csim__max64(squares, mine == 0 ? 0 : 10 * mine * mine + STRIP * mine);
    }
    if (wide) { return mine == 0 ? 0 : 2 * p->n * mine + 8 * p->n * p->n + STRIP * p->n; }
    /* the factor that is sent round, a partial and two sums of the others; an owner's two squares,
     * and three more with five of workspace while the last is decomposed */
    int64_t others = (p->size > 1 ? 3 : 1) * csim__cross_panel(widest, widest);
    return widest * widest + csim__max64(others, mine == 0 ? 0 : 10 * mine * mine + STRIP * mine);
}

/* Sites are taken as many at a time as there are ranks, those with more examples than neurons first:
 * the i-th of a round belongs to rank i. */
static int64_t factors(const csim__problem *p, const unsigned char *marks, int rank, int64_t feed)
{
    int64_t most = 0;
    for (int wide = 0; wide < 2; wide++) {
        int64_t widest = 0, mine = 0;
        int many = 0;
        for (int i = 0; i <= p->sites; i++) {
            bool last = i == p->sites;
            if (!last && (marks == NULL || marks[i]) && (p->n <= p->width[i]) == (wide == 1)) {
                widest = csim__max64(widest, p->width[i]);
                if (many == rank) { mine = p->width[i]; }
                many++;
            }
            if (many > 0 && (many == p->size || last)) {
                most = csim__max64(most, round_factors(p, wide == 1, widest, mine, feed));
                widest = mine = many = 0;
            }
        }
    }
    return most;
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
        most = csim__max64(most, WORD * csim__room_pair(p, plan, &plan->pairs[i], 0));
    }
    return most;
}

static void put(csim__room *room, csim__room_array array, int64_t bytes, csim__stage first,
                csim__stage last)
{
    room->array[array].bytes = bytes;
    room->array[array].first = first;
    room->array[array].last = last;
}

/* What all stages have, and what goes with single examples. */
static void put_rows(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                     const csim_shard *shard, csim__room *room)
{
    const csim__stage READ = CSIM__STAGE_READ, ROWS = CSIM__STAGE_ROWS, END = CSIM__STAGE_RESULTS;
    int64_t sites = p->sites, rows = shard->rows;
    int64_t values = p->values * (WORD + 2 + (p->encoder_count > 0 ? WORD : 0));
    int64_t under_way = 0;
    for (int k = 0; k < 2; k++) {
        const csim__part *part = &plan->part[k];
        under_way = csim__max64(under_way, csim__min64(part->step, part->last - part->first));
    }
    under_way *= (int64_t)(sizeof(csim_pair) + 4 * sizeof(csim__product));
    int64_t examples = p->streamed ? s->tiled_widths : s->widths;
    const csim__stage GRAM = CSIM__STAGE_GRAM;
    /* examples go once nothing is made of them any more; a basis that is all takes their place */
    put(room, CSIM__ROOM_EXAMPLES, rows * examples * (p->single ? 4 : WORD),
        p->streamed ? GRAM : READ,
        p->streamed       ? GRAM
        : plan->any_cross ? END
                          : CSIM__STAGE_BASES);
    put(room, CSIM__ROOM_ROW_NORMS, WORD * (rows + (p->streamed ? shard->count : 0)) * sites, READ,
        END);
    put(room, CSIM__ROOM_MOMENTS, 2 * WORD * s->widths, READ, END);
    put(room, CSIM__ROOM_PAIRS,
        sites * sites * (int64_t)sizeof(csim__planned) +
            plan->count * (int64_t)(sizeof(csim__row_sums) + sizeof(double)) +
            plan->count * plan->near.sums * 2 * CSIM_NEAR_SUMS * WORD + under_way +
            (plan->kernels.measures > 0
                 ? plan->count * plan->kernels.columns * (int64_t)sizeof(csim__matrices)
                 : 0),
        READ, END);
    put(room, CSIM__ROOM_CELLS, values, READ, END);
    put(room, CSIM__ROOM_ENCODERS, s->encoders, READ, END);
    put(room, CSIM__ROOM_READING, reading(p, s, shard), READ, READ);
    put(room, CSIM__ROOM_CHUNKS,
        48 * plan->count +
            (plan->raw_rows && !p->streamed ? 2 * WORD * shard->chunk * s->widest : 0),
        ROWS, ROWS);
    put(room, CSIM__ROOM_UNIT_ROWS, plan->unit && !p->streamed ? WORD * rows * s->widths : 0, ROWS,
        END);
    put(room, CSIM__ROOM_ENCODED,
        encoding(p, shard, s->widest) +
            (p->streamed && p->encoder_count > 0 ? WORD * feed_words(p, s, CSIM__FORM_CENTRED) : 0),
        CSIM__STAGE_ENCODE, CSIM__STAGE_ENCODE);
    put(room, CSIM__ROOM_RESULTS, values, END, END);
}

static void put_tiles(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                      const csim_shard *shard, csim__room *room)
{
    const csim__stage GRAM = CSIM__STAGE_GRAM;
    int64_t element = p->single ? 4 : WORD, many = s->tiled_sites, chunk = shard->chunk;
    if (!plan->any_tiles) { return; }
    put(room, CSIM__ROOM_TILES, element * many * csim__ring_tile(chunk), GRAM, GRAM);
    put(room, CSIM__ROOM_VISITORS,
        csim__ring_bytes(chunk, p->size, s->tiled_widths, (size_t)element, many), GRAM, GRAM);
    put(room, CSIM__ROOM_LIFTS, WORD * shard->count * chunk * many + 37 * many * many, GRAM, GRAM);
}

/* Lists turned round are as long as they are where no example is near to more than others. */
static void put_neighbours(const csim__problem *p, const csim__plan *plan,
                           const csim__room_survey *s, const csim_shard *shard, csim__room *room)
{
    const csim__stage NEIGHBOURS = CSIM__STAGE_NEIGHBOURS;
    const csim__near_plan *near = &plan->near;
    int64_t rows = shard->rows, sums = (int64_t)near->sums * 2 * CSIM_NEAR_SUMS;
    int64_t search = 0, lists = 0;
    if (near->sums == 0) { return; }
    for (int v = 0; v < near->views; v++) {
        const csim__near_view *view = &near->view[v];
        int64_t turned = 0;
        for (int m = 0; m < CSIM_METRICS; m++) { turned += view->links[m] ? rows * view->k[m] : 0; }
        search = csim__max64(search, csim__neighbours_bytes(shard, s->widest, view->k));
        /* links on their way and as they came, with whom they are of */
        search = csim__max64(search, turned * 2 * ((int64_t)sizeof(csim__link) + 4));
        lists += csim__near_bytes(shard, view->k) + (turned > 0 ? WORD * rows : 0) +
                 turned * (int64_t)sizeof(csim__link);
    }
    if (near->across > 0) { /* a chunk that all ranks are shown */
        search = csim__max64(search, WORD * (shard->chunk * (s->widest + 1) + rows));
    }
    int64_t pairs = 2 * (int64_t)near->across * plan->count;
    put(room, CSIM__ROOM_SEARCH, WORD * rows * s->widest + search, NEIGHBOURS, NEIGHBOURS);
    put(room, CSIM__ROOM_LISTS,
        p->sites * lists + pairs * 2 * WORD * rows + 8 * p->n + 2 * WORD * sums * plan->count,
        NEIGHBOURS, NEIGHBOURS);
}

/* Kernels and distances: those of tiles, those that are stored, those of batches. */
static void put_kernels(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                        const csim_shard *shard, csim__room *room)
{
    const csim__stage KERNELS = CSIM__STAGE_KERNELS, DISTANCES = CSIM__STAGE_DISTANCES;
    const csim__kernel_plan *k = &plan->kernels;
    int64_t sites = p->sites, cells = sites * sites, sums = 0, stored = 0;
    int64_t pass = csim__kernel_bytes(shard, p->sites, s->widths, s->widest, k->forms), forms = 0;
    for (int m = 0; m < CSIM_MATRICES; m++) { forms += k->forms[m]; }
    if (forms > 0) {
        int64_t most = csim__median_bytes(shard, p->sites, s->widths, s->widest, k->median);
        int64_t lists =
            3 * WORD * k->columns * (sites + 16) +
            forms * sites *
                (int64_t)(sizeof(csim__kernel_site) + sites * (int64_t)sizeof(csim__kernel_pair));
        sums = csim__max64(most, pass) + lists + 13 * sites + cells;
        if (p->streamed) { sums += WORD * shard->rows * s->widths; } /* held for the pass */
    }
    if (k->spread && p->streamed) { sums = csim__max64(sums, WORD * shard->rows * s->widest); }
    put(room, CSIM__ROOM_KERNELS, sums, KERNELS, KERNELS);
    for (int i = 0; i < k->stores; i++) {
        const csim__store *one = &k->store[i];
        if (one->left_out) { continue; }
        csim_shard part = csim__shard(one->examples, shard->rank, shard->size);
        csim__triangle_room t = csim__triangle_bytes(&part, s->widest);
        int64_t most = csim__max64(t.fill, one->spectrum ? t.spectra : 0);
        most = csim__max64(most, one->ranked ? t.rank : 0);
        most = csim__max64(most, one->ordered ? t.orders : 0);
        stored = csim__max64(stored, sites * t.each + WORD * part.rows * s->widest + t.patches +
                                         most + 49 * cells);
    }
    put(room, CSIM__ROOM_DISTANCES, stored, DISTANCES, DISTANCES);
    if (k->batch > 0) {
        put(room, CSIM__ROOM_BATCHES,
            csim__batch_bytes(p->sites, s->widest, k->batch) + (WORD + 1) * cells,
            CSIM__STAGE_BATCHES, CSIM__STAGE_BATCHES);
    }
}

static void put_bases(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                      const csim_shard *shard, int rank, csim__room *room)
{
    const csim__stage BASES = CSIM__STAGE_BASES, END = CSIM__STAGE_RESULTS;
    int64_t small = 0, feed = 0, raw_feed = 0;
    if (p->streamed) {
        feed = feed_words(p, s, CSIM__FORM_BASIS);
        raw_feed = feed_words(p, s, CSIM__FORM_RAW_BASIS);
        put(room, CSIM__ROOM_BASES, WORD * (s->turns + shard->rows * s->held), BASES, END);
    } else {
        put(room, CSIM__ROOM_BASES, plan->any_basis ? WORD * shard->rows * s->basis_widths : 0,
            plan->any_cross ? BASES : CSIM__STAGE_PRODUCTS, END);
        put(room, CSIM__ROOM_RAW_BASES, plan->raw_basis ? WORD * shard->rows * s->widths : 0, BASES,
            END);
    }
    if (plan->any_basis) {
        put(room, CSIM__ROOM_LOADINGS, plan->loading ? WORD * s->loadings : 0, BASES, END);
        small = factors(p, plan->basis, rank, feed);
    }
    if (plan->raw_basis) { small = csim__max64(small, factors(p, NULL, rank, raw_feed)); }
    put(room, CSIM__ROOM_FACTORS, WORD * small, BASES, BASES);
}

/* Of a round's passes that which takes most: of every product that it makes all ranks hold the whole
 * sum. In a round of one pass the rank's @p own blocks are among these, in others they may all be of
 * another pass; in both they may be those of another round. */
static void put_pass(const csim__problem *p, const csim__plan *plan, int64_t own, csim__room *room)
{
    const csim__stage PRODUCTS = CSIM__STAGE_PRODUCTS;
    int64_t slots = 0, others = 0, most = 0;
    for (int64_t r = 0; r < plan->many_rounds; r++) {
        const csim__planned_round *round = &plan->rounds[r];
        bool alone = round[1].pass - round[0].pass == 1;
        for (int64_t i = round[0].pass; i < round[1].pass; i++) {
            const csim__planned_pass *pass = &plan->pass[i];
            int64_t more = !alone ? pass->blocks : pass->blocks + pass->identities / p->size - own;
            if (pass->slots + more <= most) { continue; }
            most = pass->slots + more;
            others = csim__max64(0, more);
            slots = most - others;
        }
    }
    put(room, CSIM__ROOM_SLOTS, slots, PRODUCTS, PRODUCTS);
    put(room, CSIM__ROOM_PARTIALS, others, PRODUCTS, PRODUCTS);
}

void csim__room_of(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                   int rank, csim__room *room)
{
    const csim__stage PRODUCTS = CSIM__STAGE_PRODUCTS, FINISH = CSIM__STAGE_FINISH;
    csim_shard shard = csim__shard(p->n, rank, p->size);
    bool dealt = plan->blocks != NULL;
    int64_t own = dealt ? WORD * plan->blocks[rank] : 0;
    int64_t foreign = p->size == 1 ? 0 : rank == s->largest_owner ? s->second : s->largest;
    memset(room, 0, sizeof *room);
    put_rows(p, plan, s, &shard, room);
    put_tiles(p, plan, s, &shard, room);
    put_neighbours(p, plan, s, &shard, room);
    put_kernels(p, plan, s, &shard, room);
    put_bases(p, plan, s, &shard, rank, room);
    put(room, CSIM__ROOM_BLOCKS, own, PRODUCTS, FINISH);
    if (p->streamed) {
        put_pass(p, plan, own, room);
    } else {
        put(room, CSIM__ROOM_PARTIALS, WORD * (s->largest + 2 * foreign), PRODUCTS, PRODUCTS);
    }
    put(room, CSIM__ROOM_WORKSPACE, WORD * (dealt ? plan->work[rank] : s->work), FINISH, FINISH);
}

bool csim__room_repeats(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                        int rank)
{
    /* small factors belong to as many ranks as there are sites, at most */
    if (rank <= p->sites || rank == s->largest_owner || rank - 1 == s->largest_owner) {
        return false;
    }
    csim_shard me = csim__shard(p->n, rank, p->size), last = csim__shard(p->n, rank - 1, p->size);
    if (me.rows != last.rows || me.count != last.count) { return false; }
    return plan->blocks == NULL || (plan->blocks[rank] == plan->blocks[rank - 1] &&
                                    plan->work[rank] == plan->work[rank - 1]);
}

int64_t csim__room_messages(const csim__problem *p, const csim__plan *plan)
{
    return p->size > 1 ? 2 * WORD * csim__room_look(p, plan).largest : 0;
}

int64_t csim__room_stage(const csim__room *room, csim__stage stage)
{
    int64_t sum = 0;
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        if (csim__room_there(room, i, stage)) { sum += room->array[i].bytes; }
    }
    return sum;
}

int64_t csim__room_peak(const csim__room *room, csim__stage *when)
{
    int64_t most = -1;
    for (int i = 0; i < CSIM__STAGE_COUNT; i++) {
        int64_t bytes = csim__room_stage(room, (csim__stage)i);
        if (bytes > most) {
            most = bytes;
            if (when != NULL) { *when = (csim__stage)i; }
        }
    }
    return most;
}
