/* Output files that are whole or not there. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static csim_status refuse(csim_context *ctx, const char *path, const char *what)
{
    return csim__fail(ctx, CSIM_E_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* The folder of a path, new. */
static csim_status folder_of(csim_context *ctx, const char *path, char **folder)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) { return csim__strdup(ctx, ".", folder); }
    return csim__format(ctx, folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

csim_status csim__file_check_output(csim_context *ctx, const char *path, int overwrite)
{
    struct stat s;
    char *folder = NULL;
    const char *slash = strrchr(path, '/');
    csim_status st = CSIM_OK;
    if (path[0] == 0 || (slash != NULL && slash[1] == 0)) {
        return csim__fail(ctx, CSIM_E_IO, "'%s' is not the name of a file to write", path);
    }
    CSIM_TRY(folder_of(ctx, path, &folder));
    if (stat(path, &s) == 0) {
        if (!S_ISREG(s.st_mode)) {
            st = csim__fail(ctx, CSIM_E_IO, "%s exists and is not a regular file", path);
        } else if (!overwrite) {
            st = csim__fail(ctx, CSIM_E_EXISTS, "%s exists; --overwrite replaces it", path);
        }
    } else if (errno != ENOENT) {
        st = refuse(ctx, path, "look at the output");
    }
    if (st != CSIM_OK) { goto done; }
    if (stat(folder, &s) != 0 || !S_ISDIR(s.st_mode)) {
        st = csim__fail(ctx, CSIM_E_IO, "%s: there is no folder %s to write to", path, folder);
    } else if (access(folder, W_OK | X_OK) != 0) {
        st = refuse(ctx, folder, "write to the folder");
    }
done:
    csim__free(ctx, &folder);
    return st;
}

csim_status csim__file_temporary(csim_context *ctx, const char *path, char **temporary)
{
    return csim__format(ctx, temporary, "%s.partial.%ld", path, (long)getpid());
}

static csim_status write_all(csim_context *ctx, int fd, const char *path, const char *data,
                             int64_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, (size_t)csim__min64(bytes, 1 << 26));
        if (n < 0 && errno == EINTR) { continue; }
        if (n < 0) { return refuse(ctx, path, "write"); }
        data += n;
        bytes -= n;
    }
    return fsync(fd) == 0 ? CSIM_OK : refuse(ctx, path, "flush");
}

csim_status csim__file_write(csim_context *ctx, const char *path, const void *data, int64_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) { return refuse(ctx, path, "make the file"); }
    csim_status st = write_all(ctx, fd, path, data, bytes);
    if (close(fd) != 0 && st == CSIM_OK) { st = refuse(ctx, path, "close"); }
    if (st != CSIM_OK) { unlink(path); }
    return st;
}

csim_status csim__file_sync(csim_context *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { return refuse(ctx, path, "open the file to flush it"); }
    csim_status st = fsync(fd) == 0 ? CSIM_OK : refuse(ctx, path, "flush");
    close(fd);
    return st;
}

/* Make the new name last. Folders that cannot be flushed (some network file systems) are let be:
 * the file itself is safe. */
static csim_status sync_folder(csim_context *ctx, const char *path)
{
    char *folder = NULL;
    csim_status st = folder_of(ctx, path, &folder);
    int fd = st == CSIM_OK ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        if (fsync(fd) != 0 && errno == EIO) { st = refuse(ctx, folder, "flush the folder"); }
        close(fd);
    }
    csim__free(ctx, &folder);
    return st;
}

csim_status csim__file_publish(csim_context *ctx, const char *temporary, const char *path,
                               int overwrite)
{
    csim_status st = CSIM_OK;
    /* link() refuses an existing name in the same step; where links do not exist, look first. */
    if (!overwrite && link(temporary, path) == 0) {
        unlink(temporary);
        return sync_folder(ctx, path);
    }
    if (!overwrite && (errno == EEXIST || access(path, F_OK) == 0)) {
        st = csim__fail(ctx, CSIM_E_EXISTS, "%s exists; --overwrite replaces it", path);
    } else if (rename(temporary, path) != 0) {
        st = refuse(ctx, path, "give the finished file its name");
    }
    if (st != CSIM_OK) {
        unlink(temporary);
        return st;
    }
    return sync_folder(ctx, path);
}

/* Does the file system, or the file's owner, not allow hard links? */
static int has_no_links(int error)
{
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

/* With a second name `aside` for what `path` is, no step leaves a moment without a file. */
static csim_status rotate_linked(csim_context *ctx, const char *temporary, const char *path,
                                 const char *aside, const char *previous)
{
    csim_status st = CSIM_OK;
    if (rename(temporary, path) != 0) {
        st = refuse(ctx, path, "give the finished file its name");
    } else if (rename(aside, previous) != 0) {
        st = refuse(ctx, previous, "keep the file before under this name");
        rename(aside, path);
    }
    return st;
}

static csim_status rotate_moved(csim_context *ctx, const char *temporary, const char *path,
                                const char *previous)
{
    csim_status st = CSIM_OK;
    if (rename(path, previous) != 0) {
        st = refuse(ctx, previous, "keep the file before under this name");
    } else if (rename(temporary, path) != 0) {
        st = refuse(ctx, path, "give the finished file its name");
        rename(previous, path);
    }
    return st;
}

csim_status csim__file_rotate(csim_context *ctx, const char *temporary, const char *path,
                              const char *previous)
{
    char *aside = NULL;
    csim_status st = csim__file_temporary(ctx, previous, &aside);
    if (st != CSIM_OK) { goto done; }
    unlink(aside); /* of a process of the same number that was killed */
    if (link(path, aside) == 0) {
        st = rotate_linked(ctx, temporary, path, aside, previous);
    } else if (errno == ENOENT) { /* the first of all */
        if (rename(temporary, path) != 0) {
            st = refuse(ctx, path, "give the finished file its name");
        }
    } else if (has_no_links(errno)) {
        st = rotate_moved(ctx, temporary, path, previous);
    } else {
        st = refuse(ctx, previous, "keep the file before under this name");
    }
    unlink(aside); /* is there after a failure, and if both names were the same file's before */
done:
    csim__free(ctx, &aside);
    if (st != CSIM_OK) {
        unlink(temporary);
        return st;
    }
    return sync_folder(ctx, path);
}

csim_status csim__file_size(csim_context *ctx, const char *path, int64_t *bytes)
{
    struct stat s;
    if (stat(path, &s) != 0) { return refuse(ctx, path, "open the file"); }
    *bytes = (int64_t)s.st_size;
    return CSIM_OK;
}
