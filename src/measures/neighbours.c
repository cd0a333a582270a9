/* Measures that compare, example by example, who the nearest others are. The sums over the examples
 * are made where the lists are; here is what one example adds, and what becomes of the sums. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingredients/neighbours.h"
#include "measures/measures.h"

#define K_OPTION                                                                                   \
    {                                                                                              \
        .name = "k", .kind = CSIM_OPTION_TEXT, .offset = offsetof(csim_neighbour_options, k),      \
        .fallback = "10", .metavar = "COUNT[,COUNT]",                                              \
        .help = "neighbours of each example: a whole number, or below 1 a share of the examples; " \
                "several, ascending, give a curve"                                                 \
    }
#define METRIC_OPTION(word)                                                                        \
    {                                                                                              \
        .name = "metric", .kind = CSIM_OPTION_CHOICE,                                              \
        .offset = offsetof(csim_neighbour_options, metric), .fallback = word,                      \
        .choices = "cosine|euclidean|inner",                                                       \
        .help = "what neighbours are near by: the cosine, the distance or the inner product"       \
    }
#define NORMALISE_OPTION                                                                           \
    {                                                                                              \
        .name = "normalise", .kind = CSIM_OPTION_FLAG,                                             \
        .offset = offsetof(csim_neighbour_options, normalise),                                     \
        .help = "0 stands for chance: (v - H)/(1 - H) with H = k/(2(n - 1) - k)"                   \
    }

#define CLAMP_OPTION                                                                               \
    {                                                                                              \
        .name = "clamp", .kind = CSIM_OPTION_REAL,                                                 \
        .offset = offsetof(csim_neighbour_options, clamp), .fallback = "1", .min = 1e-9, .max = 1, \
        .metavar = "SHARE",                                                                        \
        .help = "values beyond this quantile of the sizes of a layer's values are clipped to it "  \
                "first; 1 = none"                                                                  \
    }

static const csim_option nngs_table[] = {
    K_OPTION, METRIC_OPTION("euclidean"), NORMALISE_OPTION, {.name = NULL}};
static const csim_option jaccard_table[] = {
    K_OPTION, METRIC_OPTION("cosine"), NORMALISE_OPTION, {.name = NULL}};
static const csim_option platonic_table[] = {
    K_OPTION, METRIC_OPTION("cosine"), CLAMP_OPTION, {.name = NULL}};
static const csim_option cknna_table[] = {K_OPTION, CLAMP_OPTION, {.name = NULL}};
static const csim_option rank_table[] = {K_OPTION, METRIC_OPTION("cosine"), {.name = NULL}};
static const csim_option k_table[] = {K_OPTION, {.name = NULL}};

int64_t csim_neighbours(double k, int64_t n)
{
    /* a share such as 0.29 of 100 is 29, whatever rounding makes of it */
    double count = k < 1 ? floor(k * (double)n + 1e-9) : k;
    return count >= 1 && count <= (double)(n - 1) && count == floor(count) ? (int64_t)count : 0;
}

int csim_neighbour_list(const char *text, int64_t n, int64_t list[CSIM_NEIGHBOURS_MOST])
{
    int count = 0;
    for (const char *at = text != NULL ? text : "";; at++) {
        char *end;
        if (count == CSIM_NEIGHBOURS_MOST || strchr("0123456789.", *at) == NULL) { return 0; }
        list[count] = csim_neighbours(strtod(at, &end), n);
        if (end == at || list[count] == 0) { return 0; }
        if (count > 0 && list[count] <= list[count - 1]) { return 0; }
        count++;
        at = end;
        if (*at == '\0') { return count; }
        if (*at != ',') { return 0; }
    }
}

/* ---- one example ---- */

/* Its place in a list, 0 if it is not there. */
static int64_t place_of(const csim_near *near, int side, int32_t j)
{
    int32_t place = near->place[side][j];
    return place <= near->k ? place : 0;
}

static int64_t shared(const csim_near *near)
{
    int64_t count = 0;
    for (int64_t m = 0; m < near->k; m++) { count += place_of(near, 0, near->index[1][m]) > 0; }
    return count;
}

static void jaccard_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    double both = (double)shared(near);
    sums[0] += both / (2 * (double)near->k - both);
}

static void mutual_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    sums[0] += (double)shared(near) / (double)near->k;
}

