/* Reading sets: files that NumPy wrote against NumPy's own values, refusals with their messages,
 * hostile files, example ids, dropped rows, files that change, faults at every vote. */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include "io/set.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contrasim/reps.h"

enum { LINE = 4096, WORDS = 8 };

static int on_root(csim_context *ctx)
{
    return csim_context_rank(ctx) == 0;
}

static void wait_for_all(csim_context *ctx)
{
    MPI_Barrier(csim_context_comm(ctx));
}

/* A collective call must end alike everywhere, with a message when it fails. */
static csim_status agreed(csim_context *ctx, csim_status st)
{
    if (!harness_same(ctx, st)) { fail_msg("ranks disagree: %s here", csim_status_name(st)); }
    if (st != CSIM_OK && csim_context_error(ctx)[0] == '\0') { fail_msg("no message"); }
    return st;
}

static void must(csim_context *ctx, csim_status st)
{
    if (st != CSIM_OK) { fail_msg("%s: %s", csim_status_name(st), csim_context_error(ctx)); }
}

/* ---- conversion ---- */

/* The value of a 16-bit float of `fraction` bits of mantissa, from its definition. */
static double from_bits(unsigned bits, int exponent_bits, int fraction_bits)
{
    unsigned top = (1u << exponent_bits) - 1, e = bits >> fraction_bits & top;
    unsigned m = bits & ((1u << fraction_bits) - 1);
    int bias = (1 << (exponent_bits - 1)) - 1;
    double sign = bits >> 15 != 0 ? -1.0 : 1.0;
    if (e == top) { return m != 0 ? NAN : sign * INFINITY; }
    if (e == 0) { return sign * ldexp(m, 1 - bias - fraction_bits); }
    return sign * ldexp(m + (double)(1u << fraction_bits), (int)e - bias - fraction_bits);
}

static void check_all_halves(csim_dtype dtype, int exponent_bits, int fraction_bits, int swapped)
{
    static unsigned char in[2 * 65536];
    static double out[65536];
    for (unsigned i = 0; i < 65536; ++i) {
        in[2 * i + (swapped != 0)] = (unsigned char)(i & 255);
        in[2 * i + (swapped == 0)] = (unsigned char)(i >> 8);
    }
    csim__convert(dtype, swapped, in, 65536, out);
    for (unsigned i = 0; i < 65536; ++i) {
        double want = from_bits(i, exponent_bits, fraction_bits);
        if (isnan(want) ? !isnan(out[i]) : memcmp(&want, &out[i], sizeof want) != 0) {
            fail_msg("%s 0x%04x: found %g, expected %g", csim_dtype_name(dtype), i, out[i], want);
        }
    }
}

static void conversion(void **state)
{
    (void)state;
    for (int swapped = 0; swapped < 2; ++swapped) {
        check_all_halves(CSIM_F16, 5, 10, swapped);
        check_all_halves(CSIM_BF16, 8, 7, swapped);
    }
    static const unsigned char f4[8] = {0, 0, 0x80, 0x3e, 1, 0, 0, 0}; /* 0.25, least subnormal */
    static const unsigned char f8[8] = {0xbf, 0xe0, 0, 0, 0, 0, 0, 1}; /* −0.5 − one unit */
    double out[2];
    csim__convert(CSIM_F32, 0, f4, 2, out);
    assert_true(out[0] == 0.25 && out[1] == 0x1p-149);
    csim__convert(CSIM_F64, 1, f8, 1, out);
    assert_true(out[0] == -0.5 - 0x1p-53);
}

static void natural_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"a1",       "a01",      "a2", "a10",  "b",  "layer_2",
                                         "layer_2b", "layer_10", "x9", "x09y", "x10"};
    int n = sizeof sorted / sizeof sorted[0];
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) {
            /* a1 and a01 are the same number: there the bytes decide */
            const char *x = sorted[i], *y = sorted[j];
            int order = csim__natural_order(x, y);
            if (i < 2 && j < 2) {
                assert_int_equal(order == 0, i == j);
            } else {
                assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            }
        }
    }
}

