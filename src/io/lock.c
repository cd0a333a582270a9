/* One output, one job. The kernel drops an fcntl lock with the process that had it, however that
 * died, so a file OUT.lock that was left behind keeps nobody out. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"
#include "io/lock.h"

static const double WAIT_S = 10;
static const struct timespec PAUSE = {.tv_nsec = 50000000};

/* What the file says of its holder begins with this. */
static const char MARK[] = "contrasim lock: process ";

enum { SAID = 320 /* bytes of that text at most: mark, number, host, zero */ };

/* Try once to have the lock: 0 or what fcntl() says. */
static int try_lock(int fd)
{
    struct flock want = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &want) == 0 ? 0 : errno;
}

static bool is_taken(int error)
{
    return error == EACCES || error == EAGAIN || error == EINTR;
}

static bool has_no_locks(int error)
{
    return error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

/* Is the open file still the one of that name? Its last holder may have removed it meanwhile. */
static bool is_current(const csim__lock *lock)
{
    struct stat named, open;
    return stat(lock->path, &named) == 0 && fstat(lock->fd, &open) == 0 &&
           named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

/* The text in the file; "" if there is none. Is it one of ours, or nothing? */
static bool read_holder(int fd, char said[SAID])
{
    ssize_t n = pread(fd, said, SAID - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    return n == 0 || (n >= (ssize_t)sizeof MARK - 1 && memcmp(said, MARK, sizeof MARK - 1) == 0);
}

/* Say in the file who holds it. Only messages need that: a full disk is no failure. */
static void write_holder(int fd)
{
    char said[SAID], host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0) { host[0] = '\0'; }
    int n = snprintf(said, sizeof said, "%s%ld on %s\n", MARK, (long)getpid(), host);
    if (pwrite(fd, said, (size_t)n, 0) != n || ftruncate(fd, n) != 0) { (void)!ftruncate(fd, 0); }
}

/* Open the file, which is made if it is not there. */
static csim_status open_lock(csim_context *ctx, csim__lock *lock)
{
    struct stat s;
    char said[SAID];
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (lock->fd < 0) {
        return csim__fail(ctx, CSIM_E_IO, "%s: cannot make the lock of the output: %s", lock->path,
                          strerror(errno));
    }
    if (fstat(lock->fd, &s) != 0 || !S_ISREG(s.st_mode) || !read_holder(lock->fd, said)) {
        close(lock->fd);
        lock->fd = -1;
        return csim__fail(ctx, CSIM_E_IO,
                          "%s is needed for the lock of the output, but is a file of something "
                          "else: move it, or choose another name for the output",
                          lock->path);
    }
    return CSIM_OK;
}

/* Who has the lock? The host is in the file, which may speak of an earlier holder still; a number
 * that is not above 0 is no process of this machine. */
static csim_status refuse(csim_context *ctx, const char *output, const csim__lock *lock)
{
    struct flock found = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char said[SAID], who[SAID] = "";
    long pid = 0, named = 0;
    if (lock->fd >= 0) {
        if (fcntl(lock->fd, F_GETLK, &found) == 0 && found.l_type != F_UNLCK) { pid = found.l_pid; }
        if (read_holder(lock->fd, said) && said[0] != '\0') {
            (void)sscanf(said + sizeof MARK - 1, "%ld", &named);
            said[strcspn(said, "\n")] = '\0';
        }
    }
    if (named > 0 && (pid <= 0 || pid == named)) {
        snprintf(who, sizeof who, " (process %s)", said + sizeof MARK - 1);
    } else if (pid > 0) {
        snprintf(who, sizeof who, " (process %ld)", pid);
    }
    return csim__fail(ctx, CSIM_E_IO, "%s: another job%s works on this output", output, who);
}

static void forget(csim_context *ctx, csim__lock *lock)
{
    if (lock->fd >= 0) { close(lock->fd); }
    lock->fd = -1;
    csim__free(ctx, &lock->path);
}

/* Wait until the lock is had. *none: there are no locks here. */
static csim_status wait_for(csim_context *ctx, const char *output, csim__lock *lock, bool *none)
{
    const double end = csim__now() + WAIT_S;
    for (bool told = false;;) {
        if (lock->fd < 0) {
            csim_status st = open_lock(ctx, lock);
            if (st != CSIM_OK) { return st; }
        }
        int error = try_lock(lock->fd);
        *none = has_no_locks(error);
        if (*none || (error == 0 && is_current(lock))) { return CSIM_OK; }
        if (error != 0 && error != ESTALE && !is_taken(error)) {
            return csim__fail(ctx, CSIM_E_IO, "%s: cannot lock: %s", lock->path, strerror(error));
        }
        if (csim__now() > end) { return refuse(ctx, output, lock); }
        if (!is_taken(error)) { /* removed by the last holder: the next try is on a new one */
            close(lock->fd);
            lock->fd = -1;
        } else if (!told) {
            told = true;
            csim__log(ctx, CSIM_LOG_INFO, "%s: another job works on it; waiting up to %.0f s",
                      output, WAIT_S);
        }
        nanosleep(&PAUSE, NULL);
    }
}

/* Nobody else writes here: what has a temporary name is of jobs that were killed. */
static csim_status clear_away(csim_context *ctx, const char *output)
{
    int removed, kept;
    csim_status st = csim__file_clear_temporary(ctx, output, &removed, &kept);
    if (st == CSIM_OK && removed > 0) {
        csim__log(ctx, CSIM_LOG_INFO, "%s: removed %d unfinished file%s of jobs that were killed",
                  output, removed, removed == 1 ? "" : "s");
    }
    if (st == CSIM_OK && kept > 0) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "%s: %d unfinished file%s of jobs that were killed cannot be removed", output,
                  kept, kept == 1 ? "" : "s");
    }
    return st;
}

static csim_status take(csim_context *ctx, const char *output, csim__lock *lock)
{
    char *file = NULL;
    bool none = false;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__file_check_output(ctx, output, 1));
    CSIM_TRY(csim__file_target(ctx, output, &file));
    CSIM_TRY(csim__format(ctx, &lock->path, "%s.lock", file));
    CSIM_TRY(wait_for(ctx, output, lock, &none));
    if (none) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "%s: the file system has no locks: take care that no other job writes to it",
                  output);
        unlink(lock->path);
        forget(ctx, lock);
        goto done;
    }
    write_holder(lock->fd);
    st = clear_away(ctx, output);
    if (st != CSIM_OK) { csim__lock_release(ctx, lock); }
done:
    if (st != CSIM_OK) { forget(ctx, lock); }
    csim__free(ctx, &file);
    return st;
}

csim_status csim__lock_take(csim_context *ctx, const char *output, csim__lock *lock)
{
    *lock = (csim__lock){.fd = -1};
    csim_status st =
        csim__vote(ctx, csim_context_rank(ctx) == 0 ? take(ctx, output, lock) : CSIM_OK);
    if (st != CSIM_OK) { csim__lock_release(ctx, lock); }
    return st;
}

void csim__lock_release(csim_context *ctx, csim__lock *lock)
{
    if (lock->path == NULL) { return; }
    /* Removed while it is held: who waits for it finds another name or none, and opens anew. */
    if (is_current(lock)) { unlink(lock->path); }
    forget(ctx, lock);
}
