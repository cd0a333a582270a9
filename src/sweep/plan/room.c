#include <string.h>

#include "sweep/plan/room.h"

#include "encoder/encoder.h"
#include "ingredients/batches.h"
#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "ingredients/neighbours.h"
#include "ingredients/order.h"
#include "ingredients/ring.h"
#include "ingredients/shifts.h"
#include "ingredients/turn.h"
#include "io/raw.h"
#include "sweep/plan/deal.h"
#include "sweep/statistics/statistics.h"

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
        s.widths += d;
        s.widest = csim__max64(s.widest, d);
        int64_t item = p->item != NULL ? p->item[i] : 0;
        s.fetched = csim__max64(s.fetched, d * item);
        if (item < WORD) { s.converted = csim__max64(s.converted, d * item); }
        if (plan->tiled[i]) {
            s.tiled_sites++;
            s.tiled_widths += d;
        }
    }
    for (int64_t i = 0; i < plan->count; i++) {
        const csim__planned *q = &plan->pairs[i];
        csim__products sizes = csim__plan_products(p, plan, q);
        s.largest = csim__max64(s.largest, csim__room_panel(p, q, &sizes));
        if (p->width[q->couple.left] == p->width[q->couple.right]) {
            s.alike = csim__max64(s.alike, p->width[q->couple.left]);
        }
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
static int64_t encoding(const csim__problem *p, const csim__plan *plan, const csim_shard *shard,
                        int64_t widest)
{
    int64_t most = 0, pairs = plan->count - plan->selves + p->sites;
    for (int i = 0; i < p->encoder_count; i++) {
        const csim_encoder *e = p->encoders[i];
        most = csim__max64(most, csim__projection_bytes(e, shard, p->sites, pairs, widest));
    }
    return most;
}

int64_t csim__room_feed(const csim__problem *p, int site, unsigned form)
{
    int64_t d = p->width[site], q = csim__min64(d, p->n), chunk = csim__chunk_length(p->n);
    int64_t fetched = p->item != NULL ? d * p->item[site] : 0;
    return csim__guest_bytes(chunk, d, q, form) +
           csim__feed_bytes(chunk, d, fetched, form, form != 0 && form != CSIM__FORM_CENTRED);
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

/* Bytes beside the rows of sites that are marked, or of all, while one streamed site after the other is
 * read to be held; 0, where all are held anyway. */
static int64_t holding(const csim__problem *p, const csim_shard *shard, const unsigned char *marks)
{
    unsigned form = p->single ? CSIM__FORM_SINGLE : 0;
    int64_t so_far = 0, most = 0;
    for (int i = 0; p->streamed && i < p->sites; i++) {
        if (marks != NULL && !marks[i]) { continue; }
        so_far += (p->single ? 4 : WORD) * shard->rows * p->width[i];
        most = csim__max64(most, so_far + csim__room_feed(p, i, form));
    }
    return csim__max64(0, most - so_far);
}

/* Bytes that a reader converts from, @p rows at a time. */
static int64_t converting(const csim__room_survey *s, int64_t rows)
{
    return csim__raw_buffer(rows * s->converted, 0);
}

/* Bytes while one layer after the other is read, beyond the rows of all: of these there are only those
 * read so far, and in single precision those of one more in double. */
static int64_t reading(const csim__problem *p, const csim__room_survey *s, const csim_shard *shard)
{
    int64_t each = (60 + WORD * shard->count) * s->widest + WORD * shard->chunks;
    int64_t buffer = converting(s, shard->chunk), so_far = 0, most = 0,
            all = shard->rows * s->widths;
    if (p->streamed) { return each + WORD * (shard->chunk * s->widest + feed_words(p, s, 0)); }
    if (!p->single) { return each + buffer; }
    for (int i = 0; i < p->sites; i++) {
        int64_t rows = shard->rows * p->width[i];
        most = csim__max64(most, 4 * so_far + WORD * rows + csim__max64(buffer, 4 * rows));
        so_far += rows;
    }
    return csim__max64(0, each + most - 4 * all);
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
    int64_t examples = p->streamed ? s->tiled_widths : s->widths;
    const csim__stage GRAM = CSIM__STAGE_GRAM;
    /* examples go once nothing is made of them any more; a basis that is all takes their place */
    csim__room_put(room, CSIM__ROOM_EXAMPLES, rows * examples * (p->single ? 4 : WORD),
                   p->streamed ? GRAM : READ,
                   p->streamed       ? GRAM
                   : plan->any_cross ? END
                                     : CSIM__STAGE_BASES);
    csim__room_put(room, CSIM__ROOM_ROW_NORMS,
                   WORD * (rows + (p->streamed ? shard->count : 0)) * sites, READ, END);
    csim__room_put(room, CSIM__ROOM_MOMENTS,
                   2 * WORD * s->widths + 2 * sites * (int64_t)sizeof(csim__site), READ, END);
    csim__room_put(room, CSIM__ROOM_PAIRS,
                   sites * sites * (int64_t)sizeof(csim__planned) +
                       plan->count * (int64_t)(sizeof(csim__row_sums) + sizeof(double)) +
                       plan->count * plan->near.sums * 2 * CSIM_NEAR_SUMS * WORD +
                       (plan->kernels.measures > 0
                            ? plan->count * plan->kernels.columns * (int64_t)sizeof(csim__matrices)
                            : 0),
                   READ, END);
    csim__room_put(room, CSIM__ROOM_CELLS, values, READ, END);
    csim__room_put(room, CSIM__ROOM_ENCODERS, s->encoders, CSIM__STAGE_LOAD, END);
    csim__room_put(room, CSIM__ROOM_LOADING, loading(p, s, shard->rank), CSIM__STAGE_LOAD,
                   CSIM__STAGE_LOAD);
    csim__room_put(room, CSIM__ROOM_READING, reading(p, s, shard), READ, READ);
    csim__room_put(room, CSIM__ROOM_CHUNKS,
                   48 * plan->count + (plan->raw_rows && !p->streamed
                                           ? 2 * WORD * shard->chunk * (s->alike + 1)
                                           : 0),
                   ROWS, ROWS);
    if (p->jackknife > 0) {
        int64_t left = csim__jackknife_bytes(p, shard, s->widths, s->widest);
        if (p->streamed) {
            left = csim__max64(left, WORD * rows * s->widths + holding(p, shard, NULL));
        }
        csim__room_put(room, CSIM__ROOM_LEFT_OUT, left, CSIM__STAGE_BLOCKS, CSIM__STAGE_BLOCKS);
    }
    csim__room_put(room, CSIM__ROOM_UNIT_ROWS,
                   plan->unit && !p->streamed ? WORD * rows * s->widths : 0, ROWS, END);
    csim__room_put(
        room, CSIM__ROOM_ENCODED,
        encoding(p, plan, shard, s->widest) +
            (p->streamed && p->encoder_count > 0 ? WORD * feed_words(p, s, CSIM__FORM_CENTRED) : 0),
        CSIM__STAGE_ENCODE, CSIM__STAGE_ENCODE);
    csim__room_put(room, CSIM__ROOM_RESULTS, values, END, END);
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
    csim__room_put(room, CSIM__ROOM_TILES, tiles, GRAM, GRAM);
    csim__room_put(room, CSIM__ROOM_VISITORS, visitors, GRAM, GRAM);
    csim__room_put(room, CSIM__ROOM_LIFTS, lifts, GRAM, GRAM);
    /* the last site is read before there are any of these */
    csim__room_put(room, CSIM__ROOM_HOLDING,
                   csim__max64(0, holding(p, shard, plan->tiled) - tiles - visitors - lifts), GRAM,
                   GRAM);
}

/* Bytes of the lists of a layer by one view, turned round; and while they are turned round. Those are as
 * long as they are where no example is near to more than others. */
static int64_t turned_lists(const csim__near_view *view, int64_t rows, int64_t *under_way)
{
    int64_t bytes = 0, each = sizeof(csim__link);
    for (int m = 0; m < CSIM_METRICS; m++) {
        int64_t links = view->links[m] ? rows * view->k[m] : 0;
        bytes += links * each + (links > 0 ? WORD * rows : 0);
        /* on their way and as they came, with whom they are of */
        *under_way = csim__max64(*under_way, links * 2 * (each + 4));
    }
    return bytes;
}

/* Bytes of one search after the other, beyond the lists of all layers, @p lists of each: of these there are
 * only those so far, and of the layer at hand none are turned round yet. */
static int64_t searching(const csim__problem *p, const csim__near_plan *near,
                         const csim_shard *shard, int64_t lists)
{
    int64_t most = 0, under_way = 0;
    for (int i = 0; i < p->sites; i++) {
        int64_t so_far = (i + 1) * lists;
        for (int v = 0; v < near->views; v++) {
            const csim__near_view *view = &near->view[v];
            most = csim__max64(most, so_far - turned_lists(view, shard->rows, &under_way) +
                                         csim__neighbours_bytes(shard, p->width[i], view->k));
        }
    }
    return csim__max64(0, csim__max64(most - p->sites * lists, under_way));
}

static void put_neighbours(const csim__problem *p, const csim__plan *plan,
                           const csim__room_survey *s, const csim_shard *shard, csim__room *room)
{
    const csim__stage NEIGHBOURS = CSIM__STAGE_NEIGHBOURS;
    const csim__near_plan *near = &plan->near;
    int64_t rows = shard->rows, sums = (int64_t)near->sums * 2 * CSIM_NEAR_SUMS;
    int64_t lists = 0, under_way = 0, across = 0, chunk = 0, widest = 0;
    if (near->sums == 0) { return; }
    for (int v = 0; v < near->views; v++) {
        lists += csim__near_bytes(shard, near->view[v].k) +
                 turned_lists(&near->view[v], rows, &under_way);
    }
    int64_t most = csim__max64(converting(s, shard->chunk), searching(p, near, shard, lists));
    if (near->across > 0) { /* after all searches: sums, and a chunk that all ranks are shown */
        widest = s->widest;
        across = WORD * 2 * near->across * (2 * plan->count - plan->selves) * rows;
        chunk = WORD * (shard->chunk * (widest + 1) + rows);
        most = csim__max64(most, across + chunk);
    }
    if (near->twins) { /* after these: theirs, rows in another order, and what is on its way */
        most = csim__max64(most,
                           p->sites * lists + 2 * across + chunk +
                               csim__order_bytes(shard, WORD * csim__max64(widest, near->longest)));
        most += WORD * rows * widest;
    }
    csim__room_put(room, CSIM__ROOM_SEARCH, WORD * rows * s->widest + most, NEIGHBOURS, NEIGHBOURS);
    csim__room_put(room, CSIM__ROOM_LISTS,
                   p->sites * lists + 8 * p->n + 2 * WORD * sums * plan->count, NEIGHBOURS,
                   NEIGHBOURS);
}

/* Kernels and distances: those of tiles, those that are stored, those of batches. */
static void put_kernels(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                        const csim_shard *shard, csim__room *room)
{
    const csim__stage KERNELS = CSIM__STAGE_KERNELS, DISTANCES = CSIM__STAGE_DISTANCES;
    const csim__kernel_plan *k = &plan->kernels;
    int64_t sites = p->sites, cells = sites * sites, sums = 0, stored = 0;
    int64_t buffer = converting(s, shard->chunk), forms = 0, left = 0;
    for (int m = 0; m < CSIM_MATRICES; m++) {
        forms += k->forms[m];
        left += k->left[m];
    }
    if (forms > 0) {
        int64_t most = csim__median_bytes(shard, p->sites, s->widths, s->widest, k->median);
        int64_t lists = 3 * WORD * k->columns * (sites + 16),
                each = sites * (int64_t)sizeof(csim__kernel_site) +
                       cells * (int64_t)sizeof(csim__kernel_pair);
        int64_t pass =
            csim__kernel_bytes(shard, p->sites, s->widths, s->widest, k->forms, 0, buffer);
        most = csim__max64(most, pass) + forms * each;
        if (left > 0) { /* once more, and blocks are left out */
            pass = csim__kernel_bytes(shard, p->sites, s->widths, s->widest, k->left, k->blocks,
                                      buffer);
            most = csim__max64(most, pass + left * k->blocks * each);
        }
        sums = csim__max64(holding(p, shard, NULL), most + lists) + 13 * sites + cells;
        if (p->streamed) { sums += WORD * shard->rows * s->widths; } /* held for the pass */
    }
    if (k->spread && p->streamed) {
        sums = csim__max64(sums, WORD * (shard->rows * s->widest + feed_words(p, s, 0)));
    }
    csim__room_put(room, CSIM__ROOM_KERNELS, sums, KERNELS, KERNELS);
    for (int i = 0; i < k->stores; i++) {
        const csim__store *one = &k->store[i];
        if (one->left_out) { continue; }
        csim_shard part = csim__shard(one->examples, shard->rank, shard->size);
        csim__triangle_room t = csim__triangle_bytes(&part, s->widest);
        int64_t most = csim__max64(one->examples < p->n ? 0 : buffer, t.fill);
        most = csim__max64(most, one->spectrum ? t.spectra : 0);
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
    csim__room_put(room, CSIM__ROOM_DISTANCES, stored, DISTANCES, DISTANCES);
    if (k->batch > 0) {
        csim__room_put(room, CSIM__ROOM_BATCHES,
                       csim__batch_bytes(p->sites, s->widest, k->batch, p->size) +
                           (WORD + 1) * cells + converting(s, k->batch),
                       CSIM__STAGE_BATCHES, CSIM__STAGE_BATCHES);
    }
    if (k->shifted > 0) {
        int64_t spectra =
            csim__shifts_bytes(shard, p->sites, plan->count, s->widest, k->shift_ranks);
        csim__room_put(room, CSIM__ROOM_SPECTRA, spectra + (WORD + 1) * cells + 13 * sites,
                       CSIM__STAGE_SHIFTS, CSIM__STAGE_SHIFTS);
    }
}

/* The pass that takes most: of every product that it makes all ranks hold the whole sum, and what they
 * have of the round beside that (deal.c). */
static void put_pass(const csim__plan *plan, int rank, int64_t own, csim__room *room)
{
    const csim__stage PRODUCTS = CSIM__STAGE_PRODUCTS;
    int64_t slots = 0, most = 0;
    for (int64_t i = 0; i < plan->passes; i++) {
        const csim__planned_pass *pass = &plan->pass[i];
        if (pass->slots + pass->blocks <= most) { continue; }
        most = pass->slots + pass->blocks;
        slots = pass->slots;
    }
    if (plan->products != NULL) { most = csim__max64(most, WORD * plan->products[rank]); }
    slots = csim__min64(slots, csim__max64(most - own, 0));
    csim__room_put(room, CSIM__ROOM_SLOTS, slots, PRODUCTS, PRODUCTS);
    csim__room_put(room, CSIM__ROOM_PARTIALS, csim__max64(most - own - slots, 0), PRODUCTS,
                   PRODUCTS);
}

/* Pairs of a round, and their products, which all ranks have on a list. */
static int64_t under_way(const csim__plan *plan)
{
    int64_t pairs = 0;
    for (int k = 0; k < 2; k++) {
        const csim__part *part = &plan->part[k];
        pairs = csim__max64(pairs, csim__min64(part->step, part->last - part->first));
    }
    return pairs * CSIM__PLAN_LISTED;
}

void csim__room_of(const csim__problem *p, const csim__plan *plan, const csim__room_survey *s,
                   int rank, csim__room *room)
{
    const csim__stage PERMUTE = CSIM__STAGE_PERMUTE, PRODUCTS = CSIM__STAGE_PRODUCTS;
    const csim__stage FINISH = CSIM__STAGE_FINISH;
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
    csim__room_bases(p, plan, &shard, room);
    if (p->permutations > 0) { /* they have rounds of their own */
        csim__room_put(room, CSIM__ROOM_TWINS, csim__permute_bytes(p, plan, &shard), PERMUTE,
                       FINISH);
        csim__room_put(room, CSIM__ROOM_TURNING,
                       csim__permute_passes(p, plan, &shard, converting(s, shard.chunk)), PERMUTE,
                       PERMUTE);
    }
    csim__room_put(room, CSIM__ROOM_ROUND, under_way(plan), PRODUCTS, FINISH);
    csim__room_put(room, CSIM__ROOM_BLOCKS, WORD * own, PRODUCTS, FINISH);
    if (p->streamed) {
        put_pass(plan, rank, WORD * own, room);
    } else {
        csim__room_put(room, CSIM__ROOM_PARTIALS, WORD * sums, PRODUCTS, PRODUCTS);
    }
    csim__room_put(room, CSIM__ROOM_WORKSPACE, WORD * work, FINISH, FINISH);
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