/* ---- files that NumPy wrote ---- */

/* Options from words like "pool=mean axis=nld". The texts stay in `line`. */
static csim_input_options parse_options(char *line, const char **layers)
{
    static const char *const pools[] = {"none", "mean", "max", "flatten", "first", "last"};
    csim_input_options o = {.neuron_axis = -1, .layers = {0, layers}};
    char *rest = NULL;
    for (char *w = strtok_r(line, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(w, '=');
        if (value == NULL) { continue; }
        *value++ = '\0';
        if (strcmp(w, "pool") == 0) {
            for (int i = 0; i < 6; ++i) { o.pool = strcmp(value, pools[i]) == 0 ? i : o.pool; }
        } else if (strcmp(w, "axis") == 0) {
            o.axis = strcmp(value, "nld") == 0 ? CSIM_AXIS_NLD : CSIM_AXIS_LND;
        } else if (strcmp(w, "neuron") == 0) {
            o.neuron_axis = atoi(value);
        } else if (strcmp(w, "concat") == 0) {
            o.concat_rows = 1;
        } else if (strcmp(w, "examples") == 0) {
            o.examples = value;
        } else if (strcmp(w, "layers") == 0) {
            layers[o.layers.count++] = value;
        } else {
            fail_msg("unknown option %s", w);
        }
    }
    return o;
}

static double *read_expected(const char *path, int64_t count)
{
    FILE *file = fopen(path, "rb");
    double *x = malloc((size_t)count * sizeof *x + 1);
    assert_non_null(file);
    assert_non_null(x);
    assert_int_equal(fread(x, sizeof *x, (size_t)count, file), count);
    fclose(file);
    return x;
}

/* This rank reads its own share of a site, in pieces of an odd length. */
static void check_site(csim_context *ctx, csim_set *set, int i, char *const *word)
{
    const csim_site_info *info = csim_set_site(set, i);
    int64_t n = atoll(word[2]), d = atoll(word[3]), size = csim_context_size(ctx);
    int64_t first = n * csim_context_rank(ctx) / size,
            last = n * (csim_context_rank(ctx) + 1) / size;
    assert_non_null(info);
    assert_string_equal(info->name, word[1]);
    assert_int_equal(info->n, n);
    assert_int_equal(info->d, d);
    double *want = read_expected(word[4], n * d), *x = malloc((size_t)(257 * d) * sizeof *x);
    assert_non_null(x);
    for (int64_t row = first; row < last; row += 257) {
        int64_t rows = last - row < 257 ? last - row : 257;
        must(ctx, csim_set_read(set, i, row, rows, x));
        for (int64_t k = 0; k < rows * d; ++k) {
            double y = want[row * d + k];
            if (isnan(y) ? !isnan(x[k]) : x[k] != y) {
                fail_msg("%s, %s, row %" PRId64 ", neuron %" PRId64 ": found %.17g, expected %.17g",
                         info->file, info->name, row + k / d, k % d, x[k], y);
            }
        }
    }
    free(x);
    free(want);
}

static void check_refusal(csim_context *ctx, char *const *word)
{
    const char *layers[WORDS];
    csim_input_options options = parse_options(word[2], layers);
    csim_set *set = NULL;
    csim_status st = agreed(ctx, csim_set_open(ctx, word[1], &options, &set));
    assert_null(set);
    if (strcmp(csim_status_name(st), word[3]) != 0 ||
        strstr(csim_context_error(ctx), word[4]) == NULL) {
        fail_msg("%s: found %s '%s', expected %s with '%s'", word[1], csim_status_name(st),
                 csim_context_error(ctx), word[3], word[4]);
    }
}

/* Let NumPy write the files; 0 if there is no NumPy. Collective. */
static int make_files(csim_context *ctx)
{
    const char *python = getenv("CONTRASIM_PYTHON"), *source = getenv("CONTRASIM_SOURCE");
    const char *data = getenv("CONTRASIM_DATA");
    int made = 0;
    if (on_root(ctx) && python != NULL && source != NULL) {
        char command[LINE];
        snprintf(command, sizeof command, "'%s' -c 'import numpy' 2>/dev/null", python);
        if (system(command) == 0) {
            snprintf(command, sizeof command,
                     "rm -rf files && '%s' '%s/tests/io_files.py' files '%s'", python, source,
                     data != NULL ? data : "");
            made = system(command) == 0 ? 1 : -1;
        }
    }
    MPI_Bcast(&made, 1, MPI_INT, 0, csim_context_comm(ctx));
    if (made < 0) { fail_msg("io_files.py failed"); }
    return made;
}

static void numpy_files(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim_set *set = NULL;
    int site = 0, cases = 0, refusals = 0;
    static char line[LINE];
    if (!make_files(ctx)) {
        harness_context_free(&ctx);
        skip();
    }
    FILE *manifest = fopen("files/manifest", "r");
    assert_non_null(manifest);
    while (fgets(line, sizeof line, manifest) != NULL) {
        char *word[WORDS] = {NULL}, *rest = NULL;
        const char *layers[WORDS];
        int n = 0;
        for (char *w = strtok_r(line, "\t\n", &rest); w != NULL && n < WORDS;
             w = strtok_r(NULL, "\t\n", &rest)) {
            word[n++] = w;
        }
        if (strcmp(word[0], "site") == 0) {
            check_site(ctx, set, site++, word);
            continue;
        }
        if (set != NULL) { assert_int_equal(site, csim_set_site_count(set)); }
        csim_set_free(&set);
        if (strcmp(word[0], "case") == 0) {
            csim_input_options options = parse_options(word[2], layers);
            must(ctx, agreed(ctx, csim_set_open(ctx, word[1], &options, &set)));
            site = 0;
            cases += 1;
        } else {
            check_refusal(ctx, word);
            refusals += 1;
        }
    }
    fclose(manifest);
    csim_set_free(&set);
    assert_true(cases > 80 && refusals > 60);
    harness_context_free(&ctx);
}

/* ---- hostile files: the corpora of the fuzz targets ---- */

static void hostile_files(void **state)
{
    (void)state;
    static const char *const kinds[] = {"npy", "npz", "safetensors"};
    const char *source = getenv("CONTRASIM_SOURCE");
    csim_context *ctx = harness_context();
    int seen = 0, refused = 0;
    for (int k = 0; source != NULL && k < 3; ++k) {
        char folder[LINE], path[2 * LINE], copy[64];
        snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source, kinds[k]);
        snprintf(copy, sizeof copy, "hostile.%s", kinds[k]);
        struct dirent **entry = NULL;
        int n = scandir(folder, &entry, NULL, alphasort);
        assert_true(n > 2);
        for (int i = 0; i < n; ++i) {
            csim_input_options options = {.pool = CSIM_POOL_MAX, .neuron_axis = -1};
            csim_set *set = NULL;
            snprintf(path, sizeof path, "cp '%s/%s' %s", folder, entry[i]->d_name, copy);
            int file = entry[i]->d_name[0] != '.';
            free(entry[i]);
            if (!file) { continue; }
            wait_for_all(ctx);
            if (on_root(ctx)) { assert_int_equal(system(path), 0); }
            wait_for_all(ctx);
            csim_status st = agreed(ctx, csim_set_open(ctx, copy, &options, &set));
            refused += st != CSIM_OK;
            seen += 1;
            csim_set_free(&set);
        }
        free(entry);
    }
    assert_true(source == NULL || (seen > 80 && refused > 50 && refused < seen));
    harness_context_free(&ctx);
}

