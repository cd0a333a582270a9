/* From filled cells to a results object: variables with their parameters and states, the sites, what
 * the inputs were, and what to warn of. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "ingredients/blocks.h"
#include "io/results_null.h"
#include "linalg/dense.h"
#include "sweep/cells.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

/* The parameters of a measure as attributes of its variable. */
static csim_status add_parameters(csim_results *results, int v, const csim_sweep_measure *m)
{
    csim_status st = CSIM_OK;
    const char *base = m->options;
    for (const csim_option *o = m->measure->options; st == CSIM_OK && o && o->name; o++) {
        const void *field = base + o->offset;
        if (o->kind == CSIM_OPTION_REAL) {
            st = csim_results_set_reals(results, v, o->name, field, 1);
        } else if (o->kind == CSIM_OPTION_INT || o->kind == CSIM_OPTION_SIZE) {
            st = csim_results_set_ints(results, v, o->name, field, 1);
        } else if (o->kind == CSIM_OPTION_TEXT) {
            st = csim_results_set_text(results, v, o->name, *(const char *const *)field);
        } else if (o->kind == CSIM_OPTION_FLAG) {
            int64_t on = *(const int *)field;
            st = csim_results_set_ints(results, v, o->name, &on, 1);
        } else if (o->kind == CSIM_OPTION_CHOICE) {
            char word[64] = "";
            const char *at = o->choices;
            for (int i = 0, n = *(const int *)field; i < n && at; i++) {
                at = strchr(at, '|');
                at = at ? at + 1 : NULL;
            }
            if (at) { snprintf(word, sizeof word, "%.*s", (int)strcspn(at, "|"), at); }
            st = csim_results_set_text(results, v, o->name, word);
        }
    }
    return st;
}

/* Which encoder a learned measure took. */
static csim_status add_encoder(csim_results *results, int v, const csim_measure *measure,
                               const csim_sweep_options *options)
{
    const csim_encoder *encoder = csim__sweep_encoder(options, measure);
    csim_status st = CSIM_OK;
    if (encoder == NULL) { return CSIM_OK; }
    int64_t inits = csim_encoder_inits(encoder);
    CSIM_TRY(csim_results_set_text(results, v, "encoder_checksum", csim_encoder_checksum(encoder)));
    st = csim_results_set_ints(results, v, "encoder_inits", &inits, 1);
done:
    return st;
}

/* An extra of the cells of a plane that are done. */
static void take_extra(const csim__cells *cells, int64_t extra, int plane, double *to)
{
    int64_t count = (int64_t)cells->rows * cells->cols;
    const int64_t *from = cells->extra + (extra * cells->planes + plane) * count;
    for (int64_t i = 0; i < count; i++) {
        bool done = cells->cell[plane * count + i] == CSIM_CELL_DONE;
        if (cells->requested[i] && done) { memcpy(&to[i], &from[i], sizeof to[i]); }
    }
}

/* The numbers beside the values of a measure. */
static csim_status add_beside(csim_results *results, const csim__cells *cells, int m, int64_t n,
                              const csim_sweep_options *options)
{
#define BESIDE_NAME(name, end, text) {end, text},
    static const char *const about[][2] = {CSIM__BESIDE_LIST(BESIDE_NAME)};
#undef BESIDE_NAME
    int64_t count = (int64_t)cells->rows * cells->cols;
    int64_t blocks = options->jackknife > 0 ? csim__blocks_of(n, options->jackknife).count : 0;
    csim_status st = CSIM_OK;
    int parent = csim_results_find(results, options->measures[m].measure->name), v;
    for (int b = 0; b < CSIM__BESIDE_COUNT; b++) {
        if (!csim__statistics_beside(options, m, n, (csim__beside)b)) { continue; }
        CSIM_TRY(csim__results_add_beside(results, parent, about[b][0], about[b][1], &v));
        if (b >= CSIM__BESIDE_SE) {
            CSIM_TRY(csim_results_set_ints(results, v, "blocks", &blocks, 1));
        }
        double *to = csim_results_values(results, v);
        for (int p = cells->plane[m]; p < cells->plane[m + 1]; p++) {
            take_extra(cells, cells->beside[b], p, to + (p - cells->plane[m]) * count);
        }
    }
done:
    return st;
}

