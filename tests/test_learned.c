/* Learned measures in a sweep: values, bits, what is undefined, what is refused, and that they
 * leave the other measures alone. */
#include "case_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/shard.h"

#define LEARNED "contrasim,deepdot,deepcka,mscon"

static const char *const names[] = {"contrasim", "deepdot", "deepcka", "mscon", NULL};

/* Four sites in two sets, with a common part; widths 5, 20, 5, 33. */
enum { SITES = 4, WIDEST = 33 };

static const int width[SITES] = {5, 20, 5, WIDEST};

static sweep_case make(int n)
{
    sweep_case c = {.pairs = "all", .measures = LEARNED};
    double *common = ref_alloc(n, sizeof *common);
    ref_random_matrix(700, n, 1, common);
    for (int s = 0; s < SITES; s++) {
        double *x = ref_alloc((int64_t)n * width[s], sizeof *x);
        ref_random_matrix(701 + (uint64_t)s, n, width[s], x);
        for (int i = 0; i < n * width[s]; i++) { x[i] += common[i / width[s]]; }
        case_add(&c, s < 2 ? "a" : "b", x, n, width[s]);
    }
    free(common);
    return c;
}

static double *values_of(const sweep_case *c, int s)
{
    union { /* the case only borrows its matrices */
        const double *in;
        double *out;
    } x = {.in = c->site[s].x};
    return x.out;
}

static void clear(sweep_case *c)
{
    for (int s = 0; s < c->count; s++) { free(values_of(c, s)); }
}

/* ---- values ---- */

/* Mean and standard deviation over the inits, of all cells in both orders. */
static int compare(csim_results *r, const sweep_case *c, const char *name, int inits)
{
    int wrong = 0;
    char std[32];
    snprintf(std, sizeof std, "%s_std", name);
    for (int i = 0; i < c->count; i++) {
        for (int j = 0; j < c->count; j++) {
            const case_site *x = &c->site[i], *y = &c->site[j];
            double mean = 0, square = 0, v[8], error = 0;
            for (int k = 0; k < inits; k++) {
                v[k] = case_learned(name, k, x, y);
                error = fmax(error, case_learned_error(name, k, x, y));
                mean += v[k] / inits;
            }
            for (int k = 0; k < inits; k++) { square += (v[k] - mean) * (v[k] - mean); }
            assert_int_equal(case_cell(r, name, i, j), CSIM_CELL_DONE);
            assert_int_equal(case_note(r, name, i, j), CSIM_NOTE_NONE);
            case_near(&wrong, "mean", name, case_value(r, name, i, j), mean, error);
            if (i == j) { case_near(&wrong, "itself", name, case_value(r, name, i, j), 1, 1e-12); }
            assert_true(case_value(r, name, i, j) <= 1);
            if (inits > 1) {
                double expected = sqrt(square / (inits - 1));
                case_near(&wrong, "spread", std, case_value(r, std, i, j), expected, 2 * error);
                assert_true(i == j || expected > 10 * error); /* the inits do differ */
            }
        }
    }
    return wrong;
}

static void values_are_right(void **state)
{
    (void)state;
    static const int rows[] = {4, 30, 130, 1000}, inits[] = {1, 2, 5};
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        sweep_case c = make(rows[k]);
        for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
            c.inits = inits[i];
            csim_results *r = case_results(ctx, &c);
            assert_int_equal(csim_results_count(r), inits[i] > 1 ? 8 : 4);
            for (int m = 0; names[m] != NULL; m++) { wrong += compare(r, &c, names[m], inits[i]); }
            csim_results_free(&r);
        }
        clear(&c);
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* A site and its copy in another set, alone and beside others. */
static void copies_are_one(void **state)
{
    (void)state;
    static const int rows[] = {4, 63, 64, 65, 513};
    csim_context *ctx = harness_context();
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        sweep_case c = make(rows[k]);
        for (int s = 0; s < SITES; s++) {
            sweep_case two = case_pair(c.site[s].x, c.site[s].x, rows[k], c.site[s].d, c.site[s].d);
            two.measures = LEARNED;
            two.inits = 3;
            csim_results *r = case_results(ctx, &two);
            for (int m = 0; names[m] != NULL; m++) {
                char std[32];
                snprintf(std, sizeof std, "%s_std", names[m]);
                assert_true(fabs(case_value(r, names[m], 0, 0) - 1) <= 1e-12);
                assert_true(fabs(case_value(r, std, 0, 0)) <= 1e-12);
            }
            csim_results_free(&r);
        }
        clear(&c);
    }
    harness_context_free(&ctx);
}

