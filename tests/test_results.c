/* Results: round trip, refusals, whole-or-nothing writing, damaged files, printing. Called as
 * `test_results make FILE` it writes the file that check_results.py looks at. */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include "contrasim/results.h"

#include <math.h>
#include <netcdf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 2, COLS = 3 };

static const csim_result_site rows[ROWS] = {{"net_a", "layer_0", 64, 60, {1.0 / 3, NAN}},
                                            {"net_a", "couché,\"1\"", 7, -1, {NAN, NAN}}};
static const csim_result_site cols[COLS] = {{"net_b", "layer_00_conv", 5, 5, {NAN, NAN}},
                                            {"net_b", "layer_01_conv", 6, 0, {0, NAN}},
                                            {"net_c", "out", 1, 1, {1e300, NAN}}};

static void must(csim_context *ctx, csim_status st)
{
    if (st != CSIM_OK) { fail_msg("%s: %s", csim_status_name(st), csim_context_error(ctx)); }
}

/* cka with every state, nngs over a list, a p-value of cka. */
static csim_results *make(csim_context *ctx)
{
    static const char *const notes[] = {"none", "fewer than 10 d examples", "not unique"};
    static const double k[2] = {5, 10};
    const csim_result_variable about[] = {
        {.name = "nngs",
         .long_name = "shared neighbours",
         .orientation = "similarity",
         .range = {0, 1},
         .citation = "Someone 2024",
         .list_name = "nngs_k",
         .list = k,
         .n_list = 2},
        {.name = "cka", .long_name = "linear CKA", .orientation = "similarity", .range = {0, 1}},
        {.name = "bures",
         .long_name = "Bures distance",
         .orientation = "distance",
         .range = {0, INFINITY}},
        {.name = "cka_pvalue", .long_name = "p-value of cka", .parent = "cka"},
    };
    static const double value[6] = {0.25, 1.0 / 3, NAN, NAN, NAN, 1e-300};
    static const int8_t state[6] = {2, 2, 3, 4, 0, 2}, note[6] = {0, 1, 2, 0, 0, 0};
    csim_results *r = NULL;
    must(ctx, csim_results_create(ctx, rows, ROWS, cols, COLS, notes, 3, &r));
    for (int v = 0; v < 4; v++) { must(ctx, csim_results_add(r, &about[v])); }
    memcpy(csim_results_values(r, 1), value, sizeof value);
    memcpy(csim_results_cells(r, 1), state, sizeof state);
    memcpy(csim_results_notes(r, 1), note, sizeof note);
    for (int i = 0; i < 12; i++) {
        csim_results_values(r, 0)[i] = i / 16.0;
        csim_results_cells(r, 0)[i] = CSIM_CELL_DONE;
    }
    memset(csim_results_cells(r, 2), CSIM_CELL_PENDING, 6);
    csim_results_values(r, 3)[0] = 0.001;
    static const int64_t bytes[2] = {12, INT64_C(5000000000)}, seed = 7;
    must(ctx, csim_results_set_ints(r, -1, "input_bytes", bytes, 2));
    must(ctx, csim_results_set_ints(r, -1, "seed", &seed, 1));
    must(ctx, csim_results_set_text(r, -1, "configuration", "[sweep]\nmeasures = cka\n"));
    must(ctx, csim_results_set_reals(r, 1, "threshold", k, 1));
    must(ctx, csim_results_stamp(ctx, r, "contrasim sweep a b", 0));
    return r;
}

/* All ranks get here before rank 0 goes on. */
static void meet(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

static void check_attribute_sets_equal(const csim_results *a, const csim_results *b, int v)
{
    assert_int_equal(csim_results_attribute_count(a, v), csim_results_attribute_count(b, v));
    for (int i = 0; i < csim_results_attribute_count(a, v); i++) {
        const csim_attribute *x = csim_results_attribute(a, v, i);
        const csim_attribute *y = csim_results_attribute_find(b, v, x->name);
        if (y == NULL) { fail_msg("attribute %s is gone", x->name); }
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->count, y->count);
        if (x->kind == CSIM_ATTRIBUTE_TEXT) { assert_string_equal(x->text, y->text); }
        for (int64_t k = 0; k < x->count; k++) {
            if (x->kind == CSIM_ATTRIBUTE_INT) { assert_int_equal(x->integers[k], y->integers[k]); }
            if (x->kind == CSIM_ATTRIBUTE_REAL) { assert_true(x->reals[k] == y->reals[k]); }
        }
    }
}

