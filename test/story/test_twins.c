/* Devices that are one agent, and devices that take another's place. */
#include "test/story/story.h"

static bool is_quarantined(const struct world *w, const void *context)
{
    return (world_flags(w, context) & AGENT_QUARANTINED) != 0;
}

static const struct manager_counters *counters(const struct world *w)
{
    return manager_counters(w->control->core);
}

/* The clone begins so long after its storage was copied, and from so much older numbers. */
static bool clone_is_found(uint64_t seed, uint64_t later_ms, unsigned restarts)
{
    struct world *w = world_new(&(struct world_options){.seed = seed});
    struct device *d = world_agent(w, "env=prod");
    struct device *other = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    struct device *twin = world_clone(w, d);
    for (unsigned i = 0; i < restarts; i++) {
        device_cut_power(d, 2000);
        world_run(w, 20000);
    }
    world_run(w, later_ms);
    device_start(twin);
    bool found = world_run_until(w, is_quarantined, d, 3600000) &&
                 counters(w)->alarms[ALARM_CLONE] == 1 &&
                 world_flags(w, other) == (AGENT_ONLINE | AGENT_ASSIGNED);
    story_end_at(w, seed, found);
    return found;
}

static void test_clone_is_found_whenever_it_begins(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        CU_ASSERT_TRUE(clone_is_found(seed, seed * 7777, 0));
        CU_ASSERT_TRUE(clone_is_found(seed, 3600000, (unsigned)seed));
    }
}

/* Links that lose, double and delay, restarts and months: one device stays one. */
static void test_one_device_on_bad_links_is_never_taken_for_two(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world *w =
            world_new(&(struct world_options){.seed = seed,
                                              .links = {.delay_ms_min = 5,
                                                        .delay_ms_max = 2000,
                                                        .cuts_per_mille = 50,
                                                        .duplicates_per_mille = 300}});
        struct device *d = world_agent(w, "env=prod");
        for (int i = 0; i < 40; i++) {
            world_run(w, 60000);
            if (i % 3 == 0 && d->state != DEVICE_OFF)
                device_cut_power(d, 1000);
            if (i % 7 == 0)
                control_kill(w->control, 30000);
        }
        CU_ASSERT_FALSE(is_quarantined(w, d));
        CU_ASSERT_TRUE(d->past.boots > 10 && manager_agent(w->control->core, 1)->seq > 500);
        story_end(w);
    }
}

static void test_released_device_goes_on_when_its_twin_is_gone(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    struct device *twin = world_clone(w, d);
    device_start(twin);
    CU_ASSERT_TRUE(world_run_until(w, is_quarantined, d, 3600000));
    device_cut_power(d, UINT64_MAX);
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", ""), 0);
    world_run(w, 120000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_PENDING);
    CU_ASSERT_EQUAL(world_release(w, d), 0);
    world_run(w, 120000);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    CU_ASSERT_TRUE(world_runs(twin, "app", "v2"));
    CU_ASSERT_EQUAL(counters(w)->alarms[ALARM_CLONE], 1);
    story_end(w);
}

/* What is retained for a revoked agent is erased; its device is not heard any more. */
static void test_revoked_agent_is_neither_spoken_to_nor_heard(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct topic head =
        topic_make(&(struct topic_name){.kind = TOPIC_AGENT_HEAD, .agent = d->disk.id});
    CU_ASSERT_EQUAL(world_label(w, d, "site=a", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(broker_retained(w->broker, head.text).len > 0);
    CU_ASSERT_EQUAL(world_revoke(w, d), 0);
    world_run(w, 200000);
    CU_ASSERT_EQUAL(broker_retained(w->broker, head.text).len, 0);
    CU_ASSERT_TRUE(counters(w)->blocked > 0);
    CU_ASSERT_EQUAL(world_flags(w, d), 0);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

/* With the manager killed at the n-th point of it. */
static bool replaced(uint64_t n)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    int place;
    CU_ASSERT_EQUAL(world_label(w, d, "site=a", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    w->control->kill_at = n ? w->control->points + n : 0;
    while ((place = world_replace(w, d)) == ERR_TIMEOUT)
        world_run(w, 5000);
    const struct successor_row *s = manager_successor(w->control->core, (uint32_t)place);
    struct token token = control_token(w->control, s->batch, s->index);
    struct device *heir = world_device(w, &token);
    world_run(w, 60000);
    bool good = world_run_until(w, world_at_rest, NULL, STORY_MS_MAX) && heir->disk.number == 1 &&
                world_runs(heir, "app", "v1") && world_state(w, heir, "app", NULL) == STATE_READY &&
                world_flags(w, d) == 0 &&
                strcmp(heir->disk.assignment.labels.text, "env=prod,site=a") == 0 &&
                manager_agent_count(w->control->core) == 1;
    bool killed = w->control->was_killed;
    story_end_at(w, n, good);
    return killed;
}

static void test_successor_takes_the_place_whenever_the_manager_dies(void)
{
    CU_ASSERT_FALSE(replaced(0));
    for (uint64_t n = 1; n < STORY_POINTS_MAX && replaced(n); n++)
        ;
}

static const struct suite_test tests[] = {
    TEST(test_clone_is_found_whenever_it_begins),
    TEST(test_one_device_on_bad_links_is_never_taken_for_two),
    TEST(test_released_device_goes_on_when_its_twin_is_gone),
    TEST(test_revoked_agent_is_neither_spoken_to_nor_heard),
    TEST(test_successor_takes_the_place_whenever_the_manager_dies),
};

SUITE_MAIN("twins", tests)
