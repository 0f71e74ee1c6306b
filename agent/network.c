#include "agent/network.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel's own limit for what it sends at once is a page; what is longer is cut, and counts. */
#define READ_MAX 4096
/* Messages that are read at once: a flood of them is no reason to do nothing else. */
#define READS_MAX 16

/* A message's kind and what it is about, and behind it the attributes. */
struct message {
    int type, flags;
    struct span body;
};

/* What is asked of the kernel: the way to a host. */
struct question {
    struct nlmsghdr h;
    struct rtmsg r;
    struct rtattr a;
    uint8_t to[16];
};

static bool next_message(struct span *messages, struct message *out);
static cards way_out(const struct message *m);
static bool is_of_one_cable(int family, struct span attributes);
static cards new_signal(struct span link, cards *running);
static cards card_of(struct span attributes);
static struct span attribute(struct span attributes, int type);
static enum network_link look_at(int fd, cards changed);
static bool finds_way(const struct sockaddr_storage *peer, socklen_t peer_len,
                      struct sockaddr_storage *from);
static cards card_to(const struct sockaddr_storage *peer);
static ssize_t ask(const struct question *q, uint8_t answer[static READ_MAX]);
static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* The kernel pads what it puts behind one another. */
static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

static void skip(struct span *s, size_t len)
{
    size_t step = len < s->len ? len : s->len;
    *s = span_of(s->data + step, s->len - step);
}

static cards card(uint32_t index)
{
    return (cards)1 << index % 63;
}

void network_open(struct network *n)
{
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                 .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    *n = (struct network){
        .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)};
    if (n->fd >= 0 && bind(n->fd, (struct sockaddr *)&groups, sizeof groups) < 0)
        network_close(n);
}

void network_close(struct network *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

/* ENOBUFS: so much has happened that the kernel could not keep it for us. */
cards network_changed(struct network *n)
{
    uint8_t room[READ_MAX];
    cards changed = 0;
    for (int i = 0; i < READS_MAX && n->fd >= 0; i++) {
        ssize_t len = recv(n->fd, room, sizeof room, 0);
        if (len < 0 && errno != ENOBUFS)
            break;
        changed |= len < 0 ? CARDS_ALL : network_tells(span_of(room, (size_t)len), &n->running);
    }
    return changed;
}

/* ---- what the kernel tells ---- */

cards network_tells(struct span messages, cards *running)
{
    cards changed = 0;
    struct message m;
    while (next_message(&messages, &m)) {
        if (m.type == RTM_NEWROUTE)
            changed |= way_out(&m);
        if (m.type == RTM_NEWLINK)
            changed |= new_signal(m.body, running);
    }
    return changed;
}

/* False at the end. What is cut counts as far as it has come. */
static bool next_message(struct span *messages, struct message *out)
{
    struct nlmsghdr h;
    if (messages->len < sizeof h)
        return false;
    memcpy(&h, messages->data, sizeof h);
    if (h.nlmsg_len < sizeof h)
        return false;
    size_t len = h.nlmsg_len < messages->len ? h.nlmsg_len : messages->len;
    *out = (struct message){
        .type = h.nlmsg_type,
        .flags = h.nlmsg_flags,
        .body = span_of(messages->data + sizeof h, len - sizeof h),
    };
    skip(messages, padded(len));
    return true;
}

/* Of IPv6 a route is replaced by itself at each advertisement of its router, which is no news. */
static cards way_out(const struct message *m)
{
    struct rtmsg r;
    struct span route = m->body;
    if (route.len < sizeof r)
        return 0;
    memcpy(&r, route.data, sizeof r);
    skip(&route, sizeof r);
    bool leads_out = r.rtm_type == RTN_UNICAST && r.rtm_table != RT_TABLE_LOCAL &&
                     !(r.rtm_flags & RTM_F_CLONED) && !is_of_one_cable(r.rtm_family, route);
    bool refreshed = r.rtm_family == AF_INET6 && m->flags & NLM_F_REPLACE;
    return !leads_out ? 0 : refreshed ? CARDS_NONE : card_of(route);
}

/* fe80::/10 comes with every card, and says nothing of what it leads to. */
static bool is_of_one_cable(int family, struct span attributes)
{
    struct span to = attribute(attributes, RTA_DST);
    return family == AF_INET6 && to.len >= 2 && to.data[0] == 0xfe && (to.data[1] & 0xc0) == 0x80;
}

/* The kernel tells of a card whenever anything about it is another, or a search for wireless
 * networks is over: only what becomes of its signal counts. */
static cards new_signal(struct span link, cards *running)
{
    struct ifinfomsg i;
    if (link.len < sizeof i)
        return 0;
    memcpy(&i, link.data, sizeof i);
    cards one = card((uint32_t)i.ifi_index), before = *running;
    bool runs = i.ifi_flags & IFF_RUNNING;
    *running = runs ? before | one : before & ~one;
    return *running & ~before;
}

/* Where a route has many cards, or none, it may be any. */
static cards card_of(struct span attributes)
{
    uint32_t index = 0;
    struct span value = attribute(attributes, RTA_OIF);
    if (value.len == sizeof index)
        memcpy(&index, value.data, sizeof index);
    return index ? card(index) : CARDS_ALL;
}

/* The value of the first one of that type; SPAN_NONE where there is none. */
static struct span attribute(struct span attributes, int type)
{
    struct rtattr a;
    while (attributes.len >= sizeof a) {
        memcpy(&a, attributes.data, sizeof a);
        if (a.rta_len < sizeof a || a.rta_len > attributes.len)
            break;
        if (a.rta_type == type)
            return span_of(attributes.data + sizeof a, a.rta_len - sizeof a);
        skip(&attributes, padded(a.rta_len));
    }
    return SPAN_NONE;
}

/* ---- connections ---- */

enum network_link network_look(const struct pollfd *fds, size_t count, cards changed)
{
    enum network_link worst = NETWORK_OTHER;
    for (size_t i = 0; i < count; i++) {
        enum network_link one = fds[i].fd >= 0 ? look_at(fds[i].fd, changed) : NETWORK_OTHER;
        worst = one > worst ? one : worst;
    }
    return worst;
}

static enum network_link look_at(int fd, cards changed)
{
    struct sockaddr_storage peer = {0}, own = {0}, now = {0};
    socklen_t peer_len = sizeof peer, own_len = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
        (own.ss_family != AF_INET && own.ss_family != AF_INET6))
        return NETWORK_OTHER;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
        return errno == ENOTCONN ? NETWORK_GONE : NETWORK_OTHER;
    if (!finds_way(&peer, peer_len, &now))
        return NETWORK_OTHER;
    if (!same_host(&own, &now))
        return NETWORK_GONE;
    return card_to(&peer) & changed ? NETWORK_SAME : NETWORK_OTHER;
}

