/* Losses against plain double loops of their definitions, gradients against central differences of
 * those, and both against golden values. */
#include "harness.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "loss_reference.h"
#include "train/loss.h"

enum { MOST = 1100, WIDE = 16 };

/* ---- data ---- */

static void unit_rows(int n, int e, uint64_t seed, float *z)
{
    csim__rng rng = csim__rng_start(seed, 0);
    for (int i = 0; i < n; i++) {
        double row[WIDE], square = 0;
        for (int c = 0; c < e; c++) {
            row[c] = csim__rng_normal(&rng);
            square += row[c] * row[c];
        }
        for (int c = 0; c < e; c++) { z[i * e + c] = (float)(row[c] / sqrt(square)); }
    }
}

static void widen(int n, const float *x, double *y)
{
    for (int i = 0; i < n; i++) { y[i] = (double)x[i]; }
}

/* Items of two views of n/2 examples, of random labels, and of random labels with missing ones. */
enum { IDENTITY, LABELS, MISSING, KINDS };

static void labels_of(int kind, int n, int64_t *label)
{
    csim__rng rng = csim__rng_start(3, (uint64_t)kind);
    for (int i = 0; i < n; i++) {
        label[i] = kind == IDENTITY ? i % (n / 2) : csim__rng_below(&rng, 5) * 1000000007;
        if (kind == MISSING && csim__rng_below(&rng, 4) == 0) { label[i] = -1; }
    }
    if (kind == MISSING) { label[n / 2] = 77; } /* alone in its group */
}

/* Both halves for all items, the own ones in pieces. */
static double run(csim_context *ctx, const ref_problem *p, const float *z, int piece, double *loss,
                  float *dz)
{
    csim__groups groups = {0};
    float *s = NULL;
    double *sum = NULL, total = 0;
    assert_int_equal(csim__groups_make(ctx, p->n, p->label, &groups), CSIM_OK);
    assert_int_equal(csim__alloc(ctx, (int64_t)p->n * p->n, sizeof *s, "products", &s), CSIM_OK);
    assert_int_equal(csim__alloc(ctx, p->n, sizeof *sum, "sums", &sum), CSIM_OK);
    for (int at = 0; at < p->n; at += piece) {
        int count = p->n - at < piece ? p->n - at : piece;
        csim__contrast_rows_forward(&groups, p->temperature, p->e, z, at, count, s + at * p->n,
                                    sum + at, loss + at);
    }
    for (int at = 0; at < p->n; at += piece) {
        int count = p->n - at < piece ? p->n - at : piece;
        csim__contrast_rows_backward(&groups, p->temperature, p->e, z, sum, at, count,
                                     s + at * p->n, dz + at * p->e);
    }
    for (int i = 0; i < p->n; i++) { total += loss[i]; }
    total /= groups.anchors;
    csim__free(ctx, &sum);
    csim__free(ctx, &s);
    csim__groups_clear(ctx, &groups);
    return total;
}

/* ---- golden values ---- */

enum { ITEMS = REF_GOLDEN_ITEMS, BATCH = ITEMS / 2, WIDTH = REF_GOLDEN_WIDTH };

static const struct {
    double temperature, loss[2], identity, total, dw[2];
} golden[] = {
    {0.07,
     {8.448611670364269, 10.090709151479485},
     7.461112930710978,
     8.820234983637965,
     {-2.108070539968133, -2.712164443669832}},
    {0.1,
     {8.913089981781322, 10.335169704544137},
     7.925591242128031,
     9.081039016928212,
     {-2.278942561608494, -2.802096455319718}},
    {0.5,
     {18.619218160335887, 19.52778392798138},
     17.63171942068259,
     16.033497810615998,
     {-5.849627571873537, -6.183870238742463}},
};

