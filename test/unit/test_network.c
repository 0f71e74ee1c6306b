#include "agent/network.h"

#include "test/suite.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARD 5
#define ITS_BIT ((cards)1 << CARD)

/* Messages of the kernel, as rtnetlink(7) describes them. */
struct route_message {
    struct nlmsghdr h;
    struct rtmsg r;
    struct rtattr a;
    uint8_t to[16];
    struct rtattr b;
    uint32_t card;
};

struct link_message {
    struct nlmsghdr h;
    struct ifinfomsg i;
};

static struct route_message new_route(int family, const char *to)
{
    struct route_message m = {
        .h = {.nlmsg_len = sizeof m, .nlmsg_type = RTM_NEWROUTE},
        .r = {.rtm_family = (unsigned char)family,
              .rtm_table = RT_TABLE_MAIN,
              .rtm_type = RTN_UNICAST},
        .a = {.rta_len = sizeof m.a + sizeof m.to, .rta_type = RTA_DST},
        .b = {.rta_len = sizeof m.b + sizeof m.card, .rta_type = RTA_OIF},
        .card = CARD,
    };
    CU_ASSERT_EQUAL_FATAL(inet_pton(family, to, m.to), 1);
    return m;
}

static cards tells(const struct route_message *m)
{
    cards running = 0;
    return network_tells(span_of(m, sizeof *m), &running);
}

static void test_a_new_route_is_told(void)
{
    struct route_message v4 = new_route(AF_INET, "10.0.0.0"),
                         v6 = new_route(AF_INET6, "2001:db8::");
    struct route_message in_a_table = v4;
    in_a_table.r.rtm_table = RT_TABLE_COMPAT;
    CU_ASSERT_EQUAL(tells(&v4), ITS_BIT);
    CU_ASSERT_EQUAL(tells(&v6), ITS_BIT);
    CU_ASSERT_EQUAL(tells(&in_a_table), ITS_BIT);
}

static void test_a_route_over_many_cards_may_be_over_any(void)
{
    struct route_message m = new_route(AF_INET, "10.0.0.0");
    m.b.rta_type = RTA_MULTIPATH;
    CU_ASSERT_EQUAL(tells(&m), CARDS_ALL);
}

static void test_a_route_that_is_replaced_leads_elsewhere_unless_its_router_advertises_it(void)
{
    struct route_message v4 = new_route(AF_INET, "10.0.0.0"),
                         v6 = new_route(AF_INET6, "2001:db8::");
    v4.h.nlmsg_flags = v6.h.nlmsg_flags = NLM_F_REPLACE;
    CU_ASSERT_EQUAL(tells(&v4), ITS_BIT);
    CU_ASSERT_EQUAL(tells(&v6), CARDS_NONE);
}

static void test_what_leads_nowhere_new_is_not(void)
{
    struct route_message gone = new_route(AF_INET, "10.0.0.0"), own = gone, cached = gone,
                         refused = gone;
    struct route_message one_cable = new_route(AF_INET6, "fe80::");
    gone.h.nlmsg_type = RTM_DELROUTE;
    own.r.rtm_table = RT_TABLE_LOCAL;
    cached.r.rtm_flags = RTM_F_CLONED;
    refused.r.rtm_type = RTN_UNREACHABLE;
    CU_ASSERT_EQUAL(tells(&gone), 0);
    CU_ASSERT_EQUAL(tells(&own), 0);
    CU_ASSERT_EQUAL(tells(&cached), 0);
    CU_ASSERT_EQUAL(tells(&refused), 0);
    CU_ASSERT_EQUAL(tells(&one_cable), 0);
}

static void test_the_second_of_two_messages_is_read(void)
{
    struct route_message both[2] = {new_route(AF_INET6, "fe80::"), new_route(AF_INET, "10.0.0.0")};
    cards running = 0;
    CU_ASSERT_EQUAL(network_tells(span_of(both, sizeof both), &running), ITS_BIT);
    both[1].h.nlmsg_type = RTM_NEWADDR;
    CU_ASSERT_EQUAL(network_tells(span_of(both, sizeof both), &running), 0);
}

static cards card_says(int index, unsigned flags, cards *running)
{
    struct link_message m = {.h = {.nlmsg_len = sizeof m, .nlmsg_type = RTM_NEWLINK},
                             .i = {.ifi_index = index, .ifi_flags = flags}};
    return network_tells(span_of(&m, sizeof m), running);
}

/* A search for wireless networks is told with the same message. */
static void test_a_card_is_told_when_it_gets_a_signal_and_not_while_it_has_one(void)
{
    cards running = 0;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(card_says(CARD, IFF_UP, &running), 0);
        CU_ASSERT_EQUAL(card_says(CARD, IFF_UP | IFF_RUNNING, &running), ITS_BIT);
        CU_ASSERT_EQUAL(card_says(CARD, IFF_UP | IFF_RUNNING, &running), 0);
        CU_ASSERT_EQUAL(card_says(CARD + 1, IFF_UP, &running), 0);
    }
    CU_ASSERT_EQUAL(card_says(CARD + 63, IFF_UP | IFF_RUNNING, &running), 0);
    CU_ASSERT_EQUAL(running, ITS_BIT);
}

