#include "manager/core/why.h"
#include "test/story/story.h"

#include <string.h>

/* How long a device may take, by its own words: the version that comes has a health check that
 * passes no time soon, or a hook that fails, and its deadline is two minutes. */

#define DEADLINE_S 120
#define HOUR_MS (UINT64_C(3600) * 1000)

static const struct script slow_v2 = {
    .name = "app", .version = "v2", .fails = 1u << HOOK_HEALTH, .deadline_s = 1200};

static struct plan one_stage(void)
{
    struct plan p = PLAN_DEFAULT;
    p.deadline_s = DEADLINE_S;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all"};
    return p;
}

static int deploy(struct world *w, const char *name, const char *version, const struct plan *plan,
                  const char *after)
{
    const struct dependency_names names = {.count = after != NULL, .names = {after}};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = name;
    c.deploy.version = version;
    c.deploy.selector = "env=prod";
    c.deploy.salt = 42;
    c.deploy.plan = plan;
    c.deploy.after = &names;
    return world_deploy_with(w, &c);
}

static const struct rollout *rollout_of(const struct world *w, uint32_t deployment)
{
    return &manager_deployment(w->control->core, deployment)->rollout;
}

static struct stage_count counts(const struct world *w, uint32_t deployment)
{
    static uint8_t memory[MANAGER_SCRATCH_MAX];
    struct arena scratch = arena_on(memory, sizeof memory);
    struct stage_count all[STAGES_MAX];
    manager_survey(w->control->core, deployment, stage_wall_s(&w->stage), &scratch, all);
    return all[0];
}

/* By all that an operator sees. */
static bool is_overdue(const struct world *w, uint32_t deployment, bool want)
{
    static uint8_t memory[MANAGER_SCRATCH_MAX];
    struct arena scratch = arena_on(memory, sizeof memory);
    struct stage_count c = counts(w, deployment);
    struct why why;
    manager_why(w->control->core, 1, deployment, stage_wall_s(&w->stage), &scratch, &why);
    return why.overdue == want && c.overdue == want && c.failed == want;
}

static bool stops(const struct world *w, const void *unused)
{
    (void)unused;
    return w->control->running && rollout_of(w, 0)->state == ROLLOUT_STOPPED;
}

/* A window that opens hours later is no device's fault; what it takes then is. */
static void test_deadline_begins_when_the_window_opens(void)
{
    struct device *d;
    struct plan p = one_stage();
    strcpy(p.window.cron, "0 2 * * *");
    p.window.length_s = 3600;
    struct world *w = story_app_v1(&d, &slow_v2);
    CU_ASSERT_EQUAL(deploy(w, "app", "v2", &p, NULL), 0);
    world_run(w, HOUR_MS * 15 / 4); /* from 22:13 on */
    CU_ASSERT_TRUE(is_overdue(w, 0, false));
    CU_ASSERT_TRUE(world_run_until(w, stops, NULL, HOUR_MS));
    uint64_t into_s = (stage_wall_s(&w->stage) + 22 * 3600) % 86400;
    CU_ASSERT_TRUE(into_s >= DEADLINE_S && into_s < DEADLINE_S + 80);
    CU_ASSERT_TRUE(is_overdue(w, 0, true));
    story_end(w);
}

static void test_deadline_begins_when_what_it_depends_on_is_ready(void)
{
    struct device *d;
    struct plan p = one_stage();
    struct world *w = story_app_v1(&d, &slow_v2);
    CU_ASSERT_EQUAL(world_push(w, &(struct script){.name = "base",
                                                   .version = "v1",
                                                   .health_tries = 100,
                                                   .deadline_s = 900,
                                                   .interval_s = 5}),
                    0);
    CU_ASSERT_EQUAL(deploy(w, "base", "v1", NULL, NULL), 0);
    CU_ASSERT_EQUAL(deploy(w, "app", "v2", &p, "base"), 0);
    world_run(w, 480000);
    CU_ASSERT_TRUE(is_overdue(w, 0, false));
    CU_ASSERT_TRUE(world_run_until(w, stops, NULL, 300000));
    CU_ASSERT_TRUE(world_runs(d, "base", "v1"));
    CU_ASSERT_TRUE(is_overdue(w, 0, true));
    story_end(w);
}