/* The references first, then the library, within what float products allow. */
static void losses_are_golden(void **state)
{
    (void)state;
    static const int64_t label[3][BATCH] = {
        {0, 0, 1, 1, 2, 2}, {0, 1, 0, 1, 0, 1}, {0, 1, 2, 3, 4, 5}};
    csim_context *ctx = harness_context();
    double z[2][ITEMS * WIDTH];
    ref_golden_rows(z);
    assert_true(fabs(z[0][0] + 0.4816967952789395) < 1e-15);
    assert_true(fabs(z[0][3] - 0.13424670918986042) < 1e-15);
    for (size_t t = 0; t < sizeof golden / sizeof *golden; t++) {
        double tau = golden[t].temperature, factor = tau / 0.07, loss[2], weight[2], dw[2];
        for (int c = 0; c < 3; c++) {
            float zf[ITEMS * WIDTH], dz[ITEMS * WIDTH];
            double each[ITEMS], expected = c < 2 ? golden[t].loss[c] : golden[t].identity;
            int64_t all[ITEMS];
            for (int i = 0; i < ITEMS; i++) { all[i] = label[c][i % BATCH]; }
            ref_problem p = {.n = ITEMS, .e = WIDTH, .label = all, .temperature = tau};
            const double *head = z[c % 2];
            double value = factor * ref_contrast(&p, head);
            assert_true(fabs(value - expected) < 1e-12 * expected);
            if (c < 2) { loss[c] = value; }
            for (int k = 0; k < ITEMS * WIDTH; k++) { zf[k] = (float)head[k]; }
            assert_true(fabs(factor * run(ctx, &p, zf, ITEMS, each, dz) - expected) < 3e-6);
        }
        const float w[2] = {1, 1};
        double total = csim__mscon_total(2, loss, w, true, weight, dw);
        assert_true(fabs(total - golden[t].total) < 1e-13 * total);
        for (int c = 0; c < 2; c++) {
            assert_true(fabs(dw[c] - golden[t].dw[c]) < 1e-13 * total);
            assert_true(fabs(weight[c] - exp(-1)) < 1e-16);
        }
        total = csim__mscon_total(2, loss, NULL, false, weight, dw);
        assert_true(total == loss[0] + loss[1] && weight[0] == 1 && dw[1] == 0);
    }
    harness_context_free(&ctx);
}

/* ---- the contrastive loss of rows ---- */

/* Loss and gradient of one problem; every stride-th element of the gradient is checked. */
static void check_rows(csim_context *ctx, const ref_problem *p, int stride)
{
    static float z[MOST * WIDE], dz[MOST * WIDE];
    static double zd[MOST * WIDE], loss[MOST];
    unit_rows(p->n, p->e, 11, z);
    for (int c = 0; c < p->e; c++) { z[2 * p->e + c] = -z[p->e + c]; } /* −1: the smallest */
    widen(p->n * p->e, z, zd);
    double expected = ref_contrast(p, zd), value = run(ctx, p, z, p->n, loss, dz), most = 0,
           worst = 0;
    assert_true(fabs(value - expected) < 2e-8 / p->temperature + 2e-7);
    for (int k = 0; k < p->n * p->e; k++) { most = fmax(most, fabs((double)dz[k])); }
    for (int k = 0; k < p->n * p->e; k += stride) {
        double wanted = ref_slope(ref_contrast, p, zd, k, 0.003 * p->temperature);
        worst = fmax(worst, fabs((double)dz[k] - wanted));
    }
    assert_true(most > 0 && worst < most * (1.5e-8 / p->temperature + 6e-7));
}

static void rows_have_the_gradient(void **state)
{
    (void)state;
    static const double temperature[] = {0.005, 0.0249, 0.025, 0.07, 1};
    csim_context *ctx = harness_context();
    int64_t label[MOST];
    for (size_t t = 0; t < sizeof temperature / sizeof *temperature; t++) {
        for (int kind = 0; kind < KINDS; kind++) {
            ref_problem p = {.n = kind == IDENTITY ? 38 : 37, .e = 5, .label = label};
            p.temperature = temperature[t];
            labels_of(kind, p.n, label);
            check_rows(ctx, &p, 1);
        }
    }
    for (int t = 0; t < 2; t++) { /* more items than one strip holds */
        ref_problem p = {.n = 1037, .e = 7, .label = label, .temperature = t == 0 ? 0.01 : 0.07};
        labels_of(MISSING, p.n, label);
        check_rows(ctx, &p, 1801);
    }
    harness_context_free(&ctx);
}

