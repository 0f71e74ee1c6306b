#include "test/story/story.h"

/* An operator whose command got no answer says it again, until there is one. */
#define UNTIL_ANSWERED(w, call)                                                                    \
    do {                                                                                           \
        int answer_;                                                                               \
        while ((answer_ = (call)) == ERR_TIMEOUT)                                                  \
            world_run(w, 5000);                                                                    \
        CU_ASSERT_TRUE(answer_ >= 0);                                                              \
    } while (0)

/* A working day of the operator's, with the manager killed at the n-th point of it. */
static bool work_a_day(uint64_t n, uint64_t fail_commit)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct control *c = w->control;
    c->kill_at = n ? c->points + n : 0;
    c->fail_commit = fail_commit ? c->commits + fail_commit : 0;
    int batch;
    while ((batch = world_tokens(w, "env=lab,site=a", 3)) == ERR_TIMEOUT)
        world_run(w, 5000);
    if (batch == ERR_NO_SPACE)
        batch = world_tokens(w, "env=lab,site=a", 3);
    uint32_t batches = manager_batch_count(c->core);
    UNTIL_ANSWERED(w, world_push(w, &(struct script){.name = "app", .version = "v2"}));
    world_run(w, 100);
    UNTIL_ANSWERED(w, world_deploy(w, "app", "v2", "env in (prod,lab)"));
    world_run(w, 100);
    UNTIL_ANSWERED(w, world_label(w, d, "site=b", ""));
    struct token token = control_token(c, (uint32_t)batch, 1);
    struct device *lab = world_device(w, &token);
    world_run(w, 20000);
    bool good = story_rest(w) && world_runs(d, "app", "v2") && world_runs(lab, "app", "v2") &&
                manager_batch_count(c->core) >= batches && lab->disk.number == 2 &&
                strcmp(d->disk.assignment.labels.text, "env=prod,site=b") == 0 &&
                manager_agent_count(c->core) == 2;
    bool killed = c->was_killed;
    story_end_at(w, n, good);
    return killed;
}

static void test_manager_killed_at_any_point_forgets_nothing_it_acknowledged(void)
{
    uint64_t n = 1;
    while (work_a_day(n, 0) && n < STORY_POINTS_MAX)
        n++;
    CU_ASSERT_TRUE(n > 30);
}

static void test_commit_that_fails_leaves_no_trace_of_the_command(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    w->control->fail_commit = w->control->commits + 1;
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), ERR_NO_SPACE);
    world_run(w, 20000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

static void test_restarted_manager_says_nothing_new(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    uint64_t serial = w->control->rows->serial;
    control_kill(w->control, 1000);
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 5000);
    CU_ASSERT_EQUAL(w->control->rows->serial, serial);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    story_end(w);
}

static void test_reports_sent_while_the_manager_is_away_are_heard_when_it_is_back(void)
{
    struct device *d;
    struct world *w = story_app_v1(
        &d, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 60);
    control_kill(w->control, UINT64_MAX);
    world_run(w, 20000);
    device_cut_power(d, UINT64_MAX); /* and the device is gone before the manager is back */
    control_start(w->control);
    world_run(w, 5000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_ROLLED_BACK);
    story_end(w);
}

/* What a heartbeat tells, the next one tells as well: that alone is written behind. */
static void test_killed_manager_lacks_heartbeats_and_nothing_else(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct agent_row settled = *manager_agent(w->control->core, 1);
    world_run(w, 200000); /* three heartbeats */
    struct agent_row before = *manager_agent(w->control->core, 1);
    CU_ASSERT_TRUE(before.seq > settled.seq);
    control_kill(w->control, 1000);
    world_run(w, 2000);
    struct agent_row after = *manager_agent(w->control->core, 1);
    CU_ASSERT_EQUAL(after.seq, settled.seq);
    after.seq = before.seq;
    after.last_seen_s = before.last_seen_s;
    CU_ASSERT_EQUAL(memcmp(&after, &before, sizeof before), 0);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    world_run(w, 70000);
    after = *manager_agent(w->control->core, 1);
    CU_ASSERT_TRUE(after.seq > before.seq && after.last_seen_s > before.last_seen_s);
    CU_ASSERT_EQUAL(manager_counters(w->control->core)->replayed, 0);
    story_end(w);
}

/* ---- presence ---- */

static bool is_offline(const struct world *w, const void *d)
{
    return !(world_flags(w, d) & AGENT_ONLINE);
}

static void test_power_cut_shows_as_offline_by_the_last_will(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    uint64_t start = w->stage.now_ms;
    device_cut_power(d, UINT64_MAX);
    CU_ASSERT_TRUE(world_run_until(w, is_offline, d, 60000));
    CU_ASSERT_TRUE(w->stage.now_ms - start >= 30000); /* one and a half times the keep-alive */
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY); /* it keeps what it has */
    device_start(d);
    CU_ASSERT_TRUE(story_rest(w));
    story_end(w);
}

static void test_silent_agents_become_offline_after_two_and_a_half_heartbeats(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    uint32_t last_seen_s = manager_agent(w->control->core, 1)->last_seen_s;
    device_cut_power(d, UINT64_MAX);
    broker_kill(w->broker, false); /* which takes the will with it */
    world_run(w, 1000);
    broker_restart(w->broker, true);
    CU_ASSERT_TRUE(world_run_until(w, is_offline, d, 300000));
    uint64_t silent_s = stage_wall_s(&w->stage) - last_seen_s;
    CU_ASSERT_TRUE(silent_s >= 150 && silent_s <= 153);
    story_end(w);
}

static void test_manager_that_was_away_does_not_take_its_own_silence_for_the_agents(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    control_kill(w->control, UINT64_MAX);
    broker_kill(w->broker, false);
    world_run(w, 3600000);
    control_start(w->control); /* the broker is still down: nobody can be heard */
    world_run(w, 100000);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    world_run(w, 60000);
    CU_ASSERT_FALSE(world_flags(w, d) & AGENT_ONLINE);
    broker_restart(w->broker, true);
    CU_ASSERT_TRUE(story_rest(w));
    story_end(w);
}

static void test_link_that_dies_before_its_hello_shows_as_offline(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    client_cut(d->client);
    world_run(w, 100);
    broker_lose(w->broker, 1, true); /* the next message is the hello of the next link */
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 60000);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_manager_killed_at_any_point_forgets_nothing_it_acknowledged),
    TEST(test_commit_that_fails_leaves_no_trace_of_the_command),
    TEST(test_restarted_manager_says_nothing_new),
    TEST(test_reports_sent_while_the_manager_is_away_are_heard_when_it_is_back),
    TEST(test_killed_manager_lacks_heartbeats_and_nothing_else),
    TEST(test_power_cut_shows_as_offline_by_the_last_will),
    TEST(test_silent_agents_become_offline_after_two_and_a_half_heartbeats),
    TEST(test_manager_that_was_away_does_not_take_its_own_silence_for_the_agents),
    TEST(test_link_that_dies_before_its_hello_shows_as_offline),
};

SUITE_MAIN("manager deaths", tests)
