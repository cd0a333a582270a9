/* Learned measures in a sweep: which encoder is whose, and the pass that encodes the sites. */
#include <string.h>

#include "sweep/state.h"

static const char *const names[CSIM__LEARNED_COUNT] = {"contrasim", "deepdot", "mscon", "deepcka"};

const csim_encoder *csim__sweep_encoder(const csim_sweep_options *options,
                                        const csim_measure *measure)
{
    for (int i = 0; i < options->encoder_count; i++) {
        const char *name = csim_encoder_measure(options->encoders[i]);
        if (strcmp(name, measure->name) == 0) { return options->encoders[i]; }
    }
    return NULL;
}

/* Two encoders of one measure, or one of none that is asked for, are mistakes. */
static csim_status check_encoder(csim__sweep *w, int i)
{
    const csim_sweep_options *o = w->options;
    const char *name = csim_encoder_measure(o->encoders[i]);
    bool asked = false;
    for (int k = 0; k < i; k++) {
        if (strcmp(csim_encoder_measure(o->encoders[k]), name) == 0) {
            return csim__fail(w->ctx, CSIM_E_USAGE, "encoders %s and %s both define %s",
                              csim_encoder_path(o->encoders[k]), csim_encoder_path(o->encoders[i]),
                              name);
        }
    }
    for (int m = 0; m < o->measure_count; m++) {
        asked = asked || strcmp(o->measures[m].measure->name, name) == 0;
    }
    if (!asked) {
        return csim__fail(w->ctx, CSIM_E_USAGE,
                          "encoder %s defines %s, which is not among the measures asked for",
                          csim_encoder_path(o->encoders[i]), name);
    }
    return CSIM_OK;
}

csim_status csim__sweep_check_encoders(csim__sweep *w)
{
    const csim_sweep_options *o = w->options;
    csim_status st = CSIM_OK;
    for (int m = 0; m < o->measure_count; m++) {
        const csim_measure *measure = o->measures[m].measure;
        if ((measure->needs & CSIM_NEEDS_PROJECTION) && csim__sweep_encoder(o, measure) == NULL) {
            return csim__fail(w->ctx, CSIM_E_USAGE,
                              "measure %s needs --encoder: a checkpoint that defines it",
                              measure->name);
        }
    }
    for (int i = 0; st == CSIM_OK && i < o->encoder_count; i++) {
        st = check_encoder(w, i);
        for (int s = 0; st == CSIM_OK && s < w->all_count; s++) {
            int input;
            st = csim_encoder_input(w->ctx, o->encoders[i], w->all[s].d, w->all[s].model, &input);
        }
    }
    return st;
}

/* Pairs as entries (left ≤ right) of a table of all sites, and every site with itself. */
static csim_status mark_pairs(const csim__sweep *w, unsigned char **wanted)
{
    csim_status st =
        csim__calloc(w->ctx, (int64_t)w->count * w->count, 1, "pairs of sites", wanted);
    for (int64_t i = 0; st == CSIM_OK && i < w->plan.count; i++) {
        const csim__couple *c = &w->plan.pairs[i].couple;
        if (!w->plan.pairs[i].cell) { continue; }
        (*wanted)[(int64_t)c->left * w->count + c->right] = 1;
        (*wanted)[(int64_t)c->left * (w->count + 1)] = 1;
        (*wanted)[(int64_t)c->right * (w->count + 1)] = 1;
    }
    return st;
}

csim_status csim__sweep_project(csim__sweep *w)
{
    unsigned char *wanted = NULL;
    csim_status st = csim__vote(w->ctx, mark_pairs(w, &wanted));
    w->meter.stage = "encoding"; /* products too */
    for (int k = 0; st == CSIM_OK && k < CSIM__LEARNED_COUNT; k++) {
        const csim_encoder *encoder = csim__sweep_encoder(w->options, csim_measure_find(names[k]));
        if (encoder == NULL) { continue; }
        st = csim__project(w->ctx, &w->shard, w->site, w->count, encoder, wanted, &w->meter,
                           &w->learned[k]);
    }
    w->meter.stage = NULL;
    csim__free(w->ctx, &wanted);
    return st;
}
