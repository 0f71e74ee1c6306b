#include "base/clock.h"

#include "test/suite.h"

static void test_monotonic_time_never_goes_back(void)
{
    uint64_t before = clock_monotonic_ms();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_monotonic_ms();
        CU_ASSERT_TRUE_FATAL(now >= before);
        before = now;
    }
}

static void test_wall_time_is_counted_in_seconds(void)
{
    /* Between the years 2001 and 2286, where seconds have ten digits. */
    uint64_t now = clock_wall_s();
    CU_ASSERT_TRUE(now >= 1000000000u && now < 10000000000u);
}

static const struct suite_test tests[] = {
    TEST(test_monotonic_time_never_goes_back),
    TEST(test_wall_time_is_counted_in_seconds),
};

SUITE_MAIN("clock", tests)
