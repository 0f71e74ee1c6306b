#include "test/manager_bench.h"

#include <stdio.h>

static const struct manager_options options = {
    .limits = {.agents = 16, .cohorts = 8, .deployments = 4, .bundles = 4, .batches = 8},
    .epoch = 1,
    .cohort_secret = {{7}},
    .document_life_s = 1000000,
    .policy = POLICY_DEFAULT};

static void go_on(struct bench *b)
{
    int rv = b->out.rv;
    struct errmsg error = b->out.error;
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    while (b->out.more)
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
    b->out.rv = rv;
    b->out.error = error;
}

static int order(struct bench *b, const struct command *c)
{
    run(b, c);
    go_on(b);
    return b->out.rv;
}

/* 2 in each of three places, and a bundle. */
static struct bench *fleet(void)
{
    struct bench *b = bench_on(&options, 1000000);
    join_agents(b, "env=prod,zone=a", 2);
    join_agents(b, "env=prod,zone=b", 2);
    join_agents(b, "env=lab,zone=a", 2);
    struct command c = {.type = COMMAND_BUNDLE_ADD, .bundle = {.name = "app", .version = "1"}};
    c.bundle.digest.bytes[0] = 1;
    CU_ASSERT_EQUAL_FATAL(order(b, &c), 0);
    return b;
}

static int set(struct bench *b, const char *name, const char *selector)
{
    struct command c = {.type = COMMAND_GROUP_SET, .group = {.name = name, .selector = selector}};
    return order(b, &c);
}

static int forget(struct bench *b, const char *name)
{
    struct command c = {.type = COMMAND_GROUP_REMOVE, .group = {.name = name}};
    return order(b, &c);
}

static int deploy(struct bench *b, const char *selector)
{
    struct command c = {
        .type = COMMAND_DEPLOY,
        .confirmed = true,
        .deploy = {.name = "app", .bundle = "app", .version = "1", .selector = selector}};
    return order(b, &c);
}

static uint32_t targets(const struct bench *b)
{
    struct deployment_counts counts[4];
    manager_count_deployments(b->m, counts);
    return counts[0].targets;
}

static uint32_t agents(const struct bench *b, const char *name)
{
    int64_t index = manager_find_group(b->m, name);
    CU_ASSERT_TRUE_FATAL(index >= 0);
    return manager_group_use(b->m, (uint32_t)index).agents;
}

static void test_group_stands_for_its_selector_and_is_followed(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(set(b, "west", "zone=a"), 0);
    CU_ASSERT_EQUAL(set(b, "west", "zone=a"), 1);
    CU_ASSERT_EQUAL(agents(b, "west"), 4);
    CU_ASSERT_EQUAL(deploy(b, "@west,env=prod"), 0);
    CU_ASSERT_EQUAL(targets(b), 2);
    CU_ASSERT_EQUAL(set(b, "west", "zone in (a,b)"), 0);
    CU_ASSERT_EQUAL(targets(b), 4);
    CU_ASSERT_EQUAL(deploy(b, "!@west | env=lab"), 0);
    CU_ASSERT_EQUAL(targets(b), 2);
    struct command c = {.type = COMMAND_LABEL,
                        .label = {.id = manager_agent(b->m, 1)->id, .set = "zone=z", .unset = ""}};
    CU_ASSERT_EQUAL(order(b, &c), 0);
    CU_ASSERT_EQUAL(targets(b), 3);
    CU_ASSERT_EQUAL(agents(b, "west"), 5);
    bench_free(b);
}

static void test_groups_of_groups_make_no_circle_and_are_not_too_deep(void)
{
    struct bench *b = fleet();
    char name[8], text[24];
    CU_ASSERT_EQUAL(set(b, "g0", "@g0"), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(set(b, "g0", "env=prod"), 0);
    for (int i = 1; i < SELECTOR_DEPTH_MAX - 1; i++) {
        snprintf(name, sizeof name, "g%d", i);
        snprintf(text, sizeof text, "@g%d,zone=a", i - 1);
        CU_ASSERT_EQUAL(set(b, name, text), 0);
        CU_ASSERT_EQUAL(agents(b, name), 2);
        snprintf(text, sizeof text, "lab | @%s", name);
        CU_ASSERT_EQUAL(set(b, "g0", text), ERR_USAGE);
    }
    snprintf(text, sizeof text, "@%s", name);
    CU_ASSERT_EQUAL(set(b, "deep", text), ERR_USAGE);
    CU_ASSERT_EQUAL(agents(b, "g0"), 4);
    bench_free(b);
}

static void test_group_that_is_named_is_not_removed(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(set(b, "prod", "env=prod"), 0);
    CU_ASSERT_EQUAL(set(b, "west", "@prod,zone=a"), 0);
    CU_ASSERT_EQUAL(deploy(b, "@nobody"), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(deploy(b, "@west"), 0);
    CU_ASSERT_EQUAL(forget(b, "west"), ERR_BUSY);
    CU_ASSERT_STRING_EQUAL(b->out.error.text,
                           "group west is what deployment app selects by: change that first");
    CU_ASSERT_EQUAL(forget(b, "prod"), ERR_BUSY);
    CU_ASSERT_EQUAL(deploy(b, "env=prod"), 0);
    CU_ASSERT_EQUAL(forget(b, "west"), 0);
    CU_ASSERT_EQUAL(forget(b, "prod"), 0);
    CU_ASSERT_EQUAL(forget(b, "prod"), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(set(b, "again", "env=lab"), 0); /* in a place that is free */
    CU_ASSERT_EQUAL(manager_group_count(b->m), 2);
    bench_free(b);
}

static void test_names_and_selectors_are_checked(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(set(b, "", "env=prod"), ERR_USAGE);
    CU_ASSERT_EQUAL(set(b, "a b", "env=prod"), ERR_USAGE);
    CU_ASSERT_EQUAL(set(b, "a-", "env=prod"), ERR_USAGE);
    CU_ASSERT_EQUAL(set(b, "a", ""), ERR_USAGE);
    CU_ASSERT_EQUAL(set(b, "a", "env="), 0); /* Kubernetes' empty value */
    CU_ASSERT_EQUAL(set(b, "a", "@"), ERR_FORMAT);
    CU_ASSERT_EQUAL(set(b, "a", "@ x"), ERR_NOT_FOUND);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_group_stands_for_its_selector_and_is_followed),
    TEST(test_groups_of_groups_make_no_circle_and_are_not_too_deep),
    TEST(test_group_that_is_named_is_not_removed),
    TEST(test_names_and_selectors_are_checked),
};

SUITE_MAIN("groups", tests)
