/* What operators set of a rollout on its way: how fast it goes, and what it bears. */
#include "test/rollout_model.h"

static const uint32_t usual[COHORTS] = {0, 0, 20, 20};

static struct plan one_stage(void)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.reachable_within_s = 30;
    p.stages[0] = (struct plan_stage){.name = "all"};
    return p;
}

static struct pace rate_of(uint32_t agents, uint32_t span_s)
{
    return (struct pace){.says = 1u << PACE_RATE,
                         .rate = {.agents = {agents, false}, .span_s = span_s}};
}

static struct pace concurrency_of(uint32_t agents)
{
    return (struct pace){.says = 1u << PACE_CONCURRENCY, .concurrency = {agents, false}};
}

static struct pace max_failed_of(uint32_t agents)
{
    return (struct pace){.says = 1u << PACE_MAX_FAILED, .max_failed = {agents, agents == 0}};
}

static struct pace start_at(uint64_t start_s)
{
    return (struct pace){.says = 1u << PACE_START, .start_s = start_s};
}

static struct pace returning_of(uint32_t agents)
{
    return (struct pace){.says = 1u << PACE_RETURNING, .returning = {agents, false}};
}

static struct pace quorum_of(uint32_t percent)
{
    return (struct pace){.says = 1u << PACE_QUORUM, .quorum = percent};
}

static struct pace deadline_of(uint32_t deadline_s)
{
    return (struct pace){.says = 1u << PACE_DEADLINE, .deadline_s = deadline_s};
}

static void refused(struct fleet *f, const char *stage, struct pace pace, int code,
                    const char *sentence)
{
    CU_ASSERT_EQUAL(set_pace(f, stage, pace), code);
    CU_ASSERT_STRING_EQUAL(f->out.error.text, sentence);
    CU_ASSERT_EQUAL(f->out.persist_count, 0);
}

/* ---- at once, and as long as this version is rolled out ---- */

static void test_a_rate_goes_on_in_the_span_that_it_finds_also_when_the_manager_is_killed(void)
{
    struct fleet *f = fleet_new(1, usual);
    struct plan p = one_stage();
    p.rate = (struct rate){.agents = {10, false}, .span_s = 1000};
    deploy(f, "1", &p);
    second(f);
    uint64_t span_s = f->now_s;
    seconds(f, 50);
    CU_ASSERT_EQUAL(count_let_in(f), 10);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(15, 1000)), 0);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(15, 1000)), 1);
    second(f);
    CU_ASSERT_EQUAL(count_let_in(f), 15);
    restart(f);
    CU_ASSERT_EQUAL(plan_of(f)->rate.agents.value, 15);
    CU_ASSERT_EQUAL(plan_pace(plan_of(f), STAGES_MAX).says, 1u << PACE_RATE);
    seconds(f, 50);
    CU_ASSERT_EQUAL(count_let_in(f), 15);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(5, 1000)), 0); /* more are in than that */
    seconds(f, 50);
    CU_ASSERT_EQUAL(count_let_in(f), 15);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(20, 300)), 0);
    while (f->now_s < span_s + 299)
        second(f);
    CU_ASSERT_EQUAL(count_let_in(f), 20);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->span_s, span_s + 300);
    CU_ASSERT_EQUAL(count_let_in(f), 40);
    until_done(f, 60);
    end(f);
}

static void test_no_rate_holds_nobody_and_the_next_version_has_its_own_again(void)
{
    struct fleet *f = fleet_new(2, usual);
    struct plan p = one_stage();
    p.rate = (struct rate){.agents = {10, false}, .span_s = 1000};
    deploy(f, "1", &p);
    seconds(f, 50);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(0, 0)), 0);
    second(f);
    CU_ASSERT_EQUAL(count_let_in(f), 40);
    until_done(f, 60);
    CU_ASSERT_EQUAL(plan_of(f)->rate.span_s, 0);
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 1); /* nothing goes by it */
    deploy(f, "2", NULL);
    CU_ASSERT_EQUAL(plan_of(f)->rate.span_s, 1000);
    CU_ASSERT_EQUAL(plan_pace(plan_of(f), STAGES_MAX).says, 0);
    seconds(f, 100);
    CU_ASSERT_EQUAL(count_let_in(f), 0); /* ten came in in this span, when there was a rate */
    end(f);
}

