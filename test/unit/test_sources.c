#include "manager/sources.h"

#include "test/suite.h"

#include <arpa/inet.h>
#include <string.h>

static const struct source_limits LIMITS = {.connects = {.per_minute = 60 * 10, .burst = 20},
                                            .at_a_time = 1000};
static struct sources table;

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union address address(const char *text)
{
    union address a = {.v4 = {.sin_family = AF_INET}};
    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
        return a;
    a = (union address){.v6 = {.sin6_family = AF_INET6}};
    CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
    return a;
}

static int admit(const char *text, uint64_t now_ms)
{
    union address a = address(text);
    return sources_admit(&table, &a.any, now_ms);
}

/* How many of so many that knock at once are let in, and leave again. */
static unsigned let_in(const char *text, unsigned count, uint64_t now_ms)
{
    unsigned in = 0;
    for (unsigned i = 0; i < count; i++) {
        int place = admit(text, now_ms);
        if (place < 0)
            continue;
        in++;
        sources_leave(&table, place);
    }
    return in;
}

static void test_burst_then_rate(void)
{
    sources_init(&table, &LIMITS);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 1000), 20);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 1099), 0);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 1100), 1);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 2100), 10);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 3600000), 20); /* a long silence is worth no more */
}

/* Knocking all the time doesn't keep the bucket from filling. */
static void test_refused_tries_cost_nothing(void)
{
    sources_init(&table, &LIMITS);
    let_in("192.0.2.1", 20, 1000);
    unsigned in = 0;
    for (uint64_t now = 1001; now <= 3000; now++)
        in += let_in("192.0.2.1", 1, now);
    CU_ASSERT_EQUAL(in, 20);
}

static void test_one_source_does_not_cost_another(void)
{
    sources_init(&table, &LIMITS);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 1000), 20);
    CU_ASSERT_EQUAL(let_in("192.0.2.2", 50, 1000), 20);
    CU_ASSERT_EQUAL(let_in("2001:db8::1", 50, 1000), 20);
}

static void test_an_ipv6_network_is_one_source(void)
{
    sources_init(&table, &LIMITS);
    CU_ASSERT_EQUAL(let_in("2001:db8:0:1::1", 50, 1000), 20);
    CU_ASSERT_EQUAL(let_in("2001:db8:0:1:ffff::2", 50, 1000), 0);
    CU_ASSERT_EQUAL(let_in("2001:db8:0:2::1", 50, 1000), 20);
}

static void test_an_ipv4_address_is_the_same_over_ipv6(void)
{
    sources_init(&table, &LIMITS);
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 1000), 20);
    CU_ASSERT_EQUAL(let_in("::ffff:192.0.2.1", 50, 1000), 0);
    CU_ASSERT_EQUAL(let_in("::ffff:192.0.2.2", 50, 1000), 20);
}

static void test_open_connections_are_bounded(void)
{
    sources_init(&table, &(struct source_limits){
                             .connects = {.per_minute = 60 * 100, .burst = 1000}, .at_a_time = 3});
    int places[3];
    for (int i = 0; i < 3; i++)
        places[i] = admit("192.0.2.1", 1000);
    CU_ASSERT_EQUAL(admit("192.0.2.1", 1000), ERR_REFUSED);
    CU_ASSERT_EQUAL(admit("192.0.2.1", 9000), ERR_REFUSED);
    sources_leave(&table, places[1]);
    CU_ASSERT_EQUAL(admit("192.0.2.1", 9000), places[1]);
}

static void test_forgiven_tries_cost_nothing_and_the_first_is_known(void)
{
    sources_init(&table, &(struct source_limits){.connects = {.per_minute = 60 * 1, .burst = 3},
                                                 .at_a_time = 1});
    for (int i = 0; i < 100; i++) {
        int place = admit("192.0.2.1", 1000);
        CU_ASSERT_TRUE_FATAL(place >= 0);
        CU_ASSERT_TRUE(sources_was_full(&table, place));
        sources_forgive(&table, place);
        sources_leave(&table, place);
    }
    for (int i = 0; i < 3; i++) {
        int place = admit("192.0.2.1", 1000);
        CU_ASSERT_TRUE_FATAL(place >= 0);
        CU_ASSERT_EQUAL(sources_was_full(&table, place), i == 0);
        sources_leave(&table, place);
    }
    CU_ASSERT_EQUAL(admit("192.0.2.1", 1000), ERR_REFUSED);
}

static union address numbered(uint32_t n)
{
    return (union address){.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + n)}};
}

/* Whoever comes from everywhere pushes out who is silent, but nobody who is inside. */
static void test_more_sources_than_the_table_holds(void)
{
    sources_init(&table, &LIMITS);
    int inside = admit("192.0.2.1", 1000);
    for (uint32_t i = 0; i < 20 * SOURCES_MAX; i++) {
        union address a = numbered(i);
        int place = sources_admit(&table, &a.any, 2000 + i);
        CU_ASSERT_TRUE_FATAL(place >= 0 && place != inside);
        sources_leave(&table, place);
    }
    CU_ASSERT_EQUAL(let_in("192.0.2.1", 50, 2000), 20); /* it is full again, and still one entry */
    CU_ASSERT_EQUAL(admit("192.0.2.1", 4000), inside);
}

static void test_no_room_when_all_places_are_taken(void)
{
    sources_init(&table, &LIMITS);
    unsigned in = 0, full = 0;
    for (uint32_t i = 0; i < 4 * SOURCES_MAX; i++) {
        union address a = numbered(i);
        int place = sources_admit(&table, &a.any, 1000);
        in += place >= 0;
        full += place == ERR_BUSY;
    }
    CU_ASSERT_EQUAL(in + full, 4 * SOURCES_MAX);
    CU_ASSERT_TRUE(in > SOURCES_MAX * 9 / 10 && in <= SOURCES_MAX);
}

static const struct suite_test tests[] = {
    TEST(test_burst_then_rate),
    TEST(test_refused_tries_cost_nothing),
    TEST(test_one_source_does_not_cost_another),
    TEST(test_an_ipv6_network_is_one_source),
    TEST(test_an_ipv4_address_is_the_same_over_ipv6),
    TEST(test_open_connections_are_bounded),
    TEST(test_forgiven_tries_cost_nothing_and_the_first_is_known),
    TEST(test_more_sources_than_the_table_holds),
    TEST(test_no_room_when_all_places_are_taken),
};

SUITE_MAIN("sources", tests)
