#include "agent/hook.h"

#include "agent/tree.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOOK_VARIABLES_MAX (11 + VARIABLES_NEEDED_MAX)
#define VARIABLE_PREFIX "DUNLIN_VAR_"
#define HOOK_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where things are for one run. */
struct hook_paths {
    char tree[FILE_PATH_MAX];
    char program[FILE_PATH_MAX];
    char current[FILE_PATH_MAX];
    char data[FILE_PATH_MAX];
    char tmp[FILE_PATH_MAX];
    char previous[FILE_PATH_MAX]; /* empty: none */
};

/* What the child needs; made before the fork, so that the child only does system calls. */
struct hook_child {
    const char *tree;
    char *const *arguments;
    char *variables[HOOK_VARIABLES_MAX + 1];
    const struct sandbox *sandbox;
    uint32_t number;
    int output;
    int null;
    pid_t parent;
};

static int find_paths(struct hook_paths *p, const struct hook_run *run, struct errmsg *em);
static int look_at_program(const char *path, const struct hook_run *run, struct errmsg *em);
static int make_environment(struct hook *h, const struct hook_run *run, const struct hook_paths *p,
                            char *variables[static HOOK_VARIABLES_MAX + 1], struct errmsg *em);
static int add_values(struct hook *h, const struct hook_run *run, size_t used, char **variables);
static char *add_value(struct hook *h, const struct hook_run *run, size_t *used, int *error,
                       const struct variable *v);
static int make_folders(const struct hook_run *run, struct errmsg *em);
static int open_output(struct hook *h, const struct hook_run *run, struct errmsg *em);
static int spawn(struct hook *h, struct hook_child *child, struct errmsg *em);
static void look_again(struct hook *h, uint64_t now_ms);
static int lack_of(int error);
static void run_child(const struct hook_child *child) __attribute__((noreturn));
static void give_up(const char *failed) __attribute__((noreturn));
static void close_others(void);
static void reset_signals(void);
static void kill_group(const struct hook *h);
static int judge(struct hook *h, int status, struct errmsg *em);
static void keep_log(const struct hook *h);
static void forget(struct hook *h);

const char *hook_name(enum agent_hook hook)
{
    static const char *const names[HOOK_COUNT] = {
        [HOOK_PRE_APPLY] = "pre-apply",
        [HOOK_APPLY] = "apply",
        [HOOK_HEALTH] = "health",
        [HOOK_REMOVE] = "remove",
    };
    assert(hook < HOOK_COUNT);
    return names[hook];
}

int hook_failed_log(const char *dir, const char *deployment, enum agent_hook hook,
                    char out[static FILE_PATH_MAX], struct errmsg *em)
{
    char part[64];
    snprintf(part, sizeof part, "log/%s.failed.log", hook_name(hook));
    return tree_deployment_path(dir, deployment, part, out, em);
}

static void set_name(struct hook *h, const struct hook_run *run)
{
    const char *slash = run->instead ? strrchr(run->instead[0], '/') : NULL;
    if (run->instead)
        snprintf(h->name, sizeof h->name, "%s %s", slash ? slash + 1 : run->instead[0],
                 run->instead[1] ? run->instead[1] : "");
    else
        snprintf(h->name, sizeof h->name, "hooks/%s", hook_name(run->hook));
}

