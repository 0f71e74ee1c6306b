#include "agent/network.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel's own limit for what it sends at once is a page; what is longer is cut, and counts. */
#define READ_MAX 4096
/* Messages that are read at once: a flood of them is no reason to do nothing else. */
#define READS_MAX 16

static bool is_way_out(struct span route);
static bool is_of_one_cable(int family, struct span attributes);
static bool has_moved(int fd);
static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* The kernel pads what it puts behind one another. */
static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

int network_watch(void)
{
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                 .nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&groups, sizeof groups) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ENOBUFS: so much has happened that the kernel could not keep it for us. */
bool network_changed(int descriptor)
{
    uint8_t room[READ_MAX];
    bool changed = false;
    for (int i = 0; i < READS_MAX && descriptor >= 0; i++) {
        ssize_t n = recv(descriptor, room, sizeof room, 0);
        if (n < 0 && errno != ENOBUFS)
            break;
        changed |= n < 0 || network_tells(span_of(room, (size_t)n));
    }
    return changed;
}

bool network_tells(struct span messages)
{
    struct nlmsghdr h;
    while (messages.len >= sizeof h) {
        memcpy(&h, messages.data, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > messages.len)
            return false;
        if (h.nlmsg_type == RTM_NEWROUTE &&
            is_way_out(span_of(messages.data + sizeof h, h.nlmsg_len - sizeof h)))
            return true;
        size_t step = padded(h.nlmsg_len) < messages.len ? padded(h.nlmsg_len) : messages.len;
        messages = span_of(messages.data + step, messages.len - step);
    }
    return false;
}

static bool is_way_out(struct span route)
{
    struct rtmsg r;
    if (route.len < sizeof r)
        return false;
    memcpy(&r, route.data, sizeof r);
    return r.rtm_type == RTN_UNICAST && r.rtm_table != RT_TABLE_LOCAL &&
           !(r.rtm_flags & RTM_F_CLONED) &&
           !is_of_one_cable(r.rtm_family, span_of(route.data + sizeof r, route.len - sizeof r));
}

/* fe80::/10 comes with every card, and says nothing of what it leads to. */
static bool is_of_one_cable(int family, struct span attributes)
{
    struct rtattr a;
    while (family == AF_INET6 && attributes.len >= sizeof a) {
        memcpy(&a, attributes.data, sizeof a);
        if (a.rta_len < sizeof a || a.rta_len > attributes.len)
            return false;
        const uint8_t *value = attributes.data + sizeof a;
        if (a.rta_type == RTA_DST && a.rta_len >= sizeof a + 2)
            return value[0] == 0xfe && (value[1] & 0xc0) == 0x80;
        size_t step = padded(a.rta_len) < attributes.len ? padded(a.rta_len) : attributes.len;
        attributes = span_of(attributes.data + step, attributes.len - step);
    }
    return false;
}

bool network_moved(const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd >= 0 && has_moved(fds[i].fd))
            return true;
    return false;
}

/* A datagram's socket is given its way when it is connected, and nothing is sent. */
static bool has_moved(int fd)
{
    struct sockaddr_storage peer = {0}, own = {0}, now = {0};
    socklen_t peer_len = sizeof peer, own_len = sizeof own, now_len = sizeof now;
    if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
        (own.ss_family != AF_INET && own.ss_family != AF_INET6))
        return false;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
        return errno == ENOTCONN;
    int probe = socket(peer.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool moved = probe >= 0 && connect(probe, (struct sockaddr *)&peer, peer_len) == 0 &&
                 getsockname(probe, (struct sockaddr *)&now, &now_len) == 0 &&
                 !same_host(&own, &now);
    if (probe >= 0)
        close(probe);
    return moved;
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    if (a->ss_family == AF_INET)
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}
