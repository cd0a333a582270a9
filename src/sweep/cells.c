/* Which cells there are, which of them are asked for and still open, and their values. */
#include <math.h>
#include <string.h>

#include "sweep/cells.h"
#include "sweep/statistics/statistics.h"

typedef enum which { CROSS, ALL, WITHIN, NAMED } which;

/* Values that a measure has in each cell. */
static int planes_of(const csim_sweep_measure *m, int64_t n)
{
    int64_t list[CSIM_NEIGHBOURS_MOST];
    const csim_neighbour_options *o = m->options;
    return m->measure->needs & CSIM_NEEDS_NEIGHBOURS ? csim_neighbour_list(o->k, n, list) : 1;
}

static csim_status lay_planes(csim_context *ctx, const csim_sweep_options *options, int64_t n,
                              csim__cells *cells)
{
    csim_status st =
        csim__alloc(ctx, cells->measures + 1, sizeof *cells->plane, "measures", &cells->plane);
    if (st != CSIM_OK) { return st; }
    cells->plane[0] = 0;
    for (int m = 0; m < cells->measures; m++) {
        cells->plane[m + 1] = cells->plane[m] + planes_of(&options->measures[m], n);
    }
    cells->planes = cells->plane[cells->measures];
    return CSIM_OK;
}

/* Places of the numbers beside values: those that some measure has. */
static void lay_extras(const csim_sweep_options *options, int64_t n, csim__cells *cells)
{
    for (int b = 0; b < CSIM__BESIDE_COUNT; b++) {
        bool any = false;
        for (int m = 0; m < options->measure_count; m++) {
            any = any || csim__statistics_beside(options, m, n, (csim__beside)b);
        }
        cells->beside[b] = any ? (int)cells->extras++ : -1;
    }
    cells->draws = csim__statistics_draws(options, n);
    cells->extras += cells->draws;
    cells->draw = -1;
}

/* Index of the set called as the first length characters of text, −1 if there is none. */
static int find_set(csim_set *const *sets, int count, const char *text, size_t length)
{
    for (int s = 0; s < count; s++) {
        const char *name = csim_set_name(sets[s]);
        if (strlen(name) == length && strncmp(name, text, length) == 0) { return s; }
    }
    return -1;
}

/* What `pairs` means; for "A:B" the two sets. */
static csim_status understand(csim_context *ctx, csim_set *const *sets, int count,
                              const char *pairs, which *kind, int named[2])
{
    if (pairs == NULL) { pairs = count > 1 ? "cross" : "all"; }
    const char *colon = strchr(pairs, ':');
    *kind = strcmp(pairs, "all") == 0      ? ALL
            : strcmp(pairs, "within") == 0 ? WITHIN
            : strcmp(pairs, "cross") == 0  ? CROSS
                                           : NAMED;
    if (*kind == CROSS && count < 2) {
        return csim__fail(ctx, CSIM_E_ARG, "--pairs cross needs two sets or more, found one");
    }
    if (*kind != NAMED) { return CSIM_OK; }
    for (int s = 0; colon != NULL && s < count; s++) { /* a name may hold a colon itself */
        const char *name = csim_set_name(sets[s]);
        size_t length = strlen(name);
        if (strncmp(pairs, name, length) == 0 && pairs[length] == ':') {
            named[0] = s;
            named[1] = find_set(sets, count, pairs + length + 1, strlen(pairs + length + 1));
            if (named[1] >= 0) { return CSIM_OK; }
        }
    }
    return csim__fail(ctx, CSIM_E_ARG,
                      "--pairs: found '%s', expected cross, all, within, or A:B with the names of "
                      "two sets (the first set is called %s)",
                      pairs, csim_set_name(sets[0]));
}