/* ---- sets made by hand ---- */

/* A safetensors file of n ids (none when first < 0) and one site n×2 with x[i][j] = 10·i + j. */
static void write_set(csim_context *ctx, const char *path, int n, int64_t first, int odd_row)
{
    wait_for_all(ctx);
    if (on_root(ctx)) {
        char header[512];
        int ids = first >= 0 ? 8 * n : 0, used;
        used = snprintf(header, sizeof header,
                        "{\"layer\":{\"dtype\":\"F64\",\"shape\":[%d,2],"
                        "\"data_offsets\":[0,%d]}",
                        n, 16 * n);
        if (ids > 0) {
            used += snprintf(header + used, sizeof header - (size_t)used,
                             ",\"example_id\":{\"dtype\":\"I64\",\"shape\":[%d],"
                             "\"data_offsets\":[%d,%d]}",
                             n, 16 * n, 24 * n);
        }
        used += snprintf(header + used, sizeof header - (size_t)used, "}");
        FILE *file = fopen(path, "wb");
        uint64_t length = (uint64_t)used;
        assert_non_null(file);
        fwrite(&length, 8, 1, file);
        fwrite(header, 1, (size_t)used, file);
        for (int i = 0; i < n; ++i) {
            double x[2] = {10.0 * i, 10.0 * i + 1};
            fwrite(x, 8, 2, file);
        }
        for (int i = 0; i < n && ids > 0; ++i) {
            int64_t id = first + 3 * i + (i == odd_row);
            fwrite(&id, 8, 1, file);
        }
        assert_int_equal(fclose(file), 0);
    }
    wait_for_all(ctx);
}

