/* Neighbour family: all distances, all of them sorted, sets as rows of marks. See reference.h. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>

/* The k nearest of every row, [n, k], by an insertion sort of (distance, index) that keeps k. */
static int *nearest(const double *distance, int n, int k)
{
    int *list = ref_alloc((int64_t)n * k, sizeof *list);
    for (int i = 0; i < n; i++) {
        const double *of = distance + (int64_t)i * n;
        int *row = list + (int64_t)i * k, count = 0;
        for (int j = 0; j < n; j++) {
            int at = count;
            if (j == i) continue;
            for (; at > 0 && of[row[at - 1]] > of[j]; at--)
                if (at < k) row[at] = row[at - 1];
            if (at < k) row[at] = j;
            if (count < k) count++;
        }
    }
    return list;
}

static long double dot(const double *a, const double *b, int d)
{
    long double sum = 0.0L;
    for (int j = 0; j < d; j++) sum += (long double)a[j] * b[j];
    return sum;
}

static long double distance(const double *a, const double *b, int d, ref_metric metric)
{
    long double v = 0.0L;
    if (metric == REF_EUCLIDEAN) {
        for (int m = 0; m < d; m++) v += ((long double)a[m] - b[m]) * ((long double)a[m] - b[m]);
        return sqrtl(v);
    }
    if (metric == REF_INNER) return -dot(a, b, d);
    /* 1 − cos = ½‖u − v‖² of unit rows keeps the digits of small angles */
    long double aa = sqrtl(dot(a, a, d)), bb = sqrtl(dot(b, b, d));
    if (!(aa > 0.0L && bb > 0.0L)) return 1.0L;
    for (int m = 0; m < d; m++) {
        long double gap = a[m] / aa - b[m] / bb;
        v += gap * gap / 2.0L;
    }
    return v;
}

static double *distances(const double *x, int n, int d, ref_metric metric)
{
    double *out = ref_alloc((int64_t)n * n, sizeof *out);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            out[i * n + j] = out[j * n + i] = (double)distance(x + i * d, x + j * d, d, metric);
    return out;
}

/* Both sides of a comparison. */
typedef struct {
    int n, k;
    double *far[2]; /* [n, n] */
    int *list[2];   /* [n, k] */
} lists;

static bool constant(const double *x, int n, int d)
{
    for (int64_t i = d; i < (int64_t)n * d; i++)
        if (x[i] != x[i % d]) return false;
    return true;
}

int ref_neighbours(int n, const ref_options *o)
{
    if (o && o->neighbours > 0) return o->neighbours;
    return n > 10 ? 10 : n - 1;
}

static bool make(lists *l, const double *x, const double *y, int n, int d, int e, ref_metric metric,
                 const ref_options *o)
{
    *l = (lists){.n = n, .k = ref_neighbours(n, o)};
    if (constant(x, n, d) || constant(y, n, e)) return false;
    if (o && o->metric != REF_METRIC_DEFAULT) metric = o->metric;
    l->far[0] = distances(x, n, d, metric);
    l->far[1] = distances(y, n, e, metric);
    for (int s = 0; s < 2; s++) l->list[s] = nearest(l->far[s], n, l->k);
    return true;
}

static void release(lists *l)
{
    for (int s = 0; s < 2; s++) {
        free(l->far[s]);
        free(l->list[s]);
    }
}

/* Place of j in the list of i, from 1; 0: not there. */
static int place(const lists *l, int side, int i, int j)
{
    for (int m = 0; m < l->k; m++)
        if (l->list[side][i * l->k + m] == j) return m + 1;
    return 0;
}

static int common(const lists *l, int i)
{
    int count = 0;
    for (int m = 0; m < l->k; m++) count += place(l, 0, i, l->list[1][i * l->k + m]) > 0;
    return count;
}

static double jaccard(const double *x, const double *y, int n, int d, int e, ref_metric metric,
                      const ref_options *o)
{
    lists l;
    long double sum = 0.0L;
    if (!make(&l, x, y, n, d, e, metric, o)) return NAN;
    for (int i = 0; i < n; i++) sum += (long double)common(&l, i) / (2 * l.k - common(&l, i));
    double chance = l.k / (2.0 * (n - 1) - l.k), v = (double)(sum / n);
    release(&l);
    return o && o->normalise ? (v - chance) / (1 - chance) : v;
}

double ref_nngs(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    return jaccard(x, y, n, d, e, REF_EUCLIDEAN, o);
}

double ref_jaccard(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    return jaccard(x, y, n, d, e, REF_COSINE, o);
}

double ref_mutual_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    long double sum = 0.0L;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    for (int i = 0; i < n; i++) sum += (long double)common(&l, i) / l.k;
    release(&l);
    return (double)(sum / n);
}

