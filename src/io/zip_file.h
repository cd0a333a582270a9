/* ZIP archives by libzip, over an open file: members as ascending streams, and where the bytes of
 * the stored ones lie. Local. */
#ifndef CSIM_ZIP_FILE_H
#define CSIM_ZIP_FILE_H

#include "io/raw.h"

typedef struct csim__zip csim__zip;

/** A member being read. */
typedef struct csim__zip_member {
    csim__source source; /* its bytes unzipped; a read that goes back starts again */
    char *name;
    int64_t size;  /* bytes unzipped, as the directory says */
    int64_t place; /* stored members: byte of the file where they begin; −1 = compressed */
    int64_t data;  /* for the reader: where its data begin, 0 = not known yet */
    struct csim__zip_stream *stream;
} csim__zip_member;

/** Open the archive in @p raw, which is borrowed. Untrusted input.
 *  @return CSIM_OK, CSIM_E_FORMAT, CSIM_E_MEM */
csim_status csim__zip_open(csim_context *ctx, csim__raw *raw, csim__zip **zip);
void csim__zip_close(csim_context *ctx, csim__zip **zip);

/** Number of members; place of the member of that name, −1 if there is none. */
int64_t csim__zip_members(const csim__zip *zip);
int64_t csim__zip_find(const csim__zip *zip, const char *name);

/** Name of member @p i, borrowed; NULL if it has none. */
const char *csim__zip_name(const csim__zip *zip, int64_t i);

/** Read all of member @p i: do size and CRC-32 fit the directory? CSIM_OK, CSIM_E_FORMAT,
 *  CSIM_E_IO, CSIM_E_MEM. */
csim_status csim__zip_check(csim_context *ctx, csim__zip *zip, int64_t i);

/** Open member @p i. CSIM_OK, CSIM_E_FORMAT, CSIM_E_DATA (encrypted, unknown method), CSIM_E_MEM. */
csim_status csim__zip_open_member(csim_context *ctx, csim__zip *zip, int64_t i,
                                  csim__zip_member **member);
void csim__zip_close_member(csim_context *ctx, csim__zip_member **member);

#endif