static csim_set *open_set(csim_context *ctx, const char *spec, const char *examples)
{
    csim_input_options options = {.neuron_axis = -1, .examples = examples};
    csim_set *set = NULL;
    must(ctx, agreed(ctx, csim_set_open(ctx, spec, &options, &set)));
    return set;
}

static void expect_match(csim_context *ctx, csim_set *a, csim_set *b, csim_status want,
                         const char *text)
{
    csim_set *both[2] = {a, b};
    csim_status st = agreed(ctx, csim_sets_match(ctx, both, 2));
    if (st != want || (want != CSIM_OK && strstr(csim_context_error(ctx), text) == NULL)) {
        fail_msg("found %s '%s', expected %s with '%s'", csim_status_name(st),
                 csim_context_error(ctx), csim_status_name(want), text);
    }
}

/* Rows are named by the file and the place in it that hold them. */
static void located(csim_context *ctx)
{
    static const int64_t drop[] = {1, 5};
    csim_input_options options = {.neuron_axis = -1, .examples = "40:", .concat_rows = 1};
    csim_set *joined = NULL;
    int64_t row = -1;
    wait_for_all(ctx);
    if (on_root(ctx)) { assert_int_equal(system("rm -rf joined && mkdir joined"), 0); }
    write_set(ctx, "joined/0.safetensors", 43, 100, -1);
    write_set(ctx, "joined/1.safetensors", 7, 100 + 3 * 43, -1);
    must(ctx, agreed(ctx, csim_set_open(ctx, "joined", &options, &joined)));
    csim_set *odd = open_set(ctx, "odd.safetensors", "40:");
    expect_match(ctx, joined, odd, CSIM_OK, "");
    assert_string_equal(csim_set_locate(joined, 0, 2, &row), "joined/0.safetensors");
    assert_int_equal(row, 42);
    assert_string_equal(csim_set_locate(joined, 0, 3, &row), "joined/1.safetensors");
    assert_int_equal(row, 0);
    must(ctx, csim_set_drop_rows(joined, drop, 2));
    assert_string_equal(csim_set_locate(joined, 0, 3, &row), "joined/1.safetensors");
    assert_int_equal(row, 1);
    assert_null(csim_set_locate(joined, 0, 8, &row));
    assert_null(csim_set_locate(joined, 1, 0, &row));
    assert_null(csim_set_locate(joined, 0, -1, &row));
    csim_set_free(&joined);
    write_set(ctx, "joined/1.safetensors", 7, 100 + 3 * 43, 4);
    must(ctx, agreed(ctx, csim_set_open(ctx, "joined", &options, &joined)));
    expect_match(ctx, joined, odd, CSIM_E_DATA,
                 "in set joined (joined/1.safetensors, row 4) but 241 in set odd "
                 "(odd.safetensors, row 47)");
    csim_set_free(&joined);
    csim_set_free(&odd);
}

