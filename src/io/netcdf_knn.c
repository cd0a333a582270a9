#include "io/knn_file.h"

#include <limits.h>
#include <string.h>

#include "io/netcdf_parallel.h"

enum { SITE, EXAMPLE, NEIGHBOUR, DIMS };

struct csim__knn_file {
    csim_context *ctx;
    const csim__knn_about *about;
    const char *path;
    csim__nc_parallel file;
    int dim[DIMS], letters; /* dimensions */
    int index, distance;    /* variables */
    size_t longest;         /* bytes of the longest name */
};

#define NC_TRY(f, call, what) CSIM_TRY(csim__nc((f)->ctx, (call), CSIM_E_IO, (f)->path, what))

static csim_status define_variable(csim__knn_file *f, const char *name, nc_type type, int ndim,
                                   const int *dims, const char *long_name, int *id)
{
    csim_status st = CSIM_OK;
    NC_TRY(f, nc_def_var(f->file.nc, name, type, ndim, dims, id), "define a variable");
    NC_TRY(f, nc_def_var_fill(f->file.nc, *id, NC_NOFILL, NULL), "define a variable");
    NC_TRY(f, nc_def_var_chunking(f->file.nc, *id, NC_CONTIGUOUS, NULL), "define the layout");
    CSIM_TRY(csim__nc_parallel_text(&f->file, *id, "long_name", long_name));
done:
    return st;
}

/* Names as arrays of letters: parallel files hold no texts. */
static csim_status define_labels(csim__knn_file *f, int id[2])
{
    static const char *const name[2] = {"model", "layer"};
    static const char *const about[2] = {"model of the layer", "name of the layer"};
    const int dims[2] = {f->dim[SITE], f->letters};
    csim_status st = CSIM_OK;
    for (int i = 0; i < 2; i++) {
        CSIM_TRY(define_variable(f, name[i], NC_CHAR, 2, dims, about[i], &id[i]));
        CSIM_TRY(csim__nc_parallel_text(&f->file, id[i], "_Encoding", "utf-8"));
    }
done:
    return st;
}

/* Rank 0 writes what is small. */
static csim_status put_small(csim__knn_file *f, int site, int neighbour, int neurons,
                             const int label[2])
{
    csim_status st = CSIM_OK;
    for (int i = 0; i < f->about->sites; i++) {
        const csim__knn_site *s = &f->about->site[i];
        const char *text[2] = {s->model, s->layer};
        size_t at = (size_t)i;
        long long width = s->neurons;
        NC_TRY(f, nc_put_var1_int(f->file.nc, site, &at, &i), "write a variable");
        NC_TRY(f, nc_put_var1_longlong(f->file.nc, neurons, &at, &width), "write a variable");
        for (int l = 0; l < 2; l++) {
            char *padded = NULL;
            size_t start[2] = {at, 0}, count[2] = {1, f->longest};
            CSIM_TRY(csim__calloc(f->ctx, (int64_t)f->longest + 1, 1, "a name", &padded));
            memcpy(padded, text[l], strlen(text[l]));
            int code = nc_put_vara_text(f->file.nc, label[l], start, count, padded);
            csim__free(f->ctx, &padded);
            NC_TRY(f, code, "write a variable");
        }
    }
    for (int64_t i = 0; i < f->about->k; i++) {
        size_t at = (size_t)i;
        long long place = i;
        NC_TRY(f, nc_put_var1_longlong(f->file.nc, neighbour, &at, &place), "write a variable");
    }
done:
    return st;
}

static csim_status define(csim__knn_file *f, int *site, int *neighbour, int *neurons, int label[2])
{
    const csim__knn_about *a = f->about;
    int nc = f->file.nc;
    csim_status st = CSIM_OK;
    NC_TRY(f, nc_def_dim(nc, "site", (size_t)a->sites, &f->dim[SITE]), "define a dimension");
    NC_TRY(f, nc_def_dim(nc, "example", (size_t)a->examples, &f->dim[EXAMPLE]),
           "define a dimension");
    NC_TRY(f, nc_def_dim(nc, "neighbour", (size_t)a->k, &f->dim[NEIGHBOUR]), "define a dimension");
    NC_TRY(f, nc_def_dim(nc, "letter", f->longest, &f->letters), "define a dimension");
    CSIM_TRY(define_variable(f, "site", NC_INT, 1, &f->dim[SITE], "index of the layer", site));
    CSIM_TRY(define_variable(f, "neighbour", NC_INT, 1, &f->dim[NEIGHBOUR],
                             "place in the list, 0 = nearest", neighbour));
    CSIM_TRY(
        define_variable(f, "neurons", NC_INT64, 1, &f->dim[SITE], "neurons of the layer", neurons));
    CSIM_TRY(define_labels(f, label));
    CSIM_TRY(define_variable(f, "index", NC_INT, 3, f->dim,
                             "neighbours of each example, by their place among the examples from 0",
                             &f->index));
    CSIM_TRY(csim__nc_parallel_text(&f->file, f->index, "coordinates", "model layer"));
    CSIM_TRY(define_variable(f, "distance", NC_DOUBLE, 3, f->dim, a->distance, &f->distance));
    CSIM_TRY(csim__nc_parallel_text(&f->file, f->distance, "units", "1"));
    CSIM_TRY(csim__nc_parallel_text(&f->file, f->distance, "coordinates", "model layer"));
    CSIM_TRY(csim__knn_file_text(f, "Conventions", "CF-1.10"));
    CSIM_TRY(csim__knn_file_text(f, "format", "contrasim-knn-1"));
    CSIM_TRY(csim__knn_file_text(f, "title", "Exact nearest neighbours of examples"));
    CSIM_TRY(csim__knn_file_text(f, "metric", a->metric));
    CSIM_TRY(csim__knn_file_whole(f, "examples", a->examples));
    NC_TRY(f, nc_enddef(nc), "define the file");
done:
    return st;
}

