/* The same bits: on 1, 2, 3 and 4 ranks (communicators of the first ranks of this job), and for a
 * pair alone or in a larger sweep. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/shard.h"
#include "ingredients/pair.h"

enum { WIDTHS = 9 };

typedef struct layout {
    const char *name;
    int n, width[WIDTHS]; /* 0 ends the list */
    const char *measures;
    csim_precision precision;
    int giant; /* an example of 10 to this power times the norm: its sites have tiles on all routes */
} layout;

static const char *const cka_family = "cka,cka_debiased,cka_lange,hsic";

static const layout *layouts(int *count)
{
    static const layout list[] = {
        {"one chunk", 30, {6, 5}, NULL, CSIM_DOUBLE, 0},
        {"one chunk, wide", 30, {40, 33, 30, 3}, NULL, CSIM_DOUBLE, 0},
        {"chunks of 64, 64 and 2 rows", 130, {7, 12, 3, 1, 7}, NULL, CSIM_DOUBLE, 0},
        {"wide and tall", 150, {160, 20, 150, 149}, NULL, CSIM_DOUBLE, 0},
        {"eight chunks", 512, {20, 33, 20}, NULL, CSIM_DOUBLE, 0},
        {"shapes, wide and tall", 150, {160, 20, 11}, "procrustes,cka,nbs", CSIM_DOUBLE, 0},
        {"matching", 300, {20, 33, 20}, "hard_corr,align_cos,norm", CSIM_DOUBLE, 0},
        {"spaces", 300, {20, 33, 301}, "eos", CSIM_DOUBLE, 0},
        {"cross and Gram", 1000, {20, 33, 310, 5, 320}, NULL, CSIM_DOUBLE, 0},
        {"cross and Gram in single", 1000, {20, 33, 310, 5, 320}, NULL, CSIM_SINGLE_PRECISION, 0},
        {"many sites", 200, {31, 40, 33, 40, 35, 64, 37, 38, 100}, NULL, CSIM_DOUBLE, 0},
        {"many in single",
         200,
         {31, 40, 33, 40, 35, 64, 37, 38, 100},
         NULL,
         CSIM_SINGLE_PRECISION,
         0},
        {"tiles smaller than chunks", 3000, {500, 510}, NULL, CSIM_DOUBLE, 0},
        {"such tiles in single", 3000, {500, 510}, NULL, CSIM_SINGLE_PRECISION, 0},
        {"a giant", 300, {7, 12, 60, 1, 7}, NULL, CSIM_DOUBLE, 5},
        {"a giant in single", 300, {7, 12, 60, 1, 7}, NULL, CSIM_SINGLE_PRECISION, 3},
    };
    *count = (int)(sizeof list / sizeof *list);
    return list;
}

/* The case of a layout: the first site is set "a", the others "b"; all have a common part. */
static sweep_case make(const layout *l, bool all_measures)
{
    sweep_case c = {.pairs = "all", .precision = l->precision};
    c.measures = l->measures != NULL ? l->measures : all_measures ? NULL : cka_family;
    case_mix(&c, l->n, l->width, WIDTHS, 1, l->giant);
    return c;
}

/* Which measures a layout stands for: those not named run once by all, once by the CKA family. */
static bool runs_all(const layout *l)
{
    return l->measures == NULL && l->precision == CSIM_DOUBLE && l->n < 1500 && l->width[2] < 300;
}

static void ranks_do_not_matter(void **state)
{
    (void)state;
    int count, wrong = 0;
    const layout *list = layouts(&count);
    for (int i = 0; i < count; i++) {
        for (int all = 0; all <= runs_all(&list[i]); all++) {
            sweep_case c = make(&list[i], all);
            wrong += case_over_ranks(&c, list[i].name);
            case_unmix(&c);
        }
    }
    assert_int_equal(wrong, 0);
}

/* 32-bit input, dropped rows, several sets, every way to choose pairs. */
static void ranks_do_not_matter_to_options(void **state)
{
    (void)state;
    static const char *const pairs[] = {"cross", "within", "a:b", "b:a"};
    layout l = {"options", 700, {9, 14, 9, 120}, NULL, CSIM_DOUBLE, 0};
    int wrong = 0;
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        sweep_case c = make(&l, true);
        c.pairs = pairs[k];
        c.site[1].bytes = 4;
        c.drop_rows = 1;
        double *x = case_values(&c, 2);
        x[0] = x[9 * 300] = x[9 * 301 + 2] = x[9 * 699] = 0.0 / 0.0;
        wrong += case_over_ranks(&c, pairs[k]);
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
}

