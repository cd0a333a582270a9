/* The cost of passes over the rows of sites. */
#include <math.h>

#include "sweep/plan/cost_model.h"

/* Rows of all sites come in, and are checked and centred unless they are taken as they are. */
static void reading(const csim__cost_model *w, double per_number)
{
    double widths = 0, again = 0; /* numbers of a row; with those that are read again */
    for (int i = 0; i < w->p->sites; i++) {
        widths += (double)w->p->width[i];
        again += w->plan->reads[i] * (double)w->p->width[i];
    }
    double raw = w->plan->raw_reads * widths;
    double numbers = w->rows * widths;
    w->effort->read += (double)w->p->n * again * per_number;
    w->effort->seconds[CSIM__TERM_READ] += w->rows * again * per_number / w->machine->read;
    w->effort->seconds[CSIM__TERM_READ] += w->rows * raw * 16 / w->machine->memory;
    w->effort->seconds[CSIM__TERM_MOMENTS] += w->rows * (again - raw) / w->machine->moments;
    if (!w->plan->streamed) {
        w->effort->seconds[CSIM__TERM_MOMENTS] +=
            numbers * (w->single ? 12 : 8) / w->machine->fresh;
    }
    if (w->plan->unit && !w->plan->streamed) {
        w->effort->seconds[CSIM__TERM_MOMENTS] += 8 * numbers / w->machine->fresh;
    }
    /* extremes, means and norms of every site go round */
    csim__cost_share_sum(w, CSIM__TERM_MOMENTS, 56 * widths / w->p->sites, w->p->sites);
}

static void encoding(const csim__cost_model *w)
{
    for (int i = 0; i < w->p->encoder_count; i++) {
        const csim_encoder *e = w->p->encoders[i];
        double flops =
            csim__projection_flops(e, w->p->n, w->p->sites, w->plan->count - w->plan->selves);
        double width = csim_encoder_width(e), share = w->rows / (double)w->p->n;
        w->effort->seconds[CSIM__TERM_ENCODE] +=
            csim__cost_gemm(w, true, flops * share, (double)w->shard.chunk, width, width);
    }
}

/* Of how many other ranks one gets the chunks: of half of them, which of an even number includes one
 * that it shares the work with; of these two one needs all chunks of the other, that one half. */
static double chunks_met(int size)
{
    return (size - 1) / 2.0 + (size % 2 == 0 ? 0.25 : 0);
}

/* Chunks travel the ring, @p bytes a row in @p messages a chunk, while a rank is @p busy; @p back bytes
 * of each row come home from every rank that it was at. A chunk is used while the next one comes:
 * only what takes longer than the work is waited for. */
static void ring(const csim__cost_model *w, double bytes, double many, double back, double busy)
{
    double others = chunks_met(w->p->size);
    double moved = others * bytes + w->p->size / 2 * back; /* of a row */
    double on_way =
        w->rows * moved / w->bandwidth + others * (double)w->shard.count * many * w->latency;
    w->effort->moved += (double)w->p->n * moved;
    w->effort->seconds[CSIM__TERM_EXCHANGE] += fmax(0, on_way - busy);
}

/* Of each row @p bytes go to all ranks alike. */
static void scatter(const csim__cost_model *w, double bytes)
{
    double leave = bytes * (w->p->size - 1) / w->p->size;
    w->effort->moved += (double)w->p->n * leave;
    w->effort->seconds[CSIM__TERM_EXCHANGE] += w->rows * leave / w->bandwidth;
}

