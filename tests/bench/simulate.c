/* The pass over all pairs of examples on simulated ranks: schedule, messages and sums over ranks are the
 * library's own, compiled with SimGrid's SMPI; tiles take the time that they are said to take instead
 * of being made. Every entry of the matrices counts as 1, so that all sums are known:
 *     simulate EXAMPLES SITES WIDTH SECONDS
 * SECONDS: of one pair of examples, all sites together. Rank 0 prints one line of JSON.
 * See simulate.py. */
#include <inttypes.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/flight.h"
#include "ingredients/gram.h"
#include "ingredients/kernels.h"
#include "ingredients/rows.h"
#include "linalg/dense.h"

enum { PAIR = 2, BLOCK = 1000 };

/* Of this rank: SMPI keeps those of ranks apart. */
static double pair_seconds, tile_seconds, waiting; /* of two chunks, so far */
static int64_t bytes_sent, messages;
static bool diagonal, last; /* the tile at hand: of two chunks the last one */

static void check(csim_context *ctx, csim_status st)
{
    if (st == CSIM_OK) { return; }
    fprintf(stderr, "simulate: %s\n", csim_context_error(ctx));
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* ---- messages, counted ---- */

static void count(int number, MPI_Datatype type, int to)
{
    int size = 0;
    if (to == MPI_PROC_NULL) { return; }
    PMPI_Type_size(type, &size);
    bytes_sent += (int64_t)number * size;
    messages++;
}

int MPI_Isend(const void *data, int number, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    count(number, type, to);
    return PMPI_Isend(data, number, type, to, tag, comm, request);
}

int MPI_Sendrecv(const void *out, int number, MPI_Datatype type, int to, int tag, void *in,
                 int most, MPI_Datatype in_type, int from, int in_tag, MPI_Comm comm,
                 MPI_Status *status)
{
    count(number, type, to);
    return PMPI_Sendrecv(out, number, type, to, tag, in, most, in_type, from, in_tag, comm, status);
}

/* ---- tiles, in time only ---- */

void csim__gemm_nt(int m, int n, int k, const double *a, const double *b, double *c)
{
    (void)k, (void)a, (void)b, (void)c;
    diagonal = false;
    tile_seconds = pair_seconds * m * n; /* that of all sites */
}

void csim__syrk_nt(int m, int k, const double *a, double *c)
{
    (void)k, (void)a, (void)c;
    diagonal = true;
    tile_seconds = pair_seconds * m * (m - 1) / PAIR;
}

void csim__squares_of(double *g, int m, int n, int64_t d, const double *x, const double *y,
                      const double *left, const double *right, bool upper)
{
    (void)g, (void)m, (void)n, (void)d, (void)x, (void)y, (void)left, (void)right, (void)upper;
}

void csim__form_of(const csim__kernel_form *form, int s, double shift, const csim__tile *t,
                   const double *in, double *out)
{
    (void)form, (void)s, (void)shift, (void)in, (void)out;
    last = t->i + t->m == t->left->rows && t->j + t->n == t->right->rows;
}

void csim__tile_sums(const double *t, int m, int n, double *rows, double *cols)
{
    (void)t;
    for (int i = 0; i < m; i++) { rows[i] = diagonal ? m - 1 - i : n; }
    for (int j = 0; j < n; j++) { cols[j] = diagonal ? j : m; }
}

void csim__inner_products(const double *const *tile, int sites, int64_t length,
                          const unsigned char *wanted, double *out)
{
    (void)tile, (void)wanted;
    int64_t side = diagonal ? (int64_t)sqrt((double)length) : 0;
    double pairs = (double)(diagonal ? side * (side - 1) / PAIR : length);
    for (int i = 0; i < sites * sites; i++) { out[i] = pairs; }
    waiting += tile_seconds;
    if (last) {
        smpi_execute_flops(waiting * 1e9); /* a processor of the platform makes 1e9 */
        waiting = 0;
    }
}

void csim__exponentials(double *out, const double *in, int n, double scale, double shift)
{
    for (int i = 0; i < n; i++) { out[i] = exp(scale * in[i]) - shift; }
}

double csim__dot(int64_t n, const double *x, const double *y)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) { sum += x[i] * y[i]; }
    return sum;
}

/* Of other kinds of rows, which are not asked for. */
csim_status csim__raw_rows(csim_context *ctx, const csim_shard *shard, const csim__site *site,
                           double *rows)
{
    (void)shard, (void)site, (void)rows;
    return csim__fail(ctx, CSIM_E_INTERNAL, "rows as read");
}

void csim__rows_to_unit(double *rows, int64_t many, int64_t d, bool centred)
{
    (void)rows, (void)many, (void)d, (void)centred;
}

void csim__angles_of(double *g, int m, int n, int64_t d, const double *x, const double *y,
                     bool upper)
{
    (void)g, (void)m, (void)n, (void)d, (void)x, (void)y, (void)upper;
}

/* ---- the run ---- */

