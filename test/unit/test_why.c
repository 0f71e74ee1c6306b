/* The reason for each state that commands and reports bring a deployment on an agent to. */
#include "manager/core/why.h"

#include "test/manager_bench.h"

#include <stdio.h>

static const struct manager_limits small = {
    .agents = 5, .cohorts = 4, .deployments = 2, .bundles = 3, .batches = 3};

static struct key_id id_of(uint32_t number)
{
    return (struct key_id){{(uint8_t)(10 + number)}};
}

static void join(struct bench *b, uint32_t batch, uint32_t number)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = number;
    ev.join.id = id_of(number);
    step(b, &ev);
    CU_ASSERT_EQUAL_FATAL(b->out.number, number);
}

static int push(struct bench *b, const char *version)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    c.bundle.digest.bytes[0] = (uint8_t)version[0];
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version);
    return run(b, &c);
}

static struct command deploy_command(const char *version)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "env=prod,region in (eu,us)";
    c.deploy.salt = 4711;
    return c;
}

static void deploy(struct bench *b, const char *version, const struct plan *plan)
{
    struct command c = deploy_command(version);
    c.deploy.plan = plan;
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

static void tell(struct bench *b, enum command_type type, const char *stage)
{
    struct command c = {.type = type, .deployment = {.name = "app", .stage = stage}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

static void tell_agent(struct bench *b, enum command_type type, uint32_t number)
{
    struct command c = {.type = type, .agent = id_of(number)};
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

/* Agents 1 to 3 are of prod in eu, and agent 4 is of the lab; two versions are there. */
static struct bench *bench_new(void)
{
    static const char *const labels[] = {"env=prod,region=eu", "env=lab"};
    struct manager_options options = {.limits = small,
                                      .epoch = 1,
                                      .cohort_secret = {{7}},
                                      .document_life_s = 86400,
                                      .policy = POLICY_DEFAULT};
    struct bench *b = bench_on(&options, 1000000);
    for (int i = 0; i < 2; i++) {
        struct command c = {.type = COMMAND_TOKEN_CREATE,
                            .token = {.count = 8, .uses = 1, .expires_s = 2000000}};
        c.token.labels = labels[i];
        CU_ASSERT_EQUAL(run(b, &c), 0);
    }
    for (uint32_t n = 1; n <= 4; n++)
        join(b, n == 4, n);
    push(b, "1");
    push(b, "2");
    return b;
}

/* It holds the newest document, and says this of the deployment; NULL: nothing. */
static void report(struct bench *b, uint32_t number, unsigned flags, const struct exception *e)
{
    const struct agent_row *row = manager_agent(b->m, number);
    struct report r = {.type = MESSAGE_STATUS};
    r.status = (struct status){.number = number,
                               .seq = row->seq + 1,
                               .boot = 1,
                               .document = manager_cohort(b->m, row->cohort)->revision,
                               .assignment = row->assigned,
                               .flags = (uint8_t)flags,
                               .count = e != NULL};
    if (e)
        r.status.exceptions[0] = *e;
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = id_of(number);
    ev.report.report = &r;
    step(b, &ev);
}

/* What it says of the newest generation. */
static void says(struct bench *b, uint32_t number, enum deployment_state state, enum cause cause,
                 uint32_t running)
{
    struct exception e = {.deployment = 1,
                          .generation = manager_generation(b->m, 0),
                          .running = running,
                          .state = (uint8_t)state,
                          .cause = (uint8_t)cause};
    report(b, number, 0, &e);
}

static void ticks(struct bench *b, int count)
{
    for (int i = 0; i < count; i++) {
        b->now_s++;
        step(b, &(struct manager_event){.type = MANAGER_TICK});
        while (b->out.more)
            step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
    }
}

static struct why ask(struct bench *b, uint32_t number)
{
    struct why w;
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    manager_why(b->m, number, 0, b->now_s, &scratch, &w);
    return w;
}

static void is(struct bench *b, uint32_t number, enum why_reason reason)
{
    struct why w = ask(b, number);
    CU_ASSERT_EQUAL(w.reason, reason);
    CU_ASSERT_EQUAL(w.then, WHY_COUNT);
}

/* Everybody runs version 1, without a plan. */
static struct bench *running(void)
{
    struct bench *b = bench_new();
    deploy(b, "1", NULL);
    for (uint32_t n = 1; n <= 4; n++)
        report(b, n, STATUS_HELLO, NULL);
    return b;
}

/* And version 2 begins its way: one agent at a time, then the rest with approval. */
static struct bench *rolling(void)
{
    struct bench *b = running();
    struct plan p = PLAN_DEFAULT;
    p.count = 2;
    p.stages[0] = (struct plan_stage){.name = "first", .share = {2, false}, .concurrency = {1, 0}};
    p.stages[1] = (struct plan_stage){.name = "rest", .before = {.approval = true}};
    deploy(b, "2", &p);
    ticks(b, 2);
    return b;
}

/* The agent that the rollout has let in so far; 0: none. */
static uint32_t admitted(struct bench *b)
{
    struct agent_deployment d[RECORDS_MAX];
    for (uint32_t n = 1; n <= 3; n++)
        if (manager_agent_deployments(b->m, n, d) == 1 && !d[0].held && d[0].state != STATE_READY)
            return n;
    return 0;
}

static uint32_t in_stage(struct bench *b, enum why_reason reason, uint32_t stage)
{
    for (uint32_t n = 1; n <= 3; n++) {
        struct why w = ask(b, n);
        if (w.reason == reason && w.stage == stage)
            return n;
    }
    return 0;
}

/* ---- who is not of the fleet, or not of the deployment ---- */

static void test_agent_that_runs_the_newest_version_is_ready(void)
{
    struct bench *b = running();
    is(b, 1, WHY_READY);
    CU_ASSERT_EQUAL(ask(b, 1).heard_s, b->now_s);
    tell_agent(b, COMMAND_AGENT_CORDON, 1);
    tell(b, COMMAND_PAUSE, NULL);
    report(b, 1, 0, NULL);
    is(b, 1, WHY_READY); /* neither is in the way of anything */
    bench_free(b);
}

static void test_removed_and_revoked_agents_are_said_to_be(void)
{
    struct bench *b = running();
    tell_agent(b, COMMAND_AGENT_REMOVE, 1);
    is(b, 1, WHY_REMOVED);
    tell_agent(b, COMMAND_AGENT_REVOKE, 1);
    is(b, 1, WHY_REVOKED);
    bench_free(b);
}

static void test_device_that_waits_to_be_let_in_waits_for_that_first(void)
{
    struct bench *b = running();
    struct command c = {.type = COMMAND_TOKEN_CREATE,
                        .token = {.count = 8, .uses = 1, .expires_s = 2000000, .approve = true}};
    c.token.labels = "env=prod,region=eu";
    CU_ASSERT_EQUAL(run(b, &c), 0);
    join(b, 2, 5);
    is(b, 5, WHY_UNAPPROVED);
    tell_agent(b, COMMAND_AGENT_APPROVE, 5);
    struct why w = ask(b, 5);
    CU_ASSERT_TRUE(w.reason == WHY_OFFLINE && w.then == WHY_NOT_HEARD && w.heard_s == 0);
    bench_free(b);
}

static void test_quarantined_agent_is_decided_on_first(void)
{
    struct bench *b = running();
    struct report r = {.type = MESSAGE_STATUS};
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = id_of(1);
    ev.report.report = &r;
    for (uint32_t seq = 10; seq < 12; seq++) { /* two boots by turns */
        r.status = (struct status){.number = 1, .seq = seq, .boot = seq % 2 ? 1 : 2};
        step(b, &ev);
    }
    is(b, 1, WHY_QUARANTINED);
    bench_free(b);
}

static void test_agent_that_is_cut_off_is_said_to_be(void)
{
    struct bench *b = running();
    struct manager_event ev = {.type = MANAGER_FLOOD, .flood = id_of(1)};
    step(b, &ev);
    is(b, 1, WHY_CUT_OFF);
    tell_agent(b, COMMAND_AGENT_RELEASE, 1);
    CU_ASSERT_EQUAL(ask(b, 1).reason, WHY_OFFLINE);
    bench_free(b);
}

static void test_agent_that_is_not_selected_knows_by_which_term(void)
{
    struct bench *b = running();
    is(b, 4, WHY_NOT_SELECTED);
    CU_ASSERT_EQUAL(ask(b, 4).miss.term, 0);
    struct command c = {.type = COMMAND_LABEL,
                        .label = {.id = id_of(4), .set = "env=prod", .unset = ""}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    is(b, 4, WHY_NOT_SELECTED);
    CU_ASSERT_EQUAL(ask(b, 4).miss.term, 1);
    c.label.id = id_of(1);
    c.label.set = "env=lab";
    CU_ASSERT_EQUAL(run(b, &c), 0);
    report(b, 1, 0, &(struct exception){.deployment = 1, .running = 1, .state = STATE_REMOVING});
    is(b, 1, WHY_NOT_SELECTED);
    CU_ASSERT_EQUAL(ask(b, 1).running, 1); /* still */
    bench_free(b);
}

static void test_agent_that_others_are_picked_before_knows_it(void)
{
    struct bench *b = running();
    struct pick pick = {.amount = {2, false}};
    struct command c = deploy_command("1");
    c.deploy.pick = &pick;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    ticks(b, 1);
    unsigned others = 0;
    for (uint32_t n = 1; n <= 3; n++)
        others += ask(b, n).reason == WHY_NOT_PICKED;
    CU_ASSERT_EQUAL(others, 1);
    bench_free(b);
}

/* ---- what its reports say ---- */

static void test_what_an_agent_is_at_is_the_reason(void)
{
    static const struct {
        enum deployment_state state;
        enum cause cause;
        enum why_reason reason;
    } cases[] = {
        {STATE_DOWNLOADING, CAUSE_NONE, WHY_DOWNLOADING},
        {STATE_DOWNLOADING, CAUSE_FETCH, WHY_NO_CONTENT},
        {STATE_DOWNLOADING, CAUSE_DISK, WHY_DISK},
        {STATE_APPLYING, CAUSE_NONE, WHY_APPLYING},
        {STATE_APPLYING, CAUSE_DISK, WHY_DISK},
        {STATE_VERIFYING, CAUSE_NONE, WHY_VERIFYING},
        {STATE_ROLLED_BACK, CAUSE_HEALTH, WHY_ROLLED_BACK},
        {STATE_FAILED, CAUSE_PRE_APPLY, WHY_FAILED},
        {STATE_MODIFIED, CAUSE_NONE, WHY_MODIFIED},
        {STATE_PENDING, CAUSE_NONE, WHY_QUEUED},
        {STATE_PENDING, CAUSE_WINDOW, WHY_WINDOW},
        {STATE_PENDING, CAUSE_CLOCK, WHY_CLOCK},
        {STATE_PENDING, CAUSE_HEALTH, WHY_RETRYING},
    };
    struct bench *b = running();
    deploy(b, "2", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        says(b, 1, cases[i].state, cases[i].cause, 1);
        is(b, 1, cases[i].reason);
        struct why w = ask(b, 1);
        CU_ASSERT_TRUE(w.wanted == 2 && w.running == 1 && w.cause == cases[i].cause);
    }
    bench_free(b);
}

static struct command deploy_base(uint32_t priority)
{
    struct command c = deploy_command("1");
    c.deploy.name = "base";
    c.deploy.priority = priority;
    return c;
}

/* What is begun is brought to an end, and removals have no priority. */
static void test_priority_is_the_reason_only_of_what_comes_first_by_it(void)
{
    static const struct {
        uint32_t priority;
        enum deployment_state state;
        bool outranked;
    } cases[] = {
        {5, STATE_APPLYING, true},
        {0, STATE_APPLYING, false},
        {5, STATE_REMOVING, false},
    };
    struct bench *b = running();
    deploy(b, "2", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct command c = deploy_base(cases[i].priority);
        CU_ASSERT_EQUAL(run(b, &c), 0);
        ticks(b, 2);
        const struct agent_row *row = manager_agent(b->m, 1);
        struct report r = {.type = MESSAGE_STATUS};
        r.status = (struct status){.number = 1,
                                   .seq = row->seq + 1,
                                   .boot = 1,
                                   .document = manager_cohort(b->m, row->cohort)->revision,
                                   .assignment = row->assigned,
                                   .count = 2,
                                   .exceptions = {{.deployment = 1,
                                                   .generation = manager_generation(b->m, 0),
                                                   .running = 1,
                                                   .state = STATE_PENDING},
                                                  {.deployment = 2,
                                                   .generation = manager_generation(b->m, 1),
                                                   .state = (uint8_t)cases[i].state}}};
        step(b, &(struct manager_event){.type = MANAGER_REPORT,
                                        .report = {.topic = id_of(1), .report = &r}});
        struct why w = ask(b, 1);
        CU_ASSERT_EQUAL(w.reason, WHY_QUEUED);
        CU_ASSERT_TRUE(w.other_there && w.other.deployment == 1);
        CU_ASSERT_EQUAL(w.outranked, cases[i].outranked);
    }
    bench_free(b);
}

/* Deployment "base", on which "app" depends. */
static void depend(struct bench *b, const char *selector)
{
    static const struct dependency_names names = {.count = 1, .names = {"base"}};
    struct command c = deploy_base(0);
    c.deploy.selector = selector;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c = deploy_command("2");
    c.deploy.after = &names;
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

/* Where the deployment says how many, and the agent has heard so. */
static void test_one_that_comes_back_waits_for_a_place_with_others(void)
{
    struct bench *b = running();
    struct plan p = PLAN_DEFAULT;
    struct command c = deploy_command("2");
    p.returning = (struct amount){1, false};
    c.deploy.plan = &p;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    says(b, 1, STATE_PENDING, CAUSE_RETURNING, 1);
    is(b, 1, WHY_RETURNING);
    struct why w = ask(b, 1);
    CU_ASSERT_TRUE(w.returning.places == 1 && w.returning.taken == 0 && w.returning.asking == 1);
    CU_ASSERT_FALSE(w.permitted);
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    w = ask(b, 1);
    CU_ASSERT_TRUE(w.permitted && w.returning.taken == 1 && w.returning.asking == 0);
    bench_free(b);
}

/* And where a budget has no room. */
static void test_one_that_no_gate_brings_waits_for_a_budget(void)
{
    struct bench *b = running();
    struct command c = {.type = COMMAND_BUDGET_SET,
                        .budget = {.name = "all", .selector = "", .max = {1, false}}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    says(b, 1, STATE_PENDING, CAUSE_RETURNING, 0);
    is(b, 1, WHY_RETURNING); /* it has room, any moment */
    says(b, 2, STATE_FAILED, CAUSE_HEALTH, 0);
    is(b, 1, WHY_BUDGET);
    struct why w = ask(b, 1);
    CU_ASSERT_TRUE(w.asks && w.budget == 0 && !w.permitted);
    bench_free(b);
}

static void test_what_it_depends_on_is_named(void)
{
    struct bench *b = running();
    depend(b, "env=prod");
    struct report r = {.type = MESSAGE_STATUS};
    r.status = (struct status){.number = 1, .seq = 100, .boot = 1, .count = 2};
    r.status.document = manager_cohort(b->m, 0)->revision;
    r.status.assignment = manager_agent(b->m, 1)->assigned;
    r.status.exceptions[0] =
        (struct exception){.deployment = 1, .generation = 2, .running = 1, .cause = CAUSE_AFTER};
    r.status.exceptions[1] =
        (struct exception){.deployment = 2, .generation = 1, .state = STATE_APPLYING};
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.topic = id_of(1), .report = &r}};
    step(b, &ev);
    is(b, 1, WHY_AFTER);
    CU_ASSERT_EQUAL(ask(b, 1).other.deployment, 1);
    CU_ASSERT_EQUAL(ask(b, 1).other.state, STATE_APPLYING);
    bench_free(b);
    b = running();
    depend(b, "env=lab");
    says(b, 1, STATE_PENDING, CAUSE_STUCK, 1);
    is(b, 1, WHY_STUCK);
    struct why w = ask(b, 1);
    CU_ASSERT_EQUAL(w.other.deployment, 1);
    CU_ASSERT_FALSE(w.other_there);
    bench_free(b);
}

static void test_agent_that_has_not_said_that_it_knows_is_not_heard(void)
{
    struct bench *b = running();
    b->now_s += 50;
    deploy(b, "2", NULL);
    b->now_s += 100;
    is(b, 1, WHY_NOT_HEARD);
    CU_ASSERT_EQUAL(ask(b, 1).since_s, b->now_s - 100);
    CU_ASSERT_EQUAL(ask(b, 1).running, 1);
    report(b, 1, 0, NULL);
    is(b, 1, WHY_READY);
    bench_free(b);
}

static void test_agent_with_too_much_to_tell_has_not_told(void)
{
    struct bench *b = running();
    report(b, 1, STATUS_TRUNCATED, NULL);
    is(b, 1, WHY_NOT_TOLD);
    bench_free(b);
}

/* ---- offline and stale ---- */

static void test_offline_agent_knows_what_it_will_do_when_it_comes_back(void)
{
    struct bench *b = running();
    report(b, 1, STATUS_GOODBYE, NULL);
    struct why w = ask(b, 1);
    CU_ASSERT_TRUE(w.reason == WHY_OFFLINE && w.then == WHY_READY && w.heard_s == b->now_s);
    deploy(b, "2", NULL);
    w = ask(b, 1);
    CU_ASSERT_TRUE(w.reason == WHY_OFFLINE && w.then == WHY_NOT_HEARD && w.wanted == 2);
    tell_agent(b, COMMAND_AGENT_CORDON, 1);
    CU_ASSERT_EQUAL(ask(b, 1).then, WHY_CORDONED);
    bench_free(b);
}

static void test_failure_of_an_offline_agent_comes_before_its_link(void)
{
    struct bench *b = running();
    deploy(b, "2", NULL);
    struct exception e = {.deployment = 1,
                          .generation = 2,
                          .running = 1,
                          .state = STATE_ROLLED_BACK,
                          .cause = CAUSE_APPLY};
    report(b, 1, STATUS_GOODBYE, &e);
    is(b, 1, WHY_ROLLED_BACK);
    bench_free(b);
}

static void test_agent_with_an_expired_document_is_stale(void)
{
    struct bench *b = running();
    report(b, 1, STATUS_STALE, NULL);
    struct why w = ask(b, 1);
    CU_ASSERT_TRUE(w.reason == WHY_STALE && w.then == WHY_READY);
    bench_free(b);
}

/* ---- held ---- */

static void test_cordon_comes_before_a_pause_and_after_what_has_begun(void)
{
    struct bench *b = running();
    tell(b, COMMAND_PAUSE, NULL);
    deploy(b, "2", NULL);
    is(b, 1, WHY_PAUSED);
    tell_agent(b, COMMAND_AGENT_CORDON, 1);
    is(b, 1, WHY_CORDONED);
    says(b, 1, STATE_DOWNLOADING, CAUSE_NONE, 1);
    is(b, 1, WHY_CORDONED);
    says(b, 1, STATE_APPLYING, CAUSE_NONE, 1);
    is(b, 1, WHY_APPLYING);
    bench_free(b);
}

static void test_agent_waits_for_its_turn_then_for_its_stage(void)
{
    struct bench *b = rolling();
    uint32_t first = admitted(b);
    CU_ASSERT_NOT_EQUAL_FATAL(first, 0);
    is(b, first, WHY_NOT_HEARD);
    uint32_t second = in_stage(b, WHY_HELD, 0), last = in_stage(b, WHY_HELD, 1);
    CU_ASSERT_TRUE_FATAL(second != 0 && last != 0);
    struct why w = ask(b, second);
    CU_ASSERT_TRUE(w.count.members == 2 && w.count.in_flight == 1 && w.count.waiting == 1);
    CU_ASSERT_TRUE(w.wanted == 1 && w.running == 1);
    says(b, first, STATE_READY, CAUSE_NONE, 2);
    is(b, first, WHY_READY);
    ticks(b, 2);
    CU_ASSERT_EQUAL(admitted(b), second);
    says(b, second, STATE_READY, CAUSE_NONE, 2);
    ticks(b, 3);
    is(b, last, WHY_HELD);
    uint64_t until_s;
    CU_ASSERT_EQUAL(manager_rollout_hold(b->m, 0, b->now_s, NULL, &until_s), HOLD_APPROVAL);
    tell(b, COMMAND_APPROVE, "rest");
    ticks(b, 2);
    is(b, last, WHY_NOT_HEARD);
    bench_free(b);
}

static void test_agent_that_joined_meanwhile_comes_in_last(void)
{
    struct bench *b = rolling();
    join(b, 0, 5);
    report(b, 5, STATUS_HELLO, NULL);
    is(b, 5, WHY_LATE);
    bench_free(b);
}

static void test_stopped_and_aborted_rollouts_come_to_nobody(void)
{
    struct bench *b = rolling();
    uint32_t first = admitted(b);
    says(b, first, STATE_ROLLED_BACK, CAUSE_HEALTH, 1);
    ticks(b, 2);
    is(b, first, WHY_ROLLED_BACK);
    uint32_t other = first == 1 ? 2 : 1;
    is(b, other, WHY_STOPPED);
    tell(b, COMMAND_ABORT, NULL);
    is(b, other, WHY_ABORTED);
    CU_ASSERT_EQUAL(ask(b, other).running, 1);
    bench_free(b);
}

static void test_who_was_let_in_and_had_not_begun_has_its_rollout_aborted(void)
{
    struct bench *b = rolling();
    uint32_t first = admitted(b);
    tell(b, COMMAND_ABORT, NULL);
    is(b, first, WHY_ABORTED);
    says(b, first, STATE_VERIFYING, CAUSE_NONE, 1);
    is(b, first, WHY_VERIFYING); /* it had */
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_priority_is_the_reason_only_of_what_comes_first_by_it),
    TEST(test_agent_that_runs_the_newest_version_is_ready),
    TEST(test_removed_and_revoked_agents_are_said_to_be),
    TEST(test_device_that_waits_to_be_let_in_waits_for_that_first),
    TEST(test_quarantined_agent_is_decided_on_first),
    TEST(test_agent_that_is_cut_off_is_said_to_be),
    TEST(test_agent_that_is_not_selected_knows_by_which_term),
    TEST(test_agent_that_others_are_picked_before_knows_it),
    TEST(test_what_an_agent_is_at_is_the_reason),
    TEST(test_one_that_comes_back_waits_for_a_place_with_others),
    TEST(test_one_that_no_gate_brings_waits_for_a_budget),
    TEST(test_what_it_depends_on_is_named),
    TEST(test_agent_that_has_not_said_that_it_knows_is_not_heard),
    TEST(test_agent_with_too_much_to_tell_has_not_told),
    TEST(test_offline_agent_knows_what_it_will_do_when_it_comes_back),
    TEST(test_failure_of_an_offline_agent_comes_before_its_link),
    TEST(test_agent_with_an_expired_document_is_stale),
    TEST(test_cordon_comes_before_a_pause_and_after_what_has_begun),
    TEST(test_agent_waits_for_its_turn_then_for_its_stage),
    TEST(test_agent_that_joined_meanwhile_comes_in_last),
    TEST(test_stopped_and_aborted_rollouts_come_to_nobody),
    TEST(test_who_was_let_in_and_had_not_begun_has_its_rollout_aborted),
};

SUITE_MAIN("why", tests)
