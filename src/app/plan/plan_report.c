/* A plan as tables for people. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "app/plan/plan.h"
#include "core/text.h"

/* The largest unit of which there is one; returns how many there are. */
static double to_unit(double bytes, const char **unit)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    int u = 0;
    while (bytes >= 1024 && u < 5) {
        bytes /= 1024;
        u++;
    }
    *unit = units[u];
    return bytes;
}

csim__text csim__bytes_text(double bytes)
{
    csim__text text;
    const char *unit;
    double value = to_unit(bytes, &unit);
    snprintf(text.s, sizeof text.s, value < 10 && bytes >= 1024 ? "%.2f %s" : "%.4g %s", value,
             unit);
    return text;
}

csim__text csim__bytes_apart(double bytes, double other)
{
    csim__text text = csim__bytes_text(bytes), same = csim__bytes_text(other);
    const char *unit;
    if (bytes == other || strcmp(text.s, same.s) != 0) { return text; }
    double value = to_unit(bytes, &unit);
    int digits = csim__digits_apart(value, to_unit(other, &unit), 2);
    snprintf(text.s, sizeof text.s, "%.*f %s", digits, value, unit);
    return text;
}

csim__text csim__bytes_enough(double bytes)
{
    csim__text text;
    const char *unit;
    double value = to_unit(bytes, &unit);
    int digits = value < 100 ? 2 : 1;
    snprintf(text.s, sizeof text.s, "%.*f %s", digits, csim__round_up(value, digits), unit);
    return text;
}

csim__text csim__seconds_text(double seconds)
{
    csim__text text;
    static const struct {
        double below, scale;
        const char *unit;
    } units[] = {{0.1, 1e-3, "ms"},
                 {120, 1, "s"},
                 {7200, 60, "min"},
                 {2e5, 3600, "h"},
                 {INFINITY, 86400, "days"}};
    int u = 0;
    while (u < 4 && seconds >= units[u].below) { u++; }
    double value = seconds / units[u].scale;
    const char *unit = units[u].unit;
    snprintf(text.s, sizeof text.s, "%.2g %s", value, unit);
    if (value >= 100) { snprintf(text.s, sizeof text.s, "%.0f %s", value, unit); }
    return text;
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_problem(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    const csim__sweep_what *what = &w->options->sweep;
    printf("problem\n  %d set%s, %d layers of ", w->count, plural(w->count), f->sites);
    printf(w->least_width == w->most_width ? "%" PRId64 " neurons\n" : "%" PRId64, w->least_width);
    if (w->least_width != w->most_width) { printf(" to %" PRId64 " neurons\n", w->most_width); }
    printf("  %" PRId64 " examples in %" PRId64 " chunk%s of %" PRId64 ", %s precision\n", f->n,
           f->chunks, plural(f->chunks), f->chunk, what->precision == 1 ? "single" : "double");
    printf("  measures %s; pairs %s\n", what->measures,
           what->pairs != NULL ? what->pairs
           : w->count > 1      ? "cross"
                               : "all");
}

static void print_routes(const csim__outlook *w)
{
    static const struct {
        csim__route route;
        const char *text;
    } rows[] = {{CSIM__ROUTE_GRAM, "by Gram tiles"},
                {CSIM__ROUTE_CROSS, "by cross products"},
                {CSIM__ROUTE_BASIS, "by bases"},
                {CSIM__ROUTE_NONE, "without a cross term"}};
    const csim__forecast *f = &w->forecast;
    printf("pairs of layers\n  %" PRId64 ", of them %" PRId64 " of a layer with itself\n", f->pairs,
           f->selves);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t count = f->routes[rows[i].route];
        if (count > 0) { printf("  %" PRId64 " %s\n", count, rows[i].text); }
    }
}

static void print_groups(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    int per_node = csim__per_node(w->ranks, w->target.nodes);
    printf("ranks\n  %d on %d node%s, %d on a node", w->ranks, w->target.nodes,
           plural(w->target.nodes), per_node);
    int64_t chunks = (f->chunks + w->ranks - 1) / w->ranks;
    printf("; at most %" PRId64 " chunk%s on a rank\n", chunks, plural(chunks));
    const csim__teams *t = &f->teams;
    int team = csim__teams_size(t), groups = f->size / team;
    if (f->decomposed > 0 && team == 1) {
        printf("  %" PRId64 " pairs are decomposed, each by one rank (grid 1 x 1)\n",
               f->decomposed);
    } else if (f->decomposed > 0) {
        printf("  %" PRId64 " pairs are decomposed, %" PRId64 " of them, of %" PRId64
               " neurons and more, by %d group%s of %d x %d ranks, %d ranks in none; %s\n",
               f->decomposed, f->large, t->least, groups, plural(groups), t->p, t->q,
               f->size % team, csim__why_text(f->why));
    }
    printf("  idle: %d without examples, %d without pairs", f->idle_rows, f->idle_pairs);
    if (f->without.rounds > 1) {
        printf("; in a round %.1f without, %d at most",
               (double)f->without.sum / (double)f->without.rounds, f->without.most);
    }
    printf("\n");
    if (f->streamed) {
        printf("  layers are read again by chunks: %" PRId64 " rounds, %" PRId64
               " passes in %" PRId64 " tiles of pairs, each layer is read %.1f times\n",
               f->rounds, f->passes, f->plans, f->loads / f->sites);
    } else if (f->plans > 1) {
        printf("  not all layers fit at once: %" PRId64
               " tiles of pairs, each layer is read %.1f times\n",
               f->plans, f->loads / f->sites);
    }
}