/* Own rows in pieces: the rows of the whole, but for the last bits of the products. */
static void pieces_give_the_whole(void **state)
{
    (void)state;
    enum { N = 101, E = 6 };
    csim_context *ctx = harness_context();
    float z[N * E], whole[N * E], part[N * E];
    double loss[2][N];
    int64_t label[N];
    unit_rows(N, E, 5, z);
    labels_of(MISSING, N, label);
    for (int t = 0; t < 2; t++) {
        ref_problem p = {.n = N, .e = E, .label = label, .temperature = t == 0 ? 0.02 : 0.07};
        run(ctx, &p, z, N, loss[0], whole);
        for (int piece = 1; piece < N; piece = 3 * piece + 4) {
            run(ctx, &p, z, piece, loss[1], part);
            for (int i = 0; i < N; i++) {
                assert_true(fabs(loss[0][i] - loss[1][i]) < 3e-7 / p.temperature);
                assert_true((loss[1][i] == 0) == (ref_positives(&p, i) == 0));
            }
            for (int k = 0; k < N * E; k++) { assert_true(fabsf(whole[k] - part[k]) < 2e-5F); }
        }
    }
    harness_context_free(&ctx);
}

/* All equal: log(M−1), and no gradient but along the rows. */
static void equal_items_know_nothing(void **state)
{
    (void)state;
    enum { N = 30, E = 3 };
    csim_context *ctx = harness_context();
    float z[N * E], dz[N * E];
    double loss[N];
    int64_t label[N];
    labels_of(IDENTITY, N, label);
    for (int k = 0; k < N * E; k++) { z[k] = k % E == 0 ? 0.6F : k % E == 1 ? -0.8F : 0; }
    for (int t = 0; t < 2; t++) {
        ref_problem p = {.n = N, .e = E, .label = label, .temperature = t == 0 ? 0.01 : 0.07};
        assert_true(fabs(run(ctx, &p, z, N, loss, dz) - log(N - 1)) < 1e-5);
        for (int i = 0; i < N; i++) {
            float across = 0.8F * dz[i * E] + 0.6F * dz[i * E + 1];
            assert_true(fabsf(across) < 1e-5F && dz[i * E + 2] == 0);
        }
    }
    harness_context_free(&ctx);
}

/* The smallest sums that can be: everything lies opposite to item 0. */
static void opposite_items_fit(void **state)
{
    (void)state;
    enum { N = 3, E = 2 };
    static const double temperature[] = {CSIM__LEAST_TEMPERATURE, 0.0249, 0.025};
    static const int64_t label[N] = {0, 0, 1};
    csim_context *ctx = harness_context();
    const float z[N * E] = {1, 0, -1, 0, -1, 0};
    float dz[N * E];
    double zd[N * E], loss[N];
    widen(N * E, z, zd);
    for (int t = 0; t < 3; t++) {
        ref_problem p = {.n = N, .e = E, .label = label, .temperature = temperature[t]};
        run(ctx, &p, z, N, loss, dz);
        assert_true(fabs(loss[0] - log(2)) < 1e-6);
        assert_true(fabs(loss[1] * p.temperature - 2) < 1e-6 && loss[2] == 0);
        for (int k = 0; k < N * E; k++) {
            double g = ref_slope(ref_contrast, &p, zd, k, 0.003 * p.temperature);
            assert_true(fabs((double)dz[k] - g) < 1e-6 / p.temperature);
        }
    }
    harness_context_free(&ctx);
}

