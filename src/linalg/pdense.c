/* ScaLAPACK through its Fortran interface. A dealt matrix is the transpose of what ScaLAPACK sees:
 * each function says what it hands over. Sizes of workspaces come back as doubles and are computed
 * in ints, so a bound in 64 bits is checked before they are asked for. */
#include <math.h>
#include <string.h>

#include "linalg/pdense.h"

extern void pdgesvd_(const char *, const char *, const int *, const int *, double *, const int *,
                     const int *, const int *, double *, double *, const int *, const int *,
                     const int *, double *, const int *, const int *, const int *, double *,
                     const int *, int *);
extern void pdgebrd_(const int *, const int *, double *, const int *, const int *, const int *,
                     double *, double *, double *, double *, double *, const int *, int *);
extern void pdormbr_(const char *, const char *, const char *, const int *, const int *,
                     const int *, const double *, const int *, const int *, const int *,
                     const double *, double *, const int *, const int *, const int *, double *,
                     const int *, int *);
extern void pdsyev_(const char *, const char *, const int *, double *, const int *, const int *,
                    const int *, double *, double *, const int *, const int *, const int *,
                    double *, const int *, int *);
extern void pdsyevd_(const char *, const char *, const int *, double *, const int *, const int *,
                     const int *, double *, double *, const int *, const int *, const int *,
                     double *, const int *, int *, const int *, int *);
extern void pdsyrk_(const char *, const char *, const int *, const int *, const double *,
                    const double *, const int *, const int *, const int *, const double *, double *,
                    const int *, const int *, const int *);
extern void pdgemm_(const char *, const char *, const int *, const int *, const int *,
                    const double *, const double *, const int *, const int *, const int *,
                    const double *, const int *, const int *, const int *, const double *, double *,
                    const int *, const int *, const int *);

static const int first = 1; /* Fortran's index of the first row and column */

/* Is every number of this rank's share finite? The iterations are not made for others. */
static csim_status check_finite(const csim__dealt *a)
{
    int64_t count = (int64_t)a->m_loc * a->n_loc;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) { sum += a->x[i] * 0; } /* NaN for what is not finite */
    if (sum == 0) { return CSIM_OK; }
    return csim__fail(a->grid->ctx, CSIM_E_NUMERIC, "a %d x %d matrix is not finite", a->m, a->n);
}

static csim_status check_room(csim_context *ctx, int64_t words)
{
    int ignore;
    return csim__int(ctx, words, "workspace of a decomposition", &ignore);
}

/* The workspace that a query asks for, in words. */
static csim_status make_work(csim_context *ctx, double asked, int *count, double **work)
{
    const char *what = "workspace of a decomposition";
    int64_t words = asked >= 1 && asked <= INT32_MAX - 1 ? (int64_t)asked + 1 : INT64_MAX;
    csim_status st = csim__int(ctx, words, what, count);
    return st == CSIM_OK ? csim__alloc(ctx, *count, sizeof **work, what, work) : st;
}

static csim_status judge_info(csim_context *ctx, const char *what, int m, int n, int info)
{
    if (info == 0) { return CSIM_OK; }
    return csim__fail(ctx, CSIM_E_NUMERIC, "%s of a %d x %d matrix: info %d", what, m, n, info);
}

/* PDGESVD of the transpose, whose values are the same. Queries of a workspace are collective, too. */
csim_status csim__pd_singular_values(csim__dealt *a, double *s)
{
    csim_context *ctx = a->grid->ctx;
    int64_t most = csim__max64(a->m, a->n), b = a->grid->block;
    int lwork = -1, info = 0;
    double none = 0, asked[4] = {0}, *work = NULL;
    csim_status st = CSIM_OK;
    if (a->m == 0 || a->n == 0) { return CSIM_OK; }
    st = check_room(ctx, 16 * most + 4 * b * (most + 2 * b)); /* more than its documentation says */
    if (st == CSIM_OK) { st = check_finite(a); }
    CSIM_TRY(csim__vote(ctx, st));
    pdgesvd_("N", "N", &a->n, &a->m, a->x, &first, &first, a->desc, s, &none, &first, &first,
             a->desc, &none, &first, &first, a->desc, asked, &lwork, &info);
    st = make_work(ctx, asked[0], &lwork, &work);
    CSIM_TRY(csim__vote(ctx, st));
    pdgesvd_("N", "N", &a->n, &a->m, a->x, &first, &first, a->desc, s, &none, &first, &first,
             a->desc, &none, &first, &first, a->desc, work, &lwork, &info);
    st = csim__vote(ctx, judge_info(ctx, "singular values", a->m, a->n, info));
done:
    csim__free(ctx, &work);
    return st;
}

