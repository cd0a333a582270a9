/* What every test under MPI starts and ends with. Include it before anything else. */
#ifndef CSIM_TEST_HARNESS_H
#define CSIM_TEST_HARNESS_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

/** A context on all ranks; fails the test if there is none. Collective. */
static inline csim_context *harness_context(void)
{
    csim_context *ctx = NULL;
    assert_int_equal(csim_context_create(MPI_COMM_WORLD, &ctx), CSIM_OK);
    return ctx;
}

/** Free the context; what it counted must all have been given back. Collective. */
static inline void harness_context_free(csim_context **ctx)
{
    int64_t live = csim_context_memory_live(*ctx);
    csim_context_free(ctx);
    assert_int_equal(live, 0);
}

/** Do all ranks have the same status? Collective. */
static inline int harness_same(csim_context *ctx, csim_status status)
{
    int mine[2] = {(int)status, -(int)status}, worst[2];
    MPI_Allreduce(mine, worst, 2, MPI_INT, MPI_MAX, csim_context_comm(ctx));
    return worst[0] == -worst[1];
}

/** Files in the current folder whose names hold @p part. Collective: no rank goes on before all have
 *  counted. */
static inline int harness_count_files(const char *part)
{
    int n = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    DIR *dir = opendir(".");
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += strstr(e->d_name, part) != NULL;
    }
    closedir(dir);
    MPI_Barrier(MPI_COMM_WORLD);
    return n;
}

/** 1 where long double is wider than double, so that a reference summed in it is exact enough for a
 *  tight tolerance; 64 where it is not (valgrind computes it in double): a factor on that tolerance. */
static inline double harness_slack(void)
{
    volatile long double one = 1, step = 0x1p-60L;
    return one + step != one ? 1 : 64;
}

/** End of main(): sum of the failures of all ranks, MPI_Finalize(), exit code. */
static inline int harness_finish(int failed)
{
    int all = 0;
    MPI_Allreduce(&failed, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return all != 0;
}

#endif
