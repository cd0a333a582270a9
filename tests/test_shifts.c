/* Cosines of matrices at all cyclic shifts against sums over the shifted matrices themselves; the same
 * bits as on one rank alone. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingredients/shifts.h"
#include "reference.h"

enum { SITES = 3, PAIRS = 4, SEED = 7 };

static const csim__twosome pairs[PAIRS] = {{0, 1}, {0, 2}, {1, 2}, {1, 1}};

/* ---- the textbook ---- */

/* A [n, n] of rows x[n, d], examples relabelled; the constant of a kernel is 2σ² = d. */
static double *matrix_of(csim_matrix matrix, const double *x, const int64_t *order, int n, int d)
{
    double *row = ref_alloc((int64_t)n * d, sizeof *row), *a = ref_alloc((int64_t)n * n, sizeof *a);
    bool unit = matrix == CSIM_FAR_COSINE || matrix == CSIM_FAR_CENTRED;
    for (int i = 0; i < n; i++) { memcpy(row + i * d, x + order[i] * d, (size_t)d * sizeof *row); }
    for (int j = 0; matrix == CSIM_LINEAR && j < d; j++) {
        double mean = 0;
        for (int i = 0; i < n; i++) { mean += row[i * d + j] / n; }
        for (int i = 0; i < n; i++) { row[i * d + j] -= mean; }
    }
    for (int i = 0; unit && i < n; i++) {
        double mean = 0, square = 0;
        for (int j = 0; matrix == CSIM_FAR_CENTRED && j < d; j++) { mean += row[i * d + j] / d; }
        for (int j = 0; j < d; j++) {
            row[i * d + j] -= mean;
            square += row[i * d + j] * row[i * d + j];
        }
        for (int j = 0; j < d; j++) { row[i * d + j] /= sqrt(square); }
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            double inner = 0, far = 0;
            for (int k = 0; k < d; k++) {
                double u = row[i * d + k], v = row[j * d + k];
                inner += u * v;
                far += (u - v) * (u - v);
            }
            a[i * n + j] = matrix == CSIM_LINEAR ? inner
                           : matrix == CSIM_RBF  ? exp(-far / d)
                           : matrix == CSIM_FAR  ? sqrt(far)
                                                 : far / 2;
        }
    }
    free(row);
    return a;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many are less. */
static int below(const double *sorted, int count, double v)
{
    int low = 0;
    while (low < count) {
        int middle = (low + count) / 2;
        if (sorted[middle] < v) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

/* Entries above the diagonal by 2·(mean of their ranks, from 1) − (their number + 1), mirrored. */
static void rank_entries(double *a, int n)
{
    int many = 0, all = n * (n - 1) / 2;
    double *sorted = ref_alloc(all, sizeof *sorted);
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) { sorted[many++] = a[i * n + j]; }
    }
    qsort(sorted, (size_t)all, sizeof *sorted, ascending);
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            double v = a[i * n + j];
            int first = below(sorted, all, v - 1e-13 * v);
            int end = below(sorted, all, v + 1e-13 * v + 1e-300);
            a[i * n + j] = a[j * n + i] = first + end - all;
        }
    }
    free(sorted);
}

static void drop_diagonal(double *a, int n)
{
    for (int i = 0; i < n; i++) { a[i * n + i] = 0; }
}

/* Row sums and total off: of all entries, or as K̂ of those beside the diagonal. */
static void take_sums_off(double *a, int n, double by, double by_total)
{
    double *row = ref_alloc(n, sizeof *row), total = 0;
    for (int i = 0; i < n; i++) {
        row[i] = 0;
        for (int j = 0; j < n; j++) { row[i] += a[i * n + j]; }
        total += row[i];
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) { a[i * n + j] += total / by_total - (row[i] + row[j]) / by; }
    }
    free(row);
}

static void take_aspect(double *a, csim_aspect aspect, int n)
{
    double mean = 0;
    if (aspect == CSIM_ASPECT_CENTRED || aspect == CSIM_ASPECT_BESIDE) {
        take_sums_off(a, n, n, (double)n * n);
        if (aspect == CSIM_ASPECT_BESIDE) { drop_diagonal(a, n); }
        return;
    }
    drop_diagonal(a, n);
    if (aspect == CSIM_ASPECT_HOLLOW) { take_sums_off(a, n, n - 2, (n - 1.0) * (n - 2)); }
    for (int i = 0; i < n * n; i++) { mean += a[i] / n / (n - 1); }
    for (int i = 0; aspect == CSIM_ASPECT_DEVIATIONS && i < n * n; i++) { a[i] -= mean; }
    drop_diagonal(a, n);
}

