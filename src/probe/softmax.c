/* Softmax regression over the ranks: each chunk gives its part of the gradient by two products, and
 * the parts are added as integers. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "linalg/dense.h"
#include "probe/probe.h"

static const double TOLERANCE = 1e-4; /* of an element of the gradient of a mean over rows */
enum { STEPS = 300 };

typedef struct fit {
    const csim__probe_task *task;
    const csim__probe_labels *labels;
    const uint8_t *train;
    csim__softmax *s;
    int64_t rows;    /* training rows of all ranks */
    double *x;       /* [own training rows, width+1] standardised, the last column 1 */
    int32_t *class;  /* [own training rows] */
    int *chunk_rows; /* [own chunks] */
    double *p;       /* [rows of a chunk, classes] */
    double *part;    /* [width+1, classes] */
    int64_t *sum;    /* the same */
    double *fx, *fy; /* factors of its rows and columns */
    double *loss;    /* [chunks] */
} fit;

static bool learns(const fit *f, int64_t row)
{
    return f->train[row] && f->labels->of[row] >= 0;
}

static csim_status sum_up(csim_context *ctx, void *data, int64_t count, MPI_Datatype type,
                          MPI_Op op)
{
    int n;
    csim_status st = csim__int(ctx, count, "sums of a probe", &n);
    if (st != CSIM_OK) { return st; }
    return csim__mpi(ctx, MPI_Allreduce(MPI_IN_PLACE, data, n, type, op, csim_context_comm(ctx)),
                     "MPI_Allreduce");
}

/* ---- features ---- */

/* Sums over the training rows of (x − mean)^power, power 1 or 2, to out [width]. */
static csim_status moment(const fit *f, const float *x, const double *mean, double top, bool square,
                          double *out)
{
    csim_context *ctx = f->task->ctx;
    const csim_shard *shard = &f->task->shard;
    int width = f->s->width;
    csim__exact *sum = NULL;
    double bound = (double)shard->n * (square ? 4 * top * top : top);
    int e = csim__exact_exponent(2 * bound);
    csim_status st = csim__calloc(ctx, width, sizeof *sum, "sums of columns", &sum);
    for (int64_t i = 0; st == CSIM_OK && i < shard->rows; i++) {
        if (!learns(f, shard->row0 + i)) { continue; }
        for (int j = 0; j < width; j++) {
            double v = (double)x[i * width + j] - (mean != NULL ? mean[j] : 0);
            csim__exact_add(&sum[j], square ? v * v : v, e);
        }
    }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(ctx, sum, width); }
    for (int j = 0; st == CSIM_OK && j < width; j++) { out[j] = csim__exact_value(sum[j], e); }
    csim__free(ctx, &sum);
    return st;
}

/* Mean and 1/deviation of every feature over the training rows. */
static csim_status standardise(fit *f, const float *x)
{
    csim_context *ctx = f->task->ctx;
    const csim_shard *shard = &f->task->shard;
    csim__softmax *s = f->s;
    double top = 0, n = (double)f->rows;
    for (int64_t i = 0; i < shard->rows * s->width; i++) { top = fmax(top, fabs((double)x[i])); }
    csim_status st = csim__vote(ctx, sum_up(ctx, &top, 1, MPI_DOUBLE, MPI_MAX));
    CSIM_TRY(st);
    CSIM_TRY(moment(f, x, NULL, top, false, s->mean));
    for (int j = 0; j < s->width; j++) { s->mean[j] /= n; }
    CSIM_TRY(moment(f, x, s->mean, top, true, s->scale));
    for (int j = 0; j < s->width; j++) {
        double deviation = sqrt(s->scale[j] / n);
        s->scale[j] = deviation > 1e-7 * fabs(s->mean[j]) ? 1 / deviation : 0;
    }
done:
    return st;
}

static void put_row(const csim__softmax *s, const float *x, double *to)
{
    for (int j = 0; j < s->width; j++) { to[j] = ((double)x[j] - s->mean[j]) * s->scale[j]; }
    to[s->width] = 1;
}