static void matching(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    write_set(ctx, "one.safetensors", 50, 100, -1);
    write_set(ctx, "two.safetensors", 50, 100, -1);
    write_set(ctx, "odd.safetensors", 50, 100, 37);
    write_set(ctx, "bare.safetensors", 50, -1, -1);
    csim_set *one = open_set(ctx, "one.safetensors", NULL);
    csim_set *two = open_set(ctx, "b=two.safetensors", NULL);
    csim_set *odd = open_set(ctx, "odd.safetensors", NULL);
    csim_set *bare = open_set(ctx, "bare.safetensors", NULL);
    csim_set *same = open_set(ctx, "one=two.safetensors", NULL);
    csim_set *part = open_set(ctx, "part=one.safetensors", "1:");
    assert_string_equal(csim_set_name(one), "one");
    assert_string_equal(csim_set_name(two), "b");
    assert_string_equal(csim_set_format(one), "safetensors");
    expect_match(ctx, one, two, CSIM_OK, "");
    expect_match(ctx, one, bare, CSIM_OK, "");
    expect_match(ctx, one, odd, CSIM_E_DATA,
                 "example_id is 211 in set one (one.safetensors, row 37) but 212 in set odd "
                 "(odd.safetensors, row 37)");
    expect_match(ctx, one, same, CSIM_E_ARG, "two sets are called one");
    expect_match(ctx, two, part, CSIM_E_SHAPE, "set b has 50 examples");
    int64_t ids[3], drop[2] = {0, 30};
    int has = 0;
    must(ctx, csim_set_example_ids(part, 4, 3, ids, &has));
    assert_true(has && ids[0] == 115 && ids[1] == 118 && ids[2] == 121);
    must(ctx, csim_set_example_ids(bare, 0, 3, ids, &has));
    assert_int_equal(has, 0);
    must(ctx, csim_set_drop_rows(two, drop, 1)); /* what --examples 1: leaves out */
    expect_match(ctx, two, part, CSIM_OK, "");
    must(ctx, csim_set_drop_rows(one, drop, 2));
    must(ctx, csim_set_drop_rows(odd, drop, 2));
    expect_match(ctx, one, odd, CSIM_E_DATA, "row 37)"); /* of the file */
    located(ctx);
    csim_set *all[] = {one, two, odd, bare, same, part};
    for (int i = 0; i < 6; ++i) { csim_set_free(&all[i]); }
    harness_context_free(&ctx);
}

static void dropped_rows(void **state)
{
    (void)state;
    static const int64_t first[] = {0, 3, 4, 9}, second[] = {0, 5};
    csim_context *ctx = harness_context();
    write_set(ctx, "drop.safetensors", 20, 7, -1);
    csim_set *set = open_set(ctx, "drop.safetensors", "4:15");
    double x[2 * 20];
    /* rows 4…14; dropping 0, 3, 4, 9 leaves 5 6 9 10 11 12 14; dropping 0, 5 of those leaves these */
    static const int want[] = {6, 9, 10, 11, 14};
    must(ctx, csim_set_drop_rows(set, first, 4));
    assert_int_equal(csim_set_examples(set), 7);
    must(ctx, csim_set_drop_rows(set, second, 2));
    assert_int_equal(csim_set_examples(set), 5);
    assert_int_equal(csim_set_site(set, 0)->n, 5);
    for (int row = 0; row < 5; ++row) {
        for (int rows = 1; row + rows <= 5; ++rows) {
            must(ctx, csim_set_read(set, 0, row, rows, x));
            for (int i = 0; i < rows; ++i) { assert_true(x[2 * i + 1] == 10 * want[row + i] + 1); }
        }
    }
    int64_t ids[5];
    int has;
    must(ctx, csim_set_example_ids(set, 0, 5, ids, &has));
    for (int i = 0; i < 5; ++i) { assert_int_equal(ids[i], 7 + 3 * want[i]); }
    static const int64_t twice[] = {1, 1}, beyond[] = {5};
    assert_int_equal(csim_set_drop_rows(set, twice, 2), CSIM_E_ARG);
    assert_int_equal(csim_set_drop_rows(set, beyond, 1), CSIM_E_ARG);
    assert_int_equal(csim_set_read(set, 0, 4, 2, x), CSIM_E_ARG);
    assert_int_equal(csim_set_read(set, 1, 0, 1, x), CSIM_E_ARG);
    assert_int_equal(csim_set_examples(set), 5);
    csim_set_free(&set);
    harness_context_free(&ctx);
}

