/* Sums of n×n matrices of the examples of many sites, made of tiles: kernels, distances,
 * dissimilarities. None is ever stored. */
#ifndef CSIM_KERNELS_H
#define CSIM_KERNELS_H

#include "contrasim/measure.h"
#include "ingredients/blocks.h"
#include "ingredients/meter.h"
#include "ingredients/ring.h"
#include "ingredients/site.h"

/** One kind of matrix, of all sites. */
typedef struct csim__kernel_form {
    csim_matrix matrix;
    bool products;         /* of pairs of sites, not only their sums */
    const double *sigma;   /* [count] of RBF kernels; 0: this site has none */
    const double *typical; /* [count] a distance in the middle of all; NULL: one is made up */
} csim__kernel_form;

/** What is known of the matrix A of a site. A constant is taken off its entries beforehand, about
 *  their mean, so that no digits are lost where they are all alike: A' = A − shift but for the
 *  diagonal, which is 0 in A'. */
typedef struct csim__kernel_site {
    double shift;
    double corner;  /* A_ii */
    double sigma;   /* of an RBF kernel; 0: this site has none */
    double total;   /* ΣA'_ij */
    double longest; /* a bound of ‖A'‖_F */
} csim__kernel_site;

/** What is known of two of them, A' and B'. */
typedef struct csim__kernel_pair {
    double product; /* ΣA'_ij·B'_ij */
    double through; /* Σ_i (Σ_j A'_ij)(Σ_j B'_ij) */
} csim__kernel_pair;

/** Compute the sums of all forms in one pass in which all chunks meet; per tile and site a GEMM for
 *  each kind of rows, then all forms, then the products of all pairs of sites. Collective.
 *  Distances are made of inner products; where little is left of these, of differences: equal rows
 *  have distance 0.
 *  @param[in]  sites   [count] with centred rows in double and row norms; rows as read are read again
 *                      where cosines are asked for
 *  @param[in]  wanted  [count, count] pairs a ≤ b whose products are made, with every site of a pair
 *                      itself
 *  @param[in]  blocks  of examples, each of which is left out: `of` and `pairs` are as many times as
 *                      long, of all examples but those of a block; NULL: of all
 *  @param[out] of      [forms, count]
 *  @param[out] pairs   [forms, count, count], entries a ≤ b that are wanted
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   n²·ΣD/P flops for the tiles of each kind of rows, some 30·n²/2P for an exponential,
 *          n²·(pairs)/P for the products of a form; memory: csim__kernel_bytes() */
csim_status csim__kernel_pass(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                              int count, const csim__kernel_form *forms, int form_count,
                              const unsigned char *wanted, const csim__blocks *blocks,
                              csim__kernel_site *of, csim__kernel_pair *pairs, csim__meter *meter);

/** Kinds of rows that forms are made of, each with a GEMM of its own; those of angles, for which the rows
 *  are read as they are; bytes of a pass beside the centred rows. Pure.
 *  @param[in] forms    [CSIM_MATRICES] how many of each
 *  @param[in] widths   neurons of all sites
 *  @param[in] blocks   that are left out, 0: none
 *  @param[in] reading  bytes while rows are read as they are */
int csim__kernel_views(const int forms[CSIM_MATRICES]);
int csim__kernel_angles(const int forms[CSIM_MATRICES]);
int64_t csim__kernel_bytes(const csim_shard *shard, int sites, int64_t widths, int64_t widest,
                           const int forms[CSIM_MATRICES], int blocks, int64_t reading);

/** Medians of the distances of different examples, exact: the mean of the two middle ones where
 *  their number is even. Collective. A sample tells where they must be, one pass counts there, another
 *  one collects what may be a median; more where the sample misleads.
 *  @param[in]  sites   [count] with centred rows and row norms
 *  @param[in]  want    [2] which medians: of the n(n−1)/2 distances; of all n² entries of their matrix
 *  @param[out] median  [2] of [count]
 *  @return CSIM_OK, CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   2·n²·ΣD/P flops as a rule; memory: csim__median_bytes() */
csim_status csim__medians(csim_context *ctx, const csim_shard *shard, csim__site *const *sites,
                          int count, const bool want[2], double *const median[2],
                          csim__meter *meter);

/** Bytes of a search for medians beside the rows. Pure. */
int64_t csim__median_bytes(const csim_shard *shard, int sites, int64_t widths, int64_t widest,
                           const bool want[2]);

/* ---- tiles, shared by both ---- */

/** Squares of distances of rows x[m,d] and y[n,d] from their inner products @p g, in place; of equal
 *  rows exactly 0. @p left and @p right: squares of the rows' lengths. With @p upper only what is above
 *  the diagonal. Local. */
void csim__squares_of(double *g, int m, int n, int64_t d, const double *x, const double *y,
                      const double *left, const double *right, bool upper);

/** The same for rows of length 1 or 0: 1 − ⟨x,y⟩, of equal rows exactly 0. Local. */
void csim__angles_of(double *g, int m, int n, int64_t d, const double *x, const double *y,
                     bool upper);

/** Numbers of a form of site @p s from the distances of a tile, less @p shift; of a diagonal tile above
 *  the diagonal, the rest is 0. @p in and @p out may be the same. Local. */
void csim__form_of(const csim__kernel_form *form, int s, double shift, const csim__tile *t,
                   const double *in, double *out);

/** Sums over the rows and over the columns of a tile. Local. */
void csim__tile_sums(const double *t, int m, int n, double *rows, double *cols);

/** The rows of a chunk as they are read, brought to length 1, less their own mean before where
 *  @p centred; a row without length (of zeros, or all alike) becomes zeros. Local. */
void csim__rows_to_unit(double *rows, int64_t count, int64_t d, bool centred);

#endif
