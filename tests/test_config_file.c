/* Run files: values, precedence, messages, and the way back from a configuration to a file. */
#include "config_case.h"

#include <stdio.h>
#include <string.h>

static void refuse_file(const char *text, const char *part, const char *part2)
{
    config_case f;
    config_start(&f);
    assert_int_equal(config_parse_file(&f, text), CSIM_E_USAGE);
    config_contains(csim_context_error(f.ctx), part);
    config_contains(csim_context_error(f.ctx), part2);
    config_finish(&f);
}

static const char run_file[] = "; a comment\n"
                               "# another\n"
                               "whole = 1\n"
                               "[sweep]\n"
                               "choice = blue ; and why\n"
                               "flag = yes\n"
                               "text = \" quoted \"\n"
                               "k = 8\n"
                               "list = one\n"
                               "list = two\n"
                               "   three\n"
                               "file = f.npz\n"
                               "sets = s1\n"
                               "[svcca]\n"
                               "variance : 0.9\n"
                               "[nngs]\r\n"
                               "k = 9\r\n";

static void run_file_values(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    assert_int_equal(config_parse_file(&f, run_file), CSIM_OK);
    assert_int_equal(f.own.whole, 1);
    assert_int_equal(f.own.choice, 2);
    assert_int_equal(f.own.flag, 1);
    assert_string_equal(f.own.text, " quoted ");
    assert_int_equal(f.svcca.k, 8);
    assert_int_equal(f.nngs.k, 9);
    assert_true(f.svcca.variance == 0.9);
    assert_int_equal(f.own.list.count, 3);
    assert_string_equal(f.own.list.text[2], "three");
    config_finish(&f);
}

/* The command line wins whichever is parsed first; a list is replaced, not joined. */
static void precedence(void **state)
{
    (void)state;
    for (int file_first = 0; file_first <= 1; file_first++) {
        config_case f;
        config_start(&f);
        if (file_first) { assert_int_equal(config_parse_file(&f, run_file), CSIM_OK); }
        assert_int_equal(config_parse(&f, "--whole 2 --no-flag --k 6 --list z g.npz s2 s3"),
                         CSIM_OK);
        if (!file_first) { assert_int_equal(config_parse_file(&f, run_file), CSIM_OK); }
        assert_int_equal(f.own.whole, 2);
        assert_int_equal(f.own.flag, 0);
        assert_int_equal(f.nngs.k, 6);
        assert_int_equal(f.svcca.k, 6);
        assert_int_equal(f.own.choice, 2);
        assert_int_equal(f.own.list.count, 1);
        assert_string_equal(f.own.list.text[0], "z");
        assert_string_equal(f.own.file, "g.npz");
        assert_int_equal(f.own.sets.count, 2);
        assert_string_equal(f.own.sets.text[1], "s3");
        config_finish(&f);
    }
}

static void bad_run_files(void **state)
{
    (void)state;
    char text[512];
    refuse_file("[sweep]\n\nwhloe = 3\n", "run.ini, line 3", "'whole'");
    refuse_file("[sweep]\nwhole = x\n", "run.ini, line 2", "found 'x'");
    refuse_file("[svcca]\nvariance = 2\n", "--svcca.variance (run.ini, line 2)", "from 0 to 1");
    refuse_file("[svcca]\nnormalise = 1\n", "run.ini, line 2", "[svcca]");
    refuse_file("[svca]\nk = 1\n", "unknown section [svca]", "'svcca'");
    refuse_file("[swep]\nwhole = 1\n", "unknown section [swep]", "'sweep'");
    refuse_file("whole = 1\nwhole = 2\n", "run.ini, line 2", "on line 1 already");
    refuse_file("[sweep]\nwhole\n", "run.ini, line 2", "key = value");
    refuse_file("[sweep\n", "run.ini, line 1", "key = value");
    refuse_file("svcca.variance = 1\n", "svcca.variance", "unknown key");
    refuse_file("no-flag = true\n", "no-flag", "unknown key");
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    refuse_file(text, "run.ini, line 1", "key = value");
    text[400] = '=';
    refuse_file(text, "run.ini, line 1", "key = value");
    memcpy(text, "\n\nwhloe = ", 10);
    refuse_file(text, "run.ini, line 3", "'whole'");
    memcpy(text, "\n\nwhole = ", 10);
    refuse_file(text, "run.ini, line 3", "found 'aaa");
    config_case f;
    config_start(&f);
    assert_int_equal(csim__config_parse_text(f.config, "run.ini", "text = a\0b\n", 11),
                     CSIM_E_USAGE);
    config_contains(csim_context_error(f.ctx), "byte of value 0");
    config_finish(&f);
}

static void empty_run_files(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    assert_int_equal(csim__config_parse_text(f.config, "run.ini", NULL, 0), CSIM_OK);
    assert_int_equal(config_parse_file(&f, "\n\n"), CSIM_OK);
    assert_int_equal(config_parse_file(&f, "\xEF\xBB\xBF[sweep]\nwhole = 3"), CSIM_OK);
    assert_int_equal(f.own.whole, 3);
    config_finish(&f);
}

