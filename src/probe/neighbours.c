/* Nearest neighbours by cosine: every rank has all unit rows and looks at its own chunks. Which rows may
 * be neighbours differs by notion and division, and one pass serves all of these; the lists of
 * ingredients/neighbours.h, of all rows, would have to be as long as a label is rare. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "linalg/dense.h"
#include "probe/probe.h"

/* The nearest rows so far of one row, for one notion and one division, nearest first. */
typedef struct list {
    int count;
    float *near;    /* [k] cosines, descending */
    int32_t *class; /* [k] */
} list;

typedef struct search {
    const csim__probe_task *task;
    int width;
    float *unit;   /* [n, width] */
    float *cosine; /* [rows of a chunk, rows of a chunk] */
    list *list;    /* [rows of a chunk, notions, seeds] */
    float *near;   /* what they point into */
    int32_t *class;
    int32_t *use;   /* [notions, seeds, n] the class of a row that may be a neighbour, else −1 */
    int64_t *right; /* [2, notions, seeds] right ones, all */
} search;

static int64_t tables(const csim__probe_task *task)
{
    return (int64_t)task->notions * task->seeds;
}

static csim_status make_room(search *s)
{
    const csim__probe_task *task = s->task;
    csim_context *ctx = task->ctx;
    int64_t n = task->shard.n, chunk = task->shard.chunk, many = tables(task);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, n * s->width, sizeof(float), "unit rows", &s->unit));
    CSIM_TRY(csim__alloc(ctx, chunk * chunk, sizeof(float), "cosines", &s->cosine));
    CSIM_TRY(csim__calloc(ctx, chunk * many, sizeof *s->list, "neighbours", &s->list));
    CSIM_TRY(csim__alloc(ctx, chunk * many * task->k, sizeof(float), "neighbours", &s->near));
    CSIM_TRY(csim__alloc(ctx, chunk * many * task->k, sizeof *s->class, "neighbours", &s->class));
    CSIM_TRY(csim__alloc(ctx, many * n, sizeof *s->use, "classes of neighbours", &s->use));
    CSIM_TRY(csim__calloc(ctx, 2 * many, sizeof *s->right, "counts", &s->right));
    for (int64_t i = 0; i < chunk * many; i++) {
        s->list[i] = (list){0, s->near + i * task->k, s->class + i * task->k};
    }
    for (int64_t t = 0; t < many; t++) {
        const int32_t *of = task->labels[t / task->seeds].of;
        const uint8_t *train = task->train[t % task->seeds];
        for (int64_t i = 0; i < n; i++) { s->use[t * n + i] = train[i] ? of[i] : -1; }
    }
done:
    return st;
}

/* Own rows at length 1, then everybody's. */
static csim_status gather(search *s, const float *x)
{
    const csim__probe_task *task = s->task;
    csim_context *ctx = task->ctx;
    int size = csim_context_size(ctx), *count = NULL, *at = NULL;
    MPI_Datatype row = MPI_DATATYPE_NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, size, sizeof *count, "rows of ranks", &count));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *at, "rows of ranks", &at));
    for (int r = 0; r < size; r++) {
        csim_shard other = csim__shard(task->shard.n, r, size);
        CSIM_TRY(csim__int(ctx, other.rows, "rows of a rank", &count[r]));
        CSIM_TRY(csim__int(ctx, other.row0, "rows of all ranks", &at[r]));
    }
    for (int64_t i = 0; i < task->shard.rows; i++) {
        const float *from = x + i * s->width;
        float *to = s->unit + (task->shard.row0 + i) * s->width;
        double square = 0;
        for (int j = 0; j < s->width; j++) { square += (double)from[j] * (double)from[j]; }
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (int j = 0; j < s->width; j++) { to[j] = (float)((double)from[j] * scale); }
    }
    CSIM_TRY(csim__mpi(ctx, MPI_Type_contiguous(s->width, MPI_FLOAT, &row), "a row's type"));
    CSIM_TRY(csim__mpi(ctx, MPI_Type_commit(&row), "a row's type"));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        int code =
            MPI_Allgatherv(MPI_IN_PLACE, 0, row, s->unit, count, at, row, csim_context_comm(ctx));
        st = csim__vote(ctx, csim__mpi(ctx, code, "unit rows"));
    }
    if (row != MPI_DATATYPE_NULL) { MPI_Type_free(&row); }
    csim__free(ctx, &at);
    csim__free(ctx, &count);
    return st;
}

