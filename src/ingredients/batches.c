#include "ingredients/batches.h"

#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/gram.h"
#include "linalg/dense.h"

typedef struct batches {
    csim_context *ctx;
    const csim_shard *shard;
    bool held;
    int *sent, *sent_at, *got, *got_at; /* [ranks] rows of held sites */
    csim__site *const *site;
    int count, batch;
    const unsigned char *wanted;
    double *rows;     /* [batch, widest] */
    double **kernel;  /* [count] of [batch, batch] */
    double *partial;  /* [count, count] */
    csim__exact *sum; /* [count, count] */
} batches;

static void centre(double *x, int64_t n, int64_t d)
{
    for (int64_t j = 0; j < d; j++) {
        double mean = 0, first = x[j];
        for (int64_t i = 0; i < n; i++) { mean += x[i * d + j] - first; }
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++) { x[i * d + j] = x[i * d + j] - first - mean; }
    }
}

/* K without its diagonal and with its row sums taken off, as in gram.h. */
static void make_hollow(double *k, int n)
{
    double trace = 0, m = n;
    for (int i = 0; i < n; i++) { trace += k[(int64_t)i * n + i]; }
    for (int i = 0; i < n; i++) {
        double a = k[(int64_t)i * n + i];
        for (int j = i + 1; j < n; j++) {
            double b = k[(int64_t)j * n + j];
            k[(int64_t)i * n + j] += (a + b - trace / (m - 1)) / (m - 2);
        }
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) { k[(int64_t)i * n + j] = 0; }
    }
}

/* Sums of a batch are below those of all examples: traces of batches add up to at most the variance. */
static int exponent(const batches *w, int a, int b)
{
    return csim__exact_exponent(4 * w->site[a]->variance * w->site[b]->variance);
}

/* The rows of batch @p b from the file. Local. */
static csim_status read_batch(batches *w, const csim__site *site, int64_t b)
{
    if (b >= w->shard->n / w->batch) { return CSIM_OK; }
    csim__phase_begin(w->ctx, "read");
    csim_status st = csim_set_read(site->set, site->index, b * w->batch, w->batch, w->rows);
    csim__phase_end(w->ctx, 0, (double)(w->batch * site->d) * sizeof *w->rows);
    return st;
}

/* How many rows of batch @p b a rank has, and the first of them. */
static int64_t share_of(const batches *w, const csim_shard *shard, int64_t b, int64_t *first)
{
    int64_t end = b < w->shard->n / w->batch ? (b + 1) * w->batch : 0;
    *first = csim__max64(b * w->batch, shard->row0);
    return csim__max64(csim__min64(end, shard->row0 + shard->rows) - *first, 0);
}

/* The rows of batch @p b, one of as many batches as there are ranks, from those that hold them.
 * Collective, without a vote. */
static csim_status gather_batch(batches *w, const csim__site *site, int64_t b)
{
    const csim_shard *me = w->shard;
    MPI_Datatype row = MPI_DATATYPE_NULL;
    for (int r = 0; r < me->size; r++) {
        csim_shard other = csim__shard(me->n, r, me->size);
        int64_t first;
        w->sent[r] = (int)share_of(w, me, b - me->rank + r, &first);
        w->sent_at[r] = w->sent[r] > 0 ? (int)(first - me->row0) : 0;
        w->got[r] = (int)share_of(w, &other, b, &first);
        w->got_at[r] = w->got[r] > 0 ? (int)(first - b * w->batch) : 0;
    }
    int code = MPI_Type_contiguous((int)site->d, MPI_DOUBLE, &row);
    if (code == MPI_SUCCESS) { code = MPI_Type_commit(&row); }
    if (code == MPI_SUCCESS) {
        code = MPI_Alltoallv(site->x, w->sent, w->sent_at, row, w->rows, w->got, w->got_at, row,
                             csim_context_comm(w->ctx));
    }
    if (row != MPI_DATATYPE_NULL) { MPI_Type_free(&row); }
    return csim__mpi(w->ctx, code, "rows to the ranks of their batches");
}

static void add_products(batches *w)
{
    int64_t length = (int64_t)w->batch * w->batch;
    csim__inner_products((const double *const *)w->kernel, w->count, length, w->wanted, w->partial);
    for (int a = 0; a < w->count; a++) {
        for (int b = a; b < w->count; b++) {
            int at = a * w->count + b;
            if (w->wanted[at]) {
                csim__exact_add(&w->sum[at], 2 * w->partial[at], exponent(w, a, b));
            }
        }
    }
}

