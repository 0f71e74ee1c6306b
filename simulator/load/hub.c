#include "simulator/load/hub.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS_MAX 512

static int start(struct line *l, const struct sockaddr_in *to, in_addr_t from);
static void watch(struct hub *h, struct line *l, int what, uint32_t events);
static void forget(struct line *l);
static void lose(struct hub *h, struct line *l, const char *reason);
static struct buffer *speak(struct hub *h, struct line *l, size_t room);
static uint16_t next_id(struct line *l);
static void handle(struct hub *h, struct line *l, uint32_t events);
static void finish_opening(struct hub *h, struct line *l);
static void shake_hands(struct hub *h, struct line *l);
static void greet(struct hub *h, struct line *l);
static size_t put(struct line *l, struct span bytes);
static ssize_t get(struct line *l, uint8_t *out, size_t cap, struct errmsg *why);
static void drain(struct hub *h, struct line *l);
static void keep(struct hub *h, struct line *l, struct span bytes);
static bool take_in(struct hub *h, struct line *l);
static size_t hand_on(struct hub *h, struct line *l, struct span bytes);
static void note_answer(struct line *l, const struct packet *p);
static bool keep_rest(struct line *l, struct span rest);

int hub_init(struct hub *h, const struct hub_handler *handler, struct errmsg *em)
{
    h->handler = *handler;
    h->speaker = NULL;
    h->out = buffer_on(h->out_room, sizeof h->out_room);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    return h->epoll < 0 ? errmsg_set(em, ERR_IO, "no epoll: %s", strerror(errno)) : 0;
}

void hub_close(struct hub *h)
{
    if (h->epoll >= 0)
        close(h->epoll);
    h->epoll = -1;
}

int hub_listen(struct hub *h, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? ERR_IO : 0;
}

/* ---- opening and closing ---- */

void line_open(struct hub *h, struct line *l, const struct sockaddr_in *to, in_addr_t from)
{
    *l = (struct line){.state = LINE_OPENING};
    if (start(l, to, from) < 0)
        lose(h, l, strerror(errno));
    else
        watch(h, l, EPOLL_CTL_ADD, EPOLLOUT);
}

void line_open_path(struct hub *h, struct line *l, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *l = (struct line){.state = LINE_OPENING, .fd_plus = fd + 1};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        lose(h, l, strerror(errno));
    else
        watch(h, l, EPOLL_CTL_ADD, EPOLLOUT);
}

/* The port is chosen with the connection, so that one source address has as many for each broker.
 */
static int start(struct line *l, const struct sockaddr_in *to, in_addr_t from)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_IO;
    l->fd_plus = fd + 1;
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = from};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (from != 0 && bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
        return ERR_IO;
    bool begun = connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 || errno == EINPROGRESS;
    return begun ? 0 : ERR_IO;
}

static void watch(struct hub *h, struct line *l, int what, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = l};
    epoll_ctl(h->epoll, what, l->fd_plus - 1, &ev);
}

