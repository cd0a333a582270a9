#include <string.h>

#include "io/format.h"
#include "io/formats.h"
#include "io/raw.h"

static const csim__reader *const formats[] = {&csim__format_npy, &csim__format_npz,
                                              &csim__format_safetensors, &csim__format_netcdf};

enum { FORMATS = sizeof formats / sizeof formats[0] };

static const struct {
    const char *extension;
    const csim__reader *format;
} extensions[] = {{".npy", &csim__format_npy},
                  {".npz", &csim__format_npz},
                  {".safetensors", &csim__format_safetensors},
                  {".nc", &csim__format_netcdf},
                  {".nc4", &csim__format_netcdf},
                  {".h5", &csim__format_netcdf},
                  {".hdf5", &csim__format_netcdf}};

const csim__reader *csim__format_of(const unsigned char *head, size_t len)
{
    for (int i = 0; i < FORMATS; ++i) {
        if (formats[i]->probe(head, len)) { return formats[i]; }
    }
    return NULL;
}

const csim__reader *csim__format_named(const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; ++i) {
        size_t e = strlen(extensions[i].extension);
        if (len > e && strcmp(path + len - e, extensions[i].extension) == 0) {
            return extensions[i].format;
        }
    }
    return NULL;
}

int csim__format_index(const csim__reader *format)
{
    for (int i = 0; i < FORMATS; ++i) {
        if (formats[i] == format) { return i; }
    }
    return -1;
}

const csim__reader *csim__format_at(int64_t index)
{
    return index >= 0 && index < FORMATS ? formats[index] : NULL;
}

csim_status csim__catalog_add(csim_context *ctx, csim__catalog *catalog, const csim__array *a)
{
    csim_status st = CSIM_OK;
    csim__array copy = *a;
    copy.path = NULL;
    copy.name = NULL;
    CSIM_TRY(csim__strdup(ctx, a->path, &copy.path));
    CSIM_TRY(csim__strdup(ctx, a->name, &copy.name));
    if (catalog->count == catalog->capacity) {
        int64_t capacity = catalog->capacity > 0 ? 2 * catalog->capacity : 16;
        CSIM_TRY(csim__realloc(ctx, capacity, sizeof *catalog->array, "catalogue of arrays",
                               &catalog->array));
        catalog->capacity = capacity;
    }
    catalog->array[catalog->count++] = copy;
    return CSIM_OK;
done:
    csim__free(ctx, &copy.path);
    csim__free(ctx, &copy.name);
    return st;
}

void csim__catalog_free(csim_context *ctx, csim__catalog *catalog)
{
    for (int64_t i = 0; i < catalog->count; ++i) {
        csim__free(ctx, &catalog->array[i].path);
        csim__free(ctx, &catalog->array[i].name);
    }
    csim__free(ctx, &catalog->array);
    catalog->count = 0;
    catalog->capacity = 0;
}

int csim__is_annotation(const char *name)
{
    return strcmp(name, "example_id") == 0 || strcmp(name, "group") == 0 ||
           strncmp(name, "label_", 6) == 0;
}

csim_status csim__refuse_ids(csim_context *ctx, const char *path, const char *found)
{
    return csim__fail(ctx, CSIM_E_FORMAT,
                      "file %s: example_id is %s, expected whole numbers of one dimension, one for"
                      " each example; convert with ids.astype('int64')",
                      path, found);
}

const char *csim_dtype_name(csim_dtype dtype)
{
    switch (dtype) {
    case CSIM_F64:
        return "float64";
    case CSIM_F32:
        return "float32";
    case CSIM_F16:
        return "float16";
    case CSIM_BF16:
        return "bfloat16";
    }
    return "unknown";
}

int csim__dtype_bytes(csim_dtype dtype)
{
    switch (dtype) {
    case CSIM_F64:
        return 8;
    case CSIM_F32:
        return 4;
    case CSIM_F16:
    case CSIM_BF16:
        return 2;
    }
    return 0;
}

/* Is the host big-endian? */
static int host_big(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

static inline uint16_t swap16(uint16_t u)
{
    return (uint16_t)(u >> 8 | u << 8);
}

static inline uint32_t swap32(uint32_t u)
{
    return u >> 24 | (u >> 8 & 0xff00u) | (u << 8 & 0xff0000u) | u << 24;
}

static inline uint64_t swap64(uint64_t u)
{
    return (uint64_t)swap32((uint32_t)u) << 32 | swap32((uint32_t)(u >> 32));
}

/* A float16 by its bits: selections by masks, so that the loop around it becomes SIMD code. A
 * subnormal is made from its integer mantissa, never as a subnormal float that hardware may flush. */
static inline float half_value(uint16_t h)
{
    uint32_t magnitude = h & 0x7fffu;
    uint32_t special = 0u - (uint32_t)(magnitude >= 0x7c00u);
    uint32_t small = 0u - (uint32_t)(magnitude < 0x0400u);
    uint32_t bits = (magnitude << 13) + (112u << 23) + (special & (112u << 23));
    float f = (float)(int32_t)(magnitude & 0x03ffu) * 0x1p-24f;
    uint32_t sub;
    memcpy(&sub, &f, 4);
    bits = (bits & ~small) | (sub & small) | (uint32_t)(h & 0x8000u) << 16;
    memcpy(&f, &bits, 4);
    return f;
}

static inline float bfloat_value(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static void convert_f64(int swap, const unsigned char *in, int64_t n, double *out)
{
    if (in != (const unsigned char *)out) { memcpy(out, in, (size_t)n * 8); }
    for (int64_t i = 0; swap && i < n; ++i) {
        uint64_t u;
        memcpy(&u, out + i, 8);
        u = swap64(u);
        memcpy(out + i, &u, 8);
    }
}

static void convert_f32(int swap, const unsigned char *restrict in, int64_t n, double *restrict out)
{
    uint32_t u;
    float f;
    for (int64_t i = 0; !swap && i < n; ++i) {
        memcpy(&f, in + 4 * i, 4);
        out[i] = (double)f;
    }
    for (int64_t i = 0; swap && i < n; ++i) {
        memcpy(&u, in + 4 * i, 4);
        u = swap32(u);
        memcpy(&f, &u, 4);
        out[i] = (double)f;
    }
}

static void convert_f16(int swap, const unsigned char *restrict in, int64_t n, double *restrict out)
{
    uint16_t u;
    for (int64_t i = 0; !swap && i < n; ++i) {
        memcpy(&u, in + 2 * i, 2);
        out[i] = (double)half_value(u);
    }
    for (int64_t i = 0; swap && i < n; ++i) {
        memcpy(&u, in + 2 * i, 2);
        out[i] = (double)half_value(swap16(u));
    }
}

static void convert_bf16(int swap, const unsigned char *restrict in, int64_t n,
                         double *restrict out)
{
    uint16_t u;
    for (int64_t i = 0; i < n; ++i) {
        memcpy(&u, in + 2 * i, 2);
        out[i] = (double)bfloat_value(swap ? swap16(u) : u);
    }
}

void csim__convert(csim_dtype dtype, int swapped, const void *in, int64_t n, double *out)
{
    int swap = (swapped != 0) != host_big();
    switch (dtype) {
    case CSIM_F64:
        convert_f64(swap, in, n, out);
        break;
    case CSIM_F32:
        convert_f32(swap, in, n, out);
        break;
    case CSIM_F16:
        convert_f16(swap, in, n, out);
        break;
    case CSIM_BF16:
        convert_bf16(swap, in, n, out);
        break;
    }
}