csim_status csim__cells_make(csim_context *ctx, csim_set *const *sets, int set_count,
                             const csim_sweep_options *options, csim__cells *cells)
{
    int sites = 0, named[2] = {0, 1}, *home = NULL;
    which kind;
    csim_status st = CSIM_OK;
    *cells = (csim__cells){.measures = options->measure_count};
    for (int s = 0; s < set_count; s++) { sites += csim_set_site_count(sets[s]); }
    cells->sites = sites;
    CSIM_TRY(understand(ctx, sets, set_count, options->pairs, &kind, named));
    CSIM_TRY(lay_planes(ctx, options, csim_set_examples(sets[0]), cells));
    lay_extras(options, csim_set_examples(sets[0]), cells);
    CSIM_TRY(csim__alloc(ctx, sites, sizeof(int), "sets of sites", &home));
    CSIM_TRY(csim__alloc(ctx, sites, sizeof(int), "rows", &cells->row));
    CSIM_TRY(csim__alloc(ctx, sites, sizeof(int), "columns", &cells->col));
    CSIM_TRY(csim__alloc(ctx, sites, sizeof(int), "rows of sites", &cells->row_of));
    CSIM_TRY(csim__alloc(ctx, sites, sizeof(int), "columns of sites", &cells->col_of));
    bool two = kind == NAMED || (kind == CROSS && set_count == 2);
    for (int s = 0, at = 0; s < set_count; s++) {
        for (int i = 0; i < csim_set_site_count(sets[s]); i++, at++) {
            bool row = !two || s == named[0], col = !two || s == named[1];
            home[at] = s;
            cells->row_of[at] = row ? cells->rows : -1;
            cells->col_of[at] = col ? cells->cols : -1;
            if (row) { cells->row[cells->rows++] = at; }
            if (col) { cells->col[cells->cols++] = at; }
        }
    }
    int64_t count = (int64_t)cells->rows * cells->cols;
    CSIM_TRY(csim__alloc(ctx, count, 1, "cells", &cells->requested));
    CSIM_TRY(csim__alloc(ctx, count, 1, "cells", &cells->open));
    for (int i = 0; i < cells->rows; i++) {
        for (int j = 0; j < cells->cols; j++) {
            bool same = home[cells->row[i]] == home[cells->col[j]];
            cells->requested[i * cells->cols + j] = kind == WITHIN  ? same
                                                    : kind == CROSS ? !same
                                                                    : 1;
        }
    }
    memcpy(cells->open, cells->requested, (size_t)count);
done:
    csim__free(ctx, &home);
    return st;
}

csim_status csim__cells_room(csim_context *ctx, csim__cells *cells)
{
    int64_t count = (int64_t)cells->rows * cells->cols, all = count * cells->planes;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, all, sizeof *cells->bits, "cells", &cells->bits));
    if (cells->extras > 0) {
        CSIM_TRY(csim__calloc(ctx, cells->extras * all, sizeof *cells->extra,
                              "statistics of the cells", &cells->extra));
        CSIM_TRY(csim__calloc(ctx, CSIM__DRAWN_KINDS * count, sizeof *cells->drawn,
                              "statistics of the cells", &cells->drawn));
    }
    CSIM_TRY(csim__calloc(ctx, all, 1, "cells", &cells->cell));
    CSIM_TRY(csim__calloc(ctx, all, 1, "cells", &cells->note));
done:
    return st;
}

void csim__cells_clear(csim_context *ctx, csim__cells *cells)
{
    csim__free(ctx, &cells->plane);
    csim__free(ctx, &cells->row);
    csim__free(ctx, &cells->col);
    csim__free(ctx, &cells->row_of);
    csim__free(ctx, &cells->col_of);
    csim__free(ctx, &cells->requested);
    csim__free(ctx, &cells->open);
    csim__free(ctx, &cells->extra);
    csim__free(ctx, &cells->drawn);
    csim__free(ctx, &cells->bits);
    csim__free(ctx, &cells->cell);
    csim__free(ctx, &cells->note);
}

/* Place of the cell (x, y) of sites, −1 if there is none or nobody asked for it. */
static int64_t place(const csim__cells *cells, int x, int y)
{
    int i = cells->row_of[x], j = cells->col_of[y];
    int64_t at = (int64_t)i * cells->cols + j;
    return i >= 0 && j >= 0 && cells->requested[at] ? at : -1;
}

/* Both orders of a pair: the sites of a cell. */
static void orders(int a, int b, int order, int *x, int *y)
{
    *x = order == 0 ? a : b;
    *y = order == 0 ? b : a;
}

bool csim__cells_open(const csim__cells *cells, int a, int b)
{
    int64_t here = place(cells, a, b), there = place(cells, b, a);
    return (here >= 0 && cells->open[here]) || (there >= 0 && cells->open[there]);
}

bool csim__cells_requested(const csim__cells *cells, int a, int b)
{
    return place(cells, a, b) >= 0 || place(cells, b, a) >= 0;
}

