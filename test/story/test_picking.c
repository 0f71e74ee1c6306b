/* Picks, whom gates tell, and groups, whom selectors name: who comes and goes leaves the others as
 * they are. */
#include "test/story/story.h"

#define AGENTS_MAX 6

struct cast {
    struct world *w;
    unsigned count;
    struct device *d[AGENTS_MAX];
};

/* One agent for each of these label sets; NULL ends. */
static struct cast begin(const char *const *labels)
{
    struct cast c = {.w = world_new(NULL)};
    for (; labels[c.count]; c.count++)
        c.d[c.count] = world_agent(c.w, labels[c.count]);
    story_push(c.w, "app", "v1");
    return c;
}

static int deploy(struct world *w, const char *selector, const char *picks)
{
    struct pick pick;
    struct command c = {.type = COMMAND_DEPLOY};
    CU_ASSERT_EQUAL_FATAL(pick_parse(picks, &pick, NULL), 0);
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = "v1";
    c.deploy.selector = selector;
    c.deploy.salt = 42;
    c.deploy.pick = &pick;
    return world_deploy_with(w, &c);
}

static void settle(struct world *w)
{
    world_run(w, 5000);
    CU_ASSERT_TRUE(story_rest(w));
}

static unsigned count_running(const struct cast *c)
{
    unsigned count = 0;
    for (unsigned i = 0; i < c->count; i++)
        count += world_runs(c->d[i], "app", "v1");
    return count;
}

/* The first that runs it. */
static unsigned find_running(const struct cast *c)
{
    unsigned i = 0;
    while (i < c->count && !world_runs(c->d[i], "app", "v1"))
        i++;
    CU_ASSERT_TRUE_FATAL(i < c->count);
    return i;
}

/* ---- picks ---- */

/* With the manager killed between any two words of it. Who was taken out keeps what it has. */
static bool replace_killed_at(uint64_t n)
{
    struct cast c =
        begin((const char *[]){"env=prod", "env=prod", "env=prod", "env=prod", "env=lab", NULL});
    CU_ASSERT_EQUAL(deploy(c.w, "env=prod", "2"), 0);
    settle(c.w);
    CU_ASSERT_EQUAL(count_running(&c), 2);
    c.d[c.count++] = world_agent(c.w, "env=prod");
    settle(c.w);
    CU_ASSERT_EQUAL(count_running(&c), 2);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), 2); /* who joins pushes nobody out */
    unsigned gone = find_running(&c);
    c.w->control->kill_at = c.w->control->points + n;
    while (world_remove_agent(c.w, c.d[gone]) == ERR_TIMEOUT)
        world_run(c.w, 10000);
    world_run(c.w, 30000);
    bool good = story_rest(c.w) && count_running(&c) == 3 && world_runs(c.d[gone], "app", "v1") &&
                !disk_current(&c.d[4]->disk, "app") &&
                world_count(c.w, "hook apply app app@v1") == 3 &&
                world_count(c.w, "hook remove") == 0;
    bool killed = c.w->control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_one_that_is_picked_and_leaves_is_replaced_by_one_other(void)
{
    CU_ASSERT_TRUE(story_points(replace_killed_at) > 10);
}

static void test_each_value_of_a_label_has_as_many_as_are_picked_of_it(void)
{
    struct cast c =
        begin((const char *[]){"site=a", "site=a", "site=a", "site=b", "env=lab", NULL});
    CU_ASSERT_EQUAL(deploy(c.w, "site", "1 of each site"), 0);
    settle(c.w);
    CU_ASSERT_EQUAL(count_running(&c), 2);
    CU_ASSERT_TRUE(world_runs(c.d[3], "app", "v1"));
    unsigned moved = find_running(&c);
    CU_ASSERT_TRUE(moved < 3);
    CU_ASSERT_EQUAL(world_label(c.w, c.d[moved], "site=c", ""), 0);
    settle(c.w);
    CU_ASSERT_TRUE(world_runs(c.d[moved], "app", "v1")); /* the only one of its new value */
    CU_ASSERT_EQUAL(count_running(&c), 3);
    CU_ASSERT_EQUAL(deploy(c.w, "site", "2 of each site"), 0);
    settle(c.w);
    CU_ASSERT_EQUAL(count_running(&c), 4);
    CU_ASSERT_FALSE(disk_current(&c.d[4]->disk, "app"));
    story_end(c.w);
}

