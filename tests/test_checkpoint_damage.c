/* Files that are no checkpoint, or one that was damaged, or changed by other tools. */
#include "checkpoint_case.h"

#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NC(call) assert_int_equal((call), NC_NOERR)

/* A small one, so that every byte of its file can be tried; its file is `path`. */
static csim__checkpoint *small(csim_context *ctx, const char *path)
{
    csim__checkpoint *c = NULL;
    float w[6] = {1, 2, 3, 4, 5, 1.0f / 3};
    case_must(ctx, csim__checkpoint_create(ctx, &c));
    case_must(ctx, csim__checkpoint_set_text(c, "loss", "contrastive"));
    case_must(ctx, csim__checkpoint_set_int(c, "seed", 7));
    case_must(ctx, csim__checkpoint_add(
                       c, &(csim__field){"w", CSIM__FLOAT32, 2, {"x", "y"}, {2, 3}, w, "weights"}));
    case_must(ctx, csim__checkpoint_add(
                       c, &(csim__field){"e", CSIM__INT64, 1, {"z"}, {0}, NULL, "nothing"}));
    case_must(ctx, csim__checkpoint_write(ctx, c, path));
    return c;
}

/* Bytes that must be refused as no or a damaged checkpoint. Each rank has its own file. */
static void expect_refusal(csim_context *alone, const char *path, const char *bytes, size_t n,
                           const char *what, size_t k)
{
    csim__checkpoint *back = NULL;
    case_put(path, bytes, n);
    csim_status st = csim__checkpoint_read(alone, path, &back);
    if (st != CSIM_E_FORMAT || back != NULL || strstr(csim_context_error(alone), path) == NULL) {
        fail_msg("%s %zu: %s: %s", what, k, csim_status_name(st), csim_context_error(alone));
    }
}

/* Places that are tried: all of the seal, a third of what is written, few of the zeros between. */
static int tried(size_t k, size_t n)
{
    return k + CSIM__SEAL >= n || k % (k < 16384 ? 3 : 61) == 0;
}

/* Bytes changed and files cut, shared out over the ranks. */
static void damaged_files(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context(), *alone = NULL;
    size_t n = 0, rank = (size_t)csim_context_rank(ctx), size = (size_t)csim_context_size(ctx);
    char path[32];
    assert_int_equal(csim_context_create(MPI_COMM_SELF, &alone), CSIM_OK);
    snprintf(path, sizeof path, "damaged_%zu.nc", rank);
    csim__checkpoint *c = small(alone, path), *back = NULL;
    char *bytes = case_bytes(path, &n);
    static const unsigned char flips[] = {0x01, 0xff, 0x80, 0x20};
    for (size_t k = 0, turn = 0; k < n; k++) {
        if (!tried(k, n) || turn++ % size != rank) { continue; }
        bytes[k] = (char)((unsigned char)bytes[k] ^ flips[k % 4]);
        expect_refusal(alone, path, bytes, n, "byte", k);
        bytes[k] = (char)((unsigned char)bytes[k] ^ flips[k % 4]);
    }
    for (size_t k = 0, turn = 0; k < n; k++) {
        if (!tried(k, n) || turn++ % (7 * size) != rank) { continue; }
        expect_refusal(alone, path, bytes, k, "length", k);
    }
    bytes[n] = '\n';
    expect_refusal(alone, path, bytes, n + 1, "longer", n + 1);
    case_put(path, bytes, n);
    case_must(alone, csim__checkpoint_read(alone, path, &back));
    csim__checkpoint_free(alone, &back);
    free(bytes);
    csim__checkpoint_free(alone, &c);
    harness_context_free(&alone);
    harness_context_free(&ctx);
}

/* Seal what is in the file now. */
static void seal(const char *path, int version)
{
    size_t n = 0;
    char *bytes = case_bytes(path, &n), end[CSIM__SEAL];
    csim__checkpoint_seal(bytes, (int64_t)n, version, end);
    bytes = realloc(bytes, n + sizeof end);
    assert_non_null(bytes);
    memcpy(bytes + n, end, sizeof end);
    case_put(path, bytes, n + sizeof end);
    free(bytes);
}

