/* Probes against definitions written down afresh, and what learned weights make of noisy labels. */
#include "harness.h"

#include <math.h>
#include <netcdf.h>
#include <stdlib.h>
#include <string.h>

#include "contrasim/train.h"
#include "core/rng.h"
#include "io/checkpoint.h"
#include "probe/probe.h"

enum { N = 420, D = 9, CLASSES = 5, NOTIONS = 2, SEEDS = 2, K = 7 };

/* ---- a task in memory ---- */

typedef struct world {
    csim__probe_task task;
    csim__probe_labels labels[NOTIONS];
    int32_t of[NOTIONS][N];
    uint8_t train[SEEDS][N], *trains[SEEDS];
    float x[N][D];
} world;

/* Classes with centres, overlapping; the last feature is constant; row 11 stands again as rows 200
 * and 201; the second notion lacks a third of its labels. */
static void make_world(csim_context *ctx, world *w)
{
    csim__rng rng = csim__rng_start(21, 0);
    memset(w, 0, sizeof *w);
    for (int i = 0; i < N; i++) {
        w->of[0][i] = (int32_t)csim__rng_below(&rng, CLASSES);
        w->of[1][i] = csim__rng_below(&rng, 3) == 0 ? -1 : w->of[0][i] % 2;
        for (int j = 0; j < D; j++) {
            double centre = cos(1.7 * w->of[0][i] * (j + 1));
            w->x[i][j] = (float)(1.2 * centre + csim__rng_normal(&rng) + j);
        }
        w->x[i][D - 1] = 3.25f;
    }
    memcpy(w->x[200], w->x[11], sizeof w->x[11]);
    memcpy(w->x[201], w->x[11], sizeof w->x[11]);
    for (int s = 0; s < SEEDS; s++) {
        for (int i = 0; i < N; i++) { w->train[s][i] = csim__rng_uniform(&rng) < 0.7; }
        w->trains[s] = w->train[s];
    }
    w->labels[0] = (csim__probe_labels){CLASSES, w->of[0]};
    w->labels[1] = (csim__probe_labels){2, w->of[1]};
    w->task =
        (csim__probe_task){.ctx = ctx,
                           .shard = csim__shard(N, csim_context_rank(ctx), csim_context_size(ctx)),
                           .notions = NOTIONS,
                           .seeds = SEEDS,
                           .labels = w->labels,
                           .train = w->trains,
                           .k = K,
                           .l2 = 0.01};
}

static const float *own_rows(const world *w)
{
    return w->x[w->task.shard.row0];
}

/* ---- softmax regression ---- */

/* The standardised row, by the training rows' mean and deviation. */
static void standard_row(const world *w, int notion, int s, int row, double out[D + 1])
{
    for (int j = 0; j < D; j++) {
        double mean = 0, square = 0, n = 0;
        for (int i = 0; i < N; i++) {
            if (!w->train[s][i] || w->of[notion][i] < 0) { continue; }
            mean += (double)w->x[i][j];
            n++;
        }
        mean /= n;
        for (int i = 0; i < N; i++) {
            if (!w->train[s][i] || w->of[notion][i] < 0) { continue; }
            square += pow((double)w->x[i][j] - mean, 2);
        }
        out[j] = j == D - 1 ? 0 : ((double)w->x[row][j] - mean) / sqrt(square / n);
    }
    out[D] = 1;
}

static void probabilities(const double *x, const double *w, int classes, double *p)
{
    double total = 0;
    for (int k = 0; k < classes; k++) {
        p[k] = 0;
        for (int j = 0; j <= D; j++) { p[k] += x[j] * w[j * classes + k]; }
        p[k] = exp(p[k]);
        total += p[k];
    }
    for (int k = 0; k < classes; k++) { p[k] /= total; }
}

