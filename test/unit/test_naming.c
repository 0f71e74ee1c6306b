/* What agents are called by operators: ids, beginnings of them, numbers, many at a time. */
#include "manager/naming.h"

#include "test/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct manager_limits LIMITS = {
    .agents = 100000, .cohorts = 1, .deployments = 1, .bundles = 1, .batches = 1};

static struct manager *fleet(void)
{
    struct manager_options options = {.limits = LIMITS, .epoch = 1, .policy = POLICY_DEFAULT};
    struct manager *m = manager_init(calloc(1, manager_size(&LIMITS)), &options);
    struct batch_row batch = {.count = LIMITS.agents, .uses = 1};
    static struct cohort cohort;
    CU_ASSERT_EQUAL(manager_load_batch(m, &batch), 0);
    CU_ASSERT_EQUAL(manager_load_cohort(m, &cohort), 0);
    return m;
}

static void add(struct manager *m, const char *id, unsigned flags)
{
    uint32_t number = manager_agent_count(m) + 1;
    struct agent_row row = {.index = number - 1, .flags = (uint16_t)flags};
    CU_ASSERT_EQUAL_FATAL(key_id_parse(id, &row.id), 0);
    CU_ASSERT_EQUAL_FATAL(manager_load_agent(m, number, &row, NULL, 0), 0);
}

/* Numbers 1 to 4, of which 2 is gone. */
static struct manager *small_fleet(void)
{
    struct manager *m = fleet();
    add(m, "aabbccdd000000000000000000000001", 0);
    add(m, "aabbccee000000000000000000000002", AGENT_REMOVED);
    add(m, "aabbccff000000000000000000000003", 0);
    add(m, "12340000000000000000000000000004", 0);
    return m;
}

static void expect(const struct manager *m, bool removed, const char *text,
                   enum naming_result result, uint32_t number)
{
    struct naming n = {.text = text};
    naming_find(m, removed, &n, 1);
    CU_ASSERT_EQUAL(n.result, result);
    CU_ASSERT_EQUAL(n.number, number);
    CU_ASSERT_PTR_EQUAL(n.text, text);
}

static void test_ids_beginnings_and_numbers_are_names(void)
{
    struct manager *m = small_fleet();
    expect(m, false, "aabbccff000000000000000000000003", NAMES_ONE, 3);
    expect(m, false, "AABBCCFF", NAMES_ONE, 3);
    expect(m, false, "aabbccf", NAMES_ONE, 3);
    expect(m, false, "aabb", NAMES_SEVERAL, 0);
    expect(m, false, "aab", NAMES_NONE, 0);
    expect(m, false, "aabbccffx", NAMES_NONE, 0);
    expect(m, false, "aabbccff00000000000000000000000300", NAMES_NONE, 0);
    expect(m, false, "3", NAMES_ONE, 3);
    expect(m, false, "n3", NAMES_ONE, 3);
    expect(m, false, "5", NAMES_NONE, 0);
    expect(m, false, "0", NAMES_NONE, 0);
    expect(m, false, "", NAMES_NONE, 0);
    expect(m, false, "n", NAMES_NONE, 0);
    expect(m, false, "4294967297", NAMES_NONE, 0);
    free(m);
}

static void test_who_was_removed_is_found_when_asked_for(void)
{
    struct manager *m = small_fleet();
    expect(m, false, "aabbccee", NAMES_NONE, 0);
    expect(m, false, "aabbccee000000000000000000000002", NAMES_NONE, 0);
    expect(m, false, "2", NAMES_NONE, 0);
    expect(m, true, "aabbccee", NAMES_ONE, 2);
    expect(m, true, "aabbccee000000000000000000000002", NAMES_ONE, 2);
    expect(m, true, "2", NAMES_ONE, 2);
    free(m);
}

static void test_a_number_that_begins_an_id_has_to_be_said_better(void)
{
    struct manager *m = fleet();
    char id[40];
    for (unsigned i = 1; i <= 2000; i++) {
        snprintf(id, sizeof id, "ff%030u", i);
        if (i == 7)
            snprintf(id, sizeof id, "1234%028u", i);
        if (i == 1777) /* it is called by its own number */
            snprintf(id, sizeof id, "1777%028u", i);
        add(m, id, 0);
    }
    expect(m, false, "1234", NAMES_EITHER, 0);
    expect(m, false, "n1234", NAMES_ONE, 1234);
    expect(m, false, "12340", NAMES_ONE, 7);
    expect(m, false, "1777", NAMES_ONE, 1777);
    free(m);
}

/* Each number could begin an id, and some do. */
static void test_many_names_at_a_time_mean_what_each_does(void)
{
    static struct naming list[1000];
    static char texts[1000][8];
    struct manager *m = fleet();
    char id[40];
    for (unsigned i = 1; i <= LIMITS.agents; i++) {
        snprintf(id, sizeof id, "%08xabcdef000000000000000000", i * 2654435761u);
        add(m, id, 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(texts[i], sizeof texts[i], "n%u", 10000 + i * 90);
        list[i].text = texts[i] + i % 2;
    }
    naming_find(m, false, list, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        CU_ASSERT_TRUE(list[i].result == NAMES_ONE ? list[i].number == 10000 + i * 90
                                                   : i % 2 && list[i].result == NAMES_EITHER);
        expect(m, false, list[i].text, list[i].result, list[i].number);
    }
    free(m);
}

static const struct suite_test tests[] = {
    TEST(test_ids_beginnings_and_numbers_are_names),
    TEST(test_who_was_removed_is_found_when_asked_for),
    TEST(test_a_number_that_begins_an_id_has_to_be_said_better),
    TEST(test_many_names_at_a_time_mean_what_each_does),
};

SUITE_MAIN("naming", tests)
