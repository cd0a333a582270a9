/* Matching family: textbook formulas, see reference.h. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the assignment problem ---- */

/* State of the successive shortest paths: cost = −weight, dual variables of both sides. */
typedef struct {
    const double *w; /* [rows, cols], rows ≤ cols */
    int rows, cols;
    double *dual_row, *dual_col;
    int *owner;     /* row a column is given to, or −1 */
    int *column;    /* column a row is given, or −1 */
    double *dist;   /* length of the shortest alternating path to a column */
    int *reached;   /* the row from which that path enters the column */
    bool *finished; /* shortest path to the column is final */
} matching;

static double reduced_cost(const matching *m, int i, int j)
{
    return -m->w[(int64_t)i * m->cols + j] - m->dual_row[i] - m->dual_col[j];
}

/* Dijkstra on reduced costs from a free row to the nearest free column, which is returned. */
static int nearest_free_column(matching *m, int start)
{
    for (int j = 0; j < m->cols; j++) {
        m->dist[j] = reduced_cost(m, start, j);
        m->reached[j] = start;
        m->finished[j] = false;
    }
    for (;;) {
        int best = -1;
        for (int j = 0; j < m->cols; j++)
            if (!m->finished[j] && (best < 0 || m->dist[j] < m->dist[best])) best = j;
        m->finished[best] = true;
        int i = m->owner[best];
        if (i < 0) return best;
        for (int j = 0; j < m->cols; j++) {
            double through = m->dist[best] + reduced_cost(m, i, j);
            if (!m->finished[j] && through < m->dist[j]) {
                m->dist[j] = through;
                m->reached[j] = i;
            }
        }
    }
}

/* Gives one more row a column: shortest path, new duals, exchange along the path. */
static void assign_row(matching *m, int start)
{
    int j = nearest_free_column(m, start);
    double length = m->dist[j];
    m->dual_row[start] += length;
    for (int c = 0; c < m->cols; c++)
        if (m->finished[c] && m->owner[c] >= 0) {
            m->dual_row[m->owner[c]] += length - m->dist[c];
            m->dual_col[c] -= length - m->dist[c];
        }
    for (int i = -1; i != start;) {
        i = m->reached[j];
        int before = m->column[i];
        m->owner[j] = i;
        m->column[i] = j;
        j = before;
    }
}

void ref_assign_max(const double *w, int rows, int cols, int *col_of_row)
{
    bool flip = rows > cols;
    int few = flip ? cols : rows, many = flip ? rows : cols;
    double *table = ref_alloc((int64_t)few * many, sizeof *table);
    for (int i = 0; i < few; i++)
        for (int j = 0; j < many; j++)
            table[(int64_t)i * many + j] =
                flip ? w[(int64_t)j * cols + i] : w[(int64_t)i * cols + j];
    matching m = {
        .w = table,
        .rows = few,
        .cols = many,
        .dual_row = ref_alloc(few, sizeof(double)),
        .dual_col = ref_alloc(many, sizeof(double)),
        .owner = ref_alloc(many, sizeof(int)),
        .column = ref_alloc(few, sizeof(int)),
        .dist = ref_alloc(many, sizeof(double)),
        .reached = ref_alloc(many, sizeof(int)),
        .finished = ref_alloc(many, sizeof(bool)),
    };
    for (int j = 0; j < many; j++) m.owner[j] = -1;
    for (int i = 0; i < few; i++) m.column[i] = -1;
    for (int i = 0; i < few; i++) assign_row(&m, i);
    memcpy(col_of_row, flip ? m.owner : m.column, (size_t)rows * sizeof(int));
    free(table);
    free(m.dual_row);
    free(m.dual_col);
    free(m.owner);
    free(m.column);
    free(m.dist);
    free(m.reached);
    free(m.finished);
}

/* ---- correlations of columns ---- */

/* New Pearson correlations of the columns, with their sign, [d, e]; 0 for a constant column. */
static double *correlations(const double *x, const double *y, int n, int d, int e)
{
    double *a = ref_centre(x, n, d), *b = ref_centre(y, n, e);
    double *c = ref_alloc((int64_t)d * e, sizeof *c);
    for (int i = 0; i < d; i++)
        for (int j = 0; j < e; j++) {
            long double ab = 0.0L, aa = 0.0L, bb = 0.0L;
            for (int m = 0; m < n; m++) {
                long double p = a[(int64_t)m * d + i], q = b[(int64_t)m * e + j];
                ab += p * q;
                aa += p * p;
                bb += q * q;
            }
            if (aa > 0.0L && bb > 0.0L)
                c[(int64_t)i * e + j] = (double)(ab / (sqrtl(aa) * sqrtl(bb)));
        }
    free(a);
    free(b);
    return c;
}

