/* The phase profile as a table and as JSON, and what else main() and the commands share. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "core/core.h"

/* One line of the table: as it is, or where the log is JSON as text of an event. */
static void print_line(csim__app *app, const char *format, ...) CSIM_PRINTF(2, 3);

static void print_line(csim__app *app, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (app->log.json) {
        csim__logger_sink(&app->log, CSIM_LOG_INFO, "profile", text, NULL, 0);
    } else {
        fprintf(stderr, "%s\n", text);
    }
}

static void print_table(csim__app *app, const csim_phase_report *list, int count, int64_t peak)
{
    print_line(app, "%-24s %9s %10s %10s %7s %5s %9s %11s %6s", "phase", "calls", "max s", "mean s",
               "max/min", "rank", "GF/s", "bytes", "%");
    for (int i = 0; i < count; i++) {
        const csim_phase_report *p = &list[i];
        double rate = p->max_s > 0 ? p->flops / p->max_s / 1e9 : 0; /* of all ranks together */
        print_line(app, "%-24s %9lld %10.4f %10.4f %7.2f %5d %9.2f %11.4g %6.1f", p->name,
                   (long long)p->calls, p->max_s, p->mean_s, p->ratio, p->max_rank, rate, p->bytes,
                   p->percent);
    }
    print_line(app, "peak of counted memory per rank: %.1f MiB", (double)peak / (1 << 20));
}

static json_t *finite(double value)
{
    json_t *number = json_real(value);
    return number != NULL ? number : json_null();
}

static json_t *profile_json(const csim_phase_report *list, int count, int ranks, int64_t peak)
{
    json_t *phases = json_array();
    for (int i = 0; i < count; i++) {
        const csim_phase_report *p = &list[i];
        json_array_append_new(
            phases,
            json_pack("{s:s, s:I, s:o, s:o, s:o, s:i, s:o, s:o, s:o}", "name", p->name, "calls",
                      (json_int_t)p->calls, "max_s", finite(p->max_s), "mean_s", finite(p->mean_s),
                      "ratio", finite(p->ratio), "max_rank", p->max_rank, "flops", finite(p->flops),
                      "bytes", finite(p->bytes), "percent", finite(p->percent)));
    }
    return json_pack("{s:i, s:s, s:i, s:I, s:o}", "schema", 1, "version", csim_version(), "ranks",
                     ranks, "peak_bytes", (json_int_t)peak, "phases", phases);
}

static csim_status write_json(csim__app *app, const csim_phase_report *list, int count,
                              int64_t peak)
{
    const char *path = app->common.profile_json;
    json_t *root = profile_json(list, count, csim_context_size(app->ctx), peak);
    if (root == NULL) { return csim__fail(app->ctx, CSIM_E_MEM, "%s: out of memory", path); }
    errno = 0;
    int failed = json_dump_file(root, path, JSON_INDENT(2));
    json_decref(root);
    return failed ? csim__fail(app->ctx, CSIM_E_IO, "%s: %s", path,
                               errno != 0 ? strerror(errno) : "cannot be written")
                  : CSIM_OK;
}

csim_status csim__report_profile(csim__app *app)
{
    csim_context *ctx = app->ctx;
    if (!app->common.profile && app->common.profile_json == NULL) { return CSIM_OK; }
    const csim_phase_report *list = NULL;
    int count = 0;
    csim_status st = csim_context_profile(ctx, &list, &count);
    if (st != CSIM_OK) { return st; }
    int64_t mine = csim_context_memory_peak(ctx), peak = 0;
    st =
        csim__mpi(ctx, MPI_Reduce(&mine, &peak, 1, MPI_INT64_T, MPI_MAX, 0, csim_context_comm(ctx)),
                  "MPI_Reduce");
    if (st == CSIM_OK && csim_context_rank(ctx) == 0) {
        csim__logger_clear(&app->log);
        if (app->common.profile) { print_table(app, list, count, peak); }
        if (app->common.profile_json != NULL) { st = write_json(app, list, count, peak); }
    }
    return csim__vote(ctx, st);
}

int csim__stdout_sink(void *user, const char *text, int64_t length)
{
    (void)user;
    return fwrite(text, 1, (size_t)length, stdout) != (size_t)length;
}

csim_status csim__command_line(const csim__app *app, char **text)
{
    *text = NULL;
    size_t length = sizeof "contrasim";
    for (int i = 1; i < app->argc; i++) { length += strlen(app->argv[i]) + 3; }
    csim_status st = csim__alloc(app->ctx, (int64_t)length, 1, "command line", text);
    if (st != CSIM_OK) { return st; }
    size_t used = (size_t)snprintf(*text, length, "contrasim");
    for (int i = 1; i < app->argc; i++) {
        const char *word = app->argv[i];
        const char *quote = word[0] == '\0' || strpbrk(word, " \t\n*?[") != NULL ? "'" : "";
        used += (size_t)snprintf(*text + used, length - used, " %s%s%s", quote, word, quote);
    }
    return CSIM_OK;
}
