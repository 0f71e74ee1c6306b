/* Counts that take long are a moment old; all others, and those after a command, are of now. */
#include "manager/census.h"

#include "test/suite.h"

#include <stdlib.h>
#include <string.h>

/* More than two pieces. */
#define AGENTS 70000

static const struct manager_limits LIMITS = {
    .agents = AGENTS + 100, .cohorts = 1, .deployments = 4, .bundles = 1, .batches = 1};

static uint64_t now_us, step_us;

/* So much passes while it is looked at. */
static uint64_t ticking(void)
{
    return now_us += step_us;
}

static void add_agents(struct manager *m, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = manager_agent_count(m) + 1;
        struct agent_row row = {.index = number - 1};
        memcpy(row.id.bytes, &number, sizeof number);
        CU_ASSERT_EQUAL_FATAL(manager_load_agent(m, number, &row, NULL, 0), 0);
    }
}

static void add_deployment(struct manager *m)
{
    static struct deployment_row row;
    row = (struct deployment_row){.name = "app", .history_count = 1};
    row.history[0] = (struct generation_row){.generation = 1};
    CU_ASSERT_EQUAL_FATAL(manager_load_deployment(m, &row), 0);
}

/* All have one deployment. */
static struct manager *fleet(uint32_t agents)
{
    struct manager_options options = {.limits = LIMITS, .epoch = 1, .policy = POLICY_DEFAULT};
    struct manager *m = manager_init(calloc(1, manager_size(&LIMITS)), &options);
    struct batch_row batch = {.count = LIMITS.agents, .uses = 1};
    struct bundle_row bundle = {.name = "app", .version = "1"};
    static struct cohort cohort;
    cohort = (struct cohort){
        .placement_count = 1,
        .placements = {{.deployment = 1,
                        .generation = 1,
                        .since = 1,
                        .gate = {.threshold = UINT64_MAX, .enrolled_before = UINT32_MAX}}}};
    CU_ASSERT_EQUAL(manager_load_batch(m, &batch), 0);
    CU_ASSERT_EQUAL(manager_load_bundle(m, &bundle), 0);
    add_deployment(m);
    CU_ASSERT_EQUAL(manager_load_cohort(m, &cohort), 0);
    add_agents(m, agents);
    return m;
}

static uint32_t targets(struct census *c, const struct manager *m)
{
    const struct deployment_counts *counts = census_counts(c, m);
    CU_ASSERT_PTR_NOT_NULL_FATAL(counts);
    return counts[0].targets;
}

static void test_what_is_counted_quickly_is_of_now(void)
{
    struct manager *m = fleet(3);
    step_us = 100;
    struct census *c = census_new(ticking);
    CU_ASSERT_EQUAL(targets(c, m), 3);
    add_agents(m, 1);
    CU_ASSERT_EQUAL(targets(c, m), 4);
    CU_ASSERT_FALSE(census_go_on(c, m));
    census_free(c);
    free(m);
}

static void test_what_takes_long_answers_for_a_while(void)
{
    struct manager *m = fleet(3);
    step_us = 2 * CENSUS_QUICK_US;
    struct census *c = census_new(ticking);
    CU_ASSERT_EQUAL(targets(c, m), 3);
    add_agents(m, 1);
    CU_ASSERT_EQUAL(targets(c, m), 3);
    now_us += CENSUS_GOOD_FOR * step_us;
    CU_ASSERT_EQUAL(targets(c, m), 4);
    census_free(c);
    free(m);
}

static void test_operator_sees_what_he_has_changed(void)
{
    struct manager *m = fleet(3);
    step_us = 2 * CENSUS_QUICK_US;
    struct census *c = census_new(ticking);
    CU_ASSERT_EQUAL(targets(c, m), 3);
    add_agents(m, 1);
    census_forget(c);
    CU_ASSERT_EQUAL(targets(c, m), 4);
    add_deployment(m);
    CU_ASSERT_EQUAL(census_counts(c, m)[1].targets, 0);
    census_free(c);
    free(m);
}

static void test_large_fleet_is_counted_ahead_in_pieces_while_somebody_asks(void)
{
    struct manager *m = fleet(AGENTS);
    unsigned pieces = 1;
    step_us = 2 * CENSUS_QUICK_US;
    struct census *c = census_new(ticking);
    CU_ASSERT_EQUAL(targets(c, m), AGENTS);
    add_agents(m, 1);
    CU_ASSERT_FALSE(census_go_on(c, m)); /* they are fresh */
    step_us = 10;
    now_us += CENSUS_GOOD_FOR * 2 * CENSUS_QUICK_US / 2;
    for (; census_go_on(c, m); pieces++)
        CU_ASSERT_EQUAL(targets(c, m), AGENTS);
    CU_ASSERT_EQUAL(pieces, 3);
    CU_ASSERT_EQUAL(targets(c, m), AGENTS + 1);
    census_free(c);
    free(m);
}

static void test_nothing_is_counted_ahead_when_nobody_asks_any_more(void)
{
    struct manager *m = fleet(3);
    step_us = 2 * CENSUS_QUICK_US;
    struct census *c = census_new(ticking);
    CU_ASSERT_EQUAL(targets(c, m), 3);
    for (uint64_t until_us = now_us + 4 * CENSUS_ASKED_US; now_us < until_us;) {
        now_us += CENSUS_GOOD_FOR * step_us / 2;
        census_go_on(c, m);
    }
    add_agents(m, 1);
    CU_ASSERT_FALSE(census_go_on(c, m));
    CU_ASSERT_EQUAL(targets(c, m), 4);
    census_free(c);
    free(m);
}

static const struct suite_test tests[] = {
    TEST(test_what_is_counted_quickly_is_of_now),
    TEST(test_what_takes_long_answers_for_a_while),
    TEST(test_operator_sees_what_he_has_changed),
    TEST(test_nothing_is_counted_ahead_when_nobody_asks_any_more),
    TEST(test_large_fleet_is_counted_ahead_in_pieces_while_somebody_asks),
};

SUITE_MAIN("census", tests)
