/* Attributes, types and shapes of netCDF files. The input is not the file but a recipe for one:
 * HDF5 parses its own bytes, what is tested here is how its contents are taken. The file is read as
 * a set, array by array, and as results. */
#include "fuzz_reader.h"

#include <netcdf.h>

#include "contrasim/results.h"

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

static const char *const dim_names[] = {"example", "site_a", "site_b", "k", "neuron_a", "other"};
static const size_t lengths[] = {1, 2, 3, 5, 17, 300, 70000, (size_t)1 << 31, NC_UNLIMITED};
static const char *const var_names[] = {
    "layer", "a",          "model_a",  "layer_a",    "neurons_a", "model_b", "layer_b", "neurons_b",
    "cka",   "cka_status", "cka_note", "example_id", "label_x",   "group",   "k"};
static const char *const att_names[] = {"dtype",         "layer_index",  "_FillValue",  "long_name",
                                        "flag_meanings", "companion_of", "valid_range", "valid_min",
                                        "Conventions",   "format",       "completed",   "checksum",
                                        "model",         "units"};
static const char *const words[] = {"float16",
                                    "bfloat16",
                                    "contrasim-1",
                                    "contrasim-results-1",
                                    "cka",
                                    "none few",
                                    "",
                                    " ",
                                    "xxh3_128:00000000000000000000000000000000",
                                    "\xff\xfe"};

/* An attribute of any type and up to 70 elements; netCDF refuses what cannot be, silently here. */
static void attribute(recipe *r, int nc, int id)
{
    static const char *const strings[3] = {"float16", "", "two"};
    const char *name = PICK(r, att_names);
    unsigned type = next(r) % 14, n = next(r) % 71;
    unsigned char bytes[71 * 8];
    if (type == 13) {
        const char *word = PICK(r, words);
        nc_put_att_text(nc, id, name, strlen(word), word);
    } else if (type == NC_STRING) {
        nc_put_att_string(nc, id, name, n % 4, (const char **)(uintptr_t)strings);
    } else {
        memset(bytes, 0, sizeof bytes);
        for (unsigned i = 0; i < n * 8 && r->left > 0 && i < 64; i++) {
            bytes[i] = (unsigned char)next(r);
        }
        nc_put_att(nc, id, name, (nc_type)type, n, bytes);
    }
}

static void fill(int nc, int id, nc_type type, int ndims, const int *dims)
{
    static const char *text[600];
    static unsigned char zero[600 * 8];
    size_t n = 1, length = 0;
    for (int i = 0; i < ndims; i++) {
        if (nc_inq_dimlen(nc, dims[i], &length) != NC_NOERR || length > 600) { return; }
        n *= length;
    }
    if (n > 600) { return; }
    for (size_t i = 0; i < n; i++) { text[i] = i % 3 == 0 ? "one" : "another"; }
    if (type == NC_STRING) {
        nc_put_var_string(nc, id, text);
    } else {
        nc_put_var(nc, id, zero);
    }
}

static void variable(recipe *r, int nc, int classic, const int *dim, int dims_made)
{
    const char *name = PICK(r, var_names);
    nc_type type = (nc_type)(next(r) % 13);
    int ndims = (int)(next(r) % 5), dims[5], id = 0;
    unsigned layout = next(r), n = next(r) % 4;
    double elements = 1;
    for (int i = 0; i < ndims; i++) {
        size_t length = 0;
        dims[i] = dim[next(r) % (unsigned)dims_made];
        if (nc_inq_dimlen(nc, dims[i], &length) == NC_NOERR) { elements *= (double)length; }
    }
    /* Either small enough to be read here, or so large that it must be refused; a classic file that
     * is large has holes but really has that size. */
    if (elements > 0x1p22 && (classic || elements < 0x1p40)) { return; }
    if (nc_def_var(nc, name, type, ndims, dims, &id) != NC_NOERR) { return; }
    if (layout & 1) { nc_def_var_deflate(nc, id, layout & 2, 1, 1); }
    for (unsigned i = 0; i < n; i++) { attribute(r, nc, id); }
    if (layout & 4) { fill(nc, id, type, ndims, dims); }
}

static void build(recipe *r)
{
    int nc = 0, dim[6], made = 0, group = 0;
    unsigned kind = next(r), dims = 1 + next(r) % 6, attributes = next(r) % 5;
    if (nc_create(fuzz_path, (kind & 1 ? NC_64BIT_DATA : NC_NETCDF4) | NC_CLOBBER, &nc) !=
        NC_NOERR) {
        abort();
    }
    nc_set_fill(nc, NC_NOFILL, NULL);
    for (unsigned i = 0; i < dims; i++) {
        size_t length = lengths[next(r) % (sizeof lengths / sizeof *lengths)];
        if (nc_def_dim(nc, dim_names[i], length, &dim[made]) == NC_NOERR) { made++; }
    }
    for (unsigned i = 0; i < attributes; i++) { attribute(r, nc, NC_GLOBAL); }
    group = nc;
    for (int i = 0; i < 20 && made > 0 && r->left > 0; i++) {
        if (next(r) % 8 == 7) { nc_def_grp(group, i % 2 ? "g" : "block", &group); }
        variable(r, group, kind & 1, dim, made);
    }
    nc_close(nc);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_start(argc, argv, ".nc");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[1 << 22];
    recipe r = {data, size};
    csim_results *results = NULL;
    build(&r);
    fuzz_set();
    fuzz_refusal(csim_results_read(fuzz_ctx, fuzz_path, &results));
    csim_results_free(&results);
    FILE *file = fopen(fuzz_path, "rb");
    if (file == NULL) { return 0; } /* netCDF removes a classic file that it cannot finish */
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return n == sizeof bytes ? 0 : fuzz_one(&csim__format_netcdf, bytes, n);
}
