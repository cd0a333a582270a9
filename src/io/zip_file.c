#define _POSIX_C_SOURCE 200809L

#include "io/zip_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

enum {
    MOST_INFLATED = 1032, /* bytes that deflate can make of one */
    LEAST_ARCHIVE = 22,   /* bytes of an archive without members */
    CHECK_BLOCK = 1 << 18 /* bytes read at once to compare checksums */
};

/* An archive: libzip reads the file through zip_bytes() below, which notes where. */
struct csim__zip {
    csim__raw *raw; /* borrowed */
    zip_t *archive;
    int64_t at;    /* reading position */
    int64_t first; /* where the first read since it was set to −1 began */
    zip_error_t error;
};

typedef struct csim__zip_stream {
    csim_context *ctx;
    csim__zip *zip;
    int64_t index;
    zip_file_t *file; /* NULL before the first read */
    int64_t at;
} zip_stream;

static zip_int64_t read_at(csim__zip *z, void *data, zip_uint64_t length)
{
    size_t want = length > (zip_uint64_t)1 << 30 ? (size_t)1 << 30 : (size_t)length;
    if (z->first < 0) { z->first = z->at; }
    for (;;) {
        ssize_t n = pread(z->raw->fd, data, want, (off_t)z->at);
        if (n >= 0) {
            z->at += n;
            return n;
        }
        if (errno != EINTR) {
            zip_error_set(&z->error, ZIP_ER_READ, errno);
            return -1;
        }
    }
}

static zip_int64_t seek_to(csim__zip *z, void *data, zip_uint64_t length)
{
    zip_int64_t to = zip_source_seek_compute_offset((zip_uint64_t)z->at, (zip_uint64_t)z->raw->size,
                                                    data, length, &z->error);
    if (to < 0) { return -1; }
    z->at = to;
    return 0;
}

static zip_int64_t describe(const csim__zip *z, void *data, zip_uint64_t length)
{
    zip_stat_t *info = data;
    if (length < sizeof *info) { return -1; }
    zip_stat_init(info);
    info->valid = ZIP_STAT_SIZE;
    info->size = (zip_uint64_t)z->raw->size;
    return (zip_int64_t)sizeof *info;
}

