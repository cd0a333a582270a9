#include "app/sweep_finished.h"

#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "sweep/state.h"

int csim__count_cells(csim_results *results, int64_t count[CSIM_CELL_COUNT])
{
    int measures = 0;
    int64_t pairs = csim_results_rows(results) * csim_results_cols(results);
    for (int v = 0; v < csim_results_count(results); v++) {
        const int8_t *cells = csim_results_cells(results, v);
        int64_t lists = csim_results_variable(results, v)->n_list;
        int64_t size = pairs * (lists > 0 ? lists : 1);
        for (int64_t i = 0; cells != NULL && i < size; i++) { count[cells[i]]++; }
        measures += cells != NULL;
    }
    return measures;
}

static const char *text_of(const csim_attribute *a)
{
    return a != NULL && a->text != NULL ? a->text : "";
}

/* Length of the name that a line of a configuration sets. */
static int name_length(const char *line)
{
    return (int)strcspn(line, " \n");
}

/* The section of a line where that is a measure's, as "measure.". */
static void take_section(const char *text, const char *line, char section[64])
{
    for (; text < line; text += *text == '\n') {
        bool own = strncmp(text, "[sweep]", 7) == 0;
        if (*text == '[') {
            snprintf(section, 64, "%.*s.", (int)strcspn(text + 1, "]\n"), text + 1);
        }
        if (own) { section[0] = '\0'; }
        text += strcspn(text, "\n");
    }
}

static csim_status check_options(csim__app *app, const char *path, const csim_results *results,
                                 const char *config)
{
    const char *there = text_of(csim_results_attribute_find(results, -1, "configuration"));
    const char *here = config;
    char section[64] = "";
    int a = 0, b = 0;
    if (!csim__text_difference(csim__text_paths, &there, &a, &here, &b)) { return CSIM_OK; }
    bool set_there = b == 0 || csim__text_has(there, here, " \n"),
         set_here = a == 0 || csim__text_has(here, there, " \n");
    take_section(config, here, section);
    if (!set_there) {
        return csim__fail(app->ctx, CSIM_E_DATA,
                          "--resume: %s is finished, with other options: %s%.*s is not set there, "
                          "'%s%.*s' here",
                          path, section, name_length(here), here, section, b, here);
    }
    if (!set_here) {
        return csim__fail(app->ctx, CSIM_E_DATA,
                          "--resume: %s is finished, with other options: '%s%.*s' there, %s%.*s is "
                          "not set here",
                          path, section, a, there, section, name_length(there), there);
    }
    return csim__fail(app->ctx, CSIM_E_DATA,
                      "--resume: %s is finished, with other options: '%s%.*s' there, '%s%.*s' here",
                      path, section, a, there, section, b, here);
}

static void part_text(const int64_t part[2], char text[64])
{
    snprintf(text, 64, "all pairs");
    if (part[1] > 0) { snprintf(text, 64, "part %" PRId64 " of %" PRId64, part[0], part[1]); }
}

static csim_status check_part(csim__app *app, const char *path, const csim_sweep_options *sweep,
                              const csim_results *results)
{
    const csim_attribute *part = csim_results_attribute_find(results, -1, CSIM_RESULTS_PART);
    int64_t own[2] = {sweep->part, sweep->parts}, none[2] = {0, 0};
    const int64_t *other = part != NULL && part->count == 2 ? part->integers : none;
    char there[64], here[64];
    if (memcmp(own, other, sizeof own) == 0) { return CSIM_OK; }
    part_text(other, there);
    part_text(own, here);
    return csim__fail(app->ctx, CSIM_E_DATA, "--resume: %s is finished, %s there, %s here", path,
                      there, here);
}

static csim_status check_encoder(csim__app *app, const char *path, const csim_encoder *encoder,
                                 const csim_results *results)
{
    const char *here = csim_encoder_checksum(encoder);
    int v = csim_results_find(results, csim_encoder_measure(encoder));
    if (v < 0) { return CSIM_OK; }
    const char *there = text_of(csim_results_attribute_find(results, v, "encoder_checksum"));
    if (strcmp(there, here) == 0) { return CSIM_OK; }
    return csim__fail(
        app->ctx, CSIM_E_DATA,
        "--resume: %s is finished, with another encoder for %s: checksum %s there, %s "
        "of %s here",
        path, csim_encoder_measure(encoder), there, here, csim_encoder_path(encoder));
}

/* One line for each set. */
static csim_status check_inputs(csim__app *app, const char *path, csim_set *const *sets, int count,
                                const csim_results *results, const char *here)
{
    const char *there = text_of(csim_results_attribute_find(results, -1, "input_checksums"));
    const char *all = here;
    int a = 0, b = 0, set = 0;
    if (!csim__text_difference(NULL, &there, &a, &here, &b)) { return CSIM_OK; }
    for (const char *c = all; c < here; c++) { set += *c == '\n' && set + 1 < count; }
    return csim__fail(app->ctx, CSIM_E_DATA,
                      "--resume: %s is finished, with other inputs: the values of set %s (%s) have "
                      "checksum '%.*s' there, '%.*s' here",
                      path, csim_set_name(sets[set]), csim_set_path(sets[set]), a, there, b, here);
}

/* Rank 0. */
static csim_status check(csim__app *app, const char *path, const csim_sweep_options *sweep,
                         csim_set *const *sets, int count, const char *inputs,
                         const csim_results *results)
{
    char *config = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__config_write(app->config, &config));
    CSIM_TRY(check_options(app, path, results, config));
    CSIM_TRY(check_part(app, path, sweep, results));
    for (int i = 0; i < sweep->encoder_count; i++) {
        CSIM_TRY(check_encoder(app, path, sweep->encoders[i], results));
    }
    st = check_inputs(app, path, sets, count, results, inputs);
done:
    csim__free(app->ctx, &config);
    return st;
}

csim_status csim__sweep_finished(csim__app *app, const char *path, const csim_sweep_options *sweep,
                                 csim_set *const *sets, int count, const csim_results *results)
{
    csim_context *ctx = app->ctx;
    char *inputs = NULL;
    csim_status st = csim__sweep_inputs(ctx, sets, count, sweep, &inputs);
    if (st == CSIM_OK && csim_context_rank(ctx) == 0) {
        st = check(app, path, sweep, sets, count, inputs, results);
    }
    csim__free(ctx, &inputs);
    return csim__vote(ctx, st);
}
