/*
 * room: whether a disk takes what is about to be written, and still leaves something to everybody
 * else on the device. It knows nothing of what is written.
 */
#ifndef DUNLIN_AGENT_ROOM_H
#define DUNLIN_AGENT_ROOM_H

#include "base/err.h"

#include <stdint.h>
#include <sys/statvfs.h>

/* A part of the disk that bundles never fill, and its most: logs, databases and the next hook need
 * it, and a publisher's mistake must not take the device down. Of the files that the disk takes the
 * same part: a connection needs one, too. */
#define ROOM_SPARE_PART 32
#define ROOM_SPARE_MAX (UINT64_C(64) << 20)

/* ERR_NO_SPACE with what is needed and what is there, when the disk that the open folder is on
 * can't take so many bytes in so many new files. */
int room_check(int folder, uint64_t bytes, uint64_t files, struct errmsg *em);
/* The same by what the system says of the disk. */
int room_on(const struct statvfs *disk, uint64_t bytes, uint64_t files, struct errmsg *em);

#endif