static void round_trip(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx), *back = NULL;
    remove("round.nc");
    meet();
    must(ctx, csim_results_write(ctx, csim_context_rank(ctx) == 0 ? r : NULL, "round.nc", 0));
    must(ctx, csim_results_read(ctx, "round.nc", &back));
    assert_int_equal(back != NULL, csim_context_rank(ctx) == 0);
    if (back != NULL) {
        assert_int_equal(csim_results_count(back), 4);
        assert_int_equal(csim_results_rows(back), ROWS);
        assert_int_equal(csim_results_cols(back), COLS);
        for (int i = 0; i < COLS; i++) {
            assert_string_equal(csim_results_col(back, i)->model, cols[i].model);
            assert_string_equal(csim_results_col(back, i)->layer, cols[i].layer);
            assert_int_equal(csim_results_col(back, i)->neurons, cols[i].neurons);
            assert_int_equal(csim_results_col(back, i)->rank, cols[i].rank);
        }
        assert_string_equal(csim_results_row(back, 1)->layer, rows[1].layer);
        assert_int_equal(csim_results_row(back, 1)->rank, -1);
        assert_true(csim_results_row(back, 0)->median[0] == 1.0 / 3);
        assert_true(isnan(csim_results_row(back, 1)->median[0]));
        assert_true(csim_results_col(back, 1)->median[0] == 0);
        assert_true(isnan(csim_results_col(back, 1)->median[1]));
        assert_string_equal(csim_results_note_word(back, 1), "fewer_than_10_d_examples");
        check_attribute_sets_equal(r, back, -1);
        for (int v = 0; v < 4; v++) {
            const csim_result_variable *a = csim_results_variable(r, v);
            const csim_result_variable *b = csim_results_variable(back, v);
            assert_string_equal(a->name, b->name);
            assert_int_equal(a->n_list, b->n_list);
            assert_true(a->range[0] == b->range[0] && a->range[1] == b->range[1]);
            check_attribute_sets_equal(r, back, v);
            size_t cells = (size_t)a->n_list * ROWS * COLS;
            assert_memory_equal(csim_results_values(r, v), csim_results_values(back, v), 8 * cells);
            if (a->parent == NULL) {
                assert_memory_equal(csim_results_cells(r, v), csim_results_cells(back, v), cells);
                assert_memory_equal(csim_results_notes(r, v), csim_results_notes(back, v), cells);
            } else {
                assert_null(csim_results_cells(back, v));
                assert_string_equal(b->parent, "cka");
            }
        }
        assert_true(csim_results_variable(back, 0)->list[1] == 10.0);
    }
    csim_results_free(&back);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

/* The bits of a NaN are no difference, one bit of a value is. */
static void checksum_sees_values(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx);
    char a[48], b[48];
    csim_results_checksum(r, a);
    csim_results_values(r, 1)[2] = -csim_results_values(r, 1)[2];
    csim_results_checksum(r, b);
    assert_string_equal(a, b);
    csim_results_values(r, 1)[0] = nextafter(0.25, 1);
    csim_results_checksum(r, b);
    assert_string_not_equal(a, b);
    csim_results_values(r, 1)[0] = 0.25;
    csim_results_notes(r, 1)[4] = 1;
    csim_results_checksum(r, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strncmp(a, "xxh3_128:", 9), 0);
    assert_int_equal(strlen(a), 9 + 32);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

