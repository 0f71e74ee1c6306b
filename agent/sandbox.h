/*
 * sandbox: what a bundle's hooks may do at most: the user they run as, the kernel's limits, and
 * which folders of their deployment are theirs. It knows nothing of hooks; whoever starts one
 * calls sandbox_enter in the child.
 */
#ifndef DUNLIN_AGENT_SANDBOX_H
#define DUNLIN_AGENT_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* More groups than any user of a device has. */
#define SANDBOX_GROUPS_MAX 64
/*
 * Hooks that run apart get a group for each deployment: this plus its number. So deployments that
 * share a user don't read each other's data. systemd's list of ids leaves this range to nobody.
 */
#define SANDBOX_GROUP_FIRST 1879048192u
#define SANDBOX_GROUP_LAST 2147483646u

enum sandbox_limit {
    SANDBOX_CPU,       /* seconds of a processor, for each process */
    SANDBOX_MEMORY,    /* MiB of address space, for each process */
    SANDBOX_PROCESSES, /* of the user, where that isn't the agent's own */
    SANDBOX_FILES,     /* open at a time, for each process */
    SANDBOX_FILE_SIZE, /* MiB */
    SANDBOX_LIMIT_COUNT,
};

struct sandbox {
    bool apart; /* hooks run as `user`, else as the agent does */
    uid_t user;
    gid_t group; /* the user's own */
    gid_t groups[SANDBOX_GROUPS_MAX];
    size_t group_count;
    uint64_t limits[SANDBOX_LIMIT_COUNT]; /* 0: what the agent itself may */
};

/* No limit where a good program may need much; none that a good one meets. */
#define SANDBOX_DEFAULT                                                                            \
    ((struct sandbox){.limits = {                                                                  \
                          [SANDBOX_PROCESSES] = 512,                                               \
                          [SANDBOX_FILES] = 1024,                                                  \
                          [SANDBOX_FILE_SIZE] = 4096,                                              \
                      }})

/* ERR_USAGE with a sentence: there is no such user, it is root, or the agent isn't root. */
int sandbox_set_user(struct sandbox *s, const char *name, struct errmsg *em);
/* "memory=256"; 0 is no limit. ERR_USAGE with a sentence. */
int sandbox_set_limit(struct sandbox *s, const char *text, struct errmsg *em);

/*
 * Opens the agent's DIR so far that hooks can reach what is theirs, by name, and nobody else
 * anything. ERR_REFUSED when the user can't get there because of a folder above.
 */
int sandbox_open_folder(const struct sandbox *s, const char *dir, struct errmsg *em);
/* Gives a deployment's hooks its `data` and `tmp`, and takes the deployment's folder from all
 * others. */
int sandbox_give(const struct sandbox *s, const char *deployment_path, uint32_t number,
                 struct errmsg *em);

/*
 * In a child that will run a hook of this deployment: only system calls. NULL, or what could not
 * be done, with errno: then nothing may be run.
 */
const char *sandbox_enter(const struct sandbox *s, uint32_t number);

#endif
