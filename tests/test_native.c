/* The native writer: same bits back, labels taken along, whole or not at all; and summaries. Expected
 * values come from formulas. */
#define _POSIX_C_SOURCE 200809L
#include "netcdf_case.h"

#include "contrasim/native.h"
#include "contrasim/reps.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static const csim_input_options plain = {.neuron_axis = -1};

static csim_set *open_set(csim_context *ctx, const char *spec)
{
    csim_set *set = NULL;
    must(ctx, csim_set_open(ctx, spec, &plain, &set));
    return set;
}

static void check_same_values(csim_context *ctx, csim_set *a, csim_set *b)
{
    assert_int_equal(csim_set_site_count(a), csim_set_site_count(b));
    int64_t n = csim_set_examples(a);
    assert_int_equal(n, csim_set_examples(b));
    for (int i = 0; i < csim_set_site_count(a); i++) {
        const csim_site_info *p = csim_set_site(a, i), *q = csim_set_site(b, i);
        assert_string_equal(p->name, q->name);
        assert_int_equal(p->dtype, q->dtype);
        assert_int_equal(p->d, q->d);
        size_t bytes = (size_t)(n * p->d) * sizeof(double);
        double *x = malloc(bytes), *y = malloc(bytes);
        must(ctx, csim_set_read(a, i, 0, n, x));
        must(ctx, csim_set_read(b, i, 0, n, y));
        assert_memory_equal(x, y, bytes);
        free(x);
        free(y);
    }
}

static void writes_native(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    const csim_native_options options = {.command = "contrasim import x"};
    if (csim_context_rank(ctx) == 0) {
        remove("copy.nc");
        make_native("native.nc", 0);
    }
    meet();
    csim_set *set = open_set(ctx, "toy=native.nc");
    must(ctx, csim_native_write(ctx, set, "copy.nc", &options));
    csim_set *copy = open_set(ctx, "toy=copy.nc");
    check_same_values(ctx, set, copy);
    int64_t a[N], b[N];
    int has = 0;
    must(ctx, csim_set_example_ids(copy, 0, N, b, &has));
    assert_true(has);
    must(ctx, csim_set_example_ids(set, 0, N, a, &has));
    assert_memory_equal(a, b, sizeof a);
    csim_status st = csim_native_write(ctx, set, "copy.nc", &options);
    assert_int_equal(st, CSIM_E_EXISTS);
    assert_true(harness_same(ctx, st));
    csim_set_free(&copy);
    csim_set_free(&set);
    if (csim_context_rank(ctx) == 0) {
        int nc = 0, id = 0, label[N];
        char text[64] = "";
        nc_type type = NC_NAT;
        NC(nc_open("copy.nc", NC_NOWRITE, &nc));
        NC(nc_inq_varid(nc, "label_class", &id));
        NC(nc_inq_vartype(nc, id, &type));
        assert_int_equal(type, NC_INT);
        NC(nc_get_var_int(nc, id, label));
        for (int i = 0; i < N; i++) { assert_int_equal(label[i], i % 4); }
        NC(nc_get_att_text(nc, id, "classes", text));
        assert_string_equal(text, "a b c d");
        memset(text, 0, sizeof text);
        NC(nc_get_att_text(nc, NC_GLOBAL, "Conventions", text));
        assert_string_equal(text, "contrasim-1");
        memset(text, 0, sizeof text);
        NC(nc_get_att_text(nc, NC_GLOBAL, "model", text));
        assert_string_equal(text, "toy");
        memset(text, 0, sizeof text);
        NC(nc_get_att_text(nc, NC_GLOBAL, "dataset", text));
        assert_string_equal(text, "toys!");
        NC(nc_close(nc));
    }
    harness_context_free(&ctx);
}

/* Mean pooling of float32 gives numbers that only float64 holds. */
static void writes_pooled(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_input_options mean = plain;
    const csim_native_options options = {.overwrite = 1};
    csim_texts only = {1, (const char *[]){"block/inner/out,block/out"}};
    csim_set *set = NULL;
    if (csim_context_rank(ctx) == 0) { make_groups("groups.h5"); }
    meet();
    mean.pool = CSIM_POOL_MEAN;
    mean.layers = only;
    must(ctx, csim_set_open(ctx, "groups.h5", &mean, &set));
    must(ctx, csim_native_write(ctx, set, "pooled.nc", &options));
    csim_set *copy = open_set(ctx, "pooled.nc");
    assert_string_equal(csim_set_site(copy, 0)->name, "block.inner.out");
    for (int i = 0; i < 2; i++) {
        const csim_site_info *p = csim_set_site(copy, i);
        double x[10 * 8], y[10 * 8];
        assert_int_equal(p->dtype, CSIM_F64);
        assert_int_equal(p->d, csim_set_site(set, i)->d);
        assert_true(p->d <= 8);
        must(ctx, csim_set_read(set, i, 0, 10, x));
        must(ctx, csim_set_read(copy, i, 0, 10, y));
        assert_memory_equal(x, y, sizeof(double) * 10 * (size_t)p->d);
    }
    csim_set_free(&copy);
    csim_set_free(&set);
    harness_context_free(&ctx);
}

