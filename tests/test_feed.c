/* Rows that are fed by chunks, one site at a time, and the looks between chunks. */
#include "sweep_case.h"

#include <stdio.h>
#include <string.h>

#include "ingredients/basis.h"
#include "ingredients/feed.h"

static void same(const double *a, const double *b, int64_t count)
{
    assert_memory_equal(a, b, (size_t)count * sizeof *a);
}

/* Rows of a basis, chunk by chunk, against those that are held. */
static void same_rows(csim_context *ctx, const csim_shard *shard, csim__site *held,
                      csim__site *streamed, bool raw)
{
    csim__meter meter = {.size = csim_context_size(ctx)};
    const csim__basis *b = raw ? &held->raw_basis : &held->basis;
    csim__guest guest = {.site = streamed, .forms = raw ? CSIM__FORM_RAW_BASIS : CSIM__FORM_BASIS};
    csim__feed feed;
    if (held->n <= held->d) { /* rows of U are held in both */
        same(b->u, raw ? streamed->raw_basis.u : streamed->basis.u, shard->rows * b->q);
        return;
    }
    assert_int_equal(csim__feed_open(ctx, shard, &guest, 1, true, &meter, &feed), CSIM_OK);
    for (int64_t c = 0; c < shard->count; c++) {
        assert_int_equal(csim__feed_next(&feed), CSIM_OK);
        same(b->u + c * shard->chunk * b->q, raw ? guest.raw_basis : guest.basis,
             csim__chunk_rows(shard, shard->first + c) * b->q);
    }
    csim__feed_close(&feed);
}

/* Moments and bases, also of a layer with as few examples as neurons and of one without full rank. */
static void same_ingredients(void **state)
{
    (void)state;
    enum { SITES = 3 };
    static const int n = 300, width[SITES] = {310, 33, 20};
    csim_context *ctx = harness_context();
    csim__site site[2][SITES];
    csim_shard shard;
    char folder[CASE_PATH], spec[CASE_PATH + 8];
    sweep_case c = {.pairs = "all"};
    csim_set *set[2];
    csim_input_options input = {.neuron_axis = -1};
    csim__meter meter = {.size = csim_context_size(ctx)};
    case_mix(&c, n, width, SITES, 2, 0);
    double *x = case_values(&c, 1);
    for (int64_t i = 0; i < n; i++) { /* two pairs of equal neurons */
        memcpy(x + i * width[1], x + i * width[1] + 5, 2 * sizeof *x);
    }
    case_write(ctx, &c, folder);
    for (int k = 0; k < 2; k++) {
        snprintf(spec, sizeof spec, "%s/%c", folder, "ab"[k]);
        assert_int_equal(csim_set_open(ctx, spec, &input, &set[k]), CSIM_OK);
    }
    for (int k = 0; k < 2; k++) {
        csim__site *list[SITES];
        for (int s = 0; s < SITES; s++) {
            site[k][s] = (csim__site){.set = set[s / 2],
                                      .index = s % 2,
                                      .model = "m",
                                      .layer = "l",
                                      .d = width[s],
                                      .streamed = k == 1};
            list[s] = &site[k][s];
        }
        assert_int_equal(csim__ingest(ctx, site[k], SITES, CSIM_DOUBLE, &shard), CSIM_OK);
        csim__basis_options raw = {.raw = true}, centred = {.loading = true, .floor = 1e-10};
        assert_int_equal(csim__basis_build(ctx, &shard, list, SITES, &raw, &meter), CSIM_OK);
        assert_int_equal(csim__basis_build(ctx, &shard, list, SITES, &centred, &meter), CSIM_OK);
    }
    for (int s = 0; s < SITES; s++) {
        csim__site *a = &site[0][s], *b = &site[1][s];
        assert_null(b->x);
        same(a->mean, b->mean, a->d);
        same(a->norm, b->norm, a->d);
        same(a->row_square, b->row_square, shard.rows);
        same(&a->variance, &b->variance, 1);
        same(&a->square_of_norms, &b->square_of_norms, 1);
        assert_true(a->checksum == b->checksum);
        assert_int_equal(a->basis.q, b->basis.q);
        assert_int_equal(a->raw_basis.r, b->raw_basis.r);
        same(a->basis.sigma, b->basis.sigma, a->basis.q);
        same(a->raw_basis.sigma, b->raw_basis.sigma, a->raw_basis.q);
        same(a->basis.loading, b->basis.loading, a->basis.q * a->d);
        same_rows(ctx, &shard, a, b, false);
        same_rows(ctx, &shard, a, b, true);
        assert_int_equal(csim__site_hold(ctx, &shard, b, false), CSIM_OK);
        same(a->x, b->x, shard.rows * a->d);
    }
    for (int k = 0; k < 2; k++) {
        for (int s = 0; s < SITES; s++) { csim__site_release(ctx, &site[k][s]); }
        csim_set_free(&set[k]);
    }
    case_remove(ctx, &c, folder);
    case_unmix(&c);
    harness_context_free(&ctx);
}

/* Chunks of long work, and what one of them made of it. */
typedef struct long_work {
    int64_t done, failing;
    int looks, asked;
} long_work;

static csim_status work_on(void *user, int64_t chunk)
{
    long_work *w = user;
    assert_true(chunk == w->done++);
    return chunk == w->failing ? CSIM_E_DATA : CSIM_OK;
}

static int asked_then(void *user)
{
    long_work *w = user;
    return w->looks++ == w->asked;
}

/* A look before every chunk that takes long: no rank goes on where one is asked, or fails. */
static void looks_between_chunks(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int rank = csim_context_rank(ctx), size = csim_context_size(ctx), last = size - 1;
    csim_shard shard = csim__shard(64 * 11, rank, size); /* chunks, three at least on one of four */
    const struct {
        int asked, failing;
        csim_status st;
        int64_t done;
    } cases[] = {{-1, -1, CSIM_OK, 11},
                 {0, -1, CSIM_E_STOPPED, 0},
                 {2, -1, CSIM_E_STOPPED, 2},
                 {-1, 1, CSIM_E_DATA, 2},
                 {2, 1, CSIM_E_DATA, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        long_work w = {.failing = rank == last ? cases[i].failing : -1,
                       .asked = rank == 0 ? cases[i].asked : -1};
        csim__meter meter = {.size = size, .stop = asked_then, .stop_user = &w};
        csim_status st = csim__feed_chunks(ctx, &shard, &meter, CSIM_OK, 1e12, work_on, &w);
        assert_int_equal(st, cases[i].st);
        assert_int_equal(w.done, csim__min64(cases[i].done, shard.count));
        csim__forgive(ctx);
    }
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_ingredients),
                                       cmocka_unit_test(looks_between_chunks)};
    return harness_finish(cmocka_run_group_tests_name("feed", tests, NULL, NULL));
}
