/* BLACS through its C interface. A system handle of BLACS is renumbered when others are freed, so
 * each is freed as soon as its grid is made. Cblacs_exit() is never called: it can be called once in
 * a process, and a library does not know when that is. */
#include "linalg/grid.h"

extern int Csys2blacs_handle(MPI_Comm comm);
extern void Cfree_blacs_system_handle(int handle);
extern void Cblacs_gridinit(int *context, const char *order, int rows, int cols);
extern void Cblacs_gridinfo(int context, int *rows, int *cols, int *row, int *col);
extern void Cblacs_gridexit(int context);
extern void Cblacs_set(int context, int what, const int *value);

enum { REPEATABLE = 15 }; /* what: sums of ranks in one order, not in that of their arrival */

/* BLACS ends the job when a grid is larger than its communicator: this is checked before. */
static csim_status check(csim_context *ctx, int p, int q)
{
    int size = csim_context_size(ctx);
    if (p < 1 || q < 1 || (int64_t)p * q > size) {
        return csim__fail(ctx, CSIM_E_ARG, "a grid of %d x %d ranks: found %d rank%s", p, q, size,
                          size == 1 ? "" : "s");
    }
    return CSIM_OK;
}

/* The grid of BLACS, and whether it is what was asked for. Collective on the grid. */
static csim_status lay_out(csim__grid *g)
{
    int rows, cols, handle = Csys2blacs_handle(csim_context_comm(g->ctx));
    g->blacs = handle;
    Cblacs_gridinit(&g->blacs, "Row-major", g->p, g->q);
    Cblacs_set(g->blacs, REPEATABLE, &(int){1});
    Cfree_blacs_system_handle(handle);
    Cblacs_gridinfo(g->blacs, &rows, &cols, &g->row, &g->col);
    int rank = csim_context_rank(g->ctx);
    if (rows != g->p || cols != g->q || g->row != rank / g->q || g->col != rank % g->q) {
        return csim__fail(g->whole, CSIM_E_INTERNAL,
                          "BLACS: found place %d, %d of %d x %d, expected %d, %d of %d x %d",
                          g->row, g->col, rows, cols, rank / g->q, rank % g->q, g->p, g->q);
    }
    return CSIM_OK;
}

static csim__grid unmade(csim_context *ctx, int p, int q)
{
    int groups = csim_context_size(ctx) / (p * q), group = csim_context_rank(ctx) / (p * q);
    return (csim__grid){.whole = ctx,
                        .group = group < groups ? group : -1,
                        .groups = groups,
                        .p = p,
                        .q = q,
                        .row = -1,
                        .col = -1,
                        .block = CSIM__GRID_BLOCK,
                        .blacs = -1};
}

csim_status csim__grid_create(csim_context *ctx, int p, int q, csim__grid **out)
{
    csim__grid *g = NULL;
    csim_status st = CSIM_OK;
    *out = NULL;
    CSIM_TRY(csim__vote(ctx, check(ctx, p, q)));
    st = csim__alloc(ctx, 1, sizeof *g, "a grid", &g);
    if (st == CSIM_OK) { *g = unmade(ctx, p, q); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__context_split(ctx, g->group, &g->ctx));
    st = csim__vote(ctx, g->ctx != NULL ? lay_out(g) : CSIM_OK);
done:
    if (st == CSIM_OK) {
        *out = g;
    } else {
        csim__grid_free(&g);
    }
    return st;
}

void csim__grid_free(csim__grid **inout)
{
    csim__grid *g = *inout;
    if (g == NULL) { return; }
    if (g->blacs >= 0) { Cblacs_gridexit(g->blacs); }
    csim_context_free(&g->ctx);
    csim__free(g->whole, inout);
}

int64_t csim__grid_share(int64_t n, int64_t block, int place, int places)
{
    int64_t blocks = n / block, rest = n % block;
    int64_t mine = blocks / places * block;
    if (place < blocks % places) { return mine + block; }
    return place == blocks % places ? mine + rest : mine;
}

int64_t csim__grid_index(int64_t at, int64_t block, int place, int places)
{
    return (at / block * places + place) * block + at % block;
}