/* What is not an encoder checkpoint, and checkpoints of other times. */
static void other_files(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *back = NULL, *c = small(ctx, "small.nc");
    size_t n = 0;
    int root = csim_context_rank(ctx) == 0;
    case_meet();
    char *bytes = case_bytes("small.nc", &n);
    if (root) {
        int nc = 0;
        NC(nc_create("native.nc", NC_NETCDF4 | NC_CLOBBER, &nc));
        NC(nc_put_att_text(nc, NC_GLOBAL, "Conventions", 11, "contrasim-1"));
        NC(nc_close(nc));
        case_put("empty.nc", "", 0);
        case_put("text.nc", "hello, world\n", 13);
        case_put("sealed_text.nc", "hello, world\n", 13);
        seal("sealed_text.nc", 1);
        case_put("newer.nc", bytes, n - 64);
        seal("newer.nc", 2);
        case_put("older.nc", bytes, n - 64);
        seal("older.nc", 0);
        case_put("only_seal.nc", "", 0);
        seal("only_seal.nc", 1);
    }
    case_meet();
    const char *const files[][2] = {
        {"native.nc", "bytes) is not an encoder checkpoint, or not a whole one"},
        {"empty.nc", "empty.nc (0 bytes) is not an encoder checkpoint"},
        {"text.nc", "text.nc (13 bytes) is not an encoder checkpoint"},
        {"only_seal.nc", "only_seal.nc (64 bytes) is not an encoder checkpoint"},
        {"sealed_text.nc", "sealed_text.nc: cannot open as netCDF"},
        {"newer.nc", "newer.nc is an encoder checkpoint of version 2, newer than version 1"},
        {"older.nc", "older.nc is an encoder checkpoint of version 0, older than version 1"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        csim_status st = csim__checkpoint_read(ctx, files[i][0], &back);
        assert_true(harness_same(ctx, st));
        assert_null(back);
        case_refused(ctx, st, CSIM_E_FORMAT, files[i][1]);
    }
    case_refused(ctx, csim__checkpoint_read(ctx, "nowhere.nc", &back), CSIM_E_IO, "nowhere.nc");
    case_refused(ctx, csim__checkpoint_read(ctx, ".", &back), CSIM_E_IO, "not a regular file");
    case_meet();
    free(bytes);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

/* ---- changed by other tools, and sealed again ---- */

static void add_variable(int nc, nc_type type, int ndims, const char *long_name)
{
    int dims[4], id = 0;
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "d%d", i);
        if (i < ndims) { NC(nc_def_dim(nc, name, 2, &dims[i])); }
    }
    NC(nc_def_var(nc, "v", type, ndims, dims, &id));
    if (long_name != NULL) { NC(nc_put_att_text(nc, id, "long_name", 4, long_name)); }
}

enum change {
    VALUE,
    ATTRIBUTE,
    NO_ATTRIBUTE,
    MORE_ATTRIBUTE,
    SMALL_ATTRIBUTE,
    LIST_ATTRIBUTE,
    OWN_ATTRIBUTE,
    CONVENTIONS,
    NO_CONVENTIONS,
    NUMBER_CONVENTIONS,
    SUM,
    NO_SUM,
    NUMBER_SUM,
    LONG_NAME,
    NO_LONG_NAME,
    UNITS,
    DIM_NAME,
    DIM_MORE,
    VARIABLE_NAME,
    VARIABLE_MORE,
    VARIABLE_INT,
    VARIABLE_TEXT,
    VARIABLE_SCALAR,
    VARIABLE_4D,
    VARIABLE_LARGE,
    VARIABLE_HUGE,
    VARIABLE_CAPITAL,
    GROUP,
    TYPE,
    GROWN,
    CHANGES
};

