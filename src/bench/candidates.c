/* Candidates of retrieval, and how a decision went. */
#include <math.h>

#include "bench/bench.h"
#include "core/rng.h"

/* Keeps these streams apart from those of training with the same seed. */
#define STREAM (UINT64_C(0x42) << 56)

csim_status csim__draw_make(csim_context *ctx, int64_t rows, int64_t group, int64_t seed,
                            csim__draw *draw)
{
    csim_status st = CSIM_OK;
    *draw = (csim__draw){.rows = rows, .group = group, .seed = (uint64_t)seed};
    CSIM_TRY(csim__alloc(ctx, rows - group, sizeof *draw->pool, "rows to draw", &draw->pool));
    CSIM_TRY(csim__alloc(ctx, group, sizeof *draw->swap, "rows drawn", &draw->swap));
    for (int64_t i = 0; i < rows - group; i++) { draw->pool[i] = i; }
done:
    if (st != CSIM_OK) { csim__draw_clear(ctx, draw); }
    return st;
}

void csim__draw_clear(csim_context *ctx, csim__draw *draw)
{
    csim__free(ctx, &draw->swap);
    csim__free(ctx, &draw->pool);
}

/* Fisher and Yates's shuffle stopped after `group` rows, then undone for the next candidate. */
void csim__bench_candidate(const csim__draw *draw, int64_t k, int64_t j, int64_t *row)
{
    csim__rng rng = csim__rng_start(draw->seed, STREAM + ((uint64_t)k << 16) + (uint64_t)j);
    int64_t *pool = draw->pool, first = k * draw->group, others = draw->rows - draw->group;
    for (int64_t i = 0; i < draw->group; i++) {
        int64_t at = i + csim__rng_below(&rng, others - i), picked = pool[at];
        pool[at] = pool[i];
        pool[i] = picked;
        draw->swap[i] = at;
        row[i] = picked < first ? picked : picked + draw->group;
    }
    for (int64_t i = draw->group - 1; i >= 0; i--) {
        int64_t at = draw->swap[i], picked = pool[i];
        pool[i] = pool[at];
        pool[at] = picked;
    }
}

int csim__bench_outcome(const double *value, int64_t count, bool distance, int64_t *undefined)
{
    int ties = 1, better = 0;
    *undefined = 0;
    for (int64_t i = 1; i < count; i++) {
        *undefined += isnan(value[i]);
        better += distance ? value[i] < value[0] : value[i] > value[0];
        ties += value[i] == value[0];
    }
    return isnan(value[0]) ? -1 : better > 0 ? 0 : ties;
}
