#include "agent/sandbox.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT32_C(1) << 20)
/* Of seconds, MiB or things: none of the kernel's limits makes sense above. */
#define LIMIT_MAX UINT64_C(1000000000)

/* How a limit is called, and what it is for the kernel. */
struct limit_rule {
    char name[10];
    uint32_t unit;
    unsigned resource; /* of glibc an enum, of musl an int */
    bool apart_only;   /* counted over all processes of the user */
};

static const struct limit_rule rules[SANDBOX_LIMIT_COUNT] = {
    [SANDBOX_CPU] = {.name = "cpu", .resource = RLIMIT_CPU, .unit = 1},
    [SANDBOX_MEMORY] = {.name = "memory", .resource = RLIMIT_AS, .unit = MIB},
    [SANDBOX_PROCESSES] = {.name = "processes",
                           .resource = RLIMIT_NPROC,
                           .unit = 1,
                           .apart_only = true},
    [SANDBOX_FILES] = {.name = "files", .resource = RLIMIT_NOFILE, .unit = 1},
    [SANDBOX_FILE_SIZE] = {.name = "file-size", .resource = RLIMIT_FSIZE, .unit = MIB},
};

/* Of the agent's folder, by the user of the hooks. */
enum folder_seen { FOLDER_OPEN, FOLDER_CLOSED, FOLDER_UNTRIED };

static size_t find_limit(struct span name);
static enum folder_seen try_folder(const struct sandbox *s, const char *dir);
static int give_folder(const char *path, uid_t user, gid_t group, mode_t mode, struct errmsg *em);
static gid_t group_of(uint32_t number);
static const char *limit(const struct sandbox *s);
static int lower(unsigned resource, uint64_t value);
static const char *leave_root(const struct sandbox *s, uint32_t number);
static int drop_capabilities(void);

/* ---- what is asked for ---- */

int sandbox_set_user(struct sandbox *s, const char *name, struct errmsg *em)
{
    int count = SANDBOX_GROUPS_MAX;
    if (geteuid() != 0)
        return errmsg_set(em, ERR_USAGE,
                          "--hook-user %.40s: only root can run hooks as another user, and this is "
                          "user %u: run dunlin-agent as root, or leave the flag out",
                          name, (unsigned)geteuid());
    const struct passwd *p = getpwnam(name);
    if (!p)
        return errmsg_set(em, ERR_USAGE, "--hook-user %.40s: there is no such user on this device",
                          name);
    if (p->pw_uid == 0)
        return errmsg_set(em, ERR_USAGE,
                          "--hook-user %.40s: that is root; name a user without rights", name);
    if (getgrouplist(p->pw_name, p->pw_gid, s->groups, &count) < 0)
        return errmsg_set(em, ERR_USAGE, "--hook-user %.40s: is in more than %d groups", name,
                          SANDBOX_GROUPS_MAX);
    s->apart = true;
    s->user = p->pw_uid;
    s->group = p->pw_gid;
    s->group_count = (size_t)count;
    return 0;
}

int sandbox_set_limit(struct sandbox *s, const char *text, struct errmsg *em)
{
    char *end = NULL;
    size_t len = strcspn(text, "="), which = find_limit(span_of(text, len));
    const char *number = text[len] == '=' ? text + len + 1 : "";
    errno = 0;
    unsigned long long value = strtoull(number, &end, 10);
    if (which < SANDBOX_LIMIT_COUNT && number[0] >= '0' && number[0] <= '9' && *end == '\0' &&
        errno == 0 && value <= LIMIT_MAX) {
        s->limits[which] = value;
        return 0;
    }
    return errmsg_set(em, ERR_USAGE,
                      "--hook-limit %.60s: write cpu=SECONDS, memory=MIB, processes=NUMBER, "
                      "files=NUMBER or file-size=MIB",
                      text);
}

static size_t find_limit(struct span name)
{
    size_t i = 0;
    while (i < SANDBOX_LIMIT_COUNT && !span_equal(name, span_text(rules[i].name)))
        i++;
    return i;
}

/* ---- folders ---- */