static void tiles(const csim__cost_model *w)
{
    double n = (double)w->p->n, side = (double)csim__min64(w->shard.chunk, 512);
    double widths = 0, pairs = 0, busy = 0;
    int many = 0;
    if (!w->plan->any_tiles) { return; }
    for (int i = 0; i < w->p->sites; i++) {
        if (!w->plan->tiled[i]) { continue; }
        double d = (double)w->p->width[i], flops = w->rows * n * d;
        /* the tile is filled with its row terms first */
        busy += csim__cost_gemm(w, w->single, flops, side, side, d) +
                w->rows * n / 2 * (w->single ? 8 : 16) / w->machine->memory / 4;
        widths += d;
        many++;
    }
    w->effort->seconds[CSIM__TERM_TILES] += busy;
    for (int64_t i = 0; i < w->plan->count; i++) { pairs += w->plan->pairs[i].tiled; }
    double inner = w->rows * n * pairs / w->machine->inner[w->single];
    w->effort->seconds[CSIM__TERM_INNER] += inner;
    ring(w, widths * (w->single ? 4 : 8) + 8.0 * many, many + 1, 0, busy + inner);
}

/* One search in a site: tiles, distances of those that may be near, and what goes over the ring. */
static void search(const csim__cost_model *w, const csim__near_view *view, double d)
{
    double n = (double)w->p->n, side = (double)csim__min64(w->shard.chunk, 512);
    double busy = csim__cost_gemm(w, false, w->rows * n * d, side, side, d), metrics = 0, any = 0;
    for (int m = 0; m < CSIM_METRICS; m++) {
        double k = (double)view->k[m];
        if (k == 0) { continue; }
        /* every number of a tile is compared with two bounds; a list is renewed k·ln(n/k) times */
        busy += w->rows * n / 2 * 48 / w->machine->memory / 4;
        busy += w->rows * k * (1 + log(n / k)) * 3 * d / w->machine->inner[0];
        metrics++;
        any += k;
    }
    if (any == 0) { return; }
    w->effort->seconds[CSIM__TERM_NEIGHBOURS] += busy;
    ring(w, 8 * (d + metrics), 2, 16 * any, busy);
}

/* Lists of all sites that change places and names; distances in the other layers are found again. */
static double renaming(const csim__cost_model *w)
{
    const csim__near_plan *near = &w->plan->near;
    double numbers = 0, widths = 0, others = (double)w->plan->count / w->p->sites;
    for (int v = 0; v < near->views; v++) {
        for (int m = 0; m < CSIM_METRICS; m++) { numbers += (double)near->view[v].k[m]; }
    }
    for (int i = 0; i < w->p->sites; i++) { widths += (double)w->p->width[i]; }
    double seconds =
        w->p->sites * w->rows * numbers * 12 * (6 / w->machine->memory + 1 / w->bandwidth);
    if (near->across > 0) {
        seconds += 2 * others * w->rows * (double)near->longest * widths * 3 / w->machine->inner[0];
        seconds += (double)w->p->n * widths * 8 / w->bandwidth;
    }
    return seconds;
}

/* Searches in all sites, and what is made of their lists. */
static void neighbours(const csim__cost_model *w)
{
    const csim__near_plan *near = &w->plan->near;
    double n = (double)w->p->n;
    for (int i = 0; near->sums > 0 && i < w->p->sites; i++) {
        double d = (double)w->p->width[i];
        for (int v = 0; v < near->views; v++) { search(w, &near->view[v], d); }
        if (near->across > 0) { csim__cost_spread(w, CSIM__TERM_EXCHANGE, n * d * 8, 1); }
    }
    double sums = w->rows * (double)(near->longest * near->sums) * (double)w->plan->count * 32 /
                  w->machine->memory;
    w->effort->seconds[CSIM__TERM_NEIGHBOURS] += sums;
    w->effort->seconds[CSIM__TERM_PERMUTE] += (double)near->draws * (sums + renaming(w));
}

/* Kernels and distances of all sites in one pass, medians before; then stored distances, site by site,
 * batches, and matrices whose examples are shifted. */
