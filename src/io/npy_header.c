#include "io/npy.h"

#include <inttypes.h>
#include <string.h>

enum {
    PREFIX = 12,           /* magic, version and length; 10 in version 1 */
    MOST_HEADER = 10 << 20 /* bytes; NumPy itself writes a few hundred */
};

/* A Python literal while it is parsed. */
typedef struct parser {
    csim_context *ctx;
    const char *label;
    const char *text;
    int64_t at, length; /* in text */
    int64_t base;       /* byte of text[0] in the source */
} parser;

static csim_status expected(const parser *p, const char *what)
{
    int64_t byte = p->base + p->at;
    if (p->at >= p->length) {
        return csim__fail(p->ctx, CSIM_E_FORMAT,
                          "%s: the header ends at byte %" PRId64 ", expected %s", p->label, byte,
                          what);
    }
    unsigned char c = (unsigned char)p->text[p->at];
    if (c >= 0x20 && c < 0x7f) {
        return csim__fail(p->ctx, CSIM_E_FORMAT, "%s: header byte %" PRId64 " is '%c', expected %s",
                          p->label, byte, c, what);
    }
    return csim__fail(p->ctx, CSIM_E_FORMAT, "%s: header byte %" PRId64 " is 0x%02x, expected %s",
                      p->label, byte, c, what);
}

static void skip_space(parser *p)
{
    while (p->at < p->length && p->text[p->at] != '\0' && strchr(" \t\r\n", p->text[p->at])) {
        p->at += 1;
    }
}

/* Take the character c after white space. */
static int take(parser *p, char c)
{
    skip_space(p);
    if (p->at >= p->length || p->text[p->at] != c) { return 0; }
    p->at += 1;
    return 1;
}

static int take_word(parser *p, const char *word)
{
    int64_t n = (int64_t)strlen(word);
    skip_space(p);
    if (p->length - p->at < n || memcmp(p->text + p->at, word, (size_t)n) != 0) { return 0; }
    p->at += n;
    return 1;
}

/* A quoted string without escapes, cut to size−1 bytes. */
static csim_status parse_string(parser *p, char *out, size_t size)
{
    char quote = '\'';
    if (!take(p, quote)) {
        quote = '"';
        if (!take(p, quote)) { return expected(p, "a quoted word"); }
    }
    size_t used = 0;
    while (p->at < p->length && p->text[p->at] != quote) {
        char c = p->text[p->at];
        if ((unsigned char)c < 0x20 || c == '\\') { return expected(p, "a quoted word"); }
        if (used + 1 < size) { out[used++] = c; }
        p->at += 1;
    }
    out[used] = '\0';
    return take(p, quote) ? CSIM_OK : expected(p, "the closing quote");
}

/* One extent: digits, and the L that Python 2 wrote. */
static csim_status parse_extent(parser *p, int64_t *value)
{
    skip_space(p);
    if (p->at >= p->length || p->text[p->at] < '0' || p->text[p->at] > '9') {
        return expected(p, "an extent");
    }
    *value = 0;
    while (p->at < p->length && p->text[p->at] >= '0' && p->text[p->at] <= '9') {
        int digit = p->text[p->at] - '0';
        if (*value > (INT64_MAX - digit) / 10) {
            return csim__fail(p->ctx, CSIM_E_FORMAT,
                              "%s: the extent at header byte %" PRId64 " is beyond 64 bits",
                              p->label, p->base + p->at);
        }
        *value = *value * 10 + digit;
        p->at += 1;
    }
    if (p->at < p->length && p->text[p->at] == 'L') { p->at += 1; }
    return CSIM_OK;
}

static csim_status parse_shape(parser *p, csim__npy *npy)
{
    csim_status st = CSIM_OK;
    int comma = 1;
    if (!take(p, '(')) { return expected(p, "the '(' of a shape"); }
    npy->ndim = 0;
    while (!take(p, ')')) {
        if (!comma) { return expected(p, "',' or ')'"); }
        if (npy->ndim == CSIM__MAX_DIMS) {
            return csim__fail(p->ctx, CSIM_E_FORMAT, "%s: has more than %d dimensions", p->label,
                              (int)CSIM__MAX_DIMS);
        }
        CSIM_TRY(parse_extent(p, &npy->shape[npy->ndim]));
        npy->ndim += 1;
        comma = take(p, ',');
    }
    if (npy->ndim == 1 && !comma) {
        return csim__fail(p->ctx, CSIM_E_FORMAT,
                          "%s: the shape before header byte %" PRId64
                          " is a number, expected a tuple",
                          p->label, p->base + p->at);
    }
done:
    return st;
}

