/* Intervals by leaving out one block of examples after the other: for measures that are functions of the
 * products of neurons, whose finish() is asked for the value of a pair of what is left. */
#include <math.h>
#include <string.h>

#include "ingredients/leave.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

/* What is left of a site. */
typedef struct residue {
    double variance, gram, square_of_norms;
} residue;

/* The work on one tile. Index b of what is left: without block b; `blocks.count`: of all examples. */
typedef struct jackknife {
    csim__sweep *w;
    csim__partners p; /* every site that is fit */
    csim__blocks blocks;
    csim__leave leave;
    residue *residue;           /* [sites, blocks + 1] */
    double **norm;              /* [sites] of [blocks + 1, d] */
    double *all, *block, *rest; /* [widest + 2, widest + 2] of the pair that this rank has */
    double *value;              /* [measures, blocks + 1] of it */
    int *owner;                 /* [ranks] */
    double **out;               /* [ranks] */
    csim__couple *couple;       /* [ranks] those of a round */
} jackknife;

static csim_status allocate(jackknife *j)
{
    csim_context *ctx = j->w->ctx;
    int64_t widest = 0, states = j->blocks.count + 1, size = j->w->shard.size;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__partners_list(j->w, &j->p));
    CSIM_TRY(
        csim__calloc(ctx, j->p.count * states, sizeof *j->residue, "sums of blocks", &j->residue));
    CSIM_TRY(csim__calloc(ctx, j->p.count, sizeof *j->norm, "norms", &j->norm));
    for (int s = 0; s < j->p.count; s++) {
        int64_t d = j->p.site[s]->d;
        widest = csim__max64(widest, d);
        CSIM_TRY(csim__calloc(ctx, states * d, sizeof **j->norm, "norms", &j->norm[s]));
        CSIM_TRY(csim__sweep_hold(j->w, j->p.site[s]));
    }
    int64_t square = (widest + CSIM__LEAVE_MORE) * (widest + CSIM__LEAVE_MORE);
    CSIM_TRY(csim__alloc(ctx, square, sizeof *j->all, "a block", &j->all));
    CSIM_TRY(csim__alloc(ctx, square, sizeof *j->block, "a block", &j->block));
    CSIM_TRY(csim__alloc(ctx, square, sizeof *j->rest, "a block", &j->rest));
    CSIM_TRY(csim__alloc(ctx, states * j->w->options->measure_count, sizeof *j->value,
                         "values without blocks", &j->value));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *j->owner, "owners", &j->owner));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *j->out, "blocks", &j->out));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *j->couple, "pairs", &j->couple));
    for (int r = 0; r < size; r++) { j->owner[r] = r; }
    st = csim__leave_open(ctx, &j->w->shard, j->p.site, j->p.count, &j->blocks, &j->leave);
done:
    return st;
}

static void release(jackknife *j)
{
    csim_context *ctx = j->w->ctx;
    csim__leave_close(&j->leave);
    for (int s = 0; s < j->p.count; s++) {
        if (j->norm != NULL) { csim__free(ctx, &j->norm[s]); }
        if (j->p.site != NULL) { csim__sweep_let_go(j->w, j->p.site[s]); }
    }
    csim__free(ctx, &j->residue);
    csim__free(ctx, &j->norm);
    csim__free(ctx, &j->all);
    csim__free(ctx, &j->block);
    csim__free(ctx, &j->rest);
    csim__free(ctx, &j->value);
    csim__free(ctx, &j->owner);
    csim__free(ctx, &j->out);
    csim__free(ctx, &j->couple);
    csim__partners_clear(j->w, &j->p);
}

/* ---- what is left of sites and pairs ---- */

static void take_site(jackknife *j, const csim__couple *c, int b, const double *block)
{
    int s = c->left;
    int64_t d = j->p.site[s]->d;
    residue *r = &j->residue[s * (j->blocks.count + 1) + b];
    double *norm = j->norm[s] + b * d;
    r->square_of_norms = csim__leave_rest(j->all, block, d, d, j->rest);
    for (int64_t i = 0; i < d; i++) {
        double square = j->rest[i * (d + 1)], of_all = j->p.site[s]->norm[i];
        if (square <= 1e-12 * of_all * of_all) { square = 0; } /* constant but for that block */
        norm[i] = sqrt(square);
        r->variance += square;
    }
    for (int64_t i = 0; i < d * d; i++) { r->gram += j->rest[i] * j->rest[i]; }
}