/* The values of a measure under relabellings. */
static csim_status add_draws(csim_results *results, const csim__cells *cells, int m, int64_t n,
                             const csim_sweep_options *options)
{
    int64_t count = (int64_t)cells->rows * cells->cols;
    double *to = NULL;
    if (!csim__statistics_drawn(options, m, n)) { return CSIM_OK; }
    csim_status st = csim__results_add_null(results, options->measures[m].measure->name,
                                            cells->draws, csim__statistics_alpha(options), &to);
    for (int plane = cells->plane[m]; st == CSIM_OK && plane < cells->plane[m + 1]; plane++) {
        for (int64_t e = cells->extras - cells->draws; e < cells->extras; e++, to += count) {
            take_extra(cells, e, plane, to);
        }
    }
    return st;
}

/* A curve over numbers of neighbours has them as its first dimension. */
static void name_curve(const csim_sweep_measure *m, int64_t n, char name[96], double *list,
                       csim_result_variable *variable)
{
    const csim_neighbour_options *o = m->options;
    int64_t whole[CSIM_NEIGHBOURS_MOST];
    int count = csim_neighbour_list(o->k, n, whole);
    for (int i = 0; i < count; i++) { list[i] = (double)whole[i]; }
    snprintf(name, 96, "%.80s_k", m->measure->name);
    variable->list_name = name;
    variable->list = list;
    variable->n_list = count;
}

/* Is chance at 0? Then worse than chance is below it. */
static bool is_normalised(const csim_sweep_measure *m)
{
    const csim_neighbour_options *o = m->options;
    return (m->measure->needs & CSIM_NEEDS_NEIGHBOURS) && o->normalise;
}

/* How many neighbours the option k came to, and what chance would give. */
static csim_status add_neighbours(csim_results *results, int v, const csim_sweep_measure *m,
                                  int64_t n)
{
    const csim_neighbour_options *o = m->options;
    int64_t list[CSIM_NEIGHBOURS_MOST];
    double chance[CSIM_NEIGHBOURS_MOST];
    int count = csim_neighbour_list(o->k, n, list);
    csim_status st = csim_results_set_ints(results, v, "neighbours", list, count);
    if (st == CSIM_OK && m->measure->chance != NULL) {
        for (int i = 0; i < count; i++) {
            chance[i] = o->normalise ? 0 : m->measure->chance(list[i], n);
        }
        st = csim_results_set_reals(results, v, "chance", chance, count);
    }
    return st;
}

static csim_status add_variable(csim_results *results, const csim__cells *cells, int m, int64_t n,
                                const csim_sweep_options *options)
{
    const csim_measure *measure = options->measures[m].measure;
    bool distance = (measure->props & CSIM_DISTANCE) != 0;
    csim_result_variable variable = {
        .name = measure->name,
        .long_name = measure->doc,
        .orientation = distance ? "distance" : "similarity",
        .citation = measure->cite,
    };
    double most = distance ? INFINITY : measure->props & CSIM_UNIT_RANGE ? 1 : 0;
    bool own = measure->range[0] != 0 || measure->range[1] != 0;
    variable.range[0] = own ? measure->range[0] : 0;
    variable.range[1] = own ? measure->range[1] : most;
    if (is_normalised(&options->measures[m])) { variable.range[0] = -INFINITY; }
    char list_name[96];
    double list[CSIM_NEIGHBOURS_MOST];
    int planes = cells->plane[m + 1] - cells->plane[m];
    if (planes > 1) { name_curve(&options->measures[m], n, list_name, list, &variable); }
    csim_status st = csim_results_add(results, &variable);
    if (st != CSIM_OK) { return st; }
    int v = csim_results_find(results, measure->name);
    int64_t count = (int64_t)cells->rows * cells->cols, at = cells->plane[m] * count;
    double *values = csim_results_values(results, v);
    int8_t *states = csim_results_cells(results, v), *notes = csim_results_notes(results, v);
    for (int64_t i = 0; i < planes * count; i++) {
        if (!cells->requested[i % count]) { continue; }
        states[i] = CSIM_CELL_PENDING;
        if (cells->cell[at + i] == 0) { continue; }
        memcpy(&values[i], &cells->bits[at + i], sizeof values[i]);
        states[i] = cells->cell[at + i];
        notes[i] = cells->note[at + i];
    }
    st = add_parameters(results, v, &options->measures[m]);
    if (st == CSIM_OK && (measure->needs & CSIM_NEEDS_NEIGHBOURS)) {
        st = add_neighbours(results, v, &options->measures[m], n);
    }
    if (st == CSIM_OK) { st = add_encoder(results, v, measure, options); }
    if (st == CSIM_OK) { st = add_beside(results, cells, m, n, options); }
    return st == CSIM_OK ? add_draws(results, cells, m, n, options) : st;
}

