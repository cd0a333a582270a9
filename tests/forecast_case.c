#include "forecast_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/shapes.h"
#include "reference.h"

void make_input(csim_context *ctx, const problem *p, bool values, input *in)
{
    int count = 0;
    memset(in, 0, sizeof *in);
    for (int s = 0; s < p->sites; s++) {
        snprintf(in->name[s], sizeof in->name[s], "l%d", s);
        if (values) {
            in->x[s] = ref_alloc((int64_t)p->n * p->width[s], sizeof(double));
            ref_random_matrix(70 + s, p->n, p->width[s], in->x[s]);
        }
        in->site[s] = (csim_memory_site){
            .name = in->name[s], .dtype = CSIM_F64, .d = p->width[s], .rows = in->x[s]};
    }
    csim_status st = values ? csim_set_from_memory(ctx, "m", p->n, in->site, p->sites, &in->set)
                            : csim__set_of_shapes(ctx, "m", p->n, in->site, p->sites, &in->set);
    assert_int_equal(st, CSIM_OK);
    for (; count < MEASURES && p->measures[count] != NULL; count++) {
        const csim_measure *m = csim_measure_find(p->measures[count]);
        assert_non_null(m);
        assert_null(m->options);
        in->measure[count] = (csim_sweep_measure){.measure = m};
    }
    in->options = (csim_sweep_options){.measures = in->measure,
                                       .measure_count = count,
                                       .pairs = p->pairs,
                                       .precision = p->precision};
}

void free_input(input *in)
{
    csim_set_free(&in->set);
    for (int s = 0; s < SITES; s++) { free(in->x[s]); }
}

csim_status foretell(csim_context *ctx, input *in, int size, const csim__machine *machine,
                     csim__forecast *f)
{
    csim__target target = {.machine = machine, .nodes = 1, .bytes_per_number = 4};
    return csim__sweep_forecast(ctx, &in->set, 1, &in->options, size, &target, f);
}

void near(double got, double expected)
{
    if (fabs(got - expected) > 1e-9 * expected) {
        print_error("found %.12g, expected %.12g\n", got, expected);
        fail();
    }
}

void same_forecast(const csim__forecast *a, const csim__forecast *b)
{
    assert_int_equal(a->pairs, b->pairs);
    assert_memory_equal(a->routes, b->routes, sizeof a->routes);
    assert_int_equal(a->round, b->round);
    assert_int_equal(a->peak, b->peak);
    assert_int_equal(a->rank, b->rank);
    assert_int_equal(a->when, b->when);
    for (int i = 0; i < CSIM__ROOM_COUNT; i++) {
        assert_int_equal(a->room.array[i].bytes, b->room.array[i].bytes);
    }
    assert_true(a->flops == b->flops);
    assert_true(a->mean_peak == b->mean_peak);
    assert_true(a->effort.read == b->effort.read && a->effort.moved == b->effort.moved);
}
