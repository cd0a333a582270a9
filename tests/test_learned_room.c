/* What learned measures take in a sweep: memory and progress are as planned. */
#include "case_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct watch {
    double done, total, encoded;
} watch;

static void look(void *user, const char *phase, double done, double total)
{
    watch *w = user;
    assert_true(done >= w->done);
    if (strcmp(phase, "encoding") == 0) { w->encoded += done - w->done; }
    w->done = done;
    w->total = total;
}

typedef struct shape {
    int n, d, sites, hidden, out, inits;
    const char *measure;
} shape;

/* An encoder of a real size, initialised as training does. */
static csim_encoder *big_encoder(csim_context *ctx, const shape *s)
{
    csim_encoder *e = NULL;
    assert_int_equal(csim__calloc(ctx, 1, sizeof *e, "an encoder", &e), CSIM_OK);
    e->ctx = ctx;
    e->inputs = e->hidden_count = 1;
    e->inits = s->inits;
    assert_int_equal(csim__strdup(ctx, s->measure, &e->measure), CSIM_OK);
    assert_int_equal(csim__strdup(ctx, "big.nc", &e->path), CSIM_OK);
    assert_int_equal(csim__alloc(ctx, 1, sizeof *e->width, "widths", &e->width), CSIM_OK);
    assert_int_equal(csim__calloc(ctx, 1, sizeof *e->model, "models", &e->model), CSIM_OK);
    assert_int_equal(csim__strdup(ctx, "", &e->model[0]), CSIM_OK);
    assert_int_equal(csim__alloc(ctx, 1, sizeof *e->hidden, "widths", &e->hidden), CSIM_OK);
    e->width[0] = s->d;
    e->hidden[0] = s->hidden;
    assert_int_equal(csim__encoder_layout(e, s->out), CSIM_OK);
    for (int i = 0; i < s->inits; i++) {
        csim__net_initialise(&e->net, (uint64_t)i + 1, e->params + i * e->net.parameters);
    }
    return e;
}

/* The plan, the highest use of counted memory, the progress of a sweep of all pairs. */
static void run_planned(csim_context *ctx, const shape *s, csim_sweep_cost *cost, int64_t *peak,
                        watch *seen)
{
    enum { LISTS = 4 << 10 }; /* of sites, cells and phases, some bytes each */
    char folder[CASE_PATH], spec[CASE_PATH + 8];
    double *x = ref_alloc((int64_t)s->n * s->d * s->sites, sizeof *x);
    sweep_case c = {.pairs = "all"};
    csim_set *set = NULL;
    csim_results *r = NULL;
    ref_random_matrix(77, s->n, s->d * s->sites, x);
    for (int i = 0; i < s->sites; i++) {
        case_add(&c, "a", x + (int64_t)i * s->n * s->d, s->n, s->d);
    }
    case_write(ctx, &c, folder);
    csim_encoder *e = big_encoder(ctx, s); /* which is in the plan */
    int64_t before = csim_context_memory_live(ctx);
    const csim_encoder *list = e;
    csim_sweep_measure measure = {csim_measure_find(s->measure), NULL};
    csim_sweep_options o = {.measures = &measure,
                            .measure_count = 1,
                            .pairs = "all",
                            .encoders = &list,
                            .encoder_count = 1,
                            .progress = look,
                            .progress_user = seen};
    csim_input_options input = {.neuron_axis = -1};
    snprintf(spec, sizeof spec, "a=%s/a", folder);
    assert_int_equal(csim_set_open(ctx, spec, &input, &set), CSIM_OK);
    assert_int_equal(csim_sweep_plan(ctx, &set, 1, &o, cost), CSIM_OK);
    before = csim_context_memory_live(ctx) - before; /* of the set */
    assert_int_equal(csim_sweep(ctx, &set, 1, &o, &r), CSIM_OK);
    int64_t mine = csim_context_memory_peak(ctx) - before - LISTS;
    MPI_Allreduce(&mine, peak, 1, MPI_INT64_T, MPI_MAX, csim_context_comm(ctx));
    csim_results_free(&r);
    csim_set_free(&set);
    csim_encoder_free(&e);
    case_remove(ctx, &c, folder);
    free(x);
}