static void gather(fit *f, const float *x)
{
    const csim_shard *shard = &f->task->shard;
    int64_t at = 0;
    for (int64_t c = 0; c < shard->count; c++) {
        int64_t first = csim__chunk_row(shard, shard->first + c);
        int64_t rows = csim__chunk_rows(shard, shard->first + c);
        f->chunk_rows[c] = 0;
        for (int64_t i = first; i < first + rows; i++) {
            if (!learns(f, i)) { continue; }
            put_row(f->s, x + (i - shard->row0) * f->s->width, f->x + at * (f->s->width + 1));
            f->class[at++] = f->labels->of[i];
            f->chunk_rows[c]++;
        }
    }
}

/* ---- objective ---- */

/* Logits to probabilities less 1 for the true class; the sum of the rows' losses. */
static double cross_entropy(int rows, int classes, const int32_t *class, double *p)
{
    double loss = 0;
    for (int r = 0; r < rows; r++, p += classes) {
        double most = p[0], total = 0, own = p[class[r]];
        for (int k = 1; k < classes; k++) { most = p[k] > most ? p[k] : most; }
        for (int k = 0; k < classes; k++) {
            p[k] = exp(p[k] - most);
            total += p[k];
        }
        for (int k = 0; k < classes; k++) { p[k] /= total; }
        p[class[r]] -= 1;
        loss += log(total) + most - own;
    }
    return loss;
}

static csim_status objective(void *user, const double *w, double *value, double *gradient)
{
    fit *f = user;
    csim_context *ctx = f->task->ctx;
    const csim_shard *shard = &f->task->shard;
    int inner = f->s->width + 1, classes = f->s->classes;
    int64_t at = 0, size = (int64_t)inner * classes;
    double n = (double)f->rows, l2 = f->task->l2, square = 0;
    memset(f->sum, 0, (size_t)size * sizeof *f->sum);
    memset(f->loss, 0, (size_t)shard->chunks * sizeof *f->loss);
    for (int64_t c = 0; c < shard->count; c++) {
        int rows = f->chunk_rows[c];
        const double *x = f->x + at * inner;
        if (rows == 0) { continue; }
        csim__gemm_nn(rows, classes, inner, x, inner, w, classes, f->p, classes);
        f->loss[shard->first + c] = cross_entropy(rows, classes, f->class + at, f->p);
        csim__gemm_tn(inner, classes, rows, x, inner, f->p, classes, f->part, classes);
        csim__exact_add_block(f->sum, classes, f->part, classes, inner, classes, f->fx, f->fy,
                              false);
        at += rows;
    }
    csim_status st = sum_up(ctx, f->sum, size, MPI_INT64_T, MPI_SUM);
    csim_status other = sum_up(ctx, f->loss, shard->chunks, MPI_DOUBLE, MPI_SUM); /* one has it */
    st = csim__vote(ctx, st != CSIM_OK ? st : other);
    csim__exact_block_value(f->sum, inner, classes, f->fx, f->fy, gradient);
    *value = 0;
    for (int64_t c = 0; c < shard->chunks; c++) { *value += f->loss[c]; }
    for (int64_t i = 0; i < size; i++) {
        bool bias = i >= size - classes;
        gradient[i] = gradient[i] / n + (bias ? 0 : l2 * w[i]);
        square += bias ? 0 : w[i] * w[i];
    }
    *value = *value / n + l2 / 2 * square;
    return st;
}

/* ---- all of it ---- */

/* Room for a fit. A column of the features has length √rows at most, and so has one of the
 * probabilities: that bounds every sum. */
