/* Rollouts, rule by rule, among agents that come, go and fail. */
#include "test/rollout_model.h"

static const uint32_t usual[COHORTS] = {4, 3, 20, 20};

/* ---- the rules, one by one ---- */

static void test_stages_follow_each_other_and_the_last_waits_for_approval(void)
{
    struct fleet *f = fleet_new(1, usual);
    struct plan p = three_stages();
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    seconds(f, 5);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(slots_taken(f), 2); /* half of four */
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "staging"), ERR_BUSY);
    CU_ASSERT_STRING_EQUAL(f->out.error.text,
                           "stage staging of app doesn't wait for approval now: see `dunlin "
                           "rollout show app`");
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_OPENING);
    CU_ASSERT_EQUAL(count_running(f, 1), 7);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "canary"), ERR_BUSY);
    CU_ASSERT_STRING_EQUAL(f->out.error.text,
                           "the rollout of app is in stage prod: canary is over");
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "none"), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "prod"), 0);
    second(f);
    CU_ASSERT_EQUAL(slots_taken(f), 10);
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 1), 47);
    const struct rollout *r = rollout_of(f);
    CU_ASSERT_TRUE(r->took_s[0] >= 6 && r->took_s[0] < 60);
    CU_ASSERT_TRUE(r->took_s[2] > r->took_s[0]);
    uint32_t took_s = r->took_s[2];
    deploy(f, "2", NULL);
    CU_ASSERT_EQUAL(r->took_s[2], took_s); /* until it has gone there again */
    end(f);
}

static void test_who_is_away_neither_takes_a_slot_nor_holds_up_the_stage(void)
{
    struct fleet *f = fleet_new(2, usual);
    struct plan p = three_stages();
    for (uint32_t n = 1; n <= f->count; n += 3)
        go_offline(f, &f->agents[n]);
    seconds(f, 40);
    deploy(f, "1", &p);
    seconds(f, 150);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 300);
    unsigned away = 0;
    for (uint32_t n = 1; n <= f->count; n += 3, away++)
        CU_ASSERT_EQUAL(f->agents[n].running, 0);
    CU_ASSERT_EQUAL(count_running(f, 1), f->count - away);
    for (uint32_t n = 1; n <= f->count; n += 3)
        come_back(f, &f->agents[n]);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 1), f->count);
    end(f);
}

/* The first stage's agents are away, but for so many that fail. */
static struct fleet *nobody_of_staging(uint32_t wait_for_first_s, uint32_t broken)
{
    struct fleet *f = fleet_new(3, usual);
    struct plan p = three_stages();
    p.wait_for_first_s = wait_for_first_s;
    p.max_failed = (struct amount){100, true};
    for (uint32_t n = 1; n <= broken; n++)
        f->agents[n].broken = true;
    for (uint32_t n = broken + 1; n <= 4; n++)
        go_offline(f, &f->agents[n]);
    seconds(f, 40);
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    return f;
}

/* As it is known without counting. */
static enum rollout_hold hold_of(const struct fleet *f, uint64_t *until_s)
{
    return manager_rollout_hold(f->m, 0, f->now_s, NULL, until_s);
}

static void test_stage_of_which_nobody_is_reachable_waits_for_the_operator(void)
{
    struct fleet *f = nobody_of_staging(0, 0);
    uint64_t until_s;
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_REACH);
    CU_ASSERT_EQUAL(until_s, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "staging"), 0);
    seconds(f, 5);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_NONE);
    end(f);
}

static void test_stage_of_which_nobody_is_reachable_waits_as_long_as_its_plan_says(void)
{
    struct fleet *f = nobody_of_staging(3600, 0);
    uint64_t until_s;
    seconds(f, 100);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_REACH);
    CU_ASSERT_EQUAL(until_s, rollout_of(f)->since_s + 3600);
    restart(f);
    seconds(f, (unsigned)(until_s - f->now_s - 1));
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    for (uint32_t n = 1; n <= 4; n++)
        come_back(f, &f->agents[n]);
    seconds(f, 30);
    for (uint32_t n = 1; n <= 4; n++)
        CU_ASSERT_EQUAL(f->agents[n].running, 1);
    end(f);
}

static void test_stage_of_which_some_failed_and_the_rest_is_away_waits_for_the_operator(void)
{
    struct fleet *f = nobody_of_staging(60, 2);
    uint64_t until_s;
    seconds(f, 300);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_REACH);
    CU_ASSERT_EQUAL(until_s, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "staging"), 0);
    seconds(f, 5);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    end(f);
}

static void test_returning_agents_are_counted_apart(void)
{
    struct fleet *f = fleet_new(4, (const uint32_t[]){0, 0, 40, 0});
    struct plan p = PLAN_DEFAULT;
    struct stage_count counts[STAGES_MAX];
    p.count = 1;
    p.reachable_within_s = 5;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {5, false}};
    for (uint32_t n = 1; n <= 20; n++)
        go_offline(f, &f->agents[n]);
    seconds(f, 10);
    deploy(f, "1", &p);
    seconds(f, 15);
    for (uint32_t n = 1; n <= 20; n++)
        come_back(f, &f->agents[n]);
    seconds(f, 3);
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    manager_survey(f->m, 0, f->now_s, &scratch, counts);
    CU_ASSERT_TRUE(counts[0].returning > 0);
    CU_ASSERT_TRUE(counts[0].in_flight <= 5);
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

/* Half of them are away until the rollout is over. */
static struct fleet *half_away(uint64_t seed, struct amount limit)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){0, 0, 40, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.reachable_within_s = 5;
    p.returning = limit;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {5, false}};
    for (uint32_t n = 1; n <= 20; n++)
        go_offline(f, &f->agents[n]);
    seconds(f, 10);
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 1), 20);
    return f;
}

static void half_comes_back(struct fleet *f)
{
    for (uint32_t n = 1; n <= 20; n++)
        come_back(f, &f->agents[n]);
    seconds(f, 5);
}

static struct returning_use use_of(struct fleet *f)
{
    struct returning_use use;
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    manager_returning(f->m, 0, &scratch, &use);
    return use;
}

static void test_those_that_come_back_take_turns_also_when_the_rollout_is_over(void)
{
    struct fleet *f = half_away(41, (struct amount){3, false});
    half_comes_back(f);
    unsigned seconds_full = 0;
    for (unsigned s = 0; s < 200 && count_running(f, 1) < 40; s++) {
        second(f);
        CU_ASSERT_TRUE(count_coming(f) <= 3);
        CU_ASSERT_TRUE(counts_of(f, 0).returning <= 3);
        seconds_full += count_coming(f) == 3;
    }
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    CU_ASSERT_TRUE(seconds_full > 10);
    seconds(f, 2);
    CU_ASSERT_EQUAL(use_of(f).taken, 0); /* all of them were taken back */
    for (uint32_t n = 1; n <= 20; n++)
        CU_ASSERT_EQUAL(f->agents[n].permit, 0);
    end(f);
}

static void test_returning_percent_is_of_all_that_the_deployment_is_for(void)
{
    struct fleet *f = half_away(42, (struct amount){11, true});
    for (uint32_t n = 1; n <= 20; n++)
        f->agents[n].busy_s = 100;
    half_comes_back(f);
    CU_ASSERT_EQUAL(use_of(f).places, 5); /* 11 of 40, rounded up */
    CU_ASSERT_EQUAL(use_of(f).taken, 5);
    CU_ASSERT_EQUAL(use_of(f).asking, 15);
    CU_ASSERT_EQUAL(counts_of(f, 0).asking, 15);
    end(f);
}

static void test_manager_that_starts_again_knows_who_has_a_place(void)
{
    struct fleet *f = half_away(43, (struct amount){2, false});
    half_comes_back(f);
    for (unsigned s = 0; s < 300 && count_running(f, 1) < 40; s++) {
        second(f);
        if (s % 4 == 0)
            restart(f);
        CU_ASSERT_TRUE(use_of(f).taken <= 2);
    }
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

static void test_place_of_one_that_goes_away_is_another_ones(void)
{
    struct fleet *f = half_away(44, (struct amount){1, false});
    for (uint32_t n = 1; n <= 20; n++)
        f->agents[n].busy_s = 100000;
    half_comes_back(f);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t n = 1;
        while (n <= 20 && !f->agents[n].comes)
            n++;
        CU_ASSERT_TRUE_FATAL(n <= 20);
        CU_ASSERT_EQUAL(count_coming(f), 1);
        go_offline(f, &f->agents[n]);
        seconds(f, 30);
        CU_ASSERT_FALSE(f->agents[n].comes);
        CU_ASSERT_EQUAL(f->agents[n].permit, 0);
    }
    CU_ASSERT_EQUAL(use_of(f).taken, 0);
    end(f);
}

