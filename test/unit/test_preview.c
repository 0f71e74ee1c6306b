/* A deployment that is only tried, and what has to be confirmed. */
#include "test/manager_bench.h"

#include <stdio.h>

#define AGENTS 25

static const struct manager_limits limits = {
    .agents = 64, .cohorts = 8, .deployments = 4, .bundles = 4, .batches = 4};

static void push(struct bench *b, const char *version)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD, .bundle = {.name = "app"}};
    c.bundle.digest.bytes[0] = (uint8_t)version[0];
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version);
    CU_ASSERT_EQUAL_FATAL(run(b, &c), 0);
}

/* 5 agents in staging, 20 in production; two versions. */
static struct bench *bench_new(void)
{
    struct manager_options options = {.limits = limits,
                                      .epoch = 1,
                                      .confirm_percent = 50,
                                      .cohort_secret = {{7}},
                                      .policy = POLICY_DEFAULT,
                                      .document_life_s = 1000};
    struct bench *b = bench_on(&options, 1000000);
    join_agents(b, "env=staging", 5);
    join_agents(b, "env=prod", AGENTS - 5);
    push(b, "1");
    push(b, "2");
    return b;
}

static void hear(struct bench *b, uint32_t number)
{
    struct report r = {.type = MESSAGE_STATUS,
                       .status = {.number = number, .seq = 1, .boot = 1, .flags = STATUS_HELLO}};
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.report = &r}};
    ev.report.topic = manager_agent(b->m, number)->id;
    step(b, &ev);
}

static struct command deploy(const char *version, const char *selector)
{
    return (struct command){.type = COMMAND_DEPLOY,
                            .deploy = {.name = "app",
                                       .bundle = "app",
                                       .version = version,
                                       .selector = selector,
                                       .all = !*selector}};
}

static struct preview preview(struct bench *b, struct command c, int code)
{
    static struct preview p;
    struct arena scratch = arena_on(b->scratch, sizeof b->scratch);
    memset(&p, 0, sizeof p);
    c.deploy.dry_run = true;
    CU_ASSERT_EQUAL(manager_preview(b->m, &c, b->now_s, &scratch, &p, &b->out.error), code);
    return p;
}

static void test_a_trial_counts_and_changes_nothing(void)
{
    struct bench *b = bench_new();
    struct preview p = preview(b, deploy("1", "env=staging"), 0);
    CU_ASSERT_TRUE(p.deployment < 0);
    CU_ASSERT_TRUE(p.changes);
    CU_ASSERT_EQUAL(p.fleet, AGENTS);
    CU_ASSERT_EQUAL(p.targets, 5);
    CU_ASSERT_EQUAL(p.touched, 5);
    CU_ASSERT_EQUAL(manager_deployment_count(b->m), 0);
    struct command c = deploy("1", "env=staging");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    p = preview(b, deploy("1", "env=staging"), 0);
    CU_ASSERT_FALSE(p.changes);
    CU_ASSERT_EQUAL(p.touched, 0);
    p = preview(b, deploy("2", "env in (staging, prod)"), 0);
    CU_ASSERT_EQUAL(p.joining, 20);
    CU_ASSERT_EQUAL(p.leaving, 0);
    CU_ASSERT_EQUAL(p.touched, 25);
    p = preview(b, deploy("1", "env=prod"), 0);
    CU_ASSERT_EQUAL(p.joining, 20);
    CU_ASSERT_EQUAL(p.leaving, 5);
    CU_ASSERT_EQUAL(p.touched, 25);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 1);
    CU_ASSERT_STRING_EQUAL(manager_deployment(b->m, 0)->selector, "env=staging");
    bench_free(b);
}

static void test_a_trial_is_refused_as_the_deed_would_be(void)
{
    struct bench *b = bench_new();
    preview(b, deploy("9", "env=prod"), ERR_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, "there is no bundle app@9: see `dunlin bundle list`");
    preview(b, deploy("1", "env in prod"), ERR_FORMAT);
    struct plan plan = PLAN_DEFAULT;
    plan.count = 1;
    snprintf(plan.stages[0].name, sizeof plan.stages[0].name, "all");
    plan.overlap = OVERLAP_REFUSE;
    struct command c = deploy("1", "env=staging");
    c.deploy.plan = &plan;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    preview(b, deploy("2", "env=staging"), ERR_BUSY);
    bench_free(b);
}

static void test_a_trial_promises_to_wait_only_to_what_may(void)
{
    struct bench *b = bench_new();
    struct plan plan = PLAN_DEFAULT;
    plan.count = 1;
    plan.overlap = OVERLAP_QUEUE;
    snprintf(plan.stages[0].name, sizeof plan.stages[0].name, "all");
    struct command c = deploy("1", "env=staging");
    c.deploy.plan = &plan;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    struct command other = deploy("2", "env=staging");
    other.deploy.priority = 3;
    preview(b, other, ERR_BUSY);
    CU_ASSERT_TRUE(preview(b, deploy("2", "env=staging"), 0).changes);
    c = deploy("2", "env=staging");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_FALSE(preview(b, deploy("2", "env=staging"), 0).changes); /* it waits already */
    bench_free(b);
}