static csim_status parse_descr(parser *p, csim__npy *npy)
{
    skip_space(p);
    if (p->at < p->length && (p->text[p->at] == '[' || p->text[p->at] == '{')) {
        return csim__fail(p->ctx, CSIM_E_DATA,
                          "%s: is a structured array, expected one of float64,"
                          " float32, float16 or bfloat16; save each field as an array of its own",
                          p->label);
    }
    return parse_string(p, npy->descr, sizeof npy->descr);
}

/* The dict { 'descr': …, 'fortran_order': …, 'shape': … }, keys in any order, each once. */
static csim_status parse_header(parser *p, csim__npy *npy)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    csim_status st = CSIM_OK;
    int seen[3] = {0, 0, 0}, comma = 1;
    char key[16];
    if (!take(p, '{')) { return expected(p, "'{'"); }
    while (!take(p, '}')) {
        int k = 0;
        if (!comma) { return expected(p, "',' or '}'"); }
        CSIM_TRY(parse_string(p, key, sizeof key));
        while (k < 3 && strcmp(key, keys[k]) != 0) { k += 1; }
        if (k == 3 || seen[k]++) {
            return csim__fail(p->ctx, CSIM_E_FORMAT,
                              "%s: the key '%s' before header byte %" PRId64
                              " is %s, expected descr, fortran_order and shape once each",
                              p->label, key, p->base + p->at, k == 3 ? "unknown" : "repeated");
        }
        if (!take(p, ':')) { return expected(p, "':'"); }
        if (k == 0) {
            CSIM_TRY(parse_descr(p, npy));
        } else if (k == 1) {
            npy->fortran = take_word(p, "True");
            if (!npy->fortran && !take_word(p, "False")) { return expected(p, "True or False"); }
        } else {
            CSIM_TRY(parse_shape(p, npy));
        }
        comma = take(p, ',');
    }
    for (int k = 0; k < 3; ++k) {
        if (!seen[k]) {
            return csim__fail(p->ctx, CSIM_E_FORMAT, "%s: the header has no key '%s'", p->label,
                              keys[k]);
        }
    }
    skip_space(p);
    if (p->at < p->length) { return expected(p, "the end of the header"); }
done:
    return st;
}

/* Element type from "<f4", "|V2", "bfloat16", … Unknown ones keep kind '?' and are refused later. */
static csim_status parse_type(csim_context *ctx, const char *label, csim__npy *npy)
{
    const char *d = npy->descr;
    const uint16_t one = 1;
    unsigned char little;
    memcpy(&little, &one, 1);
    npy->kind = '?';
    npy->item = 0;
    npy->swapped = *d == '>' || (*d == '=' && !little);
    if (strcmp(d, "bfloat16") == 0 || strcmp(d, "|V2") == 0 || strcmp(d, "<V2") == 0) {
        npy->kind = 'B';
        npy->item = 2;
        return CSIM_OK;
    }
    if (*d != '\0' && strchr("<>=|", *d) != NULL) { d += 1; }
    if (*d == 'O') {
        return csim__fail(ctx, CSIM_E_DATA,
                          "%s: holds Python objects (descr '%s'), which are never"
                          " unpickled, expected float64, float32, float16 or bfloat16; convert with"
                          " numpy.save(out, a.astype('float32'))",
                          label, npy->descr);
    }
    if (*d != '\0' && strchr("biufcV", *d) != NULL && d[1] >= '1' && d[1] <= '9') {
        int size = 0;
        const char *e = d + 1;
        while (*e >= '0' && *e <= '9' && size < 1000) { size = size * 10 + (*e++ - '0'); }
        if (*e == '\0') {
            npy->kind = *d;
            npy->item = size;
        }
    }
    return CSIM_OK;
}

/* What people call an element type. */
static const char *type_name(const csim__npy *npy)
{
    static const struct {
        char kind;
        int item;
        const char *name;
    } names[] = {{'i', 1, "int8"},        {'i', 2, "int16"},
                 {'i', 4, "int32"},       {'i', 8, "int64"},
                 {'u', 1, "uint8"},       {'u', 2, "uint16"},
                 {'u', 4, "uint32"},      {'u', 8, "uint64"},
                 {'b', 1, "bool"},        {'f', 1, "float8"},
                 {'f', 2, "float16"},     {'f', 4, "float32"},
                 {'f', 8, "float64"},     {'B', 2, "bfloat16"},
                 {'f', 16, "float128"},   {'c', 8, "complex64"},
                 {'c', 16, "complex128"}, {'V', 1, "one byte without a type, float8 perhaps"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        if (names[i].kind == npy->kind && names[i].item == npy->item) { return names[i].name; }
    }
    return "an unknown type";
}

/* The data that the header promises must be in the source. */
static csim_status check_size(csim_context *ctx, const char *label, int64_t size,
                              const csim__npy *npy)
{
    char shape[160];
    csim__shape_text(npy->shape, npy->ndim, shape, sizeof shape);
    if (npy->kind == '?') { return CSIM_OK; }
    int64_t bytes = csim__extent_bytes(npy->shape, npy->ndim, 8 * npy->item);
    if (bytes < 0) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: header promises %s elements of %d bytes, which is"
                          " beyond 64 bits",
                          label, shape, npy->item);
    }
    if (bytes > size - npy->data) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: header promises %s %s = %" PRId64 " bytes from"
                          " byte %" PRId64 ", there are %" PRId64,
                          label, shape, type_name(npy), bytes, npy->data, size - npy->data);
    }
    if (bytes < size - npy->data) {
        csim__log(ctx, CSIM_LOG_WARNING, "%s: %" PRId64 " bytes after the array are ignored", label,
                  size - npy->data - bytes);
    }
    return CSIM_OK;
}

