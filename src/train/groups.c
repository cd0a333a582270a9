/* Groups of items with equal labels, and how similar items are inside and across them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/loss.h"

/* ---- groups ---- */

typedef struct labelled {
    int64_t label;
    int item;
} labelled;

static int by_label(const void *a, const void *b)
{
    const labelled *x = a, *y = b;
    if (x->label != y->label) { return x->label < y->label ? -1 : 1; }
    return (x->item > y->item) - (x->item < y->item);
}

csim_status csim__groups_make(csim_context *ctx, int items, const int64_t *label,
                              csim__groups *groups)
{
    csim__groups made = {.items = items};
    labelled *order = NULL;
    int count = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, items, sizeof *order, "labels", &order));
    CSIM_TRY(csim__alloc(ctx, items, sizeof *made.of, "groups of items", &made.of));
    CSIM_TRY(
        csim__alloc(ctx, (int64_t)items + 1, sizeof *made.start, "groups of items", &made.start));
    CSIM_TRY(csim__alloc(ctx, items, sizeof *made.member, "members of groups", &made.member));
    for (int i = 0; i < items; i++) {
        made.of[i] = -1;
        if (label[i] >= 0) { order[count++] = (labelled){label[i], i}; }
    }
    qsort(order, (size_t)count, sizeof *order, by_label);
    for (int k = 0; k < count; k++) {
        if (k == 0 || order[k].label != order[k - 1].label) { made.start[made.groups++] = k; }
        made.member[k] = order[k].item;
        made.of[order[k].item] = made.groups - 1;
    }
    made.start[made.groups] = count;
    for (int i = 0; i < items; i++) { made.anchors += csim__positives(&made, i) > 0; }
done:
    csim__free(ctx, &order);
    if (st == CSIM_OK) {
        *groups = made;
    } else {
        csim__groups_clear(ctx, &made);
    }
    return st;
}

void csim__groups_clear(csim_context *ctx, csim__groups *groups)
{
    csim__free(ctx, &groups->member);
    csim__free(ctx, &groups->start);
    csim__free(ctx, &groups->of);
    *groups = (csim__groups){0};
}

/* ---- similarities ---- */

/* Ordered pairs of different items that are no positives of each other. */
static double other_pairs(const csim__groups *groups)
{
    double pairs = (double)groups->items * (groups->items - 1);
    for (int g = 0; g < groups->groups; g++) {
        double size = groups->start[g + 1] - groups->start[g];
        pairs -= size * (size - 1);
    }
    return pairs;
}

/* Sums over rows of some of their columns, in double. */
enum { COLUMNS = 64 };

typedef struct sums {
    double z[COLUMNS], square[COLUMNS];
} sums;

static void add_row(sums *restrict s, int columns, const float *restrict z)
{
    for (int c = 0; c < columns; c++) {
        double x = (double)z[c];
        s->z[c] += x;
        s->square[c] += x * x;
    }
}

/* Σ over ordered pairs of different rows of their inner product: ‖Σz‖² − Σ‖z‖². */
static double pairs_of(const sums *s)
{
    double sum = 0;
    for (int c = 0; c < COLUMNS; c++) { sum += s->z[c] * s->z[c] - s->square[c]; }
    return sum;
}

void csim__similarities(const csim__groups *groups, int e, const float *z_all, double *positive,
                        double *negative)
{
    double inside = 0, anchored = 0, all = 0;
    for (int at = 0; at < e; at += COLUMNS) {
        int columns = e - at < COLUMNS ? e - at : COLUMNS;
        sums total = {.z = {0}};
        for (int i = 0; i < groups->items; i++) {
            add_row(&total, columns, z_all + (int64_t)i * e + at);
        }
        all += pairs_of(&total);
        for (int g = 0; g < groups->groups; g++) {
            int size = groups->start[g + 1] - groups->start[g];
            sums group = {.z = {0}};
            if (size < 2) { continue; }
            for (int k = groups->start[g]; k < groups->start[g + 1]; k++) {
                add_row(&group, columns, z_all + (int64_t)groups->member[k] * e + at);
            }
            double pairs = pairs_of(&group);
            inside += pairs;
            anchored += pairs / (size - 1);
        }
    }
    double others = other_pairs(groups);
    *positive = groups->anchors > 0 ? anchored / groups->anchors : NAN;
    *negative = others > 0 ? (all - inside) / others : NAN;
}

void csim__similarities_of_sets(const csim__groups *groups, const double *s, double *positive,
                                double *negative)
{
    int m = groups->items;
    double anchored = 0, other = 0, others = other_pairs(groups);
    for (int i = 0; i < m; i++) {
        double own = 0;
        for (int j = 0; j < m; j++) {
            if (j == i) { continue; }
            bool same = groups->of[i] >= 0 && groups->of[i] == groups->of[j];
            own += same ? s[(int64_t)i * m + j] : 0;
            other += same ? 0 : s[(int64_t)i * m + j];
        }
        if (csim__positives(groups, i) > 0) { anchored += own / csim__positives(groups, i); }
    }
    *positive = groups->anchors > 0 ? anchored / groups->anchors : NAN;
    *negative = others > 0 ? other / others : NAN;
}