/* No anchors: no loss, no gradient; a single item likewise. A NaN is not hidden. */
static void edges_are_defined(void **state)
{
    (void)state;
    enum { N = 9, E = 3 };
    csim_context *ctx = harness_context();
    csim__groups groups = {0};
    float z[N * E], dz[N * E], s[N * N];
    double sum[N], loss[N], same, other;
    int64_t alone[N], pairs[N];
    unit_rows(N, E, 6, z);
    for (int i = 0; i < N; i++) {
        alone[i] = i % 2 == 0 ? i : -1;
        pairs[i] = i / 2;
    }
    for (int t = 0; t < 4; t++) {
        int n = t < 2 ? N : 1;
        double temperature = t % 2 == 0 ? 0.01 : 0.07;
        assert_int_equal(csim__groups_make(ctx, n, alone, &groups), CSIM_OK);
        assert_int_equal(groups.anchors, 0);
        csim__contrast_rows_forward(&groups, temperature, E, z, 0, n, s, sum, loss);
        csim__contrast_rows_backward(&groups, temperature, E, z, sum, 0, n, s, dz);
        for (int k = 0; k < n * E; k++) { assert_true(loss[k / E] == 0 && dz[k] == 0); }
        csim__similarities(&groups, E, z, &same, &other);
        assert_true(isnan(same) && isnan(other) == (n == 1));
        csim__groups_clear(ctx, &groups);
    }
    ref_problem p = {.n = N, .e = E, .label = pairs};
    for (int at = 0; at < N * E; at += 5) { /* also in the last item, which is no anchor */
        float keep = z[at];
        z[at] = NAN;
        for (int t = 0; t < 2; t++) {
            p.temperature = t == 0 ? 0.01 : 0.07;
            assert_true(isnan(run(ctx, &p, z, N, loss, dz)) && isnan(dz[0]) &&
                        isnan(dz[N * E - 1]));
        }
        z[at] = keep;
    }
    harness_context_free(&ctx);
}

static void groups_are_as_said(void **state)
{
    (void)state;
    static const int64_t label[] = {9, -1, 4, INT64_MAX, 9, 4, -7, 0, 9};
    static const int of[] = {2, -1, 1, 3, 2, 1, -1, 0, 2}, start[] = {0, 1, 3, 6, 7};
    static const int member[] = {7, 2, 5, 0, 4, 8, 3};
    csim_context *ctx = harness_context();
    csim__groups groups = {0};
    assert_int_equal(csim__groups_make(ctx, 9, label, &groups), CSIM_OK);
    assert_int_equal(groups.items, 9);
    assert_int_equal(groups.groups, 4);
    assert_int_equal(groups.anchors, 5);
    assert_memory_equal(groups.of, of, sizeof of);
    assert_memory_equal(groups.start, start, sizeof start);
    assert_memory_equal(groups.member, member, sizeof member);
    assert_int_equal(csim__positives(&groups, 4), 2);
    assert_int_equal(csim__positives(&groups, 1), 0);
    csim__groups_clear(ctx, &groups);
    csim__groups_clear(ctx, &groups);
    harness_context_free(&ctx);
}

/* ---- sets ---- */