static const char *const change_part[CHANGES] = {
    [VALUE] = "was changed: its content has checksum",
    [ATTRIBUTE] = "was changed",
    [NO_ATTRIBUTE] = "was changed",
    [MORE_ATTRIBUTE] = "was changed",
    [SMALL_ATTRIBUTE] = "attribute seed",
    [LIST_ATTRIBUTE] = "attribute seed",
    [OWN_ATTRIBUTE] = "'History'",
    [CONVENTIONS] = "Conventions are not contrasim-encoder-1",
    [NO_CONVENTIONS] = "lacks attribute Conventions",
    [NUMBER_CONVENTIONS] = "Conventions of the file is not one text",
    [SUM] = "expected xxh3_128:0",
    [NO_SUM] = "lacks attribute checksum",
    [NUMBER_SUM] = "checksum of the file is not one text",
    [LONG_NAME] = "was changed",
    [NO_LONG_NAME] = "lacks attribute long_name",
    [UNITS] = "unknown attribute has variable w",
    [DIM_NAME] = "was changed",
    [DIM_MORE] = "no variable has dimension more",
    [VARIABLE_NAME] = "was changed",
    [VARIABLE_MORE] = "was changed",
    [VARIABLE_INT] = "the type of v",
    [VARIABLE_TEXT] = "the type of v",
    [VARIABLE_SCALAR] = "1 to 3 dimensions has variable v",
    [VARIABLE_4D] = "1 to 3 dimensions has variable v",
    [VARIABLE_LARGE] = "too small for variable v",
    [VARIABLE_HUGE] = "too small for variable v",
    [VARIABLE_CAPITAL] = "'V' cannot be the name of a field",
    [GROUP] = "groups or types",
    [TYPE] = "groups or types",
    [GROWN] = "was changed",
};

static void change_attribute(int nc, enum change c)
{
    static const int one = 1, list[2] = {1, 2};
    static const double real = 1;
    switch (c) {
    case ATTRIBUTE:
        NC(nc_put_att_text(nc, NC_GLOBAL, "loss", 7, "deepdot"));
        break;
    case NO_ATTRIBUTE:
        NC(nc_del_att(nc, NC_GLOBAL, "seed"));
        break;
    case MORE_ATTRIBUTE:
        NC(nc_put_att_double(nc, NC_GLOBAL, "more", NC_DOUBLE, 1, &real));
        break;
    case SMALL_ATTRIBUTE:
        NC(nc_put_att_int(nc, NC_GLOBAL, "seed", NC_INT, 1, &one));
        break;
    case LIST_ATTRIBUTE:
        NC(nc_put_att_int(nc, NC_GLOBAL, "seed", NC_INT64, 2, list));
        break;
    case OWN_ATTRIBUTE:
        NC(nc_put_att_text(nc, NC_GLOBAL, "History", 3, "now"));
        break;
    case CONVENTIONS:
        NC(nc_put_att_text(nc, NC_GLOBAL, "Conventions", 19, "contrasim-encoder-2"));
        break;
    case NO_CONVENTIONS:
        NC(nc_del_att(nc, NC_GLOBAL, "Conventions"));
        break;
    case NUMBER_CONVENTIONS:
        NC(nc_put_att_int(nc, NC_GLOBAL, "Conventions", NC_INT, 1, &one));
        break;
    case SUM:
        NC(nc_put_att_text(nc, NC_GLOBAL, "checksum", 10, "xxh3_128:0"));
        break;
    case NO_SUM:
        NC(nc_del_att(nc, NC_GLOBAL, "checksum"));
        break;
    case NUMBER_SUM:
        NC(nc_put_att_int(nc, NC_GLOBAL, "checksum", NC_INT, 1, &one));
        break;
    default:
        fail_msg("no such change of an attribute: %d", (int)c);
    }
}

