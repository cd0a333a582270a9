/* Rows that are read ahead: while some are used, a thread of its own fetches the bytes of the next.
 * It calls nothing but pread(), and so is safe beside MPI and HDF5. Everything is local. */
#ifndef CSIM_AHEAD_H
#define CSIM_AHEAD_H

#include "contrasim/reps.h"
#include "core/core.h"

enum { CSIM__AHEAD = 2 }; /* readings under way at once */

typedef struct csim__ahead csim__ahead;

/** Bytes of a number of a site whose rows lie in files one behind the other, as they are: .npy,
 *  safetensors and what an .npz stores, in C order. 0: the rows are not read ahead, since they are
 *  deflated, pooled, lie apart, or are in a netCDF file. From the headers alone; a set of shapes is
 *  taken for such files. */
int csim__ahead_direct(const csim_set *set, int site);

/** Begin; the thread comes with the first reading that is posted.
 *  @param[in]  bytes  in the files of the largest reading; csim__ahead_bytes() is all that it takes
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__ahead_open(csim_context *ctx, int64_t bytes, csim__ahead **ahead);
void csim__ahead_close(csim_context *ctx, csim__ahead **ahead);

static inline int64_t csim__ahead_bytes(int64_t bytes)
{
    return CSIM__AHEAD * bytes;
}

/** Announce a reading, at most CSIM__AHEAD before they are taken. Where its rows cannot be fetched
 *  ahead nothing is done. The set must stay until it is taken. */
void csim__ahead_post(csim__ahead *ahead, csim_set *set, int site, int64_t row0, int64_t rows);

/** Finish the reading that was posted first.
 *  @param[out] out  [rows, d]
 *  @return what csim_set_read() of it gives */
csim_status csim__ahead_take(csim__ahead *ahead, double *out);

#endif
