/* Fourier transforms of real sequences; the only caller of FFTW. */
#ifndef CSIM_FOURIER_H
#define CSIM_FOURIER_H

#include "core/core.h"

/** Transforms of one length and their buffers. */
typedef struct csim__fourier {
    int64_t n;
    double *real;     /* [n] */
    double *spectrum; /* [n/2 + 1, 2] real and imaginary part of each frequency */
    void *forward, *back;
} csim__fourier;

/** Make transforms of length @p n. Local; free with csim__fourier_clear(), also on error. FFTW makes
 *  plans in one thread at a time. CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT (n of 2³¹ and more). */
csim_status csim__fourier_start(csim_context *ctx, int64_t n, csim__fourier *f);
void csim__fourier_clear(csim_context *ctx, csim__fourier *f);

/** spectrum[w] = Σ_i real[i]·e^{−2πiwi/n}; real is kept. Local. About 2.5·n·log₂n flops. */
void csim__fourier_forward(const csim__fourier *f);

/** n times the inverse of it; spectrum is destroyed. Local. */
void csim__fourier_back(const csim__fourier *f);

#endif
