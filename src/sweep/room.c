#include <string.h>

#include "sweep/room.h"

#include "encoder/encoder.h"
#include "ingredients/batches.h"
#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "ingredients/neighbours.h"
#include "ingredients/ring.h"
#include "ingredients/shifts.h"
#include "ingredients/turn.h"
#include "sweep/deal.h"
#include "sweep/statistics.h"

enum { WORD = 8 }; /* bytes */

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

csim__room_survey csim__room_look(const csim__problem *p, const csim__plan *plan)
{
    csim__room_survey s = {.largest = 0};
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
        s.largest = csim__max64(s.largest, csim__room_panel(p, q, &sizes));
        s.work = csim__max64(s.work, csim__room_workspace(p, q).leader);
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

/* Bytes beside the rows while streamed ones are read to be held: 0, where all are held anyway. */
static int64_t holding(const csim__problem *p, const csim__room_survey *s)
{
    return p->streamed ? WORD * feed_words(p, s, p->single ? CSIM__FORM_SINGLE : 0) : 0;
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
        return csim__max64(squares, mine == 0 ? 0 : 9 * mine * mine + CSIM__ROOM_STRIP * mine);
    }
    if (wide) {
        return mine == 0 ? 0 : 2 * p->n * mine + 7 * p->n * p->n + CSIM__ROOM_STRIP * p->n;
    }
    /* the factor that is sent round, a partial and two sums of the others; an owner's two squares,
     * and three more with four of workspace while the last is decomposed */
    int64_t others = (p->size > 1 ? 3 : 1) * csim__cross_panel(widest, widest);
    return widest * widest +
           csim__max64(others, mine == 0 ? 0 : 9 * mine * mine + CSIM__ROOM_STRIP * mine);
}

/* Bases that are made one round of sites after the other. */
typedef struct building {
    const unsigned char *marks; /* [sites] of which; NULL: of all */
    int rank;
    int64_t rows; /* that each of them copies, 0 where it takes the place of the site's own */
    bool loading; /* which all ranks keep */
    int64_t feed; /* what streaming takes */
} building;

/* Most words while bases are made, with all that is kept of those made so far. Sites are taken as many at
 * a time as there are ranks, those with more examples than neurons first: the i-th of a round belongs to
 * rank i. */
