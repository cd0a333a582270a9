#include "sweep/plan/cost_model.h"

#include <math.h>

double csim__cost_gemm(const csim__cost_model *w, bool single, double flops, double m, double n,
                       double k)
{
    const double *rate = w->machine->gemm[single];
    double size = cbrt(m * n * k);
    int i = 0;
    if (flops <= 0 || size <= 0) { return 0; }
    if (size <= csim__gemm_size[0]) { return flops / (rate[0] * size / csim__gemm_size[0]); }
    while (i < CSIM__GEMM_SIZES - 2 && size > csim__gemm_size[i + 1]) { i++; }
    double t =
        log(size / csim__gemm_size[i]) / log((double)csim__gemm_size[i + 1] / csim__gemm_size[i]);
    return flops / exp(log(rate[i]) + fmin(t, 1) * (log(rate[i + 1]) - log(rate[i])));
}

/* Seconds of bytes that go from one rank to all, or from all to one: short ones along a tree, of long
 * ones every rank passes on its part, which takes the time of two messages on any number of ranks. */
static void pass_on(const csim__cost_model *w, csim__term term, double bytes, double times)
{
    double copies = fmin(w->steps, 2);
    w->effort->seconds[term] += times * (w->steps * w->latency + copies * bytes / w->bandwidth);
}

void csim__cost_spread(const csim__cost_model *w, csim__term term, double bytes, double times)
{
    pass_on(w, term, bytes, times);
    w->effort->moved += times * (w->p->size - 1) * bytes;
}

void csim__cost_sum_up(const csim__cost_model *w, csim__term term, double bytes)
{
    double depth = floor(log2(w->p->size)), beyond = w->p->size - exp2(depth);
    double more = w->p->size > 2 ? (depth + beyond) / 2 : 0;
    pass_on(w, term, bytes, 1);
    w->effort->moved += (w->p->size - 1 + more) * bytes;
}

void csim__cost_share_sum(const csim__cost_model *w, csim__term term, double bytes, double times)
{
    pass_on(w, term, bytes, times);
    w->effort->moved += 2 * times * (w->p->size - 1) * bytes;
}
