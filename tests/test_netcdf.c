/* netCDF and HDF5 as input: what is a site, hyperslabs, ids, hostile files. Expected values come from
 * formulas. */
#define _POSIX_C_SOURCE 200809L
#include "netcdf_case.h"

#include "contrasim/reps.h"
#include "io/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const csim__array *find(const csim__catalog *c, const char *name)
{
    for (int64_t i = 0; i < c->count; i++) {
        if (strcmp(c->array[i].name, name) == 0) { return &c->array[i]; }
    }
    return NULL;
}

static void scan(csim_context *ctx, const char *path, csim__catalog *c)
{
    memset(c, 0, sizeof *c);
    must(ctx, csim__format_netcdf.scan(ctx, path, c));
}

/* ---- reading ---- */

static void probes(void **unused)
{
    (void)unused;
    const unsigned char hdf5[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char cdf[4] = {'C', 'D', 'F', 0};
    assert_true(csim__format_netcdf.probe(hdf5, 8));
    assert_false(csim__format_netcdf.probe(hdf5, 7));
    for (int v = 0; v < 8; v++) {
        cdf[3] = (unsigned char)v;
        assert_int_equal(csim__format_netcdf.probe(cdf, 4) != 0, v == 1 || v == 2 || v == 5);
    }
    assert_false(csim__format_netcdf.probe(cdf, 3));
    assert_false(csim__format_netcdf.probe((const unsigned char *)"PK\3\4....", 8));
}

static void reads_native(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    for (int deflate = 0; deflate < 2; deflate++) {
        const char *path = deflate ? "deflated.nc" : "native.nc";
        csim__catalog c;
        void *handle = NULL;
        double x[N * KNOWN];
        int64_t ids[4];
        int has = 0;
        if (csim_context_rank(ctx) == 0) { make_native(path, deflate); }
        meet();
        scan(ctx, path, &c);
        assert_int_equal(c.count, 4);
        const char *const order[] = {"b", "a", "half", "brain"};
        const csim_dtype type[] = {CSIM_F32, CSIM_F64, CSIM_F16, CSIM_BF16};
        must(ctx, csim__format_netcdf.open(ctx, path, &handle));
        for (int i = 0; i < 4; i++) {
            const csim__array *a = find(&c, order[i]);
            assert_non_null(a);
            assert_int_equal(a->layer_index, i);
            assert_int_equal(a->dtype, type[i]);
            assert_int_equal(a->ndim, 2);
            assert_int_equal(a->shape[0], N);
            assert_int_equal(a->shape[1], i < 2 ? D : KNOWN);
            /* Blocks that cross chunks, a single element, nothing. */
            const int64_t blocks[][4] = {
                {0, 0, N, a->shape[1]}, {31, 1, 40, 3}, {N - 1, 5, 1, 1}, {7, 0, 0, 2}};
            for (int b = 0; b < 4; b++) {
                x[0] = 42;
                must(ctx, csim__format_netcdf.read(ctx, handle, a, blocks[b], blocks[b] + 2, x));
                int64_t cols = blocks[b][3];
                for (int64_t k = 0; k < blocks[b][2] * cols; k++) {
                    int64_t row = blocks[b][0] + k / cols, col = blocks[b][1] + k % cols;
                    double want = i < 2    ? value(i, row * D + col)
                                  : i == 2 ? known[col].half
                                           : known[col].bfloat;
                    assert_true(x[k] == want && signbit(x[k]) == signbit(want));
                }
                if (blocks[b][2] == 0) { assert_true(x[0] == 42); }
            }
        }
        must(ctx, csim__format_netcdf.read_ids(ctx, handle, "example_id", 2, 3, ids, &has));
        assert_true(has && ids[0] == 1006 && ids[2] == 1012);
        must(ctx, csim__format_netcdf.read_ids(ctx, handle, "group", 0, 0, ids, &has));
        assert_false(has);
        assert_int_equal(
            csim__format_netcdf.read_ids(ctx, handle, "example_id", N - 1, 2, ids, &has),
            CSIM_E_FORMAT);
        assert_false(has);
        csim__forgive(ctx);
        must(ctx, csim__format_netcdf.read_ids(ctx, handle, "a", 0, 1, ids, &has));
        assert_false(has); /* only of ids is it an error not to be whole numbers */
        csim__format_netcdf.close(ctx, &handle);
        assert_null(handle);
        csim__catalog_free(ctx, &c);
    }
    harness_context_free(&ctx);
}

static void reads_groups(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__catalog c;
    void *handle = NULL;
    double x[600];
    if (csim_context_rank(ctx) == 0) { make_groups("groups.h5"); }
    meet();
    scan(ctx, "groups.h5", &c);
    assert_int_equal(c.count, 3);
    must(ctx, csim__format_netcdf.open(ctx, "groups.h5", &handle));
    const csim__array *a = find(&c, "block/inner/out");
    assert_non_null(a);
    assert_int_equal(a->ndim, 4);
    assert_int_equal(a->layer_index, -1);
    const int64_t start[4] = {3, 1, 0, 2}, count[4] = {2, 2, 4, 3};
    must(ctx, csim__format_netcdf.read(ctx, handle, a, start, count, x));
    int at = 0;
    for (int64_t i = 3; i < 5; i++) {
        for (int64_t j = 1; j < 3; j++) {
            for (int64_t k = 0; k < 4; k++) {
                for (int64_t l = 2; l < 5; l++) {
                    assert_true(x[at++] == value(2, ((i * 3 + j) * 4 + k) * 5 + l));
                }
            }
        }
    }
    a = find(&c, "block/out");
    assert_non_null(a);
    assert_int_equal(a->dtype, CSIM_F64);
    assert_non_null(find(&c, "top"));
    csim__format_netcdf.close(ctx, &handle);
    csim__catalog_free(ctx, &c);
    harness_context_free(&ctx);
}

/* CDF-1, CDF-2 and CDF-5 have one element order and no groups, and must read the same. */
static void reads_classic(void **unused)
{
    (void)unused;
    static const int kind[] = {0, NC_64BIT_OFFSET, NC_64BIT_DATA};
    csim_context *ctx = harness_context();
    for (int i = 0; i < 3; i++) {
        csim__catalog c;
        void *handle = NULL;
        double x[12];
        if (csim_context_rank(ctx) == 0) {
            int nc = 0, dim[2], id = 0;
            NC(nc_create("classic.nc", kind[i] | NC_CLOBBER, &nc));
            NC(nc_def_dim(nc, "n", NC_UNLIMITED, &dim[0]));
            NC(nc_def_dim(nc, "d", 3, &dim[1]));
            id = def_var(nc, "x", NC_FLOAT, 2, dim);
            NC(nc_enddef(nc));
            float v[12];
            for (int k = 0; k < 12; k++) { v[k] = (float)value(3, k); }
            NC(nc_put_vara_float(nc, id, (size_t[]){0, 0}, (size_t[]){4, 3}, v));
            NC(nc_close(nc));
        }
        meet();
        scan(ctx, "classic.nc", &c);
        assert_int_equal(c.count, 1);
        assert_int_equal(c.array[0].shape[0], 4);
        must(ctx, csim__format_netcdf.open(ctx, "classic.nc", &handle));
        must(ctx, csim__format_netcdf.read(ctx, handle, &c.array[0], (int64_t[]){1, 0},
                                           (int64_t[]){3, 3}, x));
        for (int k = 0; k < 9; k++) { assert_true(x[k] == value(3, k + 3)); }
        csim__format_netcdf.close(ctx, &handle);
        csim__catalog_free(ctx, &c);
        meet();
    }
    harness_context_free(&ctx);
}

/* A value that was never written must not pass for a number. */
static void never_written_is_nan(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__catalog c;
    void *handle = NULL;
    double x[8];
    if (csim_context_rank(ctx) == 0) {
        int nc = 0, dim[2], id = 0;
        const float minus = -1.0f, row[4] = {1, -1, 3, 4};
        NC(nc_create("holes.nc", NC_NETCDF4 | NC_CLOBBER, &nc));
        NC(nc_def_dim(nc, "n", 2, &dim[0]));
        NC(nc_def_dim(nc, "d", 4, &dim[1]));
        for (int own = 0; own < 2; own++) {
            id = def_var(nc, own ? "own" : "usual", NC_FLOAT, 2, dim);
            NC(nc_def_var_chunking(nc, id, NC_CHUNKED, (size_t[]){1, 4}));
            if (own) { NC(nc_put_att_float(nc, id, "_FillValue", NC_FLOAT, 1, &minus)); }
            NC(nc_put_vara_float(nc, id, (size_t[]){0, 0}, (size_t[]){1, 4}, row));
        }
        NC(nc_close(nc));
    }
    meet();
    scan(ctx, "holes.nc", &c);
    must(ctx, csim__format_netcdf.open(ctx, "holes.nc", &handle));
    for (int own = 0; own < 2; own++) {
        const csim__array *a = find(&c, own ? "own" : "usual");
        must(ctx,
             csim__format_netcdf.read(ctx, handle, a, (int64_t[]){0, 0}, (int64_t[]){2, 4}, x));
        assert_true(x[0] == 1 && x[2] == 3 && (own ? isnan(x[1]) : x[1] == -1));
        for (int k = 4; k < 8; k++) { assert_true(isnan(x[k])); }
    }
    csim__format_netcdf.close(ctx, &handle);
    csim__catalog_free(ctx, &c);
    harness_context_free(&ctx);
}

/* ---- hostile files ---- */

/* What to make wrong. */
enum wrong {
    DTYPE_NUMBER,
    DTYPE_LONG,
    INDEX_TEXT,
    INDEX_LIST,
    INDEX_NEGATIVE,
    INDEX_REAL,
    LARGE,
    LARGE_PACKED,
    LARGE_SHUFFLED,
    OVERFLOW_64,
    ONLY_INTEGERS,
    EMPTY,
    DEEP,
    INDEX_REALS,
    DTYPE_UNKNOWN,
    IDS_REAL,
    IDS_TEXT,
    IDS_TABLE,
    WRONGS
};

static void make_wrong(enum wrong w)
{
    int nc = 0, dim[2], id = 0;
    const int one = 1, minus = -1, list[2] = {1, 2};
    const double half = 0.5, reals[2] = {1, 2};
    int huge = w == LARGE || w == LARGE_PACKED || w == LARGE_SHUFFLED || w == OVERFLOW_64;
    int dtype = w <= DTYPE_LONG || w == DTYPE_UNKNOWN;
    char words[200];
    memset(words, 'x', sizeof words);
    NC(nc_create("wrong.nc", NC_NETCDF4 | NC_CLOBBER, &nc));
    if (w == EMPTY) {
        NC(nc_close(nc));
        return;
    }
    int group = nc;
    for (int i = 0; w == DEEP && i < 40; i++) { NC(nc_def_grp(group, "g", &group)); }
    NC(nc_def_dim(nc, w == DTYPE_UNKNOWN ? "example" : "n",
                  w == OVERFLOW_64 ? (size_t)1 << 31
                  : huge           ? (size_t)1 << 22
                                   : 4,
                  &dim[0]));
    NC(nc_def_dim(nc, "d", w == OVERFLOW_64 ? (size_t)1 << 31 : huge ? 100000 : 3, &dim[1]));
    nc_type type = dtype ? NC_USHORT : w == ONLY_INTEGERS ? NC_INT : NC_FLOAT;
    id = def_var(group, "layer", type, 2, dim);
    if (huge) { NC(nc_def_var_chunking(group, id, NC_CHUNKED, (size_t[]){1024, 64})); }
    if (w == LARGE_PACKED) { NC(nc_def_var_deflate(group, id, 0, 1, 1)); }
    if (w == LARGE_SHUFFLED) { NC(nc_def_var_deflate(group, id, 1, 1, 1)); }
    if (w == DTYPE_UNKNOWN) {
        NC(nc_put_att_text(nc, NC_GLOBAL, "Conventions", 11, "contrasim-1"));
        NC(nc_put_att_text(nc, id, "dtype", 11, "float8_e4m3"));
    }
    if (w == IDS_REAL) { def_var(nc, "example_id", NC_DOUBLE, 1, dim); }
    if (w == IDS_TEXT) { def_var(nc, "example_id", NC_STRING, 1, dim); }
    if (w == IDS_TABLE) { def_var(nc, "example_id", NC_INT, 2, dim); }
    if (w == DTYPE_NUMBER) { NC(nc_put_att_int(group, id, "dtype", NC_INT, 1, &one)); }
    if (w == DTYPE_LONG) { NC(nc_put_att_text(group, id, "dtype", sizeof words, words)); }
    if (w == INDEX_TEXT) { NC(nc_put_att_text(group, id, "layer_index", 1, "1")); }
    if (w == INDEX_LIST) { NC(nc_put_att_int(group, id, "layer_index", NC_INT, 2, list)); }
    if (w == INDEX_NEGATIVE) { NC(nc_put_att_int(group, id, "layer_index", NC_INT, 1, &minus)); }
    if (w == INDEX_REAL) { NC(nc_put_att_double(group, id, "layer_index", NC_DOUBLE, 1, &half)); }
    if (w == INDEX_REALS) { NC(nc_put_att_double(group, id, "layer_index", NC_DOUBLE, 2, reals)); }
    if (!huge && type == NC_FLOAT) { put_floats(group, id, 0, 12); }
    NC(nc_close(nc));
}

static void hostile_files(void **unused)
{
    (void)unused;
    static const char *const part[WRONGS] = {
        [DTYPE_NUMBER] = "dtype of layer",
        [DTYPE_LONG] = "dtype of layer",
        [INDEX_TEXT] = "layer_index of layer",
        [INDEX_LIST] = "layer_index of layer",
        [INDEX_NEGATIVE] = "is -1",
        [INDEX_REAL] = "layer_index of layer",
        [LARGE] = "dimension 0 has length 4194304",
        [LARGE_PACKED] = "dimension 0 has length 4194304",
        [LARGE_SHUFFLED] = "dimension 1 has length 100000",
        [OVERFLOW_64] = "length 2147483648",
        [ONLY_INTEGERS] = "layer (int32, 2-D)",
        [EMPTY] = "found nothing",
        [DEEP] = "nested",
        [INDEX_REALS] = "layer_index of layer",
        [DTYPE_UNKNOWN] = "dtype of layer is 'float8_e4m3'",
        [IDS_REAL] = "example_id is a variable of type double with 1 dimensions",
        [IDS_TEXT] = "example_id is a variable of type string",
        [IDS_TABLE] = "example_id is a variable of type int32 with 2 dimensions",
    };
    csim_context *ctx = harness_context();
    for (enum wrong w = 0; w < WRONGS; w++) {
        csim__catalog c = {0};
        if (csim_context_rank(ctx) == 0) { make_wrong(w); }
        meet();
        csim_status st = csim__format_netcdf.scan(ctx, "wrong.nc", &c);
        const char *error = csim_context_error(ctx);
        if (st != (w == DEEP ? CSIM_E_LIMIT : CSIM_E_FORMAT) || strstr(error, part[w]) == NULL ||
            strstr(error, "wrong.nc") == NULL) {
            fail_msg("case %d: %s: %s", (int)w, csim_status_name(st), error);
        }
        csim__forgive(ctx);
        csim__catalog_free(ctx, &c);
        meet();
    }
    harness_context_free(&ctx);
}

/* Every prefix of a file: an error or, at most, what is right. */
static void truncated_files(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    char name[64];
    snprintf(name, sizeof name, "cut%d.nc", csim_context_rank(ctx));
    make_native(name, 1);
    struct stat s;
    assert_int_equal(stat(name, &s), 0);
    int failed = 0;
    for (int k = 31; k >= 0; k--) {
        csim__catalog c = {0};
        assert_int_equal(truncate(name, s.st_size * k / 32), 0);
        csim_status st = csim__format_netcdf.scan(ctx, name, &c);
        assert_true(st == CSIM_E_FORMAT || st == CSIM_E_IO);
        assert_non_null(strstr(csim_context_error(ctx), name));
        csim__forgive(ctx);
        csim__catalog_free(ctx, &c);
        failed++;
    }
    assert_int_equal(failed, 32);
    csim__catalog c = {0};
    assert_int_equal(csim__format_netcdf.scan(ctx, "nowhere.nc", &c), CSIM_E_IO);
    csim__forgive(ctx);
    harness_context_free(&ctx);
}

/* The file changes between the scan and the reading. */
static void exchanged_file(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__catalog c;
    void *handle = NULL;
    double x[N * D];
    if (csim_context_rank(ctx) == 0) { make_native("exchanged.nc", 0); }
    meet();
    scan(ctx, "exchanged.nc", &c);
    csim__array a = *find(&c, "a");
    a.shape[1] = D + 1;
    must(ctx, csim__format_netcdf.open(ctx, "exchanged.nc", &handle));
    const int64_t start[2] = {0, 0}, count[2] = {1, D};
    assert_int_equal(csim__format_netcdf.read(ctx, handle, &a, start, count, x), CSIM_E_FORMAT);
    csim__forgive(ctx);
    a = *find(&c, "a");
    a.dtype = CSIM_F32;
    assert_int_equal(csim__format_netcdf.read(ctx, handle, &a, start, count, x), CSIM_E_FORMAT);
    csim__forgive(ctx);
    a.name = (char *)"block/nothing";
    assert_int_equal(csim__format_netcdf.read(ctx, handle, &a, start, count, x), CSIM_E_FORMAT);
    csim__forgive(ctx);
    const int64_t beyond[2] = {N, 0};
    assert_int_equal(csim__format_netcdf.read(ctx, handle, find(&c, "a"), beyond, count, x),
                     CSIM_E_FORMAT);
    csim__forgive(ctx);
    csim__format_netcdf.close(ctx, &handle);
    csim__catalog_free(ctx, &c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes),
        cmocka_unit_test(reads_native),
        cmocka_unit_test(reads_groups),
        cmocka_unit_test(reads_classic),
        cmocka_unit_test(never_written_is_nan),
        cmocka_unit_test(hostile_files),
        cmocka_unit_test(truncated_files),
        cmocka_unit_test(exchanged_file),
    };
    return harness_finish(cmocka_run_group_tests_name("netcdf", tests, NULL, NULL));
}
