/** @file measure.h  Similarity measures: a registry of small pure functions from shared ingredients
 *  to one number. A new measure is one function and one line in src/measures/measures.def. */
#ifndef CONTRASIM_MEASURE_H
#define CONTRASIM_MEASURE_H

#include <stdint.h>

#include "contrasim/options.h"
#include "contrasim/results.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Ingredients a measure needs; the planner takes the union over all measures of a sweep. */
enum csim_needs {
    CSIM_NEEDS_GRAM = 1 << 0, /**< ‖X̃ᵀỸ‖_F², inner products of linear Gram matrices */
    CSIM_NEEDS_DIAGONAL = 1 << 1,   /**< Σ‖x̃_i‖²‖ỹ_i‖² */
    CSIM_NEEDS_NUCLEAR = 1 << 2,    /**< ‖X̃ᵀỸ‖_*, from the block or from the bases */
    CSIM_NEEDS_BLOCK = 1 << 3,      /**< X̃ᵀỸ itself */
    CSIM_NEEDS_BASIS = 1 << 4,      /**< M = UₓᵀU_y and the singular values of both sites */
    CSIM_NEEDS_LOADING = 1 << 5,    /**< ΣVᵀ of each site, rows in the order of U (with BASIS) */
    CSIM_NEEDS_RAW_BASIS = 1 << 6,  /**< ‖UₓᵀU_y‖_F² of the uncentred sites */
    CSIM_NEEDS_UNIT = 1 << 7,       /**< X̂ᵀŶ of the uncentred rows scaled to length 1 */
    CSIM_NEEDS_PROJECTION = 1 << 9, /**< rows of both sites in the space of an encoder */
    CSIM_NEEDS_NEIGHBOURS = 1 << 10, /**< the nearest examples of every example, of both sites */
    CSIM_NEEDS_LINKS = 1 << 11,      /**< with NEIGHBOURS: whose neighbour an example is */
    CSIM_NEEDS_ACROSS = 1 << 12,     /**< with NEIGHBOURS: how far they are in the other site */
    CSIM_NEEDS_KERNELS = 1 << 13,    /**< n×n matrices, those that kernel() names */
    CSIM_NEEDS_SPREAD = 1 << 14,     /**< mean cosine of rows with their mean */
    CSIM_NEEDS_CANONICAL = 1 << 15,  /**< with BASIS: singular values of M */
    CSIM_NEEDS_ROWS = 1 << 8 /**< Σ⟨x_i,y_i⟩ and Σ‖x_i/‖x_i‖−y_i/‖y_i‖‖ */
};

/** Properties of a measure. Invariances are exact in exact arithmetic and are property-tested. */
enum csim_props {
    CSIM_DISTANCE = 1 << 0,              /**< smaller = more similar (else larger = more similar) */
    CSIM_SYMMETRIC = 1 << 1,             /**< m(X,Y) = m(Y,X) */
    CSIM_EQUAL_WIDTHS = 1 << 2,          /**< defined only when both sites have the same width */
    CSIM_UNIT_RANGE = 1 << 3,            /**< values in [0,1], 1 for identical sites */
    CSIM_INVARIANT_ROTATION = 1 << 4,    /**< orthogonal maps of the neurons of either side */
    CSIM_INVARIANT_SCALING = 1 << 5,     /**< isotropic scaling of either side */
    CSIM_INVARIANT_TRANSLATION = 1 << 6, /**< a constant added to all rows of either side */
    CSIM_INVARIANT_LINEAR = 1 << 7,      /**< invertible linear maps of either side */
    CSIM_INVARIANT_PERMUTATION = 1 << 8, /**< permutation of the neurons of either side */
    CSIM_SINGLE = 1 << 9,                /**< may be computed with --precision single */
    CSIM_BIASED = 1 << 10,               /**< close to 1 for independent data unless n ≫ d */
    CSIM_ORDERED = 1 << 11,              /**< depends on the order of the examples */
    CSIM_INTERVALS = 1 << 12, /**< a symmetric function of products of neurons, or of sums of
                                  n×n matrices, about as large for any number of examples and not
                                  biased for want of them more than
                                  another measure: has intervals by leaving out blocks */
    CSIM_PLACES = 1 << 13     /**< with NEIGHBOURS: depends on their order in the lists */
};

