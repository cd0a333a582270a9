/* Options from tables: kinds, arguments and their prefixes, messages, help. */
#include "config_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

/* Arguments that must be refused with a message that contains both parts. */
static void refuse(const char *line, const char *part, const char *part2)
{
    config_case f;
    config_start(&f);
    assert_int_equal(config_parse(&f, line), CSIM_E_USAGE);
    config_contains(csim_context_error(f.ctx), part);
    config_contains(csim_context_error(f.ctx), part2);
    config_finish(&f);
}

static void defaults(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    assert_int_equal(f.own.flag, 0);
    assert_int_equal(f.own.choice, 1);
    assert_int_equal(f.own.whole, 7);
    assert_int_equal(f.own.size, 0);
    assert_true(f.own.real == 0.1);
    assert_string_equal(f.own.text, "some text");
    assert_null(f.own.file);
    assert_int_equal(f.own.list.count, 1);
    assert_string_equal(f.own.list.text[0], "first");
    assert_int_equal(f.own.sets.count, 0);
    assert_int_equal(f.nngs.k, 10);
    assert_int_equal(f.svcca.k, 20);
    assert_int_equal(csim__config_given(f.config, "", "whole"), 0);
    config_finish(&f);
}

static void argument_forms(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    assert_int_equal(config_parse(&f,
                                  "a.npz --flag --choice blue b.npz --whole=1e6 --size 1.5K --real "
                                  "-0.5 -t words --list x --list=y -- --c.npz -d"),
                     CSIM_OK);
    assert_int_equal(f.own.flag, 1);
    assert_int_equal(f.own.choice, 2);
    assert_int_equal(f.own.whole, 1000000);
    assert_int_equal(f.own.size, 1536);
    assert_true(f.own.real == -0.5);
    assert_string_equal(f.own.text, "words");
    assert_string_equal(f.own.file, "a.npz");
    assert_int_equal(f.own.list.count, 2);
    assert_string_equal(f.own.list.text[0], "x");
    assert_string_equal(f.own.list.text[1], "y");
    assert_int_equal(f.own.sets.count, 3);
    assert_string_equal(f.own.sets.text[0], "b.npz");
    assert_string_equal(f.own.sets.text[1], "--c.npz");
    assert_string_equal(f.own.sets.text[2], "-d");
    assert_int_equal(csim__config_given(f.config, "", "whole"), 1);
    assert_int_equal(config_parse(&f, "--no-flag -w-3 --text="), CSIM_OK);
    assert_int_equal(f.own.flag, 0);
    assert_int_equal(f.own.whole, -3);
    assert_null(f.own.text);
    assert_int_equal(config_parse(&f, "-fw 5 --flag=no"), CSIM_OK);
    assert_int_equal(f.own.whole, 5);
    assert_int_equal(f.own.flag, 0);
    config_finish(&f);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"0", 0},
                 {"17", 17},
                 {"4K", 4096},
                 {"512M", INT64_C(536870912)},
                 {"4G", INT64_C(4294967296)},
                 {"4GiB", INT64_C(4294967296)},
                 {"4GB", INT64_C(4294967296)},
                 {"1.5T", INT64_C(1649267441664)},
                 {"1P", INT64_C(1125899906842624)}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        config_case f;
        char line[64];
        config_start(&f);
        snprintf(line, sizeof line, "--size %s", cases[c].text);
        assert_int_equal(config_parse(&f, line), CSIM_OK);
        assert_true(f.own.size == cases[c].bytes);
        config_finish(&f);
    }
}

