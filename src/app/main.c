/* The program: MPI, a context, one command, the exit code. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/machine.h"
#include "core/text.h"
#include "linalg/dense.h"

static const csim__command *find_command(const char *name)
{
    for (int i = 0; csim__commands[i] != NULL; i++) {
        if (strcmp(csim__commands[i]->name, name) == 0) { return csim__commands[i]; }
    }
    return NULL;
}

static csim_status fail_command(csim_context *ctx, const char *name)
{
    csim__closest search = csim__closest_start(name);
    for (int i = 0; csim__commands[i] != NULL; i++) {
        csim__closest_try(&search, csim__commands[i]->name);
    }
    if (search.best == NULL) {
        return csim__fail(ctx, CSIM_E_USAGE, "unknown command '%.80s'", name);
    }
    return csim__fail(ctx, CSIM_E_USAGE, "unknown command '%.80s'; the closest is '%s'", name,
                      search.best);
}

/* --help, --version and the like: rank 0 prints. Local. */
static csim_status run_request(csim_context *ctx, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    FILE *out = csim_context_rank(ctx) == 0 ? stdout : NULL;
    if (argc < 2) {
        if (out != NULL) { csim__print_usage(stderr); }
        return csim__fail(ctx, CSIM_E_USAGE, "a command is missing");
    }
    if (strcmp(word, "--completion") == 0) {
        const char *shell = argc > 2 ? argv[2] : "";
        if (strcmp(shell, "bash") != 0) {
            return csim__fail(ctx, CSIM_E_USAGE, "--completion: found '%.80s', expected bash",
                              shell);
        }
        return out != NULL ? csim__print_completion(ctx, out) : CSIM_OK;
    }
    if (strcmp(word, "--man") == 0) { return out != NULL ? csim__print_man(ctx, out) : CSIM_OK; }
    if (strcmp(word, "--version") == 0) {
        if (out != NULL) { csim__print_versions(out); }
        return CSIM_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        const csim__command *command = argc > 2 ? find_command(argv[2]) : NULL;
        if (argc > 2 && command == NULL) { return fail_command(ctx, argv[2]); }
        if (out == NULL) { return CSIM_OK; }
        if (command != NULL) { return csim__print_command_help(ctx, command, out); }
        csim__print_usage(out);
        return CSIM_OK;
    }
    return fail_command(ctx, word);
}

static int wants_help(int argc, char **argv)
{
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) { return 1; }
    }
    return 0;
}

/* Options in, log and threads set. Collective. */
static csim_status prepare(csim__app *app)
{
    csim_context *ctx = app->ctx;
    csim_status st = csim__config_parse_args(app->config, app->argc - 2, app->argv + 2);
    CSIM_TRY(csim__vote(ctx, st));
    if (app->common.config != NULL) {
        const char *path = app->common.config; /* a run file cannot name another one */
        CSIM_TRY(csim__config_load(app->config, path));
    }
    app->log.json = app->common.log_json;
    app->log.live = app->log.live && !app->log.json && !app->common.quiet;
    csim_context_set_log(ctx,
                         app->common.quiet     ? CSIM_LOG_WARNING
                         : app->common.verbose ? CSIM_LOG_DEBUG
                                               : CSIM_LOG_INFO,
                         csim__logger_sink, &app->log);
    int threads = (int)app->common.threads;
    if (!csim__set_blas_threads(threads) && threads > 1) {
        csim__log(ctx, CSIM_LOG_WARNING, "--threads: this BLAS cannot be told its threads");
    }
    CSIM_TRY(csim__check_machine(ctx, threads));
    csim__outputs none = {.output = NULL};
    CSIM_TRY(csim__vote(ctx, csim__check_outputs(app, &none)));
done:
    return st;
}

/* Run one command. Collective. */
static csim_status run_command(csim__app *app, const csim__command *command)
{
    csim_context *ctx = app->ctx;
    void *options = NULL;
    csim_status st = csim__calloc(ctx, 1, command->options_size, "options", &options);
    if (st == CSIM_OK) {
        st = csim__command_config(ctx, command, options, &app->common, &app->config);
    }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(prepare(app));
    CSIM_TRY(command->run(app, options));
    CSIM_TRY(csim__report_profile(app));
done:
    csim__config_free(&app->config);
    csim__free(ctx, &options);
    return st;
}

