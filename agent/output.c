#include "agent/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What one call takes at most: whoever speaks without end must not keep the agent. */
#define TAKEN_MAX (1024u * 1024)
#define PIECE 4096

static int open_log(const char *path);
static void keep(struct output *o, const uint8_t *said, size_t len);
static void write_log(struct output *o, const void *bytes, size_t len);
static void leave_reader(int pipe);
static void read_on(int pipe) __attribute__((noreturn));

int output_open(struct output *o, const char *log, struct errmsg *em)
{
    int ends[2];
    *o = OUTPUT_CLOSED;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errmsg_set(em, ERR_NO_MEMORY, "make a pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *o = (struct output){.pipe = ends[0], .log = open_log(log)};
    return ends[1];
}

int output_descriptor(const struct output *o)
{
    return o->pipe;
}

void output_take(struct output *o)
{
    uint8_t piece[PIECE];
    for (size_t taken = 0; o->pipe >= 0 && taken < TAKEN_MAX;) {
        ssize_t n = read(o->pipe, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close(o->pipe);
            o->pipe = -1;
            return;
        }
        taken += (size_t)n;
        keep(o, piece, (size_t)n);
    }
}

void output_close(struct output *o)
{
    output_take(o);
    if (o->pipe >= 0) {
        leave_reader(o->pipe);
        close(o->pipe);
    }
    if (o->log >= 0)
        close(o->log);
    *o = OUTPUT_CLOSED;
}

static int open_log(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
}

static void keep(struct output *o, const uint8_t *said, size_t len)
{
    char cut[96];
    size_t room = OUTPUT_KEPT_MAX - o->kept;
    if (room == 0)
        return;
    write_log(o, said, len < room ? len : room);
    o->kept += len < room ? len : room;
    if (o->kept < OUTPUT_KEPT_MAX)
        return;
    int n =
        snprintf(cut, sizeof cut, "\n[dunlin-agent keeps the first %u bytes of a hook's words]\n",
                 OUTPUT_KEPT_MAX);
    write_log(o, cut, (size_t)n);
}

/* On a full disk the rest isn't kept: half a log says enough, and a hole in it would mislead. */
static void write_log(struct output *o, const void *bytes, size_t len)
{
    if (o->log < 0 || write(o->log, bytes, len) == (ssize_t)len)
        return;
    close(o->log);
    o->log = -1;
}

/* By way of a child that ends at once, so that nobody has to wait for the reader. */
static void leave_reader(int pipe)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0)
            read_on(pipe);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* It ends with the last who holds the other end, whatever becomes of the agent. */
static void read_on(int pipe)
{
    uint8_t piece[PIECE];
    sigset_t none;
    ssize_t n;
    setsid();
    prctl(PR_SET_NAME, "dunlin-output");
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(pipe, STDIN_FILENO) < 0 || syscall(SYS_close_range, STDIN_FILENO + 1, ~0u, 0) < 0)
        for (int fd = STDIN_FILENO + 1; fd < 1024; fd++)
            close(fd);
    fcntl(STDIN_FILENO, F_SETFL, 0);
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0)
        if (n < 0 && errno != EINTR)
            break;
    _exit(0);
}
