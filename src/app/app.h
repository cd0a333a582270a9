/* The program: a table of commands, what all of them share, and what main() does around them. */
#ifndef CSIM_APP_H
#define CSIM_APP_H

#include <stdio.h>

#include "app/logger.h"
#include "contrasim/context.h"
#include "contrasim/encoder.h"
#include "contrasim/measure.h"
#include "contrasim/options.h"
#include "contrasim/reps.h"
#include "core/config.h"
#include "io/lock.h"

/** Options of every command. */
typedef struct csim__common {
    const char *config;
    int quiet, verbose, log_json;
    int64_t threads;
    int profile;
    const char *profile_json;
} csim__common;

extern const csim_option csim__common_table[];

/** What a command gets. */
typedef struct csim__app {
    csim_context *ctx;
    csim__config *config;
    csim__common common;
    csim__logger log;
    int exit_code; /* for a run that ends with CSIM_OK; 0 unless the command sets another */
    int argc;      /* as main() got them, for the history of a result */
    char **argv;
} csim__app;

/** A command of the program. */
typedef struct csim__command {
    const char *name;
    const char *brief;   /**< one line for the list of commands */
    const char *usage;   /**< what stands behind the options: "SET..." */
    const char *details; /**< a paragraph for its help */
    size_t options_size; /**< bytes of its struct of options; main() makes one, zeroed */
    /** Add its groups of options and positional arguments. Local. */
    csim_status (*groups)(csim__config *config, void *options);
    /** What its help says beside the options, as names and sentences; NULL = nothing. Local. */
    void (*more)(void (*print)(FILE *out, const char *name, const char *text), FILE *out);
    /** Do it. Collective. Results go to stdout from rank 0; the same status on every rank. */
    csim_status (*run)(csim__app *app, void *options);
} csim__command;

/** All commands, in the order of the help; ends with NULL. One line a command in commands.c. */
extern const csim__command *const csim__commands[];

/** Make the configuration of a command: its groups, then the common options. Local.
 *  @param[in]  options  its struct, zeroed
 *  @param[out] config   new; csim__config_free() */
csim_status csim__command_config(csim_context *ctx, const csim__command *command, void *options,
                                 csim__common *common, csim__config **config);

/** Help of the program and of a command; the man page; the bash completion; versions. All print to
 *  @p out; called on rank 0 only. Local. */
void csim__print_usage(FILE *out);
csim_status csim__print_command_help(csim_context *ctx, const csim__command *command, FILE *out);
csim_status csim__print_man(csim_context *ctx, FILE *out);
csim_status csim__print_completion(csim_context *ctx, FILE *out);
void csim__print_versions(FILE *out);

/** Add the options of all measures to a configuration. Local.
 *  @param[out] options  [csim_measure_count()] what csim_measure.finish() gets, NULL where a measure
 *                       has none; lives as long as the configuration */
csim_status csim__measure_groups(csim__config *config, void ***options);

/** All measures and their other names, for csim__command.more. Local. */
void csim__list_measures(void (*print)(FILE *out, const char *name, const char *text), FILE *out);

/** Mark the measures of "cka,svcca" or "all", the value of `--measures`. Local.
 *  @param[in,out] chosen  [csim_measure_count()] set to 1 for each that is named
 *  @return CSIM_OK, CSIM_E_USAGE */
csim_status csim__choose_measures(const csim__config *config, const char *list, int *chosen);

/** Read the checkpoints of `--encoder`. Collective.
 *  @param[in]  memory    limit of a rank in bytes, 0 = none
 *  @param[out] encoders  [paths->count] new; csim__free_encoders(), also on error
 *  @return as csim_encoder_read(); CSIM_E_MEM also where reading takes more than the limit */
csim_status csim__read_encoders(csim_context *ctx, const csim_texts *paths, int64_t memory,
                                csim_encoder ***encoders);
void csim__free_encoders(csim_context *ctx, int count, csim_encoder ***encoders);

/** Names of variables of results as the user may write them: lists joined by commas become one
 *  name each, other names of measures the measures', "all" no name at all. Local.
 *  @param[in,out] names  the new list lives as long as the configuration
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__resolve_measures(csim__config *config, csim_texts *names);

/** Print to stdout, as a sink of csim_results_print(). Local. */
int csim__stdout_sink(void *user, const char *text, int64_t length);

/** The command line as one text, for the history of a result; words with blanks are quoted.
 *  Local. @param[out] text  new; csim__free() */
csim_status csim__command_line(const csim__app *app, char **text);

/** What a command writes, beside the profile, and what it reads, beside the run file. */
typedef struct csim__outputs {
    const char *output;        /**< NULL = none */
    const char *const *beside; /**< endings of the files that a command keeps beside it, the last
                                    NULL; NULL = none */
    int overwrite;
    const char *input;          /**< a file that is no set, NULL = none */
    const csim_texts *encoders; /**< checkpoints that are read, NULL = none */
    csim_set *const *sets;      /**< [count], NULL where not opened yet */
    int count;
} csim__outputs;

/** Say before the work what would only be found after it: an output that cannot be written, exists,
 *  is an input (a file of a set, too), or is the other output. Rank 0 asks the file system; a vote
 *  must follow. Local.
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__check_outputs(const csim__app *app, const csim__outputs *outputs);

/** Keep other jobs off the output from now on, then csim__check_outputs() and its vote: nothing
 *  between the check and the end of the work is another job's. Collective.
 *  @param[in,out] lock  zeroed; csim__lock_release(), also on error
 *  @return as csim__lock_take() and csim__check_outputs() */
csim_status csim__claim_output(const csim__app *app, const csim__outputs *outputs,
                               csim__lock *lock);

/** Open the sets that a command names, in the order of their names. Collective.
 *  @param[in,out] sets  [names->count] zeroed; csim__close_sets(), also on error
 *  @return as csim_set_open() */
csim_status csim__open_sets(csim_context *ctx, const csim_texts *names,
                            const csim_input_options *input, csim_set **sets);

/** Close them and free the list, which may be NULL. Local. */
void csim__close_sets(csim_context *ctx, int count, csim_set ***sets);

/** Print the phase profile as a table to stderr and, if asked for, as JSON. Collective. */
csim_status csim__report_profile(csim__app *app);

#endif