/* The file as libzip sees it. */
static zip_int64_t zip_bytes(void *user, void *data, zip_uint64_t length, zip_source_cmd_t command)
{
    csim__zip *z = user;
    switch (command) {
    case ZIP_SOURCE_OPEN:
        z->at = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return read_at(z, data, length);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    case ZIP_SOURCE_STAT:
        return describe(z, data, length);
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&z->error, data, length);
    case ZIP_SOURCE_SEEK:
        return seek_to(z, data, length);
    case ZIP_SOURCE_TELL:
        return z->at;
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(
            ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
            ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    default:
        zip_error_set(&z->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

csim_status csim__zip_open(csim_context *ctx, csim__raw *raw, csim__zip **zip)
{
    csim__zip *z = NULL;
    zip_error_t error;
    zip_error_init(&error);
    *zip = NULL;
    if (raw->size < LEAST_ARCHIVE) { /* libzip takes an empty file for an empty archive */
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s: has %" PRId64 " bytes, expected a ZIP archive"
                          " of at least %d",
                          raw->path, raw->size, (int)LEAST_ARCHIVE);
    }
    csim_status st = csim__calloc(ctx, 1, sizeof *z, "archive handle", &z);
    if (st != CSIM_OK) { return st; }
    z->raw = raw;
    zip_error_init(&z->error);
    zip_source_t *source = zip_source_function_create(zip_bytes, z, &error);
    if (source != NULL) { z->archive = zip_open_from_source(source, ZIP_RDONLY, &error); }
    if (z->archive == NULL) {
        int memory = zip_error_code_zip(&error) == ZIP_ER_MEMORY;
        st = csim__fail(ctx, memory ? CSIM_E_MEM : CSIM_E_FORMAT,
                        "file %s: cannot be opened as a ZIP"
                        " archive: %s",
                        raw->path, zip_error_strerror(&error));
        if (source != NULL) { zip_source_free(source); }
        zip_error_fini(&z->error);
        csim__free(ctx, &z);
    }
    zip_error_fini(&error);
    *zip = z;
    return st;
}

void csim__zip_close(csim_context *ctx, csim__zip **zip)
{
    if (*zip == NULL) { return; }
    zip_discard((*zip)->archive);
    zip_error_fini(&(*zip)->error);
    csim__free(ctx, zip);
}

int64_t csim__zip_members(const csim__zip *zip)
{
    return zip_get_num_entries(zip->archive, 0);
}

int64_t csim__zip_find(const csim__zip *zip, const char *name)
{
    return zip_name_locate(zip->archive, name, 0);
}

static csim_status open_stream(zip_stream *s)
{
    s->file = zip_fopen_index(s->zip->archive, (zip_uint64_t)s->index, 0);
    s->at = 0;
    if (s->file != NULL) { return CSIM_OK; }
    return csim__fail(s->ctx, CSIM_E_FORMAT, "file %s, member %s: cannot be read: %s",
                      s->zip->raw->path, zip_get_name(s->zip->archive, (zip_uint64_t)s->index, 0),
                      zip_strerror(s->zip->archive));
}

/* The next bytes of a stream. */
static csim_status next_bytes(zip_stream *s, int64_t bytes, char *out)
{
    for (int64_t got = 0; got < bytes;) {
        zip_int64_t n = zip_fread(s->file, out + got, (zip_uint64_t)(bytes - got));
        if (n <= 0) {
            return csim__fail(
                s->ctx, CSIM_E_FORMAT,
                "file %s, member %s: %s at byte %" PRId64
                " unzipped, expected bytes up to %" PRId64,
                s->zip->raw->path, zip_get_name(s->zip->archive, (zip_uint64_t)s->index, 0),
                n == 0 ? "ends" : zip_file_strerror(s->file), s->at, s->at + bytes - got);
        }
        got += n;
        s->at += n;
    }
    return CSIM_OK;
}

static csim_status read_stream(csim_context *ctx, void *self, int64_t offset, int64_t bytes,
                               void *out)
{
    csim_status st = CSIM_OK;
    zip_stream *s = self;
    char skipped[16384];
    s->ctx = ctx;
    if (s->file != NULL && offset < s->at) {
        zip_fclose(s->file);
        s->file = NULL;
    }
    if (s->file == NULL) { CSIM_TRY(open_stream(s)); }
    while (s->at < offset) {
        CSIM_TRY(next_bytes(s, csim__min64(offset - s->at, (int64_t)sizeof skipped), skipped));
    }
    st = next_bytes(s, bytes, out);
done:
    return st;
}

/* Where the bytes of a stored member begin: where libzip reads its first one. */
static csim_status find_place(csim_context *ctx, csim__zip *zip, csim__zip_member *m)
{
    csim_status st = CSIM_OK;
    char byte;
    m->place = -1;
    if (m->size == 0) { return CSIM_OK; }
    CSIM_TRY(open_stream(m->stream));
    zip->first = -1;
    CSIM_TRY(read_stream(ctx, m->stream, 0, 1, &byte));
    m->place = zip->first;
done:
    return st;
}

/* The directory's entry of member @p i, checked against the size of the file. */
static csim_status check_entry(csim_context *ctx, csim__zip *zip, int64_t i, zip_stat_t *info)
{
    const zip_uint64_t wanted =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    const char *path = zip->raw->path;
    if (zip_stat_index(zip->archive, (zip_uint64_t)i, 0, info) != 0 ||
        (info->valid & wanted) != wanted || info->size > INT64_MAX) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s: member %" PRId64 " has no usable entry in the"
                          " directory",
                          path, i);
    }
    if ((info->valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && info->encryption_method != ZIP_EM_NONE) {
        return csim__fail(ctx, CSIM_E_FORMAT, "file %s, member %s: is encrypted", path, info->name);
    }
    if (info->comp_method != ZIP_CM_STORE && info->comp_method != ZIP_CM_DEFLATE) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, member %s: is compressed by method %d, expected"
                          " stored or deflated",
                          path, info->name, (int)info->comp_method);
    }
    zip_uint64_t room = (zip_uint64_t)zip->raw->size;
    zip_uint64_t most =
        info->comp_method == ZIP_CM_STORE ? info->comp_size : MOST_INFLATED * info->comp_size + 64;
    if (info->comp_size > room || info->size > most) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, member %s: the directory promises %" PRIu64
                          " bytes out of %" PRIu64 ", the file has %" PRIu64,
                          path, info->name, (uint64_t)info->size, (uint64_t)info->comp_size,
                          (uint64_t)room);
    }
    return CSIM_OK;
}

