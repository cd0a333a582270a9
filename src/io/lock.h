/* One output, one job: an fcntl lock on the file OUT.lock, held by rank 0. */
#ifndef CSIM_LOCK_H
#define CSIM_LOCK_H

#include "core/core.h"

/** A lock; zeroed = not held. One a process and output: whoever opens and closes OUT.lock in the
 *  same process loses it, as fcntl has it. */
typedef struct csim__lock {
    char *path; /* of OUT.lock; NULL = not held by this rank */
    int fd;
} csim__lock;

/** Keep other jobs off an output, and clear away the temporary files that killed jobs left of it.
 *  Collective; rank 0 does it. A lock that is taken is waited for, up to 10 s: the ranks of a job
 *  that was killed hold it until they are gone. A symbolic link stands for its target. Where the file
 *  system has no locks, a warning is logged, nothing is held and nothing is cleared away.
 *  @param[in]     output  may be there or not; its folder must be, and be writable
 *  @param[in,out] lock    zeroed; csim__lock_release(). Not held on error
 *  @return CSIM_OK, CSIM_E_IO (another job has it: the message says which, if that can be known;
 *          the output is no file that can be written; OUT.lock is a file of somebody else),
 *          CSIM_E_MEM; the same on every rank */
csim_status csim__lock_take(csim_context *ctx, const char *output, csim__lock *lock);

/** Let the next job in and remove OUT.lock. Local. Does nothing where nothing is held. */
void csim__lock_release(csim_context *ctx, csim__lock *lock);

#endif
