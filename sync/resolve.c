#include "sync/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child writes, in one piece. */
struct answer {
    int error; /* of getaddrinfo */
    size_t count;
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
};

_Static_assert(sizeof(struct answer) <= PIPE_BUF, "an answer is written and read in one piece");

static struct answer look_up(const char *host, int port, int flags);
static int ask(struct resolve *r, const char *host, int port, struct errmsg *em);
static _Noreturn void be_child(const char *host, int port, int out);
static void close_others(void);
static void reap(struct resolve *r);
static int take(struct resolve *r, const struct answer *a, struct errmsg *em);

int resolve_start(struct resolve *r, const char *host, int port, uint64_t now_ms, struct errmsg *em)
{
    struct answer a = look_up(host, port, AI_NUMERICHOST);
    *r = (struct resolve){.until_ms = now_ms + RESOLVE_MS_MAX};
    return a.error == 0 ? take(r, &a, em) : ask(r, host, port, em);
}

int resolve_look(struct resolve *r, uint64_t now_ms, struct errmsg *em)
{
    struct answer a;
    ssize_t n = read(r->answer, &a, sizeof a);
    bool none_yet = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (none_yet && now_ms < r->until_ms)
        return 0;
    if (none_yet) {
        resolve_cancel(r);
        return errmsg_set(em, ERR_TIMEOUT, "the host name can't be found in time");
    }
    reap(r);
    if (n != (ssize_t)sizeof a)
        return errmsg_set(em, ERR_NOT_FOUND, "the host name can't be found: no answer");
    return take(r, &a, em);
}

int resolve_descriptor(const struct resolve *r)
{
    return r->child > 0 ? r->answer : -1;
}

void resolve_cancel(struct resolve *r)
{
    if (r->child == 0)
        return;
    kill(r->child, SIGKILL);
    reap(r);
}

/* The child is ending. Where SIGCHLD is ignored there is nobody to wait for. */
static void reap(struct resolve *r)
{
    while (waitpid(r->child, NULL, 0) < 0 && errno == EINTR)
        ;
    close(r->answer);
    r->child = 0;
}

static struct answer look_up(const char *host, int port, int flags)
{
    struct answer a = {.count = 0};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    a.error = getaddrinfo(host, service, &hints, &found);
    for (struct addrinfo *i = found; i && a.count < RESOLVE_ADDRESSES_MAX; i = i->ai_next) {
        if (i->ai_addrlen > sizeof a.addresses[0].of)
            continue;
        a.addresses[a.count].len = i->ai_addrlen;
        memcpy(&a.addresses[a.count++].of, i->ai_addr, i->ai_addrlen);
    }
    if (found)
        freeaddrinfo(found);
    return a;
}

static int ask(struct resolve *r, const char *host, int port, struct errmsg *em)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return errmsg_set(em, ERR_IO, "can't look up a host name: pipe: %s", strerror(errno));
    r->child = fork();
    if (r->child == 0)
        be_child(host, port, ends[1]);
    int why = errno;
    close(ends[1]);
    if (r->child > 0) {
        r->answer = ends[0];
        return 0;
    }
    close(ends[0]);
    r->child = 0;
    return errmsg_set(em, ERR_IO, "can't look up a host name: fork: %s", strerror(why));
}

/* It keeps nothing of the parent's open, locks and links least of all, and does not outlive it. */
static _Noreturn void be_child(const char *host, int port, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDIN_FILENO);
    close_others();
    struct answer a = look_up(host, port, 0);
    bool written = write(STDIN_FILENO, &a, sizeof a) == (ssize_t)sizeof a;
    _exit(written ? 0 : 1);
}

/* All but the three that every process has; old kernels don't know the call. */
static void close_others(void)
{
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) == 0)
        return;
    long max = sysconf(_SC_OPEN_MAX);
    for (int fd = STDERR_FILENO + 1; fd < max; fd++)
        close(fd);
}

static int take(struct resolve *r, const struct answer *a, struct errmsg *em)
{
    if (a->error != 0 || a->count == 0)
        return errmsg_set(em, ERR_NOT_FOUND, "the host name can't be found: %s",
                          a->error ? gai_strerror(a->error) : "it has no address");
    r->count = a->count;
    memcpy(r->addresses, a->addresses, sizeof r->addresses);
    return 1;
}

bool resolve_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