/** Notes of cells: X(name, meaning as a CF flag, text for people). */
#define CSIM_NOTE_LIST(X)                                                                          \
    X(NONE, "none", "")                                                                            \
    X(CONSTANT, "constant_layer", "a layer is constant over the examples")                         \
    X(SELF_TERM, "nonpositive_self_term", "a self-term is not positive")                           \
    X(WIDTHS, "unequal_widths", "the layers have different widths")                                \
    X(NOT_UNIQUE, "not_unique", "equal canonical correlations: the weights are not unique")        \
    X(SMALL_SAMPLE, "small_sample", "fewer than 10 examples per neuron: biased upwards")           \
    X(CONSTANT_COLUMN, "constant_neuron", "constant neurons count as correlation 0")               \
    X(ZERO_ROW, "zero_row", "rows of zeros count as cosine 0")                                     \
    X(OUT_OF_RANGE, "out_of_range", "rounding left the range by more than 1e-12")                  \
    X(NO_CONVERGENCE, "no_convergence", "a decomposition did not converge")                        \
    X(OVERFLOW, "overflow", "values too large for double precision")                               \
    X(MEMORY, "out_of_memory", "a decomposition did not fit in memory")                            \
    X(FAULT, "injected_fault", "a fault was injected")                                             \
    X(PRECISION, "precision_lost", "rounding leaves too few digits of a self-term")                \
    X(UNDERFLOW, "underflow", "values too small for double precision")                             \
    X(LIMIT, "too_large", "a decomposition is too large for LAPACK's or ScaLAPACK's integers")     \
    X(ALL_OTHERS, "all_others", "all other examples are neighbours: chance gives 1")               \
    X(BANDWIDTH, "zero_bandwidth", "the median distance of examples is 0: kernels have no width")  \
    X(ALIKE, "all_alike", "all pairs of examples are equally far: nothing to compare")             \
    X(NO_ROOM, "over_memory_limit", "n x n matrices do not fit the memory limit")                  \
    X(FEW, "no_full_batch", "fewer examples than one batch")                                       \
    X(ZERO_MEAN, "zero_mean", "the mean of the examples is 0: it has no direction")                \
    X(SAMPLED, "sampled", "of a sample of the examples")

#define CSIM_NOTE_ENUM(name, flag, text) CSIM_NOTE_##name,
typedef enum csim_note { CSIM_NOTE_LIST(CSIM_NOTE_ENUM) CSIM_NOTE_COUNT } csim_note;
#undef CSIM_NOTE_ENUM

/** CF flag word and sentence of a note. Local. */
const char *csim_note_flag(csim_note note);
const char *csim_note_text(csim_note note);

/** What a measure says of a pair: a value (NaN unless done), the state of the cell, a note. */
typedef struct csim_value {
    double value;
    csim_cell cell;
    csim_note note;
    double
        spread; /**< standard deviation of a value that is a mean; read if CSIM_NEEDS_PROJECTION */
    double
        tie; /**< how far rounding may move a distance that is a difference of larger terms: values
                     no further apart are ties; 0: in proportion to the value, or its range */
} csim_value;

/** The ingredients of one pair (X, Y), seen in the order of the cell. Opaque; src/ingredients. */
typedef struct csim_pair csim_pair;

/** How near examples are: 1 − cosine (a row of zeros has cosine 0), ‖x−y‖, or −⟨x,y⟩; of rows as
 *  they are read, not centred. */
typedef enum csim_metric { CSIM_COSINE, CSIM_EUCLIDEAN, CSIM_INNER, CSIM_METRICS } csim_metric;

/** Options of measures with CSIM_NEEDS_NEIGHBOURS; what a measure has no option for is 0. */
typedef struct csim_neighbour_options {
    const char *k; /**< neighbours of each example, or several numbers of them joined by ',': see
                        csim_neighbour_list() */
    int metric;    /**< csim_metric */
    int normalise; /**< 1: (v − chance)/(1 − chance) */
    double clamp; /**< values beyond this quantile of their sizes are clipped to it; 0 or 1: none */
} csim_neighbour_options;

/** Options of measures of batches. */
typedef struct csim_batch_options {
    int64_t batch; /**< consecutive examples, 4 or more */
} csim_batch_options;

/** How many neighbours the option k means among n examples; 0: none that is possible, that is, k is
 *  no whole number, or not in [1, n − 1]. Local, pure. */
int64_t csim_neighbours(double k, int64_t n);

/** Symmetric n×n matrices of the examples of a site. */
typedef enum csim_matrix {
    CSIM_RBF,         /**< exp(−‖x−y‖²/2σ²) */
    CSIM_UNIFORM,     /**< exp(−2‖x−y‖²) */
    CSIM_FAR,         /**< ‖x−y‖ */
    CSIM_FAR_COSINE,  /**< 1 − cosine of rows as read; a row of zeros has cosine 0 */
    CSIM_FAR_CENTRED, /**< the same of rows less their own mean: 1 − correlation */
    CSIM_LINEAR,      /**< ⟨x̃,ỹ⟩, of batches */
    CSIM_MATRICES
} csim_matrix;

/** What a measure makes of two matrices. */
typedef enum csim_compare {
    CSIM_BY_SUMS,     /**< ⟨A,B⟩, row sums */
    CSIM_BY_RANKS,    /**< the same of the average ranks of the entries above the diagonal */
    CSIM_BY_SPECTRUM, /**< the largest |eigenvalue| of A − B */
    CSIM_BY_ORDER     /**< pairs of entries that are in the same order, or in opposite ones */
} csim_compare;