/* Rows that change places, blocks that are left out, one or many to a chunk. */
static void ranks_do_not_matter_to_statistics(void **state)
{
    (void)state;
    static const layout list[] = {
        {"permutations", 300, {9, 14, 9, 40}, NULL, CSIM_DOUBLE, 0},
        {"of a giant", 200, {7, 12, 60}, "cka,cka_debiased,nngs,cka_rbf", CSIM_DOUBLE, 5},
        {"in single", 300, {7, 12, 60}, "cka,hsic", CSIM_SINGLE_PRECISION, 0},
        {"blocks", 1000, {7, 12, 7}, "cka_debiased,nbs,hard_corr,cka_rbf_debiased", CSIM_DOUBLE, 0},
        {"blocks, wide", 90, {100, 12, 7}, "cka_debiased,nbs,cka_rbf_debiased", CSIM_DOUBLE, 0}};
    int wrong = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        sweep_case c = make(&list[i], true);
        c.null = CSIM_NULL_PERMUTATION;
        c.permutations = 3;
        c.jackknife = i >= 3 ? 20 : 0;
        wrong += case_over_ranks(&c, list[i].name);
        case_unmix(&c);
    }
    assert_int_equal(wrong, 0);
}

/* Every pair of a layout alone, in two sets, against its cells in the sweep of all. */
static int alone_or_not(csim_context *ctx, const sweep_case *c, const char *what)
{
    int wrong = 0;
    csim_results *all = case_results(ctx, c);
    for (int i = 0; i < c->count; i++) {
        for (int j = i; j < c->count; j++) {
            sweep_case pair = *c;
            pair.count = 0;
            pair.pairs = "all";
            case_add(&pair, "p", c->site[i].x, c->site[i].n, c->site[i].d);
            if (j > i) { case_add(&pair, "q", c->site[j].x, c->site[j].n, c->site[j].d); }
            csim_results *r = case_results(ctx, &pair);
            for (int v = 0; v < csim_results_count(all); v++) {
                const char *name = csim_results_variable(all, v)->name;
                double a[2] = {case_value(all, name, i, j), case_value(all, name, j, i)};
                double b[2] = {case_value(r, name, 0, j > i), case_value(r, name, j > i, 0)};
                if (memcmp(a, b, sizeof a) != 0) {
                    print_error("%s: %s of sites %d and %d: %.17g %.17g, alone %.17g %.17g\n", what,
                                name, i, j, a[0], a[1], b[0], b[1]);
                    wrong++;
                }
            }
            csim_results_free(&r);
        }
    }
    csim_results_free(&all);
    return wrong;
}

static void company_does_not_matter(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int count, wrong = 0;
    const layout *list = layouts(&count);
    for (int i = 0; i < count; i++) {
        for (int all = 0; all <= runs_all(&list[i]) && list[i].n < 2000; all++) {
            sweep_case c = make(&list[i], all);
            wrong += alone_or_not(ctx, &c, list[i].name);
            case_unmix(&c);
        }
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* The bits above were made on every route: the layouts lie on both sides of its borders. */
static void layouts_take_every_route(void **state)
{
    (void)state;
    int count, gram = 0, cross = 0, chunks[5] = {0};
    const layout *list = layouts(&count);
    for (int i = 0; i < count; i++) {
        for (int j = 0; list[i].measures == NULL && j < WIDTHS && list[i].width[j] > 0; j++) {
            bool on_gram = list[i].n <= 6 * list[i].width[j];
            gram += on_gram;
            cross += !on_gram;
        }
        int64_t many = csim__shard(list[i].n, 0, 1).chunks;
        chunks[many < 4 ? many : 4]++;
    }
    assert_true(gram > 5 && cross > 5);
    assert_true(chunks[1] > 0 && chunks[3] > 0 && chunks[4] > 0);
    assert_true(csim__chunk_length(3000) > 256);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_take_every_route),
        cmocka_unit_test(ranks_do_not_matter),
        cmocka_unit_test(ranks_do_not_matter_to_options),
        cmocka_unit_test(ranks_do_not_matter_to_statistics),
        cmocka_unit_test(company_does_not_matter),
    };
    return harness_finish(cmocka_run_group_tests_name("sweep_bits", tests, NULL, NULL));
}
