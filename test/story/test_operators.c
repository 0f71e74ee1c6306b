/* What operators do while a rollout is under way: pauses, approvals, devices that are taken out. */
#include "test/flocks.h"

static void test_last_stage_begins_when_an_operator_says_so(void)
{
    struct flock_options o = fleet_of(100, "always");
    o.approve_ms = 5 * UINT64_C(3600000);
    struct flock_result r = run(&o);
    CU_ASSERT_EQUAL(r.counts.approvals, 1);
    CU_ASSERT_EQUAL(r.ready, 100);
    /* Four fifths are in it. */
    CU_ASSERT_TRUE(r.reached_ms[0] >= o.approve_ms && r.reached_ms[3] < o.approve_ms + 1200000);
}

static void test_rollouts_outlive_pauses_and_come_to_all_who_were_not_taken_out(void)
{
    static const char *const links[] = {"always", "cellular", "flaky", "satellite"};
    struct flock_counts all = {0};
    for (uint32_t seed = 1; seed <= 8; seed++) {
        struct flock_options o = fleet_of(40, links[seed % 4]);
        o.seed = seed;
        o.rest_ms = 2 * UINT64_C(86400000);
        o.approve_ms = seed % 2 * UINT64_C(3600000);
        o.faults = (struct flock_faults){.pauses = 20, .removals = 3, .manager_kills = 10};
        struct flock_result r = run(&o);
        CU_ASSERT_EQUAL(r.ready, 40 - r.counts.removals);
        all.pauses += r.counts.pauses;
        all.removals += r.counts.removals;
        all.approvals += r.counts.approvals;
    }
    CU_ASSERT_TRUE(all.pauses > 40 && all.removals > 8 && all.approvals == 4);
}

/* All are too slow, and so nobody waits for them; but what they come to in the end counts. */
static void test_deadline_frees_slots_and_no_later_success_is_lost(void)
{
    struct flock_options o = fleet_of(60, "always");
    o.deadline_s = 120;
    o.policy.heartbeat_s = 60;
    o.bundle_bytes = UINT64_C(20) << 30;
    struct flock_result r = run(&o);
    CU_ASSERT_TRUE(r.counts.overdue > 30);
    CU_ASSERT_EQUAL(r.ready, 60);
    CU_ASSERT_EQUAL(r.failed, 0);
}

static void test_some_do_better_when_they_try_again(void)
{
    struct flock_options o = fleet_of(100, "cellular");
    o.failing_per_mille = 400;
    struct flock_result once = run(&o);
    o.retries = 3;
    struct flock_result more = run(&o);
    CU_ASSERT_EQUAL(once.counts.retries, 0);
    CU_ASSERT_TRUE(more.counts.retries > 20);
    CU_ASSERT_TRUE(more.failed > 0 && more.failed < once.failed);
    CU_ASSERT_EQUAL(more.ready + more.failed, 100);
}

/* Whatever he says amid a rollout, at the end everybody holds exactly what its labels and the last
 * word select: check.c looks. */
static void test_fleet_comes_to_the_operators_last_word(void)
{
    static const char *const links[] = {"always", "cellular", "flaky", "nightly"};
    struct flock_counts all = {0};
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct flock_options o = fleet_of(30 + seed, links[seed % 4]);
        o.seed = seed;
        o.rest_ms = 2 * UINT64_C(86400000);
        o.failing_per_mille = seed % 3 * 100;
        o.returning = seed % 2 * 2;
        o.bundle_bytes = 4 << 20;
        o.faults = (struct flock_faults){.pauses = 4,
                                         .aborts = 3,
                                         .rollbacks = 2,
                                         .second_tries = 4,
                                         .versions = 6,
                                         .relabels = 40,
                                         .cordons = 10,
                                         .manager_kills = 10};
        struct flock_result r = run(&o);
        all.aborts += r.counts.aborts;
        all.rollbacks += r.counts.rollbacks;
        all.second_tries += r.counts.second_tries;
        all.versions += r.counts.versions;
        all.relabels += r.counts.relabels;
        all.cordons += r.counts.cordons;
    }
    CU_ASSERT_TRUE(all.aborts > 5 && all.rollbacks > 10 && all.second_tries > 10);
    CU_ASSERT_TRUE(all.versions > 30 && all.relabels > 300 && all.cordons > 60);
}

static const struct suite_test tests[] = {
    TEST(test_last_stage_begins_when_an_operator_says_so),
    TEST(test_rollouts_outlive_pauses_and_come_to_all_who_were_not_taken_out),
    TEST(test_deadline_frees_slots_and_no_later_success_is_lost),
    TEST(test_some_do_better_when_they_try_again),
    TEST(test_fleet_comes_to_the_operators_last_word),
};

SUITE_MAIN("operators", tests)