static void test_stages_are_counted_in_turn(void)
{
    struct bench *b = bench_new();
    struct plan plan = {.count = 3, .quorum = 100, .reachable_within_s = 300};
    snprintf(plan.stages[0].name, sizeof plan.stages[0].name, "few");
    plan.stages[0].share = (struct amount){.value = 20, .percent = true};
    snprintf(plan.stages[1].name, sizeof plan.stages[1].name, "staging");
    snprintf(plan.stages[1].selector, sizeof plan.stages[1].selector, "env=staging");
    snprintf(plan.stages[2].name, sizeof plan.stages[2].name, "three");
    plan.stages[2].share.value = 3;
    struct command c = deploy("1", "");
    c.deploy.plan = &plan;
    struct preview p = preview(b, c, 0);
    CU_ASSERT_EQUAL_FATAL(p.plan.count, 4);
    CU_ASSERT_EQUAL(p.stages[0], 5);
    CU_ASSERT_EQUAL(p.stages[1], 4);
    CU_ASSERT_EQUAL(p.stages[2], 3);
    CU_ASSERT_EQUAL(p.stages[3], 13);
    bench_free(b);
}

static void test_a_changed_pick_is_counted_agent_by_agent(void)
{
    struct bench *b = bench_new();
    struct pick some = {.amount = {.value = 12}}, few = {.amount = {.value = 4}};
    struct command c = deploy("1", "env=prod");
    c.deploy.pick = &some;
    struct preview p = preview(b, c, 0);
    CU_ASSERT_TRUE(p.targets == 12 && p.joining == 12 && p.leaving == 0);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c.deploy.pick = &few;
    p = preview(b, c, 0);
    CU_ASSERT_TRUE(p.targets == 4 && p.joining == 0 && p.leaving == 8 && p.touched == 8);
    c = deploy("1", "env=staging"); /* the pick stays */
    p = preview(b, c, 0);
    CU_ASSERT_TRUE(p.targets == 5 && p.joining == 5 && p.leaving == 12);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->picked.count, 1);
    struct roster named = {.named_count = 2, .named = {1, 25}};
    c = deploy("1", "");
    c.deploy.all = false;
    c.deploy.roster = &named;
    c.deploy.pick = &(struct pick){0};
    p = preview(b, c, 0);
    CU_ASSERT_TRUE(p.targets == 2 && p.leaving >= 11 && p.joining + p.leaving >= 12);
    bench_free(b);
}

static void refused(struct bench *b, struct command c, const char *sentence)
{
    CU_ASSERT_TRUE(preview(b, c, 0).confirm);
    CU_ASSERT_EQUAL(run(b, &c), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, sentence);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    c.confirmed = true;
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

static void test_touching_over_half_of_the_fleet_has_to_be_confirmed(void)
{
    struct bench *b = bench_new();
    refused(b, deploy("1", ""),
            "app would touch 25 of 25 agents, more than 50% of the fleet: if this is meant, say "
            "--confirm");
    /* What changes nothing on any agent needs no word. */
    struct command c = deploy("1", "");
    c.deploy.priority = 3;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    refused(b, deploy("2", "env=staging"),
            "app would touch 25 of 25 agents, more than 50% of the fleet: if this is meant, say "
            "--confirm");
    c = deploy("1", "env=staging");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    bench_free(b);
}

static void test_leaving_nobody_has_to_be_confirmed(void)
{
    struct bench *b = bench_new();
    struct command c = deploy("1", "env=nowhere");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c = deploy("1", "env=staging");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    refused(b, deploy("1", "env=nowhere"),
            "app would have no agents any more: 5 take it off: if this is meant, say --confirm");
    bench_free(b);
}

static void test_a_small_fleet_is_touched_as_a_whole(void)
{
    struct manager_options options = {.limits = limits,
                                      .epoch = 1,
                                      .confirm_percent = 50,
                                      .policy = POLICY_DEFAULT,
                                      .document_life_s = 1000};
    struct bench *b = bench_on(&options, 1000000);
    push(b, "1");
    join_agents(b, "env=prod", CONFIRM_AGENTS_MIN - 1);
    struct command c = deploy("1", "");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    join_agents(b, "env=prod", 1);
    push(b, "2");
    c = deploy("2", "");
    CU_ASSERT_EQUAL(run(b, &c), ERR_REFUSED);
    bench_free(b);
}

/* ---- what a rollout waits for ---- */

static enum rollout_hold hold(struct bench *b, uint64_t *until_s)
{
    struct stage_count counts[STAGES_MAX];
    struct arena scratch = arena_on(b->scratch, sizeof b->scratch);
    manager_survey(b->m, 0, b->now_s, &scratch, counts);
    const struct rollout *r = &manager_deployment(b->m, 0)->rollout;
    return manager_rollout_hold(b->m, 0, b->now_s, &counts[r->stage], until_s);
}

static void tick(struct bench *b)
{
    step(b, &(struct manager_event){.type = MANAGER_TICK});
}

static int steer(struct bench *b, enum command_type type, const char *stage)
{
    struct command c = {.type = type, .deployment = {.name = "app", .stage = stage}};
    return run(b, &c);
}

static void test_what_a_rollout_waits_for_has_a_name(void)
{
    struct bench *b = bench_new();
    struct plan plan = PLAN_DEFAULT;
    uint64_t until_s;
    plan.count = 1;
    snprintf(plan.stages[0].name, sizeof plan.stages[0].name, "all");
    plan.stages[0].before = (struct threshold){.approval = true, .wait_s = 60};
    struct command c = deploy("1", "env=staging");
    c.deploy.plan = &plan;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    tick(b);
    CU_ASSERT_EQUAL(hold(b, &until_s), HOLD_APPROVAL);
    CU_ASSERT_EQUAL(steer(b, COMMAND_PAUSE, NULL), 0);
    CU_ASSERT_EQUAL(hold(b, &until_s), HOLD_PAUSED);
    CU_ASSERT_EQUAL(steer(b, COMMAND_RESUME, NULL), 0);
    CU_ASSERT_EQUAL(steer(b, COMMAND_APPROVE, "all"), 0);
    CU_ASSERT_EQUAL(hold(b, &until_s), HOLD_TIME);
    CU_ASSERT_EQUAL(until_s, 1000060);
    b->now_s += 60;
    tick(b);
    /* Nobody has ever reported. */
    CU_ASSERT_EQUAL(hold(b, &until_s), HOLD_REACH);
    CU_ASSERT_EQUAL(steer(b, COMMAND_ABORT, NULL), 0);
    CU_ASSERT_EQUAL(hold(b, &until_s), HOLD_OPERATOR);
    bench_free(b);
}

static void test_a_plan_that_comes_later_is_for_the_next_version(void)
{
    struct bench *b = bench_new();
    struct plan plan = PLAN_DEFAULT;
    struct command c = deploy("1", "env=staging");
    plan.count = 1;
    snprintf(plan.stages[0].name, sizeof plan.stages[0].name, "all");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->rollout.state, ROLLOUT_NONE);
    c.deploy.plan = &plan;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->rollout.state, ROLLOUT_DONE);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 1);
    plan.count = 0;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->rollout.state, ROLLOUT_NONE);
    bench_free(b);
}