/* NaN, a file size limit, injected faults: one status, nothing left over, the old file whole. */
static void failing_writes(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    const csim_native_options options = {.overwrite = 1};
    struct rlimit old;
    struct stat before, after;
    if (csim_context_rank(ctx) == 0) {
        int nc = 0, id = 0;
        const double bad = NAN;
        make_native("native.nc", 0);
        make_native("bad.nc", 0);
        NC(nc_open("bad.nc", NC_WRITE, &nc));
        NC(nc_inq_varid(nc, "a", &id));
        NC(nc_put_var1_double(nc, id, (size_t[]){N - 1, 2}, &bad));
        NC(nc_close(nc));
    }
    meet();
    csim_set *set = open_set(ctx, "native.nc"), *bad = open_set(ctx, "bad.nc");
    must(ctx, csim_native_write(ctx, set, "target.nc", &options));
    assert_int_equal(stat("target.nc", &before), 0);
    csim_status st = csim_native_write(ctx, bad, "target.nc", &options);
    assert_int_equal(st, CSIM_E_DATA);
    assert_true(harness_same(ctx, st));
    assert_non_null(strstr(csim_context_error(ctx), "site a: NaN at row 149, column 2"));
    int64_t dropped = 0;
    must(ctx, csim_sets_drop_bad_rows(ctx, &bad, 1, &dropped));
    assert_int_equal(dropped, 1);
    must(ctx, csim_native_write(ctx, bad, "dropped.nc", &options));
    csim_set *fewer = open_set(ctx, "dropped.nc");
    assert_int_equal(csim_set_examples(fewer), N - 1);
    csim_set_free(&fewer);
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {20000, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    st = csim_native_write(ctx, set, "target.nc", &options);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(st, CSIM_E_IO);
    assert_true(harness_same(ctx, st));
    int failed = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        csim_context_set_faults(ctx, 6, seed);
        st = csim_native_write(ctx, set, "faulty.nc", &options);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        assert_true(harness_same(ctx, st));
        failed += st != CSIM_OK;
    }
    assert_true(failed > 0 && failed < 20);
    meet();
    assert_int_equal(harness_count_files(".partial"), 0);
    assert_int_equal(stat("target.nc", &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
    csim_set_free(&bad);
    csim_set_free(&set);
    harness_context_free(&ctx);
}

static void summaries(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_site_summary s;
    if (csim_context_rank(ctx) == 0) {
        int nc = 0, dim[2], id = 0;
        float x[N][3];
        for (int i = 0; i < N; i++) {
            x[i][0] = 2.5f;
            x[i][1] = (float)i;
            x[i][2] = 2.5f;
        }
        x[100][2] = INFINITY;
        x[70][2] = NAN;
        x[71][2] = NAN;
        NC(nc_create("summary.nc", NC_NETCDF4 | NC_CLOBBER, &nc));
        NC(nc_def_dim(nc, "n", N, &dim[0]));
        NC(nc_def_dim(nc, "d", 3, &dim[1]));
        id = def_var(nc, "x", NC_FLOAT, 2, dim);
        NC(nc_put_var_float(nc, id, &x[0][0]));
        NC(nc_close(nc));
    }
    meet();
    csim_set *set = open_set(ctx, "summary.nc");
    must(ctx, csim_set_summary(ctx, set, 0, &s));
    assert_int_equal(s.nans, 2);
    assert_int_equal(s.infinities, 1);
    assert_int_equal(s.first_row, 70);
    assert_int_equal(s.first_column, 2);
    assert_int_equal(s.constant_columns, 1);
    assert_true(s.min == 0.0 && s.max == 149.0);
    double sum = 2.5 * N + 149 * 75 + 2.5 * (N - 3);
    assert_true(fabs(s.mean - sum / (3 * N - 3)) < 1e-12);
    csim_set_free(&set);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_native),
        cmocka_unit_test(writes_pooled),
        cmocka_unit_test(failing_writes),
        cmocka_unit_test(summaries),
    };
    return harness_finish(cmocka_run_group_tests_name("native", tests, NULL, NULL));
}
