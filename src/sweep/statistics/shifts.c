/* Values under all cyclic shifts of the examples, for measures that are cosines of n×n matrices. */
#include "ingredients/shifts.h"

#include <math.h>

#include "sweep/state.h"

/* The matrix of some measures, of all sites that take part. */
typedef struct shifting {
    csim__sweep *w;
    csim__partners p;
    csim__twosome *pair; /* [pairs] places of those whose cells are wanted */
    int64_t pairs;
    csim_kernel kernel;
} shifting;

csim_cosine csim__sweep_cosine(const csim_sweep_measure *m, int64_t n)
{
    csim_kernel kernel;
    bool sampled = csim__sweep_takes(m, &kernel) && kernel.sample > 0 && kernel.sample < n;
    if (m->measure->cosine == NULL || sampled) { return (csim_cosine){.root = 0}; }
    return m->measure->cosine(m->options);
}

/* The matrix that a measure is a cosine of; linear kernels have no sums of their own. */
static csim_kernel kernel_of(const csim_sweep_measure *m)
{
    csim_kernel kernel;
    return csim__sweep_takes(m, &kernel) ? kernel : (csim_kernel){.matrix = CSIM_LINEAR};
}

/* Is measure @p m a cosine of this matrix? */
static bool takes(const csim_sweep_options *o, int64_t n, int m, const csim_kernel *kernel)
{
    csim_kernel own = kernel_of(&o->measures[m]);
    return csim__sweep_cosine(&o->measures[m], n).aspect != CSIM_ASPECT_NONE &&
           own.compare == kernel->compare && csim__sweep_same_form(&own, kernel);
}

/* The first measure that takes the matrix of measure @p m; −1: that is a cosine of none. */
static int first_with(const csim_sweep_options *o, int64_t n, int m)
{
    csim_kernel kernel = kernel_of(&o->measures[m]);
    for (int i = 0; i <= m; i++) {
        if (takes(o, n, m, &kernel) && takes(o, n, i, &kernel)) { return i; }
    }
    return -1;
}

void csim__sweep_shift_plan(const csim_sweep_options *o, int64_t n, csim__kernel_plan *plan)
{
    for (int m = 0; o->null == CSIM_NULL_SHIFT && m < o->measure_count; m++) {
        if (first_with(o, n, m) != m) { continue; }
        plan->shifted++;
        plan->shift_ranks |= kernel_of(&o->measures[m]).compare == CSIM_BY_RANKS;
    }
}

/* The width of an RBF kernel of a site, which a measure has found. */
static double width_of(const shifting *l, int measure, int place)
{
    const csim__sweep *w = l->w;
    for (int64_t i = 0; l->kernel.matrix == CSIM_RBF && i < w->plan.count; i++) {
        const csim__couple *c = &w->plan.pairs[i].couple;
        const csim__matrices *of = &w->matrices[i * w->options->measure_count + measure];
        if (l->p.place[c->left] == place && l->p.place[c->right] >= 0) { return of->of[0].sigma; }
        if (l->p.place[c->right] == place && l->p.place[c->left] >= 0) { return of->of[1].sigma; }
    }
    return 0;
}

static double value_of(const csim_cosine *how, double cosine, double size, double n)
{
    if (how->product) { return cosine * size / ((n - 1) * (n - 1)); }
    return how->root ? sqrt(fmax(cosine, 0)) : cosine;
}

/* Shifting the examples of one site is shifting those of the other one the other way. */
static void take(void *user, int64_t pair, csim_aspect aspect, const double *cosine, double size)
{
    const shifting *l = user;
    csim__sweep *w = l->w;
    const csim_sweep_options *o = w->options;
    int64_t n = w->shard.n;
    int a = w->id[l->p.site[l->pair[pair].a] - w->site],
        b = w->id[l->p.site[l->pair[pair].b] - w->site];
    for (int m = 0; m < o->measure_count; m++) {
        csim_cosine how = csim__sweep_cosine(&o->measures[m], n);
        if (how.aspect != aspect || !takes(o, n, m, &l->kernel)) { continue; }
        for (int64_t s = 1; s < n; s++) {
            double value = value_of(&how, cosine[s], size, (double)n);
            csim__cells_put_draw(&w->cells, w->cells.plane[m], a, b, s - 1, value);
            if (a != b) {
                csim__cells_put_draw(&w->cells, w->cells.plane[m], b, a, n - s - 1, value);
            }
        }
    }
}

/* All measures with the matrix of measure @p m. */
static csim_status shift_matrix(shifting *l, int m)
{
    csim__sweep *w = l->w;
    const csim_sweep_options *o = w->options;
    int64_t n = w->shard.n;
    unsigned aspects = 0;
    l->kernel = kernel_of(&o->measures[m]);
    for (int i = m; i < o->measure_count; i++) {
        if (takes(o, n, i, &l->kernel)) {
            aspects |= 1u << csim__sweep_cosine(&o->measures[i], n).aspect;
        }
    }
    csim__shift_matrix kind = {l->kernel.matrix, l->kernel.compare == CSIM_BY_RANKS};
    csim__shifts shifts;
    csim_status st = csim__shifts_start(w->ctx, n, l->p.count, kind, o->null_seed, &shifts);
    for (int s = 0; st == CSIM_OK && s < l->p.count; s++) {
        st = csim__shifts_fill(&shifts, s, l->p.site[s], width_of(l, m, s), &w->meter);
    }
    if (st == CSIM_OK) {
        st = csim__shifts_pairs(&shifts, l->pair, l->pairs, aspects, take, l, &w->meter);
    }
    csim__shifts_clear(&shifts);
    return st;
}

static csim_status list_pairs(shifting *l)
{
    csim__sweep *w = l->w;
    csim_status st = csim__partners_list(w, &l->p);
    if (st == CSIM_OK) {
        st = csim__alloc(w->ctx, w->plan.count, sizeof *l->pair, "pairs", &l->pair);
    }
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        const csim__couple *c = &w->plan.pairs[i].couple;
        int a = l->p.place[c->left], b = l->p.place[c->right];
        if (w->plan.pairs[i].cell && a >= 0 && b >= 0) {
            l->pair[l->pairs++] = (csim__twosome){a, b};
        }
    }
    return st;
}

csim_status csim__sweep_shifts(csim__sweep *w)
{
    shifting l = {.w = w};
    csim_status st = csim__vote(w->ctx, list_pairs(&l));
    for (int m = 0; st == CSIM_OK && l.pairs > 0 && m < w->options->measure_count; m++) {
        if (first_with(w->options, w->shard.n, m) == m) { st = shift_matrix(&l, m); }
    }
    csim__free(w->ctx, &l.pair);
    csim__partners_clear(w, &l.p);
    return st;
}
