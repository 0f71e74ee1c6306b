/* A cohort outgrows its lanes while it lives. */
#include "test/story/story.h"

#define MANY 12

/* Two agents to a lane. */
static struct world *narrow_world(void)
{
    struct world *w = world_new(&(struct world_options){.lane_agents_max = 2});
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    return w;
}

static void add_agents(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_agent(w, "env=prod");
}

static uint8_t lanes(const struct world *w)
{
    return manager_cohort(w->control->core, 0)->lanes_log2;
}

/* All are at rest on their lanes, and what another one retained was never taken for news. */
static bool all_run(struct world *w, const char *version)
{
    bool good = story_rest(w);
    for (uint32_t i = 0; i < w->device_count; i++) {
        const struct device *d = w->devices[i];
        good &= world_runs(d, "app", version) && d->core.lanes_log2 == lanes(w);
        good &= d->core.counters.old == 0 && d->core.counters.foreign == 0;
    }
    return good;
}

static bool on_several_topics(const struct world *w)
{
    bool differ = false;
    for (uint32_t i = 1; i < w->device_count; i++)
        differ |= strcmp(w->devices[0]->topics[0], w->devices[i]->topics[0]) != 0;
    return differ;
}

static void test_cohort_that_grows_is_spread_over_lanes_and_nobody_is_lost(void)
{
    struct world *w = narrow_world();
    add_agents(w, 2);
    CU_ASSERT_TRUE(all_run(w, "v1"));
    CU_ASSERT_EQUAL(lanes(w), 0);
    uint32_t before = manager_cohort(w->control->core, 0)->revision.number;
    add_agents(w, 2); /* two lanes would do better: worth no document */
    CU_ASSERT_TRUE(all_run(w, "v1"));
    CU_ASSERT_EQUAL(manager_cohort(w->control->core, 0)->revision.number, before);
    add_agents(w, 4);
    CU_ASSERT_TRUE(all_run(w, "v1"));
    CU_ASSERT_EQUAL(lanes(w), 2);
    CU_ASSERT_EQUAL(manager_cohort(w->control->core, 0)->revision.number, before + 1);
    CU_ASSERT_TRUE(on_several_topics(w));
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(all_run(w, "v2"));
    story_end(w);
}

static void test_lanes_come_with_the_next_document_where_that_will_do(void)
{
    struct world *w = narrow_world();
    add_agents(w, 4);
    CU_ASSERT_TRUE(all_run(w, "v1"));
    CU_ASSERT_EQUAL(lanes(w), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(all_run(w, "v2"));
    CU_ASSERT_EQUAL(lanes(w), 1);
    story_end(w);
}

static void test_who_was_away_while_lanes_grew_finds_its_way(void)
{
    struct world *w = narrow_world();
    add_agents(w, MANY / 2);
    CU_ASSERT_TRUE(all_run(w, "v1"));
    for (uint32_t i = 0; i < 3; i++)
        device_cut_power(w->devices[i], UINT64_MAX);
    add_agents(w, MANY / 2);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    world_run(w, 60000);
    for (uint32_t i = 0; i < 3; i++)
        device_start(w->devices[i]);
    world_run(w, 1000);
    CU_ASSERT_TRUE(all_run(w, "v2"));
    CU_ASSERT_EQUAL(lanes(w), 3);
    story_end(w);
}

static void test_moving_survives_every_cut(void)
{
    bool cut = true;
    for (uint64_t n = 1; cut && n < STORY_POINTS_MAX; n++) {
        struct world *w = narrow_world();
        add_agents(w, 4);
        struct device *d = w->devices[3];
        CU_ASSERT_TRUE(story_rest(w));
        d->cut_at = d->points + n;
        add_agents(w, 1);
        bool good = story_rest(w) && lanes(w) == 2;
        cut = d->was_cut;
        story_end_at(w, n, good && all_run(w, "v1"));
    }
}

static void test_restored_manager_reaches_lanes_that_it_never_made(void)
{
    struct world *w = narrow_world();
    add_agents(w, 2);
    CU_ASSERT_TRUE(all_run(w, "v1"));
    struct rows *backup = world_backup(w);
    add_agents(w, MANY - 2);
    CU_ASSERT_TRUE(all_run(w, "v1"));
    CU_ASSERT_TRUE(on_several_topics(w));
    world_restore(w, backup, 100);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    world_run(w, 120000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(lanes(w), 0);
    for (uint32_t i = 0; i < w->device_count; i++) /* those that are unknown hear it as well */
        CU_ASSERT_TRUE(world_runs(w->devices[i], "app", "v2"));
    rows_free(backup);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_cohort_that_grows_is_spread_over_lanes_and_nobody_is_lost),
    TEST(test_lanes_come_with_the_next_document_where_that_will_do),
    TEST(test_who_was_away_while_lanes_grew_finds_its_way),
    TEST(test_moving_survives_every_cut),
    TEST(test_restored_manager_reaches_lanes_that_it_never_made),
};

SUITE_MAIN("lanes", tests)