/* One warning for all measures with values that few examples bias. */
static void warn_of_bias(csim_context *ctx, const csim__cells *cells,
                         const csim_sweep_options *options)
{
    char names[256] = "";
    int64_t count = (int64_t)cells->rows * cells->cols;
    for (int m = 0; m < cells->measures; m++) {
        const int8_t *note = cells->note + cells->plane[m] * count;
        size_t length = strlen(names), all = (size_t)count;
        if (memchr(note, CSIM_NOTE_SMALL_SAMPLE, all) == NULL) { continue; }
        snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "",
                 options->measures[m].measure->name);
    }
    if (names[0] != '\0') {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "fewer than 10 examples per neuron bias these upwards, close to 1 even for "
                  "independent layers (cka_debiased is not biased): %s",
                  names);
    }
}

/* One warning for all cells that got no value in the same way, with the reasons. */
static void warn_of_cells(csim_context *ctx, const csim__cells *cells, csim_cell state,
                          const char *word)
{
    char reasons[512] = "";
    int64_t by_note[CSIM_NOTE_COUNT] = {0}, all = 0;
    int64_t count = (int64_t)cells->rows * cells->cols;
    for (int64_t i = 0; i < cells->planes * count; i++) {
        if (!cells->requested[i % count] || cells->cell[i] != (int8_t)state) { continue; }
        by_note[cells->note[i]]++;
        all++;
    }
    for (int n = 0; n < CSIM_NOTE_COUNT; n++) {
        size_t length = strlen(reasons);
        if (by_note[n] == 0) { continue; }
        snprintf(reasons + length, sizeof reasons - length, "%s%s (%" PRId64 ")",
                 length ? ", " : "", csim_note_flag((csim_note)n), by_note[n]);
    }
    if (all > 0) {
        csim__log(ctx, CSIM_LOG_WARNING, "%s values: %" PRId64 ", %s", word, all, reasons);
    }
}

csim_status csim__inputs_text(csim_context *ctx, const csim__site *sites, csim_set *const *sets,
                              int set_count, char **text)
{
    uint64_t *hashes = NULL;
    csim_status st = csim__strdup(ctx, "", text);
    for (int s = 0, at = 0; st == CSIM_OK && s < set_count; s++) {
        int count = csim_set_site_count(sets[s]);
        char *longer = NULL;
        csim__free(ctx, &hashes);
        CSIM_TRY(csim__alloc(ctx, count, sizeof *hashes, "checksums", &hashes));
        for (int i = 0; i < count; i++) { hashes[i] = sites[at++].checksum; }
        CSIM_TRY(csim__format(ctx, &longer, "%s%sxxh3:%016llx", *text, s ? "\n" : "",
                              (unsigned long long)XXH3_64bits(hashes, (size_t)count * 8)));
        csim__free(ctx, text);
        *text = longer;
    }
done:
    csim__free(ctx, &hashes);
    return st;
}

