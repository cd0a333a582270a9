/* Orders go from the leader to its grid as one small broadcast. */
#include "linalg/team.h"
#include "linalg/pdense.h"

enum { DISMISS, SVD, BY_SQUARES };

typedef struct order {
    int64_t kind, want, m, n;
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
    const double *a;
    double *s, *u, *v;
    csim__doubt doubt;
} hands;

/* Singular values of every rank to the leader's array. */
static void keep_values(const hands *h, const double *s, int64_t k)
{
    for (int64_t i = 0; h->s != NULL && i < k; i++) { h->s[i] = s[i]; }
}

/* Carry out an order. Collective on the grid. */
static csim_status carry_out(csim__team *team, const order *o, hands *h)
{
    const csim__grid *g = team->grid;
    csim_context *ctx = g->ctx;
    bool squares = o->kind == BY_SQUARES, vectors = o->want == CSIM__VECTORS;
    int64_t k = csim__min64(o->m, o->n);
    csim__dealt a = {.grid = NULL}, u = {.grid = NULL}, v = {.grid = NULL};
    double *s = NULL;
    csim_status st = CSIM_OK;
    csim__phase_begin(ctx, "grid");
    CSIM_TRY(csim__alloc(ctx, k, sizeof *s, "singular values", &s));
    CSIM_TRY(csim__dealt_make(g, o->m, o->n, "a dealt block", &a));
    if (vectors) {
        CSIM_TRY(csim__dealt_make(g, squares ? k : o->m, squares ? o->m : k, "left vectors", &u));
        CSIM_TRY(csim__dealt_make(g, k, o->n, "right vectors", &v));
    }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__dealt_scatter(&a, h->a); }
    if (st == CSIM_OK && squares) {
        st = csim__pd_svd_by_squares((csim__want)o->want, &a, s, &u, &v, &h->doubt);
    } else if (st == CSIM_OK) {
        st = vectors ? csim__pd_svd(&a, s, &u, &v) : csim__pd_singular_values(&a, s);
    }
    if (st == CSIM_OK && vectors) { st = csim__dealt_gather(&u, h->u); }
    if (st == CSIM_OK && vectors) { st = csim__dealt_gather(&v, h->v); }
    if (st == CSIM_OK) { keep_values(h, s, k); }
    csim__dealt_clear(&v);
    csim__dealt_clear(&u);
    csim__dealt_clear(&a);
    csim__free(ctx, &s);
    csim__phase_end(ctx, 0, 0);
    if (st == CSIM_E_MPI) { team->broken = st; }
    return st;
}

/* The leader's side of an order. */
static csim_status ask(csim_context *ctx, csim__team *team, order *o, hands *h)
{
    csim_status st = team->broken;
    if (st == CSIM_OK) { st = pass_on(team, o); }
    if (st == CSIM_OK) { st = carry_out(team, o, h); }
    team->asked++;
    if (st == CSIM_OK) { return st; }
    csim__fail(ctx, st, "%s", csim_context_error(team->grid->ctx));
    if (team->broken == CSIM_OK) { csim__forgive(team->grid->ctx); }
    return st;
}

static bool takes(const csim__team *team, int m, int n)
{
    return team != NULL && m > 0 && n > 0 && csim__min64(m, n) >= team->least;
}

csim_status csim__team_svd(csim_context *ctx, csim__team *team, csim__want want, int m, int n,
                           double *a, double *s, double *u, double *v)
{
    order o = {SVD, want, m, n};
    hands h = {.a = a, .s = s, .u = u, .v = v};
    if (!takes(team, m, n)) { return csim__svd(ctx, want, m, n, a, s, u, v); }
    return ask(ctx, team, &o, &h);
}

csim_status csim__team_svd_by_squares(csim_context *ctx, csim__team *team, csim__want want, int m,
                                      int n, const double *a, double *s, double *u, double *v,
                                      csim__doubt *doubt)
{
    order o = {BY_SQUARES, want, m, n};
    hands h = {.a = a, .s = s, .u = u, .v = v};
    if (!takes(team, m, n)) { return csim__svd_by_squares(ctx, want, m, n, a, s, u, v, doubt); }
    csim_status st = ask(ctx, team, &o, &h);
    *doubt = h.doubt;
    return st;
}

csim_status csim__team_serve(csim__team *team)
{
    for (;;) {
        order o = {DISMISS, 0, 0, 0};
        hands h = {.a = NULL};
        csim_status st = pass_on(team, &o);
        if (st != CSIM_OK || o.kind == DISMISS) { return st; }
        (void)carry_out(team, &o, &h); /* the leader has the same status, and reports it */
        if (team->broken != CSIM_OK) { return team->broken; } /* no order can come any more */
        csim__forgive(team->grid->ctx);
    }
}

void csim__team_dismiss(csim__team *team)
{
    order o = {DISMISS, 0, 0, 0};
    if (team->broken == CSIM_OK) { (void)pass_on(team, &o); }
}