/* The objective is convex, so where its gradient is 0 is the solution. */
static void check_fit(const world *w, int notion, int s, const csim__softmax *fit, double accuracy)
{
    enum { MOST = (D + 1) * CLASSES };
    int classes = w->labels[notion].classes, n = 0, right = 0, tests = 0;
    double gradient[MOST] = {0}, x[D + 1], p[CLASSES];
    for (int i = 0; i < N; i++) {
        int32_t class = w->of[notion][i];
        if (class < 0) { continue; }
        standard_row(w, notion, s, i, x);
        probabilities(x, fit->w, classes, p);
        if (w->train[s][i]) {
            n++;
            for (int j = 0; j <= D; j++) {
                for (int k = 0; k < classes; k++) {
                    gradient[j * classes + k] += x[j] * (p[k] - (k == class));
                }
            }
        } else {
            int best = 0;
            for (int k = 1; k < classes; k++) { best = p[k] > p[best] ? k : best; }
            right += best == class;
            tests++;
        }
    }
    for (int i = 0; i < (D + 1) * classes; i++) {
        double penalty = i < D * classes ? w->task.l2 * fit->w[i] : 0;
        if (fabs(gradient[i] / n + penalty) > 2e-4) {
            fail_msg("gradient %d of notion %d is %g", i, notion, gradient[i] / n + penalty);
        }
    }
    assert_true(fabs(accuracy - (double)right / tests) < 1e-12);
    assert_true(accuracy > 1.5 / classes || notion == 1);
}

static void softmax_is_at_the_optimum(void **state)
{
    (void)state;
    static world w;
    csim_context *ctx = harness_context();
    make_world(ctx, &w);
    for (int notion = 0; notion < NOTIONS; notion++) {
        for (int s = 0; s < SEEDS; s++) {
            csim__softmax fit;
            double accuracy = -1;
            assert_int_equal(
                csim__softmax_fit(&w.task, &w.labels[notion], w.train[s], D, own_rows(&w), &fit),
                CSIM_OK);
            assert_int_equal(csim__softmax_accuracy(&w.task, &w.labels[notion], w.train[s], &fit,
                                                    own_rows(&w), &accuracy),
                             CSIM_OK);
            check_fit(&w, notion, s, &fit, accuracy);
            csim__softmax_clear(ctx, &fit);
        }
    }
    harness_context_free(&ctx);
}

/* Features that say nothing: the bias gives each class its share of the training rows. */
static void without_features_shares_are_learned(void **state)
{
    (void)state;
    static world w;
    csim_context *ctx = harness_context();
    make_world(ctx, &w);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < D; j++) { w.x[i][j] = (float)j; }
    }
    csim__softmax fit;
    double share[CLASSES] = {0}, n = 0, x[D + 1] = {0}, p[CLASSES];
    assert_int_equal(csim__softmax_fit(&w.task, &w.labels[0], w.train[0], D, own_rows(&w), &fit),
                     CSIM_OK);
    for (int i = 0; i < N; i++) {
        share[w.of[0][i]] += w.train[0][i];
        n += w.train[0][i];
    }
    x[D] = 1;
    probabilities(x, fit.w, CLASSES, p);
    for (int k = 0; k < CLASSES; k++) { assert_true(fabs(p[k] - share[k] / n) < 5e-4); }
    csim__softmax_clear(ctx, &fit);
    harness_context_free(&ctx);
}

/* ---- neighbours ---- */

static double cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < D; j++) {
        ab += (double)a[j] * (double)b[j];
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
    }
    return ab / sqrt(aa * bb);
}

/* K times the nearest row that is left; then the class of most, the nearer of equals. */
static int32_t guess(const world *w, int notion, int s, int row)
{
    bool used[N] = {false};
    int32_t near[K];
    int votes[CLASSES] = {0}, most = 0;
    for (int k = 0; k < K; k++) {
        int best = -1;
        for (int i = 0; i < N; i++) {
            if (!w->train[s][i] || w->of[notion][i] < 0 || used[i]) { continue; }
            if (best < 0 || cosine(w->x[row], w->x[i]) > cosine(w->x[row], w->x[best]) + 1e-12) {
                best = i;
            }
        }
        used[best] = true;
        near[k] = w->of[notion][best];
        votes[near[k]]++;
    }
    for (int k = 0; k < CLASSES; k++) { most = votes[k] > most ? votes[k] : most; }
    for (int k = 0; k < K; k++) {
        if (votes[near[k]] == most) { return near[k]; }
    }
    return -1;
}

