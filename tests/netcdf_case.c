#define _POSIX_C_SOURCE 200809L
#include "netcdf_case.h"

#include <stdlib.h>

const struct pattern known[KNOWN] = {
    {0x3c00, 0x1.0000000000000p+0, 0x1.0000000000000p-7},
    {0xc000, -0x1.0000000000000p+1, -0x1.0000000000000p+1},
    {0x0001, 0x1.0000000000000p-24, 0x1.0000000000000p-133},
    {0x03ff, 0x1.ff80000000000p-15, 0x1.fe00000000000p-120},
    {0x0400, 0x1.0000000000000p-14, 0x1.0000000000000p-119},
    {0x7bff, 0x1.ffc0000000000p+15, 0x1.fe00000000000p+120},
    {0x8000, -0x0.0p+0, -0x0.0p+0},
    {0x3555, 0x1.5540000000000p-2, 0x1.aa00000000000p-21},
};

void must(csim_context *ctx, csim_status st)
{
    if (st != CSIM_OK) { fail_msg("%s: %s", csim_status_name(st), csim_context_error(ctx)); }
}

void meet(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

double value(int layer, int64_t k)
{
    return (double)((k * 7 + layer * 3) % 512 - 256) / 64.0;
}

int def_var(int nc, const char *name, nc_type type, int ndims, const int *dims)
{
    int id = 0;
    NC(nc_def_var(nc, name, type, ndims, dims, &id));
    return id;
}

void put_floats(int nc, int id, int layer, int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) { x[i] = (float)value(layer, i); }
    NC(nc_put_var_float(nc, id, x));
    free(x);
}

void put_layer_index(int nc, int id, int index)
{
    NC(nc_put_att_int(nc, id, "layer_index", NC_INT, 1, &index));
}

void make_native(const char *path, int deflate)
{
    int nc = 0, dim[4], id = 0, ids[N], label[N];
    size_t chunks[2] = {32, 4};
    uint16_t bits[N * KNOWN];
    NC(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc));
    NC(nc_put_att_text(nc, NC_GLOBAL, "Conventions", 11, "contrasim-1"));
    NC(nc_put_att_text(nc, NC_GLOBAL, "dataset", 5, "toys!"));
    NC(nc_def_dim(nc, "example", N, &dim[0]));
    NC(nc_def_dim(nc, "neuron_a", D, &dim[1]));
    NC(nc_def_dim(nc, "neuron_half", KNOWN, &dim[2]));
    NC(nc_def_dim(nc, "other", 3, &dim[3]));
    id = def_var(nc, "a", NC_DOUBLE, 2, dim);
    put_layer_index(nc, id, 1);
    if (deflate) {
        NC(nc_def_var_chunking(nc, id, NC_CHUNKED, chunks));
        NC(nc_def_var_deflate(nc, id, 1, 1, 5));
        NC(nc_def_var_fletcher32(nc, id, 1));
    }
    put_floats(nc, id, 1, N * D);
    id = def_var(nc, "b", NC_FLOAT, 2, dim);
    put_layer_index(nc, id, 0);
    put_floats(nc, id, 0, N * D);
    for (int i = 0; i < N * KNOWN; i++) { bits[i] = known[i % KNOWN].bits; }
    for (int brain = 0; brain < 2; brain++) {
        id = def_var(nc, brain ? "brain" : "half", NC_USHORT, 2, (int[]){dim[0], dim[2]});
        put_layer_index(nc, id, 2 + brain);
        NC(nc_put_att_text(nc, id, "dtype", brain ? 8 : 7, brain ? "bfloat16" : "float16"));
        NC(nc_put_var_ushort(nc, id, bits));
    }
    for (int i = 0; i < N; i++) {
        ids[i] = 1000 + 3 * i;
        label[i] = i % 4;
    }
    id = def_var(nc, "example_id", NC_INT64, 1, dim);
    NC(nc_put_var_int(nc, id, ids));
    id = def_var(nc, "label_class", NC_INT, 1, dim);
    NC(nc_put_att_text(nc, id, "classes", 7, "a b c d"));
    NC(nc_put_var_int(nc, id, label));
    id = def_var(nc, "label_soft", NC_FLOAT, 2, dim); /* accompanies the examples: not a layer */
    put_floats(nc, id, 5, N * D);
    id = def_var(nc, "weights", NC_FLOAT, 2, (int[]){dim[3], dim[1]}); /* not over the examples */
    put_floats(nc, id, 6, 3 * D);
    def_var(nc, "counts", NC_USHORT, 2, dim); /* no dtype: plain integers */
    NC(nc_close(nc));
}

void make_groups(const char *path)
{
    int nc = 0, g = 0, h = 0, dim[4];
    nc_type pair;
    NC(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc));
    for (int i = 0; i < 4; i++) {
        const char name[2] = {(char)('w' + i), 0};
        NC(nc_def_dim(nc, name, (size_t)(i == 0 ? 10 : i + 2), &dim[i]));
    }
    NC(nc_def_grp(nc, "block", &g));
    NC(nc_def_grp(g, "inner", &h));
    put_floats(nc, def_var(nc, "top", NC_FLOAT, 2, dim), 0, 10 * 3);
    put_floats(g, def_var(g, "out", NC_DOUBLE, 3, dim), 1, 10 * 3 * 4);
    put_floats(h, def_var(h, "out", NC_FLOAT, 4, dim), 2, 10 * 3 * 4 * 5);
    def_var(nc, "line", NC_DOUBLE, 1, dim);
    def_var(nc, "whole", NC_INT, 2, dim);
    def_var(nc, "text", NC_CHAR, 2, dim);
    def_var(nc, "string", NC_STRING, 2, dim);
    NC(nc_def_compound(nc, 8, "pair", &pair));
    NC(nc_insert_compound(nc, pair, "a", 0, NC_FLOAT));
    NC(nc_insert_compound(nc, pair, "b", 4, NC_FLOAT));
    def_var(nc, "pairs", pair, 2, dim);
    NC(nc_close(nc));
}
