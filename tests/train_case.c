#define _POSIX_C_SOURCE 200809L

#include "train_case.h"

#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"

#define NC(call) assert_int_equal((call), NC_NOERR)

enum { HIDDEN = 5 };

/* ---- data ---- */

/* Hidden numbers through a matrix of the site's own, and noise. */
static float *make_site(int n, int d, uint64_t site)
{
    csim__rng latent = csim__rng_start(99, 1), own = csim__rng_start(99, 100 + site);
    double *mix = malloc((size_t)(HIDDEN * d) * sizeof *mix), hidden[HIDDEN];
    float *x = malloc((size_t)n * (size_t)d * sizeof *x);
    assert_true(mix != NULL && x != NULL);
    for (int k = 0; k < HIDDEN * d; k++) { mix[k] = csim__rng_normal(&own); }
    for (int i = 0; i < n; i++) {
        for (int h = 0; h < HIDDEN; h++) { hidden[h] = csim__rng_normal(&latent); }
        for (int j = 0; j < d; j++) {
            double v = 0.3 * csim__rng_normal(&own) + 0.1 * j;
            for (int h = 0; h < HIDDEN; h++) { v += hidden[h] * mix[h * d + j]; }
            x[(int64_t)i * d + j] = (float)v;
        }
    }
    free(mix);
    return x;
}

train_case train_make(int n, int sets, int layers, const int *d)
{
    train_case c = {.sets = sets, .layers = layers, .n = n};
    assert_true(sets <= TRAIN_SETS && layers <= TRAIN_LAYERS);
    for (int s = 0; s < sets; s++) {
        for (int l = 0; l < layers; l++) {
            c.d[s][l] = d[s * layers + l];
            c.x[s][l] = make_site(n, c.d[s][l], (uint64_t)(s * TRAIN_LAYERS + l));
        }
    }
    c.o = (csim_train_options){.hidden = "9,7",
                               .out = 6,
                               .temperature = 0.1,
                               .views = -1,
                               .view_noise = -1,
                               .view_dropout = -1,
                               .head_out = 5,
                               .epochs = 2,
                               .batch = 32,
                               .optimiser = -1,
                               .rate = 1e-2,
                               .momentum = 0.9,
                               .decay = -1,
                               .rate_factor = -1,
                               .seed = 3,
                               .inits = 1,
                               .patience = 5,
                               .held_out = 0.1};
    return c;
}

void train_add_notion(train_case *c, int classes, int missing)
{
    csim__rng rng = csim__rng_start(7, (uint64_t)c->notions);
    int64_t *label = malloc((size_t)c->n * sizeof *label);
    assert_true(label != NULL && c->notions < TRAIN_NOTIONS);
    for (int i = 0; i < c->n; i++) { label[i] = i % classes; }
    csim__rng_shuffle(&rng, label, c->n);
    for (int i = 0; missing > 0 && i < c->n; i++) {
        if (csim__rng_below(&rng, missing) == 0) { label[i] = -1; }
    }
    static const char *const names[] = {"n0", "n0,n1", "n0,n1,n2"};
    c->o.notions = names[c->notions];
    c->label[c->notions++] = label;
    c->o.loss = CSIM_LOSS_MSCON;
}

void train_clear(train_case *c)
{
    for (int s = 0; s < c->sets; s++) {
        for (int l = 0; l < c->layers; l++) { free(c->x[s][l]); }
    }
    for (int k = 0; k < c->notions; k++) { free(c->label[k]); }
}

/* ---- files ---- */

static void set_path(const char *prefix, int s, char path[TRAIN_PATH])
{
    snprintf(path, TRAIN_PATH, "%s_%c.nc", prefix, 'a' + s);
}

static void write_set(const train_case *c, int s, const char *path)
{
    int nc = 0, dim[2], id[TRAIN_LAYERS + TRAIN_NOTIONS];
    char name[32];
    NC(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc));
    NC(nc_put_att_text(nc, NC_GLOBAL, "Conventions", 11, "contrasim-1"));
    NC(nc_def_dim(nc, "example", (size_t)c->n, &dim[0]));
    for (int l = 0; l < c->layers; l++) {
        snprintf(name, sizeof name, "neuron_%d", l);
        NC(nc_def_dim(nc, name, (size_t)c->d[s][l], &dim[1]));
        snprintf(name, sizeof name, "layer_%d", l);
        NC(nc_def_var(nc, name, NC_FLOAT, 2, dim, &id[l]));
        NC(nc_put_att_int(nc, id[l], "layer_index", NC_INT, 1, &l));
    }
    for (int k = 0; s == 0 && k < c->notions; k++) {
        snprintf(name, sizeof name, "label_n%d", k);
        NC(nc_def_var(nc, name, NC_INT64, 1, dim, &id[TRAIN_LAYERS + k]));
    }
    NC(nc_enddef(nc));
    for (int l = 0; l < c->layers; l++) { NC(nc_put_var_float(nc, id[l], c->x[s][l])); }
    for (int k = 0; s == 0 && k < c->notions; k++) {
        long long *wide = malloc((size_t)c->n * sizeof *wide);
        assert_non_null(wide);
        for (int i = 0; i < c->n; i++) { wide[i] = c->label[k][i]; }
        NC(nc_put_var_longlong(nc, id[TRAIN_LAYERS + k], wide));
        free(wide);
    }
    NC(nc_close(nc));
}

