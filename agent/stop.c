#include "agent/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

int stop_watch(struct errmsg *em)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : errmsg_set(em, ERR_IO, "watch for signals: %s", strerror(errno));
}

/* The signal is never taken, so the descriptor stays readable. */
bool stop_wanted(int descriptor)
{
    struct pollfd p = {.fd = descriptor, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}