/* Σ_ij A_ij·B_{i+s,j+s}, n shifts. */
static void shift_all(const double *a, const double *b, int n, double *out)
{
    for (int s = 0; s < n; s++) {
        out[s] = 0;
        for (int i = 0; i < n; i++) {
            const double *x = a + i * n, *y = b + (i + s) % n * n;
            for (int j = 0; j < n - s; j++) { out[s] += x[j] * y[j + s]; }
            for (int j = n - s; j < n; j++) { out[s] += x[j] * y[j + s - n]; }
        }
    }
}

/* ---- the library ---- */

typedef struct answer {
    int n;
    double *cosine; /* [aspects, PAIRS, n] */
    double size[CSIM_ASPECTS][PAIRS];
} answer;

static void keep(void *user, int64_t pair, csim_aspect aspect, const double *cosine, double size)
{
    answer *a = user;
    memcpy(a->cosine + ((int)aspect * PAIRS + pair) * a->n, cosine, (size_t)a->n * sizeof *cosine);
    a->size[aspect][pair] = size;
}

static answer run(csim_context *ctx, csim__shift_matrix kind, unsigned aspects, double *const *x,
                  const int *d, int n)
{
    csim__meter meter = {.size = csim_context_size(ctx)};
    csim_memory_site source[SITES];
    const char *const names[SITES] = {"0", "1", "2"};
    csim_set *set = NULL;
    csim__shifts w;
    answer out = {.n = n, .cosine = ref_alloc(CSIM_ASPECTS * PAIRS * (int64_t)n, 8)};
    for (int s = 0; s < SITES; s++) {
        source[s] = (csim_memory_site){names[s], CSIM_F64, d[s], x[s]};
    }
    assert_int_equal(csim_set_from_memory(ctx, "m", n, source, SITES, &set), CSIM_OK);
    assert_int_equal(csim__shifts_start(ctx, n, SITES, kind, SEED, &w), CSIM_OK);
    for (int s = 0; s < SITES; s++) {
        csim__site site = csim__site_of(set, s);
        double *mean = site.mean = ref_alloc(d[s], sizeof *mean);
        site.n = n;
        for (int i = 0; i < n * d[s]; i++) { mean[i % d[s]] += x[s][i] / n; }
        assert_int_equal(csim__shifts_fill(&w, s, &site, sqrt(d[s] / 2.0), &meter), CSIM_OK);
        free(mean);
    }
    assert_int_equal(csim__shifts_pairs(&w, pairs, PAIRS, aspects, keep, &out, &meter), CSIM_OK);
    csim__shifts_clear(&w);
    csim_set_free(&set);
    int numbers = CSIM_ASPECTS * PAIRS;
    MPI_Allreduce(MPI_IN_PLACE, out.cosine, numbers * n, MPI_DOUBLE, MPI_SUM,
                  csim_context_comm(ctx));
    MPI_Allreduce(MPI_IN_PLACE, out.size, numbers, MPI_DOUBLE, MPI_SUM, csim_context_comm(ctx));
    return out;
}

static void compare(const answer *got, csim__shift_matrix kind, csim_aspect aspect,
                    double *const *x, const int *d, const int64_t *order, int n)
{
    double *a[SITES], norm[SITES], *sum = ref_alloc(n, sizeof *sum);
    for (int s = 0; s < SITES; s++) {
        a[s] = matrix_of(kind.matrix, x[s], order, n, d[s]);
        if (kind.ranked) { rank_entries(a[s], n); }
        take_aspect(a[s], aspect, n);
        norm[s] = 0;
        for (int i = 0; i < n * n; i++) { norm[s] += a[s][i] * a[s][i]; }
    }
    for (int p = 0; p < PAIRS; p++) {
        const double *cosine = got->cosine + ((int)aspect * PAIRS + p) * n;
        double size = sqrt(norm[pairs[p].a]) * sqrt(norm[pairs[p].b]);
        shift_all(a[pairs[p].a], a[pairs[p].b], n, sum);
        assert_true(fabs(got->size[aspect][p] / size - 1) < 1e-12);
        for (int s = 0; s < n; s++) { assert_true(fabs(cosine[s] - sum[s] / size) < 1e-12); }
    }
    for (int s = 0; s < SITES; s++) { free(a[s]); }
    free(sum);
}