/* The sums of a matrix of ones without its diagonal, of each site and pair. */
static bool sums_are_right(const csim__kernel_site *of, const csim__kernel_pair *pair, int sites,
                           double n)
{
    bool right = true;
    for (int a = 0; a < sites; a++) {
        right = right && of[a].total == n * (n - 1);
        for (int b = a; b < sites; b++) {
            const csim__kernel_pair *p = &pair[a * sites + b];
            right = right && p->product == n * (n - 1) && p->through == n * (n - 1) * (n - 1);
        }
    }
    return right;
}

/* Blocks of every rank on their owners, several sums under way. */
static bool flights_are_right(csim_context *ctx)
{
    enum { OWNERS = 5 };
    int size = csim_context_size(ctx), rank = csim_context_rank(ctx);
    int64_t *acc = NULL;
    csim__flight f = {.ctx = NULL};
    csim_status st = csim__flight_make(ctx, 0, OWNERS * BLOCK, OWNERS, &f);
    if (st == CSIM_OK) { st = csim__alloc(ctx, OWNERS * BLOCK, sizeof *acc, "blocks", &acc); }
    check(ctx, csim__vote(ctx, st));
    for (int i = 0; i < OWNERS * BLOCK; i++) { acc[i] = rank + i; }
    for (int k = 0; k < OWNERS; k++) {
        check(ctx, csim__flight_take_off(&f, acc + k * BLOCK, BLOCK, k * size / OWNERS));
    }
    csim__flight_poll(&f);
    check(ctx, csim__flight_land(&f));
    bool right = true;
    for (int64_t i = 0; i < OWNERS * BLOCK; i++) {
        if (rank != (int)(i / BLOCK) * size / OWNERS) { continue; }
        right = right && acc[i] == (int64_t)size * (size - 1) / 2 + size * i;
    }
    csim__free(ctx, &acc);
    csim__flight_clear(&f);
    return right;
}

static csim_status make_sites(csim_context *ctx, const csim_shard *me, int count, int64_t width,
                              csim__site *site, csim__site **list, double *sigma,
                              unsigned char *wanted)
{
    csim_status st = CSIM_OK;
    for (int s = 0; s < count; s++) {
        site[s] = (csim__site){.n = me->n, .d = width, .variance = 1};
        CSIM_TRY(csim__alloc(ctx, me->rows * width, sizeof(double), "rows", &site[s].x));
        CSIM_TRY(csim__calloc(ctx, me->count * me->chunk, sizeof(double), "row norms",
                              &site[s].row_square));
        list[s] = &site[s];
        sigma[s] = 1;
        memset(wanted + s * count + s, 1, (size_t)(count - s));
    }
done:
    return st;
}

/* @param[out] seconds  of this rank */
static bool run_pass(csim_context *ctx, int64_t n, int count, int64_t width, double *seconds)
{
    enum { SITES = 16 };
    csim_shard me = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
    csim__site site[SITES], *list[SITES];
    double sigma[SITES];
    unsigned char wanted[SITES * SITES] = {0};
    csim__kernel_site of[SITES];
    csim__kernel_pair pair[SITES * SITES];
    csim__kernel_form form = {.matrix = CSIM_RBF, .products = true, .sigma = sigma};
    csim__meter meter = {.size = me.size};
    csim_status st = CSIM_OK;
    memset(site, 0, sizeof site);
    if (count < 1 || count > SITES) {
        st = csim__fail(ctx, CSIM_E_ARG, "found %d sites, expected 1 to %d", count, SITES);
    }
    if (st == CSIM_OK) { st = make_sites(ctx, &me, count, width, site, list, sigma, wanted); }
    check(ctx, csim__vote(ctx, st));
    *seconds = MPI_Wtime();
    check(ctx, csim__kernel_pass(ctx, &me, list, count, &form, 1, wanted, NULL, of, pair, &meter));
    *seconds = MPI_Wtime() - *seconds;
    for (int s = 0; s < count; s++) {
        csim__free(ctx, &site[s].x);
        csim__free(ctx, &site[s].row_square);
    }
    return sums_are_right(of, pair, count, (double)n);
}

int main(int argc, char **argv)
{
    csim_context *ctx = NULL;
    double seconds = 0;
    MPI_Init(&argc, &argv);
    if (argc != 5 || csim_context_create(MPI_COMM_WORLD, &ctx) != CSIM_OK) {
        fprintf(stderr, "usage: simulate EXAMPLES SITES WIDTH SECONDS\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    int size = csim_context_size(ctx);
    pair_seconds = strtod(argv[4], NULL);
    bool right = run_pass(ctx, strtoll(argv[1], NULL, 10), (int)strtol(argv[2], NULL, 10),
                          strtoll(argv[3], NULL, 10), &seconds);
    int wrong[2] = {!right, !flights_are_right(ctx)};
    int64_t volume[2] = {bytes_sent, messages};
    MPI_Allreduce(MPI_IN_PLACE, volume, 2, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, wrong, 2, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (csim_context_rank(ctx) == 0) {
        printf("{\"ranks\": %d, \"seconds\": %.9g, \"bytes\": %" PRId64 ", \"messages\": %" PRId64
               ", \"wrong_sums\": %d, \"wrong_blocks\": %d}\n",
               size, seconds, volume[0], volume[1], wrong[0], wrong[1]);
    }
    csim_context_free(&ctx);
    MPI_Finalize();
    return wrong[0] + wrong[1] > 0;
}
