#include "test/story/story.h"

#include <string.h>

/* What devices obey by themselves: here, that app depends on base, and base on nothing. */

static int deploy_after(struct world *w, const char *bundle, const char *version,
                        const char *selector, const char *after)
{
    const struct dependency_names names = {.count = after != NULL, .names = {after}};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = bundle;
    c.deploy.version = version;
    c.deploy.selector = selector;
    c.deploy.salt = 42;
    c.deploy.after = &names;
    return world_deploy_with(w, &c);
}

/* base@v1 is as `base` says; app@v1 is pushed. */
static struct world *begin(struct device **d, const struct script *base)
{
    struct world *w = world_new(NULL);
    *d = world_agent(w, "env=prod");
    CU_ASSERT_EQUAL(world_push(w, base), 0);
    story_push(w, "base", "v2");
    story_push(w, "app", "v1");
    return w;
}

static const struct script good_base = {.name = "base", .version = "v1"};

/* Where words first stand in the trace; its end, when they do not. */
static size_t first(const struct world *w, const char *words)
{
    const char *at = strstr(world_trace(w), words);
    return at ? (size_t)(at - world_trace(w)) : strlen(world_trace(w));
}

static bool waits(const struct world *w, const struct device *d, enum cause want)
{
    enum cause cause = CAUSE_NONE;
    return world_state(w, d, "app", &cause) == STATE_PENDING && cause == want;
}