static int64_t building_words(const csim__problem *p, const building *b)
{
    int64_t most = 0, kept = 0;
    for (int wide = 0; wide < 2; wide++) {
        int64_t widest = 0, mine = 0, loadings = 0;
        int many = 0;
        for (int i = 0; i <= p->sites; i++) {
            bool last = i == p->sites;
            if (!last && (b->marks == NULL || b->marks[i]) &&
                (p->n <= p->width[i]) == (wide == 1)) {
                int64_t d = p->width[i];
                widest = csim__max64(widest, d);
                if (many == b->rank) { mine = d; }
                loadings += b->loading ? csim__min64(d, p->n) * d : 0;
                kept += b->rows * d;
                many++;
            }
            if (many > 0 && (many == p->size || last)) {
                int64_t least =
                    csim__min64(mine, p->n); /* two of the factors are there at the end */
                most = csim__max64(most, kept + round_factors(p, wide == 1, widest, mine, b->feed));
                kept += loadings;
                most = csim__max64(most, kept + 2 * least * mine);
                widest = mine = loadings = many = 0;
            }
        }
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

/* What encoders take as they are read, beyond what is kept of all. */
static int64_t loading(const csim__problem *p, const csim__room_survey *s, int rank)
{
    int64_t most = 0, kept = 0;
    for (int i = 0; i < p->encoder_count; i++) {
        const csim_encoder *e = p->encoders[i];
        most = csim__max64(most, kept + csim__encoder_reading(e, rank));
        kept += 4 * csim_encoder_parameters(e) * csim_encoder_inits(e);
    }
    return csim__max64(0, most - s->encoders);
}

/* What all stages have, and what goes with single examples. */
static void put_rows(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                     const csim_shard *shard, csim__room *room)
{
    const csim__stage READ = CSIM__STAGE_READ, ROWS = CSIM__STAGE_ROWS, END = CSIM__STAGE_RESULTS;
    int64_t sites = p->sites, rows = shard->rows;
    bool copied = p->saves && (p->permutations > 0 || plan->near.twins ||
                               plan->kernels.draws > 0); /* on their way */
    int64_t values = p->values * (WORD * (1 + p->extras * (1 + copied)) + 2);
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
    put(room, CSIM__ROOM_ENCODERS, s->encoders, CSIM__STAGE_LOAD, END);
    put(room, CSIM__ROOM_LOADING, loading(p, s, shard->rank), CSIM__STAGE_LOAD, CSIM__STAGE_LOAD);
    put(room, CSIM__ROOM_READING, reading(p, s, shard), READ, READ);
    put(room, CSIM__ROOM_CHUNKS,
        48 * plan->count +
            (plan->raw_rows && !p->streamed ? 2 * WORD * shard->chunk * s->widest : 0),
        ROWS, ROWS);
    if (p->jackknife > 0) {
        int64_t left = csim__jackknife_bytes(p, shard, s->widths, s->widest);
        if (p->streamed) { left = csim__max64(left, WORD * rows * s->widths + holding(p, s)); }
        put(room, CSIM__ROOM_LEFT_OUT, left, CSIM__STAGE_BLOCKS, CSIM__STAGE_BLOCKS);
    }
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
    int64_t tiles = element * many * csim__ring_tile(chunk);
    int64_t visitors = csim__ring_bytes(chunk, p->size, s->tiled_widths, (size_t)element, many);
    int64_t lifts = WORD * shard->count * chunk * many + 37 * many * many;
    put(room, CSIM__ROOM_TILES, tiles, GRAM, GRAM);
    put(room, CSIM__ROOM_VISITORS, visitors, GRAM, GRAM);
    put(room, CSIM__ROOM_LIFTS, lifts, GRAM, GRAM);
    /* the last site is read before there are any of these */
    put(room, CSIM__ROOM_HOLDING, csim__max64(0, holding(p, s) - tiles - visitors - lifts), GRAM,
        GRAM);
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
    int64_t pairs = 2 * (int64_t)near->across * plan->count * (near->twins ? 2 : 1);
    if (near->across > 0 && near->twins) { /* rows in another order, and on their way */
        search = csim__max64(search, WORD * (shard->chunk * (s->widest + 1) + rows) +
                                         csim__order_bytes(shard, WORD * s->widest));
        search += WORD * rows * s->widest;
    }
    put(room, CSIM__ROOM_SEARCH, WORD * rows * s->widest + search, NEIGHBOURS, NEIGHBOURS);
    put(room, CSIM__ROOM_LISTS,
        p->sites * (near->twins ? 2 : 1) * lists + pairs * 2 * WORD * rows + 8 * p->n +
            2 * WORD * sums * plan->count,
        NEIGHBOURS, NEIGHBOURS);
}

/* Kernels and distances: those of tiles, those that are stored, those of batches. */
static void put_kernels(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                        const csim_shard *shard, csim__room *room)
{
    const csim__stage KERNELS = CSIM__STAGE_KERNELS, DISTANCES = CSIM__STAGE_DISTANCES;
    const csim__kernel_plan *k = &plan->kernels;
    int64_t sites = p->sites, cells = sites * sites, sums = 0, stored = 0;
    int64_t forms = 0, left = 0;
    for (int m = 0; m < CSIM_MATRICES; m++) {
        forms += k->forms[m];
        left += k->left[m];
    }
    if (forms > 0) {
        int64_t most = csim__median_bytes(shard, p->sites, s->widths, s->widest, k->median);
        int64_t lists = 3 * WORD * k->columns * (sites + 16),
                each = sites * (int64_t)sizeof(csim__kernel_site) +
                       cells * (int64_t)sizeof(csim__kernel_pair);
        int64_t pass = csim__kernel_bytes(shard, p->sites, s->widths, s->widest, k->forms, 0);
        most = csim__max64(most, pass) + forms * each;
        if (left > 0) { /* once more, and blocks are left out */
            pass = csim__kernel_bytes(shard, p->sites, s->widths, s->widest, k->left, k->blocks);
            most = csim__max64(most, pass + left * k->blocks * each);
        }
        sums = csim__max64(holding(p, s), most + lists) + 13 * sites + cells;
        if (p->streamed) { sums += WORD * shard->rows * s->widths; } /* held for the pass */
    }
    if (k->spread && p->streamed) {
        sums = csim__max64(sums, WORD * shard->rows * s->widest + holding(p, s));
    }
    put(room, CSIM__ROOM_KERNELS, sums, KERNELS, KERNELS);
    for (int i = 0; i < k->stores; i++) {
        const csim__store *one = &k->store[i];
        if (one->left_out) { continue; }
        csim_shard part = csim__shard(one->examples, shard->rank, shard->size);
        csim__triangle_room t = csim__triangle_bytes(&part, s->widest);
        int64_t most = csim__max64(t.fill, one->spectrum ? t.spectra : 0);
        most = csim__max64(most, one->ranked ? t.rank : 0);
        most = csim__max64(most, one->ordered ? t.orders : 0);
        if (k->draws > 0) { /* a relabelled one beside all, and what compares them */
            int64_t turned = t.each + csim__turn_bytes(&part) + csim__order_bytes(&part, 0);
            turned += csim__max64(one->spectrum ? t.spectra : 0, one->ordered ? t.orders : 0);
            most = csim__max64(most, turned) + 9 * (cells + 2 * sites + 1) + WORD * (sites + 1);
        }
        stored = csim__max64(stored, sites * t.each + WORD * part.rows * s->widest + t.patches +
                                         most + 49 * cells + WORD * sites);
    }
    put(room, CSIM__ROOM_DISTANCES, stored, DISTANCES, DISTANCES);
    if (k->batch > 0) {
        put(room, CSIM__ROOM_BATCHES,
            csim__batch_bytes(p->sites, s->widest, k->batch, p->size) + (WORD + 1) * cells,
            CSIM__STAGE_BATCHES, CSIM__STAGE_BATCHES);
    }
    if (k->shifted > 0) {
        int64_t spectra =
            csim__shifts_bytes(shard, p->sites, plan->count, s->widest, k->shift_ranks);
        put(room, CSIM__ROOM_SPECTRA, spectra + (WORD + 1) * cells + 13 * sites, CSIM__STAGE_SHIFTS,
            CSIM__STAGE_SHIFTS);
    }
}

static void put_bases(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                      const csim_shard *shard, int rank, csim__room *room)
{
    const csim__stage BASES = CSIM__STAGE_BASES, END = CSIM__STAGE_RESULTS;
    bool held = !p->streamed, copied = held && plan->any_cross;
    int64_t loadings = plan->loading ? s->loadings : 0;
    int64_t raw = held && plan->raw_basis ? shard->rows * s->widths : 0;
    int64_t rows = held && plan->any_basis ? shard->rows * s->basis_widths : 0;
    int64_t most = 0, all = raw + (copied ? rows : 0) + loadings;
    building b = {.rank = rank};
    if (plan->raw_basis) {
        b.rows = held ? shard->rows : 0;
        b.feed = held ? 0 : feed_words(p, s, CSIM__FORM_RAW_BASIS);
        most = building_words(p, &b);
    }
    if (plan->any_basis) {
        b = (building){.marks = plan->basis,
                       .rank = rank,
                       .rows = copied ? shard->rows : 0,
                       .loading = plan->loading,
                       .feed = held ? 0 : feed_words(p, s, CSIM__FORM_BASIS)};
        most = csim__max64(most, raw + building_words(p, &b));
    }
    put(room, CSIM__ROOM_BASES, WORD * (held ? rows : s->turns + shard->rows * s->held),
        held && !copied ? CSIM__STAGE_PRODUCTS : BASES, END);
    put(room, CSIM__ROOM_RAW_BASES, WORD * raw, BASES, END);
    put(room, CSIM__ROOM_LOADINGS, WORD * loadings, BASES, END);
    /* what is kept grows as factors come and go: these are what they take beyond all of it */
    put(room, CSIM__ROOM_FACTORS, WORD * csim__max64(most - all, 0), BASES, BASES);
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
    int64_t own = dealt ? plan->blocks[rank] : 0;
    int64_t sums = (p->size == 1 ? 1 : 3) * s->largest, work = s->work;
    if (dealt) { /* blocks go as their pairs are finished, and other rounds have fewer */
        sums = csim__max64(plan->products[rank] - own, 0);
        work = csim__max64(plan->finish[rank] - own, 0);
    }
    memset(room, 0, sizeof *room);
    put_rows(p, plan, s, &shard, room);
    put_tiles(p, plan, s, &shard, room);
    put_neighbours(p, plan, s, &shard, room);
    put_kernels(p, plan, s, &shard, room);
    put_bases(p, plan, s, &shard, rank, room);
    if (p->permutations > 0) { /* they have rounds of their own */
        put(room, CSIM__ROOM_TWINS, csim__permute_bytes(p, plan, &shard), CSIM__STAGE_PERMUTE,
            FINISH);
    }
    put(room, CSIM__ROOM_BLOCKS, WORD * own, PRODUCTS, FINISH);
    if (p->streamed) {
        put_pass(p, plan, WORD * own, room);
    } else {
        put(room, CSIM__ROOM_PARTIALS, WORD * sums, PRODUCTS, PRODUCTS);
    }
    put(room, CSIM__ROOM_WORKSPACE, WORD * work, FINISH, FINISH);
}

bool csim__room_repeats(const csim__problem *p, const csim__plan *plan, int rank)
{
    bool factors = plan->any_basis || plan->raw_basis; /* of as many ranks as there are sites */
    if (rank == 0 || (rank == 1 && p->encoder_count > 0) || (factors && rank <= p->sites)) {
        return false;
    }
    csim_shard me = csim__shard(p->n, rank, p->size), last = csim__shard(p->n, rank - 1, p->size);
    if (me.rows != last.rows || me.count != last.count) { return false; }
    for (int i = 0; i < plan->kernels.stores; i++) { /* of samples, which have fewer chunks */
        int64_t n = plan->kernels.store[i].examples;
        if (csim__shard(n, rank, p->size).rows != csim__shard(n, rank - 1, p->size).rows) {
            return false;
        }
    }
    return plan->blocks == NULL || (plan->blocks[rank] == plan->blocks[rank - 1] &&
                                    plan->products[rank] == plan->products[rank - 1] &&
                                    plan->finish[rank] == plan->finish[rank - 1]);
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
    int64_t change[CSIM__STAGE_COUNT + 1] = {0}, most = -1, bytes = 0;
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        change[room->array[i].first] += room->array[i].bytes;
        change[room->array[i].last + 1] -= room->array[i].bytes;
    }
    for (int i = 0; i < CSIM__STAGE_COUNT; i++) {
        bytes += change[i];
        if (bytes > most) {
            most = bytes;
            if (when != NULL) { *when = (csim__stage)i; }
        }
    }
    return most;
}