static void refuses_names(void **unused)
{
    (void)unused;
    static const double k[2] = {5, 10}, other[2] = {5, 11};
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx), *none = NULL;
    const csim_result_variable bad[] = {
        {.name = "cka"},
        {.name = "cka_status"},
        {.name = "cka_note"},
        {.name = "nngs_k"},
        {.name = "site_a"},
        {.name = "layer_b"},
        {.name = ""},
        {.name = "1st"},
        {.name = "a b"},
        {.name = "of_none", .parent = "nothing"},
        {.name = "of_pvalue", .parent = "cka_pvalue"},
        {.name = "list", .list_name = "nngs_k", .list = other, .n_list = 2},
        {.name = "empty", .list_name = "empty_k", .list = k, .n_list = 0},
        {.name = "clash", .list_name = "cka", .list = k, .n_list = 2},
    };
    const csim_result_variable good = {
        .name = "same_list", .list_name = "nngs_k", .list = k, .n_list = 2};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (csim_results_add(r, &bad[i]) != CSIM_E_ARG) { fail_msg("'%s' taken", bad[i].name); }
        csim__forgive(ctx);
    }
    assert_int_equal(csim_results_count(r), 4);
    must(ctx, csim_results_add(r, &good));
    assert_int_equal(csim_results_create(ctx, rows, 0, cols, 1, NULL, 0, &none), CSIM_E_ARG);
    csim__forgive(ctx);
    const char *empty = "";
    assert_int_equal(csim_results_create(ctx, rows, 1, cols, 1, &empty, 1, &none), CSIM_E_ARG);
    assert_null(none);
    csim__forgive(ctx);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

static void existing_is_refused(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx), *back = NULL;
    remove("exists.nc");
    meet();
    must(ctx, csim_results_write(ctx, r, "exists.nc", 0));
    csim_results_values(r, 1)[0] = 0.75;
    csim_status st = csim_results_write(ctx, r, "exists.nc", 0);
    assert_int_equal(st, CSIM_E_EXISTS);
    assert_true(harness_same(ctx, st));
    assert_non_null(strstr(csim_context_error(ctx), "exists.nc"));
    must(ctx, csim_results_read(ctx, "exists.nc", &back));
    if (back != NULL) { assert_true(csim_results_values(back, 1)[0] == 0.25); }
    csim_results_free(&back);
    must(ctx, csim_results_write(ctx, r, "exists.nc", 1));
    must(ctx, csim_results_read(ctx, "exists.nc", &back));
    if (back != NULL) { assert_true(csim_results_values(back, 1)[0] == 0.75); }
    csim_results_free(&back);
    static const char *const bad[] = {"no/such/folder.nc", "/dev/full", ".", "exists.nc/x", ""};
    for (int i = 0; i < 5; i++) {
        st = csim_results_write(ctx, r, bad[i], 1);
        if (st != CSIM_E_IO) { fail_msg("'%s': %s", bad[i], csim_status_name(st)); }
    }
    assert_int_equal(harness_count_files(".partial"), 0);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

static char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &s), 0);
    char *bytes = malloc((size_t)s.st_size + 1);
    *n = fread(bytes, 1, (size_t)s.st_size, f);
    fclose(f);
    return bytes;
}

static void write_all(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* A disk that takes only so many bytes: an error everywhere, the old file as it was, no rest. */
static void full_disk(void **unused)
{
    (void)unused;
    static const rlim_t limits[] = {0, 100, 3000, 5000, 20000, 60000};
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx);
    size_t n = 0, m = 0;
    remove("full.nc");
    meet();
    must(ctx, csim_results_write(ctx, r, "full.nc", 0));
    char *before = read_all("full.nc", &n);
    csim_results_values(r, 1)[0] = 0.75;
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit small = {limits[i], old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        csim_status st = csim_results_write(ctx, r, "full.nc", 1);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(st, CSIM_E_IO);
        assert_true(harness_same(ctx, st));
        assert_non_null(strstr(csim_context_error(ctx), "full.nc"));
        meet();
        char *after = read_all("full.nc", &m);
        assert_int_equal(n, m);
        assert_memory_equal(before, after, n);
        free(after);
        assert_int_equal(harness_count_files("full.nc.partial"), 0);
        meet();
    }
    free(before);
    must(ctx, csim_results_write(ctx, r, "full.nc", 1));
    csim_results_free(&r);
    harness_context_free(&ctx);
}