static void neighbours_vote(void **state)
{
    (void)state;
    static world w;
    double accuracy[NOTIONS * SEEDS];
    csim_context *ctx = harness_context();
    make_world(ctx, &w);
    assert_int_equal(csim__neighbours_accuracy(&w.task, D, own_rows(&w), accuracy), CSIM_OK);
    for (int notion = 0; notion < NOTIONS; notion++) {
        for (int s = 0; s < SEEDS; s++) {
            int right = 0, tests = 0;
            for (int i = 0; i < N; i++) {
                if (w.train[s][i] || w.of[notion][i] < 0) { continue; }
                right += guess(&w, notion, s, i) == w.of[notion][i];
                tests++;
            }
            double found = accuracy[notion * SEEDS + s];
            assert_true(fabs(found - (double)right / tests) < 1e-12);
        }
    }
    harness_context_free(&ctx);
}

/* ---- labels and divisions ---- */

static void labels_are_numbered(void **state)
{
    (void)state;
    static const int64_t value[] = {70, -1, 3, 70, 12, -2147483647, 3, 70, INT64_C(1) << 40};
    static const int32_t expected[] = {2, -1, 0, 2, 1, -1, 0, 2, -1};
    csim_context *ctx = harness_context();
    csim__probe_labels labels = {0, NULL};
    int64_t labelled = 0;
    double chance = 0;
    assert_int_equal(csim__probe_number(ctx, "a", 9, value, &labels, &labelled, &chance), CSIM_OK);
    assert_int_equal(labels.classes, 3);
    assert_int_equal(labelled, 6);
    assert_true(chance == 0.5);
    assert_memory_equal(labels.of, expected, sizeof expected);
    csim__free(ctx, &labels.of);
    static const int64_t same[] = {4, -1, 4};
    assert_int_equal(csim__probe_number(ctx, "a", 3, same, &labels, &labelled, &chance),
                     CSIM_E_DATA);
    assert_non_null(strstr(csim_context_error(ctx), "label_a has 1 different value in"));
    csim__free(ctx, &labels.of);
    csim__forgive(ctx);
    harness_context_free(&ctx);
}

static void divisions_have_their_size(void **state)
{
    (void)state;
    uint8_t one[100], two[100], again[100];
    int count = 0;
    csim_context *ctx = harness_context();
    assert_int_equal(csim__probe_divide(ctx, 100, 0.7, 1, one), CSIM_OK);
    assert_int_equal(csim__probe_divide(ctx, 100, 0.7, 2, two), CSIM_OK);
    assert_int_equal(csim__probe_divide(ctx, 100, 0.7, 1, again), CSIM_OK);
    for (int i = 0; i < 100; i++) { count += one[i]; }
    assert_int_equal(count, 70);
    assert_memory_equal(one, again, sizeof one);
    assert_memory_not_equal(one, two, sizeof one);
    harness_context_free(&ctx);
}

/* ---- files: training and probing ---- */

enum { ROWS = 480, WIDTH = 32, VALUES = 4, KINDS = 3 };

#define NC(call) assert_int_equal((call), NC_NOERR)

/* Three features of four values, one-hot, through a random layer with ReLU, with noise. `noisy` of
 * the four quarters of the labels of `third` are drawn anew: all classes keep their size. */
