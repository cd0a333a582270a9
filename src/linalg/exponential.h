/* The exponential function of many numbers; the only caller of SLEEF. */
#ifndef CSIM_EXPONENTIAL_H
#define CSIM_EXPONENTIAL_H

/** out[i] = exp(scale·in[i]) − shift. Local. The exponential is right to 1 unit in the last place and has
 *  the same bits on every processor and for any @p n. @p in and @p out may be the same. By
 *  vectors where the compiler is GCC and the processor x86-64. */
void csim__exponentials(double *out, const double *in, int n, double scale, double shift);

#endif
