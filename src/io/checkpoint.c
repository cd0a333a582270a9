/* Checkpoints in memory: attributes and fields. */
#include <stdio.h>
#include <string.h>

#include "io/checkpoint_private.h"

enum { SHAPE = 128 }; /* bytes of a type and shape for people */

static const int64_t most_elements = INT64_C(1) << 40;

/* What messages call it. */
static const char *label(const csim__checkpoint *c)
{
    return c->path == NULL ? "the checkpoint" : c->path;
}

static int element_bytes(csim__field_type type)
{
    return type == CSIM__FLOAT32 ? 4 : 8;
}

int64_t csim__field_bytes(const csim__field *field)
{
    int64_t bytes = element_bytes(field->type);
    for (int i = 0; i < field->ndim; i++) { bytes *= field->size[i]; }
    return bytes;
}

/* ---- the object ---- */

csim_status csim__checkpoint_create(csim_context *ctx, csim__checkpoint **checkpoint)
{
    csim_status st = csim__calloc(ctx, 1, sizeof **checkpoint, "a checkpoint", checkpoint);
    if (st == CSIM_OK) { (*checkpoint)->ctx = ctx; }
    return st;
}

static void value_free(csim_context *ctx, csim__value *v)
{
    csim__free(ctx, &v->text);
    csim__free(ctx, &v->name);
}

static void field_free(csim_context *ctx, csim__field *f)
{
    csim__free(ctx, &f->data);
    csim__free(ctx, &f->long_name);
    for (int i = 0; i < f->ndim; i++) { csim__free(ctx, &f->dim[i]); }
    csim__free(ctx, &f->name);
}

void csim__checkpoint_free(csim_context *ctx, csim__checkpoint **checkpoint)
{
    csim__checkpoint *c = *checkpoint;
    if (c == NULL) { return; }
    for (int i = 0; i < c->fields; i++) { field_free(ctx, &c->field[i]); }
    csim__free(ctx, &c->field);
    for (int i = 0; i < c->values; i++) { value_free(ctx, &c->value[i]); }
    csim__free(ctx, &c->value);
    csim__free(ctx, &c->path);
    csim__free(ctx, checkpoint);
}

/* Letters by hand: isalpha() asks the locale. Nothing that starts with a small letter is a name of
 * netCDF's or HDF5's own. */
static int is_name(const char *name)
{
    if (name == NULL || name[0] < 'a' || name[0] > 'z') { return 0; }
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    return name[n] == 0 && n <= CSIM__CHECKPOINT_NAME;
}

static csim_status check_name(const csim__checkpoint *c, const char *what, const char *name)
{
    if (is_name(name)) { return CSIM_OK; }
    return csim__fail(
        c->ctx, CSIM_E_ARG,
        "%s: '%.200s' cannot be the name of %s: a small letter, then letters, digits, "
        "'_', '-', '.', at most %d bytes",
        label(c), name == NULL ? "" : name, what, CSIM__CHECKPOINT_NAME);
}

static csim_status copy_text(csim_context *ctx, const char *text, const char **out)
{
    char *copy = NULL;
    csim_status st = csim__strdup(ctx, text, &copy);
    *out = copy;
    return st;
}

/* Room for one more of `count` items. */
static csim_status make_room(const csim__checkpoint *c, int count, int *room, size_t size,
                             void *item)
{
    if (count < *room) { return CSIM_OK; }
    if (count >= CSIM__CHECKPOINT_COUNT) {
        return csim__fail(c->ctx, CSIM_E_ARG, "%s: more than %d attributes or fields", label(c),
                          CSIM__CHECKPOINT_COUNT);
    }
    int more = 2 * *room + 16;
    csim_status st = csim__realloc(c->ctx, more, size, "a checkpoint", item);
    if (st == CSIM_OK) { *room = more; }
    return st;
}

/* ---- attributes ---- */

static csim__value *find_value(const csim__checkpoint *c, const char *name)
{
    for (int i = 0; i < c->values; i++) {
        if (strcmp(c->value[i].name, name) == 0) { return &c->value[i]; }
    }
    return NULL;
}

csim_status csim__checkpoint_set(csim__checkpoint *c, const csim__value *value)
{
    csim__value copy = {.kind = value->kind, .whole = value->whole, .real = value->real};
    csim_status st = CSIM_OK;
    CSIM_TRY(check_name(c, "an attribute", value->name));
    if (strcmp(value->name, "checksum") == 0) {
        return csim__fail(c->ctx, CSIM_E_ARG, "%s: attribute 'checksum' is not to be set",
                          label(c));
    }
    if (value->kind == CSIM__TEXT) {
        if (strlen(value->text) > CSIM__CHECKPOINT_TEXT) {
            return csim__fail(c->ctx, CSIM_E_ARG, "%s: attribute '%s' has %zu bytes, at most %d",
                              label(c), value->name, strlen(value->text), CSIM__CHECKPOINT_TEXT);
        }
        CSIM_TRY(copy_text(c->ctx, value->text, &copy.text));
    }
    CSIM_TRY(copy_text(c->ctx, value->name, &copy.name));
    csim__value *old = find_value(c, value->name);
    if (old == NULL) {
        CSIM_TRY(make_room(c, c->values, &c->value_room, sizeof copy, &c->value));
        old = &c->value[c->values++];
    } else {
        value_free(c->ctx, old);
    }
    *old = copy;
    return CSIM_OK;
done:
    value_free(c->ctx, &copy);
    return st;
}

