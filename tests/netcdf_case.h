/* netCDF and HDF5 files for tests, of numbers from formulas. */
#ifndef NETCDF_CASE_H
#define NETCDF_CASE_H

#include "harness.h"

#include <netcdf.h>

enum { N = 150, D = 6, KNOWN = 8 };

#define NC(call) assert_int_equal((call), NC_NOERR)

/* 16-bit patterns with their values, from the definitions of the two types. */
struct pattern {
    uint16_t bits;
    double half, bfloat;
};
extern const struct pattern known[KNOWN];

void must(csim_context *ctx, csim_status st);
void meet(void);

/* Element k of layer l: exact in float32 and smaller. */
double value(int layer, int64_t k);

int def_var(int nc, const char *name, nc_type type, int ndims, const int *dims);
void put_floats(int nc, int id, int layer, int64_t n);
void put_layer_index(int nc, int id, int index);

/* Native: "b" is layer 0, "a" layer 1 (double), "half" and "brain" 16-bit; ids, label, group, and
 * a float matrix that is not over `example`. */
void make_native(const char *path, int deflate);

/* Any HDF5: groups, more dimensions, what is not a site. */
void make_groups(const char *path);

#endif