void csim__cells_close(csim__cells *cells, int a, int b)
{
    int64_t here = place(cells, a, b), there = place(cells, b, a);
    if (here >= 0) { cells->open[here] = 0; }
    if (there >= 0) { cells->open[there] = 0; }
}

void csim__cells_take_part(csim__cells *cells, const int64_t *width, int part, int parts)
{
    double all = 0, done = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int a = 0; a < cells->sites; a++) {
            for (int b = a; b < cells->sites; b++) {
                if (!csim__cells_open(cells, a, b)) { continue; }
                double work = (double)width[a] * (double)width[b];
                if (pass == 0) {
                    all += work;
                    continue;
                }
                int mine = (int)((done + work / 2) / all * parts);
                if (mine + 1 != part) { csim__cells_close(cells, a, b); }
                done += work;
            }
        }
    }
}

/* A cell in words: value, state and note, and what is beside it. */
enum { WORDS = 2 };

int64_t csim__cells_words(const csim__cells *cells)
{
    return (int64_t)cells->planes * 2 * (WORDS + cells->extras);
}

static int64_t cells_of_plane(const csim__cells *cells)
{
    return (int64_t)cells->rows * cells->cols;
}

/* An extra of the cell @p at, which counts planes too. */
static int64_t *extra_of(const csim__cells *cells, int64_t extra, int64_t at)
{
    return cells->extra + extra * cells->planes * cells_of_plane(cells) + at;
}

void csim__cells_pack(const csim__cells *cells, int a, int b, int64_t *words)
{
    memset(words, 0, (size_t)csim__cells_words(cells) * sizeof *words);
    for (int m = 0; m < cells->planes; m++) {
        for (int order = 0; order < 2; order++, words += WORDS + cells->extras) {
            int x, y;
            orders(a, b, order, &x, &y);
            int64_t at = place(cells, x, y);
            if (at < 0) { continue; }
            at += m * cells_of_plane(cells);
            words[0] = cells->bits[at];
            words[1] = cells->cell[at] | (int64_t)cells->note[at] << 8;
            for (int64_t e = 0; e < cells->extras; e++) {
                words[WORDS + e] = *extra_of(cells, e, at);
            }
        }
    }
}

void csim__cells_unpack(csim__cells *cells, int a, int b, const int64_t *words)
{
    for (int m = 0; m < cells->planes; m++) {
        for (int order = 0; order < 2; order++, words += WORDS + cells->extras) {
            int x, y;
            orders(a, b, order, &x, &y);
            int64_t at = place(cells, x, y);
            if (at < 0) { continue; }
            at += m * cells_of_plane(cells);
            cells->bits[at] = words[0];
            cells->cell[at] = (int8_t)(words[1] & 0xff);
            cells->note[at] = (int8_t)(words[1] >> 8 & 0xff);
            for (int64_t e = 0; e < cells->extras; e++) {
                *extra_of(cells, e, at) = words[WORDS + e];
            }
        }
    }
}

int64_t *csim__cells_drawn(csim__cells *cells, int a, int b, int kind)
{
    int64_t at = place(cells, a, b);
    if (at < 0) { at = place(cells, b, a); }
    return &cells->drawn[at * CSIM__DRAWN_KINDS + kind];
}

int64_t csim__cells_draw_words(const csim__cells *cells, int64_t first, int64_t last)
{
    return 2 * cells->planes * (last - first);
}

/* The cells of a pair, plane by plane, in both orders: where its draws are, or −1. */
static int64_t draws_at(const csim__cells *cells, int a, int b, int64_t i)
{
    int x, y;
    orders(a, b, (int)(i % 2), &x, &y);
    int64_t at = place(cells, x, y);
    return at < 0 ? -1 : at + i / 2 * cells_of_plane(cells);
}

void csim__cells_pack_draws(const csim__cells *cells, int a, int b, int64_t first, int64_t last,
                            int64_t *words)
{
    int64_t before = cells->extras - cells->draws;
    for (int64_t i = 0; i < 2 * cells->planes; i++) {
        int64_t at = draws_at(cells, a, b, i);
        for (int64_t k = first; k < last; k++) {
            *words++ = at < 0 ? 0 : *extra_of(cells, before + k, at);
        }
    }
}

