#include "ingredients/triangles.h"

#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/gram.h"
#include "ingredients/kernels.h"
#include "ingredients/rows.h"
#include "linalg/dense.h"

/* ---- who has which tiles ---- */

static void note_tile(void *user, const csim__tile *tile)
{
    csim__triangles *t = user;
    csim__patch p = {.row = tile->left->first + tile->i,
                     .col = tile->right->first + tile->j,
                     .m = tile->m,
                     .n = tile->n,
                     .diagonal = tile->diagonal,
                     .at = t->length};
    t->length += tile->diagonal ? (int64_t)p.m * (p.m - 1) / 2 : (int64_t)p.m * p.n;
    if (t->patches < t->room) { t->patch[t->patches] = p; }
    t->patches++;
}

/* Tiles of a rank, at most: it meets every chunk with each of its own. */
static int64_t most_patches(const csim_shard *shard)
{
    int64_t side = (shard->chunk + CSIM__TILE - 1) / CSIM__TILE;
    return shard->count * shard->chunks * side * side;
}

csim_status csim__triangles_start(csim_context *ctx, int64_t examples, csim__triangles *t)
{
    *t = (csim__triangles){.ctx = ctx, .all = examples * (examples - 1) / 2};
    csim__ring_task task = {.user = t, .tile = note_tile};
    t->shard = csim__shard(examples, csim_context_rank(ctx), csim_context_size(ctx));
    t->room = most_patches(&t->shard);
    csim_status st = csim__alloc(ctx, t->room, sizeof *t->patch, "tiles of a rank", &t->patch);
    st = csim__vote(ctx, st);
    return st == CSIM_OK ? csim__vote(ctx, csim__ring(ctx, &t->shard, &task)) : st;
}

void csim__triangles_clear(csim__triangles *t)
{
    if (t->ctx != NULL) { csim__free(t->ctx, &t->patch); }
}

/* Bytes of the tiles of each rank, and before them. */
static csim_status count_patches(const csim__triangles *t, int *bytes, int *before, int64_t *start)
{
    int size = t->shard.size, mine = 0;
    const int64_t each = sizeof *t->patch;
    csim_status st =
        csim__vote(t->ctx, csim__int(t->ctx, t->patches * each, "tiles of a rank", &mine));
    if (st == CSIM_OK) {
        st = csim__mpi(
            t->ctx, MPI_Allgather(&mine, 1, MPI_INT, bytes, 1, MPI_INT, csim_context_comm(t->ctx)),
            "tiles");
    }
    start[0] = 0;
    for (int r = 0; st == CSIM_OK && r < size; r++) {
        start[r + 1] = start[r] + bytes[r] / each;
        st = csim__int(t->ctx, start[r] * each, "tiles of all ranks", &before[r]);
    }
    return st;
}

csim_status csim__triangles_share(const csim__triangles *t, csim__patch **patch, int64_t *start)
{
    csim_context *ctx = t->ctx;
    int size = t->shard.size, *bytes = NULL, *before = NULL;
    csim_status st = CSIM_OK;
    *patch = NULL;
    CSIM_TRY(csim__alloc(ctx, size, sizeof *bytes, "counts", &bytes));
    CSIM_TRY(csim__alloc(ctx, size, sizeof *before, "counts", &before));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__vote(ctx, count_patches(t, bytes, before, start)); }
    if (st == CSIM_OK) {
        st = csim__alloc(ctx, start[size], sizeof **patch, "tiles of all ranks", patch);
        st = csim__vote(ctx, st);
    }
    if (st == CSIM_OK) {
        st = csim__vote(ctx,
                        csim__mpi(ctx,
                                  MPI_Allgatherv(t->patch, bytes[t->shard.rank], MPI_BYTE, *patch,
                                                 bytes, before, MPI_BYTE, csim_context_comm(ctx)),
                                  "tiles"));
    }
    csim__free(ctx, &before);
    csim__free(ctx, &bytes);
    return st;
}

/* ---- entries ---- */

typedef struct filling {
    csim__triangles *t;
    int64_t d, next; /* the patch whose turn it is */
    csim__kernel_form form;
    bool alike;
    double *value, *tile;
    csim__meter *meter;
} filling;

/* What rounding of unit rows that have the same direction may leave. */
static const double SAME = 0x1p-96;

