#include "sync/bridge.h"

#include "base/file.h"
#include "sync/packets.h"
#include "sync/resolve.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "bridge.sock"
/* Of each direction; a TLS record of the broker's is read in a few pieces. */
#define FLOW_MAX 4096
#define HOST_MAX 255

enum stage {
    STAGE_RESOLVING,
    STAGE_CONNECTING,
    STAGE_GREETING, /* the TLS handshake */
    STAGE_FLOWING,
    STAGE_DRAINING, /* the broker's side has ended; what came from it is still to be passed on */
    STAGE_OVER,
};

/* Bytes on their way: `len` of them from `start` on. */
struct flow {
    size_t start, len;
    uint8_t bytes[FLOW_MAX];
};

struct bridge {
    char host[HOST_MAX + 1];
    struct key_id authorities[TLS_AUTHORITIES_MAX];
    uint8_t certificate[CERTIFICATE_MAX];
    struct secret_key key;
    struct tls_options tls_options;
    char folder[FILE_PATH_MAX];
    size_t packet_max;

    enum stage stage;
    struct resolve lookup;
    size_t next_address;
    uint64_t connect_by_ms;
    int remote, local;
    struct tls *tls;
    struct flow up, down; /* to the broker, from it */
    struct packets packets;
    struct errmsg reason;
    int code; /* of the TLS connection's end; 0: another, or none */
};

/* What bridge_join hands through. */
struct meeting {
    struct bridge *bridge;
    int (*reach)(void *context, const char *name);
    void *context;
    struct errmsg *em;
};

static void copy_tls(struct bridge *b, const struct tls_options *o);
static int meet(void *meeting);
static void stop(struct bridge *b, int code);
static int open_door(struct errmsg *em);
static int let_in(int door, struct errmsg *em);
static bool is_us(int fd);

static bool step(struct bridge *b, uint64_t now_ms);
static void resolve_step(struct bridge *b, uint64_t now_ms);
static void connect_next(struct bridge *b, uint64_t now_ms);
static int connect_to(const struct resolve_address *a, struct errmsg *em);
static void connect_step(struct bridge *b, uint64_t now_ms);
static void connected(struct bridge *b);
static void greet_step(struct bridge *b);
static bool flow_step(struct bridge *b);
static bool fill_up(struct bridge *b);
static bool empty_up(struct bridge *b);
static bool fill_down(struct bridge *b);
static bool empty_down(struct bridge *b);
static void end(struct bridge *b);
static void hang_up(struct bridge *b);

/* ---- making, joining, freeing ---- */

struct bridge *bridge_new(const struct bridge_options *o, uint64_t now_ms)
{
    struct bridge *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    snprintf(b->host, sizeof b->host, "%s", o->host);
    snprintf(b->folder, sizeof b->folder, "%s", o->folder);
    b->packet_max = o->packet_max;
    b->remote = b->local = -1;
    copy_tls(b, o->tls);
    int rv = resolve_start(&b->lookup, b->host, o->port, now_ms, &b->reason);
    if (rv < 0)
        b->stage = STAGE_DRAINING;
    if (rv == 1)
        connect_next(b, now_ms);
    return b;
}

/* A connection may outlive what it was made with. */
static void copy_tls(struct bridge *b, const struct tls_options *o)
{
    assert(o->authority_count <= TLS_AUTHORITIES_MAX && o->certificate.len <= CERTIFICATE_MAX);
    b->tls_options = *o;
    memcpy(b->authorities, o->authorities, o->authority_count * sizeof *o->authorities);
    b->tls_options.authorities = b->authorities;
    if (o->certificate.len == 0)
        return;
    memcpy(b->certificate, o->certificate.data, o->certificate.len);
    b->tls_options.certificate.data = b->certificate;
    b->key = *o->key;
    b->tls_options.key = &b->key;
}

void bridge_free(struct bridge *b)
{
    if (!b)
        return;
    resolve_cancel(&b->lookup);
    hang_up(b);
    if (b->local >= 0)
        close(b->local);
    explicit_bzero(b, sizeof *b);
    free(b);
}

int bridge_join(struct bridge *b, int (*reach)(void *context, const char *name), void *context,
                struct errmsg *em)
{
    struct meeting m = {.bridge = b, .reach = reach, .context = context, .em = em};
    return file_inside(b->folder, meet, &m, em);
}

static int meet(void *meeting)
{
    struct meeting *m = meeting;
    int door = open_door(m->em);
    if (door < 0)
        return door;
    int rv = m->reach(m->context, SOCKET_NAME);
    int local = rv < 0 ? rv : let_in(door, m->em);
    unlink(SOCKET_NAME);
    close(door);
    if (local < 0)
        return local;
    m->bridge->local = local;
    return 0;
}

