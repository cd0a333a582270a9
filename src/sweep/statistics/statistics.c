#include "sweep/statistics/statistics.h"

#include <stdio.h>
#include <string.h>

#include "sweep/state.h"
#include "sweep/statistics/interval.h"

/* Are there moments in closed form? Of n×n matrices where a measure is a cosine of them. */
static bool has_moments(const csim_sweep_options *o, int m, int64_t n)
{
    const csim_measure *measure = o->measures[m].measure;
    bool apart = measure->cosine != NULL &&
                 csim__sweep_cosine(&o->measures[m], n).aspect == CSIM_ASPECT_NONE;
    return o->null == CSIM_NULL_ANALYTIC && measure->null != NULL && !apart;
}

/* Ranks of entries would have to be found again without each block. */
bool csim__statistics_interval(const csim_sweep_options *o, int m)
{
    csim_kernel k;
    bool sums = !csim__sweep_takes(&o->measures[m], &k) || k.compare == CSIM_BY_SUMS;
    return o->jackknife > 0 && sums && (o->measures[m].measure->props & CSIM_INTERVALS);
}

bool csim__statistics_beside(const csim_sweep_options *o, int m, int64_t n, csim__beside beside)
{
    const csim_encoder *encoder;
    switch (beside) {
    case CSIM__BESIDE_STD:
        encoder = csim__sweep_encoder(o, o->measures[m].measure);
        return encoder != NULL && csim_encoder_inits(encoder) > 1;
    case CSIM__BESIDE_NULL_MEAN:
    case CSIM__BESIDE_NULL_SD:
    case CSIM__BESIDE_Z:
        return has_moments(o, m, n);
    case CSIM__BESIDE_TIE:
        return (o->measures[m].measure->props & CSIM_DISTANCE) && csim__statistics_drawn(o, m, n);
    default:
        return csim__statistics_interval(o, m);
    }
}

int64_t csim__statistics_leaves(const csim_sweep_options *o, bool matrices)
{
    bool any = false;
    for (int m = 0; m < o->measure_count; m++) {
        bool from_matrices = (o->measures[m].measure->needs & CSIM_NEEDS_KERNELS) != 0;
        any = any || (csim__statistics_interval(o, m) && from_matrices == matrices);
    }
    return any ? o->jackknife : 0;
}

void csim__statistics_put_interval(csim__cells *cells, int m, int x, int y,
                                   const csim__blocks *blocks, const double *value)
{
    double share[CSIM__JACKKNIFE_MOST];
    int plane = cells->plane[m];
    for (int b = 0; b < blocks->count; b++) {
        share[b] = (double)csim__blocks_rows(blocks, b) / (double)blocks->n;
    }
    csim__interval i = csim__interval_of(value[blocks->count], value, share, blocks->count);
    const double number[] = {i.error, i.low, i.high};
    for (int k = 0; k < 3; k++) {
        csim__beside beside = (csim__beside)(CSIM__BESIDE_SE + k);
        csim__cells_put_beside(cells, plane, x, y, beside, number[k]);
        csim__cells_put_beside(cells, plane, y, x, beside, number[k]);
    }
}

int64_t csim__statistics_draws(const csim_sweep_options *o, int64_t n)
{
    if (o->null == CSIM_NULL_SHIFT) { return n - 1; } /* a value is that of no shift */
    return o->null == CSIM_NULL_PERMUTATION ? o->permutations : 0;
}

csim__drawn csim__statistics_kind(const csim_sweep_measure *m)
{
    unsigned needs = m->measure->needs;
    csim_kernel k;
    /* what a relabelling does not change */
    if (needs == 0 || (needs & CSIM_NEEDS_SPREAD)) { return CSIM__DRAWN_KINDS; }
    if (needs & CSIM_NEEDS_NEIGHBOURS) { return CSIM__DRAWN_LISTS; }
    if (!csim__sweep_takes(m, &k)) { return CSIM__DRAWN_ROWS; }
    if (k.matrix == CSIM_UNIFORM) { return CSIM__DRAWN_KINDS; }
    if (k.compare == CSIM_BY_SPECTRUM) { return CSIM__DRAWN_DISTANCES; }
    return k.compare == CSIM_BY_SUMS ? CSIM__DRAWN_ROWS : CSIM__DRAWN_RANKS;
}

bool csim__statistics_drawn(const csim_sweep_options *o, int m, int64_t n)
{
    if (o->null == CSIM_NULL_SHIFT) {
        return csim__sweep_cosine(&o->measures[m], n).aspect != CSIM_ASPECT_NONE;
    }
    return o->null == CSIM_NULL_PERMUTATION &&
           csim__statistics_kind(&o->measures[m]) != CSIM__DRAWN_KINDS;
}

