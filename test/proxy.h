/*
 * proxy: a TCP proxy in a process of its own that writes down what passes between a client and a
 * server, and can meddle with it. It knows nothing of what the bytes mean.
 */
#ifndef DUNLIN_TEST_PROXY_H
#define DUNLIN_TEST_PROXY_H

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first bytes of each direction that are kept. */
#define PROXY_KEPT_MAX 65536
/* So much is passed on at once on a slow link, and so seldom. */
#define PROXY_TRICKLE 100
#define PROXY_TRICKLE_US 20000

enum proxy_way { PROXY_UP, PROXY_DOWN, PROXY_WAYS }; /* to the server, from it */

/* One direction of all connections since proxy_clear. */
struct proxy_flow {
    volatile size_t bytes;
    uint8_t kept[PROXY_KEPT_MAX];
    volatile size_t flip_at; /* this byte's lowest bit is flipped; SIZE_MAX: none is */
};

/* Shared with the process that runs it; a test may look and set at any time. */
struct proxy {
    pid_t pid;
    int port; /* where clients connect to on the loopback */
    int server_port;
    struct proxy_flow flows[PROXY_WAYS];
    volatile unsigned connections;
    volatile bool stalled;  /* takes connections and passes nothing on */
    volatile bool trickles; /* passes on a few bytes at a time */
    volatile bool cut;      /* closes the connection there is */
};

static inline void proxy_must(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    abort();
}

static inline struct sockaddr_in proxy_address(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* False when this side has nothing more to say. */
static inline bool proxy_pass(struct proxy *p, enum proxy_way way, int from, int to)
{
    static uint8_t piece[16384];
    struct proxy_flow *f = &p->flows[way];
    ssize_t n = recv(from, piece, p->trickles ? PROXY_TRICKLE : sizeof piece, 0);
    for (ssize_t i = 0; i < n; i++, f->bytes++) {
        if (f->bytes == f->flip_at)
            piece[i] ^= 1;
        if (f->bytes < PROXY_KEPT_MAX)
            f->kept[f->bytes] = piece[i];
    }
    for (ssize_t done = 0, sent = 0; done < n; done += sent)
        if ((sent = send(to, piece + done, (size_t)(n - done), MSG_NOSIGNAL)) <= 0)
            return false;
    return n > 0;
}

static inline void proxy_connection(struct proxy *p, int client)
{
    struct sockaddr_in address = proxy_address(p->server_port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = connect(server, (struct sockaddr *)&address, sizeof address) == 0;
    p->cut = false;
    while (open && !p->cut) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
        poll(fds, 2, 20);
        if (p->stalled)
            continue;
        if (p->trickles)
            usleep(PROXY_TRICKLE_US);
        if (fds[0].revents)
            open = proxy_pass(p, PROXY_UP, client, server);
        if (open && fds[1].revents)
            open = proxy_pass(p, PROXY_DOWN, server, client);
    }
    close(server);
    close(client);
}

/* One connection after another. */
static inline void proxy_run(struct proxy *p, int listener)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        p->connections++;
        if (client >= 0)
            proxy_connection(p, client);
    }
}

static inline void proxy_clear(struct proxy *p)
{
    for (int i = 0; i < PROXY_WAYS; i++) {
        p->flows[i].bytes = 0;
        p->flows[i].flip_at = SIZE_MAX;
    }
    p->connections = 0;
}

/* In front of a server on the loopback. */
static inline struct proxy *proxy_start(int server_port)
{
    struct sockaddr_in address = proxy_address(0);
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    void *shared =
        mmap(NULL, sizeof(struct proxy), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    proxy_must(shared != MAP_FAILED, "mmap");
    proxy_must(bind(listener, (struct sockaddr *)&address, len) == 0, "bind");
    proxy_must(listen(listener, 16) == 0, "listen");
    proxy_must(getsockname(listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
    struct proxy *p = shared;
    p->port = ntohs(address.sin_port);
    p->server_port = server_port;
    proxy_clear(p);
    pid_t pid = fork();
    if (pid == 0)
        proxy_run(p, listener);
    proxy_must(pid > 0, "fork");
    p->pid = pid;
    close(listener);
    return p;
}

static inline void proxy_stop(struct proxy *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    munmap(p, sizeof *p);
}

#endif
