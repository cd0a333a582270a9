/* Checkpoints: content, round trip, the same bytes each time. Called as
 * `test_checkpoint make FILE` it writes the file that check_checkpoint.py looks at. */
#define _POSIX_C_SOURCE 200809L
#include "checkpoint_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

/* ---- in memory ---- */

static void refuses_arguments(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = case_make(ctx, 0);
    char long_name[140];
    memset(long_name, 'x', sizeof long_name);
    long_name[129] = 0;
    const char *const names[] = {"",         "A",       "_a",    "1a",          "a b", "a/b",
                                 "checksum", long_name, "CLASS", "caf\xc3\xa9", "a\n", NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        case_refused(ctx, csim__checkpoint_set_int(c, names[i], 1), CSIM_E_ARG, "the checkpoint: ");
    }
    const struct {
        csim__field field;
        const char *part;
    } bad[] = {
        {{"weight", CSIM__INT64, 1, {"x"}, {1}, NULL, NULL}, "'weight' already"},
        {{"Weight", CSIM__INT64, 1, {"x"}, {1}, NULL, NULL}, "name of a field"},
        {{"w", CSIM__INT64, 1, {"X"}, {1}, NULL, NULL}, "name of a dimension"},
        {{"w", CSIM__INT64, 1, {NULL}, {1}, NULL, NULL}, "name of a dimension"},
        {{"w", CSIM__INT64, 0, {"x"}, {1}, NULL, NULL}, "0 dimensions"},
        {{"w", CSIM__INT64, 4, {"x"}, {1}, NULL, NULL}, "4 dimensions"},
        {{"w", (csim__field_type)3, 1, {"x"}, {1}, NULL, NULL}, "type 3"},
        {{"w", CSIM__INT64, 1, {"x"}, {-1}, NULL, NULL}, "size -1"},
        {{"w", CSIM__INT64, 2, {"x", "y"}, {1 << 20, (1 << 20) + 1}, NULL, NULL}, "2^40"},
        {{"w", CSIM__INT64, 2, {"x", "y"}, {0, INT64_MAX}, NULL, NULL}, "2^40"},
        {{"w", CSIM__INT64, 3, {"x", "y", "x"}, {2, 1, 2}, NULL, NULL}, "'x' twice"},
        {{"w", CSIM__INT64, 2, {"x", "neuron"}, {2, 6}, NULL, NULL}, "size 5 in field 'weight'"},
        {{"w", CSIM__INT64, 2, {"w", "x"}, {2, 6}, NULL, NULL}, "one of its dimensions"},
        {{"unit", CSIM__INT64, 1, {"x"}, {3}, NULL, NULL}, "name of a dimension of the other"},
        {{"w", CSIM__INT64, 1, {"loss"}, {3}, NULL, NULL}, "name of a dimension of the other"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        case_refused(ctx, csim__checkpoint_add(c, &bad[i].field), CSIM_E_ARG, bad[i].part);
    }
    case_check(c, 0);
    assert_null(csim__checkpoint_field(c, "w"));
    assert_true(csim__checkpoint_has(c, "third") && !csim__checkpoint_has(c, "weight"));
    csim__checkpoint_free(ctx, &c);
    assert_null(c);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

/* Data that are not given are zeros, and can be filled in. */
static void fields_to_fill(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = NULL;
    csim__field f = {"w", CSIM__FLOAT64, 1, {"x"}, {100}, NULL, NULL};
    const void *data = NULL;
    case_must(ctx, csim__checkpoint_create(ctx, &c));
    case_must(ctx, csim__checkpoint_add(c, &f));
    const csim__field *w = csim__checkpoint_field(c, "w");
    for (int i = 0; i < 100; i++) { assert_true(((double *)w->data)[i] == 0.0); }
    ((double *)w->data)[99] = 1.5;
    for (int i = 0; i < 50; i++) { /* the list grows */
        char name[8];
        snprintf(name, sizeof name, "w%d", i);
        f.name = name;
        case_must(ctx, csim__checkpoint_add(c, &f));
    }
    case_must(ctx, csim__checkpoint_take(c, "w", CSIM__FLOAT64, 1, (int64_t[]){100}, &data));
    assert_true(((const double *)data)[99] == 1.5);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

static void says_what_is_missing(csim_context *ctx, const csim__checkpoint *c, const char *path)
{
    const int64_t any[3] = {-1, -1, -1}, right[2] = {5, 3}, off[2] = {5, 4};
    const char *text = "untouched";
    const void *data = "";
    int64_t whole = 77;
    double real = 0;
    char want[128];
    case_must(ctx, csim__checkpoint_take(c, "weight", CSIM__FLOAT32, 2, right, &data));
    assert_ptr_equal(data, csim__checkpoint_field(c, "weight")->data);
    case_must(ctx, csim__checkpoint_take(c, "moment", CSIM__FLOAT64, 3, any, &data));
    case_must(ctx, csim__checkpoint_take(c, "empty_row", CSIM__FLOAT64, 2, any, &data));
    assert_non_null(data);
    snprintf(want, sizeof want, "%s: field 'weight' is float32 [5, 3], expected float32 [5, 4]",
             path);
    case_refused(ctx, csim__checkpoint_take(c, "weight", CSIM__FLOAT32, 2, off, &data),
                 CSIM_E_FORMAT, want);
    assert_null(data);
    case_refused(ctx, csim__checkpoint_take(c, "weight", CSIM__FLOAT64, 2, right, &data),
                 CSIM_E_FORMAT, "is float32 [5, 3], expected float64 [5, 3]");
    case_refused(ctx, csim__checkpoint_take(c, "weight", CSIM__FLOAT32, 3, any, &data),
                 CSIM_E_FORMAT, "is float32 [5, 3], expected float32 [any, any, any]");
    case_refused(ctx, csim__checkpoint_take(c, "height", CSIM__INT64, 1, any, &data), CSIM_E_FORMAT,
                 "field 'height' is missing, expected int64 [any]");
    snprintf(want, sizeof want, "%s: attribute 'x' is missing", path);
    case_refused(ctx, csim__checkpoint_text(c, "x", &text), CSIM_E_FORMAT, want);
    case_refused(ctx, csim__checkpoint_int(c, "x", &whole), CSIM_E_FORMAT, want);
    case_refused(ctx, csim__checkpoint_real(c, "generation", &real), CSIM_E_FORMAT,
                 "'generation' is a whole number, expected a real number");
    case_refused(ctx, csim__checkpoint_int(c, "third", &whole), CSIM_E_FORMAT,
                 "'third' is a real number, expected a whole number");
    case_refused(ctx, csim__checkpoint_int(c, "long", &whole), CSIM_E_FORMAT, "'long' is a text");
    assert_string_equal(text, "untouched");
    assert_int_equal(whole, 77);
}

/* ---- round trip ---- */

static void round_trip(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = NULL, *back = NULL;
    char a[CSIM__CHECKSUM], b[CSIM__CHECKSUM];
    if (csim_context_rank(ctx) == 0) { c = case_make(ctx, 3); }
    case_must(ctx, csim__checkpoint_write(ctx, c, "round.nc"));
    case_must(ctx, csim__checkpoint_read(ctx, "round.nc", &back));
    case_check(back, 3);
    says_what_is_missing(ctx, back, "round.nc");
    if (c != NULL) {
        case_must(ctx, csim__checkpoint_checksum(c, a));
        case_must(ctx, csim__checkpoint_checksum(back, b));
        assert_string_equal(a, b);
        says_what_is_missing(ctx, c, "the checkpoint");
    }
    csim__checkpoint_free(ctx, &back);
    csim__checkpoint_free(ctx, &c);
    /* Nothing in it at all. */
    case_must(ctx, csim__checkpoint_create(ctx, &c));
    case_must(ctx, csim__checkpoint_write(ctx, c, "nothing.nc"));
    case_must(ctx, csim__checkpoint_read(ctx, "nothing.nc", &back));
    assert_true(back->values == 0 && back->fields == 0);
    csim__checkpoint_free(ctx, &back);
    csim__checkpoint_free(ctx, &c);
    assert_int_equal(case_count(".partial"), 0);
    harness_context_free(&ctx);
}

static void digits(XXH128_hash_t h, char text[33])
{
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

/* Both sums against what they are documented to be of, written out by hand. */
static void sums(void **unused)
{
    (void)unused;
    static const unsigned char want[] = "\1\0\0\0\0\0\0\0" /* attributes */
                                        "seed\0"
                                        "\1\0\0\0\0\0\0\0" /* a whole number */
                                        "\0"               /* no text */
                                        "\2\1\0\0\0\0\0\0"
                                        "\1\0\0\0\0\0\0\0" /* fields */
                                        "w\0the weights\0"
                                        "\0\0\0\0\0\0\0\0" /* float32 */
                                        "\1\0\0\0\0\0\0\0" /* dimensions */
                                        "x\0"
                                        "\2\0\0\0\0\0\0\0"
                                        "\0\0\x80\x3f\0\0\0\xc0"; /* 1, -2 */
    float x[2] = {1, -2};
    csim_context *ctx = harness_context();
    csim__checkpoint *c = NULL;
    char sum[CSIM__CHECKSUM], hex[33];
    size_t n = 0;
    case_must(ctx, csim__checkpoint_create(ctx, &c));
    case_must(ctx, csim__checkpoint_set_int(c, "seed", 258));
    case_must(ctx, csim__checkpoint_add(
                       c, &(csim__field){"w", CSIM__FLOAT32, 1, {"x"}, {2}, x, "the weights"}));
    case_must(ctx, csim__checkpoint_checksum(c, sum));
    digits(XXH3_128bits(want, sizeof want - 1), hex);
    assert_string_equal(sum + 9, hex);
    sum[9] = 0;
    assert_string_equal(sum, "xxh3_128:");
    case_must(ctx, csim__checkpoint_write(ctx, c, "sums.nc"));
    case_meet();
    char *bytes = case_bytes("sums.nc", &n);
    assert_memory_equal(bytes + n - 64, "\ncontrasim-encoder-1  xxh3_128:", 31);
    digits(XXH3_128bits(bytes, n - 33), hex);
    assert_memory_equal(bytes + n - 33, hex, 32);
    assert_true(bytes[n - 1] == '\n');
    free(bytes);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

/* What one rank sends to the others, cut off anywhere. */
static void packed(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = NULL, *back = NULL;
    csim__field f = {"w", CSIM__FLOAT64, 2, {"x", "y"}, {2, 3}, NULL, "weights"};
    unsigned char *bytes = NULL;
    char a[CSIM__CHECKSUM], b[CSIM__CHECKSUM];
    int64_t n = 0;
    case_must(ctx, csim__checkpoint_create(ctx, &c));
    case_must(ctx, csim__checkpoint_set_text(c, "loss", "mscon"));
    case_must(ctx, csim__checkpoint_set_real(c, "rate", 0.1));
    case_must(ctx, csim__checkpoint_add(c, &f));
    case_must(ctx, csim__checkpoint_checksum(c, a));
    case_must(ctx, csim__checkpoint_pack(c, &bytes, &n));
    for (int64_t k = 0; k <= n; k++) {
        case_must(ctx, csim__checkpoint_create(ctx, &back));
        csim_status st = csim__checkpoint_unpack(back, bytes, k);
        assert_int_equal(st, k < n ? CSIM_E_INTERNAL : CSIM_OK);
        csim__forgive(ctx);
        if (k == n) {
            case_must(ctx, csim__checkpoint_checksum(back, b));
            assert_string_equal(a, b);
        }
        csim__checkpoint_free(ctx, &back);
    }
    csim__free(ctx, &bytes);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

/* Another time, another name, another filling of fresh memory, an object that was read: the same
 * bytes. A changed bit: others. */
static void same_bytes(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = case_make(ctx, 1), *back = NULL;
    size_t n = 0;
#if defined(__GLIBC__)
    mallopt(M_PERTURB, 0x5a);
#endif
    case_must(ctx, csim__checkpoint_write(ctx, c, "first.nc"));
    case_meet();
    char *bytes = case_bytes("first.nc", &n);
    nanosleep(&(struct timespec){1, 100000000}, NULL); /* file times count in seconds */
    if (csim_context_rank(ctx) == 0) { mkdir("deeper", 0777); }
#if defined(__GLIBC__)
    mallopt(M_PERTURB, 0xc3);
#endif
    case_must(ctx, csim__checkpoint_read(ctx, "first.nc", &back));
    case_must(ctx, csim__checkpoint_write(ctx, back, "deeper/second_with_a_longer_name.nc"));
    case_meet();
    assert_true(case_holds("deeper/second_with_a_longer_name.nc", bytes, n));
#if defined(__GLIBC__)
    mallopt(M_PERTURB, 0);
#endif
    ((unsigned char *)csim__checkpoint_field(back, "loss")->data)[17] ^= 1;
    case_must(ctx, csim__checkpoint_write(ctx, back, "third.nc"));
    case_meet();
    assert_false(case_holds("third.nc", bytes, n));
    free(bytes);
    csim__checkpoint_free(ctx, &back);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

static int make(const char *path)
{
    csim_context *ctx = harness_context();
    csim__checkpoint *c = case_make(ctx, 2);
    csim_status st = csim__checkpoint_write(ctx, c, path);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
    MPI_Finalize();
    return st == CSIM_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    if (argc == 3 && strcmp(argv[1], "make") == 0) { return make(argv[2]); }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_arguments),
        cmocka_unit_test(fields_to_fill),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(sums),
        cmocka_unit_test(packed),
        cmocka_unit_test(same_bytes),
    };
    return harness_finish(cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL));
}