static void test_of_fewer_slots_those_at_work_come_to_their_end_first(void)
{
    struct fleet *f = fleet_new(3, (const uint32_t[]){0, 0, 60, 0});
    struct plan p = one_stage();
    p.stages[0].concurrency.value = 10;
    deploy(f, "1", &p);
    second(f);
    CU_ASSERT_EQUAL(slots_taken(f), 10);
    CU_ASSERT_EQUAL(set_pace(f, "all", concurrency_of(3)), 0);
    for (int i = 0; i < 60 && slots_taken(f) > 3; i++) {
        second(f);
        CU_ASSERT_TRUE(count_let_in(f) == 10 || slots_taken(f) <= 3);
    }
    seconds(f, 20);
    CU_ASSERT_EQUAL(slots_taken(f), 3);
    CU_ASSERT_EQUAL(set_pace(f, "all", concurrency_of(20)), 0);
    second(f);
    CU_ASSERT_EQUAL(slots_taken(f), 20);
    until_done(f, 200);
    end(f);
}

static void test_more_failures_are_borne_once_that_is_said(void)
{
    struct fleet *f = fleet_new(4, (const uint32_t[]){0, 0, 20, 0});
    struct plan p = one_stage();
    p.stages[0].concurrency.value = 4;
    p.max_failed.value = 2;
    for (uint32_t n = 1; n <= 6; n++)
        f->agents[n].broken = true;
    deploy(f, "1", &p);
    seconds(f, 120);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    CU_ASSERT_EQUAL(set_pace(f, NULL, max_failed_of(6)), 0);
    seconds(f, 5);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED); /* as long as nobody resumes it */
    steer(f, COMMAND_RESUME, NULL);
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 1), 14);
    end(f);
}

static void test_fewer_failures_than_there_are_stop_it(void)
{
    struct fleet *f = fleet_new(5, (const uint32_t[]){0, 0, 40, 0});
    struct plan p = one_stage();
    p.stages[0].concurrency.value = 4;
    p.max_failed.value = 20;
    for (uint32_t n = 1; n <= 10; n++)
        f->agents[n].broken = true;
    deploy(f, "1", &p);
    for (int i = 0; i < 100 && counts_of(f, 0).failed == 0; i++)
        second(f);
    CU_ASSERT_EQUAL(set_pace(f, "all", max_failed_of(0)), 0);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    end(f);
}

static void test_the_start_moves_as_long_as_nothing_has_begun(void)
{
    struct fleet *f = fleet_new(6, usual);
    struct plan p = one_stage();
    uint64_t until_s;
    p.start_s = f->now_s + 1000;
    deploy(f, "1", &p);
    seconds(f, 10);
    CU_ASSERT_EQUAL(set_pace(f, NULL, start_at(f->now_s + 50)), 0);
    CU_ASSERT_EQUAL(manager_rollout_hold(f->m, 0, f->now_s, NULL, &until_s), HOLD_TIME);
    CU_ASSERT_EQUAL(until_s, f->now_s + 50);
    seconds(f, 49);
    CU_ASSERT_EQUAL(count_let_in(f), 0);
    CU_ASSERT_EQUAL(set_pace(f, NULL, start_at(f->now_s + 1000)), 0);
    seconds(f, 50);
    CU_ASSERT_EQUAL(count_let_in(f), 0);
    CU_ASSERT_EQUAL(set_pace(f, NULL, start_at(0)), 0);
    second(f);
    CU_ASSERT_EQUAL(count_let_in(f), 40);
    refused(f, NULL, start_at(f->now_s + 50), ERR_BUSY, "start: the rollout of app has begun");
    end(f);
}

/* Half of them are away until it is over. */
static void test_those_that_come_back_are_limited_once_that_is_said_and_no_more_when_it_is_not(void)
{
    struct fleet *f = fleet_new(10, usual);
    struct plan p = one_stage();
    for (uint32_t n = 1; n <= f->count; n += 2)
        go_offline(f, &f->agents[n]);
    seconds(f, 40);
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].busy_s = 30;
    deploy(f, "1", &p);
    second(f);
    CU_ASSERT_EQUAL(set_pace(f, NULL, returning_of(3)), 0);
    seconds(f, 2);
    for (uint32_t n = 1; n <= f->count; n += 2)
        come_back(f, &f->agents[n]);
    seconds(f, 10);
    CU_ASSERT_EQUAL(count_coming(f), 3);
    CU_ASSERT_EQUAL(set_pace(f, NULL, returning_of(5)), 0);
    restart(f);
    CU_ASSERT_EQUAL(plan_of(f)->returning.value, 5);
    CU_ASSERT_EQUAL(plan_pace(plan_of(f), STAGES_MAX).says, 1u << PACE_RETURNING);
    seconds(f, 10);
    CU_ASSERT_EQUAL(count_coming(f), 5);
    CU_ASSERT_EQUAL(set_pace(f, NULL, returning_of(0)), 0);
    seconds(f, 10);
    CU_ASSERT_TRUE(counts_of(f, 0).asking == 0 && counts_of(f, 0).returning > 5);
    until_done(f, 200);
    seconds(f, 60);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

