#include "manager/porter.h"

#include "base/log.h"
#include "base/span.h"
#include "manager/sources.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_LEN 8192
/* Others in the caller's loop get their turn. */
#define ACCEPTS_MAX 64
#define EVENTS_MAX 256
/* The door's line of ten is full, or the system has no descriptor left: look again. */
#define AGAIN_MS 1
#define SCAN_MS 1000
/* Refusals are told together, this often. */
#define TELL_MS 60000
/* In epoll's data, besides a connection's two ends. */
#define LISTENER UINT64_MAX

/* Bytes on their way in one direction. */
struct stream {
    size_t start, end;
    uint64_t carried;
    uint8_t bytes[BUFFER_LEN];
};

enum end { END_DEVICE, END_DOOR, ENDS };

struct connection {
    int fds[ENDS];          /* -1: the door doesn't take it yet */
    uint32_t watched[ENDS]; /* what epoll was told last */
    int source;
    uint64_t until_ms;
    bool door_closed;            /* what it said last is still to be carried */
    struct stream streams[ENDS]; /* by where the bytes come from */
};

struct porter {
    int epoll;
    int listener;
    bool listening; /* epoll watches the listener */
    struct sockaddr_un door;
    uint64_t now_ms;
    uint64_t again_ms; /* UINT64_MAX: nothing waits */
    size_t turn;       /* whose it is to try the door first */
    uint64_t scan_ms;
    uint64_t tell_ms;
    uint64_t told;
    struct porter_counters counters;
    size_t free_count;
    uint16_t free[PORTER_CONNECTIONS_MAX];
    struct sources sources;
    struct connection connections[PORTER_CONNECTIONS_MAX];
};

static const uint64_t BYTES_MAX[ENDS] = {
    [END_DEVICE] = PORTER_UP_BYTES_MAX,
    [END_DOOR] = PORTER_DOWN_BYTES_MAX,
};

static int open_descriptors(struct porter *p, const struct porter_options *o, struct errmsg *em);
static int listen_on(const char *host, int port, struct errmsg *em);
static void listen_more(struct porter *p, bool on);
static void accept_some(struct porter *p);
static void admit(struct porter *p, int fd, const struct sockaddr *from);
static void enter(struct porter *p, struct connection *c, int fd, int source);
static void try_door(struct porter *p, struct connection *c);
static void try_doors(struct porter *p);
static void carry(struct porter *p, struct connection *c, enum end from, uint32_t events);
static bool take_in(struct connection *c, enum end from);
static bool hand_out(struct connection *c, enum end from);
static void watch_ends(struct porter *p, struct connection *c);
static void close_connection(struct porter *p, struct connection *c);
static void cut(struct porter *p, struct connection *c);
static void scan(struct porter *p);
static void tell(struct porter *p);

struct porter *porter_new(const struct porter_options *options, struct errmsg *em)
{
    struct porter *p = calloc(1, sizeof *p);
    if (!p) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    struct source_limits limits = {
        .connects = {.per_minute = 60 * options->rate, .burst = options->rate * PORTER_BURST},
        .at_a_time = PORTER_SOURCE_CONNECTIONS_MAX};
    sources_init(&p->sources, &limits);
    for (size_t i = 0; i < PORTER_CONNECTIONS_MAX; i++) {
        p->connections[i].fds[END_DEVICE] = p->connections[i].fds[END_DOOR] = -1;
        p->free[p->free_count++] = (uint16_t)(PORTER_CONNECTIONS_MAX - 1 - i);
    }
    p->again_ms = UINT64_MAX;
    p->epoll = p->listener = -1;
    if (open_descriptors(p, options, em) < 0) {
        porter_free(p);
        return NULL;
    }
    return p;
}

void porter_free(struct porter *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < PORTER_CONNECTIONS_MAX; i++)
        if (p->connections[i].fds[END_DEVICE] >= 0)
            close_connection(p, &p->connections[i]);
    if (p->listener >= 0)
        close(p->listener);
    if (p->epoll >= 0)
        close(p->epoll);
    free(p);
}

static int open_descriptors(struct porter *p, const struct porter_options *o, struct errmsg *em)
{
    p->door.sun_family = AF_UNIX;
    int len = snprintf(p->door.sun_path, sizeof p->door.sun_path, "%s", o->door);
    if (len < 0 || (size_t)len >= sizeof p->door.sun_path)
        return errmsg_set(em, ERR_RANGE, "%s: the path is too long for a socket", o->door);
    p->listener = listen_on(o->host, o->port, em);
    if (p->listener < 0)
        return p->listener;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll < 0)
        return errmsg_set(em, ERR_IO, "cannot watch port %d: %s", o->port, strerror(errno));
    listen_more(p, true);
    return 0;
}

