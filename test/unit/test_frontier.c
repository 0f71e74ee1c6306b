#include "base/rng.h"
#include "manager/core/frontier.h"
#include "test/suite.h"

#include <stdlib.h>

#define COUNT 3000
#define GROUPS 5

struct item {
    uint64_t number;
    uint32_t groups;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = ((const struct item *)a)->number, y = ((const struct item *)b)->number;
    return (x > y) - (x < y);
}

static struct frontier *find(const struct item *items, uint32_t count, const uint32_t *rooms,
                             unsigned *passes)
{
    static struct frontier f;
    frontier_begin(&f);
    for (uint32_t g = 0; g < GROUPS; g++)
        f.room[g] = rooms[g];
    *passes = 0;
    do {
        for (uint32_t i = 0; i < count; i++)
            frontier_see(&f, items[i].number, items[i].groups);
        ++*passes;
    } while (frontier_next(&f));
    return &f;
}

/* The first that is too many, one by one: its place, or `count`. */
static uint32_t first_too_many(const struct item *sorted, uint32_t count, const uint32_t *rooms)
{
    uint32_t taken[GROUPS] = {0};
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t g = 0; g < GROUPS; g++)
            if (sorted[i].groups >> g & 1 && ++taken[g] > rooms[g])
                return i;
    return count;
}

static void check(struct item *items, uint32_t count, const uint32_t *rooms, unsigned passes_max)
{
    unsigned passes;
    const struct frontier *f = find(items, count, rooms, &passes);
    qsort(items, count, sizeof items[0], compare);
    uint32_t stop = first_too_many(items, count, rooms);
    CU_ASSERT_TRUE(passes <= passes_max);
    CU_ASSERT_EQUAL(f->group == FRONTIER_NO_GROUP, stop == count);
    if (stop == count) {
        CU_ASSERT_EQUAL(f->value, UINT64_MAX);
        return;
    }
    CU_ASSERT_TRUE(f->value < items[stop].number);
    CU_ASSERT_TRUE(stop == 0 || f->value >= items[stop - 1].number);
    CU_ASSERT_TRUE(items[stop].groups >> f->group & 1);
}

static void test_it_ends_before_the_first_that_is_too_many_for_any_group(void)
{
    static struct item items[COUNT];
    struct rng rng = {.state = 1};
    for (int round = 0; round < 40; round++) {
        uint32_t rooms[GROUPS];
        for (int i = 0; i < COUNT; i++)
            items[i] = (struct item){rng_next(&rng), (uint32_t)rng_below(&rng, 1u << GROUPS)};
        for (int g = 0; g < GROUPS; g++)
            rooms[g] = (uint32_t)rng_below(&rng, round % 2 ? COUNT : 40);
        check(items, COUNT, rooms, 5);
    }
}

static void test_close_numbers_are_told_apart(void)
{
    static struct item items[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        items[i] = (struct item){UINT64_MAX - 3 * (i * 37 % COUNT), 1u << i % GROUPS};
    for (uint32_t room = 0; room < 100; room += 9) {
        const uint32_t rooms[GROUPS] = {room, 2 * room, 100, 200, 300};
        check(items, COUNT, rooms, 8);
    }
}

static void test_who_is_in_no_group_holds_up_nothing(void)
{
    const struct item items[] = {{5, 0}, {7, 0}, {9, 1}, {11, 0}};
    const uint32_t none[GROUPS] = {0}, one[GROUPS] = {1};
    unsigned passes;
    CU_ASSERT_EQUAL(find(items, 4, none, &passes)->value, 8);
    CU_ASSERT_EQUAL(find(items, 4, one, &passes)->value, UINT64_MAX);
    CU_ASSERT_EQUAL(find(items, 0, none, &passes)->value, UINT64_MAX);
}

static const struct suite_test tests[] = {
    TEST(test_it_ends_before_the_first_that_is_too_many_for_any_group),
    TEST(test_close_numbers_are_told_apart),
    TEST(test_who_is_in_no_group_holds_up_nothing),
};

SUITE_MAIN("frontier", tests)