static void faults(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx), *back = NULL;
    int failed = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        if (csim_context_rank(ctx) == 0) { remove("fault.nc"); }
        meet();
        csim_context_set_faults(ctx, 2, seed);
        csim_status st = csim_results_write(ctx, r, "fault.nc", 0);
        csim_status st2 = csim_results_read(ctx, "fault.nc", &back);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        assert_true(harness_same(ctx, st2));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        if (st2 != CSIM_OK) { assert_null(back); }
        csim_results_free(&back);
        failed += st != CSIM_OK;
        meet();
        assert_int_equal(harness_count_files("fault.nc.partial"), 0);
    }
    assert_true(failed > 0 && failed < 12);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

/* Write `bytes` on rank 0 and expect the reader to refuse them. */
static void expect_format(csim_context *ctx, const char *bytes, size_t n, const char *why)
{
    csim_results *back = NULL;
    if (csim_context_rank(ctx) == 0) { write_all("damaged.nc", bytes, n); }
    meet();
    csim_status st = csim_results_read(ctx, "damaged.nc", &back);
    if (st != CSIM_E_FORMAT) { fail_msg("%s: %s", why, csim_status_name(st)); }
    assert_null(back);
    assert_true(harness_same(ctx, st));
    assert_non_null(strstr(csim_context_error(ctx), "damaged.nc"));
    meet();
}

static void damaged_files(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx), *back = NULL;
    size_t n = 0;
    if (csim_context_rank(ctx) == 0) { remove("whole.nc"); }
    meet();
    must(ctx, csim_results_write(ctx, r, "whole.nc", 0));
    meet();
    char *bytes = read_all("whole.nc", &n);
    const double third = 1.0 / 3;
    size_t at = 0;
    while (at + 8 <= n && memcmp(bytes + at, &third, 8) != 0) { at++; }
    assert_true(at + 8 <= n);
    bytes[at] ^= 1;
    expect_format(ctx, bytes, n, "one bit of a value");
    bytes[at] ^= 1;
    expect_format(ctx, bytes, 0, "empty");
    expect_format(ctx, bytes, 100, "cut in the header");
    expect_format(ctx, bytes, at + 8, "cut in the data");
    expect_format(ctx, "hello, world", 12, "a text");
    if (csim_context_rank(ctx) == 0) {
        int nc = 0;
        assert_int_equal(nc_create("other.nc", NC_NETCDF4 | NC_CLOBBER, &nc), NC_NOERR);
        assert_int_equal(nc_close(nc), NC_NOERR);
    }
    meet();
    assert_int_equal(csim_results_read(ctx, "other.nc", &back), CSIM_E_FORMAT);
    assert_int_equal(csim_results_read(ctx, "nowhere.nc", &back), CSIM_E_IO);
    if (csim_context_rank(ctx) == 0) {
        int nc = 0;
        write_all("open.nc", bytes, n);
        assert_int_equal(nc_open("open.nc", NC_WRITE, &nc),
                         NC_NOERR); /* other tools may change it */
        assert_int_equal(nc_put_att_text(nc, NC_GLOBAL, "title", 4, "mine"), NC_NOERR);
        assert_int_equal(nc_close(nc), NC_NOERR);
    }
    meet();
    must(ctx, csim_results_read(ctx, "open.nc", &back));
    if (back != NULL) {
        assert_string_equal(csim_results_attribute_find(back, -1, "title")->text, "mine");
    }
    csim_results_free(&back);
    meet();
    if (csim_context_rank(ctx) == 0) {
        int nc = 0;
        assert_int_equal(nc_open("open.nc", NC_WRITE, &nc), NC_NOERR);
        assert_int_equal(nc_del_att(nc, NC_GLOBAL, "completed"), NC_NOERR);
        assert_int_equal(nc_close(nc), NC_NOERR);
    }
    meet();
    assert_int_equal(csim_results_read(ctx, "open.nc", &back), CSIM_E_FORMAT);
    assert_non_null(strstr(csim_context_error(ctx), "completed"));
    free(bytes);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

