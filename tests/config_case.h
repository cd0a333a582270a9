/* A configuration for tests: a command's own options, and two measures that both have an option k. */
#ifndef CSIM_TESTS_CONFIG_CASE_H
#define CSIM_TESTS_CONFIG_CASE_H

#include "harness.h"

#include "core/config.h"

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

/** The head of a row in a table whose target is an own. */
#define ROW(n, kind_, field) .name = n, .kind = kind_, .offset = offsetof(own, field), .help = n

extern const csim_option config_own_table[];

typedef struct config_case {
    csim_context *ctx;
    csim__config *config;
    own own;
    neighbours nngs, svcca;
} config_case;

/** A configuration with all options on their defaults. Collective. */
void config_start(config_case *f);
void config_finish(config_case *f);

/** Parse arguments given as one text, words separated by single blanks. */
csim_status config_parse(config_case *f, const char *line);

/** Parse the text of a run file, run.ini. Collective. */
csim_status config_parse_file(config_case *f, const char *text);

/** Fails the test, and says so, where a part is not in a text. */
void config_contains(const char *text, const char *part);

#endif
