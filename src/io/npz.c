/* NumPy's .npz: a ZIP archive of .npy. Stored members are read in place, deflated ones inflated from
 * their start, one stream a member, kept while reads ascend. */
#include "io/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/zip_file.h"

/* An open archive: `zip` only once a deflated member or ids were asked for. */
typedef struct npz_file {
    csim__raw *raw;
    csim__zip *zip;
    csim__zip_member **stream; /* by place in the archive, NULL while not open */
    int64_t streams;
    char *ids;         /* name of the ids that were looked up, NULL before */
    int64_t ids_place; /* −1: there are none */
    csim__npy ids_npy;
} npz_file;

static int probe(const unsigned char *head, size_t len)
{
    return len >= 4 && memcmp(head, "PK\3\4", 4) == 0;
}

/* Length of a member's name without ".npy", −1 if it is another kind of file. */
static int64_t array_name_length(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".npy") == 0 ? (int64_t)n - 4 : -1;
}

/* The bytes at the place found must be the ones that unzipping gives: else the place is wrong. */
static csim_status check_place(csim_context *ctx, const csim__raw *raw, csim__zip_member *member,
                               const csim__npy *npy, int64_t *place)
{
    csim_status st = CSIM_OK;
    char direct[128], unzipped[128];
    int64_t n = csim__min64(npy->data, (int64_t)sizeof direct);
    if (*place < 0 || *place > raw->size - member->size) {
        *place = -1;
        return CSIM_OK;
    }
    CSIM_TRY(raw->source.read(ctx, raw->source.self, *place, n, direct));
    CSIM_TRY(member->source.read(ctx, member->source.self, 0, n, unzipped));
    if (memcmp(direct, unzipped, (size_t)n) != 0) { *place = -1; }
done:
    return st;
}

/* The header of a member; ids that cannot be used are refused, not left out. */
static csim_status member_header(csim_context *ctx, const char *path, const char *label,
                                 const char *name, csim__zip_member *member, csim__npy *npy)
{
    char found[64];
    csim_status st = csim__npy_header(ctx, label, &member->source, member->size, npy);
    int ids = strcmp(name, "example_id") == 0;
    if (!ids || (st != CSIM_OK && st != CSIM_E_DATA)) { return st; }
    if (st == CSIM_OK && csim__npy_is_integer(npy) && npy->ndim == 1) { return CSIM_OK; }
    csim__forgive(ctx);
    snprintf(found, sizeof found, "an array of '%s' with %d dimensions", npy->descr, npy->ndim);
    return csim__refuse_ids(ctx, path, st == CSIM_OK ? found : "not an array of numbers");
}

/* Header of member @p i: into *a when it is an array to compare; *found says so. */
static csim_status scan_member(csim_context *ctx, const csim__raw *raw, csim__zip *zip, int64_t i,
                               csim__array *a, int *found)
{
    csim_status st = CSIM_OK;
    csim__zip_member *member = NULL;
    csim__npy npy;
    char *label = NULL;
    *found = 0;
    CSIM_TRY(csim__zip_open_member(ctx, zip, i, &member));
    int64_t length = array_name_length(member->name);
    if (length < 0) { goto done; }
    CSIM_TRY(csim__format(ctx, &a->name, "%.*s", (int)length, member->name));
    CSIM_TRY(csim__format(ctx, &label, "file %s, array %s", raw->path, a->name));
    CSIM_TRY(member_header(ctx, raw->path, label, a->name, member, &npy));
    if (csim__npy_is_integer(&npy) && csim__is_annotation(a->name)) { goto done; }
    CSIM_TRY(csim__npy_array(ctx, label, &npy, a));
    int64_t place = member->place;
    CSIM_TRY(check_place(ctx, raw, member, &npy, &place));
    a->offset = place < 0 ? -1 : place + npy.data;
    *found = 1;
done:
    csim__free(ctx, &label);
    csim__zip_close_member(ctx, &member);
    return st;
}

/* Arrays of integers beside the others are left out; a file without any other is refused. */
static csim_status finish_scan(csim_context *ctx, const char *path, int64_t found, int64_t left_out,
                               csim_status why, const char *reason)
{
    if (found == 0 && left_out > 0) { return csim__fail(ctx, why, "%s", reason); }
    if (found == 0) {
        return csim__fail(ctx, CSIM_E_DATA,
                          "file %s: is a ZIP archive without .npy arrays; of a"
                          " PyTorch file make safetensors: safetensors.torch.save_file(torch.load("
                          "'x.pt'), 'x.safetensors')",
                          path);
    }
    if (left_out > 0) {
        csim__log(ctx, CSIM_LOG_WARNING, "%" PRId64 " arrays were left out, the first: %s",
                  left_out, reason);
    }
    return CSIM_OK;
}

