#include <math.h>
#include <string.h>

#include "measures/assignment.h"

typedef struct search {
    int n;
    const double *profit;
    double *row, *col;   /* potentials: cost −profit − row − col ≥ 0, 0 on assigned pairs */
    double *distance;    /* [n] of the shortest path to each column */
    int *owner, *from;   /* [n] row that has a column (−1: none); column before it on the path */
    unsigned char *seen; /* [n] column is on the tree */
} search;

/* Grow a tree of shortest paths from a free row until it meets a free column, update the
 * potentials, and return that column. */
static int grow(search *w, int start)
{
    int row = start, at = -1;
    double reach = 0;
    for (int j = 0; j < w->n; j++) {
        w->distance[j] = INFINITY;
        w->from[j] = -1;
        w->seen[j] = 0;
    }
    for (;;) {
        int best = -1;
        for (int j = 0; j < w->n; j++) {
            if (w->seen[j]) { continue; }
            double d = reach - w->profit[(int64_t)row * w->n + j] - w->row[row] - w->col[j];
            if (d < w->distance[j]) {
                w->distance[j] = d;
                w->from[j] = at;
            }
            if (best < 0 || w->distance[j] < w->distance[best]) { best = j; }
        }
        reach = w->distance[best];
        w->seen[best] = 1;
        at = best;
        if (w->owner[at] < 0) { break; }
        row = w->owner[at];
    }
    w->row[start] += reach;
    for (int j = 0; j < w->n; j++) {
        if (!w->seen[j] || w->owner[j] < 0) { continue; }
        w->row[w->owner[j]] += reach - w->distance[j];
        w->col[j] -= reach - w->distance[j];
    }
    return at;
}

csim_status csim__assign(csim_context *ctx, int m, int n, const double *profit, double *total)
{
    search w = {.n = n, .profit = profit};
    int *column = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, m, sizeof(double), "an assignment", &w.row));
    CSIM_TRY(csim__calloc(ctx, n, sizeof(double), "an assignment", &w.col));
    CSIM_TRY(csim__alloc(ctx, n, sizeof(double), "an assignment", &w.distance));
    CSIM_TRY(csim__alloc(ctx, n, sizeof(int), "an assignment", &w.owner));
    CSIM_TRY(csim__alloc(ctx, n, sizeof(int), "an assignment", &w.from));
    CSIM_TRY(csim__alloc(ctx, n, 1, "an assignment", &w.seen));
    CSIM_TRY(csim__alloc(ctx, m, sizeof(int), "an assignment", &column));
    for (int j = 0; j < n; j++) { w.owner[j] = -1; }
    for (int i = 0; i < m; i++) {
        int j = grow(&w, i);
        while (w.from[j] >= 0) { /* shift the owners along the path */
            w.owner[j] = w.owner[w.from[j]];
            j = w.from[j];
        }
        w.owner[j] = i;
    }
    for (int j = 0; j < n; j++) {
        if (w.owner[j] >= 0) { column[w.owner[j]] = j; }
    }
    *total = 0;
    for (int i = 0; i < m; i++) { *total += profit[(int64_t)i * n + column[i]]; }
done:
    csim__free(ctx, &column);
    csim__free(ctx, &w.seen);
    csim__free(ctx, &w.from);
    csim__free(ctx, &w.owner);
    csim__free(ctx, &w.distance);
    csim__free(ctx, &w.col);
    csim__free(ctx, &w.row);
    return st;
}
