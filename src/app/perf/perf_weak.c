/* How many examples the ranks of a weak series get. */
#include "app/perf/perf_scaling.h"
#include "io/shapes.h"

enum { LEAST = 8 };
static const int64_t MOST = INT64_C(1) << 40;

csim_status csim__perf_outline(csim_context *ctx, const csim__perf_options *options,
                               const csim_sweep_options *sweep, int64_t examples,
                               csim_sweep_cost *cost)
{
    enum { NAME = 24 };
    csim_sweep_options unlimited = *sweep;
    csim_memory_site *site = NULL;
    char *name = NULL;
    csim_set *set = NULL;
    csim_status st = CSIM_OK;
    int count = (int)options->layers;
    unlimited.memory = 0;
    CSIM_TRY(csim__alloc(ctx, count, sizeof *site, "shapes of sites", &site));
    CSIM_TRY(csim__alloc(ctx, count, NAME, "names of sites", &name));
    for (int i = 0; i < count; i++) {
        snprintf(name + NAME * i, NAME, "%d", i);
        site[i] =
            (csim_memory_site){.name = name + NAME * i, .dtype = CSIM_F32, .d = options->width};
    }
    CSIM_TRY(csim__set_of_shapes(ctx, "perf", examples, site, count, &set));
    CSIM_TRY(csim_sweep_plan(ctx, &set, 1, &unlimited, cost));
done:
    csim_set_free(&set);
    csim__free(ctx, &name);
    csim__free(ctx, &site);
    return st;
}

/* A search for numbers of examples. */
typedef struct search {
    csim_context *ctx;
    const csim__perf_options *options;
    const csim_sweep_options *sweep;
    csim_sweep_cost first; /* of one rank */
    int64_t examples;      /* of one rank */
} search;

static bool same_way(const csim_sweep_cost *a, const csim_sweep_cost *b)
{
    return a->gram_pairs == b->gram_pairs && a->cross_pairs == b->cross_pairs &&
           a->basis_pairs == b->basis_pairs;
}

/* The number of examples whose work comes closest to that of @p ranks ranks; 0 if pairs go another
 * way before there is as much to do. */
static csim_status grow(const search *s, int ranks, int64_t *examples)
{
    double target = s->first.flops * ranks;
    int64_t low = s->examples, high = 2 * low;
    csim_sweep_cost below = s->first, above = {0};
    csim_status st = CSIM_OK;
    *examples = 0;
    for (; high <= MOST; low = high, below = above, high *= 2) {
        CSIM_TRY(csim__perf_outline(s->ctx, s->options, s->sweep, high, &above));
        if (!same_way(&above, &s->first) || above.flops >= target) { break; }
    }
    while (high <= MOST && high - low > 1) {
        csim_sweep_cost cost = {0};
        int64_t middle = low + (high - low) / 2;
        CSIM_TRY(csim__perf_outline(s->ctx, s->options, s->sweep, middle, &cost));
        if (same_way(&cost, &s->first) && cost.flops < target) {
            low = middle;
            below = cost;
        } else {
            high = middle;
            above = cost;
        }
    }
    if (high <= MOST && same_way(&above, &s->first)) {
        *examples = target - below.flops < above.flops - target ? low : high;
    }
done:
    return st;
}

csim_status csim__perf_weak(csim_context *ctx, const csim__perf_options *options,
                            const csim_sweep_options *sweep, const int *ranks, int count,
                            int64_t *examples)
{
    search s = {ctx, options, sweep, {0}, options->examples};
    csim_status st = CSIM_OK;
    int64_t last = 0;
    for (;; s.examples -= (s.examples + 19) / 20) {
        if (s.examples < LEAST) {
            return csim__fail(ctx, CSIM_E_USAGE,
                              "no numbers of examples from %d to %lld on one rank give %d ranks "
                              "the same work each: use other --examples",
                              LEAST, (long long)options->examples, ranks[count - 1]);
        }
        CSIM_TRY(csim__perf_outline(ctx, options, sweep, s.examples, &s.first));
        CSIM_TRY(grow(&s, ranks[count - 1], &last));
        if (last > 0) { break; }
    }
    examples[0] = s.examples;
    examples[count - 1] = last;
    for (int i = 1; i < count - 1; i++) { CSIM_TRY(grow(&s, ranks[i], &examples[i])); }
done:
    return st;
}
