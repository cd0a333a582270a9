/* How long the work of a plan takes on a machine of which a few speeds are known. Everything is
 * pure: no clock, no MPI. A machine changes what is foretold, never what is computed. */
#ifndef CSIM_SWEEP_COST_H
#define CSIM_SWEEP_COST_H

#include "sweep/plan/plan.h"

enum { CSIM__GEMM_SIZES = 3 };

/** Rows and columns of the matrices whose products are timed. */
extern const int csim__gemm_size[CSIM__GEMM_SIZES];

/** Speeds of one rank while all ranks of its node work. */
typedef struct csim__machine {
    double gemm[2][CSIM__GEMM_SIZES]; /* flop/s, double and single precision */
    double inner[2];                  /* flop/s of inner products of tiles in cache */
    double eigen_values;              /* flop/s when 4/3·k³ are counted */
    double eigen_vectors;             /* the same for 9·k³ */
    double svd_values;                /* the same for 8/3·k³ */
    double svd_vectors;               /* the same for 20·k³ */
    double grid_eigen_values;         /* the first three of a rank of a small grid */
    double grid_eigen_vectors;        /* without what its messages take */
    double grid_svd_values;           /* likewise */
    double exact;                     /* numbers/s that are scaled and added as integers */
    double moments;                   /* numbers/s that are converted, checked, hashed, centred */
    double memory;                    /* bytes/s read and written by a copy */
    double fresh;                     /* bytes/s of memory that is used for the first time */
    double read;                      /* bytes/s from files */
    double latency, bandwidth;        /* s and bytes/s of a message inside a node */
    double net_latency;               /* s of a message between nodes */
    double net_bandwidth;             /* bytes/s of a node */
    double beside;                    /* bytes of a rank: libraries, buffers of messages */
} csim__machine;

/** Round numbers of a core of a present server and its network. */
extern const csim__machine csim__machine_typical;

/** Where a plan is to run, and from what files. */
typedef struct csim__target {
    const csim__machine *machine;
    int nodes;
    double bytes_per_number; /* in the files */
    bool whole;              /* a sweep that would leave out measures does not fit */
} csim__target;

/** Terms of the time: X(name, key in JSON, text for people). */
#define CSIM__TERM_LIST(X)                                                                         \
    X(READ, "read", "reading files")                                                               \
    X(MOMENTS, "moments", "checking and centring")                                                 \
    X(ENCODE, "encode", "encoding")                                                                \
    X(TILES, "tiles", "Gram tiles")                                                                \
    X(INNER, "inner_products", "inner products of tiles")                                          \
    X(EXCHANGE, "exchange", "waiting for chunks of other ranks")                                   \
    X(NEIGHBOURS, "neighbours", "searching neighbours")                                            \
    X(KERNELS, "kernels", "kernels and distances")                                                 \
    X(BASES, "bases", "bases")                                                                     \
    X(FACTORS, "factors", "small factors of bases")                                                \
    X(CROSS, "cross", "cross products")                                                            \
    X(SUMS, "exact_sums", "exact sums of products")                                                \
    X(REDUCE, "reduce", "sums over ranks")                                                         \
    X(DECOMPOSE, "decompose", "decompositions of pairs")                                           \
    X(LEAVE, "leave_out", "leaving out blocks of examples")                                        \
    X(PERMUTE, "permute", "relabelled examples")

#define CSIM__TERM_ENUM(name, key, text) CSIM__TERM_##name,
typedef enum csim__term { CSIM__TERM_LIST(CSIM__TERM_ENUM) CSIM__TERM_COUNT } csim__term;
#undef CSIM__TERM_ENUM

/** Key and text of a term. */
const char *csim__term_key(csim__term term);
const char *csim__term_text(csim__term term);

/** What the work of plans costs. */
typedef struct csim__effort {
    double seconds[CSIM__TERM_COUNT]; /* of the rank that is last */
    double again;                     /* s more where decompositions by squares are too inexact */
    double tasks;                     /* s of all decompositions, one after the other */
    double read, moved;               /* bytes from files; bytes between ranks, of all ranks */
} csim__effort;

/** Add what a plan costs. Groups of sites that are held one after the other are plans of their own.
 *  @return CSIM_OK, CSIM_E_MEM
 *  @note   O(pairs + sites + rounds·ranks) */
csim_status csim__effort_add(csim_context *ctx, const csim__problem *problem,
                             const csim__plan *plan, const csim__target *target,
                             csim__effort *effort);

/** What a decomposition on a grid sends: the rounds of messages of each column, and how often all k²
 *  numbers go to each further row or column of ranks, as Open MPI counts it. */
typedef struct csim__grid_traffic {
    int rounds;
    double copies;
} csim__grid_traffic;

/** Of values and of vectors by squares, of values from the matrix itself. */
extern const csim__grid_traffic csim__grid_values, csim__grid_vectors, csim__grid_svd;

/** Seconds that the messages of a decomposition of k rows and columns on p×q ranks take. Pure. */
double csim__grid_messages(const csim__grid_traffic *traffic, int p, int q, double k,
                           double latency, double bandwidth);

/** Add one more reading of a site, which looks for values that are not finite, or takes its
 *  checksum. */
void csim__effort_scan(const csim_shard *shard, int64_t width, const csim__target *target,
                       csim__effort *effort);

/** Seconds in all, and the term that takes most. @p most may be NULL. */
double csim__effort_seconds(const csim__effort *effort, csim__term *most);

#endif