/* Is i in the list by X of one of its neighbours by Y? */
static void cycle_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    for (int64_t l = 0; l < near->links[0]; l++) {
        const csim__link *link = &near->link[0][l];
        if (link->place < near->k && place_of(near, 1, link->from) > 0) {
            sums[0] += 1;
            return;
        }
    }
}

/* In lists without repeats the longest common subsequence is the longest rise of the places in X along
 * Y's list; last[l] is the least place that ends a rise of l + 1. */
static void lcs_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    int32_t *last = near->scratch;
    int64_t length = 0;
    for (int64_t m = 0; m < near->k; m++) {
        int32_t place = (int32_t)place_of(near, 0, near->index[1][m]);
        if (place == 0) { continue; }
        int64_t low = 0, high = length;
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (last[middle] < place) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        last[low] = place;
        length += low == length;
    }
    sums[0] += (double)length;
}

/* Levenshtein distance of the lists, row by row. */
static void edit_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    int64_t k = near->k;
    int32_t *above = near->scratch, *row = above + k + 1;
    for (int64_t m = 0; m <= k; m++) { above[m] = (int32_t)m; }
    for (int64_t l = 1; l <= k; l++) {
        int64_t place = place_of(near, 0, near->index[1][l - 1]);
        row[0] = (int32_t)l;
        for (int64_t m = 1; m <= k; m++) {
            int32_t change = above[m - 1] + (place != m);
            int32_t step = (above[m] < row[m - 1] ? above[m] : row[m - 1]) + 1;
            row[m] = change < step ? change : step;
        }
        int32_t *other = above;
        above = row;
        row = other;
    }
    sums[0] += (double)above[k] / (double)k;
}

static void rank_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    double sum = 0, most = 0;
    int64_t count = 0;
    for (int64_t m = 0; m < near->k; m++) {
        double s = (double)(m + 1), r = (double)place_of(near, 0, near->index[1][m]);
        if (r == 0) { continue; }
        sum += 2 / ((1 + fabs(r - s)) * (r + s));
        most += 1 / (double)++count;
    }
    if (count > 0) { sums[0] += sum / most; }
}

/* The cosine over N_X ∪ N_Y, from sums over either and what both have. All are sums of numbers that
 * are not negative, so nothing is lost when the common part is taken off. */
static void second_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    double dot = near->across[0][0] + near->across[1][0];
    double square[2] = {near->across[0][1], near->across[1][1]};
    for (int64_t m = 0; m < near->k; m++) {
        for (int side = 0; side < 2; side++) {
            square[side] += near->distance[side][m] * near->distance[side][m];
        }
        int64_t place = place_of(near, 0, near->index[1][m]);
        if (place == 0) { continue; }
        double x = near->distance[0][place - 1], y = near->distance[1][m];
        dot -= x * y;
        square[0] -= x * x;
        square[1] -= y * y;
    }
    if (square[0] > 0 && square[1] > 0) { sums[0] += dot / sqrt(square[0] * square[1]); }
}

/* Sums that make an unbiased HSIC of matrices A and B: tr(AB), ΣA, ΣB, 1ᵀAB1. */
enum { TRACE, SUM_A, SUM_B, CHAIN, SELF_X, SELF_Y = SELF_X + 3 };

/* Cosines of row i in its own mask: their sum, that of the column, and of squares both ways. */
static void self_terms(const csim_near *near, int side, double *sums)
{
    double row = 0, column = 0;
    for (int64_t m = 0; m < near->k; m++) { row += 1 - near->distance[side][m]; }
    for (int64_t l = 0; l < near->links[side]; l++) {
        const csim__link *link = &near->link[side][l];
        double cosine = 1 - link->distance;
        if (link->place >= near->k) { continue; }
        column += cosine;
        if (place_of(near, side, link->from) > 0) { sums[0] += cosine * cosine; }
    }
    sums[1] += row;
    sums[2] += column * row;
}

