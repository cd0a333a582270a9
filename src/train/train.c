/* Training: inits, epochs, steps; curves, early stopping, checkpoints, going on. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "io/file.h"
#include "train/trainer.h"

static const double SAVE_S = 600; /* the longest time between two checkpoints */
#define STOP_STREAM ((uint64_t)1 << 60)

/* ---- curves ---- */

static csim_status make_curves(csim__trainer *t)
{
    int64_t many = t->options->inits * t->options->epochs;
    csim_status st = CSIM_OK;
    for (int k = 0; k < CSIM__CURVES; k++) {
        CSIM_TRY(csim__alloc(t->ctx, many, sizeof(double), "learning curves", &t->curve[k]));
        for (int64_t i = 0; i < many; i++) { t->curve[k][i] = NAN; }
    }
    CSIM_TRY(csim__alloc(t->ctx, many * t->notions, sizeof(double), "learning curves",
                         &t->weight_curve));
    for (int64_t i = 0; i < many * t->notions; i++) { t->weight_curve[i] = NAN; }
done:
    return st;
}

static double *curve_at(const csim__trainer *t, int k, int64_t epoch)
{
    return &t->curve[k][t->init * t->options->epochs + epoch];
}

/* Close the books of the epoch that has just ended. */
static void note_epoch(csim__trainer *t, double held_out)
{
    const csim__net *net = &t->encoder->net;
    double steps = (double)t->tally.steps;
    *curve_at(t, CSIM__CURVE_LOSS, t->epoch) = t->tally.loss / steps;
    *curve_at(t, CSIM__CURVE_POSITIVE, t->epoch) =
        csim__tally_mean(t->tally.positive, t->tally.positives);
    *curve_at(t, CSIM__CURVE_NEGATIVE, t->epoch) =
        csim__tally_mean(t->tally.negative, t->tally.negatives);
    *curve_at(t, CSIM__CURVE_MARGIN, t->epoch) =
        *curve_at(t, CSIM__CURVE_POSITIVE, t->epoch) - *curve_at(t, CSIM__CURVE_NEGATIVE, t->epoch);
    *curve_at(t, CSIM__CURVE_GRADIENT, t->epoch) = t->tally.gradient / steps;
    *curve_at(t, CSIM__CURVE_RATE, t->epoch) = csim__train_rate(t->options, t->epoch);
    *curve_at(t, CSIM__CURVE_HELD_OUT, t->epoch) = held_out;
    for (int c = 0; c < t->notions; c++) {
        int64_t at = (t->init * t->options->epochs + t->epoch) * t->notions + c;
        t->weight_curve[at] = net->weights < 0 ? 0 : (double)t->params[net->weights + c];
    }
}

static void say_epoch(csim__trainer *t)
{
    char extra[128] = "", which[64] = "";
    csim_log_value values[CSIM__CURVES + 2] = {{"epoch", (double)(t->epoch + 1)}};
    static const char *const names[CSIM__CURVES] = {
        "loss", "positive", "negative", "margin", "gradient_norm", "learning_rate", "held_out"};
    int count = 1;
    if (t->options->inits > 1) {
        snprintf(which, sizeof which, "init %" PRId64 " of %" PRId64 ", ", t->init + 1,
                 t->options->inits);
        values[count++] = (csim_log_value){"init", (double)(t->init + 1)};
    }
    for (int k = 0; k < CSIM__CURVES; k++) {
        double v = *curve_at(t, k, t->epoch);
        if (isfinite(v)) { values[count++] = (csim_log_value){names[k], v}; }
    }
    if (t->held > 0) {
        snprintf(extra, sizeof extra, ", held-out loss %.5g",
                 *curve_at(t, CSIM__CURVE_HELD_OUT, t->epoch));
    }
    csim__log_values(
        t->ctx, CSIM_LOG_INFO, "epoch", values, count,
        "%sepoch %" PRId64 " of %" PRId64
        ": loss %.5g, similarity %.3f of positives, %.3f of others, gradient %.3g%s",
        which, t->epoch + 1, t->options->epochs, *curve_at(t, CSIM__CURVE_LOSS, t->epoch),
        *curve_at(t, CSIM__CURVE_POSITIVE, t->epoch), *curve_at(t, CSIM__CURVE_NEGATIVE, t->epoch),
        *curve_at(t, CSIM__CURVE_GRADIENT, t->epoch), extra);
}

