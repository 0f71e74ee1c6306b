#include "base/rng.h"
#include "simulator/fleet/queue.h"
#include "test/suite.h"

#define MANY 5000

/* Everything that is taken out comes in order of time, and then of its number. */
static size_t drain(struct queue *q, uint64_t until_ms, uint64_t *last_ms, uint64_t *last_what)
{
    struct happening h;
    size_t count = 0;
    for (; queue_next(q, until_ms, &h); count++) {
        CU_ASSERT_TRUE(h.at_ms <= until_ms);
        CU_ASSERT_TRUE(h.at_ms > *last_ms || (h.at_ms == *last_ms && h.what > *last_what));
        *last_ms = h.at_ms;
        *last_what = h.what;
    }
    return count;
}

static void test_what_happens_first_comes_first_and_equals_in_the_order_they_came(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng = {.state = seed};
        struct queue q = {0};
        uint64_t added = 0, last_ms = 0, last_what = 0;
        size_t taken = 0;
        while (added < MANY) {
            uint64_t spread = 1ull << rng_below(&rng, 30), now = q.now_ms;
            for (size_t i = rng_below(&rng, 50); i > 0; i--)
                queue_add(&q, &(struct happening){.at_ms = now + rng_below(&rng, spread),
                                                  .what = ++added});
            taken += drain(&q, q.now_ms + rng_below(&rng, spread), &last_ms, &last_what);
        }
        taken += drain(&q, UINT64_MAX - 1, &last_ms, &last_what);
        CU_ASSERT_EQUAL(taken, added);
        CU_ASSERT_EQUAL(q.count, 0);
        queue_free(&q);
    }
}

static void test_what_is_late_happens_now(void)
{
    struct queue q = {0};
    struct happening h = {0};
    queue_add(&q, &(struct happening){.at_ms = 1000, .what = 1});
    CU_ASSERT_TRUE(queue_next(&q, 5000, &h));
    queue_add(&q, &(struct happening){.at_ms = 10, .what = 2});
    CU_ASSERT_TRUE(queue_next(&q, 5000, &h));
    CU_ASSERT_EQUAL(h.what, 2);
    CU_ASSERT_EQUAL(h.at_ms, 1000);
    CU_ASSERT_FALSE(queue_next(&q, 5000, &h));
    queue_free(&q);
}

static void note_soon(void *context, const struct happening *h, bool now)
{
    uint8_t *told = context;
    CU_ASSERT_FALSE(told[h->what] & (now ? 2 : 1));
    told[h->what] |= now ? 2 : 1;
}

static void test_what_comes_soon_and_now_is_told_once_before_it_comes(void)
{
    static uint8_t told[MANY];
    struct rng rng = {.state = 1};
    struct queue q = {.soon = note_soon, .context = told};
    struct happening h;
    for (uint64_t i = 0; i < MANY; i++)
        queue_add(&q, &(struct happening){.at_ms = 1000 + rng_below(&rng, 100000), .what = i});
    while (queue_next(&q, UINT64_MAX - 1, &h))
        CU_ASSERT_EQUAL(told[h.what], 3);
    queue_free(&q);
}

static const struct suite_test tests[] = {
    TEST(test_what_happens_first_comes_first_and_equals_in_the_order_they_came),
    TEST(test_what_is_late_happens_now),
    TEST(test_what_comes_soon_and_now_is_told_once_before_it_comes),
};

SUITE_MAIN("queue", tests)
