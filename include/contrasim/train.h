/** @file train.h  Data-parallel training of encoders: ContraSim, DeepDot, DeepCKA, MSCon. */
#ifndef CONTRASIM_TRAIN_H
#define CONTRASIM_TRAIN_H

#include "contrasim/encoder.h"
#include "contrasim/options.h"
#include "contrasim/reps.h"
#include "contrasim/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is minimised. */
typedef enum csim_loss {
    CSIM_LOSS_CONTRASTIVE, /**< positives against all others of the batch; measure contrasim */
    CSIM_LOSS_DEEPDOT,     /**< −mean cosine of matching rows; positives only */
    CSIM_LOSS_DEEPCKA,     /**< −linear CKA of matching layers; positives only */
    CSIM_LOSS_MSCON        /**< contrastive by labels, several notions of similarity at once */
} csim_loss;

/** What an item of the contrastive loss is. */
typedef enum csim_item {
    CSIM_ITEM_ROW, /**< one example of one set; positives: the same example in the other sets */
    CSIM_ITEM_SET  /**< the batch's rows of one layer; positives: the layer at the same place of the
                        other sets */
} csim_item;

/** Options of training; `csim_train_option_table` describes them. What is not given (negative, or
 *  −1 of a choice) takes the default of its recipe, see csim_train_resolve(). */
typedef struct csim_train_options {
    int loss, item; /**< csim_loss, csim_item */

    const char *hidden; /**< widths of hidden layers joined by ','; "none" */
    int64_t out;
    int activation, input_layer;

    double temperature, base_temperature; /**< base 0: no factor τ/base */
    int64_t views;                        /**< augmented copies of each row of each set */
    double view_noise;   /**< Gaussian noise, in standard deviations of each neuron */
    double view_dropout; /**< part of the neurons set to 0 */

    const char
        *notions; /**< label variables joined by ',', without "label_"; NULL: all there are */
    int weights;  /**< 0 learned, 1 equal */
    int64_t head_out;

    int64_t epochs, batch;
    int optimiser; /**< −1 recipe, 0 adam, 1 sgd */
    double rate, momentum, decay;
    double rate_factor; /**< of the rate after every epoch */
    int schedule;       /**< 0 constant (times rate_factor per epoch), 1 cosine to 0 */
    int64_t warmup;     /**< epochs in which the rate rises to its full value */
    double clip;        /**< largest norm of a gradient, 0 = any */
    int64_t seed, inits;
    int early_stop;
    int64_t patience;
    double held_out; /**< part of the examples that early stopping holds out */
} csim_train_options;

/** Sections of the table: what the encoder is and what it learns; how it is optimised. */
extern const csim_option csim_train_option_table[];

/** Fill in the defaults of the recipe: row items, set items, MSCon. Local.
 *  @return CSIM_OK, CSIM_E_USAGE for options that contradict each other */
csim_status csim_train_resolve(csim_context *ctx, csim_train_options *options);

/** The measure that the encoder will define, "contrasim", … Local. */
const char *csim_train_measure(const csim_train_options *options);

/** How a training is run. Everything is borrowed for the call. */
typedef struct csim_train_run {
    const char *output; /**< checkpoint; PATH.prev is the generation before */
    int resume;         /**< go on from `output` if it is there */
    int overwrite;
    /** Asked on every rank after every step: anything but 0 on any rank stops the training, with
     *  everything saved. NULL = never. */
    int (*stop)(void *user);
    void *stop_user;
    int nan_drop_rows; /**< leave out examples with NaN or Inf, else they are an error */
    csim_progress_fn progress;
    void *progress_user;
} csim_train_run;

/** Train an encoder and write its checkpoint. Collective.
 *  @param[in] sets     opened sets over the same examples; row items take their layers pairwise by
 *                      place, so all need as many
 *  @param[in] options  resolved
 *  @return CSIM_OK, CSIM_E_STOPPED (stopped early, everything saved), CSIM_E_USAGE, CSIM_E_SHAPE
 *          (unequal numbers of layers), CSIM_E_DATA (no positives, NaN, one example), CSIM_E_EXISTS,
 *          CSIM_E_NUMERIC (the loss is not finite), CSIM_E_IO, CSIM_E_FORMAT, CSIM_E_MISMATCH
 *          (resume with other data or options), CSIM_E_MEM; the same on every rank
 *  @note   a step: 6·parameters flops a row less 2·width·hidden of the first layer, and for row
 *          items 4·M²·out; memory per rank: its rows of two epochs in float32, the activations of
 *          its part of a batch, M·M/P floats for row items, and per chunk one gradient */
csim_status csim_train(csim_context *ctx, csim_set *const *sets, int set_count,
                       const csim_train_options *options, const csim_train_run *run);

#ifdef __cplusplus
}
#endif
#endif
