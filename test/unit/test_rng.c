#include "base/rng.h"

#include "test/suite.h"

static void test_it_is_splitmix64(void)
{
    /* The sequence of seed 0 as the authors' reference program prints it. */
    struct rng r = {0};
    CU_ASSERT_EQUAL(rng_next(&r), 0xe220a8397b1dcdafu);
    CU_ASSERT_EQUAL(rng_next(&r), 0x6e789e6aa1b965f4u);
    CU_ASSERT_EQUAL(rng_next(&r), 0x06c45d188009454fu);
}

static void test_the_same_seed_gives_the_same_sequence(void)
{
    struct rng a = {.state = 42}, b = {.state = 42}, c = {.state = 43};
    for (int i = 0; i < 100; i++) {
        uint64_t x = rng_next(&a);
        CU_ASSERT_EQUAL(x, rng_next(&b));
        CU_ASSERT_NOT_EQUAL(x, rng_next(&c));
    }
}

static void test_below_a_bound_every_number_comes_and_none_else(void)
{
    struct rng r = {.state = 1};
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t x = rng_below(&r, 7);
        CU_ASSERT_TRUE_FATAL(x < 7);
        seen[x]++;
    }
    for (int i = 0; i < 7; i++)
        CU_ASSERT_TRUE(seen[i] > 850 && seen[i] < 1150);
}

static void test_below_nothing_is_zero(void)
{
    struct rng r = {.state = 1};
    CU_ASSERT_EQUAL(rng_below(&r, 0), 0);
    CU_ASSERT_EQUAL(rng_below(&r, 1), 0);
}

static const struct suite_test tests[] = {
    TEST(test_it_is_splitmix64),
    TEST(test_the_same_seed_gives_the_same_sequence),
    TEST(test_below_a_bound_every_number_comes_and_none_else),
    TEST(test_below_nothing_is_zero),
};

SUITE_MAIN("rng", tests)