static void bad_values(void **state)
{
    (void)state;
    static const struct {
        const char *line, *expected;
    } cases[] = {
        {"--whole 1.5", "whole number from -10 to 1e+07"},
        {"--whole 10000001", "whole number from -10 to 1e+07"},
        {"--whole -11", "whole number"},
        {"--whole abc", "found 'abc'"},
        {"--whole 12x", "found '12x'"},
        {"--whole 0x10", "found '0x10'"},
        {"--whole=", "found ''"},
        {"--whole 99999999999999999999", "whole number"},
        {"--nngs.k 0", "at least 1"},
        {"--svcca.k 99999999999999999999", "a whole number"},
        {"--svcca.k 1e300", "a whole number"},
        {"--real 1.0001", "a number from -1 to 1"},
        {"--real nan", "a number"},
        {"--real inf", "a number"},
        {"--real 0x1p-1", "a number"},
        {"--real 0.5.5", "a number"},
        {"--size 4X", "512M or 4G"},
        {"--size -4G", "512M or 4G"},
        {"--size 4GG", "512M or 4G"},
        {"--size 1e30", "512M or 4G"},
        {"--size G", "512M or 4G"},
        {"--choice gree", "one of red, green, blue"},
        {"--choice red|green", "one of red, green, blue"},
        {"--choice=", "one of red, green, blue"},
        {"--flag=maybe", "true or false"},
        {"--text=a\tb", "control characters"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        refuse(cases[c].line, cases[c].expected, "command line");
    }
}

static void bad_arguments(void **state)
{
    (void)state;
    refuse("--whloe 3", "--whloe", "'--whole'");
    refuse("--svca.variance 1", "--svca.variance", "'--svcca.variance'");
    refuse("--no-flagg", "--no-flagg", "'--no-flag'");
    refuse("--no-whole", "--no-whole", "unknown");
    refuse("--no-flag=true", "--no-flag", "takes no value");
    refuse("--svcca.flag", "--svcca.flag", "unknown");
    refuse("--.k 3", "--.k", "unknown");
    refuse("--whole", "--whole", "needs a value");
    refuse("--whole --flag", "--whole", "needs a value");
    refuse("-w", "-w", "needs a value");
    refuse("-x", "-x", "unknown");
    refuse("-fx", "-x", "-fx");
}

static void bad_positional(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__config *config = NULL;
    own target;
    csim__option_group group = {"", "Own", config_own_table, &target, 1};
    char *argv[] = {"a", "b"};
    assert_int_equal(csim__config_create(ctx, "show", &config), CSIM_OK);
    assert_int_equal(csim__config_add(config, &group), CSIM_OK);
    assert_int_equal(csim__config_positional(config, "file"), CSIM_OK);
    assert_int_equal(csim__config_parse_args(config, 2, argv), CSIM_E_USAGE);
    config_contains(csim_context_error(ctx), "unexpected argument 'b'");
    csim__config_free(&config);
    harness_context_free(&ctx);
}

static void bare_names(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    assert_int_equal(config_parse(&f, "--k 5"), CSIM_OK);
    assert_int_equal(f.nngs.k, 5);
    assert_int_equal(f.svcca.k, 5);
    assert_int_equal(config_parse(&f, "--nngs.k 3 --k 4 --variance 0.5 --normalise"), CSIM_OK);
    assert_int_equal(f.nngs.k, 3); /* the one of a group is the stronger one */
    assert_int_equal(f.svcca.k, 4);
    assert_true(f.svcca.variance == 0.5);
    assert_int_equal(f.nngs.normalise, 1);
    assert_int_equal(config_parse(&f, "--nngs.no-normalise"), CSIM_OK);
    assert_int_equal(f.nngs.normalise, 0);
    config_finish(&f);
}

static void contradicting_tables(void **state)
{
    (void)state;
    static const csim_option twice[] = {{ROW("whole", CSIM_OPTION_INT, whole)}, {.name = NULL}};
    static const csim_option wrong[] = {{ROW("other", CSIM_OPTION_INT, whole), .fallback = "x"},
                                        {.name = NULL}};
    static const csim_option letter[] = {{ROW("letter", CSIM_OPTION_INT, whole), .letter = 'f'},
                                         {.name = NULL}};
    const csim_option *const tables[] = {twice, wrong, letter};
    for (int t = 0; t < 3; t++) {
        config_case f;
        own target;
        csim__option_group group = {"", "More", tables[t], &target, 0};
        config_start(&f);
        assert_int_equal(csim__config_add(f.config, &group), CSIM_E_INTERNAL);
        config_finish(&f);
    }
}

/* Checks that no table can make name the option and where it was set. */
static void own_failures(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    assert_int_equal(config_parse_file(&f, "\n[svcca]\nk = 3\n"), CSIM_OK);
    assert_int_equal(csim__config_fail(f.config, "svcca", "k", "found %d", 3), CSIM_E_USAGE);
    assert_string_equal(csim_context_error(f.ctx), "option --svcca.k (run.ini, line 3): found 3");
    config_finish(&f);
}

static void every_option_in_help(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    FILE *out = tmpfile();
    assert_non_null(out);
    csim__config_print_help(f.config, out);
    csim__config_print_man(f.config, out);
    csim__config_print_words(f.config, out);
    long length = ftell(out);
    char *text = calloc((size_t)length + 1, 1);
    assert_non_null(text);
    rewind(out);
    assert_int_equal(fread(text, 1, (size_t)length, out), length);
    fclose(out);
    static const char *const parts[] = {"-f, --[no-]flag",
                                        "--choice WORD",
                                        "one of red, green, blue [green]",
                                        "--whole N",
                                        "from -10 to 1e+07",
                                        "--svcca.variance X",
                                        "--nngs.[no-]normalise",
                                        "Measure svcca",
                                        "--nngs.no-normalise",
                                        "\\fB\\-\\-svcca.variance\\fR \\fIX\\fR",
                                        "may be repeated"};
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) { config_contains(text, parts[p]); }
    free(text);
    config_finish(&f);
}

static void closest_words(void **state)
{
    (void)state;
    assert_int_equal(csim__digits_apart(13, 13, 1), 1);
    assert_int_equal(csim__digits_apart(13.2, 13, 1), 1);
    assert_int_equal(csim__digits_apart(13.04, 12.96, 1), 2);
    assert_int_equal(csim__digits_apart(13.0000004, 13, 1), 7);
    assert_int_equal(csim__edit_distance("", ""), 0);
    assert_int_equal(csim__edit_distance("", "abc"), 3);
    assert_int_equal(csim__edit_distance("kitten", "sitting"), 3);
    assert_int_equal(csim__edit_distance("ca", "ac"), 1);
    assert_int_equal(csim__edit_distance("abcd", "acbd"), 1);
    assert_int_equal(csim__edit_distance("flaw", "lawn"), 2);
    csim__closest search = csim__closest_start("meassures");
    csim__closest_try(&search, "memory");
    assert_null(search.best);
    csim__closest_try(&search, "measures");
    csim__closest_try(&search, "measurez");
    assert_string_equal(search.best, "measures");
    search = csim__closest_start("conv4"); /* a part of a name */
    csim__closest_try(&search, "layer_03_conv4");
    csim__closest_try(&search, "layer_13_conv4x");
    assert_string_equal(search.best, "layer_03_conv4");
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),      cmocka_unit_test(argument_forms),
        cmocka_unit_test(sizes),         cmocka_unit_test(bad_values),
        cmocka_unit_test(bad_arguments), cmocka_unit_test(bad_positional),
        cmocka_unit_test(bare_names),    cmocka_unit_test(contradicting_tables),
        cmocka_unit_test(own_failures),  cmocka_unit_test(every_option_in_help),
        cmocka_unit_test(closest_words),
    };
    return harness_finish(cmocka_run_group_tests_name("config", tests, NULL, NULL));
}
