/* A journal: a head that says what the file is, then records {kind, bytes, data, seal}. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/file.h"
#include "io/journal.h"

/* The first bytes of the file, with a number that shows the byte order of the machine. */
typedef struct head {
    char name[24];
    uint32_t version, order;
} head;

/* Before and behind the data of a record, which is padded to whole words. */
typedef struct record {
    int64_t kind, bytes;
} record;

enum { VERSION = 1, ORDER = 0x01020304, WORD = 8 };

static const head fitting = {"contrasim journal\n", VERSION, ORDER};

struct csim__journal {
    int fd;
    char *path;
    int64_t size;  /* of the head and all whole records */
    uint64_t seal; /* of the last record */
};

static csim_status refuse(csim_context *ctx, const char *path, const char *what)
{
    return csim__fail(ctx, CSIM_E_IO, "%s: cannot %s the journal: %s", path, what, strerror(errno));
}

/* The seal of a record goes on from that of the one before: none can be missing in between. */
static uint64_t seal_of(uint64_t before, const record *r, const void *data)
{
    return XXH3_64bits_withSeed(data, (size_t)r->bytes,
                                XXH3_64bits_withSeed(r, sizeof *r, (XXH64_hash_t)before));
}

static int64_t padded(int64_t bytes)
{
    return (bytes + WORD - 1) / WORD * WORD;
}

/* Write all of it at the end; false with errno on failure. */
static bool put(csim__journal *j, int64_t at, const void *data, int64_t bytes)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t n = pwrite(j->fd, from, (size_t)csim__min64(bytes, 1 << 26), (off_t)at);
        if (n < 0 && errno == EINTR) { continue; }
        if (n < 0) { return false; }
        from += n;
        at += n;
        bytes -= n;
    }
    return true;
}

/* Read as much as there is of it; −1 with errno on failure. */
static int64_t get(csim__journal *j, int64_t at, void *data, int64_t bytes)
{
    char *to = data;
    int64_t done = 0;
    while (done < bytes) {
        ssize_t n =
            pread(j->fd, to + done, (size_t)csim__min64(bytes - done, 1 << 26), (off_t)(at + done));
        if (n < 0 && errno == EINTR) { continue; }
        if (n < 0) { return -1; }
        if (n == 0) { break; }
        done += n;
    }
    return done;
}

static csim_status make(csim_context *ctx, const char *path, int flags, csim__journal **journal)
{
    csim_status st = csim__calloc(ctx, 1, sizeof **journal, "a journal", journal);
    if (st != CSIM_OK) { return st; }
    (*journal)->fd = -1;
    st = csim__strdup(ctx, path, &(*journal)->path);
    if (st != CSIM_OK) { return st; }
    (*journal)->fd = open(path, flags | O_RDWR | O_CLOEXEC, 0666);
    return CSIM_OK;
}

csim_status csim__journal_create(csim_context *ctx, const char *path, csim__journal **journal)
{
    csim_status st = CSIM_OK;
    *journal = NULL;
    CSIM_TRY(make(ctx, path, O_CREAT | O_EXCL, journal));
    csim__journal *j = *journal;
    if (j->fd < 0 && errno == EEXIST) {
        st = csim__fail(ctx, CSIM_E_EXISTS, "%s exists", path);
    } else if (j->fd < 0) {
        st = refuse(ctx, path, "make");
    } else if (!put(j, 0, &fitting, sizeof fitting) || fsync(j->fd) != 0) {
        st = refuse(ctx, path, "write");
        unlink(path);
    } else {
        j->size = sizeof fitting;
        st = csim__file_sync_folder(ctx, path);
    }
done:
    if (st != CSIM_OK) { csim__journal_close(ctx, journal); }
    return st;
}

/* Is it a journal that this program can go on with? One torn in its head is an empty one. */
static csim_status check_head(csim_context *ctx, csim__journal *j)
{
    head found = {.version = 0};
    int64_t there = get(j, 0, &found, sizeof found);
    if (there < 0) { return refuse(ctx, j->path, "read"); }
    if (memcmp(&found, &fitting, (size_t)there) == 0) {
        if (there < (int64_t)sizeof fitting && !put(j, 0, &fitting, sizeof fitting)) {
            return refuse(ctx, j->path, "write");
        }
        j->size = sizeof fitting;
        return CSIM_OK;
    }
    if (there < (int64_t)sizeof found || memcmp(found.name, fitting.name, sizeof found.name) != 0) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s is not a journal of contrasim", j->path);
    }
    if (found.order != ORDER) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s was written on a machine of other byte order",
                          j->path);
    }
    return csim__fail(ctx, CSIM_E_FORMAT,
                      "%s is a journal of version %u, expected version %d: finish it with the "
                      "program that began it",
                      j->path, (unsigned)found.version, VERSION);
}