/* The gradient of z from h against differences, and the similarities of both kinds of items. */
static void sets_have_the_gradient(void **state)
{
    (void)state;
    enum { N = 23, E = 5 };
    static const double temperature[] = {0.005, 0.07, 0.5};
    csim_context *ctx = harness_context();
    csim__groups groups = {0};
    float zf[N * E], h[N * N];
    double z[N * E], s[N * N], loss, similar[4];
    int64_t label[N];
    unit_rows(N, E, 12, zf);
    widen(N * E, zf, z);
    for (int k = 0; k < N * N; k++) { s[k] = ref_dot(E, z + k / N * E, z + k % N * E); }
    for (int t = 0; t < 3 * KINDS; t++) {
        ref_problem p = {.n = N, .e = E, .label = label, .temperature = temperature[t / KINDS]};
        double most = 0, worst = 0, mean[2] = {0, 0};
        int anchors = 0, others = 0;
        labels_of(t % KINDS, N, label);
        assert_int_equal(csim__groups_make(ctx, N, label, &groups), CSIM_OK);
        assert_int_equal(csim__contrast_sets(ctx, &groups, p.temperature, N, s, &loss, h), CSIM_OK);
        assert_true(fabs(loss - ref_contrast(&p, z)) < 1e-13 * loss);
        for (int k = 0; k < N * E; k++) {
            double g = 0, wanted = ref_slope(ref_contrast, &p, z, k, 0.003 * p.temperature);
            for (int j = 0; j < N; j++) { g += (double)h[k / E * N + j] * z[j * E + k % E]; }
            most = fmax(most, fabs(wanted));
            worst = fmax(worst, fabs(g - wanted));
        }
        assert_true(worst < 1e-7 * most);
        csim__similarities(&groups, E, zf, &similar[0], &similar[1]);
        csim__similarities_of_sets(&groups, s, &similar[2], &similar[3]);
        for (int i = 0; i < N; i++) {
            anchors += ref_positives(&p, i) > 0;
            for (int j = 0; j < N; j++) {
                bool same = ref_positive(&p, i, j);
                mean[0] += same ? s[i * N + j] / ref_positives(&p, i) : 0;
                mean[1] += same || i == j ? 0 : s[i * N + j];
                others += !same && i != j;
            }
        }
        for (int k = 0; k < 4; k++) {
            double wanted = k % 2 == 0 ? mean[0] / anchors : mean[1] / others;
            assert_true(fabs(similar[k] - wanted) < 1e-13);
        }
        csim__groups_clear(ctx, &groups);
    }
    harness_context_free(&ctx);
}

static void sets_are_checked(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__groups groups = {0};
    static const int64_t label[] = {0, 0, -1}, alone[] = {0, 1, -1};
    double s[9] = {1, NAN, 0, NAN, 1, 0, 0, 0, 1}, loss;
    float h[9];
    assert_int_equal(csim__groups_make(ctx, 3, label, &groups), CSIM_OK);
    assert_int_equal(csim__contrast_sets(ctx, &groups, 0.1, 2, s, &loss, h), CSIM_E_SHAPE);
    assert_non_null(strstr(csim_context_error(ctx), "2 sets"));
    csim__forgive(ctx);
    assert_int_equal(csim__contrast_sets(ctx, &groups, 0.1, 3, s, &loss, h), CSIM_OK);
    assert_true(isnan(loss) && isnan(h[1]));
    csim__groups_clear(ctx, &groups);
    assert_int_equal(csim__groups_make(ctx, 3, alone, &groups), CSIM_OK);
    s[1] = s[3] = 0.5;
    assert_int_equal(csim__contrast_sets(ctx, &groups, 0.1, 3, s, &loss, h), CSIM_OK);
    for (int k = 0; k < 9; k++) { assert_true(loss == 0 && h[k] == 0); }
    csim__groups_clear(ctx, &groups);
    harness_context_free(&ctx);
}

/* ---- losses without negatives ---- */

enum { EXAMPLES = 141, CHUNK = 64, E = 6 };