static void test_paused_deployment_gives_no_permits(void)
{
    struct fleet *f = half_away(45, (struct amount){2, false});
    steer(f, COMMAND_PAUSE, NULL);
    half_comes_back(f);
    CU_ASSERT_EQUAL(use_of(f).taken, 0);
    CU_ASSERT_EQUAL(count_running(f, 1), 20);
    steer(f, COMMAND_RESUME, NULL);
    seconds(f, 5);
    CU_ASSERT_EQUAL(use_of(f).taken, 2);
    seconds(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

/* It was paused, let go on, and told that it may begin; what it said before it heard of that comes
 * now. */
static void test_who_has_yet_to_hear_that_it_goes_on_keeps_its_place(void)
{
    struct fleet *f = half_away(51, (struct amount){1, false});
    struct permit permits[PERMITS_MAX];
    uint32_t n = 1;
    for (uint32_t i = 1; i <= 20; i++)
        f->agents[i].busy_s = 100000;
    half_comes_back(f);
    while (n < 20 && !f->agents[n].comes)
        n++;
    struct model *a = &f->agents[n];
    a->held = manager_generation(f->m, 0);
    say(f, a, 0);
    step(f, &(struct manager_event){.type = MANAGER_TICK});
    CU_ASSERT_EQUAL(manager_permits(f->m, a->number, permits), 1);
    CU_ASSERT_EQUAL(use_of(f).taken, 1);
    steer(f, COMMAND_PAUSE, NULL);
    say(f, a, 0);
    step(f, &(struct manager_event){.type = MANAGER_TICK});
    CU_ASSERT_EQUAL(manager_permits(f->m, a->number, permits), 0);
    end(f);
}

/* They were in touch when they were let in, and then were started again: so they ask. */
static struct fleet *slots_asked_for(uint64_t seed, uint32_t busy_s)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){0, 0, 40, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.reachable_within_s = 20;
    p.returning = (struct amount){1, false};
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {10, false}};
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    second(f);
    CU_ASSERT_EQUAL(slots_taken(f), 10);
    for (uint32_t n = 1; n <= 40; n++) {
        f->agents[n].met = 0;
        f->agents[n].busy_s = busy_s;
    }
    return f;
}

static void test_who_holds_a_slot_takes_no_place(void)
{
    struct fleet *f = slots_asked_for(46, 0);
    seconds(f, 10);
    CU_ASSERT_TRUE(count_running(f, 1) > 3);
    CU_ASSERT_EQUAL(count_coming(f), 0);
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

/* Though it has a permit, as one that came back has. */
static void test_slot_is_held_over_a_restart_by_who_was_given_a_permit_for_it(void)
{
    struct fleet *f = slots_asked_for(48, 100);
    for (unsigned i = 0; i < 3; i++) {
        seconds(f, 10);
        restart(f);
        seconds(f, 10);
        CU_ASSERT_EQUAL(slots_taken(f), 10);
        CU_ASSERT_EQUAL(counts_of(f, 0).in_flight, 10);
    }
    until_done(f, 900);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

/* The new manager hears that they ask before it has looked who is at work. */
static void test_who_asks_a_manager_that_has_just_started_has_kept_its_slot(void)
{
    struct fleet *f = slots_asked_for(49, 30);
    restart(f);
    seconds(f, 2);
    CU_ASSERT_TRUE(use_of(f).asking > 0);
    seconds(f, 20);
    CU_ASSERT_EQUAL(counts_of(f, 0).in_flight, 10);
    until_done(f, 900);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

/* They have asked one manager, and the next one learns of that from its store alone; or a manager
 * that took them for holders hears it as it looks. */
static void test_who_asked_has_kept_its_slot_for_every_manager_from_then_on(void)
{
    for (unsigned late_s = 0; late_s < 6; late_s++) {
        struct fleet *f = slots_asked_for(50 + late_s, 30);
        for (uint32_t n = 1; n <= 40; n++)
            f->agents[n].hears_s = f->now_s + late_s;
        restart(f);
        seconds(f, 2);
        restart(f);
        seconds(f, 2);
        restart(f);
        seconds(f, 2);
        CU_ASSERT_EQUAL(slots_taken(f), 10);
        CU_ASSERT_EQUAL(counts_of(f, 0).in_flight, 10);
        until_done(f, 900);
        CU_ASSERT_EQUAL(count_running(f, 1), 40);
        end(f);
    }
}

/* The manager is started again behind their first words, and before they ask: it takes them for
 * some that were in touch all the time. */
static void test_slots_guessed_after_a_restart_let_no_more_come_back_at_a_time(void)
{
    struct fleet *f = fleet_new(47, (const uint32_t[]){0, 0, 40, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.reachable_within_s = 5;
    p.returning = (struct amount){2, false};
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {5, false}};
    f->agents[40].busy_s = 300; /* it is on its way all the time */
    for (uint32_t n = 1; n <= 20; n++)
        go_offline(f, &f->agents[n]);
    seconds(f, 10);
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    seconds(f, 150);
    CU_ASSERT_EQUAL(count_running(f, 1), 19);
    for (uint32_t n = 1; n <= 20; n++) {
        come_back(f, &f->agents[n]);
        f->agents[n].hears_s = f->now_s + 5;
    }
    restart(f);
    seconds(f, 3);
    CU_ASSERT_EQUAL(counts_of(f, 0).in_flight, 21); /* so many are guessed */
    unsigned most = 0;
    for (unsigned s = 0; s < 200; s++) {
        second(f);
        most = count_coming(f) > most ? count_coming(f) : most;
        CU_ASSERT_TRUE(use_of(f).taken <= 2);
    }
    CU_ASSERT_EQUAL(most, 2);
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, 1), 40);
    end(f);
}

static struct fleet *with_v1(uint64_t seed, struct plan *p)
{
    struct fleet *f = fleet_new(seed, usual);
    deploy(f, "1", p);
    seconds(f, 150);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, 1), 47);
    return f;
}

static void test_too_many_failures_stop_it_and_resuming_forgives_them(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(5, &p);
    f->agents[2].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(manager_counters(f->m)->alarms[ALARM_ROLLOUT_STOPPED], 1);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

static void test_retry_works_on_the_failed_ones_only(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(6, &p);
    f->agents[2].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    f->agents[2].broken = false;
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    CU_ASSERT_EQUAL(f->agents[2].running, 3);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 3), 47);
    end(f);
}

/* By the manager's word. */
static uint32_t count_failed(struct fleet *f)
{
    struct deployment_counts counts;
    manager_count_deployments(f->m, &counts);
    return counts.states[STATE_FAILED] + counts.states[STATE_ROLLED_BACK];
}

static void test_failures_within_the_allowance_do_not_stop_it(void)
{
    struct plan p = three_stages();
    p.max_failed = (struct amount){10, true};
    struct fleet *f = with_v1(7, &p);
    for (uint32_t n = 8; n < 12; n++) /* of 40 in prod */
        f->agents[n].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, 2), 43);
    CU_ASSERT_EQUAL(count_failed(f), 4); /* also before they have heard that it is over */
    end(f);
}

/* A tenth of forty is four, also when twenty of the well ones are no members any more. */
static void test_who_leaves_makes_no_others_too_many(void)
{
    struct plan p = three_stages();
    p.max_failed = (struct amount){10, true};
    p.on_failure = REMEDY_ROLL_BACK;
    struct fleet *f = with_v1(107, &p);
    for (uint32_t n = 8; n < 12; n++) /* of 40 in prod */
        f->agents[n].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    steer(f, COMMAND_APPROVE, "prod");
    for (int s = 0; s < 300 && count_failed(f) < 4; s++)
        second(f);
    CU_ASSERT_EQUAL_FATAL(count_failed(f), 4);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    for (uint32_t n = 12; n < 22; n++) {
        take_out(f, &f->agents[n]);
        cordon(f, &f->agents[n + 10], true);
    }
    second(f);
    restart(f);
    until_done(f, 300);
    CU_ASSERT_STRING_EQUAL(
        manager_bundle(f->m, manager_deployment(f->m, 0)->history[0].bundle)->version, "2");
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_DONE);
    end(f);
}

/* Of four staging agents and one of three canaries one fails each: the plan would bear two of a
 * stage, staging does, and canary bears none. */
static void test_a_stage_that_bears_less_than_the_plan_stops_it(void)
{
    struct plan p = three_stages();
    p.max_failed.value = 2;
    p.stages[1].max_failed = (struct amount){0, true};
    struct fleet *f = with_v1(108, &p);
    f->agents[1].broken = f->agents[6].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    restart(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0); /* which forgives it */
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

/* The plan says nothing: what one stage bears is borne there and nowhere else. */
static void test_a_stage_may_bear_failures_where_the_plan_says_nothing(void)
{
    struct plan p = three_stages();
    p.stages[0].max_failed = (struct amount){25, true}; /* of four */
    p.on_failure = REMEDY_ABORT;
    struct fleet *f = with_v1(109, &p);
    f->agents[1].broken = f->agents[6].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_ABORTED);
    end(f);
}

/* Version 2, with a plan that starts ten minutes from now. */
static struct fleet *that_starts_later(uint64_t seed, struct plan *p)
{
    struct fleet *f = with_v1(seed, p);
    p->start_s = f->now_s + 600;
    CU_ASSERT_EQUAL(deploy(f, "2", p), 0);
    return f;
}