static bool of_angles(csim_matrix matrix)
{
    return matrix == CSIM_FAR_COSINE || matrix == CSIM_FAR_CENTRED;
}

static void inner_tile(const filling *f, const csim__patch *p, const double *x, const double *y)
{
    if (f->alike) {
        csim__inner_block(x, p->m, y, p->n, f->d, f->tile);
    } else if (p->diagonal) {
        csim__syrk_nt(p->m, (int)f->d, x, f->tile);
    } else {
        csim__gemm_nt(p->m, p->n, (int)f->d, x, y, f->tile);
    }
}

/* Tiles come in the order in which they were noted. */
static void take_tile(void *user, const csim__tile *tile)
{
    filling *f = user;
    const csim__patch *p = &f->t->patch[f->next++];
    const double *x = (const double *)tile->left->row[0] + tile->i * f->d;
    const double *y = (const double *)tile->right->row[0] + tile->j * f->d;
    double *to = f->value + p->at;
    bool angles = of_angles(f->form.matrix);
    inner_tile(f, p, x, y);
    if (angles) {
        csim__angles_of(f->tile, p->m, p->n, f->d, x, y, p->diagonal);
    } else if (f->form.matrix != CSIM_LINEAR) {
        csim__squares_of(f->tile, p->m, p->n, f->d, x, y, tile->left->extra + tile->i,
                         tile->right->extra + tile->j, p->diagonal);
    }
    csim__form_of(&f->form, 0, 0, tile, f->tile, f->tile);
    for (int i = 0; i < p->m; i++) {
        for (int j = p->diagonal ? i + 1 : 0; j < p->n; j++) {
            double v = f->tile[(int64_t)i * p->n + j];
            *to++ = angles && !(v > SAME) ? 0 : v;
        }
    }
    csim__meter_add(f->meter, "distances", 2.0 * (double)f->d * p->m * p->n);
}

csim_status csim__triangles_rows(const csim__triangles *t, const csim__site *site, double *rows)
{
    const csim_shard *me = &t->shard;
    int64_t whole = site->n / me->n, rest = site->n % me->n;
    csim_status st = CSIM_OK;
    if (me->n == site->n) { return csim__raw_rows(t->ctx, me, site, rows); }
    csim__phase_begin(t->ctx, "read");
    for (int64_t i = 0; st == CSIM_OK && i < me->rows; i++) {
        int64_t at = me->row0 + i, row = at * whole + at * rest / me->n; /* ⌊at·n/sample⌋ */
        st = csim_set_read(site->set, site->index, row, 1, rows + i * site->d);
    }
    csim__phase_end(t->ctx, 0, (double)(me->rows * site->d) * sizeof *rows);
    return csim__vote(t->ctx, st);
}

csim_status csim__triangles_make(csim__triangles *t, csim_matrix matrix, double sigma, bool alike,
                                 int64_t d, double *rows, double *value, csim__meter *meter)
{
    const csim_shard *me = &t->shard;
    const void *const list[1] = {rows};
    double *square = NULL;
    filling f = {.t = t,
                 .d = d,
                 .form = {.matrix = matrix, .sigma = &sigma},
                 .alike = alike,
                 .value = value,
                 .meter = meter};
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, csim__ring_tile(me->chunk), sizeof *f.tile, "a tile", &f.tile));
    CSIM_TRY(csim__calloc(t->ctx, me->count * me->chunk, sizeof *square, "row norms", &square));
done:
    st = csim__vote(t->ctx, st);
    if (st == CSIM_OK) {
        csim__phase_begin(t->ctx, "distances");
        if (of_angles(matrix)) {
            csim__rows_to_unit(rows, me->rows, d, matrix == CSIM_FAR_CENTRED);
        }
        for (int64_t i = 0; i < me->rows; i++) {
            const double *x = rows + i * d;
            csim__inner_block(x, 1, x, 1, d, &square[i]);
        }
        csim__ring_task task = {.count = 1,
                                .width = &d,
                                .rows = list,
                                .numbers = 1,
                                .extra = square,
                                .user = &f,
                                .tile = take_tile};
        st = csim__vote(t->ctx, csim__ring(t->ctx, me, &task));
        csim__phase_end(t->ctx, 2.0 * (double)d * (double)t->length, 0);
    }
    csim__free(t->ctx, &square);
    csim__free(t->ctx, &f.tile);
    return st;
}

