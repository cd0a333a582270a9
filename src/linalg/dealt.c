/* Scatter and gather go by panels: `block` rows, which lie in one column of the grid, one message
 * for each rank of it. The leader packs or unpacks one panel while the one before travels. */
#include <string.h>

#include "linalg/dealt.h"

enum { FLIGHTS = 2, TAG = 71 };

csim_status csim__dealt_make(const csim__grid *grid, int64_t m, int64_t n, const char *what,
                             csim__dealt *a)
{
    enum { DENSE = 1 };
    int64_t b = grid->block, rows = csim__grid_share(m, b, grid->col, grid->q);
    int64_t cols = csim__grid_share(n, b, grid->row, grid->p);
    csim_status st = CSIM_OK;
    *a = (csim__dealt){.grid = grid};
    CSIM_TRY(csim__int(grid->ctx, m, what, &a->m));
    CSIM_TRY(csim__int(grid->ctx, n, what, &a->n));
    if (rows * cols > INT32_MAX) { /* ScaLAPACK counts the elements of a share in an int */
        st = csim__fail(grid->ctx, CSIM_E_LIMIT,
                        "%s: %lld x %lld on a grid of %d x %d ranks has %lld numbers a rank, "
                        "expected at most %d: use more ranks a grid",
                        what, (long long)m, (long long)n, grid->p, grid->q,
                        (long long)(rows * cols), INT32_MAX);
        goto done;
    }
    a->m_loc = (int)rows;
    a->n_loc = (int)cols;
    int lead = a->n_loc > 0 ? a->n_loc : 1;
    int desc[] = {DENSE, grid->blacs, a->n, a->m, grid->block, grid->block, 0, 0, lead};
    memcpy(a->desc, desc, sizeof desc);
    st = csim__alloc(grid->ctx, rows * cols, sizeof *a->x, what, &a->x);
done:
    return st;
}

void csim__dealt_clear(csim__dealt *a)
{
    if (a->grid != NULL) { csim__free(a->grid->ctx, &a->x); }
}

int64_t csim__dealt_row(const csim__dealt *a, int64_t at)
{
    return csim__grid_index(at, a->grid->block, a->grid->col, a->grid->q);
}

/* The panel that starts at a row: which column of the grid has it, how many rows, and where they
 * begin in the shares of that column. */
typedef struct panel {
    int64_t row, rows, at;
    int col;
} panel;

static panel panel_at(const csim__dealt *a, int64_t row)
{
    int64_t b = a->grid->block, number = row / b;
    return (panel){.row = row,
                   .rows = csim__min64(b, a->m - row),
                   .at = number / a->grid->q * b,
                   .col = (int)(number % a->grid->q)};
}

/* Copy between a panel of the whole and its piece for one row of the grid, [rows, cols]. */
static void copy_piece(const csim__dealt *a, const panel *l, int row, int64_t cols, double *whole,
                       double *piece, bool pack)
{
    int64_t b = a->grid->block;
    for (int64_t i = 0; i < l->rows; i++) {
        double *line = whole + (l->row + i) * a->n, *packed = piece + i * cols;
        for (int64_t c = 0; c < cols; c += b) {
            size_t bytes = (size_t)csim__min64(b, cols - c) * sizeof *line;
            double *at = line + csim__grid_index(c, b, row, a->grid->p);
            memcpy(pack ? packed + c : at, pack ? at : packed + c, bytes);
        }
    }
}

/* The leader's panels under way. */
typedef struct flight {
    panel l;
    double *pieces; /* [p] one after the other */
    MPI_Request *request;
    int count;
    bool open;
} flight;

static csim_status land(const csim__dealt *a, flight *f, double *whole, bool pack)
{
    csim_context *ctx = a->grid->ctx;
    if (!f->open) { return CSIM_OK; }
    f->open = false;
    csim_status st = csim__mpi(ctx, MPI_Waitall(f->count, f->request, MPI_STATUSES_IGNORE),
                               "a panel of a matrix");
    double *piece = f->pieces;
    for (int row = 0; st == CSIM_OK && !pack && row < a->grid->p; row++) {
        int64_t cols = csim__grid_share(a->n, a->grid->block, row, a->grid->p);
        copy_piece(a, &f->l, row, cols, whole, piece, false);
        piece += f->l.rows * cols;
    }
    return st;
}