static csim_status scan(csim_context *ctx, const char *path, csim__catalog *catalog)
{
    csim_status st = CSIM_OK;
    csim__raw *raw = NULL;
    csim__zip *zip = NULL;
    char *reason = NULL;
    int64_t found = 0, left_out = 0;
    CSIM_TRY(csim__raw_open(ctx, path, &raw));
    CSIM_TRY(csim__zip_open(ctx, raw, &zip));
    for (int64_t i = 0; i < csim__zip_members(zip); ++i) {
        csim__array a = {.path = raw->path, .layer_index = -1};
        int is_array;
        st = scan_member(ctx, raw, zip, i, &a, &is_array);
        if (st == CSIM_E_DATA) {
            left_out += 1;
            st = reason == NULL ? csim__strdup(ctx, csim_context_error(ctx), &reason) : CSIM_OK;
            if (st == CSIM_OK) { csim__forgive(ctx); }
        } else if (st == CSIM_OK && is_array) {
            found += 1;
            st = csim__catalog_add(ctx, catalog, &a);
        }
        csim__free(ctx, &a.name);
        if (st != CSIM_OK) { goto done; }
    }
    st = finish_scan(ctx, path, found, left_out, CSIM_E_DATA, reason);
done:
    csim__free(ctx, &reason);
    csim__zip_close(ctx, &zip);
    csim__raw_close(ctx, &raw);
    return st;
}

static void close_file(csim_context *ctx, void **handle)
{
    npz_file *file = *handle;
    if (file == NULL) { return; }
    for (int64_t i = 0; i < file->streams; ++i) { csim__zip_close_member(ctx, &file->stream[i]); }
    csim__free(ctx, &file->stream);
    csim__free(ctx, &file->ids);
    csim__zip_close(ctx, &file->zip);
    csim__raw_close(ctx, &file->raw);
    csim__free(ctx, handle);
}

static csim_status open_file(csim_context *ctx, const char *path, void **handle)
{
    csim_status st = CSIM_OK;
    npz_file *file = NULL;
    *handle = NULL;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *file, "file handle", &file));
    CSIM_TRY(csim__raw_open(ctx, path, &file->raw));
    *handle = file;
    return CSIM_OK;
done:
    csim__free(ctx, &file);
    return st;
}

/* The stream of member @p place, opened when first asked for. */
static csim_status stream_of(csim_context *ctx, npz_file *file, int64_t place,
                             const csim__source **source)
{
    csim_status st = CSIM_OK;
    if (file->stream[place] == NULL) {
        CSIM_TRY(csim__zip_open_member(ctx, file->zip, place, &file->stream[place]));
    }
    *source = &file->stream[place]->source;
done:
    return st;
}

static csim_status open_directory(csim_context *ctx, npz_file *file)
{
    csim_status st = CSIM_OK;
    if (file->zip == NULL) { CSIM_TRY(csim__zip_open(ctx, file->raw, &file->zip)); }
    if (file->stream == NULL) {
        int64_t members = csim__zip_members(file->zip);
        CSIM_TRY(csim__calloc(ctx, members, sizeof *file->stream, "streams of an archive",
                              &file->stream));
        file->streams = members;
    }
done:
    return st;
}

/* An array whose bytes must be unzipped: a->offset does not say where they are, the header does. */
static csim_status read_zipped(csim_context *ctx, npz_file *file, const csim__array *a,
                               const int64_t *start, const int64_t *count, double *out)
{
    csim_status st = CSIM_OK;
    const csim__source *source;
    csim__npy npy;
    csim__array here = *a;
    char *label = NULL;
    CSIM_TRY(csim__format(ctx, &label, "%s.npy", a->name));
    CSIM_TRY(open_directory(ctx, file));
    int64_t place = csim__zip_find(file->zip, label);
    if (place < 0) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: has no array %s any more", a->path, a->name);
        goto done;
    }
    CSIM_TRY(stream_of(ctx, file, place, &source));
    csim__zip_member *member = file->stream[place];
    if (member->data == 0) {
        CSIM_TRY(csim__npy_header(ctx, label, source, member->size, &npy));
        member->data = npy.data;
    }
    here.offset = member->data;
    st = csim__raw_read(ctx, source, &here, start, count, out);