void csim__cost_kernels(const csim__cost_model *w)
{
    const csim__kernel_plan *k = &w->p->kernels;
    const csim__machine *m = w->machine;
    double n = (double)w->p->n, side = (double)csim__min64(w->shard.chunk, 512), busy = 0;
    double half = w->rows * n / 2, pairs = (double)w->plan->count, stored = 0, passes;
    double cube = n * n * n, bytes = 0, forms = 0, ranked = k->shift_ranks, ordered = 0;
    double shifted = k->shifted;
    if (k->measures == 0 && k->shifted == 0) { return; }
    for (int i = 0; i < CSIM_MATRICES; i++) { forms += k->forms[i]; }
    for (int i = 0; i < k->stores; i++) {
        const csim__store *one = &k->store[i];
        if (one->left_out) { continue; }
        double share = pow((double)one->examples / n, 2); /* of what all examples would take */
        stored += share;
        ranked += one->ranked ? share : 0;
        ordered += one->ordered ? share : 0;
    }
    passes = csim__kernel_views(k->forms) + (k->median[0] || k->median[1] ? 2 : 0);
    for (int i = 0; i < w->p->sites; i++) {
        double d = (double)w->p->width[i];
        busy += csim__cost_gemm(w, false, (passes + shifted) * w->rows * n * d, side, side, d);
        busy += csim__cost_gemm(w, false, w->rows * (double)k->batch * d, (double)k->batch,
                                (double)k->batch, d);
        busy += stored * w->rows * n * d / m->inner[0];
        /* a number of a tile: its square, its form and two sums, or a bin */
        busy += half * (passes * 16 + forms * 48) / m->memory;
        /* eight passes of a sort, there and back */
        busy += half * ranked * (8 * 32 + 64) / m->memory;
        /* entries to their diagonals, and transforms of these */
        busy += half * shifted * (96 / m->memory + 2.5 * log2(n) / m->inner[0]);
        bytes += 8 * (d + 1) * (passes + stored + shifted);
        /* a sample, and counts in bins */
        double medians = k->median[0] + k->median[1];
        if (medians > 0) {
            csim__cost_share_sum(w, CSIM__TERM_REDUCE, 8 * (256 * d + 65536 * medians), 1);
        }
        scatter(w, 8 * (d + n / 2) * shifted); /* to their new places, and to their diagonals */
    }
    busy += pairs * half * (2 * forms + 4 * shifted) / m->inner[0];
    double compared = pairs * half * 2 * ranked / m->inner[0];
    compared += pairs * half * ordered * log2(n * n / 2) * 32 / m->memory;
    compared +=
        ceil(csim__plan_spectra(w->p, w->plan) / w->p->size) * 4.0 / 3 * cube / m->eigen_values;
    busy += compared;
    /* a relabelled site after the other, whose entries change places, against all others */
    double turned = half * stored * (w->p->sites + 2) * (64 / m->memory + 8 / w->bandwidth);
    w->effort->seconds[CSIM__TERM_PERMUTE] += (double)k->draws * (turned + compared);
    csim__cost_share_sum(w, CSIM__TERM_REDUCE, 8 * n * pairs, shifted);
    w->effort->seconds[CSIM__TERM_KERNELS] += busy;
    ring(w, bytes, (w->p->sites + 1) * (passes + stored + shifted), 8 * forms * w->p->sites, busy);
}

/* Sums without blocks of examples: the pass of kernels once more, in tiles that lie in one block each
 * way, and row sums of every block. */
static void leave_out(const csim__cost_model *w)
{
    const csim__kernel_plan *k = &w->p->kernels;
    const csim__machine *m = w->machine;
    double n = (double)w->p->n, half = w->rows * n / 2, pairs = (double)w->plan->count;
    double forms = 0, passes = csim__kernel_views(k->left), busy = 0, bytes = 0;
    if (k->blocks == 0) { return; }
    int64_t length = csim__blocks_of(w->p->n, k->blocks).length;
    double side = (double)csim__min64(csim__min64(w->shard.chunk, 512), length);
    for (int i = 0; i < CSIM_MATRICES; i++) { forms += k->left[i]; }
    for (int i = 0; i < w->p->sites; i++) {
        double d = (double)w->p->width[i];
        busy += csim__cost_gemm(w, false, passes * w->rows * n * d, side, side, d);
        busy += half * (passes * 16 + forms * 48) / m->memory;
        busy += w->rows * forms * k->blocks * 24 / m->memory;
        bytes += 8 * (d + 1) * passes;
    }
    busy += pairs * forms * (half + w->rows * k->blocks) * 2 / m->inner[0];
    w->effort->seconds[CSIM__TERM_LEAVE] += busy;
    ring(w, bytes, (w->p->sites + 1) * passes, 8 * forms * w->p->sites * (k->blocks + 1), busy);
}