int hook_start(struct hook *h, const struct hook_run *run, uint64_t now_ms, struct errmsg *em)
{
    struct hook_paths paths;
    char *own[] = {paths.program, NULL};
    struct hook_child child = {
        .tree = paths.tree,
        .arguments = run->instead ? (char *const *)run->instead : own,
        .sandbox = run->sandbox,
        .number = run->number,
    };
    assert(!h->running);
    h->kind = run->hook;
    set_name(h, run);
    h->output = OUTPUT_CLOSED;
    int rv = find_paths(&paths, run, em);
    if (rv == 0)
        rv = look_at_program(child.arguments[0], run, em);
    if (rv <= 0)
        return rv;
    rv = make_folders(run, em);
    if (rv == 0)
        rv = make_environment(h, run, &paths, child.variables, em);
    if (rv == 0)
        rv = child.output = open_output(h, run, em);
    if (rv >= 0) {
        rv = spawn(h, &child, em);
        close(child.output);
    }
    explicit_bzero(h->environment, sizeof h->environment);
    if (rv < 0) {
        output_close(&h->output);
        return rv;
    }
    h->running = true;
    h->killed = false;
    h->timeout_s = run->timeout_s;
    h->kill_ms = run->timeout_s ? now_ms + (uint64_t)run->timeout_s * 1000 : UINT64_MAX;
    look_again(h, now_ms);
    return 1;
}

void hook_watch(const struct hook *h, struct pollfd fds[static HOOK_FDS])
{
    int output = h->running ? output_descriptor(&h->output) : -1;
    fds[0] = (struct pollfd){.fd = h->running ? h->pidfd : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = output, .events = POLLIN};
}

uint64_t hook_deadline(const struct hook *h)
{
    if (!h->running)
        return UINT64_MAX;
    return h->killed || h->look_ms < h->kill_ms ? h->look_ms : h->kill_ms;
}

int hook_end(struct hook *h, uint64_t now_ms, struct errmsg *em)
{
    int status;
    assert(h->running);
    output_take(&h->output);
    pid_t ended = waitpid(h->pid, &status, WNOHANG);
    if (ended == 0 && !h->killed && now_ms >= h->kill_ms) {
        kill_group(h);
        h->killed = true;
    }
    look_again(h, now_ms);
    if (ended == 0)
        return 1;
    int rv = ended < 0 ? errmsg_set(em, ERR_IO, "%s: %s", h->name, strerror(errno))
                       : judge(h, status, em);
    if (rv < 0)
        keep_log(h);
    forget(h);
    return rv;
}

void hook_kill(struct hook *h)
{
    if (!h->running)
        return;
    kill_group(h);
    while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    forget(h);
}

static int find_paths(struct hook_paths *p, const struct hook_run *run, struct errmsg *em)
{
    p->previous[0] = '\0';
    int rv = tree_path(run->dir, &run->tree, p->tree, em);
    if (rv == 0)
        rv = file_path(p->program, em, "%s/hooks/%s", p->tree, hook_name(run->hook));
    if (rv == 0)
        rv = tree_deployment_path(run->dir, run->deployment, "current", p->current, em);
    if (rv == 0)
        rv = tree_deployment_path(run->dir, run->deployment, "data", p->data, em);
    if (rv == 0)
        rv = tree_deployment_path(run->dir, run->deployment, "tmp", p->tmp, em);
    if (rv == 0 && !digest_is_zero(&run->previous))
        rv = tree_path(run->dir, &run->previous, p->previous, em);
    return rv;
}