static void write_set(csim_context *ctx, const char *path, int noisy)
{
    static int label[KINDS][ROWS], third[ROWS];
    static float x[ROWS][WIDTH];
    csim__rng rng = csim__rng_start(31, 0);
    double mix[KINDS * VALUES][WIDTH];
    for (int i = 0; i < KINDS * VALUES; i++) {
        for (int j = 0; j < WIDTH; j++) { mix[i][j] = csim__rng_normal(&rng); }
    }
    for (int k = 0; k < KINDS; k++) {
        int64_t order[ROWS];
        for (int i = 0; i < ROWS; i++) { order[i] = i % VALUES; }
        csim__rng_shuffle(&rng, order, ROWS);
        for (int i = 0; i < ROWS; i++) { label[k][i] = (int)order[i]; }
    }
    int64_t hit[ROWS];
    for (int i = 0; i < ROWS; i++) { hit[i] = i; }
    csim__rng_shuffle(&rng, hit, ROWS);
    memcpy(third, label[2], sizeof third);
    for (int i = ROWS * noisy / 4 - 1; i > 0; i--) { /* a shuffle among those that are hit */
        int64_t a = hit[i], b = hit[csim__rng_below(&rng, i + 1)];
        int kept = third[a];
        third[a] = third[b];
        third[b] = kept;
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < WIDTH; j++) {
            double v = 0.2 * csim__rng_normal(&rng);
            for (int k = 0; k < KINDS; k++) { v += fmax(mix[k * VALUES + label[k][i]][j], 0); }
            x[i][j] = (float)v;
        }
    }
    if (csim_context_rank(ctx) == 0) {
        static const char *const names[] = {"label_first", "label_second", "label_third"};
        int nc, dim[2], id;
        NC(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc));
        NC(nc_put_att_text(nc, NC_GLOBAL, "Conventions", 11, "contrasim-1"));
        NC(nc_def_dim(nc, "example", ROWS, &dim[0]));
        NC(nc_def_dim(nc, "neuron_layer", WIDTH, &dim[1]));
        NC(nc_def_var(nc, "layer", NC_FLOAT, 2, dim, &id));
        NC(nc_put_att_int(nc, id, "layer_index", NC_INT, 1, &(int){0}));
        NC(nc_put_var_float(nc, id, x[0]));
        for (int k = 0; k < KINDS; k++) {
            NC(nc_def_var(nc, names[k], NC_INT, 1, dim, &id));
            NC(nc_put_var_int(nc, id, k == 2 ? third : label[k]));
        }
        NC(nc_def_var(nc, "label_same", NC_INT, 1, dim, &id));
        for (int i = 0; i < ROWS; i++) { third[i] = i % 2 - 1; }
        NC(nc_put_var_int(nc, id, third));
        NC(nc_close(nc));
    }
    MPI_Barrier(csim_context_comm(ctx));
}

static csim_set *open_set(csim_context *ctx, const char *path)
{
    csim_set *set = NULL;
    csim_input_options input = {.neuron_axis = -1};
    assert_int_equal(csim_set_open(ctx, path, &input, &set), CSIM_OK);
    return set;
}

static void train(csim_context *ctx, const char *path, const char *notions, int inits, int epochs,
                  const char *output)
{
    csim_train_options o = {.loss = CSIM_LOSS_MSCON,
                            .hidden = "32",
                            .out = 16,
                            .temperature = 0.07,
                            .views = -1,
                            .view_noise = -1,
                            .view_dropout = -1,
                            .notions = notions,
                            .head_out = 16,
                            .epochs = epochs,
                            .batch = -1,
                            .optimiser = -1,
                            .rate = -1,
                            .momentum = 0.9,
                            .decay = -1,
                            .rate_factor = -1,
                            .inits = inits,
                            .patience = 5,
                            .held_out = 0.1};
    csim_train_run run = {.output = output, .overwrite = 1};
    csim_set *set = open_set(ctx, path);
    assert_int_equal(csim_train_resolve(ctx, &o), CSIM_OK);
    csim_status st = csim_train(ctx, &set, 1, &o, &run);
    if (st != CSIM_OK) { fail_msg("%s", csim_context_error(ctx)); }
    csim_set_free(&set);
}