/* Rows of one site: XᵀX, X R⁻¹, QᵀQ, Q F; chunks of it added as integers; factors sent round. */
static void basis_rows(const csim__cost_model *w, double d, bool loading)
{
    double *seconds = w->effort->seconds, chunk = (double)w->shard.chunk;
    double chunks = (double)w->shard.count;
    seconds[CSIM__TERM_BASES] += csim__cost_gemm(w, false, 5 * w->rows * d * d, d, d, chunk);
    seconds[CSIM__TERM_SUMS] += chunks * d * d / w->machine->exact; /* two upper triangles */
    for (int square = 0; square < 2; square++) {
        csim__cost_sum_up(w, CSIM__TERM_REDUCE, 8 * d * d);
    }
    csim__cost_spread(w, CSIM__TERM_REDUCE, 8 * d * d, loading ? 3 : 2);
}

/* The small factors of a site with n > d, on its owner. */
static double small_tall(const csim__cost_model *w, double d)
{
    double cube = d * d * d;
    return csim__cost_gemm(w, false, cube * (1.0 / 3 + 4), d, d, d) +
           9 * cube / w->machine->eigen_vectors + 20 * cube / w->machine->svd_vectors;
}

/* The whole of a site with n ≤ d, on its owner. */
static double small_wide(const csim__cost_model *w, double d)
{
    double n = (double)w->p->n;
    return csim__cost_gemm(w, false, 4 * n * n * d, n, n, d) +
           20 * n * n * n / w->machine->svd_vectors +
           csim__cost_gemm(w, false, 2 * n * n * d, n, d, n);
}

/* Bases of the sites that are marked (all: NULL); as many at a time as there are ranks. */
static void bases(const csim__cost_model *w, const unsigned char *marks, bool loading)
{
    for (int wide = 0; wide < 2; wide++) {
        double slowest = 0;
        int many = 0;
        for (int i = 0; i <= w->p->sites; i++) {
            bool last = i == w->p->sites;
            if (!last && (marks == NULL || marks[i]) &&
                (w->p->n <= w->p->width[i]) == (wide == 1)) {
                double d = (double)w->p->width[i], n = (double)w->p->n;
                slowest = fmax(slowest, wide ? small_wide(w, d) : small_tall(w, d));
                many++;
                if (wide) {
                    csim__cost_spread(w, CSIM__TERM_REDUCE, 8 * n * (d + n) / w->p->size, 1);
                    if (loading) { csim__cost_spread(w, CSIM__TERM_REDUCE, 8 * n * d, 1); }
                } else {
                    basis_rows(w, d, loading);
                }
            }
            if (many == w->p->size || last) {
                w->effort->seconds[CSIM__TERM_FACTORS] += slowest;
                slowest = 0;
                many = 0;
            }
        }
    }
}

void csim__cost_rows(const csim__cost_model *w, double bytes_per_number)
{
    reading(w, bytes_per_number);
    encoding(w);
    tiles(w);
    neighbours(w);
    csim__cost_kernels(w);
    leave_out(w);
    if (w->plan->any_basis) { bases(w, w->plan->basis, w->plan->loading); }
    if (w->plan->raw_basis) { bases(w, NULL, false); }
    for (int i = 0; i < w->p->sites; i++) { /* rows of bases that are made anew for each round */
        double d = (double)w->p->width[i], turns = (double)w->plan->turns[i];
        w->effort->seconds[CSIM__TERM_BASES] +=
            csim__cost_gemm(w, false, 3 * turns * w->rows * d * d, d, d, (double)w->shard.chunk);
    }
}
