/* Speeds of this machine, each measured on all ranks at the same time: what a rank of a sweep gets. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/machine.h"
#include "app/perf/calibration.h"
#include "core/exact.h"
#include "ingredients/gram.h"
#include "ingredients/site.h"
#include "linalg/pdense.h"

enum {
    REPEATS = 5,
    SQUARE = 384, /* of decompositions */
    DEALT = 512,  /* of those on grids */
    TILE = 512,
    MANY = 8,    /* of inner products */
    BLOCK = 768, /* of exact sums */
    ROWS = 2048,
    WIDTH = 512, /* of moments */
    COPY = 64 << 20,
    FILE_BYTES = 256 << 20,
    PIECE = 4 << 20,
    SMALL = 8,
    LARGE = 4 << 20 /* messages */
};

/* What is timed, and what it works on. */
typedef struct bench {
    csim_context *ctx;
    int n;
    bool single;
    csim__want want;
    double *a, *b, *c, *d;
    const double *tile[MANY];
    unsigned char *wanted;
    csim_set *set;
    char *path;
    int other; /* rank to talk to */
    int bytes;
    csim__dealt whole, copy, vectors; /* without a grid on a rank that is in none */
} bench;

typedef csim_status work(bench *w);

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of @p times runs of a work, of the slowest rank. Collective. */
static csim_status clock_work(bench *w, work *run, int times, double *seconds)
{
    double all[REPEATS], mine;
    MPI_Comm comm = csim_context_comm(w->ctx);
    csim_status st = csim__vote(w->ctx, run(w)); /* warm */
    for (int r = 0; st == CSIM_OK && r < REPEATS; r++) {
        CSIM_TRY(csim__mpi(w->ctx, MPI_Barrier(comm), "MPI_Barrier"));
        double start = csim__now();
        for (int i = 0; st == CSIM_OK && i < times; i++) { st = run(w); }
        all[r] = (csim__now() - start) / times;
        st = csim__vote(w->ctx, st);
    }
    CSIM_TRY(st);
    qsort(all, REPEATS, sizeof all[0], order);
    mine = all[REPEATS / 2];
    st = csim__mpi(w->ctx, MPI_Allreduce(&mine, seconds, 1, MPI_DOUBLE, MPI_MAX, comm),
                   "MPI_Allreduce");
    *seconds = fmax(*seconds, 1e-9);
done:
    return csim__vote(w->ctx, st);
}

/* The rate of a work of which one run does @p amount. Collective. */
static csim_status rate_of(bench *w, work *run, double amount, int times, double *rate)
{
    double seconds = 1;
    csim_status st = clock_work(w, run, times, &seconds);
    *rate = amount / seconds;
    return st;
}

/* Numbers without structure that no processor treats in a special way. */
static void fill(double *x, int64_t count)
{
    uint64_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[i] = (double)(state >> 11) * 0x1p-53 - 0.5;
    }
}

static csim_status run_gemm(bench *w)
{
    if (w->single) {
        csim__gemm_nt_f(w->n, w->n, w->n, (float *)(void *)w->a, (float *)(void *)w->b,
                        (float *)(void *)w->c);
    } else {
        csim__gemm_nt(w->n, w->n, w->n, w->a, w->b, w->c);
    }
    return CSIM_OK;
}

static csim_status run_inner(bench *w)
{
    if (w->single) {
        csim__inner_products_f((const float *const *)(const void *)w->tile, MANY, TILE * TILE,
                               w->wanted, w->c);
    } else {
        csim__inner_products(w->tile, MANY, TILE * TILE, w->wanted, w->c);
    }
    return CSIM_OK;
}

static csim_status run_eigen(bench *w)
{
    memcpy(w->b, w->a, (size_t)w->n * (size_t)w->n * sizeof *w->b);
    return csim__eigen(w->ctx, w->want, w->n, w->b, w->c);
}

static csim_status run_svd(bench *w)
{
    size_t count = (size_t)w->n * (size_t)w->n;
    bool vectors = w->want == CSIM__VECTORS;
    memcpy(w->b, w->a, count * sizeof *w->b);
    return csim__svd(w->ctx, w->want, w->n, w->n, w->b, w->c, vectors ? w->c + w->n : NULL,
                     vectors ? w->d : NULL);
}

