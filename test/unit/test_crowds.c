/* More of something than fits: deployments of an agent, rollouts on their way. Nothing is lost in
 * silence. */
#include "manager/core/why.h"
#include "test/manager_bench.h"

#include <stdio.h>

#define DEPLOYMENTS (RECORDS_MAX + 72)

static const struct manager_options options = {.limits = {.agents = 300,
                                                          .cohorts = 16,
                                                          .deployments = DEPLOYMENTS,
                                                          .bundles = 4,
                                                          .batches = 16},
                                               .epoch = 1,
                                               .cohort_secret = {{7}},
                                               .document_life_s = 1000000,
                                               .policy = POLICY_DEFAULT};

static int order(struct bench *b, const struct command *c)
{
    int rv = run(b, c);
    struct manager_out out = b->out;
    while (b->out.more)
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
    b->out = out;
    return rv;
}

static struct bench *fleet(void)
{
    struct bench *b = bench_on(&options, 1000000);
    for (uint8_t i = 1; i <= 2; i++) {
        struct command c = {.type = COMMAND_BUNDLE_ADD};
        c.bundle.digest.bytes[0] = i;
        snprintf(c.bundle.name, sizeof c.bundle.name, "app");
        snprintf(c.bundle.version, sizeof c.bundle.version, "%u", (unsigned)i);
        CU_ASSERT_EQUAL(order(b, &c), 0);
    }
    join_agents(b, "env=prod", 2);
    join_agents(b, "env=lab", 1);
    return b;
}

static struct command command_for(const char *name, const char *selector)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = "1";
    c.deploy.selector = selector;
    c.deploy.salt = 5;
    return c;
}

static int deploy(struct bench *b, const char *name, const char *selector)
{
    struct command c = command_for(name, selector);
    return order(b, &c);
}

static int group(struct bench *b, const char *selector)
{
    struct command c = {.type = COMMAND_GROUP_SET, .group = {.name = "some", .selector = selector}};
    return order(b, &c);
}

/* As many as agents of env=prod take, and one more by group, which selects none of them. */
static struct bench *full(void)
{
    struct bench *b = fleet();
    char name[16];
    CU_ASSERT_EQUAL(group(b, "env=lab"), 0);
    for (unsigned i = 0; i < RECORDS_MAX; i++) {
        snprintf(name, sizeof name, "app%u", i);
        CU_ASSERT_EQUAL_FATAL(deploy(b, name, "env=prod"), 0);
    }
    CU_ASSERT_EQUAL(deploy(b, "more", "@some"), 0);
    return b;
}

static void test_group_that_would_crowd_agents_is_refused(void)
{
    struct bench *b = full();
    CU_ASSERT_EQUAL(deploy(b, "one", "env=prod"), ERR_RANGE);
    CU_ASSERT_EQUAL(group(b, "env in (lab,prod)"), ERR_RANGE);
    CU_ASSERT_STRING_EQUAL(manager_group(b->m, 0)->selector, "env=lab");
    CU_ASSERT_EQUAL(group(b, "env=lab,!gone"), 0);
    struct command gone = {.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = "app7"}};
    CU_ASSERT_EQUAL(order(b, &gone), 0);
    CU_ASSERT_EQUAL(group(b, "env in (lab,prod)"), 0);
    bench_free(b);
}

static void test_labels_that_would_crowd_an_agent_are_refused(void)
{
    struct bench *b = full();
    struct command c = {.type = COMMAND_LABEL, .label = {.set = "env=prod,new=1", .unset = ""}};
    c.label.id = manager_agent(b->m, 3)->id;
    CU_ASSERT_EQUAL(deploy(b, "later", "new"), 0); /* nobody has that label yet */
    uint32_t cohorts = manager_cohort_count(b->m);
    CU_ASSERT_EQUAL(order(b, &c), ERR_RANGE);
    CU_ASSERT_EQUAL(manager_cohort_count(b->m), cohorts);
    c.label.set = "env=prod";
    CU_ASSERT_EQUAL(order(b, &c), 0);
    bench_free(b);
}

static void test_who_brings_what_lists_it_has_to_find_room(void)
{
    struct bench *b = full();
    struct roster r = {.named_count = 1, .named = {3}};
    struct command named = command_for("named", "");
    named.deploy.roster = &r;
    CU_ASSERT_EQUAL(order(b, &named), ERR_RANGE); /* said of all: whose room is looked at */
    struct command gone = {.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = "app7"}};
    CU_ASSERT_EQUAL(order(b, &gone), 0);
    CU_ASSERT_EQUAL(order(b, &named), 0);
    CU_ASSERT_EQUAL(deploy(b, "app7", "env=prod"), 0);
    struct command c = {.type = COMMAND_LABEL, .label = {.set = "env=prod", .unset = ""}};
    c.label.id = manager_agent(b->m, 3)->id;
    CU_ASSERT_EQUAL(order(b, &c), ERR_RANGE);
    bench_free(b);
}