/* ---- printing ---- */

typedef struct text {
    char bytes[65536];
    int64_t used;
} text;

static int collect(void *user, const char *bytes, int64_t n)
{
    text *t = user;
    if (t->used + n >= (int64_t)sizeof t->bytes) { return 1; }
    memcpy(t->bytes + t->used, bytes, (size_t)n);
    t->used += n;
    t->bytes[t->used] = 0;
    return 0;
}

static int refuse(void *user, const char *bytes, int64_t n)
{
    (void)user, (void)bytes, (void)n;
    return 1;
}

static const char *print(csim_context *ctx, const csim_results *r, csim_print_options o)
{
    static text t;
    t.used = 0;
    t.bytes[0] = 0;
    must(ctx, csim_results_print(ctx, r, &o, collect, &t));
    return t.bytes;
}

static void prints(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx);
    const char *name = "cka", *p = "cka_pvalue", *wrong = "ckaa";
    csim_print_options o = {.format = CSIM_PRINT_TEXT, .digits = 3, .measures = {1, &name}};
    assert_string_equal(print(ctx, r, o), "cka: linear CKA (similarity)\n"
                                          "rows: net_a, columns: several models\n"
                                          "                     1           2           3\n"
                                          "layer_0          0.250      0.333*  undefined*\n"
                                          "couché,\"1\"      failed           -       0.000\n"
                                          "columns:\n"
                                          "1 net_b/layer_00_conv\n"
                                          "2 net_b/layer_01_conv\n"
                                          "3 net_c/out\n"
                                          "-: not requested\n"
                                          "*: fewer_than_10_d_examples (1 of the values)\n"
                                          "*: not_unique (1 of the values)\n");
    o.cols = "net_x,*_c";
    assert_string_equal(print(ctx, r, o), "cka: linear CKA (similarity)\n"
                                          "rows: net_a, columns: net_c\n"
                                          "                   out\n"
                                          "layer_0     undefined*\n"
                                          "couché,\"1\"       0.000\n"
                                          "*: not_unique (1 of the values)\n");
    o.format = CSIM_PRINT_CSV;
    o.cols = NULL;
    assert_string_equal(print(ctx, r, o),
                        "measure,model_a,layer_a,model_b,layer_b,value,status,note\n"
                        "cka,net_a,layer_0,net_b,layer_00_conv,0.25,done,none\n"
                        "cka,net_a,layer_0,net_b,layer_01_conv,0.33333333333333331,done,"
                        "fewer_than_10_d_examples\n"
                        "cka,net_a,layer_0,net_c,out,,undefined,not_unique\n"
                        "cka,net_a,\"couché,\"\"1\"\"\",net_b,layer_00_conv,,failed,none\n"
                        "cka,net_a,\"couché,\"\"1\"\"\",net_c,out,1e-300,done,none\n");
    o.measures.text = &p;
    assert_non_null(strstr(print(ctx, r, o), "cka_pvalue,net_a,layer_0,net_b,layer_00_conv,"
                                             "0.001,done,\n"));
    o.measures.count = 0;
    assert_non_null(strstr(print(ctx, r, o), "\nnngs[nngs_k=10],net_a,layer_0,net_b,layer_01_conv,"
                                             "0.4375,done,none\n"));
    o.format = CSIM_PRINT_TEXT;
    assert_non_null(strstr(print(ctx, r, o), "nngs, nngs_k = 10: shared neighbours"));
    assert_null(strstr(print(ctx, r, o), "cka_pvalue"));
    o.format = CSIM_PRINT_JSON;
    assert_non_null(strstr(print(ctx, r, o), "\"status\""));
    o.measures = (csim_texts){1, &wrong};
    assert_int_equal(csim_results_print(ctx, r, &o, refuse, NULL), CSIM_E_ARG);
    assert_non_null(strstr(csim_context_error(ctx), "the closest is 'cka'"));
    csim__forgive(ctx);
    o.measures.count = 0;
    for (o.format = 0; o.format < 3; o.format++) {
        assert_int_equal(csim_results_print(ctx, r, &o, refuse, NULL), CSIM_E_IO);
        csim__forgive(ctx);
    }
    o.rows = "net_b";
    assert_int_equal(csim_results_print(ctx, r, &o, refuse, NULL), CSIM_E_ARG);
    csim__forgive(ctx);
    csim_results_free(&r);
    harness_context_free(&ctx);
}

