/* Sites in the space of an encoder: what pairs of them have in common there. */
#ifndef CSIM_PROJECTION_H
#define CSIM_PROJECTION_H

#include "contrasim/encoder.h"
#include "core/core.h"
#include "core/shard.h"
#include "ingredients/meter.h"

struct csim__site;

/** The measures that encoders define, and their names. */
typedef enum csim__learned {
    CSIM__LEARNED_CONTRASIM,
    CSIM__LEARNED_DEEPDOT,
    CSIM__LEARNED_MSCON,
    CSIM__LEARNED_DEEPCKA,
    CSIM__LEARNED_COUNT
} csim__learned;

/** Values of all pairs of sites under one encoder. */
typedef struct csim__projection {
    const csim_encoder *encoder;
    int sites, inits;
    bool aligned;  /* mean cosine of matching rows; else linear CKA of the encoded rows */
    double *value; /* [inits, sites, sites] upper triangle; NaN where it is undefined */
} csim__projection;

/** Encode the rows of all sites and compare the pairs. Collective.
 *  @param[in]  wanted      [count, count] entry (a ≤ b)
 *  @param[in]  aligned     see csim__projection
 *  @param[out] projection  free with csim__projection_clear(), also on error; the same on every rank
 *  @return CSIM_OK, CSIM_E_SHAPE (a site that the encoder has no input layer for), CSIM_E_MEM,
 *          CSIM_E_MPI; the same on every rank
 *  @note   2·parameters flops a row, site and init, in float32; the rows' lengths and all sums are
 *          in double. Memory: one chunk of all sites encoded in double; for CKA all rows */
csim_status csim__project(csim_context *ctx, const csim_shard *shard,
                          const struct csim__site *sites, int count, const csim_encoder *encoder,
                          bool aligned, const unsigned char *wanted, csim__meter *meter,
                          csim__projection *projection);

void csim__projection_clear(csim_context *ctx, csim__projection *projection);

#endif
