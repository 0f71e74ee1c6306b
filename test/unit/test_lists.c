#include "manager/core/why.h"
#include "test/manager_bench.h"
#include "test/samples.h"

#include <stdio.h>

/* More than one step can tell. */
#define AGENTS 40

#define LIMITS                                                                                     \
    {                                                                                              \
        .agents = AGENTS + 1, .cohorts = 8, .deployments = 300, .bundles = 4, .batches = 8         \
    }
static const struct manager_options options = {.limits = LIMITS,
                                               .epoch = 1,
                                               .cohort_secret = {{7}},
                                               .document_life_s = 1000000,
                                               .policy = POLICY_DEFAULT};
static const char *const labels[] = {"env=prod", "env=lab"};
static unsigned told; /* assignments since the last command */

static void go_on(struct bench *b)
{
    told = persisted(b, PERSIST_ASSIGNMENT);
    while (b->out.more) {
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
        told += persisted(b, PERSIST_ASSIGNMENT);
    }
}

/* A command, and all that comes of it within that second. */
static int order(struct bench *b, const struct command *c)
{
    int rv = run(b, c);
    struct manager_out out = b->out;
    go_on(b);
    unsigned at_once = told;
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
    told += at_once;
    b->out = out;
    return rv;
}

static uint32_t join(struct bench *b, uint32_t batch)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = manager_agent_count(b->m);
    ev.join.id.bytes[0] = (uint8_t)(ev.join.index + 1);
    ev.join.id.bytes[KEY_ID_LEN - 1] = (uint8_t)batch;
    step(b, &ev);
    CU_ASSERT_EQUAL_FATAL(b->out.joined, JOINED_ACCEPTED);
    return b->out.number;
}

/* All agents but the last are of env=prod. */
static struct bench *fleet(void)
{
    struct bench *b = bench_on(&options, 1000000);
    for (size_t i = 0; i < 2; i++) {
        struct command c = {.type = COMMAND_TOKEN_CREATE};
        c.token.count = AGENTS + 1;
        c.token.uses = 1;
        c.token.expires_s = UINT32_MAX;
        c.token.labels = labels[i];
        CU_ASSERT_EQUAL(order(b, &c), 0);
    }
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    c.bundle.digest.bytes[0] = 1;
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "1");
    CU_ASSERT_EQUAL(order(b, &c), 0);
    for (uint32_t n = 1; n <= AGENTS; n++)
        join(b, n == AGENTS);
    return b;
}

static int deploy_as(struct bench *b, const char *name, const struct roster *r,
                     const char *selector)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = "1";
    c.deploy.selector = selector;
    c.deploy.roster = r;
    c.deploy.salt = 5;
    c.deploy.confirmed = true;
    return order(b, &c);
}

static int deploy(struct bench *b, const struct roster *r)
{
    return deploy_as(b, "app", r, "");
}

static struct roster from_to(uint32_t first, uint32_t last)
{
    struct roster r = {0};
    for (uint32_t n = first; n <= last; n++)
        CU_ASSERT_EQUAL(roster_name(&r, n), 0);
    return r;
}

/* By assignment and document, as the agent sees it. */
static bool is_on(const struct bench *b, uint32_t number)
{
    static struct desired d;
    static struct assignment a;
    manager_assignment(b->m, number, b->now_s, &a);
    manager_document(b->m, manager_agent(b->m, number)->cohort, &d);
    return d.count == 1 && d.records[0].flags & RECORD_LISTED && assignment_lists(&a, 1);
}

static unsigned count_on(const struct bench *b)
{
    unsigned count = 0;
    for (uint32_t n = 1; n <= manager_agent_count(b->m); n++)
        count += is_on(b, n);
    return count;
}

static void test_those_that_come_and_go_are_told_and_nobody_else(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 30);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    CU_ASSERT_EQUAL(count_on(b), 30);
    CU_ASSERT_EQUAL(told, 30);
    r = from_to(3, 31);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    CU_ASSERT_TRUE(is_on(b, 31) && !is_on(b, 1) && !is_on(b, 2));
    CU_ASSERT_EQUAL(told, 3);
    CU_ASSERT_EQUAL(deploy(b, &r), 1);
    CU_ASSERT_EQUAL(told, 0);
    bench_free(b);
}

