/* What config.c, config_value.c, config_parse.c and config_help.c share. */
#ifndef CSIM_CONFIG_PRIVATE_H
#define CSIM_CONFIG_PRIVATE_H

#include "core/config.h"

/* Where a value came from: a later level wins; within one, the later value. An option set for one
 * group is stronger than one set for all groups that have it. */
enum {
    CSIM__LEVEL_DEFAULT,
    CSIM__LEVEL_FILE_BARE,
    CSIM__LEVEL_FILE,
    CSIM__LEVEL_ARGS_BARE,
    CSIM__LEVEL_ARGS
};

enum { CSIM__NAME_MAX = 96, CSIM__EXPECTED_MAX = 512 };

/* Whence a value comes, for messages: file = NULL means the command line. */
typedef struct csim__origin {
    const char *file;
    int line;
} csim__origin;

/* State of one option. */
typedef struct csim__config_entry {
    int level;
    csim__origin origin; /* meaningful from CSIM__LEVEL_FILE_BARE on */
    const char **list;   /* of a TEXTS option: its array, with room for `capacity` texts */
    int capacity;
} csim__config_entry;

typedef struct csim__config_group {
    csim__option_group g;
    int rows;
    csim__config_entry *entry; /* [rows] */
} csim__config_group;

struct csim__config {
    csim_context *ctx;
    const char *section;
    csim__config_group *group;
    int groups;
    void **block; /* every text and target handed out */
    int blocks, blocks_capacity;
    const char **positional;
    int positionals, positionals_taken;
};

/* A number as it is written into its field. */
typedef union csim__value {
    int flag;      /* FLAG, CHOICE */
    int64_t whole; /* INT, SIZE */
    double real;
} csim__value;

/* Read a value; 1 if the text is one this option takes. Not for TEXT and TEXTS. Pure. */
int csim__value_parse(const csim_option *option, const char *text, csim__value *value);

/* Is a text one that a run file can hold again? Pure. */
int csim__value_is_text(const char *text);

/* Say what an option takes: "a number from 0 to 1". Pure. */
void csim__value_expected(const csim_option *option, char out[CSIM__EXPECTED_MAX]);

/* Print the value in the struct the way csim__value_parse() reads it. Not for TEXTS. */
void csim__value_print(const csim_option *option, const void *target, FILE *out);

/* Word @p index of "a|b|c": its start, and its length (0 = there is none). Pure. */
const char *csim__choice_word(const char *choices, int index, size_t *length);

/* Store a text of the configuration's own. */
csim_status csim__config_keep(csim__config *config, const char *text, const char **kept);

/* Set option @p row of group @p group from text. */
csim_status csim__config_set(csim__config *config, int group, int row, int level,
                             csim__origin origin, const char *text);

/* "--svcca.variance" of an option as it is given on the command line. */
void csim__config_spell(const csim__config *config, int group, int row, char out[CSIM__NAME_MAX]);

#endif