/* Last learned weights w, [inits, KINDS]. */
static void learned(csim_context *ctx, const char *path, int inits, double *w)
{
    csim__checkpoint *c = NULL;
    assert_int_equal(csim__checkpoint_read(ctx, path, &c), CSIM_OK);
    const csim__field *f = csim__checkpoint_field(c, "notion_weight");
    assert_non_null(f);
    assert_int_equal(f->size[0], inits);
    assert_int_equal(f->size[2], KINDS);
    for (int i = 0; i < inits; i++) {
        for (int k = 0; k < KINDS; k++) {
            w[i * KINDS + k] = ((double *)f->data)[((i + 1) * f->size[1] - 1) * KINDS + k];
        }
    }
    csim__checkpoint_free(ctx, &c);
}

/* A larger w is a smaller factor e^−w: the notion with noise has it, whatever the seed. */
static void noise_is_down_weighted(void **state)
{
    (void)state;
    enum { INITS = 3 };
    csim_context *ctx = harness_context();
    double w[INITS * KINDS], clean[INITS * KINDS];
    if (csim_context_size(ctx) > 1) { /* the same bits anyway: elsewhere that is tested faster */
        harness_context_free(&ctx);
        skip();
    }
    for (int noisy = 3; noisy <= 4; noisy++) {
        write_set(ctx, "noisy.nc", noisy);
        train(ctx, "noisy.nc", "first,second,third", INITS, 30, "noisy.enc");
        learned(ctx, "noisy.enc", INITS, w);
        for (int i = 0; i < INITS; i++) {
            const double *v = w + i * KINDS;
            assert_true(v[2] > fmax(v[0], v[1]) + 0.2);
            assert_true(fabs(v[0] - v[1]) < 0.1);
        }
    }
    write_set(ctx, "clean.nc", 0);
    train(ctx, "clean.nc", "first,second,third", INITS, 30, "clean.enc");
    learned(ctx, "clean.enc", INITS, clean);
    for (int i = 0; i < INITS * KINDS; i++) {
        assert_true(fabs(clean[i] - clean[0]) < 0.1);
        if (i % KINDS == 2) { assert_true(w[i] > clean[i] + 0.2); }
    }
    harness_context_free(&ctx);
}

static const csim_probe_options plain = {
    .train = 0.7, .seeds = 2, .seed = 4, .k = 5, .l2 = 1e-3, .notions = NULL};

/* Raw features and an encoder side by side; what the encoder was trained on is better than chance,
 * and by neighbours better than raw. */
static void files_are_probed(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim_probe_options o = plain;
    csim_probe_result *r = NULL;
    const char *encoder = "two.enc";
    write_set(ctx, "two.nc", 0);
    train(ctx, "two.nc", "first,second", 2, 12, encoder);
    csim_set *set = open_set(ctx, "two.nc");
    o.held_out = "third";
    assert_int_equal(csim_probe(ctx, set, &encoder, 1, &o, &r), CSIM_OK);
    assert_int_equal(r->features, 2);
    assert_int_equal(r->notions, 3);
    assert_string_equal(r->feature[0].name, "raw");
    assert_string_equal(r->feature[1].name, encoder);
    assert_int_equal(r->feature[0].width, WIDTH);
    assert_int_equal(r->feature[1].width, 16);
    assert_int_equal(r->feature[1].inits, 2);
    static const char *const names[] = {"first", "second", "third"};
    static const int8_t trained[] = {-1, -1, -1, 1, 1, 0};
    assert_memory_equal(r->trained, trained, sizeof trained);
    for (int c = 0; c < 3; c++) {
        double raw, mean, deviation, by_hand = 0;
        assert_string_equal(r->notion[c].name, names[c]);
        assert_int_equal(r->notion[c].classes, VALUES);
        assert_true(r->notion[c].chance == 1.0 / VALUES);
        csim_probe_summary(r, 0, c, CSIM_PROBE_KNN, &raw, &deviation);
        csim_probe_summary(r, 1, c, CSIM_PROBE_KNN, &mean, &deviation);
        for (int i = 0; i < 4; i++) { by_hand += r->accuracy[1][c * 2 * 4 + 4 + i] / 4; }
        assert_true(fabs(mean - by_hand) < 1e-12);
        if (c < 2) { assert_true(mean > 0.9 && mean > raw - 0.02); }
        if (c == 2) { assert_true(mean < raw); } /* what was not asked for is given up */
    }
    csim_probe_free(&r);
    csim_set_free(&set);
    harness_context_free(&ctx);
}

