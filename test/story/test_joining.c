#include "test/story/story.h"

static struct token a_token(struct world *w)
{
    int batch = world_tokens(w, "env=prod", 1);
    CU_ASSERT_TRUE_FATAL(batch >= 0);
    return control_token(w->control, (uint32_t)batch, 0);
}

/* One device, one number, and the manager hears of it. */
static bool has_joined_once(struct world *w, struct device *d)
{
    bool rest = story_rest(w);
    return rest && d->disk.number == 1 && manager_agent_count(w->control->core) == 1 &&
           (world_flags(w, d) & AGENT_ONLINE) && manager_batch(w->control->core, 0)->redeemed == 1;
}

/* The n-th message is lost. True when there were that many. */
static bool join_without(uint64_t n, bool with_link)
{
    struct world *w = world_new(&(struct world_options){.seed = n});
    struct token token = a_token(w);
    world_run(w, 1000);
    broker_lose(w->broker, n, with_link);
    struct device *d = world_device(w, &token);
    bool good = has_joined_once(w, d);
    bool lost = broker_lost(w->broker);
    story_end_at(w, n, good);
    return lost;
}

/* Later messages go only with their link: MQTT runs over TCP. */
static void test_lost_request_or_answer_still_makes_one_agent(void)
{
    for (uint64_t n = 1; n <= 4; n++)
        CU_ASSERT_TRUE(join_without(n, false));
}

static void test_any_lost_link_still_makes_one_agent(void)
{
    uint64_t n = 1;
    while (join_without(n, true) && n < STORY_POINTS_MAX)
        n++;
    CU_ASSERT_TRUE(n > 6); /* request and answer, and the first status */
}

static void test_manager_killed_at_any_point_of_a_join_makes_one_agent(void)
{
    bool killed = true;
    uint64_t n = 1;
    for (; killed && n < STORY_POINTS_MAX; n++) {
        struct world *w = world_new(&(struct world_options){.seed = n});
        struct token token = a_token(w);
        w->control->kill_at = w->control->points + n;
        struct device *d = world_device(w, &token);
        bool good = has_joined_once(w, d);
        killed = w->control->was_killed;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 5);
}

static void test_power_cut_at_any_point_of_a_join_makes_one_agent(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct world *w = world_new(&(struct world_options){.seed = n});
        struct token token = a_token(w);
        struct device *d = world_device_off(w, &token);
        d->cut_at = n;
        device_start(d);
        bool good = has_joined_once(w, d);
        cut = d->was_cut;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 5);
}

static void test_full_disk_of_the_manager_promises_nothing(void)
{
    struct world *w = world_new(NULL);
    struct token token = a_token(w);
    w->control->fail_commit = w->control->commits + 1;
    struct device *d = world_device(w, &token);
    CU_ASSERT_TRUE(has_joined_once(w, d));
    CU_ASSERT_EQUAL(world_count(w, "manager commit fails"), 1);
    CU_ASSERT_EQUAL(world_count(w, "agent 1 asks to join"), 2);
    story_end(w);
}

static void test_same_token_with_another_key_is_refused(void)
{
    struct world *w = world_new(NULL);
    struct token token = a_token(w);
    struct device *first = world_device(w, &token);
    world_run(w, 5000);
    struct device *second = world_device(w, &token);
    world_run(w, 20000);
    CU_ASSERT_EQUAL(first->disk.number, 1);
    CU_ASSERT_EQUAL(second->disk.number, 0);
    CU_ASSERT_EQUAL(second->refused, JOINED_USED);
    CU_ASSERT_EQUAL(manager_agent_count(w->control->core), 1);
    CU_ASSERT_EQUAL(manager_counters(w->control->core)->joins_refused, 1);
    story_end(w);
}

/* Two devices have the same token, and ask in any order and as often as the links make them. */
static bool race(uint64_t seed)
{
    const struct broker_options links = {.delay_ms_min = 1, .delay_ms_max = 400};
    struct world *w = world_new(&(struct world_options){.seed = seed, .links = links});
    struct token token = a_token(w);
    broker_lose(w->broker, seed % 12, true);
    struct device *a = world_device(w, &token), *b = world_device(w, &token);
    world_run(w, 60000);
    const struct manager_counters *c = manager_counters(w->control->core);
    const struct device *loser = a->disk.number ? b : a;
    bool good = a->disk.number + b->disk.number == 1 && loser->refused == JOINED_USED &&
                manager_agent_count(w->control->core) == 1 && c->alarms[ALARM_TOKEN_REUSED] == 1 &&
                (world_flags(w, loser == a ? b : a) & AGENT_ONLINE);
    story_end_at(w, seed, good);
    return good;
}

static void test_leaked_token_in_a_race_of_two_devices_lets_one_in_and_raises_one_alarm(void)
{
    for (uint64_t seed = 1; seed <= 1000; seed++)
        if (!race(seed))
            return;
}

static void approve(struct world *w, const struct device *d)
{
    struct manager_out out;
    struct command command = {.type = COMMAND_AGENT_APPROVE, .agent = d->disk.id};
    CU_ASSERT_EQUAL(control_command(w->control, &command, &out), 0);
}

