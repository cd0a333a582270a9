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

/* Two texts of lines that must be the same. */
static csim_status check_text(csim__app *app, const char *path, const char *what,
                              const char *const *ignored, const csim_attribute *saved,
                              const char *here)
{
    const char *there = saved != NULL && saved->text != NULL ? saved->text : "";
    int a = 0, b = 0;
    if (!csim__text_difference(ignored, &there, &a, &here, &b)) { return CSIM_OK; }
    return csim__fail(app->ctx, CSIM_E_DATA,
                      "--resume: %s is finished, with other %s: '%.*s' there, '%.*s' here", path,
                      what, a, there, b, here);
}

static csim_status check_part(csim__app *app, const char *path, const csim_sweep_options *sweep,
                              const csim_results *results)
{
    const csim_attribute *part = csim_results_attribute_find(results, -1, CSIM_RESULTS_PART);
    int64_t own[2] = {sweep->part, sweep->parts}, none[2] = {0, 0};
    const int64_t *other = part != NULL && part->count == 2 ? part->integers : none;
    if (memcmp(own, other, sizeof own) == 0) { return CSIM_OK; }
    return csim__fail(app->ctx, CSIM_E_DATA,
                      "--resume: %s is finished, part %" PRId64 " of %" PRId64
                      " there, part %" PRId64 " of %" PRId64 " here",
                      path, other[0], other[1], own[0], own[1]);
}

/* Rank 0. */
static csim_status check(csim__app *app, const char *path, const csim_sweep_options *sweep,
                         const char *inputs, const csim_results *results)
{
    char *config = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__config_write(app->config, &config));
    CSIM_TRY(check_text(app, path, "options", csim__text_paths,
                        csim_results_attribute_find(results, -1, "configuration"), config));
    CSIM_TRY(check_part(app, path, sweep, results));
    for (int i = 0; i < sweep->encoder_count; i++) {
        int v = csim_results_find(results, csim_encoder_measure(sweep->encoders[i]));
        if (v < 0) { continue; }
        CSIM_TRY(check_text(app, path, "encoders", NULL,
                            csim_results_attribute_find(results, v, "encoder_checksum"),
                            csim_encoder_checksum(sweep->encoders[i])));
    }
    st = check_text(app, path, "inputs", NULL,
                    csim_results_attribute_find(results, -1, "input_checksums"), inputs);
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
        st = check(app, path, sweep, inputs, results);
    }
    csim__free(ctx, &inputs);
    return csim__vote(ctx, st);
}
