#include "base/arena.h"

#include "test/suite.h"

#include <stdalign.h>
#include <string.h>

static alignas(max_align_t) uint8_t memory[256];

static struct arena dirty_arena(size_t cap)
{
    memset(memory, 0xee, sizeof memory);
    return arena_on(memory, cap);
}

static void test_memory_is_zeroed_and_aligned(void)
{
    struct arena a = dirty_arena(sizeof memory);
    for (size_t size = 1; size <= 7; size++) {
        uint8_t *p = arena_alloc(&a, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            CU_ASSERT_EQUAL(p[i], 0);
    }
}

static void test_pieces_do_not_overlap(void)
{
    struct arena a = dirty_arena(sizeof memory);
    uint8_t *first = arena_alloc(&a, 20), *second = arena_alloc(&a, 20);
    memset(first, 1, 20);
    memset(second, 2, 20);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(first[i], 1);
}

static void test_a_full_arena_gives_nothing_and_keeps_what_it_gave(void)
{
    for (size_t cap = 0; cap < 64; cap++) {
        struct arena a = dirty_arena(cap);
        CU_ASSERT_PTR_NULL(arena_alloc(&a, cap + 1));
        CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, cap));
        CU_ASSERT_PTR_NULL(arena_alloc(&a, 1));
        CU_ASSERT_EQUAL(a.used, cap);
        CU_ASSERT_EQUAL(memory[cap], 0xee);
    }
}

static void test_an_absurd_size_does_not_wrap_around(void)
{
    struct arena a = dirty_arena(sizeof memory);
    arena_alloc(&a, 1);
    CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX));
    CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX - 15));
}

static void test_after_a_reset_the_same_memory_is_given_again(void)
{
    struct arena a = dirty_arena(sizeof memory);
    uint8_t *p = arena_alloc(&a, sizeof memory);
    memset(p, 1, sizeof memory);
    arena_reset(&a);
    CU_ASSERT_PTR_EQUAL(arena_alloc(&a, 8), p);
    CU_ASSERT_EQUAL(p[0], 0);
}

static const struct suite_test tests[] = {
    TEST(test_memory_is_zeroed_and_aligned),
    TEST(test_pieces_do_not_overlap),
    TEST(test_a_full_arena_gives_nothing_and_keeps_what_it_gave),
    TEST(test_an_absurd_size_does_not_wrap_around),
    TEST(test_after_a_reset_the_same_memory_is_given_again),
};

SUITE_MAIN("arena", tests)