csim_status csim__checkpoint_set_text(csim__checkpoint *c, const char *name, const char *text)
{
    csim__value v = {.name = name, .kind = CSIM__TEXT, .text = text == NULL ? "" : text};
    return csim__checkpoint_set(c, &v);
}

csim_status csim__checkpoint_set_int(csim__checkpoint *c, const char *name, int64_t value)
{
    csim__value v = {.name = name, .kind = CSIM__WHOLE, .whole = value};
    return csim__checkpoint_set(c, &v);
}

csim_status csim__checkpoint_set_real(csim__checkpoint *c, const char *name, double value)
{
    csim__value v = {.name = name, .kind = CSIM__REAL, .real = value};
    return csim__checkpoint_set(c, &v);
}

/* The attribute of that name and kind. */
static csim_status get(const csim__checkpoint *c, const char *name, csim__value_kind kind,
                       const csim__value **value)
{
    static const char *const word[] = {"a text", "a whole number", "a real number"};
    *value = find_value(c, name);
    if (*value == NULL) {
        return csim__fail(c->ctx, CSIM_E_FORMAT, "%s: attribute '%s' is missing", label(c), name);
    }
    if ((*value)->kind != kind) {
        return csim__fail(c->ctx, CSIM_E_FORMAT, "%s: attribute '%s' is %s, expected %s", label(c),
                          name, word[(*value)->kind], word[kind]);
    }
    return CSIM_OK;
}

csim_status csim__checkpoint_text(const csim__checkpoint *c, const char *name, const char **value)
{
    const csim__value *v = NULL;
    csim_status st = get(c, name, CSIM__TEXT, &v);
    if (st == CSIM_OK) { *value = v->text; }
    return st;
}

csim_status csim__checkpoint_int(const csim__checkpoint *c, const char *name, int64_t *value)
{
    const csim__value *v = NULL;
    csim_status st = get(c, name, CSIM__WHOLE, &v);
    if (st == CSIM_OK) { *value = v->whole; }
    return st;
}

csim_status csim__checkpoint_real(const csim__checkpoint *c, const char *name, double *value)
{
    const csim__value *v = NULL;
    csim_status st = get(c, name, CSIM__REAL, &v);
    if (st == CSIM_OK) { *value = v->real; }
    return st;
}

bool csim__checkpoint_has(const csim__checkpoint *c, const char *name)
{
    return find_value(c, name) != NULL;
}

/* ---- fields ---- */

const csim__field *csim__checkpoint_field(const csim__checkpoint *c, const char *name)
{
    for (int i = 0; i < c->fields; i++) {
        if (strcmp(c->field[i].name, name) == 0) { return &c->field[i]; }
    }
    return NULL;
}

int64_t csim__checkpoint_bytes(const csim__checkpoint *c)
{
    int64_t bytes = 0;
    for (int i = 0; i < c->fields; i++) { bytes += csim__field_bytes(&c->field[i]); }
    return bytes;
}

/* Names and sizes of a description, without regard to the fields that are there. */
static csim_status check_shape(const csim__checkpoint *c, const csim__field *f)
{
    csim_status st = CSIM_OK;
    int64_t elements = 1;
    CSIM_TRY(check_name(c, "a field", f->name));
    if (f->ndim < 1 || f->ndim > 3 || (unsigned)f->type > CSIM__INT64) {
        return csim__fail(c->ctx, CSIM_E_ARG,
                          "%s: field '%s' has %d dimensions and type %d, expected 1 to 3 and "
                          "a known type",
                          label(c), f->name, f->ndim, (int)f->type);
    }
    for (int i = 0; i < f->ndim; i++) {
        CSIM_TRY(check_name(c, "a dimension", f->dim[i]));
        if (f->size[i] < 0 || f->size[i] > most_elements / csim__max64(elements, 1)) {
            return csim__fail(c->ctx, CSIM_E_ARG,
                              "%s: field '%s' has size %lld in dimension '%s', expected 0 or more "
                              "and at most 2^40 elements in all",
                              label(c), f->name, (long long)f->size[i], f->dim[i]);
        }
        elements *= f->size[i];
        for (int j = 0; j < i; j++) {
            if (strcmp(f->dim[i], f->dim[j]) == 0) {
                return csim__fail(c->ctx, CSIM_E_ARG, "%s: field '%s' has dimension '%s' twice",
                                  label(c), f->name, f->dim[i]);
            }
        }
    }
    if (f->long_name != NULL && strlen(f->long_name) > CSIM__CHECKPOINT_TEXT) {
        return csim__fail(c->ctx, CSIM_E_ARG, "%s: the long name of field '%s' is too long",
                          label(c), f->name);
    }
done:
    return st;
}

