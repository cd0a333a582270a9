/* A library to preload: one call in which a program touches certain files ends as calls may end.
 *   CSIM_IO_FAULT=ACTION:N:NAME  the N-th call (from 1) on files whose names begin with NAME
 *     none         nothing; the calls are counted
 *     kill         the process is killed before the call
 *     torn         it is killed in the midst of a write, else after the call
 *     full         from this call on, the disk is full: half of the first write, then ENOSPC;
 *                  files that are there can be opened and cut
 *     broken       EIO, once
 *     short        from this call on, writes take one byte or half of what they are given
 *     interrupted  EINTR, once, if it is a write
 *   CSIM_IO_FAULT_RANK=R         in this rank of a job (default 0)
 *   CSIM_IO_FAULT_LOG=FILE       a line for each call: its number, its name, bytes, path
 * Calls: write and its kin, fsync, fdatasync, ftruncate, rename, link, unlink, and an open() that
 * creates or truncates. Files behind stdio streams are out of reach. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

typedef enum action { NONE, KILL, TORN, FULL, BROKEN, SHORT, INTERRUPTED } action;
enum { PATH_MOST = 4096 };

static struct {
    bool ready, on;
    action action;
    long at, count;
    char name[256];
    int log;
} fault = {.log = -1};

/* The next definition of a function, as a pointer that ISO C lets no cast make. */
#define FIND(pointer, symbol) *(void **)&(pointer) = dlsym(RTLD_NEXT, symbol)

static void prepare(void)
{
    static const char *const names[] = {"none",   "kill",  "torn",       "full",
                                        "broken", "short", "interrupted"};
    const char *text = getenv("CSIM_IO_FAULT"), *log = getenv("CSIM_IO_FAULT_LOG");
    const char *mine = getenv("OMPI_COMM_WORLD_RANK"), *rank = getenv("CSIM_IO_FAULT_RANK");
    char word[32];
    fault.ready = true;
    if (text == NULL || atoi(mine != NULL ? mine : "0") != atoi(rank != NULL ? rank : "0")) {
        return;
    }
    if (sscanf(text, "%31[a-z]:%ld:%255s", word, &fault.at, fault.name) != 3) { abort(); }
    while (strcmp(names[fault.action], word) != 0) {
        if (fault.action++ == INTERRUPTED) { abort(); }
    }
    if (log != NULL) {
        fault.log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    }
    fault.on = true;
}

static bool concerned(const char *path)
{
    if (!fault.ready) { prepare(); }
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    return fault.on && strncmp(base, fault.name, strlen(fault.name)) == 0;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
}

/* What becomes of this call. */
static action meet(const char *call, const char *path, size_t bytes)
{
    if (!concerned(path)) { return NONE; }
    fault.count++;
    if (fault.log >= 0) {
        char line[PATH_MOST + 64];
        int n = snprintf(line, sizeof line, "%ld %s %zu %s\n", fault.count, call, bytes, path);
        syscall(SYS_write, fault.log, line, (size_t)n);
    }
    bool lasting = fault.action == FULL || fault.action == SHORT;
    if (lasting ? fault.count < fault.at : fault.count != fault.at) { return NONE; }
    if (fault.action == KILL) { die(); }
    return fault.action;
}

static action meet_file(const char *call, int fd, size_t bytes)
{
    char link[64], path[PATH_MOST];
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = error;
    if (n < 0) { return NONE; }
    path[n] = '\0';
    return meet(call, path, bytes);
}

static int fail(int error)
{
    errno = error;
    return -1;
}

/* A write of @p bytes at @p offset, -1 for where the file stands. */
static ssize_t put(const char *call, int fd, const void *data, size_t bytes, off_t offset)
{
    action a = meet_file(call, fd, bytes);
    if (a == BROKEN) { return fail(EIO); }
    if (a == INTERRUPTED) { return fail(EINTR); }
    if (a == FULL && fault.count > fault.at) { return fail(ENOSPC); }
    if (a == FULL || a == TORN) { bytes /= 2; }
    if (a == SHORT && bytes > 1) { bytes = fault.count % 2 == 0 ? 1 : bytes / 2; }
    if (a == FULL && bytes == 0) { return fail(ENOSPC); }
    ssize_t n = offset < 0 ? syscall(SYS_write, fd, data, bytes)
                           : syscall(SYS_pwrite64, fd, data, bytes, offset);
    if (a == TORN) { die(); }
    return n;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    return put("write", fd, data, bytes, -1);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return put("pwrite", fd, data, bytes, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    return put("pwrite", fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *part, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++) { bytes += part[i].iov_len; }
    action a = meet_file("writev", fd, bytes);
    if (a == BROKEN) { return fail(EIO); }
    if (a == INTERRUPTED) { return fail(EINTR); }
    if (a == FULL) { return fail(ENOSPC); }
    if (a == SHORT || a == TORN) { count = count > 1 ? count / 2 : count; }
    ssize_t n = syscall(SYS_writev, fd, part, count);
    if (a == TORN) { die(); }
    return n;
}

/* A call that is not a write: @p real is made, or fails. */
#define DO(a, real)                                                                                \
    action met = (a);                                                                              \
    if (met == BROKEN) { return fail(EIO); }                                                       \
    int result = (real);                                                                           \
    if (met == TORN) { die(); }                                                                    \
    return result

int fsync(int fd)
{
    DO(meet_file("fsync", fd, 0), (int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    DO(meet_file("fdatasync", fd, 0), (int)syscall(SYS_fdatasync, fd));
}

int ftruncate(int fd, off_t bytes)
{
    DO(meet_file("ftruncate", fd, (size_t)bytes), (int)syscall(SYS_ftruncate, fd, bytes));
}

int ftruncate64(int fd, off64_t bytes)
{
    return ftruncate(fd, bytes);
}

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (real == NULL) { FIND(real, "rename"); }
    DO(meet("rename", concerned(from) ? from : to, 0), real(from, to));
}

int link(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (real == NULL) { FIND(real, "link"); }
    DO(meet("link", concerned(from) ? from : to, 0), real(from, to));
}

int unlink(const char *path)
{
    static int (*real)(const char *);
    if (real == NULL) { FIND(real, "unlink"); }
    DO(meet("unlink", path, 0), real(path));
}

static int open_file(const char *path, int flags, mode_t mode)
{
    if ((flags & (O_CREAT | O_TRUNC)) == 0) {
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    action a = meet("open", path, 0);
    if (a == FULL && access(path, F_OK) != 0) { return fail(ENOSPC); }
    DO(a, (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_file(path, flags, mode);
}
