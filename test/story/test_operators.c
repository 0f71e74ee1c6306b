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

static const struct suite_test tests[] = {
    TEST(test_last_stage_begins_when_an_operator_says_so),
    TEST(test_rollouts_outlive_pauses_and_come_to_all_who_were_not_taken_out),
};

SUITE_MAIN("operators", tests)