static void test_nobody_is_let_in_before_the_day_it_starts_on(void)
{
    struct plan p = three_stages();
    struct fleet *f = that_starts_later(110, &p);
    uint64_t until_s, walked = 0;
    second(f);
    for (int i = 0; i < 300; i++) {
        second(f);
        walked += f->m->walked;
    }
    CU_ASSERT_EQUAL(walked, 0);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_TIME);
    CU_ASSERT_EQUAL(until_s, p.start_s);
    restart(f);
    while (f->now_s + 1 < p.start_s)
        second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_OPENING);
    CU_ASSERT_EQUAL(count_running(f, 1), 47);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_ADMITTING);
    CU_ASSERT_EQUAL(slots_taken(f), 2);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

static void test_operators_are_heard_before_it_starts(void)
{
    struct plan p = three_stages();
    p.stages[0].before.approval = true;
    struct fleet *f = fleet_new(111, usual);
    uint64_t until_s;
    p.start_s = f->now_s + 600;
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    second(f);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_APPROVAL);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "staging"), 0);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_TIME);
    CU_ASSERT_EQUAL(until_s, p.start_s);
    CU_ASSERT_EQUAL(steer(f, COMMAND_PAUSE, NULL), 0);
    seconds(f, 700);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_OPENING);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_ADMITTING); /* it was approved before */
    until_s = f->now_s + 600;
    p.start_s = until_s;
    CU_ASSERT_EQUAL(deploy(f, "2", &p), 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ABORT, NULL), 0);
    seconds(f, 700);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_ABORTED);
    CU_ASSERT_EQUAL(count_running(f, 2), 0);
    end(f);
}

/* Its plan is another one by now: for the next version, or the next try. */
static void test_a_retry_waits_for_the_start_too(void)
{
    struct plan p = three_stages();
    p.max_failed = (struct amount){100, true};
    struct fleet *f = with_v1(112, &p);
    uint64_t until_s;
    f->agents[2].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    f->agents[2].broken = false;
    p.start_s = f->now_s + 600;
    CU_ASSERT_EQUAL(deploy(f, "2", &p), 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_OPENING);
    CU_ASSERT_EQUAL(hold_of(f, &until_s), HOLD_TIME);
    CU_ASSERT_EQUAL(until_s, p.start_s);
    seconds(f, 600);
    CU_ASSERT_TRUE(is_done(f));
    end(f);
}

static void test_roll_back_brings_everybody_back(void)
{
    struct plan p = three_stages();
    p.on_failure = REMEDY_ROLL_BACK;
    struct fleet *f = with_v1(8, &p);
    f->agents[5].broken = true; /* a canary */
    deploy(f, "2", NULL);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_DONE);
    const struct deployment_row *d = manager_deployment(f->m, 0);
    CU_ASSERT_STRING_EQUAL(manager_bundle(f->m, d->history[0].bundle)->version, "1");
    f->agents[5].broken = false;
    seconds(f, 30);
    CU_ASSERT_EQUAL(count_running(f, 3), 46); /* the broken one was broken for that, too */
    end(f);
}

static void test_aborted_rollout_lets_nobody_else_begin(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(9, &p);
    go_offline(f, &f->agents[1]);
    seconds(f, 40);
    deploy(f, "2", NULL);
    seconds(f, 80);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ABORT, NULL), 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ABORT, NULL), 1);
    come_back(f, &f->agents[1]); /* behind an open gate */
    seconds(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 2), 6);
    CU_ASSERT_EQUAL(count_running(f, 1), 41);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "prod"), ERR_BUSY);
    CU_ASSERT_EQUAL(deploy(f, "3", NULL), 0);
    seconds(f, 150);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, manager_generation(f->m, 0)), 47);
    end(f);
}

static void test_paused_rollout_lets_nobody_in_until_it_is_resumed(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(10, &p);
    deploy(f, "2", NULL);
    second(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_PAUSE, NULL), 0);
    seconds(f, 60);
    restart(f);
    seconds(f, 60);
    CU_ASSERT_TRUE(count_running(f, 2) <= 2);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

/* One of staging before it begins, one while it is at work; prod's first before its turn. */
static void test_cordoned_agents_are_no_members_and_hold_no_slot(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(15, &p);
    struct stage_count counts[STAGES_MAX];
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    cordon(f, &f->agents[1], true);
    cordon(f, &f->agents[8], true);
    deploy(f, "2", NULL);
    seconds(f, 3);
    uint32_t at_work = 0;
    for (uint32_t n = 2; n <= 4; n++)
        at_work = f->agents[n].slot ? n : at_work;
    CU_ASSERT_NOT_EQUAL_FATAL(at_work, 0);
    cordon(f, &f->agents[at_work], true);
    f->agents[at_work].slot = false;
    manager_survey(f->m, 0, f->now_s, &scratch, counts);
    CU_ASSERT_EQUAL(counts[0].members, 2);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    CU_ASSERT_EQUAL(f->agents[1].running, 1);
    CU_ASSERT_EQUAL(f->agents[8].running, 1);
    CU_ASSERT_EQUAL(f->agents[at_work].running, 2); /* it was begun */
    cordon(f, &f->agents[1], false);
    cordon(f, &f->agents[8], false);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 2), 47);
    end(f);
}

/* It holds its slot: when what it waits for comes, it begins, and so must not be one too many. */
static void test_who_waits_for_another_deployment_keeps_its_slot(void)
{
    struct fleet *f = fleet_new(23, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    for (uint32_t n = 1; n <= 4; n++)
        f->agents[n].rule = CAUSE_AFTER;
    deploy(f, "1", &p);
    seconds(f, 60);
    struct stage_count c = counts_of(f, 0);
    CU_ASSERT_TRUE(c.in_flight == 2 && c.waiting == 2 && c.stuck == 0);
    for (uint32_t n = 1; n <= 4; n++)
        f->agents[n].rule = CAUSE_NONE;
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

/* Nobody else needs to wait for it; it counts among those that return when it goes on. */
static void test_who_is_stuck_holds_no_slot_and_is_not_waited_for(void)
{
    struct fleet *f = fleet_new(24, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    f->agents[1].rule = f->agents[2].rule = CAUSE_STUCK;
    deploy(f, "1", &p);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    CU_ASSERT_EQUAL(counts_of(f, 0).stuck, 2);
    f->agents[1].rule = f->agents[2].rule = CAUSE_NONE;
    f->agents[1].busy_s = f->agents[2].busy_s = 30;
    seconds(f, 10);
    CU_ASSERT_EQUAL(counts_of(f, 0).returning, 2);
    seconds(f, 60);
    CU_ASSERT_EQUAL(counts_of(f, 0).ready, 4);
    end(f);
}

/* A stage that has shown nothing is an operator's to go on from. */
static void test_stage_of_which_all_are_stuck_waits_for_the_operator(void)
{
    struct fleet *f = fleet_new(25, (const uint32_t[]){3, 0, 10, 0});
    struct plan p = three_stages();
    for (uint32_t n = 1; n <= 3; n++)
        f->agents[n].rule = CAUSE_STUCK;
    deploy(f, "1", &p);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "staging"), 0);
    seconds(f, 10);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

static void test_share_is_exact_and_late_joiners_wait_for_the_rest(void)
{
    struct fleet *f = fleet_new(11, (const uint32_t[]){0, 0, 60, 40});
    struct plan p = PLAN_DEFAULT;
    p.count = 2;
    p.stages[0] = (struct plan_stage){.name = "few", .share = {7, true}};
    p.stages[1] =
        (struct plan_stage){.name = "some", .share = {10, false}, .before = {.approval = true}};
    deploy(f, "1", &p);
    seconds(f, 40);
    CU_ASSERT_EQUAL(count_running(f, 1), 7);
    for (int i = 0; i < 50; i++)
        join(f, 2);
    seconds(f, 30);
    CU_ASSERT_EQUAL(count_running(f, 1), 7);
    steer(f, COMMAND_APPROVE, "some");
    seconds(f, 20);
    until_done(f, 100);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 1), 150);
    end(f);
}

/* What a deploy command with this plan comes to, stage by stage. */
static struct preview try_plan(struct fleet *f, const struct plan *plan)
{
    static struct preview p;
    struct errmsg em;
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct command c = {.type = COMMAND_DEPLOY,
                        .deploy = {.name = "app",
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "",
                                   .all = true,
                                   .plan = plan,
                                   .dry_run = true}};
    CU_ASSERT_EQUAL(manager_preview(f->m, &c, f->now_s, &scratch, &p, &em), 0);
    return p;
}

