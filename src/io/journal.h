/* A journal: records that are only ever appended, each flushed to the disk and sealed by a checksum
 * that goes on from the one before. What a killed job leaves is whole records and perhaps one torn
 * one. Everything is local. */
#ifndef CSIM_JOURNAL_H
#define CSIM_JOURNAL_H

#include "core/core.h"

typedef struct csim__journal csim__journal;

/** Called for each whole record of a journal, in order; what it returns ends the reading unless it is
 *  CSIM_OK. @p data is 8-byte aligned. */
typedef csim_status (*csim__record_fn)(void *user, int kind, const void *data, int64_t bytes);

/** Make a new journal.
 *  @param[out] journal  new; csim__journal_close(); NULL on error
 *  @return CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM */
csim_status csim__journal_create(csim_context *ctx, const char *path, csim__journal **journal);

/** Open a journal to go on with it: all whole records are visited, a torn tail is cut off.
 *  @param[out] journal  NULL also if there is no such file
 *  @param[out] torn     bytes that were cut off
 *  @return CSIM_OK, CSIM_E_FORMAT (no journal, another version or byte order), CSIM_E_IO,
 *          CSIM_E_MEM, what @p visit returns */
csim_status csim__journal_open(csim_context *ctx, const char *path, csim__record_fn visit,
                               void *user, int64_t *torn, csim__journal **journal);

/** Visit all whole records of a journal and leave it as it is.
 *  @param[out] torn   bytes behind the last whole record
 *  @param[out] there  is there such a file?
 *  @return as csim__journal_open() */
csim_status csim__journal_look(csim_context *ctx, const char *path, csim__record_fn visit,
                               void *user, int64_t *torn, bool *there);

/** Append a record of @p bytes bytes and flush it; on failure the file is cut back to the records
 *  before. CSIM_OK, CSIM_E_IO. */
csim_status csim__journal_append(csim_context *ctx, csim__journal *journal, int kind,
                                 const void *data, int64_t bytes);

/** Close the file, which stays. Accepts NULL. */
void csim__journal_close(csim_context *ctx, csim__journal **journal);

#endif
