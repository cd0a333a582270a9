/* Orders go from the leader to its grid as one small broadcast. */
#include "linalg/team.h"
#include "linalg/pdense.h"

enum { DISMISS, SVD, BY_SQUARES, SQUARE };

typedef struct order {
    int64_t kind, want, m, n;
    int64_t dealt;  /* which of the dealt matrices, −1: the leader's */
    int64_t scaled; /* 1: by rows, 2: by columns, 3: both */
} order;

static csim_status pass_on(csim__team *team, order *o)
{
    csim_context *ctx = team->grid->ctx;
    int code = MPI_Bcast(o, sizeof *o / sizeof(int64_t), MPI_INT64_T, 0, csim_context_comm(ctx));
    csim_status st = csim__mpi(ctx, code, "an order to a grid");
    if (st != CSIM_OK) { team->broken = st; }
    return st;
}

/* What the leader hands over and gets; the others have none of it. */
typedef struct hands {
    const csim__matter *x;
    double *s, *u, *v;
    csim__doubt doubt;
    double sum;
} hands;

/* Singular values of every rank to the leader's array. */
static void keep_values(const hands *h, const double *s, int64_t k)
{
    for (int64_t i = 0; h->s != NULL && i < k; i++) { h->s[i] = s[i]; }
}

/* Factors of the rows, then of the columns, from the leader to all; ones where it has none.
 * Collective on the grid. */
static csim_status share_factors(csim_context *ctx, const order *o, const hands *h, double **factor)
{
    int64_t count[2] = {o->m, o->n};
    csim_status st = csim__alloc(ctx, o->m + o->n, sizeof **factor, "factors", factor);
    st = csim__vote(ctx, st);
    double *at = *factor;
    for (int side = 0; st == CSIM_OK && side < 2; at += count[side++]) {
        const double *from = h->x == NULL ? NULL : side == 0 ? h->x->p : h->x->q;
        for (int64_t i = 0; i < count[side]; i++) { at[i] = from != NULL ? from[i] : 1; }
        if (!(o->scaled & 1 << side)) { continue; }
        int code = MPI_Bcast(at, (int)count[side], MPI_DOUBLE, 0, csim_context_comm(ctx));
        st = csim__mpi(ctx, code, "factors");
    }
    return csim__vote(ctx, st);
}

/* The column of the matrix that is column @p at of a share. */
static int64_t column(const csim__grid *g, int64_t at)
{
    return csim__grid_index(at, g->block, g->row, g->p);
}

/* What is to be decomposed, dealt: from the leader, or of what is dealt the leading part, which lies in
 * the leading rows and columns of each share, scaled. Collective on the grid. */
static csim_status prepare(const csim__team *team, const order *o, const hands *h, csim__dealt *a)
{
    const csim__grid *g = team->grid;
    double *p = NULL;
    csim_status st = csim__vote(g->ctx, csim__dealt_make(g, o->m, o->n, "a dealt block", a));
    if (st != CSIM_OK) { return st; }
    if (o->dealt < 0) { return csim__dealt_scatter(a, h->x != NULL ? h->x->a : NULL); }
    st = share_factors(g->ctx, o, h, &p);
    const csim__dealt *from = &team->dealt[o->dealt];
    const double *q = p != NULL ? p + o->m : NULL;
    for (int64_t i = 0; st == CSIM_OK && i < a->m_loc; i++) {
        double f = p[csim__dealt_row(a, i)];
        for (int64_t j = 0; j < a->n_loc; j++) {
            a->x[i * a->n_loc + j] = f * from->x[i * from->n_loc + j] * q[column(g, j)];
        }
    }
    csim__free(g->ctx, &p);
    return st;
}

/* Carry out an order for a decomposition. Collective on the grid. */
static csim_status decompose(const csim__team *team, const order *o, hands *h)
{
    const csim__grid *g = team->grid;
    csim_context *ctx = g->ctx;
    bool squares = o->kind == BY_SQUARES, vectors = o->want == CSIM__VECTORS;
    int64_t k = csim__min64(o->m, o->n);
    csim__dealt a = {.grid = NULL}, u = {.grid = NULL}, v = {.grid = NULL};
    double *s = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, k, sizeof *s, "singular values", &s));
    if (vectors) {
        CSIM_TRY(csim__dealt_make(g, squares ? k : o->m, squares ? o->m : k, "left vectors", &u));
        CSIM_TRY(csim__dealt_make(g, k, o->n, "right vectors", &v));
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = prepare(team, o, h, &a); }
    if (st == CSIM_OK && squares) {
        st = csim__pd_svd_by_squares((csim__want)o->want, &a, s, &u, &v, &h->doubt);
    } else if (st == CSIM_OK) {
        st = vectors ? csim__pd_svd(&a, s, &u, &v, h->u, h->v) : csim__pd_singular_values(&a, s);
    }
    if (st == CSIM_OK && vectors) { st = csim__dealt_gather(&u, h->u); }
    if (st == CSIM_OK && vectors) { st = csim__dealt_gather(&v, h->v); }
    if (st == CSIM_OK) { keep_values(h, s, k); }
    csim__dealt_clear(&v);
    csim__dealt_clear(&u);
    csim__dealt_clear(&a);
    csim__free(ctx, &s);
    return st;
}