/* What lies there is of a process that was killed in here. */
static int open_door(struct errmsg *em)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
    int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(SOCKET_NAME);
    if (door >= 0 && fchmod(door, 0600) == 0 &&
        bind(door, (struct sockaddr *)&address, sizeof address) == 0 && listen(door, 1) == 0)
        return door;
    int rv = errmsg_set(em, ERR_IO, "can't open a socket of our own: %s", strerror(errno));
    if (door >= 0)
        close(door);
    return rv;
}

static int let_in(int door, struct errmsg *em)
{
    int fd;
    while ((fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        if (is_us(fd))
            return fd;
        close(fd);
    }
    return errmsg_set(em, ERR_IO, "can't reach a socket of our own: %s", strerror(errno));
}

static bool is_us(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == getpid();
}

/* ---- the poll loop ---- */

void bridge_watch(const struct bridge *b, struct pollfd fds[static BRIDGE_FDS])
{
    struct pollfd *remote = &fds[0], *local = &fds[1];
    *remote = (struct pollfd){.fd = b->remote};
    *local = (struct pollfd){.fd = b->local};
    switch (b->stage) {
    case STAGE_RESOLVING:
        remote->fd = resolve_descriptor(&b->lookup);
        remote->events = POLLIN;
        break;
    case STAGE_CONNECTING:
        remote->events = POLLOUT;
        break;
    case STAGE_GREETING:
        remote->events = tls_events(b->tls);
        break;
    case STAGE_FLOWING:
        remote->events = (short)((b->down.len < FLOW_MAX ? POLLIN : 0) | (b->up.len ? POLLOUT : 0));
        local->events = (short)((b->up.len < FLOW_MAX ? POLLIN : 0) | (b->down.len ? POLLOUT : 0));
        break;
    case STAGE_DRAINING:
        local->events = POLLOUT;
        break;
    case STAGE_OVER:
        break;
    }
    /* A side that has hung up shows that even to those who ask for nothing. */
    for (int i = 0; i < BRIDGE_FDS; i++)
        if (fds[i].events == 0)
            fds[i].fd = -1;
}

void bridge_service(struct bridge *b, uint64_t now_ms)
{
    while (step(b, now_ms))
        ;
}

/* True when there may be more to do. */
static bool step(struct bridge *b, uint64_t now_ms)
{
    enum stage before = b->stage;
    switch (b->stage) {
    case STAGE_RESOLVING:
        resolve_step(b, now_ms);
        break;
    case STAGE_CONNECTING:
        connect_step(b, now_ms);
        break;
    case STAGE_GREETING:
        greet_step(b);
        break;
    case STAGE_FLOWING:
        return flow_step(b) || b->stage != before;
    case STAGE_DRAINING:
        empty_down(b);
        if (b->down.len == 0)
            end(b);
        break;
    case STAGE_OVER:
        break;
    }
    return b->stage != before;
}

const char *bridge_reason(const struct bridge *b)
{
    return b->stage == STAGE_OVER || b->stage == STAGE_DRAINING ? b->reason.text : NULL;
}

int bridge_code(const struct bridge *b)
{
    return b->code;
}

bool bridge_resumed(const struct bridge *b)
{
    return b->tls && tls_resumed(b->tls);
}

const char *bridge_tls_version(const struct bridge *b)
{
    return b->tls ? tls_version(b->tls) : NULL;
}

/* ---- reaching the broker ---- */

static void resolve_step(struct bridge *b, uint64_t now_ms)
{
    int rv = resolve_look(&b->lookup, now_ms, &b->reason);
    if (rv < 0)
        b->stage = STAGE_DRAINING;
    if (rv == 1)
        connect_next(b, now_ms);
}

/* The reason of the last failure stays when there is no further address. */
static void connect_next(struct bridge *b, uint64_t now_ms)
{
    hang_up(b);
    b->stage = STAGE_DRAINING;
    while (b->remote < 0 && b->next_address < b->lookup.count)
        b->remote = connect_to(&b->lookup.addresses[b->next_address++], &b->reason);
    if (b->remote < 0)
        return;
    b->connect_by_ms = now_ms + BRIDGE_CONNECT_MS_MAX;
    b->stage = STAGE_CONNECTING;
}

/* A socket that is being connected, or ERR_IO. */
static int connect_to(const struct resolve_address *a, struct errmsg *em)
{
    int fd = socket(a->of.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (connect(fd, &a->of.any, a->len) == 0 || errno == EINPROGRESS))
        return fd;
    int rv = errmsg_set(em, ERR_IO, "%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return rv;
}

static void connect_step(struct bridge *b, uint64_t now_ms)
{
    struct pollfd shows = {.fd = b->remote, .events = POLLOUT};
    int failure = ETIMEDOUT;
    socklen_t len = sizeof failure;
    bool decided = poll(&shows, 1, 0) > 0;
    if (!decided && now_ms < b->connect_by_ms)
        return;
    if (decided && getsockopt(b->remote, SOL_SOCKET, SO_ERROR, &failure, &len) < 0)
        failure = errno;
    if (failure == 0) {
        connected(b);
        return;
    }
    errmsg_set(&b->reason, ERR_IO, "%s", strerror(failure));
    connect_next(b, now_ms);
}

static void connected(struct bridge *b)
{
    int on = 1;
    setsockopt(b->remote, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    b->tls = tls_new(&b->tls_options, b->remote, &b->reason);
    b->stage = b->tls ? STAGE_GREETING : STAGE_DRAINING;
}

static void greet_step(struct bridge *b)
{
    int rv = tls_handshake(b->tls, &b->reason);
    if (rv < 0)
        stop(b, rv);
    else if (rv == 1)
        b->stage = STAGE_FLOWING;
}

/* ---- passing on ---- */

/* True when anything moved. Reading comes first: a broker that says why it closes is heard before
 * writing to it fails. */
static bool flow_step(struct bridge *b)
{
    bool moved = fill_down(b);
    moved |= empty_down(b);
    if (b->stage != STAGE_FLOWING)
        return false;
    moved |= fill_up(b);
    moved |= empty_up(b);
    return moved;
}

static struct span front(const struct flow *f)
{
    return span_of(f->bytes + f->start, f->len);
}

static void advance(struct flow *f, size_t n)
{
    f->start += n;
    f->len -= n;
}

/* Where the next bytes go: behind those that wait, which move to the front. */
static struct buffer room(struct flow *f)
{
    if (f->start > 0)
        memmove(f->bytes, f->bytes + f->start, f->len);
    f->start = 0;
    return (struct buffer){.data = f->bytes, .len = f->len, .cap = FLOW_MAX};
}

static bool fill_up(struct bridge *b)
{
    struct buffer r = room(&b->up);
    if (b->local < 0 || r.len == r.cap)
        return false;
    ssize_t n = recv(b->local, r.data + r.len, r.cap - r.len, 0);
    if (n <= 0)
        return false;
    b->up.len += (size_t)n;
    return true;
}

static bool empty_up(struct bridge *b)
{
    if (b->up.len == 0)
        return false;
    int n = tls_write(b->tls, front(&b->up), &b->reason);
    if (n < 0)
        stop(b, n);
    if (n > 0)
        advance(&b->up, (size_t)n);
    return n > 0;
}

static bool fill_down(struct bridge *b)
{
    struct buffer r = room(&b->down);
    if (r.len == r.cap)
        return false;
    int n = tls_read(b->tls, r.data + r.len, r.cap - r.len, &b->reason);
    struct span came = span_of(r.data + r.len, n > 0 ? (size_t)n : 0);
    if (n < 0)
        stop(b, n);
    else if (packets_follow(&b->packets, came, (uint32_t)b->packet_max, &b->reason) < 0)
        stop(b, ERR_RANGE);
    else
        b->down.len += (size_t)n;
    return n > 0 && b->stage == STAGE_FLOWING;
}

/* A library that has closed its side takes nothing more. */
static bool empty_down(struct bridge *b)
{
    if (b->down.len == 0)
        return false;
    struct span s = front(&b->down);
    ssize_t n = b->local < 0 ? -1 : send(b->local, s.data, s.len, MSG_NOSIGNAL);
    if (n < 0 && (b->local < 0 || (errno != EAGAIN && errno != EINTR)))
        advance(&b->down, s.len);
    if (n > 0)
        advance(&b->down, (size_t)n);
    return n > 0;
}

/* Nothing more comes from the broker, or goes there. */
static void stop(struct bridge *b, int code)
{
    b->code = code;
    b->stage = STAGE_DRAINING;
}

/* The library reads what is left in its socket, and then that nothing follows. */
static void end(struct bridge *b)
{
    b->stage = STAGE_OVER;
    hang_up(b);
    if (b->local >= 0)
        shutdown(b->local, SHUT_WR);
}

/* To TLS this is a proper end; to MQTT it is one only when a DISCONNECT came before. */
static void hang_up(struct bridge *b)
{
    if (b->tls)
        tls_say_goodbye(b->tls);
    tls_free(b->tls);
    b->tls = NULL;
    if (b->remote >= 0)
        close(b->remote);
    b->remote = -1;
}
