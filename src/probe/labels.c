/* Options; labels as classes; division of the examples. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "probe/probe.h"

#define DIVIDE_STREAM ((uint64_t)1 << 40)

const csim_option csim_probe_option_table[] = {
    {.name = "notions",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_probe_options, notions),
     .metavar = "LIST",
     .help = "what to read from the features: label variables without their label_, joined by ','; "
             "without it what the encoders were trained on"},
    {.name = "held-out-notions",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_probe_options, held_out),
     .metavar = "LIST",
     .help = "further ones; an error if an encoder was trained on one of them"},
    {.name = "train",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_probe_options, train),
     .fallback = "0.7",
     .min = 0.01,
     .max = 0.99,
     .help = "part of the examples that the probes learn from; the others test them"},
    {.name = "seeds",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_probe_options, seeds),
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .help = "divisions of the examples, each with a seed of its own"},
    {.name = "seed",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_probe_options, seed),
     .fallback = "0",
     .min = 0,
     .max = 9e15,
     .help = "the first seed"},
    {.name = "k",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_probe_options, k),
     .fallback = "10",
     .min = 1,
     .max = 1000,
     .help = "neighbours that vote"},
    {.name = "l2",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_probe_options, l2),
     .fallback = "0.001",
     .min = 0,
     .max = 1e6,
     .help = "half of this times the squares of the weights is added to the loss of the softmax "
             "regression, a mean over examples"},
    {.name = NULL},
};

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

csim_status csim__probe_number(csim_context *ctx, const char *name, int64_t n, const int64_t *value,
                               csim__probe_labels *labels, int64_t *labelled, double *chance)
{
    int64_t *sorted = NULL, known = 0, most = 0, classes = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, n, sizeof *labels->of, "labels", &labels->of));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *sorted, "labels", &sorted));
    for (int64_t i = 0; i < n; i++) {
        if (value[i] >= 0 && value[i] <= INT32_MAX) { sorted[known++] = value[i]; }
    }
    qsort(sorted, (size_t)known, sizeof *sorted, compare);
    for (int64_t i = 0, run = 0; i < known; i++) { /* sorted becomes the list of values */
        run = i > 0 && sorted[i] == sorted[classes - 1] ? run + 1 : 1;
        if (run == 1) { sorted[classes++] = sorted[i]; }
        most = csim__max64(most, run);
    }
    if (classes < 2) {
        st = csim__fail(ctx, CSIM_E_DATA,
                        "label_%s has %" PRId64 " different value%s in the examples used; a probe "
                        "needs two",
                        name, classes, classes == 1 ? "" : "s");
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t *at = bsearch(&value[i], sorted, (size_t)classes, sizeof *sorted, compare);
        labels->of[i] = at != NULL ? (int32_t)(at - sorted) : -1;
    }
    labels->classes = (int)classes;
    *labelled = known;
    *chance = (double)most / (double)known;
done:
    csim__free(ctx, &sorted);
    return st;
}

csim_status csim__probe_divide(csim_context *ctx, int64_t n, double part, uint64_t seed,
                               uint8_t *train)
{
    int64_t *order = NULL, learn = (int64_t)floor(part * (double)n + 0.5);
    csim__rng rng = csim__rng_start(seed, DIVIDE_STREAM);
    csim_status st = csim__alloc(ctx, n, sizeof *order, "an order of the examples", &order);
    if (st != CSIM_OK) { return st; }
    for (int64_t i = 0; i < n; i++) { order[i] = i; }
    csim__rng_shuffle(&rng, order, n);
    for (int64_t i = 0; i < n; i++) { train[order[i]] = i < learn; }
    csim__free(ctx, &order);
    return CSIM_OK;
}