static void test_deployment_begins_when_what_it_depends_on_is_ready(void)
{
    struct device *d;
    struct world *w = begin(
        &d, &(struct script){.name = "base", .version = "v1", .health_tries = 4, .interval_s = 5});
    CU_ASSERT_EQUAL(deploy_after(w, "base", "v1", "env=prod", NULL), 0);
    CU_ASSERT_EQUAL(deploy_after(w, "app", "v1", "env=prod", "base"), 0);
    world_run(w, 12000);
    CU_ASSERT_TRUE(waits(w, d, CAUSE_AFTER));
    CU_ASSERT_EQUAL(world_count(w, "fetch app@v1"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1") && world_runs(d, "base", "v1"));
    CU_ASSERT_TRUE(first(w, "fetch app@v1") > first(w, "store held base g1 Settled"));
    story_end(w);
}

/* While base changes, app stays as it is; only what is new of app waits. */
static void test_what_runs_stays_while_what_it_depends_on_is_changed(void)
{
    struct device *d;
    struct world *w = begin(&d, &good_base);
    deploy_after(w, "base", "v1", "env=prod", NULL);
    deploy_after(w, "app", "v1", "env=prod", "base");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(deploy_after(w, "base", "v2", "env=prod", NULL), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1") && world_runs(d, "base", "v2"));
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v1"), 1);
    story_end(w);
}

static void test_deployment_is_stuck_where_what_it_depends_on_failed(void)
{
    struct device *d;
    struct world *w =
        begin(&d, &(struct script){.name = "base", .version = "v1", .fails = 1u << HOOK_APPLY});
    deploy_after(w, "base", "v1", "env=prod", NULL);
    deploy_after(w, "app", "v1", "env=prod", "base");
    world_run(w, 60000);
    CU_ASSERT_TRUE(waits(w, d, CAUSE_STUCK));
    CU_ASSERT_EQUAL(deploy_after(w, "base", "v2", "env=prod", NULL), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1") && world_runs(d, "base", "v2"));
    story_end(w);
}

static void test_deployment_is_stuck_where_what_it_depends_on_is_not_meant(void)
{
    struct device *d;
    struct world *w = begin(&d, &good_base);
    deploy_after(w, "base", "v1", "env=lab", NULL);
    deploy_after(w, "app", "v1", "env=prod", "base");
    world_run(w, 60000);
    CU_ASSERT_TRUE(waits(w, d, CAUSE_STUCK));
    CU_ASSERT_TRUE(world_is_gone(d, "app"));
    CU_ASSERT_EQUAL(deploy_after(w, "base", "v1", "env in (lab,prod)", NULL), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1") && world_runs(d, "base", "v1"));
    story_end(w);
}

/* What others depend on is not removed by mistake; told to be, it holds up nobody. */
static void test_removing_what_others_depend_on_takes_force(void)
{
    struct device *d;
    struct world *w = begin(&d, &good_base);
    story_push(w, "app", "v2");
    deploy_after(w, "base", "v1", "env=prod", NULL);
    deploy_after(w, "app", "v1", "env=prod", "base");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_remove(w, "base"), ERR_BUSY);
    struct command c = {.type = COMMAND_DEPLOYMENT_REMOVE,
                        .deployment = {.name = "base", .force = true}};
    CU_ASSERT_EQUAL(world_deploy_with(w, &c), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_is_gone(d, "base") && world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

/* The first beginning of app, at whatever point of it all the power went. */
static void test_power_cut_at_any_point_keeps_the_order_of_beginnings(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = begin(&d, &good_base);
        d->cut_at = d->points + n;
        deploy_after(w, "base", "v1", "env=prod", NULL);
        deploy_after(w, "app", "v1", "env=prod", "base");
        world_run(w, 20000);
        bool good = story_rest(w) && world_runs(d, "app", "v1") && world_runs(d, "base", "v1") &&
                    first(w, "store held app") > first(w, "store held base g1 Settled");
        cut = d->was_cut;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 30);
}

/* app has the higher number and a lower priority: neither may decide. */
static void test_power_cut_at_any_point_keeps_the_reverse_order_of_removals(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = begin(&d, &good_base);
        deploy_after(w, "base", "v1", "env=prod", NULL);
        deploy_after(w, "app", "v1", "env=prod", "base");
        CU_ASSERT_TRUE(story_rest(w));
        d->cut_at = d->points + n;
        CU_ASSERT_EQUAL(world_label(w, d, "env=lab", ""), 0); /* both at once */
        world_run(w, 20000);
        bool good = story_rest(w) && world_is_gone(d, "app") && world_is_gone(d, "base") &&
                    first(w, "detach app") < first(w, "hook remove base");
        cut = d->was_cut;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 10);
}

/* One at a time; where base is not meant, nobody waits for app, and the rollout ends. */
static void test_rollout_ends_without_those_that_are_stuck(void)
{
    struct world *w = world_new(NULL);
    struct device *d[4];
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    for (int i = 0; i < 4; i++)
        d[i] = world_agent(w, i < 2 ? "env=prod" : "env=lab");
    story_push(w, "base", "v1");
    story_push(w, "app", "v1");
    deploy_after(w, "base", "v1", "env=prod", NULL);
    const struct dependency_names names = {.count = 1, .names = {"base"}};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = "v1";
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.salt = 42;
    c.deploy.after = &names;
    c.deploy.plan = &p;
    CU_ASSERT_EQUAL(world_deploy_with(w, &c), 0);
    world_run(w, 300000);
    CU_ASSERT_EQUAL(manager_deployment(w->control->core, 1)->rollout.state, ROLLOUT_DONE);
    CU_ASSERT_TRUE(world_runs(d[0], "app", "v1") && world_runs(d[1], "app", "v1"));
    CU_ASSERT_TRUE(waits(w, d[2], CAUSE_STUCK) && waits(w, d[3], CAUSE_STUCK));
    story_end(w);
}

/* ---- windows, and tries ---- */

#define HOUR_MS (UINT64_C(3600) * 1000)

/* The world begins at 22:13:20 UTC; a window opens at 2:00 for an hour. */
static struct plan nightly(void)
{
    struct plan p = PLAN_DEFAULT;
    strcpy(p.window.cron, "0 2 * * *");
    p.window.length_s = 3600;
    return p;
}

static int deploy_by(struct world *w, const char *version, const struct plan *plan)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "env=prod";
    c.deploy.salt = 42;
    c.deploy.plan = plan;
    return world_deploy_with(w, &c);
}

static void test_window_is_obeyed_offline_and_by_the_device_s_own_clock(void)
{
    struct device *d;
    struct plan p = nightly();
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
    world_run(w, 60000);
    CU_ASSERT_TRUE(waits(w, d, CAUSE_WINDOW));
    d->east_s = 2 * 3600; /* it opens at midnight, UTC */
    control_kill(w->control, UINT64_MAX);
    world_run(w, HOUR_MS * 3 / 2);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    world_run(w, HOUR_MS / 2);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    control_start(w->control);
    CU_ASSERT_TRUE(story_rest(w));
    story_end(w);
}

/* It begins in the window, wherever the power went, and what it began it ends. */
static void test_power_cut_at_any_point_keeps_to_the_window(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct plan p = nightly();
        struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
        CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
        world_run(w, HOUR_MS * 15 / 4);
        bool good = world_runs(d, "app", "v1") && waits(w, d, CAUSE_WINDOW);
        d->cut_at = d->points + n;
        world_run(w, HOUR_MS / 2);
        good &= world_runs(d, "app", "v2") && story_rest(w);
        cut = d->was_cut;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 10);
}

/* A day late, by a calendar that somebody has set in between. */
static void test_calendar_that_jumps_into_a_window_opens_it_once(void)
{
    struct device *d;
    struct plan p = nightly();
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
    world_run(w, 60000);
    d->wall_off_s = 4 * 3600;
    world_run(w, 90000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 1);
    story_end(w);
}

static void test_device_without_a_calendar_waits_and_the_rollout_ends_without_it(void)
{
    struct device *d;
    struct plan p = nightly();
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    struct device *other = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    d->no_calendar = true;
    device_cut_power(d, 1000);
    world_run(w, 60000);
    CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
    world_run(w, 6 * HOUR_MS);
    CU_ASSERT_TRUE(waits(w, d, CAUSE_CLOCK));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1") && world_runs(other, "app", "v2"));
    CU_ASSERT_EQUAL(manager_deployment(w->control->core, 0)->rollout.state, ROLLOUT_DONE);
    story_end(w);
}

/* All wait for the same minute, and must not begin together. */
static void test_window_opens_for_no_more_than_the_stage_allows(void)
{
    struct world *w = world_new(NULL);
    struct device *d[4];
    struct plan p = nightly();
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    for (int i = 0; i < 4; i++)
        d[i] = world_agent(w, "env=prod");
    CU_ASSERT_EQUAL(
        world_push(w, &(struct script){.name = "app", .version = "v1", .hook_ms = 20000}), 0);
    CU_ASSERT_EQUAL(deploy_by(w, "v1", &p), 0);
    unsigned most = 0;
    for (int i = 0; i < 5 * 3600 / 10; i++) {
        unsigned busy = 0;
        world_run(w, 10000);
        for (int k = 0; k < 4; k++)
            busy += d[k]->job.busy;
        most = busy > most ? busy : most;
    }
    CU_ASSERT_EQUAL(most, 1);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(world_runs(d[i], "app", "v1"));
    story_end(w);
}

/* Not the one before it, and not the one after it. */
static void test_stage_goes_by_a_window_of_its_own(void)
{
    struct world *w = world_new(NULL);
    static const char *const labels[] = {"env=prod,ring=0", "env=prod,ring=1", "env=prod,ring=1",
                                         "env=prod"};
    struct device *d[4];
    struct plan p = PLAN_DEFAULT, night = nightly();
    p.count = 3;
    p.stages[0] = (struct plan_stage){.name = "early", .selector = "ring=0"};
    p.stages[1] =
        (struct plan_stage){.name = "canary", .selector = "ring=1", .window = night.window};
    p.stages[2] = (struct plan_stage){.name = "rest"};
    for (int i = 0; i < 4; i++)
        d[i] = world_agent(w, labels[i]);
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    CU_ASSERT_EQUAL(deploy_by(w, "v1", NULL), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
    world_run(w, HOUR_MS / 2);
    CU_ASSERT_TRUE(world_runs(d[0], "app", "v2"));
    world_run(w, HOUR_MS * 3); /* 1:43 */
    for (int i = 1; i < 4; i++)
        CU_ASSERT_TRUE(world_runs(d[i], "app", "v1"));
    CU_ASSERT_TRUE(waits(w, d[1], CAUSE_WINDOW) && waits(w, d[2], CAUSE_WINDOW));
    world_run(w, HOUR_MS / 2); /* 2:13 */
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(world_runs(d[i], "app", "v2"));
    story_end(w);
}

/* Only the last failure is one: the rollout waits for the tries, and keeps its slot for them. */
static void test_what_fails_is_tried_again_and_only_the_last_failure_counts(void)
{
    struct device *d;
    struct plan p = PLAN_DEFAULT;
    enum cause cause = CAUSE_NONE;
    p.retries = 2;
    p.back_off_s = 60;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all"};
    struct world *w = story_app_v1(
        &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
    world_run(w, 100000);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 2);
    CU_ASSERT_TRUE(waits(w, d, CAUSE_APPLY));
    CU_ASSERT_EQUAL(manager_deployment(w->control->core, 0)->rollout.state, ROLLOUT_RUNNING);
    world_run(w, 200000);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 3);
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(cause, CAUSE_APPLY);
    CU_ASSERT_EQUAL(manager_deployment(w->control->core, 0)->rollout.state, ROLLOUT_STOPPED);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

/* A failure is dated by a calendar that was a month ahead, and is set right then: the next try is
 * one back-off away, not a month. */
static void test_calendar_that_is_put_back_puts_off_no_try_for_longer_than_a_back_off(void)
{
    struct device *d;
    struct plan p = PLAN_DEFAULT;
    p.retries = 2;
    p.back_off_s = 600;
    struct world *w = story_app_v1(
        &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    d->wall_off_s = 30 * 86400;
    CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
    world_run(w, 100000);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 1);
    d->wall_off_s = 0;
    world_run(w, 500000);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 1);
    world_run(w, 700000);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 2);
    world_run(w, HOUR_MS / 2);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), 3);
    story_end(w);
}

