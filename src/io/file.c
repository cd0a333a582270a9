/* Output files that are whole or not there. */
#define _XOPEN_SOURCE 700 /* realpath() */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

csim_status csim__file_target(csim_context *ctx, const char *path, char **file)
{
    struct stat s;
    char *real = lstat(path, &s) == 0 && S_ISLNK(s.st_mode) ? realpath(path, NULL) : NULL;
    csim_status st = csim__strdup(ctx, real != NULL ? real : path, file);
    free(real);
    return st;
}

csim_status csim__file_previous(csim_context *ctx, const char *path, char **previous)
{
    char *file = NULL;
    *previous = NULL;
    csim_status st = csim__file_target(ctx, path, &file);
    if (st == CSIM_OK) { st = csim__format(ctx, previous, "%s.prev", file); }
    csim__free(ctx, &file);
    return st;
}

int csim__file_exists(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

csim_status csim__file_check_output(csim_context *ctx, const char *path, int overwrite)
{
    struct stat s;
    char *folder = NULL, *file = NULL;
    const char *slash = strrchr(path, '/');
    csim_status st = CSIM_OK;
    if (path[0] == 0 || (slash != NULL && slash[1] == 0)) {
        return csim__fail(ctx, CSIM_E_IO, "'%s' is not the name of a file to write", path);
    }
    CSIM_TRY(csim__file_target(ctx, path, &file));
    CSIM_TRY(folder_of(ctx, file, &folder));
    if (stat(path, &s) == 0) {
        if (!S_ISREG(s.st_mode)) {
            st = csim__fail(ctx, CSIM_E_IO, "%s exists and is not a regular file", path);
        } else if (!overwrite) {
            st = csim__fail(ctx, CSIM_E_EXISTS, "%s exists; --overwrite replaces it", path);
        }
    } else if (errno != ENOENT) {
        st = refuse(ctx, path, "look at the output");
    } else if (csim__file_exists(path)) {
        st = csim__fail(ctx, CSIM_E_IO, "%s is a symbolic link to a file that is not there", path);
    }
    if (st != CSIM_OK) { goto done; }
    if (stat(folder, &s) != 0 || !S_ISDIR(s.st_mode)) {
        st = csim__fail(ctx, CSIM_E_IO, "%s: there is no folder %s to write to", path, folder);
    } else if (access(folder, W_OK | X_OK) != 0) {
        st = refuse(ctx, path, "write to its folder");
    }
done:
    csim__free(ctx, &folder);
    csim__free(ctx, &file);
    return st;
}

csim_status csim__file_same(csim_context *ctx, const char *a, const char *b, int *same)
{
    struct stat s, t;
    char *folder[2] = {NULL, NULL};
    const char *name[2] = {a, b};
    csim_status st = CSIM_OK;
    int there = stat(a, &s) == 0;
    *same = 0;
    if (there != (stat(b, &t) == 0)) { return CSIM_OK; }
    if (there) {
        *same = s.st_dev == t.st_dev && s.st_ino == t.st_ino;
        return CSIM_OK;
    }
    /* Two files to come: the same name in the same folder. */
    for (int i = 0; i < 2; ++i) {
        const char *slash = strrchr(name[i], '/');
        CSIM_TRY(folder_of(ctx, name[i], &folder[i]));
        name[i] = slash != NULL ? slash + 1 : name[i];
    }
    *same = strcmp(name[0], name[1]) == 0 && stat(folder[0], &s) == 0 && stat(folder[1], &t) == 0 &&
            s.st_dev == t.st_dev && s.st_ino == t.st_ino;
done:
    for (int i = 0; i < 2; ++i) { csim__free(ctx, &folder[i]); }
    return st;
}

csim_status csim__file_check_apart(csim_context *ctx, const char *kind, const char *path,
                                   const char *other_kind, const char *other, const char *set)
{
    int same = 0;
    csim_status st = csim__file_same(ctx, path, other, &same);
    if (st != CSIM_OK || !same) { return st; }
    return csim__fail(ctx, CSIM_E_USAGE, "%s %s is %s %s%s%s, which it would replace", kind, path,
                      other_kind, other, set != NULL ? " of set " : "", set != NULL ? set : "");
}

csim_status csim__file_check_sets(csim_context *ctx, const char *kind, const char *path,
                                  csim_set *const *sets, int count)
{
    csim_status st = CSIM_OK;
    for (int i = 0; i < count; i++) {
        for (int k = 0; sets[i] != NULL && k < csim_set_file_count(sets[i]); k++) {
            CSIM_TRY(csim__file_check_apart(ctx, kind, path, "file", csim_set_file(sets[i], k),
                                            csim_set_name(sets[i])));
        }
    }
done:
    return st;
}

csim_status csim__file_temporary(csim_context *ctx, const char *path, char **temporary)
{
    char *file = NULL;
    *temporary = NULL;
    csim_status st = csim__file_target(ctx, path, &file);
    if (st == CSIM_OK) {
        st = csim__format(ctx, temporary, "%s.partial.%ld", file, (long)getpid());
    }
    csim__free(ctx, &file);
    return st;
}

/* Is it "BASE.partial.PID" or "BASE.prev.partial.PID"? */
static int is_temporary(const char *name, const char *base)
{
    static const char prev[] = ".prev", mark[] = ".partial.";
    size_t n = strlen(base);
    if (strncmp(name, base, n) != 0) { return 0; }
    name += n;
    if (strncmp(name, prev, sizeof prev - 1) == 0) { name += sizeof prev - 1; }
    if (strncmp(name, mark, sizeof mark - 1) != 0) { return 0; }
    name += sizeof mark - 1;
    return name[0] != 0 && name[strspn(name, "0123456789")] == 0;
}

csim_status csim__file_clear_temporary(csim_context *ctx, const char *path, int *removed, int *kept)
{
    char *file = NULL, *folder = NULL;
    DIR *list = NULL;
    csim_status st = CSIM_OK;
    *removed = *kept = 0;
    CSIM_TRY(csim__file_target(ctx, path, &file));
    CSIM_TRY(folder_of(ctx, file, &folder));
    const char *slash = strrchr(file, '/'), *base = slash != NULL ? slash + 1 : file;
    list = opendir(folder);
    for (struct dirent *d; list != NULL && (d = readdir(list)) != NULL;) {
        if (!is_temporary(d->d_name, base)) { continue; }
        if (unlinkat(dirfd(list), d->d_name, 0) == 0) {
            ++*removed;
        } else {
            ++*kept;
        }
    }
    if (list != NULL) { closedir(list); }
done:
    csim__free(ctx, &folder);
    csim__free(ctx, &file);
    return st;
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

csim_status csim__file_sync_folder(csim_context *ctx, const char *path)
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
    char *file = NULL;
    CSIM_TRY(csim__file_target(ctx, path, &file));
    /* link() refuses an existing name in the same step; where links do not exist, look first. */
    if (!overwrite && link(temporary, path) == 0) {
        unlink(temporary);
    } else if (!overwrite && (errno == EEXIST || csim__file_exists(path))) {
        st = csim__fail(ctx, CSIM_E_EXISTS, "%s exists; --overwrite replaces it", path);
    } else if (rename(temporary, file) != 0) {
        st = refuse(ctx, path, "give the finished file its name");
    }
    if (st == CSIM_OK) { st = csim__file_sync_folder(ctx, file); }
done:
    if (st != CSIM_OK) { unlink(temporary); }
    csim__free(ctx, &file);
    return st;
}

csim_status csim__file_replace(csim_context *ctx, const char *path, const void *data, int64_t bytes,
                               int overwrite)
{
    char *temporary = NULL;
    csim_status st = csim__file_temporary(ctx, path, &temporary);
    if (st == CSIM_OK) { st = csim__file_write(ctx, temporary, data, bytes); }
    if (st == CSIM_OK) { st = csim__file_publish(ctx, temporary, path, overwrite); }
    csim__free(ctx, &temporary);
    return st;
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
    return csim__file_sync_folder(ctx, path);
}

csim_status csim__file_set_aside(csim_context *ctx, const char *path)
{
    char *file = NULL, *aside = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__file_target(ctx, path, &file));
    CSIM_TRY(csim__format(ctx, &aside, "%s.damaged", file));
    if (rename(file, aside) != 0) {
        st = refuse(ctx, path, "set the damaged file aside");
    } else {
        csim__log(ctx, CSIM_LOG_WARNING, "the damaged %s is called %s now", path, aside);
    }
done:
    csim__free(ctx, &aside);
    csim__free(ctx, &file);
    return st;
}

csim_status csim__file_remove(csim_context *ctx, const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT) { return CSIM_OK; }
    return refuse(ctx, path, "remove the file");
}

csim_status csim__file_size(csim_context *ctx, const char *path, int64_t *bytes)
{
    struct stat s;
    if (stat(path, &s) != 0) { return refuse(ctx, path, "open the file"); }
    *bytes = (int64_t)s.st_size;
    return CSIM_OK;
}