double ref_cycle_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    int found = 0;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    for (int i = 0; i < n; i++) {
        bool here = false;
        for (int m = 0; m < l.k; m++) here = here || place(&l, 0, l.list[1][i * l.k + m], i) > 0;
        found += here;
    }
    release(&l);
    return (double)found / n;
}

/* Tables of the textbook: longest common subsequence, and distance of Levenshtein. */
static int table(const int *a, const int *b, int k, bool distance)
{
    int width = k + 1, *t = ref_alloc((int64_t)width * width, sizeof *t);
    for (int i = 0; i <= k && distance; i++) t[i * width] = t[i] = i;
    for (int i = 1; i <= k; i++)
        for (int j = 1; j <= k; j++) {
            int up = t[(i - 1) * width + j], left = t[i * width + j - 1];
            int corner = t[(i - 1) * width + j - 1];
            bool same = a[i - 1] == b[j - 1];
            if (distance) {
                int least = up < left ? up + 1 : left + 1;
                t[i * width + j] = corner + !same < least ? corner + !same : least;
            } else {
                t[i * width + j] = same ? corner + 1 : up > left ? up : left;
            }
        }
    int value = t[k * width + k];
    free(t);
    return value;
}

double ref_lcs_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    long double sum = 0.0L;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    for (int i = 0; i < n; i++) sum += table(l.list[0] + i * l.k, l.list[1] + i * l.k, l.k, false);
    release(&l);
    return (double)(sum / n);
}

double ref_edit_knn(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    long double sum = 0.0L;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    for (int i = 0; i < n; i++)
        sum += (long double)table(l.list[0] + i * l.k, l.list[1] + i * l.k, l.k, true) / l.k;
    release(&l);
    return (double)(1.0L - sum / n);
}

/* Cosines where the masks of all sides given are 1, no diagonal. */
static long double *masked(const lists *l, int side, bool x, bool y)
{
    int n = l->n;
    long double *a = ref_alloc((int64_t)n * n, sizeof *a);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if ((!x || place(l, 0, i, j) > 0) && (!y || place(l, 1, i, j) > 0))
                a[(int64_t)i * n + j] = 1.0L - l->far[side][(int64_t)i * n + j];
    return a;
}

/* [tr(AB) + ΣA·ΣB/((n−1)(n−2)) − 2·1ᵀAB1/(n−2)]/(n(n−3)); A and B need not be symmetric. */
static long double unbiased(const long double *a, const long double *b, int n)
{
    long double trace = 0.0L, sum_a = 0.0L, sum_b = 0.0L, chain = 0.0L;
    for (int i = 0; i < n; i++) {
        long double column = 0.0L, row = 0.0L;
        for (int j = 0; j < n; j++) {
            trace += a[(int64_t)i * n + j] * b[(int64_t)j * n + i];
            sum_a += a[(int64_t)i * n + j];
            column += a[(int64_t)j * n + i];
            row += b[(int64_t)i * n + j];
        }
        sum_b += row;
        chain += column * row;
    }
    return (trace + sum_a * sum_b / ((long double)(n - 1) * (n - 2)) - 2.0L * chain / (n - 2)) /
           ((long double)n * (n - 3));
}

double ref_cknna(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    long double *a = masked(&l, 0, true, true), *b = masked(&l, 1, true, true);
    long double *k = masked(&l, 0, true, false), *m = masked(&l, 1, false, true);
    long double own = unbiased(k, k, n) * unbiased(m, m, n), both = unbiased(a, b, n);
    free(a);
    free(b);
    free(k);
    free(m);
    release(&l);
    return own >= 0.0L ? (double)(both / (sqrtl(own) + 1e-6L)) : NAN;
}

double ref_rank_sim(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    long double all = 0.0L;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    for (int i = 0; i < n; i++) {
        long double sum = 0.0L, most = 0.0L;
        int count = 0;
        for (int j = 0; j < n; j++) {
            int r = place(&l, 0, i, j), s = place(&l, 1, i, j);
            if (r == 0 || s == 0) continue;
            sum += 2.0L / ((1.0L + abs(r - s)) * (r + s));
            most += 1.0L / ++count;
        }
        if (count > 0) all += sum / most;
    }
    release(&l);
    return (double)(all / n);
}

double ref_second_cos(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    lists l;
    long double all = 0.0L;
    if (!make(&l, x, y, n, d, e, REF_COSINE, o)) return NAN;
    for (int i = 0; i < n; i++) {
        long double xy = 0.0L, xx = 0.0L, yy = 0.0L;
        for (int j = 0; j < n; j++) {
            if (place(&l, 0, i, j) == 0 && place(&l, 1, i, j) == 0) continue;
            long double u = l.far[0][(int64_t)i * n + j], v = l.far[1][(int64_t)i * n + j];
            xy += u * v;
            xx += u * u;
            yy += v * v;
        }
        if (xx > 0.0L && yy > 0.0L) all += xy / sqrtl(xx * yy);
    }
    release(&l);
    return (double)(all / n);
}