/* In memory of exactly that size, so that a byte read behind it is found. */
static void try_bytes(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len + !len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, bytes, len);
    cards running = 0;
    network_tells(span_of(copy, len), &running);
    free(copy);
}

static void test_cut_and_changed_messages_are_read_to_their_end_at_most(void)
{
    struct route_message route = new_route(AF_INET6, "fe80::");
    struct link_message link = {.h = {.nlmsg_len = sizeof link, .nlmsg_type = RTM_NEWLINK}};
    uint8_t bytes[sizeof route + sizeof link];
    memcpy(bytes, &link, sizeof link);
    memcpy(bytes + sizeof link, &route, sizeof route);
    for (size_t len = 0; len <= sizeof bytes; len++)
        try_bytes(bytes, len);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        try_bytes(bytes, sizeof bytes);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_the_kernel_may_be_listened_to_without_rights(void)
{
    struct network n, deaf = {.fd = -1};
    network_open(&n);
    CU_ASSERT_EQUAL(network_changed(&deaf), 0);
    if (n.fd < 0) /* an emulator or a jail may know no netlink: the agent does without */
        return;
    CU_ASSERT_EQUAL(network_changed(&n), 0);
    network_close(&n);
    network_close(&n);
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

static enum network_link look(int fd, cards changed)
{
    return network_look(&(struct pollfd){.fd = fd}, 1, changed);
}

/* From 127.0.0.2 to 127.0.0.1, where a new connection would come from 127.0.0.1 itself. */
static void test_a_connection_that_a_new_one_would_not_follow_is_gone(void)
{
    struct sockaddr_in door, own;
    int listener = bound_to("127.0.0.1", &door);
    int here = bound_to("127.0.0.1", &own), elsewhere = bound_to("127.0.0.2", &own);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 2), 0);
    CU_ASSERT_EQUAL(look(here, CARDS_ALL), NETWORK_GONE); /* nobody has answered it */
    CU_ASSERT_EQUAL(connect(here, (struct sockaddr *)&door, sizeof door), 0);
    CU_ASSERT_EQUAL(connect(elsewhere, (struct sockaddr *)&door, sizeof door), 0);
    CU_ASSERT_EQUAL(look(here, CARDS_ALL), NETWORK_SAME);
    CU_ASSERT_EQUAL(look(elsewhere, CARDS_ALL), NETWORK_GONE);
    struct pollfd all[] = {{.fd = -1}, {.fd = elsewhere}, {.fd = here}};
    CU_ASSERT_EQUAL(network_look(all, 3, CARDS_ALL), NETWORK_GONE);
    close(here);
    close(elsewhere);
    close(listener);
}

/* An emulator may not know the way; then it may be any. */
static void test_a_card_that_a_connection_does_not_use_is_none_of_its_concern(void)
{
    struct sockaddr_in door, own;
    cards loopback = (cards)1 << if_nametoindex("lo");
    int listener = bound_to("127.0.0.1", &door), here = bound_to("127.0.0.1", &own);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
    CU_ASSERT_EQUAL(connect(here, (struct sockaddr *)&door, sizeof door), 0);
    CU_ASSERT_EQUAL(look(here, loopback), NETWORK_SAME);
    enum network_link others = look(here, ~loopback);
    CU_ASSERT_TRUE(others == NETWORK_OTHER || getenv("QEMU_LD_PREFIX"));
    close(here);
    close(listener);
}

static void test_what_is_no_connection_is_passed_over(void)
{
    int pipes[2], pair[2];
    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CU_ASSERT_EQUAL(look(-1, CARDS_ALL), NETWORK_OTHER);
    CU_ASSERT_EQUAL(look(pipes[0], CARDS_ALL), NETWORK_OTHER);
    CU_ASSERT_EQUAL(look(pair[0], CARDS_ALL), NETWORK_OTHER);
    for (int i = 0; i < 2; i++) {
        close(pipes[i]);
        close(pair[i]);
    }
}

static const struct suite_test tests[] = {
    TEST(test_a_new_route_is_told),
    TEST(test_a_route_over_many_cards_may_be_over_any),
    TEST(test_a_route_that_is_replaced_leads_elsewhere_unless_its_router_advertises_it),
    TEST(test_what_leads_nowhere_new_is_not),
    TEST(test_the_second_of_two_messages_is_read),
    TEST(test_a_card_is_told_when_it_gets_a_signal_and_not_while_it_has_one),
    TEST(test_cut_and_changed_messages_are_read_to_their_end_at_most),
    TEST(test_the_kernel_may_be_listened_to_without_rights),
    TEST(test_a_connection_that_a_new_one_would_not_follow_is_gone),
    TEST(test_a_card_that_a_connection_does_not_use_is_none_of_its_concern),
    TEST(test_what_is_no_connection_is_passed_over),
};

SUITE_MAIN("network", tests)