int sandbox_open_folder(const struct sandbox *s, const char *dir, struct errmsg *em)
{
    if (!s->apart)
        return 0;
    int rv = give_folder(dir, geteuid(), s->group, 0710, em);
    if (rv < 0)
        return rv;
    switch (try_folder(s, dir)) {
    case FOLDER_OPEN:
        return 0;
    case FOLDER_CLOSED:
        return errmsg_set(
            em, ERR_REFUSED,
            "the user of the hooks can't reach %s: a folder above it is closed to others", dir);
    case FOLDER_UNTRIED:
        break;
    }
    return errmsg_set(em, ERR_REFUSED,
                      "hooks can't be run as another user: the agent lacks one of root's rights to "
                      "SETPCAP, SETGID and SETUID");
}

/* Asked of the kernel, which knows all its own rules. */
static enum folder_seen try_folder(const struct sandbox *s, const char *dir)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(sandbox_enter(s, 0) ? FOLDER_UNTRIED : chdir(dir) < 0 ? FOLDER_CLOSED : FOLDER_OPEN);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) ? (enum folder_seen)WEXITSTATUS(status) : FOLDER_UNTRIED;
}

int sandbox_give(const struct sandbox *s, const char *deployment_path, uint32_t number,
                 struct errmsg *em)
{
    static const char parts[][5] = {"data", "tmp"};
    char path[FILE_PATH_MAX];
    if (!s->apart)
        return 0;
    if (number > SANDBOX_GROUP_LAST - SANDBOX_GROUP_FIRST)
        return errmsg_set(em, ERR_RANGE, "there is no group for a deployment's number %u", number);
    /* The folder itself stays the agent's, so nobody can put a link in the place of its parts. */
    int rv = give_folder(deployment_path, geteuid(), group_of(number), 0710, em);
    for (size_t i = 0; rv == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        rv = file_path(path, em, "%s/%s", deployment_path, parts[i]);
        if (rv == 0)
            rv = give_folder(path, s->user, group_of(number), 0700, em);
    }
    return rv;
}

static int give_folder(const char *path, uid_t user, gid_t group, mode_t mode, struct errmsg *em)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rv = fd < 0 || fchown(fd, user, group) < 0 || fchmod(fd, mode) < 0 ? -1 : 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    return rv == 0 ? 0 : errmsg_set(em, ERR_IO, "give away %s: %s", path, strerror(reason));
}

static gid_t group_of(uint32_t number)
{
    return SANDBOX_GROUP_FIRST + number;
}

/* ---- in the child ---- */

const char *sandbox_enter(const struct sandbox *s, uint32_t number)
{
    const char *failed = limit(s);
    if (!failed && s->apart)
        failed = leave_root(s, number);
    if (!failed && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        failed = "give up new privileges";
    return failed;
}

/* A core file would hold whatever the hook had in memory, and has no limit of its own. */
static const char *limit(const struct sandbox *s)
{
    if (lower(RLIMIT_CORE, 0) < 0)
        return "limit core files";
    for (size_t i = 0; i < SANDBOX_LIMIT_COUNT; i++) {
        const struct limit_rule *r = &rules[i];
        if (s->limits[i] == 0 || (r->apart_only && !s->apart))
            continue;
        if (lower(r->resource, s->limits[i] * r->unit) < 0)
            return r->name;
    }
    return NULL;
}

/* Never above what the agent itself was given. */
static int lower(unsigned resource, uint64_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) < 0)
        return -1;
    rlim_t bound = value < now.rlim_max ? (rlim_t)value : now.rlim_max;
    return setrlimit(resource, &(struct rlimit){.rlim_cur = bound, .rlim_max = bound});
}

/* Groups first: without root nobody may change them. */
static const char *leave_root(const struct sandbox *s, uint32_t number)
{
    gid_t own = group_of(number);
    if (drop_capabilities() < 0)
        return "drop capabilities";
    if (setgroups(s->group_count, s->groups) < 0 || setresgid(own, own, own) < 0)
        return "change groups";
    if (setresuid(s->user, s->user, s->user) < 0)
        return "change user";
    return NULL;
}

/* No program that is started later, whatever its file says, can have any of them again. The kernel
 * says EINVAL behind the last one that it knows. */
static int drop_capabilities(void)
{
    for (unsigned long capability = 0; capability < 64; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return errno == EINVAL && capability > 0 ? 0 : -1;
    return 0;
}
