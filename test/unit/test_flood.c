#include "manager/flood.h"
#include "test/suite.h"

#define FLOOD_PER_S 64
#define FLOOD_BURST 256

static const struct bucket_limits limits = {.per_minute = 60 * FLOOD_PER_S, .burst = FLOOD_BURST};
static struct flood flood;

static void set_up(void)
{
    const uint8_t key[SIPHASH_KEY_LEN] = {1, 2, 3};
    flood_init(&flood, &limits, key);
}

/* How many of `count` messages at this time are let in. */
static uint32_t say(uint32_t n, uint32_t count, uint64_t now_ms)
{
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < count; i++)
        admitted += flood_count(&flood, span_of(&n, sizeof n), now_ms) == FLOOD_ADMIT;
    return admitted;
}

static void test_good_agent_is_always_heard(void)
{
    set_up();
    for (uint64_t s = 1; s < 10000; s++)
        CU_ASSERT_EQUAL(say(1, 1, s * 1000), 1);
    for (uint64_t s = 10000; s < 10100; s++)
        CU_ASSERT_EQUAL(say(1, FLOOD_PER_S, s * 1000), FLOOD_PER_S);
}

static void test_what_waited_comes_at_once(void)
{
    set_up();
    CU_ASSERT_EQUAL(say(1, FLOOD_BURST, 5), FLOOD_BURST);
    CU_ASSERT_EQUAL(say(1, 1, 5), 0);
}

static void test_flooder_gets_its_rate_and_no_more(void)
{
    uint64_t admitted = 0;
    set_up();
    say(1, FLOOD_BURST, 1000);
    for (uint64_t ms = 1000; ms < 11000; ms++)
        admitted += say(1, 10, ms);
    CU_ASSERT_EQUAL(admitted, 10 * FLOOD_PER_S - 1);
    /* A second of silence, and a second's worth is let in again; never more than the burst. */
    CU_ASSERT_EQUAL(say(1, 1000, 11999), FLOOD_PER_S);
    CU_ASSERT_EQUAL(say(1, 1000, 11999 + 86400000), FLOOD_BURST);
}

static void test_flood_is_told_of_once(void)
{
    set_up();
    for (int day = 1; day <= 3; day++) {
        uint64_t now_ms = (uint64_t)day * 86400000;
        unsigned begun = 0;
        for (uint32_t i = 0; i < 5000; i++)
            begun += flood_count(&flood, span_text("one"), now_ms + i) == FLOOD_BEGIN;
        CU_ASSERT_EQUAL(begun, 1);
    }
}

/* A hundred agents flood, and ten thousand others say their one thing each second meanwhile. */
static void test_flooders_cost_the_others_nothing(void)
{
    uint64_t flooded = 0, heard = 0;
    set_up();
    for (uint64_t ms = 1; ms <= 2000; ms++) {
        for (uint32_t n = 0; n < 100; n++)
            flooded += say(n, 20, ms);
        for (uint32_t n = 0; n < 10; n++)
            heard += say(100 + (uint32_t)(ms % 1000) * 10 + n, 1, ms);
    }
    CU_ASSERT_EQUAL(heard, 20000);
    CU_ASSERT_TRUE(flooded >= 100 * (FLOOD_BURST + 2 * (FLOOD_PER_S - 1)));
    CU_ASSERT_TRUE(flooded <= 100 * (FLOOD_BURST + 2 * FLOOD_PER_S));
}

static void test_looking_for_room_takes_none(void)
{
    set_up();
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_TRUE(flood_has_room(&flood, span_text("one"), 5));
    for (int i = 0; i < FLOOD_BURST; i++) {
        CU_ASSERT_TRUE(flood_has_room(&flood, span_text("one"), 5));
        CU_ASSERT_EQUAL(flood_count(&flood, span_text("one"), 5), FLOOD_ADMIT);
    }
    CU_ASSERT_FALSE(flood_has_room(&flood, span_text("one"), 5));
    CU_ASSERT_TRUE(flood_has_room(&flood, span_text("another"), 5));
    CU_ASSERT_TRUE(flood_has_room(&flood, span_text("one"), 1005));
}

static void test_bucket_alone_counts_by_the_minute(void)
{
    const struct bucket_limits slow = {.per_minute = 3, .burst = 5};
    struct flood_bucket b = {0};
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(flood_draw(&b, &slow, 1000), FLOOD_ADMIT);
    CU_ASSERT_EQUAL(flood_draw(&b, &slow, 1000), FLOOD_BEGIN);
    CU_ASSERT_EQUAL(flood_draw(&b, &slow, 20999), FLOOD_DROP);
    CU_ASSERT_EQUAL(flood_draw(&b, &slow, 21000), FLOOD_ADMIT);
    CU_ASSERT_EQUAL(flood_draw(&b, &slow, 21000), FLOOD_DROP);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(flood_draw(&b, &slow, UINT32_MAX), FLOOD_ADMIT);
    CU_ASSERT_EQUAL(flood_draw(&b, &slow, UINT32_MAX), FLOOD_BEGIN);
}

static const struct suite_test tests[] = {
    TEST(test_good_agent_is_always_heard),        TEST(test_what_waited_comes_at_once),
    TEST(test_flooder_gets_its_rate_and_no_more), TEST(test_flood_is_told_of_once),
    TEST(test_flooders_cost_the_others_nothing),  TEST(test_looking_for_room_takes_none),
    TEST(test_bucket_alone_counts_by_the_minute),
};

SUITE_MAIN("flood", tests)
