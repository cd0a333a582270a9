/* From what the user wrote to a list of files. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include "io/set.h"

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int csim__natural_order(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x != '\0' && *y != '\0') {
        if (!is_digit(*x) || !is_digit(*y)) {
            if (*x != *y) { return (unsigned char)*x < (unsigned char)*y ? -1 : 1; }
            ++x, ++y;
            continue;
        }
        while (*x == '0') { ++x; }
        while (*y == '0') { ++y; }
        size_t m = strspn(x, "0123456789"), n = strspn(y, "0123456789");
        int order = m != n ? (m < n ? -1 : 1) : strncmp(x, y, m);
        if (order != 0) { return order; }
        x += m;
        y += n;
    }
    if (*x != *y) { return *x == '\0' ? -1 : 1; }
    return strcmp(a, b); /* layer_1 and layer_01 */
}

static int by_name(const void *a, const void *b)
{
    return csim__natural_order(*(char *const *)a, *(char *const *)b);
}

static int by_path(const void *a, const void *b)
{
    const csim__set_file *x = a, *y = b;
    return csim__natural_order(x->path, y->path);
}

/* The last component of a path, its trailing slashes left out. */
static void last_component(const char *path, size_t length, const char **begin, size_t *n)
{
    while (length > 1 && path[length - 1] == '/') { --length; }
    *n = 0;
    while (*n < length && path[length - 1 - *n] != '/') { ++*n; }
    *begin = path + length - *n;
}

static int has_wildcard(const char *text, size_t n)
{
    for (size_t i = 0; i < n; ++i) {
        if (strchr("*?[", text[i]) != NULL) { return 1; }
    }
    return 0;
}

/* Name a set by its path: the last component without wildcards, of a file without extension. */
static csim_status stem(csim_set *set, int folder)
{
    const char *begin, *path = set->path;
    size_t length = strlen(path), n;
    int last = 1;
    last_component(path, length, &begin, &n);
    while (has_wildcard(begin, n) && begin > path) {
        last = 0;
        last_component(path, (size_t)(begin - path), &begin, &n);
    }
    if (last && !folder) {
        for (size_t i = n; i > 1; --i) {
            if (begin[i - 1] == '.') {
                n = i - 1;
                break;
            }
        }
    }
    if (n == 0 || has_wildcard(begin, n) || strncmp(begin, "/", n) == 0 ||
        strncmp(begin, ".", n) == 0 || (n == 2 && strncmp(begin, "..", n) == 0)) {
        return csim__strdup(set->ctx, "set", &set->name);
    }
    return csim__format(set->ctx, &set->name, "%.*s", (int)n, begin);
}

/* Split "name=path". A '=' behind a '/', or in the name of something that exists, is of the path. */
static csim_status split_spec(csim_set *set, const char *spec)
{
    csim_status st = CSIM_OK;
    struct stat info;
    const char *equals = strchr(spec, '='), *slash = strchr(spec, '/');
    int named = equals != NULL && equals != spec && (slash == NULL || equals < slash) &&
                stat(spec, &info) != 0;
    const char *path = named ? equals + 1 : spec;
    if (*path == '\0') {
        return csim__fail(set->ctx, CSIM_E_ARG, "set '%s': has no path, expected name=path", spec);
    }
    if (named) { CSIM_TRY(csim__format(set->ctx, &set->name, "%.*s", (int)(equals - spec), spec)); }
    st = csim__strdup(set->ctx, path, &set->path);
done:
    return st;
}

/* The format of a file by its content, else by its name; NULL: neither. */
static csim_status recognise(csim_context *ctx, const char *path, const csim__reader **format,
                             int64_t *bytes)
{
    csim_status st = CSIM_OK;
    unsigned char head[64];
    struct stat info;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    *format = NULL;
    if (fd < 0 || fstat(fd, &info) != 0) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: cannot be opened: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: is not a regular file", path);
        goto done;
    }
    do {
        n = pread(fd, head, sizeof head, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: cannot be read: %s", path, strerror(errno));
        goto done;
    }
    *bytes = (int64_t)info.st_size;
    *format = csim__format_of(head, (size_t)n);
    if (*format == NULL) { *format = csim__format_named(path); }
done:
    if (fd >= 0) { close(fd); }
    return st;
}

/* Is it the lock of an output? To open and close our own would let it go. */
static int is_lock(const char *path)
{
    static const char end[] = ".lock";
    size_t n = strlen(path), m = sizeof end - 1;
    return n > m && strcmp(path + n - m, end) == 0;
}

/* Add a file to the set; one of an unknown format is an error only when it was named. */
static csim_status add_file(csim_set *set, const char *path, const char *part_of, int named)
{
    csim_status st = CSIM_OK;
    csim__set_file f = {0};
    if (!named && is_lock(path)) { return CSIM_OK; }
    CSIM_TRY(recognise(set->ctx, path, &f.format, &f.bytes));
    if (f.format == NULL && named) {
        return csim__fail(set->ctx, CSIM_E_FORMAT,
                          "file %s: is none of .npy, .npz, .safetensors,"
                          " netCDF-4 and HDF5 by its first bytes",
                          path);
    }
    if (f.format == NULL) {
        csim__log(set->ctx, CSIM_LOG_INFO, "file %s: left out, its format is not known", path);
        return CSIM_OK;
    }
    CSIM_TRY(csim__strdup(set->ctx, path, &f.path));
    if (part_of != NULL) { CSIM_TRY(csim__strdup(set->ctx, part_of, &f.part_of)); }
    if ((set->files & (set->files - 1)) == 0) { /* grow at powers of two */
        CSIM_TRY(csim__realloc(set->ctx, 2 * set->files + 1, sizeof *set->file, "list of files",
                               &set->file));
    }
    set->file[set->files++] = f;
    set->bytes += f.bytes;
    return CSIM_OK;
done:
    csim__free(set->ctx, &f.path);
    csim__free(set->ctx, &f.part_of);
    return st;
}