/* As a dry run expects it, until stages begin: then it is what they have. */
static void test_a_share_that_has_not_begun_says_how_many_it_expects(void)
{
    static const uint32_t expected[] = {11, 9, 45, 44};
    struct fleet *f = fleet_new(26, (const uint32_t[]){0, 9, 60, 40});
    struct plan p = PLAN_DEFAULT;
    struct stage_count all = {0};
    p.count = 4;
    p.reachable_within_s = 5;
    p.stages[0] =
        (struct plan_stage){.name = "few", .share = {10, true}, .before = {.approval = true}};
    p.stages[1] = (struct plan_stage){.name = "canary", .selector = "env=canary"};
    p.stages[2] = (struct plan_stage){.name = "some", .selector = "env=prod", .share = {50, true}};
    p.stages[3] = (struct plan_stage){.name = "rest", .before = {.approval = true}};
    for (uint32_t n = 20; n < 30; n++)
        go_offline(f, &f->agents[n]);
    seconds(f, 10);
    deploy(f, "1", &p);
    second(f);
    for (uint32_t i = 0; i < p.count; i++) {
        struct stage_count c = counts_of(f, i);
        CU_ASSERT_TRUE(c.expected);
        CU_ASSERT_EQUAL(c.members, expected[i]);
        CU_ASSERT_EQUAL(c.members, try_plan(f, &p).stages[i]);
        CU_ASSERT_EQUAL(c.members, c.waiting + c.away);
        all.away += c.away;
    }
    CU_ASSERT_EQUAL(all.away, 10);
    steer(f, COMMAND_APPROVE, "few");
    second(f);
    uint32_t few_of_canary = 0;
    for (uint32_t n = 1; n <= 9; n++)
        few_of_canary += f->agents[n].admitted.generation == 1;
    CU_ASSERT_TRUE(!counts_of(f, 0).expected && counts_of(f, 0).members == 11);
    CU_ASSERT_FALSE(counts_of(f, 1).expected); /* no share that is left takes any of these */
    CU_ASSERT_EQUAL(counts_of(f, 1).members, 9 - few_of_canary);
    CU_ASSERT_TRUE(counts_of(f, 2).expected && counts_of(f, 3).expected);
    uint32_t left = counts_of(f, 2).members + counts_of(f, 3).members;
    CU_ASSERT_EQUAL(left, 109 - 11 - (9 - few_of_canary));
    CU_ASSERT_EQUAL(counts_of(f, 2).members, (left + 1) / 2);
    for (unsigned i = 0; i < 300 && !is_done(f); i++) {
        steer(f, COMMAND_APPROVE, "rest");
        second(f);
    }
    CU_ASSERT_TRUE(is_done(f));
    for (uint32_t i = 0; i < p.count; i++)
        CU_ASSERT_FALSE(counts_of(f, i).expected);
    end(f);
}

static void test_waits_are_counted_from_the_last_success(void)
{
    struct plan p = three_stages();
    p.stages[0].after.wait_s = 100;
    struct fleet *f = fleet_new(12, usual);
    deploy(f, "1", &p);
    while (count_running(f, 1) < 4)
        second(f);
    uint64_t last_s = f->now_s;
    while (rollout_of(f)->stage == 0)
        second(f);
    CU_ASSERT_TRUE(f->now_s >= last_s + 100 && f->now_s <= last_s + 103);
    end(f);
}

static void test_new_version_supersedes_queues_or_is_refused(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(13, &p);
    deploy(f, "2", NULL);
    seconds(f, 10);
    CU_ASSERT_EQUAL(deploy(f, "3", NULL), 0);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(rollout_of(f)->stable, 1);
    seconds(f, 150);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 3), 47);
    p.overlap = OVERLAP_REFUSE;
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    seconds(f, 5);
    CU_ASSERT_EQUAL(deploy(f, "2", NULL), ERR_BUSY);
    CU_ASSERT_EQUAL(deploy(f, "1", NULL), 1);
    end(f);
}

static void test_queued_version_follows_the_one_before(void)
{
    struct plan p = three_stages();
    p.overlap = OVERLAP_QUEUE;
    struct fleet *f = with_v1(14, &p);
    deploy(f, "2", NULL);
    seconds(f, 10);
    CU_ASSERT_EQUAL(deploy(f, "3", NULL), 0);
    CU_ASSERT_EQUAL(deploy(f, "3", NULL), 1);
    struct plan other = p;
    other.quorum = 50;
    CU_ASSERT_EQUAL(deploy(f, "3", &other), ERR_BUSY);
    seconds(f, 150);
    CU_ASSERT_EQUAL(manager_generation(f->m, 0), 2);
    steer(f, COMMAND_APPROVE, "prod");
    seconds(f, 200);
    CU_ASSERT_EQUAL(manager_generation(f->m, 0), 3);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    CU_ASSERT_EQUAL(count_running(f, 3), 47);
    end(f);
}

static void test_what_waits_for_a_rollout_that_is_aborted_comes_no_more(void)
{
    struct plan p = three_stages();
    p.overlap = OVERLAP_QUEUE;
    struct fleet *f = with_v1(121, &p);
    static const enum command_type ends[] = {COMMAND_ABORT, COMMAND_ROLLBACK};
    for (int i = 0; i < 2; i++) {
        deploy(f, "2", NULL);
        seconds(f, 10);
        CU_ASSERT_EQUAL(deploy(f, "3", NULL), 0);
        CU_ASSERT_NOT_EQUAL(rollout_of(f)->queued, 0);
        CU_ASSERT_EQUAL(steer(f, ends[i], NULL), 0);
        CU_ASSERT_EQUAL(rollout_of(f)->queued, 0);
        steer(f, COMMAND_ROLLBACK, NULL);
        seconds(f, 100);
    }
    end(f);
}

static void test_restored_manager_goes_on_in_numbers_of_its_own(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(15, &p);
    deploy(f, "2", NULL);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    restart_in(f, 2);
    seconds(f, 10);
    uint32_t second = manager_generation(f->m, 0);
    CU_ASSERT_EQUAL(second, GENERATIONS_PER_EPOCH + 2);
    CU_ASSERT_EQUAL(rollout_of(f)->stable, GENERATIONS_PER_EPOCH + 1);
    CU_ASSERT_STRING_EQUAL(manager_generation_version(f->m, 0, second), "2");
    CU_ASSERT_STRING_EQUAL(manager_generation_version(f->m, 0, second - 1), "1");
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 300);
    seconds(f, 20);
    CU_ASSERT_EQUAL(manager_generation(f->m, 0), second);
    CU_ASSERT_EQUAL(count_running(f, second), 47);
    deploy(f, "3", NULL);
    CU_ASSERT_EQUAL(manager_generation(f->m, 0), second + 1);
    seconds(f, 150);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, second + 1), 47);
    end(f);
}

static int relabel(struct fleet *f, const struct model *a, const char *set)
{
    struct command c = {.type = COMMAND_LABEL};
    c.label.id = a->id;
    c.label.set = set;
    c.label.unset = "zone";
    return run(f, &c);
}

static void test_share_of_nobody_lets_nobody_in_who_comes_later(void)
{
    struct fleet *f = fleet_new(16, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 2;
    p.stages[0] =
        (struct plan_stage){.name = "canary", .selector = "env=canary", .share = {5, true}};
    p.stages[1] = (struct plan_stage){.name = "rest", .before = {.approval = true}};
    deploy(f, "1", &p);
    seconds(f, 10);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    CU_ASSERT_EQUAL(relabel(f, &f->agents[7], "env=canary"), 0);
    join(f, 1);
    seconds(f, 60);
    CU_ASSERT_EQUAL(count_running(f, 1), 0);
    steer(f, COMMAND_APPROVE, "rest");
    until_done(f, 100);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 1), 15);
    end(f);
}

static void test_rollout_that_has_ended_leaves_its_place_to_another(void)
{
    struct plan p = three_stages();
    p.on_failure = REMEDY_ABORT;
    struct fleet *f = with_v1(17, &p);
    f->agents[2].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_ABORTED);
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++)
        CU_ASSERT_EQUAL(f->m->flights[i].deployment, 0);
    end(f);
}

static void test_rollback_finds_the_stable_version_however_often_was_retried(void)
{
    struct plan p = three_stages();
    p.max_failed = (struct amount){100, true};
    struct fleet *f = with_v1(18, &p);
    struct model *one = &f->agents[2];
    one->broken = true;
    deploy(f, "2", NULL);
    for (int i = 0; i < 2 * HISTORY_MAX; i++) {
        for (int k = 0; k < 60 && one->wanted < manager_generation(f->m, 0); k++)
            second(f);
        while (one->state == STATE_APPLYING)
            second(f);
        CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
        CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), ERR_BUSY); /* it has yet to begin */
    }
    one->broken = false;
    CU_ASSERT_EQUAL(manager_deployment(f->m, 0)->history_count, 2);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ROLLBACK, NULL), 0);
    seconds(f, 40);
    CU_ASSERT_EQUAL(count_running(f, manager_generation(f->m, 0)), 47);
    const struct deployment_row *d = manager_deployment(f->m, 0);
    CU_ASSERT_STRING_EQUAL(manager_bundle(f->m, d->history[0].bundle)->version, "1");
    end(f);
}

/* Whoever failed is gone by now: nothing is begun anew, and nothing is asked for again. */
static void test_a_retry_without_anybody_to_retry_changes_nothing(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(118, &p);
    f->agents[2].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    take_out(f, &f->agents[2]);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), ERR_BUSY);
    CU_ASSERT_STRING_EQUAL(f->out.error.text,
                           "nobody has failed by version 2 of app any more: there is nobody to "
                           "retry, and `dunlin rollout resume app` has it go on");
    CU_ASSERT_EQUAL(f->out.persist_count, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    seconds(f, 100);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 200);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), ERR_BUSY);
    CU_ASSERT_EQUAL(manager_generation(f->m, 0), 2);
    CU_ASSERT_TRUE(is_done(f));
    end(f);
}