static csim_status run_exact(bench *w)
{
    csim__exact_add_block((int64_t *)(void *)w->b, w->n, w->a, w->n, w->n, w->n, w->c, w->d, false);
    return CSIM_OK;
}

static csim_status run_copy(bench *w)
{
    memcpy(w->b, w->a, COPY);
    w->a[0] += w->b[1]; /* the copy is used */
    return CSIM_OK;
}

/* Pages are made when they are first written to. */
static csim_status run_fresh(bench *w)
{
    double *x = NULL;
    csim_status st = csim__alloc(w->ctx, COPY, 1, "fresh memory", &x);
    if (st == CSIM_OK) { memset(x, 1, COPY); }
    if (st == CSIM_OK) { w->a[0] += x[COPY / (int)sizeof *x - 1] > 0 ? 1e-3 : 0; }
    csim__free(w->ctx, &x);
    return st;
}

static csim_status run_moments(bench *w)
{
    csim_shard shard;
    csim__site site = {.set = w->set, .model = "m", .layer = "l", .d = WIDTH, .rank = -1};
    csim_status st = csim__ingest(w->ctx, &site, 1, CSIM_DOUBLE, &shard);
    csim__site_release(w->ctx, &site);
    return st;
}

static csim_status run_read(bench *w)
{
    int file = open(w->path, O_RDONLY);
    int64_t sum = 0, got = 1;
#if defined(POSIX_FADV_DONTNEED)
    if (file >= 0) { (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); }
#endif
    while (file >= 0 && got > 0) {
        got = read(file, w->a, PIECE);
        sum += got > 0 ? got : 0;
    }
    if (file >= 0) { close(file); }
    return sum == FILE_BYTES
               ? CSIM_OK
               : csim__fail(w->ctx, CSIM_E_IO, "file %s: %s", w->path,
                            errno != 0 ? strerror(errno) : "shorter than it was written");
}

static csim_status run_message(bench *w)
{
    return csim__mpi(w->ctx,
                     MPI_Sendrecv(w->a, w->bytes, MPI_BYTE, w->other, 0, w->b, w->bytes, MPI_BYTE,
                                  w->other, 0, csim_context_comm(w->ctx), MPI_STATUS_IGNORE),
                     "MPI_Sendrecv");
}

static void copy_dealt(bench *w)
{
    size_t count = (size_t)w->whole.m_loc * (size_t)w->whole.n_loc;
    memcpy(w->copy.x, w->whole.x, count * sizeof *w->copy.x);
}

static csim_status tell(bench *w, csim_status st)
{
    if (st == CSIM_OK) { return st; }
    return csim__fail(w->ctx, st, "%s", csim_context_error(w->whole.grid->ctx));
}

static csim_status run_grid_eigen(bench *w)
{
    if (w->whole.grid == NULL) { return CSIM_OK; }
    copy_dealt(w);
    return tell(w, csim__pd_eigen(w->want, &w->copy, w->c, &w->vectors));
}

static csim_status run_grid_svd(bench *w)
{
    if (w->whole.grid == NULL) { return CSIM_OK; }
    copy_dealt(w);
    return tell(w, csim__pd_singular_values(&w->copy, w->c));
}

static csim_status time_products(bench *w, csim__machine *m)
{
    csim_status st = CSIM_OK;
    for (int p = 0; p < 2; p++) {
        w->single = p == 1;
        for (int i = 0; i < CSIM__GEMM_SIZES; i++) {
            double n = w->n = csim__gemm_size[i];
            int times = i == 0 ? 4000 : i == 1 ? 64 : 1;
            CSIM_TRY(rate_of(w, run_gemm, 2 * n * n * n, times, &m->gemm[p][i]));
        }
        CSIM_TRY(rate_of(w, run_inner, (double)TILE * TILE * MANY * (MANY + 1), 4, &m->inner[p]));
    }
done:
    return st;
}

