/* Preloaded: each sync takes SLOW_DISK_MS longer, as on a disk that others keep busy. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_long(void)
{
    const char *text = getenv("SLOW_DISK_MS");
    long ms = text ? atol(text) : 0;
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

int fsync(int fd)
{
    wait_long();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    wait_long();
    return (int)syscall(SYS_fdatasync, fd);
}