/* The next record, if it is whole: its data, new, in *data. */
static csim_status next_record(csim_context *ctx, csim__journal *j, int64_t end, record *r,
                               void **data, bool *whole)
{
    uint64_t seal = 0;
    int64_t at = j->size, room = end - at - (int64_t)(sizeof *r + sizeof seal);
    *whole = false;
    if (room < 0) { return CSIM_OK; }
    if (get(j, at, r, sizeof *r) != (int64_t)sizeof *r) { return refuse(ctx, j->path, "read"); }
    if (r->bytes < 0 || r->bytes > room || padded(r->bytes) > room) { return CSIM_OK; }
    csim_status st = csim__alloc(ctx, padded(r->bytes), 1, "a record of a journal", data);
    if (st != CSIM_OK) { return st; }
    at += (int64_t)sizeof *r;
    if (get(j, at, *data, padded(r->bytes)) != padded(r->bytes) ||
        get(j, at + padded(r->bytes), &seal, sizeof seal) != (int64_t)sizeof seal) {
        return refuse(ctx, j->path, "read");
    }
    for (int64_t i = r->bytes; i < padded(r->bytes); i++) {
        if (((const char *)*data)[i] != 0) { return CSIM_OK; }
    }
    if (seal != seal_of(j->seal, r, *data)) { return CSIM_OK; }
    j->seal = seal;
    j->size = at + padded(r->bytes) + (int64_t)sizeof seal;
    *whole = true;
    return CSIM_OK;
}

/* Open a journal, if it is there, and visit its whole records. */
static csim_status read_all(csim_context *ctx, const char *path, csim__record_fn visit, void *user,
                            int64_t *torn, csim__journal **journal)
{
    void *data = NULL;
    struct stat s;
    bool whole = true;
    csim_status st = CSIM_OK;
    *journal = NULL;
    *torn = 0;
    CSIM_TRY(make(ctx, path, 0, journal));
    csim__journal *j = *journal;
    if (j->fd < 0 && errno == ENOENT) {
        csim__journal_close(ctx, journal);
        return CSIM_OK;
    }
    if (j->fd < 0 || fstat(j->fd, &s) != 0) {
        st = refuse(ctx, path, "open");
        goto done;
    }
    CSIM_TRY(check_head(ctx, j));
    while (whole) {
        record r;
        csim__free(ctx, &data);
        CSIM_TRY(next_record(ctx, j, (int64_t)s.st_size, &r, &data, &whole));
        if (whole) { CSIM_TRY(visit(user, (int)r.kind, data, r.bytes)); }
    }
    *torn = csim__max64(0, (int64_t)s.st_size - j->size);
done:
    csim__free(ctx, &data);
    if (st != CSIM_OK) { csim__journal_close(ctx, journal); }
    return st;
}

csim_status csim__journal_look(csim_context *ctx, const char *path, csim__record_fn visit,
                               void *user, int64_t *torn, bool *there)
{
    csim__journal *j = NULL;
    csim_status st = read_all(ctx, path, visit, user, torn, &j);
    *there = j != NULL;
    csim__journal_close(ctx, &j);
    return st;
}

csim_status csim__journal_open(csim_context *ctx, const char *path, csim__record_fn visit,
                               void *user, int64_t *torn, csim__journal **journal)
{
    csim_status st = read_all(ctx, path, visit, user, torn, journal);
    if (st == CSIM_OK && *torn > 0 && ftruncate((*journal)->fd, (off_t)(*journal)->size) != 0) {
        st = refuse(ctx, path, "cut");
        csim__journal_close(ctx, journal);
    }
    return st;
}

csim_status csim__journal_append(csim_context *ctx, csim__journal *j, int kind, const void *data,
                                 int64_t bytes)
{
    static const char zeros[WORD];
    record r = {kind, bytes};
    uint64_t seal = seal_of(j->seal, &r, data);
    int64_t at = j->size, end = at + (int64_t)sizeof r + padded(bytes) + (int64_t)sizeof seal;
    bool good = put(j, at, &r, sizeof r) && put(j, at + (int64_t)sizeof r, data, bytes) &&
                put(j, at + (int64_t)sizeof r + bytes, zeros, padded(bytes) - bytes) &&
                put(j, end - (int64_t)sizeof seal, &seal, sizeof seal) && fdatasync(j->fd) == 0;
    if (!good) {
        csim_status st = refuse(ctx, j->path, "write");
        int cut = ftruncate(j->fd, (off_t)at); /* where it fails, too, the tail is torn */
        (void)cut;
        return st;
    }
    j->size = end;
    j->seal = seal;
    return CSIM_OK;
}

void csim__journal_close(csim_context *ctx, csim__journal **journal)
{
    csim__journal *j = *journal;
    if (j == NULL) { return; }
    if (j->fd >= 0) { close(j->fd); }
    csim__free(ctx, &j->path);
    csim__free(ctx, journal);
}
