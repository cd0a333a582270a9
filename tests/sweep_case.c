#define _POSIX_C_SOURCE 200809L

#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "case_encoder.h"
#include "core/config.h"

sweep_case case_pair(const double *x, const double *y, int n, int d, int e)
{
    return (sweep_case){.site = {{"a", x, n, d, 0}, {"b", y, n, e, 0}}, .count = 2};
}

void case_add(sweep_case *c, const char *set, const double *x, int n, int d)
{
    assert_true(c->count < CASE_SITES);
    c->site[c->count++] = (case_site){set, x, n, d, 0};
}

/* Place of a site among those of its set. */
static int place(const sweep_case *c, int i)
{
    int at = 0;
    while (at < i && strcmp(c->site[i - at - 1].set, c->site[i].set) == 0) { at++; }
    return at;
}

static void path_of(const sweep_case *c, int i, const char *folder, char path[CASE_PATH])
{
    snprintf(path, CASE_PATH, "%s/%s/%02d.npy", folder, c->site[i].set, place(c, i));
}

/* A number between 2^−14 and 2^15 in size as a 16-bit float, cut off; smaller ones become 0. */
static uint16_t half_of(double v)
{
    int e;
    double m = frexp(fabs(v), &e);
    if (e < -13) { return 0; }
    int bits = (e + 14) << 10 | ((int)(m * 2048) & 1023);
    return (uint16_t)(bits | (v < 0 ? 1 << 15 : 0));
}

/* Version 1.0: magic, length of the header, a header that fills 128 bytes. */
static void write_npy(const char *path, const case_site *s)
{
    char head[129];
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    int used =
        snprintf(head + 10, 118, "{'descr': '<f%d', 'fortran_order': False, 'shape': (%d, %d), }",
                 s->bytes > 0 ? s->bytes : 8, s->n, s->d);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    memset(head + 10 + used, ' ', (size_t)(118 - used));
    head[127] = '\n';
    size_t count = (size_t)s->n * (size_t)s->d, written = fwrite(head, 1, 128, f);
    if (s->bytes == 4) {
        for (size_t i = 0; i < count; i++) {
            float v = (float)s->x[i];
            written += fwrite(&v, sizeof v, 1, f);
        }
    } else if (s->bytes == 2) {
        for (size_t i = 0; i < count; i++) {
            uint16_t v = half_of(s->x[i]);
            written += fwrite(&v, sizeof v, 1, f);
        }
    } else {
        written += fwrite(s->x, sizeof *s->x, count, f);
    }
    assert_int_equal(written, 128 + count);
    assert_int_equal(fclose(f), 0);
}

void case_write(csim_context *ctx, const sweep_case *c, char folder[CASE_PATH])
{
    MPI_Comm comm = csim_context_comm(ctx);
    const char *base = getenv("TMPDIR");
    memset(folder, 0, CASE_PATH);
    snprintf(folder, CASE_PATH, "%s/csim_case.XXXXXX", base && *base ? base : "/tmp");
    if (csim_context_rank(ctx) == 0) {
        assert_non_null(mkdtemp(folder));
        for (int i = 0; i < c->count; i++) {
            char path[CASE_PATH + 32];
            snprintf(path, sizeof path, "%s/%s", folder, c->site[i].set);
            if (place(c, i) == 0) { assert_int_equal(mkdir(path, 0700), 0); }
            path_of(c, i, folder, path);
            write_npy(path, &c->site[i]);
        }
    }
    MPI_Bcast(folder, CASE_PATH, MPI_CHAR, 0, comm);
}

void case_remove(csim_context *ctx, const sweep_case *c, const char *folder)
{
    MPI_Barrier(csim_context_comm(ctx));
    for (int i = c->count - 1; csim_context_rank(ctx) == 0 && i >= 0; i--) {
        char path[CASE_PATH + 32];
        path_of(c, i, folder, path);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s", folder, c->site[i].set);
        if (place(c, i) == 0) { rmdir(path); }
    }
    if (csim_context_rank(ctx) == 0) { assert_int_equal(rmdir(folder), 0); }
}