csim_status csim__knn_file_make(csim_context *ctx, const char *path, int overwrite,
                                const csim__knn_about *about, csim__knn_file **file)
{
    csim__knn_file *f = NULL;
    int site, neighbour, neurons, label[2];
    int64_t bytes = 1 << 17;
    csim_status st = csim__calloc(ctx, 1, sizeof *f, "a file", &f);
    *file = NULL;
    CSIM_TRY(csim__vote(ctx, st));
    f->ctx = ctx;
    f->about = about;
    f->path = path;
    f->file.nc = -1;
    f->longest = 1;
    for (int i = 0; i < about->sites; i++) {
        size_t model = strlen(about->site[i].model), layer = strlen(about->site[i].layer);
        f->longest = model > f->longest ? model : f->longest;
        f->longest = layer > f->longest ? layer : f->longest;
    }
    bytes += about->sites * (about->examples * about->k * 12 + 2 * (int64_t)f->longest + 16);
    CSIM_TRY(csim__nc_parallel_make(ctx, path, overwrite, bytes, &f->file));
    CSIM_TRY(csim__vote(ctx, define(f, &site, &neighbour, &neurons, label)));
    if (csim_context_rank(ctx) == 0) { st = put_small(f, site, neighbour, neurons, label); }
    CSIM_TRY(csim__vote(ctx, st));
    *file = f;
    f = NULL;
done:
    csim__knn_file_close(ctx, &f);
    return st;
}

/* Every rank writes on its own, as in the native file: one that fails keeps nobody waiting. */
csim_status csim__knn_file_put(csim__knn_file *f, int site, int64_t row, int64_t rows,
                               const int32_t *index, const double *distance)
{
    size_t start[DIMS] = {(size_t)site, (size_t)row, 0};
    size_t count[DIMS] = {1, (size_t)rows, (size_t)f->about->k};
    _Static_assert(sizeof(int) == sizeof(int32_t), "indices are written in place");
    csim_status st = CSIM_OK;
    NC_TRY(f, nc_put_vara_int(f->file.nc, f->index, start, count, index), "write neighbours");
    NC_TRY(f, nc_put_vara_double(f->file.nc, f->distance, start, count, distance),
           "write distances");
done:
    return st;
}

csim_status csim__knn_file_text(csim__knn_file *f, const char *name, const char *text)
{
    return csim__nc_parallel_text(&f->file, NC_GLOBAL, name, text);
}

csim_status csim__knn_file_whole(csim__knn_file *f, const char *name, int64_t value)
{
    long long whole = value;
    nc_type type = value < INT_MIN || value > INT_MAX ? NC_INT64 : NC_INT;
    return csim__nc(f->ctx, nc_put_att_longlong(f->file.nc, NC_GLOBAL, name, type, 1, &whole),
                    CSIM_E_IO, f->path, "write an attribute");
}

/* Rank 0 looks at the finished file: the lists there with their size. */
static csim_status verify(void *user, const char *temporary)
{
    static const char *const name[2] = {"index", "distance"};
    csim__knn_file *f = user;
    const size_t expected[DIMS] = {(size_t)f->about->sites, (size_t)f->about->examples,
                                   (size_t)f->about->k};
    int nc = -1, id, ndim = 0, dims[NC_MAX_VAR_DIMS];
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__nc_open(f->ctx, temporary, &nc));
    for (int i = 0; i < 2; i++) {
        NC_TRY(f, nc_inq_varid(nc, name[i], &id), "read it back");
        NC_TRY(f, nc_inq_var(nc, id, NULL, NULL, &ndim, dims, NULL), "read it back");
        for (int k = 0; k < DIMS; k++) {
            size_t size = 0;
            if (k < ndim) { NC_TRY(f, nc_inq_dimlen(nc, dims[k], &size), "read it back"); }
            if (size == expected[k] && ndim == DIMS) { continue; }
            st = csim__fail(f->ctx, CSIM_E_IO, "%s: read back, %s has another shape", f->path,
                            name[i]);
            goto done;
        }
    }
done:
    if (nc >= 0) { nc_close(nc); }
    return st;
}

csim_status csim__knn_file_finish(csim__knn_file *f)
{
    return csim__nc_parallel_finish(&f->file, verify, f);
}

void csim__knn_file_close(csim_context *ctx, csim__knn_file **file)
{
    if (*file == NULL) { return; }
    csim__nc_parallel_drop(&(*file)->file);
    csim__free(ctx, file);
}
