/* Counted, aligned memory. Each block is preceded by a header that keeps its size. */
#define _DEFAULT_SOURCE /* madvise() */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/context_private.h"

enum {
    ALIGN = 64,         /* a cache line; also what the vector kernels want */
    HUGE_PAGE = 1 << 21 /* of Linux on x86 and Arm */
};

typedef struct header {
    int64_t bytes;
} header;

static void count(csim_context *ctx, int64_t bytes)
{
    for (; ctx != NULL; ctx = ctx->parent) {
        ctx->live += bytes;
        if (ctx->live > ctx->peak) { ctx->peak = ctx->live; }
    }
}

static csim_status refuse(csim_context *ctx, int64_t n, size_t size, const char *what)
{
    return csim__fail(ctx, CSIM_E_MEM, "out of memory on rank %d: %s needs %lld x %zu bytes",
                      ctx->rank, what, (long long)n, size);
}

/* Large blocks ask for huge pages: reading 300 MB into fresh small pages is 75,000 page faults. */
static char *take(size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    if (bytes >= 4 * (size_t)HUGE_PAGE) {
        char *block = aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
        if (block != NULL) { (void)madvise(block, bytes, MADV_HUGEPAGE); } /* only advice */
        return block;
    }
#endif
    return aligned_alloc(ALIGN, bytes);
}

csim_status csim__alloc(csim_context *ctx, int64_t n, size_t size, const char *what, void *out)
{
    void *none = NULL;
    memcpy(out, &none, sizeof none);
    if (n < 0 || size == 0 || (uint64_t)n > (uint64_t)(INT64_MAX - 2 * ALIGN) / size) {
        return refuse(ctx, n, size, what);
    }
    size_t bytes = (size_t)n * size;
    size_t whole = (bytes + 2 * ALIGN - 1) / ALIGN * ALIGN;
    char *block = take(whole);
    if (block == NULL) { return refuse(ctx, n, size, what); }
    ((header *)(void *)block)->bytes = (int64_t)bytes;
    count(ctx, (int64_t)bytes);
    void *data = block + ALIGN;
    memcpy(out, &data, sizeof data);
    return CSIM_OK;
}

csim_status csim__calloc(csim_context *ctx, int64_t n, size_t size, const char *what, void *out)
{
    csim_status st = csim__alloc(ctx, n, size, what, out);
    if (st == CSIM_OK) {
        void *data;
        memcpy(&data, out, sizeof data);
        memset(data, 0, (size_t)n * size);
    }
    return st;
}

csim_status csim__realloc(csim_context *ctx, int64_t n, size_t size, const char *what, void *inout)
{
    void *old, *fresh;
    memcpy(&old, inout, sizeof old);
    csim_status st = csim__alloc(ctx, n, size, what, &fresh);
    if (st != CSIM_OK) { return st; }
    if (old != NULL) {
        int64_t had = ((header *)(void *)((char *)old - ALIGN))->bytes;
        memcpy(fresh, old, (size_t)csim__min64(had, n * (int64_t)size));
        csim__free(ctx, &old);
    }
    memcpy(inout, &fresh, sizeof fresh);
    return CSIM_OK;
}

csim_status csim__strdup(csim_context *ctx, const char *text, char **out)
{
    size_t length = strlen(text) + 1;
    csim_status st = csim__alloc(ctx, (int64_t)length, 1, "a text", out);
    if (st == CSIM_OK) { memcpy(*out, text, length); }
    return st;
}

csim_status csim__format(csim_context *ctx, char **out, const char *format, ...)
{
    va_list args, again;
    *out = NULL;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    csim_status st = length < 0 ? csim__fail(ctx, CSIM_E_INTERNAL, "cannot format a text")
                                : csim__alloc(ctx, length + 1, 1, "a text", out);
    if (st == CSIM_OK) { vsnprintf(*out, (size_t)length + 1, format, again); }
    va_end(again);
    return st;
}

void csim__free(csim_context *ctx, void *inout)
{
    void *data, *none = NULL;
    memcpy(&data, inout, sizeof data);
    if (data == NULL) { return; }
    char *block = (char *)data - ALIGN;
    count(ctx, -((header *)(void *)block)->bytes);
    free(block);
    memcpy(inout, &none, sizeof none);
}

int64_t csim_context_memory_live(const csim_context *ctx)
{
    return ctx->live;
}

int64_t csim_context_memory_peak(const csim_context *ctx)
{
    return ctx->peak;
}