static csim_status time_decompositions(bench *w, csim__machine *m)
{
    const double cube = (double)SQUARE * SQUARE * SQUARE;
    csim_status st = CSIM_OK;
    w->n = SQUARE;
    w->want = CSIM__VALUES;
    CSIM_TRY(rate_of(w, run_eigen, 4.0 / 3 * cube, 1, &m->eigen_values));
    CSIM_TRY(rate_of(w, run_svd, 8.0 / 3 * cube, 1, &m->svd_values));
    w->want = CSIM__VECTORS;
    CSIM_TRY(rate_of(w, run_eigen, 9 * cube, 1, &m->eigen_vectors));
    CSIM_TRY(rate_of(w, run_svd, 20 * cube, 1, &m->svd_vectors));
done:
    return st;
}

/* The rate of a rank of a grid of two, without what the messages of its columns take; with these most
 * of the time, at least a quarter is left. */
static csim_status grid_rate(bench *w, work *run, double flops, const csim__grid_traffic *traffic,
                             const csim__machine *m, double *rate)
{
    double seconds = 1;
    csim_status st = clock_work(w, run, 1, &seconds);
    double messages = csim__grid_messages(traffic, 1, 2, DEALT, m->latency, m->bandwidth);
    *rate = flops / 2 / fmax(seconds - messages, seconds / 4);
    return st;
}

/* Neighbours in rank share a decomposition, all such pairs at the same time. */
static csim_status time_grids(bench *w, csim__machine *m)
{
    const double cube = (double)DEALT * DEALT * DEALT;
    csim__grid *grid = NULL;
    csim__dealt *list[] = {&w->whole, &w->copy, &w->vectors};
    csim_status st = csim__grid_create(w->ctx, 1, 2, &grid);
    if (st != CSIM_OK) { return st; }
    for (int i = 0; st == CSIM_OK && grid->ctx != NULL && i < 3; i++) {
        st = csim__dealt_make(grid, DEALT, DEALT, "a dealt matrix", list[i]);
        st = st == CSIM_OK ? st : csim__fail(w->ctx, st, "%s", csim_context_error(grid->ctx));
    }
    CSIM_TRY(csim__vote(w->ctx, st));
    if (grid->ctx != NULL) { fill(w->whole.x, (int64_t)w->whole.m_loc * w->whole.n_loc); }
    w->want = CSIM__VALUES;
    CSIM_TRY(
        grid_rate(w, run_grid_eigen, 4.0 / 3 * cube, &csim__grid_values, m, &m->grid_eigen_values));
    CSIM_TRY(grid_rate(w, run_grid_svd, 8.0 / 3 * cube, &csim__grid_svd, m, &m->grid_svd_values));
    w->want = CSIM__VECTORS;
    CSIM_TRY(
        grid_rate(w, run_grid_eigen, 9 * cube, &csim__grid_vectors, m, &m->grid_eigen_vectors));
done:
    for (int i = 0; i < 3; i++) { csim__dealt_clear(list[i]); }
    csim__grid_free(&grid);
    return st;
}

/* What the process takes beside what it asks for itself: libraries, buffers of messages. */
static csim_status measure_beside(bench *w, csim__machine *m)
{
    double most = 0,
           mine = (double)(csim__resident_bytes(false) - csim_context_memory_live(w->ctx));
    csim_status st = csim__mpi(
        w->ctx, MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE, MPI_MAX, csim_context_comm(w->ctx)),
        "MPI_Allreduce");
    if (most > 0) { m->beside = most; }
    return csim__vote(w->ctx, st);
}

static csim_status time_sums(bench *w, csim__machine *m)
{
    csim_status st = CSIM_OK;
    w->n = BLOCK;
    for (int i = 0; i < BLOCK; i++) { w->c[i] = w->d[i] = 0x1p20; }
    memset(w->b, 0, (size_t)BLOCK * BLOCK * sizeof *w->b);
    CSIM_TRY(rate_of(w, run_exact, (double)BLOCK * BLOCK, 16, &m->exact));
    CSIM_TRY(rate_of(w, run_copy, 2.0 * COPY, 2, &m->memory));
    CSIM_TRY(rate_of(w, run_fresh, COPY, 2, &m->fresh));
done:
    return st;
}

