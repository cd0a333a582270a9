/* safetensors: an 8-byte length, a JSON header, then raw data that the tensors tile exactly. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/raw.h"

enum { MOST_HEADER = 100000000 }; /* bytes; the limit of the format */

typedef enum kind { KIND_FLOAT, KIND_INTEGER, KIND_REFUSED } kind;

static const struct type {
    const char *name;
    int bits;
    kind kind;
    csim_dtype dtype; /* of KIND_FLOAT */
    char sign;        /* of KIND_INTEGER: 'i', 'u' or 'b' */
} types[] = {
    {"F64", 64, KIND_FLOAT, CSIM_F64, 0},          {"F32", 32, KIND_FLOAT, CSIM_F32, 0},
    {"F16", 16, KIND_FLOAT, CSIM_F16, 0},          {"BF16", 16, KIND_FLOAT, CSIM_BF16, 0},
    {"BOOL", 8, KIND_INTEGER, CSIM_F64, 'b'},      {"U8", 8, KIND_INTEGER, CSIM_F64, 'u'},
    {"I8", 8, KIND_INTEGER, CSIM_F64, 'i'},        {"I16", 16, KIND_INTEGER, CSIM_F64, 'i'},
    {"U16", 16, KIND_INTEGER, CSIM_F64, 'u'},      {"I32", 32, KIND_INTEGER, CSIM_F64, 'i'},
    {"U32", 32, KIND_INTEGER, CSIM_F64, 'u'},      {"I64", 64, KIND_INTEGER, CSIM_F64, 'i'},
    {"U64", 64, KIND_INTEGER, CSIM_F64, 'u'},      {"C64", 64, KIND_REFUSED, CSIM_F64, 0},
    {"F8_E5M2", 8, KIND_REFUSED, CSIM_F64, 0},     {"F8_E4M3", 8, KIND_REFUSED, CSIM_F64, 0},
    {"F8_E8M0", 8, KIND_REFUSED, CSIM_F64, 0},     {"F8_E5M2FNUZ", 8, KIND_REFUSED, CSIM_F64, 0},
    {"F8_E4M3FNUZ", 8, KIND_REFUSED, CSIM_F64, 0}, {"F4", 4, KIND_REFUSED, CSIM_F64, 0},
    {"F6_E2M3", 6, KIND_REFUSED, CSIM_F64, 0},     {"F6_E3M2", 6, KIND_REFUSED, CSIM_F64, 0}};

enum { TYPES = sizeof types / sizeof types[0] };

/* One entry of the header. */
typedef struct tensor {
    const char *name; /* borrowed from the JSON */
    const struct type *type;
    int ndim; /* all of them, also beyond CSIM__MAX_DIMS */
    int64_t shape[CSIM__MAX_DIMS];
    int64_t begin, end; /* in the data */
} tensor;

/* A parsed header. */
typedef struct header {
    json_t *json;
    tensor *tensor;
    int64_t count;
    int64_t data; /* byte of the file at which the data start */
} header;

/* An open file, and where its ids lie once somebody has asked. */
typedef struct st_file {
    csim__raw *raw;
    char *ids; /* name that was looked up, NULL before */
    int has;
    int64_t offset, count;
    const struct type *type;
} st_file;

static int probe(const unsigned char *head, size_t len)
{
    uint64_t n = 0;
    if (len < 9 || head[8] != '{') { return 0; }
    for (int i = 7; i >= 0; --i) { n = n << 8 | head[i]; }
    return n >= 2 && n <= MOST_HEADER;
}

/* A whole number from 0 to INT64_MAX, −1 if the JSON is not one. */
static int64_t whole(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : -1;
}

