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

/* ---- facts ---- */

static void tell(struct world *w, const struct device *d, const char *disk)
{
    struct facts facts = {.count = 1, .list = {{"disk_free", ""}}};
    snprintf(facts.list[0].value, sizeof facts.list[0].value, "%s", disk);
    CU_ASSERT_EQUAL(control_tell(w->control, d->disk.number, &facts), 0);
}

static int deploy_largest(struct world *w, const char *version, uint32_t count)
{
    static const struct roster largest = {.facts = "disk_free>=1Gi", .sort = "-disk_free"};
    struct pick pick = {.amount = {count, false}};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "env=prod";
    c.deploy.roster = &largest;
    c.deploy.pick = &pick;
    return world_deploy_with(w, &c);
}

static void settle(struct world *w)
{
    world_run(w, 5000);
    CU_ASSERT_TRUE(story_rest(w));
}

/* With the manager killed between any two words of it. */
static bool replace_the_best(uint64_t kill)
{
    struct world *w = world_new(NULL);
    struct device *d[5];
    static const char *const disks[] = {"1Gi", "900Mi", "3Gi", "2Gi", "8Gi"};
    for (int i = 0; i < 5; i++) {
        d[i] = world_agent(w, i == 4 ? "env=lab" : "env=prod");
        tell(w, d[i], disks[i]);
    }
    story_push(w, "app", "v1");
    CU_ASSERT_EQUAL(deploy_largest(w, "v1", 2), 0);
    settle(w);
    CU_ASSERT_TRUE(world_runs(d[2], "app", "v1") && world_runs(d[3], "app", "v1"));
    tell(w, d[0], "50Gi"); /* who is in stays */
    settle(w);
    w->control->kill_at = kill ? w->control->points + kill : 0;
    while (world_remove_agent(w, d[2]) == ERR_TIMEOUT)
        world_run(w, 10000); /* killed before it was durable: the operator says it again */
    world_run(w, 30000);
    bool good = story_rest(w) && world_runs(d[0], "app", "v1") && world_runs(d[3], "app", "v1") &&
                !disk_current(&d[1]->disk, "app") && !disk_current(&d[4]->disk, "app") &&
                world_count(w, "hook apply app app@v1") == 3;
    bool killed = w->control->was_killed;
    story_end_at(w, kill, good);
    return killed;
}

static void test_best_by_a_fact_run_it_and_the_next_best_follow(void)
{
    replace_the_best(0);
    for (uint64_t n = 1; replace_the_best(n) && n < STORY_POINTS_MAX; n++)
        ;
}

static const struct suite_test tests[] = {
    TEST(test_only_those_that_are_named_run_it),
    TEST(test_who_stays_on_runs_on_when_a_deployment_gets_a_list),
    TEST(test_lists_outlive_a_manager_that_is_killed),
    TEST(test_tainted_agent_keeps_what_it_has_and_takes_nothing_new),
    TEST(test_best_by_a_fact_run_it_and_the_next_best_follow),
};

SUITE_MAIN("listing", tests)