static void one(csim_context *ctx, csim__shift_matrix kind, unsigned aspects, int n)
{
    const int d[SITES] = {6, 9, 4};
    double *x[SITES];
    csim_shard shard = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
    csim__order order;
    csim_context *alone = NULL;
    for (int s = 0; s < SITES; s++) {
        x[s] = ref_alloc((int64_t)n * d[s], sizeof *x[s]);
        ref_random_matrix((unsigned)s + 1, n, d[s], x[s]);
        for (int i = 0; i < n * d[s]; i++) {
            x[s][i] += (s == 1) * 0.5 * x[0][i / d[s] * d[0]] + 2;
        }
        memcpy(x[s] + 2 * d[s], x[s], (size_t)d[s] * sizeof *x[s]); /* equal examples tie */
    }
    assert_int_equal(csim__order_make(ctx, &shard, SEED, 0, &order), CSIM_OK);
    answer got = run(ctx, kind, aspects, x, d, n);
    assert_int_equal(csim_context_create(MPI_COMM_SELF, &alone), CSIM_OK);
    answer again = run(alone, kind, aspects, x, d, n);
    harness_context_free(&alone);
    assert_memory_equal(got.cosine, again.cosine,
                        CSIM_ASPECTS * PAIRS * (size_t)n * sizeof *got.cosine);
    assert_memory_equal(got.size, again.size, sizeof got.size);
    for (int a = 0; a < CSIM_ASPECTS; a++) {
        if (aspects & 1u << a) { compare(&got, kind, (csim_aspect)a, x, d, order.from, n); }
    }
    free(got.cosine);
    free(again.cosine);
    csim__order_clear(ctx, &order);
    for (int s = 0; s < SITES; s++) { free(x[s]); }
}

static void all_matrices(void **state)
{
    enum {
        CENTRED = 1 << CSIM_ASPECT_CENTRED,
        HOLLOW = 1 << CSIM_ASPECT_HOLLOW,
        BESIDE = 1 << CSIM_ASPECT_BESIDE,
        DEVIATIONS = 1 << CSIM_ASPECT_DEVIATIONS,
        ENTRIES = 1 << CSIM_ASPECT_ENTRIES
    };
    static const struct {
        csim__shift_matrix kind;
        unsigned aspects;
    } list[] = {
        {{CSIM_LINEAR, false}, CENTRED | HOLLOW | BESIDE},   {{CSIM_RBF, false}, CENTRED | HOLLOW},
        {{CSIM_FAR, false}, CENTRED | DEVIATIONS | ENTRIES}, {{CSIM_FAR, true}, DEVIATIONS},
        {{CSIM_FAR_CENTRED, false}, DEVIATIONS | ENTRIES},   {{CSIM_FAR_COSINE, true}, DEVIATIONS}};
    /* even, odd, prime; fewer chunks than ranks, short last chunks, blocks of diagonals beyond one */
    static const int examples[] = {4, 5, 30, 67, 130, 131, 200};
    (void)state;
    csim_context *ctx = harness_context();
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
            one(ctx, list[k].kind, list[k].aspects, examples[i]);
        }
    }
    harness_context_free(&ctx);
}

/* Every rank has its share of the diagonals, each one once. */
static void bands(void **state)
{
    (void)state;
    for (int64_t n = 3; n < 3000; n += n < 50 ? 1 : 97) {
        for (int size = 1; size < 9; size++) {
            int64_t next = 1;
            for (int r = 0; r < size; r++) {
                csim__band band = csim__diagonal_band(n, r, size);
                assert_true(band.count == 0 || band.first == next);
                next += band.count;
            }
            assert_int_equal(next, n / 2 + 1);
        }
    }
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_matrices), cmocka_unit_test(bands)};
    return harness_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
