/* What a checkpoint says, in bytes that are the same on every machine: what is sent to the other
 * ranks, and what its checksum is of. */
#include <stdio.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* shows the state, so that it can live on the stack */
#include <xxhash.h>

#include "io/checkpoint_private.h"

enum { BLOCK = 4096 }; /* bytes of data that are put into order at once */

/* ---- packing ---- */

/* Bytes being written; with `to` NULL they are only counted. */
typedef struct sink {
    unsigned char *to;
    int64_t used;
} sink;

static void put_word(sink *s, uint64_t word)
{
    for (int i = 0; i < 8 && s->to != NULL; i++) {
        s->to[s->used + i] = (unsigned char)(word >> (8 * i));
    }
    s->used += 8;
}

static void put_text(sink *s, const char *text)
{
    size_t n = strlen(text) + 1;
    if (s->to != NULL) { memcpy(s->to + s->used, text, n); }
    s->used += (int64_t)n;
}

static uint64_t real_bits(double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

static void put_all(sink *s, const csim__checkpoint *c)
{
    put_word(s, (uint64_t)c->values);
    for (int i = 0; i < c->values; i++) {
        const csim__value *v = &c->value[i];
        put_text(s, v->name);
        put_word(s, (uint64_t)v->kind);
        put_text(s, v->kind == CSIM__TEXT ? v->text : "");
        put_word(s, v->kind == CSIM__REAL ? real_bits(v->real) : (uint64_t)v->whole);
    }
    put_word(s, (uint64_t)c->fields);
    for (int i = 0; i < c->fields; i++) {
        const csim__field *f = &c->field[i];
        put_text(s, f->name);
        put_text(s, f->long_name);
        put_word(s, (uint64_t)f->type);
        put_word(s, (uint64_t)f->ndim);
        for (int j = 0; j < f->ndim; j++) {
            put_text(s, f->dim[j]);
            put_word(s, (uint64_t)f->size[j]);
        }
    }
}

csim_status csim__checkpoint_pack(const csim__checkpoint *c, unsigned char **packed, int64_t *bytes)
{
    sink s = {NULL, 0};
    put_all(&s, c);
    *bytes = s.used;
    csim_status st = csim__alloc(c->ctx, s.used, 1, "a packed checkpoint", packed);
    if (st == CSIM_OK) {
        s = (sink){*packed, 0};
        put_all(&s, c);
    }
    return st;
}

/* ---- unpacking ---- */

/* Bytes being read; what lies beyond their end reads as 0 and "". */
typedef struct source {
    const unsigned char *from;
    int64_t left;
    int cut;
} source;

static uint64_t get_word(source *s)
{
    uint64_t word = 0;
    if (s->left < 8) {
        s->cut = 1;
        return 0;
    }
    for (int i = 0; i < 8; i++) { word |= (uint64_t)s->from[i] << (8 * i); }
    s->from += 8;
    s->left -= 8;
    return word;
}

static const char *get_text(source *s)
{
    const char *text = (const char *)s->from;
    const void *end = s->left > 0 ? memchr(text, 0, (size_t)s->left) : NULL;
    if (end == NULL) {
        s->cut = 1;
        return "";
    }
    int64_t n = (const char *)end - text + 1;
    s->from += n;
    s->left -= n;
    return text;
}

static csim_status get_value(source *s, csim__checkpoint *c)
{
    csim__value v = {.name = get_text(s)};
    v.kind = (csim__value_kind)get_word(s);
    v.text = get_text(s);
    uint64_t bits = get_word(s);
    memcpy(&v.whole, &bits, sizeof bits);
    memcpy(&v.real, &bits, sizeof bits);
    return s->cut ? CSIM_OK : csim__checkpoint_set(c, &v);
}

static csim_status get_field(source *s, csim__checkpoint *c)
{
    csim__field f = {.name = get_text(s)};
    f.long_name = get_text(s);
    f.type = (csim__field_type)get_word(s);
    f.ndim = (int)get_word(s);
    for (int i = 0; i < f.ndim && i < 3; i++) {
        f.dim[i] = get_text(s);
        f.size[i] = (int64_t)get_word(s);
    }
    return s->cut ? CSIM_OK : csim__checkpoint_add(c, &f);
}

csim_status csim__checkpoint_unpack(csim__checkpoint *c, const unsigned char *packed, int64_t bytes)
{
    source s = {packed, bytes, 0};
    csim_status st = CSIM_OK;
    uint64_t values = get_word(&s);
    for (uint64_t i = 0; i < values && !s.cut; i++) { CSIM_TRY(get_value(&s, c)); }
    uint64_t fields = get_word(&s);
    for (uint64_t i = 0; i < fields && !s.cut; i++) { CSIM_TRY(get_field(&s, c)); }
    if (s.cut || s.left != 0) {
        st = csim__fail(c->ctx, CSIM_E_INTERNAL, "a packed checkpoint of %lld bytes is cut off",
                        (long long)bytes);
    }
done:
    return st;
}

/* ---- sums ---- */

static void digits(XXH128_hash_t h, char text[33])
{
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

/* The elements of a field, least significant byte first. */
static void sum_data(XXH3_state_t *x, const csim__field *f)
{
    unsigned char block[BLOCK];
    const unsigned char *from = f->data;
    int64_t bytes = csim__field_bytes(f);
    int size = f->type == CSIM__FLOAT32 ? 4 : 8;
    for (int64_t i = 0; i < bytes; i += BLOCK) {
        int64_t n = csim__min64(BLOCK, bytes - i);
        for (int64_t k = 0; k < n; k += size) {
            uint32_t half;
            uint64_t word;
            if (size == 4) {
                memcpy(&half, from + i + k, sizeof half);
                word = half;
            } else {
                memcpy(&word, from + i + k, sizeof word);
            }
            for (int b = 0; b < size; b++) { block[k + b] = (unsigned char)(word >> (8 * b)); }
        }
        XXH3_128bits_update(x, block, (size_t)n);
    }
}

csim_status csim__checkpoint_checksum(const csim__checkpoint *c, char text[CSIM__CHECKSUM])
{
    XXH3_state_t x;
    unsigned char *packed = NULL;
    int64_t bytes = 0;
    char sum[33];
    csim_status st = CSIM_OK;
    text[0] = 0;
    CSIM_TRY(csim__checkpoint_pack(c, &packed, &bytes));
    XXH3_128bits_reset(&x);
    XXH3_128bits_update(&x, packed, (size_t)bytes);
    for (int i = 0; i < c->fields; i++) { sum_data(&x, &c->field[i]); }
    digits(XXH3_128bits_digest(&x), sum);
    snprintf(text, CSIM__CHECKSUM, "xxh3_128:%s", sum);
done:
    csim__free(c->ctx, &packed);
    return st;
}

/* "\ncontrasim-encoder-1  xxh3_128:", 32 digits, "\n". The digits are of all that comes before. */
void csim__checkpoint_seal(const void *image, int64_t bytes, int version, char seal[CSIM__SEAL])
{
    XXH3_state_t x;
    char head[CSIM__SEAL + 1], name[CSIM__SEAL], sum[33];
    snprintf(name, sizeof name, "%s%d", CSIM__ENCODER_FORMAT, version);
    int n = snprintf(head, sizeof head, "\n%-20.20s xxh3_128:", name);
    XXH3_128bits_reset(&x);
    XXH3_128bits_update(&x, image, (size_t)bytes);
    XXH3_128bits_update(&x, head, (size_t)n);
    digits(XXH3_128bits_digest(&x), sum);
    snprintf(head + n, sizeof head - (size_t)n, "%s\n", sum);
    memcpy(seal, head, CSIM__SEAL);
}
