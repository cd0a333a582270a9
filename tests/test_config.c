/* Options from tables: kinds, precedence, prefixes, run files, messages, and the way back. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/text.h"

typedef struct own {
    int flag, choice;
    int64_t whole, size;
    double real;
    const char *text, *file;
    csim_texts list, sets;
} own;

typedef struct neighbours {
    int64_t k;
    double variance;
    int normalise;
} neighbours;

#define ROW(n, kind_, field) .name = n, .kind = kind_, .offset = offsetof(own, field), .help = n
#define NROW(n, kind_, field)                                                                      \
    .name = n, .kind = kind_, .offset = offsetof(neighbours, field), .help = n

static const csim_option own_table[] = {
    {ROW("flag", CSIM_OPTION_FLAG, flag), .letter = 'f'},
    {ROW("choice", CSIM_OPTION_CHOICE, choice), .choices = "red|green|blue", .fallback = "green"},
    {ROW("whole", CSIM_OPTION_INT, whole), .fallback = "7", .min = -10, .max = 1e7, .letter = 'w'},
    {ROW("size", CSIM_OPTION_SIZE, size)},
    {ROW("real", CSIM_OPTION_REAL, real), .fallback = "0.1", .min = -1, .max = 1},
    {ROW("text", CSIM_OPTION_TEXT, text), .fallback = "some text", .letter = 't'},
    {ROW("file", CSIM_OPTION_TEXT, file)},
    {ROW("list", CSIM_OPTION_TEXTS, list), .fallback = "first"},
    {ROW("sets", CSIM_OPTION_TEXTS, sets)},
    {.name = NULL},
};

static const csim_option nngs_table[] = {
    {NROW("k", CSIM_OPTION_INT, k), .fallback = "10", .min = 1, .max = 1e18},
    {NROW("normalise", CSIM_OPTION_FLAG, normalise)},
    {.name = NULL},
};

static const csim_option svcca_table[] = {
    {NROW("k", CSIM_OPTION_INT, k), .fallback = "20"},
    {NROW("variance", CSIM_OPTION_REAL, variance), .fallback = "0.99", .min = 0, .max = 1},
    {.name = NULL},
};

typedef struct fixture {
    csim_context *ctx;
    csim__config *config;
    own own;
    neighbours nngs, svcca;
} fixture;

static void start(fixture *f)
{
    memset(f, 0xA5, sizeof *f); /* the defaults must not rely on zeros */
    f->ctx = harness_context();
    csim__option_group groups[] = {{"", "Own", own_table, &f->own, 1},
                                   {"nngs", "Measure", nngs_table, &f->nngs, 1},
                                   {"svcca", "Measure", svcca_table, &f->svcca, 1}};
    assert_int_equal(csim__config_create(f->ctx, "sweep", &f->config), CSIM_OK);
    for (int g = 0; g < 3; g++) {
        assert_int_equal(csim__config_add(f->config, &groups[g]), CSIM_OK);
    }
    assert_int_equal(csim__config_positional(f->config, "file"), CSIM_OK);
    assert_int_equal(csim__config_positional(f->config, "sets"), CSIM_OK);
}

static void finish(fixture *f)
{
    csim__config_free(&f->config);
    assert_null(f->config);
    harness_context_free(&f->ctx);
}

/* Parse arguments given as one text, words separated by single blanks. */
static csim_status parse(fixture *f, const char *line)
{
    char words[512], *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *s = strtok(words, " "); s != NULL; s = strtok(NULL, " ")) { argv[argc++] = s; }
    csim_status st = csim__config_parse_args(f->config, argc, argv);
    memset(words, 'x', sizeof words); /* the configuration must have its own copies */
    return st;
}

static csim_status parse_file(fixture *f, const char *text)
{
    return csim__config_parse_text(f->config, "run.ini", text, strlen(text));
}

static void check_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) { fail_msg("found '%s', expected '%s' in it", text, part); }
}

/* Arguments that must be refused with a message that contains both parts. */
static void refuse(const char *line, const char *part, const char *part2)
{
    fixture f;
    start(&f);
    assert_int_equal(parse(&f, line), CSIM_E_USAGE);
    check_contains(csim_context_error(f.ctx), part);
    check_contains(csim_context_error(f.ctx), part2);
    finish(&f);
}

static void refuse_file(const char *text, const char *part, const char *part2)
{
    fixture f;
    start(&f);
    assert_int_equal(parse_file(&f, text), CSIM_E_USAGE);
    check_contains(csim_context_error(f.ctx), part);
    check_contains(csim_context_error(f.ctx), part2);
    finish(&f);
}

static void defaults(void **state)
{
    (void)state;
    fixture f;
    start(&f);
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
    finish(&f);
}

