#include "config_case.h"

#include <stdio.h>
#include <string.h>

#define NROW(n, kind_, field)                                                                      \
    .name = n, .kind = kind_, .offset = offsetof(neighbours, field), .help = n

const csim_option config_own_table[] = {
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

void config_start(config_case *f)
{
    memset(f, 0xA5, sizeof *f); /* the defaults must not rely on zeros */
    f->ctx = harness_context();
    csim__option_group groups[] = {{"", "Own", config_own_table, &f->own, 1},
                                   {"nngs", "Measure", nngs_table, &f->nngs, 1},
                                   {"svcca", "Measure", svcca_table, &f->svcca, 1}};
    assert_int_equal(csim__config_create(f->ctx, "sweep", &f->config), CSIM_OK);
    for (int g = 0; g < 3; g++) {
        assert_int_equal(csim__config_add(f->config, &groups[g]), CSIM_OK);
    }
    assert_int_equal(csim__config_positional(f->config, "file"), CSIM_OK);
    assert_int_equal(csim__config_positional(f->config, "sets"), CSIM_OK);
}

void config_finish(config_case *f)
{
    csim__config_free(&f->config);
    assert_null(f->config);
    harness_context_free(&f->ctx);
}

csim_status config_parse(config_case *f, const char *line)
{
    char words[512], *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *s = strtok(words, " "); s != NULL; s = strtok(NULL, " ")) { argv[argc++] = s; }
    csim_status st = csim__config_parse_args(f->config, argc, argv);
    memset(words, 'x', sizeof words); /* the configuration must have its own copies */
    return st;
}

csim_status config_parse_file(config_case *f, const char *text)
{
    return csim__config_parse_text(f->config, "run.ini", text, strlen(text));
}

void config_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) { fail_msg("found '%s', expected '%s' in it", text, part); }
}
