#include "agent/room.h"

#include "base/file.h"

#include <errno.h>

static uint64_t spare(const struct statvfs *disk);

int room_check(int folder, uint64_t bytes, uint64_t files, struct errmsg *em)
{
    struct statvfs disk;
    if (fstatvfs(folder, &disk) < 0)
        return errmsg_set(em, file_error(errno), "can't ask for the room on the disk: %s",
                          strerror(errno));
    return room_on(&disk, bytes, files, em);
}

int room_on(const struct statvfs *disk, uint64_t bytes, uint64_t files, struct errmsg *em)
{
    /* The last block of each file is full for the disk. */
    uint64_t free = disk->f_bavail * disk->f_frsize, need = bytes + files * disk->f_frsize;
    uint64_t left = spare(disk), files_left = disk->f_files / ROOM_SPARE_PART;
    if (disk->f_flag & ST_RDONLY)
        return errmsg_set(em, ERR_NO_SPACE, "the disk can only be read");
    if (need > free || free - need < left)
        return errmsg_set(em, ERR_NO_SPACE,
                          "%llu MiB are needed, and of %llu MiB free %llu are left to others",
                          (unsigned long long)(need >> 20), (unsigned long long)(free >> 20),
                          (unsigned long long)(left >> 20));
    /* Some file systems don't count their files. */
    if (disk->f_files > 0 && files + files_left > disk->f_favail)
        return errmsg_set(em, ERR_NO_SPACE,
                          "%llu files are needed, and of %llu more that the disk takes %llu are "
                          "left to others",
                          (unsigned long long)files, (unsigned long long)disk->f_favail,
                          (unsigned long long)files_left);
    return 0;
}

static uint64_t spare(const struct statvfs *disk)
{
    uint64_t part = disk->f_blocks * disk->f_frsize / ROOM_SPARE_PART;
    return part < ROOM_SPARE_MAX ? part : ROOM_SPARE_MAX;
}
