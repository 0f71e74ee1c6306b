/* The fleet's certificate authority is followed by another, and nobody goes to a device. */
#include "simulator/world/notary.h"
#include "test/story/story.h"

#define DAY_MS (86400ull * 1000)
/* notary_secret() of the authorities that follow: this, and so on. */
#define HEIR 140

static struct key_id id_of(unsigned first)
{
    struct secret_key secret = notary_secret(first);
    struct public_key key = notary_public(&secret);
    return key_id_of(&key);
}

static int follow(struct world *w, unsigned heir, bool stolen)
{
    struct trust t = w->control->rows->trust;
    w->control->heir = notary_secret(heir);
    w->control->stolen = stolen;
    t.version++;
    t.authority_count = 1;
    t.authorities[0] = id_of(heir);
    return control_trust(w->control, &t, &(const unsigned){CONTROL_ROOT}, 1);
}

/* It has learned of the authority, and has a certificate by it. */
static bool is_led(const struct device *d, unsigned heir)
{
    struct key_id id = id_of(heir);
    return trust_has_authority(&d->disk.trust, &id) &&
           strcmp(d->disk.certificate_issuer, certificate_authority_name(&id).text) == 0;
}

static bool is_online(const struct world *w, const struct device *d)
{
    return world_flags(w, d) & AGENT_ONLINE;
}

static struct world *world_of_months(void)
{
    struct world *w = world_new(&(struct world_options){
        .policy = {.heartbeat_s = 3600, .keepalive_s = 600, .reconnect_spread_s = 600},
        .document_life_s = 365 * 86400});
    w->control->tick_ms = 600000;
    return w;
}

static void test_planned_change_is_followed_within_the_reconnect_spread_and_cuts_no_link(void)
{
    struct world *w = world_of_months();
    struct device *d[4];
    for (unsigned i = 0; i < 4; i++)
        d[i] = world_agent(w, "env=prod");
    unsigned asked = world_count(w, "asks for a certificate");
    CU_ASSERT_EQUAL(follow(w, HEIR, false), 0);
    world_run(w, 700000);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_TRUE(is_led(d[i], HEIR) && is_online(w, d[i]));
    CU_ASSERT_EQUAL(world_count(w, "asks for a certificate") - asked, 4);
    CU_ASSERT_EQUAL(world_count(w, "is turned away"), 0);
    CU_ASSERT_EQUAL(world_count(w, "broker killed"), 0);
    story_end(w);
}

static void test_device_that_is_away_for_a_month_comes_back_by_its_old_certificate(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    device_cut_power(d, 30 * DAY_MS);
    CU_ASSERT_EQUAL(follow(w, HEIR, false), 0);
    world_run(w, 30 * DAY_MS + 3600000);
    CU_ASSERT_TRUE(is_led(d, HEIR) && is_online(w, d));
    CU_ASSERT_EQUAL(world_count(w, "is turned away") + world_count(w, "knocks at the door"), 0);
    story_end(w);
}

static void test_device_that_was_away_over_three_changes_finds_in_and_over_four_does_not(void)
{
    for (unsigned changes = 3; changes <= 4; changes++) {
        struct world *w = world_of_months();
        struct device *d = world_agent(w, "env=prod");
        device_cut_power(d, 400 * DAY_MS);
        for (unsigned i = 0; i < changes; i++) {
            world_run(w, 10 * DAY_MS);
            CU_ASSERT_EQUAL(follow(w, HEIR + i, i == 1), 0);
        }
        world_run(w, 400 * DAY_MS);
        CU_ASSERT_EQUAL(is_led(d, HEIR + changes - 1) && is_online(w, d), changes == 3);
        CU_ASSERT_EQUAL(world_count(w, "refuses the broker") > 0, changes == 4);
        story_end(w);
    }
}

static void test_token_of_before_still_lets_a_blank_device_join(void)
{
    struct world *w = world_of_months();
    struct token token = control_token(w->control, (uint32_t)world_tokens(w, "env=prod", 1), 0);
    CU_ASSERT_EQUAL(follow(w, HEIR, false), 0);
    CU_ASSERT_EQUAL(follow(w, HEIR + 1, true), 0);
    struct device *d = world_device(w, &token);
    world_run(w, 700000);
    CU_ASSERT_TRUE(is_led(d, HEIR + 1) && is_online(w, d));
    story_end(w);
}

