#include "base/rng.h"
#include "manager/core/rank.h"
#include "test/suite.h"

#include <stdlib.h>

#define COUNT 5000

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t find(const uint64_t *numbers, uint32_t count, uint32_t k, unsigned *passes)
{
    struct rank r;
    rank_begin(&r, k);
    *passes = 0;
    do {
        for (uint32_t i = 0; i < count; i++)
            rank_see(&r, numbers[i]);
        ++*passes;
    } while (rank_next(&r));
    return r.value;
}

static uint32_t at_most(const uint64_t *numbers, uint32_t count, uint64_t value)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        n += numbers[i] <= value;
    return n;
}

static void test_exactly_k_of_scattered_numbers_are_at_most_the_value(void)
{
    static uint64_t numbers[COUNT];
    struct rng rng = {.state = 1};
    for (int i = 0; i < COUNT; i++)
        numbers[i] = rng_next(&rng);
    for (uint32_t k = 1; k <= COUNT; k += 7) {
        unsigned passes;
        CU_ASSERT_EQUAL(at_most(numbers, COUNT, find(numbers, COUNT, k, &passes)), k);
        CU_ASSERT_TRUE(passes <= 3);
    }
}

/* Numbers that differ in their last bits only need every digit. */
static void test_close_numbers_are_told_apart(void)
{
    static uint64_t numbers[COUNT];
    unsigned passes;
    for (uint64_t i = 0; i < COUNT; i++)
        numbers[i] = UINT64_MAX - 3 * (i * 37 % COUNT);
    for (uint32_t k = 1; k <= COUNT; k += 13)
        CU_ASSERT_EQUAL(at_most(numbers, COUNT, find(numbers, COUNT, k, &passes)), k);
    qsort(numbers, COUNT, sizeof numbers[0], compare);
    uint64_t found = find(numbers, COUNT, 2, &passes);
    CU_ASSERT_TRUE(found >= numbers[1] && found < numbers[2]);
}

static void test_fewer_than_k_are_all_let_in(void)
{
    const uint64_t numbers[] = {0, UINT64_MAX, 5};
    unsigned passes;
    CU_ASSERT_EQUAL(find(numbers, 3, 4, &passes), UINT64_MAX);
    CU_ASSERT_EQUAL(find(numbers, 0, 1, &passes), UINT64_MAX);
    CU_ASSERT_EQUAL(at_most(numbers, 3, find(numbers, 3, 1, &passes)), 1);
    CU_ASSERT_EQUAL(at_most(numbers, 3, find(numbers, 3, 3, &passes)), 3);
}

static const struct suite_test tests[] = {
    TEST(test_exactly_k_of_scattered_numbers_are_at_most_the_value),
    TEST(test_close_numbers_are_told_apart),
    TEST(test_fewer_than_k_are_all_let_in),
};

SUITE_MAIN("rank", tests)