/* A full disk behind stdout must not go unnoticed. Collective. */
static csim_status flush_stdout(csim_context *ctx)
{
    csim_status st = CSIM_OK;
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        st = csim__fail(ctx, CSIM_E_IO, "standard output: %s",
                        errno != 0 ? strerror(errno) : "cannot be written");
    }
    return csim__vote(ctx, st);
}

static void print_error(const csim__app *app, csim_status st, const csim__command *command)
{
    csim_context *ctx = app->ctx;
    if (csim_context_rank(ctx) != 0) { return; }
    char text[2048];
    const char *error = csim_context_error(ctx);
    const char *hint = st == CSIM_E_USAGE ? "; see contrasim " : "";
    snprintf(text, sizeof text, "%s%s%s%s%s", error[0] != '\0' ? error : csim_status_text(st), hint,
             hint[0] != '\0' && command != NULL ? command->name : "",
             hint[0] != '\0' && command != NULL ? " " : "", hint[0] != '\0' ? "--help" : "");
    bool stopped = st == CSIM_E_STOPPED; /* as it was asked to */
    csim__logger_sink((void *)&app->log, stopped ? CSIM_LOG_WARNING : CSIM_LOG_ERROR,
                      stopped ? "stopped" : "error", text, NULL, 0);
}

/* CONTRASIM_FAULT=N or N:SEED lets one vote in N fail, to test what happens then. */
static void set_faults(csim_context *ctx)
{
    const char *text = getenv("CONTRASIM_FAULT");
    if (text == NULL) { return; }
    char *end;
    unsigned long every = strtoul(text, &end, 10);
    uint64_t seed = *end == ':' ? strtoull(end + 1, NULL, 10) : 1;
    if (every <= UINT32_MAX) { csim_context_set_faults(ctx, (uint32_t)every, seed); }
}

/* Where faults are injected, say also what the failure left behind. */
static void report_leaks(csim_context *ctx)
{
    int64_t live = csim_context_memory_live(ctx);
    if (getenv("CONTRASIM_FAULT") != NULL && live != 0) {
        fprintf(stderr, "contrasim: leak: rank %d keeps %lld bytes\n", csim_context_rank(ctx),
                (long long)live);
    }
}

/* OpenBLAS chooses its kernels while it is loaded. Where it does not know the processor, and nobody has
 * chosen, the program starts anew with the choice in its environment. */
static void choose_kernels(char **argv)
{
    const char *core = getenv("OPENBLAS_CORETYPE") == NULL ? csim__blas_better_core() : NULL;
    char path[PATH_MAX];
    ssize_t length = core != NULL ? readlink("/proc/self/exe", path, sizeof path - 1) : -1;
    if (length < 0 || setenv("OPENBLAS_CORETYPE", core, 0) != 0) { return; }
    path[length] = '\0';
    execv(path, argv); /* otherwise it goes on as it is */
}

int main(int argc, char **argv)
{
    int provided;
    choose_kernels(argv);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of the write, not a death */
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    csim__app app = {.argc = argc, .argv = argv};
    csim_status st = csim_context_create(MPI_COMM_WORLD, &app.ctx);
    if (st != CSIM_OK) {
        fprintf(stderr, "contrasim: error: %s\n", csim_status_text(st));
        MPI_Finalize();
        return csim_status_exit_code(st);
    }
    set_faults(app.ctx);
    csim__logger_start(&app.log, csim_context_rank(app.ctx), csim_context_size(app.ctx), 0);
    const csim__command *command = argc > 1 ? find_command(argv[1]) : NULL;
    if (command == NULL) {
        st = csim__vote(app.ctx, run_request(app.ctx, argc, argv));
    } else if (wants_help(argc, argv)) {
        if (csim_context_rank(app.ctx) == 0) {
            st = csim__print_command_help(app.ctx, command, stdout);
        }
        st = csim__vote(app.ctx, st);
    } else {
        st = run_command(&app, command);
    }
    if (st == CSIM_OK) { st = flush_stdout(app.ctx); }
    csim__logger_clear(&app.log);
    if (st != CSIM_OK) { print_error(&app, st, command); }
    int exit_code = st == CSIM_OK ? app.exit_code : csim_status_exit_code(st);
    report_leaks(app.ctx);
    csim_context_free(&app.ctx);
    MPI_Finalize();
    return exit_code;
}
