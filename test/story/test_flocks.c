#include "simulator/fleet/fleet.h"
#include "test/flocks.h"

#define COMMAND_WORDS_MAX 80

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
                                            .queue_max = 200,
                                            .lying_disks = 200};

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
        all.lapses += r.counts.lapses;
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
    CU_ASSERT_TRUE(all.lapses > 100);
    CU_ASSERT_TRUE(all.rotten > 20 && all.let_in > 100 && all.overflown > 20);
}

/* ---- what swarms have found ---- */

/* A command as it was printed, of a run in which a rule was broken once: with this seed and those
 * behind it. A seed tells another story as soon as anything changes: so they are many. */
static void play(const char *command, uint32_t seeds)
{
    char text[COMMAND_MAX], *words[COMMAND_WORDS_MAX];
    int count = 0;
    uint64_t let_in = 0;
    struct flock_options o;
    struct errmsg em;
    snprintf(text, sizeof text, "%s", command);
    for (char *w = strtok(text, " "); w && count < COMMAND_WORDS_MAX; w = strtok(NULL, " "))
        words[count++] = w;
    CU_ASSERT_EQUAL_FATAL(fleet_read(count - 1, words + 1, &o, &em), 0);
    fleet_command(&o, text);
    CU_ASSERT_STRING_EQUAL(text, command);
    for (; seeds > 0; seeds--, o.seed++)
        let_in += run(&o).counts.let_in;
    CU_ASSERT_TRUE(let_in > 0);
}

/* A will came before what its link had brought: the one that said so seemed to have come back. */
static void test_what_a_link_has_brought_is_heard_before_its_will(void)
{
    play("dunlin-sim fleet --agents 95 --seed 212 --days 2 --links ship:3,cellular:8 "
         "--heartbeat 1810s --cells 3 --sites 3 --bundle 1378 --deploy-at 43165s "
         "--concurrency 56 --returning 3 --fail 314 --approve-after 0s --deadline 0s "
         "--retries 0 --back-off 300s --lost-writes 88 --clock-jumps 941",
         3);
}

/* One that held a slot was started again, asked, and got a permit; then the manager died. */
static void test_slot_of_one_that_had_to_ask_outlives_the_manager(void)
{
    play("dunlin-sim fleet --agents 25 --seed 11 --days 2 --links nightly:3,always:1 "
         "--heartbeat 452s --cells 2 --sites 7 --bundle 1570 --deploy-at 31974s "
         "--concurrency 2% --returning 4 --fail 271 --approve-after 0s --deadline 0s "
         "--retries 0 --back-off 300s --lost-writes 88 --one-way 1697 --duplicates 96 "
         "--late 49 --manager-kills 45 --cell-kills 15",
         5);
}

/* Three of a ship, of which two joined after their stage began: they come in behind it, together.
 */
static void test_who_joined_after_a_stage_began_takes_no_slot_of_it(void)
{
    play("dunlin-sim fleet --agents 4 --seed 91000 --days 3 --links ship:1 --heartbeat 1115s "
         "--cells 1 --sites 1 --bundle 4062 --deploy-at 29494s --concurrency 29% "
         "--returning 0 --fail 0 --approve-after 0s --deadline 0s --retries 0 --back-off 300s",
         5);
}

/* One with a permit went out of reach and came back, between two that began. */
static void test_permit_of_one_out_of_reach_for_a_moment_is_another_ones(void)
{
    play("dunlin-sim fleet --agents 108 --seed 91044 --days 3 "
         "--links cellular:3,flaky:9,outage:1 --heartbeat 3230s --cells 3 --sites 6 "
         "--bundle 3703 --deploy-at 35297s --concurrency 65 --returning 3 --fail 0 "
         "--approve-after 0s --deadline 0s --retries 0 --back-off 300s --power-cuts 491 "
         "--lost-writes 58 --one-way 149 --duplicates 46 --late 89",
         3);
}

/* The manager goes by what either of the two devices says. */
static void test_slot_of_a_device_with_a_twin_is_nobodys(void)
{
    play("dunlin-sim fleet --agents 66 --seed 400358 --days 2 --links nightly:3 "
         "--heartbeat 1437s --cells 2 --sites 1 --bundle 3910 --deploy-at 30479s "
         "--concurrency 50% --returning 0 --fail 199 --approve-after 0s --deadline 0s "
         "--retries 0 --back-off 300s --rotten 15 --clock-jumps 1 --clones 2 "
         "--manager-kills 10 --cell-kills 35",
         5);
}

/* One that came back began with the version before as the gate let it in to the next. */
static void test_who_is_let_in_while_it_comes_back_takes_no_place(void)
{
    play("dunlin-sim fleet --agents 49 --seed 501040 --days 1 "
         "--links ship:7,outage:4,nightly:8 --heartbeat 381s --cells 1 --sites 1 "
         "--bundle 1514 --deploy-at 13248s --concurrency 33% --returning 1 --fail 0 "
         "--approve-after 0s --deadline 0s --retries 0 --back-off 300s --clones 1",
         4);
    play("dunlin-sim fleet --agents 49 --seed 501042 --days 1 "
         "--links ship:7,outage:4,nightly:8 --heartbeat 381s --cells 1 --sites 1 "
         "--bundle 1514 --deploy-at 13248s --concurrency 33% --returning 4 --fail 0 "
         "--approve-after 0s --deadline 0s --retries 0 --back-off 300s --clones 1",
         1);
}