/* Names that no table has room for: cut in the middle, and told in full below. */
static void prints_long_names(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    char name[2][241];
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 240; k += 2) { memcpy(name[i] + k, "é", 2); }
        memcpy(name[i] + 234, i ? "second" : "first.", 6);
        name[i][240] = 0;
    }
    const csim_result_site sites[] = {{"m", name[0], 5, -1, {NAN, NAN}},
                                      {"m", name[1], 5, -1, {NAN, NAN}}};
    const csim_result_site others[] = {{"m", "a_b", 5, -1, {NAN, NAN}},
                                       {"m", "layer_0_conv", 5, -1, {NAN, NAN}}};
    const char *const notes[] = {"none"};
    csim_result_variable about = {.name = "cka", .long_name = "cka"};
    csim_print_options o = {.format = CSIM_PRINT_TEXT, .digits = 1};
    for (int square = 0; square < 2; square++) {
        csim_results *r = NULL;
        char expected[4096], label[2][320];
        must(ctx, csim_results_create(ctx, sites, 2, square ? sites : others, 2, notes, 1, &r));
        must(ctx, csim_results_add(r, &about));
        for (int i = 0; i < 4; i++) {
            csim_results_values(r, 0)[i] = i;
            csim_results_cells(r, 0)[i] = CSIM_CELL_DONE;
        }
        for (int i = 0; i < 2; i++) {
            snprintf(label[i], sizeof label[i], "%.38s…%s", name[i], name[i] + 206);
        }
        snprintf(expected, sizeof expected,
                 "cka\nrows: m, columns: m\n%s"
                 "1 %s       0.0       1.0\n2 %s       2.0       3.0\n%s:\n1 %s\n2 %s\n",
                 square ? "                                                   1         2\n"
                        : "                                                      layer_0_\n"
                          "                                                 a_b      conv\n",
                 label[0], label[1], square ? "rows and columns" : "rows", name[0], name[1]);
        assert_string_equal(print(ctx, r, o), expected);
        csim_results_free(&r);
    }
    harness_context_free(&ctx);
}

static int print_to_stdout(void *user, const char *bytes, int64_t n)
{
    return fwrite(bytes, 1, (size_t)n, user) != (size_t)n;
}

/* For check_results.py: the file, and its JSON on standard output. */
static int make_file(const char *path)
{
    csim_context *ctx = harness_context();
    csim_results *r = make(ctx);
    csim_print_options o = {.format = CSIM_PRINT_JSON};
    csim_status st = csim_results_write(ctx, r, path, 0);
    if (st == CSIM_OK && csim_context_rank(ctx) == 0) {
        st = csim_results_print(ctx, r, &o, print_to_stdout, stdout);
    }
    csim_results_free(&r);
    csim_context_free(&ctx);
    MPI_Finalize();
    return st != CSIM_OK;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    if (argc == 3 && strcmp(argv[1], "make") == 0) { return make_file(argv[2]); }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),        cmocka_unit_test(checksum_sees_values),
        cmocka_unit_test(refuses_names),     cmocka_unit_test(existing_is_refused),
        cmocka_unit_test(full_disk),         cmocka_unit_test(faults),
        cmocka_unit_test(damaged_files),     cmocka_unit_test(prints),
        cmocka_unit_test(prints_long_names),
    };
    return harness_finish(cmocka_run_group_tests_name("results", tests, NULL, NULL));
}
