/* Checkpoints. By its first byte an input is the bytes of a file; or a recipe for a netCDF file,
 * which gets the seal that lets the reader look into it (HDF5 parses its own bytes, what is tested
 * here is how its contents are taken); or a recipe for a checkpoint, which its file must give
 * back. */
#include "fuzz_reader.h"

#include <netcdf.h>

#include "io/checkpoint_private.h"

enum { WORD = 24, ELEMENTS = 64 };

typedef struct recipe {
    const uint8_t *data;
    size_t left;
} recipe;

static unsigned next(recipe *r)
{
    if (r->left == 0) { return 0; }
    r->left--;
    return *r->data++;
}

static const char *pick(recipe *r, const char *const *from, size_t n)
{
    return from[next(r) % n];
}

#define PICK(r, from) pick(r, from, sizeof(from) / sizeof *(from))

static const char *const dim_names[] = {"x", "y", "w", "e", "X", "d_0"};
static const char *const var_names[] = {"w", "e", "x", "moment", "Step", "_w"};
static const char *const att_names[] = {"Conventions", "checksum", "seed",    "loss",
                                        "long_name",   "units",    "History", "rate"};
static const char *const words[] = {"contrasim-encoder-1",
                                    "contrasim-encoder-2",
                                    "",
                                    "contrastive",
                                    "xxh3_128:00000000000000000000000000000000",
                                    "\xff\xfe"};
static const size_t lengths[] = {1,           2, 3, 17, 70000, (size_t)1 << 31, (size_t)1 << 40,
                                 NC_UNLIMITED};

/* Up to WORD - 1 bytes; with `plain` such that they can be a name. */
static void word(recipe *r, char text[WORD], int plain)
{
    unsigned n = next(r) % WORD, i = 0;
    for (; i < n; i++) {
        unsigned c = next(r);
        text[i] = (char)(plain ? 'a' + c % 26 : c);
    }
    text[i] = 0;
}

/* ---- a netCDF file ---- */

/* An attribute of any type; netCDF refuses what cannot be, silently here. */
static void attribute(recipe *r, int nc, int id)
{
    static const char *const strings[3] = {"contrasim-encoder-1", "", "two"};
    const char *name = PICK(r, att_names), *text = PICK(r, words);
    unsigned type = next(r) % 14, n = next(r) % 8;
    unsigned char bytes[8 * 8] = {0};
    for (unsigned i = 0; i < sizeof bytes && r->left > 0 && i < n; i++) {
        bytes[i] = (unsigned char)next(r);
    }
    if (type == 13) {
        nc_put_att_text(nc, id, name, strlen(text), text);
    } else if (type == NC_STRING) {
        nc_put_att_string(nc, id, name, n % 4, (const char **)(uintptr_t)strings);
    } else {
        nc_put_att(nc, id, name, (nc_type)type, n, bytes);
    }
}

static void variable(recipe *r, int nc, const int *dim, int made)
{
    static const unsigned char zero[ELEMENTS * 8];
    const char *name = PICK(r, var_names);
    nc_type type = (nc_type)(next(r) % 12);
    int ndims = (int)(next(r) % 5), dims[5], id = 0;
    unsigned layout = next(r), attributes = next(r) % 3;
    double elements = 1;
    for (int i = 0; i < ndims; i++) {
        size_t length = 0;
        dims[i] = dim[next(r) % (unsigned)made];
        if (nc_inq_dimlen(nc, dims[i], &length) == NC_NOERR) { elements *= (double)length; }
    }
    /* Either small, or so large that it must be refused. */
    if (elements > 70000 && elements < 0x1p30) { return; }
    if (nc_def_var(nc, name, type, ndims, dims, &id) != NC_NOERR) { return; }
    if (layout & 1) { nc_def_var_deflate(nc, id, layout & 2, 1, 1); }
    if (layout & 4) { nc_put_att_text(nc, id, "long_name", 4, "word"); }
    for (unsigned i = 0; i < attributes; i++) { attribute(r, nc, id); }
    if ((layout & 8) && elements <= ELEMENTS) { nc_put_var(nc, id, zero); }
}

static void build(recipe *r)
{
    int nc = 0, dim[6], made = 0, id = 0;
    unsigned kind = next(r), dims = 1 + next(r) % 6, attributes = next(r) % 5;
    if (nc_create(fuzz_path, NC_NETCDF4 | NC_CLOBBER, &nc) != NC_NOERR) { abort(); }
    nc_set_fill(nc, NC_NOFILL, NULL);
    if (kind & 1) { nc_put_att_text(nc, NC_GLOBAL, "Conventions", strlen(words[0]), words[0]); }
    if (kind & 2) { nc_put_att_text(nc, NC_GLOBAL, "checksum", strlen(words[4]), words[4]); }
    if (kind & 4) { nc_def_grp(nc, "g", &id); }
    for (unsigned i = 0; i < dims; i++) {
        size_t length = lengths[next(r) % (sizeof lengths / sizeof *lengths)];
        if (nc_def_dim(nc, dim_names[i], length, &dim[made]) == NC_NOERR) { made++; }
    }
    for (unsigned i = 0; i < attributes; i++) { attribute(r, nc, NC_GLOBAL); }
    for (int i = 0; i < 8 && made > 0 && r->left > 0; i++) { variable(r, nc, dim, made); }
    nc_close(nc);
}

