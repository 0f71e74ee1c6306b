#include "test/story/story.h"

#include <stdio.h>

/* Sets a variable for all, for a selector, or for one device. */
static int set(struct world *w, const char *name, const char *value, const char *select,
               const struct device *d)
{
    const struct setting setting = {.name = name, .value = value};
    struct command c = {.type = COMMAND_VARIABLE_SET};
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = d ? SCOPE_AGENT : select ? SCOPE_SELECTOR : SCOPE_ALL;
    c.variable.where = select ? select : "";
    if (d)
        c.variable.agent = d->disk.id;
    return world_deploy_with(w, &c);
}

static int unset(struct world *w, const char *name)
{
    const struct setting setting = {.name = name, .value = ""};
    struct command c = {.type = COMMAND_VARIABLE_UNSET};
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = SCOPE_ALL;
    c.variable.where = "";
    return world_deploy_with(w, &c);
}

static const struct script needy = {.name = "app", .version = "v1", .needs = "port"};

/* One agent that runs app@v1, which needs `port`. */
static struct world *begin(struct device **d)
{
    struct world *w = world_new(NULL);
    *d = world_agent(w, "env=prod");
    CU_ASSERT_EQUAL(world_push(w, &needy), 0);
    CU_ASSERT_EQUAL(set(w, "port", "80", NULL, NULL), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(*d, "app", "v1"));
    return w;
}

static uint64_t values(const struct device *d)
{
    return d->disk.held[0].running.variables;
}

static void test_a_version_that_lacks_a_value_moves_nothing(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    world_push(w, &needy);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), ERR_REFUSED);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=lab"), 0); /* nobody is there */
    CU_ASSERT_EQUAL(set(w, "port", "80", NULL, d), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

static void test_another_value_is_applied_again_and_the_same_one_is_not(void)
{
    struct device *d;
    struct world *w = begin(&d);
    uint64_t first = values(d);
    unsigned applied = world_count(w, "hooks/apply");
    CU_ASSERT_EQUAL(set(w, "port", "80", NULL, NULL), 1);
    world_run(w, 60000);
    CU_ASSERT_EQUAL(world_count(w, "hooks/apply"), applied);
    CU_ASSERT_EQUAL(set(w, "port", "81", "env=prod", NULL), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_NOT_EQUAL(values(d), first);
    CU_ASSERT_TRUE(world_state(w, d, "app", NULL) == STATE_READY);
    uint64_t second = values(d);
    CU_ASSERT_EQUAL(set(w, "port", "82", NULL, NULL), 0); /* weaker than the selector's */
    world_run(w, 60000);
    CU_ASSERT_EQUAL(values(d), second);
    CU_ASSERT_EQUAL(set(w, "port", "80", NULL, d), 0);
    CU_ASSERT_TRUE(world_run_until(w, world_at_rest, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(values(d), first);
    story_end(w);
}

/* Power goes at each point of applying another value: it always ends with that one. */
static void test_power_cuts_while_a_value_changes_end_with_the_new_one(void)
{
    bool cut = true;
    for (uint64_t n = 1; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = begin(&d);
        uint64_t first = values(d);
        d->cut_at = d->points + n;
        CU_ASSERT_EQUAL(set(w, "port", "81", NULL, NULL), 0);
        world_run(w, 5000);
        cut = d->points >= d->cut_at;
        bool good = story_rest(w) && world_runs(d, "app", "v1") && values(d) != first;
        story_end_at(w, n, good);
    }
}

static void test_what_is_needed_is_not_unset_until_something_else_gives_it(void)
{
    struct device *d;
    struct world *w = begin(&d);
    CU_ASSERT_EQUAL(unset(w, "port"), ERR_REFUSED);
    CU_ASSERT_EQUAL(set(w, "port", "81", NULL, d), 0);
    CU_ASSERT_EQUAL(unset(w, "port"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_state(w, d, "app", NULL) == STATE_READY);
    story_end(w);
}

/* A name of its own for each, and a value of every size. */
static void test_an_agent_takes_so_many_values_of_its_own_and_no_more(void)
{
    static char large[VARIABLE_VALUE_MAX + 1];
    struct device *d;
    struct world *w = begin(&d);
    memset(large, 'x', VARIABLE_VALUE_MAX);
    CU_ASSERT_EQUAL(set(w, "a", large, NULL, d), 0);
    CU_ASSERT_EQUAL(set(w, "b", "small", NULL, d), 0);
    CU_ASSERT_EQUAL(set(w, "c", large, NULL, d), ERR_RANGE);
    CU_ASSERT_EQUAL(set(w, "b", large, NULL, d), ERR_RANGE);
    CU_ASSERT_EQUAL(set(w, "b", "small", NULL, d), 1);
    CU_ASSERT_TRUE(story_rest(w));
    story_end(w);
}

static void test_who_moves_to_where_a_value_is_missing_waits_for_it(void)
{
    enum cause cause;
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "site=a");
    world_push(w, &needy);
    CU_ASSERT_EQUAL(set(w, "port", "80", "site=a", NULL), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_label(w, d, "site=b", ""), 0);
    world_run(w, 120000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1")); /* it keeps what it runs */
    CU_ASSERT_TRUE(world_state(w, d, "app", &cause) == STATE_PENDING && cause == CAUSE_VARIABLE);
    CU_ASSERT_STRING_EQUAL(manager_missing(w->control->core, 1, 0), "port");
    CU_ASSERT_EQUAL(set(w, "port", "81", "site=b", NULL), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_state(w, d, "app", NULL) == STATE_READY);
    story_end(w);
}

/* A deployment's file with the most variables that one may have; then all have other names, or most
 * are gone. */
static int deploy_with_settings(struct world *w, uint32_t first, uint32_t count)
{
    static char names[VARIABLES_NEEDED_MAX][16];
    struct setting settings[VARIABLES_NEEDED_MAX];
    struct command c = {.type = COMMAND_DEPLOY};
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "name_%u", (unsigned)(first + i));
        settings[i] = (struct setting){.name = names[i], .value = "some"};
    }
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = "v1";
    c.deploy.selector = "env=prod";
    c.deploy.salt = 42;
    c.deploy.settings = settings;
    c.deploy.setting_count = count;
    return world_deploy_with(w, &c);
}

static void test_a_file_with_the_most_variables_replaces_another_one(void)
{
    struct device *d;
    struct world *w = begin(&d);
    CU_ASSERT_EQUAL(deploy_with_settings(w, 0, VARIABLES_NEEDED_MAX), 0);
    CU_ASSERT_EQUAL(deploy_with_settings(w, 100, VARIABLES_NEEDED_MAX), 0);
    CU_ASSERT_EQUAL(deploy_with_settings(w, 100, VARIABLES_NEEDED_MAX), 1);
    CU_ASSERT_EQUAL(deploy_with_settings(w, 100, 3), 0);
    control_kill(w->control, 1000);
    world_run(w, 5000);
    CU_ASSERT_EQUAL(deploy_with_settings(w, 100, 3), 1);
    CU_ASSERT_TRUE(story_rest(w));
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_a_version_that_lacks_a_value_moves_nothing),
    TEST(test_another_value_is_applied_again_and_the_same_one_is_not),
    TEST(test_power_cuts_while_a_value_changes_end_with_the_new_one),
    TEST(test_what_is_needed_is_not_unset_until_something_else_gives_it),
    TEST(test_an_agent_takes_so_many_values_of_its_own_and_no_more),
    TEST(test_who_moves_to_where_a_value_is_missing_waits_for_it),
    TEST(test_a_file_with_the_most_variables_replaces_another_one),
};

SUITE_MAIN("values", tests)