/* A device and its copy were never seen together: the operator is told of old numbers. */
static void test_device_that_its_copy_was_ahead_of_is_let_in_again(void)
{
    play("dunlin-sim fleet --agents 84 --seed 800504 --days 3 --links nightly:10 "
         "--heartbeat 3293s --cells 2 --sites 1 --bundle 466 --deploy-at 32734s "
         "--concurrency 68 --returning 1 --fail 0 --approve-after 0s --deadline 0s "
         "--retries 0 --back-off 300s --power-cuts 179 --lost-writes 67 --rotten 64 "
         "--one-way 2691 --clones 3",
         2);
}

/* A rollout was superseded amid its second stage: who had begun with it asked for permits for the
 * version before, with which it begins no more, and those that had to begin waited for their places
 * for good. */
static void test_who_has_begun_with_what_was_withdrawn_takes_no_place(void)
{
    play("dunlin-sim fleet --agents 106 --seed 2000005 --days 2 --links nightly:4 "
         "--heartbeat 633s --cells 4 --sites 9 --bundle 2450 --deploy-at 8899s "
         "--concurrency 43 --returning 3 --fail 295 --approve-after 7555s --deadline 0s "
         "--retries 0 --back-off 300s --lost-writes 53 --rotten 171 --late 10 "
         "--manager-kills 14 --cell-kills 16 --versions 2 --relabels 27 --cordons 13",
         3);
}

/* Versions came faster than rollouts ended, and then it was tried again. Who ran what was withdrawn
 * waited, and a manager that was started anew took that for work: its slots were full for good. */
static void test_who_waits_amid_a_second_try_holds_no_slot(void)
{
    play("dunlin-sim fleet --agents 25 --seed 4000562 --days 3 --links flaky:5,cellular:7 "
         "--heartbeat 458s --cells 1 --sites 2 --bundle 2271 --deploy-at 8351s "
         "--concurrency 10% --returning 0 --fail 154 --approve-after 0s --deadline 0s "
         "--retries 2 --back-off 525s --manager-kills 12 --second-tries 1 --versions 2",
         4);
}

/* Who was let in lost its link for a moment, had to ask, and began when its time since it was let
 * in was over. The manager counts a deadline by what the device does, so that it held its slot
 * still; the checker took it for one that comes back. */
static void test_who_begins_late_in_its_slot_is_not_one_that_comes_back(void)
{
    play("dunlin-sim fleet --agents 107 --seed 7000593 --days 2 --links flaky:4 "
         "--heartbeat 512s --cells 3 --sites 6 --bundle 1640 --deploy-at 30526s "
         "--concurrency 17% --returning 3 --fail 0 --approve-after 0s --deadline 49s "
         "--retries 0 --back-off 531s --power-cuts 430 --late 24 --manager-kills 14 "
         "--cell-kills 11 --pauses 8 --rollbacks 1 --second-tries 4 --cordons 15",
         2);
}

/* The one device of a stage had lost what it was unpacking, and had no try left: nobody was Ready,
 * so the stage waited for an operator, as it should; the checker knew only of versions that fail.
 */
static void test_stage_whose_only_device_has_failed_waits_for_an_operator(void)
{
    play("dunlin-sim fleet --agents 4 --seed 7002370 --days 1 --links ship:3,outage:4 "
         "--heartbeat 2917s --cells 1 --sites 1 --bundle 907 --deploy-at 40506s "
         "--concurrency 60% --returning 0 --fail 0 --approve-after 646s --deadline 0s "
         "--retries 0 --back-off 144s --power-cuts 4501 --lost-writes 87 --duplicates 85 "
         "--late 1 --manager-kills 40 --aborts 2 --versions 1 --cordons 3",
         2);
}

/* Two tries of what fails there lay a lost link apart: its permit was taken back and given to
 * another one, which it could not be told, and the checker took it for one at work. */
static void test_who_waits_out_of_touch_between_two_tries_takes_no_place(void)
{
    play("dunlin-sim fleet --agents 113 --seed 7013252 --days 1 --links satellite:9,ship:3 "
         "--heartbeat 2412s --cells 2 --sites 5 --bundle 609 --deploy-at 30414s --concurrency 98% "
         "--returning 2 --fail 165 --approve-after 10911s --deadline 0s --retries 2 "
         "--back-off 218s --rotten 139 --clock-jumps 399 --late 67 --pauses 11 --removals 3 "
         "--second-tries 2 --versions 1",
         2);
}

