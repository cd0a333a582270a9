/* A site in memory: this rank's rows, centred, and what is known of the whole site. */
#ifndef CSIM_SITE_H
#define CSIM_SITE_H

#include "contrasim/measure.h"
#include "contrasim/reps.h"
#include "contrasim/sweep.h"
#include "core/core.h"
#include "core/shard.h"

enum { CSIM__FACTORS = 3 };

/** What makes the rows of a basis of those of its site, where neither are held: X R⁻¹ F₁ F₂ …, on
 *  every rank. */
typedef struct csim__factors {
    double *r; /* [d, d] upper triangle; NULL: none yet */
    int count;
    double *f[CSIM__FACTORS];   /* [columns before, columns] */
    int columns[CSIM__FACTORS]; /* after each */
} csim__factors;

/** Columns that factors make of the @p d columns of a site. */
static inline int64_t csim__factors_columns(const csim__factors *factors, int64_t d)
{
    return factors->count > 0 ? factors->columns[factors->count - 1] : d;
}

/** An orthonormal basis of the span of a site: X = U diag(sigma) V. */
typedef struct csim__basis {
    int q;     /* directions, all that are not zero to rounding */
    int r;     /* leading directions kept by the relative variance floor */
    double *u; /* [rows, q] this rank's rows; NULL: made of the site's by the factors */
    csim__factors factors;
    double *sigma;   /* [q] descending */
    double *loading; /* [q, d] diag(sigma) V, NULL unless wanted */
    double leverage; /* Σ(UUᵀ)_ii² of the kept directions, once known */
    bool failed;     /* a decomposition did not converge: there is no basis */
} csim__basis;

typedef struct csim__site {
    csim_set *set;
    int index; /* in the set */
    const char *model, *layer;
    int64_t n, d;

    /* moments, the same on every rank */
    double *mean;           /* [d] of the columns */
    double *norm;           /* [d] ‖x̃_j‖ */
    double variance;        /* ‖X̃‖_F² */
    double square_of_norms; /* Σ‖x̃_i‖⁴ */
    double raw_square;      /* ‖X‖_F², not centred */
    int64_t constant_columns;
    int64_t zero_rows; /* of X, not centred */
    uint64_t checksum; /* of the values as read */
    bool hashed;       /* the checksum is known from an earlier reading, and must come out again */

    /* rows of this rank; of a streamed site they are read where they are needed (feed.h) */
    bool streamed;
    int64_t *hash; /* [chunks of this rank] of the values as read; streamed only */
    double *x;     /* [rows, d] centred; NULL in single precision or once the basis has it */
    float *xf;     /* [rows, d] centred, times 2^−shift; single precision only */
    int shift;     /* brings the rows of xf near 1, where squares neither over- nor underflow */
    double *row_square; /* [rows] ‖x̃_i‖² */

    double self_gram;      /* ‖X̃ᵀX̃‖_F², once known */
    double self_hollow;    /* the same of K̂ (gram.h), once known */
    bool tiled;            /* self_hollow comes from tiles and has lost no digits */
    double spread;         /* mean cosine of the rows, as read, with their mean; NaN: it is 0 */
    csim_note unfit;       /* too large or too small for double precision: held as zeros */
    int64_t rank;          /* directions kept in basis; −1 = not computed */
    double median[2];      /* of its distances (kernels.h); NaN = not computed */
    csim__basis basis;     /* centred */
    csim__basis raw_basis; /* not centred */

    /* of rows that were put in another one; NULL: as in the file */
    const struct csim__order *order;
} csim__site;

/** Read and centre the rows of all sites, and compute their moments; rows of streamed sites are read
 *  twice and not kept. Collective.
 *  @param[in,out] sites  [count] with set, index, model, layer, d, streamed filled in; on error call
 *                        csim__site_release() on each all the same
 *  @param[in]     precision  of the rows that are kept
 *  @param[out]    shard  who has which examples
 *  @return CSIM_OK, CSIM_E_DATA (NaN or Inf: names set, site, row, column; too few examples; a
 *          checksum that is not the one known),
 *          CSIM_E_IO, CSIM_E_MEM; the same on every rank
 *  @note   about 6·N·ΣD/P flops; memory: the rows in double (single: in float, and one site more), or
 *          a chunk of the widest streamed site */
csim_status csim__ingest(csim_context *ctx, csim__site *sites, int count, csim_precision precision,
                         csim_shard *shard);

/** Read the rows of a site for its checksum alone, chunk by chunk. Collective.
 *  CSIM_OK, CSIM_E_DATA (it differs from the one known), CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same
 *  on every rank. */
csim_status csim__ingest_checksum(csim_context *ctx, const csim_shard *shard, csim__site *site);

/** Free what a site owns. Local. */
void csim__site_release(csim_context *ctx, csim__site *site);

/** Layer @p index of a set, as it is before it is read. Local. */
csim__site csim__site_of(csim_set *set, int index);

/** Row @p i of this rank, which is held, as it was read (not centred), into out[d]. Local. */
void csim__site_raw_row(const csim__site *site, int64_t i, double *out);

/** Centred rows [rows, d] as they were read, into out. Local. */
void csim__rows_restore(const double *x, int64_t rows, int64_t d, const double *mean, double *out);

/** Divide rows [rows, d] by their lengths; a zero row stays zero. Local. */
void csim__rows_unit(double *x, int64_t rows, int64_t d);

#endif
