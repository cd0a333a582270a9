/* A checkpoint with some of everything, and files as bytes. */
#define _POSIX_C_SOURCE 200809L
#include "checkpoint_case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_TEXT = 200000 }; /* more than HDF5 keeps in an object's header */

void case_must(csim_context *ctx, csim_status st)
{
    if (st != CSIM_OK) { fail_msg("%s: %s", csim_status_name(st), csim_context_error(ctx)); }
}

void case_meet(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

void case_refused(csim_context *ctx, csim_status st, csim_status want, const char *part)
{
    const char *error = csim_context_error(ctx);
    if (st != want || strstr(error, part) == NULL) {
        fail_msg("%s: %s; expected %s: …%s…", csim_status_name(st), error, csim_status_name(want),
                 part);
    }
    csim__forgive(ctx);
}

/* ---- content ---- */

/* NaNs with a sign and a payload, -0, the smallest and largest numbers, infinities. */
static const uint32_t floats[] = {0x00000000, 0x80000000, 0x7fc00000, 0xffc00001, 0x7f800001,
                                  0x7f800000, 0xff800000, 0x00000001, 0x7f7fffff, 0x3f800000};
static const uint64_t doubles[] = {0x0000000000000000, 0x8000000000000000, 0x7ff8000000000000,
                                   0xfff8000000000001, 0x7ff0000000000001, 0x7ff0000000000000,
                                   0xfff0000000000000, 0x0000000000000001, 0x7fefffffffffffff,
                                   0x3fd5555555555555, 0x479e000000000000};
static const int64_t wholes[] = {0, 1, -1, INT64_MIN, INT64_MAX, 1LL << 53, -9007199254740993, 42};

static const csim__field fields[CASE_FIELDS] = {
    {"weight", CSIM__FLOAT32, 2, {"neuron", "unit"}, {5, 3}, NULL, "weights of the first layer"},
    {"moment", CSIM__FLOAT64, 3, {"order", "neuron", "unit"}, {2, 5, 3}, NULL, "moments \xc2\xb1"},
    {"step", CSIM__INT64, 1, {"one"}, {1}, NULL, NULL},
    {"neuron", CSIM__INT64, 1, {"neuron"}, {5}, NULL, "index of the neuron"},
    {"state", CSIM__INT64, 1, {"word"}, {8}, NULL, ""},
    {"empty", CSIM__FLOAT32, 1, {"nothing"}, {0}, NULL, "no element"},
    {"empty_row", CSIM__FLOAT64, 2, {"nothing", "unit"}, {0, 3}, NULL, "no row"},
    {"empty_column", CSIM__INT64, 3, {"unit", "order", "none.at-all"}, {3, 2, 0}, NULL, "none"},
    {"loss", CSIM__FLOAT64, 1, {"epoch"}, {11}, NULL, "loss"},
};

static int64_t elements(const csim__field *f)
{
    int64_t n = 1;
    for (int i = 0; i < f->ndim; i++) { n *= f->size[i]; }
    return n;
}

/* The bytes that field i has, new. */
static void *field_data(int i, int generation, size_t *bytes)
{
    int64_t n = elements(&fields[i]);
    size_t size = fields[i].type == CSIM__FLOAT32 ? 4 : 8;
    char *data = malloc((size_t)n * size + 1);
    assert_non_null(data);
    for (int64_t k = 0; k < n; k++) {
        size_t at = (size_t)(k + i + generation);
        const void *from = size == 4                       ? (const void *)&floats[at % 10]
                           : fields[i].type == CSIM__INT64 ? (const void *)&wholes[at % 8]
                                                           : (const void *)&doubles[at % 11];
        memcpy(data + (size_t)k * size, from, size);
    }
    *bytes = (size_t)n * size;
    return data;
}

static char *long_text(int generation)
{
    char *text = malloc(LONG_TEXT + 1);
    assert_non_null(text);
    for (int i = 0; i < LONG_TEXT; i++) { text[i] = (char)('a' + (i * 7 + generation) % 26); }
    text[LONG_TEXT] = 0;
    return text;
}

csim__checkpoint *case_make(csim_context *ctx, int generation)
{
    csim__checkpoint *c = NULL;
    char *text = long_text(generation), name[16];
    double nan;
    case_must(ctx, csim__checkpoint_create(ctx, &c));
    case_must(ctx, csim__checkpoint_set_int(c, "replaced", 7)); /* by another type, below */
    case_must(ctx, csim__checkpoint_set_text(c, "configuration", "[train]\nloss = contrastive\n"));
    case_must(ctx, csim__checkpoint_set_text(c, "empty", ""));
    case_must(ctx, csim__checkpoint_set_text(c, "long", text));
    case_must(ctx, csim__checkpoint_set_text(c, "replaced", "couch\xc3\xa9, \"1\""));
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "whole_%d", i);
        case_must(ctx, csim__checkpoint_set_int(c, name, wholes[(i + generation) % 8]));
    }
    memcpy(&nan, &doubles[3], sizeof nan);
    case_must(ctx, csim__checkpoint_set_real(c, "a.nan", nan));
    case_must(ctx, csim__checkpoint_set_real(c, "minus-zero", -0.0));
    case_must(ctx, csim__checkpoint_set_real(c, "third", 1.0 / 3));
    case_must(ctx, csim__checkpoint_set_int(c, "generation", generation));
    for (int i = 0; i < CASE_FIELDS; i++) {
        csim__field f = fields[i];
        size_t bytes = 0;
        f.data = field_data(i, generation, &bytes);
        case_must(ctx, csim__checkpoint_add(c, &f));
        free(f.data);
    }
    free(text);
    return c;
}