/* Also who is at it for too long; and the newest version is what counts, not the one before. */
static void test_who_is_overdue_can_be_retried_and_who_failed_by_another_version_cannot(void)
{
    struct plan p = three_stages();
    p.deadline_s = 20;
    p.max_failed = (struct amount){100, true};
    struct fleet *f = with_v1(119, &p);
    struct model *one = &f->agents[30];
    one->broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 400);
    CU_ASSERT_EQUAL(one->state, STATE_ROLLED_BACK);
    one->broken = false;
    f->agents[2].busy_s = 1000;
    deploy(f, "3", NULL);
    second(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), ERR_BUSY);
    for (int i = 0; i < 60 && counts_of(f, 0).overdue == 0; i++)
        second(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    end(f);
}

/* It says what else there is to do. */
static void test_what_was_aborted_is_not_resumed(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(120, &p);
    deploy(f, "2", NULL);
    second(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_ABORT, NULL), 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), ERR_BUSY);
    CU_ASSERT_STRING_EQUAL(f->out.error.text,
                           "the rollout of app was aborted, which no resume undoes: `dunlin "
                           "rollout rollback app`, or deploy another version");
    CU_ASSERT_EQUAL(f->out.persist_count, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_PAUSE, NULL), 0); /* which holds for whatever comes */
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_ABORTED);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), ERR_BUSY);
    end(f);
}

static void test_what_is_retried_while_a_stage_closes_is_waited_for(void)
{
    struct plan p = three_stages();
    p.stages[0].after.wait_s = 60;
    p.max_failed.value = 2;
    struct fleet *f = with_v1(19, &p);
    f->agents[1].broken = f->agents[2].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_CLOSING);
    f->agents[1].broken = false;
    steer(f, COMMAND_RETRY, NULL);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_ADMITTING);
    seconds(f, 59);
    CU_ASSERT_EQUAL(f->agents[1].running, 3);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0); /* what is soaked is the last success */
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

static struct stage_count count_now(struct fleet *f, uint32_t stage)
{
    struct stage_count counts[STAGES_MAX];
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    manager_survey(f->m, 0, f->now_s, &scratch, counts);
    return counts[stage];
}

/* One of the four is at work without end: it fails when its time is over, and counts as what it is
 * when it comes to an end after all. */
static void test_agent_that_misses_its_deadline_counts_as_failed(void)
{
    struct fleet *f = fleet_new(23, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.stages[0].after.approval = true;
    p.deadline_s = 30;
    f->agents[2].busy_s = 1000000;
    deploy(f, "1", &p);
    while (!f->agents[2].slot)
        second(f);
    seconds(f, 28);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
    seconds(f, 4);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 1);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    restart(f);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    seconds(f, 3);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_CLOSING); /* it was forgiven */
    f->agents[2].busy_until_s = f->now_s;
    seconds(f, 3);
    CU_ASSERT_EQUAL(count_now(f, 0).ready, 4);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
    end(f);
}

/* Two at a time, and one of them hangs: the other three follow when it has had its time. */
static void test_slot_of_one_that_hangs_is_free_after_its_deadline(void)
{
    struct fleet *f = fleet_new(24, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.max_failed.value = 1;
    p.stages[0].concurrency = (struct amount){1, false};
    p.deadline_s = 50;
    for (uint32_t n = 1; n <= 4; n++)
        f->agents[n].busy_s = 0;
    deploy(f, "1", &p);
    second(f);
    uint32_t first = 1;
    while (!f->agents[first].slot)
        first++;
    f->agents[first].busy_s = 1000000;
    seconds(f, 48);
    CU_ASSERT_EQUAL(count_running(f, 1), 0);
    seconds(f, 4);
    CU_ASSERT_EQUAL(count_now(f, 0).in_flight, 1);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    f->agents[first].busy_until_s = f->now_s;
    seconds(f, 3);
    CU_ASSERT_EQUAL(count_now(f, 0).ready, 4);
    end(f);
}

/* It is let in with others, hangs, and is through with all but that. */
static struct model *that_hangs(struct fleet *f)
{
    f->agents[2].busy_s = 1000000;
    while (f->agents[2].state != STATE_APPLYING)
        second(f);
    return &f->agents[2];
}

/* What was begun goes on, whatever an operator says meanwhile. */
static void test_time_goes_on_for_what_was_begun_before_a_pause(void)
{
    struct fleet *f = fleet_new(25, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 30;
    deploy(f, "1", &p);
    that_hangs(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_PAUSE, NULL), 0);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    seconds(f, 2);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    end(f);
}

static void test_what_others_have_it_wait_for_is_no_time_of_its_own(void)
{
    static const enum cause rules[] = {CAUSE_AFTER, CAUSE_WINDOW, CAUSE_STUCK, CAUSE_CLOCK,
                                       CAUSE_VARIABLE};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct fleet *f = fleet_new(26, (const uint32_t[]){4, 0, 10, 0});
        struct plan p = three_stages();
        p.deadline_s = 30;
        f->agents[2].rule = (uint8_t)rules[i];
        deploy(f, "1", &p);
        seconds(f, 100);
        CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
        f->agents[2].rule = CAUSE_NONE;
        that_hangs(f);
        seconds(f, 29);
        CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
        second(f);
        CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
        end(f);
    }
}

/* Two tries of some seconds, and the wait between them: that is over when the third has begun. */
static void test_deadline_is_for_all_tries_and_the_waits_between_them(void)
{
    struct fleet *f = fleet_new(27, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 60;
    p.retries = 2;
    p.back_off_s = 15;
    f->agents[2].broken = true;
    deploy(f, "1", &p);
    while (f->agents[2].failures < 1)
        second(f);
    f->agents[2].rule = CAUSE_WINDOW; /* which closes between two tries */
    seconds(f, 200);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
    f->agents[2].rule = CAUSE_NONE;
    while (f->agents[2].failures < 2)
        second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    uint32_t had_s = f->agents[2].had_s;
    CU_ASSERT_TRUE(had_s > 4 && had_s < 30);
    f->agents[2].busy_s = 1000000;
    seconds(f, p.deadline_s - had_s - 1);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 0);
    second(f);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    end(f);
}

/* A link that comes and goes gives it no time, and takes none that it had. */
static void test_time_out_of_reach_is_not_counted(void)
{
    struct fleet *f = fleet_new(28, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 30;
    p.reachable_within_s = 5;
    deploy(f, "1", &p);
    struct model *a = that_hangs(f);
    for (int i = 0; i < 3; i++) {
        seconds(f, 9);
        go_offline(f, a);
        seconds(f, 500);
        CU_ASSERT_EQUAL(count_now(f, 0).away, 1);
        CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
        come_back(f, a);
    }
    CU_ASSERT_EQUAL(a->had_s, 27);
    seconds(f, 2);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
    second(f);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    go_offline(f, a);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1); /* it has had its time */
    end(f);
}

static void test_who_had_its_time_counts_as_failed_until_it_is_ready(void)
{
    struct fleet *f = fleet_new(29, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 30;
    p.max_failed.value = 1;
    deploy(f, "1", &p);
    struct model *a = that_hangs(f);
    seconds(f, 100);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2); /* its stage is over, */
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 100);
    seconds(f, 10);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 1); /* and so is the rollout */
    CU_ASSERT_EQUAL(count_now(f, 0).returning, 0);
    CU_ASSERT_TRUE(survey_is_overdue(f->m, 2, 0, f->now_s));
    restart(f);
    seconds(f, 10);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 1);
    a->busy_until_s = f->now_s;
    seconds(f, 2);
    CU_ASSERT_EQUAL(count_now(f, 0).failed, 0);
    CU_ASSERT_EQUAL(count_now(f, 0).ready, 4);
    CU_ASSERT_FALSE(survey_is_overdue(f->m, 2, 0, f->now_s));
    end(f);
}

/* Whenever it is killed, the deadline ends when it would have. */
static void test_killed_manager_gives_nobody_more_time(void)
{
    for (unsigned after_s = 0; after_s < 36; after_s++) {
        struct fleet *f = fleet_new(30, (const uint32_t[]){4, 0, 10, 0});
        struct plan p = three_stages();
        p.deadline_s = 30;
        deploy(f, "1", &p);
        that_hangs(f);
        seconds(f, after_s);
        restart(f);
        CU_ASSERT_EQUAL(count_now(f, 0).overdue, after_s >= 30);
        while (f->agents[2].had_s < 29)
            second(f);
        CU_ASSERT_EQUAL(count_now(f, 0).overdue, after_s >= 30);
        seconds(f, 8);
        CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
        CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
        end(f);
    }
}

