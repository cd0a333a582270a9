#include "app/app.h"

csim_status csim__open_sets(csim_context *ctx, const csim_texts *names,
                            const csim_input_options *input, csim_set **sets)
{
    csim_status st = CSIM_OK;
    for (int i = 0; st == CSIM_OK && i < names->count; i++) {
        st = csim_set_open(ctx, names->text[i], input, &sets[i]);
    }
    return st;
}

void csim__close_sets(csim_context *ctx, int count, csim_set ***sets)
{
    for (int i = 0; *sets != NULL && i < count; i++) { csim_set_free(&(*sets)[i]); }
    csim__free(ctx, sets);
}