/* A deployment was paused and went on. One that came back got its permit, and lost it by the word
 * that it was paused, from before it had heard; it began as another one was told to. */
static void test_word_of_a_pause_that_is_over_takes_no_permit_back(void)
{
    play("dunlin-sim fleet --agents 78 --seed 7014311 --days 2 --links always:9,satellite:7 "
         "--heartbeat 2278s --cells 3 --sites 4 --bundle 2114 --deploy-at 45653s --concurrency 25 "
         "--returning 1 --fail 133 --approve-after 14176s --deadline 0s --retries 0 --back-off 37s "
         "--lost-writes 81 --clock-jumps 680 --duplicates 244 --late 99 --manager-kills 29 "
         "--cell-kills 9 --pauses 11 --removals 3 --rollbacks 2 --versions 3 --cordons 19",
         2);
}

/* A disk had lost the tree of the version before, as the new one failed: the device tried to go
 * back to it for good, and took nothing newer. */
static void test_who_can_not_go_back_takes_what_is_newer(void)
{
    play("dunlin-sim fleet --agents 54 --seed 12000069 --days 1 --links always:1,flaky:8 "
         "--heartbeat 1569s --cells 1 --sites 1 --bundle 2994 --deploy-at 18611s "
         "--concurrency 81% --returning 1 --fail 372 --approve-after 0s --deadline 0s --retries 0 "
         "--back-off 188s --power-cuts 1056 --lost-writes 40 --duplicates 6 --pauses 16 "
         "--removals 1 --aborts 1 --second-tries 1 --relabels 10 --lying-disks 274",
         3);
}

/* A device had come back and ended what it had its permit for, and then its disk forgot. The
 * checker counted it as at work, since that permit was its again. */
static void test_who_forgets_that_it_is_through_takes_no_place(void)
{
    play("dunlin-sim fleet --agents 89 --seed 12101125 --days 2 "
         "--links outage:3,nightly:3,outage:8 --heartbeat 3572s --cells 1 --sites 5 --bundle 3685 "
         "--deploy-at 8407s --concurrency 4% --returning 1 --fail 0 --approve-after 0s "
         "--deadline 0s --retries 0 --back-off 590s --power-cuts 1854 --lost-writes 45 "
         "--rotten 79 --pauses 10 --lying-disks 423",
         2);
}

/* The one device of a label set was taken out, a rollout was aborted, and another one joined there,
 * where the gate was open. The checker said so of the first. */
static void test_who_was_taken_out_is_let_in_to_nothing(void)
{
    play("dunlin-sim fleet --agents 11 --seed 11000003 --days 2 --links ship:8 --heartbeat 2863s "
         "--cells 1 --sites 1 --bundle 3090 --deploy-at 34724s --concurrency 18% --returning 0 "
         "--fail 0 --approve-after 12285s --deadline 0s --retries 0 --back-off 447s "
         "--clock-jumps 1 --removals 1 --aborts 2",
         3);
}

/* A disk had lost the row that says that another tree is in place, and not the tree: the device
 * gave that version up, and went on with it. */
static void test_who_forgets_that_it_has_switched_switches_back(void)
{
    play("dunlin-sim fleet --agents 111 --seed 11000524 --days 2 --links outage:8 "
         "--heartbeat 248s --cells 1 --sites 1 --bundle 3386 --deploy-at 38232s --concurrency 21% "
         "--returning 0 --fail 0 --approve-after 9303s --deadline 0s --retries 0 --back-off 112s "
         "--power-cuts 3361 --lost-writes 95 --duplicates 274 --manager-kills 12 --rollbacks 1 "
         "--second-tries 2 --versions 1 --paces 1 --lying-disks 233",
         1);
}

/* It was let in to a second try while it was at work on the first, and came to its end there: all
 * that is left is a number. The checker still counted it. */
static void test_who_ends_the_first_try_amid_the_second_holds_no_slot(void)
{
    play("dunlin-sim fleet --agents 100 --seed 11003034 --days 1 "
         "--links flaky:5,nightly:1,satellite:2 --heartbeat 3268s --cells 3 --sites 2 --bundle 268 "
         "--deploy-at 39553s --concurrency 18 --returning 1 --fail 320 --approve-after 7141s "
         "--deadline 0s --retries 0 --back-off 251s --rotten 191 --one-way 2201 --duplicates 228 "
         "--late 17 --clones 1 --removals 2 --second-tries 4 --relabels 7",
         1);
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
    TEST(test_who_waits_out_of_touch_between_two_tries_takes_no_place),
    TEST(test_word_of_a_pause_that_is_over_takes_no_permit_back),
    TEST(test_who_can_not_go_back_takes_what_is_newer),
    TEST(test_who_forgets_that_it_is_through_takes_no_place),
    TEST(test_who_was_taken_out_is_let_in_to_nothing),
    TEST(test_who_forgets_that_it_has_switched_switches_back),
    TEST(test_who_ends_the_first_try_amid_the_second_holds_no_slot),
};

SUITE_MAIN("flocks", tests)