void csim__cells_unpack_draws(csim__cells *cells, int a, int b, int64_t first, int64_t last,
                              const int64_t *words)
{
    int64_t before = cells->extras - cells->draws;
    for (int64_t i = 0; i < 2 * cells->planes; i++) {
        int64_t at = draws_at(cells, a, b, i);
        for (int64_t k = first; k < last; k++, words++) {
            if (at >= 0 && *words != 0) { *extra_of(cells, before + k, at) = *words; }
        }
    }
}

void csim__cells_forget_draws(csim__cells *cells, int a, int b, int measure, int64_t first,
                              int64_t last)
{
    int64_t before = cells->extras - cells->draws;
    for (int64_t i = 2 * cells->plane[measure]; i < 2 * cells->plane[measure + 1]; i++) {
        int64_t at = draws_at(cells, a, b, i);
        for (int64_t k = first; at >= 0 && k < last; k++) { *extra_of(cells, before + k, at) = 0; }
    }
}

/* A value, and what is beside it. */
typedef struct entry {
    csim_value value;
    double beside[CSIM__BESIDE_COUNT];
} entry;

void csim__cells_put_draw(csim__cells *cells, int plane, int x, int y, int64_t draw, double value)
{
    int64_t at = place(cells, x, y);
    if (at < 0 || !cells->open[at]) { return; }
    at += plane * cells_of_plane(cells);
    memcpy(extra_of(cells, cells->extras - cells->draws + draw, at), &value, sizeof value);
}

void csim__cells_put_beside(csim__cells *cells, int plane, int x, int y, csim__beside beside,
                            double value)
{
    int64_t at = place(cells, x, y);
    if (at < 0 || !cells->open[at] || cells->beside[beside] < 0) { return; }
    at += plane * cells_of_plane(cells);
    memcpy(extra_of(cells, cells->beside[beside], at), &value, sizeof value);
}

/* Intervals are put by themselves, on another rank perhaps. */
static void put(csim__cells *cells, int plane, int x, int y, const entry *e)
{
    int64_t at = place(cells, x, y);
    if (at < 0 || !cells->open[at]) { return; }
    if (cells->draw >= 0) {
        csim__cells_put_draw(cells, plane, x, y, cells->draw, e->value.value);
        return;
    }
    at += plane * cells_of_plane(cells);
    memcpy(&cells->bits[at], &e->value.value, sizeof e->value.value);
    cells->cell[at] = (int8_t)e->value.cell;
    cells->note[at] = (int8_t)e->value.note;
    for (int b = 0; b < CSIM__BESIDE_SE; b++) {
        csim__cells_put_beside(cells, plane, x, y, (csim__beside)b, e->beside[b]);
    }
}

/* Does the measure need a basis that could not be made? */
static bool lacks_basis(const csim_pair *pair, unsigned needs)
{
    unsigned cross = CSIM_NEEDS_GRAM | CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_BLOCK | CSIM_NEEDS_BASIS;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    if (pair->route == CSIM__ROUTE_BASIS && (needs & cross) &&
        (a->basis.failed || b->basis.failed)) {
        return true;
    }
    return (needs & CSIM_NEEDS_RAW_BASIS) && (a->raw_basis.failed || b->raw_basis.failed);
}

csim_value csim__cells_evaluate(csim_pair *pair, const csim_sweep_measure *m)
{
    csim_value value = {
        .value = NAN, .cell = CSIM_CELL_FAILED, .note = CSIM_NOTE_NONE, .spread = NAN};
    for (int side = 0; side < 2; side++) {
        value.note = pair->site[side]->unfit;
        if (value.note != CSIM_NOTE_NONE) { return value; }
    }
    if (pair->untiled && (m->measure->needs & CSIM_NEEDS_DIAGONAL)) {
        value.cell = CSIM_CELL_UNDEFINED;
        value.note = CSIM_NOTE_NO_ROOM;
        return value;
    }
    csim_status st = lacks_basis(pair, m->measure->needs)
                         ? CSIM_E_NUMERIC
                         : m->measure->finish(pair, m->options, &value);
    if (st != CSIM_OK) {
        csim__forgive(pair->ctx);
        value.value = NAN;
        value.cell = CSIM_CELL_FAILED;
        value.note = st == CSIM_E_MEM     ? CSIM_NOTE_MEMORY
                     : st == CSIM_E_LIMIT ? CSIM_NOTE_LIMIT
                     : st == CSIM_E_FAULT ? CSIM_NOTE_FAULT
                                          : CSIM_NOTE_NO_CONVERGENCE;
    }
    bool small = pair->site[0]->n < 10 * csim__max64(pair->site[0]->d, pair->site[1]->d);
    if (value.cell == CSIM_CELL_DONE && value.note == CSIM_NOTE_NONE && small &&
        (m->measure->props & CSIM_BIASED)) {
        value.note = CSIM_NOTE_SMALL_SAMPLE;
    }
    return value;
}