/* Loss and gradient of all items, then the same bits in pieces. */
static void check_views(csim_context *ctx, ref_loss reference, int views, int stride)
{
    int item[3 * EXAMPLES], n = views * EXAMPLES;
    float z[3 * EXAMPLES * E], dz[3 * EXAMPLES * E], part[3 * EXAMPLES * E];
    double zd[3 * EXAMPLES * E], loss, again, most = 0, worst = 0;
    ref_problem p = {.n = n, .e = E, .views = views, .item = item};
    bool dot = reference == ref_deepdot;
    ref_items(views, EXAMPLES, CHUNK, item);
    unit_rows(n, E, 13, z);
    widen(n * E, z, zd);
    if (dot) {
        csim__deepdot(views, EXAMPLES, item, E, z, 0, n, &loss, dz);
    } else {
        assert_int_equal(csim__deepcka(ctx, views, EXAMPLES, item, E, z, 0, n, &loss, dz), CSIM_OK);
    }
    assert_true(fabs(loss - reference(&p, zd)) < 1e-13);
    for (int k = 0; k < n * E; k++) { most = fmax(most, fabs((double)dz[k])); }
    for (int k = 0; k < n * E; k += stride) {
        double wanted = ref_slope(reference, &p, zd, k, 1e-2);
        worst = fmax(worst, fabs((double)dz[k] - wanted));
    }
    assert_true(most > 0 && worst < 3e-7 * most);
    for (int at = 0, count = 50; at < n; at += count, count = 2 * count + 1) {
        count = n - at < count ? n - at : count;
        if (dot) {
            csim__deepdot(views, EXAMPLES, item, E, z, at, count, &again, part + at * E);
        } else {
            assert_int_equal(csim__deepcka(ctx, views, EXAMPLES, item, E, z, at, count,
                                           at == 0 ? NULL : &again, part + at * E),
                             CSIM_OK);
        }
        assert_true(at == 0 || again == loss);
    }
    assert_memory_equal(part, dz, (size_t)(n * E) * sizeof *dz);
}

static void views_have_the_gradient(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int views = 2; views <= 3; views++) {
        check_views(ctx, ref_deepdot, views, 17);
        check_views(ctx, ref_deepcka, views, 67);
    }
    harness_context_free(&ctx);
}

/* Equal views are as near as can be; equal rows have no CKA; a NaN is not hidden. */
static void views_have_edges(void **state)
{
    (void)state;
    enum { B = 70 };
    csim_context *ctx = harness_context();
    int item[2 * B];
    float z[2 * B * E], dz[2 * B * E];
    double loss;
    ref_items(2, B, CHUNK, item);
    unit_rows(2 * B, E, 14, z);
    for (int b = 0; b < B; b++) { memcpy(z + item[B + b] * E, z + item[b] * E, E * sizeof *z); }
    csim__deepdot(2, B, item, E, z, 0, 2 * B, &loss, dz);
    assert_true(fabs(loss + 1) < 1e-6);
    assert_int_equal(csim__deepcka(ctx, 2, B, item, E, z, 0, 2 * B, &loss, dz), CSIM_OK);
    assert_true(fabs(loss + 1) < 1e-14);
    for (int k = 0; k < 2 * B * E; k++) { assert_true(fabsf(dz[k]) < 1e-15F); }
    z[item[B + 1] * E] = NAN;
    csim__deepdot(2, B, item, E, z, 0, 2 * B, &loss, dz);
    assert_true(isnan(loss) && isnan(dz[item[1] * E]));
    assert_int_equal(csim__deepcka(ctx, 2, B, item, E, z, 0, 2 * B, &loss, dz), CSIM_OK);
    assert_true(isnan(loss) && isnan(dz[0]));
    for (int b = 0; b < B; b++) {
        for (int c = 0; c < E; c++) { z[item[B + b] * E + c] = 0.1F * (float)(c + 1); }
    }
    loss = 5;
    assert_int_equal(csim__deepcka(ctx, 2, B, item, E, z, 0, 2 * B, &loss, dz), CSIM_E_NUMERIC);
    assert_true(loss == 5);
    assert_non_null(strstr(csim_context_error(ctx), "view 1"));
    csim__forgive(ctx);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_golden),     cmocka_unit_test(rows_have_the_gradient),
        cmocka_unit_test(pieces_give_the_whole), cmocka_unit_test(equal_items_know_nothing),
        cmocka_unit_test(opposite_items_fit),    cmocka_unit_test(edges_are_defined),
        cmocka_unit_test(groups_are_as_said),    cmocka_unit_test(sets_have_the_gradient),
        cmocka_unit_test(sets_are_checked),      cmocka_unit_test(views_have_the_gradient),
        cmocka_unit_test(views_have_edges),
    };
    return harness_finish(cmocka_run_group_tests_name("loss", tests, NULL, NULL));
}