/* ---- one init ---- */

/* What a reader of the checkpoint gets: the best encoder with early stopping, else the last. */
static void publish(csim__trainer *t)
{
    int64_t size = t->encoder->net.parameters;
    if (t->held == 0 || t->best_epoch == t->epoch) {
        memcpy(t->encoder->params + t->init * size, t->params, (size_t)size * sizeof(float));
    }
}

static csim_status start_init(csim__trainer *t)
{
    int64_t size = t->encoder->net.parameters;
    uint64_t seed = (uint64_t)t->options->seed + (uint64_t)t->init;
    csim__net_initialise(&t->encoder->net, seed, t->params);
    memset(t->state1, 0, (size_t)size * sizeof(float));
    memset(t->state2, 0, (size_t)size * sizeof(float));
    t->epoch = t->batch = t->stop_at = t->step = 0;
    t->tally = (csim__tally){.steps = 0};
    t->best = INFINITY;
    t->best_epoch = 0;
    t->finished = false;
    publish(t);
    return CSIM_OK;
}

/* Order of the stops within a batch: seeded, another one for every batch of every epoch. */
static void order_stops(csim__trainer *t)
{
    uint64_t number = (uint64_t)t->epoch * (uint64_t)t->batches.count + (uint64_t)t->batch;
    csim__rng rng = csim__rng_start(t->batches.seed, STOP_STREAM + number);
    for (int64_t k = 0; k < t->stops; k++) { t->stop_order[k] = k; }
    csim__rng_shuffle(&rng, t->stop_order, t->stops);
}

static csim_status held_out_loss(csim__trainer *t, double *loss)
{
    double sum = 0;
    *loss = NAN;
    if (t->held == 0) { return CSIM_OK; }
    csim__phase_begin(t->ctx, "held out");
    csim_status st = CSIM_OK;
    for (int64_t i = 0; st == CSIM_OK && i < t->held_batches.count; i++) {
        for (int s = 0; st == CSIM_OK && s < t->stops; s++) {
            csim__step_result r = {.loss = 0};
            st = csim__train_step(t, i, s, false, &r);
            sum += r.loss * (double)t->layout[2 + (i == t->held_batches.count - 1)].rows;
        }
    }
    *loss = sum / (double)(t->held * t->stops);
    csim__phase_end(t->ctx, 0, 0);
    return st;
}

/* Flops of the products of a whole batch at one stop. */
static double step_flops(const csim__trainer *t, int stop)
{
    const csim__stop *s = &t->stop[stop];
    double rows = (double)t->batches.batch, items = rows * t->copies, flops = 0,
           e = t->options->out;
    int64_t views = t->options->item == CSIM_ITEM_SET ? 1 : t->options->views;
    for (int i = 0; i < s->runs; i++) {
        flops += csim__chain_flops(&t->encoder->net.encoder[s->run[i].input],
                                   t->batches.batch * s->run[i].count * views, false);
    }
    if (t->options->item == CSIM_ITEM_SET) { return flops + 3.0 * s->count * s->count * rows * e; }
    return flops + (t->s != NULL ? 4 * items * items * e : 0);
}

static void tell(csim__trainer *t)
{
    if (t->run->progress == NULL || csim_context_rank(t->ctx) != 0) { return; }
    double a_batch = (double)t->stops, an_epoch = a_batch * (double)t->batches.count;
    double an_init = an_epoch * (double)t->options->epochs;
    double done = (double)t->init * an_init + (double)t->epoch * an_epoch +
                  (double)t->batch * a_batch + (double)t->stop_at;
    t->run->progress(t->run->progress_user, "training", done * t->flops,
                     an_init * (double)t->options->inits * t->flops);
}

