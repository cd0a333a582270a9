/* dlsym(RTLD_DEFAULT) is GNU's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "linalg/dense.h"

/* The address of a function that some BLAS have; false if this one has not. A function pointer
 * cannot be cast from a void pointer in ISO C, hence the copy. */
static bool find_function(const char *name, void *function, size_t size)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    if (address != NULL) { memcpy(function, &address, size); }
    return address != NULL;
}

/* Of "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …" the first two words. */
static int two_words(const char *text)
{
    size_t first = strcspn(text, " "), blanks = strspn(text + first, " ");
    return (int)(first + blanks + strcspn(text + first + blanks, " "));
}

void csim__blas_name(char *text, size_t size)
{
    char *(*get)(void), *(*core)(void);
    const char *(*version)(void), *(*arch)(int);
    int (*id)(void);
    void (*fill)(char *, int);
    snprintf(text, size, "unknown");
    if (find_function("openblas_get_config", &get, sizeof get)) {
        const char *config = get();
        bool known = find_function("openblas_get_corename", &core, sizeof core);
        snprintf(text, size, "%.*s, core %s", two_words(config), config,
                 known ? core() : "unknown");
    } else if (find_function("bli_info_get_version_str", &version, sizeof version)) {
        bool known = find_function("bli_arch_query_id", &id, sizeof id) &&
                     find_function("bli_arch_string", &arch, sizeof arch);
        snprintf(text, size, "BLIS %s, core %s", version(), known ? arch(id()) : "unknown");
    } else if (find_function("MKL_Get_Version_String", &fill, sizeof fill) && size > 1) {
        fill(text, (int)size - 1); /* names the processor, too */
        text[size - 1] = '\0';
        for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) { text[n - 1] = '\0'; }
    }
}

const char *csim__blas_better_core(void)
{
    char *(*core)(void);
    if (!find_function("openblas_get_corename", &core, sizeof core) ||
        strcmp(core(), "Prescott") != 0) {
        return NULL;
    }
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return "SkylakeX";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) { return "Haswell"; }
    if (__builtin_cpu_supports("avx")) { return "Sandybridge"; }
#endif
    return NULL;
}
