#include "test/story/story.h"

/* ---- devices whose calendar is wrong, or that have none ---- */

#define LIFE_S 2000
#define YEAR_S (365 * 86400)

static struct world *world_with_app(struct device **d)
{
    struct world *w = world_new(&(struct world_options){.document_life_s = LIFE_S});
    *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    return w;
}

/* Without power for a moment, and then without a calendar. */
static void lose_calendar(struct world *w, struct device *d)
{
    uint32_t boots = d->past.boots;
    d->no_calendar = true;
    device_cut_power(d, 1000);
    world_run(w, 5000);
    CU_ASSERT_EQUAL(d->past.boots, boots + 1);
}

static void test_agent_without_a_calendar_runs_what_is_new(void)
{
    struct device *d;
    struct world *w = world_with_app(&d);
    lose_calendar(w, d);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_FALSE(world_flags(w, d) & AGENT_STALE);
    story_end(w);
}

/* It measures how long the document is held: nobody tells it what day it is. */
static void test_agent_without_a_calendar_turns_stale_and_fresh_again(void)
{
    struct device *d;
    struct world *w = world_with_app(&d);
    lose_calendar(w, d);
    control_kill(w->control, UINT64_MAX);
    world_run(w, (LIFE_S - 200) * 1000);
    CU_ASSERT_FALSE(d->core.stale);
    world_run(w, 400 * 1000);
    CU_ASSERT_TRUE(d->core.stale);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    control_start(w->control);
    world_run(w, 100);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_FALSE(d->core.stale);
    CU_ASSERT_FALSE(world_flags(w, d) & AGENT_STALE);
    story_end(w);
}

/* Each boot keeps what passed before it; only what was written is counted. */
static void test_time_that_passed_is_not_lost_with_a_boot(void)
{
    struct device *d;
    struct world *w = world_with_app(&d);
    lose_calendar(w, d);
    control_kill(w->control, UINT64_MAX);
    broker_kill(w->broker, false);
    for (int boot = 0; boot < 10; boot++) {
        world_run(w, LIFE_S * 1000 / 2);
        device_cut_power(d, 1000);
    }
    world_run(w, LIFE_S * 1000 / 2);
    CU_ASSERT_TRUE(d->core.stale);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

/* A clock that somebody sets to 2099 makes the agent Stale for as long as it shows that. */
static void test_calendar_far_ahead_harms_only_while_it_is(void)
{
    struct device *d;
    struct world *w = world_with_app(&d);
    d->wall_off_s = 70 * (int64_t)YEAR_S;
    world_run(w, 300 * 1000);
    CU_ASSERT_TRUE(d->core.stale);
    device_cut_power(d, 1000);
    world_run(w, 60 * 1000);
    d->wall_off_s = 0;
    world_run(w, 300 * 1000);
    CU_ASSERT_FALSE(d->core.stale);
    CU_ASSERT_TRUE(story_rest(w));
    story_end(w);
}

static void test_calendar_set_back_does_not_make_old_documents_fresh(void)
{
    struct device *d;
    struct world *w = world_with_app(&d);
    control_kill(w->control, UINT64_MAX);
    d->wall_off_s = -10 * (int64_t)YEAR_S;
    world_run(w, (LIFE_S + 200) * 1000);
    CU_ASSERT_TRUE(d->core.stale);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_agent_without_a_calendar_runs_what_is_new),
    TEST(test_agent_without_a_calendar_turns_stale_and_fresh_again),
    TEST(test_time_that_passed_is_not_lost_with_a_boot),
    TEST(test_calendar_far_ahead_harms_only_while_it_is),
    TEST(test_calendar_set_back_does_not_make_old_documents_fresh),
};

SUITE_MAIN("clocks", tests)
