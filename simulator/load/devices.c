#include "simulator/load/devices.h"

#include "base/clock.h"
#include "base/file.h"
#include "simulator/load/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 64

static int map_file(struct devices *d, int file, uint32_t *had, struct errmsg *em);
static int make(struct devices *d, uint32_t first, unsigned processes, const volatile bool *stop,
                struct errmsg *em);
static int make_part(struct devices *d, uint32_t first, unsigned part, unsigned parts);
static int wait_for_all(const pid_t *pids, unsigned count, const volatile bool *stop);

int devices_path(char *out, size_t cap)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int len = cache && cache[0] ? snprintf(out, cap, "%s/dunlin/device-keys", cache)
              : home && home[0] ? snprintf(out, cap, "%s/.cache/dunlin/device-keys", home)
                                : snprintf(out, cap, "/tmp/dunlin-%d/device-keys", (int)getuid());
    return len > 0 && (size_t)len < cap ? 0 : ERR_RANGE;
}

int devices_open(struct devices *d, const char *path, uint32_t count, unsigned processes,
                 const volatile bool *stop, struct errmsg *em)
{
    char folder[FILE_PATH_MAX];
    uint32_t had = 0;
    int file = -1;
    *d = (struct devices){.count = count};
    int rv = file_path(folder, em, "%s", path);
    char *slash = rv == 0 ? strrchr(folder, '/') : NULL;
    if (slash && slash > folder) {
        *slash = '\0';
        rv = file_make_folder(folder, 0700, em);
    }
    if (rv == 0)
        file = rv = file_lock(path, em);
    if (rv >= 0)
        rv = map_file(d, file, &had, em);
    if (rv == 0 && had < count)
        rv = make(d, had, processes, stop, em);
    if (file < 0)
        return rv;
    flock(file, LOCK_UN); /* the mapping keeps the file open as long as the run lasts */
    close(file);
    return rv;
}

/* A pair that was never finished is zero. */
static int map_file(struct devices *d, int file, uint32_t *had, struct errmsg *em)
{
    struct stat st;
    off_t size = (off_t)d->count * (off_t)sizeof *d->keys;
    bool good = fstat(file, &st) == 0 && (st.st_size >= size || ftruncate(file, size) == 0);
    void *at =
        good ? mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
    if (at == MAP_FAILED)
        return errmsg_set(em, ERR_IO, "the file with device keys: %s", strerror(errno));
    d->keys = at;
    static const struct device_key none;
    while (*had < d->count && memcmp(&d->keys[*had], &none, sizeof none) != 0)
        ++*had;
    return 0;
}

static int make(struct devices *d, uint32_t first, unsigned processes, const volatile bool *stop,
                struct errmsg *em)
{
    pid_t pids[PROCESSES_MAX];
    unsigned count = processes < PROCESSES_MAX ? processes : PROCESSES_MAX;
    uint64_t from_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < count; i++) {
        pids[i] = child_fork(false);
        if (pids[i] == 0)
            _exit(make_part(d, first, i, count) < 0);
    }
    int rv = wait_for_all(pids, count, stop);
    d->made = d->count - first;
    d->seconds = (double)(clock_monotonic_ms() - from_ms) / 1000;
    return rv == ERR_BUSY ? errmsg_set(em, rv, "stopped")
           : rv < 0       ? errmsg_set(em, rv, "cannot make device keys")
                          : 0;
}

static int make_part(struct devices *d, uint32_t first, unsigned part, unsigned parts)
{
    for (uint32_t i = first + part; i < d->count; i += parts) {
        struct device_key key;
        if (sign_generate(&key.secret, &key.public) < 0)
            return ERR_CRYPTO;
        d->keys[i] = key;
    }
    return 0;
}

static int wait_for_all(const pid_t *pids, unsigned count, const volatile bool *stop)
{
    int rv = 0, status;
    for (unsigned i = 0; i < count; i++) {
        pid_t ended = 0;
        while (pids[i] > 0 && (ended = waitpid(pids[i], &status, WNOHANG)) == 0) {
            if (*stop)
                kill(pids[i], SIGKILL);
            poll(NULL, 0, 10);
        }
        if (ended != pids[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            rv = ERR_CRYPTO;
    }
    return *stop ? ERR_BUSY : rv;
}

void devices_close(struct devices *d)
{
    if (d->keys)
        munmap(d->keys, d->count * sizeof *d->keys);
    *d = (struct devices){.count = 0};
}