csim_status csim__triangles_fill(csim__triangles *t, const csim__site *site, csim_matrix matrix,
                                 double *rows, double *value, csim__meter *meter)
{
    csim_status st = csim__triangles_rows(t, site, rows);
    if (st != CSIM_OK) { return st; }
    return csim__triangles_make(t, matrix, 0, true, site->d, rows, value, meter);
}

/* ---- products ---- */

csim_status csim__triangles_products(csim__triangles *t, const double *const *value, int count,
                                     const unsigned char *wanted, double *out)
{
    int64_t cells = (int64_t)count * count;
    double m = (double)t->all;
    int e = csim__exact_exponent(2 * m * m * m);
    const double **piece = NULL;
    csim__exact *sum = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, count, sizeof *piece, "pieces", &piece));
    CSIM_TRY(csim__calloc(t->ctx, cells, sizeof *sum, "sums", &sum));
done:
    st = csim__vote(t->ctx, st);
    for (int64_t p = 0; st == CSIM_OK && p < t->patches; p++) {
        int64_t end = p + 1 < t->patches ? t->patch[p + 1].at : t->length;
        for (int s = 0; s < count; s++) { piece[s] = value[s] + t->patch[p].at; }
        csim__inner_products(piece, count, end - t->patch[p].at, wanted, out);
        for (int64_t i = 0; i < cells; i++) {
            if (wanted[i] && i / count <= i % count) { csim__exact_add(&sum[i], out[i], e); }
        }
    }
    if (st == CSIM_OK) { st = csim__exact_reduce(t->ctx, sum, cells); }
    for (int64_t i = 0; st == CSIM_OK && i < cells; i++) { out[i] = csim__exact_value(sum[i], e); }
    csim__free(t->ctx, &sum);
    csim__free(t->ctx, &piece);
    return st;
}

csim_status csim__triangles_through(csim__triangles *t, const double *value, double *out)
{
    int64_t *sum = NULL, n = t->shard.n; /* entries are whole numbers */
    int many = 0;
    csim_status st = csim__int(t->ctx, n, "examples", &many);
    if (st == CSIM_OK) { st = csim__calloc(t->ctx, n, sizeof *sum, "row sums", &sum); }
    st = csim__vote(t->ctx, st);
    for (int64_t i = 0; st == CSIM_OK && i < t->patches; i++) {
        const csim__patch *p = &t->patch[i];
        int64_t at = p->at;
        for (int r = 0; r < p->m; r++) {
            for (int c = p->diagonal ? r + 1 : 0; c < p->n; c++, at++) {
                sum[p->row + r] += (int64_t)value[at];
                sum[p->col + c] += (int64_t)value[at];
            }
        }
    }
    if (st == CSIM_OK) {
        st = csim__vote(t->ctx, csim__mpi(t->ctx,
                                          MPI_Allreduce(MPI_IN_PLACE, sum, many, MPI_INT64_T,
                                                        MPI_SUM, csim_context_comm(t->ctx)),
                                          "row sums"));
    }
    *out = 0;
    for (int64_t i = 0; st == CSIM_OK && i < n; i++) { *out += (double)sum[i] * (double)sum[i]; }
    csim__free(t->ctx, &sum);
    return st;
}

/* ---- spectra ---- */

/* Rows of a strip of the matrix; every tile lies in one strip. */
static int64_t strip_rows(const csim_shard *shard)
{
    return csim__min64(shard->chunk, CSIM__TILE);
}

/* A − B above the diagonal, on rank @p owner. */
static csim_status gather(csim__triangles *t, const double *a, const double *b, int owner,
                          double *strip, double *matrix)
{
    int64_t n = t->shard.n, step = strip_rows(&t->shard);
    int code = MPI_SUCCESS;
    for (int64_t first = 0; code == MPI_SUCCESS && first < n; first += step) {
        int64_t rows = csim__min64(step, n - first);
        memset(strip, 0, (size_t)(rows * n) * sizeof *strip);
        for (int64_t i = 0; i < t->patches; i++) {
            const csim__patch *p = &t->patch[i];
            int64_t at = p->at;
            for (int r = 0; p->row / step * step == first && r < p->m; r++) {
                double *to = strip + (p->row + r - first) * n + p->col;
                for (int c = p->diagonal ? r + 1 : 0; c < p->n; c++, at++) {
                    to[c] = a[at] - b[at];
                }
            }
        }
        bool here = t->shard.rank == owner; /* every entry is one rank's: the others add 0 */
        code = MPI_Reduce(strip, here ? matrix + first * n : NULL, (int)(rows * n), MPI_DOUBLE,
                          MPI_SUM, owner, csim_context_comm(t->ctx));
    }
    return csim__mpi(t->ctx, code, "distances to their owner");
}