static void test_after_a_theft_all_are_cut_and_come_back_by_the_door(void)
{
    struct world *w = world_of_months();
    struct device *d[4];
    for (unsigned i = 0; i < 4; i++)
        d[i] = world_agent(w, "env=prod");
    CU_ASSERT_EQUAL(follow(w, HEIR, true), 0);
    CU_ASSERT_EQUAL(world_count(w, "broker killed"), 1);
    world_run(w, 4 * 600000);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_TRUE(is_led(d[i], HEIR) && is_online(w, d[i]));
    CU_ASSERT_EQUAL(world_count(w, "is turned away"), 4);
    CU_ASSERT_EQUAL(world_count(w, "knocks at the door"), 4);
    story_end(w);
}

static void test_who_has_followed_refuses_the_thiefs_broker_and_waits_for_ours(void)
{
    struct world *w = world_of_months();
    struct device *d = world_agent(w, "env=prod");
    struct broker_papers *papers = broker_papers(w->broker);
    const struct broker_papers thiefs = *papers;
    CU_ASSERT_EQUAL(follow(w, HEIR, true), 0);
    world_run(w, 4 * 600000);
    CU_ASSERT_TRUE(is_led(d, HEIR));
    const struct broker_papers ours = *papers;
    control_kill(w->control, UINT64_MAX);
    *papers = thiefs;
    broker_kill(w->broker, false);
    broker_restart(w->broker, true);
    world_run(w, 3600000);
    CU_ASSERT_FALSE(client_is_up(d->client));
    CU_ASSERT_TRUE(world_count(w, "refuses the broker") > 3);
    *papers = ours;
    control_start(w->control);
    world_run(w, 4 * 600000);
    CU_ASSERT_TRUE(is_online(w, d));
    story_end(w);
}

/* The power goes at point `cut` of the device, or the manager dies at its point `kill`. */
static bool change_with(uint64_t cut, uint64_t kill, bool stolen)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    d->cut_at = cut ? d->points + cut : 0;
    w->control->kill_at = kill ? w->control->points + kill : 0;
    for (int i = 0; i < 10 && w->control->rows->trust.version == 1; i++) {
        follow(w, HEIR, stolen);
        world_run(w, CONTROL_OFF_MS + 1000);
    }
    world_run(w, STORY_MS_MAX);
    bool good = is_led(d, HEIR) && story_rest(w);
    bool hit = cut ? d->was_cut : w->control->was_killed;
    story_end_at(w, cut + kill, good);
    return hit;
}

static void test_power_cut_at_any_point_only_delays(void)
{
    for (int stolen = 0; stolen < 2; stolen++) {
        uint64_t n;
        for (n = 1; n < 40 && change_with(n, 0, stolen); n++)
            ;
        CU_ASSERT_TRUE(n > 10);
    }
}

static void test_manager_that_dies_at_any_point_has_the_old_authority_or_the_new_one(void)
{
    for (int stolen = 0; stolen < 2; stolen++) {
        uint64_t n;
        for (n = 1; n < 12 && change_with(0, n, stolen); n++)
            ;
        CU_ASSERT_TRUE(n > 5);
    }
}

static const struct suite_test tests[] = {
    TEST(test_planned_change_is_followed_within_the_reconnect_spread_and_cuts_no_link),
    TEST(test_device_that_is_away_for_a_month_comes_back_by_its_old_certificate),
    TEST(test_device_that_was_away_over_three_changes_finds_in_and_over_four_does_not),
    TEST(test_token_of_before_still_lets_a_blank_device_join),
    TEST(test_after_a_theft_all_are_cut_and_come_back_by_the_door),
    TEST(test_who_has_followed_refuses_the_thiefs_broker_and_waits_for_ours),
    TEST(test_power_cut_at_any_point_only_delays),
    TEST(test_manager_that_dies_at_any_point_has_the_old_authority_or_the_new_one),
};

SUITE_MAIN("authorities", tests)