static csim_status checkpoint(csim__trainer *t)
{
    csim_status st = csim__train_save(t);
    t->saved_s = csim__now();
    return st;
}

/* The steps of a batch that are left. *stop: a rank wishes to. */
static csim_status one_batch(csim__trainer *t, int *stop)
{
    csim_status st = CSIM_OK;
    order_stops(t);
    while (st == CSIM_OK && t->stop_at < t->stops && !*stop) {
        csim__step_result r = {.loss = 0};
        r.stop = t->run->stop != NULL && t->run->stop(t->run->stop_user) != 0;
        r.save = csim_context_rank(t->ctx) == 0 && csim__now() - t->saved_s > SAVE_S;
        st = csim__train_step(t, t->batch, (int)t->stop_order[t->stop_at], true, &r);
        if (st != CSIM_OK) { break; }
        t->tally.loss += r.loss;
        csim__tally_similarities(&t->tally, r.positive, r.negative);
        t->tally.gradient += r.gradient;
        t->tally.steps++;
        t->stop_at++;
        tell(t);
        *stop = r.stop;
        t->save_wanted |= r.save;
    }
    return st;
}

/* The batches of an epoch that are left, while those of the next one travel. */
static csim_status rest_of_epoch(csim__trainer *t, int *stop)
{
    csim__batches *b = &t->batches;
    bool more = t->epoch + 1 < t->options->epochs;
    csim_status moved = CSIM_OK;
    csim_status st = csim__batches_go(b, (uint64_t)(t->options->seed + t->init), t->epoch);
    for (int64_t i = 0; st == CSIM_OK && more && i < t->batch; i++) { /* after a resume */
        st = csim__batches_send(b, i);
        if (st == CSIM_OK) { st = csim__batches_receive(b); }
    }
    csim__phase_begin(t->ctx, "epoch");
    while (st == CSIM_OK && t->batch < b->count && !*stop) {
        if (more) { moved = csim__batches_send(b, t->batch); }
        st = one_batch(t, stop);
        csim_status came = csim__batches_receive(b);
        if (st == CSIM_OK) { st = moved != CSIM_OK ? moved : came; }
        if (t->stop_at == t->stops) {
            t->stop_at = 0;
            t->batch++;
        }
        if (t->save_wanted && st == CSIM_OK && !*stop && t->batch < b->count) {
            t->save_wanted = false;
            st = checkpoint(t);
        }
    }
    csim__phase_end(t->ctx, 0, 0);
    return csim__vote(t->ctx, st);
}

/* Is the best epoch too long ago? */
static bool is_late(const csim__trainer *t)
{
    return t->held > 0 && t->epoch - 1 - t->best_epoch >= t->options->patience;
}

static csim_status end_epoch(csim__trainer *t)
{
    double held_out = NAN;
    csim_status st = held_out_loss(t, &held_out);
    if (st != CSIM_OK) { return st; }
    note_epoch(t, held_out);
    if (t->held > 0 && held_out < t->best) {
        t->best = held_out;
        t->best_epoch = t->epoch;
    }
    publish(t);
    say_epoch(t);
    t->epoch++;
    bool late = is_late(t);
    t->batch = t->stop_at = 0;
    t->tally = (csim__tally){.steps = 0};
    t->finished = late || t->epoch == t->options->epochs;
    if (late) {
        csim__log(t->ctx, CSIM_LOG_INFO,
                  "stopped after epoch %" PRId64 ": epoch %" PRId64 " had the lowest loss, %.5g",
                  t->epoch, t->best_epoch + 1, t->best);
    }
    if (!t->finished) { csim__batches_turn(&t->batches); }
    return checkpoint(t);
}