csim_status csim__zip_open_member(csim_context *ctx, csim__zip *zip, int64_t i,
                                  csim__zip_member **member)
{
    csim_status st = CSIM_OK;
    zip_stat_t info;
    csim__zip_member *m = NULL;
    *member = NULL;
    CSIM_TRY(check_entry(ctx, zip, i, &info));
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *m, "member of an archive", &m));
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *m->stream, "stream of an archive", &m->stream));
    *m->stream = (zip_stream){.ctx = ctx, .zip = zip, .index = i};
    m->source = (csim__source){.read = read_stream, .self = m->stream};
    m->size = (int64_t)info.size;
    m->place = -1;
    CSIM_TRY(csim__strdup(ctx, info.name, &m->name));
    if (info.comp_method == ZIP_CM_STORE) { CSIM_TRY(find_place(ctx, zip, m)); }
    *member = m;
    return CSIM_OK;
done:
    csim__zip_close_member(ctx, &m);
    return st;
}

void csim__zip_close_member(csim_context *ctx, csim__zip_member **member)
{
    if (*member == NULL) { return; }
    if ((*member)->stream != NULL && (*member)->stream->file != NULL) {
        zip_fclose((*member)->stream->file);
    }
    csim__free(ctx, &(*member)->stream);
    csim__free(ctx, &(*member)->name);
    csim__free(ctx, member);
}

const char *csim__zip_name(const csim__zip *zip, int64_t i)
{
    return zip_get_name(zip->archive, (zip_uint64_t)i, 0);
}

/* libzip compares at the end of a member, and there only. */
csim_status csim__zip_check(csim_context *ctx, csim__zip *zip, int64_t i)
{
    csim_status st = CSIM_OK;
    zip_stat_t info;
    char *block = NULL;
    zip_int64_t n = 0;
    CSIM_TRY(check_entry(ctx, zip, i, &info));
    CSIM_TRY(csim__alloc(ctx, CHECK_BLOCK, 1, "block of a member", &block));
    zip_file_t *file = zip_fopen_index(zip->archive, (zip_uint64_t)i, 0);
    zip_error_t *error = file != NULL ? zip_file_get_error(file) : zip_get_error(zip->archive);
    do {
        n = file != NULL ? zip_fread(file, block, CHECK_BLOCK) : -1;
    } while (n > 0);
    int why = n < 0 ? zip_error_code_zip(error) : ZIP_ER_OK;
    if (n < 0) {
        st = csim__fail(ctx,
                        why == ZIP_ER_MEMORY ? CSIM_E_MEM
                        : why == ZIP_ER_READ ? CSIM_E_IO
                                             : CSIM_E_FORMAT,
                        "file %s, member %s: %s", zip->raw->path, info.name,
                        why == ZIP_ER_CRC ? "is damaged: its CRC-32 is not the one in the directory"
                                          : zip_error_strerror(error));
    }
    if (file != NULL) { zip_fclose(file); }
done:
    csim__free(ctx, &block);
    return st;
}