static csim_status make_room(fit *f)
{
    csim_context *ctx = f->task->ctx;
    const csim_shard *shard = &f->task->shard;
    csim__softmax *s = f->s;
    int64_t mine = 0, size = ((int64_t)s->width + 1) * s->classes;
    double *norm = NULL;
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < shard->n; i++) { f->rows += learns(f, i); }
    for (int64_t i = 0; i < shard->rows; i++) { mine += learns(f, shard->row0 + i); }
    CSIM_TRY(csim__calloc(ctx, s->width, sizeof *s->mean, "means", &s->mean));
    CSIM_TRY(csim__calloc(ctx, s->width, sizeof *s->scale, "scales", &s->scale));
    CSIM_TRY(csim__calloc(ctx, size, sizeof *s->w, "weights", &s->w));
    CSIM_TRY(csim__alloc(ctx, mine * (s->width + 1), sizeof *f->x, "features", &f->x));
    CSIM_TRY(csim__alloc(ctx, mine, sizeof *f->class, "classes", &f->class));
    CSIM_TRY(csim__alloc(ctx, shard->count, sizeof(int), "rows", &f->chunk_rows));
    CSIM_TRY(csim__alloc(ctx, shard->chunk * s->classes, sizeof *f->p, "probabilities", &f->p));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *f->part, "a gradient", &f->part));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *f->sum, "a gradient", &f->sum));
    CSIM_TRY(csim__alloc(ctx, shard->chunks, sizeof *f->loss, "losses", &f->loss));
    CSIM_TRY(csim__alloc(ctx, s->width + 1, sizeof *f->fx, "factors", &f->fx));
    CSIM_TRY(csim__alloc(ctx, s->classes, sizeof *f->fy, "factors", &f->fy));
    CSIM_TRY(csim__alloc(ctx, s->width + s->classes, sizeof *norm, "lengths", &norm));
    for (int j = 0; j < s->width + s->classes; j++) { norm[j] = 1.001 * sqrt((double)f->rows); }
    csim__exact_factors(norm, s->width + 1, f->fx);
    csim__exact_factors(norm, s->classes, f->fy);
done:
    csim__free(ctx, &norm);
    return st;
}

csim_status csim__softmax_fit(const csim__probe_task *task, const csim__probe_labels *labels,
                              const uint8_t *train, int width, const float *x, csim__softmax *s)
{
    csim_context *ctx = task->ctx;
    fit f = {.task = task, .labels = labels, .train = train, .s = s};
    *s = (csim__softmax){.width = width, .classes = labels->classes};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(ctx, make_room(&f)));
    CSIM_TRY(standardise(&f, x));
    gather(&f, x);
    CSIM_TRY(csim__minimise(ctx, ((int64_t)width + 1) * labels->classes, objective, &f, TOLERANCE,
                            STEPS, s->w));
done:
    csim__free(ctx, &f.fy);
    csim__free(ctx, &f.fx);
    csim__free(ctx, &f.loss);
    csim__free(ctx, &f.sum);
    csim__free(ctx, &f.part);
    csim__free(ctx, &f.p);
    csim__free(ctx, &f.chunk_rows);
    csim__free(ctx, &f.class);
    csim__free(ctx, &f.x);
    if (st != CSIM_OK) { csim__softmax_clear(ctx, s); }
    return st;
}

void csim__softmax_clear(csim_context *ctx, csim__softmax *s)
{
    csim__free(ctx, &s->w);
    csim__free(ctx, &s->scale);
    csim__free(ctx, &s->mean);
}

csim_status csim__softmax_accuracy(const csim__probe_task *task, const csim__probe_labels *labels,
                                   const uint8_t *train, const csim__softmax *s, const float *x,
                                   double *accuracy)
{
    csim_context *ctx = task->ctx;
    const csim_shard *shard = &task->shard;
    int inner = s->width + 1, classes = s->classes;
    int64_t right[2] = {0, 0};
    double *row = NULL;
    csim_status st = csim__alloc(ctx, inner + classes, sizeof *row, "a row", &row);
    double *logit = st == CSIM_OK ? row + inner : NULL;
    for (int64_t i = 0; st == CSIM_OK && i < shard->rows; i++) {
        int32_t class = labels->of[shard->row0 + i];
        if (train[shard->row0 + i] || class < 0) { continue; }
        put_row(s, x + i * s->width, row);
        csim__gemm_nn(1, classes, inner, row, inner, s->w, classes, logit, classes);
        int best = 0;
        for (int k = 1; k < classes; k++) { best = logit[k] > logit[best] ? k : best; }
        right[0] += best == class;
        right[1]++;
    }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__vote(ctx, sum_up(ctx, right, 2, MPI_INT64_T, MPI_SUM)); }
    if (st == CSIM_OK) { *accuracy = (double)right[0] / (double)right[1]; }
    csim__free(ctx, &row);
    return st;
}
