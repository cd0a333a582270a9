/* A plan as one JSON object. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "app/plan/plan.h"

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *whole(int64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *problem_json(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    const csim__sweep_what *what = &w->options->sweep;
    json_t *o = json_object(), *measures = json_array();
    for (int i = 0; i < w->sweep.measure_count; i++) {
        json_array_append_new(measures, json_string(w->sweep.measures[i].measure->name));
    }
    json_object_set_new(o, "sets", whole(w->count));
    json_object_set_new(o, "layers", whole(f->sites));
    json_object_set_new(o, "narrowest", whole(w->least_width));
    json_object_set_new(o, "widest", whole(w->most_width));
    json_object_set_new(o, "examples", whole(f->n));
    json_object_set_new(o, "chunks", whole(f->chunks));
    json_object_set_new(o, "chunk", whole(f->chunk));
    json_object_set_new(o, "precision", json_string(what->precision == 1 ? "single" : "double"));
    json_object_set_new(o, "measures", measures);
    json_object_set_new(o, "which_pairs",
                        what->pairs != NULL ? json_string(what->pairs)
                                            : json_string(w->count > 1 ? "cross" : "all"));
    return o;
}

static json_t *pairs_json(const csim__forecast *f)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)f->pairs, "selves",
        (json_int_t)f->selves, "gram", (json_int_t)f->routes[CSIM__ROUTE_GRAM], "cross",
        (json_int_t)f->routes[CSIM__ROUTE_CROSS], "basis", (json_int_t)f->routes[CSIM__ROUTE_BASIS],
        "none", (json_int_t)f->routes[CSIM__ROUTE_NONE], "decomposed", (json_int_t)f->decomposed);
}

static json_t *group_json(const csim__forecast *f)
{
    int team = csim__teams_size(&f->teams);
    return json_pack("{s:i, s:[i,i], s:i, s:i, s:I, s:I, s:s}", "ranks", team, "grid", f->teams.p,
                     f->teams.q, "count", f->size / team, "ranks_in_none", f->size % team,
                     "from_neurons", (json_int_t)f->teams.least, "large_pairs",
                     (json_int_t)f->large, "why", csim__why_key(f->why));
}

static json_t *ranks_json(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    json_t *rounds =
        json_pack("{s:I, s:o, s:i}", "count", (json_int_t)f->without.rounds, "without_pairs",
                  real((double)f->without.sum / (double)csim__max64(f->without.rounds, 1)),
                  "most_without_pairs", f->without.most);
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:I}", "count", w->ranks, "nodes",
                     w->target.nodes, "per_node", csim__per_node(w->ranks, w->target.nodes),
                     "without_examples", f->idle_rows, "without_pairs", f->idle_pairs, "rounds",
                     rounds, "group", group_json(f), "tiles", (json_int_t)f->plans);
}

static json_t *memory_json(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    json_t *o = json_object(), *arrays = json_array();
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        if (f->room.array[i].bytes == 0) { continue; }
        json_array_append_new(arrays, json_pack("{s:s, s:I, s:o, s:b}", "name",
                                                csim__room_key((csim__room_array)i), "bytes",
                                                (json_int_t)f->room.array[i].bytes, "mean_bytes",
                                                real(f->mean[i]), "at_peak",
                                                (int)csim__room_there(&f->room, i, f->when)));
    }
    json_object_set_new(o, "peak_bytes", whole(f->peak));
    json_object_set_new(o, "mean_bytes", real(f->mean_peak));
    json_object_set_new(o, "beside_bytes", real(f->beside));
    json_object_set_new(o, "resident_bytes", real((double)f->peak + f->beside));
    json_object_set_new(o, "peak_rank", whole(f->rank));
    json_object_set_new(o, "peak_while", json_string(csim__stage_text(f->when)));
    json_object_set_new(o, "limit_bytes",
                        w->sweep.memory > 0 ? whole(w->sweep.memory) : json_null());
    json_object_set_new(o, "limit_from", json_string(w->limit));
    json_object_set_new(o, "fits", json_boolean(w->fits));
    json_object_set_new(o, "arrays", arrays);
    return o;
}

/* Measures that will be undefined for want of memory, or null. */
static json_t *left_out_json(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    const csim__left_out *what = &f->left_out;
    char text[800];
    csim__left_out_text(&w->sweep, f->n, what, text, sizeof text);
    if (text[0] == '\0') { return json_null(); }
    json_t *measures = json_array();
    for (int m = 0; m < w->sweep.measure_count; m++) {
        if (csim__is_left_out(&w->sweep, f->n, what->no_room, m)) {
            json_array_append_new(measures, json_string(w->sweep.measures[m].measure->name));
        }
    }
    return json_pack("{s:o, s:s, s:o, s:s}", "measures", measures, "note",
                     csim_note_flag(CSIM_NOTE_NO_ROOM), "enough_bytes",
                     what->roomy > 0 ? whole(what->roomy) : json_null(), "why", text);
}