static bool is_about(uint64_t s, uint64_t wanted_s)
{
    return s >= wanted_s && s <= wanted_s + wanted_s / 8;
}

/* Who is online isn't, and who never reported was heard of when it joined. */
static void test_those_away_are_expected_back_after_as_long_as_they_were_gone(void)
{
    struct bench *b = bench_new();
    struct preview p = preview(b, deploy("1", "env=staging"), 0);
    CU_ASSERT_EQUAL(p.absence.agents, 5);
    CU_ASSERT_EQUAL(p.absence.most_s, 0);
    for (uint32_t n = 1; n <= 3; n++)
        hear(b, n);
    b->now_s += 3000000;
    p = preview(b, deploy("1", "env=staging"), 0);
    CU_ASSERT_EQUAL(p.absence.agents, 2);
    CU_ASSERT_TRUE(is_about(p.absence.half_s, 3000000));
    join_agents(b, "env=prod", 60 - AGENTS);
    b->now_s += 600;
    p = preview(b, deploy("1", "env=prod"), 0);
    CU_ASSERT_EQUAL(p.absence.agents, 55);
    CU_ASSERT_TRUE(is_about(p.absence.half_s, 600));
    CU_ASSERT_TRUE(is_about(p.absence.most_s, 3000600));
    bench_free(b);
}

static void test_stages_know_whom_they_are_new_to(void)
{
    struct bench *b = bench_new();
    struct plan plan = PLAN_DEFAULT;
    struct command c = deploy("1", "env=staging");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    plan.count = 2;
    plan.stages[0] = (struct plan_stage){.name = "few", .share = {10, false}};
    plan.stages[1] = (struct plan_stage){.name = "rest"};
    c = deploy("2", "");
    c.deploy.plan = &plan;
    struct preview p = preview(b, c, 0);
    CU_ASSERT_EQUAL(p.stages[0], 10);
    CU_ASSERT_EQUAL(p.joining_in[0], 8);
    CU_ASSERT_EQUAL(p.stages[1], 15);
    CU_ASSERT_EQUAL(p.joining_in[1], 12);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_those_away_are_expected_back_after_as_long_as_they_were_gone),
    TEST(test_stages_know_whom_they_are_new_to),
    TEST(test_a_trial_counts_and_changes_nothing),
    TEST(test_a_trial_is_refused_as_the_deed_would_be),
    TEST(test_a_trial_promises_to_wait_only_to_what_may),
    TEST(test_stages_are_counted_in_turn),
    TEST(test_a_changed_pick_is_counted_agent_by_agent),
    TEST(test_touching_over_half_of_the_fleet_has_to_be_confirmed),
    TEST(test_leaving_nobody_has_to_be_confirmed),
    TEST(test_a_small_fleet_is_touched_as_a_whole),
    TEST(test_what_a_rollout_waits_for_has_a_name),
    TEST(test_a_plan_that_comes_later_is_for_the_next_version),
};

SUITE_MAIN("preview", tests)