static void seal(void)
{
    static char bytes[1 << 22];
    FILE *file = fopen(fuzz_path, "rb");
    if (file == NULL) { abort(); }
    size_t n = fread(bytes, 1, sizeof bytes - CSIM__SEAL, file);
    fclose(file);
    csim__checkpoint_seal(bytes, (int64_t)n, CSIM__ENCODER_VERSION, bytes + n);
    file = fopen(fuzz_path, "wb");
    if (file == NULL || fwrite(bytes, 1, n + CSIM__SEAL, file) != n + CSIM__SEAL ||
        fclose(file) != 0) {
        abort();
    }
}

/* ---- a checkpoint ---- */

/* Only what a caller may hand over wrongly is refused, and says so. */
static void argument(csim_status st)
{
    if (st != CSIM_OK && st != CSIM_E_ARG) { abort(); }
    csim__forgive(fuzz_ctx);
}

static void set(recipe *r, csim__checkpoint *c)
{
    char name[WORD], text[WORD];
    uint64_t bits = 0;
    double real;
    unsigned kind = next(r);
    word(r, name, kind & 4);
    word(r, text, 0);
    for (int i = 0; i < 8; i++) { bits = bits << 8 | next(r); }
    memcpy(&real, &bits, sizeof real);
    if (kind % 3 == 0) {
        argument(csim__checkpoint_set_text(c, name, text));
    } else if (kind % 3 == 1) {
        argument(csim__checkpoint_set_int(c, name, (int64_t)bits));
    } else {
        argument(csim__checkpoint_set_real(c, name, real));
    }
}

static void add(recipe *r, csim__checkpoint *c)
{
    char name[WORD], dim[3][WORD], long_name[WORD];
    unsigned char data[ELEMENTS * 8];
    unsigned kind = next(r);
    csim__field f = {.name = name, .type = (csim__field_type)(kind % 3), .ndim = next(r) % 4};
    word(r, name, kind & 4);
    word(r, long_name, 0);
    f.long_name = kind & 8 ? NULL : long_name;
    for (int i = 0; i < 3; i++) {
        f.dim[i] = dim[i];
        f.size[i] = next(r) % 5; /* at most 4³ = ELEMENTS */
        if (kind & 16) {
            snprintf(dim[i], WORD, "d%u_%d", next(r) % 3, (int)f.size[i]);
        } else {
            word(r, dim[i], 1);
        }
    }
    for (size_t i = 0; i < sizeof data; i++) { data[i] = (unsigned char)next(r); }
    f.data = kind & 32 ? NULL : data;
    argument(csim__checkpoint_add(c, &f));
}

static void round_trip(recipe *r)
{
    csim__checkpoint *c = NULL, *back = NULL;
    char there[CSIM__CHECKSUM], here[CSIM__CHECKSUM];
    if (csim__checkpoint_create(fuzz_ctx, &c) != CSIM_OK) { abort(); }
    for (int i = 0; i < 40 && r->left > 0; i++) { next(r) % 2 ? set(r, c) : add(r, c); }
    if (csim__checkpoint_write(fuzz_ctx, c, fuzz_path) != CSIM_OK ||
        csim__checkpoint_read(fuzz_ctx, fuzz_path, &back) != CSIM_OK ||
        csim__checkpoint_checksum(c, here) != CSIM_OK ||
        csim__checkpoint_checksum(back, there) != CSIM_OK || strcmp(here, there) != 0) {
        fprintf(stderr, "%s\n", csim_context_error(fuzz_ctx));
        abort();
    }
    csim__checkpoint_free(fuzz_ctx, &back);
    csim__checkpoint_free(fuzz_ctx, &c);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_start(argc, argv, ".nc");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    recipe r = {data, size};
    csim__checkpoint *back = NULL;
    unsigned kind = next(&r) % 4;
    char prev[sizeof fuzz_path + 8];
    snprintf(prev, sizeof prev, "%s.prev", fuzz_path);
    if (kind == 0) {
        FILE *file = fopen(fuzz_path, "wb");
        if (file == NULL || fwrite(r.data, 1, r.left, file) != r.left || fclose(file) != 0) {
            abort();
        }
    } else if (kind == 1) {
        build(&r);
        seal();
    } else {
        round_trip(&r);
    }
    csim_status st = csim__checkpoint_read(fuzz_ctx, fuzz_path, &back);
    if (kind >= 2 && st != CSIM_OK) { abort(); }
    fuzz_refusal(st);
    csim__checkpoint_free(fuzz_ctx, &back);
    unlink(fuzz_path);
    unlink(prev);
    if (csim_context_memory_live(fuzz_ctx) != 0) { abort(); }
    return 0;
}