static void check_values(const csim__checkpoint *c, int generation)
{
    const char *text = NULL;
    char *want = long_text(generation), name[16];
    int64_t whole = 0;
    double real = 0;
    assert_int_equal(c->values, CASE_ATTRIBUTES);
    case_must(c->ctx, csim__checkpoint_text(c, "configuration", &text));
    assert_string_equal(text, "[train]\nloss = contrastive\n");
    case_must(c->ctx, csim__checkpoint_text(c, "empty", &text));
    assert_string_equal(text, "");
    case_must(c->ctx, csim__checkpoint_text(c, "long", &text));
    assert_string_equal(text, want);
    case_must(c->ctx, csim__checkpoint_text(c, "replaced", &text));
    assert_string_equal(text, "couch\xc3\xa9, \"1\"");
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "whole_%d", i);
        case_must(c->ctx, csim__checkpoint_int(c, name, &whole));
        assert_true(whole == wholes[(i + generation) % 8]);
    }
    case_must(c->ctx, csim__checkpoint_real(c, "a.nan", &real));
    assert_memory_equal(&real, &doubles[3], 8);
    case_must(c->ctx, csim__checkpoint_real(c, "minus-zero", &real));
    assert_memory_equal(&real, &doubles[1], 8);
    case_must(c->ctx, csim__checkpoint_real(c, "third", &real));
    assert_true(real == 1.0 / 3);
    case_must(c->ctx, csim__checkpoint_int(c, "generation", &whole));
    assert_int_equal(whole, generation);
    free(want);
}

void case_check(const csim__checkpoint *c, int generation)
{
    check_values(c, generation);
    assert_int_equal(c->fields, CASE_FIELDS);
    for (int i = 0; i < CASE_FIELDS; i++) {
        const csim__field *a = csim__checkpoint_field(c, fields[i].name), *b = &fields[i];
        size_t bytes = 0;
        if (a == NULL) { fail_msg("field %s is gone", b->name); }
        assert_ptr_equal(a, &c->field[i]); /* the order is kept */
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->ndim, b->ndim);
        assert_string_equal(a->long_name, b->long_name == NULL ? b->name : b->long_name);
        for (int j = 0; j < b->ndim; j++) {
            assert_string_equal(a->dim[j], b->dim[j]);
            assert_int_equal(a->size[j], b->size[j]);
        }
        void *want = field_data(i, generation, &bytes);
        assert_non_null(a->data);
        assert_memory_equal(a->data, want, bytes);
        free(want);
    }
}

/* ---- files ---- */

char *case_bytes(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) { fail_msg("%s is not there", path); }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    *n = fread(bytes, 1, (size_t)size, f);
    assert_int_equal(*n, (size_t)size);
    fclose(f);
    return bytes;
}

void case_put(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

int case_holds(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) { return 0; }
    char *found = malloc(n + 1);
    int same = found != NULL && fread(found, 1, n + 1, f) == n && memcmp(found, bytes, n) == 0;
    free(found);
    fclose(f);
    return same;
}

int case_count(const char *part)
{
    case_meet();
    DIR *dir = opendir(".");
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += strstr(e->d_name, part) != NULL;
    }
    closedir(dir);
    case_meet();
    return n;
}
