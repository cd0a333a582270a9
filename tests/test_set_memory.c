/* Sets of matrices that the caller holds. */
#include "harness.h"

#include "contrasim/reps.h"

static csim_context *ctx;

static void test_memory_set(void **state)
{
    (void)state;
    double x[6] = {1, 2, 3, 4, 5, 6}, out[4];
    float y[9] = {1.5F, 2, 3, 4, 5, 6, 7, 8, 9};
    csim_memory_site site[2] = {{"x", CSIM_F64, 2, x}, {"y", CSIM_F32, 3, y}};
    csim_set *set = NULL;
    assert_int_equal(csim_set_from_memory(ctx, "m", 3, site, 2, &set), CSIM_OK);
    assert_string_equal(csim_set_name(set), "m");
    assert_string_equal(csim_set_format(set), "memory");
    assert_int_equal(csim_set_site_count(set), 2);
    assert_int_equal(csim_set_examples(set), 3);
    assert_int_equal(csim_set_bytes(set), 6 * 8 + 9 * 4);
    assert_string_equal(csim_set_site(set, 1)->name, "y");
    assert_string_equal(csim_set_site(set, 1)->shape, "3x3");
    assert_int_equal(csim_set_read(set, 0, 1, 2, out), CSIM_OK);
    for (int i = 0; i < 4; i++) { assert_true(out[i] == x[2 + i]); }
    int64_t drop[1] = {1}, ids[3];
    int has = 1;
    assert_int_equal(csim_set_example_ids(set, 0, 3, ids, &has), CSIM_OK);
    assert_int_equal(has, 0);
    assert_int_equal(csim_set_drop_rows(set, drop, 1), CSIM_OK);
    assert_int_equal(csim_set_read(set, 1, 0, 1, out), CSIM_OK);
    assert_true(out[0] == 1.5 && out[2] == 3);
    assert_int_equal(csim_set_read(set, 1, 1, 1, out), CSIM_OK);
    assert_true(out[0] == 7 && out[2] == 9);
    csim_set_free(&set);
    assert_null(set);
}

static void test_memory_misuse(void **state)
{
    (void)state;
    double x[4] = {0};
    csim_set *set = NULL;
    csim_memory_site twice[2] = {{"x", CSIM_F64, 2, x}, {"x", CSIM_F64, 2, x}};
    csim_memory_site half = {"x", CSIM_F16, 2, x}, none = {"x", CSIM_F64, 2, NULL};
    assert_int_equal(csim_set_from_memory(ctx, "m", 2, twice, 2, &set), CSIM_E_ARG);
    assert_null(set);
    assert_int_equal(csim_set_from_memory(ctx, "m", 2, &half, 1, &set), CSIM_E_ARG);
    assert_int_equal(csim_set_from_memory(ctx, "m", 2, &none, 1, &set), CSIM_E_ARG);
    assert_int_equal(csim_set_from_memory(ctx, "", 2, twice, 1, &set), CSIM_E_ARG);
    assert_int_equal(csim_set_from_memory(ctx, "m", 0, twice, 1, &set), CSIM_E_ARG);
    csim__forgive(ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_set),
        cmocka_unit_test(test_memory_misuse),
    };
    ctx = harness_context();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    harness_context_free(&ctx);
    return harness_finish(failed);
}
