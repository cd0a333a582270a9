/* Encoders for cases: their parameters are a function of the measure, the init and the layer, not of
 * what else the encoder takes, so that sweeps of different sites mean the same measure. And what they
 * make of two sites, by plain loops in double that know nothing of the library's networks. */
#ifndef CSIM_TESTS_CASE_ENCODER_H
#define CSIM_TESTS_CASE_ENCODER_H

#include "harness.h"

#include "contrasim/encoder.h"
#include "encoder/encoder.h"
#include "sweep_case.h"

enum { CASE_HIDDEN = 12, CASE_OUT = 7 }; /* d → 12 → ReLU → 7, rows of length 1 */

/** An encoder for sites of the widths [many] (equal ones may repeat). Local.
 *  @return CSIM_OK, CSIM_E_MEM; free with csim_encoder_free() in either case */
csim_status case_encoder(csim_context *ctx, const char *measure, int inits, const int *width,
                         int many, csim_encoder **encoder);

/** Every parameter of an encoder becomes v. */
void case_encoder_fill(csim_encoder *encoder, float v);

/** Is it a measure that needs an encoder? */
bool case_is_learned(const char *measure);

/** The value of a learned measure under one init. NaN: undefined. */
double case_learned(const char *measure, int init, const case_site *x, const case_site *y);

/** How far such a value may be off since encoders compute in float32: about ten roundings of a row
 *  of length 1, by what the rows differ among themselves where CKA centres them. */
double case_learned_error(const char *measure, int init, const case_site *x, const case_site *y);

#endif