csim_status csim__inputs_names(csim_context *ctx, csim_set *const *sets, int set_count, char **text)
{
    csim_status st = csim__strdup(ctx, "", text);
    for (int s = 0; st == CSIM_OK && s < set_count; s++) {
        char *longer = NULL;
        st = csim__format(ctx, &longer, "%s%s%s=%s", *text, s ? "\n" : "", csim_set_name(sets[s]),
                          csim_set_path(sets[s]));
        if (st != CSIM_OK) { break; }
        csim__free(ctx, text);
        *text = longer;
    }
    return st;
}

/* Names, sizes and checksums of the inputs: what a result was made from. */
static csim_status add_inputs(csim_context *ctx, csim_results *results, const csim__site *sites,
                              csim_set *const *sets, int set_count)
{
    char *names = NULL, *sums = NULL;
    int64_t *bytes = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__inputs_names(ctx, sets, set_count, &names));
    CSIM_TRY(csim__alloc(ctx, set_count, sizeof *bytes, "input sizes", &bytes));
    for (int s = 0; s < set_count; s++) { bytes[s] = csim_set_bytes(sets[s]); }
    CSIM_TRY(csim__inputs_text(ctx, sites, sets, set_count, &sums));
    CSIM_TRY(csim_results_set_text(results, -1, "input_names", names));
    CSIM_TRY(csim_results_set_ints(results, -1, "input_bytes", bytes, set_count));
    CSIM_TRY(csim_results_set_text(results, -1, "input_checksums", sums));
done:
    csim__free(ctx, &bytes);
    csim__free(ctx, &sums);
    csim__free(ctx, &names);
    return st;
}

static csim_result_site site_of(const csim__site *s)
{
    return (csim_result_site){s->model, s->layer, s->d, s->rank, {s->median[0], s->median[1]}};
}

csim_status csim__cells_results(csim_context *ctx, const csim__cells *cells,
                                const csim__site *sites, csim_set *const *sets, int set_count,
                                const csim_sweep_options *options, csim_results **results)
{
    csim_result_site *rows = NULL, *cols = NULL;
    const char *notes[CSIM_NOTE_COUNT];
    csim_status st = CSIM_OK;
    for (int i = 0; i < CSIM_NOTE_COUNT; i++) { notes[i] = csim_note_flag((csim_note)i); }
    CSIM_TRY(csim__alloc(ctx, cells->rows, sizeof *rows, "rows", &rows));
    CSIM_TRY(csim__alloc(ctx, cells->cols, sizeof *cols, "columns", &cols));
    for (int i = 0; i < cells->rows; i++) { rows[i] = site_of(&sites[cells->row[i]]); }
    for (int j = 0; j < cells->cols; j++) { cols[j] = site_of(&sites[cells->col[j]]); }
    CSIM_TRY(csim_results_create(ctx, rows, cells->rows, cols, cells->cols, notes, CSIM_NOTE_COUNT,
                                 results));
    for (int m = 0; m < cells->measures; m++) {
        CSIM_TRY(add_variable(*results, cells, m, sites[0].n, options));
    }
    if (options->parts == 0) { CSIM_TRY(csim__results_settle(*results)); } /* else when merged */
    warn_of_bias(ctx, cells, options);
    warn_of_cells(ctx, cells, CSIM_CELL_UNDEFINED, "undefined");
    warn_of_cells(ctx, cells, CSIM_CELL_FAILED, "failed");
    CSIM_TRY(add_inputs(ctx, *results, sites, sets, set_count));
    CSIM_TRY(csim_results_set_ints(*results, -1, "examples", &sites[0].n, 1));
    char blas[256];
    csim__blas_name(blas, sizeof blas);
    CSIM_TRY(csim_results_set_text(*results, -1, "blas", blas));
    CSIM_TRY(csim_results_set_text(*results, -1, "precision",
                                   options->precision == CSIM_DOUBLE ? "double" : "single"));
    if (options->parts > 0) {
        const int64_t part[2] = {options->part, options->parts};
        CSIM_TRY(csim_results_set_ints(*results, -1, CSIM_RESULTS_PART, part, 2));
    }
done:
    csim__free(ctx, &cols);
    csim__free(ctx, &rows);
    if (st != CSIM_OK) { csim_results_free(results); }
    return st;
}