/* Is the name of `a` that of a dimension of `b`? Only the coordinates of a dimension may be: netCDF
 * takes every field of such a name for them. */
static int takes_dimension(const csim__field *a, const csim__field *b)
{
    int coordinates = a->ndim == 1 && strcmp(a->name, a->dim[0]) == 0;
    for (int i = 0; i < b->ndim && !coordinates; i++) {
        if (strcmp(a->name, b->dim[i]) == 0) { return 1; }
    }
    return 0;
}

/* Can `f` stand beside the field `g`? */
static csim_status check_beside(const csim__checkpoint *c, const csim__field *f,
                                const csim__field *g)
{
    if (strcmp(f->name, g->name) == 0) {
        return csim__fail(c->ctx, CSIM_E_ARG, "%s: there is a field '%s' already", label(c),
                          f->name);
    }
    if (takes_dimension(f, g) || takes_dimension(g, f)) {
        return csim__fail(c->ctx, CSIM_E_ARG,
                          "%s: fields '%s' and '%s': one has the name of a dimension of the other",
                          label(c), g->name, f->name);
    }
    for (int i = 0; i < f->ndim; i++) {
        for (int j = 0; j < g->ndim; j++) {
            if (strcmp(f->dim[i], g->dim[j]) == 0 && f->size[i] != g->size[j]) {
                return csim__fail(c->ctx, CSIM_E_ARG,
                                  "%s: dimension '%s' has size %lld in field '%s' and %lld in '%s'",
                                  label(c), f->dim[i], (long long)g->size[j], g->name,
                                  (long long)f->size[i], f->name);
            }
        }
    }
    return CSIM_OK;
}

static csim_status check_field(const csim__checkpoint *c, const csim__field *f)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(check_shape(c, f));
    if (takes_dimension(f, f)) {
        return csim__fail(c->ctx, CSIM_E_ARG,
                          "%s: field '%s' has the name of one of its dimensions", label(c),
                          f->name);
    }
    for (int i = 0; i < c->fields; i++) { CSIM_TRY(check_beside(c, f, &c->field[i])); }
done:
    return st;
}

csim_status csim__checkpoint_add(csim__checkpoint *c, const csim__field *about)
{
    csim__field f = {.type = about->type};
    csim_status st = CSIM_OK;
    CSIM_TRY(check_field(c, about));
    int64_t bytes = csim__field_bytes(about);
    CSIM_TRY(make_room(c, c->fields, &c->field_room, sizeof f, &c->field));
    CSIM_TRY(copy_text(c->ctx, about->name, &f.name));
    CSIM_TRY(
        copy_text(c->ctx, about->long_name == NULL ? about->name : about->long_name, &f.long_name));
    for (; f.ndim < about->ndim; f.ndim++) {
        f.size[f.ndim] = about->size[f.ndim];
        CSIM_TRY(copy_text(c->ctx, about->dim[f.ndim], &f.dim[f.ndim]));
    }
    if (about->data == NULL) {
        CSIM_TRY(csim__calloc(c->ctx, bytes, 1, about->name, &f.data));
    } else {
        CSIM_TRY(csim__alloc(c->ctx, bytes, 1, about->name, &f.data));
        memcpy(f.data, about->data, (size_t)bytes);
    }
    c->field[c->fields++] = f;
    return CSIM_OK;
done:
    field_free(c->ctx, &f);
    return st;
}

/* Type and shape for people: "float32 [3, any]". */
static void shape_text(csim__field_type type, int ndim, const int64_t *size, char text[SHAPE])
{
    static const char *const word[] = {"float32", "float64", "int64"};
    int used = snprintf(text, SHAPE, "%s [", word[type]);
    for (int i = 0; i < ndim; i++) {
        char number[24] = "any";
        if (size[i] >= 0) { snprintf(number, sizeof number, "%lld", (long long)size[i]); }
        used += snprintf(text + used, (size_t)(SHAPE - used), "%s%s", i == 0 ? "" : ", ", number);
    }
    snprintf(text + used, (size_t)(SHAPE - used), "]");
}

csim_status csim__checkpoint_take(const csim__checkpoint *c, const char *name,
                                  csim__field_type type, int ndim, const int64_t *size,
                                  const void **data)
{
    char want[SHAPE], have[SHAPE];
    const csim__field *f = csim__checkpoint_field(c, name);
    *data = NULL;
    shape_text(type, ndim, size, want);
    if (f == NULL) {
        return csim__fail(c->ctx, CSIM_E_FORMAT, "%s: field '%s' is missing, expected %s", label(c),
                          name, want);
    }
    int fits = f->type == type && f->ndim == ndim;
    for (int i = 0; i < ndim && fits; i++) { fits = size[i] < 0 || size[i] == f->size[i]; }
    if (!fits) {
        shape_text(f->type, f->ndim, f->size, have);
        return csim__fail(c->ctx, CSIM_E_FORMAT, "%s: field '%s' is %s, expected %s", label(c),
                          name, have, want);
    }
    *data = f->data;
    return CSIM_OK;
}