/* A row enters where it is nearer than one that is there; rows come in ascending order, so that of
 * equally near ones the first stays. */
static void enter(list *l, int k, float near, int32_t class)
{
    int place = l->count < k ? l->count : k - 1;
    for (; place > 0 && l->near[place - 1] < near; place--) {
        l->near[place] = l->near[place - 1];
        l->class[place] = l->class[place - 1];
    }
    l->near[place] = near;
    l->class[place] = class;
    l->count += l->count < k;
}

/* The rows of one chunk against those of another. */
static void look(search *s, int64_t first, int rows, int64_t other, int count)
{
    const csim__probe_task *task = s->task;
    int64_t many = tables(task), n = task->shard.n;
    csim__gemm_nt_f(rows, count, s->width, s->unit + first * s->width, s->unit + other * s->width,
                    s->cosine);
    for (int r = 0; r < rows; r++) {
        const float *cosine = s->cosine + (int64_t)r * count;
        for (int64_t t = 0; t < many; t++) {
            const int32_t *use = s->use + t * n + other;
            list *l = &s->list[r * many + t];
            if (task->train[t % task->seeds][first + r]) { continue; }
            float least = l->count < task->k ? -INFINITY : l->near[task->k - 1];
            for (int i = 0; i < count; i++) {
                if (cosine[i] > least && use[i] >= 0) {
                    enter(l, task->k, cosine[i], use[i]);
                    least = l->count < task->k ? -INFINITY : l->near[task->k - 1];
                }
            }
        }
    }
}

/* The class of most; the list is from near to far, so the first of equals is the nearer. */
static int32_t vote(const list *l)
{
    int most = 0;
    int32_t best = -1;
    for (int i = 0; i < l->count; i++) {
        int votes = 0;
        for (int j = 0; j < l->count; j++) { votes += l->class[j] == l->class[i]; }
        if (votes > most) {
            most = votes;
            best = l->class[i];
        }
    }
    return best;
}

static void count_right(search *s, int64_t first, int rows)
{
    const csim__probe_task *task = s->task;
    int64_t many = tables(task);
    for (int r = 0; r < rows; r++) {
        for (int64_t t = 0; t < many; t++) {
            list *l = &s->list[r * many + t];
            int32_t class = task->labels[t / task->seeds].of[first + r];
            if (!task->train[t % task->seeds][first + r] && class >= 0) {
                s->right[t] += vote(l) == class;
                s->right[many + t]++;
            }
            l->count = 0;
        }
    }
}

csim_status csim__neighbours_accuracy(const csim__probe_task *task, int width, const float *x,
                                      double *accuracy)
{
    csim_context *ctx = task->ctx;
    const csim_shard *shard = &task->shard;
    int64_t many = tables(task);
    search s = {.task = task, .width = width};
    int numbers = 0;
    csim_status st = csim__int(ctx, 2 * many, "notions and seeds", &numbers);
    if (st == CSIM_OK) { st = make_room(&s); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(gather(&s, x));
    for (int64_t c = shard->first; c < shard->first + shard->count; c++) {
        int64_t first = csim__chunk_row(shard, c);
        int rows = (int)csim__chunk_rows(shard, c);
        for (int64_t other = 0; other < shard->chunks; other++) {
            look(&s, first, rows, csim__chunk_row(shard, other),
                 (int)csim__chunk_rows(shard, other));
        }
        count_right(&s, first, rows);
    }
    st = csim__mpi(
        ctx,
        MPI_Allreduce(MPI_IN_PLACE, s.right, numbers, MPI_INT64_T, MPI_SUM, csim_context_comm(ctx)),
        "counts of neighbours");
    CSIM_TRY(csim__vote(ctx, st));
    for (int64_t t = 0; t < many; t++) {
        accuracy[t] = (double)s.right[t] / (double)s.right[many + t];
    }
done:
    csim__free(ctx, &s.right);
    csim__free(ctx, &s.use);
    csim__free(ctx, &s.class);
    csim__free(ctx, &s.near);
    csim__free(ctx, &s.list);
    csim__free(ctx, &s.cosine);
    csim__free(ctx, &s.unit);
    return st;
}
