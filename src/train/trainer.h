/* A training under way: its data, its state, one step, and its place in a checkpoint. */
#ifndef CSIM_TRAINER_H
#define CSIM_TRAINER_H

#include <math.h>

#include "contrasim/train.h"
#include "encoder/encoder.h"
#include "train/batches.h"
#include "train/loss.h"
#include "train/optimiser.h"

enum { CSIM_SCHEDULE_EXPONENTIAL, CSIM_SCHEDULE_COSINE };

/** A site of a training; in memory they stand in the order of the steps that take them. */
typedef struct csim__train_site {
    csim_set *set;
    int model, index; /* which set, and which of its sites */
    int place;        /* among the layers of its set */
    int64_t d;
    int input;
    float *deviation; /* [d] of the neurons; NULL unless views are noisy */
} csim__train_site;

/** Neighbouring sites that one input layer takes: their rows make one product. */
typedef struct csim__run {
    int first, count, input;
} csim__run;

/** The sites of one step: a layer of every set (row items), or all (set items). */
typedef struct csim__stop {
    int first, count; /* sites */
    csim__run *run;
    int runs;
} csim__stop;

/** Sums over the steps of an epoch. */
typedef struct csim__tally {
    double loss, positive, negative, gradient;
    int64_t steps, positives, negatives; /* steps; those that had positives, others */
} csim__tally;

/** Add similarities of a step; NaN: it had none. */
static inline void csim__tally_similarities(csim__tally *tally, double positive, double negative)
{
    tally->positive += isnan(positive) ? 0 : positive;
    tally->positives += !isnan(positive);
    tally->negative += isnan(negative) ? 0 : negative;
    tally->negatives += !isnan(negative);
}

static inline double csim__tally_mean(double sum, int64_t steps)
{
    return steps > 0 ? sum / (double)steps : NAN;
}

/** Learning curves, [epochs] each but the weights. */
enum {
    CSIM__CURVE_LOSS,
    CSIM__CURVE_POSITIVE,
    CSIM__CURVE_NEGATIVE,
    CSIM__CURVE_MARGIN,
    CSIM__CURVE_GRADIENT,
    CSIM__CURVE_RATE,
    CSIM__CURVE_HELD_OUT,
    CSIM__CURVES
};

/** How the items of batches of one size lie. */
typedef struct csim__layout {
    int64_t rows;            /* examples of the batch */
    csim_shard shard;        /* of this rank */
    int items, first, count; /* of all ranks; those of this rank: first … first+count−1 */
    int *part, *at;          /* [size] items of each rank and before it */
    int *item;               /* [copies, rows] the item that is this example in this copy */
    csim__groups groups;     /* by example (row items) or by place (set items) */
} csim__layout;

typedef struct csim__trainer {
    csim_context *ctx;
    const csim_train_options *options;
    const csim_train_run *run;

    /* data */
    csim_set *const *sets;
    int set_count, sites, stops, copies; /* copies: of an example in a step, sets × views */
    csim__train_site *site;              /* [sites] */
    int64_t *width;                      /* [sites] */
    csim__stop *stop;                    /* [stops] */
    int64_t examples, held;              /* in all, and held out of them */
    int64_t *train_row, *held_row;       /* which rows of the sets are which */
    csim__batches batches, held_batches;
    csim__layout layout[4]; /* whole and last batch of the training, of the held-out examples */
    int notions;
    char **notion;      /* [notions] */
    int32_t **label;    /* [notions][examples of the training or held out], −1 = missing */
    uint64_t *checksum; /* [set_count] of the values as read */

    /* what is trained */
    csim_encoder *encoder; /* params: finished inits, and the one under way as it is published */
    float *params, *state1, *state2;           /* [parameters] of the init under way */
    int64_t init, epoch, batch, stop_at, step; /* where the training is */
    csim__tally tally;
    double *curve[CSIM__CURVES]; /* [inits, epochs] */
    double *weight_curve;        /* [inits, epochs, notions] w_c at the end of each epoch */
    double best;                 /* lowest loss of the held-out examples of this init */
    int64_t best_epoch;
    bool finished;       /* the init under way has ended */
    int64_t *stop_order; /* [stops] of the batch under way */
    bool save_wanted;    /* the last checkpoint is long ago */
    double saved_s;      /* when it was written */
    double flops;        /* of a step, for progress */

    /* room for a step */
    float *hidden[CSIM__MAX_DEPTH]; /* [own item rows, width of layer l] */
    float *head_hidden, *z, *norm;  /* of one head; z of all items (rows) or of own rows (sets) */
    float *views;                   /* augmented rows, or NULL */
    float *s, *dz, *du;             /* similarities of own items; gradients */
    double *sum, *loss;             /* [items] */
    float *gradient;                /* [own chunks, parameters] */
    int64_t *total;                 /* [parameters] integer sums */
    float *g;                       /* [parameters] */
    float *largest;                 /* [tensors + flags] */
    float *scratch;
    float *gram_part, *h; /* [sites, sites] of set items */
    int64_t *gram;
    double *similarity;
    double *notion_loss; /* [3·notions] losses, weights, gradients of the weights */
} csim__trainer;

/** Are whole layers compared, not rows? Are rows copied with noise or dropout? */
static inline bool csim__by_sets(const csim__trainer *t)
{
    return t->options->item == CSIM_ITEM_SET;
}

static inline bool csim__augmented(const csim__trainer *t)
{
    const csim_train_options *o = t->options;
    return o->views > 1 || o->view_noise > 0 || o->view_dropout > 0;
}

/** Options as text, `key = value` lines, but for what may change when a training goes on. Local. */
csim_status csim__train_describe(csim_context *ctx, const csim_train_options *options, char **text);

/** The learning rate of an epoch. Local, pure. */
double csim__train_rate(const csim_train_options *options, int64_t epoch);

/** Widths of hidden layers: "512,256" or "none". Local. @return CSIM_OK, CSIM_E_USAGE, CSIM_E_MEM
 *  @param[out] list  new */
csim_status csim__train_hidden(csim_context *ctx, const char *text, int **list, int *count);

/** List sites, lay out the encoder and the batches, read the rows. Collective; agreed. */
csim_status csim__train_data(csim__trainer *t);
void csim__train_data_clear(csim__trainer *t);

/** Its second half: the rows and their checksums; the deviations of the neurons, for noisy views.
 *  Collective; agreed. */
csim_status csim__train_read(csim__trainer *t);
csim_status csim__train_deviations(csim__trainer *t);

/** Room for steps. Local. */
csim_status csim__train_room(csim__trainer *t);
void csim__train_room_clear(csim__trainer *t);

/** What a step gives. */
typedef struct csim__step_result {
    double loss, positive, negative, gradient;
    int stop, save; /* agreed */
} csim__step_result;

/** One step: batch @p i at stop @p stop. Collective.
 *  @param[in]     learn  false: held-out examples, loss only
 *  @param[in,out] r      in: this rank's wish to stop, rank 0's to save; out: agreed
 *  @return CSIM_OK, CSIM_E_NUMERIC, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__train_step(csim__trainer *t, int64_t i, int stop, bool learn,
                             csim__step_result *r);

/** Write the checkpoint; read one and go on from it. Collective; agreed. */
csim_status csim__train_save(csim__trainer *t);
csim_status csim__train_restore(csim__trainer *t, const char *path);

#endif