/* Batch @p b, if there are so many. */
static csim_status add_batch(batches *w, int64_t b)
{
    bool there = b < w->shard->n / w->batch;
    for (int s = 0; s < w->count; s++) {
        const csim__site *site = w->site[s];
        csim_status st = w->held ? gather_batch(w, site, b) : read_batch(w, site, b);
        if (st != CSIM_OK) { return st; }
        if (!there) { continue; }
        centre(w->rows, w->batch, site->d);
        csim__syrk_nt(w->batch, (int)site->d, w->rows, w->kernel[s]);
        make_hollow(w->kernel[s], w->batch);
    }
    if (there) { add_products(w); }
    return CSIM_OK;
}

static csim_status start(batches *w, int64_t batch)
{
    csim_context *ctx = w->ctx;
    int64_t cells = (int64_t)w->count * w->count, widest = 0;
    csim_status st = CSIM_OK;
    int ignore;
    for (int s = 0; s < w->count; s++) { widest = csim__max64(widest, w->site[s]->d); }
    CSIM_TRY(csim__int(ctx, batch, "examples of a batch", &w->batch));
    CSIM_TRY(csim__int(ctx, batch * batch, "pairs of examples of a batch", &ignore));
    for (int s = 0; s < w->count; s++) {
        CSIM_TRY(csim__int(ctx, w->site[s]->d, "neurons", &ignore));
    }
    CSIM_TRY(csim__int(ctx, w->shard->rows, "examples of a rank", &ignore));
    CSIM_TRY(csim__alloc(ctx, w->shard->size, sizeof *w->sent, "counts", &w->sent));
    CSIM_TRY(csim__alloc(ctx, w->shard->size, sizeof *w->sent_at, "places", &w->sent_at));
    CSIM_TRY(csim__alloc(ctx, w->shard->size, sizeof *w->got, "counts", &w->got));
    CSIM_TRY(csim__alloc(ctx, w->shard->size, sizeof *w->got_at, "places", &w->got_at));
    CSIM_TRY(csim__alloc(ctx, batch * widest, sizeof *w->rows, "a batch", &w->rows));
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->kernel, "kernels", &w->kernel));
    for (int s = 0; s < w->count; s++) {
        CSIM_TRY(csim__alloc(ctx, batch * batch, sizeof(double), "a kernel", &w->kernel[s]));
    }
    CSIM_TRY(csim__alloc(ctx, cells, sizeof *w->partial, "sums", &w->partial));
    CSIM_TRY(csim__calloc(ctx, cells, sizeof *w->sum, "sums", &w->sum));
done:
    return st;
}

static void release(batches *w)
{
    for (int s = 0; w->kernel != NULL && s < w->count; s++) { csim__free(w->ctx, &w->kernel[s]); }
    csim__free(w->ctx, &w->kernel);
    csim__free(w->ctx, &w->sent);
    csim__free(w->ctx, &w->sent_at);
    csim__free(w->ctx, &w->got);
    csim__free(w->ctx, &w->got_at);
    csim__free(w->ctx, &w->rows);
    csim__free(w->ctx, &w->partial);
    csim__free(w->ctx, &w->sum);
}

csim_status csim__batches(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                          int count, int64_t batch, bool held, const unsigned char *wanted,
                          double *out, csim__meter *meter)
{
    batches w = {
        .ctx = ctx, .shard = shard, .held = held, .site = sites, .count = count, .wanted = wanted};
    double widths = 0, flops = 0;
    csim__phase_begin(ctx, "batches");
    csim_status st = csim__vote(ctx, start(&w, batch));
    for (int s = 0; s < count; s++) { widths += (double)sites[s]->d; }
    for (int64_t first = 0; st == CSIM_OK && first < shard->n / batch; first += shard->size) {
        int64_t b = first + shard->rank;
        double work = b < shard->n / batch ? (double)batch * (double)batch * widths : 0;
        st = add_batch(&w, b);
        flops += work;
        csim__meter_add(meter, "batches", work);
    }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, w.sum, (int64_t)count * count); }
    for (int a = 0; st == CSIM_OK && a < count; a++) {
        for (int b = a; b < count; b++) {
            int at = a * count + b;
            if (wanted[at]) { out[at] = csim__exact_value(w.sum[at], exponent(&w, a, b)); }
        }
    }
    release(&w);
    csim__phase_end(ctx, flops, 0);
    return st;
}

int64_t csim__batch_bytes(int sites, int64_t widest, int64_t batch, int size)
{
    const int64_t word = sizeof(double);
    return 16 * (int64_t)size + word * (batch * widest + sites * (batch * batch + 1)) +
           (word + (int64_t)sizeof(csim__exact)) * sites * sites;
}
