/* Memory that runs out on one rank, at one allocation after the other: the same status everywhere,
 * a message that says so, nothing leaked, no hang. The linker puts our aligned_alloc() in between. */
#include "sweep_case.h"

#include <stdlib.h>
#include <string.h>

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static long countdown; /* allocations until one fails; 0 = none does */
static int failed;

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (countdown > 0 && --countdown == 0) {
        failed = 1;
        return NULL;
    }
    return __real_aligned_alloc(alignment, size);
}

/* Sweep with the k-th allocation failing on one rank. Returns whether there were so many. */
static bool fail_at(csim_context *ctx, const sweep_case *c, const char *folder, int victim, long k)
{
    int64_t live = csim_context_memory_live(ctx);
    csim_results *r = NULL;
    int any = 0;
    failed = 0;
    countdown = csim_context_rank(ctx) == victim ? k : 0;
    csim_status st = case_sweep(ctx, c, folder, &r);
    countdown = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, csim_context_comm(ctx));
    assert_true(harness_same(ctx, st));
    assert_true(st == CSIM_E_MEM || st == CSIM_OK);
    assert_true((st == CSIM_OK) == (r != NULL)); /* a decomposition costs its cells alone */
    if (st != CSIM_OK) {
        assert_true(any);
        assert_non_null(strstr(csim_context_error(ctx), "out of memory on rank"));
    }
    csim_results_free(&r);
    assert_int_equal(csim_context_memory_live(ctx), live);
    return any;
}

static void every_allocation(csim_context *ctx, const char *measures, int n, int d)
{
    enum { BEFORE = 90, STRIDE = 7 }; /* what the options of a case take; coprime to most loops */
    double *x[3];
    sweep_case c = {.measures = measures, .pairs = "all"};
    char folder[CASE_PATH];
    for (int s = 0; s < 3; s++) {
        x[s] = ref_alloc((int64_t)n * d, sizeof(double));
        ref_random_matrix(300 + s, n, d, x[s]);
        case_add(&c, s ? "b" : "a", x[s], n, d);
    }
    case_write(ctx, &c, folder);
    int size = csim_context_size(ctx);
    for (int victim = 0; victim<size; victim += size> 1 ? size - 1 : 1) {
        long k = BEFORE + victim;
        while (fail_at(ctx, &c, folder, victim, k)) { k += STRIDE; }
        assert_true(k > BEFORE + 10 * STRIDE);
    }
    case_remove(ctx, &c, folder);
    for (int s = 0; s < 3; s++) { free(x[s]); }
}

static void memory_runs_out(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    every_allocation(ctx, NULL, 150, 6);                  /* tall bases, two chunks and a bit */
    every_allocation(ctx, "cka,cka_debiased", 20, 30);    /* Gram side */
    every_allocation(ctx, "procrustes,cka", 100, 9);      /* cross side */
    every_allocation(ctx, "cca_mean,hard_corr", 70, 100); /* wide bases */
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_runs_out)};
    return harness_finish(cmocka_run_group_tests_name("memory", tests, NULL, NULL));
}
