/* Dissimilarities of all pairs of examples, stored: for measures that no pass can take them from. Each
 * rank keeps those of the tiles that it makes, for every site in the same order. */
#ifndef CSIM_TRIANGLES_H
#define CSIM_TRIANGLES_H

#include "contrasim/measure.h"
#include "ingredients/meter.h"
#include "ingredients/ring.h"
#include "ingredients/site.h"

/** Where the entries of a tile are. */
typedef struct csim__patch {
    int64_t row, col; /* of the n×n matrix */
    int m, n;
    bool diagonal; /* only what is above the diagonal is there */
    int64_t at;    /* of the first entry */
} csim__patch;

/** What all triangles have in common. */
typedef struct csim__triangles {
    csim_context *ctx;
    csim_shard shard;   /* of the sample, whose rows are dealt to the ranks anew */
    csim__patch *patch; /* [patches] */
    int64_t patches, room;
    int64_t length; /* entries of this rank */
    int64_t all;    /* n(n−1)/2 */
} csim__triangles;

/** Find out which tiles are this rank's. Collective; free with csim__triangles_clear(), also on error.
 *  @param[in] examples  how many are compared
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__triangles_start(csim_context *ctx, int64_t examples, csim__triangles *t);
void csim__triangles_clear(csim__triangles *t);

/** The tiles of all ranks, in their order. Collective; free @p patch also on error.
 *  @param[out] patch  new; csim__free()
 *  @param[out] start  [ranks + 1] the first of each rank
 *  @return CSIM_OK, CSIM_E_LIMIT, CSIM_E_MEM, CSIM_E_MPI; the same on every rank */
csim_status csim__triangles_share(const csim__triangles *t, csim__patch **patch, int64_t *start);

/** The dissimilarities of a site, of rows as they are read, at even steps where fewer than all: CSIM_FAR, CSIM_FAR_COSINE or
 *  CSIM_FAR_CENTRED. One depends on its two rows alone, so pairs of equal rows tie exactly.
 *  Collective.
 *  @param[out] rows   [rows of the shard, d] scratch
 *  @param[out] value  [length]
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   n²d/P flops, at about a third of the speed of GEMM */
csim_status csim__triangles_fill(csim__triangles *t, const csim__site *site, csim_matrix matrix,
                                 double *rows, double *value, csim__meter *meter);

/** The two steps of it: read the rows of this rank, at even steps of the examples where fewer than all are
 *  compared; make the entries of rows, which are brought to length 1 for CSIM_FAR_COSINE and
 *  CSIM_FAR_CENTRED. Both are collective.
 *  @param[in] sigma  of CSIM_RBF
 *  @param[in] alike  an entry depends on its two rows alone; else products come from GEMM, and rows have
 *                    to be centred but for the cosines */
csim_status csim__triangles_rows(const csim__triangles *t, const csim__site *site, double *rows);
csim_status csim__triangles_make(csim__triangles *t, csim_matrix matrix, double sigma, bool alike,
                                 int64_t d, double *rows, double *value, csim__meter *meter);

/** Replace entries by 2·(their rank among all) − (all + 1), ranks from 1, equal ones with the mean of
 *  theirs: whole numbers whose sum is 0. Equal are those that follow each other, in order, by no more than
 *  rounding explains: 2⁻⁴⁰ of a distance; 2⁻⁴⁴ of an angle's 1 − cosine v, 2⁻³⁸·√v below 2⁻¹². Collective.
 *  @param[in] matrix  what they are: CSIM_FAR, CSIM_FAR_COSINE or CSIM_FAR_CENTRED
 *  @return CSIM_OK, CSIM_E_LIMIT (2³¹ entries of a rank), CSIM_E_MEM, CSIM_E_MPI; the same on every
 *          rank
 *  @note   a sort of n²/2P entries; each goes to another rank and back */
csim_status csim__triangles_rank(csim__triangles *t, csim_matrix matrix, double *value);

/** Σ a·b over all entries of ranked triangles by exact sums, for wanted pairs a ≤ b of the list.
 *  Collective. @param[out] out [count, count] */
csim_status csim__triangles_products(csim__triangles *t, const double *const *value, int count,
                                     const unsigned char *wanted, double *out);

/** Σ_i (Σ_j a_ij)² of a ranked triangle, taken as a symmetric matrix with a diagonal of zeros.
 *  Collective. CSIM_OK, CSIM_E_MEM, CSIM_E_MPI. @note memory: n numbers */
csim_status csim__triangles_through(csim__triangles *t, const double *value, double *out);

/** A pair of sites, as places in a list. */
typedef struct csim__twosome {
    int a, b;
} csim__twosome;

/** The largest |eigenvalue| of A − B of each pair, symmetric matrices with diagonals of zeros; NAN where
 *  the decomposition fails. Collective: the pairs are dealt to the ranks, as many at a time.
 *  CSIM_OK, CSIM_E_MEM, CSIM_E_MPI. @note 4/3·n³ flops a pair; memory: n² numbers */
csim_status csim__triangles_spectra(csim__triangles *t, const double *const *value,
                                    const csim__twosome *pairs, int64_t count, double *out,
                                    csim__meter *meter);

/** Of all pairs of entries of ranked triangles: those in the same order less those in opposite ones,
 *  and those that are not tied in A, and in B. Collective: the pairs are dealt to the ranks.
 *  @param[out] out  [count, 3]
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_LIMIT (2³¹ entries), CSIM_E_MPI; the same on every rank
 *  @note   n²·log n steps a pair; memory: 4·n²/2 numbers */
csim_status csim__triangles_orders(csim__triangles *t, const double *const *value,
                                   const csim__twosome *pairs, int64_t count, int64_t *out);

/** Bytes of a rank. Pure. */
typedef struct csim__triangle_room {
    int64_t patches; /* the list of tiles */
    int64_t each;    /* of one triangle */
    int64_t fill;    /* while one is filled, beside the rows as read */
    int64_t rank;    /* while one is ranked */
    int64_t spectra, orders;
} csim__triangle_room;
csim__triangle_room csim__triangle_bytes(const csim_shard *shard, int64_t widest);

/** A number to be sorted, and where it comes from. */
typedef struct csim__keyed {
    uint64_t key;
    int64_t from;
} csim__keyed;

/** Sort by key, equal ones in the order they have; @p other is as long. Local. Returns the one of the
 *  two that holds the result. */
csim__keyed *csim__sort_keyed(csim__keyed *list, csim__keyed *other, int64_t count);

#endif
