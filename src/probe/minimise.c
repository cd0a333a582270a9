#include <math.h>
#include <string.h>

#include "linalg/dense.h"
#include "probe/probe.h"

enum { PAIRS = 10, TRIES = 40 };

/* Steps s and changes y of the gradient of the last iterations, in a ring. */
typedef struct memory {
    int64_t n;
    int count, next;
    double *s, *y; /* [PAIRS, n] */
    double rho[PAIRS];
} memory;

static double largest(int64_t n, const double *v)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) { most = fmax(most, fabs(v[i])); }
    return most;
}

/* direction = −H·g by the two loops. */
static void direct(const memory *m, const double *g, double *direction)
{
    double alpha[PAIRS];
    for (int64_t i = 0; i < m->n; i++) { direction[i] = -g[i]; }
    for (int k = 0; k < m->count; k++) {
        int p = (m->next - 1 - k + PAIRS) % PAIRS;
        const double *s = m->s + p * m->n, *y = m->y + p * m->n;
        alpha[p] = m->rho[p] * csim__dot(m->n, s, direction);
        for (int64_t i = 0; i < m->n; i++) { direction[i] -= alpha[p] * y[i]; }
    }
    double scale = 1;
    if (m->count > 0) {
        int p = (m->next - 1 + PAIRS) % PAIRS;
        const double *y = m->y + p * m->n;
        scale = 1 / (m->rho[p] * csim__dot(m->n, y, y));
    }
    for (int64_t i = 0; i < m->n; i++) { direction[i] *= scale; }
    for (int k = m->count - 1; k >= 0; k--) {
        int p = (m->next - 1 - k + PAIRS) % PAIRS;
        const double *s = m->s + p * m->n, *y = m->y + p * m->n;
        double beta = m->rho[p] * csim__dot(m->n, y, direction);
        for (int64_t i = 0; i < m->n; i++) { direction[i] += (alpha[p] - beta) * s[i]; }
    }
}

/* Keep the pair from (w, g) to (w2, g2) if the function is curved along it. */
static void keep(memory *m, const double *w, const double *g, const double *w2, const double *g2)
{
    double *s = m->s + m->next * m->n, *y = m->y + m->next * m->n;
    for (int64_t i = 0; i < m->n; i++) {
        s[i] = w2[i] - w[i];
        y[i] = g2[i] - g[i];
    }
    double curved = csim__dot(m->n, s, y);
    if (curved <= 1e-12 * csim__dot(m->n, y, y)) { return; }
    m->rho[m->next] = 1 / curved;
    m->next = (m->next + 1) % PAIRS;
    m->count += m->count < PAIRS;
}

csim_status csim__minimise(csim_context *ctx, int64_t n, csim__objective_fn fn, void *user,
                           double tolerance, int steps, double *w)
{
    memory m = {.n = n};
    double *work = NULL, f = 0, f2 = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, PAIRS * n, sizeof(double), "steps", &m.s));
    CSIM_TRY(csim__alloc(ctx, PAIRS * n, sizeof(double), "gradients", &m.y));
    CSIM_TRY(csim__alloc(ctx, 4 * n, sizeof *work, "gradients", &work));
done:
    st = csim__vote(ctx, st);
    double *g = work, *w2 = work + n, *g2 = work + 2 * n, *d = work + 3 * n;
    if (st == CSIM_OK) { st = fn(user, w, &f, g); }
    for (int i = 0; st == CSIM_OK && i < steps && largest(n, g) > tolerance; i++) {
        direct(&m, g, d);
        double slope = csim__dot(n, g, d), t = m.count > 0 ? 1 : 1 / fmax(largest(n, g), 1);
        int left = TRIES;
        for (; left > 0; left--, t /= 2) {
            for (int64_t j = 0; j < n; j++) { w2[j] = w[j] + t * d[j]; }
            st = fn(user, w2, &f2, g2);
            if (st != CSIM_OK || f2 <= f + 1e-4 * t * slope) { break; }
        }
        if (st != CSIM_OK || left == 0) {
            break;
        } /* no better point: rounding is all that is left */
        keep(&m, w, g, w2, g2);
        memcpy(w, w2, (size_t)n * sizeof *w);
        memcpy(g, g2, (size_t)n * sizeof *g);
        f = f2;
    }
    csim__free(ctx, &work);
    csim__free(ctx, &m.y);
    csim__free(ctx, &m.s);
    return st;
}