static void test_only_cohorts_of_those_on_the_list_have_the_record(void)
{
    static struct desired d;
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    manager_document(b->m, manager_agent(b->m, AGENTS)->cohort, &d);
    CU_ASSERT_EQUAL(d.count, 0);
    r = from_to(AGENTS, AGENTS);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    manager_document(b->m, manager_agent(b->m, AGENTS)->cohort, &d);
    CU_ASSERT_EQUAL(d.count, 1);
    bench_free(b);
}

static void test_names_and_selectors_exclude_each_other_and_names_must_be_there(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 1);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=prod"), ERR_USAGE);
    r = from_to(AGENTS + 1, AGENTS + 1);
    CU_ASSERT_EQUAL(deploy(b, &r), ERR_NOT_FOUND);
    r = (struct roster){0};
    CU_ASSERT_EQUAL(deploy(b, &r), ERR_USAGE); /* says nobody */
    bench_free(b);
}

static void test_removed_agent_leaves_and_its_successor_takes_its_place(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = manager_agent(b->m, 1)->id};
    CU_ASSERT_EQUAL(order(b, &c), 0);
    CU_ASSERT_EQUAL(count_on(b), 1);
    struct command replace = {.type = COMMAND_AGENT_REPLACE};
    replace.replace.agent = manager_agent(b->m, 2)->id;
    replace.replace.batch = 0;
    replace.replace.index = AGENTS;
    CU_ASSERT_EQUAL(order(b, &replace), 0);
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.index = AGENTS;
    ev.join.id.bytes[0] = 0xee;
    step(b, &ev);
    CU_ASSERT_EQUAL(b->out.number, 2);
    CU_ASSERT_TRUE(is_on(b, 2));
    bench_free(b);
}

static void test_counts_and_reasons_know_the_list(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    struct deployment_counts counts[1];
    struct why why;
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    manager_count_deployments(b->m, counts);
    CU_ASSERT_EQUAL(counts[0].targets, 2);
    CU_ASSERT_EQUAL(counts[0].states[STATE_PENDING], 2);
    manager_why(b->m, 3, 0, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_NOT_NAMED);
    manager_why(b->m, AGENTS, 0, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_NOT_NAMED);
    manager_why(b->m, 1, 0, b->now_s, &scratch, &why);
    CU_ASSERT_NOT_EQUAL(why.reason, WHY_NOT_NAMED);
    bench_free(b);
}

static void test_removed_deployments_give_their_lists_back(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 1);
    char name[16];
    for (unsigned i = 0; i <= LISTS_MAX; i++) {
        snprintf(name, sizeof name, "app%u", i);
        CU_ASSERT_EQUAL_FATAL(deploy_as(b, name, &r, ""), 0);
        struct command c = {.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = name}};
        CU_ASSERT_EQUAL_FATAL(order(b, &c), 0);
    }
    CU_ASSERT_EQUAL(count_on(b), 0);
    bench_free(b);
}

static void tell(struct bench *b, uint32_t number, const char *arch)
{
    static struct facts facts;
    facts = (struct facts){.count = 1, .list = {{"arch", ""}}};
    snprintf(facts.list[0].value, sizeof facts.list[0].value, "%s", arch);
    step(b, &(struct manager_event){.type = MANAGER_FACTS,
                                    .facts = {.number = number, .facts = arch ? &facts : NULL}});
    go_on(b);
}

/* As the driver brings them: odd numbers are arm64. */
static void bring_all(struct bench *b)
{
    uint32_t number;
    while ((number = manager_facts_wanted(b->m)) != 0)
        tell(b, number, number % 2 ? "arm64" : "amd64");
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
}