/* Gives the address that it begins at. A datagram's socket is given its way when it is connected,
 * and nothing is sent. */
static bool finds_way(const struct sockaddr_storage *peer, socklen_t peer_len,
                      struct sockaddr_storage *from)
{
    socklen_t len = sizeof *from;
    int probe = socket(peer->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = probe >= 0 && connect(probe, (const struct sockaddr *)peer, peer_len) == 0 &&
                 getsockname(probe, (struct sockaddr *)from, &len) == 0;
    if (probe >= 0)
        close(probe);
    return found;
}

/* CARDS_ALL where the kernel doesn't say: of an address with a scope for example, or when it is
 * none of Linux's own. */
static cards card_to(const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;
    struct span to = peer->ss_family == AF_INET ? span_of(&v4->sin_addr, sizeof v4->sin_addr)
                                                : span_of(&v6->sin6_addr, sizeof v6->sin6_addr);
    struct question q = {
        .h = {.nlmsg_len = (uint32_t)(offsetof(struct question, to) + to.len),
              .nlmsg_type = RTM_GETROUTE,
              .nlmsg_flags = NLM_F_REQUEST},
        .r = {.rtm_family = (unsigned char)peer->ss_family,
              .rtm_dst_len = (unsigned char)(8 * to.len)},
        .a = {.rta_type = RTA_DST, .rta_len = (unsigned short)(sizeof q.a + to.len)},
    };
    uint8_t answer[READ_MAX];
    struct message m;
    memcpy(q.to, to.data, to.len);
    ssize_t len = ask(&q, answer);
    struct span messages = span_of(answer, len > 0 ? (size_t)len : 0);
    if (!next_message(&messages, &m) || m.type != RTM_NEWROUTE)
        return CARDS_ALL;
    skip(&m.body, sizeof q.r);
    return card_of(m.body);
}

/* The kernel answers before send returns, or not at all. */
static ssize_t ask(const struct question *q, uint8_t answer[static READ_MAX])
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    ssize_t len = fd < 0 ? -1 : send(fd, q, q->h.nlmsg_len, 0);
    if (len > 0)
        len = recv(fd, answer, READ_MAX, MSG_DONTWAIT);
    if (fd >= 0)
        close(fd);
    return len;
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    if (a->ss_family == AF_INET)
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}
