/* netCDF: error codes and attributes. Files are untrusted. */
#include <string.h>

#include "io/netcdf.h"

csim_status csim__nc(csim_context *ctx, int code, csim_status otherwise, const char *path,
                     const char *what)
{
    if (code == NC_NOERR) { return CSIM_OK; }
    csim_status st = otherwise;
    if (code > 0) {
        st = CSIM_E_IO; /* a code of the system */
    } else if (code == NC_ENOMEM) {
        st = CSIM_E_MEM;
    } else if (code == NC_EEXIST) {
        st = CSIM_E_EXISTS;
    } else if (code == NC_ENFILE || code == NC_EINTERNAL) {
        st = CSIM_E_INTERNAL;
    }
    return csim__fail(ctx, st, "%s: cannot %s: %s%s", path, what, nc_strerror(code),
                      code == NC_EHDFERR && otherwise == CSIM_E_IO ? "; is the disk full?" : "");
}

csim_status csim__nc_open(csim_context *ctx, const char *path, int *nc)
{
    int code = nc_open(path, NC_NOWRITE, nc);
    if (code != NC_NOERR) { *nc = -1; }
    return csim__nc(ctx, code, CSIM_E_FORMAT, path, "open as netCDF or HDF5");
}

const char *csim__nc_type_name(nc_type type)
{
    static const char *const name[] = {"an unknown type", "int8",   "char",  "int16",  "int32",
                                       "float",           "double", "uint8", "uint16", "uint32",
                                       "int64",           "uint64", "string"};
    return type < 0 || type > NC_STRING ? "a type made of others" : name[type];
}

int csim__nc_is_whole(nc_type type)
{
    return type == NC_BYTE || type == NC_SHORT || type == NC_INT || type == NC_INT64 ||
           type == NC_UBYTE || type == NC_USHORT || type == NC_UINT || type == NC_UINT64;
}

csim_status csim__nc_attribute(csim_context *ctx, const char *path, int group, int variable,
                               const char *label, const char *name, int64_t most, nc_type *type,
                               int64_t *count)
{
    size_t length = 0;
    int code = nc_inq_att(group, variable, name, type, &length);
    *count = 0;
    if (code == NC_ENOTATT) {
        *type = NC_NAT;
        return CSIM_OK;
    }
    if (code != NC_NOERR) { return csim__nc(ctx, code, CSIM_E_FORMAT, path, "read an attribute"); }
    if (*type == NC_NAT || *type > NC_STRING) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: attribute %s of %s has a type that is neither text nor number", path,
                          name, label);
    }
    if (length > (size_t)most) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: attribute %s of %s has %zu elements, expected at most %lld", path,
                          name, label, length, (long long)most);
    }
    *count = (int64_t)length;
    return CSIM_OK;
}

/* A single NC_STRING, copied into counted memory. */
static csim_status string_text(csim_context *ctx, const char *path, int group, int variable,
                               const char *label, const char *name, int64_t most, char **text)
{
    char *one = NULL;
    int code = nc_get_att_string(group, variable, name, &one);
    csim_status st = csim__nc(ctx, code, CSIM_E_FORMAT, path, "read a text attribute");
    if (st == CSIM_OK && one != NULL && strlen(one) > (size_t)most) {
        st = csim__fail(ctx, CSIM_E_FORMAT, "%s: attribute %s of %s has %zu bytes, at most %lld",
                        path, name, label, strlen(one), (long long)most);
    }
    if (st == CSIM_OK) { st = csim__strdup(ctx, one == NULL ? "" : one, text); }
    if (code == NC_NOERR) { nc_free_string(1, &one); }
    return st;
}

csim_status csim__nc_text(csim_context *ctx, const char *path, int group, int variable,
                          const char *label, const char *name, int64_t most, char **text)
{
    nc_type type = NC_NAT;
    int64_t count = 0;
    csim_status st = CSIM_OK;
    *text = NULL;
    CSIM_TRY(csim__nc_attribute(ctx, path, group, variable, label, name, most, &type, &count));
    if (type == NC_NAT) { return CSIM_OK; }
    if (type == NC_STRING && count == 1) {
        return string_text(ctx, path, group, variable, label, name, most, text);
    }
    if (type != NC_CHAR) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s: attribute %s of %s is not one text", path, name,
                          label);
    }
    CSIM_TRY(csim__calloc(ctx, count + 1, 1, "an attribute", text));
    if (count > 0) {
        CSIM_TRY(csim__nc(ctx, nc_get_att_text(group, variable, name, *text), CSIM_E_FORMAT, path,
                          "read a text attribute"));
    }
    return CSIM_OK;
done:
    csim__free(ctx, text);
    return st;
}

csim_status csim__nc_int(csim_context *ctx, const char *path, int group, int variable,
                         const char *label, const char *name, int64_t *value, int *has)
{
    nc_type type = NC_NAT;
    int64_t count = 0;
    long long number = 0;
    *has = 0;
    csim_status st = csim__nc_attribute(ctx, path, group, variable, label, name, 1, &type, &count);
    if (st != CSIM_OK || type == NC_NAT) { return st; }
    if (!csim__nc_is_whole(type) || count != 1) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s: attribute %s of %s is not one whole number",
                          path, name, label);
    }
    st = csim__nc(ctx, nc_get_att_longlong(group, variable, name, &number), CSIM_E_FORMAT, path,
                  "read a number from an attribute");
    *value = number;
    *has = st == CSIM_OK;
    return st;
}
