#include "test/story/story.h"

/* ---- the straight way ---- */

static void test_update_replaces_the_old_version(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(d->disk.trees.count, 1); /* what nobody needs is swept */
    story_end(w);
}

static void test_health_is_asked_until_it_passes(void)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .health_tries = 4});
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_EQUAL(world_count(w, "hook health app app@v2"), 4);
    story_end(w);
}

/* The same update with links that are lost all the time: a thousand worlds would do the same. */
static void test_links_that_come_and_go_only_make_it_slower(void)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct world *w = world_new(&(struct world_options){.seed = seed});
        struct device *d = world_agent(w, "env=prod");
        story_push(w, "app", "v1");
        story_push(w, "app", "v2");
        broker_options(w->broker)->cuts_per_mille = 150;
        broker_options(w->broker)->duplicates_per_mille = 100;
        world_deploy(w, "app", "v1", "env=prod");
        world_run(w, 5000);
        world_deploy(w, "app", "v2", "env=prod");
        world_run(w, 120000);
        broker_options(w->broker)->cuts_per_mille = 0;
        bool good = story_rest(w) && world_runs(d, "app", "v2");
        story_end_at(w, seed, good);
    }
}

static void test_link_lost_with_any_message_of_an_update_ends_the_same(void)
{
    bool lost = true;
    uint64_t n = 1;
    for (; lost && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
        broker_lose(w->broker, n, true);
        world_deploy(w, "app", "v2", "env=prod");
        world_run(w, 10000);
        bool good = story_rest(w) && world_runs(d, "app", "v2");
        lost = broker_lost(w->broker);
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 8);
}

/* ---- what goes wrong is taken back ---- */

static void fails_and_goes_back(const struct script *v2, enum cause expected, unsigned applies)
{
    struct device *d;
    enum cause cause = CAUSE_NONE;
    struct world *w = story_app_v1(&d, v2);
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(cause, expected);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v1"), applies);
    story_end(w);
}

static void test_broken_apply_rolls_back(void)
{
    fails_and_goes_back(&(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY},
                        CAUSE_APPLY, 2);
}

static void test_broken_health_rolls_back_at_its_deadline(void)
{
    fails_and_goes_back(
        &(struct script){
            .name = "app", .version = "v2", .fails = 1u << HOOK_HEALTH, .deadline_s = 20},
        CAUSE_HEALTH, 2);
}

static void test_broken_pre_apply_never_touches_what_runs(void)
{
    fails_and_goes_back(
        &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_PRE_APPLY},
        CAUSE_PRE_APPLY, 1);
}

static void test_bundle_of_an_unknown_publisher_is_not_run(void)
{
    fails_and_goes_back(&(struct script){.name = "app", .version = "v2", .publisher = 200},
                        CAUSE_UNTRUSTED, 1);
}

static void test_malformed_bundle_is_not_run(void)
{
    fails_and_goes_back(&(struct script){.name = "app", .version = "v2", .malformed = true},
                        CAUSE_CONTENT, 1);
}

static void test_first_version_that_fails_leaves_nothing_behind(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    enum cause cause = CAUSE_NONE;
    world_push(w, &(struct script){.name = "app", .version = "v1", .fails = 1u << HOOK_APPLY});
    world_deploy(w, "app", "v1", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_FAILED);
    CU_ASSERT_EQUAL(cause, CAUSE_APPLY);
    CU_ASSERT_PTR_NULL(disk_current(&d->disk, "app"));
    CU_ASSERT_EQUAL(world_count(w, "hook remove app app@v1"), 1);
    story_end(w);
}

static void test_failed_version_is_followed_by_a_good_one(void)
{
    struct device *d;
    struct world *w = story_app_v1(
        &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    story_push(w, "app", "v3");
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    world_deploy(w, "app", "v3", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v3"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    story_end(w);
}

static void test_newer_version_while_the_old_one_is_unhealthy_takes_it_back_first(void)
{
    static const struct script sick = {
        .name = "app", .version = "v2", .fails = 1u << HOOK_HEALTH, .deadline_s = 600};
    struct device *d;
    struct world *w = story_app_v1(&d, &sick);
    story_push(w, "app", "v3");
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 30000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_VERIFYING);
    world_deploy(w, "app", "v3", "env=prod");
    CU_ASSERT_TRUE(world_run_until(w, world_at_rest, NULL, 60000)); /* not at v2's deadline */
    CU_ASSERT_TRUE(world_runs(d, "app", "v3"));
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v1"), 2);
    story_end(w);
}

static void test_power_cut_in_apply_and_a_paused_successor_leave_the_old_version(void)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .hook_ms = 5000});
    story_push(w, "app", "v3");
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 8000); /* in the middle of hooks/apply */
    CU_ASSERT_EQUAL(d->disk.held[0].phase, PHASE_APPLYING);
    world_deploy(w, "app", "v3", "env=prod");
    world_pause(w, "app");
    world_run(w, 1000);
    device_cut_power(d, 5000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_PAUSED);
    world_resume(w, "app");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v3"));
    story_end(w);
}

