/* Times of all runs as JSON Lines, the format of Extra-P (docs/file-formats.md there). */
#include <stdlib.h>
#include <string.h>

#include "app/perf/perf_scaling.h"
#include "io/file.h"

int csim__perf_phase_names(const csim__perf_scaling *s, const char **name)
{
    int count = 0;
    for (int i = 0; i < s->points; i++) {
        const csim__perf_run *run = &s->point[i].run[0]; /* all rounds have the same phases */
        for (int k = 0; k < run->phases; k++) {
            int at = 0;
            while (at < count && strcmp(name[at], run->phase[k].name) != 0) { at++; }
            if (at == count && count < CSIM__PERF_PHASES) { name[count++] = run->phase[k].name; }
        }
    }
    return count;
}

const csim__perf_phase *csim__perf_phase_find(const csim__perf_run *run, const char *name)
{
    for (int k = 0; k < run->phases; k++) {
        if (strcmp(run->phase[k].name, name) == 0) { return &run->phase[k]; }
    }
    return NULL;
}

/* The lines under way; memory that cannot be had is told at the end. */
typedef struct text {
    csim_context *ctx;
    char *data;
    int64_t length, room;
    csim_status st;
} text;

static void append(text *t, const char *more)
{
    int64_t length = (int64_t)strlen(more);
    if (t->st == CSIM_OK && t->length + length > t->room) {
        t->room = csim__max64(2 * t->room, t->length + length);
        t->st = csim__realloc(t->ctx, t->room, 1, "lines for Extra-P", &t->data);
    }
    if (t->st != CSIM_OK) { return; }
    memcpy(t->data + t->length, more, (size_t)length);
    t->length += length;
}

/* A call path for a phase, the whole sweep for none. */
static void add_line(text *t, const csim__perf_scaling *s, const csim__perf_point *point,
                     const char *phase, double seconds)
{
    char path[64];
    snprintf(path, sizeof path, "main->sweep%s%s", phase != NULL ? "->" : "",
             phase != NULL ? phase : "");
    json_t *line = json_pack("{s:{s:i, s:I}, s:s, s:s, s:f}", "params", "p",
                             s->team[point->team].ranks, "n", (json_int_t)point->examples,
                             "callpath", path, "metric", "time", "value", seconds);
    char *words = line != NULL ? json_dumps(line, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (words == NULL) {
        t->st = csim__fail(t->ctx, CSIM_E_MEM, "the lines for Extra-P: out of memory");
        return;
    }
    append(t, words);
    append(t, "\n");
    free(words);
}

csim_status csim__perf_extrap_write(csim_context *ctx, const csim__perf_scaling *s,
                                    const char *path, int overwrite)
{
    const char *name[CSIM__PERF_PHASES];
    int count = csim__perf_phase_names(s, name);
    text t = {.ctx = ctx, .st = CSIM_OK};
    for (int i = 0; i < s->points; i++) {
        const csim__perf_point *point = &s->point[i];
        for (int64_t r = 0; r < s->options->repeat; r++) {
            add_line(&t, s, point, NULL, point->run[r].total);
            for (int k = 0; k < count; k++) {
                const csim__perf_phase *phase = csim__perf_phase_find(&point->run[r], name[k]);
                add_line(&t, s, point, name[k], phase != NULL ? phase->seconds : 0);
            }
        }
    }
    csim_status st = t.st;
    if (st == CSIM_OK) { st = csim__file_replace(ctx, path, t.data, t.length, overwrite); }
    csim__free(ctx, &t.data);
    return st;
}