/* Alone on every rank, with a context of its own. */
static csim_status time_moments(bench *w, csim__machine *m)
{
    csim_context *alone = NULL;
    bench own = *w;
    float *rows = (float *)(void *)w->b;
    csim_memory_site site = {.name = "l", .dtype = CSIM_F32, .d = WIDTH, .rows = rows};
    csim_status st = csim_context_create(MPI_COMM_SELF, &alone);
    for (int64_t i = 0; i < (int64_t)ROWS * WIDTH; i++) { rows[i] = (float)w->a[i]; }
    own.ctx = alone;
    if (st == CSIM_OK) { st = csim_set_from_memory(alone, "m", ROWS, &site, 1, &own.set); }
    CSIM_TRY(csim__vote(w->ctx, st));
    CSIM_TRY(csim__mpi(w->ctx, MPI_Barrier(csim_context_comm(w->ctx)), "MPI_Barrier"));
    st = rate_of(&own, run_moments, (double)ROWS * WIDTH, 4, &m->moments);
    CSIM_TRY(csim__vote(w->ctx, st));
    double mine = m->moments;
    st = csim__mpi(
        w->ctx,
        MPI_Allreduce(&mine, &m->moments, 1, MPI_DOUBLE, MPI_MIN, csim_context_comm(w->ctx)),
        "MPI_Allreduce");
done:
    csim_set_free(&own.set);
    csim_context_free(&alone);
    return st;
}

/* A scratch file for each rank, on the file system of $TMPDIR. */
static csim_status time_reading(bench *w, csim__machine *m)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0') { parent = "/tmp"; }
    csim_status st = csim__format(w->ctx, &w->path, "%s/contrasim-read-XXXXXX", parent);
    int file = st == CSIM_OK ? mkstemp(w->path) : -1;
    bool good = file >= 0;
    for (int at = 0; good && at < FILE_BYTES; at += PIECE) {
        good = write(file, (const char *)w->a, PIECE) == PIECE;
    }
    /* what is not yet on the disk could not leave the cache */
    if (good) { good = fsync(file) == 0; }
    if (st == CSIM_OK && !good) {
        st = csim__fail(w->ctx, CSIM_E_IO, "a scratch file in %s: %s", parent, strerror(errno));
    }
    if (file >= 0) { close(file); }
    st = csim__vote(w->ctx, st);
    errno = 0;
    if (st == CSIM_OK) { st = rate_of(w, run_read, FILE_BYTES, 1, &m->read); }
    if (file >= 0) { (void)unlink(w->path); }
    csim__free(w->ctx, &w->path);
    return st;
}

/* Both ways at the same time, all ranks in pairs; the odd one out talks to itself. */
static csim_status time_messages(bench *w, int other, double *latency, double *bandwidth)
{
    csim_status st = CSIM_OK;
    w->other = other;
    w->bytes = SMALL;
    CSIM_TRY(clock_work(w, run_message, 500, latency));
    w->bytes = LARGE;
    CSIM_TRY(rate_of(w, run_message, LARGE, 8, bandwidth));
done:
    return st;
}

/* Neighbours in rank are taken to be on one node, ranks half of all apart on two. */
static csim_status time_network(bench *w, csim__calibration *c)
{
    int rank = csim_context_rank(w->ctx), size = c->ranks, half = size / 2;
    int near = rank % 2 == 0 ? rank + 1 : rank - 1;
    csim__machine *m = &c->machine;
    csim_status st = CSIM_OK;
    c->messages = size > c->nodes; /* some node has two ranks */
    c->network = c->nodes > 1;
    if (c->messages) {
        CSIM_TRY(time_messages(w, near < size ? near : rank, &m->latency, &m->bandwidth));
    }
    if (c->network) {
        int far = rank < half ? rank + half : rank < 2 * half ? rank - half : rank;
        CSIM_TRY(time_messages(w, far, &m->net_latency, &m->net_bandwidth));
        m->net_bandwidth *= ceil((double)size / c->nodes);
    }
done:
    return st;
}

