/*
 * file: whole files and folders, written so that a power cut leaves the old content or the new.
 * It knows nothing of formats. Errors carry the path and the system's reason.
 */
#ifndef DUNLIN_BASE_FILE_H
#define DUNLIN_BASE_FILE_H

#include "base/err.h"
#include "base/span.h"

#include <sys/types.h>

/* Room for any path that Dunlin builds. */
#define FILE_PATH_MAX 4096

/* Joins and formats a path; ERR_RANGE when it is longer than `out`. */
int file_path(char out[static FILE_PATH_MAX], struct errmsg *em, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the folder and its parents when missing. */
int file_make_folder(const char *path, mode_t mode, struct errmsg *em);

/* Writes a temporary file beside `path`, syncs it, renames it over `path`, and syncs the folder. */
int file_write(const char *path, struct span content, mode_t mode, struct errmsg *em);

/* Reads the whole file into `b` (appended); ERR_NOT_FOUND, ERR_RANGE when it doesn't fit, or
 * ERR_IO. */
int file_read(const char *path, struct buffer *b, struct errmsg *em);

/* Makes `link` a symbolic link to `target`, replacing an older link atomically, and syncs the
 * folder. */
int file_link(const char *target, const char *link, struct errmsg *em);

/* Removes a file or a whole folder without following links; nothing there is success. */
int file_remove(const char *path, struct errmsg *em);

/* Syncs a folder's entries to disk. */
int file_sync_folder(const char *path, struct errmsg *em);

/* ERR_NO_SPACE for ENOSPC and EDQUOT, ERR_NOT_FOUND for ENOENT and ENOTDIR, ERR_IO otherwise. */
int file_error(int system_errno);

/*
 * Opens (creates) `path` and takes its exclusive lock without waiting; the descriptor,
 * close-on-exec, holds it. ERR_BUSY when another process holds it.
 */
int file_lock(const char *path, struct errmsg *em);

/*
 * Calls `run` while the process works in `folder`, for what takes short names only, like sockets,
 * and gives back what it gave. Relative paths of all threads change meanwhile. ERR_NOT_FOUND,
 * ERR_IO.
 */
int file_inside(const char *folder, int (*run)(void *context), void *context, struct errmsg *em);

#endif
