#include <string.h>

#include "sweep/room.h"

#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "ingredients/gram.h"
#include "sweep/plan.h"

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
static int64_t largest_of(const csim__planned *q, const csim__products *s)
{
    int64_t largest = csim__max64(s->cross, s->unit);
    bool self = q->couple.left == q->couple.right;
    return self ? largest : csim__max64(largest, csim__max64(s->basis, s->raw));
}

/* Words that the decompositions of a pair take at the same time. A self-pair is not decomposed. */
static int64_t workspace(const csim__problem *p, const csim__planned *q)
{
    int64_t da = p->width[q->couple.left], db = p->width[q->couple.right], kept = 0, most = 0;
    if (!q->cell) { return 0; }
    bool bases = q->route == CSIM__ROUTE_BASIS, self = q->couple.left == q->couple.right;
    int64_t a = bases ? csim__min64(da, p->n) : da, b = bases ? csim__min64(db, p->n) : db;
    int64_t k = csim__min64(a, b), strip = STRIP * (a + b) / 2;
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
    if ((p->needs & CSIM_NEEDS_NUCLEAR) && !self) {
        most = csim__max64(most, a * b + k * k + strip);
    }
    if ((p->needs & CSIM_NEEDS_BASIS) && (p->needs & CSIM_NEEDS_LOADING)) {
        kept += k * (a + b);
        /* vectors by squares first, the costlier way where values lie close */
        most = csim__max64(most, self ? k * csim__max64(da, db) : a * b + 5 * k * k + strip);
    } else if ((p->needs & CSIM_NEEDS_BASIS) && !self) {
        most = csim__max64(most, a * b + k * k + strip);
    }
    return kept + most;
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
        int64_t largest = largest_of(q, &sizes);
        if (largest > s.largest) {
            s.second = q->owner != s.largest_owner ? s.largest : s.second;
            s.largest = largest;
            s.largest_owner = q->owner;
        } else if (q->owner != s.largest_owner) {
            s.second = csim__max64(s.second, largest);
        }
    }
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

/* Words of the small factors in one round of sites; @p mine is that of this rank, 0 = none; @p feed
 * what streaming takes. */
