/* The machine's peak: a large square GEMM on all ranks at once. */
#include "app/perf/perf.h"
#include "linalg/dense.h"

/* Small numbers that no processor multiplies faster than others. */
static void fill(int64_t count, double *x, float *xf)
{
    for (int64_t i = 0; i < count; i++) {
        double value = (double)(i * 7919 % 1021) / 1021 - 0.5;
        if (x != NULL) {
            x[i] = value;
        } else {
            xf[i] = (float)value;
        }
    }
}

csim_status csim__perf_peak(csim_context *ctx, int n, csim_precision precision, double *rate)
{
    bool single = precision == CSIM_SINGLE_PRECISION;
    int64_t count = (int64_t)n * n;
    size_t element = single ? sizeof(float) : sizeof(double);
    void *m[3] = {NULL, NULL, NULL};
    double seconds = 0, slowest = 0;
    csim_status st = CSIM_OK;
    for (int i = 0; i < 3; i++) { CSIM_TRY(csim__calloc(ctx, count, element, "a matrix", &m[i])); }
    for (int i = 0; i < 2; i++) { fill(count, single ? NULL : m[i], single ? m[i] : NULL); }
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) { st = csim__mpi(ctx, MPI_Barrier(csim_context_comm(ctx)), "MPI_Barrier"); }
    if (st == CSIM_OK) {
        double start = csim__now();
        single ? csim__gemm_nt_f(n, n, n, m[0], m[1], m[2])
               : csim__gemm_nt(n, n, n, m[0], m[1], m[2]);
        seconds = csim__now() - start;
        st = csim__mpi(
            ctx, MPI_Allreduce(&seconds, &slowest, 1, MPI_DOUBLE, MPI_MAX, csim_context_comm(ctx)),
            "MPI_Allreduce");
    }
    if (st == CSIM_OK && slowest > 0) {
        double now = 2.0 * n * n * n * csim_context_size(ctx) / slowest;
        *rate = now > *rate ? now : *rate;
    }
    for (int i = 0; i < 3; i++) { csim__free(ctx, &m[i]); }
    return st;
}