/* With a reset: nothing of it stays in the kernel, however many are cut at once. */
void line_cut(struct hub *h, struct line *l)
{
    struct linger at_once = {.l_onoff = 1};
    if (h->speaker == l)
        h->speaker = NULL;
    if (l->fd_plus > 0) {
        setsockopt(l->fd_plus - 1, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(l->fd_plus - 1);
    }
    forget(l);
}

static void forget(struct line *l)
{
    tls_free(l->tls);
    free(l->in);
    free(l->out);
    *l = (struct line){0};
}

void line_leave(struct hub *h, struct line *l)
{
    if (l->state == LINE_UP)
        packet_put_bare(speak(h, l, 2), PACKET_DISCONNECT);
    hub_flush(h);
    if (l->tls)
        tls_say_goodbye(l->tls);
    if (l->fd_plus > 0)
        shutdown(l->fd_plus - 1, SHUT_WR);
    if (l->fd_plus > 0)
        close(l->fd_plus - 1);
    forget(l);
}

static void lose(struct hub *h, struct line *l, const char *reason)
{
    h->counters.lost += l->state == LINE_UP;
    line_cut(h, l);
    h->handler.down(h->handler.context, l, reason);
}

/* ---- speaking ---- */

void line_greet(struct hub *h, struct line *l, const struct packet_connect *c)
{
    packet_put_connect(speak(h, l, HUB_OUT / 2), c);
}

void line_publish(struct hub *h, struct line *l, const char *topic, struct span payload,
                  bool retain)
{
    struct buffer *out = speak(h, l, payload.len + 256);
    h->counters.published++;
    packet_put_publish(out, next_id(l), topic, payload, retain);
}

void line_subscribe(struct hub *h, struct line *l, const char *const *topics, size_t count,
                    uint8_t qos)
{
    struct buffer *out = speak(h, l, HUB_OUT / 2);
    packet_put_subscribe(out, next_id(l), topics, count, qos);
}

void line_unsubscribe(struct hub *h, struct line *l, const char *const *topics, size_t count)
{
    struct buffer *out = speak(h, l, HUB_OUT / 2);
    packet_put_unsubscribe(out, next_id(l), topics, count);
}

void line_ping(struct hub *h, struct line *l)
{
    packet_put_bare(speak(h, l, 2), PACKET_PINGREQ);
}

/* Where the next packet is appended: what one connection says in a turn goes out together. */
static struct buffer *speak(struct hub *h, struct line *l, size_t room)
{
    if (h->speaker != l || h->out.cap - h->out.len < room)
        hub_flush(h);
    h->speaker = l;
    h->counters.packets_out++;
    return &h->out;
}

static uint16_t next_id(struct line *l)
{
    l->id = l->id == UINT16_MAX ? 1 : (uint16_t)(l->id + 1);
    l->open++;
    return l->id;
}

void hub_flush(struct hub *h)
{
    struct line *l = h->speaker;
    struct span bytes = span_buffer(&h->out);
    h->speaker = NULL;
    h->out.len = 0;
    if (!l || l->fd_plus == 0 || bytes.len == 0)
        return;
    h->counters.bytes_out += bytes.len;
    size_t done = l->out_len == 0 ? put(l, bytes) : 0;
    if (done < bytes.len)
        keep(h, l, span_of(bytes.data + done, bytes.len - done));
}

/* How much of it has gone. An error shows when epoll says so. */
static size_t put(struct line *l, struct span bytes)
{
    struct errmsg why;
    size_t done = 0;
    int rv = 1;
    if (!l->tls) {
        ssize_t sent = send(l->fd_plus - 1, bytes.data, bytes.len, MSG_NOSIGNAL);
        return sent > 0 ? (size_t)sent : 0;
    }
    while (done < bytes.len && rv > 0) {
        rv = tls_write(l->tls, span_of(bytes.data + done, bytes.len - done), &why);
        done += rv > 0 ? (size_t)rv : 0;
    }
    return done;
}

static void keep(struct hub *h, struct line *l, struct span bytes)
{
    size_t len = l->out_len + bytes.len;
    uint8_t *more = len <= HUB_BACKLOG_MAX ? realloc(l->out, len) : NULL;
    if (!more)
        return; /* the broker misses an acknowledgement, and so does whoever waits for it */
    memcpy(more + l->out_len, bytes.data, bytes.len);
    l->out = more;
    l->out_len = (uint32_t)len;
    if (!l->stuck)
        watch(h, l, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    l->stuck = true;
}

/* ---- the loop ---- */

bool hub_service(struct hub *h, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    bool other = false;
    hub_flush(h);
    int count = epoll_wait(h->epoll, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < count; i++) {
        struct line *l = events[i].data.ptr;
        other |= !l;
        if (l && l->fd_plus > 0)
            handle(h, l, events[i].events);
    }
    hub_flush(h);
    return other;
}

static void handle(struct hub *h, struct line *l, uint32_t events)
{
    if (l->state == LINE_OPENING) {
        finish_opening(h, l);
        return;
    }
    if (l->state == LINE_SECURING) {
        shake_hands(h, l);
        return;
    }
    int fd_plus = l->fd_plus;
    if (events & EPOLLOUT)
        drain(h, l);
    bool more = l->fd_plus > 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR);
    while (more && l->fd_plus == fd_plus)
        more = take_in(h, l) && l->tls; /* what TLS has read ahead, epoll knows nothing of */
}

static void finish_opening(struct hub *h, struct line *l)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(l->fd_plus - 1, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        lose(h, l, strerror(error));
        return;
    }
    const struct tls_options *o =
        h->handler.secure ? h->handler.secure(h->handler.context, l) : NULL;
    struct errmsg why;
    if (!o) {
        greet(h, l);
        return;
    }
    l->state = LINE_SECURING;
    l->tls = tls_new(o, l->fd_plus - 1, &why);
    if (l->tls)
        shake_hands(h, l);
    else
        lose(h, l, why.text);
}