/* ---- with vectors ----
 * PDGESVD turns vectors by one rotation after the other, thirty times slower than LAPACK's divide and
 * conquer. So the grid makes the matrix bidiagonal, the leader decomposes that by LAPACK, and the grid
 * turns its vectors back. To ScaLAPACK A is R×C with R = n, C = m: A = Q B Pᵀ, B = X S Y, so that the
 * left vectors Q X are our rows of V, and Y Pᵀ is our U. */
typedef struct bidiagonal {
    double *d, *e;       /* [k], [k − 1] on every rank */
    double *tauq, *taup; /* the reflectors of Q and P */
    bool upper;
} bidiagonal;

static csim_status make_bidiagonal(const csim__dealt *a, bidiagonal *b)
{
    csim_context *ctx = a->grid->ctx;
    const char *what = "a bidiagonal matrix";
    int64_t k = csim__min64(a->m, a->n);
    csim_status st = CSIM_OK;
    b->upper = a->n >= a->m;
    CSIM_TRY(csim__calloc(ctx, k, sizeof(double), what, &b->d));
    CSIM_TRY(csim__calloc(ctx, k, sizeof(double), what, &b->e));
    CSIM_TRY(csim__alloc(ctx, a->m_loc + 1, sizeof(double), what, &b->tauq));
    CSIM_TRY(csim__alloc(ctx, a->n_loc + 1, sizeof(double), what, &b->taup));
done:
    return st;
}

static void free_bidiagonal(csim_context *ctx, bidiagonal *b)
{
    csim__free(ctx, &b->d);
    csim__free(ctx, &b->e);
    csim__free(ctx, &b->tauq);
    csim__free(ctx, &b->taup);
}

/* B is left in the matrix; each rank adds what lies in its share. */
static csim_status read_bidiagonal(const csim__dealt *a, bidiagonal *b)
{
    const csim__grid *g = a->grid;
    MPI_Comm comm = csim_context_comm(g->ctx);
    int k = a->m < a->n ? a->m : a->n;
    for (int64_t r = 0; r < a->m_loc; r++) {
        int64_t i = csim__dealt_row(a, r), beside = b->upper ? i - 1 : i + 1;
        int64_t at = b->upper ? i - 1 : i; /* of e */
        for (int64_t c = 0; c < a->n_loc; c++) {
            int64_t j = csim__grid_index(c, g->block, g->row, g->p);
            double v = a->x[r * a->n_loc + c];
            if (j == i && i < k) { b->d[i] = v; }
            if (j == beside && at >= 0 && at < k - 1) { b->e[at] = v; }
        }
    }
    int code = MPI_Allreduce(MPI_IN_PLACE, b->d, k, MPI_DOUBLE, MPI_SUM, comm);
    if (code == MPI_SUCCESS) {
        code = MPI_Allreduce(MPI_IN_PLACE, b->e, k, MPI_DOUBLE, MPI_SUM, comm);
    }
    return csim__mpi(g->ctx, code, "a bidiagonal matrix");
}

/* A = Q B Pᵀ. */
static csim_status reduce(csim__dealt *a, bidiagonal *b)
{
    csim_context *ctx = a->grid->ctx;
    int lwork = -1, info = 0;
    double asked[4] = {0}, *work = NULL, *d = NULL, *e = NULL;
    int64_t room = (int64_t)a->m_loc + a->n_loc + 1;
    csim_status st = csim__alloc(ctx, room, sizeof *d, "a diagonal", &d);
    if (st == CSIM_OK) { st = csim__alloc(ctx, room, sizeof *e, "a diagonal", &e); }
    CSIM_TRY(csim__vote(ctx, st));
    pdgebrd_(&a->n, &a->m, a->x, &first, &first, a->desc, d, e, b->tauq, b->taup, asked, &lwork,
             &info);
    st = make_work(ctx, asked[0], &lwork, &work);
    CSIM_TRY(csim__vote(ctx, st));
    pdgebrd_(&a->n, &a->m, a->x, &first, &first, a->desc, d, e, b->tauq, b->taup, work, &lwork,
             &info);
    st = read_bidiagonal(a, b);
    if (st == CSIM_OK) { st = judge_info(ctx, "reduction", a->m, a->n, info); }
    st = csim__vote(ctx, st);
done:
    csim__free(ctx, &work);
    csim__free(ctx, &e);
    csim__free(ctx, &d);
    return st;
}

/* X and Y of B by LAPACK on the leader, into the first k columns of our V and the first k rows of our
 * U, the rest of which is zero; from there, @p x and @p y, to the grid. */