static csim_status explain(csim__trainer *t, csim_status st)
{
    char why[512];
    if (st != CSIM_E_NUMERIC) { return st; }
    snprintf(why, sizeof why, "%s", csim_context_error(t->ctx));
    csim__forgive(t->ctx);
    return csim__fail(t->ctx, st,
                      "epoch %" PRId64 ", step %" PRId64
                      ": %s; a smaller --lr or --clip may help. What was saved before is kept",
                      t->epoch + 1, t->step + 1, why);
}

static csim_status train_init(csim__trainer *t, int *stop)
{
    csim_status st = CSIM_OK;
    if (t->options->epochs == 0) { t->finished = true; }
    while (st == CSIM_OK && !t->finished && !*stop) {
        st = rest_of_epoch(t, stop);
        if (st == CSIM_OK && t->batch == t->batches.count) { st = end_epoch(t); }
    }
    if (st == CSIM_OK && *stop && !t->finished) { st = checkpoint(t); }
    return explain(t, st);
}

/* ---- all of it ---- */

/* Which generation to go on from: 1 = the checkpoint, 2 = the one before, 0 = there is none. Rank 0
 * looks. Agreed. */
static csim_status find_checkpoint(csim__trainer *t, const char *before, int *found)
{
    *found = 0;
    if (csim_context_rank(t->ctx) == 0) {
        *found = access(t->run->output, F_OK) == 0 ? 1 : access(before, F_OK) == 0 ? 2 : 0;
    }
    return csim__vote(t->ctx,
                      csim__mpi(t->ctx, MPI_Bcast(found, 1, MPI_INT, 0, csim_context_comm(t->ctx)),
                                "the checkpoint"));
}

/* Go on from the checkpoint before, as the last one cannot be used. */
static csim_status fall_back(csim__trainer *t, const char *before, const char *why)
{
    char also[512];
    csim_status st = csim__train_restore(t, before);
    if (st == CSIM_OK) {
        csim__log(t->ctx, CSIM_LOG_WARNING, "%s; going on from %s", why, before);
    } else if (st == CSIM_E_FORMAT || st == CSIM_E_IO) {
        snprintf(also, sizeof also, "%s", csim_context_error(t->ctx));
        csim__forgive(t->ctx);
        st = csim__vote(t->ctx,
                        csim__fail(t->ctx, CSIM_E_FORMAT, "%s; the one before: %s", why, also));
    }
    return st;
}

/* Go on from the checkpoint, or from the one before where it is damaged or not there. */
static csim_status resume(csim__trainer *t, bool *resumed)
{
    const char *output = t->run->output;
    char *before = NULL, why[512];
    int found = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(t->ctx, csim__file_previous(t->ctx, output, &before)));
    CSIM_TRY(find_checkpoint(t, before, &found));
    *resumed = found > 0;
    if (!*resumed) { goto done; }
    snprintf(why, sizeof why, "%s is not there", output);
    if (found == 1) {
        st = csim__train_restore(t, output);
        if (st == CSIM_E_FORMAT) {
            snprintf(why, sizeof why, "%s", csim_context_error(t->ctx));
            csim__forgive(t->ctx);
            found = 2;
            st = CSIM_OK;
        }
        CSIM_TRY(st);
    }
    bool damaged = csim__file_exists(output) && found == 2;
    if (found == 2) { CSIM_TRY(fall_back(t, before, why)); }
    /* else the next checkpoint would make it the one before, in the place of the good one */
    if (damaged && csim_context_rank(t->ctx) == 0) { st = csim__file_set_aside(t->ctx, output); }
    CSIM_TRY(csim__vote(t->ctx, st));
    t->finished = t->finished && (t->epoch == t->options->epochs || is_late(t));
    csim__log(t->ctx, CSIM_LOG_INFO, "%s: going on after epoch %" PRId64 ", step %" PRId64,
              found == 1 ? output : before, t->epoch, t->step);
done:
    csim__free(t->ctx, &before);
    return st;
}

