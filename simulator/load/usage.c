#include "simulator/load/usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_stat(pid_t pid, pid_t *parent, uint64_t *ticks);

struct usage usage_of(pid_t pid)
{
    struct usage u = {0};
    char path[64], line[256];
    pid_t parent;
    uint64_t ticks;
    if (pid <= 0 || !read_stat(pid, &parent, &ticks))
        return u;
    u.cpu_ms = ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %" SCNu64, &u.peak_kib) == 1)
            break;
    if (f)
        fclose(f);
    return u;
}

/* The name, in parentheses, may hold anything; behind its end stand state, parent, and ten fields
 * later the times (proc(5)). */
static bool read_stat(pid_t pid, pid_t *parent, uint64_t *ticks)
{
    char path[64], text[1024];
    uint64_t user = 0, kernel = 0;
    int ppid = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[len] = '\0';
    const char *end = strrchr(text, ')');
    if (!end || sscanf(end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                       &ppid, &user, &kernel) != 3)
        return false;
    *parent = ppid;
    *ticks = user + kernel;
    return true;
}

void usage_add(struct usage *sum, const struct usage *more)
{
    sum->cpu_ms += more->cpu_ms;
    sum->peak_kib += more->peak_kib;
}

unsigned usage_children(pid_t parent, pid_t *out, unsigned max)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    while (dir && count < max && (entry = readdir(dir))) {
        pid_t pid = (pid_t)atoi(entry->d_name), by;
        uint64_t ticks;
        if (pid > 0 && read_stat(pid, &by, &ticks) && by == parent)
            out[count++] = pid;
    }
    if (dir)
        closedir(dir);
    return count;
}
