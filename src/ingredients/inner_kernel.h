/* The inner loops of inner.c, included once for each processor generation with KERNEL(name),
 * KERNEL_TARGET and BLOCK defined: BLOCK is the side of the squares of pairs whose accumulators
 * fit that generation's registers. Written with the vector types of GCC and Clang: plain loops over
 * the lanes reached a sixth of the speed. All generations round alike, as none of these loops is
 * compiled with fused multiply-add (-ffp-contract=off). */

/* acc[r·SIDE+c] += Σ over one strip of a[r]·b[c]; length is a multiple of LANES. */
KERNEL_TARGET static void KERNEL(strip)(const double *const *a, const double *const *b,
                                        int64_t length, vec *acc)
{
    for (int r = 0; r < SIDE; r += BLOCK) {
        for (int c = 0; c < SIDE; c += BLOCK) {
            vec s[BLOCK][BLOCK], p[BLOCK];
            for (int i = 0; i < BLOCK; i++) {
                for (int j = 0; j < BLOCK; j++) { s[i][j] = acc[(r + i) * SIDE + c + j]; }
            }
            for (int64_t k = 0; k < length; k += LANES) {
                for (int i = 0; i < BLOCK; i++) { p[i] = *(const vec *)(a[r + i] + k); }
                for (int j = 0; j < BLOCK; j++) {
                    vec q = *(const vec *)(b[c + j] + k);
                    for (int i = 0; i < BLOCK; i++) { s[i][j] += p[i] * q; }
                }
            }
            for (int i = 0; i < BLOCK; i++) {
                for (int j = 0; j < BLOCK; j++) { acc[(r + i) * SIDE + c + j] = s[i][j]; }
            }
        }
    }
}

/* The same from floats; length is a multiple of 2·LANES. The strip is summed in float, then added
 * in double. */
KERNEL_TARGET static void KERNEL(strip_f)(const float *const *a, const float *const *b,
                                          int64_t length, vec *acc)
{
    for (int r = 0; r < SIDE; r += BLOCK) {
        for (int c = 0; c < SIDE; c += BLOCK) {
            vecf s[BLOCK][BLOCK], p[BLOCK];
            memset(s, 0, sizeof s);
            for (int64_t k = 0; k < length; k += 2 * LANES) {
                for (int i = 0; i < BLOCK; i++) { p[i] = *(const vecf *)(a[r + i] + k); }
                for (int j = 0; j < BLOCK; j++) {
                    vecf q = *(const vecf *)(b[c + j] + k);
                    for (int i = 0; i < BLOCK; i++) { s[i][j] += p[i] * q; }
                }
            }
            for (int i = 0; i < BLOCK; i++) {
                for (int j = 0; j < BLOCK; j++) {
                    for (int l = 0; l < LANES; l++) {
                        acc[(r + i) * SIDE + c + j][l] +=
                            (double)s[i][j][l] + (double)s[i][j][l + LANES];
                    }
                }
            }
        }
    }
}

#undef KERNEL
#undef KERNEL_TARGET
#undef BLOCK