/* The measures of a case with their options, in the memory of a configuration. */
static int make_measures(csim_context *ctx, const sweep_case *c, csim__config *config,
                         csim_sweep_measure *list)
{
    char text[1024] = "", *word, *rest = text;
    int count = 0, arguments = 0;
    for (int i = 0; c->measures == NULL && i < csim_measure_count(); i++) {
        strcat(strcat(text, i ? "," : ""), csim_measure_get(i)->name);
    }
    if (c->measures != NULL) { strcpy(text, c->measures); }
    while ((word = strtok_r(rest, ",", &rest)) != NULL) {
        const csim_measure *m = csim_measure_find(word);
        void *target = NULL;
        assert_non_null(m);
        if (m->options != NULL) {
            assert_int_equal(csim__config_target(config, m->options_size, &target), CSIM_OK);
            csim__option_group group = {
                .prefix = m->name, .title = m->name, .table = m->options, .target = target};
            assert_int_equal(csim__config_add(config, &group), CSIM_OK);
        }
        list[count++] = (csim_sweep_measure){m, target};
    }
    char *argument[CASE_MEASURES];
    while (c->options != NULL && c->options[arguments] != NULL) {
        assert_int_equal(csim__strdup(ctx, c->options[arguments], &argument[arguments]), CSIM_OK);
        arguments++;
    }
    assert_int_equal(csim__config_parse_args(config, arguments, argument), CSIM_OK);
    for (int i = 0; i < arguments; i++) { csim__free(ctx, &argument[i]); }
    for (int i = 0; i < count; i++) { /* of few examples less than by default */
        union {
            const void *in;
            csim_neighbour_options *out;
            csim_batch_options *batch;
        } o = {.in = list[i].options};
        bool near = (list[i].measure->needs & CSIM_NEEDS_NEIGHBOURS) != 0;
        static const char *const all[] = {"0", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
        int n = c->site[0].n;
        if (near && n <= 10 && strcmp(o.out->k, "10") == 0) { o.out->k = all[n]; }
        if (strcmp(list[i].measure->name, "cka_minibatch") == 0 && o.batch->batch == 256) {
            o.batch->batch = ref_batch(n, NULL);
        }
    }
    return count;
}

/* One encoder for each learned measure, for the widths of the case. Collective. */
static csim_status make_encoders(csim_context *ctx, const sweep_case *c,
                                 const csim_sweep_measure *measures, int count,
                                 csim_encoder **encoders, int *made)
{
    int width[CASE_SITES];
    csim_status st = CSIM_OK;
    *made = 0;
    for (int i = 0; i < c->count; i++) { width[i] = c->site[i].d; }
    for (int m = 0; c->encoder_count == 0 && st == CSIM_OK && m < count; m++) {
        const char *name = measures[m].measure->name;
        if (!case_is_learned(name)) { continue; }
        st = case_encoder(ctx, name, c->inits > 0 ? c->inits : 1, width, c->count,
                          &encoders[(*made)++]);
        st = csim__vote(ctx, st);
    }
    return st;
}

csim_status case_sweep(csim_context *ctx, const sweep_case *c, const char *folder,
                       csim_results **results)
{
    csim_encoder *encoders[CASE_MEASURES] = {NULL};
    int made;
    csim_set *sets[CASE_SITES] = {NULL};
    csim_sweep_measure measures[CASE_MEASURES];
    csim__config *config = NULL;
    int set_count = 0;
    csim_input_options input = {.neuron_axis = -1, .nan_drop_rows = c->drop_rows};
    csim_status st = CSIM_OK;
    *results = NULL;
    assert_int_equal(csim__config_create(ctx, "sweep", &config), CSIM_OK);
    int count = make_measures(ctx, c, config, measures);
    st = make_encoders(ctx, c, measures, count, encoders, &made);
    for (int i = 0; st == CSIM_OK && i < c->count; i++) {
        char spec[CASE_PATH + 64];
        if (place(c, i) > 0) { continue; }
        snprintf(spec, sizeof spec, "%s=%s/%s", c->site[i].set, folder, c->site[i].set);
        st = csim_set_open(ctx, spec, &input, &sets[set_count]);
        set_count += st == CSIM_OK;
    }
    if (st == CSIM_OK) {
        bool own = c->encoder_count == 0;
        csim_sweep_options options = {
            .measures = measures,
            .measure_count = count,
            .pairs = c->pairs,
            .precision = c->precision,
            .nan_drop_rows = c->drop_rows,
            .rank_floor = c->rank_floor,
            .progress = c->progress,
            .progress_user = c->progress_user,
            .memory = c->memory,
            .grid_rows = c->grid_rows,
            .grid_cols = c->grid_cols,
            .grid_from = c->grid_from,
            .part = c->part,
            .parts = c->parts,
            .null = c->null,
            .permutations = c->permutations,
            .null_seed = c->null_seed,
            .jackknife = c->jackknife,
            .journal = c->journal,
            .resume = c->resume,
            .stop = c->stop,
            .stop_user = c->stop_user,
            .encoders = (const csim_encoder *const *)(own ? encoders : c->encoders),
            .encoder_count = own                    ? made
                             : c->encoder_count < 0 ? 0
                                                    : c->encoder_count};
        csim__target target = {.machine = &csim__machine_typical, .nodes = 1};
        st = c->forecast == NULL
                 ? csim_sweep(ctx, sets, set_count, &options, results)
                 : csim__sweep_forecast(ctx, sets, set_count, &options, csim_context_size(ctx),
                                        &target, c->forecast);
    }
    for (int s = 0; s < set_count; s++) { csim_set_free(&sets[s]); }
    for (int i = 0; i < made; i++) { csim_encoder_free(&encoders[i]); }
    csim__config_free(&config);
    return st;
}

csim_status case_run(csim_context *ctx, const sweep_case *c, csim_results **results)
{
    char folder[CASE_PATH];
    case_write(ctx, c, folder);
    csim_status st = case_sweep(ctx, c, folder, results);
    case_remove(ctx, c, folder);
    assert_true(harness_same(ctx, st));
    return st;
}

csim_results *case_results(csim_context *ctx, const sweep_case *c)
{
    csim_results *r = NULL;
    csim_status st = case_run(ctx, c, &r);
    if (st != CSIM_OK) { print_error("%s\n", csim_context_error(ctx)); }
    assert_int_equal(st, CSIM_OK);
    return r;
}

static int variable(csim_results *r, const char *measure, int64_t i, int64_t j)
{
    int v = csim_results_find(r, measure);
    assert_true(v >= 0 && i < csim_results_rows(r) && j < csim_results_cols(r));
    return v;
}

double case_value(csim_results *r, const char *measure, int64_t i, int64_t j)
{
    return csim_results_values(r, variable(r, measure, i, j))[i * csim_results_cols(r) + j];
}

csim_cell case_cell(csim_results *r, const char *measure, int64_t i, int64_t j)
{
    return csim_results_cells(r, variable(r, measure, i, j))[i * csim_results_cols(r) + j];
}

csim_note case_note(csim_results *r, const char *measure, int64_t i, int64_t j)
{
    return csim_results_notes(r, variable(r, measure, i, j))[i * csim_results_cols(r) + j];
}

double case_reference(csim_context *ctx, const char *measure, const case_site *x,
                      const case_site *y)
{
    double value = NAN;
    if (csim_context_rank(ctx) == 0) {
        ref_options o = ref_default_options;
        /* eos alone is cut at numerical rank, not at the floor of the others */
        double tiny = (x->n > x->d ? x->n : x->d) * 2.3e-16;
        if (strcmp(measure, "eos") == 0) { o.rank_floor = tiny * tiny; }
        value = case_is_learned(measure) ? case_learned(measure, 0, x, y)
                                         : ref_find(measure)->fn(x->x, y->x, x->n, x->d, y->d, &o);
    }
    MPI_Bcast(&value, 1, MPI_DOUBLE, 0, csim_context_comm(ctx));
    return value;
}

double case_float_error(const char *measure, const case_site *x, const case_site *y)
{
    return case_is_learned(measure) ? case_learned_error(measure, 0, x, y) : 0;
}

static bool is_one_of(const char *measure, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(measure, *names) == 0) { return true; }
    }
    return false;
}