/* Place and length of the header's text from the first bytes. */
static csim_status parse_prefix(csim_context *ctx, const char *label, const unsigned char *head,
                                int64_t size, int64_t *start, int64_t *length)
{
    if (memcmp(head, "\x93NUMPY", 6) != 0) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s: does not start with the mark of .npy", label);
    }
    if (head[6] < 1 || head[6] > 3) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s: is .npy version %d.%d, expected 1, 2 or 3",
                          label, head[6], head[7]);
    }
    *start = head[6] == 1 ? 10 : 12;
    *length = head[8] | head[9] << 8;
    if (head[6] > 1) { *length |= (int64_t)head[10] << 16 | (int64_t)head[11] << 24; }
    if (*length > MOST_HEADER) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: header of %" PRId64 " bytes, expected at most %d", label, *length,
                          (int)MOST_HEADER);
    }
    if (*length > size - *start) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: header of %" PRId64 " bytes from byte %" PRId64
                          ", there are %" PRId64,
                          label, *length, *start, size - *start);
    }
    return CSIM_OK;
}

csim_status csim__npy_header(csim_context *ctx, const char *label, const csim__source *source,
                             int64_t size, csim__npy *npy)
{
    csim_status st = CSIM_OK;
    unsigned char head[PREFIX] = {0};
    int64_t start = 0, length = 0;
    char *text = NULL;
    *npy = (csim__npy){.kind = '?'};
    if (size < 10) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: has %" PRId64 " bytes, expected a .npy header of"
                          " at least 10",
                          label, size);
    }
    CSIM_TRY(source->read(ctx, source->self, 0, csim__min64(PREFIX, size), head));
    CSIM_TRY(parse_prefix(ctx, label, head, size, &start, &length));
    CSIM_TRY(csim__alloc(ctx, length, 1, "header of a .npy", &text));
    CSIM_TRY(source->read(ctx, source->self, start, length, text));
    parser p = {.ctx = ctx, .label = label, .text = text, .length = length, .base = start};
    CSIM_TRY(parse_header(&p, npy));
    npy->data = start + length;
    CSIM_TRY(parse_type(ctx, label, npy));
    CSIM_TRY(check_size(ctx, label, size, npy));
done:
    csim__free(ctx, &text);
    return st;
}

int csim__npy_is_integer(const csim__npy *npy)
{
    return (npy->kind == 'i' || npy->kind == 'u' || npy->kind == 'b') &&
           (npy->item == 1 || npy->item == 2 || npy->item == 4 || npy->item == 8);
}

csim_status csim__npy_array(csim_context *ctx, const char *label, const csim__npy *npy,
                            csim__array *a)
{
    if (npy->kind == 'f' && npy->item == 8) {
        a->dtype = CSIM_F64;
    } else if (npy->kind == 'f' && npy->item == 4) {
        a->dtype = CSIM_F32;
    } else if (npy->kind == 'f' && npy->item == 2) {
        a->dtype = CSIM_F16;
    } else if (npy->kind == 'B') {
        a->dtype = CSIM_BF16;
    } else {
        /* Labels of any type may lie beside the sites; a site of another float must not vanish. */
        int labels = npy->kind != 'f' && npy->kind != 'V';
        return csim__fail(ctx, labels ? CSIM_E_DATA : CSIM_E_FORMAT,
                          "%s: elements are '%s' (%s), expected float64, float32,"
                          " float16 or bfloat16; convert with numpy.save(out, a.astype('float32'))",
                          label, npy->descr, type_name(npy));
    }
    a->ndim = npy->ndim;
    memcpy(a->shape, npy->shape, sizeof a->shape);
    a->offset = npy->data;
    a->swapped = npy->swapped;
    a->fortran = npy->fortran;
    return CSIM_OK;
}