/* Who is in stays in, as far as there is room. */
static void test_fewer_that_are_picked_are_some_of_those_before(void)
{
    struct cast c = begin((const char *[]){"env=a", "env=b", "env=a", "env=b", "env=a", NULL});
    CU_ASSERT_EQUAL(deploy(c.w, "env", "4"), 0);
    settle(c.w);
    CU_ASSERT_EQUAL(count_running(&c), 4);
    control_kill(c.w->control, 1000);
    world_run(c.w, 20000);
    CU_ASSERT_EQUAL(deploy(c.w, "env", "1"), 0);
    settle(c.w);
    CU_ASSERT_EQUAL(count_running(&c), 1);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), 4);
    CU_ASSERT_EQUAL(world_count(c.w, "hook remove app app@v1"), 3);
    story_end(c.w);
}

/* ---- groups ---- */

static int set_group(struct world *w, const char *selector)
{
    struct command c = {.type = COMMAND_GROUP_SET, .group = {"shops", selector}};
    return world_deploy_with(w, &c);
}

/* Two shops that run it, and a kiosk that doesn't. */
static struct cast begin_with_shops(void)
{
    struct cast c = begin((const char *[]){"kind=shop", "kind=shop", "kind=kiosk", NULL});
    CU_ASSERT_EQUAL(set_group(c.w, "kind=shop"), 0);
    CU_ASSERT_EQUAL(deploy(c.w, "@shops", "all"), 0);
    settle(c.w);
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v1") && world_runs(c.d[1], "app", "v1"));
    CU_ASSERT_EQUAL(count_running(&c), 2);
    return c;
}

/* The manager is killed at the n-th commit or word of it. */
static bool widen_killed_at(uint64_t n)
{
    struct cast c = begin_with_shops();
    c.w->control->kill_at = c.w->control->points + n;
    while (set_group(c.w, "kind in (shop, kiosk)") == ERR_TIMEOUT)
        world_run(c.w, 5000);
    world_run(c.w, 10000);
    bool good = story_rest(c.w) && count_running(&c) == 3 &&
                world_count(c.w, "hook apply app app@v1") == 3 &&
                world_count(c.w, "hook remove") == 0;
    bool killed = c.w->control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_group_that_is_widened_brings_what_names_it_to_the_new_ones(void)
{
    CU_ASSERT_TRUE(story_points(widen_killed_at) > 3);
}

/* The power of one that leaves goes at its n-th point. */
static bool leave_cut_at(uint64_t n)
{
    struct cast c = begin_with_shops();
    c.d[0]->cut_at = c.d[0]->points + n;
    CU_ASSERT_EQUAL(set_group(c.w, "kind=kiosk"), 0);
    world_run(c.w, 10000);
    bool good = story_rest(c.w) && world_is_gone(c.d[0], "app") && world_is_gone(c.d[1], "app") &&
                world_runs(c.d[2], "app", "v1");
    bool cut = c.d[0]->was_cut;
    story_end_at(c.w, n, good);
    return cut;
}

static void test_who_is_of_a_group_no_more_lets_go_of_what_names_it(void)
{
    CU_ASSERT_TRUE(story_points(leave_cut_at) > 3);
}

static const struct suite_test tests[] = {
    TEST(test_one_that_is_picked_and_leaves_is_replaced_by_one_other),
    TEST(test_each_value_of_a_label_has_as_many_as_are_picked_of_it),
    TEST(test_fewer_that_are_picked_are_some_of_those_before),
    TEST(test_group_that_is_widened_brings_what_names_it_to_the_new_ones),
    TEST(test_who_is_of_a_group_no_more_lets_go_of_what_names_it),
};

SUITE_MAIN("picking", tests)
