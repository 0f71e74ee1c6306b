#include "test/story/story.h"

/* Deploys NAME@v1 on agents by number; 0 ends. */
static int deploy_on(struct world *w, const char *name, const char *version, const uint32_t *agents)
{
    static struct roster r;
    struct command c = {.type = COMMAND_DEPLOY};
    r = (struct roster){0};
    for (; *agents; agents++)
        roster_name(&r, *agents);
    c.deploy.name = name;
    c.deploy.bundle = name;
    c.deploy.version = version;
    c.deploy.selector = "";
    c.deploy.roster = &r;
    return world_deploy_with(w, &c);
}

#define ON(...) ((const uint32_t[]){__VA_ARGS__, 0})

static void test_only_those_that_are_named_run_it(void)
{
    struct world *w = world_new(NULL);
    struct device *a = world_agent(w, "env=prod"), *b = world_agent(w, "env=prod");
    struct device *c = world_agent(w, "env=lab");
    story_push(w, "app", "v1");
    CU_ASSERT_EQUAL(deploy_on(w, "app", "v1", ON(1, 3)), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(a, "app", "v1") && world_runs(c, "app", "v1"));
    CU_ASSERT_FALSE(disk_current(&b->disk, "app"));
    CU_ASSERT_EQUAL(world_state(w, a, "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(deploy_on(w, "app", "v1", ON(2, 3)), 0);
    world_run(w, 2000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_is_gone(a, "app") && world_runs(b, "app", "v1"));
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v1"), 3); /* one each: 3 went on */
    story_end(w);
}

/* It was for all of a selector, and is for some by name: they run on through that, whenever the
 * power goes and whatever gets lost. */
static bool narrow(uint64_t cut, uint64_t lose, bool away)
{
    struct world *w = world_new(NULL);
    struct device *a = world_agent(w, "env=prod"), *b = world_agent(w, "env=prod");
    world_agent(w, "env=lab"); /* never for it, not for a moment */
    story_push(w, "app", "v1");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    if (away)
        device_cut_power(a, 5000);
    a->cut_at = cut ? a->points + cut : 0;
    broker_lose(w->broker, lose, true);
    CU_ASSERT_EQUAL(deploy_on(w, "app", "v1", ON(1)), 0);
    world_run(w, 10000);
    bool good = story_rest(w) && world_runs(a, "app", "v1") && world_is_gone(b, "app") &&
                world_count(w, "hook apply app app@v1") == 2;
    bool hit = cut ? a->was_cut : broker_lost(w->broker);
    story_end_at(w, cut + lose, good);
    return hit;
}

static void test_who_stays_on_runs_on_when_a_deployment_gets_a_list(void)
{
    for (uint64_t n = 1; narrow(n, 0, false) && n < STORY_POINTS_MAX; n++)
        ;
    for (uint64_t n = 1; narrow(n, 0, true) && n < STORY_POINTS_MAX; n++)
        ;
    for (uint64_t n = 1; narrow(0, n, false) && n < STORY_POINTS_MAX; n++)
        ;
}

static void test_lists_outlive_a_manager_that_is_killed(void)
{
    struct world *w = world_new(NULL);
    struct device *a = world_agent(w, "env=prod"), *b = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    CU_ASSERT_EQUAL(deploy_on(w, "app", "v1", ON(2)), 0);
    CU_ASSERT_TRUE(story_rest(w));
    control_kill(w->control, 1000);
    world_run(w, 20000);
    CU_ASSERT_EQUAL(world_label(w, b, "env=lab", ""), 0);
    world_run(w, 2000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(b, "app", "v1"));
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v1"), 1);
    CU_ASSERT_FALSE(disk_current(&a->disk, "app"));
    CU_ASSERT_EQUAL(world_state(w, b, "app", NULL), STATE_READY);
    story_end(w);
}

static int taint(struct world *w, const struct device *d, const char *set, const char *unset)
{
    struct command c = {.type = COMMAND_AGENT_TAINT,
                        .taint = {.agent = d->disk.id, .set = set, .unset = unset}};
    return world_deploy_with(w, &c);
}

static void test_tainted_agent_keeps_what_it_has_and_takes_nothing_new(void)
{
    struct world *w = world_new(NULL);
    struct device *a = world_agent(w, "env=prod"), *b = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    story_push(w, "probe", "v1");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(taint(w, a, "gpu:NoSchedule", ""), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "probe", "v1", "env=prod"), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    world_run(w, 2000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(a, "app", "v2") && !disk_current(&a->disk, "probe"));
    CU_ASSERT_TRUE(world_runs(b, "app", "v2") && world_runs(b, "probe", "v1"));
    CU_ASSERT_EQUAL(world_state(w, a, "app", NULL), STATE_READY);
    control_kill(w->control, 1000);
    world_run(w, 20000);
    CU_ASSERT_EQUAL(taint(w, a, "storm:NoExecute", "gpu"), 0);
    world_run(w, 2000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_is_gone(a, "app"));
    CU_ASSERT_EQUAL(taint(w, a, "", "storm"), 0);
    world_run(w, 2000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(a, "app", "v2") && world_runs(a, "probe", "v1"));
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_only_those_that_are_named_run_it),
    TEST(test_who_stays_on_runs_on_when_a_deployment_gets_a_list),
    TEST(test_lists_outlive_a_manager_that_is_killed),
    TEST(test_tainted_agent_keeps_what_it_has_and_takes_nothing_new),
};

SUITE_MAIN("listing", tests)