static void test_device_waits_for_approval_also_over_restarts_of_both(void)
{
    struct world *w = world_new(NULL);
    struct manager_out out;
    struct command tokens = {
        .type = COMMAND_TOKEN_CREATE,
        .token = {.count = 1, .uses = 1, .expires_s = UINT64_MAX, .labels = "", .approve = true}};
    CU_ASSERT_EQUAL(control_command(w->control, &tokens, &out), 0);
    struct token token = control_token(w->control, out.index, 0);
    struct device *d = world_device(w, &token);
    world_run(w, 60000);
    CU_ASSERT_TRUE(world_count(w, "has to wait for an operator") > 3);
    CU_ASSERT_EQUAL(d->disk.number, 0);
    control_kill(w->control, 5000);
    device_cut_power(d, 2000);
    world_run(w, 60000);
    CU_ASSERT_EQUAL(d->disk.number, 0);
    CU_ASSERT_EQUAL(manager_agent_count(w->control->core), 1);
    approve(w, d);
    CU_ASSERT_TRUE(has_joined_once(w, d));
    story_end(w);
}

static void test_another_token_does_not_open_a_known_device(void)
{
    struct world *w = world_new(NULL);
    struct token token = a_token(w), other;
    struct device *d = world_device(w, &token);
    CU_ASSERT_TRUE(has_joined_once(w, d));
    other = control_token(w->control, (uint32_t)world_tokens(w, "env=prod", 1), 0);
    /* Its key was copied. */
    struct device *thief = world_device(w, &other);
    thief->disk.secret = d->disk.secret;
    thief->disk.key = d->disk.key;
    thief->disk.id = d->disk.id;
    world_run(w, 20000);
    CU_ASSERT_EQUAL(thief->disk.number, 0);
    CU_ASSERT_EQUAL(thief->refused, JOINED_USED);
    story_end(w);
}

/* Somebody has the device's token and its public key, which its certificate tells everybody: what
 * only it may know, it isn't told again. */
static void test_a_token_and_a_public_key_get_no_answer(void)
{
    struct world *w = world_new(NULL);
    struct token token = a_token(w);
    struct device *d = world_device(w, &token);
    CU_ASSERT_TRUE(has_joined_once(w, d));
    struct device *thief = world_device(w, &token);
    thief->disk.key = d->disk.key;
    thief->disk.id = d->disk.id;
    uint64_t before = manager_counters(w->control->core)->forged;
    world_run(w, 60000);
    CU_ASSERT_EQUAL(thief->disk.number, 0);
    CU_ASSERT_EQUAL(thief->refused, JOINED_ACCEPTED); /* nor refused */
    CU_ASSERT_TRUE(manager_counters(w->control->core)->forged > before);
    CU_ASSERT_EQUAL(manager_counters(w->control->core)->joins_again, 0);
    story_end(w);
}

static void test_revoked_and_expired_tokens_are_refused(void)
{
    struct world *w = world_new(NULL);
    struct manager_out out;
    struct token revoked = a_token(w), expired = a_token(w);
    struct command command = {.type = COMMAND_TOKEN_REVOKE, .batch = revoked.batch};
    CU_ASSERT_EQUAL(control_command(w->control, &command, &out), 0);
    struct device *first = world_device(w, &revoked);
    world_run(w, 5000);
    CU_ASSERT_EQUAL(first->refused, JOINED_REVOKED);
    world_run(w, 86400000);
    struct device *second = world_device(w, &expired);
    world_run(w, 5000);
    CU_ASSERT_EQUAL(second->refused, JOINED_EXPIRED);
    CU_ASSERT_EQUAL(manager_agent_count(w->control->core), 0);
    story_end(w);
}

static void test_unknown_token_is_only_a_hint_and_the_device_goes_on_trying(void)
{
    struct world *w = world_new(NULL);
    struct token token = control_token(w->control, 0, 0); /* of a batch that will be made later */
    struct device *d = world_device(w, &token);
    world_run(w, 20000);
    CU_ASSERT_EQUAL(d->disk.number, 0);
    CU_ASSERT_EQUAL(d->refused, JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(world_tokens(w, "env=prod", 1), 0);
    CU_ASSERT_TRUE(has_joined_once(w, d));
    story_end(w);
}

static void test_token_for_another_fleet_is_not_believed(void)
{
    struct world *w = world_new(NULL);
    struct token token = a_token(w);
    struct token mistyped = token;
    mistyped.secret.bytes[3] ^= 1;
    world_device(w, &mistyped);
    world_run(w, 20000);
    CU_ASSERT_EQUAL(manager_agent_count(w->control->core), 0);
    CU_ASSERT_TRUE(manager_counters(w->control->core)->forged >= 5);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_lost_request_or_answer_still_makes_one_agent),
    TEST(test_any_lost_link_still_makes_one_agent),
    TEST(test_manager_killed_at_any_point_of_a_join_makes_one_agent),
    TEST(test_power_cut_at_any_point_of_a_join_makes_one_agent),
    TEST(test_full_disk_of_the_manager_promises_nothing),
    TEST(test_same_token_with_another_key_is_refused),
    TEST(test_leaked_token_in_a_race_of_two_devices_lets_one_in_and_raises_one_alarm),
    TEST(test_device_waits_for_approval_also_over_restarts_of_both),
    TEST(test_another_token_does_not_open_a_known_device),
    TEST(test_a_token_and_a_public_key_get_no_answer),
    TEST(test_revoked_and_expired_tokens_are_refused),
    TEST(test_unknown_token_is_only_a_hint_and_the_device_goes_on_trying),
    TEST(test_token_for_another_fleet_is_not_believed),
};

SUITE_MAIN("joining", tests)