static void expect(csim_context *ctx, csim_set *set, const char *encoder,
                   const csim_probe_options *o, csim_status status, const char *message)
{
    csim_probe_result *r = NULL;
    csim_status st = csim_probe(ctx, set, &encoder, encoder != NULL, o, &r);
    assert_int_equal(st, status);
    assert_true(harness_same(ctx, st));
    assert_null(r);
    if (strstr(csim_context_error(ctx), message) == NULL) {
        fail_msg("'%s' does not say '%s'", csim_context_error(ctx), message);
    }
}

static void misuse_is_named(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim_probe_options o = plain;
    write_set(ctx, "misuse.nc", 0);
    train(ctx, "misuse.nc", "first", 1, 1, "one.enc");
    csim_set *set = open_set(ctx, "misuse.nc");
    expect(ctx, set, NULL, &o, CSIM_E_USAGE, "no notion is named");
    o.notions = "nowhere";
    expect(ctx, set, NULL, &o, CSIM_E_DATA, "has no variable label_nowhere");
    o.notions = "same";
    expect(ctx, set, NULL, &o, CSIM_E_DATA, "label_same has 1 different value");
    o.notions = "first,first";
    expect(ctx, set, NULL, &o, CSIM_E_USAGE, "first is named twice");
    o.notions = "second";
    o.held_out = "first";
    expect(ctx, set, "one.enc", &o, CSIM_E_USAGE, "one.enc was trained on it");
    o.held_out = NULL;
    expect(ctx, set, "misuse.nc", &o, CSIM_E_FORMAT, "misuse.nc");
    expect(ctx, set, "nowhere.enc", &o, CSIM_E_IO, "nowhere.enc");
    csim_set_free(&set);
    csim_input_options input = {.neuron_axis = -1, .examples = "0:2"};
    assert_int_equal(csim_set_open(ctx, "misuse.nc", &input, &set), CSIM_OK);
    o.notions = "first";
    csim_probe_result *r = NULL;
    assert_int_equal(csim_probe(ctx, set, NULL, 0, &o, &r), CSIM_E_DATA); /* one to learn from */
    csim_set_free(&set);
    harness_context_free(&ctx);
}

/* A fault at any vote: one status everywhere, nothing left in memory. */
static void faults_end_in_one_status(void **state)
{
    (void)state;
    static const uint32_t every[] = {5, 40, 200};
    csim_context *ctx = harness_context();
    csim_probe_options o = plain;
    const char *encoder = "fault.enc";
    int failed = 0;
    write_set(ctx, "fault.nc", 0);
    train(ctx, "fault.nc", "first,second", 1, 1, encoder);
    o.seeds = 1;
    for (int i = 0; i < 12; i++) {
        csim_probe_result *r = NULL;
        csim_set *set = open_set(ctx, "fault.nc");
        csim_context_set_faults(ctx, every[i % 3], (uint64_t)i);
        csim_status st = csim_probe(ctx, set, &encoder, 1, &o, &r);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        assert_true((r != NULL) == (st == CSIM_OK));
        failed += st != CSIM_OK;
        csim_probe_free(&r);
        csim_set_free(&set);
        assert_int_equal(csim_context_memory_live(ctx), 0);
    }
    assert_true(failed > 3);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_at_the_optimum),
        cmocka_unit_test(without_features_shares_are_learned),
        cmocka_unit_test(neighbours_vote),
        cmocka_unit_test(labels_are_numbered),
        cmocka_unit_test(divisions_have_their_size),
        cmocka_unit_test(noise_is_down_weighted),
        cmocka_unit_test(files_are_probed),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(faults_end_in_one_status),
    };
    return harness_finish(cmocka_run_group_tests_name("probe", tests, NULL, NULL));
}
