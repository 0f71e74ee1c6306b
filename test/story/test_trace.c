#include "test/story/story.h"

#include <stdlib.h>

/* One device joins, installs app@v1 and is updated to v2. */
static struct world *tell(uint64_t seed)
{
    struct world *w = world_new(&(struct world_options){.seed = seed});
    world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    world_deploy(w, "app", "v1", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    return w;
}

static const char golden[] = "t=0.540 agent 1 asks to join\n"
                             "t=0.596 manager document env=prod 1.1\n"
                             "t=0.596 manager answers a join: the device has joined, number 1\n"
                             "t=0.655 agent 1 joins as number 1\n"
                             "t=0.655 agent 1 store numbers below 128\n"
                             "t=0.691 agent 1 status 1 hello document 0.0\n"
                             "t=0.715 manager document env=prod 1.2\n"
                             "t=0.781 agent 1 store document\n"
                             "t=0.781 agent 1 store held app g1 Downloading\n"
                             "t=0.781 agent 1 fetch app@v1\n"
                             "t=0.995 agent 1 store held app g1 Preparing\n"
                             "t=0.995 agent 1 hook pre-apply app app@v1\n"
                             "t=1.015 agent 1 store held app g1 Applying\n"
                             "t=1.017 agent 1 current app app@v1\n"
                             "t=1.017 agent 1 hook apply app app@v1\n"
                             "t=1.037 agent 1 store held app g1 Verifying\n"
                             "t=1.037 agent 1 hook health app app@v1\n"
                             "t=1.057 agent 1 store held app g1 Settled\n"
                             "t=1.691 agent 1 status 2 document 1.2\n"
                             "t=1.717 manager document env=prod 1.3\n"
                             "t=1.799 agent 1 store document\n"
                             "t=1.799 agent 1 store held app g2 Downloading\n"
                             "t=1.799 agent 1 fetch app@v2\n"
                             "t=1.959 agent 1 store held app g2 Preparing\n"
                             "t=1.959 agent 1 hook pre-apply app app@v2\n"
                             "t=1.979 agent 1 store held app g2 Applying\n"
                             "t=1.981 agent 1 current app app@v2\n"
                             "t=1.981 agent 1 hook apply app app@v2\n"
                             "t=2.001 agent 1 store held app g2 Verifying\n"
                             "t=2.001 agent 1 hook health app app@v2\n"
                             "t=2.021 agent 1 store held app g2 Settled\n"
                             "t=2.691 agent 1 status 3 document 1.3\n";

static void test_join_and_update_go_as_they_always_went(void)
{
    struct world *w = tell(1);
    if (strcmp(world_trace(w), golden) != 0)
        fputs(world_trace(w), stderr);
    CU_ASSERT_STRING_EQUAL(world_trace(w), golden);
    story_end(w);
}

/* Cuts and duplicates come from the seed too. */
static char *tell_a_bumpy_one(uint64_t seed)
{
    struct world *w = world_new(&(struct world_options){.seed = seed,
                                                        .links = {.delay_ms_min = 1,
                                                                  .delay_ms_max = 200,
                                                                  .cuts_per_mille = 50,
                                                                  .duplicates_per_mille = 50}});
    for (int i = 0; i < 3; i++)
        world_agent(w, i ? "env=prod" : "env=lab");
    story_push(w, "app", "v1");
    world_deploy(w, "app", "v1", "");
    world_run(w, 60000);
    device_cut_power(w->devices[1], 3000);
    control_kill(w->control, 5000);
    world_run(w, 60000);
    char *trace = strdup(world_trace(w));
    story_end(w);
    return trace;
}

static void test_same_seed_tells_the_same_story(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        char *first = tell_a_bumpy_one(seed), *second = tell_a_bumpy_one(seed);
        char *other = tell_a_bumpy_one(seed + 100);
        CU_ASSERT_STRING_EQUAL(first, second);
        CU_ASSERT_STRING_NOT_EQUAL(first, other);
        free(first);
        free(second);
        free(other);
    }
}

static void test_day_without_change_costs_little(void)
{
    struct world *w = world_new(&(struct world_options){
        .policy = {.heartbeat_s = 900, .keepalive_s = 240, .reconnect_spread_s = 60}});
    struct device *d = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    uint64_t writes = d->disk.writes;
    uint32_t seq = d->core.seq;
    world_run(w, 86400000);
    CU_ASSERT_TRUE(d->disk.writes - writes <= 2);
    CU_ASSERT_TRUE(d->core.seq - seq >= 96 && d->core.seq - seq <= 128);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_join_and_update_go_as_they_always_went),
    TEST(test_same_seed_tells_the_same_story),
    TEST(test_day_without_change_costs_little),
};

SUITE_MAIN("trace", tests)
