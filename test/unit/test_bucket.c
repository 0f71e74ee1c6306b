#include "manager/bucket.h"

#include "test/suite.h"

static const struct bucket_limits LIMITS = {.per_minute = 60 * 10, .burst = 20};

/* How many of so many at once it has. */
static unsigned taken(struct bucket *b, unsigned count, uint64_t now_ms)
{
    unsigned got = 0;
    for (unsigned i = 0; i < count; i++)
        if (bucket_fill(b, &LIMITS, now_ms)) {
            bucket_take(b);
            got++;
        }
    return got;
}

static void test_a_new_one_is_full_whatever_the_clock_shows(void)
{
    static const uint64_t clocks[] = {0, 1, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        struct bucket b = {0};
        CU_ASSERT_EQUAL(taken(&b, 50, clocks[i]), 20);
    }
}

static void test_it_fills_at_its_rate_and_never_beyond_the_brim(void)
{
    struct bucket b = {0};
    CU_ASSERT_EQUAL(taken(&b, 50, 1000), 20);
    CU_ASSERT_EQUAL(taken(&b, 50, 1099), 0);
    CU_ASSERT_EQUAL(taken(&b, 50, 1100), 1);
    CU_ASSERT_EQUAL(taken(&b, 50, 2100), 10);
    CU_ASSERT_EQUAL(taken(&b, 50, 3600000), 20);
    CU_ASSERT_EQUAL(taken(&b, 50, UINT64_MAX), 20);
}

static void test_a_clock_that_goes_back_adds_nothing(void)
{
    struct bucket b = {0};
    CU_ASSERT_EQUAL(taken(&b, 50, 5000), 20);
    CU_ASSERT_EQUAL(taken(&b, 50, 1000), 0);
    CU_ASSERT_EQUAL(taken(&b, 50, 1100), 1);
}

static void test_what_is_put_back_was_never_taken(void)
{
    struct bucket b = {0};
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_TRUE_FATAL(bucket_fill(&b, &LIMITS, 1000));
        bucket_take(&b);
        CU_ASSERT_TRUE(bucket_was_full(&b, &LIMITS));
        bucket_put_back(&b);
    }
    CU_ASSERT_EQUAL(taken(&b, 50, 1000), 20);
    CU_ASSERT_FALSE(bucket_was_full(&b, &LIMITS));
}

/* Who takes although there is none goes into no debt. */
static void test_taking_from_an_empty_one_leaves_it_empty(void)
{
    struct bucket b = {0};
    taken(&b, 20, 1000);
    for (int i = 0; i < 100; i++)
        bucket_take(&b);
    CU_ASSERT_EQUAL(taken(&b, 50, 1100), 1);
}

static const struct suite_test tests[] = {
    TEST(test_a_new_one_is_full_whatever_the_clock_shows),
    TEST(test_it_fills_at_its_rate_and_never_beyond_the_brim),
    TEST(test_a_clock_that_goes_back_adds_nothing),
    TEST(test_what_is_put_back_was_never_taken),
    TEST(test_taking_from_an_empty_one_leaves_it_empty),
};

SUITE_MAIN("bucket", tests)
