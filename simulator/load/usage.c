#include "simulator/load/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct usage usage_of(pid_t pid)
{
    struct usage u = {0};
    struct timespec used;
    clockid_t clock;
    char path[64], line[256];
    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
        return u;
    u.cpu_us = (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %" SCNu64, &u.peak_kib) == 1)
            break;
    if (f)
        fclose(f);
    return u;
}

void usage_add(struct usage *sum, const struct usage *more)
{
    sum->cpu_us += more->cpu_us;
    sum->peak_kib += more->peak_kib;
}