/* The sums of the ranks of a grid are added in their order. Collective on the grid. */
static csim_status add_up(const csim__team *team, const order *o, hands *h)
{
    const csim__grid *g = team->grid;
    csim_context *ctx = g->ctx;
    const csim__dealt *a = &team->dealt[o->dealt];
    int64_t rows = csim__grid_share(o->m, g->block, g->col, g->q);
    int64_t cols = csim__grid_share(o->n, g->block, g->row, g->p);
    double *p = NULL, *part = NULL, mine = 0;
    csim_status st = share_factors(ctx, o, h, &p);
    if (st == CSIM_OK) { st = csim__alloc(ctx, g->p * g->q, sizeof *part, "sums", &part); }
    CSIM_TRY(csim__vote(ctx, st));
    for (int64_t i = 0; i < rows; i++) {
        double row = 0;
        for (int64_t j = 0; j < cols; j++) {
            double v = a->x[i * a->n_loc + j];
            row += v * v * p[o->m + column(g, j)];
        }
        mine += p[csim__dealt_row(a, i)] * row;
    }
    int code = MPI_Gather(&mine, 1, MPI_DOUBLE, part, 1, MPI_DOUBLE, 0, csim_context_comm(ctx));
    st = csim__vote(ctx, csim__mpi(ctx, code, "a sum"));
    h->sum = 0;
    for (int k = 0; st == CSIM_OK && csim_context_rank(ctx) == 0 && k < g->p * g->q; k++) {
        h->sum += part[k];
    }
done:
    csim__free(ctx, &part);
    csim__free(ctx, &p);
    return st;
}

/* Collective on the grid. */
static csim_status carry_out(csim__team *team, const order *o, hands *h)
{
    csim_context *ctx = team->grid->ctx;
    csim__phase_begin(ctx, "grid");
    csim_status st = o->kind == SQUARE ? add_up(team, o, h) : decompose(team, o, h);
    csim__phase_end(ctx, 0, 0);
    if (st == CSIM_E_MPI) { team->broken = st; }
    return st;
}

/* The leader's side of an order. */
static csim_status ask(csim_context *ctx, csim__team *team, int kind, csim__want want, hands *h)
{
    const csim__matter *x = h->x;
    bool dealt = x->a == NULL;
    order o = {.kind = kind, .want = want, .m = x->m, .n = x->n};
    o.dealt = dealt ? x->dealt : -1;
    o.scaled = dealt ? (x->p != NULL) + 2 * (x->q != NULL) : 0;
    csim_status st = team->broken;
    if (st == CSIM_OK) { st = pass_on(team, &o); }
    if (st == CSIM_OK) { st = carry_out(team, &o, h); }
    team->asked++;
    if (st == CSIM_OK) { return st; }
    csim__fail(ctx, st, "%s", csim_context_error(team->grid->ctx));
    if (team->broken == CSIM_OK) { csim__forgive(team->grid->ctx); }
    return st;
}

static bool takes(const csim__team *team, const csim__matter *x)
{
    if (team == NULL || x->m == 0 || x->n == 0) { return false; }
    return x->a == NULL || csim__min64(x->m, x->n) >= team->least;
}

csim_status csim__team_svd(csim_context *ctx, csim__team *team, csim__want want,
                           const csim__matter *x, double *s, double *u, double *v)
{
    hands h = {.x = x, .s = s, .u = u, .v = v};
    if (!takes(team, x)) { return csim__svd(ctx, want, x->m, x->n, x->a, s, u, v); }
    return ask(ctx, team, SVD, want, &h);
}

csim_status csim__team_svd_by_squares(csim_context *ctx, csim__team *team, csim__want want,
                                      const csim__matter *x, double *s, double *u, double *v,
                                      csim__doubt *doubt)
{
    hands h = {.x = x, .s = s, .u = u, .v = v};
    if (!takes(team, x)) {
        return csim__svd_by_squares(ctx, want, x->m, x->n, x->a, s, u, v, doubt);
    }
    csim_status st = ask(ctx, team, BY_SQUARES, want, &h);
    *doubt = h.doubt;
    return st;
}

csim_status csim__team_square(csim_context *ctx, csim__team *team, const csim__matter *x,
                              double *sum)
{
    hands h = {.x = x};
    csim_status st = ask(ctx, team, SQUARE, CSIM__VALUES, &h);
    *sum = h.sum;
    return st;
}

csim_status csim__team_serve(csim__team *team)
{
    while (team->broken == CSIM_OK) { /* else no order can come any more */
        order o = {.kind = DISMISS};
        hands h = {.x = NULL};
        csim_status st = pass_on(team, &o);
        if (st != CSIM_OK || o.kind == DISMISS) { return st; }
        (void)carry_out(team, &o, &h); /* the leader has the same status, and reports it */
        if (team->broken == CSIM_OK) { csim__forgive(team->grid->ctx); }
    }
    return team->broken;
}

void csim__team_dismiss(csim__team *team)
{
    order o = {.kind = DISMISS};
    if (team->broken == CSIM_OK) { (void)pass_on(team, &o); }
}