/* One panel from or to the leader; its own piece is a message to itself. */
static csim_status take_off(const csim__dealt *a, flight *f, const panel *l, double *whole,
                            bool pack)
{
    const csim__grid *g = a->grid;
    MPI_Comm comm = csim_context_comm(g->ctx);
    double *piece = f->pieces;
    int code = MPI_SUCCESS;
    f->l = *l;
    f->open = true;
    f->count = 0;
    for (int row = 0; code == MPI_SUCCESS && row < g->p; row++) {
        int64_t cols = csim__grid_share(a->n, g->block, row, g->p);
        int count = (int)(l->rows * cols), rank = row * g->q + l->col;
        if (count == 0) { continue; }
        if (pack) { copy_piece(a, l, row, cols, whole, piece, true); }
        code = pack ? MPI_Isend(piece, count, MPI_DOUBLE, rank, TAG, comm, &f->request[f->count])
                    : MPI_Irecv(piece, count, MPI_DOUBLE, rank, TAG, comm, &f->request[f->count]);
        f->count += code == MPI_SUCCESS;
        piece += count;
    }
    return csim__mpi(g->ctx, code, "a panel of a matrix");
}

/* This rank's piece of a panel. */
static csim_status move_piece(const csim__dealt *a, const panel *l, bool pack, MPI_Request *request)
{
    csim_context *ctx = a->grid->ctx;
    int count = (int)(l->rows * a->n_loc), code = MPI_SUCCESS;
    double *piece = a->x + l->at * a->n_loc;
    *request = MPI_REQUEST_NULL;
    if (l->col == a->grid->col && count > 0) {
        code = pack ? MPI_Irecv(piece, count, MPI_DOUBLE, 0, TAG, csim_context_comm(ctx), request)
                    : MPI_Isend(piece, count, MPI_DOUBLE, 0, TAG, csim_context_comm(ctx), request);
    }
    return csim__mpi(ctx, code, "a panel of a matrix");
}

static csim_status travel(const csim__dealt *a, double *whole, bool pack)
{
    const csim__grid *g = a->grid;
    bool leader = csim_context_rank(g->ctx) == 0;
    flight f[FLIGHTS] = {{.count = 0}};
    MPI_Request mine;
    csim_status st = CSIM_OK, late = CSIM_OK;
    int ignore;
    CSIM_TRY(csim__int(g->ctx, (int64_t)g->block * a->n, "a panel of a matrix", &ignore));
    for (int k = 0; leader && k < FLIGHTS; k++) {
        CSIM_TRY(
            csim__alloc(g->ctx, (int64_t)g->block * a->n, sizeof(double), "a panel", &f[k].pieces));
        CSIM_TRY(csim__alloc(g->ctx, g->p, sizeof(MPI_Request), "requests", &f[k].request));
    }
done:
    st = csim__vote(g->ctx, st);
    /* A failure does not end the exchange: the others would wait. */
    for (int64_t row = 0, end = st == CSIM_OK ? a->m : 0; row < end; row += g->block) {
        panel l = panel_at(a, row);
        flight *now = &f[row / g->block % FLIGHTS];
        if (leader) {
            csim_status landed = land(a, now, whole, pack);
            csim_status off = take_off(a, now, &l, whole, pack);
            st = st != CSIM_OK ? st : landed != CSIM_OK ? landed : off;
        }
        csim_status own = move_piece(a, &l, pack, &mine);
        if (own == CSIM_OK) {
            own = csim__mpi(g->ctx, MPI_Wait(&mine, MPI_STATUS_IGNORE), "a panel of a matrix");
        }
        st = st == CSIM_OK ? own : st;
    }
    for (int k = 0; k < FLIGHTS; k++) {
        late = land(a, &f[k], whole, pack);
        st = st == CSIM_OK ? late : st;
    }
    st = csim__vote(g->ctx, st);
    for (int k = 0; k < FLIGHTS; k++) {
        csim__free(g->ctx, &f[k].request);
        csim__free(g->ctx, &f[k].pieces);
    }
    return st;
}

csim_status csim__dealt_scatter(csim__dealt *a, const double *whole)
{
    union { /* only read on this way */
        const double *in;
        double *out;
    } w = {.in = whole};
    return travel(a, w.out, true);
}

csim_status csim__dealt_gather(const csim__dealt *a, double *whole)
{
    return travel(a, whole, false);
}
