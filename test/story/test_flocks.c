#include "test/flocks.h"

static const struct flock_faults hostile = {.power_cuts = 2000,
                                            .lost_writes = 30,
                                            .rotten = 100,
                                            .clock_jumps = 500,
                                            .one_way = 2000,
                                            .duplicates = 100,
                                            .late = 50,
                                            .clones = 2,
                                            .manager_kills = 20,
                                            .cell_kills = 20,
                                            .queue_max = 200};

static void test_the_same_seed_makes_the_same_run_and_another_one_another(void)
{
    struct flock_options o = fleet_of(60, "flaky");
    o.faults = hostile;
    struct flock_result one = run(&o), same = run(&o);
    CU_ASSERT_EQUAL(one.digest, same.digest);
    CU_ASSERT_EQUAL(memcmp(&one.counts, &same.counts, sizeof one.counts), 0);
    o.seed = 2;
    CU_ASSERT_NOT_EQUAL(run(&o).digest, one.digest);
}

static void test_on_good_links_all_run_the_new_version_as_soon_as_the_stages_allow(void)
{
    struct flock_options o = fleet_of(200, "always");
    struct flock_result r = run(&o);
    CU_ASSERT_EQUAL(r.ready, 200);
    CU_ASSERT_EQUAL(r.failed, 0);
    CU_ASSERT_EQUAL(r.counts.joins, 200);
    CU_ASSERT_EQUAL(r.counts.connects, 200);
    /* Ten minutes of soaking behind the canaries, and then nine tenths of a fleet in tenths. */
    CU_ASSERT_TRUE(r.reached_ms[0] > 600000 && r.reached_ms[3] < 1200000);
}

static void test_who_can_come_only_at_night_comes_at_night(void)
{
    struct flock_options o = fleet_of(100, "nightly");
    o.run_ms = 2 * UINT64_C(86400000);
    struct flock_result r = run(&o);
    CU_ASSERT_EQUAL(r.ready, 100);
    /* It was asked for when the first night was over: the second one begins a day after the first.
     */
    CU_ASSERT_TRUE(r.reached_ms[0] >= 22 * 3600000ull && r.reached_ms[3] < 24 * 3600000ull);
}

/* Most ships are at sea all day, and get it when faults end and links are good. */
static void test_what_came_only_once_links_were_good_came_too_late(void)
{
    struct flock_options o = fleet_of(60, "ship");
    struct flock_result r = run(&o);
    CU_ASSERT_EQUAL(r.ready, 60);
    CU_ASSERT_TRUE(r.reached_count > 0 && r.reached_count < 60);
    CU_ASSERT_EQUAL(r.reached_ms[3], UINT64_MAX);
    CU_ASSERT_TRUE(r.days_ms >= o.run_ms && r.days_ms < o.run_ms + 1000);
    CU_ASSERT_TRUE(r.days.bytes_content < r.counts.bytes_content);
}

/* Each link that is lost has its will, and brokers keep it for a manager that is away. */
static void test_no_will_is_lost(void)
{
    struct flock_options o = fleet_of(50, "nightly");
    o.run_ms = 3 * UINT64_C(86400000);
    o.faults.manager_kills = 200;
    struct flock_result r = run(&o);
    CU_ASSERT_TRUE(r.counts.manager_kills > 100);
    CU_ASSERT_TRUE(r.counts.connects > 150);
    CU_ASSERT_EQUAL(r.counts.wills, r.counts.connects - o.agents);
}

static void test_a_version_that_fails_goes_back_where_it_fails_and_nowhere_else(void)
{
    struct flock_options o = fleet_of(200, "always");
    o.failing_per_mille = 200;
    struct flock_result r = run(&o);
    CU_ASSERT_EQUAL(r.ready + r.failed, 200);
    CU_ASSERT_TRUE(r.failed > 15 && r.failed < 70);
}