static void test_a_lower_quorum_ends_a_stage_at_once(void)
{
    struct fleet *f = fleet_new(11, usual);
    struct plan p = one_stage();
    for (uint32_t n = 1; n <= 10; n++)
        f->agents[n].busy_s = 1000;
    deploy(f, "1", &p);
    seconds(f, 60);
    CU_ASSERT_EQUAL(counts_of(f, 0).ready, 30);
    CU_ASSERT_EQUAL(set_pace(f, NULL, quorum_of(80)), 0);
    seconds(f, 2);
    CU_ASSERT_FALSE(is_done(f));
    CU_ASSERT_EQUAL(set_pace(f, NULL, quorum_of(75)), 0);
    restart(f);
    seconds(f, 2);
    CU_ASSERT_TRUE(is_done(f));
    end(f);
}

/* One is at it for good, and one has heard nothing of it: what counts is time that they have had.
 */
static void test_another_deadline_counts_the_time_that_agents_have_had(void)
{
    struct fleet *f = fleet_new(12, usual);
    struct plan p = one_stage();
    p.deadline_s = 500;
    p.max_failed.value = 5;
    p.stages[0].after.wait_s = 1000;
    f->agents[1].busy_s = 5000;
    f->agents[2].deaf = true;
    deploy(f, "1", &p);
    seconds(f, 100);
    CU_ASSERT_EQUAL(counts_of(f, 0).failed, 0);
    CU_ASSERT_EQUAL(set_pace(f, NULL, deadline_of(60)), 0);
    seconds(f, 2);
    CU_ASSERT_EQUAL(counts_of(f, 0).overdue, 1);
    restart(f);
    CU_ASSERT_EQUAL(plan_of(f)->deadline_s, 60);
    seconds(f, 55);
    CU_ASSERT_EQUAL(counts_of(f, 0).overdue, 1);
    seconds(f, 20);
    CU_ASSERT_EQUAL(counts_of(f, 0).overdue, 2);
    CU_ASSERT_EQUAL(set_pace(f, NULL, deadline_of(3000)), 0);
    seconds(f, 2);
    CU_ASSERT_EQUAL(counts_of(f, 0).overdue, 1); /* who said nothing in time, until it does */
    CU_ASSERT_EQUAL(set_pace(f, NULL, deadline_of(0)), 0);
    seconds(f, 2);
    CU_ASSERT_EQUAL(counts_of(f, 0).overdue, 0);
    end(f);
}

/* All tries together need their time. */
static void test_a_deadline_that_leaves_no_time_for_tries_is_not_set(void)
{
    struct fleet *f = fleet_new(13, usual);
    struct plan p = one_stage();
    p.retries = 2;
    p.back_off_s = 10;
    p.stages[0].concurrency.value = 1;
    deploy(f, "1", &p);
    second(f);
    refused(f, NULL, deadline_of(30), ERR_USAGE,
            "deadline: 30s are for all tries together, and 2 retries alone wait 30s (back_off: "
            "10s)");
    CU_ASSERT_EQUAL(set_pace(f, NULL, deadline_of(31)), 0);
    end(f);
}

/* ---- what can't be set ---- */

static void test_what_makes_no_difference_is_refused(void)
{
    struct fleet *f = fleet_new(7, (const uint32_t[]){4, 3, 10, 0});
    struct plan p = three_stages();
    p.stages[2].rate = (struct rate){.agents = {5, false}, .span_s = 60};
    deploy(f, "1", &p);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    refused(f, NULL, (struct pace){0}, ERR_USAGE,
            "say what to set: start, rate, max_failed, concurrency, returning, quorum or "
            "deadline");
    refused(f, NULL, concurrency_of(3), ERR_USAGE,
            "concurrency: is of one stage: say which, like --stage prod");
    refused(f, NULL, rate_of(50, 60), ERR_BUSY,
            "rate: stage prod has one of its own: say --stage prod");
    refused(f, "staging", concurrency_of(3), ERR_BUSY,
            "the rollout of app is in stage prod: staging is over");
    refused(f, "none", concurrency_of(3), ERR_NOT_FOUND,
            "app has no stage none: see `dunlin rollout show app`");
    refused(f, "prod", start_at(1), ERR_USAGE,
            "start: is of the whole rollout: leave the stage out");
    refused(f, "prod", returning_of(2), ERR_USAGE,
            "returning: is of the whole rollout: leave the stage out");
    refused(f, "prod", quorum_of(50), ERR_USAGE,
            "quorum: is of the whole rollout: leave the stage out");
    refused(f, "prod", deadline_of(60), ERR_USAGE,
            "deadline: is of the whole rollout: leave the stage out");
    refused(f, "prod", rate_of(1, 59), ERR_USAGE,
            "stage prod: rate: 59s is shorter than a minute: say it for one");
    CU_ASSERT_EQUAL(set_pace(f, "prod", rate_of(50, 60)), 0);
    CU_ASSERT_EQUAL(set_pace(f, "rest", rate_of(50, 60)), 0); /* which is yet to come */
    CU_ASSERT_EQUAL(steer(f, COMMAND_ABORT, NULL), 0);
    refused(f, "prod", rate_of(1, 60), ERR_BUSY,
            "the rollout of app was aborted: see `dunlin rollout show app`");
    end(f);
}