/* A file that gets shorter, other or away after the headers were read. */
static void changing_files(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    double x[2];
    write_set(ctx, "change.safetensors", 50, -1, -1);
    csim_set *held = open_set(ctx, "change.safetensors", NULL);
    csim_set *later = open_set(ctx, "change.safetensors", NULL);
    must(ctx, csim_set_read(held, 0, 49, 1, x));
    wait_for_all(ctx);
    if (on_root(ctx)) { assert_int_equal(truncate("change.safetensors", 200), 0); }
    wait_for_all(ctx);
    assert_int_equal(csim_set_read(held, 0, 49, 1, x), CSIM_E_IO);
    assert_non_null(strstr(csim_context_error(ctx), "ends at byte 200"));
    csim__forgive(ctx);
    assert_int_equal(csim_set_read(later, 0, 0, 1, x), CSIM_E_IO);
    assert_non_null(strstr(csim_context_error(ctx), "has 200 bytes on rank"));
    csim__forgive(ctx);
    wait_for_all(ctx);
    if (on_root(ctx)) { assert_int_equal(unlink("change.safetensors"), 0); }
    wait_for_all(ctx);
    assert_int_equal(csim_set_read(later, 0, 0, 1, x), CSIM_E_IO);
    assert_non_null(strstr(csim_context_error(ctx), "cannot be opened"));
    csim__forgive(ctx);
    csim_set_free(&held);
    csim_set_free(&later);
    harness_context_free(&ctx);
}

/* One vote in three fails somewhere: the same status everywhere, nothing left behind. */
static void faults(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int failed = 0, passed = 0;
    write_set(ctx, "fault.safetensors", 50, 100, -1);
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        csim_input_options options = {.neuron_axis = -1};
        csim_set *set[2] = {NULL, NULL};
        csim_context_set_faults(ctx, 3 + (uint32_t)seed % 9, seed);
        csim_status st = agreed(ctx, csim_set_open(ctx, "a=fault.safetensors", &options, &set[0]));
        assert_int_equal(st == CSIM_OK, set[0] != NULL);
        if (st == CSIM_OK) {
            st = agreed(ctx, csim_set_open(ctx, "b=fault.safetensors", &options, &set[1]));
        }
        if (st == CSIM_OK) { st = agreed(ctx, csim_sets_match(ctx, set, 2)); }
        failed += st == CSIM_E_FAULT;
        passed += st == CSIM_OK;
        csim_set_free(&set[0]);
        csim_set_free(&set[1]);
        assert_int_equal(csim_context_memory_live(ctx), 0);
    }
    assert_true(failed > 0 && failed + passed == 40);
    csim_context_set_faults(ctx, 0, 0);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversion),     cmocka_unit_test(natural_order),
        cmocka_unit_test(numpy_files),    cmocka_unit_test(hostile_files),
        cmocka_unit_test(matching),       cmocka_unit_test(dropped_rows),
        cmocka_unit_test(changing_files), cmocka_unit_test(faults),
    };
    MPI_Init(&argc, &argv);
    return harness_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