static double spectral_norm(csim_context *ctx, int n, double *matrix, double *w)
{
    csim_status st = csim__eigen(ctx, CSIM__VALUES, n, matrix, w);
    if (st != CSIM_OK) { csim__forgive(ctx); }
    return st == CSIM_OK ? fmax(fabs(w[0]), fabs(w[n - 1])) : NAN;
}

csim_status csim__triangles_spectra(csim__triangles *t, const double *const *value,
                                    const csim__twosome *pairs, int64_t count, double *out,
                                    csim__meter *meter)
{
    int64_t n = t->shard.n;
    int size = t->shard.size, rank = t->shard.rank, order;
    double *strip = NULL, *matrix = NULL, *w = NULL, cube = (double)n * (double)n * (double)n;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__int(t->ctx, strip_rows(&t->shard) * n, "rows of distances", &order));
    order = (int)n;
    CSIM_TRY(csim__alloc(t->ctx, strip_rows(&t->shard) * n, sizeof *strip, "distances", &strip));
    if (rank < count) {
        CSIM_TRY(csim__alloc(t->ctx, n * n, sizeof *matrix, "an n x n matrix", &matrix));
        CSIM_TRY(csim__alloc(t->ctx, n, sizeof *w, "eigenvalues", &w));
    }
done:
    st = csim__vote(t->ctx, st);
    for (int64_t i = 0; i < count; i++) { out[i] = 0; }
    csim__phase_begin(t->ctx, "spectra");
    for (int64_t first = 0; st == CSIM_OK && first < count; first += size) {
        for (int64_t i = first; st == CSIM_OK && i < first + size && i < count; i++) {
            st = gather(t, value[pairs[i].a], value[pairs[i].b], (int)(i - first), strip, matrix);
        }
        bool mine = first + rank < count;
        if (st == CSIM_OK && mine) { out[first + rank] = spectral_norm(t->ctx, order, matrix, w); }
        csim__meter_add(meter, "spectra", mine ? 4 * cube / 3 : 0);
        st = csim__vote(t->ctx, st);
    }
    if (st == CSIM_OK) {
        st = csim__vote(t->ctx, csim__mpi(t->ctx,
                                          MPI_Allreduce(MPI_IN_PLACE, out, (int)count, MPI_DOUBLE,
                                                        MPI_SUM, csim_context_comm(t->ctx)),
                                          "spectral norms"));
    }
    csim__phase_end(t->ctx, 4 * cube / 3 * (double)count / size, 0);
    csim__free(t->ctx, &w);
    csim__free(t->ctx, &matrix);
    csim__free(t->ctx, &strip);
    return st;
}

/* ---- memory ---- */

csim__triangle_room csim__triangle_bytes(const csim_shard *shard, int64_t widest)
{
    const int64_t word = sizeof(double), n = shard->n, chunk = shard->chunk;
    int64_t entries = csim__ring_pairs(shard), all = n * (n - 1) / 2;
    /* what a rank sorts of all, give or take: few ranks cannot be more apart (csim__triangles_rank()) */
    int64_t each = all / shard->size, apart = shard->size > 1 ? csim__min64(shard->size, 16) : 0;
    int64_t sorted = each + each * apart / 64;
    csim__triangle_room room = {.each = word * entries};
    room.patches = most_patches(shard) * (int64_t)sizeof(csim__patch);
    room.fill = word * (shard->count * chunk + csim__ring_tile(chunk)) +
                csim__ring_bytes(chunk, shard->size, widest, sizeof(double), 1);
    /* own entries sorted and in runs, those of its range in runs and sorted; samples */
    room.rank = word * (5 * entries + 7 * sorted) + 5 * 64 * word * shard->size;
    room.spectra = word * (strip_rows(shard) * n + n * n + 68 * n);
    room.orders = word * 4 * all + 12 * shard->size;
    return room;
}
