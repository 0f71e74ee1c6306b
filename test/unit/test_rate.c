/* How many a rollout lets in within a span of time, among agents that come, go and fail. */
#include "manager/core/why.h"
#include "test/rollout_model.h"

static const uint32_t usual[COHORTS] = {0, 0, 20, 20};

static struct plan one_stage(struct amount agents, uint32_t span_s)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.reachable_within_s = 30;
    p.stages[0] = (struct plan_stage){.name = "all"};
    p.rate = (struct rate){.agents = agents, .span_s = span_s};
    return p;
}

static void test_as_many_as_the_rate_says_come_in_at_the_beginning_of_each_span(void)
{
    struct fleet *f = fleet_new(1, usual);
    struct plan p = one_stage((struct amount){12, false}, 100);
    deploy(f, "1", &p);
    second(f);
    uint64_t mark_s = rollout_of(f)->span_s;
    CU_ASSERT_EQUAL(mark_s, f->now_s);
    for (unsigned come = 12; come <= 36; come += 12) {
        CU_ASSERT_EQUAL(count_let_in(f), come);
        seconds(f, 99);
        CU_ASSERT_EQUAL(count_let_in(f), come); /* though nobody is at work any more */
        CU_ASSERT_EQUAL(count_running(f, 1), come);
        second(f);
        mark_s += 100;
        CU_ASSERT_EQUAL(rollout_of(f)->span_s, mark_s);
    }
    CU_ASSERT_EQUAL(count_let_in(f), 40);
    until_done(f, 30);
    end(f);
}

static void test_slots_and_rate_are_both_kept(void)
{
    struct fleet *f = fleet_new(2, usual);
    struct plan p = one_stage((struct amount){12, false}, 120);
    p.stages[0].concurrency.value = 5;
    deploy(f, "1", &p);
    second(f);
    CU_ASSERT_EQUAL(count_let_in(f), 5);
    seconds(f, 110);
    CU_ASSERT_EQUAL(count_let_in(f), 12);
    seconds(f, 10);
    CU_ASSERT_EQUAL(count_let_in(f), 17);
    until_done(f, 600);
    end(f);
}

static void test_killed_manager_goes_on_in_the_span_that_it_was_in(void)
{
    struct fleet *f = fleet_new(3, usual);
    struct plan p = one_stage((struct amount){25, true}, 60);
    deploy(f, "1", &p);
    for (unsigned come = 10; come <= 40; come += 10) {
        for (int i = 0; i < 6; i++) {
            second(f);
            CU_ASSERT_EQUAL(count_let_in(f), come);
            restart(f);
            seconds(f, 9);
            CU_ASSERT_EQUAL(count_let_in(f), come);
        }
    }
    until_done(f, 60);
    end(f);
}

/* As with slots: who is away is let in with the others, and finds the gate open. */
static void test_who_is_away_takes_no_part_of_the_rate(void)
{
    struct fleet *f = fleet_new(4, usual);
    struct plan p = one_stage((struct amount){5, false}, 100);
    for (uint32_t n = 1; n <= 30; n++)
        go_offline(f, &f->agents[n]);
    seconds(f, 40);
    deploy(f, "1", &p);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->let_in, 5);
    seconds(f, 100);
    CU_ASSERT_EQUAL(count_let_in(f), 40); /* nobody else waits */
    CU_ASSERT_EQUAL(rollout_of(f)->let_in, 5);
    for (uint32_t n = 1; n <= 30; n++)
        come_back(f, &f->agents[n]);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

/* The span that began with one stage's agents goes on in the next one. */
static void test_a_stage_goes_by_a_rate_of_its_own_in_place_of_the_plans(void)
{
    struct fleet *f = fleet_new(5, (const uint32_t[]){6, 4, 20, 0});
    struct plan p = three_stages();
    p.stages[2].before.approval = false;
    p.stages[2].concurrency = (struct amount){0};
    p.rate = (struct rate){.agents = {8, false}, .span_s = 600};
    p.stages[2].rate = (struct rate){.agents = {50, true}, .span_s = 60};
    deploy(f, "1", &p);
    seconds(f, 300);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    CU_ASSERT_EQUAL(count_let_in(f), 8);
    while (rollout_of(f)->stage < 2)
        second(f);
    uint64_t mark_s = rollout_of(f)->span_s;
    seconds(f, 2);
    CU_ASSERT_EQUAL(count_let_in(f), 18); /* two canaries came in with this span: eight more, */
    CU_ASSERT_EQUAL(rollout_of(f)->span_s, mark_s);
    end(f);
}

