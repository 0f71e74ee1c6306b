#include "test/story/story.h"

/* Deploys NAME@v1 with a priority and flags. */
static int deploy(struct world *w, const char *name, const char *selector, uint32_t priority,
                  uint32_t flags)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = name;
    c.deploy.version = "v1";
    c.deploy.selector = selector;
    c.deploy.all = selector[0] == '\0';
    c.deploy.priority = priority;
    c.deploy.flags = flags;
    return world_deploy_with(w, &c);
}

/* Where the words stand in the trace for the first time. */
static size_t when(const struct world *w, const char *words)
{
    const char *at = strstr(world_trace(w), words);
    return at ? (size_t)(at - world_trace(w)) : SIZE_MAX;
}

/* ---- labels ---- */

static void test_selectors_choose_the_agents(void)
{
    struct world *w = world_new(NULL);
    struct device *prod = world_agent(w, "env=prod,region=eu");
    struct device *lab = world_agent(w, "env=lab");
    story_push(w, "app", "v1");
    story_push(w, "probe", "v1");
    story_push(w, "base", "v1");
    deploy(w, "app", "env=prod", 0, 0);
    deploy(w, "probe", "region notin (eu)", 0, 0);
    deploy(w, "base", "", 0, 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(prod, "app", "v1") && !disk_current(&lab->disk, "app"));
    CU_ASSERT_TRUE(world_runs(lab, "probe", "v1") && !disk_current(&prod->disk, "probe"));
    CU_ASSERT_TRUE(world_runs(prod, "base", "v1") && world_runs(lab, "base", "v1"));
    story_end(w);
}

static void test_relabelled_agent_leaves_old_deployments_and_takes_new_ones(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    story_push(w, "probe", "v1");
    deploy(w, "app", "env=prod", 0, 0);
    deploy(w, "probe", "env=lab", 0, 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_label(w, d, "env=lab", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_is_gone(d, "app"));
    CU_ASSERT_TRUE(world_runs(d, "probe", "v1"));
    CU_ASSERT_EQUAL(world_label(w, d, "env=prod", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_TRUE(world_is_gone(d, "probe"));
    story_end(w);
}

/* Relabelled at each moment of an update, with a power cut besides. */
static void relabel_at(uint64_t ms, uint64_t cut)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    story_push(w, "probe", "v1");
    deploy(w, "probe", "env=lab", 0, 0);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, ms);
    d->cut_at = cut ? d->points + cut : 0;
    CU_ASSERT_EQUAL(world_label(w, d, "env=lab", ""), 0);
    bool good = story_rest(w) && world_is_gone(d, "app") && world_runs(d, "probe", "v1");
    story_end_at(w, ms, good);
}

static void test_relabelling_in_the_middle_of_an_update_ends_in_the_new_cohort(void)
{
    for (uint64_t ms = 0; ms < 600; ms += 15) {
        relabel_at(ms, 0);
        relabel_at(ms, ms / 15 + 1);
    }
}

static void test_cohort_left_in_the_middle_of_an_apply_does_not_leave_it_half_done(void)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .hook_ms = 5000});
    story_push(w, "probe", "v1");
    world_deploy(w, "app", "v2", "");
    world_run(w, 8000); /* in hooks/apply */
    CU_ASSERT_EQUAL(d->disk.held[0].phase, PHASE_APPLYING);
    world_label(w, d, "env=lab", "");
    /* The assignment comes through, and the new cohort's document doesn't. */
    while (world_count(w, "store assignment") == 0)
        world_run(w, 1);
    broker_kill(w->broker, false);
    device_cut_power(d, 5000);
    world_run(w, 60000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    broker_restart(w->broker, true);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

/* ---- pausing, rolling back, removing ---- */

static void test_paused_deployment_starts_nothing_until_it_is_resumed(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    CU_ASSERT_EQUAL(world_pause(w, "app"), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    world_run(w, 100000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_PAUSED);
    CU_ASSERT_EQUAL(world_count(w, "fetch app@v2"), 0);
    CU_ASSERT_EQUAL(world_resume(w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

static void test_cordoned_agent_still_lets_go_of_what_is_removed(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    CU_ASSERT_EQUAL(world_cordon(w, d), 0);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 100000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_PAUSED);
    CU_ASSERT_EQUAL(world_count(w, "fetch app@v2"), 0);
    CU_ASSERT_EQUAL(world_remove(w, "app"), 0);
    world_run(w, 100000);
    CU_ASSERT_TRUE(world_is_gone(d, "app"));
    story_end(w);
}

static void test_download_stops_when_it_is_paused(void)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .lost = true});
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 5000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_DOWNLOADING);
    world_pause(w, "app");
    world_run(w, 5000);
    CU_ASSERT_FALSE(d->job.busy);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1") || d->disk.held[0].phase == PHASE_DOWNLOADING);
    story_end(w);
}