static void write_and_read_back(void **state)
{
    (void)state;
    config_case f, g;
    char *text = NULL, *again = NULL;
    config_start(&f);
    config_start(&g);
    assert_int_equal(config_parse(&f,
                                  "--real 0.30000000000000004 --whole -9 --flag --size 3G --choice "
                                  "red --text= --list a --list b=1,2 --nngs.k 77 x y z"),
                     CSIM_OK);
    csim__config_record(f.config, "svcca", 0);
    assert_int_equal(csim__config_write(f.config, &text), CSIM_OK);
    assert_string_equal(text, "[sweep]\nflag = true\nchoice = red\nwhole = -9\nsize = 3221225472\n"
                              "real = 0.30000000000000004\ntext = \nfile = x\nlist = a\n"
                              "list = b=1,2\nsets = y\nsets = z\n[nngs]\nk = 77\n"
                              "normalise = false\n");
    assert_int_equal(config_parse_file(&g, text), CSIM_OK);
    assert_true(g.own.real == f.own.real);
    assert_null(g.own.text);
    csim__config_record(g.config, "svcca", 0);
    assert_int_equal(csim__config_write(g.config, &again), CSIM_OK);
    assert_string_equal(again, text);
    csim__free(f.ctx, &text);
    csim__free(g.ctx, &again);
    config_finish(&f);
    config_finish(&g);
}

/* Lines longer than the buffer of the library that reads them, 200 bytes: paths, lists of measures,
 * values that go on, comments. What is written is read again, byte by byte. */
static void long_lines(void **state)
{
    (void)state;
    static const int lengths[] = {150, 180, 185, 186, 187, 188, 189,
                                  190, 191, 192, 193, 194, 300, 5000};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        config_case f, g;
        char *text = NULL, *again = NULL, path[5001], argument[5100];
        int n = lengths[k];
        config_start(&f);
        config_start(&g);
        for (int i = 0; i < n; i++) { path[i] = i % 7 == 3 ? '/' : (char)('a' + i % 23); }
        path[n] = '\0';
        memcpy(path + n - 8, "x=y:z; w", 8);
        snprintf(argument, sizeof argument, "--text=%s ", path);
        char *argv[] = {argument, "--list", path, "--list", "short", "--list", path, "f", path};
        assert_int_equal(csim__config_parse_args(f.config, 9, argv), CSIM_OK);
        assert_int_equal(csim__config_write(f.config, &text), CSIM_OK);
        assert_int_equal(config_parse_file(&g, text), CSIM_OK);
        assert_string_equal(g.own.text, argument + 7);
        assert_int_equal(g.own.list.count, 3);
        assert_string_equal(g.own.list.text[1], "short");
        assert_string_equal(g.own.list.text[2], path);
        assert_string_equal(g.own.sets.text[0], path);
        assert_int_equal(csim__config_write(g.config, &again), CSIM_OK);
        assert_string_equal(again, text);
        csim__free(f.ctx, &text);
        csim__free(g.ctx, &again);
        config_finish(&f);
        config_finish(&g);
    }
    config_case f;
    char word[301], file[4096];
    memset(word, 'w', 300);
    word[300] = '\0';
    snprintf(file, sizeof file,
             "; %s\n[sweep]\n# %s\nlist = %s\n  %s ; %s\n\ttail\n  # %s\nwhole = 4   ; %s\n"
             "  text : \"%s \"  ; %s\r\n",
             word, word, word, word, word, word, word, word, word);
    config_start(&f);
    csim_status st = config_parse_file(&f, file);
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(f.ctx)); }
    assert_int_equal(st, CSIM_E_USAGE); /* indented, "text : …" goes on with whole */
    config_contains(csim_context_error(f.ctx), "line 9: key 'whole'");
    assert_int_equal(f.own.list.count, 3);
    assert_string_equal(f.own.list.text[0], word);
    assert_string_equal(f.own.list.text[1], word);
    assert_string_equal(f.own.list.text[2], "tail");
    assert_int_equal(f.own.whole, 4);
    config_finish(&f);
}

/* A run file is read by one rank; all must have the same values, or the same failure. */
static void load_on_all_ranks(void **state)
{
    (void)state;
    config_case f;
    config_start(&f);
    if (csim_context_rank(f.ctx) == 0) {
        FILE *file = fopen("test_config.ini", "wb");
        assert_non_null(file);
        assert_true(fputs(run_file, file) >= 0);
        assert_int_equal(fclose(file), 0);
    }
    assert_int_equal(csim__config_load(f.config, "test_config.ini"), CSIM_OK);
    assert_int_equal(f.own.whole, 1);
    assert_int_equal(f.own.list.count, 3);
    assert_int_equal(csim__config_load(f.config, "no/such/file.ini"), CSIM_E_IO);
    config_contains(csim_context_error(f.ctx), "no/such/file.ini");
    config_finish(&f);
}

static void load_with_faults(void **state)
{
    (void)state;
    int failed = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        config_case f;
        config_start(&f);
        csim_context_set_faults(f.ctx, 3, seed);
        csim_status st = csim__config_load(f.config, "test_config.ini");
        csim_context_set_faults(f.ctx, 0, 0);
        assert_true(harness_same(f.ctx, st));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        failed += st == CSIM_E_FAULT;
        config_finish(&f);
    }
    assert_true(failed > 0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_file_values),     cmocka_unit_test(precedence),
        cmocka_unit_test(bad_run_files),       cmocka_unit_test(empty_run_files),
        cmocka_unit_test(write_and_read_back), cmocka_unit_test(long_lines),
        cmocka_unit_test(load_on_all_ranks),   cmocka_unit_test(load_with_faults),
    };
    return harness_finish(cmocka_run_group_tests_name("config_file", tests, NULL, NULL));
}