static void test_whatever_breaks_it_comes_to_rest_on_what_it_should_run(void)
{
    static const char *const links[] = {"always", "cellular", "satellite", "ship",
                                        "flaky",  "nightly",  "outage"};
    struct flock_counts all = {0};
    for (uint32_t seed = 1; seed <= 14; seed++) {
        struct flock_options o = fleet_of(20 + seed, links[seed % 7]);
        o.seed = seed;
        o.cells = 1 + seed % 3;
        o.rest_ms = 2 * 86400000ull;
        o.faults = hostile;
        struct flock_result r = run(&o);
        CU_ASSERT_TRUE(r.rested_ms > 0);
        all.power_cuts += r.counts.power_cuts;
        all.manager_kills += r.counts.manager_kills;
        all.cell_kills += r.counts.cell_kills;
        all.one_ways += r.counts.one_ways;
        all.duplicates += r.counts.duplicates;
        all.late += r.counts.late;
        all.rotten += r.counts.rotten;
        all.overflown += r.counts.overflown;
        all.let_in += r.counts.let_in;
    }
    CU_ASSERT_TRUE(all.power_cuts > 100 && all.manager_kills > 100 && all.cell_kills > 100);
    CU_ASSERT_TRUE(all.one_ways > 100 && all.duplicates > 1000 && all.late > 100);
    CU_ASSERT_TRUE(all.rotten > 20 && all.let_in > 100 && all.overflown > 20);
}

/* ---- what swarms have found ---- */

/* Runs of this kind, one of which broke a rule once. A seed tells another story as soon as anything
 * changes: so they are many. */
static void run_seeds(struct flock_options *o, uint64_t first, uint64_t last)
{
    for (o->seed = first; o->seed <= last; o->seed++)
        CU_ASSERT_TRUE(run(o).counts.let_in > 0);
}

/* For so many days, and as many to come to rest. */
static struct flock_options found_in(uint32_t agents, const char *links, uint32_t share,
                                     uint32_t days)
{
    struct flock_options o = fleet_of(agents, links);
    o.links[0].share = share;
    o.run_ms = o.rest_ms = days * UINT64_C(86400000);
    return o;
}

/* A will came before what its link had brought: the one that said so seemed to have come back. */
static void test_what_a_link_has_brought_is_heard_before_its_will(void)
{
    struct flock_options o = found_in(95, "ship", 3, 2);
    add_links(&o, "cellular", 8);
    o.cells = o.sites = 3;
    o.deploy_ms = 43165000;
    o.policy.heartbeat_s = 1810;
    o.bundle_bytes = 1378 << 10;
    o.failing_per_mille = 314;
    o.concurrency = (struct amount){.value = 56};
    o.returning = 3;
    o.faults = (struct flock_faults){.lost_writes = 88, .clock_jumps = 941};
    run_seeds(&o, 212, 217);
}

/* One that held a slot was started again, asked, and got a permit; then the manager died. */
static void test_slot_of_one_that_had_to_ask_outlives_the_manager(void)
{
    struct flock_options o = found_in(25, "nightly", 3, 2);
    add_links(&o, "always", 1);
    o.cells = 2;
    o.sites = 7;
    o.deploy_ms = 31974000;
    o.policy.heartbeat_s = 452;
    o.bundle_bytes = 1570 << 10;
    o.failing_per_mille = 271;
    o.concurrency = (struct amount){.value = 2, .percent = true};
    o.returning = 4;
    o.faults = (struct flock_faults){.lost_writes = 88,
                                     .one_way = 1697,
                                     .duplicates = 96,
                                     .late = 49,
                                     .manager_kills = 45,
                                     .cell_kills = 15};
    run_seeds(&o, 11, 20);
}

/* Three of a ship, of which two joined after their stage began: they come in behind it, together.
 */
static void test_who_joined_after_a_stage_began_takes_no_slot_of_it(void)
{
    struct flock_options o = found_in(4, "ship", 1, 3);
    o.cells = o.sites = 1;
    o.deploy_ms = 29494000;
    o.policy.heartbeat_s = 1115;
    o.bundle_bytes = 4062 << 10;
    o.concurrency = (struct amount){.value = 29, .percent = true};
    for (o.seed = 91000; o.seed < 91010; o.seed++)
        run(&o);
}

