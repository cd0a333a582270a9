#include <math.h>
#include <string.h>

#include "ingredients/pair.h"
#include "linalg/dense.h"

/* Decompositions by squares are kept where their estimated error is below these; the contract is
 * 1e-8 of a measure's scale. */
#define SUM_ERROR 1e-10   /* of ‖A‖_*, relative to it and to the Procrustes radicand */
#define MEAN_ERROR 1e-11  /* mean over the canonical correlations */
#define ANGLE_ERROR 1e-10 /* mean over the angles of their vectors */

const char *csim__route_name(csim__route route)
{
    static const char *const names[] = {"none", "gram", "cross", "basis"};
    return names[route];
}

void csim__pair_clear(csim_pair *pair)
{
    csim__free(pair->ctx, &pair->rho);
    csim__free(pair->ctx, &pair->canonical[0]);
    csim__free(pair->ctx, &pair->canonical[1]);
    csim__free(pair->ctx, &pair->rebuilt);
}

const csim__site *csim__pair_site(const csim_pair *pair, int side)
{
    return pair->site[pair->flipped ? 1 - side : side];
}

/* Σσ² where the cross terms are made of σ too, so that their errors cancel for X = Y. */
double csim__pair_variance(const csim_pair *pair, int side)
{
    const csim__site *s = csim__pair_site(pair, side);
    if (pair->route != CSIM__ROUTE_BASIS) { return s->variance; }
    return csim__dot(s->basis.q, s->basis.sigma, s->basis.sigma);
}

/* Σ p_i A_ij² q_j of the leading m×n of a dealt block. */
static csim_status dealt_square(csim_pair *pair, int which, int m, int n, const double *p,
                                const double *q, double *out)
{
    csim__matter x = {.m = m, .n = n, .dealt = which, .p = p, .q = q};
    return csim__team_square(pair->ctx, pair->team, &x, out);
}

static bool is_dealt(const csim_pair *pair, int which)
{
    return pair->share[which].grid != NULL;
}

/* Σ_ij σ_i² M_ij² τ_j² */
static csim_status gram_of_bases(csim_pair *pair, double *out)
{
    const csim__basis *a = &pair->site[0]->basis, *b = &pair->site[1]->basis;
    double sum = 0, *square = NULL;
    csim_status st = CSIM_OK;
    if (is_dealt(pair, CSIM__SHARE_CROSS)) {
        CSIM_TRY(
            csim__alloc(pair->ctx, (int64_t)a->q + b->q, sizeof *square, "variances", &square));
        for (int i = 0; i < a->q; i++) { square[i] = a->sigma[i] * a->sigma[i]; }
        for (int j = 0; j < b->q; j++) { square[a->q + j] = b->sigma[j] * b->sigma[j]; }
        CSIM_TRY(dealt_square(pair, CSIM__SHARE_CROSS, a->q, b->q, square, square + a->q, &sum));
    } else {
        for (int i = 0; i < a->q; i++) {
            const double *m = pair->m + (int64_t)i * b->q;
            double row = 0;
            for (int j = 0; j < b->q; j++) {
                double v = m[j] * b->sigma[j];
                row += v * v;
            }
            sum += a->sigma[i] * a->sigma[i] * row;
        }
    }
    *out = sum;
done:
    csim__free(pair->ctx, &square);
    return st;
}

static csim_status gram_of_block(csim_pair *pair, double *out)
{
    int64_t d = pair->site[0]->d, e = pair->site[1]->d;
    if (is_dealt(pair, CSIM__SHARE_CROSS)) {
        return dealt_square(pair, CSIM__SHARE_CROSS, (int)d, (int)e, NULL, NULL, out);
    }
    *out = 0;
    for (int64_t i = 0; i < d; i++) {
        const double *row = pair->block + i * e;
        *out += csim__dot(e, row, row);
    }
    return CSIM_OK;
}