void train_write(csim_context *ctx, const train_case *c, const char *prefix)
{
    char path[TRAIN_PATH];
    for (int s = 0; csim_context_rank(ctx) == 0 && s < c->sets; s++) {
        set_path(prefix, s, path);
        write_set(c, s, path);
    }
    MPI_Barrier(csim_context_comm(ctx));
}

/* ---- runs ---- */

typedef struct stopper {
    int64_t asked, after;
    bool mine;
} stopper;

static int asked_to_stop(void *user)
{
    stopper *s = user;
    s->asked++;
    return s->mine && s->asked == s->after;
}

csim_status train_run(csim_context *ctx, const train_case *c, const char *prefix,
                      const char *output, const train_how *how)
{
    csim_set *sets[TRAIN_SETS] = {NULL};
    csim_input_options input = {
        .neuron_axis = -1, .nan_drop_rows = c->drop_rows, .examples = c->examples};
    stopper stop = {.after = how->stop_after,
                    .mine = how->stop_rank < 0 || how->stop_rank == csim_context_rank(ctx)};
    csim_train_run run = {.output = output,
                          .resume = how->resume,
                          .overwrite = how->overwrite,
                          .stop = how->stop_after > 0 ? asked_to_stop : NULL,
                          .stop_user = &stop,
                          .nan_drop_rows = c->drop_rows};
    csim_train_options options = c->o;
    char spec[TRAIN_PATH + 2], path[TRAIN_PATH];
    csim_status st = csim__vote(ctx, csim_train_resolve(ctx, &options));
    for (int s = 0; st == CSIM_OK && s < c->sets; s++) {
        set_path(prefix, s, path);
        snprintf(spec, sizeof spec, "%c=%s", 'a' + s, path);
        st = csim_set_open(ctx, spec, &input, &sets[s]);
    }
    if (st == CSIM_OK) { st = csim_train(ctx, sets, c->sets, &options, &run); }
    for (int s = 0; s < c->sets; s++) { csim_set_free(&sets[s]); }
    return st;
}

void train_ok(csim_context *ctx, csim_status st)
{
    if (st != CSIM_OK) { fail_msg("%s: %s", csim_status_name(st), csim_context_error(ctx)); }
}

void train_must(csim_context *ctx, const train_case *c, const char *prefix, const char *output)
{
    train_ok(ctx, train_run(ctx, c, prefix, output, &(train_how){.overwrite = 1}));
}

const csim__field *train_field(const csim__checkpoint *c, const char *name)
{
    const csim__field *field = csim__checkpoint_field(c, name);
    if (field == NULL) { fail_msg("the checkpoint has no %s", name); }
    return field;
}

/* ---- files as bytes ---- */

/* The bytes of a file, NULL if there is none; free() them. */
static char *bytes_of(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) { return NULL; }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void put_bytes(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

bool train_same_file(const char *a, const char *b)
{
    size_t n = 0, m = 0;
    char *x = bytes_of(a, &n), *y = bytes_of(b, &m);
    bool same = x != NULL && y != NULL && n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

static int begin(void)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Barrier(MPI_COMM_WORLD);
    return rank;
}

void train_copy(const char *from, const char *to)
{
    size_t n = 0;
    if (begin() == 0) {
        char *bytes = bytes_of(from, &n);
        assert_non_null(bytes);
        put_bytes(to, bytes, n);
        free(bytes);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

void train_remove(const char *path)
{
    if (begin() == 0) { (void)unlink(path); }
    MPI_Barrier(MPI_COMM_WORLD);
}

void train_damage(const char *path, double where)
{
    size_t n = 0;
    if (begin() == 0) {
        char *bytes = bytes_of(path, &n);
        assert_non_null(bytes);
        bytes[(size_t)(where * (double)(n - 1))] ^= 0x10;
        put_bytes(path, bytes, n);
        free(bytes);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

void train_cut(const char *path, double where)
{
    size_t n = 0;
    if (begin() == 0) {
        char *bytes = bytes_of(path, &n);
        assert_non_null(bytes);
        put_bytes(path, bytes, (size_t)(where * (double)n));
        free(bytes);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

bool train_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