/* Mean correlation of the min(d, e) pairs of the best one-to-one matching (Li 2015). */
double ref_hard_corr(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    double *c = correlations(x, y, n, d, e);
    int *match = ref_alloc(d, sizeof *match);
    ref_assign_max(c, d, e, match);
    long double sum = 0.0L;
    for (int i = 0; i < d; i++)
        if (match[i] >= 0) sum += c[(int64_t)i * e + match[i]];
    free(c);
    free(match);
    return (double)(sum / (d < e ? d : e));
}

/* Half the mean over rows of the largest correlation in the row, plus half the mean over columns
 * of the largest in the column. (One mean over all d + e maxima is not it: that gives 0.7292 on the
 * golden data, where 0.7336 is right.) */
double ref_soft_corr(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    double *c = correlations(x, y, n, d, e);
    long double of_rows = 0.0L, of_cols = 0.0L;
    for (int i = 0; i < d; i++) {
        double best = -INFINITY;
        for (int j = 0; j < e; j++) best = fmax(best, c[(int64_t)i * e + j]);
        of_rows += best;
    }
    for (int j = 0; j < e; j++) {
        double best = -INFINITY;
        for (int i = 0; i < d; i++) best = fmax(best, c[(int64_t)i * e + j]);
        of_cols += best;
    }
    free(c);
    return (double)((of_rows / d + of_cols / e) / 2.0L);
}

/* ---- maps of one matrix onto the other, uncentred, the narrower one zero-padded ---- */

/* New [n, wide] copy of a with zero columns added. */
static double *padded(const double *a, int n, int d, int wide)
{
    double *p = ref_alloc((int64_t)n * wide, sizeof *p);
    for (int i = 0; i < n; i++)
        memcpy(p + (int64_t)i * wide, a + (int64_t)i * d, (size_t)d * sizeof *p);
    return p;
}

/* ‖XP − Y‖_F for the column permutation P that makes ⟨XP, Y⟩ largest, both matrices as they are:
 * on the golden data centring gives 2.6821, where 2.7142 is right. */
double ref_perm_procrustes(const double *x, const double *y, int n, int d, int e,
                           const ref_options *o)
{
    (void)o;
    int wide = d > e ? d : e;
    double *a = padded(x, n, d, wide), *b = padded(y, n, e, wide);
    double *w = ref_cross(a, b, n, wide, wide);
    int *match = ref_alloc(wide, sizeof *match);
    ref_assign_max(w, wide, wide, match);
    long double sum = 0.0L;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < wide; j++) {
            long double diff =
                (long double)a[(int64_t)i * wide + j] - b[(int64_t)i * wide + match[j]];
            sum += diff * diff;
        }
    free(a);
    free(b);
    free(w);
    free(match);
    return (double)sqrtl(sum);
}

/* Mean over rows of cos(x_i R, y_i), R = UVᵀ of XᵀY = UΣVᵀ: the rotation with the least ‖XR − Y‖,
 * both matrices as they are (on the golden data centring gives 0.7387, where 0.7367 is right).
 * A zero row has cosine 0. R, and so the value, is not unique when XᵀY has a smaller rank than
 * both X and Y. */
double ref_align_cos(const double *x, const double *y, int n, int d, int e, const ref_options *o)
{
    (void)o;
    int wide = d > e ? d : e;
    double *a = padded(x, n, d, wide), *b = padded(y, n, e, wide);
    double *cross = ref_cross(a, b, n, wide, wide);
    ref_svd f;
    long double mean = NAN;
    if (ref_svd_make(cross, wide, wide, &f)) {
        double *rotation = ref_alloc((int64_t)wide * wide, sizeof *rotation);
        for (int i = 0; i < wide; i++)
            for (int j = 0; j < wide; j++)
                for (int m = 0; m < wide; m++)
                    rotation[(int64_t)i * wide + j] +=
                        f.u[(int64_t)i * wide + m] * f.vt[(int64_t)m * wide + j];
        mean = 0.0L;
        for (int i = 0; i < n; i++) {
            const double *p = a + (int64_t)i * wide, *q = b + (int64_t)i * wide;
            long double pq = 0.0L, pp = 0.0L, qq = 0.0L;
            for (int j = 0; j < wide; j++) {
                long double turned = 0.0L;
                for (int m = 0; m < wide; m++)
                    turned += (long double)p[m] * rotation[(int64_t)m * wide + j];
                pq += turned * q[j];
                pp += turned * turned;
                qq += (long double)q[j] * q[j];
            }
            if (pp > 0.0L && qq > 0.0L) mean += pq / (sqrtl(pp) * sqrtl(qq)) / n;
        }
        free(rotation);
        ref_svd_free(&f);
    }
    free(a);
    free(b);
    free(cross);
    return (double)mean;
}
