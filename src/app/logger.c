#define _POSIX_C_SOURCE 200809L
#include "app/logger.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"

static const double LIVE_S = 0.2;  /* between two states of the live line */
static const double PLAIN_S = 600; /* the longest silence of a batch log */
enum { LOG_SCHEMA = 1 };           /* version of the JSON lines */

void csim__logger_start(csim__logger *log, int rank, int size, int json)
{
    memset(log, 0, sizeof *log);
    log->rank = rank;
    log->size = size;
    log->json = json;
    log->live = !json && rank == 0 && isatty(STDERR_FILENO);
    log->total = -1;
    log->clock = csim__now;
    log->start_s = log->clock();
}

void csim__logger_clear(csim__logger *log)
{
    if (log->shown > 0) { fprintf(stderr, "\r%*s\r", log->shown, ""); }
    log->shown = 0;
}

/* Text of bytes that may not be UTF-8, as file names may: those become '?'. */
static json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL) { return value; }
    size_t length = strlen(text);
    char *safe = malloc(length + 1);
    if (safe == NULL) { return NULL; }
    for (size_t i = 0; i <= length; i++) { safe[i] = (signed char)text[i] < 0 ? '?' : text[i]; }
    value = json_string(safe);
    free(safe);
    return value;
}

static void print_json(const csim__logger *log, const char *level, const char *event,
                       const char *text, json_t *extra)
{
    char when[32];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(when + n, sizeof when - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
    json_t *line = json_object();
    json_object_set_new(line, "schema", json_integer(LOG_SCHEMA));
    json_object_set_new(line, "time", json_string(when));
    json_object_set_new(line, "elapsed_s", json_real(log->clock() - log->start_s));
    const char *job = getenv("SLURM_JOB_ID");
    if (job != NULL) { json_object_set_new(line, "job", json_text(job)); }
    json_object_set_new(line, "rank", json_integer(log->rank));
    json_object_set_new(line, "ranks", json_integer(log->size));
    json_object_set_new(line, "level", json_string(level));
    json_object_set_new(line, "event", json_text(event));
    json_object_set_new(line, "text", json_text(text));
    if (extra != NULL) { json_object_update(line, extra); }
    char *dump = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (dump != NULL) { fprintf(stderr, "%s\n", dump); }
    free(dump);
    json_decref(line);
}

void csim__logger_sink(void *user, csim_log_level level, const char *event, const char *text,
                       const csim_log_value *values, int count)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    csim__logger *log = user;
    if (log->json) {
        json_t *extra = count > 0 ? json_object() : NULL;
        for (int i = 0; i < count; i++) {
            json_object_set_new(extra, values[i].name, json_real(values[i].value));
        }
        print_json(log, names[level], event, text, extra);
        json_decref(extra);
        return;
    }
    csim__logger_clear(log);
    int marked = level == CSIM_LOG_ERROR || level == CSIM_LOG_WARNING;
    if (log->rank > 0) {
        fprintf(stderr, "contrasim: rank %d: %s%s%s\n", log->rank, marked ? names[level] : "",
                marked ? ": " : "", text);
    } else {
        fprintf(stderr, "contrasim: %s%s%s\n", marked ? names[level] : "", marked ? ": " : "",
                text);
    }
    fflush(stderr);
}

/* "1h 05m", "3m 20s", "12s" */
static void format_duration(double seconds, char out[32])
{
    if (!(seconds < 1e9)) {
        snprintf(out, 32, "?");
        return;
    }
    int64_t s = (int64_t)ceil(seconds);
    if (s >= 3600) {
        snprintf(out, 32, "%dh %02dm", (int)(s / 3600), (int)(s / 60 % 60));
    } else if (s >= 60) {
        snprintf(out, 32, "%dm %02ds", (int)(s / 60), (int)(s % 60));
    } else {
        snprintf(out, 32, "%ds", (int)s);
    }
}

/* Is a plain line due? The steps are 1, 2, 5, 10, 20, 50 and 100 %. */
static int is_due(csim__logger *log, double fraction, double now)
{
    static const double step[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0};
    int due = fraction >= log->next || now - log->last_s >= PLAIN_S;
    if (!due) { return 0; }
    log->next = INFINITY;
    for (int i = (int)(sizeof step / sizeof step[0]) - 1; i >= 0; i--) {
        if (step[i] > fraction) { log->next = step[i]; }
    }
    return 1;
}

static void start_work(csim__logger *log, double done, double total, double now)
{
    csim__logger_clear(log);
    log->begin_s = now;
    log->last_s = now;
    log->begin = done;
    log->total = total;
    log->next = 0.01;
}

/* Short work needs no plain line: nothing is printed before this long has passed. */
static const double QUIET_S = 2;

/* Rate and time left are those of the work as a whole: phases may come in turn, many times. */
static void print_progress(csim__logger *log, const char *phase, double now)
{
    char text[160], eta[32], spent[32];
    double done = log->done, total = log->total, fraction = total > 0 ? done / total : 1;
    double seconds = now - log->begin_s, rate = seconds > 0 ? (done - log->begin) / seconds : 0;
    double left = rate > 0 ? (total - done) / rate : INFINITY;
    format_duration(left, eta);
    format_duration(seconds, spent);
    int n = snprintf(text, sizeof text, "%s %.0f %% (%.3g of %.3g G, %.3g G/s), %s %s", phase,
                     100 * fraction, done / 1e9, total / 1e9, rate / 1e9,
                     fraction < 1 ? "left" : "took", fraction < 1 ? eta : spent);
    if (log->json) {
        json_t *extra = json_pack("{s:s, s:f, s:f, s:f}", "phase", phase, "done", done, "total",
                                  total, "rate", rate);
        if (extra != NULL && isfinite(left)) {
            json_object_set_new(extra, "eta_s", json_real(left));
        }
        print_json(log, "info", "progress", text, extra);
        json_decref(extra);
    } else if (log->live) {
        fprintf(stderr, "\r%s%*s", text, log->shown > n ? log->shown - n : 0, "");
        log->shown = n;
    } else {
        fprintf(stderr, "contrasim: %s\n", text);
    }
    fflush(stderr);
    log->last_s = now;
}

void csim__logger_progress(void *user, const char *phase, double done, double total)
{
    csim__logger *log = user;
    if (log->rank != 0) { return; }
    double now = log->clock();
    done = fmin(done, total); /* the total is an estimate */
    if (done < log->done || total != log->total) { start_work(log, done, total, now); }
    log->done = done;
    double fraction = total > 0 ? done / total : 1;
    if (log->live) {
        if (fraction >= 1) {
            csim__logger_clear(log);
        } else if (now - log->last_s >= LIVE_S) {
            print_progress(log, phase, now);
        }
    } else if (now - log->begin_s >= QUIET_S && is_due(log, fraction, now)) {
        print_progress(log, phase, now);
    }
}
