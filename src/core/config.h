/* From tables of options to values: defaults < run file < command line. Owns all texts it hands
 * out. The same tables make --help, the man page and the completion (config_help.c). */
#ifndef CSIM_CONFIG_H
#define CSIM_CONFIG_H

#include <stdio.h>

#include "contrasim/options.h"
#include "core/core.h"

typedef struct csim__config csim__config;

/** A table of options with the struct that takes its values. */
typedef struct csim__option_group {
    const char *prefix; /**< "" = the command's own; else `--prefix.name` and [prefix] name = */
    const char *title;  /**< heading in the help; the prefix is put behind it */
    const csim_option *table; /**< borrowed */
    void *target;             /**< the struct that the rows' offsets refer to; borrowed */
    int record; /**< 1: part of the effective configuration, that is, it can change a result */
} csim__option_group;

/** Make a configuration. Local.
 *  @param[in] section  section of a run file for the command's own options, "sweep"; borrowed
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__config_create(csim_context *ctx, const char *section, csim__config **config);

/** Free a configuration and every text in the structs it filled. Local. */
void csim__config_free(csim__config **config);

/** Add a group and set its struct to the defaults; without a default: 0, NULL or an empty list.
 *  Local. Options of one prefix must differ in name.
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_INTERNAL for a table that contradicts itself */
csim_status csim__config_add(csim__config *config, const csim__option_group *group);

/** Memory that lives as long as the configuration, zeroed: the target of a group whose size is
 *  known at run time only. Local. @return CSIM_OK, CSIM_E_MEM */
csim_status csim__config_target(csim__config *config, size_t size, void **target);

/** Let the command's option @p name take positional arguments: the next one (TEXT), or all that
 *  are left (TEXTS). Local. @p name is borrowed. */
csim_status csim__config_positional(csim__config *config, const char *name);

/** Set options from the arguments after the command's name. Local, pure.
 *  `--name value`, `--name=value`, `-o value`, `-ovalue`, `--flag`, `--no-flag`; a bare name sets
 *  it in every group that has it unless the command itself does; `--` ends the options.
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_MEM */
csim_status csim__config_parse_args(csim__config *config, int argc, char *const *argv);

/** Set options from the text of a run file; those set by arguments stay. Local, pure.
 *  @param[in] file  its name, for messages
 *  @param[in] text  [length] bytes, untrusted, no terminating 0 needed
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_MEM */
csim_status csim__config_parse_text(csim__config *config, const char *file, const char *text,
                                    size_t length);

/** Read a run file on rank 0 and parse it on every rank. Collective.
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_LIMIT, CSIM_E_USAGE, CSIM_E_MEM; the same on every rank */
csim_status csim__config_load(csim__config *config, const char *path);

/** Was an option given, in a run file or as an argument? Local. */
int csim__config_given(const csim__config *config, const char *prefix, const char *name);

/** Turn recording of all groups with this prefix on or off: a measure that was not asked for is
 *  not part of the effective configuration. Local. */
void csim__config_record(csim__config *config, const char *prefix, int on);

/** The effective configuration as text of a run file: every option of the recorded groups in the
 *  order of the tables. Parsing it gives the same values. Local.
 *  @param[out] text  new; free with csim__free() */
csim_status csim__config_write(const csim__config *config, char **text);

/** Print the options of the recorded groups that were given, in a run file or as arguments, as words
 *  of a shell's command line, each with a blank before it. Local.
 *  @param[in] skip  name of an option of the command's own that is left out */
void csim__config_line(const csim__config *config, const char *skip, FILE *out);

/** Print a text as one word of a shell's command line. Local. */
void csim__shell_word(const char *text, FILE *out);

/** Fail with CSIM_E_USAGE and "option '--name' (where it was set): …". Local. For checks that no
 *  table can make. */
csim_status csim__config_fail(const csim__config *config, const char *prefix, const char *name,
                              const char *format, ...) CSIM_PRINTF(4, 5);

/** Print the options under the titles of their groups, for --help. Local. */
void csim__config_print_help(const csim__config *config, FILE *out);

/** Print the options as troff (man macros). Local. */
void csim__config_print_man(const csim__config *config, FILE *out);

/** Print every spelling of every option, separated by blanks. Local. */
void csim__config_print_words(const csim__config *config, FILE *out);

/** Print the values that an option takes, where they are known, as branches of a bash `case` over
 *  "command:option" that set `values`. Local. */
void csim__config_print_values(const csim__config *config, FILE *out);

/** Print `text` as troff: backslashes, leading dots and hyphens made safe. Local. */
void csim__print_troff(FILE *out, const char *text);

#endif