static void add_wrong_variable(int nc, enum change c)
{
    int dims[2] = {0, 0}, id = 0, huge = c == VARIABLE_HUGE;
    switch (c) {
    case VARIABLE_MORE:
        add_variable(nc, NC_FLOAT, 1, "more");
        break;
    case VARIABLE_INT:
        add_variable(nc, NC_INT, 1, "more");
        break;
    case VARIABLE_TEXT:
        add_variable(nc, NC_STRING, 1, "more");
        break;
    case VARIABLE_SCALAR:
        add_variable(nc, NC_FLOAT, 0, "more");
        break;
    case VARIABLE_4D:
        add_variable(nc, NC_FLOAT, 4, "more");
        break;
    case VARIABLE_LARGE:
    case VARIABLE_HUGE:
        NC(nc_def_dim(nc, "d0", huge ? (size_t)1 << 40 : 1 << 20, &dims[0]));
        NC(nc_def_dim(nc, "d1", huge ? (size_t)1 << 40 : 1 << 10, &dims[1]));
        NC(nc_def_var(nc, "v", NC_DOUBLE, 2, dims, &id));
        NC(nc_def_var_chunking(nc, id, NC_CHUNKED, (size_t[]){64, 64}));
        NC(nc_put_att_text(nc, id, "long_name", 1, "v"));
        break;
    case VARIABLE_CAPITAL:
        add_variable(nc, NC_FLOAT, 1, "more");
        NC(nc_rename_var(nc, 2, "V"));
        break;
    default:
        fail_msg("no such variable: %d", (int)c);
    }
}

static void change_variable(int nc, enum change c)
{
    static const float value = 9;
    int w = 0, id = 0;
    nc_type type = 0;
    NC(nc_inq_varid(nc, "w", &w));
    switch (c) {
    case VALUE:
        NC(nc_put_var1_float(nc, w, (size_t[]){1, 1}, &value));
        break;
    case LONG_NAME:
        NC(nc_put_att_text(nc, w, "long_name", 7, "Weights"));
        break;
    case NO_LONG_NAME:
        NC(nc_del_att(nc, w, "long_name"));
        break;
    case UNITS:
        NC(nc_put_att_text(nc, w, "units", 1, "1"));
        break;
    case DIM_NAME:
        NC(nc_rename_dim(nc, 0, "xx"));
        break;
    case DIM_MORE:
        NC(nc_def_dim(nc, "more", 4, &id));
        break;
    case VARIABLE_NAME:
        NC(nc_rename_var(nc, w, "ww"));
        break;
    case GROUP:
        NC(nc_def_grp(nc, "g", &id));
        break;
    case TYPE:
        NC(nc_def_opaque(nc, 4, "four", &type));
        break;
    case GROWN:
        NC(nc_inq_varid(nc, "e", &id));
        NC(nc_put_vara_longlong(nc, id, (size_t[]){0}, (size_t[]){1}, &(long long){1}));
        break;
    default:
        fail_msg("no such change of a variable: %d", (int)c);
    }
}

static void changed_files(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = small(ctx, "whole.nc"), *back = NULL;
    size_t n = 0;
    case_meet();
    char *bytes = case_bytes("whole.nc", &n);
    for (enum change k = 0; k < CHANGES; k++) {
        if (csim_context_rank(ctx) == 0) {
            int nc = 0;
            case_put("changed.nc", bytes, n - 64);
            NC(nc_open("changed.nc", NC_WRITE, &nc));
            int attribute = k >= ATTRIBUTE && k <= NUMBER_SUM;
            NC(nc_set_fill(nc, NC_NOFILL, NULL));
            if (attribute) {
                change_attribute(nc, k);
            } else if (k >= VARIABLE_MORE && k <= VARIABLE_CAPITAL) {
                add_wrong_variable(nc, k);
            } else {
                change_variable(nc, k);
            }
            NC(nc_close(nc));
            seal("changed.nc", 1);
        }
        case_meet();
        csim_status st = csim__checkpoint_read(ctx, "changed.nc", &back);
        if (st != CSIM_E_FORMAT) { fail_msg("change %d: %s", (int)k, csim_status_name(st)); }
        assert_true(harness_same(ctx, st));
        assert_null(back);
        assert_non_null(strstr(csim_context_error(ctx), "changed.nc"));
        case_refused(ctx, st, CSIM_E_FORMAT, change_part[k]);
        case_meet();
    }
    /* No refusal took the memory that a file asked for. */
    assert_true(csim_context_memory_peak(ctx) < 1 << 20);
    free(bytes);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(other_files),
        cmocka_unit_test(changed_files),
    };
    return harness_finish(cmocka_run_group_tests_name("checkpoint_damage", tests, NULL, NULL));
}