/* The value of the measure @p m in one order, and what is beside it. */
static entry make_entry(const csim__cells *cells, csim_pair *pair,
                        const csim_sweep_options *options, int m)
{
    entry e = {.value = csim__cells_evaluate(pair, &options->measures[m])};
    for (int b = 0; b < CSIM__BESIDE_COUNT; b++) { e.beside[b] = NAN; }
    if (cells->draw < 0 && e.value.cell == CSIM_CELL_DONE) {
        e.beside[CSIM__BESIDE_STD] = e.value.spread;
        e.beside[CSIM__BESIDE_TIE] = e.value.tie;
        csim__statistics_of_pair(pair, options, m, e.value.value, e.beside);
    }
    return e;
}

/* One value in both orders, of the measure @p m. */
static void finish_plane(csim__cells *cells, csim_pair *pair, int left, int right,
                         const csim_sweep_options *options, int m, int plane)
{
    const double *sums = pair->sums;
    pair->flipped = false;
    entry value = make_entry(cells, pair, options, m);
    put(cells, plane, left, right, &value);
    if (left == right) { return; }
    if (!(options->measures[m].measure->props & CSIM_SYMMETRIC)) {
        pair->flipped = true;
        if (sums != NULL) { pair->sums = sums + CSIM_NEAR_SUMS; }
        value = make_entry(cells, pair, options, m);
        pair->sums = sums;
    }
    put(cells, plane, right, left, &value);
}

void csim__cells_finish(csim__cells *cells, csim_pair *pair, int left, int right,
                        const csim_sweep_options *options)
{
    int64_t list[CSIM_NEIGHBOURS_MOST];
    int lists = 0; /* whose sums were taken */
    for (int m = 0; m < options->measure_count; m++) {
        const csim_sweep_measure *measure = &options->measures[m];
        const csim_neighbour_options *o = measure->options;
        bool near = (measure->measure->needs & CSIM_NEEDS_NEIGHBOURS) != 0;
        bool here = cells->draw < 0 || csim__statistics_kind(measure) == cells->kind;
        if (!here) {
            lists += near ? cells->plane[m + 1] - cells->plane[m] : 0;
            continue;
        }
        if (near) { csim_neighbour_list(o->k, pair->site[0]->n, list); }
        pair->kernel = pair->matrices != NULL ? &pair->matrices[m] : NULL;
        for (int plane = cells->plane[m]; plane < cells->plane[m + 1]; plane++) {
            pair->sums = near ? pair->near + 2 * CSIM_NEAR_SUMS * lists++ : NULL;
            pair->k = near ? list[plane - cells->plane[m]] : 0;
            finish_plane(cells, pair, left, right, options, m, plane);
        }
    }
}

/* Words or bytes of which every one is on one rank, the others have 0. */
static csim_status join(csim_context *ctx, void *items, int64_t count, MPI_Datatype type, int size)
{
    enum { PIECE = 1 << 24 };
    int code = MPI_SUCCESS;
    for (int64_t at = 0; code == MPI_SUCCESS && at < count; at += PIECE) {
        code = MPI_Allreduce(MPI_IN_PLACE, (char *)items + at * size,
                             (int)csim__min64(PIECE, count - at), type, MPI_BOR,
                             csim_context_comm(ctx));
    }
    return csim__mpi(ctx, code, "join of the cells");
}

csim_status csim__cells_join(csim_context *ctx, csim__cells *cells)
{
    int64_t all = cells_of_plane(cells) * cells->planes;
    csim_status st = join(ctx, cells->bits, all, MPI_INT64_T, 8);
    if (st == CSIM_OK) { st = join(ctx, cells->extra, cells->extras * all, MPI_INT64_T, 8); }
    if (st == CSIM_OK) { st = join(ctx, cells->cell, all, MPI_INT8_T, 1); }
    if (st == CSIM_OK) { st = join(ctx, cells->note, all, MPI_INT8_T, 1); }
    return csim__vote(ctx, st);
}