/* ⟨K,L⟩ without diagonals less ⟨K̂,L̂⟩: the part that the projection takes off, with @p diagonal
 * Σa_i·b_i; of a site with itself it is not negative. */
static double taken_off(double n, double diagonal, double trace_k, double trace_l)
{
    return 2 * diagonal / (n - 2) - trace_k * trace_l / ((n - 1) * (n - 2));
}

static double pair_taken_off(const csim_pair *pair)
{
    const csim__site *a = pair->site[0], *b = pair->site[1];
    return taken_off((double)a->n, pair->rows.diagonal, a->variance, b->variance);
}

static double site_taken_off(const csim__site *s)
{
    return taken_off((double)s->n, s->square_of_norms, s->variance, s->variance);
}

csim_status csim__pair_gram(csim_pair *pair, double *out)
{
    csim_status st = CSIM_OK;
    if (!pair->has_gram) {
        if (pair->route == CSIM__ROUTE_GRAM) {
            pair->gram = pair->hollow + pair_taken_off(pair) + pair->rows.diagonal;
        } else {
            st = pair->route == CSIM__ROUTE_BASIS ? gram_of_bases(pair, &pair->gram)
                                                  : gram_of_block(pair, &pair->gram);
        }
        pair->has_gram = st == CSIM_OK;
    }
    *out = pair->gram;
    return st;
}

csim_status csim__pair_off_diagonal(csim_pair *pair, double *out)
{
    *out = pair->hollow + pair_taken_off(pair);
    if (pair->tiled) { return CSIM_OK; }
    csim_status st = csim__pair_gram(pair, out);
    *out -= pair->rows.diagonal;
    return st;
}

csim_status csim__pair_hollow(csim_pair *pair, double *out)
{
    *out = pair->hollow;
    if (pair->tiled) { return CSIM_OK; }
    csim_status st = csim__pair_off_diagonal(pair, out);
    *out -= pair_taken_off(pair);
    return st;
}

csim_status csim__pair_weighted_square(csim_pair *pair, const double *p, int rows, const double *q,
                                       int cols, double *out)
{
    int stride = pair->site[1]->basis.q;
    bool flipped = pair->flipped;
    double sum = 0;
    if (is_dealt(pair, CSIM__SHARE_CROSS)) {
        return dealt_square(pair, CSIM__SHARE_CROSS, flipped ? cols : rows, flipped ? rows : cols,
                            flipped ? q : p, flipped ? p : q, out);
    }
    for (int i = 0; i < rows; i++) {
        double row = 0;
        for (int j = 0; j < cols; j++) {
            double m =
                flipped ? pair->m[(int64_t)j * stride + i] : pair->m[(int64_t)i * stride + j];
            row += m * m * (q != NULL ? q[j] : 1);
        }
        sum += p[i] * row;
    }
    *out = sum;
    return CSIM_OK;
}

csim_status csim__pair_raw_square(csim_pair *pair, double *out)
{
    const csim__basis *a = &pair->site[0]->raw_basis, *b = &pair->site[1]->raw_basis;
    if (is_dealt(pair, CSIM__SHARE_RAW)) {
        return dealt_square(pair, CSIM__SHARE_RAW, a->r, b->r, NULL, NULL, out);
    }
    *out = 0;
    for (int i = 0; i < a->r; i++) {
        const double *row = pair->raw_m + (int64_t)i * b->q;
        *out += csim__dot(b->r, row, row);
    }
    return CSIM_OK;
}

double csim__site_off_diagonal(const csim__site *site)
{
    return site->tiled ? site->self_hollow + site_taken_off(site)
                       : site->self_gram - site->square_of_norms;
}

void csim__site_take_hollow(csim__site *site, double hollow)
{
    site->tiled = true;
    site->self_hollow = hollow;
    site->self_gram = csim__site_off_diagonal(site) + site->square_of_norms;
}

void csim__site_take_gram(csim__site *site, double gram)
{
    site->self_gram = gram;
    if (!site->tiled) { site->self_hollow = csim__site_off_diagonal(site) - site_taken_off(site); }
}