static int listen_on(const char *host, int port, struct errmsg *em)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed)
        return errmsg_set(em, ERR_NOT_FOUND, "cannot listen on %s: %s", host, gai_strerror(failed));
    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool done = bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0;
    int reason = errno;
    freeaddrinfo(found);
    if (done)
        return fd;
    if (fd >= 0)
        close(fd);
    return errmsg_set(em, reason == EADDRINUSE ? ERR_BUSY : ERR_IO,
                      "cannot listen on %s port %d, where devices join: %s", host, port,
                      strerror(reason));
}

static void listen_more(struct porter *p, bool on)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = LISTENER};
    if (p->listening != on)
        epoll_ctl(p->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->listener, &ev);
    p->listening = on;
}

/* ---- the poll loop ---- */

int porter_descriptor(const struct porter *p)
{
    return p->epoll;
}

uint64_t porter_deadline_ms(const struct porter *p)
{
    return p->again_ms;
}

struct porter_counters porter_counters(const struct porter *p)
{
    struct porter_counters c = p->counters;
    c.open = PORTER_CONNECTIONS_MAX - p->free_count;
    return c;
}

/* A connection that one event closes may have another event in the same batch: by then its
 * descriptors are -1, and nobody new has its place, since those come last. */
void porter_service(struct porter *p, uint64_t now_ms)
{
    struct epoll_event events[EVENTS_MAX];
    bool knocks = false;
    p->now_ms = now_ms;
    int count = epoll_wait(p->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        uint64_t which = events[i].data.u64;
        knocks |= which == LISTENER;
        if (which != LISTENER)
            carry(p, &p->connections[which / ENDS], (enum end)(which % ENDS), events[i].events);
    }
    if (now_ms >= p->again_ms)
        try_doors(p);
    if (knocks)
        accept_some(p);
    if (now_ms >= p->scan_ms)
        scan(p);
}

/* ---- coming in ---- */

static void accept_some(struct porter *p)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(p->listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(p, fd, (struct sockaddr *)&from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            listen_more(p, false); /* else the descriptor would stay readable */
            p->again_ms = p->now_ms + AGAIN_MS;
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

static void admit(struct porter *p, int fd, const struct sockaddr *from)
{
    int source = p->free_count > 0 ? sources_admit(&p->sources, from, p->now_ms) : ERR_BUSY;
    if (source >= 0) {
        p->counters.accepted++;
        enter(p, &p->connections[p->free[--p->free_count]], fd, source);
        return;
    }
    if (source == ERR_REFUSED)
        p->counters.refused_source++;
    else
        p->counters.refused_full++;
    close(fd);
}

static void enter(struct porter *p, struct connection *c, int fd, int source)
{
    c->fds[END_DEVICE] = fd;
    c->fds[END_DOOR] = -1;
    c->watched[END_DEVICE] = c->watched[END_DOOR] = 0;
    c->source = source;
    c->until_ms = p->now_ms + PORTER_SECONDS_MAX * 1000ull;
    c->door_closed = false;
    for (int i = 0; i < ENDS; i++)
        c->streams[i].start = c->streams[i].end = c->streams[i].carried = 0;
    /* Short records go both ways, one after the other: none may wait for another's acknowledgement.
     */
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (p->again_ms == UINT64_MAX)
        try_door(p, c); /* else others were here before */
}

static void try_door(struct porter *p, struct connection *c)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&p->door, sizeof p->door) == 0) {
        c->fds[END_DOOR] = fd;
        watch_ends(p, c);
        return;
    }
    bool later = errno == EAGAIN || errno == EMFILE || errno == ENFILE;
    if (fd >= 0)
        close(fd);
    if (later)
        p->again_ms = p->now_ms + AGAIN_MS;
    else
        close_connection(p, c); /* the broker isn't there: the device tries again */
}

/* Goes on where it had to stop: with the first place first, those behind would never come through
 * when many knock. */
static void try_doors(struct porter *p)
{
    p->again_ms = UINT64_MAX;
    listen_more(p, true);
    for (size_t i = 0; i < PORTER_CONNECTIONS_MAX; i++) {
        struct connection *c = &p->connections[p->turn];
        if (c->fds[END_DEVICE] >= 0 && c->fds[END_DOOR] < 0)
            try_door(p, c);
        if (p->again_ms != UINT64_MAX)
            return;
        p->turn = (p->turn + 1) % PORTER_CONNECTIONS_MAX;
    }
}