/* Extents and their product against the bytes between the offsets. */
static csim_status parse_extents(csim_context *ctx, const char *path, const json_t *shape,
                                 tensor *t)
{
    int64_t bits = t->type->bits, zero = 0, ndim = (int64_t)json_array_size(shape);
    for (int64_t i = 0; i < ndim; ++i) {
        int64_t extent = whole(json_array_get(shape, (size_t)i));
        if (extent < 0) {
            return csim__fail(ctx, CSIM_E_FORMAT,
                              "file %s, tensor %s: extent %" PRId64
                              " of its shape is not a whole number",
                              path, t->name, i);
        }
        if (extent == 0) {
            zero = 1;
        } else if (bits > INT64_MAX / extent) {
            return csim__fail(ctx, CSIM_E_FORMAT,
                              "file %s, tensor %s: the product of its shape is"
                              " beyond 64 bits",
                              path, t->name);
        } else {
            bits *= extent;
        }
        if (i < CSIM__MAX_DIMS) { t->shape[i] = extent; }
    }
    t->ndim = (int)csim__min64(ndim, CSIM__MAX_DIMS + 1);
    int64_t bytes = zero ? 0 : bits / 8;
    if (!zero && bits % 8 != 0) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, tensor %s: its shape and type %s end within a"
                          " byte",
                          path, t->name, t->type->name);
    }
    if (bytes != t->end - t->begin) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, tensor %s: its shape and type %s need %" PRId64
                          " bytes, data_offsets %" PRId64 " to %" PRId64 " give %" PRId64,
                          path, t->name, t->type->name, bytes, t->begin, t->end, t->end - t->begin);
    }
    return CSIM_OK;
}

static csim_status parse_tensor(csim_context *ctx, const char *path, const char *name,
                                const json_t *entry, tensor *t)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    int i = 0;
    if (dtype == NULL || !json_is_array(shape) || json_array_size(offsets) != 2) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, tensor %s: expected an object with the text"
                          " dtype, the list shape and the pair data_offsets",
                          path, name);
    }
    while (i < TYPES && strcmp(dtype, types[i].name) != 0) { i += 1; }
    if (i == TYPES) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, tensor %s: unknown dtype '%.32s', expected"
                          " F64, F32, F16 or BF16",
                          path, name, dtype);
    }
    *t = (tensor){.name = name, .type = &types[i]};
    t->begin = whole(json_array_get(offsets, 0));
    t->end = whole(json_array_get(offsets, 1));
    if (t->begin < 0 || t->end < t->begin) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, tensor %s: data_offsets are not two ascending"
                          " whole numbers",
                          path, name);
    }
    return parse_extents(ctx, path, shape, t);
}

static int by_place(const void *a, const void *b)
{
    const tensor *x = a, *y = b;
    if (x->begin != y->begin) { return x->begin < y->begin ? -1 : 1; }
    return (x->end > y->end) - (x->end < y->end);
}

/* The tensors must tile the data from their first byte to the last one of the file. */
static csim_status check_tiling(csim_context *ctx, const char *path, header *h, int64_t size)
{
    int64_t at = 0;
    qsort(h->tensor, (size_t)h->count, sizeof *h->tensor, by_place);
    for (int64_t i = 0; i < h->count; ++i) {
        const tensor *t = &h->tensor[i];
        if (t->end > size - h->data) {
            return csim__fail(ctx, CSIM_E_FORMAT,
                              "file %s, tensor %s: ends at byte %" PRId64
                              " of the data, the file has %" PRId64,
                              path, t->name, t->end, size - h->data);
        }
        if (t->begin != at) {
            return csim__fail(ctx, CSIM_E_FORMAT,
                              "file %s, tensor %s: begins at byte %" PRId64
                              " of the data, expected %" PRId64 " (%s)",
                              path, t->name, t->begin, at,
                              t->begin < at ? "tensors overlap" : "there is a hole");
        }
        at = t->end;
    }
    if (at != size - h->data) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s: its tensors end at byte %" PRId64 " of the"
                          " data, the file has %" PRId64,
                          path, at, size - h->data);
    }
    return CSIM_OK;
}

/* The JSON text of the header, as a document. */
static csim_status load_json(csim_context *ctx, const csim__raw *raw, header *h)
{
    csim_status st = CSIM_OK;
    unsigned char head[8];
    uint64_t n = 0;
    char *text = NULL;
    json_error_t error;
    if (raw->size < 10) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s: has %" PRId64 " bytes, expected a"
                          " safetensors header of at least 10",
                          raw->path, raw->size);
    }
    CSIM_TRY(raw->source.read(ctx, raw->source.self, 0, 8, head));
    for (int i = 7; i >= 0; --i) { n = n << 8 | head[i]; }
    if (n > MOST_HEADER) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s: a header of %" PRIu64 " bytes, expected at most %d", raw->path,
                          n, (int)MOST_HEADER);
    }
    if (n > (uint64_t)(raw->size - 8)) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s: a header of %" PRIu64 " bytes, but the file has only %" PRId64
                          " behind the first 8",
                          raw->path, n, raw->size - 8);
    }
    h->data = 8 + (int64_t)n;
    CSIM_TRY(csim__alloc(ctx, (int64_t)n, 1, "header of a safetensors file", &text));
    CSIM_TRY(raw->source.read(ctx, raw->source.self, 8, (int64_t)n, text));
    if (n == 0 || text[0] != '{') {
        st = csim__fail(ctx, CSIM_E_FORMAT, "file %s: byte 8 does not start a JSON object",
                        raw->path);
        goto done;
    }
    h->json = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &error);
    if (h->json == NULL) {
        st = csim__fail(ctx, CSIM_E_FORMAT, "file %s: header, byte %d: %s", raw->path,
                        8 + error.position, error.text);
    }
