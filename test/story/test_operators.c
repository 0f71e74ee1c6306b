/* What operators do while a rollout is under way: pauses, approvals, devices that are taken out. */
#include "simulator/fleet/flock.h"
#include "test/suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct flock_options fleet_of(uint32_t agents, const char *links)
{
    struct errmsg em;
    struct flock_options o = FLOCK_DEFAULT;
    o.agents = agents;
    o.link_count = 1;
    o.links[0].share = 1;
    snprintf(o.links[0].name, sizeof o.links[0].name, "%s", links);
    CU_ASSERT_EQUAL_FATAL(profile_find(links, &o.links[0].profile, &em), 0);
    return o;
}

static struct flock_result run(const struct flock_options *o)
{
    struct flock_result r;
    flock_run(o, NULL, NULL, &r);
    free(r.reached_s);
    r.reached_s = NULL;
    CU_ASSERT_STRING_EQUAL(r.fault, "");
    return r;
}

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