/* Its word waited at its broker: what was known before says nothing of how late it is. */
static void test_who_got_ready_while_the_manager_was_away_was_not_late(void)
{
    struct fleet *f = fleet_new(31, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 30;
    deploy(f, "1", &p);
    struct model *a = that_hangs(f);
    f->now_s += 3600;
    restart(f);
    second(f);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    a->busy_until_s = f->now_s;
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    CU_ASSERT_TRUE(rollout_of(f)->stage == 2);
    end(f);
}

/* It says with each heartbeat that it holds the document before. */
static void test_who_takes_no_document_is_late_until_it_speaks(void)
{
    struct fleet *f = fleet_new(32, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 32;
    p.max_failed.value = 1;
    f->agents[2].deaf = true;
    deploy(f, "1", &p);
    while (!f->agents[2].slot)
        second(f);
    seconds(f, 31);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 0);
    seconds(f, 5);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    restart(f);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    seconds(f, 60);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 1);
    f->agents[2].deaf = false;
    second(f);
    CU_ASSERT_EQUAL(count_now(f, 0).overdue, 0);
    CU_ASSERT_EQUAL(count_now(f, 0).returning, 1);
    seconds(f, 15);
    CU_ASSERT_EQUAL(count_now(f, 0).ready, 4);
    end(f);
}

/* It got there after all: another one may not fail in its stead. */
static void test_forgiven_failure_that_is_mended_makes_no_room_for_another(void)
{
    struct fleet *f = fleet_new(33, (const uint32_t[]){4, 0, 10, 0});
    struct plan p = three_stages();
    p.deadline_s = 30;
    p.stages[0].concurrency.value = 1;
    p.stages[0].concurrency.percent = false;
    for (uint32_t n = 1; n <= 4; n++)
        f->agents[n].busy_s = 1000000;
    deploy(f, "1", &p);
    while (rollout_of(f)->state == ROLLOUT_RUNNING)
        second(f);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    for (uint32_t n = 1; n <= 4; n++)
        if (f->agents[n].state == STATE_APPLYING)
            f->agents[n].busy_until_s = f->now_s;
    seconds(f, 5);
    CU_ASSERT_EQUAL(count_now(f, 0).ready, 1);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_RUNNING);
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    end(f);
}

/* Also when it was over; who runs the bundle only takes the number, and takes nobody's turn. */
static void test_retried_agents_are_held_to_the_concurrency(void)
{
    struct plan p = three_stages();
    p.max_failed = (struct amount){100, true};
    p.stages[2].concurrency.value = 2;
    struct fleet *f = with_v1(22, &p);
    for (uint32_t n = 20; n < 32; n++)
        f->agents[n].broken = true;
    deploy(f, "2", NULL);
    seconds(f, 100);
    steer(f, COMMAND_APPROVE, "prod");
    until_done(f, 400);
    CU_ASSERT_EQUAL(count_running(f, 2), 35);
    for (uint32_t n = 20; n < 32; n++)
        f->agents[n].broken = false;
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    seconds(f, 20);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2); /* no approval is asked for again */
    CU_ASSERT_EQUAL(slots_taken(f), 2);
    restart(f);
    until_done(f, 200);
    seconds(f, 10);
    CU_ASSERT_EQUAL(count_running(f, 3), 47);
    for (uint32_t n = 1; n <= f->count; n++)
        CU_ASSERT_EQUAL(f->agents[n].works, n >= 20 && n < 32 ? 3 : 2);
    end(f);
}

static void test_approval_behind_a_stage_is_asked_for_when_its_agents_are_gone(void)
{
    struct fleet *f = fleet_new(20, (const uint32_t[]){1, 0, 10, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){
        .name = "staging", .selector = "env=staging", .after = {.approval = true}};
    deploy(f, "1", &p);
    seconds(f, 30);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_CLOSING);
    take_out(f, &f->agents[1]);
    seconds(f, 30);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    steer(f, COMMAND_APPROVE, "staging");
    until_done(f, 60);
    end(f);
}

/* It would block the others behind it for ever. */
static void test_operator_goes_on_without_an_agent_that_comes_to_no_end(void)
{
    struct fleet *f = fleet_new(21, (const uint32_t[]){3, 0, 10, 0});
    struct plan p = three_stages();
    f->agents[2].busy_s = 1000000;
    deploy(f, "1", &p);
    seconds(f, 60);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_EQUAL(steer(f, COMMAND_APPROVE, "staging"), 0);
    seconds(f, 10);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

/* Ten of staging, of which so many come to no end; the stage that it is in when the others have. */
static uint32_t stage_with_hanging(uint32_t hanging)
{
    struct fleet *f = fleet_new(21, (const uint32_t[]){10, 0, 10, 0});
    struct plan p = three_stages();
    p.quorum = 90;
    for (uint32_t n = 1; n <= hanging; n++)
        f->agents[n].busy_s = 1000000;
    deploy(f, "1", &p);
    seconds(f, 120);
    CU_ASSERT_EQUAL(counts_of(f, 0).ready, 10 - hanging);
    uint32_t stage = rollout_of(f)->stage;
    end(f);
    return stage;
}

static void test_stage_is_left_early_with_its_quorum_and_not_below(void)
{
    CU_ASSERT_EQUAL(stage_with_hanging(1), 2);
    CU_ASSERT_EQUAL(stage_with_hanging(2), 0);
}

/* Failed ones are max_failed's to judge. */
static void test_stage_with_nobody_at_work_is_left_below_its_quorum(void)
{
    struct fleet *f = fleet_new(21, (const uint32_t[]){10, 0, 10, 0});
    struct plan p = three_stages();
    p.quorum = 90;
    p.max_failed = (struct amount){3, false};
    for (uint32_t n = 1; n <= 3; n++)
        f->agents[n].broken = true;
    deploy(f, "1", &p);
    seconds(f, 120);
    CU_ASSERT_EQUAL(counts_of(f, 0).ready, 7);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 2);
    end(f);
}

/* A fleet that brokers need two seconds to tell: one stage, one agent at a time. */
#define MANY 100000

static struct manager *new_large_core(uint32_t deployments)
{
    struct manager_options options = {.limits = {.agents = MANY,
                                                 .cohorts = 1,
                                                 .deployments = deployments,
                                                 .bundles = 1,
                                                 .batches = 1},
                                      .epoch = 1,
                                      .document_life_s = 86400 * 7,
                                      .policy = POLICY_DEFAULT};
    struct manager *m = manager_init(calloc(1, manager_size(&options.limits)), &options);
    manager_load_batch(m, &(struct batch_row){.count = MANY, .uses = 1});
    manager_load_bundle(m, &(struct bundle_row){.name = "app", .version = "1"});
    manager_load_cohort(m, &(struct cohort){.revision = {0}});
    for (uint32_t n = 1; n <= MANY; n++) {
        struct agent_row row = {.index = n - 1, .flags = AGENT_ONLINE};
        memcpy(row.id.bytes, &n, sizeof n);
        CU_ASSERT_EQUAL_FATAL(manager_load_agent(m, n, &row, NULL, 0), 0);
    }
    return m;
}

static uint32_t the_one_in_flight(const struct desired *d)
{
    for (uint32_t n = 1; n <= MANY; n++)
        if (record_target(&d->records[0], n).generation != 0)
            return n;
    return 0;
}

/* Of 20 slots one is free: not everybody is told at once, but it isn't left free for long either.
 */
static void test_few_free_slots_wait_for_others_but_not_for_long(void)
{
    struct plan p = three_stages();
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {20, false}};
    p.count = 1;
    struct fleet *f = with_v1(12, &p);
    deploy(f, "2", NULL);
    second(f);
    CU_ASSERT_EQUAL(slots_taken(f), 20);
    uint64_t moved_s = f->now_s, reached = rollout_of(f)->reached[0];
    bool quick = true; /* the first of them */
    for (uint32_t n = 1; n <= f->count; n++) {
        f->agents[n].busy_s = f->agents[n].slot && quick ? 0 : 1000;
        quick &= !f->agents[n].slot;
    }
    while (slots_taken(f) == 20 && f->now_s < moved_s + 9)
        second(f);
    CU_ASSERT_EQUAL(slots_taken(f), 19);
    while (f->now_s < moved_s + 9) {
        second(f);
        CU_ASSERT_EQUAL(rollout_of(f)->reached[0], reached);
    }
    second(f);
    CU_ASSERT_TRUE(rollout_of(f)->reached[0] > reached);
    CU_ASSERT_EQUAL(slots_taken(f), 20);
    end(f);
}

static void test_gate_of_a_large_stage_moves_no_faster_than_brokers_can_tell(void)
{
    struct fleet *f = calloc(1, sizeof *f);
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    f->m = new_large_core(1);
    f->now_s = 1700000000;
    CU_ASSERT_EQUAL(deploy(f, "1", &p), 0);
    step(f, &(struct manager_event){.type = MANAGER_TICK});
    uint64_t reached = rollout_of(f)->reached[0];
    struct model a = {.number = the_one_in_flight(&f->documents[0]),
                      .wanted = 1,
                      .running = 1,
                      .boot = 1,
                      .state = STATE_READY};
    CU_ASSERT_TRUE_FATAL(a.number != 0);
    a.id = manager_agent(f->m, a.number)->id;
    say(f, &a, STATUS_HELLO);
    f->now_s++;
    step(f, &(struct manager_event){.type = MANAGER_TICK});
    CU_ASSERT_EQUAL(rollout_of(f)->reached[0], reached);
    f->now_s++;
    step(f, &(struct manager_event){.type = MANAGER_TICK});
    CU_ASSERT_TRUE(rollout_of(f)->reached[0] > reached);
    end(f);
}

