/* The ingredients of one pair of sites, each made when first asked for and then kept. Local. */
#ifndef CSIM_PAIR_H
#define CSIM_PAIR_H

#include "contrasim/measure.h"
#include "ingredients/kernels.h"
#include "ingredients/projection.h"
#include "ingredients/site.h"
#include "linalg/team.h"

/** How the cross terms of a pair are computed; chosen from shapes and measures alone. */
typedef enum csim__route {
    CSIM__ROUTE_NONE,  /* no cross term is needed */
    CSIM__ROUTE_GRAM,  /* ⟨K_x,K_y⟩ from Gram tiles */
    CSIM__ROUTE_CROSS, /* X̃ᵀỸ */
    CSIM__ROUTE_BASIS  /* M = UₓᵀU_y */
} csim__route;

/** Name of a route for logs and files. */
const char *csim__route_name(csim__route route);

/** Sums over the rows of a pair that need no matrix. */
typedef struct csim__row_sums {
    double diagonal; /* Σ‖x̃_i‖²‖ỹ_i‖² */
    double dot;      /* Σ⟨x_i,y_i⟩, not centred; equal widths only */
    double gap;      /* Σ‖x_i/‖x_i‖ − y_i/‖y_i‖‖; equal widths only */
} csim__row_sums;

/** Blocks of a pair that may lie dealt over a group: X̃ᵀỸ or U₀ᵀU₁, and that of the raw bases. */
enum { CSIM__SHARE_CROSS, CSIM__SHARE_RAW, CSIM__SHARES };

/** What a measure with CSIM_NEEDS_KERNELS compares: the sums of its two matrices. */
typedef struct csim__matrices {
    csim__kernel_site of[2];
    csim__kernel_pair self[2], both;
    csim_note note; /* they are not there, and why */
} csim__matrices;

struct csim_pair {
    csim_context *ctx;
    const csim__site *site[2]; /* left and right operand of the blocks */
    bool flipped;              /* the cell's X is the right operand */
    bool vectors;              /* canonical vectors will be asked for */
    bool single;               /* the cross terms come from 32-bit rows */
    csim__route route;
    bool tiled;    /* hollow comes from tiles; always so on the Gram route */
    bool untiled;  /* should be, but there is no room: the diagonal has no value */
    double hollow; /* ⟨K̂_x,K̂_y⟩ of gram.h, when tiled */
    double gram;   /* ⟨K_x,K_y⟩, made here */
    csim__row_sums rows;
    double *block;                   /* [d0, d1] X̃ᵀỸ on the cross route, borrowed */
    double *m;                       /* [q0, q1] U₀ᵀU₁ on the basis route, borrowed */
    double *raw_m;                   /* [q0, q1] of the raw bases, borrowed; NULL unless needed */
    const csim__projection *learned; /* [CSIM__LEARNED_COUNT] borrowed */
    int64_t at;                      /* this pair in their values */
    const double
        *near; /* [measures and numbers of neighbours, 2 orders, CSIM_NEAR_SUMS] borrowed */
    const double *sums;             /* [CSIM_NEAR_SUMS] those of the value at hand */
    int64_t k;                      /* its number of neighbours */
    const csim__matrices *matrices; /* [measures] borrowed; NULL: none */
    const csim__matrices *kernel;   /* that of the measure at hand */
    double *unit;                   /* [d0, d1] of the unit rows, borrowed; NULL unless needed */
    csim__team *team; /* whose leader this rank is, for decompositions; borrowed; NULL: none */
    csim__dealt
        share[CSIM__SHARES]; /* of blocks that are dealt: then they are NULL above; borrowed */

    /* kept */
    bool has_gram, has_nuclear, has_rho, has_canonical;
    double nuclear;
    int rho_count;
    double *rho;          /* [min(r0, r1)] canonical correlations */
    double *canonical[2]; /* [rho_count, r] rows: canonical vectors in the bases */
    double *rebuilt;      /* block made from the bases */
};

/** Free what a pair keeps. */
void csim__pair_clear(csim_pair *pair);

/** The site in the role of X (side 0) or Y (side 1). */
const csim__site *csim__pair_site(const csim_pair *pair, int side);

/** ‖X̃‖_F² of a side, computed the way the pair's cross terms are. */
double csim__pair_variance(const csim_pair *pair, int side);

/** Are the two one site, or sites of the same values? Then what compares them is 1, or 0. */
bool csim__pair_is_self(const csim_pair *pair);

/** ⟨K_x,K_y⟩ = ‖X̃ᵀỸ‖_F². On the Gram route made of ⟨K̂_x,K̂_y⟩ and sums over the rows.
 *  CSIM_OK; of a dealt block CSIM_E_MEM, CSIM_E_FAULT, CSIM_E_MPI. */
csim_status csim__pair_gram(csim_pair *pair, double *out);

/** The same of K and L without their diagonals, and of K̂ and L̂ (gram.h). Needs the row sums. Where
 *  not tiled it is what is left of ⟨K_x,K_y⟩, with that one's rounding. */
csim_status csim__pair_off_diagonal(csim_pair *pair, double *out);
csim_status csim__pair_hollow(csim_pair *pair, double *out);

/** Σ_ij p_i M_ij² q_j over rows of X and columns of Y of M = UₓᵀU_y, on the basis route.
 *  @param[in] p  [rows]
 *  @param[in] q  [cols]; NULL: ones */
csim_status csim__pair_weighted_square(csim_pair *pair, const double *p, int rows, const double *q,
                                       int cols, double *out);

/** ‖UₓᵀU_y‖_F² of the kept directions of the raw bases. */
csim_status csim__pair_raw_square(csim_pair *pair, double *out);

/** ‖K‖² of one site without its diagonal. */
double csim__site_off_diagonal(const csim__site *site);

/** Note the self-terms of a site: from tiles, or from ‖X̃ᵀX̃‖_F² as far as they are not yet known. */
void csim__site_take_hollow(csim__site *site, double hollow);
void csim__site_take_gram(csim__site *site, double gram);

/** ‖X̃ᵀỸ‖_*. CSIM_E_NUMERIC, CSIM_E_MEM. */
csim_status csim__pair_nuclear(csim_pair *pair, double *out);

/** Canonical correlations of the first k₀ and k₁ directions of X and Y, descending, clipped to at
 *  most min(k₀,k₁) values; @p out has room for that many. k < 0: all r kept directions.
 *  CSIM_E_NUMERIC, CSIM_E_MEM. */
csim_status csim__pair_correlations(csim_pair *pair, int k_x, int k_y, double *out, int *count);

/** Canonical vectors of a side, in the axes of its basis: rows of [count, r]. */
csim_status csim__pair_canonical(csim_pair *pair, int side, const double **out, int *count);

/** X̃ᵀỸ, [d0, d1] in the order of the operands (pair->site), made from the bases where needed. A pair
 *  of which a measure needs it is not dealt. */
csim_status csim__pair_block(csim_pair *pair, const double **out);

#endif