static void shake_hands(struct hub *h, struct line *l)
{
    struct errmsg why;
    int rv = tls_handshake(l->tls, &why);
    if (rv < 0)
        lose(h, l, why.text);
    else if (rv == 0)
        watch(h, l, EPOLL_CTL_MOD, (uint32_t)tls_events(l->tls)); /* poll's names are epoll's */
    else
        greet(h, l);
}

static void greet(struct hub *h, struct line *l)
{
    l->state = LINE_GREETING;
    watch(h, l, EPOLL_CTL_MOD, EPOLLIN);
    h->handler.opened(h->handler.context, l);
}

static void drain(struct hub *h, struct line *l)
{
    size_t done = put(l, span_of(l->out, l->out_len));
    if (done == 0)
        return;
    l->out_len -= (uint32_t)done;
    memmove(l->out, l->out + done, l->out_len);
    if (l->out_len > 0)
        return;
    free(l->out);
    l->out = NULL;
    l->stuck = false;
    watch(h, l, EPOLL_CTL_MOD, EPOLLIN);
}

/* What came before as the beginning of a packet goes in front. False: there is no more. */
static bool take_in(struct hub *h, struct line *l)
{
    struct errmsg why;
    size_t start = l->in_len;
    if (start > 0)
        memcpy(h->in_room, l->in, start);
    ssize_t got = get(l, h->in_room + start, sizeof h->in_room - start, &why);
    if (got < 0)
        lose(h, l, why.text);
    if (got <= 0)
        return false;
    h->counters.bytes_in += (uint64_t)got;
    int fd_plus = l->fd_plus;
    struct span bytes = span_of(h->in_room, start + (size_t)got);
    size_t used = hand_on(h, l, bytes);
    if (used == SIZE_MAX)
        lose(h, l, "the broker sent what is no packet");
    else if (l->fd_plus == fd_plus && !keep_rest(l, span_of(bytes.data + used, bytes.len - used)))
        lose(h, l, "out of memory");
    return true;
}

/* 0: nothing has come. */
static ssize_t get(struct line *l, uint8_t *out, size_t cap, struct errmsg *why)
{
    if (l->tls)
        return tls_read(l->tls, out, cap, why);
    ssize_t got = recv(l->fd_plus - 1, out, cap, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return errmsg_set(why, ERR_IO, "%s", got == 0 ? "the broker closed it" : strerror(errno));
    return got;
}

/* How many bytes were whole packets; SIZE_MAX: something else. A handler may end the connection. */
static size_t hand_on(struct hub *h, struct line *l, struct span bytes)
{
    size_t at = 0;
    int fd_plus = l->fd_plus;
    while (l->fd_plus == fd_plus && at < bytes.len) {
        struct packet p;
        int len = packet_read(span_of(bytes.data + at, bytes.len - at), &p);
        if (len < 0)
            return SIZE_MAX;
        if (len == 0)
            return at;
        at += (size_t)len;
        h->counters.packets_in++;
        h->counters.received += p.type == PACKET_PUBLISH;
        note_answer(l, &p);
        if (p.type == PACKET_PUBLISH && p.qos)
            packet_put_puback(speak(h, l, 4), p.id);
        h->handler.packet(h->handler.context, l, &p);
    }
    return at;
}

static void note_answer(struct line *l, const struct packet *p)
{
    bool answer =
        p->type == PACKET_PUBACK || p->type == PACKET_SUBACK || p->type == PACKET_UNSUBACK;
    if (answer && l->open > 0)
        l->open--;
    if (p->type == PACKET_CONNACK && p->code == 0)
        l->state = LINE_UP;
}

static bool keep_rest(struct line *l, struct span rest)
{
    if (rest.len == 0) {
        free(l->in);
        l->in = NULL;
        l->in_len = 0;
        return true;
    }
    uint8_t *room = realloc(l->in, rest.len);
    if (!room)
        return false;
    memcpy(room, rest.data, rest.len);
    l->in = room;
    l->in_len = (uint32_t)rest.len;
    return true;
}
