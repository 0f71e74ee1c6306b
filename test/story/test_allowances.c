#include "test/story/story.h"

/* Two deployments for all of them, of whom one may be out of Ready at a time. */
#define AGENTS 4
#define DEPLOYMENTS 2

static const char *const names[DEPLOYMENTS] = {"app", "base"};

static int deploy(struct world *w, const char *name, const char *version)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.salt = (uint64_t)name[0];
    return world_deploy_with(w, &c);
}

static int set_budget(struct world *w, uint32_t max)
{
    struct command c = {.type = COMMAND_BUDGET_SET};
    c.budget.name = "pier";
    c.budget.selector = "site=pier";
    c.budget.max.value = max;
    return world_deploy_with(w, &c);
}

/* On the device, whatever anybody was told: something is begun there, and at no end. */
static bool is_at_work(const struct device *d)
{
    for (uint32_t i = 0; i < d->disk.held_count; i++) {
        uint8_t phase = d->disk.held[i].phase;
        if ((phase >= PHASE_PREPARING && phase <= PHASE_VERIFYING) || phase == PHASE_UNDOING)
            return true;
    }
    return false;
}

static unsigned count_at_work(const struct world *w)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < w->device_count; i++)
        count += is_at_work(w->devices[i]);
    return count;
}

/* True at the end, or when there are too many. */
static bool is_over(const struct world *w, const void *unused)
{
    (void)unused;
    if (count_at_work(w) > 1)
        return true;
    bool over = w->control->running;
    for (uint32_t i = 0; i < w->device_count && over; i++)
        for (int k = 0; k < DEPLOYMENTS; k++)
            over &= world_runs(w->devices[i], names[k], "v2");
    return over;
}

static struct world *begin(void)
{
    struct world *w = world_new(NULL);
    for (int i = 0; i < AGENTS; i++)
        world_agent(w, "site=pier");
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    for (int k = 0; k < DEPLOYMENTS; k++)
        CU_ASSERT_EQUAL(deploy(w, names[k], "v1"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    return w;
}

/* With the manager killed at the n-th point from here on; whether it was. */
static bool ends_one_by_one(struct world *w, uint64_t n,
                            bool (*ends)(const struct world *w, const void *unused))
{
    w->control->kill_at = n ? w->control->points + n : 0;
    bool ended = world_run_until(w, ends, NULL, STORY_MS_MAX);
    bool good = ended && count_at_work(w) <= 1;
    bool killed = w->control->was_killed;
    story_end_at(w, n, good);
    return killed;
}

static bool renew(uint64_t n)
{
    struct world *w = begin();
    CU_ASSERT_EQUAL(set_budget(w, 1), 0);
    for (int k = 0; k < DEPLOYMENTS; k++)
        CU_ASSERT_EQUAL(deploy(w, names[k], "v2"), 0);
    return ends_one_by_one(w, n, is_over);
}

static void test_two_deployments_take_turns_with_one_agent_at_a_time(void)
{
    renew(0);
}

static void test_budget_is_kept_by_a_manager_that_is_killed_at_any_point(void)
{
    uint64_t n = 1;
    while (renew(n) && n < STORY_POINTS_MAX)
        n += 3;
    CU_ASSERT_TRUE(n > 30);
}

/* What it had begun it brings to an end, and holds nobody up meanwhile. */
static void test_device_that_is_cut_off_while_it_is_out_leaves_its_place_to_others(void)
{
    struct world *w = begin();
    set_budget(w, 1);
    device_cut_power(w->devices[0], UINT64_MAX);
    deploy(w, "app", "v2");
    world_run(w, 3600000);
    unsigned running = 0;
    for (uint32_t i = 0; i < w->device_count; i++)
        running += world_runs(w->devices[i], "app", "v2");
    CU_ASSERT_EQUAL(running, AGENTS - 1);
    device_start(w->devices[0]);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(w->devices[0], "app", "v2"));
    story_end(w);
}

/* ---- and what labels and groups bring, of which no gate says anything ---- */

static int set_gates(struct world *w, const char *selector)
{
    struct command c = {.type = COMMAND_GROUP_SET,
                        .group = {.name = "gates", .selector = selector}};
    return world_deploy_with(w, &c);
}

static void by_labels(struct world *w)
{
    for (uint32_t i = 0; i < w->device_count; i++)
        world_label(w, w->devices[i], "kind=gate", "");
}

static void by_group(struct world *w)
{
    set_gates(w, "site=pier");
}

/* True at the end, or when there are too many. */
static bool have_all(const struct world *w, const void *unused)
{
    (void)unused;
    bool all = w->control->running;
    for (uint32_t i = 0; i < w->device_count; i++)
        all &= world_runs(w->devices[i], "extra", "v1");
    return all || count_at_work(w) > 1;
}

/* A deployment that has been rolled out to nobody yet becomes that of all of them at the same time,
 * with the manager killed at the n-th point behind that. */
static bool bring(void (*how)(struct world *w), uint64_t n)
{
    struct world *w = begin();
    CU_ASSERT_EQUAL(set_budget(w, 1), 0);
    CU_ASSERT_EQUAL(set_gates(w, "kind=gate"), 0);
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = "extra";
    c.deploy.bundle = "app";
    c.deploy.version = "v1";
    c.deploy.selector = "@gates";
    CU_ASSERT_EQUAL(world_deploy_with(w, &c), 0);
    CU_ASSERT_TRUE(story_rest(w));
    how(w);
    return ends_one_by_one(w, n, have_all);
}

static void test_what_labels_and_groups_bring_comes_to_one_agent_at_a_time(void)
{
    bring(by_labels, 0);
    bring(by_group, 0);
}

static void test_manager_that_is_killed_brings_it_to_no_more_of_them(void)
{
    uint64_t n = 1, k = 1;
    while (bring(by_labels, n) && n < STORY_POINTS_MAX)
        n += 3;
    while (bring(by_group, k) && k < STORY_POINTS_MAX)
        k += 3;
    CU_ASSERT_TRUE(n > 30 && k > 30);
}

static const struct suite_test tests[] = {
    TEST(test_two_deployments_take_turns_with_one_agent_at_a_time),
    TEST(test_budget_is_kept_by_a_manager_that_is_killed_at_any_point),
    TEST(test_device_that_is_cut_off_while_it_is_out_leaves_its_place_to_others),
    TEST(test_what_labels_and_groups_bring_comes_to_one_agent_at_a_time),
    TEST(test_manager_that_is_killed_brings_it_to_no_more_of_them),
};

SUITE_MAIN("allowances", tests)
