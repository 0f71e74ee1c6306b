/*
 * hook: runs one program of a bundle's hooks/ folder at a time, in a sandbox and a session of its
 * own, with a clean environment, a time limit, and its output in a bounded log. It knows nothing of
 * what the answer decides, and waits for nothing: the caller watches descriptors.
 */
#ifndef DUNLIN_AGENT_HOOK_H
#define DUNLIN_AGENT_HOOK_H

#include "agent/core/agent.h"
#include "agent/output.h"
#include "agent/sandbox.h"

#include <poll.h>
#include <sys/types.h>

/* All of a hook's environment: eleven variables, six of them paths below FOLDER_PATH_MAX, and what
 * the bundle needs. */
#define HOOK_ENVIRONMENT_MAX (16384 + VARIABLES_BYTES_MAX)
/* Descriptors to watch while one runs. */
#define HOOK_FDS 2
/* Where the kernel doesn't tell when one ends, it is looked at this often. */
#define HOOK_LOOK_MS 200

/* What is run, for whom. Texts are borrowed for the call. */
struct hook_run {
    const char *dir; /* absolute */
    const struct sandbox *sandbox;
    const char *deployment;
    uint32_t number; /* the deployment's */
    enum agent_hook hook;
    struct digest tree;
    const char *const *instead; /* this program and its arguments, not the tree's; or NULL */
    struct digest previous;     /* zero: nothing ran before */
    struct span values;         /* a list (sync/variables.h): DUNLIN_VAR_NAME=value */
    const struct seal_secret *sealed_to; /* opens the secrets among them */
    const char *bundle_name;
    const char *version;
    uint32_t timeout_s; /* 0: none */
};

/* All-zero is: nothing runs. */
struct hook {
    bool running;
    pid_t pid;
    int pidfd;        /* -1: the kernel doesn't tell when it ends */
    uint64_t look_ms; /* then it is looked at by then; else UINT64_MAX */
    uint64_t kill_ms; /* UINT64_MAX: never */
    uint32_t timeout_s;
    bool killed; /* by us, at the time limit */
    enum agent_hook kind;
    char name[64]; /* in sentences */
    struct output output;
    char log[FILE_PATH_MAX];
    char environment[HOOK_ENVIRONMENT_MAX];
};

/* "pre-apply", "apply", … : the program's name in hooks/. */
const char *hook_name(enum agent_hook hook);

/*
 * Starts it: 1 when it runs, 0 when the tree has no such hook, ERR_REFUSED when it is there and
 * can't be run, ERR_NO_MEMORY when the machine lacks what another process takes, or what the system
 * said. Only one at a time.
 */
int hook_start(struct hook *h, const struct hook_run *run, uint64_t now_ms, struct errmsg *em);

/* What to poll: one is readable when the hook has ended, or has said something. -1 where there is
 * nothing to watch. */
void hook_watch(const struct hook *h, struct pollfd fds[static HOOK_FDS]);
/* When hook_end must be called at the latest. */
uint64_t hook_deadline(const struct hook *h);

/*
 * Takes what it said, looks whether it has ended, and ends it past its time limit with all its
 * process group. 1 while
 * it runs, 0 when it succeeded, ERR_REFUSED or ERR_TIMEOUT with a sentence when not.
 */
int hook_end(struct hook *h, uint64_t now_ms, struct errmsg *em);

/* Kills it with its process group and waits for that. */
void hook_kill(struct hook *h);

/* The log of the hook's last failed run: DIR/deployments/NAME/log/HOOK.failed.log. */
int hook_failed_log(const char *dir, const char *deployment, enum agent_hook hook,
                    char out[static FILE_PATH_MAX], struct errmsg *em);

#endif