bool csim__statistics_paired(const csim_sweep_options *o)
{
    bool any = false;
    for (int m = 0; m < o->measure_count && o->null == CSIM_NULL_PERMUTATION; m++) {
        any = any || csim__statistics_kind(&o->measures[m]) == CSIM__DRAWN_ROWS;
    }
    return any;
}

void csim__statistics_of_pair(const csim_pair *pair, const csim_sweep_options *o, int m,
                              double value, double *beside)
{
    if (has_moments(o, m, pair->site[0]->n)) {
        const csim_sweep_measure *measure = &o->measures[m];
        csim_moments moments = measure->measure->null(pair, measure->options, value);
        beside[CSIM__BESIDE_NULL_MEAN] = moments.mean;
        beside[CSIM__BESIDE_NULL_SD] = moments.sd;
        beside[CSIM__BESIDE_Z] = moments.z;
    }
}

/* Does the measure have what is asked for? */
static bool has_null(const csim_sweep_options *o, int m, int64_t n)
{
    return o->null == CSIM_NULL_ANALYTIC ? has_moments(o, m, n) : csim__statistics_drawn(o, m, n);
}

typedef bool (*has_fn)(const csim_sweep_options *o, int m, int64_t n);

/* The names of measures that lack something; how many have it. */
static int list_without(const csim_sweep_options *o, int64_t n, has_fn has, char *names,
                        size_t size)
{
    int with = 0;
    names[0] = '\0';
    for (int m = 0; m < o->measure_count; m++) {
        size_t at = strlen(names);
        if (has(o, m, n)) {
            with++;
        } else {
            snprintf(names + at, size - at, "%s%s", at > 0 ? ", " : "",
                     o->measures[m].measure->name);
        }
    }
    return with;
}

static csim_status check(csim_context *ctx, const csim_sweep_options *o, int64_t n,
                         const char *what, has_fn has)
{
    char names[800];
    int with = list_without(o, n, has, names, sizeof names);
    if (with == 0) { return csim__fail(ctx, CSIM_E_USAGE, "%s: not known for %s", what, names); }
    if (with < o->measure_count) {
        csim__log(ctx, CSIM_LOG_WARNING, "%s: not known for %s", what, names);
    }
    return CSIM_OK;
}

static bool has_interval_of(const csim_sweep_options *o, int m, int64_t n)
{
    (void)n;
    return csim__statistics_interval(o, m);
}

/* Blocks enough, and rows that can be left out. */
static csim_status check_jackknife(csim_context *ctx, const csim_sweep_options *o, int64_t n)
{
    enum { LEAST = 2 * CSIM__INTERVAL_BLOCKS };
    if (o->jackknife < LEAST || o->jackknife > CSIM__JACKKNIFE_MOST) {
        return csim__fail(ctx, CSIM_E_USAGE, "--jackknife: found %lld blocks, expected %d to %d",
                          (long long)o->jackknife, LEAST, CSIM__JACKKNIFE_MOST);
    }
    if (csim__blocks_of(n, o->jackknife).count < CSIM__INTERVAL_BLOCKS) {
        return csim__fail(ctx, CSIM_E_USAGE,
                          "--jackknife: found %lld examples, expected %d or more", (long long)n,
                          CSIM__INTERVAL_BLOCKS);
    }
    if (o->precision == CSIM_SINGLE_PRECISION) {
        return csim__fail(ctx, CSIM_E_USAGE, "--jackknife needs --precision double");
    }
    return check(ctx, o, n, "--jackknife", has_interval_of);
}

csim_status csim__statistics_check(csim_context *ctx, const csim_sweep_options *o, int64_t n)
{
    csim_status st = CSIM_OK;
    if (o->null == CSIM_NULL_PERMUTATION && o->permutations < 1) {
        return csim__fail(ctx, CSIM_E_ARG, "%lld permutations: expected 1 or more",
                          (long long)o->permutations);
    }
    if (!(o->alpha >= 0 && o->alpha < 1)) {
        return csim__fail(ctx, CSIM_E_ARG, "a level of %g: expected at least 0 and below 1",
                          o->alpha);
    }
    if (o->null == CSIM_NULL_ANALYTIC) { CSIM_TRY(check(ctx, o, n, "--null analytic", has_null)); }
    if (o->null == CSIM_NULL_PERMUTATION) {
        CSIM_TRY(check(ctx, o, n, "--null permutation", has_null));
    }
    if (o->null == CSIM_NULL_SHIFT) {
        if (o->precision == CSIM_SINGLE_PRECISION) { /* shifts are double, and equal values tie */
            return csim__fail(ctx, CSIM_E_USAGE, "--null shift needs --precision double");
        }
        CSIM_TRY(check(ctx, o, n, "--null shift", has_null));
    }
    if (o->jackknife != 0) { CSIM_TRY(check_jackknife(ctx, o, n)); }
done:
    return st;
}
