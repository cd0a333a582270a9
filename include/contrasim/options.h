/** @file options.h  Typed options: one row binds a name to a field of a struct. Command line, run
 *  file, `--help`, man page and completion are all made from the same tables. */
#ifndef CONTRASIM_OPTIONS_H
#define CONTRASIM_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of option, and the type of the field each one sets. */
typedef enum csim_option_kind {
    CSIM_OPTION_FLAG,   /**< int, 0 or 1; `--name` or `--no-name`, `name = true` in a run file */
    CSIM_OPTION_INT,    /**< int64_t; accepts 1e6 when that is a whole number */
    CSIM_OPTION_REAL,   /**< double */
    CSIM_OPTION_SIZE,   /**< int64_t bytes; accepts 4G, 512M, 1.5T (powers of 1024) */
    CSIM_OPTION_TEXT,   /**< const char *, owned by the configuration; NULL when not given */
    CSIM_OPTION_CHOICE, /**< int, index of the word in `choices` */
    CSIM_OPTION_TEXTS   /**< csim_texts; may be repeated, each use adds one text */
} csim_option_kind;

/** A list of texts, owned by the configuration. */
typedef struct csim_texts {
    int count;
    const char **text;
} csim_texts;

/** One option. A table ends with a row whose name is NULL. */
typedef struct csim_option {
    const char *name; /**< long name, words joined by '-' */
    csim_option_kind kind;
    size_t offset;        /**< of the field in the struct the table belongs to */
    const char *fallback; /**< default as text; NULL = none */
    const char *choices;  /**< words joined by '|', for CSIM_OPTION_CHOICE; of a text, words that
                               completion offers */
    double min, max;      /**< allowed range of numbers, inclusive; both 0 = any */
    const char *metavar;  /**< what the help calls the value, for example "FILE"; NULL = by kind */
    const char *help;     /**< one sentence, no full stop */
    char letter;          /**< one-letter form, 0 = none */
} csim_option;

#ifdef __cplusplus
}
#endif
#endif