done:
    csim__free(ctx, &label);
    return st;
}

static csim_status read_array(csim_context *ctx, void *handle, const csim__array *a,
                              const int64_t *start, const int64_t *count, double *out)
{
    npz_file *file = handle;
    if (a->offset < 0) { return read_zipped(ctx, file, a, start, count, out); }
    return csim__raw_read(ctx, &file->raw->source, a, start, count, out);
}

/* Look up the one-dimensional array of integers `name`. */
static csim_status find_ids(csim_context *ctx, npz_file *file, const char *name)
{
    csim_status st = CSIM_OK;
    const csim__source *source;
    char *member = NULL, *copy = NULL;
    CSIM_TRY(csim__strdup(ctx, name, &copy));
    CSIM_TRY(csim__format(ctx, &member, "%s.npy", name));
    CSIM_TRY(open_directory(ctx, file));
    int64_t place = csim__zip_find(file->zip, member);
    if (place >= 0) {
        CSIM_TRY(stream_of(ctx, file, place, &source));
        CSIM_TRY(csim__zip_check(ctx, file->zip, place));
        CSIM_TRY(csim__npy_header(ctx, member, source, file->stream[place]->size, &file->ids_npy));
        if (!csim__npy_is_integer(&file->ids_npy) || file->ids_npy.ndim != 1) { place = -1; }
    }
    csim__free(ctx, &file->ids);
    file->ids = copy;
    copy = NULL;
    file->ids_place = place;
done:
    csim__free(ctx, &copy);
    csim__free(ctx, &member);
    return st;
}

static csim_status read_ids(csim_context *ctx, void *handle, const char *name, int64_t start,
                            int64_t count, int64_t *out, int *has)
{
    csim_status st = CSIM_OK;
    npz_file *file = handle;
    const csim__source *source;
    if (file->ids == NULL || strcmp(file->ids, name) != 0) { CSIM_TRY(find_ids(ctx, file, name)); }
    *has = file->ids_place >= 0;
    if (!*has) { return CSIM_OK; }
    const csim__npy *npy = &file->ids_npy;
    if (start < 0 || count < 0 || start > npy->shape[0] - count) {
        return csim__fail(ctx, CSIM_E_SHAPE,
                          "file %s, array %s: has %" PRId64 " elements, expected"
                          " at least %" PRId64,
                          file->raw->path, name, npy->shape[0], start + count);
    }
    CSIM_TRY(stream_of(ctx, file, file->ids_place, &source));
    st = csim__raw_integers(ctx, source, npy->data + start * npy->item, npy->kind, npy->item,
                            npy->swapped, count, out);
done:
    return st;
}

static csim_status list_companions(csim_context *ctx, void *handle, int64_t i, char **name)
{
    csim_status st = CSIM_OK;
    npz_file *file = handle;
    *name = NULL;
    CSIM_TRY(open_directory(ctx, file));
    for (int64_t k = 0; k < csim__zip_members(file->zip); ++k) {
        const char *member = csim__zip_name(file->zip, k);
        int64_t length = member != NULL ? array_name_length(member) : -1;
        if (length < 0) { continue; }
        CSIM_TRY(csim__format(ctx, name, "%.*s", (int)length, member));
        if (csim__is_annotation(*name) && i-- == 0) { return CSIM_OK; }
        csim__free(ctx, name);
    }
done:
    return st;
}

static csim_status check_array(csim_context *ctx, void *handle, const csim__array *a)
{
    csim_status st = CSIM_OK;
    npz_file *file = handle;
    char *member = NULL;
    CSIM_TRY(csim__format(ctx, &member, "%s.npy", a->name));
    CSIM_TRY(open_directory(ctx, file));
    int64_t place = csim__zip_find(file->zip, member);
    if (place < 0) {
        st = csim__fail(ctx, CSIM_E_IO, "file %s: has no array %s any more", a->path, a->name);
        goto done;
    }
    st = csim__zip_check(ctx, file->zip, place);
done:
    csim__free(ctx, &member);
    return st;
}

static int descriptor(const void *handle)
{
    const npz_file *file = handle;
    return file->raw->fd;
}

const csim__reader csim__format_npz = {.name = "npz",
                                       .probe = probe,
                                       .scan = scan,
                                       .open = open_file,
                                       .close = close_file,
                                       .read = read_array,
                                       .read_ids = read_ids,
                                       .list = list_companions,
                                       .check = check_array,
                                       .descriptor = descriptor};