static csim_status solve_bidiagonal(const csim__dealt *a, bidiagonal *b, double *s, csim__dealt *u,
                                    csim__dealt *v, double *x, double *y)
{
    csim_context *ctx = a->grid->ctx;
    bool leader = csim_context_rank(ctx) == 0;
    int k = a->m < a->n ? a->m : a->n;
    csim_status st = CSIM_OK;
    if (leader) {
        memset(x, 0, (size_t)u->m * (size_t)k * sizeof *x);
        memset(y, 0, (size_t)k * (size_t)v->n * sizeof *y);
        st = csim__svd_bidiagonal(ctx, b->upper, k, b->d, b->e, y, v->n, x, k);
    }
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        memcpy(s, b->d, (size_t)k * sizeof *s);
        int code = MPI_Bcast(s, k, MPI_DOUBLE, 0, csim_context_comm(ctx));
        st = csim__vote(ctx, csim__mpi(ctx, code, "singular values"));
    }
    if (st == CSIM_OK) { st = csim__dealt_scatter(v, y); }
    if (st == CSIM_OK) { st = csim__dealt_scatter(u, x); }
    return st;
}

/* V ← Q V or U ← U Pᵀ, as ScaLAPACK sees them. */
static csim_status turn_back(const csim__dealt *a, const bidiagonal *b, csim__dealt *c, bool q)
{
    csim_context *ctx = a->grid->ctx;
    const char *vect = q ? "Q" : "P", *side = q ? "L" : "R", *trans = q ? "N" : "T";
    int lwork = -1, info = 0;
    double asked[4] = {0}, *work = NULL;
    csim_status st = CSIM_OK;
    pdormbr_(vect, side, trans, &c->n, &c->m, q ? &a->m : &a->n, a->x, &first, &first, a->desc,
             q ? b->tauq : b->taup, c->x, &first, &first, c->desc, asked, &lwork, &info);
    st = make_work(ctx, asked[0], &lwork, &work);
    CSIM_TRY(csim__vote(ctx, st));
    pdormbr_(vect, side, trans, &c->n, &c->m, q ? &a->m : &a->n, a->x, &first, &first, a->desc,
             q ? b->tauq : b->taup, c->x, &first, &first, c->desc, work, &lwork, &info);
    st = csim__vote(ctx, judge_info(ctx, "vectors", a->m, a->n, info));
done:
    csim__free(ctx, &work);
    return st;
}