double case_before_root(const char *measure, double value)
{
    static const char *const roots[] = {"procrustes", "ortho_procrustes", "perm_procrustes", NULL};
    if (is_one_of(measure, roots)) { return value * value; }
    return strcmp(measure, "angular") == 0 ? cos(value) : value;
}

/* ‖X‖_F², centred or not. */
static double square_norm(const case_site *s, bool centred)
{
    double *c = ref_centre(s->x, s->n, s->d), sum = 0;
    for (int64_t i = 0; i < (int64_t)s->n * s->d; i++) {
        double v = centred ? c[i] : s->x[i];
        sum += v * v;
    }
    free(c);
    return sum;
}

double case_scale(const char *measure, const case_site *x, const case_site *y)
{
    static const char *const raw[] = {"perm_procrustes", "dot", NULL};
    bool centred = !is_one_of(measure, raw);
    if (case_is_learned(measure)) { return 1; }
    double a = square_norm(x, centred), b = square_norm(y, centred), n = x->n;
    if (strcmp(measure, "procrustes") == 0 || !centred) {
        return strcmp(measure, "dot") == 0 ? sqrt(a * b) / n : a + b;
    }
    if (strcmp(measure, "rsm_diff") == 0) { return sqrt(n * (a + b)); }
    if (strcmp(measure, "mag_diff") == 0) {
        return sqrt((square_norm(x, false) + square_norm(y, false)) / n);
    }
    if (strcmp(measure, "hsic") == 0) { return a * b / ((n - 1) * (n - 1)); }
    return strcmp(measure, "gulp") == 0 ? x->d + y->d : 1;
}

