/*
 * usage: what processes of this machine have used so far, as the kernel tells. It knows nothing of
 * what they do.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_USAGE_H
#define DUNLIN_SIMULATOR_LOAD_USAGE_H

#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_us;   /* in user and kernel mode */
    uint64_t peak_kib; /* the most that was resident, shared pages included */
};

/* Zero for one that is gone. */
struct usage usage_of(pid_t pid);
void usage_add(struct usage *sum, const struct usage *more);

#endif