static void print_row(const char *name, double most, double mean, double limit)
{
    printf("  %-44s %12s %12s", name, csim__bytes_text(most).s, csim__bytes_text(mean).s);
    if (limit > 0) { printf(" %7.1f%%", 100 * most / limit); }
    printf("\n");
}

static void print_memory(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    double limit = (double)w->sweep.memory;
    printf("memory of a rank\n  %-44s %12s %12s%s\n", "", "max", "mean",
           limit > 0 ? " of limit" : "");
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        if (f->room.array[i].bytes == 0 || !csim__room_there(&f->room, i, f->when)) { continue; }
        print_row(csim__room_text((csim__room_array)i), (double)f->room.array[i].bytes, f->mean[i],
                  limit);
    }
    print_row("sum, the peak", (double)f->peak, f->mean_peak, limit);
    printf("  the peak is while %s, on rank %d; ", csim__stage_text(f->when), f->rank);
    if (limit > 0) {
        printf("the limit is %s (%s)\n", csim__bytes_text(limit).s, w->limit);
    } else {
        printf("no limit is given (--mem-per-node, --memory)\n");
    }
    printf(
        "  beside that %s of libraries and buffers of MPI, and the page cache: a process of %s\n",
        csim__bytes_text(f->beside).s, csim__bytes_text((double)f->peak + f->beside).s);
}

/* Measures that will be undefined for want of memory. */
static void print_left_out(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    char text[800];
    csim__left_out_text(&w->sweep, f->n, &f->left_out, text, sizeof text);
    if (text[0] != '\0') { printf("  %s\n", text); }
}

static void print_work(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    printf("files\n  ");
    if (w->files) {
        printf("%" PRId64 " file%s, %s of values", w->file_count, plural(w->file_count),
               csim__bytes_text((double)w->file_bytes).s);
    } else {
        printf("%s of values in files", csim__bytes_text((double)w->file_bytes).s);
    }
    double times = f->loads / f->sites;
    printf(", read %.3g time%s: %s\n", times, times == 1 ? "" : "s",
           csim__bytes_text(f->effort.read).s);
    printf("  results of about %s\n",
           csim__bytes_text((double)f->room.array[CSIM__ROOM_RESULTS].bytes).s);
    printf("work\n  %.3g flops, %s between ranks\n", f->flops, csim__bytes_text(f->effort.moved).s);
}

static void print_time(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    const csim__calibration *c = &w->calibration;
    double low, high, all = csim__effort_seconds(&f->effort, NULL);
    csim__term top;
    csim__effort_seconds(&f->effort, &top);
    csim__outlook_range(w, f, &low, &high);
    printf("time\n  %s to %s, most of it %s\n", csim__seconds_text(low).s,
           csim__seconds_text(high).s, csim__term_text(top));
    for (int i = 0; i < CSIM__TERM_COUNT; i++) {
        double seconds = f->effort.seconds[i];
        if (seconds < 1e-3 * all) { continue; }
        printf("  %-44s %12s %11.1f%%\n", csim__term_text((csim__term)i),
               csim__seconds_text(seconds).s, 100 * seconds / all);
    }
    if (!c->measured) {
        printf("  from typical speeds; contrasim perf --calibrate measures those of a machine\n");
        return;
    }
    printf("  from speeds measured on %s, %s, %d rank%s (%s)\n", c->host, c->date, c->ranks,
           plural(c->ranks), w->calibration_path);
    if (w->target.nodes > 1 && !c->network) {
        printf("  messages between nodes were not measured there: typical speeds\n");
    }
}

static void print_shapes(const csim__outlook *w)
{
    if (w->shapes > 0) { printf("other shapes\n"); }
    for (int i = 0; i < w->shapes; i++) {
        const csim__shape *s = &w->shape[i];
        printf("  %d rank%s on %d node%s: %s to %s, %s a rank", s->ranks, plural(s->ranks),
               s->nodes, plural(s->nodes), csim__seconds_text(s->low).s,
               csim__seconds_text(s->high).s, csim__bytes_text((double)s->peak).s);
        if (csim__teams_size(&s->teams) > 1) {
            printf(", groups of %d x %d", s->teams.p, s->teams.q);
        }
        printf(": %s\n", s->why);
    }
}

void csim__outlook_print(const csim__outlook *w)
{
    print_problem(w);
    print_routes(w);
    print_groups(w);
    print_memory(w);
    print_left_out(w);
    print_work(w);
    if (w->fits) { print_time(w); }
    print_shapes(w);
}