static void cknna_example(const csim_near *near, const void *options, double *sums)
{
    (void)options;
    double row_a = 0, row_b = 0, column_a = 0;
    for (int64_t m = 0; m < near->k; m++) {
        int64_t place = place_of(near, 0, near->index[1][m]);
        if (place == 0) { continue; }
        row_a += 1 - near->distance[0][place - 1];
        row_b += 1 - near->distance[1][m];
    }
    const csim__link *x = near->link[0], *y = near->link[1];
    const csim__link *x_end = x + near->links[0], *y_end = y + near->links[1];
    while (x < x_end && y < y_end) { /* both ascend by from */
        if (x->from != y->from) {
            x->from < y->from ? x++ : y++;
            continue;
        }
        if (x->place < near->k && y->place < near->k) {
            column_a += 1 - x->distance;
            if (place_of(near, 0, x->from) > 0 && place_of(near, 1, x->from) > 0) {
                sums[TRACE] += (1 - x->distance) * (1 - y->distance);
            }
        }
        x++;
        y++;
    }
    sums[SUM_A] += row_a;
    sums[SUM_B] += row_b;
    sums[CHAIN] += column_a * row_b;
    self_terms(near, 0, sums + SELF_X);
    self_terms(near, 1, sums + SELF_Y);
}

/* ---- values ---- */

/* Neighbours of a constant layer are those with the least index: they tell nothing. */
static bool undefined(const csim_pair *pair, csim_value *out)
{
    if (!csim__any_constant(pair)) { return false; }
    csim__undefined(out, CSIM_NOTE_CONSTANT);
    return true;
}

/* Rows of zeros count as cosine 0: the value says so. */
static csim_status noted(const csim_pair *pair, const void *options, csim_value *out)
{
    const csim_neighbour_options *o = options;
    bool zero = pair->site[0]->zero_rows + pair->site[1]->zero_rows > 0;
    if (out->cell == CSIM_CELL_DONE && o->metric == CSIM_COSINE && zero) {
        out->note = CSIM_NOTE_ZERO_ROW;
    }
    return CSIM_OK;
}

static double mean(const csim_pair *pair)
{
    return pair->sums[0] / (double)pair->site[0]->n;
}

static csim_status mean_of_shares(csim_pair *pair, const void *options, csim_value *out)
{
    if (undefined(pair, out)) { return CSIM_OK; }
    csim_status st = csim__bounded(out, mean(pair), 0);
    return st == CSIM_OK ? noted(pair, options, out) : st;
}

static double jaccard_chance(int64_t k, int64_t n)
{
    return (double)k / (double)(2 * (n - 1) - k);
}

static double mutual_chance(int64_t k, int64_t n)
{
    return (double)k / (double)(n - 1);
}

static csim_status jaccard(csim_pair *pair, const void *options, csim_value *out)
{
    const csim_neighbour_options *o = options;
    csim_status st = mean_of_shares(pair, options, out);
    if (st != CSIM_OK || out->cell != CSIM_CELL_DONE || !o->normalise) { return st; }
    double chance = jaccard_chance(pair->k, pair->site[0]->n);
    /* lists of all others agree whatever they are */
    if (chance >= 1) { return csim__undefined(out, CSIM_NOTE_ALL_OTHERS); }
    out->value = (out->value - chance) / (1 - chance);
    return CSIM_OK;
}

static csim_status lcs(csim_pair *pair, const void *options, csim_value *out)
{
    if (undefined(pair, out)) { return CSIM_OK; }
    csim__done(out, mean(pair));
    return noted(pair, options, out);
}

static csim_status edit(csim_pair *pair, const void *options, csim_value *out)
{
    if (undefined(pair, out)) { return CSIM_OK; }
    csim_status st = csim__bounded(out, 1 - mean(pair), 0);
    return st == CSIM_OK ? noted(pair, options, out) : st;
}

/* n(n−3) times the unbiased HSIC; its directed masks are those of the definition. */
static double hsic(double n, double trace, double sum_a, double sum_b, double chain)
{
    return trace + sum_a * sum_b / ((n - 1) * (n - 2)) - 2 * chain / (n - 2);
}

static csim_status cknna(csim_pair *pair, const void *options, csim_value *out)
{
    const double *s = pair->sums, *x = s + SELF_X, *y = s + SELF_Y;
    double n = (double)pair->site[0]->n, scale = n * (n - 3);
    if (undefined(pair, out)) { return CSIM_OK; }
    double h = hsic(n, s[TRACE], s[SUM_A], s[SUM_B], s[CHAIN]) / scale;
    double self_x = hsic(n, x[0], x[1], x[1], x[2]) / scale;
    double self_y = hsic(n, y[0], y[1], y[1], y[2]) / scale;
    if (!(self_x * self_y >= 0)) { return csim__undefined(out, CSIM_NOTE_SELF_TERM); }
    csim__done(out, h / (sqrt(self_x * self_y) + 1e-6));
    return noted(pair, options, out);
}