/* ---- carrying ---- */

static void carry(struct porter *p, struct connection *c, enum end from, uint32_t events)
{
    enum end to = from == END_DEVICE ? END_DOOR : END_DEVICE;
    if (c->fds[from] < 0 || c->fds[to] < 0)
        return;
    bool open = true;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        open = take_in(c, from);
    /* Nobody is there any more to take what the device still said. */
    if (c->door_closed)
        c->streams[END_DEVICE].start = c->streams[END_DEVICE].end = 0;
    if (open || from == END_DOOR)
        open = hand_out(c, END_DEVICE) && hand_out(c, END_DOOR);
    bool said_all = c->streams[END_DOOR].start == c->streams[END_DOOR].end;
    if (!open || (c->door_closed && said_all))
        close_connection(p, c);
    else if (c->streams[from].carried > BYTES_MAX[from])
        cut(p, c);
    else
        watch_ends(p, c);
}

/* False when the device is gone. The door's last words are still carried. */
static bool take_in(struct connection *c, enum end from)
{
    struct stream *s = &c->streams[from];
    if (s->end == BUFFER_LEN)
        return true;
    ssize_t n = read(c->fds[from], s->bytes + s->end, BUFFER_LEN - s->end);
    if (n > 0) {
        s->end += (size_t)n;
        s->carried += (uint64_t)n;
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    c->door_closed = from == END_DOOR;
    return c->door_closed;
}

static bool hand_out(struct connection *c, enum end from)
{
    struct stream *s = &c->streams[from];
    int to = c->fds[from == END_DEVICE ? END_DOOR : END_DEVICE];
    if (s->start == s->end)
        return true;
    ssize_t n = send(to, s->bytes + s->start, s->end - s->start, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    s->start += (size_t)n;
    if (s->start == s->end)
        s->start = s->end = 0;
    return true;
}

/* An end is read while there is room for what it says, and written to while there is something. */
static void watch_ends(struct porter *p, struct connection *c)
{
    for (int end = 0; end < ENDS; end++) {
        const struct stream *in = &c->streams[end], *out = &c->streams[1 - end];
        bool closed = end == END_DOOR && c->door_closed;
        uint32_t wanted = (in->end < BUFFER_LEN && !closed ? (uint32_t)EPOLLIN : 0) |
                          (out->start < out->end ? (uint32_t)EPOLLOUT : 0);
        struct epoll_event ev = {.events = wanted,
                                 .data.u64 = (uint64_t)(c - p->connections) * ENDS + (uint64_t)end};
        bool fresh = c->watched[end] == 0;
        if (wanted == c->watched[end])
            continue;
        epoll_ctl(p->epoll,
                  fresh         ? EPOLL_CTL_ADD
                  : wanted == 0 ? EPOLL_CTL_DEL
                                : EPOLL_CTL_MOD,
                  c->fds[end], &ev);
        c->watched[end] = wanted;
    }
}

/* ---- going ---- */

static void close_connection(struct porter *p, struct connection *c)
{
    for (int end = 0; end < ENDS; end++) {
        if (c->fds[end] >= 0)
            close(c->fds[end]);
        c->fds[end] = -1;
    }
    sources_leave(&p->sources, c->source);
    p->free[p->free_count++] = (uint16_t)(c - p->connections);
}

static void cut(struct porter *p, struct connection *c)
{
    p->counters.cut++;
    close_connection(p, c);
}

static void scan(struct porter *p)
{
    p->scan_ms = p->now_ms + SCAN_MS;
    for (size_t i = 0; i < PORTER_CONNECTIONS_MAX; i++)
        if (p->connections[i].fds[END_DEVICE] >= 0 && p->now_ms >= p->connections[i].until_ms)
            cut(p, &p->connections[i]);
    if (p->now_ms >= p->tell_ms)
        tell(p);
}

static void tell(struct porter *p)
{
    const struct porter_counters *c = &p->counters;
    uint64_t refused = c->refused_source + c->refused_full + c->cut;
    p->tell_ms = p->now_ms + TELL_MS;
    if (refused > p->told)
        log_event(LOG_WARN, "joins-limited", "by-source=%llu full=%llu cut=%llu",
                  (unsigned long long)c->refused_source, (unsigned long long)c->refused_full,
                  (unsigned long long)c->cut);
    p->told = refused;
}
