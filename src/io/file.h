/* Output files that are whole or not there: temporary name, fsync, rename. Everything is local. */
#ifndef CSIM_FILE_H
#define CSIM_FILE_H

#include "contrasim/reps.h"
#include "core/core.h"

/** May @p path be written? A folder to write to must be there; what exists must be a regular file
 *  and is refused without @p overwrite. A symbolic link stands for its target, which must be there.
 *  CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO. */
csim_status csim__file_check_output(csim_context *ctx, const char *path, int overwrite);

/** Is there something of that name, be it a symbolic link to nothing? */
int csim__file_exists(const char *path);

/** Are two paths the same file, by device and inode, or would they be once they are written?
 *  CSIM_OK, CSIM_E_MEM. */
csim_status csim__file_same(csim_context *ctx, const char *a, const char *b, int *same);

/** Refuse to write @p path where it is another file, by any of its names.
 *  @param[in] kind, other_kind  what messages call the two, such as "output" and "run file"
 *  @param[in] set  name of the set that the other is of, NULL = of none
 *  @return CSIM_OK, CSIM_E_USAGE, CSIM_E_MEM */
csim_status csim__file_check_apart(csim_context *ctx, const char *kind, const char *path,
                                   const char *other_kind, const char *other, const char *set);

/** The same for all files of sets [count], of which some may be NULL. */
csim_status csim__file_check_sets(csim_context *ctx, const char *kind, const char *path,
                                  csim_set *const *sets, int count);

/** The file that is written to when @p path is: the target of a symbolic link, else @p path. New;
 *  free with csim__free(). CSIM_OK, CSIM_E_MEM. */
csim_status csim__file_target(csim_context *ctx, const char *path, char **file);

/** The name of the generation before the one at @p path: that of its target and ".prev". New; free
 *  with csim__free(). CSIM_OK, CSIM_E_MEM. */
csim_status csim__file_previous(csim_context *ctx, const char *path, char **previous);

/** A temporary name beside @p path (beside its target, if it is a symbolic link), new; free with
 *  csim__free(). CSIM_OK, CSIM_E_MEM. */
csim_status csim__file_temporary(csim_context *ctx, const char *path, char **temporary);

/** Remove the files with temporary names of @p path, and of the generation before it, whatever
 *  process made them: for a caller who knows that no other job writes to @p path. The folder is read
 *  once; one that cannot be read has none.
 *  @param[out] removed, kept  how many went, how many could not be removed
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__file_clear_temporary(csim_context *ctx, const char *path, int *removed,
                                       int *kept);

/** Write a new file of @p bytes bytes and flush it; removed on failure. CSIM_OK, CSIM_E_IO. */
csim_status csim__file_write(csim_context *ctx, const char *path, const void *data, int64_t bytes);

/** Write a whole file under a temporary name, flush it, and give it its name: csim__file_write(), then
 *  csim__file_publish(). CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO, CSIM_E_MEM. */
csim_status csim__file_replace(csim_context *ctx, const char *path, const void *data, int64_t bytes,
                               int overwrite);

/** Flush a file to the disk. CSIM_OK, CSIM_E_IO. */
csim_status csim__file_sync(csim_context *ctx, const char *path);

/** Make the name of a new file last. Folders that cannot be flushed (some network file systems) are
 *  let be: the file itself is safe. CSIM_OK, CSIM_E_IO, CSIM_E_MEM. */
csim_status csim__file_sync_folder(csim_context *ctx, const char *path);

/** Call a damaged file PATH.damaged, so that nothing takes it for what it should be; a symbolic link
 *  stands for its target. CSIM_OK, CSIM_E_IO, CSIM_E_MEM. */
csim_status csim__file_set_aside(csim_context *ctx, const char *path);

/** Remove a file, if it is there. CSIM_OK, CSIM_E_IO. */
csim_status csim__file_remove(csim_context *ctx, const char *path);

/** Give the finished, flushed file @p temporary its name and flush the folder. A symbolic link stays
 *  and its target is replaced. Without @p overwrite a file that has come into being meanwhile is
 *  refused. On failure the temporary file is removed. CSIM_OK, CSIM_E_EXISTS, CSIM_E_IO. */
csim_status csim__file_publish(csim_context *ctx, const char *temporary, const char *path,
                               int overwrite);

/** Give the finished, flushed file @p temporary the name @p path in one step, after which what had
 *  that name is called @p previous; flush the folder. On failure both are as they were and the
 *  temporary file is removed. Without hard links @p path is missing for a moment, in which
 *  @p previous is what it was; a failure just then costs the older of the two files.
 *  CSIM_OK, CSIM_E_IO, CSIM_E_MEM. */
csim_status csim__file_rotate(csim_context *ctx, const char *temporary, const char *path,
                              const char *previous);

/** Size of a file in bytes. CSIM_OK, CSIM_E_IO. */
csim_status csim__file_size(csim_context *ctx, const char *path, int64_t *bytes);

#endif