static csim_status describe(csim_context *ctx, csim__calibration *c)
{
    MPI_Comm comm = csim_context_comm(ctx), node = MPI_COMM_NULL;
    time_t now = time(NULL);
    struct tm utc;
    int first = 0;
    c->ranks = csim_context_size(ctx);
    c->measured = true;
    if (gethostname(c->host, sizeof c->host - 1) != 0) { c->host[0] = '\0'; }
    if (gmtime_r(&now, &utc) != NULL) { strftime(c->date, sizeof c->date, "%FT%TZ", &utc); }
    csim__blas_name(c->blas, sizeof c->blas);
    csim_status st =
        csim__mpi(ctx, MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
                  "MPI_Comm_split_type");
    CSIM_TRY(csim__vote(ctx, st));
    MPI_Comm_rank(node, &first);
    first = first == 0;
    st = csim__mpi(ctx, MPI_Allreduce(&first, &c->nodes, 1, MPI_INT, MPI_SUM, comm),
                   "MPI_Allreduce");
    st = csim__vote(ctx, st);
done:
    if (node != MPI_COMM_NULL) { MPI_Comm_free(&node); }
    return st;
}

static csim_status measure(csim_context *ctx, csim__calibration *c)
{
    bench w = {.ctx = ctx};
    csim_status st = CSIM_OK;
    double **list[] = {&w.a, &w.b, &w.c, &w.d};
    for (int i = 0; i < 4; i++) {
        CSIM_TRY(csim__alloc(ctx, COPY / (int)sizeof(double), sizeof(double), "numbers", list[i]));
    }
    CSIM_TRY(csim__alloc(ctx, MANY * MANY, 1, "wanted products", &w.wanted));
    memset(w.wanted, 1, MANY * MANY);
    fill(w.a, COPY / (int)sizeof(double));
    fill(w.b, COPY / (int)sizeof(double));
    fill(w.c, 4096);
    for (int i = 0; i < MANY; i++) { w.tile[i] = w.a + (int64_t)i * TILE * TILE; }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = time_decompositions(&w, &c->machine); }
    if (st == CSIM_OK) { st = time_sums(&w, &c->machine); }
    if (st == CSIM_OK) { st = time_moments(&w, &c->machine); }
    if (st == CSIM_OK) { st = time_reading(&w, &c->machine); }
    if (st == CSIM_OK) { st = time_network(&w, c); }
    c->grids = c->ranks > 1;
    if (st == CSIM_OK && c->grids) { st = time_grids(&w, &c->machine); }
    if (st == CSIM_OK) { st = time_products(&w, &c->machine); }
    csim__free(ctx, &w.wanted);
    for (int i = 0; i < 4; i++) { csim__free(ctx, list[i]); }
    if (st == CSIM_OK) { st = measure_beside(&w, &c->machine); }
    return st;
}

/* Only an older calibration is replaced. Collective. */
static csim_status check_place(csim_context *ctx, const char *path)
{
    csim__calibration old;
    csim_status st = csim__calibration_read(ctx, path, false, &old);
    if (st != CSIM_E_FORMAT) { return st; }
    csim__forgive(ctx);
    st = csim__fail(ctx, CSIM_E_EXISTS, "%s exists and is not a calibration", path);
    return csim__vote(ctx, st);
}

csim_status csim__calibrate(csim__app *app, const char *given, bool json)
{
    csim_context *ctx = app->ctx;
    csim__calibration c = {.machine = csim__machine_typical};
    char *path = NULL;
    csim_status st = csim__vote(ctx, csim__calibration_path(ctx, given, &path));
    if (st == CSIM_OK) { st = check_place(ctx, path); }
    if (st == CSIM_OK) { st = describe(ctx, &c); }
    if (st == CSIM_OK) { st = measure(ctx, &c); }
    if (st == CSIM_OK && csim_context_rank(ctx) == 0) {
        st = csim__calibration_write(ctx, path, &c);
        csim__logger_clear(&app->log);
        if (st == CSIM_OK) { st = csim__calibration_print(ctx, &c, json); }
    }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { csim__log(ctx, CSIM_LOG_INFO, "calibration written to %s", path); }
    csim__free(ctx, &path);
    return st;
}
