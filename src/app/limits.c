/* How much memory a rank may take: the least of what the machine has left, the control groups allow
 * and SLURM gives, shared by the ranks of the node. */
#include <stdlib.h>
#include <string.h>

#include "app/machine.h"
#include "core/core.h"

enum { PATH_LENGTH = 1024 };
static const double SHARE = 0.8; /* the rest is for libraries, MPI buffers and the page cache */

static int64_t read_number(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) { return INT64_MAX; }
    char text[64] = "";
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    char *end;
    long long value = strtoll(text, &end, 10); /* "max": no limit */
    return end != text && value > 0 ? value : INT64_MAX;
}

/* The least limit from a control group up to the root of its tree. */
static int64_t walk_groups(const char *root, char *group, const char *file)
{
    int64_t least = INT64_MAX;
    for (;;) {
        char path[2 * PATH_LENGTH];
        snprintf(path, sizeof path, "%s%s/%s", root, group, file);
        least = csim__min64(least, read_number(path));
        char *slash = strrchr(group, '/');
        if (slash == NULL) { return least; }
        *slash = '\0';
    }
}

static int64_t cgroup_limit(void)
{
    int64_t least = INT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[PATH_LENGTH];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) { continue; }
        *group++ = '\0';
        if (strcmp(controllers + 1, "") == 0) {
            least = csim__min64(least, walk_groups("/sys/fs/cgroup", group, "memory.max"));
        } else if (strstr(controllers + 1, "memory") != NULL) {
            least = csim__min64(
                least, walk_groups("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
        }
    }
    if (file != NULL) { fclose(file); }
    return least;
}

static int64_t machine_limit(void)
{
    int64_t limit = INT64_MAX;
    FILE *file = fopen("/proc/meminfo", "r");
    char line[128];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            limit = (int64_t)strtoll(line + 13, NULL, 10) * 1024;
        }
    }
    if (file != NULL) { fclose(file); }
    return limit;
}

/* SLURM gives mebibytes, for the node or for each of its CPUs. */
static int64_t slurm_limit(void)
{
    const char *node = getenv("SLURM_MEM_PER_NODE"), *cpu = getenv("SLURM_MEM_PER_CPU");
    const char *cpus = getenv("SLURM_CPUS_ON_NODE");
    int64_t megabytes = 0;
    if (node != NULL) {
        megabytes = strtoll(node, NULL, 10);
    } else if (cpu != NULL && cpus != NULL) {
        megabytes = (int64_t)strtol(cpu, NULL, 10) * strtol(cpus, NULL, 10);
    }
    return megabytes > 0 && megabytes < INT64_C(1) << 40 ? megabytes << 20 : INT64_MAX;
}

int64_t csim__rank_share(int64_t bytes, int64_t ranks)
{
    return (int64_t)((double)bytes * SHARE) / ranks;
}

csim_status csim__default_memory(csim_context *ctx, int64_t *bytes)
{
    MPI_Comm comm = csim_context_comm(ctx), node = MPI_COMM_NULL;
    int ranks = 1;
    csim_status st =
        csim__mpi(ctx, MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
                  "MPI_Comm_split_type");
    CSIM_TRY(csim__vote(ctx, st));
    MPI_Comm_size(node, &ranks);
    int64_t limit = csim__min64(machine_limit(), csim__min64(cgroup_limit(), slurm_limit()));
    int64_t mine = limit == INT64_MAX ? INT64_MAX : csim__rank_share(limit, ranks);
    int64_t least = 0;
    st = csim__mpi(ctx, MPI_Allreduce(&mine, &least, 1, MPI_INT64_T, MPI_MIN, comm),
                   "MPI_Allreduce");
    CSIM_TRY(csim__vote(ctx, st));
    *bytes = least == INT64_MAX ? 0 : least;
done:
    if (node != MPI_COMM_NULL) { MPI_Comm_free(&node); }
    return st;
}
