/* SLEEF's functions whose name begins with cinz use no fused operations and have the same bits for every
 * length of vectors. Its header declares those of the instructions that the compiler may use. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define WIDE 1
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx512f")
#else
#define WIDE 0
#endif
#include <sleef.h>
#if WIDE
#pragma GCC pop_options
#endif

#include <string.h>

#include "linalg/exponential.h"

enum { LANES = 8 };

/* The loop for numbers whose count is a multiple of LANES. */
typedef void loop(double *out, const double *in, int n, double scale, double shift);

static void loop_plain(double *out, const double *in, int n, double scale, double shift)
{
    for (int i = 0; i < n; i++) { out[i] = Sleef_cinz_expd1_u10purec(scale * in[i]) - shift; }
}

#if WIDE
__attribute__((target("avx512f"))) static void loop_avx512(double *out, const double *in, int n,
                                                           double scale, double shift)
{
    __m512d factor = _mm512_set1_pd(scale), off = _mm512_set1_pd(shift);
    for (int i = 0; i < n; i += 8) {
        __m512d x = _mm512_mul_pd(factor, _mm512_loadu_pd(in + i));
        _mm512_storeu_pd(out + i, _mm512_sub_pd(Sleef_cinz_expd8_u10avx512fnofma(x), off));
    }
}

__attribute__((target("avx"))) static void loop_avx(double *out, const double *in, int n,
                                                    double scale, double shift)
{
    __m256d factor = _mm256_set1_pd(scale), off = _mm256_set1_pd(shift);
    for (int i = 0; i < n; i += 4) {
        __m256d x = _mm256_mul_pd(factor, _mm256_loadu_pd(in + i));
        _mm256_storeu_pd(out + i, _mm256_sub_pd(Sleef_cinz_expd4_u10avx(x), off));
    }
}
#endif

/* The one with the longest vectors of this processor. */
static loop *choose_loop(void)
{
#if WIDE
    if (__builtin_cpu_supports("avx512f")) { return loop_avx512; }
    if (__builtin_cpu_supports("avx")) { return loop_avx; }
#endif
    return loop_plain;
}

void csim__exponentials(double *out, const double *in, int n, double scale, double shift)
{
    loop *whole = choose_loop();
    double rest[LANES] = {0};
    int left = n % LANES, from = n - left;
    memcpy(rest, in + from, (size_t)left * sizeof *rest);
    whole(out, in, from, scale, shift);
    if (left > 0) { whole(rest, rest, LANES, scale, shift); }
    memcpy(out + from, rest, (size_t)left * sizeof *rest);
}
