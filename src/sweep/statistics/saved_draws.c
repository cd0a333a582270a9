/* Draws of relabellings in the journal: a tile may have many, and its pairs are finished after them. */
#include "sweep/statistics/statistics.h"

#include "sweep/state.h"

/* In front of a record, and in front of each pair. */
enum { HEAD = 3, SITES = 2 };

csim_status csim__saved_take_draws(csim__sweep *w, const int64_t *words, int64_t bytes)
{
    int64_t count = bytes / 8, draws = w->cells.draws;
    bool head = bytes % 8 == 0 && count >= HEAD && words[0] >= 0 && words[0] < CSIM__DRAWN_KINDS &&
                words[1] >= 0 && words[1] < words[2] && words[2] <= draws;
    int64_t kind = head ? words[0] : 0, first = head ? words[1] : 0, last = head ? words[2] : 0;
    int64_t each = SITES + csim__cells_draw_words(&w->cells, first, last);
    bool whole = head && (count - HEAD) % each == 0;
    for (int64_t i = HEAD; whole && i < count; i += each) {
        int64_t a = words[i], b = words[i + 1];
        whole = a >= 0 && a <= b && b < w->all_count &&
                csim__cells_requested(&w->cells, (int)a, (int)b);
        if (!whole) { break; }
        int64_t *drawn = csim__cells_drawn(&w->cells, (int)a, (int)b, (int)kind);
        csim__cells_unpack_draws(&w->cells, (int)a, (int)b, first, last, words + i + SITES);
        if (*drawn >= first) { *drawn = csim__max64(*drawn, last); }
    }
    w->saved_draws += last - first;
    return whole
               ? CSIM_OK
               : csim__fail(w->ctx, CSIM_E_FORMAT,
                            "%s: a record of relabellings that are not there", w->options->journal);
}

/* Of a pair that has more than others of the tile: all draws of a tile are made together. */
static void forget(csim__sweep *w, const csim__couple *c, int kind, int64_t first, int64_t last)
{
    const csim_sweep_options *o = w->options;
    for (int m = 0; m < o->measure_count; m++) {
        if ((int)csim__statistics_kind(&o->measures[m]) != kind) { continue; }
        csim__cells_forget_draws(&w->cells, w->id[c->left], w->id[c->right], m, first, last);
    }
}

/* Draws that all pairs of the tile have; those that only some have are dropped. */
static int64_t drawn_before(csim__sweep *w, int kind)
{
    int64_t least = w->cells.draws;
    for (int turn = 0; turn < 2; turn++) {
        for (int64_t i = 0; i < w->plan.count; i++) {
            const csim__couple *c = &w->plan.pairs[i].couple;
            if (!w->plan.pairs[i].cell) { continue; }
            int64_t *drawn = csim__cells_drawn(&w->cells, w->id[c->left], w->id[c->right], kind);
            if (turn == 0) {
                least = csim__min64(least, *drawn);
            } else if (*drawn > least) {
                forget(w, c, kind, least, *drawn);
                *drawn = least;
            }
        }
    }
    return least;
}

/* How many are made between two savings. */
static int64_t batch_of(const csim__sweep *w)
{
    const double seldom = 1e12; /* flops, some ten seconds of a core */
    double draws = (double)w->cells.draws, each = w->plan.flops / (1 + draws);
    return each * draws <= seldom ? w->cells.draws : csim__max64(1, (int64_t)(seldom / each));
}

/* The words of all pairs of the tile, from all ranks. */
static csim_status collect(csim__sweep *w, int kind, int64_t first, int64_t last, int64_t **words,
                           int64_t *count)
{
    int64_t each = SITES + csim__cells_draw_words(&w->cells, first, last), at = HEAD;
    bool root = csim_context_rank(w->ctx) == 0;
    int many = 0;
    csim_status st = CSIM_OK;
    *count = HEAD;
    for (int64_t i = 0; i < w->plan.count; i++) { *count += w->plan.pairs[i].cell ? each : 0; }
    CSIM_TRY(csim__int(w->ctx, *count, "draws of a tile", &many));
    CSIM_TRY(csim__calloc(w->ctx, *count, sizeof **words, "draws of a tile", words));
    (*words)[0] = kind;
    (*words)[1] = first;
    (*words)[2] = last;
done:
    st = csim__vote(w->ctx, st);
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        const csim__couple *c = &w->plan.pairs[i].couple;
        int64_t *to = *words + at;
        if (!w->plan.pairs[i].cell) { continue; }
        to[0] = w->id[c->left];
        to[1] = w->id[c->right];
        csim__cells_pack_draws(&w->cells, (int)to[0], (int)to[1], first, last, to + SITES);
        at += each;
    }
    if (st == CSIM_OK) {
        st = csim__mpi(w->ctx,
                       MPI_Reduce(root ? MPI_IN_PLACE : *words, root ? *words : NULL, many,
                                  MPI_INT64_T, MPI_BOR, 0, csim_context_comm(w->ctx)),
                       "draws of a tile");
    }
    return st;
}

static csim_status save(csim__sweep *w, int kind, int64_t first, int64_t last)
{
    int64_t *words = NULL, count = 0;
    csim_status st = CSIM_OK;
    if (w->options->journal == NULL || first == last) { return CSIM_OK; }
    st = collect(w, kind, first, last, &words, &count);
    if (st == CSIM_OK && w->journal != NULL) {
        st = csim__journal_append(w->ctx, w->journal, CSIM__RECORD_DRAWS, words, 8 * count);
    }
    st = csim__vote(w->ctx, st);
    w->saved_draws += st == CSIM_OK ? last - first : 0;
    csim__free(w->ctx, &words);
    return st == CSIM_OK ? csim__saved_stop(w) : st;
}

csim_status csim__saved_permute(csim__sweep *w, int kind, csim__draw_fn draw, void *user)
{
    int64_t all = w->options->permutations, batch = batch_of(w), end;
    csim_status st = CSIM_OK;
    csim__phase_begin(w->ctx, "permutations");
    for (int64_t first = drawn_before(w, kind); st == CSIM_OK && first < all; first = end) {
        end = csim__min64(first + batch, all);
        for (int64_t k = first; st == CSIM_OK && k < end; k++) { st = draw(user, k); }
        if (st == CSIM_OK) { st = save(w, kind, first, end); }
    }
    csim__phase_end(w->ctx, 0, 0);
    return st;
}
