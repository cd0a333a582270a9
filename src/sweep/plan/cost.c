#include "sweep/plan/cost.h"

#include <math.h>

#include "sweep/plan/cost_model.h"

const int csim__gemm_size[CSIM__GEMM_SIZES] = {64, 256, 1024};

const csim__machine csim__machine_typical = {
    .gemm = {{8e9, 25e9, 35e9}, {14e9, 50e9, 70e9}},
    .inner = {6e9, 8e9},
    .eigen_values = 4e9,
    .eigen_vectors = 12e9,
    .svd_values = 4e9,
    .svd_vectors = 12e9,
    .grid_eigen_values = 3e9,
    .grid_eigen_vectors = 8e9,
    .grid_svd_values = 3e9,
    .exact = 0.6e9,
    .moments = 0.25e9,
    .memory = 8e9,
    .fresh = 2e9,
    .read = 0.5e9,
    .latency = 1e-6,
    .bandwidth = 4e9,
    .net_latency = 3e-6,
    .net_bandwidth = 10e9,
    .beside = 36 << 20,
};

const char *csim__term_key(csim__term term)
{
#define KEY(name, key, text) key,
    static const char *const keys[] = {CSIM__TERM_LIST(KEY)};
#undef KEY
    return keys[term];
}

const char *csim__term_text(csim__term term)
{
#define TEXT(name, key, text) text,
    static const char *const texts[] = {CSIM__TERM_LIST(TEXT)};
#undef TEXT
    return texts[term];
}

/* Sums of kernels once more: neither what is stored nor medians. */
static double kernels_again(const csim__cost_model *w)
{
    csim__problem p = *w->p;
    csim__effort part = {.read = 0};
    csim__cost_model m = *w;
    p.kernels.stores = p.kernels.shifted = 0;
    p.kernels.median[0] = p.kernels.median[1] = false;
    m.p = &p;
    m.effort = &part;
    csim__cost_kernels(&m);
    return part.seconds[CSIM__TERM_KERNELS];
}

/* All that brings sites together, for each relabelling; tiles and kernels with twins of all sites. */
static void permuting(const csim__cost_model *w, const csim__effort *before)
{
    static const csim__term again[] = {CSIM__TERM_ENCODE,   CSIM__TERM_TILES,    CSIM__TERM_INNER,
                                       CSIM__TERM_EXCHANGE, CSIM__TERM_CROSS,    CSIM__TERM_SUMS,
                                       CSIM__TERM_REDUCE,   CSIM__TERM_DECOMPOSE};
    double once = 2 * kernels_again(w), widths = 0;
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
        bool twins = again[i] == CSIM__TERM_TILES || again[i] == CSIM__TERM_ENCODE;
        once += (twins ? 2 : 1) * (w->effort->seconds[again[i]] - before->seconds[again[i]]);
    }
    for (int i = 0; i < w->p->sites; i++) { widths += (double)w->p->width[i]; }
    once += w->rows * widths * 8 * (4 / w->machine->memory + 1 / w->bandwidth);
    w->effort->seconds[CSIM__TERM_PERMUTE] += (double)w->p->permutations * once;
}

csim_status csim__effort_add(csim_context *ctx, const csim__problem *p, const csim__plan *plan,
                             const csim__target *target, csim__effort *effort)
{
    const csim__machine *m = target->machine;
    csim__effort before = *effort;
    double per_node = ceil((double)p->size / target->nodes);
    bool far = target->nodes > 1;
    csim__cost_model w = {.p = p,
                          .plan = plan,
                          .machine = m,
                          .shard = csim__shard_fullest(p->n, p->size),
                          .single = p->single,
                          .steps = ceil(log2((double)p->size)),
                          .latency = far ? m->net_latency : m->latency,
                          .bandwidth =
                              far ? fmin(m->bandwidth, m->net_bandwidth / per_node) : m->bandwidth,
                          .effort = effort};
    w.rows = (double)w.shard.rows;
    csim__cost_rows(&w, target->bytes_per_number);
    csim_status st = csim__cost_pairs(ctx, &w);
    if (p->jackknife > 0) { csim__cost_leaving(&w); }
    if (p->permutations > 0) { permuting(&w, &before); }
    return st;
}

void csim__effort_scan(const csim_shard *shard, int64_t width, const csim__target *target,
                       csim__effort *effort)
{
    double most = (double)((shard->chunks + shard->size - 1) / shard->size * shard->chunk);
    effort->read += (double)shard->n * (double)width * target->bytes_per_number;
    effort->seconds[CSIM__TERM_READ] +=
        most * (double)width *
        (target->bytes_per_number / target->machine->read + 16 / target->machine->memory);
}

double csim__effort_seconds(const csim__effort *effort, csim__term *most)
{
    double sum = 0;
    int top = 0;
    for (int i = 0; i < CSIM__TERM_COUNT; i++) {
        sum += effort->seconds[i];
        if (effort->seconds[i] > effort->seconds[top]) { top = i; }
    }
    if (most != NULL) { *most = (csim__term)top; }
    return sum;
}