static csim__site site_without(const jackknife *j, int s, int b)
{
    const residue *r = &j->residue[s * (j->blocks.count + 1) + b];
    const csim__site *all = j->p.site[s];
    csim__site site = {.d = all->d,
                       .n = all->n - (b < j->blocks.count ? csim__blocks_rows(&j->blocks, b) : 0),
                       .norm = j->norm[s] + b * all->d,
                       .variance = r->variance,
                       .square_of_norms = r->square_of_norms,
                       .constant_columns = all->constant_columns,
                       .checksum = all->checksum,
                       .unfit = all->unfit};
    csim__site_take_gram(&site, r->gram);
    return site;
}

/* Does the value of a measure without a block come from products? */
static bool is_wanted(const jackknife *j, int m)
{
    const csim_sweep_options *o = j->w->options;
    bool matrices = (o->measures[m].measure->needs & CSIM_NEEDS_KERNELS) != 0;
    return !matrices && csim__statistics_interval(o, m);
}

static double *values_of(const jackknife *j, int measure)
{
    return j->value + (int64_t)measure * (j->blocks.count + 1);
}

static void take_pair(jackknife *j, const csim__couple *c, int b, const double *block)
{
    const csim_sweep_options *o = j->w->options;
    csim__site left = site_without(j, c->left, b), right = site_without(j, c->right, b);
    bool self = c->left == c->right;
    csim_pair pair = {.ctx = j->w->ctx,
                      .site = {&left, self ? &left : &right},
                      .route = CSIM__ROUTE_CROSS,
                      .block = j->rest};
    pair.rows.diagonal = csim__leave_rest(j->all, block, left.d, right.d, j->rest);
    for (int m = 0; m < o->measure_count; m++) {
        if (is_wanted(j, m)) {
            values_of(j, m)[b] = csim__cells_evaluate(&pair, &o->measures[m]).value;
        }
    }
    csim__pair_clear(&pair);
}

/* The intervals of a pair; in both orders they are the same. */
static void finish_pair(jackknife *j, const csim__couple *c)
{
    csim__sweep *w = j->w;
    int x = w->id[j->p.site[c->left] - w->site], y = w->id[j->p.site[c->right] - w->site];
    for (int m = 0; m < w->options->measure_count; m++) {
        if (!is_wanted(j, m)) { continue; }
        csim__statistics_put_interval(&w->cells, m, x, y, &j->blocks, values_of(j, m));
    }
}

/* ---- rounds ---- */

typedef void (*take_fn)(jackknife *j, const csim__couple *c, int b, const double *block);

/* Numbers in the products of a pair. */
static int64_t numbers_of(const jackknife *j, const csim__couple *c)
{
    return (j->p.site[c->left]->d + CSIM__LEAVE_MORE) * (j->p.site[c->right]->d + CSIM__LEAVE_MORE);
}

/* As many pairs as there are ranks, one each: their products over all examples, which are the sums of
 * those of blocks, then without each block. */
static csim_status one_round(jackknife *j, int count, take_fn take)
{
    csim__sweep *w = j->w;
    int rank = w->shard.rank, last = j->blocks.count;
    const csim__couple *mine = rank < count ? &j->couple[rank] : NULL;
    int64_t numbers = mine != NULL ? numbers_of(j, mine) : 0;
    csim_status st = CSIM_OK;
    memset(j->all, 0, (size_t)numbers * sizeof *j->all);
    j->out[rank] = mine != NULL ? j->block : NULL;
    for (int pass = 0; st == CSIM_OK && pass < 2; pass++) {
        for (int b = 0; st == CSIM_OK && b < last; b++) {
            st = csim__leave_products(&j->leave, b, j->couple, j->owner, j->out, count, &w->meter);
            for (int64_t i = 0; st == CSIM_OK && pass == 0 && i < numbers; i++) {
                j->all[i] += j->block[i];
            }
            if (st == CSIM_OK && pass == 1 && mine != NULL) { take(j, mine, b, j->block); }
        }
    }
    if (st == CSIM_OK && mine != NULL) { take(j, mine, last, NULL); }
    return st;
}