done:
    csim__free(ctx, &text);
    return st;
}

static void free_header(csim_context *ctx, header *h)
{
    csim__free(ctx, &h->tensor);
    json_decref(h->json);
    h->json = NULL;
}

/* Read and check the whole header. Whatever happens, free_header() follows. */
static csim_status load_header(csim_context *ctx, const csim__raw *raw, header *h)
{
    csim_status st = CSIM_OK;
    const char *name;
    json_t *entry;
    CSIM_TRY(load_json(ctx, raw, h));
    CSIM_TRY(csim__alloc(ctx, (int64_t)json_object_size(h->json), sizeof *h->tensor,
                         "list of tensors", &h->tensor));
    json_object_foreach(h->json, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) { continue; }
        CSIM_TRY(parse_tensor(ctx, raw->path, name, entry, &h->tensor[h->count]));
        h->count += 1;
    }
    CSIM_TRY(check_tiling(ctx, raw->path, h, raw->size));
done:
    return st;
}

/* Add a tensor of floats to the catalogue. */
static csim_status add_tensor(csim_context *ctx, const csim__raw *raw, const header *h,
                              const tensor *t, csim__catalog *catalog)
{
    csim_status st = CSIM_OK;
    char *name = NULL;
    if (t->type->kind == KIND_REFUSED) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "file %s, tensor %s: elements are %s, expected F64, F32,"
                          " F16 or BF16; convert with tensor.float()",
                          raw->path, t->name, t->type->name);
    }
    if (t->ndim > CSIM__MAX_DIMS) {
        return csim__fail(ctx, CSIM_E_FORMAT, "file %s, tensor %s: has more than %d dimensions",
                          raw->path, t->name, (int)CSIM__MAX_DIMS);
    }
    csim__array a = {
        .path = raw->path, .dtype = t->type->dtype, .ndim = t->ndim, .layer_index = -1};
    memcpy(a.shape, t->shape, sizeof a.shape);
    a.offset = h->data + t->begin;
    CSIM_TRY(csim__strdup(ctx, t->name, &name));
    a.name = name;
    st = csim__catalog_add(ctx, catalog, &a);
done:
    csim__free(ctx, &name);
    return st;
}

static csim_status scan(csim_context *ctx, const char *path, csim__catalog *catalog)
{
    csim_status st = CSIM_OK;
    csim__raw *raw = NULL;
    header h = {0};
    const tensor *skipped = NULL;
    int64_t found = catalog->count, integers = 0;
    CSIM_TRY(csim__raw_open(ctx, path, &raw));
    CSIM_TRY(load_header(ctx, raw, &h));
    for (int64_t i = 0; i < h.count; ++i) {
        const tensor *t = &h.tensor[i];
        int whole_numbers = t->type->kind == KIND_INTEGER;
        if (strcmp(t->name, "example_id") == 0 && (!whole_numbers || t->ndim != 1)) {
            char text[64];
            snprintf(text, sizeof text, "a tensor of %s with %d dimensions", t->type->name,
                     t->ndim);
            st = csim__refuse_ids(ctx, path, text);
            goto done;
        }
        if (!whole_numbers) {
            CSIM_TRY(add_tensor(ctx, raw, &h, t, catalog));
        } else if (!csim__is_annotation(t->name)) {
            integers += 1;
            skipped = skipped == NULL ? t : skipped;
        }
    }
    if (catalog->count == found) {
        st = csim__fail(ctx, CSIM_E_DATA,
                        "file %s: holds no tensor of floats (%s%s%s), expected F64,"
                        " F32, F16 or BF16; convert with tensor.float()",
                        path, skipped == NULL ? "it holds none to compare" : skipped->name,
                        skipped == NULL ? "" : " is ", skipped == NULL ? "" : skipped->type->name);
    } else if (integers > 0) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "file %s: left out %" PRId64 " tensors of integers, the first"
                  " is %s (%s)",
                  path, integers, skipped->name, skipped->type->name);
    }