static void test_facts_choose_and_are_followed(void)
{
    static struct roster r;
    struct bench *b = fleet();
    snprintf(r.facts, sizeof r.facts, "arch=arm64");
    CU_ASSERT_EQUAL(manager_facts_wanted(b->m), 0);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    CU_ASSERT_EQUAL(count_on(b), 0); /* nobody's are known yet */
    bring_all(b);
    CU_ASSERT_EQUAL(count_on(b), AGENTS / 2);
    CU_ASSERT_TRUE(is_on(b, 1) && !is_on(b, 2));
    tell(b, 2, "arm64");
    tell(b, 1, "riscv64");
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
    CU_ASSERT_TRUE(is_on(b, 2) && !is_on(b, 1));
    CU_ASSERT_EQUAL(told, 2);
    bench_free(b);
}

/* What is on a list stays there until all facts have been heard again. */
static void test_list_by_facts_waits_for_facts_after_a_restart(void)
{
    static struct roster r;
    struct bench *b = fleet();
    snprintf(r.facts, sizeof r.facts, "arch=arm64");
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    bring_all(b);
    struct bench *again = bench_on(&options, 1000001);
    for (uint32_t i = 0; i < manager_batch_count(b->m); i++)
        CU_ASSERT_EQUAL(manager_load_batch(again->m, manager_batch(b->m, i)), 0);
    CU_ASSERT_EQUAL(manager_load_bundle(again->m, manager_bundle(b->m, 0)), 0);
    CU_ASSERT_EQUAL(manager_load_deployment(again->m, manager_deployment(b->m, 0)), 0);
    for (uint32_t i = 0; i < manager_cohort_count(b->m); i++)
        CU_ASSERT_EQUAL(manager_load_cohort(again->m, manager_cohort(b->m, i)), 0);
    for (uint32_t n = 1; n <= AGENTS; n++)
        CU_ASSERT_EQUAL(manager_load_agent(again->m, n, manager_agent(b->m, n), NULL, 0), 0);
    for (uint32_t n = 1; n <= AGENTS; n++) {
        uint32_t lists[RECORDS_MAX], sum = manager_lists(b->m, n, lists);
        CU_ASSERT_EQUAL(manager_load_lists(again->m, n, 0, lists, sum), 0);
    }
    step(again, &(struct manager_event){.type = MANAGER_TICK});
    go_on(again);
    CU_ASSERT_TRUE(told == 0 && count_on(again) == AGENTS / 2);
    CU_ASSERT_EQUAL(manager_facts_wanted(again->m), 1);
    bring_all(again);
    CU_ASSERT_TRUE(told == 0 && count_on(again) == AGENTS / 2);
    bench_free(b);
    bench_free(again);
}

static void test_roster_comes_back_from_its_bytes(void)
{
    static struct roster r, got;
    static uint8_t memory[ROSTER_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    for (uint32_t i = 0; i < ROSTER_NAMED_MAX; i++)
        CU_ASSERT_EQUAL(roster_name(&r, UINT32_MAX - i), 0);
    CU_ASSERT_EQUAL(roster_name(&r, 7), ERR_RANGE);
    CU_ASSERT_EQUAL(roster_name(&r, UINT32_MAX), 0); /* known */
    CU_ASSERT_EQUAL(roster_write(&r, &out), 0);
    CU_ASSERT_EQUAL(roster_read(span_buffer(&out), &got), 0);
    CU_ASSERT_TRUE(roster_equal(&r, &got));
    for (size_t len = 0; len < out.len; len++)
        CU_ASSERT_TRUE(roster_read(span_of(memory, len), &got) < 0);
}

static const struct suite_test tests[] = {
    TEST(test_those_that_come_and_go_are_told_and_nobody_else),
    TEST(test_only_cohorts_of_those_on_the_list_have_the_record),
    TEST(test_names_and_selectors_exclude_each_other_and_names_must_be_there),
    TEST(test_removed_agent_leaves_and_its_successor_takes_its_place),
    TEST(test_counts_and_reasons_know_the_list),
    TEST(test_removed_deployments_give_their_lists_back),
    TEST(test_facts_choose_and_are_followed),
    TEST(test_list_by_facts_waits_for_facts_after_a_restart),
    TEST(test_roster_comes_back_from_its_bytes),
};

SUITE_MAIN("lists", tests)