#define COSINE_PROPS (CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING | CSIM_INVARIANT_PERMUTATION)
#define PLATONIC "Huh et al. 2024, The Platonic Representation Hypothesis"

const csim_measure csim__measure_nngs = {
    .name = "nngs",
    .doc = "nearest neighbour graph similarity: mean Jaccard index of the k nearest neighbours",
    .cite = "Tavares et al. 2024, Measuring Similarity between Embedding Spaces using Induced "
            "Neighborhood Graphs",
    .needs = CSIM_NEEDS_NEIGHBOURS,
    .props = COSINE_PROPS | CSIM_INVARIANT_TRANSLATION | CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .options = nngs_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = jaccard,
    .example = jaccard_example,
    .chance = jaccard_chance,
};

const csim_measure csim__measure_jaccard = {
    .name = "jaccard",
    .doc = "mean Jaccard index of the k nearest neighbours by cosine",
    .cite = "Wang et al. 2022, Towards Understanding the Instability of Network Embedding",
    .needs = CSIM_NEEDS_NEIGHBOURS,
    .props = COSINE_PROPS | CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .options = jaccard_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = jaccard,
    .example = jaccard_example,
    .chance = jaccard_chance,
};

const csim_measure csim__measure_mutual_knn = {
    .name = "mutual_knn",
    .doc = "mean share of the k nearest neighbours that both layers have in common",
    .cite = PLATONIC,
    .needs = CSIM_NEEDS_NEIGHBOURS,
    .props = COSINE_PROPS | CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .options = platonic_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = mean_of_shares,
    .example = mutual_example,
    .chance = mutual_chance,
};

const csim_measure csim__measure_cycle_knn = {
    .name = "cycle_knn",
    .doc = "share of examples that are a neighbour in X of one of their neighbours in Y",
    .cite = PLATONIC,
    .needs = CSIM_NEEDS_NEIGHBOURS | CSIM_NEEDS_LINKS,
    .props = COSINE_PROPS,
    .range = {0, 1},
    .options = platonic_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = mean_of_shares,
    .example = cycle_example,
};

const csim_measure csim__measure_lcs_knn = {
    .name = "lcs_knn",
    .doc = "mean length of the longest common subsequence of the lists of k nearest neighbours",
    .cite = PLATONIC,
    .needs = CSIM_NEEDS_NEIGHBOURS,
    .props = CSIM_PLACES | COSINE_PROPS | CSIM_SYMMETRIC,
    .range = {0, INFINITY},
    .options = platonic_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = lcs,
    .example = lcs_example,
};

const csim_measure csim__measure_edit_knn = {
    .name = "edit_knn",
    .doc = "1 - mean Levenshtein distance of the lists of k nearest neighbours, divided by k",
    .cite = PLATONIC,
    .needs = CSIM_NEEDS_NEIGHBOURS,
    .props = CSIM_PLACES | COSINE_PROPS | CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .options = platonic_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = edit,
    .example = edit_example,
};

const csim_measure csim__measure_cknna = {
    .name = "cknna",
    .doc = "CKA of unit rows from the unbiased HSIC, over common k nearest neighbours only",
    .cite = PLATONIC,
    .needs = CSIM_NEEDS_NEIGHBOURS | CSIM_NEEDS_LINKS,
    .props = COSINE_PROPS,
    .options = cknna_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = cknna,
    .example = cknna_example,
};

const csim_measure csim__measure_rank_sim = {
    .name = "rank_sim",
    .doc = "mean similarity of the ranks of common k nearest neighbours, near ones weighing more",
    .cite = "Wang et al. 2022, Towards Understanding the Instability of Network Embedding",
    .needs = CSIM_NEEDS_NEIGHBOURS,
    .props = CSIM_PLACES | COSINE_PROPS | CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .options = rank_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = mean_of_shares,
    .example = rank_example,
};

const csim_measure csim__measure_second_cos = {
    .name = "second_cos",
    .doc = "mean cosine of the distances of an example to the k nearest of both layers",
    .cite = "Hamilton et al. 2016, Cultural Shift or Linguistic Drift?",
    .needs = CSIM_NEEDS_NEIGHBOURS | CSIM_NEEDS_ACROSS,
    .props = CSIM_PLACES | COSINE_PROPS | CSIM_SYMMETRIC | CSIM_UNIT_RANGE,
    .options = k_table,
    .options_size = sizeof(csim_neighbour_options),
    .finish = mean_of_shares,
    .example = second_example,
};
