#include "simulator/load/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t child_fork(bool apart)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    if (apart)
        setsid();
    if (getppid() != parent)
        _exit(1);
    return 0;
}

int child_start(struct child *c, size_t size, bool apart, child_work *work, void *context,
                const char *what, struct errmsg *em)
{
    int ends[2];
    *c = (struct child){.size = size};
    void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    c->shared = shared;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errmsg_set(em, ERR_IO, "no pipe to %s: %s", what, strerror(errno));
    pid_t pid = child_fork(apart);
    if (pid == 0) {
        close(ends[1]);
        _exit(work(context, shared, ends[0]));
    }
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return errmsg_set(em, ERR_IO, "no process for %s: %s", what, strerror(errno));
    }
    c->pid = pid;
    c->orders = ends[1];
    return 0;
}

bool child_order(struct child *c, const void *order, size_t len)
{
    return c->pid > 0 && write(c->orders, order, len) == (ssize_t)len;
}

bool child_lives(struct child *c)
{
    if (c->pid > 0 && waitpid(c->pid, NULL, WNOHANG) == 0)
        return true;
    if (c->pid > 0)
        close(c->orders);
    c->pid = 0;
    return false;
}

void child_kill(struct child *c)
{
    if (c->pid > 0)
        kill(c->pid, SIGKILL);
    child_end(c);
}

void child_end(struct child *c)
{
    if (c->pid <= 0)
        return;
    close(c->orders);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

void child_free(struct child *c)
{
    if (c->shared)
        munmap(c->shared, c->size);
    *c = (struct child){0};
}
