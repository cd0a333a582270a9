/* CPU masks and dlsym(RTLD_DEFAULT) are GNU's. */
#define _GNU_SOURCE
#include "app/machine.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "linalg/dense.h"

enum { MASK_WORDS = CPU_SETSIZE / 64 };

/* The address of a function that some BLAS have; NULL if this one has not. A function pointer
 * cannot be cast from a void pointer in ISO C, hence the copy. */
static int find_function(const char *name, void *function, size_t size)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    if (address == NULL) { return 0; }
    memcpy(function, &address, size);
    return 1;
}

int csim__set_blas_threads(int threads)
{
    static const char *const setters[] = {"openblas_set_num_threads", "MKL_Set_Num_Threads",
                                          "flexiblas_set_num_threads", "omp_set_num_threads"};
    int found = 0;
    void (*set)(int);
    for (size_t i = 0; i < sizeof setters / sizeof setters[0]; i++) {
        if (find_function(setters[i], &set, sizeof set)) {
            set(threads);
            found = 1;
        }
    }
    void (*set_blis)(long); /* BLIS counts in its dim_t, which is 64 bits wide by default */
    if (find_function("bli_thread_set_num_threads", &set_blis, sizeof set_blis)) {
        set_blis(threads);
        found = 1;
    }
    return found;
}

static int positive_env(const char *name)
{
    const char *text = getenv(name);
    if (text == NULL) { return 0; }
    char *end;
    long value = strtol(text, &end, 10);
    return end != text && value > 0 && value <= INT_MAX ? (int)value : 0;
}

/* Cores this process may run on, one bit each. */
static void read_mask(uint64_t mask[MASK_WORDS])
{
    cpu_set_t set;
    memset(mask, 0, MASK_WORDS * sizeof mask[0]);
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) { return; }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set)) { mask[cpu / 64] |= UINT64_C(1) << (cpu % 64); }
    }
}

static int count_bits(const uint64_t mask[MASK_WORDS])
{
    int count = 0;
    for (int w = 0; w < MASK_WORDS; w++) {
        for (uint64_t left = mask[w]; left != 0; left &= left - 1) { count++; }
    }
    return count;
}

csim_status csim__survey_nodes(csim_context *ctx, int threads, int64_t *wanted, int64_t *cores)
{
    MPI_Comm comm = csim_context_comm(ctx), node = MPI_COMM_NULL;
    uint64_t mask[MASK_WORDS], all[MASK_WORDS];
    read_mask(mask);
    csim_status st = csim__mpi(ctx,
                               MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED,
                                                   csim_context_rank(ctx), MPI_INFO_NULL, &node),
                               "MPI_Comm_split_type");
    CSIM_TRY(csim__vote(ctx, st));
    int ranks = 0;
    MPI_Comm_size(node, &ranks);
    st = csim__mpi(ctx, MPI_Allreduce(mask, all, MASK_WORDS, MPI_UINT64_T, MPI_BOR, node),
                   "MPI_Allreduce");
    CSIM_TRY(csim__vote(ctx, st));
    int here = count_bits(all);
    struct {
        double value;
        int rank;
    } mine = {here > 0 ? (double)ranks * threads / here : 0, csim_context_rank(ctx)}, worst;
    CSIM_TRY(csim__mpi(ctx, MPI_Allreduce(&mine, &worst, 1, MPI_DOUBLE_INT, MPI_MAXLOC, comm),
                       "MPI_Allreduce"));
    int64_t numbers[2] = {(int64_t)ranks * threads, here};
    CSIM_TRY(csim__mpi(ctx, MPI_Bcast(numbers, 2, MPI_INT64_T, worst.rank, comm), "MPI_Bcast"));
    *wanted = numbers[0];
    *cores = numbers[1];
done:
    if (node != MPI_COMM_NULL) { MPI_Comm_free(&node); }
    return st;
}

static void warn_lonely(csim_context *ctx)
{
    int step = positive_env("SLURM_STEP_NUM_TASKS"), job = positive_env("SLURM_NTASKS");
    const char *task = getenv("SLURM_PROCID");
    if (csim_context_size(ctx) != 1 || (task != NULL && strcmp(task, "0") != 0)) { return; }
    if (step > 1) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "SLURM started %d tasks, but each of them runs alone and does all the work: "
                  "start with 'srun --mpi=pmix' or with mpirun",
                  step);
    } else if (job > 1) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "this job has %d tasks, but the program runs as one rank: start it with "
                  "'srun --mpi=pmix' or with mpirun",
                  job);
    }
}

csim_status csim__check_machine(csim_context *ctx, int threads)
{
    int64_t wanted = 0, cores = 0;
    csim_status st = csim__survey_nodes(ctx, threads, &wanted, &cores);
    if (st != CSIM_OK) { return st; }
    if (cores > 0 && wanted > cores) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "%lld threads (%d per rank) share %lld cores on a node: expect it to be slow; "
                  "use fewer ranks%s, or check the binding of the launcher",
                  (long long)wanted, threads, (long long)cores, threads > 1 ? ", --threads 1" : "");
    }
    warn_lonely(ctx);
    return CSIM_OK;
}

int64_t csim__resident_bytes(bool highest)
{
    const char *name = highest ? "VmHWM:" : "VmRSS:";
    long long kilobytes = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kilobytes = strtoll(line + strlen(name), NULL, 10);
        }
    }
    if (file != NULL) { fclose(file); }
    return (int64_t)kilobytes * 1024;
}

void csim__print_libraries(FILE *out)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, "\n")] = '\0';
    fprintf(out, "MPI       %s\n", mpi);
    char blas[256];
    csim__blas_name(blas, sizeof blas);
    fprintf(out, "BLAS      %s\n", blas);
    const char *(*text)(void);
    if (find_function("nc_inq_libvers", &text, sizeof text)) {
        const char *version = text();
        fprintf(out, "netCDF    %.*s\n", (int)strcspn(version, " "), version);
    }
    int (*hdf5)(unsigned *, unsigned *, unsigned *);
    unsigned v[3];
    if (find_function("H5get_libversion", &hdf5, sizeof hdf5) && hdf5(&v[0], &v[1], &v[2]) >= 0) {
        fprintf(out, "HDF5      %u.%u.%u\n", v[0], v[1], v[2]);
    }
    if (find_function("zip_libzip_version", &text, sizeof text)) {
        fprintf(out, "libzip    %s\n", text());
    }
    if (find_function("jansson_version_str", &text, sizeof text)) {
        fprintf(out, "jansson   %s\n", text());
    }
}