done:
    free_header(ctx, &h);
    csim__raw_close(ctx, &raw);
    return st;
}

static void close_file(csim_context *ctx, void **handle)
{
    st_file *file = *handle;
    if (file == NULL) { return; }
    csim__raw_close(ctx, &file->raw);
    csim__free(ctx, &file->ids);
    csim__free(ctx, handle);
}

static csim_status open_file(csim_context *ctx, const char *path, void **handle)
{
    csim_status st = CSIM_OK;
    st_file *file = NULL;
    *handle = NULL;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *file, "file handle", &file));
    CSIM_TRY(csim__raw_open(ctx, path, &file->raw));
    *handle = file;
    return CSIM_OK;
done:
    csim__free(ctx, &file);
    return st;
}

static csim_status read_array(csim_context *ctx, void *handle, const csim__array *a,
                              const int64_t *start, const int64_t *count, double *out)
{
    st_file *file = handle;
    return csim__raw_read(ctx, &file->raw->source, a, start, count, out);
}

/* Find the one-dimensional tensor of integers `name` and remember where it is. */
static csim_status find_ids(csim_context *ctx, st_file *file, const char *name)
{
    csim_status st = CSIM_OK;
    header h = {0};
    char *copy = NULL;
    CSIM_TRY(load_header(ctx, file->raw, &h));
    CSIM_TRY(csim__strdup(ctx, name, &copy));
    csim__free(ctx, &file->ids);
    file->ids = copy;
    file->has = 0;
    for (int64_t i = 0; i < h.count; ++i) {
        const tensor *t = &h.tensor[i];
        if (t->type->kind == KIND_INTEGER && t->ndim == 1 && strcmp(t->name, name) == 0) {
            file->has = 1;
            file->offset = h.data + t->begin;
            file->count = t->shape[0];
            file->type = t->type;
        }
    }
done:
    free_header(ctx, &h);
    return st;
}

static csim_status read_ids(csim_context *ctx, void *handle, const char *name, int64_t start,
                            int64_t count, int64_t *out, int *has)
{
    csim_status st = CSIM_OK;
    st_file *file = handle;
    if (file->ids == NULL || strcmp(file->ids, name) != 0) { CSIM_TRY(find_ids(ctx, file, name)); }
    *has = file->has;
    if (!file->has) { return CSIM_OK; }
    if (start < 0 || count < 0 || start > file->count - count) {
        return csim__fail(ctx, CSIM_E_SHAPE,
                          "file %s, tensor %s: has %" PRId64 " elements, expected"
                          " at least %" PRId64,
                          file->raw->path, name, file->count, start + count);
    }
    int item = file->type->bits / 8;
    st = csim__raw_integers(ctx, &file->raw->source, file->offset + start * item, file->type->sign,
                            item, 0, count, out);
done:
    return st;
}

static csim_status list_companions(csim_context *ctx, void *handle, int64_t i, char **name)
{
    csim_status st = CSIM_OK;
    const st_file *file = handle;
    header h = {0};
    *name = NULL;
    CSIM_TRY(load_header(ctx, file->raw, &h));
    for (int64_t k = 0; k < h.count && *name == NULL; ++k) {
        if (csim__is_annotation(h.tensor[k].name) && i-- == 0) {
            CSIM_TRY(csim__strdup(ctx, h.tensor[k].name, name));
        }
    }
done:
    free_header(ctx, &h);
    return st;
}

static int descriptor(const void *handle)
{
    const st_file *file = handle;
    return file->raw->fd;
}

const csim__reader csim__format_safetensors = {.name = "safetensors",
                                               .probe = probe,
                                               .scan = scan,
                                               .open = open_file,
                                               .close = close_file,
                                               .read = read_array,
                                               .read_ids = read_ids,
                                               .list = list_companions,
                                               .descriptor = descriptor};
