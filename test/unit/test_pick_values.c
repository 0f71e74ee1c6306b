#include "manager/core/why.h"
#include "test/manager_bench.h"

#include <stdio.h>

#define AGENTS_MAX (GROUPS_MAX + 100)

static const struct manager_options options = {.limits = {.agents = AGENTS_MAX,
                                                          .cohorts = AGENTS_MAX,
                                                          .deployments = 20,
                                                          .bundles = 2,
                                                          .batches = AGENTS_MAX},
                                               .epoch = 1,
                                               .cohort_secret = {{7}},
                                               .document_life_s = 1000000,
                                               .policy = POLICY_DEFAULT};

static const struct pick one_of_each = {.amount = {1, false}, .by = "zone"};

static struct bench *bench_new(void)
{
    struct bench *b = bench_on(&options, 1000000);
    struct command c = {.type = COMMAND_BUNDLE_ADD, .bundle = {.digest = {{1}}}};
    strcpy(c.bundle.name, "app");
    strcpy(c.bundle.version, "1");
    CU_ASSERT_EQUAL(run(b, &c), 0);
    return b;
}

/* `each` agents in each of so many zones. */
static void join_zones(struct bench *b, uint32_t first, uint32_t count, uint32_t each)
{
    for (uint32_t i = first; i < first + count; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "zone=z%u", i);
        join_agents(b, labels, each);
    }
}

static unsigned alarms(const struct bench *b)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < b->out.alarm_count; i++)
        count += b->out.alarms[i].type == ALARM_UNPICKED;
    return count;
}

/* How often it was alarmed. */
static unsigned tick(struct bench *b)
{
    b->now_s++;
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    unsigned count = alarms(b);
    while (b->out.more) {
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
        count += alarms(b);
    }
    return count;
}

static int deploy(struct bench *b, const char *name, const struct pick *pick)
{
    struct command c = {.type = COMMAND_DEPLOY,
                        .deploy = {.name = name,
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "",
                                   .all = true,
                                   .salt = 99,
                                   .pick = pick}};
    int rv = run(b, &c);
    tick(b);
    return rv;
}

static uint32_t targets(const struct bench *b)
{
    struct deployment_counts counts[20];
    manager_count_deployments(b->m, counts);
    return counts[0].targets;
}

static struct why ask(struct bench *b, uint32_t number)
{
    struct why why;
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    manager_why(b->m, number, 0, b->now_s, &scratch, &why);
    return why;
}

static void remove_agent(struct bench *b, uint32_t number)
{
    struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = manager_agent(b->m, number)->id};
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

static void test_one_of_each_of_seventy_values_is_seventy(void)
{
    struct bench *b = bench_new();
    join_zones(b, 0, 70, 3);
    CU_ASSERT_EQUAL(deploy(b, "app", &one_of_each), 0);
    CU_ASSERT_EQUAL(targets(b), 70);
    join_zones(b, 70, 200, 2);
    tick(b);
    CU_ASSERT_EQUAL(targets(b), 270);
    CU_ASSERT_EQUAL(deploy(b, "app", &(struct pick){.amount = {2, false}, .by = "zone"}), 0);
    CU_ASSERT_EQUAL(targets(b), 540);
    bench_free(b);
}

static void test_spread_over_many_values_is_exact(void)
{
    struct bench *b = bench_new();
    struct pick pick = {.amount = {1000, false}, .by = "zone", .max_skew = 1};
    join_zones(b, 0, 300, 5);
    CU_ASSERT_EQUAL(deploy(b, "app", &pick), 0);
    CU_ASSERT_EQUAL(targets(b), 1000);
    remove_agent(b, 1);
    tick(b);
    CU_ASSERT_EQUAL(targets(b), 1000);
    bench_free(b);
}

static void test_more_values_than_are_told_apart_are_refused(void)
{
    struct bench *b = bench_new();
    join_zones(b, 0, GROUPS_MAX + 1, 1);
    CU_ASSERT_EQUAL(deploy(b, "app", &one_of_each), ERR_RANGE);
    CU_ASSERT_EQUAL(manager_deployment_count(b->m), 0);
    struct command c = {.type = COMMAND_DEPLOY,
                        .deploy = {.name = "app",
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "",
                                   .all = true,
                                   .pick = &one_of_each}};
    CU_ASSERT_EQUAL(run(b, &c), ERR_RANGE);
    CU_ASSERT_STRING_EQUAL(b->out.error.text,
                           "pick: these agents have more than 4096 values of zone, the most that a "
                           "pick tells apart: select fewer, or pick by another label");
    c.deploy.all = false;
    c.deploy.selector = "zone!=z7";
    CU_ASSERT_EQUAL(run(b, &c), 0);
    tick(b);
    CU_ASSERT_EQUAL(targets(b), GROUPS_MAX);
    bench_free(b);
}

