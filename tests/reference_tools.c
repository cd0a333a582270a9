/* Defaults, table of the measures, and what the references are written with; see reference.h. */
#include "reference.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Fortran LAPACK; the hidden lengths of the character arguments come last. */
void dgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a,
             const int *lda, double *s, double *u, const int *ldu, double *vt, const int *ldvt,
             double *work, const int *lwork, int *info, size_t len_jobu, size_t len_jobvt);

const ref_options ref_default_options = {
    .svcca_variance = 0.99,
    .svcca_dims = 0,
    .pwcca_side = REF_SIDE_X,
    .gulp_lambda = 0.0,
    .rank_floor = 1e-10,
};

const ref_measure ref_measures[] = {
    {"cka", ref_cka, false, false, false},
    {"cka_debiased", ref_cka_debiased, false, false, false},
    {"cka_lange", ref_cka_lange, false, false, false},
    {"hsic", ref_hsic, false, false, false},
    {"cca_mean", ref_cca_mean, false, false, false},
    {"cca_r2", ref_cca_r2, false, false, false},
    {"svcca", ref_svcca, false, false, false},
    {"pwcca", ref_pwcca, true, false, false},
    {"linreg", ref_linreg, true, false, false},
    {"procrustes", ref_procrustes, false, false, true},
    {"ortho_procrustes", ref_ortho_procrustes, false, false, true},
    {"angular", ref_angular, false, false, true},
    {"nbs", ref_nbs, false, false, false},
    {"eos", ref_eos, false, false, false},
    {"gulp", ref_gulp, false, false, true},
    {"dot", ref_dot, false, true, false},
    {"norm", ref_norm, false, true, false},
    {"align_cos", ref_align_cos, false, false, false},
    {"hard_corr", ref_hard_corr, false, false, false},
    {"soft_corr", ref_soft_corr, false, false, false},
    {"perm_procrustes", ref_perm_procrustes, false, false, true},
    {"nngs", ref_nngs, false, false, false},
    {"jaccard", ref_jaccard, false, false, false},
    {"mutual_knn", ref_mutual_knn, false, false, false},
    {"cycle_knn", ref_cycle_knn, true, false, false},
    {"lcs_knn", ref_lcs_knn, false, false, false},
    {"edit_knn", ref_edit_knn, false, false, false},
    {"cknna", ref_cknna, true, false, false},
    {"rank_sim", ref_rank_sim, false, false, false},
    {"second_cos", ref_second_cos, false, false, false},
};

int ref_measure_count(void)
{
    return (int)(sizeof ref_measures / sizeof ref_measures[0]);
}

const ref_measure *ref_find(const char *name)
{
    for (int i = 0; i < ref_measure_count(); i++)
        if (strcmp(ref_measures[i].name, name) == 0) return &ref_measures[i];
    return NULL;
}

void *ref_alloc(int64_t count, int64_t size)
{
    void *p = calloc(count > 0 ? (size_t)count : 1, (size_t)size);
    if (!p) abort();
    return p;
}

double *ref_centre(const double *x, int n, int d)
{
    double *c = ref_alloc((int64_t)n * d, sizeof *c);
    for (int j = 0; j < d; j++) {
        /* Differences to the first row: exactly zero for a constant column, and no digits are lost
         * to a large common offset. */
        long double first = x[j], mean = 0.0L;
        for (int i = 0; i < n; i++) mean += (x[(int64_t)i * d + j] - first) / n;
        for (int i = 0; i < n; i++)
            c[(int64_t)i * d + j] = (double)((x[(int64_t)i * d + j] - first) - mean);
    }
    return c;
}

double *ref_cross(const double *a, const double *b, int n, int p, int q)
{
    double *c = ref_alloc((int64_t)p * q, sizeof *c);
    for (int i = 0; i < p; i++)
        for (int j = 0; j < q; j++) {
            long double sum = 0.0L;
            for (int m = 0; m < n; m++)
                sum += (long double)a[(int64_t)m * p + i] * b[(int64_t)m * q + j];
            c[(int64_t)i * q + j] = (double)sum;
        }
    return c;
}

bool ref_svd_make(const double *a, int rows, int cols, ref_svd *out)
{
    int k = rows < cols ? rows : cols, info = 0, lwork = -1, ld = cols > 1 ? cols : 1;
    int ldvt = k > 1 ? k : 1;
    *out = (ref_svd){.rows = rows, .cols = cols, .k = k};
    if (k == 0) return true;
    double *copy = ref_alloc((int64_t)rows * cols, sizeof *copy);
    memcpy(copy, a, (size_t)rows * (size_t)cols * sizeof *copy);
    out->u = ref_alloc((int64_t)rows * k, sizeof *out->u);
    out->s = ref_alloc(k, sizeof *out->s);
    out->vt = ref_alloc((int64_t)k * cols, sizeof *out->vt);
    /* Row-major a is column-major aᵀ = v·s·uᵀ: Fortran's "u" is v column by column, that is vt
     * row by row, and its "vt" is uᵀ column by column, that is u row by row. */
    double size = 0.0;
    dgesvd_("S", "S", &cols, &rows, copy, &ld, out->s, out->vt, &ld, out->u, &ldvt, &size, &lwork,
            &info, 1, 1);
    if (info == 0) {
        lwork = (int)size;
        double *work = ref_alloc(lwork, sizeof *work);
        dgesvd_("S", "S", &cols, &rows, copy, &ld, out->s, out->vt, &ld, out->u, &ldvt, work,
                &lwork, &info, 1, 1);
        free(work);
    }
    free(copy);
    if (info != 0) ref_svd_free(out);
    return info == 0;
}

void ref_svd_free(ref_svd *f)
{
    free(f->u);
    free(f->s);
    free(f->vt);
    *f = (ref_svd){0};
}

int ref_svd_rank(const ref_svd *f, double floor)
{
    int r = 0;
    while (r < f->k && f->s[r] > 0.0 && f->s[r] * f->s[r] > floor * f->s[0] * f->s[0]) r++;
    return r;
}