static void argument_forms(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_int_equal(parse(&f, "a.npz --flag --choice blue b.npz --whole=1e6 --size 1.5K --real "
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
    assert_int_equal(parse(&f, "--no-flag -w-3 --text="), CSIM_OK);
    assert_int_equal(f.own.flag, 0);
    assert_int_equal(f.own.whole, -3);
    assert_null(f.own.text);
    assert_int_equal(parse(&f, "-fw 5 --flag=no"), CSIM_OK);
    assert_int_equal(f.own.whole, 5);
    assert_int_equal(f.own.flag, 0);
    finish(&f);
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
        fixture f;
        char line[64];
        start(&f);
        snprintf(line, sizeof line, "--size %s", cases[c].text);
        assert_int_equal(parse(&f, line), CSIM_OK);
        assert_true(f.own.size == cases[c].bytes);
        finish(&f);
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
    csim__option_group group = {"", "Own", own_table, &target, 1};
    char *argv[] = {"a", "b"};
    assert_int_equal(csim__config_create(ctx, "show", &config), CSIM_OK);
    assert_int_equal(csim__config_add(config, &group), CSIM_OK);
    assert_int_equal(csim__config_positional(config, "file"), CSIM_OK);
    assert_int_equal(csim__config_parse_args(config, 2, argv), CSIM_E_USAGE);
    check_contains(csim_context_error(ctx), "unexpected argument 'b'");
    csim__config_free(&config);
    harness_context_free(&ctx);
}

static void bare_names(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_int_equal(parse(&f, "--k 5"), CSIM_OK);
    assert_int_equal(f.nngs.k, 5);
    assert_int_equal(f.svcca.k, 5);
    assert_int_equal(parse(&f, "--nngs.k 3 --k 4 --variance 0.5 --normalise"), CSIM_OK);
    assert_int_equal(f.nngs.k, 3); /* the one of a group is the stronger one */
    assert_int_equal(f.svcca.k, 4);
    assert_true(f.svcca.variance == 0.5);
    assert_int_equal(f.nngs.normalise, 1);
    assert_int_equal(parse(&f, "--nngs.no-normalise"), CSIM_OK);
    assert_int_equal(f.nngs.normalise, 0);
    finish(&f);
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
    fixture f;
    start(&f);
    assert_int_equal(parse_file(&f, run_file), CSIM_OK);
    assert_int_equal(f.own.whole, 1);
    assert_int_equal(f.own.choice, 2);
    assert_int_equal(f.own.flag, 1);
    assert_string_equal(f.own.text, " quoted ");
    assert_int_equal(f.svcca.k, 8);
    assert_int_equal(f.nngs.k, 9);
    assert_true(f.svcca.variance == 0.9);
    assert_int_equal(f.own.list.count, 3);
    assert_string_equal(f.own.list.text[2], "three");
    finish(&f);
}

/* The command line wins whichever is parsed first; a list is replaced, not joined. */
static void precedence(void **state)
{
    (void)state;
    for (int file_first = 0; file_first <= 1; file_first++) {
        fixture f;
        start(&f);
        if (file_first) { assert_int_equal(parse_file(&f, run_file), CSIM_OK); }
        assert_int_equal(parse(&f, "--whole 2 --no-flag --k 6 --list z g.npz s2 s3"), CSIM_OK);
        if (!file_first) { assert_int_equal(parse_file(&f, run_file), CSIM_OK); }
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
        finish(&f);
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
    fixture f;
    start(&f);
    assert_int_equal(csim__config_parse_text(f.config, "run.ini", "text = a\0b\n", 11),
                     CSIM_E_USAGE);
    check_contains(csim_context_error(f.ctx), "byte of value 0");
    finish(&f);
}

static void empty_run_files(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_int_equal(csim__config_parse_text(f.config, "run.ini", NULL, 0), CSIM_OK);
    assert_int_equal(parse_file(&f, "\n\n"), CSIM_OK);
    assert_int_equal(parse_file(&f, "\xEF\xBB\xBF[sweep]\nwhole = 3"), CSIM_OK);
    assert_int_equal(f.own.whole, 3);
    finish(&f);
}

static void write_and_read_back(void **state)
{
    (void)state;
    fixture f, g;
    char *text = NULL, *again = NULL;
    start(&f);
    start(&g);
    assert_int_equal(parse(&f, "--real 0.30000000000000004 --whole -9 --flag --size 3G --choice "
                               "red --text= --list a --list b=1,2 --nngs.k 77 x y z"),
                     CSIM_OK);
    csim__config_record(f.config, "svcca", 0);
    assert_int_equal(csim__config_write(f.config, &text), CSIM_OK);
    assert_string_equal(text, "[sweep]\nflag = true\nchoice = red\nwhole = -9\nsize = 3221225472\n"
                              "real = 0.30000000000000004\ntext = \nfile = x\nlist = a\n"
                              "list = b=1,2\nsets = y\nsets = z\n[nngs]\nk = 77\n"
                              "normalise = false\n");
    assert_int_equal(parse_file(&g, text), CSIM_OK);
    assert_true(g.own.real == f.own.real);
    assert_null(g.own.text);
    csim__config_record(g.config, "svcca", 0);
    assert_int_equal(csim__config_write(g.config, &again), CSIM_OK);
    assert_string_equal(again, text);
    csim__free(f.ctx, &text);
    csim__free(g.ctx, &again);
    finish(&f);
    finish(&g);
}

/* Lines longer than the buffer of the library that reads them, 200 bytes: paths, lists of measures,
 * values that go on, comments. What is written is read again, byte by byte. */
static void long_lines(void **state)
{
    (void)state;
    static const int lengths[] = {150, 180, 185, 186, 187, 188, 189,
                                  190, 191, 192, 193, 194, 300, 5000};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        fixture f, g;
        char *text = NULL, *again = NULL, path[5001], argument[5100];
        int n = lengths[k];
        start(&f);
        start(&g);
        for (int i = 0; i < n; i++) { path[i] = i % 7 == 3 ? '/' : (char)('a' + i % 23); }
        path[n] = '\0';
        memcpy(path + n - 8, "x=y:z; w", 8);
        snprintf(argument, sizeof argument, "--text=%s ", path);
        char *argv[] = {argument, "--list", path, "--list", "short", "--list", path, "f", path};
        assert_int_equal(csim__config_parse_args(f.config, 9, argv), CSIM_OK);
        assert_int_equal(csim__config_write(f.config, &text), CSIM_OK);
        assert_int_equal(parse_file(&g, text), CSIM_OK);
        assert_string_equal(g.own.text, argument + 7);
        assert_int_equal(g.own.list.count, 3);
        assert_string_equal(g.own.list.text[1], "short");
        assert_string_equal(g.own.list.text[2], path);
        assert_string_equal(g.own.sets.text[0], path);
        assert_int_equal(csim__config_write(g.config, &again), CSIM_OK);
        assert_string_equal(again, text);
        csim__free(f.ctx, &text);
        csim__free(g.ctx, &again);
        finish(&f);
        finish(&g);
    }
    fixture f;
    char word[301], file[4096];
    memset(word, 'w', 300);
    word[300] = '\0';
    snprintf(file, sizeof file,
             "; %s\n[sweep]\n# %s\nlist = %s\n  %s ; %s\n\ttail\n  # %s\nwhole = 4   ; %s\n"
             "  text : \"%s \"  ; %s\r\n",
             word, word, word, word, word, word, word, word, word);
    start(&f);
    csim_status st = parse_file(&f, file);
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(f.ctx)); }
    assert_int_equal(st, CSIM_E_USAGE); /* indented, "text : …" goes on with whole */
    check_contains(csim_context_error(f.ctx), "line 9: key 'whole'");
    assert_int_equal(f.own.list.count, 3);
    assert_string_equal(f.own.list.text[0], word);
    assert_string_equal(f.own.list.text[1], word);
    assert_string_equal(f.own.list.text[2], "tail");
    assert_int_equal(f.own.whole, 4);
    finish(&f);
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
        fixture f;
        own target;
        csim__option_group group = {"", "More", tables[t], &target, 0};
        start(&f);
        assert_int_equal(csim__config_add(f.config, &group), CSIM_E_INTERNAL);
        finish(&f);
    }
}

