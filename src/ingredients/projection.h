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
    double *value; /* [inits, sites, sites] upper triangle; NaN where it is undefined */
    int *lost;     /* [sites] not 0: rows of the site are too large for float32 */
} csim__projection;

/** Bytes that csim__project() takes on a rank with this shard, beside the encoder and what stays in
 *  the projection; and that of the latter. Pure.
 *  @param[in] widest  neurons of the widest site */
int64_t csim__projection_bytes(const csim_encoder *encoder, const csim_shard *shard, int64_t sites,
                               int64_t pairs, int64_t widest);
int64_t csim__projection_kept(const csim_encoder *encoder, int64_t sites);

/** Flops of csim__project() over all ranks. Pure.
 *  @param[in] pairs  of different sites that are wanted */
double csim__projection_flops(const csim_encoder *encoder, int64_t n, int64_t sites, int64_t pairs);

/** Encode the rows of all sites and compare the pairs: for deepcka by the linear CKA of the encoded
 *  rows, else by the mean cosine of matching rows. A site with rows that float32 does not hold
 *  is lost, its pairs are NaN; so are, for CKA, pairs of a site whose encoded rows are equal but for
 *  the rounding of floats. Collective.
 *  @param[in]  wanted      [count, count] entry (a ≤ b)
 *  @param[out] projection  free with csim__projection_clear(), also on error; the same on every rank
 *  @return CSIM_OK, CSIM_E_SHAPE (a site that the encoder has no input layer for), CSIM_E_NUMERIC
 *          (parameters that are not finite), CSIM_E_MEM, CSIM_E_MPI; the same on every rank
 *  @note   2·parameters flops a row, site and init, in float32; the rows' lengths and all sums are
 *          in double. Memory: one chunk of all sites encoded in double; for CKA all rows */
csim_status csim__project(csim_context *ctx, const csim_shard *shard,
                          const struct csim__site *sites, int count, const csim_encoder *encoder,
                          const unsigned char *wanted, csim__meter *meter,
                          csim__projection *projection);

void csim__projection_clear(csim_context *ctx, csim__projection *projection);

#endif