/* 1: it can be run. 0: there is none. */
static int look_at_program(const char *path, const struct hook_run *run, struct errmsg *em)
{
    struct stat st;
    const char *name = hook_name(run->hook);
    if (stat(path, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        return errmsg_set(em, ERR_REFUSED, "hooks/%s: %s", name, strerror(errno));
    }
    if (!S_ISREG(st.st_mode))
        return errmsg_set(em, ERR_REFUSED, "hooks/%s is no file", name);
    if (access(path, X_OK) < 0)
        return errmsg_set(em, ERR_REFUSED, "hooks/%s is not executable", name);
    return 1;
}

/* Adds "NAME=value" to the block; sets `*error` when it is full. */
static char *add_variable(struct hook *h, size_t *used, int *error, const char *name,
                          const char *value)
{
    char *at = h->environment + *used;
    int len = snprintf(at, HOOK_ENVIRONMENT_MAX - *used, "%s=%s", name, value);
    if (len < 0 || (size_t)len >= HOOK_ENVIRONMENT_MAX - *used)
        *error = ERR_RANGE;
    else
        *used += (size_t)len + 1;
    return at;
}

static int make_environment(struct hook *h, const struct hook_run *run, const struct hook_paths *p,
                            char *variables[static HOOK_VARIABLES_MAX + 1], struct errmsg *em)
{
    const struct {
        const char *name;
        const char *value;
    } list[] = {
        {"PATH", HOOK_PATH},
        {"HOME", p->data},
        {"TMPDIR", p->tmp},
        {"DUNLIN_DEPLOYMENT", run->deployment},
        {"DUNLIN_VERSION", run->version},
        {"DUNLIN_BUNDLE", run->bundle_name},
        {"DUNLIN_TREE", p->tree},
        {"DUNLIN_CURRENT", p->current},
        {"DUNLIN_DATA", p->data},
        {"DUNLIN_PREVIOUS", p->previous},
        {"DUNLIN_HOOK", hook_name(run->hook)},
    };
    size_t used = 0, count = sizeof list / sizeof list[0];
    int rv = 0;
    _Static_assert(sizeof list / sizeof list[0] + VARIABLES_NEEDED_MAX == HOOK_VARIABLES_MAX,
                   "room for all");
    for (size_t i = 0; i < count && rv == 0; i++)
        variables[i] = add_variable(h, &used, &rv, list[i].name, list[i].value);
    if (rv == 0)
        rv = add_values(h, run, used, variables + count);
    if (rv == ERR_SIGNATURE)
        return errmsg_set(em, rv, "a secret of %s was not sealed to this agent", run->deployment);
    return rv < 0 ? errmsg_set(em, rv, "the paths in %s are too long for a hook", run->dir) : 0;
}

static int add_values(struct hook *h, const struct hook_run *run, size_t used, char **variables)
{
    struct variable_cursor c = variables_on(run->values);
    struct variable v;
    size_t count = 0;
    int rv = 0;
    while (rv == 0 && count < VARIABLES_NEEDED_MAX && variables_next(&c, &v))
        if (v.given)
            variables[count++] = add_value(h, run, &used, &rv, &v);
    variables[count] = NULL;
    return rv;
}

/* Adds "DUNLIN_VAR_NAME=value"; the one place where a secret stands in clear, and only until the
 * hook has it. */
static char *add_value(struct hook *h, const struct hook_run *run, size_t *used, int *error,
                       const struct variable *v)
{
    struct buffer block = {.data = (uint8_t *)h->environment,
                           .len = *used + strlen(VARIABLE_PREFIX) + v->name.len + 1,
                           .cap = sizeof h->environment - 1};
    char *at = h->environment + *used, *name = at + strlen(VARIABLE_PREFIX);
    *error = ERR_RANGE;
    if (block.len + v->value.len > block.cap)
        return at;
    memcpy(at, VARIABLE_PREFIX, sizeof VARIABLE_PREFIX - 1);
    for (size_t i = 0; i < v->name.len; i++)
        name[i] = (char)toupper(v->name.data[i]);
    name[v->name.len] = '=';
    *error = 0;
    if (v->uses & VARIABLE_SECRET) {
        *error = secret_open(run->sealed_to, v->name, v->value, &block);
    } else {
        memcpy(block.data + block.len, v->value.data, v->value.len);
        block.len += v->value.len;
    }
    block.data[block.len++] = '\0';
    *used = block.len;
    return at;
}

/* On a full disk a hook runs with the folders that are there. */
static int make_folders(const struct hook_run *run, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = tree_prepare(run->dir, run->deployment, em);
    if (rv < 0)
        return rv == ERR_NO_SPACE ? 0 : rv;
    rv = tree_deployment_path(run->dir, run->deployment, NULL, path, em);
    return rv < 0 ? rv : sandbox_give(run->sandbox, path, run->number, em);
}

static int open_output(struct hook *h, const struct hook_run *run, struct errmsg *em)
{
    char part[64];
    snprintf(part, sizeof part, "log/%s.log", hook_name(run->hook));
    int rv = tree_deployment_path(run->dir, run->deployment, part, h->log, em);
    return rv < 0 ? rv : output_open(&h->output, h->log, em);
}

static int spawn(struct hook *h, struct hook_child *child, struct errmsg *em)
{
    child->parent = getpid();
    child->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = child->null < 0 ? -1 : fork();
    if (pid == 0)
        run_child(child);
    int error = errno;
    if (child->null >= 0)
        close(child->null);
    if (pid < 0)
        return errmsg_set(em, lack_of(error), "%s: can't start: %s", h->name, strerror(error));
    h->pid = pid;
    h->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (h->pidfd >= 0 || errno == ENOSYS)
        return 0;
    int rv = errmsg_set(em, lack_of(errno), "%s: can't watch: %s", h->name, strerror(errno));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return rv;
}

/* Kernels before 5.3 don't tell of a process's end. */
static void look_again(struct hook *h, uint64_t now_ms)
{
    h->look_ms = h->pidfd < 0 ? now_ms + HOOK_LOOK_MS : UINT64_MAX;
}

/* What the machine is short of for a while is no fault of the bundle. */
static int lack_of(int error)
{
    bool lacks = error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
    return lacks ? ERR_NO_MEMORY : ERR_IO;
}

/* In the child. A daemon that the hook leaves behind must make its own session; the hook itself
 * ends with the agent. */
static void run_child(const struct hook_child *child)
{
    setsid();
    reset_signals();
    umask(022);
    if (dup2(child->null, STDIN_FILENO) < 0 || dup2(child->output, STDOUT_FILENO) < 0 ||
        dup2(child->output, STDERR_FILENO) < 0)
        _exit(126);
    close_others();
    const char *failed = sandbox_enter(child->sandbox, child->number);
    if (!failed && chdir(child->tree) < 0)
        failed = child->tree;
    if (failed)
        give_up(failed);
    /* A change of user takes it away, so it comes after that. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != child->parent)
        _exit(126);
    execve(child->arguments[0], child->arguments, child->variables);
    dprintf(STDERR_FILENO, "%s: %s\n", child->arguments[0], strerror(errno));
    _exit(127);
}

static void give_up(const char *failed)
{
    dprintf(STDERR_FILENO, "%s: %s\n", failed, strerror(errno));
    _exit(126);
}

/* Kernels before 5.9 don't know close_range. */
static void close_others(void)
{
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) == 0)
        return;
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
        close(fd);
}

