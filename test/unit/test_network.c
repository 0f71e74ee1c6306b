#include "agent/network.h"

#include "test/suite.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One message of the kernel, as rtnetlink(7) describes it. */
struct message {
    struct nlmsghdr h;
    struct rtmsg r;
    struct rtattr a;
    uint8_t to[16];
};

static struct message new_route(int family, const char *to)
{
    struct message m = {
        .h = {.nlmsg_len = sizeof m, .nlmsg_type = RTM_NEWROUTE},
        .r = {.rtm_family = (unsigned char)family,
              .rtm_table = RT_TABLE_MAIN,
              .rtm_type = RTN_UNICAST},
        .a = {.rta_len = sizeof m.a + sizeof m.to, .rta_type = RTA_DST},
    };
    CU_ASSERT_EQUAL_FATAL(inet_pton(family, to, m.to), 1);
    return m;
}

static bool tells(const struct message *m)
{
    return network_tells(span_of(m, sizeof *m));
}

static void test_a_new_route_is_told(void)
{
    struct message v4 = new_route(AF_INET, "10.0.0.0"), v6 = new_route(AF_INET6, "2001:db8::");
    struct message in_a_table = v4;
    in_a_table.r.rtm_table = RT_TABLE_COMPAT;
    CU_ASSERT_TRUE(tells(&v4));
    CU_ASSERT_TRUE(tells(&v6));
    CU_ASSERT_TRUE(tells(&in_a_table));
}

static void test_what_leads_nowhere_new_is_not(void)
{
    struct message gone = new_route(AF_INET, "10.0.0.0"), own = gone, cached = gone, refused = gone;
    struct message one_cable = new_route(AF_INET6, "fe80::");
    gone.h.nlmsg_type = RTM_DELROUTE;
    own.r.rtm_table = RT_TABLE_LOCAL;
    cached.r.rtm_flags = RTM_F_CLONED;
    refused.r.rtm_type = RTN_UNREACHABLE;
    CU_ASSERT_FALSE(tells(&gone));
    CU_ASSERT_FALSE(tells(&own));
    CU_ASSERT_FALSE(tells(&cached));
    CU_ASSERT_FALSE(tells(&refused));
    CU_ASSERT_FALSE(tells(&one_cable));
}

static void test_the_second_of_two_messages_is_read(void)
{
    struct message both[2] = {new_route(AF_INET6, "fe80::"), new_route(AF_INET, "10.0.0.0")};
    CU_ASSERT_TRUE(network_tells(span_of(both, sizeof both)));
    both[1].h.nlmsg_type = RTM_NEWLINK;
    CU_ASSERT_FALSE(network_tells(span_of(both, sizeof both)));
}

/* In memory of exactly that size, so that a byte read behind it is found. */
static void try_bytes(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len + !len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, bytes, len);
    network_tells(span_of(copy, len));
    free(copy);
}

static void test_cut_and_changed_messages_are_read_to_their_end_at_most(void)
{
    struct message m = new_route(AF_INET6, "fe80::");
    uint8_t bytes[sizeof m];
    for (size_t len = 0; len <= sizeof m; len++)
        try_bytes(&m, len);
    for (size_t bit = 0; bit < 8 * sizeof m; bit++) {
        memcpy(bytes, &m, sizeof m);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        try_bytes(bytes, sizeof bytes);
    }
}

static void test_the_kernel_may_be_listened_to_without_rights(void)
{
    int fd = network_watch();
    CU_ASSERT_FALSE(network_changed(-1));
    if (fd < 0) /* an emulator or a jail may know no netlink: the agent does without */
        return;
    CU_ASSERT_FALSE(network_changed(fd));
    close(fd);
}

/* ---- connections ---- */

static int bound_to(const char *host, struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET};
    inet_pton(AF_INET, host, &at->sin_addr);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    getsockname(fd, (struct sockaddr *)at, &len);
    return fd;
}

static bool moved(int fd)
{
    return network_moved(&(struct pollfd){.fd = fd}, 1);
}

/* From 127.0.0.2 to 127.0.0.1, where a new connection would come from 127.0.0.1 itself. */
static void test_a_connection_that_a_new_one_would_not_follow_has_moved(void)
{
    struct sockaddr_in door, own;
    int listener = bound_to("127.0.0.1", &door);
    int here = bound_to("127.0.0.1", &own), elsewhere = bound_to("127.0.0.2", &own);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 2), 0);
    CU_ASSERT_TRUE(moved(here)); /* nobody has answered it */
    CU_ASSERT_EQUAL(connect(here, (struct sockaddr *)&door, sizeof door), 0);
    CU_ASSERT_EQUAL(connect(elsewhere, (struct sockaddr *)&door, sizeof door), 0);
    CU_ASSERT_FALSE(moved(here));
    CU_ASSERT_TRUE(moved(elsewhere));
    close(here);
    close(elsewhere);
    close(listener);
}

static void test_what_is_no_connection_has_not(void)
{
    int pipes[2], pair[2];
    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CU_ASSERT_FALSE(moved(-1));
    CU_ASSERT_FALSE(moved(pipes[0]));
    CU_ASSERT_FALSE(moved(pair[0]));
    for (int i = 0; i < 2; i++) {
        close(pipes[i]);
        close(pair[i]);
    }
}

static const struct suite_test tests[] = {
    TEST(test_a_new_route_is_told),
    TEST(test_what_leads_nowhere_new_is_not),
    TEST(test_the_second_of_two_messages_is_read),
    TEST(test_cut_and_changed_messages_are_read_to_their_end_at_most),
    TEST(test_the_kernel_may_be_listened_to_without_rights),
    TEST(test_a_connection_that_a_new_one_would_not_follow_has_moved),
    TEST(test_what_is_no_connection_has_not),
};

SUITE_MAIN("network", tests)