static void test_value_beyond_those_told_apart_is_alarmed_about_and_waits_for_a_place(void)
{
    struct bench *b = bench_new();
    join_zones(b, 0, GROUPS_MAX, 1);
    CU_ASSERT_EQUAL(deploy(b, "app", &one_of_each), 0);
    CU_ASSERT_EQUAL(targets(b), GROUPS_MAX);
    join_zones(b, GROUPS_MAX, 1, 2);
    CU_ASSERT_EQUAL(tick(b), 1);
    CU_ASSERT_EQUAL(tick(b), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->picked.left_out, 2);
    CU_ASSERT_EQUAL(targets(b), GROUPS_MAX);
    struct why why = ask(b, GROUPS_MAX + 1);
    CU_ASSERT_TRUE(why.reason == WHY_NOT_PICKED && why.ungrouped);
    CU_ASSERT_EQUAL(deploy(b, "app", &one_of_each), 1); /* what is there may stay */
    remove_agent(b, 5);
    tick(b);
    CU_ASSERT_EQUAL(targets(b), GROUPS_MAX);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->picked.left_out, 0);
    CU_ASSERT_FALSE(ask(b, GROUPS_MAX + 1).ungrouped);
    bench_free(b);
}

static void test_all_picks_together_have_room_for_so_many_values(void)
{
    struct bench *b = bench_new();
    join_zones(b, 0, GROUPS_MAX, 1);
    for (uint32_t i = 0; i < GROUPS_ALL_MAX / GROUPS_MAX; i++) {
        char name[8];
        snprintf(name, sizeof name, "d%u", i);
        CU_ASSERT_EQUAL(deploy(b, name, &one_of_each), 0);
    }
    CU_ASSERT_EQUAL(deploy(b, "one", &one_of_each), ERR_RANGE);
    struct command c = {.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = "d3"}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    tick(b);
    CU_ASSERT_EQUAL(deploy(b, "one", &one_of_each), 0);
    CU_ASSERT_EQUAL(targets(b), GROUPS_MAX);
    bench_free(b);
}

static uint32_t meant(struct bench *b)
{
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    return manager_meant(b->m, 0, &scratch);
}

/* Documents are made some in a step: who is told at once how many it is for waits for none. */
static void test_it_is_known_whom_it_is_for_before_all_documents_are_made(void)
{
    static const struct pick all;
    const struct pick *const picks[] = {&all, &one_of_each};
    for (int i = 0; i < 2; i++) {
        struct bench *b = bench_new();
        join_zones(b, 0, 70, 3);
        struct command c = {.type = COMMAND_DEPLOY,
                            .deploy = {.name = "app",
                                       .bundle = "app",
                                       .version = "1",
                                       .selector = "zone",
                                       .pick = picks[i]}};
        CU_ASSERT_EQUAL(run(b, &c), 0);
        CU_ASSERT_TRUE(targets(b) < (i ? 70 : 210));
        CU_ASSERT_EQUAL(meant(b), i ? 70 : 210);
        tick(b);
        CU_ASSERT_EQUAL(targets(b), i ? 70 : 210);
        CU_ASSERT_EQUAL(meant(b), i ? 70 : 210);
        bench_free(b);
    }
}

static void test_agent_without_the_label_knows_why(void)
{
    struct bench *b = bench_new();
    join_zones(b, 0, 2, 1);
    join_agents(b, "env=lab", 1);
    CU_ASSERT_EQUAL(deploy(b, "app", &one_of_each), 0);
    struct why why = ask(b, 3);
    CU_ASSERT_TRUE(why.reason == WHY_NOT_PICKED && why.unlabelled && !why.ungrouped);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_one_of_each_of_seventy_values_is_seventy),
    TEST(test_spread_over_many_values_is_exact),
    TEST(test_more_values_than_are_told_apart_are_refused),
    TEST(test_value_beyond_those_told_apart_is_alarmed_about_and_waits_for_a_place),
    TEST(test_all_picks_together_have_room_for_so_many_values),
    TEST(test_it_is_known_whom_it_is_for_before_all_documents_are_made),
    TEST(test_agent_without_the_label_knows_why),
};

SUITE_MAIN("pick values", tests)