/* Checks that no table can make name the option and where it was set. */
static void own_failures(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    assert_int_equal(parse_file(&f, "\n[svcca]\nk = 3\n"), CSIM_OK);
    assert_int_equal(csim__config_fail(f.config, "svcca", "k", "found %d", 3), CSIM_E_USAGE);
    assert_string_equal(csim_context_error(f.ctx), "option --svcca.k (run.ini, line 3): found 3");
    finish(&f);
}

static void every_option_in_help(void **state)
{
    (void)state;
    fixture f;
    start(&f);
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
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) { check_contains(text, parts[p]); }
    free(text);
    finish(&f);
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

/* A run file is read by one rank; all must have the same values, or the same failure. */
static void load_on_all_ranks(void **state)
{
    (void)state;
    fixture f;
    start(&f);
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
    check_contains(csim_context_error(f.ctx), "no/such/file.ini");
    finish(&f);
}

static void load_with_faults(void **state)
{
    (void)state;
    int failed = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        fixture f;
        start(&f);
        csim_context_set_faults(f.ctx, 3, seed);
        csim_status st = csim__config_load(f.config, "test_config.ini");
        csim_context_set_faults(f.ctx, 0, 0);
        assert_true(harness_same(f.ctx, st));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        failed += st == CSIM_E_FAULT;
        finish(&f);
    }
    assert_true(failed > 0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(argument_forms),
        cmocka_unit_test(sizes),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(bad_positional),
        cmocka_unit_test(bare_names),
        cmocka_unit_test(run_file_values),
        cmocka_unit_test(precedence),
        cmocka_unit_test(bad_run_files),
        cmocka_unit_test(empty_run_files),
        cmocka_unit_test(write_and_read_back),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(contradicting_tables),
        cmocka_unit_test(own_failures),
        cmocka_unit_test(every_option_in_help),
        cmocka_unit_test(closest_words),
        cmocka_unit_test(load_on_all_ranks),
        cmocka_unit_test(load_with_faults),
    };
    return harness_finish(cmocka_run_group_tests_name("config", tests, NULL, NULL));
}
