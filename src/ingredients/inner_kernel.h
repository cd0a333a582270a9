/* The inner loops of inner.c, included once for each processor generation with KERNEL(name) and
 * KERNEL_TARGET defined. Written with the vector types of GCC and Clang: plain loops over the lanes
 * reached a sixth of the speed. */

/* acc[r·COLS+c] += Σ over one strip of a[r]·b[c]; length is a multiple of LANES. */
KERNEL_TARGET static void KERNEL(strip)(const double *const *a, const double *const *b,
                                        int64_t length, double *acc)
{
    const double *a0 = a[0], *a1 = a[1], *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    vec s[GROUP];
    memcpy(s, acc, sizeof s);
    for (int64_t k = 0; k < length; k += LANES) {
        vec p = *(const vec *)(a0 + k), q = *(const vec *)(a1 + k);
        vec u = *(const vec *)(b0 + k), v = *(const vec *)(b1 + k);
        vec w = *(const vec *)(b2 + k), x = *(const vec *)(b3 + k);
        s[0] += p * u;
        s[1] += p * v;
        s[2] += p * w;
        s[3] += p * x;
        s[4] += q * u;
        s[5] += q * v;
        s[6] += q * w;
        s[7] += q * x;
    }
    memcpy(acc, s, sizeof s);
}

/* The same from floats; length is a multiple of 2·LANES. The strip is summed in float, then added
 * in double. */
KERNEL_TARGET static void KERNEL(strip_f)(const float *const *a, const float *const *b,
                                          int64_t length, double *acc)
{
    const float *a0 = a[0], *a1 = a[1], *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    vecf s[GROUP] = {{0}};
    for (int64_t k = 0; k < length; k += 2 * LANES) {
        vecf p = *(const vecf *)(a0 + k), q = *(const vecf *)(a1 + k);
        vecf u = *(const vecf *)(b0 + k), v = *(const vecf *)(b1 + k);
        vecf w = *(const vecf *)(b2 + k), x = *(const vecf *)(b3 + k);
        s[0] += p * u;
        s[1] += p * v;
        s[2] += p * w;
        s[3] += p * x;
        s[4] += q * u;
        s[5] += q * v;
        s[6] += q * w;
        s[7] += q * x;
    }
    for (int i = 0; i < GROUP; i++) {
        for (int l = 0; l < LANES; l++) {
            acc[i * LANES + l] += (double)s[i][l] + (double)s[i][l + LANES];
        }
    }
}

#undef KERNEL
#undef KERNEL_TARGET
