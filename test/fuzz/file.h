/*
 * file: one input as a file, for readers that take a path. It is in memory only, readable by nobody
 * else, and holds the newest input.
 */
#ifndef DUNLIN_TEST_FUZZ_FILE_H
#define DUNLIN_TEST_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its path, which stays the same. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[40];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (fd < 0 || fchmod(fd, 0600) < 0)
            abort();
    }
    if (ftruncate(fd, 0) < 0 || (size > 0 && pwrite(fd, data, size, 0) != (ssize_t)size))
        abort();
    return path;
}

#endif