static void test_what_goes_back_or_has_no_stages_has_no_pace(void)
{
    struct fleet *f = fleet_new(8, usual);
    struct plan p = one_stage(), none = PLAN_DEFAULT;
    deploy(f, "1", &none);
    refused(f, NULL, rate_of(1, 60), ERR_BUSY,
            "the rollout of app has no stages: see `dunlin rollout show app`");
    seconds(f, 30);
    CU_ASSERT_EQUAL(set_budget(f, "all", "", (struct amount){5, false}), 0);
    deploy(f, "2", NULL);
    second(f);
    refused(f, NULL, rate_of(1, 60), ERR_BUSY,
            "app has no stages of its own: a budget has it go through one, at its own pace");
    deploy(f, "3", &p);
    second(f);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(1, 60)), 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ROLLBACK, NULL), 0);
    refused(f, NULL, rate_of(1, 60), ERR_BUSY,
            "app goes back, which waits for nothing but budgets");
    until_done(f, 900);
    refused(f, NULL, rate_of(1, 60), ERR_BUSY,
            "the rollout of app is over: see `dunlin rollout show app`");
    end(f);
}

/* ---- and the file ---- */

static struct plan plan_after(struct fleet *f, const char *version, const struct plan *plan)
{
    static struct preview preview;
    struct errmsg em;
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct command c = {.type = COMMAND_DEPLOY,
                        .deploy = {.name = "app",
                                   .bundle = "app",
                                   .version = version,
                                   .selector = "",
                                   .all = true,
                                   .plan = plan,
                                   .dry_run = true}};
    CU_ASSERT_EQUAL(manager_preview(f->m, &c, f->now_s, &scratch, &preview, &em), 0);
    return preview.plan;
}

static void test_the_file_that_it_goes_by_is_no_other_plan(void)
{
    struct fleet *f = fleet_new(9, usual);
    struct plan p = one_stage(), other = one_stage();
    p.rate = (struct rate){.agents = {10, false}, .span_s = 1000};
    other.rate = rate_of(12, 500).rate;
    deploy(f, "1", &p);
    second(f);
    CU_ASSERT_EQUAL(deploy(f, "1", &other), ERR_BUSY);
    CU_ASSERT_EQUAL(set_pace(f, NULL, rate_of(12, 500)), 0);
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 1);
    CU_ASSERT_EQUAL(deploy(f, "1", &other), 1); /* what it has come to */
    CU_ASSERT_EQUAL(plan_of(f)->rate.span_s, 500);
    other.rate.span_s = 400;
    CU_ASSERT_EQUAL(deploy(f, "1", &other), ERR_BUSY);
    CU_ASSERT_EQUAL(plan_after(f, "1", &p).rate.span_s, 500); /* a dry run says the same */
    CU_ASSERT_EQUAL(plan_after(f, "2", &p).rate.span_s, 1000);
    CU_ASSERT_EQUAL(plan_after(f, "2", NULL).rate.span_s, 1000);
    CU_ASSERT_EQUAL(deploy(f, "2", &p), 0);
    CU_ASSERT_EQUAL(plan_of(f)->rate.span_s, 1000);
    end(f);
}

static const struct suite_test tests[] = {
    TEST(test_a_rate_goes_on_in_the_span_that_it_finds_also_when_the_manager_is_killed),
    TEST(test_no_rate_holds_nobody_and_the_next_version_has_its_own_again),
    TEST(test_of_fewer_slots_those_at_work_come_to_their_end_first),
    TEST(test_more_failures_are_borne_once_that_is_said),
    TEST(test_fewer_failures_than_there_are_stop_it),
    TEST(test_the_start_moves_as_long_as_nothing_has_begun),
    TEST(test_those_that_come_back_are_limited_once_that_is_said_and_no_more_when_it_is_not),
    TEST(test_a_lower_quorum_ends_a_stage_at_once),
    TEST(test_another_deadline_counts_the_time_that_agents_have_had),
    TEST(test_a_deadline_that_leaves_no_time_for_tries_is_not_set),
    TEST(test_what_makes_no_difference_is_refused),
    TEST(test_what_goes_back_or_has_no_stages_has_no_pace),
    TEST(test_the_file_that_it_goes_by_is_no_other_plan),
};

SUITE_MAIN("pace", tests)
