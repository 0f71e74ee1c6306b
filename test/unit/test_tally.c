#include "simulator/load/tally.h"
#include "test/suite.h"

static void test_nothing_took_no_time(void)
{
    struct tally t = {0};
    CU_ASSERT_EQUAL(tally_at(&t, 500), 0);
    CU_ASSERT_EQUAL(tally_at(&t, 1000), 0);
}

static void test_small_values_are_exact(void)
{
    struct tally t = {0};
    for (uint64_t us = 0; us < 32; us++)
        tally_add(&t, us);
    CU_ASSERT_EQUAL(tally_at(&t, 1000), 31);
    CU_ASSERT_EQUAL(tally_at(&t, 500), 15);
    CU_ASSERT_EQUAL(tally_at(&t, 1), 0);
}

static void test_large_ones_are_right_to_a_sixteenth(void)
{
    for (uint64_t us = 1; us < 1ull << 36; us = us * 3 + 1) {
        struct tally t = {0};
        tally_add(&t, us);
        tally_add(&t, UINT64_MAX);
        uint64_t half = tally_at(&t, 500);
        CU_ASSERT_TRUE(half >= us);
        CU_ASSERT_TRUE(half <= us + us / 16);
    }
}

static void test_two_together_are_as_one(void)
{
    struct tally a = {0}, b = {0}, both = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        tally_add(i % 3 ? &a : &b, i * i);
        tally_add(&both, i * i);
    }
    tally_merge(&a, &b);
    CU_ASSERT_EQUAL(a.count, 1000);
    CU_ASSERT_EQUAL(a.max_us, both.max_us);
    for (unsigned m = 1; m <= 1000; m++)
        CU_ASSERT_EQUAL(tally_at(&a, m), tally_at(&both, m));
}

static const struct suite_test tests[] = {
    TEST(test_nothing_took_no_time),
    TEST(test_small_values_are_exact),
    TEST(test_large_ones_are_right_to_a_sixteenth),
    TEST(test_two_together_are_as_one),
};

SUITE_MAIN("tally", tests)
