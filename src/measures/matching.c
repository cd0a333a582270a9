/* Measures that match neurons: by rotation, by correlation, by permutation. All are symmetric, so
 * the order of the operands is the order of X and Y. */
#include <math.h>
#include <string.h>

#include "linalg/dense.h"
#include "measures/assignment.h"
#include "measures/measures.h"

/* A copy of X̃ᵀỸ [d, e], or of XᵀY of the layers as read; @p turned: of its transpose. */
static csim_status copy_block(csim_pair *pair, bool raw, bool turned, double **out)
{
    const csim__site *a = pair->site[0], *b = pair->site[1];
    const double *block;
    csim_status st = csim__pair_block(pair, &block);
    if (st != CSIM_OK) { return st; }
    st = csim__alloc(pair->ctx, a->d * b->d, sizeof **out, "a block", out);
    if (st != CSIM_OK) { return st; }
    int64_t row = turned ? 1 : b->d, col = turned ? a->d : 1;
    for (int64_t i = 0; i < a->d; i++) {
        for (int64_t j = 0; j < b->d; j++) {
            double v = block[i * b->d + j];
            if (raw) { v += (double)a->n * a->mean[i] * b->mean[j]; }
            (*out)[i * row + j * col] = v;
        }
    }
    return CSIM_OK;
}

/* Rotate X by the orthogonal Procrustes solution R of the layers as read; the mean cosine of the
 * rows is ⟨R, X̂ᵀŶ⟩/n with unit rows, since a rotation keeps their lengths. Zero-padding the narrower
 * layer leaves only the leading rows or columns of R, so the thin decomposition is enough. */
static csim_status align_cos(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    int d = (int)a->d, e = (int)b->d, k = d < e ? d : e;
    double *c = NULL, *s = NULL, *u = NULL, *v = NULL;
    csim_status st = CSIM_OK;
    csim_note note = a->zero_rows + b->zero_rows > 0 ? CSIM_NOTE_ZERO_ROW : CSIM_NOTE_NONE;
    if (a->raw_square == 0 || b->raw_square == 0) {
        return csim__undefined(out, CSIM_NOTE_CONSTANT);
    }
    CSIM_TRY(copy_block(pair, true, false, &c));
    CSIM_TRY(csim__alloc(pair->ctx, k, sizeof *s, "singular values", &s));
    CSIM_TRY(csim__alloc(pair->ctx, (int64_t)d * k, sizeof *u, "left vectors", &u));
    CSIM_TRY(csim__alloc(pair->ctx, (int64_t)k * e, sizeof *v, "right vectors", &v));
    csim__phase_begin(pair->ctx, "svd");
    st = csim__svd(pair->ctx, CSIM__VECTORS, d, e, c, s, u, v);
    csim__phase_end(pair->ctx, 0, 0);
    CSIM_TRY(st);
    csim__gemm_nn(d, e, k, u, k, v, e, c, e); /* the rotation */
    double value = csim__dot((int64_t)d * e, c, pair->unit) / (double)a->n;
    /* what R does outside the spans of the rows does not matter */
    int64_t rank = csim__min64(k, a->n);
    if (s[rank - 1] <= 1e-13 * s[0]) { note = CSIM_NOTE_NOT_UNIQUE; }
    st = csim__bounded(out, value, -1);
    if (out->cell == CSIM_CELL_DONE) { out->note = note; }
done:
    csim__free(pair->ctx, &v);
    csim__free(pair->ctx, &u);
    csim__free(pair->ctx, &s);
    csim__free(pair->ctx, &c);
    return st;
}

/* Correlations of all pairs of neurons [d, e], or [e, d] if @p turned; a constant neuron correlates 0. */
static csim_status correlations(csim_pair *pair, bool turned, double **r, csim_note *note)
{
    const csim__site *a = pair->site[turned], *b = pair->site[!turned];
    csim_status st = copy_block(pair, false, turned, r);
    if (st != CSIM_OK) { return st; }
    *note =
        a->constant_columns + b->constant_columns > 0 ? CSIM_NOTE_CONSTANT_COLUMN : CSIM_NOTE_NONE;
    for (int64_t i = 0; i < a->d; i++) {
        for (int64_t j = 0; j < b->d; j++) {
            double scale = a->norm[i] * b->norm[j];
            (*r)[i * b->d + j] = scale > 0 ? (*r)[i * b->d + j] / scale : 0;
        }
    }
    return CSIM_OK;
}

/* An assignment wants the narrower side in rows. */
static bool is_turned(const csim_pair *pair)
{
    return pair->site[0]->d > pair->site[1]->d;
}