/* One with a permit went out of reach and came back, between two that began. */
static void test_permit_of_one_out_of_reach_for_a_moment_is_another_ones(void)
{
    struct flock_options o = found_in(108, "cellular", 3, 3);
    add_links(&o, "flaky", 9);
    add_links(&o, "outage", 1);
    o.cells = 3;
    o.sites = 6;
    o.deploy_ms = 35297000;
    o.policy.heartbeat_s = 3230;
    o.bundle_bytes = 3703 << 10;
    o.concurrency = (struct amount){.value = 65};
    o.returning = 3;
    o.faults = (struct flock_faults){
        .power_cuts = 491, .lost_writes = 58, .one_way = 149, .duplicates = 46, .late = 89};
    run_seeds(&o, 91044, 91049);
}

/* The manager goes by what either of the two devices says. */
static void test_slot_of_a_device_with_a_twin_is_nobodys(void)
{
    struct flock_options o = found_in(66, "nightly", 3, 2);
    o.cells = 2;
    o.sites = 1;
    o.deploy_ms = 30479000;
    o.policy.heartbeat_s = 1437;
    o.bundle_bytes = 3910 << 10;
    o.failing_per_mille = 199;
    o.concurrency = (struct amount){.value = 50, .percent = true};
    o.faults = (struct flock_faults){
        .rotten = 15, .clock_jumps = 1, .clones = 2, .manager_kills = 10, .cell_kills = 35};
    run_seeds(&o, 400358, 400362);
}

/* One that came back began with the version before as the gate let it in to the next. */
static void test_who_is_let_in_while_it_comes_back_takes_no_place(void)
{
    struct flock_options o = found_in(49, "ship", 7, 1);
    add_links(&o, "outage", 4);
    add_links(&o, "nightly", 8);
    o.cells = o.sites = 1;
    o.deploy_ms = 13248000;
    o.policy.heartbeat_s = 381;
    o.bundle_bytes = 1514 << 10;
    o.concurrency = (struct amount){.value = 33, .percent = true};
    o.returning = 1;
    o.faults = (struct flock_faults){.clones = 1};
    run_seeds(&o, 501040, 501043);
    o.returning = 4;
    run_seeds(&o, 501042, 501042);
}

/* A device and its copy were never seen together: the operator is told of old numbers. */
static void test_device_that_its_copy_was_ahead_of_is_let_in_again(void)
{
    struct flock_options o = found_in(84, "nightly", 10, 3);
    o.cells = 2;
    o.sites = 1;
    o.deploy_ms = 32734000;
    o.policy.heartbeat_s = 3293;
    o.bundle_bytes = 466 << 10;
    o.concurrency = (struct amount){.value = 68};
    o.returning = 1;
    o.faults = (struct flock_faults){
        .power_cuts = 179, .lost_writes = 67, .rotten = 64, .one_way = 2691, .clones = 3};
    o.rest_ms = 2 * UINT64_C(86400000);
    run_seeds(&o, 800504, 800505);
}

/* A rollout was superseded amid its second stage: who had begun with it asked for permits for the
 * version before, with which it begins no more, and those that had to begin waited for their places
 * for good. */
static void test_who_has_begun_with_what_was_withdrawn_takes_no_place(void)
{
    struct flock_options o = found_in(106, "nightly", 4, 2);
    o.cells = 4;
    o.sites = 9;
    o.deploy_ms = 8899000;
    o.approve_ms = 7555000;
    o.policy.heartbeat_s = 633;
    o.bundle_bytes = 2450 << 10;
    o.concurrency = (struct amount){.value = 43};
    o.returning = 3;
    o.failing_per_mille = 295;
    o.faults = (struct flock_faults){.lost_writes = 53,
                                     .rotten = 171,
                                     .late = 10,
                                     .manager_kills = 14,
                                     .cell_kills = 16,
                                     .versions = 2,
                                     .relabels = 27,
                                     .cordons = 13};
    run_seeds(&o, 2000005, 2000007);
}

/* Versions came faster than rollouts ended, and then it was tried again. Who ran what was withdrawn
 * waited, and a manager that was started anew took that for work: its slots were full for good. */