/* Cells that no one asked for are empty, those asked for are as in the sweep of all. */
static void cells_are_chosen(void **state)
{
    (void)state;
    static const char *const pairs[] = {"cross", "within", "a:b", "b:a"};
    csim_context *ctx = harness_context();
    sweep_case c = make(90);
    c.inits = 2;
    csim_results *all = case_results(ctx, &c);
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        c.pairs = pairs[k];
        csim_results *r = case_results(ctx, &c);
        int64_t cols = csim_results_cols(r), cells = csim_results_rows(r) * cols;
        int rows_at = k == 3 ? 2 : 0, cols_at = k == 1 || k == 3 ? 0 : 2;
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            for (int64_t i = 0; i < cells; i++) {
                int64_t p = i / cols + rows_at, q = i % cols + cols_at;
                bool asked = k != 1 || p / 2 == q / 2;
                double got = csim_results_values(r, v)[i], same = case_value(all, name, p, q);
                if (asked && memcmp(&got, &same, sizeof got) != 0) {
                    print_error("--pairs %s, %s: %.17g, among all %.17g\n", pairs[k], name, got,
                                same);
                }
                assert_true(asked ? memcmp(&got, &same, sizeof got) == 0 : isnan(got));
            }
        }
        csim_results_free(&r);
    }
    csim_results_free(&all);
    clear(&c);
    harness_context_free(&ctx);
}

/* ---- bits ---- */

static int differences(csim_results *a, csim_results *b, const char *what)
{
    int wrong = 0;
    size_t cells = (size_t)(csim_results_rows(a) * csim_results_cols(a));
    char sum[2][48];
    assert_int_equal(csim_results_count(a), csim_results_count(b));
    for (int v = 0; v < csim_results_count(a); v++) {
        if (memcmp(csim_results_values(a, v), csim_results_values(b, v), cells * sizeof(double)) !=
            0) {
            print_error("%s: %s differs\n", what, csim_results_variable(a, v)->name);
            wrong++;
        }
    }
    csim_results_checksum(a, sum[0]);
    csim_results_checksum(b, sum[1]);
    return wrong + (strcmp(sum[0], sum[1]) != 0);
}

/* A case on the first 1, 2, … ranks; rank 0 compares. */
static int over_ranks(const sweep_case *c, const char *what)
{
    int rank, size, wrong = 0, all = 0;
    csim_results *first = NULL;
    csim_context *lone = NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int ranks = 1; ranks <= size; ranks++) {
        MPI_Comm part;
        MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &part);
        if (part == MPI_COMM_NULL) { continue; }
        csim_context *ctx = NULL;
        assert_int_equal(csim_context_create(part, &ctx), CSIM_OK);
        csim_results *r = case_results(ctx, c);
        if (ranks == 1) { /* kept for comparison, with its context */
            first = r;
            lone = ctx;
        } else {
            if (first != NULL) { wrong += differences(first, r, what); }
            csim_results_free(&r);
            harness_context_free(&ctx);
        }
        MPI_Comm_free(&part);
    }
    csim_results_free(&first);
    if (lone != NULL) { harness_context_free(&lone); }
    MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return all;
}