/* ---- months without a link, managers and brokers that go ---- */

static void test_months_offline_jump_to_the_newest_document_only(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    story_push(w, "app", "v3");
    story_push(w, "app", "v4");
    device_cut_power(d, UINT64_MAX);
    w->control->tick_ms = 600000;
    for (int month = 0; month < 3; month++) {
        static const char *const versions[] = {"v2", "v3", "v4"};
        world_run(w, 30ull * 86400 * 1000);
        world_deploy(w, "app", versions[month], "env=prod");
    }
    world_run(w, 1000);
    device_start(d);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v4"));
    CU_ASSERT_EQUAL(world_count(w, "current app app@v2"), 0);
    CU_ASSERT_EQUAL(world_count(w, "fetch app@v3"), 0);
    story_end(w);
}

static void test_update_arrives_while_the_manager_is_down(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    device_cut_power(d, UINT64_MAX);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 1000);
    control_kill(w->control, UINT64_MAX);
    world_run(w, 60000);
    device_start(d);
    world_run(w, 60000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    control_start(w->control);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    story_end(w);
}

static void test_broker_that_loses_its_memory_is_refilled(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    broker_kill(w->broker, false);
    world_run(w, 10000);
    broker_restart(w->broker, false);
    world_run(w, 30000);
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    struct device *late = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(late, "app", "v2"));
    story_end(w);
}

static void test_broker_restart_with_its_memory_costs_nothing(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    broker_kill(w->broker, false);
    world_run(w, 10000);
    broker_restart(w->broker, true);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_count(w, "store document"), 2);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

/* ---- documents that expire ---- */

static void test_document_is_renewed_at_half_its_life(void)
{
    struct world *w = world_new(&(struct world_options){.document_life_s = 2000});
    struct device *d = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    uint64_t not_after_s = d->disk.document.not_after_s;
    world_run(w, 900000);
    CU_ASSERT_EQUAL(d->disk.document.not_after_s, not_after_s);
    world_run(w, 200000);
    CU_ASSERT_TRUE(d->disk.document.not_after_s >= not_after_s + 1000);
    CU_ASSERT_FALSE(world_flags(w, d) & AGENT_STALE);
    story_end(w);
}

static void test_expired_document_makes_stale_and_keeps_running(void)
{
    struct world *w = world_new(&(struct world_options){.document_life_s = 2000});
    struct device *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    world_deploy(w, "app", "v1", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    control_kill(w->control, UINT64_MAX);
    world_run(w, 2200000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_TRUE(world_count(w, " stale ") > 0);
    control_start(w->control);
    world_run(w, 100);
    CU_ASSERT_TRUE(world_run_until(w, world_at_rest, NULL, 120000));
    CU_ASSERT_FALSE(world_flags(w, d) & AGENT_STALE);
    story_end(w);
}

static bool is_stale(const struct world *w, const void *d)
{
    return (world_flags(w, d) & AGENT_STALE) != 0;
}

static void test_manager_shows_an_agent_whose_news_are_withheld_as_stale(void)
{
    struct world *w = world_new(&(struct world_options){.document_life_s = 2000});
    struct device *d = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    /* A device whose calendar runs ahead is in the same place as one that gets no news. */
    d->wall_off_s = 5000;
    CU_ASSERT_TRUE(world_run_until(w, is_stale, d, 120000));
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_update_replaces_the_old_version),
    TEST(test_health_is_asked_until_it_passes),
    TEST(test_links_that_come_and_go_only_make_it_slower),
    TEST(test_link_lost_with_any_message_of_an_update_ends_the_same),
    TEST(test_broken_apply_rolls_back),
    TEST(test_broken_health_rolls_back_at_its_deadline),
    TEST(test_broken_pre_apply_never_touches_what_runs),
    TEST(test_bundle_of_an_unknown_publisher_is_not_run),
    TEST(test_malformed_bundle_is_not_run),
    TEST(test_first_version_that_fails_leaves_nothing_behind),
    TEST(test_failed_version_is_followed_by_a_good_one),
    TEST(test_newer_version_while_the_old_one_is_unhealthy_takes_it_back_first),
    TEST(test_power_cut_in_apply_and_a_paused_successor_leave_the_old_version),
    TEST(test_months_offline_jump_to_the_newest_document_only),
    TEST(test_update_arrives_while_the_manager_is_down),
    TEST(test_broker_that_loses_its_memory_is_refilled),
    TEST(test_broker_restart_with_its_memory_costs_nothing),
    TEST(test_document_is_renewed_at_half_its_life),
    TEST(test_expired_document_makes_stale_and_keeps_running),
    TEST(test_manager_shows_an_agent_whose_news_are_withheld_as_stale),
};

SUITE_MAIN("updating", tests)
