#include "crypto/random.h"

#include "test/suite.h"

#include <stdint.h>
#include <string.h>

static void test_two_draws_differ(void)
{
    uint8_t a[32], b[32];
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
}

static void test_every_byte_is_filled_and_none_beyond(void)
{
    /* A byte that were never written would be the same in all of 20 draws. */
    for (size_t len = 0; len < 40; len++) {
        uint8_t changed[40] = {0};
        for (int draw = 0; draw < 20; draw++) {
            uint8_t bytes[40] = {0};
            random_bytes(bytes, len);
            for (size_t i = 0; i < sizeof bytes; i++)
                changed[i] |= bytes[i];
        }
        for (size_t i = 0; i < sizeof changed; i++)
            CU_ASSERT_EQUAL(changed[i] != 0, i < len);
    }
}

static void test_more_than_one_call_of_the_system_gives(void)
{
    /* getrandom() may stop at 256 bytes when a signal comes. */
    static uint8_t bytes[1 << 20];
    random_bytes(bytes, sizeof bytes);
    unsigned ones = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        ones += (unsigned)__builtin_popcount(bytes[i]);
    /* Half of 8 Mi bits, give or take 14 standard deviations. */
    CU_ASSERT_TRUE(ones > 4194304 - 20000 && ones < 4194304 + 20000);
}

static const struct suite_test tests[] = {
    TEST(test_two_draws_differ),
    TEST(test_every_byte_is_filled_and_none_beyond),
    TEST(test_more_than_one_call_of_the_system_gives),
};

SUITE_MAIN("random", tests)
