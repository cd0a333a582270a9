#include "linalg/fourier.h"

#include <fftw3.h>

/* Plans that FFTW measures differ from run to run, and with them the last bits: these are estimated. */
csim_status csim__fourier_start(csim_context *ctx, int64_t n, csim__fourier *f)
{
    int length;
    csim_status st = CSIM_OK;
    *f = (csim__fourier){.n = n};
    CSIM_TRY(csim__int(ctx, n, "numbers of a Fourier transform", &length));
    CSIM_TRY(csim__alloc(ctx, n, sizeof *f->real, "a sequence", &f->real));
    CSIM_TRY(csim__alloc(ctx, 2 * (n / 2 + 1), sizeof *f->spectrum, "a spectrum", &f->spectrum));
    fftw_complex *spectrum = (fftw_complex *)(void *)f->spectrum;
    f->forward = fftw_plan_dft_r2c_1d(length, f->real, spectrum, FFTW_ESTIMATE);
    f->back = fftw_plan_dft_c2r_1d(length, spectrum, f->real, FFTW_ESTIMATE);
    if (f->forward == NULL || f->back == NULL) {
        st = csim__fail(ctx, CSIM_E_MEM, "FFTW has no plan for transforms of length %d", length);
    }
done:
    return st;
}

void csim__fourier_clear(csim_context *ctx, csim__fourier *f)
{
    if (f->forward != NULL) { fftw_destroy_plan(f->forward); }
    if (f->back != NULL) { fftw_destroy_plan(f->back); }
    csim__free(ctx, &f->spectrum);
    csim__free(ctx, &f->real);
    *f = (csim__fourier){.n = 0};
}

void csim__fourier_forward(const csim__fourier *f)
{
    fftw_execute(f->forward);
}

void csim__fourier_back(const csim__fourier *f)
{
    fftw_execute(f->back);
}