/** The matrices of a measure with CSIM_NEEDS_KERNELS. */
typedef struct csim_kernel {
    csim_matrix matrix;
    csim_compare compare;
    double bandwidth; /**< σ in units of the median distance */
    double sigma;     /**< σ itself; 0: by bandwidth */
    int diagonal;     /**< 1: the median is over all n² entries, the zeros of the diagonal too */
    int64_t batch;    /**< examples of a batch */
    int64_t sample; /**< so many examples at even steps stand for all; 0: all. By ranks or order */
} csim_kernel;

/** What of its matrix A a measure compares. */
typedef enum csim_aspect {
    CSIM_ASPECT_NONE,       /**< the measure is no inner product of two matrices */
    CSIM_ASPECT_CENTRED,    /**< HAH, H = 1 − 11ᵀ/n */
    CSIM_ASPECT_BESIDE,     /**< the same without its diagonal */
    CSIM_ASPECT_HOLLOW,     /**< A without its diagonal, and then without its row sums */
    CSIM_ASPECT_DEVIATIONS, /**< what is beside the diagonal, less its mean */
    CSIM_ASPECT_ENTRIES,    /**< what is beside the diagonal */
    CSIM_ASPECTS
} csim_aspect;

/** What a measure is of the cosine of two matrices, or of ranks of their entries. */
typedef struct csim_cosine {
    csim_aspect aspect;
    int root;    /**< 1: its root; 0 where it is negative */
    int product; /**< 1: the inner product itself, over (n − 1)² */
} csim_cosine;

/** Numbers of neighbours in one list at most. */
enum { CSIM_NEIGHBOURS_MOST = 256 };

/** The numbers of neighbours among n examples that a text such as "5,10,0.25" means, in the manner of
 *  csim_neighbours() and ascending. Local, pure.
 *  @return how many; 0: it is no such list */
int csim_neighbour_list(const char *text, int64_t n, int64_t list[CSIM_NEIGHBOURS_MOST]);

/** The neighbours of one example in both sites of a pair. Opaque; src/ingredients. */
typedef struct csim_near csim_near;

/** Sums over the examples that a measure of neighbours may take. */
enum { CSIM_NEAR_SUMS = 10 };

/** What a value would be over all n! relabellings of the examples of one layer. */
typedef struct csim_moments {
    double mean, sd;
    double z; /**< (value − mean)/sd; NaN where every relabelling gives the same */
} csim_moments;

/** A measure. */
typedef struct csim_measure {
    const char *name;           /**< "svcca"; a `--measures` value and a variable of the results */
    const char *doc;            /**< one sentence: the definition */
    const char *cite;           /**< reference */
    unsigned needs;             /**< csim_needs */
    unsigned props;             /**< csim_props */
    double range[2];            /**< least and largest value, ends may be ±INFINITY; both 0: [0,1]
                                     with CSIM_UNIT_RANGE, from 0 up for a distance, else none */
    const csim_option *options; /**< own keys, NULL = none; `--svcca.variance`, [svcca] variance */
    size_t options_size;        /**< bytes of the struct the options fill */
    /** Compute the value. Local; depends on nothing but its arguments.
     *  @return CSIM_OK (also when the value is undefined), or the status of what failed */
    csim_status (*finish)(csim_pair *pair, const void *options, csim_value *out);
    /** With CSIM_NEEDS_NEIGHBOURS: what one example adds to the sums that finish() takes; at most
     *  n³ in size. Local; depends on nothing but its arguments. */
    void (*example)(const csim_near *near, const void *options, double sums[CSIM_NEAR_SUMS]);
    /** With CSIM_NEEDS_KERNELS: the matrices that options mean. Local, pure. */
    csim_kernel (*kernel)(const void *options);
    /** With CSIM_NEEDS_GRAM, of linear kernels, or CSIM_NEEDS_KERNELS: the cosine that it is of; NULL: of
     *  none. Local, pure. */
    csim_cosine (*cosine)(const void *options);
    /** Moments of the value, which finish() gave, of a measure that is an inner product of n×n
     *  matrices; NULL: not known, NaN: not with these options. Local; depends on nothing but its
     *  arguments. */
    csim_moments (*null)(const csim_pair *pair, const void *options, double value);
    /** The value that chance gives with k of n neighbours; NULL: not known. Local, pure. */
    double (*chance)(int64_t k, int64_t n);
} csim_measure;

/** Number of measures, the i-th one, and one by its name or an alias of the field
 *  (NULL if there is none). Local. */
int csim_measure_count(void);
const csim_measure *csim_measure_get(int i);
const csim_measure *csim_measure_find(const char *name);

/** The alias @p i: its name and what it stands for; NULL past the end. Local. */
const char *csim_measure_alias(int i, const char **target);

#ifdef __cplusplus
}
#endif
#endif
