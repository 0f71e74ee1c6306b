#include "simulator/load/packet.h"
#include "test/suite.h"

#include <stdlib.h>

/* As in MQTT 3.1.1's own figures, and as Mosquitto takes them in test_hub. */
static const uint8_t CONNECT[] = {0x10, 31, 0, 4,   'M', 'Q', 'T', 'T', 4,   0x0e, 0,
                                  60,   0,  3, 'a', 'b', 'c', 0,   4,   'd', 'l',  '1',
                                  '/',  0,  8, 'g', 'o', 'n', 'e', '-', '-', '-',  '-'};

static struct buffer fresh(uint8_t *room, size_t cap)
{
    memset(room, 0xa5, cap);
    return buffer_on(room, cap);
}

static void test_a_connect_says_who_and_what_to_say_for_it(void)
{
    uint8_t room[64];
    struct buffer out = fresh(room, sizeof room);
    struct packet_connect c = {
        .client_id = "abc", .keepalive_s = 60, .will_topic = "dl1/", .will = span_text("gone----")};
    CU_ASSERT_EQUAL(packet_put_connect(&out, &c), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_of(CONNECT, sizeof CONNECT)));
}

static void test_a_publication_is_read_as_it_was_written(void)
{
    uint8_t room[64];
    struct packet p;
    struct buffer out = fresh(room, sizeof room);
    CU_ASSERT_EQUAL(packet_put_publish(&out, 0x1234, "a/b", span_text("payload"), true), 0);
    CU_ASSERT_EQUAL(packet_read(span_buffer(&out), &p), (int)out.len);
    CU_ASSERT_EQUAL(p.type, PACKET_PUBLISH);
    CU_ASSERT_EQUAL(p.qos, 1);
    CU_ASSERT_EQUAL(p.id, 0x1234);
    CU_ASSERT_TRUE(p.retained);
    CU_ASSERT_TRUE(span_equal(p.topic, span_text("a/b")));
    CU_ASSERT_TRUE(span_equal(p.payload, span_text("payload")));
}

static void test_requests_have_the_forms_of_the_standard(void)
{
    static const uint8_t subscribe[] = {0x82, 8, 0, 7, 0, 3, 'a', '/', 'b', 1};
    static const uint8_t unsubscribe[] = {0xa2, 7, 0, 8, 0, 3, 'a', '/', 'b'};
    static const uint8_t rest[] = {0x40, 2, 0, 9, 0xc0, 0, 0xe0, 0};
    uint8_t room[64];
    const char *topic = "a/b";
    struct buffer out = fresh(room, sizeof room);
    packet_put_subscribe(&out, 7, &topic, 1, 1);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_of(subscribe, sizeof subscribe)));
    out.len = 0;
    packet_put_unsubscribe(&out, 8, &topic, 1);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_of(unsubscribe, sizeof unsubscribe)));
    out.len = 0;
    packet_put_puback(&out, 9);
    packet_put_bare(&out, PACKET_PINGREQ);
    packet_put_bare(&out, PACKET_DISCONNECT);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_of(rest, sizeof rest)));
}

static void test_what_does_not_fit_is_not_begun(void)
{
    uint8_t room[64];
    struct buffer whole = fresh(room, sizeof room);
    packet_put_publish(&whole, 1, "a/b", span_text("payload"), false);
    for (size_t cap = 0; cap < whole.len; cap++) {
        uint8_t less[64];
        struct buffer out = fresh(less, cap);
        out.cap = cap;
        CU_ASSERT_EQUAL(packet_put_publish(&out, 1, "a/b", span_text("payload"), false),
                        ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(out.len, 0);
    }
}

/* Reads from memory of exactly that length, so that a sanitizer sees a byte too many. */
static int read_exactly(const uint8_t *bytes, size_t len)
{
    struct packet p;
    uint8_t *copy = malloc(len + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy + 1, bytes, len);
    int rv = packet_read(span_of(copy + 1, len), &p);
    free(copy);
    return rv;
}

static void test_every_prefix_asks_for_more(void)
{
    uint8_t room[512], payload[300] = {0};
    struct buffer out = fresh(room, sizeof room);
    packet_put_publish(&out, 1, "a/b", span_of(payload, sizeof payload), false);
    for (size_t len = 0; len < out.len; len++)
        CU_ASSERT_EQUAL(read_exactly(out.data, len), 0);
    CU_ASSERT_EQUAL(read_exactly(out.data, out.len), (int)out.len);
}

/* Whatever comes of them, no byte behind the end is looked at. */
static void test_every_flipped_bit_is_survived(void)
{
    static const uint8_t good[] = {0x20, 2, 1, 0,   0x90, 3,   0, 7, 0,   0x32,
                                   9,    0, 3, 'a', '/',  'b', 0, 1, 'x', 'y'};
    for (size_t i = 0; i < 8 * sizeof good; i++) {
        uint8_t bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[i / 8] ^= (uint8_t)(1u << i % 8);
        for (size_t at = 0; at < sizeof bad;) {
            int len = read_exactly(bad + at, sizeof bad - at);
            if (len <= 0)
                break;
            at += (size_t)len;
            CU_ASSERT_TRUE(at <= sizeof bad);
        }
    }
}

static void test_what_no_broker_may_say_is_refused(void)
{
    static const uint8_t endless[] = {0x30, 0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t huge[] = {0x30, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t twice[] = {0x34, 4, 0, 0, 0, 1};
    static const uint8_t connect[] = {0x10, 0};
    static const uint8_t topicless[] = {0x30, 3, 0, 9, 'a'};
    CU_ASSERT_EQUAL(read_exactly(endless, sizeof endless), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_exactly(huge, sizeof huge), ERR_RANGE);
    CU_ASSERT_EQUAL(read_exactly(twice, sizeof twice), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_exactly(connect, sizeof connect), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_exactly(topicless, sizeof topicless), ERR_FORMAT);
}

static const struct suite_test tests[] = {
    TEST(test_a_connect_says_who_and_what_to_say_for_it),
    TEST(test_a_publication_is_read_as_it_was_written),
    TEST(test_requests_have_the_forms_of_the_standard),
    TEST(test_what_does_not_fit_is_not_begun),
    TEST(test_every_prefix_asks_for_more),
    TEST(test_every_flipped_bit_is_survived),
    TEST(test_what_no_broker_may_say_is_refused),
};

SUITE_MAIN("packet", tests)
