/* CSIM_CLONES before a function makes the compiler build it for several processor generations and
 * choose at load time, where it can; elsewhere the plain function remains. All round alike:
 * -ffp-contract=off keeps fused multiply-add out, which AVX-512 has. */
#ifndef CSIM_CLONES_H
#define CSIM_CLONES_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) &&       \
    !defined(__SANITIZE_ADDRESS__)
#define CSIM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CSIM_CLONES
#endif

#endif