static void test_rollback_brings_the_version_before_with_a_new_generation(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_rollback(w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(d->disk.held[0].running.generation, 3);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    story_end(w);
}

static void test_removed_deployment_runs_its_remove_hook_and_goes(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    CU_ASSERT_EQUAL(world_remove(w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_is_gone(d, "app"));
    CU_ASSERT_EQUAL(world_count(w, "hook remove app app@v1"), 1);
    CU_ASSERT_EQUAL(d->disk.trees.count, 0);
    CU_ASSERT_EQUAL(d->disk.chunks.count, 0);
    story_end(w);
}

static void test_remove_hook_that_fails_does_not_keep_the_deployment(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    world_push(w, &(struct script){.name = "app", .version = "v1", .fails = 1u << HOOK_REMOVE});
    world_deploy(w, "app", "v1", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    world_remove(w, "app");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_is_gone(d, "app"));
    story_end(w);
}

/* One document in which the old deployment is gone and a new one has its name. */
static void take_the_name(uint64_t cut, uint64_t full, bool *hit)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    device_cut_power(d, UINT64_MAX);
    CU_ASSERT_EQUAL(world_remove(w, "app"), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    world_run(w, 1000);
    d->cut_at = cut ? d->points + cut : 0;
    d->disk.full_from = full ? d->disk.writes + full : 0;
    d->disk.full_for = 2;
    device_start(d);
    world_run(w, 1000);
    bool good = story_rest(w) && world_runs(d, "app", "v2") && d->disk.held_count == 1 &&
                d->disk.held[0].deployment == 2 && world_count(w, "hook remove app app@v1") >= 1;
    *hit = cut ? d->was_cut : d->disk.was_full;
    story_end_at(w, cut + full, good);
}

static void test_name_of_a_removed_deployment_is_taken_by_a_new_one(void)
{
    bool hit = true;
    take_the_name(0, 0, &hit);
    hit = true;
    for (uint64_t n = 1; hit && n < STORY_POINTS_MAX; n++)
        take_the_name(n, 0, &hit);
    hit = true;
    for (uint64_t n = 1; hit && n < STORY_POINTS_MAX; n++)
        take_the_name(0, n, &hit);
}

static void test_removal_called_off_brings_the_deployment_back(void)
{
    bool cut = true;
    for (uint64_t n = 1; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = story_app_v1(&d, NULL);
        d->off_ms = UINT64_MAX;
        d->cut_at = d->points + n;
        world_label(w, d, "env=lab", "");
        world_run(w, 60000);
        cut = d->was_cut;
        world_label(w, d, "env=prod", "");
        world_run(w, 1000);
        if (d->state == DEVICE_OFF)
            device_start(d);
        bool good = story_rest(w) && world_runs(d, "app", "v1") &&
                    world_state(w, d, "app", NULL) == STATE_READY;
        story_end_at(w, n, good);
    }
}

static void test_kept_deployment_stays_when_its_record_goes(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    deploy(w, "app", "env=prod", 0, 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(deploy(w, "app", "env=prod", 0, RECORD_KEEP), 0); /* thought of later */
    world_run(w, 10000);
    world_remove(w, "app");
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 10000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_count(w, "hook remove"), 0);
    story_end(w);
}

static void test_kept_row_goes_when_a_new_deployment_has_taken_its_name(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    deploy(w, "app", "env=prod", 0, RECORD_KEEP);
    CU_ASSERT_TRUE(story_rest(w));
    world_remove(w, "app");
    world_run(w, 10000);
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 10000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_EQUAL(d->disk.held_count, 1);
    CU_ASSERT_EQUAL(d->disk.trees.count, 1);
    story_end(w);
}

/* ---- several at a time ---- */

static void test_higher_priority_comes_first(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    story_push(w, "low", "v1");
    story_push(w, "high", "v1");
    device_cut_power(d, UINT64_MAX);
    deploy(w, "low", "env=prod", 1, 0);
    deploy(w, "high", "env=prod", 5, 0);
    world_run(w, 1000);
    device_start(d);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(when(w, "fetch high@v1") < when(w, "fetch low@v1"));
    CU_ASSERT_TRUE(when(w, "store held high g1 Settled") < when(w, "fetch low@v1"));
    story_end(w);
}

static bool small_is_ready(const struct world *w, const void *d)
{
    return world_state(w, d, "small", NULL) == STATE_READY;
}

static void test_downloads_that_don_t_come_do_not_block_the_others(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    enum cause cause = CAUSE_NONE;
    device_cut_power(d, UINT64_MAX);
    world_push(w, &(struct script){.name = "first", .version = "v1", .lost = true});
    world_push(w, &(struct script){.name = "second", .version = "v1", .lost = true});
    story_push(w, "small", "v1");
    deploy(w, "first", "env=prod", 9, 0);
    deploy(w, "second", "env=prod", 8, 0);
    deploy(w, "small", "env=prod", 0, 0);
    world_run(w, 1000);
    device_start(d);
    /* Each of the two is waited for once. */
    CU_ASSERT_TRUE(world_run_until(w, small_is_ready, d, 2 * DEVICE_FETCH_PATIENCE_MS + 10000));
    world_run(w, 300000);
    CU_ASSERT_TRUE(world_count(w, "fetch first@v1") >= 3);
    CU_ASSERT_TRUE(world_count(w, "fetch second@v1") >= 3);
    CU_ASSERT_EQUAL(world_state(w, d, "first", &cause), STATE_DOWNLOADING);
    story_end(w);
}

static void test_more_exceptions_than_fit_are_counted_as_pending(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    for (int i = 0; i < 12; i++) {
        char name[8];
        snprintf(name, sizeof name, "app%02d", i);
        world_push(w, &(struct script){.name = name, .version = "v1", .fails = 1u << HOOK_APPLY});
        CU_ASSERT_EQUAL(deploy(w, name, "env=prod", 0, 0), 0);
    }
    world_run(w, 60000);
    CU_ASSERT_EQUAL(d->disk.held_count, 12);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_TRUNCATED);
    CU_ASSERT_EQUAL(world_state(w, d, "app00", NULL), STATE_FAILED);
    CU_ASSERT_EQUAL(world_state(w, d, "app11", NULL), STATE_PENDING);
    story_end(w);
}

static void test_agent_removed_by_the_operator_leaves_and_keeps_what_it_has(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    CU_ASSERT_EQUAL(world_remove_agent(w, d), 0);
    world_run(w, 200000);
    CU_ASSERT_TRUE(d->left);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(manager_find_agent(w->control->core, &d->disk.id), 0);
    device_cut_power(d, 1000);
    world_run(w, 200000);
    CU_ASSERT_TRUE(d->left);
    CU_ASSERT_FALSE(client_is_up(d->client));
    story_end(w);
}

static void test_agent_removed_in_the_middle_of_an_update_brings_it_to_an_end(void)
{
    struct device *d;
    struct world *w = story_app_v1(
        &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_HEALTH});
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 10000);
    CU_ASSERT_EQUAL(d->disk.held[0].phase, PHASE_VERIFYING);
    world_remove_agent(w, d);
    world_run(w, 200000);
    CU_ASSERT_TRUE(d->left);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_selectors_choose_the_agents),
    TEST(test_relabelled_agent_leaves_old_deployments_and_takes_new_ones),
    TEST(test_relabelling_in_the_middle_of_an_update_ends_in_the_new_cohort),
    TEST(test_cohort_left_in_the_middle_of_an_apply_does_not_leave_it_half_done),
    TEST(test_paused_deployment_starts_nothing_until_it_is_resumed),
    TEST(test_cordoned_agent_still_lets_go_of_what_is_removed),
    TEST(test_download_stops_when_it_is_paused),
    TEST(test_rollback_brings_the_version_before_with_a_new_generation),
    TEST(test_removed_deployment_runs_its_remove_hook_and_goes),
    TEST(test_remove_hook_that_fails_does_not_keep_the_deployment),
    TEST(test_name_of_a_removed_deployment_is_taken_by_a_new_one),
    TEST(test_removal_called_off_brings_the_deployment_back),
    TEST(test_kept_deployment_stays_when_its_record_goes),
    TEST(test_kept_row_goes_when_a_new_deployment_has_taken_its_name),
    TEST(test_higher_priority_comes_first),
    TEST(test_downloads_that_don_t_come_do_not_block_the_others),
    TEST(test_more_exceptions_than_fit_are_counted_as_pending),
    TEST(test_agent_removed_by_the_operator_leaves_and_keeps_what_it_has),
    TEST(test_agent_removed_in_the_middle_of_an_update_brings_it_to_an_end),
};

SUITE_MAIN("placing", tests)