/* Whatever the power does, there are three tries, not more; a cut in the middle may repeat one. */
static void test_power_cut_at_any_point_keeps_the_count_of_tries(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct plan p = PLAN_DEFAULT;
        p.retries = 2;
        p.back_off_s = 60;
        struct world *w = story_app_v1(
            &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
        d->cut_at = d->points + n;
        CU_ASSERT_EQUAL(deploy_by(w, "v2", &p), 0);
        world_run(w, 400000);
        unsigned tries = world_count(w, "hook apply app app@v2");
        bool good = story_rest(w) && world_runs(d, "app", "v1") && tries >= 3 && tries <= 4 &&
                    world_state(w, d, "app", NULL) == STATE_ROLLED_BACK;
        cut = d->was_cut;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 30);
}

static const struct suite_test tests[] = {
    TEST(test_deployment_begins_when_what_it_depends_on_is_ready),
    TEST(test_what_runs_stays_while_what_it_depends_on_is_changed),
    TEST(test_deployment_is_stuck_where_what_it_depends_on_failed),
    TEST(test_deployment_is_stuck_where_what_it_depends_on_is_not_meant),
    TEST(test_removing_what_others_depend_on_takes_force),
    TEST(test_power_cut_at_any_point_keeps_the_order_of_beginnings),
    TEST(test_power_cut_at_any_point_keeps_the_reverse_order_of_removals),
    TEST(test_rollout_ends_without_those_that_are_stuck),
    TEST(test_window_is_obeyed_offline_and_by_the_device_s_own_clock),
    TEST(test_power_cut_at_any_point_keeps_to_the_window),
    TEST(test_calendar_that_jumps_into_a_window_opens_it_once),
    TEST(test_device_without_a_calendar_waits_and_the_rollout_ends_without_it),
    TEST(test_window_opens_for_no_more_than_the_stage_allows),
    TEST(test_stage_goes_by_a_window_of_its_own),
    TEST(test_what_fails_is_tried_again_and_only_the_last_failure_counts),
    TEST(test_calendar_that_is_put_back_puts_off_no_try_for_longer_than_a_back_off),
    TEST(test_power_cut_at_any_point_keeps_the_count_of_tries),
};

SUITE_MAIN("rules", tests)