static struct why why_of(struct fleet *f, uint32_t number)
{
    struct why why;
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    manager_why(f->m, number, 0, f->now_s, &scratch, &why);
    return why;
}

static void test_it_says_until_when_the_rate_holds_it(void)
{
    struct fleet *f = fleet_new(6, usual);
    struct plan p = one_stage((struct amount){39, false}, 600);
    uint64_t until_s;
    deploy(f, "1", &p);
    second(f);
    uint64_t mark_s = f->now_s;
    second(f);
    CU_ASSERT_EQUAL(manager_rollout_hold(f->m, 0, f->now_s, NULL, &until_s), HOLD_NONE);
    seconds(f, 60);
    struct stage_count count = counts_of(f, 0);
    CU_ASSERT_EQUAL(manager_rollout_hold(f->m, 0, f->now_s, &count, &until_s), HOLD_RATE);
    CU_ASSERT_EQUAL(until_s, mark_s + 600);
    CU_ASSERT_EQUAL(manager_rollout_hold(f->m, 0, f->now_s, NULL, &until_s), HOLD_RATE);
    CU_ASSERT_EQUAL(until_s, mark_s + 600);
    for (uint32_t n = 1; n <= f->count; n++) {
        struct why why = why_of(f, n);
        bool in = f->agents[n].running == 1;
        CU_ASSERT_EQUAL(why.reason, in ? WHY_READY : WHY_RATE);
        CU_ASSERT_EQUAL(why.until_s, in ? 0 : mark_s + 600);
    }
    uint64_t walked = 0;
    for (int i = 0; i < 400; i++) { /* it waits for a moment: nobody is counted but for reports */
        second(f);
        walked += f->m->walked;
    }
    CU_ASSERT_EQUAL(walked, 0);
    until_done(f, 200);
    CU_ASSERT_TRUE(f->now_s > mark_s + 600);
    end(f);
}

static void test_retries_and_newer_versions_begin_no_span(void)
{
    struct fleet *f = fleet_new(7, usual);
    struct plan p = one_stage((struct amount){10, false}, 300);
    p.max_failed = (struct amount){100, true};
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].broken = true;
    deploy(f, "1", &p);
    second(f);
    uint64_t mark_s = rollout_of(f)->span_s;
    seconds(f, 50);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    seconds(f, 50);
    CU_ASSERT_EQUAL(count_let_in(f), 0);
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].broken = false;
    CU_ASSERT_EQUAL(deploy(f, "2", NULL), 0);
    seconds(f, 100);
    CU_ASSERT_EQUAL(count_let_in(f), 0);
    while (f->now_s < mark_s + 300)
        second(f);
    CU_ASSERT_EQUAL(count_let_in(f), 10);
    until_done(f, 1200);
    end(f);
}

/* Also what a budget has go back by stages. */
static void test_what_goes_back_waits_for_no_rate(void)
{
    struct fleet *f = fleet_new(8, usual);
    struct plan p = one_stage((struct amount){20, false}, 3600), any = one_stage(p.rate.agents, 0);
    deploy(f, "1", &any);
    until_done(f, 40);
    deploy(f, "1", &p);
    deploy(f, "2", NULL);
    seconds(f, 40);
    CU_ASSERT_EQUAL(count_running(f, 2), 20);
    CU_ASSERT_EQUAL(set_budget(f, "all", "", (struct amount){50, true}), 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ROLLBACK, NULL), 0);
    CU_ASSERT_TRUE(rollout_of(f)->back);
    until_done(f, 120);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 3), 40);
    end(f);
}

static const struct suite_test tests[] = {
    TEST(test_as_many_as_the_rate_says_come_in_at_the_beginning_of_each_span),
    TEST(test_slots_and_rate_are_both_kept),
    TEST(test_killed_manager_goes_on_in_the_span_that_it_was_in),
    TEST(test_who_is_away_takes_no_part_of_the_rate),
    TEST(test_a_stage_goes_by_a_rate_of_its_own_in_place_of_the_plans),
    TEST(test_it_says_until_when_the_rate_holds_it),
    TEST(test_retries_and_newer_versions_begin_no_span),
    TEST(test_what_goes_back_waits_for_no_rate),
};

SUITE_MAIN("rate", tests)
