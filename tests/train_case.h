/* Trainings of made-up sets, for tests: the sets are written as native files to the current folder
 * and go through the public functions, from opening the sets to the checkpoint. What is collective
 * takes the same arguments on every rank. */
#ifndef CSIM_TESTS_TRAIN_CASE_H
#define CSIM_TESTS_TRAIN_CASE_H

#include "harness.h"

#include "contrasim/train.h"
#include "io/checkpoint.h"

enum { TRAIN_SETS = 4, TRAIN_LAYERS = 3, TRAIN_NOTIONS = 3, TRAIN_PATH = 64 };

typedef struct train_case {
    int sets, layers, n;
    int d[TRAIN_SETS][TRAIN_LAYERS];
    float *x[TRAIN_SETS][TRAIN_LAYERS]; /* [n, d] */
    int notions;                        /* label_n0, label_n1, … of the first set */
    int64_t *label[TRAIN_NOTIONS];      /* [n] */
    csim_train_options o;
    int drop_rows;
    const char *examples; /* as --examples takes it; NULL = all */
} train_case;

/** A case whose sets see the same hidden numbers, each through a matrix of its own with noise.
 *  @param[in] d  [sets, layers]; trained with a small encoder, hidden 9,7, out 6 */
train_case train_make(int n, int sets, int layers, const int *d);

/** Add a notion: label of example i is class[i mod @p classes] by a seeded shuffle; one in
 *  @p missing examples has none (0: none is missing). MSCon is what the case then trains. */
void train_add_notion(train_case *c, int classes, int missing);

void train_clear(train_case *c);

/** Write the sets of a case, PREFIX_a.nc, PREFIX_b.nc, …. Collective. */
void train_write(csim_context *ctx, const train_case *c, const char *prefix);

/** How a run differs from a plain one. */
typedef struct train_how {
    int resume, overwrite;
    int64_t stop_after; /* steps until rank `stop_rank` wishes to stop; 0 = never */
    int stop_rank;      /* −1: all */
} train_how;

/** Train a case whose files were written. Collective. */
csim_status train_run(csim_context *ctx, const train_case *c, const char *prefix,
                      const char *output, const train_how *how);

/** The same, replacing what is there; it must succeed. Collective. */
void train_must(csim_context *ctx, const train_case *c, const char *prefix, const char *output);

/** Fail the test with the context's message if @p st is not CSIM_OK. Local. */
void train_ok(csim_context *ctx, csim_status st);

/** Field of a checkpoint that must be there. Local. */
const csim__field *train_field(const csim__checkpoint *c, const char *name);

/** Do two files have the same bytes, both there? Local; asserts nothing. */
bool train_same_file(const char *a, const char *b);

/** Copy, remove (accepts that it is not there), damage a byte of, shorten a file on rank 0.
 *  Collective on MPI_COMM_WORLD. */
void train_copy(const char *from, const char *to);
void train_remove(const char *path);
void train_damage(const char *path, double where);
void train_cut(const char *path, double where);

/** Is there a file? Local. */
bool train_exists(const char *path);

#endif