/* ---- what it costs ---- */

static uint64_t walked_in(struct fleet *f, unsigned seconds_count)
{
    uint64_t walked = 0;
    while (seconds_count-- > 0) {
        second(f);
        walked += f->m->walked;
    }
    return walked;
}

/* Heartbeats say nothing new. Who has gone is out of reach one day, and that is news. */
static void test_quiet_rollout_costs_no_walk(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(31, &p);
    deploy(f, "2", NULL);
    f->agents[2].busy_s = 1000000;
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->step, ROLLOUT_ADMITTING);
    CU_ASSERT_EQUAL(walked_in(f, 60), 0);
    say(f, &f->agents[2], 0);
    go_offline(f, &f->agents[2]);
    CU_ASSERT_EQUAL(walked_in(f, 1), usual[0]);
    CU_ASSERT_EQUAL(walked_in(f, p.reachable_within_s - 2), 0);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    CU_ASSERT_TRUE(walked_in(f, 3) > 0);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 1);
    end(f);
}

static void test_news_of_other_stages_cost_no_walk(void)
{
    struct plan p = three_stages();
    struct fleet *f = with_v1(32, &p);
    deploy(f, "2", NULL);
    f->agents[2].busy_s = 1000000;
    seconds(f, 40);
    CU_ASSERT_EQUAL(rollout_of(f)->stage, 0);
    go_offline(f, &f->agents[40]);
    CU_ASSERT_EQUAL(walked_in(f, 3), 0);
    go_offline(f, &f->agents[1]);
    CU_ASSERT_EQUAL(walked_in(f, 1), usual[0]);
    end(f);
}

#define ROLLOUTS 12

/* Each tick something happens somewhere: none costs more than so much, and each has its turn. */
static void test_many_rollouts_over_a_restless_fleet_take_turns(void)
{
    struct fleet *f = calloc(1, sizeof *f);
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    f->m = new_large_core(ROLLOUTS);
    f->now_s = 1700000000;
    for (unsigned i = 0; i < ROLLOUTS; i++) {
        char name[8];
        snprintf(name, sizeof name, "app%u", i);
        CU_ASSERT_EQUAL(deploy_as(f, name, "1", &p), 0);
    }
    uint64_t news[ROLLOUTS] = {0};
    for (unsigned seen = 0, ticks = 0; ticks < 5; ticks++, f->now_s++) {
        lookout_hear(f->m);
        step(f, &(struct manager_event){.type = MANAGER_TICK});
        while (f->out.more)
            step(f, &(struct manager_event){.type = MANAGER_CONTINUE});
        CU_ASSERT_TRUE(f->m->walked <= WALKED_PER_TICK + 8 * MANY);
        for (unsigned i = 0; i < ROLLOUTS; i++) {
            seen += f->m->looks[i].news != news[i];
            news[i] = f->m->looks[i].news;
        }
        CU_ASSERT_TRUE(ticks < 4 || seen > ROLLOUTS);
    }
    for (unsigned i = 0; i < ROLLOUTS; i++)
        CU_ASSERT_TRUE(manager_deployment(f->m, i)->rollout.reached[0] > 0);
    end(f);
}

/* ---- budgets ---- */

static struct budget_use budget_use_of(struct fleet *f)
{
    struct budget_use use;
    manager_budget_use(f->m, 0, f->now_s, NULL, &use);
    return use;
}

/* Five at a time, of those that a deployment comes to which was rolled out long before. */
static void arrive_five_at_a_time(struct fleet *f)
{
    uint32_t most = 0;
    for (int i = 0; i < 600 && count_running(f, 1) < f->count; i++) {
        second(f);
        struct budget_use use = budget_use_of(f);
        CU_ASSERT_TRUE(use.out <= 5);
        most = use.out > most ? use.out : most;
    }
    CU_ASSERT_EQUAL(most, 5);
    CU_ASSERT_EQUAL(count_running(f, 1), f->count);
    seconds(f, 30);
    CU_ASSERT_EQUAL(budget_use_of(f).out, 0);
    CU_ASSERT_EQUAL(budget_use_of(f).asking, 0);
    CU_ASSERT_EQUAL(f->m->permit_count, 0);
    end(f);
}

static struct fleet *with_a_budget_of_five(uint64_t seed, const char *selector)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){60, 0, 1, 0});
    f->moves = true;
    f->selector = selector;
    set_group(f, "some", "env=prod");
    deploy(f, "1", NULL);
    seconds(f, 20);
    CU_ASSERT_EQUAL(count_running(f, 1), count_members(f));
    set_budget(f, "all", "", (struct amount){5, false});
    seconds(f, 5);
    return f;
}

static void test_what_labels_bring_to_many_comes_as_a_budget_lets_it(void)
{
    struct fleet *f = with_a_budget_of_five(61, "env=prod");
    for (uint32_t n = 1; n <= 60; n++)
        resettle(f, &f->agents[n], 2);
    seconds(f, 5);
    CU_ASSERT_EQUAL(budget_use_of(f).out, 5);
    CU_ASSERT_TRUE(budget_use_of(f).asking >= 50);
    arrive_five_at_a_time(f);
}

static void test_what_a_group_brings_to_many_comes_as_a_budget_lets_it(void)
{
    struct fleet *f = with_a_budget_of_five(62, "@some");
    set_group(f, "some", "env");
    arrive_five_at_a_time(f);
}

static void test_wider_selector_comes_as_a_budget_lets_it(void)
{
    struct fleet *f = with_a_budget_of_five(63, "env=prod");
    f->selector = "env";
    deploy(f, "1", NULL);
    arrive_five_at_a_time(f);
}

/* Also where the manager dies on the way, again and again. */
static void test_manager_that_starts_again_lets_no_more_of_those_begin(void)
{
    struct fleet *f = with_a_budget_of_five(64, "env=prod");
    for (uint32_t n = 1; n <= 60; n++)
        resettle(f, &f->agents[n], 2);
    for (int i = 0; i < 20; i++) {
        seconds(f, 1 + (unsigned)i % 3);
        restart(f);
    }
    for (int i = 0; i < 900 && count_running(f, 1) < f->count; i++)
        second(f);
    CU_ASSERT_EQUAL(count_running(f, 1), f->count);
    end(f);
}

/* Of those that are uncordoned, for whom gates have moved meanwhile. */
static void test_end_of_a_cordon_waits_for_a_budget(void)
{
    struct fleet *f = with_a_budget_of_five(65, "env");
    for (uint32_t n = 1; n <= f->count; n++)
        cordon(f, &f->agents[n], true);
    deploy(f, "2", NULL);
    seconds(f, 60);
    CU_ASSERT_EQUAL(count_running(f, 2), 0);
    for (uint32_t n = 1; n <= f->count; n++)
        cordon(f, &f->agents[n], false);
    for (int i = 0; i < 600 && count_running(f, manager_generation(f->m, 0)) < f->count; i++) {
        second(f);
        CU_ASSERT_TRUE(budget_use_of(f).out <= 5);
    }
    CU_ASSERT_EQUAL(count_running(f, manager_generation(f->m, 0)), f->count);
    end(f);
}

/* One after the other, as the budget says; the first one fails, and something keeps it from its
 * next try. */
static struct fleet *with_one_between_two_tries(uint64_t seed, const char *version,
                                                struct model **one)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){0, 0, 8, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all"};
    if (strcmp(version, "1") != 0) {
        deploy(f, "1", &p);
        until_done(f, 100);
    }
    p.retries = 1;
    p.back_off_s = 10;
    p.deadline_s = 60;
    set_budget(f, "prod", "env=prod", (struct amount){1, false});
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].broken = true;
    CU_ASSERT_EQUAL(deploy(f, version, &p), 0);
    for (*one = NULL; !*one; second(f))
        for (uint32_t n = 1; n <= f->count; n++)
            *one = f->agents[n].failures ? &f->agents[n] : *one;
    (*one)->rule = CAUSE_STUCK;
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].broken = false;
    seconds(f, 100);
    return f;
}

static void test_who_failed_with_nothing_to_go_back_to_is_out_between_its_tries(void)
{
    struct model *one;
    struct fleet *f = with_one_between_two_tries(34, "1", &one);
    CU_ASSERT_EQUAL(budget_use_of(f).out, 1);
    CU_ASSERT_EQUAL(budget_use_of(f).bad, 1);
    CU_ASSERT_EQUAL(manager_budget_holding(f->m, 0), 1);
    CU_ASSERT_EQUAL(count_running(f, 1), 0);
    one->rule = CAUSE_NONE;
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, 1), 8);
    end(f);
}