/* Best one-to-one matching of a matrix of profits, the narrower side in its rows. */
static csim_status best_matching(const csim_pair *pair, const double *profit, double *total)
{
    int d = (int)pair->site[0]->d, e = (int)pair->site[1]->d;
    return csim__assign(pair->ctx, d < e ? d : e, d < e ? e : d, profit, total);
}

static csim_status hard_corr(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    int d = (int)pair->site[0]->d, e = (int)pair->site[1]->d;
    double *r = NULL, total;
    csim_note note;
    csim_status st = correlations(pair, is_turned(pair), &r, &note);
    if (st == CSIM_OK) { st = best_matching(pair, r, &total); }
    if (st == CSIM_OK) {
        st = csim__bounded(out, total / (d < e ? d : e), -1);
        if (out->cell == CSIM_CELL_DONE) { out->note = note; }
    }
    csim__free(pair->ctx, &r);
    return st;
}

static csim_status soft_corr(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    int d = (int)pair->site[0]->d, e = (int)pair->site[1]->d;
    double *r = NULL, rows = 0, cols = 0;
    csim_note note;
    csim_status st = correlations(pair, false, &r, &note);
    if (st != CSIM_OK) { return st; }
    for (int64_t i = 0; i < d; i++) {
        double most = -INFINITY;
        for (int64_t j = 0; j < e; j++) { most = fmax(most, r[i * e + j]); }
        rows += most;
    }
    for (int64_t j = 0; j < e; j++) {
        double most = -INFINITY;
        for (int64_t i = 0; i < d; i++) { most = fmax(most, r[i * e + j]); }
        cols += most;
    }
    st = csim__bounded(out, (rows / d + cols / e) / 2, -1);
    if (out->cell == CSIM_CELL_DONE) { out->note = note; }
    csim__free(pair->ctx, &r);
    return st;
}

/* min over permutations of ‖XP − Y‖_F, the narrower layer padded with zero neurons: the padding
 * earns no profit, so every real neuron of the narrower layer is matched. */
static csim_status perm_procrustes(csim_pair *pair, const void *options, csim_value *out)
{
    (void)options;
    const csim__site *a = pair->site[0], *b = pair->site[1];
    double *c = NULL, total, sum = a->raw_square + b->raw_square;
    csim_status st = copy_block(pair, true, is_turned(pair), &c);
    if (st == CSIM_OK) { st = best_matching(pair, c, &total); }
    if (st == CSIM_OK) { st = csim__root(out, sum - 2 * total, sum); }
    csim__free(pair->ctx, &c);
    return st;
}

const csim_measure csim__measure_align_cos = {
    .name = "align_cos",
    .doc = "mean cosine of matching rows after the best rotation of the first layer; not centred",
    .cite = "Hamilton et al. 2016, Diachronic Word Embeddings; Klabunde et al. 2023, survey",
    .needs = CSIM_NEEDS_BLOCK | CSIM_NEEDS_UNIT,
    .props = CSIM_SYMMETRIC | CSIM_INVARIANT_ROTATION | CSIM_INVARIANT_SCALING |
             CSIM_INVARIANT_PERMUTATION,
    .range = {-1, 1},
    .finish = align_cos,
};

const csim_measure csim__measure_hard_corr = {
    .name = "hard_corr",
    .doc = "mean correlation of neurons over the best one-to-one matching",
    .cite = "Li et al. 2016, Convergent Learning",
    .needs = CSIM_NEEDS_BLOCK,
    .props = CSIM_INTERVALS | CSIM_SYMMETRIC | CSIM_INVARIANT_SCALING | CSIM_INVARIANT_TRANSLATION |
             CSIM_INVARIANT_PERMUTATION,
    .range = {-1, 1},
    .finish = hard_corr,
};

const csim_measure csim__measure_soft_corr = {
    .name = "soft_corr",
    .doc = "mean over both layers of each neuron's largest correlation with the other layer",
    .cite = "Li et al. 2016, Convergent Learning",
    .needs = CSIM_NEEDS_BLOCK,
    .props = CSIM_INTERVALS | CSIM_SYMMETRIC | CSIM_INVARIANT_SCALING | CSIM_INVARIANT_TRANSLATION |
             CSIM_INVARIANT_PERMUTATION,
    .range = {-1, 1},
    .finish = soft_corr,
};

const csim_measure csim__measure_perm_procrustes = {
    .name = "perm_procrustes",
    .doc = "smallest Frobenius distance over permutations of neurons; not centred",
    .cite = "Williams et al. 2021, Generalized Shape Metrics on Neural Representations",
    .needs = CSIM_NEEDS_BLOCK,
    .props = CSIM_DISTANCE | CSIM_SYMMETRIC | CSIM_INVARIANT_PERMUTATION,
    .finish = perm_procrustes,
};
