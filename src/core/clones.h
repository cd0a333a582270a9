/* CSIM_CLONES before a function makes the compiler build it for several processor generations and
 * choose at load time, where it can; elsewhere the plain function remains. None of the generations
 * named has fused multiply-add, so all of them round alike. */
#ifndef CSIM_CLONES_H
#define CSIM_CLONES_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) &&       \
    !defined(__SANITIZE_ADDRESS__)
#define CSIM_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CSIM_CLONES
#endif

#endif
