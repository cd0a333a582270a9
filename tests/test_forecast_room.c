/* The memory that is foretold of sweeps in which much comes and goes, read from files: of shapes that
 * tests/bench/audit_plan.c found. */
#include "sweep_case.h"

#include <math.h>
#include <stdlib.h>

enum { LAYERS = 6 };
#define LEAST 1e-9

typedef struct shape {
    const char *name, *measures, *option, *pairs; /* NULL: all */
    int n, width[LAYERS], first, bytes;           /* layers of the first of two sets; of a number */
    double share; /* of the way from the least memory to that without a limit; 0: no limit */
    csim_null null;
    int64_t jackknife;
} shape;

static const shape shapes[] = {
    {.name = "factors of streamed bases, kept while others are made",
     .measures = "linreg,procrustes",
     .n = 2400,
     .width = {400, 390, 40},
     .first = 3,
     .bytes = 4,
     .share = 0.5},
    {.name = "bases of few examples, one layer after the other",
     .measures = "gulp",
     .n = 200,
     .width = {1200, 900},
     .first = 2,
     .bytes = 4,
     .share = LEAST},
    {.name = "a chunk of a basis that is turned",
     .measures = "cca_mean",
     .n = 6000,
     .width = {24, 24},
     .first = 2,
     .bytes = 8},
    {.name = "a copy of a block whose left side is wider",
     .measures = "soft_corr",
     .n = 120,
     .width = {1200, 1000},
     .first = 1,
     .bytes = 4,
     .pairs = "cross"},
    {.name = "blocks of examples that are left out, of layers of unlike widths",
     .measures = "hard_corr",
     .n = 725,
     .width = {43, 43, 317},
     .first = 2,
     .bytes = 2,
     .pairs = "cross",
     .jackknife = 20},
    {.name = "twins, and rows that went to their places before",
     .measures = "nbs",
     .n = 600,
     .width = {420, 60},
     .first = 2,
     .bytes = 4,
     .null = CSIM_NULL_PERMUTATION},
    {.name = "rows as read that go to their places",
     .measures = "rsa,distcorr",
     .n = 700,
     .width = {20, 430, 26, 74},
     .first = 2,
     .bytes = 8,
     .option = "--rsa.outer=cosine",
     .null = CSIM_NULL_PERMUTATION},
    {.name = "encoded rows of twins",
     .measures = "deepdot",
     .n = 2400,
     .width = {40, 120, 40},
     .first = 2,
     .bytes = 4,
     .null = CSIM_NULL_PERMUTATION},
    {.name = "distances in other layers, after all searches",
     .measures = "second_cos",
     .n = 1900,
     .width = {21, 21, 21, 21},
     .first = 4,
     .bytes = 4},
    {.name = "distances that are ranked",
     .measures = "rsa",
     .n = 400,
     .width = {23, 58},
     .first = 2,
     .bytes = 8},
    {.name = "rows that are held for Gram tiles, the widest layer first",
     .measures = "cka,cknna",
     .n = 252,
     .width = {700, 156, 40},
     .first = 3,
     .bytes = 8,
     .share = 0.95},
    {.name = "sums over rows of layers of which none are as wide as another",
     .measures = "norm",
     .n = 2700,
     .width = {183, 20, 252, 145},
     .first = 3,
     .bytes = 4,
     .pairs = "cross"},
    {.name = "numbers that are converted while they are read",
     .measures = "cka",
     .n = 180,
     .width = {1500},
     .first = 1,
     .bytes = 4},
    {.name = "numbers that are converted for batches",
     .measures = "cka_minibatch",
     .n = 400,
     .width = {20, 700},
     .first = 2,
     .bytes = 4,
     .share = LEAST},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static csim_status foretell(csim_context *ctx, sweep_case *c, const char *folder, int64_t memory,
                            csim__forecast *f)
{
    csim_results *none = NULL;
    c->memory = memory;
    c->forecast = f;
    csim_status st = case_sweep(ctx, c, folder, &none);
    c->forecast = NULL;
    return st;
}

/* Under a limit between the least that does and what is taken without one. */
static void foretell_limited(csim_context *ctx, sweep_case *c, const char *folder, double share,
                             csim__forecast *f)
{
    assert_int_equal(foretell(ctx, c, folder, 0, f), CSIM_OK);
    if (share == 0) { return; }
    double most = (double)f->peak;
    assert_int_equal(foretell(ctx, c, folder, 1, f), CSIM_E_MEM);
    csim__forgive(ctx);
    double least = (double)f->peak;
    assert_int_equal(foretell(ctx, c, folder, (int64_t)(least * pow(most / least, share)), f),
                     CSIM_OK);
    assert_true(f->peak <= c->memory);
}

static int64_t counted_peak(csim_context *ctx, const sweep_case *c, const char *folder)
{
    csim_results *results = NULL;
    int64_t before = csim_context_memory_live(ctx), mine, most = 0;
    assert_int_equal(case_sweep(ctx, c, folder, &results), CSIM_OK);
    csim_results_free(&results);
    mine = csim_context_memory_peak(ctx) - before;
    MPI_Allreduce(&mine, &most, 1, MPI_INT64_T, MPI_MAX, csim_context_comm(ctx));
    return most;
}

/* Returns whether it is within ten percent. */
static bool is_as_foretold(const shape *s)
{
    csim_context *ctx = harness_context();
    sweep_case c = {.measures = s->measures,
                    .options = (const char *const[]){s->option, NULL},
                    .pairs = s->pairs != NULL ? s->pairs : "all",
                    .null = s->null,
                    .permutations = s->null == CSIM_NULL_PERMUTATION ? 2 : 0,
                    .jackknife = s->jackknife};
    csim__forecast f;
    char folder[CASE_PATH];
    case_mix(&c, s->n, s->width, LAYERS, s->first, 0);
    for (int i = 0; i < c.count; i++) { c.site[i].bytes = s->bytes; }
    case_write(ctx, &c, folder);
    foretell_limited(ctx, &c, folder, s->share, &f);
    double ratio = (double)f.peak / (double)counted_peak(ctx, &c, folder);
    bool right = ratio > 0.9 && ratio < 1.1;
    if (!right) {
        print_error("%s at %d ranks (%s, %s): foretold / counted = %.3f\n", s->name,
                    csim_context_size(ctx), f.streamed ? "streamed" : "held",
                    csim__stage_text(f.when), ratio);
    }
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
    return right;
}

static void memory_is_as_foretold(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < SHAPES; i++) { wrong += !is_as_foretold(&shapes[i]); }
    assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_is_as_foretold)};
    return harness_finish(cmocka_run_group_tests_name("forecast of room", tests, NULL, NULL));
}