/* Asked for anew it has not begun yet, and is no more Ready than it was. */
static void test_who_failed_with_nothing_to_go_back_to_is_out_while_its_retry_is_held_up(void)
{
    struct fleet *f = fleet_new(38, (const uint32_t[]){0, 0, 8, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all"};
    p.max_failed = (struct amount){100, true};
    set_budget(f, "prod", "env=prod", (struct amount){1, false});
    struct model *one = NULL;
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].broken = true;
    deploy(f, "1", &p);
    for (; !one; second(f))
        for (uint32_t n = 1; n <= f->count; n++)
            one = f->agents[n].state == STATE_FAILED ? &f->agents[n] : one;
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].broken = false;
    static const enum cause rules[] = {CAUSE_STUCK, CAUSE_WINDOW, CAUSE_CLOCK, CAUSE_VARIABLE};
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        one->rule = (uint8_t)rules[i];
        seconds(f, 100);
        CU_ASSERT_EQUAL(one->state, STATE_PENDING);
        CU_ASSERT_EQUAL(budget_use_of(f).out, 1);
        CU_ASSERT_EQUAL(budget_use_of(f).bad, 1);
        CU_ASSERT_EQUAL(count_running(f, manager_generation(f->m, 0)), 0);
        restart(f);
    }
    CU_ASSERT_EQUAL(steer(f, COMMAND_PAUSE, NULL), 0);
    seconds(f, 10);
    CU_ASSERT_EQUAL(budget_use_of(f).bad, 1);
    CU_ASSERT_EQUAL(steer(f, COMMAND_RESUME, NULL), 0);
    one->rule = CAUSE_NONE;
    until_done(f, 300);
    CU_ASSERT_EQUAL(count_running(f, manager_generation(f->m, 0)), 8);
    CU_ASSERT_EQUAL(budget_use_of(f).out, 0);
    end(f);
}

static void test_who_went_back_is_not_out_while_something_keeps_it_from_its_next_try(void)
{
    struct model *one;
    struct fleet *f = with_one_between_two_tries(35, "2", &one);
    CU_ASSERT_EQUAL(budget_use_of(f).out, 0);
    CU_ASSERT_EQUAL(budget_use_of(f).idle, 1);
    CU_ASSERT_TRUE(is_done(f));
    CU_ASSERT_EQUAL(count_running(f, 2), 7);
    one->rule = CAUSE_NONE;
    seconds(f, 60);
    CU_ASSERT_EQUAL(count_running(f, 2), 8);
    end(f);
}

/* It came back and failed by itself, beside the budget; let in again, it is as any other. */
static void test_who_failed_when_it_came_back_counts_as_soon_as_it_is_let_in_again(void)
{
    struct fleet *f = fleet_new(36, (const uint32_t[]){0, 0, 8, 0});
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all"};
    set_budget(f, "prod", "env=prod", (struct amount){1, false});
    struct model *one = &f->agents[1];
    one->broken = true;
    go_offline(f, one);
    seconds(f, BUDGET_REACH_S + 10);
    deploy(f, "1", &p);
    until_done(f, 300);
    come_back(f, one);
    while (one->state != STATE_FAILED)
        second(f);
    CU_ASSERT_EQUAL(budget_use_of(f).bad, 1);
    one->broken = false;
    one->busy_s = 1000;
    CU_ASSERT_EQUAL(steer(f, COMMAND_RETRY, NULL), 0);
    seconds(f, 30);
    CU_ASSERT_EQUAL(one->state, STATE_APPLYING);
    CU_ASSERT_EQUAL(budget_use_of(f).out, 1);
    CU_ASSERT_EQUAL(budget_use_of(f).apart, 0);
    end(f);
}

static const struct suite_test tests[] = {
    TEST(test_stages_follow_each_other_and_the_last_waits_for_approval),
    TEST(test_who_is_away_neither_takes_a_slot_nor_holds_up_the_stage),
    TEST(test_stage_of_which_nobody_is_reachable_waits_for_the_operator),
    TEST(test_stage_of_which_nobody_is_reachable_waits_as_long_as_its_plan_says),
    TEST(test_stage_of_which_some_failed_and_the_rest_is_away_waits_for_the_operator),
    TEST(test_returning_agents_are_counted_apart),
    TEST(test_those_that_come_back_take_turns_also_when_the_rollout_is_over),
    TEST(test_returning_percent_is_of_all_that_the_deployment_is_for),
    TEST(test_manager_that_starts_again_knows_who_has_a_place),
    TEST(test_place_of_one_that_goes_away_is_another_ones),
    TEST(test_paused_deployment_gives_no_permits),
    TEST(test_who_has_yet_to_hear_that_it_goes_on_keeps_its_place),
    TEST(test_who_holds_a_slot_takes_no_place),
    TEST(test_slot_is_held_over_a_restart_by_who_was_given_a_permit_for_it),
    TEST(test_who_asks_a_manager_that_has_just_started_has_kept_its_slot),
    TEST(test_who_asked_has_kept_its_slot_for_every_manager_from_then_on),
    TEST(test_slots_guessed_after_a_restart_let_no_more_come_back_at_a_time),
    TEST(test_too_many_failures_stop_it_and_resuming_forgives_them),
    TEST(test_retry_works_on_the_failed_ones_only),
    TEST(test_failures_within_the_allowance_do_not_stop_it),
    TEST(test_who_leaves_makes_no_others_too_many),
    TEST(test_a_stage_that_bears_less_than_the_plan_stops_it),
    TEST(test_a_stage_may_bear_failures_where_the_plan_says_nothing),
    TEST(test_nobody_is_let_in_before_the_day_it_starts_on),
    TEST(test_operators_are_heard_before_it_starts),
    TEST(test_a_retry_waits_for_the_start_too),
    TEST(test_roll_back_brings_everybody_back),
    TEST(test_aborted_rollout_lets_nobody_else_begin),
    TEST(test_paused_rollout_lets_nobody_in_until_it_is_resumed),
    TEST(test_cordoned_agents_are_no_members_and_hold_no_slot),
    TEST(test_who_waits_for_another_deployment_keeps_its_slot),
    TEST(test_who_is_stuck_holds_no_slot_and_is_not_waited_for),
    TEST(test_stage_of_which_all_are_stuck_waits_for_the_operator),
    TEST(test_share_is_exact_and_late_joiners_wait_for_the_rest),
    TEST(test_a_share_that_has_not_begun_says_how_many_it_expects),
    TEST(test_waits_are_counted_from_the_last_success),
    TEST(test_new_version_supersedes_queues_or_is_refused),
    TEST(test_queued_version_follows_the_one_before),
    TEST(test_what_waits_for_a_rollout_that_is_aborted_comes_no_more),
    TEST(test_restored_manager_goes_on_in_numbers_of_its_own),
    TEST(test_share_of_nobody_lets_nobody_in_who_comes_later),
    TEST(test_rollout_that_has_ended_leaves_its_place_to_another),
    TEST(test_rollback_finds_the_stable_version_however_often_was_retried),
    TEST(test_a_retry_without_anybody_to_retry_changes_nothing),
    TEST(test_who_is_overdue_can_be_retried_and_who_failed_by_another_version_cannot),
    TEST(test_what_was_aborted_is_not_resumed),
    TEST(test_what_is_retried_while_a_stage_closes_is_waited_for),
    TEST(test_agent_that_misses_its_deadline_counts_as_failed),
    TEST(test_slot_of_one_that_hangs_is_free_after_its_deadline),
    TEST(test_time_goes_on_for_what_was_begun_before_a_pause),
    TEST(test_what_others_have_it_wait_for_is_no_time_of_its_own),
    TEST(test_deadline_is_for_all_tries_and_the_waits_between_them),
    TEST(test_time_out_of_reach_is_not_counted),
    TEST(test_who_had_its_time_counts_as_failed_until_it_is_ready),
    TEST(test_killed_manager_gives_nobody_more_time),
    TEST(test_who_got_ready_while_the_manager_was_away_was_not_late),
    TEST(test_who_takes_no_document_is_late_until_it_speaks),
    TEST(test_forgiven_failure_that_is_mended_makes_no_room_for_another),
    TEST(test_retried_agents_are_held_to_the_concurrency),
    TEST(test_approval_behind_a_stage_is_asked_for_when_its_agents_are_gone),
    TEST(test_operator_goes_on_without_an_agent_that_comes_to_no_end),
    TEST(test_stage_is_left_early_with_its_quorum_and_not_below),
    TEST(test_stage_with_nobody_at_work_is_left_below_its_quorum),
    TEST(test_few_free_slots_wait_for_others_but_not_for_long),
    TEST(test_gate_of_a_large_stage_moves_no_faster_than_brokers_can_tell),
    TEST(test_quiet_rollout_costs_no_walk),
    TEST(test_news_of_other_stages_cost_no_walk),
    TEST(test_many_rollouts_over_a_restless_fleet_take_turns),
    TEST(test_what_labels_bring_to_many_comes_as_a_budget_lets_it),
    TEST(test_what_a_group_brings_to_many_comes_as_a_budget_lets_it),
    TEST(test_wider_selector_comes_as_a_budget_lets_it),
    TEST(test_manager_that_starts_again_lets_no_more_of_those_begin),
    TEST(test_end_of_a_cordon_waits_for_a_budget),
    TEST(test_who_failed_with_nothing_to_go_back_to_is_out_between_its_tries),
    TEST(test_who_failed_with_nothing_to_go_back_to_is_out_while_its_retry_is_held_up),
    TEST(test_who_went_back_is_not_out_while_something_keeps_it_from_its_next_try),
    TEST(test_who_failed_when_it_came_back_counts_as_soon_as_it_is_let_in_again),
};

SUITE_MAIN("rollout", tests)