static void ranks_do_not_matter(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n, chunks;
    } list[] = {
        {"one chunk", 50, 1}, {"two chunks", 100, 2}, {"nine chunks, one of a row", 513, 9}};
    int wrong = 0;
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        sweep_case c = make(list[k].n);
        assert_int_equal(csim__shard(list[k].n, 0, 1).chunks, list[k].chunks);
        c.inits = 3;
        wrong += over_ranks(&c, list[k].name);
        c.measures = "deepcka,svcca,contrasim,cka"; /* the rows are used up by the bases */
        wrong += over_ranks(&c, list[k].name);
        clear(&c);
    }
    assert_int_equal(wrong, 0);
}

/* More pairs than one round of CKA holds; alone, beside others, or with all measures. */
static void company_does_not_matter(void **state)
{
    (void)state;
    enum { MANY = 12 };
    csim_context *ctx = harness_context();
    sweep_case c = {.pairs = "all", .measures = "deepcka,contrasim", .inits = 2};
    int wrong = 0;
    for (int s = 0; s < MANY; s++) {
        int d = 3 + s % 5;
        double *x = ref_alloc(200 * d, sizeof *x);
        ref_random_matrix(720 + (uint64_t)s, 200, d, x);
        case_add(&c, "a", x, 200, d);
    }
    csim_results *all = case_results(ctx, &c);
    for (int i = 0; i < MANY; i++) {
        int j = (i + 5) % MANY, low = i < j ? i : j, high = i < j ? j : i;
        sweep_case two =
            case_pair(c.site[low].x, c.site[high].x, 200, c.site[low].d, c.site[high].d);
        two.inits = 2;
        two.measures = i % 2 ? LEARNED ",cka,procrustes" : "contrasim,deepcka";
        csim_results *r = case_results(ctx, &two);
        for (int v = 0; v < csim_results_count(all); v++) {
            const char *name = csim_results_variable(all, v)->name;
            double a = case_value(all, name, low, high), b = case_value(r, name, 0, 0);
            wrong += memcmp(&a, &b, sizeof a) != 0;
        }
        csim_results_free(&r);
    }
    csim_results_free(&all);
    clear(&c);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* The other measures have the same bits with learned ones beside them. */
static void others_are_left_alone(void **state)
{
    (void)state;
    static const char *const closed[] = {"cka,cka_debiased,norm", "procrustes,cka,dot",
                                         "svcca,gulp,cka", "eos,hard_corr"};
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (size_t k = 0; k < sizeof closed / sizeof *closed; k++) {
        char both[128];
        sweep_case c = make(140);
        c.measures = closed[k];
        csim_results *plain = case_results(ctx, &c);
        snprintf(both, sizeof both, "mscon,%s,deepcka", closed[k]);
        c.measures = both;
        c.inits = 2;
        csim_results *r = case_results(ctx, &c);
        for (int v = 0; v < csim_results_count(plain); v++) {
            int w = csim_results_find(r, csim_results_variable(plain, v)->name);
            wrong += memcmp(csim_results_values(plain, v), csim_results_values(r, w),
                            SITES * SITES * sizeof(double)) != 0;
        }
        csim_results_free(&r);
        csim_results_free(&plain);
        clear(&c);
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- no value ---- */

static csim_encoder *encoder_of(csim_context *ctx, const sweep_case *c, const char *measure,
                                int inits)
{
    csim_encoder *e = NULL;
    int d[CASE_SITES];
    for (int s = 0; s < c->count; s++) { d[s] = c->site[s].d; }
    assert_int_equal(case_encoder(ctx, measure, inits, d, c->count, &e), CSIM_OK);
    return e;
}

static csim_results *with_encoder(csim_context *ctx, sweep_case *c, csim_encoder *e)
{
    c->measures = csim_encoder_measure(e);
    c->encoders = &e;
    c->encoder_count = 1;
    return case_results(ctx, c);
}

/* An output that is the same for all rows: dead ReLUs, no parameter but biases. In one init of two it
 * is enough for deepcka; cosines are defined. */
static void dead_outputs(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = make(150);
    for (int m = 0; names[m] != NULL; m++) {
        for (int inits = 1; inits <= 2; inits++) {
            csim_encoder *e = encoder_of(ctx, &c, names[m], inits);
            float *last = e->params + (inits - 1) * e->net.parameters; /* of the last init */
            for (int i = 0; i < e->inputs; i++) {
                const csim__linear *first = &e->net.encoder[i].layer[0];
                for (int j = 0; j < first->out; j++) { last[first->b + j] = -1e6F; }
            }
            csim_results *r = with_encoder(ctx, &c, e);
            for (int k = 0; k < SITES * SITES; k++) {
                double v = case_value(r, names[m], k / SITES, k % SITES);
                if (strcmp(names[m], "deepcka") == 0) {
                    assert_true(isnan(v));
                    assert_int_equal(case_cell(r, names[m], k / SITES, k % SITES),
                                     CSIM_CELL_UNDEFINED);
                    assert_int_equal(case_note(r, names[m], k / SITES, k % SITES),
                                     CSIM_NOTE_CONSTANT);
                    if (inits > 1) { assert_true(isnan(case_value(r, "deepcka_std", 0, 1))); }
                } else if (inits == 1) {
                    assert_true(fabs(v - 1) <= 1e-12);
                }
            }
            csim_results_free(&r);
            case_encoder_fill(e, 0); /* rows of zeros: no direction, cosine 0 */
            r = with_encoder(ctx, &c, e);
            double v = case_value(r, names[m], 1, 2);
            assert_true(strcmp(names[m], "deepcka") == 0 ? isnan(v) : v == 0);
            csim_results_free(&r);
            csim_encoder_free(&e);
        }
    }
    clear(&c);
    harness_context_free(&ctx);
}

/* A constant site, and one whose rows differ by less than floats hold. The other pairs go on. */
static void constant_sites(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int k = 0; k < 3; k++) {
        sweep_case c = make(203);
        double *x = values_of(&c, 1);
        for (int i = 0; i < 203 * width[1]; i++) {
            x[i] = (k == 1 ? 0 : 0.1 + i % width[1] / 7.0) + (k == 2 ? 1e-9 * x[i] : 0);
        }
        csim_results *r = case_results(ctx, &c);
        int wrong = 0;
        for (int i = 0; i < SITES * SITES; i++) {
            int a = i / SITES, b = i % SITES;
            bool flat = a == 1 || b == 1;
            assert_int_equal(case_cell(r, "deepcka", a, b),
                             flat ? CSIM_CELL_UNDEFINED : CSIM_CELL_DONE);
            assert_int_equal(case_note(r, "deepcka", a, b),
                             flat ? CSIM_NOTE_CONSTANT : CSIM_NOTE_NONE);
            for (int m = 0; names[m] != NULL; m++) {
                case_near(&wrong, "a constant site", names[m], case_value(r, names[m], a, b),
                          case_learned(names[m], 0, &c.site[a], &c.site[b]),
                          case_learned_error(names[m], 0, &c.site[a], &c.site[b]));
            }
        }
        assert_int_equal(wrong, 0);
        csim_results_free(&r);
        clear(&c);
    }
    harness_context_free(&ctx);
}

/* A value that doubles hold and floats do not costs a site its cells, and no other site. */
static void rows_beyond_floats(void **state)
{
    (void)state;
    static const double sizes[] = {1e20, 1e36, 1e39, 1e60, 1e150};
    csim_context *ctx = harness_context();
    sweep_case c = make(513), fit = c;
    csim_results *plain = case_results(ctx, &fit);
    double *x = values_of(&c, 1), kept = x[512 * width[1] + 3];
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        bool lost = sizes[k] > 1e38;
        x[512 * width[1] + 3] = sizes[k]; /* in the last chunk, of one row */
        csim_results *r = case_results(ctx, &c);
        for (int m = 0; names[m] != NULL; m++) {
            for (int i = 0; i < SITES * SITES; i++) {
                int a = i / SITES, b = i % SITES;
                double v = case_value(r, names[m], a, b), was = case_value(plain, names[m], a, b);
                if (a != 1 && b != 1) {
                    assert_memory_equal(&v, &was, sizeof v);
                } else {
                    assert_int_equal(case_cell(r, names[m], a, b),
                                     lost ? CSIM_CELL_FAILED : CSIM_CELL_DONE);
                    assert_int_equal(case_note(r, names[m], a, b),
                                     lost ? CSIM_NOTE_OVERFLOW : CSIM_NOTE_NONE);
                    assert_true(isnan(v) == lost);
                }
            }
        }
        csim_results_free(&r);
    }
    x[512 * width[1] + 3] = kept;
    csim_results_free(&plain);
    clear(&c);
    harness_context_free(&ctx);
}

/* ---- what is refused ---- */

static void refuse(csim_context *ctx, const sweep_case *c, csim_status status, const char *part)
{
    csim_results *r = NULL;
    csim_status st = case_run(ctx, c, &r);
    if (st != status || strstr(csim_context_error(ctx), part) == NULL) {
        print_error("found %s: %s\nexpected %s and '%s'\n", csim_status_name(st),
                    csim_context_error(ctx), csim_status_name(status), part);
    }
    assert_int_equal(st, status);
    assert_null(r);
    assert_non_null(strstr(csim_context_error(ctx), part));
}

/* NaN or an infinity in any layer that a site goes through; in one that no site needs it is none of
 * the sweep's business. Also where only one rank has examples. */
static void parameters_must_be_finite(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    for (int n = 40; n <= 300; n += 260) {
        sweep_case c = make(n);
        for (int m = 0; names[m] != NULL; m++) {
            csim_encoder *e = encoder_of(ctx, &c, names[m], 2);
            c.encoders = &e;
            c.encoder_count = 1;
            c.measures = names[m];
            for (int l = 0; l < 2; l++) {
                const csim__linear *layer = &e->net.encoder[1].layer[l]; /* width 20 */
                float *place[] = {&e->params[e->net.parameters + layer->w + 1],
                                  &e->params[e->net.parameters + layer->b + 2]};
                for (int k = 0; k < 2; k++) {
                    float was = *place[k];
                    *place[k] = l == 1 && k == 0 ? INFINITY : NAN;
                    refuse(ctx, &c, CSIM_E_NUMERIC, "not a finite number");
                    assert_non_null(strstr(csim_context_error(ctx), csim_encoder_path(e)));
                    *place[k] = was;
                }
            }
            e->params[e->net.encoder[1].layer[0].w] = NAN;
            sweep_case two = case_pair(c.site[0].x, c.site[3].x, n, width[0], width[3]);
            csim_results *r = with_encoder(ctx, &two, e);
            assert_int_equal(case_cell(r, names[m], 0, 0), CSIM_CELL_DONE);
            csim_results_free(&r);
            csim_encoder_free(&e);
        }
        clear(&c);
    }
    harness_context_free(&ctx);
}

static void errors_are_named(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case good = make(60), c = good;
    csim_encoder *e[3] = {encoder_of(ctx, &c, "contrasim", 1), encoder_of(ctx, &c, "contrasim", 1),
                          encoder_of(ctx, &c, "deepcka", 1)};
    c.encoder_count = -1;
    refuse(ctx, &c, CSIM_E_USAGE, "measure contrasim needs --encoder");
    c.measures = "cka,deepcka";
    refuse(ctx, &c, CSIM_E_USAGE, "measure deepcka needs --encoder");
    c = good;
    c.encoders = e;
    c.encoder_count = 2;
    c.measures = "contrasim,cka";
    refuse(ctx, &c, CSIM_E_USAGE, "encoders case_contrasim.nc and case_contrasim.nc both define");
    c.encoders = e + 1;
    refuse(ctx, &c, CSIM_E_USAGE, "case_deepcka.nc defines deepcka, which is not among");
    c.measures = "cka";
    refuse(ctx, &c, CSIM_E_USAGE, "case_contrasim.nc defines contrasim, which is not among");
    c.measures = "contrasim,deepcka,mscon";
    refuse(ctx, &c, CSIM_E_USAGE, "measure mscon needs --encoder");
    c.measures = "contrasim,deepcka";
    c.site[2].d = 7; /* read with rows of another length: only the width matters */
    c.site[2].x = c.site[3].x;
    refuse(ctx, &c, CSIM_E_SHAPE, "no input layer for model b with 7 neurons");
    assert_non_null(strstr(csim_context_error(ctx), "trained on 5, 20, 33"));
    c = good;
    for (int m = 0; names[m] != NULL; m++) {
        char part[64];
        snprintf(part, sizeof part, "%s needs double precision", names[m]);
        c.measures = names[m];
        c.precision = CSIM_SINGLE_PRECISION;
        refuse(ctx, &c, CSIM_E_ARG, part);
    }
    c = good;
    c.measures = "contrasim,contrasim";
    c.encoders = e;
    c.encoder_count = 1;
    refuse(ctx, &c, CSIM_E_ARG, "contrasim is asked for twice");
    for (int i = 0; i < 3; i++) { csim_encoder_free(&e[i]); }
    clear(&good);
    harness_context_free(&ctx);
}

/* ---- what the results say ---- */

static void provenance(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = make(70);
    c.measures = "contrasim,cka,deepcka";
    for (c.inits = 1; c.inits <= 3; c.inits += 2) {
        csim_results *r = case_results(ctx, &c);
        for (int v = 0; v < csim_results_count(r); v++) {
            const char *name = csim_results_variable(r, v)->name;
            const csim_attribute *sum = csim_results_attribute_find(r, v, "encoder_checksum");
            const csim_attribute *inits = csim_results_attribute_find(r, v, "encoder_inits");
            bool own = strcmp(name, "contrasim") == 0 || strcmp(name, "deepcka") == 0;
            assert_true((sum != NULL) == own && (inits != NULL) == own);
            if (own) {
                assert_string_equal(sum->text, name[0] == 'c' ? "case cont" : "case deep");
                assert_int_equal(inits->count, 1);
                assert_int_equal(inits->integers[0], c.inits);
                assert_string_equal(csim_results_variable(r, v)->orientation, "similarity");
            }
        }
        assert_true((csim_results_find(r, "contrasim_std") >= 0) == (c.inits > 1));
        assert_true((csim_results_find(r, "deepcka_std") >= 0) == (c.inits > 1));
        assert_int_equal(csim_results_find(r, "cka_std"), -1);
        csim_results_free(&r);
    }
    clear(&c);
    harness_context_free(&ctx);
}

/* ---- memory ---- */

/* What a limit allows has the same bits as without one; what it does not is refused. */
static void memory_limit(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = make(900);
    c.inits = 2;
    csim_results *plain = case_results(ctx, &c), *tight = NULL;
    c.memory = 100000;
    refuse(ctx, &c, CSIM_E_MEM, "--memory");
    csim_status st = CSIM_E_MEM;
    while (st == CSIM_E_MEM && c.memory < 100000000) {
        c.memory += 50000;
        st = case_run(ctx, &c, &tight);
    }
    assert_int_equal(st, CSIM_OK);
    assert_int_equal(differences(plain, tight, "with a limit of memory"), 0);
    csim_results_free(&tight);
    csim_results_free(&plain);
    clear(&c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_right),
        cmocka_unit_test(copies_are_one),
        cmocka_unit_test(cells_are_chosen),
        cmocka_unit_test(ranks_do_not_matter),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(others_are_left_alone),
        cmocka_unit_test(dead_outputs),
        cmocka_unit_test(constant_sites),
        cmocka_unit_test(rows_beyond_floats),
        cmocka_unit_test(parameters_must_be_finite),
        cmocka_unit_test(errors_are_named),
        cmocka_unit_test(provenance),
        cmocka_unit_test(memory_limit),
    };
    return harness_finish(cmocka_run_group_tests_name("learned", tests, NULL, NULL));
}