/* Nothing of a training that is there may be lost by accident. Rank 0 asks the file system. */
static csim_status check_output(csim__trainer *t)
{
    if (csim_context_rank(t->ctx) != 0) { return CSIM_OK; }
    if (t->run->output == NULL) { return csim__fail(t->ctx, CSIM_E_USAGE, "no output is named"); }
    csim_status st =
        csim__file_check_output(t->ctx, t->run->output, t->run->resume || t->run->overwrite);
    if (st != CSIM_OK) { return st; }
    return csim__file_check_sets(t->ctx, "output", t->run->output, t->sets, t->set_count);
}

static void announce(csim__trainer *t)
{
    const csim__net *net = &t->encoder->net;
    const csim_shard *s = &t->layout[0].shard;
    csim__log(t->ctx, CSIM_LOG_INFO,
              "sets: %d, layers: %d, examples: %" PRId64 " (%" PRId64
              " held out), parameters: %" PRId64 ", ranks: %d",
              t->set_count, t->sites, t->examples, t->held, net->parameters,
              csim_context_size(t->ctx));
    csim__log(t->ctx, CSIM_LOG_INFO,
              "%" PRId64 " batches of %" PRId64 " examples in %" PRId64
              " chunks, %d step%s a batch",
              t->batches.count, t->batches.batch, s->chunks, t->stops, t->stops == 1 ? "" : "s");
    if (s->chunks < s->size) {
        csim__log(t->ctx, CSIM_LOG_WARNING,
                  "%" PRId64 " of %d ranks have nothing to do: a batch has %" PRId64
                  " chunks; a larger --batch has more",
                  s->size - s->chunks, s->size, s->chunks);
    }
}

static csim_status all_inits(csim__trainer *t, bool resumed)
{
    int stop = 0;
    csim_status st = CSIM_OK;
    for (bool fresh = !resumed; st == CSIM_OK && !stop; fresh = true) {
        if (fresh) {
            CSIM_TRY(start_init(t));
            CSIM_TRY(checkpoint(t));
        }
        CSIM_TRY(train_init(t, &stop));
        if (stop || t->init + 1 == t->options->inits) { break; }
        t->init++;
    }
    if (resumed && !stop && t->finished) { /* said also where nothing was left to do */
        csim__log(t->ctx, CSIM_LOG_INFO, "%s: finished", t->run->output);
    }
    if (stop && !(t->finished && t->init + 1 == t->options->inits)) {
        st = csim__vote(t->ctx, csim__fail(t->ctx, CSIM_E_STOPPED,
                                           "stopped in epoch %" PRId64
                                           " with everything saved in %s; --resume goes on",
                                           t->epoch + 1, t->run->output));
    }
done:
    return st;
}

csim_status csim_train(csim_context *ctx, csim_set *const *sets, int set_count,
                       const csim_train_options *options, const csim_train_run *run)
{
    csim__trainer t = {
        .ctx = ctx, .options = options, .run = run, .sets = sets, .set_count = set_count};
    bool resumed = false;
    csim_status st = CSIM_OK;
    csim__phase_begin(ctx, "train");
    CSIM_TRY(csim__vote(ctx, check_output(&t)));
    CSIM_TRY(csim__train_data(&t));
    CSIM_TRY(csim__vote(ctx, csim__train_room(&t)));
    CSIM_TRY(csim__vote(ctx, make_curves(&t)));
    announce(&t);
    t.saved_s = csim__now();
    for (int i = 0; i < t.stops; i++) { t.flops += step_flops(&t, i) / t.stops; }
    if (run->resume) { CSIM_TRY(resume(&t, &resumed)); }
    CSIM_TRY(all_inits(&t, resumed));
done:
    if (t.batches.sending >= 0 && t.batches.ctx != NULL) { csim__batches_receive(&t.batches); }
    for (int k = 0; k < CSIM__CURVES; k++) { csim__free(ctx, &t.curve[k]); }
    csim__free(ctx, &t.weight_curve);
    csim__train_room_clear(&t);
    csim__train_data_clear(&t);
    csim__phase_end(ctx, 0, 0);
    return st;
}