static json_t *work_json(const csim__outlook *w)
{
    const csim__forecast *f = &w->forecast;
    json_t *files = json_pack(
        "{s:I, s:I, s:b, s:I, s:I, s:o, s:o, s:I}", "count", (json_int_t)w->file_count, "bytes",
        (json_int_t)w->file_bytes, "by_chunks", (int)f->streamed, "rounds", (json_int_t)f->rounds,
        "passes", (json_int_t)f->passes, "readings", real(f->loads / f->sites), "bytes_read",
        real(f->effort.read), "results_bytes", (json_int_t)f->room.array[CSIM__ROOM_RESULTS].bytes);
    return json_pack("{s:o, s:o, s:o}", "files", files, "flops", real(f->flops), "bytes_moved",
                     real(f->effort.moved));
}

static json_t *time_json(const csim__outlook *w)
{
    const csim__calibration *c = &w->calibration;
    const csim__forecast *f = &w->forecast;
    json_t *o = json_object(), *terms = json_object();
    double low, high;
    csim__term top;
    csim__outlook_range(w, f, &low, &high);
    for (int i = 0; i < CSIM__TERM_COUNT; i++) {
        json_object_set_new(terms, csim__term_key((csim__term)i), real(f->effort.seconds[i]));
    }
    json_object_set_new(o, "seconds", real(csim__effort_seconds(&f->effort, &top)));
    json_object_set_new(o, "low", real(low));
    json_object_set_new(o, "high", real(high));
    json_object_set_new(o, "again", real(f->effort.again));
    json_object_set_new(o, "most", json_string(csim__term_key(top)));
    json_object_set_new(o, "terms", terms);
    json_object_set_new(o, "measured", json_boolean(c->measured));
    json_object_set_new(o, "calibration",
                        c->measured ? json_string(w->calibration_path) : json_null());
    json_object_set_new(o, "messages",
                        json_pack("{s:o, s:o, s:o, s:o}", "latency", real(c->machine.latency),
                                  "bandwidth", real(c->machine.bandwidth), "net_latency",
                                  real(c->machine.net_latency), "net_bandwidth",
                                  real(c->machine.net_bandwidth)));
    return o;
}

static json_t *shapes_json(const csim__outlook *w)
{
    json_t *list = json_array();
    for (int i = 0; i < w->shapes; i++) {
        const csim__shape *s = &w->shape[i];
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:[i,i], s:s, s:I, s:o, s:o}", "ranks", s->ranks, "nodes",
                            s->nodes, "grid", s->teams.p, s->teams.q, "why", s->key, "peak_bytes",
                            (json_int_t)s->peak, "low", real(s->low), "high", real(s->high)));
    }
    return list;
}

csim_status csim__outlook_print_json(csim_context *ctx, const csim__outlook *w)
{
    json_t *o = json_object();
    json_object_set_new(o, "schema", json_integer(1));
    json_object_set_new(o, "version", json_string(csim_version()));
    json_object_set_new(o, "problem", problem_json(w));
    json_object_set_new(o, "pairs", pairs_json(&w->forecast));
    json_object_set_new(o, "ranks", ranks_json(w));
    json_object_set_new(o, "memory", memory_json(w));
    json_object_set_new(o, "undefined", left_out_json(w));
    json_object_set_new(o, "work", work_json(w));
    json_object_set_new(o, "time", time_json(w));
    json_object_set_new(o, "shapes", shapes_json(w));
    char *text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (text == NULL) { return csim__fail(ctx, CSIM_E_MEM, "the plan: out of memory"); }
    printf("%s\n", text);
    free(text);
    return CSIM_OK;
}
