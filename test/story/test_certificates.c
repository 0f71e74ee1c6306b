/* Certificates that run out, in months of virtual time. */
#include "test/story/story.h"

#define DAY_MS (86400ull * 1000)

static struct world *world_of_months(void)
{
    struct world *w = world_new(&(struct world_options){
        .policy = {.heartbeat_s = 3600, .keepalive_s = 600, .reconnect_spread_s = 600},
        .document_life_s = 365 * 86400});
    w->control->tick_ms = 600000;
    return w;
}

static uint64_t days_left(const struct world *w, const struct device *d)
{
    uint64_t now_s = stage_wall_s(&w->stage);
    return d->disk.certificate_until_s > now_s ? (d->disk.certificate_until_s - now_s) / 86400 : 0;
}

static void test_certificate_is_renewed_at_two_thirds_of_its_life(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    CU_ASSERT_EQUAL(days_left(w, d), 60);
    world_run(w, 39 * DAY_MS);
    CU_ASSERT_EQUAL(days_left(w, d), 21);
    world_run(w, 4 * DAY_MS);
    CU_ASSERT_TRUE(days_left(w, d) > 55);
    world_run(w, 300 * DAY_MS);
    CU_ASSERT_TRUE(days_left(w, d) > 15);
    CU_ASSERT_EQUAL(world_count(w, "is turned away"), 0);
    CU_ASSERT_EQUAL(world_count(w, "knocks at the door"), 0);
    story_end(w);
}

static void test_renewals_of_devices_that_joined_together_are_spread(void)
{
    struct world *w = world_of_months();
    struct device *d[8];
    for (unsigned i = 0; i < 8; i++)
        d[i] = world_agent(w, "env=prod");
    world_run(w, 41 * DAY_MS - DAY_MS / 8);
    unsigned renewed = 0;
    for (unsigned i = 0; i < 8; i++)
        renewed += days_left(w, d[i]) > 30;
    CU_ASSERT_TRUE(renewed > 0 && renewed < 8);
    world_run(w, 2 * DAY_MS);
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_TRUE(days_left(w, d[i]) > 30);
    story_end(w);
}

static void test_manager_away_at_renewal_time_is_asked_again(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    world_run(w, 39 * DAY_MS);
    control_kill(w->control, 10 * DAY_MS);
    world_run(w, 9 * DAY_MS);
    CU_ASSERT_TRUE(days_left(w, d) < 20);
    world_run(w, 2 * DAY_MS);
    CU_ASSERT_TRUE(days_left(w, d) > 40);
    CU_ASSERT_EQUAL(world_count(w, "is turned away"), 0);
    story_end(w);
}

static void test_device_that_was_off_for_months_renews_at_the_door_and_catches_up(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    device_cut_power(d, 200 * DAY_MS);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    world_run(w, 200 * DAY_MS + 3600000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_count(w, "knocks at the door"), 1);
    CU_ASSERT_EQUAL(world_count(w, "is turned away"), 0);
    CU_ASSERT_TRUE(days_left(w, d) > 15);
    story_end(w);
}

/* It cannot know that its certificate has expired before a broker turns it away. */
static void test_device_without_a_clock_is_turned_away_once_and_then_renews(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    device_cut_power(d, 200 * DAY_MS);
    d->wall_off_s = -200 * 86400;
    world_run(w, 200 * DAY_MS + 2 * 3600000);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    CU_ASSERT_EQUAL(world_count(w, "is turned away"), 1);
    CU_ASSERT_EQUAL(world_count(w, "knocks at the door"), 1);
    story_end(w);
}

/* Door and cells take turns, so a clock that runs years ahead keeps nobody out. */
static void test_device_whose_clock_runs_years_ahead_still_connects(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    device_cut_power(d, DEVICE_OFF_MS);
    d->wall_off_s = 3650 * 86400ll;
    world_run(w, 2 * 3600000);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    story_end(w);
}

static void test_removed_agent_gets_no_certificate(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    device_cut_power(d, 100 * DAY_MS);
    CU_ASSERT_EQUAL(world_remove_agent(w, d), 0);
    world_run(w, 110 * DAY_MS);
    CU_ASSERT_TRUE(world_count(w, "knocks at the door") > 1);
    CU_ASSERT_EQUAL(days_left(w, d), 0);
    /* It asks now and then, not all the time. */
    CU_ASSERT_TRUE(world_count(w, "knocks at the door") < 10 * 24 * 6);
    story_end(w);
}

/* The power goes at every point of a renewal at the door. */
static void test_power_cut_at_any_point_of_a_renewal_loses_nothing(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct world *w = world_of_months();
        struct device *d = world_agent(w, "env=prod");
        device_cut_power(d, UINT64_MAX);
        world_run(w, 100 * DAY_MS);
        d->cut_at = d->points + n;
        device_start(d);
        world_run(w, 3 * 3600000);
        cut = d->was_cut;
        story_end_at(w, n, world_flags(w, d) & AGENT_ONLINE && days_left(w, d) > 15);
    }
    CU_ASSERT_TRUE(n > 5);
}

static const struct suite_test tests[] = {
    TEST(test_certificate_is_renewed_at_two_thirds_of_its_life),
    TEST(test_renewals_of_devices_that_joined_together_are_spread),
    TEST(test_manager_away_at_renewal_time_is_asked_again),
    TEST(test_device_that_was_off_for_months_renews_at_the_door_and_catches_up),
    TEST(test_device_without_a_clock_is_turned_away_once_and_then_renews),
    TEST(test_device_whose_clock_runs_years_ahead_still_connects),
    TEST(test_removed_agent_gets_no_certificate),
    TEST(test_power_cut_at_any_point_of_a_renewal_loses_nothing),
};

SUITE_MAIN("certificates", tests)