static void test_device_that_joins_into_a_crowd_is_told_of(void)
{
    struct bench *b = full();
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    struct why why;
    CU_ASSERT_EQUAL(deploy(b, "later", "new"), 0);
    join_agents(b, "env=prod,new=1", 1);
    CU_ASSERT_EQUAL(b->out.alarm_count, 1);
    CU_ASSERT_EQUAL(b->out.alarms[0].type, ALARM_CROWDED);
    CU_ASSERT_STRING_EQUAL(manager_cohort(b->m, b->out.alarms[0].index)->labels.text,
                           "env=prod,new=1");
    manager_why(b->m, 4, (uint32_t)manager_find_deployment(b->m, "later"), b->now_s, &scratch,
                &why);
    CU_ASSERT_EQUAL(why.reason, WHY_CROWDED);
    manager_why(b->m, 4, 0, b->now_s, &scratch, &why);
    CU_ASSERT_NOT_EQUAL(why.reason, WHY_CROWDED);
    bench_free(b);
}

/* ---- rollouts ---- */

static void hello(struct bench *b, uint32_t number)
{
    const struct agent_row *row = manager_agent(b->m, number);
    struct report r = {.type = MESSAGE_STATUS};
    r.status = (struct status){.number = number,
                               .seq = row->seq + 1,
                               .boot = 7,
                               .flags = STATUS_HELLO,
                               .document = manager_cohort(b->m, row->cohort)->revision,
                               .assignment = row->assigned};
    step(b, &(struct manager_event){.type = MANAGER_REPORT,
                                    .report = {.topic = row->id, .report = &r}});
}

static void tick(struct bench *b, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        b->now_s++;
        step(b, &(struct manager_event){.type = MANAGER_TICK});
        while (b->out.more)
            step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
    }
}

static bool has_slot(const struct bench *b, const char *name)
{
    uint64_t until_s;
    uint32_t index = (uint32_t)manager_find_deployment(b->m, name);
    struct stage_count count = {.members = 1, .in_flight = 1};
    return manager_rollout_hold(b->m, index, b->now_s, &count, &until_s) == HOLD_AGENTS;
}

/* All places are taken by rollouts that wait for one deployment, some by way of others. */
static void test_what_others_wait_for_gets_a_place_among_them(void)
{
    struct bench *b = fleet();
    struct plan plan = PLAN_DEFAULT;
    char name[16], before[16] = "base";
    plan.count = 1;
    plan.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    for (uint32_t n = 1; n <= 3; n++)
        hello(b, n);
    CU_ASSERT_EQUAL(deploy(b, "base", "env"), 0);
    for (unsigned i = 0; i < ROLLOUTS_MAX; i++) {
        struct dependency_names after = {.count = 1, .names = {i % 8 ? before : "base"}};
        snprintf(name, sizeof name, "app%u", i);
        struct command c = command_for(name, "env");
        c.deploy.plan = &plan;
        c.deploy.after = &after;
        CU_ASSERT_EQUAL(order(b, &c), 0);
        memcpy(before, name, sizeof before);
    }
    tick(b, 40);
    struct command other = command_for("other", "env");
    other.deploy.plan = &plan;
    CU_ASSERT_EQUAL(order(b, &other), 0);
    tick(b, 40);
    CU_ASSERT_FALSE(has_slot(b, "other")); /* nobody waits for it */
    struct command next = command_for("base", "env");
    next.deploy.version = "2";
    next.deploy.plan = &plan;
    CU_ASSERT_EQUAL(order(b, &next), 0);
    tick(b, 40);
    CU_ASSERT_TRUE(has_slot(b, "base"));
    CU_ASSERT_FALSE(has_slot(b, "other"));
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_group_that_would_crowd_agents_is_refused),
    TEST(test_labels_that_would_crowd_an_agent_are_refused),
    TEST(test_who_brings_what_lists_it_has_to_find_room),
    TEST(test_device_that_joins_into_a_crowd_is_told_of),
    TEST(test_what_others_wait_for_gets_a_place_among_them),
};

SUITE_MAIN("crowds", tests)