csim_status csim__pd_svd(csim__dealt *a, double *s, csim__dealt *u, csim__dealt *v, double *x,
                         double *y)
{
    csim_context *ctx = a->grid->ctx;
    int64_t most = csim__max64(a->m, a->n), least = csim__min64(a->m, a->n);
    int64_t block = a->grid->block;
    bidiagonal b = {.d = NULL};
    csim_status st = CSIM_OK;
    if (a->m == 0 || a->n == 0) { return CSIM_OK; }
    /* panels of the grid, more than the documentation says; vectors of the bidiagonal matrix */
    st = check_room(ctx, csim__max64(4 * block * (most + 2 * block), 4 * least * most));
    if (st == CSIM_OK) { st = check_finite(a); }
    if (st == CSIM_OK) { st = make_bidiagonal(a, &b); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(reduce(a, &b));
    CSIM_TRY(solve_bidiagonal(a, &b, s, u, v, x, y));
    CSIM_TRY(turn_back(a, &b, v, true));
    CSIM_TRY(turn_back(a, &b, u, false));
done:
    free_bidiagonal(ctx, &b);
    return st;
}

/* ---- symmetric ---- */

/* What PDSYEVD forgets to ask for: PDORMTR's panels, which in small matrices outweigh the rest. */
static double forgotten(const csim__dealt *c)
{
    double b = c->grid->block;
    return 8.0 * c->n + b * (c->m_loc + c->n_loc + 2 * b);
}

/* PDSYEV for values: PDSYEVD makes vectors only. */
static void solve(csim__want want, csim__dealt *c, double *w, csim__dealt *z, double *work,
                  int lwork, int *iwork, int liwork, int *info)
{
    double none = 0;
    if (want == CSIM__VALUES) {
        pdsyev_("N", "L", &c->n, c->x, &first, &first, c->desc, w, &none, &first, &first, c->desc,
                work, &lwork, info);
    } else {
        pdsyevd_("V", "L", &c->n, c->x, &first, &first, c->desc, w, z->x, &first, &first, z->desc,
                 work, &lwork, iwork, &liwork, info);
    }
}

/* Words of workspace of PDSYEV and PDSYEVD at most, from their documentation. */
static int64_t eigen_bound(const csim__dealt *c, csim__want want)
{
    int64_t n = c->n, b = c->grid->block, share = n / (c->grid->p * c->grid->q) + 1;
    return 16 * n + 4 * b * (n + 2 * b) + (want == CSIM__VECTORS ? 4 * n * share : 0);
}

/* The eigenvalues of −C ascend as those of C descend, and so do the vectors. */
csim_status csim__pd_eigen(csim__want want, csim__dealt *c, double *w, csim__dealt *z)
{
    csim_context *ctx = c->grid->ctx;
    int64_t count = (int64_t)c->m_loc * c->n_loc;
    int lwork, few[4] = {0}, liwork = 1, info = 0, *iwork = NULL;
    double asked[4] = {0}, *work = NULL;
    csim_status st = CSIM_OK;
    if (c->n == 0) { return CSIM_OK; }
    st = check_room(ctx, eigen_bound(c, want));
    if (st == CSIM_OK) { st = check_finite(c); }
    CSIM_TRY(csim__vote(ctx, st));
    for (int64_t i = 0; i < count; i++) { c->x[i] = -c->x[i]; }
    solve(want, c, w, z, asked, -1, few, -1, &info);
    st = make_work(ctx, asked[0] + forgotten(c), &lwork, &work);
    if (want == CSIM__VECTORS) { liwork = few[0]; }
    if (st == CSIM_OK) {
        st = csim__alloc(ctx, liwork, sizeof *iwork, "workspace of a decomposition", &iwork);
    }
    CSIM_TRY(csim__vote(ctx, st));
    solve(want, c, w, z, work, lwork, iwork, liwork, &info);
    /* of a matrix of one block PDSYEVD leaves them on the first rank alone */
    int code = MPI_Bcast(w, c->n, MPI_DOUBLE, 0, csim_context_comm(ctx));
    for (int i = 0; i < c->n; i++) { w[i] = -w[i]; }
    st = csim__mpi(ctx, code, "eigenvalues");
    if (st == CSIM_OK) { st = judge_info(ctx, "eigenvalues", c->m, c->n, info); }
    st = csim__vote(ctx, st);
done:
    csim__free(ctx, &iwork);
    csim__free(ctx, &work);
    return st;
}

/* The other side's vectors, V = U A/s or U = V Aᵀ/s by rows. */
static void other_side(const csim__dealt *a, bool left, const double *s, const csim__dealt *known,
                       csim__dealt *other)
{
    const double one = 1, zero = 0;
    pdgemm_(left ? "N" : "T", "N", &other->n, &other->m, &known->n, &one, a->x, &first, &first,
            a->desc, known->x, &first, &first, known->desc, &zero, other->x, &first, &first,
            other->desc);
    for (int64_t i = 0; i < other->m_loc; i++) {
        double value = s[csim__dealt_row(other, i)], scale = value > 0 ? 1 / value : 0;
        for (int64_t j = 0; j < other->n_loc; j++) { other->x[i * other->n_loc + j] *= scale; }
    }
}

csim_status csim__pd_svd_by_squares(csim__want want, const csim__dealt *a, double *s,
                                    csim__dealt *u, csim__dealt *v, csim__doubt *doubt)
{
    csim_context *ctx = a->grid->ctx;
    const double one = 1, zero = 0;
    bool left = a->m <= a->n;
    int k = left ? a->m : a->n, inner = left ? a->n : a->m;
    csim__dealt square = {.grid = NULL};
    csim_status st = CSIM_OK;
    *doubt = (csim__doubt){0, 0};
    if (k == 0) { return CSIM_OK; }
    st = csim__dealt_make(a->grid, k, k, "a square", &square);
    CSIM_TRY(csim__vote(ctx, st));
    /* only one triangle is written, and all of it is looked at */
    memset(square.x, 0, (size_t)square.m_loc * (size_t)square.n_loc * sizeof *square.x);
    pdsyrk_("L", left ? "T" : "N", &k, &inner, &one, a->x, &first, &first, a->desc, &zero, square.x,
            &first, &first, square.desc);
    CSIM_TRY(csim__pd_eigen(want, &square, s, left ? u : v));
    *doubt = csim__doubt_judge(k, s);
    for (int i = 0; i < k; i++) { s[i] = s[i] > 0 ? sqrt(s[i]) : 0; }
    if (want == CSIM__VECTORS) { other_side(a, left, s, left ? u : v, left ? v : u); }
done:
    csim__dealt_clear(&square);
    return st;
}
