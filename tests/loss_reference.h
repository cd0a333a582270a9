/** The losses by their definitions, in plain double loops, for tests only. Nothing is shared with
 *  the library. All of them take z [n, e], row-major, and allow any z, not only unit rows. */
#ifndef CSIM_TESTS_LOSS_REFERENCE_H
#define CSIM_TESTS_LOSS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { REF_ITEMS = 1100, REF_EXAMPLES = 150 }; /* the most that is supported */

/** What a loss needs beside z. */
typedef struct ref_problem {
    int n, e;
    double temperature;
    const int64_t *label; /* [n] contrastive loss: below 0 = missing */
    int views;            /* DeepDot, DeepCKA */
    const int *item;      /* [views, n/views] row of (view, example) */
} ref_problem;

typedef double (*ref_loss)(const ref_problem *p, const double *z);

double ref_contrast(const ref_problem *p, const double *z);
double ref_deepdot(const ref_problem *p, const double *z);
double ref_deepcka(const ref_problem *p, const double *z);

/** ∂L/∂z[at] by central differences of fourth order with steps of h and 2h. */
double ref_slope(ref_loss loss, const ref_problem *p, double *z, int at, double h);

/** Is j a positive of i, and how many has i? */
bool ref_positive(const ref_problem *p, int i, int j);
int ref_positives(const ref_problem *p, int i);

double ref_dot(int e, const double *x, const double *y);

/** Unit rows of two heads, of which the losses are known: two views of six items each. */
enum { REF_GOLDEN_ITEMS = 12, REF_GOLDEN_WIDTH = 4 };
void ref_golden_rows(double z[2][REF_GOLDEN_ITEMS * REF_GOLDEN_WIDTH]);

/** Items of views in chunks, [chunk][view][row]: item[views, examples]. */
void ref_items(int views, int examples, int chunk, int *item);

#endif