static void reset_signals(void)
{
    sigset_t none;
    struct sigaction normal = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &normal, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A child that was only just forked has no group of its own yet. */
static void kill_group(const struct hook *h)
{
    kill(-h->pid, SIGKILL);
    kill(h->pid, SIGKILL);
}

static int judge(struct hook *h, int status, struct errmsg *em)
{
    if (h->killed)
        return errmsg_set(em, ERR_TIMEOUT, "%s took longer than %u s", h->name, h->timeout_s);
    if (WIFSIGNALED(status))
        return errmsg_set(em, ERR_REFUSED, "%s was ended by signal %d", h->name, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return errmsg_set(em, ERR_REFUSED, "%s ended with code %d", h->name, WEXITSTATUS(status));
    return 0;
}

/* Set aside, because going back runs hooks again, and those would write over it. */
static void keep_log(const struct hook *h)
{
    char kept[FILE_PATH_MAX];
    int stem = (int)(strlen(h->log) - strlen(".log"));
    if (file_path(kept, NULL, "%.*s.failed.log", stem, h->log) == 0 && rename(h->log, kept) < 0)
        unlink(kept);
}

static void forget(struct hook *h)
{
    output_close(&h->output);
    if (h->pidfd >= 0)
        close(h->pidfd);
    h->pidfd = -1;
    h->running = false;
}
