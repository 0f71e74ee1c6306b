#include "agent/core/wall.h"
#include "test/suite.h"

#define DAY_S UINT64_C(86400)
#define DAY_MS (DAY_S * 1000)
#define SIGNED_S UINT64_C(1800000000)
#define YEAR_2099_S UINT64_C(4070908800)

static void test_floor_moves_with_the_time_that_passes(void)
{
    struct wall w = wall_start(1000, 5000);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 5000), 1000);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 5999), 1000);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 6000), 1001);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 5000 + DAY_MS), 1000 + DAY_S);
    /* A monotonic clock that isn't: no time has passed, and none is taken back. */
    CU_ASSERT_EQUAL(wall_floor_s(&w, 4000), 1000);
}

static void test_only_what_is_newer_is_learnt(void)
{
    struct wall w = wall_start(1000, 0);
    wall_learn(&w, 999, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), 1000);
    wall_learn(&w, SIGNED_S, 7000);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 7000), SIGNED_S);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 8000), SIGNED_S + 1);
    /* It was newer than the floor when it was signed, and is no news now. */
    wall_learn(&w, SIGNED_S + 10, 7000 + 20000);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 7000 + 20000), SIGNED_S + 20);
}

static void test_what_is_no_time_is_ignored(void)
{
    struct wall w = wall_start(1000, 0);
    wall_learn(&w, UINT64_MAX, 0);
    wall_learn(&w, WALL_S_MAX + 1, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), 1000);
    wall_learn(&w, WALL_S_MAX, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, UINT64_MAX), WALL_S_MAX + UINT64_MAX / 1000);
    w = wall_start(UINT64_MAX, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), 0);
}

static void test_calendar_counts_while_it_is_not_behind(void)
{
    struct wall w = wall_start(SIGNED_S, 0);
    CU_ASSERT_FALSE(wall_is_floor(&w, SIGNED_S, 0));
    CU_ASSERT_EQUAL(wall_guess_s(&w, SIGNED_S + 500, 1000), SIGNED_S + 500);
    CU_ASSERT_FALSE(wall_is_floor(&w, SIGNED_S + 500, 1000));
    /* Set back by a user, or begun with 1970. */
    CU_ASSERT_TRUE(wall_is_floor(&w, SIGNED_S - 1, 0));
    CU_ASSERT_EQUAL(wall_guess_s(&w, SIGNED_S - 1, DAY_MS), SIGNED_S + DAY_S);
    CU_ASSERT_EQUAL(wall_guess_s(&w, 0, DAY_MS), SIGNED_S + DAY_S);
}

/* A stolen key of the manager's must not be able to send a fleet into a far future. */
static void test_calendar_that_runs_bounds_what_the_manager_says(void)
{
    const uint64_t rooted_s = SIGNED_S - 400 * DAY_S;
    struct wall w = wall_start(rooted_s, 0);
    wall_learn_online(&w, SIGNED_S + WALL_AHEAD_S + 1, rooted_s, SIGNED_S, 0);
    wall_learn_online(&w, YEAR_2099_S, rooted_s, SIGNED_S, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), rooted_s);
    wall_learn_online(&w, SIGNED_S + WALL_AHEAD_S, rooted_s, SIGNED_S, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), SIGNED_S + WALL_AHEAD_S);
    /* Step by step it gets no further: the calendar is behind the floor now, and still runs. */
    wall_learn_online(&w, SIGNED_S + 2 * WALL_AHEAD_S, rooted_s, SIGNED_S, 0);
    wall_learn_online(&w, SIGNED_S + WALL_AHEAD_S + 1, rooted_s, SIGNED_S, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), SIGNED_S + WALL_AHEAD_S);
}

static void test_without_a_calendar_the_manager_is_believed(void)
{
    struct wall w = wall_start(SIGNED_S, 0);
    wall_learn_online(&w, SIGNED_S + 900 * DAY_S, SIGNED_S, 3, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), SIGNED_S + 900 * DAY_S);
    wall_learn_online(&w, UINT64_MAX, SIGNED_S, 3, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), SIGNED_S + 900 * DAY_S);
    /* Old news are no news, whatever the calendar says. */
    wall_learn_online(&w, SIGNED_S, SIGNED_S, YEAR_2099_S, 0);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 0), SIGNED_S + 900 * DAY_S);
}

/* What is kept over a restart is the floor, and no calendar has a say in that. */
static void test_calendar_far_ahead_leaves_nothing_behind(void)
{
    struct wall w = wall_start(SIGNED_S, 0);
    CU_ASSERT_EQUAL(wall_guess_s(&w, YEAR_2099_S, 1000), YEAR_2099_S);
    CU_ASSERT_EQUAL(wall_floor_s(&w, 1000), SIGNED_S + 1);
    struct wall after = wall_start(wall_floor_s(&w, 2000), 0);
    CU_ASSERT_EQUAL(wall_guess_s(&after, SIGNED_S + 60, 0), SIGNED_S + 60);
}

/* No clock, no network, 200 days with a boot on each: only the time without power is lost. */
static void test_months_of_boots_without_clock_or_network_add_up(void)
{
    uint64_t kept_s = SIGNED_S;
    for (int day = 0; day < 200; day++) {
        struct wall w = wall_start(kept_s, 3000);
        CU_ASSERT_TRUE(wall_is_floor(&w, 3, 3000));
        kept_s = wall_floor_s(&w, 3000 + DAY_MS / 2);
        CU_ASSERT_EQUAL(wall_guess_s(&w, 3 + DAY_S / 2, 3000 + DAY_MS / 2), kept_s);
    }
    CU_ASSERT_EQUAL(kept_s, SIGNED_S + 100 * DAY_S);
}

static const struct suite_test tests[] = {
    TEST(test_floor_moves_with_the_time_that_passes),
    TEST(test_only_what_is_newer_is_learnt),
    TEST(test_what_is_no_time_is_ignored),
    TEST(test_calendar_counts_while_it_is_not_behind),
    TEST(test_calendar_that_runs_bounds_what_the_manager_says),
    TEST(test_without_a_calendar_the_manager_is_believed),
    TEST(test_calendar_far_ahead_leaves_nothing_behind),
    TEST(test_months_of_boots_without_clock_or_network_add_up),
};

SUITE_MAIN("wall", tests)