/* What is left of sites reaches every rank: one has it, the others 0. */
static csim_status share_sites(jackknife *j)
{
    csim__sweep *w = j->w;
    MPI_Comm comm = csim_context_comm(w->ctx);
    int states = j->blocks.count + 1, code = MPI_SUCCESS;
    for (int s = 0; code == MPI_SUCCESS && s < j->p.count; s++) {
        code = MPI_Allreduce(MPI_IN_PLACE, j->residue + (int64_t)s * states, 3 * states, MPI_DOUBLE,
                             MPI_SUM, comm);
        for (int b = 0; code == MPI_SUCCESS && b < states; b++) {
            code = MPI_Allreduce(MPI_IN_PLACE, j->norm[s] + b * j->p.site[s]->d,
                                 (int)j->p.site[s]->d, MPI_DOUBLE, MPI_SUM, comm);
        }
    }
    return csim__vote(w->ctx, csim__mpi(w->ctx, code, "sums of blocks"));
}

/* Is a pair of sites to be done: each site, or each pair with an open cell? */
static bool is_due(const jackknife *j, int a, int b, bool sites)
{
    const csim__sweep *w = j->w;
    int x = w->id[j->p.site[a] - w->site], y = w->id[j->p.site[b] - w->site];
    return sites ? a == b : csim__cells_open(&w->cells, x, y);
}

/* All sites, or all pairs, a round at a time. */
static csim_status all_rounds(jackknife *j, bool sites)
{
    int size = j->w->shard.size, rank = j->w->shard.rank, many = 0;
    csim_status st = CSIM_OK;
    for (int a = 0; st == CSIM_OK && a < j->p.count; a++) {
        for (int b = a; st == CSIM_OK && b < j->p.count; b++) {
            bool last = a == j->p.count - 1;
            if (is_due(j, a, b, sites)) { j->couple[many++] = (csim__couple){a, b}; }
            if (many == 0 || (many < size && !last)) { continue; }
            st = one_round(j, many, sites ? take_site : take_pair);
            if (st == CSIM_OK && !sites && rank < many) { finish_pair(j, &j->couple[rank]); }
            many = 0;
        }
    }
    return st;
}

/* Words beside the block of what is left of a pair, while measures take it: of singular values by squares
 * a copy and a square, of matched neurons a copy. */
static int64_t taking(const csim__problem *p, int a, int b)
{
    int64_t d = p->width[a], e = p->width[b], k = csim__min64(d, e), words = 0;
    if (!p->wanted[a * p->sites + b]) { return 0; }
    if (p->apart & CSIM_NEEDS_BLOCK) { words = d * e; }
    if ((p->apart & CSIM_NEEDS_NUCLEAR) && a != b) {
        words = d * e + k * k + CSIM__ROOM_STRIP * (d + e) / 2 + CSIM__ROOM_CORNER;
    }
    return words;
}

int64_t csim__jackknife_bytes(const csim__problem *p, const csim_shard *shard, int64_t widths,
                              int64_t widest)
{
    csim__blocks blocks = csim__blocks_of(p->n, p->jackknife);
    int64_t states = blocks.count + 1, wide = widest + CSIM__LEAVE_MORE;
    int64_t most = (shard->size > 1 ? 3 : 1) * csim__cross_panel(wide, wide) + 2 * wide;
    for (int a = 0; a < p->sites; a++) {
        for (int b = a; b < p->sites; b++) { most = csim__max64(most, taking(p, a, b)); }
    }
    int64_t bytes = csim__leave_bytes(shard, &blocks, p->sites, widths);
    bytes += 8 * states * (widths + 3 * p->sites) + 8 * (3 * wide * wide + most);
    return bytes + 64 * (int64_t)p->sites + (p->streamed ? 8 * shard->rows * widths : 0);
}

csim_status csim__sweep_jackknife(csim__sweep *w)
{
    jackknife j = {.w = w, .blocks = csim__blocks_of(w->shard.n, w->options->jackknife)};
    csim__phase_begin(w->ctx, "jackknife");
    csim_status st = csim__vote(w->ctx, allocate(&j));
    if (st == CSIM_OK) { st = all_rounds(&j, true); }
    if (st == CSIM_OK) { st = share_sites(&j); }
    if (st == CSIM_OK) { st = all_rounds(&j, false); }
    release(&j);
    csim__phase_end(w->ctx, 0, 0);
    return st;
}