/* The window closes between two tries, and opens again the next night. */
static void test_window_that_closes_between_two_tries_takes_no_time(void)
{
    struct device *d;
    struct plan p = one_stage();
    p.deadline_s = 1800;
    p.retries = 1;
    p.back_off_s = 1200;
    strcpy(p.window.cron, "30 22 * * *");
    p.window.length_s = 600;
    struct world *w = story_app_v1(
        &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    CU_ASSERT_EQUAL(deploy(w, "app", "v2", &p, NULL), 0);
    world_run(w, HOUR_MS);
    enum cause cause = CAUSE_NONE;
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 1);
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_PENDING);
    CU_ASSERT_EQUAL(cause, CAUSE_WINDOW);
    world_run(w, 20 * HOUR_MS);
    CU_ASSERT_TRUE(is_overdue(w, 0, false));
    CU_ASSERT_EQUAL(rollout_of(w, 0)->state, ROLLOUT_RUNNING);
    CU_ASSERT_TRUE(world_run_until(w, stops, NULL, 5 * HOUR_MS));
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 2); /* it failed for good */
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(counts(w, 0).overdue, 0);
    story_end(w);
}

/* What is paused while it is fetched says so, and has no less time for that. */
static void test_pause_while_it_is_fetched_takes_no_time(void)
{
    struct device *d;
    struct plan p = one_stage();
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .lost = true});
    CU_ASSERT_EQUAL(deploy(w, "app", "v2", &p, NULL), 0);
    world_run(w, 60000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_DOWNLOADING);
    CU_ASSERT_EQUAL(world_pause(w, "app"), 0);
    world_run(w, HOUR_MS);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_PAUSED);
    CU_ASSERT_EQUAL(world_resume(w, "app"), 0);
    world_run(w, 30000);
    CU_ASSERT_TRUE(is_overdue(w, 0, false));
    CU_ASSERT_TRUE(world_run_until(w, stops, NULL, 60000));
    CU_ASSERT_TRUE(is_overdue(w, 0, true));
    story_end(w);
}

/* Switched off for an hour, it goes on with what time it had. */
static void test_device_that_is_off_is_late_for_nothing(void)
{
    struct device *d;
    struct plan p = one_stage();
    struct world *w = story_app_v1(&d, &slow_v2);
    CU_ASSERT_EQUAL(deploy(w, "app", "v2", &p, NULL), 0);
    world_run(w, 30000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_VERIFYING);
    device_cut_power(d, HOUR_MS);
    world_run(w, HOUR_MS);
    CU_ASSERT_TRUE(is_overdue(w, 0, false));
    CU_ASSERT_EQUAL(rollout_of(w, 0)->state, ROLLOUT_RUNNING);
    world_run(w, 120000); /* it has to find its broker again */
    CU_ASSERT_TRUE(world_run_until(w, stops, NULL, 300000));
    CU_ASSERT_TRUE(is_overdue(w, 0, true));
    story_end(w);
}

static bool is_checked(const struct world *w, const void *unused)
{
    (void)unused;
    return world_count(w, "hook health app app@v2") > 0;
}

static bool is_done(const struct world *w, const void *unused)
{
    (void)unused;
    return w->control->running && rollout_of(w, 0)->state == ROLLOUT_DONE;
}

/* The deadline ends when it would have, wherever the manager dies, and holds until the device is
 * through, five minutes later. */
static bool late_with_manager_killed_at(uint64_t n)
{
    struct device *d;
    struct plan p = one_stage();
    struct script v2 = slow_v2;
    v2.fails = 0;
    v2.health_tries = 60;
    p.max_failed.value = 1;
    struct world *w = story_app_v1(&d, &v2);
    struct control *control = w->control;
    control->kill_at = control->points + n;
    while (deploy(w, "app", "v2", &p, NULL) == ERR_TIMEOUT)
        world_run(w, 5000);
    bool good = world_run_until(w, is_checked, NULL, 60000);
    world_run(w, (DEADLINE_S - 10) * 1000);
    good &= is_overdue(w, 0, false);
    world_run(w, 25000);
    good &= is_overdue(w, 0, true);
    good &= world_run_until(w, is_done, NULL, 300000) && story_rest(w);
    good &= is_overdue(w, 0, false) && counts(w, 0).ready == 1;
    bool killed = control->was_killed;
    story_end_at(w, n, good);
    return killed;
}

static void test_manager_killed_at_any_point_gives_no_more_time(void)
{
    CU_ASSERT_TRUE(story_points(late_with_manager_killed_at) > 10);
}

static const struct suite_test tests[] = {
    TEST(test_deadline_begins_when_the_window_opens),
    TEST(test_deadline_begins_when_what_it_depends_on_is_ready),
    TEST(test_window_that_closes_between_two_tries_takes_no_time),
    TEST(test_pause_while_it_is_fetched_takes_no_time),
    TEST(test_device_that_is_off_is_late_for_nothing),
    TEST(test_manager_killed_at_any_point_gives_no_more_time),
};

SUITE_MAIN("deadlines", tests)