void case_near(int *wrong, const char *what, const char *measure, double got, double expected,
               double tolerance)
{
    int rank;
    if (fabs(got - expected) <= tolerance || (isnan(got) && isnan(expected))) { return; }
    ++*wrong;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) {
        print_error("%s, %s: found %.17g, expected %.17g, off by %.3g, tolerance %.3g\n", what,
                    measure, got, expected, got - expected, tolerance);
    }
}

/* ---- the same bits ---- */

void case_mix(sweep_case *c, int n, const int *width, int most, int first, int giant)
{
    double *common = ref_alloc(n, sizeof *common);
    ref_random_matrix(1, n, 1, common);
    for (int s = 0; s < most && width[s] > 0; s++) {
        int d = width[s];
        double *x = ref_alloc((int64_t)n * d, sizeof *x);
        ref_random_matrix(500 + (uint64_t)s, n, d, x);
        for (int64_t i = 0; i < (int64_t)n * d; i++) { x[i] = x[i] * (1 + i % 3) + common[i / d]; }
        for (int j = 0; giant > 0 && s < 2 && j < d; j++) { x[101 * d + j] *= pow(10, giant); }
        case_add(c, s < first ? "a" : "b", x, n, d);
    }
    free(common);
}

double *case_values(const sweep_case *c, int i)
{
    union { /* the case only borrows its matrices */
        const double *in;
        double *out;
    } x = {.in = c->site[i].x};
    return x.out;
}

void case_unmix(sweep_case *c)
{
    for (int i = 0; i < c->count; i++) { free(case_values(c, i)); }
}

int case_differences(csim_results *a, csim_results *b, const char *what)
{
    int wrong = 0;
    int64_t cells = csim_results_rows(a) * csim_results_cols(a);
    char sum[2][48];
    for (int v = 0; v < csim_results_count(a); v++) {
        const char *name = csim_results_variable(a, v)->name;
        bool measure = csim_results_cells(a, v) != NULL; /* companions have values only */
        if (memcmp(csim_results_values(a, v), csim_results_values(b, v),
                   (size_t)cells * sizeof(double)) != 0 ||
            (measure &&
             (memcmp(csim_results_cells(a, v), csim_results_cells(b, v), (size_t)cells) != 0 ||
              memcmp(csim_results_notes(a, v), csim_results_notes(b, v), (size_t)cells) != 0))) {
            print_error("%s: %s differs\n", what, name);
            wrong++;
        }
    }
    csim_results_checksum(a, sum[0]);
    csim_results_checksum(b, sum[1]);
    if (strcmp(sum[0], sum[1]) != 0) {
        print_error("%s: the checksums differ\n", what);
        wrong++;
    }
    return wrong;
}

void case_refuse(csim_context *ctx, const sweep_case *c, csim_status status, const char *part)
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

int case_over_ranks(const sweep_case *c, const char *what)
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
            if (first != NULL) {
                char which[160];
                snprintf(which, sizeof which, "%s on %d ranks", what, ranks);
                wrong += case_differences(first, r, which);
            }
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
