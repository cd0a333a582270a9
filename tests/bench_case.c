#include "bench_case.h"

#include <stdlib.h>

#include "core/rng.h"

static double *numbers(int64_t count, uint64_t stream)
{
    csim__rng rng = csim__rng_start(99, stream);
    double *x = malloc((size_t)count * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) { x[i] = csim__rng_normal(&rng); }
    return x;
}

static void open_sets(csim_context *on, bench_case *c)
{
    static const char *const layer[BENCH_LAYERS] = {"first", "second"};
    static const char *const set[BENCH_SETS] = {"a", "b", "c"};
    csim_memory_site site[BENCH_LAYERS];
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) {
            site[l] = (csim_memory_site){layer[l], CSIM_F64, c->d[s][l], c->x[s][l]};
        }
        assert_int_equal(csim_set_from_memory(on, set[s], c->n, site, c->layers, &c->set[s]),
                         CSIM_OK);
    }
}

static void close_sets(bench_case *c)
{
    for (int s = 0; s < c->sets; s++) { csim_set_free(&c->set[s]); }
}

bench_case bench_case_make(int n, int sets, int layers, const int *d, int related, double noise)
{
    enum { HIDDEN = 4 };
    bench_case c = {.sets = sets, .layers = layers, .n = n};
    double *hidden = numbers((int64_t)n * HIDDEN, 1);
    for (int s = 0; s < sets; s++) {
        for (int l = 0; l < layers; l++) {
            int w = c.d[s][l] = d[s * layers + l];
            double *a = numbers(HIDDEN * w, (uint64_t)(10 + l));
            double *x = c.x[s][l] = numbers((int64_t)n * w, (uint64_t)(100 + s * layers + l));
            for (int64_t i = 0; i < (int64_t)n * w; i++) {
                x[i] *= noise;
                for (int h = 0; related && h < HIDDEN; h++) {
                    x[i] += hidden[i / w * HIDDEN + h] * a[h * w + i % w];
                }
            }
            free(a);
        }
    }
    free(hidden);
    return c;
}

void bench_case_free(bench_case *c)
{
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) { free(c->x[s][l]); }
    }
}

csim_encoder *bench_case_encoder(csim_context *on, const char *measure, int width, int inits)
{
    csim_encoder *e = NULL;
    assert_int_equal(csim__calloc(on, 1, sizeof *e, "an encoder", &e), CSIM_OK);
    e->ctx = on;
    assert_int_equal(csim__strdup(on, "made.nc", &e->path), CSIM_OK);
    assert_int_equal(csim__strdup(on, measure, &e->measure), CSIM_OK);
    assert_int_equal(csim__calloc(on, 1, sizeof *e->width, "w", &e->width), CSIM_OK);
    assert_int_equal(csim__calloc(on, 1, sizeof *e->model, "m", &e->model), CSIM_OK);
    assert_int_equal(csim__strdup(on, "", &e->model[0]), CSIM_OK);
    assert_int_equal(csim__calloc(on, 1, sizeof *e->hidden, "h", &e->hidden), CSIM_OK);
    e->inputs = e->hidden_count = 1;
    e->width[0] = width;
    e->hidden[0] = 9;
    e->inits = inits;
    assert_int_equal(csim__encoder_layout(e, 5), CSIM_OK);
    csim__rng rng = csim__rng_start(3, 0);
    for (int64_t i = 0; i < inits * e->net.parameters; i++) {
        e->params[i] = (float)csim__rng_normal(&rng);
    }
    return e;
}

csim_status bench_case_run(csim_context *on, bench_case *c, const csim_bench_measure *m, int count,
                           csim_retrieval_options o, int drop, csim_bench **bench)
{
    open_sets(on, c);
    csim_status st =
        csim_bench_retrieval(on, c->set, c->sets, m, count, &o, drop, NULL, NULL, bench);
    close_sets(c);
    assert_true(harness_same(on, st));
    return st;
}

csim_bench *bench_case_must(csim_context *ctx, bench_case *c, const csim_bench_measure *m,
                            int count, csim_retrieval_options o)
{
    csim_bench *bench = NULL;
    csim_status st = bench_case_run(ctx, c, m, count, o, 0, &bench);
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(ctx)); }
    assert_int_equal(st, CSIM_OK);
    return bench;
}
