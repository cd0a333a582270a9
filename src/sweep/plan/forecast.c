#include "sweep/plan/forecast.h"

#include <math.h>

const char *csim__why_key(csim__why why)
{
#define KEY(name, key, text) key,
    static const char *const keys[] = {CSIM__WHY_LIST(KEY)};
#undef KEY
    return keys[why];
}

const char *csim__why_text(csim__why why)
{
#define TEXT(name, key, text) text,
    static const char *const texts[] = {CSIM__WHY_LIST(TEXT)};
#undef TEXT
    return texts[why];
}

static void count_pairs(const csim__problem *p, const csim__plan *plan, csim__forecast *f)
{
    const unsigned tasks =
        CSIM_NEEDS_NUCLEAR | CSIM_NEEDS_CANONICAL | CSIM_NEEDS_UNIT | CSIM_NEEDS_BLOCK;
    f->pairs += plan->count;
    f->selves += plan->selves;
    for (int64_t i = 0; i < plan->count; i++) {
        const csim__planned *q = &plan->pairs[i];
        f->routes[q->route]++;
        f->large += q->large;
        f->decomposed += q->cell && (p->needs & tasks) && q->couple.left != q->couple.right;
    }
}

/* The arrays of all ranks. */
static void survey_ranks(const csim__problem *p, const csim__plan *plan, csim__forecast *f)
{
    if (csim__plan_bytes(plan) <= f->peak) { return; }
    csim__room_survey survey = csim__room_look(p, plan);
    double mean[CSIM__ROOM_COUNT] = {0}, mean_peak = 0, bytes = 0;
    csim__room room;
    for (int r = 0; r < p->size; r++) {
        if (!csim__room_repeats(p, plan, r)) {
            csim__room_of(p, plan, &survey, r, &room);
            bytes = (double)csim__room_peak(&room, NULL);
        }
        mean_peak += bytes / p->size;
        for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
            mean[i] += (double)room.array[i].bytes / p->size;
        }
    }
    f->peak = csim__room_peak(&plan->room, &f->when);
    f->rank = plan->room_rank;
    f->room = plan->room;
    f->mean_peak = mean_peak;
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) { f->mean[i] = mean[i]; }
}

/* Ranks that have no pair in the plan in which most of them have some. */
static void count_idle(const csim__problem *p, const csim__plan *plan, csim__forecast *f)
{
    int idle = 0;
    for (int r = 0; r < p->size; r++) { idle += !plan->busy[r]; }
    f->idle_pairs = f->plans == 1 || idle < f->idle_pairs ? idle : f->idle_pairs;
}

csim_status csim__forecast_add(csim_context *ctx, const csim__problem *p, const csim__plan *plan,
                               const csim__target *target, csim__forecast *f)
{
    csim_shard shard = csim__shard(p->n, 0, p->size);
    f->n = p->n;
    f->chunk = shard.chunk;
    f->chunks = shard.chunks;
    f->size = p->size;
    f->plans++;
    f->rounds += plan->many_rounds;
    f->passes += plan->passes;
    f->streamed = plan->streamed;
    for (int s = 0; s < p->sites; s++) { f->loads += plan->reads[s]; }
    f->round = csim__max64(f->round, plan->round);
    f->flops += plan->flops;
    count_pairs(p, plan, f);
    survey_ranks(p, plan, f);
    f->idle_rows = (int)csim__max64(0, p->size - shard.chunks);
    f->teams = p->teams;
    /* MPI holds what comes from another rank while it adds it */
    f->beside = fmax(f->beside, target->machine->beside + (double)csim__room_messages(p, plan));
    count_idle(p, plan, f);
    csim__idle_add(&f->without, plan->without);
    return csim__effort_add(ctx, p, plan, target, &f->effort);
}