static void test_who_waits_amid_a_second_try_holds_no_slot(void)
{
    struct flock_options o = found_in(25, "flaky", 5, 3);
    add_links(&o, "cellular", 7);
    o.sites = 2;
    o.deploy_ms = 8351000;
    o.policy.heartbeat_s = 458;
    o.bundle_bytes = 2271 << 10;
    o.failing_per_mille = 154;
    o.retries = 2;
    o.back_off_s = 525;
    o.rest_ms = 2 * UINT64_C(86400000);
    o.faults = (struct flock_faults){.manager_kills = 12, .second_tries = 1, .versions = 2};
    run_seeds(&o, 4000562, 4000565);
}

/* Who was let in lost its link for a moment, had to ask, and began when its time since it was let
 * in was over. The manager counts a deadline by what the device does, so that it held its slot
 * still; the checker took it for one that comes back. */
static void test_who_begins_late_in_its_slot_is_not_one_that_comes_back(void)
{
    struct flock_options o = found_in(107, "flaky", 4, 2);
    o.cells = 3;
    o.sites = 6;
    o.deploy_ms = 30526000;
    o.policy.heartbeat_s = 512;
    o.bundle_bytes = 1640 << 10;
    o.concurrency = (struct amount){.value = 17, .percent = true};
    o.returning = 3;
    o.deadline_s = 49;
    o.back_off_s = 531;
    o.faults = (struct flock_faults){.power_cuts = 430,
                                     .late = 24,
                                     .manager_kills = 14,
                                     .cell_kills = 11,
                                     .pauses = 8,
                                     .rollbacks = 1,
                                     .second_tries = 4,
                                     .cordons = 15};
    run_seeds(&o, 7000593, 7000594);
}

/* The one device of a stage had lost what it was unpacking, and had no try left: nobody was Ready,
 * so the stage waited for an operator, as it should; the checker knew only of versions that fail.
 */
static void test_stage_whose_only_device_has_failed_waits_for_an_operator(void)
{
    struct flock_options o = found_in(4, "ship", 3, 1);
    add_links(&o, "outage", 4);
    o.deploy_ms = 40506000;
    o.approve_ms = 646000;
    o.policy.heartbeat_s = 2917;
    o.bundle_bytes = 907 << 10;
    o.concurrency = (struct amount){.value = 60, .percent = true};
    o.back_off_s = 144;
    o.rest_ms = 2 * UINT64_C(86400000);
    o.faults = (struct flock_faults){.power_cuts = 4501,
                                     .lost_writes = 87,
                                     .duplicates = 85,
                                     .late = 1,
                                     .manager_kills = 40,
                                     .aborts = 2,
                                     .versions = 1,
                                     .cordons = 3};
    run_seeds(&o, 7002370, 7002371);
}

static const struct suite_test tests[] = {
    TEST(test_the_same_seed_makes_the_same_run_and_another_one_another),
    TEST(test_on_good_links_all_run_the_new_version_as_soon_as_the_stages_allow),
    TEST(test_who_can_come_only_at_night_comes_at_night),
    TEST(test_what_came_only_once_links_were_good_came_too_late),
    TEST(test_no_will_is_lost),
    TEST(test_a_version_that_fails_goes_back_where_it_fails_and_nowhere_else),
    TEST(test_whatever_breaks_it_comes_to_rest_on_what_it_should_run),
    TEST(test_what_a_link_has_brought_is_heard_before_its_will),
    TEST(test_slot_of_one_that_had_to_ask_outlives_the_manager),
    TEST(test_who_joined_after_a_stage_began_takes_no_slot_of_it),
    TEST(test_permit_of_one_out_of_reach_for_a_moment_is_another_ones),
    TEST(test_slot_of_a_device_with_a_twin_is_nobodys),
    TEST(test_who_is_let_in_while_it_comes_back_takes_no_place),
    TEST(test_device_that_its_copy_was_ahead_of_is_let_in_again),
    TEST(test_who_has_begun_with_what_was_withdrawn_takes_no_place),
    TEST(test_who_waits_amid_a_second_try_holds_no_slot),
    TEST(test_who_begins_late_in_its_slot_is_not_one_that_comes_back),
    TEST(test_stage_whose_only_device_has_failed_waits_for_an_operator),
};

SUITE_MAIN("flocks", tests)