/* The names in a folder, hidden ones left out, in natural order. */
static csim_status list_folder(csim_context *ctx, const char *path, char ***names, int64_t *count)
{
    csim_status st = CSIM_OK;
    *names = NULL;
    *count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return csim__fail(ctx, CSIM_E_IO, "folder %s: cannot be read: %s", path, strerror(errno));
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (entry == NULL && errno != 0) {
            st = csim__fail(ctx, CSIM_E_IO, "folder %s: cannot be read: %s", path, strerror(errno));
            goto done;
        }
        if (entry == NULL) { break; }
        if (entry->d_name[0] == '.') { continue; }
        if ((*count & (*count - 1)) == 0) {
            CSIM_TRY(csim__realloc(ctx, 2 * *count + 1, sizeof **names, "list of names", names));
        }
        CSIM_TRY(csim__strdup(ctx, entry->d_name, &(*names)[*count]));
        ++*count;
    }
    if (*count > 0) { qsort(*names, (size_t)*count, sizeof **names, by_name); }
done:
    closedir(folder);
    return st;
}

/* The files of a folder. Its sub-folders hold pieces of sites: with --concat they are read too. */
static csim_status add_folder(csim_set *set, const char *path, const char *part_of, int depth)
{
    csim_status st = CSIM_OK;
    char **names = NULL, *inside = NULL;
    int64_t count = 0;
    CSIM_TRY(list_folder(set->ctx, path, &names, &count));
    size_t n = strlen(path);
    const char *joint = n > 0 && path[n - 1] == '/' ? "" : "/";
    for (int64_t i = 0; i < count; ++i) {
        struct stat info;
        CSIM_TRY(csim__format(set->ctx, &inside, "%s%s%s", path, joint, names[i]));
        if (stat(inside, &info) != 0) {
            st = csim__fail(set->ctx, CSIM_E_IO, "file %s: cannot be opened: %s", inside,
                            strerror(errno));
            goto done;
        }
        if (S_ISREG(info.st_mode)) {
            CSIM_TRY(add_file(set, inside, part_of, 0));
        } else if (S_ISDIR(info.st_mode) && depth > 0) {
            CSIM_TRY(add_folder(set, inside, names[i], depth - 1));
        }
        csim__free(set->ctx, &inside);
    }
done:
    csim__free(set->ctx, &inside);
    for (int64_t i = 0; i < count; ++i) { csim__free(set->ctx, &names[i]); }
    csim__free(set->ctx, &names);
    return st;
}

static csim_status add_glob(csim_set *set, int concat)
{
    csim_status st = CSIM_OK;
    glob_t found = {0};
    int code = glob(set->path, 0, NULL, &found);
    if (code == GLOB_NOMATCH) {
        st = csim__fail(set->ctx, CSIM_E_IO, "set %s: no file matches it", set->path);
        goto done;
    }
    if (code != 0) {
        st = csim__fail(set->ctx, code == GLOB_NOSPACE ? CSIM_E_MEM : CSIM_E_IO,
                        "set %s: its folders cannot be read", set->path);
        goto done;
    }
    for (size_t i = 0; i < found.gl_pathc; ++i) {
        const char *path = found.gl_pathv[i], *begin;
        struct stat info;
        size_t n;
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            char name[256];
            last_component(path, strlen(path), &begin, &n);
            snprintf(name, sizeof name, "%.*s", (int)n, begin);
            if (concat) { CSIM_TRY(add_folder(set, path, name, 0)); }
        } else {
            CSIM_TRY(add_file(set, path, NULL, 0));
        }
    }
done:
    globfree(&found);
    return st;
}

csim_status csim__set_find(csim_set *set, const char *spec, const csim_input_options *options)
{
    csim_status st = CSIM_OK;
    struct stat info;
    CSIM_TRY(split_spec(set, spec));
    int there = stat(set->path, &info) == 0, why = errno;
    int folder = there && S_ISDIR(info.st_mode);
    if (set->name == NULL) { CSIM_TRY(stem(set, folder)); }
    if (folder) {
        CSIM_TRY(add_folder(set, set->path, NULL, options->concat_rows));
    } else if (there) {
        CSIM_TRY(add_file(set, set->path, NULL, 1));
    } else if (has_wildcard(set->path, strlen(set->path))) {
        CSIM_TRY(add_glob(set, options->concat_rows));
    } else {
        st = csim__fail(set->ctx, CSIM_E_IO, "set %s: %s", set->path, strerror(why));
        goto done;
    }
    if (set->files == 0) {
        st = csim__fail(set->ctx, CSIM_E_IO,
                        "set %s: holds no file of a known format (.npy, .npz,"
                        " .safetensors, .nc, .h5)%s",
                        set->path,
                        options->concat_rows ? "" : "; sub-folders are read with --concat rows");
        goto done;
    }
    qsort(set->file, (size_t)set->files, sizeof *set->file, by_path);
done:
    return st;
}
