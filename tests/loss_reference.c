#include "loss_reference.h"

#include <math.h>

double ref_dot(int e, const double *x, const double *y)
{
    double sum = 0;
    for (int c = 0; c < e; c++) { sum += x[c] * y[c]; }
    return sum;
}

bool ref_positive(const ref_problem *p, int i, int j)
{
    return i != j && p->label[i] >= 0 && p->label[i] == p->label[j];
}

int ref_positives(const ref_problem *p, int i)
{
    int count = 0;
    for (int j = 0; j < p->n; j++) { count += ref_positive(p, i, j); }
    return count;
}

/* Loss of one item from its row of products. */
static double item_loss(const ref_problem *p, int i, const double *product)
{
    double top = -INFINITY, sum = 0, loss = 0;
    int count = ref_positives(p, i);
    for (int j = 0; j < p->n; j++) { top = j != i ? fmax(top, product[j]) : top; }
    for (int j = 0; j < p->n; j++) { sum += j != i ? exp((product[j] - top) / p->temperature) : 0; }
    for (int j = 0; j < p->n; j++) {
        if (!ref_positive(p, i, j)) { continue; }
        loss -= ((product[j] - top) / p->temperature - log(sum)) / count;
    }
    return loss;
}

double ref_contrast(const ref_problem *p, const double *z)
{
    double sum = 0, product[REF_ITEMS];
    int anchors = 0;
    for (int i = 0; i < p->n; i++) {
        if (ref_positives(p, i) == 0) { continue; }
        for (int j = 0; j < p->n; j++) { product[j] = ref_dot(p->e, z + i * p->e, z + j * p->e); }
        sum += item_loss(p, i, product);
        anchors++;
    }
    return sum / anchors;
}

double ref_deepdot(const ref_problem *p, const double *z)
{
    double sum = 0;
    int examples = p->n / p->views, pairs = 0;
    for (int v = 0; v < p->views; v++) {
        for (int w = v + 1; w < p->views; w++) {
            for (int b = 0; b < examples; b++) {
                sum += ref_dot(p->e, z + p->item[v * examples + b] * p->e,
                               z + p->item[w * examples + b] * p->e);
                pairs++;
            }
        }
    }
    return -sum / pairs;
}

/* HSIC of two views by centred Gram matrices of examples: not the side that the library takes. */
static double hsic(const ref_problem *p, const double *z, int v, int w)
{
    static double gram[2][REF_EXAMPLES][REF_EXAMPLES];
    int n = p->n / p->views, view[2] = {v, w};
    double sum = 0;
    for (int s = 0; s < 2; s++) {
        double mean[REF_EXAMPLES] = {0}, all = 0;
        const int *item = p->item + view[s] * n;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                gram[s][i][j] = ref_dot(p->e, z + item[i] * p->e, z + item[j] * p->e);
                mean[i] += gram[s][i][j] / n;
            }
            all += mean[i] / n;
        }
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) { gram[s][i][j] += all - mean[i] - mean[j]; }
        }
    }
    for (int i = 0; i < n; i++) { sum += ref_dot(n, gram[0][i], gram[1][i]); }
    return sum;
}

double ref_deepcka(const ref_problem *p, const double *z)
{
    double sum = 0;
    int pairs = 0;
    for (int v = 0; v < p->views; v++) {
        for (int w = v + 1; w < p->views; w++) {
            sum += hsic(p, z, v, w) / sqrt(hsic(p, z, v, v) * hsic(p, z, w, w));
            pairs++;
        }
    }
    return -sum / pairs;
}

double ref_slope(ref_loss loss, const ref_problem *p, double *z, int at, double h)
{
    double keep = z[at], value[4];
    static const int step[4] = {-2, -1, 1, 2};
    for (int k = 0; k < 4; k++) {
        z[at] = keep + step[k] * h;
        value[k] = loss(p, z);
    }
    z[at] = keep;
    return (8 * (value[2] - value[1]) - (value[3] - value[0])) / (12 * h);
}

void ref_golden_rows(double z[2][REF_GOLDEN_ITEMS * REF_GOLDEN_WIDTH])
{
    enum { ITEMS = REF_GOLDEN_ITEMS, WIDTH = REF_GOLDEN_WIDTH };
    int64_t s = 777;
    for (int k = 0; k < 2 * ITEMS; k++) {
        double *row = z[k / ITEMS] + k % ITEMS * WIDTH;
        for (int c = 0; c < WIDTH; c++) {
            s = (s * 1103515245 + 12345) % ((int64_t)1 << 31);
            row[c] = (double)s / (double)((int64_t)1 << 31) - 0.5;
        }
        double norm = sqrt(ref_dot(WIDTH, row, row));
        for (int c = 0; c < WIDTH; c++) { row[c] /= norm; }
    }
}

void ref_items(int views, int examples, int chunk, int *item)
{
    for (int v = 0; v < views; v++) {
        for (int b = 0; b < examples; b++) {
            int start = b / chunk * chunk,
                rows = examples - start < chunk ? examples - start : chunk;
            item[v * examples + b] = start * views + v * rows + (b - start);
        }
    }
}