/* A site with itself, or with the same values in another set: UᵀU is the identity and X̃ᵀX̃ has a
 * trace, so nothing is decomposed, and no rounding of a product stands between the two. */
bool csim__pair_is_self(const csim_pair *pair)
{
    const csim__site *a = pair->site[0], *b = pair->site[1];
    return a == b || (a->d == b->d && a->checksum == b->checksum);
}

/* Would squares fail for Σ₀MΣ₁ anyway? Its i-th singular value is at most σ₀ᵢσ₁₁ and σ₀₁σ₁ᵢ. */
static bool hopeless(const csim_pair *pair)
{
    const csim__basis *a = &pair->site[0]->basis, *b = &pair->site[1]->basis;
    int k = a->q < b->q ? a->q : b->q;
    double doubt = 0;
    for (int i = 0; i < k; i++) {
        double s = fmin(a->sigma[i] / a->sigma[0], b->sigma[i] / b->sigma[0]);
        doubt += csim__doubt_of(s);
    }
    return doubt > SUM_ERROR * k;
}

/* Sum of the singular values of A, destroyed. What is made of it is often ‖X‖²+‖Y‖²−2‖A‖_*, or that
 * of layers scaled to one norm, which is smaller; so the sum is taken by squares only where its
 * error is far below 2(‖X‖‖Y‖−‖A‖_*), too. */
static csim_status nuclear_norm(csim_pair *pair, const csim__matter *x, double *out)
{
    double *s = NULL;
    double most = sqrt(csim__pair_variance(pair, 0)) * sqrt(csim__pair_variance(pair, 1));
    int k = x->m < x->n ? x->m : x->n;
    csim__doubt doubt;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(pair->ctx, k, sizeof *s, "singular values", &s));
    int attempt = pair->route == CSIM__ROUTE_BASIS && hopeless(pair);
    st = attempt ? csim__team_svd(pair->ctx, pair->team, CSIM__VALUES, x, s, NULL, NULL)
                 : csim__team_svd_by_squares(pair->ctx, pair->team, CSIM__VALUES, x, s, NULL, NULL,
                                             &doubt);
    CSIM_TRY(st);
    for (;; attempt++) {
        *out = 0;
        for (int i = 0; i < k; i++) { *out += s[i]; }
        if (attempt == 1) { break; }
        double error = doubt.values * s[0], room = fmin(*out, 2 * (most - *out));
        if (error <= SUM_ERROR * room) { break; }
        CSIM_TRY(csim__team_svd(pair->ctx, pair->team, CSIM__VALUES, x, s, NULL, NULL));
    }
done:
    csim__free(pair->ctx, &s);
    return st;
}

/* What has the singular values of X̃ᵀỸ: the block, or Σ₀MΣ₁, as the orthogonal factors of both sides
 * leave the values alone; a copy unless it is dealt. */
static csim_status nuclear_matter(csim_pair *pair, double **copy, csim__matter *x)
{
    const csim__site *a = pair->site[0], *b = pair->site[1];
    bool bases = pair->route == CSIM__ROUTE_BASIS;
    int m = bases ? a->basis.q : (int)a->d, n = bases ? b->basis.q : (int)b->d;
    *x = (csim__matter){.m = m, .n = n, .dealt = CSIM__SHARE_CROSS};
    if (bases) {
        x->p = a->basis.sigma;
        x->q = b->basis.sigma;
    }
    if (is_dealt(pair, CSIM__SHARE_CROSS)) { return CSIM_OK; }
    csim_status st = csim__alloc(pair->ctx, (int64_t)m * n, sizeof **copy, "a block", copy);
    if (st != CSIM_OK) { return st; }
    x->a = *copy;
    if (!bases) {
        memcpy(x->a, pair->block, (size_t)m * (size_t)n * sizeof *x->a);
        return CSIM_OK;
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            x->a[i * n + j] = a->basis.sigma[i] * pair->m[i * n + j] * b->basis.sigma[j];
        }
    }
    return CSIM_OK;
}