static int64_t round_factors(const csim__problem *p, bool wide, int64_t widest, int64_t mine,
                             int64_t feed)
{
    if (!wide && p->streamed) {
        int64_t squares = feed + (p->size > 1 ? 2 : 1) * widest * widest + 2 * mine * mine;
        return csim__max64(squares, mine == 0 ? 0 : 10 * mine * mine + STRIP * mine);
    }
    if (wide) { return mine == 0 ? 0 : 2 * p->n * mine + 8 * p->n * p->n + STRIP * p->n; }
    /* the factor that is sent round, a partial and two sums of the others; an owner's two squares,
     * and three more with five of workspace while the last is decomposed */
    int64_t others = (p->size > 1 ? 3 : 1) * widest * widest;
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

/* Words of the blocks that a rank owns in the round with most of them, and of its largest
 * workspace. */
static void pairs_of(const csim__problem *p, const csim__plan *plan, int rank, int64_t *blocks,
                     int64_t *work)
{
    const int64_t range[3] = {0, plan->selves, plan->count};
    int64_t step = plan->round * p->size;
    *blocks = *work = 0;
    for (int part = 0; part < 2; part++) {
        int64_t sum = 0, end = range[part] + step;
        int64_t lead = (rank - range[part] % p->size + p->size) % p->size;
        for (int64_t i = range[part] + lead; i < range[part + 1]; i += p->size) {
            const csim__planned *q = &plan->pairs[i];
            csim__products s = csim__plan_products(p, plan, q);
            if (step > 0 && i >= end) {
                sum = 0;
                end += step;
            }
            sum += s.cross + s.basis + s.raw + s.unit;
            if (step > 0) { *blocks = csim__max64(*blocks, sum); }
            *work = csim__max64(*work, workspace(p, q));
        }
    }
}

/* The same of the rounds of a streamed plan, and what a rank has while products are made in the round
 * in which that is most. */
static void passes_of(const csim__problem *p, const csim__plan *plan, int rank, int64_t *blocks,
                       int64_t *slots, int64_t *sums, int64_t *work)
{
    *blocks = *slots = *sums = *work = 0;
    for (int64_t i = 0; plan->pass == NULL && i < plan->count; i++) { /* no owners yet */
        *work = csim__max64(*work, workspace(p, &plan->pairs[i]));
    }
    for (int64_t b = 0; b < plan->passes; b++) {
        const csim__planned_pass *pass = &plan->pass[b];
        int64_t own = 0, made = pass->blocks;
        int64_t lead = (rank - pass->first % p->size + p->size) % p->size;
        for (int64_t i = pass->first + lead; i < pass[1].first; i += p->size) {
            const csim__planned *q = &plan->pairs[i];
            csim__products s = csim__plan_products(p, plan, q);
            if (q->couple.left == q->couple.right) { made += WORD * (s.basis + s.raw); }
            own += WORD * (s.cross + s.basis + s.raw + s.unit);
            *work = csim__max64(*work, workspace(p, q));
        }
        *blocks = csim__max64(*blocks, own);
        if (pass->slots + made > *slots + *sums) {
            *slots = pass->slots;
            *sums = made;
        }
    }
}

int64_t csim__room_blocks(const csim__problem *p, const csim__plan *plan)
{
    int64_t most = 0;
    for (int64_t i = 0; i < plan->count; i++) {
        csim__products s = csim__plan_products(p, plan, &plan->pairs[i]);
        most = csim__max64(most, WORD * (s.cross + s.basis + s.raw + s.unit));
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
    int64_t at_once = plan->streamed ? 0 : csim__min64(plan->round * p->size, plan->count);
    int64_t under_way = at_once * (int64_t)(sizeof(csim_pair) + 4 * sizeof(csim__product));
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
            plan->count * (int64_t)(sizeof(csim__row_sums) + sizeof(double)) + under_way,
        READ, END);
    put(room, CSIM__ROOM_CELLS, values, READ, END);
    put(room, CSIM__ROOM_ENCODERS, s->encoders, READ, END);
    put(room, CSIM__ROOM_READING,
        (p->streamed ? WORD * (shard->chunk * s->widest + feed_words(p, s, 0))
         : p->single ? WORD * rows * s->widest
                     : 0) +
            (60 + WORD * shard->count) * s->widest + WORD * shard->chunks,
        READ, READ);
    put(room, CSIM__ROOM_CHUNKS,
        48 * plan->count +
            (plan->raw_rows && !p->streamed ? 2 * WORD * shard->chunk * s->widest : 0),
        ROWS, ROWS);
    put(room, CSIM__ROOM_UNIT_ROWS, plan->unit && !p->streamed ? WORD * rows * s->widths : 0, ROWS,
        END);
    put(room, CSIM__ROOM_ENCODED,
        encoding(p, shard, s->widest) +
            (p->streamed && p->encoder_count > 0
                 ? WORD * feed_words(p, s, CSIM__FORM_CENTRED)
                 : 0),
        CSIM__STAGE_ENCODE, CSIM__STAGE_ENCODE);
    put(room, CSIM__ROOM_RESULTS, values, END, END);
}

static void put_tiles(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                      const csim_shard *shard, csim__room *room)
{
    const csim__stage GRAM = CSIM__STAGE_GRAM;
    int64_t element = p->single ? 4 : WORD, many = s->tiled_sites, chunk = shard->chunk;
    if (!plan->any_tiles) { return; }
    put(room, CSIM__ROOM_TILES, element * many * csim__gram_tile(chunk), GRAM, GRAM);
    put(room, CSIM__ROOM_VISITORS,
        p->size > 1 ? 2 * chunk * (element * s->tiled_widths + WORD * many) : 0, GRAM, GRAM);
    put(room, CSIM__ROOM_LIFTS, WORD * shard->count * chunk * many + 37 * many * many, GRAM, GRAM);
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

void csim__room_of(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                   int rank, csim__room *room)
{
    const csim__stage PRODUCTS = CSIM__STAGE_PRODUCTS, FINISH = CSIM__STAGE_FINISH;
    csim_shard shard = csim__shard(p->n, rank, p->size);
    int64_t blocks, slots, sums, work;
    int64_t foreign = p->size == 1 ? 0 : rank == s->largest_owner ? s->second : s->largest;
    memset(room, 0, sizeof *room);
    put_rows(p, plan, s, &shard, room);
    put_tiles(p, plan, s, &shard, room);
    put_bases(p, plan, s, &shard, rank, room);
    if (p->streamed) {
        passes_of(p, plan, rank, &blocks, &slots, &sums, &work);
        put(room, CSIM__ROOM_BLOCKS, blocks, PRODUCTS, FINISH);
        /* the blocks may be those of another round, and stand for a part of this one */
        int64_t others = csim__max64(0, sums - blocks);
        put(room, CSIM__ROOM_SLOTS, slots + sums - blocks - others, PRODUCTS, PRODUCTS);
        put(room, CSIM__ROOM_PARTIALS, others, PRODUCTS, PRODUCTS);
        put(room, CSIM__ROOM_WORKSPACE, WORD * work, FINISH, FINISH);
        return;
    }
    pairs_of(p, plan, rank, &blocks, &work);
    put(room, CSIM__ROOM_BLOCKS, WORD * blocks, PRODUCTS, FINISH);
    put(room, CSIM__ROOM_PARTIALS, WORD * (s->largest + 2 * foreign), PRODUCTS, PRODUCTS);
    put(room, CSIM__ROOM_WORKSPACE, WORD * work, FINISH, FINISH);
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
