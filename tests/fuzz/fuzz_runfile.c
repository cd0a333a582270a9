/* Run files and arguments from anywhere: no crash, and what was read is written so that reading
 * it again gives the same. A first byte of 1 means: arguments, one a line. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"

typedef struct values {
    int flag, choice;
    int64_t whole, size;
    double real;
    const char *text;
    csim_texts list;
} values;

#define ROW(n, kind_, field) .name = n, .kind = kind_, .offset = offsetof(values, field), .help = n

static const csim_option table[] = {
    {ROW("flag", CSIM_OPTION_FLAG, flag), .letter = 'f'},
    {ROW("choice", CSIM_OPTION_CHOICE, choice), .choices = "red|green|blue"},
    {ROW("whole", CSIM_OPTION_INT, whole), .letter = 'w'},
    {ROW("size", CSIM_OPTION_SIZE, size)},
    {ROW("real", CSIM_OPTION_REAL, real), .min = -1, .max = 1e9},
    {ROW("text", CSIM_OPTION_TEXT, text), .fallback = "some text", .letter = 't'},
    {ROW("list", CSIM_OPTION_TEXTS, list), .fallback = "first"},
    {.name = NULL},
};

static const csim_option measure_table[] = {
    {ROW("whole", CSIM_OPTION_INT, whole), .fallback = "3", .min = 1, .max = 1e18},
    {ROW("variance", CSIM_OPTION_REAL, real), .fallback = "0.99"},
    {ROW("names", CSIM_OPTION_TEXTS, list)},
    {.name = NULL},
};

static csim_context *ctx;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    /* Open MPI would catch the signals by which libFuzzer learns of a crash. */
    setenv("OMPI_MCA_opal_signal", "", 1);
    MPI_Init(argc, argv);
    if (csim_context_create(MPI_COMM_SELF, &ctx) != CSIM_OK) { abort(); }
    return 0;
}

static csim__config *make(values *own, values *measure)
{
    csim__config *config = NULL;
    csim__option_group groups[] = {{"", "Own", table, own, 1},
                                   {"svcca", "Measure", measure_table, measure, 1}};
    if (csim__config_create(ctx, "sweep", &config) != CSIM_OK) { abort(); }
    for (int g = 0; g < 2; g++) {
        if (csim__config_add(config, &groups[g]) != CSIM_OK) { abort(); }
    }
    if (csim__config_positional(config, "list") != CSIM_OK) { abort(); }
    return config;
}

static csim_status parse_lines(csim__config *config, const uint8_t *data, size_t size)
{
    char *argv[64], *copy = malloc(size + 1);
    int argc = 0;
    if (copy == NULL) { abort(); }
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (char *s = strtok(copy, "\n"); s != NULL && argc < 64; s = strtok(NULL, "\n")) {
        argv[argc++] = s;
    }
    csim_status st = csim__config_parse_args(config, argc, argv);
    free(copy);
    return st;
}

/* Read what was written, and write it again. A line can get too long by its quotes. */
static void check_again(const char *text)
{
    values own, measure = {0};
    csim__config *config = make(&own, &measure);
    char *again = NULL;
    csim_status st = csim__config_parse_text(config, "again.ini", text, strlen(text));
    if (st == CSIM_OK) {
        if (csim__config_write(config, &again) != CSIM_OK) { abort(); }
        if (strcmp(again, text) != 0) { abort(); }
    } else if (strstr(csim_context_error(ctx), "at most") == NULL) {
        abort();
    }
    csim__free(ctx, &again);
    csim__config_free(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    values own, measure = {0};
    csim__config *config = make(&own, &measure);
    char *text = NULL;
    int arguments = size > 0 && data[0] == 1;
    csim_status st = arguments
                         ? parse_lines(config, data + 1, size - 1)
                         : csim__config_parse_text(config, "run.ini", (const char *)data, size);
    if (st == CSIM_OK) {
        if (csim__config_write(config, &text) != CSIM_OK) { abort(); }
        if (!arguments) { check_again(text); } /* an argument may hold " ;", a run file cannot */
    } else if (st != CSIM_E_USAGE || csim_context_error(ctx)[0] == '\0') {
        abort();
    }
    csim__free(ctx, &text);
    csim__config_free(&config);
    csim__forgive(ctx);
    if (csim_context_memory_live(ctx) != 0) { abort(); }
    return 0;
}
