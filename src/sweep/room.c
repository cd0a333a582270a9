#include <string.h>

#include "sweep/room.h"

#include "ingredients/batches.h"
#include "ingredients/cross.h"
#include "ingredients/neighbours.h"
#include "ingredients/ring.h"
#include "ingredients/triangles.h"
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
        s.widths += d;
        s.widest = csim__max64(s.widest, d);
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

/* Words of the small factors in one round of sites; @p mine is that of this rank, 0 = none. */
static int64_t round_factors(const csim__problem *p, bool wide, int64_t widest, int64_t mine)
{
    if (wide) { return mine == 0 ? 0 : 2 * p->n * mine + 8 * p->n * p->n + STRIP * p->n; }
    /* the factor that is sent round, a partial and two sums of the others; an owner's two squares,
     * and three more with five of workspace while the last is decomposed */
    int64_t others = (p->size > 1 ? 3 : 1) * widest * widest;
    return widest * widest + csim__max64(others, mine == 0 ? 0 : 10 * mine * mine + STRIP * mine);
}

/* Sites are taken as many at a time as there are ranks, those with more examples than neurons first:
 * the i-th of a round belongs to rank i. */
static int64_t factors(const csim__problem *p, const unsigned char *marks, int rank)
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
                most = csim__max64(most, round_factors(p, wide == 1, widest, mine));
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
    int64_t under_way = csim__min64(plan->round * p->size, plan->count) *
                        (int64_t)(sizeof(csim_pair) + 4 * sizeof(csim__product));
    /* examples go once nothing is made of them any more; a basis that is all takes their place */
    put(room, CSIM__ROOM_EXAMPLES, rows * s->widths * (p->single ? 4 : WORD), READ,
        plan->any_cross ? END : CSIM__STAGE_BASES);
    put(room, CSIM__ROOM_ROW_NORMS, WORD * rows * sites, READ, END);
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
    put(room, CSIM__ROOM_READING,
        (p->single ? WORD * rows * s->widest : 0) + 60 * s->widest + WORD * shard->chunks, READ,
        READ);
    put(room, CSIM__ROOM_CHUNKS,
        48 * plan->count + (plan->raw_rows ? 2 * WORD * shard->chunk * s->widest : 0), ROWS, ROWS);
    put(room, CSIM__ROOM_UNIT_ROWS, plan->unit ? WORD * rows * s->widths : 0, ROWS, END);
    put(room, CSIM__ROOM_ENCODED, encoding(p, shard, s->widest), CSIM__STAGE_ENCODE,
        CSIM__STAGE_ENCODE);
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
    int64_t sites = p->sites, cells = sites * sites, stored = 0;
    int64_t pass = csim__kernel_bytes(shard, p->sites, s->widths, s->widest, k->forms), forms = 0;
    for (int m = 0; m < CSIM_MATRICES; m++) { forms += k->forms[m]; }
    if (forms > 0) {
        int64_t most = csim__median_bytes(shard, p->sites, s->widths, s->widest, k->median);
        int64_t lists =
            3 * WORD * k->columns * (sites + 16) +
            forms * sites *
                (int64_t)(sizeof(csim__form_site) + sites * (int64_t)sizeof(csim__form_pair));
        put(room, CSIM__ROOM_KERNELS, csim__max64(most, pass) + lists + 13 * sites + cells, KERNELS,
            KERNELS);
    }
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
    int64_t small = 0;
    if (plan->any_basis) {
        put(room, CSIM__ROOM_BASES, WORD * shard->rows * s->basis_widths,
            plan->any_cross ? BASES : CSIM__STAGE_PRODUCTS, END);
        put(room, CSIM__ROOM_LOADINGS, plan->loading ? WORD * s->loadings : 0, BASES, END);
        small = factors(p, plan->basis, rank);
    }
    if (plan->raw_basis) {
        put(room, CSIM__ROOM_RAW_BASES, WORD * shard->rows * s->widths, BASES, END);
        small = csim__max64(small, factors(p, NULL, rank));
    }
    put(room, CSIM__ROOM_FACTORS, WORD * small, BASES, BASES);
}

void csim__room_of(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                   int rank, csim__room *room)
{
    const csim__stage PRODUCTS = CSIM__STAGE_PRODUCTS, FINISH = CSIM__STAGE_FINISH;
    csim_shard shard = csim__shard(p->n, rank, p->size);
    int64_t blocks, work;
    int64_t foreign = p->size == 1 ? 0 : rank == s->largest_owner ? s->second : s->largest;
    memset(room, 0, sizeof *room);
    put_rows(p, plan, s, &shard, room);
    put_tiles(p, plan, s, &shard, room);
    put_neighbours(p, plan, s, &shard, room);
    put_kernels(p, plan, s, &shard, room);
    put_bases(p, plan, s, &shard, rank, room);
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
