/* A checkpoint with some of everything, and files as bytes, for the tests of checkpoints. */
#ifndef CSIM_TEST_CHECKPOINT_CASE_H
#define CSIM_TEST_CHECKPOINT_CASE_H

#include "harness.h"

#include "io/checkpoint_private.h"

enum { CASE_ATTRIBUTES = 16, CASE_FIELDS = 9 };

/** Fail the test with the context's message if @p st is not CSIM_OK. */
void case_must(csim_context *ctx, csim_status st);

/** Expect the failure @p want with a message that holds @p part, and forget it. */
void case_refused(csim_context *ctx, csim_status st, csim_status want, const char *part);

/** All ranks get here before any goes on. Collective. */
void case_meet(void);

/** A checkpoint with every type, shape and awkward value. @p generation makes its numbers differ. */
csim__checkpoint *case_make(csim_context *ctx, int generation);

/** Compare with what case_make() was told to make, value by value and bit by bit. */
void case_check(const csim__checkpoint *checkpoint, int generation);

/** Files as bytes; free() what case_bytes() gives. Local. */
char *case_bytes(const char *path, size_t *n);
void case_put(const char *path, const void *bytes, size_t n);

/** Does the file have exactly these bytes? Local; asserts nothing. */
int case_holds(const char *path, const void *bytes, size_t n);

/** Files in the current folder whose name holds @p part. Collective. */
int case_count(const char *part);

#endif