csim_status csim__pair_nuclear(csim_pair *pair, double *out)
{
    const csim__site *a = pair->site[0], *b = pair->site[1];
    double *work = NULL;
    csim__matter x;
    csim_status st = CSIM_OK;
    if (pair->has_nuclear) { goto done; }
    pair->nuclear = csim__pair_is_self(pair) ? csim__pair_variance(pair, 0) : 0;
    if (csim__pair_is_self(pair) || a->variance == 0 || b->variance == 0) {
        pair->has_nuclear = true;
        goto done;
    }
    CSIM_TRY(nuclear_matter(pair, &work, &x));
    csim__phase_begin(pair->ctx, "svd");
    st = nuclear_norm(pair, &x, &pair->nuclear);
    csim__phase_end(pair->ctx, 0, 0);
    CSIM_TRY(st);
    pair->has_nuclear = true;
done:
    csim__free(pair->ctx, &work);
    *out = pair->nuclear;
    return st;
}

/* Left vectors [k0, k] of DGESDD's layout as rows [k, k0]. */
static csim_status to_rows(csim_context *ctx, int64_t rows, int64_t k, double *u)
{
    double *turned = NULL;
    csim_status st = csim__alloc(ctx, rows * k, sizeof *turned, "left vectors", &turned);
    if (st != CSIM_OK) { return st; }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < k; c++) { turned[c * rows + i] = u[i * k + c]; }
    }
    memcpy(u, turned, (size_t)(rows * k) * sizeof *u);
    csim__free(ctx, &turned);
    return CSIM_OK;
}

/* Singular values, and vectors as rows u[k, k0] and v[k, k1] if wanted, of the leading k₀×k₁ block
 * of M; by squares where the means of values and vectors are good to MEAN_ERROR. */
static csim_status decompose(csim_pair *pair, int k0, int k1, csim__want want, double *s, double *u,
                             double *v)
{
    int stride = pair->site[1]->basis.q, k = k0 < k1 ? k0 : k1;
    double *work = NULL;
    csim__matter x = {.m = k0, .n = k1, .dealt = CSIM__SHARE_CROSS};
    csim__doubt doubt;
    csim_status st = CSIM_OK;
    csim__phase_begin(pair->ctx, "svd");
    if (!is_dealt(pair, CSIM__SHARE_CROSS)) {
        CSIM_TRY(csim__alloc(pair->ctx, (int64_t)k0 * k1, sizeof *work, "a block", &work));
        for (int64_t i = 0; i < k0; i++) {
            memcpy(work + i * k1, pair->m + i * stride, (size_t)k1 * sizeof *work);
        }
        x.a = work;
    }
    CSIM_TRY(csim__team_svd_by_squares(pair->ctx, pair->team, want, &x, s, u, v, &doubt));
    bool good = doubt.values <= MEAN_ERROR * k &&
                (want == CSIM__VALUES || doubt.vectors <= ANGLE_ERROR * k);
    if (!good) {
        CSIM_TRY(csim__team_svd(pair->ctx, pair->team, want, &x, s, u, v));
        if (want == CSIM__VECTORS) { st = to_rows(pair->ctx, k0, k, u); }
    }
done:
    csim__phase_end(pair->ctx, 0, 0);
    csim__free(pair->ctx, &work);
    return st;
}