static void memory_is_as_planned(void **state)
{
    (void)state;
    static const shape list[] = {
        {4000, 40, 6, 256, 128, 1, "contrasim"}, /* chunks of encoded rows */
        {4000, 40, 6, 256, 128, 1, "deepcka"},   /* all of them */
        {2000, 16, 12, 64, 200, 1, "deepcka"},   /* blocks */
        {1000, 200, 2, 512, 64, 3, "mscon"},     /* parameters and a hidden layer */
        {4000, 8, 2, 1500, 16, 1, "deepdot"},    /* a hidden layer */
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        csim_context *ctx = harness_context();
        csim_sweep_cost cost;
        int64_t peak;
        watch seen = {.done = 0};
        run_planned(ctx, &list[i], &cost, &peak, &seen);
        double ratio = (double)peak / (double)(cost.example_bytes + cost.tile_bytes);
        if (!(ratio <= 1 && ratio >= 0.9) && csim_context_rank(ctx) == 0) {
            print_error("%s, %d x %d x %d: peak %.2f MiB, planned %.2f MiB\n", list[i].measure,
                        list[i].sites, list[i].n, list[i].d, (double)peak / 1048576,
                        (double)(cost.example_bytes + cost.tile_bytes) / 1048576);
        }
        wrong += !(ratio <= 1 && ratio >= 0.9);
        if (csim_context_rank(ctx) == 0) { /* estimated from the share of rank 0 */
            bool exact = csim_context_size(ctx) > 1 || fabs(seen.done / seen.total - 1) < 1e-9;
            wrong += !(exact && seen.total == cost.flops && seen.encoded > 0);
        }
        MPI_Bcast(&wrong, 1, MPI_INT, 0, csim_context_comm(ctx));
        harness_context_free(&ctx);
    }
    assert_int_equal(wrong, 0);
}

/* Reading takes the file and its content at the same time: as much as is said, and no more than a limit. */
static void reading_is_bounded(void **state)
{
    (void)state;
    const shape s = {0, 300, 0, 900, 64, 1, "contrasim"};
    csim_context *ctx = harness_context();
    csim__checkpoint *c = NULL;
    csim_encoder *e = big_encoder(ctx, &s), *back = NULL;
    int64_t own = 4 * csim_encoder_parameters(e), live, peak;
    assert_int_equal(csim__checkpoint_create(ctx, &c), CSIM_OK);
    assert_int_equal(csim__encoder_store(e, c), CSIM_OK);
    assert_int_equal(csim__checkpoint_write(ctx, c, "reading.nc"), CSIM_OK);
    csim__checkpoint_free(ctx, &c);
    csim_encoder_free(&e);
    harness_context_free(&ctx);

    ctx = harness_context(); /* whose peak is that of reading */
    live = csim_context_memory_live(ctx);
    assert_int_equal(csim__encoder_read(ctx, "reading.nc", live + 2 * own, &back), CSIM_E_MEM);
    assert_non_null(strstr(csim_context_error(ctx), "reading.nc: reading it takes"));
    assert_null(back);
    csim__forgive(ctx);
    peak = csim_context_memory_peak(ctx);
    assert_true(peak - live < own / 2);
    assert_int_equal(csim__encoder_read(ctx, "reading.nc", live + 2 * own + own / 10, &back),
                     CSIM_OK);
    peak = csim_context_memory_peak(ctx) - live;
    double told = (double)csim__encoder_reading(back, csim_context_rank(ctx));
    assert_true(told > 0.9 * (double)peak && told < 1.1 * (double)peak);
    csim_encoder_free(&back);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_as_planned),
        cmocka_unit_test(reading_is_bounded),
    };
    return harness_finish(cmocka_run_group_tests_name("learned_room", tests, NULL, NULL));
}
