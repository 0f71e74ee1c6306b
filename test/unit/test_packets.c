#include "sync/packets.h"

#include "test/suite.h"

#define BODY_MAX 1000

static struct errmsg em;

/* Follows the bytes in pieces; the first error, or 0. */
static int follow(const void *bytes, size_t len, size_t piece)
{
    struct packets p = {0};
    int rv = 0;
    em.text[0] = '\0';
    for (size_t at = 0; at < len && rv == 0; at += piece)
        rv = packets_follow(
            &p, span_of((const uint8_t *)bytes + at, len - at < piece ? len - at : piece), BODY_MAX,
            &em);
    return rv;
}

static void check(const char *bytes, size_t len, int want)
{
    for (size_t piece = 1; piece <= len; piece++)
        CU_ASSERT_EQUAL(follow(bytes, len, piece), want);
}

#define CHECK(bytes, want) check(bytes, sizeof(bytes) - 1, want)

static void test_what_a_broker_says_to_us_passes(void)
{
    CHECK("\x20\x02\x00\x00", 0);                                         /* CONNACK */
    CHECK("\x90\x04\x00\x01\x00\x01\xb0\x02\x00\x01\x40\x02\x00\x02", 0); /* acknowledgements */
    CHECK("\xd0\x00\xd0\x00", 0);                                         /* PINGRESP */
    CHECK("\x30\x03\x00\x01t\x31\x03\x00\x01t\x32\x05\x00\x01t\x00\x01", 0);
    CHECK("\x30\x83\x00\x00\x01t\xd0\x00", 0); /* a length longer than it need be */
}

static void test_longest_message_passes_and_a_longer_one_does_not(void)
{
    static uint8_t bytes[BODY_MAX + 5] = {0x30, 0x80 | (BODY_MAX & 127), BODY_MAX >> 7};
    bytes[BODY_MAX + 3] = 0xd0;
    for (size_t piece = 1; piece < sizeof bytes; piece += 100)
        CU_ASSERT_EQUAL(follow(bytes, sizeof bytes, piece), 0);
    bytes[1]++;
    CU_ASSERT_EQUAL(follow(bytes, 3, 1), ERR_RANGE);
    CU_ASSERT_STRING_EQUAL(em.text, "the broker sent a packet of 1001 bytes or more");
}

static void test_lengths_without_end_or_measure_are_refused(void)
{
    CHECK("\x30\xff\xff\xff\x7f", ERR_RANGE); /* 256 MiB */
    CHECK("\x30\x80\x80\x80\x80", ERR_FORMAT);
    CHECK("\x20\x03", ERR_RANGE);
    CHECK("\x40\x03", ERR_RANGE);
    CHECK("\xb0\x80\x01", ERR_RANGE);
    CHECK("\xd0\x01", ERR_RANGE);
    CHECK("\x90\x81\x08", ERR_RANGE);
}

/* With QoS 2 the library would keep each message until the broker lets it go. */
static void test_what_nobody_asked_for_is_refused(void)
{
    for (int head = 0; head < 256; head++) {
        uint8_t bytes[] = {0xd0, 0x00, (uint8_t)head, 0x02};
        int type = head >> 4;
        bool welcome =
            type == 2 || (type == 3 && !(head & 4)) || type == 4 || type == 9 || type == 11;
        int want = welcome ? 0 : type == 13 ? ERR_RANGE : ERR_FORMAT;
        CU_ASSERT_EQUAL(follow(bytes, sizeof bytes, 1), want);
    }
    CHECK("\x34", ERR_FORMAT);
    CU_ASSERT_STRING_EQUAL(em.text, "the broker sent a packet that nobody asked for (0x34)");
}

static const struct suite_test tests[] = {
    TEST(test_what_a_broker_says_to_us_passes),
    TEST(test_longest_message_passes_and_a_longer_one_does_not),
    TEST(test_lengths_without_end_or_measure_are_refused),
    TEST(test_what_nobody_asked_for_is_refused),
};

SUITE_MAIN("packets", tests)