/* The correlations of all kept directions, with vectors when they will be asked for. */
static csim_status make_canonical(csim_pair *pair)
{
    int r0 = pair->site[0]->basis.r, r1 = pair->site[1]->basis.r, k = r0 < r1 ? r0 : r1;
    csim_status st = CSIM_OK;
    if (pair->has_rho) { return CSIM_OK; }
    CSIM_TRY(csim__alloc(pair->ctx, k, sizeof *pair->rho, "correlations", &pair->rho));
    if (pair->vectors) {
        CSIM_TRY(csim__alloc(pair->ctx, (int64_t)k * r0, sizeof(double), "canonical vectors",
                             &pair->canonical[0]));
        CSIM_TRY(csim__alloc(pair->ctx, (int64_t)k * r1, sizeof(double), "canonical vectors",
                             &pair->canonical[1]));
    }
    for (int i = 0; csim__pair_is_self(pair) && i < k; i++) {
        pair->rho[i] = 1;
        for (int c = 0; pair->vectors && c < k; c++) {
            pair->canonical[0][(int64_t)i * k + c] = pair->canonical[1][(int64_t)i * k + c] =
                i == c;
        }
    }
    if (!csim__pair_is_self(pair)) {
        CSIM_TRY(decompose(pair, r0, r1, pair->vectors ? CSIM__VECTORS : CSIM__VALUES, pair->rho,
                           pair->canonical[0], pair->canonical[1]));
    }
    pair->rho_count = k;
    pair->has_rho = true;
done:
    if (!pair->has_rho) { csim__pair_clear(pair); } /* the next measure tries again */
    return st;
}

csim_status csim__pair_correlations(csim_pair *pair, int k_x, int k_y, double *out, int *count)
{
    int k0 = pair->flipped ? k_y : k_x, k1 = pair->flipped ? k_x : k_y;
    int r0 = pair->site[0]->basis.r, r1 = pair->site[1]->basis.r;
    csim_status st = CSIM_OK;
    if (k0 < 0 || k0 > r0) { k0 = r0; }
    if (k1 < 0 || k1 > r1) { k1 = r1; }
    *count = k0 < k1 ? k0 : k1;
    if (k0 == r0 && k1 == r1) {
        st = make_canonical(pair);
        if (st == CSIM_OK) { memcpy(out, pair->rho, (size_t)*count * sizeof *out); }
        return st;
    }
    for (int i = 0; csim__pair_is_self(pair) && i < *count; i++) { out[i] = 1; }
    return csim__pair_is_self(pair) ? CSIM_OK
                                    : decompose(pair, k0, k1, CSIM__VALUES, out, NULL, NULL);
}

csim_status csim__pair_canonical(csim_pair *pair, int side, const double **out, int *count)
{
    csim_status st = make_canonical(pair);
    *out = st == CSIM_OK ? pair->canonical[pair->flipped ? 1 - side : side] : NULL;
    *count = pair->rho_count;
    return st;
}

csim_status csim__pair_block(csim_pair *pair, const double **out)
{
    const csim__site *a = pair->site[0], *b = pair->site[1];
    int64_t d0 = a->d, d1 = b->d, q0 = a->basis.q, q1 = b->basis.q;
    double *turn = NULL, *half = NULL;
    csim_status st = CSIM_OK;
    *out = pair->block;
    if (pair->route != CSIM__ROUTE_BASIS) { return CSIM_OK; }
    if (pair->rebuilt == NULL && (q0 == 0 || q1 == 0)) {
        /* a constant site; BLAS wants leading dimensions of 1 or more */
        st = csim__calloc(pair->ctx, d0 * d1, sizeof *turn, "a block", &pair->rebuilt);
    } else if (pair->rebuilt == NULL) { /* L₀ᵀ M L₁ */
        CSIM_TRY(csim__alloc(pair->ctx, d0 * q1, sizeof *half, "half a product", &half));
        CSIM_TRY(csim__alloc(pair->ctx, d0 * d1, sizeof *turn, "a block", &turn));
        csim__gemm_tn((int)d0, (int)q1, (int)q0, a->basis.loading, (int)d0, pair->m, (int)q1, half,
                      (int)q1);
        csim__gemm_nn((int)d0, (int)d1, (int)q1, half, (int)q1, b->basis.loading, (int)d1, turn,
                      (int)d1);
        pair->rebuilt = turn;
        turn = NULL;
    }
    *out = pair->rebuilt;
done:
    csim__free(pair->ctx, &half);
    csim__free(pair->ctx, &turn);
    return st;
}
