#include "app/app.h"

extern const csim__command csim__command_bench;
extern const csim__command csim__command_import;
extern const csim__command csim__command_info;
extern const csim__command csim__command_knn;
extern const csim__command csim__command_merge;
extern const csim__command csim__command_perf;
extern const csim__command csim__command_plan;
extern const csim__command csim__command_probe;
extern const csim__command csim__command_show;
extern const csim__command csim__command_sweep;
extern const csim__command csim__command_train;

/* One line a command: it then appears in the help, the man page and the completion. */
const csim__command *const csim__commands[] = {
    &csim__command_sweep, &csim__command_plan,   &csim__command_merge, &csim__command_train,
    &csim__command_probe, &csim__command_bench,  &csim__command_knn,   &csim__command_show,
    &csim__command_info,  &csim__command_import, &csim__command_perf,  NULL,
};

const csim_option csim__common_table[] = {
    {.name = "config",
     .letter = 'c',
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__common, config),
     .metavar = "FILE",
     .help = "run file; what stands on the command line wins over it"},
    {.name = "quiet",
     .letter = 'q',
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__common, quiet),
     .help = "log warnings only"},
    {.name = "verbose",
     .letter = 'v',
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__common, verbose),
     .help = "log more"},
    {.name = "log-json",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__common, log_json),
     .help = "log one JSON object a line"},
    {.name = "profile",
     .kind = CSIM_OPTION_FLAG,
     .offset = offsetof(csim__common, profile),
     .help = "print at the end where the time went"},
    {.name = "profile-json",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim__common, profile_json),
     .metavar = "FILE",
     .help = "write the same as JSON"},
    {.name = NULL},
};

/* More threads change the last bits of a result: this one is recorded. */
static const csim_option threads_table[] = {
    {.name = "threads",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim__common, threads),
     .fallback = "1",
     .min = 1,
     .max = 1024,
     .help = "BLAS threads of each rank; with 1 results have the same bits on any number of ranks"},
    {.name = NULL},
};

csim_status csim__command_config(csim_context *ctx, const csim__command *command, void *options,
                                 csim__common *common, csim__config **config)
{
    csim__option_group shared = {.prefix = "",
                                 .title = "Options of every command",
                                 .table = csim__common_table,
                                 .target = common,
                                 .record = 0};
    csim__option_group threads = shared;
    threads.table = threads_table;
    threads.record = 1;
    csim_status st = csim__config_create(ctx, command->name, config);
    if (st != CSIM_OK) { return st; }
    CSIM_TRY(command->groups(*config, options));
    CSIM_TRY(csim__config_add(*config, &shared));
    CSIM_TRY(csim__config_add(*config, &threads));
    return CSIM_OK;
done:
    csim__config_free(config);
    return st;
}
